"""What Voicenter's records and captured notifications mean: every column, the common CDR, and broken files."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings as tried, strategies as st

from cdrctl.connecting import Connected
from cdrctl.errors import UsageError
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers.voicenter import PROVIDER
from cdrctl.fetchers.voicenter.columns import NOTIFIED, fold, identity, notification_identity
from cdrctl.fetchers.voicenter.common import DIRECTIONS, OUTCOMES, TYPES
from cdrctl.fetchers.voicenter.zone import start
from cdrctl.records.events import Event, Note, Page
from cdrctl.records.schemas import common, native, raw

DATA = Path(__file__).parents[1] / "data" / "voicenter"

# The 23 fields of "CDR request parameters" in the user's document, in its order.
SEED_NOTIFIED = (
    *("caller", "target", "time", "duration", "ivruniqueid", "type", "status", "targetextension", "callerextension"),
    *("did", "queueid", "queuename", "record", "price", "dialtime", "representative_name", "representative_code"),
    *("targetextension_name", "callerextension_name", "target_country", "caller_country"),
    *("seconds_waiting_in_queue", "OriginalIvrUniqueID"),
)
# The 19 types and 15 statuses of the user's document, as it spells them.
SEED_TYPES = (
    *("Incoming Call", "CC", "Extension Outgoing", "Queue", "Click2Call leg1", "Click2Call leg2", "VoiceMail"),
    *("Callference", "XferCDR", "ProductiveCall Leg1", "ProductiveCall Leg2", "Scrubber", "Click 2 IVR"),
    *("Click 2 IVR Incoming", "Click 2 Queue Incoming", "FaxCdr", "Attended CDR leg1", "Attended CDR leg2"),
    "Auto forward",
)


def sample(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def warned(text: str) -> None:
    assert "does not know" in text, text


def natives(records: Sequence[dict[str, Any]], call: str = "cdrs", **context: str) -> list[dict[str, Any]]:
    schema = native(PROVIDER.call(call).columns, None, warned)
    assert schema.columns is not None
    names = [column.name for column in schema.columns]
    return [dict(zip(names, row, strict=True)) for row in schema.rows(Page([*records], context))]


def commons(records: Sequence[dict[str, Any]], call: str = "cdrs", **context: str) -> list[dict[str, Any]]:
    found = PROVIDER.call(call)
    assert found.common is not None
    schema = common(found.columns, found.common, None, warned, provider="voicenter", profile="acme")
    assert schema.columns is not None
    names = [column.name for column in schema.columns]
    return [dict(zip(names, row, strict=True)) for row in schema.rows(Page([*records], context))]


def given_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is there, without what every row has."""
    return {key: value for key, value in row.items() if value is not None and key not in {"provider", "profile"}}


def one(**fields: Any) -> dict[str, Any]:
    """Return the common CDR of one record."""
    return commons([{"CallID": "c", "Date": "2026-11-18T09:00:00Z", **fields}])[0]


def push(**fields: Any) -> dict[str, Any]:
    """Return the common CDR of one notification."""
    return commons([{"ivruniqueid": "c", "time": 1536855354, **fields}], "notifications")[0]


# The samples, by values computed by hand


def test_the_sample_of_the_documentation() -> None:
    [record] = sample("doc_cdr_ok.json")["CDR_LIST"]
    [row] = commons([record])
    assert given_values(row) == {
        "record_id": "202406101204550233243ghff3189e5c:4:2024-06-10T09:04:58.000Z",
        "call_id": "202406101204550233243ghff3189e5c",
        "direction": "outbound",
        "from_number": "0720000001",
        "from_name": "Person One",
        "to_number": "972500000002",
        "dialed_number": "972500000002",
        "start_time": "2024-06-10T09:04:58.000Z",
        "answer_time": "2024-06-10T09:05:08.000Z",
        "end_time": "2024-06-10T09:05:10.000Z",
        "ring_seconds": 10,
        "talk_seconds": 2,
        "total_seconds": 12,
        "answered": True,
        "outcome": "answered",
        "cause": "ANSWER",
        "user": "Person One",
        "site": "Sales",
        "recording_url": "https://cpanel.voicenter.co.il/CallsHistory/PlayRecord/EXAMPLE1.mp3",
    }


def test_keys_in_lower_case() -> None:
    [record] = sample("constructed_cdr_lowercase_keys.json")["CDR_LIST"]
    [row] = natives([record])
    assert row["extra"] is None
    assert row["custom_data"] == {"AiExists": "true"}
    assert (row["did"], row["cdr_type"], row["representative_code"]) == ("0720000001", 8, None)
    [cdr] = commons([record])
    assert given_values(cdr) == {
        "record_id": "202607231204550233243ghff3189e5c:8:2026-07-23T09:04:58.000Z",
        "call_id": "202607231204550233243ghff3189e5c",
        "direction": "inbound",
        "from_number": "0500000002",
        "to_number": "0720000001",
        "dialed_number": "0720000001",
        "start_time": "2026-07-23T09:04:58.000Z",
        "end_time": "2026-07-23T09:05:18.000Z",
        "total_seconds": 20,
        "answered": False,
        "outcome": "abandoned",
        "cause": "ABANDONE",
        "queue": "Sales Queue",
    }


