"""Send requests: keep the rate limit, retry what may pass, and wait no longer than the user allows."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct, field

from cdrctl.errors import CdrctlError, Message, TemporaryError
from cdrctl.http.answers import fault_of
from cdrctl.http.clocks import CLOCKS_MAY_DIFFER, clock_lead, clock_warning, their_time
from cdrctl.http.connections import Connections
from cdrctl.http.exchange import Read, exchange, pieces
from cdrctl.http.failures import BrokenExchangeError
from cdrctl.http.messages import Answer, Request
from cdrctl.http.pace import Clock, RateLimiter
from cdrctl.http.proxies import TRIES as PROXY_TRIES, unreachable
from cdrctl.http.retry import Failure, Patience, Retries, RetryPolicy, exhausted, is_outage, postponed, span
from cdrctl.http.urls import host_of

SHORT_WAIT = 10.0
"""Seconds: the longest that a request waits for a provider that another profile of the run has waited for in vain."""

LONG_WAIT = 30.0
"""Seconds: the message about a longer wait says when it ends."""

Level = Literal["debug", "progress", "wait", "note", "warning"]
Log = Callable[[Level, str], None]


class ClosedError(Exception):
    """The client was closed in the meantime: a thread that still sends requests must end."""


class RunState(Struct):
    """What a run has learnt from its responses. Threads share it.

    Args:
        kinds: How many requests of each kind were sent.
        answered: Whether a response ever came: then the address is right, and a lost connection returns.
        waited_in_vain: Whether the last request that was retried never got its response.
        ahead: How far our clock is ahead of the provider's, once that is known.
        closed: Nothing is sent or logged any more.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    answered: bool = False
    waited_in_vain: bool = False
    ahead: timedelta | None = None
    closed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, kind: str) -> None:
        """Count a request."""
        with self.lock:
            self.kinds[kind] += 1

    def learn_clock(self, ahead: timedelta) -> bool:
        """Keep how far our clock is ahead, and return whether it was unknown."""
        with self.lock:
            if self.ahead is not None:
                return False
            self.ahead = ahead
            return True


Outages = dict[str, RunState]
"""The hosts that did not answer a profile of this run for as long as it waits, with what that profile has learnt."""


