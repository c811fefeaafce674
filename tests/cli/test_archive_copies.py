"""`cdrctl archive pseudonymise`, `adopt` and `forget`."""

from __future__ import annotations

import json
import re

import pytest

from cdrctl.archive.pseudonymise import BEGUN
from cdrctl.sandbox import Sandbox
from tests.cli.archive_kit import INTO, clock, configure, providers, shell
from tests.cli.test_archive_admin import text_of
from tests.support.clock import HandClock
from tests.support.runner import Shell

__all__ = ["clock", "providers", "shell"]  # fixtures


@pytest.fixture
def archive(shell: Shell, providers: Sandbox) -> Shell:
    """Return a shell in whose folder is an archive of two profiles."""
    configure(shell, providers, "kazoo", "voicenter")
    shell.run("sync", "--all", *INTO, "-f", "jsonl").ok()
    return shell


def numbers(shell: Shell, folder: str) -> list[str]:
    """Return the callers of a day, in an order that the copies share: calls of one second are in the order of keys."""
    window = ("--since", "2026-11-11", "--until", "2026-11-12")
    lines = shell.run("voicenter", "cdrs", "--from", folder, "-p", "voicenter", *window).ok().lines
    lines.sort(key=lambda one: (one["date"], one["type"], one["duration"], one["ring_time"]))
    return [one.get("caller_number") or "" for one in lines]


@pytest.mark.slow
def test_a_copy_has_other_numbers_and_names_and_the_same_counts(archive: Shell) -> None:
    archive.run("archive", "pseudonymise", "archive", "copy").ok()
    before, after = numbers(archive, "archive"), numbers(archive, "copy")
    assert len(set(zip(before, after, strict=True))) == len(set(before)) == len(set(after))
    real = {one for one in before if re.fullmatch("[0-9]{9,}", one)}
    assert real
    written = text_of(archive.folder / "copy")
    assert not [one for one in real if one in written]
    assert not list(archive.folder.glob("copy/*/account.json"))
    assert archive.run("verify", "--into", "copy").ok().out == ""
    shown = [json.loads(archive.run("coverage", "--into", folder).ok().out) for folder in ("archive", "copy")]
    assert shown[0] == shown[1]


@pytest.mark.slow
def test_no_record_of_a_provider_gets_into_a_copy(archive: Shell, providers: Sandbox) -> None:
    archive.run("archive", "pseudonymise", "archive", "copy").ok()
    archive.run("archive", "convert", "copy", "copy2", "-f", "csv").ok()
    before, asked = text_of(archive.folder / "copy"), len(providers.requests)
    for folder in ("copy", "copy2"):
        for name in ("sync", "fill"):
            assert archive.run(name, "--all", "--into", folder).code == 2
    assert text_of(archive.folder / "copy") == before
    assert len(providers.requests) == asked


@pytest.mark.slow
def test_a_key_gives_the_same_copy_again(archive: Shell) -> None:
    words = ("archive", "pseudonymise", "archive")
    archive.run(*words, "one", "--key-file", "key").ok()
    assert (archive.folder / "key").stat().st_mode & 0o77 == 0
    archive.run(*words, "two", "--key-file", "key").ok()
    archive.run(*words, "three").ok()
    assert numbers(archive, "one") == numbers(archive, "two") != numbers(archive, "three")
    (archive.folder / "key").write_text("something\n", encoding="utf-8")
    assert archive.run(*words, "four", "--key-file", "key").code == 2
    assert archive.run(*words, "one").code == 2, "it is not empty"
    assert archive.run(*words, "archive/copy").code == 2
    assert not (archive.folder / "four").exists()


@pytest.mark.slow
def test_a_copy_that_did_not_end_is_made_again(archive: Shell) -> None:
    """Its pseudonyms are those of a key that is gone."""
    words, copy = ("archive", "pseudonymise", "archive", "copy"), archive.folder / "copy"
    archive.run(*words).ok()
    (copy / "archive.toml").unlink()
    assert archive.run(*words).code == 2, "it may be something else"
    (copy / BEGUN).touch()
    (copy / "profile=gone/call=cdrs").mkdir(parents=True)
    (copy / ".cdrctl-x.part").touch()
    archive.run(*words).ok()
    assert archive.run("verify", "--into", "copy").ok().out == ""
    assert sorted(one.name for one in copy.iterdir()) == [
        *("_cdrctl", "archive.toml", "profile=kazoo", "profile=voicenter"),
    ]
    assert not (copy / BEGUN).exists()


