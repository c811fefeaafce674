"""An export from the words of a command: which profile, which window, which form, where to."""

from __future__ import annotations

import dataclasses
import functools
import io
import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from cdrctl import windows, writers
from cdrctl.cli.failures import some
from cdrctl.cli.progress import progress
from cdrctl.cli.record_selection import choice, has_header
from cdrctl.cli.run import Session, read_profiles
from cdrctl.cli.signals import ReaderLeftError
from cdrctl.errors import (
    CdrctlError,
    ConfigurationError,
    DriftError,
    IncompleteError,
    Message,
    NoRecordsError,
    OutputError,
    SignInError,
    UsageError,
    near,
)
from cdrctl.export import (
    RECENT,
    Tally,
    at_once,
    by_their_clock,
    new_once,
    parts,
    providers_present,
    reachable,
    rows,
    said_once,
    with_record_key,
)
from cdrctl.fetchers import Call, Provider, connect
from cdrctl.http import MASK
from cdrctl.http.addresses import IN_CLEAR, in_clear
from cdrctl.records.common import COMMON
from cdrctl.records.events import Event, File, Gap, Note, Row
from cdrctl.records.schemas import Schema, common, native, outcomes, raw
from cdrctl.writers.output import check, destination, output
from cdrctl.zones import machine_zone

if TYPE_CHECKING:
    import httpx
    from pydantic import SecretStr

    from cdrctl.fetchers.settings import Settings
    from cdrctl.http import Answer, Client, Clock, RateStore, Request, Token, TokenStore
    from cdrctl.profiles.file import Profile
    from cdrctl.profiles.tokens import TokenFile

SANDBOX = "sandbox"
SCHEMAS = ("native", "common", "raw")
TIMES = ("utc", "local")


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
    say_aside(session, shared["output"])
    shown = call.table_columns if shared["schema"] == "native" else COMMON_SHOWN
    fields = fields_of(shared, form, call if shared["schema"] == "native" else None, shown)
    chosen = choice(shared, fields)
    header = has_header(shared, form)
    local_times = wants_local_times(shared, form)
    zone = windows.zone(shared["tz"]) if shared["tz"] else None
    options = own_options(session, call, own)
    color = form == "table" and colored(session, shared["output"])
    whole = color and shared["schema"] == "native" and not set(call.outcome_columns).isdisjoint(chosen.fields or ())
    # What a whole record says of its outcome, its ending may not say alone.
    kept = replace(chosen, fields=None) if whole else chosen
    database = writers.is_database(form)
    # What makes a record this record may be all it says: a table must be given it whole.
    options["fields"] = kept.needed if shared["schema"] == "native" and not database else None
    options["strict"] = shared["strict"]
    asked = _schema(call, provider, SANDBOX, shared["schema"], chosen.needed, lambda _text: None)
    chosen.check(asked, the_clock(session).now())  # what is no field is refused first
    if shared["schema"] == "common":
        chosen.note_never_given([(provider, call)], session.reporter.log)
    if shared["dry_run"]:
        dry_run(session, provider, call, shared, zone, options)
        return
    nobody = Connected(shared["profile"] or "", None, None)
    with nullcontext(nobody) if call.offline else connected(session, provider, shared["profile"]) as profile:
        said = profile.settings and profile.settings.timezone
        own_zone = zone or (windows.zone(said) if said else None)
        zone = own_zone or windows.zone("UTC")
        schema = _schema(
            call,
            provider,
            profile.name,
            shared["schema"],
            kept.needed,
            drift(session, shared, f"{provider.name} {' '.join(filter(None, (call.group, call.name)))}"),
        )
        if database:
            schema = with_record_key(schema, provider, call, profile.name)
        look = writers.RenderOptions(
            width=session.process.width,
            color=color,
            shown=shown,
            chosen=chosen.fields,
            for_spreadsheets=shared["spreadsheet_safe"],
            header=header,
            template=shared["template"] or "",
            **local(shared, form, own_zone, "UTC unless --tz says otherwise", windowed=call.takes_window),
            local_times=local_times,
            **endings(call if shared["schema"] == "native" else None, kept.fields),
            name=table_name(provider, call) if shared["schema"] == "native" else COMMON_NAME,
            warn=lambda text: session.reporter.log("warning", text),
        )
        tally = Tally()
        log = session.reporter.log
        keep = chosen.keep(schema, zone=zone, now=the_clock(session).now(), warn=lambda text: log("warning", text))
        window, pieces = fetched(session, provider, call, profile, shared, zone, options)
        with data(session, shared, form) as out:
            pages = rows(
                pieces,
                call,
                schema,
                window,
                tally,
                log,
                chosen.stops_at,
                save=lambda file: _save(session, file, target),
                keep=keep,
                moved=progress(tally, window, profile.client, the_clock(session), log),
                present=presently(session, profile),
            )
            with closing(pages), counted(session, tally, profile, started):  # whoever fetches ends before the client
                arranged = kept.arranged(pages, schema, tally, log)
                written = kept.written(schema)
                if local_times:
                    arranged = writers.localized(form, arranged, written, zone)
                writers.load(form)(written, arranged, out, look)
    conclude(tally, shared)


