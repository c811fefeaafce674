"""How Voicenter is asked: requests, windows, halves, and what becomes of answers that are not as they should be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from hypothesis import given, settings as tried, strategies as st
from pydantic import SecretStr, ValidationError

from cdrctl.errors import AddressError, CdrctlError, ProviderError, SignInError, TemporaryError, UsageError
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import Query, check_access, connect
from cdrctl.fetchers.voicenter import PROVIDER
from cdrctl.fetchers.voicenter.columns import COLUMNS
from cdrctl.fetchers.voicenter.settings import VoicenterSettings
from cdrctl.http import Client, Clock
from cdrctl.records.events import Event, Gap, Page
from cdrctl.records.schemas import common, raw
from cdrctl.windows import Window

DATA = Path(__file__).parents[1] / "data" / "voicenter"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = datetime(2026, 11, 18, tzinfo=UTC)
HOUR_LATER = DAY + timedelta(hours=1)
URL = "https://api.voicenter.com/hub/cdr/"
SECRET = "c0dec0dec0dec0de"
OPTIONS: Mapping[str, Any] = {
    **dict.fromkeys(("phone", "extension", "type", "queue", "campaign"), ()),
    **dict.fromkeys(("identity", "call_id")),
    "longest_window": timedelta(days=1),
    "longest_call": timedelta(0),
}
# The seed's list of fields, copied from the user's document; "date", "fromdate", "todate" and "phones" are below.
SEED_FIELDS = (
    *("Type", "DID", "CallerNumber", "CallerExtension", "TargetNumber", "TargetExtension", "TargetPrefixName"),
    *("Duration", "Price", "RecordURL", "RecordExpect", "RepresentativeName", "RepresentativeCode", "DTMFData"),
    *("CallID", "QueueName", "DialStatus", "DialStatus2", "RingTime", "CustomData", "DepartmentName", "DepartmentId"),
)

Rule = Callable[[dict[str, Any]], httpx.Response]


def sample(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def s(seconds: float, *, on: datetime = DAY) -> datetime:
    return on + timedelta(seconds=seconds)


def record(name: str, at: datetime, **more: Any) -> dict[str, Any]:
    stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"CallID": name, "CdrType": 1, "Type": "Incoming Call", "Date": stamp, **more}


def reply(*records: Any, **more: Any) -> httpx.Response:
    counters = {"TOTAL_HITS": len(records), "RETURN_HITS": len(records)}
    body = {"ERROR_NUMBER": 0, "ERROR_DESCRIPTION": "OK", "STATUS_CODE": 200, **counters, "CDR_LIST": [*records]}
    return httpx.Response(200, json={key: value for key, value in {**body, **more}.items() if value != "left out"})


def error(number: Any, words: str = "no", status: int = 200) -> httpx.Response:
    return httpx.Response(status, json={"ERROR_NUMBER": number, "ERROR_DESCRIPTION": words, "CDR_LIST": []})


class Voicenter:
    """What the service answers, in turn and then by the last rule; and one profile's runs against it."""

    def __init__(self, *answers: httpx.Response | Rule, **settings: Any) -> None:
        self.answers = list(answers)
        self.settings = VoicenterSettings(**({"code": SecretStr(SECRET)} | settings))
        self.now = NOW
        self.requests: list[httpx.Request] = []
        self.at: list[float] = []
        self.slept: list[float] = []
        self.told: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        self.at.append(self.seconds())
        if not self.answers:
            return reply()
        first = self.answers[0]
        if isinstance(first, httpx.Response):
            self.answers.pop(0)
            return first
        return first(json.loads(request.content))

    def seconds(self) -> float:
        return (self.now - NOW).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def client(self) -> Client:
        return connect(
            PROVIDER,
            self.settings,
            clock=Clock(now=lambda: self.now, monotonic=self.seconds, sleep=self.sleep),
            log=lambda level, text: self.told.append((level, text)),
            conceal=lambda _secrets: None,
            transport=httpx.MockTransport(self),
        )

    def pieces(self, since: datetime = DAY, until: datetime = HOUR_LATER, **options: Any) -> Iterator[Event]:
        with closing(self.client()) as client:
            yield from PROVIDER.call("cdrs").fetch(
                Query(client, self.settings, Window(since, until), {**OPTIONS, **options})
            )

    def fetch(self, *args: Any, **options: Any) -> list[Event]:
        return list(self.pieces(*args, **options))

    def export(self, since: datetime = DAY, until: datetime = HOUR_LATER, **options: Any) -> tuple[list[str], Tally]:
        """Return the ids that a whole export gives, and what happened."""
        tally, call = Tally(), PROVIDER.call("cdrs")
        window = Window(since, until)
        pages = rows(self.fetch(since, until, **options), call, raw(), window, tally, lambda _level, _text: None)
        return [str(dict(one)["CallID"]) for page in pages for one in page], tally

    def fails(self, *args: Any, **options: Any) -> CdrctlError:
        with pytest.raises(CdrctlError) as caught:
            self.fetch(*args, **options)
        assert SECRET not in words(caught.value)
        return caught.value

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests]

    @property
    def windows(self) -> list[tuple[str, str]]:
        """The windows asked for, without their year and month."""
        searches = [body["search"] for body in self.bodies]
        return [(search["fromdate"][8:], search["todate"][8:]) for search in searches]


