"""`cdrctl profile set | rename | copy | edit | list`, and selecting profiles by --tag and --except."""

from __future__ import annotations

import json
import shlex
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from cdrctl import profile_changes, sandbox
from cdrctl.errors import ConfigurationError, UsageError
from cdrctl.fetchers import load
from cdrctl.profiles.tokens import token_file
from tests.support.runner import NOW, Ran, run

TEXT = """# The profiles of our customers
[profiles.acme]  # the first one
provider = "kazoo"
base_url = "https://kazoo.example.net/v2"  # behind the firewall
account_id = "0123456789abcdef0123456789abcdef"
api_key = "a-key-that-is-secret"

# A second customer.
[profiles.brick]
provider = "webex"
access_token = "a-token-that-is-secret"
tags = ["nightly", "emea"]
"""


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(TEXT, encoding="utf-8")
    path.chmod(0o600)
    return path


def said(path: Path) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = tomllib.loads(path.read_text(encoding="utf-8"))["profiles"]
    return found


def profile(
    config: Path, *words: str, stdin: str = "", terminal: bool = False, environ: Mapping[str, str] | None = None
) -> Ran:
    return run("profile", *words, "--config", config, stdin=stdin, terminal=terminal, environ=environ)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("timezone", "Europe/Berlin", "Europe/Berlin"),
        ("timeout", "30", 30.0),
        ("largest_page_mb", "64", 64),
        ("allow_http", "yes", True),
        ("tags", "nightly, emea", ["nightly", "emea"]),
        ("max_wait", "5m", "5m"),
    ],
)
def test_a_setting_is_written_with_its_type_and_the_rest_is_unchanged(
    config: Path, key: str, text: str, value: object
) -> None:
    assert profile(config, "set", "acme", key, text).code == 0
    assert said(config) == {**said_of(TEXT), "acme": {**said_of(TEXT)["acme"], key: value}}
    changed = config.read_text(encoding="utf-8")
    for line in TEXT.splitlines():
        assert line in changed
    assert stat.S_IMODE(config.stat().st_mode) == 0o600


def said_of(text: str) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = tomllib.loads(text)["profiles"]
    return found


def test_a_setting_is_removed(config: Path) -> None:
    assert profile(config, "set", "brick", "tags", "--unset").code == 0
    assert "tags" not in said(config)["brick"]
    assert profile(config, "set", "brick", "tags", "--unset").code == 2


def test_a_secret_is_asked_for_and_never_taken_from_the_command_line(config: Path) -> None:
    refused = profile(config, "set", "brick", "access_token", "typed-where-all-see-it")
    assert refused.code == 2
    assert "typed-where-all-see-it" not in refused.err
    assert config.read_text(encoding="utf-8") == TEXT
    ran = profile(config, "set", "brick", "access_token", stdin="another-secret-token\n")
    assert ran.code == 0
    assert "another-secret-token" not in ran.err
    assert said(config)["brick"]["access_token"] == "another-secret-token"


def test_a_setting_and_its_value_in_one_word_are_refused_without_repeating_the_value(config: Path) -> None:
    refused = profile(config, "set", "brick", "access_token=typed-where-all-see-it")
    assert refused.code == 2
    assert "typed-where-all-see-it" not in refused.err
    assert "cdrctl profile set brick access_token\n" in refused.err
    assert "cdrctl profile set acme timeout VALUE\n" in profile(config, "set", "acme", "timeout=5").err
    assert config.read_text(encoding="utf-8") == TEXT


def test_another_form_of_a_secret_replaces_the_first(config: Path) -> None:
    assert profile(config, "set", "acme", "api_key_command", "pass show kazoo").code == 0
    assert "api_key" not in said(config)["acme"]
    assert said(config)["acme"]["api_key_command"] == "pass show kazoo"


