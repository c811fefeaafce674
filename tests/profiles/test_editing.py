"""Adding, checking and removing profiles without changing anything else in the file."""

from __future__ import annotations

import os
import stat
import sys
import tomllib
import types
from pathlib import Path
from typing import Any

import pytest

from cdrctl.errors import ConfigurationError, UsageError
from cdrctl.profiles import editing
from cdrctl.profiles.editing import add_profile, check_name, remove_profile
from cdrctl.profiles.secrets import store_in_keyring
from cdrctl.profiles.settings import NOT_READ, read_settings
from cdrctl.profiles.tokens import token_file
from tests.profiles.kit import (
    COMMENTED,
    SECRET,
    Account,
    api_key,
    expect_refusal,
    make_profile,
    write_config,
)
from tests.support.products import for_each


def test_a_profile_is_added_at_the_end_of_the_file(tmp_path: Path) -> None:
    path = write_config(tmp_path, COMMENTED)
    add_profile(
        path, "my.new", "kazoo", {"account_id": "1", "api_key": 'q"\\\n', "timeout": 2.5, "api_key_keyring": True}
    )
    text = path.read_text(encoding="utf-8")
    assert text.startswith(COMMENTED)
    assert list(tomllib.loads(text)["profiles"]["my.new"].items()) == [
        ("provider", "kazoo"),
        ("account_id", "1"),
        ("api_key", 'q"\\\n'),
        ("timeout", 2.5),
        ("api_key_keyring", True),
    ]


@for_each(
    "text",
    [
        "",
        "[profiles.a]\nprovider = 'webex'",
        "[profiles.a]\r\nprovider = 'webex'\r\n",
        "[profiles]\na.provider = 'webex' # dotted\n",
        "profiles.a.provider = 'webex' # dotted\n",
        "profiles = {a = {provider = 'webex'}} # inline\n",
        "profiles.a = {provider = 'webex'} # inline\n",
        "[profiles]\n# nothing yet\n",
        "[other]\nx = nan # kept\n[profiles.a]\nprovider = 'webex'\n[more]\n[profiles.b]\nprovider = 'webex'\n",
        "[profiles.a]\nprovider = 'webex'\n[profiles.a.deep]\nx = 1\n",
        "[profiles.a]\nprovider = 'webex'\nx = '''\n[profiles.b]\n'''\n",
    ],
)
def test_a_profile_can_be_added_to_a_file_of_any_style(tmp_path: Path, text: str) -> None:
    path = write_config(tmp_path, text)
    add_profile(path, "new", "kazoo", {"account_id": "1"})
    after = tomllib.loads(path.read_bytes().decode(), parse_float=str)
    assert after["profiles"].pop("new") == {"provider": "kazoo", "account_id": "1"}
    assert after == {"profiles": {}, **tomllib.loads(text, parse_float=str)}
    assert [line.count("#") for line in path.read_text("utf-8").splitlines()].count(1) == text.count("#")
    assert (b"\r\n" in path.read_bytes()) == ("\r\n" in text)
    assert path.read_bytes().count(b"\n") == path.read_bytes().count(b"\r\n") or "\r" not in text
    for name in tomllib.loads(text).get("profiles", {}):
        remove_profile(path, name)
    remove_profile(path, "new")
    assert tomllib.loads(path.read_bytes().decode()).get("profiles", {}) == {}


@for_each(
    "text",
    [
        COMMENTED,
        "[profiles.acme]\nprovider = 'webex'\naccess_token = 'x'",
        "[profiles]\nacme.provider = 'webex' # dotted\nacme.timeout = 3\n",
        "profiles = {acme = {provider = 'webex'}, other = {provider = 'kazoo'}}\n",
    ],
)
def test_a_profile_can_replace_another(tmp_path: Path, text: str) -> None:
    path = write_config(tmp_path, text)
    tokens = token_file(path, "acme", "origin")
    with tokens.locked():
        tokens.save({"access": SECRET})
    with expect_refusal(UsageError, "there is a profile acme"):
        add_profile(path, "acme", "kazoo", {"account_id": "1"})
    add_profile(path, "acme", "kazoo", {"account_id": "1"}, instead=True)
    after = tomllib.loads(path.read_text(encoding="utf-8"))["profiles"]
    before = tomllib.loads(text)["profiles"]
    assert after == {**before, "acme": {"provider": "kazoo", "account_id": "1"}}
    assert tokens.load() == {"access": SECRET}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 or os.name == "nt"
    add_profile(path, "other.one", "kazoo", {"account_id": "2"}, instead=True)
    assert "other.one" in tomllib.loads(path.read_text(encoding="utf-8"))["profiles"]
    with expect_refusal(UsageError, "same environment variables"):
        add_profile(path, "Acme", "kazoo", {"account_id": "2"}, instead=True)


