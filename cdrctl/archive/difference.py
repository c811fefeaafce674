"""A file of an archive that differs from the ledger."""

from __future__ import annotations

from msgspec import Struct


class Difference(Struct, frozen=True):
    """A file that differs from the ledger, and how."""

    path: str
    what: str
