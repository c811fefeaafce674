"""The common CDRs of Kazoo records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from cdrctl.fetchers.kazoo.causes import AFTER_ANSWER, CAUSES
from cdrctl.fetchers.kazoo.columns import COLUMNS, interaction_start, start
from cdrctl.records import schemas
from cdrctl.records.events import Page
from tests.support.products import for_each

from .kazoo_kit import ACCOUNT, CONTEXT, DOCUMENT_LEG, ROW, at, commonly, leg_but, natively, row_but, sample


def test_common_cdr_of_a_row() -> None:
    """An outbound call of 60 s, answered after 7 s; every value is calculated by hand."""
    assert commonly(ROW) == {
        "provider": "kazoo",
        "profile": "lab",
        "record_id": "202203-mar004",
        "call_id": "63813384000-m0004",
        "direction": "outbound",
        "from_number": "+14155550100",
        "from_name": 'Acme, "Inc"',
        "to_number": "+14155550199",
        "to_name": "Zoë",
        "dialed_number": "+14155550199",
        "start_time": "2022-03-01T20:00:00.000Z",
        "answer_time": "2022-03-01T20:00:07.000Z",
        "end_time": "2022-03-01T20:01:00.000Z",
        "ring_seconds": None,
        "talk_seconds": 53,
        "total_seconds": 60,
        "answered": True,
        "outcome": "answered",
        "cause": "NORMAL_CLEARING",
        "cause_q850": 16,
        "user": "own1",
        "site": ACCOUNT,
        "trunk": None,
        "queue": None,
        "recording_url": None,
        "cost": "0.0100",
        "currency": "USD",
    }


def test_common_cdr_of_a_document() -> None:
    """The same leg as the row's, with its ringing time and the same cost as on the server."""
    row, leg = commonly(ROW), commonly(DOCUMENT_LEG, "cdr")
    assert leg == {**row, "ring_seconds": 7, "site": None}


def test_common_cdrs_of_two_legs() -> None:
    """Both have the same interaction; the second began two seconds later."""
    a, b = (commonly(leg, "legs") for leg in sample("recorded_crossbar50_legs.json")["data"])
    assert a["call_id"] == b["call_id"] == "63814294800-legs"
    assert (a["start_time"], a["answer_time"]) == ("2022-03-12T09:00:00.000Z", "2022-03-12T09:00:07.000Z")
    assert (b["start_time"], b["answer_time"]) == ("2022-03-12T09:00:02.000Z", "2022-03-12T09:00:09.000Z")
    assert a["end_time"] == b["end_time"] == "2022-03-12T09:00:30.000Z"
    assert (b["talk_seconds"], b["total_seconds"], b["ring_seconds"]) == (21, 28, 7)


def test_common_cdrs_of_rows_of_version_3_21() -> None:
    """They have neither interaction nor billing tag, so the bridge is the call id, and there is no cost."""
    inward, outward = (commonly(row) for row in sample("doc_kazoo_3.21_list.json")["data"])
    assert inward["call_id"] == "{BRIDGE_ID}"
    assert (inward["direction"], outward["direction"]) == ("internal", "unknown")
    assert inward["answer_time"] == "2015-06-26T12:28:36.000Z"
    assert inward["end_time"] == "2015-06-26T12:28:43.000Z"
    assert (inward["cost"], inward["currency"]) == (None, None)


def test_common_cdr_of_a_document_of_2013_without_times() -> None:
    """Missing values are null."""
    leg = commonly(sample("doc_repository_cdr_fixture_2013.json"), "cdr")
    assert (leg["start_time"], leg["end_time"], leg["answered"], leg["cost"]) == (None, None, None, None)
    assert (leg["dialed_number"], leg["to_number"], leg["site"]) == ("*97", "*97", "account_realm")
    assert leg["direction"] == "internal"


def test_call_id_is_the_interaction_or_the_bridge_or_the_leg() -> None:
    """Kazoo has interactions since version 4.3."""
    assert commonly(row_but(interaction_id="", bridge_id="b"))["call_id"] == "b"
    assert commonly(row_but(interaction_id=""))["call_id"] == "mar004"
    assert commonly(leg_but({"bridge_id": "b"}, interaction_id=None), "cdr")["call_id"] == "b"
    assert commonly(leg_but(interaction_id=None), "cdr")["call_id"] == "mar004"


@for_each(
    "side, authorizing, dialed, expected",
    [
        ("inbound", "", "+14155550199", "inbound"),
        ("inbound", "dev1", "+14155550199", "outbound"),
        ("inbound", "dev1", "4155550", "outbound"),
        ("inbound", "dev1", "415555", "internal"),
        ("inbound", "dev1", "*97", "internal"),
        ("inbound", "dev1", "", "internal"),
        ("outbound", "", "1001", "outbound"),
        ("outbound", "dev1", "1001", "unknown"),
        ("", "", "1001", "unknown"),
    ],
)
def test_direction_of_a_row(side: str, authorizing: str, dialed: str, expected: str) -> None:
    """A leg without an authorising device is a carrier's; a leg to a device does not show its direction."""
    row = row_but(direction=side, authorizing_id=authorizing, dialed_number=dialed)
    assert commonly(row)["direction"] == expected