def gaps(pieces: Sequence[Event]) -> list[str]:
    return [piece.what for piece in pieces if isinstance(piece, Gap)]


def records_of(pieces: Sequence[Event]) -> list[dict[str, Any]]:
    return [one for piece in pieces if isinstance(piece, Page) for one in piece.records]


def words(error: CdrctlError) -> str:
    return " | ".join(filter(None, (error.message, error.said, error.hint)))


# Requests


def test_a_request_is_written_as_documented() -> None:
    """POST to the address as it stands, slash and all; the code in the body only; times in GMT without a zone."""
    voicenter = Voicenter()
    voicenter.fetch(DAY, s(86_400))
    [request] = voicenter.requests
    assert (request.method, str(request.url)) == ("POST", URL)
    assert request.headers["content-type"] == "application/json"
    assert "authorization" not in request.headers
    [body] = voicenter.bodies
    assert list(body) == ["code", "format", "fields", "search"]
    assert body["code"] == SECRET
    assert body["format"] == "JSON"
    assert body["search"] == {"fromdate": "2026-11-17T23:59:59", "todate": "2026-11-19T00:00:00"}


def test_all_fields_that_any_document_knows_are_asked_for() -> None:
    voicenter = Voicenter()
    voicenter.fetch()
    [body] = voicenter.bodies
    known = [one["wire_name"] for one in sample("data_fields.json")["fields"]]
    assert sorted(body["fields"]) == sorted(known)
    assert {"Date", *SEED_FIELDS} <= set(body["fields"])
    assert not {"fromdate", "todate", "phones"} & set(body["fields"])


def test_columns_have_the_names_of_the_documents() -> None:
    known = [(one["name"], one["wire_name"]) for one in sample("data_fields.json")["fields"]]
    assert [(column.name, column.key) for column in COLUMNS[:-1]] == known
    assert COLUMNS[-1].name == "record_hash"


@pytest.mark.parametrize("base", ["https://api1.voicenter.co.il/hub/cdr/", "http://127.0.0.1:9/hub/cdr", URL])
def test_base_url_may_lack_its_last_slash(base: str) -> None:
    voicenter = Voicenter(base_url=base)
    voicenter.fetch()
    assert str(voicenter.requests[0].url) == base.rstrip("/") + "/"


@pytest.mark.parametrize("base", ["http://api1.voicenter.co.il/hub/cdr/", "HTTP://192.0.2.1/hub/cdr/"])
def test_plain_http_is_for_this_machine_only(base: str) -> None:
    """The code is in every request: there is no setting that lets it go unencrypted."""
    with pytest.raises(ValidationError, match="https"):
        VoicenterSettings.model_validate({"base_url": base, "code": SECRET})
    with pytest.raises(ValidationError):
        VoicenterSettings.model_validate({"base_url": base, "code": SECRET, "allow_http": True})


def test_a_bearer_token_is_sent_without_a_code() -> None:
    voicenter = Voicenter(code=None, access_token=SecretStr("JWT"))
    voicenter.fetch()
    [body] = voicenter.bodies
    assert "code" not in body
    assert voicenter.requests[0].headers["authorization"] == "Bearer JWT"


def test_a_profile_without_a_credential_sends_nothing() -> None:
    voicenter = Voicenter(code=None)
    assert isinstance(voicenter.fails(), SignInError)
    assert voicenter.requests == []


