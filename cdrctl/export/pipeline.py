"""The stages of an export: schema, window, events, rows, order, columns, times, writer.

    schema_of ──► read ──► (merge) ──► write

One profile, several profiles, the archive and the library use the same stages. Several profiles are read in threads
whose pages are merged; the library does not write; the archive reads whole days with a schema of its own. An export
from an archive has the events of the archive instead of those of the provider.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable
from datetime import datetime, tzinfo
from typing import Any

from cdrctl import windows, writers
from cdrctl.errors import UsageError
from cdrctl.export.fetching import OpenCall, events_of
from cdrctl.export.identity import with_record_key
from cdrctl.export.request import ExportRequest
from cdrctl.export.rows import Log, Moved, Save, Tally, rows
from cdrctl.export.selection import Page, arrange, note_unseen, row_filter
from cdrctl.fetchers import Call, Provider
from cdrctl.records.columns import Warn
from cdrctl.records.events import Event
from cdrctl.records.schemas import Schema, common, native, raw
from cdrctl.windows import Window

Follow = Callable[[Window | None], Moved]
"""From the window of an export to a function that is called whenever its tally has changed."""


def schema_of(provider: Provider, call: Call, profile: str, request: ExportRequest, warn: Warn) -> Schema:
    """Return the schema of a request, with the columns that are needed; `warn` receives what does not fit them.

    Raises:
        UsageError: The call has no such schema, or a field is not one of its columns.
    """
    fields = request.selection.needed
    if request.schema == "raw":
        if fields is not None:
            raise UsageError(
                "--fields does not apply to raw records, which have no columns", hint="use --schema native"
            )
        return raw()
    if request.schema == "native":
        schema = native(call.columns, fields, warn, call.expected)
    elif call.common is None:
        raise UsageError(
            f"{provider.name} {call.name} returns no calls: --schema common does not apply", hint="use --schema native"
        )
    else:
        names = {"provider": provider.name, "profile": profile}
        schema = common(call.columns, call.common, fields, warn, **names, known=call.expected)
    return with_record_key(schema, provider, call, profile) if request.output.record_keys else schema


def read(
    opened: OpenCall,
    request: ExportRequest,
    schema: Schema,
    tally: Tally,
    *,
    follow: Follow = lambda _window: lambda _done: None,
    save: Save | None = None,
    recent_noted: bool = False,
) -> Generator[Page, None, None]:
    """Yield the wanted rows of one call of one profile, page by page.

    Args:
        opened: The call.
        request: The request.
        schema: The schema, as `schema_of` returns it.
        tally: Counts what is done.
        follow: Follows the progress.
        save: Receives each file that the call yields.
        recent_noted: A note about the end of the window has been written already.

    Raises:
        UsageError: The window or the condition makes no sense.
    """
    zone = request.window.zone_of(opened.query.settings) or windows.zone("UTC")
    return wanted_rows(
        lambda: events_of(opened, request, recent_noted=recent_noted),
        opened.call,
        request,
        schema,
        tally,
        opened.log,
        zone=zone,
        now=opened.now(),
        follow=follow,
        save=save,
        present=opened.present,
    )


def wanted_rows(
    read_events: Callable[[], tuple[Window | None, Iterable[Event]]],
    call: Call,
    request: ExportRequest,
    schema: Schema,
    tally: Tally,
    log: Log,
    *,
    zone: tzinfo,
    now: datetime,
    follow: Follow = lambda _window: lambda _done: None,
    save: Save | None = None,
    present: Callable[[], datetime] | None = None,
) -> Generator[Page, None, None]:
    """Yield the wanted rows of the events of a call, whether they come from its provider or from an archive.

    Args:
        read_events: Returns the window and its events.
        call: The call.
        request: The request.
        schema: The schema, as `schema_of` returns it.
        tally: Counts what is done.
        log: Receives notes and warnings.
        zone: The time zone of words and of times without an offset.
        now: The present instant.
        follow: Follows the progress.
        save: Receives each file that the call yields.
        present: Gives the present instant by the provider's clock.

    Raises:
        UsageError: The window or the condition makes no sense.
    """
    selection = request.selection
    unseen = selection.unseen if schema.columns is None else set()
    warn = functools.partial(log, "warning")
    keep = row_filter(selection, schema, zone=zone, now=now, warn=warn, unseen=unseen)
    window, events = read_events()
    further: dict[str, Any] = {"save": save, "keep": keep, "moved": follow(window), "present": present}
    pages = rows(events, call, schema, window, tally, log, selection.stops_at, **further)
    return note_unseen(pages, unseen, tally, log) if unseen else pages


def write(
    pages: Iterable[Page],
    request: ExportRequest,
    schema: Schema,
    tally: Tally,
    log: Log,
    out: Any,
    look: writers.RenderOptions,
) -> None:
    """Write pages in the order, with the columns, the times and the format of a request.

    Args:
        pages: The rows.
        request: The request.
        schema: The schema of the rows.
        tally: Counts what is written; of sorted records, a limit leaves some out.
        log: Receives notes and warnings.
        out: What the writer of the format writes to.
        look: What the writer of the format should know.
    """
    written, arranged = arrange(pages, request.selection, schema, tally, log)
    if request.output.times == "local":
        arranged = writers.localize(request.output.format, arranged, written, look.zone)
    writers.load(request.output.format)(written, arranged, out, look)
