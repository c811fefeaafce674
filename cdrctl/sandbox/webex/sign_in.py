"""Signing in with a browser: the page that asks for consent, and the code that it sends back."""

from __future__ import annotations

import html
from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode

from cdrctl.sandbox.exchange.clock import SECOND, digest
from cdrctl.sandbox.webex.answers import tracking_id
from cdrctl.sandbox.webex.state import Code, State
from cdrctl.sandbox.wire import Reply, Request

SCOPE = "spark-admin:calling_cdr_read"
CLIENT_ID = "C0000EXAMPLE"
_CODE_LIFE = 300
"""The lifetime of a code, in seconds: not published, RFC 6749 recommends at most ten minutes."""


def authorize(state: State, request: Request) -> Reply:
    """Show the page that asks for consent, or send the browser back: developer.webex.com, "Requesting authorization".

    A client or redirect URI that is not registered gets a page and no redirect (RFC 6749, section 4.1.2.1).
    """
    if request.method not in {"GET", "POST"}:
        return _page(state, 405, "Method not allowed")
    text = request.query if request.method == "GET" else request.body.decode("utf-8", "replace")
    asked = {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}
    if asked.get("client_id") != CLIENT_ID:
        return _page(state, 400, "There is no integration with this client_id.")
    if asked.get("redirect_uri") != state.switched["redirect_uri"]:
        return _page(state, 400, "The redirect_uri is not one of those registered with the integration.")
    method = asked.get("code_challenge_method", "plain")
    if asked.get("response_type") != "code":
        return _redirect(state, asked, error="unsupported_response_type")
    if not asked.get("scope") or set(asked["scope"].split()) - {SCOPE, "spark:kms"}:
        return _redirect(state, asked, error="invalid_scope", error_description="The requested scope is invalid.")
    if asked.get("code_challenge") and method not in {"S256", "plain"}:
        text = "Transform algorithm not supported."
        return _redirect(state, asked, error="invalid_request", error_description=text)
    if request.method == "GET":
        return _consent_page(state, asked)
    if asked.get("decision") != "accept":
        text = "The resource owner denied the request."
        return _redirect(state, asked, error="access_denied", error_description=text)
    code = f"EXAMPLE-WEBEX-CODE-{digest('code', state.answers)[:24]}"
    ends = state.unix_now + _CODE_LIFE * SECOND
    challenge = asked.get("code_challenge", "")
    state.codes[code] = Code(asked["redirect_uri"], asked["scope"], challenge, method, ends)
    return _redirect(state, asked, code=code)


def _consent_page(state: State, asked: Mapping[str, str]) -> Reply:
    """Return a page with a form that asks for consent and repeats the query."""
    fields = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in asked.items()
    )
    scopes = "".join(f"<li>{html.escape(scope)}</li>" for scope in asked["scope"].split())
    return _page(
        state,
        200,
        "The sandbox's integration wants to:",
        f'<ul>{scopes}</ul><form method="post">{fields}'
        '<button id="accept" name="decision" value="accept">Accept</button> '
        '<button id="deny" name="decision" value="deny">Deny</button></form>',
    )


def _redirect(state: State, asked: Mapping[str, str], **result: str) -> Reply:
    """Send the browser to the redirect URI with a result and the state of the query."""
    own = {"state": asked["state"]} if "state" in asked else {}
    uri = asked["redirect_uri"]
    headers = {"Location": f"{uri}{'&' if '?' in uri else '?'}{urlencode({**result, **own})}"}
    return Reply(302, b"", {**headers, "Cache-Control": "no-store", "trackingid": tracking_id(state)})


def _page(state: State, status: int, heading: str, more: str = "") -> Reply:
    text = f"<!DOCTYPE html><title>Webex (sandbox)</title><h1>{heading}</h1>{more}"
    headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}
    return Reply(status, text.encode(), {**headers, "trackingid": tracking_id(state)})
