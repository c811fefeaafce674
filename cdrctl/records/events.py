"""What a fetcher yields: pages of records, gaps, notes, checkpoints and files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cdrctl.errors import ProviderError
from cdrctl.windows import Window

Record = dict[str, Any]
"""One record as the provider sent it."""

Value = Any
"""What a column gives: None, bool, int, str, or a list or object that a provider nests."""

Row = list[Value]
"""The values of one record in the order of a schema's columns."""


def number_of_records(count: int) -> str:
    """Return a number of records in words: `1 record`, `5 records`."""
    return "1 record" if count == 1 else f"{count} records"


@dataclass(frozen=True, slots=True)
class Page:
    """A page of raw records, and what is known of all of them without being in them (such as their account).

    Args:
        records: The records.
        context: What is known of all of them.
        later: The positions of records whose identity an earlier record has, with other content.
    """

    records: Sequence[Record]
    context: Mapping[str, str] = field(default_factory=dict)
    later: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Gap:
    """Something of the window that could not be had: it is said, and the exit code becomes 3."""

    what: str
    hint: str | None = None
    said: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user should know that loses no record.

    Args:
        text: A sentence.
        level: A warning if the provider's answer was wrong; `debug` for details that -v shows.
        topic: What it is about, where several profiles say the same and one line is enough.
    """

    text: str
    level: Literal["note", "warning", "debug"] = "note"
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A window of which nothing more will come: how far an export is can be told from it, and from nothing else."""

    window: Window


@dataclass(frozen=True, slots=True)
class File:
    """A file that the provider has made: its name, safe to write, and its content as it comes.

    Args:
        name: A name of our own choosing, without any folder.
        content: The pieces of the file; asked of the provider when they are taken.
        record: What is known of it, to be printed once it is written.
    """

    name: str
    content: Iterator[bytes]
    record: Record


Event = Page | Gap | Note | Checkpoint | File
"""What a fetcher yields, in the order in which it learns it."""


def pick(record: Record, key: str) -> Any:
    """Return a record's value under a key whatever the key's letter case, or None when there is none."""
    if key in record:
        return record[key]
    folded = key.casefold()
    return next((value for name, value in record.items() if name.casefold() == folded), None)


def fingerprint(record: Record) -> str:
    """Return a digest of the whole record: its identity when the provider's own id is missing."""
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def check_records(records: Any, container: str, provider: str) -> list[Record]:
    """Return the records of a page whose container has been found, or refuse a shape we do not know.

    Raises:
        ProviderError: It is not a list, or something in it is not an object: never "no records".
    """
    if not isinstance(records, list):
        raise ProviderError(
            f"{provider} answered in a shape we do not know: {container} is not a list",
            hint="check base_url; if it is right, the API has changed: update cdrctl",
        )
    if not all(isinstance(record, dict) for record in records):
        raise ProviderError(
            f"{provider} answered in a shape we do not know: something in {container} is not an object",
            hint="check base_url; if it is right, the API has changed: update cdrctl",
        )
    return records
