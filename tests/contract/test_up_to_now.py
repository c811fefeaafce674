"""Windows up to now: the export has all records that the provider has so far, and one note says what may be missing."""

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
    """Return the records that an export must have and those that it may have."""
    if not made.call.timing.refuses_newer:
        there = counted(made.truth(SINCE, until))
        return there, there
    newest = min(until, NOW - made.call.timing.lag)
    lasting = timedelta(minutes=3)  # a call is filed this long after its start
    return counted(made.truth(SINCE, newest - lasting)), counted(made.truth(SINCE, newest))


@each_call
@pytest.mark.parametrize("jobs", ["1", "3"])
def test_export_up_to_now_has_the_calls_that_have_ended(subject: Subject, jobs: str, tmp_path: Path) -> None:
    """The window ends now or in the future. Webex refuses newer windows, so the newest calls may be missing."""
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
def test_window_that_ended_a_minute_ago_is_incomplete(subject: Subject, tmp_path: Path) -> None:
    until = NOW - timedelta(seconds=70)
    with bench(subject, tmp_path, evenly(60, SINCE, NOW), page_size=25) as made:
        ran = made.run(SINCE, until, "--schema", "raw", "-f", "jsonl")
        assert ran.code == 3
        must, may = expected(made, until)
        assert must <= counted(ran.lines) <= may


def test_export_of_several_profiles_has_one_note(tmp_path: Path) -> None:
    """Details are shown with `-v` only."""
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