def test_two_legs_of_a_click2call() -> None:
    records = sample("constructed_click2call_two_legs_same_callid.json")["CDR_LIST"]
    first, second = commons(records)
    assert first["call_id"] == second["call_id"]
    assert first["record_id"] != second["record_id"]
    assert (first["direction"], second["direction"]) == ("internal", "outbound")
    assert (first["to_number"], first["dialed_number"], first["from_name"]) == ("SIPSIP1", None, None)
    assert (first["cost"], first["currency"]) == ("0.00", "ILS")
    assert (second["cost"], second["currency"]) == ("0.07", "ILS")
    assert (second["answer_time"], second["end_time"]) == ("2026-11-18T09:05:08.000Z", "2026-11-18T09:05:39.000Z")
    assert (second["ring_seconds"], second["talk_seconds"], second["total_seconds"]) == (9, 31, 40)


def test_the_sample_of_the_first_version() -> None:
    """A date without a zone, a duration as text, a type without its blank, and few fields."""
    [record] = sample("constructed_seed_reply_without_counters.json")["CDR_LIST"]
    assert start(record) == datetime(2015, 5, 14, 9, 4, 58, tzinfo=UTC)
    [row] = commons([record])
    assert given_values(row) == {
        "direction": "internal",
        "from_number": "972720000001",
        "to_number": "972500000002",
        "start_time": "2015-05-14T09:04:58.000Z",
        "talk_seconds": 33,
        "outcome": "unknown",
        "user": "Person One",
    }


def test_the_samples_of_notifications() -> None:
    outgoing, queue = commons(
        [sample("doc_notification_outgoing.json"), sample("doc_notification_queue.json")], "notifications"
    )
    assert given_values(outgoing) == {
        "record_id": "2020072818dcDHFJcc804:extensionoutgoing:2020-07-28T18:19:10.000Z",
        "call_id": "2020072818dcDHFJcc804",
        "direction": "outbound",
        "from_number": "0720000001",
        "to_number": "0500000002",
        "dialed_number": "0500000002",
        "start_time": "2020-07-28T18:19:10.000Z",
        "answer_time": "2020-07-28T18:19:12.000Z",
        "end_time": "2020-07-28T18:19:23.000Z",
        "ring_seconds": 2,
        "talk_seconds": 11,
        "total_seconds": 13,
        "answered": True,
        "outcome": "answered",
        "cause": "ANSWER",
        "user": "Person One",
        "site": "Voicenter Sales",
        "recording_url": "https://cpanel.voicenter.co.il/CallsHistory/PlayRecord/EXAMPLE2.mp3",
        "cost": "0.00",
        "currency": "ILS",
    }
    assert given_values(queue) == {
        "record_id": "202007211213270124c:queue:2020-07-21T12:13:30.000Z",
        "call_id": "202007211213270124c",
        "direction": "inbound",
        "from_number": "0500000002",
        "dialed_number": "0720000001",
        "start_time": "2020-07-21T12:13:30.000Z",
        "answer_time": "2020-07-21T12:13:50.000Z",
        "end_time": "2020-07-21T12:13:50.000Z",
        "talk_seconds": 0,
        "total_seconds": 20,
        "answered": True,
        "outcome": "answered",
        "cause": "ANSWER",
        "queue": "Sales Queue",
        "recording_url": "https://cpanel.voicenter.co.il/CallsHistory/PlayRecord/EXAMPLE3.mp3",
    }


def test_every_sample_is_read_without_a_warning_or_an_unknown_field() -> None:
    read = 0
    for path in sorted(DATA.glob("*.json")):
        records = sample(path.name).get("CDR_LIST") or []
        if records and isinstance(records[0], dict):
            assert all(row["extra"] is None for row in natives(records))
            read += len(records)
        if "notification" in path.name:
            assert [row["extra"] for row in natives([sample(path.name)], "notifications")] == [None]
            read += 1
    assert read == 7


# Columns


def test_every_field_of_the_seed_is_a_column_of_notifications() -> None:
    assert tuple(column.key for column in NOTIFIED[:23]) == SEED_NOTIFIED
    assert [column.name for column in NOTIFIED[:3]] == ["caller", "target", "time"]
    assert NOTIFIED[22].name == "original_ivr_unique_id"


