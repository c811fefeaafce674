"""Which part of a window the provider can already have, by its own clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from cdrctl.fetchers import CLOCK_TOLERANCE
from cdrctl.records.events import Event, Gap, Note
from cdrctl.windows import Window, rfc3339

UP_TO_NOW = timedelta(seconds=60)
"""A window that ends this close to now asks for what there is so far."""


LONG_CALL = timedelta(hours=2)
"""Hardly a call lasts longer: a window that was over so long ago is not said to miss calls in progress."""


def reachable(
    window: Window, lag: timedelta, now: datetime, title: str, *, cut: bool = True
) -> tuple[Window | None, list[Note | Gap]]:
    """Return the part of a window to ask for, or None, and what to say of the calls that may be missing from it.

    A provider has a call when it has ended, or up to `lag` later. A window that reaches to now is asked for up to now,
    and a note says from when on calls may be missing. If the provider refuses newer times (`cut`), the window ends
    `lag` before now. A window that was over before now, and whose last minutes may not be there yet, is incomplete.

    Args:
        window: What the user asked for.
        lag: How long after the end of a call the provider can be relied upon to have it.
        now: The present.
        title: The provider.
        cut: Whether the provider refuses times after `now - lag`.
    """
    newest = (now - lag).replace(microsecond=0)
    if window.until <= newest:
        if newest - window.until >= LONG_CALL:
            return window, []
        short = f"calls that were still in progress at {rfc3339(newest)} are not included (-v says more)"
        return window, _recent(short, title, lag)
    if cut:
        there = Window(window.since, newest) if window.since < newest else None
    else:
        there = Window(window.since, min(window.until, now)) if window.since < now else None
    if window.until >= now - UP_TO_NOW:
        short = f"from {rfc3339(newest)} on, calls may still be missing (-v says more)"
        if cut:
            short = f"{title} has no calls after {rfc3339(newest)} yet (-v says more)"
        return there, _recent(short, title, lag)
    minutes = max(1, -((newest - window.until) // timedelta(minutes=1)))
    since, until = rfc3339(max(newest, window.since)), rfc3339(window.until)
    yet = "does not have" if cut else "may not have all of"
    return there, [Gap(f"{title} {yet} the calls from {since} to {until} yet", f"run it again in {minutes} min")]


RECENT = "recent"
"""The topic of a note that says from when on calls may be missing."""


def _recent(short: str, title: str, lag: timedelta) -> list[Note | Gap]:
    """Return one short note, and a longer one for those who ask for details."""
    minutes = lag // timedelta(minutes=1)
    long = (
        f"{title} has a call when it has ended, or up to {minutes} min later; calls still in progress are not "
        "included. To get them, overlap the next export by the length of a long call and drop duplicates by record_id, "
        "or use sync"
    )
    return [Note(short, topic=RECENT), Note(long, "debug", RECENT)]


def by_their_clock(
    pieces: Iterator[Event],
    window: Window,
    lag: timedelta,
    ahead: Callable[[], timedelta | None],
    now: datetime,
    title: str,
) -> Iterator[Event]:
    """Yield the pieces of a window and, where it ends after the provider's own present, what cannot have been in it.

    `ahead` says, once answers came, how far the clock that gave `now` is ahead of the provider's. A clock that is
    ahead by hours lets a nightly export ask for hours that have not happened, and the next one never asks again.
    """
    yield from pieces
    by = ahead()
    if by is None or by <= UP_TO_NOW or window.until <= now - by:
        return
    end = rfc3339((now - by).replace(microsecond=0))
    if window.until >= now - lag - UP_TO_NOW:  # it was asked for up to now
        yield Note(f"by the clock of {title} it is {end}: the calls after that are to come")
    else:
        yield Gap(
            f"by the clock of {title} it is {end}: the calls from then to {rfc3339(window.until)} are to come",
            "set this machine's clock right, and run it again",
        )


def providers_present(now: Callable[[], datetime], ahead: Callable[[], timedelta | None]) -> Callable[[], datetime]:
    """Return a function that gives the provider's present: our own, less what our clock is known to be ahead."""

    def present() -> datetime:
        by = ahead()
        return now() - by if by is not None else now()

    return present


def latest_start(present: Callable[[], datetime] | None) -> datetime | None:
    """Return the last instant at which a call can have started; None where the provider's present is not known."""
    return present() + CLOCK_TOLERANCE if present is not None else None