@pytest.mark.parametrize(
    ("words", "code", "fault"),
    [
        (("acme", "timeout", "soon"), 6, "timeout"),
        (("acme", "base_url", "https://x.example:99999/"), 6, "base_url"),
        (("acme", "colour", "blue"), 2, "colour"),
        (("acme", "timeout"), 2, "needs a value"),
        (("nobody", "timeout", "5"), 6, "nobody"),
        (("sandbox", "timeout", "5"), 2, "built in"),
        (("acme", "account_id", "--unset"), 6, "account_id"),
        (("acme", "timeout", "5", "--unset"), 2, "--unset"),
    ],
)
def test_an_invalid_change_is_refused(config: Path, words: tuple[str, ...], code: int, fault: str) -> None:
    ran = profile(config, "set", *words)
    assert (ran.code, ran.out) == (code, "")
    assert fault in ran.err
    assert config.read_text(encoding="utf-8") == TEXT


def test_rename_keeps_the_file_and_moves_the_tokens(config: Path) -> None:
    kept = token_file(config, "brick", "a-token-that-is-secret").path
    kept.parent.mkdir(mode=0o700)
    kept.write_text("{}", encoding="utf-8")
    assert profile(config, "rename", "brick", "brick-emea").code == 0
    assert config.read_text(encoding="utf-8") == TEXT.replace("[profiles.brick]", "[profiles.brick-emea]")
    assert not kept.exists()
    assert kept.with_name("brick-emea.json").exists()


def test_a_copy_has_the_same_settings_and_not_the_tokens(config: Path) -> None:
    kept = token_file(config, "brick", "a-token-that-is-secret").path
    kept.parent.mkdir(mode=0o700)
    kept.write_text("{}", encoding="utf-8")
    ran = profile(config, "copy", "brick", "brick2")
    assert ran.code == 0
    assert "a-token-that-is-secret" not in ran.err
    assert said(config) == {**said_of(TEXT), "brick2": said_of(TEXT)["brick"]}
    assert config.read_text(encoding="utf-8").startswith(TEXT)
    assert [one.name for one in kept.parent.iterdir()] == ["brick.json"]


@pytest.mark.parametrize("command", ["rename", "copy"])
@pytest.mark.parametrize("new", ["brick", "sandbox", "a b", "-x"])
def test_an_invalid_name_is_refused(config: Path, command: str, new: str) -> None:
    assert profile(config, command, "acme", "--", new).code == 2
    assert config.read_text(encoding="utf-8") == TEXT


def test_a_profile_of_the_environment_cannot_be_changed_in_the_file(config: Path) -> None:
    environ = {"CDRCTL_EV_PROVIDER": "webex", "CDRCTL_EV_ACCESS_TOKEN": "x" * 20}
    for words in (("set", "ev", "timeout", "5"), ("rename", "ev", "ew"), ("copy", "ev", "ew")):
        assert profile(config, *words, environ=environ).code == 2
    assert config.read_text(encoding="utf-8") == TEXT


def editor(tmp_path: Path, script: str) -> str:
    path = tmp_path / "an editor"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o700)
    return f"'{path}'"


def test_edit_saves_the_edited_file(config: Path, tmp_path: Path) -> None:
    mode = tmp_path / "mode"
    words = editor(tmp_path, f'sed -i s/nightly/weekly/ "$1"; stat -c %a "$1" > {shlex.quote(str(mode))}')
    environ = {"EDITOR": words}
    ran = profile(config, "edit", environ=environ)
    assert (ran.code, ran.out) == (0, "")
    assert config.read_text(encoding="utf-8") == TEXT.replace("nightly", "weekly")
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert mode.read_text(encoding="utf-8") == "600\n", "nobody else may read what is being edited"


@pytest.mark.parametrize("script", ["echo 'not = toml = here' > \"$1\"", "exit 3", "printf '\\377' > \"$1\""])
def test_edit_refuses_an_invalid_configuration(config: Path, tmp_path: Path, script: str) -> None:
    ran = profile(config, "edit", environ={"EDITOR": editor(tmp_path, script)})
    assert ran.code == 6
    assert config.read_text(encoding="utf-8") == TEXT