def test_the_examples_of_the_seed() -> None:
    """Every example value of the user's document, in one notification."""
    [row] = natives(
        [
            {
                "caller": "0722776772",
                "target": "AAPINFzL",
                "time": 1536855354,
                "duration": 33,
                "ivruniqueid": "201809131615530APIAPI-APIAc40c3d53",
                "type": "Click2Callleg1",
                "status": "TE",
                "targetextension": "AAPINFzL",
                "callerextension": "AAPINFzL",
                "did": "0722776772",
                "queueid": 12345,
                "queuename": "Service Queue",
                "price": 7,
                "dialtime": 23,
                "record": "http://starkey-centrex-recordings.s3.amazonaws.",
                "representative_code": "9996",
                "representative_name": "Walter Melon",
                "target_country": "Israel",
                "caller_country": "Israel",
                "targetextension_name": "Walter Melon",
                "callerextension_name": "Walter Melon",
                "seconds_waiting_in_queue": 5,
                "OriginalIvrUniqueID": "201809131730110122APIAPI-API",
            }
        ],
        "notifications",
    )
    assert row["time"] == "2018-09-13T16:15:54.000Z"
    assert (row["duration"], row["dialtime"], row["seconds_waiting_in_queue"]) == (33, 23, 5)
    assert (row["queueid"], row["price"]) == ("12345", "0.07")
    assert row["original_ivr_unique_id"] == "201809131730110122APIAPI-API"
    assert row["extra"] is None


def test_values_of_the_call_log() -> None:
    [row] = natives(
        [
            {
                "Date": "2026-11-18 09:00:00",
                "DateEpoch": "1789635600",
                "CdrType": "8",
                "Duration": "33",
                "Price": "7.5",
                "RecordExpect": "True",
                "RingTime": "4",
                "UserId": 17,
                "DepartmentId": 9,
                "DTMFData": [{"LayerName": "Main", "DTMF": 2, "LayerNumber": 0}],
                "CustomData": {},
                "dialstatus2": "BUSY",
                "Callerextension": "SIPSIP",
                "Brand new": 1,
            }
        ]
    )
    assert row["date"] == "2026-11-18T09:00:00.000Z"
    assert (row["date_epoch"], row["cdr_type"], row["duration"], row["ring_time"]) == (1789635600, 8, 33, 4)
    assert (row["price"], row["record_expect"]) == ("0.075", True)
    assert (row["user_id"], row["department_id"]) == ("17", "9")
    assert row["dtmf_data"] == [{"LayerName": "Main", "DTMF": 2, "LayerNumber": 0}]
    assert row["custom_data"] == {}
    assert (row["dial_status2"], row["caller_extension"]) == ("BUSY", "SIPSIP")
    assert row["extra"] == {"brand_new": 1}


@pytest.mark.parametrize(
    ("agorot", "money"),
    [
        (0, "0.00"),
        (7, "0.07"),
        ("7", "0.07"),
        (100, "1.00"),
        (-5, "-0.05"),
        (12345678901234567890, None),
        (0.5, "0.005"),
    ],
)
def test_agorot_are_hundredths_of_a_shekel(agorot: Any, money: str | None) -> None:
    cdr = one(Price=agorot)
    assert cdr["cost"] == (money or "123456789012345678.90")
    assert cdr["currency"] == "ILS"


def test_what_did_not_come_is_null() -> None:
    assert given_values(one()) == {
        "record_id": "c::2026-11-18T09:00:00.000Z",
        "call_id": "c",
        "direction": "unknown",
        "start_time": "2026-11-18T09:00:00.000Z",
        "outcome": "unknown",
    }


@pytest.mark.parametrize(
    ("raw_value", "expected"), [(True, True), (0, False), ("1", True), ("no", False), ("FALSE", False), ("Yes", True)]
)
def test_booleans_in_all_their_spellings(raw_value: Any, expected: bool) -> None:  # noqa: FBT001
    assert natives([{"RecordExpect": raw_value}])[0]["record_expect"] is expected


# Times and identity


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"Date": "2026-11-18T09:00:00Z"}, "2026-11-18T09:00:00+00:00"),
        ({"date": "2026-11-18T09:00:00Z"}, "2026-11-18T09:00:00+00:00"),
        ({"Date": "2026-11-18 09:00:00"}, "2026-11-18T09:00:00+00:00"),
        ({"Date": "2026-11-18T09:00"}, "2026-11-18T09:00:00+00:00"),
        ({"Date": "2026-11-18T11:00:00+02:00"}, "2026-11-18T09:00:00+00:00"),
        ({"Date": "2026-11-18T09:00:00Z", "DateEpoch": 1789635660}, "2026-09-17T09:01:00+00:00"),
        ({"Date": "2026-11-18T09:00:00Z", "DateEpoch": 0}, "2026-11-18T09:00:00+00:00"),
        ({"Date": "2026-11-18T09:00:00Z", "DateEpoch": None}, "2026-11-18T09:00:00+00:00"),
        ({"DATEEPOCH": "1789635660"}, "2026-09-17T09:01:00+00:00"),
    ],
)
def test_the_start_of_a_call(fields: dict[str, Any], expected: str) -> None:
    found = start(fields)
    assert found is not None
    assert found.isoformat() == expected
    assert commons([fields])[0]["start_time"] == found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize("fields", [{}, {"Date": ""}, {"Date": "yesterday"}, {"Date": 5}, {"DateEpoch": "x"}])
def test_a_start_that_cannot_be_read_is_none(fields: dict[str, Any]) -> None:
    assert start(fields) is None


