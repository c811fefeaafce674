"""Kazoo from end to end: our fetcher against an imitation with the server's own faults."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from cdrctl.errors import CdrctlError, ProviderError, SignInError, TemporaryError, UsageError
from cdrctl.fetchers.kazoo.columns import start as start_of
from cdrctl.sandbox import Exchange, Sandbox, start, straddlers, uniform
from cdrctl.sandbox.kazoo.accounts import OWNER_IDS
from cdrctl.sandbox.kazoo.databases import month_database
from cdrctl.sandbox.kazoo.documents import StoredDocument
from cdrctl.windows import Window, rfc3339
from tests.support.clock import HandClock
from tests.support.products import pairwise_product

from .test_kazoo import Run, at, commonly, fetched, gregorian, natively, window

NOW = at("2026-12-02T12:00")
MONTH = at("2026-11-01")
EDGE = window("2026-10-31T22:00", "2026-11-01T03:00")
DAY = window("2026-11-18T00:00", "2026-11-19T00:00")
USER = OWNER_IDS["Avery Brooks"]
VERSIONS = ("5.0", "5.x", "4.3", "4.2", "4.0", "3.22")

Boxes = Callable[..., Sandbox]

DRAWN = Exchange(7, volume=0.3)
"""Drawn once: the same calls for all tests that hand in none."""
QUIET = Exchange(7, volume=0.05)
"""The calls of windows that are weeks long."""


@pytest.fixture
def box() -> Iterator[Boxes]:
    """Start sandboxes and close them."""
    running: list[Sandbox] = []

    def begin(calls: list[Any] | None = None, now: datetime = NOW, drawn: Exchange = DRAWN, **switches: str) -> Sandbox:
        exchange = drawn if calls is None else Exchange(7, calls)
        made = start(now=lambda: now, providers=["kazoo"], switches={"kazoo": switches}, exchange=exchange)
        running.append(made)
        return made

    yield begin
    for one in running:
        one.close()


def export(sandbox: Sandbox, call: str, span: Window | None, kind: str = "", **options: Any) -> Run:
    return fetched(sandbox.credentials("kazoo", kind), call, span, options, now=sandbox.now())


def truth(sandbox: Sandbox, call: str, span: Window, **options: str) -> list[str]:
    return sorted(row["id"] for row in sandbox.truth("kazoo", call, span.since, span.until, **options))


def asked(sandbox: Sandbox) -> list[dict[str, str]]:
    """Return the queries of all listings."""
    return [
        dict(httpx.QueryParams(one.query)) for one in sandbox.requests if re.search("cdrs(/interaction)?$", one.path)
    ]


# Windows and months


@pytest.mark.parametrize(
    ("call", "version"),
    [*(("cdrs", version) for version in VERSIONS), *(("interactions", version) for version in VERSIONS[:4])],
)
def test_a_day_is_whole_in_every_release(box: Boxes, call: str, version: str) -> None:
    """Each record once, none missing, none more."""
    sandbox = box(version=version)
    run = export(sandbox, call, DAY)
    assert run.ids == truth(sandbox, call, DAY)
    assert len(run.ids) > 40
    assert run.gaps == []


@pairwise_product(
    call=["cdrs", "interactions"],
    version=["5.0", "5.x", "4.3", "4.2"],
    straddle=["lost", "found"],
    size=[1, 3, 50],
)
def test_calls_over_a_months_start_are_found(box: Boxes, call: str, version: str, straddle: str, size: int) -> None:
    """By asking either side alone they are lost; windows that meet at the start of the month tile."""
    sandbox = box(straddlers(MONTH), version=version, straddle=straddle)
    either = [window("2026-10-30", "2026-11-01"), window("2026-11-01", "2026-11-02")]
    for span in (*either, Window(either[0].since, either[1].until)):
        run = export(sandbox, call, span, page_size=size)
        assert run.ids == truth(sandbox, call, span)
        assert run.gaps == []
    assert truth(sandbox, call, either[0])


@pairwise_product(
    call=["cdrs", "interactions"],
    bounds=[
        ("2026-10-31T23:58", "2026-11-01T00:00"),
        ("2026-11-01T00:00", "2026-11-01T00:10"),
        ("2026-11-01T00:00:30", "2026-11-01T00:05"),
        ("2026-09-28T00:00", "2026-11-02T00:00"),
    ],
    user=[None, USER],
)
def test_windows_beside_a_months_start_tile(box: Boxes, call: str, bounds: tuple[str, str], user: str | None) -> None:
    """Also legs that began after the start of the month, in a call that began before it and before the window."""
    span = window(*bounds)
    sandbox = box(drawn=QUIET if span.until - span.since > timedelta(days=7) else DRAWN)
    run = export(sandbox, call, span, user=user)
    options = {"user": user} if user else {}
    assert run.ids == truth(sandbox, call, span, **options)
    assert run.gaps == []


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_a_leg_of_a_call_begun_before_the_month_and_the_window(box: Boxes, call: str) -> None:
    """The case the probe of a month start before `since` is for; a user's first leg may be such a one."""
    older = []
    for one in straddlers(MONTH):
        late = replace(one.legs[-1], start=int(MONTH.timestamp() * 1000) + 5000, answer=None)
        older.append(replace(one, legs=(*one.legs[:-1], late)))
    sandbox = box(older)
    span = Window(MONTH + timedelta(seconds=2), MONTH + timedelta(hours=2))
    late_user = next(row["owner_id"] for row in sandbox.truth("kazoo", "cdrs", span.since, span.until))
    for user in (None, late_user) if call == "cdrs" else (late_user,):  # an interaction as a whole began before
        run = export(sandbox, call, span, user=user)
        assert run.ids == truth(sandbox, call, span, **({"user": user} if user else {}))
        assert all(one.startswith("202610-") for one in run.ids)
        assert run.ids


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_no_paged_request_crosses_a_months_start(box: Boxes, call: str) -> None:
    """Only the probe does, and it is neither paged nor chunked; every request has both bounds."""
    sandbox = box(drawn=QUIET)
    export(sandbox, call, window("2026-09-28T00:00", "2026-11-02T00:00"))
    for query in asked(sandbox):
        months = {
            f"{datetime.fromtimestamp(int(query[name]) - 62167219200, NOW.tzinfo):%Y%m}"
            for name in ("created_from", "created_to")
        }
        assert (len(months) == 2) == (query.get("paginate") == query.get("is_chunked") == "false")
        assert ("page_size" in query) == (len(months) == 1)
        assert int(query["created_to"]) <= int((NOW - timedelta(minutes=5)).timestamp()) + 62167219201