def test_edit_needs_an_editor_or_a_terminal(config: Path) -> None:
    assert profile(config, "edit").code == 2
    assert profile(config, "edit", environ={"EDITOR": "/nonexistent/editor"}).code == 6
    assert "unchanged" in profile(config, "edit", environ={"EDITOR": "true"}).err


def test_edit_does_not_overwrite_a_changed_file(config: Path) -> None:
    config.write_text(TEXT + "# later\n", encoding="utf-8")
    with pytest.raises(UsageError, match="was changed"):
        profile_changes.replace_text(config, TEXT, TEXT.replace("acme", "zeta"))
    assert config.read_text(encoding="utf-8").endswith("# later\n")
    with pytest.raises(ConfigurationError):
        profile_changes.replace_text(config, TEXT, "[profiles")


def test_list_prints_a_table_on_a_terminal_and_tabs_in_a_pipe(config: Path) -> None:
    assert profile(config, "list").out.splitlines()[:2] == ["acme\tkazoo\tfile\t", "brick\twebex\tfile\temea,nightly"]
    table = profile(config, "list", terminal=True).out.splitlines()
    assert table[0].split() == ["profile", "provider", "kept", "in", "tags"]
    assert table[3].split() == ["brick", "webex", "file", "emea,nightly"]


def test_set_writes_each_setting_with_its_type() -> None:
    model = load("kazoo").settings
    for key, text, value in (("timeout", "5", 5.0), ("tags", "a", ["a"]), ("api_key_keyring", "true", True)):
        assert profile_changes.parse_value(model, key, text) == value
    assert profile_changes.parse_value(model, "timezone", "5") == "5"


@pytest.fixture(name="group")
def _group(tmp_path: Path) -> Path:
    """Three profiles of a stopped sandbox: all fail, so the errors show which profiles were selected."""
    path = tmp_path / "group.toml"
    with sandbox.start(now=lambda: NOW) as running:
        settings = running.profiles["webex"]
    lines = []
    for name, tags in (("a", ["nightly"]), ("b", ["nightly", "emea"]), ("c", [])):
        lines += [f'[profiles.{name}]\nprovider = "webex"\ntags = {json.dumps(tags)}\nmax_wait = "0s"']
        lines += [f"{key} = {value!r}" for key, value in settings.items()]
    path.write_text("\n".join(lines), encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--all",), "abc"),
        (("--all", "--except", "b"), "ac"),
        (("--tag", "nightly"), "ab"),
        (("--tag", "nightly", "--except", "a"), "b"),
        (("--tag", "emea", "--tag", "nightly"), "ab"),
        (("--all", "--tag", "emea"), "b"),
    ],
)
def test_profiles_are_selected_by_tag_and_excluded_by_name(
    group: Path, words: tuple[str, ...], names: str, tmp_path: Path
) -> None:
    for command in (("export", "--since", "1h"), ("sync", "--into", str(tmp_path / "archive"))):
        ran = run(*command, *words, "--config", group, "-q", "--log-format", "json")
        failed = [json.loads(line).get("profile") for line in ran.err.splitlines()]
        if len(names) > 1:
            assert [one for one in failed if one] == [f"{name} (webex)" for name in names]
        assert ran.code == 5


@pytest.mark.parametrize(
    "words",
    [
        ("--tag", "weekly"),
        ("--all", "-p", "a"),
        ("--tag", "nightly", "-p", "a"),
        ("-p", "a", "--except", "b"),
        ("--all", "--except", "nobody"),
        ("--tag", "emea", "--except", "b"),
    ],
)
def test_a_contradicting_selection_is_refused(group: Path, words: tuple[str, ...]) -> None:
    ran = run("export", "--since", "1h", *words, "--config", group)
    assert (ran.code, ran.out) == (2, "")


def test_tags_may_come_from_the_environment(group: Path) -> None:
    environ = {"CDRCTL_C_TAGS": "weekly,emea"}
    ran = run("export", "--since", "1h", "--tag", "weekly", "--config", group, "-q", environ=environ)
    assert ran.code == 5
