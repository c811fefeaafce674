"""The records of one day on their way into its file: a temporary database on disk, so that a large day fits in memory.

It has the rows of the file and the records that came, and merges them: no record is lost, and none is stored twice.
SQLite creates the database among the temporary files, readable for its owner alone, and deletes it when it is closed
(sqlite.org, "In-Memory Databases", section 3).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import chain
from types import TracebackType
from typing import NamedTuple, Self

from cdrctl.archive.dayfile import Row
from cdrctl.archive.index import FROM_LINE, UNPLACED, Entry, milliseconds
from cdrctl.archive.merge import Counts, NearRows, Traits, match_renamed, moved_keys
from cdrctl.archive.twins import assign_family_keys, numbered_key
from cdrctl.errors import OutputError
from cdrctl.windows import Window

CACHE_KIBIBYTES = 4096
"""How much of a day SQLite holds in memory."""

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE old (key BLOB NOT NULL, start INTEGER NOT NULL, line BLOB NOT NULL, gone INTEGER);
CREATE TABLE new (key BLOB NOT NULL, start INTEGER NOT NULL, line BLOB NOT NULL);
CREATE TABLE renamed (key BLOB PRIMARY KEY, other BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE missing (key BLOB PRIMARY KEY) WITHOUT ROWID;
"""

_CAME = "CREATE TABLE came (key BLOB NOT NULL, start INTEGER NOT NULL, line BLOB NOT NULL)"

_FRESH = "FROM new WHERE key NOT IN (SELECT key FROM old) AND key NOT IN (SELECT other FROM renamed)"
"""The records that came and are not in the file, neither under their key nor under another one."""


class Merged(NamedTuple):
    """How a merge changed a day.

    Args:
        counts: How it changed the records.
        records: How many records there are now.
        missing: How many kept records were not in the response.
        gone: How many records are marked as gone.
        changed: Whether the rows differ from those of the file.
    """

    counts: Counts
    records: int
    missing: int
    gone: int
    changed: bool


