"""`cdrctl sql`: SQL over an archive, on the command line."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cdrctl import sandbox
from cdrctl.archive.calls_view import VIEW
from cdrctl.archive.figure_views import ALL, COLUMNS
from cdrctl.archive.store import FIRST_LAYOUT, open_or_create
from cdrctl.archive.views import all_views
from cdrctl.figures.definitions import NAMES as FIGURES
from cdrctl.sandbox import Exchange
from tests.cli.archive_kit import configure
from tests.support.clock import HandClock
from tests.support.runner import Ran, Shell, run

NOW = datetime(2026, 11, 12, 2, 30, tzinfo=UTC)
DAY = ("--since", "2026-11-11", "--until", "2026-11-12")


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Return a shell in whose folder is an archive of two days of webex, kazoo and voicenter, and nothing else."""
    folder, clock = tmp_path_factory.mktemp("archived"), HandClock(NOW)
    with sandbox.start(now=clock, exchange=Exchange(volume=0.3)) as providers:
        shell = Shell(folder, clock)
        configure(shell, providers, "webex", "kazoo", "voicenter")
        shell.run(
            "sync", "--all", "--into", str(folder / "archive"), "--since", "2026-11-11", "-f", "parquet", "-q"
        ).ok()
    shell.config.unlink()
    return shell


