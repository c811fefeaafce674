"""Builds a call from outside step by step: who talks to the caller, and what happens next."""

from __future__ import annotations

import random
from typing import Any

from cdrctl.sandbox.exchange.clock import SECOND
from cdrctl.sandbox.exchange.draft import Draft, ends_of
from cdrctl.sandbox.exchange.parties import Call, Leg, Party

_FORWARDS = {"Unconditional": "CallForwardAlways", "NoAnswer": "CallForwardNoAnswer"}


class Tale:
    """A call from outside whose steps follow each other; `now` is the instant of the next step, in Unix milliseconds.

    Legs are named by their place in the call, since later steps change them.
    """

    def __init__(self, rng: random.Random, call_id: str, start: int, to: Party) -> None:
        self.draft = Draft(rng, call_id, start, 0)
        self.rng = rng
        self.now = start
        self.caller = self.draft.outsider()
        self.transfers: list[str] = []
        self.sessions = 0
        self.answered = False
        self.greeted: int | None = None
        ends = ends_of(self.caller, to.number, to.name)
        trunk = to.site.trunk if to.site else ""
        self.outer = {"route": "inbound", "trunk": trunk}
        self.draft.add(self.caller, "originating", (start, None, start), ends, dialed=to.number, **self.outer)
        self.to = to

    def leg(self, place: int) -> Leg:
        """Return a leg as it is so far."""
        return self.draft.legs[place]

    def change(self, place: int, **changes: Any) -> None:
        """Change the values of a leg."""
        leg = self.draft.legs[place]
        self.draft.legs[place] = Leg(**({name: getattr(leg, name) for name in Leg.__slots__} | changes))

    def wait(self, low: float, high: float) -> int:
        """Let a random time of seconds pass, and return the new time."""
        self.now += self.draft.pause(low, high)
        return self.now

    def _answers(self, place: int, *, person: bool) -> None:
        self.greeted = self.now if self.greeted is None else self.greeted
        self.answered = self.answered or person
        self.change(0, peer=self.leg(place).id)

    def ring(self, party: Party, *, low: float = 2, high: float = 14, taken: bool = True, **marks: Any) -> int:
        """Ring a person until he answers, or until the ringing ends; return the place of the leg."""
        first = len(self.draft.legs) == 1
        shown = (party.number, party.name) if first else (party.extension or party.number, party.name)
        caller = (self.leg(0).from_number, self.leg(0).from_name)
        begun = self.now + (self.rng.randrange(40, 600) if first else 0)
        self.now = begun
        until = self.wait(low, high)
        given = {"peer": self.leg(0).id, **(self.outer if first else {}), **marks}
        span = (begun, until if taken else None, until)
        self.draft.add(party, "terminating", span, (caller, shown), cause="normal" if taken else "no_answer", **given)
        place = len(self.draft.legs) - 1
        if taken:
            self._answers(place, person=True)
        return place

    def serve(self, party: Party, **marks: Any) -> int:
        """Let a queue or a box answer the caller; return the place of the leg."""
        first = len(self.draft.legs) == 1
        begun, answer = self.now, self.wait(0.2, 0.9)
        caller = (self.leg(0).from_number, self.leg(0).from_name)
        shown = (party.number if first else party.extension, party.name)
        given = {"peer": self.leg(0).id, **(self.outer if first else {}), **marks}
        if party.kind == "queue":
            given["queue"] = party
        self.draft.add(party, "terminating", (begun, answer, answer), (caller, shown), **given)
        place = len(self.draft.legs) - 1
        self._answers(place, person=False)
        return place

    def leave(self, place: int, **changes: Any) -> None:
        """End a leg now."""
        self.change(place, **{"end": self.now, **changes})

    def agent(self, queue: int, party: Party, **ringing: Any) -> int:
        """Ring an agent of a queue; return the place of the leg."""
        service = self.leg(queue)
        marks: dict[str, Any] = {"related": service.id, "redirected_by": service.party, "redirect_reason": "CallQueue"}
        return self.ring(party, queue=service.party, **marks, **ringing)

    def blind(self, place: int, target: Party, **ringing: Any) -> int:
        """Transfer the caller from a person to another without asking; return the place of the new leg."""
        first = self.hand_over(place)
        self.now += self.rng.randrange(500, 1500)
        marks: dict[str, Any] = {"related": first.id, "redirected_by": first.party, "redirect_reason": "Unconditional"}
        marks["transfer"] = "blind"
        if target.kind == "queue":
            return self.serve(target, **marks)
        if target.kind == "outside":
            return self.divert(place, target, "Unconditional", transfer="blind")
        return self.ring(target, session=first.session, **marks, **ringing)

    def hand_over(self, place: int) -> Leg:
        """End the leg of a person who transfers the caller blindly, and return it."""
        self.transfers.append("blind")
        self.leave(place, cause="blind_transfer", released_by="local", transfer="blind", transfer_time=self.now)
        return self.leg(place)

    def consult(self, place: int, target: Party) -> tuple[int, int]:
        """Let a person call another while the caller is on hold; return the places of the legs of both."""
        self.sessions += 1
        first, session = self.leg(place), self.sessions
        ends = ends_of(first.party, target.extension, target.name)
        begun, answer = self.wait(0.5, 1.5), self.wait(2, 14)
        asking = self.draft.next_id()
        span = (begun, answer, answer)
        both: dict[str, Any] = {"related": first.id, "session": session}
        self.draft.add(
            first.party,
            "originating",
            span,
            ends,
            dialed=target.extension,
            peer=self.draft.next_id(1),
            released_by="local",
            **both,
        )
        self.draft.add(target, "terminating", span, ends, peer=asking, **both)
        return len(self.draft.legs) - 2, len(self.draft.legs) - 1

    def hold(self, place: int, since: int) -> None:
        """Count the time since an instant as hold of a leg."""
        self.change(place, hold_seconds=self.leg(place).hold_seconds + (self.now - since) // SECOND)

    def consulted(self, place: int, target: Party) -> int:
        """Transfer the caller from a person to another after they talked; return the place of the new leg."""
        begun = self.now
        asking, second = self.consult(place, target)
        self.wait(4, 40)
        self.hold(place, begun)
        first = self.leg(place)
        marks = {"cause": "consulted_transfer", "transfer": "consulted"}
        self.leave(place, released_by="local", transfer_time=begun, transfer_to=self.leg(asking).id, **marks)
        self.leave(asking, transfer_time=self.now, transfer_to=first.id, **marks)
        self.change(second, transfer="consulted", redirected_by=first.party, redirect_reason="Unconditional")
        self.change(0, peer=self.leg(second).id)
        self.transfers.append("consulted")
        return second

    def retrieve(self, place: int, party: Party, slot: str) -> int:
        """Let a person dial the slot of a parked caller and get him; return the place of the leg."""
        self.sessions += 1
        begun, answer = self.now, self.wait(0.2, 0.6)
        self.draft.add(
            party,
            "originating",
            (begun, answer, answer),
            ends_of(party, slot, ""),
            dialed=slot,
            peer=self.leg(0).id,
            related=self.leg(place).id,
            session=self.sessions,
            retrieves=True,
            reason="CallParkRetrieve",
        )
        self.change(0, peer=self.leg(-1).id)
        return len(self.draft.legs) - 1

    def divert(
        self, place: int, target: Party, why: str, *, taken: bool = True, transfer: str = "", ring: float = 0
    ) -> int:
        """Send the caller from a person's leg to a number outside; return the place of the outer leg."""
        first = self.leg(place)
        begun = self.now
        until = self.wait(4 + ring, 16 + ring)
        caller = (self.leg(0).from_number, self.leg(0).from_name)
        route = "national" if target.number.startswith("+1") else "international"
        shared: dict[str, Any] = {
            "related": first.id,
            "redirected_by": first.party,
            "redirect_reason": why,
            "route": route,
            "country": "" if route == "national" else "GB",
            "trunk": first.party.site.trunk if first.party.site else "",
            "transfer": transfer,
            "cause": "normal" if taken else "no_answer",
        }
        ends = (caller, (target.number, target.name))
        span = (begun, until if taken else None, until)
        reason = "" if transfer else _FORWARDS[why]
        outer = self.draft.next_id(1)
        self.draft.add(
            first.party,
            "originating",
            span,
            ends,
            dialed=target.number,
            peer=outer,
            diverts=True,
            reason=reason,
            **shared,
        )
        self.draft.add(target, "terminating", span, ends, peer=self.leg(0).id, **shared)
        if taken:
            self._answers(len(self.draft.legs) - 1, person=True)
        return len(self.draft.legs) - 1

    def close(self, *places: int, by_caller: bool | None = None) -> None:
        """End the call now: the caller's leg and the legs at these places."""
        left = self.rng.random() < 0.5 if by_caller is None else by_caller
        self.leave(0, answer=self.greeted, released_by="local" if left else "remote")
        for place in places:
            self.leave(place, released_by="remote" if left else "local")
            leg = self.leg(place)
            if leg.party.kind == "outside":  # the leg before it is the one that the switch placed
                self.leave(place - 1, answer=leg.answer, released_by=leg.released_by)

    def told(self, kind: str, story: str, outcome: str = "answered") -> Call:
        """Return the call."""
        if outcome != "answered" and self.greeted is None:
            self.change(0, cause=outcome)
        elif outcome == "abandoned":
            self.change(0, cause="abandoned", released_by="local")
        made = self.draft.outcome_of(kind, outcome)
        values = {name: getattr(made, name) for name in Call.__slots__}
        return Call(**(values | {"story": story, "transfers": tuple(self.transfers)}))
