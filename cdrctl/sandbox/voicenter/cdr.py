"""One record before it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cdrctl.sandbox.exchange.clock import SECOND, digest
from cdrctl.sandbox.exchange.parties import SITES, Party, Site
from cdrctl.sandbox.voicenter.call_types import DIRECTIONS, QUEUE_TYPES
from cdrctl.sandbox.voicenter.numbers import prefix_name

Doc = dict[str, Any]

_FEE = {"Israel": 7, "Israel Mobile": 12.5, "United Kingdom": 9.5, "United States": 5}
"""The price of a minute in agorot, by prefix."""

LEFT_QUEUE = ("ABANDONE", "ABANDONE", "ABANDONE", "TIMEOUT", "FULL", "EXIT", "JOINEMPTY")
"""The DialStatus values of calls that left a queue unanswered, repeated by frequency."""


@dataclass(frozen=True, slots=True)
class Cdr:
    """One record before it is written.

    `start` and `end` are Unix milliseconds; `ring`, `talk` and `waited` are whole seconds. The record appears `late`
    milliseconds later than usual, and never if it is `lost`.
    """

    id: str
    type: int
    start: int
    end: int
    status: str
    caller: str
    target: str
    calling: Party | None = None
    called: Party | None = None
    did: str = ""
    ring: int = 0
    talk: int = 0
    waited: int = 0
    user: Party | None = None
    site: Site = SITES[0]
    queue: str = ""
    layers: tuple[tuple[str, int, int], ...] = ()
    original: str | None = None
    second_status: str = ""
    recorded: bool = False
    draw: int = 0
    late: int = 0
    lost: bool = False

    @property
    def second(self) -> int:
        """The start in whole Unix seconds, as it stands in the record."""
        return self.start // SECOND

    @property
    def answered(self) -> bool:
        """Whether somebody answered."""
        return self.status == "ANSWER"

    @property
    def queued(self) -> bool:
        """Whether the call came through a queue."""
        return self.type in QUEUE_TYPES

    @property
    def left_queue(self) -> bool:
        """Whether the caller left the queue unanswered."""
        return self.queued and self.status in LEFT_QUEUE

    @property
    def price(self) -> int | float:
        """The price in agorot: outgoing calls are charged per started minute."""
        if DIRECTIONS[self.type] != "outgoing":
            return 0
        cost = -(-self.talk // 60) * _FEE.get(prefix_name(self.target), 0)
        return int(cost) if cost == int(cost) else cost

    @property
    def record_url(self) -> str:
        """The link to the recording; empty without one."""
        if not (self.recorded and self.talk):
            return ""
        return f"https://cpanel.voicenter.co.il/CallsHistory/PlayRecord/EXAMPLE{digest(self.id, self.type)[:12]}.mp3"

    @property
    def custom(self) -> Doc | None:
        """Custom data; sometimes none at all, as integrators have seen."""
        if self.original is not None:
            return {"OriginalIvrUniqueID": self.original}
        if self.draw % 31 == 0:
            return None
        return {"AiExists": "true" if self.answered else "false"} if self.draw % 5 == 0 else {}
