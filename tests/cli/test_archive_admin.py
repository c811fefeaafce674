"""The commands that administer an archive: `cdrctl archive convert` and its neighbours."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cdrctl.sandbox import Sandbox
from tests.cli.archive_kit import INTO, clock, configure, providers, shell
from tests.support.runner import Shell

__all__ = ["clock", "providers", "shell"]  # fixtures


@pytest.fixture
def archive(shell: Shell, providers: Sandbox) -> Shell:
    """Return a shell in whose folder is an archive of one profile."""
    configure(shell, providers, "voicenter")
    shell.run("sync", "--all", *INTO, "-f", "jsonl", "--since", "2026-11-09").ok()
    return shell


def test_convert_says_what_it_did_and_the_new_archive_is_synced(archive: Shell) -> None:
    ran = archive.run("archive", "convert", "archive", "new", "-f", "csv.gz").ok()
    assert ran.out == ""
    assert archive.run("verify", "--into", "new").ok().out == ""
    assert ", 0 new, 0 late, 0 changed, 0 gone" in archive.run("sync", "--all", "--into", "new").ok().err


def test_convert_names_a_changed_file_and_exits_with_3(archive: Shell) -> None:
    path = next(archive.folder.glob("archive/*/*/date=2026-11-10/cdrs.jsonl"))
    path.write_bytes(path.read_bytes() + b"{}\n")
    ran = archive.run("archive", "convert", "archive", "new")
    assert ran.code == 3
    assert ran.out.split("\t")[0] == path.relative_to(archive.folder / "archive").as_posix()


def test_convert_refuses_what_is_no_archive_and_unknown_formats(archive: Shell) -> None:
    assert archive.run("archive", "convert", "none", "new").code == 2
    assert archive.run("archive", "convert", "archive", "new", "-f", "xml").code == 2
    assert archive.run("archive", "convert", "archive", "archive").code == 2
    assert not (archive.folder / "new").exists()


def days(shell: Shell) -> list[str]:
    return sorted(path.name.removeprefix("date=") for path in shell.folder.glob("archive/*/*/date=*"))


def test_retain_shows_asks_and_removes(archive: Shell) -> None:
    assert days(archive)[0] == "2026-11-09"
    words = ("archive", "retain", *INTO, "--days", "2")
    assert "1 days, " in archive.run(*words, "--dry-run").ok().err
    assert archive.run(*words).code == 2
    assert archive.run("archive", "retain", *INTO).code == 2, "how many?"
    assert archive.run("archive", "retain", "nobody", *INTO, "--days", "2", "--yes").code == 2
    assert days(archive)[0] == "2026-11-09"
    archive.run(*words, "--yes").ok()
    assert days(archive)[0] == "2026-11-10"
    assert archive.run("coverage", *INTO).ok().out.count('"retired"') == 1
    assert archive.run("coverage", *INTO, "--check", "--since", "2026-11-09").code == 3
    assert archive.run("coverage", *INTO, "--check").code == 0
    assert archive.run("voicenter", "cdrs", "--from", "archive", "-p", "voicenter", "--since", "2026-11-09").code == 3
    archive.run("archive", "retain", *INTO, "--before", "2026-11-11", "--yes").ok()
    assert days(archive)[0] == "2026-11-11"
    assert archive.run("verify", *INTO).ok().out == ""


@pytest.mark.slow
def test_a_policy_is_applied_by_retain_and_at_the_end_of_sync(archive: Shell) -> None:
    toml = archive.folder / "archive" / "archive.toml"
    toml.write_text(toml.read_text(encoding="utf-8") + "\n[retain]\ndays = 1\n", encoding="utf-8")
    archive.run("archive", "retain", *INTO, "--dry-run").ok()
    next(archive.folder.glob("archive/*/*/date=2026-11-10/cdrs.jsonl")).unlink()
    assert "1 days" in archive.run("fill", "--all", *INTO).ok().err
    assert days(archive)[0] == "2026-11-09"
    archive.run("sync", "--all", *INTO).ok()
    assert days(archive)[0] == "2026-11-11"
    archive.run("sync", "--all", *INTO, "--since", "2026-11-09").ok()
    assert days(archive)[0] == "2026-11-11"


def text_of(folder: Path) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_erase_shows_asks_erases_and_keeps_the_number_out(archive: Shell) -> None:
    """In JSON Lines, so that the whole archive can be read as text."""
    window = ("--since", "2026-11-09", "--until", "2026-11-11")
    export = ("voicenter", "cdrs", "--from", "archive", "-p", "voicenter", *window)
    before = archive.run(*export).lines
    number = next(one["caller_number"] for one in before if len(one.get("caller_number") or "") > 8).lstrip("0")
    others = [one for one in before if number not in json.dumps(one)]
    words = ("archive", "erase", *INTO, "--number", f"0{number[:3]} {number[3:]}")
    told = [archive.run(*words, "--dry-run").ok(), archive.run(*words)]
    assert told[1].code == 2
    assert number in text_of(archive.folder / "archive")
    told.append(archive.run(*words, "--yes").ok())
    assert number not in text_of(archive.folder / "archive")
    assert archive.run(*export).lines == others
    told += [
        archive.run("sync", "--all", *INTO).ok(),
        archive.run("sync", "--all", *INTO, "--since", "2026-11-08").ok(),
    ]
    told.append(archive.run("archive", "erase", *INTO, "--yes").ok())
    assert number not in text_of(archive.folder / "archive")
    assert not [one for one in told if number in one.err + one.out]
    assert archive.run("verify", *INTO).ok().out == ""
    days = json.loads(archive.run("coverage", *INTO).ok().out)
    assert sum(day.get("erased", 0) for day in days) > 0
    assert {day["state"] for day in days} <= {"complete", "open"}
    runs = [json.loads(path.read_bytes()) for path in sorted(archive.folder.glob("archive/_cdrctl/runs/*.json"))]
    assert all(sum(day["records"] for day in one["erased"]) == one["records"] for one in runs)
    assert sorted(one["records"] > 0 for one in runs) == [False, True]


def test_erase_refuses_what_is_no_number_and_archives_of_older_versions(archive: Shell) -> None:
    assert archive.run("archive", "erase", *INTO, "--number", "nobody", "--yes").code == 2
    assert archive.run("archive", "erase", *INTO, "--until", "2026-11-10", "--yes").code == 2
    (archive.folder / "old").mkdir()
    (archive.folder / "old" / "archive.toml").write_text('zone = "UTC"\nformat = "jsonl"\n', encoding="utf-8")
    assert archive.run("archive", "erase", "--into", "old", "--number", "+49301234567", "--yes").code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("archive", "retain", "--days", "2", "--yes"),
        ("archive", "erase", "--number", "972500000001", "--yes"),
        ("archive", "forget", "acme", "--yes"),
        ("verify", "--rebuild"),
    ],
    ids=" ".join,
)
def test_an_interrupted_change_does_not_claim_that_nothing_was_changed(
    archive: Shell, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    def interrupted(_number: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    ran = archive.run(*[word.replace("acme", "voicenter") for word in words], *INTO)
    assert ran.code == 130
    assert "run the command again" in ran.err
    assert "no file was changed" not in ran.err
