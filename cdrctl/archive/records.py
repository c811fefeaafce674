"""The records of an archive as records of their call: the lines of a day's file read back into typed values.

An archive keeps native rows. Here each is a record whose fields are the native columns, so that an export reads it with
the same functions as a record of the provider: unknown fields, values that do not fit their columns, and the common CDR
are the same as when the record was fetched.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from cdrctl.archive.dayfile import Row
from cdrctl.archive.index import UNPLACED
from cdrctl.archive.lines import columns_of, fields_of
from cdrctl.export.identity import origin_of, stable_keys, with_keys
from cdrctl.fetchers import Call, Provider
from cdrctl.records.columns import EXTRA, Kind, is_text
from cdrctl.records.events import Page, Record, Value, fingerprint
from cdrctl.records.readers import canonical_instants
from cdrctl.records.schemas import Schema

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ArchivedRecord(dict[str, Any]):
    """A record of the archive: native values by column name, its key, and the start of its call."""

    __slots__ = ("key", "start")

    def __init__(self, fields: Mapping[str, Any], entry: Row) -> None:
        super().__init__(fields)
        self.key = entry.key
        self.start = None if entry.start == UNPLACED else _EPOCH + timedelta(milliseconds=entry.start)


def archived_call(call: Call) -> Call:
    """Return a call whose records are those of an archive."""
    columns = tuple(
        replace(
            column,
            key=column.name,
            read=None if is_text(column) else _READERS[column.kind],
            read_in=None,
            null_words=frozenset(),
            read_texts=_READERS_OF_TEXTS.get(column.kind),
            keeps_typed=True,
        )
        for column in call.columns
    )
    return replace(call, columns=columns, identity=_identity, start=_start, start_in=None, key_fields=None)


def _identity(record: Record) -> str:
    return record.key.hex() if isinstance(record, ArchivedRecord) else fingerprint(record)


def _start(record: Record) -> datetime | None:
    return record.start if isinstance(record, ArchivedRecord) else None


# Typed values


def _reader(fits: Callable[[Any], bool]) -> Callable[[Any], Value]:
    """Return the parser of values that are typed already; what does not fit was kept as it came, and is again."""

    def read(value: Any) -> Value:
        if not fits(value):
            raise ValueError
        return value

    return read


_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,4000}")

_is_integer = _reader(lambda value: isinstance(value, int) and not isinstance(value, bool))
_is_decimal = _reader(lambda value: isinstance(value, str) and _DECIMAL.fullmatch(value) is not None)

_READERS: dict[Kind, Callable[[Any], Value]] = {
    "text": _reader(lambda value: isinstance(value, str)),
    "integer": _is_integer,
    "seconds": _is_integer,
    "decimal": _is_decimal,
    "money": _is_decimal,
    "boolean": _reader(lambda value: isinstance(value, bool)),
    "time": _reader(lambda value: isinstance(value, str) and _TIME.fullmatch(value) is not None),
    "list": _reader(lambda value: isinstance(value, list | dict)),
}


def _times(texts: Sequence[str], _context: object = None) -> Sequence[str] | None:
    """Return times, or None where one of the texts is not a time as it is stored."""
    return texts if canonical_instants(texts) is texts else None


def _decimals(texts: Sequence[str], _context: object = None) -> Sequence[str] | None:
    """Return decimals, or None where one of the texts is none."""
    return texts if all(map(_DECIMAL.fullmatch, filter(None, texts))) else None


_READERS_OF_TEXTS = {"time": _times, "decimal": _decimals, "money": _decimals}


def record_reader(call: Call, header: bytes) -> Callable[[Row], ArchivedRecord | None]:
    """Return the function from a row of a day's file to its record, or to None if its line cannot be read.

    Args:
        call: The call.
        header: The CSV header of the file; empty if its lines are JSON.
    """
    names = columns_of(header)
    kinds: dict[str, Kind] = {column.name: column.kind for column in call.columns}

    def read(entry: Row) -> ArchivedRecord | None:
        fields = fields_of(entry.line, names)
        if fields is None:
            return None
        if names:
            further = further_fields(fields.pop(EXTRA, ""))
            fields = {name: typed_value(kinds.get(name, "text"), cell) for name, cell in fields.items()}
            fields.update(further)
        return ArchivedRecord(fields, entry)

    return read


def typed_value(kind: Kind, cell: str) -> Value:
    """Return the value of a CSV cell; one that does not fit its column is text, as CSV does not tell types apart."""
    if not cell:
        return None
    if kind in {"integer", "seconds"}:
        return int(cell) if _INTEGER.fullmatch(cell) else cell
    if kind == "boolean":
        return {"true": True, "false": False}.get(cell, cell)
    if kind == "list":
        with suppress(ValueError, RecursionError):
            found = json.loads(cell)
            return found if isinstance(found, list | dict) else cell
    return cell


def further_fields(cell: str) -> Mapping[str, Any]:
    """Return the fields in the cell of the column `extra`."""
    with suppress(ValueError, RecursionError):
        found = json.loads(cell) if cell else {}
        return found if isinstance(found, dict) else {EXTRA: found}
    return {EXTRA: cell}


# Keys of records for databases


KEYS_DIFFER = (
    "some records have no id, or share one: in a database, their record_key differs from that of an export from the "
    "provider, so write the two exports into different files"
)


def with_archived_key(
    schema: Schema, provider: Provider, call: Call, profile: str, warn: Callable[[str], None]
) -> Schema:
    """Return a schema whose first column is the same key of a record as in an export from the provider.

    The archive has a digest of the identity, and the columns have what the identity is made of. Where these do not
    give the same digest, the key is made from that of the archive, with one warning.

    Args:
        schema: The schema of archived records.
        provider: The provider.
        call: The call, as the provider has it.
        profile: The profile.
        warn: Receives the warning.
    """
    origin = origin_of(provider, call, profile)
    warned = False

    def keys_of(page: Page) -> list[str]:
        nonlocal warned
        found = []
        for record in page.records:
            context = _context(record, call)
            identity = _identity_of(record, call, context)
            if identity is None and not warned:
                warned = True
                warn(KEYS_DIFFER)
            within = {**origin, **{f"@{name}": value for name, value in context.items()}}
            if identity is None:
                within, identity = {**origin, "archived": "yes"}, _identity(record)
            found += [key.hex() for key in stable_keys(within, [identity])]
        return found

    return with_keys(schema, keys_of)


def _context(record: Record, call: Call) -> dict[str, str]:
    """Return the context of the page that a record came in, as far as columns have it."""
    found = {column.key[1:]: record.get(column.name) for column in call.columns if column.key.startswith("@")}
    return {**{name: value for name, value in found.items() if isinstance(value, str)}, **call.further_context}


def _identity_of(record: Record, call: Call, context: Mapping[str, str]) -> str | None:
    """Return the identity of an archived record, or None if its columns do not tell."""
    key = getattr(record, "key", None)
    as_it_came = {column.key: value for column in call.columns if (value := record.get(column.name)) is not None}
    for identity_of, fields in ((call.identity, as_it_came), (functools.partial(_record_id, call), record)):
        with suppress(ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
            found = identity_of(fields)
            if stable_keys(context, [found]) == [key]:
                return found
    return None


def _record_id(call: Call, record: Record) -> str:
    """Return the id that the common CDR has of a record.

    Raises:
        ValueError: It has none.
    """
    values = {column.name: record.get(column.name) for column in call.columns}
    found = call.common(values).get("record_id") if call.common is not None else None
    if not isinstance(found, str):
        raise ValueError("no id")
    return found
