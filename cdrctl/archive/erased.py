"""The numbers that were erased from an archive, as keyed digests, so that no later run brings one back.

    DIR/_cdrctl/erased.json     a random key; for each number a digest of it, one of each of its ends of at least seven
                                digits, and how many records of which days were erased

The file does not contain the numbers, but somebody who has it can test numbers against it. Keep it as private as the
records.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from cdrctl.archive.dayfile import Row
from cdrctl.archive.index import Entry, aware, milliseconds
from cdrctl.archive.numbers import LONGEST, SHARED, Matches, has_number
from cdrctl.archive.opening import make_folder, read_file
from cdrctl.archive.records import record_reader
from cdrctl.archive.store import Archive, remove_temporary_files, replace_file, writing_archive
from cdrctl.errors import OutputError
from cdrctl.fetchers import Call
from cdrctl.windows import rfc3339

PATH = Path("_cdrctl", "erased.json")
KEY_BYTES, DIGEST_BYTES = 32, 16
_MINE = "erased."
"""What the temporary files of this file begin with."""

Counts = dict[str, dict[str, dict[str, int]]]
"""Numbers of records by profile, call and day."""


class ErasedNumber(Struct):
    """A number that was erased.

    Args:
        whole: The digest of its digits.
        ends: The digests of its ends, of at least seven digits.
        before: Only records of calls before this instant are erased; None for all.
        erased_at: When it was erased first.
        records: How many records were erased.
    """

    whole: str
    ends: list[str]
    before: datetime | None
    erased_at: datetime
    records: Counts = field(default_factory=dict)


class Erased(Struct):
    """The numbers that were erased from an archive, and the key of their digests."""

    key: bytes
    numbers: list[ErasedNumber]

    def digest(self, digits: str) -> str:
        """Return the digest of some digits."""
        return hashlib.blake2b(digits.encode(), key=self.key, digest_size=DIGEST_BYTES).hexdigest()


def read_erased(archive: Archive) -> Erased | None:
    """Return the numbers that were erased; None if none were.

    Raises:
        OutputError: The file is damaged, or cannot be read.
    """
    path = archive.folder / PATH
    try:
        plain = json.loads(read_file(path))
        return Erased(bytes.fromhex(plain["key"]), [_number(one) for one in plain["numbers"]])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise OutputError(
            f"{path}, which keeps erased numbers out of the archive, cannot be read: {type(error).__name__}",
            hint="restore it, or correct its permissions; without it, erased numbers come back",
        ) from error


def _number(plain: Mapping[str, Any]) -> ErasedNumber:
    before = plain["before"]
    counts = {
        str(profile): {str(call): {str(day): int(n) for day, n in days.items()} for call, days in calls.items()}
        for profile, calls in plain["records"].items()
    }
    ends = [str(one) for one in plain["ends"]]
    limit = None if before is None else aware(before)
    return ErasedNumber(str(plain["whole"]), ends, limit, aware(plain["erased_at"]), counts)


def write_erased(archive: Archive, erased: Erased) -> None:
    """Store the numbers that were erased, durably. The lock of the archive must be held."""
    numbers = [
        {
            "whole": one.whole,
            "ends": one.ends,
            "before": None if one.before is None else rfc3339(one.before),
            "erased_at": rfc3339(one.erased_at),
            "records": one.records,
        }
        for one in erased.numbers
    ]
    path = archive.folder / PATH
    with writing_archive(path):
        make_folder(path.parent)
        remove_temporary_files(path.parent, _MINE)
        content = json.dumps({"key": erased.key.hex(), "numbers": numbers}, indent=1).encode() + b"\n"
        replace_file(path, content, _MINE)


def add_number(
    erased: Erased | None, digits: str, before: datetime | None, at: datetime
) -> tuple[Erased, ErasedNumber]:
    """Return the erased numbers with a new one; the same one if it was erased before with the same limit."""
    result = erased or Erased(secrets.token_bytes(KEY_BYTES), [])
    whole = result.digest(digits)
    for one in result.numbers:
        if (one.whole, one.before) == (whole, before):
            return result, one
    ends = sorted(result.digest(digits[at:]) for at in range(max(len(digits) - SHARED + 1, 0)))
    new = ErasedNumber(whole, ends, before, at)
    result.numbers.append(new)
    return result, new


def erased_counts(archive: Archive) -> Counts:
    """Return how many records were erased, by profile, call and day."""
    found: Counts = {}
    erased = read_erased(archive)
    for one in erased.numbers if erased is not None else ():
        for profile, calls in one.records.items():
            for call, days in calls.items():
                total = found.setdefault(profile, {}).setdefault(call, {})
                for day, count in days.items():
                    total[day] = total.get(day, 0) + count
    return found


def digest_matches(erased: Erased, number: ErasedNumber) -> Matches:
    """Return whether digits are an erased number, of which only digests are known."""
    known: dict[str, bool] = {}
    ends = set(number.ends)

    def is_erased(digits: str) -> bool:
        if len(digits) < SHARED:
            return erased.digest(digits) == number.whole
        starts = range(len(digits) - SHARED + 1)
        return erased.digest(digits) in ends or any(erased.digest(digits[at:]) == number.whole for at in starts)

    def matches(digits: str) -> bool:
        if digits not in known:
            if len(known) > REMEMBERED:
                known.clear()
            known[digits] = len(digits) <= LONGEST and is_erased(digits)
        return known[digits]

    return matches


REMEMBERED = 100_000
"""How many numbers are remembered with whether they are erased."""


class ErasedFilter:
    """Drops the records of a response that have an erased number, and counts them."""

    def __init__(self, archive: Archive, call: Call, header: bytes) -> None:
        erased = read_erased(archive) or Erased(b"", [])
        self._numbers = [
            (digest_matches(erased, one), None if one.before is None else milliseconds(one.before))
            for one in erased.numbers
        ]
        self._call = call
        self._read = record_reader(call, header)
        self.dropped = 0

    def kept(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the records that may be stored."""
        if not self._numbers:
            return [*entries]
        found = [one for one in entries if not self._is_erased(one)]
        self.dropped += len(entries) - len(found)
        return found

    def _is_erased(self, entry: Entry) -> bool:
        return any(
            has_line(self._call, self._read, Row(*entry), matches)
            for matches, before in self._numbers
            if before is None or entry.start < before
        )


def has_line(call: Call, read: Callable[[Row], Mapping[str, Any] | None], row: Row, matches: Matches) -> bool:
    """Return whether a record has a number; a line that is no record counts as one text."""
    fields = read(row)
    if fields is None:
        fields = {"line": row.line.decode("utf-8", "replace")}
    return has_number(call, fields, matches)
