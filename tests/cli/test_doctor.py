"""`cdrctl doctor`: the configuration, the machine and the settings; each problem has a next step."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdrctl.cli.doctor_checks import ANSWER_CHECKS, CHECKS, NETWORK_CHECKS
from cdrctl.fetchers import PROVIDERS, load
from cdrctl.profiles.names import secret_names
from tests.cli.doctor_kit import SECRET, Checkup, a_checkup
from tests.support.runner import run


@pytest.fixture(name="checkup")
def _checkup(tmp_path: Path) -> Iterator[Checkup]:
    with a_checkup(tmp_path) as one:
        yield one


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_working_profile_passes_every_check(checkup: Checkup, provider: str) -> None:
    checkup.profile(provider)
    ran = checkup.run()
    assert ran.code == 0, ran.out
    checks = [line["check"] for line in ran.lines if line["profile"] == "acme"]
    assert checks == list(CHECKS)
    assert {line["result"] for line in ran.lines} <= {"ok", "skipped"}
    assert [line["check"] for line in ran.lines if not line["profile"]] == [
        *("configuration", "permissions", "program", "proxy")
    ]
    assert not [line for line in ran.lines if line["next"]]
    secrets = {key: str(value) for key, value in checkup.served.credentials(provider).items()}
    hidden = secret_names(load(provider).settings) & set(secrets)
    assert hidden
    assert not [key for key in hidden if secrets[key] in ran.out + ran.err]
    assert len(checkup.served.requests) <= 3


def test_the_sandbox_needs_no_profile(tmp_path: Path) -> None:
    for words in (("sandbox",), ("-p", "sandbox")):
        ran = run("doctor", *words, "--config", tmp_path / "none.toml")
        assert ran.code == 0, ran.out
        assert {line["provider"] for line in ran.lines} == set(PROVIDERS)
        assert {line["profile"] for line in ran.lines} == {"sandbox"}
        assert len(ran.lines) == len(PROVIDERS) * len(CHECKS)


def test_profiles_are_chosen_by_name(checkup: Checkup) -> None:
    checkup.profile("webex")
    more = checkup.config.read_text(encoding="utf-8").replace("[profiles.acme]", "[profiles.other]")
    checkup.config.write_text(checkup.config.read_text(encoding="utf-8") + more, encoding="utf-8")
    assert {line["profile"] for line in checkup.run().lines} == {None, "acme", "other"}
    assert {line["profile"] for line in checkup.run("other").lines} == {None, "other"}
    ran = checkup.run("othr")
    assert ran.code == 6
    assert "did you mean other?" in ran.err


def test_a_profile_in_the_environment_is_checked(checkup: Checkup) -> None:
    good = checkup.served.credentials("webex")
    checkup.environ = {f"CDRCTL_ACME_{key.upper()}": str(value) for key, value in good.items()}
    checkup.environ["CDRCTL_ACME_PROVIDER"] = "webex"
    ran = checkup.run()
    assert ran.code == 0, ran.out
    [secrets] = [line for line in ran.lines if line["check"] == "secrets"]
    assert secrets["what"] == "access_token is in CDRCTL_ACME_ACCESS_TOKEN"


def test_offline_sends_no_request(checkup: Checkup) -> None:
    checkup.profile("webex")
    ran = checkup.run("--offline")
    assert ran.code == 0
    skipped = [line["check"] for line in ran.lines if line["what"] == "needs the network (--offline)"]
    assert skipped == [*NETWORK_CHECKS, *ANSWER_CHECKS]
    assert checkup.served.requests == []


def test_without_a_profile_the_next_step_is_init(checkup: Checkup) -> None:
    found = checkup.finding("configuration", 6)
    assert "cdrctl init" in found["next"]


def test_a_file_that_is_not_toml(checkup: Checkup) -> None:
    checkup.config.write_text("[profiles.acme]\nprovider = \n", encoding="utf-8")
    found = checkup.finding("configuration", 6)
    assert found["next"] == f"correct {checkup.config}, line 2"


def test_an_unknown_key_gives_a_warning(checkup: Checkup) -> None:
    checkup.profile("webex")
    checkup.config.write_text("colour = 1\n" + checkup.config.read_text(encoding="utf-8"), encoding="utf-8")
    ran = checkup.run()
    [found] = [line for line in ran.lines if line["result"] == "warn"]
    assert "unknown key colour" in found["what"]
    assert found["next"] == f"remove it from {checkup.config}"
    assert ran.code == 0


def test_a_file_that_others_can_read_gives_a_warning(checkup: Checkup) -> None:
    checkup.profile("webex")
    checkup.config.chmod(0o644)
    assert checkup.finding("permissions", 0)["next"] == f"chmod 600 {checkup.config}"


def test_a_folder_that_others_can_change_gives_a_warning(checkup: Checkup) -> None:
    checkup.profile("webex")
    checkup.config.parent.chmod(0o777)
    assert checkup.finding("permissions", 0)["next"] == f"chmod go-w {checkup.config.parent}"


@pytest.mark.parametrize("name", ["", "tokens", "pace"])
def test_a_folder_that_is_not_writable_gives_a_warning(
    checkup: Checkup, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write everywhere, so the error is simulated."""
    checkup.profile("webex")
    place = checkup.config.parent / name
    place.mkdir(exist_ok=True)
    real = os.open

    def refused(path: Any, *rest: Any, **more: Any) -> int:
        if Path(os.fsdecode(path)).parent == place and ".doctor." in os.fsdecode(path):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", refused)
    found = checkup.finding("permissions", 0)
    assert found["result"] == "warn"
    assert str(place) in found["next"]


