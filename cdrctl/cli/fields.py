"""`cdrctl fields`: the columns of a call, with what is known of each."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from importlib.resources import files
from typing import Annotated, Any

import typer

from cdrctl import windows, writers
from cdrctl.cli.options import SHARED, in_session
from cdrctl.cli.output_options import check_place, colored, data, table_name
from cdrctl.cli.run import Session
from cdrctl.errors import UsageError, did_you_mean
from cdrctl.fetchers import PROVIDERS, Call, Provider, load
from cdrctl.records.columns import Column
from cdrctl.records.common import COMMON
from cdrctl.records.schemas import EXTRA_COLUMN, KEY_COLUMN, Schema

commands = typer.Typer(rich_markup_mode=None)

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
"""Columns of a terminal in which examples leave enough room for what a field means."""

Form = Annotated[
    str | None,
    typer.Option(
        "-f",
        "--format",
        help="csv, jsonl, table, xlsx, sqlite … as for exports. Default: table on a terminal, jsonl in a pipe.",
        metavar="FORMAT",
        show_default=False,
        rich_help_panel="Output",
    ),
]


@commands.command(
    epilog="cdrctl fields webex cdrs -f table\ncdrctl fields portsip reports show --schema native | jq -r .field"
)
@in_session
def fields(
    opened: Session,
    provider: Annotated[str, typer.Argument(help="Which provider.", metavar="PROVIDER", show_default=False)],
    call: Annotated[
        list[str] | None,
        typer.Argument(help="Which of its calls, as it is typed. Default: the main one.", show_default=False),
    ] = None,
    *,
    schema: Annotated[
        str,
        typer.Option(
            "--schema",
            help="native or common. Default: native.",
            metavar="SCHEMA",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = "native",
    form: Form = None,
    target: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", help="File to write.", metavar="FILE", show_default=False, rich_help_panel="Output"
        ),
    ] = None,
    pager: Annotated[bool | None, SHARED["pager"][1]] = None,
) -> None:
    """List the columns of a call: name, type, meaning, example and the provider's own key.

    `always` is true where every record has a value, as far as is documented; --strict relies on it.
    """
    if provider not in PROVIDERS:
        raise UsageError(
            f"there is no provider {provider!r}",
            hint=f"{did_you_mean(provider, PROVIDERS)}the providers are: {', '.join(PROVIDERS)}",
        )
    described = load(provider)
    found = _call(described, call or [described.calls[0].name])
    if schema not in {"native", "common"}:
        raise UsageError(
            f"there is no schema {schema!r} with columns",
            hint=f"{did_you_mean(schema, ('native', 'common'))}the schemas are: native, common",
        )
    if schema == "common" and found.common is None:
        raise UsageError(f"{provider} {found.name} has no calls in it: --schema common does not fit")
    columns = (*found.columns, EXTRA_COLUMN) if schema == "native" else COMMON
    to_stdout = target in {None, "-"}
    if form is None and target is not None and not to_stdout:
        form = writers.format_of(target)
    form = form or ("table" if to_stdout and opened.process.stdout_is_terminal else "jsonl")
    check_place(opened, form, target)
    database = writers.is_database(form)
    look = writers.RenderOptions(
        width=opened.process.width,
        zone=windows.zone("UTC"),
        color=form == "table" and colored(opened, target),
        shown=SHOWN if opened.process.width >= WIDE else SHOWN[:3],
        whole=("field",),
        more="",
        name=f"{'common' if schema == 'common' else table_name(described, found)}_fields",
        warn=lambda text: opened.reporter.log("warning", text),
    )
    shown = examples("common" if schema == "common" else provider)
    always = found.expected.required if schema == "native" else _always_common(provider, found)
    rows: list[list[Any]] = [
        [one.name, one.kind, one.meaning, shown.get(one.name), one.key or None, one.name in always] for one in columns
    ]
    if database:
        rows = [[row[0], *row] for row in rows]
    about = (KEY_COLUMN, *ABOUT) if database else ABOUT
    with data(opened, {"output": target, "pager": pager}, form) as out:
        writers.load(form)(Schema(about, lambda _page: rows), iter([rows]), out, look)


def examples(provider: str) -> Mapping[str, Any]:
    """Return an example of every column of a provider, or of the common CDR, by the column's name."""
    text = files("cdrctl.fetchers").joinpath("examples.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text)
    return found.get(provider, {})


def _always_common(provider: str, call: Call) -> Collection[str]:
    """Return the columns of the common CDR that follow from those native ones which every record has a value in."""
    assert call.common is not None  # noqa: S101 - refused before
    shown = examples(provider)
    known = call.expected.required
    least = {column.name: shown.get(column.name) if column.name in known else None for column in call.columns}
    return {"provider", *(name for name, value in call.common(least).items() if value is not None)}


def _call(provider: Provider, words: list[str]) -> Call:
    for call in provider.calls:
        if list(filter(None, (call.group, call.name))) == words:
            return call
    known = [" ".join(filter(None, (call.group, call.name))) for call in provider.calls]
    typed = " ".join(words)
    raise UsageError(
        f"{provider.name} has no call {typed!r}", hint=f"{did_you_mean(typed, known)}its calls are: {', '.join(known)}"
    )
