"""The ledger of archives that earlier versions created: an SQLite database, and one lock for the whole archive.

It has the calls that are kept, the readings of each day, and the files.

A reading is written when its records are durable on disk, never before. The ledger can be rebuilt from the files and
their indexes.
"""

from __future__ import annotations

import errno
import shutil
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from msgspec import Struct

from cdrctl.archive.index import aware, reading_of
from cdrctl.archive.intervals import Reading
from cdrctl.archive.lateness import Lateness
from cdrctl.archive.store import is_of_disk, is_there, write_hint
from cdrctl.archive.whole_days import WholeDays
from cdrctl.errors import LockedError, OutputError
from cdrctl.windows import rfc3339

NAME = "ledger.sqlite3"
_TABLES = """
CREATE TABLE IF NOT EXISTS calls (
    profile TEXT NOT NULL, call TEXT NOT NULL, provider TEXT NOT NULL, begins TEXT NOT NULL,
    PRIMARY KEY (profile, call)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS intervals (
    profile TEXT NOT NULL, call TEXT NOT NULL, day TEXT NOT NULL, since TEXT NOT NULL, until TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('planned', 'done', 'failed')), read_at TEXT, records INTEGER NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (profile, call, day, since)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    profile TEXT NOT NULL, call TEXT NOT NULL, day TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,
    records INTEGER NOT NULL, bytes INTEGER NOT NULL, written_at TEXT NOT NULL,
    PRIMARY KEY (profile, call, day)
) WITHOUT ROWID;
"""


class FileEntry(NamedTuple):
    """The ledger's entry of a day's file; the path is relative to the archive's folder; the tag is an object's."""

    profile: str
    call: str
    day: str
    path: str
    sha256: str
    records: int
    bytes: int
    etag: str = ""


class KeptCall(Struct, frozen=True):
    """A call that the archive keeps.

    Args:
        profile: Its profile.
        call: Its name.
        provider: Its provider; empty if unknown.
        begins: Since when the archive keeps it.
        retired: The first day that was not removed by `archive retain`; None if none was.
    """

    profile: str
    call: str
    provider: str
    begins: datetime
    retired: date | None = None


class SweepState(Struct, frozen=True):
    """The sweeps of a call by the policy of its archive.

    Args:
        finished: When the last sweep began that was finished; None if none was.
        began: When the last sweep began; None if none did.
    """

    finished: datetime | None = None
    began: datetime | None = None