def test_options_become_search_keys() -> None:
    voicenter = Voicenter()
    voicenter.fetch(
        phone=("+972 72-277-6772", "0500000000"),
        extension=("SIPSIP1", "SIPSIP2"),
        identity="hierarchical",
        call_id="202611181104550233API0001",
        type=("1", "queue", "Click2Call Leg1"),
        queue=("2",),
        campaign=("1", "7"),
    )
    search = voicenter.bodies[0]["search"]
    assert list(search)[:2] == ["fromdate", "todate"]
    del search["fromdate"], search["todate"]
    assert search == {
        "phones": ["972722776772", "0500000000"],
        "extensions": ["SIPSIP1", "SIPSIP2"],
        "IdentityCriteria": "Hierarchical",
        "callID": "202611181104550233API0001",
        "cdrTypes": [1, 8, 9],
        "campaignID": [1, 7],
        "queueID": [2],
    }


@pytest.mark.parametrize("criteria", ["Account", "Hierarchical", "Department", "User"])
def test_identity_criteria(criteria: str) -> None:
    voicenter = Voicenter()
    voicenter.fetch(identity=criteria)
    assert voicenter.bodies[0]["search"]["IdentityCriteria"] == criteria


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"phone": ("SIPSIP",)}, "'SIPSIP' is not a telephone number"),
        ({"phone": ("",)}, "is not a telephone number"),
        ({"phone": ("٣٤",)}, "is not a telephone number"),
        ({"extension": (" ",)}, "--extension needs a value"),
        ({"call_id": ""}, "--call-id needs a value"),
        ({"identity": "Group"}, "it is one of Account, Hierarchical, Department, User"),
        ({"type": ("CC",)}, "'CC' is not a type of call"),
        ({"type": ("²",)}, "is not a type of call"),
        ({"queue": ("Sales",)}, "--queue 'Sales' is not a number"),
        ({"campaign": ("",)}, "--campaign '' is not a number"),
        ({"longest_window": timedelta(seconds=59)}, "--longest-window is shorter than a minute"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_is_asked(options: Any, said: str) -> None:
    voicenter = Voicenter()
    error = voicenter.fails(**options)
    assert isinstance(error, UsageError)
    assert said in words(error)
    assert voicenter.requests == []


# Windows


@pytest.mark.parametrize(
    ("since", "until", "asked"),
    [
        (s(0), s(86_400), [("17T23:59:59", "19T00:00:00")]),
        (s(0), s(86_401), [("17T23:59:59", "19T00:00:00"), ("18T23:59:59", "19T00:01:00")]),
        (s(30.5), s(90.25), [("17T23:59:59", "18T00:02:00")]),
        (s(59.999), s(60), [("17T23:59:59", "18T00:01:00")]),
        (s(0.1), s(0.2), [("17T23:59:59", "18T00:01:00")]),
    ],
)
def test_windows_are_a_day_and_of_whole_minutes(since: datetime, until: datetime, asked: list[tuple[str, str]]) -> None:
    voicenter = Voicenter()
    voicenter.fetch(since, until)
    assert voicenter.windows == asked


def test_the_longest_window_can_be_chosen() -> None:
    voicenter = Voicenter()
    voicenter.fetch(s(0), s(7200), longest_window=timedelta(minutes=60, seconds=30))
    assert voicenter.windows == [("17T23:59:59", "18T01:00:00"), ("18T00:59:59", "18T02:00:00")]


def test_requests_are_two_seconds_apart_and_thirty_a_minute() -> None:
    voicenter = Voicenter()
    voicenter.fetch(DAY, DAY + timedelta(days=40))
    assert len(voicenter.at) == 40
    assert all(later - earlier >= 2 for earlier, later in zip(voicenter.at, voicenter.at[1:], strict=False))
    # By more than a minute: a server counts arrivals, and one request may take longer than another.
    assert all(later - earlier >= 60.5 for earlier, later in zip(voicenter.at, voicenter.at[30:], strict=False))
    assert voicenter.at[-1] < 85


LASTS = 600
"""Seconds that the calls of a host take."""


@dataclass
class Host:
    """A host as the documents describe it, in the ways that they leave open; it knows its calls.

    Args:
        starts: Second of the day by id.
        most: Records it gives at most.
        over: How it says that there are more.
        closed: Whether `todate` belongs to the window.
        grain: Seconds in which it counts bounds.
        days: Days that it allows at a time.
    """

    starts: Sequence[int]
    most: int = 3
    over: Literal["counters", "error3"] = "counters"
    closed: bool = True
    grain: int = 1
    minute_is_whole: bool = False
    days: float | None = None
    asked: int = field(default=0)

    def __call__(self, body: dict[str, Any]) -> httpx.Response:
        self.asked += 1
        first, last = (self._second(body["search"][name]) for name in ("fromdate", "todate"))
        if self.days is not None and last - first > self.days * 86_400:
            return error(5, "Date range invalid")
        found = [(n, at) for n, at in enumerate(self.starts) if self._within(first, at, last)]
        if len(found) > self.most and self.over == "error3":
            return error(3, "CDR limit exceeded.")
        records = [record(f"c{n}", s(at), Duration=LASTS) for n, at in found[: self.most]]
        counters = {"TOTAL_HITS": len(found), "RETURN_HITS": len(records)} if self.over == "counters" else {}
        return httpx.Response(200, json={"ERROR_NUMBER": 0, **counters, "CDR_LIST": records})

    def _second(self, text: str) -> int:
        seconds = int((datetime.fromisoformat(text).replace(tzinfo=UTC) - DAY).total_seconds())
        return seconds - seconds % self.grain

    def _within(self, first: int, at: int, last: int) -> bool:
        if self.minute_is_whole:
            at -= at % self.grain
        return first <= at <= last if self.closed else first <= at < last


def exported(host: Host, since: datetime, until: datetime, **options: Any) -> tuple[list[str], Tally]:
    return Voicenter(host, base_url="http://127.0.0.1:9/", requests_per_minute=0).export(since, until, **options)


def truth(host: Host, since: datetime, until: datetime) -> list[str]:
    return sorted(f"c{n}" for n, at in enumerate(host.starts) if since <= s(at) < until)


@pytest.mark.parametrize("over", ["counters", "error3"])
@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 50])
def test_every_record_comes_once(over: Literal["counters", "error3"], closed: bool, count: int) -> None:  # noqa: FBT001
    """Whatever belongs to a window, and however too much is said, around the most that an answer holds."""
    host = Host([61 * n for n in range(count)], over=over, closed=closed)
    found, tally = exported(host, s(0), s(3600))
    assert sorted(found) == truth(host, s(0), s(3600))
    assert tally.gaps == []