def test_windows_of_an_hour_tile(box: Boxes) -> None:
    """Long calls end hours after their window: they are cut on their start."""
    sandbox = box(now=at("2026-11-04T00:00"))
    hours = [DAY.since + timedelta(hours=n) - timedelta(days=16) for n in range(6)]
    found = [row for hour in hours for row in export(sandbox, "cdrs", Window(hour, hour + timedelta(hours=1))).ids]
    assert sorted(found) == truth(sandbox, "cdrs", Window(hours[0], hours[-1] + timedelta(hours=1)))


BOUNDS = ["closed", "half_open", "open_low", "open"]


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("version", ["5.0", "5.x", "4.2"])
@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_windows_tile_whichever_bounds_belong_to_a_range(box: Boxes, call: str, version: str, bounds: str) -> None:
    """Also where a leg is saved in the first second of a request, a window or a month, or in its last."""
    if call == "interactions" and version == "4.2":
        return  # rows of 4.2 do not name their interaction
    edges = [MONTH + timedelta(hours=hours) for hours in (-2, 0, 1)]
    around = [edge + timedelta(seconds=n) for edge in edges for n in range(-2, 3)]
    # Saved a second after the end: these are saved at the instants, and those begin at them.
    calls = [
        one
        for n, instant in enumerate(around)
        for begun in (instant, instant - timedelta(seconds=33))
        for one in uniform(1, begun, begun + timedelta(seconds=1), talk_seconds=30, name=f"at{n}{begun:%M%S}")
    ]
    sandbox = box(calls, version=version, bounds=bounds)
    windows = [Window(edges[0], edges[1]), Window(edges[1], edges[2])]
    for span in (*windows, Window(edges[0], edges[2])):
        run = export(sandbox, call, span)
        assert run.ids == truth(sandbox, call, span)
        assert run.ids
        assert run.gaps == []


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("limit", ["3600", pytest.param("86400", marks=pytest.mark.slow)])
def test_slices_lose_nothing_whichever_bounds_belong_to_a_range(box: Boxes, bounds: str, limit: str) -> None:
    """Each second of an hour has a leg that was saved in it, and slices meet somewhere among them."""
    hour = DAY.since + timedelta(hours=10)
    calls = uniform(3600, hour, hour + timedelta(hours=1), talk_seconds=30)
    sandbox = box(calls, bounds=bounds, max_range=limit)
    run = export(sandbox, "cdrs", DAY, page_size=1000)
    assert run.ids == truth(sandbox, "cdrs", DAY)
    assert len(run.ids) >= 3600
    assert run.gaps == []


# Sites that differ


