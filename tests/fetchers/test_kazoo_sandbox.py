"""Kazoo exports from the sandbox: windows, months, site settings and impossible lengths."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from cdrctl.sandbox import Exchange, straddlers, uniform
from cdrctl.windows import Window
from tests.support.products import pairwise_product

from .kazoo_kit import at, commonly, gregorian, window
from .kazoo_sandbox_kit import DAY, DRAWN, EDGE, MONTH, NOW, USER, Boxes, asked, box, export, truth

__all__ = ["box"]


VERSIONS = ("5.0", "5.x", "4.3", "4.2", "4.0", "3.22")

QUIET = Exchange(7, volume=0.05)
"""The calls of windows of several weeks."""

# Windows and months


@pytest.mark.thin
@pytest.mark.parametrize(
    ("call", "version"),
    [*(("cdrs", version) for version in VERSIONS), *(("interactions", version) for version in VERSIONS[:4])],
)
def test_export_of_a_day_has_every_record_once_in_every_release(box: Boxes, call: str, version: str) -> None:
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
def test_calls_over_the_turn_of_a_month_are_exported(
    box: Boxes, call: str, version: str, straddle: str, size: int
) -> None:
    """Neither month alone lists them. Windows that meet at the turn of the month tile."""
    sandbox = box(straddlers(MONTH), version=version, straddle=straddle)
    either = [window("2026-10-30", "2026-11-01"), window("2026-11-01", "2026-11-02")]
    for span in (*either, Window(either[0].since, either[1].until)):
        run = export(sandbox, call, span, page_size=size)
        assert run.ids == truth(sandbox, call, span)
        assert run.gaps == []
    assert truth(sandbox, call, either[0])


@pytest.mark.thin
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
def test_windows_beside_the_turn_of_a_month_tile(
    box: Boxes, call: str, bounds: tuple[str, str], user: str | None
) -> None:
    """Some legs began after the turn of the month in calls that began before it and before the window."""
    span = window(*bounds)
    sandbox = box(drawn=QUIET if span.until - span.since > timedelta(days=7) else DRAWN)
    run = export(sandbox, call, span, user=user)
    options = {"user": user} if user else {}
    assert run.ids == truth(sandbox, call, span, **options)
    assert run.gaps == []


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_leg_of_a_call_from_before_the_month_and_the_window_is_exported(box: Boxes, call: str) -> None:
    """The probe of a turn of the month before `since` finds it; a user's first leg may be such a leg."""
    older = []
    for one in straddlers(MONTH):
        late = replace(one.legs[-1], start=int(MONTH.timestamp() * 1000) + 5000, answer=None)
        older.append(replace(one, legs=(*one.legs[:-1], late)))
    sandbox = box(older)
    span = Window(MONTH + timedelta(seconds=2), MONTH + timedelta(hours=2))
    late_user = next(row["owner_id"] for row in sandbox.truth("kazoo", "cdrs", span.since, span.until))
    for user in (None, late_user) if call == "cdrs" else (late_user,):  # the interaction itself began before the window
        run = export(sandbox, call, span, user=user)
        assert run.ids == truth(sandbox, call, span, **({"user": user} if user else {}))
        assert all(one.startswith("202610-") for one in run.ids)
        assert run.ids


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_no_paged_request_crosses_the_turn_of_a_month(box: Boxes, call: str) -> None:
    """Only the probe does, and it is neither paged nor chunked. Every request has both bounds."""
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
    """Long calls end hours after their window; they belong to the window of their start."""
    sandbox = box(now=at("2026-11-04T00:00"))
    hours = [DAY.since + timedelta(hours=n) - timedelta(days=16) for n in range(6)]
    found = [row for hour in hours for row in export(sandbox, "cdrs", Window(hour, hour + timedelta(hours=1))).ids]
    assert sorted(found) == truth(sandbox, "cdrs", Window(hours[0], hours[-1] + timedelta(hours=1)))


