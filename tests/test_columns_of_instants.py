"""Functions of whole columns of times do as the plain ones do for each value, or refuse the column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import pytest

from cdrctl.fetchers.kazoo.common import _unix as kazoo_unix
from cdrctl.fetchers.mapping import later
from cdrctl.fetchers.voicenter.common import _record_id, _unix as voicenter_unix
from cdrctl.records.readers import seconds_between

REFUSALS = (ValueError, KeyError, TypeError, OverflowError)
USUAL = ("2026-03-29T00:59:59.999Z", "2026-03-29T01:00:00.000Z", "2000-02-29T23:59:59.001Z")
INSTANTS: tuple[Any, ...] = (
    *(None, "2026-11-19T24:00:00.000Z", "2026-11-19T24:00:30.000Z", "2026-11-19T23:59:60.000Z", "2026-11-19 08:00:00"),
    *("2026-11-19T08:00:00Z", "2026-11-19T08:00:00.123+01:00", "2026-13-19T08:00:00.000Z", "0001-01-01T00:00:00.000Z"),
    *("9999-12-31T23:59:59.999Z", "٢026-11-19T08:00:00.123Z", "", " ", "2026-11-19T08:61:00.000Z", 5, True, []),
)
SECONDS: tuple[Any, ...] = (None, 0, 1, -1, 59, 60, 86_400, 10**9, -(10**12), 10**30, True, 1.5, "7")


@pytest.mark.parametrize("odd", INSTANTS, ids=repr)
def test_times_are_moved_and_compared_as_one_by_one(odd: Any) -> None:
    for one, more in product((*USUAL, odd), SECONDS):
        agree(later, [*USUAL, odd, one], [3, 4, 5, more, more])
    for one, other in product((*USUAL, odd), repeat=2):
        agree(seconds_between, [*USUAL, one, odd], [*reversed(USUAL), other, one])


@pytest.mark.parametrize("unix", [kazoo_unix, voicenter_unix])
@pytest.mark.parametrize("odd", [*SECONDS, 946_684_799, 946_684_800, 253_370_764_800, 253_402_300_800], ids=repr)
def test_unix_times_become_text_as_one_by_one(unix: Any, odd: Any) -> None:
    agree(unix, [1_795_075_200, odd, 1_795_075_259])


def test_usual_columns_are_not_refused() -> None:
    assert usual(later, [*USUAL, None], [1, 60, 86_400, 5])[3] is None
    assert usual(seconds_between, [*USUAL, None], [USUAL[0]] * 4) == [0, -1, 822_877_200, None]
    assert usual(kazoo_unix, [1_795_075_200, None]) == ["2026-11-19T08:00:00.000Z", None]


@pytest.mark.parametrize("odd", [None, "", "7", True, 5, [], "Queue "], ids=repr)
def test_ids_of_records_are_those_of_one_by_one(odd: Any) -> None:
    for at in range(5):
        row = ["c", 4, "Queue", USUAL[0], None]
        agree(_record_id, *([one, one if number != at else odd] for number, one in enumerate(row)))


def usual(step: Any, *columns: Sequence[Any]) -> Any:
    return step.of_columns(*columns)


def agree(step: Any, *columns: Sequence[Any]) -> None:
    """Compare the results for whole columns with those for each value, unless the columns are refused."""
    of_columns: Callable[..., Any] = step.of_columns
    try:
        found = [*of_columns(*columns)]
    except REFUSALS:
        return
    plain = [step.function(*values) for values in zip(*columns, strict=True)]
    assert [(type(one), one) for one in found] == [(type(one), one) for one in plain]
