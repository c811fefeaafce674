"""Sign in to Crossbar: with an API key, with a password, or with a token."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from typing import Any

from cdrctl.errors import ProviderError, SignInError
from cdrctl.fetchers.kazoo.answers import error_for, words_of_answer
from cdrctl.fetchers.kazoo.settings import TITLE, KazooSettings, credentials_of
from cdrctl.http import MASK, Answer, Request, Token


def request_token(settings: KazooSettings, ended: Token | None, _now: datetime) -> Generator[Request, Answer, Token]:
    """Return the token of the profile, or one for its key or password (crossbar `api_auth` and `user_auth`).

    A token expires an hour after its sign-in, however it is used. The operator can change that, so a 401 shows its end.
    """
    if settings.api_key is not None:
        path, data = "api_auth", {"api_key": settings.api_key.get_secret_value()}
    elif settings.username is not None and settings.password is not None:
        path, data = "user_auth", credentials_of(settings)
    elif settings.auth_token is not None and ended is None:
        return _token(settings.auth_token.get_secret_value())
    else:
        raise SignInError(
            f"{TITLE} does not accept the token or key of this profile",
            hint="a token expires an hour after its sign-in: set api_key, or username and password, instead",
        )
    base = settings.base_url.rstrip("/")
    answer = yield Request("PUT", f"{base}/{path}", json={"data": data}, kind="sign-in", signed=False)
    body = answer.body if isinstance(answer.body, dict) else {}
    token = body.get("auth_token")
    if answer.good and isinstance(token, str) and token:
        return _token(token)
    if answer.status not in {400, 401, 403, 404}:
        raise error_for(answer) or ProviderError(
            f"{TITLE} sent an unknown response to the sign-in: it has no auth_token",
            hint="check base_url; it should end in /v2",
        )
    details = body.get("data")
    if isinstance(details, dict) and "multi_factor_request" in details:
        raise SignInError(
            "this user signs in with a second factor, which a program cannot enter",
            hint="set api_key instead: the account's key is at /accounts/ACCOUNT_ID/api_key",
            status=answer.status,
        )
    what, names = "user name or password", "username, password and account_name or account_realm"
    if path == "api_auth":
        what, names = "key", "api_key"
    raise SignInError(
        f"{TITLE} does not accept the {what} of this profile",
        said=words_of_answer(answer),
        hint=f"check {names}, and base_url",
        status=answer.status,
    )


def _token(token: str) -> Token:
    return Token({"X-Auth-Token": token})


def empty_response(path: str, _body: Any) -> Any:
    """Return the response of a listing without rows, or a token of masks."""
    if path.endswith("_auth"):
        return {"auth_token": MASK, "data": {}, "status": "success"}
    return {"data": [], "page_size": 0, "status": "success"}
