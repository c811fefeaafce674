"""Defaults for a simple provider: a bearer token, a field with the id, a field with the start, a check."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from types import UnionType
from typing import Any

from cdrctl.contents import contents_of
from cdrctl.duplicates import DuplicateFilter
from cdrctl.errors import ProviderError, SignInError
from cdrctl.fetchers import Provider, Query, identities, span_of
from cdrctl.fetchers.options import call_options, default_options
from cdrctl.fetchers.settings import Secret
from cdrctl.http import Answer, Client, Request, Token, Total, by_offset, read_total
from cdrctl.records.batches import key_columns
from cdrctl.records.events import Event, Gap, Page, Record, check_records, fingerprint, number_of_records, pick
from cdrctl.records.readers import iso_instant
from cdrctl.windows import Window, rfc3339

HOUR = timedelta(hours=1)


def bearer(setting: str) -> Callable[[Any, Token | None, datetime], Generator[Request, Answer, Token]]:
    """Return a sign-in that sends one setting of the profile as a bearer token, which cannot be renewed."""

    def sign_in(settings: Any, ended: Token | None, _now: datetime) -> Generator[Request, Answer, Token]:
        yield from ()
        secret: Secret | None = getattr(settings, setting)
        if secret is None:
            raise SignInError(f"this profile has no {setting}", hint=f"set {setting}")
        if ended is not None:
            raise SignInError(
                f"the {setting} of this profile was not accepted", hint=f"set a new {setting} in the profile"
            )
        return bearer_token(secret.get_secret_value())

    return sign_in


def bearer_token(token: str, expires: datetime | None = None, refresh_token: str | None = None) -> Token:
    """Return a token that goes into the header Authorization (RFC 6750, section 2.1)."""
    return Token({"Authorization": f"Bearer {token}"}, expires, refresh_token)


def identity_by(key: str, kind: type | UnionType = str | int) -> Callable[[Record], str]:
    """Return a function from a record to its id in a field, or to a digest of its content if the field has none."""

    def identity(record: Record) -> str:
        found = pick(record, key)
        good = isinstance(found, kind) and not isinstance(found, bool) and found != ""
        return str(found) if good else fingerprint(record)

    return identity


def start_by(key: str) -> Callable[[Record], datetime | None]:
    """Return a function from a record to the start of its call, read from an ISO 8601 field; None if unreadable."""
    return lambda record: instant_in(record, key)


def instant_in(record: Record, key: str) -> datetime | None:
    """Return the instant of an ISO 8601 field, or None if it cannot be read."""
    with suppress(ValueError):
        return iso_instant(pick(record, key))
    return None


def records_in(answer: Answer, key: str, title: str) -> Sequence[Record]:
    """Return the records of a response: the list in the field of this name.

    Raises:
        ProviderError: There is no such list, or it holds something other than objects.
    """
    records: Any = answer.body.get(key) if isinstance(answer.body, dict) else None
    return check_records(records, key, title) if key_columns(records) is None else records


IDLE_PAGES = 2
"""The number of pages in a row without a new record that ends paging: the provider ignores the offset."""


def offset_pages(
    ask: Callable[[int], Answer], key: str, size: int, identity: Callable[[Record], str], title: str
) -> Iterator[Event]:
    """Yield the pages of a list that is read by offset, and a gap if fewer records came than its `total` announced.

    Args:
        ask: From the number of records to skip to the response.
        key: The field with the list of records.
        size: The number of records per page.
        identity: The id of a record.
        title: The provider's name in messages.

    Raises:
        ProviderError: A response has no list of records, or IDLE_PAGES pages in a row had no new record.
    """
    came, idle, announced = DuplicateFilter(), 0, Total(None)

    def page(skip: int) -> tuple[Sequence[Record], int | None]:
        nonlocal announced
        answer = ask(skip)
        records = records_in(answer, key, title)
        announced = read_total(answer.body.get("total"))
        return records, announced.rows

    for records, _ in by_offset(page, size):
        before = len(came)
        came.new_positions(identities(records, identity), span_of(records), contents_of(records))
        yield Page(records)
        idle = idle + 1 if len(came) == before else 0
        if records and idle >= IDLE_PAGES:
            raise ProviderError(
                f"{title} keeps sending the same records: its pages go in circles",
                hint="run the command again; if the error persists, ask the provider's support",
            )
    if announced.rows is not None and len(came) < announced.rows:
        yield Gap(
            f"{title} reported {announced.rows} records for this window but sent {len(came)}",
            "run the command again later",
        )


def check_first_call(provider: Provider, client: Client, settings: Any) -> str:
    """Request the first page of the last hour that is certain to be available, and return how many records it has."""
    call = provider.calls[0]
    until = client.clock.now() - call.timing.lag
    window = Window(until - HOUR, until)
    options = call_options(call, default_options(call), lambda _path: iter(()))
    query = Query(client, settings, window if call.takes_window else None, options)
    page = next((event for event in call.fetch(query) if isinstance(event, Page)), Page([]))
    between = f" between {rfc3339(window.since)} and {rfc3339(window.until)}" if call.takes_window else ""
    return f"{number_of_records(len(page.records))}{between}"
