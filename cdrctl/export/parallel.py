"""Parts of a window, fetched side by side in threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, nullcontext, suppress
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue

from cdrctl.fetchers import Call, Once
from cdrctl.records.events import Event, Gap, Note
from cdrctl.threads import started
from cdrctl.windows import Window, cut

# Asking ahead, and in parts


PARTS_OF_A_JOB = 6
"""So many parts of a window for each that may be asked for at once: calls are not spread evenly over a day."""


def parts(window: Window, call: Call, shortest: timedelta, jobs: int, now: datetime) -> list[Window]:
    """Return adjacent windows that cover a window, oldest first, to be asked for at the same time.

    What may be older than the provider keeps is one part: whether anything of it is there shows in the whole of it.
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


def said_once(pieces: Generator[Event, None, None]) -> Iterator[Event]:
    """Yield the pieces without notes and gaps that have come before: of parts, several say the same."""
    said: set[tuple[type[Note | Gap], str]] = set()
    with closing(pieces):
        for piece in pieces:
            if isinstance(piece, Note | Gap):
                text = type(piece), piece.text if isinstance(piece, Note) else piece.what
                if text in said:
                    continue
                said.add(text)
            yield piece


LISTEN_SECONDS = 0.5
"""How long one wait for a piece takes: a signal that another thread gets wakes nobody out of a longer one."""

PATIENCE_SECONDS = 0.5
"""How long all threads may take to end when nobody wants more of them: one may be in the middle of a request."""


def at_once(fetches: Iterable[Callable[[], Iterator[Event]]], jobs: int = 1) -> Generator[Event, None, None]:
    """Yield the pieces of all fetches, up to `jobs` of which run at the same time, each in a thread.

    Each is at most one piece ahead: while a piece is written the next one is asked for, and never a second one, so
    that little is asked for in vain and memory holds a page or two for each. With one job pieces come in order, with
    several as they come. What goes wrong in a thread is raised here, after the pieces that came before it. Pieces are
    not looked at by whoever yielded them afterwards; so a file, whose content comes later, must not be among them.
    """
    left = deque(fetches)
    wanted: SimpleQueue[bool] = SimpleQueue()  # whether one more is, which whoever has one waits for
    came: SimpleQueue[Event | BaseException | None] = SimpleQueue()

    def work() -> None:
        end: BaseException | None = None
        try:
            while (fetch := _first(left)) is not None:
                if not _handed_over(fetch, wanted, came):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again where somebody waits
            end = error
        if wanted.get():
            came.put(end)

    # Fewer threads than jobs do the same work.
    threads = started(
        threading.Thread(target=work, name="cdrctl-fetch", daemon=True) for _ in range(min(jobs, len(left)))
    )
    running = len(threads)
    try:
        while running:
            wanted.put(True)  # before it is waited for: whoever has it then need not wait, and asks for the next
            piece = _next(came)
            if piece is None:
                running -= 1
            elif isinstance(piece, BaseException):
                raise piece
            else:
                yield piece
            del piece
    finally:
        left.clear()
        with suppress(Empty):
            wanted.get_nowait()
        for _ in threads:
            wanted.put(False)
        patience = time.monotonic() + PATIENCE_SECONDS
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, patience - time.monotonic()))


_Fetch = Callable[[], Iterator[Event]]


def _first(left: deque[_Fetch]) -> _Fetch | None:
    """Return what is the turn of whoever asks, or None: several threads ask."""
    with suppress(IndexError):
        return left.popleft()
    return None


def _handed_over(
    fetch: _Fetch,
    wanted: SimpleQueue[bool],
    came: SimpleQueue[Event | BaseException | None],
) -> bool:
    """Hand the pieces of a fetch over, each when it is wanted, and return whether all were."""
    pieces = fetch()
    with closing(pieces) if isinstance(pieces, Generator) else nullcontext():
        for piece in pieces:
            if not wanted.get():
                return False
            came.put(piece)
            del piece
    return True


def _next(came: SimpleQueue[Event | BaseException | None]) -> Event | BaseException | None:
    """Return the next that comes, in steps in which Ctrl-C is heard."""
    while True:
        with suppress(Empty):
            return came.get(timeout=LISTEN_SECONDS)
