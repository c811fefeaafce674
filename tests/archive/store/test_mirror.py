"""The temporary folder with the objects that a run has read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from cdrctl.archive import mirror
from cdrctl.archive.mirror import Mirror
from cdrctl.archive.opening import read_file
from tests.archive.store.conftest import Store


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def old(folder: Path) -> Path:
    """Return a folder, made two days old."""
    os.utime(folder, (0, 0))
    return folder


def test_the_folder_of_a_run_that_was_killed_is_removed_by_the_next(store: Store, place: Path) -> None:
    killed = place / "cdrctl-mirror-killed"
    (killed / "files" / "profile=acme").mkdir(parents=True)
    old(killed)
    young = place / "cdrctl-mirror-young"
    young.mkdir()
    running = Mirror(store.url)
    lives = old(running.folder.parent)
    second = Mirror(store.url)
    assert not killed.exists()
    assert (young.exists(), lives.exists()) == (True, True)
    for one in (running, second):
        one.close()
    assert {path.name for path in place.iterdir()} == {young.name}


def test_the_oldest_downloads_leave_when_there_are_too_many(
    store: Store, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "KEPT_BYTES", 2500)
    names = [f"profile=acme/call=cdrs/date=2026-11-{day}/cdrs.jsonl" for day in (10, 11, 12)]
    for name in names:
        store.put(name, name.encode() * 20)
    made = Mirror(store.url)
    for name in [*names, *names]:
        assert read_file(made.root / name) == name.encode() * 20
    kept = list(made.folder.rglob("cdrs.jsonl"))
    assert len(kept) == 2
    assert sum(one.path.endswith("cdrs.jsonl") for one in store.proxy.requests) == 6
    made.close()
    assert not list(place.iterdir())


def test_a_profile_is_listed_once_and_again_when_it_is_forgotten(store: Store) -> None:
    store.put("profile=acme/_account.json", b"{}")
    made = Mirror(store.url)
    for _ in range(3):
        assert (made.root / "profile=acme").is_dir()
        assert (made.root / "profile=acme" / "_account.json").stat().st_size == 2
        assert not (made.root / "profile=acme" / "call=cdrs").exists()
    assert len(store.proxy.requests) == 1
    store.put("profile=acme/call=cdrs/x", b"")
    made.forget("profile=acme")
    assert [path.name for path in (made.root / "profile=acme").iterdir()] == ["_account.json", "call=cdrs"]
    made.close()


@pytest.mark.slow
@pytest.mark.full
def test_more_than_a_thousand_objects_are_listed(store: Store) -> None:
    import obstore

    client = store.client()
    for number in range(1005):
        obstore.put(client, f"profile=acme/call=cdrs/{number:04}", b"")
    made = Mirror(store.url)
    assert len([*(made.root / "profile=acme" / "call=cdrs").iterdir()]) == 1005
    assert len(store.proxy.requests) == 2
    made.close()
