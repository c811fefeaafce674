"""The configuration file: its path, and the profiles in it and in the environment."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from cdrctl.errors import ConfigurationError, UsageError, code_of
from cdrctl.profiles.choosing import choose_profile
from cdrctl.profiles.editing import add_profile, remove_profile
from cdrctl.profiles.file import config_path, open_to_others, read_profiles
from cdrctl.profiles.tokens import token_file
from tests.profiles.kit import (
    POSIX,
    SECRET,
    expect_refusal,
    read,
    write_config,
)
from tests.support.products import for_each


def test_the_option_has_precedence_over_the_variable_and_the_platform() -> None:
    environ = {"CDRCTL_CONFIG": "variable.toml"}
    assert config_path(environ, "option.toml") == Path("option.toml")
    assert config_path(environ, None) == Path("variable.toml")
    usual = config_path({}, None)
    assert usual.parts[-2:] == ("cdrctl", "config.toml")
    assert config_path({"CDRCTL_CONFIG": ""}, None) == usual


def test_an_empty_option_is_refused() -> None:
    with expect_refusal(UsageError, "--config"):
        config_path({}, "")


def test_a_tilde_is_the_home_of_the_environment() -> None:
    assert config_path({"HOME": "/h", "CDRCTL_CONFIG": "~/c.toml"}, None) == Path("/h/c.toml")
    assert config_path({"HOME": "/h"}, "~name/c.toml") == Path("~name/c.toml")
    with expect_refusal(ConfigurationError, "HOME"):
        config_path({}, "~/c.toml")


@POSIX
def test_without_a_home_only_profiles_in_the_environment_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda *_, **__: "~/.config/cdrctl")
    path = config_path({}, None)
    written_there = tmp_path / "~/.config/cdrctl"
    written_there.mkdir(parents=True)
    write_config(written_there, "[profiles.planted]\nprovider = 'webex'\n")
    found, _ = read_profiles(path, {"CDRCTL_ACME_PROVIDER": "webex"})
    assert list(found) == ["acme"]
    tokens = token_file(path, "new", "")
    with expect_refusal(ConfigurationError, "home"):
        add_profile(path, "new", "webex", {})
    with expect_refusal(ConfigurationError, "home"):
        tokens.save({})
    with expect_refusal(ConfigurationError, "home"), tokens.locked():
        pass
    tokens.path.parent.mkdir()
    tokens.path.write_text(f'{{"origin": "{tokens.origin}", "tokens": {{}}}}', encoding="utf-8")
    assert tokens.load() is None
    with expect_refusal(UsageError, "no profile"):
        remove_profile(path, "planted")


def test_a_missing_file_has_no_profiles(tmp_path: Path) -> None:
    assert read_profiles(tmp_path / "none" / "config.toml", {}) == ({}, [])


def test_profiles_are_read_from_the_file_and_the_environment(tmp_path: Path) -> None:
    path = write_config(tmp_path, f'[profiles.acme]\nprovider = "webex"\naccess_token = "{SECRET}"\n')
    environ = {
        "CDRCTL_LAB_2_PROVIDER": "kazoo",
        "CDRCTL_NONE_PROVIDER": "",
        "CDRCTL_PROFILE": "acme",
        "CDRCTL_CONFIG": str(path),
        "CDRCTL_PROVIDER": "webex",
        "CDRCTL_LOG_FORMAT": "json",
        "PATH": "/bin",
    }
    found, warnings = read_profiles(path, environ)
    assert warnings == []
    assert list(found) == ["acme", "lab_2"]
    acme, lab = found.values()
    assert (acme.provider, acme.source, acme.path, acme.fault) == ("webex", "file", path, None)
    assert acme.raw == {"access_token": SECRET}
    assert (lab.provider, lab.source, lab.path, lab.raw) == ("kazoo", "environment", path, {})
    assert SECRET not in repr(found)


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_file_that_others_may_read_gives_a_warning(tmp_path: Path, mode: int) -> None:
    path = write_config(tmp_path, "", mode)
    _, (warning,) = read_profiles(path, {})
    assert f"chmod 600 {path}" in warning


@POSIX
def test_a_file_without_modes_gives_no_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices, and all files on Windows."""
    device = os.stat_result((stat.S_IFCHR | 0o666, *range(9)))
    assert open_to_others(tmp_path, device) == []
    path = write_config(tmp_path, "", 0o644)
    status = path.stat()
    monkeypatch.setattr(os, "name", "nt")
    assert open_to_others(path, status) == []


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf[profiles.a]\nprovider = 'webex'\n")
    path.chmod(0o600)
    assert list(read_profiles(path, {})[0]) == ["a"]
    add_profile(path, "b", "webex", {})
    assert list(read_profiles(path, {})[0]) == ["a", "b"]


def test_an_unknown_key_at_the_top_gives_a_warning(tmp_path: Path) -> None:
    _, warnings = read_profiles(write_config(tmp_path, "[profile.acme]\nprovider = 'webex'\n"), {})
    assert code_of(warnings[0]) == "unknown_key"
    assert "profile at the top" in warnings[0]
    assert "did you mean profiles?" in warnings[0]


