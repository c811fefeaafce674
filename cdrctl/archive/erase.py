"""Erases the records that have a number from an archive: rewrites the files of their days.

The digest of the number is stored first, so that no run brings it back from then on. For each day the count of records
is stored before its file is written. A run that is killed in between is finished by running it again.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from msgspec import Struct, field

from cdrctl.archive.dayfile import DayFile, NewDay, Row
from cdrctl.archive.difference import Difference
from cdrctl.archive.erased import Erased, ErasedNumber, add_number, digest_matches, has_line, read_erased, write_erased
from cdrctl.archive.files import load, save
from cdrctl.archive.index import milliseconds
from cdrctl.archive.ledger import FileEntry, KeptCall
from cdrctl.archive.ledger2 import JsonLedger, day_of
from cdrctl.archive.ledgers import RUNS, call_lock, creation_lock
from cdrctl.archive.numbers import SHARED, Matches, is_same, numbers_in
from cdrctl.archive.opening import etag_of, make_folder, read_file
from cdrctl.archive.records import record_reader
from cdrctl.archive.status import call_of
from cdrctl.archive.store import ASIDE, DATE, Archive, call_files, remove_temporary_files, replace_file, writing_archive
from cdrctl.errors import LockedError
from cdrctl.fetchers import Call
from cdrctl.windows import rfc3339


class Search(Struct, frozen=True):
    """A number to look for.

    Args:
        matches: Whether digits are the number.
        before: Only calls before this instant; None for all.
        tail: The digits with which every spelling ends; empty if they are not known.
    """

    matches: Matches
    before: datetime | None
    tail: bytes = b""

    def may_be_in(self, line: bytes) -> bool:
        """Return whether a line may have the number: a quick test."""
        return not line.isascii() or self.tail in line.translate(None, NO_DIGITS)


NO_DIGITS = bytes(sorted({*range(256)} - {*b"0123456789"}))


class Found(Struct):
    """The records of a call that have a number.

    Args:
        kept: The call.
        days: How many records, by day.
        left: The files that may have the number and cannot be rewritten.
    """

    kept: KeptCall
    days: dict[str, int] = field(default_factory=dict)
    left: list[Difference] = field(default_factory=list)

    @property
    def records(self) -> int:
        """How many records in all."""
        return sum(self.days.values())


def by_digits(digits: str, before: datetime | None) -> Search:
    """Return the search for a number that is known."""
    return Search(lambda other: is_same(digits, other), before, digits[-SHARED:].encode())


def by_digests(archive: Archive) -> list[tuple[ErasedNumber, Search]]:
    """Return the searches for all numbers that were erased before."""
    erased = read_erased(archive)
    if erased is None:
        return []
    return [(one, Search(digest_matches(erased, one), one.before)) for one in erased.numbers]


def find(archive: Archive, kept: KeptCall, search: Search) -> Found:
    """Return which records of a call have a number; nothing is changed."""
    result = Found(kept)
    for path, file, keys in _days_with(archive, kept, search, result):
        if file is not None and keys:
            result.days[day_of(path)] = len(keys)
    return result


def prepare(archive: Archive, digits: str, before: datetime | None, at: datetime) -> ErasedNumber:
    """Store the digest of a number, so that no later run brings it back."""
    with creation_lock(archive.folder):
        erased, number = add_number(read_erased(archive), digits, before, at)
        write_erased(archive, erased)
    return number


def erase(archive: Archive, kept: KeptCall, search: Search, number: ErasedNumber, at: datetime) -> Found:
    """Erase the records of a call that have a number, and return how many.

    Raises:
        LockedError: Another run writes the call.
        OutputError: The archive cannot be written.
    """
    result = Found(kept)
    with call_lock(archive, kept.profile, kept.call), closing(JsonLedger(archive)) as ledger:
        entries = {one.day: one for one in ledger.files(kept.profile, kept.call)}
        for path, file, keys in _days_with(archive, kept, search, result):
            day = day_of(path)
            if file is None:
                continue
            if keys:
                _store_count(archive, number, kept, day, len(keys))
                result.days[day] = len(keys)
                entry = _rewrite(archive, kept, path, file, keys)
            elif day in entries and entries[day].sha256 != file.sha256:  # a run was killed before it wrote the ledger
                remove_temporary_files(path.parent)
                entry = _entry(archive, kept, path, file.sha256, file.records)
            else:
                continue
            readings = ledger.readings(kept.profile, kept.call).get(day, file.readings)
            ledger.write(kept.profile, kept.call, day, readings, entry, at)
    return result


def _rewrite(archive: Archive, kept: KeptCall, path: Path, file: DayFile, keys: set[bytes]) -> FileEntry:
    """Write a day's file without some records, and return its entry for the ledger."""
    call = call_of(kept)
    assert call is not None  # noqa: S101 - its records were read

    def rows() -> Iterator[Row]:
        return (row for row in file.rows() if row.key not in keys)

    left = file.records - len(keys)
    with writing_archive(path):
        new = NewDay(call.columns, file.header, rows, left, file.readings, file.sha256, lateness=file.lateness)
        sha256, _ = save(archive, path, new)
    return _entry(archive, kept, path, sha256, left)


