"""`cdrctl fields` describes the columns that an export of the call writes."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from cdrctl.cli.fields import examples
from cdrctl.fetchers import PROVIDERS, Call, Provider, load
from cdrctl.records.common import COMMON
from cdrctl.sandbox import start
from tests.support.clock import HandClock
from tests.support.products import for_each
from tests.support.runner import Shell, run

NOW = datetime(2026, 11, 20, 20, tzinfo=UTC)
ABOUT = ["field", "type", "meaning", "example", "key", "always"]
DATA = Path(__file__).parents[1] / "data"

CALLS = [(provider, call) for provider in map(load, PROVIDERS) for call in provider.calls]


def words(call: Call) -> list[str]:
    """Return the command of a call."""
    return [*filter(None, (call.group, call.name))]


def after_the_command(call: Call) -> list[str]:
    """Return the words of a call's first example, without the profile."""
    return call.examples[0].split()[2 + len(words(call)) + len(["-p", "sandbox"]) :]


def name(one: Any) -> str:
    return "-".join(words(one)) if isinstance(one, Call) else getattr(one, "name", repr(one))


each_call = pytest.mark.parametrize(("provider", "call"), CALLS, ids=name)
each_cdr = pytest.mark.parametrize(("provider", "call"), [one for one in CALLS if one[1].common], ids=name)
each_windowed = pytest.mark.parametrize(("provider", "call"), [one for one in CALLS if one[1].windowed], ids=name)


def told(provider: Provider, call: Call, *more: str) -> list[dict[str, Any]]:
    ran = run("fields", provider.name, *words(call), "-f", "jsonl", *more)
    assert ran.code == 0, ran.err
    assert ran.err == ""
    return ran.lines


def is_of(kind: str, value: Any) -> bool:
    """Return whether a value has the type of a column of this kind."""
    if kind in {"integer", "seconds"}:
        return type(value) is int
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "list":
        return isinstance(value, list | dict)
    patterns = {
        "text": r"(?s).*\S.*",
        "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
        "decimal": r"-?\d+(\.\d+)?",
        "money": r"-?\d+(\.\d+)?",
    }
    return isinstance(value, str) and re.fullmatch(patterns[kind], value) is not None


# The description of each column


@each_call
def test_every_column_has_a_type_a_meaning_and_an_example_of_that_type(provider: Provider, call: Call) -> None:
    *lines, extra = told(provider, call)
    assert [list(line) for line in lines] == [ABOUT] * len(call.columns)
    assert [line["field"] for line in lines if not is_of(line["type"], line["example"])] == []
    assert [line["field"] for line in lines if not line["meaning"].strip()] == []
    assert [line["field"] for line in lines if not line["key"]] == []
    assert (extra["field"], extra["example"], extra["key"], extra["always"]) == ("extra", None, None, False)
    assert "does not know" in extra["meaning"]


@each_cdr
def test_every_common_column_has_a_type_a_meaning_and_an_example(provider: Provider, call: Call) -> None:
    lines = told(provider, call, "--schema", "common")
    assert [line["field"] for line in lines] == [column.name for column in COMMON]
    assert [line["field"] for line in lines if not is_of(line["type"], line["example"])] == []
    assert all(line["meaning"] for line in lines)
    assert not any(line["key"] for line in lines)


def test_every_example_belongs_to_a_column() -> None:
    for provider in map(load, PROVIDERS):
        assert examples(provider.name).keys() == {column.name for call in provider.calls for column in call.columns}
    assert examples("common").keys() == {column.name for column in COMMON}
    assert examples("nobody") == {}


@each_call
def test_types_and_meanings_are_those_of_the_columns(provider: Provider, call: Call) -> None:
    found = [(line["field"], line["type"], line["meaning"], line["key"]) for line in told(provider, call)[:-1]]
    assert found == [(column.name, column.kind, column.meaning, column.key) for column in call.columns]


# The columns of an export

KINDS = {"users": "partner"}
"""By call, whose credentials it takes, where those of anybody are not enough."""


class Office:
    """A provider's sandbox with something to find for every call."""

    def __init__(self, provider: Provider, shell: Shell) -> None:
        self.provider = provider
        self.shell = shell
        self._number = 0

    def words(self, call: Call) -> list[str]:
        """Return the command line of a call, with arguments that find something."""
        return [self.provider.name, *words(call), "-p", "acme", *self._arguments(call)]

    def _arguments(self, call: Call) -> list[str]:
        if call.offline:
            return [str(DATA / "voicenter" / "doc_notification_outgoing.json")]
        if call.name == "create":
            return ["--type", "NORMAL", "--email", "a@example.com", "--range", "YESTERDAY"]
        if call.group and call.name == "list":
            self._made(call.group)
            return []
        if call.group == "reports":
            changed = ["--email", "b@example.com"] if call.name == "update" else []
            return [self._made("reports"), *changed]
        if call.group:
            saved = ["-o", str(self.shell.folder / "report.csv")] if call.gives_file else []
            return [self._made("completed-reports"), *saved]
        if call.windowed:
            return ["--since", "2026-11-20T14:00Z", "--until", "2026-11-20T16:00Z"]
        if call.searches:
            some = ["--since", "2026-11-20T14:00Z", "--until", "2026-11-20T16:00Z"]
            first = self.shell.run("webex", "cdrs", "-p", "acme", *some, "--limit", "1", "-f", "jsonl").ok().lines[0]
            return [first["report_id"], *some]
        return after_the_command(call) if call.options and call.options[0].argument else []

    def _made(self, group: str) -> str:
        """Create a report and return its id, or that of its file."""
        self._number += 1
        asked = ["--type", "NORMAL", "--email", "a@example.com", "--range", "YESTERDAY", "--name", f"r{self._number}"]
        made = self.shell.run("portsip", "reports", "create", "-p", "acme", *asked).ok().lines[0]["id"]
        if group == "reports":
            return str(made)
        self.shell.clock.move(minutes=1)
        return str(self.shell.run("portsip", group, "list", "-p", "acme").ok().lines[-1]["id"])


