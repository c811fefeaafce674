"""`cdrctl export`: the calls of several profiles as one stream of common CDRs, fetched in parallel."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from cdrctl.cli import failures
from cdrctl.cli.commands import session_command
from cdrctl.cli.connecting import SANDBOX, Connected, connected, open_call, the_clock
from cdrctl.cli.exporting import conclude, dry_run, note_never_given, own_options
from cdrctl.cli.options import SHARED, option
from cdrctl.cli.output_options import (
    COMMON_NAME,
    COMMON_SHOWN,
    data,
    drift,
    local_zone,
    prepare_messages,
    render_options,
)
from cdrctl.cli.profile_selection import ALL, EXCEPT, TAG, Selection, select_profiles
from cdrctl.cli.request import read_request
from cdrctl.cli.run import Session
from cdrctl.errors import CdrctlError, DriftError, IncompleteError, OutputError, UsageError
from cdrctl.export.availability import is_recent, reachable
from cdrctl.export.pipeline import read, schema_of, write
from cdrctl.export.request import ExportRequest
from cdrctl.export.rows import Tally
from cdrctl.export.selection import Page
from cdrctl.fetchers import PROVIDERS, Call, Provider, load
from cdrctl.fetchers.options import default_options
from cdrctl.records.events import Note
from cdrctl.records.schemas import KEY_COLUMN, Schema, common
from cdrctl.threads import merge

if TYPE_CHECKING:
    from cdrctl.profiles.file import Profile

PAGES_AHEAD = 4
"""Pages that may wait for the writer: fetching goes on meanwhile, and memory stays small."""

TOGETHER_SHOWN = (*COMMON_SHOWN[:1], "provider", *COMMON_SHOWN[1:], "profile")


class Part(Struct):
    """One profile of several: how far its export or sync is, and what went wrong with it.

    Args:
        name: The name of the profile.
        provider: Its provider; None if the profile names none that exists.
        written: The profile as the configuration has it; None for the sandbox.
        profile: The profile, ready for requests.
        tally: What has been done so far.
        error: Why it failed.
        ended: Whether no more records come of it.
        requests_elsewhere: How many requests other machines sent for it.
    """

    name: str
    provider: Provider | None
    written: Profile | None = None
    profile: Connected | None = None
    tally: Tally = field(default_factory=Tally)
    error: BaseException | None = None
    ended: bool = False
    requests_elsewhere: int = 0

    @property
    def title(self) -> str:
        """The profile's name in messages."""
        return f"{self.name} ({self.provider.name})" if self.provider else self.name


class Together(Struct, frozen=True):
    """What is written of several profiles.

    Args:
        name: The name of the table.
        call_of: Returns the call of a provider whose records are read.
        read: Yields the rows of one part.
        consume: Receives the pages of all parts, and a function that tells afterwards whether a part failed; None to
            write the pages.
    """

    name: str
    call_of: Callable[[Provider], Call]
    read: Callable[[Session, Part, ExportRequest], Generator[Page, None, None]]
    consume: Callable[[Iterable[Page], Callable[[], bool]], None] | None = None


def export_together(session: Session, given: Mapping[str, Any]) -> None:
    """Export the main call of several profiles as one stream of common CDRs."""
    started = time.monotonic()
    if given["source"] is not None:
        from cdrctl.cli.from_archive import refuse_provider_options

        refuse_provider_options(session, None, {})
    if given["schema"] != "common":
        raise UsageError(
            "cdrctl export writes only --schema common, which all providers have", hint="leave --schema out"
        )
    request = read_request(session, given, None, given["output"], TOGETHER_SHOWN)
    prepare_messages(session, request.output.path)
    schema = _schema(request)
    now = the_clock(session).now()
    request.selection.check(schema, now)  # what cannot be done is refused before anything is requested
    request.window.read(None, None, now)
    selection = Selection(given["profile"], given["all"], given["tag"] or (), given["excluded"] or ())
    if request.archive is not None:
        from cdrctl.cli.together_from_archive import export_together_from_archive

        export_together_from_archive(session, request, request.archive, selection, schema, started)
        return
    parts = selected_parts(session, selection)
    note_never_given(session, request, [(part.provider, part.provider.calls[0]) for part in parts if part.provider])
    if request.dry_run:
        dry_run_together(session, parts, request, lambda provider: (_main_call(provider), request))
        return
    whole = Tally()
    requests = write_together(session, parts, request, schema, whole, Together(COMMON_NAME, _main_call, _read_part))
    report_parts(session, parts, len(parts))
    summarize_parts(session, parts, whole, requests, started)
    raise_failures(parts, request)
    whole.gaps = [gap for part in parts for gap in part.tally.gaps]
    conclude(whole, request)


