"""The records that the service writes of a call."""

from __future__ import annotations

from dataclasses import replace

from cdrctl.sandbox.exchange.clock import SECOND
from cdrctl.sandbox.exchange.parties import SITES, Call, Leg, Party, Site
from cdrctl.sandbox.voicenter.call_types import (
    CLICK,
    CONSULTED,
    FORWARDED,
    INCOMING,
    OUTGOING,
    PRODUCTIVE,
    QUEUED,
    TO_IVR,
    TO_QUEUE,
    TRANSFERRED,
    VOICE_MAIL,
)
from cdrctl.sandbox.voicenter.cdr import LEFT_QUEUE, Cdr
from cdrctl.sandbox.voicenter.numbers import draw_of, international, make_call_id, national, sip_code

_STATUSES = {
    "busy": "BUSY",
    "no_answer": "NOANSWER",
    "cancelled": "CANCEL",
    "rejected": "BUSY",
    "unallocated": "CONGESTION",
    "unavailable": "CHANUNAVAIL",
}


def _status(leg: Leg, draw: int, *, outward: bool) -> str:
    """Give the DialStatus of a leg."""
    if leg.answer is not None:
        return "ANSWER"
    if outward and leg.cause == "rejected" and draw % 3 == 0:
        return "INVALIDARGS"
    if outward and leg.cause == "cancelled" and draw % 4 == 0:
        return "SSWPREAUTH"
    if not outward and leg.cause == "unavailable":
        return "NOTDIALED"
    return _STATUSES.get(leg.cause, "NOANSWER")


def _site_of(*parties: Party | None) -> Site:
    """Give the site of the first party that has one."""
    return next((party.site for party in parties if party is not None and party.site is not None), SITES[0])


def cdrs_of(call: Call) -> list[Cdr]:
    """Make the records of a call: the legs of one dialled call share an id, later parts have their own."""
    draw = draw_of(call.id)
    made = {"queue": _from_group, "hunt_group": _from_group, "attendant": _from_menu}.get(call.kind)
    if made is not None and len(call.legs) > 1:
        return [made(call, draw)]
    if call.legs[0].party.kind == "outside":
        return _from_outside(call, draw)
    return _from_inside(call, draw)


def _from_inside(call: Call, draw: int) -> list[Cdr]:
    """Make the records of a call from one of the account's telephones: by hand, by a click or by a dialer."""
    first = call.legs[0]
    peer = call.legs[1].party if len(call.legs) > 1 else None
    outward = call.kind == "outbound"
    box = next((leg for leg in call.legs[1:] if leg.voicemail), None)
    missed = next((leg for leg in call.legs[1:] if leg.party.is_user), first) if box else first
    inner = sip_code(peer) or first.to_number
    own_id = make_call_id(call.id, 0, first.start)
    plain = Cdr(
        own_id,
        OUTGOING,
        first.start,
        missed.end,
        _status(missed, draw, outward=outward),
        national(first.from_number),
        international(first.to_number) if outward else inner,
        calling=first.party,
        called=peer if peer and peer.is_user and first.answer is not None and not box else None,
        ring=missed.ring_seconds,
        talk=missed.talk_seconds,
        user=first.party,
        site=_site_of(first.party),
        recorded=first.recorded,
        draw=draw,
    )
    if call.kind == "voicemail_retrieval":
        return [replace(plain, target=first.dialed)]
    if outward and peer and peer.kind == "outside":
        pair = _types_of_pair(draw)
        return _two_legs(plain, first, pair) if pair else [plain]
    later = [leg for leg in call.legs[1:] if leg.voicemail or (outward and leg.party.kind != "outside")]
    return [plain, *(_later_part(call, leg, n, own_id, draw) for n, leg in enumerate(later, 1))]


def _later_part(call: Call, leg: Leg, n: int, original: str, draw: int) -> Cdr:
    """Make the record of a part of a call that has its own id and names the id it came from."""
    box = leg.voicemail
    outside = call.legs[0].party.kind == "outside"
    user = (leg.redirected_by or leg.party) if box else leg.party
    return Cdr(
        make_call_id(call.id, n, leg.start),
        VOICE_MAIL if box else TRANSFERRED,
        leg.start,
        leg.end,
        "VOICEMAIL" if box else _status(leg, draw, outward=False),
        national(leg.from_number),
        sip_code(user),
        calling=None if outside else call.legs[0].party,
        called=None if box else leg.party,
        did=national(call.legs[0].to_number) if outside and box else "",
        ring=0 if box else leg.ring_seconds,
        talk=leg.talk_seconds,
        user=user,
        site=_site_of(user),
        original=original,
        draw=draw,
    )


def _types_of_pair(draw: int) -> tuple[int, int] | None:
    """Draw the types of a call in two legs; None for four of five calls, which are dialled by hand."""
    share = draw % 100
    bounds = ((10, CLICK), (15, PRODUCTIVE), (18, TO_IVR), (20, TO_QUEUE))
    return next((pair for bound, pair in bounds if share < bound), None)


