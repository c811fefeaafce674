"""The parts of a request's URL."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from cdrctl.errors import UsageError
from cdrctl.http import Client


def path_segment(text: str) -> str:
    """Return an id as a segment of a path. Dots alone are refused, because they would lead to another path."""
    if not text.strip(" ."):
        raise UsageError(f"{text!r} is not an id", hint="find the id in the column id of the listing")
    return quote(text, safe="", errors="surrogatepass")


def quoted_text(text: str) -> str:
    """Return a text or a time for a filter: in single quotes, with inner quotes doubled."""
    return "'" + text.replace("'", "''") + "'"


def written_instant(moment: datetime) -> str:
    """Return an instant in the documented form, with microseconds if it is not a whole second."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def listing_url(client: Client, path: str, params: Sequence[tuple[str, str]]) -> str:
    """Return the URL of a listing, with spaces as %20: a plus is a space in forms only."""
    return f"{client.at(path)}?{'&'.join(map(_parameter, params))}"


@functools.lru_cache(64)
def _parameter(named: tuple[str, str]) -> str:
    """Return one encoded parameter, cached: a long filter is the same on every page."""
    return urlencode([named], quote_via=quote, safe=":", errors="surrogatepass")
