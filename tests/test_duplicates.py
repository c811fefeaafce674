"""The set of seen records that never forgets, compared with a set of Python's."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from cdrctl import duplicates
from cdrctl.duplicates import DuplicateFilter, Span
from tests.support.examples import examples

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

names = st.text(st.characters(exclude_categories=()), min_size=1, max_size=3) | st.integers(0, 40).map(str)


def span_of(name: str) -> Span:
    """Return the start of a record's call, which is the same on every page."""
    at = NOON + timedelta(minutes=sum(map(ord, name)) % 50)
    return at, at


def spanning(page: list[str]) -> Span | None:
    spans = [span_of(name) for name in page]
    return (min(one[0] for one in spans), max(one[1] for one in spans)) if spans else None


@pytest.mark.slow
@given(st.lists(st.tuples(st.lists(names, max_size=12), st.booleans()), max_size=30), st.integers(1, 9))
@examples(300)
def test_it_gives_the_results_of_a_set(pages: list[tuple[list[str], bool]], near: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "NEAR", near)
        ours, theirs = DuplicateFilter(), set()
        for page, knows in pages:
            expected = []
            for at, name in enumerate(page):
                if name not in theirs:
                    theirs.add(name)
                    expected.append(at)
            fresh = ours.new_positions(page, spanning(page) if knows else None)
            assert (list(range(len(page))) if fresh is None else fresh) == expected
            assert (fresh is None) == (len(expected) == len(page))
            assert len(ours) == len(theirs)


@pytest.mark.slow
@given(st.lists(st.lists(st.tuples(names, st.integers(0, 2)), max_size=12), max_size=30), st.integers(1, 9))
@examples(200)
def test_with_contents_it_gives_the_results_of_a_set_of_pairs(pages: list[list[tuple[str, int]]], near: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "NEAR", near)
        ours = DuplicateFilter()
        theirs: set[tuple[str, int]] = set()
        for page in pages:
            known = {name for name, _ in theirs}
            expected, later = [], []
            for at, pair in enumerate(page):
                if pair not in theirs:
                    later += [at] if pair[0] in known else []
                    known.add(pair[0])
                    theirs.add(pair)
                    expected.append(at)
            found = ours.new_positions([name for name, _ in page], None, [content for _, content in page])
            assert (list(range(len(page))) if found is None else found) == expected
            assert ours.later == set(later)
            assert len(ours) == len(theirs)


def test_the_file_is_not_read_for_calls_of_another_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise an export of a million records would read its file for each page."""
    monkeypatch.setattr(duplicates, "NEAR", 10)
    ours = DuplicateFilter()
    for page in range(50):
        at = NOON + timedelta(seconds=page)
        assert ours.new_positions([f"{page}-{n}" for n in range(10)], (at, at)) is None
    assert ours._file is not None
    ours._file.close()  # reading it now fails
    later = NOON + timedelta(hours=1)
    assert ours.new_positions(["x"], (later, later)) is None


def test_records_stay_in_memory_if_the_disk_is_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(duplicates, "NEAR", 3)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    ours = DuplicateFilter()
    for _ in range(2):
        for n in range(20):
            ours.new_positions([f"{n}"])
    assert len(ours) == 20
    assert ours.new_positions([f"{n}" for n in range(20)]) == []


@pytest.mark.parametrize("at", [NOON, NOON + timedelta(minutes=9)], ids=["first", "last"])
def test_a_call_at_the_edge_of_the_time_span_is_found(monkeypatch: pytest.MonkeyPatch, at: datetime) -> None:
    """A page may end, and the next begin, among many calls of the same second."""
    monkeypatch.setattr(duplicates, "NEAR", 2)
    ours = DuplicateFilter()
    ours.new_positions(["a", "b"], (NOON, NOON + timedelta(minutes=9)))
    for page in range(3):
        later = NOON + timedelta(hours=1 + page)
        ours.new_positions([f"{page}-1", f"{page}-2"], (later, later))
    assert ours.new_positions(["a", "c"], (at, at)) == [1]


def test_records_that_did_not_fit_on_the_disk_are_found_later(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(duplicates, "NEAR", 2)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    ours = DuplicateFilter()
    for page in range(9):
        if page == 3:
            monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        at = NOON + timedelta(hours=page)
        assert ours.new_positions([f"{page}-1", f"{page}-2"], (at, at)) is None
    for page in range(9):
        at = NOON + timedelta(hours=page)
        assert ours.new_positions([f"{page}-1", f"{page}-2"], (at, at)) == []


FULL = """
import resource, signal
from cdrctl import duplicates
from tests.support.examples import examples

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
duplicates.NEAR = 50
came = duplicates.DuplicateFilter()
for new in (True, False):
    for page in range(30):
        fresh = came.new_positions([f"{page}-{number}" for number in range(10)])
        assert (fresh is None) == new and (new or fresh == []), (new, page, fresh)
assert 0 < len(came._far) < 5, "some of it was to fit"
"""


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="the size of files cannot be limited")
def test_nothing_is_forgotten_if_the_disk_becomes_full() -> None:
    ran = subprocess.run([sys.executable, "-c", FULL], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