def test_the_identity_of_a_record_is_call_type_and_date_however_they_are_spelt() -> None:
    assert identity({"CallID": "a", "CdrType": 9, "Type": "X", "Date": "2026-11-18T09:00:00Z"}) == (
        "a:9:2026-11-18T09:00:00.000Z"
    )
    spelt: list[dict[str, Any]] = [
        {"CallID": "a", "CdrType": 9, "Date": "2026-11-18T09:00:00Z"},
        {"callid": "a", "cdrtype": "9", "date": "2026-11-18 09:00:00"},
        {"CALLID": "a", "CdrType": 9, "Type": "Click2Call leg1", "DateEpoch": 1794992400},
    ]
    assert len({identity(one) for one in spelt[:2]}) == 1
    older = [{"CallID": "a", "Type": kind} for kind in ("Click2Call leg1", "Click2Callleg1", "CLICK2CALL  LEG1")]
    assert {identity(one) for one in older} == {"a:click2callleg1:"}
    others: list[dict[str, Any]] = [
        {"CallID": "b", "CdrType": 9, "Date": "2026-11-18T09:00:00Z"},
        {"CallID": "a", "CdrType": 10, "Date": "2026-11-18T09:00:00Z"},
        {"CallID": "a", "CdrType": 9, "Date": "2026-11-18T09:00:01Z"},
    ]
    assert len({identity(one) for one in [spelt[0], *others]}) == 4


def test_a_record_without_a_call_id_is_known_by_all_it_says() -> None:
    a, b = {"Type": "Queue", "Duration": 1}, {"Type": "Queue", "Duration": 2}
    assert identity(a) != identity(b)
    assert identity(a) == identity(dict(a))
    assert commons([a])[0]["record_id"] is None
    assert notification_identity(a) == identity(a)


@tried(max_examples=50, deadline=None)
@given(
    number=st.sampled_from([None, 1, "9", 99, "x"]),
    kind=st.sampled_from([None, "Queue", "Click2Call leg1", "new"]),
    date=st.sampled_from(["2026-11-18T09:00:00Z", "2026-11-18 09:00:00", None]),
    epoch=st.sampled_from([None, 1789635660, "1789635660"]),
)
def test_the_record_id_is_the_identity(number: Any, kind: Any, date: Any, epoch: Any) -> None:
    """The one is made of columns, the other of what came: they must say the same."""
    record = {"CallID": "a", "CdrType": number, "Type": kind, "Date": date, "DateEpoch": epoch}
    if number != "x":
        assert commons([record])[0]["record_id"] == identity(record)
    pushed = {"ivruniqueid": "a", "type": kind, "time": epoch}
    assert commons([pushed], "notifications")[0]["record_id"] == notification_identity(pushed)


def test_what_tells_records_apart_is_in_the_record_id() -> None:
    record = {"CallID": "a", "CdrType": 9, "Date": "2026-11-18T09:00:00Z"}
    assert commons([record], record_hash="abc")[0]["record_id"] == "a:9:2026-11-18T09:00:00.000Z:abc"
    assert natives([record], record_hash="abc")[0]["record_hash"] == "abc"


# Direction and outcome

EXPECTED_DIRECTIONS = {
    **dict.fromkeys(
        ("Incoming Call", "Queue", "VoiceMail", "Click 2 IVR Incoming", "Click 2 Queue Incoming"), "inbound"
    ),
    **dict.fromkeys(("Extension Outgoing", "CC", "Click2Call leg2", "ProductiveCall Leg2", "FaxCdr"), "outbound"),
    **dict.fromkeys(("Click2Call leg1", "ProductiveCall Leg1", "Click 2 IVR"), "internal"),
    **dict.fromkeys(("XferCDR", "Attended CDR leg1", "Attended CDR leg2", "Auto forward"), "unknown"),
    **dict.fromkeys(("Callference", "Scrubber", "Something new"), "unknown"),
}


@pytest.mark.parametrize(("kind", "direction"), EXPECTED_DIRECTIONS.items())
def test_direction_by_type_in_any_spelling(kind: str, direction: str) -> None:
    for spelt in (kind, kind.upper(), kind.replace(" ", ""), kind.replace(" ", "  ").lower(), f" {kind} "):
        assert one(Type=spelt)["direction"] == direction
        assert push(type=spelt)["direction"] == direction


@pytest.mark.parametrize(("number", "kind"), TYPES.items())
def test_direction_by_number_alone(number: int, kind: str) -> None:
    for spelt in (number, str(number)):
        assert one(CdrType=spelt)["direction"] == EXPECTED_DIRECTIONS[kind]
        assert one(CdrType=spelt, Type="renamed")["direction"] == EXPECTED_DIRECTIONS[kind]


def test_every_type_of_both_documents_is_known() -> None:
    assert {fold(kind) for kind in SEED_TYPES} == set(DIRECTIONS)
    assert {fold(kind) for kind in TYPES.values()} <= set(DIRECTIONS)
    # Page "Call Log", 2026: number and name.
    assert {1: "Incoming Call", 4: "Extension Outgoing", 8: "Queue", 23: "Auto forward"}.items() <= TYPES.items()
    assert sorted(TYPES) == [1, 4, 8, 9, 10, 11, 13, 14, 15, 17, 18, 19, 21, 22, 23]


