"""Tokens: `POST /access_token`, for a refresh token or for the code of a sign-in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from urllib.parse import parse_qs

from cdrctl.sandbox.exchange.clock import SECOND, digest
from cdrctl.sandbox.webex.answers import answer, failure, general_failure
from cdrctl.sandbox.webex.sign_in import CLIENT_ID, SCOPE
from cdrctl.sandbox.webex.state import State
from cdrctl.sandbox.wire import Reply, Request, dump

CLIENT_SECRET = "EXAMPLE-WEBEX-SECRET"
_ACCESS_LIFE = 1_209_600
_REFRESH_LIFE = 7_776_000


def request_token(state: State, request: Request) -> Reply:
    """Answer a request for tokens (refresh token or code): developer.webex.com, "Integrations & Authorization"."""
    if request.method != "POST":
        return failure(state, 405, "Method not allowed")
    form = {name: values[-1] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
    if form.get("grant_type") not in {"refresh_token", "authorization_code"}:
        return general_failure(state, 400, "The requested grant type is not supported.")
    if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
        return general_failure(state, 401, "The client credentials are not valid.")
    return _for_code(state, form) if form["grant_type"] == "authorization_code" else _for_refresh(state, form)


def _for_code(state: State, form: Mapping[str, str]) -> Reply:
    """Return tokens for a code."""
    code = state.codes.pop(form.get("code", ""), None)  # a code works once, even if the request fails
    if code is None or code.ends <= state.unix_now or code.redirect_uri != form.get("redirect_uri"):
        return general_failure(state, 400, "The authorization code is expired, used, or of another redirect_uri.")
    if code.challenge and code.challenge != _challenge(form.get("code_verifier", ""), code.method):
        return general_failure(state, 400, "The code_verifier does not match the code_challenge.")
    state.granted += 1
    return _grant(state, f"EXAMPLE-WEBEX-REFRESH-{state.granted}", code.scope)


def _for_refresh(state: State, form: Mapping[str, str]) -> Reply:
    """Return tokens for a refresh token, which becomes invalid unless the switch `rotate` is off."""
    refresh = form.get("refresh_token", "")
    ends = state.refreshes.get(refresh, 0)
    if ends is not None and ends <= state.unix_now:
        return general_failure(state, 400, "The refresh token provided is expired, revoked, malformed, or invalid.")
    state.granted += 1
    fresh = f"EXAMPLE-WEBEX-REFRESH-{state.granted}" if state.switched["rotate"] == "on" else refresh
    if refresh == state.refresh:
        state.refresh = fresh
    del state.refreshes[refresh]
    return _grant(state, fresh, SCOPE)


def _grant(state: State, refresh: str, scope: str) -> Reply:
    """Return a new access token and this refresh token, and set when both expire."""
    now = state.unix_now
    token = f"EXAMPLE-WEBEX-ACCESS-{state.granted}-{digest('access', state.granted)[:16]}"
    state.tokens[token] = now + _ACCESS_LIFE * SECOND
    state.refreshes[refresh] = now + _REFRESH_LIFE * SECOND
    body = {
        "access_token": token,
        "expires_in": _ACCESS_LIFE,
        "refresh_token": refresh,
        "refresh_token_expires_in": _REFRESH_LIFE,
        "token_type": "Bearer",
        "scope": scope,
    }
    return answer(state, 200, dump(body))


def _challenge(verifier: str, method: str) -> str:
    """Return the code challenge of a verifier (RFC 7636, section 4.6)."""
    if method == "plain":
        return verifier
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
