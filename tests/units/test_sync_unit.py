"""`sync_unit`: what `cdrctl sync` does for a profile, with plain values in and out."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import cdrctl
import cdrctl.archive.sync
from cdrctl import archive
from cdrctl.archive import SyncJob, SyncResult, sync_unit
from cdrctl.connecting import Surroundings
from cdrctl.fetchers import PROVIDERS
from cdrctl.sandbox import Sandbox
from cdrctl.units import plain
from cdrctl.units.opening import mark_path
from tests.cli.archive_kit import INTO, clock, configure, providers, shell
from tests.support.clock import HandClock
from tests.support.runner import Shell

__all__ = ["clock", "providers", "shell"]  # fixtures


def done(shell: Shell, job: SyncJob, environ: dict[str, str] | None = None, **more: Any) -> SyncResult:
    """Return the result of a job as another process would get it."""
    job = pickle.loads(pickle.dumps(job))  # noqa: S301 - our own bytes
    around = {"CDRCTL_CONFIG": str(shell.config), **(environ or {})}
    result = sync_unit(job, environ=around, clock=shell.clock.clock, **more)
    assert pickle.loads(pickle.dumps(result)).plain() == json.loads(json.dumps(result.plain()))  # noqa: S301
    return result


def job_for(shell: Shell, profile: str = "webex", **more: Any) -> SyncJob:
    more = {"since": "3d", "create": True, "format": "jsonl", **more}
    return SyncJob(archive=str(shell.folder / "archive"), profile=profile, **more)


def files(folder: Path) -> dict[str, bytes]:
    """Return the files of an archive that hold records."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("cdrs.jsonl*"))}


@pytest.mark.parametrize(
    "provider", [name if name == "webex" else pytest.param(name, marks=pytest.mark.slow) for name in PROVIDERS]
)
def test_a_unit_does_what_the_command_does(shell: Shell, provider: str) -> None:
    status = shell.folder / "run.json"
    shell.run("sync", provider, "--into", "other", "--since", "3d", "-f", "jsonl", "--status", str(status)).ok()
    result = done(shell, job_for(shell, provider))
    assert (result.exit_code, result.problem) == (0, None)
    assert files(shell.folder / "archive") == files(shell.folder / "other") != {}
    run = json.loads(status.read_text())
    assert result.requests == run["requests"] > 0
    assert [one.call for one in result.calls] == [one["call"] for one in run["calls"]]
    assert [one["fetched"] for one in result.plain()["calls"]] == [one["fetched"] for one in run["calls"]]
    again = done(shell, job_for(shell, provider))
    assert [one.outcome.new for one in again.calls] == [0] * len(again.calls)


def test_neither_the_job_nor_the_result_holds_a_secret(shell: Shell, providers: Sandbox) -> None:
    token = str(providers.credentials("webex")["access_token"])
    providers.fail("webex", 400, times=1000, body=json.dumps({"message": f"no window for {token}"}).encode())
    job = job_for(shell)
    logged: list[str] = []
    result = done(shell, job, log=lambda _level, text: logged.append(text))
    assert result.exit_code == 7
    told = pickle.dumps(job) + pickle.dumps(result) + json.dumps([result.plain(), logged]).encode()
    assert token.encode() not in told
    assert b"********" in told


