"""Sign in to a PortSIP PBX: with an access token, with a login of OAuth or of the older API."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cdrctl.errors import CdrctlError, ConfigurationError, ProviderError, SignInError
from cdrctl.fetchers.portsip.answers import error_for
from cdrctl.fetchers.portsip.settings import COMPLETED, REPORTS, TITLE, PortsipSettings
from cdrctl.http import MASK, REFUSED_HINT, Answer, Request, Token, said
from cdrctl.records.readers import read_integer

CLIENT_ID = "9d806019-75b2-4b3d-bb8b-f5a3a412cc0a"
"""The published client id, the same for every PBX (REST guide, "Authentication", v16 to v22)."""


@dataclass(frozen=True, slots=True)
class Session(Token):
    """A token with the method of sign-in that issued it, because the same method renews it."""

    way: str = ""


def request_token(settings: PortsipSettings, ended: Token | None, now: datetime) -> Generator[Request, Answer, Token]:
    """Return the token of the profile, or one for its password, by the first method that this PBX has.

    REST guide, "Authentication": `/auth/sign_in` since v22.2.11, `/login/oauth/token` and `/login` from v16 to v22.
    An expired token is renewed with its refresh token or, if that is refused, with the password.
    """
    if ended is None and settings.access_token is not None:
        return Session({"Authorization": f"Bearer {settings.access_token.get_secret_value()}"})
    if settings.username is None or settings.password is None:
        raise SignInError(
            "the access token has expired and cannot be renewed",
            hint="get a new access_token, or set username, password and domain instead",
        )
    way = ended.way if isinstance(ended, Session) else ""
    renewal = _renewal(settings, way, ended.refresh_token) if ended is not None and ended.refresh_token else None
    if renewal is not None and ended is not None:
        answer = yield renewal
        if answer.good:
            return _session(answer, way, now, ended.refresh_token)
    for known in [way] if way else _METHODS:
        answer = yield _METHODS[known](settings)
        if answer.status in {404, 405} and not way:
            continue
        if known == "login" and answer.good and not _access_token(answer):
            answer = yield _login_status(settings, answer)
        if not answer.good:
            raise _not_accepted(settings, answer)
        return _session(answer, known, now, None)
    raise ConfigurationError(
        f"there is no {TITLE} sign-in at {settings.base_url}",
        hint="base_url should be https://HOST:8887/api, the address of the PBX's REST API",
        status=404,
    )


def _credentials(settings: PortsipSettings) -> dict[str, str]:
    assert settings.username is not None  # noqa: S101 - checked by request_token
    assert settings.password is not None  # noqa: S101
    domain = {"domain": settings.domain} if settings.domain else {}
    return {"username": settings.username, "password": settings.password.get_secret_value(), **domain}


def _post(settings: PortsipSettings, path: str, **body: Any) -> Request:
    return Request("POST", settings.base_url + path, kind="sign-in", signed=False, **body)


def _oauth(settings: PortsipSettings) -> Request:
    form = {"grant_type": "password", **_credentials(settings), "scope": "all", "client_id": CLIENT_ID}
    return _post(settings, "/login/oauth/token", form=form)


_METHODS: Mapping[str, Callable[[PortsipSettings], Request]] = {
    "auth": lambda settings: _post(settings, "/auth/sign_in", json=_credentials(settings)),
    "oauth": _oauth,
    "login": lambda settings: _post(settings, "/login", json=_credentials(settings), bodiless=True),
}


def _renewal(settings: PortsipSettings, way: str, refresh_token: str) -> Request | None:
    if way == "auth":
        return _post(settings, "/auth/refresh_token", json={"refresh_token": refresh_token})
    if way == "oauth":
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": CLIENT_ID}
        return _post(settings, "/login/oauth/token", form=form)
    return None


def _login_status(settings: PortsipSettings, answer: Answer) -> Request:
    """Return the request for the token after a `POST /login` whose response has none.

    `GET /login` returns the token of "the current session", presumably that of the cookie, which is sent only here.
    """
    cookies = re.findall(r"(?:^|,\s*)([\w!#$%&'*+.^`|~-]+=[^;,\s]*)", answer.headers.get("set-cookie", ""))
    headers = {"Cookie": "; ".join(cookies)} if cookies else {}
    return Request("GET", f"{settings.base_url}/login", headers=headers, kind="sign-in", signed=False)


def _access_token(answer: Answer) -> str | None:
    token = answer.body.get("access_token") if isinstance(answer.body, dict) else None
    return token if isinstance(token, str) and token else None


def _session(answer: Answer, way: str, now: datetime, refresh_token: str | None) -> Session:
    """Return the token of a successful response, with the old refresh token if the response has no new one."""
    body = answer.body if isinstance(answer.body, dict) else {}
    if body.get("two_factor_enabled"):
        raise SignInError(
            "this user needs a code sent by mail to sign in, which a program cannot enter",
            hint="use a user without two-factor sign-in, or set access_token to a token",
            status=answer.status,
        )
    token = _access_token(answer)
    if token is None:
        raise ProviderError(
            f"{TITLE} sent an unknown response to the sign-in: it has no access_token",
            hint="check base_url; if it is right, the API has changed: update cdrctl",
        )
    expires = None
    with suppress(ValueError):
        seconds = read_integer(body.get("expires_in"))
        expires = now + timedelta(seconds=seconds) if 0 < seconds < 10**9 else None
    fresh = body.get("refresh_token")
    fresh = fresh if isinstance(fresh, str) and fresh else refresh_token
    return Session({"Authorization": f"Bearer {token}"}, expires, fresh, way=way)


def _not_accepted(settings: PortsipSettings, answer: Answer) -> CdrctlError:
    if answer.status not in {400, 401, 403, 422}:
        return error_for(answer) or ProviderError(
            f"{TITLE} refused the sign-in (HTTP {answer.status})", hint=REFUSED_HINT
        )
    of = f"of domain {settings.domain}" if settings.domain else "without a domain"
    return SignInError(
        f"{TITLE} does not accept user {settings.username} {of}",
        said=said(answer),
        hint="check username, password and domain, which is the tenant's SIP domain",
        status=answer.status,
    )


def empty_response(path: str, _body: Any) -> Any:
    """Return the answer of a list without items, or a token of masks."""
    if path.endswith(("/sign_in", "/token", "/login")):
        return {"access_token": MASK, "expires_in": 3600}
    place, _, key = path.rpartition("/")
    if place.endswith((REPORTS, COMPLETED)):  # a dry run assumes that the report exists
        return {"id": key}
    return {"count": 0, "items": []}