@pytest.fixture
def shell(archived: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Return the shell, in its folder."""
    monkeypatch.chdir(archived.folder)
    return archived


def asked(shell: Shell, *words: str) -> Ran:
    return shell.run("sql", "--from", "archive", *words)


@pytest.mark.slow
def test_a_statement_is_answered_as_json_lines(shell: Shell) -> None:
    ran = asked(
        shell, "SELECT provider, count(*) AS legs FROM common WHERE date = '2026-11-11' GROUP BY ALL ORDER BY ALL"
    )
    expected = []
    for provider in ("kazoo", "voicenter", "webex"):
        legs = shell.run(provider, "cdrs", *DAY, "--from", "archive", "-f", "csv").ok()
        expected.append({"provider": provider, "legs": sum(1 for _ in csv.reader(io.StringIO(legs.out))) - 1})
    assert ran.ok().lines == expected


@pytest.mark.slow
def test_common_cdrs_are_those_of_an_export(shell: Shell) -> None:
    for provider in ("kazoo", "voicenter", "webex"):
        export = shell.run(provider, "cdrs", *DAY, "--from", "archive", "--schema", "common").ok()
        columns = ", ".join(f'"{name}"' for name in export.lines[0])
        told = f"SELECT {columns} FROM common WHERE date = '2026-11-11' AND provider = '{provider}'"  # noqa: S608
        assert plain(asked(shell, told).ok()) == plain(export)


def plain(ran: Ran) -> list[str]:
    """Return the records as text, sorted, with amounts in one notation: as numbers, 0.50 and 0.5 are equal."""
    lines = [{**one, "cost": one["cost"] and str(Decimal(one["cost"]).normalize())} for one in ran.lines]
    return sorted(json.dumps(one) for one in lines)


@pytest.mark.slow
def test_archives_of_the_first_layout_have_the_same_rows(shell: Shell, tmp_path: Path) -> None:
    folder = open_or_create(tmp_path / "first", None, "jsonl.gz", FIRST_LAYOUT).folder
    with sandbox.start(now=shell.clock, exchange=Exchange(volume=0.3)) as providers:
        other = Shell(tmp_path, shell.clock)
        configure(other, providers, "webex")
        other.run("sync", "webex", "--into", str(folder), "--since", "2026-11-11", "-q").ok()
    told = "FROM webex_cdrs WHERE date = '2026-11-11' ORDER BY _key"
    assert other.run("sql", "--from", str(folder), told).ok().lines == asked(shell, told).ok().lines


def test_voicenters_own_date_has_another_name(shell: Shell) -> None:
    one = asked(shell, "SELECT date, date_, _start FROM voicenter_cdrs WHERE date = '2026-11-11' LIMIT 1").ok().lines[0]
    assert one["date"] == "2026-11-11"
    assert one["date_"] == one["_start"]


NAMES = [
    *((view.name, one.name) for view in (*all_views(), VIEW) for one in view.columns),
    *((ALL, one.name) for one in COLUMNS),
    *((one, "value") for one in FIGURES if one != VIEW.name),
]


def test_without_a_statement_the_columns_are_listed(shell: Shell) -> None:
    ran = asked(shell).ok()
    assert [(one["view"], one["column"]) for one in ran.lines] == NAMES
    assert {one["type"] for one in ran.lines} >= {"DATE", "TIMESTAMP WITH TIME ZONE", "DECIMAL(38,18)", "BOOLEAN"}


def test_on_a_terminal_the_list_is_a_table(shell: Shell) -> None:
    ran = run("sql", "--from", "archive", "--no-pager", terminal=True, width=200, clock=shell.clock).ok()
    cells = [tuple(line.split()[:2]) for line in ran.out.splitlines()]
    assert cells[-len(NAMES) :] == NAMES


def test_a_table_has_no_colours_for_columns_that_are_not_there(shell: Shell) -> None:
    ran = run("sql", "--from", "archive", "SELECT outcome FROM common LIMIT 1", terminal=True, clock=shell.clock)
    assert "outcome" in ran.ok().out


def test_a_table_is_written_on_a_terminal(shell: Shell) -> None:
    ran = run("sql", "--from", "archive", "SELECT 1 AS one, 'x' AS two", terminal=True, clock=shell.clock).ok()
    assert [line.split() for line in ran.out.splitlines()][-1] == ["1", "x"]


def test_a_statement_may_come_from_standard_input(shell: Shell) -> None:
    ran = run("sql", "--from", "archive", "-", stdin="SELECT 1 AS a -- é\n;\n", clock=shell.clock)
    assert ran.ok().lines == [{"a": 1}]


def test_the_result_goes_to_a_file_of_its_format(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "result.parquet"
    told = "SELECT 12.50::DECIMAL(6, 2) AS m, 0.1::DOUBLE AS d, TIMESTAMPTZ '2026-11-11 01:00:00+01' AS t, 1 AS n"
    asked(shell, told, "-o", str(path)).ok()
    (row,) = pq.read_table(path).to_pylist()
    assert (row["m"], row["d"], row["n"]) == (Decimal("12.5"), Decimal("0.1"), 1)
    assert row["t"] == datetime(2026, 11, 11, tzinfo=UTC)
    assert asked(shell, "SELECT 1 AS a, 2 AS a", "-f", "csv").ok().out == "a,a\n1,2\n"
    assert asked(shell, "SELECT 1 AS a, 2 AS A").code == 2
    assert asked(shell, "SELECT 1 AS a", "-o", str(tmp_path / "x.sqlite")).code == 2


def test_a_limit_stops_and_says_so(shell: Shell) -> None:
    ran = asked(shell, "FROM range(5000)", "--limit", "1200").ok()
    assert len(ran.lines) == 1200
    assert "1200" in ran.err
    assert len(asked(shell, "FROM range(5)", "--limit", "5").ok().lines) == 5


def test_days_are_those_of_the_time_zone(shell: Shell) -> None:
    told = "SELECT date_trunc('day', TIMESTAMPTZ '2026-11-11 23:30:00Z') AS day"
    assert asked(shell, told).ok().lines == [{"day": "2026-11-11T00:00:00.000Z"}]
    berlin = ("--tz", "Europe/Berlin", "--times", "local")
    assert asked(shell, told, *berlin).ok().lines == [{"day": "2026-11-12T00:00:00.000+01:00"}]
    assert asked(shell, told, "--tz", "Mars").code == 2


def test_exit_codes(shell: Shell) -> None:
    assert asked(shell, "SELECT nope FROM common").code == 2
    assert asked(shell, "DROP VIEW common").code == 2
    assert asked(shell, "").code == 2
    assert run("sql", "SELECT 1", clock=shell.clock).code == 2
    assert run("sql", "--from", "nowhere", "SELECT 1", clock=shell.clock).code == 2
    assert asked(shell, "FROM range(0)").code == 0
    assert asked(shell, "FROM range(0)", "--fail-if-empty").code == 9


def test_the_words_of_duckdb_name_what_is_wrong_without_the_next_lines(shell: Shell) -> None:
    ran = asked(shell, "SELECT 'x'::INTEGER")
    assert (ran.code, ran.written) == (2, b"")
    assert "'x'" in ran.err


@pytest.mark.slow
def test_a_day_that_cannot_be_read_is_incomplete_where_it_is_needed(shell: Shell, tmp_path: Path) -> None:
    shutil.copytree("archive", tmp_path / "archive")
    path = next(tmp_path.glob("archive/profile=webex/call=cdrs/date=2026-11-12/cdrs.parquet"))
    path.write_bytes(path.read_bytes()[:1000])

    def code(told: str, *words: str) -> int:
        return shell.run("sql", "--from", str(tmp_path / "archive"), told, *words).code

    assert code("SELECT count(*) FROM webex_cdrs WHERE date = '2026-11-11'") == 0
    assert code("SELECT count(*) FROM webex_cdrs") == 3
    assert code("SELECT count(*) FROM common WHERE profile = 'webex'") == 3
    assert code("SELECT count(*) FROM webex_cdrs", "--allow-partial") == 0


@pytest.mark.slow
def test_days_that_are_missing_are_noted_where_they_are_needed(shell: Shell, tmp_path: Path) -> None:
    shutil.copytree("archive", tmp_path / "archive")
    ledger = tmp_path / "archive/_cdrctl/ledger/webex/cdrs.json"
    plain = json.loads(ledger.read_text(encoding="utf-8"))
    shutil.rmtree(tmp_path / "archive/profile=webex/call=cdrs/date=2026-11-11")
    del plain["days"]["2026-11-11"]
    ledger.write_text(json.dumps(plain), encoding="utf-8")
    late = HandClock(datetime(2026, 11, 20, tzinfo=UTC))

    def noted(told: str) -> bool:
        ran = run("sql", "--from", tmp_path / "archive", told, clock=late).ok()
        return "webex cdrs" in ran.err

    assert noted("SELECT count(*) FROM webex_cdrs")
    assert noted("SELECT count(*) FROM common WHERE date = '2026-11-11'")
    assert not noted("SELECT count(*) FROM webex_cdrs WHERE date = '2026-10-11'")
    assert not noted("SELECT count(*) FROM kazoo_cdrs WHERE date < '2026-11-12'")


def test_without_duckdb_the_error_names_the_package(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    ran = asked(shell, "SELECT 1")
    assert ran.code == 6
    assert "pip install 'cdrctl[duckdb]'" in ran.err


def test_without_pyarrow_a_parquet_archive_is_refused(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ran = asked(shell, "FROM webex_cdrs")
    assert ran.code == 6
    assert "pip install 'cdrctl[parquet]'" in ran.err


def test_no_temporary_files_stay(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    asked(shell, "FROM webex_cdrs").ok()
    assert asked(shell, "SELECT error('x')").code == 2
    assert [*tmp_path.iterdir()] == []
