"""The columns, identity and start of CallGear records."""

from __future__ import annotations

from typing import Any

from cdrctl.fetchers import Call
from cdrctl.fetchers.callgear import PROVIDER
from cdrctl.fetchers.callgear.columns import identity, start
from cdrctl.fetchers.callgear.fields import CALLS, COSTS, LEGS, USERS, Field
from tests.support.products import for_each

from .callgear_kit import Wire, at, sample
from .callgear_records_kit import CONTEXT, call, read

# The table "Parameters of a reply" of the user's document: name, type, filtering, sorting.
SEED = """
id number F-, call_session_id number FS, call_records array --, start_time iso8601 -S, connect_time iso8601 --,
duration number FS, total_duration number FS, virtual_phone_number string FS, calling_phone_number string FS,
called_phone_number string FS, direction enum FS, is_transfered boolean FS, is_operator boolean FS,
employee_id number FS, employee_full_name string FS, employee_phone_number string FS, employee_rating number FS,
scenario_id number FS, scenario_name string FS, is_coach boolean FS, release_cause_code number FS,
release_cause_description string FS, is_failed boolean FS, is_talked boolean FS, contact_id id --,
contact_full_name string --, contact_phone_number string --, action_id number F-, action_name string F-,
group_id number F-, group_name string F-
"""


def test_every_field_of_the_users_document_is_a_column_with_its_rights() -> None:
    table = [line.split() for line in SEED.replace("\n", " ").split(",")]
    assert len(table) == 31
    ours = {one.name: one for one in LEGS}
    for name, wire, marks in table:
        assert ours[name].wire == ("number" if wire == "id" else wire)
        assert ours[name].marks == marks.replace("-", "")
        assert not ours[name].later
    assert {one.name for one in LEGS if one.later} == {name for name in ours if name not in {row[0] for row in table}}


@for_each("ours, name", [(LEGS, "legs"), (CALLS, "calls"), (COSTS, "financial")], ids=["legs", "calls", "costs"])
def test_fields_are_those_of_the_documentation_in_its_order(ours: tuple[Field, ...], name: str) -> None:
    fields = [one for one in sample(f"data_{name}_fields.json")["fields"] if "inside" not in one]
    ours = tuple(one for one in ours if one.name != "utm_referrer")  # of a client only
    for one, documented in zip(ours, fields, strict=True):
        marks = ("F" if documented["filter"] else "") + ("S" if documented["sort"] else "")
        assert (one.name, one.wire, one.marks) == (documented["name"], documented["type"], marks)
        assert one.meaning


@for_each(
    "ours, name",
    [
        *((LEGS, "call_legs_report"), (CALLS, "calls_report"), (COSTS, "financial_call_legs_report")),
        (USERS, "get_customer_users"),
    ],
)
def test_every_field_of_the_newest_example_is_a_column(ours: tuple[Field, ...], name: str) -> None:
    [row] = sample(f"doc_shape_{name}.json")["result"]["data"]
    assert set(row) <= {one.name for one in ours}


def test_fields_without_the_later_ones_are_those_of_the_newest_example() -> None:
    [row] = sample("doc_shape_calls_report.json")["result"]["data"]
    assert {one.name for one in CALLS if not one.later} == set(row)


@for_each("found", PROVIDER.calls)
def test_columns_have_unique_names_and_a_meaning(found: Call) -> None:
    names = [column.name for column in found.columns]
    assert len(names) == len(set(names))
    assert all(column.meaning for column in found.columns)
    assert set(found.table_columns) <= set(names)


