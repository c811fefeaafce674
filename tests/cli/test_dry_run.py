"""`--dry-run` prints the requests as curl commands, and does nothing else."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdrctl import PROVIDERS, sandbox
from cdrctl.fetchers import Call, load
from cdrctl.http.messages import MASK
from cdrctl.profiles.names import secret_names
from tests.support.products import for_each
from tests.support.runner import NOW, configured, run

YESTERDAY = ("--since", "2026-11-19", "--until", "2026-11-20")
CALLS = [(name, call) for name in PROVIDERS for call in load(name).calls]


@pytest.fixture(name="served", scope="module")
def _served() -> Iterator[sandbox.Sandbox]:
    with sandbox.start(now=lambda: NOW) as running:
        yield running


def words(provider: str, call: Call, tmp_path: Path) -> list[str]:
    """Return the command of a call, with its required options."""
    given = ["7" for described in call.options if described.argument]
    if call.name == "update":
        given += ["--name", "new"]
    if call.name == "create":
        given += ["--type", "NORMAL", "--range", "YESTERDAY", "--email", "me@example.com", "--file-format", "CSV"]
    if call.offline:
        captured = tmp_path / "captured"
        captured.write_text("{}\n", encoding="utf-8")
        given = [str(captured)]
    return [provider, *([call.group] if call.group else []), call.name, *given]


@for_each("provider, call", CALLS)
def test_nothing_is_sent_no_secret_is_read_and_no_file_written(provider: str, call: Call, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, sandbox.start(now=lambda: NOW) as running:
        given = dict(running.profiles[provider])
        secrets = secret_names(load(provider).settings) & {*given}
        settings: dict[str, Any] = {key: value for key, value in given.items() if key not in secrets}
        touched = tmp_path / "touched"
        settings |= {f"{name}_command": f"touch {touched}; echo secret" for name in secrets}
        port = str(given["base_url"]).split(":")[2].split("/")[0]
        settings = {
            key: value.replace(f":{port}", f":{listening.getsockname()[1]}") if isinstance(value, str) else value
            for key, value in settings.items()
        }
        config = configured(tmp_path / "config.toml", {provider: settings})
        target = tmp_path / "target.csv"
        ran = run(*words(provider, call, tmp_path), "--config", config, "--dry-run", "-o", target)
        assert ran.code == 0, ran.err
        listening.settimeout(0)
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert not touched.exists()
    assert not target.exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"config.toml", "captured"}
    lines = ran.out.splitlines()
    assert call.offline or lines
    assert all(line.startswith("curl -sS ") for line in lines)
    assert call.offline or any(MASK in line for line in lines)


@pytest.mark.process
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_curl_sends_the_lines_with_the_secret_in_place_of_the_mask(
    provider: str, served: sandbox.Sandbox, tmp_path: Path
) -> None:
    described = load(provider)
    given = served.profiles[provider]
    secret = next(str(given[name]) for name in sorted(secret_names(described.settings) & {*given}))
    config = configured(tmp_path / "config.toml", {provider: given})
    ran = run(provider, described.calls[0].name, *YESTERDAY, "--config", config, "--dry-run")
    assert ran.code == 0
    assert secret not in ran.out + ran.err
    before = len(served.requests)
    for line in ran.out.splitlines():
        signing = any(word in line for word in ("_auth", "/sign_in"))
        if not signing and ("x-auth-token" in line or (provider == "portsip")):
            continue  # its token comes from the answer to the one before
        sent = subprocess.run(["sh", "-c", line.replace(MASK, secret)], capture_output=True, check=True, timeout=60)
        assert sent.stdout.startswith(b"{")
    answers = served.requests[before:]
    assert answers
    assert {one.status for one in answers} <= {200, 201}


def test_dry_run_shows_the_requests_of_every_profile() -> None:
    ran = run("export", "-p", "sandbox", *YESTERDAY, "--dry-run")
    assert ran.code == 0
    assert all(f"/{name}/" in ran.out for name in PROVIDERS)
    assert all(line.startswith("curl ") for line in ran.out.splitlines())


def test_dry_run_reports_an_unusable_profile_and_shows_the_others(served: sandbox.Sandbox, tmp_path: Path) -> None:
    profiles: dict[str, dict[str, Any]] = {"webex": {}, "webx": {}, "kazoo": dict(served.profiles["kazoo"])}
    config = configured(tmp_path / "config.toml", profiles)
    ran = run("export", "--all", *YESTERDAY, "--config", config, "--dry-run")
    assert ran.code == 6
    assert "/kazoo/" in ran.out
    assert "webex (webex): failed: profile webex has no credential" in ran.err
    assert "webx: failed: " in ran.err


def test_dry_run_shows_one_request_for_each_window() -> None:
    days = ("-p", "sandbox", "--since", "2026-11-10", "--until", "2026-11-20")
    assert run("voicenter", "cdrs", *days, "--dry-run").out.count("todate") == 11  # and the calls that were in progress


def test_a_digest_of_a_secret_is_masked(served: sandbox.Sandbox, tmp_path: Path) -> None:
    kazoo = {key: value for key, value in served.profiles["kazoo"].items() if key in {"base_url", "account_id"}}
    config = configured(
        tmp_path / "config.toml", {"kazoo": {**kazoo, "username": "u", "password": "p4ssw0rd", "account_name": "n"}}
    )
    ran = run("kazoo", "cdrs", *YESTERDAY, "--config", config, "--dry-run")
    assert '"credentials":"********"' in ran.out


def test_invalid_commands_are_refused(tmp_path: Path) -> None:
    assert run("webex", "cdrs", "-p", "sandbox", "--since", "2025", "--dry-run").code == 2
    assert run("webex", "cdrs", "-p", "nobody", "--config", tmp_path / "none", "--dry-run").code == 6
    bare = configured(tmp_path / "config.toml", {"kazoo": {"base_url": "http://127.0.0.1:1/v2", "account_id": "1"}})
    assert "has no credential" in run("kazoo", "cdrs", "--config", bare, "--dry-run").err


def test_dry_run_needs_no_token_of_a_browser_sign_in(tmp_path: Path) -> None:
    config = configured(tmp_path / "config.toml", {"webex": {"client_id": "C1", "client_secret": "s3cr3t"}})
    ran = run("webex", "cdrs", *YESTERDAY, "--config", config, "--dry-run")
    assert ran.code == 0, ran.err
    assert "client_secret=********&refresh_token=********" in ran.out
    assert "s3cr3t" not in ran.out
    assert [*tmp_path.iterdir()] == [config]


@pytest.mark.parametrize("words", [("sync", "sandbox", "--into", "archive"), ("profile", "check", "sandbox")])
def test_the_variable_makes_commands_without_dry_run_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(*words, environ={"CDRCTL_DRY_RUN": "1"})
    assert ran.code == 2
    assert "CDRCTL_DRY_RUN is set, and this command has no --dry-run" in ran.err
    assert [*tmp_path.iterdir()] == []
    assert run("profile", "check", "sandbox", "--provider", "webex", environ={"CDRCTL_DRY_RUN": "0"}).code == 0
    rehearsed = run("webex", "cdrs", "-p", "sandbox", *YESTERDAY, environ={"CDRCTL_DRY_RUN": "1"})
    assert rehearsed.out.startswith("curl ")


def test_dry_run_shows_requests_that_change_something() -> None:
    for words, line in (
        (("reports", "delete", "5"), "/call_reports/5/destroy"),
        (("reports", "update", "5", "--name", "new"), '{"name":"new"}'),
        (("completed-reports", "delete", "5"), "/completed_call_reports/5/destroy"),
    ):
        ran = run("portsip", *words, "-p", "sandbox", "--dry-run")
        assert ran.code == 0
        assert any("-X POST" in one or "--data-raw" in one for one in ran.out.splitlines() if line in one)
