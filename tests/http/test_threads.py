"""Threads that share a client have one rate limit, one token, one count of requests and one end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest

from cdrctl.errors import SignInError
from cdrctl.http import Answer, Clock, RateLimit, Request, RetryPolicy, Token
from cdrctl.http.pace import RateLimiter, Turn
from cdrctl.http.sending import ClosedError
from tests.http.shared_pace_kit import ONE_A_MINUTE, Host, shelf
from tests.support.clock import NOON, HandClock
from tests.support.wires import answering, client

LONG = 20
"""Seconds after which a test that waits for another thread has failed."""

THREADS = 8


class Meeting:
    """A place where two threads meet if they are there at the same time; a thread that is alone goes on.

    Args:
        met: Whether two threads met.
    """

    def __init__(self) -> None:
        self.met = False
        self._both = threading.Barrier(2)

    def __call__(self) -> None:
        with suppress(threading.BrokenBarrierError):
            self._both.wait(0.2)
            self.met = True


def together(what: Callable[[], object], threads: int = THREADS) -> list[BaseException]:
    """Call a function in several threads at the same time, and return the errors."""
    begin, raised = threading.Barrier(threads), list[BaseException]()

    def one() -> None:
        begin.wait(LONG)
        try:
            what()
        except BaseException as error:  # noqa: BLE001 - an error in a thread would be lost
            raised.append(error)

    running = [threading.Thread(target=one) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(LONG)
    return raised


# The rate limit


@pytest.mark.thin
@pytest.mark.parametrize("shared", [False, True])
def test_threads_that_race_keep_one_rate_limit(shared: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a case
    meeting = Meeting()

    def monotonic() -> float:
        meeting()
        return 0.0

    clock = Clock(lambda: NOON, monotonic)
    pace = RateLimiter({"page": RateLimit(5, 10)}, None, clock, shelf(tmp_path) if shared else None)
    turns: list[Turn] = []
    each = 10 if shared else 60
    assert together(lambda: turns.extend(pace.reserve("page") for _ in range(each))) == []
    assert sorted(turn.wait for turn in turns) == [float(n // 5 * 10) for n in range(THREADS * each)]
    assert not meeting.met


def test_each_thread_returns_its_own_turn(tmp_path: Path) -> None:
    host = Host(tmp_path)
    run = host.run()
    first, second, third = (run.reserve("window") for _ in range(3))
    assert run.take(first)
    assert (second.wait, third.wait) == (60, 120)
    run.give_back(second)
    assert host.run().reserve("window").wait == 60
    assert run.take(third)
    assert not run.take(second)


def test_closing_returns_the_turns_that_threads_wait_for(tmp_path: Path) -> None:
    """A thread that waits for its turn cannot be interrupted, but other runs should not wait behind it."""
    transport, asked = answering(httpx.Response(200, json={}))
    waiting, woken = threading.Semaphore(0), threading.Event()

    def sleep(_seconds: float) -> None:
        waiting.release()
        woken.wait(LONG)

    host = Host(tmp_path)
    assert host.run().reserve("window").wait == 0
    clock = Clock(lambda: NOON, lambda: 0.0, sleep)
    acme = client(retry_policy=RetryPolicy(ONE_A_MINUTE), clock=clock, rate_store=shelf(tmp_path), transport=transport)
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            acme.get("/x", kind="window")
        except ClosedError as error:
            raised.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert waiting.acquire(timeout=LONG)
    assert host.run().reserve("window").wait == 240
    acme.close()
    assert host.run().reserve("window").wait == 60
    woken.set()
    for thread in threads:
        thread.join(LONG)
    assert len(raised) == 3
    assert asked == []
    assert host.run().reserve("window").wait == 120, "a turn is returned only once"


def test_a_turn_that_was_used_is_not_returned(tmp_path: Path) -> None:
    transport, asked = answering(httpx.Response(200, json={}))
    host = Host(tmp_path)
    acme = client(
        retry_policy=RetryPolicy(ONE_A_MINUTE), clock=host.clock, rate_store=shelf(tmp_path), transport=transport
    )
    acme.get("/x", kind="window")
    acme.close()
    assert len(asked) == 1
    assert host.run().reserve("window").wait == 60


def test_a_closed_client_sends_and_logs_nothing_more() -> None:
    transport, asked = answering(httpx.Response(200, json={}))
    told: list[str] = []
    acme = client(transport=transport, log=lambda _level, text: told.append(text))
    acme.close()
    with pytest.raises(ClosedError):
        acme.get("/x")
    acme.log("warning", "too late")
    assert asked == []
    assert told == []


def test_a_thread_that_waits_for_a_retry_ends_with_the_client() -> None:
    transport, asked = answering(httpx.Response(503))
    clock = HandClock()

    def sleep(_seconds: float) -> None:
        acme.close()

    acme = client(transport=transport, clock=Clock(clock.clock.now, clock.clock.monotonic, sleep))
    with pytest.raises(ClosedError):
        acme.get("/x")
    assert len(asked) == 1


# The token


class Provider:
    """A server that issues tokens and accepts only the newest. Requests with an older one arrive together."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.issued = 0
        self.signing = 0
        self.most = 0
        self.refuses = refuses
        self.old = threading.Barrier(THREADS)
        self.lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            with self.lock:
                self.issued += 1
                number = self.issued
            return httpx.Response(403 if self.refuses else 200, json={"token": f"t{number}"})
        if request.headers["authorization"] == "t1" and request.url.path == "/v1/ended":
            self.old.wait(LONG)
            return httpx.Response(401, json={})
        return httpx.Response(200, json={})

    def sign_in(self, _ended: Token | None, _now: datetime) -> Generator[Request, Answer, Token]:
        with self.lock:
            self.signing += 1
            self.most = max(self.most, self.signing)
        answer = yield Request("POST", "http://cdr.example/token", kind="sign-in")
        with self.lock:
            self.signing -= 1
        if not answer.good:
            raise SignInError("no")
        return Token({"Authorization": answer.body["token"]})


