"""Commands read an archive in a store as they read it in a folder, and need no permission to write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.sandbox import Sandbox
from tests.archive.store.conftest import Store
from tests.archive.sync_kit import NOW
from tests.support.clock import HandClock
from tests.support.runner import Ran, Shell

SINCE, UNTIL = "2026-11-11", "2026-11-12"
WINDOW = ("--since", SINCE, "--until", UNTIL)
COMMANDS = (
    ("coverage", "--into"),
    ("coverage", "--check", *WINDOW, "--into"),
    ("verify", "--into"),
    ("plan", "sandbox", "--into"),
    ("archive", "status", "--into"),
    ("voicenter", "cdrs", *WINDOW, "--from"),
    ("export", "--all", *WINDOW, "--from"),
    ("calls", "--all", *WINDOW, "--from"),
    ("stats", "--all", *WINDOW, "--from"),
    ("sql", "SELECT provider, count(*) FROM common GROUP BY 1 ORDER BY 1", "--from"),
)


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOW)


@pytest.fixture
def providers(clock: HandClock) -> Iterator[Sandbox]:
    with sandbox.start(now=clock) as running:
        yield running


@pytest.fixture
def shell(tmp_path: Path, providers: Sandbox, clock: HandClock) -> Shell:
    made = Shell(tmp_path, clock)
    made.profile("acme", "voicenter", {**providers.credentials("voicenter"), "requests_per_minute": 0})
    return made


def without_seconds(ran: Ran, archive: str) -> tuple[int, str, list[str]]:
    """Return what a command printed, without the name of the archive and the time that it took."""
    lines = [line for line in ran.err.replace(archive, "ARCHIVE").splitlines() if "seconds" not in line]
    return ran.code, ran.out, lines


@pytest.mark.slow
@pytest.mark.parametrize("form", ["parquet", "jsonl.gz", "csv"])
def test_a_store_is_read_as_a_folder_is(store: Store, shell: Shell, tmp_path: Path, form: str) -> None:
    folder = str(tmp_path / "archive")
    shell.run("sync", "acme", "--into", folder, "--since", SINCE, "--format", form).ok()
    store.copy_from(Path(folder))
    for words in COMMANDS:
        store.proxy.requests.clear()
        expected = without_seconds(shell.run(*words, folder), folder)
        assert without_seconds(shell.run(*words, store.url), store.url) == expected, words
        assert {one.method for one in store.proxy.requests} <= {"GET", "HEAD"}, words


@pytest.mark.slow
def test_only_the_days_of_the_window_are_downloaded(store: Store, shell: Shell, tmp_path: Path) -> None:
    folder = str(tmp_path / "archive")
    shell.run("sync", "acme", "--into", folder, "--since", SINCE, "--format", "jsonl").ok()
    store.copy_from(Path(folder))
    shell.run("voicenter", "cdrs", "--from", store.url, *WINDOW).ok()
    got = [one.path for one in store.proxy.requests if one.path.endswith("cdrs.jsonl")]
    assert [path.split("/")[-2] for path in got] == [f"date={SINCE}"]


def test_the_temporary_folder_is_removed(
    store: Store, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    assert shell.run("archive", "status", "--into", store.url).code == 2
    assert not list(place.iterdir())
