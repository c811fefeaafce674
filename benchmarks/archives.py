"""Makes an archive of many profiles and days: `python -m benchmarks.archives DIR PROFILES DAYS LAST`.

Its last days are empty. One profile is written by the archive's own functions. The others are links to its files of
records, because a thousand profiles of a year would take hours otherwise.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cdrctl.archive.dayfile import NewDay, Row
from cdrctl.archive.files import save
from cdrctl.archive.index import instant_text, milliseconds
from cdrctl.archive.intervals import Reading, whole_day
from cdrctl.archive.ledger2 import ledger_path, write_ledger
from cdrctl.archive.ledger_days import CallLedger, file_entry
from cdrctl.archive.store import Archive, open_or_create
from cdrctl.fetchers import Call, load

RECORDS = 3
"""Records of a day."""
EMPTY = 5
"""Days at the end that have no records: the server has none for the nights that are measured."""


def main(words: Sequence[str]) -> None:
    """Make the archive that the command line describes."""
    folder, profiles, days, last = words
    archive = open_or_create(Path(folder), None, "jsonl.gz")
    first, call = "p0000", load("webex").calls[0]
    ledger = CallLedger("webex")
    for back in reversed(range(int(days))):
        _add_day(
            archive,
            ledger,
            call,
            first,
            date.fromisoformat(last) - timedelta(days=back),
            0 if back < EMPTY else RECORDS,
        )
    write_ledger(archive, first, call.name, ledger)
    for number in range(1, int(profiles)):
        name = f"p{number:04}"
        copy = functools.partial(_copy, old=f'"{first}/', new=f'"{name}/')
        shutil.copytree(archive.profile_folder(first), archive.profile_folder(name), copy_function=copy)
        path = ledger_path(archive, name, call.name)
        path.parent.mkdir(parents=True)
        shutil.copy(ledger_path(archive, first, call.name), path)


def _copy(source: str, target: str, *, old: str, new: str) -> None:
    """Link a file, or write what is beside it, which says whose records it has."""
    if source.endswith(".json"):
        Path(target).write_text(Path(source).read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    else:
        os.link(source, target)


def _add_day(archive: Archive, ledger: CallLedger, call: Call, profile: str, day: date, records: int) -> None:
    window = whole_day(day, archive.zone)
    ledger.begins = ledger.begins or window.since
    read_at = min(window.until + timedelta(days=3), datetime.now(UTC).replace(microsecond=0))
    readings = [Reading(window, "done", read_at, records)]
    starts = [milliseconds(window.since) + 1000 * number for number in range(records)]
    rows = [Row(at, b"%015d" % at, _line(at)) for at in starts]
    path = archive.path(profile, call.name, day.isoformat())
    sha256, size = save(archive, path, NewDay(call.columns, b"", lambda: rows, records, readings))
    ledger.readings[day.isoformat()] = readings
    names = (profile, call.name, day.isoformat())
    ledger.files[day.isoformat()] = file_entry(archive, names, sha256, records, size)


def _line(at: int) -> bytes:
    return json.dumps({"start_time": instant_text(at), "report_id": str(at)}, separators=(",", ":")).encode() + b"\n"


if __name__ == "__main__":
    main(sys.argv[1:])
