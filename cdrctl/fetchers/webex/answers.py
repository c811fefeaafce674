"""The records of a response of Webex, and the error it stands for."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from cdrctl.errors import CdrctlError, ConfigurationError, RightsError, SignInError
from cdrctl.fetchers.webex.settings import TITLE
from cdrctl.http import Answer, error_of, said
from cdrctl.http.links import next_url
from cdrctl.records.batches import key_columns
from cdrctl.records.events import Record, check_records

_EMPTY = frozenset({204, 404})
"""Statuses of an empty window without a list; `error_for` accepts only the 404 with "No CDRs"."""


_TOTAL = re.compile(r"[?&]totalCount=([0-9]{1,18})(?![^&])")
_REGION = re.compile(r"(?:[\w-]+\.)+webexapis\.com(?!\.?[\w-])", re.IGNORECASE | re.ASCII)


def next_link(answer: Answer) -> str | None:
    """Return the URL of the next page, or None. The client checks its host before it sends a request."""
    return next_url(answer.headers.get("link", ""), answer.url)


def total_in(link: str | None) -> int:
    """Return the total number of records that a link to the next page announces; 0 if it does not."""
    count = _TOTAL.search(link or "")
    return int(count[1]) if count else 0


def records_in(answer: Answer, *, more: bool) -> Sequence[Record]:
    """Return the records of a page.

    A page without `items` is empty only with `more`: another page follows, or the window is complete without it.
    """
    if answer.status in _EMPTY:
        return []
    if not isinstance(answer.body, dict) or ("items" not in answer.body and not more):
        return check_records(None, "items", TITLE)
    items = answer.body.get("items", [])
    return items if key_columns(items) is not None else check_records(items, "items", TITLE)


class WrongRegionError(ConfigurationError):
    """The organisation's records are at another address of the service."""

    def __init__(self, host: str, words: str | None) -> None:
        super().__init__(
            f"your organisation's records are at {host}",
            said=words,
            hint=f"set base_url to https://{host}/v1",
            status=451,
        )
        self.host = host


def error_for(answer: Answer) -> CdrctlError | None:
    """Return the error that a response stands for, or None for a good one."""
    words = said(answer)
    match answer.status:
        case 404 if "no cdrs" in (words or "").casefold():
            return None  # an empty window
        case 404:
            return ConfigurationError(
                f"this address has no call history: {answer.url}",
                said=words,
                hint="base_url should end in /v1 and name a host of call history, such as "
                "https://analytics-calling.webexapis.com/v1",
                status=404,
            )
        case 401:
            return SignInError(
                f"{TITLE} does not accept the token",
                said=words,
                hint="get a new access token; if the profile renews it, sign in again: cdrctl profile login NAME",
                status=401,
            )
        case 403:
            return RightsError(
                "the token may not read call history",
                said=words,
                hint="it needs scope spark-admin:calling_cdr_read, and its user a custom administrator role with "
                '"Webex Calling Detailed Call History API access" (the old role of that name ends on 31 December '
                "2026)",
                status=403,
            )
        case 451:
            host = _region(answer)
            if host:
                return WrongRegionError(host, words)
            return ConfigurationError(
                "your organisation's records are in another region, which the service did not name",
                said=words,
                hint="set base_url to your region: analytics-calling-eu, -in, -au or -gov in place of "
                "analytics-calling",
                status=451,
            )
        case _:
            return error_of(TITLE, answer)


def _region(answer: Answer) -> str | None:
    """Return the first host of the service in the body of a 451 other than the host of the request, or None."""
    body = answer.text if answer.body is None else json.dumps(answer.body)
    hosts = (found.lower() for found in _REGION.findall(body[:20_000]))  # the search takes quadratic time
    return next((host for host in hosts if host != urlsplit(answer.url).hostname), None)
