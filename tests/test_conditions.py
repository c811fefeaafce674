"""`--where`: the grammar, and what comparisons mean for each kind of column."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from cdrctl.conditions.evaluation import on_records, on_rows
from cdrctl.conditions.language import Comparison, Joined, Negated, fields_in, read_condition
from cdrctl.errors import UsageError
from cdrctl.records.columns import Column
from cdrctl.records.schemas import EXTRA_COLUMN
from tests.support.examples import examples
from tests.support.products import for_each

NOW = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)

COLUMNS = (
    Column("direction", "d", "text"),
    Column("talk_seconds", "t", "seconds"),
    Column("cost", "c", "money"),
    Column("answered", "a", "boolean"),
    Column("start_time", "s", "time"),
    Column("queue", "q", "list"),
    Column("legs", "l", "integer"),
    EXTRA_COLUMN,
)
NULLS = dict.fromkeys(column.name for column in COLUMNS)


def holds(text: str, zone: str = "UTC", **values: Any) -> bool:
    warned: list[str] = []
    return told(text, warned, zone, **values)


def told(text: str, warned: list[str], zone: str = "UTC", **values: Any) -> bool:
    where = ZoneInfo(zone)
    found = on_rows(read_condition(text), COLUMNS, zone=where, now=NOW, warn=warned.append)
    return found([*{**NULLS, **values}.values()])


def refused(text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        holds(text)
    return caught.value


@for_each(
    "text, values, truth",
    [
        ("direction=inbound", {"direction": "inbound"}, True),
        ("direction = 'inbound'", {"direction": "inbound"}, True),
        ('direction="in bound"', {"direction": "in bound"}, True),
        ("`direction`==inbound", {"direction": "outbound"}, False),
        ("direction!=inbound", {"direction": "outbound"}, True),
        ("direction<>inbound", {"direction": "inbound"}, False),
        ("direction in (inbound, internal)", {"direction": "internal"}, True),
        ("direction not in (inbound, internal)", {"direction": "internal"}, False),
        ("direction in (inbound, null)", {}, True),
        ("direction is null", {}, True),
        ("direction IS NOT NULL", {}, False),
        ("direction = null", {"direction": "null"}, False),
        ("direction = 'null'", {"direction": "null"}, True),
        ("direction ~ ^in", {"direction": "inbound"}, True),
        ("direction ~ '^\\+49'", {"direction": "+49 30"}, True),
        ("direction ~ 'it\\'s'", {"direction": "it's"}, True),
        ("direction !~ ^in", {"direction": "inbound"}, False),
        ("direction !~ ^in", {}, True),
        ("direction > 100", {"direction": "99"}, False),
        ("direction > abc", {"direction": "abd"}, True),
        ("talk_seconds>60", {"talk_seconds": 61}, True),
        ("talk_seconds>60", {"talk_seconds": 60}, False),
        ("talk_seconds>=1:00", {"talk_seconds": 60}, True),
        ("talk_seconds<1:00:00", {"talk_seconds": 3599}, True),
        ("talk_seconds = 2m", {"talk_seconds": 120}, True),
        ("talk_seconds in (2m, 3m)", {"talk_seconds": 180}, True),
        ("legs = 2.0", {"legs": 2}, True),
        ("cost>0.1", {"cost": "0.1000"}, False),
        ("cost=0.1", {"cost": "0.1000"}, True),
        ("cost>=9", {"cost": "10.00"}, True),
        ("answered", {"answered": True}, True),
        ("answered", {"answered": None}, False),
        ("not answered", {"answered": None}, True),
        ("answered = no", {"answered": False}, True),
        ("answered != true", {}, True),
        ("start_time >= 2026-11-19", {"start_time": "2026-11-19T00:00:00.000Z"}, True),
        ("start_time < today", {"start_time": "2026-11-19T23:59:59.999Z"}, True),
        ("start_time > 2026-11-19T08:00:00+01:00", {"start_time": "2026-11-19T07:00:00.001Z"}, True),
        ("start_time = 2026-11-19T08:00Z", {"start_time": "2026-11-19T08:00:00Z"}, True),
        ("queue = b", {"queue": ["a", "b"]}, True),
        ("queue != b", {"queue": ["a", "b"]}, False),
        ("queue ~ ^b", {"queue": ["a", "bc"]}, True),
        ("queue = 5", {"queue": [5]}, True),
        ("extra.new = x", {"extra": {"new": "x"}}, True),
        ("extra.new = 5", {"extra": {"new": 5.0}}, True),
        ("extra.new = x", {}, False),
        ("extra.flag", {"extra": {"flag": True}}, True),
    ],
)
def test_a_comparison_follows_the_kind_of_its_column(text: str, values: dict[str, Any], *, truth: bool) -> None:
    assert holds(text, **values) is truth


def test_not_binds_tighter_than_and_and_that_tighter_than_or() -> None:
    a, b, c = (Comparison(name, "true", ()) for name in "abc")
    assert read_condition("a or b and c") == Joined(every=False, parts=(a, Joined(every=True, parts=(b, c))))
    assert read_condition("(a or b) and c") == Joined(every=True, parts=(Joined(every=False, parts=(a, b)), c))
    assert read_condition("not a and NOT b") == Joined(every=True, parts=(Negated(a), Negated(b)))
    assert read_condition("not (a and b)") == Negated(Joined(every=True, parts=(a, b)))
    assert [*fields_in(read_condition("a or not (b and a) or c"))] == ["a", "b", "c"]


def test_a_time_without_an_offset_is_in_the_zone() -> None:
    at = "2026-11-19T07:00:00.000Z"
    assert holds("start_time = '2026-11-19 08:00'", "Europe/Berlin", start_time=at)
    assert not holds("start_time = '2026-11-19 08:00'", start_time=at)


@for_each("sign", ["<", "<=", ">", ">=", "=", "~"])
def test_comparisons_with_null_are_false(sign: str) -> None:
    for field, value in [("direction", "x"), ("talk_seconds", "0"), ("start_time", "now"), ("cost", "0")]:
        assert not holds(f"{field} {sign} {value}")


@for_each(
    "text, values",
    [
        ("talk_seconds>60", {"talk_seconds": "soon"}),
        ("talk_seconds=60", {"talk_seconds": True}),
        ("talk_seconds>1", {"talk_seconds": "Infinity"}),
        ("start_time>today", {"start_time": "soon"}),
        ("answered=true", {"answered": "perhaps"}),
        ("direction>5", {"direction": "x"}),
    ],
)
def test_a_value_of_the_wrong_type_matches_nothing_and_gives_one_warning(text: str, values: dict[str, Any]) -> None:
    warned: list[str] = []
    found = on_rows(read_condition(text), COLUMNS, zone=UTC, now=NOW, warn=warned.append)
    row = [*{**NULLS, **values}.values()]
    assert [found(row), found(row)] == [False, False]
    assert len(warned) == 1
    assert next(iter(values)) in warned[0]
    other = text.replace("=", "!=") if "=" in text else None
    assert other is None or told(other, warned, **values)


@for_each(
    "text, words",
    [
        ("", "at its end: a field was expected"),
        ("  ", "at its end: a field was expected"),
        ("direction=", "at its end: a value was expected"),
        ("direction=a b=c", "at 'b=c': `and` or `or` was expected"),
        ("and", "at 'and': a field was expected"),
        ("direction='a", 'at "\'a": a quote is not closed'),
        ("(answered", "at its end: a bracket is not closed"),
        ("answered)", "at ')': `and` or `or` was expected"),
        ("direction in a", "at 'a': ( was expected after in"),
        ("direction in (a", "at its end: , or ) was expected"),
        ("direction in (a,)", "at ')': a value was expected"),
        ("direction is 5", "at '5': null was expected"),
        ("direction = and", "at 'and': a value was expected"),
        ("= 5", "at '= 5': a field was expected"),
        ("'a' = 5", "a field was expected"),
        ("direction > null", "nothing is > null"),
        ("answered > true", "answered has no order"),
        ("queue > 5", "queue has no order"),
        ("direction", "direction is not true or false"),
        ("answered = perhaps", "answered is true or false, not 'perhaps'"),
        ("cost > much", "cost is a number, not 'much'"),
        ("cost > nan", "cost is a number"),
        ("talk_seconds > long", "talk_seconds is a length such as 90, 2m or 1:30, not 'long'"),
        ("start_time > 02/03/26", "start_time is a time, and '02/03/26' can be read in more than one way"),
        ("direction ~ '('", "is not a regular expression"),
        ("directoin = a", "there is no field 'directoin' here"),
        ("(" * 60 + "answered" + ")" * 60, "too many brackets"),
        ("not " * 60 + "answered", "too many brackets"),
    ],
)
def test_a_syntax_error_names_its_position(text: str, words: str) -> None:
    assert words in refused(text).message


def test_a_misspelt_field_gets_a_suggestion() -> None:
    assert (refused("directoin = a").hint or "").startswith("did you mean direction? ")


@for_each(
    "text, truth",
    [
        ("`Call type` = SIP", True),
        ("`call TYPE` = SIP", True),
        ("Duration > 60", True),
        ("Duration > 9", True),
        ("Duration = 61", True),
        ("Rate = 0.1", True),
        ("inner.code = 16", True),
        ("inner.code.more is null", True),
        ("missing is null", True),
        ("missing = x", False),
        ("Answered", True),
        ("Flag and Flag = true", True),
        ("Flag = 1", False),
        ("tags = b", True),
        ("inner ~ code", True),
    ],
)
def test_raw_records_are_compared_by_their_own_values(text: str, *, truth: bool) -> None:
    record = {"Call type": "SIP", "Duration": 61, "Rate": 0.1, "inner": {"code": 16}, "Answered": "true"}
    record |= {"Flag": True, "tags": ["a", "b"]}
    found = on_records(read_condition(text), zone=UTC, now=NOW, warn=lambda _: None)
    assert found(record) is truth


VALUES = st.one_of(st.none(), st.integers(-5, 5))
SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a is not None and a < b,
    "<=": lambda a, b: a is not None and a <= b,
    ">": lambda a, b: a is not None and a > b,
    ">=": lambda a, b: a is not None and a >= b,
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
NAMES = ("talk_seconds", "legs", "cost")


@st.composite
def written(draw: st.DrawFn, depth: int = 3) -> tuple[str, Any]:
    """Return a condition, and a Python function that tells whether it is true of given values."""
    if depth == 0 or draw(st.booleans()):
        name, sign, number = draw(st.sampled_from(NAMES)), draw(st.sampled_from([*SIGNS])), draw(st.integers(-5, 5))
        blank = draw(st.sampled_from(["", " "]))
        return f"{name}{blank}{sign}{blank}{number}", lambda row: SIGNS[sign](row[name], number)
    kind = draw(st.sampled_from(["and", "or", "not"]))
    one, says = draw(written(depth - 1))
    if kind == "not":
        return f"not ({one})", lambda row: not says(row)
    other, says_too = draw(written(depth - 1))
    if kind == "and":
        return f"({one}) and ({other})", lambda row: says(row) and says_too(row)
    return f"({one}) or ({other})", lambda row: says(row) or says_too(row)


@examples(200)
@given(written(), st.tuples(VALUES, VALUES, VALUES))
def test_conditions_have_the_same_result_as_in_python(
    condition: tuple[str, Any], values: tuple[int | None, ...]
) -> None:
    text, says = condition
    row = dict(zip(NAMES, values, strict=True))
    typed: dict[str, Any] = {
        **row,
        "cost": None if row["cost"] is None else str(Decimal(row["cost"]).quantize(Decimal("0.01"))),
    }
    assert holds(text, **typed) is says(row)


@examples(300)
@given(st.text(alphabet="ab= <>!~()`'\",\\.0and or not in is null", max_size=30))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with suppress(UsageError):
        assert [*fields_in(read_condition(text))]
