"""The polite client: paced, patient, signed in, and careful whom it shows the credential.

ask      per request:  is this address ours? sign in, renew once on 401, turn the answer into our errors
 └ politely  per attempt: wait for the budget, exchange, and on a passing fault wait and try again
    └ exchange  once:        bytes out, bytes in
"""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, Protocol

from cdrctl.damage import plain
from cdrctl.errors import (
    CdrctlError,
    ConfigurationError,
    Message,
    ProviderError,
    RightsError,
    SignInError,
    TemporaryError,
)
from cdrctl.http.bodies import MEBIBYTE
from cdrctl.http.connections import Connections
from cdrctl.http.exchange import Read, beginning, exchange, pieces
from cdrctl.http.failures import BrokenExchangeError
from cdrctl.http.messages import Answer, Request
from cdrctl.http.pace import Clock, RateLimit, RateLimiter, RateStore, RetryPolicy
from cdrctl.http.proxies import TRIES as PROXY_TRIES, unreachable
from cdrctl.http.retry import MAX_WAIT, TRIES, Patience, exhausted, http_date, postponed, retry_after, span
from cdrctl.http.urls import host_of, unambiguous
from cdrctl.records.readers import iso_instant

if TYPE_CHECKING:
    import httpx

LONG_WAIT = 30.0
"""Seconds of a wait whose end is said, too."""
RENEW_BEFORE = timedelta(seconds=60)

LARGEST = 256 * MEBIBYTE
"""Bytes that one answer may have when nothing is said: far above any real page, far below a machine's memory."""

CLOCKS_MAY_DIFFER = timedelta(minutes=2)
"""As far as a clock may be off before it is said."""

Level = Literal["debug", "progress", "wait", "note", "warning"]
Log = Callable[[Level, str], None]
SignIn = Callable[["Token | None", datetime], Generator[Request, Answer, "Token"]]


@dataclass(frozen=True, slots=True)
class Token:
    """What a sign-in gives.

    Args:
        headers: The headers that carry it.
        fields: The fields that carry it where the provider wants it in the body.
        expires: When it ends, as a UTC instant, or None when that is not known.
        refresh_token: What the next sign-in needs, where the provider hands out a new one each time.
    """

    headers: Mapping[str, str] = field(repr=False)
    expires: datetime | None = None
    refresh_token: str | None = field(default=None, repr=False)
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)

    def ended(self, now: datetime) -> bool:
        """Return whether it is over, or so nearly that the next answer may come too late."""
        return self.expires is not None and now >= self.expires - RENEW_BEFORE

    @property
    def secrets(self) -> list[str]:
        """The strings in it that nobody may see."""
        values = [value.removeprefix("Bearer ") for value in self.headers.values()]
        return [*values, *self.fields.values(), *([self.refresh_token] if self.refresh_token else [])]

    def plain(self) -> dict[str, Any]:
        """Return it as plain values, to be kept."""
        expires = self.expires.isoformat() if self.expires else None
        return {"headers": dict(self.headers), "expires": expires, "refresh_token": self.refresh_token}

    @classmethod
    def from_plain(cls, kept: Mapping[str, Any]) -> Token:
        """Return the token that was kept as plain values.

        Raises:
            ConfigurationError: They are not what `plain` gave.
        """
        try:
            expires = iso_instant(kept["expires"]) if kept["expires"] is not None else None
            headers = dict(kept["headers"])
            "".join([*headers, *headers.values(), kept["refresh_token"] or ""])  # a TypeError where one is no text
            return cls(headers, expires, kept["refresh_token"])
        except (KeyError, ValueError, TypeError):
            raise ConfigurationError(
                "the token that an earlier run kept for this profile cannot be read",
                hint="sign in anew and put the new credential into the profile",
            ) from None


Sign = Callable[[Request, Token], Request]


def sign_headers(ask: Request, token: Token) -> Request:
    """Return the request with the token in its headers."""
    return replace(ask, headers={**ask.headers, **token.headers})


def unauthorized(answer: Answer) -> bool:
    """Return whether the status of an answer is 401 (RFC 9110, section 15.5.2)."""
    return answer.status == 401


class TokenStore(Protocol):
    """Where tokens are kept between runs: whoever renews one holds the lock, and writes before anyone uses it."""

    def locked(self) -> AbstractContextManager[None]:
        """Hold the lock."""

    def load(self) -> dict[str, Any] | None:
        """Return what is kept, or None."""

    def save(self, token: dict[str, Any]) -> None:
        """Keep it, durably."""


class ClosedError(Exception):
    """The client was closed meanwhile: who asks in another thread is to end."""


