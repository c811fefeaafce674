"""Windows, time zones and durations, and how windows are split."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from cdrctl import zones
from cdrctl.errors import UsageError
from cdrctl.windows import Window, duration, halve, month_starts, months, rfc3339, tile, window, zone
from tests.support.products import for_each
from tests.windows_kit import NOW, PARIS, SECOND, at


class TestWindow:
    def test_a_window_is_half_open(self) -> None:
        """It includes its start and not its end."""
        day = Window(at(2026, 11, 19), at(2026, 11, 20))
        assert day.holds(at(2026, 11, 19))
        assert not day.holds(at(2026, 11, 20))
        assert not day.holds(at(2026, 11, 19) - timedelta(microseconds=1))
        assert day.duration == timedelta(days=1)

    def test_a_window_counts_elapsed_time_across_a_clock_change(self) -> None:
        """Edges given in one zone are kept in UTC, so a day of 25 hours has 25."""
        day = Window(datetime(2026, 10, 25, tzinfo=PARIS), datetime(2026, 10, 26, tzinfo=PARIS))
        assert day.duration == timedelta(hours=25)
        assert (day.since.tzinfo, day.until.tzinfo) == (UTC, UTC)

    @pytest.mark.parametrize("naive", [0, 1])
    def test_an_edge_without_a_zone_is_refused(self, naive: int) -> None:
        """A naive edge would be read in this machine's zone."""
        ends = [at(2026, 11, 19), at(2026, 11, 20)]
        ends[naive] = ends[naive].replace(tzinfo=None)
        with pytest.raises(ValueError, match="without a time zone"):
            Window(*ends)

    @pytest.mark.parametrize("hours", [0, 1])
    def test_an_empty_or_reversed_window_is_refused(self, hours: int) -> None:
        """A window has at least one instant."""
        with pytest.raises(ValueError, match="end after it begins"):
            Window(NOW, NOW - timedelta(hours=hours))

    def test_the_default_window_is_the_last_day(self) -> None:
        """Without options it is the 24 hours until now."""
        assert window(None, None, zone=PARIS, now=NOW) == Window(NOW - timedelta(hours=24), NOW)

    def test_the_default_does_not_follow_the_clocks(self) -> None:
        """It is 24 hours of elapsed time, whatever the zone of `now`."""
        now = datetime(2026, 10, 25, 12, tzinfo=PARIS)
        assert window(None, None, zone=PARIS, now=now).duration == timedelta(hours=24)

    def test_each_edge_is_read_in_the_zone(self) -> None:
        """Either edge may be left out."""
        assert window("yesterday", "today", zone=PARIS, now=NOW) == Window(at(2026, 11, 18, 23), at(2026, 11, 19, 23))
        assert window("2026-11", None, zone=UTC, now=NOW) == Window(at(2026, 11, 1), NOW)
        assert window(None, "2h", zone=UTC, now=NOW) == Window(NOW - timedelta(hours=24), NOW - timedelta(hours=2))

    def test_an_empty_window_is_a_usage_error(self) -> None:
        """The message names equal edges once."""
        with pytest.raises(UsageError, match=r"window is empty.* 2026-11-19T00:00:00\.000Z") as caught:
            window("2026-11-19", "yesterday", zone=UTC, now=NOW)
        assert "later --until" in (caught.value.hint or "")

    def test_a_reversed_window_is_a_usage_error(self) -> None:
        """The message names both edges as instants."""
        with pytest.raises(UsageError, match=r"2026-11-19T00:00:00\.000Z is after .* 2026-11-18T00") as caught:
            window("2026-11-19", "2026-11-18", zone=UTC, now=NOW)
        assert "swap" in (caught.value.hint or "")

    def test_an_until_before_the_default_since_is_a_usage_error(self) -> None:
        """Without --since, the message names its default."""
        with pytest.raises(UsageError, match="reversed") as caught:
            window(None, "7d", zone=UTC, now=NOW)
        assert "24 hours ago" in (caught.value.hint or "")

    def test_a_since_in_the_future_without_an_until_is_a_usage_error(self) -> None:
        """The user gave no --until, so there is nothing to swap."""
        with pytest.raises(UsageError, match="begins in the future") as caught:
            window("2026-12-24", None, zone=UTC, now=NOW)
        assert caught.value.hint == "use an earlier --since"

    def test_a_refused_length_names_its_option(self) -> None:
        with pytest.raises(UsageError, match=r"^--max-wait 'soon' is not a length"):
            duration("soon", "--max-wait")
        with pytest.raises(UsageError, match=r"^'soon' is not a length"):
            duration("soon")

    def test_a_refusal_names_its_option(self) -> None:
        """The message names the option that could not be parsed."""
        with pytest.raises(UsageError, match=r"^--since 'soon'"):
            window("soon", None, zone=UTC, now=NOW)
        with pytest.raises(UsageError, match=r"^--until 'soon'"):
            window(None, "soon", zone=UTC, now=NOW)


