import subprocess
import sys
from pathlib import Path

import pytest

from cdrctl.errors import ConfigurationError, UsageError
from cdrctl.writers import FORMATS, format_of, is_binary, is_database, load, takes_raw
from tests.support.products import for_each

from .examples import schema, written

HEAVY = (
    *("rich", "csv", "gzip", "json", "pydantic_core", "importlib.metadata", "cdrctl.records"),
    *("pyarrow", "xlsxwriter", "sqlite3", "duckdb"),
)


def install(folder: Path, name: str, value: str) -> None:
    """Create on a folder of sys.path the files that an installed package with a writer has."""
    info = folder / "somebodys_writer-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys-writer\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[cdrctl.writers]\n{name} = {value}\n")


def test_the_documented_formats_are_built_in() -> None:
    assert FORMATS == ("csv", "tsv", "jsonl", "json", "table", "parquet", "xlsx", "sqlite", "duckdb")


@for_each("name", FORMATS)
def test_a_format_is_the_write_function_of_its_module(name: str) -> None:
    assert load(name).__module__ == f"cdrctl.writers.{name}"


def test_only_json_and_jsonl_take_raw_records() -> None:
    assert [name for name in FORMATS if takes_raw(name)] == ["jsonl", "json"]


def test_binary_formats_and_databases_are_known() -> None:
    assert [name for name in FORMATS if is_binary(name)] == ["parquet", "xlsx", "sqlite", "duckdb"]
    assert [name for name in FORMATS if is_database(name)] == ["sqlite", "duckdb"]


@pytest.mark.process
@pytest.mark.parametrize(("name", "library"), [("parquet", "pyarrow"), ("xlsx", "xlsxwriter"), ("duckdb", "duckdb")])
def test_a_format_whose_library_is_not_installed_names_its_extra(name: str, library: str) -> None:
    code = f"""
import sys
sys.modules[{library!r}] = None
from cdrctl.errors import ConfigurationError
from cdrctl.writers import load
try:
    load({name!r})
except ConfigurationError as error:
    print(error.message, error.hint, sep="|", end="")
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.startswith(f"{name} is written with {library}, which ")
    assert done.stdout.endswith(f"|pip install 'cdrctl[{name}]'")


@for_each(
    "path, name",
    [
        ("calls.parquet", "parquet"),
        ("calls.xlsx", "xlsx"),
        ("calls.db", "sqlite"),
        ("calls.sqlite", "sqlite"),
        ("calls.SQLITE3", "sqlite"),
        ("calls.duckdb", "duckdb"),
        ("calls.parquet.gz", "parquet"),
        ("calls.csv", "csv"),
        ("calls.tsv", "tsv"),
        ("calls.jsonl", "jsonl"),
        ("calls.ndjson", "jsonl"),
        ("calls.json", "json"),
        ("calls.txt", "table"),
        ("calls.csv.gz", "csv"),
        ("/folder.json/calls.CSV.GZ", "csv"),
        ("2026.11.19.json", "json"),
        ("calls", None),
        ("calls.", None),
        (".calls", None),
        ("2026.d/calls", None),
        ("/dev/stdout", None),
        ("calls.gz", None),
        ("folder.csv/calls", None),
        ("folder.csv\\calls", None),
        ("csv", None),
        ("csv.gz", None),
        ("-", None),
        ("", None),
    ],
)
def test_an_extension_selects_a_format(path: str, name: str | None) -> None:
    assert format_of(path) == name


@for_each("path", ["calls.log", "report.csv.zst", "x.xls", "calls.2026-11-19", "c.csv.gz.gz", "a.table"])
def test_an_unknown_extension_is_refused_with_the_known_ones(path: str) -> None:
    """JSON Lines in a file with another extension would surprise the program that opens it."""
    with pytest.raises(UsageError, match="no format has the ending") as caught:
        format_of(path)
    assert ".csv" in f".{caught.value.hint}".replace(" ", ".")


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        load("xls")
    assert caught.value.message == "there is no format 'xls'"
    assert caught.value.hint == f"did you mean xlsx? the formats are: {', '.join(FORMATS)}"


def test_a_writer_of_another_package_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "shout", "shouting_writer")
    (tmp_path / "shouting_writer.py").write_text(
        "TAKES_RAW = True\n"
        "def write(schema, pages, out, look):\n"
        "    for page in pages:\n"
        "        out.write(str(page).upper().encode())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    assert written("shout", schema("a"), [[["x"]]]) == b"[['X']]"
    assert takes_raw("shout")
    assert format_of("calls.shout.gz") == "shout"
    with pytest.raises(UsageError) as caught:
        load("xls")
    assert caught.value.hint is not None
    assert caught.value.hint.endswith("duckdb, shout")


def test_a_built_in_format_cannot_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "csv", "another_csv")
    monkeypatch.syspath_prepend(tmp_path)

    assert load("csv").__module__ == "cdrctl.writers.csv"


@for_each(
    "source, sentence",
    [
        (None, "the writer of broken, broken_writer, cannot be loaded"),
        ("import no_such_module_anywhere", "the writer of broken, broken_writer, cannot be loaded"),
        ("", "the writer of broken, broken_writer, has no function write"),
        ("write = 3", "the writer of broken, broken_writer, has no function write"),
    ],
)
def test_a_broken_writer_of_another_package_is_named(
    source: str | None, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "broken", "broken_writer")
    if source is not None:
        (tmp_path / "broken_writer.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_writer", raising=False)

    with pytest.raises(ConfigurationError) as caught:
        load("broken")
    assert caught.value.message == sentence
    assert caught.value.hint is not None


@pytest.mark.process
def test_importing_the_writers_imports_no_format() -> None:
    """A format is imported when it is used, to keep start-up fast."""
    code = f"""
import sys
import cdrctl.writers
assert cdrctl.writers.format_of("calls.csv.gz") == "csv"
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


@pytest.mark.process
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "table"])
def test_only_a_table_needs_rich(name: str) -> None:
    code = f"import sys; from cdrctl.writers import load; load({name!r}); print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
