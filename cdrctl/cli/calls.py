"""`cdrctl calls`: legs of one or several profiles, of an archive or of files, joined into one row per call."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from cdrctl import windows
from cdrctl.archive.places import place_of
from cdrctl.calls.columns import CALL
from cdrctl.cli.commands import session_command
from cdrctl.cli.connecting import open_call, the_clock
from cdrctl.cli.export import (
    Part,
    Together,
    dry_run_together,
    raise_failures,
    report_parts,
    selected_parts,
    summarize_parts,
    usual_options,
    write_together,
)
from cdrctl.cli.exporting import conclude
from cdrctl.cli.options import SHARED, Argument, option
from cdrctl.cli.output_options import drift, prepare_messages
from cdrctl.cli.profile_selection import ALL, EXCEPT, TAG, Selection
from cdrctl.cli.request import read_request
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import UsageError
from cdrctl.export.request import ExportRequest, TypedWindow
from cdrctl.export.selection import row_filter
from cdrctl.fetchers import Call, Provider, joins_of
from cdrctl.records.events import Gap, Row
from cdrctl.records.readers import iso_instant
from cdrctl.records.schemas import KEY_COLUMN, Schema, no_field
from cdrctl.windows import Window, rfc3339

if TYPE_CHECKING:
    from cdrctl.calls.rows import ReplacedKeys, Told
    from cdrctl.cli.from_archive import Reading
    from cdrctl.cli.together_from_archive import ArchivedPart
    from cdrctl.export.rows import Log, Tally
    from cdrctl.profiles.file import Profile

SHOWN = (
    *("start_time", "direction", "from_number", "to_number", "outcome", "talk_seconds", "path", "answered_by", "queue"),
    *("wait_seconds", "transfers", "legs", "user", "cost", "currency", "complete", "profile", "provider"),
)
NAME = "calls"

_MARGIN = option(
    "--margin",
    about="Also read the legs within DURATION before and after the window, so that calls at its edges are whole. "
    "Default: 6h.",
    default="6h",
    metavar="DURATION",
    panel="Window",
)
_BOX = option(
    "--voicemail-number",
    name="boxes",
    about="This number is a voicemail box, where the provider does not mark boxes (Kazoo, PortSIP); may be "
    "repeated. Adds to the profile's voicemail_numbers.",
    metavar="NUMBER",
    panel="Which records",
    repeat=True,
)
_QUEUE = option(
    "--queue",
    name="queues",
    about="This name or number is a queue, where the provider does not distinguish queues from other groups (CallGear, "
    "PortSIP); may be repeated. Adds to the profile's queues.",
    metavar="NAME",
    panel="Which records",
    repeat=True,
)


def _files(kinds: str) -> Argument:
    """Return the argument that names files of some kinds of records."""
    about = f"Files of {kinds}: JSON Lines, JSON, CSV, TSV or Parquet, also with .gz; - is standard input."
    return Argument("file", f"{about} Default: read profiles or an archive.", metavar="FILE", repeat=True)


_FROM_WHERE = (
    option(
        "--provider",
        about="Provider of the legs in files. Default: recognised by their fields.",
        metavar="PROVIDER",
        panel="Which records",
    ),
    ALL,
    option("-p", "--profile", about="Profile to use; may be repeated.", metavar="NAME", panel="Profile", repeat=True),
    TAG,
    EXCEPT,
)
"""The options that choose where calls come from."""

LEGS_FROM = (_files("raw or native legs"), *_FROM_WHERE)
"""The parameters of commands that read legs."""

CALLS_FROM = (_files("calls (from cdrctl calls), or of raw or native legs"), *_FROM_WHERE)
"""The parameters of commands that read legs or whole calls."""

JOINING = (_MARGIN, _BOX, _QUEUE)


class Joining(Struct, frozen=True):
    """How legs are read and joined.

    Args:
        margin: How far around the window legs are read.
        boxes: Numbers of voicemail boxes.
        queues: Names or numbers of queues.
        cover: Receives the window of a profile, its gaps and its time zone; no gaps for the window of files.
        consume: Receives the pages of calls, and a function that tells afterwards whether a source failed; None to
            write the pages.
        calls_too: Files may have whole calls.
        keys: The keys of the calls in a database; None for other formats.
    """

    margin: timedelta
    boxes: frozenset[str]
    queues: frozenset[str] = frozenset()
    cover: Callable[[Window, Sequence[Gap] | None, tzinfo | None], None] = lambda _window, _gaps, _zone: None
    consume: Callable[[Iterable[Sequence[Row]], Callable[[], bool]], None] | None = None
    calls_too: bool = False
    keys: ReplacedKeys | None = None


def calls(session: Session, given: Mapping[str, Any]) -> None:
    """Write one row for each call."""
    joining = read_joining(given)
    request = read_request(session, {**given, "schema": "common"}, None, given["output"], SHOWN)
    prepare_messages(session, request.output.path)
    run_calls(session, given, request, joining)


def read_joining(given: Mapping[str, Any]) -> Joining:
    """Return how legs are joined, from the options."""
    return Joining(
        windows.duration(given["margin"], "--margin"), frozenset(given["boxes"] or ()), frozenset(given["queues"] or ())
    )


def run_calls(session: Session, given: Mapping[str, Any], request: ExportRequest, joining: Joining) -> None:
    """Write the calls of files, of an archive, or of profiles, or hand them to what consumes them.

    Args:
        session: The running command.
        given: The options that choose the source.
        request: The request.
        joining: How legs are joined, and what becomes of the calls.
    """
    started = time.monotonic()
    if request.output.record_keys:
        from cdrctl.calls.rows import ReplacedKeys

        joining = replace(joining, keys=ReplacedKeys())
    schema = schema_of(request, joining.keys)
    now = the_clock(session).now()
    request.selection.check(Schema(CALL, lambda _page: []), now)
    request.window.read(None, None, now)
    selection = Selection(given["profile"], given["all"], given["tag"] or (), given["excluded"] or ())
    if given["file"]:
        _refuse_profiles(given)
        from cdrctl.cli.calls_from_files import write_from_files

        write_from_files(session, request, schema, given["file"], given["provider"], joining, started)
        return
    if given["source"] is not None:
        from cdrctl.cli.together_from_archive import TogetherFromArchive, write_from_archive

        configured = functools.cache(lambda: read_profiles(session)[0])
        read = functools.partial(_read_archived_part, joining=joining, configured=configured)
        archived = TogetherFromArchive(NAME, lambda provider: list(joins_of(provider.name)), read, joining.consume)
        write_from_archive(session, request, place_of(given["source"]), selection, schema, started, archived)
        return
    parts = selected_parts(session, selection)
    if request.dry_run:
        dry_run_together(session, parts, request, functools.partial(_legs_request, request, joining, now))
        return
    whole = Together(NAME, call_of, functools.partial(_read_part, joining=joining), joining.consume)
    tally = _tally()
    requests = write_together(session, parts, request, schema, tally, whole)
    report_parts(session, parts, len(parts))
    summarize_parts(session, parts, tally, requests, started)
    raise_failures(parts, request)
    tally.gaps = [gap for part in parts for gap in part.tally.gaps]
    conclude(tally, request)


def _refuse_profiles(given: Mapping[str, Any]) -> None:
    """Refuse options that choose profiles or an archive beside files.

    Raises:
        UsageError: There is one.
    """
    for name, label in (("profile", "-p"), ("all", "--all"), ("tag", "--tag"), ("source", "--from")):
        if given[name]:
            raise UsageError(f"{label} does not apply to files", hint=f"leave {label} out, or name no file")


def _tally() -> Tally:
    from cdrctl.export.rows import Tally

    return Tally()


def call_of(provider: Provider) -> Call:
    """Return the call of a provider whose records are joined."""
    name = next(iter(joins_of(provider.name)))
    return next(one for one in provider.calls if one.name == name)


def schema_of(request: ExportRequest, keys: ReplacedKeys | None) -> Schema:
    """Return the schema of the rows that are written or examined; with their keys, if a database needs them.

    Raises:
        UsageError: A field is not a column of a call.
    """
    columns = tuple(CALL[at] for at in _positions(request))
    if keys is None:
        return Schema(columns, lambda _page: [])
    return Schema((KEY_COLUMN, *columns), lambda _page: [], replaced_keys=keys.take)


def _positions(request: ExportRequest) -> list[int]:
    at = {column.name: position for position, column in enumerate(CALL)}
    needed = request.selection.needed
    for name in needed or ():
        if name not in at:
            raise no_field(name, at)
    return list(range(len(CALL))) if needed is None else [at[name] for name in needed]


def legs_schema(provider: Provider, call: Call, log: Log, *, strict: bool) -> Schema:
    """Return the schema that makes parts of calls of the records of a call; what does not fit it is logged."""
    from cdrctl.calls.mapping import leg_schema

    assert call.common is not None  # noqa: S101 - legs are CDRs
    warn = drift(log, f"{provider.name} {call.name}", strict=strict)
    return leg_schema(call.columns, call.common, joins_of(provider.name)[call.name], warn, call.expected)


def _read_part(
    session: Session, part: Part, request: ExportRequest, *, joining: Joining
) -> Generator[Sequence[Row], None, None]:
    """Yield the rows of the calls of one profile."""
    from cdrctl.calls.rows import Told
    from cdrctl.export.pipeline import read
    from cdrctl.export.rows import Tally

    provider, profile = part.provider, part.profile
    assert provider is not None  # noqa: S101 - a part that runs has both
    assert profile is not None  # noqa: S101
    call = call_of(provider)

    def log(level: str, text: str) -> None:
        if level != "progress":
            session.reporter.log(level, f"{part.title}: {text}")

    profile = profile.with_log(log)
    now = the_clock(session).now()
    asked = request.window.read(call.timing.default_since, profile.settings, now)
    window = around(asked, joining.margin, call, now)
    legs = ExportRequest(window=window, jobs=request.jobs, strict=request.strict, live=False)
    schema = legs_schema(provider, call, log, strict=request.strict)
    opened = open_call(session, provider, call, profile, legs, usual_options(session, call), log)
    tally = Tally()
    known = legs.window.read(None, None, now)
    assert profile.settings is not None  # noqa: S101 - calls of files have no profile
    boxes, queues = profile.settings.voicemail_numbers, profile.settings.queues
    marks = {"boxes": joining.boxes.union(boxes), "queues": joining.queues.union(queues)}
    told = Told(provider.name, part.name, asked, known, joining.margin, **marks, now=now)
    pages = read(opened, legs, schema, tally, recent_noted=True)
    with closing(pages):
        yield from wanted_rows(pages, told, request, part.tally, log, now, joining.keys)
    part.tally.pages, part.tally.duplicates = tally.pages, tally.duplicates
    part.tally.gaps += tally.gaps
    zone = profile.settings.timezone
    joining.cover(asked, part.tally.gaps, None if zone is None else windows.zone(zone))


def _read_archived_part(
    session: Session,
    part: ArchivedPart,
    reading: Reading,
    log: Log,
    *,
    joining: Joining,
    configured: Callable[[], Mapping[str, Profile]],
) -> Generator[Sequence[Row], None, None]:
    """Yield the rows of the calls of one profile in an archive."""
    from cdrctl.archive.calls_store import Marks
    from cdrctl.archive.calls_window import Stretch, legs_around, stored_pages, stretches
    from cdrctl.calls.joining import REACH
    from cdrctl.calls.rows import Told
    from cdrctl.export.rows import Tally

    provider, call = reading.provider, reading.source.records
    best = next(iter(joins_of(provider.name)))
    if call.name != best:
        log("note", f"the archive has {call.name} and no {best}, so phones that rang and transfers may be missing")
    asked, margin = reading.window(log), joining.margin
    begins = reading.source.kept.begins
    boxes, queues = _archived_marks(session, part.name, provider, configured)
    marks = Marks(joining.boxes | boxes, joining.queues | queues)
    schema = legs_schema(provider, call, log, strict=reading.request.strict)
    tally = Tally()
    usual = margin == REACH and not reading.request.strict
    for stretch in stretches(reading.source, asked, marks) if usual else [Stretch(asked)]:
        if stretch.stored is not None:
            pages = stored_pages(stretch, part.name)
            yield from wanted_calls(pages, None, reading.request, part.tally, log, reading.now, joining.keys)
            continue
        around_it = legs_around(stretch.window, asked, margin)
        since = min(stretch.window.since, max(around_it.since, begins))  # the archive has nothing before
        known = Window(since, around_it.until)
        legs = _with_window(reading, known)
        told = Told(provider.name, part.name, stretch.window, known, margin, *marks, now=reading.now)
        with closing(legs.rows(schema, tally, log, the_clock(session), noted=True)) as joined:
            yield from wanted_rows(joined, told, reading.request, part.tally, log, reading.now, joining.keys)
    part.tally.gaps += tally.gaps
    joining.cover(asked, part.tally.gaps, reading.request.window.zone)


def _with_window(reading: Reading, window: Window) -> Reading:
    """Return the reading of the legs of a window."""
    typed = TypedWindow(rfc3339(window.since), rfc3339(window.until), windows.zone("UTC"))
    return replace(reading, request=ExportRequest(window=typed, strict=reading.request.strict))


def _archived_marks(
    session: Session, name: str, provider: Provider, configured: Callable[[], Mapping[str, Profile]]
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the boxes and the queues that the profile of an archived call names; none if it is of another provider."""
    from cdrctl.profiles.choosing import words_of

    profile = configured().get(name)
    if profile is not None and profile.provider != provider.name:
        return frozenset(), frozenset()
    boxes, queues = (words_of(name, profile, one, session.process.environ) for one in ("voicemail_numbers", "queues"))
    return boxes, queues


