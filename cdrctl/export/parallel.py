"""Parts of a window, to be fetched in parallel."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from datetime import datetime, timedelta

from cdrctl.fetchers import Call, Once
from cdrctl.records.events import Event, Gap, Note
from cdrctl.windows import Window, cut

PARTS_OF_A_JOB = 6
"""Parts of a window for each parallel job: calls are not spread evenly over a day."""


def parts(window: Window, call: Call, shortest: timedelta, jobs: int, now: datetime) -> list[Window]:
    """Return adjacent windows that cover a window, oldest first, to be fetched in parallel.

    What may be older than the provider keeps is one part, because only the whole of it shows whether any of it is left.
    """
    kept = now - call.timing.retention + timedelta(days=1) if call.timing.retention is not None else window.since
    if window.since >= kept:
        return [*cut(window, call.timing.longest, shortest, PARTS_OF_A_JOB * jobs)]
    if window.until <= kept:
        return [window]
    newer = cut(Window(kept, window.until), call.timing.longest, shortest, PARTS_OF_A_JOB * jobs)
    return [Window(window.since, kept), *newer]


def new_once() -> Once:
    """Return a thread-safe function that is true only the first time it is called with a given name."""
    seen: dict[str, object] = {}

    def once(name: str) -> bool:
        mine = object()
        return seen.setdefault(name, mine) is mine

    return once


def without_repeats(events: Generator[Event, None, None]) -> Iterator[Event]:
    """Yield events without notes and gaps that came before: several parts report the same."""
    seen: set[tuple[type[Note | Gap], str]] = set()
    with closing(events):
        for event in events:
            if isinstance(event, Note | Gap):
                text = type(event), event.text if isinstance(event, Note) else event.what
                if text in seen:
                    continue
                seen.add(text)
            yield event
