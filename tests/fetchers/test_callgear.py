"""How CallGear is asked: questions, windows, local times, pages, points, filters and orders."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import given, settings as examples, strategies as some

from cdrctl.errors import CdrctlError, ConfigurationError, ProviderError, TemporaryError, UsageError
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import Call, Query, callgear, check_access, connect
from cdrctl.fetchers.callgear import PROVIDER
from cdrctl.fetchers.callgear.fields import CALLS, COSTS, LEGS
from cdrctl.fetchers.callgear.filters import filter_tree, sorting
from cdrctl.fetchers.callgear.settings import CallGearSettings
from cdrctl.http import Client, Clock
from cdrctl.records.events import Checkpoint, Event, Gap, Note, Page
from cdrctl.records.schemas import common as common_schema, native, raw
from cdrctl.sandbox.callgear import LARGEST_OFFSET
from cdrctl.windows import Window, rfc3339

DATA = Path(__file__).parents[1] / "data" / "callgear"
URL = "https://dataapi.callgear.com/v2.0"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
TURN = datetime(2026, 10, 25, 1, tzinfo=UTC)
"""When Berlin's clocks go back from 3:00 to 2:00; the hour from 2:00 to 3:00 comes twice around it."""

Wire = dict[str, Any]
Rule = Callable[[Wire], httpx.Response]


