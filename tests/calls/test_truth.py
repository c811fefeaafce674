"""Calls of every provider, judged by the exchange that made them: their legs, and what became of them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from cdrctl.calls.folding import FoldedCall, fold
from cdrctl.calls.joining import join
from cdrctl.calls.rows import with_marks
from cdrctl.sandbox import Call as TrueCall, Exchange
from tests.calls.truth_kit import BOXES, HOUR, NOW, PROVIDER_NAMES, apart, legs_of, parts_of, truth_of

SINCE, UNTIL = NOW - timedelta(days=4), NOW - timedelta(days=3)

# What a provider's records cannot tell: other outcomes that are right, by the kind and the outcome of the true call.
UNTOLD: dict[str, dict[tuple[str, str], set[str]]] = {
    "kazoo": {  # queues, menus and boxes have no legs
        ("queue", "abandoned"): {"machine"},
        ("hunt_group", "abandoned"): {"machine"},
        ("attendant", "abandoned"): {"machine"},
        ("", "voicemail"): {"machine"},
    },
    "callgear": {("", "voicemail"): {"machine"}, ("outbound", "rejected"): {"cancelled"}},
    "voicenter": {
        ("voicemail_retrieval", "voicemail"): {"machine"},
        ("", "rejected"): {"busy", "failed"},
        ("", "failed"): {"cancelled"},
        ("hunt_group", "abandoned"): {"cancelled"},
    },
    "webex": {("", "cancelled"): {"no_answer"}},  # one in ten is released by the other side
}

SAME = {"kazoo": 0.8, "callgear": 0.85, "voicenter": 0.92}
"""The least share of calls whose outcome a provider tells as it was."""


def both(name: str, since: datetime, until: datetime) -> list[tuple[TrueCall, FoldedCall]]:
    """Return each true call with the call that the provider's legs made; each has the same legs."""
    exchange = Exchange(1)
    boxes = BOXES if name == "portsip" else frozenset[str]()
    parts = with_marks(parts_of(name, exchange, since - HOUR, until + 6 * HOUR), boxes, frozenset())
    found = {frozenset(one.id for one in call.parts): call for call in join(apart(parts))}
    pairs = []
    for call in exchange.calls(since, until):
        ids = legs_of(name, call)
        assert not ids or ids in found, f"the legs of {call.id} ({call.kind}) are not one call"
        if ids:
            pairs.append((call, fold(found[ids].parts)))
    return pairs


@pytest.mark.parametrize("name", PROVIDER_NAMES)
def test_legs_are_joined_into_the_calls_that_were_made(name: str) -> None:
    pairs = both(name, SINCE, UNTIL)
    assert len(pairs) > 80
    for true, call in pairs:
        truth = truth_of(true)
        right = {truth.outcome}
        for (kind, outcome), others in UNTOLD.get(name, {}).items():
            if outcome == true.outcome and kind in {"", true.kind}:
                right |= others
        assert call.outcome in right, (true, call)
        assert call.direction == truth.direction, true
        assert call.transfers == truth.transfers, true
        if call.outcome != "machine":
            assert call.talk is not None
            assert abs(call.talk - truth.talk) <= 1 + truth.transfers, true
        if call.answer is not None or (name != "voicenter" and truth.answer is not None):
            assert call.answer is not None
            assert truth.answer is not None
            assert abs(call.answer - truth.answer) < 2000
        assert call.why == ""
    same = sum(true.outcome == call.outcome for true, call in pairs)
    assert same >= len(pairs) * SAME.get(name, 0.99)
