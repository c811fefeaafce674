"""Commands do not wait for one request to a store after the other."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.archive import ahead
from tests.archive.store.conftest import Store
from tests.archive.store.proxy import Asked
from tests.archive.sync_kit import NOW
from tests.support.clock import HandClock
from tests.support.runner import Shell

SINCE, TOGETHER = "2026-11-08", 4
NAMES = ("one", "two", "three", "four")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of four profiles with some days each."""
    place, clock = tmp_path_factory.mktemp("ahead"), HandClock(NOW)
    shell = Shell(place, clock)
    with sandbox.start(now=clock) as running:
        for name in NAMES:
            shell.profile(name, "voicenter", {**running.credentials("voicenter"), "requests_per_minute": 0})
            shell.run("sync", name, "--into", str(place / "archive"), "--since", SINCE, "--format", "csv").ok()
    return place / "archive"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "end"),
    [
        (("coverage", "--into"), "/cdrs.json"),
        (("archive", "status", "--into"), "/cdrs.json"),
        (("sql", "SELECT count(*) FROM voicenter_cdrs WHERE date < '2026-11-01'", "--from"), "/cdrs.json"),
        (("archive", "status", "--into"), "profile="),
        (("verify", "--into"), "/cdrs.csv"),
        (("sql", "SELECT count(*) FROM voicenter_cdrs", "--from"), "/cdrs.csv"),
        (("voicenter", "cdrs", "-p", "one", "--since", SINCE, "--from"), "/cdrs.csv"),
    ],
)
def test_requests_are_on_their_way_together(
    store: Store, folder: Path, tmp_path: Path, words: tuple[str, ...], end: str
) -> None:
    store.copy_from(folder)
    waiting: list[str] = []
    together = threading.Event()

    def wait_for_others(asked: Asked) -> int:
        listed = asked.query.rpartition("prefix=")[2]
        if asked.path.endswith(end) or (end == "profile=" and "profile=" in listed):
            waiting.append(asked.path)
            if len(waiting) == TOGETHER:
                together.set()
            together.wait(20)
        return 0

    store.proxy.fault = wait_for_others
    shell = Shell(tmp_path, HandClock(NOW))
    assert shell.run(*words, store.url).code in {0, 3}
    assert together.is_set()


@pytest.mark.slow
def test_a_large_object_is_downloaded_when_it_is_used(
    store: Store, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "LARGEST", 10)
    store.copy_from(folder)
    running, most = [0], [0]

    def begin(asked: Asked) -> int:
        running[0] += asked.path.endswith(".csv")
        most[0] = max(most[0], running[0])
        return 0

    def end(asked: Asked) -> None:
        running[0] -= asked.path.endswith(".csv")

    store.proxy.fault, store.proxy.after = begin, end
    Shell(tmp_path, HandClock(NOW)).run("verify", "--into", store.url).ok()
    assert most == [1]
