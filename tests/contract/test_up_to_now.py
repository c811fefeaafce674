"""Calls up to now: what a provider has of the last minutes is written, and one short line says what may be missing."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.bench import NOW, SUBJECTS, Bench, Subject, bench, counted, evenly

SINCE = NOW - timedelta(minutes=30)
MISSING = "calls may still be missing"
each_call = pytest.mark.parametrize("subject", SUBJECTS, ids=str)


def expected(made: Bench, until: datetime) -> tuple[Counter[str], Counter[str]]:
    """Return what an export must have and may have: all that there is, or all up to what the provider refuses."""
    if not made.call.timing.refuses_newer:
        there = counted(made.truth(SINCE, until))
        return there, there
    newest = min(until, NOW - made.call.timing.lag)
    lasting = timedelta(minutes=3)  # it is filed so long after it began
    return counted(made.truth(SINCE, newest - lasting)), counted(made.truth(SINCE, newest))


@each_call
@pytest.mark.parametrize("jobs", ["1", "3"])
def test_what_there_is_by_now_is_written(subject: Subject, jobs: str, tmp_path: Path) -> None:
    """Calls of a minute that have ended by now come, whether the window ends now or later; Webex refuses newer ones."""
    with bench(subject, tmp_path, evenly(60, SINCE, NOW), page_size=25) as made:
        must, may = expected(made, NOW)
        paging = ["--page-size", "25"] if subject.has_page_size else []
        words = [subject.provider.name, subject.call.name, "-p", "acme", "--since", SINCE.isoformat(), *paging]
        for until in ([], ["--until", (NOW + timedelta(days=1)).isoformat()]):
            ran = made.shell.run(*words, *until, "--schema", "raw", "-f", "jsonl", "--jobs", jobs).ok()
            assert must <= counted(ran.lines) <= may
            notes = [line for line in ran.err.splitlines() if "Z" in line and "note: " in line]
            assert len(notes) == 1
            assert len(notes[0]) < 100
        assert len(must) > 40


@each_call
def test_a_window_that_was_over_and_may_lack_calls_is_written_and_incomplete(subject: Subject, tmp_path: Path) -> None:
    """It ends with 3, as it is not all there for sure, and what there is comes all the same."""
    until = NOW - timedelta(seconds=70)
    with bench(subject, tmp_path, evenly(60, SINCE, NOW), page_size=25) as made:
        ran = made.run(SINCE, until, "--schema", "raw", "-f", "jsonl")
        assert ran.code == 3
        must, may = expected(made, until)
        assert must <= counted(ran.lines) <= may


def test_several_profiles_say_it_in_one_line(tmp_path: Path) -> None:
    """The whole of it is for -v."""
    subject = next(one for one in SUBJECTS if one.provider.name == "portsip")
    with bench(subject, tmp_path, evenly(60, SINCE, NOW)) as made:
        written = made.shell.config.read_text(encoding="utf-8")
        other = written.replace("[profiles.acme]", "[profiles.other]")
        made.shell.config.write_text(written + other, encoding="utf-8")
        ran = made.shell.run("export", "--all", "--since", "30m", "-f", "jsonl").ok()
        assert len(ran.lines) > 100
        assert ran.err.count(MISSING) == 1
        assert "overlap the next export" not in ran.err
        long = made.shell.run("export", "--all", "--since", "30m", "-f", "jsonl", "-v").ok()
        assert "overlap the next export" in long.err
