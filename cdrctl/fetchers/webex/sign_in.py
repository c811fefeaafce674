"""Sign in to Webex: with a browser, with a refresh token, or with an access token."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cdrctl.errors import ConfigurationError, SignInError
from cdrctl.fetchers.defaults import bearer_token
from cdrctl.fetchers.webex.settings import TITLE, WebexSettings
from cdrctl.http import MASK, Answer, Request, Token, said, same_origin

if TYPE_CHECKING:
    from cdrctl.http.oauth import Attempt

DOMAIN = ".webexapis.com"
SCOPE = "spark-admin:calling_cdr_read"
"""The scope that a token needs to read call history ("Reports: Detailed Call History")."""


def in_domain(url: str) -> bool:
    """Return whether a URL has a host of Webex and HTTPS."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # invalid brackets or port
        return False
    return parts.scheme == "https" and (parts.hostname or "").endswith(DOMAIN) and port in (None, 443)


def allows_url(settings: WebexSettings, url: str) -> bool:
    """Return whether a URL has the origin of base_url, or another region's if base_url is itself of Webex."""
    return same_origin(settings.base_url, url) or (in_domain(settings.base_url) and in_domain(url))


def request_token(settings: WebexSettings, ended: Token | None, now: datetime) -> Generator[Request, Answer, Token]:
    """Return the access token of the profile, or one renewed with its refresh token.

    developer.webex.com, "Using Webex APIs: Refreshing an access token". The answer brings a new refresh token, which
    may replace the old one at once.
    """
    if ended is None and settings.access_token is not None:
        return bearer_token(settings.access_token.get_secret_value())
    form = _client_form(settings)
    refresh_token = ended.refresh_token if ended else None
    if not refresh_token and settings.refresh_token is not None:
        refresh_token = settings.refresh_token.get_secret_value()
    if form is None or not refresh_token:
        raise SignInError(
            "the token has expired and could not be renewed" if ended else "this profile has not signed in yet",
            hint="get a new access token, or set client_id, client_secret and refresh_token to have it renewed"
            if form is None
            else "sign in with a browser: cdrctl profile login NAME",
        )
    answer = yield Request(
        "POST",
        settings.token_url,
        form={"grant_type": "refresh_token", **form, "refresh_token": refresh_token},
        kind="sign-in",
    )
    token = _token(answer)
    if token is None:
        raise SignInError(
            "the refresh token was not accepted",
            said=said(answer),
            hint="sign in again: cdrctl profile login NAME, or put a new refresh token into the profile; check also "
            "client_id and client_secret",
            status=answer.status,
        )
    return _read_token(token, now, refresh_token)


def _client_form(settings: WebexSettings) -> dict[str, str] | None:
    """Return the form fields of the integration or service app, or None if the profile lacks them."""
    if settings.client_secret is None or settings.client_id is None:
        return None
    return {"client_id": settings.client_id, "client_secret": settings.client_secret.get_secret_value()}


def _token(answer: Answer) -> dict[str, Any] | None:
    """Return the body of a response with an access token, or None if it has none."""
    if answer.status in {404, 405}:
        raise ConfigurationError(
            f"there is no token service at {answer.url}",
            said=said(answer),
            hint="check token_url",
            status=answer.status,
        )
    body = answer.body if isinstance(answer.body, dict) else {}
    token = body.get("access_token")
    return body if answer.good and isinstance(token, str) and token else None


def _read_token(body: Mapping[str, Any], now: datetime, refresh_token: str | None) -> Token:
    """Return the token of a response, with the given refresh token if the response has none."""
    seconds = body.get("expires_in")
    expires = now + timedelta(seconds=seconds) if isinstance(seconds, int) and 0 < seconds < 10**9 else None
    fresh = body.get("refresh_token")
    return bearer_token(body["access_token"], expires, fresh if isinstance(fresh, str) and fresh else refresh_token)


def empty_response(path: str, _body: Any) -> Any:
    """Return the response of a window without calls, or a token of masks."""
    return {"access_token": MASK, "expires_in": 3600} if path.endswith("/access_token") else {"items": []}


def page(settings: WebexSettings, attempt: Attempt) -> str:
    """Return the URL of the page on which an administrator signs in and accepts.

    developer.webex.com, "Integrations & Authorization": the page, its parameters, that PKCE is supported, and that
    redirect_uri must be one of those registered. Not documented, but used: the method S256, which other clients send
    with success; plain http on loopback, which the vendor's own sample registers; and naming the scope although it is
    registered with the integration, which others found necessary.
    """
    from cdrctl.http import oauth

    beside = settings.token_url.partition("?")[0].rpartition("/")[0]
    return oauth.page(settings.authorize_url or f"{beside}/authorize", settings.client_id or "", SCOPE, attempt)


def exchange(settings: WebexSettings, attempt: Attempt, code: str, now: datetime) -> Generator[Request, Answer, Token]:
    """Return the token for a code.

    developer.webex.com, "Integrations & Authorization: Getting an access token". The request
    needs both the secret and the verifier. The format of errors is not published; their status is read as in RFC 6749,
    section 5.2, and their text is passed on.
    """
    answer = yield Request(
        "POST",
        settings.token_url,
        form={
            "grant_type": "authorization_code",
            **(_client_form(settings) or {}),
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "code_verifier": attempt.verifier,
        },
        kind="sign-in",
    )
    body = _token(answer)
    if body is None:
        unknown = answer.status in {401, 403}
        raise SignInError(
            "client_id or client_secret was not accepted" if unknown else "the sign-in in the browser was not accepted",
            said=said(answer),
            hint="compare both with the integration's at developer.webex.com, My Webex Apps"
            if unknown
            else "run the command again: a code works once and for a few minutes; check client_id, client_secret, and "
            f"that {attempt.redirect_uri} is registered with the integration",
            status=answer.status,
        )
    scope = body.get("scope")
    if isinstance(scope, str) and SCOPE not in scope.split():
        raise SignInError(
            f"the token was issued without the scope {SCOPE}",
            hint="select it for the integration at developer.webex.com, My Webex Apps, and sign in again",
        )
    token = _read_token(body, now, None)
    if not token.refresh_token:
        raise SignInError(
            f"{TITLE} sent no refresh token, so the sign-in would soon expire",
            hint="check token_url",
        )
    return token
