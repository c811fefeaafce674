"""The state of the imitated Webex between requests."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.exchange.clock import milliseconds, uuid_text
from cdrctl.sandbox.exchange.parties import Leg
from cdrctl.sandbox.wire import Clock

ORG = uuid_text(4, "organisation")
ACCESS_TOKEN = "EXAMPLE-WEBEX-ACCESS"
REFRESH_TOKEN = "EXAMPLE-WEBEX-REFRESH-0"


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code: the request it was issued for, and when it expires, in Unix milliseconds."""

    redirect_uri: str
    scope: str
    challenge: str
    method: str
    ends: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of the organisation; instants are Unix milliseconds.

    The service compares `key` with the window. `seen` is the first instant at which a request finds the record.
    """

    key: int
    start: int
    seen: int
    id: str
    location: str
    leg: Leg


@dataclass(slots=True)
class State:
    """The exchange, the clock, the values of the switches, and the effects of earlier requests.

    `tokens` and `refreshes` have the expiry of each token in Unix milliseconds, None if it does not expire; `refresh`
    is the refresh token of the profile. `spent` has the times of the requests that a limit counts, `links` the time at
    which each next link was issued, `last` the last requested window with its records, `zones` the UTC offset of a zone
    in an hour.
    """

    exchange: Exchange
    now: Clock
    switched: dict[str, str]
    tokens: dict[str, int | None] = field(default_factory=lambda: {ACCESS_TOKEN: None})
    refresh: str = REFRESH_TOKEN
    refreshes: dict[str, int | None] = field(default_factory=lambda: {REFRESH_TOKEN: None})
    codes: dict[str, Code] = field(default_factory=dict)
    granted: int = 0
    spent: dict[str, deque[int]] = field(default_factory=dict)
    links: dict[str, int] = field(default_factory=dict)
    answers: int = 0
    last: tuple[tuple[object, ...], int, list[Entry]] = ((), 0, [])
    zones: dict[tuple[str, int], str] = field(default_factory=dict)

    @property
    def unix_now(self) -> int:
        """The current time in Unix milliseconds."""
        return milliseconds(self.now())
