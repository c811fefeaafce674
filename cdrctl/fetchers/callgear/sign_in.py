"""Sign in to CallGear: with an API key, or with a login and a password."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from cdrctl.errors import ProviderError, SignInError
from cdrctl.fetchers.callgear.answers import NEW_KEY, error_for
from cdrctl.fetchers.callgear.jsonrpc import question, result_in
from cdrctl.fetchers.callgear.settings import TITLE, CallGearSettings
from cdrctl.http import MASK, Answer, Request, Token
from cdrctl.records.readers import unix_instant


def request_token(settings: CallGearSettings, ended: Token | None, now: datetime) -> Generator[Request, Answer, Token]:
    """Return the access key of the profile, or the token of a login, which lives an hour ("login.user")."""
    if ended is None and settings.access_token is not None:
        return _token(settings.access_token.get_secret_value())
    if settings.login is None or settings.password is None:
        raise SignInError(f"{TITLE}'s access key is invalid or has expired", hint=NEW_KEY)
    credentials = {"login": settings.login, "password": settings.password.get_secret_value()}
    answer = yield replace(question(settings.base_url.rstrip("/"), 1, "login.user", credentials), kind="sign-in")
    error = error_for(answer)
    if error is not None:
        raise error
    data = result_in(answer, "login.user").get("data")
    token = data.get("access_token") if isinstance(data, dict) else None
    if not isinstance(token, str) or not token:
        raise ProviderError(
            f"{TITLE} sent an unknown response to login.user: it has no access_token",
            hint="check base_url; if it is right, the API has changed: update cdrctl",
        )
    expires = None
    with suppress(ValueError):
        expires = unix_instant(data["expire_at"]) if isinstance(data, dict) and "expire_at" in data else None
    return _token(token, expires if expires is not None and expires > now else None)


def _token(value: str, expires: datetime | None = None) -> Token:
    return Token({}, expires, fields={"access_token": value})


def empty_response(_path: str, body: Any) -> Any:
    """Return the answer of a report without rows, the account in UTC, or a token of masks."""
    found: dict[str, Any] = {
        "login.user": {"data": {"access_token": MASK}},
        "get.account": {"data": [{"timezone": "UTC"}]},
    }
    none = {"data": [], "metadata": {"total_items": 0}}
    return {"jsonrpc": "2.0", "id": body["id"], "result": found.get(body["method"], none)}