class Spool:
    """The rows of a day's file and the records that came, in a temporary database."""

    def __init__(self) -> None:
        self.has_unplaced = False
        self._open: sqlite3.Connection | None = None

    @property
    def _db(self) -> sqlite3.Connection:
        """The database, which is created for the first record: most nights of a quiet customer have none."""
        if self._open is None:
            self._open = _new_database()
        return self._open

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Delete the database."""
        if self._open is not None:
            self._open.close()

    def add_old(self, rows: Iterable[Row]) -> None:
        """Add rows of the file."""
        found = iter(rows)
        first = next(found, None)
        if first is None:
            return
        with on_disk():
            self._db.execute("BEGIN")
            values = ((row.key, row.start, row.line, row.gone_at) for row in chain([first], found))
            self._db.executemany("INSERT INTO old VALUES (?, ?, ?, ?)", values)
            self._db.execute("COMMIT")

    def add_new(self, entries: Iterable[Entry]) -> None:
        """Add records that came."""
        found = [*entries]
        if not found:
            return
        if any(entry.start == UNPLACED for entry in found):
            self.has_unplaced = True
        with on_disk():
            self._db.execute("BEGIN")
            values = ((entry.key, entry.start, entry.line) for entry in found)
            self._db.executemany("INSERT INTO new VALUES (?, ?, ?)", values)
            self._db.execute("COMMIT")

    def remember(self) -> None:
        """Keep a copy of the records that came, for `restart`."""
        with on_disk():
            self._db.execute(_CAME)
            self._db.execute("INSERT INTO came SELECT key, start, line FROM new")

    def restart(self) -> None:
        """Go back to the records that came, as they were when `remember` was called, without rows of a file."""
        with on_disk():
            self._db.execute("DROP INDEX IF EXISTS old_key")
            self._db.execute("DROP INDEX IF EXISTS new_key")
            for table in ("old", "new", "renamed", "missing"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
            self._db.execute("INSERT INTO new SELECT key, start, line FROM came")

    def recast(self, change: Callable[[bytes], bytes]) -> None:
        """Change the lines of the records that came."""
        if self._open is None:
            return
        self._db.create_function("recast", 1, change, deterministic=True)
        with on_disk():
            self._db.execute("UPDATE new SET line = recast(line)")

    def count_new(self) -> int:
        """Return how many records came."""
        return self._count("SELECT count(*) FROM new")

    def first_line(self) -> bytes | None:
        """Return the line of a record that came, or None if none did."""
        if self._open is None:
            return None
        found = self._db.execute("SELECT line FROM new LIMIT 1").fetchone()
        return None if found is None else bytes(found[0])

    def take_unplaced(self) -> list[Entry]:
        """Remove the records that came without a readable start, and return them."""
        if not self.has_unplaced:  # nearly always: no row needs to be looked at
            return []
        query = "SELECT start, key, line FROM new WHERE start = ?"
        found = [Entry(*row) for row in self._db.execute(query, (UNPLACED,))]
        self._db.execute("DELETE FROM new WHERE start = ?", (UNPLACED,))
        return found

    def merge(
        self,
        window: Window | None,
        read_before: Sequence[Window],
        *,
        complete: bool,
        shrink: bool,
        concurrent: bool = False,
        traits: Traits = lambda _line: None,
        read_at: datetime | None = None,
        keep: Callable[[bytes, bytes], bytes] | None = None,
        near: NearRows = tuple,
    ) -> Merged:
        """Merge the records that came with those of the file, and return how that changed the day.

        A record that a complete response no longer has is kept and marked as gone, unless `shrink` is given. A record
        that came back under another key replaces the old one: it is recognized by an equal line, or by start, parties
        and type. A record that a day around has under the same key leaves this day: its start was corrected.

        Args:
            window: The requested window; None for records without a start, which are only added to.
            read_before: The windows that had been read successfully before: a new record in one of them is late.
            complete: The response has everything that the provider has of the window, so that absent records are gone.
            shrink: Remove gone records.
            concurrent: Another run wrote the file after the request: what came in between is not gone.
            traits: Identifies the call of a line.
            read_at: The time of the request.
            keep: From the line in the file and the line that came to the line to store; None to store what came.
            near: The rows of the days around.
        """
        if self._open is None:
            return Merged(Counts(), 0, 0, 0, changed=False)
        with on_disk():
            self._assign_keys()
            since, until = (UNPLACED, 2**63 - 1) if window is None else _span(window)
            self._match_renamed(since, until, traits, complete=complete)
            if keep is not None:
                self._keep_from_old(keep)
            if complete and not concurrent:
                self._db.execute(
                    "INSERT INTO missing SELECT key FROM old WHERE start >= ? AND start < ? "
                    "AND key NOT IN (SELECT key FROM new) AND key NOT IN (SELECT key FROM renamed)",
                    (since, until),
                )
            left = _drop_moved(self._db, traits, near)
            counts, gone = _counts(self._db, read_before), self._count("SELECT count(*) FROM missing")
            different = _change_rows(self._db, read_at, shrink=shrink) or left or any(counts[:3])
            marked = self._count("SELECT count(*) FROM old WHERE gone IS NOT NULL AND key NOT IN (SELECT key FROM new)")
            counts = counts._replace(gone=gone, kept=0 if shrink else gone)
            return Merged(counts, self._records(), counts.kept, marked, different)

    def rows(self) -> Iterator[Row]:
        """Yield the rows of the day after a merge, ordered by start."""
        if self._open is None:
            return
        query = (
            "SELECT start, key, line, gone FROM (SELECT start, key, line, NULL AS gone FROM new UNION ALL "
            "SELECT start, key, line, gone FROM old WHERE key NOT IN (SELECT key FROM new)) ORDER BY start, key, line"
        )
        with on_disk():
            for row in self._db.execute(query):
                yield Row(*row)

    def gone_since(self, instant: datetime) -> int:
        """Return how many missing records are known to be gone since an instant or later."""
        query = "SELECT count(*) FROM old WHERE gone > ? AND key IN (SELECT key FROM missing)"
        return self._count(query, milliseconds(instant))

    def late_starts(self, read_before: Sequence[Window]) -> Iterator[int]:
        """Yield the start of each late record of a merge, in Unix milliseconds.

        Args:
            read_before: The windows that had been read successfully before.
        """
        if not read_before or self._open is None:
            return
        late, values = _within([_span(one) for one in read_before])
        yield from (start for (start,) in self._db.execute(f"SELECT start {_FRESH} AND ({late})", values))

    def _count(self, query: str, *values: object) -> int:
        return 0 if self._open is None else _count(self._open, query, *values)

    def _records(self) -> int:
        old = "SELECT count(*) FROM old WHERE key NOT IN (SELECT key FROM new)"
        return self.count_new() + self._count(old)

    def _assign_keys(self) -> None:
        """Give each record that came a key of its own, where several have the same id."""
        self._db.execute("CREATE INDEX old_keys ON old (key)")
        self._db.execute("CREATE INDEX new_keys ON new (key)")
        families = self._db.execute(
            "SELECT key FROM new GROUP BY key HAVING count(*) > 1 "
            "OR EXISTS (SELECT 1 FROM old WHERE old.key = second(new.key))"
        ).fetchall()
        for (key,) in families:
            query = "SELECT start, key, line FROM new WHERE key = ?"
            members = [Entry(*row) for row in self._db.execute(query, (key,))]
            had = self._family(key, len(members))
            self._db.execute("DELETE FROM new WHERE key = ?", (key,))
            self.add_new(assign_family_keys(key, members, had))
        self._db.execute("DROP INDEX old_keys")
        self._db.execute("DROP INDEX new_keys")
        self._db.execute("CREATE UNIQUE INDEX old_key ON old (key)")
        self._db.execute("CREATE UNIQUE INDEX new_key ON new (key)")

    def _family(self, key: bytes, count: int) -> dict[bytes, Entry]:
        """Return the old records with the same id, and those with the next numbers, by key."""
        had: dict[bytes, Entry] = {}
        number = 1
        while True:
            one = numbered_key(key, number)
            row = self._db.execute("SELECT start, key, line FROM old WHERE key = ?", (one,)).fetchone()
            if row is not None:
                had[one] = Entry(*row)
            elif number > len(had) + count:
                return had
            number += 1

    def _match_renamed(self, since: int, until: int, traits: Traits, *, complete: bool) -> None:
        """Find the records that came back under another key."""
        from_line = "substr(key, 1, ?) = ?"
        within = f"((start >= ? AND start < ?) OR {from_line})" if complete else from_line
        values: tuple[object, ...] = (len(FROM_LINE), FROM_LINE)
        values = (since, until, *values) if complete else values
        absent = f"FROM old WHERE key NOT IN (SELECT key FROM new) AND {within}"  # noqa: S608 - texts of ours
        fresh = "FROM new WHERE key NOT IN (SELECT key FROM old)"
        if not self._count(f"SELECT EXISTS (SELECT 1 {absent})", *values) or not self._count(
            f"SELECT EXISTS (SELECT 1 {fresh})"
        ):
            return
        ours = [Entry(*row) for row in self._db.execute(f"SELECT start, key, line {absent}", values)]
        theirs = [Entry(*row) for row in self._db.execute(f"SELECT start, key, line {fresh}")]
        pairs = match_renamed(ours, theirs, traits)
        self._db.executemany("INSERT INTO renamed VALUES (?, ?)", [(key, entry.key) for key, entry in pairs.items()])

    def _keep_from_old(self, keep: Callable[[bytes, bytes], bytes]) -> None:
        """Change the lines of records that came and are in the file with other lines."""
        self._db.create_function("keep", 2, keep, deterministic=True)
        same = "SELECT line FROM old WHERE old.key = new.key"
        moved = "SELECT old.line FROM renamed JOIN old ON old.key = renamed.key WHERE renamed.other = new.key"
        for old in (same, moved):
            query = f"UPDATE new SET line = keep(({old}), line) WHERE line != ({old})"  # noqa: S608 - texts of ours
            self._db.execute(query)


def _new_database() -> sqlite3.Connection:
    db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    db.execute(f"PRAGMA cache_size = -{CACHE_KIBIBYTES}")
    db.executescript(_TABLES)
    db.create_function("second", 1, lambda key: numbered_key(key, 2), deterministic=True)
    return db


def _drop_moved(db: sqlite3.Connection, traits: Traits, near: NearRows) -> bool:
    """Remove the missing records that a day around has, and return whether there are any."""
    if db.execute("SELECT key FROM missing LIMIT 1").fetchone() is None:
        return False

    def line_of(key: bytes) -> bytes | None:
        found = db.execute("SELECT line FROM old JOIN missing USING (key) WHERE key = ?", (key,)).fetchone()
        return None if found is None else bytes(found[0])

    moved = {*moved_keys(line_of, traits, near)}
    for table in ("old", "missing"):
        db.executemany(f"DELETE FROM {table} WHERE key = ?", [(key,) for key in moved])  # noqa: S608 - names of ours
    return bool(moved)


@contextmanager
def on_disk() -> Iterator[None]:
    """Turn an error of the temporary database into an OutputError."""
    try:
        yield
    except sqlite3.Error as error:
        raise unusable_temporary_files(error) from error


def unusable_temporary_files(error: Exception) -> OutputError:
    """Return the error for temporary files that cannot be written or read."""
    return OutputError(
        f"the records of a day cannot be kept among the temporary files: {error}",
        hint="free disk space there, or set TMPDIR to a folder with more",
    )


def _counts(db: sqlite3.Connection, read_before: Sequence[Window]) -> Counts:
    """Return the numbers of new, late and changed records."""
    total = _count(db, f"SELECT count(*) {_FRESH}")
    before, values = _within([_span(one) for one in read_before])
    late = _count(db, f"SELECT count(*) {_FRESH} AND ({before})", *values)
    changed = _count(db, "SELECT count(*) FROM old JOIN new USING (key) WHERE old.line != new.line") + _count(
        db,
        "SELECT count(*) FROM renamed JOIN old ON old.key = renamed.key JOIN new ON new.key = renamed.other "
        "WHERE old.line != new.line",
    )
    return Counts(total - late, late, changed)


def _change_rows(db: sqlite3.Connection, read_at: datetime | None, *, shrink: bool) -> bool:
    """Remove the old rows that leave, mark those that are gone, and return whether a row differs from the file."""
    moved = _count(db, "SELECT count(*) FROM old JOIN new USING (key) WHERE old.start != new.start")
    back = _count(db, "SELECT count(*) FROM old JOIN new USING (key) WHERE gone IS NOT NULL")
    left = db.execute("DELETE FROM old WHERE key IN (SELECT key FROM renamed)").rowcount
    if shrink:
        left += db.execute("DELETE FROM old WHERE key IN (SELECT key FROM missing)").rowcount
    marked = 0
    if read_at is not None:
        query = "UPDATE old SET gone = ? WHERE gone IS NULL AND key IN (SELECT key FROM missing)"
        marked = db.execute(query, (milliseconds(read_at),)).rowcount
    return bool(moved or back or left or marked)


def _count(db: sqlite3.Connection, query: str, *values: object) -> int:
    return int(db.execute(query, values).fetchone()[0])


def _within(spans: Sequence[tuple[int, int]]) -> tuple[str, list[int]]:
    """Return the condition that a start is in one of some spans, and its values."""
    return " OR ".join(["(start >= ? AND start < ?)"] * len(spans)) or "0", [at for span in spans for at in span]


def _span(window: Window) -> tuple[int, int]:
    """Return a window in Unix milliseconds."""
    return milliseconds(window.since), milliseconds(window.until)
