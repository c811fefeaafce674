"""How the imitated Voicenter signs in and refuses, and its notifications."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from cdrctl.sandbox import Exchange, Sandbox, uniform
from cdrctl.sandbox.voicenter import ERRORS
from tests.sandbox.clients import sample
from tests.sandbox.conftest import Starter
from tests.support.clock import HandClock

from .client import DAY, MONTH, NOON, ONE, VoicenterClient, full, in_order, number

SEED_NOTIFICATION: dict[str, Any] = {
    "caller": "0722776772",
    "target": "972722776772",
    "time": 1536855354,
    "duration": 33,
    "ivruniqueid": "201809131615530APIAPI-APIAc40c3d53",
    "type": "Incoming Call",
    "status": "ANSWER",
    "targetextension": "AAPINFzL",
    "callerextension": "AAPINFzL",
    "did": "0722776772",
    "queueid": 12345,
    "queuename": "Service Queue",
    "record": "http://starkey-centrex-recordings.s3.amazonaws.",
    "price": 7,
    "dialtime": 23,
    "representative_name": "Walter Melon",
    "representative_code": "9996",
    "targetextension_name": "Walter Melon",
    "callerextension_name": "Walter Melon",
    "target_country": "Israel",
    "caller_country": "Israel",
    "seconds_waiting_in_queue": 5,
    "OriginalIvrUniqueID": "201809131730110122APIAPI-API",
}


SEED_ERRORS = {
    0: "OK",
    1: "Request limit exceeded. Please try again later.",
    2: "Authorization failed.",
    3: "CDR limit exceeded.",
    4: "IP address xx.xx.xx.xx is not trusted.",
}


# Sign-in and errors


def test_errors_are_worded_as_documented() -> None:
    for number_, text in SEED_ERRORS.items():
        assert ERRORS[number_][0].replace("{client}", "xx.xx.xx.xx") == text
    for number_ in (1, 2, 3, 4, 5):
        known = sample(f"voicenter/constructed_error_{number_}.json")
        assert ERRORS[number_][0].replace("{client}", "203.0.113.9") == known["ERROR_DESCRIPTION"]
        assert ERRORS[number_][1] == known["STATUS_CODE"]


def test_a_wrong_or_missing_code_is_error_2(voicenter: VoicenterClient) -> None:
    window = {"fromdate": "2026-11-18T12:00:00", "todate": "2026-11-18T13:00:00"}
    known = sample("voicenter/constructed_error_2.json")
    bodies: tuple[Any, ...] = (
        {"code": "wrong", "search": window},
        {"search": window},
        {"Code": voicenter.code, "search": window},
        [],
    )
    for body in bodies:
        page = voicenter.post(body)
        assert (page.status_code, page.json()) == (200, known)
    assert voicenter.http.post(voicenter.base_url, content=b"{").json() == known
    assert voicenter.get("fromdate=2026-11-18T12:00").json() == known


def test_a_bearer_token_needs_no_code(run: Starter) -> None:
    sandbox = run()
    with VoicenterClient(sandbox, "bearer") as client:
        assert client.all(*DAY) == sandbox.truth("voicenter", "cdrs", *DAY)
        client.headers = {"Authorization": "Bearer wrong"}
        assert number(client.ask(*DAY)) == 2


def test_expired_credentials_are_replaced_by_new_ones(sandbox: Sandbox) -> None:
    for kind in ("code", "bearer"):
        with VoicenterClient(sandbox, kind) as client:
            assert number(client.ask(*DAY)) == 0
            sandbox.expire_tokens("voicenter")
            assert number(client.ask(*DAY)) == 2
        with VoicenterClient(sandbox, kind) as client:
            assert number(client.ask(*DAY)) == 0
    with pytest.raises(ValueError, match="code or bearer"):
        sandbox.credentials("voicenter", "password")


def test_only_the_documented_address_and_methods_are_accepted(sandbox: Sandbox, voicenter: VoicenterClient) -> None:
    assert voicenter.base_url == sandbox.base_urls["voicenter"] == f"{sandbox.url}/voicenter/hub/cdr/"
    assert voicenter.http.get(f"{voicenter.base_url}more").status_code == 404
    assert voicenter.http.put(voicenter.base_url).status_code == 405


def test_faults_have_the_shape_of_this_api(sandbox: Sandbox, voicenter: VoicenterClient) -> None:
    for status, error in ((200, 1), (401, 2), (403, 2), (404, 5), (429, 1)):
        sandbox.fail("voicenter", status)
        page = voicenter.ask(*DAY)
        assert (page.status_code, number(page)) == (status, error)
    for status in (400, 500, 503):
        sandbox.fail("voicenter", status)
        page = voicenter.ask(*DAY)
        assert page.status_code == status
        assert "html" in page.headers["Content-Type"]
    sandbox.fail("voicenter", "wrong_shape")
    answer = voicenter.ask(*DAY).json()
    assert answer["ERROR_NUMBER"] == 0
    assert "CDR_LIST" not in answer
    sandbox.fail("voicenter", "cut")
    with pytest.raises(httpx.RemoteProtocolError):
        voicenter.ask(*DAY)
    sandbox.fail("voicenter", "expire")
    assert number(voicenter.ask(*DAY)) == 2


# Notifications


def test_notifications_have_the_fields_of_the_second_table(sandbox: Sandbox) -> None:
    pushed = sandbox.provider("voicenter").notifications(*MONTH)
    wanted = list(SEED_NOTIFICATION)
    assert len(wanted) == 23
    seen = set()
    for body in pushed:
        assert in_order(list(body), wanted)
        assert set(wanted) - set(body) <= {"seconds_waiting_in_queue", "OriginalIvrUniqueID"}
        seen |= {name for name in body if body[name]}
        for name, value in body.items():
            kinds = (int, float) if name == "price" else (type(SEED_NOTIFICATION[name]),)
            assert type(value) in kinds, name
        assert ("seconds_waiting_in_queue" in body) == (body["type"] in {"Queue", "Click 2 Queue Incoming"})
        assert (body["queueid"] == 0) == (body["queuename"] == "")
    assert seen == set(wanted)


@pytest.mark.slow
def test_notifications_and_call_log_have_the_same_calls(sandbox: Sandbox, month: list[dict[str, Any]]) -> None:
    pushed = sandbox.truth("voicenter", "notifications", *MONTH)
    assert pushed == sandbox.provider("voicenter").notifications(*MONTH)

    def logged(one: dict[str, Any]) -> tuple[Any, ...]:
        parties = one["CallerNumber"], one["TargetNumber"], one["DID"], one["CallerExtension"], one["TargetExtension"]
        spans = one["DateEpoch"], one["Duration"], one["RingTime"], one["Price"]
        return (one["CallID"], one["Type"], *parties, *spans, one["QueueName"], one["RecordURL"])

    def told(one: dict[str, Any]) -> tuple[Any, ...]:
        parties = one["caller"], one["target"], one["did"], one["callerextension"], one["targetextension"]
        spans = one["time"], one["duration"], one["dialtime"], one["price"]
        return (one["ivruniqueid"], one["type"], *parties, *spans, one["queuename"], one["record"])

    assert sorted(map(told, pushed)) == sorted(map(logged, month))
    related = {
        (one["CallID"], one["CustomData"]["OriginalIvrUniqueID"])
        for one in month
        if (one["CustomData"] or {}).get("OriginalIvrUniqueID")
    }
    assert {
        (one["ivruniqueid"], one["OriginalIvrUniqueID"]) for one in pushed if "OriginalIvrUniqueID" in one
    } == related


def test_notification_is_sent_when_the_call_has_ended(run: Starter, clock: HandClock) -> None:
    sandbox = run(exchange=full(1))
    clock.time = NOON + timedelta(seconds=30)
    assert sandbox.truth("voicenter", "notifications", NOON, ONE) == []
    clock.move(40)
    assert len(sandbox.truth("voicenter", "notifications", NOON, ONE)) == 1
    with pytest.raises(ValueError, match="cdrs and notifications"):
        sandbox.truth("voicenter", "reports", NOON, ONE)


def test_notifications_are_ordered_by_the_end_of_the_call(run: Starter) -> None:
    until = NOON + timedelta(seconds=10)
    long = uniform(1, NOON, until, talk_seconds=600, name="long")
    short = uniform(1, NOON + timedelta(seconds=9), until, talk_seconds=5, name="short")
    pushed = run(exchange=Exchange(calls=[*long, *short])).provider("voicenter").notifications(NOON, until)
    assert [one["duration"] for one in pushed] == [5, 600]


def test_switch_notification(run: Starter) -> None:
    sandbox = run(switches={"voicenter": {"notification": "current"}})
    pushed = sandbox.truth("voicenter", "notifications", *DAY)
    for name in ("outgoing", "queue"):
        known = sample(f"voicenter/doc_notification_{name}.json")
        body = next(one for one in pushed if one["type"] == known["type"] and one["status"] == "ANSWER")
        assert in_order(list(known), list(body))
        assert all(type(body[key]) is type(value) for key, value in known.items())
        if "IVR" in known:
            assert [list(layer) for layer in body["IVR"]] == [list(layer) for layer in known["IVR"]]
            waited = body["seconds_waiting_in_queue"]
            assert body["duration"] == body["actualCallDuration"] + waited > body["actualCallDuration"]
    assert {one["direction"] for one in pushed} == {"incoming", "outgoing", "internal"}
    assert {one["isAnswer"] for one in pushed} == {0, 1}
    assert any("campaignID" in one for one in sandbox.truth("voicenter", "notifications", *MONTH))
    assert any(list(one.get("aiData", ())) == ["insights", "emotions", "transcript"] for one in pushed)
    further = {"extenUser", "callerPhone", "actualCallDialtime", "TopDepartmentID", "CustomData", "DepartmentID"}
    assert all(further <= set(one) for one in pushed)


def test_switch_repeats(run: Starter) -> None:
    sandbox = run(switches={"voicenter": {"repeats": "on"}})
    pushed = sandbox.provider("voicenter").notifications(*DAY)
    once = sandbox.truth("voicenter", "notifications", *DAY)
    assert len(pushed) == len(once) + -(-len(once) // 5)
    assert [one for n, one in enumerate(pushed) if n == 0 or one != pushed[n - 1]] == once
