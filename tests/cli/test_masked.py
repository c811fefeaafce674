"""A secret is not passed to other commands, settings and profiles, and is masked in output."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.clock import HandClock
from tests.support.runner import Shell

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECRET = "hush/hush+4711=="
HOUR = ("--since", "2h", "--until", "1h")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path, HandClock(NOW))


@pytest.mark.parametrize("log", [(), ("-q",), ("--log-format", "json")])
@pytest.mark.parametrize(
    "command",
    [f"echo {SECRET} >&2; exit 1", f"echo {SECRET}; exit 2", f"echo {SECRET} | tee /dev/stderr; exit 3"],
)
def test_a_failing_command_is_not_quoted(command: str, log: tuple[str, ...], shell: Shell) -> None:
    shell.profile("acme", "webex", {"access_token_command": command})
    for words in (("webex", "cdrs", *HOUR, *log), ("doctor", "acme", "--offline"), ("profile", "check", "acme", *log)):
        ran = shell.run(*words)
        assert ran.code == 6
        assert "hush" not in ran.err + ran.out


def test_v_shows_the_stderr_of_a_failing_command_and_not_its_stdout(shell: Shell) -> None:
    shell.profile("acme", "webex", {"access_token_command": f"echo {SECRET}; echo {SECRET} is locked >&2; exit 1"})
    ran = shell.run("webex", "cdrs", *HOUR, "-v")
    assert ran.code == 6
    assert "said: ******** is locked" in ran.err
    assert "hush" not in ran.err


def test_no_other_setting_shows_a_secret(shell: Shell) -> None:
    encoded = base64.b64encode(SECRET.encode()).decode()
    settings = {
        "auth_token": SECRET,
        "base_url": f"https://pbx.example.net/{quote(SECRET, safe='')}/v2",
        "account_id": encoded,
        "username": SECRET,
        "account_name": f"x{SECRET}x",
        "ca_file": f"/etc/{SECRET}.pem",
    }
    shell.profile("acme", "kazoo", settings)
    shown = shell.run("profile", "show", "acme").ok()
    rehearsed = shell.run("kazoo", "cdrs", *HOUR, "--dry-run")
    checked = shell.run("doctor", "acme", "--offline")
    for ran in (shown, rehearsed, checked):
        text = ran.err + ran.out
        for spelling in (SECRET, encoded.rstrip("="), quote(SECRET, safe="")):
            assert spelling not in text
    assert shown.out.count("********") == len(settings)


def test_secrets_of_other_profiles_are_masked_too(shell: Shell) -> None:
    lines = [
        "[profiles.acme]",
        'provider = "webex"',
        f'base_url = "https://example.com/{SECRET}"',
        'access_token = "t0ken"',
    ]
    lines += ["[profiles.lab]", 'provider = "voicenter"', f"code = {json.dumps(SECRET)}"]
    shell.config.write_text("\n".join([*lines, ""]), encoding="utf-8")
    shell.config.chmod(0o600)
    ran = shell.run("webex", "cdrs", "-p", "acme", *HOUR, "--dry-run").ok()
    assert "********" in ran.out
    assert "hush" not in ran.err + ran.out


def test_a_setting_name_is_shown_although_the_password_is_the_same_word(shell: Shell) -> None:
    settings = {"base_url": "https://pbx.example.net/api", "username": "me", "password": "password"}
    shell.profile("acme", "portsip", settings)
    assert "password = ********" in shell.run("profile", "show", "acme").ok().out
