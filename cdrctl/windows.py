"""Half-open windows of time in UTC: parse what a person typed, tile, cut, halve, and split at months.

All arithmetic is in UTC: subtracting two datetimes of the same zone counts hours of its wall clock, which is
wrong by an hour across a clock change. A zone is used only to convert what was typed into an instant.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from calendar import monthrange
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise, product
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import force_setattr

from cdrctl.errors import UsageError, alternatives
from cdrctl.zones import zone as zone  # noqa: PLC0414  part of what this module offers

if TYPE_CHECKING:
    from collections.abc import Iterator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULT_LENGTH = timedelta(hours=24)
YEARS = range(1970, 2201)  # a year outside is a typo
LONGEST_LENGTH = timedelta(days=36_525)  # a century, so that no date arithmetic overflows
MINUTE = timedelta(minutes=1)
LONGEST_TEXT = 64  # characters; no time is longer
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MONTHS = {"mo": 1, "y": 12}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAYS = {"today": 0, "yesterday": -1, "tomorrow": 1}
LENGTH = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(mo|[smhdwy])", re.IGNORECASE)
PERIOD = re.compile(r"(this|last) (week|month|year|[a-z]+day)")
DAY = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]"
    r"([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)"
    r"(?: ?(Z|[+-][0-9]{2}:?([0-9]{2})))?",
    re.IGNORECASE,
)
YEAR_FIRST = re.compile(r"[0-9]{4}(-?)[0-9]{2}\1[0-9]{2}")
TOO_FINE = re.compile(r"[.,][0-9]{7}")
WEEKDAY = re.compile(r"\b(mon|tue|wed|thu|fri|sat|sun)")
ZONE_AND_SIGN = re.compile(r"(?:UTC|GMT|Z) ?[+-]", re.IGNORECASE)  # POSIX counts westwards, people eastwards
OFFSET_AT_END = re.compile(r"[+-][0-9]{1,2}:[0-9]{2}$")  # dateutil reads an offset after a date as the time of day
FORMS = (
    "write a date (2026-11-19), a time (2026-11-19T08:00 or 2026-11-19T08:00+01:00), a month (2026-11), "
    "words (now, today, yesterday, monday, last week, this month) or how long ago (90m, 24h, 7d, 2w, 3mo, 1y)"
)

Edge = Literal["since", "until"]


class Window(Struct, frozen=True):
    """A half-open period of time [since, until), stored in UTC whatever offsets it was given in.

    Raises:
        ValueError: A bound has no time zone, or `until` is not after `since`.
    """

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        if self.since.tzinfo is not UTC or self.until.tzinfo is not UTC:
            force_setattr(self, "since", _utc(self.since))
            force_setattr(self, "until", _utc(self.until))
        if self.since >= self.until:
            raise ValueError(f"a window must end after it begins: [{self.since}, {self.until})")

    @property
    def duration(self) -> timedelta:
        """The elapsed time from `since` to `until`; always positive."""
        return self.until - self.since

    def holds(self, instant: datetime) -> bool:
        """Return whether an aware instant lies in [since, until); TypeError for a naive one."""
        return self.since <= instant < self.until


def duration(text: str, option: str = "") -> timedelta:
    """Return the length of `90s`, `90m`, `1.5h`, `7d` or `2w`: a day is 24 hours, a week 7 days.

    The unit may be a capital letter, except `M`, which could mean minutes or months.

    Args:
        text: The length as it was typed.
        option: The option it was given to, for the message.

    Raises:
        UsageError: The text is not a number followed by one of these units.
    """
    match = LENGTH.fullmatch(text)
    if match and match[2] != "M" and (unit := UNITS.get(match[2].lower())):
        with suppress(OverflowError):
            length = timedelta(**{unit: float(match[1])})
            if length <= LONGEST_LENGTH:
                return length
    raise UsageError(
        f"{option} {text[:LONGEST_TEXT]!r} is not a length of time".lstrip(),
        hint="write a number and a unit: 90s, 90m, 24h, 7d or 2w",
    )


def instant(text: str, *, zone: tzinfo, now: datetime, option: str = "--since") -> datetime:
    """Return the UTC instant of a time typed by a person, read in `zone` where it has no offset.

    A day, week, month or year means its first instant, for either bound: `--until 2026-11-19` ends where that day
    begins, and `last week` is the Monday on which it began. `7d` is exactly 7 times 24 hours before `now`; `3mo` and
    `1y` are the same day of the month and time of day, three months or a year earlier, in `zone`.

    Args:
        text: The time as it was typed; `FORMS` lists the accepted forms.
        zone: The zone of times without an offset and of words such as `today`.
        now: The present instant, aware.
        option: The option that it is the value of, for the error message.

    Raises:
        UsageError: The text is no time, is ambiguous, or names a local time that a clock change skips or repeats.
    """
    now = _utc(now)
    if len(text) > LONGEST_TEXT or not (text.isascii() and text.isprintable()):
        raise _refusal(option, text, "is not a time")
    text = text.strip()
    if TOO_FINE.search(text):
        raise _refusal(option, text, "is finer than a microsecond", "write at most six digits of a second")
    word = text.lower()
    if word == "now":
        return now
    if length := LENGTH.fullmatch(text):
        return _ago(length, now, zone, option)
    try:
        day = _named_day(word, now.astimezone(zone)) or _written_day(text)
        if day:
            _check_year(day, text, option)
            return _day_start(day, zone)
        moment = _written_time(text)
    except ValueError as error:
        raise _refusal(option, text, f"is not a time that exists: {error}") from None
    if moment is None:
        moment, whole_day = _read_freely(text, now, option)
        if whole_day:
            _check_year(moment, text, option)
            return _day_start(moment, zone)
    _check_year(moment, text, option)
    return moment.astimezone(UTC) if moment.tzinfo else _only_instant(moment, zone, text, option)


def window(since: str | None, until: str | None, *, zone: tzinfo, now: datetime) -> Window:
    """Return the window from `since` (None: 24 hours before `now`) to `until` (None: `now`), in UTC.

    Raises:
        UsageError: A bound cannot be parsed, or the window is empty or reversed.
    """
    now = _utc(now)
    start = now - DEFAULT_LENGTH if since is None else instant(since, zone=zone, now=now)
    end = now if until is None else instant(until, zone=zone, now=now, option="--until")
    if start < end:
        return Window(start, end)
    hint = "add an earlier --since: the default is 24 hours ago" if since is None else None
    if start == end:
        raise UsageError(
            f"the window is empty: --since and --until are both {rfc3339(start)}",
            hint=hint or "use a later --until, which itself is not part of the window",
        )
    if until is None:
        raise UsageError(
            f"the window begins in the future: --since is {rfc3339(start)}, but now is {rfc3339(end)}",
            hint="use an earlier --since",
        )
    raise UsageError(
        f"the window is reversed: --since {rfc3339(start)} is after --until {rfc3339(end)}",
        hint=hint or "swap the two, or correct one",
    )


def tile(window: Window, longest: timedelta) -> Iterator[Window]:
    """Yield adjacent windows that cover `window` exactly, oldest first, none longer than `longest`.

    Raises:
        ValueError: `longest` is not positive.
    """
    if longest <= timedelta(0):
        raise ValueError(f"the length of a tile must be positive: {longest}")
    start = window.since
    while start < window.until:
        end = start + min(longest, window.until - start)
        yield Window(start, end)
        start = end


def cut(window: Window, longest: timedelta | None, shortest: timedelta, pieces: int) -> Iterator[Window]:
    """Yield adjacent windows that cover `window` exactly, oldest first: its tiles, cut into about `pieces` parts.

    Each tile is cut into equal parts, none shorter than `shortest`, give or take a minute: cuts are on whole minutes.
    There are never fewer windows than tiles.

    Raises:
        ValueError: `longest` is not positive, or `shortest` is less than a minute.
    """
    if shortest < MINUTE:
        raise ValueError(f"the shortest part must be at least a minute: {shortest}")
    tiles = [*tile(window, longest)] if longest is not None else [window]
    edges: set[datetime] = set()
    for one in tiles:
        share = -(-(pieces * one.duration) // window.duration)
        parts = max(1, min(share, one.duration // shortest))
        edges.update(one.since + one.duration * part / parts for part in range(parts))
    inner = {edge.replace(second=0, microsecond=0) for edge in edges}
    for since, until in pairwise([window.since, *sorted(edge for edge in inner if edge > window.since), window.until]):
        yield Window(since, until)


def halve(window: Window, smallest: timedelta) -> tuple[Window, Window] | None:
    """Return the two halves of `window`, cut near its middle, or None when it cannot be halved.

    The cut is a whole multiple of `smallest` since 1970, so that a provider that counts in whole seconds can be queried
    for each half. Without such an instant inside the window there is no cut.

    Raises:
        ValueError: `smallest` is not positive.
    """
    if smallest <= timedelta(0):
        raise ValueError(f"the smallest window must be positive: {smallest}")
    middle = window.since + window.duration / 2
    cut = middle - (middle - EPOCH) % smallest
    if cut <= window.since:
        if window.until - cut <= smallest:
            return None
        cut += smallest
    return Window(window.since, cut), Window(cut, window.until)


def months(window: Window) -> Iterator[Window]:
    """Yield adjacent windows that cover `window` exactly, oldest first, split where a UTC month starts."""
    inside = (start for start in month_starts(window.since, window.until) if window.since < start < window.until)
    for since, until in pairwise((window.since, *inside, window.until)):
        yield Window(since, until)


def month_starts(since: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the first instant of each UTC month from `since` to `until`, both included, oldest first.

    Raises:
        ValueError: A bound has no time zone.
    """
    since, until = _utc(since), _utc(until)
    for month in range(since.year * 12 + since.month - 1, until.year * 12 + until.month):
        start = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
        if start >= since:
            yield start


