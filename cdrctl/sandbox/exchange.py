"""A generated telephone exchange: the truth that the imitated providers tell in their own words.

Every UTC day is drawn from its own random source, seeded with the exchange's seed and the date, so a day's calls do
not depend on which other days were asked for, on the process or on the order of questions.
"""

from __future__ import annotations

import functools
import random
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import md5
from typing import Any, Literal
from zoneinfo import ZoneInfo

Direction = Literal["originating", "terminating"]

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LONGEST_CALL = 6 * HOUR
"""No generated call lasts longer, in milliseconds."""

_EPOCH = date(1970, 1, 1)
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LONG_CALL_SHARE = 0.012
_WEEKEND_SHARE = 0.12
_FRIDAY = 4
_CALLS_PER_HOUR = (
    *(0.3, 0.2, 0.1, 0.1, 0.2, 0.6, 2.0, 6.0, 12.0, 16.0, 17.0, 15.0),
    *(11.0, 14.0, 16.0, 15.0, 13.0, 8.0, 3.0, 1.5, 1.0, 0.7, 0.5, 0.4),
)


def milliseconds(instant: datetime) -> int:
    """Return an aware instant as Unix milliseconds, rounded down."""
    return (instant - _UNIX) // _MILLISECOND


def instant(unix_ms: int) -> datetime:
    """Return Unix milliseconds as an aware UTC instant."""
    return _UNIX + timedelta(milliseconds=unix_ms)


