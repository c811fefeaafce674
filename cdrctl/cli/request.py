"""Make the request of an export from the options of a command line: what cannot be done is refused here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from msgspec.structs import replace

from cdrctl import windows, writers
from cdrctl.cli.output_options import COMMON_SHOWN, check_place
from cdrctl.cli.run import Session
from cdrctl.errors import UsageError, did_you_mean
from cdrctl.export.request import ExportRequest, Output, TypedWindow
from cdrctl.export.selection import Selection
from cdrctl.fetchers import Call
from cdrctl.records.common import COMMON
from cdrctl.records.schemas import SchemaName

if TYPE_CHECKING:
    from cdrctl.conditions.language import Condition
    from cdrctl.sorting import Order

SCHEMAS = ("native", "common", "raw")
TIMES = ("utc", "local")

EVERY_FIELD = "all"
"""The value of --fields for all columns, in a format that has fewer by default."""


def read_request(
    session: Session,
    given: Mapping[str, Any],
    call: Call | None,
    path: str | None,
    common_shown: Sequence[str] = COMMON_SHOWN,
) -> ExportRequest:
    """Return the request that the shared options of a command stand for.

    `call` is None for several profiles. The records go to `path`: the value of -o, unless that names a file which the
    call yields. Of common CDRs, a table shows the columns `common_shown` by default.

    Raises:
        UsageError: A value cannot be read, or two options contradict each other.
    """
    schema = read_schema(given["schema"])
    form = read_format(session, given["format"], path, schema, template=given["template"])
    if form != writers.TEMPLATE:
        check_format(form, schema, strict=given["strict"], spreadsheet_safe=given["spreadsheet_safe"])
        check_place(session, form, path)
    native = call is not None and schema == "native"
    shown = tuple(call.table_columns if call is not None and native else common_shown)
    selection = read_selection(given["fields"], given["where"], given["sort"], given["limit"])
    if given["template"] is not None:
        selection = with_template_fields(selection, given["template"], schema)
    elif given["fields"] is None and form == "xlsx":  # a workbook is for people, and has the columns of a table
        names = {column.name for column in (call.columns if call is not None and native else COMMON)}
        selection = replace(selection, fields=tuple(name for name in shown if name in names) or None)
    return ExportRequest(
        schema,
        selection,
        TypedWindow(given["since"], given["until"], windows.zone(given["tz"]) if given["tz"] else None),
        _read_output(given, form, schema, path, shown, selection),
        jobs=given.get("jobs") or 0,
        profile=given["profile"] if call is not None else None,
        archive=read_source(given["source"], schema),
        live=path in {None, "-"} and session.process.stdout_is_read,
        **{name: given[name] for name in ("strict", "allow_partial", "fail_if_empty", "dry_run")},
    )


def _read_output(
    given: Mapping[str, Any],
    form: str,
    schema: SchemaName,
    path: str | None,
    shown: tuple[str, ...],
    selection: Selection,
) -> Output:
    return Output(
        format=form,
        path=path,
        shown=shown,
        columns=selection.fields,
        record_keys=writers.is_database(form),
        header=read_header(form, wanted=given["header"]),
        template=given["template"] or "",
        times=read_times(given["times"], form, schema),
        spreadsheet_safe=given["spreadsheet_safe"],
        pager=given["pager"],
    )


def read_schema(schema: str) -> SchemaName:
    """Return the schema.

    Raises:
        UsageError: There is no such schema.
    """
    if schema not in SCHEMAS:
        raise UsageError(
            f"there is no schema {schema!r}",
            hint=f"{did_you_mean(schema, SCHEMAS)}the schemas are: {', '.join(SCHEMAS)}",
        )
    return cast("SchemaName", schema)


def read_source(folder: str | None, schema: SchemaName) -> Path | None:
    """Return the folder of the archive that is read instead of the provider.

    Raises:
        UsageError: The archive does not have what the schema needs.
    """
    if folder is None:
        return None
    if schema == "raw":
        raise UsageError(
            "--schema raw needs the provider: an archive keeps typed records, not those that the provider sent",
            hint="use --schema native, or leave --from out",
        )
    from cdrctl.archive.places import place_of

    return place_of(folder)


def read_format(session: Session, form: str | None, path: str | None, schema: str, *, template: str | None) -> str:
    """Return the output format: the one that is named, else that of the file's ending, else the default.

    Raises:
        UsageError: There is no such format, or it cannot be used.
    """
    to_stdout = path in {None, "-"}
    if template is not None:
        if form is not None:
            raise UsageError("--template is a format of its own: -f does not apply", hint="leave -f out")
        return writers.TEMPLATE
    if form == writers.TEMPLATE:
        raise UsageError("-f template needs a template", hint="write it as --template '{start_time} {from_number}'")
    if form is None and path is not None and not to_stdout:
        form = writers.format_of(path)
    if form is None:
        form = "table" if to_stdout and session.process.stdout_is_terminal and schema != "raw" else "jsonl"
    return form


def check_format(form: str, schema: SchemaName, *, strict: bool, spreadsheet_safe: bool) -> None:
    """Refuse options that a format or a schema cannot have.

    Raises:
        UsageError: There is one.
    """
    if schema == "raw" and strict:
        raise UsageError("--strict does not apply to raw records, which have no columns", hint="use --schema native")
    if schema == "raw" and not writers.takes_raw(form):
        raise UsageError(f"raw records have no columns and cannot be written as {form}", hint="use -f jsonl or -f json")
    if spreadsheet_safe and form not in {"csv", "tsv"}:
        raise UsageError(f"--spreadsheet-safe is for csv and tsv, not for {form}", hint="use -f csv, or leave it out")


def read_selection(fields: str | None, where: str | None, sort: str | None, limit: int | None) -> Selection:
    """Return the records and fields that four options select.

    Raises:
        UsageError: One of them cannot be read.
    """
    return Selection(read_fields(fields), read_where(where), read_sort(sort), limit)


def read_fields(text: str | None) -> tuple[str, ...] | None:
    """Return the fields that --fields names; None for all.

    Raises:
        UsageError: It names none, or one twice.
    """
    if text is None or text.strip() == EVERY_FIELD:
        return None
    fields = [name.strip() for name in text.split(",") if name.strip()]
    if not fields:
        raise UsageError("--fields names no field", hint="write it as --fields a,b,c")
    if repeated := [name for name, times in Counter(fields).items() if times > 1]:
        raise UsageError(f"--fields names {repeated[0]!r} more than once", hint="name each field once")
    return tuple(fields)


def read_where(text: str | None) -> Condition | None:
    """Return the condition that --where states.

    Raises:
        UsageError: It cannot be read.
    """
    if text is None:
        return None
    from cdrctl.conditions.language import read_condition

    return read_condition(text)


def read_sort(text: str | None) -> tuple[Order, ...]:
    """Return the fields that --sort names.

    Raises:
        UsageError: It names none, or one twice.
    """
    if text is None:
        return ()
    from cdrctl import sorting

    return sorting.read_order(text)


def with_template_fields(selection: Selection, template: str, schema: SchemaName) -> Selection:
    """Return a selection of the fields that a template names.

    Raises:
        UsageError: The template cannot be read or names no field, or --fields names fields, too.
    """
    from cdrctl.writers.template import fields_of

    if selection.fields is not None:
        raise UsageError("--template names its own fields", hint="leave --fields out")
    named = tuple(fields_of(template))
    if schema == "raw":
        return replace(selection, raw_fields=named)
    if not named:
        raise UsageError("--template names no field", hint="write it as --template '{start_time} {from_number}'")
    return replace(selection, fields=named)


def read_header(form: str, *, wanted: bool | None) -> bool:
    """Return whether the first line names the columns.

    Raises:
        UsageError: The format has no such line.
    """
    if wanted is None:
        return form != writers.TEMPLATE
    if form in writers.FORMATS and form not in writers.HEADED:
        raise UsageError(
            f"{form} has no header", hint="--header and --no-header are for csv, tsv, table and --template"
        )
    return wanted


def read_times(which: str | None, form: str, schema: SchemaName) -> Literal["utc", "local"] | None:
    """Return how times are written; None for the default of the format.

    Raises:
        UsageError: --times is neither utc nor local, or the format cannot have local times.
    """
    if which is None:
        return None
    if which not in TIMES:
        raise UsageError(
            f"--times is utc or local, not {which!r}", hint=f"{did_you_mean(which, TIMES)}leave it out for utc"
        )
    if which == "local" or schema == "raw":
        writers.check_local_times(form, schema)
    return cast("Literal['utc', 'local']", which)