def rfc3339(instant: datetime) -> str:
    """Return an aware instant as `2026-11-19T08:00:00.123Z`: UTC, always with milliseconds, finer digits cut off.

    Raises:
        ValueError: The instant has no time zone.
    """
    return _utc(instant).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _utc(instant: datetime) -> datetime:
    """Return an aware instant in UTC; ValueError for a naive one, which Python would take for local time."""
    if instant.tzinfo is UTC:
        return instant
    if instant.utcoffset() is None:
        raise ValueError(f"an instant without a time zone: {instant}")
    return instant.astimezone(UTC)


def _ago(length: re.Match[str], now: datetime, zone: tzinfo, option: str) -> datetime:
    """Return the instant that is a length such as `24h` or `3mo` before `now`; months are counted in `zone`."""
    text, unit = length[0], length[2]
    if unit == "M":
        raise _refusal(option, text, "can mean minutes or months", f"write {length[1]}m or {length[1]}mo")
    months = MONTHS.get(unit.lower())
    if months is not None and not length[1].isdecimal():
        raise _refusal(option, text, "is not a whole number of months or years", "write days instead, as in 45d")
    try:
        moment = now - duration(text) if months is None else _months_before(now, months * int(length[1]), zone)
    except (OverflowError, ValueError, UsageError):
        raise _refusal(option, text, "is too long ago") from None
    _check_year(moment, text, option)
    return moment


