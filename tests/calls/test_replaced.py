"""Calls in databases: a first leg that comes late changes the id of a call, and the row under the old id goes."""

from __future__ import annotations

import importlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cdrctl.calls.columns import CALL
from cdrctl.calls.legs import parts_of_legs
from cdrctl.calls.mapping import leg_schema
from cdrctl.calls.rows import ReplacedKeys
from cdrctl.fetchers import PROVIDERS, joins_of, load
from cdrctl.records.columns import NOTHING_EXPECTED
from cdrctl.records.events import Page
from cdrctl.sandbox import Exchange
from tests.calls.truth_kit import CLASSES, CONTEXT, joined_call
from tests.support.runner import run

SINCE, UNTIL = datetime(2026, 11, 11, 6, tzinfo=UTC), datetime(2026, 11, 11, 18, tzinfo=UTC)
NOW = datetime(2026, 11, 13, tzinfo=UTC)


def row(**values: Any) -> list[Any]:
    return [values.get(column.name) for column in CALL]


def test_the_keys_of_other_legs_are_of_the_same_profile() -> None:
    keys = ReplacedKeys()
    old = ReplacedKeys().key_of(row(provider="webex", profile="acme", call_id="b"))
    new = keys.key_of(row(provider="webex", profile="acme", call_id="a", replaces=["b", "c"]))
    other = keys.key_of(row(provider="webex", profile="other", call_id="a", replaces=["b", "c"]))
    taken = keys.take([[new]])
    assert old in taken
    assert len(taken) == 2
    assert keys.take([[new]]) == []
    assert not set(taken) & set(keys.take([[other]])), "two profiles replace nothing of each other"


def records_of(name: str) -> list[tuple[str, Any]]:
    """Return the records of a provider, each with its id."""
    provider = load(name)
    call = joined_call(provider)
    imitation: Any = getattr(importlib.import_module(f"cdrctl.sandbox.{name}"), CLASSES[name])
    records = imitation(Exchange(3), lambda: NOW).truth(call.name, SINCE, UNTIL)
    assert call.common is not None
    schema = leg_schema(call.columns, call.common, joins_of(name)[call.name], lambda _text: None, NOTHING_EXPECTED)
    legs: list[Any] = [schema.rows(Page([one], CONTEXT.get(name, {})))[0] for one in records]
    return [(parts_of_legs([leg])[0].id, one) for leg, one in zip(legs, records, strict=True)]


def write(name: str, records: Sequence[Any], target: str, *words: str) -> None:
    Path("legs.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in records))
    run("calls", "legs.jsonl", "--provider", name, "-o", target, *words, "-q").ok()


def table(path: str, what: str = "*") -> list[tuple[Any, ...]]:
    question = f"SELECT {what} FROM calls ORDER BY call_id"  # noqa: S608
    if path.endswith(".duckdb"):
        with duckdb.connect(path, read_only=True) as found:
            there: list[tuple[Any, ...]] = found.execute(question).fetchall()
            return there
    with closing(sqlite3.connect(path)) as database:
        rows: list[tuple[Any, ...]] = database.execute(question).fetchall()
        return rows


@pytest.mark.slow
@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("ending", ["db", "duckdb"])
def test_a_first_leg_that_comes_late_leaves_one_row(
    name: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = records_of(name)
    every = [one for _, one in found]
    write(name, every, f"whole.{ending}")
    first = {call_id for call_id, legs in table(f"whole.{ending}", "call_id, legs") if legs > 1}
    assert first
    write(name, [one for key, one in found if key not in first], f"calls.{ending}")
    before = table(f"calls.{ending}")
    assert not first & {one for (one,) in table(f"calls.{ending}", "call_id")}
    assert len(before) >= len(first)
    write(name, every, f"calls.{ending}", "--fields", "start_time,call_id")
    assert table(f"calls.{ending}", "call_id") == table(f"whole.{ending}", "call_id")
    write(name, every, f"calls.{ending}")
    write(name, every, f"calls.{ending}")
    assert table(f"calls.{ending}") == table(f"whole.{ending}")


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["db", "duckdb"])
def test_a_row_that_is_not_written_replaces_nothing(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = records_of("kazoo")
    every = [one for _, one in found]
    write("kazoo", every, f"whole.{ending}")
    first = {call_id for call_id, legs in table(f"whole.{ending}", "call_id, legs") if legs > 1}
    write("kazoo", [one for key, one in found if key not in first], f"calls.{ending}")
    before = table(f"calls.{ending}", "call_id")
    write("kazoo", every, f"calls.{ending}", "--limit", "1")
    after = {one for (one,) in table(f"calls.{ending}", "call_id")}
    assert len(after - {one for (one,) in before}) <= 1
    assert len({one for (one,) in before} - after) <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("name", "field"), [("webex", "Report ID"), ("kazoo", "id"), ("callgear", "id")])
def test_legs_without_an_id_are_calls_of_their_own_and_stay_the_same(
    name: str, field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    every = [one for _, one in records_of(name)]
    write(name, every, "whole.db")
    without = [{key: value for key, value in one.items() if key != field} for one in every]
    for _ in range(2):
        write(name, without, "calls.db")
        ids = [str(one) for (one,) in table("calls.db", "call_id")]
        assert len(ids) == len(set(ids)) == len(table("whole.db"))
        assert "None" not in ids
