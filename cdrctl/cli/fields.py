"""`cdrctl fields`: the columns of a call, with the meaning and an example of each."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from importlib.resources import files
from typing import Any

from cdrctl import windows, writers
from cdrctl.cli.commands import command
from cdrctl.cli.options import SHARED, Argument, option
from cdrctl.cli.output_options import check_place, colored, data, table_name
from cdrctl.cli.run import Session
from cdrctl.errors import UsageError, did_you_mean
from cdrctl.export.request import Output
from cdrctl.fetchers import PROVIDERS, Call, Provider, load
from cdrctl.records.columns import Column
from cdrctl.records.common import COMMON
from cdrctl.records.schemas import EXTRA_COLUMN, KEY_COLUMN, Schema

ABOUT: tuple[Column, ...] = (
    Column("field", "", "text"),
    Column("type", "", "text"),
    Column("meaning", "", "text"),
    Column("example", "", "list"),
    Column("key", "", "text"),
    Column("always", "", "boolean"),
)

SHOWN = ("field", "type", "meaning", "example")

WIDE = 72
"""Columns of a terminal that has room for examples beside the meanings."""


@command(
    Argument("provider", "Name of the provider.", required=True),
    Argument("call", "Name of the call, as in commands. Default: the main call.", repeat=True),
    option("--schema", about="native or common. Default: native.", metavar="SCHEMA", default="native", panel="Output"),
    option(
        "-f",
        "--format",
        name="form",
        about="csv, jsonl, table, xlsx, sqlite … as for exports. Default: table on a terminal, jsonl in a pipe.",
        metavar="FORMAT",
        panel="Output",
    ),
    option("-o", "--output", name="target", about="File to write.", metavar="FILE", panel="Output"),
    SHARED["pager"],
    examples=(
        "cdrctl fields webex cdrs -f table",
        "cdrctl fields portsip reports show --schema native | jq -r .field",
    ),
)
def fields(
    opened: Session,
    *,
    provider: str,
    call: list[str],
    schema: str,
    form: str | None,
    target: str | None,
    pager: bool | None,
) -> None:
    """List the columns of a call: name, type, meaning, example and the provider's own key.

    `always` is true if every record has a value, as far as is documented; --strict relies on it.
    """
    described = _find_provider(provider)
    found = _find_call(described, call or [described.calls[0].name])
    _refuse_schema(described, found, schema)
    form = form or _usual_format(opened, target)
    check_place(opened, form, target)
    look = _render_options(opened, form, target, "common" if schema == "common" else table_name(described, found))
    rows, about = _describe_columns(described, found, schema), ABOUT
    if writers.is_database(form):
        rows, about = [[row[0], *row] for row in rows], (KEY_COLUMN, *ABOUT)
    with data(opened, Output(form, target, pager=pager)) as out:
        writers.load(form)(Schema(about, lambda _page: rows), iter([rows]), out, look)


def _render_options(opened: Session, form: str, target: str | None, name: str) -> writers.RenderOptions:
    return writers.RenderOptions(
        width=opened.process.width,
        zone=windows.zone("UTC"),
        color=form == "table" and colored(opened, target),
        shown=SHOWN if opened.process.width >= WIDE else SHOWN[:3],
        whole=("field",),
        more="",
        name=f"{name}_fields",
        warn=lambda text: opened.reporter.log("warning", text),
    )


def _usual_format(opened: Session, target: str | None) -> str:
    """Return the format for a file, or for standard output."""
    if target is not None and target != "-":
        return writers.format_of(target) or "jsonl"
    return "table" if opened.process.stdout_is_terminal else "jsonl"


def _refuse_schema(provider: Provider, call: Call, schema: str) -> None:
    """Refuse a schema that has no columns for a call.

    Raises:
        UsageError: It is neither native nor common, or the call's records are not calls.
    """
    if schema not in {"native", "common"}:
        raise UsageError(
            f"there is no schema {schema!r} with columns",
            hint=f"{did_you_mean(schema, ('native', 'common'))}the schemas are: native, common",
        )
    if schema == "common" and call.common is None:
        raise UsageError(
            f"{provider.name} {_full_name(call)} returns no calls: --schema common does not apply",
            hint="use --schema native",
        )


def _describe_columns(provider: Provider, call: Call, schema: str) -> list[list[Any]]:
    """Return a row for each column of a call: the values of ABOUT."""
    if schema == "common":
        columns, shown, always = COMMON, examples("common"), _always_common(provider.name, call)
    else:
        columns, shown, always = (*call.columns, EXTRA_COLUMN), examples(provider.name), call.expected.required
    return [
        [one.name, one.kind, one.meaning, shown.get(one.name), one.key or None, one.name in always] for one in columns
    ]


COMMANDS = {"fields": fields}


def examples(provider: str) -> Mapping[str, Any]:
    """Return an example of every column of a provider, or of the common CDR, by the column's name."""
    text = files("cdrctl.fetchers").joinpath("examples.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text)
    return found.get(provider, {})


def _always_common(provider: str, call: Call) -> Collection[str]:
    """Return the common CDR's columns that follow from native columns which always have a value."""
    assert call.common is not None  # noqa: S101 - _refuse_schema() was called
    shown = examples(provider)
    known = call.expected.required
    least = {column.name: shown.get(column.name) if column.name in known else None for column in call.columns}
    return {"provider", *(name for name, value in call.common(least).items() if value is not None)}


def _find_provider(name: str) -> Provider:
    if name not in PROVIDERS:
        raise UsageError(
            f"there is no provider {name!r}",
            hint=f"{did_you_mean(name, PROVIDERS)}the providers are: {', '.join(PROVIDERS)}",
        )
    return load(name)


def _find_call(provider: Provider, words: list[str]) -> Call:
    for call in provider.calls:
        if _full_name(call) == " ".join(words):
            return call
    known = [_full_name(call) for call in provider.calls]
    typed = " ".join(words)
    raise UsageError(
        f"{provider.name} has no call {typed!r}", hint=f"{did_you_mean(typed, known)}its calls are: {', '.join(known)}"
    )


def _full_name(call: Call) -> str:
    """Return a call's name as it is typed, after its group if it has one."""
    return f"{call.group} {call.name}" if call.group else call.name