class TestZone:
    def test_a_zone_is_found_by_name(self) -> None:
        """IANA names in their own spelling, and `utc` in any case."""
        assert zone("Europe/Paris") is PARIS
        assert zone("UTC") is zone("utc") is zone("Utc") is UTC

    @for_each(
        "name, near",
        [
            ("Paris", "Europe/Paris"),
            ("EUROPE/PARIS", "Europe/Paris"),
            ("Europe/Pariss", "Europe/Paris"),
            ("New York", "America/New_York"),
        ],
    )
    def test_an_unknown_zone_gets_the_nearest_names(self, name: str, near: str) -> None:
        """A city, another case or a typo lead to the zone."""
        with pytest.raises(UsageError, match="no time zone") as caught:
            zone(name)
        assert (caught.value.hint or "").startswith(f"write {near}")

    @for_each(
        "name",
        [
            "",
            "America",
            "../UTC",
            "/etc/localtime",
            "a\0b",
            "\udc80",
            "é",
            "x" * 10**5,
            "zone.tab",
            "right/UTC",
            ".",
        ],
    )
    def test_a_path_that_is_not_a_zone_is_refused(self, name: str) -> None:
        """Directories and paths are refused like an unknown name, and so are zones with leap seconds."""
        with pytest.raises(UsageError, match="no time zone") as caught:
            zone(name)
        assert len(caught.value.message) < 400
        assert caught.value.hint

    def test_a_name_that_the_system_cannot_open_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Some versions of Python raise the error of opening a directory."""

        def lookup(name: str) -> ZoneInfo:
            raise IsADirectoryError(name)

        monkeypatch.setattr(zones, "ZoneInfo", lookup)
        with pytest.raises(UsageError, match="no time zone"):
            zone("America")

    @pytest.mark.process
    @pytest.mark.parametrize(
        ("value", "winter", "summer"),
        [
            ("Europe/Paris", 1, 2),
            (":America/New_York", -5, -4),
            ("", 0, 0),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 1, 2),
            ("<+03>-3", 3, 3),
            ("right/Europe/Paris", 1, 2),
            ("posix/Europe/Paris", 1, 2),
            ("/usr/share/zoneinfo/America/New_York", -5, -4),
        ],
    )
    def test_local_is_the_zone_of_the_machine(self, value: str, winter: int, summer: int) -> None:
        """TZ is read with the names and rules of the C library."""
        if not hasattr(time, "tzset"):
            pytest.skip("this system does not read TZ")
        program = (
            "from datetime import datetime; from cdrctl.windows import zone; "
            "print(*(datetime(2026, month, 1, tzinfo=zone('Local')).utcoffset().total_seconds() / 3600"
            " for month in (1, 7)))"
        )
        answer = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "TZ": value},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert [float(hours) for hours in answer.split()] == [winter, summer]

    @for_each("value", ["Bogus/Zone", "Europe", "no zone", "right/Bogus"])
    def test_local_is_refused_if_tz_names_no_zone(self, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The C library silently uses UTC for such a value."""
        monkeypatch.setenv("TZ", value)
        with pytest.raises(UsageError, match="TZ does not name a time zone"):
            zone("local")

    @for_each(
        "name, minutes",
        [
            ("+02:00", 120),
            ("+2", 120),
            ("-0530", -330),
            ("UTC+2", 120),
            ("utc-5", -300),
            ("GMT+5:45", 345),
            ("UTC +14", 840),
            ("Etc/GMT+2", -120),
        ],
    )
    def test_a_positive_offset_is_east_of_utc(self, name: str, minutes: int) -> None:
        """Only the names below Etc in the IANA database count westwards."""
        assert datetime(2026, 7, 1, tzinfo=zone(name)).utcoffset() == timedelta(minutes=minutes)

    @for_each("name", ["+15", "UTC+2:60", "GMT-14:01", "UTC+99"])
    def test_an_impossible_offset_is_refused(self, name: str) -> None:
        with pytest.raises(UsageError, match="from UTC"):
            zone(name)

    @for_each("name", ["Etc/GMT+20", "Etc/UTC+2", "GMT+2:0", "UTC+002", "+130"])
    def test_a_name_with_a_sign_gets_no_suggestion(self, name: str) -> None:
        """The nearest name could have the opposite sign."""
        with pytest.raises(UsageError) as caught:
            zone(name)
        assert "GMT" not in (caught.value.hint or "")

    @for_each(
        "name, city",
        [
            ("PST", "America/Los_Angeles"),
            ("cest", "Europe/Berlin"),
            ("EST", "America/New_York"),
            ("IST", "Asia/Kolkata"),
            ("BST", "Europe/London"),
        ],
    )
    def test_an_abbreviation_is_refused_with_cities(self, name: str, city: str) -> None:
        with pytest.raises(UsageError, match="abbreviation") as caught:
            zone(name)
        assert city in (caught.value.hint or "")

    def test_every_suggested_city_exists(self) -> None:
        for cities in zones._ABBREVIATIONS.values():
            assert all(zone(city) for city in cities)

    def test_local_without_tz_is_the_zone_of_the_link(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The link to the system's zone has its name, and so its history."""
        monkeypatch.delenv("TZ", raising=False)
        monkeypatch.setattr(os.path, "realpath", lambda path: "/usr/share/zoneinfo/Europe/Paris")
        assert zone("local") is PARIS
        monkeypatch.setattr(os.path, "realpath", lambda path: path)
        assert datetime(2026, 1, 1, tzinfo=zone("local")).utcoffset() is not None


class TestDuration:
    @for_each("text, seconds", [("90s", 90), ("90m", 5400), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600)])
    def test_a_duration_is_a_number_and_a_unit(self, text: str, seconds: int) -> None:
        """No unit depends on a calendar."""
        assert duration(text) == timedelta(seconds=seconds)

    @for_each(
        "text",
        [
            "",
            "7",
            "d",
            "-1h",
            "1.h",
            "1mo",
            "1h30m",
            "1M",
            "7 d",
            "7d\n",
            "\N{ARABIC-INDIC DIGIT SEVEN}d",
            "999999999w",
            "9" * 10**6 + "s",
        ],
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        """The hint has an example of each unit; `1M` could be a month."""
        with pytest.raises(UsageError, match="not a length of time") as caught:
            duration(text)
        assert "90m" in (caught.value.hint or "")
        assert len(caught.value.message) < 400


class TestCutting:
    def test_tiles_are_adjacent_and_the_last_may_be_shorter(self) -> None:
        """Oldest first, each as long as allowed."""
        whole = Window(at(2026, 11, 1), at(2026, 11, 1, 5))
        edges = [at(2026, 11, 1), at(2026, 11, 1, 2), at(2026, 11, 1, 4), at(2026, 11, 1, 5)]
        assert list(tile(whole, timedelta(hours=2))) == [Window(*ends) for ends in pairwise(edges)]
        assert list(tile(whole, timedelta.max)) == [whole]

    @pytest.mark.parametrize("length", [timedelta(0), -SECOND])
    def test_a_length_of_zero_is_refused(self, length: timedelta) -> None:
        """Tiling would never end."""
        whole = Window(at(2026, 11, 1), at(2026, 11, 2))
        with pytest.raises(ValueError, match="must be positive"):
            next(tile(whole, length))
        with pytest.raises(ValueError, match="must be positive"):
            halve(whole, length)

    def test_halves_meet_on_a_whole_second(self) -> None:
        """Wherever the window begins, it is split at a multiple of the smallest window."""
        start = at(2026, 11, 1, 0, 0, 0, 500_000)
        cut = at(2026, 11, 1, 0, 0, 2)
        whole = Window(start, start + 4 * SECOND)
        assert halve(whole, SECOND) == (Window(start, cut), Window(cut, whole.until))

    @for_each(
        "since, until, cut",
        [
            (0, 1_000_000, None),
            (300_000, 900_000, None),
            (0, 1_000_001, 1_000_000),
            (500_000, 1_500_000, 1_000_000),
            (999_999, 1_000_001, 1_000_000),
            (0, 2_000_000, 1_000_000),
            (900_000, 2_000_000, 1_000_000),
            (1_000_000, 2_500_000, 2_000_000),
        ],
    )
    def test_a_window_within_one_second_cannot_be_halved(self, since: int, until: int, cut: int | None) -> None:
        """The window is given in microseconds. It is split only if it includes a whole second."""
        start = at(2026, 11, 1)
        whole = Window(start + timedelta(microseconds=since), start + timedelta(microseconds=until))
        halves = halve(whole, SECOND)
        assert (halves and (halves[1].since - start) // timedelta(microseconds=1)) == cut

    def test_a_window_shorter_than_a_huge_minimum_is_not_halved(self) -> None:
        """Nothing overflows."""
        assert halve(Window(at(2026, 11, 1), at(2026, 11, 2)), timedelta.max) is None

    def test_windows_are_split_into_months_in_utc(self) -> None:
        """A window across the end of a year has each of its months, the first and the last in part."""
        edges = [at(2026, 11, 30, 23), at(2026, 12, 1), at(2027, 1, 1), at(2027, 1, 2)]
        assert list(months(Window(edges[0], edges[-1]))) == [Window(*ends) for ends in pairwise(edges)]
        assert list(months(Window(edges[1], edges[2]))) == [Window(edges[1], edges[2])]

    def test_month_starts_include_both_ends(self) -> None:
        """In whatever zone the edges are given."""
        assert list(month_starts(at(2026, 12, 1), at(2027, 2, 1))) == [
            at(2026, 12, 1),
            at(2027, 1, 1),
            at(2027, 2, 1),
        ]
        assert list(month_starts(at(2026, 11, 2), at(2026, 11, 30))) == []
        assert list(month_starts(at(2026, 11, 2), at(2026, 10, 1))) == []
        paris = datetime(2026, 12, 1, 0, 30, tzinfo=PARIS)
        assert list(month_starts(paris, paris + timedelta(hours=1))) == [at(2026, 12, 1)]
        assert list(month_starts(at(9999, 12, 1), at(9999, 12, 31))) == [at(9999, 12, 1)]
        with pytest.raises(ValueError, match="without a time zone"):
            next(month_starts(NOW.replace(tzinfo=None), NOW))


class TestWriting:
    @for_each(
        "instant, text",
        [
            (at(2026, 11, 19, 8), "2026-11-19T08:00:00.000Z"),
            (at(2026, 11, 19, 8, 0, 0, 123_999), "2026-11-19T08:00:00.123Z"),
            (
                datetime(2026, 11, 19, 8, tzinfo=timezone(timedelta(hours=5, minutes=30))),
                "2026-11-19T02:30:00.000Z",
            ),
        ],
    )
    def test_an_instant_is_written_in_utc_with_milliseconds(self, instant: datetime, text: str) -> None:
        """Smaller fractions are cut off, never rounded into the next second."""
        assert rfc3339(instant) == text

    def test_an_instant_without_a_zone_is_refused(self) -> None:
        """It would be written as if it were in this machine's zone."""
        with pytest.raises(ValueError, match="without a time zone"):
            rfc3339(NOW.replace(tzinfo=None))
