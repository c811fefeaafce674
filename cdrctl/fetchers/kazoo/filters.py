"""`--filter`: the filters that Kazoo applies, and those that are applied here."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from cdrctl.errors import UsageError
from cdrctl.fetchers.kazoo.columns import DOCUMENT, DOCUMENT_PATHS, FILTERED
from cdrctl.records.columns import Column
from cdrctl.records.events import Record, pick


def filters_of(
    given: Sequence[str],
) -> tuple[Callable[[Record, Mapping[str, str]], bool] | None, list[tuple[str, str]]]:
    """Return the test that rows must pass, if there is one, and the filters that only the server can apply.

    Crossbar's own filters skip rows at the turn of a month before May 2020, so fields of the rows are filtered here.
    """
    ours: list[tuple[Column, str, list[str]]] = []
    theirs: list[tuple[str, str]] = []
    for text in given:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise UsageError(f"a filter is written NAME=VALUE: {text!r}", hint="for example --filter direction=inbound")
        column = FILTERED.get(DOCUMENT_PATHS.get(name, name))
        if column is None and not _in_documents(name):
            near = difflib.get_close_matches(name, [*FILTERED, *(column.name for column in DOCUMENT)], n=3)
            raise UsageError(
                f"there is no field {name!r} to filter on",
                hint=f"did you mean {' or '.join(near)}?"
                if near
                else "`cdrctl kazoo cdr` shows the fields of a document",
            )
        if column is None:
            theirs.append((name, value))
        else:
            path = next((path for path, of in DOCUMENT_PATHS.items() if of == column.name), column.name)
            ours.append((column, path, _alternatives(value)))

    def keep(row: Record, context: Mapping[str, str]) -> bool:
        return all(_passes(row, context, *one) for one in ours)

    return keep if ours else None, theirs


def _alternatives(wanted: str) -> list[str]:
    """Return the values that pass a filter: the one given and each of a JSON list (crossbar_filter.erl)."""
    with suppress(ValueError, RecursionError):
        several = json.loads(wanted)
        if isinstance(several, list):
            return [wanted, *(str(one) for one in several)]
    return [wanted]


def _in_documents(path: str) -> bool:
    """Return whether a document may hold this path: a field of its own, or anything in an object of variables."""
    return any(path == column.key for column in DOCUMENT) or path.startswith(
        ("custom_channel_vars.", "custom_application_vars.", "custom_sip_headers.")
    )


def _at(row: Record, context: Mapping[str, str], column: Column, path: str) -> Any:
    """Return a row's value of a column, or by its path in a full document, which a 5.x operator may send instead."""
    if column.key.startswith("@"):
        return context[column.key[1:]]
    value = pick(row, column.key)
    if value is None:
        value = row
        for part in path.split("."):
            value = pick(value, part) if isinstance(value, dict) else None
    return value


def _passes(row: Record, context: Mapping[str, str], column: Column, path: str, wanted: Sequence[str]) -> bool:
    value = _at(row, context, column, path)
    return any(_matches(column, value, one) for one in wanted)


def _matches(column: Column, raw: Any, wanted: str) -> bool:
    """Return whether a raw value, or its parsed form, is the wanted one."""
    if isinstance(raw, list):
        return wanted in map(str, raw)
    if raw is None or raw == "":
        return wanted == ""
    if str(raw) == wanted:
        return True
    try:
        return column.read is not None and str(column.read(raw)) == wanted
    except ValueError:
        return False