@tried(max_examples=40, deadline=None)
@given(
    starts=st.lists(st.integers(0, 400), max_size=25),
    cuts=st.lists(st.integers(0, 400_000), min_size=3, max_size=3, unique=True),
    over=st.sampled_from(["counters", "error3"]),
    closed=st.booleans(),
)
def test_windows_tile_at_any_cut(
    starts: list[int], cuts: list[int], over: Literal["counters", "error3"], *, closed: bool
) -> None:
    """Two adjoining windows have what the whole has; where a second is too full, that is said and nothing else lost."""
    host = Host(starts, over=over, closed=closed)
    a, b, c = (s(cut / 1000) for cut in sorted(cuts))
    halves = [exported(host, a, b), exported(host, b, c)]
    found = [one for ids, _ in halves for one in ids]
    assert len(found) == len(set(found))
    crowded = {second for second in starts if starts.count(second) > host.most}
    reachable = [n for n in truth(host, a, c) if starts[int(n[1:])] not in crowded]
    if over == "error3":  # which tells nothing of the crowded second: its neighbours may be doubted
        said = bool(halves[0][1].gaps or halves[1][1].gaps)
        assert said or sorted(found) == truth(host, a, c)
        assert said or not [second for second in crowded if a <= s(second) < c]
        return
    assert set(reachable) <= set(found) <= set(truth(host, a, c))
    if [second for second in crowded if a <= s(second) < c]:
        assert halves[0][1].gaps or halves[1][1].gaps


@pytest.mark.parametrize("over", ["counters", "error3"])
@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("minute_is_whole", [True, False])
def test_a_host_that_counts_in_minutes(
    over: Literal["counters", "error3"],
    closed: bool,  # noqa: FBT001
    minute_is_whole: bool,  # noqa: FBT001
) -> None:
    """Windows cut anywhere are whole; a minute that is too full is named, and no half of it is taken for all."""
    calm = [7 + 41 * n for n in range(20)]
    host = Host(calm, over=over, closed=closed, grain=60, minute_is_whole=minute_is_whole, most=4)
    for since, until in ((s(33.3), s(777.7)), (s(70), s(71)), (s(59.5), s(60))):
        found, tally = exported(host, since, until)
        assert sorted(found) == truth(host, since, until)
        assert tally.gaps == []
    crowded = Host(
        [*calm, *range(300, 312)], over=over, closed=closed, grain=60, minute_is_whole=minute_is_whole, most=4
    )
    found, tally = exported(crowded, s(0), s(900))
    outside = [n for n in truth(crowded, s(0), s(900)) if not 240 <= crowded.starts[int(n[1:])] < 360]
    assert set(outside) <= set(found)
    assert "from 2026-11-18T00:05:00.000Z to 2026-11-18T00:06:00.000Z" in " ".join(gap.what for gap in tally.gaps)
    assert len(found) == len(set(found))
    assert crowded.asked < 60
    assert len(tally.gaps) <= 3  # its neighbours, which share a bound with it
    if minute_is_whole:  # a neighbour can be asked for alone
        assert set(truth(crowded, s(0), s(300))) <= set(found)


