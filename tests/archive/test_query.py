"""Statements over archives: one statement that reads, and a database that can do nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from cdrctl.archive import query
from cdrctl.archive.calls_view import VIEW, CallScan
from cdrctl.archive.dayfile import NewDay, Row
from cdrctl.archive.figure_views import ALL, COLUMNS, create_statements
from cdrctl.archive.files import save
from cdrctl.archive.index import UNPLACED, milliseconds
from cdrctl.archive.ledger import KeptCall
from cdrctl.archive.ledger2 import JsonLedger
from cdrctl.archive.source import open_source
from cdrctl.archive.store import FORMATS, Archive, open_or_create
from cdrctl.archive.views import Scan, all_views
from cdrctl.errors import UsageError
from cdrctl.fetchers import load
from cdrctl.figures.definitions import NAMES
from cdrctl.records.columns import Column
from cdrctl.writers.csv import DIALECT
from cdrctl.writers.separated import join_lines
from cdrctl.writers.values import json_of, text_of

NOW = datetime(2026, 11, 12, 5, 0, tzinfo=UTC)
GONE_AT = datetime(2026, 11, 11, tzinfo=UTC)
CALL = load("webex").call("cdrs")


def key(number: int) -> bytes:
    return number.to_bytes(15, "big")


def put(
    archive: Archive,
    profile: str,
    day: str,
    records: Sequence[dict[str, Any]],
    columns: Sequence[Column] = CALL.columns,
) -> None:
    """Write a day's file with records whose `start_time` tells their place."""
    names = [*(column.name for column in columns), "extra"]
    in_csv = "csv" in archive.form
    header = join_lines([names], DIALECT).encode() if in_csv else b""
    rows = []
    for number, one in enumerate(records, start=1):
        start = one.get("start_time")
        place = UNPLACED if start is None else milliseconds(datetime.fromisoformat(start))
        cells = [text_of(one.get(name)) for name in names]
        line = join_lines([cells], DIALECT).encode() if in_csv else json_of(one) + b"\n"
        gone_at = milliseconds(GONE_AT) if number == 1 and day == "2026-11-09" else None
        rows.append(Row(place, key(number), line, gone_at))
    path = archive.path(profile, "cdrs", day)
    save(archive, path, NewDay(columns, header, lambda: rows, len(rows), []))
    JsonLedger(archive).keep(KeptCall(profile, "cdrs", "webex", datetime(2026, 11, 9, tzinfo=UTC)))


