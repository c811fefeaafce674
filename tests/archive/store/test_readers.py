"""Programs read a day while runs write it: they see it whole, as it was or as it is, and no record twice.

Arrow and polars read a Parquet object in parts. If it is replaced in between, the parts do not fit, and they say so.
cdrctl downloads an object as a whole.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest

from cdrctl.archive.files import load
from cdrctl.archive.ledgers import open_ledger
from cdrctl.archive.mirror import Mirror
from cdrctl.archive.store import open_archive, open_or_create
from tests.archive.store.conftest import BUCKET, CREDENTIALS, Store
from tests.archive.sync_kit import Bench, call

pytestmark = pytest.mark.slow

DAY = "2026-11-11"
NIGHTS = 12


def written_by(store: Store, records: int) -> None:
    """Let a run of its own write a day with some records."""
    archive = open_or_create(Mirror(store.url).root, None, "parquet")
    made = [call(f"{number:02}", f"{DAY}T10:{number:02}:00Z") for number in range(records)]
    bench = Bench(archive, open_ledger(archive), records=made)
    assert bench.sync().failed == {}
    bench.ledger.close()


def duckdb_reads(store: Store) -> Callable[[], list[str]]:
    """Return a function that reads the ids of the archive with DuckDB, through Arrow's own client."""
    duckdb, fs = pytest.importorskip("duckdb"), pytest.importorskip("pyarrow.fs")
    dataset = pytest.importorskip("pyarrow.dataset").dataset
    files = fs.S3FileSystem(
        access_key=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        secret_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region="us-east-1",
        scheme="http",
        endpoint_override=store.endpoint.removeprefix("http://"),
    )
    folder = f"{BUCKET}/{store.url.rpartition('/')[2]}/profile=acme"

    def read() -> list[str]:
        archive = dataset(folder, filesystem=files, format="parquet", partitioning="hive")
        rows = duckdb.from_arrow(archive).project("id").fetchall()
        return sorted(str(one) for (one,) in rows)

    return read


def polars_reads(store: Store) -> Callable[[], list[str]]:
    """Return a function that reads the ids of the archive with polars."""
    polars = pytest.importorskip("polars")
    options = {
        **{name.lower(): value for name, value in CREDENTIALS.items()},
        "aws_endpoint_url": store.endpoint,
        "aws_allow_http": "true",
    }

    def read() -> list[str]:
        found = polars.scan_parquet(f"{store.url}/profile=acme/**/*.parquet", storage_options=options)
        return sorted(found.select("id").collect()["id"].to_list())

    return read


def cdrctl_reads(store: Store) -> Callable[[], list[str]]:
    """Return a function that reads the ids of the archive as cdrctl does."""

    def read() -> list[str]:
        archive = open_archive(Mirror(store.url).root)
        file = load(archive, archive.path("acme", "cdrs", DAY))
        assert file is not None
        return sorted(json.loads(row.line)["id"] for row in file.rows())

    return read


READERS = {"duckdb": (duckdb_reads, True), "polars": (polars_reads, True), "cdrctl": (cdrctl_reads, False)}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_never_sees_a_torn_or_doubled_day(store: Store, name: str) -> None:
    reads, may_fail = READERS[name]
    read = reads(store)
    seen: list[list[str]] = []
    writing = threading.Event()
    writing.set()

    def look() -> None:
        try:
            seen.append(read())
        except Exception:
            if not may_fail:
                raise

    written_by(store, 1)
    problems: list[BaseException] = []

    def write() -> None:
        try:
            for records in range(2, NIGHTS):
                written_by(store, records)
        except BaseException as error:  # noqa: BLE001 - raised by the test
            problems.append(error)
        writing.clear()

    writer = threading.Thread(target=write)
    writer.start()
    while writing.is_set():
        look()
    writer.join()
    seen.append(read())
    assert not problems
    for ids in seen:
        assert ids == [f"{number:02}" for number in range(len(ids))]
    assert (len(seen) > 1, len(seen[-1])) == (True, NIGHTS - 1)
