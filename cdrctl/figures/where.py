"""Conditions of `--where` on whole calls as SQL, which selects the same calls as `conditions.evaluation`."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation

from cdrctl.calls.columns import CALL
from cdrctl.conditions.evaluation import ValueReaders
from cdrctl.conditions.language import Comparison, Condition, Negated
from cdrctl.records.columns import Column
from cdrctl.writers.sql import quote

_COLUMNS = {column.name: column for column in CALL}
_LITERAL = re.compile(r"(\^?)((?:[\w @/:,-]|\\[^\w\s])+)")
"""A regular expression that is a text, or the begin of one: others mean something else to DuckDB."""

_LARGEST, _FINEST = 10**18, -18


class _NotInSqlError(Exception):
    """DuckDB cannot evaluate a condition exactly as Python does."""


def in_sql(condition: Condition, zone: tzinfo, now: datetime) -> str | None:
    """Return a condition on typed columns of whole calls in SQL, which is never null; None if it must be Python.

    Args:
        condition: The condition, on fields of calls and with values that fit them.
        zone: The zone of times without an offset.
        now: The present instant, for words such as `yesterday`.
    """
    try:
        return _sql(condition, ValueReaders(zone, now))
    except _NotInSqlError:
        return None


def _sql(condition: Condition, readers: ValueReaders) -> str:
    if isinstance(condition, Negated):
        return f"NOT ({_sql(condition.part, readers)})"
    if isinstance(condition, Comparison):
        return _comparison(condition, _COLUMNS[condition.field], readers)
    return "(" + (" AND " if condition.every else " OR ").join(_sql(part, readers) for part in condition.parts) + ")"


def _comparison(condition: Comparison, column: Column, readers: ValueReaders) -> str:
    sign, name = condition.sign, quote(column.name)
    if column.kind == "list":
        raise _NotInSqlError
    if sign == "true":
        return f"coalesce({name}, false)"
    if sign in {"~", "!~"}:
        found = f"coalesce({_search(condition, column)}, false)"
        return found if sign == "~" else f"NOT {found}"
    if sign in {"=", "!="}:
        values = [text for text in condition.values if text is not None]
        parts = [one for text in values if (one := _compare("=", text, column, readers))]
        if None in condition.values:
            parts.append(f"{name} IS NULL")
        equal = f"coalesce({' OR '.join(parts) or 'false'}, false)"
        return equal if sign == "=" else f"NOT {equal}"
    return f"coalesce({_compare(sign, str(condition.values[0]), column, readers) or 'false'}, false)"


def _search(condition: Comparison, column: Column) -> str:
    """Return the condition that a text has, or begins with, a literal text."""
    match = _LITERAL.fullmatch(condition.values[0] or "")
    if match is None or column.kind != "text":
        raise _NotInSqlError
    text = re.sub(r"\\(.)", r"\1", match[2])
    return f"{'starts_with' if match[1] else 'contains'}({quote(column.name)}, {literal(text)})"


def _compare(sign: str, text: str, column: Column, readers: ValueReaders) -> str:
    """Return the comparison of a column with one value; empty if it is never true."""
    name, kind = quote(column.name), str(column.kind)
    if kind == "text":
        if sign != "=" and _is_number(text):
            raise _NotInSqlError
        return f"{name} {sign} {literal(text)}"
    value = readers.read_typed(kind, text, column.name)
    if kind == "boolean":
        return f"{name} = {'true' if value else 'false'}"
    if kind == "time":
        return f"{name} {sign} TIMESTAMPTZ '{value.isoformat()}'"
    if abs(value) > _LARGEST or value.as_tuple().exponent < _FINEST:
        raise _NotInSqlError
    if kind in {"money", "decimal"}:
        return f"{name} {sign} CAST('{value:f}' AS DECIMAL(38,18))"
    if sign == "=" and value != value.to_integral_value():
        return ""
    whole = value.to_integral_value(ROUND_CEILING if sign in {"<", ">="} else ROUND_FLOOR)
    return f"{name} {sign} {whole:f}"


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def literal(value: str) -> str:
    """Return a text as SQL writes it."""
    escaped = value.replace("'", "''")
    return f"'{escaped}'"
