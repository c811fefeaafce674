"""Tokens: how a request carries one, when it expires, and where it is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from msgspec.structs import replace

from cdrctl.errors import ConfigurationError, SignInError
from cdrctl.http.answers import said
from cdrctl.http.messages import Answer, Request
from cdrctl.http.pace import Clock
from cdrctl.records.readers import iso_instant

RENEW_BEFORE = timedelta(seconds=60)
SignIn = Callable[["Token | None", datetime], Generator[Request, Answer, "Token"]]


@dataclass(frozen=True, slots=True)
class Token:
    """The result of a sign-in.

    Args:
        headers: The headers that carry it.
        fields: The fields that carry it, if the provider wants it in the body.
        expires: When it expires, as a UTC instant; None if that is not known.
        refresh_token: The refresh token for the next sign-in, if the provider issues one.
    """

    headers: Mapping[str, str] = field(repr=False)
    expires: datetime | None = None
    refresh_token: str | None = field(default=None, repr=False)
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)

    def ended(self, now: datetime) -> bool:
        """Return whether it has expired, or will before the next response may come."""
        return self.expires is not None and now >= self.expires - RENEW_BEFORE

    @property
    def secrets(self) -> list[str]:
        """The secrets in it."""
        values = [value.removeprefix("Bearer ") for value in self.headers.values()]
        return [*values, *self.fields.values(), *([self.refresh_token] if self.refresh_token else [])]

    def plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        expires = self.expires.isoformat() if self.expires else None
        return {"headers": dict(self.headers), "expires": expires, "refresh_token": self.refresh_token}

    @classmethod
    def from_plain(cls, kept: Mapping[str, Any]) -> Token:
        """Return the token from its JSON values.

        Raises:
            ConfigurationError: They are not those of `plain`.
        """
        try:
            expires = iso_instant(kept["expires"]) if kept["expires"] is not None else None
            headers = dict(kept["headers"])
            "".join([*headers, *headers.values(), kept["refresh_token"] or ""])  # a TypeError if one is not text
            return cls(headers, expires, kept["refresh_token"])
        except (KeyError, ValueError, TypeError):
            raise ConfigurationError(
                "the stored token of this profile cannot be read",
                hint="sign in again and put the new credential into the profile",
            ) from None


Sign = Callable[[Request, Token], Request]
Send = Callable[[Request], Answer]


def sign_headers(ask: Request, token: Token) -> Request:
    """Return the request with the token in its headers."""
    return replace(ask, headers={**ask.headers, **token.headers})


def unauthorized(answer: Answer) -> bool:
    """Return whether the status of a response is 401 (RFC 9110, section 15.5.2)."""
    return answer.status == 401


class TokenStore(Protocol):
    """Keeps tokens between runs. The run that renews one holds the lock, and saves it before it uses it."""

    def locked(self) -> AbstractContextManager[None]:
        """Hold the lock."""

    def load(self) -> dict[str, Any] | None:
        """Return the saved token as JSON values, or None."""

    def save(self, token: dict[str, Any]) -> None:
        """Save a token to disk."""


class Credential:
    """The token of one run: one thread signs in, and the others wait for its token.

    Args:
        sign_in: Yields the requests of a sign-in, receives their responses, returns the token.
        clock: The clock by which tokens expire.
        store: Keeps renewed tokens between runs, or None.
        conceal: Receives every secret of a token, so that it is never printed.
    """

    def __init__(
        self,
        sign_in: SignIn,
        clock: Clock,
        store: TokenStore | None,
        conceal: Callable[[Sequence[str]], None],
    ) -> None:
        self._sign_in = sign_in
        self._clock = clock
        self._store = store
        self._conceal = conceal
        self._token: Token | None = None
        self._renew_at: datetime | None = None
        self._refused: SignInError | None = None
        self._lock = threading.Lock()

    def current(self, send: Send) -> Token:
        """Return the token to use: a new one if there was none, or if it is about to expire."""
        with self._lock:
            token = self._token
            if token is None or (self._renew_at is not None and self._clock.now() >= self._renew_at):
                token = self._use(self._renewed(token, None, send))
            return token

    def instead_of(self, ended: Token, refusal: Answer, send: Send) -> tuple[Token, bool]:
        """Return another token than the one that was refused, and whether it is new.

        A token that another thread got in the meantime may have expired too.
        """
        with self._lock:
            if self._token is not None and self._token is not ended:
                return self._token, False
            return self._use(self._renewed(ended, refusal, send)), True

    def _use(self, token: Token) -> Token:
        """Use a token from now on, renew it shortly before it expires, and return it.

        A token that lives less than two minutes is renewed at half its life, and not before every request. One that
        has expired already, as by a wrong clock, is used until it is refused.
        """
        self._token, self._renew_at = token, None
        if token.expires is not None:
            life = token.expires - self._clock.now()
            if life > timedelta(0):
                self._renew_at = token.expires - min(RENEW_BEFORE, life / 2)
        return token

    def _renewed(self, ended: Token | None, refusal: Answer | None, send: Send) -> Token:
        """Return a token other than the expired one. It is saved before it is used."""
        if self._store is None:
            return self._signed_in(ended, refusal, send)
        with self._store.locked():
            kept = self._store.load()
            token = Token.from_plain(kept) if kept else None
            if token is not None:
                self._conceal(token.secrets)
            known = token is not None and ended is not None and token.headers == ended.headers
            if token is not None and not known and not token.ended(self._clock.now()):
                return token  # another run has renewed it
            token = self._signed_in(token or ended, refusal, send)
            if token.refresh_token:
                self._store.save(token.plain())
            return token

    def _signed_in(self, ended: Token | None, refusal: Answer | None, send: Send) -> Token:
        if self._refused is not None:  # refused for all threads: repeating it could lock the account
            raise self._refused
        flow = self._sign_in(ended, self._clock.now())
        try:
            ask = next(flow)
            while True:
                ask = flow.send(send(ask))
        except StopIteration as done:
            token: Token = done.value
        except SignInError as error:
            if error.said is None and refusal is not None:
                error.said = said(refusal)
            self._refused = error
            raise
        self._conceal(token.secrets)
        return token