def _entry(archive: Archive, kept: KeptCall, path: Path, sha256: str, records: int) -> FileEntry:
    relative = path.relative_to(archive.folder).as_posix()
    return FileEntry(
        kept.profile, kept.call, day_of(path), relative, sha256, records, path.stat().st_size, etag_of(path)
    )


def _store_count(archive: Archive, number: ErasedNumber, kept: KeptCall, day: str, count: int) -> None:
    """Store how many records of a day are erased; a run that is repeated counts none twice."""
    with creation_lock(archive.folder):
        erased = read_erased(archive) or Erased(b"", [])
        for one in erased.numbers:
            if (one.whole, one.before) == (number.whole, number.before):
                days = one.records.setdefault(kept.profile, {}).setdefault(kept.call, {})
                days[day] = max(days.get(day, 0), count)
        write_erased(archive, erased)


# What has the number


def _days_with(
    archive: Archive, kept: KeptCall, search: Search, result: Found
) -> Iterator[tuple[Path, DayFile | None, set[bytes]]]:
    """Yield each day's file of a call with the keys of its records that have a number.

    Files that cannot be rewritten are added to `left` of the result if they may have the number.
    """
    call = call_of(kept)
    with writing_archive(archive.profile_folder(kept.profile)):
        paths = call_files(archive, kept.profile, kept.call)
        folder = archive.profile_folder(kept.profile) / archive.call_folder(kept.call)
        asides = sorted(folder.glob(f"{DATE}*/*cdrs.*{ASIDE}*"))
    for path in asides:
        if _mentions(path, search.matches):
            result.left.append(_left(archive, path, "was moved aside and contains the number: delete this file"))
    for path in paths:
        file, keys = None, set[bytes]()
        with suppress(ValueError, EOFError, OSError, zlib.error):
            file = load(archive, path) if call is not None else None
            if file is not None and call is not None:
                keys = _keys_with(call, file, search)
        if file is None and _mentions(path, search.matches):
            what = (
                "contains the number, and another program changed it or its provider is unknown: "
                "run cdrctl sync, then erase again"
            )
            result.left.append(_left(archive, path, what))
        yield path, file, keys


def _left(archive: Archive, path: Path, what: str) -> Difference:
    return Difference(path.relative_to(archive.folder).as_posix(), what)


def _keys_with(call: Call, file: DayFile, search: Search) -> set[bytes]:
    read = record_reader(call, file.header)
    before = None if search.before is None else milliseconds(search.before)
    return {
        row.key
        for row in file.rows()
        if (before is None or row.start < before)
        and search.may_be_in(row.line)
        and has_line(call, read, row, search.matches)
    }


def _mentions(path: Path, matches: Matches) -> bool:
    """Return whether a file that is not of the archive has a number, or cannot be read."""
    try:
        texts = [*_texts_of(path)]
    except (OSError, ValueError):
        return True
    return any(matches(one) for text in texts for one in numbers_in(text))


def _texts_of(path: Path) -> Iterable[str]:
    """Return the lines or the values of a file, by its content: its name may not tell."""
    content = read_file(path)
    if content.startswith(b"PAR1"):
        import pyarrow.parquet as pq  # its errors are ValueErrors or OSErrors

        rows = pq.read_table(io.BytesIO(content)).to_pylist()
        return [str(value) for row in rows for value in row.values() if isinstance(value, str)]
    if content.startswith(b"\x1f\x8b"):
        unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            content = unpack.decompress(content) + unpack.flush()
        except zlib.error as error:
            raise ValueError("damaged") from error
    return content.decode("utf-8", "replace").splitlines()


# The protocol


def write_protocol(archive: Archive, command: str, at: datetime, facts: dict[str, object]) -> Path:
    """Write what a command did, without any number, and return the path of the file."""
    folder = archive.folder / RUNS / "runs"
    name = f"{at:%Y%m%dT%H%M%SZ}-{command}"
    with writing_archive(folder):
        make_folder(folder)
        path, number = folder / f"{name}.json", 1
        while path.exists():
            number += 1
            path = folder / f"{name}-{number}.json"
        plain = {"command": f"archive {command}", "at": rfc3339(at.replace(microsecond=0)), **facts}
        remove_temporary_files(folder, f"{command}.")
        replace_file(path, json.dumps(plain, indent=1).encode() + b"\n", f"{command}.")
    return path


@contextmanager
def collecting(busy: list[LockedError]) -> Iterator[None]:
    """Keep the error about a call that another run writes, so that the other calls are done."""
    try:
        yield
    except LockedError as error:
        busy.append(error)
