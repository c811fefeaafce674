"""Temporary files of runs that were killed while they wrote the account of a profile, or the settings."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from cdrctl.archive.ledger2 import JsonLedger, ledger_path
from cdrctl.archive.owner import Account, write_owner
from cdrctl.archive.retain import retire
from cdrctl.archive.store import open_or_create
from tests.archive.sync_kit import new_bench
from tests.support.runner import run


def leave(folder: Path, whose: str = "") -> Path:
    """Leave a temporary file, as a run does that is killed."""
    path = folder / f".cdrctl-{whose}killed.part"
    path.write_bytes(b"half")
    return path


def test_the_next_run_of_a_call_removes_what_it_left_beside_the_account(tmp_path: Path) -> None:
    made = new_bench(tmp_path / "archive")
    write_owner(made.archive, "acme", Account("test", "one", {}), whose="cdrs")
    own, other = (leave(made.archive.profile_folder("acme"), whose) for whose in ("cdrs.", "legs."))
    write_owner(made.archive, "acme", Account("test", "two", {}), whose="cdrs")
    assert not own.exists()
    assert other.exists(), "another run may be writing it"
    made.ledger.close()


def test_the_next_run_removes_what_the_creation_of_an_archive_left(tmp_path: Path) -> None:
    left = leave(tmp_path)
    open_or_create(tmp_path, None, "jsonl")
    assert not left.exists()


def test_a_removal_of_old_days_that_has_nothing_to_do_removes_what_the_last_one_left(tmp_path: Path) -> None:
    made = new_bench(tmp_path / "archive")
    made.sync()
    assert isinstance(made.ledger, JsonLedger)
    left = leave(ledger_path(made.archive, "acme", "cdrs").parent, "cdrs.")
    assert retire(made.archive, made.ledger, made.ledger.kept()[0], date(2026, 11, 1)).days == 0
    assert not left.exists()
    made.ledger.close()


def test_the_command_that_removes_old_days_cleans_up_too(tmp_path: Path) -> None:
    made = new_bench(tmp_path / "archive")
    made.sync()
    made.ledger.close()
    left = leave(ledger_path(made.archive, "acme", "cdrs").parent, "cdrs.")
    words = ("archive", "retain", "--into", tmp_path / "archive", "--before", "2026-11-01")
    run(*words, "--dry-run").ok()
    assert left.exists()
    run(*words, "--yes").ok()
    assert not left.exists()