@pytest.mark.parametrize("limit", ["3600", "7200", "86400", "172799"])
def test_a_site_with_a_short_range_is_asked_in_slices(box: Boxes, limit: str) -> None:
    """Its own number is read from the refusal."""
    sandbox = box(max_range=limit)
    run = export(sandbox, "cdrs", DAY)
    assert run.ids == truth(sandbox, "cdrs", DAY)
    assert run.gaps == []
    spans = [int(query["created_to"]) - int(query["created_from"]) for query in asked(sandbox)]
    assert [span for span in spans if span > int(limit)] == spans[:1]


@pytest.mark.parametrize("version", ["5.0", "5.x"])
@pytest.mark.parametrize("limit", ["86400", "172800", "400000"])
def test_slices_of_interactions_overlap(box: Boxes, version: str, limit: str) -> None:
    """A call that ends after its slice is left out of it in 4.3 and 5.0."""
    sandbox = box(max_range=limit, version=version)
    span = window("2026-11-10T00:00", "2026-11-15T00:00")
    run = export(sandbox, "interactions", span, longest_call=timedelta(hours=12))
    assert run.ids == truth(sandbox, "interactions", span)
    assert run.gaps == []


def test_interactions_longer_than_the_site_lets_us_see_are_a_gap(box: Boxes) -> None:
    """Said, and not silently short."""
    sandbox = box(max_range="7200")
    run = export(sandbox, "interactions", DAY)
    assert "interactions longer than 3600 s may be missing" in run.gaps[0]
    assert run.ids == truth(sandbox, "interactions", DAY)


def test_a_probe_is_narrowed_to_the_sites_range(box: Boxes) -> None:
    """A day allows all that a day-long call needs; an hour does not, and that is said."""
    for limit, gaps in (("86400", 0), ("3600", 1)):
        sandbox = box(straddlers(MONTH), max_range=limit)
        run = export(sandbox, "cdrs", EDGE)
        assert run.ids == truth(sandbox, "cdrs", EDGE)
        assert len(run.gaps) == gaps
    assert run.gaps[0].endswith("were looked for only where they ended before 2026-11-01T00:59:59.000Z")


def test_a_probe_too_large_for_the_server_is_narrowed_and_said(box: Boxes) -> None:
    """416: what was not looked at is a gap."""
    sandbox = box(memory_limit="3")
    run = export(sandbox, "cdrs", EDGE)
    assert set(run.ids) <= set(truth(sandbox, "cdrs", EDGE))
    assert len(run.gaps) == 1
    assert "in progress at 2026-11-01T00:00:00.000Z" in run.gaps[0]
    probes = [query for query in asked(sandbox) if "paginate" in query]
    assert [int(query["created_to"]) - gregorian("2026-11-01") for query in probes[:3]] == [86401, 43201, 21601]


@pytest.mark.parametrize("version", ["4.2", "4.0"])
@pytest.mark.parametrize("size", [1, 10])
def test_more_rows_of_a_second_than_a_page_holds(box: Boxes, version: str, size: int) -> None:
    """Up to 4.2 that is an endless loop; a larger page breaks it."""
    sandbox = box(version=version, same_second="30")
    run = export(sandbox, "cdrs", DAY, page_size=size)
    assert run.ids == truth(sandbox, "cdrs", DAY)


@pytest.mark.parametrize("switch", ["strip_empty", "reseller"])
@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_operators_switches_change_nothing(box: Boxes, switch: str, call: str) -> None:
    """Stripped empty strings, reseller columns."""
    sandbox = box(**{switch: "on"})
    assert export(sandbox, call, DAY).ids == truth(sandbox, call, DAY)


def test_chunked_answers_that_lie_are_followed(box: Boxes) -> None:
    """Fewer rows and `success` where the database failed, and a key that goes on there."""
    sandbox = box(fail_chunk="2")
    run = export(sandbox, "cdrs", DAY, page_size=120)
    assert run.ids == truth(sandbox, "cdrs", DAY)


def test_a_cut_answer_is_asked_again(box: Boxes) -> None:
    """Half a body is no page."""
    sandbox = box(cut_body="2")
    assert export(sandbox, "cdrs", DAY).ids == truth(sandbox, "cdrs", DAY)


def test_legs_saved_after_the_settle_margin_are_not_asked_for(box: Boxes) -> None:
    """The newest bound is five minutes ago, and a second."""
    sandbox = box()
    span = Window(NOW - timedelta(hours=6), NOW - timedelta(minutes=5))
    export(sandbox, "cdrs", span)
    assert {query["created_to"] for query in asked(sandbox)} == {str(int(NOW.timestamp()) - 299 + 62167219200)}


# Lengths that cannot be


