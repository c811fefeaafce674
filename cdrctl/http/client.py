"""The HTTP client: it keeps the rate limit, retries, signs in, and checks who receives the credential.

Client     per request:  check the address, sign in, renew the token once on a 401, turn the response into our errors
 └ Sender  per attempt:  wait for the rate limit, exchange, and retry after a temporary failure
    └ exchange    once:  bytes out, bytes in
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from cdrctl.errors import CdrctlError, ProviderError
from cdrctl.http.bodies import MEBIBYTE
from cdrctl.http.clocks import CLOCKS_MAY_DIFFER
from cdrctl.http.connections import Connections
from cdrctl.http.exchange import Read
from cdrctl.http.messages import Answer, Request
from cdrctl.http.pace import Clock, RateLimiter, RateStore
from cdrctl.http.retry import MAX_WAIT, Patience, RetryPolicy
from cdrctl.http.sending import Level, Log, Outages, RunState, Sender
from cdrctl.http.tokens import Credential, Sign, SignIn, Token, TokenStore, sign_headers, unauthorized
from cdrctl.http.urls import host_of, unambiguous

if TYPE_CHECKING:
    from cdrctl.http.transport import Transport

LARGEST = 256 * MEBIBYTE
"""The default size limit of a response in bytes: far above any real page, far below a machine's memory."""


class Api(Struct, frozen=True, kw_only=True):
    """An API as one profile uses it.

    Args:
        title: The provider's name in messages.
        base_url: The URL of the API.
        retry_policy: Its rate limits, and which failures are retried.
        sign_in: Yields the requests of a sign-in, receives their responses, returns the token.
        error_for: From a response to the error it stands for, or None.
        allows_url: Whether a URL may receive the credential.
        sign: Adds the token to a request.
        ended: Whether a response says that the token has expired.
    """

    title: str
    base_url: str
    retry_policy: RetryPolicy
    sign_in: SignIn
    error_for: Callable[[Answer], CdrctlError | None]
    allows_url: Callable[[str], bool]
    sign: Sign = sign_headers
    ended: Callable[[Answer], bool] = unauthorized


class Limits(Struct, frozen=True, kw_only=True):
    """What a profile sets of its connections and requests.

    Args:
        requests_per_minute: Slows every request down; 0 switches the rate limits off.
        timeout: Seconds between two pieces of a response.
        max_wait: How long one request may wait for retries in total.
        largest: Bytes that one response may have, decompressed.
        ca_file: The certificate authority to trust, or None for the usual ones.
    """

    requests_per_minute: float | None = None
    timeout: float = 60.0
    max_wait: timedelta = MAX_WAIT
    largest: int = LARGEST
    ca_file: str | None = None


def open_client(
    api: Api,
    limits: Limits,
    *,
    token_store: TokenStore | None = None,
    rate_store: RateStore | None = None,
    clock: Clock | None = None,
    log: Log = lambda _level, _text: None,
    conceal: Callable[[Sequence[str]], None] = lambda _secrets: None,
    jitter: Callable[[], float] = random.random,
    outages: Outages | None = None,
    transport: Transport | None = None,
) -> Client:
    """Return the client of one profile for one run.

    Args:
        api: The API.
        limits: What the profile sets.
        token_store: Where renewed tokens are kept, or None.
        rate_store: Where runs that use the same credential share their rate limit, or None.
        clock: Time and waiting.
        log: Receives notes, warnings, waits and details.
        conceal: Receives every secret that a sign-in returns, so that it is never printed.
        jitter: Returns a number between 0 and 1.
        outages: The hosts that do not answer; the clients of a run share them.
        transport: Replaces the network, in tests.
    """
    clock = clock or Clock()
    base_url = api.base_url.rstrip("/")
    sender = Sender(
        title=api.title,
        policy=api.retry_policy,
        error_for=api.error_for,
        connections=Connections(base_url=base_url, timeout=limits.timeout, ca_file=limits.ca_file, transport=transport),
        limiter=RateLimiter(api.retry_policy.budgets, limits.requests_per_minute, clock, rate_store),
        state=RunState(),
        clock=clock,
        report=log,
        jitter=jitter,
        max_wait=limits.max_wait.total_seconds(),
        largest=limits.largest,
        outages={} if outages is None else outages,
    )
    return Client(replace(api, base_url=base_url), sender, Credential(api.sign_in, clock, token_store, conceal))


