"""Compares the files of a call with the ledger before a run: which were deleted, and which another program changed.

Only the size of a file is looked at, and whether its readings are there, which costs little. `verify` compares digests.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, tzinfo
from stat import S_ISREG
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from cdrctl.archive.dayfile import Contents
from cdrctl.archive.files import contents_of, foreign_records
from cdrctl.archive.index import index_name
from cdrctl.archive.intervals import Reading, overlap, replan, subtract, whole_day, with_attempts
from cdrctl.archive.layout2 import READINGS, update_readings
from cdrctl.archive.ledger import FileEntry
from cdrctl.archive.ledgers import AnyLedger
from cdrctl.archive.opening import etag_of
from cdrctl.archive.places import StoredPath
from cdrctl.archive.store import (
    FIRST_LAYOUT,
    NOT_A_FILE,
    UNKNOWN,
    Archive,
    digest_of,
    is_there,
    presence_in,
    sizes_in,
    whose_in,
    writing_archive,
)
from cdrctl.archive.whole_days import PlainFile
from cdrctl.errors import ConfigurationError
from cdrctl.export.rows import Log
from cdrctl.windows import Window

if TYPE_CHECKING:
    from cdrctl.archive.mirror import Mirror


class Presence(Struct, frozen=True):
    """How the files of a call differ from the ledger.

    Args:
        missing: The days whose file was deleted, which only `fill` reads again.
        again: The readings of days whose file was changed, which are read again.
        faults: Why the file of a day cannot be used, of days that cannot be read again.
    """

    missing: list[str] = field(default_factory=list)
    again: dict[str, list[Reading]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def left_out(self) -> set[str]:
        """The days that are not read in this run."""
        return {*self.missing, *self.faults}


def check_files(
    archive: Archive,
    ledger: AnyLedger,
    names: tuple[str, str],
    oldest: datetime | None,
    now: datetime,
    log: Log,
    *,
    only_holes: bool,
) -> Presence:
    """Return how the files of a call differ from the ledger, and correct the ledger where a file tells what it has.

    Args:
        archive: The archive.
        ledger: Its ledger.
        names: The profile and the name of the call.
        oldest: The instant since which the provider still has the calls; None if it keeps them forever.
        now: The present instant.
        log: Receives a warning for each difference.
        only_holes: Plan deleted days again.

    Raises:
        OutputError: A file cannot be examined.
    """
    found, folder = Presence(), archive.folder
    size_of, is_in = sizes_in(folder), presence_in(folder)
    mirror = folder.place[0] if isinstance(folder, StoredPath) else None
    files = ledger.whole_days(*names).files()
    alike = _unchanged(archive, files, names) if mirror is None else _unchanged_objects(archive, mirror, files, names)
    readings = ledger.readings(*names, alike)
    for entry in ledger.files(*names, without=alike):
        size = size_of(entry.path) if mirror is None else _known_size(mirror, entry)
        described = size is None or is_in(_beside(archive, entry))
        if size == entry.bytes and (described or _restored(archive, ledger, entry, readings.get(entry.day, []), log)):
            continue
        if size == NOT_A_FILE:
            with writing_archive(archive.folder / entry.path):
                is_there(archive.folder / entry.path)
        told = readings.get(entry.day, [])
        if size is not None:
            _check_changed(archive, ledger, entry, told, oldest, now, found)
        elif entry.day == UNKNOWN:
            found.faults[UNKNOWN] = f"{entry.path} is missing: it had records whose start is unknown"
        elif any(one.state == "done" for one in told):
            _check_deleted(ledger, entry, told, now, found, log, only_holes=only_holes)
    for day, why in found.faults.items():
        log("warning", f"{day}: {why}; restore the file, or accept its loss with cdrctl verify --rebuild")
    return found


def _unchanged(archive: Archive, files: Mapping[str, PlainFile], names: tuple[str, str]) -> frozenset[str]:
    """Return the days whose file has the size of the ledger and its readings beside it.

    A run looks at every day of an archive, so this function makes two system calls for a day, and does
    nothing else.
    """
    profile, call = names
    before, after = archive.around_day(profile, call)
    root, found = f"{archive.folder}/{before}", []
    look, is_there, beside = os.stat, os.access, f"/{READINGS}"
    for day, file in files.items():
        folder = f"{root}{day}"
        with suppress(OSError):
            there = look(folder + after)
            if there.st_size == file.bytes and S_ISREG(there.st_mode) and is_there(folder + beside, os.F_OK):
                found.append(day)
    return frozenset(found)


def _unchanged_objects(
    archive: Archive, mirror: Mirror, files: Mapping[str, PlainFile], names: tuple[str, str]
) -> frozenset[str]:
    """Return the days whose object is the version of the ledger, and has its readings beside it.

    The ledger of an archive that was copied from a folder has no versions: there the size counts, as in a folder.
    """
    profile, call = names
    before, after = archive.around_day(profile, call)
    versions, found = mirror.listed.versions(before), []
    for day, file in files.items():
        key = f"{before}{day}{after}"
        version = versions.get(key)
        if version is None or f"{before}{day}/{READINGS}" not in versions:
            continue
        if file.etag and version.etag == file.etag:
            mirror.learn(key, version.etag, file.sha256)  # as `_known_size` does
            found.append(day)
        elif not file.etag and version.size == file.bytes:
            found.append(day)
    return frozenset(found)


def _beside(archive: Archive, entry: FileEntry) -> str:
    """Return the path of the readings of a day's file, or in the first layout of its index, within the archive."""
    folder = entry.path.rpartition("/")[0]
    return f"{folder}/{index_name(entry.sha256) if archive.layout == FIRST_LAYOUT else READINGS}"


