"""The imitated Voicenter against what its documents say."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from cdrctl.sandbox import Exchange, Sandbox, known_switches, start, straddlers, uniform
from cdrctl.sandbox.voicenter import CURRENT_FIELDS, ERRORS, SEED_FIELDS, TYPES
from tests.support.clock import HandClock

from .clients import DATA, Client, at, sample
from .conftest import EXCHANGE, Starter

DAY = at("2026-11-18"), at("2026-11-19")
MONTH = at("2026-10-18"), at("2026-11-19")
NOON, ONE = at("2026-11-18T12:00"), at("2026-11-18T13:00")
FIELDS = sample("voicenter/data_fields.json")
KNOWN = sample("voicenter/doc_cdr_ok.json")
CLICKED = sample("voicenter/constructed_click2call_two_legs_same_callid.json")["CDR_LIST"]
LOWER = sample("voicenter/constructed_cdr_lowercase_keys.json")
OLDER = sample("voicenter/constructed_seed_reply_without_counters.json")

# Copied from the user's own document.
SEED_OPTIONS = (
    *("date", "fromdate", "todate", "phones", "Type", "DID", "CallerNumber", "CallerExtension", "TargetNumber"),
    *("TargetExtension", "TargetPrefixName", "Duration", "Price", "RecordURL", "RecordExpect", "RepresentativeName"),
    *("RepresentativeCode", "DTMFData", "CallID", "QueueName", "DialStatus", "DialStatus2", "RingTime", "CustomData"),
    *("DepartmentName", "DepartmentId"),
)
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
SEED_TYPES = (
    *("Incoming Call", "CC", "Extension Outgoing", "Queue", "Click2Call leg1", "Click2Call leg2", "VoiceMail"),
    *("Callference", "XferCDR", "ProductiveCall Leg1", "ProductiveCall Leg2", "Scrubber", "Click 2 IVR"),
    *("Click 2 IVR Incoming", "Click 2 Queue Incoming", "FaxCdr", "Attended CDR leg1", "Attended CDR leg2"),
    "Auto forward",
)
SEED_STATUSES = (
    *("NOTDIALED", "ANSWER", "BUSY", "NOANSWER", "CANCEL", "ABANDONE", "VOEND", "TE", "NOTCALLED", "VOICEMAIL"),
    *("CONGESTION", "CHANUNAVAIL", "INVALIDARGS", "SSWPREAUTH"),
)
SEED_ERRORS = {
    0: "OK",
    1: "Request limit exceeded. Please try again later.",
    2: "Authorization failed.",
    3: "CDR limit exceeded.",
    4: "IP address xx.xx.xx.xx is not trusted.",
}


class VoicenterClient(Client):
    """Posts a window, and halves it as long as records are beyond the cap."""

    def __init__(self, sandbox: Sandbox, kind: str = "code") -> None:
        super().__init__(sandbox)
        settings = sandbox.credentials("voicenter", kind)
        self.base_url = str(settings["base_url"])
        self.code = settings.get("code")
        self.headers = {"Authorization": f"Bearer {settings['access_token']}"} if kind == "bearer" else {}
        self.cap = 10_000

    def post(self, body: Any) -> httpx.Response:
        return self.http.post(self.base_url, json=body, headers=self.headers)

    def get(self, query: str) -> httpx.Response:
        return self.http.get(f"{self.base_url}?{query}", headers=self.headers)

    def ask(
        self, since: datetime, until: datetime, search: dict[str, Any] | None = None, **more: Any
    ) -> httpx.Response:
        stamp = "%Y-%m-%dT%H:%M:%S"
        window = {"fromdate": f"{since:{stamp}}", "todate": f"{until:{stamp}}"}
        body = {"code": self.code, "format": "JSON", "search": window | (search or {}), **more}
        return self.post({name: value for name, value in body.items() if value is not None})

    def records(self, since: datetime, until: datetime, search: dict[str, Any] | None = None, **more: Any) -> Any:
        page = self.ask(since, until, search, **more)
        assert page.status_code == 200
        return page.json()["CDR_LIST"]

    def all(self, since: datetime, until: datetime, floor: int = 1) -> list[dict[str, Any]]:
        """Ask for [since, until) with closed bounds, in halves that share no second; cut on Date."""
        found: dict[str, dict[str, Any]] = {}
        windows = [(int(since.timestamp()), int(until.timestamp()) - 1)]
        while windows:
            lo, hi = windows.pop()
            first, last = (datetime.fromtimestamp(second, UTC) for second in (lo, hi))
            answer = self.ask(first, last).json()
            records = answer["CDR_LIST"]
            full = answer["ERROR_NUMBER"] == 3 or len(records) >= self.cap
            if full or answer.get("RETURN_HITS", 0) < answer.get("TOTAL_HITS", 0):
                assert hi - lo >= floor, "more records in one second than an answer holds"
                middle = (lo + hi) // 2
                windows += [(middle + 1, hi), (lo, middle)]
                continue
            found |= {json.dumps(record): record for record in records}
        return list(found.values())


def full(n: int, legs: int = 1) -> Exchange:
    """An exchange with exactly n * legs records in an hour."""
    return Exchange(calls=uniform(n, NOON, ONE, legs=legs))


def number(page: httpx.Response) -> int:
    return int(page.json()["ERROR_NUMBER"])


def keys(records: list[dict[str, Any]]) -> set[tuple[str, ...]]:
    return {tuple(record) for record in records}


def in_order(part: list[str], whole: list[str]) -> bool:
    return [name for name in whole if name in part] == part


@pytest.fixture
def voicenter(sandbox: Sandbox) -> Iterator[VoicenterClient]:
    with VoicenterClient(sandbox) as client:
        yield client


@pytest.fixture(scope="module")
def month() -> list[dict[str, Any]]:
    """A month of records as they stand on the wire."""
    with start(now=HandClock(), exchange=EXCHANGE, providers=["voicenter"]) as sandbox:
        return sandbox.truth("voicenter", "cdrs", *MONTH)


# records


def test_a_plain_request_gives_the_truth(voicenter: VoicenterClient, sandbox: Sandbox) -> None:
    page = voicenter.ask(DAY[0], DAY[1] - timedelta(seconds=1))
    answer = page.json()
    truth = sandbox.truth("voicenter", "cdrs", *DAY)
    assert page.headers["Content-Type"].startswith("application/json")
    assert list(answer) == list(KNOWN)
    assert {name: answer[name] for name in list(KNOWN)[:3]} == {name: KNOWN[name] for name in list(KNOWN)[:3]}
    assert answer["TOTAL_HITS"] == answer["RETURN_HITS"] == len(truth) > 40
    assert answer["CDR_LIST"] == truth


def test_records_have_the_fields_of_the_documents() -> None:
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


def test_the_key_order_is_that_of_the_samples(month: list[dict[str, Any]]) -> None:
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


def test_types_and_statuses_are_those_of_the_documents(month: list[dict[str, Any]]) -> None:
    assert {record["CdrType"]: record["Type"] for record in month} == TYPES
    assert {record["DialStatus"] for record in month} == {
        *(set(SEED_STATUSES) - {"CHANUNAVAIL"}),
        *("TIMEOUT", "FULL", "EXIT", "JOINEMPTY"),
    }
    for record in month:
        if record["DialStatus"] != "ANSWER":
            assert record["DialStatus"] == "VOICEMAIL" or record["Duration"] == 0


def test_clicked_calls_are_two_legs_under_one_call_id(month: list[dict[str, Any]]) -> None:
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


def test_numbers_look_like_those_of_the_samples(month: list[dict[str, Any]]) -> None:
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


def test_every_generated_call_is_there(month: list[dict[str, Any]]) -> None:
    calls = EXCHANGE.calls(*MONTH)
    firsts = [record for record in month if record["CdrType"] in {1, 4, 8, 9, 14, 17}]
    assert abs(len(firsts) - len(calls)) <= 1, "a call still going on at midnight has its record in the next day"
    queued = [call for call in calls if call.kind == "queue"]
    records = [record for record in month if record["CdrType"] == 8]
    assert len(records) == len(queued)
    assert Counter(record["DialStatus"] == "ANSWER" for record in records) == Counter(
        call.outcome == "answered" for call in queued
    )


def test_times_and_parties_are_those_of_the_generated_call(month: list[dict[str, Any]]) -> None:
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


def test_what_goes_out_costs_by_the_minute_begun(month: list[dict[str, Any]]) -> None:
    mobile = [one for one in month if one["CdrType"] == 4 and one["TargetPrefixName"] == "Israel Mobile"]
    assert all(one["Price"] == -(-one["Duration"] // 60) * 12.5 for one in mobile)
    assert all(one["Price"] == 0 for one in month if one["CdrType"] in {1, 8, 9, 11})
    assert any(one["Price"] for one in mobile)


# windows and the cap


@pytest.mark.parametrize(("n", "legs"), [(0, 1), (1, 1), (120, 1), (40, 3)])
def test_uniform_calls_are_exactly_so_many_records(run: Starter, n: int, legs: int) -> None:
    sandbox = run(exchange=full(n, legs))
    with VoicenterClient(sandbox) as client:
        records = client.records(NOON, ONE)
        assert len(records) == n * legs
        assert records == sandbox.truth("voicenter", "cdrs", NOON, ONE)
        assert len({(one["CallID"], one["CdrType"], one["Date"]) for one in records}) == n * legs


@pytest.mark.parametrize("way", ["counters", "error3", "silent"])
@pytest.mark.parametrize("n", [49, 50, 51, 333])
def test_halving_gives_exactly_the_truth(run: Starter, way: str, n: int) -> None:
    sandbox = run(exchange=full(n), switches={"voicenter": {"cap": "50", "over_cap": way}})
    with VoicenterClient(sandbox) as client:
        client.cap = 50 if way == "silent" else 10_000
        got = client.all(NOON, ONE)
    assert got == sandbox.truth("voicenter", "cdrs", NOON, ONE)
    assert len(got) == n


def test_windows_tile(voicenter: VoicenterClient, sandbox: Sandbox) -> None:
    parts = [at("2026-11-18"), at("2026-11-18T07:13:31"), at("2026-11-18T17:00"), at("2026-11-19")]
    got = [one for a, b in pairwise(parts) for one in voicenter.all(a, b)]
    assert got == sandbox.truth("voicenter", "cdrs", *DAY)


def test_the_window_is_laid_on_the_start_of_a_record(run: Starter) -> None:
    month_start = at("2026-11-01")
    sandbox = run(exchange=Exchange(calls=straddlers(month_start)))
    with VoicenterClient(sandbox) as client:
        assert len(client.all(at("2026-10-31"), month_start)) == 5
        assert client.all(month_start, at("2026-11-02")) == []
    assert len(sandbox.truth("voicenter", "cdrs", at("2026-10-31"), month_start)) == 5


def test_a_record_begins_in_the_second_of_its_date(run: Starter) -> None:
    """Two calls a second: what is written of a start has no fraction."""
    sandbox = run(exchange=Exchange(calls=uniform(4, NOON, NOON + timedelta(seconds=2))))
    half = timedelta(milliseconds=500)
    with VoicenterClient(sandbox) as client:
        assert len(client.records(NOON, NOON)) == 2
    assert len(sandbox.truth("voicenter", "cdrs", NOON, NOON + timedelta(seconds=1))) == 2
    assert len(sandbox.truth("voicenter", "cdrs", NOON + half, NOON + timedelta(seconds=2))) == 2
    assert len(sandbox.truth("voicenter", "cdrs", NOON - half, NOON + half)) == 2


def test_every_record_is_in_the_window_of_its_own_second(voicenter: VoicenterClient, sandbox: Sandbox) -> None:
    """Also where it is a later part of a call that began before."""
    for record in sandbox.truth("voicenter", "cdrs", *DAY):
        second = datetime.fromisoformat(record["Date"])
        assert record in voicenter.records(second, second)


def test_nothing_found_is_an_empty_list(run: Starter) -> None:
    with VoicenterClient(run(exchange=full(0))) as client:
        answer = client.ask(NOON, ONE).json()
        assert (answer["TOTAL_HITS"], answer["RETURN_HITS"], answer["CDR_LIST"]) == (0, 0, [])


@pytest.mark.parametrize(
    ("fromdate", "todate", "error"),
    [
        ("2026-11-18T12:00", "2026-11-18T13:00", 0),
        ("2026-11-18T12:00:00Z", "2026-11-18T13:00:00Z", 0),
        ("2026-11-18T12:00:00.000", "2026-11-18T13:00:00.000Z", 0),
        ("2026-11-18T13:00:00", "2026-11-18T13:00:00", 0),
        ("2026-11-18T13:00:00", "2026-11-18T12:59:59", 5),
        ("2026-11-18", "2026-11-19", 5),
        ("2026-11-18T12:00:00+02:00", "2026-11-18T13:00:00+02:00", 5),
        ("2026-13-18T12:00", "2026-13-18T13:00", 5),
        ("18/11/2026", "19/11/2026", 5),
    ],
)
def test_forms_of_times(voicenter: VoicenterClient, fromdate: str, todate: str, error: int) -> None:
    search = {"fromdate": fromdate, "todate": todate}
    assert number(voicenter.post({"code": voicenter.code, "search": search})) == error


def test_both_dates_are_required(voicenter: VoicenterClient) -> None:
    searches: tuple[Any, ...] = ({}, {"fromdate": "2026-11-18T12:00:00"}, {"todate": "2026-11-18T12:00:00"}, [], None)
    for search in searches:
        page = voicenter.post({"code": voicenter.code, "search": search})
        assert page.status_code == 200
        assert page.json() == sample("voicenter/constructed_error_5.json")


# what may be asked


def test_the_documented_requests_work(voicenter: VoicenterClient) -> None:
    for name, many in (("seed", 9), ("current", 17)):
        body = sample(f"voicenter/doc_request_post_{name}.json")
        body["code"] = voicenter.code
        page = voicenter.post(body)
        assert number(page) == 0
        body["search"] = {"fromdate": "2026-11-18T00:00", "todate": "2026-11-19T00:00"}
        records = voicenter.post(body).json()["CDR_LIST"]
        assert {len(record) for record in records} == {many}
        assert all(set(record) == set(body["fields"]) for record in records)


def test_every_field_of_the_first_table_may_be_asked(voicenter: VoicenterClient, sandbox: Sandbox) -> None:
    sandbox.switch("voicenter", "generation", "seed")
    for name in SEED_OPTIONS:
        records = voicenter.records(*DAY, fields=[name])
        wire = "Date" if name == "date" else name
        assert keys(records) == {() if name in {"fromdate", "todate", "phones"} else (wire,)}
    assert keys(voicenter.records(*DAY, fields=list(SEED_OPTIONS))) == {SEED_FIELDS}
    sandbox.switch("voicenter", "unknown_field", "error")
    assert number(voicenter.ask(*DAY, fields=list(SEED_OPTIONS))) == 0


def test_the_query_of_the_user_s_document_works(run: Starter) -> None:
    """Repeated names, one of them in another letter case, and extension in the singular."""
    sandbox = run()
    with VoicenterClient(sandbox) as client:
        phone = client.records(*DAY, {"cdrTypes": [4]})[0]["CallerNumber"]
        query = (
            f"code={client.code}&format=JSON&todate=2026-11-18T23:59&fromdate=2026-11-18T00:00&phones={phone}"
            "&phones=0500000000&extension=SIPSIP1&fields=Date&fields=Type&Fields=DID&Fields=CallerNumber"
        )
        answer = client.get(query).json()
        assert answer["ERROR_NUMBER"] == 0
        assert keys(client.get(query.replace("&extension=SIPSIP1", "")).json()["CDR_LIST"]) == {
            ("CallerNumber", "Date", "Type", "DID")
        }


def test_get_and_post_find_the_same(voicenter: VoicenterClient) -> None:
    names = ["Date", "CallID", "CdrType"]
    search: dict[str, Any] = {"extensions": ["SIPSIP1", "SIPSIP2"], "cdrTypes": [4, 9], "IdentityCriteria": "Account"}
    posted = voicenter.records(*DAY, search, fields=names)
    window = {"fromdate": "2026-11-18T00:00:00", "todate": "2026-11-19T00:00:00"}
    query = urlencode({"CODE": voicenter.code, **window, **search, "fields": names}, doseq=True)
    assert voicenter.get(query).json()["CDR_LIST"] == posted
    assert posted
    indexed = urlencode({"code": voicenter.code, **window, "fields[0]": "Date"})
    assert keys(voicenter.get(indexed).json()["CDR_LIST"]) == {CURRENT_FIELDS}


def test_search_keys_restrict(voicenter: VoicenterClient, sandbox: Sandbox) -> None:
    every = voicenter.records(*DAY)

    def numbers(record: dict[str, Any]) -> set[str]:
        return {record["CallerNumber"], record["TargetNumber"], record["DID"]}

    phone = next(one["CallerNumber"] for one in every if one["CdrType"] == 1 and one["CallerNumber"].startswith("05"))
    national, abroad = phone, f"972{phone[1:]}"
    wanted = [one for one in every if numbers(one) & {national, abroad}]
    assert voicenter.records(*DAY, {"phones": [national]}) == wanted
    assert voicenter.records(*DAY, {"phones": [abroad]}) == wanted
    assert voicenter.records(*DAY, {"phones": ["972500009999"]}) == []
    queue_number = next(one["DID"] for one in every if one["CdrType"] == 8)
    called = [one for one in every if one["DID"] == queue_number]
    assert voicenter.records(*DAY, {"phones": [queue_number]}) == called
    assert len(called) > 1
    of_one = [one for one in every if "SIPSIP3" in {one["CallerExtension"], one["TargetExtension"]}]
    assert voicenter.records(*DAY, {"extensions": ["SIPSIP3"]}) == of_one
    assert voicenter.records(*DAY, {"cdrTypes": [9, 10]}) == [one for one in every if one["CdrType"] in {9, 10}]
    some_id = next(one["CallID"] for one in every if one["CdrType"] == 9)
    assert len(voicenter.records(*DAY, {"callID": some_id})) == 2
    assert {one["CdrType"] for one in voicenter.records(*MONTH, {"campaignID": [1]})} == {14, 15, 17, 18, 19}
    assert voicenter.records(*DAY, {"campaignID": [2]}) == []
    assert voicenter.records(*DAY, {"queueID": [123456789]}) == [one for one in every if one["QueueName"]]
    for word in ("Account", "Hierarchical"):
        assert voicenter.records(*DAY, {"IdentityCriteria": word}) == every
    office = [one for one in every if one["DepartmentName"] == "San Jose HQ"]
    assert voicenter.records(*DAY, {"IdentityCriteria": "Department"}) == office
    own = [one for one in every if one["UserName"] == "Avery Brooks"]
    assert voicenter.records(*DAY, {"IdentityCriteria": "User"}) == own
    assert 0 < len(own) < len(office) < len(every)
    until = DAY[1] + timedelta(seconds=1)
    assert sandbox.truth("voicenter", "cdrs", DAY[0], until, phones=national) == wanted
    assert sandbox.truth("voicenter", "cdrs", DAY[0], until, cdrTypes="9,10", fields="CdrType") == [
        {"CdrType": one["CdrType"]} for one in every if one["CdrType"] in {9, 10}
    ]


def test_sort(voicenter: VoicenterClient) -> None:
    every = voicenter.records(*DAY)
    assert [one["Date"] for one in every] == sorted(one["Date"] for one in every)
    newest = voicenter.records(*DAY, sort=[{"field": "date", "order": "desc"}])
    assert [one["Date"] for one in newest] == [one["Date"] for one in reversed(every)]
    by_two = voicenter.records(*DAY, sort=[{"field": "Type", "order": "asc"}, {"field": "Duration", "order": "desc"}])
    pairs = [(one["Type"], -one["Duration"]) for one in by_two]
    assert pairs == sorted(pairs)
    assert voicenter.records(*DAY, sort=[{"field": "Mood", "order": "asc"}]) == every


# sign-in and errors


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


def test_credentials_end_and_new_ones_are_had(sandbox: Sandbox) -> None:
    for kind in ("code", "bearer"):
        with VoicenterClient(sandbox, kind) as client:
            assert number(client.ask(*DAY)) == 0
            sandbox.expire_tokens("voicenter")
            assert number(client.ask(*DAY)) == 2
        with VoicenterClient(sandbox, kind) as client:
            assert number(client.ask(*DAY)) == 0
    with pytest.raises(ValueError, match="code or bearer"):
        sandbox.credentials("voicenter", "password")


def test_the_address_is_the_documented_one(sandbox: Sandbox, voicenter: VoicenterClient) -> None:
    assert voicenter.base_url == sandbox.base_urls["voicenter"] == f"{sandbox.url}/voicenter/hub/cdr/"
    assert voicenter.http.get(f"{voicenter.base_url}more").status_code == 404
    assert voicenter.http.put(voicenter.base_url).status_code == 405


def test_faults(sandbox: Sandbox, voicenter: VoicenterClient) -> None:
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


# notifications


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


def test_notifications_are_of_the_same_calls_as_the_call_log(sandbox: Sandbox, month: list[dict[str, Any]]) -> None:
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


def test_a_notification_comes_when_the_call_has_ended(run: Starter, clock: HandClock) -> None:
    sandbox = run(exchange=full(1))
    clock.time = NOON + timedelta(seconds=30)
    assert sandbox.truth("voicenter", "notifications", NOON, ONE) == []
    clock.move(40)
    assert len(sandbox.truth("voicenter", "notifications", NOON, ONE)) == 1
    with pytest.raises(ValueError, match="cdrs and notifications"):
        sandbox.truth("voicenter", "reports", NOON, ONE)


def test_notifications_come_in_the_order_of_the_calls_ends(run: Starter) -> None:
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


# switches


def test_switch_http_errors(run: Starter) -> None:
    with VoicenterClient(run(switches={"voicenter": {"http_errors": "real"}})) as client:
        assert client.ask(*DAY).status_code == 200
        page = client.ask(ONE, NOON)
        assert (page.status_code, page.json()) == (404, sample("voicenter/constructed_error_5.json"))
        client.code = "wrong"
        page = client.ask(*DAY)
        assert (page.status_code, page.json()) == (403, sample("voicenter/constructed_error_2.json"))


def test_switch_keys(run: Starter) -> None:
    sandbox = run()
    with VoicenterClient(sandbox) as client:
        sandbox.switch("voicenter", "keys", "lower")
        answer = client.ask(*DAY).json()
        assert list(answer) == list(LOWER)
        assert keys(answer["CDR_LIST"]) == {tuple(name.lower() for name in CURRENT_FIELDS)}
        assert set(LOWER["CDR_LIST"][0]) <= set(answer["CDR_LIST"][0])
        assert any((one["customdata"] or {}).get("AiExists") for one in answer["CDR_LIST"])
        sandbox.switch("voicenter", "keys", "mixed")
        answer = client.ask(*DAY).json()
        assert list(answer) == [name.lower() for name in KNOWN]
        assert len(keys(answer["cdr_list"])) == 2
        names = {name for one in answer["cdr_list"] for name in one}
        assert {"Targetextension", "Callerextension", "targetextension", "CallerNumber"} <= names
        assert "TargetExtension" not in names


def test_switch_generation(run: Starter) -> None:
    """Version 0.1: no counters, its own fields, error 3 over the cap, minutes, HTML on request."""
    sandbox = run(
        exchange=full(60), switches={"voicenter": {"generation": "seed", "date": "no_zone", "numbers": "text"}}
    )
    with VoicenterClient(sandbox) as client:
        answer = client.ask(NOON, ONE).json()
        assert list(answer) == list(OLDER)
        assert keys(answer["CDR_LIST"]) == {SEED_FIELDS}
        known = OLDER["CDR_LIST"][0]
        assert in_order(list(known), list(SEED_FIELDS))
        assert {name: type(answer["CDR_LIST"][0][name]) for name in known} == dict.fromkeys(known, str)
        assert len(answer["CDR_LIST"][0]["Date"]) == len(known["Date"])
        assert len(client.records(NOON + timedelta(seconds=59), NOON + timedelta(seconds=60))) == 2
        assert "<table>" in client.ask(NOON, ONE, format="HTML").text
        sandbox.switch("voicenter", "cap", "50")
        answer = client.ask(NOON, ONE).json()
        assert list(answer) == list(OLDER)
        assert (int(answer["ERROR_NUMBER"]), answer["CDR_LIST"]) == (3, [])
        sandbox.switch("voicenter", "numbers", "json")
        assert len(client.all(NOON, ONE, floor=60)) == 60
        assert len(client.records(NOON, NOON + timedelta(minutes=9), {"cdrTypes": [1]}, sort=[{"field": "date"}])) == 10


def test_seed_statuses_are_those_of_its_table(run: Starter) -> None:
    sandbox = run(switches={"voicenter": {"generation": "seed"}})
    records = sandbox.truth("voicenter", "cdrs", *MONTH)
    assert {one["DialStatus"] for one in records} <= set(SEED_STATUSES)
    legs = [one for one in records if one["Type"] == "Click2Call leg1"]
    assert {one["DialStatus2"] for one in legs} >= {"ANSWER", "NOTCALLED"}
    assert {one["DialStatus2"] for one in records if "leg" not in one["Type"].lower()} <= {
        "",
        "NOTCALLED",
        *SEED_STATUSES,
    }


@pytest.mark.parametrize(
    ("way", "counted", "error"), [("counters", (60, 50), 0), ("error3", (None, None), 3), ("silent", (None, None), 0)]
)
def test_switch_over_cap(run: Starter, way: str, counted: tuple[int | None, ...], error: int) -> None:
    sandbox = run(exchange=full(60), switches={"voicenter": {"cap": "50", "over_cap": way}})
    with VoicenterClient(sandbox) as client:
        answer = client.ask(NOON, ONE).json()
        assert answer["ERROR_NUMBER"] == error
        assert (answer.get("TOTAL_HITS"), answer.get("RETURN_HITS")) == counted
        assert answer["CDR_LIST"] == ([] if error else sandbox.truth("voicenter", "cdrs", NOON, ONE)[:50])
        sandbox.switch("voicenter", "cap", "60")
        assert number(client.ask(NOON, ONE)) == 0
        if error:
            assert answer == sample("voicenter/constructed_error_3.json")


def test_switch_cap(run: Starter) -> None:
    sandbox = run(exchange=full(10_500))
    known = sample("voicenter/constructed_truncated.json")
    with VoicenterClient(sandbox) as client:
        answer = client.ask(NOON, ONE).json()
        assert len(answer["CDR_LIST"]) == 10_000
        assert {name: answer[name] for name in list(known)[:-1]} == {name: known[name] for name in list(known)[:-1]}
        sandbox.switch("voicenter", "cap", "7")
        answer = client.ask(NOON, ONE).json()
        assert (answer["TOTAL_HITS"], answer["RETURN_HITS"], len(answer["CDR_LIST"])) == (10_500, 7, 7)


@pytest.mark.parametrize(("value", "many"), [("closed", 2), ("half_open", 1)])
def test_switch_bounds(run: Starter, value: str, many: int) -> None:
    exchange = Exchange(calls=uniform(2, NOON, NOON + timedelta(seconds=20)))
    with VoicenterClient(run(exchange=exchange, switches={"voicenter": {"bounds": value}})) as client:
        assert len(client.records(NOON, NOON + timedelta(seconds=10))) == many
        assert len(client.records(NOON + timedelta(seconds=1), NOON + timedelta(seconds=10))) == many - 1
        assert len(client.records(NOON, NOON + timedelta(seconds=11))) == 2


@pytest.mark.parametrize(("value", "many"), [("second", 3), ("minute", 7)])
def test_switch_precision(run: Starter, value: str, many: int) -> None:
    """Calls every ten seconds; asked from :35 to one minute and :59, minutes are :00 to one minute."""
    exchange = Exchange(calls=uniform(30, NOON, NOON + timedelta(seconds=300)))
    with VoicenterClient(run(exchange=exchange, switches={"voicenter": {"precision": value}})) as client:
        lo, hi = NOON + timedelta(seconds=35), NOON + timedelta(seconds=60)
        assert len(client.records(lo, hi)) == many
        assert len(client.records(lo, hi + timedelta(seconds=59))) == (8 if value == "second" else 7)


def test_switch_max_days(run: Starter) -> None:
    with VoicenterClient(run(switches={"voicenter": {"max_days": "7"}})) as client:
        until = at("2026-11-18")
        assert number(client.ask(until - timedelta(days=7), until)) == 0
        assert number(client.ask(until - timedelta(days=7, seconds=1), until)) == 5


def test_switch_numbers(run: Starter) -> None:
    sandbox = run(switches={"voicenter": {"numbers": "text", "ip": "unlisted"}})
    known = sample("voicenter/constructed_error_number_as_string.json")
    with VoicenterClient(sandbox) as client:
        answer = client.ask(*DAY).json()
        assert answer | known | {"CDR_LIST": []} == answer | {"ERROR_DESCRIPTION": known["ERROR_DESCRIPTION"]}
        sandbox.switch("voicenter", "ip", "listed")
        answer = client.ask(*DAY).json()
    assert answer["ERROR_NUMBER"] == "0"
    assert answer["TOTAL_HITS"] == str(len(answer["CDR_LIST"]))
    for record in answer["CDR_LIST"]:
        assert not [value for value in record.values() if isinstance(value, int | float)]
        assert record["Duration"].isdigit()
    assert all(isinstance(one["time"], str) for one in sandbox.truth("voicenter", "notifications", *DAY))


@pytest.mark.parametrize(
    ("value", "text"),
    [("z", "2026-11-18T12:00:00Z"), ("blank", "2026-11-18 12:00:00"), ("no_zone", "2026-11-18T12:00:00")],
)
def test_switch_date(run: Starter, value: str, text: str) -> None:
    with VoicenterClient(run(exchange=full(1), switches={"voicenter": {"date": value}})) as client:
        (record,) = client.records(NOON, ONE)
        assert record["Date"] == text


def test_switch_unknown_field(run: Starter) -> None:
    sandbox = run()
    names = ["Date", "DialStatus2", "Type"]
    with VoicenterClient(sandbox) as client:
        assert keys(client.records(*DAY, fields=names)) == {("Date", "Type")}
        sandbox.switch("voicenter", "unknown_field", "error")
        answer = client.ask(*DAY, fields=names).json()
        assert (answer["ERROR_NUMBER"], answer["CDR_LIST"]) == (6, [])
        assert "DialStatus2" in answer["ERROR_DESCRIPTION"]
        assert number(client.ask(*DAY, fields=["Date", "CdrType"])) == 0
        sandbox.switch("voicenter", "generation", "seed")
        assert number(client.ask(*DAY, fields=names)) == 0
        assert number(client.ask(*DAY, fields=["Date", "CdrType"])) == 6


def test_switch_extension(run: Starter) -> None:
    sandbox = run()
    with VoicenterClient(sandbox) as client:
        query = f"code={client.code}&fromdate=2026-11-18T00:00&todate=2026-11-19T00:00&extension=SIPSIP1"
        some = client.get(query).json()["TOTAL_HITS"]
        assert some == client.get(query.replace("extension", "extensions")).json()["TOTAL_HITS"]
        both = client.get(f"{query}&extensions=SIPSIP2").json()["TOTAL_HITS"]
        assert both > max(
            some, client.get(query.replace("extension=SIPSIP1", "extensions=SIPSIP2")).json()["TOTAL_HITS"]
        )
        sandbox.switch("voicenter", "extension", "ignored")
        assert 0 < some < client.get(query).json()["TOTAL_HITS"]


def test_switch_html(run: Starter) -> None:
    sandbox = run(exchange=full(1))
    page_text = (DATA / "voicenter" / "constructed_reply.html").read_text(encoding="utf-8")
    known = re.sub(r"<td>.*?</td>", "<td></td>", page_text.strip())
    with VoicenterClient(sandbox) as client:

        def page(form: str) -> httpx.Response:
            return client.ask(NOON, ONE, fields=["Date", "Type"], format=form)

        assert page("HTML").json()["TOTAL_HITS"] == 1
        sandbox.switch("voicenter", "html", "on_format")
        assert page("JSON").json()["TOTAL_HITS"] == 1
        answer = page("HTML")
        assert answer.headers["Content-Type"].startswith("text/html")
        assert re.sub(r"<td>.*?</td>", "<td></td>", answer.text) == known
        sandbox.switch("voicenter", "html", "always")
        assert page("JSON").text == answer.text
        client.code = "wrong"
        refused = page("JSON")
        assert refused.headers["Content-Type"].startswith("text/html")
        assert "Authorization failed." in refused.text


def test_switch_types(run: Starter) -> None:
    sandbox = run(switches={"voicenter": {"types": "seed"}})
    spelled = {name.replace("Click2Call leg", "Click2Callleg") for name in SEED_TYPES}
    assert {one["Type"] for one in sandbox.truth("voicenter", "cdrs", *MONTH)} == spelled
    assert {one["type"] for one in sandbox.truth("voicenter", "notifications", *MONTH)} == spelled


def test_switch_queue_duration(run: Starter) -> None:
    sandbox = run()
    talk = sandbox.truth("voicenter", "cdrs", *DAY)
    waits = {
        one["ivruniqueid"]: one.get("seconds_waiting_in_queue", 0)
        for one in sandbox.truth("voicenter", "notifications", *DAY)
    }
    sandbox.switch("voicenter", "queue_duration", "with_wait")
    waited = sandbox.truth("voicenter", "cdrs", *DAY)
    assert [one["Duration"] + (waits[one["CallID"]] if one["CdrType"] == 8 else 0) for one in talk] == [
        one["Duration"] for one in waited
    ]
    assert any(one["Duration"] > 0 and one["DialStatus"] == "ABANDONE" for one in waited)


def test_switch_counters(run: Starter) -> None:
    sandbox = run(exchange=full(1), switches={"voicenter": {"counters": "off_by_one"}})
    with VoicenterClient(sandbox) as client:
        answer = client.ask(NOON, ONE).json()
        hits = answer["TOTAL_HITS"], answer["RETURN_HITS"], len(answer["CDR_LIST"])
        assert hits == (KNOWN["TOTAL_HITS"], KNOWN["RETURN_HITS"], len(KNOWN["CDR_LIST"]))


def test_switch_empty(run: Starter) -> None:
    with VoicenterClient(run(exchange=full(0), switches={"voicenter": {"empty": "null"}})) as client:
        answer = client.ask(NOON, ONE).json()
        assert list(answer) == list(KNOWN)
        assert answer["CDR_LIST"] is None


def test_switch_lag(run: Starter, clock: HandClock) -> None:
    sandbox = run(exchange=full(1), switches={"voicenter": {"lag": "10"}})
    with VoicenterClient(sandbox) as client:
        clock.time = NOON + timedelta(seconds=62, minutes=10) - timedelta(seconds=1)
        assert client.records(NOON, ONE) == sandbox.truth("voicenter", "cdrs", NOON, ONE) == []
        clock.move(1)
        assert client.records(NOON, ONE) == sandbox.truth("voicenter", "cdrs", NOON, ONE) != []
        clock.move(-600)
        sandbox.switch("voicenter", "lag", "0")
        assert len(client.records(NOON, ONE)) == 1
        clock.move(-1)
        assert client.records(NOON, ONE) == []


def test_switch_ip(run: Starter) -> None:
    sandbox = run(switches={"voicenter": {"ip": "unlisted"}})
    known = sample("voicenter/constructed_error_4.json")
    with VoicenterClient(sandbox) as client, VoicenterClient(sandbox, "bearer") as bearer:
        answer = client.ask(*DAY).json()
        assert answer == known | {"ERROR_DESCRIPTION": "IP address 127.0.0.1 is not trusted."}
        assert number(bearer.ask(*DAY)) == 0


def test_switch_bearer(run: Starter) -> None:
    sandbox = run(switches={"voicenter": {"bearer": "refused"}})
    with VoicenterClient(sandbox) as client, VoicenterClient(sandbox, "bearer") as bearer:
        assert number(bearer.ask(*DAY)) == 2
        assert number(client.ask(*DAY)) == 0


def test_switch_limits(run: Starter, clock: HandClock) -> None:
    """Thirty requests in any 60 seconds; the refused ones are not counted."""
    sandbox = run(exchange=full(1), limits=True)
    with VoicenterClient(sandbox) as client:
        numbers = []
        for _ in range(32):
            page = client.ask(NOON, ONE)
            numbers.append(number(page))
            clock.move(1)
        assert numbers == [0] * 30 + [1] * 2
        assert (page.status_code, page.json()) == (200, sample("voicenter/constructed_error_1.json"))
        clock.move(27)
        assert number(client.ask(NOON, ONE)) == 1
        clock.move(1)
        assert number(client.ask(NOON, ONE)) == 0
        assert number(client.ask(NOON, ONE)) == 1
        sandbox.switch("voicenter", "limits", "off")
        assert number(client.ask(NOON, ONE)) == 0


@pytest.mark.parametrize(("window_on", "minute"), [("start", 0), ("end", 10), ("saved", 14)])
def test_switch_window_on(run: Starter, window_on: str, minute: int) -> None:
    """A window holds the records of calls that start, end or are saved in it."""
    exchange = Exchange(calls=uniform(1, NOON, NOON + timedelta(minutes=1), talk_seconds=600))
    with VoicenterClient(
        run(exchange=exchange, switches={"voicenter": {"window_on": window_on, "lag": "4"}})
    ) as client:
        minutes = [NOON + timedelta(minutes=n) for n in range(20)]
        found = [n for n, at in enumerate(minutes) if client.records(at, at + timedelta(seconds=59))]
        assert len(found) == 1
        assert abs(found[0] - minute) <= 1, "the call rings before it is answered"


def test_switch_date_zone(run: Starter) -> None:
    switches = {"date": "blank"}
    with (
        VoicenterClient(run(exchange=full(1), switches={"voicenter": switches})) as utc,
        VoicenterClient(run(exchange=full(1), switches={"voicenter": switches | {"date_zone": "israel"}})) as israel,
    ):
        [one], [other] = utc.records(NOON, ONE), israel.records(NOON, ONE)
        shift = datetime.fromisoformat(other["Date"]) - datetime.fromisoformat(one["Date"])
        assert shift == timedelta(hours=2), "in November"
        assert {**one, "Date": ""} == {**other, "Date": ""}


def test_switch_request_zone(run: Starter) -> None:
    with VoicenterClient(run(exchange=full(1), switches={"voicenter": {"request_zone": "israel"}})) as client:
        assert client.records(NOON, ONE) == []
        assert len(client.records(NOON + timedelta(hours=2), ONE + timedelta(hours=2))) == 1


def test_switch_epoch(run: Starter) -> None:
    with VoicenterClient(run(switches={"voicenter": {"epoch": "off"}})) as client:
        records = client.records(*DAY)
        assert records
        assert not any("DateEpoch" in record for record in records)


def test_switch_call_id(run: Starter) -> None:
    with VoicenterClient(run(switches={"voicenter": {"call_id": "off"}})) as client:
        records = client.records(*DAY)
        assert records
        assert not any("CallID" in record for record in records)


def test_switch_new_field(run: Starter) -> None:
    with VoicenterClient(run(switches={"voicenter": {"new_field": "on"}})) as client:
        assert all("ServiceLevel" in record for record in client.records(*DAY))
        assert not any("ServiceLevel" in record for record in client.records(*DAY, fields=["CallID", "Date"]))


def test_switch_order(run: Starter) -> None:
    with VoicenterClient(run()) as oldest, VoicenterClient(run(switches={"voicenter": {"order": "newest"}})) as newest:
        records = oldest.records(*DAY)
        assert [one["Date"] for one in records] == sorted(one["Date"] for one in records)
        assert [one["Date"] for one in newest.records(*DAY)] == [one["Date"] for one in records][::-1]


def test_switch_slash(run: Starter) -> None:
    for value, status in (("either", 200), ("required", 404)):
        with VoicenterClient(run(switches={"voicenter": {"slash": value}})) as client:
            assert client.ask(NOON, ONE).status_code == 200
            client.base_url = client.base_url.rstrip("/")
            assert client.ask(NOON, ONE).status_code == status


def test_switches_are_checked(sandbox: Sandbox) -> None:
    assert known_switches("voicenter")["cap"].default == "10000"
    for name, value in (("cap", "0"), ("max_days", "none"), ("keys", "upper"), ("lag", "-1")):
        with pytest.raises(ValueError, match="cannot be"):
            sandbox.switch("voicenter", name, value)


# determinism


def test_answers_do_not_depend_on_the_run(clock: HandClock) -> None:
    bodies = []
    for _ in range(2):
        with start(now=clock, seed="x") as sandbox, VoicenterClient(sandbox) as client:
            bodies.append(client.ask(*DAY).content)
    assert bodies[0] == bodies[1]


def test_answers_do_not_depend_on_what_was_asked_before(run: Starter) -> None:
    sandbox = run(exchange=Exchange(1))
    fresh = run(exchange=Exchange(1))
    sandbox.truth("voicenter", "cdrs", *MONTH)
    assert sandbox.truth("voicenter", "cdrs", *DAY) == fresh.truth("voicenter", "cdrs", *DAY)