def sample(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def at(text: str) -> datetime:
    """Return a UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def reply(body: Wire, data: Any, total: int | None = None, **metadata: Any) -> httpx.Response:
    """Return a good answer to a question."""
    said = {"version": None, "limits": {}, **({} if total is None else {"total_items": total}), **metadata}
    return httpx.Response(200, json={"jsonrpc": "2.0", "id": body["id"], "result": {"metadata": said, "data": data}})


def failed(
    body: Wire, code: int, mnemonic: str | None, message: str = "No.", status: int = 200, **data: Any
) -> httpx.Response:
    """Return an answer that carries an error."""
    error = {"code": code, "message": message, "data": {"mnemonic": mnemonic, "metadata": {}, **data}}
    return httpx.Response(status, json={"jsonrpc": "2.0", "id": body["id"], "error": error})


def as_sent(name: str, body: Wire) -> httpx.Response:
    """Return a collected answer as one to this question."""
    answer = sample(name)
    return httpx.Response(200, json={**answer, "id": answer["id"] and body["id"]})


def _as_it_is(total: int) -> int | None:
    return total


@dataclass
class Service:
    """A small account: its rows by their true starts, and the readings the documents leave open.

    Args:
        rules: Answers instead of the account's own, by method; the next question takes the next one.
    """

    rows: list[tuple[datetime, Wire]] = field(default_factory=list)
    zone: ZoneInfo = BERLIN
    by: str = "start"
    bounds: str = "closed"
    fold: int | None = 0
    short: int = 0
    totals: Callable[[int], int | None] = _as_it_is
    rules: dict[str, list[Rule]] = field(default_factory=dict)
    asked: list[Wire] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    now: datetime = NOW
    slept: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=lambda: {"access_token": "T0KEN"})
    tally: Tally = field(default_factory=Tally)

    def add(self, instant: datetime, seconds: int = 60, **more: Any) -> None:
        """Add a leg that began at an instant."""
        number = 9_000_000_000 + len(self.rows)
        wire = {
            "id": number,
            "call_session_id": 5_000_000_000 + len(self.rows),
            "start_time": self.local(instant),
            "total_duration": seconds,
            **more,
        }
        self.rows.append((instant, wire))

    def local(self, instant: datetime) -> str:
        return instant.astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S")

    def read(self, text: str) -> Any:
        """Return a bound as this service understands it: as an instant by one fold, or as the text it is."""
        if self.fold is None:
            return text
        return datetime.fromisoformat(text).replace(tzinfo=self.zone, fold=self.fold).astimezone(UTC)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.read())
        self.requests.append(request)
        self.asked.append(body)
        assert body["jsonrpc"] == "2.0"
        rules = self.rules.get(body["method"]) or self.rules.get("*")
        if rules:
            return rules.pop(0)(body)
        if body["method"] == "get.account":
            return as_sent("constructed_get_account_ok.json", body)
        return self.listing(body)

    def found(self, params: Wire) -> list[Wire]:
        if "date_from" not in params:
            return [wire for _, wire in self.rows]
        first, last = self.read(params["date_from"]), self.read(params["date_till"])
        found = []
        for instant, wire in sorted(self.rows, key=lambda row: row[0]):
            moment = instant + (timedelta(seconds=wire["total_duration"]) if self.by == "end" else timedelta(0))
            value: Any = self.local(moment) if self.fold is None else moment
            low = first <= value if self.bounds in {"closed", "half_open"} else first < value
            high = value <= last if self.bounds in {"closed", "open_low"} else value < last
            if low and high:
                found.append(wire)
        return found

    def listing(self, body: Wire) -> httpx.Response:
        params = body["params"]
        found = self.found(params)
        offset, limit = params["offset"], params["limit"]
        size = max(1, limit - self.short) if self.short and offset == 0 else limit
        return reply(body, found[offset : offset + size], self.totals(len(found)))

    @property
    def params(self) -> list[Wire]:
        """What the listings were asked."""
        return [body["params"] for body in self.asked if body["method"].startswith("get.c") or "legs" in body["method"]]

    @property
    def spans(self) -> list[tuple[str, str]]:
        return [(params["date_from"], params["date_till"]) for params in self.params if params["limit"] > 1]

    def seconds(self) -> float:
        return (self.now - NOW).total_seconds()

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def log(self, level: str, text: str) -> None:
        if level not in {"debug", "progress"}:
            self.told.append(text)

    def client(self) -> Client:
        clock = Clock(lambda: self.now, self.seconds, self.sleep)
        return connect(
            PROVIDER,
            self.profile,
            clock=clock,
            log=self.log,
            conceal=self.secrets.extend,
            transport=httpx.MockTransport(self),
        )

    @property
    def profile(self) -> CallGearSettings:
        return CallGearSettings.model_validate(self.settings)

    def pieces(
        self,
        since: datetime,
        until: datetime,
        call: str = "legs",
        fields: Sequence[str] | None = None,
        *,
        strict: bool = False,
        **options: Any,
    ) -> Iterator[Event]:
        chosen = {
            "filter": (),
            "orderby": (),
            "page_size": 10_000,
            "longest_call": timedelta(hours=24),
            "ongoing": False,
        }
        window = Window(since, until) if PROVIDER.call(call).start_in else None
        with closing(self.client()) as client:
            yield from PROVIDER.call(call).fetch(Query(client, self.profile, window, chosen | options, fields, strict))

    def records(self, since: datetime, until: datetime, call: str = "legs", **options: Any) -> list[Wire]:
        """Return the raw records of an export, each once, cut at the window."""
        found: Call = PROVIDER.call(call)
        window = Window(since, until) if found.start_in else None
        pages = rows(
            self.pieces(since, until, call, **options),
            found,
            raw(),
            window,
            self.tally,
            self.log,
        )
        return [dict(one) for page in pages for one in page]

    def ids(self, since: datetime, until: datetime, call: str = "legs", **options: Any) -> list[int]:
        return [record["id"] for record in self.records(since, until, call, **options)]

    def fails(self, kind: type[CdrctlError] = CdrctlError, call: str = "legs", **options: Any) -> CdrctlError:
        """Return the error of an export, which shows no secret."""
        with pytest.raises(kind) as caught:
            self.ids(at("2026-11-18"), at("2026-11-19"), call, **options)
        shown = words(caught.value) + " ".join(self.told)
        assert not any(secret in shown for secret in ("T0KEN", "PASSW0RD"))
        return caught.value


def words(error: CdrctlError) -> str:
    return " ".join(str(one) for one in (error.message, error.said, error.hint) if one)


def a_day(count: int, **more: Any) -> Service:
    """Return an account with so many legs on 18 November, three in each second, and one a day before and after."""
    service = Service(**more)
    service.add(at("2026-11-17T12:00"))
    for number in range(count):
        service.add(at("2026-11-18T08:00") + timedelta(seconds=number // 3))
    service.add(at("2026-11-19T12:00"))
    return service


SINCE, UNTIL = at("2026-11-18"), at("2026-11-19")


# The envelope


def test_a_question_is_written_exactly_as_documented() -> None:
    """Over one URL, with the key among the parameters and in no header, and an id of its own."""
    service = a_day(1)
    assert len(service.ids(SINCE, UNTIL)) == 1
    account, listing, probe = service.asked
    assert account == {"jsonrpc": "2.0", "id": 1, "method": "get.account", "params": {"access_token": "T0KEN"}}
    assert listing == {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "get.call_legs_report",
        "params": {
            "access_token": "T0KEN",
            "date_from": "2026-11-18 00:59:59",
            "date_till": "2026-11-19 01:00:01",
            "limit": 10_000,
            "offset": 0,
            "sort": [{"field": "start_time", "order": "asc"}],
            "fields": [one.name for one in LEGS],
        },
    }
    assert (
        probe["params"] | {"date_from": "2026-11-19 01:00:00", "date_till": "2026-11-20 01:00:01", "limit": 1}
        == (probe["params"])
    )
    for request in service.requests:
        assert (request.method, str(request.url)) == ("POST", URL)
        assert request.headers["Content-Type"] == "application/json; charset=UTF-8"
        assert "Authorization" not in request.headers


@pytest.mark.parametrize("given", ["7", 3, None, True, [2]])
def test_an_answer_to_another_question_is_asked_again_and_refused(given: Any) -> None:
    def other(body: Wire) -> httpx.Response:
        return httpx.Response(200, json={**json.loads(reply(body, [], 0).content), "id": given})

    service = a_day(2, rules={"get.call_legs_report": [other]})
    assert len(service.ids(SINCE, UNTIL)) == 2
    service = a_day(2, rules={"get.call_legs_report": [other] * 9})
    error = service.fails(ProviderError)
    assert error.exit_code == 7
    assert "the response to another request" in error.message
    assert len(service.asked) == 6


def test_an_id_that_comes_back_as_text_is_ours() -> None:
    """As in an example of the documentation."""

    def as_text(body: Wire) -> httpx.Response:
        return reply({"id": str(body["id"])}, [], 0)

    assert Service(rules={"get.call_legs_report": [as_text, as_text]}).ids(SINCE, UNTIL) == []


@pytest.mark.parametrize(
    "body",
    [
        *([], "text", 7, {}, {"result": None}, {"result": []}, {"result": {}}, {"result": {"data": None}}),
        *({"result": {"data": {}}}, {"result": {"data": [1]}}, {"result": {"rows": []}}),
    ],
    ids=str,
)
def test_an_answer_of_another_shape_is_no_empty_one(body: Any) -> None:
    def odd(asked: Wire) -> httpx.Response:
        return httpx.Response(200, json={"id": asked["id"], **body} if isinstance(body, dict) else body)

    service = Service(rules={"get.call_legs_report": [odd] * 9})
    error = service.fails(ProviderError)
    assert error.exit_code == 7
    assert "unknown shape" in error.message


@pytest.mark.parametrize(
    ("call", "method", "extra"),
    [
        ("legs", "get.call_legs_report", {"fields"}),
        ("calls", "get.calls_report", {"fields"}),
        ("costs", "get.financial_call_legs_report", set()),
    ],
)
def test_each_call_asks_its_method_for_what_it_is_documented_to_take(call: str, method: str, extra: set[str]) -> None:
    service = a_day(1)
    service.records(SINCE, UNTIL, call)
    assert [body["method"] for body in service.asked] == ["get.account", method, method]
    known = {"access_token", "date_from", "date_till", "limit", "offset", "sort"}
    assert all(set(params) == known | extra for params in service.params)


def test_ongoing_calls_are_asked_for_only_when_wanted() -> None:
    service = a_day(1)
    service.ids(SINCE, UNTIL, "calls", ongoing=True)
    assert [params["include_ongoing_calls"] for params in service.params] == [True, True]


def test_a_partner_says_whose_records_are_meant_but_not_to_list_them() -> None:
    service = a_day(1, settings={"access_token": "T0KEN", "user_id": "2000"})
    service.ids(SINCE, UNTIL)
    assert [body["params"]["user_id"] for body in service.asked] == [2000, 2000, 2000]
    service = Service(settings={"access_token": "T0KEN", "user_id": 2000})
    service.rules["get.customer_users"] = [lambda body: as_sent("constructed_customer_users_page.json", body)]
    assert service.ids(SINCE, UNTIL, "users") == [2000]
    assert [body["params"] for body in service.asked] == [
        {
            "access_token": "T0KEN",
            "limit": 10_000,
            "offset": 0,
            "sort": [{"field": "customer_id", "order": "asc"}],
        }
    ]


# Time


def test_the_zone_of_the_profile_saves_the_question_for_it() -> None:
    service = a_day(1, settings={"access_token": "T0KEN", "timezone": "Asia/Dubai"}, zone=ZoneInfo("Asia/Dubai"))
    assert len(service.ids(SINCE, UNTIL)) == 1
    assert [body["method"] for body in service.asked] == ["get.call_legs_report"] * 2
    assert service.spans == [("2026-11-18 03:59:59", "2026-11-19 04:00:01")]


def test_a_zone_that_is_none_is_the_profiles_mistake() -> None:
    error = Service(settings={"access_token": "T0KEN", "timezone": "Mars/Phobos"}).fails(ConfigurationError)
    assert "Mars/Phobos" in error.message
    assert error.exit_code == 6


@pytest.mark.parametrize("key", ["metadata", "meta_data"])
@pytest.mark.parametrize("listed", [True, False])
def test_the_account_is_read_in_all_its_spellings(key: str, listed: bool) -> None:  # noqa: FBT001
    row = {"app_id": 1103, "name": "n", "timezone": "Asia/Dubai"}

    def account(body: Wire) -> httpx.Response:
        result: Wire = {key: {"limits": {}}, "data": [row] if listed else row}
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": body["id"], "result": result})

    service = a_day(1, zone=ZoneInfo("Asia/Dubai"), rules={"get.account": [account]})
    assert len(service.ids(SINCE, UNTIL)) == 1


@pytest.mark.parametrize(
    "answer",
    [
        lambda body: reply(body, []),
        lambda body: reply(body, [{"timezone": None}]),
        lambda body: reply(body, [{"timezone": "Mars/Phobos"}]),
        lambda body: failed(body, -32003, "forbidden"),
        lambda body: failed(body, -32602, "unexpected_parameters", field="user_id", value=7),
    ],
)
def test_without_a_zone_nothing_is_read(answer: Rule) -> None:
    """Never is it taken for UTC."""
    service = a_day(1, rules={"get.account": [answer]})
    error = service.fails(ConfigurationError)
    assert "set timezone in the profile" in (error.hint or "")
    assert len(service.asked) == 1


def test_a_window_is_asked_for_in_whole_seconds_and_one_more_at_both_ends() -> None:
    service = a_day(1)
    service.ids(SINCE + timedelta(milliseconds=1), UNTIL - timedelta(milliseconds=1))
    assert service.spans == [("2026-11-18 00:59:59", "2026-11-19 01:00:01")]


def test_years_that_cannot_be_meant_are_refused_before_a_question() -> None:
    service = Service()
    for since, until in [(datetime(1, 1, 2, tzinfo=UTC), UNTIL), (SINCE, datetime(9999, 12, 31, tzinfo=UTC))]:
        with pytest.raises(UsageError, match="year"):
            service.ids(since, until)
    assert service.asked == []


def test_the_hour_that_comes_twice_is_read_as_the_first_and_said_once() -> None:
    service = Service()
    for minutes in (-90, -30, 30, 90):
        service.add(TURN + timedelta(minutes=minutes))
    assert [wire["start_time"][11:] for _, wire in service.rows] == ["01:30:00", "02:30:00", "02:30:00", "03:30:00"]
    first, second, third, fourth = (wire["id"] for _, wire in service.rows)
    hour = timedelta(hours=1)
    assert service.ids(TURN - hour, TURN) == [second, third]
    said = (
        "in Europe/Berlin the clocks went back: CallGear's times from 2026-10-25 02:00:00 to 02:59:59 come twice, and "
        "nothing tells which is meant; all are read as the first, and start_time_local has what came"
    )
    assert service.told == [said]
    assert service.ids(TURN, TURN + hour) == []
    assert service.ids(TURN - 2 * hour, TURN - hour) == [first]
    assert service.ids(TURN + hour, TURN + 2 * hour) == [fourth]
    assert sum("come twice" in text for text in service.told) == 2


def test_around_a_change_of_clocks_an_hour_more_is_asked_for_on_both_sides() -> None:
    service = Service()
    service.ids(TURN - timedelta(minutes=30), TURN + timedelta(minutes=30))
    service.ids(at("2026-03-29T00:30"), at("2026-03-29T01:30"))
    assert service.spans == [
        ("2026-10-25 01:29:59", "2026-10-25 03:30:01"),
        ("2026-03-29 00:29:59", "2026-03-29 04:30:01"),
    ]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu", "UTC"])
def test_a_clock_is_followed_wherever_it_goes(zone: str) -> None:
    """Half-hour changes, offsets of minutes, and none at all."""
    there = ZoneInfo(zone)
    service = Service(zone=there, settings={"access_token": "T0KEN", "timezone": zone})
    begun = at("2026-01-01")
    for hour in range(0, 365 * 24, 7):
        service.add(begun + timedelta(hours=hour, seconds=hour % 59))
    found = service.ids(begun, begun + timedelta(days=365), page_size=400)
    assert sorted(found) == [wire["id"] for _, wire in service.rows]
    assert len(service.told) == (0 if zone in {"UTC", "Asia/Kathmandu"} else 1)


BOUNDS = ("closed", "half_open", "open_low", "open")
READINGS = [(by, bounds, fold) for by in ("start", "end") for bounds in BOUNDS for fold in (0, 1, None)]


@pytest.mark.parametrize(("by", "bounds", "fold"), READINGS)
@examples(deadline=None, max_examples=6)
@given(
    starts=some.lists(some.integers(-4 * 3600, 4 * 3600), max_size=25),
    lengths=some.lists(some.integers(0, 5 * 3600), min_size=25, max_size=25),
    cut=some.integers(-3 * 3600 * 1000, 3 * 3600 * 1000),
    size=some.integers(1, 9),
)
def test_windows_tile_wherever_they_are_cut_and_whatever_the_service_means(
    by: str,
    bounds: str,
    fold: int | None,
    starts: list[int],
    lengths: list[int],
    cut: int,
    size: int,
) -> None:
    """Around the very hour that comes twice."""
    service = Service(by=by, bounds=bounds, fold=fold)
    for begun, seconds in zip(starts, lengths, strict=False):
        service.add(TURN + timedelta(seconds=begun), seconds)
    since, middle, until = (TURN + timedelta(milliseconds=ms) for ms in (-3 * 3600_000, cut, 3 * 3600_000 + 1))
    if not since < middle < until:
        return
    whole = service.ids(since, until, page_size=size)
    parts = service.ids(since, middle, page_size=size) + service.ids(middle, until, page_size=size)
    assert sorted(parts) == sorted(whole)
    clear = {
        wire["id"]
        for moment, wire in service.rows
        if since <= moment < until and not TURN <= moment < TURN + timedelta(hours=1)
    }
    assert clear <= set(whole)
    assert len(whole) == len(set(whole))
    assert service.tally.gaps == []


def test_calls_that_end_after_the_window_are_had_where_the_service_selects_by_the_end() -> None:
    service = Service(by="end")
    service.add(UNTIL - timedelta(hours=1), 3 * 3600)
    service.add(UNTIL + timedelta(hours=1), 600)
    assert service.ids(SINCE, UNTIL) == [9_000_000_000]
    assert [params["limit"] for params in service.params] == [10_000, 1, 10_000]
    service = Service()
    service.add(UNTIL - timedelta(hours=1), 3 * 3600)
    service.add(UNTIL + timedelta(hours=1), 600)
    assert service.ids(SINCE, UNTIL) == [9_000_000_000]
    assert [params["limit"] for params in service.params] == [10_000, 1]


@pytest.mark.parametrize("bounds", BOUNDS)
def test_a_call_that_ends_in_the_last_instant_of_what_is_asked_for_is_had(bounds: str) -> None:
    service = Service(by="end", bounds=bounds)
    service.add(UNTIL - timedelta(minutes=1), 60)
    assert service.ids(SINCE, UNTIL) == [9_000_000_000]


@pytest.mark.parametrize("bounds", BOUNDS)
def test_a_call_in_the_last_second_of_the_window_is_no_sign_of_another_order(bounds: str) -> None:
    service = Service(bounds=bounds)
    service.add(UNTIL - timedelta(seconds=1))
    assert service.ids(SINCE, UNTIL) == [9_000_000_000]
    assert [params["limit"] for params in service.params] == [10_000, 1]


def test_what_lies_after_the_window_is_asked_for_until_now_and_the_longest_call() -> None:
    service = Service()
    service.ids(SINCE, UNTIL, longest_call=timedelta(hours=2))
    service.ids(SINCE, NOW - timedelta(hours=1))
    service.ids(SINCE, NOW)
    service.ids(SINCE, UNTIL, longest_call=timedelta(0))
    assert [params["date_till"] for params in service.params if params["limit"] == 1] == [
        *("2026-11-19 03:00:01", "2026-11-20 13:00:01")
    ]


# Windows and pages


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 13, 14, 15, 50])
@pytest.mark.parametrize("short", [0, 3])
@pytest.mark.parametrize("has_total", [True, False])
def test_every_record_comes_once_however_pages_fall(count: int, short: int, has_total: bool) -> None:  # noqa: FBT001
    service = a_day(count, short=short, totals=lambda total: total if has_total else None)
    assert service.ids(SINCE, UNTIL, page_size=7) == [9_000_000_001 + number for number in range(count)]
    assert service.tally.gaps == []
    assert service.tally.duplicates == 0


def test_a_short_page_is_not_the_last() -> None:
    """As constructed: two of three came, so the third is asked for from there."""
    told = sample("constructed_short_page_not_last.json")["response"]

    def short(body: Wire) -> httpx.Response:
        return httpx.Response(200, json={**told, "id": body["id"]})

    service = Service(rules={"get.call_legs_report": [short, lambda body: reply(body, [{"id": 3}], 3)]})
    assert len(service.ids(at("2026-10-24"), at("2026-10-27"), page_size=1000)) == 3
    assert [params["offset"] for params in service.params] == [0, 2, 0]


def test_a_window_is_cut_into_months_of_31_days() -> None:
    service = Service()
    service.ids(at("2026-05-01"), at("2026-07-15"))
    assert service.spans == [
        ("2026-05-01 01:59:59", "2026-06-01 02:00:01"),
        ("2026-06-01 01:59:59", "2026-07-02 02:00:01"),
        ("2026-07-02 01:59:59", "2026-07-15 02:00:01"),
    ]


def test_a_very_long_window_is_said_to_take_many_questions() -> None:
    service = Service()
    service.ids(at("2010-01-01"), at("2026-01-01"))
    assert any("at least 189 requests" in text for text in service.told)


def test_a_window_with_more_than_can_be_paged_through_is_asked_for_in_halves() -> None:
    service = a_day(9)
    service.totals = lambda total: 100_001 if total > 6 else total
    found = service.ids(SINCE, UNTIL)
    assert found == [9_000_000_001 + number for number in range(9)]
    assert service.tally.gaps == []
    assert len(service.spans) > 20


@pytest.mark.slow
def test_a_second_with_more_than_can_be_paged_through_is_named() -> None:
    service = Service()

    def listing(body: Wire) -> httpx.Response:
        params = body["params"]
        full = params["date_from"] <= "2026-11-18 09:00:00" < params["date_till"]
        rows = [{"id": params["offset"] + n, "start_time": "2026-11-18 09:00:00"} for n in range(10_000 if full else 0)]
        return reply(body, rows, 200_000 if full else 0)

    service.rules["get.call_legs_report"] = [listing] * 99
    pieces = list(service.pieces(SINCE, UNTIL))
    assert len({record["id"] for piece in pieces if isinstance(piece, Page) for record in piece.records}) == 110_000
    assert max(params["offset"] for params in service.params) == 100_000
    [gap] = [piece for piece in pieces if isinstance(piece, Gap)]
    assert "2026-11-18T08:00:00.000Z to 2026-11-18T08:00:01.000Z" in gap.what
    assert "200000" in gap.what


@pytest.fixture
def near(monkeypatch: pytest.MonkeyPatch) -> int:
    """A farthest offset that ten pages of a hundred rows reach: the arithmetic is that of the real one."""
    assert callgear.pages.FARTHEST_OFFSET == LARGEST_OFFSET == 100_000
    monkeypatch.setattr(callgear.pages, "FARTHEST_OFFSET", 1_000)
    return callgear.pages.FARTHEST_OFFSET


@pytest.mark.parametrize("bounds", BOUNDS)
def test_a_second_that_can_be_read_is_read_beside_full_ones(bounds: str, near: int) -> None:
    """Two seconds of rows: one of them can be paged through, and both together cannot."""
    per_second, seconds = near * 6 // 10, (0, 1)
    texts = ["2026-11-18 09:00:00", "2026-11-18 09:00:01"]
    first = at("2026-11-18T08:00")
    service = Service()

    def listing(body: Wire) -> httpx.Response:
        params = body["params"]
        low, high = (
            (datetime.fromisoformat(params[name]).replace(tzinfo=BERLIN) - first) // timedelta(seconds=1)
            for name in ("date_from", "date_till")
        )
        low, high = low + (bounds in {"open_low", "open"}), high - (bounds in {"half_open", "open"})
        inside = [second for second in seconds if low <= second <= high]
        total = len(inside) * per_second
        numbers = range(params["offset"], min(params["offset"] + params["limit"], total))
        found = [(inside[number // per_second], number % per_second) for number in numbers]
        rows = [{"id": second * per_second + n, "start_time": texts[second]} for second, n in found]
        return reply(body, rows, total)

    service.rules["get.call_legs_report"] = [listing] * 999
    pieces = list(service.pieces(first, first + timedelta(seconds=2), page_size=near // 10))
    found = {record["id"] for piece in pieces if isinstance(piece, Page) for record in piece.records}
    assert found == set(range(per_second * len(seconds)))
    assert not [piece for piece in pieces if isinstance(piece, Gap)]
    assert max(params["offset"] for params in service.params) <= near
    assert len(service.asked) < 200


def test_pages_without_a_total_that_reach_the_farthest_offset_are_asked_for_in_halves(near: int) -> None:
    texts = [f"2026-11-18 {number // 5:02}:{number % 5 * 12:02}:00" for number in range(5, 120)]
    service = Service()

    def listing(body: Wire) -> httpx.Response:
        params = body["params"]
        found = [n for n, text in enumerate(texts) if params["date_from"] <= text <= params["date_till"]]
        numbers = range(found[0] * 10, found[-1] * 10 + 10) if found else range(0)
        page = numbers[params["offset"] : params["offset"] + params["limit"]]
        return reply(body, [{"id": n, "start_time": texts[n // 10]} for n in page])

    service.rules["get.call_legs_report"] = [listing] * 99
    pieces = list(service.pieces(SINCE, UNTIL, page_size=near // 10))
    found = {record["id"] for piece in pieces if isinstance(piece, Page) for record in piece.records}
    assert found == set(range(1_150))
    assert not [piece for piece in pieces if isinstance(piece, Gap)]
    assert max(params["offset"] for params in service.params) <= near


def test_a_span_that_is_refused_is_halved() -> None:
    """The three months of the documentation are not the last word."""
    service = Service()
    for day in range(1, 20):
        service.add(at("2026-11-01T12:00") + timedelta(days=day - 1))

    def refused(body: Wire) -> httpx.Response:
        span = service.read(body["params"]["date_till"]) - service.read(body["params"]["date_from"])
        if span > timedelta(days=5):
            return as_sent("constructed_error_date_interval.json", body)
        return service.listing(body)

    service.rules["get.call_legs_report"] = [refused] * 99
    assert len(service.ids(at("2026-11-01"), at("2026-11-20"))) == 19
    assert service.tally.gaps == []


def test_a_span_that_is_always_refused_ends_the_run() -> None:
    def refused(body: Wire) -> httpx.Response:
        return as_sent("constructed_error_date_interval.json", body)

    service = Service(rules={"get.call_legs_report": [refused] * 99})
    error = service.fails(ProviderError)
    assert error.said is not None
    assert "3 months" in error.said
    assert len(service.asked) < 25


def test_a_page_that_is_missing_is_looked_for_once_more_and_then_said() -> None:
    def lacking(body: Wire) -> httpx.Response:
        offset = body["params"]["offset"]
        row = {"id": offset, "start_time": "2026-11-18 10:00:00"}
        return reply(body, [row] if offset < 2 else [], 3)

    service = Service(rules={"get.call_legs_report": [lacking] * 6})
    assert service.ids(SINCE, UNTIL, page_size=1) == [0, 1]
    assert [params["offset"] for params in service.params] == [0, 1, 2, 0, 1, 2, 0]
    [gap] = service.tally.gaps
    assert gap.what == (
        "CallGear counts 3 records for 2026-11-18T00:00:00.000Z to 2026-11-19T00:00:00.000Z and sent 2 different ones"
    )
    assert any("reading it again" in text for text in service.told)


def test_rows_that_move_between_pages_are_found_when_it_is_read_again() -> None:
    """A row came in before the second page was read: one came twice, and one is missing until the second reading."""
    rows_then = [{"id": n, "start_time": "2026-11-18 10:00:00"} for n in (1, 2, 3)]
    rows_now = [{"id": 0, "start_time": "2026-11-18 09:00:00"}, *rows_then]
    seen: list[Wire] = []

    def moving(body: Wire) -> httpx.Response:
        now = rows_now if seen else rows_then
        seen.append(body)
        offset = body["params"]["offset"]
        return reply(body, now[offset : offset + 2], len(now))

    service = Service(rules={"get.call_legs_report": [moving] * 5})
    assert sorted(service.ids(SINCE, UNTIL, page_size=2)) == [0, 1, 2, 3]
    assert service.tally.gaps == []
    assert service.tally.duplicates == 4


def test_a_total_that_grows_for_ever_ends_well_if_all_that_was_counted_came() -> None:
    counted: list[int] = []

    def growing(body: Wire) -> httpx.Response:
        counted.append(1)
        everything = [{"id": n, "start_time": f"2026-11-18 10:{n:02}:00"} for n in range(4 + len(counted))]
        offset = body["params"]["offset"]
        return reply(body, everything[offset : offset + 3], len(everything))

    service = Service(rules={"get.call_legs_report": [growing] * 9})
    found = service.ids(SINCE, UNTIL, page_size=3, longest_call=timedelta(0))
    assert sorted(found) == list(range(4 + len(counted)))
    assert service.tally.gaps == []


def test_a_total_that_falls_is_read_again() -> None:
    def falling(total: int, *ids: int) -> Rule:
        return lambda body: reply(body, [{"id": n, "start_time": "2026-11-18 10:00:00"} for n in ids], total)

    service = Service(rules={"get.call_legs_report": [falling(3, 1, 2), falling(2), falling(2, 2, 3)]})
    assert sorted(service.ids(SINCE, UNTIL, page_size=2, longest_call=timedelta(0))) == [1, 2, 3]
    assert service.tally.gaps == []


@pytest.mark.parametrize(("total", "divisible"), [(0, True), ("a page", True), (True, True), (0, False)])
def test_a_wrong_total_does_not_hide_that_a_window_must_be_halved(
    total: Any,
    divisible: bool,  # noqa: FBT001
    near: int,
) -> None:
    """Of a window with more rows than can be paged through; of a single second of them it is said."""
    texts = [f"2026-11-18 09:00:{second:02}" for second in (range(12) if divisible else [0] * 12)]
    service, page = Service(), near // 10

    def listing(body: Wire) -> httpx.Response:
        params = body["params"]
        inside = [n for n, text in enumerate(texts) if params["date_from"] <= text <= params["date_till"]]
        number = params["offset"] // page
        second = inside[number] if number < len(inside) else None
        rows = [] if second is None else [{"id": second * page + n, "start_time": texts[second]} for n in range(page)]
        return reply(body, rows, page if total == "a page" else total)

    service.rules["get.call_legs_report"] = [listing] * 999
    first = at("2026-11-18T08:00")
    until = first + timedelta(seconds=12 if divisible else 1)
    pieces = list(service.pieces(first, until, page_size=page, longest_call=timedelta(0)))
    found = {record["id"] for piece in pieces if isinstance(piece, Page) for record in piece.records}
    gaps = [piece for piece in pieces if isinstance(piece, Gap)]
    assert max(params["offset"] for params in service.params) <= near
    assert len(found) == (12 * page if divisible else 11 * page)
    assert bool(gaps) is not divisible


def test_a_total_that_is_reached_by_a_full_page_costs_one_more_question() -> None:
    service = a_day(14)
    assert len(service.ids(SINCE, UNTIL, page_size=7, longest_call=timedelta(0))) == 14
    assert [params["offset"] for params in service.params] == [0, 7, 14]
    assert service.told == []


def test_pages_that_come_again_though_all_came_end_the_reading() -> None:
    """A service that does not look at `offset` and whose only page is full."""

    def same(body: Wire) -> httpx.Response:
        return reply(body, [{"id": n, "start_time": "2026-11-18 10:00:00"} for n in (1, 2)], 2)

    service = Service(rules={"get.call_legs_report": [same] * 9})
    assert service.ids(SINCE, UNTIL, page_size=2, longest_call=timedelta(0)) == [1, 2]
    assert [params["offset"] for params in service.params] == [0, 2]
    assert service.tally.gaps == []


def test_pages_that_come_again_and_again_with_a_wrong_total_are_said() -> None:
    def same(body: Wire) -> httpx.Response:
        return reply(body, [{"id": n, "start_time": "2026-11-18 10:00:00"} for n in (1, 2)], 0)

    service = Service(rules={"get.call_legs_report": [same] * 9})
    assert service.ids(SINCE, UNTIL, page_size=2, longest_call=timedelta(0)) == [1, 2]
    [gap] = service.tally.gaps
    assert "again and again" in gap.what


@pytest.mark.parametrize("size", [0, -1, 10_001])
def test_a_page_size_that_is_not_possible_is_refused_before_a_question(size: int) -> None:
    service = Service()
    with pytest.raises(UsageError, match="page-size"):
        service.ids(SINCE, UNTIL, page_size=size)
    assert service.asked == []


# Fields


def refusing(*names: str, named: bool = True) -> Rule:
    """Return a service that does not know some fields."""

    def rule(body: Wire) -> httpx.Response:
        for name in body["params"].get("fields", []):
            if name in names:
                said = {"field": name, "value": name} if named else {}
                return failed(body, -32602, "unexpected_parameters", "Unexpected method parameter(s)", **said)
        return reply(body, [{"id": 1, "start_time": "2026-11-18 10:00:00"}], 1)

    return rule


def test_a_field_that_is_refused_is_left_out_from_then_on() -> None:
    rule = refusing("wav_call_records", "finish_reason")
    service = Service(rules={"get.call_legs_report": [rule] * 9})
    assert service.ids(SINCE, UNTIL) == [1]
    assert service.ids(SINCE - timedelta(days=40), UNTIL)
    everything = [one.name for one in LEGS]
    fewer = [name for name in everything if name not in {"wav_call_records", "finish_reason"}]
    assert [params["fields"] for params in service.params][:4] == [
        everything,
        [name for name in everything if name != "wav_call_records"],
        fewer,
        fewer,
    ]
    assert "CallGear does not know wav_call_records here: left out" in service.told


def test_a_refusal_as_constructed_names_the_field() -> None:
    rules = [lambda body: as_sent("constructed_error_unexpected_parameters.json", body), refusing()]
    service = Service(rules={"get.call_legs_report": [*rules, refusing()]})
    assert service.ids(SINCE, UNTIL) == [1]
    assert "wav_call_records" not in service.params[1]["fields"]


def test_refusals_that_name_nothing_lead_to_the_fields_of_the_first_document_and_then_to_none() -> None:
    service = Service(rules={"get.call_legs_report": [refusing("wav_call_records", named=False)] * 4})
    assert service.ids(SINCE, UNTIL) == [1]
    assert set(service.params[0]["fields"]) - set(service.params[1]["fields"]) == {"wav_call_records"}
    assert len(service.params[2]["fields"]) == 33
    service = Service(rules={"get.call_legs_report": [refusing("is_coach", named=False)] * 9})
    assert service.ids(SINCE, UNTIL) == [1]
    assert [len(params.get("fields", ())) for params in service.params][:6] == [34, 33, 32, 31, 0, 0]
    missing = {"wav_call_records", "finish_reason", "finish_reason_description"}
    assert set(service.params[0]["fields"]) - set(service.params[3]["fields"]) == missing


@pytest.mark.parametrize("data", [None, "x", 7, [7]])
def test_an_account_of_another_shape_is_no_account_without_a_zone(data: Any) -> None:
    assert a_day(1, rules={"get.account": [lambda body: reply(body, data)]}).fails(ProviderError).exit_code == 7


def test_where_naming_fields_is_not_known_at_all_none_are_named() -> None:
    def rule(body: Wire) -> httpx.Response:
        if "fields" in body["params"]:
            return failed(body, -32602, "unexpected_parameters", field="fields", value=["id"])
        return reply(body, [], 0)

    service = Service(rules={"get.calls_report": [rule] * 3})
    service.rules["get.calls_report"][0] = lambda body: failed(
        body, -32602, "unexpected_parameters", field="fields", value=None
    )
    assert service.ids(SINCE, UNTIL, "calls") == []
    assert ["fields" in params for params in service.params] == [True, False, False]


@pytest.mark.parametrize("name", ["id", "start_time", "limit", "user_id"])
def test_what_cannot_be_left_out_ends_the_run_and_is_named(name: str) -> None:
    def rule(body: Wire) -> httpx.Response:
        return failed(body, -32602, "unexpected_parameters", field=name, value=7)

    service = Service(rules={"get.call_legs_report": [rule] * 9})
    error = service.fails(ProviderError)
    assert error.message == f"CallGear does not know the field {name}"
    assert error.exit_code == 7
    assert len(service.asked) == 2


# Points


def test_when_the_points_of_a_minute_are_used_up_the_next_question_waits_for_new_ones() -> None:
    limits = {"minute_limit": 60, "minute_remaining": 0, "minute_reset": 23, "day_remaining": 100}
    page = [{"id": 1, "start_time": "2026-11-18 10:00:00"}]
    rules: list[Rule] = [lambda body: reply(body, page, 1, limits=limits), lambda body: reply(body, [], 0, limits={})]
    service = Service(rules={"get.call_legs_report": rules})
    assert service.ids(SINCE, UNTIL) == [1]
    assert service.slept == [24.0]
    assert service.told == ["waiting 24 s: CallGear takes no more requests this minute"]


def test_a_minutes_limit_is_waited_out_and_the_same_question_asked() -> None:
    def refusal(body: Wire) -> httpx.Response:
        return as_sent("constructed_error_limit_exceeded_minute.json", body)

    service = a_day(2, rules={"get.call_legs_report": [refusal]})
    assert len(service.ids(SINCE, UNTIL)) == 2
    assert 24 <= sum(service.slept) <= 25
    assert service.params[0] == service.params[1]
    service = a_day(2, rules={"get.call_legs_report": [lambda body: failed(body, -32029, "limit_exceeded")] * 99})
    assert service.fails(TemporaryError).exit_code == 5
    assert 840 < sum(service.slept) <= 900
    assert min(service.slept[:5]) >= 60


@pytest.mark.parametrize(("reset", "max_wait"), [(3600, "15m"), (120, "1m"), (86_400, "15m")])
def test_new_points_that_are_too_far_away_end_the_run_at_once(reset: int, max_wait: str) -> None:
    def refusal(body: Wire) -> httpx.Response:
        limits = {"limits": {"minute_remaining": 0, "minute_reset": reset}}
        return failed(body, -32029, "limit_exceeded", params={"limit_type": "minute"}, metadata=limits)

    service = a_day(2, rules={"get.call_legs_report": [refusal] * 9})
    service.settings["max_wait"] = max_wait
    error = service.fails(TemporaryError)
    assert error.exit_code == 5
    assert service.slept == []
    assert len(service.params) == 1
    back = NOW + timedelta(seconds=reset + 2)
    assert f"{back:%Y-%m-%dT%H:%M:%SZ}" in (error.hint or "")


def test_a_days_limit_ends_the_run_at_once_and_says_from_where_to_go_on() -> None:
    def refusal(body: Wire) -> httpx.Response:
        return as_sent("constructed_error_limit_exceeded_day.json", body)

    service = a_day(10)
    answer = service.listing
    service.rules["get.call_legs_report"] = [answer, answer, refusal]
    error = service.fails(TemporaryError, page_size=4)
    assert error.exit_code == 5
    assert error.message == "CallGear's daily limit of 3000 requests is used up; it resets in 14 h 26 min"
    assert error.said is not None
    assert "3000" in error.said
    assert error.hint == (
        "run it again after 2026-11-21T02:26:00.000Z; calls that started before 2026-11-18T08:00:02.000Z have all been "
        "read, so where they were printed --since 2026-11-18T08:00:02.000Z goes on"
    )
    assert service.slept == []


def test_a_start_in_the_future_does_not_say_how_far_all_was_read() -> None:
    """The hint after the daily limit goes by starts that can be true."""
    service = a_day(10)

    def second_page(body: Wire) -> httpx.Response:
        answer = json.loads(service.listing(body).content)
        answer["result"]["data"][-1]["start_time"] = "2083-10-11 09:12:00"
        return httpx.Response(200, json=answer)

    limit = [lambda body: as_sent("constructed_error_limit_exceeded_day.json", body)]
    service.rules["get.call_legs_report"] = [service.listing, second_page, *limit]
    error = service.fails(TemporaryError, page_size=4)
    assert "--since 2026-11-18T08:00:02.000Z goes on" in (error.hint or "")


def test_where_nothing_was_read_there_is_nothing_to_go_on_from() -> None:
    def refusal(body: Wire) -> httpx.Response:
        return failed(body, -32029, "limit_exceeded", params={"limit_type": "day"})

    error = a_day(1, rules={"*": [refusal]}).fails(TemporaryError)
    assert error.message == "CallGear's daily limit is used up"
    error = a_day(1, rules={"get.call_legs_report": [refusal]}).fails(TemporaryError)
    assert error.hint == "run it again"


def test_what_was_read_before_a_days_limit_counts_less_where_the_service_selects_by_the_end() -> None:
    def refusal(body: Wire) -> httpx.Response:
        return as_sent("constructed_error_limit_exceeded_day.json", body)

    service = Service(by="end")
    service.add(SINCE - timedelta(hours=1), 7200)
    for hour in range(20):
        service.add(SINCE + timedelta(hours=hour))
    service.rules["get.call_legs_report"] = [service.listing, service.listing, refusal]
    error = service.fails(TemporaryError, page_size=5, longest_call=timedelta(hours=3))
    assert "--since 2026-11-18T05:00:00.000Z" in (error.hint or "")


def test_an_old_version_is_warned_of_once() -> None:
    version = {"current_version_deprecated": True, "current_version": "2.0", "latest_version": "3.0"}
    page = [{"id": 1, "start_time": "2026-11-18 10:00:00"}]
    service = Service(rules={"get.call_legs_report": [lambda body: reply(body, page, 1, api_version=version)] * 2})
    service.ids(SINCE, UNTIL)
    assert [text for text in service.told if "switched off" in text] == service.told
    assert len(service.told) == 1
    assert "3.0" in service.told[0]


# Filters and orders


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("direction=in", {"field": "direction", "operator": "=", "value": "in"}),
        ("direction!=out", {"field": "direction", "operator": "!=", "value": "out"}),
        ("duration>60", {"field": "duration", "operator": ">", "value": 60}),
        (" duration >= 60 ", {"field": "duration", "operator": ">=", "value": 60}),
        ("duration<=1.5", {"field": "duration", "operator": "<=", "value": 1.5}),
        ("duration<-1", {"field": "duration", "operator": "<", "value": -1}),
        ("is_talked=TRUE", {"field": "is_talked", "operator": "=", "value": True}),
        ("is_talked!=false", {"field": "is_talked", "operator": "!=", "value": False}),
        ("employee_id=null", {"field": "employee_id", "operator": "=", "value": None}),
        ("group_name!=null", {"field": "group_name", "operator": "!=", "value": None}),
        ("employee_full_name~%Smith=%", {"field": "employee_full_name", "operator": "like", "value": "%Smith=%"}),
        ("calling_phone_number=0049", {"field": "calling_phone_number", "operator": "=", "value": "0049"}),
        ("id=9000000001", {"field": "id", "operator": "=", "value": 9_000_000_001}),
        ("group_name=", {"field": "group_name", "operator": "="}),
        ('{"field":"id","operator":"in","value":[1,2]}', {"field": "id", "operator": "in", "value": [1, 2]}),
        (
            ' {"field":"group_name","operator":"not_in","value":["a"]}',
            {"field": "group_name", "operator": "not_in", "value": ["a"]},
        ),
    ],
)
def test_an_expression_becomes_a_filter(text: str, tree: Wire) -> None:
    assert filter_tree(LEGS, (text,)) == tree
    service = a_day(1)
    service.ids(SINCE, UNTIL, filter=(text,))
    assert [params["filter"] for params in service.params] == [tree, tree]
    assert json.dumps(service.params[0]["filter"]) == json.dumps(tree)


def test_several_expressions_must_all_match() -> None:
    nested = {"filters": [{"field": "id", "operator": "=", "value": 1}], "condition": "or"}
    assert filter_tree(LEGS, ("direction=in", json.dumps(nested))) == {
        "filters": [{"field": "direction", "operator": "=", "value": "in"}, nested],
        "condition": "and",
    }
    assert filter_tree(LEGS, ()) is None


def test_lists_are_filtered_on_as_json_only_and_times_as_callgear_writes_them() -> None:
    tree = {"field": "tags", "operator": "jsquery", "value": '#.tag_name = "x"'}
    assert filter_tree(CALLS, (json.dumps(tree),)) == tree
    with pytest.raises(UsageError, match="jsquery"):
        filter_tree(CALLS, ("tags=x",))
    time = {"field": "sale_date", "operator": ">=", "value": "2026-11-01 00:00:00"}
    assert filter_tree(CALLS, ("sale_date>=2026-11-01 00:00:00",)) == time
    with pytest.raises(UsageError, match="as CallGear writes it"):
        filter_tree(CALLS, ("sale_date>=yesterday",))


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("directoin=in", "no field 'directoin'", "direction"),
        ("zzz=1", "no field 'zzz'", "these can be filtered on: id, "),
        ("start_time>2026-01-01 00:00:00", "start_time cannot be filtered on", "--since and --until"),
        ("contact_id=7", "contact_id cannot be filtered on", ""),
        ("duration=long", "'long' is no number", ""),
        ("duration~1%", "cannot be compared by 'like'", "= != < >"),
        ("group_name>a", "cannot be compared by '>'", ""),
        ("is_talked=1", "true or false", ""),
        ("direction", "cannot be read", "--filter direction=in"),
        ("=in", "cannot be read", ""),
        ("", "cannot be read", ""),
        ("{", "no JSON", ""),
        ("{}", "a field, an operator and a value", ""),
        ('{"field":"x","operator":"=","value":1}', "no field 'x'", ""),
        ('{"field":"id","operator":"==","value":1}', "cannot be compared by '=='", ""),
        ('{"field":"id","operator":"=","value":"1"}', "is no value of id", ""),
        ('{"field":"id","operator":"=","value":true}', "is no value of id", ""),
        ('{"field":"id","operator":"=","val":1}', "'val' is no part", "field, operator, value"),
        ('{"field":7,"operator":"=","value":1}', "a field, an operator and a value", ""),
        ('{"filters":[],"condition":"and"}', "a list of them", ""),
        ('{"filters":[{}],"condition":"xor"}', "a list of them", ""),
        ('{"filters":[7],"condition":"and"}', "7 is no filter", ""),
        ('{"filters":[{"field":"x","operator":"="}],"condition":"or"}', "no field 'x'", ""),
        ('{"filters":[' * 25 + "{}" + '],"condition":"or"}' * 25, "is no filter", ""),
    ],
)
def test_a_filter_the_service_would_refuse_is_refused_before_a_question(text: str, said: str, hint: str) -> None:
    service = Service()
    error = service.fails(UsageError, filter=(text,))
    assert said in error.message
    assert hint in (error.hint or "")
    assert error.exit_code == 2
    assert service.asked == []


def test_an_order_ends_by_start_so_that_pages_fit_together() -> None:
    by_start = {"field": "start_time", "order": "asc"}
    assert sorting(LEGS, ()) == [by_start]
    assert sorting(LEGS, ("duration:desc", "direction")) == [
        {"field": "duration", "order": "desc"},
        {"field": "direction", "order": "asc"},
        by_start,
    ]
    assert sorting(COSTS, ("start_time:desc",)) == [{"field": "start_time", "order": "desc"}]
    service = a_day(3)
    service.ids(SINCE, UNTIL, orderby=("duration:desc",))
    assert service.params[0]["sort"] == [{"field": "duration", "order": "desc"}, by_start]
    assert service.params[1]["sort"] == [by_start], "the question for the earliest is never sorted otherwise"


@pytest.mark.parametrize(
    ("text", "said"),
    [("id", "id cannot be sorted by"), ("duratoin", "no field"), ("duration:down", "cannot be read"), ("", "no field")],
)
def test_an_order_the_service_would_refuse_is_refused_before_a_question(text: str, said: str) -> None:
    service = Service()
    assert said in service.fails(UsageError, orderby=(text,)).message
    assert service.asked == []


# What else a run says


def test_pages_know_the_zone_and_where_recordings_are() -> None:
    service = a_day(1, settings={"access_token": "T0KEN", "app_host": "app.callgear.ae/"})
    pages = [piece for piece in service.pieces(SINCE, UNTIL) if isinstance(piece, Page)]
    assert [page.context for page in pages] == [{"timezone": "Europe/Berlin", "app_host": "https://app.callgear.ae"}]


@pytest.mark.parametrize(
    ("host", "app_host", "link"),
    [
        ("dataapi.callgear.com", None, "https://app.callgear.com/system/media/talk/7/a1"),
        ("dataapi.callgear.com", "app.callgear.ae", "https://app.callgear.ae/system/media/talk/7/a1"),
        ("DataAPI.CallGear.com", None, "https://app.callgear.com/system/media/talk/7/a1"),
        ("dataapi.callgear.ae", None, "https://app.callgear.ae/system/media/talk/7/a1"),
        ("dataapi.uiscom.ru", None, "https://app.uiscom.ru/system/media/talk/7/a1/"),
        ("dataapi.comagic.ru", None, "https://app.comagic.ru/system/media/talk/7/a1/"),
        ("dataapi-jsonrpc.novofon.ru", None, None),
        ("dataapi-jsonrpc.novofon.ru", "https://app.example", "https://app.example/system/media/talk/7/a1"),
        ("dataapi.example", None, None),
        ("callgear.com.example", None, None),
        ("notcallgear.com", None, None),
    ],
)
@pytest.mark.parametrize("call", ["legs", "calls"])
def test_recordings_are_linked_at_the_host_of_the_brand(
    call: str, host: str, app_host: str | None, link: str | None
) -> None:
    """By the id of the communication where the record has it, which is a call's own in legs."""
    service = a_day(0, settings={"access_token": "T0KEN", "base_url": f"https://{host}/v2.0"})
    if app_host is not None:
        service.settings["app_host"] = app_host
    more = {"call_session_id": 7} if call == "legs" else {"communication_id": 7}
    service.add(at("2026-11-18T08:00"), call_records=["a1"], **more)
    [page] = [piece for piece in service.pieces(SINCE, UNTIL, call) if isinstance(piece, Page) and piece.records]
    columns, to_common = PROVIDER.call(call).columns, PROVIDER.call(call).common
    assert to_common is not None
    fields = ["recording_url"]
    schema = common_schema(columns, to_common, fields, lambda _text: None, provider="callgear", profile="p")
    assert [list(row) for row in schema.rows(page)] == [[link]]
    [row] = native(columns, ["app_host"], lambda _text: None).rows(page)
    assert list(row) == [link and link.partition("/system")[0]]


def test_nothing_is_asked_before_a_piece_is_wanted() -> None:
    service = a_day(1)
    service.pieces(SINCE, UNTIL)
    assert service.asked == []


def test_a_check_reads_the_zone_and_counts_the_legs_of_a_day() -> None:
    service = Service(rules={"get.call_legs_report": [lambda body: reply(body, [{"id": 1}], 7)]})
    with closing(service.client()) as client:
        assert check_access(PROVIDER, client, service.profile) == (
            "times are of Europe/Berlin; 7 legs in the last 24 hours"
        )
    assert service.spans == []
    assert (service.params[0]["limit"], service.params[0]["date_from"]) == (1, "2026-11-19 12:59:59")


def test_what_is_yielded_are_pages_notes_gaps_and_how_far_it_is() -> None:
    service = a_day(2)
    assert {type(piece) for piece in service.pieces(SINCE, UNTIL)} <= {Page, Note, Gap, Checkpoint}


def test_settings_that_cannot_be_are_refused() -> None:
    for wrong in ({"app_host": "ftp://x"}, {"app_host": "https://u:p@x"}, {"user_id": "me"}, {"app_host": ""}):
        with pytest.raises(ValueError, match=r"app_host|user_id"):
            CallGearSettings.model_validate(wrong)
    assert CallGearSettings.model_validate({}).base_url == URL


@pytest.mark.parametrize("host", ["dataapi.callgear.com", "dataapi.uiscom.ru", "192.0.2.7", "127.0.0.1.example"])
def test_a_key_is_sent_without_encryption_to_this_machine_only(host: str) -> None:
    with pytest.raises(ValueError, match="https://"):
        CallGearSettings.model_validate({"base_url": f"http://{host}/v2.0"})
    for local in ("127.0.0.1:8000", "localhost", "[::1]:8000"):
        assert CallGearSettings.model_validate({"base_url": f"http://{local}/v2.0"}).base_url.startswith("http://")


def test_the_calls_are_those_of_the_documents_the_main_one_first() -> None:
    names: Sequence[str] = [call.name for call in PROVIDER.calls]
    assert names == ["legs", "calls", "costs", "users"]
    ways: Mapping[str, tuple[str, ...]] = {"key": ("access_token",), "login": ("login", "password")}
    assert ways == PROVIDER.auth_methods
    assert rfc3339(NOW - PROVIDER.call("legs").timing.lag) == "2026-11-20T11:55:00.000Z"
