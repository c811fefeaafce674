"""Calls whose records an archive keeps as those of another call."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from cdrctl.records.events import Event
from cdrctl.windows import Window


class Searched(Struct, frozen=True):
    """How the records of a call are found in an archive, which keeps them as those of another call.

    Args:
        call: The name of the call that the archive keeps. Its columns are the same.
        find: From the id, the window and the events of the archive to the events of the call.
    """

    call: str
    find: Callable[[str, Window, Iterator[Event]], Iterator[Event]]
