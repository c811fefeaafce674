"""Voicenter: the Call Log (`hub/cdr`), and CDR notifications that were captured.

Sources: Voicenter, "Call log (Version 0.1)", which joins the Call Log and the fields of the CDR notification; GitHub
VoicenterTeam, the API pages "Call Log", "CDR notification" and "Authentication" of 2026. What they leave open is
treated so that no reading of them loses a record.

There are no pages: one answer holds at most 10 000 records, and says that more are there in one of four ways. So
windows are halved until they fit.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NoReturn
from urllib.parse import parse_qsl

from pydantic import Field, SecretStr, field_validator

from cdrctl.errors import (
    AddressError,
    CdrctlError,
    IncompleteError,
    ProviderError,
    SignInError,
    TemporaryError,
    UsageError,
)
from cdrctl.fetchers import Call, Console, Gives, Once, Option, Provider, always
from cdrctl.fetchers.drift import new_fields, new_fields_error, new_fields_warning
from cdrctl.fetchers.settings import Settings
from cdrctl.fetchers.voicenter_zone import (
    FARTHEST,
    ISRAEL,
    LEARN,
    OFFSET,
    ZONE_LEAD,
    beyond,
    in_zone,
    is_ambiguous,
    offset_seconds,
    own_start,
    read_date,
    repeated,
    shown,
    span,
    start,
    start_in,
    talk,
    wall_time,
    zone_named,
    zoneless,
)
from cdrctl.http import (
    Answer,
    Client,
    RateLimit,
    Request,
    RetryPolicy,
    Token,
    by_halving,
    error_of,
    published,
    said,
    same_origin,
)
from cdrctl.records import (
    Checkpoint,
    Column,
    Event,
    Expected,
    Gap,
    Note,
    Page,
    Record,
    Value,
    check_records,
    fingerprint,
    iso_instant,
    number_of_records,
    pick,
    read_boolean,
    read_decimal,
    read_integer,
    read_iso_time,
    unix_instant,
)
from cdrctl.windows import EPOCH, Window, halve, rfc3339, tile

TITLE = "Voicenter"

# Page "Call Log": at most 10 000 records an answer, 30 requests a minute, 2 s between two of them, and 5 s after the
# error of too many. The vendor's page for developers has 5 s between any two: they are kept after the first such error.
# That the wait before the same request is sent again grows is ours.
MOST_RECORDS = 10_000
MINUTELY = published(30, 60)
SPACED = RateLimit(1, 2)
CAREFUL = published(1, 5)
WAITS = (5, 10, 20, 40, 60)

SETTLED = timedelta(minutes=10)
"""Records come "a few minutes" after the end of a call (page "Call Log")."""

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
FULL_SECONDS = 3
"""So many full seconds in half a minute are more likely minutes: a host that drops seconds gives no others."""
DAY = timedelta(days=1)
QUARTER = timedelta(minutes=15)

TWO_HOURS = timedelta(hours=2) - 2 * MINUTE
"""Israel's time is at least two hours ahead of UTC: what is shorter tells the two readings of a time apart."""
CROWDED_MINUTES = 20
"""After so many minutes in a row that no answer can hold, the service is not asked any more."""
CALLS_ASKED_AGAIN = 3
"""So many calls are asked for again to find out in which zone times are."""

IDENTITIES = ("Account", "Hierarchical", "Department", "User")


