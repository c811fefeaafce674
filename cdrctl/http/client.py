"""The polite client: paced, patient, signed in, and careful whom it shows the credential.

ask                  per request:  is this address ours? sign in, renew once on 401, turn the answer into our errors
 └ send_with_retry   per attempt:  wait for the rate limit, exchange, and on a passing fault wait and try again
    └ exchange       once:         bytes out, bytes in
"""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from cdrctl.errors import CdrctlError, Message, ProviderError, TemporaryError
from cdrctl.http.answers import fault_of, may_pass, seconds_asked
from cdrctl.http.bodies import MEBIBYTE
from cdrctl.http.connections import Connections
from cdrctl.http.exchange import Read, exchange, pieces
from cdrctl.http.failures import BrokenExchangeError
from cdrctl.http.messages import Answer, Request
from cdrctl.http.pace import Clock, RateLimit, RateLimiter, RateStore, RetryPolicy
from cdrctl.http.proxies import TRIES as PROXY_TRIES, unreachable
from cdrctl.http.retry import MAX_WAIT, TRIES, Patience, exhausted, http_date, postponed, span
from cdrctl.http.tokens import Credential, Sign, SignIn, Token, TokenStore, sign_headers, unauthorized
from cdrctl.http.urls import host_of, unambiguous

if TYPE_CHECKING:
    from cdrctl.http.transport import Transport


LONG_WAIT = 30.0
"""Seconds of a wait whose end is said, too."""

LARGEST = 256 * MEBIBYTE
"""Bytes that one answer may have when nothing is said: far above any real page, far below a machine's memory."""

CLOCKS_MAY_DIFFER = timedelta(minutes=2)
"""As far as a clock may be off before it is said."""

Level = Literal["debug", "progress", "wait", "note", "warning"]
Log = Callable[[Level, str], None]


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
        log: Receives notes, warnings, waits and details.
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
        token_store: TokenStore | None = None,
        rate_store: RateStore | None = None,
        clock: Clock | None = None,
        log: Log = _silent,
        conceal: Callable[[Sequence[str]], None] = lambda _secrets: None,
        jitter: Callable[[], float] = random.random,
        transport: Transport | None = None,
    ) -> None:
        self.title = title
        self.base_url = base_url.rstrip("/")
        self.kinds: Counter[str] = Counter()  # how many requests of each kind were sent
        self.clock = clock or Clock()
        self.log = log
        self._retry_policy = retry_policy
        self._error_for = error_for
        self._allows_url = allows_url
        self._sign = sign
        self._ended = ended
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
        self._credential = Credential(
            sign_in, lambda ask: self._send_with_retry(ask, None, self.patience()), self.clock, token_store, conceal
        )
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
        token = self._credential.current()
        patience = patience or self.patience()
        answer = self._send_with_retry(self._signed(ask, token), tries, patience)
        ours = False
        while ask.signed and not ours and self._ended(answer):
            token, ours = self._credential.instead_of(token, answer)
            answer = self._send_with_retry(self._signed(ask, token), tries, patience)
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

    def _send_with_retry(self, ask: Request, tries: int | None, patience: Patience) -> Answer:
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
                fault = fault_of(self.title, self._retry_policy, ask, answer)
                if fault is None:
                    self._waited_in_vain = False
                    return answer
                error, lasting = fault, not may_pass(self._retry_policy, answer, fault)
            if patience.tries > 1:
                patience.spent += max(0.0, self.clock.monotonic() - began)
            few += lasting
            if attempt >= most or few >= TRIES:
                break
            self.wait_to_retry(patience, error, seconds_asked(self._retry_policy, answer, error, self.clock.now()))
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
