"""Strictly typed columns: what Parquet and the databases share.

A value that does not fit its column's type is not lost: it goes to `extra`, as JSON under the column's name, and the
column has null. So these formats have a column `extra` in every schema.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from cdrctl.errors import UsageError
from cdrctl.records.batches import RowBatch
from cdrctl.records.columns import EXTRA, misfit
from cdrctl.records.readers import canonical_instants
from cdrctl.records.schemas import EXTRA_COLUMN
from cdrctl.writers.values import columns_of, json_text_of, text_of, utf8

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cdrctl.records.columns import Column, Kind
    from cdrctl.records.events import Row, Value
    from cdrctl.records.schemas import Schema

    Cells = list[Sequence[Value]]

DIGITS = 38
PLACES = 18
"""Decimals have up to 20 digits before the point and 18 after it: as many as fit in 128 bits."""

_INTEGERS = range(-(2**63), 2**63)
_PLAIN = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,18})?").fullmatch
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)").fullmatch
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?!24)[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z").fullmatch
_LEAST = Decimal(1).scaleb(-PLACES)
_WIDE = Context(prec=DIGITS)


def typed_columns(schema: Schema) -> tuple[Column, ...]:
    """Return the schema's columns, and `extra` if it is not among them.

    Raises:
        UsageError: The schema has no columns, or one of them twice.
    """
    columns = columns_of(schema)
    seen: set[str] = set()
    for column in columns:
        if column.name.casefold() in seen:
            raise UsageError(f"field {column.name} occurs twice", hint="name it once in --fields, or use -f csv")
        seen.add(column.name.casefold())
    return columns if EXTRA in seen else (*columns, EXTRA_COLUMN)


def fitter(schema: Schema, warn: Callable[[str], None]) -> Callable[[Sequence[Any]], Cells]:
    """Return a function that converts a page to columns of strictly typed values.

    Text is valid UTF-8, lists and `extra` are JSON text, integers have 64 bits, decimals are strings of digits, times
    are strings such as `2026-11-19T08:00:00.123Z`. Values that do not fit go to `extra`, with one warning per column.

    Raises:
        UsageError: The schema has no columns, or one of them twice.
    """
    columns = typed_columns(schema)
    given = len(columns_of(schema))
    where = next(at for at, column in enumerate(columns) if column.name == EXTRA)
    warned: set[int] = set()

    def fit(page: Sequence[Row]) -> Cells:
        came: Cells = page.values() if isinstance(page, RowBatch) else list(zip(*page, strict=True))
        found: Cells = []
        odd: dict[int, dict[str, Value]] = {}
        for at, column in enumerate(columns[:given]):
            if at == where:
                found.append(came[at])
                continue
            values, misfits = _fit_values(column.kind, came[at])
            found.append(values)
            for row in misfits:
                odd.setdefault(row, {})[column.name] = came[at][row]
            if misfits and at not in warned:
                warned.add(at)
                what = misfit(came[at][misfits[0]], column.kind)
                warn(f"column {column.name}: {what}; such values are in {EXTRA}, as JSON")
        if given < len(columns):
            found.append([None] * len(page))
        found[where] = _extras(found[where], odd)
        return found

    return fit


def _extras(came: Sequence[Value], odd: Mapping[int, dict[str, Value]]) -> Sequence[Value]:
    """Return the unknown fields and the values that do not fit, as JSON text, or None, for each row."""
    if not odd and not any(came):
        return [None] * len(came)
    both = [{**(one or {}), **odd[at]} if at in odd else one for at, one in enumerate(came)]
    return [json_text_of(one) if one else None for one in both]


def _fit_values(kind: Kind, values: Sequence[Value]) -> tuple[Sequence[Value], list[int]]:
    """Return the values of a column with None in place of those that do not fit, and the positions of these."""
    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return values, []
    if kind == "text":
        return (
            _texts(values) if kinds == {str} else [None if v is None else _utf8_text(text_of(v)) for v in values]
        ), []
    if kind == "list":
        return [None if value is None else json_text_of(value) for value in values], []
    if len(kinds) == 1 and _all_fit(kind, kinds.pop(), values):
        return values, []
    fits = _FITS[kind]
    found: list[Value] = []
    misfits: list[int] = []
    for at, value in enumerate(values):
        try:
            found.append(None if value is None else fits(value))
        except (ValueError, ArithmeticError):
            found.append(None)
            misfits.append(at)
    return found, misfits


def _all_fit(kind: Kind, type_: type, values: Sequence[Any]) -> bool:
    """Return whether values of one type, and None, are known to fit a column as they are, without a look at each."""
    there = [value for value in values if value is not None] if None in values else values
    match kind:
        case "boolean":
            return type_ is bool
        case "integer" | "seconds":
            return type_ is int and min(there) in _INTEGERS and max(there) in _INTEGERS
        case "decimal" | "money":
            return type_ is str and all(map(_PLAIN, there))
        case "time":
            return type_ is str and all(there) and canonical_instants(there) is there
        case _:
            return False


def _texts(values: Sequence[str | None]) -> Sequence[str | None]:
    """Return texts as valid UTF-8: nearly always the same ones."""
    try:
        "".join([value for value in values if value]).encode()
    except UnicodeEncodeError:
        return [value and _utf8_text(value) for value in values]
    return values


def _utf8_text(text: str) -> str:
    return utf8(text).decode()


def _integer(value: Value) -> int:
    if type(value) is not int or value not in _INTEGERS:
        raise ValueError
    return value


def _boolean(value: Value) -> bool:
    if type(value) is not bool:
        raise ValueError
    return value


def _decimal(value: Value) -> str:
    """Return a decimal as it came if it fits, or in plain notation."""
    if not isinstance(value, str):
        raise ValueError
    if _PLAIN(value):
        return value
    if not _DECIMAL(value):
        raise ValueError
    number = Decimal(value)
    whole = number.quantize(_LEAST, context=_WIDE)  # InvalidOperation if it has too many digits
    if whole != number:
        raise ValueError
    return format(whole, "f")


def _time(value: Value) -> str:
    if not isinstance(value, str) or not _TIME(value):
        raise ValueError
    datetime.fromisoformat(value)  # check that it is a time
    return value


_FITS: Mapping[Kind, Callable[[Value], Value]] = {
    "integer": _integer,
    "seconds": _integer,
    "decimal": _decimal,
    "money": _decimal,
    "boolean": _boolean,
    "time": _time,
}