def _two_legs(plain: Cdr, leg: Leg, pair: tuple[int, int]) -> list[Cdr]:
    """Make leg 1, from the service to the extension, and leg 2, to the destination, under one id."""
    reached = leg.end if leg.answer is None else leg.answer
    code = sip_code(leg.party)
    one = replace(plain, type=pair[0], target=code, called=leg.party, recorded=False)
    two = replace(plain, type=pair[1], original="" if pair == CLICK else None)
    if pair in {TO_IVR, TO_QUEUE}:
        two = replace(two, queue="Sales queue" if pair == TO_QUEUE else "")
    if leg.cause == "cancelled":
        # The person hung up before the destination was dialled: both legs begin in one second.
        one = replace(one, status="CANCEL", ring=leg.ring_seconds, talk=0, second_status="NOTCALLED")
        return [one, replace(two, status="NOTCALLED", ring=0, talk=0)]
    picked = leg.start + min(4 * SECOND, (reached - leg.start) // 3)
    one = replace(
        one,
        status="ANSWER",
        ring=(picked - leg.start) // SECOND,
        talk=(leg.end - picked) // SECOND,
        second_status=two.status,
    )
    return [one, replace(two, start=picked, ring=(reached - picked) // SECOND)]


def _from_outside(call: Call, draw: int) -> list[Cdr]:
    """Make the records of a call to one of the account's numbers: answered, missed, transferred or voice mail."""
    a = call.legs[0]
    inside = [leg for leg in call.legs[1:] if leg.party.kind != "outside"]
    b = inside[0] if inside else a
    own_id = make_call_id(call.id, 0, a.start)
    reached = b.end if b.answer is None else b.answer
    plain = Cdr(
        own_id,
        INCOMING,
        a.start,
        b.end,
        _status(b, draw, outward=False),
        national(a.from_number),
        sip_code(b.party),
        called=b.party if b.answer is not None else None,
        did=national(a.dialed or a.to_number),
        ring=(reached - a.start) // SECOND,
        talk=b.talk_seconds,
        user=b.party if b.party.is_user else None,
        site=_site_of(b.party),
        recorded=b.recorded,
        draw=draw,
    )
    if call.kind == "consulted_transfer" and len(inside) > 2:
        return [plain, *_consultation(call, plain, b.party, inside[1], inside[2])]
    later = [_later_part(call, leg, n, own_id, draw) for n, leg in enumerate(inside[1:], 1)]
    if not later and b.answer is not None and b.party.device == "mobile":
        later = [_forward(call, plain, b)]
    return [plain, *later]


def _consultation(call: Call, plain: Cdr, first: Party, asking: Leg, second: Leg) -> list[Cdr]:
    """Make the two records of a consulted transfer: the consultation, then the caller with the second person."""
    handed = asking.end
    one = Cdr(
        make_call_id(call.id, 1, asking.start),
        CONSULTED[0],
        asking.start,
        handed,
        "ANSWER",
        asking.from_number,
        sip_code(second.party),
        calling=first,
        called=second.party,
        ring=asking.ring_seconds,
        talk=asking.talk_seconds,
        user=second.party,
        site=_site_of(second.party),
        original=plain.id,
        draw=plain.draw,
    )
    talk = (second.end - handed) // SECOND
    two = replace(one, type=CONSULTED[1], start=handed, end=second.end, caller=plain.caller, calling=None)
    return [one, replace(two, ring=0, talk=talk)]


def _forward(call: Call, plain: Cdr, leg: Leg) -> Cdr:
    """Make the record of a call that was forwarded to a mobile telephone."""
    return replace(
        plain,
        id=make_call_id(call.id, 1, leg.start),
        type=FORWARDED,
        start=leg.start,
        target=international(leg.party.number),
        ring=leg.ring_seconds,
        did="",
        original=plain.id,
        recorded=False,
        calling=leg.party,
    )


def _from_group(call: Call, draw: int) -> Cdr:
    """Make the one record of a call to a queue or a group, however many of its members were rung."""
    a, service = call.legs[0], call.legs[1]
    queued = call.kind == "queue"
    won = next((leg for leg in call.legs[2:] if leg.answer is not None), None)
    greeted = a.start if a.answer is None else a.answer
    reached = a.end if won is None or won.answer is None else won.answer
    user = won.party if won else None
    left = LEFT_QUEUE[draw % len(LEFT_QUEUE)] if queued else "CANCEL"
    sales = "Sales Department"
    return Cdr(
        make_call_id(call.id, 0, a.start),
        QUEUED if queued else INCOMING,
        a.start,
        a.end,
        "ANSWER" if won else left,
        national(a.from_number),
        sip_code(user),
        called=user,
        did=national(a.dialed or a.to_number),
        ring=(won.ring_seconds if won else 0) if queued else (reached - a.start) // SECOND,
        talk=won.talk_seconds if won else 0,
        waited=(reached - greeted) // SECOND if queued else 0,
        user=user,
        site=_site_of(user, service.party),
        queue=service.party.name if queued else "",
        layers=(("Main IVR", 2, 0), (sales, 0, 2)) if queued else (),
        recorded=bool(won and won.recorded),
        draw=draw,
    )


def _from_menu(call: Call, draw: int) -> Cdr:
    """Make the record of a call that the menu answered; a person may have answered after it."""
    a, menu = call.legs[0], call.legs[1]
    leg = call.legs[2] if len(call.legs) > 2 else None  # caller, menu, person
    pressed = int(menu.key_pressed or 0)
    layers: tuple[tuple[str, int, int], ...] = (("Main IVR", pressed, 0),)
    if leg:
        layers = (*layers, (f"Layer {pressed}", 0, pressed))
    user = leg.party if leg else None
    return Cdr(
        make_call_id(call.id, 0, a.start),
        INCOMING,
        a.start,
        a.end,
        _status(leg, draw, outward=False) if leg else ("TE" if draw % 3 == 0 else "VOEND"),
        national(a.from_number),
        sip_code(user),
        called=user if leg and leg.answer is not None else None,
        did=national(a.dialed or a.to_number),
        ring=leg.ring_seconds if leg else 0,
        talk=leg.talk_seconds if leg else 0,
        user=user,
        site=_site_of(user, menu.party),
        layers=layers,
        draw=draw,
    )
