"""Columns, and what a record is expected to look like."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cdrctl.placeholders import is_placeholder
from cdrctl.records.events import Value
from cdrctl.records.readers import read_boolean, read_decimal, read_integer, read_iso_time, read_list, read_text

Kind = Literal["text", "integer", "seconds", "decimal", "money", "boolean", "time", "list"]
NUMBERS = frozenset({"integer", "seconds", "decimal", "money"})
"""The kinds whose values are numbers, or strings of digits."""

EXTRA = "extra"


_READERS: dict[Kind, Callable[[Any], Value]] = {
    "text": read_text,
    "integer": read_integer,
    "seconds": read_integer,
    "decimal": read_decimal,
    "money": read_decimal,
    "boolean": read_boolean,
    "time": read_iso_time,
    "list": read_list,
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a call.

    Args:
        name: Our name, snake_case, stable for ever.
        key: The provider's key, matched whatever its letter case; a dot reaches into an object; a leading `@` takes
            the value from the page's context instead of the record. Two columns may read the same key.
        kind: What the value is: seconds are whole, times are UTC, money and decimals are strings of digits.
        meaning: One phrase for people.
        read: How the wire spells it, when that differs from the kind's usual reader.
        read_in: The same where the page's context is needed too, such as the zone of its times.
        null_words: The words by which the provider says "nothing" in this field, besides the empty string.
        values: All values that it can have beside null, where the list is closed.
    """

    name: str
    key: str
    kind: Kind = "text"
    meaning: str = ""
    read: Callable[[Any], Value] | None = None
    null_words: frozenset[str] = frozenset()
    read_in: Callable[[Any, Mapping[str, str]], Value] | None = None
    values: tuple[str, ...] = ()


def reader_of(column: Column) -> Callable[..., Value]:
    """Return the reader of a column, which takes the context too if the column has `read_in`.

    A time that stands for "no time" is read as None: it says that the event did not happen.
    """
    read: Callable[..., Value] = column.read_in or column.read or _READERS[column.kind]
    return functools.partial(_read_event, read) if column.kind == "time" else read


def _read_event(read: Callable[..., Value], raw: Any, *context: Mapping[str, str]) -> Value:
    if is_placeholder(raw):
        return None
    value = read(raw, *context)
    return None if is_placeholder(value) else value


def is_text(column: Column) -> bool:
    """Return whether a column gives text as it came."""
    return column.kind == "text" and column.read in {None, read_text} and column.read_in is None


def snake_case(key: str) -> str:
    """Return a provider's key as a column name: lower case, and one underscore for every run of anything else."""
    return re.sub(r"[^0-9a-z.]+", "_", key.lower()).strip("_") or key


# Raw records to rows

Warn = Callable[[str], None]
"""Told how records differ from what their columns say; it may raise, and then the page they are on is not written."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a call's records are expected to look like, apart from their columns: anything else is reported as a change.

    Args:
        open_objects: Objects with fields of the customer's choice, in lower case. None of their fields is unknown.
        required: The columns that are documented to have a value in every record.
    """

    open_objects: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()


NOTHING_EXPECTED = Expected()


_NOUNS: dict[Kind, str] = {
    "text": "text",
    "integer": "a whole number",
    "seconds": "a number of seconds",
    "decimal": "a number",
    "money": "an amount of money",
    "boolean": "true or false",
    "time": "a time",
    "list": "a list",
}


def misfit(value: Any, kind: Kind) -> str:
    """Return what kind of value came where another was expected; never its content, which is personal data."""
    came = "a number"
    if isinstance(value, str):
        came = "text"
    elif isinstance(value, bool):
        came = "true or false"
    elif isinstance(value, dict):
        came = "an object"
    elif isinstance(value, list):
        came = "a list"
    expected = _NOUNS[kind]
    return f"{came} came where {expected} is expected" if came != expected else f"{came} came that cannot be read"