class Client(Struct, frozen=True):
    """One profile's client for one run. Threads may share it: they keep one rate limit and have one token."""

    api: Api
    sender: Sender
    credential: Credential

    @property
    def title(self) -> str:
        """The provider's name in messages."""
        return self.api.title

    @property
    def base_url(self) -> str:
        """The URL of the API, without a slash at its end."""
        return self.api.base_url

    @property
    def clock(self) -> Clock:
        """Time and waiting."""
        return self.sender.clock

    @property
    def kinds(self) -> Counter[str]:
        """How many requests of each kind were sent."""
        return self.sender.state.kinds

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self.kinds.total()

    @property
    def ahead(self) -> timedelta | None:
        """How far our clock is ahead of the provider's, once that is known."""
        return self.sender.state.ahead

    def with_log(self, log: Log) -> Client:
        """Return this client with another log; all else is shared with it."""
        return replace(self, sender=replace(self.sender, report=log))

    def with_tries(self, tries: int) -> Client:
        """Return this client with an upper bound on the attempts of each request: with 1 it never retries."""
        return replace(self, sender=replace(self.sender, tries=tries))

    def with_decoder(self, decode: Read | None) -> Client:
        """Return this client with a function that decodes the records of one call faster; None for none."""
        return replace(self, sender=replace(self.sender, decode=decode))

    def log(self, level: Level, text: str) -> None:
        """Log a message, unless the client is closed."""
        self.sender.log(level, text)

    def present(self) -> datetime:
        """Return the present instant, by the provider's clock if it is known to differ from this machine's."""
        now, ahead = self.clock.now(), self.ahead
        return now - ahead if ahead is not None and abs(ahead) >= CLOCKS_MAY_DIFFER else now

    def minimum_seconds(self, share: float) -> float:
        """Return the least seconds that `share` times the requests sent so far take under the rate limits."""
        return self.sender.limiter.minimum_seconds({kind: count * share for kind, count in self.kinds.items()})

    def close(self) -> None:
        """Close the connections, end what other threads still send or log, and give their turns back."""
        self.sender.state.closed = True
        self.sender.limiter.close()
        self.sender.connections.close()

    def get(
        self,
        url: str,
        params: Sequence[tuple[str, str]] = (),
        *,
        kind: str = "page",
        whole: Callable[[Any], CdrctlError | None] | None = None,
        records: tuple[str, ...] = (),
    ) -> Answer:
        """Return the response to a GET of a path under base_url, or of a whole URL."""
        return self.ask(Request("GET", self.at(url), params, kind=kind, whole=whole, records=records))

    def at(self, path: str) -> str:
        """Return the URL of a path under base_url, which begins with a slash; a whole URL stays as it is."""
        return f"{self.base_url}{path}" if path.startswith("/") else path

    def patience(self) -> Patience:
        """Return the time that one request may wait for retries; see `Sender.patience`."""
        return self.sender.patience()

    def wait_to_retry(self, patience: Patience, error: CdrctlError, asked: float | None = None) -> None:
        """Log why, and wait until a request may be sent again; see `Sender.wait_to_retry`."""
        self.sender.wait_to_retry(patience, error, asked)

    def pause(self, seconds: float, why: str) -> None:
        """Log why, and wait."""
        self.sender.pause(seconds, why)

    def ask(self, ask: Request, *, tries: int | None = None, patience: Patience | None = None) -> Answer:
        """Return the good response to a request, signed in; an expired token is renewed once.

        Temporary failures are retried until `patience` is used up, with at most `tries` attempts. A caller that sends
        the request again itself hands over the same patience each time, and waits with `wait_to_retry`.

        Raises:
            ProviderError: The address may not receive the credential; nothing is sent.
            CdrctlError: What the response stands for, or TemporaryError if no attempt was answered.
        """
        self._check_address(ask.url)
        token = self.credential.current(self._send_sign_in)
        patience = patience or self.patience()
        answer = self.sender.send(self._signed(ask, token), patience, tries)
        ours = False
        while ask.signed and not ours and self.api.ended(answer):
            token, ours = self.credential.instead_of(token, answer, self._send_sign_in)
            answer = self.sender.send(self._signed(ask, token), patience, tries)
        error = self.api.error_for(answer)
        if error is not None:
            raise error
        return answer

    def download(self, ask: Request) -> Iterator[bytes]:
        """Yield the body of a response as it arrives. There is one attempt, without a credential.

        Raises:
            ProviderError: The address is not the profile's own; nothing is sent.
            TemporaryError: The connection failed or broke off.
            CdrctlError: What a response that is not good stands for.
        """
        self._check_address(ask.url)
        yield from self.sender.download(ask)

    def _send_sign_in(self, ask: Request) -> Answer:
        return self.sender.send(ask, self.patience())

    def _signed(self, ask: Request, token: Token) -> Request:
        return self.api.sign(ask, token) if ask.signed else ask

    def _check_address(self, url: str) -> None:
        try:
            allowed = unambiguous(url) and self.api.allows_url(url)
        except ValueError:  # from urlsplit, for what is not a URL
            allowed = False
        if not allowed:
            raise ProviderError(
                f"{self.title} sent a link to another host ({host_of(url) or 'no host'}); it was not followed, "
                "and no credential was sent there",
                hint="check base_url; if it is right, report this host to cdrctl's maintainers",
            )