@pairwise_product(
    call=["cdrs", "interactions"], version=["5.0", "5.x", "4.3", "4.2"], duration=["minus_unix", "unix", "minus"]
)
def test_legs_with_impossible_lengths_are_kept_where_they_began(
    box: Boxes, call: str, version: str, duration: str
) -> None:
    """Their rows start decades from now, or in 1970: two windows that meet have each of them once."""
    if call == "interactions" and version == "4.2":
        return  # rows of 4.2 do not name their interaction
    sandbox = box(version=version, duration=duration)
    noon = DAY.since + timedelta(hours=12)
    halves = [Window(DAY.since, noon), Window(noon, DAY.until)]
    runs = [export(sandbox, call, span) for span in halves]
    rows = [row for run in runs for row in run.rows]
    assert sorted(row["id"] for row in rows) == truth(sandbox, call, DAY)
    wrong = [row for row in rows if not 0 <= int(row["duration_seconds"]) < 10**6]
    assert wrong
    for row in wrong:
        cdr = commonly(row)
        assert (cdr["total_seconds"], cdr["talk_seconds"], cdr["answer_time"]) == (None, None, None)
        assert DAY.holds(datetime.fromisoformat(cdr["start_time"]))
        assert cdr["end_time"] == cdr["start_time"]
    for run in runs:
        assert [text for text in run.told if "impossible length" in text][1:] == []
        assert run.gaps == []
    assert any("impossible length" in text for run in runs for text in run.told)


@pytest.mark.parametrize("duration", ["minus_unix", "unix"])
@pytest.mark.parametrize("version", ["5.0", "4.2"])
def test_documents_with_impossible_lengths_start_as_their_rows_do(box: Boxes, duration: str, version: str) -> None:
    sandbox = box(version=version, duration=duration)
    row = next(row for row in export(sandbox, "cdrs", DAY).rows if abs(int(row["duration_seconds"])) > 10**6)
    for call in ("cdr", "legs"):
        run = export(sandbox, call, None, id=row["id"])
        [leg] = [leg for leg in run.rows if leg["id"] == row["id"]]
        both = commonly(leg, call), commonly(row)
        for name in ("start_time", "end_time", "total_seconds", "answered", "outcome"):
            assert both[0][name] == both[1][name]
        assert [text for text in run.told if "impossible length" in text]


@pytest.mark.parametrize("version", ["5.0", "4.2"])
@pytest.mark.parametrize("billing", ["empty", "absent"])
def test_a_row_without_a_length_since_answer_says_nothing_of_an_answer(box: Boxes, billing: str, version: str) -> None:
    sandbox = box(version=version, billing=billing)
    rows = export(sandbox, "cdrs", DAY).rows
    assert sorted(row["id"] for row in rows) == truth(sandbox, "cdrs", DAY)
    without = [commonly(row) for row in rows if row.get("billing_seconds", "") == ""]
    assert {cdr["answered"] for cdr in without if cdr["cause"] == "NORMAL_CLEARING"} == {None}
    assert {cdr["outcome"] for cdr in without if cdr["cause"] == "NORMAL_CLEARING"} == {"unknown"}
    assert {(cdr["answered"], cdr["outcome"]) for cdr in without if cdr["cause"] == "NO_ANSWER"} == {
        (False, "no_answer")
    }


# Views being built


@contextmanager
def building(
    calls: list[Any] | None, seconds: int, **switches: str
) -> Iterator[tuple[Sandbox, Callable[..., Run], HandClock]]:
    """Start a sandbox whose months' views take some time, and yield what exports on its clock."""
    clock = HandClock(NOW)
    exchange = DRAWN if calls is None else Exchange(7, calls)
    given = {"kazoo": {"views": str(seconds), **switches}}
    with start(now=clock, providers=["kazoo"], switches=given, exchange=exchange) as sandbox:

        def run(call: str, span: Window, **options: Any) -> Run:
            return fetched(sandbox.credentials("kazoo"), call, span, options, clock=clock)

        yield sandbox, run, clock


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_views_that_are_built_for_ten_minutes_are_waited_for(call: str) -> None:
    """No record is blamed, although nothing of the month can be read."""
    with building(None, 600) as (sandbox, run, clock):
        done = run(call, DAY)
        assert done.ids == truth(sandbox, call, DAY)
        assert done.gaps == []
        assert 600 <= clock.seconds < 720
        assert len([text for text in done.told if "building its views" in text]) == 1


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_each_months_views_are_waited_for(call: str) -> None:
    """Also by the probe of the month's start, which opens two of them."""
    with building(straddlers(MONTH), 500) as (sandbox, run, _clock):
        done = run(call, EDGE)
        assert done.ids == truth(sandbox, call, EDGE)
        assert done.ids
        assert done.gaps == []


