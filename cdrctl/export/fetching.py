"""What an export asks a call for: its options, its schema, and the events of a window."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, BinaryIO

from cdrctl import windows
from cdrctl.errors import UsageError
from cdrctl.export.availability import RECENT, by_their_clock, reachable
from cdrctl.export.parallel import at_once, new_once, parts, said_once
from cdrctl.fetchers import Call, Option, Query
from cdrctl.records.columns import Warn
from cdrctl.records.events import Event, Gap, Note
from cdrctl.records.schemas import Schema, common, native, raw
from cdrctl.windows import Window


def call_options(call: Call, given: Mapping[str, Any], lines_of: Callable[[str], Iterator[bytes]]) -> dict[str, Any]:
    """Return the call's own options as its fetcher takes them; `lines_of` reads the file that an option names.

    Raises:
        UsageError: A duration cannot be read.
    """
    values: dict[str, Any] = {}
    for option in call.options:
        value = given.get(option.name)
        if option.kind == "duration" and isinstance(value, str):
            value = windows.duration(value)
        elif option.kind == "file":
            value = lines_of(str(value))
        elif option.repeat:
            value = tuple(value or ())
        values[option.name] = value
    return values


LONGEST_LINE = 64 * 1024 * 1024
"""Bytes of a line that are read at once. The rest of a longer line becomes another line, so memory is bounded."""


def bounded_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file, none longer than LONGEST_LINE."""
    return iter(functools.partial(file.readline, LONGEST_LINE + 1), b"")


def lines_of_file(path: str) -> Iterator[bytes]:
    """Yield the lines of a file.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a path as typed, /dev/stdin too
            yield from bounded_lines(file)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint="name a file, or - for standard input"
        ) from None


def default_of(option: Option) -> Any:
    """Return the value of an option that was not given."""
    if option.kind == "integer" and option.default is not None:
        return int(option.default)
    return False if option.kind == "flag" else option.default


def schema_of(call: Call, provider: str, profile: str, name: str, fields: Sequence[str] | None, warn: Warn) -> Schema:
    """Return the schema `native`, `common` or `raw` of a call, with all columns or some.

    Raises:
        UsageError: The call has no such schema, or a field is not one of its columns.
    """
    if name == "raw":
        if fields is not None:
            raise UsageError(
                "raw records are not touched: --fields cannot choose from them", hint="use --schema native"
            )
        return raw()
    if name == "common":
        if call.common is None:
            raise UsageError(f"{provider} {call.name} has no calls in it: --schema common does not fit")
        return common(call.columns, call.common, fields, warn, provider=provider, profile=profile, known=call.expected)
    return native(call.columns, fields, warn, call.expected)


def events_of(
    call: Call,
    query: Query[Any],
    now: datetime,
    title: str,
    *,
    jobs: int = 0,
    stops_early: bool = False,
    raw: bool = False,
    told: bool = False,
) -> tuple[Window | None, Iterator[Event]]:
    """Return the part of a window that the provider can have by now, and the events of a call in it.

    Args:
        call: The call.
        query: The query for the whole window.
        now: The present instant.
        title: The provider's name in messages.
        jobs: How many parts of the window are fetched in parallel; 0 to fetch in the thread that asks.
        stops_early: The export may end before the window does, so nothing is fetched ahead or in parallel.
        raw: The records are wanted as they came.
        told: It has been said already that calls may be missing at the end of the window.
    """
    window, rest = reachable(query.window, call.timing.lag, now, title, cut=call.timing.refuses_newer)
    if told:
        rest = [event for event in rest if not is_recent(event)]
    if stops_early:  # it has no end from which another export could go on
        rest = [event for event in rest if isinstance(event, Gap)]
    if window is None:
        return None, iter(rest)
    ahead = [window] if jobs and not stops_early else []
    if jobs > 1:
        shortest = call.timing.min_parallel_window(query.options)
        why = call.timing.serial_because if shortest is None else "so short a window is not worth more requests"
        if not ahead:
            why = "with --limit nothing is asked for that may not be needed"
        elif shortest is not None:
            ahead = parts(window, call, shortest, jobs, now)
        if len(ahead) <= 1:
            rest = [*rest, Note(f"{title} is asked for one thing after the other in spite of --jobs: {why}")]
    events = fetch_window(call, replace(query, period=window), now, title, raw=raw, ahead=ahead, jobs=jobs)
    return window, _after(rest, events)


def is_recent(event: Note | Gap) -> bool:
    """Return whether an event is the short note that calls may be missing at the end of a window."""
    return isinstance(event, Note) and event.topic == RECENT and event.level == "note"


def with_decoder(query: Query[Any], call: Call, *, raw: bool) -> Query[Any]:
    """Return the query with a client that decodes the pages of this call column by column, if they can be read so."""
    if query.client is None or call.key_fields is None:
        return query
    from cdrctl.records.decoding import BatchDecoder

    return replace(query, client=query.client.with_decoder(BatchDecoder(call.columns, call.key_fields, raw=raw)))


def fetch_window(
    call: Call,
    query: Query[Any],
    now: datetime,
    title: str,
    *,
    raw: bool = False,
    ahead: Sequence[Window] = (),
    jobs: int = 1,
) -> Iterator[Event]:
    """Return the events of the query's window, and what the provider's clock says of its end.

    With `ahead`, the window itself or its parts, the next event is fetched while one is written, and as many parts in
    parallel as there are jobs.
    """
    client: Any = query.client  # None for a call that is offline
    query = with_decoder(query, call, raw=raw)
    events: Iterator[Event]
    if not ahead:
        events = call.fetch(query)
    elif len(ahead) == 1:
        events = at_once([functools.partial(call.fetch, query)])
    else:
        split = replace(query, once=new_once(), whole=query.window)
        queries = [replace(split, period=part) for part in ahead]
        events = said_once(at_once([functools.partial(call.fetch, one) for one in queries], jobs))
    if client is None:
        return events
    return by_their_clock(events, query.window, call.timing.lag, lambda: client.ahead, now, title)


def _after(rest: Sequence[Note | Gap], events: Iterator[Event]) -> Iterator[Event]:
    yield from rest
    yield from events