class VoicenterSettings(Settings):
    """The settings of a Voicenter profile."""

    base_url: str = Field(
        "https://api.voicenter.com/hub/cdr/",
        description="the address of the Call Log; older accounts have https://api1.voicenter.co.il/hub/cdr/",
    )
    code: SecretStr | None = Field(
        None, description="the organisation's code; this machine's IP address must be authorised beside it"
    )
    access_token: SecretStr | None = Field(None, description="a bearer token (JWT), in place of the code")
    date_zone: str = Field(
        LEARN,
        description="zone of the times that come without one: utc, Asia/Jerusalem or another; learn finds it out",
    )

    @field_validator("base_url")
    @classmethod
    def _closing_slash(cls, url: str) -> str:
        """Return the address with its closing slash, which people leave out and the documents have."""
        return url if url.endswith("/") else f"{url}/"

    @field_validator("date_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        """Return the name of a zone, or `learn`."""
        if name.casefold() == LEARN:
            return LEARN
        try:
            zone_named(name)
        except UsageError:
            raise ValueError(f"date_zone is {LEARN}, utc or a zone such as {ISRAEL}") from None
        return "UTC" if name.casefold() == "utc" else name


# Asking


def cdrs(
    client: Client, settings: VoicenterSettings, window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield the records of calls that started in the window, and some around it.

    Both bounds are moved outwards to whole minutes, because hosts of the first version count in minutes. Whether a
    request selects calls by their start, by their end or by the moment when the record was saved is not published. So
    the request ends later than the window, by as much as the longest call and the saving of its record may take.

    Raises:
        UsageError: An option makes no sense.
        IncompleteError: It cannot be told in which zone times without a zone are.
    """
    assert window is not None  # noqa: S101 - the call has a window
    longest: timedelta = options["longest_window"]
    if longest < MINUTE:
        raise UsageError("--longest-window is shorter than a minute", hint="write it as 1m, 6h or 1d")
    fields = _lists_of_fields(options.get("fields"))
    way = Way(client, settings, _search(options), fields, once=options.get("once", always))
    asked = Window(_minute(window.since), _minute(window.until, up=True))
    later = _until(window, options, client.clock.now())
    windows = [asked, Window(asked.until, later)] if later > asked.until else [asked]
    if options.get("strict"):
        _refuse_new_fields(way, next(tile(asked, longest - longest % MINUTE)))
    crowded = 0
    for tiled in itertools.chain.from_iterable(tile(one, longest - longest % MINUTE) for one in windows):
        for part, reply in by_halving(tiled, way.whole, MINUTE):
            if reply is not None:
                yield from way.pieces(reply)
                crowded = 0
            else:
                crowded = 0 if (yield from _by_seconds(way, part, window)) else crowded + 1
            yield from way.contradictions()
            yield Checkpoint(part)
            if crowded >= CROWDED_MINUTES:
                yield Gap(
                    f"{TITLE} answers for every minute that it has more calls than it gives in one answer: it was not "
                    f"asked for those from {rfc3339(part.until)} on",
                    "check base_url; it may be another service that answers, or a cache",
                )
                return


def _refuse_new_fields(way: Way, window: Window) -> None:
    """Ask once without the list of fields, which hides new ones.

    Raises:
        DriftError: The service has a field that is not asked for.
    """
    with suppress(FullError, RangeError):  # then the export itself says so
        names = new_fields(way.ask(window.since, window.until, listed=False).records, COLUMNS)
        if names:
            raise new_fields_error(TITLE, "voicenter", "cdrs", names)


def _until(window: Window, options: Mapping[str, Any], now: datetime) -> datetime:
    """Return until when to ask so that all calls that started in the window are listed.

    Nothing is listed before it happens, but a host that takes a request's times for Israel's has the last hours under
    times to come. Of a window that is one part of a longer one, the next part asks for what is after it.
    """
    if window.until < options.get("whole", window).until:
        return _minute(window.until, up=True)
    latest = max(window.until, now + ZONE_LEAD)
    return _minute(min(window.until + options["longest_call"], latest), up=True)


def _minute(instant: datetime, *, up: bool = False) -> datetime:
    whole = instant.replace(second=0, microsecond=0)
    return whole + MINUTE if up and whole != instant else whole


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the Call Log.

    Args:
        records: Its records.
        full: Whether more records are there than it holds.
    """

    records: list[Record]
    full: bool = False


NOTHING = Reply([])
FULL = frozenset({"full"})
"""What was listed in an answer that was full."""


@dataclass(slots=True)
class Way:
    """How the Call Log is asked in one run, and what was learnt of this host meanwhile.

    Args:
        search: What is asked for beside the window.
        fields: The lists of fields that may be asked for, the one in use first.
        proven: Whether this host has accepted the list in use.
        precision: Whether it counts bounds in seconds or in minutes, or None while that is not known.
        by_start: Whether it is known that a request selects calls by their start.
        low: Whether it is known that the first second of a window belongs to it.
        high: Whether it is known that the last second of a window belongs to it.
        inside: What was listed for windows within one minute, by that minute.
        partial: What came in the last answer that was full.
        zone: The name of the zone of times without one, or None while that is not known.
        shown: The zones of times without one that records with both forms of their start have proved.
        beyond: For each zone that times may be in, a call that cannot be read in it, and the request that listed it.
        to_come: Whether calls are listed whose times, read as UTC, are to come.
        contradicted: Whether a contradiction to the zone in use was reported.
        firsts: By quarter of an hour, the calls that are known to be of the first of two repeated ones.
        once: True for the first part of the window that reports something.
    """

    client: Client
    settings: VoicenterSettings
    search: Mapping[str, Any]
    fields: Sequence[Sequence[str]] = field(default_factory=lambda: FIELDS)
    proven: bool = False
    precision: timedelta | None = None
    by_start: bool = False
    low: bool = False
    high: bool = False
    inside: dict[datetime, frozenset[str]] = field(default_factory=dict)
    partial: Reply = NOTHING
    zone: str | None = None
    shown: set[str] = field(default_factory=set)
    beyond: dict[str, str] = field(default_factory=dict)
    to_come: bool = False
    contradicted: bool = False
    firsts: dict[datetime, frozenset[str]] = field(default_factory=dict)
    once: Once = always

    def __post_init__(self) -> None:
        if self.settings.date_zone != LEARN:
            self.zone = self.settings.date_zone

    def whole(self, window: Window) -> Reply | None:
        """Return all records of a window, or None when an answer cannot hold them.

        Whether the bounds of a request belong to it is not published. It begins a second before the window, which is a
        minute where seconds are dropped, and `todate` is the first instant after it: so nothing is missing when they do
        not, and what comes twice when they do is dropped as a duplicate.

        Raises:
            ProviderError: The host refuses the range.
        """
        self.partial = NOTHING
        try:
            reply = self._reachable(window.since - SECOND, window.until)
        except FullError:
            return None
        except RangeError as error:
            if window.duration >= DAY:  # which was asked for with a second more
                return None
            raise ProviderError(
                f"{TITLE} refuses the range {rfc3339(window.since)} to {rfc3339(window.until)} (times are sent in GMT)",
                said=error.said,
                hint="try a later --since or a shorter --longest-window; how far back calls are kept is not published",
                status=error.status,
            ) from None
        if reply.full:
            self.partial = reply
            return None
        return reply

    def _reachable(self, since: datetime, until: datetime) -> Reply:
        """Return the answer for a window, without its part that is to come where a host refuses that."""
        try:
            return self.ask(since, until)
        except RangeError:
            now = _minute(self.client.clock.now(), up=True)
            if until <= now:
                raise
            return self.ask(since, now) if since < now else NOTHING

    def second(self, window: Window) -> Reply | None:
        """Return all records of a window that may be as short as a second, or None when an answer cannot hold them."""
        reply = self.whole(window)
        if reply is not None or window.duration > SECOND:
            return reply
        tried, whole = self.alone(window.since, SECOND)
        records = [record for one in tried for record in one.records]
        if whole:
            return Reply(records)
        self.partial = Reply([*self.partial.records, *records], full=True)
        return None

    def alone(self, since: datetime, unit: timedelta) -> tuple[list[Reply], bool]:
        """Return answers for one second or minute without its neighbours, and whether they hold all of it.

        Which bounds say that depends on whether they belong to the window, which only records can prove whose start is
        known to be what the window is laid on.
        """
        tried: list[Reply] = []
        for lo, hi in ((since, since), (since, since + unit), (since - unit, since)):
            with suppress(FullError, RangeError):
                reply = self.ask(lo, hi)
                tried.append(reply)
                if not reply.full and self.by_start and self._holds(reply, since, lo, hi, unit):
                    return tried, True
        return tried, False

    def _holds(self, reply: Reply, since: datetime, lo: datetime, hi: datetime, unit: timedelta) -> bool:
        starts = [at for at in map(self.start, reply.records) if at is not None]
        if unit == MINUTE:
            # To a host that counts in minutes, one minute as both bounds is all of it or its first second.
            later = lo == hi and any(since <= at < since + MINUTE and at.second for at in starts)
            return later or (lo == since < hi and self.low)
        return any(at.replace(microsecond=0) == since for at in starts) or (
            (lo != since or self.low) and (hi != since or self.high)
        )

    def ask(self, since: datetime, until: datetime, *, listed: bool = True) -> Reply:
        """Return the answer for a window from one second to another; without `listed` the service chooses the fields.

        Raises:
            FullError: There are more than an answer can hold.
            RangeError: The host refuses the range.
        """
        search = {"fromdate": _wire(since), "todate": _wire(until), **self.search}
        try:
            answer = self._answer(search) if listed else self._patiently({"format": "JSON", "search": search})
            reply = read_reply(answer, self.client)
        except FullError:
            self._learn(Reply([], full=True), since, until)
            raise
        starts = [at for at in map(self.start, reply.records) if at is not None]
        if starts and not any(self._touches(since, until, record) for record in reply.records):
            self.client.log(  # it may be an answer that a cache in between has kept: nothing else would show it
                "warning",
                f"{TITLE} was asked for {rfc3339(since)} to {rfc3339(until)} and answered with nothing but calls from "
                f"{rfc3339(min(starts))} to {rfc3339(max(starts))}",
            )
        self._learn_zone(reply, until)
        self._learn(reply, since, until)
        return reply

    def start(self, record: Record) -> datetime | None:
        """Return the start of a call, or None where it cannot be read or its zone is not known yet."""
        if not zoneless(record):
            return start(record)
        wall = wall_time(record)
        return in_zone(wall, zone_named(self.zone)) if self.zone is not None and wall is not None else None

    def _touches(self, since: datetime, until: datetime, record: Record) -> bool:
        """Return whether a call may have been in progress, or just saved, within a window; unknown starts may."""
        at = self.start(record)
        return at is None or (at - MINUTE <= until and since <= at + span(record) + SETTLED + MINUTE)

    def _learn(self, reply: Reply, since: datetime, until: datetime) -> None:
        """Learn from records what the bounds of a window mean to this host."""
        minute = _minute(since)
        if minute == _minute(until):
            # A host that counts in minutes is asked for the same each time, and lists the same.
            found = frozenset(map(identity, reply.records)) if not reply.full else FULL
            if self.inside.setdefault(minute, found) != found:
                self.precision = SECOND
        starts = [(at, at + talk(record)) for record in reply.records if (at := self.start(record)) is not None]
        self.by_start = self.by_start or any(end > until + MINUTE for _, end in starts)
        if not self.by_start:
            return
        short = reply.full or until - since < MINUTE
        for second in (at.replace(microsecond=0) for at, _ in starts):
            self.low = self.low or second in (since, minute)
            self.high = self.high or second == until
            if short and not since <= second <= until:
                self.precision = MINUTE
            if self.precision is None and not reply.full and second.second and minute == _minute(until):
                self.precision = SECOND  # who counts in minutes gives :00 alone, or all of this one, which is full

    def _answer(self, search: Mapping[str, Any]) -> Answer:
        """Return the answer to a search, asked with fewer fields where this host refuses some of them."""
        first: RefusedError | None = None
        while True:
            try:
                answer = self._patiently({"format": "JSON", "fields": [*self.fields[0]], "search": search})
            except RefusedError as error:
                first = first or error
                if self.proven or len(self.fields) == 1:
                    raise first from None
                self.fields = self.fields[1:]
                continue
            if first is not None and self.once("fields"):
                missing = ", ".join(name for name in FIELDS[0] if name not in self.fields[0])
                self.client.log("note", f"{TITLE} does not know all fields here: asking without {missing}")
            self.proven = True
            return answer

    def _patiently(self, body: Mapping[str, Any]) -> Answer:
        """Return the answer to a request, which is repeated while the host says that it is asked too fast."""
        patience = self.client.patience()
        waits = itertools.chain(WAITS, itertools.repeat(WAITS[-1]))
        while True:
            try:
                return self.client.ask(Request("POST", self.settings.base_url, json=body), patience=patience)
            except TooFastError as error:
                self.client.slow_down("page", CAREFUL)
                wait = next(waits)
                self.client.wait_to_retry(patience, error, max(WAITS[0], min(wait, patience.left)))
            except TemporaryError as error:
                if error.status is not None and _WEB_PAGE.search(error.message):
                    raise ProviderError(
                        f"{TITLE} answered with a web page instead of JSON",
                        hint="check base_url: it usually ends in /hub/cdr/",
                        status=error.status,
                    ) from None
                raise

    def pieces(self, reply: Reply) -> Iterator[Event]:
        """Yield the records of an answer, in pages by how far their times are ahead of UTC.

        Those that share call, type and date are in pages of their own.
        """
        if self.zone is None and any(map(zoneless, reply.records)):
            yield from self._zone_learnt(reply.records)
        by_offset: defaultdict[int, list[Record]] = defaultdict(list)
        for record in reply.records:
            by_offset[self._offset(record)].append(record)
        for offset, records in by_offset.items():
            yield from _grouped(records, {OFFSET: str(offset)} if offset else {})

    def _offset(self, record: Record) -> int:
        """Return the seconds that the `Date` of a record is ahead of UTC."""
        wall = wall_time(record)
        if wall is None:
            return 0
        own = own_start(record)
        if own is not None:
            by = offset_seconds(wall, own)
            return by if abs(by) <= FARTHEST.total_seconds() and by % QUARTER.seconds == 0 else 0
        zone = zone_named(self.zone or "UTC")
        first = in_zone(wall, zone)
        again = repeated(wall, zone)
        return offset_seconds(wall, first + again if again and not self._is_first(record, first, again) else first)

    # Times without a zone

    def _learn_zone(self, reply: Reply, until: datetime) -> None:
        """Keep what records show of the zone of times without one."""
        self.shown |= shown(reply.records)
        now = self.client.clock.now() - (self.client.ahead or timedelta(0))
        candidates = (self.zone,) if self.zone is not None else (ISRAEL, "UTC")
        for record in reply.records:
            if not zoneless(record):
                continue
            self.to_come = self.to_come or beyond(record, UTC, now)
            for name in candidates:
                if name not in self.beyond and beyond(record, zone_named(name), until):
                    self.beyond[name] = f"{pick(record, 'Date')} in the answer to a request until {rfc3339(until)}"

    def _zone_learnt(self, records: Sequence[Record]) -> Iterator[Event]:
        """Yield a note of the zone of times without one, found out from the records of an answer.

        Where no record proves it, one call is asked for again: for the two hours that begin with its time read as
        Israel's, and for those that begin with it read as UTC. It is in one of the two answers.

        Raises:
            IncompleteError: The answers do not prove one zone.
        """
        proof = "records that have both forms of their start prove it"
        name = next(iter(self.shown)) if len(self.shown) == 1 else None
        if name is None and not self.shown:
            name = self._zone_asked(records) or self._zone_asked(self._calls_near(records))
            proof = "calls that were asked for again by their time prove it"
            if name is None and len(self.beyond) == 1:
                name = "UTC" if ISRAEL in self.beyond else ISRAEL
                proof = "the other reading is wrong for " + next(iter(self.beyond.values()))
        if name not in ("UTC", ISRAEL) or name in self.beyond or (name == "UTC" and self.to_come):
            why = "; ".join(
                [
                    *(f"{known} is wrong for {what}" for known, what in sorted(self.beyond.items())),
                    *(f"some records prove {known}" for known in sorted(self.shown)),
                ]
            )
            raise IncompleteError(
                f"{TITLE} sends times without a zone, and its answers do not prove which it is"
                + (f" ({why})" if why else ""),
                hint=f'set date_zone = "{ISRAEL}" or date_zone = "UTC" in the profile, as the portal shows the calls',
            )
        self.zone = name
        meaning = "UTC" if name == "UTC" else f"Israel's time ({ISRAEL})"
        yield Note(
            f"{TITLE} sends times without a zone: they are taken as {meaning}, because {proof}; "
            f'with date_zone = "{name}" in the profile this is not asked for'
        )

    def _zone_asked(self, records: Sequence[Record]) -> str | None:
        """Return the zone by whose reading of its time a call is listed, or None."""
        israel = zone_named(ISRAEL)
        known = [
            (wall, one)
            for one in records
            if zoneless(one) and span(one) < TWO_HOURS / 2 and (wall := wall_time(one)) is not None
        ]
        known.sort(key=lambda one: (is_ambiguous(one[0], israel), span(one[1])))
        for wall, record in known[:CALLS_ASKED_AGAIN]:
            as_israel, as_utc = (self._listed(record, in_zone(wall, zone)) for zone in (israel, UTC))
            if as_israel != as_utc:
                # A host that takes a request's times for Israel's lists calls that are to come by UTC.
                both_in_israel = self.to_come and "UTC" not in self.beyond
                return ISRAEL if as_israel or both_in_israel else "UTC"
        return None

    def _calls_near(self, records: Sequence[Record]) -> list[Record]:
        """Return calls of the days around those of an answer: one may be short enough to be asked for again."""
        walls = [wall for one in records if zoneless(one) and (wall := wall_time(one)) is not None]
        middle = _minute(min(walls).replace(tzinfo=UTC))
        around = tile(Window(middle - DAY, middle + DAY), DAY)
        found = (reply or self.partial for day in around for _, reply in by_halving(day, self.whole, MINUTE))
        return [record for reply in found for record in reply.records]

    def _listed(self, record: Record, at: datetime) -> bool:
        """Return whether a record is listed within two hours of an instant."""
        wanted = identity(record)
        around = Window(_minute(at) - MINUTE, _minute(at) + TWO_HOURS)
        return any(
            wanted in map(identity, (reply or self.partial).records)
            for _, reply in by_halving(around, self.whole, MINUTE)
        )

    def _is_first(self, record: Record, first: datetime, again: timedelta) -> bool:
        """Return whether a call with a time of a repeated hour is of the first of the two.

        It is, if it is listed before the second one may have begun. A call that lasted until then cannot be told, and
        is taken as of the second.
        """
        quarter = first - (first - EPOCH) % QUARTER
        if quarter not in self.firsts:
            found: set[str] = set()
            for _, reply in by_halving(Window(quarter, quarter + again - SECOND), self.whole, MINUTE):
                found.update(map(identity, (reply or self.partial).records))
            self.firsts[quarter] = frozenset(found)
        return identity(record) in self.firsts[quarter]

    def contradictions(self) -> Iterator[Event]:
        """Yield a gap, once, where the zone in use cannot be that of a call that came."""
        if self.zone is None or self.contradicted:
            return
        evidence = self.beyond.get(self.zone)
        if evidence is None and self.to_come and self.zone == "UTC":
            evidence = "calls whose times are in the future"
        if evidence is not None:
            self.contradicted = True
            yield Gap(
                f"{TITLE} sends times without a zone; they were read as {self.zone}, which is wrong for {evidence}: "
                "calls at the edges of the window may be missing",
                f'set date_zone in the profile, for example to "{ISRAEL}"',
            )


def _grouped(records: Sequence[Record], context: Mapping[str, str]) -> Iterator[Page]:
    """Yield records, those that share call, type and date in pages of their own, each with what tells it apart."""
    groups: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[identity(record)].append(record)
    if len(groups) == len(records):
        yield Page(records, context)
        return
    plain: list[tuple[str, Record]] = []
    others: list[tuple[str, Record]] = []
    for group in groups.values():
        prints = [fingerprint(record) for record in group]
        for record, digest in zip(group, prints, strict=True):  # the same one is plain whatever the order
            (plain if digest == min(prints) else others).append((digest, record))
    yield Page([record for _, record in plain], context)
    yield from _apart(others, context)


_WEB_PAGE = re.compile(r"not whole JSON, beginning ['\"]\s*<")
"""How the client says that a good answer was no JSON."""


def _apart(others: Iterable[tuple[str, Record]], context: Mapping[str, str] | None = None) -> Iterator[Page]:
    """Yield records that share their key with another one, each with what tells it apart."""
    for digest, record in others:
        yield Page([record], {**(context or {}), "record_hash": digest[:12]})


def _by_seconds(way: Way, minute: Window, wanted: Window) -> Generator[Event, None, bool]:
    """Yield what can be had of a minute that an answer cannot hold, and say what cannot; return whether that is all.

    Hosts of the first version drop the seconds of a bound: half a minute of theirs is a whole one, or its first
    instant. What they answer for less than a minute is worth nothing, however small, until a record has shown that
    they count in seconds.
    """
    first = way.partial
    parts: list[tuple[Window, Reply, bool]] = []
    for half in halve(minute, SECOND) or ():
        for part, reply in _seconds(way, half):
            parts.append((part, reply or way.partial, reply is not None))
    if way.precision == SECOND:
        for part, reply, whole in parts:
            yield from way.pieces(reply)
            if not whole and _matters(way, part, wanted):
                yield _gap(part)
        return any(whole for _, _, whole in parts)
    tried, whole = way.alone(minute.since, MINUTE) if way.precision == MINUTE else ([], False)
    for reply in (first, *(reply for _, reply, _ in parts), *tried):
        yield from way.pieces(reply)
    if not whole and _matters(way, minute, wanted):
        yield _gap(minute)
    return whole


def _seconds(way: Way, half: Window) -> Iterator[tuple[Window, Reply | None]]:
    """Yield the parts of half a minute, down to seconds, for as long as there is a sense in that."""
    full = 0
    if way.precision == MINUTE:
        return
    for part, reply in by_halving(half, way.second, SECOND):
        yield part, reply
        full += reply is None
        if way.precision == MINUTE or (way.precision is None and full >= FULL_SECONDS):
            return


def _matters(way: Way, part: Window, wanted: Window) -> bool:
    """Return whether calls that started in the wanted window may be among those listed for a part.

    Nothing is listed before it starts; after it has, only where windows are not laid on starts.
    """
    return part.until > wanted.since and (part.since < wanted.until or not way.by_start)


def _gap(part: Window) -> Gap:
    when = f"at {rfc3339(part.since)}"
    if part.duration > SECOND:
        when = f"from {rfc3339(part.since)} to {rfc3339(part.until)}"
    return Gap(
        f"{TITLE} has more calls that started {when} than it gives in one answer",
        "ask for parts of them with --type, --extension, --phone or --queue",
    )


def _wire(instant: datetime) -> str:
    """Return an instant as the Call Log takes it: GMT, in seconds, without a zone (page "Call Log": GMT+0)."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S")


