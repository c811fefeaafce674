# ruff: noqa: S608 - all parts of the statements are constants of this program
"""The figures in SQL: a view and two table macros for each, made of the statements in `figures/sql`.

    FROM asr                                            the figure over all calls of the archive
    FROM asr(since := '2026-10-01', until := '2026-11-01')
    FROM asr_by('queue', threshold := 30)               one row for each queue
    FROM figures                                        all figures

The view of calls has the name `calls`, so the figure of that name has macros only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from cdrctl.fetchers import PROVIDERS, default_joins
from cdrctl.figures.definitions import NAMES, OF_EVERY_CALL, PLACES, SOME_WITHOUT, Figure, figure, untold
from cdrctl.figures.groups import KEYS, Key, cannot, columns_of, statement
from cdrctl.records.columns import Column
from cdrctl.writers.duckdb import TYPES

ALL = "figures"
COLUMNS = (
    Column("figure", "", "text", "name of the figure"),
    Column("value", "", "decimal", "its value; null if it cannot be given"),
    Column("unit", "", "text", "count, ratio, seconds, erlang, or the currency of a cost"),
    Column("numerator", "", "decimal", "what was counted or summed"),
    Column("denominator", "", "decimal", "of what; null if the figure is no quotient"),
    Column("why", "", "text", "why there is no value, or what it leaves out or counts wrongly"),
)
_NUMBER = TYPES["decimal"]
_WINDOW = {"since": "NULL", "until": "NULL"}
_LIMITS = {"threshold": "20", "short_abandon": "5"}


def may_name_figures(text: str) -> bool:
    """Return whether a statement may read a figure, or list what there is."""
    words = frozenset(re.findall(r"[a-z_]+", text.casefold()))
    names = {ALL, *NAMES, *(f"{name}_by" for name in NAMES), "show", "summarize"}
    return not words.isdisjoint(names) or any("duckdb_" in one or "schema" in one for one in words)


def create_statements(calls: str) -> Iterator[str]:
    """Yield the statements that create the views and macros of all figures.

    Args:
        calls: The full name of the view of calls.
    """
    given = ", ".join(f"{name} := {value}" for name, value in {**_WINDOW, **_LIMITS}.items())
    for name in NAMES:
        one = figure(name)
        yield f"CREATE MACRO {name}({given}) AS TABLE {_once(calls, [one], (), _query(one, ()))}"
        yield f"CREATE MACRO {name}_by(key, {given}) AS TABLE {_once(calls, [one], KEYS.values(), _grouped(one))}"
        if name != "calls":
            yield f"CREATE VIEW {name} AS FROM {name}()"
    every = [figure(name) for name in NAMES]
    whole = _union(_query(one, ()) for one in every)
    yield f"CREATE MACRO {ALL}({given}) AS TABLE {_once(calls, every, (), whole)}"
    yield f"CREATE VIEW {ALL} AS FROM {ALL}()"


def _once(calls: str, figures: Sequence[Figure], keys: Iterable[Key], query: str) -> str:
    """Return a query that reads the calls of a window once, however often it uses them.

    Args:
        calls: The full name of the view of calls.
        figures: The figures that are computed from them.
        keys: The keys by which they are grouped.
        query: The query, of `all_calls`.
    """
    columns = ", ".join(dict.fromkeys(["provider", "start_time", *columns_of(figures, keys)]))
    return (
        f"WITH all_calls AS MATERIALIZED (SELECT {columns} FROM {calls} "
        "WHERE (since IS NULL OR start_time >= since::TIMESTAMPTZ) "
        f"AND (until IS NULL OR start_time < until::TIMESTAMPTZ)) FROM ({query})"
    )


def _union(queries: Iterator[str]) -> str:
    return " UNION ALL ".join(f"({one})" for one in queries)


def _grouped(one: Figure) -> str:
    """Return the query of a figure by a key that is named when it runs."""
    able = [key for key in KEYS.values() if not cannot(one, [key])]
    queries = []
    for some in ([key for key in able if key.time], [key for key in able if not key.time]):
        if some:
            names = ", ".join(f"'{key.name}'" for key in some)
            queries.append(f"SELECT * FROM ({_query(one, (_chosen(some),))}) WHERE key IN ({names})")
    known = ", ".join(key.name for key in able)
    refused = f"error('{one.name} cannot be grouped by ' || coalesce(key, 'null') || '; its keys are: {known}')"
    names = ", ".join(f"'{key.name}'" for key in able)
    null = f"NULL::{_NUMBER}"
    other = f"SELECT {refused}, NULL, {null}, NULL, {null}, {null}, NULL WHERE coalesce(key, '') NOT IN ({names})"
    return _union(iter([*queries, other]))


def _chosen(keys: Sequence[Key]) -> Key:
    """Return a key that is the one of these whose name the parameter `key` has."""

    def case(values: Sequence[str]) -> str:
        whens = " ".join(f"WHEN '{key.name}' THEN ({sql})::VARCHAR" for key, sql in zip(keys, values, strict=True))
        return f"CASE key {whens} END"

    orders = [key.sql if key.order == key.name else key.order for key in keys]
    return Key("key", case([key.sql for key in keys]), case(orders), keys[0].time)


def _query(one: Figure, keys: Sequence[Key]) -> str:
    """Return the query of a figure: its own statement over those of `all_calls` that can give it."""
    without, text = untold(one, {name: default_joins(name).lacks for name in PROVIDERS}), statement(one, keys)
    names = ", ".join(f"'{name}'" for name in without)
    can = "WHERE provider NOT IN (SELECT provider FROM told WHERE lacks)" if without else ""
    # Some calls may tell what others do not, for the user may have named the queues.
    never = "" if one.needs in OF_EVERY_CALL else f" AND count({one.needs}) = 0"
    lacks = f"provider IN ({names}){never}" if without else "false"
    common = (
        f"told AS (SELECT provider, {lacks} AS lacks FROM all_calls GROUP BY provider), "
        f"calls AS (SELECT * FROM all_calls {can}), figure AS ({_with_parameters(text)})"
    )
    found = _found(one, without, "k0 AS key, " if keys else "", needs_window="$hours" in text or "$until" in text)
    if not without:
        return f"WITH {common} {found}"
    null, key = f"NULL::{_NUMBER}", "NULL AS key, " if keys else ""
    none = "SELECT count(*) > 0 AND bool_and(lacks) FROM told"
    reasons = (
        f"SELECT '{one.name}' AS figure, {key}{null} AS value, '{one.unit}' AS unit, {null} AS numerator, "
        f"{null} AS denominator, (SELECT string_agg(DISTINCT {_reason(without)}, '; ') FROM told) AS why"
    )
    return (
        f"WITH {common} SELECT * FROM ({found}) WHERE NOT ({none}) UNION ALL SELECT * FROM ({reasons}) WHERE ({none})"
    )


def _found(one: Figure, lacking_of: dict[str, str], key: str, *, needs_window: bool) -> str:
    """Return the query of the value of a figure, from its numerator and its denominator."""
    missing = "since IS NULL OR until IS NULL" if needs_window else "false"
    value = f"CASE WHEN {missing} THEN NULL ELSE {_value(one)} END"
    unit = "coalesce(unit, 'no currency')" if one.unit == "money" else f"'{one.unit}'"
    numerator = "coalesce(numerator, 0)" if one.unit == "count" else "numerator"
    lacking = "NULL" if one.unit in {"count", "money"} else "'there are no such calls'"
    why = (
        f"CASE WHEN {missing} THEN 'it needs a window: give since and until' ELSE nullif(concat_ws('; ', "
        f"CASE WHEN {value} IS NULL THEN {lacking} END, {_doubts(one)}, {_without(lacking_of)}, {_left_out(one)}), "
        "'') END"
    )
    return (
        f"SELECT '{one.name}' AS figure, {key}({value})::{_NUMBER} AS value, {unit} AS unit, "
        f"CASE WHEN {missing} THEN NULL ELSE {numerator} END::{_NUMBER} AS numerator, "
        f"CASE WHEN {missing} THEN NULL ELSE denominator END::{_NUMBER} AS denominator, {why} AS why FROM figure"
    )


def _value(one: Figure) -> str:
    if one.unit == "count":
        return "coalesce(numerator, 0)"
    if one.unit == "money":
        return "numerator"
    quotient = f"round_even(numerator::DOUBLE / nullif(denominator, 0)::DOUBLE, {PLACES[one.unit]})"
    return f"CASE WHEN denominator IS NULL THEN numerator ELSE {quotient} END" if one.unit == "seconds" else quotient


def _reason(lacking_of: dict[str, str]) -> str:
    whens = " ".join(f"WHEN '{name}' THEN '{why.replace(chr(39), chr(39) * 2)}'" for name, why in lacking_of.items())
    return f"CASE provider {whens} END"


def _without(lacking_of: dict[str, str]) -> str:
    """Return the expression of which providers a figure leaves out; null if it leaves out none."""
    if not lacking_of:
        return "NULL"
    return (
        f"(SELECT 'leaves out ' || string_agg(provider, ', ' ORDER BY provider) || ': ' || "
        f"string_agg(DISTINCT {_reason(lacking_of)}, '; ') FROM told WHERE lacks)"
    )


def _doubts(one: Figure) -> str:
    """Return the expression of what a figure counts wrongly, by provider; null if there is nothing."""
    doubts = {name: default_joins(name).doubts.get(one.name) for name in PROVIDERS}
    named = {name: f"{name}: {doubt}" for name, doubt in doubts.items() if doubt}
    if not named:
        return "NULL"
    return f"(SELECT string_agg({_reason(named)}, '; ' ORDER BY provider) FROM told)"


def _left_out(one: Figure) -> str:
    """Return the expression of how many calls a figure leaves out, and why; null if there are none."""
    if one.needs not in SOME_WITHOUT:
        return "NULL"
    of, what = SOME_WITHOUT[one.needs]
    return (
        f"(SELECT CASE WHEN count(*) > 0 THEN count(*) || ' calls {what}' END FROM calls WHERE {of}{one.needs} IS NULL)"
    )


def _with_parameters(text: str) -> str:
    """Return a statement with the parameters of a macro in place of those of DuckDB."""
    hours = "round((epoch(until::TIMESTAMPTZ) - epoch(since::TIMESTAMPTZ)) / 3600.0, 2)"
    text = re.sub(r"\$hours\b", hours, text)
    text = re.sub(r"\$(threshold|short_abandon)\b", r"\1", text)
    return re.sub(r"\$(since|until)(::TIMESTAMPTZ)?", r"(\1)\2", text)
