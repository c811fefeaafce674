"""The cron expressions of reports."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cdrctl.errors import UsageError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# The five fields: their name, least and greatest value, and the words for values (en.wikipedia.org, "Cron").
_CRON: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {word: number for number, word in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 7, {word: number for number, word in enumerate(_DAYS)}),
)
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def cron(text: str) -> str:
    """Return a cron expression with one blank between its five fields.

    Raises:
        UsageError: It is not a cron expression, or it names a day that never comes.
    """
    fields = text.split()
    if len(fields) != len(_CRON):
        raise UsageError(
            f"--cron {text!r} has {len(fields)} fields, not five",
            hint="minute, hour, day of the month, month, day of the week: '0 6 * * 1-5' is 6:00 on working days",
        )
    values = [_cron_values(text, written, *rule) for written, rule in zip(fields, _CRON, strict=True)]
    days, months = values[2], values[3]
    if fields[4] == "*" and not any(min(days) <= _LONGEST_MONTHS[month - 1] for month in months):
        raise UsageError(f"--cron {text!r} names a day that does not exist", hint="correct the day or the month")
    return " ".join(fields)


def _cron_values(text: str, written: str, name: str, least: int, greatest: int, words: Mapping[str, int]) -> set[int]:
    """Return the values that one field of a cron expression means."""
    wrong = UsageError(
        f"--cron {text!r}: {written!r} is not a {name}",
        hint=f"a {name} is {least} to {greatest}, *, a list such as 1,3, a range such as 1-3, or a step such as */2",
    )
    values: set[int] = set()
    for part in written.split(","):
        match = re.fullmatch(r"(?:(\*)|([0-9a-z]{1,3})(?:-([0-9a-z]{1,3}))?)(?:/([0-9]{1,2}))?", part.lower(), re.ASCII)
        if not match:
            raise wrong
        every, first, last, step = match.groups()
        try:
            begin = least if every else words.get(first, -1) if first.isalpha() else int(first)
            end = greatest if every or (step and not last) else begin
            if last:
                end = words.get(last, -1) if last.isalpha() else int(last)
                end = greatest if last == "sun" and "sun" in words else end  # a range may also end on Sunday
        except ValueError:
            raise wrong from None
        if not least <= begin <= end <= greatest or step in {"0", "00"}:
            raise wrong
        values.update(range(begin, end + 1, int(step or 1)))
    return values
