"""Every figure is that of the truth, or null with a reason, for the harder exchange."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cdrctl.figures.definitions import NAMES
from cdrctl.sandbox import PROVIDERS, Exchange
from tests.figures.judge import judge

SINCE = datetime(2026, 11, 29, tzinfo=UTC)
WRONG = {"voicenter": {"asr"}}  # a call that a ring group did not answer is not answered there


@pytest.mark.slow
@pytest.mark.parametrize("name", PROVIDERS)
def test_figures_are_those_of_the_truth_or_null_with_a_reason(name: str) -> None:
    found = list(judge(name, Exchange(1, stories="hard"), SINCE, SINCE + timedelta(days=2)))
    assert {figure for figure, _, _ in found} == set(NAMES)
    wrong = {figure: told for figure, what, told in found if what == "wrong"}
    assert set(wrong) <= WRONG.get(name, set()), wrong
    assert sum(what == "equal" for _, what, _ in found) >= 12
