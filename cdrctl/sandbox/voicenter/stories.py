"""The records of calls of the harder exchange.

The documents tell of queues, transfers, forwarding and boxes. How parking, conferences and a queue that overflows are
recorded they do not tell; these are guesses: a parked caller comes again under another id, a consultation is the first
leg of an attended one, and each queue has a record under the id of the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cdrctl.sandbox.exchange.clock import SECOND
from cdrctl.sandbox.exchange.parties import SITES, Call, Leg
from cdrctl.sandbox.voicenter.call_types import CONSULTED, FORWARDED, INCOMING, QUEUED, TRANSFERRED, VOICE_MAIL
from cdrctl.sandbox.voicenter.cdr import Cdr
from cdrctl.sandbox.voicenter.numbers import draw_of, international, make_call_id, national, sip_code


@dataclass(slots=True)
class _Made:
    """The records of a call so far; each after the first names the first, or with `chained` the one before."""

    call: Call
    chained: bool
    parked: int
    found: list[Cdr] = field(default_factory=list)

    def add(self, kind: int, leg: Leg, *legs: Leg, own: bool = True, **values: Any) -> None:
        """Add a record of the legs."""
        call, before = self.call, self.found
        user = leg.party if leg.party.is_user else leg.redirected_by
        given: dict[str, Any] = {
            "id": make_call_id(call.id, len(before), leg.start) if own or not before else before[0].id,
            "type": kind,
            "start": leg.start,
            "end": leg.end,
            "status": "ANSWER" if leg.answer is not None else "NOANSWER",
            "caller": national(call.from_number),
            "target": international(leg.party.number) if leg.party.kind == "outside" else sip_code(user),
            "called": leg.party if leg.party.is_user and leg.answer is not None else None,
            "ring": leg.ring_seconds,
            "talk": leg.talk_seconds,
            "user": user if user is not None and user.is_user else None,
            "site": leg.party.site or SITES[0],
            "original": before[-1 if self.chained else 0].id if own and before else None,
            "did": "" if before else national(call.to_number),
            "late": max(one.late for one in (leg, *legs)),
            "lost": any(one.lost for one in (leg, *legs)),
            "draw": draw_of(call.id),
        }
        self.found.append(Cdr(**(given | values)))


def cdrs_of_story(call: Call, *, chained: bool, transfers: bool) -> list[Cdr]:
    """Return the records of a call from outside; `chained` is the switch `original`, `transfers` is `parked`."""
    made = _Made(call, chained, TRANSFERRED if transfers else INCOMING)
    legs = call.legs
    for place, leg in enumerate(legs[1:], 1):
        if leg.party.kind == "queue":
            _add_queue(made, leg)
        elif leg.voicemail:
            made.add(VOICE_MAIL, leg, status="VOICEMAIL", ring=0)
        elif leg.direction == "originating" and not leg.retrieves and not leg.diverts:
            _add_consultation(made, leg, legs[place + 1])
        elif leg.party.kind == "outside":
            kind = TRANSFERRED if leg.transfer else FORWARDED
            made.add(kind, leg, legs[place - 1], calling=leg.redirected_by, called=None)
        elif leg.retrieves or (leg.direction == "terminating" and not leg.queue and not _is_consulted(leg)):
            _add_person(made, leg)
    return [one for one in made.found if not one.lost]


def _is_consulted(leg: Leg) -> bool:
    """Return whether a leg is that of a person who was consulted."""
    return leg.apart and not leg.retrieves


def _add_person(made: _Made, leg: Leg) -> None:
    """Add the record of a person who was rung, or who got a parked caller."""
    kind = made.parked if leg.reason.startswith("CallPark") else TRANSFERRED if made.found else INCOMING
    if leg.cause != "forwarded":
        made.add(kind, leg)
    elif leg.forwarded is None:
        made.add(kind, leg, status="NOANSWER", called=None)
    else:  # the service counts the talk of the target
        answer, end = leg.forwarded
        rang = (answer - leg.start) // SECOND
        made.add(kind, leg, status="ANSWER", called=None, end=end, ring=rang, talk=(end - answer) // SECOND)


def _add_queue(made: _Made, queue: Leg) -> None:
    """Add the record of a queue and of the agent who answered, if one did."""
    call = made.call
    won = next(
        (leg for leg in call.legs if leg.related == queue.id and leg.queue and leg.party.is_user and leg.answer), None
    )
    answer = queue.answer or queue.start
    values: dict[str, Any] = {"queue": queue.party.name, "site": SITES[0]}
    if won is None:
        left = queue.end == call.end
        values |= {"status": "ABANDONE" if left else "TIMEOUT", "called": None, "user": None, "ring": 0, "talk": 0}
        values["waited"] = (queue.end - answer) // SECOND
        made.add(QUEUED, queue, own=bool(queue.transfer), **values)
        return
    reached = won.answer or won.start
    values |= {"waited": (reached - answer) // SECOND, "ring": won.ring_seconds, "talk": won.talk_seconds}
    values |= {"called": won.party, "user": won.party, "target": sip_code(won.party), "end": won.end}
    made.add(QUEUED, queue, won, own=bool(queue.transfer), **values)


def _add_consultation(made: _Made, asking: Leg, second: Leg) -> None:
    """Add the records of a consultation, and of the transfer after it if there was one."""
    one, two = CONSULTED
    inner: dict[str, Any] = {
        "caller": asking.from_number,
        "calling": asking.party,
        "called": second.party,
        "target": sip_code(second.party),
    }
    times: dict[str, Any] = {
        "start": asking.start,
        "end": asking.end,
        "ring": asking.ring_seconds,
        "talk": asking.talk_seconds,
    }
    made.add(one, asking, user=second.party, **inner, **times)
    if asking.transfer:
        last = made.found[-1]
        talk = (second.end - asking.end) // SECOND
        made.add(two, second, start=asking.end, ring=0, talk=talk, id=last.id, original=last.original)