def test_the_numbers_of_an_unknown_type_mean_nothing() -> None:
    assert one(CdrType=2)["direction"] == "unknown"
    assert one(CdrType=2, Type="Queue")["direction"] == "inbound"


EXPECTED_OUTCOMES = {
    "ANSWER": "answered",
    "VOICEMAIL": "voicemail",
    "BUSY": "busy",
    "FULL": "busy",
    "NOANSWER": "no_answer",
    **dict.fromkeys(("CANCEL", "NOTDIALED", "NOTCALLED", "SSWPREAUTH"), "cancelled"),
    **dict.fromkeys(("ABANDONE", "VOEND", "TIMEOUT", "EXIT", "JOINEMPTY"), "abandoned"),
    **dict.fromkeys(("CONGESTION", "CHANUNAVAIL", "INVALIDARGS"), "failed"),
    **dict.fromkeys(("TE", "SOMETHING"), "unknown"),
}


@pytest.mark.parametrize(("status", "outcome"), EXPECTED_OUTCOMES.items())
def test_outcome_by_status_in_any_spelling(status: str, outcome: str) -> None:
    for spelt in (status, status.lower(), status.title(), f" {status} ", f"{status[:2]} {status[2:]}"):
        for cdr in (one(DialStatus=spelt, Type="Incoming Call"), push(status=spelt, type="Incoming Call")):
            assert cdr["outcome"] == outcome
            assert cdr["answered"] is {"ANSWER": True, "VOICEMAIL": None, "SOMETHING": None}.get(status, False)
            assert cdr["cause"] == spelt
            assert cdr["cause_q850"] is None
    assert len(OUTCOMES) == len(EXPECTED_OUTCOMES) - 2


@pytest.mark.parametrize("fields", [{"Type": "VoiceMail"}, {"CdrType": 11}, {"Type": "voice mail", "CdrType": 11}])
@pytest.mark.parametrize("status", ["ANSWER", "VOICEMAIL", "NOANSWER", ""])
def test_a_call_that_a_voicemail_box_took_is_answered(status: str, fields: dict[str, Any]) -> None:
    """The network's answer counts; the outcome says that it was a box."""
    cdr = one(DialStatus=status, Duration=9, RingTime=3, **fields)
    assert (cdr["outcome"], cdr["answered"], cdr["talk_seconds"]) == ("voicemail", True, 9)
    assert cdr["answer_time"] == "2026-11-18T09:00:03.000Z"
    assert (cdr["total_seconds"], cdr["ring_seconds"]) == (12, 3)


@pytest.mark.parametrize(("duration", "answered"), [(7, True), (0, False), (None, None)])
def test_the_status_voicemail_is_an_answer_if_something_was_recorded(
    duration: int | None,
    answered: bool | None,  # noqa: FBT001
) -> None:
    for cdr in (
        one(Type="Incoming Call", DialStatus="VOICEMAIL", RingTime=3, Duration=duration),
        push(type="Incoming Call", status="VOICEMAIL", dialtime=3, duration=duration),
    ):
        assert (cdr["outcome"], cdr["answered"]) == ("voicemail", answered)
        assert (cdr["answer_time"] is not None) is (answered is True)


def test_a_box_that_took_the_call_counts_more_than_the_word_of_the_notification() -> None:
    cdr = push(type="VoiceMail", status="VOICEMAIL", duration=5, isAnswer=0)
    assert (cdr["outcome"], cdr["answered"]) == ("voicemail", True)


@pytest.mark.parametrize("epoch", [0, "0", "", None])
@pytest.mark.parametrize("date", ["0001-01-01T00:00:00Z", "0001-01-01 00:00:00", "1970-01-01T00:00:00Z", "", None])
def test_times_that_stand_for_no_time_are_no_start(date: str | None, epoch: Any) -> None:
    cdr = one(Date=date, DateEpoch=epoch, Type="Incoming Call", DialStatus="ANSWER", Duration=3, RingTime=1)
    assert (cdr["start_time"], cdr["answer_time"], cdr["end_time"]) == (None, None, None)
    call = PROVIDER.call("cdrs")
    assert call.starts({"Date": date, "DateEpoch": epoch}, {}) is None
    assert push(type="Incoming Call", status="ANSWER", time=epoch, duration=3)["start_time"] is None


def test_times_of_calls_that_nobody_answered() -> None:
    cdr = one(Type="Incoming Call", DialStatus="NOANSWER", RingTime=25, Duration=0)
    assert (cdr["answer_time"], cdr["end_time"]) == (None, "2026-11-18T09:00:25.000Z")
    assert (cdr["ring_seconds"], cdr["talk_seconds"], cdr["total_seconds"]) == (25, 0, 25)


