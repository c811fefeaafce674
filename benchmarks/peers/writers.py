"""The script's pages through the fastest public API of a library: `writers.py BASE CALL SINCE UNTIL FORMAT FILE`.

The values are those of the responses: no types, no checks.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from typing import Any

file, form = sys.argv.pop(), sys.argv[-1]
from benchmarks.peers.script import pages  # noqa: E402 - it reads the words before the file


def rows() -> Iterator[tuple[list[str], list[list[Any]]]]:
    """Yield the names of the columns, and the rows of each page."""
    keys: list[str] = []
    for items in pages():
        keys = keys or list(items[0])
        yield keys, [[item[key] for key in keys] for item in items]


def parquet() -> None:
    """Write a row group for each page with pyarrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    for items in pages():
        table = pa.Table.from_pylist(items, writer and writer.schema)
        writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
        writer.write_table(table)
    if writer:
        writer.close()


def sqlite() -> None:
    """Insert the rows of each page with one statement."""
    database = sqlite3.connect(file)
    for keys, page in rows():
        names = ", ".join(f'"{key}"' for key in keys)
        database.execute(f"CREATE TABLE IF NOT EXISTS cdrs ({names})")
        database.executemany(f"INSERT INTO cdrs VALUES ({', '.join('?' * len(keys))})", page)  # noqa: S608
    database.commit()


def duckdb() -> None:
    """Insert each page as an Arrow table."""
    import duckdb as db
    import pyarrow as pa

    database = db.connect(file)
    for number, items in enumerate(pages()):
        page = pa.Table.from_pylist(items)
        database.register("page", page)
        database.execute("INSERT INTO cdrs FROM page" if number else "CREATE TABLE cdrs AS FROM page")
    database.close()


def xlsx() -> None:
    """Write row by row in constant memory."""
    import xlsxwriter

    with xlsxwriter.Workbook(file, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        at = 0
        for keys, page in rows():
            if not at:
                sheet.write_row(0, 0, keys)
            for row in page:
                at += 1
                sheet.write_row(at, 0, row)


def table() -> None:
    """Pad the cells of each page to the widths of the first one."""
    with open(file, "w", encoding="utf-8") as out:  # noqa: PTH123 - as short as can be
        widths: list[int] = []
        for _, page in rows():
            cells = [["" if cell is None else str(cell) for cell in row] for row in page]
            widths = widths or [max(map(len, column)) for column in zip(*cells, strict=True)]
            out.writelines("  ".join(map(str.ljust, row, widths)) + "\n" for row in cells)


globals()[form]()
