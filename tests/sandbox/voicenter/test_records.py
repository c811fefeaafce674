"""The records of the imitated Voicenter."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Any

from cdrctl.sandbox import Exchange, Sandbox, start, uniform
from cdrctl.sandbox.voicenter import CURRENT_FIELDS, SEED_FIELDS, TYPES
from tests.sandbox.clients import at, sample
from tests.sandbox.conftest import EXCHANGE
from tests.support.clock import HandClock

from .client import DAY, KNOWN, MONTH, SEED_OPTIONS, SEED_STATUSES, VoicenterClient, in_order, keys

FIELDS = sample("voicenter/data_fields.json")


CLICKED = sample("voicenter/constructed_click2call_two_legs_same_callid.json")["CDR_LIST"]


def test_plain_request_returns_the_true_records(voicenter: VoicenterClient, sandbox: Sandbox) -> None:
    page = voicenter.ask(DAY[0], DAY[1] - timedelta(seconds=1))
    answer = page.json()
    truth = sandbox.truth("voicenter", "cdrs", *DAY)
    assert page.headers["Content-Type"].startswith("application/json")
    assert list(answer) == list(KNOWN)
    assert {name: answer[name] for name in list(KNOWN)[:3]} == {name: KNOWN[name] for name in list(KNOWN)[:3]}
    assert answer["TOTAL_HITS"] == answer["RETURN_HITS"] == len(truth) > 40
    assert answer["CDR_LIST"] == truth


def test_records_have_the_documented_fields() -> None:
    in_both = {"both", "current"}
    assert set(CURRENT_FIELDS) == {one["wire_name"] for one in FIELDS["fields"] if one["in"] in in_both}
    assert set(SEED_FIELDS) == {one["wire_name"] for one in FIELDS["fields"] if one["in"] in {"both", "seed"}}
    assert [name.lower() for name in SEED_FIELDS] == [
        name.lower() for name in SEED_OPTIONS if name not in {"fromdate", "todate", "phones"}
    ]
    assert len(SEED_FIELDS) == 23
    assert {name: number_ for number_, name in TYPES.items()} == {
        one["name"]: one["number"] for one in FIELDS["cdr_types"] if one["number"] is not None
    }


def test_keys_have_the_order_of_the_samples(month: list[dict[str, Any]]) -> None:
    assert keys(month) == {CURRENT_FIELDS}
    for record in (*KNOWN["CDR_LIST"], *CLICKED):
        assert in_order(list(record), list(CURRENT_FIELDS))


def test_values_have_the_wire_types_of_the_samples(month: list[dict[str, Any]]) -> None:
    known = {name: type(value) for record in (*KNOWN["CDR_LIST"], *CLICKED) for name, value in record.items()}
    known |= {"DateEpoch": int, "QueueName": str, "RecordExpect": bool, "UserName": str}
    known |= {"DepartmentId": int, "TargetPrefixName": str}
    for record in month:
        for name, kind in known.items():
            value = record[name]
            if name in {"CustomData", "RepresentativeName"} and value is None:
                continue
            if name == "Price":
                assert isinstance(value, int | float)
                continue
            assert type(value) is kind, name
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["Date"])
        assert datetime.fromisoformat(record["Date"]).timestamp() == record["DateEpoch"]
        assert record["Duration"] >= 0
        assert record["RingTime"] >= 0
        for layer in record["DTMFData"]:
            assert [(name, type(value)) for name, value in layer.items()] == [
                ("LayerName", str),
                ("DTMF", int),
                ("LayerNumber", str),
            ]
    assert {type(record["UserId"]) for record in month} == {int, str}
    assert any(record["RepresentativeName"] is None for record in month)
    assert any(record["CustomData"] is None for record in month)
    assert any(record["CustomData"] == {} for record in month)
    assert any((record["CustomData"] or {}).get("AiExists") == "true" for record in month)
    assert any(len(record["DTMFData"]) == 2 for record in month)
    assert any(record["Price"] % 1 for record in month)


def test_types_and_statuses_have_documented_values(month: list[dict[str, Any]]) -> None:
    assert {record["CdrType"]: record["Type"] for record in month} == TYPES
    assert {record["DialStatus"] for record in month} == {
        *(set(SEED_STATUSES) - {"CHANUNAVAIL"}),
        *("TIMEOUT", "FULL", "EXIT", "JOINEMPTY"),
    }
    for record in month:
        if record["DialStatus"] != "ANSWER":
            assert record["DialStatus"] == "VOICEMAIL" or record["Duration"] == 0


def test_click2call_makes_two_legs_with_one_call_id(month: list[dict[str, Any]]) -> None:
    legs = defaultdict(list)
    for record in month:
        legs[record["CallID"]].append(record)
    pairs = Counter(tuple(one["CdrType"] for one in group) for group in legs.values() if len(group) > 1)
    assert set(pairs) == {(9, 10), (14, 15), (17, 18), (17, 19), (21, 22)}
    clicked = [group for group in legs.values() if group[0]["CdrType"] == 9]
    for one, two in clicked:
        assert one["TargetNumber"] == one["TargetExtension"] == one["CallerExtension"] == two["CallerExtension"]
        assert one["CallerNumber"] == two["CallerNumber"]
        assert one["RecordURL"] == ""
        assert two["TargetExtension"] == ""
        assert two["CustomData"] == CLICKED[1]["CustomData"]
        assert one["Date"] <= two["Date"]
    assert any(one["Date"] < two["Date"] for one, two in clicked)
    assert any(two["DialStatus"] == "NOTCALLED" and one["Date"] == two["Date"] for one, two in clicked)
    assert len({(record["CallID"], record["CdrType"], record["Date"]) for record in month}) == len(month)


def test_a_later_part_of_a_call_names_the_call_it_came_from(month: list[dict[str, Any]]) -> None:
    ids = {record["CallID"]: record for record in month if record["CdrType"] not in {11, 13, 21, 22, 23}}
    later = [record for record in month if record["CdrType"] in {11, 13, 21, 22, 23}]
    assert {record["CdrType"] for record in later} == {11, 13, 21, 22, 23}
    for record in later:
        first = ids[record["CustomData"]["OriginalIvrUniqueID"]]
        assert first["Date"] <= record["Date"]
        assert first["CallID"] != record["CallID"]


def test_call_ids_begin_with_a_local_time_that_is_not_the_date() -> None:
    """2024-06-10T09:04:58Z has an id of 12:04:55 in the documentation's sample."""
    moment = at("2024-06-10T09:04:58")
    exchange = Exchange(calls=uniform(1, moment, moment + timedelta(seconds=1)))
    with start(now=HandClock(), exchange=exchange) as sandbox:
        (record,) = sandbox.truth("voicenter", "cdrs", moment, moment + timedelta(seconds=1))
    known = KNOWN["CDR_LIST"][0]
    assert record["Date"] == known["Date"]
    assert record["CallID"][:14] == known["CallID"][:14]
    assert len(record["CallID"]) == len(known["CallID"])


