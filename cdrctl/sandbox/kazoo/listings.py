"""The query of a listing: range, order, page and first key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cdrctl.sandbox.kazoo.accounts import Account
from cdrctl.sandbox.kazoo.keys import Key, unpack
from cdrctl.sandbox.kazoo.months import GREGORIAN, months_between
from cdrctl.sandbox.kazoo.releases import PLAIN_KEYS
from cdrctl.sandbox.kazoo.state import State

PAGE_SIZE = 50
CHUNK_SIZE = 50


class BadParameterError(Exception):
    """Crossbar refuses a query parameter; the argument is its text."""


@dataclass(slots=True)
class Listing:
    """The parameters of a listing request, in Gregorian seconds; `asked` is the query, `months` are those to open."""

    account: Account
    interaction: bool
    owner: str
    created: tuple[int, int]
    start_key: Key
    end_key: Key
    descending: bool
    page_size: int | None
    chunk_size: int
    chunked: bool
    months: list[str]
    asked: dict[str, str]


def read_listing(state: State, account: Account, owner: str, asked: dict[str, str], *, interaction: bool) -> Listing:
    """Return the listing of a query; raises BadParameterError."""
    hi = _positive(asked.get("created_to"), state.gregorian_now)
    lo = _positive(asked.get("created_from"), hi - int(state.switched["max_range"]))
    descending = is_descending(state.version, asked)
    chunk_size = _chunk_size(asked)
    first, last = range_keys(state.switched["bounds"], lo, hi)
    start_key, end_key = (last, first) if descending else (first, last)
    named = named_key(state.version, asked)
    if named:
        plain = state.version in PLAIN_KEYS and named.isdigit()
        # Plain keys have seconds only: begin at the last row of the second.
        start_key = (int(named), 2 if descending else 1, "") if plain else unpack(named, owner)
    months = months_between(lo, hi) if hi >= GREGORIAN else []
    if descending:
        months.reverse()
    return Listing(
        account,
        interaction,
        owner,
        (lo, hi),
        start_key,
        end_key,
        descending,
        page_size(asked),
        chunk_size,
        asked.get("is_chunked", "true") != "false",
        months,
        asked,
    )


def page_size(asked: Mapping[str, str]) -> int | None:
    """Return the number of rows of a page; None without paging."""
    if asked.get("paginate") == "false":
        return None
    text = asked.get("page_size")
    if text is None:
        return PAGE_SIZE
    if not re.fullmatch(r"-?[0-9]+", text):
        raise BadParameterError("invalid page size")
    if int(text) < 1:
        raise BadParameterError("page size must be at least 1")
    return int(text)


def _chunk_size(asked: Mapping[str, str]) -> int:
    """Return the number of rows that are read at once."""
    text = asked.get("chunk_size")
    if text is None:
        return CHUNK_SIZE
    if not re.fullmatch(r"-?[0-9]+", text) or int(text) == 0:
        raise BadParameterError("invalid chunk size")
    size = int(text)
    if size < 0:
        raise BadParameterError("chunk size must be at least 1")
    if size > CHUNK_SIZE:
        raise BadParameterError(f"chunk size must be lower than {CHUNK_SIZE}")
    return size


def is_descending(version: str, asked: Mapping[str, str]) -> bool:
    """Return whether the newest rows come first; `descending=false` alone has no effect in 5.0 and older."""
    if asked.get("descending") == "false" and version == "5.x":
        return False
    return asked.get("descending") == "true" or asked.get("ascending", "false") != "true"


def named_key(version: str, asked: Mapping[str, str]) -> str | None:
    """Return the start key that the query names; 5.x also calls it a bookmark."""
    named = asked.get("start_key")
    return asked.get("bookmark") if named is None and version == "5.x" else named


def range_keys(bounds: str, lo: int, hi: int) -> tuple[Key, Key]:
    """Return the view keys between which a created range lies, by the switch `bounds`."""
    return (lo, 2 if bounds in {"open_low", "open"} else 0, ""), (hi, 0 if bounds in {"half_open", "open"} else 2, "")


def _positive(text: str | None, default: int) -> int:
    """Return a positive integer; Crossbar silently replaces anything else with the default."""
    if text is None or not re.fullmatch(r"[0-9]+", text) or int(text) <= 0:
        return default
    return int(text)
