"""Compares the records of two programs by a checksum: their number, and the sum of the digests of their ids.

`python -m benchmarks.checks PROVIDER RECORDS PAGE_SIZE` prints the checksum of what the server sends, `python -m
benchmarks.checks FILE FORMAT` or `FOLDER FORMAT PATTERN` of what a program wrote. It shows a record that was lost or
written twice.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from cdrctl import PROVIDERS

ID_COLUMNS = ("report_id", "reportid", "id", "leg_id", "callid", "call_id", "ivruniqueid")
"""The names of columns with ids, in lower case with underscores for blanks."""


def identity(provider: str, page: str, at: int) -> str:
    """Return the id of a record from its page's number and its position on the page."""
    if provider in {"webex", "kazoo"}:
        return f"{page}-{at:04x}-39e1-bed9-{at:012x}"
    return f"1{page}{at:06d}" if provider == "callgear" else f"1{page}{at:010d}"


def sent(provider: str, count: int, size: int) -> Iterator[str]:
    """Yield the ids of all records that the server sends."""
    return (identity(provider, f"{number // size:08d}", number % size) for number in range(count))


def _id_column(names: Iterable[str]) -> str:
    """Return the column with the ids.

    Raises:
        ValueError: There is none.
    """
    called = {name.casefold().replace(" ", "_"): name for name in names}
    for name in ID_COLUMNS:
        if name in called:
            return called[name]
    raise ValueError(f"no ids among {', '.join(called)}")


def written(path: Path, form: str) -> Iterator[str]:
    """Yield the ids of the records in a file."""
    with path.open(encoding="utf-8", newline="") as file:
        if form in {"csv", "tsv"}:
            lines = csv.reader(file, delimiter="," if form == "csv" else "\t")
            header = next(lines, [])
            place = header.index(_id_column(header)) if header else 0
            yield from (line[place] for line in lines)
            return
        column = None
        for line in file:
            record = json.loads(line)
            column = column or _id_column(record)
            yield str(record[column])


def summed(ids: Iterable[str]) -> str:
    """Return the number of ids and the sum of their digests, which do not depend on their order."""
    count = total = 0
    for one in ids:
        count += 1
        total += int.from_bytes(hashlib.blake2b(one.encode(), digest_size=16).digest(), "big")
    return f"{count} {total % (1 << 128):032x}"


def main() -> None:
    """Print the checksum."""
    what, *rest = sys.argv[1:]
    if what in PROVIDERS:
        print(summed(sent(what, int(rest[0]), int(rest[1]))))
    else:
        folder, pattern = Path(what), rest[1:]
        files = sorted(folder.glob(pattern[0])) if pattern else [folder]
        print(summed(one for path in files for one in written(path, rest[0])))


if __name__ == "__main__":
    main()
