"""A mistake that shows only while rows are read is DuckDB's message, not an error of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdrctl.errors import UsageError
from tests.archive.test_query import made, opened, rows_of
from tests.support.products import for_each


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("mistakes") / "archive", "jsonl").folder


@for_each(
    "statement",
    [
        "SELECT profile::DATE FROM calls",
        "SELECT profile::DATE FROM common",
        "SELECT error(profile) FROM webex_cdrs",
        "FROM asr(since := 'next week')",
    ],
)
def test_a_mistake_in_a_row_is_a_usage_error(folder: Path, statement: str) -> None:
    with (
        opened(folder) as (database, _),
        pytest.raises(UsageError, match="DuckDB does not run the statement"),
    ):
        rows_of(database, statement)