def _main_call(provider: Provider) -> Call:
    return provider.calls[0]


def _schema(request: ExportRequest) -> Schema:
    """Return the schema that the records of all profiles have.

    Raises:
        UsageError: A field is not a column of the common CDR.
    """
    schema = common((), dict, request.selection.needed, lambda _text: None, provider="", profile="")
    return Schema((KEY_COLUMN, *(schema.columns or ())), schema.rows) if request.output.record_keys else schema


def write_together(
    session: Session, parts: Sequence[Part], request: ExportRequest, schema: Schema, whole: Tally, kind: Together
) -> int:
    """Write the rows of all parts, and return the number of requests."""
    zone = local_zone(request, request.window.zone, "each profile's zone, or UTC", windowed=True)
    look = render_options(session, request, zone, kind.name, None)
    with ExitStack() as opened:
        for part in parts:  # not in parallel: a command that prints a secret may ask its owner something
            connect_part(session, part, opened)
        merged = _unless_all_failed(session, parts, _merged_pages(session, parts, request, whole, kind))
        if kind.consume is not None:
            with closing(merged):
                kind.consume(merged, lambda: any(part.error is not None for part in parts))
        else:
            with data(session, request.output) as out, closing(merged) as pages:  # threads end before their clients
                write(pages, request, schema, whole, session.reporter.log, out, look)
        return sum(part.profile.client.requests for part in parts if part.profile and part.profile.client)


def summarize_parts(session: Session, parts: Sequence[Part], whole: Tally, requests: int, started: float) -> None:
    """Write the closing line of all parts."""
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


def selected_parts(session: Session, selection: Selection) -> list[Part]:
    """Return a part for every selected profile; of the sandbox, one for each provider.

    Raises:
        UsageError: No profile is selected.
        CdrctlError: A profile that was named cannot be used.
    """
    parts: list[Part] = []
    for name, profile in select_profiles(session, selection):
        if profile is None:
            parts.extend(Part(SANDBOX, load(provider)) for provider in PROVIDERS)
        elif isinstance(profile, CdrctlError):
            parts.append(Part(name, None, error=profile))
        else:
            parts.append(Part(name, load(profile.provider), profile))
    return parts


def dry_run_together(
    session: Session,
    parts: Sequence[Part],
    request: ExportRequest,
    legs: Callable[[Provider], tuple[Call, ExportRequest]],
) -> None:
    """Print the requests of all parts, and raise at the end where an export would fail.

    Args:
        session: The running command.
        parts: The profiles.
        request: The request of the user.
        legs: From a provider to the call that is made, and the request for it.

    Raises:
        CdrctlError: A profile cannot be used.
    """
    for part in parts:
        if part.provider is None:
            continue
        call, own = legs(part.provider)
        own = replace(own, profile=part.name)
        try:
            dry_run(session, part.provider, call, own, usual_options(session, call), part.written)
        except OutputError:
            raise
        except CdrctlError as error:
            part.error = error
    report_parts(session, [part for part in parts if part.error is not None], len(parts))
    raise_failures(parts, request)


def connect_part(session: Session, part: Part, opened: ExitStack) -> None:
    """Make a part's profile ready for requests; an error is kept in the part."""
    if part.provider is None:
        return
    try:
        part.profile = opened.enter_context(connected(session, part.provider, part.name, part.written))
    except CdrctlError as error:
        part.error = error


def _merged_pages(
    session: Session, parts: Sequence[Part], request: ExportRequest, whole: Tally, kind: Together
) -> Generator[Page, None, None]:
    """Yield the pages of all parts as they come, until all have ended or the limit is reached."""
    running = [part for part in parts if part.profile is not None]
    _note_recent(session, running, request, kind)
    enough = threading.Event()
    tasks = [functools.partial(_pages_of, session, part, request, enough, kind) for part in running]
    room = request.selection.stops_at
    with closing(merge(tasks, len(tasks), ahead=PAGES_AHEAD, stop=enough)) as pages:
        for page in pages:
            wanted = page if room is None else page[: room - whole.records]
            whole.records += len(wanted)
            yield wanted
            ended = sum(part.ended for part in running)
            session.reporter.log("progress", f"{whole.records} records, {ended} of {len(running)} profiles done")
            if room is not None and whole.records >= room:
                session.reporter.log("note", f"stopped after {room} records; there may be more")
                return


def _pages_of(
    session: Session, part: Part, request: ExportRequest, enough: threading.Event, kind: Together
) -> Generator[Page, None, None]:
    """Yield the pages of one part; an error is kept in the part, and stops no other part.

    Raises:
        DriftError: The records of a strict export do not match the known columns.
    """
    try:
        with closing(kind.read(session, part, request)) as pages:
            yield from pages
    except GeneratorExit:
        raise
    except BaseException as error:  # noqa: BLE001 - raised at the end, in the thread that writes
        if enough.is_set():  # the client is being closed, and what that raises is no failure
            return
        part.error = error
        if isinstance(error, DriftError) and not request.allow_partial:
            raise DriftError(f"{part.title}: {error.message}", hint=error.hint) from None
    finally:
        part.ended = True