def test_who_called_whom() -> None:
    """Numbers first, extensions next, and for incoming calls the number that was called."""
    both = {"CallerNumber": "1", "CallerExtension": "S1", "TargetNumber": "2", "TargetExtension": "S2", "DID": "3"}
    names = {"RepresentativeName": "R", "UserName": "U", "DepartmentName": "D", "QueueName": "Q"}
    cdr = one(Type="Incoming Call", **both, **names)
    assert [cdr[name] for name in ("from_number", "to_number", "dialed_number")] == ["1", "2", "3"]
    assert [cdr[name] for name in ("from_name", "to_name", "user", "site", "queue")] == [None, "R", "R", "D", "Q"]
    cdr = one(Type="Extension Outgoing", **both, **names)
    assert [cdr[name] for name in ("from_name", "to_name", "dialed_number")] == ["R", None, "2"]
    cdr = one(Type="Queue", CallerExtension="S1", TargetExtension="S2", DID="3", UserName="U")
    assert [cdr[name] for name in ("from_number", "to_number", "user")] == ["S1", "S2", "U"]
    assert one(Type="Queue", DID="3")["to_number"] == "3"
    assert one(Type="Extension Outgoing", DID="3")["to_number"] is None
    assert one(Type="Auto forward", TargetNumber="2", DID="3")["dialed_number"] is None


def test_notifications_say_their_direction_themselves() -> None:
    for word, direction in (("incoming", "inbound"), ("Outgoing", "outbound"), (" INTERNAL ", "internal")):
        assert push(type="Auto forward", direction=word)["direction"] == direction
    assert push(type="Queue", direction="sideways")["direction"] == "inbound"
    cdr = push(type="Queue", did="3", target="2", callerextension_name="A", targetextension_name="B")
    assert [cdr[name] for name in ("dialed_number", "to_number", "from_name", "to_name")] == ["3", "2", "A", "B"]


@pytest.mark.parametrize(
    ("is_answer", "status", "answered", "outcome"),
    [
        (1, "ANSWER", True, "answered"),
        ("1", None, True, "answered"),
        (0, "ANSWER", False, "unknown"),
        (0, "ABANDONE", False, "abandoned"),
        (0, None, False, "unknown"),
        (1, "TE", True, "answered"),
        (None, None, None, "unknown"),
    ],
)
def test_notifications_say_whether_they_were_answered(
    is_answer: Any,
    status: str | None,
    answered: bool | None,  # noqa: FBT001
    outcome: str,
) -> None:
    cdr = push(isAnswer=is_answer, status=status, type="Incoming Call", dialtime=2, duration=5)
    assert (cdr["answered"], cdr["outcome"]) == (answered, outcome)
    assert (cdr["answer_time"] is not None) is (answered is True)


@pytest.mark.parametrize(
    ("fields", "ring", "talk", "total"),
    [
        ({"type": "Queue", "duration": 50, "seconds_waiting_in_queue": 20, "IVR": []}, None, 30, 50),
        ({"type": "Queue", "duration": 50, "seconds_waiting_in_queue": 20}, None, 50, 50),
        ({"type": "Queue", "duration": 10, "seconds_waiting_in_queue": 20, "isAnswer": 1}, None, 0, 10),
        (
            {"type": "Incoming Call", "duration": 50, "seconds_waiting_in_queue": 20, "IVR": [], "dialtime": 4},
            4,
            50,
            54,
        ),
        (
            {"type": "Queue", "duration": 50, "actualCallDuration": 28, "actualCallDialtime": 3, "dialtime": 9},
            3,
            28,
            53,
        ),
        ({"type": "Extension Outgoing", "actualCallDuration": 28, "dialtime": 9}, 9, 28, 37),
    ],
)
def test_seconds_of_notifications(fields: dict[str, Any], ring: int | None, talk: int, total: int) -> None:
    """In today's form the waiting is in `duration` of queue calls; in the first form it was talk alone."""
    cdr = push(status="ANSWER", **fields)
    assert (cdr["ring_seconds"], cdr["talk_seconds"], cdr["total_seconds"]) == (ring, talk, total)
    began = datetime.fromisoformat(cdr["start_time"])
    assert datetime.fromisoformat(cdr["end_time"]) - began == timedelta(seconds=total)
    assert datetime.fromisoformat(cdr["answer_time"]) - began == timedelta(seconds=total - talk)


def test_talk_that_is_longer_than_the_call_does_not_begin_before_it() -> None:
    cdr = push(status="ANSWER", duration=5, actualCallDuration=28)
    assert cdr["answer_time"] is None  # nobody knows how long it rang
    cdr = push(status="ANSWER", duration=5, actualCallDuration=28, dialtime=2)
    assert cdr["answer_time"] == cdr["start_time"]


def test_values_that_cannot_be_read_do_not_end_it() -> None:
    """They pass into native columns; in a common CDR what is computed with them is null."""
    call = PROVIDER.call("cdrs")
    assert call.common is not None
    told: list[str] = []
    schema = common(call.columns, call.common, None, told.append, provider="voicenter", profile="acme")
    odd = {"CallID": "a", "Date": "soon", "Duration": "long", "RingTime": [], "Type": {}, "DialStatus": 7, "Price": "x"}
    odd |= {"CdrType": [1], "DateEpoch": {"a": 1}}
    [row] = schema.rows(Page([odd]))
    assert schema.columns is not None
    cdr = dict(zip([column.name for column in schema.columns], row, strict=True))
    assert (cdr["start_time"], cdr["end_time"], cdr["total_seconds"], cdr["outcome"]) == ("soon", None, None, "unknown")
    assert len(told) >= 5