def dry_run(
    session: Session,
    provider: Provider,
    call: Call,
    shared: Mapping[str, Any],
    zone: tzinfo | None,
    options: Mapping[str, Any],
    profile: Profile | None = None,
) -> None:
    """Print the requests of an export as lines for curl, sending none.

    Each is answered with nothing: what is asked only of answers with records in them is not among them.
    """
    log = session.reporter.log
    if call.offline:
        log("note", f"cdrctl {provider.name} {call.name} asks nobody")
        return
    with output(None, standard_output(session, None)) as out:

        def put(line: str) -> None:
            out.write(f"{session.reporter.masked(line)}\n".encode("utf-8", "replace"))

        name = profile.name if profile is not None else shared["profile"]
        with connected(session, provider, name, profile, dry_run=put) as opened:
            assert opened.client is not None  # noqa: S101 - connected() has one
            if in_clear(opened.client.base_url):
                log("warning", IN_CLEAR)
            zone = zone or windows.zone((opened.settings and opened.settings.timezone) or "UTC")
            try:
                _, pieces = fetched(session, provider, call, opened, shared, zone, options)
                for piece in pieces:
                    if isinstance(piece, Note) and not opened.client.requests:  # later ones are of no real answer
                        log("note", piece.text)
            except CdrctlError as error:
                if isinstance(error, UsageError) or not opened.client.requests:
                    raise
    log(
        "note",
        f"{opened.name} ({provider.name}): nothing was sent; what else is asked depends on the answers: pages that "
        "follow, for example",
    )


@contextmanager
def counted(session: Session, tally: Tally, profile: Connected, started: float) -> Iterator[None]:
    """Say the closing line at the end of the block, also when it broke off after records had come."""

    def closing_line() -> None:
        session.reporter.summary(
            {
                "records": tally.records,
                **({"left_out_by_where": tally.left_out} if tally.left_out else {}),
                "pages": tally.pages,
                "requests": profile.client.requests if profile.client else 0,
                "duplicates_dropped": tally.duplicates,
                "seconds": round(time.monotonic() - started, 1),
            }
        )

    try:
        yield
    except (BrokenPipeError, ReaderLeftError):
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            session.reporter.stop_if_blocked()
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
    *,
    told: bool = False,
) -> tuple[windows.Window | None, Iterator[Event]]:
    """Return the window asked for, as far as it can be had by now, and the pieces of a call in it.

    Among these is a note that calls may be missing at the end of the window, unless it has been told.
    """
    if not call.takes_window:
        return None, call.fetch(profile.client, profile.settings, None, options)
    now = the_clock(session).now()
    asked = windows.window(shared["since"] or call.default_since, shared["until"], zone=zone, now=now)
    window, rest = reachable(asked, call.lag, now, provider.title, cut=call.refuses_newer)
    if told:
        rest = [piece for piece in rest if not is_recent(piece)]
    jobs = shared.get("jobs", 0)  # none where several profiles are asked at the same time anyway
    if (
        shared["limit"] is not None and shared["sort"] is None
    ):  # an export that stops early has no end from which another could go on
        rest = [piece for piece in rest if isinstance(piece, Gap)]
    if window is None:
        return None, iter(rest)
    ahead = [window] if jobs and (shared["limit"] is None or shared["sort"] is not None) else []
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


