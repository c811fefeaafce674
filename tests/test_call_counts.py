"""How many Python functions an export calls, and how much memory it takes, for each further page and record.

Counts do not depend on how busy the machine is. Every bound is some tenths above the count at the time of writing: a
function that is called once more for each record or page exceeds it. `python -m benchmarks` measures time.
"""

from __future__ import annotations

import shutil
import sys
import threading
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType

import pytest

from benchmarks import server
from benchmarks.__main__ import profiles_of
from benchmarks.groups import Server
from tests.support.runner import run

SINCE = datetime(2026, 11, 19, tzinfo=UTC)
WINDOW = ("--since", "2026-11-19T00:00:00Z", "--until", "2026-11-19T12:00:00Z")
COUNTED = ("/cdrctl/", "/httpx/", "/httpcore/", "/h11/")
FEW, MANY = 2, 4
"""Pages of two exports: their difference has neither start-up nor first page, which is read by record."""

SMALL, LARGE, HUGE = 30, 90, 300
"""Records of a page."""


@dataclass(frozen=True, slots=True)
class Case:
    """An export, and the most that it may call and keep.

    Args:
        page: Calls for each further page.
        record: Calls for each further record.
        kilobytes: Peak memory for each record of the largest page, in kB; if 0, it is not measured.
    """

    provider: str
    call: str
    options: tuple[str, ...]
    page: float
    record: float
    kilobytes: float

    def __str__(self) -> str:
        return " ".join((self.provider, self.call, *self.options))


CASES = (
    Case("webex", "cdrs", ("-f", "csv"), 190, 0.3, 19),
    Case("kazoo", "cdrs", ("-f", "csv", "--longest-call", "1h"), 130, 2.2, 14),
    Case("callgear", "legs", ("-f", "csv"), 390, 1.3, 8.5),
    Case("portsip", "cdrs", ("-f", "csv"), 190, 0.4, 9),
    Case("voicenter", "cdrs", ("-f", "csv"), 870, 7.9, 13),
    Case("webex", "cdrs", ("-f", "jsonl"), 200, 0.4, 0),
    Case("webex", "cdrs", ("-f", "jsonl", "--schema", "raw"), 150, 0.4, 0),
    Case("portsip", "cdrs", ("-f", "sqlite"), 200, 0.3, 0),
    Case("portsip", "cdrs", ("-f", "parquet"), 200, 0.3, 0),
)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_further_page_or_record_calls_no_more_functions_than_before(case: Case, tmp_path: Path) -> None:
    _export(case, 1, SMALL, tmp_path)  # imports what is needed
    further = {}
    for size in (SMALL, LARGE):
        few, many = (_calls(case, number, size, tmp_path) for number in (FEW, MANY))
        further[size] = (many - few) / (MANY - FEW)
    record = (further[LARGE] - further[SMALL]) / (LARGE - SMALL)
    page = further[SMALL] - SMALL * record
    assert (record <= case.record, page <= case.page) == (True, True), f"{record:.2f} a record, {page:.0f} a page"


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case.kilobytes], ids=str)
def test_memory_grows_with_the_largest_page_and_not_with_the_number_of_pages(case: Case, tmp_path: Path) -> None:
    _export(case, 1, SMALL, tmp_path)
    small, large, longer = (
        _peak(case, number, size, tmp_path) for number, size in ((FEW, SMALL), (FEW, HUGE), (MANY, HUGE))
    )
    record = (large - small) / (HUGE - SMALL) / 1000
    further = (longer - large) / (MANY - FEW) / HUGE / 1000
    assert (record <= case.kilobytes, further <= case.kilobytes / 4) == (True, True), (
        f"{record:.2f} kB for each record of a page, {further:.3f} kB for each further record"
    )


def _nothing() -> None:
    """Do nothing."""


UNCHANGED = (
    Case("webex", "cdrs", ("-f", "csv"), 290, 0.1, 0),
    Case("kazoo", "cdrs", ("-f", "jsonl"), 90, 0.1, 0),
    Case("callgear", "legs", ("-f", "csv"), 300, 0.1, 0),
    Case("portsip", "cdrs", ("-f", "csv"), 135, 0.1, 0),
    Case("voicenter", "cdrs", ("-f", "jsonl"), 15, 0.1, 0),
)
"""The most calls for a further page and record of a day that is read again and has not changed."""