def _legs_request(
    request: ExportRequest, joining: Joining, now: datetime, provider: Provider
) -> tuple[Call, ExportRequest]:
    """Return the call whose records are joined, and the request for them, for a dry run."""
    call = call_of(provider)
    asked = request.window.read(call.timing.default_since, None, now)
    return call, ExportRequest(window=around(asked, joining.margin, call, now), dry_run=True)


def around(window: Window, margin: timedelta, call: Call, now: datetime) -> TypedWindow:
    """Return the window of the legs: with a margin on both sides, as far as the provider can have it."""
    since = window.since - margin
    if call.timing.retention is not None:
        since = min(window.since, max(since, now - call.timing.retention + timedelta(minutes=1)))
    until = window.until + margin
    return TypedWindow(rfc3339(since), None if until >= now else rfc3339(until), windows.zone("UTC"))


def wanted_rows(
    pages: Iterable[Sequence[Any]],
    told: Told,
    request: ExportRequest,
    tally: Tally,
    log: Log,
    now: datetime,
    keys: ReplacedKeys | None,
) -> Generator[Sequence[Row], None, None]:
    """Yield the wanted rows of calls, and count them; calls that may lack legs are a gap."""
    from cdrctl.calls.joining import MOST_LEGS, SHARED_ID
    from cdrctl.calls.rows import EDGE, call_rows

    at_edge = shared = 0

    def counted() -> Generator[Sequence[Row], None, None]:
        nonlocal at_edge, shared
        for page in call_rows(pages, told):
            at_edge += page.columns[_WHY].count(EDGE)
            shared += page.columns[_WHY].count(SHARED_ID)
            yield page

    yield from wanted_calls(counted(), None, request, tally, log, now, keys)
    gaps = []
    if at_edge:
        gaps.append(Gap(f"{at_edge} calls at the edge of what can be read may lack legs", "shorten the window"))
    if shared:
        what = f"{shared} calls were not joined: more than {MOST_LEGS} legs have their id"
        gaps.append(Gap(what, "why is shared_id in their rows; report the id to the provider"))
    for gap in gaps:
        tally.gaps.append(gap)
        log("warning", f"incomplete: {gap.what} ({gap.hint})")


