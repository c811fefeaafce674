"""An export from the words of a command: which profile, which window, which form, where to."""

from __future__ import annotations

import functools
import io
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from cdrctl import windows, writers
from cdrctl.cli.run import Session
from cdrctl.errors import ConfigurationError, DriftError, IncompleteError, NoRecordsError, OutputError, UsageError
from cdrctl.export import Tally, at_once, by_their_clock, claims, keyed, parts, reachable, rows, said_once
from cdrctl.fetchers import Call, Provider, connect
from cdrctl.records import File, Gap, Note, Piece, Schema, common, native, raw
from cdrctl.writers.output import check, destination, output

if TYPE_CHECKING:
    from cdrctl.fetchers.settings import Settings
    from cdrctl.http import Client, Clock, PaceShelf, TokenShelf
    from cdrctl.profiles import Profile

SANDBOX = "sandbox"
SCHEMAS = ("native", "common", "raw")


@dataclass(frozen=True, slots=True)
class Connected:
    """A profile that is ready to be asked, or what stands for one where nobody is."""

    name: str
    settings: Settings | None
    client: Client | None


def export_call(
    session: Session, provider: Provider, call: Call, shared: Mapping[str, Any], own: Mapping[str, Any]
) -> None:
    """Export one call as the shared options say."""
    started = time.monotonic()
    target = shared["output"]
    if call.gives_file is True or (
        call.gives_file and own.get(call.gives_file)
    ):  # -o names the file; what is known of it goes to standard output, unless the file does
        shared = {**shared, "output": os.devnull if target == "-" else None}
        if target not in {None, "-"}:
            check(target)
    form = output_format(session, shared)
    database = writers.is_database(form)
    session.voice.aside = shared["output"] not in {None, "-"} or not session.world.stdout_is_terminal
    fields = field_names(shared["fields"])
    zone = windows.zone(shared["tz"]) if shared["tz"] else None
    options = own_options(session, call, own)
    # what makes a record this record may be all it says: a table must be given it whole
    options["fields"] = tuple(fields) if fields and shared["schema"] == "native" and not database else None
    _schema(call, provider, SANDBOX, shared["schema"], fields, lambda _text: None)  # unknown fields are refused first
    nobody = Connected(shared["profile"] or "", None, None)
    with nullcontext(nobody) if call.offline else connected(session, provider, shared["profile"]) as profile:
        zone = zone or windows.zone((profile.settings and profile.settings.timezone) or "UTC")
        schema = _schema(
            call,
            provider,
            profile.name,
            shared["schema"],
            fields,
            drift(session, shared, f"{provider.name} {' '.join(filter(None, (call.group, call.name)))}"),
        )
        if database:
            schema = keyed(schema, provider, call, profile.name)
        look = writers.Look(
            width=session.world.width,
            zone=zone,
            color=colored(session),
            shown=call.shown if shared["schema"] == "native" else COMMON_SHOWN,
            chosen=fields is not None,
            for_spreadsheets=shared["spreadsheet_safe"],
            name=table_name(provider, call) if shared["schema"] == "native" else COMMON_NAME,
            warn=lambda text: session.voice.tell("warning", text),
        )
        tally = Tally()
        window, pieces = fetched(session, provider, call, profile, shared, zone, options)
        with destination(shared["output"], standard_output(session, shared["output"]), database=database) as out:
            pages = rows(
                pieces,
                call,
                schema,
                window,
                tally,
                session.voice.tell,
                shared["limit"],
                save=lambda file: _save(session, file, target),
            )
            with closing(pages), counted(session, tally, profile, started):  # whoever fetches ends before the client
                writers.load(form)(schema, pages, out, look)
    conclude(tally, shared)


@contextmanager
def counted(session: Session, tally: Tally, profile: Connected, started: float) -> Iterator[None]:
    """Say the closing line at the end of the block, also when it broke off after records had come."""

    def closing_line() -> None:
        session.voice.closing(
            {
                "records": tally.records,
                "pages": tally.pages,
                "requests": profile.client.requests if profile.client else 0,
                "duplicates_dropped": tally.duplicates,
                "seconds": round(time.monotonic() - started, 1),
            }
        )

    try:
        yield
    except BrokenPipeError:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            session.voice.hush()
        if tally.records:
            closing_line()
        raise
    closing_line()


