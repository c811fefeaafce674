"""`cdrctl calls`: the same calls of profiles, of an archive and of files; windows that tile; what is refused."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from cdrctl import sandbox
from cdrctl.calls.columns import CALL
from cdrctl.calls.joining import MOST_LEGS
from cdrctl.fetchers import PROVIDERS
from cdrctl.sandbox import Exchange
from tests.cli.archive_kit import configure
from tests.support.clock import HandClock
from tests.support.runner import Ran, Shell

NOW = datetime(2026, 11, 13, 12, 0, tzinfo=UTC)
DAY = ("--since", "2026-11-11T00:00Z", "--until", "2026-11-12T00:00Z")
LEGS = {"webex": "cdrs", "kazoo": "cdrs", "callgear": "legs", "portsip": "calllogs", "voicenter": "cdrs"}
Rows = list[dict[str, Any]]
pytestmark = pytest.mark.slow  # one folder for all tests; the commands themselves are quick


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Return a shell in whose folder are an archive, legs of a day in each form, and their calls, of all providers."""
    folder, clock = tmp_path_factory.mktemp("calls"), HandClock(NOW)
    with sandbox.start(exchange=Exchange(1, volume=0.3, stories="hard"), now=clock) as providers:
        shell = Shell(folder, clock)
        configure(shell, providers, *PROVIDERS)
        shell.run("sync", "--all", "--into", f"{folder}/archive", "--since", "2026-11-10", "-q").ok()
        shell.run("sync", "portsip", "--call", "calllogs", "--into", f"{folder}/archive", "--since", "2026-11-10").ok()
        shell.run("calls", "--all", *DAY, "-o", f"{folder}/calls.jsonl").ok()
        for at, (since, until) in enumerate([("11", "11T15:00"), ("11T15:00", "12")]):
            window = ("--since", f"2026-11-{since}", "--until", f"2026-11-{until}")
            shell.run("calls", "--all", *window, "-o", f"{folder}/half{at}.jsonl").ok()
        for name, call in LEGS.items():
            for schema in ("native", "raw"):
                shell.run(name, call, *DAY, "--schema", schema, "-o", f"{folder}/{name}.{schema}.jsonl").ok()
            for ending in ("csv", "parquet"):
                shell.run(name, call, *DAY, "-o", f"{folder}/{name}.{ending}").ok()
    return shell


