"""The figures printed by recipes are compared with the calls that the sandbox has generated.

`test_commands` compares what a page prints with what its commands print. Here the printed figures are compared with the
exchange itself, so that a recipe which counts legs, and says calls, fails.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.sandbox import Sandbox
from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.exchange.clock import HOUR, instant, milliseconds
from cdrctl.sandbox.exchange.parties import Call
from tests.docs.blocks import ROOT, Block, blocks
from tests.docs.host import Machine, a_machine, has
from tests.support.products import for_each
from tests.support.program import NOW, now

EXCHANGE = Exchange(1)
HOURS = 11
"""The stream has twelve hours; the calls of the last one may not be there yet."""

TODAY = NOW.replace(hour=0)
DAY = timedelta(days=1)
JOINED = ("callgear", "kazoo", "portsip")
"""The providers that give one id to all legs of a call."""

INSIDE = {"internal", "voicemail_retrieval"}


@pytest.fixture
def running() -> Iterator[Sandbox]:
    with sandbox.start(now=now, exchange=EXCHANGE) as started:
        yield started


@pytest.fixture
def machine(tmp_path: Path, running: Sandbox) -> Machine:
    return a_machine(tmp_path, running)


def yesterday() -> list[Call]:
    return EXCHANGE.calls(TODAY - DAY, TODAY)


def answered(call: Call) -> bool:
    """Return whether anything answered: a person, a queue, an announcement or a voicemail box."""
    return any(leg.answer is not None for leg in call.legs)


def direction(call: Call) -> str:
    if call.kind == "outbound":
        return "outbound"
    return "internal" if call.kind in INSIDE else "inbound"


def from_outside() -> list[Call]:
    return [call for call in yesterday() if direction(call) == "inbound"]


def talk(call: Call) -> int:
    return max((leg.talk_seconds for leg in call.legs), default=0)


def share(calls: list[Call]) -> str:
    return f"{100 * sum(map(answered, calls)) / len(calls):.1f}"


def rows(printed: str) -> list[list[str]]:
    """Return the cells of a table printed by DuckDB or SQLite, without the header."""
    return [line.split(",") for line in printed.splitlines()[1:]]


def started(call: Call) -> str:
    return f"{instant(call.start):%Y-%m-%dT%H:%M:%S}"


def nothing_picked_up(printed: str) -> None:
    missed = [call for call in from_outside() if not answered(call)]
    assert [line.split()[0] for line in printed.splitlines()] == [started(call) for call in missed[:3]]


def longest(printed: str) -> None:
    most = sorted(map(talk, yesterday()), reverse=True)[:3]
    found = [int(row[-1]) for row in rows(printed)]
    assert all(abs(one - other) <= 1 for one, other in zip(found, most, strict=True)), "seconds are rounded twice"


def dearer_than_one(printed: str) -> None:
    costs = [float(line.split()[0]) for line in printed.splitlines()]
    assert costs == sorted(costs, reverse=True)
    assert min(costs) > 1


def rates_of_each_provider(printed: str) -> None:
    calls, persons = yesterday(), sum(call.outcome == "answered" for call in from_outside())
    found = re.findall(r"^(\w+) +(\d+) +([\d.]+) % +([\d.]+) %$", printed, re.MULTILINE)
    assert len(found) == 5
    assert {int(count) for _, count, _, _ in found} == {len(calls)}
    assert {asr for name, _, asr, _ in found if name != "voicenter"} == {share(calls)}
    assert {rate for *_, rate in found} == {f"{100 * persons / len(from_outside()):.1f}"}


def outcomes_at_webex(printed: str) -> None:
    def merged(counts: Mapping[str, int]) -> dict[str, int]:
        """Return the counts with those that Webex does not always tell apart as one."""
        either = ("cancelled", "no_answer")
        return {**counts, "cancelled": sum(counts[name] for name in either), "no_answer": 0}

    truth = Counter(call.outcome for call in yesterday())
    assert merged({name: int(count) for name, count in rows(printed)}) == merged(truth)


def busiest_hours(printed: str) -> None:
    hours = Counter(f"{instant(call.start):%H:00}" for call in yesterday())
    found = re.findall(r"^(\S+) +(\d+) calls", printed, re.MULTILINE)
    assert [(hour, int(calls)) for hour, calls in found] == hours.most_common(3)


def on_the_trunk(printed: str) -> None:
    """Each external call is on a trunk once, from the first answer to its end."""
    for hour, trunk, calls, erlang in rows(printed):
        since = milliseconds(TODAY - DAY) + int(hour[:2]) * HOUR
        spans = []
        for call in yesterday():
            named = {leg.trunk for leg in call.legs} - {""} or {"Trunk A"}
            if direction(call) != "internal" and answered(call) and named == {trunk}:
                first = min(leg.answer for leg in call.legs if leg.answer is not None)
                spans.append(min(call.end, since + HOUR) - max(first, since))
        assert int(calls) == sum(span > 0 for span in spans)
        assert abs(float(erlang) - sum(span for span in spans if span > 0) / HOUR) < 0.02


def missed_by_people(printed: str) -> None:
    missed = [call for call in from_outside() if call.outcome != "answered"]
    found = [datetime.fromisoformat(line.split()[0]).replace(tzinfo=UTC) for line in printed.splitlines()]
    since = [at - instant(call.start) for at, call in zip(found, missed[:4], strict=True)]
    assert all(abs(one) < timedelta(seconds=1) for one in since), "of a call from outside, Webex has the leg that rang"


def ratio_of_each_day(printed: str) -> None:
    found = rows(printed)
    assert len(found) == 4
    for at, row in enumerate(reversed(found), 1):
        calls = EXCHANGE.calls(TODAY - at * DAY, TODAY - (at - 1) * DAY)
        assert row == [f"{TODAY - at * DAY:%Y-%m-%d}", str(len(calls)), share(calls)]


def busiest_hours_of_the_week(printed: str) -> None:
    hours = Counter(f"{instant(call.start):%H:00}" for call in EXCHANGE.calls(TODAY - 4 * DAY, TODAY))
    most = sorted(hours.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
    assert [(hour, int(calls)) for hour, calls in rows(printed)] == most


def legs_and_calls(printed: str) -> None:
    picked_up = sum(map(answered, yesterday()))
    assert [row[0] for row in rows(printed)] == list(JOINED)
    assert {tuple(row[2:]) for row in rows(printed)} == {(str(len(yesterday())), str(picked_up))}
    legs = {row[0]: int(row[1]) for row in rows(printed)}
    assert legs["portsip"] == len(yesterday()) < min(legs["callgear"], legs["kazoo"])


FIGURES: dict[str, Callable[[str], None]] = {
    "'direction = inbound and not answered'": nothing_picked_up,
    "kazoo interactions -p sandbox --since yesterday --until today -q --schema common --sort=": longest,
    "'cost > 1'": dearer_than_one,
    "--by provider --figures calls,asr,answer_rate": rates_of_each_provider,
    "--by outcome --figures calls": outcomes_at_webex,
    "hour = substr($1, 12, 2)": busiest_hours,
    "erlang": on_the_trunk,
    "outcome != answered": missed_by_people,
    "AS day, count(*) AS calls": ratio_of_each_day,
    "count(DISTINCT call_id) AS calls\n    FROM cdrs": busiest_hours_of_the_week,
    "FILTER (answered)": legs_and_calls,
}
"""The recipes that print figures, each by words that no other one has, and what holds for the figures."""

NO_CALLS = {
    "--dry-run": "requests",
    "-a sum,count -f cost": "the exchange has no prices; it counts records and says so",
    "comm -13": "the lines that the note above it has cut off",
    "cdrctl doctor broken": "checks",
}
"""The recipes that print something else than calls."""

PRINTING = [block for block in blocks() if block.place.startswith("docs/recipes.md") and block.printed]


def registered(block: Block) -> list[str]:
    return [words for words in (*FIGURES, *NO_CALLS) if words in block.text]


def test_every_recipe_that_prints_figures_is_compared() -> None:
    assert {block.place: len(registered(block)) for block in PRINTING} == {block.place: 1 for block in PRINTING}
    used = [words for block in PRINTING for words in registered(block)]
    assert sorted(used) == sorted([*FIGURES, *NO_CALLS])


@for_each("words", FIGURES)
def test_a_recipe_prints_the_figures_of_the_exchange(words: str) -> None:
    (block,) = [block for block in PRINTING if words in block.text]
    FIGURES[words](block.printed or "")


def test_the_text_between_recipes_has_the_right_figures() -> None:
    text = " ".join((ROOT / "docs" / "recipes.md").read_text(encoding="utf-8").split())
    picked_up = sum(call.outcome in {"answered", "voicemail"} for call in from_outside())
    assert f"the same {len(yesterday())} calls." in text
    assert f"PortSIP's answer rate is {100 * picked_up / len(from_outside()):.1f} %" in text


def recipe(page: str, beginning: str) -> str:
    """Return the command of a page with this beginning, up to the end of its quoted program."""
    found = re.search(
        rf"^{re.escape(beginning)}.*?\| jq [^']*'[^']*'", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL
    )
    assert found, f"{page} has no {beginning}"
    return found[0]


def unanswered(*, from_outside: bool) -> list[Call]:
    """Return the calls of the last hours without an answered leg."""
    calls = EXCHANGE.calls(NOW - timedelta(hours=HOURS), NOW - timedelta(hours=1))
    return [call for call in calls if not answered(call) and (not from_outside or direction(call) == "inbound")]


@pytest.mark.process
@pytest.mark.skipif(not has("jq"), reason="there is no jq")
@pytest.mark.parametrize(("page", "outside"), [("docs/exporting.md", False), ("docs/recipes.md", True)])
def test_missed_calls_are_calls_and_not_legs(machine: Machine, page: str, *, outside: bool) -> None:
    shown = recipe(page, "cdrctl webex stream")
    command = re.sub(r"--since \w+", f"--since {HOURS}h --until 1h -q -p acme", shown, count=1)
    ran = machine.run(command.replace("-p sandbox ", ""))
    assert ran.returncode == 0, ran.stdout
    assert len(ran.stdout.splitlines()) == len(unanswered(from_outside=outside)) > 0, ran.stdout
