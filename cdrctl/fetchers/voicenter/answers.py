"""The records in Voicenter's responses, and the errors they stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

from msgspec import Struct

from cdrctl.errors import AddressError, CdrctlError, ProviderError, SignInError, TemporaryError
from cdrctl.fetchers import Once, always
from cdrctl.fetchers.voicenter.settings import TITLE
from cdrctl.http import REFUSED_HINT, Answer, Client, error_of, published, said
from cdrctl.records.batches import key_columns
from cdrctl.records.events import Record, check_records, pick
from cdrctl.records.readers import read_integer

MOST_RECORDS = 10_000
"""The most records that one answer holds (page "Call Log")."""

MINUTELY = published(30, 60)


class Reply(Struct, frozen=True):
    """The records of a response of the Call Log.

    Args:
        records: The records.
        full: Whether there are more than the response holds.
    """

    records: Sequence[Record]
    full: bool = False


NOTHING = Reply([])


class TooFastError(TemporaryError):
    """Error 1: more requests than a minute allows."""


class FullError(ProviderError):
    """Error 3: more records than a response can hold."""


class RangeError(ProviderError):
    """Error 5: the range of dates is not accepted."""


class RefusedError(ProviderError):
    """The request is refused for a reason that has no error number."""


def error_for(answer: Answer) -> CdrctlError | None:
    """Return the error that a response stands for, or None.

    Errors are in the body; the status that they come with is not published.
    """
    number = error_number(answer.body)
    words, status = _words(answer), answer.status
    match number:
        case None if answer.good:
            return ProviderError(
                f"{TITLE} sent an unknown response: it has no ERROR_NUMBER",
                hint="check base_url; if it is right, the API has changed: update cdrctl",
            )
        case None | 0 if status == 400:
            message = f"{TITLE} refused the request (HTTP 400)"
            return RefusedError(message, said=words, hint=REFUSED_HINT, status=status)
        case None | 0:
            error = error_of(TITLE, answer)
            if isinstance(error, SignInError):
                error.hint = _CREDENTIALS
            return error
        case 1:
            return TooFastError(
                f"{TITLE}'s rate limit of {MINUTELY.requests} requests a minute is exceeded",
                said=words,
                hint="another program may be using the same code; nothing is lost: run the command again later",
                status=status,
            )
        case 2:
            return SignInError(
                f"{TITLE} does not accept this code or token", said=words, hint=_CREDENTIALS, status=status
            )
        case 3:
            return FullError(f"{TITLE} has more calls than it sends in one response", said=words, status=status)
        case 4:
            address = re.search(r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b|[0-9a-f]*:[0-9a-f:]+", words or "")
            return AddressError(
                f"your address {address[0]} is not authorised" if address else "your IP address is not authorised",
                said=words,
                hint=ADMITS,
                status=status,
            )
        case 5:
            return RangeError(f"{TITLE} refused the range of dates", said=words, status=status)
        case _:
            return RefusedError(
                f"{TITLE} refused the request (error {number})", said=words, hint=_UNKNOWN, status=status
            )


_UNKNOWN = f"check the settings of the profile; if they are right, ask {TITLE}'s support what it means"
ADMITS = "add it in CPanel → API Settings → Authorized IPs, or use a bearer token (access_token)"
_CREDENTIALS = (
    "check code, or access_token: create a new one in Voicenter's back office; the lifetime of a bearer token is "
    "not published"
)


def error_number(body: Any) -> int | None:
    """Return the error number of a response, 0 for no error, or None if it has no such number."""
    if isinstance(body, dict):
        with suppress(ValueError):
            return read_integer(pick(body, "ERROR_NUMBER"))
    return None


def _words(answer: Answer) -> str | None:
    words = pick(answer.body, "ERROR_DESCRIPTION") if isinstance(answer.body, dict) else None
    return words if isinstance(words, str) and words else said(answer)


def read_reply(answer: Answer, client: Client, once: Once = always) -> Reply:
    """Return the records of a response without an error.

    The two counters are compared with each other: the documentation's own sample counts two records and shows one. The
    first response with more in its counter than in its list gets a warning.

    Raises:
        ProviderError: There is no list of records in it.
    """
    body: Mapping[str, Any] = answer.body
    held = [value for name, value in body.items() if name.casefold() == "cdr_list"]
    hits, returned = _count(answer.body, "TOTAL_HITS"), _count(answer.body, "RETURN_HITS")
    if held == [None] and not hits and not returned:
        return NOTHING
    found: Any = held[0] if held else None
    records: Sequence[Record] = found if key_columns(found) is not None else check_records(found, "CDR_LIST", TITLE)
    if returned is not None and returned != len(records):
        level: Literal["debug", "warning"] = "warning" if returned > len(records) and once("counters") else "debug"
        client.log(level, f"{TITLE} reported {returned} records in a response with {len(records)}")
    short = hits is not None and returned is not None and returned < hits
    return Reply(records, short or len(records) >= MOST_RECORDS)


def _count(body: Record, key: str) -> int | None:
    with suppress(ValueError):
        return read_integer(pick(body, key))
    return None