@pytest.fixture(name="office")
def _office(provider: Provider, call: Call, tmp_path: Path) -> Iterator[Office]:
    clock = HandClock(NOW)
    with start(now=clock, providers=[provider.name], pause=clock.sleep) as sandbox:
        shell = Shell(tmp_path, clock)
        shell.profile("acme", provider.name, sandbox.credentials(provider.name, KINDS.get(call.name, "")))
        yield Office(provider, shell)


def header(out: bytes) -> list[str]:
    return next(csv.reader(io.StringIO(out.decode(), newline="")))


@each_call
def test_the_columns_listed_are_those_that_are_written(office: Office, provider: Provider, call: Call) -> None:
    for schema in ("native", "common") if call.common else ("native",):
        ran = office.shell.run(*office.words(call), "-f", "csv", "--schema", schema).ok()
        assert header(ran.written) == [line["field"] for line in told(provider, call, "--schema", schema)]
        assert ran.out.count("\n") > 1, "something was found"


@pytest.mark.thin
@each_windowed
def test_columns_marked_always_have_a_value(office: Office, provider: Provider, call: Call) -> None:
    for schema in ("native", "common") if call.common else ("native",):
        always = [line["field"] for line in told(provider, call, "--schema", schema) if line["always"]]
        assert always
        rows = office.shell.run(*office.words(call), "-f", "jsonl", "--schema", schema).ok().lines
        assert len(rows) > 5
        assert not [(field, row) for row in rows for field in always if row[field] is None]


@each_windowed
def test_always_marks_the_fields_that_strict_requires(provider: Provider, call: Call) -> None:
    assert {line["field"] for line in told(provider, call) if line["always"]} == call.expected.required


@each_cdr
def test_always_in_the_common_cdr_follows_from_native_columns(provider: Provider, call: Call) -> None:
    always = {line["field"] for line in told(provider, call, "--schema", "common") if line["always"]}
    assert {"provider", "direction", "outcome"} <= always
    assert not always & {"from_name", "answer_time", "talk_seconds", "cost"}


# The command


def test_the_default_call_is_the_main_one() -> None:
    for provider in map(load, PROVIDERS):
        ran = run("fields", provider.name, "-f", "jsonl")
        assert ran.lines == told(provider, provider.calls[0])


def test_a_pipe_gets_json_lines() -> None:
    assert {tuple(line) for line in run("fields", "webex").lines} == {tuple(ABOUT)}


def test_every_format_has_the_same_values() -> None:
    names = [column.name for column in load("kazoo").calls[0].columns] + ["extra"]
    asked = ("fields", "kazoo", "cdrs", "-f")
    assert [row["field"] for row in csv.DictReader(io.StringIO(run(*asked, "csv").out, newline=""))] == names
    assert [line["field"] for line in run(*asked, "jsonl").lines] == names
    assert [one["field"] for one in json.loads(run(*asked, "json").out)] == names
    assert [line.split("\t")[0] for line in run(*asked, "tsv").out.splitlines()[1:]] == names
    table = run(*asked, "table").out.splitlines()
    assert [line.split()[0] for line in table[2 : 2 + len(names)]] == names


@for_each("width", [40, 80, 200])
def test_a_terminal_gets_a_table_that_fits(width: int) -> None:
    ran = run("fields", "webex", terminal=True, width=width, environ={"NO_COLOR": "1"})
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0].split()[0] == "field"
    assert max(map(cell_len, lines)) <= width
    assert len(lines) > len(load("webex").calls[0].columns)


def test_a_dash_is_standard_output() -> None:
    assert run("fields", "webex", "-o", "-", terminal=True).out == run("fields", "webex", terminal=True).out


def test_the_file_extension_selects_the_format(tmp_path: Path) -> None:
    target = tmp_path / "fields.csv"
    ran = run("fields", "webex", "-o", target)
    assert (ran.code, ran.out) == (0, "")
    assert target.read_text(encoding="utf-8").splitlines()[0] == ",".join(ABOUT)


@for_each(
    "asked, known",
    [
        (["nope"], list(PROVIDERS)),
        (["../webex"], list(PROVIDERS)),
        (["kazoo", "nope"], ["cdrs", "interactions", "legs", "cdr"]),
        (["kazoo", "cdrs", "x"], ["cdrs", "interactions", "legs", "cdr"]),
        (["portsip", "show"], ["reports show", "completed-reports show"]),
        (["webex", "--schema", "raw"], ["native", "common"]),
        (["webex", "-f", "xls"], ["csv", "tsv", "jsonl", "json", "table"]),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(asked: list[str], known: list[str]) -> None:
    ran = run("fields", *asked)
    assert (ran.code, ran.out) == (2, "")
    assert [one for one in known if one not in ran.err] == []


@pytest.mark.parametrize(("provider", "call"), [one for one in CALLS if not one[1].common], ids=name)
def test_a_call_that_returns_no_calls_has_no_common_columns(provider: Provider, call: Call) -> None:
    ran = run("fields", provider.name, *words(call), "--schema", "common")
    assert ran.code == 2
    assert "--schema common" in ran.err


def test_neither_a_profile_nor_the_network_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("somebody was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    broken = tmp_path / "config.toml"
    broken.write_text("this is not TOML", encoding="utf-8")
    for provider in PROVIDERS:
        ran = run("fields", provider, "--config", broken)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.count("\n") > 5
