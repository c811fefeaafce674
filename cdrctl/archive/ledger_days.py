"""The days in the ledger of a call, as JSON: a year of days is read and written whenever the call is synced.

Most days have one successful reading of the whole day. Such a day is parsed only when something needs its readings or
its file, and is written as it was decoded, so that a night costs little for each day of the past.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from cdrctl.archive.index import aware, reading_of
from cdrctl.archive.intervals import Reading
from cdrctl.archive.lateness import Lateness, lateness_of, plain_lateness
from cdrctl.archive.ledger import FileEntry, SweepState
from cdrctl.archive.store import Archive
from cdrctl.archive.whole_days import PlainDay, PlainFile, PlainLateness, PlainReading, WholeDays, days_of, is_whole
from cdrctl.fetchers import CENTURY
from cdrctl.windows import Window, rfc3339

WINDOWS_REMEMBERED = 4096
"""How many windows stay parsed: those of some years of days, which the calls have in common."""


class PlainLedger(msgspec.Struct):
    """The content of a ledger: its days, and all days as other JSON has them if they are not as cdrctl writes them."""

    provider: Any
    begins: Any
    days: dict[str, PlainDay]
    retired: Any = None
    sweeps: Any = None
    odd_days: dict[str, Any] = {}


_parse_ledger = msgspec.json.Decoder(PlainLedger).decode
_encode = msgspec.json.Encoder().encode


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
        rest = plain.get("retired"), plain.get("sweeps")
        return PlainLedger(plain["provider"], plain["begins"], {}, *rest, dict(plain["days"].items()))


def _reading(plain: PlainReading) -> Reading:
    """Return a reading.

    Raises:
        ValueError: A value is out of range.
    """
    read_at = plain.read_at
    if read_at is not None and read_at.year not in CENTURY:
        raise ValueError("not an instant of this century")
    if read_at is not None and read_at.tzinfo is not UTC:
        read_at = read_at.astimezone(UTC)
    window = _window(plain.since, plain.until)
    return Reading(window, plain.state, read_at, plain.records, plain.error, plain.options, plain.mixed)


@functools.lru_cache(WINDOWS_REMEMBERED)
def _window(since: str, until: str) -> Window:
    return Window(aware(since), aware(until))


def _entry_of(archive: Archive, names: tuple[str, str, str], plain: PlainFile) -> FileEntry:
    return file_entry(archive, names, plain.sha256, plain.records, plain.bytes, plain.etag)


def _lateness_of(plain: PlainLateness) -> Lateness | None:
    return lateness_of(msgspec.to_builtins(plain))


def _check(day: str, file: PlainFile | None) -> None:
    if "/" in day or "\\" in day or ".." in day:
        raise ValueError(f"not the name of a day: {day!r}")
    if file is not None and "\0" in file.sha256:
        raise TypeError(f"not text: {file.sha256!r}")


def _plain_file(plain: Any) -> PlainFile:
    """Return the entry of a file from its dict.

    Raises:
        ValueError: A value is out of range.
        TypeError: A value has another type.
        LookupError: A value is missing.
    """
    sha256, records, size = text_of(plain["sha256"]), plain["records"], plain["bytes"]
    for value in (records, size):
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"not a number of records or of bytes: {value!r}")
        if value < 0:
            raise ValueError(f"not a number of records or of bytes: {value}")
    return PlainFile(sha256, records, size, text_of(plain.get("etag", "")))


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
    before, after = archive.around_day(profile, call)  # quicker than archive.path()
    path = f"{before}{day}{after}"
    return FileEntry(profile, call, day, path, sha256, records, size, etag)


def text_of(value: Any) -> str:
    """Return a value of a ledger that is text.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, str) or "\0" in value:
        raise TypeError(f"not text: {value!r}")
    return value


def plain_sweeps(sweeps: SweepState) -> dict[str, dict[str, str]]:
    """Return the sweeps of a call as an entry of a dict for JSON; nothing if there were none."""
    instants = {"finished": sweeps.finished, "began": sweeps.began}
    plain = {name: rfc3339(at) for name, at in instants.items() if at is not None}
    return {"sweeps": plain} if plain else {}


def sweep_state(plain: Any) -> SweepState:
    """Return the sweeps of a call from their dict, if there is one."""
    plain = plain or {}
    finished, began = plain.get("finished"), plain.get("began")
    return SweepState(None if finished is None else aware(finished), None if began is None else aware(began))


def plain_day(readings: Sequence[Reading], entry: FileEntry | None, lateness: Lateness | None) -> PlainDay:
    """Return a day as a ledger has it."""
    told = [
        PlainReading(
            rfc3339(one.window.since),
            rfc3339(one.window.until),
            one.state,
            one.read_at,
            one.records,
            one.error,
            one.options,
            one.mixed,
        )
        for one in readings
    ]
    file = None if entry is None else PlainFile(entry.sha256, entry.records, entry.bytes, entry.etag)
    late = None if lateness is None else PlainLateness(**plain_lateness(lateness))
    return PlainDay(told, file, late)


def ledger_json(plain: Any) -> bytes:
    """Return a part of a ledger, or all of it, as JSON."""
    try:
        return _encode(plain)
    except UnicodeEncodeError:  # a lone surrogate in an error
        return json.dumps(msgspec.to_builtins(plain), separators=(",", ":")).encode()