def test_numbers_have_the_form_of_the_samples(month: list[dict[str, Any]]) -> None:
    for record in month:
        if record["CdrType"] in {1, 8}:
            assert re.fullmatch(r"05\d{8}|44\d{10}|SIPSIP\d+", record["CallerNumber"]), record
            assert re.fullmatch(r"072\d{7}|44\d{10}", record["DID"])
        if record["CdrType"] == 10:
            assert re.fullmatch(r"072\d{7}|44\d{10}", record["CallerNumber"])
            assert re.fullmatch(r"9725\d{8}|44\d{10}|1800\d{7}", record["TargetNumber"])
        if record["RecordURL"]:
            assert record["RecordURL"].startswith("https://cpanel.voicenter.co.il/CallsHistory/PlayRecord/EXAMPLE")
    assert {record["TargetPrefixName"] for record in month} == {
        *("", "Israel", "Israel Mobile", "United Kingdom", "United States"),
    }


def test_every_generated_call_has_a_record(month: list[dict[str, Any]]) -> None:
    calls = EXCHANGE.calls(*MONTH)
    firsts = [record for record in month if record["CdrType"] in {1, 4, 8, 9, 14, 17}]
    assert abs(len(firsts) - len(calls)) <= 1, "a call still going on at midnight has its record in the next day"
    queued = [call for call in calls if call.kind == "queue"]
    records = [record for record in month if record["CdrType"] == 8]
    assert len(records) == len(queued)
    assert Counter(record["DialStatus"] == "ANSWER" for record in records) == Counter(
        call.outcome == "answered" for call in queued
    )


def test_times_and_parties_match_the_generated_call(month: list[dict[str, Any]]) -> None:
    calls = [call for call in EXCHANGE.calls(*MONTH) if call.kind == "inbound" and call.outcome == "answered"]
    records = {one["DateEpoch"]: one for one in month if one["CdrType"] == 1}
    assert len(calls) > 100
    exact = 0
    for call in calls:
        record = records.get(call.start // 1000)
        leg = call.legs[1]
        if record is None or leg.answer is None or record["UserName"] != leg.party.name:
            continue
        exact += 1
        assert record["RingTime"] == (leg.answer - call.start) // 1000
        assert record["Duration"] == leg.talk_seconds
        assert record["TargetNumber"] == record["TargetExtension"] != ""
    assert exact > len(calls) * 0.95


def test_only_an_extension_that_answered_is_the_target_extension(month: list[dict[str, Any]]) -> None:
    missed = [one for one in month if one["CdrType"] == 1 and one["DialStatus"] in {"NOANSWER", "BUSY", "CANCEL"}]
    assert missed
    assert all(one["TargetExtension"] == "" for one in missed)


def test_outgoing_calls_are_charged_per_started_minute(month: list[dict[str, Any]]) -> None:
    mobile = [one for one in month if one["CdrType"] == 4 and one["TargetPrefixName"] == "Israel Mobile"]
    assert all(one["Price"] == -(-one["Duration"] // 60) * 12.5 for one in mobile)
    assert all(one["Price"] == 0 for one in month if one["CdrType"] in {1, 8, 9, 11})
    assert any(one["Price"] for one in mobile)
