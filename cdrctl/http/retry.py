"""Retries: which failures are retried, how long each wait is, and how long one request may wait in total.

A retry waits as long as the provider says (`Retry-After`, RFC 9110, section 10.2.3), else a growing time of our own.
All waits of one request share one total, `max_wait`. Waiting for a rate limit does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from msgspec import Struct, field

from cdrctl.errors import CdrctlError, TemporaryError
from cdrctl.http.messages import Answer, Request
from cdrctl.http.pace import RateLimit
from cdrctl.windows import rfc3339

MAX_WAIT = timedelta(minutes=15)
"""How long one request may wait for retries in total, by default."""

TRIES = 5
"""Attempts at a request whose failure is likely to stay: a wrong address, a body that is not JSON, an HTTP 500."""

FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 60.0
"""Seconds: our own waits double from the first to the longest."""

_DOUBLINGS = 6
"""After so many doublings a wait is longer than the longest."""

NO_INSTANT = timedelta(days=366)
"""A longer wait does not name an instant worth printing."""


class Schedule(Struct, frozen=True):
    """How a request is retried after one of the provider's own errors.

    Args:
        waits: Seconds before each retry, the last one again and again. The first is the least that the provider
            accepts. Empty to wait as after any other failure.
        slower: Rate limits, by kind of request, that are kept from the first such error to the end of the run.
    """

    waits: tuple[float, ...] = ()
    slower: Mapping[str, RateLimit] = field(default_factory=dict)


UNAVAILABLE = frozenset({502, 503, 504, 520, 521, 522, 523, 524})
"""Statuses of a server that is not there now. 520 to 524 are those of Cloudflare's proxy (its page "5xx errors")."""


class RetryPolicy(Struct, frozen=True):
    """A provider's rate limits, and which failures are retried.

    Args:
        budgets: The published rate limits by kind of request; the kind `*` counts all requests.
        busy: Statuses that mean "later". Such a request is retried.
        brief: Those of them that are likely to stay, because they are about the request: few retries.
        waits: Seconds to wait for a status without `Retry-After`, if backing off from one second is not enough.
        errors: Errors of `error_for` that are retried, such as "too fast" in a body of status 200.
        changes: Seconds before each retry of a request that changes something. It is retried after a 429 only: the
            provider did not carry that one out, and of any other failure nobody knows.
    """

    budgets: Mapping[str, RateLimit] = field(default_factory=dict)
    busy: frozenset[int] = frozenset({408, 425, 429, 500}) | UNAVAILABLE
    brief: frozenset[int] = frozenset({500})
    waits: Mapping[int, float] = field(default_factory=dict)
    errors: Mapping[type[CdrctlError], Schedule] = field(default_factory=dict)
    changes: tuple[float, ...] = ()


class Failure(Struct, frozen=True):
    """A failed attempt.

    Args:
        error: The error that is raised if there is no retry.
        answer: The response, or None if none came.
        lasts: No response came, and that is likely to stay so.
        attempts: How many attempts such a failure is worth, or None for no limit of its own.
    """

    error: CdrctlError
    answer: Answer | None = None
    lasts: bool = False
    attempts: int | None = None


def is_outage(failure: Failure) -> bool:
    """Return whether a failure may concern all profiles: no response came, or one of a server that is not there."""
    return failure.answer is None or failure.answer.status in UNAVAILABLE


class Retries(Struct):
    """The retries of one request: whether there is another, and what it waits for.

    Args:
        policy: The provider's.
        ask: The request.
        most: How many attempts the caller allows, or None.
    """

    policy: RetryPolicy
    ask: Request
    most: int | None
    attempts: int = 0
    lasting: int = 0
    own: int = 0

    def next_wait(self, failure: Failure, left: float, now: datetime) -> tuple[bool, float | None]:
        """Return whether the request is retried after a failure, and the seconds that the provider wants to pass.

        Args:
            failure: What became of the last attempt.
            left: The seconds that the request may still wait.
            now: The present instant.
        """
        self.attempts += 1
        if failure.attempts is not None:
            self.most = failure.attempts if self.most is None else min(self.most, failure.attempts)
        if self.ask.changes:
            waits = self.policy.changes
            refused = failure.answer is not None and failure.answer.status == 429
            return (True, waits[self.attempts - 1]) if refused and self.attempts <= len(waits) else (False, None)
        schedule = self.policy.errors.get(type(failure.error))
        wait = seconds_asked(self.policy, failure, now)
        if schedule is not None and schedule.waits:
            wait = max(schedule.waits[0], min(schedule.waits[min(self.own, len(schedule.waits) - 1)], left))
            self.own += 1
        self.lasting += _lasts(self.policy, failure, wait if schedule is not None else None)
        return (self.most is None or self.attempts < self.most) and self.lasting < TRIES, wait


