"""Erlang's formulas against published values and their own properties."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from cdrctl.figures.erlang import agents_for, erlang_b, erlang_c, served_within, trunks_for
from tests.support.products import for_each
from tests.support.runner import run


def by_definition(traffic: float, trunks: int) -> float:
    terms = [traffic**n / math.factorial(n) for n in range(trunks + 1)]
    return terms[-1] / sum(terms)


def test_published_values() -> None:
    assert erlang_b(10, 15) == pytest.approx(0.036497, abs=5e-7)
    assert trunks_for(10, 0.01) == 18


@given(st.floats(0.01, 40), st.integers(0, 60))
def test_the_recursion_is_the_definition(traffic: float, trunks: int) -> None:
    assert erlang_b(traffic, trunks) == pytest.approx(by_definition(traffic, trunks), rel=1e-9)


@given(st.floats(0.1, 200), st.floats(0.001, 0.9))
def test_the_number_of_trunks_is_the_least(traffic: float, blocking: float) -> None:
    trunks = trunks_for(traffic, blocking)
    assert trunks is not None
    assert erlang_b(traffic, trunks) <= blocking
    assert trunks == 0 or erlang_b(traffic, trunks - 1) > blocking


@given(st.floats(0.1, 100), st.floats(0.1, 0.99))
def test_the_number_of_agents_is_the_least(traffic: float, share: float) -> None:
    agents = agents_for(traffic, share, 180, 20)
    assert agents is not None
    assert 0 <= erlang_c(traffic, agents) <= 1
    assert served_within(traffic, agents, 180, 20) >= share
    assert agents <= traffic + 1 or served_within(traffic, agents - 1, 180, 20) < share


def test_size_prints_both() -> None:
    ran = run("size", "--erlang", "10", "--blocking", "0.01", "--service-level", "80/20").ok()
    assert ran.out.startswith("trunks: 18 ")
    assert "agents: 14 " in ran.out


@for_each(
    "words",
    [
        ["--erlang", "10"],
        ["--erlang", "x", "--blocking", "0.1"],
        ["--erlang", "10", "--blocking", "0"],
        ["--erlang", "10", "--blocking", "2"],
        ["--erlang", "nan", "--blocking", "0.1"],
        ["--erlang", "10", "--service-level", "100/20"],
        ["--erlang", "10", "--service-level", "eighty"],
    ],
)
def test_what_cannot_be_sized_is_refused(words: list[str]) -> None:
    assert run("size", *words).code == 2
