"""Recipes count what they say they count: what they print is compared with the calls that the sandbox has generated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.sandbox import Sandbox
from cdrctl.sandbox.exchange import Call, Exchange
from tests.docs.blocks import ROOT
from tests.docs.host import Machine, a_machine, has
from tests.program import NOW, now

EXCHANGE = Exchange(1)
HOURS = 11
"""The stream has twelve hours; the calls of the last one may not be there yet."""


@pytest.fixture
def running() -> Iterator[Sandbox]:
    with sandbox.start(now=now, exchange=EXCHANGE) as started:
        yield started


@pytest.fixture
def machine(tmp_path: Path, running: Sandbox) -> Machine:
    return a_machine(tmp_path, running)


def recipe(page: str, beginning: str) -> str:
    """Return the command of a page that begins so, up to the end of its quoted program."""
    found = re.search(
        rf"^{re.escape(beginning)}.*?\| jq [^']*'[^']*'", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL
    )
    assert found, f"{page} has no {beginning}"
    return found[0]


def unanswered(*, from_outside: bool) -> list[Call]:
    """Return the calls of the last hours of which no leg was answered."""
    calls = EXCHANGE.calls(NOW - timedelta(hours=HOURS), NOW - timedelta(hours=1))
    missed = [call for call in calls if all(leg.answer is None for leg in call.legs)]
    return [call for call in missed if not from_outside or call.kind not in {"internal", "outbound"}]


@pytest.mark.skipif(not has("jq"), reason="there is no jq")
@pytest.mark.parametrize(
    ("page", "beginning", "from_outside"),
    [("README.md", "cdrctl webex stream", False), ("docs/recipes.md", "cdrctl webex stream", True)],
)
def test_missed_calls_are_calls_and_not_legs(
    machine: Machine, page: str, beginning: str, *, from_outside: bool
) -> None:
    command = re.sub(r"--since \w+", f"--since {HOURS}h --until 1h -q -p acme", recipe(page, beginning), count=1)
    ran = machine.run(command.replace("-p sandbox ", ""))
    assert ran.returncode == 0, ran.stdout
    assert len(ran.stdout.splitlines()) == len(unanswered(from_outside=from_outside)) > 0, ran.stdout