# Files of notifications

A = {"ivruniqueid": "a", "type": "Queue", "time": 1, "text": 'with "quotes", {braces} and [brackets] \\ and ü'}
B = {"ivruniqueid": "b", "type": "Queue", "time": 2, "IVR": [{"layer_id": 1}, {"layer_id": 2}], "x": {}}


def pieces(content: bytes) -> Iterable[Event]:
    lines = iter(content.splitlines(keepends=True))
    return PROVIDER.call("notifications").fetch(Connected("", None, None).query({"file": lines}))


def read(content: bytes) -> list[dict[str, Any]]:
    return [one for piece in pieces(content) if isinstance(piece, Page) for one in piece.records]


def plain(*records: Any, **how: Any) -> bytes:
    return "\n".join(json.dumps(one, ensure_ascii=False, **how) for one in records).encode()


@pytest.mark.parametrize(
    "content",
    [
        plain(A, B),
        plain(A, B) + b"\n",
        b"\xef\xbb\xbf" + plain(A, B),
        plain(A, B).replace(b"\n", b"\r\n\r\n"),
        plain(A, B).replace(b"\n", b""),
        plain(A, B, indent=2),
        plain(A, B, indent=2).replace(b"\n", b"\r\n"),
        plain(A, B, indent=2).replace(b"}\n{", b"}{"),
        plain([A, B]),
        plain([A, B], indent=4),
        plain([A], [B]),
        plain([A], B),
        plain(A, [B], []),
        b" \n\n [\n" + plain(A) + b"\n,\n" + plain(B) + b"]\n",
    ],
    ids=range(14),
)
def test_one_object_a_list_or_object_after_object(content: bytes) -> None:
    assert read(content) == [A, B]


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\t\n", b"[]", b"[\n]\n"])
def test_a_file_without_notifications(content: bytes) -> None:
    assert read(content) == []


@pytest.mark.parametrize(
    ("content", "line", "why"),
    [
        (plain(A) + b"\nnonsense\n", 2, ": something else stands where"),
        (plain(A) + b'\n{"ivruniqueid": "b"', 2, ""),
        (plain(A) + b'\n{"ivruniqueid": "b",\n"x": }\n' + plain(B), 3, "column 6"),
        (plain(A) + b'\n{"ivruniqueid" "b"}\n', 2, "column 16 of what begins in line 2"),
        (plain(A) + b'\n{"ivruniqueid": "b\n"}\n', 2, "a text has no end"),
        (b"[" + plain(A) + b"\n" + plain(B) + b"]", 2, "'{' stands where"),
        (b"[" + plain(A) + b",\n]", 2, "']' stands where"),
        (b"[" + plain(A) + b"\n", 1, "the file ends in the middle"),
        (plain(A) + b",\n" + plain(B), 1, "',' stands where"),
        (b"[[\n" + plain(A) + b"]]", 1, "'[' stands where"),
        (b"\n\n42\n", 3, ": something else stands where"),
        (b'"text"\n', 1, "stands where"),
        (plain(A) + b"\n}\n", 2, "'}' stands where"),
        (b'{"ivruniqueid": "a"]\n', 1, "column"),
        (b'{"ivruniqueid": "a", "x": NaN}\n', 1, "NaN is not JSON"),
        (b'\n{"ivruniqueid": "a", "x": ' + b"9" * 5000 + b"}\n", 2, "limit"),
        ("é".encode("utf-16"), 1, "stands where a notification should begin"),
        (b"<?xml version='1.0'?><methodCall></methodCall>", 1, "choose JSON"),
        (plain(A) + b"\n  <methodCall>", 2, "choose JSON"),
        (b"number=1&text=2", 1, "none of its fields is one"),
        (b'{"ivruniqueid": ' + b"[" * 300 + b"]" * 300 + b"}\n", 1, "more than 200 lists"),
        (plain(A) + b"\n{}\n", 2, "this is no CDR notification"),
        (plain(A, {"Err": 0, "Errdesc": "OK"}), 2, "none of its fields is one"),
        ((DATA / "doc_cdr_ok.json").read_bytes(), 1, "it is an answer of the Call Log"),
    ],
)
def test_a_broken_file_is_refused_by_its_line(content: bytes, line: int, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(content)
    assert f"line {line}: " in caught.value.message
    assert why in caught.value.message
    assert "one object after the other" in (caught.value.hint or "")
    assert caught.value.exit_code == 2


@tried(max_examples=60, deadline=None)
@given(
    values=st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=5,
    ),
    indent=st.sampled_from([None, 0, 1]),
    listed=st.booleans(),
    ascii_only=st.booleans(),
)
def test_whatever_json_can_say_is_read_as_it_is(
    values: list[Any], indent: int | None, *, listed: bool, ascii_only: bool
) -> None:
    records = [{"ivruniqueid": str(n), "value": value} for n, value in enumerate(values)]
    documents: list[Any] = [records] if listed else [*records]
    text = "\n".join(json.dumps(one, indent=indent, ensure_ascii=ascii_only) for one in documents)
    assert read(text.encode()) == records


