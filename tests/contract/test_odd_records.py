"""Records that start in the future or share an id are kept, with a warning, for every provider."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cdrctl import windows
from cdrctl.export.identity import stable_keys
from cdrctl.export.rows import SAME_ID
from cdrctl.fetchers import identities
from cdrctl.sandbox import Exchange, uniform
from tests.support.bench import MONTH, SUBJECTS, Bench, Subject, bench, counted, evenly

SINCE, UNTIL = MONTH - timedelta(hours=3), MONTH - timedelta(hours=2)
MIDDLE = SINCE + timedelta(minutes=30)
FUTURE = "is in the future"
each_call = pytest.mark.parametrize("subject", SUBJECTS, ids=str)


def three_calls_a_minute() -> Exchange:
    """Return an exchange with three calls at the first instant of each minute."""
    minutes = [SINCE + timedelta(minutes=minute) for minute in range(60)]
    return Exchange(
        calls=[one for at in minutes for one in uniform(3, at, at + timedelta(microseconds=3), name=f"{at:%M}")]
    )


def count_identities(made: Bench, records: list[dict[str, Any]]) -> int:
    """Return how many different identities the records have."""
    context = {"timezone": "UTC"}
    return len(set(stable_keys(context, identities(records, made.call.identity))))


def starts_in_future(made: Bench, records: list[dict[str, Any]]) -> int:
    starts = [made.call.starts(record, {"timezone": "UTC"}) for record in records]
    return sum(start is not None and start.year > 2080 for start in starts)


@each_call
@pytest.mark.parametrize("jobs", ["1", "3"])
def test_record_that_starts_in_the_future_is_kept_with_a_warning(subject: Subject, jobs: str, tmp_path: Path) -> None:
    """Records are unchanged, and one warning names such a start."""
    with bench(subject, tmp_path, evenly(15, SINCE, UNTIL), page_size=5) as made:
        made.switch(["future=0.4"])
        truth = made.truth(SINCE, UNTIL)
        ran = made.run(SINCE, UNTIL, "--schema", "raw", "-f", "jsonl", "--jobs", jobs).ok()
        assert counted(ran.lines) == counted(truth)
        assert ran.err.count(FUTURE) == min(1, starts_in_future(made, truth))


@each_call
def test_record_of_a_later_window_gets_no_warning_about_the_future(subject: Subject, tmp_path: Path) -> None:
    """Records after the end of the window are dropped without a warning."""
    with bench(subject, tmp_path, evenly(15, SINCE, UNTIL), page_size=5) as made:
        ran = made.run(SINCE, MIDDLE, "--schema", "raw", "-f", "jsonl").ok()
        assert counted(ran.lines) == counted(made.truth(SINCE, MIDDLE))
        assert FUTURE not in ran.err


@pytest.mark.thin
@each_call
@pytest.mark.parametrize("jobs", ["1", "3"])
def test_different_records_with_the_same_id_are_all_kept(subject: Subject, jobs: str, tmp_path: Path) -> None:
    """Each comes once, with one warning for all of them."""
    with bench(subject, tmp_path, three_calls_a_minute(), page_size=25) as made:
        made.switch(["same_id=on"])
        truth = made.truth(SINCE, UNTIL)
        ran = made.run(SINCE, UNTIL, "--schema", "raw", "-f", "jsonl", "--jobs", jobs).ok()
        assert counted(ran.lines) == counted(truth)
        if subject.provider.name != "voicenter":  # which tells them apart by a hash before
            assert ran.err.count(SAME_ID) == min(1, len(truth) - count_identities(made, truth))


@pytest.mark.thin
@each_call
def test_windows_tile_when_records_share_an_id(subject: Subject, tmp_path: Path) -> None:
    with bench(subject, tmp_path, three_calls_a_minute(), page_size=25) as made:
        made.switch(["same_id=on"])
        found: Counter[str] = Counter()
        for window in (windows.Window(SINCE, MIDDLE), windows.Window(MIDDLE, UNTIL)):
            part, tally = made.export(window.since, window.until)
            assert not tally.gaps
            found += part
        assert found == counted(made.truth(SINCE, UNTIL))
