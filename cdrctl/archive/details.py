"""The details of records: columns that take further requests, such as costs. Stored details are kept."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from cdrctl.archive.dayfile import DayFile
from cdrctl.archive.index import UNPLACED
from cdrctl.archive.lines import Fields, columns_of, csv_line, fields_of
from cdrctl.export.identity import stable_keys
from cdrctl.fetchers import Call, identities
from cdrctl.records.events import Page, Record
from cdrctl.writers.values import json_of

Keep = Callable[[bytes, bytes], bytes]
"""From the line in the archive and the line that came to the line to store."""


class KnownDetails:
    """The details of the records in a day's file, in a temporary database: those are not requested again.

    They are known as long as the rest of the record is as it was.
    """

    def __init__(self, call: Call, old: DayFile | None, header: bytes, line_of: Callable[[Page], bytes]) -> None:
        """Read the details of a day.

        Args:
            call: The call.
            old: The file of the day; None if there is none.
            header: The CSV header of the lines that come; empty for JSON.
            line_of: Writes the record of a page as a line.
        """
        self._call, self._columns, self._line_of = call, columns_of(header), line_of
        self._first = call.details.columns[0] if call.details is not None else ""
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.execute("CREATE TABLE known (key BLOB PRIMARY KEY, rest BLOB, details TEXT) WITHOUT ROWID")
        if old is not None:
            self._add(old)

    def _add(self, old: DayFile) -> None:
        columns = columns_of(old.header)
        self._db.execute("BEGIN")
        for row in old.rows():
            fields = fields_of(row.line, columns)
            found = {} if fields is None else _details(self._call, fields)
            if fields is not None and self._first in found and row.start != UNPLACED:
                values = (row.key, _digest_of_rest(self._call, fields), json.dumps(found))
                self._db.execute("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", values)
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Delete the database."""
        self._db.close()

    def __call__(self, record: Record, context: Mapping[str, str]) -> Mapping[str, Any] | None:
        """Return the details of a record of a listing, by the provider's keys; None if they are not known."""
        (key,) = stable_keys(context, identities([record], self._call.identity))
        found = self._db.execute("SELECT rest, details FROM known WHERE key = ?", (key,)).fetchone()
        if found is None:
            return None
        fields = fields_of(self._line_of(Page([record], context)), self._columns)
        if fields is None or _digest_of_rest(self._call, fields) != found[0]:
            return None
        details = json.loads(found[1])
        return {column.key: details[column.name] for column in self._call.columns if column.name in details}


def no_details(_record: Record, _context: Mapping[str, str]) -> Mapping[str, Any]:
    """Return no details of a record, where none are of interest."""
    return {}


def keep_details(call: Call, header: bytes, *, wanted: bool) -> Keep | None:
    """Return a function that keeps the details of the line in the archive where the line that came has none.

    If details were asked for and the record has changed, those of its earlier version are not kept: they could be
    wrong, and the reading is incomplete.

    Args:
        call: The call.
        header: The CSV header of both lines; empty for JSON.
        wanted: Details were asked for.
    """
    if call.details is None:
        return None
    columns, names = columns_of(header), call.details.columns

    def keep(old: bytes, new: bytes) -> bytes:
        ours, theirs = fields_of(old, columns), fields_of(new, columns)
        if ours is None or theirs is None or _details(call, theirs):
            return new
        found = _details(call, ours)
        if not found or (wanted and _digest_of_rest(call, ours) != _digest_of_rest(call, theirs)):
            return new
        kept = {**theirs, **{name: ours[name] for name in names if name in ours}}
        return csv_line([str(kept[name]) for name in columns]) if columns else json_of(kept) + b"\n"

    return keep


def _details(call: Call, fields: Fields) -> dict[str, Any]:
    """Return the details among the fields of a line."""
    names = call.details.columns if call.details is not None else ()
    return {name: fields[name] for name in names if fields.get(name) not in (None, "")}


def _digest_of_rest(call: Call, fields: Fields) -> bytes:
    """Return a digest of the fields of a line that are no details."""
    names = frozenset(call.details.columns if call.details is not None else ())
    rest = {name: value for name, value in fields.items() if name not in names and value not in (None, "")}
    return hashlib.blake2b(json.dumps(rest, sort_keys=True).encode(), digest_size=16).digest()