def _read_part(session: Session, part: Part, request: ExportRequest) -> Generator[Page, None, None]:
    provider, profile = part.provider, part.profile
    assert provider is not None  # noqa: S101 - a part that runs has both
    assert profile is not None  # noqa: S101
    call = provider.calls[0]

    def log(level: str, text: str) -> None:
        if level != "progress":
            session.reporter.log(level, f"{part.title}: {text}")

    profile = profile.with_log(log)
    schema = schema_of(
        provider, call, profile.name, request, drift(log, f"{provider.name} {call.name}", strict=request.strict)
    )
    opened = open_call(session, provider, call, profile, request, usual_options(session, call), log)
    return read(opened, request, schema, part.tally, recent_noted=True)


def _unless_all_failed(
    session: Session, parts: Sequence[Part], pages: Generator[Page, None, None]
) -> Generator[Page, None, None]:
    """Yield the pages and raise after the last one if all parts have failed, so that the output stays as it was."""
    yield from pages
    if all(part.error for part in parts):
        report_parts(session, parts, len(parts))
        raise failures.failure(failed_parts(parts), len(parts))


def _note_recent(session: Session, running: Sequence[Part], request: ExportRequest, kind: Together) -> None:
    """Note once for all profiles that calls may be missing at the end of the window."""
    now = the_clock(session).now()
    found: list[tuple[timedelta, str]] = []
    for part in running:
        assert part.provider is not None  # noqa: S101 - a part that runs has both
        assert part.profile is not None  # noqa: S101
        call = kind.call_of(part.provider)
        with suppress(UsageError):  # which is raised by the part itself
            lag = call.timing.lag
            window = request.window.read(call.timing.default_since, part.profile.settings, now)
            _, events = reachable(window, lag, now, part.provider.title, cut=call.timing.refuses_newer)
            found += [(lag, event.text) for event in events if isinstance(event, Note) and is_recent(event)]
    if found and request.selection.limit is None:
        session.reporter.log("note", max(found)[1])


def usual_options(session: Session, call: Call) -> dict[str, Any]:
    """Return a call's own options, as its fetcher takes them, for a user who gives none."""
    return own_options(session, call, default_options(call))


def report_parts(session: Session, parts: Sequence[Part], total: int) -> None:
    """Write one line of result for each profile, and the cause and the next step of each that failed."""
    for part in parts:
        if part.error is None:
            gaps = f", {len(part.tally.gaps)} gaps" if part.tally.gaps else ""
            duplicates = f"{part.tally.duplicates} duplicates dropped"
            session.reporter.log(
                "result", f"{part.title}: {part.tally.records} records, {part.tally.pages} pages, {duplicates}{gaps}"
            )
    came = {part.title: part.tally.records for part in parts}
    failures.show(session.reporter, failed_parts(parts), total, came)


def failed_parts(parts: Sequence[Part]) -> list[tuple[str, BaseException]]:
    """Return the title and the error of each part that failed."""
    return [(part.title, part.error) for part in parts if part.error is not None]


def raise_failures(parts: Sequence[Part], request: ExportRequest) -> None:
    """Raise the error of the run where a profile failed; --allow-partial accepts what is merely incomplete.

    Raises:
        CdrctlError: A profile failed.
    """
    if failed := failed_parts(parts):
        error = failures.failure(failed, len(parts), gaps=any(part.tally.gaps for part in parts))
        if not (request.allow_partial and getattr(error, "exit_code", None) == IncompleteError.exit_code):
            raise error


COMMANDS = {
    "export": session_command(
        "export",
        """Export the calls of several profiles as one stream of common CDRs.

If a profile fails, the records of the others are still written, and the exit code shows the failure.""",
        export_together,
        (
            ALL,
            option(
                "-p",
                "--profile",
                about="Profile to use; may be repeated.",
                metavar="NAME",
                panel="Profile",
                repeat=True,
            ),
            TAG,
            EXCEPT,
            *(one for name, one in SHARED.items() if name not in {"profile", "schema", "jobs"}),
            option(
                "--schema",
                about="common is the only schema here. Default: common.",
                metavar="SCHEMA",
                default="common",
                panel="Output",
            ),
        ),
        (
            "cdrctl export -p sandbox --since yesterday --until today -o calls.csv",
            "cdrctl export -p sandbox --since 24h | jq -r .outcome | sort | uniq -c",
        ),
    )
}
