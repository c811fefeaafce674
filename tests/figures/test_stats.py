"""`cdrctl stats`: figures of profiles, archives and files, against the exchange; what is unknown has no value."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import cdrctl
from cdrctl import PROVIDERS, sandbox
from cdrctl.calls.columns import CALL
from cdrctl.fetchers import default_joins
from cdrctl.figures.definitions import NAMES, figure
from cdrctl.figures.groups import KEYS
from cdrctl.sandbox import Exchange
from tests.calls.truth_kit import truth_of
from tests.cli.archive_kit import configure
from tests.figures.test_figures import row
from tests.support.clock import HandClock
from tests.support.runner import Ran, Shell, run

NOW = datetime(2026, 11, 13, 12, 0, tzinfo=UTC)
WINDOW = ("--since", "2026-11-10", "--until", "2026-11-12")
CSV = ("-f", "csv")
ROOT = Path(cdrctl.__file__).parents[1]
pytestmark = pytest.mark.slow  # an archive for all tests; test_figures has the figures


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Return a shell in whose folder are archives of webex and kazoo, with and without a hole, and their calls."""
    folder, clock = tmp_path_factory.mktemp("stats"), HandClock(NOW)
    with sandbox.start(exchange=Exchange(1, volume=0.4), now=clock) as providers:
        shell = Shell(folder, clock)
        configure(shell, providers, "webex", "kazoo")
        shell.run("sync", "--all", "--into", f"{folder}/archive", "--since", "2026-11-10", "-q").ok()
        shell.run("calls", "-p", "webex", *WINDOW, "-o", f"{folder}/calls.parquet").ok()
        shell.run("calls", "-p", "webex", *WINDOW, "-o", f"{folder}/calls.csv").ok()
    shutil.copytree(folder / "archive", folder / "hole")
    for file in (folder / "hole").rglob("date=2026-11-10/cdrs.*"):
        file.unlink()
    return shell


@pytest.fixture
def shell(made: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(made.folder)
    return made


def rows_of(ran: Ran) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(ran.out)))


def values_of(ran: Ran) -> dict[str, str]:
    return {row["figure"]: row["value"] for row in rows_of(ran)}


def test_figures_are_those_of_the_exchange(shell: Shell) -> None:
    ran = shell.run("stats", "-p", "webex", "--from", "archive", *WINDOW, *CSV).ok()
    since, until = datetime(2026, 11, 10, tzinfo=UTC), datetime(2026, 11, 12, tzinfo=UTC)
    calls = [call for call in Exchange(1, volume=0.4).calls(since, until) if not _is_outside(call)]
    truths = [truth_of(call) for call in calls]
    outcomes = Counter(truth.outcome for truth in truths)
    found = {row["figure"]: row for row in rows_of(ran)}
    assert found["calls"]["value"] == str(len(calls))
    assert found["answered"]["value"] == str(outcomes["answered"])
    inbound = [truth for truth in truths if truth.direction == "inbound"]
    answered = sum(truth.outcome == "answered" for truth in inbound)
    assert (found["answer_rate"]["numerator"], found["answer_rate"]["denominator"]) == (
        str(answered),
        str(len(inbound)),
    )
    queued = [call for call in calls if call.kind == "queue"]
    assert found["service_level"]["denominator"] == str(len(queued))
    talk = sum(truth.talk for truth in truths)
    assert abs(int(found["talk"]["value"]) - talk) <= len(calls)
    assert {row["hours_known"] for row in rows_of(ran)} == {"48"}


def _is_outside(call: Any) -> bool:
    """Return whether no leg of a call is of the customer, so that Webex has no record of it."""
    return all(leg.party.kind == "outside" for leg in call.legs)


def test_an_archive_a_file_of_calls_and_a_pipe_give_the_same_figures(shell: Shell) -> None:
    figures = ("--figures", "calls,asr,acd,service_level,abandonment,missed,short,cost")
    archived = values_of(shell.run("stats", "-p", "webex", "--from", "archive", *WINDOW, *figures, *CSV).ok())
    for file in ("calls.parquet", "calls.csv"):
        assert values_of(shell.run("stats", file, *WINDOW, *figures, *CSV).ok()) == archived


def test_a_day_with_a_hole_has_no_figures_unless_that_is_allowed(shell: Shell) -> None:
    words = ("stats", "-p", "webex", "--from", "hole", *WINDOW, "--by", "day", "--figures", "calls,answered", *CSV)
    ran = shell.run(*words)
    assert ran.code == 3
    by_day = {(row["day"], row["figure"]): row for row in rows_of(ran)}
    assert by_day["2026-11-11", "calls"]["value"] != ""
    whole = shell.run("stats", "-p", "webex", "--from", "hole", *WINDOW, "--figures", "calls", *CSV)
    (row,) = rows_of(whole)
    assert (row["value"], row["hours_known"], row["hours_asked"]) == ("", "24", "48")
    assert "24 of 48 hours" in row["why"]
    allowed = shell.run(
        "stats", "-p", "webex", "--from", "hole", *WINDOW, "--figures", "calls", *CSV, "--allow-partial"
    )
    (row,) = rows_of(allowed.ok())
    assert row["value"] == by_day["2026-11-11", "calls"]["value"]
    assert "24 of 48 hours" in row["why"]


