"""Plain HTTP to another machine is refused, unless the profile allows it. Then there is a warning."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cdrctl.fetchers import PROVIDERS, load
from tests.support.clock import HandClock
from tests.support.runner import Shell

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CREDENTIALS = {
    "webex": {"access_token": "t0ken-of-webex"},
    "kazoo": {"account_id": "0" * 32, "auth_token": "t0ken-of-kazoo"},
    "callgear": {"access_token": "t0ken-of-callgear"},
    "portsip": {"access_token": "t0ken-of-portsip"},
    "voicenter": {"code": "c0de-of-voicenter"},
}
PATHS = {"webex": "/v1", "kazoo": "/v2", "callgear": "/v2.0", "portsip": "/api", "voicenter": "/hub/cdr/"}
ALLOWING = {"kazoo", "portsip"}
CALLS = {name: load(name).calls[0].name for name in PROVIDERS}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path, HandClock(NOW))


def profile(shell: Shell, provider: str, base_url: str, **more: object) -> None:
    shell.profile("acme", provider, {"base_url": base_url + PATHS[provider], **CREDENTIALS[provider], **more})


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("scheme", ["http", "HTTP"])
def test_plain_http_to_another_machine_is_refused(provider: str, scheme: str, shell: Shell) -> None:
    profile(shell, provider, f"{scheme}://pbx.example.net:8000")
    ran = shell.run(provider, CALLS[provider], "--since", "2h", "--until", "1h")
    assert ran.code == 6
    assert "https://" in ran.err
    assert ("allow_http" in ran.err) == (provider in ALLOWING)
    assert ran.out == ""


@pytest.mark.parametrize("provider", sorted(ALLOWING))
def test_commands_report_that_a_profile_allows_plain_http(provider: str, shell: Shell) -> None:
    profile(shell, provider, "http://pbx.example.net:8000", allow_http=True)
    for words in (
        (provider, CALLS[provider], "--since", "2h", "--until", "1h", "--dry-run"),
        ("profile", "show", "acme"),
        ("doctor", "acme", "--offline", "-f", "text"),
    ):
        ran = shell.run(*words).ok()
        said = ran.err + ran.out
        assert "begins with http://" in said, words
        assert "tls skipped" not in said


@pytest.mark.parametrize("provider", sorted(ALLOWING))
@pytest.mark.parametrize("base_url", ["https://pbx.example.net", "http://localhost.:8000", "HTTP://[::1]:8000"])
def test_loopback_and_https_are_not_reported(provider: str, base_url: str, shell: Shell) -> None:
    profile(shell, provider, base_url, allow_http=True)
    for words in (
        (provider, CALLS[provider], "--since", "2h", "--until", "1h", "--dry-run"),
        ("profile", "show", "acme"),
    ):
        assert "others can read" not in shell.run(*words).ok().err


@pytest.mark.parametrize("provider", sorted(PROVIDERS.keys() - ALLOWING))
def test_hosted_services_cannot_allow_plain_http(provider: str, shell: Shell) -> None:
    profile(shell, provider, "https://api.example.net", allow_http=True)
    ran = shell.run(provider, CALLS[provider], "--since", "2h", "--until", "1h")
    assert ran.code == 6
    assert "allow_http" in ran.err


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("base_url", "part"),
    [
        ("https://pbx.example.net:99999{path}", "port 99999"),
        ("https://pbx.example.net{path}?key=hush", "query"),
        ("https://pbx.example.net{path}#hush", "fragment"),
        ("https://me:hush@pbx.example.net{path}", "user name"),
        ("https://pbx..example.net{path}", "dots"),
        ("https://pbx example.net{path}", "space"),
        ("https://[::1{path}", "bracket"),
    ],
)
def test_an_unusable_base_url_is_refused_before_any_request(
    provider: str, base_url: str, part: str, shell: Shell
) -> None:
    shell.profile("acme", provider, {"base_url": base_url.format(path=PATHS[provider]), **CREDENTIALS[provider]})
    ran = shell.run(provider, CALLS[provider], "--since", "2h", "--until", "1h")
    assert ran.code == 6
    assert "base_url" in ran.err
    assert part in ran.err
    assert shell.clock.waits == []
    assert "hush" not in ran.err
    assert "hush" not in shell.run("profile", "show", "acme").ok().out
