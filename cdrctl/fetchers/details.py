"""The details of records: what a listing lacks, and further requests fill in, such as costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from cdrctl.records.events import Record

Known = Callable[[Record, Mapping[str, str]], Mapping[str, Any] | None]
"""From a record of a listing and the context of its page to its details, as an archive has them; None if unknown."""


class Details(Struct, frozen=True):
    """Columns of a call that its listing lacks, and that further requests fill in.

    Args:
        option: The flag that asks for them.
        columns: Their names.
        each: They take a request for each record, so that those that are known already are not asked for again.
    """

    option: str
    columns: tuple[str, ...]
    each: bool = False
