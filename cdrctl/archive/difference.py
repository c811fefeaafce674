"""A file of an archive that differs from the ledger."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that differs from the ledger, and how."""

    path: str
    what: str
