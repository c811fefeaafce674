"""Values as text and JSON, and records as objects: what the writers share."""

from __future__ import annotations

import functools
import json
import math
import re
from typing import TYPE_CHECKING, Any

import msgspec

from cdrctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cdrctl.records.columns import Column
    from cdrctl.records.events import Record
    from cdrctl.records.schemas import Schema

_EXPONENT = re.compile("[0-9]e").search
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def columns_of(schema: Schema) -> tuple[Column, ...]:
    """Return a schema's columns.

    Raises:
        UsageError: It has none: raw records cannot be written in columns.
    """
    if schema.columns is None:
        raise UsageError("raw records have no columns", hint="write them with -f jsonl or -f json")
    return schema.columns


def text_of(value: Any) -> str:
    """Return a value as text: empty for null, `true`, `false`, numbers plain, the rest as compact JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return json_text_of(value)


def json_text_of(value: Any) -> str:
    """Return the text of `json_of` for a list or an object within a record; most do not need pydantic's encoder."""
    try:
        text = msgspec.json.encode(value).decode()
    except (ValueError, TypeError, OverflowError, RecursionError):  # such as a lone surrogate
        return json_of(value).decode()
    if "null" in text or _EXPONENT(text):  # NaN may be null, and exponents are spelt otherwise
        return json_of(value).decode()
    return text


def utf8(text: str) -> bytes:
    """Return text in UTF-8, with U+FFFD for lone surrogates, which UTF-8 cannot represent."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", text).encode()


def json_of(value: Any) -> bytes:
    r"""Return compact JSON in UTF-8: lone surrogates as `\udXXX`, infinities and NaN as strings."""
    try:
        return _encoder()(value, inf_nan_mode="strings")
    except ValueError:  # a lone surrogate, or nested too deeply for it
        return plain_json_of(value)


@functools.cache
def _encoder() -> Callable[..., bytes]:
    """Return pydantic's encoder, which takes a while to load, and which many exports do not need."""
    from pydantic_core import to_json

    return to_json


def plain_json_of(value: Any) -> bytes:
    """Return the same JSON by the standard library: slower, but for every value."""
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")  # only surrogates are left to replace


def _finite(value: Any) -> Any:
    """Return a copy with strings in place of infinities and NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    return value


def objects(schema: Schema, page: Sequence[Any]) -> Iterator[Record]:
    """Yield each record of a page as an object: keys in column order, then the fields of an unfolded `extra`.

    Raw records are yielded unchanged.
    """
    if schema.columns is None:
        yield from page  # without columns the rows are the records
        return
    names = [column.name for column in schema.columns]
    if not schema.unfold:
        for row in page:
            yield dict(zip(names, row, strict=True))
        return
    names.pop()
    for row in page:
        *values, extra = row
        one = dict(zip(names, values, strict=True))
        if extra:
            one.update(extra)
        yield one