def fetched(
    session: Session,
    provider: Provider,
    call: Call,
    profile: Connected,
    shared: Mapping[str, Any],
    zone: tzinfo,
    options: Mapping[str, Any],
) -> tuple[windows.Window | None, Iterator[Piece]]:
    """Return the window asked for, as far as it can be had by now, and the pieces of a call in it."""
    if not call.windowed:
        return None, call.fetch(profile.client, profile.settings, None, options)
    now = the_clock(session).now()
    asked = windows.window(shared["since"] or call.default_since, shared["until"], zone=zone, now=now)
    window, rest = reachable(asked, call.lag, now, provider.title)
    jobs = shared.get("jobs", 0)  # none where several profiles are asked at the same time anyway
    if shared["limit"] is not None:  # an export that stops early has no end from which another could go on
        rest = [piece for piece in rest if isinstance(piece, Gap)]
    if window is None:
        return None, iter(rest)
    ahead = [window] if jobs and shared["limit"] is None else []
    if jobs > 1:
        shortest = call.apart(options)
        why = shortest if isinstance(shortest, str) else "so short a window is not worth more requests"
        if not ahead:
            why = "with --limit nothing is asked for that may not be needed"
        elif not isinstance(shortest, str):
            ahead = parts(window, call, shortest, jobs, now)
        if len(ahead) <= 1:
            rest = [*rest, Note(f"{provider.title} is asked for one thing after the other in spite of --jobs: {why}")]
    uncut = shared["schema"] == "raw"
    pieces = fetch_window(call, profile, window, options, now, provider.title, raw=uncut, ahead=ahead, jobs=jobs)
    return window, _after(rest, pieces)


def fetch_window(
    call: Call,
    profile: Connected,
    window: windows.Window,
    options: Mapping[str, Any],
    now: datetime,
    title: str,
    *,
    raw: bool = False,
    ahead: Sequence[windows.Window] = (),
    jobs: int = 1,
) -> Iterator[Piece]:
    """Return the pieces of a window, and what the provider's clock says of its end.

    With `ahead`, the window itself or its parts, the next piece is asked for while one is written, and so many parts at
    the same time as there are jobs.
    """
    client = profile.client
    if client is not None and call.marks is not None:
        from cdrctl.sheet import Reader  # noqa: PLC0415 - only where something is asked

        client.read = Reader(call.columns, call.marks, raw=raw)
    fetch = functools.partial(call.fetch, client, profile.settings)
    pieces: Iterator[Piece]
    if not ahead:
        pieces = fetch(window, options)
    elif len(ahead) == 1:
        pieces = at_once([functools.partial(fetch, window, options)])
    else:
        shared = {**options, "claim": claims()}
        pieces = said_once(at_once([functools.partial(fetch, part, shared) for part in ahead], jobs))
    return by_their_clock(pieces, window, call.lag, lambda: client.ahead, now, title) if client is not None else pieces


def _after(rest: Sequence[Note | Gap], pieces: Iterator[Piece]) -> Iterator[Piece]:
    yield from rest
    yield from pieces


COMMON_SHOWN = (
    *("start_time", "direction", "from_number", "to_number"),
    *("user", "outcome", "talk_seconds", "cost"),
)


COMMON_NAME = "cdrs"
"""The table of common CDRs, whatever provider they come from."""


def table_name(provider: Provider, call: Call) -> str:
    """Return the name of the table that the records of a call are in."""
    return "_".join(filter(None, (provider.name, call.group, call.name))).replace("-", "_")


def conclude(tally: Tally, shared: Mapping[str, Any]) -> None:
    """Raise what the exit code must say of an export that went to its end."""
    if tally.gaps and not shared["allow_partial"]:
        first = tally.gaps[0]
        more = f" (and {len(tally.gaps) - 1} more, see above)" if len(tally.gaps) > 1 else ""
        raise IncompleteError(
            f"incomplete: {first.what}{more}",
            said=first.said,
            hint=first.hint or "run it again, or accept it with --allow-partial",
        )
    if not tally.records and shared["fail_if_empty"]:
        raise NoRecordsError("there were no records", hint="leave --fail-if-empty out if that is as it should be")


