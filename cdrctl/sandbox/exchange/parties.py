"""The parties of the exchange, and the structure of calls and legs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cdrctl.sandbox.exchange.clock import SECOND, uuid_text

Direction = Literal["originating", "terminating"]


@dataclass(frozen=True, slots=True)
class Site:
    """A site of the customer: `zone` is an IANA name, `trunk` is empty if calls use the provider's own carrier."""

    id: str
    name: str
    main_number: str
    zone: str
    trunk: str = ""
    route_group: str = ""


@dataclass(frozen=True, slots=True)
class Party:
    """A party of a leg.

    `kind` is person, place, queue, hunt_group, attendant or voicemail, or outside for anyone beyond a trunk. `number`
    is E.164, or the extension if there is no public number.
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
        """Whether the party has a telephone of the exchange: a person or a place."""
        return self.kind in {"person", "place"}


@dataclass(frozen=True, slots=True)
class Leg:
    """One party's part in a call; instants are Unix milliseconds, UTC.

    `direction` is the party's: originating placed the call. `cause` is one of normal, busy, no_answer, cancelled,
    rejected, unallocated, unavailable, answered_elsewhere, abandoned, blind_transfer, consulted_transfer, parked,
    forwarded. `route` is internal, inbound, national, international, tollfree or service. `peer` is the leg at the
    other end, `related` the one this leg came from, `session` the number of the consultation that the leg belongs to, 0
    for none.

    Only legs of stories have the rest: `transfer_to` is the leg that asked for a consulted transfer; `retrieves` marks
    a leg whose party placed it and got a waiting caller; `diverts` marks what a switch placed on behalf of the party;
    `forwarded` has when the target of a forwarding answered and ended; `reason` says which service made the leg. A
    record appears `late` milliseconds later than usual, and never if it is `lost`.
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
    transfer_to: str = ""
    retrieves: bool = False
    diverts: bool = False
    forwarded: tuple[int, int] | None = None
    reason: str = ""
    late: int = 0
    lost: bool = False

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
    def apart(self) -> bool:
        """Whether the leg began as a call of its own: a consultation, or the retrieval of a parked caller."""
        return self.session > 0 and (self.retrieves or self.peer != f"{self.call_id}.1")

    @property
    def site(self) -> Site | None:
        """The site of the party; None for outside parties."""
        return self.party.site


@dataclass(frozen=True, slots=True)
class Call:
    """Everything that followed from one attempt to call, including transfers.

    `outcome` is answered, voicemail, no_answer, busy, cancelled, rejected, failed or abandoned: the outcome for the
    caller, whatever single legs have. `story` names the story of a call of the harder exchange, `transfers` are its
    transfers, blind or consulted, in order.
    """

    id: str
    start: int
    end: int
    kind: str
    outcome: str
    from_number: str
    to_number: str
    legs: tuple[Leg, ...]
    story: str = ""
    transfers: tuple[str, ...] = ()


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
CALLERS = (
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
    """Return the people and the lobby telephone."""
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
OVERFLOW = Party("queue", uuid_text(4, "overflow"), "Overflow queue", "+12025550103", "3003", SITES[0])
HUNT_GROUP = Party("hunt_group", uuid_text(4, "hunt"), "Support, first line", "+12025550102", "3002", SITES[0])
ATTENDANT = Party("attendant", uuid_text(4, "attendant"), "Main menu", "+12025550100", "3000", SITES[0])
VOICEMAIL = Party("voicemail", uuid_text(4, "voicemail"), "Voice mail", "3999", "3999", SITES[0])
AGENTS = PEOPLE[:5]
HUNTED = PEOPLE[4:8]
