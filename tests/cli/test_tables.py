"""Tables of every call at usual widths: their columns, zone and colours."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from rich.cells import cell_len

from cdrctl.cli.export import TOGETHER_SHOWN
from cdrctl.cli.output_options import COMMON_SHOWN
from cdrctl.fetchers import PROVIDERS, load
from cdrctl.records.common import COMMON, Outcome
from cdrctl.records.schemas import outcomes
from cdrctl.sandbox import start
from tests.support.products import for_each
from tests.support.runner import NOW, run

FOLDER = Path(__file__).parents[1] / "data" / "tables"
WINDOW = ("-p", "sandbox", "--since", "2026-11-19T16:00Z", "--until", "2026-11-19T19:00Z", "--limit", "8")
WIDTHS = (40, 80, 120, 200)
CALLS = [(name, call) for name in PROVIDERS for call in load(name).calls]
LISTINGS = {
    **{f"{name}-{call.name}": (name, call.name, *WINDOW) for name, call in CALLS if call.windowed},
    "kazoo-legs": ("kazoo", "legs", "63962351927-c41244fd", "-p", "sandbox"),
    "common": ("portsip", "cdrs", *WINDOW, "--schema", "common"),
    "export": ("export", *WINDOW),
    "fields": ("fields", "kazoo", "cdrs"),
}
LISTINGS["webex-stream"] = (*LISTINGS["webex-stream"][:4], "--limit", "8")


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def tables(words: tuple[str, ...]) -> str:
    """Return the tables that a command shows in terminals of several widths."""
    made = []
    for width in WIDTHS:
        ran = run(*words, "-f", "table", "-q", width=width)
        assert ran.code == 0, ran.err
        assert max(map(cell_len, ran.out.splitlines())) <= width
        made.append(f"{width} columns\n\n{ran.out}")
    return "\n".join(made)


@pytest.mark.thin
@pytest.mark.parametrize("name", [name for name in LISTINGS if name != "export"])
def test_tables_are_equal_to_the_stored_ones(name: str) -> None:
    """After an intended change: CDRCTL_WRITE_TABLES=1 pytest tests/cli/test_tables.py, and review the diff."""
    path = FOLDER / f"{name}.txt"
    made = tables(LISTINGS[name])
    if os.environ.get("CDRCTL_WRITE_TABLES"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(made, encoding="utf-8")
    assert made == path.read_text(encoding="utf-8")


@for_each("provider, call", CALLS)
def test_tables_show_existing_columns_with_a_start_and_a_duration(provider: str, call: Any) -> None:
    names = {column.name for column in call.columns}
    assert call.table_columns
    assert set(call.table_columns) <= names
    assert len(set(call.table_columns)) == len(call.table_columns)
    assert set(call.outcome_columns) <= names
    assert bool(call.outcome_columns) == (call.common is not None), provider
    if call.windowed:
        kinds = {column.name: column.kind for column in call.columns}
        assert kinds[call.table_columns[0]] == "time"
        assert "seconds" in {kinds[name] for name in call.table_columns[:6]}


def test_tables_of_the_common_cdr_show_existing_columns() -> None:
    names = {column.name for column in COMMON}
    assert set(COMMON_SHOWN) < names
    assert set(TOGETHER_SHOWN) == {*COMMON_SHOWN, "provider", "profile"}


def test_several_profiles_are_one_table() -> None:
    ran = run("export", *WINDOW, "-f", "table", width=100)
    assert ran.out.splitlines()[-11].split()[:2] == ["start_time", "provider"]


# The zone


@pytest.mark.thin
@pytest.mark.parametrize(
    ("machine", "words", "head", "first"),
    [
        ("UTC", (), ["times in UTC"], "2026-11-19 16:"),
        ("Etc/UTC", (), ["times in UTC"], "2026-11-19 16:"),
        (
            "Asia/Kolkata",
            (),
            ["times in Asia/Kolkata; --since and --until are in UTC unless --tz says otherwise"],
            "2026-11-19 21:",
        ),
        ("Asia/Kolkata", ("--tz", "America/New_York"), ["times in America/New_York"], "2026-11-19 11:"),
        ("Asia/Kolkata", ("--tz", "utc"), ["times in UTC"], "2026-11-19 16:"),
        ("Asia/Kolkata", ("--tz", "local"), ["times in Asia/Kolkata"], "2026-11-19 21:"),
    ],
)
def test_times_are_in_the_zone_of_the_machine_unless_a_zone_is_named(
    machine: str, words: tuple[str, ...], head: list[str], first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", machine)
    for command in (("voicenter", "cdrs"), ("export",)):
        lines = run(*command, *WINDOW, "-f", "table", *words).out.splitlines()
        profiles = head[0].replace("UTC unless --tz says otherwise", "each profile's zone, or UTC")
        assert lines[0] == (head[0] if command[0] == "voicenter" else profiles)
        assert first in "\n".join(lines)


def test_the_zone_line_mentions_only_options_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    captured = tmp_path / "captured.json"
    captured.write_text('{"time": 1795082400, "caller": "1", "ivruniqueid": "x"}', encoding="utf-8")
    shown = run("voicenter", "notifications", captured, "-f", "table").out
    assert shown.splitlines()[0] == "times in Asia/Kolkata"


def test_the_zone_line_mentions_the_zone_of_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    shown = run("export", *WINDOW, "-f", "table", "--where", "start_time > 2026", width=120).out
    text = "times in Asia/Kolkata; --since, --until and --where are in each profile's zone, or UTC"
    assert shown.splitlines()[0] == text
    captured = tmp_path / "captured.json"
    captured.write_text('{"time": 1795082400, "caller": "1", "ivruniqueid": "x"}', encoding="utf-8")
    shown = run("voicenter", "notifications", captured, "-f", "table", "--where", "time > 2026-01-01").out
    assert shown.splitlines()[0] == "times in Asia/Kolkata; --where is in UTC unless --tz says otherwise"


def test_the_zone_of_the_profile_is_that_of_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    with start(now=lambda: NOW) as running:
        settings = {"provider": "webex", **running.credentials("webex"), "timezone": "America/New_York"}
        config = tmp_path / "config.toml"
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        config.write_text("\n".join(["[profiles.acme]", *lines, ""]), encoding="utf-8")
        config.chmod(0o600)
        ran = run("webex", "cdrs", "--config", config, *WINDOW[2:], "-f", "table")
    assert ran.out.splitlines()[0] == "times in America/New_York", ran.err


def test_other_formats_have_times_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    before = run("webex", "cdrs", *WINDOW, "-f", "csv").out
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    assert run("webex", "cdrs", *WINDOW, "-f", "csv").out == before


# Colours


@pytest.mark.thin
@pytest.mark.parametrize(
    ("environ", "terminal", "colored"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"CLICOLOR_FORCE": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
@pytest.mark.parametrize("words", [("webex", "cdrs", *WINDOW), ("export", *WINDOW), ("fields", "webex")])
def test_colours_need_a_terminal_and_can_be_disabled(
    words: tuple[str, ...],
    environ: dict[str, str],
    terminal: bool,  # noqa: FBT001 - a case
    colored: bool,  # noqa: FBT001 - a case
) -> None:
    ran = run(*words, "-f", "table", "-q", environ=environ, terminal=terminal)
    assert ("\x1b[" in ran.out) == colored


@pytest.mark.slow
def test_a_file_has_no_colours(tmp_path: Path) -> None:
    for name, words in LISTINGS.items():
        target = tmp_path / f"{name}.txt"
        assert run(*words, "-f", "table", "-o", target, terminal=True).code == 0
        assert "\x1b" not in target.read_text(encoding="utf-8")


TONES = {"answered": "32", "no_answer": "33", "cancelled": "33", "voicemail": "33", "busy": "33", "rejected": "31"}
MAIN = [(name, load(name).calls[0]) for name in PROVIDERS]


@pytest.mark.thin
@pytest.mark.parametrize(("provider", "call"), MAIN, ids=lambda value: getattr(value, "name", value))
def test_the_outcome_columns_have_the_colour_of_the_outcome(provider: str, call: Any) -> None:
    """With any chosen fields. Without colours the text is the same."""
    words = (provider, "cdrs" if call.name == "cdrs" else call.name, *WINDOW[:-2])
    outcomes = [line["outcome"] for line in run(*words, "--schema", "common").lines]
    assert len(set(outcomes)) > 1
    for more in ((), ("--fields", f"{call.table_columns[0]},{call.outcome_columns[0]}")):
        ran = run(*words, *more, "-f", "table", "-q", terminal=True, width=200)
        colored = ran.out.splitlines()
        rule = next(at for at, line in enumerate(colored) if line.startswith("─"))
        rows = colored[rule + 1 : rule + 1 + len(outcomes)]
        found = [next(iter(re.findall(r"\x1b\[(3\d)m", row)), None) for row in rows]
        said = [row for row in rows if re.search(r"\x1b\[3\dm", row)]
        assert said
        assert [tone for tone, outcome in zip(found, outcomes, strict=True) if outcome in TONES] == [
            TONES[outcome] for outcome in outcomes if outcome in TONES
        ]
        assert plain(ran.out) == run(*words, *more, "-f", "table", "-q", width=200).out


@for_each("value", [{"a": [1]}, [{"a": 1}], "odd", None])
def test_a_record_of_odd_values_has_an_outcome(value: object) -> None:
    for _, call in CALLS:
        if call.common is not None:
            row = [*(value for _ in call.columns), None]
            assert outcomes(call.columns, call.common)(row) in get_args(Outcome)


def test_an_outcome_of_the_common_cdr_is_coloured_where_it_is_shown() -> None:
    words = ("webex", "cdrs", *WINDOW, "--schema", "common", "-f", "table", "-q")
    assert "\x1b[32manswered\x1b[0m" in run(*words, terminal=True).out
    assert "\x1b[32manswered\x1b[0m" in run(*words, "--fields", "outcome,user", terminal=True).out
    assert "\x1b[3" not in run(*words, "--fields", "user,cause", terminal=True).out