@for_each(
    "side, variables, expected",
    [
        ("inbound", {"resource_type": "offnet-origination"}, "inbound"),
        ("outbound", {"resource_type": "offnet-termination"}, "outbound"),
        ("inbound", {"resource_type": "onnet-origination"}, "internal"),
        ("outbound", {"resource_type": "onnet-termination"}, "internal"),
        ("inbound", {"authorizing_type": "resource"}, "inbound"),
        ("outbound", {"authorizing_type": "resource"}, "outbound"),
        ("inbound", {"authorizing_id": ACCOUNT}, "inbound"),
        ("inbound", {"authorizing_type": "device"}, "outbound"),
        ("outbound", {"authorizing_type": "device"}, "unknown"),
    ],
)
def test_direction_of_a_document(side: str, variables: dict[str, str], expected: str) -> None:
    """The resource decides, or else the rule for rows; the ids of carriers and accounts are not devices."""
    assert commonly(leg_but(variables, call_direction=side), "cdr")["direction"] == expected


def test_caller_and_callee_of_a_leg() -> None:
    """The caller is `calling_from`; the callee is the dialled number, or the user part of the SIP To."""
    row = row_but(caller_id_number="", calling_from="55", callee_id_number="", dialed_number="66")
    assert (commonly(row)["from_number"], commonly(row)["to_number"]) == ("55", "66")
    assert commonly({**row, "dialed_number": "", "to": "77@a"})["to_number"] == "77"
    leg = leg_but(call_direction="outbound", caller_id_number="", callee_id_number="", from_uri="sip:55@a", to="77@a")
    assert (commonly(leg, "cdr")["from_number"], commonly(leg, "cdr")["to_number"]) == ("55", "77")
    inward = {**leg, "call_direction": "inbound", "request": "66@a"}
    common = commonly(inward, "cdr")
    assert (common["from_number"], common["to_number"], common["dialed_number"]) == (None, "66", "66")


def test_common_cdr_of_a_document_has_realm_resource_and_recording() -> None:
    """They are the realm, the resource, and the recording if there is one."""
    leg = commonly(leg_but({"realm": "acme.example", "resource_id": "r1"}, recording_url="https://r/1"), "cdr")
    assert (leg["site"], leg["trunk"], leg["recording_url"]) == ("acme.example", "r1", "https://r/1")
    assert commonly(row_but(recording_url="https://r/1"))["recording_url"] == "https://r/1"


def test_outcomes_and_q850_numbers_follow_the_published_table() -> None:
    """Names that only FreeSWITCH has are not Q.850 causes."""
    causes = sample("data_hangup_causes.json")["causes"]
    assert {one["name"]: (one["q850"], one["outcome_if_unanswered"]) for one in causes} == dict(CAUSES)
    for one in causes:
        found = commonly(row_but(hangup_cause=one["name"], billing_seconds=0))
        assert (found["cause"], found["cause_q850"]) == (one["name"], one["q850"])
        assert (found["outcome"], found["answered"]) == (one["outcome_if_unanswered"], False)
        assert commonly(row_but(hangup_cause=one["name"]))["outcome"] == "answered"


def test_an_unknown_cause_is_kept_without_an_outcome() -> None:
    """The enumeration is open."""
    found = commonly(row_but(hangup_cause="NEW_CAUSE", billing_seconds=0))
    assert (found["cause"], found["cause_q850"], found["outcome"]) == ("NEW_CAUSE", None, "unknown")


@for_each("tag", ["", "flat_rate", "limits_disabled"])
def test_a_leg_that_was_not_rated_has_no_cost(tag: str) -> None:
    """The server writes 0 for it, which is not a price."""
    assert (commonly(row_but(call_type=tag, cost="0"))["cost"], commonly(row_but(call_type=tag))["currency"]) == (
        None,
        None,
    )
    leg = commonly(leg_but({"account_billing": tag}), "cdr")
    assert (leg["cost"], leg["currency"]) == (None, None)


def test_a_rated_leg_may_cost_nothing() -> None:
    """Zero is a price if the leg is billed per minute."""
    assert commonly(row_but(cost="0"))["cost"] == "0.0000"