def is_recent(piece: Note | Gap) -> bool:
    """Return whether a piece is the short note that calls may be missing at the end of a window."""
    return isinstance(piece, Note) and piece.topic == RECENT and piece.level == "note"


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
) -> Iterator[Event]:
    """Return the pieces of a window, and what the provider's clock says of its end.

    With `ahead`, the window itself or its parts, the next piece is asked for while one is written, and so many parts at
    the same time as there are jobs.
    """
    client = profile.client
    if client is not None and call.key_fields is not None:
        from cdrctl.records.decoding import BatchDecoder

        client.read = BatchDecoder(call.columns, call.key_fields, raw=raw)
    fetch = functools.partial(call.fetch, client, profile.settings)
    pieces: Iterator[Event]
    if not ahead:
        pieces = fetch(window, options)
    elif len(ahead) == 1:
        pieces = at_once([functools.partial(fetch, window, options)])
    else:
        shared = {**options, "once": new_once(), "whole": window}
        pieces = said_once(at_once([functools.partial(fetch, part, shared) for part in ahead], jobs))
    return by_their_clock(pieces, window, call.lag, lambda: client.ahead, now, title) if client is not None else pieces


def _after(rest: Sequence[Note | Gap], pieces: Iterator[Event]) -> Iterator[Event]:
    yield from rest
    yield from pieces


COMMON_SHOWN = (
    *("start_time", "from_number", "to_number", "talk_seconds", "outcome", "direction", "user", "cost", "currency"),
    *("ring_seconds", "cause", "queue", "from_name", "to_name", "site", "trunk"),
)


def typed_times(shared: Mapping[str, Any], *, windowed: bool) -> str:
    """Return the options that may have times, as a sentence begins with them; nothing where there are none."""
    where = shared["where"] is not None
    if windowed:
        return "--since, --until and --where are" if where else "--since and --until are"
    return "--where is" if where else ""


def wants_local_times(shared: Mapping[str, Any], form: str) -> bool:
    """Return whether times are to be written with an offset.

    Raises:
        UsageError: --times is neither utc nor local, or the format cannot have local times.
    """
    which = shared["times"]
    if which not in {None, *TIMES}:
        raise UsageError(f"--times is utc or local, not {which!r}", hint=f"{near(which, TIMES)}leave it out for utc")
    if which is None:
        return False
    if which == "local" or shared["schema"] == "raw":
        writers.check_local_times(form, shared["schema"])
    return bool(which == "local")


def local(
    shared: Mapping[str, Any],
    form: str,
    said: tzinfo | None,
    zone: str,
    *,
    windowed: bool,
) -> dict[str, Any]:
    """Return the zone of the times that people read: the one that was named, else in a table that of the machine.

    Times that are typed without a zone are read in the same zone on every machine, so a table that shows another zone
    says so.
    """
    if shared["times"] == "utc" and form == "table":
        return {"zone": windows.zone("UTC")}
    if said is not None or form != "table":
        return {"zone": said or windows.zone("UTC")}
    typed = typed_times(shared, windowed=windowed)
    here = machine_zone()
    if here is None:  # the C library takes UTC for a TZ that it cannot read, and says nothing
        return {"zone": windows.zone("UTC"), "beside": "; TZ does not name a time zone"}
    if str(here).rpartition("/")[2] in {"UTC", "UCT", "Universal", "Zulu"}:
        return {"zone": windows.zone("UTC")}
    return {"zone": here, "beside": f"; {typed} in {zone}" if typed else ""}