@for_each(
    "name, words",
    [
        ("acme", "there is a profile acme"),
        ("ACME", "same environment variables"),
        ("a b", "cannot be a profile's name"),
    ],
)
def test_a_name_is_checked_before_any_question(tmp_path: Path, name: str, words: str) -> None:
    path = write_config(tmp_path, COMMENTED)
    with expect_refusal(UsageError, words):
        check_name(path, name)
    check_name(path, "another")
    check_name(tmp_path / "none" / "config.toml", "acme")
    assert not (tmp_path / "none").exists()


def test_settings_can_be_read_without_reading_secrets(tmp_path: Path) -> None:
    def asked(*_: object) -> Any:
        raise AssertionError

    for form, value in (("command", "x"), ("file", "not there"), ("keyring", True)):
        profile = make_profile(tmp_path, {"account_id": "a", f"api_key_{form}": value})
        found = read_settings(profile, Account, {}, warn=asked, run=asked, keyring=asked, read_secrets=False)
        assert api_key(found) == NOT_READ
        with expect_refusal(ConfigurationError, "retries"):
            profile = make_profile(tmp_path, {"account_id": "a", f"api_key_{form}": value, "retries": "x"})
            read_settings(profile, Account, {}, warn=asked, run=asked, keyring=asked, read_secrets=False)


def test_a_secret_is_stored_in_the_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[tuple[str, str, str]] = []
    module: Any = types.ModuleType("keyring")
    module.set_password = lambda *given: held.append(given)
    monkeypatch.setitem(sys.modules, "keyring", module)
    store_in_keyring("cdrctl", "acme/api_key", SECRET)
    assert held == [("cdrctl", "acme/api_key", SECRET)]

    def broken(*given: str) -> None:
        raise RuntimeError(given)

    module.set_password = broken
    with expect_refusal(ConfigurationError, "cannot store it (RuntimeError)", "keyring diagnose"):
        store_in_keyring("cdrctl", "acme/api_key", SECRET)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with expect_refusal(ConfigurationError, "pip install 'cdrctl[keyring]'"):
        store_in_keyring("cdrctl", "acme/api_key", SECRET)


def test_a_profile_is_removed_with_its_comments_and_no_others(tmp_path: Path) -> None:
    path = write_config(tmp_path, COMMENTED)
    remove_profile(path, "acme")
    assert path.read_text(encoding="utf-8") == (
        "# my profiles\n\n# the lab\n[profiles.lab]\nprovider = 'kazoo'\naccount_id = \"1\"\n\n"
        '[profiles.last]\nprovider = "webex"\n# the end\n'
    )
    remove_profile(path, "last")
    assert path.read_text(encoding="utf-8").endswith('account_id = "1"\n\n# the end\n')
    with expect_refusal(UsageError, "no profile labb", "did you mean lab?"):
        remove_profile(path, "labb")
    remove_profile(path, "lab")
    with expect_refusal(UsageError, "no profile lab", "no profiles"):
        remove_profile(path, "lab")


def test_a_file_that_cannot_be_edited_safely_is_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_config(tmp_path, COMMENTED)
    for candidate in ("", COMMENTED.replace("renewed", "x") + "[profiles.acme]", "[profiles.new]\n"):
        monkeypatch.setattr(editing, "add_tables", lambda *_, candidate=candidate: iter([candidate]))
        with expect_refusal(ConfigurationError, str(path), "editor"):
            add_profile(path, "new", "webex", {})
    assert path.read_text(encoding="utf-8") == COMMENTED


@for_each("name", ["", "../x", "a/b", "a\nb", "a\n", ".a", "-a", "a b", "ü", "x" * 65, "sandbox", "SANDBOX", "a\\b"])
def test_invalid_names_are_refused(tmp_path: Path, name: str) -> None:
    with expect_refusal(UsageError, "cannot be a profile's name"):
        add_profile(tmp_path / "config.toml", name, "webex", {})
    assert list(tmp_path.iterdir()) == []


def test_taken_names_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    add_profile(path, "a-b", "webex", {"access_token": SECRET})
    with expect_refusal(UsageError, "cdrctl profile remove a-b"):
        add_profile(path, "a-b", "webex", {})
    for name in ("a_b", "A-B", "a.b"):
        with expect_refusal(UsageError, "a-b", name, "CDRCTL_A_B_"):
            add_profile(path, name, "webex", {})
    add_profile(path, "x" * 64, "webex", {})


def test_values_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    with expect_refusal(UsageError, "did you mean webex?"):
        add_profile(tmp_path / "config.toml", "a", "wexeb", {})
    with expect_refusal(UsageError, "api_key"):
        add_profile(tmp_path / "config.toml", "a", "webex", {"api_key": SECRET + "\udcff"})
    assert list(tmp_path.iterdir()) == []
