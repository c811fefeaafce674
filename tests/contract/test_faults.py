"""Passing faults are waited out, within bounds; lasting ones end the run and leave no half of a file."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from tests.contract.bench import MONTH, NOW, SUBJECTS, Bench, Subject, bench, counted, evenly

SINCE, UNTIL = MONTH - timedelta(hours=3), MONTH - timedelta(hours=2)
PAGE = 5
ALWAYS = 1_000_000
LONGEST_WAIT = 301
ODD_DATE = "Wed, 21 Oct 2015 07:28:00 GMT"

# By name: the action, its details, how often in a row, and the least seconds that have to be waited for it each time.
PASSING: dict[str, tuple[int | str, dict[str, Any], int, float]] = {
    "503": (503, {}, 2, 0.5),
    "500": (500, {}, 1, 0.5),
    "502-html": (502, {"body": "<html><body>Bad gateway</body></html>"}, 2, 0.5),
    "504": (504, {}, 1, 0.5),
    "408": (408, {}, 1, 0.5),
    "503-retry-after": (503, {"headers": {"Retry-After": "20"}}, 2, 20),
    "429-seconds": (429, {"headers": {"Retry-After": "7"}}, 2, 7),
    "429-date": (429, {"headers": {"Retry-After": format_datetime(NOW + timedelta(seconds=600), usegmt=True)}}, 1, 300),
    "429-date-soon": (
        429,
        {"headers": {"Retry-After": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}},
        1,
        90,
    ),
    "429-past-date": (429, {"headers": {"Retry-After": ODD_DATE}}, 1, 0),
    "429-absurd": (429, {"headers": {"Retry-After": "1000000000"}}, 1, 300),
    "429-more-absurd": (429, {"headers": {"Retry-After": "9" * 400}}, 1, 300),
    "429-negative": (429, {"headers": {"Retry-After": "-5"}}, 1, 0.5),
    "429-nonsense": (429, {"headers": {"Retry-After": "soon"}}, 1, 0.5),
    "429-absent": (429, {}, 2, 0.5),
    "cut": ("cut", {}, 2, 0.5),
    "reset": ("reset", {}, 2, 0.5),
    "not-json": ("not_json", {}, 2, 0.5),
    "html": ("html", {}, 1, 0.5),
    "empty": ("empty", {}, 2, 0.5),
}
LASTING = ["503", "429-seconds", "429-absurd", "429-absent", "502-html", "cut", "reset", "not-json", "html", "empty"]
each_call = pytest.mark.parametrize("subject", SUBJECTS, ids=str)


def answering(answer: Any, request: Any, names: tuple[str, ...]) -> Any:
    """Return an answer with what it repeats of its question."""
    if not names:
        return answer
    asked = json.loads(request.body)
    return replace(answer, body=json.dumps(json.loads(answer.body) | {name: asked[name] for name in names}).encode())


def check_waits(made: Bench) -> None:
    """Check that no wait was without bounds."""
    assert all(0 <= wait <= LONGEST_WAIT for wait in made.clock.waits), made.clock.waits


@each_call
@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("nth", [1, 3])
def test_a_passing_fault(subject: Subject, fault: str, nth: int, tmp_path: Path) -> None:
    """A fault that passes, at the first request or a later one, costs time and no record."""
    action, details, times, least = PASSING[fault]
    with bench(subject, tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        truth = counted(made.truth(SINCE, UNTIL))
        made.fail(action, nth=nth, times=times, **details)
        ran = made.run(SINCE, UNTIL, "--schema", "raw", "-f", "jsonl").ok()
        assert counted(ran.lines) == truth
        check_waits(made)
        assert len([wait for wait in made.clock.waits if wait >= least]) >= times
        assert f"cdrctl: {3 * PAGE} records, " in ran.err
        assert "trying again in" in ran.err


@each_call
@pytest.mark.parametrize("fault", LASTING)
@pytest.mark.parametrize("nth", [1, 3])
def test_a_lasting_fault(subject: Subject, fault: str, nth: int, tmp_path: Path) -> None:
    """A fault that lasts ends the run with exit code 5 after a bounded time; a file stays as it was."""
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
            assert ran.out == b""
            assert "run it again" in ran.err or "base_url" in ran.err
        check_waits(made)
        assert sum(made.clock.waits) < 2 * 8 * LONGEST_WAIT
        assert len(made.sandbox.requests) < 60
        assert [one.name for one in folder.iterdir()] == ["old.csv"]
        assert old.read_text(encoding="utf-8") == "as it was\n"


@each_call
def test_many_faults_in_one_run(subject: Subject, tmp_path: Path) -> None:
    """Every request may fail once in its own way, and everything comes all the same."""
    with bench(subject, tmp_path, evenly(4 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        truth = counted(made.truth(SINCE, UNTIL))
        actions: tuple[int | str, ...] = (503, "cut", "reset", "empty", "not_json", 429, "html", 500)
        for n, action in enumerate(actions):
            made.fail(action, nth=1 + 2 * n)
        assert counted(made.raw(SINCE, UNTIL)) == truth
        check_waits(made)


@each_call
def test_a_fault_after_records_were_printed(subject: Subject, tmp_path: Path) -> None:
    """What was printed before a lasting fault stays whole lines of whole records, and the exit code says the rest."""
    with bench(subject, tmp_path, evenly(4 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        truth = counted(made.truth(SINCE, UNTIL))
        requests = made.asked(lambda: made.raw(SINCE, UNTIL))
        made.fail("reset", nth=min(4, len(requests)), times=ALWAYS)
        ran = made.run(SINCE, UNTIL, "--schema", "raw", "-f", "jsonl")
        assert ran.code == 5
        assert ran.lines
        assert counted(ran.lines) <= truth


@each_call
def test_pages_that_go_in_circles(subject: Subject, tmp_path: Path) -> None:
    """A provider that sends the same page with the same way to the next for ever is an error, and soon."""
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
def test_compressed_bodies(subject: Subject, tmp_path: Path) -> None:
    """Bodies may come compressed, also those that break off."""
    with bench(subject, tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        made.switch(["gzip=on"])
        made.fail("cut", nth=2)
        assert counted(made.raw(SINCE, UNTIL)) == counted(made.truth(SINCE, UNTIL))


@each_call
def test_the_published_pace_is_kept(subject: Subject, tmp_path: Path) -> None:
    """A profile without a pace of its own keeps the published one: the provider never has to say 429."""
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


@each_call
def test_a_slower_pace_is_kept(subject: Subject, tmp_path: Path) -> None:
    """A profile may ask more slowly than is allowed."""
    with bench(subject, tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        made.sign_in_by(requests_per_minute=2)
        assert counted(made.raw(SINCE, UNTIL)) == counted(made.truth(SINCE, UNTIL))
        assert sum(made.clock.waits) >= 30 * (len(made.sandbox.requests) - 1) - 1
