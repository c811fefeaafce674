"""Whether an archive has every day of a window."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from cdrctl.archive.calendar import DayCoverage, coverage
from cdrctl.archive.completeness import Bounds, completeness, ranges
from cdrctl.archive.intervals import Reading
from cdrctl.archive.ledger import KeptCall
from cdrctl.archive.settings import Settings
from cdrctl.archive.status import ArchivedCall
from cdrctl.archive.store import Archive
from cdrctl.fetchers import Timing
from cdrctl.windows import Window
from tests.archive.sync_kit import CALL
from tests.support.products import for_each

NOW = datetime(2026, 11, 12, 5, tzinfo=UTC)
OCTOBER = Bounds(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
STATES = {"#": "complete", "o": "open", "X": "hole", "-": "beyond"}


def archived(first: date, signs: str, begins: datetime | None = None) -> ArchivedCall:
    """Return a call with the coverage that these signs draw, as the calendar does."""
    days: Sequence[DayCoverage] = [
        DayCoverage((first + timedelta(days=at)).isoformat(), STATES[sign], 0, (), "")  # type: ignore[arg-type]
        for at, sign in enumerate(signs)
    ]
    begins = begins or datetime(first.year, first.month, first.day, tzinfo=UTC)
    return ArchivedCall(KeptCall("acme", "cdrs", "webex", begins), CALL, {}, (), days)


def lacking(one: ArchivedCall, bounds: Bounds, now: datetime = NOW) -> dict[str, list[str]]:
    found = completeness(one, bounds, UTC, now).lacking
    return {state: [f"{day:%d}" for day in of_state] for state, of_state in found.items()}


def test_a_month_is_complete_when_every_day_is() -> None:
    found = completeness(archived(date(2026, 9, 30), "X" + 31 * "#" + "Xo"), OCTOBER, UTC, NOW)
    assert (found.days, found.lacking, found.settled) == (31, {}, None)


@for_each(
    "signs, expected",
    [
        (30 * "#" + "X", {"hole": ["31"]}),
        ("-" + 30 * "#", {"beyond": ["01"]}),
        (30 * "#" + "o", {"open": ["31"]}),
        ("X#X" + 27 * "#" + "o", {"hole": ["01", "03"], "open": ["31"]}),
        (29 * "#", {"open": ["30", "31"]}),
    ],
)
def test_each_day_that_is_not_complete_is_named_with_the_reason(signs: str, expected: dict[str, list[str]]) -> None:
    assert lacking(archived(date(2026, 10, 1), signs), OCTOBER) == expected


def test_days_before_the_archive_began_are_not_complete() -> None:
    began = datetime(2026, 10, 3, 12, tzinfo=UTC)
    assert lacking(archived(date(2026, 10, 3), 40 * "#", began), OCTOBER) == {"earlier": ["01", "02", "03"]}


def test_days_before_the_archive_began_are_lost_where_the_provider_keeps_them_no_more() -> None:
    one = archived(date(2026, 10, 20), 13 * "#")
    one = replace(one, call=replace(CALL, timing=Timing(retention=timedelta(days=30))))
    found = lacking(one, OCTOBER)
    assert found["beyond"][-1] == "12", "30 days before 12 November, 5:00 is within 13 October"
    assert found["earlier"] == ["13", "14", "15", "16", "17", "18", "19"]


def test_days_to_come_are_open() -> None:
    until = Bounds(datetime(2026, 11, 10, tzinfo=UTC), datetime(2026, 11, 15, tzinfo=UTC))
    assert lacking(archived(date(2026, 11, 9), "###o"), until) == {"open": ["12", "13", "14"]}


def test_without_an_end_open_days_do_not_count() -> None:
    one = archived(date(2026, 11, 9), "##oo")
    found = completeness(one, Bounds(), UTC, NOW)
    assert (found.days, found.lacking) == (2, {})
    assert lacking(archived(date(2026, 11, 9), "#Xoo"), Bounds()) == {"hole": ["10"]}


def test_open_days_become_complete_after_the_lookback() -> None:
    found = completeness(archived(date(2026, 10, 1), 30 * "#" + "o"), OCTOBER, UTC, NOW)
    assert found.settled == OCTOBER.until + CALL.timing.lookback if OCTOBER.until else None


def test_a_call_of_an_unknown_provider_is_not_complete() -> None:
    one = replace(archived(date(2026, 10, 1), ""), call=None)
    assert len(lacking(one, OCTOBER)["unknown"]) == 31


def test_the_days_are_those_of_the_archives_zone() -> None:
    zone = ZoneInfo("Europe/Berlin")
    bounds = Bounds(datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC))
    one = archived(date(2026, 10, 1), 31 * "#", datetime(2026, 9, 30, 22, tzinfo=UTC))
    assert completeness(one, bounds, zone, NOW).days == 31
    assert not completeness(one, bounds, zone, NOW).lacking
    assert len(bounds.shown(archived(date(2026, 9, 25), 50 * "#").days, zone)) == 31


def test_consecutive_days_are_ranges() -> None:
    days = [date(2026, 10, day) for day in (1, 2, 3, 5, 30, 31)] + [date(2026, 11, 1)]
    assert [(f"{a:%d}", f"{b:%d}") for a, b in ranges(days)] == [("01", "03"), ("05", "05"), ("30", "01")]
    assert ranges([]) == []


@for_each("minutes", [-1, 0, 1])
@for_each("cut", [0, 1])
def test_one_reading_makes_a_day_complete_only_if_it_covers_it_and_came_after_the_lookback(
    minutes: int, cut: int
) -> None:
    """The shortcut for such days says what the sets say."""
    begins = datetime(2026, 11, 1, tzinfo=UTC)
    day = Window(begins, begins + timedelta(days=1))
    read = Reading(
        Window(begins, day.until - timedelta(hours=cut)),
        "done",
        day.until + CALL.timing.lookback + timedelta(minutes=minutes),
    )
    kept = KeptCall("acme", "cdrs", "webex", begins)
    first = next(coverage(Archive(Path(), Settings("UTC", "jsonl")), CALL, kept, {"2026-11-01": [read]}, [], NOW))
    expected = "hole" if cut else "complete" if minutes >= 0 else "open"
    assert first.state == expected
