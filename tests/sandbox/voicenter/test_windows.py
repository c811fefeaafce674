"""Windows, the cap on an answer, and what a request may ask for."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import pytest

from cdrctl.sandbox import Exchange, Sandbox, straddlers, uniform
from cdrctl.sandbox.voicenter import CURRENT_FIELDS, SEED_FIELDS
from tests.sandbox.clients import at, sample
from tests.sandbox.conftest import Starter

from .client import DAY, MONTH, NOON, ONE, SEED_OPTIONS, VoicenterClient, full, keys, number

# Windows and the cap


@pytest.mark.parametrize(("n", "legs"), [(0, 1), (1, 1), (120, 1), (40, 3)])
def test_uniform_calls_make_an_exact_number_of_records(run: Starter, n: int, legs: int) -> None:
    sandbox = run(exchange=full(n, legs))
    with VoicenterClient(sandbox) as client:
        records = client.records(NOON, ONE)
        assert len(records) == n * legs
        assert records == sandbox.truth("voicenter", "cdrs", NOON, ONE)
        assert len({(one["CallID"], one["CdrType"], one["Date"]) for one in records}) == n * legs


@pytest.mark.parametrize("way", ["counters", "error3", "silent"])
@pytest.mark.parametrize("n", [49, 50, 51, 333])
def test_halving_returns_exactly_the_true_records(run: Starter, way: str, n: int) -> None:
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


def test_window_selects_records_by_start(run: Starter) -> None:
    month_start = at("2026-11-01")
    sandbox = run(exchange=Exchange(calls=straddlers(month_start)))
    with VoicenterClient(sandbox) as client:
        assert len(client.all(at("2026-10-31"), month_start)) == 5
        assert client.all(month_start, at("2026-11-02")) == []
    assert len(sandbox.truth("voicenter", "cdrs", at("2026-10-31"), month_start)) == 5


def test_true_records_of_a_window_are_selected_by_whole_seconds(run: Starter) -> None:
    """Two calls start per second, and `Date` has no fraction."""
    sandbox = run(exchange=Exchange(calls=uniform(4, NOON, NOON + timedelta(seconds=2))))
    half = timedelta(milliseconds=500)
    with VoicenterClient(sandbox) as client:
        assert len(client.records(NOON, NOON)) == 2
    assert len(sandbox.truth("voicenter", "cdrs", NOON, NOON + timedelta(seconds=1))) == 2
    assert len(sandbox.truth("voicenter", "cdrs", NOON + half, NOON + timedelta(seconds=2))) == 2
    assert len(sandbox.truth("voicenter", "cdrs", NOON - half, NOON + half)) == 2


def test_every_record_is_in_the_window_of_its_own_second(voicenter: VoicenterClient, sandbox: Sandbox) -> None:
    """Also a later part of a call that began earlier."""
    for record in sandbox.truth("voicenter", "cdrs", *DAY):
        second = datetime.fromisoformat(record["Date"])
        assert record in voicenter.records(second, second)


def test_window_without_calls_returns_an_empty_list(run: Starter) -> None:
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
def test_only_valid_times_and_ranges_are_accepted(
    voicenter: VoicenterClient, fromdate: str, todate: str, error: int
) -> None:
    search = {"fromdate": fromdate, "todate": todate}
    assert number(voicenter.post({"code": voicenter.code, "search": search})) == error


def test_both_dates_are_required(voicenter: VoicenterClient) -> None:
    searches: tuple[Any, ...] = ({}, {"fromdate": "2026-11-18T12:00:00"}, {"todate": "2026-11-18T12:00:00"}, [], None)
    for search in searches:
        page = voicenter.post({"code": voicenter.code, "search": search})
        assert page.status_code == 200
        assert page.json() == sample("voicenter/constructed_error_5.json")


# What may be asked


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


def test_every_field_of_the_first_table_can_be_requested(voicenter: VoicenterClient, sandbox: Sandbox) -> None:
    sandbox.switch("voicenter", "generation", "seed")
    for name in SEED_OPTIONS:
        records = voicenter.records(*DAY, fields=[name])
        wire = "Date" if name == "date" else name
        assert keys(records) == {() if name in {"fromdate", "todate", "phones"} else (wire,)}
    assert keys(voicenter.records(*DAY, fields=list(SEED_OPTIONS))) == {SEED_FIELDS}
    sandbox.switch("voicenter", "unknown_field", "error")
    assert number(voicenter.ask(*DAY, fields=list(SEED_OPTIONS))) == 0


def test_query_in_the_form_of_version_0_1_works(run: Starter) -> None:
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


def test_get_and_post_return_the_same_records(voicenter: VoicenterClient) -> None:
    names = ["Date", "CallID", "CdrType"]
    search: dict[str, Any] = {"extensions": ["SIPSIP1", "SIPSIP2"], "cdrTypes": [4, 9], "IdentityCriteria": "Account"}
    posted = voicenter.records(*DAY, search, fields=names)
    window = {"fromdate": "2026-11-18T00:00:00", "todate": "2026-11-19T00:00:00"}
    query = urlencode({"CODE": voicenter.code, **window, **search, "fields": names}, doseq=True)
    assert voicenter.get(query).json()["CDR_LIST"] == posted
    assert posted
    indexed = urlencode({"code": voicenter.code, **window, "fields[0]": "Date"})
    assert keys(voicenter.get(indexed).json()["CDR_LIST"]) == {CURRENT_FIELDS}


def test_search_keys_filter_records(voicenter: VoicenterClient, sandbox: Sandbox) -> None:
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


def test_records_are_sorted_by_the_requested_field(voicenter: VoicenterClient) -> None:
    every = voicenter.records(*DAY)
    assert [one["Date"] for one in every] == sorted(one["Date"] for one in every)
    newest = voicenter.records(*DAY, sort=[{"field": "date", "order": "desc"}])
    assert [one["Date"] for one in newest] == [one["Date"] for one in reversed(every)]
    by_two = voicenter.records(*DAY, sort=[{"field": "Type", "order": "asc"}, {"field": "Duration", "order": "desc"}])
    pairs = [(one["Type"], -one["Duration"]) for one in by_two]
    assert pairs == sorted(pairs)
    assert voicenter.records(*DAY, sort=[{"field": "Mood", "order": "asc"}]) == every
