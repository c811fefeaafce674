"""The parts of a provider without peculiarities: a bearer token, a field with the id, one with the start, a check."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from datetime import datetime, timedelta
from types import UnionType
from typing import Any

from pydantic import SecretStr

from cdrctl.errors import SignInError
from cdrctl.fetchers import Provider, Query
from cdrctl.fetchers.options import call_options, default_options
from cdrctl.http import Answer, Client, Request, Token
from cdrctl.records.events import Page, Record, fingerprint, number_of_records, pick
from cdrctl.records.readers import iso_instant
from cdrctl.windows import Window, rfc3339

HOUR = timedelta(hours=1)


def bearer(setting: str) -> Callable[[Any, Token | None, datetime], Generator[Request, Answer, Token]]:
    """Return a sign-in that sends one setting of the profile as a bearer token, which cannot be renewed."""

    def sign_in(settings: Any, ended: Token | None, _now: datetime) -> Generator[Request, Answer, Token]:
        yield from ()
        secret: SecretStr | None = getattr(settings, setting)
        if secret is None:
            raise SignInError(f"this profile has no {setting}", hint=f"set {setting}")
        if ended is not None:
            raise SignInError(f"the {setting} of this profile was not accepted", hint=f"put a new {setting} into it")
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
    """Return a function from a record to the start of its call, in ISO 8601 in a field; None if it cannot be read."""
    return lambda record: instant_in(record, key)


def instant_in(record: Record, key: str) -> datetime | None:
    """Return the instant in a field, in ISO 8601, or None if it cannot be read."""
    with suppress(ValueError):
        return iso_instant(pick(record, key))
    return None


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