def test_views_that_take_longer_than_is_allowed_end_the_run() -> None:
    with building(None, 3600) as (_sandbox, run, clock):
        with pytest.raises(TemporaryError) as caught:
            run("cdrs", DAY)
        assert "after 15 min of retries" in caught.value.message
        assert clock.seconds < 16 * 60


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
@pytest.mark.parametrize("place", [0, -1])
def test_poison_in_a_month_whose_views_are_being_built_is_found(call: str, place: int) -> None:
    """It is waited for once, and not for the record that makes every page of its own a 503."""
    with building(None, 600) as (sandbox, run, clock):
        every = truth(sandbox, call, DAY)
        bad = every[place]
        sandbox.switch("kazoo", "poison", bad)
        done = run(call, DAY)
        assert done.ids == [one for one in every if one != bad]
        assert len(done.gaps) == 1
        assert 600 <= clock.seconds < 800


def test_poison_alone_is_not_waited_for() -> None:
    """One second of the month can be read: what cannot is to blame."""
    with building(None, 0) as (sandbox, run, clock):
        sandbox.switch("kazoo", "poison", truth(sandbox, "cdrs", DAY)[5])
        assert len(run("cdrs", DAY).gaps) == 1
        assert clock.seconds < 60


# Poison


def stored_document(sandbox: Sandbox, cdr_id: str) -> StoredDocument:
    kazoo = sandbox.provider("kazoo")
    return month_database(kazoo.state, kazoo.accounts[0], cdr_id[:6]).by_id[cdr_id]


def second_saved(sandbox: Sandbox, cdr_id: str) -> str:
    """Return the second a document was saved in, as a gap names it."""
    stored = stored_document(sandbox, cdr_id)
    return rfc3339(datetime.fromtimestamp(stored.saved - 62167219200, NOW.tzinfo))


def second_begun(sandbox: Sandbox, cdr_id: str) -> str:
    stored = stored_document(sandbox, cdr_id)
    return rfc3339(datetime.fromtimestamp(stored.interaction[0] - 62167219200, NOW.tzinfo))


@pairwise_product(version=["5.0", "5.x", "4.2"], place=[0, 40, -1], user=[None, USER])
def test_a_poisoned_leg_is_found_and_all_others_kept(box: Boxes, version: str, place: int, user: str | None) -> None:
    """One second is named, its neighbours come, and it takes a bounded number of requests."""
    sandbox = box(version=version)
    options = {"user": user} if user else {}
    legs = truth(sandbox, "cdrs", DAY, **options)
    bad = legs[place % len(legs)]
    sandbox.switch("kazoo", "poison", bad)
    run = export(sandbox, "cdrs", DAY, user=user)
    assert run.ids == [one for one in legs if one != bad]
    assert len(run.gaps) == 1
    assert f"saved at {second_saved(sandbox, bad)} (HTTP 503)" in run.gaps[0]
    assert run.requests < 150


def test_neighbours_in_the_second_of_a_poisoned_leg_are_kept(box: Boxes) -> None:
    """They are read from both sides."""
    sandbox = box(same_second="9")
    legs = sandbox.truth("kazoo", "cdrs", DAY.since, DAY.until)
    bad = legs[50]["id"]
    sandbox.switch("kazoo", "poison", bad)
    run = export(sandbox, "cdrs", DAY)
    assert run.ids == sorted(row["id"] for row in legs if row["id"] != bad)
    assert run.gaps == [
        f"Kazoo cannot read one or more of its own records saved at {second_saved(sandbox, bad)} (HTTP 503)",
    ]


