"""What a call was, by hand: who answered, how long persons talked, and what is not told."""

from __future__ import annotations

from typing import Any

from cdrctl.calls.folding import FoldedCall, fold, is_short, wait
from cdrctl.calls.rows import path_of, story
from cdrctl.records.parts import Part
from tests.support.products import for_each

BASE = Part(
    *("1", ("n",), (), "callee", "person", 0, None, None, False, None, "no_answer", "200", "Ann"),
    *(True, "+1202", "Bob", "200"),
)


def call(*parts: Part) -> FoldedCall:
    return fold(list(parts))


def caller(**changes: Any) -> Part:
    return BASE._replace(role="caller", party="outside", number="+1202", name="Bob", **changes)


def queue(**changes: Any) -> Part:
    return BASE._replace(role="service", party="queue", name="Sales", queue="Sales", answered=True, **changes)


def person(name: str, answer: int | None, end: int, **changes: Any) -> Part:
    answered = answer is not None
    talk = None if answer is None else (end - answer) // 1000
    outcome = "answered" if answered else "no_answer"
    return BASE._replace(name=name, answer=answer, end=end, answered=answered, talk=talk, outcome=outcome, **changes)


def test_overlapping_talk_counts_once() -> None:
    found = call(person("Ann", 10_000, 70_000), person("Ben", 40_000, 100_000))
    assert found.talk == 90
    assert call(person("Ann", 10_000, 20_000), person("Ben", 40_000, 50_000)).talk == 20


def test_half_seconds_are_cut_once() -> None:
    found = call(person("Ann", 0, 1_600, start=0), person("Ben", 2_000, 3_600))
    assert found.talk == 3


def test_a_told_length_is_believed_where_the_times_contradict_it() -> None:
    assert call(person("Ann", 0, 107_691_675_000)._replace(talk=60)).talk == 60


def test_a_queue_that_nobody_answers_is_abandoned_and_its_wait_is_that_until_leaving() -> None:
    found = call(caller(answered=True, end=40_000), queue(answer=1_000, end=40_000), person("Ann", None, 30_000))
    assert (found.outcome, found.queue_wait, found.talk) == ("abandoned", 39, 0)


def test_the_wait_in_a_queue_ends_with_a_persons_answer() -> None:
    found = call(queue(answer=1_000, end=90_000), person("Ann", 31_500, 90_000))
    assert (found.outcome, found.queue_wait, wait(found)) == ("answered", 30, 31)


def test_an_answer_elsewhere_decides_nothing() -> None:
    elsewhere = person("Ann", None, 9_000)._replace(elsewhere=True, outcome="cancelled")
    assert call(person("Ben", None, 20_000), elsewhere).outcome == "no_answer"
    assert call(elsewhere, person("Ben", 9_000, 20_000)).answered_by is not None


def test_what_answers_without_being_told_to_be_a_person_is_a_machine() -> None:
    found = call(caller(answered=True, answer=5_000, end=9_000, outcome="answered"), person("Ann", None, 4_000))
    assert (found.outcome, found.network_answered, found.answer) == ("machine", True, None)


def test_a_box_is_voicemail_and_no_talk() -> None:
    box = BASE._replace(role="service", party="voicemail", answered=True, answer=20_000, end=50_000, talk=30)
    found = call(caller(answered=True, end=50_000), person("Ann", None, 19_000), box)
    assert (found.outcome, found.talk, found.network_answered) == ("voicemail", 0, True)


@for_each(
    "amounts, total",
    [
        ([("0.1", "USD"), ("0.2", "USD")], {"USD": "0.3"}),
        ([("1", "USD"), ("2", "EUR")], {"USD": "1", "EUR": "2"}),
        ([("1", "USD"), ("free", "USD"), ("2", "EUR")], {"USD": None, "EUR": "2"}),
        ([({"amount": 1}, "USD")], {"USD": None}),
        ([("NaN", "USD")], {"USD": None}),
        ([], {}),
    ],
)
def test_costs_are_exact_sums_by_currency(amounts: list[tuple[Any, str]], total: dict[str, str | None]) -> None:
    parts = [person("Ann", 0, 1_000)._replace(cost=cost, currency=currency) for cost, currency in amounts]
    assert call(*parts or [BASE]).costs == total


def test_unknown_answers_stay_unknown() -> None:
    found = call(BASE._replace(answered=None, outcome="unknown"))
    assert (found.outcome, found.network_answered, found.talk) == ("unknown", None, None)


def test_a_call_without_a_leg_that_it_names_is_incomplete() -> None:
    assert call(BASE._replace(links=("x",), expected=("x",))).why == "missing_leg"
    assert call(BASE._replace(links=("x",))).why == ""
    assert call(BASE._replace(start=None)).why == "spoiled_times"
    assert call(BASE._replace(start=10, end=5)).why == "spoiled_times"


def test_short_calls_have_less_than_six_seconds_of_talk() -> None:
    assert is_short(call(person("Ann", 0, 5_999))) is True
    assert is_short(call(person("Ann", 0, 6_000))) is False
    assert is_short(call(person("Ann", None, 6_000))) is False


def test_the_path_is_a_story() -> None:
    menu = BASE._replace(role="service", party="menu", name="Main", answered=True, answer=0, end=12_000)
    found = call(menu, queue(start=12_000, answer=12_000, end=225_000), person("Ann", 43_000, 225_000, start=13_000))
    assert story(path_of(found)) == "menu Main 0:12 → queue Sales 0:31 → Ann 3:02"
    assert story(path_of(call(person("Ann", None, 22_000)))) == "Ann rang 0:22"
