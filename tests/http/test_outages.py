"""An outage of a provider holds up the profiles of a run once, not once for each profile."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from cdrctl.errors import CdrctlError, TemporaryError
from cdrctl.http.sending import SHORT_WAIT, Outages
from tests.support.clock import HandClock
from tests.support.products import for_each
from tests.support.runner import NOW, run
from tests.support.wires import BAD_GATEWAY, answering, client, serving

LONG = 900.0
BAD, GOOD = httpx.Response(503), httpx.Response(200, content=b'{"items":[1]}')
REFUSED = httpx.ConnectError("[Errno 111] Connection refused")


def waited(outages: Outages, *answers: httpx.Response | Exception, base: str = "http://cdr.example/v1") -> float:
    """Return for how long a new profile waits for a request that gets these responses, whatever becomes of it."""
    clock = HandClock()
    transport, _ = answering(*answers)
    with suppress(CdrctlError):
        client(base, clock=clock, transport=transport, outages=outages).get("/x")
    return clock.seconds


@for_each("outage", [httpx.Response(502), BAD, httpx.Response(504), REFUSED, httpx.ReadTimeout("slow")])
def test_after_one_profile_the_others_wait_shortly(outage: httpx.Response | Exception) -> None:
    outages: Outages = {}
    first = waited(outages, outage)
    assert first > SHORT_WAIT
    assert [waited(outages, outage) for _ in range(3)] == [SHORT_WAIT] * 3


def test_a_request_that_is_answered_within_the_short_wait_is_good() -> None:
    outages: Outages = {}
    assert waited(outages, BAD) == LONG
    transport, asked = answering(BAD, BAD, GOOD)
    assert client(transport=transport, outages=outages).get("/x").body == {"items": [1]}
    assert len(asked) == 3


@for_each("answer", [GOOD, httpx.Response(401), httpx.Response(404), httpx.Response(429)])
def test_any_other_response_ends_the_outage(answer: httpx.Response) -> None:
    outages: Outages = {}
    assert waited(outages, BAD) == LONG
    waited(outages, answer)
    assert not outages
    assert waited(outages, BAD) == LONG


@for_each("answer", [httpx.Response(429), httpx.Response(408), httpx.Response(500)])
def test_what_may_concern_one_profile_is_no_outage(answer: httpx.Response) -> None:
    outages: Outages = {}
    waited(outages, answer)
    assert not outages


def test_another_host_is_waited_for() -> None:
    outages: Outages = {}
    assert waited(outages, BAD) == LONG
    assert waited(outages, BAD, base="http://other.example/v1") == LONG


def test_the_requests_of_the_first_profile_itself_are_retried_as_before() -> None:
    outages: Outages = {}
    clock = HandClock()
    transport, asked = answering(*[REFUSED] * 5, REFUSED, GOOD)
    acme = client(clock=clock, transport=transport, outages=outages)
    with pytest.raises(TemporaryError):
        acme.get("/x")
    assert acme.get("/x").good
    assert len(asked) == 7


def test_a_run_over_many_profiles_waits_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = 'provider = "webex"\nbase_url = "{}"\naccess_token = "a-token"\nrequests_per_minute = 0\n'
    config, clock = tmp_path / "config.toml", HandClock(NOW)
    with serving(BAD_GATEWAY) as server:
        config.write_text("".join(f"[profiles.p{one}]\n{own.format(server.url)}" for one in range(4)))
        config.chmod(0o600)
        environ = {"CDRCTL_CONFIG": str(config), "HOME": str(tmp_path)}
        ran = run("sync", "--all", "--into", "archive", "--jobs", "1", clock=clock, environ=environ)
    assert ran.code == 5
    assert LONG <= clock.seconds < LONG + 4 * SHORT_WAIT