@pytest.mark.parametrize("version", ["5.0", "5.x", "4.3"])
@pytest.mark.parametrize("user", [None, USER])
def test_a_poisoned_interaction_is_found_and_all_others_kept(box: Boxes, version: str, user: str | None) -> None:
    """Also those around it that end after it."""
    sandbox = box(version=version)
    options = {"user": user} if user else {}
    every = truth(sandbox, "interactions", DAY, **options)
    for bad in (every[0], every[len(every) // 2], every[-1]):
        sandbox.switch("kazoo", "poison", bad)
        run = export(sandbox, "interactions", DAY, user=user)
        assert run.ids == [one for one in every if one != bad]
        [gap] = run.gaps
        assert f"its own records of interactions begun at {second_begun(sandbox, bad)} (HTTP 503)" in gap
        assert run.requests < 150


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
@pytest.mark.parametrize("which", [0, 1, 2, 3, 4])
def test_a_poisoned_record_among_those_over_a_months_start(box: Boxes, call: str, which: int) -> None:
    """Only the probe meets it: what it lets be read is kept, and what could not be looked for is said."""
    calls = straddlers(MONTH)
    sandbox = box(calls)
    every = [row["id"] for row in sandbox.truth("kazoo", call, EDGE.since, EDGE.until)]
    bad = every[which]
    sandbox.switch("kazoo", "poison", bad)
    run = export(sandbox, call, EDGE)
    if call == "interactions":
        assert run.ids == sorted(set(every) - {bad})
        assert second_begun(sandbox, bad) in run.gaps[0]
    else:
        saved = second_saved(sandbox, bad)
        assert run.ids == sorted(one for one in every if one != bad and second_saved(sandbox, one) < saved)
        assert saved in run.gaps[0]
        assert saved in run.gaps[1]


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_poison_in_a_months_first_day_costs_no_call_over_its_start(box: Boxes, call: str) -> None:
    """The older month's rows are read to their end first; the poisoned record itself is named once."""
    later = uniform(20, MONTH + timedelta(minutes=30), MONTH + timedelta(minutes=60), talk_seconds=60, name="later")
    sandbox = box([*straddlers(MONTH), *later])
    every = [row["id"] for row in sandbox.truth("kazoo", call, EDGE.since, EDGE.until)]
    bad = every[-5]
    sandbox.switch("kazoo", "poison", bad)
    run = export(sandbox, call, EDGE)
    assert run.ids == sorted(set(every) - {bad})
    assert len(run.gaps) == 1


# Descendants, accounts, users, filters


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_descendants_are_exported_each_with_its_account(box: Boxes, call: str) -> None:
    """A row knows its account."""
    sandbox = box()
    run = export(sandbox, call, DAY, descendants=True)
    for account in sandbox.provider("kazoo").accounts:
        own = sorted(
            row["id"]
            for row, context in zip(run.rows, run.contexts, strict=True)
            if context["account_id"] == account.id
        )
        assert own == truth(sandbox, call, DAY, account=account.id)
        assert own


@pytest.mark.parametrize("status", [403, 423, 404])
def test_a_descendant_that_may_not_be_read_is_a_gap(box: Boxes, status: int) -> None:
    """The others go on."""
    sandbox = box()
    first, second, third = (account.id for account in sandbox.provider("kazoo").accounts)
    sandbox.fail("kazoo", status, path=second, times=100)
    run = export(sandbox, "cdrs", DAY, descendants=True)
    assert len(run.gaps) == 1
    assert second in run.gaps[0]
    assert {context["account_id"] for context in run.contexts} == {first, third}


@pytest.mark.parametrize(("status", "kind"), [(401, SignInError), (503, TemporaryError)])
def test_a_descendant_that_fails_for_all_accounts_ends_the_run(
    box: Boxes, status: int, kind: type[CdrctlError]
) -> None:
    """A token that has ended, or a server that is down, is no matter of one account."""
    sandbox = box()
    sandbox.fail("kazoo", status, path=sandbox.provider("kazoo").accounts[1].id, times=1000)
    with pytest.raises(kind):
        export(sandbox, "cdrs", DAY, descendants=True)


def test_another_account_is_read(box: Boxes) -> None:
    """One below the profile's."""
    sandbox = box()
    below = sandbox.provider("kazoo").accounts[1].id
    run = export(sandbox, "cdrs", DAY, account=below)
    assert run.ids == truth(sandbox, "cdrs", DAY, account=below)


def test_a_users_legs_are_read_by_the_users_path(box: Boxes) -> None:
    """The same rows as the owner has."""
    sandbox = box()
    run = export(sandbox, "cdrs", DAY, user=USER)
    assert run.ids == truth(sandbox, "cdrs", DAY, user=USER)
    assert {row["owner_id"] for row in run.rows} == {USER}


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
@pytest.mark.parametrize("version", ["5.0", "5.x", "4.2"])
def test_small_pages_of_a_users_listing_are_whole(box: Boxes, call: str, version: str) -> None:
    """Their keys begin with the user's id."""
    sandbox = box(version=version)
    run = export(sandbox, call, DAY, user=USER, page_size=2)
    assert run.ids == truth(sandbox, call, DAY, user=USER)
    assert len(run.ids) > 4


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        (("direction=inbound",), {"direction": "inbound"}),
        (("call_direction=inbound",), {"direction": "inbound"}),
        ((f"custom_channel_vars.owner_id={USER}",), {"owner_id": USER}),
        (("hangup_cause=NORMAL_CLEARING", "direction=outbound"), {"direction": "outbound"}),
        (("owner_id=",), {"owner_id": ""}),
        (("custom_channel_vars.resource_type=offnet-termination",), {"authorizing_id": "", "direction": "outbound"}),
    ],
)
def test_filters_choose_rows(box: Boxes, filters: tuple[str, ...], wanted: dict[str, str]) -> None:
    """By a column's name or its path in the document; what no row shows is left to the server."""
    sandbox = box()
    run = export(sandbox, "cdrs", DAY, filter=filters)
    rows = sandbox.truth("kazoo", "cdrs", DAY.since, DAY.until)
    if len(filters) > 1:
        rows = [row for row in rows if row["hangup_cause"] == "NORMAL_CLEARING"]
    assert run.ids == sorted(row["id"] for row in rows if all(row[name] == value for name, value in wanted.items()))
    assert run.rows
    ours = not filters[0].startswith("custom_channel_vars.resource")
    assert all(("filter_" in one.query) != ours for one in sandbox.requests if one.path.endswith("/cdrs"))