@pytest.mark.parametrize("closed", [True, False])
def test_a_second_that_is_too_full_is_named_and_its_neighbours_come(closed: bool) -> None:  # noqa: FBT001
    host = Host([100, 101, 102, *[103] * 9, 104, 105], closed=closed)
    voicenter = Voicenter(host)
    found, tally = voicenter.export(s(0), s(3600))
    assert {f"c{n}" for n in (0, 1, 2, 12, 13)} <= set(found)
    [gap] = tally.gaps
    assert "at 2026-11-18T00:01:43.000Z than it gives in one answer" in gap.what
    assert len([n for n in found if 3 <= int(n[1:]) < 12]) == 3
    assert "--type" in (gap.hint or "")


def test_an_empty_second_beside_one_that_is_too_full_is_known_to_be_empty() -> None:
    found, tally = Voicenter(Host([*[103] * 9, 119])).export(s(0), s(3600))
    assert len(found) == 4
    [gap] = tally.gaps
    assert "at 2026-11-18T00:01:43.000Z" in gap.what


def test_an_envelope_in_lower_case() -> None:
    body = json.loads(reply(record("a", s(1)), TOTAL_HITS=2).content)
    voicenter = Voicenter(
        httpx.Response(200, json={key.lower(): value for key, value in body.items()}), reply(), reply(record("b", s(1)))
    )
    assert voicenter.export()[0] == ["b"]
    body = json.loads(reply(record("a", s(1))).content)
    voicenter = Voicenter(httpx.Response(200, json={key.lower(): value for key, value in body.items()}))
    assert voicenter.export()[0] == ["a"]


def test_records_are_relied_upon_ten_minutes_after_the_end() -> None:
    assert PROVIDER.call("cdrs").timing.lag == timedelta(minutes=10)


def test_a_crowded_second_outside_of_the_window_is_no_gap() -> None:
    host = Host([*[103] * 9, 110])
    found, tally = Voicenter(host).export(s(104), s(3600))
    assert (found, tally.gaps) == (["c9"], [])


def test_halves_are_asked_oldest_first() -> None:
    voicenter = Voicenter(Host([10, 80, 130, 190], most=2))
    voicenter.fetch(s(0), s(240))
    assert voicenter.windows == [
        ("17T23:59:59", "18T00:04:00"),
        ("17T23:59:59", "18T00:02:00"),
        ("18T00:01:59", "18T00:04:00"),
    ]


def test_an_answer_of_ten_thousand_records_is_taken_for_cut_off() -> None:
    """Without counters, and with counters that agree: the number alone says it."""
    full = [record(f"c{n}", s(n)) for n in range(10_000)]
    for counters in ({}, {"TOTAL_HITS": "left out", "RETURN_HITS": "left out"}):
        voicenter = Voicenter(reply(*full, **counters), lambda _body: reply(record("x", s(1))))
        assert voicenter.export()[0] == ["x"]
        assert len(voicenter.requests) == 3
    voicenter = Voicenter(reply(*full[:-1]))
    assert len(voicenter.export(s(0), s(10_000))[0]) == 9_999
    assert len(voicenter.requests) == 1


def test_the_counters_are_compared_with_each_other_as_numbers_or_text() -> None:
    cut = {key: str(value) for key, value in sample("constructed_truncated.json").items() if key.endswith("HITS")}
    assert cut == {"TOTAL_HITS": "10500", "RETURN_HITS": "10000"}
    voicenter = Voicenter(reply(record("a", s(1)), **cut))
    voicenter.fetch()
    assert len(voicenter.requests) == 3


def test_a_count_of_more_records_than_came_is_said() -> None:
    """The documentation's own sample counts two records and shows one."""
    voicenter = Voicenter(httpx.Response(200, json=sample("doc_cdr_ok.json")))
    since = datetime(2024, 6, 10, 9, tzinfo=UTC)
    found, tally = voicenter.export(since, since + timedelta(hours=1))
    assert found == ["202406101204550233243ghff3189e5c"]
    assert tally.gaps == []
    assert len(voicenter.requests) == 1
    assert ("warning", "Voicenter counts 2 records in an answer that holds 1") in voicenter.told


