"""`cdrctl doctor`: what one response shows about the provider, the clock, the credential and the rate limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cdrctl import sandbox
from tests.cli.doctor_kit import SECRET, Checkup, a_checkup
from tests.support.products import for_each
from tests.support.runner import NOW


@pytest.fixture(name="checkup")
def _checkup(tmp_path: Path) -> Iterator[Checkup]:
    with a_checkup(tmp_path) as one:
        yield one


def test_a_failing_provider_gets_one_request(checkup: Checkup) -> None:
    checkup.profile("webex")
    checkup.served.fail("webex", 503, times=100)
    found = checkup.finding("answer", 5)
    assert "Webex failed (HTTP 503)" in found["what"]
    assert found["next"] == "nothing is lost: run the command again later"
    assert len(checkup.served.requests) == 1


def test_a_wrong_path_names_the_right_one(checkup: Checkup) -> None:
    checkup.profile("webex", base_url=f"{checkup.served.url}/webex/v2")
    found = checkup.finding("answer", 6)
    assert "base_url should end in /v1" in found["next"]


def test_another_region_is_named(checkup: Checkup) -> None:
    checkup.profile("webex")
    checkup.served.switch("webex", "region", "451_please_use")
    found = checkup.finding("answer", 6)
    assert found["next"].startswith("set base_url to https://analytics-calling")


@for_each(
    "ahead, code, result, step",
    [
        (timedelta(seconds=60), 0, "ok", None),
        (timedelta(minutes=5), 0, "warn", "set it and keep it synchronised: `timedatectl set-ntp true` on Linux"),
        (-timedelta(minutes=5), 0, "warn", "set it and keep it synchronised: `timedatectl set-ntp true` on Linux"),
        (timedelta(hours=3), 6, "fail", "set it and keep it synchronised: `timedatectl set-ntp true` on Linux"),
        (timedelta(days=3), 0, "warn", "find out which of the two is wrong: `date -u` shows this machine's"),
    ],
)
def test_a_wrong_clock_warns_or_fails(
    tmp_path: Path, ahead: timedelta, code: int, result: str, step: str | None
) -> None:
    with sandbox.start(now=lambda: NOW - ahead) as served:
        checkup = Checkup(tmp_path / "config.toml", served)
        checkup.profile("kazoo")
        found = checkup.finding("clock", code)
    assert (found["result"], found["next"]) == (result, step)
    if result != "ok":
        assert ("ahead of" if ahead > timedelta(0) else "behind") in found["what"]


@pytest.mark.parametrize(
    ("provider", "more", "step"),
    [
        ("webex", {"access_token": SECRET}, "get a new access token"),
        ("kazoo", {"api_key": SECRET}, "check api_key"),
        ("callgear", {"access_token": SECRET}, "create a new one in the web cabinet"),
        ("portsip", {"password": SECRET}, "check username, password and domain"),
        ("voicenter", {"code": SECRET}, "check code"),
    ],
)
def test_a_wrong_credential_fails(checkup: Checkup, provider: str, more: dict[str, Any], step: str) -> None:
    checkup.profile(provider, **more)
    found = checkup.finding("sign-in", 4)
    assert step in found["next"]
    left = [line for line in checkup.run().lines if line["check"] in {"allow-list", "rights"}]
    assert {(line["result"], line["what"]) for line in left} == {("skipped", "sign-in failed")}


@pytest.mark.parametrize(
    ("provider", "step"), [("callgear", "Rules and security settings"), ("voicenter", "Authorized IPs")]
)
def test_an_address_outside_the_allow_list_fails(checkup: Checkup, provider: str, step: str) -> None:
    checkup.profile(provider)
    checkup.served.switch(provider, "ip", "unlisted")
    found = checkup.finding("allow-list", 4)
    assert "your address 127.0.0.1" in found["what"]
    assert step in found["next"]


def missing_scope(checkup: Checkup) -> None:
    checkup.profile("webex")
    checkup.served.switch("webex", "scope", "missing")


@pytest.mark.parametrize(
    ("prepare", "step"),
    [
        (missing_scope, "spark-admin:calling_cdr_read"),
        (lambda checkup: checkup.profile("portsip", "standard_user"), "cdrctl portsip cdrs --own"),
        (
            lambda checkup: checkup.profile(
                "kazoo", "descendant", account_id=checkup.served.credentials("kazoo")["account_id"]
            ),
            "account_id, or --account, must be the key's own account",
        ),
    ],
    ids=["webex", "portsip", "kazoo"],
)
def test_a_missing_permission_fails(checkup: Checkup, prepare: Callable[[Checkup], None], step: str) -> None:
    prepare(checkup)
    found = checkup.finding("rights", 4)
    assert step in found["next"]
    [signed] = [line for line in checkup.run().lines if line["check"] == "sign-in"]
    assert signed["result"] == "ok"


def test_an_unwritable_token_folder_is_noticed_before_a_token_is_used(checkup: Checkup) -> None:
    checkup.profile("webex", "refresh_token")
    (checkup.config.parent / "tokens").write_text("in the way")
    found = checkup.finding("answer", 6)
    assert "cannot be written" in found["what"]
    assert not [one for one in checkup.served.requests if one.path.endswith("access_token")]


def test_the_rate_limit_is_shared_by_all_runs_on_the_machine(checkup: Checkup) -> None:
    checkup.profile("webex", requests_per_minute=None)
    found = checkup.finding("pace", 0)
    assert "1 window in 61 s, 10 pages in 61 s" in found["what"]
    again = checkup.finding("pace", 0)
    assert "for other runs' requests" in again["what"]


def test_a_rate_limit_that_cannot_be_shared_gives_a_warning(checkup: Checkup) -> None:
    checkup.profile("webex", requests_per_minute=None)
    (checkup.config.parent / "pace").write_text("in the way")
    found = checkup.finding("pace", 0)
    assert found["result"] == "warn"
    assert "pace/" in found["next"]


def test_doctor_does_not_wait_long_for_the_rate_limit(checkup: Checkup) -> None:
    """At one window a minute the second request waits a minute, and the third would wait two."""
    checkup.profile("webex", requests_per_minute=None)
    assert [checkup.run().code for _ in range(2)] == [0, 0]
    found = checkup.finding("answer", 5)
    assert "122 s" in found["what"]
    assert len(checkup.served.requests) == 2


@pytest.mark.parametrize(
    ("provider", "what"),
    [
        ("webex", "cdrs 30 days, since 2026-10-21; stream 12 h, since 2026-11-20"),
        ("portsip", "cdrs 5 years, since 2021-11-19; calllogs 5 years, since 2021-11-19"),
        ("kazoo", "operators may delete old months"),
        ("callgear", "no limit is published"),
        ("voicenter", "no limit is published"),
    ],
)
def test_the_retention_is_shown(checkup: Checkup, provider: str, what: str) -> None:
    checkup.profile(provider)
    assert what in checkup.finding("retention", 0, "--offline")["what"]