def test_no_file_is_left_behind(checkup: Checkup) -> None:
    checkup.profile("webex")
    checkup.run("--offline")
    assert [path.name for path in checkup.config.parent.iterdir()] == ["config.toml"]
    assert stat.S_IMODE(checkup.config.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("more", "what", "step"),
    [
        ({"acces_token": "x"}, "acces_token", "did you mean access_token"),
        ({"timeout": "soon"}, "timeout", "cdrctl profile show acme"),
        ({"access_token": None}, "profile acme has no access_token", "cdrctl init explains where to find it"),
        ({"access_token": None, "client_id": "x"}, "profile acme has no client_secret", "[profiles.acme]"),
        ({"provider": "webx"}, "there is no provider webx", "did you mean webex"),
    ],
)
def test_invalid_settings_fail(checkup: Checkup, more: dict[str, Any], what: str, step: str) -> None:
    checkup.profile("webex", **more)
    found = checkup.finding("settings", 6)
    assert what in found["what"]
    assert step in found["next"]
    assert {line["result"] for line in checkup.run().lines if line["check"] in NETWORK_CHECKS} == {"skipped"}


def test_settings_are_checked_before_secrets_are_read(checkup: Checkup, tmp_path: Path) -> None:
    checkup.profile("webex", access_token=None, access_token_command=f"touch {tmp_path}/asked", timeout="soon")
    checkup.finding("settings", 6)
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize(
    ("more", "what", "step"),
    [
        ({"access_token_command": "exit 3"}, "access_token_command", "run the command again with -v"),
        (
            {"access_token_command": "no-such-program"},
            "ended with exit code 127",
            "check that the program is installed",
        ),
        ({"access_token_file": "none"}, "cannot be read", "correct the path"),
        ({"access_token_keyring": True}, "access_token_keyring", "keyring"),
    ],
)
def test_secrets_that_cannot_be_read_fail(
    checkup: Checkup, more: dict[str, Any], what: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    checkup.profile("webex", access_token=None, **more)
    found = checkup.finding("secrets", 6)
    assert what in found["what"]
    assert step in found["next"]
    assert checkup.served.requests == []


def test_a_command_that_fails_shows_no_other_secret(checkup: Checkup) -> None:
    checkup.profile("kazoo", api_key=None, username="me", password=SECRET, api_key_command=f"echo {SECRET} >&2; exit 3")
    assert checkup.finding("secrets", 6)["what"].endswith("ended with exit code 3")


def test_a_secret_is_read_once(checkup: Checkup, tmp_path: Path) -> None:
    token = checkup.served.credentials("webex")["access_token"]
    command = f"echo x >> {tmp_path}/asked; echo {token}"
    checkup.profile("webex", access_token=None, access_token_command=command)
    assert checkup.finding("secrets", 0)["what"].startswith("access_token comes from the command ")
    assert (tmp_path / "asked").read_text() == "x\n"


def test_a_secret_file_that_others_can_read_gives_a_warning(checkup: Checkup, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(str(checkup.served.credentials("webex")["access_token"]))
    path.chmod(0o644)
    checkup.profile("webex", access_token=None, access_token_file=str(path))
    assert checkup.finding("secrets", 0)["next"] == f"chmod 600 {path}"