@for_each(
    "seconds, variables, cost",
    [
        # rate in units a minute: 100 units are 0.01
        (53, {}, "0.0100"),  # one increment of 60 s, as the recorded row says
        (61, {}, "0.0200"),
        (60, {"rate_minimum": 60}, "0.0100"),
        (10, {"rate_minimum": "30", "rate": "1200"}, "0.0600"),
        (31, {"rate_minimum": 30, "rate_increment": 6, "rate": 1200}, "0.0720"),
        (66, {"rate_minimum": 60, "rate_increment": 6, "rate": 100}, "0.0110"),
        (67, {"rate_minimum": 60, "rate_increment": 6, "rate": 100}, "0.0120"),
        (61, {"rate_minimum": 60, "rate_increment": 0, "rate": 100}, "0.0200"),  # no increment means a minute
        (10, {"rate_minimum": 60, "surcharge": 500}, "0.0600"),
        (10, {"rate_minimum": 60, "surcharge": 500, "discount_percentage": 25}, "0.0450"),
        (10, {"rate_minimum": 60, "rate": 333, "discount_percentage": 10}, "0.0300"),  # 33.3 is rounded down to 33
        (7, {"rate_minimum": 0, "rate_increment": 1, "rate": 100}, "0.0011"),  # 11.67 units are rounded down
        (5, {"rate_nocharge_time": 5, "rate_minimum": 60}, "0.0000"),
        (6, {"rate_nocharge_time": 5, "rate_minimum": 60}, "0.0100"),
        (0, {"rate_minimum": 60, "surcharge": 500}, "0.0000"),  # never answered
        ("53", {"rate": "100", "rate_minimum": "60", "rate_increment": "60"}, "0.0100"),
    ],
)
def test_cost_of_a_document_follows_the_servers_rule(seconds: Any, variables: dict[str, Any], cost: str) -> None:
    """The values of `calculate_cost` in wht_util.erl and kz_currency.erl were calculated by hand."""
    leg = commonly(leg_but(variables, billing_seconds=seconds), "cdr")
    assert (leg["cost"], leg["currency"]) == (cost, "USD")


@for_each("name", ["rate", "surcharge", "discount_percentage"])
@for_each("odd", ["NaN", "free", [1], {"a": 1}, "Infinity"])
def test_odd_billing_variables_give_no_cost(name: str, odd: Any) -> None:
    """They do not end the export."""
    assert commonly(leg_but({name: odd}), "cdr")["cost"] is None


def test_a_leg_without_rate_has_no_cost() -> None:
    """A billing tag alone is not a price."""
    assert commonly(leg_but({"rate": ""}), "cdr")["cost"] is None


@for_each("total", ["", None, -5, 10**17, 10**30, "ages", [], True])
@for_each("talk", ["", None, -5, 0, 10**17, "ages", 61])
@for_each("call", ["cdrs", "cdr"])
def test_inconsistent_lengths_never_end_an_export(call: str, total: Any, talk: Any) -> None:
    """On rare legs they are missing, negative or absurd (fixed in Kazoo in 2020-05)."""
    record = row_but() if call == "cdrs" else leg_but()
    common = commonly({**record, "duration_seconds": total, "billing_seconds": talk}, call)
    assert common["total_seconds"] is None or common["total_seconds"] >= 0
    assert common["talk_seconds"] is None or common["talk_seconds"] >= 0
    assert common["answer_time"] is None or common["answer_time"] <= common["end_time"]


KILLED: dict[str, Any] = {
    "duration_seconds": -1795168800,
    "billing_seconds": -1795168800,
    "timestamp": "65757556800",
    "unix_timestamp": "3590337600",
}
"""A leg killed while it was new, saved 2026-11-20T10:00:00Z: GitHub 2600hz/kazoo, issue 6534."""


@for_each("text", [int, str])
@for_each("without", ["", "unix_timestamp"])
def test_a_row_with_a_length_of_minus_a_unix_time_starts_when_it_ended(
    text: Callable[[int], Any], without: str
) -> None:
    row = row_but(
        **KILLED,
        interaction_id="63962388000-abc",
        hangup_cause="ORIGINATOR_CANCEL",
    )
    row = {name: text(value) if isinstance(value, int) else value for name, value in row.items() if name != without}
    assert start(row) == at("2026-11-20T10:00:00")
    assert interaction_start(row, {}) == at("2026-11-20T10:00:00")
    cdr = commonly(row)
    if not without:
        assert cdr["start_time"] == cdr["end_time"] == "2026-11-20T10:00:00.000Z"
    assert (cdr["total_seconds"], cdr["talk_seconds"], cdr["answer_time"]) == (None, None, None)
    assert (cdr["answered"], cdr["outcome"]) == (False, "cancelled")


