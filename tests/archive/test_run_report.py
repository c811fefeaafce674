"""What a run reports: a JSON document, and metrics that two independent parsers read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from cdrctl.archive.ledger import KeptCall
from cdrctl.archive.run_report import CallResult, Problem, RunResult, metrics_text, plain_result
from cdrctl.archive.settings import Settings
from cdrctl.archive.status import CallStatus
from cdrctl.archive.store import Archive

BEGAN = datetime(2026, 11, 12, 2, 30, tzinfo=UTC)
ENDED = datetime(2026, 11, 12, 2, 31, 0, 250_000, tzinfo=UTC)
COUNTS = {"days": 2, "fetched": 9, "new": 5, "late": 1, "changed": 2, "gone": 0, "duplicate": 3}
GOOD = CallResult("acme", "webex", "cdrs", 0, COUNTS)
BAD = CallResult(
    "lab", "kazoo", "cdrs", 5, {**COUNTS, "days": 1}, {"2026-11-11": "HTTP 503"}, {}, {}, Problem(5, "Kazoo failed")
)
RUN = RunResult("sync", "1.0", "/var/lib/cdr", BEGAN, ENDED, 5, Problem(5, "1 of 2 failed"), 7, (GOOD, BAD))
ARCHIVE = Archive(Path("/var/lib/cdr"), Settings("Europe/Berlin", "jsonl"))
STATUS = (
    CallStatus(KeptCall("acme", "cdrs", "webex", BEGAN), BEGAN, "2026-11-10", 0, 1, 4, 300, 4096),
    CallStatus(KeptCall("lab", "cdrs", "kazoo", BEGAN), None, None, 2, 0, None, 0, 0),
)
ODD = 'a"b\\c\nd\té'


def families(text: str) -> dict[str, Any]:
    """Return the metric families by name, as the parser of OpenMetrics reads them."""
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    return {one.name: one for one in parser.text_string_to_metric_families(text)}


def values(text: str, name: str) -> dict[tuple[str, ...], float]:
    """Return the values of a metric by profile, or by profile and kind."""
    samples = families(text)[name].samples
    return {tuple(one.labels[key] for key in ("profile", "kind") if key in one.labels): one.value for one in samples}


def test_the_metrics_are_open_metrics() -> None:
    text = metrics_text(RUN, ARCHIVE, STATUS)
    found = families(text)
    assert {one.type for one in found.values()} == {"gauge"}
    assert {name: one.unit for name, one in found.items() if one.unit} == {
        "cdrctl_run_start_timestamp_seconds": "seconds",
        "cdrctl_run_end_timestamp_seconds": "seconds",
        "cdrctl_archive_last_success_timestamp_seconds": "seconds",
        "cdrctl_archive_complete_until_timestamp_seconds": "seconds",
        "cdrctl_archive_size_bytes": "bytes",
    }
    assert all(one.documentation for one in found.values())
    assert text.endswith("\n# EOF\n")


def test_the_metrics_have_the_figures_of_the_run_and_of_the_archive() -> None:
    text = metrics_text(RUN, ARCHIVE, STATUS)
    assert values(text, "cdrctl_run_exit_code") == {(): 5}
    assert values(text, "cdrctl_run_start_timestamp_seconds") == {(): BEGAN.timestamp()}
    assert values(text, "cdrctl_run_end_timestamp_seconds") == {(): ENDED.timestamp()}
    assert values(text, "cdrctl_run_call_exit_code") == {("acme",): 0, ("lab",): 5}
    assert values(text, "cdrctl_run_failed_days") == {("acme",): 0, ("lab",): 1}
    assert values(text, "cdrctl_run_records")["acme", "duplicate"] == 3
    assert values(text, "cdrctl_archive_last_success_timestamp_seconds") == {
        ("acme",): BEGAN.timestamp(),
        ("lab",): 0,
    }
    midnight = datetime(2026, 11, 10, 23, tzinfo=UTC).timestamp()
    assert values(text, "cdrctl_archive_complete_until_timestamp_seconds") == {("acme",): midnight, ("lab",): 0}
    assert values(text, "cdrctl_archive_hole_days") == {("acme",): 0, ("lab",): 2}
    assert values(text, "cdrctl_archive_late_records") == {("acme",): 4}, "of the other one it is not known"
    assert values(text, "cdrctl_archive_size_bytes") == {("acme",): 4096, ("lab",): 0}


def test_the_textfile_collector_reads_the_same() -> None:
    """It knows the older Prometheus format only, and refuses a file with timestamps."""
    parser = pytest.importorskip("prometheus_client.parser")
    text = metrics_text(RUN, ARCHIVE, STATUS)
    older = {one.name: one for one in parser.text_string_to_metric_families(text)}
    newer = families(text)
    assert older.keys() == newer.keys()
    for name, one in older.items():
        assert (one.type, one.documentation) == ("gauge", newer[name].documentation)
        assert [(s.name, s.labels, s.value) for s in one.samples] == [
            (s.name, s.labels, s.value) for s in newer[name].samples
        ]
        assert not any(sample.timestamp for sample in one.samples)


def test_labels_are_escaped() -> None:
    odd = replace(RUN, archive=f"/{ODD}", calls=(replace(GOOD, profile=ODD),))
    text = metrics_text(odd, ARCHIVE, (replace(STATUS[0], kept=KeptCall(ODD, "cdrs", "webex", BEGAN)),))
    for one in families(text).values():
        for sample in one.samples:
            assert sample.labels["archive"] == f"/{ODD}"
            assert sample.labels.get("profile", ODD) == ODD


def test_no_sample_is_there_twice() -> None:
    samples = [
        (one.name, tuple(sorted(one.labels.items())))
        for family in families(metrics_text(RUN, ARCHIVE, STATUS)).values()
        for one in family.samples
    ]
    assert len(samples) == len(set(samples))


def test_what_is_not_known_is_left_out() -> None:
    unknown = replace(STATUS[0], holes=None, beyond=None)
    found = families(metrics_text(replace(RUN, calls=()), ARCHIVE, (unknown,)))
    assert "cdrctl_archive_hole_days" not in found
    assert "cdrctl_archive_last_success_timestamp_seconds" in found
    assert "cdrctl_run_exit_code" in families(metrics_text(replace(RUN, calls=()), None, ()))


def test_a_profile_that_could_not_be_read_has_an_exit_code() -> None:
    text = metrics_text(replace(RUN, calls=(CallResult("new", None, None, 6, {}),)), None, ())
    assert values(text, "cdrctl_run_call_exit_code") == {("new",): 6}


def test_the_document_has_what_happened_to_each_call() -> None:
    found = json.loads(json.dumps(plain_result(RUN)))
    assert (found["command"], found["exit_code"], found["requests"]) == ("sync", 5, 7)
    assert (found["started"], found["finished"]) == ("2026-11-12T02:30:00.000Z", "2026-11-12T02:31:00.250Z")
    assert found["error"] == {"code": 5, "message": "1 of 2 failed"}
    assert found["totals"] == {name: 2 * count for name, count in COUNTS.items()} | {"days": 3}
    acme, lab = found["calls"]
    assert acme == {
        "profile": "acme",
        "provider": "webex",
        "call": "cdrs",
        "exit_code": 0,
        **COUNTS,
        "failed_days": {},
        "gone_days": {},
        "beyond_lookback_days": {},
        "error": None,
    }
    assert lab["failed_days"] == {"2026-11-11": "HTTP 503"}
    assert lab["error"]["code"] == 5