def _restored(archive: Archive, ledger: AnyLedger, entry: FileEntry, told: Sequence[Reading], log: Log) -> bool:
    """Write the readings of a file again from the ledger, and return True if the file is the one in the ledger."""
    path = archive.folder / entry.path
    if archive.layout == FIRST_LAYOUT:
        return False
    with writing_archive(path), ledger.writing():
        if digest_of(path) != entry.sha256:
            return False
        lateness = ledger.lateness(entry.profile, entry.call).get(entry.day)
        found = Contents(entry.sha256, entry.records, [*told], lateness=lateness, whose=whose_in(path))
        update_readings(path, entry.sha256, found)
    log("warning", f"{entry.path} had lost its {READINGS}, which was written again from the ledger")
    return True


def _known_size(mirror: Mirror, entry: FileEntry) -> int | None:
    """Return the size of an object; None without one, and NOT_A_FILE for another version than that of the ledger."""
    version = mirror.listed.version(entry.path)
    if version is None or not entry.etag:
        return None if version is None else version.size
    if version.etag != entry.etag:
        return NOT_A_FILE
    mirror.learn(entry.path, version.etag, entry.sha256)  # the version that was written: no download tells more
    return version.size


def _check_deleted(
    ledger: AnyLedger,
    entry: FileEntry,
    told: Sequence[Reading],
    now: datetime,
    found: Presence,
    log: Log,
    *,
    only_holes: bool,
) -> None:
    """Name a day whose file was deleted; plan it again if that is what the run is for."""
    if not only_holes:
        found.missing.append(entry.day)
        log("warning", f"{entry.path} is missing: cdrctl fill reads its day again")
        return
    log("warning", f"{entry.path} is missing: its day is read again")
    planned = [replace(one, state="planned", read_at=None, records=0) for one in told]
    ledger.write(entry.profile, entry.call, entry.day, planned, None, now)


def _check_changed(
    archive: Archive,
    ledger: AnyLedger,
    entry: FileEntry,
    told: Sequence[Reading],
    oldest: datetime | None,
    now: datetime,
    found: Presence,
) -> None:
    """Find out what a file has whose size is not that in the ledger.

    A run that was killed may have written it, or it was restored from a backup: then the file tells what was read. If
    it does not, its day is read again, unless the provider no longer has all of it.
    """
    contents: Contents | None = None
    path = archive.folder / entry.path
    try:
        contents = contents_of(archive, path)
    except OSError as error:
        found.faults[entry.day] = f"{entry.path} cannot be read: {error.strerror or error}"
        return
    if contents is not None:
        known = with_attempts(contents.readings, told)
        now_there = entry._replace(
            sha256=contents.sha256, records=contents.records, bytes=path.stat().st_size, etag=etag_of(path)
        )
        ledger.write(entry.profile, entry.call, entry.day, known, now_there, now)
        return
    whole = None if entry.day == UNKNOWN else window_of(archive, entry.day)
    if whole is None or (oldest is not None and whole.until <= oldest):
        what = foreign_records(archive, path) or "was changed by another program"
        found.faults[entry.day] = f"{entry.path} {what}"
    else:
        found.again[entry.day] = _read_again(told, whole if oldest is None else Window(oldest, whole.until))


def _read_again(told: Sequence[Reading], part: Window) -> list[Reading]:
    """Return readings with the successful ones changed to planned in a part of the day."""
    result = [one for one in told if one.state != "done"]
    for one in told:
        if one.state == "done":
            result += [replace(one, window=left) for left in subtract([one.window], [part])]
            within = overlap(one.window, part)
            result += replan([replace(one, window=within)]) if within is not None else []
    return sorted(result, key=lambda one: one.window.since)


def window_of(archive: Archive, day: str) -> Window | None:
    """Return the window of a day; None for a name in a damaged ledger that is not a day."""
    return _window_of(day, archive.zone)


@functools.lru_cache(4096)
def _window_of(day: str, zone: tzinfo) -> Window | None:
    with suppress(ValueError):
        return whole_day(date.fromisoformat(day), zone)
    return None


def check_zone(archive: Archive, readings: Mapping[str, Iterable[Reading]], others_fit: int = 0) -> None:
    """Check that the days in the ledger are days of the archive's zone.

    Args:
        archive: The archive.
        readings: The readings by day.
        others_fit: How many other days are known to be days of the zone.

    Raises:
        ConfigurationError: They are not: the zone in `archive.toml` was changed.
    """
    fits, others, zone = others_fit, 0, archive.zone
    for day, told in readings.items():
        whole = _window_of(day, zone)
        for one in told if whole is not None else ():
            if one.state == "done" and whole is not None:
                within = whole.since <= one.window.since and one.window.until <= whole.until
                fits, others = fits + within, others + (not within)
    if others and others >= fits:  # a few may differ, where a country has changed its clocks differently than foreseen
        raise ConfigurationError(
            f"{archive.folder / 'archive.toml'} has the zone {archive.zone_name}, but the days of the archive are of "
            "another zone: their records would be stored twice",
            hint="restore the zone that the archive was created with",
        )
