"""Columns of a call, and the expected contents of its records."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from cdrctl.placeholders import is_placeholder
from cdrctl.records.events import Value
from cdrctl.records.readers import read_boolean, read_decimal, read_integer, read_iso_time, read_list, read_text

Kind = Literal["text", "integer", "seconds", "decimal", "money", "boolean", "time", "list"]
NUMBERS = frozenset({"integer", "seconds", "decimal", "money"})
"""The kinds whose values are numbers, or strings of digits."""

READ_AS_TEXT = frozenset({"text", "time", "decimal", "money"})
"""The kinds whose values are text."""

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


class Column(Struct, frozen=True):
    """One column of a call.

    Args:
        name: The column's name in snake_case; it never changes.
        key: The provider's key, in any letter case; a dot reaches into an object; a leading `@` takes the value from
            the page's context instead of the record. Two columns may have the same key.
        kind: The type of the value: seconds are integers, times are UTC, money and decimals are strings of digits.
        meaning: A phrase that describes the column.
        read: Parses the raw value, if the default parser of the kind does not.
        read_in: The same with the page's context as second argument, for example for the zone of its times.
        null_words: Strings that the provider sends instead of null in this field, besides the empty string.
        values: All possible values apart from null, if the list is closed.
        read_texts: Parses the texts of many records at once as `read` or `read_in` would, with the page's context;
            an empty text, which stands for null, stays empty. It returns None where texts must be read one by one.
        keeps_typed: `read` returns values that have the type of the kind as they are.
    """

    name: str
    key: str
    kind: Kind = "text"
    meaning: str = ""
    read: Callable[[Any], Value] | None = None
    null_words: frozenset[str] = frozenset()
    read_in: Callable[[Any, Mapping[str, str]], Value] | None = None
    values: tuple[str, ...] = ()
    read_texts: Callable[[Sequence[str], Mapping[str, str]], Sequence[Value] | None] | None = None
    keeps_typed: bool = False


def reader_of(column: Column) -> Callable[..., Value]:
    """Return the parser of a column, which takes the page's context too if the column has `read_in`.

    A placeholder for "no time" becomes None: the event did not happen.
    """
    read: Callable[..., Value] = column.read_in or column.read or _READERS[column.kind]
    return functools.partial(_read_event, read) if column.kind == "time" else read


def _read_event(read: Callable[..., Value], raw: Any, *context: Mapping[str, str]) -> Value:
    """Return a parsed time, or None for a placeholder."""
    if is_placeholder(raw):
        return None
    value = read(raw, *context)
    return None if is_placeholder(value) else value


def is_text(column: Column) -> bool:
    """Return whether a column holds unparsed text."""
    return column.kind == "text" and column.read in {None, read_text} and column.read_in is None


def keys_of(columns: Iterable[Column]) -> tuple[str, ...]:
    """Return the provider's keys of columns that take a whole field of the record, each once, in order."""
    return tuple(dict.fromkeys(one.key for one in columns if not one.key.startswith("@") and "." not in one.key))


def snake_case(key: str) -> str:
    """Return a provider's key as a column name: lower case, with one underscore for every run of other characters."""
    return re.sub(r"[^0-9a-z.]+", "_", key.lower()).strip("_") or key


# Raw records to rows

Warn = Callable[[str], None]
"""Called with a message when records differ from their columns; if it raises, their page is not written."""


class Expected(Struct, frozen=True):
    """The expected contents of a call's records, apart from their columns; deviations are reported as drift.

    Args:
        open_objects: Objects whose fields the customer chooses, in lower case; none of these fields is unknown.
        required: Columns that have a value in every record, according to the provider's documentation.
    """

    open_objects: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()


NOTHING_EXPECTED = Expected()


_NOUNS: dict[Kind, str] = {
    "text": "text",
    "integer": "a whole number",
    "seconds": "a whole number of seconds",
    "decimal": "a number",
    "money": "an amount of money",
    "boolean": "true or false",
    "time": "a time",
    "list": "a list",
}


def misfit(value: Any, kind: Kind) -> str:
    """Return the type of a value and the type that was expected; never the value, which is personal data."""
    came = "a fraction" if isinstance(value, float) else "a number"
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