BOUNDS = ["closed", "half_open", "open_low", "open"]


@pytest.mark.thin
@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("version", ["5.0", "5.x", "4.2"])
@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_windows_tile_whichever_bounds_belong_to_a_range(box: Boxes, call: str, version: str, bounds: str) -> None:
    """Legs are saved in the first and last second of requests, windows and months."""
    if call == "interactions" and version == "4.2":
        return  # rows of 4.2 do not name their interaction
    edges = [MONTH + timedelta(hours=hours) for hours in (-2, 0, 1)]
    around = [edge + timedelta(seconds=n) for edge in edges for n in range(-2, 3)]
    # Legs are saved a second after their end: the first are saved at the instants, the others begin at them.
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


@pytest.mark.slow
@pytest.mark.thin
@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("limit", ["3600", pytest.param("86400", marks=pytest.mark.slow)])
def test_slices_lose_nothing_whichever_bounds_belong_to_a_range(box: Boxes, bounds: str, limit: str) -> None:
    """A leg was saved in each second of an hour, so slices meet at a leg."""
    hour = DAY.since + timedelta(hours=10)
    calls = uniform(3600, hour, hour + timedelta(hours=1), talk_seconds=30)
    sandbox = box(calls, bounds=bounds, max_range=limit)
    run = export(sandbox, "cdrs", DAY, page_size=1000)
    assert run.ids == truth(sandbox, "cdrs", DAY)
    assert len(run.ids) >= 3600
    assert run.gaps == []


# Settings of sites


@pytest.mark.thin
@pytest.mark.parametrize("limit", ["3600", "7200", "86400", "172799"])
def test_a_site_with_a_short_range_is_read_in_slices(box: Boxes, limit: str) -> None:
    """The length is in the site's refusal."""
    sandbox = box(max_range=limit)
    run = export(sandbox, "cdrs", DAY)
    assert run.ids == truth(sandbox, "cdrs", DAY)
    assert run.gaps == []
    spans = [int(query["created_to"]) - int(query["created_from"]) for query in asked(sandbox)]
    assert [span for span in spans if span > int(limit)] == spans[:1]


@pytest.mark.thin
@pytest.mark.parametrize("version", ["5.0", "5.x"])
@pytest.mark.parametrize("limit", ["86400", "172800", "400000"])
def test_slices_of_interactions_overlap(box: Boxes, version: str, limit: str) -> None:
    """In 4.3 and 5.0 a slice does not list a call that ends after it."""
    sandbox = box(max_range=limit, version=version)
    span = window("2026-11-10T00:00", "2026-11-15T00:00")
    run = export(sandbox, "interactions", span, longest_call=timedelta(hours=12))
    assert run.ids == truth(sandbox, "interactions", span)
    assert run.gaps == []


@pytest.mark.slow
def test_interactions_longer_than_the_sites_range_are_a_gap(box: Boxes) -> None:
    sandbox = box(max_range="7200")
    run = export(sandbox, "interactions", DAY)
    assert "interactions longer than 3600 s may be missing" in run.gaps[0]
    assert run.ids == truth(sandbox, "interactions", DAY)


def test_a_probe_is_narrowed_to_the_sites_range(box: Boxes) -> None:
    """A range of a day is enough for calls of a day; a range of an hour leaves a gap."""
    for limit, gaps in (("86400", 0), ("3600", 1)):
        sandbox = box(straddlers(MONTH), max_range=limit)
        run = export(sandbox, "cdrs", EDGE)
        assert run.ids == truth(sandbox, "cdrs", EDGE)
        assert len(run.gaps) == gaps
    assert run.gaps[0].endswith("may be missing unless they ended before 2026-11-01T00:59:59.000Z")


