"""Windows of the imitated Webex, and how to sign in."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qsl

import httpx
import pytest

from cdrctl.sandbox import Exchange, Sandbox, uniform
from tests.sandbox.clients import WebexClient, at
from tests.sandbox.conftest import BUSY, Starter
from tests.support.clock import HandClock

from .client import CHALLENGE, DAY, EVENING, EXCHANGES, REDIRECT, asked, by_id, shape

# Windows


@pytest.mark.parametrize(
    ("call", "hours_ago", "length", "ok"),
    [
        ("cdr_feed", 24, 12, True),
        ("cdr_feed", 24, 12.1, False),
        ("cdr_feed", 30 * 24, 1, True),
        ("cdr_feed", 30 * 24 + 0.01, 1, False),
        ("cdr_feed", 1, 1 - 5 / 60, True),
        ("cdr_feed", 1, 1 - 4 / 60, False),
        ("cdr_feed", 1, 0, False),
        ("cdr_feed", 1, -0.5, False),
        ("cdr_stream", 12, 2, True),
        ("cdr_stream", 12, 2.1, False),
        ("cdr_stream", 12.01, 1, False),
        ("cdr_stream", 1, 1 - 1 / 60, True),
        ("cdr_stream", 1, 1, False),
    ],
)
def test_window_beyond_the_limits_is_refused(
    webex: WebexClient, clock: HandClock, call: str, hours_ago: float, length: float, *, ok: bool
) -> None:
    since = clock() - timedelta(hours=hours_ago)
    page = webex.ask(since, since + timedelta(hours=length), call)
    assert (page.status_code in {200, 404}) is ok
    if not ok:
        assert page.status_code == 400
        assert shape(page.json()) == shape(EXCHANGES["bad window"]["response"]["body"])


@pytest.mark.parametrize(
    "bad", ["2026-11-18T00:00:00Z", "2026-11-18T00:00:00.000", "now", "", "2026-11-38T00:00:00.000Z"]
)
def test_time_in_another_format_is_refused(webex: WebexClient, bad: str) -> None:
    url = f"{webex.base_url}/cdr_feed?startTime={bad}&endTime=2026-11-18T01:00:00.000Z"
    assert webex.get(url).status_code == 400


def test_bad_max_and_bad_cursor_are_refused(webex: WebexClient) -> None:
    assert webex.ask(*EVENING, max="many").status_code == 400
    assert webex.ask(*EVENING, startTimeForNextFetch="yesterday").status_code == 400


def test_records_appear_after_5_minutes_in_the_feed_and_1_in_the_stream(run: Starter, clock: HandClock) -> None:
    since = at("2026-11-20T11:00")
    exchange = Exchange(calls=uniform(1, since, since + timedelta(seconds=1), talk_seconds=58))
    sandbox = run(exchange=exchange)
    with WebexClient(sandbox) as client:
        end = at("2026-11-20T11:01")
        for minutes, feed, stream in ((0.5, 0, 0), (2, 0, 1), (4.9, 0, 1), (5, 1, 1)):
            clock.time = end + timedelta(minutes=minutes)
            for call, lag, many in (("cdr_feed", 5, feed), ("cdr_stream", 1, stream)):
                until = clock() - timedelta(minutes=lag)
                if until > since:
                    assert len(client.all(since, until, call)) in {many, 0 if until <= end else many}
            assert len(sandbox.truth("webex", "cdrs", since, end)) == feed
            assert len(sandbox.truth("webex", "stream", since, end)) == stream


def test_stream_selects_records_by_arrival(run: Starter, clock: HandClock) -> None:
    """The record arrives half a minute after the end of the call."""
    since = at("2026-11-20T10:00")
    exchange = Exchange(calls=uniform(1, since, since + timedelta(seconds=1), talk_seconds=3598))
    with WebexClient(run(exchange=exchange)) as client:
        assert client.all(since, at("2026-11-20T11:00"), "cdr_stream", hours=1) == []
        assert len(client.all(at("2026-11-20T11:00"), at("2026-11-20T11:59"), "cdr_stream", hours=1)) == 1


def test_documented_export_has_exactly_the_true_records(run: Starter, clock: HandClock) -> None:
    """Read the feed over `[since, until + 12 h)` and the stream two hours at a time, then select calls by start."""
    for chosen in ("start", "end"):
        sandbox = run(switches={"webex": {"filter": chosen}})
        since, until = at("2026-11-18T03:00"), at("2026-11-19T05:00")
        with WebexClient(sandbox) as client:
            got = client.all(since, until + timedelta(hours=12))
            kept = [one for one in got if "2026-11-18T03" <= one["Start time"] < "2026-11-19T05"]
            assert by_id(kept) == by_id(sandbox.truth("webex", "cdrs", since, until))
            assert len(kept) == len(by_id(kept))
            since, until = clock() - timedelta(hours=11), clock() - timedelta(hours=1)
            got = client.all(since, clock() - timedelta(minutes=1), "cdr_stream", hours=2)
            kept = [one for one in got if f"{since:%Y-%m-%dT%H}" <= one["Start time"] < f"{until:%Y-%m-%dT%H}"]
            assert by_id(kept) == by_id(sandbox.truth("webex", "stream", since, until))


# Sign-in


def test_a_request_needs_a_bearer_token(webex: WebexClient) -> None:
    known = EXCHANGES["token expired"]["response"]["body"]
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {webex.token}"}):
        page = webex.http.get(webex.url(*EVENING), headers=headers)
        assert page.status_code == 401
        assert shape(page.json()) == shape(known)
        assert page.json()["message"] == known["message"]
        assert page.json()["trackingId"] == page.headers["trackingid"]


def refresh(webex: WebexClient, sandbox: Sandbox, **changed: str) -> httpx.Response:
    settings = sandbox.credentials("webex", "refresh_token")
    form = {name: str(settings[name]) for name in ("client_id", "client_secret", "refresh_token")}
    return webex.http.post(str(settings["token_url"]), data={"grant_type": "refresh_token", **form, **changed})


@BUSY
def test_refreshed_access_token_expires_after_14_days(webex: WebexClient, sandbox: Sandbox, clock: HandClock) -> None:
    answer = refresh(webex, sandbox).json()
    assert shape(answer) == shape(EXCHANGES["token refresh"]["response"]["body"])
    assert answer["scope"] == "spark-admin:calling_cdr_read"
    webex.token = answer["access_token"]
    clock.move(answer["expires_in"] - 1)
    assert webex.ask(clock() - timedelta(hours=5), clock() - timedelta(hours=1)).status_code == 200
    clock.move(2)
    assert webex.ask(clock() - timedelta(hours=5), clock() - timedelta(hours=1)).status_code == 401


def test_a_refresh_token_works_once(webex: WebexClient, sandbox: Sandbox) -> None:
    old = str(sandbox.credentials("webex", "refresh_token")["refresh_token"])
    assert refresh(webex, sandbox).status_code == 200
    assert refresh(webex, sandbox, refresh_token=old).status_code == 400
    assert refresh(webex, sandbox).status_code == 200


def test_switch_rotate_off_keeps_the_refresh_token(webex: WebexClient, sandbox: Sandbox) -> None:
    sandbox.switch("webex", "rotate", "off")
    old = str(sandbox.credentials("webex", "refresh_token")["refresh_token"])
    for _ in range(2):
        assert refresh(webex, sandbox, refresh_token=old).json()["refresh_token"] == old


def test_wrong_client_secret_and_other_grants_are_refused(webex: WebexClient, sandbox: Sandbox) -> None:
    assert refresh(webex, sandbox, client_secret="wrong").status_code == 401
    assert refresh(webex, sandbox, grant_type="client_credentials").status_code == 400
    assert webex.http.get(f"{webex.base_url}/access_token").status_code == 405


def test_expired_tokens_are_renewed_by_refresh_only(webex: WebexClient, sandbox: Sandbox) -> None:
    sandbox.expire_tokens("webex")
    assert webex.ask(*EVENING).status_code == 401
    webex.token = refresh(webex, sandbox).json()["access_token"]
    assert webex.ask(*EVENING).status_code == 200


VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B


def redirect_query(answer: httpx.Response) -> dict[str, str]:
    """Return the query of the redirect to the client."""
    assert answer.status_code == 302, answer.text
    address, _, query = answer.headers["Location"].partition("?")
    assert address == REDIRECT
    return dict(parse_qsl(query))


def accept_consent(webex: WebexClient, **changed: str) -> str:
    """Accept the consent page, and return the code."""
    back = redirect_query(
        webex.http.post(f"{webex.base_url}/authorize", data={**asked(**changed), "decision": "accept"})
    )
    assert back["state"] == 'st&te"<'
    return back["code"]


def exchange_code(webex: WebexClient, code: str, **changed: str) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "client_id": "C0000EXAMPLE",
        "client_secret": "EXAMPLE-WEBEX-SECRET",
        "redirect_uri": REDIRECT,
        "code": code,
        "code_verifier": VERIFIER,
    }
    return webex.http.post(f"{webex.base_url}/access_token", data={**form, **changed})


def test_authorization_page_asks_for_consent_and_escapes_the_query(webex: WebexClient) -> None:
    page = webex.http.get(f"{webex.base_url}/authorize", params=asked())
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert 'value="st&amp;te&quot;&lt;"' in page.text
    for button in ("accept", "deny"):
        assert f'name="decision" value="{button}"' in page.text


def test_code_is_exchanged_for_tokens_only_once(webex: WebexClient) -> None:
    code = accept_consent(webex)
    answer = exchange_code(webex, code)
    assert answer.status_code == 200
    assert shape(answer.json()) == shape(EXCHANGES["token refresh"]["response"]["body"])
    webex.token = answer.json()["access_token"]
    assert webex.ask(*EVENING).status_code == 200
    assert exchange_code(webex, code).status_code == 400


def test_sign_in_keeps_other_refresh_tokens_valid(webex: WebexClient, sandbox: Sandbox) -> None:
    mine = exchange_code(webex, accept_consent(webex)).json()["refresh_token"]
    assert refresh(webex, sandbox).status_code == 200
    assert refresh(webex, sandbox, refresh_token=mine).status_code == 200
    sandbox.provider("webex").expire_refresh_tokens()
    assert refresh(webex, sandbox).status_code == 400


def test_refresh_token_expires_after_90_days(webex: WebexClient, sandbox: Sandbox, clock: HandClock) -> None:
    granted = exchange_code(webex, accept_consent(webex)).json()
    clock.move(granted["refresh_token_expires_in"] + 1)
    assert refresh(webex, sandbox, refresh_token=granted["refresh_token"]).status_code == 400


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": VERIFIER[::-1]},
        {"code_verifier": CHALLENGE},
        {"redirect_uri": f"{REDIRECT}/"},
        {"client_secret": "wrong"},
        {"code": "another"},
    ],
)
def test_code_is_refused_with_changed_parameters(webex: WebexClient, changed: dict[str, str]) -> None:
    answer = exchange_code(webex, **{"code": accept_consent(webex), **changed})
    assert answer.status_code == (401 if "client_secret" in changed else 400)


def test_code_expires_after_5_minutes(webex: WebexClient, clock: HandClock) -> None:
    code = accept_consent(webex)
    clock.move(301)
    assert exchange_code(webex, code).status_code == 400


def test_pkce_can_be_plain_or_absent(webex: WebexClient) -> None:
    code = accept_consent(webex, code_challenge=VERIFIER, code_challenge_method="")
    assert exchange_code(webex, code).status_code == 200
    assert exchange_code(webex, accept_consent(webex, code_challenge="")).status_code == 200


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "spark:all"}, "invalid_scope"),
        ({"code_challenge_method": "S512"}, "invalid_request"),
        ({"decision": "deny"}, "access_denied"),
    ],
)
def test_refused_authorization_redirects_with_an_error(webex: WebexClient, changed: dict[str, str], error: str) -> None:
    form = {"decision": "accept", **asked(**changed)}
    back = redirect_query(webex.http.post(f"{webex.base_url}/authorize", data=form))
    assert (back["error"], back["state"]) == (error, 'st&te"<')


@pytest.mark.parametrize("changed", [{"client_id": "other"}, {"redirect_uri": "http://127.0.0.1:8766/callback"}])
def test_unregistered_client_or_redirect_uri_is_not_redirected(webex: WebexClient, changed: dict[str, str]) -> None:
    page = webex.http.get(f"{webex.base_url}/authorize", params=asked(**changed))
    assert page.status_code == 400
    assert "Location" not in page.headers
    assert webex.http.put(f"{webex.base_url}/authorize").status_code == 405


def test_switch_redirect_uri_registers_another(webex: WebexClient, sandbox: Sandbox) -> None:
    sandbox.switch("webex", "redirect_uri", "https://apps.example.com/back")
    assert sandbox.credentials("webex", "login")["redirect_uri"] == "https://apps.example.com/back"
    assert webex.http.get(f"{webex.base_url}/authorize", params=asked()).status_code == 400
    page = webex.http.get(f"{webex.base_url}/authorize", params=asked(redirect_uri="https://apps.example.com/back"))
    assert page.status_code == 200


def test_unknown_path_is_404_and_wrong_method_is_405(webex: WebexClient) -> None:
    page = webex.get(f"{webex.base_url}/cdr_food")
    assert page.status_code == 404
    assert "No CDRs" not in page.text
    assert webex.http.post(webex.url(*EVENING)).status_code == 405


def test_unknown_credentials_and_calls_raise_value_error(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="access_token or refresh_token"):
        sandbox.credentials("webex", "password")
    with pytest.raises(ValueError, match="cdrs and stream"):
        sandbox.truth("webex", "legs", *DAY)