def seconds_asked(policy: RetryPolicy, failure: Failure, now: datetime) -> float | None:
    """Return the seconds that the provider wants to pass before the next attempt, or None if it does not say."""
    answer, error = failure.answer, failure.error
    told = [error.wait if isinstance(error, TemporaryError) else None, retry_after(answer, now) if answer else None]
    known = [seconds for seconds in told if seconds is not None]
    return max(known) if known else policy.waits.get(answer.status) if answer else None


def _lasts(policy: RetryPolicy, failure: Failure, own_wait: float | None) -> bool:
    """Return whether a failure is likely to stay, so that only a few retries are worth it.

    A server that is overloaded, restarted or in maintenance answers again. An HTTP 500, or a body that is not the
    API's, is more often the answer to this request, or of another server.
    """
    if failure.answer is None:
        return failure.lasts
    if own_wait is not None or (isinstance(failure.error, TemporaryError) and failure.error.wait is not None):
        return False
    return failure.answer.good or failure.answer.status in policy.brief


class Patience(Struct):
    """The time that one request may still wait for retries.

    Args:
        total: Seconds that all waits of the request may take together.
        spent: Seconds that its waits and retries have taken so far.
        tries: Attempts so far.
    """

    total: float
    spent: float = 0.0
    tries: int = 0

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return max(0.0, self.total - self.spent)

    def wait(self, asked: float | None, jitter: float) -> float:
        """Return the seconds until the next attempt, never more than are left.

        Args:
            asked: The seconds that the provider wants, or None. If it keeps wanting next to none, waits still grow.
            jitter: A number between 0 and 1, so that two clients do not retry at the same instant.
        """
        doubled = FIRST_BACKOFF * 2.0 ** min(max(self.tries, 1) - 1, _DOUBLINGS)
        wait = min(doubled, LONGEST_BACKOFF) * (0.75 + jitter / 2)
        if asked is not None:
            wait = asked + jitter if self.tries <= TRIES else max(asked + jitter, wait)
        return min(wait, self.left)


def postponed(error: CdrctlError, asked: float, now: datetime, patience: Patience) -> CdrctlError:
    """Return the error of a provider that wants a longer wait than is allowed, with the time of the next attempt."""
    if isinstance(error, TemporaryError):
        error.wait = asked
    if asked > NO_INSTANT.total_seconds():
        error.message += ": the next request is allowed in more than a year"
        error.hint = "run the command again later; if the error persists, ask the provider's support"
        return error
    wanted = timedelta(seconds=asked)
    back = rfc3339((now + wanted + timedelta(seconds=1)).replace(microsecond=0)).replace(".000Z", "Z")
    error.message += f": the next request is allowed in {span(wanted)}"
    error.hint = (
        f"run the command again after {back}, in {span(wanted)}; nothing is lost. One request may wait "
        f"{span(timedelta(seconds=patience.total))} in total: --max-wait allows more"
    )
    return error


def exhausted(error: CdrctlError, patience: Patience) -> CdrctlError:
    """Return the error of a request that was retried for as long as is allowed."""
    error.message += _tried(patience)
    error.hint = "nothing is lost: run the command again later, or allow more time with --max-wait"
    return error


def _tried(patience: Patience) -> str:
    """Return how long a request was retried, for the end of a message."""
    if patience.spent < 1:
        return ""
    seconds = patience.spent if patience.spent < 60 else 60 * round(patience.spent / 60)
    return f" (after {span(timedelta(seconds=seconds))} of retries)"


def span(length: timedelta) -> str:
    """Return a length of time in its two largest units: `12 days 4 h`, `36 h`, `3 h 2 min`, `45 s`."""
    seconds = round(length.total_seconds())
    days = seconds // 86_400 if seconds >= 2 * 86_400 else 0
    parts = [
        (days, "days"),
        (seconds // 3_600 - 24 * days, "h"),
        (seconds // 60 % 60, "min"),
        (seconds % 60, "s"),
    ]
    return " ".join([f"{number} {unit}" for number, unit in parts if number][:2]) or "0 s"


def retry_after(answer: Answer, now: datetime) -> float | None:
    """Return the seconds of `Retry-After`, given in seconds or as a date, or None.

    A date is compared with the response's own `Date`, so a wrong clock here does no harm (RFC 9110, section 10.2.3).
    """
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    until = http_date(text)
    if until is None:
        return None
    return max(0.0, (until - (http_date(answer.headers.get("date", "")) or now)).total_seconds())


def http_date(text: str) -> datetime | None:
    """Return the UTC instant of an HTTP date (RFC 9110, section 5.6.7), or None if it is not one."""
    if not text:
        return None
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
