"""The events that a fetcher yields: pages of records, gaps, notes, checkpoints and files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct, field

from cdrctl.errors import ProviderError
from cdrctl.windows import Window

Record = dict[str, Any]
"""One record as the provider sent it."""

Value = Any
"""The value of a column: None, bool, int, str, or a list or object that the provider nests."""

Row = list[Value]
"""The values of one record in the order of a schema's columns."""


def number_of_records(count: int) -> str:
    """Return a number of records as text: `1 record`, `5 records`."""
    return "1 record" if count == 1 else f"{count} records"


class Page(Struct, frozen=True):
    """A page of raw records.

    Args:
        records: The records.
        context: Facts about all of them that are not in the records, such as their account.
        later: The positions of records whose id an earlier record has, with other content.
        number: How many pages of the provider it holds: small ones may be handed on together.
    """

    records: Sequence[Record]
    context: Mapping[str, str] = field(default_factory=dict)
    later: frozenset[int] = frozenset()
    number: int = 1


class Gap(Struct, frozen=True):
    """A part of the window that could not be fetched: it is reported, and the exit code is 3.

    Args:
        what: What is missing.
        hint: What to do next.
        said: What the provider said.
        window: The part, if it is known.
    """

    what: str
    hint: str | None = None
    said: str | None = None
    window: Window | None = None


class Note(Struct, frozen=True):
    """A message for the user about something that loses no record.

    Args:
        text: A sentence.
        level: A warning if the provider's response was wrong; `debug` for details that -v shows.
        topic: The subject; several profiles report the same subject in one line.
    """

    text: str
    level: Literal["note", "warning", "debug"] = "note"
    topic: str = ""


class Checkpoint(Struct, frozen=True):
    """A window that is complete: no more events of it will come. Progress is computed from checkpoints alone."""

    window: Window


class File(Struct, frozen=True):
    """A file that the provider generated.

    Args:
        name: A safe file name chosen by cdrctl, without a folder.
        content: The parts of the file; they are requested when they are consumed.
        record: A record about the file, printed once it is written.
    """

    name: str
    content: Iterator[bytes]
    record: Record


Event = Page | Gap | Note | Checkpoint | File
"""Everything that a fetcher yields, in the order in which it happens."""


def pick(record: Record, key: str) -> Any:
    """Return a record's value under a key in any letter case, or None if there is none."""
    if key in record:
        return record[key]
    folded = key.casefold()
    return next((value for name, value in record.items() if name.casefold() == folded), None)


def fingerprint(record: Record) -> str:
    """Return a digest of the whole record: its identity if the provider's id is missing."""
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def check_records(records: Any, container: str, provider: str) -> list[Record]:
    """Return the records of a page, after a check of their shape.

    Raises:
        ProviderError: It is not a list of objects. A wrong shape never means "no records".
    """
    if not isinstance(records, list):
        raise ProviderError(
            f"{provider} sent an unknown response: {container} is not a list",
            hint="check base_url; if it is right, the API has changed: update cdrctl",
        )
    if not all(isinstance(record, dict) for record in records):
        raise ProviderError(
            f"{provider} sent an unknown response: an element of {container} is not an object",
            hint="check base_url; if it is right, the API has changed: update cdrctl",
        )
    return records