@pytest.mark.parametrize("name", ["hangup_cause", "hangup_code"])
def test_a_filter_with_a_json_list_means_one_of_its_values(box: Boxes, name: str) -> None:
    """The first is a column, the second is left to the server, which has taken lists all along."""
    sandbox = box()
    either, causes, codes = set(), ("USER_BUSY", "CALL_REJECTED"), ("sip:486", "sip:603")
    values = causes if name == "hangup_cause" else codes
    for value in values:
        either |= set(export(sandbox, "cdrs", DAY, filter=(f"{name}={value}",)).ids)
    listed = f'["{values[0]}", "{values[1]}"]'
    assert export(sandbox, "cdrs", DAY, filter=(f"{name}={listed}",)).ids == sorted(either)
    assert len(either) > 1


def test_utc_offset_moves_one_column(box: Boxes) -> None:
    """As the server does it."""
    sandbox = box()
    row = export(sandbox, "cdrs", DAY, utc_offset=3600).rows[0]
    begun = start_of(row)
    assert begun is not None
    assert row["datetime"] == f"{begun + timedelta(hours=1):%Y-%m-%d_%H:%M:%S}"


# Legs and documents


def test_the_legs_of_an_interaction_by_its_id_and_by_a_legs(box: Boxes) -> None:
    """Full documents, oldest first."""
    sandbox = box()
    rows = sandbox.truth("kazoo", "cdrs", DAY.since, DAY.until)
    several = next(row for row in rows if sum(r["interaction_id"] == row["interaction_id"] for r in rows) > 2)
    wanted = [row["id"] for row in rows if row["interaction_id"] == several["interaction_id"]]
    for leg_id in (several["interaction_id"], several["id"]):
        run = export(sandbox, "legs", None, id=leg_id)
        assert [row["id"] for row in run.rows] == wanted
        assert [start_of(row) for row in run.rows] == sorted(start_of(row) for row in run.rows)  # type: ignore[type-var]


@pytest.mark.parametrize("many", [1, 50, 51, 120])
@pytest.mark.parametrize("version", ["5.0", "5.x"])
def test_legs_come_oldest_first_however_many_pages_they_take(box: Boxes, many: int, version: str) -> None:
    """The server gives the page of the newest first."""
    [call] = uniform(1, DAY.since, DAY.until, legs=many, talk_seconds=600)
    legs = tuple(replace(leg, start=leg.start + 1000 * (n * 7 % many)) for n, leg in enumerate(call.legs))
    sandbox = box([replace(call, legs=legs)], version=version)
    rows = sandbox.truth("kazoo", "cdrs", DAY.since, DAY.until)
    run = export(sandbox, "legs", None, id=rows[0]["interaction_id"])
    assert len(rows) == many
    assert [start_of(leg) for leg in run.rows] == [start_of(row) for row in rows]
    assert run.ids == sorted(row["id"] for row in rows)


def test_an_unknown_interaction_is_a_note(box: Boxes) -> None:
    """The server says 200 and nothing; so do we, with the form of an id."""
    run = export(box(), "legs", None, id="63814294800-00000000")
    assert run.rows == []
    assert any("knows no interaction 63814294800-00000000" in text for text in run.told)


def test_every_id_can_be_looked_up(box: Boxes) -> None:
    """Also those whose call id has an @, a dot, a slash or a percent sign; its cost is that of its row."""
    sandbox = box()
    rows = sandbox.truth("kazoo", "cdrs", DAY.since, DAY.until)
    odd = next(row for row in rows if all(sign in row["id"] for sign in "@./%"))
    rated = [row for row in rows if row["call_type"] == "per_minute"][:20]
    for row in (odd, *rated):
        [leg] = export(sandbox, "cdr", None, id=row["id"]).rows
        assert leg["id"] == row["id"]
        ours, theirs = commonly(leg, "cdr"), commonly(row)
        for name in ("cost", "currency", "start_time", "end_time", "answer_time", "talk_seconds", "call_id"):
            assert ours[name] == theirs[name]


