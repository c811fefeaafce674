"""Compare this machine's clock with the provider's: windows up to now depend on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cdrctl.errors import Message
from cdrctl.http.messages import Answer
from cdrctl.http.retry import http_date, span

CLOCKS_MAY_DIFFER = timedelta(minutes=2)
"""A smaller difference is not reported, and not corrected."""


def their_time(answer: Answer) -> datetime | None:
    """Return when a response was made, by the provider's clock, or None if it does not say.

    `Date` is that instant (RFC 9110, section 6.6.1). A response from a cache has an `Age`, and an older `Date`.
    """
    return None if "age" in answer.headers else http_date(answer.headers.get("date", ""))


def clock_lead(theirs: datetime, sent: datetime, received: datetime) -> timedelta:
    """Return how far our clock is ahead: a response is not made before its request is sent, nor after it arrives."""
    return max(sent - theirs, timedelta(0)) + min(received - theirs, timedelta(0))


def clock_warning(title: str, theirs: datetime, ahead: timedelta) -> Message:
    """Return the warning that our clock is wrong by so much."""
    side = "ahead of" if ahead > timedelta(0) else "behind"
    what = (
        f"this machine's clock is {span(abs(ahead))} {side} {title}'s, whose response says "
        f"{theirs.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    )
    return Message(what, "now, today and 24h are therefore wrong", between=": ", code="clock")
