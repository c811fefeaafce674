"""Times that mean "no time": zero, year 1, 1970, year 9999.

Databases and languages use such a value for an event that did not happen: Unix time 0, .NET's `DateTime.MinValue` (year
1), SQL Server's 1900, MySQL's `0000-00-00`, Excel's 1899, and year 9999 for "never". PortSIP's webhooks send "0" for a
call that was not answered (REST guide, "Push CDR").
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

FIRST_YEAR = 2000
"""The first year in which a call can have started."""

LAST_YEAR = 9998


def is_placeholder(time: Any) -> bool:
    """Return whether a time means that the event did not happen.

    Args:
        time: An instant, text that begins with the year (such as ISO 8601), or a number of seconds, also as text; of
            the numbers only zero is a placeholder.
    """
    if isinstance(time, datetime):
        return not FIRST_YEAR <= time.year <= LAST_YEAR
    if isinstance(time, str):
        text = time.strip()
        if text.strip("0.") == "":
            return text != ""
        year = text[:4]
        return text[4:5] in {"-", "/"} and year.isdecimal() and not FIRST_YEAR <= int(year) <= LAST_YEAR
    return isinstance(time, int | float) and not isinstance(time, bool) and time == 0