def test_a_document_with_a_length_of_minus_a_unix_time_starts_when_it_ended() -> None:
    leg = leg_but(**{**KILLED, "timestamp": 63962388000}, ringing_seconds=-1795168800)
    del leg["unix_timestamp"]
    assert start(leg) == at("2026-11-20T10:00:00")
    cdr = commonly(leg, "cdr")
    assert cdr["start_time"] == cdr["end_time"] == "2026-11-20T10:00:00.000Z"
    assert (cdr["total_seconds"], cdr["talk_seconds"], cdr["ring_seconds"], cdr["cost"]) == (None, None, None, None)


@for_each("seconds", [-1, -86400, 10**9, 10**15, -(10**15), 10**40, -(10**40)])
def test_a_row_with_an_impossible_length_never_fails(seconds: int) -> None:
    row = row_but(duration_seconds=seconds)
    commonly(row)
    assert start(row) is None or start(row) == at("2022-03-01T20:00:00") + timedelta(
        seconds=seconds if abs(seconds) < 10**10 else 0
    )


@for_each("billing", ["", None])
@for_each("absent", [False, True])
@for_each("call", ["cdrs", "cdr"])
@for_each(
    "cause, answered, outcome",
    [
        ("NORMAL_CLEARING", None, "unknown"),
        ("MEDIA_TIMEOUT", None, "unknown"),
        ("ALLOTTED_TIMEOUT", None, "unknown"),
        ("NEW_CAUSE", None, "unknown"),
        ("USER_BUSY", False, "busy"),
        ("NO_ANSWER", False, "no_answer"),
        ("CALL_REJECTED", False, "rejected"),
        ("ORIGINATOR_CANCEL", False, "cancelled"),
        ("LOSE_RACE", False, "cancelled"),
        ("UNALLOCATED_NUMBER", False, "failed"),
    ],
)
def test_leg_with_an_unknown_billed_length_is_not_unanswered(
    *, call: str, billing: Any, absent: bool, cause: str, answered: bool | None, outcome: str
) -> None:
    record = {**(ROW if call == "cdrs" else DOCUMENT_LEG), "hangup_cause": cause, "billing_seconds": billing}
    record["duration_seconds"] = 600
    if absent:
        del record["billing_seconds"]
    cdr = commonly(record, call)
    assert (cdr["answered"], cdr["outcome"], cdr["talk_seconds"]) == (answered, outcome, None)
    assert cdr["total_seconds"] == 600


def test_causes_that_can_end_a_conversation_are_known_causes() -> None:
    assert CAUSES.keys() >= AFTER_ANSWER


def test_missing_lengths_are_null() -> None:
    """A row still has its start; a document has its end, and the time when its channel was created."""
    row = commonly(row_but(duration_seconds="", billing_seconds=""))
    assert (row["start_time"], row["end_time"], row["answered"]) == ("2022-03-01T20:00:00.000Z", None, None)
    leg = commonly(leg_but(duration_seconds=-1), "cdr")
    assert (leg["start_time"], leg["end_time"]) == ("2022-03-01T20:00:00.000Z", "2022-03-01T20:01:00.000Z")
    assert (leg["total_seconds"], leg["talk_seconds"]) == (None, 53)


def test_answer_before_the_start_is_null() -> None:
    """More time was billed than the leg lasted, so the time of the answer is unknown."""
    row = commonly(row_but(billing_seconds=61))
    assert (row["answer_time"], row["answered"], row["talk_seconds"]) == (None, True, 61)


@for_each("stamp", ["99999999999999999", "", "soon"])
def test_an_implausible_start_is_null(stamp: str) -> None:
    """The row has no better start."""
    assert commonly(row_but(unix_timestamp=stamp, timestamp=""))["start_time"] is None


def test_a_full_document_in_a_listing_has_its_own_start() -> None:
    """In a document, the timestamp is the end of the leg."""
    common = commonly(DOCUMENT_LEG)
    assert (common["start_time"], common["end_time"]) == ("2022-03-01T20:00:00.000Z", "2022-03-01T20:01:00.000Z")


@for_each(
    "name",
    [
        "recorded_crossbar50_interaction_page.json",
        "recorded_crossbar50_list_last_page.json",
        "recorded_crossbar50_list_page1_unchunked.json",
        "recorded_crossbar50_list_page2_chunked.json",
        "constructed_list_row_42_string_seconds.json",
    ],
)
def test_all_samples_are_read_without_a_warning(name: str) -> None:
    """The common CDRs of the samples are consistent."""
    for row in sample(name)["data"]:
        [native] = natively([row])
        common = commonly(row)
        assert common["start_time"] == native["timestamp"]
        assert common["total_seconds"] == native["duration_seconds"] == 60 or "leg" in row["id"]
        assert native["extra"] is None


def test_currency_is_a_setting() -> None:
    """The code says dollars, but operators may bill in another currency."""
    context = {**CONTEXT, "currency": "EUR"}
    schema = schemas.native(COLUMNS, ["currency"], lambda _: None)
    assert schema.rows(replace(Page([ROW]), context=context)) == [["EUR"]]