@for_each(
    "content, words",
    [
        (f"[profiles.a]\napi_key = '{SECRET}\n".encode(), ["line 2", "not TOML"]),
        (f"[profiles.a]\napi_key = {SECRET}\n".encode(), ["line 2", "not TOML"]),
        (f"a = '''{SECRET}".encode(), ["line 1", "not TOML"]),
        (b"[profiles.a]\napi_key = '\xff" + SECRET.encode() + b"'\n", ["not UTF-8"]),
        (SECRET.encode("utf-16"), ["not UTF-8"]),
        (b"profiles = 3\n", ["profiles is not a table", "[profiles.NAME]"]),
        (b"[[profiles]]\n", ["profiles is not a table"]),
        (b"# one\n\na = '" + SECRET.encode() + b"\n" + b"b = 1\n" * 9, ["line 3", "not TOML"]),
        (b"a = " + b"[" * 20_000, ["line 1", "not TOML"]),
        (b"b = 1\na = " + b"9" * 20_000, ["line 2", "not TOML"]),
    ],
)
def test_an_unreadable_file_is_refused(tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with expect_refusal(ConfigurationError, str(path), *words):
        read_profiles(path, {})
    with expect_refusal(ConfigurationError, str(path), *words):
        add_profile(path, "new", "webex", {})
    with expect_refusal(ConfigurationError, str(path), *words):
        remove_profile(path, "new")
    assert path.read_bytes() == content


def test_a_folder_or_an_impossible_path_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with expect_refusal(ConfigurationError, str(tmp_path), "cannot be read", "profile path"):
        read_profiles(tmp_path, {})
    with expect_refusal(ConfigurationError, "cannot be read"):
        read_profiles(Path("a\0b"), {})

    def closed(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", closed)
    with expect_refusal(ConfigurationError, "cannot be read", os.strerror(errno.EACCES)):
        read_profiles(tmp_path / "config.toml", {})


@for_each(
    "table, name, words",
    [
        ("x = 3", "x", ["not a table", "[profiles.x]"]),
        ("x = []", "x", ["not a table"]),
        ("x = {}", "x", ["names no provider", "webex"]),
        ("x = {provider = 3}", "x", ["not text", "webex"]),
        ("x = {provider = []}", "x", ["not text", "webex"]),
        ("x = {provider = 'wbex'}", "x", ["no provider wbex", "did you mean webex?"]),
        ("sandbox = {provider = 'webex'}", "sandbox", ["built-in", "rename"]),
        ("Sandbox = {provider = 'webex'}", "Sandbox", ["built-in", "rename"]),
        ("'../x' = {provider = 'webex'}", "../x", ["letters", "rename"]),
        ('"a\\nb" = {provider = "webex"}', "a\nb", ["letters", "rename"]),
        ("go_od = {provider = 'webex'}", "go_od", ["go-od", "CDRCTL_GO_OD_", "rename"]),
    ],
)
def test_one_broken_profile_leaves_the_others_usable(tmp_path: Path, table: str, name: str, words: list[str]) -> None:
    path = write_config(tmp_path, f"[profiles]\ngo-od = {{provider = 'webex'}}\n{table}\n")
    found, _ = read_profiles(path, {})
    assert list(found) == ["go-od", name]
    assert choose_profile(found, "webex", "go-od", {}).name == "go-od"
    with expect_refusal(ConfigurationError, str(path), repr(name) if "\n" in name else name, *words):
        choose_profile(found, "webex", name, {})
    with expect_refusal(ConfigurationError, *words):
        read(found[name])


def test_broken_profiles_in_the_environment_are_refused() -> None:
    environ = {
        "CDRCTL_LAB_PROVIDER": "kazo",
        "CDRCTL__X_PROVIDER": "kazoo",
        "CDRCTL_SANDBOX_PROVIDER": "kazoo",
        "CDRCTL_GOOD_PROVIDER": "kazoo",
    }
    found, _ = read_profiles(Path("none.toml"), environ)
    assert choose_profile(found, "kazoo", "good", {}).name == "good"
    for name, words in {"lab": "did you mean kazoo?", "_x": "letters", "sandbox": "built-in"}.items():
        with expect_refusal(ConfigurationError, words, f"CDRCTL_{name.upper()}_PROVIDER"):
            choose_profile(found, "kazoo", name, {})


def test_the_environment_may_name_the_provider_of_a_profile_of_the_file(tmp_path: Path) -> None:
    path = write_config(tmp_path, "[profiles.a-b]\naccount_id = 'x'\n[profiles.c]\nprovider = 'webex'\n")
    found, _ = read_profiles(path, {"CDRCTL_A_B_PROVIDER": "kazoo", "CDRCTL_C_PROVIDER": "webex"})
    assert [(each.name, each.provider, each.fault) for each in found.values()] == [
        ("a-b", "kazoo", None),
        ("c", "webex", None),
    ]
    found, _ = read_profiles(path, {"CDRCTL_C_PROVIDER": "kazoo"})
    with expect_refusal(ConfigurationError, "different providers", "CDRCTL_C_PROVIDER", str(path)):
        choose_profile(found, None, "c", {})


def test_a_thousand_profiles_are_read(tmp_path: Path) -> None:
    text = "".join(f"[profiles.p{n}]\nprovider = 'webex'\n" for n in range(1024))
    path = write_config(tmp_path, text)
    add_profile(path, "last", "kazoo", {})
    remove_profile(path, "p7")
    found, _ = read_profiles(path, {f"CDRCTL_E{n}_PROVIDER": "kazoo" for n in range(1024)})
    assert len(found) == 2048
    with expect_refusal(ConfigurationError, "1023 profiles of webex", "and 1003 more"):
        choose_profile(found, "webex", None, {})