def test_a_range_that_is_refused_is_halved_while_it_is_longer_than_a_day() -> None:
    host = Host([10, 86_400, 200_000], days=2)
    found, tally = exported(host, s(0), s(6 * 86_400), longest_window=timedelta(days=6))
    assert (found, tally.gaps) == (["c0", "c1", "c2"], [])
    assert host.asked == 7


def test_a_range_of_a_day_that_is_refused_is_halved_once() -> None:
    """A day is asked for with a second more, which may be what is refused."""
    host = Host([10, 86_000], days=1)
    assert exported(host, s(0), s(86_400))[0] == ["c0", "c1"]
    assert host.asked == 3
    voicenter = Voicenter(lambda _body: httpx.Response(200, json=sample("constructed_error_5.json")))
    error = voicenter.fails(s(0), s(86_400))
    assert (type(error).__name__, error.exit_code) == ("ProviderError", 7)
    assert error.message == (
        "Voicenter refuses the range 2026-11-18T00:00:00.000Z to 2026-11-18T12:00:00.000Z (times are sent in GMT)"
    )
    assert error.said == "Date range invalid"
    assert len(voicenter.requests) == 2


# Fields that a host does not know


def refusing(*unknown: str) -> Rule:
    def answer(body: dict[str, Any]) -> httpx.Response:
        wrong = [name for name in body["fields"] if name in unknown]
        return error(9, f"Unknown field {wrong[0]}") if wrong else reply(record("a", s(1)))

    return answer


@pytest.mark.parametrize(
    ("unknown", "asked", "missing"),
    [
        (["DialStatus2"], 2, "asking without DialStatus2"),
        (["DateEpoch", "CdrType"], 3, "asking without DateEpoch, CdrType, UserName, UserId"),
    ],
)
def test_a_host_that_refuses_fields_is_asked_for_those_it_documents(
    unknown: list[str], asked: int, missing: str
) -> None:
    voicenter = Voicenter(refusing(*unknown))
    assert voicenter.export(s(0), s(2 * 86_400))[0] == ["a"]
    assert len(voicenter.requests) == asked + 1  # the second day knows already
    [note] = [text for level, text in voicenter.told if level == "note"]
    assert missing in note


def test_the_older_list_is_the_users_own() -> None:
    voicenter = Voicenter(refusing("DateEpoch"))
    voicenter.fetch()
    assert sorted(voicenter.bodies[-1]["fields"]) == sorted(["Date", *SEED_FIELDS])


def test_another_refusal_is_not_taken_for_one_of_fields() -> None:
    """What is refused with every list is told in the provider's words; what is refused later is not asked again."""
    voicenter = Voicenter(lambda _body: error(77, "Account is closed"))
    error_ = voicenter.fails()
    assert (error_.exit_code, error_.said) == (7, "Account is closed")
    assert "error 77" in error_.message
    assert len(voicenter.requests) == 3
    voicenter = Voicenter(reply(), lambda _body: error(77))
    voicenter.fails(s(0), s(2 * 86_400))
    assert len(voicenter.requests) == 2


# Errors


@pytest.mark.parametrize("status", [200, 403])
def test_being_too_fast_is_waited_out(status: int) -> None:
    """Error 1, with whatever status: 5 s, then twice as long each time, a minute at most."""
    too_fast = httpx.Response(status, json=sample("constructed_error_1.json"))
    voicenter = Voicenter(too_fast, too_fast, too_fast, reply(record("a", s(1))))
    assert voicenter.export()[0] == ["a"]
    between = [later - earlier for earlier, later in pairwise(voicenter.at)]
    assert [wait <= gap < wait + 3 for wait, gap in zip((5, 10, 20), between, strict=True)] == [True] * 3
    [said, *_] = [text for level, text in voicenter.told if level == "note"]
    assert "limits requests to 30 a minute" in said


@pytest.mark.parametrize("allowed", [timedelta(0), timedelta(seconds=40), timedelta(minutes=15)])
def test_being_too_fast_is_waited_out_for_as_long_as_one_request_may_wait(allowed: timedelta) -> None:
    voicenter = Voicenter(lambda _body: httpx.Response(200, json=sample("constructed_error_1.json")), max_wait=allowed)
    error = voicenter.fails()
    assert isinstance(error, TemporaryError)
    assert error.exit_code == 5
    assert error.said == "Request limit exceeded. Please try again later."
    assert "30 a minute" in error.message
    assert allowed.total_seconds() - 5 <= voicenter.seconds() <= allowed.total_seconds() + 10