@pytest.mark.parametrize(("call", "leg_id"), [("cdr", "nonsense"), ("cdr", "202611-no"), ("legs", "202611-no")])
def test_a_wrong_id_is_refused_with_the_form_of_one(box: Boxes, call: str, leg_id: str) -> None:
    """Each wording of the server's 404."""
    with pytest.raises(ProviderError) as caught:
        export(box(), call, None, id=leg_id)
    assert "an id" in caught.value.message or "the id of a CDR looks like 202611-" in caught.value.message
    assert caught.value.exit_code == 7


@pytest.mark.parametrize("leg_id", ["", ".", ".."])
def test_an_id_that_would_be_another_path_is_not_sent(box: Boxes, leg_id: str) -> None:
    """Dots are steps in a path."""
    sandbox = box()
    with pytest.raises(UsageError):
        export(sandbox, "cdr", None, id=leg_id)
    assert sandbox.requests == []


# Sign-in


@pytest.mark.parametrize("kind", ["api_key", "password", "realm", "auth_token"])
def test_every_way_to_sign_in(box: Boxes, kind: str) -> None:
    """By key, by user and account's name or realm, by a token from elsewhere."""
    sandbox = box()
    assert export(sandbox, "cdrs", DAY, kind).ids == truth(sandbox, "cdrs", DAY)


@pytest.mark.parametrize("key", ["0" * 63, "0" * 64, "0" * 65])
def test_a_wrong_key_is_refused_without_being_repeated(box: Boxes, key: str) -> None:
    """The server's schema wants 64 characters (400); one of that length is unknown (404)."""
    sandbox = box()
    settings = {**sandbox.credentials("kazoo", "api_key"), "api_key": key}
    with pytest.raises(SignInError) as refused:
        fetched(settings, "cdrs", DAY, {}, now=sandbox.now())
    assert refused.value.exit_code == 4
    assert "api_key" in str(refused.value.hint)
    assert ("64 characters" in str(refused.value.said)) is (len(key) != 64)
    assert key not in f"{refused.value.message} {refused.value.hint} {refused.value.said}"


@pytest.mark.parametrize("limits", ["off", "sign_in"])
def test_tokens_that_pass_early_spend_no_rate_tokens(box: Boxes, limits: str) -> None:
    sandbox = box(uniform(120, DAY.since, DAY.until), limits=limits)
    run = export(sandbox, "cdrs", DAY, page_size=1)
    assert run.ids == truth(sandbox, "cdrs", DAY)
    assert len(asked(sandbox)) > 100


@pytest.mark.parametrize("version", ["4.0", "3.22"])
def test_old_dates_lose_their_quotes(box: Boxes, version: str) -> None:
    sandbox = box(version=version)
    run = export(sandbox, "cdrs", DAY)
    assert all(row["iso_8601"].startswith('"') for row in run.rows)
    rows = natively(run.rows)
    assert all(re.fullmatch(r"2026-11-\d\d", row["iso_8601"]) for row in rows)


def test_a_token_that_ends_in_the_middle_is_renewed_and_the_page_repeated(box: Boxes) -> None:
    """Once, and nothing starts over."""
    sandbox = box()
    sandbox.fail("kazoo", "expire", path="/cdrs", nth=3)
    run = export(sandbox, "cdrs", DAY)
    assert run.ids == truth(sandbox, "cdrs", DAY)
    refused = [n for n, one in enumerate(sandbox.requests) if one.status == 401]
    assert len(refused) == 1
    assert sandbox.requests[refused[0]].query == sandbox.requests[refused[0] + 2].query
    assert [one.path for one in sandbox.requests].count("/kazoo/v2/api_auth") == 2


def test_a_token_that_cannot_be_renewed_ends_the_run(box: Boxes) -> None:
    """There is nothing to sign in with."""
    sandbox = box()
    sandbox.fail("kazoo", "expire", path="/cdrs", nth=2)
    with pytest.raises(SignInError, match="does not accept the token or key of this profile"):
        export(sandbox, "cdrs", DAY, "auth_token")


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_a_server_that_goes_down_is_left_when_it_was_waited_for(box: Boxes, call: str) -> None:
    """Fewer and fewer requests, no gaps, run it again."""
    for nth in (1, 2, 3):
        sandbox = box()
        sandbox.fail("kazoo", 503, path="/cdrs", nth=nth, times=10_000)
        run = Run()
        with pytest.raises(TemporaryError):
            fetched(sandbox.credentials("kazoo"), call, DAY, {"page_size": 10}, now=NOW, run=run)
        assert len(sandbox.requests) < nth + 80
        assert run.gaps == []