def _months_before(now: datetime, months: int, zone: tzinfo) -> datetime:
    """Return the same time of day on the same day of an earlier month, or on the last day of that month."""
    local = now.astimezone(zone)
    year, month = divmod(local.year * 12 + local.month - 1 - months, 12)
    day = min(local.day, monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day).astimezone(UTC)


def _named_day(word: str, now: datetime) -> datetime | None:
    """Return the naive midnight on which a day such as `today` or a period such as `last week` begins, else None.

    A weekday is the most recent one, today included; `last monday` is before today, `this monday` is in this week.
    """
    today = datetime(now.year, now.month, now.day)  # noqa: DTZ001  a calendar day
    if word in DAYS:
        return today + timedelta(days=DAYS[word])
    if word in WEEKDAYS:
        return today - timedelta(days=(now.weekday() - WEEKDAYS.index(word)) % 7)
    period = PERIOD.fullmatch(" ".join(word.split()))
    if not period:
        return None
    last, name = period[1] == "last", period[2]
    monday = today - timedelta(days=now.weekday())
    if name == "week":
        return monday - timedelta(weeks=last)
    if name == "month":
        return (today.replace(day=1) - timedelta(days=last)).replace(day=1)
    if name == "year":
        return today.replace(year=now.year - last, month=1, day=1)
    if name not in WEEKDAYS:
        return None
    day = monday + timedelta(days=WEEKDAYS.index(name))
    return day - timedelta(weeks=last and day >= today)


def _written_day(text: str) -> datetime | None:
    """Return the naive midnight of `2026`, `2026-11` or `2026-11-19`, else None; ValueError for no such day."""
    match = DAY.fullmatch(text)
    if not match:
        return None
    return datetime(int(match[1]), int(match[2] or 1), int(match[3] or 1))  # noqa: DTZ001  a calendar day


def _written_time(text: str) -> datetime | None:
    """Return an RFC 3339 time, naive without an offset, else None; ValueError when there is no such time."""
    match = TIME.fullmatch(text)
    if not match:
        return None
    day, time, offset = match[1], match[2], (match[3] or "").upper()
    # Some versions of Python read these as the next day, or as an hour more.
    if time.startswith("24") or (match[4] or "00") > "59":
        raise ValueError("hour must be in 0..23, and minute in 0..59")
    return datetime.fromisoformat(f"{day}T{time}{offset}")


