"""`cdrctl profile`, and profiles that are used with a served sandbox."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.fetchers import PROVIDERS
from tests.support.runner import NOW, run

SECRET = "s3cr3t-t0ken-nobody-may-see"


@pytest.fixture(name="served")
def _served() -> Iterator[sandbox.Sandbox]:
    with sandbox.start(now=lambda: NOW) as running:
        yield running


def test_add_asks_for_required_settings_and_stores_them_privately(tmp_path: Path) -> None:
    config = tmp_path / "deep" / "config.toml"
    ran = run("profile", "add", "acme", "--config", config, stdin=f"webex\ntoken\n{SECRET}\n")
    assert ran.code == 0, ran.err
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert SECRET in config.read_text(encoding="utf-8")
    assert SECRET not in ran.out + ran.err
    assert "cdrctl profile check acme" in ran.err
    listed = run("profile", "list", "--config", config)
    assert "acme\twebex\tfile" in listed.out
    shown = run("profile", "show", "acme", "--config", config)
    assert "access_token = ********" in shown.out
    assert SECRET not in shown.out
    assert (
        run("profile", "add", "acme", "--provider", "webex", "--config", config, stdin=f"token\n{SECRET}\n").code == 2
    )
    assert run("profile", "remove", "acme", "--config", config).code == 0
    assert "acme" not in run("profile", "list", "--config", config).out


def test_a_secret_is_not_taken_from_the_command_line(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    ran = run("profile", "add", "a", "--provider", "webex", "--set", f"access_token={SECRET}", "--config", config)
    assert ran.code == 2
    assert SECRET not in ran.err
    assert "access_token_command" in ran.err
    assert not config.exists()


def test_an_invalid_setting_is_refused_before_it_is_written(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    common = ("profile", "add", "a", "--provider", "kazoo", "--config", config, "--set", "account_id=1")
    command = ("--set", "api_key_command=false")
    for setting in ("base_url=127.0.0.1:8000", "base_url=foo"):
        ran = run(*common, *command, "--set", setting)
        assert ran.code == 6
        assert "base_url" in ran.err
    ran = run(*common, *command, "--set", "base_url=http://127.0.0.1/v2", "--set", "requests_per_minute=abc")
    assert ran.code == 6
    assert not config.exists()


def test_a_secret_pasted_at_the_wrong_question_is_not_repeated(tmp_path: Path) -> None:
    ran = run("profile", "add", "a", "--config", tmp_path / "c.toml", stdin=f"webex\n{SECRET}\n")
    assert ran.code == 2
    assert SECRET not in ran.err + ran.out


def test_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    ran = run("profile", "add", "a", "--provider", "kazoo", "--set", "acount_id=1", "--config", tmp_path / "c.toml")
    assert ran.code == 2
    assert "account_id" in ran.err


def test_a_profile_given_by_options_asks_no_question(tmp_path: Path, served: sandbox.Sandbox) -> None:
    config = tmp_path / "config.toml"
    good = served.profiles["kazoo"]
    ran = run(
        *("profile", "add", "lab", "--provider", "kazoo", "--config", config),
        *("--set", f"base_url={good['base_url']}", "--set", f"account_id={good['account_id']}"),
        *("--set", f"api_key_command=printf %s {good['api_key']}", "--set", "requests_per_minute=0"),
    )
    assert ran.code == 0, ran.err
    checked = run("profile", "check", "lab", "--config", config)
    assert checked.code == 0, checked.err
    assert "signed in" in checked.out
    exported = run("kazoo", "cdrs", "--since", "yesterday", "--until", "today", "--config", config, "-vv")
    assert exported.code == 0, exported.err
    assert exported.lines == run("kazoo", "cdrs", "-p", "sandbox", "--since", "yesterday", "--until", "today").lines
    assert str(good["api_key"]) not in exported.out + exported.err + checked.out + checked.err


def test_a_profile_may_exist_in_the_environment_alone(tmp_path: Path, served: sandbox.Sandbox) -> None:
    environ = {f"CDRCTL_ACME_{key.upper()}": str(value) for key, value in served.profiles["webex"].items()}
    environ |= {"CDRCTL_ACME_PROVIDER": "webex", "CDRCTL_CONFIG": str(tmp_path / "none.toml")}
    ran = run("webex", "cdrs", "--since", "yesterday", "--until", "today", environ=environ)
    assert ran.code == 0, ran.err
    assert ran.lines
    assert "acme\twebex\tenvironment" in run("profile", "list", environ=environ).out


def test_a_failing_check_names_the_next_step(tmp_path: Path, served: sandbox.Sandbox) -> None:
    environ = {
        "CDRCTL_CONFIG": str(tmp_path / "none.toml"),
        "CDRCTL_A_PROVIDER": "webex",
        "CDRCTL_A_BASE_URL": str(served.profiles["webex"]["base_url"]),
        "CDRCTL_A_ACCESS_TOKEN": SECRET,
        "CDRCTL_A_REQUESTS_PER_MINUTE": "0",
    }
    ran = run("profile", "check", "a", environ=environ)
    assert ran.code == 4
    assert "next:" in ran.err
    assert SECRET not in ran.err


def test_the_sandbox_is_built_in_for_every_provider() -> None:
    ran = run("profile", "check", "sandbox")
    assert ran.code == 0, ran.err
    assert ran.out.count("signed in") == len(PROVIDERS)


def test_a_missing_answer_creates_no_profile(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    assert run("profile", "add", "a", "--config", config, stdin="webex\ntoken\n").code == 2
    assert run("profile", "add", "a", "--config", config, stdin="webex\ntoken\n\n").code == 2
    assert not config.exists()
