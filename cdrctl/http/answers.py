"""The provider's words in a response, and the error that its status stands for."""

from __future__ import annotations

from typing import Any

from cdrctl.damage import without_surrogates
from cdrctl.errors import CdrctlError, ConfigurationError, ProviderError, RightsError, SignInError, TemporaryError
from cdrctl.http.exchange import beginning
from cdrctl.http.messages import Answer, Request
from cdrctl.http.retry import RetryPolicy
from cdrctl.http.urls import host_of

LONGEST_WORDS = 500

REFUSED_HINT = "check base_url; if it is right, ask the provider's support"
"""The next step after a refusal whose reason cdrctl does not know."""


def said(answer: Answer) -> str | None:
    """Return the provider's own words in a response, or None.

    Webex: `message`, `errors[].description`, `trackingId`; OAuth: `error`, `error_description`; Kazoo: `message`,
    `data.message`, `data.cause`; JSON-RPC: `error.message`; PortSIP: `errors[].message`; Voicenter:
    `ERROR_DESCRIPTION`.
    """
    body = answer.body
    found: list[Any] = []
    tracking: Any = answer.headers.get("trackingid")
    if isinstance(body, dict):
        for name in ("message", "error_description", "error", "data", "ERROR_DESCRIPTION"):
            value = body.get(name)
            found += [value.get("message") or value.get("cause")] if isinstance(value, dict) else [value]
        errors = body.get("errors")
        for one in errors if isinstance(errors, list) else []:
            found += [one.get("description"), one.get("message") or one.get("code")] if isinstance(one, dict) else [one]
        tracking = tracking or body.get("trackingId")
    else:
        found += [body, None if answer.text.endswith("…") else beginning(answer.text, 200)]
    words = [text for text in found if isinstance(text, str) and text and not text.isdigit()]
    shown = without_surrogates(" ".join(dict.fromkeys(words)))
    if len(shown) > LONGEST_WORDS:
        shown = beginning(shown, LONGEST_WORDS - 1) + "…"
    if isinstance(tracking, str) and tracking:
        shown = f"{shown} (tracking id {without_surrogates(tracking[:LONGEST_WORDS])})".strip()
    return shown or None


def error_of(title: str, answer: Answer) -> CdrctlError | None:
    """Return the error that a status stands for, unless the provider gives it another meaning; None for a 2xx."""
    if answer.good:
        return None
    words, status = said(answer), answer.status
    match status:
        case 300 | 301 | 302 | 303 | 307 | 308:
            host = host_of(answer.headers.get("location", "")) or "another page"
            return ConfigurationError(
                f"{title} redirects to {host}; it was not followed, because it would send the credential there",
                hint="set base_url to the address of the API",
                status=status,
            )
        case 401:
            return SignInError(
                f"{title} does not accept the credential of this profile",
                said=words,
                hint="check the credential in the profile",
                status=status,
            )
        case 403:
            return RightsError(
                f"{title} does not allow this profile to read this data",
                said=words,
                hint="ask the account's administrator for the right to read it",
                status=status,
            )
        case 404:
            return ProviderError(f"there is nothing at {answer.url}", said=words, hint="check base_url", status=status)
        case _ if status >= 500:
            hint = "run the command again later; if the error persists, ask the provider's support"
            return TemporaryError(f"{title} failed (HTTP {status})", said=words, hint=hint, status=status)
        case _:
            return ProviderError(
                f"{title} refused the request (HTTP {status})", said=words, hint=REFUSED_HINT, status=status
            )


def fault_of(title: str, policy: RetryPolicy, ask: Request, answer: Answer) -> CdrctlError | None:
    """Return the error of a response that a retry may mend, or None."""
    if answer.status in policy.busy:
        busy = answer.status in {423, 429}
        return TemporaryError(
            f"{title}'s rate limit is exceeded (HTTP {answer.status})"
            if busy
            else f"{title} failed (HTTP {answer.status})",
            said=said(answer),
            hint="nothing is lost: run the command again later",
            status=answer.status,
        )
    if not answer.good:
        return None
    if answer.status == 204 and ask.no_content:
        return None
    if answer.body is None and not (ask.bodiless and not answer.text):
        begins = beginning(answer.text, 60)
        if answer.text == "null":
            what = "null"
        else:
            what = f"incomplete or invalid JSON, beginning {begins!r}" if answer.text else "an empty body"
        return TemporaryError(
            f"{title} answered with {what}",
            hint="if this happens every time, base_url is probably not the address of the API",
            status=answer.status,
            code="web_page" if begins.lstrip().startswith("<") else "not_json",
        )
    return ask.whole(answer.body) if ask.whole else None