def _silent(_level: Level, _text: str) -> None:
    """Say nothing."""


class Client:
    """One profile's way to its provider for one run; counts its requests, and compares the clocks (`ahead`).

    Several threads may ask at once: they keep one budget and have one token, which one of them renews.

    Args:
        title: The provider as said in messages.
        base_url: Where the API is.
        retry_policy: The provider's budgets and patience.
        sign_in: Yields the requests of a sign-in, is sent their answers, returns the token.
        error_for: From an answer to the error it means, or None.
        allows_url: Whether a URL may be sent the credential.
        sign: From a request and a token to the request that carries it; in its headers when left out.
        ended: Whether an answer says that the token has ended; the status 401 when left out.
        requests_per_minute: The profile's own pace; 0 for none.
        timeout: Seconds between two pieces of an answer.
        max_wait: The total that one request may wait for retries.
        largest: Bytes that one answer may have, decompressed.
        ca_file: The authority to trust, or None for the usual ones.
        shelf: Where renewed tokens are kept, or None.
        rate_store: Where the pace is shared with others who use the same credential, or None.
        clock: Time and waiting.
        tell: Told what a user may want to know meanwhile.
        conceal: Told every secret that a sign-in gives, so that none is ever printed.
        transport: In place of the network, in tests.
    """

    def __init__(
        self,
        *,
        title: str,
        base_url: str,
        retry_policy: RetryPolicy,
        sign_in: SignIn,
        error_for: Callable[[Answer], CdrctlError | None],
        allows_url: Callable[[str], bool],
        sign: Sign = sign_headers,
        ended: Callable[[Answer], bool] = unauthorized,
        requests_per_minute: float | None = None,
        timeout: float = 60.0,
        max_wait: timedelta = MAX_WAIT,
        largest: int = LARGEST,
        ca_file: str | None = None,
        shelf: TokenStore | None = None,
        rate_store: RateStore | None = None,
        clock: Clock | None = None,
        log: Log = _silent,
        conceal: Callable[[Sequence[str]], None] = lambda _secrets: None,
        jitter: Callable[[], float] = random.random,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.title = title
        self.base_url = base_url.rstrip("/")
        self.kinds: Counter[str] = Counter()  # how many requests of each kind were sent
        self.clock = clock or Clock()
        self.log = log
        self._manners = retry_policy
        self._sign_in = sign_in
        self._error_for = error_for
        self._allows_url = allows_url
        self._sign = sign
        self._ended = ended
        self._shelf = shelf
        self._conceal = conceal
        self._jitter = jitter
        self._largest = largest
        self.read: Read | None = None  # what reads answers with records in them faster than others
        self.tries: int | None = None  # of one request at most, or None; doctor sets 1, so that it never waits
        self._max_wait = max_wait.total_seconds()
        self._waited_in_vain = False  # whether the last request that was tried again never got its answer
        self._answered = False  # whether an answer ever came: then the address is right, and a lost connection returns
        self.ahead: timedelta | None = None  # how far our clock is ahead of the provider's, once that is known
        self._pace = RateLimiter(
            retry_policy.budgets, requests_per_minute, self.clock, rate_store, lambda text: self.log("debug", text)
        )
        self._token: Token | None = None
        self._renew_at: datetime | None = None
        self._refused: SignInError | None = None
        self._signing = threading.Lock()  # one thread signs in, which may take long, and the others wait for its token
        self._counting = threading.Lock()
        self._closed = False
        self._pool = Connections(base_url=base_url, timeout=timeout, ca_file=ca_file, transport=transport)

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self.kinds.total()

    def present(self) -> datetime:
        """Return the present instant, by the provider's clock once it is known to differ from this machine's."""
        now = self.clock.now()
        return now - self.ahead if self.ahead is not None and abs(self.ahead) >= CLOCKS_MAY_DIFFER else now

    def minimum_seconds(self, share: float) -> float:
        """Return the seconds that so many times the requests so far take at least, as fast as may be asked."""
        return self._pace.minimum_seconds({kind: count * share for kind, count in self.kinds.items()})

    def close(self) -> None:
        """Close the connections; what other threads still ask or say ends here, and their turns are given back."""
        self._closed = True
        self.log = _silent
        self._pace.give_back()
        self._pool.close()

    def get(
        self,
        url: str,
        params: Sequence[tuple[str, str]] = (),
        *,
        kind: str = "page",
        whole: Callable[[Any], CdrctlError | None] | None = None,
        records: tuple[str, ...] = (),
    ) -> Answer:
        """Return the answer to a GET of a path under base_url, or of a whole URL."""
        return self.ask(Request("GET", self.at(url), params, kind=kind, whole=whole, records=records))

    def at(self, path: str) -> str:
        """Return the URL of a path under base_url, which begins with a slash; a whole URL stays as it is."""
        return f"{self.base_url}{path}" if path.startswith("/") else path

    def slow_down(self, kind: str, budget: RateLimit) -> None:
        """Keep one more budget for requests of a kind until the end of the run."""
        self._pace.slow_down(kind, budget)

    def patience(self) -> Patience:
        """Return the time that one request may wait for retries, to be used up by `ask` and `wait_to_retry`.

        Once a request has waited in vain the next ones wait no more, until one is answered: a fetcher that looks
        whether the provider is down, and an archive that goes on with another day, would else wait as long each time.
        """
        return Patience(0.0 if self._waited_in_vain else self._max_wait)

    def ask(self, ask: Request, *, tries: int | None = None, patience: Patience | None = None) -> Answer:
        """Return the good answer to a request, signed in, renewed once when the token has ended.

        A request whose fault may pass is sent again until its patience is used up, at most `tries` times. Callers that
        send it again themselves, because the provider says "later" in a way of its own, hand over the same patience
        each time and wait with `wait_to_retry`.

        Raises:
            ProviderError: The address is not one the credential may be shown to: nothing is sent.
            CdrctlError: What the provider's answer means, or TemporaryError when no try was answered.
        """
        self._check_address(ask.url)
        token = self._current()
        patience = patience or self.patience()
        answer = self._politely(self._signed(ask, token), tries, patience)
        ours = False
        while ask.signed and not ours and self._ended(answer):
            token, ours = self._instead(token, answer)
            answer = self._politely(self._signed(ask, token), tries, patience)
        error = self._error_for(answer)
        if error is not None:
            raise error
        return answer

    def download(self, ask: Request) -> Iterator[bytes]:
        """Yield the body of an answer piece by piece, as it comes; it is asked once, without a credential.

        Raises:
            ProviderError: The address is not the profile's own: nothing is sent.
            TemporaryError: The connection failed or broke off.
            CdrctlError: What an answer that is not good means.
        """
        self._check_address(ask.url)
        self._count(ask.kind)
        try:
            yield from pieces(self._pool, ask, self._error_for)
        except BrokenExchangeError as broken:
            raise self._not_reached(broken) from None

    def pause(self, seconds: float, why: str) -> None:
        """Wait, having said why."""
        self.log("wait", f"waiting {seconds:.0f} s{self._until(seconds)}: {why}")
        self.clock.sleep(seconds)

    def _signed(self, ask: Request, token: Token) -> Request:
        return self._sign(ask, token) if ask.signed else ask

    def _check_address(self, url: str) -> None:
        if not self._may_go_to(url):
            raise ProviderError(
                f"{self.title} sent a link to another host ({host_of(url) or 'none at all'}); it was not followed, "
                "and no credential was sent there",
                hint="check base_url; if it is right, tell us about this host",
            )

    def _may_go_to(self, url: str) -> bool:
        try:
            return unambiguous(url) and self._allows_url(url)
        except ValueError:  # urlsplit's word for what is no URL
            return False

    def _count(self, kind: str) -> None:
        with self._counting:
            self.kinds[kind] += 1

    def _until(self, seconds: float) -> str:
        """Return when a wait ends, for those that are long enough to ask."""
        return f", until {self.clock.now() + timedelta(seconds=seconds):%H:%M:%S} UTC" if seconds >= LONG_WAIT else ""

    def _current(self) -> Token:
        """Return the token to use, which is a new one where there was none, or where it is about to end."""
        with self._signing:
            token = self._token
            if token is None or (self._renew_at is not None and self.clock.now() >= self._renew_at):
                token = self._use(self._renewed(token))
            return token

    def _instead(self, ended: Token, refusal: Answer) -> tuple[Token, bool]:
        """Return another token than the one that was refused, and whether it is new.

        The one that another thread has got meanwhile may have ended as well.
        """
        with self._signing:
            if self._token is not None and self._token is not ended:
                return self._token, False
            return self._use(self._renewed(ended, refusal)), True

    def _use(self, token: Token) -> Token:
        """Return the token, which is used from now on and renewed shortly before its end.

        One that is good for less than two minutes would else be renewed before every request, and one that ended
        before it came, as by a wrong clock, is used until it is refused.
        """
        self._token, self._renew_at = token, None
        if token.expires is not None:
            life = token.expires - self.clock.now()
            if life > timedelta(0):
                self._renew_at = token.expires - min(RENEW_BEFORE, life / 2)
        return token

    def _renewed(self, ended: Token | None, refusal: Answer | None = None) -> Token:
        """Return a token that is not the one that ended, kept on the shelf before anyone uses it."""
        if self._shelf is None:
            return self._signed_in(ended, refusal)
        with self._shelf.locked():
            kept = self._shelf.load()
            token = Token.from_plain(kept) if kept else None
            if token is not None:
                self._conceal(token.secrets)
            known = token is not None and ended is not None and token.headers == ended.headers
            if token is not None and not known and not token.ended(self.clock.now()):
                return token  # another run has renewed it meanwhile
            token = self._signed_in(token or ended, refusal)
            if token.refresh_token:
                self._shelf.save(token.plain())
            return token

    def _signed_in(self, ended: Token | None, refusal: Answer | None) -> Token:
        if self._refused is not None:  # what was wrong for one thread is wrong for all: no account is locked for that
            raise self._refused
        flow = self._sign_in(ended, self.clock.now())
        try:
            ask = next(flow)
            while True:
                ask = flow.send(self._politely(ask, None, self.patience()))
        except StopIteration as done:
            token: Token = done.value
        except SignInError as error:
            if error.said is None and refusal is not None:
                error.said = said(refusal)
            self._refused = error
            raise
        self._conceal(token.secrets)
        return token

    def wait_to_retry(self, patience: Patience, error: CdrctlError, asked: float | None = None) -> None:
        """Wait until a request may be sent again, having said why.

        Args:
            patience: What is left of the request's time; the wait is taken from it.
            error: What was wrong with the last answer.
            asked: The seconds for which the provider wants to be left alone, or None for a growing wait of our own.

        Raises:
            CdrctlError: The error, with when to come back: there is not so much time left.
        """
        if not patience.left or (asked is not None and asked > patience.left):
            self._waited_in_vain = True
            raise postponed(error, asked, self.clock.now(), patience) if asked else exhausted(error, patience)
        wait = patience.wait(asked, self._jitter())
        left = span(timedelta(seconds=patience.left))
        self.log("note", f"{error.message}; trying again in {wait:.0f} s{self._until(wait)}, for up to {left}")
        patience.spent += wait
        self.clock.sleep(wait)

    def _politely(self, ask: Request, tries: int | None, patience: Patience) -> Answer:
        """Return the first answer that is not a passing fault.

        Raises:
            TemporaryError: None came in so many tries, or in the time that the request may wait.
        """
        most = min(one for one in (tries, self.tries, sys.maxsize) if one is not None)
        few = 0  # faults that are likely to stay
        for attempt in count(1):
            self._wait_for_budget(ask.kind)
            self._count(ask.kind)
            patience.tries += 1
            answer: Answer | None = None
            sent, began = self.clock.now(), self.clock.monotonic()
            try:
                answer = exchange(self._pool, ask, self._largest, self.read)
            except BrokenExchangeError as broken:
                lasting = broken.answered or broken.proxy is not None or not self._answered
                most = min(most, PROXY_TRIES) if broken.proxy is not None else most
                error: CdrctlError = self._not_reached(broken)
            else:
                self._answered = True
                self.log("debug", f"{ask.method} {answer.url} -> {answer.status}")
                self._compare_clocks(answer, sent)
                fault = self._fault(ask, answer)
                if fault is None:
                    self._waited_in_vain = False
                    return answer
                error, lasting = fault, not self._may_pass(answer, fault)
            if patience.tries > 1:
                patience.spent += max(0.0, self.clock.monotonic() - began)
            few += lasting
            if attempt >= most or few >= TRIES:
                break
            self.wait_to_retry(patience, error, self._asked(answer, error))
        if patience.tries > 1 and isinstance(error, TemporaryError):
            error.message += f" ({patience.tries} tries)"
        raise error

    def _not_reached(self, broken: BrokenExchangeError) -> CdrctlError:
        """Return the error of an exchange that failed on its way: the proxy's where that one failed."""
        if broken.proxy is not None:
            return unreachable(broken.proxy, str(broken), worked=self._answered)
        return TemporaryError(f"{self.title} cannot be reached: {broken}", hint="nothing is lost: run it again later")

    def _wait_for_budget(self, kind: str) -> None:
        """Wait until a request of this kind may be sent; whoever is interrupted meanwhile lets others have the turn.

        Raises:
            ClosedError: The client was closed, before or meanwhile.
        """
        turn = self._pace.reserve(kind)
        try:
            if not self._closed:
                if turn.wait >= 1:
                    ends = self._until(turn.wait)
                    why = f"that is as fast as {self.title} may be asked"
                    self.log("wait", Message(f"waiting {turn.wait:.0f} s{ends}", why, between=": "))
                if turn.wait > 0:
                    self.clock.sleep(turn.wait)
        except BaseException:
            self._pace.give_back(turn)
            raise
        if self._closed or not self._pace.take(turn):
            self._pace.give_back(turn)
            raise ClosedError

    def _fault(self, ask: Request, answer: Answer) -> CdrctlError | None:
        """Return what is wrong with an answer that another try may mend, or None."""
        if answer.status in self._manners.busy:
            busy = answer.status in {423, 429}
            return TemporaryError(
                f"{self.title} is being asked too fast (HTTP {answer.status})"
                if busy
                else f"{self.title} failed (HTTP {answer.status})",
                said=said(answer),
                hint="nothing is lost: run it again later",
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
                what = f"something that is not whole JSON, beginning {begins!r}" if answer.text else "an empty body"
            return TemporaryError(
                f"{self.title} answered with {what}",
                hint="if this happens every time, base_url is probably not the address of the API",
                status=answer.status,
                code="web_page" if begins.lstrip().startswith("<") else "not_json",
            )
        return ask.whole(answer.body) if ask.whole else None

    def _compare_clocks(self, answer: Answer, sent: datetime) -> None:
        """Notice, once, that this machine's clock is not the provider's: windows up to now depend on it.

        `Date` is when an answer was made (RFC 9110, section 6.6.1): not before it was asked for, not after it came. One
        that a cache kept has an `Age`.
        """
        theirs = http_date(answer.headers.get("date", "")) if self.ahead is None else None
        if theirs is None or "age" in answer.headers:
            return
        with self._counting:
            if self.ahead is not None:
                return
            self.ahead = max(sent - theirs, timedelta(0)) + min(self.clock.now() - theirs, timedelta(0))
        if abs(self.ahead) >= CLOCKS_MAY_DIFFER:
            side = "ahead of" if self.ahead > timedelta(0) else "behind"
            what = (
                f"this machine's clock is {span(abs(self.ahead))} {side} {self.title}'s, whose answer says "
                f"{theirs.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
            )
            then = "now, today and 24h are counted from the wrong instant"
            self.log("warning", Message(what, then, between=": ", code="clock"))

    def _asked(self, answer: Answer | None, error: CdrctlError) -> float | None:
        """Return the seconds for which the provider wants to be left alone, as far as it says so."""
        if isinstance(error, TemporaryError) and error.wait is not None:
            return error.wait
        if answer is None:
            return None
        asked = retry_after(answer, self.clock.now())
        return asked if asked is not None else self._manners.waits.get(answer.status)

    def _may_pass(self, answer: Answer, fault: CdrctlError) -> bool:
        """Return whether a fault is worth waiting for as long as is allowed.

        A server that is overloaded, restarted or in maintenance answers again. An HTTP 500, or a body that is not the
        API's, is more often the answer to this request, or of another server: it is asked for a few times.
        """
        if isinstance(fault, TemporaryError) and fault.wait is not None:
            return True
        return not answer.good and answer.status not in self._manners.brief


LONGEST_WORDS = 500


def said(answer: Answer) -> str | None:
    """Return the provider's own words in an answer, wherever providers put them, or None.

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
    shown = plain(" ".join(dict.fromkeys(words)))
    if len(shown) > LONGEST_WORDS:
        shown = beginning(shown, LONGEST_WORDS - 1) + "…"
    if isinstance(tracking, str) and tracking:
        shown = f"{shown} (tracking id {plain(tracking[:LONGEST_WORDS])})".strip()
    return shown or None


def error_of(title: str, answer: Answer) -> CdrctlError | None:
    """Return what a status means where the provider gives it no meaning of its own, or None for a 2xx."""
    if answer.good:
        return None
    words, status = said(answer), answer.status
    match status:
        case 300 | 301 | 302 | 303 | 307 | 308:
            host = host_of(answer.headers.get("location", "")) or "another page"
            return ConfigurationError(
                f"{title} redirects to {host}; that is not followed, because it would take the credential along",
                hint="set base_url to where the API really is",
                status=status,
            )
        case 401:
            return SignInError(f"{title} does not accept the credential of this profile", said=words, status=status)
        case 403:
            return RightsError(f"{title} does not allow this profile to read that", said=words, status=status)
        case 404:
            return ProviderError(f"there is nothing at {answer.url}", said=words, hint="check base_url", status=status)
        case _:
            kind = TemporaryError if status >= 500 else ProviderError
            return kind(f"{title} refused the request (HTTP {status})", said=words, status=status)
