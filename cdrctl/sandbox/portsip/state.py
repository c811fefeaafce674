"""The state of one imitated PBX: its calls, clock and switches, and everything that clients have made in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.portsip.fields import Row
from cdrctl.sandbox.portsip.records import Record
from cdrctl.sandbox.portsip.users import ACCESS_TOKEN, USERS, User
from cdrctl.sandbox.wire import Clock


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token: its user, its expiry in Unix seconds, and the refresh token issued with it."""

    user: User
    until: float
    refresh: str = ""


@dataclass(frozen=True, slots=True)
class SyncToken:
    """A sync token: selects a user's calls from `begun` (Unix microseconds) on that are new to the client.

    The client knows every call that existed at `told`, in Unix milliseconds.
    """

    user: User
    begun: int
    told: int


@dataclass(slots=True)
class Tokens:
    """All valid tokens, and the number of tokens of any kind that the PBX has issued."""

    access: dict[str, AccessToken] = field(default_factory=lambda: {ACCESS_TOKEN: AccessToken(USERS[0], math.inf)})
    refresh: dict[str, User] = field(default_factory=dict)
    two_factor: dict[str, User] = field(default_factory=dict)
    sync: dict[str, SyncToken] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    """Access tokens by the session cookie that `GET /login` takes."""
    issued: int = 0


@dataclass(slots=True)
class Report:
    """A call report: its body, the start of each of its runs, and how many of those are `done`.

    `looked` is when its cron expression was last evaluated.
    """

    number: int
    body: Row
    looked: datetime
    runs: list[datetime] = field(default_factory=list)
    done: int = 0


@dataclass(frozen=True, slots=True)
class CompletedReport:
    """A finished run of a report with its file."""

    number: int
    name: str
    type: str
    format: str
    at: datetime
    content: bytes
    blob: str


@dataclass(slots=True)
class Reports:
    """Call reports and completed call reports by number, and how many numbers have been used."""

    posted: dict[int, Report] = field(default_factory=dict)
    completed: dict[int, CompletedReport] = field(default_factory=dict)
    given: int = 0


@dataclass(frozen=True, slots=True)
class FoundRecords:
    """The records that begin in one window; all of them exist from `settled` on, in Unix milliseconds."""

    key: tuple[object, ...] = ()
    settled: int = 0
    records: Sequence[Record] = ()


@dataclass(frozen=True, slots=True)
class SelectedRecords:
    """The records that pass one filter, in the order of one listing."""

    key: tuple[object, ...] = ()
    records: Sequence[Record] = ()


@dataclass(slots=True)
class PBX:
    """One tenant of an imitated PBX.

    `switched` has the value of every switch. `found` and `selected` keep the last answer, because clients page
    through it. `pages_read` counts the pages of each listing, and `minute` has the current minute and the number of
    its requests.
    """

    exchange: Exchange
    now: Clock
    switched: dict[str, str]
    tokens: Tokens = field(default_factory=Tokens)
    reports: Reports = field(default_factory=Reports)
    found: FoundRecords = field(default_factory=FoundRecords)
    selected: SelectedRecords = field(default_factory=SelectedRecords)
    pages_read: dict[tuple[str, str], int] = field(default_factory=dict)
    minute: tuple[int, int] = (0, 0)
