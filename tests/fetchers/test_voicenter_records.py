"""The columns, times and identity of Voicenter records and notifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings as tried, strategies as st

from cdrctl.fetchers.voicenter import PROVIDER
from cdrctl.fetchers.voicenter.columns import NOTIFIED, identity, notification_identity
from cdrctl.fetchers.voicenter.zone import start
from cdrctl.records.events import Page
from cdrctl.records.schemas import native
from tests.support.products import for_each

from .voicenter_kit import DATA, sample
from .voicenter_records_kit import commons, one, warned

# The 23 fields of "CDR request parameters" in the user's document, in its order.
SEED_NOTIFIED = (
    *("caller", "target", "time", "duration", "ivruniqueid", "type", "status", "targetextension", "callerextension"),
    *("did", "queueid", "queuename", "record", "price", "dialtime", "representative_name", "representative_code"),
    *("targetextension_name", "callerextension_name", "target_country", "caller_country"),
    *("seconds_waiting_in_queue", "OriginalIvrUniqueID"),
)


def natives(records: Sequence[dict[str, Any]], call: str = "cdrs", **context: str) -> list[dict[str, Any]]:
    schema = native(PROVIDER.call(call).columns, None, warned)
    assert schema.columns is not None
    names = [column.name for column in schema.columns]
    return [dict(zip(names, row, strict=True)) for row in schema.rows(Page([*records], context))]


def given_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a row without nulls and without those that every row has."""
    return {key: value for key, value in row.items() if value is not None and key not in {"provider", "profile"}}


# The samples, with values calculated by hand


def test_values_of_the_sample_of_the_documentation() -> None:
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


def test_keys_may_be_in_lower_case() -> None:
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


def test_values_of_the_sample_of_the_first_version() -> None:
    """Its date has no zone, its duration is text, its type lacks a blank, and it has few fields."""
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


def test_values_of_the_samples_of_notifications() -> None:
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


def test_every_field_of_the_users_document_is_a_column_of_notifications() -> None:
    assert tuple(column.key for column in NOTIFIED[:23]) == SEED_NOTIFIED
    assert [column.name for column in NOTIFIED[:3]] == ["caller", "target", "time"]
    assert NOTIFIED[22].name == "original_ivr_unique_id"


def test_values_of_the_examples_in_the_users_document() -> None:
    """One notification has every example value of the user's document."""
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


@for_each(
    "agorot, money",
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


def test_a_missing_value_is_null() -> None:
    assert given_values(one()) == {
        "record_id": "c::2026-11-18T09:00:00.000Z",
        "call_id": "c",
        "direction": "unknown",
        "start_time": "2026-11-18T09:00:00.000Z",
        "outcome": "unknown",
    }


@for_each(
    "raw_value, expected", [(True, True), (0, False), ("1", True), ("no", False), ("FALSE", False), ("Yes", True)]
)
def test_booleans_are_read_in_all_spellings(raw_value: Any, expected: bool) -> None:  # noqa: FBT001
    assert natives([{"RecordExpect": raw_value}])[0]["record_expect"] is expected


# Times and identity


@for_each(
    "fields, expected",
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
def test_start_of_a_call_is_read_in_all_forms(fields: dict[str, Any], expected: str) -> None:
    found = start(fields)
    assert found is not None
    assert found.isoformat() == expected
    assert commons([fields])[0]["start_time"] == found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@for_each("fields", [{}, {"Date": ""}, {"Date": "yesterday"}, {"Date": 5}, {"DateEpoch": "x"}])
def test_an_unreadable_start_is_null(fields: dict[str, Any]) -> None:
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


def test_the_identity_of_a_record_without_a_call_id_is_its_content() -> None:
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
    """The first is made of columns, the second of the raw record; they must agree."""
    record = {"CallID": "a", "CdrType": number, "Type": kind, "Date": date, "DateEpoch": epoch}
    if number != "x":
        assert commons([record])[0]["record_id"] == identity(record)
    pushed = {"ivruniqueid": "a", "type": kind, "time": epoch}
    assert commons([pushed], "notifications")[0]["record_id"] == notification_identity(pushed)


def test_records_of_different_identity_have_different_record_ids() -> None:
    record = {"CallID": "a", "CdrType": 9, "Date": "2026-11-18T09:00:00Z"}
    assert commons([record], record_hash="abc")[0]["record_id"] == "a:9:2026-11-18T09:00:00.000Z:abc"
    assert natives([record], record_hash="abc")[0]["record_hash"] == "abc"
