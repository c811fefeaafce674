"""Sign in with a browser: the authorization page, the code in the redirect, and PKCE.

RFC 6749, section 4.1 (authorization code); RFC 7636 (PKCE); RFC 8252, sections 7.3 and 8 (redirects to loopback).
Nothing here prints or keeps a code, a verifier or a state.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from cdrctl.errors import SignInError

LOOPBACK = "127.0.0.1"
HTTP_PORT = 80
FIELDS = 20
"""More parameters than any redirect has."""
LONGEST_WORDS = 200


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in, from the authorization page to the code.

    Args:
        redirect_uri: The redirect URI, exactly as it is registered.
        state: The value that must come back in the redirect, so that no other redirect is accepted.
        verifier: The PKCE verifier, which proves that the code is ours. It is never sent to the browser.
    """

    redirect_uri: str
    state: str = field(repr=False)
    verifier: str = field(repr=False)

    @property
    def challenge(self) -> str:
        """The PKCE challenge: the SHA-256 of the verifier (RFC 7636, section 4.2)."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")


def begin(redirect_uri: str) -> Attempt:
    """Return a new attempt; its secrets have 256 bits each (RFC 7636, section 7.1)."""
    return Attempt(redirect_uri, secrets.token_urlsafe(32), secrets.token_urlsafe(32))


def page(authorize_url: str, client_id: str, scope: str, attempt: Attempt) -> str:
    """Return the URL of the authorization page (RFC 6749, section 4.1.1)."""
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": attempt.redirect_uri,
        "scope": scope,
        "state": attempt.state,
        "code_challenge": attempt.challenge,
        "code_challenge_method": "S256",
    }
    return f"{authorize_url}{'&' if '?' in authorize_url else '?'}{urlencode(asked, quote_via=quote, safe='')}"


def checked(redirect_uri: str) -> str:
    """Return a redirect URI after a check that it may receive a code.

    Raises:
        ValueError: It is neither https nor plain http on loopback, or has parts it must not have.
    """
    try:
        parts = urlsplit(redirect_uri)
        port = parts.port
    except ValueError:
        raise ValueError("a redirect URI must have a host and, at most, a port from 1 to 65535") from None
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("a redirect URI must not contain a user name, ? or #")
    if parts.scheme == "http" and parts.hostname in {LOOPBACK, "localhost"} and port != 0:
        return redirect_uri
    if parts.scheme == "https" and parts.hostname:
        return redirect_uri
    raise ValueError(f"a redirect URI must begin with http://{LOOPBACK}:PORT/, http://localhost:PORT/ or https://")


def port_of(redirect_uri: str) -> int | None:
    """Return the loopback port of a redirect URI, or None if it leads to another machine."""
    parts = urlsplit(redirect_uri)
    if parts.scheme != "http":
        return None
    return HTTP_PORT if parts.port is None else parts.port


def with_port(redirect_uri: str, port: int) -> str:
    """Return a redirect URI with another port."""
    parts = urlsplit(redirect_uri)
    return parts._replace(netloc=f"{parts.hostname}:{port}").geturl()


class StrangerError(Exception):
    """A redirect that does not belong to this attempt: a stranger's, or one of an earlier sign-in."""


def code_in(query: str, attempt: Attempt) -> str:
    """Return the code in the query of a redirect (RFC 6749, sections 4.1.2 and 10.12).

    Raises:
        StrangerError: Its state is not that of the attempt.
        SignInError: The sign-in was denied or refused.
    """
    try:
        values = parse_qs(query, keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError:
        raise StrangerError from None
    states = values.get("state", [])
    if len(states) != 1 or not hmac.compare_digest(states[0].encode(), attempt.state.encode()):
        raise StrangerError
    if "error" in values:
        raise _refusal(values["error"][0], " ".join(values.get("error_description", [])), attempt)
    codes = values.get("code", [])
    if len(codes) != 1 or not codes[0]:
        raise SignInError("the browser came back without a code", hint="run the command again")
    return codes[0]


def _refusal(error: str, description: str, attempt: Attempt) -> SignInError:
    """Return our error for an error in a redirect (RFC 6749, section 4.1.2.1)."""
    said = " ".join(filter(None, (error[:LONGEST_WORDS], description[:LONGEST_WORDS])))
    match error:
        case "access_denied":
            return SignInError(
                "the sign-in was denied in the browser",
                said=said,
                hint="run the command again, and accept the sign-in in the browser",
            )
        case "invalid_scope":
            hint = "select the scope for the integration where it is registered, then run the command again"
        case "server_error" | "temporarily_unavailable":
            hint = "run the command again later"
        case _:
            hint = f"check client_id, and that {attempt.redirect_uri} is registered with the integration"
    return SignInError("the sign-in was refused", said=said, hint=hint)


def pasted(text: str, attempt: Attempt) -> str:
    """Return the code in a pasted text: the whole address on which the browser ended, or the code alone.

    Raises:
        ValueError: It is neither; the error says why, and repeats nothing of the text.
        StrangerError: The address is that of another sign-in.
        SignInError: The sign-in was denied or refused.
    """
    text = text.strip()
    if not text:
        raise ValueError("nothing was pasted")
    if text.startswith(("http://", "https://")):
        address, _, query = text.partition("?")
        if address != attempt.redirect_uri:
            raise ValueError(f"that is not the final address in the browser: it begins with {attempt.redirect_uri}")
        return code_in(query.partition("#")[0], attempt)
    if "=" in text.rstrip("=") and "state=" in text:
        return code_in(text.lstrip("?"), attempt)
    if any(char.isspace() or not char.isprintable() for char in text):
        raise ValueError("that is not a code: it contains spaces")
    return text
