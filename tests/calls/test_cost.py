"""What a leg costs on its way to a call, in function calls: they do not depend on the machine, as times do."""

from __future__ import annotations

import cProfile
import pstats
from datetime import timedelta
from typing import Any

import pytest

from cdrctl.calls.lines import LegBatch
from cdrctl.calls.rows import Told, call_rows
from cdrctl.fetchers import load
from cdrctl.records.events import Page
from cdrctl.sandbox import Exchange
from tests.calls.test_templates import decoder_of, lines_of, schemas
from tests.calls.truth_kit import CONTEXT, NOW, PROVIDER_NAMES, imitation_of, joined_call

MOST = {"webex": 20, "kazoo": 12, "callgear": 9, "portsip": 100, "voicenter": 60}
"""Function calls from the lines of a leg to its parts, of Python and C: about half above what it took."""

MOST_OF_CALL = 80
"""Function calls from the parts of a call to its row."""


@pytest.mark.slow
@pytest.mark.parametrize("name", PROVIDER_NAMES)
def test_a_leg_takes_few_function_calls(name: str) -> None:
    call = joined_call(load(name))
    since = NOW - timedelta(days=6)
    records = 6 * imitation_of(name, Exchange(1)).truth(call.name, since, since + timedelta(days=2))
    lines, context, decoder, (fast, _) = lines_of(records), CONTEXT.get(name, {}), decoder_of(name), schemas(name)
    for _ in range(2):  # makes the decoder and the templates
        fast.rows(Page(decoder.decode(lines, lambda: records), context))
    with cProfile.Profile() as legs:
        batch = decoder.decode(lines, lambda: records)
        parts = fast.rows(Page(batch, context))
    assert isinstance(batch, LegBatch)
    found = _calls(legs) / len(batch)
    assert found < MOST[name], f"{found:.2f} function calls for each leg"
    every: list[Any] = [*parts]
    for _ in range(9):  # traces the calls
        rows = [*call_rows([every[: len(every) // 6]], Told(name, ""))]
    with cProfile.Profile() as calls:
        rows = [*call_rows([every[: len(every) // 6]], Told(name, ""))]
    found = _calls(calls) / sum(map(len, rows))
    assert found < MOST_OF_CALL, f"{found:.0f} function calls for each call"


def _calls(profile: cProfile.Profile) -> int:
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]
