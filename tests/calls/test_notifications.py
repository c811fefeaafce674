"""Notifications of Voicenter: they tell the waiting in queues, alone or beside records of the call log."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cdrctl.sandbox import Exchange
from cdrctl.sandbox.voicenter import Voicenter
from tests.support.runner import Ran, run

NOW = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
SINCE, UNTIL = datetime(2026, 11, 18, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)
FIGURES = ("calls", "answered", "service_level", "abandonment", "asa", "talk", "cost")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Return files of the same two days: records of the call log, and notifications of both generations."""
    folder = tmp_path_factory.mktemp("pushed")
    found = {}
    told: list[tuple[str, str, dict[str, str]]] = [
        ("cdrs", "cdrs", {}),
        ("seed_cdrs", "cdrs", {"generation": "seed"}),
        ("seed", "notifications", {}),
        ("current", "notifications", {"notification": "current"}),
    ]
    for name, call, switches in told:
        voicenter = Voicenter(Exchange(1), lambda: NOW)
        voicenter.switched.update(switches)
        found[name] = folder / f"{name}.jsonl"
        records = voicenter.truth(call, SINCE, UNTIL)
        found[name].write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    return found


def figures(*files: Path) -> dict[str, tuple[str, str]]:
    ran: Ran = run("stats", *files, "--figures", ",".join(FIGURES), "-f", "csv").ok()
    return {one["figure"]: (one["numerator"], one["denominator"]) for one in csv.DictReader(io.StringIO(ran.out))}


@pytest.mark.parametrize("form", ["seed", "current"])
def test_notifications_tell_the_waiting_of_each_call_in_a_queue(files: Mapping[str, Path], form: str) -> None:
    calls = {one["call_id"].partition(":")[0]: one for one in run("calls", files[form]).ok().lines}
    for line in files[form].read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        if told.get("seconds_waiting_in_queue") is not None:
            call = calls[told["ivruniqueid"]]
            assert call["queue_wait_seconds"] == told["seconds_waiting_in_queue"]
            assert call["queue"] == told["queuename"]
            if told["type"] == "Queue":
                assert call["outcome"] == ("answered" if told["status"] == "ANSWER" else "abandoned")
    assert sum(one["queue_wait_seconds"] is not None for one in calls.values()) > 10


@pytest.mark.parametrize("form", ["seed", "current"])
@pytest.mark.parametrize("log", ["cdrs", "seed_cdrs"])
def test_records_and_notifications_of_one_event_count_once(files: Mapping[str, Path], form: str, log: str) -> None:
    alone, pushed, both = figures(files[log]), figures(files[form]), figures(files[log], files[form])
    assert alone["service_level"] == ("", "")
    assert both == pushed
    assert {name: alone[name] for name in ("calls", "answered", "cost")} == {
        name: both[name] for name in ("calls", "answered", "cost")
    }


def test_a_record_without_its_notification_is_not_lost_and_named(files: Mapping[str, Path], tmp_path: Path) -> None:
    lines = files["seed"].read_text(encoding="utf-8").splitlines()
    queued = [one for one in lines if "seconds_waiting_in_queue" in one]
    lines.remove(queued[0])
    (tmp_path / "some.jsonl").write_text("\n".join(lines), encoding="utf-8")
    both = figures(files["cdrs"], tmp_path / "some.jsonl")
    assert both["calls"] == figures(files["cdrs"])["calls"]
    assert both["cost"] == figures(files["cdrs"])["cost"]
    assert int(both["service_level"][1]) == len(queued) - 1
    ran = run("stats", files["cdrs"], tmp_path / "some.jsonl", "--figures", "service_level", "-f", "json").ok()
    assert "1 calls of queues or groups whose waiting time is unknown are left out" in ran.out
