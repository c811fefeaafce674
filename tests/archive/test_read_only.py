"""Every command that reads an archive works without permission to write, and on a file system that is read-only."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.sandbox import Exchange, Sandbox
from tests.archive.killed import run
from tests.archive.sync_kit import NOW
from tests.support.clock import HandClock
from tests.support.runner import Shell
from tests.support.users import STRANGER

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can do that to itself"),
]

SINCE, UNTIL = "2026-11-11", "2026-11-12"
INTO, FROM = ("--into", "archive"), ("--from", "archive")
WINDOW = ("--since", SINCE, "--until", UNTIL)
COMMANDS = (
    ("coverage", *INTO),
    ("coverage", *INTO, "--check", *WINDOW),
    ("verify", *INTO),
    ("plan", "sandbox", *INTO),
    ("archive", "status", *INTO),
    ("voicenter", "cdrs", *FROM, *WINDOW),
    ("export", "--all", *FROM, *WINDOW),
    ("calls", "--all", *FROM, *WINDOW),
    ("stats", "--all", *FROM, *WINDOW, "--figures", "calls"),
    ("report", "--all", *FROM, *WINDOW, "-o", "-"),
    ("sql", *FROM, "SELECT count(*) FROM common"),
    ("sql", *FROM, "SELECT count(*) FROM calls"),
)
NEW_NAMES, PRIVATE, RECURSIVE, BIND, REMOUNT, READ_ONLY = 0x20000, 1 << 18, 1 << 14, 1 << 12, 1 << 5, 1
"""Flags of unshare(2) and mount(2)."""
KEEP_CAPABILITIES = 8
"""An option of prctl(2)."""


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOW)


@pytest.fixture
def providers(clock: HandClock) -> Iterator[Sandbox]:
    with sandbox.start(now=clock, exchange=Exchange(volume=0.3)) as running:
        yield running


@pytest.fixture(params=[(1, "jsonl.gz"), (2, "jsonl"), (2, "parquet")], ids=str)
def archive(
    tmp_path: Path,
    providers: Sandbox,
    clock: HandClock,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Shell:
    """Sync an archive that two days of are complete."""
    monkeypatch.chdir(tmp_path)
    shell = Shell(tmp_path, clock)
    shell.profile("acme", "voicenter", {**providers.credentials("voicenter"), "requests_per_minute": 0})
    layout, form = request.param
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "archive.toml").write_text(f'layout = {layout}\nzone = "UTC"\nformat = "{form}"\n')
    shell.run("sync", "acme", *INTO, "--since", "2026-11-09", *(["--with-calls"] if layout == 2 else [])).ok()
    clock.move(days=3)
    shell.run("sync", "acme", *INTO).ok()
    assert any(tmp_path.glob("archive/calls/**/calls.*")) == (layout == 2)
    return shell


def somebody_else(_folder: Path) -> None:
    """Become a user who may read every file, because the interpreter may be in root's home, but write none."""
    libc = ctypes.CDLL(None, use_errno=True)
    os.setgroups([])
    os.setgid(STRANGER)
    libc.prctl(KEEP_CAPABILITIES, 1, 0, 0, 0)
    os.setuid(STRANGER)
    may_read = 1 << 2  # CAP_DAC_READ_SEARCH
    if libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(may_read, may_read)):
        raise OSError(ctypes.get_errno(), "cannot set capabilities")


def read_only_mount(folder: Path) -> None:
    """Mount the folder over itself, read-only, for this process alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    name = str(folder).encode()
    failed = libc.unshare(NEW_NAMES) or libc.mount(b"none", b"/", None, PRIVATE | RECURSIVE, None)
    for flags in (BIND, BIND | REMOUNT | READ_ONLY):
        failed = failed or libc.mount(name, name, None, flags, None)
    if failed:
        raise OSError(ctypes.get_errno(), "cannot mount")


def codes(shell: Shell, enter: Callable[[Path], None]) -> dict[tuple[str, ...], int]:
    """Return the exit codes of the commands in a process that may write nothing."""
    receives, sends = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            enter(shell.folder / "archive")
            for words in COMMANDS:
                code = run(str(shell.folder / "nowhere.toml"), shell.clock.time, [*words])
                os.write(sends, bytes([code]))
        finally:
            os._exit(0)
    os.close(sends)
    with open(receives, "rb") as told:  # noqa: PTH123 - a descriptor has no path
        found = told.read()
    os.waitpid(child, 0)
    return dict(zip(COMMANDS, found, strict=False))


def state(folder: Path) -> dict[Path, tuple[int, int, bytes]]:
    """Return the files and folders with their modes, times and contents."""
    return {
        path: (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *folder.rglob("*")]
    }


@pytest.mark.parametrize("enter", [somebody_else, read_only_mount])
def test_reading_commands_write_nothing_and_need_not(archive: Shell, enter: Callable[[Path], None]) -> None:
    folder = archive.folder / "archive"
    if enter is read_only_mount and subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("this system does not allow mounts")
    for words in COMMANDS:  # loads code that nobody else may read, perhaps
        archive.run(*words).ok()
    for path in (archive.folder, *archive.folder.parents):  # folders that were made for this user alone
        if path.is_relative_to(tempfile.gettempdir()) and path != Path(tempfile.gettempdir()):
            path.chmod(0o755)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = state(folder)
    found = codes(archive, enter)
    assert found == dict.fromkeys(COMMANDS, 0)
    assert state(folder) == before