def endings(call: Call | None, fields: Sequence[str] | None) -> dict[str, Any]:
    """Return what a table colours: the ending of a whole native record, or the outcome of a common one."""
    if call is not None:
        if call.common is None or fields is not None:
            return {}
        return {"outcome": outcomes(call.columns, call.common), "ending": call.outcome_columns}
    names = [column.name for column in COMMON] if fields is None else fields
    if "outcome" not in names:
        return {}
    at = names.index("outcome")

    def outcome(row: Row) -> object:
        return row[at]

    return {"outcome": outcome}


@contextmanager
def data(session: Session, shared: Mapping[str, Any], form: str) -> Iterator[Any]:
    """Return what is written to: a file, standard output, or a pager on a terminal; of a database its path.

    A table is paged; other forms are with --pager.
    """
    path = shared["output"]
    stream = standard_output(session, path)
    wanted = form == "table" if shared["pager"] is None else shared["pager"]
    with ExitStack() as opened:
        if wanted and path in {None, "-"} and session.process.stdout_is_terminal:
            from cdrctl.cli.pager import paged

            stream = opened.enter_context(paged(session, stream))
        note = functools.partial(session.reporter.log, "note")
        yield opened.enter_context(destination(path, stream, database=writers.is_database(form), note=note))


COMMON_NAME = "cdrs"
"""The table of common CDRs, whatever provider they come from."""


def table_name(provider: Provider, call: Call) -> str:
    """Return the name of the table that the records of a call are in."""
    return "_".join(filter(None, (provider.name, call.group, call.name))).replace("-", "_")


def conclude(tally: Tally, shared: Mapping[str, Any]) -> None:
    """Raise what the exit code must say of an export that went to its end."""
    if tally.gaps and not shared["allow_partial"]:
        said = [gap.said for gap in tally.gaps if gap.said]
        hints = [gap.hint for gap in tally.gaps if gap.hint]
        raise IncompleteError(
            f"incomplete: {some([gap.what for gap in tally.gaps], '; ')}",
            said=said[0] if said else None,
            hint=hints[0] if hints else "run it again, or accept it with --allow-partial",
        )
    if not tally.records and shared["fail_if_empty"]:
        raise NoRecordsError("there were no records", hint="leave --fail-if-empty out if that is as it should be")


