"""Properties of every window, zone and text."""

from __future__ import annotations

import re
import string
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, strategies as st

from cdrctl.errors import UsageError
from cdrctl.windows import (
    EPOCH,
    Window,
    duration,
    halve,
    instant,
    month_starts,
    months,
    rfc3339,
    tile,
    window,
    zone,
)
from tests.support.examples import examples

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)

instants = st.datetimes(datetime(1970, 1, 1), datetime(2200, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
lengths = st.timedeltas(MOMENT, timedelta(days=400))
spans = st.builds(lambda since, length: Window(since, since + length), instants, lengths)
zones = st.sampled_from(sorted(available_timezones())).map(ZoneInfo)
days = st.dates(date(1970, 1, 2), date(2040, 1, 1))
words = st.sampled_from(
    re.findall(r"\S+", "20 2026 11 19 00 99 0001 Nov Thu am pm at th UTC GMT EST (EST) now today nan inf __")
    + list(string.digits + "-/.:,+()' TZzWtmdhwe")
)


def covers(pieces: list[Window], whole: Window) -> bool:
    """Return whether the pieces are adjacent, from the first instant of the whole to its last."""
    return (
        pieces[0].since == whole.since
        and pieces[-1].until == whole.until
        and all(one.until == other.since for one, other in pairwise(pieces))
    )


@given(spans, st.integers(1, 500), st.timedeltas(timedelta(0), MOMENT * 3))
def test_tiles_cover_the_window_exactly(whole: Window, parts: int, more: timedelta) -> None:
    """Tiles are adjacent and not over the limit, and there are no more of them than necessary."""
    longest = whole.duration // parts + more + MOMENT
    tiles = list(tile(whole, longest))
    assert covers(tiles, whole)
    assert all(piece.duration <= longest for piece in tiles)
    assert len(tiles) == -(-whole.duration // longest)


@given(spans, lengths)
def test_halves_cover_the_window_exactly(whole: Window, smallest: timedelta) -> None:
    """Halves meet at a multiple of the minimum, near the middle. Every window longer than the minimum can be halved."""
    halves = halve(whole, smallest)
    if halves is None:
        assert whole.duration <= smallest
        return
    assert covers(list(halves), whole)
    cut = halves[1].since
    assert (cut - EPOCH) % smallest == timedelta(0)
    assert abs(cut - (whole.since + whole.duration / 2)) <= smallest


@given(instants, st.timedeltas(MOMENT, timedelta(seconds=40)), st.integers(1, 3))
def test_halving_ends(since: datetime, length: timedelta, seconds: int) -> None:
    """Repeated halving ends in pieces that each are within one minimum window."""
    smallest = timedelta(seconds=seconds)
    pieces = [Window(since, since + length)]
    while any(halve(piece, smallest) for piece in pieces):
        pieces = [part for piece in pieces for part in (halve(piece, smallest) or (piece,))]
    assert covers(pieces, Window(since, since + length))
    assert all((piece.since - EPOCH) // smallest == (piece.until - MOMENT - EPOCH) // smallest for piece in pieces)


@given(spans)
def test_months_are_cut_where_they_start(whole: Window) -> None:
    """Each piece is in one month, and begins with the month or with the window."""
    pieces = list(months(whole))
    assert covers(pieces, whole)
    for piece in pieces:
        last = piece.until - MOMENT
        assert (piece.since.year, piece.since.month) == (last.year, last.month)
    assert all((piece.since.day, piece.since.time()) == (1, datetime.min.time()) for piece in pieces[1:])


@given(instants, lengths)
def test_month_starts_are_complete(since: datetime, length: timedelta) -> None:
    """There is one start for each month that begins in the window, `since` included."""
    until = since + length
    starts = list(month_starts(since, until))
    begun = (until.year - since.year) * 12 + until.month - since.month
    assert len(starts) == begun + (since == since.replace(day=1, hour=0, minute=0, second=0, microsecond=0))
    assert all(since <= start <= until and start.day == 1 for start in starts)
    assert starts == sorted(set(starts))


@given(instants, zones)
def test_a_written_instant_can_be_read_back(moment: datetime, place: ZoneInfo) -> None:
    """Exactly to the millisecond, whatever the zones of writing and reading."""
    text = rfc3339(moment.astimezone(place))
    assert len(text) == len("2026-11-19T08:00:00.123Z")
    read = instant(text, zone=place, now=NOW)
    assert timedelta(0) <= moment - read < timedelta(milliseconds=1)


@pytest.mark.slow
@given(zones, days)
@example(ZoneInfo("Australia/Lord_Howe"), date(2026, 4, 5))
@example(ZoneInfo("Australia/Lord_Howe"), date(2026, 10, 4))
@example(ZoneInfo("America/Sao_Paulo"), date(2018, 11, 4))
@example(ZoneInfo("America/St_Johns"), date(2010, 11, 7))
@example(ZoneInfo("America/Scoresbysund"), date(2024, 3, 31))
@example(ZoneInfo("Africa/Monrovia"), date(1972, 1, 7))
@example(ZoneInfo("Pacific/Apia"), date(2011, 12, 30))
@example(ZoneInfo("Pacific/Kwajalein"), date(1993, 8, 21))
@example(ZoneInfo("Africa/Cairo"), date(2026, 4, 24))
@examples(1000)
def test_local_days_tile(place: ZoneInfo, day: date) -> None:
    """A day begins at the first instant at which the clock shows it or later, and ends where the next one begins."""
    texts = [str(day + timedelta(days=n)) for n in range(3)]
    starts = [instant(text, zone=place, now=NOW) for text in texts]
    assert starts == [instant(text, zone=place, now=NOW, option="--until") for text in texts]
    assert starts == sorted(starts)
    assert starts[0] < starts[2]
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  what a clock shows
    assert starts[0].astimezone(place).replace(tzinfo=None) >= midnight
    assert (starts[0] - MOMENT).astimezone(place).replace(tzinfo=None) < midnight


@given(zones, days, st.times())
def test_a_local_time_is_what_the_clock_showed_or_is_refused(place: ZoneInfo, day: date, clock: object) -> None:
    """The clock showed an accepted time at that instant only. Each time in the hint of a refusal is accepted."""
    text = f"{day}T{clock}"
    shown = datetime.fromisoformat(text)
    try:
        read = instant(text, zone=place, now=NOW)
    except UsageError as error:
        assert any(why in error.message for why in ("occurs twice", "does not exist"))  # noqa: PT017
        return
    assert read.astimezone(place).replace(tzinfo=None) == shown
    for hours in (-24, -1, -0.5, 0.5, 1, 24):
        other = read + timedelta(hours=hours)
        assert other.astimezone(place).replace(tzinfo=None) != shown


@pytest.mark.slow
@given(zones, st.one_of(st.text(), st.lists(words, max_size=14).map("".join), st.lists(words).map(" ".join)))
@example(ZoneInfo("UTC"), "1e1000000")
@example(ZoneInfo("UTC"), "00:00 00 Nov 0000")
@examples(3000, part=15)
def test_any_text_is_parsed_or_refused(place: ZoneInfo, text: str) -> None:
    """The result is an instant in UTC, or an error with a hint."""
    try:
        read = instant(text, zone=place, now=NOW)
    except UsageError as error:
        assert error.hint  # noqa: PT017
        assert error.message.isprintable()  # noqa: PT017
    else:
        assert read.tzinfo is UTC
        assert 1969 <= read.year <= 2201


@pytest.mark.slow
@given(st.text())
def test_any_name_is_a_zone_or_refused(text: str) -> None:
    """Zones and durations fail with no other error."""
    for reader in (zone, duration):
        try:
            reader(text)
        except UsageError as error:
            assert error.hint  # noqa: PT017


@given(days, days, zones)
def test_a_window_includes_exactly_the_instants_between_its_edges(since: date, until: date, place: ZoneInfo) -> None:
    """There is a window of two days exactly if the first begins before the second."""
    try:
        whole = window(str(since), str(until), zone=place, now=NOW)
    except UsageError as error:
        skipped = timedelta(days=1)  # a day that the zone skipped is empty
        assert until - since <= skipped, error.message  # noqa: PT017
        return
    assert since < until
    assert whole.holds(whole.since)
    assert whole.holds(whole.until - MOMENT)
    assert not whole.holds(whole.until)
