"""Shared by the tests of writers: schemas, pages, hostile text, and the bytes written."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from cdrctl.records.columns import Column, Kind
from cdrctl.records.schemas import EXTRA_COLUMN, Schema
from cdrctl.writers import RenderOptions, load

LOOK = RenderOptions(width=80, zone=UTC, color=False)
BERLIN = ZoneInfo("Europe/Berlin")


def schema(*names: str, unfold: bool = False, kinds: dict[str, Kind] | None = None) -> Schema:
    columns = tuple(Column(name, name, (kinds or {}).get(name, "text")) for name in names)
    return Schema((*columns, EXTRA_COLUMN) if unfold else columns, lambda page: page.records, unfold=unfold)


RAW = Schema(None, lambda page: page.records)


def written(name: str, form: Schema, pages: Iterable[Sequence[Any]], look: RenderOptions = LOOK) -> bytes:
    out = io.BytesIO()
    load(name)(form, pages, out, look)
    return out.getvalue()


every_character = st.characters(exclude_categories=())
"""Halves of surrogate pairs as well, which text() leaves out."""

nasty_text = st.text(
    st.one_of(st.sampled_from(" ,;\"'\t\r\n\\\x00\x1b=+-@\u2028\x85\ud800\udfff\U0001f600e\u0301"), every_character)
)

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    nasty_text,
    st.lists(nasty_text, max_size=3),
    st.dictionaries(nasty_text, st.one_of(st.none(), st.integers(), nasty_text), max_size=3),
)


def pages_of(width: int) -> st.SearchStrategy[list[list[list[Any]]]]:
    return st.lists(st.lists(st.lists(values, min_size=width, max_size=width), max_size=4), max_size=3)


def whole(text: str) -> str:
    """Return text as UTF-8 can encode it: U+FFFD for each half of a surrogate pair."""
    return "".join("\ufffd" if "\ud800" <= one <= "\udfff" else one for one in text)
