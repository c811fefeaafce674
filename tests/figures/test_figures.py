"""Each figure, on calls whose figures are counted by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from cdrctl.archive.figure_views import create_statements
from cdrctl.calls.columns import CALL
from cdrctl.errors import UsageError
from cdrctl.fetchers import PROVIDERS, default_joins
from cdrctl.figures.definitions import NAMES, REFUSED, explain, figure
from cdrctl.figures.engine import Calls, Measured, open_calls
from cdrctl.figures.groups import read_keys
from tests.support.products import for_each

PARAMETERS = {
    "threshold": 20,
    "short_abandon": 5,
    "hours": 48,
    "since": "2026-11-10T00:00:00.000Z",
    "until": "2026-11-12T00:00:00.000Z",
}


def row(start: str, end: str, outcome: str, **more: Any) -> list[Any]:
    """Return a row of a call of 10 November 2026, at these times."""
    talked = outcome == "answered"
    values: dict[str, Any] = {
        "provider": "webex",
        "profile": "acme",
        "start_time": f"2026-11-10T{start}.000Z",
        "end_time": f"2026-11-10T{end}.000Z",
        "outcome": outcome,
        "direction": "inbound",
        "network_answered": outcome in {"answered", "voicemail", "abandoned", "machine"},
        "talk_seconds": 60 if talked else 0,
        "short": False,
        "transfers": 0,
        "from_number": "+12025550150",
        "to_number": "+12025550100",
        **more,
    }
    return [values.get(column.name) for column in CALL]


USD, UNTOLD = {"currency": "USD"}, {"network_answered": None, "talk_seconds": None}
ROWS = [
    row("08:00:00", "08:02:00", "answered", queue="Sales", queue_wait_seconds=10, hold_seconds=6),
    row("08:01:00", "08:03:00", "answered", queue="Sales", queue_wait_seconds=20, talk_seconds=30, transfers=1),
    row("08:02:00", "08:03:00", "answered", queue="Sales", queue_wait_seconds=21, talk_seconds=90),
    row("08:10:00", "08:10:04", "abandoned", queue="Sales", queue_wait_seconds=4, from_number="+12025550151"),
    row("08:10:00", "08:11:00", "abandoned", queue="Sales", queue_wait_seconds=60, from_number="+12025550152"),
    row("09:00:00", "09:00:10", "answered", talk_seconds=5, short=True, cost="0.1", **USD),
    row("10:00:00", "10:00:20", "no_answer", direction="outbound", to_number="+12025550199", from_number="2001"),
    row("10:05:00", "10:05:20", "busy", direction="outbound", to_number="+12025550199", from_number="2001"),
    row("10:30:00", "10:31:20", "answered", direction="outbound", to_number="02025550151", **USD, cost="0.2"),
    row("11:00:00", "11:00:20", "failed", direction="internal", from_number="2002", cost="1", currency="EUR"),
    row("12:00:00", "12:00:20", "unknown", direction="unknown", from_number=None, **UNTOLD),
    row("13:00:00", "13:00:20", "voicemail", from_number="+12025550151"),
]  # fmt: skip


@pytest.fixture(scope="module")
def calls() -> Iterator[Calls]:
    with open_calls("UTC") as found:
        found.add([ROWS[:5], ROWS[5:]])
        yield found


def measured(calls: Calls, name: str, by: str | None = None, untold: dict[str, str] | None = None) -> list[Measured]:
    return list(calls.measure(figure(name), read_keys(by), PARAMETERS, untold or {}))


@for_each(
    "name, value, numerator, denominator",
    [
        ("calls", "12", "12", None),
        ("answered", "5", "5", None),
        ("asr", "0.7273", "8", "11"),  # 5 persons, 2 abandoned in a queue, 1 box; of one it is not told
        ("ner", "0.9091", "10", "11"),
        ("answer_rate", "0.5714", "4", "7"),
        ("acd", "49.0", "245", "5"),
        ("talk", "245", "245", None),
        ("hold", "6.0", "6", "1"),
        ("abandonment", "0.2500", "1", "4"),
        ("service_level", "0.4000", "2", "5"),
        ("service_level_without_quick", "0.5000", "2", "4"),
        ("service_level_with_quick", "0.6000", "3", "5"),
        ("asa", "17.0", "51", "3"),
        ("short", "0.2000", "1", "5"),
        ("transferred", "0.2000", "1", "5"),
        ("missed", "3", "3", None),
        ("not_called_back", "0.6667", "2", "3"),  # 151 was called back at 10:30, after its first call only
        ("retries", "0.0909", "1", "11"),
        ("repeat_callers", "0.6667", "2", "3"),
        ("peak", "2", "2", None),  # the first ends when the third begins
    ],
)
def test_a_figure_of_all_calls(calls: Calls, name: str, value: str, numerator: str, denominator: str | None) -> None:
    (found,) = measured(calls, name)
    assert (found.value, found.numerator, found.denominator) == (value, numerator, denominator)


def test_traffic_is_the_talk_of_the_hours_asked(calls: Calls) -> None:
    (found,) = measured(calls, "traffic")
    assert (found.numerator, found.denominator) == (f"{245 / 3600}"[: len(found.numerator or "")], "48")


def test_traffic_in_groups_by_time_is_the_talk_that_fell_into_their_hours() -> None:
    window = {"since": "2026-10-24T00:00:00+02:00", "until": "2026-10-26T00:00:00+01:00"}
    with open_calls("Europe/Berlin") as calls:
        talks = [("2026-10-24T08:50:00Z", 1800), ("2026-10-24T21:59:00Z", 120), ("2026-10-25T22:30:00Z", 3600)]
        rows = [row("00:00:00", "00:00:00", "answered", talk_seconds=seconds) for _, seconds in talks]
        at = [column.name for column in CALL].index
        for one, (start, _) in zip(rows, talks, strict=True):
            one[at("start_time")], one[at("answer_time")] = start, start
            one[at("queue")] = "Sales" if start.endswith("50:00Z") else None
        calls.add([rows])

        def traffic(by: str) -> dict[Any, Any]:
            found = calls.measure(figure("traffic"), read_keys(by), {**PARAMETERS, **window}, {})
            return {one.group: (float(one.numerator or 0) * 60, float(one.denominator or 0)) for one in found}

        by_hour = traffic("hour")
        assert by_hour == {  # minutes, hours: of the clock's change, 3 hours begin with 02
            ("10",): (pytest.approx(10), 2),
            ("11",): (pytest.approx(20), 2),
            ("23",): (pytest.approx(31), 2),
            ("00",): (pytest.approx(1), 2),
        }
        assert traffic("day") == {("2026-10-24",): (pytest.approx(31), 24), ("2026-10-25",): (pytest.approx(31), 25)}
        assert traffic("queue,weekday")["Sales", "Sat"] == (pytest.approx(30), 24)


def test_costs_are_sums_by_currency(calls: Calls) -> None:
    assert {one.unit: one.value for one in measured(calls, "cost")} == {"USD": "0.3", "EUR": "1"}


def test_a_figure_has_a_value_for_each_group(calls: Calls) -> None:
    found = measured(calls, "calls", "hour,direction")
    assert {one.group: one.value for one in found}["10", "outbound"] == "3"
    assert sum(int(one.value or 0) for one in found) == 12
    assert [one.group for one in measured(calls, "calls", "weekday")] == [("Tue",)]


@pytest.mark.thin
@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"traffic", "peak", "repeat_callers"}])
def test_the_parts_of_a_figure_add_up_over_its_groups(calls: Calls, name: str) -> None:
    for by in ("hour", "queue", "to_prefix", "direction,outcome"):
        groups = [one for one in measured(calls, name, by) if one.numerator is not None]
        whole = {one.unit: one for one in measured(calls, name)}
        for unit, one in whole.items():
            mine = [float(part.numerator or 0) for part in groups if part.unit == unit]
            assert sum(mine) == pytest.approx(float(one.numerator or 0)), (name, by)


def test_a_provider_that_cannot_give_a_figure_is_left_out_and_named(calls: Calls) -> None:
    (found,) = measured(calls, "asa", untold={"webex": "it does not tell"})
    assert (found.value, found.numerator, found.why) == (None, None, "it does not tell")
    with open_calls("UTC") as both:
        both.add([ROWS, [row("08:00:00", "08:02:00", "answered", provider="kazoo")]])
        (found,) = measured(both, "calls", untold={"kazoo": "it does not tell"})
        assert found.value == "12"
        assert "leaves out kazoo: it does not tell" in found.why


@for_each("providers", [("voicenter",), ("kazoo", "voicenter"), ("kazoo",), ("webex", "own")])
def test_a_figure_says_what_it_counts_wrongly_here_and_in_sql(providers: tuple[str, ...]) -> None:
    group = "voicenter: calls that a ring group took and nobody answered count as not answered"
    rows = [row("08:00:00", "08:02:00", "answered", provider=one) for one in providers]
    with open_calls("UTC") as calls:
        calls.add([rows])
        told = {one: doubt for one in providers if one in PROVIDERS and (doubt := default_joins(one).doubts.get("asr"))}
        (found,) = calls.measure(figure("asr"), [], PARAMETERS, {}, told)
        views = [text for text in create_statements("memory.main.made") if re.match(r"CREATE \w+ asr\b", text)]
        calls.rows("ATTACH ':memory:' AS memory")
        calls.rows("CREATE TABLE memory.main.made AS FROM all_calls")
        calls.rows("ALTER TABLE memory.main.made ALTER start_time TYPE TIMESTAMPTZ")
        for text in views:
            calls.rows(text)
        ((why,),) = calls.rows("SELECT why FROM asr")
    assert found.value is not None
    assert found.why.startswith(group) if "voicenter" in providers else found.why == ""
    assert (why or "") == found.why


def test_no_calls_have_no_quotients() -> None:
    with open_calls("UTC") as none:
        none.add([])
        assert measured(none, "calls")[0].value == "0"
        (found,) = measured(none, "asr")
        assert found.value is None
        assert found.why


@for_each("name", NAMES)
def test_each_figure_has_a_definition_a_source_and_a_statement_that_runs(calls: Calls, name: str) -> None:
    one = figure(name)
    assert one.definition.endswith(".")
    assert one.source
    text = explain(one, dict(PARAMETERS))
    statement = text[text.index("SELECT") :]
    calls._connection.execute("CREATE OR REPLACE TEMP VIEW calls AS FROM all_calls")
    assert calls._connection.execute(statement).fetchall()


@for_each("name", [*REFUSED, "asrr", "", "calls;"])
def test_a_figure_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        figure(name)


@for_each("by", ["", "minute", "day,day", "outcome; DROP TABLE all_calls"])
def test_keys_that_do_not_exist_are_refused(by: str) -> None:
    with pytest.raises(UsageError):
        read_keys(by)


@pytest.mark.parametrize(("name", "counted"), [("repeat_callers", "no_answer"), ("retries", "busy")])
def test_of_calls_at_one_instant_the_same_one_counts_in_whatever_order_they_come(name: str, counted: str) -> None:
    """The calls are taken in the order of their ids; else a figure would differ from run to run."""
    outcomes = ("failed", "busy", "no_answer") if name == "retries" else ("answered", "no_answer")
    rows = [row("08:00:00", "08:00:20", one, call_id=f"c{at}") for at, one in enumerate(outcomes)]
    found = []
    for some in (rows, rows[::-1]):
        with open_calls("UTC") as calls:
            calls.add([some])
            found.append([(one.group, one.numerator) for one in measured(calls, name, "outcome")])
    assert sorted(found[0], key=str) == sorted(found[1], key=str)
    assert any(counted in str(group) and numerator == "1" for group, numerator in found[0])
