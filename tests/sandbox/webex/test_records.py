"""The records of the imitated Webex, and its pages."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from cdrctl.sandbox import Exchange, Sandbox, uniform
from cdrctl.sandbox.webex.keys import KEYS
from tests.sandbox.clients import WebexClient, at, sample
from tests.sandbox.conftest import Starter

from .client import DAY, EVENING, EXCHANGES, FIELDS, OLDER, by_id, full

REAL = sample("webex/real_feed_2026-09_terminating_refused.json")["items"][0]


CONSTRUCTED = [
    record
    for name in ("answered_two_legs", "queue_call_four_legs")
    for record in sample(f"webex/constructed_feed_{name}.json")["items"]
]


# Records


def test_records_have_the_keys_and_order_of_a_real_record(webex: WebexClient) -> None:
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


def test_na_words_appear_only_in_keys_that_use_them(webex: WebexClient) -> None:
    allowed = {one["wire_key"]: set(one["null_words"]) for one in FIELDS}
    records = webex.all(*DAY)
    for record in records:
        for key, value in record.items():
            if value in {"NA", "na", "N/A"}:
                assert value in allowed[key], (key, value)
    for key in ("Called line ID", "Public Calling IP Address", "Public Called IP Address"):
        assert {record[key] for record in records} == {"NA"}
    assert "N/A" in {record["Answer reason"] for record in records}


def test_keys_that_real_records_leave_empty_are_empty(webex: WebexClient) -> None:
    """These keys are empty in every sample, and no generated call has the feature that they describe."""
    samples = [REAL, OLDER, *CONSTRUCTED]
    never = {
        *("Authorization code", "External customer ID", "ELIN", "Emergency number source", "Recall type"),
        *("Transfer type", "Transfer type context", "WxCC consult merge status", "Department ID"),
    }
    assert all(record.get(key, "") == "" for record in samples for key in never)
    assert all(record[key] == "" for record in webex.all(*DAY) for key in never)


def test_enumerations_have_documented_values(webex: WebexClient) -> None:
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
    """Correlation ID joins the legs of a call, Interaction ID adds a consultation, call ids join two sides of a leg."""
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


def test_only_outside_parties_have_no_record(webex: WebexClient, sandbox: Sandbox) -> None:
    legs = sandbox.provider("webex").exchange.legs(*DAY)
    inside = [leg for leg in legs if leg.party.kind != "outside"]
    assert len(webex.all(*DAY)) == len(inside)
    assert len(legs) > len(inside)


# Paging


@pytest.mark.thin
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


def test_next_link_repeats_the_query_with_a_cursor(run: Starter) -> None:
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


def test_next_link_has_the_host_of_the_request(run: Starter) -> None:
    with WebexClient(run(exchange=full(600))) as client:
        url = client.url(*EVENING, max=500)
        headers = {"Authorization": f"Bearer {client.token}", "Host": "feed.example:81"}
        assert client.http.get(url, headers=headers).headers["Link"].startswith("<http://feed.example:81/webex/v1/")


@pytest.mark.slow
@pytest.mark.thin
@pytest.mark.parametrize(("asked", "given"), [("10", 500), ("700", 700), ("99999", 5000), ("", 5000), ("-1", 500)])
def test_max_is_clamped_without_an_error(run: Starter, asked: str, given: int) -> None:
    with WebexClient(run(exchange=full(5100))) as client:
        more: dict[str, Any] = {"max": asked} if asked else {}
        page = client.ask(*EVENING, **more)
        assert len(page.json()["items"]) == given


def test_switch_max_floor_allows_small_pages(run: Starter) -> None:
    sandbox = run(exchange=full(5), switches={"webex": {"max_floor": "1"}})
    with WebexClient(sandbox) as client:
        assert [len(page.json()["items"]) for page in client.pages(*EVENING, max=2)] == [2, 2, 1]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_page_end_within_a_millisecond_loses_no_record(run: Starter, size: int) -> None:
    exchange = Exchange(calls=uniform(3, *EVENING, legs=5))
    with WebexClient(run(exchange=exchange, switches={"webex": {"max_floor": "1"}})) as client:
        got = client.all(*EVENING, max=size)
    assert len(got) == len(by_id(got)) == 15


def test_locations_filter_records_and_more_than_10_are_refused(webex: WebexClient, sandbox: Sandbox) -> None:
    got = webex.all(*DAY, locations="London Office")
    assert {record["Location"] for record in got} == {"London Office"}
    assert got == sandbox.truth("webex", "cdrs", *DAY, locations="London Office")
    assert webex.ask(*EVENING, locations=",".join("abcdefghijk")).status_code == 400
