"""Folds the parts of a call into one row.

A person is an employee, a room, or the far end of a call out. A machine is whatever answered without being told to be a
person, queue, menu, group or box.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from cdrctl.calls.joining import order
from cdrctl.calls.tracing import traceable
from cdrctl.records.parts import Part
from cdrctl.records.readers import read_decimal

SHORT = 6
"""Seconds of talk below which an answered call is short."""

TAKES = frozenset({"queue", "menu", "group", "service"})
"""Services that take a call to hand it to a person."""

_PERSONS = frozenset({"person", "outside"})
_SECOND = 1000
_TOLERANCE = 2 * _SECOND
"""How far a told length may be from the times of its leg, which are cut or rounded to seconds."""


class FoldedCall(NamedTuple):
    """A call in Unix milliseconds and typed values; `calls.rows` writes it as a row."""

    parts: list[Part]
    start: int | None
    answer: int | None
    end: int | None
    direction: str
    outcome: str
    answered_by: Part | None
    rang: list[Part]
    first: Part
    talk: int | None
    queue: Part | None
    queue_wait: int | None
    transfers: int
    transfer: str
    network_answered: bool | None
    costs: dict[str | None, str | None]
    why: str


def fold(given: Sequence[Part], why: str = "") -> FoldedCall:
    """Return the parts of a call as one call.

    It only compares values and passes them on, so that it can be traced (see `tracing`).

    Args:
        given: The parts.
        why: Why they may not be all.
    """
    parts = _complete_parts(sorted(given, key=order))
    first = parts[0]
    rung = [one for one in parts if one.role == "callee"]
    persons = [one for one in rung if one.party in _PERSONS and one.answered]
    services = [one for one in parts if one.role == "service"]
    answered_by = min(persons, key=_by_answer, default=None)
    starts = [one.start for one in parts if one.start is not None]
    queue = next((one for one in parts if one.party == "queue"), None) or next(
        (one for one in parts if one.queue), None
    )
    passed = [one for one in parts if one.transfer and (one.role != "caller" or one is first)]
    return FoldedCall(
        parts,
        min(starts, default=None),
        None if answered_by is None else answered_by.answer,
        _end(parts),
        _direction(parts, first),
        _outcome(parts, first, persons, services, rung),
        answered_by,
        rung,
        first,
        _talk(persons) if persons else 0 if _is_told(parts) else None,
        queue,
        _queue_wait(queue, parts, persons),
        len(passed),
        passed[0].transfer if passed else "",
        _network_answered(parts),
        _costs(parts),
        why or _why(parts),
    )


def _end(parts: Sequence[Part]) -> int | None:
    """Return the end of the last part, or None if one that began after all known ends does not tell its own."""
    last = max((one.end for one in parts if one.end is not None), default=None)
    untold = max((one.start for one in parts if one.end is None and one.start is not None), default=None)
    return None if last is None or (untold is not None and untold >= last) else last


def _by_answer(part: Part) -> tuple[bool, int, bool]:
    return part.answer is None, part.answer or 0, part.name is None and part.number is None


def _complete_parts(parts: list[Part]) -> list[Part]:
    """Return the parts of a call without those that another tells better, and with the roles that all of them show.

    Parts that are equal are one. A person who placed a leg to a caller who was waiting (a parked call) was reached by
    him. A target whose number is not told is left out if another part tells it.
    """
    first, many = parts[0], len(parts) > 1
    if many and len({one.id for one in parts}) < len(parts):
        parts = list(dict.fromkeys(parts))  # a record that came twice
    if many and first.role == "caller" and first.party == "outside":
        rung = {one.user or one.number for one in parts if one.role == "callee"}
        parts = [one._replace(role="callee") if _retrieves(one, first, rung) else one for one in parts]
    if many and any(_is_nameless(one) for one in parts):
        known = any(one.party == "outside" and one.role == "callee" and not _is_nameless(one) for one in parts)
        parts = [one for one in parts if not (known and _is_nameless(one))]
    return parts


def _retrieves(part: Part, first: Part, rung: Container[str | None]) -> bool:
    """Return whether a person placed a leg to a caller outside who was waiting: no leg had rung the person before."""
    if part is first or part.role != "caller" or part.party != "person" or not part.answered:
        return False
    if part.links:
        return not set(part.links).isdisjoint(first.names)
    return (part.user or part.number) not in rung


def _is_nameless(part: Part) -> bool:
    return part.role == "callee" and part.party == "outside" and part.name is None and part.number is None


def _direction(parts: Sequence[Part], first: Part) -> str:
    """Return the direction of the call: by its first party, then by those that were called."""
    outside = first.from_outside
    if outside is None:
        outside = next((one.from_outside for one in parts if one.from_outside is not None), None)
    if outside or (first.role == "caller" and first.party == "outside"):
        return "inbound"
    called = [one for one in parts if one.role == "callee"]
    if any(one.party == "outside" for one in called):
        return "outbound"
    return "unknown" if outside is None else "internal"


def _outcome(
    parts: Sequence[Part], first: Part, persons: Sequence[Part], services: Sequence[Part], rung: Sequence[Part]
) -> str:
    """Return how the call ended for the caller: the first that fits."""
    if persons:
        return "answered"
    if any(one.party == "voicemail" and one.answered for one in services):
        return "voicemail"
    if any(one.party in TAKES and one.answered for one in services):
        return "abandoned"
    if any(one.answered for one in parts if one.role != "callee" or one.party not in _PERSONS):
        return "machine"
    if first.role == "caller" and first.outcome not in {"unknown", "answered"}:
        return first.outcome
    tried = [one for one in rung if not one.elsewhere and one.outcome != "unknown"]
    return tried[-1].outcome if tried else "unknown"


def _talk(persons: Sequence[Part]) -> int | None:
    """Return the seconds in which at least one person talked, or None if it is not told."""
    spans = [span for one in persons if (span := _span(one)) is not None]
    if not spans:
        return None
    spans.sort()
    total, until = 0, spans[0][0]
    for since, end in spans:
        total += max(0, end - max(since, until))
        until = max(until, end)
    return total // _SECOND


def _span(part: Part) -> tuple[int, int] | None:
    """Return when a person talked; a told length is believed where the times contradict it."""
    told = None if part.talk is None else part.talk * _SECOND
    since = part.answer
    if since is None:
        since = part.start if told is not None else None
    if since is None:
        return None
    by_times = None if part.end is None or part.answer is None else part.end - part.answer
    if told is None:
        return None if by_times is None or by_times < 0 else (since, since + by_times)
    if by_times is not None and abs(by_times - told) < _TOLERANCE:
        return since, since + by_times
    return since, since + told


def _is_told(parts: Sequence[Part]) -> bool:
    """Return whether the provider tells that no person talked."""
    return _network_answered(parts) is not None


def _queue_wait(queue: Part | None, parts: Sequence[Part], persons: Sequence[Part]) -> int | None:
    """Return the seconds from entering the first queue to the answer of a person after it, or to leaving the queues.

    None if it is not told.
    """
    if queue is None or queue.party != "queue":
        return None
    since = queue.start if queue.answer is None else queue.answer
    if since is None or any(one.answer is None for one in persons):
        return None
    answers = [one.answer for one in persons if one.answer is not None and one.answer >= since]
    ends = [one.end for one in parts if one.party == "queue" and one.end is not None]
    until = min(answers, default=None) or max(ends, default=None)
    if until is None or until < since:
        return None
    return (until - since) // _SECOND


def _network_answered(parts: Sequence[Part]) -> bool | None:
    told = [one.answered for one in parts if one.role != "caller" or one.answered is not None]
    if True in told:
        return True
    return None if None in told or not told else False


def _costs(parts: Sequence[Part]) -> dict[str | None, str | None]:
    """Return the exact sum of the costs by currency; None where one of them is not a number."""
    costs: dict[str | None, list[str]] = {}
    for one in parts:
        if one.cost is not None:
            costs.setdefault(one.currency, []).append(one.cost)
    return {currency: exact_sum(*some) for currency, some in costs.items()}


@traceable()
def exact_sum(*amounts: str) -> str | None:
    """Return the exact sum of decimal numbers; None if one of the values is not a number."""
    try:
        return format(sum((Decimal(read_decimal(one)) for one in amounts), Decimal(0)), "f")
    except ValueError:  # what does not fit its column passes as it came
        return None


def _why(parts: Sequence[Part]) -> str:
    """Return why the call may be incomplete; empty if it is complete as far as its legs tell."""
    if any(one.in_progress for one in parts):
        return "open"
    if not all(_is_there(link, parts) for one in parts for link in one.expected):
        return "missing_leg"
    if parts[0].came or any(one.handed and not _is_followed(one, parts) for one in parts):
        return "missing_leg"
    if any(one.start is None or (one.end is not None and one.end < one.start) for one in parts):
        return "spoiled_times"
    return ""


def _is_there(link: str, parts: Sequence[Part]) -> bool:
    """Return whether a part has the name that another expects."""
    return any(link in one.names for one in parts)


def _is_followed(part: Part, parts: Sequence[Part]) -> bool:
    """Return whether another party had the call after the one that passed it on."""
    end, start = part.end, part.start
    if end is None or start is None:
        return True
    return any(
        one.role != "caller"
        and one.id != part.id
        and (one.start is None or one.start >= start)
        and (one.end is None or one.end >= end)
        for one in parts
    )


def wait(call: FoldedCall) -> int | None:
    """Return the seconds from the start to a person's answer, or to the end if nobody answered."""
    until = call.answer if call.answered_by is not None else call.end
    if call.start is None or until is None or until < call.start:
        return None
    return (until - call.start) // _SECOND


def is_short(call: FoldedCall) -> bool | None:
    """Return whether the call was answered and had less than six seconds of talk."""
    if call.outcome != "answered" or call.talk is None:
        return None if call.outcome == "answered" else False
    return call.talk < SHORT


def sum_of(parts: Sequence[Part], told: str) -> int | None:
    """Return the sum of a number that some parts tell, or None if none does."""
    found: list[Any] = [value for one in parts if (value := getattr(one, told)) is not None]
    return sum(found) if found else None
