"""What figures can be grouped by: each key is an SQL expression of a call's columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from cdrctl.calls.columns import CALL
from cdrctl.errors import UsageError, did_you_mean
from cdrctl.figures.definitions import Figure


class Key(Struct, frozen=True):
    """A key by which calls are grouped.

    Args:
        name: Its name.
        sql: Its expression.
        order: The expression that orders its values.
        time: Whether it is a part of time.
    """

    name: str
    sql: str
    order: str
    time: bool = False


def _time(name: str, form: str, order: str = "") -> Key:
    sql = f"strftime(start_time, '{form}')"
    return Key(name, sql, order or sql, time=True)


_KEYS = (
    _time("hour", "%H"),
    Key("day", "start_time::DATE", "day", time=True),  # takes half the time of strftime
    _time("weekday", "%a", "isodow(start_time)"),
    _time("week", "%G-W%V"),
    _time("month", "%Y-%m"),
    *(Key(name, name, name) for name in ("queue", "trunk", "user", "site", "direction", "outcome", "from_number")),
    Key("to_prefix", "regexp_extract(to_number, '^[+]?[0-9]{1,4}')", "to_prefix"),
    *(Key(name, name, name) for name in ("provider", "profile")),
)
KEYS = {key.name: key for key in _KEYS}


def read_keys(text: str | None) -> tuple[Key, ...]:
    """Return the keys that --by names.

    Raises:
        UsageError: It names none, one twice, or one that does not exist.
    """
    if text is None:
        return ()
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("--by names no key", hint=f"write it as --by day,queue; the keys are: {', '.join(KEYS)}")
    for name in names:
        if name not in KEYS:
            raise UsageError(
                f"calls cannot be grouped by {name!r}",
                hint=f"{did_you_mean(name, KEYS)}the keys are: {', '.join(KEYS)}",
            )
        if names.count(name) > 1:
            raise UsageError(f"--by names {name} more than once", hint="name each key once")
    return tuple(KEYS[name] for name in names)


def statement(one: Figure, keys: Sequence[Key]) -> str:
    """Return the statement of a figure, with a row for each group."""
    chosen = "".join(f'{key.sql} AS "k{at}", min({_ordered(key)}) AS "o{at}", ' for at, key in enumerate(keys))
    names = [f'"k{at}"' for at in range(len(keys))]
    currency = ["currency"] if "/*group currency*/" in one.sql else []
    by = [*names, *currency]
    group = f"GROUP BY {', '.join(by)}" if by else ""
    order = (
        f" ORDER BY {', '.join([*(f'{chr(34)}o{at}{chr(34)}' for at in range(len(keys))), *currency])}" if by else ""
    )
    partition = f"PARTITION BY {', '.join(key.sql for key in keys)}" if keys else ""
    times = [key for key in keys if key.time]
    text = one.sql_by_time if one.sql_by_time and times else one.sql
    text = text.replace("/*by*/", chosen).replace("/*partition*/", partition)
    text = text.replace("/*times*/", "".join(f'{key.sql} AS "t{at}", ' for at, key in enumerate(times)))
    text = text.replace("/*group times*/", f"GROUP BY {', '.join(key.sql for key in times)}" if times else "")
    text = text.replace(
        "/*same times*/",
        " AND ".join(
            f'{key.sql.replace("start_time", "shares.start_time")} = hours."t{at}"' for at, key in enumerate(times)
        ),
    )
    return text.replace("/*group currency*/", group + order).replace("/*group*/", group + order)


def _ordered(key: Key) -> str:
    return key.sql if key.order == key.name else key.order


def cannot(one: Figure, keys: Sequence[Key]) -> str:
    """Return why a figure cannot be grouped by these keys; empty if it can."""
    if one.by == "no-time" and any(key.time for key in keys):
        return "a call may be in progress in several of these times; ask for the whole window, or for one of them"
    return ""


def columns_of(figures: Iterable[Figure], keys: Iterable[Key]) -> list[str]:
    """Return the names of the columns that figures and keys read."""
    statements = (text for one in figures for text in (one.sql, one.sql_by_time, one.needs))
    text = " ".join(["provider", *statements, *(key.sql for key in keys)])
    words = frozenset(re.findall(r"\w+", text))
    return [one.name for one in CALL if one.name in words]
