"""`cdrctl export`: the calls of several profiles in one stream, fetched side by side."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import typer

from cdrctl import windows, writers
from cdrctl.cli import failures
from cdrctl.cli.connecting import SANDBOX, Connected, connected, presently, the_clock
from cdrctl.cli.exporting import conclude, dry_run, fetched, own_options
from cdrctl.cli.options import SHARED, made, option, parameter
from cdrctl.cli.output_options import (
    COMMON_NAME,
    COMMON_SHOWN,
    colored,
    data,
    drift,
    endings,
    fields_of,
    local,
    output_format,
    say_aside,
    wants_local_times,
)
from cdrctl.cli.profile_selection import EXCEPT, TAG, Selection, selected
from cdrctl.cli.record_selection import Choice, choice, has_header
from cdrctl.cli.run import Session
from cdrctl.errors import CdrctlError, DriftError, IncompleteError, OutputError, UsageError
from cdrctl.export.availability import reachable
from cdrctl.export.fetching import default_of, is_recent
from cdrctl.export.identity import with_record_key
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import PROVIDERS, Call, Provider, load
from cdrctl.records.events import Note, Row
from cdrctl.records.schemas import KEY_COLUMN, Schema, common
from cdrctl.threads import none_left, started

if TYPE_CHECKING:
    from datetime import tzinfo

    from cdrctl.profiles.file import Profile

PATIENCE_SECONDS = 0.5
"""How long all who are no longer needed may take to end."""

POLL_SECONDS = 0.2
"""How long one wait for a page takes: a signal that another thread gets wakes nobody out of a longer one."""

PAGES_WAITING = 4
"""Pages that may wait for the writer: fetching goes on meanwhile, and memory stays small."""


TOGETHER_SHOWN = (*COMMON_SHOWN[:1], "provider", *COMMON_SHOWN[1:], "profile")


@dataclass(slots=True)
class Part:
    """One profile's part of the stream: how far it came, and what went wrong with it."""

    name: str
    provider: Provider | None
    written: Profile | None = None
    profile: Connected | None = None
    tally: Tally = field(default_factory=Tally)
    error: BaseException | None = None

    @property
    def title(self) -> str:
        """The profile as said in messages."""
        return f"{self.name} ({self.provider.name})" if self.provider else self.name


_Waiting = tuple[Part, Sequence[Row] | None]


def export_together(session: Session, given: dict[str, Any]) -> None:
    """Export the main call of several profiles as one stream of common CDRs."""
    started = time.monotonic()
    if given["schema"] != "common":
        raise UsageError("several providers have only the common schema in common", hint="leave --schema out")
    form = output_format(session, given)
    say_aside(session, given["output"])
    chosen, header = choice(given, fields_of(given, form, None, TOGETHER_SHOWN)), has_header(given, form)
    local_times = wants_local_times(given, form)
    asked = common((), dict, chosen.needed, lambda _text: None, provider="", profile="")
    database = writers.is_database(form)
    chosen.check(asked, the_clock(session).now())  # what is no field is refused first
    zone = windows.zone(given["tz"]) if given["tz"] else None
    windows.window(given["since"], given["until"], zone=zone or windows.zone("UTC"), now=the_clock(session).now())
    selection = Selection(given["profile"], given["all"], given["tag"] or (), given["excluded"] or ())
    parts = selected_parts(session, selection)
    main_calls = [(part.provider, part.provider.calls[0]) for part in parts if part.provider]
    chosen.note_never_given(main_calls, session.reporter.log)
    if given["dry_run"]:
        _rehearse(session, parts, given, zone)
        return
    look = writers.RenderOptions(
        width=session.process.width,
        color=form == "table" and colored(session, given["output"]),
        shown=TOGETHER_SHOWN,
        chosen=chosen.fields,
        for_spreadsheets=given["spreadsheet_safe"],
        header=header,
        template=given["template"] or "",
        **local(given, form, zone, "each profile's zone, or UTC", windowed=True),
        local_times=local_times,
        **endings(None, chosen.fields),
        name=COMMON_NAME,
        warn=lambda text: session.reporter.log("warning", text),
    )
    if database:
        asked = Schema((KEY_COLUMN, *(asked.columns or ())), asked.rows)
    with ExitStack() as opened:
        for part in parts:  # one after the other: a command that gives a secret may ask its owner something
            connect_part(session, part, opened)
        with data(session, given, form) as out:
            whole = Tally()
            pages = _counted(_pages(session, parts, given, chosen, zone, database=database), whole)
            pages = _unless_all_failed(session, parts, pages)
            arranged = chosen.arranged(pages, asked, whole, session.reporter.log)
            written = chosen.written(asked)
            if local_times:
                arranged = writers.localized(form, arranged, written, look.zone)
            writers.load(form)(written, arranged, out, look)
        requests = sum(part.profile.client.requests for part in parts if part.profile and part.profile.client)
    _report(session, parts, len(parts))
    left_out = sum(part.tally.left_out for part in parts)
    session.reporter.summary(
        {
            "records": whole.records,
            **({"left_out_by_where": left_out} if left_out else {}),
            "pages": sum(part.tally.pages for part in parts),
            "requests": requests,
            "duplicates_dropped": sum(part.tally.duplicates for part in parts),
            "seconds": round(time.monotonic() - started, 1),
        }
    )
    _raise_failures(parts, given)
    whole.gaps = [gap for part in parts for gap in part.tally.gaps]
    conclude(whole, given)


