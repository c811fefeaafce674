"""Requests objects of a store before they are used, several at a time. An archive in a folder needs no such requests.

A request takes some milliseconds wherever the store is, and one command may need thousands.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeVar

from cdrctl.archive.layout2 import READINGS
from cdrctl.archive.places import StoredPath
from cdrctl.errors import CdrctlError
from cdrctl.threads import start_threads

AHEAD = 16
"""How many requests are on their way at the same time, at most."""

LARGEST = 8 << 20
"""Bytes: a larger object is downloaded when it is used. It takes longer than a request, and room in the mirror."""

_END_SECONDS = 5.0
"""How long to wait for all requests on their way whose objects are no longer wanted."""

Item = TypeVar("Item")


def with_files(items: Iterable[Item], files_of: Callable[[Item], Sequence[Path]]) -> Iterator[Item]:
    """Yield items in order, while the files of the next ones are downloaded.

    What cannot be downloaded is reported when it is opened.
    """
    return ahead(items, lambda item: [partial(_download, one) for one in files_of(item) if isinstance(one, StoredPath)])


def day_and_readings(path: Path) -> list[Path]:
    """Return the files of a day that are read together."""
    return [path, path.with_name(READINGS)]


def with_names(folders: Sequence[Path]) -> Iterator[Path]:
    """Yield folders in order, while the names in the next ones are listed."""
    return ahead(folders, lambda one: [partial(_list, one)] if isinstance(one, StoredPath) else [])


def _download(path: StoredPath) -> None:
    mirror, key = path.place
    if (mirror.listed.size(key) or 0) <= LARGEST:
        mirror.fetch(key)


def _list(folder: StoredPath) -> None:
    mirror, key = folder.place
    mirror.listed.names(key)


def ahead(
    items: Iterable[Item], requests: Callable[[Item], Sequence[Callable[[], None]]]
) -> Generator[Item, None, None]:
    """Yield items in order, while threads make the requests of the next ones."""
    waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
    threads: list[threading.Thread] = []
    upcoming: deque[Item] = deque()
    try:
        for item in items:
            upcoming.append(item)
            for one in requests(item):
                waiting.put(one)
                if len(threads) < AHEAD:
                    with suppress(CdrctlError):  # without a thread, each request is made when it is needed
                        thread = threading.Thread(target=_work, args=(waiting,), name="cdrctl-ahead", daemon=True)
                        threads += start_threads([thread])
            if len(upcoming) > AHEAD or not threads:
                yield upcoming.popleft()
        while upcoming:
            yield upcoming.popleft()
    finally:
        with suppress(Empty):
            while True:
                waiting.get_nowait()
        for _ in threads:
            waiting.put(None)
        end = time.monotonic() + _END_SECONDS
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))


def _work(waiting: SimpleQueue[Callable[[], None] | None]) -> None:
    while (request := waiting.get()) is not None:
        with suppress(OSError, CdrctlError):
            request()
