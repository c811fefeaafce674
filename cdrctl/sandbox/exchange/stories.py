"""Calls that are hard to join.

There are long and repeated transfers, parking, conferences, forwarding, queues that overflow, callbacks, and records
that come late or never.

A story is told from a random generator, an id and a start, and may make two calls, of which the second may begin later.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from cdrctl.sandbox.exchange.clock import HOUR, MINUTE
from cdrctl.sandbox.exchange.draft import Draft, answered_call, unanswered_call
from cdrctl.sandbox.exchange.parties import AGENTS, OVERFLOW, PEOPLE, QUEUE, VOICEMAIL, Call, Party
from cdrctl.sandbox.exchange.tale import Tale

LONGEST_STORY = 9 * HOUR
"""The longest call of a story, in milliseconds."""

Story = Callable[[random.Random, str, int], list[Call]]

_DIRECT = tuple(one for one in PEOPLE if one.number.startswith("+"))
_MOBILE = Party("outside", "", "Mobile of an employee", "+12025550188")
_ABROAD = Party("outside", "", "Partner abroad", "+441632960277")


def _people(rng: random.Random, count: int, *, among: Sequence[Party] = PEOPLE) -> list[Party]:
    """Draw people: the first has a public number, all are different."""
    first = rng.choice(_DIRECT)
    return [first, *rng.sample([one for one in among if one is not first], k=count - 1)]


def _after_hours(rng: random.Random, name: str, start: int) -> list[Call]:
    """A transfer hours after the call was answered."""
    first, second = _people(rng, 2)
    tale = Tale(rng, name, start, first)
    a = tale.ring(first)
    tale.wait(3600, 5 * 3600)
    b = tale.consulted(a, second) if rng.random() < 0.5 else tale.blind(a, second)
    tale.wait(60, 3000)
    tale.close(b)
    return [tale.told("inbound", "transfer after hours")]


def _chain(rng: random.Random, name: str, start: int) -> list[Call]:
    """Three transfers, the last back to the first person."""
    first, second, third = _people(rng, 3)
    tale = Tale(rng, name, start, first)
    at = tale.ring(first)
    for target in (second, third, first):
        tale.wait(15, 400)
        at = tale.consulted(at, target) if rng.random() < 0.5 else tale.blind(at, target)
    tale.wait(20, 300)
    tale.close(at)
    return [tale.told("inbound", "chain of transfers")]


def _parked(rng: random.Random, name: str, start: int) -> list[Call]:
    """A caller who is parked, and retrieved by a colleague."""
    first, second = _people(rng, 2)
    tale = Tale(rng, name, start, first)
    a = tale.ring(first)
    tale.wait(10, 200)
    tale.leave(a, cause="parked", released_by="local")
    tale.wait(8, 900)
    b = tale.retrieve(a, second, f"*88{7000 + rng.randrange(10)}")
    tale.wait(10, 600)
    tale.close(b)
    return [tale.told("inbound", "parked and retrieved")]


def _recalled(rng: random.Random, name: str, start: int) -> list[Call]:
    """A caller who is parked, and comes back to the person who parked him."""
    first = _people(rng, 1)[0]
    tale = Tale(rng, name, start, first)
    a = tale.ring(first)
    tale.wait(10, 200)
    tale.leave(a, cause="parked", released_by="local")
    tale.wait(45, 60)
    b = tale.ring(first, related=tale.leg(a).id, reason="CallPark")
    tale.wait(10, 300)
    tale.close(b)
    return [tale.told("inbound", "parked and returned")]


def _consulting(rng: random.Random, name: str, start: int) -> tuple[Tale, int, int, int, int]:
    """Tell how a person talks to a caller and then calls a colleague.

    Return the tale, when the consultation began, and the legs: of the person, of the person's call, of the colleague.
    """
    first, second = _people(rng, 2)
    tale = Tale(rng, name, start, first)
    a = tale.ring(first)
    tale.wait(20, 200)
    begun = tale.now
    asking, b = tale.consult(a, second)
    return tale, begun, a, asking, b


def _conference(rng: random.Random, name: str, start: int) -> list[Call]:
    """Two people who both talk to the caller; one may leave earlier."""
    tale, begun, a, asking, b = _consulting(rng, name, start)
    tale.wait(3, 30)
    tale.hold(a, begun)
    tale.wait(30, 900)
    if rng.random() < 0.5:
        tale.leave(asking)
        tale.leave(b, released_by="local")
        tale.wait(10, 200)
        tale.close(a)
    else:
        tale.close(a, asking, b)
    return [tale.told("inbound", "conference")]


def _refused(rng: random.Random, name: str, start: int) -> list[Call]:
    """A consultation after which the first person goes on with the caller."""
    tale, begun, a, asking, b = _consulting(rng, name, start)
    tale.wait(5, 60)
    tale.leave(asking)
    tale.leave(b)
    tale.hold(a, begun)
    tale.wait(10, 300)
    tale.close(a)
    return [tale.told("inbound", "consultation without a transfer")]


def _forwarded(rng: random.Random, name: str, start: int) -> list[Call]:
    """A call that is forwarded to a number outside, at once or because nobody answers; it may ring in vain."""
    first = _people(rng, 1)[0]
    tale = Tale(rng, name, start, first)
    always = rng.random() < 0.5
    a = tale.ring(first, low=0.02 if always else 14, high=0.06 if always else 18, taken=False)
    tale.change(a, cause="forwarded")
    taken = rng.random() < 0.75
    why = "Unconditional" if always else "NoAnswer"
    b = tale.divert(a, _MOBILE, why, taken=taken, ring=0 if taken else 20)
    if taken:
        tale.wait(10, 900)
    tale.close(b, by_caller=True if not taken else None)
    if taken:
        outer = tale.leg(b)
        tale.change(a, forwarded=(outer.answer, outer.end))
    return [tale.told("inbound", "forwarded outside", "answered" if taken else "no_answer")]


def _transferred_outside(rng: random.Random, name: str, start: int) -> list[Call]:
    """A transfer to a number outside."""
    first = _people(rng, 1)[0]
    tale = Tale(rng, name, start, first)
    a = tale.ring(first)
    tale.wait(15, 200)
    b = tale.blind(a, _ABROAD)
    tale.wait(20, 900)
    tale.close(b)
    return [tale.told("inbound", "transferred outside")]


def _overflow(rng: random.Random, name: str, start: int) -> list[Call]:
    """A queue that overflows into another, and may get the caller back; an agent answers, or nobody does."""
    tale = Tale(rng, name, start, QUEUE)
    at = tale.serve(QUEUE)
    hops = (OVERFLOW,) if rng.random() < 0.5 else (OVERFLOW, QUEUE)
    for queue in hops:
        tale.wait(1, 30)
        tale.agent(at, rng.choice(AGENTS), low=10, high=16, taken=False)
        tale.wait(5, 90)
        tale.leave(at)
        at = tale.serve(queue, related=tale.leg(at).id, reason="CallQueue")
    tale.wait(1, 60)
    story = "queue overflow" if len(hops) == 1 else "queue overflow and return"
    if rng.random() < 0.3:
        tale.close(at, by_caller=True)
        tale.change(at, cause="abandoned")
        return [tale.told("overflow", story, "abandoned")]
    b = tale.agent(at, rng.choice(AGENTS))
    tale.wait(20, 600)
    tale.close(at, b)
    return [tale.told("overflow", story)]


def _to_queue(rng: random.Random, name: str, start: int) -> list[Call]:
    """A person who transfers the caller to a queue, where an agent answers."""
    first = _people(rng, 1)[0]
    tale = Tale(rng, name, start, first)
    a = tale.ring(first)
    tale.wait(15, 200)
    at = tale.blind(a, QUEUE)
    tale.wait(2, 120)
    b = tale.agent(at, rng.choice([one for one in AGENTS if one is not first]))
    tale.wait(20, 600)
    tale.close(at, b)
    return [tale.told("inbound", "transferred to a queue")]


def _to_a_box(rng: random.Random, name: str, start: int) -> list[Call]:
    """A queue that gives up and lets the caller leave a message."""
    tale = Tale(rng, name, start, QUEUE)
    at = tale.serve(QUEUE)
    tale.wait(1, 30)
    tale.agent(at, rng.choice(AGENTS), low=14, high=16, taken=False)
    tale.wait(30, 200)
    tale.leave(at)
    box = tale.serve(VOICEMAIL, related=tale.leg(at).id, redirected_by=QUEUE, redirect_reason="Unavailable")
    tale.wait(5, 60)
    tale.close(box, by_caller=True)
    return [tale.told("overflow", "queue to a box", "voicemail")]


def _callback(rng: random.Random, name: str, start: int) -> list[Call]:
    """A caller who leaves the queue, and whom an agent calls back: two calls."""
    tale = Tale(rng, name, start, QUEUE)
    at = tale.serve(QUEUE)
    tale.wait(8, 120)
    tale.close(at, by_caller=True)
    tale.change(at, cause="abandoned")
    missed = tale.told("overflow", "callback, the missed call", "abandoned")
    later = tale.now + rng.randrange(2 * MINUTE, 90 * MINUTE)
    draft = Draft(rng, f"{name}b", later, 0)
    agent = rng.choice(AGENTS)
    british = tale.caller.number.startswith("+44")
    dialed = f"011{tale.caller.number[1:]}" if british else tale.caller.number.removeprefix("+")
    both = {"route": "international", "country": "GB"} if british else {"route": "national"}
    if rng.random() < 0.7:
        back = answered_call(draft, agent, tale.caller, "outbound", dialed=dialed, **both)
    else:
        back = unanswered_call(draft, agent, tale.caller, "outbound", "no_answer", dialed=dialed, **both)
    return [missed, replace(back, story="callback")]


def _late(rng: random.Random, name: str, start: int) -> list[Call]:
    """Transfers of which a record comes minutes or hours late."""
    call = rng.choice((_chain, _parked, _overflow))(rng, name, start)[0]
    at = _pick(rng, call)
    legs = [
        replace(one, late=rng.randrange(3 * MINUTE, 3 * HOUR)) if n == at else one for n, one in enumerate(call.legs)
    ]
    return [replace(call, legs=tuple(legs), story=f"late record: {call.story}")]


def _lost(rng: random.Random, name: str, start: int) -> list[Call]:
    """Transfers of which a record never comes."""
    call = rng.choice((_chain, _parked, _conference))(rng, name, start)[0]
    at = _pick(rng, call)
    legs = [replace(one, lost=True) if n == at else one for n, one in enumerate(call.legs)]
    return [replace(call, legs=tuple(legs), story=f"lost record: {call.story}")]


def _pick(rng: random.Random, call: Call) -> int:
    """Draw the leg of the caller or of an employee."""
    return rng.choice([n for n, one in enumerate(call.legs) if n == 0 or one.party.is_user])


TALES: tuple[Story, ...] = (
    *(_after_hours, _chain, _parked, _recalled, _conference, _refused, _forwarded, _forwarded, _transferred_outside),
    *(_overflow, _overflow, _to_queue, _to_a_box, _callback, _late, _lost),
)


def tell(story: Story, rng: random.Random, name: str, start: int) -> list[Call]:
    """Return the calls of a story that begins at `start`, Unix milliseconds."""
    return story(rng, name, start)