class Ledger:
    """An open ledger; its methods may be called from several threads.

    Every change is one transaction that is on disk when the method returns.
    """

    def __init__(self, folder: Path, *, new: bool = False, read_only: bool = False, name: str = NAME) -> None:
        path = folder / name
        self._querying = threading.Lock()
        self._writing = threading.Lock()
        self._closed = False
        self._copy: TemporaryDirectory[str] | None = None
        self._path = path
        try:
            if not new and not is_there(path):
                raise OutputError(f"{path} is missing", hint="rebuild it from the files: cdrctl verify --rebuild")
            if read_only:
                self._db = self._connect_read_only(path)
                return
            path.touch(mode=0o600)  # SQLite would create it readable for others
            path.chmod(0o600)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_TABLES)
        except (sqlite3.Error, OSError) as error:
            raise _ledger_error(path, error) from error

    def _connect_read_only(self, path: Path) -> sqlite3.Connection:
        """Return a connection that needs no permission to write, neither to the database nor to its folder.

        Without a log (WAL) the database file is complete, and is read as a file that does not change. With one, a
        read-only connection needs the log's index; where that cannot be made, database and log are copied.
        sqlite.org, "Write-Ahead Logging", section 5, and "Uniform Resource Identifiers".
        """
        log = path.with_name(f"{path.name}-wal")
        if not is_there(log) or log.stat().st_size == 0:
            return self._connect(f"{path.absolute().as_uri()}?immutable=1")
        with suppress(sqlite3.Error):
            return self._connect(f"{path.absolute().as_uri()}?mode=ro")
        self._copy = TemporaryDirectory(prefix="cdrctl-")
        for one in (path, log):
            shutil.copyfile(one, Path(self._copy.name) / one.name)
        return self._connect((Path(self._copy.name) / path.name).as_uri())

    def _connect(self, uri: str) -> sqlite3.Connection:
        db = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None, timeout=30)
        try:
            db.execute("SELECT count(*) FROM calls").fetchone()
        except sqlite3.Error:
            db.close()
            raise
        return db

    def flush(self, profile: str, call: str) -> None:
        """Do nothing: every change is written already."""

    def close(self) -> None:
        """Close the database after the write in progress, if any."""
        with self._writing, self._querying:
            self._closed = True
            self._db.close()
            if self._copy is not None:
                self._copy.cleanup()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the right to write a day's file; `close` waits for it, and nobody gets it afterwards.

        Raises:
            LockedError: The run has ended, and released the archive's lock.
        """
        with self._writing:
            if self._closed:
                raise LockedError("the run has ended")
            yield

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._querying:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise _ledger_error(self._path, error) from error

    def _rows(self, query: str, values: Sequence[str] = ()) -> list[tuple[Any, ...]]:
        with self._querying:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise _ledger_error(self._path, error) from error

    @contextmanager
    def _parsing(self) -> Iterator[None]:
        """Turn the error for an invalid value into an OutputError."""
        try:
            yield
        except (ValueError, TypeError, ArithmeticError) as error:
            raise OutputError(
                f"the ledger {self._path} has an invalid value: {error}",
                hint="rebuild it from the files: cdrctl verify --rebuild",
            ) from error

    def kept(self, profiles: Collection[str] | None = None) -> list[KeptCall]:
        """Return the calls that the archive keeps, by profile and call; of some profiles if they are given."""
        rows = self._rows("SELECT profile, call, provider, begins FROM calls ORDER BY profile, call")
        with self._parsing():
            found = [KeptCall(_text(row[0]), _text(row[1]), _text(row[2]), aware(row[3])) for row in rows]
        return found if profiles is None else [one for one in found if one.profile in profiles]

    def names(self) -> list[tuple[str, str]]:
        """Return the profile and the name of each call that the archive keeps."""
        return [(one.profile, one.call) for one in self.kept()]

    def kept_call(self, profile: str, call: str) -> KeptCall | None:
        """Return the entry of a call, or None if the archive does not keep it."""
        return next((one for one in self.kept() if (one.profile, one.call) == (profile, call)), None)

    def keep(self, kept: KeptCall) -> None:
        """Add a call that is kept since an instant; for a known call the earlier of the two instants counts."""
        with self._change() as db:
            db.execute(
                "INSERT INTO calls VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET begins = min(begins, excluded.begins), provider = excluded.provider",
                (kept.profile, kept.call, kept.provider, rfc3339(kept.begins)),
            )

    def drop(self, profile: str, call: str) -> None:
        """Forget a call that has no files."""
        with self._change() as db:
            for table in ("calls", "intervals"):
                query = f"DELETE FROM {table} WHERE profile = ? AND call = ?"  # noqa: S608 - a text of ours
                db.execute(query, (profile, call))

    def whole_days(self, _profile: str, _call: str) -> WholeDays:
        """Return none: the readings of all days are parsed."""
        return WholeDays(UTC, {})

    def readings(self, profile: str, call: str, without: Collection[str] = ()) -> dict[str, list[Reading]]:
        """Return the readings of a call by day, oldest first, without those of some days."""
        rows = self._rows(
            "SELECT day, since, until, state, read_at, records, error FROM intervals "
            "WHERE profile = ? AND call = ? ORDER BY day, since",
            (profile, call),
        )
        result: dict[str, list[Reading]] = {}
        with self._parsing():
            for day, since, until, state, read_at, records, error in rows:
                if day in without:
                    continue
                plain = {"since": since, "until": until, "state": state, "read_at": read_at, "records": records}
                result.setdefault(_text(day), []).append(reading_of({**plain, "error": error}))
        return result

    def files(
        self, profile: str | None = None, call: str | None = None, without: Collection[str] = ()
    ) -> list[FileEntry]:
        """Return the entries of all files, or of those of one call without those of some days."""
        one = "" if profile is None or call is None else "WHERE profile = ? AND call = ? "
        query = f"SELECT profile, call, day, path, sha256, records, bytes FROM files {one}ORDER BY profile, call, day"  # noqa: S608
        rows = self._rows(query, (profile, call) if profile is not None and call is not None else ())
        with self._parsing():
            return [found for row in rows if (found := _file_entry(row)).day not in without]

    def lateness(self, _profile: str, _call: str) -> dict[str, Lateness]:
        """Return nothing: this ledger has no place for it."""
        return {}

    def sweeps(self, _profile: str, _call: str) -> SweepState:
        """Return that there were none: this ledger has no place for them."""
        return SweepState()

    def write_sweeps(self, _profile: str, _call: str, _sweeps: SweepState) -> None:
        """Do nothing: this ledger has no place for them."""

    def plan(self, profile: str, call: str, days: Mapping[str, Sequence[Reading]]) -> None:
        """Replace the readings of days that are going to be read."""
        with self._change() as db:
            for day, readings in days.items():
                _replace_readings(db, (profile, call, day), readings)

    def write(
        self,
        profile: str,
        call: str,
        day: str,
        readings: Iterable[Reading],
        entry: FileEntry | None,
        now: datetime,
        lateness: Lateness | None = None,  # noqa: ARG002 - this ledger has no place for it
    ) -> None:
        """Replace the readings of a day, and the entry of its file if one is given."""
        with self._change() as db:
            _replace_readings(db, (profile, call, day), readings)
            if entry is not None:
                db.execute(
                    "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (profile, call, day, entry.path, entry.sha256, entry.records, entry.bytes, rfc3339(now)),
                )


def _replace_readings(db: sqlite3.Connection, names: tuple[str, str, str], readings: Iterable[Reading]) -> None:
    db.execute("DELETE FROM intervals WHERE profile = ? AND call = ? AND day = ?", names)
    db.executemany(
        "INSERT INTO intervals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *(*names, rfc3339(one.window.since), rfc3339(one.window.until), one.state),
                *(one.read_at and rfc3339(one.read_at), one.records, one.error),
            )
            for one in readings
        ],
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError(f"not text: {value!r}")
    return value


def _file_entry(row: Sequence[Any]) -> FileEntry:
    """Return the entry of a row of the table `files`.

    Raises:
        ValueError: Its path is not that of its day.
        TypeError: A value has another type.
    """
    profile, call, day, path, sha256 = map(_text, row[:5])
    records, size = row[5:]
    if not isinstance(records, int) or not isinstance(size, int) or min(records, size) < 0:
        raise TypeError(f"not a number of records and of bytes: {records!r}, {size!r}")
    if not path.startswith(f"{profile}/{call}/date={day}/cdrs.") or path.count("/") != PATH_DEPTH or ".." in path:
        raise ValueError(f"not the path of a day's file: {path!r}")
    return FileEntry(profile, call, day, path, sha256, records, size)


PATH_DEPTH = 3
"""Slashes in the path of a day's file."""