def test_collected_legs_are_read() -> None:
    records = sample("constructed_call_legs_report_page.json")["result"]["data"]
    (first, second), warnings = read("legs", *records)
    assert warnings == []
    assert first["extra"] is None
    assert first["start_time"] == "2026-04-27T07:04:23.000Z"
    assert first["start_time_local"] == "2026-04-27 09:04:23"
    assert first["connect_time"] is None
    assert second["connect_time"] == "2026-04-27T07:04:31.000Z"
    assert second["id"] == "9000000002"
    assert second["call_session_id"] == "5000000001"
    assert second["call_records"] == ["4f2b7c0e6d8a4b1f9e3c2d1a0b9c8d7e"]
    assert (second["duration"], second["total_duration"], second["release_cause_code"]) == (317, 325, 16)
    assert (first["is_failed"], second["is_operator"]) == (True, True)
    assert second["employee_id"] == "2870"
    assert second["timezone"] == "Europe/Berlin"
    (dubai, _), _ = read("legs", *records, timezone="Asia/Dubai")
    assert dubai["start_time"] == "2026-04-27T05:04:23.000Z"
    assert dubai["start_time_local"] == first["start_time_local"]


def test_collected_costs_and_users_are_read() -> None:
    [row], warnings = read("costs", *sample("constructed_financial_page.json")["result"]["data"])
    assert (row["leg_id"], row["call_session_id"], row["chargeable_duration"]) == ("9000000002", "5000000001", 360)
    assert (row["cost_per_minute"], row["total_charge"], row["bonuses_charge"]) == ("0.15", "0.9", "0")
    assert row["start_time"] == "2026-04-27T07:04:23.000Z"
    users, more = read("users", *sample("constructed_customer_users_page.json")["result"]["data"])
    assert [(one["id"], one["customer_id"], one["name"]) for one in users] == [("2000", "100000", "Person One")]
    assert warnings + more == []


@for_each("raw", ["soon", "2026-04-27", "2026-04-27 24:00:00", "2026-13-01 00:00:00", 7, [1]])
def test_invalid_time_is_kept_unchanged(raw: Any) -> None:
    [row], warnings = read("legs", {"id": 1, "start_time": "2026-04-27 09:04:23", "connect_time": raw})
    assert row["connect_time"] == raw
    assert len(warnings) == 1
    assert start({"start_time": raw}, CONTEXT) is None


def test_unknown_fields_are_kept() -> None:
    [row], _ = read("legs", {"id": 1, "newField": 2})
    assert row["extra"] == {"newfield": 2}


@for_each(
    "raw, zone, instant",
    [
        ("2026-07-01 12:00:00", "Europe/Berlin", "2026-07-01T10:00"),
        ("2026-10-25 02:30:00", "Europe/Berlin", "2026-10-25T00:30"),  # the first of two
        ("2026-10-25 03:00:00", "Europe/Berlin", "2026-10-25T02:00"),
        ("2026-03-29 02:30:00", "Europe/Berlin", "2026-03-29T01:30"),  # a time that does not exist
        ("2026-07-01 12:00:00", "utc", "2026-07-01T12:00"),
        ("2026-07-01T12:00:00.25", "Asia/Kathmandu", "2026-07-01T06:15:00.250"),
    ],
)
def test_a_start_is_read_in_the_zone_of_its_account(raw: str, zone: str, instant: str) -> None:
    assert start({"start_time": raw}, {"timezone": zone}) == at(instant)


def test_start_without_a_zone_is_null() -> None:
    assert start({"start_time": "2026-07-01 12:00:00"}, {}) is None
    assert start({}, CONTEXT) is None
    assert start({"start_time": "0001-01-01 00:00:00"}, CONTEXT) is None


def test_the_identity_of_a_record_is_its_id_or_else_its_content() -> None:
    assert identity({"id": 7}) == identity({"ID": "7"}) == "7"
    nameless: list[Wire] = [{"id": None, "x": 1}, {"x": 1}, {"id": "", "x": 1}, {"id": True, "x": 1}]
    assert len({identity(one) for one in nameless}) == 4
    assert call("costs").identity({"leg_id": 1, "x": 1}) != call("costs").identity({"leg_id": 1, "x": 2})
