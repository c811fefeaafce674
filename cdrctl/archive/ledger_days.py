"""The days in the ledger of a call, as JSON: a year of days is read and written whenever the call is synced.

Most days are the same in every run, so a day that was not changed is written as it was read, and the instants that
many days and calls share are parsed once.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import msgspec

from cdrctl.archive.index import LARGEST, aware, plain_reading, reading_of
from cdrctl.archive.intervals import Reading
from cdrctl.archive.lateness import Lateness, lateness_of, plain_lateness
from cdrctl.archive.ledger import FileEntry, SweepState
from cdrctl.archive.store import CALL, DATE, PROFILE, Archive
from cdrctl.fetchers import CENTURY
from cdrctl.windows import Window

_TIGHT = (",", ":")
"""The separators of JSON without spaces."""

WINDOWS_REMEMBERED = 4096
"""How many windows stay parsed: those of some years of days, which the calls have in common."""


class _PlainReading(msgspec.Struct):
    since: str
    until: str
    state: Literal["planned", "done", "failed"]
    read_at: Annotated[datetime, msgspec.Meta(tz=True)] | None
    records: int
    error: str
    options: str = ""
    mixed: bool = False


class _PlainFile(msgspec.Struct):
    sha256: str
    records: int
    bytes: int
    etag: str = ""


class _PlainDay(msgspec.Struct):
    readings: list[_PlainReading]
    file: _PlainFile | None = None
    lateness: Any = None


class PlainLedger(msgspec.Struct):
    """The content of a ledger, whose days are not parsed yet."""

    provider: Any
    begins: Any
    days: dict[str, msgspec.Raw]
    retired: Any = None
    sweeps: Any = None


_parse_ledger = msgspec.json.Decoder(PlainLedger).decode
_parse_day = msgspec.json.Decoder(_PlainDay).decode


def parse_ledger(content: bytes) -> PlainLedger:
    """Return the content of a ledger.

    Raises:
        ValueError: It is not JSON.
        TypeError: A value has another type.
        LookupError: A value is missing.
        AttributeError: It has no days.
    """
    try:
        return _parse_ledger(content)
    except msgspec.MsgspecError:  # a lone surrogate, or damaged
        plain = json.loads(content)
        days = {day: msgspec.Raw(json.dumps(one, separators=_TIGHT).encode()) for day, one in plain["days"].items()}
        return PlainLedger(plain["provider"], plain["begins"], days, plain.get("retired"), plain.get("sweeps"))


def read_day(
    archive: Archive, names: tuple[str, str, str], text: msgspec.Raw
) -> tuple[list[Reading], FileEntry | None, Lateness | None]:
    """Return the readings of a day, the entry of its file, and its lateness.

    Raises:
        ValueError: A value is out of range, or the name of the day could lead elsewhere.
        TypeError: A value has another type.
        LookupError: A value is missing.
    """
    try:
        plain = _parse_day(text)
    except msgspec.MsgspecError:  # a lone surrogate, or a damaged value
        return _read_day_slowly(archive, names, json.loads(bytes(text)))
    file = plain.file
    entry = None if file is None else _checked_entry(archive, names, file.sha256, file.records, file.bytes, file.etag)
    return [_reading(one) for one in plain.readings], entry, lateness_of(plain.lateness)


def _reading(plain: _PlainReading) -> Reading:
    read_at = plain.read_at
    if not 0 <= plain.records < LARGEST or (read_at is not None and read_at.year not in CENTURY):
        raise ValueError("not a number of records, or not an instant of this century")
    if read_at is not None and read_at.tzinfo is not UTC:
        read_at = read_at.astimezone(UTC)
    window = _window(plain.since, plain.until)
    return Reading(window, plain.state, read_at, plain.records, plain.error, plain.options, plain.mixed)


@functools.lru_cache(WINDOWS_REMEMBERED)
def _window(since: str, until: str) -> Window:
    return Window(aware(since), aware(until))


def _read_day_slowly(
    archive: Archive, names: tuple[str, str, str], plain: Mapping[str, Any]
) -> tuple[list[Reading], FileEntry | None, Lateness | None]:
    late = lateness_of(plain.get("lateness"))
    readings = [reading_of(one) for one in plain["readings"]]
    if "file" not in plain:
        return readings, None, late
    file = plain["file"]
    sha256, records, size = text_of(file["sha256"]), file["records"], file["bytes"]
    for value in (records, size):
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"not a number of records or of bytes: {value!r}")
    return readings, _checked_entry(archive, names, sha256, records, size, text_of(file.get("etag", ""))), late


def _checked_entry(
    archive: Archive, names: tuple[str, str, str], sha256: str, records: int, size: int, etag: str
) -> FileEntry:
    day = names[2]
    if records < 0 or size < 0:
        raise ValueError(f"not a number of records or of bytes: {min(records, size)}")
    if "/" in day or "\\" in day or ".." in day:
        raise ValueError(f"not the name of a day: {day!r}")
    if "\0" in sha256:
        raise TypeError(f"not text: {sha256!r}")
    return file_entry(archive, names, sha256, records, size, etag)


def file_entry(
    archive: Archive, names: tuple[str, str, str], sha256: str, records: int, size: int, etag: str = ""
) -> FileEntry:
    """Return the entry of a day's file.

    Args:
        archive: The archive.
        names: The profile, the call and the day.
        sha256: The digest of the file.
        records: How many records it has.
        size: How many bytes it has.
        etag: The tag of the object, if the archive is in a store.
    """
    profile, call, day = names
    path = f"{PROFILE}{profile}/{CALL}{call}/{DATE}{day}/cdrs.{archive.form}"  # quicker than archive.path()
    return FileEntry(profile, call, day, path, sha256, records, size, etag)


def text_of(value: Any) -> str:
    """Return a value of a ledger that is text.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, str) or "\0" in value:
        raise TypeError(f"not text: {value!r}")
    return value


