"""An export from the words of a command: which profile, which window, which form, where to."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from cdrctl import windows, writers
from cdrctl.cli.connecting import SANDBOX, Connected, connected, presently, the_clock
from cdrctl.cli.failures import some
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
    standard_output,
    table_name,
    wants_local_times,
)
from cdrctl.cli.progress import progress
from cdrctl.cli.record_selection import choice, has_header
from cdrctl.cli.run import Session
from cdrctl.cli.signals import ReaderLeftError
from cdrctl.errors import CdrctlError, IncompleteError, NoRecordsError, OutputError, UsageError
from cdrctl.export.fetching import bounded_lines, call_options, events_of, lines_of_file, schema_of
from cdrctl.export.identity import with_record_key
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import Call, Provider
from cdrctl.http.addresses import IN_CLEAR, in_clear
from cdrctl.records.events import Event, File, Note
from cdrctl.writers.output import check, output

if TYPE_CHECKING:
    from cdrctl.profiles.file import Profile


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
    requested = kept.needed if shared["schema"] == "native" and not database else None
    asked = schema_of(call, provider.name, SANDBOX, shared["schema"], chosen.needed, lambda _text: None)
    chosen.check(asked, the_clock(session).now())  # what is no field is refused first
    if shared["schema"] == "common":
        chosen.note_never_given([(provider, call)], session.reporter.log)
    if shared["dry_run"]:
        dry_run(session, provider, call, shared, zone, options, fields=requested)
        return
    nobody = Connected(shared["profile"] or "", None, None)
    with nullcontext(nobody) if call.offline else connected(session, provider, shared["profile"]) as profile:
        said = profile.settings and profile.settings.timezone
        own_zone = zone or (windows.zone(said) if said else None)
        zone = own_zone or windows.zone("UTC")
        schema = schema_of(
            call,
            provider.name,
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
        window, pieces = fetched(session, provider, call, profile, shared, zone, options, requested)
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
    fields: Sequence[str] | None = None,
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
                _, pieces = fetched(session, provider, call, opened, shared, zone, options, fields)
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
    fields: Sequence[str] | None = None,
    *,
    told: bool = False,
) -> tuple[windows.Window | None, Iterator[Event]]:
    """Return the window asked for, as far as it can be had by now, and the pieces of a call in it.

    Among these is a note that calls may be missing at the end of the window, unless it has been told.
    """
    query = profile.query(options, fields, strict=shared["strict"])
    if not call.takes_window:
        return None, call.fetch(query)
    now = the_clock(session).now()
    asked = windows.window(shared["since"] or call.timing.default_since, shared["until"], zone=zone, now=now)
    return events_of(
        call,
        replace(query, period=asked),
        now,
        provider.title,
        jobs=shared.get("jobs", 0),  # none where several profiles are fetched in parallel anyway
        stops_early=shared["limit"] is not None and shared["sort"] is None,
        raw=shared["schema"] == "raw",
        told=told,
    )


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
    """Return the call's own options as its fetcher takes them."""
    return call_options(call, own, functools.partial(_lines, session))


def _lines(session: Session, path: str) -> Iterator[bytes]:
    """Yield the lines of a file, or of standard input.

    Raises:
        UsageError: It cannot be read.
    """
    if path != "-":
        yield from lines_of_file(path)
        return
    file = getattr(session.process.stdin, "buffer", None)
    try:
        yield from bounded_lines(file) if file is not None else (line.encode() for line in session.process.stdin)
    except OSError as error:
        raise UsageError(f"- cannot be read: {error.strerror}", hint="name a file, or - for standard input") from None