Parsed = tuple[PlainDay, list[Reading], FileEntry | None, Lateness | None]
"""A day as a ledger has it, and the readings, the entry and the lateness of which it was made."""


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
    """

    def __init__(
        self,
        provider: str = "",
        begins: datetime | None = None,
        readings: Mapping[str, list[Reading]] | None = None,
        files: Mapping[str, FileEntry] | None = None,
        retired: date | None = None,
        lateness: Mapping[str, Lateness] | None = None,
        sweeps: SweepState | None = None,
    ) -> None:
        self.provider, self.begins, self.retired = provider, begins, retired
        self.sweeps = SweepState() if sweeps is None else sweeps
        self._readings, self._files, self._lateness = dict(readings or {}), dict(files or {}), dict(lateness or {})
        self._parsed: dict[str, Parsed] = {}
        self._whole: dict[str, PlainDay] = {}
        self._place: tuple[Archive, str, str] | None = None

    @property
    def readings(self) -> dict[str, list[Reading]]:
        """The readings by day, oldest first."""
        self.parse()
        return self._readings

    @property
    def files(self) -> dict[str, FileEntry]:
        """The entries of the files by day."""
        self.parse()
        return self._files

    @property
    def lateness(self) -> dict[str, Lateness]:
        """How late the records of the days came that have been read again, by day."""
        self.parse()
        return self._lateness

    def add_days(self, archive: Archive, names: tuple[str, str], plain: PlainLedger) -> None:
        """Add the days of a ledger's content.

        Raises:
            ValueError: A value is out of range, or the name of a day could lead elsewhere.
            TypeError: A value has another type.
            LookupError: A value is missing.
        """
        self._place, known = (archive, *names), days_of(archive.zone)
        for day, odd in plain.odd_days.items():
            file = _plain_file(odd["file"]) if "file" in odd else None
            _check(day, file)
            readings, late = [reading_of(one) for one in odd["readings"]], lateness_of(odd.get("lateness"))
            self.set_day(day, readings, None if file is None else _entry_of(archive, (*names, day), file), late)
        others = {day: one for day, one in plain.days.items() if not is_whole(known[day], one)}
        for day, other in others.items():
            _check(day, other.file)
        self._whole |= plain.days
        self.parse(others)

    def parse(self, days: Collection[str] | None = None) -> None:
        """Parse days, or all days, if they are not parsed yet."""
        if not self._whole or self._place is None:
            return
        archive, profile, call = self._place
        for day in [*self._whole] if days is None else days:
            plain = self._whole.pop(day, None)
            if plain is None:
                continue
            told = self._readings[day] = [_reading(one) for one in plain.readings]
            entry = late = None
            if plain.file is not None:
                entry = self._files[day] = _entry_of(archive, (profile, call, day), plain.file)
            if plain.lateness is not None and (late := _lateness_of(plain.lateness)) is not None:
                self._lateness[day] = late
            self._parsed[day] = plain, told, entry, late

    def lateness_by_day(self) -> dict[str, Lateness]:
        """Return the lateness by day, without parsing the days."""
        found = dict(self._lateness)
        for day, plain in self._whole.items():
            if plain.lateness is not None and (late := _lateness_of(plain.lateness)) is not None:
                found[day] = late
        return found

    def days(self) -> list[str]:
        """Return the days of which there is something, oldest first."""
        return sorted({*self._whole, *self._readings, *self._files})

    def parsed(self, without: Collection[str]) -> list[str]:
        """Parse all days but some, and return them, oldest first."""
        days = [day for day in self.days() if day not in without]
        self.parse(days)
        return days

    def day_readings(self, day: str) -> list[Reading]:
        """Return the readings of a day."""
        if day in self._whole:
            self.parse([day])
        return self._readings.get(day, [])

    def day_file(self, day: str) -> FileEntry | None:
        """Return the entry of the file of a day; None without one."""
        if day in self._whole:
            self.parse([day])
        return self._files.get(day)

    def set_day(
        self, day: str, readings: list[Reading], entry: FileEntry | None = None, late: Lateness | None = None
    ) -> None:
        """Replace the readings of a day, and the entry of its file and its lateness if they are given."""
        self.parse([day])
        self._readings[day] = readings
        if entry is not None:
            self._files[day] = entry
        if late is not None:
            self._lateness[day] = late

    def has(self, day: str) -> bool:
        """Return whether there is something of a day."""
        return day in self._whole or day in self._readings or day in self._files

    def plain_days(self) -> dict[str, PlainDay]:
        """Return all days as the JSON of a ledger has them, by their names."""
        return {day: self._whole.get(day) or self._plain_day(day) for day in self.days()}

    def day_text(self, day: str) -> bytes:
        """Return a day as JSON."""
        return ledger_json(self._whole.get(day) or self._plain_day(day))

    def _plain_day(self, day: str) -> PlainDay:
        readings, entry, late = self._readings.setdefault(day, []), self._files.get(day), self._lateness.get(day)
        known = self._parsed.get(day)
        if known is None or known[1] is not readings or known[2] is not entry or known[3] is not late:
            known = self._parsed[day] = plain_day(readings, entry, late), readings, entry, late
        return known[0]

    def whole(self, archive: Archive) -> WholeDays:
        """Return the days with one successful reading of the whole day that are not parsed yet."""
        return WholeDays(archive.zone, dict(self._whole))
