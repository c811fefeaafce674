"""The true facts of each call of the exchange, whatever its provider reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cdrctl.sandbox.exchange.clock import SECOND
from cdrctl.sandbox.exchange.parties import Call, Leg


@dataclass(frozen=True, slots=True)
class CallTruth:
    """What is true of a call: instants are Unix milliseconds, lengths whole seconds.

    `queue_wait` is from the answer of the first queue to that of a person after it, or to leaving the queues; None
    without a queue. `forwarded_to` is the number outside to which a call from outside was sent. `legs` are the ids of
    the legs that have records, `lost` whether a record is missing, `late` the milliseconds by which the last record
    comes late.
    """

    id: str
    story: str
    direction: str
    outcome: str
    start: int
    answer: int | None
    end: int
    from_number: str
    to_number: str
    answered_by: str
    answered_numbers: tuple[str, ...]
    rang: tuple[str, ...]
    queue: str
    queue_wait: int | None
    wait: int
    talk: int
    hold: int
    transfers: tuple[str, ...]
    forwarded_to: str
    network_answered: bool
    legs: tuple[str, ...]
    lost: bool
    late: int


def truth_of(call: Call) -> CallTruth:
    """Return the truth of a call."""
    first = call.legs[0]
    reached = [leg for leg in call.legs if leg.direction == "terminating" or leg.retrieves]
    persons = [leg for leg in reached if leg.party.is_user or leg.party.kind == "outside"]
    talked = sorted((leg for leg in persons if leg.answer is not None), key=lambda leg: leg.answer or 0)
    answer = talked[0].answer if talked else None
    outer = [leg for leg in reached if leg.party.kind == "outside"]
    queues = [leg for leg in call.legs if leg.party.kind == "queue"]
    inbound = first.party.kind == "outside"
    moves = call.transfers or ((call.kind.partition("_")[0],) if call.kind.endswith("_transfer") else ())
    return CallTruth(
        call.id,
        call.story,
        "inbound" if inbound else "outbound" if outer else "internal",
        call.outcome,
        call.start,
        answer,
        call.end,
        call.from_number,
        call.to_number,
        talked[0].party.name if talked else "",
        (talked[0].party.number, talked[0].party.extension) if talked else (),
        tuple(dict.fromkeys(leg.party.name for leg in persons)),
        queues[0].party.name if queues else "",
        _queue_wait(queues, talked),
        ((call.end if answer is None else answer) - call.start) // SECOND,
        _talk(talked),
        sum(leg.hold_seconds for leg in call.legs if leg.party.is_user),
        moves,
        next((leg.party.number for leg in outer if inbound), ""),
        any(leg.answer is not None for leg in reached),
        tuple(leg.id for leg in call.legs if not leg.lost),
        any(leg.lost for leg in call.legs),
        max(leg.late for leg in call.legs),
    )


def _talk(talked: Sequence[Leg]) -> int:
    """Return the seconds in which at least one person talked to the caller or to a colleague about him."""
    total, until = 0, 0
    for leg in talked:
        since = leg.answer or 0
        total += max(0, leg.end - max(since, until))
        until = max(until, leg.end)
    return total // SECOND


def _queue_wait(queues: Sequence[Leg], talked: Sequence[Leg]) -> int | None:
    if not queues or queues[0].answer is None:
        return None
    entered = queues[0].answer
    answered = min((leg.answer for leg in talked if leg.answer is not None and leg.answer >= entered), default=None)
    return ((max(leg.end for leg in queues) if answered is None else answered) - entered) // SECOND
