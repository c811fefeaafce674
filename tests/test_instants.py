"""The times that a user may type, and those that are refused."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cdrctl import windows
from cdrctl.errors import UsageError
from cdrctl.windows import duration, zone
from tests.support.products import for_each
from tests.windows_kit import NOW, PARIS, SECOND, at


def read(text: str, name: str = "UTC", now: datetime = NOW) -> datetime:
    return windows.instant(text, zone=zone(name), now=now)


def refused(text: str, name: str = "UTC", now: datetime = NOW) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read(text, name, now)
    assert caught.value.hint
    assert caught.value.message.startswith("--since ")
    return caught.value


def day_length(day: str, next_day: str, name: str) -> timedelta:
    return read(next_day, name) - read(day, name)


class TestReadingAnInstant:
    @for_each(
        "text",
        [
            "2026-11-19T08:00:00Z",
            "2026-11-19t08:00:00z",
            "2026-11-19T08:00:00+00:00",
            "2026-11-19T08:00:00-00:00",
            "2026-11-19T09:00:00+01:00",
            "2026-11-19T03:00:00-0500",
            "2026-11-19 09:00 +01:00",
            "2026-11-19T08:00",
            "2026-11-19 08:00",
            "2026-11-19 08:00:00",
            "2026-11-19 08:00:00.0",
            "  2026-11-19T08:00Z ",
            "2026-11-19T08",
            "2026-11-19T09:00+01",
            "2026-11-19 8am",
            "20261119T080000Z",
            "19 Nov 2026 08:00",
            "19 nov 2026 8:00 UTC",
            "Nov 19, 2026 8am",
            "Thu, 19 Nov 2026 09:00:00 +0100",
            "Thu Nov 19 08:00:00 2026",
            "19 Nov 2026 09:00 +01:00",
            "Thursday 19 November 2026 08:00",
            "19/11/2026 08:00",
            "11/19/2026 08:00",
        ],
    )
    def test_one_instant_can_be_written_in_many_ways(self, text: str) -> None:
        """Every unambiguous form of eight o'clock means the same, and is returned in UTC."""
        assert read(text) == at(2026, 11, 19, 8)
        assert read(text).tzinfo is UTC

    @for_each("fraction, microsecond", [("1", 100_000), ("12", 120_000), ("123", 123_000), ("123456", 123_456)])
    def test_a_fraction_has_up_to_six_digits(self, fraction: str, microsecond: int) -> None:
        """A fraction up to a microsecond is kept."""
        assert read(f"2026-11-19T08:00:00.{fraction}Z") == at(2026, 11, 19, 8, 0, 0, microsecond)

    @for_each(
        "text",
        ["2026-11-19T08:00:00.1234567Z", "19 Nov 2026 08:00:00.1234567", "2026-11-19T08:00:00,0000000Z"],
    )
    def test_a_finer_fraction_is_refused(self, text: str) -> None:
        """Cutting a seventh digit off would move the edge."""
        assert "microsecond" in refused(text).message

    @for_each(
        "text, expected",
        [
            ("2026-11-19", at(2026, 11, 18, 23)),
            ("20261105", at(2026, 11, 4, 23)),
            ("19 Nov 2026", at(2026, 11, 18, 23)),
            ("Nov 5 2026", at(2026, 11, 4, 23)),
            ("2026-07", at(2026, 6, 30, 22)),
            ("2026", at(2025, 12, 31, 23)),
            ("2026-11-19 00:00", at(2026, 11, 18, 23)),
            ("2026-07-19 14:00", at(2026, 7, 19, 12)),
        ],
    )
    def test_without_an_offset_the_zone_is_used(self, text: str, expected: datetime) -> None:
        """A day, month or year is its first instant in the zone, and a time is the clock time there."""
        assert read(text, "Europe/Paris") == expected

    @pytest.mark.parametrize("option", ["--since", "--until"])
    def test_a_day_is_its_start_for_both_edges(self, option: str) -> None:
        """`--until 2026-11-19` ends where the day begins, so that consecutive days tile."""
        assert windows.instant("2026-11-19", zone=UTC, now=NOW, option=option) == at(2026, 11, 19)

    @for_each(
        "text, expected",
        [
            ("now", NOW),
            ("NOW", NOW),
            (" now ", NOW),
            ("0s", NOW),
            ("30s", NOW - 30 * SECOND),
            ("90m", NOW - timedelta(minutes=90)),
            ("24h", NOW - timedelta(hours=24)),
            ("7d", NOW - timedelta(days=7)),
            ("2w", NOW - timedelta(days=14)),
        ],
    )
    def test_ago_counts_from_now(self, text: str, expected: datetime) -> None:
        """A duration is elapsed time before now."""
        assert read(text, "Europe/Paris") == expected

    def test_seven_days_ago_does_not_follow_the_clocks(self) -> None:
        """`7d` is 7 times 24 hours even across a clock change."""
        now = at(2026, 10, 28, 12)
        assert now - read("7d", "Europe/Paris", now) == timedelta(hours=7 * 24)

    @for_each(
        "text, day",
        [
            ("today", 20),
            ("Yesterday", 19),
            ("tomorrow", 21),
            ("friday", 20),
            ("thursday", 19),
            ("Monday", 16),
            ("sunday", 15),
            ("saturday", 14),
        ],
    )
    def test_words_for_days_are_local_midnights(self, text: str, day: int) -> None:
        """A weekday is the latest one, which may be today."""
        assert read(text) == at(2026, 11, day)

    @for_each(
        "text, expected",
        [
            ("this week", at(2026, 11, 16)),
            ("last week", at(2026, 11, 9)),
            ("Last  Week", at(2026, 11, 9)),
            ("this month", at(2026, 11, 1)),
            ("last month", at(2026, 10, 1)),
            ("this year", at(2026, 1, 1)),
            ("last year", at(2025, 1, 1)),
            ("last monday", at(2026, 11, 16)),
            ("last friday", at(2026, 11, 13)),
            ("last sunday", at(2026, 11, 15)),
            ("this friday", at(2026, 11, 20)),
        ],
    )
    def test_a_period_is_its_first_instant(self, text: str, expected: datetime) -> None:
        """NOW is a Friday. A weekday with `last` is before today, and a week begins on Monday."""
        assert read(text) == expected

    @for_each("text", ["last day", "this monthday", "next week", "last", "this", "last week of May"])
    def test_other_periods_are_refused(self, text: str) -> None:
        refused(text)

    @for_each(
        "text, length",
        [("1.5h", timedelta(minutes=90)), ("7D", timedelta(days=7)), ("24H", timedelta(hours=24))],
    )
    def test_lengths_may_have_a_fraction_and_a_capital(self, text: str, length: timedelta) -> None:
        assert NOW - read(text) == length == duration(text)

    @for_each(
        "text, expected",
        [
            ("3mo", NOW.replace(month=8)),
            ("3MO", NOW.replace(month=8)),
            ("12mo", NOW.replace(year=2025)),
            ("1y", NOW.replace(year=2025)),
            ("2Y", NOW.replace(year=2024)),
        ],
    )
    def test_months_and_years_ago_keep_day_and_time(self, text: str, expected: datetime) -> None:
        assert read(text) == expected

    def test_a_month_ago_is_its_last_day_where_the_day_is_missing(self) -> None:
        assert read("1mo", now=at(2026, 3, 31, 8)) == at(2026, 2, 28, 8)
        assert read("1y", now=at(2024, 2, 29, 8)) == at(2023, 2, 28, 8)

    def test_months_count_by_the_clocks_of_the_zone(self) -> None:
        """From summer time to winter time the time of day is the same, and the offset changes."""
        assert read("2mo", "Europe/Paris", now=at(2026, 11, 20, 12)) == at(2026, 9, 20, 11)

    @for_each("text", ["3M", "1.5mo", "0.5y", "9999mo", "999999999y"])
    def test_months_that_cannot_be_counted_are_refused(self, text: str) -> None:
        refused(text)
        with pytest.raises(UsageError):
            duration(text)

    def test_today_is_the_day_of_the_zone(self) -> None:
        """At noon in London it is already tomorrow in Kiritimati."""
        assert read("today", "Pacific/Kiritimati") == at(2026, 11, 20, 10)
        assert read("today", "Europe/Paris", at(2026, 11, 20, 23, 30)) == at(2026, 11, 20, 23)

    def test_now_may_be_given_in_any_zone(self) -> None:
        """The result is in UTC whatever the zone of `now`. A `now` without a zone is refused."""
        assert read("24h", now=NOW.astimezone(PARIS)) == NOW - timedelta(hours=24)
        with pytest.raises(ValueError, match="without a time zone"):
            read("24h", now=NOW.replace(tzinfo=None))

    @for_each(
        "text, hint",
        [
            ("02/03/26", "write 2026-02-03, 2002-03-26 or 2026-03-02"),
            ("3/4/2026", "write 2026-03-04 or 2026-04-03"),
            ("05.11.2026", "write 2026-05-11 or 2026-11-05"),
            ("2026/02/03", "write 2026-02-03 or 2026-03-02"),
            ("3/4/2026 14:00", "write 2026-03-04T14:00:00 or 2026-04-03T14:00:00"),
            ("19 Nov 26", "write 2026-11-19 or 2019-11-26"),
            ("31 Dec 99", "write 2099-12-31"),
        ],
    )
    def test_an_ambiguous_time_is_refused(self, text: str, hint: str) -> None:
        """The hint has each reading in an unambiguous form."""
        error = refused(text)
        assert "more than one way" in error.message
        assert error.hint == hint

    @for_each(
        "text",
        [
            "14:00",
            "2pm",
            "Nov",
            "5",
            "Nov 19",
            "29 Feb",
            "3/4",
            "Nov 2026",
            "11/2026",
            "Thu Nov 2026",
            "thu",
            "Thu 2026",
        ],
    )
    def test_a_partial_date_is_refused(self, text: str) -> None:
        """A missing part of a date is never filled in."""
        assert "does not say which day" in refused(text).message

    @for_each("name", ["EST", "IST", "CET", "PST", "XYZ"])
    def test_a_zone_name_is_refused(self, name: str) -> None:
        """Abbreviations mean different zones in different places.

        They are not ignored or read by the rules of this machine.
        """
        assert f"a zone, {name}," in refused(f"19 Nov 2026 14:00 {name}").message

    def test_the_zone_names_of_this_machine_have_no_meaning(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A command means the same on a machine in New York."""
        monkeypatch.setattr(time, "tzname", ("EST", "EDT"))
        assert "a zone, EST," in refused("19 Nov 2026 14:00 EST").message

    @for_each(
        "text",
        ["19 Nov 2026 14:00 GMT+3", "19 Nov 2026 14:00 UTC -3", "2026-11-19 -02:00", "19 Nov 2026 -2:00"],
    )
    def test_an_offset_that_reads_in_two_ways_is_refused(self, text: str) -> None:
        """POSIX counts `GMT+3` westwards, and after a date alone `-02:00` could be the time."""
        assert "offset" in refused(text).message

    @for_each("text", ["Mon 19 Nov 2026", "Monday, 19 Nov 2026 14:00", "Thu Mon 19 Nov 2026"])
    def test_a_wrong_weekday_is_refused(self, text: str) -> None:
        """A weekday that contradicts the date means that one of them is a typo."""
        assert "is a Thursday" in refused(text).message

    @for_each(
        "text",
        [
            "2026-02-30",
            "2026-13",
            "0000",
            "2026-11-19T24:00",
            "2026-11-19T08:60",
            "2026-11-19T08:00:60Z",
            "2026-11-19T08:00+01:75",
            "2026-11-19T08:00+25:00",
        ],
    )
    def test_an_impossible_time_is_refused(self, text: str) -> None:
        """No calendar or clock shows it."""
        assert "not a time that exists" in refused(text).message

    @for_each("text", ["", "   ", "soon", "7x", "-7d", "2026-W47", "1763539200", "1763539200000", "yesterday 14:00"])
    def test_a_meaningless_text_is_refused(self, text: str) -> None:
        """The hint lists every form."""
        assert "how long ago" in (refused(text).hint or "")

    @for_each(
        "text",
        [
            "\0",
            "2026-11-19\n",
            "2026-11-19\x1b[0m",
            "2026-11-\N{ARABIC-INDIC DIGIT ONE}9",
            "202\N{FULLWIDTH DIGIT SIX}",
            "7\N{ARABIC-INDIC DIGIT FOUR}d",
            "\udc80",
            "0" * 10**6,
        ],
    )
    def test_an_odd_text_is_refused_in_a_short_message(self, text: str) -> None:
        """The message is short and printable, whatever the text."""
        message = refused(text).message
        assert message.endswith("is not a time")
        assert len(message) < 100
        assert message.isprintable()

    @for_each(
        "text",
        ["1969", "2201-01-01", "19 Nov 1026", "19 Nov 2926 08:00", "1969-12-31T23:59Z", "0001-01-01T00:00+14:00",
         "9999-12-31T23:59-14:00", "9999-12-31", "999999999d", "999999999w", "30000d"],
    )  # fmt: skip
    def test_a_far_year_is_a_typing_error(self, text: str) -> None:
        """Years before 1970 or after 2200 are refused, and none of them overflows."""
        assert any(why in refused(text).message for why in ("is in the year", "too long ago"))

    def test_the_first_and_the_last_year_are_accepted(self) -> None:
        """The limits are inclusive."""
        assert read("1970") == at(1970, 1, 1)
        assert read("2200-12-31", "America/New_York") == at(2200, 12, 31, 5)


class TestClockChanges:
    def test_a_local_time_that_never_comes_is_refused(self) -> None:
        """In spring the hint has the time with either offset."""
        error = refused("2026-03-29 02:30", "Europe/Paris")
        assert "does not exist" in error.message
        assert error.hint == "write 2026-03-29T01:30:00+01:00 or 2026-03-29T03:30:00+02:00"

    def test_a_local_time_that_comes_twice_is_refused(self) -> None:
        """In autumn the hint has both times, with their offsets."""
        error = refused("25 Oct 2026 02:30", "Europe/Paris")
        assert "occurs twice" in error.message
        assert error.hint == "write 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"

    def test_a_repeated_local_time_with_an_offset_is_accepted(self) -> None:
        """An offset selects one of the two."""
        assert read("2026-10-25T02:30+02:00", "Europe/Paris") == at(2026, 10, 25, 0, 30)
        assert read("2026-10-25T02:30+01:00", "Europe/Paris") == at(2026, 10, 25, 1, 30)
        assert read("2026-03-29T02:30+01:00", "Europe/Paris") == at(2026, 3, 29, 1, 30)

    @for_each(
        "day, next_day, name, hours",
        [
            ("2026-03-29", "2026-03-30", "Europe/Paris", 23),
            ("2026-10-25", "2026-10-26", "Europe/Paris", 25),
            ("2026-10-04", "2026-10-05", "Australia/Lord_Howe", 23.5),
            ("2026-04-05", "2026-04-06", "Australia/Lord_Howe", 24.5),
            ("2018-11-04", "2018-11-05", "America/Sao_Paulo", 23),
            ("4 Nov 2018", "5 Nov 2018", "America/Sao_Paulo", 23),
            ("2018-02-17", "2018-02-18", "America/Sao_Paulo", 25),
            ("2026-04-24", "2026-04-25", "Africa/Cairo", 23),
            ("2026-11-01", "2026-11-02", "America/Havana", 25),
            ("2011-12-29", "2011-12-30", "Pacific/Apia", 24),
            ("2011-12-30", "2011-12-31", "Pacific/Apia", 0),
        ],
    )
    def test_the_length_of_a_day_follows_the_clocks(self, day: str, next_day: str, name: str, hours: float) -> None:
        """A day is accepted even if its midnight is skipped or repeated. A skipped day is empty."""
        assert day_length(day, next_day, name) == timedelta(hours=hours)

    def test_a_skipped_midnight_is_the_first_instant_of_its_day(self) -> None:
        """In Sao Paulo the 4th of November 2018 began at one o'clock."""
        assert read("2018-11-04", "America/Sao_Paulo") == at(2018, 11, 4, 3)
        assert "does not exist" in refused("2018-11-04 00:00", "America/Sao_Paulo").message

    def test_the_first_instant_of_a_day_is_exact_if_midnight_is_skipped(self) -> None:
        """In Toronto in 1919 the clocks went from 23:30 to 0:30, where the next day began."""
        toronto = ZoneInfo("America/Toronto")
        start = windows._day_start(datetime(1919, 3, 31), toronto)  # noqa: DTZ001  what a clock shows
        assert start.astimezone(toronto).isoformat() == "1919-03-31T00:30:00-04:00"
        assert (start - SECOND).astimezone(toronto).isoformat() == "1919-03-30T23:29:59-05:00"

    def test_a_skipped_day_begins_where_the_next_one_begins(self) -> None:
        """Kwajalein went from the 20th to the 22nd of August 1993."""
        kwajalein = ZoneInfo("Pacific/Kwajalein")
        start = read("1993-08-21", "Pacific/Kwajalein")
        assert start.astimezone(kwajalein).day == 22
        assert (start - SECOND).astimezone(kwajalein).day == 20

    def test_a_repeated_midnight_is_the_earlier_one(self) -> None:
        """In Havana the clocks go back from one o'clock to midnight."""
        assert read("2026-11-01", "America/Havana") == at(2026, 11, 1, 4)


@pytest.mark.process
def test_dateutil_is_not_loaded_before_it_is_needed() -> None:
    """Every command imports this module, and few need the slow parser."""
    program = (
        "import sys; from datetime import *; from cdrctl.windows import *; "
        "window('2026-11-19T08:00Z', '7d', zone=zone('Europe/Paris'), now=datetime(2027, 1, 1, tzinfo=UTC)); "
        "print(any(name.startswith('dateutil') for name in sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "False"
