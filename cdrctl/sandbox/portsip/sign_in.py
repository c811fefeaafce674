"""Sign in, refresh and sign out: `/auth`, `/login` and `/login/oauth`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from cdrctl.sandbox.exchange.clock import digest
from cdrctl.sandbox.portsip.answers import error, error_with, json_reply
from cdrctl.sandbox.portsip.fields import Row
from cdrctl.sandbox.portsip.requests import INT32, RefusedError, bearer_token, read_form, read_object
from cdrctl.sandbox.portsip.state import PBX, AccessToken
from cdrctl.sandbox.portsip.times import MICRO, write_time
from cdrctl.sandbox.portsip.users import USERS, User
from cdrctl.sandbox.wire import Reply, Request

CLIENT_ID = "9d806019-75b2-4b3d-bb8b-f5a3a412cc0a"
"""The constant the guide publishes for `POST /login/oauth/token`."""

OTP_CODE = "246810"
"""The code in the mail of a two-factor sign-in."""

_NAME_LENGTH, _DOMAIN_LENGTH = 64, 280


def valid_token(pbx: PBX, request: Request) -> AccessToken | None:
    """Return the valid access token of a request, or None."""
    known = pbx.tokens.access.get(bearer_token(request))
    return None if known is None or known.until <= pbx.now().timestamp() else known


def sign_in(pbx: PBX, request: Request) -> Reply:
    """Answer `POST /auth/sign_in`: a token, or a session that waits for the second factor."""
    user = _read_credentials(read_object(request))
    if user is None:
        return _login_failed(pbx)
    if pbx.switched["two_factor"] == "on":
        pbx.tokens.issued += 1
        token = f"EXAMPLE-PORTSIP-SESSION-{digest('portsip session', pbx.tokens.issued)[:16]}"
        pbx.tokens.two_factor[token] = user
        return json_reply(200, {"two_factor_enabled": True, "token": token})
    return json_reply(200, _issue_token(pbx, user))


def send_otp(pbx: PBX, request: Request) -> Reply:
    """Answer `POST /auth/send_otp`."""
    return Reply(200) if read_object(request).get("token") in pbx.tokens.two_factor else _login_failed(pbx)


def verify_otp(pbx: PBX, request: Request) -> Reply:
    """Answer `POST /auth/verify_otp`: exchange a session and its code for a token."""
    body = read_object(request)
    user = pbx.tokens.two_factor.get(str(body.get("token")))
    if user is None or body.get("code") != OTP_CODE:
        return _login_failed(pbx)
    pbx.tokens.two_factor.pop(str(body["token"]))
    return _open_session(pbx, user)


def login(pbx: PBX, request: Request) -> Reply:
    """Answer `POST /login`: the only sign-in that every version has; it does not support a second factor."""
    user = _read_credentials(read_object(request))
    if user is None or pbx.switched["two_factor"] == "on":
        return _login_failed(pbx)
    return _open_session(pbx, user)


def login_status(pbx: PBX, request: Request) -> Reply:
    """Answer `GET /login`: the access token of a session cookie, and when it expires."""
    read = re.search(r"(?:^|;)\s*session=([0-9a-f]+)", request.headers.get("cookie", ""))
    token = bearer_token(request) or (pbx.tokens.cookies.get(read[1], "") if read else "")
    known = pbx.tokens.access.get(token)
    now = pbx.now().timestamp()
    if known is None or known.until <= now:
        return error(pbx, 401)
    left = int(pbx.switched["token_ttl"]) if math.isinf(known.until) else math.ceil(known.until - now)
    body = {
        "access_token": token,
        "expires_at": write_time(round((now + left) * MICRO)),
        "expires_in": left,
        "role": known.user.role,
    }
    return json_reply(200, body)


def refresh(pbx: PBX, request: Request) -> Reply:
    """Answer `POST /auth/refresh_token`."""
    return _refresh(pbx, read_object(request).get("refresh_token"))


def oauth_token(pbx: PBX, request: Request) -> Reply:
    """Answer `POST /login/oauth/token`, whose token has another key order than that of `/auth/sign_in`."""
    form = read_form(request)
    if form.get("client_id") != CLIENT_ID:
        return _login_failed(pbx)
    if form.get("grant_type") == "refresh_token":
        reply = _refresh(pbx, form.get("refresh_token"))
    elif form.get("grant_type") == "password":
        user = _read_credentials(form)
        if user is None or pbx.switched["two_factor"] == "on":
            return _login_failed(pbx)
        reply = json_reply(200, _issue_token(pbx, user))
    else:
        raise RefusedError("grant_type")
    if reply.status != 200:
        return reply
    body = json.loads(reply.body)
    names = ("access_token", "expires_in", "refresh_token", "token_type")
    return json_reply(200, {name: body[name] for name in names})


def oauth_revoke(pbx: PBX, request: Request) -> Reply:
    """Answer `POST /login/oauth/revoke`."""
    token = bearer_token(request) or read_form(request).get("token", "")
    known = pbx.tokens.access.pop(token, None)
    if known is None:
        return error(pbx, 401)
    pbx.tokens.refresh.pop(known.refresh, None)
    return Reply(200)


def sign_out(pbx: PBX, request: Request) -> Reply:
    """Answer `POST /auth/sign_out` to a user who is signed in."""
    known = pbx.tokens.access.pop(bearer_token(request))
    pbx.tokens.refresh.pop(known.refresh, None)
    return Reply(200)


def _read_credentials(body: Mapping[str, Any]) -> User | None:
    """Return the user with this username, password and domain, or None.

    Raises `RefusedError` for values that the OpenAPI file forbids.
    """
    for name, longest in (("username", _NAME_LENGTH), ("password", INT32), ("domain", _DOMAIN_LENGTH)):
        value = body.get(name)
        if name == "domain" and value is None:
            continue
        if not isinstance(value, str) or len(value) > longest or (not value and name != "password"):
            raise RefusedError(name)
    given = body["username"], body["password"], body.get("domain", "")
    return next((one for one in USERS if given == (one.username, one.password, one.domain)), None)


def _login_failed(pbx: PBX) -> Reply:
    return error_with(pbx, 400, "UNAUTHORIZED", "Login failed, authentication error")


def _issue_token(pbx: PBX, user: User, refresh_token: str = "") -> Row:
    """Return a new access token with a refresh token, in the key order of `/auth/sign_in`."""
    tokens = pbx.tokens
    tokens.issued += 1
    mark = digest("portsip token", tokens.issued)[:16]
    token = f"EXAMPLE-PORTSIP-ACCESS-{tokens.issued}-{mark}"
    refresh_token = refresh_token or f"EXAMPLE-PORTSIP-REFRESH-{tokens.issued}-{mark}"
    life = int(pbx.switched["token_ttl"])
    tokens.access[token] = AccessToken(user, pbx.now().timestamp() + life, refresh_token)
    tokens.refresh[refresh_token] = user
    return {"token_type": "Bearer", "access_token": token, "refresh_token": refresh_token, "expires_in": life}


def _open_session(pbx: PBX, user: User) -> Reply:
    """Return a token with a session cookie, or the cookie alone: `GET /login` then returns the token."""
    body = _issue_token(pbx, user)
    session = digest("portsip cookie", pbx.tokens.issued)
    pbx.tokens.cookies[session] = body["access_token"]
    headers = {"Set-Cookie": f"session={session}; Path=/; HttpOnly"}
    if pbx.switched["login_body"] == "empty":
        return Reply(200, b"", headers)
    return json_reply(200, body, headers)


def _refresh(pbx: PBX, refresh_token: object) -> Reply:
    """Return new tokens for a refresh token."""
    user = pbx.tokens.refresh.get(refresh_token) if isinstance(refresh_token, str) else None
    if user is None:
        return error_with(pbx, 400, "UNKNOWN", "unknown error")
    if pbx.switched["rotate"] == "off":
        return json_reply(200, _issue_token(pbx, user, str(refresh_token)))
    pbx.tokens.refresh.pop(str(refresh_token))
    return json_reply(200, _issue_token(pbx, user))
