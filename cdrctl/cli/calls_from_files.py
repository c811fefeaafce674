"""`cdrctl calls FILE…`: legs of files, or of standard input, joined into calls."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, BinaryIO

from msgspec.structs import replace

from cdrctl import windows
from cdrctl.calls.columns import CALL
from cdrctl.calls.files import LegFile, group_by_provider, open_file
from cdrctl.calls.legs import parts_of_leg
from cdrctl.calls.lines import LegDecoder
from cdrctl.calls.recognition import Recognized, check_provider
from cdrctl.calls.rows import Told
from cdrctl.cli.connecting import the_clock
from cdrctl.cli.exporting import conclude, counted
from cdrctl.cli.output_options import data, local_zone, render_options
from cdrctl.cli.run import Session
from cdrctl.conditions.language import fields_in
from cdrctl.errors import UsageError
from cdrctl.export.pipeline import write
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import Call, joins_of
from cdrctl.records.columns import is_text, reader_of
from cdrctl.records.events import Event, Gap, Note, Row
from cdrctl.records.parts import Part
from cdrctl.records.schemas import Schema
from cdrctl.windows import Window

if TYPE_CHECKING:
    from cdrctl.cli.calls import Joining
    from cdrctl.export.request import ExportRequest
    from cdrctl.export.rows import Log


def write_from_files(
    session: Session,
    request: ExportRequest,
    schema: Schema,
    paths: Sequence[str],
    provider: str | None,
    joining: Joining,
    started: float,
) -> None:
    """Write the calls that the legs in files make.

    Raises:
        UsageError: A file cannot be read, or its records are not legs of a known provider.
        IncompleteError: Lines cannot be read.
    """
    check_provider(provider)
    if len(set(paths)) < len(paths):
        raise UsageError("a file is named more than once", hint="name each file once")
    log, tally = session.reporter.log, Tally()
    if joining.calls_too and _consume_in_place(session, request, paths, joining, tally, started):
        return
    files = _open(session, paths, provider, joining)
    zone = local_zone(request, request.window.zone, "UTC unless --tz says otherwise", windowed=True)
    look = render_options(session, request, zone, "calls", None)
    pages = _rows(session, request, files, joining, tally)
    if joining.consume is not None:
        with closing(pages), counted(session, tally, dict, started):
            joining.consume(pages, lambda: bool(tally.gaps))
        conclude(tally, request)
        return
    with data(session, request.output) as out, closing(pages), counted(session, tally, dict, started):
        write(_limited(pages, request, tally, log), request, schema, tally, log, out, look)
    conclude(tally, request)


def _open(session: Session, paths: Sequence[str], provider: str | None, joining: Joining) -> list[LegFile]:
    return [
        open_file(path, provider, _stdin(session) if path == "-" else None, calls_too=joining.calls_too)
        for path in paths
    ]


def _consume_in_place(
    session: Session, request: ExportRequest, paths: Sequence[str], joining: Joining, tally: Tally, started: float
) -> bool:
    """Hand files of whole calls over to be read in place; return whether all files are that."""
    if joining.consume is None:
        return False
    import cdrctl.figures.engine  # noqa: F401 - before DuckDB, see there
    from cdrctl.figures.in_place import CallFiles, form_of
    from cdrctl.figures.where import in_sql

    now, condition = the_clock(session).now(), request.selection.condition
    zone = request.window.zone or windows.zone("UTC")
    where = "true" if condition is None else in_sql(condition, zone, now)
    if where is None:
        return False
    forms = [(path, form) for path in paths if (form := form_of(path)) is not None]
    if len(forms) < len(paths):
        return False
    files: list[LegFile] = []

    def pages() -> Iterator[Sequence[Row]]:
        files.extend(_open(session, paths, None, joining))
        yield from _rows(session, request, files, joining, tally)

    asked = _window(request, now)

    def count(number: int) -> None:
        tally.records = number
        if asked is not None:
            joining.cover(asked, None, None)

    window = None if asked is None else (asked.since, asked.until)
    with counted(session, tally, dict, started):
        fields = frozenset(() if condition is None else fields_in(condition))
        joining.consume(CallFiles(forms, window, count, pages, where, fields), lambda: bool(tally.gaps))
    conclude(tally, request)
    return True


def _stdin(session: Session) -> BinaryIO:
    """Return standard input as bytes."""
    stdin = session.process.stdin
    binary: BinaryIO | None = getattr(stdin, "buffer", None)
    return io.BytesIO(stdin.read().encode()) if binary is None else binary


def _rows(
    session: Session, request: ExportRequest, files: Sequence[LegFile], joining: Joining, tally: Tally
) -> Generator[Sequence[Row], None, None]:
    """Yield the wanted rows of all files, one provider after the other."""
    from cdrctl.cli.calls import wanted_calls, wanted_rows

    log, now = session.reporter.log, the_clock(session).now()
    asked = _window(request, now)
    if asked is not None:
        joining.cover(asked, None, None)
    for name, some in group_by_provider(files).items():
        told = Told(name, "", asked, None, joining.margin, joining.boxes, joining.queues)
        parts = _all_legs(session, request, list(_by_kind(some)))
        yield from wanted_rows(parts, told, request, tally, log, now, joining.keys)
    for one in files:
        if one.calls:
            yield from wanted_calls(rows_of_calls(one), asked, request, tally, log, now, joining.keys)
        if one.unread:
            gap = Gap(f"{len(one.unread)} lines of {one.name} are not records, the first is line {one.unread[0]}")
            tally.gaps.append(gap)
            log("warning", f"incomplete: {gap.what}")


def _all_legs(
    session: Session, request: ExportRequest, kinds: Sequence[tuple[Recognized, list[LegFile]]]
) -> Iterator[Sequence[Any]]:
    """Yield pages of all legs of a provider. Of records of one event, the one that tells more counts.

    Args:
        session: The running command.
        request: The request.
        kinds: The files of each call of the provider.
    """
    known = joins_of(kinds[0][0].provider.name) if kinds else {}
    keys = [known[kind.call.name].same for kind, _ in kinds]
    if len(kinds) < 2 or None in keys:
        for kind, group in kinds:
            yield from _legs(session, request, kind, group)
        return
    seen: Counter[str] = Counter()
    for kind, group in sorted(kinds, key=lambda one: -list(known).index(one[0].call.name)):
        key = known[kind.call.name].same
        assert key is not None  # noqa: S101 - see above
        ids: dict[str, bool] = {}  # of this call: whether the record counts
        mine: Counter[str] = Counter()
        for page in _legs(session, request, kind, group):
            wanted = []
            for leg in page:
                record_id = parts_of_leg(leg)[0][_ID]
                if record_id not in ids:
                    event = key(record_id)
                    ids[record_id] = seen[event] == 0
                    seen[event] -= not ids[record_id]
                    mine[event] += ids[record_id]
                if ids[record_id]:
                    wanted.append(leg)
            yield wanted
        seen += mine
        if not all(ids.values()):
            count = sum(not one for one in ids.values())
            log = session.reporter.log
            log(
                "note",
                f"{count} records of {kind.provider.title} {kind.call.name} are in the other files too, and count once",
            )


def rows_of_calls(file: LegFile) -> Iterator[Sequence[Row]]:
    """Yield the rows of a file of whole calls.

    Raises:
        UsageError: A value does not fit its column.
    """
    from cdrctl.figures.fitting import fitting

    read = [(column, reader_of(column)) for column in CALL]
    number = 0
    for page in file.pages({}):
        rows = []
        for record in page.records:
            number += 1
            row = []
            for column, to in read:
                try:
                    row.append(fitting(column, to, record.get(column.name)))
                except ValueError as error:
                    raise UsageError(
                        f"{file.name}, call {number}: {column.name}: {error}",
                        hint="correct it in the file, or write the calls again from their legs with cdrctl calls",
                    ) from None
            rows.append(row)
        yield rows


_ID = Part._fields.index("id")


def _window(request: ExportRequest, now: Any) -> Window | None:
    """Return the window on the start of the call; None for all calls."""
    if request.window.since is None and request.window.until is None:
        return None
    if request.window.since is None:
        raise UsageError("--until needs --since for calls of files", hint="give both, or neither for all calls")
    return request.window.read(None, None, now)


def _by_kind(files: Sequence[LegFile]) -> Iterator[tuple[Recognized, list[LegFile]]]:
    """Yield files of the same call and form together."""
    found: dict[tuple[str, bool], list[LegFile]] = {}
    for one in files:
        if one.kind is not None:
            found.setdefault((one.kind.call.name, one.kind.native), []).append(one)
    for some in found.values():
        kind = some[0].kind
        assert kind is not None  # noqa: S101 - see above
        yield kind, some


def _legs(
    session: Session, request: ExportRequest, kind: Recognized, files: Sequence[LegFile]
) -> Iterator[Sequence[Any]]:
    """Yield pages of all legs in files of one call; a leg that comes twice counts once."""
    from cdrctl.cli.calls import legs_schema

    log = session.reporter.log
    call = _native_call(kind.call) if kind.native else kind.call
    zone = str(request.window.zone or windows.zone("UTC"))
    context = {"timezone": zone} if any(column.key == "@timezone" for column in call.columns) else {}
    if context and not kind.native and request.window.zone is None:
        log("note", f"times of {kind.provider.title} are read as UTC; --tz names the zone of the account")
    schema = legs_schema(kind.provider, call, log, strict=request.strict)

    decoder = _decoder(kind, call)

    def events() -> Iterator[Event]:
        for one in files:
            yield from one.pages(context, decoder)

    legs = Tally()
    yield from rows(events(), replace(call, key_fields=None), schema, None, legs, log)
    if legs.duplicates:
        note = Note(f"{legs.duplicates} legs of {kind.provider.title} came more than once, and count once")
        log(note.level, note.text)


def _decoder(kind: Recognized, call: Call) -> LegDecoder | None:
    """Return the decoder of the legs of a call; None if they are read one by one."""
    shape = joins_of(kind.provider.name)[call.name].shape
    if shape is None or kind.call.stands_for_many:
        return None
    fields = {column.name: column.key for column in call.columns}
    return LegDecoder(call.columns, [fields[name] for name in shape.key], fields[shape.times[0]])


def _native_call(call: Call) -> Call:
    """Return a call whose records are those that cdrctl exported: column names and typed values, or text in CSV."""
    columns = tuple(
        replace(
            column, key=column.name, read=column.read if is_text(column) else None, read_in=None, null_words=frozenset()
        )
        for column in call.columns
    )
    return replace(call, columns=columns, identity=lambda record: _identity(call, record))


def _identity(call: Call, record: Any) -> str:
    values: dict[str, Any] = {column.name: record.get(column.name) for column in call.columns}
    found = call.common(values).get("record_id") if call.common is not None else None
    return str(found) if found else repr(sorted(record.items(), key=str))


def _limited(
    pages: Generator[Sequence[Row], None, None], request: ExportRequest, tally: Tally, log: Log
) -> Iterator[Sequence[Row]]:
    """Yield pages until the limit of the request is reached."""
    room = request.selection.stops_at
    seen = 0
    for page in pages:
        if room is None or seen + len(page) < room:
            seen += len(page)
            yield page
            continue
        yield page[: room - seen]
        tally.records = room
        log("note", f"stopped after {room} records, as --limit says; there may be more")
        return
