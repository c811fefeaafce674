"""A run: its requests, what it has learnt of the service, and which records it has had."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cdrctl.errors import IncompleteError, ProviderError, TemporaryError
from cdrctl.fetchers import Once, always
from cdrctl.fetchers.voicenter.answers import (
    NOTHING,
    FullError,
    RangeError,
    RefusedError,
    Reply,
    read_reply,
)
from cdrctl.fetchers.voicenter.columns import FIELDS, identity
from cdrctl.fetchers.voicenter.settings import TITLE, VoicenterSettings
from cdrctl.fetchers.voicenter.zone import (
    FARTHEST,
    ISRAEL,
    LEARN,
    OFFSET,
    beyond,
    in_zone,
    is_ambiguous,
    offset_seconds,
    own_start,
    repeated,
    shown,
    span,
    start,
    talk,
    wall_time,
    zone_named,
    zoneless,
)
from cdrctl.http import Answer, Client, Request, by_halving
from cdrctl.records.events import Event, Gap, Note, Page, Record, fingerprint, pick
from cdrctl.windows import EPOCH, Window, rfc3339, tile

SETTLED = timedelta(minutes=10)
"""Records come "a few minutes" after the end of a call (page "Call Log")."""

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
QUARTER = timedelta(minutes=15)

TWO_HOURS = timedelta(hours=2) - 2 * MINUTE
"""Israel's time is at least two hours ahead of UTC: what is shorter tells the two readings of a time apart."""
CALLS_ASKED_AGAIN = 3
"""So many calls are asked for again to find out in which zone times are."""


def whole_minute(instant: datetime, *, up: bool = False) -> datetime:
    """Return an instant cut, or with `up` rounded up, to a whole minute."""
    whole = instant.replace(second=0, microsecond=0)
    return whole + MINUTE if up and whole != instant else whole


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
            now = whole_minute(self.client.clock.now(), up=True)
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
            answer = self._answer(search) if listed else self._post({"format": "JSON", "search": search})
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
        minute = whole_minute(since)
        if minute == whole_minute(until):
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
            if self.precision is None and not reply.full and second.second and minute == whole_minute(until):
                self.precision = SECOND  # who counts in minutes gives :00 alone, or all of this one, which is full

    def _answer(self, search: Mapping[str, Any]) -> Answer:
        """Return the answer to a search, asked with fewer fields where this host refuses some of them."""
        first: RefusedError | None = None
        while True:
            try:
                answer = self._post({"format": "JSON", "fields": [*self.fields[0]], "search": search})
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

    def _post(self, body: Mapping[str, Any]) -> Answer:
        """Return the response to a request.

        Raises:
            ProviderError: It is a web page.
        """
        try:
            return self.client.ask(Request("POST", self.settings.base_url, json=body))
        except TemporaryError as error:
            if error.code == "web_page":
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
        middle = whole_minute(min(walls).replace(tzinfo=UTC))
        around = tile(Window(middle - DAY, middle + DAY), DAY)
        found = (reply or self.partial for day in around for _, reply in by_halving(day, self.whole, MINUTE))
        return [record for reply in found for record in reply.records]

    def _listed(self, record: Record, at: datetime) -> bool:
        """Return whether a record is listed within two hours of an instant."""
        wanted = identity(record)
        around = Window(whole_minute(at) - MINUTE, whole_minute(at) + TWO_HOURS)
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
    yield from apart_of(others, context)


def apart_of(others: Iterable[tuple[str, Record]], context: Mapping[str, str] | None = None) -> Iterator[Page]:
    """Yield records that share their key with another one, each with what tells it apart."""
    for digest, record in others:
        yield Page([record], {**(context or {}), "record_hash": digest[:12]})


def _wire(instant: datetime) -> str:
    """Return an instant as the Call Log takes it: GMT, in seconds, without a zone (page "Call Log": GMT+0)."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S")
