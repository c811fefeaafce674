"""Which part of a window the provider can have by now, according to its own clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from cdrctl.fetchers import CLOCK_TOLERANCE
from cdrctl.records.events import Event, Gap, Note
from cdrctl.windows import Window, rfc3339

UP_TO_NOW = timedelta(seconds=60)
"""A window that ends this close to now means everything so far."""

LONG_CALL = timedelta(hours=2)
"""Few calls last longer. Of a window that ended longer ago, no note says that calls in progress are missing."""

RECENT = "recent"
"""The topic of the notes on calls that may be missing at the end of a window."""


def reachable(
    window: Window, lag: timedelta, now: datetime, title: str, *, cut: bool = True
) -> tuple[Window | None, list[Note | Gap]]:
    """Return the part of a window to request, or None, and notes or a gap about calls that may be missing from it.

    A provider has a call when it has ended, or up to `lag` later. A window that reaches to now is requested up to now,
    with a note on the instant from which calls may be missing. If the provider refuses newer times (`cut`), the window
    ends `lag` before now. A window that ended before now, but whose last minutes may not be there yet, has a gap.

    Args:
        window: The window that the user requested.
        lag: How long after the end of a call its record is certain to be available.
        now: The present instant.
        title: The provider's name in messages.
        cut: Whether the provider refuses times after `now - lag`.
    """
    newest = (now - lag).replace(microsecond=0)
    if window.until <= newest:
        if newest - window.until >= LONG_CALL:
            return window, []
        short = f"calls that were still in progress at {rfc3339(newest)} are not included (-v shows details)"
        return window, _recent_notes(short, title, lag)
    if cut:
        there = Window(window.since, newest) if window.since < newest else None
    else:
        there = Window(window.since, min(window.until, now)) if window.since < now else None
    if window.until >= now - UP_TO_NOW:
        short = f"from {rfc3339(newest)} on, calls may still be missing (-v shows details)"
        if cut:
            short = f"{title} has no calls after {rfc3339(newest)} yet (-v shows details)"
        return there, _recent_notes(short, title, lag)
    minutes = max(1, -((newest - window.until) // timedelta(minutes=1)))
    since, until = rfc3339(max(newest, window.since)), rfc3339(window.until)
    verb = "does not have" if cut else "may not have all of"
    return there, [
        Gap(f"{title} {verb} the calls from {since} to {until} yet", f"run the command again in {minutes} min")
    ]


def _recent_notes(short: str, title: str, lag: timedelta) -> list[Note | Gap]:
    """Return a short note, and a longer one for `-v`."""
    minutes = lag // timedelta(minutes=1)
    long = (
        f"{title} has a call when it has ended, or up to {minutes} min later; calls still in progress are not "
        "included. To get them, overlap the next export by the length of a long call and drop duplicates by record_id, "
        "or use sync"
    )
    return [Note(short, topic=RECENT), Note(long, "debug", RECENT)]


def is_recent(event: Note | Gap) -> bool:
    """Return whether an event is the short note on calls that may be missing at the end of a window."""
    return isinstance(event, Note) and event.topic == RECENT and event.level == "note"


def events_by_their_clock(
    events: Iterator[Event],
    window: Window,
    lag: timedelta,
    ahead: Callable[[], timedelta | None],
    now: datetime,
    title: str,
) -> Iterator[Event]:
    """Yield the events of a window and, if it ends after the provider's present, a note or a gap about the rest.

    `ahead` gives, after the first response, how far the clock that gave `now` is ahead of the provider's. With a clock
    that is hours ahead, a nightly export requests hours that have not happened yet, and the next one never does again.
    """
    yield from events
    by = ahead()
    if by is None or by <= UP_TO_NOW or window.until <= now - by:
        return
    end = rfc3339((now - by).replace(microsecond=0))
    if window.until >= now - lag - UP_TO_NOW:  # the window meant everything so far
        yield Note(f"by the clock of {title} it is {end}: later calls have not happened yet")
    else:
        yield Gap(
            f"by the clock of {title} it is {end}: calls up to {rfc3339(window.until)} have not happened yet",
            "correct this machine's clock, and run the command again",
        )


def latest_start(present: Callable[[], datetime] | None) -> datetime | None:
    """Return the last instant at which a call can have started; None if the provider's present is not known."""
    return present() + CLOCK_TOLERANCE if present is not None else None