def colored(session: Session) -> bool:
    """Return whether a table may have colours (no-color.org; a dumb terminal shows escapes as they are)."""
    environ = session.world.environ
    return session.world.stdout_is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def output_format(session: Session, shared: Mapping[str, Any]) -> str:
    """Return the output format, refused before anything is asked where it cannot be."""
    if shared["schema"] not in SCHEMAS:
        raise UsageError(f"there is no schema {shared['schema']!r}", hint=f"the schemas are: {', '.join(SCHEMAS)}")
    path = shared["output"]
    to_stdout = path is None or path == "-"
    form: str | None = shared["format"] or (None if to_stdout else writers.format_of(path))
    wants_raw = shared["schema"] == "raw"
    if wants_raw and shared["strict"]:
        raise UsageError(
            "raw records are not read: --strict has nothing to hold them against", hint="use --schema native"
        )
    if form is None:
        form = "table" if to_stdout and session.world.stdout_is_terminal and not wants_raw else "jsonl"
    if wants_raw and not writers.takes_raw(form):
        raise UsageError(f"raw records have no columns and cannot be written as {form}", hint="use -f jsonl or -f json")
    if shared["spreadsheet_safe"] and form not in {"csv", "tsv"}:
        raise UsageError(f"--spreadsheet-safe is for csv and tsv, not for {form}", hint="use -f csv, or leave it out")
    check_place(session, form, path)
    return form


def check_place(session: Session, form: str, path: str | None) -> None:
    """Refuse a format, or a place to which it cannot be written, before anything is asked."""
    writers.load(form)
    to_stdout = path is None or path == "-"
    if writers.is_database(form) and to_stdout:
        raise UsageError(f"{form} is a file that is changed in its place, and no stream", hint="name it with -o FILE")
    if not writers.is_binary(form):
        return
    if path is not None and path.lower().endswith(".gz"):
        raise UsageError(f"{form} is not compressed again", hint="leave .gz out of the name")
    if to_stdout and session.world.stdout_is_terminal:
        raise UsageError(f"{form} is nothing that a terminal can show", hint="name a file with -o, or use a pipe")


def drift(session: Session, shared: Mapping[str, Any], about: str) -> Callable[[str], None]:
    """Return what is told how records differ from their columns: it warns, or ends the export with --strict."""
    if not shared["strict"]:
        return lambda text: session.voice.tell("warning", text)

    def refuse(text: str) -> None:
        raise DriftError(
            f"the records do not fit the columns known: {text.partition(';')[0]}",
            hint=f"cdrctl fields {about} lists the columns; without --strict nothing is lost and this is a warning",
        )

    return refuse


def field_names(text: str | None) -> list[str] | None:
    """Return the fields chosen, or None where nothing was."""
    if text is None:
        return None
    fields = [name.strip() for name in text.split(",") if name.strip()]
    if not fields:
        raise UsageError("--fields names no field", hint="write it as --fields a,b,c")
    return fields


def _save(session: Session, file: File, target: str | None) -> None:
    """Write a file that came from the provider: where -o says, else under its own name in this folder."""
    path = target or file.name
    if target is None and os.path.lexists(path):
        raise OutputError(f"{path} is there already", hint="name another file with -o, or move that one away")
    with output(path, standard_output(session, path)) as out:
        for piece in file.content:
            out.write(piece)
    if target != "-":
        session.voice.tell("note", f"the file is {path}")


