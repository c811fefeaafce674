"""`cdrctl PROVIDER CALL`: the export of one call of one profile."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from cdrctl.cli.connecting import SANDBOX, Connected, connected, open_call, the_clock
from cdrctl.cli.failures import some
from cdrctl.cli.output_options import (
    COMMON_NAME,
    data,
    drift,
    has_color,
    local_zone,
    prepare_messages,
    render_options,
    standard_output,
    table_name,
)
from cdrctl.cli.progress import progress
from cdrctl.cli.request import read_request
from cdrctl.cli.run import Session
from cdrctl.cli.signals import ReaderLeftError
from cdrctl.errors import CdrctlError, IncompleteError, NoRecordsError, OutputError, UsageError
from cdrctl.export.fetching import events_of
from cdrctl.export.pipeline import read, schema_of, write
from cdrctl.export.request import ExportRequest
from cdrctl.export.rows import Tally
from cdrctl.fetchers import Call, Provider
from cdrctl.fetchers.options import bounded_lines, call_options, lines_of_file
from cdrctl.http.addresses import IN_CLEAR, in_clear
from cdrctl.records.events import File, Note
from cdrctl.writers.output import check, output

if TYPE_CHECKING:
    from cdrctl.profiles.file import Profile


def export_call(
    session: Session, provider: Provider, call: Call, shared: Mapping[str, Any], own: Mapping[str, Any]
) -> None:
    """Export one call, as the shared options and its own ones say."""
    started = time.monotonic()
    path, file = _destinations(call, shared["output"], own)
    if shared["source"] is not None:
        from cdrctl.cli.from_archive import refuse_provider_options

        refuse_provider_options(session, call, own)
    request = read_request(session, shared, call, path)
    prepare_messages(session, path)
    if call.changed:
        session.reporter.left_behind = call.changed
    options = own_options(session, call, own)
    # What is not a field is refused before anything is requested.
    schema = schema_of(provider, call, SANDBOX, request, lambda _text: None)
    request.selection.check(schema, the_clock(session).now())
    if request.schema == "common":
        note_never_given(session, request, [(provider, call)])
    request = _with_outcome_columns(session, request, call)
    if request.archive is not None:
        from cdrctl.cli.from_archive import export_from_archive

        export_from_archive(session, provider, call, request, request.archive, started, own)
        return
    if request.dry_run:
        dry_run(session, provider, call, request, options)
        return
    offline = Connected(request.profile or "", None, None)
    with nullcontext(offline) if call.offline else connected(session, provider, request.profile) as profile:
        _export(session, provider, call, profile, request, options, file, started)


def _export(
    session: Session,
    provider: Provider,
    call: Call,
    profile: Connected,
    request: ExportRequest,
    options: Mapping[str, Any],
    file: str | None,
    started: float,
) -> None:
    """Read and write the records of one call of a profile that is ready for requests.

    Raises:
        IncompleteError: There are gaps.
        NoRecordsError: There are no records, and there should be.
    """
    log, tally = session.reporter.log, Tally()
    opened = open_call(session, provider, call, profile, request, options, log)
    about = " ".join(filter(None, (provider.name, call.group, call.name)))
    schema = schema_of(provider, call, profile.name, request, drift(log, about, strict=request.strict))
    native = request.schema == "native"
    zone = request.window.zone_of(profile.settings)
    look = render_options(
        session,
        request,
        local_zone(request, zone, "UTC unless --tz says otherwise", windowed=call.takes_window),
        table_name(provider, call) if native else COMMON_NAME,
        call if native else None,
    )
    pages = read(
        opened,
        request,
        schema,
        tally,
        follow=lambda window: progress(tally, window, profile.client, the_clock(session), log),
        save=lambda came: _save(session, came, file),
    )
    with (
        data(session, request.output) as out,
        closing(pages),  # threads that fetch end before the client is closed
        counted(session, tally, lambda: _requests(tally, profile), started),
    ):
        write(pages, request, schema, tally, log, out, look)
    conclude(tally, request)


def _destinations(call: Call, output_file: str | None, own: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return where the records go, and where a file goes that the call yields: `-o` names the file if there is one.

    Raises:
        OutputError: The file cannot be written there.
    """
    if not (call.gives_file is True or (call.gives_file and own.get(call.gives_file))):
        return output_file, output_file
    if output_file == "-":
        return os.devnull, "-"
    if output_file is not None:
        check(output_file)
    return None, output_file


