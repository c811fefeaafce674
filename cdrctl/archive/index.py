"""The index beside a day's file: the start and the key of each record, the day's readings, and the gone records."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from cdrctl import windows
from cdrctl.archive.intervals import Reading
from cdrctl.archive.opening import read_file
from cdrctl.errors import OutputError
from cdrctl.fetchers import CENTURY
from cdrctl.windows import Window

UNPLACED = -(2**63)
"""The start of a record whose start cannot be parsed."""

ENTRY = struct.Struct("<qI15s")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = 60_000
"""Milliseconds of a minute."""


class Entry(NamedTuple):
    """One record of the archive: its start in Unix milliseconds, the key from its identity, and its line."""

    start: int
    key: bytes
    line: bytes


FROM_LINE = bytes(7)
"""The beginning of a key that was made from a line, because the file's index was lost. Keys of records from a response
never begin like this; when such a record comes again, it gets the key of its identity."""


def milliseconds(instant: datetime) -> int:
    """Return an instant in Unix milliseconds, finer digits cut off."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def instant_text(at: int) -> str:
    """Return an instant in Unix milliseconds as text such as `2026-11-19T08:00:00.123Z`."""
    return windows.rfc3339(_EPOCH + timedelta(milliseconds=at))


def instant_texts(values: Sequence[int | None]) -> list[str | None]:
    """Return instants in Unix milliseconds as text, as `instant_text` does; None stays None.

    Raises:
        OverflowError: One is outside the years of Python.
    """
    minutes = {value // _MINUTE for value in values if value is not None}
    texts = {minute: instant_text(minute * _MINUTE)[:17] for minute in minutes}
    return [None if at is None else f"{texts[at // _MINUTE]}{at // 1000 % 60:02d}.{at % 1000:03d}Z" for at in values]


@contextmanager
def reading_archive(path: Path) -> Iterator[None]:
    """Turn a system error while reading the archive into an OutputError."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"the archive cannot be read: {error.filename or path}: {error.strerror or error}",
            hint="correct the permissions, and run the command again",
        ) from error


_Index = tuple[int, list[Reading], list[tuple[int, int, bytes]], dict[bytes, datetime]]


def read_index(path: Path, sha256: str) -> _Index | None:
    """Return the header's length, the readings, the lines and the gone records of an index; None if it is damaged."""
    try:
        head, _, packed = read_file(index_path(path, sha256)).partition(b"\n")
        described = json.loads(head)
        readings = [reading_of(one) for one in described["readings"]]
        gone = {bytes.fromhex(key): aware(at) for key, at in dict(described.get("gone", {})).items()}
        return int(described["header"]), readings, [*ENTRY.iter_unpack(packed)], gone
    except (FileNotFoundError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError, AttributeError):
        return None
    except struct.error:
        return None


def read_whose(path: Path, sha256: str) -> str:
    """Return whose records an index says that its file has, as `PROFILE/CALL`; empty if it does not say."""
    try:
        head, _, _ = read_file(index_path(path, sha256)).partition(b"\n")
        return str(json.loads(head).get("of", ""))
    except (FileNotFoundError, ValueError, AttributeError, RecursionError):
        return ""


def index_lengths(path: Path) -> list[int]:
    """Return how many lines each index beside a day's file has, whether or not it matches the file."""
    lengths = []
    for one in path.parent.glob(".cdrs.*.index"):
        index = read_index(path, one.name.removeprefix(".cdrs.").removesuffix(".index"))
        if index is not None:
            lengths.append(len(index[2]))
    return lengths


def index_path(path: Path, sha256: str) -> Path:
    """Return the path of the index of a day's file with this SHA-256."""
    return path.parent / index_name(sha256)


def index_name(sha256: str) -> str:
    """Return the name of the index of a day's file with this SHA-256."""
    return f".cdrs.{sha256}.index"


def plain_reading(reading: Reading) -> dict[str, Any]:
    """Return a reading as a dict for JSON."""
    return {
        "since": windows.rfc3339(reading.window.since),
        "until": windows.rfc3339(reading.window.until),
        "state": reading.state,
        "read_at": reading.read_at and windows.rfc3339(reading.read_at),
        "records": reading.records,
        "error": reading.error,
        **({"options": reading.options} if reading.options else {}),
        **({"mixed": True} if reading.mixed else {}),
    }


def reading_of(plain: Mapping[str, Any]) -> Reading:
    """Return a reading from its dict.

    Raises:
        ValueError: A value is out of range.
        TypeError: A value has the wrong type.
    """
    state, records, error = plain["state"], plain["records"], plain["error"]
    options, mixed = plain.get("options", ""), plain.get("mixed", False)
    if state not in {"planned", "done", "failed"} or not isinstance(error, str):
        raise ValueError("not a reading")
    if not isinstance(records, int) or isinstance(records, bool) or not 0 <= records < LARGEST:
        raise ValueError("not a number of records")
    if not isinstance(options, str) or not isinstance(mixed, bool):
        raise TypeError("not the options of a reading")
    window = Window(aware(plain["since"]), aware(plain["until"]))
    read_at = aware(plain["read_at"]) if plain["read_at"] else None
    return Reading(window, state, read_at, records, error, options, mixed)


LARGEST = 2**63
"""Limit for a number of records, to detect damaged files."""


def aware(text: Any) -> datetime:
    """Return an instant from its text with an offset.

    Raises:
        ValueError: The text is not an instant of this century with an offset.
        TypeError: The value is not text.
    """
    read = datetime.fromisoformat(text)
    at = None if read.tzinfo is None else read.astimezone(UTC)
    if at is None or at.year not in CENTURY:
        raise ValueError(f"not an instant: {text!r}")
    return at