def wanted_calls(
    pages: Iterable[Sequence[Row]],
    window: Window | None,
    request: ExportRequest,
    tally: Tally,
    log: Log,
    now: datetime,
    keys: ReplacedKeys | None,
) -> Generator[Sequence[Row], None, None]:
    """Yield the wanted rows of calls that are whole already, and count them."""
    from cdrctl.calls.rows import selected_rows

    zone = request.window.zone or windows.zone("UTC")
    whole = Schema(CALL, lambda _page: [])
    keep: Any = row_filter(
        request.selection, whole, zone=zone, now=now, warn=lambda text: log("warning", text), unseen=set()
    )
    inside = pages if window is None else ([row for row in page if _is_in(row, window)] for page in pages)
    people = request.output.format == "table"
    for page in selected_rows(inside, _positions(request), keep, keys=keys, people=people):
        tally.records += len(page)
        yield page


def _is_in(row: Row, window: Window) -> bool:
    """Return whether a call began in a window; one whose start cannot be read may have."""
    try:
        return window.holds(iso_instant(row[_START]))
    except ValueError:
        return True


_START = next(at for at, column in enumerate(CALL) if column.name == "start_time")
_WHY = next(at for at, column in enumerate(CALL) if column.name == "why")


COMMANDS = {
    "calls": session_command(
        "calls",
        "Join legs into whole calls, one row for each: from profiles, an archive or files.",
        calls,
        (*LEGS_FROM, *(one for name, one in SHARED.items() if name not in {"profile", "schema"}), *JOINING),
        (
            "cdrctl calls -p sandbox --since yesterday --until today -o calls.csv",
            "cdrctl calls -p sandbox --since 24h | jq -r .outcome | sort | uniq -c",
        ),
    )
}