def test_a_file_that_cannot_be_copied_is_named(archive: Shell) -> None:
    path = next(archive.folder.glob("archive/*kazoo/*/date=2026-11-11/cdrs.jsonl"))
    path.write_bytes(path.read_bytes() + b"{}\n")
    ran = archive.run("archive", "pseudonymise", "archive", "copy")
    assert ran.code == 3
    assert ran.out.split("\t")[0] == path.relative_to(archive.folder / "archive").as_posix()


# adopt


def test_adopt_accepts_the_present_account_without_a_request(archive: Shell, providers: Sandbox) -> None:
    path = next(archive.folder.glob("archive/*kazoo/_account.json"))
    plain = json.loads(path.read_bytes())
    path.write_text(json.dumps({**plain, "account": {"account_id": "other"}}), encoding="utf-8")
    assert archive.run("sync", "kazoo", *INTO).code == 6
    asked = len(providers.requests)
    archive.run("archive", "adopt", "kazoo", *INTO).ok()
    assert len(providers.requests) == asked
    archive.run("sync", "kazoo", *INTO).ok()
    path.write_text("damaged", encoding="utf-8")
    archive.run("archive", "adopt", "kazoo", *INTO).ok()
    archive.run("sync", "kazoo", *INTO).ok()


def test_adopt_refuses_other_providers_and_profiles_without_records(archive: Shell, providers: Sandbox) -> None:
    configure(archive, providers, "kazoo", "webex")
    assert archive.run("archive", "adopt", "webex", *INTO).code == 2
    assert archive.run("archive", "adopt", "nobody", *INTO).code in {2, 6}
    text = archive.config.read_text(encoding="utf-8")
    archive.config.write_text(text.replace("[profiles.webex]", "[profiles.voicenter]"), encoding="utf-8")
    before = text_of(archive.folder / "archive")
    assert archive.run("archive", "adopt", "voicenter", *INTO).code == 6
    assert text_of(archive.folder / "archive") == before


def test_adopt_makes_the_days_of_a_renamed_folder_those_of_the_profile(archive: Shell, clock: HandClock) -> None:
    folder, text = archive.folder / "archive", archive.config.read_text(encoding="utf-8")
    (folder / "profile=kazoo").rename(folder / "profile=beta")
    beta = text.replace("[profiles.kazoo]", "[profiles.beta]")
    archive.config.write_text(beta, encoding="utf-8")
    assert "are its own now" in archive.run("archive", "adopt", "beta", *INTO).ok().err
    archive.config.write_text(f"{beta}\n{text.partition('[profiles.voicenter]')[0]}", encoding="utf-8")
    clock.move(days=1)
    archive.run("sync", "kazoo", *INTO)  # the old name is used again
    assert "has the records of" not in archive.run("verify", *INTO).out


# forget


def test_forget_removes_all_of_a_profile_and_nothing_else(archive: Shell) -> None:
    words = ("archive", "forget", "kazoo", *INTO)
    others = text_of(archive.folder / "archive" / "profile=voicenter")
    assert archive.run(*words).code == 2
    assert list(archive.folder.glob("archive/profile=kazoo"))
    archive.run(*words, "--yes").ok()
    assert not list(archive.folder.glob("archive/**/*kazoo*"))
    assert text_of(archive.folder / "archive" / "profile=voicenter") == others
    assert archive.run("verify", *INTO).ok().out == ""
    assert archive.run(*words, "--yes").code == 2, "it is gone"
    archive.run("sync", "kazoo", *INTO).ok()
    assert list(archive.folder.glob("archive/profile=kazoo"))


def test_an_interrupted_forget_is_finished_by_the_next(archive: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_folder: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cdrctl.archive.forget.remove_tree", interrupted)
        assert archive.run("archive", "forget", "kazoo", *INTO, "--yes").code == 130
    assert not list(archive.folder.glob("archive/profile=kazoo"))
    assert archive.run("verify", *INTO).ok().out == ""
    archive.run("archive", "forget", "kazoo", *INTO, "--yes").ok()
    assert not list(archive.folder.glob("archive/**/*kazoo*/**/cdrs.*"))
    assert not list(archive.folder.glob("archive/_cdrctl/leaving*"))
