"""Writing the configuration file: modes, links, failures and locks."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cdrctl.errors import ConfigurationError, TemporaryError
from cdrctl.profiles.editing import add_profile, remove_profile
from cdrctl.profiles.file import read_profiles
from cdrctl.profiles.tokens import token_file
from tests.profiles.kit import (
    COMMENTED,
    POSIX,
    ROOT,
    SECRET,
    expect_refusal,
    write_config,
)
from tests.support.products import for_each

if TYPE_CHECKING:
    from collections.abc import Iterator


@POSIX
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_file_and_its_folders_are_private(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "new" / "deep" / "config.toml"
    before = os.umask(umask)
    try:
        add_profile(path, "a", "webex", {})
        tokens = token_file(path, "a", "x")
        with tokens.locked():
            tokens.save({})
    finally:
        os.umask(before)
    for file in (path, tokens.path, tokens.lock, path.with_name(".config.toml.lock")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for folder in (path.parent, path.parent.parent, tokens.path.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@POSIX
def test_the_file_is_private_from_its_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    folders = []
    sync = os.fsync

    def look(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        else:
            folders.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    before = os.umask(0)
    try:
        add_profile(tmp_path / "config.toml", "a", "webex", {})
        token_file(tmp_path / "config.toml", "a", "x").save({})
    finally:
        os.umask(before)
    assert modes == [0o600, 0o600]
    assert folders == [tmp_path.stat().st_ino, (tmp_path / "tokens").stat().st_ino]


@POSIX
def test_a_linked_file_keeps_its_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real = write_config(tmp_path / "dotfiles", COMMENTED, 0o644)
    link = tmp_path / "config.toml"
    link.symlink_to("dotfiles/config.toml")
    add_profile(link, "new", "webex", {})
    remove_profile(link, "lab")
    assert link.is_symlink()
    assert list(read_profiles(real, {})[0]) == ["acme", "last", "new"]
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    dangling = tmp_path / "dangling.toml"
    dangling.symlink_to("there/config.toml")
    add_profile(dangling, "new", "webex", {})
    assert (tmp_path / "there/config.toml").is_file()


@POSIX
def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    fifo = tmp_path / "config.toml"
    os.mkfifo(fifo)
    with expect_refusal(ConfigurationError, "not a file"):
        add_profile(fifo, "a", "webex", {})
    assert fifo.is_fifo()


@for_each("failing", ["fsync", "replace", "mkstemp"])
def test_a_failed_write_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = write_config(tmp_path, COMMENTED)
    tokens = token_file(path, "acme", "x")
    with tokens.locked():
        tokens.save({"refresh_token": "old"})

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        owner: Any = {"fsync": os, "replace": Path, "mkstemp": tempfile}[failing]
        patch.setattr(owner, failing, full)
        with expect_refusal(ConfigurationError, os.strerror(errno.ENOSPC)):
            add_profile(path, "new", "webex", {"access_token": SECRET})
        with expect_refusal(ConfigurationError, os.strerror(errno.ENOSPC)):
            remove_profile(path, "lab")
        with expect_refusal(ConfigurationError, os.strerror(errno.ENOSPC)):
            tokens.save({"refresh_token": SECRET})
    assert path.read_text(encoding="utf-8") == COMMENTED
    assert tokens.load() == {"refresh_token": "old"}
    assert sorted(each.name for each in tmp_path.iterdir()) == [".config.toml.lock", "config.toml", "tokens"]
    assert sorted(each.name for each in tokens.path.parent.iterdir()) == ["acme.json", "acme.lock"]


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    path = tmp_path / "file" / "config.toml"
    with expect_refusal(ConfigurationError, "cannot be written"):
        add_profile(path, "a", "webex", {})
    with expect_refusal(ConfigurationError, "cannot be written"), token_file(path, "a", "x").locked():
        pass
    with expect_refusal(ConfigurationError, "cannot be stored"):
        token_file(path, "a", "x").save({})


def test_a_folder_created_by_another_run_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Path.mkdir

    def late(folder: Path, *arguments: Any, **named: Any) -> None:
        if not folder.exists():
            make(folder, *arguments, **named)
        make(folder, *arguments, **named)

    monkeypatch.setattr(Path, "mkdir", late)
    add_profile(tmp_path / "a" / "b" / "config.toml", "new", "webex", {})


def test_a_filesystem_without_locks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import filelock

    def none(*_: object) -> None:
        raise NotImplementedError("no locks here")

    monkeypatch.setattr(filelock.FileLock, "acquire", none)
    with expect_refusal(ConfigurationError, "cannot be written: no locks here"):
        add_profile(tmp_path / "config.toml", "new", "webex", {})


@pytest.mark.process
def test_two_processes_adding_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.toml"
    code = (
        "import sys, pathlib\n"
        "from cdrctl.profiles.editing import add_profile\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "for n in range(20): add_profile(pathlib.Path(sys.argv[1]), f'{sys.argv[2]}{n}', 'webex', {})\n"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    for each in both:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in both:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in both:
        each.communicate()
        assert each.returncode == 0
    assert set(read_profiles(path, {})[0]) == {f"{name}{n}" for name in "ab" for n in range(20)}


@contextmanager
def elsewhere(lock: Path) -> Iterator[None]:
    """Hold a lock in another process."""
    code = (
        "import sys, filelock\n"
        "with filelock.FileLock(sys.argv[1]):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield
        other.communicate("go\n")


@pytest.mark.process
def test_a_held_lock_is_waited_for_and_then_reported(tmp_path: Path) -> None:
    path = write_config(tmp_path, COMMENTED)
    with elsewhere(tmp_path / ".config.toml.lock"):
        with expect_refusal(TemporaryError, "another run is changing", "again"):
            add_profile(path, "new", "webex", {}, seconds=0)
        with expect_refusal(TemporaryError, "another run is changing"):
            remove_profile(path, "lab", seconds=0)
    tokens = token_file(path, "lab", "x")
    tokens.save({"refresh_token": "old"})
    with elsewhere(tokens.lock):
        with expect_refusal(TemporaryError, "another run is signing in"), tokens.locked(seconds=0):
            pass
        with expect_refusal(TemporaryError, "another run is signing in"):
            remove_profile(path, "lab", seconds=0)
    assert path.read_text(encoding="utf-8") == COMMENTED
    assert tokens.load() == {"refresh_token": "old"}
    with tokens.locked(seconds=0):
        pass
    with tokens.locked(seconds=0):
        pass
