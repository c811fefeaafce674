"""Any damage to an archive's files: cdrctl does not crash and loses no record."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cdrctl.archive.dayfile import rows_of
from cdrctl.archive.index import Entry, plain_reading
from cdrctl.archive.intervals import Reading
from cdrctl.archive.layout1 import contents_of, load, save
from cdrctl.archive.store import UNKNOWN, open_archive
from cdrctl.archive.verify import differences, rebuild_ledger
from cdrctl.errors import CdrctlError
from cdrctl.records.events import Gap
from cdrctl.windows import Window
from tests.archive.sync_kit import NOW, Bench, bench1, call
from tests.fuzz.anything import dumped, values
from tests.support.examples import examples

__all__ = ["bench1"]


READING = Reading(Window(NOW - timedelta(hours=1), NOW), "done", NOW, 2)
LINES = [Entry(5, b"k" * 15, b"one\n"), Entry(7, b"l" * 15, b"three\n")]


def saved(folder: Path, form: str = "jsonl") -> tuple[Path, Path]:
    """Return the paths of a day's file and its index."""
    path = folder / f"cdrs.{form}"
    save(path, b"", rows_of(LINES, {}), [READING], "")
    return path, next(folder.glob(".cdrs.*.index"))


@examples(100)
@given(
    at=st.integers(0, 10**6),
    gone=st.integers(0, 60),
    instead=st.binary(max_size=4),
    form=st.sampled_from(("jsonl", "jsonl.gz")),
)
def test_damaged_index_is_ignored_or_has_all_lines(at: int, gone: int, instead: bytes, form: str) -> None:
    with TemporaryDirectory() as folder:
        path, index = saved(Path(folder), form)
        content = index.read_bytes()
        at %= len(content) + 1
        index.write_bytes(content[:at] + instead + content[at + gone :])
        day = load(path)
        assert day is None or day.header + b"".join(entry.line for entry in day.entries) == b"one\nthree\n"
        contents_of(path)


@pytest.mark.slow
@examples(100)
@given(told=values(("header", "readings")), reading=st.dictionaries(st.sampled_from(("since", "read_at")), values()))
def test_index_of_any_json_is_ignored_or_has_all_lines(told: Any, reading: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        path, index = saved(Path(folder))
        _, _, packed = index.read_bytes().partition(b"\n")
        plain = {**plain_reading(READING), **reading}
        for head in (told, {"header": told, "readings": []}, {"header": 0, "readings": [plain]}):
            index.write_bytes(dumped(head) + b"\n" + packed)
            day = load(path)
            assert day is None or day.header + b"".join(entry.line for entry in day.entries) == b"one\nthree\n"
            contents_of(path)


@pytest.mark.parametrize("cut", [27, 54])
def test_index_cut_between_two_lines_is_ignored(tmp_path: Path, cut: int) -> None:
    """It was used, and the next merge dropped the lines that it lacked."""
    path, index = saved(tmp_path)
    index.write_bytes(index.read_bytes()[:-cut])
    assert load(path) is None


@pytest.mark.slow
@examples(100)
@given(text=st.binary(max_size=30) | st.sampled_from((b"a=" + b"[" * 3000, b'zone="\\u0000"\nformat="csv"', b"zone=1")))
def test_archive_json_is_read_or_refused(text: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "archive.toml").write_bytes(text)
        with suppress(CdrctlError):
            open_archive(Path(folder))


def test_damaged_index_is_reported_and_its_day_is_read_again(bench1: Bench) -> None:
    """Verify, rebuild and sync ended with a traceback."""
    bench1.sync()
    index = next(bench1.path("2026-11-11").parent.glob(".cdrs.*.index"))
    index.write_bytes(b"{}\n")
    assert [one.what for one in differences(bench1.archive, bench1.ledger.files())] == ["has lost its hidden index"]
    assert [one.path for one in rebuild_ledger(bench1.archive, {}, NOW)] == ["acme/cdrs/date=2026-11-11/cdrs.jsonl"]
    bench1.now += timedelta(hours=1)
    bench1.sync()
    assert bench1.kept() == {"2026-11-11": ["a", "b"], "2026-11-12": ["c"]}


def test_part_of_a_day_does_not_replace_the_whole_day(bench1: Bench) -> None:
    """Without its index, the lines of a file cannot be merged with new ones; they were dropped."""
    bench1.sync()
    next(bench1.path("2026-11-11").parent.glob(".cdrs.*.index")).unlink()
    bench1.records = bench1.records[1:]
    bench1.fault = lambda window: Gap("a part is missing") if window.since.day == 11 else None
    bench1.now += timedelta(hours=1)
    outcome = bench1.sync()
    assert bench1.kept()["2026-11-11"] == ["a", "b"]
    assert list(outcome.failed) == ["2026-11-11"]


def test_records_without_a_start_are_kept_when_their_index_is_missing(bench1: Bench) -> None:
    """They were replaced by new ones."""
    bench1.records = [call("when", "")]
    bench1.sync()
    assert bench1.kept()[UNKNOWN] == ["when"]
    next(bench1.path(UNKNOWN).parent.glob(".cdrs.*.index")).unlink()
    bench1.records = [call("whence", "")]
    bench1.now += timedelta(hours=1)
    bench1.sync()
    assert bench1.kept()[UNKNOWN] == ["when", "whence"]