def test_one_thread_signs_in_and_all_use_its_token() -> None:
    provider = Provider()
    acme = client(transport=httpx.MockTransport(provider), sign_in=provider.sign_in)
    assert together(lambda: acme.get("/x")) == []
    assert (provider.issued, provider.most) == (1, 1)


def test_a_token_that_expires_for_many_threads_is_renewed_once() -> None:
    provider = Provider()
    acme = client(transport=httpx.MockTransport(provider), sign_in=provider.sign_in)
    acme.get("/x")
    assert together(lambda: acme.get("/ended")) == []
    assert (provider.issued, provider.most) == (2, 1)
    assert acme.requests == 2 + 1 + 2 * THREADS


def test_the_token_of_another_thread_may_have_expired_too() -> None:
    """Then the thread gets a new one. If that is refused, it gives up."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["authorization"])
        if asked[-1] == "t1":
            with acme.credential._lock:  # as another thread does meanwhile
                acme.credential._use(Token({"Authorization": "theirs"}))
        return httpx.Response(200 if asked[-1] == "t2" and request.url.path == "/v1/x" else 401, json={})

    numbers = iter("123")

    def sign_in(_ended: Token | None, _now: datetime) -> Generator[Request, Answer, Token]:
        yield from ()
        return Token({"Authorization": f"t{next(numbers)}"})

    acme = client(transport=httpx.MockTransport(answer), sign_in=sign_in)
    assert acme.get("/x").good
    assert asked == ["t1", "theirs", "t2"]
    with pytest.raises(SignInError):
        acme.get("/y")
    assert asked[3:] == ["t2", "t3"]


def test_a_refused_sign_in_is_not_repeated_by_every_thread() -> None:
    """Many wrong passwords in a row lock an account."""
    provider = Provider(refuses=True)
    acme = client(transport=httpx.MockTransport(provider), sign_in=provider.sign_in)
    raised = together(lambda: acme.get("/x"))
    assert [type(error) for error in raised] == [SignInError] * THREADS
    assert provider.issued == 1


# Messages


def test_many_threads_warn_once_of_a_wrong_clock() -> None:
    date = format_datetime((NOON - timedelta(hours=3)), usegmt=True)
    told: list[str] = []
    arrived, meeting = threading.Barrier(THREADS), Meeting()
    answered = threading.Event()

    def answer(_request: httpx.Request) -> httpx.Response:
        arrived.wait(LONG)
        answered.set()
        return httpx.Response(200, headers={"Date": date}, content=b"{}")

    def now() -> datetime:
        if answered.is_set():
            meeting()
        return NOON

    acme = client(
        transport=httpx.MockTransport(answer),
        clock=Clock(now, lambda: 0.0),
        log=lambda level, text: told.append(text) if level == "warning" else None,
    )
    assert together(lambda: acme.get("/x")) == []
    assert len(told) == 1
