"""The ledger of an archive, by its layout, and the locks of its calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cdrctl.archive.ledger import NAME, Ledger, lock_file
from cdrctl.archive.ledger2 import JsonLedger, ledger_path
from cdrctl.archive.opening import make_folder
from cdrctl.archive.store import FIRST_LAYOUT, Archive, day_files, is_there, writing_archive
from cdrctl.errors import CdrctlError

AnyLedger = Ledger | JsonLedger

RUNS = "_cdrctl"
"""The folder of what is not records."""


def open_ledger(archive: Archive, *, read_only: bool = False) -> AnyLedger:
    """Return the ledger of an archive.

    Raises:
        OutputError: It is missing although the archive has records, or cannot be used.
    """
    if archive.layout != FIRST_LAYOUT:
        return JsonLedger(archive)
    is_new = not read_only and not is_there(archive.folder / NAME) and not day_files(archive)
    return Ledger(archive.folder, new=is_new, read_only=read_only)


@contextmanager
def saved(ledger: AnyLedger, profile: str, call: str) -> Iterator[None]:
    """Write the ledger of a call to a store at the end, also after an error; one on disk is written at each change.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        yield
    except BaseException:
        with suppress(CdrctlError):  # the first error counts
            ledger.flush(profile, call)
        raise
    ledger.flush(profile, call)


@contextmanager
def creation_lock(folder: Path) -> Iterator[None]:
    """Hold the lock under which an archive is created.

    Raises:
        LockedError: Another run holds it.
        OutputError: The lock file cannot be written.
    """
    with writing_archive(folder):
        make_folder(folder / RUNS)
    with lock_file(folder / RUNS / "archive.lock", f"the archive in {folder}"):
        yield


@contextmanager
def call_lock(archive: Archive, profile: str, call: str) -> Iterator[None]:
    """Hold the lock of a call, which one run at a time may write.

    Raises:
        LockedError: Another run holds it.
        OutputError: The lock file cannot be written.
    """
    if archive.layout == FIRST_LAYOUT:  # its run holds the lock of the archive
        yield
        return
    path = ledger_path(archive, profile, call).with_suffix(".lock")
    with writing_archive(path.parent):
        make_folder(path.parent)
    with lock_file(path, f"{profile} {call} in the archive {archive.folder}"):
        yield
