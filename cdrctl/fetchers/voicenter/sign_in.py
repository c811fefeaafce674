"""Sign in to Voicenter: a code in the body of each request."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from cdrctl.errors import SignInError
from cdrctl.fetchers.defaults import bearer_token
from cdrctl.fetchers.voicenter.settings import TITLE, VoicenterSettings
from cdrctl.http import Answer, Request, Token


def request_token(
    settings: VoicenterSettings, _ended: Token | None, _now: datetime
) -> Generator[Request, Answer, Token]:
    """Return the profile's code or token, which are used as they are: neither can be renewed.

    Page "Authentication": the code goes into the request; "Call Log": a bearer token into a header in its place.
    """
    yield from ()
    if settings.code is not None:
        return Token({}, fields={"code": settings.code.get_secret_value()})
    if settings.access_token is not None:
        return bearer_token(settings.access_token.get_secret_value())
    raise SignInError(f"this profile has no credential for {TITLE}", hint="set code or access_token")


def sign(ask: Request, token: Token) -> Request:
    """Return the request with the code at the top of its body, never in a URL, or with the token in its headers."""
    body = {**token.fields, **ask.json} if token.fields else ask.json
    return replace(ask, json=body, headers={**ask.headers, **token.headers})


def ended(_answer: Answer) -> bool:
    """Always false: tokens cannot be renewed, so `error_for` reports one that has expired."""
    return False


def empty_response(_path: str, _body: Any) -> Any:
    """Return the answer of a window without calls."""
    return {"ERROR_NUMBER": 0, "ERROR_DESCRIPTION": "OK", "TOTAL_HITS": 0, "RETURN_HITS": 0, "CDR_LIST": []}