def test_a_provider_that_tells_nothing_of_queues_has_no_service_level(shell: Shell) -> None:
    ran = shell.run("stats", "-p", "kazoo", "--from", "archive", *WINDOW, "--figures", "service_level,calls", *CSV).ok()
    found = {row["figure"]: row for row in rows_of(ran)}
    assert (found["service_level"]["value"], found["service_level"]["denominator"]) == ("", "")
    assert "Kazoo" in found["service_level"]["why"]
    both = shell.run("stats", "--all", "--from", "archive", *WINDOW, "--figures", "service_level", *CSV).ok()
    assert "leaves out kazoo" in rows_of(both)[0]["why"]


def test_a_figure_says_what_it_counts_wrongly(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerows([[one.name for one in CALL], row("08:00:00", "08:02:00", "answered", provider="voicenter")])
    found = {one["figure"]: one["why"] for one in rows_of(run("stats", str(path), "--figures", "asr,acd", *CSV).ok())}
    assert found["asr"].startswith("voicenter: calls that a ring group took")
    assert found["acd"] == ""


def test_calls_are_selected_before_they_are_counted(shell: Shell) -> None:
    words = ("stats", "-p", "webex", "--from", "archive", *WINDOW, "--figures", "calls,asr", *CSV)
    ran = shell.run(*words, "--where", "direction = inbound and outcome = answered").ok()
    found = {row["figure"]: row for row in rows_of(ran)}
    assert found["asr"]["value"] == "1.0000"
    assert found["calls"]["value"] == found["asr"]["numerator"]


def test_a_table_shows_percent_time_and_a_trend(shell: Shell) -> None:
    words = ("stats", "-p", "webex", "--from", "archive", *WINDOW, "-f", "table")
    assert " % " in shell.run(*words).ok().out
    assert "trend" in shell.run(*words, "--by", "day", "--figures", "calls,acd").ok().out


def test_a_table_fits_a_narrow_terminal_and_its_notes_have_the_reasons(shell: Shell, tmp_path: Path) -> None:
    words = [str(path) for path in (Path("calls.csv"), tmp_path / "kazoo.csv")]
    shell.run("calls", "-p", "kazoo", "--from", "archive", *WINDOW, "-o", words[1]).ok()
    for by in (None, *KEYS):
        ran = run("stats", *words, "-f", "table", *(("--by", by) if by else ()), width=40).ok()
        assert max(map(len, ran.out.splitlines())) <= 40, by
        assert "leaves out kazoo: Kazoo's records contain no queues" in " ".join(ran.err.split())
    whole = run("stats", *words, "-f", "table", width=40).ok()
    assert "service_level_without_quick" in whole.out
    assert "note 1: hold: leaves out kazoo" in whole.err
    hourly = run("stats", *words, "-f", "table", "--by", "hour", "--figures", "calls", width=80).ok()
    trend = hourly.out.splitlines()[-1].split("  ", 1)[1]
    assert len(trend.strip()) > len(hourly.out.splitlines()) - 3, "hours without calls are in it"


def test_a_trend_has_the_times_without_calls_and_is_no_longer_than_people_read(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"

    def trend(*days: str, by: str) -> tuple[str, str]:
        names = [column.name for column in CALL]
        many = [row("08:00:00", "08:00:20", "no_answer", start_time=f"{day}T08:00:00.000Z") for day in days]
        lines = [json.dumps({"leg_ids": [], "call_id": "a", **dict(zip(names, one, strict=True))}) for one in many]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        ran = run("stats", path, "-f", "table", "--by", by, "--figures", "calls", "--tz", "UTC").ok()
        last = ran.out.rstrip("\n").splitlines()[-1]
        return last.removeprefix("trend").lstrip().rstrip(" │|"), " ".join(ran.err.split())

    for by, last in (("day", "2026-11-14"), ("week", "2026-12-07"), ("month", "2027-03-10")):
        assert trend("2026-11-10", last, by=by)[0] == "▁   ▁", by
        ended, said = trend("2026-11-10", "9997-01-02", by=by)
        assert "9997" in ended, "there is a line of the last call, and no trend"
        assert f"there is no trend: there are more than 400 {by}s from 2026-" in said


def test_days_are_those_of_the_profiles_unless_they_differ(shell: Shell, tmp_path: Path) -> None:
    text = shell.config.read_text(encoding="utf-8")
    config = tmp_path / "zones.toml"

    def days(*more: str, zones: tuple[str, str]) -> tuple[set[str], str]:
        changed = text
        for name, zone in zip(("webex", "kazoo"), zones, strict=True):
            changed = changed.replace(f"[profiles.{name}]\n", f'[profiles.{name}]\ntimezone = "{zone}"\n')
        config.write_text(changed, encoding="utf-8")
        config.chmod(0o600)
        words = ("stats", "--all", "--from", "archive", "--since", "2026-11-10T12:00Z", "--until", "2026-11-10T23:00Z")
        ran = shell.run(*words, *more, "--by", "day", "--figures", "calls", *CSV, CDRCTL_CONFIG=str(config)).ok()
        return {row["day"] for row in rows_of(ran)}, ran.err

    both = {"2026-11-10", "2026-11-11"}
    assert days(zones=("Asia/Tokyo", "Asia/Tokyo"))[0] == both
    found, err = days(zones=("Asia/Tokyo", "America/New_York"))
    assert found == {"2026-11-10"}
    assert "several time zones (America/New_York, Asia/Tokyo)" in err
    found, err = days("--tz", "Asia/Tokyo", zones=("Europe/Berlin", "America/New_York"))
    assert found == both
    assert "several time zones" not in err


def test_a_provider_gives_a_figure_or_the_reason_that_the_pages_have(tmp_path: Path) -> None:
    clock = HandClock(NOW)
    with sandbox.start(exchange=Exchange(1, volume=0.4), now=clock) as providers:
        live = Shell(tmp_path, clock)
        configure(live, providers, *PROVIDERS)
        for name in PROVIDERS:
            lacks = default_joins(name).lacks
            found = rows_of(live.run("stats", "-p", name, *WINDOW, *CSV).ok())
            assert {row["figure"] for row in found} == set(NAMES), name
            for row in found:
                reason = lacks.get(figure(row["figure"]).needs)
                assert (row["value"] == "") == (reason is not None), (name, row)
                assert reason is None or row["why"] == reason


def test_without_a_window_what_needs_one_says_so(shell: Shell) -> None:
    found = {row["figure"]: row for row in rows_of(shell.run("stats", "calls.csv", *CSV).ok())}
    assert found["traffic"]["value"] == ""
    assert "--since" in found["traffic"]["why"]
    assert found["calls"]["hours_asked"] == ""


def test_a_definition_runs_in_sql_form(shell: Shell) -> None:
    ran = shell.run("stats", "--explain", "service_level", "--service-level", "80/30").ok()
    assert "Source: " in ran.out
    assert "<= 30" in ran.out
    assert "$" not in ran.out
    assert shell.run("stats", "--explain", "occupancy").code == 2
    assert shell.run("stats", "--figures", "fcr", "calls.csv").code == 2
    assert shell.run("stats", "--service-level", "80", "calls.csv").code == 2
    assert shell.run("stats", "--by", "minute", "calls.csv").code == 2


def test_no_calls_have_counts_of_zero_and_no_quotients(shell: Shell) -> None:
    Path("none.jsonl").write_bytes(b"")
    found = values_of(shell.run("stats", "none.jsonl", *WINDOW, *CSV).ok())
    assert found["calls"] == "0"
    assert found["asr"] == ""


@pytest.mark.process
def test_a_refused_command_prints_its_message_alone(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "cdrctl", "stats", "gone.jsonl"],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 2, ran.stderr


def test_a_profile_or_a_line_that_cannot_be_read_leaves_no_figure(shell: Shell, tmp_path: Path) -> None:
    lines = Path("calls.csv").read_bytes()
    Path("cut.csv").write_bytes(lines + b"webex,acme\n")
    ran = shell.run("stats", "cut.csv", *WINDOW, "--figures", "calls", *CSV)
    assert ran.code == 3
    assert [(row["value"], "missing" in row["why"]) for row in rows_of(ran)] == [("", True)]
    assert values_of(shell.run("stats", "cut.csv", *WINDOW, "--figures", "calls", *CSV, "--allow-partial").ok())[
        "calls"
    ]

    with sandbox.start(exchange=Exchange(1, volume=0.1), now=HandClock(NOW)) as providers:
        live = Shell(tmp_path, HandClock(NOW))
        configure(live, providers, "webex", "kazoo")
        text = live.config.read_text(encoding="utf-8")
        live.config.write_text(re.sub('api_key = "[^"]*"', f'api_key = "{"0" * 64}"', text), encoding="utf-8")
        ran = live.run("stats", "--all", *WINDOW, "--figures", "calls", *CSV)
    assert ran.code == 4
    assert [(row["value"], "missing" in row["why"]) for row in rows_of(ran)] == [("", True)]
