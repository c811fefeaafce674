"""PortSIP's records as columns and common CDRs, and tools for the other tests of PortSIP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import Call, Query, connect
from cdrctl.fetchers.portsip import PROVIDER
from cdrctl.fetchers.portsip.columns import CALLLOGS, CDR, CDRS, FINISHED, LISTED, MADE, REPORT, identity, start
from cdrctl.fetchers.portsip.common import common_cdr, common_leg
from cdrctl.fetchers.portsip.settings import PortsipSettings
from cdrctl.records import schemas
from cdrctl.records.columns import Column
from cdrctl.records.events import File, Page, Value
from cdrctl.windows import Window, duration
from tests.support.clock import HandClock
from tests.support.products import for_each
from tests.test_placeholders import PLACEHOLDERS

DATA = Path(__file__).parents[1] / "data" / "portsip"

BASE = "https://pbx.example.net:8887/api"
SETTINGS = {"base_url": BASE, "access_token": "T0KEN-OF-OURS"}
USER = {"base_url": BASE, "username": "admin", "password": "pa55-w0rd", "domain": "test.com"}

# The fields of the user's document, in its order.
CALL_FIELDS = [
    "caller",
    "caller_domain",
    "caller_display_name",
    "callee",
    "callee_domain",
    "callee_display_name",
    "started_at",
    "rang_at",
    "answered_at",
    "ended_at",
    "call_id",
    "direction",
    "end_reason",
    "reroute_reason",
    "status_code",
    "destination",
    "outbound_caller_id",
    "did_cid",
    "trunk",
    "duration",
    "cost",
    "billed_account",
    "service_number",
    "user_data",
]
REPORT_FIELDS = [
    "id",
    "name",
    "type",
    "email",
    "format",
    "range",
    "started_at",
    "ended_at",
    "cron_expr",
    "filter",
    "status",
]
FINISHED_FIELDS = ["id", "name", "type", "format", "completed_at", "file_name", "file_size", "file_url"]


def sample(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(since: str, until: str) -> Window:
    return Window(at(since), at(until))


@dataclass
class Run:
    """The result of one call."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    contexts: list[Mapping[str, str]] = field(default_factory=list)
    files: list[tuple[str, bytes]] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    duplicates: int = 0
    requests: int = 0
    waited: float = 0.0

    @property
    def ids(self) -> list[str]:
        return sorted(row["id"] for row in self.rows)


def defaults(call: Call) -> dict[str, Any]:
    """Return the default options of a call."""
    values: dict[str, Any] = {}
    for option in call.options:
        value: Any = option.default
        if option.repeat:
            value = ()
        elif option.kind == "flag":
            value = False
        elif value is not None and option.kind == "integer":
            value = int(value)
        elif value is not None and option.kind == "duration":
            value = duration(value)
        values[option.name] = value
    return values


def fetched(
    settings: Mapping[str, Any],
    call: str,
    span: Window | None = None,
    *,
    transport: httpx.BaseTransport | None = None,
    clock: HandClock | None = None,
    run: Run | None = None,
    **options: Any,
) -> Run:
    """Run one call, written `group name`, through the loop of every export, without waiting."""
    clock = clock or HandClock()
    made = PortsipSettings.of(settings)
    seen = run or Run()
    group, _, name = call.rpartition(" ")
    known = PROVIDER.call(name, group)
    unknown = set(options) - {option.name for option in known.options}
    assert not unknown
    tally = Tally()
    client = connect(
        PROVIDER,
        made,
        clock=clock.clock,
        log=lambda _level, text: seen.told.append(text),
        conceal=seen.secrets.extend,
        transport=transport,
    )

    def save(file: File) -> None:
        seen.files.append((file.name, b"".join(file.content)))

    def log(_level: str, text: str) -> None:
        seen.told.append(text)

    with closing(client):
        pieces = known.fetch(Query(client, made, span, {**defaults(known), **options}))
        for page in rows(pieces, known, keeping(), span, tally, log, save=save):
            for kept in page:
                assert isinstance(kept, dict)
                seen.rows.append(kept["row"])
                seen.contexts.append(kept["context"])
        seen.requests = client.requests
    seen.gaps = [gap.what for gap in tally.gaps]
    seen.duplicates = tally.duplicates
    seen.waited = clock.seconds
    return seen


def keeping() -> schemas.Schema:
    """Return a schema that leaves records unchanged and keeps the context of their page."""
    return schemas.Schema(None, lambda page: [{"row": row, "context": page.context} for row in page.records])


