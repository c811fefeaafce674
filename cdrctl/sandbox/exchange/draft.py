"""A call under construction."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from cdrctl.sandbox.exchange.clock import HOUR, SECOND
from cdrctl.sandbox.exchange.parties import CALLERS, PEOPLE, Call, Direction, Leg, Party

_LONG_CALL_SHARE = 0.012


class Draft:
    """A call under construction: its legs in the order in which they were added."""

    def __init__(self, rng: random.Random, call_id: str, start: int, longest: int) -> None:
        self.rng = rng
        self.call_id = call_id
        self.start = start
        self.longest = longest
        self.legs: list[Leg] = []
        self.session = 0

    def next_id(self, ahead: int = 0) -> str:
        """Return the id of the next leg."""
        return f"{self.call_id}.{len(self.legs) + 1 + ahead}"

    def add(
        self,
        party: Party,
        direction: Direction,
        span: tuple[int, int | None, int],
        ends: tuple[tuple[str, str], tuple[str, str]],
        **rest: Any,
    ) -> Leg:
        """Add a leg."""
        (from_number, from_name), (to_number, to_name) = ends
        leg = Leg(
            self.next_id(),
            self.call_id,
            party,
            direction,
            *span,
            from_number,
            from_name,
            to_number,
            to_name,
            session=rest.pop("session", self.session),
            **rest,
        )
        self.legs.append(leg)
        return leg

    def pause(self, low: float, high: float) -> int:
        """Draw a pause in milliseconds between two numbers of seconds."""
        return self.rng.randrange(int(low * SECOND), int(high * SECOND) + 1)

    def talk(self) -> int:
        """Draw a talk time in milliseconds; occasionally more than an hour."""
        if self.longest:
            return self.longest + self.pause(0, 600)
        if self.rng.random() < _LONG_CALL_SHARE:
            return self.pause(3_700, 9_000)
        return min(int(self.rng.lognormvariate(4.7, 0.9) * SECOND) + 1_500, 3 * HOUR)

    def outsider(self) -> Party:
        """Draw an outside party: the same number always has the same name."""
        if self.rng.random() < 0.12:
            n = self.rng.randrange(200, 400)
            number = f"+441632960{n}"
        else:
            n = self.rng.randrange(150, 200)
            number = f"+1202555{n:04d}"
        return Party("outside", "", CALLERS[n % len(CALLERS)], number)

    def inside(self, *, without: Sequence[Party] = ()) -> Party:
        """Draw a person or the lobby telephone."""
        while (party := self.rng.choice(PEOPLE)) in without:
            pass
        return party

    def outcome_of(self, kind: str, outcome: str) -> Call:
        """Return the call with the legs so far."""
        first = self.legs[0]
        return Call(
            self.call_id,
            self.start,
            max(leg.end for leg in self.legs),
            kind,
            outcome,
            first.from_number,
            first.to_number,
            tuple(self.legs),
        )


def ends_of(caller: Party, number: str, name: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the number and the name of both ends of a leg, as a telephone shows them."""
    shown = caller.number if caller.kind == "outside" else caller.extension
    return (shown, caller.name), (number, name)


def two_legs(
    draft: Draft,
    caller: Party,
    callee: Party,
    times: tuple[int | None, int],
    **both: Any,
) -> tuple[Leg, Leg]:
    """Add the legs of a simple call from caller to callee; `times` are answer and end."""
    answer, end = times
    outward, inward = callee.kind == "outside", caller.kind == "outside"
    number = callee.number if outward or inward else callee.extension
    ends = (outward_ends if outward else ends_of)(caller, number, callee.name)
    alert = draft.start + draft.rng.randrange(40, 600)
    first, second = draft.next_id(), draft.next_id(1)
    caller_left = both.pop("caller_left", draft.rng.random() < 0.5)
    cause = both.pop("cause", "normal")
    site = (caller if outward else callee).site
    trunk = site.trunk if site and (outward or inward) else ""
    route = both.pop("route", "inbound" if inward else "internal")
    a = draft.add(
        caller,
        "originating",
        (draft.start, answer, end),
        ends,
        dialed=both.pop("dialed", number),
        cause=cause,
        released_by="local" if caller_left else "remote",
        route=route,
        trunk=trunk,
        peer=second,
        **both,
    )
    b = draft.add(
        callee,
        "terminating",
        (min(alert, end if answer is None else answer), answer, end),
        ends,
        cause=cause,
        released_by="remote" if caller_left else "local",
        route=route,
        trunk=trunk,
        peer=first,
        **both,
    )
    return a, b


def outward_ends(caller: Party, number: str, name: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return both ends of a leg to an outside party, which sees the site's number."""
    site = caller.site
    shown = caller.number if caller.number.startswith("+") or site is None else site.main_number
    return (shown, caller.name), (number, name)


def answered_call(draft: Draft, caller: Party, callee: Party, kind: str, **both: Any) -> Call:
    """Return a call of two legs that was answered."""
    answer = draft.start + draft.pause(1.5, 24)
    end = answer + draft.talk()
    both.setdefault("hold_seconds", draft.rng.choice((0, 0, 0, 0, 7, 31)))
    both.setdefault("recorded", draft.rng.random() < 0.15)
    two_legs(draft, caller, callee, (answer, end), **both)
    return draft.outcome_of(kind, "answered")


def unanswered_call(draft: Draft, caller: Party, callee: Party, kind: str, cause: str, **both: Any) -> Call:
    """Return a call of two legs that was not answered."""
    waits = {
        "busy": (0.3, 1.2),
        "rejected": (0.001, 6),
        "unallocated": (0.2, 2.5),
        "unavailable": (0.002, 0.4),
        "cancelled": (2, 25),
        "no_answer": (18, 45),
    }
    end = draft.start + draft.pause(*waits[cause])
    left = cause in {"cancelled", "busy"} and draft.rng.random() < 0.9
    two_legs(draft, caller, callee, (None, end), cause=cause, caller_left=left, **both)
    outcome = "failed" if cause in {"unallocated", "unavailable"} else cause
    return draft.outcome_of(kind, outcome)