@pytest.mark.slow
@pytest.mark.parametrize("case", UNCHANGED, ids=str)
def test_an_unchanged_day_calls_no_more_functions_than_before(case: Case, tmp_path: Path) -> None:
    _synced(case, 1, SMALL, tmp_path)  # imports what is needed
    further = {}
    for size in (SMALL, LARGE):
        few, many = (_counted(partial(_synced, case, number, size, tmp_path)) for number in (FEW, MANY))
        further[size] = (many - few) / (MANY - FEW)
    record = (further[LARGE] - further[SMALL]) / (LARGE - SMALL)
    page = further[SMALL] - SMALL * record
    assert (record <= case.record, page <= case.page) == (True, True), f"{record:.2f} a record, {page:.0f} a page"


def _synced(
    case: Case,
    number: int,
    size: int,
    folder: Path,
    started: Callable[[], None] = _nothing,
    ended: Callable[[], None] = _nothing,
) -> None:
    """Sync `number` pages of `size` records twice. Call `started` before the second time, and `ended` after it."""
    config, archive = folder / "config.toml", folder / "archive"
    if archive.exists():
        shutil.rmtree(archive)
    pages = server.pages(case.provider, number * size, size, SINCE, case.call)
    with server.listening(case.provider, pages) as port:
        config.write_text(profiles_of(Server(case.provider, number * size, size), port), encoding="utf-8")
        config.chmod(0o600)
        environ = {"CDRCTL_CONFIG": str(config), "HOME": str(folder)}
        words: list[str | Path] = ["sync", "bench", "--into", archive, "--call", case.call]
        run(*words, "--since", f"{SINCE:%Y-%m-%d}", *case.options, environ=environ).ok()
        started()
        try:
            ran = run(*words, "--lookback", "5d", environ=environ)
        finally:
            ended()
    assert f"{number * size} fetched, 0 new, 0 late, 0 changed, 0 gone" in ran.ok().err


def _calls(case: Case, number: int, size: int, folder: Path) -> int:
    """Return how many functions an export calls."""
    return _counted(partial(_export, case, number, size, folder))


def _counted(work: Callable[[Callable[[], None], Callable[[], None]], None]) -> int:
    """Return how many functions of cdrctl and its HTTP client are called in all threads, between two calls of `work`.

    Args:
        work: Calls its first argument before what is counted, and the second one after it.
    """
    counted = 0
    known: dict[str, bool] = {}

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal counted
        if event == "call":
            name = frame.f_code.co_filename
            found = known.get(name)
            if found is None:
                found = known[name] = any(part in name for part in COUNTED)
            counted += found

    def started() -> None:
        threading.setprofile(count)
        sys.setprofile(count)

    def ended() -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    work(started, ended)
    return counted


def _peak(case: Case, number: int, size: int, folder: Path) -> int:
    """Return the peak of the memory that Python allocates in an export, in bytes."""
    peak = 0

    def ended() -> None:
        nonlocal peak
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    _export(case, number, size, folder, tracemalloc.start, ended)
    return peak


def _export(
    case: Case,
    number: int,
    size: int,
    folder: Path,
    started: Callable[[], None] = _nothing,
    ended: Callable[[], None] = _nothing,
) -> None:
    """Export so many pages of a server in this process, with one call before the export and one after it."""
    config, output = folder / "config.toml", folder / "output"
    output.unlink(missing_ok=True)
    pages = server.pages(case.provider, number * size, size, SINCE, case.call)
    with server.listening(case.provider, pages) as port:
        config.write_text(profiles_of(Server(case.provider, number * size, size), port), encoding="utf-8")
        config.chmod(0o600)
        words: list[str | Path] = [case.provider, case.call, "-p", "bench", *WINDOW, *case.options, "-o", output]
        if case.provider == "voicenter":
            words += ["--longest-window", f"{server.HOURS * 60 // number}m"]  # a page in each response
        started()
        try:
            ran = run(*words, environ={"CDRCTL_CONFIG": str(config), "HOME": str(folder)})
        finally:
            ended()
    assert f"{number * size} records, " in ran.ok().err
