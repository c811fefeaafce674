"""A damaged record costs no other record: invalid text is replaced, and a value that cannot be read is a gap."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cdrctl.sandbox.damage import NUMBERS, TEXTS, is_damaged
from tests.support.bench import MONTH, SUBJECTS, Bench, Subject, bench, counted, evenly

SINCE, UNTIL = MONTH - timedelta(hours=3), MONTH - timedelta(hours=2)
CALLS = 24
MENDED = {"bad_byte": "Ren\ufffd", "cut_character": "Jos\ufffd", "lone_surrogate": "\ufffd lone"}
each_call = pytest.mark.parametrize("subject", SUBJECTS, ids=str)


def warnings(err: str) -> list[str]:
    return [line for line in err.splitlines() if "warning: " in line and "U+FFFD" in line]


def ids_of(made: Bench, records: list[Any]) -> list[str]:
    return [made.call.identity(one) for one in records]


def known(made: Bench, records: list[Any]) -> bool:
    """Return whether records have an id that stays when a name changes; others are identified by their content."""
    changed = [{**one, "source": "x", "duration": 0} for one in records]
    return ids_of(made, changed) == ids_of(made, records)


@pytest.mark.thin
@each_call
@pytest.mark.parametrize("kind", MENDED)
def test_invalid_unicode_is_replaced_with_one_warning(subject: Subject, kind: str, tmp_path: Path) -> None:
    """Every record comes in every schema and format, and the output is valid UTF-8."""
    with bench(subject, tmp_path, evenly(CALLS, SINCE, UNTIL)) as made:
        truth = made.truth(SINCE, UNTIL)
        hit = [one for one in truth if is_damaged(one)]
        assert 0 < len(hit) < len(truth)
        names = ids_of(made, hit)
        made.switch([f"damage={kind}"])
        for schema in ("raw", "native", *(["common"] if made.call.common else [])):
            ran = made.run(SINCE, UNTIL, "--schema", schema, "-f", "jsonl").ok()
            lines = ran.out.splitlines()
            assert len(lines) == len(truth)
            if schema == "raw" and kind == "lone_surrogate":
                assert sum(r"\ud83d lone" in line for line in lines) == len(hit)
                assert warnings(ran.err) == []
                continue
            if schema != "common":
                assert sum(MENDED[kind] in json.dumps(json.loads(line), ensure_ascii=False) for line in lines) == len(
                    hit
                )
            assert "\\ud" not in ran.out
            [said] = warnings(ran.err)
            assert not known(made, truth) or any(name[:40] in said for name in names)
            assert "Ren" not in said
        for form in ("csv", "tsv", "json", "table"):
            ran = made.run(SINCE, UNTIL, "-f", form).ok()
            ran.written.decode("utf-8")
            assert len(warnings(ran.err)) == 1


@each_call
@pytest.mark.parametrize("kind", ["huge_integer", "deep"])
def test_unreadable_record_is_a_gap_with_its_id(subject: Subject, kind: str, tmp_path: Path) -> None:
    """All other records come. The exit code is 3, because a retry would not help."""
    assert {*MENDED, "huge_integer", "deep"} == {*TEXTS, *NUMBERS}
    with bench(subject, tmp_path, evenly(CALLS, SINCE, UNTIL)) as made:
        truth = made.truth(SINCE, UNTIL)
        good = [one for one in truth if not is_damaged(one)]
        assert 0 < len(good) < len(truth)
        made.switch([f"damage={kind}"])
        ran = made.run(SINCE, UNTIL, "--schema", "native", "-f", "jsonl")
        assert ran.code == 3, ran.err
        assert len(ran.lines) == len(good)
        lost = [one for one in truth if is_damaged(one)]
        for name in ids_of(made, lost) if known(made, truth) else []:
            assert f"incomplete: record {name[:40]}" in ran.err
        assert made.run(SINCE, UNTIL, "--allow-partial").code == 0


@each_call
def test_records_beside_a_damaged_one_are_unchanged(subject: Subject, tmp_path: Path) -> None:
    """Pages with a damaged record are read in a slower way, which gives the same values."""
    with bench(subject, tmp_path, evenly(CALLS, SINCE, UNTIL)) as made:
        whole = made.run(SINCE, UNTIL, "-f", "csv").ok().written.splitlines()
        made.switch(["damage=bad_byte"])
        mixed = made.run(SINCE, UNTIL, "-f", "csv").ok().written.splitlines()
        assert len(whole) == len(mixed)
        differ = [there for here, there in zip(sorted(whole), sorted(mixed), strict=True) if here != there]
        assert all("\ufffd" in line.decode() for line in mixed if line not in whole)
        assert differ


@each_call
def test_maintenance_is_waited_out(subject: Subject, tmp_path: Path) -> None:
    """A provider answers 503 for ten minutes. If it does so for longer than `max_wait`, the run ends."""
    with bench(subject, tmp_path, evenly(CALLS, SINCE, UNTIL)) as made:
        truth = counted(made.truth(SINCE, UNTIL))
        made.switch(["maintenance=10"])
        assert counted(made.raw(SINCE, UNTIL)) == truth
        assert 600 <= sum(made.clock.waits) <= 700
        made.switch(["maintenance=60"])
        assert made.run(SINCE, UNTIL, "--max-wait", "2m").code == 5