@functools.lru_cache(WINDOWS_REMEMBERED)
def day_key(day: str) -> bytes:
    """Return the key of a day in a JSON object, with its colon."""
    return json.dumps(day).encode() + b":"


def day_text(readings: Sequence[Reading], entry: FileEntry | None, lateness: Lateness | None) -> bytes:
    """Return a day as JSON."""
    plain: dict[str, Any] = {"readings": [plain_reading(one) for one in readings]}
    if entry is not None:
        plain["file"] = {"sha256": entry.sha256, "records": entry.records, "bytes": entry.bytes}
        if entry.etag:
            plain["file"]["etag"] = entry.etag
    if lateness is not None:
        plain["lateness"] = plain_lateness(lateness)
    return json.dumps(plain, separators=_TIGHT).encode()


Written = tuple[bytes | msgspec.Raw, list[Reading], FileEntry | None, Lateness | None]
"""A day as JSON, and the readings, the entry and the lateness of which it was made."""


@dataclass(slots=True)
class CallLedger:
    """What the archive knows of one call.

    Args:
        provider: The provider's name; empty if unknown.
        begins: Since when the archive keeps the call; None if it does not keep it yet.
        readings: The readings by day, oldest first.
        files: The entries of the files by day.
        retired: The first day that was not removed; None if none was.
        lateness: How late the records of the days came that have been read again, by day.
        sweeps: The sweeps by the policy of the archive.
        written: The days as JSON, each with the readings, the entry and the lateness of which it was made.
    """

    provider: str = ""
    begins: datetime | None = None
    readings: dict[str, list[Reading]] = field(default_factory=dict)
    files: dict[str, FileEntry] = field(default_factory=dict)
    retired: date | None = None
    lateness: dict[str, Lateness] = field(default_factory=dict)
    sweeps: SweepState = field(default_factory=SweepState)
    written: dict[str, Written] = field(default_factory=dict, repr=False)

    def has(self, day: str) -> bool:
        """Return whether there is something of a day."""
        return day in self.readings or day in self.files

    def day_text(self, day: str) -> bytes:
        """Return a day as JSON."""
        readings, entry, late = self.readings.setdefault(day, []), self.files.get(day), self.lateness.get(day)
        known = self.written.get(day)
        if known is None or known[1] is not readings or known[2] is not entry or known[3] is not late:
            known = self.written[day] = day_text(readings, entry, late), readings, entry, late
        return bytes(known[0])