def own_options(session: Session, call: Call, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the call's own options as its fetcher wants them."""
    values: dict[str, Any] = {}
    for described in call.options:
        value = own.get(described.name)
        if described.kind == "duration" and value is not None:
            value = windows.duration(value)
        elif described.kind == "file":
            value = _lines(session, str(value))
        elif described.repeat:
            value = tuple(value or ())
        values[described.name] = value
    return values


def _lines(session: Session, path: str) -> Iterator[bytes]:
    """Yield the lines of a file, or of standard input.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        if path == "-":
            yield from getattr(session.world.stdin, "buffer", None) or (line.encode() for line in session.world.stdin)
            return
        with open(path, "rb") as file:  # noqa: PTH123 - a path as typed, /dev/stdin too
            yield from file
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint="name a file, or - for standard input"
        ) from None


def _schema(call: Call, provider: Provider, profile: str, name: str, fields: Sequence[str] | None, warn: Any) -> Schema:
    if name == "raw":
        if fields is not None:
            raise UsageError(
                "raw records are not touched: --fields cannot choose from them", hint="use --schema native"
            )
        return raw()
    if name == "common":
        if call.common is None:
            raise UsageError(f"{provider.name} {call.name} has no calls in it: --schema common does not fit")
        return common(
            call.columns, call.common, fields, warn, provider=provider.name, profile=profile, known=call.known
        )
    return native(call.columns, fields, warn, call.known)


def standard_output(session: Session, path: str | None) -> Any:
    """Return the stream of data, which need not be there when a file is named."""
    if session.world.stdout is None:
        if path not in {None, "-"}:
            return io.BytesIO()
        raise OutputError("standard output is closed", hint="name a file with -o")
    return session.world.stdout


def the_clock(session: Session) -> Clock:
    """Return the process's clock."""
    if session.world.clock is not None:
        return session.world.clock
    from cdrctl.http import Clock  # noqa: PLC0415 - loads httpx

    return Clock()


@contextmanager
def connected(
    session: Session, provider: Provider, name: str | None, profile: Profile | None = None
) -> Iterator[Connected]:
    """Return a profile ready to be asked: the sandbox's in this process, one read before, or one of the file."""
    if name is None:  # an empty one is none that anybody has, and must not become another's
        name = session.world.environ.get("CDRCTL_PROFILE") or None
    clock = the_clock(session)
    if name == SANDBOX:
        from cdrctl import sandbox  # noqa: PLC0415 - only for its profile

        with sandbox.start(now=clock.now) as running:
            settings = provider.settings.model_validate(running.profiles[provider.name])
            with _client(session, provider, settings, clock) as client:
                yield Connected(SANDBOX, settings, client)
        return
    from cdrctl import profiles  # noqa: PLC0415 - not for the sandbox

    if profile is None:
        found, warnings = profiles.read_profiles(session.config, session.world.environ)
        for warning in warnings:
            session.voice.tell("warning", warning)
        profile = profiles.choose(found, provider.name, name, session.world.environ)
    settings = profiles.settings(
        profile,
        provider.settings,
        session.world.environ,
        warn=lambda text: session.voice.tell("warning", text),
    )
    session.voice.conceal([*profiles.secret_values(settings), *settings.disguised()])
    _check_ways(provider, profile, settings)
    shelf = None
    origin = getattr(settings, "refresh_token", None)
    if provider.keeps_tokens and origin is not None:
        shelf = profiles.token_file(session.config, profile.name, origin.get_secret_value())
    paced = settings.requests_per_minute != 0
    pace_shelf = profiles.pace_file(session.config, provider.name, settings) if paced else None
    with _client(session, provider, settings, clock, shelf, pace_shelf) as client:
        yield Connected(profile.name, settings, client)


@contextmanager
def _client(
    session: Session,
    provider: Provider,
    settings: Settings,
    clock: Clock,
    shelf: TokenShelf | None = None,
    pace_shelf: PaceShelf | None = None,
) -> Iterator[Client]:
    client = connect(
        provider,
        settings,
        clock=clock,
        tell=session.voice.tell,
        conceal=session.voice.conceal,
        shelf=shelf,
        pace_shelf=pace_shelf,
        transport=session.world.transport,
    )
    with closing(client):
        yield client


def _check_ways(provider: Provider, profile: Any, settings: Settings) -> None:
    """Refuse a profile that has not all settings of at least one way to sign in, naming what is missing."""
    from cdrctl.profiles import environment_name  # noqa: PLC0415 - not for the sandbox

    missing = {
        way: [name for name in names if not str(getattr(settings, name) or "")] for way, names in provider.ways.items()
    }
    if any(not names for names in missing.values()):
        return
    begun = [names for way, names in missing.items() if len(names) < len(provider.ways[way])]
    if begun:
        names = begun[0]
        keys = " and ".join(names)
        variables = " and ".join(environment_name(profile.name, name) for name in names)
        raise ConfigurationError(
            f"profile {profile.name} has no {keys}, without which the rest of its sign-in is of no use",
            hint=f"set {keys} in {profile.path}, or {variables}",
        )
    choices = ", or ".join(
        " and ".join(f"{name} ({environment_name(profile.name, name)})" for name in names)
        for names in provider.ways.values()
    )
    raise ConfigurationError(
        f"profile {profile.name} has no credential", hint=f"set {choices} in {profile.path} or the environment"
    )