def test_a_message_of_any_part_is_masked(shell: Shell, providers: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    token = str(providers.credentials("webex")["access_token"])

    def tells(around: Surroundings, *_: object) -> None:
        around.log("warning", f"the token is {token}\nand more")

    monkeypatch.setattr(plain, "sync_calls", tells)
    logged: list[str] = []
    result = done(shell, job_for(shell), log=lambda _level, text: logged.append(text))
    assert [text for level, text in result.messages if level == "warning"] == ["the token is ******** and more"]
    assert token not in repr(logged)


def test_an_archive_is_not_created_unless_asked(shell: Shell) -> None:
    result = done(shell, job_for(shell, create=False))
    assert (result.exit_code, result.calls) == (2, ())
    assert result.problem is not None
    assert "there is no archive" in result.problem.message
    assert not (shell.folder / "archive").exists()


@pytest.mark.parametrize(
    ("more", "environ", "code"),
    [
        ({"profile": "nobody"}, {}, 6),
        ({"provider": "kazoo"}, {}, 6),
        ({"profile": "sandbox"}, {}, 6),
        ({"version": "0.0.1"}, {}, 6),
        ({}, {"CDRCTL_DRY_RUN": "1"}, 2),
        ({"since": "soon"}, {}, 2),
        ({"lookback": "long"}, {}, 2),
        ({"max_wait": "long"}, {}, 2),
        ({"calls": ("faxes",)}, {}, 2),
        ({}, {"CDRCTL_WEBEX_ACCESS_TOKEN": "wrong-token"}, 4),
    ],
)
def test_what_cannot_be_done_is_a_code_and_a_sentence(
    shell: Shell, more: dict[str, Any], environ: dict[str, str], code: int
) -> None:
    result = done(shell, replace(job_for(shell), **more), environ)
    assert result.exit_code == code
    problem = result.problem or result.calls[0].problem
    assert problem is not None
    assert problem.message
    assert problem.hint


def test_an_archive_without_the_mark_of_the_run_is_another_one(shell: Shell) -> None:
    done(shell, job_for(shell))
    other = done(shell, job_for(shell, create=False, mark="0123"))
    assert (other.exit_code, other.calls) == (6, ())
    mark_path(shell.folder / "archive", "0123").touch()
    assert done(shell, job_for(shell, create=False, mark="0123")).exit_code == 0


def test_an_outage_holds_up_the_units_of_a_run_once(shell: Shell, providers: Sandbox) -> None:
    done(shell, job_for(shell))
    for mark in ("first-run", "second-run"):
        mark_path(shell.folder / "archive", mark).touch()
    providers.fail("webex", 503, times=10**6)

    def waited(mark: str) -> float:
        began = shell.clock.seconds
        assert done(shell, job_for(shell, mark=mark)).exit_code == 5
        return shell.clock.seconds - began

    first, second, other = waited("first-run"), waited("first-run"), waited("second-run")
    assert second * 10 < first
    assert other * 2 > first


def test_a_configuration_that_changes_is_read_again(shell: Shell, providers: Sandbox) -> None:
    assert done(shell, job_for(shell)).exit_code == 0
    configure(shell, providers, "kazoo")
    assert done(shell, job_for(shell)).exit_code == 6


def test_a_job_of_this_version_is_done(shell: Shell) -> None:
    assert done(shell, job_for(shell, version=cdrctl.__version__)).exit_code == 0


def test_a_unit_stops_between_days_and_goes_on_later(shell: Shell) -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    first = done(shell, job_for(shell, calls=("cdrs",)), stop=stop)
    assert [(one.ended, one.exit_code) for one in first.calls] == [(False, 0)]
    second = done(shell, job_for(shell, calls=("cdrs",)))
    assert [one.ended for one in second.calls] == [True]
    assert 0 < first.calls[0].outcome.days < 4
    assert second.calls[0].outcome.new > 0


def test_days_that_fail_are_in_the_result(shell: Shell, providers: Sandbox, clock: HandClock) -> None:
    done(shell, job_for(shell))
    providers.fail("webex", 503, times=8)
    result = done(shell, job_for(shell, max_wait="0s", lookback="2d"))
    call = result.calls[0]
    assert (result.exit_code, call.exit_code) == (3, 3) or call.problem is not None
    assert call.outcome.failed


def test_a_bug_names_its_class_and_nothing_else(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("+972501234567")

    monkeypatch.setattr(plain, "sync_calls", broken)
    result = done(shell, job_for(shell))
    assert result.exit_code == 1
    assert result.problem is not None
    assert "KeyError" in result.problem.message
    assert "+972501234567" not in repr(result)


def test_an_interruption_is_raised(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(archive.sync, "sync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        done(shell, job_for(shell))


def test_a_sandbox_is_a_profile(shell: Shell) -> None:
    result = done(shell, job_for(shell, "sandbox", provider="kazoo"))
    assert (result.exit_code, result.profile) == (0, "sandbox-kazoo")


@pytest.mark.slow
def test_the_archive_of_the_command_and_of_a_unit_is_one(shell: Shell, providers: Sandbox, clock: HandClock) -> None:
    configure(shell, providers, "webex")
    shell.run("sync", "--all", *INTO, "--since", "3d").ok()
    clock.move(days=1)
    assert done(shell, job_for(shell, create=False, since=None)).exit_code == 0
    shell.run("verify", *INTO).ok()
