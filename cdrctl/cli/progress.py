"""How far an export is: a line that is overwritten on a terminal, and with -v a line for every window in a log."""

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
"""Seconds between two lines of progress: nobody reads faster."""

WORTH_SAYING = 5.0
"""Seconds left that are worth a guess."""


def progress(
    tally: Tally, window: Window | None, client: Client | None, clock: Clock, log: Log
) -> Callable[[Checkpoint | None], None]:
    """Return what is called whenever the tally has changed, and tells how far the export is.

    The remaining time is the longer of two: what is left at the speed so far, and what is left at the pace the provider
    allows, for a budget may be used up quickly at first. It is told whenever a part of the window has been read, and
    counted down from there: of the part that is being read nobody knows how much has come.
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
            counts = f"{_some(tally.records - records, 'record')}, {_some(tally.pages - pages, 'page')}"
            log("window", f"{rfc3339(done.window.since)} to {rfc3339(done.window.until)}: {counts}")
            records, pages = tally.records, tally.pages
        elif now - shown < SHOWN_EVERY:
            return
        shown = now
        log("progress", ", ".join([*_said(tally), *_left(share, ends - now)]))

    return moved


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'s'[: count != 1]}"


def _said(tally: Tally) -> list[str]:
    windows = [_some(tally.windows, "window")] if tally.windows else []
    return [_some(tally.records, "record"), _some(tally.pages, "page"), *windows]


def _share(tally: Tally, window: Window | None) -> float:
    """Return how much of the window has been read; 0 where it cannot be told, or nothing is left to tell.

    Several accounts have a window each, and nobody knows how many there are.
    """
    if window is None or not timedelta(0) < tally.read < window.duration:
        return 0.0
    return tally.read / window.duration


def _left(share: float, seconds: float) -> list[str]:
    if not share:
        return []
    return [f"{share:.0%}", *([f"about {spoken(seconds)} left"] if seconds >= WORTH_SAYING else [])]


def spoken(seconds: float) -> str:
    """Return a length as people say it, not more exactly than it is known."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{round(seconds / 5) * 5 or 1} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