def test_a_probe_too_large_for_the_server_is_narrowed_and_leaves_a_gap(box: Boxes) -> None:
    """The status is 416; the rest of the probe is a gap."""
    sandbox = box(memory_limit="3")
    run = export(sandbox, "cdrs", EDGE)
    assert set(run.ids) <= set(truth(sandbox, "cdrs", EDGE))
    assert len(run.gaps) == 1
    assert "in progress at 2026-11-01T00:00:00.000Z" in run.gaps[0]
    probes = [query for query in asked(sandbox) if "paginate" in query]
    assert [int(query["created_to"]) - gregorian("2026-11-01") for query in probes[:3]] == [86401, 43201, 21601]


@pytest.mark.parametrize("version", ["4.2", "4.0"])
@pytest.mark.parametrize("size", [1, 10])
def test_second_with_more_rows_than_a_page_is_exported(box: Boxes, version: str, size: int) -> None:
    """Up to 4.2 paging would never end; a larger page solves it."""
    sandbox = box(version=version, same_second="30")
    run = export(sandbox, "cdrs", DAY, page_size=size)
    assert run.ids == truth(sandbox, "cdrs", DAY)


@pytest.mark.parametrize("switch", ["strip_empty", "reseller"])
@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_settings_of_operators_change_no_record(box: Boxes, switch: str, call: str) -> None:
    """The switches remove empty strings and add columns of resellers."""
    sandbox = box(**{switch: "on"})
    assert export(sandbox, call, DAY).ids == truth(sandbox, call, DAY)


def test_chunked_response_with_fewer_rows_is_continued_at_its_key(box: Boxes) -> None:
    """The database failed, so there are fewer rows with `success`, and a key that continues there."""
    sandbox = box(fail_chunk="2")
    run = export(sandbox, "cdrs", DAY, page_size=120)
    assert run.ids == truth(sandbox, "cdrs", DAY)


def test_a_truncated_response_is_retried(box: Boxes) -> None:
    sandbox = box(cut_body="2")
    assert export(sandbox, "cdrs", DAY).ids == truth(sandbox, "cdrs", DAY)


def test_legs_saved_after_the_settle_margin_are_not_requested(box: Boxes) -> None:
    """The newest bound is five minutes and one second ago."""
    sandbox = box()
    span = Window(NOW - timedelta(hours=6), NOW - timedelta(minutes=5))
    export(sandbox, "cdrs", span)
    assert {query["created_to"] for query in asked(sandbox)} == {str(int(NOW.timestamp()) - 299 + 62167219200)}


# Impossible lengths


@pytest.mark.thin
@pairwise_product(
    call=["cdrs", "interactions"], version=["5.0", "5.x", "4.3", "4.2"], duration=["minus_unix", "unix", "minus"]
)
def test_legs_with_impossible_lengths_are_in_one_window(box: Boxes, call: str, version: str, duration: str) -> None:
    """Their rows seem to start in decades or in 1970. Of two adjoining windows, one has them."""
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
        assert [text for text in run.told if "impossible duration" in text][1:] == []
        assert run.gaps == []
    assert any("impossible duration" in text for run in runs for text in run.told)


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
        assert [text for text in run.told if "impossible duration" in text]


@pytest.mark.parametrize("version", ["5.0", "4.2"])
@pytest.mark.parametrize("billing", ["empty", "absent"])
def test_cause_decides_the_answer_of_a_row_without_a_billed_length(box: Boxes, billing: str, version: str) -> None:
    sandbox = box(version=version, billing=billing)
    rows = export(sandbox, "cdrs", DAY).rows
    assert sorted(row["id"] for row in rows) == truth(sandbox, "cdrs", DAY)
    without = [commonly(row) for row in rows if row.get("billing_seconds", "") == ""]
    assert {cdr["answered"] for cdr in without if cdr["cause"] == "NORMAL_CLEARING"} == {None}
    assert {cdr["outcome"] for cdr in without if cdr["cause"] == "NORMAL_CLEARING"} == {"unknown"}
    assert {(cdr["answered"], cdr["outcome"]) for cdr in without if cdr["cause"] == "NO_ANSWER"} == {
        (False, "no_answer")
    }