def note_never_given(session: Session, request: ExportRequest, calls: Sequence[tuple[Provider, Call]]) -> None:
    """Note what the condition looks for in common CDRs, if none of the calls can give it."""
    if request.selection.condition is None:
        return
    from cdrctl.cli.outcomes import never_given

    if note := never_given(request.selection.condition, calls):
        session.reporter.log("note", note)


def _with_outcome_columns(session: Session, request: ExportRequest, call: Call) -> ExportRequest:
    """Return a request that reads all columns, if a table colours the outcome: it may depend on any of them."""
    fields = request.selection.fields or ()
    if request.schema != "native" or not has_color(session, request.output):
        return request
    if set(call.outcome_columns).isdisjoint(fields):
        return request
    return replace(request, selection=replace(request.selection, fields=None))


def dry_run(
    session: Session,
    provider: Provider,
    call: Call,
    request: ExportRequest,
    options: Mapping[str, Any],
    profile: Profile | None = None,
) -> None:
    """Print the requests of an export as lines for curl, and send none.

    Each gets a response without records, so requests that only follow from records are not printed.
    """
    log = session.reporter.log
    if call.offline:
        log("note", f"cdrctl {provider.name} {call.name} sends no requests")
        return
    with output(None, standard_output(session, None)) as out:

        def put(line: str) -> None:
            out.write(f"{session.reporter.masked(line)}\n".encode("utf-8", "replace"))

        name = profile.name if profile is not None else request.profile
        with connected(session, provider, name, profile, dry_run=put) as ready:
            assert ready.client is not None  # noqa: S101 - connected() has one
            if in_clear(ready.client.base_url):
                log("warning", IN_CLEAR)
            try:
                _, events = events_of(open_call(session, provider, call, ready, request, options, log), request)
                for event in events:
                    if isinstance(event, Note) and not ready.client.requests:  # later notes are about empty responses
                        log("note", event.text)
            except CdrctlError as error:
                if isinstance(error, UsageError) or not ready.client.requests:
                    raise
    log(
        "note",
        f"{ready.name} ({provider.name}): nothing was sent; further requests, such as those for the following pages, "
        "depend on the responses",
    )


def _requests(tally: Tally, profile: Connected) -> dict[str, int]:
    """Return how much was asked of the provider, for the closing line."""
    requests = profile.client.requests if profile.client else 0
    return {"pages": tally.pages, "requests": requests, "duplicates_dropped": tally.duplicates}


@contextmanager
def counted(session: Session, tally: Tally, further: Callable[[], Mapping[str, int]], started: float) -> Iterator[None]:
    """Write the closing line at the end of the block, also if it broke off after records had come.

    `further` returns what is counted besides the records.
    """

    def closing_line() -> None:
        session.reporter.summary(
            {
                "records": tally.records,
                **({"left_out_by_where": tally.left_out} if tally.left_out else {}),
                **further(),
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


def conclude(tally: Tally, request: ExportRequest) -> None:
    """Raise the error of an export that went to its end.

    Raises:
        IncompleteError: There are gaps.
        NoRecordsError: There are no records, and there should be.
    """
    if tally.gaps and not request.allow_partial:
        said = [gap.said for gap in tally.gaps if gap.said]
        hints = [gap.hint for gap in tally.gaps if gap.hint]
        raise IncompleteError(
            f"incomplete: {some([gap.what for gap in tally.gaps], '; ')}",
            said=said[0] if said else None,
            hint=hints[0] if hints else "run the command again, or accept the gap with --allow-partial",
        )
    if not tally.records and request.fail_if_empty:
        raise NoRecordsError("there were no records", hint="leave --fail-if-empty out if that is expected")


def _save(session: Session, file: File, target: str | None) -> None:
    """Write a file that came from the provider: where `-o` says, else under its own name in the current folder.

    Raises:
        OutputError: It cannot be written, or would replace a file that `-o` does not name.
    """
    path = target or file.name
    if target is None and os.path.lexists(path):
        raise OutputError(f"{path} exists already", hint="name another file with -o, or move the existing file away")
    with output(path, standard_output(session, path), functools.partial(session.reporter.log, "note")) as out:
        for piece in file.content:
            out.write(piece)
    if target != "-":
        session.reporter.log("note", f"the file was saved as {path}")


def own_options(session: Session, call: Call, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a call as its fetcher takes them."""
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