class Sender(Struct, frozen=True, kw_only=True):
    """Sends the requests of one profile.

    Args:
        title: The provider's name in messages.
        policy: Its rate limits, and what is retried.
        error_for: From a response to the error it stands for, or None.
        connections: Its connections.
        limiter: Says when a request may be sent.
        state: What the run has learnt.
        clock: Time and waiting.
        report: Receives notes, warnings, waits and details.
        jitter: Returns a number between 0 and 1, so that two clients do not retry at the same instant.
        max_wait: Seconds that one request may wait for retries in total.
        largest: Bytes that one response may have, decompressed.
        outages: The hosts that do not answer. The profiles of a run share them.
        decode: Decodes responses with records faster than others, or None.
        tries: Upper bound on the attempts of each request, or None.
    """

    title: str
    policy: RetryPolicy
    error_for: Callable[[Answer], CdrctlError | None]
    connections: Connections
    limiter: RateLimiter
    state: RunState
    clock: Clock
    report: Log
    jitter: Callable[[], float]
    max_wait: float
    largest: int
    outages: Outages = field(default_factory=dict)
    decode: Read | None = None
    tries: int | None = None

    def log(self, level: Level, text: str) -> None:
        """Log a message, unless the client is closed."""
        if not self.state.closed:
            self.report(level, text)

    def patience(self) -> Patience:
        """Return the time that one request may wait for retries.

        After a request has waited in vain, the next ones do not wait until one is answered: a fetcher that tests
        whether the provider is down, and an archive that goes on with another day, would else wait as long each time.
        """
        return Patience(0.0 if self.state.waited_in_vain else self.max_wait)

    def send(self, ask: Request, patience: Patience, tries: int | None = None) -> Answer:
        """Return the first response that is not a failure to be retried.

        Args:
            ask: The request.
            patience: The time that it may still wait; the waits are taken from it.
            tries: Upper bound on the attempts, or None.

        Raises:
            CdrctlError: The failure of the last attempt.
        """
        most = min((one for one in (tries, self.tries) if one is not None), default=None)
        retries = Retries(self.policy, ask, most)
        while True:
            self._wait_for_slot(ask.kind)
            self.state.count(ask.kind)
            patience.tries += 1
            began = self.clock.monotonic()
            came = self._attempt(ask)
            self._watch(ask, came, patience)
            if isinstance(came, Answer):
                self.state.waited_in_vain = False
                return came
            if patience.tries > 1:
                patience.spent += max(0.0, self.clock.monotonic() - began)
            again, wait = retries.next_wait(came, patience.left, self.clock.now())
            if not again:
                self._give_up(ask, came)
                if patience.tries > 1 and isinstance(came.error, TemporaryError):
                    came.error.message += f" ({patience.tries} tries)"
                raise came.error
            try:
                self.wait_to_retry(patience, came.error, wait)
            except CdrctlError:
                self._give_up(ask, came)
                raise

    def _watch(self, ask: Request, came: Answer | Failure, patience: Patience) -> None:
        """Shorten what a request may wait for a server that another profile of the run has waited for in vain.

        Else an outage would hold up a night of a thousand profiles for as long as each of them may wait.
        """
        if not self.outages:
            return
        if not (isinstance(came, Failure) and is_outage(came)):
            self.outages.pop(host_of(ask.url), None)
        elif self.outages.get(host_of(ask.url), self.state) is not self.state:
            patience.total = min(patience.total, SHORT_WAIT)

    def _give_up(self, ask: Request, failure: Failure) -> None:
        if is_outage(failure):
            self.outages.setdefault(host_of(ask.url), self.state)

    def _attempt(self, ask: Request) -> Answer | Failure:
        """Return the response to one attempt, or what is wrong with it."""
        sent = self.clock.now()
        try:
            answer = exchange(self.connections, ask, self.largest, self.decode)
        except BrokenExchangeError as broken:
            lasts = broken.answered or broken.proxy is not None or not self.state.answered
            attempts = PROXY_TRIES if broken.proxy is not None else None
            return Failure(self._not_reached(broken), lasts=lasts, attempts=attempts)
        self.state.answered = True
        self.log("debug", f"{ask.method} {answer.url} -> {answer.status}")
        self._compare_clocks(answer, sent)
        error = fault_of(self.title, self.policy, ask, answer) or self._own_error(answer)
        return answer if error is None else Failure(error, answer)

    def _own_error(self, answer: Answer) -> CdrctlError | None:
        """Return the provider's own error that a response stands for, if it is one to be retried."""
        error = self.error_for(answer) if self.policy.errors else None
        schedule = self.policy.errors.get(type(error)) if error is not None else None
        if schedule is None:
            return None
        for kind, limit in schedule.slower.items():
            self.limiter.slow_down(kind, limit)
        return error

    def download(self, ask: Request) -> Iterator[bytes]:
        """Yield the body of a response as it arrives. There is one attempt.

        Raises:
            TemporaryError: The connection failed or broke off.
            CdrctlError: What a response that is not good stands for.
        """
        self.state.count(ask.kind)
        try:
            yield from pieces(self.connections, ask, self.error_for)
        except BrokenExchangeError as broken:
            raise self._not_reached(broken) from None

    def _not_reached(self, broken: BrokenExchangeError) -> CdrctlError:
        """Return the error of a failed exchange: the proxy's if the proxy failed."""
        if broken.proxy is not None:
            return unreachable(broken.proxy, str(broken), worked=self.state.answered)
        return TemporaryError(
            f"{self.title} cannot be reached: {broken}", hint="nothing is lost: run the command again later"
        )

    def _compare_clocks(self, answer: Answer, sent: datetime) -> None:
        theirs = their_time(answer) if self.state.ahead is None else None
        if theirs is None:
            return
        ahead = clock_lead(theirs, sent, self.clock.now())
        if self.state.learn_clock(ahead) and abs(ahead) >= CLOCKS_MAY_DIFFER:
            self.log("warning", clock_warning(self.title, theirs, ahead))

    # Waiting

    def wait_to_retry(self, patience: Patience, error: CdrctlError, asked: float | None = None) -> None:
        """Log why, and wait until a request may be sent again.

        Args:
            patience: What is left of the request's time; the wait is taken from it.
            error: The failure of the last attempt.
            asked: The seconds that the provider wants to pass, or None for a growing wait of our own.

        Raises:
            CdrctlError: The error, with when to retry: not so much time is left.
        """
        if not patience.left or (asked is not None and asked > patience.left):
            self.state.waited_in_vain = True
            raise postponed(error, asked, self.clock.now(), patience) if asked else exhausted(error, patience)
        wait = patience.wait(asked, self.jitter())
        left = span(timedelta(seconds=patience.left))
        self.log("note", f"{error.message}; retrying in {max(1, wait):.0f} s{self._until(wait)}, for up to {left}")
        patience.spent += wait
        self.clock.sleep(wait)

    def pause(self, seconds: float, why: str) -> None:
        """Log why, and wait."""
        self.log("wait", f"waiting {seconds:.0f} s{self._until(seconds)}: {why}")
        self.clock.sleep(seconds)

    def _until(self, seconds: float) -> str:
        """Return when a long wait ends."""
        return f", until {self.clock.now() + timedelta(seconds=seconds):%H:%M:%S} UTC" if seconds >= LONG_WAIT else ""

    def _wait_for_slot(self, kind: str) -> None:
        """Wait until a request of this kind may be sent. If interrupted, leave the turn to others.

        Raises:
            ClosedError: The client was closed.
        """
        turn = self.limiter.reserve(kind)
        try:
            if turn.alone is not None:
                self.log("debug", turn.alone)
            if not self.state.closed:
                if turn.wait >= 1:
                    why = f"the rate limit of {self.title}"
                    self.log("wait", Message(f"waiting {turn.wait:.0f} s{self._until(turn.wait)}", why, between=": "))
                if turn.wait > 0:
                    self.clock.sleep(turn.wait)
        except BaseException:
            self.limiter.give_back(turn)
            raise
        if self.state.closed or not self.limiter.take(turn):
            self.limiter.give_back(turn)
            raise ClosedError