@pytest.mark.parametrize("pace", [None, 0])
def test_after_the_first_error_1_requests_are_five_seconds_apart(pace: int | None) -> None:
    """For the rest of the run, by the clock of a server to which every request may take up to half a second longer."""
    host = Host([10], days=1)
    arrivals: list[float] = []

    def counting(body: dict[str, Any]) -> httpx.Response:
        now = voicenter.seconds() + 0.5 * (len(arrivals) % 2)
        arrivals.append(now)
        if len(arrivals) == 3:
            return httpx.Response(200, json=sample("constructed_error_1.json"))
        return host(body)

    voicenter = Voicenter(counting, base_url="http://127.0.0.1:9/", requests_per_minute=pace)
    voicenter.fetch(DAY - timedelta(days=20), DAY, longest_window=timedelta(hours=12))
    assert len(arrivals) > 40
    assert all(later - earlier >= 5 for earlier, later in pairwise(arrivals[2:]))


@pytest.mark.parametrize("status", [200, 401, 403, 404])
@pytest.mark.parametrize(
    ("body", "kind", "message", "hint"),
    [
        ("constructed_error_2.json", SignInError, "does not accept this code or token", "make a new one"),
        ("constructed_error_4.json", AddressError, "your address 203.0.113.9 is not authorised", "Authorized IPs"),
        ("constructed_error_number_as_string.json", AddressError, "your address 203.0.113.9", "bearer token"),
        ("constructed_error_5.json", ProviderError, "refuses the range 2026-11-18T00:00:00.000Z to", "--since"),
    ],
)
def test_an_error_is_what_its_body_says_whatever_the_status(
    status: int, body: str, kind: type[CdrctlError], message: str, hint: str
) -> None:
    document = sample(body)
    for spelt in (document, {key.lower(): value for key, value in document.items()}):
        voicenter = Voicenter(lambda _body, spelt=spelt: httpx.Response(status, json=spelt))  # type: ignore[misc]
        error = voicenter.fails()
        assert type(error) is kind
        assert message in error.message
        assert hint in (error.hint or "")
        assert error.said == document["ERROR_DESCRIPTION"]
        assert len(voicenter.requests) == 1


def test_error_3_at_the_floor_is_a_gap() -> None:
    voicenter = Voicenter(lambda _body: httpx.Response(200, json=sample("constructed_error_3.json")))
    pieces = voicenter.fetch(s(0), s(60))
    [gap] = gaps(pieces)
    assert gap == (
        "Voicenter has more calls that started from 2026-11-18T00:00:00.000Z to 2026-11-18T00:01:00.000Z than it gives "
        "in one answer"
    )


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (httpx.Response(401, json={"message": "weekly usage limit"}), SignInError, "weekly usage limit"),
        (httpx.Response(403, text="no"), SignInError, "no"),
        (httpx.Response(404, text="<html>"), ProviderError, "there is nothing at"),
        (httpx.Response(302, headers={"location": "https://elsewhere.example/x"}), CdrctlError, "elsewhere.example"),
        (httpx.Response(400, text="bad"), ProviderError, "HTTP 400"),
        (httpx.Response(200, json={}), ProviderError, "no ERROR_NUMBER"),
        (httpx.Response(200, json=[]), ProviderError, "no ERROR_NUMBER"),
        (httpx.Response(200, json=None), TemporaryError, "invalid JSON|empty body"),
        (httpx.Response(200, json={"ERROR_NUMBER": None, "CDR_LIST": []}), ProviderError, "no ERROR_NUMBER"),
        (httpx.Response(200, json={"ERROR_NUMBER": "x", "CDR_LIST": []}), ProviderError, "no ERROR_NUMBER"),
        (httpx.Response(200, json={"ERROR_NUMBER": True, "CDR_LIST": []}), ProviderError, "no ERROR_NUMBER"),
        (reply(CDR_LIST="left out"), ProviderError, "CDR_LIST is not a list"),
        (reply(CDR_LIST={}), ProviderError, "CDR_LIST is not a list"),
        (reply(CDR_LIST=""), ProviderError, "CDR_LIST is not a list"),
        (reply(CDR_LIST=None, TOTAL_HITS=2), ProviderError, "CDR_LIST is not a list"),
        (reply(CDR_LIST=[3]), ProviderError, "an element of CDR_LIST is not an object"),
    ],
)
def test_other_refusals_and_shapes(answer: httpx.Response, kind: type[CdrctlError], said: str) -> None:
    """What is not an answer of the Call Log is an error, and never "no records"."""
    content = answer.content

    def again(_body: Any) -> httpx.Response:
        return httpx.Response(answer.status_code, headers=answer.headers, content=content)

    error = Voicenter(again).fails()
    assert isinstance(error, kind)
    assert any(one in words(error) for one in said.split("|"))


