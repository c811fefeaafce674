"""Temporary faults are retried within limits; lasting faults end the run and leave no partial file."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.bench import MONTH, NOW, PROFILE, SUBJECTS, Bench, Subject, bench, counted, evenly
from tests.support.clock import HandClock
from tests.support.products import thinned

SINCE, UNTIL = MONTH - timedelta(hours=3), MONTH - timedelta(hours=2)
PAGE = 5
ALWAYS = 1_000_000
LONGEST_WAIT = 901
TOTAL = 900
"""The longest single wait and the longest total wait of a request, in seconds."""
ODD_DATE = "Wed, 21 Oct 2015 07:28:00 GMT"

# By name: the action, its details, how often in a row, and the shortest wait after each, in seconds.
PASSING: dict[str, tuple[int | str, dict[str, Any], int, float]] = {
    "503": (503, {}, 2, 0.5),
    "500": (500, {}, 1, 0.5),
    "502-html": (502, {"body": "<html><body>Bad gateway</body></html>"}, 2, 0.5),
    "504": (504, {}, 1, 0.5),
    "408": (408, {}, 1, 0.5),
    "503-retry-after": (503, {"headers": {"Retry-After": "20"}}, 2, 20),
    "429-seconds": (429, {"headers": {"Retry-After": "7"}}, 2, 7),
    "429-date": (429, {"headers": {"Retry-After": format_datetime(NOW + timedelta(seconds=600), usegmt=True)}}, 1, 590),
    "429-date-soon": (
        429,
        {"headers": {"Retry-After": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}},
        1,
        90,
    ),
    "429-past-date": (429, {"headers": {"Retry-After": ODD_DATE}}, 1, 0),
    "429-negative": (429, {"headers": {"Retry-After": "-5"}}, 1, 0.5),
    "429-nonsense": (429, {"headers": {"Retry-After": "soon"}}, 1, 0.5),
    "429-absent": (429, {}, 2, 0.5),
    "cut": ("cut", {}, 2, 0.5),
    "reset": ("reset", {}, 2, 0.5),
    "not-json": ("not_json", {}, 2, 0.5),
    "html": ("html", {}, 1, 0.5),
    "empty": ("empty", {}, 2, 0.5),
}
LASTING = ["503", "429-seconds", "429-absent", "502-html", "cut", "reset", "not-json", "html", "empty"]
each_call = pytest.mark.parametrize("subject", SUBJECTS, ids=str)


def answering(answer: Any, request: Any, names: tuple[str, ...]) -> Any:
    """Return a response that repeats the id of its request, as JSON-RPC does."""
    if not names:
        return answer
    asked = json.loads(request.body)
    return replace(answer, body=json.dumps(json.loads(answer.body) | {name: asked[name] for name in names}).encode())


def check_waits(made: Bench) -> None:
    """Check that each wait and the total are within their limits."""
    assert all(0 <= wait <= LONGEST_WAIT for wait in made.clock.waits), made.clock.waits


@pytest.mark.parametrize(("subject", "fault", "nth"), thinned(SUBJECTS, tuple(PASSING), (1, 3)))
def test_temporary_fault_is_retried_and_no_record_is_lost(
    subject: Subject, fault: str, nth: int, tmp_path: Path
) -> None:
    """The fault affects the first request or a later one."""
    action, details, times, least = PASSING[fault]
    with bench(subject, tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        truth = counted(made.truth(SINCE, UNTIL))
        made.fail(action, nth=nth, times=times, **details)
        ran = made.run(SINCE, UNTIL, "--schema", "raw", "-f", "jsonl").ok()
        assert counted(ran.lines) == truth
        check_waits(made)
        assert len([wait for wait in made.clock.waits if wait >= least]) >= times
        assert f"cdrctl: {3 * PAGE} records, " in ran.err
        assert "note: " in ran.err


@pytest.mark.parametrize(("subject", "fault", "nth"), thinned(SUBJECTS, LASTING, (1, 3)))
def test_lasting_fault_ends_the_run(subject: Subject, fault: str, nth: int, tmp_path: Path) -> None:
    """The exit code is 5 after a bounded time, and an existing file is unchanged."""
    action, details, _, _ = PASSING[fault]
    with bench(subject, tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        folder = tmp_path / "out"
        folder.mkdir()
        old = folder / "old.csv"
        old.write_text("as it was\n", encoding="utf-8")
        made.fail(action, nth=nth, times=ALWAYS, **details)
        for name in ("old.csv", "new.csv.gz"):
            ran = made.run(SINCE, UNTIL, "-o", str(folder / name))
            assert ran.code == subject.facts.lasting.get(fault, 5), ran.err
            assert ran.out == ""
            assert "run the command again" in ran.err or "base_url" in ran.err
        check_waits(made)
        assert sum(made.clock.waits) < 2 * (TOTAL + 100)
        # Before each wait, Kazoo's listing is requested for three single seconds of a month.
        assert len(made.sandbox.requests) < 60 * (3 if subject.provider.name == "kazoo" else 1)
        assert [one.name for one in folder.iterdir()] == ["old.csv"]
        assert old.read_text(encoding="utf-8") == "as it was\n"


@pytest.mark.parametrize(
    ("subject", "asked", "nth"),
    thinned(SUBJECTS, ("901", "86400", "1000000000", "9" * 400), (1, 3), ids=(str, lambda text: text[:10])),
)
def test_retry_after_longer_than_max_wait_ends_the_run(subject: Subject, asked: str, nth: int, tmp_path: Path) -> None:
    """The exit code is 5 at once, and the message says when to retry."""
    with bench(subject, tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        made.fail(429, nth=nth, times=ALWAYS, headers={"Retry-After": asked})
        ran = made.run(SINCE, UNTIL)
        assert ran.code == 5
        assert len(made.sandbox.requests) <= nth + 4  # a fetcher may check whether the provider is down
        assert sum(made.clock.waits) < TOTAL
        if len(asked) < 10:
            until = made.clock() + timedelta(seconds=int(asked) + 1)
            assert f"run the command again after {until:%Y-%m-%dT%H:%M:%SZ}" in ran.err


@pytest.mark.parametrize(("subject", "status", "nth"), thinned(SUBJECTS, (503, 504), (2, 4)))
def test_single_failure_with_a_long_retry_after_ends_the_run(
    subject: Subject, status: int, nth: int, tmp_path: Path
) -> None:
    """The provider is not sent smaller requests in search of a bad record either."""
    with bench(subject, tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        made.fail(status, nth=nth, headers={"Retry-After": "86400"})
        ran = made.run(SINCE, UNTIL)
        if ran.code == 0:  # fewer requests were made
            assert len(made.sandbox.requests) < nth
            return
        assert ran.code == 5
        assert len(made.sandbox.requests) == nth
        until = made.clock() + timedelta(seconds=86401)
        assert f"run the command again after {until:%Y-%m-%dT%H:%M:%SZ}" in ran.err


@pytest.mark.thin
@each_call
def test_max_wait_limits_the_wait_of_a_request(subject: Subject, tmp_path: Path) -> None:
    """`--max-wait`, the profile's `max_wait` and the environment variable are tested."""
    with bench(subject, tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        truth = counted(made.truth(SINCE, UNTIL))

        def exported(*more: str, **environ: str) -> int:
            made.fail(429, headers={"Retry-After": "1000"})
            ran = made.run(SINCE, UNTIL, "--schema", "raw", "-f", "jsonl", *more, **environ)
            assert ran.code or counted(ran.lines) == truth
            return ran.code

        assert exported() == 5
        assert exported("--max-wait", "20m") == 0
        assert exported("--max-wait", "900s") == 5
        assert exported(CDRCTL_MAX_WAIT="20m") == 0
        assert exported(**{f"CDRCTL_{PROFILE.upper()}_MAX_WAIT": "1h"}) == 0
        assert exported(**{f"CDRCTL_{PROFILE.upper()}_MAX_WAIT": "1001"}) == 0
        made.sign_in_by(max_wait="1h")
        assert exported() == 0
        assert exported("--max-wait", "900s") == 5
        made.sign_in_by(max_wait=1000)
        assert exported() == 0
        assert exported("--max-wait", "0s") == 5
        assert exported("--max-wait", "soon") == 2


@each_call
def test_export_with_many_temporary_faults_has_every_record(subject: Subject, tmp_path: Path) -> None:
    """Each request fails once, each time in another way."""
    with bench(subject, tmp_path, evenly(4 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        truth = counted(made.truth(SINCE, UNTIL))
        actions: tuple[int | str, ...] = (503, "cut", "reset", "empty", "not_json", 429, "html", 500)
        for n, action in enumerate(actions):
            made.fail(action, nth=1 + 2 * n)
        assert counted(made.raw(SINCE, UNTIL)) == truth
        check_waits(made)


@each_call
def test_records_printed_before_a_fault_are_whole_lines(subject: Subject, tmp_path: Path) -> None:
    with bench(subject, tmp_path, evenly(4 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        made.straight()
        truth = counted(made.truth(SINCE, UNTIL))
        requests = made.asked(lambda: made.raw(SINCE, UNTIL))
        made.fail("reset", nth=min(4, len(requests)), times=ALWAYS)
        ran = made.run(SINCE, UNTIL, "--schema", "raw", "-f", "jsonl")
        assert ran.code == 5
        assert ran.lines
        assert counted(ran.lines) <= truth


@each_call
def test_repeated_page_ends_the_run_soon(subject: Subject, tmp_path: Path) -> None:
    """A provider sends the same page with the same link or key to the next one."""
    with bench(subject, tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        made.straight()
        provider = made.sandbox.provider(subject.provider.name)
        reply = provider.reply
        first: list[Any] = []
        most = subject.facts.soon

        def again(request: Any) -> Any:
            if not made.asks(request):
                return reply(request)
            if len(made.sandbox.requests) > most:
                return provider.error(403, request)
            answer = first[0] if first else reply(request)
            if not first and is_page(answer):
                first.append(answer)
            return answering(answer, request, subject.facts.repeats)

        def is_page(answer: Any) -> bool:
            if subject.facts.told_by_next:
                return b"next" in answer.body or "next" in answer.headers.get("Link", "")
            return made.is_page(answer.body)

        provider.reply = again
        ran = made.run(SINCE, UNTIL, "-o", str(tmp_path / "cdrs.csv"))
        assert first
        assert ran.code in subject.facts.circles, ran.err
        assert len(made.sandbox.requests) < most
        assert (tmp_path / "cdrs.csv").exists() == (ran.code == 3), "only what is said to have gaps is written"


@each_call
def test_compressed_bodies_are_read(subject: Subject, tmp_path: Path) -> None:
    """Some bodies are cut off."""
    with bench(subject, tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        made.switch(["gzip=on"])
        made.fail("cut", nth=2)
        assert counted(made.raw(SINCE, UNTIL)) == counted(made.truth(SINCE, UNTIL))


@pytest.mark.thin
@each_call
def test_export_keeps_the_published_rate_limit(subject: Subject, tmp_path: Path) -> None:
    """A profile without a pace of its own never gets a 429."""
    with bench(subject, tmp_path, evenly(24 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        settings = made.sandbox.credentials(subject.provider.name)
        del settings["requests_per_minute"]
        made.shell.profile("acme", subject.provider.name, settings)
        made.switch(subject.facts.pace)
        truth = counted(made.truth(SINCE, UNTIL))
        assert counted(made.raw(SINCE, UNTIL)) == truth
        assert {one.status for one in made.sandbox.requests} & {423, 429} == set()
        assert sum(made.clock.waits) > 1
        check_waits(made)


def delay_requests(seed: int) -> Callable[[HandClock], Callable[[], datetime]]:
    """Return a network on which each request takes up to a second to arrive, in the order in which they were sent."""
    delays = random.Random(seed)

    def theirs(clock: HandClock) -> Callable[[], datetime]:
        latest = clock()

        def now() -> datetime:
            nonlocal latest
            latest = max(latest, clock() + timedelta(seconds=delays.random()))
            return latest

        return now

    return theirs


def says_slow_down(answer: Any) -> bool:
    """Return whether a response says, in any provider's way, that the rate limit is exceeded."""
    if answer.status in {423, 429}:
        return True
    document = json.loads(answer.body)
    error = document.get("error") if isinstance(document, dict) else None
    words = error.get("data", {}).get("mnemonic") if isinstance(error, dict) else None
    return isinstance(document, dict) and (document.get("ERROR_NUMBER") == 1 or words == "limit_exceeded")


@pytest.mark.thin
@pytest.mark.parametrize(("subject", "seed"), thinned(SUBJECTS, range(3)))
def test_requests_that_arrive_late_keep_the_rate_limit(subject: Subject, seed: int, tmp_path: Path) -> None:
    """Requests may arrive closer together than they were sent, so each budget has a margin."""
    exchange = evenly(80 * PAGE, SINCE, UNTIL)
    with bench(subject, tmp_path, exchange, page_size=PAGE, theirs=delay_requests(seed)) as made:
        settings = made.sandbox.credentials(subject.provider.name)
        del settings["requests_per_minute"]
        made.shell.profile(PROFILE, subject.provider.name, {**settings, **made.knowing})
        made.switch(subject.facts.pace)
        truth = counted(made.truth(SINCE, UNTIL))
        provider = made.sandbox.provider(subject.provider.name)
        reply = provider.reply
        replied: list[bool] = []

        def watched(request: Any) -> Any:
            answer = reply(request)
            replied.append(says_slow_down(answer))
            return answer

        provider.reply = watched
        ran = made.run(SINCE, UNTIL, "--schema", "raw", "-f", "jsonl").ok()
        assert counted(ran.lines) == truth
        listing = [one for one in made.sandbox.requests if made.asks(one)]
        assert len(listing) > 35
        assert not any(replied)


@each_call
def test_export_keeps_the_slower_pace_of_a_profile(subject: Subject, tmp_path: Path) -> None:
    with bench(subject, tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        made.sign_in_by(requests_per_minute=2)
        assert counted(made.raw(SINCE, UNTIL)) == counted(made.truth(SINCE, UNTIL))
        assert sum(made.clock.waits) >= 30 * (len(made.sandbox.requests) - 1) - 1