# What is asked for


def _search(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the search keys of the options that were given; the later ones of them are unknown to older hosts.

    Raises:
        UsageError: A value can match nothing.
    """
    found: dict[str, Any] = {
        "phones": [_phone(text) for text in options.get("phone") or ()],
        "extensions": [_named("extension", text) for text in options.get("extension") or ()],
        "IdentityCriteria": _identity_criteria(options.get("identity")),
        "callID": _named("call-id", options["call_id"]) if options.get("call_id") is not None else None,
        "cdrTypes": [_type_number(text) for text in options.get("type") or ()],
        "campaignID": [_number("campaign", text) for text in options.get("campaign") or ()],
        "queueID": [_number("queue", text) for text in options.get("queue") or ()],
    }
    return {key: value for key, value in found.items() if value}


def _named(option: str, text: str) -> str:
    if not text.strip():
        raise UsageError(f"--{option} needs a value", hint="leave it out to have all calls")
    return text.strip()


def _phone(text: str) -> str:
    digits = re.sub(r"[\s().+-]", "", text)
    if not (digits.isascii() and digits.isdigit()):
        raise UsageError(
            f"--phone {text!r} is not a telephone number",
            hint="write it with its country code, such as 972722776772; Israeli ones also as 0722776772",
        )
    return digits


def _identity_criteria(text: str | None) -> str | None:
    if text is None:
        return None
    for word in IDENTITIES:
        if fold(text) == fold(word):
            return word
    raise UsageError(f"--identity {text!r} is not known", hint=f"it is one of {', '.join(IDENTITIES)}")


_NUMBER = re.compile(r"\s*[0-9]{1,18}\s*", re.ASCII)


def _number(option: str, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise UsageError(f"--{option} {text!r} is not a number", hint=f"Voicenter knows a {option} by its number")
    return int(text)


def _type_number(text: str) -> int:
    if _NUMBER.fullmatch(text):
        return int(text)
    numbers = {fold(name): number for number, name in TYPES.items()}
    if fold(text) not in numbers:
        known = ", ".join(f"{number} {name}" for number, name in TYPES.items())
        raise UsageError(f"--type {text!r} is not a type of call", hint=f"by number or name: {known}")
    return numbers[fold(text)]


# Reading answers


class TooFastError(TemporaryError):
    """Error 1: more requests than a minute allows."""


class FullError(ProviderError):
    """Error 3: more records than an answer can hold."""


class RangeError(ProviderError):
    """Error 5: the range of dates is not accepted."""


class RefusedError(ProviderError):
    """The request is refused for a reason that has no number of its own."""


def explain(answer: Answer) -> CdrctlError | None:
    """Return what an answer means when it is not a good one, or None.

    Errors are in the body, whatever the status; which status they come with is not published.
    """
    number = error_number(answer.body)
    words, status = _words(answer), answer.status
    match number:
        case None if answer.good:
            return ProviderError(
                f"{TITLE} answered in a shape we do not know: there is no ERROR_NUMBER in it",
                hint="check base_url; if it is right, the API has changed: update cdrctl",
            )
        case None | 0 if status == 400:
            return RefusedError(f"{TITLE} refused the request (HTTP 400)", said=words, status=status)
        case None | 0:
            error = error_of(TITLE, answer)
            if isinstance(error, SignInError):
                error.hint = _CREDENTIALS
            return error
        case 1:
            return TooFastError(
                f"{TITLE} limits requests to {MINUTELY.requests} a minute, and does not answer yet",
                said=words,
                hint="another program may be asking with the same code; nothing is lost: run it again later",
                status=status,
            )
        case 2:
            return SignInError(
                f"{TITLE} does not accept this code or token", said=words, hint=_CREDENTIALS, status=status
            )
        case 3:
            return FullError(f"{TITLE} has more calls than it gives in one answer", said=words, status=status)
        case 4:
            address = re.search(r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b|[0-9a-f]*:[0-9a-f:]+", words or "")
            return AddressError(
                f"your address {address[0]} is not authorised" if address else "your IP address is not authorised",
                said=words,
                hint=_ADMITS,
                status=status,
            )
        case 5:
            return RangeError(f"{TITLE} refuses the range of dates", said=words, status=status)
        case _:
            return RefusedError(f"{TITLE} refused the request (error {number})", said=words, status=status)


_ADMITS = "add it in CPanel → API Settings → Authorized IPs, or use a bearer token (access_token)"
_CREDENTIALS = (
    "check code, or access_token: make a new one in Voicenter's back office; how long a bearer token is good for is "
    "not published"
)


def error_number(body: Any) -> int | None:
    """Return the number of the error that an answer names, 0 for none, or None where it has no such number."""
    if isinstance(body, dict):
        with suppress(ValueError):
            return read_integer(pick(body, "ERROR_NUMBER"))
    return None


def _words(answer: Answer) -> str | None:
    words = pick(answer.body, "ERROR_DESCRIPTION") if isinstance(answer.body, dict) else None
    return words if isinstance(words, str) and words else said(answer)


def read_reply(answer: Answer, client: Client) -> Reply:
    """Return what an answer without an error holds.

    The two counters are compared with each other: the documentation's own sample counts two records and shows one.

    Raises:
        ProviderError: There is no list of records in it.
    """
    body: Mapping[str, Any] = answer.body
    held = [value for name, value in body.items() if name.casefold() == "cdr_list"]
    hits, returned = _count(answer.body, "TOTAL_HITS"), _count(answer.body, "RETURN_HITS")
    if held == [None] and not hits and not returned:
        return NOTHING
    records = check_records(held[0] if held else None, "CDR_LIST", TITLE)
    if returned is not None and returned != len(records):
        level: Literal["debug", "warning"] = "warning" if returned > len(records) else "debug"
        client.log(level, f"{TITLE} counts {returned} records in an answer that holds {len(records)}")
    short = hits is not None and returned is not None and returned < hits
    return Reply(records, short or len(records) >= MOST_RECORDS)


def _count(body: Record, key: str) -> int | None:
    with suppress(ValueError):
        return read_integer(pick(body, key))
    return None


def trusts(settings: VoicenterSettings, url: str) -> bool:
    """Return whether a URL is the profile's own address."""
    return same_origin(settings.base_url, url)


# Signing in


def sign_in(settings: VoicenterSettings, _ended: Token | None, _now: datetime) -> Generator[Request, Answer, Token]:
    """Return the profile's code or token, which are used as they are: neither can be renewed.

    Page "Authentication": the code goes into the request; "Call Log": a bearer token into a header in its place.
    """
    yield from ()
    if settings.code is not None:
        return Token({}, fields={"code": settings.code.get_secret_value()})
    if settings.access_token is not None:
        return Token({"Authorization": f"Bearer {settings.access_token.get_secret_value()}"})
    raise SignInError(f"this profile has no credential for {TITLE}", hint="set code or access_token")


def sign(ask: Request, token: Token) -> Request:
    """Return the request with the code at the top of its body, never in a URL, or with the token in its headers."""
    body = {**token.fields, **ask.json} if token.fields else ask.json
    return replace(ask, json=body, headers={**ask.headers, **token.headers})


def ended(_answer: Answer) -> bool:
    """Return that no answer means that a new token is to be had: `explain` says what it does mean."""
    return False


def nothing(_path: str, _body: Any) -> Any:
    """Return the answer of a window without calls."""
    return {"ERROR_NUMBER": 0, "ERROR_DESCRIPTION": "OK", "TOTAL_HITS": 0, "RETURN_HITS": 0, "CDR_LIST": []}


def check(client: Client, settings: VoicenterSettings) -> str:
    """Return what one small request found."""
    until = _minute(client.clock.now() - SETTLED)
    asked = Window(until - timedelta(hours=1), until)
    try:
        reply = Way(client, settings, {}).ask(asked.since - SECOND, asked.until, listed=False)
    except FullError:
        reply = Reply([], full=True)
    names = new_fields(reply.records, COLUMNS)
    if names:
        client.log("warning", new_fields_warning(TITLE, "cdrs", names))
    records = f"more than {MOST_RECORDS} records" if reply.full else number_of_records(len(reply.records))
    return f"signed in; {records} between {rfc3339(asked.since)} and {rfc3339(asked.until)}"


# Captured notifications

RECORDS_AT_ONCE = 1000
DEEPEST = 200
"""Lists and objects within each other that a notification may have."""

LONGEST_NOTIFICATION = 64 * 1024 * 1024
"""Bytes of one notification, which are held in memory."""

_FORM = re.compile(r"\s*[A-Za-z_]\w*=")
"""How a body begins that is encoded as a form."""

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{},"]|[^\s\[\]{},"]++')