def selected_parts(session: Session, selection: Selection) -> list[Part]:
    """Return a part for every selected profile; of the sandbox, one for each provider.

    Raises:
        UsageError: No profile is selected.
        CdrctlError: A profile that was named cannot be used.
    """
    parts: list[Part] = []
    for name, profile in selected(session, selection):
        if profile is None:
            parts.extend(Part(SANDBOX, load(provider)) for provider in PROVIDERS)
        elif isinstance(profile, CdrctlError):
            parts.append(Part(name, None, error=profile))
        else:
            parts.append(Part(name, load(profile.provider), profile))
    return parts


def _rehearse(session: Session, parts: Sequence[Part], given: Mapping[str, Any], zone: tzinfo | None) -> None:
    """Print the requests of all parts, and raise at the end, as an export does, where a part would fail.

    Raises:
        CdrctlError: A profile cannot be used.
    """
    for part in parts:
        if part.provider is None:
            continue
        call, named = part.provider.calls[0], {**given, "profile": part.name}
        try:
            dry_run(session, part.provider, call, named, zone, usual_options(session, call), part.written)
        except OutputError:
            raise
        except CdrctlError as error:
            part.error = error
    _report(session, [part for part in parts if part.error is not None], len(parts))
    _raise_failures(parts, given)


def connect_part(session: Session, part: Part, opened: ExitStack) -> None:
    """Make a part's profile ready to be asked; what goes wrong is kept in the part."""
    if part.provider is None:
        return
    try:
        part.profile = opened.enter_context(connected(session, part.provider, part.name, part.written))
    except CdrctlError as error:
        part.error = error


def _pages(
    session: Session,
    parts: Sequence[Part],
    given: Mapping[str, Any],
    chosen: Choice,
    zone: Any,
    *,
    database: bool,
) -> Iterator[Sequence[Row]]:
    """Yield the pages of all parts as they come, until all have ended or the limit is reached."""
    waiting: queue.Queue[_Waiting] = queue.Queue(PAGES_WAITING)
    enough = threading.Event()
    running = [part for part in parts if part.profile is not None]
    _say_what_may_be_missing(session, running, given, zone)

    def hand_over(part: Part, page: Sequence[Row] | None) -> bool:
        while not enough.is_set():
            with suppress(queue.Full):
                waiting.put((part, page), timeout=0.2)
                return True
        return False

    def fetch(part: Part) -> None:
        try:
            with closing(_rows_of(session, part, given, chosen, zone, database=database)) as pages:
                for page in pages:
                    if not hand_over(part, page):
                        return
        except BaseException as error:  # noqa: BLE001 - said by the thread that everyone hears
            # Where there is enough nobody waits for it any more, and its client is being closed.
            part.error = None if enough.is_set() else error
        hand_over(part, None)

    threads = started(threading.Thread(target=fetch, args=(part,), daemon=True) for part in running)
    for part in running[len(threads) :]:
        part.error = none_left()
    left, written = len(threads), 0
    room = chosen.stops_at
    try:
        while left:
            part, page = _next(waiting)
            if page is None:
                left -= 1
                if isinstance(part.error, DriftError) and not given["allow_partial"]:
                    raise DriftError(f"{part.title}: {part.error.message}", hint=part.error.hint)
                continue
            yield page if room is None else page[:room]
            written += len(page)
            session.reporter.log(
                "progress", f"{written} records, {len(running) - left} of {len(running)} profiles done"
            )
            if room is not None:
                room -= len(page[:room])
                if room <= 0:
                    session.reporter.log("note", f"stopped after {given['limit']} records; there may be more")
                    return
    finally:
        enough.set()
        patience = time.monotonic() + PATIENCE_SECONDS
        for thread in threads:  # whoever is still being answered is not waited for
            thread.join(max(0.0, patience - time.monotonic()))


def _counted(pages: Iterator[Sequence[Row]], whole: Tally) -> Iterator[Sequence[Row]]:
    """Yield pages, and count their records."""
    for page in pages:
        whole.records += len(page)
        yield page


def _unless_all_failed(
    session: Session, parts: Sequence[Part], pages: Iterator[Sequence[Row]]
) -> Iterator[Sequence[Row]]:
    """Yield the pages and raise, after the last one, where all parts have failed: what was there before stays."""
    yield from pages
    if all(part.error for part in parts):
        _report(session, parts, len(parts))
        raise failures.failure(_failed(parts), len(parts))


def _next(waiting: queue.Queue[_Waiting]) -> _Waiting:
    """Return the next page that comes, and whose it is."""
    while True:
        with suppress(queue.Empty):
            return waiting.get(timeout=POLL_SECONDS)


