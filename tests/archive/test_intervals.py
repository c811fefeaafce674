"""The ledger's algebra, over instants: what was read, what is settled, what is missing; and what a day is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, strategies as st

from cdrctl.archive.intervals import (
    Reading,
    add_reading,
    days,
    done_windows,
    overlap,
    settled_windows,
    subtract,
    union,
    whole_day,
)
from cdrctl.windows import Window
from tests.support.products import for_each

START = datetime(2026, 11, 1, tzinfo=UTC)
LONGEST = 40


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


@st.composite
def a_window(draw: st.DrawFn) -> Window:
    since = draw(st.integers(0, LONGEST - 1))
    return Window(at(since), at(draw(st.integers(since + 1, LONGEST))))


a_reading = st.builds(
    Reading, a_window(), st.sampled_from(["done", "failed", "planned"]), st.integers(0, 60).map(at), st.just(1)
)


def hours(windows: list[Window]) -> set[int]:
    """Return the hours that windows cover."""
    return {hour for hour in range(LONGEST) for one in windows if one.holds(at(hour))}


@given(st.lists(a_window()), st.lists(a_window()))
def test_what_is_left_is_what_was_not_taken(windows: list[Window], taken: list[Window]) -> None:
    assert hours(subtract(windows, taken)) == hours(windows) - hours(taken)


@given(st.lists(a_window()))
def test_joined_windows_cover_the_same_and_do_not_touch(windows: list[Window]) -> None:
    result = union(windows)
    assert hours(result) == hours(windows)
    assert all(one.until < other.since for one, other in pairwise(result))


@given(a_window(), a_window())
def test_an_overlap_is_what_both_hold(one: Window, other: Window) -> None:
    both = overlap(one, other)
    assert hours([both] if both else []) == hours([one]) & hours([other])


@given(st.lists(a_reading, max_size=8))
def test_the_newest_success_counts_and_nothing_undoes_it(readings: list[Reading]) -> None:
    known: list[Reading] = []
    state: dict[int, str] = {}
    read_at: dict[int, datetime | None] = {}
    rank = {"planned": 0, "failed": 1, "done": 2}
    for new in readings:
        known = add_reading(known, new)
        for hour in hours([new.window]):
            if new.state == "done" or rank[new.state] >= rank[state.get(hour, "planned")]:
                state[hour], read_at[hour] = new.state, new.read_at
    assert {hour: one.state for one in known for hour in hours([one.window])} == state
    assert {hour: one.read_at for one in known for hour in hours([one.window])} == read_at
    assert sum(len(hours([one.window])) for one in known) == len(state), "no instant has two readings"
    assert hours(done_windows(known)) == {hour for hour, one in state.items() if one == "done"}


@given(st.lists(a_reading, max_size=6), st.integers(0, 30))
def test_an_instant_is_settled_when_it_was_read_long_enough_after_it(readings: list[Reading], back: int) -> None:
    expected = {
        hour
        for one in readings
        if one.state == "done" and one.read_at is not None
        for hour in hours([one.window])
        if at(hour + 1) <= one.read_at - timedelta(hours=back)
    }
    assert hours(settled_windows(readings, timedelta(hours=back))) == expected


@for_each(
    "zone, day, length",
    [
        ("Europe/Paris", date(2026, 3, 29), 23),
        ("Europe/Paris", date(2026, 10, 25), 25),
        ("UTC", date(2026, 10, 25), 24),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),  # its midnight never was
        ("Asia/Beirut", date(2021, 3, 28), 23),
    ],
)
def test_a_day_is_as_long_as_the_clocks_make_it(zone: str, day: date, length: int) -> None:
    assert whole_day(day, ZoneInfo(zone)).duration == timedelta(hours=length)


@given(
    st.sampled_from(["UTC", "Europe/Paris", "America/Sao_Paulo", "Asia/Beirut", "Pacific/Auckland", "Asia/Kolkata"]),
    st.datetimes(datetime(2018, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - so hypothesis wants it
    st.integers(1, 24 * 60 * 9),
)
def test_days_tile_a_window(zone: str, since: datetime, minutes: int) -> None:
    window = Window(since, since + timedelta(minutes=minutes))
    parts = list(days(window, ZoneInfo(zone)))
    assert union(part for _, part in parts) == [window]
    assert sum((part.duration for _, part in parts), timedelta()) == window.duration
    for day, part in parts:
        assert overlap(whole_day(day, ZoneInfo(zone)), part) == part
        assert part.since.astimezone(ZoneInfo(zone)).date() == day
    assert [day for day, _ in parts] == sorted({day for day, _ in parts})
