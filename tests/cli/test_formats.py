"""Formats from the command line: all have the same records, and bad input is refused before any request."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from pyarrow import parquet

from cdrctl import sandbox
from cdrctl.cli.output_options import COMMON_NAME, table_name
from cdrctl.fetchers import PROVIDERS, load
from cdrctl.records.columns import Column
from cdrctl.records.common import COMMON
from tests.support.host import a_host, ended, hearing, stalling
from tests.support.runner import NOW, Ran, run

DAY = ("--since", "yesterday", "--until", "today")
AFTERNOON = ("--since", "2026-11-19T12:00Z", "--until", "2026-11-20")
"""When the sandbox's calls have every kind of value that those of the day have."""
BUSIEST = ("--since", "2026-11-19T15:00Z", "--until", "2026-11-19T19:00Z")
"""When those of all providers together have."""
MAIN = [(name, load(name).calls[0].name) for name in PROVIDERS]
OTHERS = [("callgear", "costs"), ("callgear", "calls"), ("webex", "stream"), ("kazoo", "interactions")]
FORMATS = ("parquet", "xlsx", "sqlite", "duckdb")
EVERY = {"xlsx": ("--fields", "all")}
"""What asks for all columns, in the format that has fewer by default."""


def rows_of(path: Path, form: str, table: str) -> list[dict[str, Any]]:
    """Return the rows of a file, read by other programs than ours."""
    match form:
        case "parquet":
            found: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
            return found
        case "xlsx":
            book = openpyxl.load_workbook(io.BytesIO(path.read_bytes()), read_only=True)
            head, *rows = book[table].iter_rows(values_only=True)
            return [dict(zip(map(str, head), row, strict=True)) for row in rows]
        case "sqlite":
            with closing(sqlite3.connect(path)) as database:
                asked = database.execute(f'SELECT * FROM "{table}"')  # noqa: S608
                return [dict(zip([one[0] for one in asked.description], row, strict=True)) for row in asked]
    with duckdb.connect(path, read_only=True) as base:
        answer = base.execute(f'SELECT * FROM "{table}"')  # noqa: S608
        names = [one[0] for one in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def plain(row: dict[str, Any], columns: Sequence[Column]) -> str:
    """Return a row as texts that can be compared and sorted, whatever its format."""
    kinds = {column.name: column.kind for column in columns}
    row = {name: value for name, value in row.items() if name != "record_key"}
    extra = row.pop("extra", None)
    found: dict[str, Any] = json.loads(extra) if isinstance(extra, str) else extra or {}
    for name, value in row.items():
        kind = kinds.get(name)
        if value is None:
            found[name] = None
        elif kind in {"money", "decimal"}:
            found[name] = str(Decimal(str(value)).normalize())
        elif isinstance(value, datetime):
            moment = value if value.tzinfo else value.replace(tzinfo=UTC)
            found[name] = moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        elif kind == "boolean":
            found[name] = bool(value)
        elif kind == "list" and isinstance(value, str):
            found[name] = json.loads(value)
        else:
            found[name] = value
    return json.dumps(found, sort_keys=True).replace("\\u001b", "_x001B_")  # how workbooks spell it


def ok(ran: Ran) -> Ran:
    assert ran.code == 0, ran.err
    return ran


@pytest.mark.slow
@pytest.mark.parametrize(("provider", "call"), [*MAIN, *OTHERS])
def test_every_format_has_the_records_of_json_lines(provider: str, call: str, tmp_path: Path) -> None:
    described = load(provider).call(call)
    window = ("--since", "10h") if call == "stream" else AFTERNOON
    lines = ok(run(provider, call, "-p", "sandbox", *window, "--schema", "native")).lines
    wanted = sorted(plain(line, described.columns) for line in lines)
    assert wanted
    for form in FORMATS:
        path = tmp_path / f"calls.{form}"
        ran = ok(run(provider, call, "-p", "sandbox", *window, "-o", path, *EVERY.get(form, ())))
        assert f"{len(wanted)} records" in ran.err
        found = rows_of(path, form, table_name(load(provider), described))
        assert sorted(plain(row, described.columns) for row in found) == wanted, form
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(f"calls.{form}" for form in FORMATS)


@pytest.mark.slow
def test_the_common_schema_and_several_profiles_go_to_every_format(tmp_path: Path) -> None:
    lines = ok(run("export", "-p", "sandbox", *BUSIEST)).lines
    wanted = sorted(plain(line, COMMON) for line in lines)
    for form in FORMATS:
        path = tmp_path / f"calls.{form}"
        ok(run("export", "-p", "sandbox", *BUSIEST, "-o", path, *EVERY.get(form, ())))
        assert sorted(plain(row, COMMON) for row in rows_of(path, form, COMMON_NAME)) == wanted, form


@pytest.mark.slow
@pytest.mark.parametrize("form", ["sqlite", "duckdb"])
def test_overlapping_windows_give_every_record_once(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"calls.{form}"
    for since, until in (
        ("2026-11-18T20:00", "2026-11-19T10:00"),
        ("2026-11-19", "2026-11-19T12:00"),
        ("2026-11-18T20:00", "2026-11-19"),
    ):
        ok(run("webex", "cdrs", "-p", "sandbox", "--since", since, "--until", until, "-o", path))
        ok(run("export", "-p", "sandbox", "--since", since, "--until", until, "-o", path))
    both = ("--since", "2026-11-18T20:00", "--until", "2026-11-19T12:00")
    for words, table in ((("webex", "cdrs"), "webex_cdrs"), (("export",), COMMON_NAME)):
        wanted = ok(run(*words, "-p", "sandbox", *both)).lines
        columns = load("webex").calls[0].columns if table == "webex_cdrs" else COMMON
        assert sorted(plain(row, columns) for row in rows_of(path, form, table)) == sorted(
            plain(line, columns) for line in wanted
        )
    # both commands write common CDRs to the same table
    before = len(rows_of(path, form, COMMON_NAME))
    ok(run("webex", "cdrs", "-p", "sandbox", *both, "--schema", "common", "-o", path))
    assert len(rows_of(path, form, COMMON_NAME)) == before


@pytest.mark.parametrize(
    ("provider", "call", "field"), [("callgear", "costs", "start_time"), ("webex", "cdrs", "duration")]
)
def test_an_export_of_chosen_fields_keeps_the_other_columns(
    provider: str, call: str, field: str, tmp_path: Path
) -> None:
    """Also where a record is identified by its full content."""
    path, table = tmp_path / "calls.db", f"{provider}_{call}"
    ok(run(provider, call, "-p", "sandbox", *DAY, "-o", path))
    before = rows_of(path, "sqlite", table)
    ok(run(provider, call, "-p", "sandbox", *DAY, "--fields", field, "-o", path))
    assert rows_of(path, "sqlite", table) == before


def test_all_fields_are_requested_for_a_database(tmp_path: Path) -> None:
    """A record without an id is identified by its full content."""
    with sandbox.start(now=lambda: NOW) as running:
        settings = running.profiles["callgear"]
        path = tmp_path / "config.toml"
        text = "".join(f"{key} = {value!r}\n" for key, value in settings.items())
        path.write_text(f"[profiles.acme]\nprovider = 'callgear'\n{text}", encoding="utf-8")
        path.chmod(0o600)

        def asked(*words: str) -> list[Any]:
            before = len(running.requests)
            ok(run("callgear", "legs", *DAY, "--config", path, *words))
            bodies = [json.loads(one.body) for one in running.requests[before:]]
            return [one["params"]["fields"] for one in bodies if "fields" in one["params"]]

        fields = ("--fields", "start_time")
        assert asked() != asked(*fields)
        assert asked() == asked(*fields, "-o", str(tmp_path / "calls.db"))


def test_the_key_of_a_record_is_the_same_in_all_versions(tmp_path: Path) -> None:
    """If a later version used other keys, an export would duplicate every record."""
    path = tmp_path / "calls.db"
    ok(run("webex", "cdrs", "-p", "sandbox", *DAY, "-o", path))
    rows = rows_of(path, "sqlite", "webex_cdrs")
    assert min(row["record_key"] for row in rows) == FIRST_KEY
    assert len({row["record_key"] for row in rows}) == len(rows)


FIRST_KEY = "011e062daaba94ad77024d2cbb08ed"


@pytest.fixture(name="twins")
def _twins(tmp_path: Path) -> Iterator[Path]:
    """Two profiles of one account, whose records have the same ids."""
    with sandbox.start(now=lambda: NOW) as running:
        settings = running.profiles["portsip"]
        lines = [f"[profiles.{name}]\nprovider = 'portsip'" for name in ("one", "two")]
        text = "\n".join(line + "".join(f"\n{key} = {value!r}" for key, value in settings.items()) for line in lines)
        path = tmp_path / "config.toml"
        path.write_text(text + "\n", encoding="utf-8")
        path.chmod(0o600)
        yield path


@pytest.mark.slow
def test_equal_ids_of_two_profiles_are_two_records(twins: Path, tmp_path: Path) -> None:
    alone = len(ok(run("portsip", "cdrs", "-p", "one", *DAY, "--config", twins)).lines)
    path = tmp_path / "calls.db"
    for _ in range(2):
        ok(run("export", "-p", "one", "-p", "two", *DAY, "--config", twins, "-o", path))
        for name in ("one", "two"):
            ok(run("portsip", "cdrs", "-p", name, *DAY, "--config", twins, "-o", path))
    assert len(rows_of(path, "sqlite", COMMON_NAME)) == len(rows_of(path, "sqlite", "portsip_cdrs")) == 2 * alone


def test_a_database_is_unchanged_if_every_profile_fails(twins: Path, tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    ok(run("export", "-p", "one", *DAY, "--config", twins, "-o", path))
    before = path.read_bytes()
    twins.write_text(twins.read_text(encoding="utf-8").replace("password", "password_file"), encoding="utf-8")
    assert run("export", "-p", "one", *DAY, "--config", twins, "-o", path).code == 6
    assert path.read_bytes() == before
    for form in FORMATS:
        new = tmp_path / f"new.{form}"
        assert run("export", "-p", "one", *DAY, "--config", twins, "-o", new).code == 6
        assert not new.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-f", "sqlite"], "-o FILE"),
        (["-f", "duckdb", "-o", "-"], "-o FILE"),
        (["-o", "calls.parquet.gz"], "leave .gz out of the name"),
        (["-f", "xlsx", "-o", "calls.gz"], "leave .gz out of the name"),
        (["-o", "calls.db.gz"], "leave .gz out of the name"),
        (["-f", "parquet"], "name a file with -o, or use a pipe"),
        (["-f", "xlsx", "-o", "-"], "name a file with -o, or use a pipe"),
        (["-o", "calls.db", "--schema", "raw"], "use -f jsonl or -f json"),
        (["-o", "calls.xlsx", "--spreadsheet-safe"], "use -f csv"),
        (["-o", "calls.db", "--fields", "duration,duration"], "more than once"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("command", [("webex", "cdrs"), ("export",), ("fields", "webex", "cdrs")], ids=" ".join)
def test_formats_and_options_that_do_not_fit_the_output_are_refused(
    command: tuple[str, ...], words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if command[0] == "fields" and {"--schema", "--spreadsheet-safe", "--fields"} & {*words}:
        pytest.skip("it has no such option")
    if "raw" in words and command == ("export",):
        said = "leave --schema out"
    if "duration,duration" in words and command == ("export",):
        words = [*words[:-1], "cost,cost"]
    monkeypatch.chdir(tmp_path)
    ran = run(*command, *(() if command[0] == "fields" else ("-p", "sandbox", *DAY)), *words, terminal=True)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert not [*tmp_path.iterdir()]


@pytest.mark.thin
@pytest.mark.parametrize("form", FORMATS)
def test_fields_writes_every_format(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"fields.{form}"
    wanted = [line["field"] for line in run("fields", "kazoo", "cdrs").lines]
    for _ in range(2):
        assert ok(run("fields", "kazoo", "cdrs", "-o", path)).out == ""
    assert sorted(row["field"] for row in rows_of(path, form, "kazoo_cdrs_fields")) == sorted(wanted)


@pytest.mark.process
@pytest.mark.parametrize("form", ["parquet", "xlsx", "duckdb"])
def test_a_missing_package_is_reported_before_any_request(form: str, tmp_path: Path) -> None:
    host = a_host(tmp_path)
    host.meddle("import sys\nfor name in ('pyarrow', 'xlsxwriter', 'duckdb'):\n    sys.modules[name] = None\n")
    host.configure({"acme": {"provider": "webex", "access_token": "t", "base_url": "http://127.0.0.1:9/v1"}})
    ran = host.run("webex", "cdrs", "-o", f"calls.{form}")
    assert ran.returncode == 6
    assert f"pip install 'cdrctl[{form}]'".encode() in ran.stderr


@pytest.mark.process
@pytest.mark.parametrize("form", ["parquet", "xlsx"])
def test_binary_formats_are_written_to_pipes(form: str, tmp_path: Path) -> None:
    host = a_host(tmp_path)
    ran = host.shell(
        f"cdrctl webex cdrs -p sandbox --since 26h --until 2h -q -f {form} > piped; "
        f"cdrctl webex cdrs -p sandbox --since 26h --until 2h -q -f {form} | cat > through; "
        f"cdrctl webex cdrs -p sandbox --since 26h --until 2h -q -f {form} | head -c 1 > /dev/null"
    )
    assert (ran.stdout, ran.stderr) == (b"", b"")
    for name in ("piped", "through"):
        assert rows_of(tmp_path / name, form, "webex_cdrs")


@pytest.mark.process
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_gives_exit_code_8_and_one_message(form: str, tmp_path: Path) -> None:
    ran = a_host(tmp_path).shell(f"cdrctl webex cdrs -p sandbox --since 26h --until 2h -q -f {form} -o /dev/full")
    assert ran.returncode == 8
    assert len(ran.stderr.splitlines()) == 2


@pytest.mark.process
@pytest.mark.parametrize("form", ["sqlite", "duckdb"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_export_leaves_the_database_unchanged(form: str, number: int, tmp_path: Path) -> None:
    host = a_host(tmp_path)
    words = ("webex", "cdrs", "--since", "50h", "--until", "2h", "-o", f"calls.{form}")
    with stalling() as providers, hearing():
        host.configure({"acme": providers.settings("webex")})
        assert host.run(*words[:3], "26h", *words[4:]).returncode == 0
        before = (tmp_path / f"calls.{form}").read_bytes()
        providers.stall("webex", nth=2)
        with ended(host.start(*words)) as running:
            providers.wait()
            os.kill(running.pid, number)
            running.wait(30)
            assert running.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
        assert (tmp_path / f"calls.{form}").read_bytes() == before
        providers.let_go.set()
    assert {one.name for one in tmp_path.iterdir() if not one.name.startswith(".")} == {f"calls.{form}"}


@pytest.mark.thin
@pytest.mark.parametrize("form", ["sqlite", "duckdb"])
@pytest.mark.parametrize("said", [("-f", "csv"), ("--template", "{duration}")], ids=["format", "template"])
def test_a_database_is_not_replaced_by_another_file(form: str, said: tuple[str, str], tmp_path: Path) -> None:
    target = tmp_path / f"calls.{form}"
    assert run("webex", "cdrs", "-p", "sandbox", *DAY, "-o", target).code == 0
    before = target.read_bytes()
    ran = run("webex", "cdrs", "-p", "sandbox", *DAY, *said, "-o", target)
    assert ran.code == 8
    assert f"add to it with -f {form}" in ran.err
    assert target.read_bytes() == before
    ran = run("portsip", "completed-reports", "download", "5", "-p", "sandbox", "-o", target)
    assert ran.code == 8
    assert target.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [target.name]


@pytest.mark.process
def test_duckdb_prints_nothing(tmp_path: Path) -> None:
    ran = a_host(tmp_path).run(
        "webex", "cdrs", "-p", "sandbox", "--since", "26h", "--until", "2h", "-q", "-o", "x.duckdb"
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