def _say_what_may_be_missing(session: Session, running: Sequence[Part], given: Mapping[str, Any], zone: Any) -> None:
    """Say in one line for all profiles that calls may be missing at the end of the window."""
    now = the_clock(session).now()
    found: list[tuple[timedelta, str]] = []
    for part in running:
        assert part.provider is not None  # noqa: S101 - who is running has both
        call, own = part.provider.calls[0], part.profile and part.profile.settings and part.profile.settings.timezone
        with suppress(UsageError):  # which is raised by the part itself
            since = given["since"] or call.timing.default_since
            asked = windows.window(since, given["until"], zone=zone or windows.zone(own or "UTC"), now=now)
            _, rest = reachable(asked, call.timing.lag, now, part.provider.title, cut=call.timing.refuses_newer)
            found += [(call.timing.lag, piece.text) for piece in rest if isinstance(piece, Note) and is_recent(piece)]
    if found and given["limit"] is None:
        session.reporter.log("note", max(found)[1])


def _rows_of(
    session: Session,
    part: Part,
    given: Mapping[str, Any],
    chosen: Choice,
    zone: Any,
    *,
    database: bool,
) -> Generator[Sequence[Row], None, None]:
    provider, profile = part.provider, part.profile
    assert provider is not None  # noqa: S101 - who is running has both
    assert profile is not None  # noqa: S101
    call = provider.calls[0]
    assert call.common is not None  # noqa: S101 - a provider's main call has calls in it

    def log(level: str, text: str) -> None:
        if level != "progress":
            session.reporter.log(level, f"{part.title}: {text}")

    profile = profile.with_log(log)
    zone = zone or windows.zone((profile.settings and profile.settings.timezone) or "UTC")
    window, pieces = fetched(session, provider, call, profile, given, zone, usual_options(session, call), told=True)
    schema = common(
        call.columns,
        call.common,
        chosen.needed,
        drift(session, given, f"{provider.name} {call.name}") if given["strict"] else lambda text: log("warning", text),
        provider=provider.name,
        profile=profile.name,
        known=call.expected,
    )
    if database:
        schema = with_record_key(schema, provider, call, profile.name)
    keep = chosen.keep(schema, zone=zone, now=the_clock(session).now(), warn=lambda text: log("warning", text))
    present = presently(session, profile)
    yield from rows(  # type: ignore[misc]
        pieces, call, schema, window, part.tally, log, chosen.stops_at, keep=keep, present=present
    )


def usual_options(session: Session, call: Call) -> dict[str, Any]:
    """Return a call's own options as its fetcher wants them when none is given."""
    return own_options(session, call, {described.name: default_of(described) for described in call.options})


def _report(session: Session, parts: Sequence[Part], total: int) -> None:
    """Say one line of result for each profile, and of each that failed its cause and next step."""
    for part in parts:
        if part.error is None:
            gaps = f", {len(part.tally.gaps)} gaps" if part.tally.gaps else ""
            duplicates = f"{part.tally.duplicates} duplicates dropped"
            session.reporter.log(
                "result", f"{part.title}: {part.tally.records} records, {part.tally.pages} pages, {duplicates}{gaps}"
            )
    failures.show(session.reporter, _failed(parts), total)


def _failed(parts: Sequence[Part]) -> list[tuple[str, BaseException]]:
    return [(part.title, part.error) for part in parts if part.error is not None]


def _raise_failures(parts: Sequence[Part], given: Mapping[str, Any]) -> None:
    """Raise the error of the run where a profile failed; --allow-partial accepts what is merely incomplete.

    Raises:
        CdrctlError: A profile failed.
    """
    if failed := _failed(parts):
        error = failures.failure(failed, len(parts), gaps=any(part.tally.gaps for part in parts))
        if not (given["allow_partial"] and getattr(error, "exit_code", None) == IncompleteError.exit_code):
            raise error


commands = typer.Typer(rich_markup_mode=None)
commands.command(
    "export",
    help="Export the calls of several profiles as one stream of common CDRs.",
    epilog="cdrctl export -p sandbox --since yesterday --until today -o calls.csv\n"
    "cdrctl export -p sandbox --since 24h | jq -r .outcome | sort | uniq -c",
)(
    made(
        [
            parameter(
                "all", bool, option("--all", about="Every profile that is configured.", panel="Profile"), default=False
            ),
            parameter(
                "profile",
                list[str],
                option("-p", "--profile", about="This profile; may be repeated.", metavar="NAME", panel="Profile"),
                [],
            ),
            parameter("tag", list[str], TAG, []),
            parameter("excluded", list[str], EXCEPT, []),
            *(parameter(name, *spec) for name, spec in SHARED.items() if name not in {"profile", "schema", "jobs"}),
            parameter(
                "schema",
                str,
                option("--schema", about="Only common, which is the default.", metavar="SCHEMA", panel="Output"),
                "common",
            ),
        ],
        "Export the calls of several profiles as one stream of common CDRs.",
        export_together,
    )
)