def _read_freely(text: str, now: datetime, option: str) -> tuple[datetime, bool]:
    """Return a time that dateutil reads without guessing, and whether it is a day without a time of day."""
    pairs, short_year = _guesses(text, now, option)
    readings = {}
    whole_day = False
    for reading, other in pairs:
        if (reading and reading.date()) != (other and other.date()):
            raise _refusal(option, text, "does not say which day", "write it whole: 2026-11-19 or 2026-11-19T14:00")
        if reading and other:
            whole_day = reading.hour != other.hour
            readings[reading.date().isoformat() if whole_day else reading.isoformat()] = reading
    if not readings:
        raise _refusal(option, text, "cannot be read as a time")
    if len(readings) > 1 or short_year:
        raise _refusal(option, text, "can be read in more than one way", f"write {alternatives([*readings])}")
    [moment] = readings.values()
    if ZONE_AND_SIGN.search(text) or (OFFSET_AT_END.search(text) and not moment.tzinfo):
        raise _refusal(option, text, "has an offset that can be read in two ways", "write it as in 08:00+01:00")
    weekday = WEEKDAYS[moment.weekday()]
    if not all(weekday.startswith(named) for named in WEEKDAY.findall(text.lower())):
        raise _refusal(option, text, f"is a {weekday.title()}", "correct the day of the week, or leave it out")
    return moment, whole_day


def _guesses(text: str, now: datetime, option: str) -> tuple[list[tuple[datetime | None, datetime | None]], bool]:
    """Return dateutil's readings, a pair for each order of day and month, and whether the century is missing.

    dateutil guesses the order, the century and, from a default, every field that is missing. So it parses the text in
    each order and with two defaults that differ in every field: where the results differ, it guessed.
    """
    from dateutil.parser import parser, parserinfo

    short_years = []

    class Info(parserinfo):
        """dateutil's own hook into years: left alone, it asks the wall clock for the century."""

        def convertyear(self, year: int, century_specified: bool = False) -> int:  # noqa: FBT001, FBT002
            if century_specified:
                return year
            short_years.append(year)
            return now.year - now.year % 100 + year

    def offset(name: str | None, seconds: int | None) -> tzinfo | None:
        # Left alone, dateutil drops the names it does not know, and knows those of the machine it runs on.
        if name and name.upper() not in {"UTC", "GMT", "Z"}:
            why = f"has a zone, {name}, that is not the same everywhere"
            raise _refusal(option, text, why, "write an offset such as +01:00")
        return None if seconds is None else timezone(timedelta(seconds=seconds))

    def read(info: parserinfo, default: datetime) -> datetime | None:
        try:
            return parser(info).parse(text, default=default, tzinfos=offset)
        except (ValueError, ArithmeticError):  # not a time
            return None

    # With the full year first, as in ISO 8601, the month always comes before the day.
    day_first = (False,) if YEAR_FIRST.match(text) else (False, True)
    infos = [Info(*order) for order in product(day_first, (False, True))]
    defaults = datetime(2000, 1, 1), datetime(2001, 2, 15, 1)  # noqa: DTZ001  naive on purpose
    pairs = [(read(info, defaults[0]), read(info, defaults[1])) for info in infos]
    return pairs, bool(short_years)


def _day_start(midnight: datetime, zone: tzinfo) -> datetime:
    """Return the first UTC instant of the local day of `midnight`, which a clock change may skip or repeat."""
    start, other = (midnight.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if start <= other:
        return start
    # Skipped: the clocks went forward after `other` and no later than `start`. Find the second.

    def begun(second: int) -> bool:
        return (other + timedelta(seconds=second)).astimezone(zone).replace(tzinfo=None) >= midnight

    skipped = int((start - other).total_seconds())
    return other + timedelta(seconds=bisect_left(range(skipped), True, key=begun))


def _only_instant(local: datetime, zone: tzinfo, text: str, option: str) -> datetime:
    """Return the one UTC instant at which the clocks of `zone` show `local`.

    Raises:
        UsageError: A clock change skips or repeats that time.
    """
    instants = sorted({local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)})
    if len(instants) == 1:
        return instants[0]
    shown = [instant.astimezone(zone) for instant in instants]
    twice = shown[0].replace(tzinfo=None) == local
    why = "occurs twice: the clocks go back" if twice else "does not exist: the clocks go forward"
    hint = f"write {alternatives([instant.isoformat() for instant in shown])}"
    raise _refusal(option, text, f"{why}, in {zone}", hint)


def _check_year(moment: datetime, text: str, option: str) -> None:
    """Raise UsageError for a year that is a typo, before any arithmetic that it would overflow."""
    if moment.year not in YEARS:
        raise _refusal(option, text, f"is in the year {moment.year}", f"write a year from {YEARS[0]} to {YEARS[-1]}")


def _refusal(option: str, text: str, why: str, hint: str = FORMS) -> UsageError:
    """Return the error for a time that was typed, with the text cut to a readable length."""
    return UsageError(f"{option} {text[:LONGEST_TEXT]!r} {why}", hint=hint)
