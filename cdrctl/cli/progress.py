"""The progress of an export: a line that is overwritten on a terminal, and with -v a line for each window in a log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from cdrctl.windows import Window, rfc3339

if TYPE_CHECKING:
    from cdrctl.export.rows import Log, Tally
    from cdrctl.http import Client, Clock
    from cdrctl.records.events import Checkpoint

SHOWN_EVERY = 0.1
"""The shortest time between two lines of progress, in seconds: nobody reads faster."""

WORTH_SAYING = 5.0
"""The shortest remaining time that is shown, in seconds."""


def progress(
    tally: Tally, window: Window | None, client: Client | None, clock: Clock, log: Log
) -> Callable[[Checkpoint | None], None]:
    """Return a function that logs the progress whenever the tally has changed.

    The remaining time is the longer of two: at the speed so far, and at the provider's rate limit, which may allow a
    quick start. It is computed when a part of the window has been read, and counted down from there, because how much
    of the present part has come is unknown.
    """
    started = clock.monotonic()
    shown, records, pages = -SHOWN_EVERY, 0, 0
    share, ends = 0.0, started

    def moved(done: Checkpoint | None) -> None:
        nonlocal shown, records, pages, share, ends
        now = clock.monotonic()
        if done is not None:
            share = _share(tally, window)
            rest = (1 - share) / share if share else 0
            ends = now + max((now - started) * rest, client.minimum_seconds(rest) if client is not None else 0)
            counts = f"{_count(tally.records - records, 'record')}, {_count(tally.pages - pages, 'page')}"
            log("window", f"{rfc3339(done.window.since)} to {rfc3339(done.window.until)}: {counts}")
            records, pages = tally.records, tally.pages
        elif now - shown < SHOWN_EVERY:
            return
        shown = now
        log("progress", ", ".join([*_counts(tally), *_left(share, ends - now)]))

    return moved


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'s'[: count != 1]}"


def _counts(tally: Tally) -> list[str]:
    windows = [_count(tally.windows, "window")] if tally.windows else []
    return [_count(tally.records, "record"), _count(tally.pages, "page"), *windows]


def _share(tally: Tally, window: Window | None) -> float:
    """Return how much of the window has been read, from 0 to 1; 0 if that is unknown, or if all has been read.

    It is unknown if several accounts have a window each: their number is unknown.
    """
    if window is None or not timedelta(0) < tally.read < window.duration:
        return 0.0
    return tally.read / window.duration


def _left(share: float, seconds: float) -> list[str]:
    if not share:
        return []
    return [f"{share:.0%}", *([f"about {spoken(seconds)} left"] if seconds >= WORTH_SAYING else [])]


def spoken(seconds: float) -> str:
    """Return a length of time in words, no more exact than it is known."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{round(seconds / 5) * 5 or 1} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
