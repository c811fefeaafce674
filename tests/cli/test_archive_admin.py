"""The commands that administer an archive: `cdrctl archive convert` and its neighbours."""

from __future__ import annotations

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
