"""The imitated Webex against what its documents and real records say."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from cdrctl.sandbox import Exchange, Sandbox, start, uniform
from cdrctl.sandbox.webex.keys import KEYS
from tests.support.clock import HandClock

from .clients import WebexClient, at, sample
from .conftest import BUSY, Starter

DAY = at("2026-11-18"), at("2026-11-19")
MORNING = at("2026-11-18T00:00"), at("2026-11-18T12:00")
EVENING = at("2026-11-18T12:00"), at("2026-11-19T00:00")
REAL = sample("webex/real_feed_2026-09_terminating_refused.json")["items"][0]
OLDER = sample("webex/real_feed_2025-08_originating_unanswered.json")["items"][0]
CONSTRUCTED = [
    record
    for name in ("answered_two_legs", "queue_call_four_legs")
    for record in sample(f"webex/constructed_feed_{name}.json")["items"]
]
EXCHANGES = {one["name"]: one for one in sample("webex/constructed_http_exchanges.json")["exchanges"]}
FIELDS = next(
    value for value in sample("webex/data_fields.json").values() if isinstance(value, list) and len(value) > 80
)


def by_id(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {record["Report ID"]: record for record in records}


def full(n: int) -> Exchange:
    """An exchange with exactly n records in the evening of the day."""
    return Exchange(calls=uniform(n, *EVENING))


def shape(answer: dict[str, Any]) -> list[str]:
    return list(answer)


# records


def test_records_have_the_keys_of_a_real_one_in_its_order(webex: WebexClient) -> None:
    records = webex.all(*DAY)
    assert len(records) > 80
    assert list(KEYS) == list(REAL) == [one["wire_key"] for one in FIELDS]
    for record in records:
        assert list(record) == list(REAL)


def test_values_have_the_wire_types(webex: WebexClient) -> None:
    for record in webex.all(*DAY):
        for key, value in record.items():
            assert type(value) is type(REAL[key]), key
        assert record["Answered"] in {"true", "false"}
        assert record["Ring duration"].isdigit()
        uuid.UUID(record["Correlation ID"])
        assert uuid.UUID(record["Report ID"]).version == 3
        assert record["Report time"] == record["Release time"]


def test_words_for_nothing_stand_where_real_records_have_them(webex: WebexClient) -> None:
    allowed = {one["wire_key"]: set(one["null_words"]) for one in FIELDS}
    records = webex.all(*DAY)
    for record in records:
        for key, value in record.items():
            if value in {"NA", "na", "N/A"}:
                assert value in allowed[key], (key, value)
    for key in ("Called line ID", "Public Calling IP Address", "Public Called IP Address"):
        assert {record[key] for record in records} == {"NA"}
    assert "N/A" in {record["Answer reason"] for record in records}


def test_a_value_real_records_always_leave_empty_is_empty_here(webex: WebexClient) -> None:
    """Keys that are empty in every sample and whose meaning no generated call has."""
    samples = [REAL, OLDER, *CONSTRUCTED]
    never = {
        *("Authorization code", "External customer ID", "ELIN", "Emergency number source", "Recall type"),
        *("Transfer type", "Transfer type context", "WxCC consult merge status", "Department ID"),
    }
    assert all(record.get(key, "") == "" for record in samples for key in never)
    assert all(record[key] == "" for record in webex.all(*DAY) for key in never)


def test_enumerations_are_words_of_the_documentation(webex: WebexClient) -> None:
    records = webex.all(at("2026-11-12"), at("2026-11-19"))

    def words(key: str) -> set[str]:
        return {record[key] for record in records}

    assert words("Direction") == {"ORIGINATING", "TERMINATING"}
    assert words("Call type") == {
        *("SIP_ENTERPRISE", "SIP_NATIONAL", "SIP_INTERNATIONAL", "SIP_TOLLFREE", "SIP_INBOUND"),
    }
    assert words("User type") == {
        *("User", "Place", "CallCenterPremium", "HuntGroup", "AutomatedAttendantVideo", "VoiceMailGroup"),
    }
    assert words("Call outcome") == {"Success", "Refusal", "Failure"}
    assert words("Call outcome reason") == {
        *("Normal", "UserBusy", "NoAnswer", "CallRejected", "UnassignedNumber", "DestinationOutOfOrder"),
    }
    assert words("Releasing party") == {"Local", "Remote"}
    assert words("Answer indicator") == {"Yes", "No"}
    assert words("Answered elsewhere") == {"", "Yes"}
    assert words("Queue type") == {"", "Call Queue"}
    assert words("Original reason") <= {"", "CallQueue", "HuntGroup", "NoAnswer", "Deflection", "Unconditional"}
    assert words("Site timezone") == {"-480", "0"}
    assert words("Location") == {"San Jose HQ", "London Office"}


def test_legs_of_a_call_can_be_joined(webex: WebexClient, sandbox: Sandbox) -> None:
    """Correlation ID ties a call, Interaction ID a consultation to it, call ids the two sides of a leg."""
    records = webex.all(*DAY)
    locals_ = {record["Local call ID"] for record in records}
    assert len(locals_) == len(records)
    related = [record["Related call ID"] for record in records if record["Related call ID"]]
    assert related
    assert sum(one in locals_ for one in related) > len(related) * 0.9
    paired = [record["Remote call ID"] for record in records if record["Remote call ID"]]
    assert sum(one in locals_ for one in paired) > len(paired) * 0.9
    calls = sandbox.provider("webex").exchange.calls(*DAY)
    assert len({record["Interaction ID"] for record in records}) == len(calls)
    consulted = [call for call in calls if call.kind == "consulted_transfer"]
    assert consulted
    assert len({record["Correlation ID"] for record in records}) == len(calls) + len(consulted)
    internal = [record for record in records if record["Call type"] == "SIP_ENTERPRISE"]
    pairs = [record for record in internal if record["Remote call ID"] in locals_]
    for record in pairs:
        other = next(one for one in records if one["Local call ID"] == record["Remote call ID"])
        if other["Remote call ID"] == record["Local call ID"]:
            assert other["Network call ID"] == record["Network call ID"]
            assert {record["Direction"], other["Direction"]} == {"ORIGINATING", "TERMINATING"}


def test_outside_parties_and_only_they_have_no_record(webex: WebexClient, sandbox: Sandbox) -> None:
    legs = sandbox.provider("webex").exchange.legs(*DAY)
    inside = [leg for leg in legs if leg.party.kind != "outside"]
    assert len(webex.all(*DAY)) == len(inside)
    assert len(legs) > len(inside)


# paging


@pytest.mark.parametrize("n", [0, 1, 499, 500, 501, 1750])
def test_pages_hold_every_record_once(run: Starter, n: int) -> None:
    sandbox = run(exchange=full(n))
    with WebexClient(sandbox) as client:
        pages = client.pages(*EVENING, max=500)
        got = [record for page in pages for record in page.json().get("items", [])]
    assert len(pages) == max(1, -(-n // 500))
    assert len(by_id(got)) == len(got) == n
    assert got == sandbox.truth("webex", "cdrs", *EVENING)
    assert "Link" not in pages[-1].headers


def test_the_next_link_is_the_same_query_and_a_cursor(run: Starter) -> None:
    with WebexClient(run(exchange=full(600))) as client:
        first = client.ask(*EVENING, max=500)
        link = first.headers["Link"]
        url = link.removeprefix("<").removesuffix('>; rel="next"')
        assert url.startswith(client.base_url + "/cdr_feed?endTime=2026-11-19T00:00:00.000Z&startTime=")
        names = [part.partition("=")[0] for part in url.partition("?")[2].split("&")]
        known = EXCHANGES["page with next link"]["response"]["headers"]["Link"].partition("?")[2].split("&")
        assert names == [part.partition("=")[0] for part in known]
        assert "totalCount=600" in url
        assert "%3A" not in url


def test_links_name_the_host_the_client_asked(run: Starter) -> None:
    with WebexClient(run(exchange=full(600))) as client:
        url = client.url(*EVENING, max=500)
        headers = {"Authorization": f"Bearer {client.token}", "Host": "feed.example:81"}
        assert client.http.get(url, headers=headers).headers["Link"].startswith("<http://feed.example:81/webex/v1/")


@pytest.mark.parametrize(("asked", "given"), [("10", 500), ("700", 700), ("99999", 5000), ("", 5000), ("-1", 500)])
def test_max_is_clamped_in_silence(run: Starter, asked: str, given: int) -> None:
    with WebexClient(run(exchange=full(5100))) as client:
        more: dict[str, Any] = {"max": asked} if asked else {}
        page = client.ask(*EVENING, **more)
        assert len(page.json()["items"]) == given


def test_switch_max_floor_allows_small_pages(run: Starter) -> None:
    sandbox = run(exchange=full(5), switches={"webex": {"max_floor": "1"}})
    with WebexClient(sandbox) as client:
        assert [len(page.json()["items"]) for page in client.pages(*EVENING, max=2)] == [2, 2, 1]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_records_of_one_millisecond_survive_a_page_edge(run: Starter, size: int) -> None:
    exchange = Exchange(calls=uniform(3, *EVENING, legs=5))
    with WebexClient(run(exchange=exchange, switches={"webex": {"max_floor": "1"}})) as client:
        got = client.all(*EVENING, max=size)
    assert len(got) == len(by_id(got)) == 15


def test_locations_restrict_and_more_than_ten_are_refused(webex: WebexClient, sandbox: Sandbox) -> None:
    got = webex.all(*DAY, locations="London Office")
    assert {record["Location"] for record in got} == {"London Office"}
    assert got == sandbox.truth("webex", "cdrs", *DAY, locations="London Office")
    assert webex.ask(*EVENING, locations=",".join("abcdefghijk")).status_code == 400


# windows


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
def test_windows_are_checked_by_the_clock(
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
def test_times_have_exactly_three_decimals_and_a_z(webex: WebexClient, bad: str) -> None:
    url = f"{webex.base_url}/cdr_feed?startTime={bad}&endTime=2026-11-18T01:00:00.000Z"
    assert webex.get(url).status_code == 400


def test_bad_max_and_bad_cursor_are_refused(webex: WebexClient) -> None:
    assert webex.ask(*EVENING, max="many").status_code == 400
    assert webex.ask(*EVENING, startTimeForNextFetch="yesterday").status_code == 400


def test_records_appear_after_five_minutes_in_the_feed_and_one_in_the_stream(run: Starter, clock: HandClock) -> None:
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


def test_the_stream_window_is_laid_on_arrival(run: Starter, clock: HandClock) -> None:
    """A call is in the window in which its record arrived, half a minute after its end."""
    since = at("2026-11-20T10:00")
    exchange = Exchange(calls=uniform(1, since, since + timedelta(seconds=1), talk_seconds=3598))
    with WebexClient(run(exchange=exchange)) as client:
        assert client.all(since, at("2026-11-20T11:00"), "cdr_stream", hours=1) == []
        assert len(client.all(at("2026-11-20T11:00"), at("2026-11-20T11:59"), "cdr_stream", hours=1)) == 1


def test_the_documented_ways_export_exactly_the_truth(run: Starter, clock: HandClock) -> None:
    """The feed over `[since, until + 12 h)` and the stream over two hours at a time, cut on the start."""
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


# sign-in


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
def test_a_refresh_gives_a_token_that_lives_a_fortnight(webex: WebexClient, sandbox: Sandbox, clock: HandClock) -> None:
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


REDIRECT = "http://127.0.0.1:8765/callback"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def asked(**changed: str) -> dict[str, str]:
    """Return the parameters of an authorization request; one that is changed to nothing is left out."""
    usual = {
        "response_type": "code",
        "client_id": "C0000EXAMPLE",
        "redirect_uri": REDIRECT,
        "scope": "spark-admin:calling_cdr_read",
        "state": 'st&te"<',
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in {**usual, **changed}.items() if value}


def sent_back(answer: httpx.Response) -> dict[str, str]:
    """Return what the browser is sent to the redirect URI with."""
    assert answer.status_code == 302, answer.text
    address, _, query = answer.headers["Location"].partition("?")
    assert address == REDIRECT
    return dict(parse_qsl(query))


def accepted(webex: WebexClient, **changed: str) -> str:
    """Return the code that somebody gives who accepts."""
    back = sent_back(webex.http.post(f"{webex.base_url}/authorize", data={**asked(**changed), "decision": "accept"}))
    assert back["state"] == 'st&te"<'
    return back["code"]


def used(webex: WebexClient, code: str, **changed: str) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "client_id": "C0000EXAMPLE",
        "client_secret": "EXAMPLE-WEBEX-SECRET",
        "redirect_uri": REDIRECT,
        "code": code,
        "code_verifier": VERIFIER,
    }
    return webex.http.post(f"{webex.base_url}/access_token", data={**form, **changed})


def test_the_authorization_page_asks_and_has_what_was_asked_in_it_escaped(webex: WebexClient) -> None:
    page = webex.http.get(f"{webex.base_url}/authorize", params=asked())
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert 'value="st&amp;te&quot;&lt;"' in page.text
    for button in ("accept", "deny"):
        assert f'name="decision" value="{button}"' in page.text


def test_a_code_gives_tokens_once(webex: WebexClient) -> None:
    code = accepted(webex)
    answer = used(webex, code)
    assert answer.status_code == 200
    assert shape(answer.json()) == shape(EXCHANGES["token refresh"]["response"]["body"])
    webex.token = answer.json()["access_token"]
    assert webex.ask(*EVENING).status_code == 200
    assert used(webex, code).status_code == 400


def test_a_refresh_token_of_a_sign_in_leaves_those_of_others_alone(webex: WebexClient, sandbox: Sandbox) -> None:
    mine = used(webex, accepted(webex)).json()["refresh_token"]
    assert refresh(webex, sandbox).status_code == 200
    assert refresh(webex, sandbox, refresh_token=mine).status_code == 200
    sandbox.provider("webex").expire_refresh_tokens()
    assert refresh(webex, sandbox).status_code == 400


def test_a_refresh_token_ends_after_ninety_days(webex: WebexClient, sandbox: Sandbox, clock: HandClock) -> None:
    granted = used(webex, accepted(webex)).json()
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
def test_a_code_is_good_only_for_who_asked_for_it(webex: WebexClient, changed: dict[str, str]) -> None:
    answer = used(webex, **{"code": accepted(webex), **changed})
    assert answer.status_code == (401 if "client_secret" in changed else 400)


def test_a_code_ends_soon(webex: WebexClient, clock: HandClock) -> None:
    code = accepted(webex)
    clock.move(301)
    assert used(webex, code).status_code == 400


def test_pkce_may_be_plain_or_left_out(webex: WebexClient) -> None:
    code = accepted(webex, code_challenge=VERIFIER, code_challenge_method="")
    assert used(webex, code).status_code == 200
    assert used(webex, accepted(webex, code_challenge="")).status_code == 200


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
def test_a_sign_in_that_is_refused_sends_the_browser_back_with_why(
    webex: WebexClient, changed: dict[str, str], error: str
) -> None:
    form = {"decision": "accept", **asked(**changed)}
    back = sent_back(webex.http.post(f"{webex.base_url}/authorize", data=form))
    assert (back["error"], back["state"]) == (error, 'st&te"<')


@pytest.mark.parametrize("changed", [{"client_id": "other"}, {"redirect_uri": "http://127.0.0.1:8766/callback"}])
def test_the_browser_is_sent_to_no_stranger(webex: WebexClient, changed: dict[str, str]) -> None:
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


def test_unknown_paths_and_verbs(webex: WebexClient) -> None:
    page = webex.get(f"{webex.base_url}/cdr_food")
    assert page.status_code == 404
    assert "No CDRs" not in page.text
    assert webex.http.post(webex.url(*EVENING)).status_code == 405


def test_a_sign_in_the_provider_does_not_have(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="access_token or refresh_token"):
        sandbox.credentials("webex", "password")
    with pytest.raises(ValueError, match="cdrs and stream"):
        sandbox.truth("webex", "legs", *DAY)


# switches


def test_switch_filter(run: Starter) -> None:
    """A call 11:59 to 12:10 is in the window before noon, or in the one after."""
    before, noon, after = at("2026-11-18T00:00"), at("2026-11-18T12:00"), at("2026-11-19T00:00")
    calls = uniform(1, noon - timedelta(minutes=1), noon, talk_seconds=660)
    for value, counts in (("start", (1, 0)), ("end", (0, 1))):
        with WebexClient(run(exchange=Exchange(calls=calls), switches={"webex": {"filter": value}})) as client:
            assert (len(client.all(before, noon)), len(client.all(noon, after))) == counts


@pytest.mark.parametrize(
    ("value", "lower", "upper"),
    [("half_open", 1, 0), ("closed", 1, 1), ("open_low", 0, 1), ("open", 0, 0)],
)
def test_switch_bounds(run: Starter, value: str, lower: int, upper: int) -> None:
    noon = at("2026-11-18T12:00")
    calls = uniform(1, noon, noon + timedelta(hours=1))
    with WebexClient(run(exchange=Exchange(calls=calls), switches={"webex": {"bounds": value}})) as client:
        assert len(client.all(noon - timedelta(hours=1), noon)) == upper
        assert len(client.all(noon, noon + timedelta(hours=1))) == lower
        assert len(client.all(noon - timedelta(seconds=1), noon + timedelta(seconds=1))) == 1


def test_switch_empty(run: Starter) -> None:
    sandbox = run(exchange=full(0))
    with WebexClient(sandbox) as client:
        page = client.ask(*EVENING)
        known = EXCHANGES["empty window as 404"]["response"]["body"]
        assert page.status_code == 404
        assert page.json() | {"trackingId": ""} == known | {"trackingId": ""}
        sandbox.switch("webex", "empty", "200")
        page = client.ask(*EVENING)
        assert (page.status_code, page.json()) == (200, {"items": []})
        sandbox.switch("webex", "empty", "204")
        page = client.ask(*EVENING)
        assert (page.status_code, page.content) == (204, b"")


@pytest.mark.parametrize(
    ("value", "begins", "ends"),
    [
        ("plain", "<http://", '>; rel="next"'),
        ("doc", "<<http://", '>;rel="next">'),
        ("absolute_path", "</webex/v1/cdr_feed?", '>; rel="next"'),
        ("relative_path", "<cdr_feed?", '>; rel="next"'),
        ("query", "<?", '>; rel="next"'),
        ("network_path", "<//127.0.0.1:", '>; rel="next"'),
    ],
)
def test_switch_link(run: Starter, value: str, begins: str, ends: str) -> None:
    with WebexClient(run(exchange=full(600), switches={"webex": {"link": value}})) as client:
        link = client.ask(*EVENING, max=500).headers["Link"]
        assert link.startswith(begins)
        assert link.endswith(ends)
        assert len(client.all(*EVENING, max=500)) == 600


def test_switch_link_with_others(run: Starter) -> None:
    with WebexClient(run(exchange=full(600), switches={"webex": {"link": "with_others"}})) as client:
        link = client.ask(*EVENING, max=500).headers["Link"]
    assert link.index('rel="first"') < link.index("REL=NEXT")


@pytest.mark.parametrize("value", ["items", "no_items"])
def test_switch_empty_page(run: Starter, value: str) -> None:
    sandbox = run(exchange=full(1100), switches={"webex": {"empty_page": value}})
    with WebexClient(sandbox) as client:
        bodies = [page.json() for page in client.pages(*EVENING, max=500)]
    empty: dict[str, Any] = {"items": []} if value == "items" else {}
    assert [len(body.get("items", [])) for body in bodies] == [500, 0, 500, 0, 100]
    assert bodies[1] == bodies[3] == empty
    got = [record for body in bodies for record in body.get("items", [])]
    assert got == sandbox.truth("webex", "cdrs", *EVENING)


@pytest.mark.parametrize("legs", [1, 3])
def test_switch_page_overlap(run: Starter, legs: int) -> None:
    exchange = Exchange(calls=uniform(8, *EVENING, legs=legs))
    sandbox = run(exchange=exchange, switches={"webex": {"page_overlap": "on", "max_floor": "1"}})
    with WebexClient(sandbox) as client:
        for size in (1, 2, 4, 5):
            got = client.all(*EVENING, max=size)
            assert by_id(got) == by_id(sandbox.truth("webex", "cdrs", *EVENING))
        assert len(got) > len(by_id(got))


def test_switch_order(run: Starter) -> None:
    sandbox = run(exchange=full(1000))
    with WebexClient(sandbox) as client:
        pages = {}
        for value in ("ascending", "descending", "shuffled"):
            sandbox.switch("webex", "order", value)
            pages[value] = [record["Start time"] for record in client.ask(*EVENING, max=500).json()["items"]]
    assert pages["ascending"] == sorted(pages["ascending"])
    assert pages["descending"] == pages["ascending"][::-1]
    assert pages["shuffled"] != pages["ascending"]
    assert sorted(pages["shuffled"]) == pages["ascending"]


def test_limits_are_one_first_and_ten_next_pages_a_minute(run: Starter, clock: HandClock) -> None:
    sandbox = run(exchange=full(20), limits=True, switches={"webex": {"max_floor": "1"}})
    with WebexClient(sandbox) as client:
        statuses = [page.status_code for page in client.pages(*EVENING, max=1)]
        assert statuses == [200] * 11 + [429]
        known = EXCHANGES["rate limit"]["response"]
        page = client.ask(*EVENING)
        assert page.status_code == 429
        assert page.headers["Retry-After"] == known["headers"]["Retry-After"]
        assert page.json() | {"trackingId": ""} == known["body"] | {"trackingId": ""}
        clock.move(59)
        assert client.ask(*EVENING).status_code == 429
        clock.move(1)
        assert client.ask(*EVENING).status_code == 200


def test_switch_limits_off(run: Starter) -> None:
    sandbox = run(exchange=full(1), limits=True)
    with WebexClient(sandbox) as client:
        assert [client.ask(*EVENING).status_code for _ in range(2)] == [200, 429]
        sandbox.switch("webex", "limits", "off")
        assert client.ask(*EVENING).status_code == 200


@pytest.mark.parametrize(
    ("value", "header"), [("none", None), ("5", "5"), ("http_date", "Fri, 20 Nov 2026 12:01:00 GMT")]
)
def test_switch_retry_after(run: Starter, value: str, header: str | None) -> None:
    sandbox = run(exchange=full(1), limits=True, switches={"webex": {"retry_after": value}})
    with WebexClient(sandbox) as client:
        client.ask(*EVENING)
        assert client.ask(*EVENING).headers.get("Retry-After") == header


@pytest.mark.parametrize(("value", "status"), [("on", 429), ("off", 404)])
def test_switch_shared_limit(run: Starter, clock: HandClock, value: str, status: int) -> None:
    sandbox = run(exchange=full(1), limits=True, switches={"webex": {"shared_limit": value}})
    with WebexClient(sandbox) as client:
        client.ask(*EVENING)
        hour = clock() - timedelta(hours=2), clock() - timedelta(hours=1)
        assert client.ask(*hour, "cdr_stream").status_code == status


@pytest.mark.parametrize(("value", "name"), [("451_please_use", "older"), ("451_url", "newer")])
def test_switch_region(run: Starter, value: str, name: str) -> None:
    with WebexClient(run(switches={"webex": {"region": value}})) as client:
        page = client.ask(*EVENING)
        known = EXCHANGES[f"wrong region, {name} wording"]["response"]
        assert page.status_code == 451
        assert page.json() | {"trackingId": ""} == known["body"] | {"trackingId": ""}
        assert "Location" not in page.headers


def test_switch_late(run: Starter, clock: HandClock) -> None:
    """A fifth of the records comes later than five minutes; the stream has them in the window of their arrival."""
    sandbox = run(exchange=full(500), switches={"webex": {"late": "0.2"}})
    clock.time = EVENING[1] + timedelta(minutes=10)
    with WebexClient(sandbox) as client:
        early = by_id(client.all(*EVENING))
        clock.move(24 * 3600)
        late = by_id(client.all(*EVENING))
        assert 350 < len(early) < len(late) == 500
        assert late == by_id(sandbox.truth("webex", "cdrs", *EVENING))
        missing = set(late) - set(early)
        clock.time = EVENING[1] + timedelta(hours=11, minutes=50)
        arrived = client.all(EVENING[1], clock() - timedelta(minutes=1), "cdr_stream", hours=2)
        assert set(by_id(arrived)) & missing
        assert not set(by_id(arrived)) - set(late)


@BUSY
def test_switch_keys(run: Starter) -> None:
    sandbox = run()
    documented = {one["docs_key"] or one["wire_key"] for one in FIELDS}
    with WebexClient(sandbox) as client:
        sandbox.switch("webex", "keys", "2025")
        assert {tuple(record) for record in client.all(*DAY)} == {tuple(OLDER)}
        sandbox.switch("webex", "keys", "doc_case")
        for record in client.all(*DAY):
            assert len(record) == 87
            assert set(record) - {"Device Mac"} == documented - {"Device MAC"}
        sandbox.switch("webex", "keys", "future")
        got = client.all(*DAY)
        assert got == sandbox.truth("webex", "cdrs", *DAY)
        sandbox.switch("webex", "keys", "clients")
        known = client.all(*DAY)
    assert {tuple(record)[87:] for record in known} == {("Report group", "User ID")}
    assert {"CalllPark"} == {record["Related reason"] for record in known if "Park" in record["Related reason"]}
    assert {"Busy", "Unanswered"} < {record["Call outcome reason"] for record in known}
    assert {len(record) for record in got} == {89}
    assert any(record["Call type"] == "SIP_HOLOGRAM" for record in got)
    assert isinstance(got[0]["Agent notes"], dict)


def test_switch_types(run: Starter) -> None:
    with WebexClient(run(switches={"webex": {"types": "doc"}})) as client:
        assert all(type(record["Ring duration"]) is int for record in client.all(*DAY))


def test_switch_error_shape(run: Starter) -> None:
    with WebexClient(run(exchange=full(0), switches={"webex": {"error_shape": "general"}})) as client:
        page = client.ask(*EVENING)
        assert page.status_code == 404
        assert shape(page.json()) == ["message", "errors", "trackingId"]
        assert page.json()["errors"] == [{"description": page.json()["message"]}]


def test_switch_next_ttl(run: Starter, clock: HandClock) -> None:
    sandbox = run(exchange=full(600), switches={"webex": {"next_ttl": "300"}})
    with WebexClient(sandbox) as client:
        url = client.ask(*EVENING, max=500).links["next"]["url"]
        clock.move(299)
        assert client.get(url).status_code == 200
        clock.move(2)
        assert client.get(url).status_code == 400


def test_switch_scope(run: Starter) -> None:
    with WebexClient(run(switches={"webex": {"scope": "missing"}})) as client:
        page = client.ask(*EVENING)
        assert page.status_code == 403
        assert shape(page.json()) == shape(EXCHANGES["missing scope or role"]["response"]["body"])


def test_answers_do_not_depend_on_the_run(clock: HandClock) -> None:
    bodies = []
    for _ in range(2):
        with start(now=clock, seed="x") as sandbox, WebexClient(sandbox) as client:
            bodies.append(client.ask(*EVENING).content)
    assert bodies[0] == bodies[1]