def made(folder: Path, form: str) -> Archive:
    """Return an archive of two profiles and four days, one of which is unknown."""
    archive = open_or_create(folder, None, form)
    for profile in ("acme", "globex"):
        for day in ("2026-11-09", "2026-11-10", "2026-11-11"):
            hours = [f"{day}T{hour:02}:00:00.000Z" for hour in range(3)]
            put(
                archive,
                profile,
                day,
                [{"start_time": at, "duration": 60, "answered": True, "user": "Ünal"} for at in hours],
            )
        put(archive, profile, "unknown", [{"start_time": None, "duration": 7}])
    return archive


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an archive that no test may change."""
    return made(tmp_path_factory.mktemp("query") / "archive", "parquet").folder


@contextmanager
def opened(folder: Path, text: str = "", zone: str = "UTC") -> Iterator[tuple[query.Database, Scan]]:
    """Open a database over an archive."""
    warnings: list[str] = []
    with open_source(folder) as archive:
        scan = Scan(archive, NOW, lambda kept: kept.profile, warnings.append)
        with query.open_database(CallScan(scan), zone, text) as database:
            yield database, scan


def rows_of(database: query.Database, text: str) -> list[list[Any]]:
    """Return the rows of a statement."""
    return [row for page in database.result(text).pages for row in page]


def asked(folder: Path, text: str, zone: str = "UTC") -> tuple[list[list[Any]], Scan]:
    """Return the rows of a statement in a database of its own, and what it read."""
    with opened(folder, text, zone) as (database, scan):
        return rows_of(database, text), scan


def rows(folder: Path, text: str) -> list[list[Any]]:
    return asked(folder, text)[0]


@contextmanager
def reopened(folder: Path) -> Iterator[Callable[[], query.Database]]:
    """Return a function that returns a database for many statements, and another one if the last statement broke it."""
    with ExitStack() as stack:
        databases: list[query.Database] = []

        def usable() -> query.Database:
            if not databases or not works(databases[-1]):
                databases.append(stack.enter_context(opened(folder))[0])
            return databases[-1]

        yield usable


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[Callable[[], query.Database]]:
    with reopened(folder) as usable:
        yield usable


@pytest.fixture(scope="module")
def shared_lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Callable[[], query.Database]]]:
    folder = open_or_create(tmp_path_factory.mktemp("lines") / "archive", None, "jsonl").folder
    with reopened(folder) as usable:
        yield folder, usable


def works(database: query.Database) -> bool:
    """Return whether a database answers: a statement that fails may end its transaction."""
    try:
        return rows_of(database, "SELECT 1") == [[1]]
    except UsageError:
        return False


@pytest.fixture
def database(shared: Callable[[], query.Database]) -> query.Database:
    """Return a database that works and may have run other statements."""
    return shared()


FAST = {"parquet", "csv.gz", "jsonl without pyarrow"}
EVERY_FORM = [
    pytest.param(form, marks=[] if form in FAST else pytest.mark.slow)
    for form in (*FORMATS, "jsonl without pyarrow", "csv.gz without pyarrow")
]


@pytest.fixture(params=EVERY_FORM)
def of_any_form(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    form, _, without = request.param.partition(" ")
    archive = made(tmp_path / "archive", form)
    if without:
        monkeypatch.setattr(query, "find_spec", lambda _name: None)
    return archive.folder


@pytest.mark.thin
def test_all_formats_have_the_same_rows(of_any_form: Path) -> None:
    told = 'SELECT profile, date, _start, start_time, duration, answered, "user", _key FROM webex_cdrs ORDER BY ALL'
    found = rows(of_any_form, told)
    assert len(found) == 20
    start = "2026-11-09T00:00:00.000Z"
    assert found[0] == ["acme", "2026-11-09", start, start, 60, True, "Ünal", key(1).hex()]
    assert [row for row in found if row[1] is None] == [
        [profile, None, None, None, 7, None, None, key(1).hex()] for profile in ("acme", "globex")
    ]


@pytest.mark.thin
def test_common_cdrs_are_of_all_calls(of_any_form: Path) -> None:
    told = "SELECT provider, profile, call, total_seconds, count(*) FROM common GROUP BY ALL ORDER BY ALL"
    assert rows(of_any_form, told) == [
        ["webex", "acme", "cdrs", None, 10],
        ["webex", "globex", "cdrs", None, 10],
    ]
    assert rows(of_any_form, "SELECT count(*) FROM common WHERE start_time IS DISTINCT FROM _start") == [[0]]


@pytest.mark.slow
def test_every_view_is_there_and_empty_without_records(tmp_path: Path) -> None:
    folder = open_or_create(tmp_path / "archive", None, "jsonl").folder
    views = {view.name: [(one.name, query.sql_type(one)) for one in view.columns] for view in (*all_views(), VIEW)}
    figures = {one: [(column.name, query.sql_type(column)) for column in COLUMNS] for one in (ALL, *NAMES)}
    views = {**figures, **views}
    assert {name for (name,) in rows(folder, "SHOW TABLES")} == {*views}
    told = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal ORDER BY column_index"
    found: dict[str, list[tuple[str, str]]] = {}
    for view, name, kind in rows(folder, told):
        found.setdefault(view, []).append((name, kind))
    assert found == views
    every = " UNION ALL ".join(f"SELECT 1 FROM {one}" for one in views if one not in figures)  # noqa: S608
    assert rows(folder, every) == []


def test_a_view_has_gone_records_and_says_since_when(of_any_form: Path) -> None:
    told = "SELECT DISTINCT date, _key, _gone_at FROM common WHERE _gone_at IS NOT NULL"
    assert rows(of_any_form, told) == [["2026-11-09", key(1).hex(), "2026-11-11T00:00:00.000Z"]]


# Only what is needed is read


@pytest.mark.thin
@pytest.mark.parametrize(
    ("condition", "files"),
    [
        ("true", 8),
        ("date = '2026-11-10'", 2),
        ("date = '2026-11-10' AND profile = 'acme'", 1),
        ("date BETWEEN '2026-11-10' AND '2026-11-30'", 4),
        ("date IN ('2026-11-09', '2026-11-11') AND profile <> 'acme'", 2),
        ("date_trunc('month', date) = DATE '2026-10-01'", 0),
        ("year(date) = 2026 AND profile = 'globex'", 3),
        ("date IS NULL", 2),
        ("_start >= '2026-11-10' AND _start < '2026-11-11'", 2),
        ("_start >= '2026-11-10T23:59:00Z'", 4),
        ("profile = 'nobody'", 0),
    ],
)
@pytest.mark.parametrize("view", ["webex_cdrs", "common"])
def test_only_the_days_of_the_condition_are_read(folder: Path, view: str, condition: str, files: int) -> None:
    _, scan = asked(folder, f"SELECT count(*) FROM {view} WHERE {condition}")  # noqa: S608
    assert scan.files == files


CONDITIONS = [
    *("date > '2026-11-09'", "NOT date = '2026-11-09'", "date IS NOT NULL", "date <> '2026-11-10' OR date IS NULL"),
    *("_start = '2026-11-10 01:00:00'", "_start IN ('2026-11-10 01:00:00+00', '2026-11-11 02:00:00+00')"),
    *("_start IS NULL", "duration = 7", "duration > 7 AND duration < 61", "answered", "NOT answered"),
    *("answered IS NULL", "\"user\" = 'Ünal'", "\"user\" LIKE 'Ü%'", "profile IN ('acme', 'x')", "profile > 'b'"),
    *("start_time < '2026-11-10'", "duration IN (60, 7)", "_gone_at IS NULL", "_key LIKE '%1'", "duration + 1 = 8"),
    *("_start < date + INTERVAL 1 HOUR", "date = (SELECT max(date) FROM webex_cdrs)", "false", "duration = 7.0"),
    "coalesce(duration, 0) = 60",
]


@pytest.mark.thin
@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_that_is_passed_to_the_scan_selects_the_same_rows(database: query.Database, condition: str) -> None:
    passed = rows_of(database, f"SELECT _key, profile, date FROM webex_cdrs WHERE {condition} ORDER BY ALL")  # noqa: S608
    whole = "WITH every AS MATERIALIZED (SELECT *, random() FROM webex_cdrs)"
    told = f"{whole} SELECT _key, profile, date FROM every WHERE {condition} ORDER BY ALL"  # noqa: S608
    assert rows_of(database, told) == passed


# Files of other versions, and files that cannot be read


@pytest.mark.slow
@pytest.mark.thin
@pytest.mark.parametrize("form", FORMATS)
def test_a_file_may_lack_columns_and_have_others(tmp_path: Path, form: str) -> None:
    archive = made(tmp_path / "archive", form)
    fewer = [column for column in CALL.columns if column.name not in {"user", "answered"}]
    more = (*CALL.columns, Column("novel", "novel"))
    at = "2026-11-10T00:00:00.000Z"
    for profile, columns in (("acme", fewer), ("globex", more)):
        archive.path(profile, "cdrs", "2026-11-10").unlink()
        put(archive, profile, "2026-11-10", [{"start_time": at, "duration": 5, "novel": "x"}], columns)
    told = "SELECT profile, duration, answered, extra->>'novel' FROM webex_cdrs WHERE date = '2026-11-10' ORDER BY ALL"
    assert [row[:3] for row in rows(archive.folder, told)] == [["acme", 5, None], ["globex", 5, None]]
    assert rows(archive.folder, told)[1][3] == "x"


def test_a_parquet_file_that_another_program_wrote_is_a_gap(tmp_path: Path) -> None:
    archive = made(tmp_path / "archive", "parquet")
    path = archive.path("acme", "cdrs", "2026-11-10")
    pq.write_table(pq.read_table(path).slice(1), path)
    found, scan = asked(archive.folder, "SELECT count(*) FROM webex_cdrs WHERE profile = 'acme' AND date IS NOT NULL")
    assert found == [[6]]
    (gap,) = scan.gaps
    assert str(path) in gap


@pytest.mark.thin
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_file_that_cannot_be_read_is_a_gap_where_it_is_needed(tmp_path: Path, form: str, how: str) -> None:
    archive = made(tmp_path / "archive", form)
    path = archive.path("acme", "cdrs", "2026-11-10")
    content = path.read_bytes()
    path.unlink()
    if how == "damaged":
        path.write_bytes(content[: len(content) // 2])
    found, scan = asked(archive.folder, "SELECT count(*) FROM webex_cdrs WHERE date = '2026-11-09'")
    assert (found, [*scan.gaps]) == ([[6]], [])
    found, scan = asked(archive.folder, "SELECT count(*) FROM webex_cdrs")
    assert found == [[17]]
    assert len(scan.gaps) == (1 if how == "damaged" else 0)


# One statement, which reads


@pytest.mark.parametrize(
    "text",
    [
        *(
            "SELECT 1 AS a",
            "select 1 as a;",
            "SELECT 1 AS a; -- the end",
            "SELECT 1 AS a /* ; */ ;;",
            "; SELECT 1 AS a",
        ),
        *("-- first\n/* é; */ SELECT 1 AS a -- ;", "WITH x AS (SELECT 1 AS a) FROM x", "VALUES (1)", "FROM (SELECT 1)"),
        *(
            "(SELECT 1)",
            "FROM range(1, 2)",
            "PIVOT (SELECT 1 a, 1 b) ON b IN (1) USING max(a)",
        ),
    ],
)
def test_statements_that_read_pass(database: query.Database, text: str) -> None:
    assert 1 in rows_of(database, text)[0]


@pytest.mark.parametrize(
    "text", ["EXPLAIN SELECT 1", "/* é */ explain /* x */ (FORMAT json) SELECT 1;", "EXPLAIN ANALYZE FROM common"]
)
def test_plans_pass(database: query.Database, text: str) -> None:
    assert len(rows_of(database, text)) > 2


def test_values_have_the_types_of_their_columns(folder: Path) -> None:
    told = """
        SELECT 12.50::DECIMAL(10, 2), 170141183460469231731687303715884105727::HUGEINT, 1.5::DOUBLE, true, NULL, 'é',
            DATE '2026-11-19', TIMESTAMPTZ '2026-11-19 08:00:00.123456+01', [1, NULL], {'a': DATE '2026-11-19'},
            MAP {'k': 1}, '{"x": [1]}'::JSON, INTERVAL 1 DAY, TIME '08:00:00', TIMESTAMP '2026-11-19 08:00:00',
            1::UTINYINT, 'infinity'::TIMESTAMPTZ, 0.00::DECIMAL(4, 2), uuid() IS NULL, '\\x00'::BLOB"""
    assert rows(folder, told) == [
        [
            *("12.5", 2**127 - 1, 1.5, True, None, "é", "2026-11-19", "2026-11-19T07:00:00.123Z", [1, None]),
            *({"a": "2026-11-19"}, {"k": 1}, {"x": [1]}, "1 day", "08:00:00", "2026-11-19 08:00:00", 1, "infinity"),
            *("0", False, "\\x00"),
        ]
    ]


def test_days_and_hours_are_those_of_the_zone(folder: Path) -> None:
    told = "SELECT date_trunc('day', TIMESTAMPTZ '2026-11-19 23:30:00Z'), hour(TIMESTAMPTZ '2026-11-19 23:30:00Z')"
    assert asked(folder, told)[0] == [["2026-11-19T00:00:00.000Z", 23]]
    assert asked(folder, told, "Europe/Berlin")[0] == [["2026-11-19T23:00:00.000Z", 0]]


def test_the_order_of_a_statement_stays(folder: Path) -> None:
    found = [value for (value,) in rows(folder, "SELECT (range * 7919) % 10007 AS x FROM range(10007) ORDER BY x DESC")]
    assert found == sorted(found, reverse=True)


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder that is the current one, with a file that no statement may read; nothing may be added to it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.csv").write_text("word\nxyzzy\n", encoding="utf-8")
    monkeypatch.setenv("CDRCTL_ACME_ACCESS_TOKEN", "xyzzy")
    yield tmp_path
    assert [one.name for one in tmp_path.iterdir()] == ["secret.csv"]


WRITING = [
    *("CREATE TABLE t AS SELECT 1", "CREATE VIEW t AS SELECT 1", "CREATE MACRO f() AS 1", "CREATE SECRET (TYPE s3)"),
    *("INSERT INTO webex_cdrs SELECT * FROM webex_cdrs", "DELETE FROM webex_cdrs"),
    *("UPDATE webex_cdrs SET duration = 0", "DROP VIEW webex_cdrs", "ALTER VIEW webex_cdrs RENAME TO x"),
    *("COPY webex_cdrs TO 'x.csv'", "COPY (SELECT 1) TO 'x.csv'", "EXPORT DATABASE 'x'", "IMPORT DATABASE 'x'"),
    *("ATTACH 'x.db'", "DETACH memory", "USE memory", "VACUUM", "CHECKPOINT", "SET enable_external_access = true"),
    *("SET lock_configuration = false", "RESET lock_configuration", "SET VARIABLE x = 1", "PRAGMA enable_profiling"),
    *("PRAGMA database_list", "INSTALL httpfs", "LOAD httpfs", "FORCE INSTALL httpfs", "BEGIN", "COMMIT", "ROLLBACK"),
    *("PREPARE p AS SELECT 1", "EXECUTE p", "DEALLOCATE p", "CALL pragma_version()", "SELECT 1; DROP VIEW webex_cdrs"),
    *("SELECT 1; SELECT 2", "", ";", "-- nothing", "ANALYZE", "COMMENT ON VIEW common IS 'x'"),
    *("EXPLAIN COPY (SELECT 1) TO 'x.csv'", "EXPLAIN ANALYZE COPY (SELECT 1) TO 'x.csv'"),
    *("EXPLAIN ANALYZE INSTALL httpfs", "EXPLAIN /* ( */ (FORMAT json) COPY (SELECT 1) TO 'x.csv'"),
    *("explain analyze create table t as select 1", "PIVOT webex_cdrs ON answered USING count(*)", "SELECT"),
    *("SELECT FROM", "SELECT 1) AS result(c0); DROP VIEW common; --"),
    "MERGE INTO webex_cdrs USING webex_cdrs AS x ON true WHEN MATCHED THEN DELETE",
]


@pytest.mark.parametrize("text", WRITING)
def test_statements_that_do_not_only_read_are_refused(database: query.Database, outside: Path, text: str) -> None:
    assert outside.is_dir()
    with pytest.raises(UsageError):
        rows_of(database, text)


READING = [
    *("FROM 'secret.csv'", "FROM read_csv('secret.csv')", "FROM read_text('secret.csv')"),
    *("FROM read_blob('secret.csv')", "FROM read_csv('{outside}/secret.csv')", "FROM '{outside}/secret.csv'"),
    *("FROM glob('*')", "FROM glob('{outside}/*')", "FROM read_json('secret.csv')"),
    *("FROM read_ndjson_objects('secret.csv')", "FROM sniff_csv('secret.csv')"),
    *("FROM read_parquet('{archive}/*/*/*/*.parquet')", "FROM read_text('{archive}/archive.toml')"),
    *("FROM glob('{archive}/*')", "FROM read_text('{archive}/../archive/archive.toml')"),
    *("FROM parquet_schema('secret.csv')", "FROM 'secret.db'.x", "FROM read_csv('file:secret.csv')"),
    *("FROM read_csv('http://127.0.0.1:9/x')", "FROM 's3://bucket/x.parquet'"),
    *("SELECT getenv('CDRCTL_ACME_ACCESS_TOKEN')", "FROM query('FROM read_text(''secret.csv'')')"),
    "FROM query_table('secret.csv')",
    *("FROM json_execute_serialized_sql(json_serialize_sql('FROM read_text(''secret.csv'')'))", "FROM outside"),
    *("FROM scan", "WITH x AS (COPY (SELECT 1) TO 'x.csv') FROM x", "FROM (COPY (SELECT 1) TO 'x.csv')"),
    *("SELECT (COPY (SELECT 1) TO 'x')", "EXPLAIN ANALYZE WITH x AS (COPY (SELECT 1) TO 'x.csv') SELECT 1"),
    "EXPLAIN ANALYZE FROM read_text('secret.csv')",
    "FROM enable_logging(storage='file', storage_config={{'path': 'x'}})",
    *("FROM enable_profiling(save_location='x')", "WITH x AS (INSERT INTO webex_cdrs SELECT 1) FROM x"),
    *("FROM import_database('x')", "FROM load_aws_credentials()", "DESCRIBE FROM read_csv('secret.csv')"),
    *("SUMMARIZE FROM read_csv('secret.csv')", "SELECT content FROM read_text('secret.csv')"),
    *("FROM query('COPY (SELECT 1) TO ''x.csv''')", "SELECT * FROM arrow_scan(1, 2, 3)"),
    "FROM read_xlsx('secret.csv')",
]


@pytest.mark.thin
@pytest.mark.parametrize("text", READING)
def test_a_statement_reads_nothing_but_the_views(
    database: query.Database, folder: Path, outside: Path, text: str
) -> None:
    with pytest.raises(UsageError) as raised:
        rows_of(database, text.format(outside=outside, archive=folder))
    assert "xyzzy" not in str(raised.value)


@pytest.mark.thin
@pytest.mark.parametrize("text", READING)
def test_without_pyarrow_a_statement_reads_nothing_else_either(
    shared_lines: tuple[Path, Callable[[], query.Database]], outside: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "find_spec", lambda _name: None)
    folder, usable = shared_lines
    text = text.format(outside=outside, archive=folder)
    has_view = any(view.name in text for view in all_views())  # it is copied for this statement alone
    with pytest.raises(UsageError):
        asked(folder, text) if has_view else rows_of(usable(), text)


def settings(folder: Path) -> dict[str, Any]:
    return dict(rows(folder, "SELECT name, value FROM duckdb_settings()"))


@pytest.mark.slow
def test_the_database_is_locked(folder: Path) -> None:
    found = settings(folder)
    for name in ("autoinstall_known_extensions", "autoload_known_extensions", "allow_community_extensions"):
        assert found[name] == "false"
    for name in ("enable_external_access", "python_enable_replacements", "allow_persistent_secrets"):
        assert found[name] == "false"
    assert found["lock_configuration"] == "true"
    assert found["allowed_directories"] == f"[{found['temp_directory']}/]"
    assert found["allowed_paths"] == "[]"
    assert not Path(found["temp_directory"]).exists()


@pytest.mark.slow
def test_a_database_of_rows_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "find_spec", lambda _name: None)
    folder = made(tmp_path / "archive", "jsonl").folder
    with open_source(folder) as archive:
        scan = Scan(archive, NOW, lambda kept: kept.profile, print)
        with query.open_database(CallScan(scan), "UTC", "FROM webex_cdrs") as database, pytest.raises(duckdb.Error):
            database.connection.execute("DELETE FROM archive.webex_cdrs")


def test_a_name_that_the_statement_makes_is_refused_without_pyarrow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "find_spec", lambda _name: None)
    folder = made(tmp_path / "archive", "jsonl").folder
    with pytest.raises(UsageError):
        rows(folder, "SELECT * FROM query('FROM webex' || '_cdrs')")


@pytest.mark.slow
def test_a_figure_and_all_figures_read_the_calls_once() -> None:
    columns = ", ".join(f"{one.name} {query.sql_type(one)}" for one in VIEW.columns)
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE calls ({columns})")
        connection.execute("INSERT INTO calls (provider, start_time) VALUES ('webex', '2026-11-10 08:00:00Z')")
        for text in create_statements("memory.main.calls"):
            connection.execute(text)
        for asked in ("figures(", "peak(", "service_level(", "traffic_by('queue', ", "not_called_back_by('queue', "):
            window = "since := '2026-11-01', until := '2026-12-01')"
            ((_, plan),) = connection.execute(f"EXPLAIN (FORMAT json) FROM {asked}{window}").fetchall()
            assert len(re.findall(r'"Table": "[a-z.]*calls"', plan)) == 1, asked