NOT_WRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def lock_file(path: Path, what: str, *, to_write: bool = True) -> Iterator[None]:
    """Hold a lock, which is released when the process ends.

    Args:
        path: The lock file.
        what: What it locks, for messages.
        to_write: The lock is required; a reader continues without it where it may not write.

    Raises:
        LockedError: Another run holds it.
        OutputError: The lock file cannot be written.
    """
    from filelock import FileLock, Timeout

    held = FileLock(path, timeout=0, mode=0o600)
    try:
        held.acquire()
    except Timeout:
        raise LockedError(
            f"another run is using {what}", hint="run the command again when the other run has ended"
        ) from None
    except OSError as error:
        if to_write or error.errno not in NOT_WRITABLE:
            raise OutputError(
                f"{what} cannot be locked: {error.strerror}",
                hint=write_hint(error) if is_of_disk(error) else f"correct the permissions of {path} and its folder",
            ) from error
        yield
        return
    try:
        yield
    finally:
        held.release()


def lock(folder: Path, *, to_write: bool = True) -> AbstractContextManager[None]:
    """Return the lock of an archive of the first layout, to hold while it is written."""
    return lock_file(folder / "ledger.lock", f"the archive in {folder}", to_write=to_write)


def _ledger_error(path: Path, error: Exception) -> OutputError:
    return OutputError(
        f"the ledger {path} cannot be used: {error}",
        hint="free disk space or correct the permissions; if it is damaged, rebuild it: cdrctl verify --rebuild",
    )
