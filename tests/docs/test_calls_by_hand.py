"""The calls that docs/calls-by-hand.md works by hand: the legs that it prints make the rows that it prints."""

from __future__ import annotations

import json
import re

import pytest

from cdrctl.calls.rows import story
from cdrctl.fetchers import PROVIDERS
from tests.docs.blocks import ROOT
from tests.support.runner import run

CALL = re.compile(
    r"^## (?P<number>[0-9]+)\. [^\n]*\n(?P<text>.*?)<!-- legs: (?P<words>[^>]*) -->\n```json\n(?P<legs>.*?)```\n\n"
    r"```text\n(?P<row>.*?)```$",
    re.DOTALL | re.MULTILINE,
)
PAGE = (ROOT / "docs" / "calls-by-hand.md").read_text(encoding="utf-8")
CALLS = list(CALL.finditer(PAGE))


@pytest.mark.slow
def test_the_legs_of_each_call_make_its_row() -> None:
    for call in CALLS:
        provider, *options = call["words"].split()
        ran = run("calls", "-", "--provider", provider, *options, stdin=call["legs"])
        assert ran.code == 0, ran.err
        (row,) = ran.lines
        row["path"] = story(row["path"])
        for line in call["row"].splitlines():
            name, _, shown = line.partition(": ")
            value = row[name] if isinstance(row[name], str) else json.dumps(row[name])
            assert value == shown, f"call {call['number']}: {name}"


def test_every_call_is_compared_and_every_provider_has_some() -> None:
    assert [int(call["number"]) for call in CALLS] == list(range(1, PAGE.count("\n## ") + 1))
    assert PAGE.count("```json") == len(CALLS)
    assert {call["words"].split()[0] for call in CALLS} == set(PROVIDERS)
    outcomes = {line for call in CALLS for line in call["row"].splitlines() if line.startswith("outcome: ")}
    assert len(outcomes) >= 7