def test_a_list_of_null_is_an_empty_one() -> None:
    assert Voicenter(reply(CDR_LIST=None)).export()[0] == []
    assert Voicenter(reply(CDR_LIST=None, TOTAL_HITS="left out", RETURN_HITS="left out")).export()[0] == []


def test_a_web_page_in_place_of_json() -> None:
    """It may pass, and is asked for again; if not, what came is named; with a 5xx it is an outage."""
    page = (DATA / "constructed_reply.html").read_text(encoding="utf-8")
    voicenter = Voicenter(httpx.Response(200, text=page), reply(record("a", s(1))))
    assert voicenter.export()[0] == ["a"]
    error = Voicenter(lambda _body: httpx.Response(200, text=page)).fails()
    assert (type(error), error.exit_code) == (ProviderError, 7)
    assert error.message == "Voicenter answered with a web page instead of JSON"
    error = Voicenter(lambda _body: httpx.Response(502, text=page)).fails()
    assert (type(error), error.exit_code) == (TemporaryError, 5)
    error = Voicenter(lambda _body: httpx.Response(200, text='{"ERROR_NUMBER": 0, "CDR_')).fails()
    assert (type(error), error.exit_code) == (TemporaryError, 5)


def test_the_status_429_is_waited_out() -> None:
    voicenter = Voicenter(httpx.Response(429), reply(record("a", s(1))))
    assert voicenter.export()[0] == ["a"]
    assert max(voicenter.slept) >= 5


def test_the_code_is_never_shown() -> None:
    """Not in what is told, not in an address, and not when the service says it back to us."""
    voicenter = Voicenter(lambda _body: error(2, "Authorization failed."))
    voicenter.fails()
    assert SECRET not in str(voicenter.told)
    assert SECRET not in str(voicenter.requests[0].url)
    assert SECRET not in repr(voicenter.settings)


def test_the_profile_is_checked_with_one_request() -> None:
    voicenter = Voicenter(reply(record("a", s(1))))
    with closing(voicenter.client()) as client:
        said = check_access(PROVIDER, client, voicenter.settings)
    assert said == "1 record between 2026-11-20T10:50:00.000Z and 2026-11-20T11:50:00.000Z"
    assert voicenter.windows == [("20T10:49:59", "20T11:50:00")]


# Records that share their key


def test_two_legs_of_one_call_are_two_records() -> None:
    voicenter = Voicenter(httpx.Response(200, json=sample("constructed_click2call_two_legs_same_callid.json")))
    found, tally = voicenter.export(s(9 * 3600), s(10 * 3600))
    assert found == ["202611181104550233API0001"] * 2
    assert tally.duplicates == 0


def test_records_that_share_call_type_and_date_are_both_kept_unless_they_are_equal() -> None:
    """The second has a hash in its id, whichever of them comes first; what is equal in all is a duplicate."""
    one, other = record("a", s(5), Duration=1), record("a", s(5), Duration=2)
    ids = []
    for records in ([one, other, one, record("b", s(6))], [record("b", s(6)), other, one, one]):
        pieces = Voicenter(reply(*records)).fetch()
        call = PROVIDER.call("cdrs")
        assert call.common is not None
        schema = common(call.columns, call.common, ["record_id"], lambda _text: None, provider="voicenter", profile="a")
        tally = Tally()
        pages = rows(pieces, call, schema, Window(s(0), s(60)), tally, lambda _level, _text: None)
        ids.append(sorted(str(next(iter(row))) for page in pages for row in page))
        assert (tally.records, tally.duplicates) == (3, 1)
    assert ids[0] == ids[1]
    assert ids[0][0] == "a:1:2026-11-18T00:00:05.000Z"
    assert ids[0][1].startswith("a:1:2026-11-18T00:00:05.000Z:")
    assert len(ids[0][1]) == len(ids[0][0]) + 13
    assert ids[0][2] == "b:1:2026-11-18T00:00:06.000Z"


def test_chosen_columns_are_asked_for_with_what_a_record_is_known_by() -> None:
    from cdrctl.fetchers.voicenter.columns import FIELDS, lists_of_fields

    asked = lists_of_fields(("queue_name", "call_id"))
    assert "QueueName" in asked[0]
    assert "RecordURL" not in asked[0]
    assert {"Date", "Type", "CdrType", "CallID"} <= set(asked[0])
    assert lists_of_fields(None) == FIELDS
    assert lists_of_fields(("extra",)) == FIELDS