@pytest.fixture
def shell(made: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(made.folder)
    return made


def rows_of(path: str | Path) -> Rows:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def told(rows: Rows, provider: str, *, without: tuple[str, ...] = ()) -> Rows:
    """Return the rows of a provider, without what depends on the profile."""
    out = {"profile", *without}
    found = [
        {key: value for key, value in row.items() if key not in out} for row in rows if row["provider"] == provider
    ]
    for row in found:  # Parquet does not keep zeros at the end
        row["cost"] = None if row["cost"] is None else Decimal(row["cost"])
    return sorted(found, key=lambda row: str(row["call_id"]))


def test_each_call_has_one_row_of_version_1(shell: Shell) -> None:
    rows = rows_of("calls.jsonl")
    assert {tuple(row) for row in rows} == {tuple(column.name for column in CALL)}
    assert {row["provider"] for row in rows} == set(PROVIDERS)
    assert len({(row["provider"], row["call_id"]) for row in rows}) == len(rows)
    assert len({len(told(rows, name)) for name in PROVIDERS}) == 1, "the providers tell of the same calls"


def test_windows_tile(shell: Shell) -> None:
    halves = rows_of("half0.jsonl") + rows_of("half1.jsonl")
    for name in PROVIDERS:
        assert told(halves, name) == told(rows_of("calls.jsonl"), name)


def test_an_archive_has_the_calls_of_its_provider(shell: Shell) -> None:
    ran = shell.run("calls", "--all", "--from", "archive", *DAY, "-f", "jsonl").ok()
    for name in PROVIDERS:
        assert told(ran.lines, name) == told(rows_of("calls.jsonl"), name)


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("form", ["native.jsonl", "raw.jsonl", "csv", "parquet"])
def test_files_have_the_calls_of_their_legs(shell: Shell, name: str, form: str) -> None:
    ran = shell.run("calls", f"{name}.{form}", *DAY, "--tz", "Europe/Berlin", "-f", "jsonl")
    context = ("site", "currency", "recording_urls") if form == "raw.jsonl" else ()  # of the account, not in records

    def inside(rows: Rows) -> Rows:
        """Return the calls all of whose legs are in the window."""
        found = told(rows, name, without=context)
        return [row for row in found if row["start_time"] > "2026-11-11T01" and (row["end_time"] or "") < "2026-11-12"]

    assert len(inside(ran.lines)) > 20
    assert inside(ran.lines) == inside(rows_of("calls.jsonl"))


def test_legs_come_from_standard_input_and_from_gzip(shell: Shell) -> None:
    raw = Path("kazoo.native.jsonl").read_bytes()
    Path("packed.jsonl.gz").write_bytes(gzip.compress(raw))
    plain = shell.run("calls", "kazoo.native.jsonl", "-f", "csv").ok()
    assert shell.run("calls", "packed.jsonl.gz", "-f", "csv").ok().out == plain.out
    Path("list.json").write_bytes(b"[" + b",\n".join(raw.splitlines()) + b"]")
    assert shell.run("calls", "list.json", "-f", "csv").ok().out == plain.out


def test_calls_are_selected_by_their_columns(shell: Shell) -> None:
    words = ("calls", "--all", "--from", "archive", *DAY, "-f", "csv")
    ran = shell.run(
        *words, "--where", "outcome=answered and transfers>0", "--fields", "call_id,transfer", "--limit", "3"
    )
    rows = list(csv.reader(io.StringIO(ran.ok().out)))
    assert rows[0] == ["call_id", "transfer"]
    assert len(rows) == 4
    assert shell.run(*words, "--fields", "cause").code == 2
    by_talk = (
        shell.run(*words, "--sort", "-talk_seconds", "--fields", "talk_seconds", "--limit", "5").ok().out.split()[1:]
    )
    assert [int(one) for one in by_talk] == sorted(map(int, by_talk), reverse=True)


def test_numbers_of_boxes_are_voicemail(shell: Shell) -> None:
    words = ("calls", "-p", "portsip", "--from", "archive", *DAY, "-f", "jsonl")
    before = Counter(row["outcome"] for row in shell.run(*words).ok().lines)
    after = Counter(row["outcome"] for row in shell.run(*words, "--voicemail-number", "3999").ok().lines)
    assert before["voicemail"] == 0
    assert after["voicemail"] == before["answered"] - after["answered"] > 0


def refused(ran: Ran, code: int, *words: str) -> None:
    assert ran.code == code, ran.err
    assert all(word in ran.err for word in words), ran.err


def test_what_cannot_be_joined_is_refused(shell: Shell) -> None:
    shell.run(
        "webex", "cdrs", "--from", "archive", *DAY, "--schema", "common", "-o", "common.jsonl", "-f", "jsonl"
    ).ok()
    refused(shell.run("calls", "common.jsonl"), 2, "common CDRs", "--schema native")
    refused(shell.run("calls", "calls.jsonl"), 2, "contains calls")
    Path("mixed.jsonl").write_bytes(Path("webex.raw.jsonl").read_bytes() + Path("kazoo.raw.jsonl").read_bytes())
    refused(shell.run("calls", "mixed.jsonl", "-f", "csv"), 2, "different kinds")
    Path("alike.jsonl").write_bytes(Path("kazoo.raw.jsonl").read_bytes() + Path("portsip.raw.jsonl").read_bytes())
    refused(shell.run("calls", "alike.jsonl", "-f", "csv"), 2, "different kinds")
    Path("other.jsonl").write_text('{"a": 1, "b": 2}\n', encoding="utf-8")
    refused(shell.run("calls", "other.jsonl"), 2, "not a leg")
    refused(shell.run("calls", "gone.jsonl"), 2, "cannot be read")
    refused(shell.run("calls", "webex.csv", "-p", "webex"), 2, "-p")
    refused(shell.run("calls", "webex.csv", "--provider", "vonage"), 2, "vonage")
    refused(shell.run("calls", "kazoo.csv", "--provider", "webex"), 2, "webex")
    refused(shell.run("calls", "webex.csv", "webex.csv"), 2, "more than once")


def test_lines_that_are_no_records_make_the_calls_incomplete(shell: Shell) -> None:
    lines = Path("kazoo.native.jsonl").read_bytes().splitlines()
    Path("damaged.jsonl").write_bytes(b"\n".join([*lines[:5], b'{"cut": ', *lines[5:]]) + b"\n")
    ran = shell.run("calls", "damaged.jsonl", "-f", "csv")
    refused(ran, 3, "line 6")
    assert ran.out == shell.run("calls", "kazoo.native.jsonl", "-f", "csv").ok().out


def test_no_legs_make_no_calls(shell: Shell) -> None:
    Path("empty.jsonl").write_bytes(b"")
    ran = shell.run("calls", "empty.jsonl", "-f", "csv").ok()
    assert ran.out.count("\n") == 1
    assert shell.run("calls", "empty.jsonl", "-f", "csv", "--fail-if-empty").code == 9


def test_a_leg_that_is_in_two_files_counts_once(shell: Shell) -> None:
    Path("copy.jsonl").write_bytes(Path("webex.native.jsonl").read_bytes())
    once = shell.run("calls", "webex.native.jsonl", "-f", "csv").ok().out
    twice = shell.run("calls", "webex.native.jsonl", "copy.jsonl", "-f", "csv")
    assert twice.ok().out == once
    assert "more than once" in twice.err


def test_a_table_tells_the_path_as_a_story(shell: Shell) -> None:
    ran = shell.run("calls", "-p", "webex", "--from", "archive", *DAY, "-f", "table", "--fields", "path")
    assert " → " in ran.ok().out
    assert "kind" not in ran.out


def test_a_dry_run_prints_the_requests_for_the_legs(shell: Shell) -> None:
    ran = shell.run("calls", "-p", "webex", *DAY, "--margin", "2h", "--dry-run").ok()
    assert "startTime=2026-11-10T21:59:59.99" in unquote(ran.out)
    assert ran.out.startswith("curl ")


def test_a_part_whose_first_record_is_not_there_makes_an_incomplete_call(shell: Shell) -> None:
    lines = Path("voicenter.native.jsonl").read_text(encoding="utf-8").splitlines()
    later = [line for line in lines if re.search('"OriginalIvrUniqueID": *"[^"]', line)]
    Path("later.jsonl").write_text("\n".join([*later, ""]), encoding="utf-8")
    found = shell.run("calls", "later.jsonl", "-f", "jsonl").ok().lines
    assert found
    assert {(one["complete"], one["why"]) for one in found} == {(False, "missing_leg")}


def test_legs_of_which_too_many_have_one_id_make_no_figure(shell: Shell, tmp_path: Path) -> None:
    leg = json.loads(Path("portsip.raw.jsonl").read_text(encoding="utf-8").splitlines()[0])
    path = tmp_path / "legs.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for at in range(MOST_LEGS + 100):
            file.write(json.dumps({**leg, "id": str(at), "session_id": "7"}) + "\n")
    ran = shell.run("calls", str(path), "-f", "jsonl")
    assert ran.code == 3
    assert {(row["why"], row["complete"]) for row in ran.lines} == {("shared_id", False)}
    assert len(ran.lines) == MOST_LEGS + 100
    assert f"{MOST_LEGS + 100} calls were not joined" in ran.err
    ran = shell.run("stats", str(path), "--figures", "calls")
    assert (ran.code, ran.lines[0]["value"]) == (3, None)
