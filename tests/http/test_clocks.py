"""Warn, once, if this machine's clock differs from the provider's: windows up to now depend on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx

from tests.support.clock import NOON, HandClock
from tests.support.products import for_each
from tests.support.wires import answering, client


def http_date(instant: datetime) -> str:
    """Return an instant as the header `Date` has it."""
    return format_datetime(instant.astimezone(UTC), usegmt=True)


def dated(date: str, **headers: str) -> httpx.Response:
    """Return a response with this date."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(200, headers={"Date": date, **more}, content=b"{}")


@for_each(
    "off, words",
    [
        (timedelta(seconds=119), None),
        (-timedelta(seconds=119), None),
        (timedelta(minutes=2), "2 min ahead of Acme's, whose response says 2026-11-20T11:58:00Z"),
        (-timedelta(minutes=2), "2 min behind Acme's, whose response says 2026-11-20T12:02:00Z"),
        (timedelta(hours=3, minutes=2), "3 h 2 min ahead of"),
        (timedelta(days=12, hours=4, minutes=7), "12 days 4 h ahead of"),
    ],
)
def test_a_wrong_clock_gives_one_warning(off: timedelta, words: str | None) -> None:
    """Every response has this date; the first one is enough."""
    told: list[tuple[str, str]] = []
    transport, _ = answering(dated(http_date(NOON - off)))
    acme = client(transport=transport, log=lambda level, text: told.append((level, text)))
    for _ in range(3):
        acme.get("/x")
    assert acme.ahead == off
    if words is None:
        assert [text for level, text in told if level != "debug"] == []
    else:
        ((level, text),) = [one for one in told if one[0] != "debug"]
        assert level == "warning"
        assert f"this machine's clock is {words}" in text


@for_each(
    "answer",
    [
        httpx.Response(200, content=b"{}"),
        dated("yesterday"),
        dated("Fri, 20 Nov 2026 25:00:00 GMT"),
        dated(http_date(NOON - timedelta(hours=5)), age="18000"),
    ],
    ids=["no-date", "no-such-date", "no-such-hour", "out-of-a-cache"],
)
def test_a_response_without_a_plausible_date_is_ignored(answer: httpx.Response) -> None:
    told: list[str] = []
    transport, _ = answering(answer)
    acme = client(transport=transport, log=lambda level, text: told.append(text) if level == "warning" else None)
    acme.get("/x")
    assert acme.ahead is None
    assert told == []


def test_a_slow_response_is_not_taken_for_a_wrong_clock() -> None:
    """The date may be from any instant between request and response."""
    clock = HandClock()
    told: list[str] = []

    def slow(_request: httpx.Request) -> httpx.Response:
        made = clock()
        clock.seconds += 600
        return dated(http_date(made + timedelta(seconds=300)))

    acme = client(
        clock=clock,
        transport=httpx.MockTransport(slow),
        log=lambda level, text: told.append(text) if level == "warning" else None,
    )
    acme.get("/x")
    assert acme.ahead == timedelta(0)
    assert told == []
