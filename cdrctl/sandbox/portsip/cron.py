"""Cron expressions: minute, hour, day, month, weekday."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from cdrctl.sandbox.portsip.requests import RefusedError

_PARTS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SHORTHANDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@dataclass(frozen=True, slots=True)
class Cron:
    """A crontab expression; instants are UTC."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def due(self, at: datetime) -> bool:
        """Return whether it runs in that minute; where day and weekday are both restricted, one of them is enough."""
        if at.minute not in self.minutes or at.hour not in self.hours or at.month not in self.months:
            return False
        day, weekday = at.day in self.days, at.isoweekday() % 7 in self.weekdays
        return day or weekday if self.either_day else day and weekday


def parse_cron(text: str) -> Cron:
    """Return a crontab expression of five parts, or of a word such as `@daily`; raise `RefusedError` for others."""
    parts = _SHORTHANDS.get(text.strip(), text).split()
    if len(parts) != len(_PARTS):
        raise RefusedError("cron_expr")
    minutes, hours, days, months, weekdays = (_read_part(part, n) for n, part in enumerate(parts))
    either = not parts[2].startswith("*") and not parts[4].startswith("*")
    return Cron(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either)


def _read_part(text: str, place: int) -> frozenset[int]:
    low, high = _PARTS[place]
    names: tuple[str, ...] = {3: _MONTHS, 4: _WEEKDAYS}.get(place, ())
    found: set[int] = set()
    for one in text.lower().split(","):
        read = re.fullmatch(r"(\*|[a-z0-9]+)(?:-([a-z0-9]+))?(?:/([1-9]\d{0,2}))?", one, re.ASCII)
        if read is None or (read[1] == "*" and read[2]):
            raise RefusedError("cron_expr")
        step = int(read[3] or 1)
        if read[1] == "*":
            first, last = low, high
        else:
            first = _read_value(read[1], names, low)
            last = _read_value(read[2], names, low) if read[2] else (high if read[3] else first)
        if not low <= first <= last <= high:
            raise RefusedError("cron_expr")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _read_value(text: str, names: tuple[str, ...], low: int) -> int:
    if text in names:
        return names.index(text) + low
    if not text.isdigit():
        raise RefusedError("cron_expr")
    return int(text)
