"""The figures: their names, units, definitions, sources and statements, read from `figures/sql/NAME.sql`.

A statement reads the table `calls`. It runs as it stands; `/*by*/` and `/*group*/` mark where the columns go by which
its rows are grouped, `/*partition*/` where a window function is divided by them. A statement after `-- by time` is for
groups by time; there, `/*times*/`, `/*group times*/` and `/*same times*/` stand for the keys that are times.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Literal, cast

from msgspec import Struct

from cdrctl.errors import UsageError, did_you_mean

Unit = Literal["count", "ratio", "seconds", "erlang", "money"]

NAMES = (
    *("calls", "answered", "asr", "ner", "answer_rate", "acd", "talk", "hold"),
    *("abandonment", "service_level", "service_level_without_quick", "service_level_with_quick", "asa"),
    *("short", "transferred", "missed", "not_called_back", "retries", "repeat_callers", "traffic", "peak", "cost"),
)
"""The figures, in the order in which they are shown."""

PLACES = {"ratio": 4, "seconds": 1, "erlang": 3}
"""Digits after the point of a quotient, by unit; halves are rounded to the even digit."""

REFUSED = {
    "occupancy": "it needs log-in times of agents, which are in no CDR",
    "fcr": "whether a request was resolved is in no CDR; repeat_callers counts who calls again within 24 hours",
    "aht": "it needs after-call time, which these records do not have; acd and hold tell their parts",
    "pdd": "the delay until the far end rings is in no record of these providers",
    "ser": "it needs the SIP responses of all attempts, which listings do not have",
    "seer": "it needs the SIP responses of all attempts, which listings do not have",
}
"""Figures that people ask for and that records cannot give, with the reason."""


class Figure(Struct, frozen=True):
    """A figure.

    Args:
        name: Its name.
        title: Its title, for people.
        unit: The unit of its value.
        needs: The column of a call without which a provider cannot give it; empty if all can.
        by: Which groups it can have: `yes`, or `no-time` if a call may be part of several times.
        definition: What it is, in a sentence.
        source: Whose definition that is.
        sql: Its statement.
        sql_by_time: Its statement where calls are grouped by time, if that is another one: a call may be in progress in
            several times.
    """

    name: str
    title: str
    unit: Unit
    needs: str
    by: str
    definition: str
    source: str
    sql: str
    sql_by_time: str = ""


OF_EVERY_CALL = frozenset({"end_time", "reached"})
"""What a figure needs of every call: that some calls have it is not enough. `reached` is no column of a call."""


SOME_WITHOUT: Mapping[str, tuple[str, str]] = {
    "queue_wait_seconds": ("queue IS NOT NULL AND ", "of queues or groups whose waiting time is unknown are left out"),
    "cost": ("", "without a cost are not in it"),
}
"""By what a figure needs: the condition, in SQL, on the calls that must have it, and what is said of those without."""


def untold(one: Figure, lacks: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the providers whose records cannot give a figure, each with the reason.

    Args:
        one: The figure.
        lacks: By provider, the columns of a call that its records do not tell, each with the reason.
    """
    return {name: told[one.needs] for name, told in lacks.items() if one.needs in told}


@functools.cache
def figure(name: str) -> Figure:
    """Return a figure.

    Raises:
        UsageError: There is none of this name.
    """
    if name in REFUSED:
        raise UsageError(
            f"{name} cannot be given: {REFUSED[name]}", hint="cdrctl stats --explain all lists the figures"
        )
    if name not in NAMES:
        hint = f"{did_you_mean(name, NAMES)}the figures are: {', '.join(NAMES)}"
        raise UsageError(f"there is no figure {name!r}", hint=hint)
    text = files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    told = dict(re.findall(r"^-- (\w+): (.*)$", text, re.MULTILINE))
    sql, _, by_time = text.partition("-- by time\n")
    sql = "\n".join(line for line in sql.splitlines() if not line.startswith("-- "))
    needs = told["needs"].replace("-", "", 1) if told["needs"] == "-" else told["needs"]
    unit = cast("Unit", told["unit"])
    return Figure(name, told["title"], unit, needs, told["by"], told["definition"], told["source"], sql, by_time)


def explain(one: Figure, parameters: dict[str, object]) -> str:
    """Return a figure's definition, its source, and a statement that runs in `cdrctl sql`."""
    statement = one.sql.replace("/*group currency*/", "GROUP BY currency")
    statement = re.sub(r" */\*[a-z ]+\*/ *", " ", statement).strip()
    for name, value in parameters.items():
        shown = f"'{value}'" if isinstance(value, str) else str(value)
        statement = re.sub(rf"\${name}\b", shown, statement)
    named = {"$hours": "the hours of the window", "$until": "the end of the window"}
    notes = [f"Write {what} for {name}." for name, what in named.items() if name in statement]
    lines = [f"{one.name}: {one.title} ({one.unit})", "", one.definition, f"Source: {one.source}.", *notes]
    lines += ["", statement, ""]
    return "\n".join(lines)