def colored(session: Session, path: str | None = None) -> bool:
    """Return whether a table may have colours (no-color.org, force-color.org; a dumb terminal shows escapes as text).

    A file has none, whatever standard output is.
    """
    environ = session.process.environ
    if environ.get("NO_COLOR") or path not in {None, "-"}:
        return False
    if any(environ.get(name, "0") not in {"", "0"} for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return session.process.stdout_is_terminal and environ.get("TERM") != "dumb"


def say_aside(session: Session, target: str | None) -> None:
    """Let progress be shown where data goes elsewhere than to the terminal, and say what an interruption leaves."""
    to_stdout = target in {None, "-"}
    # What reads a pipe may write to the same terminal, where a line of progress would stand in its way.
    session.reporter.data_elsewhere = not to_stdout or not (
        session.process.stdout_is_terminal or session.process.stdout_is_pipe
    )
    left = "standard output has whole records, and not all of them" if to_stdout else f"{target} is as it was"
    session.reporter.left_behind = f"{left}: run it again"


def output_format(session: Session, shared: Mapping[str, Any]) -> str:
    """Return the output format, refused before anything is asked where it cannot be."""
    if shared["schema"] not in SCHEMAS:
        raise UsageError(
            f"there is no schema {shared['schema']!r}",
            hint=f"{near(shared['schema'], SCHEMAS)}the schemas are: {', '.join(SCHEMAS)}",
        )
    path = shared["output"]
    to_stdout = path is None or path == "-"
    if shared["template"] is not None:
        if shared["format"] is not None:
            raise UsageError("--template is a format of its own", hint="leave -f out")
        return writers.TEMPLATE
    if shared["format"] == writers.TEMPLATE:
        raise UsageError("what shall a line look like?", hint="write it as --template '{start_time} {from_number}'")
    form: str | None = shared["format"] or (None if to_stdout else writers.format_of(path))
    wants_raw = shared["schema"] == "raw"
    if wants_raw and shared["strict"]:
        raise UsageError(
            "raw records are not read: --strict has nothing to hold them against", hint="use --schema native"
        )
    if form is None:
        form = "table" if to_stdout and session.process.stdout_is_terminal and not wants_raw else "jsonl"
    if wants_raw and not writers.takes_raw(form):
        raise UsageError(f"raw records have no columns and cannot be written as {form}", hint="use -f jsonl or -f json")
    if shared["spreadsheet_safe"] and form not in {"csv", "tsv"}:
        raise UsageError(f"--spreadsheet-safe is for csv and tsv, not for {form}", hint="use -f csv, or leave it out")
    check_place(session, form, path)
    return form


def check_place(session: Session, form: str, path: str | None) -> None:
    """Refuse a format, or a place to which it cannot be written, before anything is asked."""
    if form == writers.TEMPLATE:
        raise UsageError(
            f"{form} is a format of commands with --template alone", hint=f"use one of: {', '.join(writers.FORMATS)}"
        )
    writers.load(form)
    to_stdout = path is None or path == "-"
    if writers.is_database(form) and to_stdout:
        raise UsageError(f"{form} is a file that is changed in its place, and no stream", hint="name it with -o FILE")
    if not writers.is_binary(form):
        return
    if path is not None and path.lower().endswith(".gz"):
        raise UsageError(f"{form} is not compressed again", hint="leave .gz out of the name")
    if to_stdout and session.process.stdout_is_terminal:
        raise UsageError(f"{form} is nothing that a terminal can show", hint="name a file with -o, or use a pipe")


def drift(session: Session, shared: Mapping[str, Any], about: str) -> Callable[[str], None]:
    """Return what is told how records differ from their columns: it warns, or ends the export with --strict."""
    if not shared["strict"]:
        return lambda text: session.reporter.log("warning", text)

    def refuse(text: str) -> None:
        raise DriftError(
            f"the records do not fit the columns known: {text.what if isinstance(text, Message) else text}",
            hint=f"cdrctl fields {about} lists the columns; without --strict nothing is lost and this is a warning",
        )

    return refuse


EVERY_FIELD = "all"
"""What --fields names for all columns, where a format has fewer by default."""


def fields_of(shared: Mapping[str, Any], form: str, call: Call | None, usual: Sequence[str]) -> list[str] | None:
    """Return the fields chosen, or None for all.

    A workbook is for people: without --fields it has the columns of a table. `--fields all` gives all of them.

    Args:
        shared: The shared options.
        form: The output format.
        call: The call whose native columns are written; None for the common schema.
        usual: The columns that a table shows.
    """
    if shared["fields"] is not None or form != "xlsx":
        return field_names(shared["fields"])
    names = [column.name for column in (COMMON if call is None else call.columns)]
    return [name for name in usual if name in names] or None


def field_names(text: str | None) -> list[str] | None:
    """Return the fields chosen, or None for all."""
    if text is None or text.strip() == EVERY_FIELD:
        return None
    fields = [name.strip() for name in text.split(",") if name.strip()]
    if not fields:
        raise UsageError("--fields names no field", hint="write it as --fields a,b,c")
    if repeated := [name for name, times in Counter(fields).items() if times > 1]:
        raise UsageError(f"--fields names {repeated[0]!r} more than once", hint="name each field once")
    return fields


def _save(session: Session, file: File, target: str | None) -> None:
    """Write a file that came from the provider: where -o says, else under its own name in this folder."""
    path = target or file.name
    if target is None and os.path.lexists(path):
        raise OutputError(f"{path} is there already", hint="name another file with -o, or move that one away")
    with output(path, standard_output(session, path), functools.partial(session.reporter.log, "note")) as out:
        for piece in file.content:
            out.write(piece)
    if target != "-":
        session.reporter.log("note", f"the file is {path}")


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


LONGEST_LINE = 64 * 1024 * 1024
"""Bytes of a line that are read at once; a call that reads a file gets the rest of a longer one as another line."""


def _bounded(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file; one without an end must not fill memory."""
    return iter(functools.partial(file.readline, LONGEST_LINE + 1), b"")


def _lines(session: Session, path: str) -> Iterator[bytes]:
    """Yield the lines of a file, or of standard input.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        if path == "-":
            file = getattr(session.process.stdin, "buffer", None)
            yield from _bounded(file) if file is not None else (line.encode() for line in session.process.stdin)
            return
        with open(path, "rb") as file:  # noqa: PTH123 - a path as typed, /dev/stdin too
            yield from _bounded(file)
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
            call.columns, call.common, fields, warn, provider=provider.name, profile=profile, known=call.expected
        )
    return native(call.columns, fields, warn, call.expected)


def standard_output(session: Session, path: str | None) -> Any:
    """Return the stream of data, which need not be there when a file is named."""
    if session.process.stdout is None:
        if path not in {None, "-"}:
            return io.BytesIO()
        raise OutputError("standard output is closed", hint="name a file with -o")
    return session.process.stdout


def the_clock(session: Session) -> Clock:
    """Return the process's clock."""
    if session.process.clock is not None:
        return session.process.clock
    from cdrctl.http import Clock

    return Clock()


def presently(session: Session, profile: Connected) -> Callable[[], datetime]:
    """Return a function that gives the present by the provider's clock, as far as its answers have told it."""
    client = profile.client
    return providers_present(the_clock(session).now, lambda: client.ahead if client is not None else None)


@contextmanager
def connected(
    session: Session,
    provider: Provider,
    name: str | None,
    profile: Profile | None = None,
    dry_run: Callable[[str], None] | None = None,
) -> Iterator[Connected]:
    """Return a profile ready to be asked: the sandbox's in this process, one read before, or one of the file.

    With `dry_run`, which is given each request as a line for curl, nothing is sent: masks stand for secrets, and no
    command that would give one is run.
    """
    if dry_run is None:
        refuse_rehearsal(session)
    clock = the_clock(session)
    # An empty name is none that anybody has, and must not become another's.
    if (session.process.environ.get("CDRCTL_PROFILE") if name is None else name) == SANDBOX:
        from cdrctl import sandbox

        with sandbox.start(now=clock.now) as running:
            settings = provider.settings.model_validate(running.profiles[provider.name])
            if dry_run is not None:
                settings = _masked(settings)
            with _client(session, provider, settings, clock, dry_run=dry_run) as client:
                yield Connected(SANDBOX, settings, client)
        return
    from cdrctl.profiles.choosing import choose_profile
    from cdrctl.profiles.settings import read_settings

    if profile is None:
        found, warnings = read_profiles(session)
        for warning in warnings:
            session.reporter.log("warning", warning)
        profile = choose_profile(found, provider.name, name, session.process.environ)
    settings = read_settings(
        profile,
        provider.settings,
        session.process.environ,
        warn=lambda text: session.reporter.log("warning", text),
        asked=dry_run is None,
        conceal=session.reporter.conceal,
        detail=lambda text: session.reporter.log("debug", text),
    )
    if dry_run is not None:
        _check_ways(provider, profile, settings)
        settings = _masked(settings)
        if token_shelf(session, provider, profile, settings) is not None:  # what a browser gave stands there
            settings = settings.model_copy(update={"refresh_token": _mask()})
        with _client(session, provider, settings, clock, dry_run=dry_run) as client:
            yield Connected(profile.name, settings, client)
        return
    with ready(session, provider, profile, settings, clock) as one:
        yield one


@contextmanager
def ready(
    session: Session, provider: Provider, profile: Profile, settings: Settings, clock: Clock
) -> Iterator[Connected]:
    """Return a profile ready to be asked whose settings have been read."""
    from cdrctl.profiles.pace import pace_file
    from cdrctl.profiles.settings import secret_values

    session.reporter.conceal([*secret_values(settings), *settings.disguised()])
    _check_ways(provider, profile, settings)
    shelf = token_shelf(session, provider, profile, settings)
    paced = settings.requests_per_minute != 0
    rate_store = pace_file(session.config, provider.name, settings) if paced else None
    named = dataclasses.replace(provider, sign_in=functools.partial(_signing_in, provider.sign_in, profile.name))
    with _client(session, named, settings, clock, shelf, rate_store) as client:
        yield Connected(profile.name, settings, client)


def _mask() -> SecretStr:
    from pydantic import SecretStr

    return SecretStr(MASK)


def refuse_rehearsal(session: Session) -> None:
    """Refuse to ask where the environment says that nothing shall be asked, and the command has no --dry-run.

    Raises:
        UsageError: CDRCTL_DRY_RUN is set.
    """
    said = session.process.environ.get("CDRCTL_DRY_RUN", "").strip().lower()
    if said not in {"", "0", "false", "no", "off", "f", "n"}:
        raise UsageError(
            "CDRCTL_DRY_RUN is set, and this command has no --dry-run",
            hint="unset it; cdrctl plan says what a sync would ask",
        )


def _masked(settings: Settings) -> Settings:
    from cdrctl.profiles.names import secret_names

    given = [name for name in secret_names(type(settings)) if getattr(settings, name) is not None]
    return settings.model_copy(update=dict.fromkeys(given, _mask()))


def token_shelf(session: Session, provider: Provider, profile: Profile, settings: Any) -> TokenFile | None:
    """Return where the tokens are kept that a profile renews, or was given in the browser; None where it has none."""
    from cdrctl.profiles.tokens import token_file

    if not provider.keeps_tokens:
        return None
    refresh_token = getattr(settings, "refresh_token", None)
    if refresh_token is not None:
        return token_file(session.config, profile.name, refresh_token.get_secret_value())
    if provider.login is None or not all(getattr(settings, name) for name in provider.auth_methods[provider.login.way]):
        return None
    shelf = token_file(session.config, profile.name, settings.client_id)
    # Whoever has an access token and never signed in has nothing to renew, and need not be able to write.
    return shelf if getattr(settings, "access_token", None) is None or os.path.exists(shelf.path) else None  # noqa: PTH110 - False where it cannot be reached


def _signing_in(
    sign_in: Callable[[Any, Token | None, datetime], Generator[Request, Answer, Token]],
    name: str,
    settings: Settings,
    ended: Token | None,
    now: datetime,
) -> Generator[Request, Answer, Token]:
    """Sign in; where the next step after a failure is one for the profile NAME, say which that is."""
    try:
        return (yield from sign_in(settings, ended, now))
    except SignInError as error:
        error.name_profile(name)
        raise


@contextmanager
def _client(
    session: Session,
    provider: Provider,
    settings: Settings,
    clock: Clock,
    shelf: TokenStore | None = None,
    rate_store: RateStore | None = None,
    dry_run: Callable[[str], None] | None = None,
) -> Iterator[Client]:
    transport = session.process.transport
    if dry_run is not None:
        from cdrctl.http.dry_run import DryRun

        transport = cast("httpx.BaseTransport", DryRun(dry_run, provider.empty_response))
        clock = replace(clock, sleep=lambda _seconds: None)
    client = connect(
        provider,
        settings,
        clock=clock,
        log=session.reporter.log,
        conceal=session.reporter.conceal,
        shelf=shelf,
        rate_store=rate_store,
        max_wait=session.max_wait,
        transport=transport,
    )
    with closing(client):
        yield client


def _check_ways(provider: Provider, profile: Any, settings: Settings) -> None:
    """Refuse a profile that has not all settings of at least one way to sign in, naming what is missing."""
    from cdrctl.profiles.file import environment_name

    missing = {
        way: [name for name in names if not str(getattr(settings, name) or "")]
        for way, names in provider.auth_methods.items()
    }
    if any(not names for names in missing.values()):
        return
    begun = [names for way, names in missing.items() if len(names) < len(provider.auth_methods[way])]
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
        for names in provider.auth_methods.values()
    )
    raise ConfigurationError(
        f"profile {profile.name} has no credential", hint=f"set {choices} in {profile.path} or the environment"
    )