# What may come next between the objects of a file: from where we are, and a token, to where we are then.
_BETWEEN: Mapping[tuple[str, str], str] = {
    ("outside", "{"): "outside",
    ("outside", "["): "opened",
    ("opened", "{"): "element",
    ("opened", "]"): "outside",
    ("element", ","): "comma",
    ("element", "]"): "outside",
    ("comma", "{"): "element",
}


def notifications(
    _client: None, _settings: None, _window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield the notifications of a file, whole: one JSON object, a list, object after object, or a form in each line.

    Raises:
        UsageError: The file is something else, and in which line.
    """
    known: dict[bytes, str] = {}
    unreadable: list[int] = []
    plain: list[Record] = []
    others: list[tuple[str, Record]] = []
    for line, text in _objects(options["file"], unreadable):
        record = _notification(line, text)
        key = hashlib.blake2b(notification_identity(record).encode("utf-8", "surrogatepass"), digest_size=12).digest()
        digest = fingerprint(record)
        if known.setdefault(key, digest[:16]) == digest[:16]:
            plain.append(record)
        else:
            others.append((digest, record))
        if len(plain) + len(others) >= RECORDS_AT_ONCE:
            yield Page(plain)
            yield from _apart(others)
            plain, others = [], []
    yield Page(plain)
    yield from _apart(others)
    if unreadable:
        which = ", ".join(map(str, unreadable[:3])) + (", …" if len(unreadable) > 3 else "")
        yield Note(f"bytes that are not UTF-8 were replaced by U+FFFD, in line {which}")


def _objects(lines: Iterable[bytes], unreadable: list[int]) -> Iterator[tuple[int, str]]:
    """Yield every object of a file as text, with the number of its first line.

    The numbers of lines that are not UTF-8 are added to `unreadable`.

    Brackets are counted outside of strings, which hold no line ends in JSON; whether what is between them is JSON is
    not looked at.
    """
    place, depth, begun, number = "outside", 0, 0, 0
    text: list[str] = []
    held = 0
    for number, raw in enumerate(lines, 1):
        held = _checked(begun if depth else number, len(raw) + (held if depth else 0))
        line = _decoded(number, raw, unreadable)
        if place == "outside" and not depth and (form := _form(number, line)) is not None:
            yield number, form
            continue
        left = 0
        for match in _TOKEN.finditer(line):
            token = match[0]
            if not depth:
                if (place, token) not in _BETWEEN:
                    what = repr(token) if len(token) == 1 else "something else"  # what it says may be personal data
                    _broken(number, f"{what} stands where a notification should begin or end")
                place = _BETWEEN[place, token]
                if token == "{":
                    depth, begun, left, text = 1, number, match.start(), []
            elif token in {"{", "["}:
                depth += 1
                if depth > DEEPEST:
                    _broken(number, f"there are more than {DEEPEST} lists and objects within each other")
            elif token in {"}", "]"}:
                depth -= 1
                if not depth:
                    yield begun, "".join([*text, line[left : match.end()]])
            elif token == '"':
                _broken(number, "a text has no end")
        if depth:
            text.append(line[left:])
    _check_end(max(number, 1), begun, "".join(text) if depth else "", outside=place == "outside")


def _check_end(line: int, begun: int, text: str, *, outside: bool) -> None:
    """Refuse a file that ends within a notification, of which this text came, or within a list."""
    if text:
        _parsed(begun, text)
    if text or not outside:
        _broken(line, "the file ends in the middle")


def _checked(line: int, size: int) -> int:
    if size > LONGEST_NOTIFICATION:
        _broken(line, f"a notification has more than {LONGEST_NOTIFICATION // 2**20} MiB")
    return size


def _form(number: int, line: str) -> str | None:
    """Return a body that is encoded as a form as JSON, or None where it is none."""
    if line.lstrip().startswith("<"):
        _broken(number, "it is XML, which cannot be read: choose JSON for the notifications at Voicenter")
    if not _FORM.match(line):
        return None
    return json.dumps(dict(parse_qsl(line.strip(), keep_blank_values=True, errors="replace")))


def _decoded(number: int, raw: bytes, unreadable: list[int]) -> str:
    encoding = "utf-8-sig" if number == 1 else "utf-8"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        unreadable.append(number)
        return raw.decode(encoding, "replace")


def _notification(line: int, text: str) -> Record:
    record = _parsed(line, text)
    keys = {key.casefold() for key in record}
    if not keys & _NOTIFIED:
        what = "it is an answer of the Call Log" if "cdr_list" in keys else "none of its fields is one"
        _broken(line, f"this is no CDR notification: {what}")
    return record


def _parsed(line: int, text: str) -> Record:
    try:
        record: Record = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        _broken(line + error.lineno - 1, f"{error.msg} (column {error.colno} of what begins in line {line})")
    except ValueError as error:
        _broken(line, str(error).partition(";")[0])
    return record


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _broken(line: int, why: str) -> NoReturn:
    raise UsageError(
        f"the notifications cannot be read: line {line}: {why}",
        hint="the file must hold the JSON bodies as Voicenter sent them: one object, a list, one object after the "
        "other, or a form (name=value&…) in each line",
    )


# The record


def fold(text: Any) -> str:
    """Return a word of a list without blanks and letter case, which vary; what is no text is no word."""
    return re.sub(r"\s+", "", text).casefold() if isinstance(text, str) else ""


def identity(record: Record) -> str:
    """Return the call, the type and the date of a record; one without a call id is known by all it says.

    The call id alone is not enough: the two legs of a Click2Call share it (page "Call Log", call types).
    """
    return _joined(pick(record, "CallID"), pick(record, "CdrType"), pick(record, "Type"), start(record)) or fingerprint(
        record
    )


def notification_identity(record: Record) -> str:
    """Return the call, the type and the time of a notification; one without a call id is known by all it says."""
    at = None
    with suppress(ValueError):
        at = unix_instant(pick(record, "time"))
    return _joined(pick(record, "ivruniqueid"), None, pick(record, "type"), at) or fingerprint(record)


def _joined(call_id: Value, number: Value, kind: Value, at: datetime | str | None) -> str | None:
    """Return the key of a record from values as they came or as columns give them, or None without a call id."""
    if not isinstance(call_id, str | int) or call_id == "":
        return None
    with suppress(ValueError):
        kind = read_integer(number)
    when = rfc3339(at) if isinstance(at, datetime) else at or ""
    return f"{call_id}:{fold(kind) or kind or ''}:{when}"


def read_unix_time(raw: Any) -> str:
    """Return Unix seconds as an instant in the contract's form; a date in words is read as one."""
    try:
        return rfc3339(unix_instant(raw))
    except ValueError:
        return read_iso_time(raw)


def read_agorot(raw: Any) -> str:
    """Return an amount of agorot, of which 100 are 1 ILS, as money, with all its digits."""
    sign_bit, digits, exponent = Decimal(read_decimal(raw)).as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 - read_decimal lets no infinity through
    return format(Decimal((sign_bit, digits, exponent - 2)), "f")


def read_yes(raw: Any) -> bool:
    """Return true or false, which come as a boolean, as 0 and 1, or as words."""
    with suppress(ValueError):
        return read_boolean(raw)
    word = str(raw).strip().casefold()
    if word in {"1", "yes", "0", "no"}:
        return word in {"1", "yes"}
    raise ValueError


_HASH = Column(
    "record_hash", "@record_hash", "text", "tells apart records that share call, type and date; empty for the first"
)

# "Call log (Version 0.1)", parameter `fields`; page "Call Log", response fields.
COLUMNS: tuple[Column, ...] = (
    Column("date", "Date", "time", "start of the call", read_in=read_date),
    Column("date_epoch", "DateEpoch", "integer", "start of the call as Unix seconds"),
    Column("type", "Type", "text", "type of the call; spelling varies"),
    Column("cdr_type", "CdrType", "integer", "number of the type"),
    Column("did", "DID", "text", "number of the account that was called, incoming only"),
    Column("caller_number", "CallerNumber", "text", "number shown to the destination"),
    Column("caller_extension", "CallerExtension", "text", "SIP code of the calling extension"),
    Column("target_number", "TargetNumber", "text", "destination number"),
    Column("target_extension", "TargetExtension", "text", "SIP code of the answering extension"),
    Column("target_prefix_name", "TargetPrefixName", "text", "destination's prefix: a country or network"),
    Column("duration", "Duration", "seconds", "seconds of talk; for queue calls waiting may be in it"),
    Column("price", "Price", "money", "what the call cost, in ILS; sent in agorot", read=read_agorot),
    Column("record_url", "RecordURL", "text", "where the recording is (MP3); open to whoever has it"),
    Column("record_expect", "RecordExpect", "boolean", "whether a recording is expected", read=read_yes),
    Column("representative_name", "RepresentativeName", "text", "user the call belongs to"),
    Column("representative_code", "RepresentativeCode", "text", "id of that user"),
    Column("user_name", "UserName", "text", "user name"),
    Column("user_id", "UserId", "text", "user id"),
    Column("dtmf_data", "DTMFData", "list", "menu keys pressed: LayerName, DTMF, LayerNumber"),
    Column("call_id", "CallID", "text", "id of the call, which its legs share"),
    Column("queue_name", "QueueName", "text", "queue"),
    Column("dial_status", "DialStatus", "text", "result of the call (enum)"),
    Column("dial_status2", "DialStatus2", "text", "second status, undocumented; older hosts only"),
    Column("ring_time", "RingTime", "seconds", "seconds of ringing"),
    Column("custom_data", "CustomData", "list", "free data, such as OriginalIvrUniqueID"),
    Column("department_name", "DepartmentName", "text", "account or department"),
    Column("department_id", "DepartmentId", "text", "id of that"),
    _HASH,
)

_OLDER_ONLY = {"DialStatus2"}
_NEWER_ONLY = {"DateEpoch", "CdrType", "UserName", "UserId"}
_ALL = tuple(column.key for column in COLUMNS if column is not _HASH)
FIELDS: tuple[tuple[str, ...], ...] = (
    _ALL,
    tuple(name for name in _ALL if name not in _OLDER_ONLY),
    tuple(name for name in _ALL if name not in _NEWER_ONLY),
)
"""The fields to ask for: all that are known; without the older ones; without the newer ones."""

# Asked for whatever is written: what makes a record this record, and what tells it from another of the same key.
_ALWAYS = frozenset(
    {
        *("Date", "DateEpoch", "Type", "CdrType", "CallID", "CallerNumber", "CallerExtension", "TargetNumber"),
        *("TargetExtension", "Duration", "DialStatus", "RingTime", "RepresentativeCode"),
    }
)


def _lists_of_fields(chosen: Sequence[str] | None) -> Sequence[Sequence[str]]:
    """Return the lists of fields that may be asked for, of the columns chosen or of all."""
    if chosen is None or "extra" in chosen or _HASH.name in chosen:
        return FIELDS
    wanted = {column.key for column in COLUMNS if column.name in chosen} | _ALWAYS
    return [[name for name in fields if name in wanted] for fields in FIELDS]


# "Call log (Version 0.1)", second table "CDR request parameters", 1 to 23.
_FIRST_NOTIFIED: tuple[Column, ...] = (
    Column("caller", "caller", "text", "number shown to the destination"),
    Column("target", "target", "text", "destination: a number with its country code, or a SIP code"),
    Column("time", "time", "time", "start of the call", read=read_unix_time),
    Column("duration", "duration", "seconds", "seconds of talk; today for queue calls with the waiting"),
    Column("ivruniqueid", "ivruniqueid", "text", "id of the call, which its legs share"),
    Column("type", "type", "text", "type of the call; spelling varies"),
    Column("status", "status", "text", "result of the call (enum)"),
    Column("targetextension", "targetextension", "text", "SIP code of the extension that answered"),
    Column("callerextension", "callerextension", "text", "SIP code of the extension that called"),
    Column("did", "did", "text", "number of the account that was called"),
    Column("queueid", "queueid", "text", "id of the queue; 0 for none"),
    Column("queuename", "queuename", "text", "queue"),
    Column("record", "record", "text", "where the recording is; open to whoever has it"),
    Column("price", "price", "money", "what the call cost, in ILS; sent in agorot", read=read_agorot),
    Column("dialtime", "dialtime", "seconds", "seconds of ringing"),
    Column("representative_name", "representative_name", "text", "user the call belongs to"),
    Column("representative_code", "representative_code", "text", "id of that user"),
    Column("targetextension_name", "targetextension_name", "text", "name of the extension that answered"),
    Column("callerextension_name", "callerextension_name", "text", "name of the extension that called"),
    Column("target_country", "target_country", "text", "country that was called"),
    Column("caller_country", "caller_country", "text", "country that called"),
    Column("seconds_waiting_in_queue", "seconds_waiting_in_queue", "seconds", "seconds of waiting, queue calls only"),
    Column("original_ivr_unique_id", "OriginalIvrUniqueID", "text", "id of the call this one was transferred from"),
)
# Page "CDR notification"; names of the departments above and of campaigns from programs that receive them.
_LATER_NOTIFIED: tuple[Column, ...] = (
    Column("direction", "direction", "text", "incoming, outgoing or internal"),
    Column("exten_user", "extenUser", "text", "SIP code of the user; empty where none was reached"),
    Column("caller_phone", "callerPhone", "text", "number of the other party"),
    Column("is_answer", "isAnswer", "boolean", "whether the call was answered", read=read_yes),
    Column("actual_call_duration", "actualCallDuration", "seconds", "seconds of talk alone"),
    Column("actual_call_dialtime", "actualCallDialtime", "seconds", "seconds of ringing alone"),
    Column("department_name", "DepartmentName", "text", "account or department"),
    Column("department_id", "DepartmentID", "text", "id of that"),
    Column("top_department_name", "TopDepartmentName", "text", "department above it"),
    Column("top_department_id", "TopDepartmentID", "text", "id of that"),
    Column("campaign_id", "campaignID", "text", "id of the dialer's campaign"),
    Column("campaign_code", "campaignCode", "text", "code of the campaign"),
    Column("campaign_name", "campaignName", "text", "name of the campaign"),
    Column("campaign_type_id", "campaignTypeID", "text", "id of the kind of campaign"),
    Column("campaign_type_name", "campaignTypeName", "text", "kind of campaign"),
    Column("leg1_dial_status_name", "leg1DialStatusName", "text", "result of leg 1"),
    Column("dialer_data", "dialerData", "list", "of the dialer: CampaignID, RetryNum, RetryAmount and others"),
    Column("status_name", "StatusName", "text", "result that the dialer gave the call"),
    Column("phone", "Phone", "text", "number in the dialer's list"),
    Column("call_inserted", "CallInserted", "text", "when the number was put into the dialer's list"),
    Column("retry_num", "RetryNum", "integer", "number of this attempt of the dialer"),
    Column("retry_amount", "RetryAmount", "integer", "attempts that the dialer may make"),
    Column("is_do_not_call_me", "IsDoNotCallMe", "boolean", "whether the number must not be called", read=read_yes),
    Column("custom_data", "CustomData", "list", "free data"),
    Column("ivr", "IVR", "list", "menus: layer_id, layer_name, layer_number, Dtmf, dtmf_order"),
    Column("ai_data", "aiData", "list", "insights, emotions and transcript"),
)
NOTIFIED: tuple[Column, ...] = (*_FIRST_NOTIFIED, *_LATER_NOTIFIED, _HASH)
_NOTIFIED = {column.key.casefold() for column in _FIRST_NOTIFIED}

# Page "Call Log", `CdrType`. The numbers before the names in "Call log (Version 0.1)" are those of its rows.
TYPES: Mapping[int, str] = {
    1: "Incoming Call",
    4: "Extension Outgoing",
    8: "Queue",
    9: "Click2Call leg1",
    10: "Click2Call leg2",
    11: "VoiceMail",
    13: "XferCDR",
    14: "ProductiveCall Leg1",
    15: "ProductiveCall Leg2",
    17: "Click 2 IVR",
    18: "Click 2 IVR Incoming",
    19: "Click 2 Queue Incoming",
    21: "Attended CDR leg1",
    22: "Attended CDR leg2",
    23: "Auto forward",
}
# By what the documents say of the types; those that are not here may go either way.
DIRECTIONS: Mapping[str, str] = {
    fold(name): direction
    for direction, names in {
        "inbound": ("Incoming Call", "Queue", "VoiceMail", "Click 2 IVR Incoming", "Click 2 Queue Incoming"),
        "outbound": ("Extension Outgoing", "CC", "Click2Call leg2", "ProductiveCall Leg2", "FaxCdr"),
        "internal": ("Click2Call leg1", "ProductiveCall Leg1", "Click 2 IVR"),
        "unknown": (
            *("XferCDR", "Attended CDR leg1", "Attended CDR leg2", "Auto forward"),
            *("Callference", "Scrubber"),
        ),
    }.items()
    for name in names
}
QUEUES = frozenset({"queue", "click2queueincoming"})
OUTCOMES: Mapping[str, str] = {
    "answer": "answered",
    "voicemail": "voicemail",
    "busy": "busy",
    "full": "busy",
    "noanswer": "no_answer",
    "cancel": "cancelled",
    "notdialed": "cancelled",
    "notcalled": "cancelled",
    "sswpreauth": "cancelled",
    "abandone": "abandoned",
    "voend": "abandoned",
    "timeout": "abandoned",
    "exit": "abandoned",
    "joinempty": "abandoned",
    "congestion": "failed",
    "chanunavail": "failed",
    "invalidargs": "failed",
}


_STATUSES = frozenset({*OUTCOMES, "te"})
"""All that is known: of another one nobody can say whether the call was answered."""


def common(row: dict[str, Value]) -> dict[str, Value]:
    """Return a record of the Call Log as a common CDR."""
    kind = fold(row["type"])
    if kind not in DIRECTIONS:
        kind = fold(TYPES.get(row["cdr_type"])) or kind
    direction = DIRECTIONS.get(kind, "unknown")
    inbound, outbound = direction == "inbound", direction == "outbound"
    started = row["date"]
    with suppress(ValueError):
        started = rfc3339(unix_instant(row["date_epoch"])) if row["date_epoch"] else started
    return {
        "record_id": _record_id(_joined(row["call_id"], row["cdr_type"], row["type"], started), row),
        "call_id": row["call_id"],
        "direction": direction,
        "from_number": row["caller_number"] or row["caller_extension"],
        "from_name": row["representative_name"] if outbound else None,
        "to_number": row["target_number"] or row["target_extension"] or (row["did"] if inbound else None),
        "to_name": row["representative_name"] if inbound else None,
        "dialed_number": row["did"] if inbound else row["target_number"] if outbound else None,
        **_course(kind, row["dial_status"], None, started, row["ring_time"], row["duration"], row["duration"]),
        "cause": row["dial_status"],
        "user": row["representative_name"] or row["user_name"],
        "site": row["department_name"],
        "queue": row["queue_name"],
        "recording_url": row["record_url"],
        "cost": row["price"],
        "currency": "ILS" if row["price"] is not None else None,
    }


def common_notification(row: dict[str, Value]) -> dict[str, Value]:
    """Return a notification as a common CDR."""
    kind = fold(row["type"])
    words = {"incoming": "inbound", "outgoing": "outbound", "internal": "internal"}
    direction = words.get(fold(row["direction"])) or DIRECTIONS.get(kind, "unknown")
    talk = row["actual_call_duration"]
    if talk is None:
        talk = _talk(kind, row)
    ring = row["dialtime"] if row["actual_call_dialtime"] is None else row["actual_call_dialtime"]
    lasted = talk if row["duration"] is None else row["duration"]
    return {
        "record_id": _record_id(_joined(row["ivruniqueid"], None, row["type"], row["time"]), row),
        "call_id": row["ivruniqueid"],
        "direction": direction,
        "from_number": row["caller"],
        "from_name": row["callerextension_name"],
        "to_number": row["target"],
        "to_name": row["targetextension_name"],
        "dialed_number": {"inbound": row["did"], "outbound": row["target"]}.get(direction),
        **_course(kind, row["status"], row["is_answer"], row["time"], ring, lasted, talk),
        "cause": row["status"],
        "user": row["representative_name"],
        "site": row["department_name"],
        "queue": row["queuename"],
        "recording_url": row["record"],
        "cost": row["price"],
        "currency": "ILS" if row["price"] is not None else None,
    }


def _talk(kind: str, row: dict[str, Value]) -> Value:
    """Return the seconds of talk in `duration`, which for queue calls holds the waiting too in today's form.

    "Call log (Version 0.1)", field 4, says that it is talk alone; the page "CDR notification" says otherwise. Today's
    form is known by any of the fields that came with it.
    """
    waited = row["seconds_waiting_in_queue"]
    today = any(row[column.name] is not None for column in _LATER_NOTIFIED)
    if not today or kind not in QUEUES or not isinstance(row["duration"], int) or not isinstance(waited, int):
        return row["duration"]
    return max(0, row["duration"] - waited)


def _record_id(key: str | None, row: dict[str, Value]) -> str | None:
    return ":".join(filter(None, (key, row["record_hash"]))) or None


def _course(
    kind: str, status: Value, is_answer: Value, started: Value, ring: Value, lasted: Value, talk: Value
) -> dict[str, Value]:
    """Return when a call was answered and ended, how long it was, and how it ended.

    Args:
        kind: Its type, folded.
        status: Its status as it came.
        is_answer: Whether it was answered, where the provider says so itself.
        started: The start.
        ring: Seconds of ringing.
        lasted: Seconds after the ringing; for a call in a queue, where nothing may ring, all of them.
        talk: Seconds of talk, the last of these.
    """
    word = fold(status)
    outcome = "voicemail" if kind == "voicemail" else OUTCOMES.get(word, "unknown")
    answered: bool | None = is_answer if isinstance(is_answer, bool) else None
    if kind == "voicemail" or (word == "voicemail" and isinstance(talk, int) and talk > 0):
        answered = True  # the box took the call, whether or not a person did
    elif answered is None and word == "voicemail":
        answered = None if talk is None else False
    elif answered is None and word in _STATUSES:
        answered = word == "answer"
    if (outcome == "answered") != (answered is True) and outcome in {"answered", "unknown"}:
        outcome = "answered" if answered else "unknown"
    ring = ring if isinstance(ring, int) else None
    talk = talk if isinstance(talk, int) else None
    rung = 0 if ring is None and kind in QUEUES else ring
    total = rung + lasted if isinstance(rung, int) and isinstance(lasted, int) else None
    before = max(0, total - talk) if total is not None and talk is not None else None
    return {
        "start_time": started,
        "answer_time": _later(started, before) if answered else None,
        "end_time": _later(started, total),
        "ring_seconds": ring,
        "talk_seconds": None if talk and answered is False else talk,
        "total_seconds": total,
        "answered": answered,
        "outcome": outcome,
    }


def _later(instant: Value, seconds: int | None) -> str | None:
    if seconds is not None:
        with suppress(ValueError, OverflowError):
            return rfc3339(iso_instant(instant) + timedelta(seconds=seconds))
    return None


GIVES = Gives(
    outcomes=frozenset({"unknown", *OUTCOMES.values()}),
    directions=frozenset(DIRECTIONS.values()),
    null=frozenset({"cause_q850", "trunk"}),
)


# What the rest of the program is told

PROVIDER = Provider(
    name="voicenter",
    title=TITLE,
    settings=VoicenterSettings,
    auth_methods={"code": ("code",), "token": ("access_token",)},
    sign_in=sign_in,
    retry_policy=RetryPolicy(budgets={"*": MINUTELY, "page": SPACED}, waits={429: WAITS[0]}),
    error_for=explain,
    allows_url=trusts,
    sign=sign,
    ended=ended,
    empty_response=nothing,
    check=check,
    key_settings=("code", "access_token"),
    # www.voicenter.com, API pages "Authentication" and "Call Log".
    credential_help={
        "code": Console(
            "the organisation's code, for addresses that are authorised",
            (
                "Voicenter provides the code: it is in their back office.",
                "In CPanel, API Settings, Authorized IPs, add the address of this machine.",
            ),
            "A code reads the calls of the whole account.",
        ),
        "token": Console(
            "a bearer token, from any address",
            ("Make one in Voicenter's back office; how long it is good for is not published.",),
        ),
    },
    allow_list_hint=_ADMITS,
    retention_note="no limit is published",
    calls=(
        Call(
            name="cdrs",
            about="Call Log of a period (hub/cdr): one record per call, and per leg where a call has two.",
            columns=COLUMNS,
            expected=Expected(required=frozenset({"call_id", "date"})),
            fetch=cdrs,
            identity=identity,
            start_in=start_in,
            alike=("date", "type", "cdr_type", "caller_number", "target_number"),
            lag=SETTLED,
            longest=DAY,
            margin=DAY,
            apart=lambda options: max(MINUTE, options["longest_window"]),  # one request, and less would be more of them
            common=common,
            gives=GIVES,
            options=(
                Option("phone", "only calls with this number; may be repeated", repeat=True, metavar="NUMBER"),
                Option("extension", "only calls of this extension, by its SIP code; may be repeated", repeat=True),
                Option(
                    "identity",
                    "whose calls: Account, Hierarchical, Department or User",
                    metavar="WHOSE",
                    values=IDENTITIES,
                ),
                Option("call_id", "only the records of this call", metavar="ID"),
                Option(
                    "type",
                    "only this type of call, by number or name; may be repeated",
                    repeat=True,
                    values=tuple(TYPES.values()),
                ),
                Option("queue", "only calls of this queue, by its number; may be repeated", repeat=True, metavar="N"),
                Option("campaign", "only calls of this campaign, by number; may be repeated", repeat=True, metavar="N"),
                Option(
                    "longest_window",
                    "how much is asked for at a time; it is halved where an answer cannot hold it",
                    kind="duration",
                    default="1d",
                ),
                Option(
                    "longest_call",
                    "how long after its start a call's record may be saved: as much more is asked for",
                    kind="duration",
                    default="24h",
                ),
            ),
            table_columns=(
                *("date", "caller_number", "target_number", "duration", "dial_status", "type"),
                *("representative_name", "queue_name", "price", "ring_time", "did", "department_name"),
            ),
            outcome_columns=("dial_status", "dial_status2"),
            examples=(
                "cdrctl voicenter cdrs -p sandbox --since yesterday --until today --schema common -o calls.csv",
                "cdrctl voicenter cdrs -p sandbox --since 24h --extension SIPSIP7 | jq -s 'map(.duration) | add'",
            ),
        ),
        Call(
            name="notifications",
            about="Push notifications that were captured: one JSON object, a list, or one object per line.",
            columns=NOTIFIED,
            fetch=notifications,
            identity=notification_identity,
            common=common_notification,
            gives=GIVES,
            options=(Option("file", "where they are; - is standard input", kind="file", argument=True),),
            table_columns=(
                *("time", "caller", "target", "duration", "status", "type", "representative_name", "queuename"),
                *("price", "dialtime", "seconds_waiting_in_queue", "did", "department_name"),
            ),
            outcome_columns=("status",),
            offline=True,
            examples=(
                'echo \'{"caller": "0720000001"}\' | cdrctl voicenter notifications -',
                'echo \'{"caller": "0720000001"}\' > a.json && cdrctl voicenter notifications a.json --schema common',
            ),
        ),
    ),
)
