"""The file for renewed tokens."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cdrctl.errors import ConfigurationError
from cdrctl.profiles.editing import remove_profile
from cdrctl.profiles.tokens import token_file
from tests.profiles.kit import (
    COMMENTED,
    SECRET,
    expect_refusal,
    write_config,
)
from tests.support.products import for_each


def test_tokens_are_stored_for_the_refresh_token_they_came_from(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    tokens = token_file(path, "acme", SECRET)
    assert tokens.path == tmp_path / "tokens" / "acme.json"
    assert tokens.load() is None
    with tokens.locked():
        tokens.save({"refresh_token": "second", "expires": 3})
        tokens.save({"refresh_token": "third"})
    assert token_file(path, "acme", SECRET).load() == {"refresh_token": "third"}
    assert token_file(path, "acme", "put in anew").load() is None
    assert token_file(path, "other", SECRET).load() is None
    assert SECRET not in tokens.path.read_text(encoding="utf-8")
    assert SECRET not in repr(tokens)
    assert token_file(path, "acme", "not UTF-8 \udcff").load() is None


@for_each(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff" + SECRET.encode(),
        b'{"origin": 3, "tokens": {}}',
        b'{"origin": "x", "tokens": []}',
        b'{"origin": "x"}',
        f'{{"tokens": "{SECRET}'.encode(),
        b"[" * 100_000,
    ],
)
def test_damaged_tokens_do_not_count_as_missing(tmp_path: Path, content: bytes) -> None:
    tokens = token_file(tmp_path / "config.toml", "acme", "x")
    tokens.path.parent.mkdir()
    tokens.path.write_bytes(content)
    with expect_refusal(ConfigurationError, "sign in again", f"delete {tokens.path}"):
        tokens.load()


def test_a_folder_in_place_of_the_tokens_is_an_error(tmp_path: Path) -> None:
    tokens = token_file(tmp_path / "config.toml", "acme", "x")
    tokens.path.mkdir(parents=True)
    with expect_refusal(ConfigurationError, "sign in again"):
        tokens.load()
    with expect_refusal(ConfigurationError, "is a folder"), tokens.locked():
        pass
    with expect_refusal(ConfigurationError, "cannot be stored"):
        tokens.save({})


def test_the_lock_is_not_taken_if_nothing_can_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = token_file(tmp_path / "config.toml", "acme", "x")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with expect_refusal(ConfigurationError, os.strerror(errno.ENOSPC)), tokens.locked():
            pass
    assert [each.name for each in tokens.path.parent.iterdir()] == ["acme.lock"]
    with tokens.locked(seconds=0):
        assert [each.name for each in tokens.path.parent.iterdir()] == ["acme.lock"]


def test_an_error_while_the_lock_is_held_is_raised_unchanged(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="of the caller"), token_file(tmp_path / "c.toml", "a", "x").locked():
        raise OSError("of the caller")


def test_tokens_are_removed_with_their_profile(tmp_path: Path) -> None:
    path = write_config(tmp_path, COMMENTED)
    for name in ("acme", "lab"):
        token_file(path, name, "x").save({})
    remove_profile(path, "acme")
    assert not token_file(path, "acme", "x").path.exists()
    assert token_file(path, "lab", "x").load() == {}


@for_each("name", ["", "../x", "a/b", "a\n", ".."])
def test_tokens_never_leave_their_folder(tmp_path: Path, name: str) -> None:
    with expect_refusal(ConfigurationError, "name"):
        token_file(tmp_path / "config.toml", name, "x")