def natively(
    rows: Iterable[dict[str, Any]], columns: Sequence[Column], context: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Return rows as native values by column name; a value that cannot be read fails the test."""

    def no(text: str) -> None:
        raise AssertionError(text)

    schema = schemas.native(columns, None, no)
    names = [column.name for column in schema.columns or ()]
    read = schema.rows(Page(list(rows), context or {}))
    return [dict(zip(names, row, strict=True)) for row in read]


def commonly(
    rows: Iterable[dict[str, Any]],
    columns: Sequence[Column] = CDRS,
    to_common: Callable[[dict[str, Value]], dict[str, Value]] = common_cdr,
    context: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Return rows as common CDRs without their null columns."""
    schema = schemas.common(columns, to_common, None, lambda _text: None, provider="portsip", profile="p")
    names = [column.name for column in schema.columns or ()]
    found = schema.rows(Page(list(rows), context or {}))
    cdrs = [dict(zip(names, row, strict=True)) for row in found]
    return [{name: value for name, value in cdr.items() if value is not None} for cdr in cdrs]


# Columns


def test_every_field_of_the_document_is_a_column() -> None:
    """Columns have the order and the names of the document."""
    assert [column.name for column in CDRS] == ["id", *CALL_FIELDS]
    assert [column.name for column in CALLLOGS] == ["id", "session_id", *CALL_FIELDS]
    assert [column.name for column in CDR] == ["id", *CALL_FIELDS]
    assert [column.name for column in REPORT] == REPORT_FIELDS
    assert [column.name for column in LISTED] == ["id", "name", "type", "cron_expr", "status"]
    assert [column.name for column in FINISHED] == FINISHED_FIELDS
    assert {column.name for column in MADE} == {*REPORT_FIELDS, *FINISHED_FIELDS}
    for columns in (CDRS, CALLLOGS, REPORT, FINISHED):
        assert all(column.key == column.name and column.meaning for column in columns)


@for_each(
    "name, columns",
    [
        ("doc_cdrs_list.json", CDRS),
        ("doc_calllogs_list.json", CALLLOGS),
        ("doc_cdr_detail.json", CDR),
        ("doc_calllog_detail.json", CALLLOGS),
        ("real_cdrs_list.json", CDRS),
        ("constructed_cdrs_list_mixed.json", CDRS),
        ("constructed_cdr_detail_two_legs.json", CDR),
        ("doc_call_reports_list.json", LISTED),
        ("doc_call_report_detail.json", REPORT),
        ("doc_completed_call_reports_list.json", FINISHED),
        ("doc_completed_call_report_detail.json", FINISHED),
    ],
)
def test_every_value_of_the_samples_has_a_column(name: str, columns: Sequence[Column]) -> None:
    """No value is left for `extra`."""
    body = sample(name)
    rows = body.get("items", [body])
    read = natively(rows, columns, {"id": "x"})
    assert [row["extra"] for row in read] == [None] * len(rows)
    for raw, row in zip(rows, read, strict=True):
        for key, value in raw.items():
            assert (row[key] is None) == (value in (None, "")), key


def test_every_name_in_the_table_of_fields_is_a_column() -> None:
    """The names are in a table beside the samples."""
    names = {one["name"] for one in sample("data_fields.json")["fields"]}
    assert names == {column.name for column in CALLLOGS}


def test_native_values_of_the_published_records() -> None:
    """Empty text is null, microseconds become milliseconds, and ids stay text."""
    first, second = natively(sample("real_cdrs_list.json")["items"], CDRS)
    assert first["id"] == "878156644691742720"
    assert first["started_at"] == "2024-08-20T06:00:59.457Z"
    assert (first["status_code"], first["duration"], first["reroute_reason"]) == (0, 35, None)
    assert (second["answered_at"], second["status_code"], second["end_reason"]) == (None, 486, None)
    assert (first["cost"], first["service_number"], first["user_data"]) == (None, None, None)


# The common CDR, with every value calculated by hand


def test_common_cdrs_of_the_published_records() -> None:
    answered, busy = commonly(sample("real_cdrs_list.json")["items"])
    assert answered == {
        "provider": "portsip",
        "profile": "p",
        "record_id": "878156644691742720",
        "call_id": "878156644691742720",
        "direction": "internal",
        "from_number": "102",
        "from_name": "Person Two",
        "to_number": "103",
        "to_name": "Person Three",
        "start_time": "2024-08-20T06:00:59.457Z",
        "answer_time": "2024-08-20T06:01:01.965Z",
        "end_time": "2024-08-20T06:01:36.158Z",
        "ring_seconds": 2,
        "talk_seconds": 35,
        "total_seconds": 36,
        "answered": True,
        "outcome": "answered",
        "cause": "CALLER_DISCONNECT",
        "user": "Person Three",
        "site": "test.com",
    }
    assert busy == {
        "provider": "portsip",
        "profile": "p",
        "record_id": "878156595253481472",
        "call_id": "878156595253481472",
        "direction": "internal",
        "from_number": "101",
        "from_name": "Person One",
        "to_number": "102",
        "to_name": "Person Two",
        "start_time": "2024-08-20T06:00:47.670Z",
        "end_time": "2024-08-20T06:00:49.680Z",
        "ring_seconds": 1,
        "talk_seconds": 0,
        "total_seconds": 2,
        "answered": False,
        "outcome": "busy",
        "cause": "SIP 486",
        "user": "Person Two",
        "site": "test.com",
    }


def test_common_cdrs_of_the_mixed_records() -> None:
    queue, cancelled, inbound, out_again = commonly(sample("constructed_cdrs_list_mixed.json")["items"])
    chosen = [
        "direction",
        "from_number",
        "to_number",
        "dialed_number",
        "user",
        "site",
        "trunk",
        "queue",
        "outcome",
        "answered",
        "cause",
    ]
    assert [[row.get(name) for name in chosen] for row in (queue, cancelled, inbound, out_again)] == [
        [
            *("inbound", "12025550134", "8000", "15550106", "Sales queue", "test.com", "Trunk A", "8000"),
            *("abandoned", True, "CALLER_DISCONNECTED"),
        ],
        [
            *("outbound", "101", "12025550177", "12025550177", "Person Two", "test.com", "Trunk A", None),
            *("cancelled", False, "CANCELLED"),
        ],
        [
            *("inbound", "12025550134", "102", "15550106", "Person Three", "test.com", "Trunk A", None),
            *("answered", True, "BLIND_TRANSFER_COMPLETED"),
        ],
        [
            *("inbound", "12025550134", "102", None, "Person Three", "test.com", "Trunk A", None),
            *("busy", False, "SIP 486"),
        ],
    ]
    seconds = [[row.get(f"{name}_seconds") for name in ("ring", "talk", "total")] for row in (queue, cancelled)]
    assert seconds == [[0, 90, 90], [18, 0, 20]]
    assert "ring_seconds" not in out_again
    assert out_again["total_seconds"] == 0


def test_common_cdrs_of_the_legs_of_a_detail() -> None:
    """They have the requested id with a number. The cost is money without a currency."""
    first, second = sample("constructed_cdr_detail_two_legs.json")["items"]
    one = commonly([first], CDR, common_leg, {"id": "878#1"})[0]
    two = commonly([second], CDR, common_leg, {"id": "878#2"})[0]
    assert (one["record_id"], one["call_id"], one["cost"]) == ("878#1", "878", "0.12")
    assert (two["record_id"], two["call_id"], two["cost"]) == ("878#2", "878", "0.0")
    assert "currency" not in one
    assert one["cause"] == "BLIND_TRANSFER_COMPLETED"


def test_call_id_of_a_call_log_is_its_session() -> None:
    made = commonly([{"id": "1", "session_id": "s", "started_at": "2026-11-18T00:00:00Z"}], CALLLOGS)[0]
    assert (made["record_id"], made["call_id"]) == ("1", "s")


RANG, ANSWERED = {"rang_at": "2026-11-18T00:00:01Z"}, {"answered_at": "2026-11-18T00:00:02Z"}


@for_each(
    "values, outcome",
    [
        ({**ANSWERED}, "answered"),
        ({**ANSWERED, "status_code": 486}, "answered"),
        ({**ANSWERED, "reroute_reason": "queue_abandoned"}, "abandoned"),
        ({"reroute_reason": "QUEUE_ABANDONED"}, "abandoned"),
        ({"status_code": 486}, "busy"),
        ({"status_code": 600, "end_reason": "CANCELLED"}, "busy"),
        ({"status_code": 487}, "cancelled"),
        ({"status_code": 0, "end_reason": "Cancelled", **RANG}, "cancelled"),
        ({"status_code": 408}, "no_answer"),
        ({"status_code": "480"}, "no_answer"),
        ({"status_code": 401}, "rejected"),
        ({"status_code": 403}, "rejected"),
        ({"status_code": 603}, "rejected"),
        ({"status_code": 503, "reroute_reason": "CAPACITY_BLOCKED"}, "rejected"),
        ({"status_code": 400}, "failed"),
        ({"status_code": 404}, "failed"),
        ({"status_code": 503}, "failed"),
        ({"status_code": 699}, "failed"),
        ({"status_code": 0, **RANG}, "no_answer"),
        ({"status_code": 0}, "unknown"),
        ({"status_code": 200, **RANG}, "unknown"),
        ({"status_code": None, **RANG}, "unknown"),
        ({"status_code": "many"}, "unknown"),
        ({"status_code": 700}, "unknown"),
        ({"duration": 5, **RANG}, "unknown"),
        ({"duration": 5, "status_code": 486, **RANG}, "busy"),
    ],
)
def test_outcome_of_a_record(values: dict[str, Any], outcome: str) -> None:
    assert commonly([{"id": "1", **values}])[0]["outcome"] == outcome


@for_each("nothing", [*PLACEHOLDERS, "", None])
def test_placeholder_time_is_null(nothing: Any) -> None:
    """A busy call with an answer in the year 1 was not answered, never rang and has no end."""
    times = {"rang_at": nothing, "answered_at": nothing, "ended_at": nothing}
    row = {"id": "1", "started_at": "2026-11-18T00:00:00Z", "status_code": 486, "duration": 0, **times}
    made = commonly([row])[0]
    assert (made["answered"], made["outcome"]) == (False, "busy")
    assert not {"answer_time", "end_time", "ring_seconds", "total_seconds"} & set(made)
    assert {natively([row], CDRS)[0][name] for name in times} == {None}


def test_outcome_of_talk_without_an_answer_time_is_unknown() -> None:
    made = commonly([{"id": "1", "duration": 35, "answered_at": "0001-01-01T00:00:00Z", "status_code": 0}])[0]
    assert "answered" not in made
    assert made["outcome"] == "unknown"


@for_each(
    "wire, ours, user, site, dialed",
    [
        ("INBOUND_CALL", "inbound", "Bo", "b", "800"),
        ("inbound_call", "inbound", "Bo", "b", "800"),
        ("OUTBOUND_CALL", "outbound", "Al", "a", "2"),
        ("EXTENSION_CALL", "internal", "Bo", "a", None),
        ("INBOUND_OUTBOUND_CALL", "inbound", "Bo", "b", "800"),
        ("SOMETHING_NEW", "unknown", None, "a", None),
        ("", "unknown", None, "a", None),
        (7, "unknown", None, "a", None),
    ],
)
def test_direction_user_and_site_of_a_record(
    wire: Any, ours: str, user: str | None, site: str, dialed: str | None
) -> None:
    row = {"caller": "1", "caller_display_name": "Al", "caller_domain": "a", "did_cid": "800"}
    row |= {"callee": "2", "callee_display_name": "Bo", "callee_domain": "b", "direction": wire}
    made = commonly([row])[0]
    assert [made.get(name) for name in ("direction", "user", "site", "dialed_number")] == [ours, user, site, dialed]
    unnamed = commonly([{**row, "caller_display_name": "", "callee_display_name": None}])[0]
    assert unnamed.get("user") == ({"Al": "1", "Bo": "2"}[user] if user else None)


def test_lengths_between_inconsistent_times_are_null() -> None:
    row = {"started_at": "2026-11-18T00:00:10Z", "rang_at": "2026-11-18T00:00:20Z", "ended_at": "2026-11-18T00:00:05Z"}
    made = commonly([row])[0]
    assert "ring_seconds" not in made
    assert "total_seconds" not in made
    assert "total_seconds" not in commonly([{"started_at": "soon", "ended_at": "2026-11-18T00:00:05Z"}])[0]


def test_identity_and_start_of_a_record() -> None:
    """A record without an id is identified by its content. A record without a start time has no start."""
    assert identity({"id": "900000000000000001"}) == "900000000000000001"
    assert identity({"Id": "9"}) == "9"
    assert identity({"id": "", "a": 1}) == identity({"a": 1, "id": ""}) != identity({"a": 2, "id": ""})
    assert len(identity({"id": 7})) == 64
    assert start({"started_at": "2024-08-20T06:00:59.457188Z"}) == at("2024-08-20T06:00:59.457188")
    assert start({"started_at": ""}) is start({"started_at": None}) is start({}) is start({"started_at": 7}) is None


# Settings


@for_each("url", ["https://pbx:8887", "https://pbx:8887/", "https://pbx:8887/api/v1", "https://pbx/apis"])
def test_base_url_without_api_is_refused(url: str) -> None:
    """The message shows an example of an address."""
    with pytest.raises(ValueError, match="must end in /api, as in https://HOST:8887/api"):
        PortsipSettings.of({"base_url": url})


def test_settings_are_checked_and_hide_the_password() -> None:
    assert PortsipSettings.of({"base_url": f"{BASE}/"}).base_url == BASE
    assert "pa55" not in repr(PortsipSettings.of(USER))
    with pytest.raises(ValueError, match="base_url"):
        PortsipSettings.of({"username": "admin"})