def exported(content: bytes) -> tuple[list[Any], Tally]:
    tally = Tally()
    call = PROVIDER.call("notifications")
    pages = rows(pieces(content), call, raw(), None, tally, lambda _level, _text: None)
    return [dict(one) for page in pages for one in page], tally


def test_a_notification_that_was_sent_again_is_dropped_and_one_that_says_more_is_kept() -> None:
    again = {**A, "duration": 5}
    found, tally = exported(plain(A, B, A, again, A, again))
    assert sorted(map(str, found)) == sorted(map(str, [A, B, again]))
    assert tally.duplicates == 3
    hashes = {one.context.get("record_hash", "") for one in pieces(plain(A, again)) if isinstance(one, Page)}
    assert sorted(map(len, hashes)) == [0, 12]


def test_a_large_file_is_read_in_pages() -> None:
    """What is first in a page is yielded before the rest of the file is looked at."""
    many = [{**A, "ivruniqueid": str(n)} for n in range(2500)]
    taken = 0

    def lines() -> Iterable[bytes]:
        nonlocal taken
        for one in many:
            taken += 1
            yield plain(one) + b"\n"

    found = PROVIDER.call("notifications").fetch(Connected("", None, None).query({"file": lines()}))
    first = next(iter(found))
    assert isinstance(first, Page)
    assert (len(first.records), taken) == (1000, 1000)
    assert [len(page.records) for page in found if isinstance(page, Page)] == [1000, 500]


def test_notifications_ask_nobody_and_have_no_window() -> None:
    call = PROVIDER.call("notifications")
    assert call.offline
    assert call.start is None
    assert [option.name for option in call.options if option.argument] == ["file"]


def test_bytes_that_are_no_utf8_cost_a_character_and_are_said_once() -> None:
    content = plain(A) + b"\n" + plain({**B, "representative_name": "N?"}).replace(b"N?", b"N\xf9") + b"\n" + plain(A)
    assert [one.get("representative_name") for one in read(content)][1] == "N\ufffd"
    notes = [piece.text for piece in pieces(content) if isinstance(piece, Note)]
    assert len(notes) == 1
    assert "line 2" in notes[0]


def test_bodies_that_are_encoded_as_a_form_are_read_line_by_line() -> None:
    content = b"caller=0720000001&target=&time=1536855354&duration=33&status=ANSWER&type=Incoming+Call&ivruniqueid=a\n"
    [record, other] = read(content + b"Caller=0720000002&IvrUniqueID=b\r\n")
    assert record["type"] == "Incoming Call"
    assert push(**record)["start_time"] == "2018-09-13T16:15:54.000Z"
    assert push(**record)["talk_seconds"] == 33
    assert push(**other)["from_number"] == "0720000002"


@pytest.mark.parametrize("spell", [str.lower, str.upper, lambda key: key[:1].upper() + key[1:]])
def test_a_list_of_one_with_keys_in_any_letter_case(spell: Any) -> None:
    sent = {
        "caller": "0720000001",
        "ivruniqueid": "a",
        "isAnswer": 1,
        "time": 1536855354,
        "leg1DialStatusName": "ANSWER",
    }
    [record] = read(json.dumps([{spell(key): value for key, value in sent.items()}]).encode())
    [cdr] = commons([record], "notifications")
    assert (cdr["from_number"], cdr["call_id"], cdr["answered"]) == ("0720000001", "a", True)


@pytest.mark.parametrize(
    "ai_data",
    [
        None,
        {},
        {"insights": None, "emotions": None, "transcript": None},
        {"transcript": [{"speaker": "Speaker0", "text": "secret words", "startTime": 1.5, "endTime": None}]},
        {"transcript": [{"text": "secret words"}]},
        7,
    ],
)
def test_parts_of_ai_data_may_be_missing_and_no_warning_shows_what_was_said(ai_data: Any) -> None:
    told: list[str] = []
    schema = native(PROVIDER.call("notifications").columns, None, told.append)
    sent = {"caller": "0720000001", "ivruniqueid": "a", "aiData": ai_data, "CustomData": ai_data}
    assert len(list(schema.rows(Page([sent])))) == 1
    assert "secret" not in str(told)


@pytest.mark.slow
def test_what_has_no_end_is_refused_before_memory_is_full() -> None:
    """A line of zeros, and an object that goes on for ever."""
    mebibyte = b" " * 2**20 + b"\n"
    for endless in ([b"\0" * (2**26 + 1)], itertools.chain([b"{"], itertools.repeat(mebibyte))):
        with pytest.raises(UsageError, match="has more than 64 MiB"):
            list(PROVIDER.call("notifications").fetch(Connected("", None, None).query({"file": iter(endless)})))
    many = itertools.chain(itertools.repeat(plain(A) + b"\n", 3), [mebibyte] * 70)
    assert len(list(PROVIDER.call("notifications").fetch(Connected("", None, None).query({"file": many})))) == 1
