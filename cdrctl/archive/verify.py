"""Whether an archive's files are those that its ledger knows; and its ledger made again from its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cdrctl.archive.ledger import NAME, Filed, Kept, Ledger
from cdrctl.archive.store import Archive, digest, readings_of, sync_folder


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that is not as the ledger has it, and how."""

    path: str
    what: str


def differences(archive: Archive, files: Sequence[Filed]) -> Iterator[Difference]:
    """Yield what differs between the files and the ledger: missing, changed, or not known."""
    for filed in files:
        path = archive.folder / filed.path
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            yield Difference(filed.path, "is missing")
            continue
        except OSError as error:
            yield Difference(filed.path, f"cannot be read: {error.strerror}")
            continue
        if digest(content) != filed.sha256:
            yield Difference(filed.path, "is not what was written")
        else:
            found = readings_of(path)
            if found is None:
                yield Difference(filed.path, "has lost the hidden index beside it")
            elif found[1] != filed.records:
                yield Difference(filed.path, f"has {found[1]} records, and the ledger has {filed.records}")
    known = {filed.path for filed in files}
    for path in day_files(archive):
        if (relative := path.relative_to(archive.folder).as_posix()) not in known:
            yield Difference(relative, "is not in the ledger")


def day_files(archive: Archive) -> list[Path]:
    """Return the files of records that are in an archive."""
    return sorted(archive.folder.glob(f"*/*/date=*/cdrs.{archive.form}"))


def rebuild_ledger(archive: Archive, providers: Mapping[str, str], now: datetime) -> list[Difference]:
    """Make the ledger from the files and their indexes, in place of the one there was; return what it could not take.

    Args:
        archive: Whose ledger.
        providers: The providers of the profiles that are known, by profile.
        now: The present instant.
    """
    fresh = f"{NAME}.new"
    for name in _files_of(fresh):
        (archive.folder / name).unlink(missing_ok=True)
    odd: list[Difference] = []
    begins: dict[tuple[str, str], datetime] = {}
    ledger = Ledger(archive.folder, new=True, name=fresh)
    try:
        for path in day_files(archive):
            profile, call, day = path.parts[-4], path.parts[-3], path.parent.name.removeprefix("date=")
            relative = path.relative_to(archive.folder).as_posix()
            found = readings_of(path)
            if found is None:
                odd.append(Difference(relative, "has no index that fits: its day is read again"))
                continue
            sha256, records, readings = found
            filed = Filed(profile, call, day, relative, sha256, records, path.stat().st_size)
            ledger.write(profile, call, day, readings, filed, now)
            if readings:
                first = min(one.window.since for one in readings)
                begins[profile, call] = min(first, begins.get((profile, call), first))
        for (profile, call), first in begins.items():
            ledger.keep(Kept(profile, call, providers.get(profile, ""), first))
    finally:
        ledger.close()
    for name in _files_of(NAME)[1:]:  # of the old one, which they do not fit any more
        (archive.folder / name).unlink(missing_ok=True)
    (archive.folder / fresh).replace(archive.folder / NAME)
    sync_folder(archive.folder)
    return odd


def _files_of(name: str) -> tuple[str, str, str]:
    """Return the names of a database's files: itself, its log, the log's index (sqlite.org, "WAL-mode File Format")."""
    return name, f"{name}-wal", f"{name}-shm"