def digest(*parts: object) -> str:
    """Return 32 hexadecimal digits that depend on nothing but the parts."""
    return md5("\x1f".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


def uuid_text(version: int, *parts: object) -> str:
    """Return a UUID of the given version as text, drawn from the parts alone."""
    h = digest(*parts)
    return f"{h[:8]}-{h[8:12]}-{version}{h[13:16]}-{'89ab'[int(h[16], 16) % 4]}{h[17:20]}-{h[20:]}"


def delay(share: str, what: str, key: str) -> int:
    """Return a delay in milliseconds: none for most, 10 minutes to 20 hours for a share of the keys, such as `0.05`."""
    part = float(share)
    if not part:
        return 0
    drawn = int(digest(what, key)[:12], 16)
    if drawn % 10_000 >= part * 10_000:
        return 0
    return 10 * MINUTE + drawn // 10_000 % (20 * HOUR)


def dropped(share: str, key: str, end: int, now: int) -> bool:
    """Return whether a record is gone: those of a share are, 4 to 24 hours after their call ended (milliseconds)."""
    wait = delay(share, "dropped", key)
    return wait > 0 and end + 4 * HOUR + wait <= now


@dataclass(frozen=True, slots=True)
class Site:
    """A place of the customer: `zone` is an IANA name, `trunk` empty where calls use the provider's own carrier."""

    id: str
    name: str
    main_number: str
    zone: str
    trunk: str = ""
    route_group: str = ""


@dataclass(frozen=True, slots=True)
class Party:
    """Who a leg belongs to.

    `kind` is person, place, queue, hunt_group, attendant or voicemail, or outside for anyone beyond a trunk. `number`
    is E.164, or the extension where there is no number of the public network.
    """

    kind: str
    id: str
    name: str
    number: str
    extension: str = ""
    site: Site | None = None
    device: str = ""

    @property
    def is_user(self) -> bool:
        """Whether it has a telephone of the exchange: a person or a place."""
        return self.kind in {"person", "place"}


@dataclass(frozen=True, slots=True)
class Leg:
    """One party's part in a call; instants are Unix milliseconds, UTC.

    `direction` is the party's: originating placed the call. `cause` is one of normal, busy, no_answer, cancelled,
    rejected, unallocated, unavailable, answered_elsewhere, abandoned, blind_transfer, consulted_transfer. `route` is
    internal, inbound, national, international, tollfree or service. `peer` is the leg at the other end, `related` the
    one this leg came from, `session` 1 for the consultation within a consulted transfer.
    """

    id: str
    call_id: str
    party: Party
    direction: Direction
    start: int
    answer: int | None
    end: int
    from_number: str
    from_name: str
    to_number: str
    to_name: str
    dialed: str = ""
    cause: str = "normal"
    released_by: str = "remote"
    route: str = "internal"
    country: str = ""
    trunk: str = ""
    session: int = 0
    peer: str = ""
    related: str = ""
    redirected_by: Party | None = None
    redirect_reason: str = ""
    queue: Party | None = None
    hunt_group: Party | None = None
    transfer: str = ""
    transfer_time: int | None = None
    hold_seconds: int = 0
    recorded: bool = False
    key_pressed: str = ""

    @property
    def ring_seconds(self) -> int:
        """Whole seconds from start to answer, or to the end of an unanswered leg."""
        return ((self.end if self.answer is None else self.answer) - self.start) // SECOND

    @property
    def talk_seconds(self) -> int:
        """Whole seconds from answer to end; 0 when unanswered."""
        return 0 if self.answer is None else (self.end - self.answer) // SECOND

    @property
    def voicemail(self) -> bool:
        """Whether this leg is a voice mail box."""
        return self.party.kind == "voicemail"

    @property
    def site(self) -> Site | None:
        """The site of the party; None for outside parties."""
        return self.party.site


@dataclass(frozen=True, slots=True)
class Call:
    """Everything that followed from one attempt to call, transfers included.

    `outcome` is answered, voicemail, no_answer, busy, cancelled, rejected, failed or abandoned: what became of the
    caller's wish, whatever single legs say.
    """

    id: str
    start: int
    end: int
    kind: str
    outcome: str
    from_number: str
    to_number: str
    legs: tuple[Leg, ...]


SITES = (
    Site(uuid_text(4, "site", 1), "San Jose HQ", "+12025550100", "America/Los_Angeles"),
    Site(
        uuid_text(4, "site", 2),
        "London Office",
        "+441632960100",
        "Europe/London",
        "LGW-London-1",
        "RG-London",
    ),
)
_PEOPLE = (
    ("Avery Brooks", "desk", 0, True),
    ("Marisol Peña", "app", 0, True),
    ('Dana O\'Neil, "Desk 3"', "desk", 0, True),
    ("Jürgen Großmann", "app", 0, True),
    ("Zoë 🎧 Park", "app", 0, True),
    ("Li Wei", "desk", 0, True),
    ("Noor al-Amin", "mobile", 0, True),
    ("Sam Reyes; Support", "app", 0, False),
    ("林 美咲", "desk", 0, True),
    ("Ewa Żółć", "app", 0, False),
    ("Priya Nair", "app", 1, True),
    ("Tom Black", "desk", 1, True),
    ("Oluwaseun Adé", "app", 1, True),
)
_CALLERS = (
    "Acme, Inc",
    'The "Blue" Café',
    "Rivera Plumbing",
    "Wireless Caller",
    "",
    "=2+3 Traders",
    "Müller & Söhne",
    "Tab\there",
    "Mallory \x1b[2J",
    "Grace Kim",
    "Unavailable",
)


def _people() -> tuple[Party, ...]:
    """Return the persons and the lobby telephone."""
    persons = []
    for n, (name, device, site, has_number) in enumerate(_PEOPLE):
        extension = str(2001 + n)
        public = f"+1202555{110 + n:04d}" if site == 0 else f"+4416329601{10 + n:02d}"
        persons.append(
            Party(
                "person",
                uuid_text(4, "person", n),
                name,
                public if has_number else extension,
                extension,
                SITES[site],
                device,
            )
        )
    lobby = Party("place", uuid_text(4, "place", 1), "Lobby, ground floor", "2090", "2090", SITES[0], "desk")
    return (*persons, lobby)


PEOPLE = _people()
QUEUE = Party("queue", uuid_text(4, "queue"), "Sales queue", "+12025550101", "3001", SITES[0])
HUNT_GROUP = Party("hunt_group", uuid_text(4, "hunt"), "Support, first line", "+12025550102", "3002", SITES[0])
ATTENDANT = Party("attendant", uuid_text(4, "attendant"), "Main menu", "+12025550100", "3000", SITES[0])
VOICEMAIL = Party("voicemail", uuid_text(4, "voicemail"), "Voice mail", "3999", "3999", SITES[0])
AGENTS = PEOPLE[:5]
HUNTED = PEOPLE[4:8]


class _Draft:
    """A call while it is drawn: its legs in the order they were added."""

    def __init__(self, rng: random.Random, call_id: str, start: int, longest: int) -> None:
        self.rng = rng
        self.call_id = call_id
        self.start = start
        self.longest = longest
        self.legs: list[Leg] = []
        self.session = 0

    def next_id(self, ahead: int = 0) -> str:
        return f"{self.call_id}.{len(self.legs) + 1 + ahead}"

    def add(
        self,
        party: Party,
        direction: Direction,
        span: tuple[int, int | None, int],
        ends: tuple[tuple[str, str], tuple[str, str]],
        **rest: Any,
    ) -> Leg:
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
        """Draw milliseconds between two numbers of seconds."""
        return self.rng.randrange(int(low * SECOND), int(high * SECOND) + 1)

    def talk(self) -> int:
        """Draw how long people speak, in milliseconds; now and then more than an hour."""
        if self.longest:
            return self.longest + self.pause(0, 600)
        if self.rng.random() < _LONG_CALL_SHARE:
            return self.pause(3_700, 9_000)
        return min(int(self.rng.lognormvariate(4.7, 0.9) * SECOND) + 1_500, 3 * HOUR)

    def outsider(self) -> Party:
        """Draw somebody beyond a trunk: same digits, same name."""
        if self.rng.random() < 0.12:
            n = self.rng.randrange(200, 400)
            number = f"+441632960{n}"
        else:
            n = self.rng.randrange(150, 200)
            number = f"+1202555{n:04d}"
        return Party("outside", "", _CALLERS[n % len(_CALLERS)], number)

    def inside(self, *, without: Sequence[Party] = ()) -> Party:
        """Draw a person or the lobby."""
        while (party := self.rng.choice(PEOPLE)) in without:
            pass
        return party

    def outcome_of(self, kind: str, outcome: str) -> Call:
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


def _ends(caller: Party, number: str, name: str) -> tuple[tuple[str, str], tuple[str, str]]:
    shown = caller.number if caller.kind == "outside" else caller.extension
    return (shown, caller.name), (number, name)


def _two(
    draft: _Draft,
    caller: Party,
    callee: Party,
    times: tuple[int | None, int],
    **both: Any,
) -> tuple[Leg, Leg]:
    """Add the legs of a plain call from caller to callee; `times` are answer and end."""
    answer, end = times
    outward, inward = callee.kind == "outside", caller.kind == "outside"
    number = callee.number if outward or inward else callee.extension
    ends = (_outward_ends if outward else _ends)(caller, number, callee.name)
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


def _outward_ends(caller: Party, number: str, name: str) -> tuple[tuple[str, str], tuple[str, str]]:
    site = caller.site
    shown = caller.number if caller.number.startswith("+") or site is None else site.main_number
    return (shown, caller.name), (number, name)


def _answered(draft: _Draft, caller: Party, callee: Party, kind: str, **both: Any) -> Call:
    answer = draft.start + draft.pause(1.5, 24)
    end = answer + draft.talk()
    both.setdefault("hold_seconds", draft.rng.choice((0, 0, 0, 0, 7, 31)))
    both.setdefault("recorded", draft.rng.random() < 0.15)
    _two(draft, caller, callee, (answer, end), **both)
    return draft.outcome_of(kind, "answered")


def _unanswered(draft: _Draft, caller: Party, callee: Party, kind: str, cause: str, **both: Any) -> Call:
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
    _two(draft, caller, callee, (None, end), cause=cause, caller_left=left, **both)
    outcome = "failed" if cause in {"unallocated", "unavailable"} else cause
    return draft.outcome_of(kind, outcome)


def _internal(draft: _Draft) -> Call:
    caller = draft.inside()
    callee = draft.inside(without=(caller,))
    roll = draft.rng.random()
    if roll < 0.66:  # shares of what becomes of an internal call
        return _answered(draft, caller, callee, "internal")
    if roll < 0.82:
        return _to_voicemail(draft, caller, callee, "internal")
    return _unanswered(
        draft, caller, callee, "internal", draft.rng.choice(("busy", "cancelled", "no_answer", "rejected"))
    )


def _inbound(draft: _Draft) -> Call:
    caller, callee = draft.outsider(), draft.inside(without=[p for p in PEOPLE if p.number[0] != "+"])
    roll = draft.rng.random()
    if roll < 0.62 or draft.longest:  # shares of what becomes of an inbound call
        return _answered(draft, caller, callee, "inbound")
    if roll < 0.82:
        return _to_voicemail(draft, caller, callee, "inbound")
    causes = ("cancelled", "no_answer", "cancelled", "rejected", "busy", "unavailable")
    return _unanswered(draft, caller, callee, "inbound", draft.rng.choice(causes))


def _outbound(draft: _Draft) -> Call:
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
        return _answered(draft, caller, callee, "outbound", **both)
    causes = ("no_answer", "no_answer", "busy", "cancelled", "unallocated", "rejected")
    return _unanswered(draft, caller, callee, "outbound", draft.rng.choice(causes), **both)


def _to_voicemail(draft: _Draft, caller: Party, callee: Party, kind: str) -> Call:
    """The callee does not answer; his box does."""
    inward = caller.kind == "outside"
    rings_until = draft.start + draft.pause(16, 22)
    box_answers = rings_until + draft.rng.randrange(150, 700)
    end = box_answers + draft.pause(3, 70)
    ends = _ends(caller, callee.number if inward else callee.extension, callee.name)
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


def _box_read(draft: _Draft) -> Call:
    """A person listens to his own messages."""
    caller = draft.inside()
    answer = draft.start + draft.rng.randrange(200, 900)
    end = answer + draft.pause(5, 120)
    _two(
        draft,
        caller,
        VOICEMAIL,
        (answer, end),
        route="service",
        dialed="*98",
        caller_left=True,
    )
    return draft.outcome_of("voicemail_retrieval", "voicemail")


def _rung(
    draft: _Draft, group: Party, asked: Sequence[Party], reason: str, waiting_from: int
) -> tuple[int | None, Leg | None]:
    """Ring the members of a queue or hunt group; return when one answered, and that one's unfinished leg."""
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


def _grouped(draft: _Draft, group: Party, members: Sequence[Party], kind: str, reason: str) -> Call:
    """An outside caller reaches a queue or hunt group, which rings its members."""
    rng = draft.rng
    caller = draft.outsider()
    ends = _ends(caller, group.number, group.name)
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
        answer, won = _rung(draft, group, asked, reason, greeted + draft.pause(0.5, 30 if service_first else 1))
        end = max(leg.end for leg in draft.legs) + draft.pause(0.1, 8) if answer is None else answer + draft.talk()
    gone = answer is None
    final = "abandoned" if gone else "normal"
    draft.legs[0] = _changed(a, end=end, peer=won.id if won else service.id, cause=final, released_by="local")
    draft.legs[1] = _changed(service, end=end, cause=final, released_by="remote")
    if won:
        n = draft.legs.index(won)
        draft.legs[n] = _changed(won, end=end, recorded=rng.random() < 0.4)
    return draft.outcome_of(kind, "abandoned" if gone else "answered")


def _queued(draft: _Draft) -> Call:
    return _grouped(draft, QUEUE, AGENTS, "queue", "CallQueue")


def _hunted(draft: _Draft) -> Call:
    return _grouped(draft, HUNT_GROUP, HUNTED, "hunt_group", "HuntGroup")


def _attended(draft: _Draft) -> Call:
    """The menu answers; the caller presses a key and reaches a person, or gives up."""
    caller = draft.outsider()
    greeted = draft.start + draft.rng.randrange(200, 800)
    chosen = greeted + draft.pause(3, 25)
    ends = _ends(caller, ATTENDANT.number, ATTENDANT.name)
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


def _transferred(draft: _Draft) -> Call:
    """A person takes an outside call and hands it to a colleague, at once or after asking him."""
    caller = draft.outsider()
    first = draft.inside(without=[p for p in PEOPLE if p.number[0] != "+"])
    second = draft.inside(without=(first,))
    answer = draft.start + draft.pause(2, 15)
    moved = answer + draft.pause(15, 120)
    ends = _ends(caller, first.number, first.name)
    consulted = draft.rng.random() < 0.5
    way = "consulted" if consulted else "blind"
    trunk = first.site.trunk if first.site else ""
    shared = {"route": "inbound", "trunk": trunk}
    asked = moved + draft.rng.randrange(500, 1500)
    second_answers = asked + draft.pause(2, 14)
    handed = second_answers + draft.pause(4, 40) if consulted else moved
    end = max(handed, second_answers) + draft.talk()
    last = draft.next_id(3 if consulted else 2)
    a = draft.add(
        caller,
        "originating",
        (draft.start, answer, end),
        ends,
        dialed=first.number,
        released_by="local",
        peer=last,
        **shared,
    )
    b = draft.add(
        first,
        "terminating",
        (draft.start + draft.rng.randrange(40, 600), answer, handed),
        ends,
        cause=f"{way}_transfer",
        released_by="local",
        peer=a.id,
        transfer=way,
        transfer_time=moved,
        hold_seconds=(handed - moved) // SECOND,
        **shared,
    )
    inner = _ends(first if consulted else caller, second.extension, second.name)
    if consulted:
        draft.add(
            first,
            "originating",
            (asked, second_answers, handed),
            inner,
            dialed=second.extension,
            cause="consulted_transfer",
            released_by="local",
            peer=last,
            related=b.id,
            transfer=way,
            transfer_time=handed,
            session=1,
        )
    draft.add(
        second,
        "terminating",
        (asked, second_answers, end),
        inner,
        peer=draft.legs[-1].id if consulted else a.id,
        related=b.id,
        redirected_by=first,
        redirect_reason="Unconditional",
        transfer=way,
        session=int(consulted),
    )
    return draft.outcome_of(f"{way}_transfer", "answered")


def _changed(leg: Leg, **changes: Any) -> Leg:
    values = {name: getattr(leg, name) for name in Leg.__slots__}
    return Leg(**(values | changes))


_KINDS: tuple[tuple[Callable[[_Draft], Call], int], ...] = (
    (_internal, 24),
    (_inbound, 24),
    (_outbound, 28),
    (_queued, 11),
    (_hunted, 3),
    (_attended, 6),
    (_transferred, 4),
    (_box_read, 2),
)
_DRAW = tuple(kind for kind, _ in _KINDS)
_WEIGHTS = tuple(weight for _, weight in _KINDS)


def uniform(
    n: int,
    since: datetime,
    until: datetime,
    *,
    legs: int = 1,
    talk_seconds: float = 60,
    name: str = "uniform",
) -> list[Call]:
    """Return n answered calls, their starts spread evenly over `[since, until)`, for tests of exact volumes.

    Each has `legs` legs of persons that begin at the same instant, so every provider makes exactly `n * legs` records
    of them. `name` keeps the ids of several such lists apart.
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
        ends = _outward_ends(people[0], far.number, far.name)
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


class Exchange:
    """Calls by the instant they began: drawn from `seed`, or exactly the `calls` handed in.

    The same seed gives the same calls in every process and in whatever order days are asked for. `volume` scales how
    many calls a day has.
    """

    def __init__(self, seed: int | str = 1, calls: Iterable[Call] | None = None, *, volume: float = 1.0) -> None:
        self.seed = str(seed)
        self.volume = volume
        self._given: list[Call] | None = None if calls is None else sorted(calls, key=lambda c: (c.start, c.id))
        self._longest = LONGEST_CALL
        if self._given is not None:
            self._starts = [call.start for call in self._given]
            self._longest = max((call.end - call.start for call in self._given), default=0)
            if len({call.id for call in self._given}) < len(self._given):
                raise ValueError("two calls have the same id")

    def calls(self, since: datetime, until: datetime) -> list[Call]:
        """Return the calls that began in `[since, until)`, in order of their start."""
        return self.calls_between(milliseconds(since), milliseconds(until))

    def legs(self, since: datetime, until: datetime) -> list[Leg]:
        """Return the legs that began in `[since, until)`, in order of their start, whenever their call began."""
        lo, hi = milliseconds(since), milliseconds(until)
        return self.legs_between(lo, hi)

    def calls_between(self, lo: int, hi: int) -> list[Call]:
        """Return the calls that began in `[lo, hi)` Unix milliseconds, in order of their start."""
        if self._given is not None:
            return self._given[bisect_left(self._starts, lo) : bisect_left(self._starts, hi)]
        found = [call for day in range(lo // DAY, (hi - 1) // DAY + 1) for call in self._day(day)]
        return [call for call in found if lo <= call.start < hi]

    def legs_between(self, lo: int, hi: int) -> list[Leg]:
        """Return the legs that began in `[lo, hi)` Unix milliseconds, in order of their start."""
        legs = [leg for call in self.calls_between(lo - self._longest, hi) for leg in call.legs if lo <= leg.start < hi]
        legs.sort(key=lambda leg: (leg.start, leg.id))
        return legs

    @property
    def longest(self) -> int:
        """No call lasts longer, in milliseconds."""
        return self._longest

    @property
    def first(self) -> int | None:
        """When the earliest call began, in Unix milliseconds; None where calls are drawn for whatever day is asked."""
        if self._given is None:
            return None
        return min(self._starts, default=0)

    def sibling(self, name: str) -> Exchange:
        """Return a smaller exchange with calls of its own; empty where the calls of this one were handed in."""
        if self._given is not None:
            return Exchange(f"{self.seed}/{name}", [])
        return Exchange(f"{self.seed}/{name}", volume=self.volume / 4)

    def _day(self, day: int) -> list[Call]:
        return _drawn(self.seed, self.volume, day)


@functools.lru_cache(1000)
def _drawn(seed: str, volume: float, day: int) -> list[Call]:
    """Draw the calls of one UTC day, counted from 1 January 1970: once for all exchanges of a process."""
    rng = random.Random(f"{seed}:{day}")  # noqa: S311 - calls are to be the same on every run
    midnight = day * DAY
    zone = ZoneInfo(SITES[0].zone)
    starts: list[tuple[int, int]] = []
    for hour in range(24):
        local = instant(midnight + hour * HOUR).astimezone(zone)
        busy = _CALLS_PER_HOUR[local.hour] * volume
        if local.weekday() > _FRIDAY:
            busy *= _WEEKEND_SHARE
        count = max(0, int(rng.gauss(busy, busy**0.5 / 2) + rng.random()))
        starts += [(midnight + hour * HOUR + rng.randrange(HOUR), 0) for _ in range(count)]
    # Calls over midnight, and over month starts, are what exporters lose: every day has one, a month's last three.
    tomorrow = _EPOCH + timedelta(days=day + 1)
    for _ in range(3 if tomorrow.day == 1 else 1):
        begun = rng.randrange(20, 300) * SECOND + rng.randrange(SECOND)
        starts.append((midnight + DAY - begun, begun + 30 * SECOND))
    starts.sort()
    kinds = rng.choices(_DRAW, _WEIGHTS, k=len(starts))
    name = f"{seed}-{_EPOCH + timedelta(days=day):%Y%m%d}"
    return [
        (_inbound if longest else kind)(_Draft(rng, f"{name}-{n:04d}", start, longest))
        for n, ((start, longest), kind) in enumerate(zip(starts, kinds, strict=True), 1)
    ]


def straddlers(month_start: datetime, n: int = 5) -> list[Call]:
    """Return n calls that begin in the last minutes before an instant and end after it, a minute apart."""
    return uniform(n, month_start - timedelta(minutes=n), month_start, talk_seconds=60 * n + 300, name="straddler")
