"""Writes a copy of an archive with pseudonyms in place of numbers and names, for tests and analyses."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import groupby
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from cdrctl.archive.casting import UnreadableRowError, cast
from cdrctl.archive.dayfile import DayFile, NewDay, Row
from cdrctl.archive.difference import Difference
from cdrctl.archive.files import load, save
from cdrctl.archive.index import reading_archive
from cdrctl.archive.ledger import FileEntry, KeptCall
from cdrctl.archive.ledger2 import FOLDER, day_of, write_ledger
from cdrctl.archive.ledger_days import CallLedger
from cdrctl.archive.ledgers import RUNS, creation_lock, open_ledger
from cdrctl.archive.opening import etag_of, remove_tree
from cdrctl.archive.pseudonyms import Pseudonyms, record_pseudonymiser
from cdrctl.archive.records import record_reader
from cdrctl.archive.retired import Retired, write_retired
from cdrctl.archive.settings import Settings, check_installed, settings_text
from cdrctl.archive.status import call_of
from cdrctl.archive.store import (
    PROFILE,
    Archive,
    call_files,
    is_there,
    open_archive,
    remove_temporary_files,
    replace_file,
    writing_archive,
)
from cdrctl.errors import UsageError
from cdrctl.fetchers import Call
from cdrctl.writers.values import json_of

BEGUN = Path(RUNS, "copy.begun")
"""The file of a copy that is not finished yet."""


class Copied(Struct):
    """What was copied: numbers of calls, days and records, and the files that could not be."""

    calls: int = 0
    days: int = 0
    records: int = 0
    left: list[Difference] = field(default_factory=list)


def pseudonymise(folder: Path, target: Path, key: bytes, log: Callable[[str], None]) -> Copied:
    """Write a copy of an archive with pseudonyms into a new folder, and return what was copied.

    Accounts, errors of readings, and files that were moved aside are left out. The copy becomes an archive at the end.
    What an earlier run left that did not end is removed first: the pseudonyms differ, unless the key is the same.

    Args:
        folder: The archive; it is only read.
        target: The folder of the copy: new, empty, or of a run that did not end.
        key: The key of the pseudonyms.
        log: Logs a line about each call.

    Raises:
        UsageError: There is no archive, or the folder of the copy is not empty.
        ConfigurationError: What reads and writes its format is not installed.
        OutputError: The copy cannot be written, or the archive cannot be read.
    """
    old = open_archive(folder)
    check_installed(old.form)
    with reading_archive(folder):
        here, there = folder.resolve(), target.resolve()
        if here == there or here in there.parents or there in here.parents:
            raise UsageError("the copy cannot be in the folder of the archive", hint="name another folder")
        _check_target(target)
    new = Archive(target, Settings(old.zone_name, old.form, pseudonymised=True))
    done, names = Copied(), Pseudonyms(key)
    with creation_lock(target):
        with writing_archive(target):
            if _check_target(target):  # once more: a run that held the lock may have ended by now
                _remove_copy(target)
            replace_file(target / BEGUN, b"")
        with reading_archive(folder), closing(open_ledger(old, read_only=True)) as ledger:
            for kept in ledger.kept():
                before = done.records
                late = ledger.lateness(kept.profile, kept.call)
                told = CallLedger(kept.provider, kept.begins, retired=kept.retired, lateness=late)
                for day, readings in ledger.readings(kept.profile, kept.call).items():
                    told.readings[day] = [replace(one, error="") for one in readings]
                _copy_call(old, new, kept, names, told, done)
                done.calls += 1
                log(f"{kept.profile} {kept.call}: {done.records - before} records")
        with writing_archive(target):
            replace_file(target / "archive.toml", settings_text(new.settings))
            (target / BEGUN).unlink()
    return done


def _check_target(target: Path) -> bool:
    """Check that a folder may get a copy, and return whether a run that did not end has begun one there.

    Raises:
        UsageError: It has something else.
    """
    begun = is_there(target / BEGUN) and not is_there(target / "archive.toml")
    if not begun and is_there(target) and any(one.name != RUNS for one in target.iterdir()):
        raise UsageError(f"{target} is not empty", hint="name a new or an empty folder")
    return begun


def _remove_copy(target: Path) -> None:
    """Remove what a run left in the folder of a copy that is not an archive yet."""
    remove_temporary_files(target)
    remove_temporary_files(target / RUNS)
    for folder in [*target.glob(f"{PROFILE}*"), target / FOLDER]:
        if is_there(folder):
            remove_tree(folder)


def _copy_call(old: Archive, new: Archive, kept: KeptCall, names: Pseudonyms, told: CallLedger, done: Copied) -> None:
    call = call_of(kept)
    for path in call_files(old, kept.profile, kept.call):
        relative = path.relative_to(old.folder).as_posix()
        entry = None if call is None else _copy_day(old, new, kept, call, path, names)
        if entry is None:
            done.left.append(Difference(relative, "cannot be read, or was changed by another program: it is left out"))
            continue
        told.files[day_of(path)] = entry
        done.days += 1
        done.records += entry.records
    if kept.retired is not None:
        with writing_archive(new.folder):
            write_retired(new, kept.profile, kept.call, Retired(kept.begins, kept.retired))
    write_ledger(new, kept.profile, kept.call, told)


def _copy_day(
    old: Archive, new: Archive, kept: KeptCall, call: Call, path: Path, names: Pseudonyms
) -> FileEntry | None:
    """Write a day with pseudonyms, and return its entry for the ledger; None if the file cannot be read."""
    try:
        file = load(old, path)
    except (OSError, ValueError, EOFError, zlib.error):
        return None
    if file is None:
        return None
    target = new.path(kept.profile, kept.call, day_of(path))
    readings = [replace(one, error="") for one in file.readings]

    def rows() -> Iterator[Row]:
        return cast(call, _pseudonymised(call, file, names), b"", file.header)

    try:
        with writing_archive(target):
            sha256, size = save(
                new, target, NewDay(call.columns, file.header, rows, file.records, readings, lateness=file.lateness)
            )
    except UnreadableRowError:
        with suppress(OSError):
            target.parent.rmdir()
        return None
    name = target.relative_to(new.folder).as_posix()
    return FileEntry(kept.profile, kept.call, day_of(path), name, sha256, file.records, size, etag_of(target))


def _pseudonymised(call: Call, file: DayFile, names: Pseudonyms) -> Iterator[Row]:
    """Yield the records of a file with pseudonyms, as JSON, those that start at the same time ordered by key.

    Raises:
        UnreadableRowError: A line cannot be read.
    """
    read, change = record_reader(call, file.header), record_pseudonymiser(call, names)

    def changed(row: Row) -> Row:
        fields = read(row)
        if fields is None:
            raise UnreadableRowError("a line is no record")
        return Row(row.start, names.record_key(row.key), json_of(change(fields)) + b"\n", row.gone_at)

    for _, some in groupby(file.rows(), lambda row: row.start):
        yield from sorted(map(changed, some), key=lambda row: row.key)
