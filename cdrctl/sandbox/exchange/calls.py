"""The kinds of calls of the imitated exchange, and the legs of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cdrctl.sandbox.exchange.clock import SECOND, milliseconds
from cdrctl.sandbox.exchange.draft import Draft, answered_call, ends_of, outward_ends, two_legs, unanswered_call
from cdrctl.sandbox.exchange.parties import (
    AGENTS,
    ATTENDANT,
    HUNT_GROUP,
    HUNTED,
    PEOPLE,
    QUEUE,
    VOICEMAIL,
    Call,
    Leg,
    Party,
)


def _internal_call(draft: Draft) -> Call:
    caller = draft.inside()
    callee = draft.inside(without=(caller,))
    roll = draft.rng.random()
    if roll < 0.66:  # shares of what becomes of an internal call
        return answered_call(draft, caller, callee, "internal")
    if roll < 0.82:
        return _voicemail_call(draft, caller, callee, "internal")
    return unanswered_call(
        draft, caller, callee, "internal", draft.rng.choice(("busy", "cancelled", "no_answer", "rejected"))
    )


def inbound_call(draft: Draft) -> Call:
    """Return a call from outside to a person."""
    caller, callee = draft.outsider(), draft.inside(without=[p for p in PEOPLE if p.number[0] != "+"])
    roll = draft.rng.random()
    if roll < 0.62 or draft.longest:  # shares of what becomes of an inbound call
        return answered_call(draft, caller, callee, "inbound")
    if roll < 0.82:
        return _voicemail_call(draft, caller, callee, "inbound")
    causes = ("cancelled", "no_answer", "cancelled", "rejected", "busy", "unavailable")
    return unanswered_call(draft, caller, callee, "inbound", draft.rng.choice(causes))


def _outbound_call(draft: Draft) -> Call:
    caller = draft.inside()
    callee = draft.outsider()
    route, country, dialed = "national", "", callee.number.removeprefix("+")
    if draft.rng.random() < 0.08:
        callee = Party("outside", "", "Parcel service", "+18005550199")
        route, dialed = "tollfree", "18005550199"
    home = "+44" if caller.site and caller.site.zone == "Europe/London" else "+1"
    if route == "national" and not callee.number.startswith(home):
        route = "international"
        country = "GB" if home == "+1" else "US"
        dialed = ("011" if home == "+1" else "00") + dialed
    both = {"route": route, "country": country, "dialed": dialed}
    roll = draft.rng.random()
    if roll < 0.7:
        return answered_call(draft, caller, callee, "outbound", **both)
    causes = ("no_answer", "no_answer", "busy", "cancelled", "unallocated", "rejected")
    return unanswered_call(draft, caller, callee, "outbound", draft.rng.choice(causes), **both)


def _voicemail_call(draft: Draft, caller: Party, callee: Party, kind: str) -> Call:
    """Return a call that the callee does not answer and his voicemail box does."""
    inward = caller.kind == "outside"
    rings_until = draft.start + draft.pause(16, 22)
    box_answers = rings_until + draft.rng.randrange(150, 700)
    end = box_answers + draft.pause(3, 70)
    ends = ends_of(caller, callee.number if inward else callee.extension, callee.name)
    route = "inbound" if inward else "internal"
    trunk = callee.site.trunk if inward and callee.site else ""
    box = draft.next_id(2)
    shared = {"route": route, "trunk": trunk}
    a = draft.add(
        caller,
        "originating",
        (draft.start, box_answers, end),
        ends,
        dialed=ends[1][0],
        released_by="local",
        peer=box,
        **shared,
    )
    b = draft.add(
        callee,
        "terminating",
        (draft.start + draft.rng.randrange(40, 600), None, rings_until),
        ends,
        cause="no_answer",
        released_by="remote",
        peer=a.id,
        **shared,
    )
    draft.add(
        VOICEMAIL,
        "terminating",
        (rings_until, box_answers, end),
        (ends[0], (VOICEMAIL.extension, VOICEMAIL.name)),
        peer=a.id,
        related=b.id,
        redirected_by=callee,
        redirect_reason="NoAnswer",
    )
    return draft.outcome_of(kind, "voicemail")


def _voicemail_retrieval(draft: Draft) -> Call:
    """Return a call of a person to his own voicemail box."""
    caller = draft.inside()
    answer = draft.start + draft.rng.randrange(200, 900)
    end = answer + draft.pause(5, 120)
    two_legs(
        draft,
        caller,
        VOICEMAIL,
        (answer, end),
        route="service",
        dialed="*98",
        caller_left=True,
    )
    return draft.outcome_of("voicemail_retrieval", "voicemail")


def _ring_members(
    draft: Draft, group: Party, asked: Sequence[Party], reason: str, waiting_from: int
) -> tuple[int | None, Leg | None]:
    """Ring the members of a queue or hunt group; return when one answered, and the unfinished leg of that member."""
    rng = draft.rng
    service = draft.legs[-1]
    together = rng.random() < 0.55
    marks: dict[str, Any] = {
        "route": "internal",
        "peer": draft.legs[0].id,
        "related": service.id,
        "redirected_by": group,
        "redirect_reason": reason,
        "queue": group if group.kind == "queue" else None,
        "hunt_group": group if group.kind == "hunt_group" else None,
    }
    caller = (draft.legs[0].from_number, draft.legs[0].from_name)

    def ring(member: Party, span: tuple[int, int | None, int], cause: str, left: str) -> Leg:
        ends = (caller, (member.extension, member.name))
        return draft.add(member, "terminating", span, ends, cause=cause, released_by=left, **marks)

    taken = rng.random() < 0.86
    at = waiting_from
    if together:
        until = at + draft.pause(2, 20)
        winner = rng.randrange(len(asked)) if taken else -1
        won: Leg | None = None
        for n, member in enumerate(asked):
            if n == winner:
                won = ring(member, (at, until, until), "normal", "remote")
            else:
                ring(member, (at, None, until), "answered_elsewhere" if taken else "no_answer", "remote")
        return (until, won) if won else (None, None)
    for n, member in enumerate(asked):
        last = n == len(asked) - 1
        if taken and (last or rng.random() < 0.5):
            answer = at + draft.pause(1.5, 14)
            return answer, ring(member, (at, answer, answer), "normal", "remote")
        until = at + draft.pause(14, 16)
        ring(member, (at, None, until), "no_answer", "remote")
        at = until + rng.randrange(20, 200)
    return None, None


def _group_call(draft: Draft, group: Party, members: Sequence[Party], kind: str, reason: str) -> Call:
    """Return an outside call to a queue or hunt group, which rings its members."""
    rng = draft.rng
    caller = draft.outsider()
    ends = ends_of(caller, group.number, group.name)
    greeted = draft.start + draft.pause(0.2, 0.9)
    service_first = group.kind == "queue"
    a = draft.add(caller, "originating", (draft.start, greeted, greeted), ends, dialed=group.number, route="inbound")
    marks = {"queue": group} if service_first else {"hunt_group": group}
    service = draft.add(
        group, "terminating", (draft.start, greeted, greeted), ends, route="inbound", peer=a.id, **marks
    )
    asked = rng.sample(members, k=rng.randrange(2, len(members) + 1))
    if service_first and rng.random() < 0.14:
        answer, won, end = None, None, greeted + draft.pause(4, 180)
    else:
        answer, won = _ring_members(draft, group, asked, reason, greeted + draft.pause(0.5, 30 if service_first else 1))
        end = max(leg.end for leg in draft.legs) + draft.pause(0.1, 8) if answer is None else answer + draft.talk()
    gone = answer is None
    final = "abandoned" if gone else "normal"
    draft.legs[0] = _replaced(a, end=end, peer=won.id if won else service.id, cause=final, released_by="local")
    draft.legs[1] = _replaced(service, end=end, cause=final, released_by="remote")
    if won:
        n = draft.legs.index(won)
        draft.legs[n] = _replaced(won, end=end, recorded=rng.random() < 0.4)
    return draft.outcome_of(kind, "abandoned" if gone else "answered")


def _queue_call(draft: Draft) -> Call:
    return _group_call(draft, QUEUE, AGENTS, "queue", "CallQueue")


def _hunt_group_call(draft: Draft) -> Call:
    return _group_call(draft, HUNT_GROUP, HUNTED, "hunt_group", "HuntGroup")


def _attendant_call(draft: Draft) -> Call:
    """Return an outside call to the auto attendant: the caller presses a key and reaches a person, or gives up."""
    caller = draft.outsider()
    greeted = draft.start + draft.rng.randrange(200, 800)
    chosen = greeted + draft.pause(3, 25)
    ends = ends_of(caller, ATTENDANT.number, ATTENDANT.name)
    if draft.rng.random() < 0.2:
        span = (draft.start, greeted, chosen)
        a = draft.add(caller, "originating", span, ends, dialed=ATTENDANT.number, released_by="local", route="inbound")
        draft.add(ATTENDANT, "terminating", span, ends, route="inbound", peer=a.id)
        return draft.outcome_of("attendant", "abandoned")
    callee = draft.inside()
    answer = chosen + draft.pause(2, 15)
    end = answer + draft.talk()
    a = draft.add(
        caller,
        "originating",
        (draft.start, greeted, end),
        ends,
        dialed=ATTENDANT.number,
        released_by="local",
        route="inbound",
        peer=draft.next_id(2),
    )
    menu = draft.add(
        ATTENDANT,
        "terminating",
        (draft.start, greeted, chosen),
        ends,
        route="inbound",
        released_by="local",
        peer=a.id,
        key_pressed=str(draft.rng.randrange(1, 10)),
    )
    draft.add(
        callee,
        "terminating",
        (chosen, answer, end),
        (ends[0], (callee.extension, callee.name)),
        peer=a.id,
        related=menu.id,
        redirected_by=ATTENDANT,
        redirect_reason="Deflection",
    )
    return draft.outcome_of("attendant", "answered")


@dataclass(frozen=True, slots=True)
class _Transfer:
    """The parties and the times of a transfer, in Unix milliseconds.

    Args:
        caller: The outside party.
        first: The person who answers and transfers the call.
        second: The person to whom it is transferred.
        consulted: The first person talks to the second before the transfer.
        answered: When the first person answers.
        started: When the first person starts the transfer.
        rings: When the second person's phone starts to ring.
        second_answers: When the second person answers.
        completed: When the first person leaves the call.
        end: When the call ends.
    """

    caller: Party
    first: Party
    second: Party
    consulted: bool
    answered: int
    started: int
    rings: int
    second_answers: int
    completed: int
    end: int

    @property
    def kind(self) -> str:
        """`consulted` or `blind`."""
        return "consulted" if self.consulted else "blind"


def _draw_transfer(draft: Draft) -> _Transfer:
    """Return a random transfer of an inbound call."""
    caller = draft.outsider()
    first = draft.inside(without=[p for p in PEOPLE if p.number[0] != "+"])
    second = draft.inside(without=(first,))
    answered = draft.start + draft.pause(2, 15)
    started = answered + draft.pause(15, 120)
    consulted = draft.rng.random() < 0.5
    rings = started + draft.rng.randrange(500, 1500)
    second_answers = rings + draft.pause(2, 14)
    completed = second_answers + draft.pause(4, 40) if consulted else started
    end = max(completed, second_answers) + draft.talk()
    return _Transfer(caller, first, second, consulted, answered, started, rings, second_answers, completed, end)


def _transfer(draft: Draft) -> Call:
    """Return an outside call that a person answers and transfers to a colleague, blindly or after a consultation."""
    call = _draw_transfer(draft)
    a, b = _legs_before_transfer(draft, call)
    inner = ends_of(call.first if call.consulted else call.caller, call.second.extension, call.second.name)
    if call.consulted:
        draft.add(
            call.first,
            "originating",
            (call.rings, call.second_answers, call.completed),
            inner,
            dialed=call.second.extension,
            cause="consulted_transfer",
            released_by="local",
            peer=a.peer,
            related=b.id,
            transfer=call.kind,
            transfer_time=call.completed,
            session=1,
        )
    draft.add(
        call.second,
        "terminating",
        (call.rings, call.second_answers, call.end),
        inner,
        peer=draft.legs[-1].id if call.consulted else a.id,
        related=b.id,
        redirected_by=call.first,
        redirect_reason="Unconditional",
        transfer=call.kind,
        session=int(call.consulted),
    )
    return draft.outcome_of(f"{call.kind}_transfer", "answered")


def _legs_before_transfer(draft: Draft, call: _Transfer) -> tuple[Leg, Leg]:
    """Add the legs of the caller and of the first person, and return them."""
    ends = ends_of(call.caller, call.first.number, call.first.name)
    shared = {"route": "inbound", "trunk": call.first.site.trunk if call.first.site else ""}
    a = draft.add(
        call.caller,
        "originating",
        (draft.start, call.answered, call.end),
        ends,
        dialed=call.first.number,
        released_by="local",
        peer=draft.next_id(3 if call.consulted else 2),
        **shared,
    )
    b = draft.add(
        call.first,
        "terminating",
        (draft.start + draft.rng.randrange(40, 600), call.answered, call.completed),
        ends,
        cause=f"{call.kind}_transfer",
        released_by="local",
        peer=a.id,
        transfer=call.kind,
        transfer_time=call.started,
        hold_seconds=(call.completed - call.started) // SECOND,
        **shared,
    )
    return a, b


def _replaced(leg: Leg, **changes: Any) -> Leg:
    """Return a leg with other values of some fields."""
    values = {name: getattr(leg, name) for name in Leg.__slots__}
    return Leg(**(values | changes))


_KINDS: tuple[tuple[Callable[[Draft], Call], int], ...] = (
    (_internal_call, 24),
    (inbound_call, 24),
    (_outbound_call, 28),
    (_queue_call, 11),
    (_hunt_group_call, 3),
    (_attendant_call, 6),
    (_transfer, 4),
    (_voicemail_retrieval, 2),
)
DRAW = tuple(kind for kind, _ in _KINDS)
WEIGHTS = tuple(weight for _, weight in _KINDS)


def uniform(
    n: int,
    since: datetime,
    until: datetime,
    *,
    legs: int = 1,
    talk_seconds: float = 60,
    name: str = "uniform",
) -> list[Call]:
    """Return n answered calls that start at equal distances in `[since, until)`, for tests of exact volumes.

    Each call has `legs` legs of people that begin at the same instant, so every provider makes exactly `n * legs`
    records of them. `name` keeps the ids of several such lists apart.
    """
    lo, hi = milliseconds(since), milliseconds(until)
    calls = []
    for k in range(n):
        start = lo + (hi - lo) * k // n
        call_id = f"{name}-{k}"
        answer = start + 2 * SECOND
        end = answer + int(talk_seconds * SECOND)
        people = [PEOPLE[(k + j) % len(PEOPLE)] for j in range(legs)]
        far = Party("outside", "", "Acme, Inc", f"+1202555{150 + k % 50:04d}")
        ends = outward_ends(people[0], far.number, far.name)
        parts = [
            Leg(
                f"{call_id}.{j + 1}",
                call_id,
                party,
                "terminating" if j else "originating",
                start,
                answer,
                end,
                *ends[0],
                *ends[1],
                dialed="" if j else far.number,
                route="national",
            )
            for j, party in enumerate(people)
        ]
        calls.append(Call(call_id, start, end, "outbound", "answered", ends[0][0], far.number, tuple(parts)))
    return calls
