"""`cdrctl sync`, `fill`, `coverage`, `verify` and `plan`: the nightly archive from the words of a command."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cdrctl import windows
from cdrctl.cli import failures
from cdrctl.cli.connecting import SANDBOX, refuse_rehearsal, the_clock
from cdrctl.cli.export import Part, connect_part, selected_parts, usual_options
from cdrctl.cli.exporting import fetch_window
from cdrctl.cli.options import MAX_WAIT, in_session
from cdrctl.cli.output_options import colored, standard_output
from cdrctl.cli.profile_selection import Excluded, Selection, Tags
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import IncompleteError, OutputError, UsageError, near
from cdrctl.fetchers import PROVIDERS, Call, load
from cdrctl.threads import started

if TYPE_CHECKING:
    from cdrctl.archive.calendar import Covered
    from cdrctl.archive.ledger import Kept, Ledger
    from cdrctl.archive.store import Archive
    from cdrctl.archive.sync import Outcome

commands = typer.Typer(rich_markup_mode=None)

POLL_SECONDS = 0.2
Into = Annotated[
    str,
    typer.Option("--into", help="The archive's folder.", metavar="DIR", show_default=False, rich_help_panel="Archive"),
]
Profiles = Annotated[
    list[str] | None, typer.Argument(help="Which profiles; else --all.", metavar="[PROFILE]...", show_default=False)
]
Every = Annotated[
    bool, typer.Option("--all", help="Every profile that is configured.", show_default=False, rich_help_panel="Profile")
]
Calls = Annotated[
    list[str] | None,
    typer.Option(
        "--call",
        help="Which call; may be repeated. Default: the main one.",
        metavar="CALL",
        show_default=False,
        rich_help_panel="Which records",
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        help="Keep the calls from this day on: backfills.",
        metavar="TIME",
        show_default=False,
        rich_help_panel="Window",
    ),
]
Lookback = Annotated[
    str | None,
    typer.Option(
        "--lookback",
        help="Read again what was read so soon after a call. Default: what its provider needs.",
        metavar="DURATION",
        show_default=False,
        rich_help_panel="Archive",
    ),
]
Shrink = Annotated[
    bool,
    typer.Option(
        "--allow-shrink",
        help="Let records go that the provider no longer has.",
        show_default=False,
        rich_help_panel="Archive",
    ),
]
Adopt = Annotated[
    bool,
    typer.Option(
        "--adopt",
        help="Add to the records of a profile that pointed to another account before.",
        show_default=False,
        rich_help_panel="Archive",
    ),
]
Zone = Annotated[
    str | None,
    typer.Option(
        "--tz",
        help="Zone of the archive's days; chosen once. Default: UTC.",
        metavar="ZONE",
        show_default=False,
        rich_help_panel="Archive",
    ),
]
Form = Annotated[
    str | None,
    typer.Option(
        "-f",
        "--format",
        help="jsonl, jsonl.gz, csv or csv.gz; chosen once. Default: jsonl.",
        metavar="FORMAT",
        show_default=False,
        rich_help_panel="Archive",
    ),
]
MaxWait = Annotated[str | None, MAX_WAIT[1]]


@dataclass(slots=True)
class Job:
    """One call of one profile in a run: under which name it is kept, and what became of it."""

    part: Part
    name: str
    call: Call
    outcome: Any
    error: BaseException | None = None
    requests: int = 0

    @property
    def about(self) -> dict[str, str]:
        """What it is of, as said in messages."""
        provider = self.part.provider.name if self.part.provider else ""
        return {"profile": self.name, "provider": provider, "call": self.call.name}


@commands.command(
    epilog="cdrctl sync sandbox --into archive\ncdrctl sync sandbox --into archive --since 3d --call cdrs -f csv.gz"
)
@in_session
def sync(
    opened: Session,
    profile: Profiles = None,
    *,
    every: Every = False,
    tag: Tags = None,
    excluded: Excluded = None,
    into: Into,
    call: Calls = None,
    since: Since = None,
    lookback: Lookback = None,
    allow_shrink: Shrink = False,
    adopt: Adopt = False,
    tz: Zone = None,
    form: Form = None,
    max_wait: MaxWait = None,  # noqa: ARG001 - the session has it
) -> None:
    """Bring an archive up to date: the one line of a crontab.

    Reads what is missing and what may have changed since it was read, a day at a time, and writes each day's file
    whole. Running it twice changes nothing.
    """
    _run(
        opened,
        Selection(profile or (), every, tag or (), excluded or (), "PROFILE"),
        into,
        call,
        since,
        lookback,
        tz,
        form,
        shrink=allow_shrink,
        adopt=adopt,
        only_holes=False,
    )


@commands.command(
    epilog="cdrctl sync sandbox --into archive && cdrctl fill sandbox --into archive\n"
    "cdrctl sync sandbox --into archive --since 3d && cdrctl fill sandbox --into archive --call cdrs"
)
@in_session
def fill(
    opened: Session,
    profile: Profiles = None,
    *,
    every: Every = False,
    tag: Tags = None,
    excluded: Excluded = None,
    into: Into,
    call: Calls = None,
    allow_shrink: Shrink = False,
    adopt: Adopt = False,
    max_wait: MaxWait = None,  # noqa: ARG001 - the session has it
) -> None:
    """Read only what is missing in an archive, and nothing that was read before."""
    from cdrctl.archive.store import open_archive as archive_in

    archive_in(Path(into))
    selection = Selection(profile or (), every, tag or (), excluded or (), "PROFILE")
    _run(opened, selection, into, call, None, None, None, None, shrink=allow_shrink, adopt=adopt, only_holes=True)


def _run(
    session: Session,
    selection: Selection,
    into: str,
    calls: Sequence[str] | None,
    since: str | None,
    lookback: str | None,
    tz: str | None,
    form: str | None,
    *,
    shrink: bool,
    adopt: bool,
    only_holes: bool,
) -> None:
    from cdrctl.archive.index import readable
    from cdrctl.archive.ledger import NAME as LEDGER, Ledger, locked
    from cdrctl.archive.store import begun, check_folder, check_format, day_files, is_there, make_folder, told

    started = time.monotonic()
    folder = Path(into)
    refuse_rehearsal(session)
    check_format(form)
    back = windows.duration(lookback) if lookback is not None else None
    zone = windows.zone(tz) if tz else None
    clock = the_clock(session)
    if since is not None:
        windows.instant(since, zone=zone or windows.zone("UTC"), now=clock.now())
    parts = selected_parts(session, selection)
    jobs = _jobs(parts, calls)
    session.reporter.data_elsewhere = True
    session.reporter.left_behind = "what was finished stays; run it again to go on"
    with ExitStack() as stack:
        with told(folder):
            check_folder(folder)  # what is refused stays as it was, without a lock in it
            make_folder(folder)
        stack.enter_context(locked(folder))
        archive = begun(folder, tz, form)
        begins = None
        if since is not None:
            begins = windows.instant(since, zone=archive.zone, now=clock.now())
        with readable(folder):
            begins_anew = not is_there(folder / LEDGER) and not day_files(archive)
        book = Ledger(folder, new=begins_anew)
        stack.callback(book.close)
        for part in parts:
            connect_part(session, part, stack)
        _side_by_side(session, archive, book, jobs, begins, back, shrink=shrink, adopt=adopt, only_holes=only_holes)
    for job in jobs:
        _report(session, job)
    facts = _facts([job.outcome for job in jobs])
    requests = sum(part.profile.client.requests for part in parts if part.profile and part.profile.client)
    session.reporter.summary({**facts, "requests": requests, "seconds": round(time.monotonic() - started, 1)})
    _conclude(session, parts, jobs)


def _jobs(parts: Sequence[Part], calls: Sequence[str] | None) -> list[Job]:
    """Return what is to be read: of every profile the calls named that its provider has, or its main one."""
    from cdrctl.archive.sync import Outcome

    jobs: list[Job] = []
    for part in parts:
        if part.provider is None:
            continue
        name = f"{part.name}-{part.provider.name}" if part.name == SANDBOX else part.name
        kept = {call.name: call for call in part.provider.calls if call.windowed and not call.group}
        for one in calls or [part.provider.calls[0].name]:
            if one in kept:
                jobs.append(Job(part, name, kept[one], Outcome()))
            elif len({other.provider.name for other in parts if other.provider}) == 1:
                raise UsageError(
                    f"{part.provider.title} has no call {one!r} that an archive can keep",
                    hint=f"{near(one, kept)}its calls are: {', '.join(kept)}",
                )
    if calls and not jobs:
        every = {call.name for part in parts if part.provider for call in part.provider.calls if call.windowed}
        raise UsageError(
            f"none of these profiles has a call {', '.join(calls)}",
            hint=f"{near(calls[0], sorted(every))}their calls are: {', '.join(sorted(every))}",
        )
    return jobs


def _side_by_side(
    session: Session,
    archive: Archive,
    book: Ledger,
    jobs: Sequence[Job],
    since: datetime | None,
    lookback: timedelta | None,
    *,
    shrink: bool,
    adopt: bool,
    only_holes: bool,
) -> None:
    """Read all profiles at the same time, the calls of each one after the other."""
    from cdrctl.archive import sync as syncing
    from cdrctl.archive.fetched import Source
    from cdrctl.cli.account import account_of

    enough = threading.Event()
    now = the_clock(session).now

    def run(job: Job) -> None:
        part, call = job.part, job.call
        assert part.profile is not None  # noqa: S101 - it was connected
        assert part.provider is not None  # noqa: S101
        log = _teller(session, f"{job.name} {call.name}")
        profile, title = part.profile, part.provider.title
        if profile.client is not None:
            profile.client.log = log
        options = {**usual_options(session, call), "fields": None}

        def fetch(window: windows.Window) -> Iterator[Any]:
            return fetch_window(call, profile, window, options, now(), title)

        def ahead() -> timedelta | None:
            return profile.client.ahead if profile.client is not None else None

        assert profile.settings is not None  # noqa: S101 - it was connected
        account = account_of(part.provider, profile.settings, sandbox=part.name == SANDBOX)
        try:
            syncing.sync(
                archive,
                book,
                Source(job.name, part.provider.name, call, fetch, log, session.reporter.clean, ahead, account),
                now,
                since=since,
                lookback=lookback,
                shrink=shrink,
                only_holes=only_holes,
                adopt=adopt,
                stop=enough.is_set,
                outcome=job.outcome,
            )
        except BaseException as error:  # noqa: BLE001 - said by the thread that everyone hears
            job.error = error
        job.error = job.error or job.outcome.error

    def one_after_the_other(own: Sequence[Job]) -> None:
        for job in own:
            if not enough.is_set():
                run(job)

    threads = []
    for part in {id(job.part): job.part for job in jobs if job.part.profile is not None}.values():
        own = [job for job in jobs if job.part is part]
        threads.append(
            threading.Thread(target=one_after_the_other, args=(own,), name=f"cdrctl-sync-{own[0].name}", daemon=True)
        )
    try:
        for thread in threads:
            started([thread])
        for thread in threads:
            while thread.is_alive():
                thread.join(POLL_SECONDS)
    finally:
        enough.set()


def _teller(session: Session, about: str) -> Callable[[str, str], None]:
    """Return how a job says things: each line begins with what it is of; on a terminal a day is no line of its own."""
    said: set[str] = set()

    def log(level: str, text: str) -> None:
        if level in {"note", "warning"}:
            if text in said:  # as it may be for every day
                return
            said.add(text)
        if level == "day":
            level = "debug" if session.process.stderr_is_terminal else "result"
        session.reporter.log(level, f"{about}: {text}")

    return log


def _facts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    names = ("days", "fetched", "new", "late", "changed", "gone", "duplicate")
    return {name: sum(getattr(outcome, name) for outcome in outcomes) for name in names}


def _report(session: Session, job: Job) -> None:
    facts: dict[str, Any] = _facts([job.outcome])
    if job.outcome.failed:
        facts["failed days"] = len(job.outcome.failed)
    session.reporter.summary(facts, job.about)


def _errors(parts: Sequence[Part], jobs: Sequence[Job]) -> dict[str, BaseException]:
    """Return the error of each profile that failed, by its title; of several calls of one, the first that failed."""
    found = {part.title: part.error for part in parts if part.error is not None}
    for job in jobs:
        if job.error is not None:
            found.setdefault(job.part.title, job.error)
    return found


def _conclude(session: Session, parts: Sequence[Part], jobs: Sequence[Job]) -> None:
    """Say why profiles failed, and raise what the exit code must say.

    Raises:
        CdrctlError: A profile failed, or the archive is incomplete.
    """
    errors = _errors(parts, jobs)
    failures.show(session.reporter, [*errors.items()], len(parts))
    good = [job for job in jobs if job.error is None]
    failed = [f"{job.name} {day}" for job in good for day in job.outcome.failed if day not in job.outcome.gone_on]
    gone = [f"{job.name} {day} ({count})" for job in good for day, count in job.outcome.gone_on.items()]
    lost = [f"{job.name}" for job in jobs if job.outcome.lost]
    if errors:
        raise failures.failure([*errors.items()], len(parts), gaps=bool(failed or gone or lost))
    if failed or gone or lost:
        what = [f"days that could not be had: {failures.some(failed)}"] if failed else []
        what += [f"records gone at the provider: {failures.some(gone)}"] if gone else []
        what += [f"beyond what the provider keeps: {failures.some(lost)}"] if lost else []
        raise IncompleteError(
            f"the archive is incomplete: {'; '.join(what)}",
            hint=_next_step(failed=bool(failed), gone=bool(gone)),
        )


def _next_step(*, failed: bool, gone: bool) -> str:
    """Return what to do about an incomplete archive."""
    if failed:
        return "run it again; cdrctl coverage shows what is missing"
    if gone:
        return "they are kept; ask the provider why, or run cdrctl sync --allow-shrink to let them go"
    return "cdrctl coverage shows it"


SIGNS = {"complete": "#", "open": "o", "hole": "X", "beyond": "-"}
_COLORS = {"complete": "32", "open": "33", "hole": "31;1", "beyond": "35"}


@commands.command(
    epilog="cdrctl sync sandbox --into archive && cdrctl coverage --into archive\n"
    "cdrctl sync sandbox --into archive && cdrctl coverage --into archive | jq -r '.[] | .day + \" \" + .state'"
)
@in_session
def coverage(
    opened: Session,
    profile: Profiles = None,
    *,
    into: Into,
) -> None:
    """Show which days an archive has: a calendar on a terminal, JSON in a pipe.

    A day is complete, still open (not over, or read so soon that records may still come), a hole, or a hole beyond
    what the provider keeps.
    """
    found = [
        (kept, list(days)) for kept, days in _covered(opened, Path(into)) if not profile or kept.profile in profile
    ]
    for name in profile or ():
        if name not in {kept.profile for kept, _ in found}:
            there = [kept.profile for kept, _ in found]
            raise UsageError(
                f"the archive has no profile {name!r}", hint=f"{near(name, there)}cdrctl coverage --into DIR shows all"
            )
    out = standard_output(opened, None)
    if opened.process.stdout_is_terminal:
        text = _calendar(found, color=colored(opened))
    else:
        lines = [json.dumps({**_about(kept), **_plain(day)}) for kept, days in found for day in days]
        text = "[" + ",".join(f"\n{line}" for line in lines) + "\n]\n" if lines else "[]\n"
    _write(out, text)


def _write(out: Any, text: str) -> None:
    try:
        out.write(text.encode())
        out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write standard output: {error.strerror}") from None


def _about(kept: Kept) -> dict[str, str]:
    return {"profile": kept.profile, "provider": kept.provider, "call": kept.call}


def _plain(day: Covered) -> dict[str, Any]:
    missing = [{"since": windows.rfc3339(one.since), "until": windows.rfc3339(one.until)} for one in day.missing]
    plain = {"day": day.day, "state": day.state, "records": day.records, "missing": missing}
    return {**plain, "error": day.error} if day.error else plain


def _covered(session: Session, folder: Path) -> Iterator[tuple[Kept, Iterator[Covered]]]:
    from cdrctl.archive import calendar
    from cdrctl.archive.ledger import Ledger
    from cdrctl.archive.store import open_archive

    archive = open_archive(folder)
    book = Ledger(folder, read_only=True)
    now = the_clock(session).now()
    try:
        files = book.files()
        for kept in book.kept():
            call = _call_of(session, kept)
            if call is not None:
                known = book.readings(kept.profile, kept.call)
                yield kept, calendar.coverage(archive, call, kept, known, files, now)
    finally:
        book.close()


def _call_of(session: Session, kept: Kept) -> Call | None:
    if kept.provider in PROVIDERS:
        with suppress(StopIteration):
            return load(kept.provider).call(kept.call)
    session.reporter.log(
        "note", f"{kept.profile} {kept.call}: its provider is not known: run cdrctl sync {kept.profile} once"
    )
    return None


def _calendar(found: Sequence[tuple[Kept, Sequence[Covered]]], *, color: bool) -> str:
    """Return a line for each month, a sign for each day."""
    lines: list[str] = []
    for kept, covered in found:
        states = {day.day: day.state for day in covered}
        records = sum(day.records for day in covered)
        lines.append(f"{kept.profile} {kept.call} ({kept.provider}): {records} records")
        lines.append("        " + "".join(str(day % 10) for day in range(1, 32)))
        for month in sorted({day[:7] for day in states}):
            signs = []
            for day in range(1, 32):
                state = states.get(f"{month}-{day:02}")
                sign = SIGNS[state] if state else " "
                signs.append(f"\x1b[{_COLORS[state]}m{sign}\x1b[0m" if state and color else sign)
            lines.append(f"{month} {''.join(signs)}".rstrip())
        counts = [f"{list(states.values()).count(state)} {state}" for state in SIGNS]  # type: ignore[arg-type]
        lines.append("        " + ", ".join(one for one in counts if not one.startswith("0 ")))
        lines.append("")
    if lines:
        lines.append("# complete  o still open  X hole")
        lines.append("- beyond what the provider keeps")
    else:
        lines.append("the archive keeps no calls yet")
    return "\n".join(lines) + "\n"


@commands.command(
    epilog="cdrctl sync sandbox --into archive && cdrctl verify --into archive\n"
    "cdrctl sync sandbox --into archive && cdrctl verify --into archive --rebuild"
)
@in_session
def verify(
    opened: Session,
    *,
    into: Into,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild", help="Make the ledger again from the files.", show_default=False, rich_help_panel="Archive"
        ),
    ] = False,
) -> None:
    """Check an archive's files against its ledger; exit code 3 when they differ.

    Each difference is a line on standard output: the file, a tab, what is wrong with it.
    """
    from cdrctl.archive.ledger import Ledger, locked
    from cdrctl.archive.store import open_archive, told
    from cdrctl.archive.verify import differences, rebuild_ledger

    started = time.monotonic()
    archive = open_archive(Path(into))
    with locked(archive.folder, to_write=rebuild):
        odd = []
        if rebuild:
            found, _ = read_profiles(opened)
            providers = {name: one.provider for name, one in found.items()}
            providers |= {f"{SANDBOX}-{name}": name for name in PROVIDERS}
            with told(archive.folder):
                odd = rebuild_ledger(archive, providers, the_clock(opened).now())
        book = Ledger(archive.folder, read_only=True)
        try:
            files = book.files()
            odd = odd or list(differences(archive, files))
        finally:
            book.close()
    _write(standard_output(opened, None), "".join(f"{opened.reporter.clean(one.path)}\t{one.what}\n" for one in odd))
    opened.reporter.summary(
        {
            "files": len(files),
            "records": sum(one.records for one in files),
            "differences": len(odd),
            "seconds": round(time.monotonic() - started, 1),
        }
    )
    if odd:
        raise IncompleteError(
            f"{len(odd)} files of the archive are not as they were written",
            hint="restore them, or move them away and run cdrctl sync; cdrctl verify --rebuild takes them as they are",
        )


@commands.command(
    epilog="cdrctl plan sandbox --since 30d\ncdrctl plan sandbox --since 7d | jq 'map(.requests_at_least) | add'"
)
@in_session
def plan(
    opened: Session,
    profile: Profiles = None,
    *,
    every: Every = False,
    tag: Tags = None,
    excluded: Excluded = None,
    into: Annotated[
        str | None,
        typer.Option(
            "--into",
            help="The archive's folder, if there is one.",
            metavar="DIR",
            show_default=False,
            rich_help_panel="Archive",
        ),
    ] = None,
    call: Calls = None,
    since: Since = None,
    lookback: Lookback = None,
    tz: Zone = None,
) -> None:
    """Say what a sync would ask: windows, requests and time, without asking anything.

    Requests and seconds are the least it can take: how many pages there are is known only when they have been read.
    """
    from cdrctl.archive import calendar
    from cdrctl.archive.index import readable
    from cdrctl.archive.ledger import Ledger
    from cdrctl.archive.store import Archive, is_there, open_archive
    from cdrctl.archive.sync import from_when, kept_since, reachable_until, wanted

    back = windows.duration(lookback) if lookback is not None else None
    folder = Path(into) if into else None
    there = False
    if folder is not None:
        with readable(folder):
            there = is_there(folder / "archive.toml")
    archive = open_archive(folder) if folder and there else Archive(folder or Path(), tz or "UTC", "jsonl")
    now = the_clock(opened).now()
    begins = windows.instant(since, zone=archive.zone, now=now) if since else None
    parts = selected_parts(opened, Selection(profile or (), every, tag or (), excluded or (), "PROFILE"))
    for part in parts:
        if part.error is not None:
            raise part.error
    book = Ledger(archive.folder, read_only=True) if there else None
    kept = {(one.profile, one.call): one.begins for one in book.kept()} if book else {}
    found = []
    for job in _jobs(parts, call):
        assert job.part.provider is not None  # noqa: S101 - a job has one
        known = book.readings(job.name, job.call.name) if book else {}
        ago = job.call.lookback if back is None else back
        start = from_when(archive, job.call, now, ago, begins, kept.get((job.name, job.call.name)))
        until, oldest = reachable_until(job.call, now), kept_since(job.call, now)
        days, lost = wanted(start, until, oldest, known, archive, ago)
        pace = 0 if job.part.name == SANDBOX else None
        asked = calendar.plan(job.part.provider, job.call, days, pace)
        found.append(
            {
                **job.about,
                "since": windows.rfc3339(days[0].window.since) if days else None,
                "until": windows.rfc3339(days[-1].window.until) if days else None,
                "windows": asked.windows,
                "requests_at_least": asked.requests,
                "seconds_at_least": round(asked.seconds),
                "beyond_retention": [
                    {"since": windows.rfc3339(one.since), "until": windows.rfc3339(one.until)} for one in lost
                ],
            }
        )
    if book:
        book.close()
    if opened.process.stdout_is_terminal:
        text = "".join(_planned(one) for one in found)
    else:
        text = "[" + ",".join(f"\n{json.dumps(one)}" for one in found) + "\n]\n" if found else "[]\n"
    _write(standard_output(opened, None), text)


def _planned(one: Mapping[str, Any]) -> str:
    head = f"{one['profile']} {one['call']} ({one['provider']})"
    if not one["windows"]:
        return f"{head}: nothing to read\n"
    length = str(timedelta(seconds=one["seconds_at_least"]))
    text = (
        f"{head}: {one['windows']} windows from {one['since']} to {one['until']}, "
        f"at least {one['requests_at_least']} requests, at least {length} under the published limits\n"
    )
    for gone in one["beyond_retention"]:
        text += f"  no longer kept by the provider: {gone['since']} to {gone['until']}\n"
    return text
