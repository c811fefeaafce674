"""A run: its requests, and what it has learnt of the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, field

from cdrctl.errors import ProviderError, TemporaryError
from cdrctl.fetchers import Once, always
from cdrctl.fetchers.voicenter.answers import NOTHING, FullError, RangeError, RefusedError, Reply, read_reply
from cdrctl.fetchers.voicenter.bounds import DAY, MINUTE, SECOND, Bounds, whole_minute
from cdrctl.fetchers.voicenter.columns import FIELDS
from cdrctl.fetchers.voicenter.settings import TITLE, VoicenterSettings
from cdrctl.fetchers.voicenter.zone import calls_in_seconds, proved_starts, span
from cdrctl.fetchers.voicenter.zone_evidence import ZoneEvidence, evidence_for
from cdrctl.http import Answer, Client, Request
from cdrctl.records.events import Record
from cdrctl.windows import Window, rfc3339

SETTLED = timedelta(minutes=10)
"""Records come "a few minutes" after the end of a call (page "Call Log")."""


class Run(Struct):
    """The requests of one run, and what was learnt of the host.

    Args:
        search: The search criteria beside the window.
        zones: What is known of the zone of times without one.
        fields: The lists of fields that may be requested, the one in use first.
        proven: Whether this host has accepted the list in use.
        bounds: What is known of the bounds of a request.
        partial: The last full answer.
        once: True for the first part of the window that reports something.
        reported: What this run has reported, so that it is not repeated.
    """

    client: Client
    settings: VoicenterSettings
    search: Mapping[str, Any]
    zones: ZoneEvidence
    fields: Sequence[Sequence[str]] = field(default_factory=lambda: FIELDS)
    proven: bool = False
    bounds: Bounds = field(default_factory=Bounds)
    partial: Reply = NOTHING
    once: Once = always
    reported: set[str] = field(default_factory=set)

    def whole(self, window: Window) -> Reply | None:
        """Return all records of a window, or None if a response cannot hold them.

        Whether the bounds of a request belong to it is not published. So it begins a second before the window (a minute
        if the host drops seconds), and `todate` is the first instant after it. Records that come twice are dropped as
        duplicates.

        Raises:
            ProviderError: The host refuses the range.
        """
        self.partial = NOTHING
        try:
            reply = self._ask_up_to_now(window.since - SECOND, window.until)
        except FullError:
            return None
        except RangeError as error:
            if window.duration >= DAY:  # the request was a second longer
                return None
            raise ProviderError(
                f"{TITLE} refused the range {rfc3339(window.since)} to {rfc3339(window.until)} (times are sent in GMT)",
                said=error.said,
                hint="try a later --since or a shorter --longest-window; how long calls are kept is not published",
                status=error.status,
            ) from None
        if reply.full:
            self.partial = reply
            return None
        return reply

    def _ask_up_to_now(self, since: datetime, until: datetime) -> Reply:
        """Return the records of a window, without its future part if the host refuses that."""
        try:
            return self.ask(since, until)
        except RangeError:
            now = whole_minute(self.client.clock.now(), up=True)
            if until <= now:
                raise
            return self.ask(since, now) if since < now else NOTHING

    def second(self, window: Window) -> Reply | None:
        """Return all records of a window that may be as short as a second, or None if a response cannot hold them."""
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
        """Request one second or minute alone; return the responses, and whether they surely have all of its records.

        Which bounds select it depends on whether bounds belong to the window. Only records can prove that, and only if
        requests select calls by their start.
        """
        tried: list[Reply] = []
        for lo, hi in ((since, since), (since, since + unit), (since - unit, since)):
            with suppress(FullError, RangeError):
                reply = self.ask(lo, hi)
                tried.append(reply)
                if not reply.full and self.bounds.by_start and self._holds(reply, since, lo, hi, unit):
                    return tried, True
        return tried, False

    def _holds(self, reply: Reply, since: datetime, lo: datetime, hi: datetime, unit: timedelta) -> bool:
        return self.bounds.hold(self._starts(reply), since, lo, hi, unit)

    def _starts(self, reply: Reply) -> Sequence[datetime]:
        proved = proved_starts(reply.records)
        if proved is not None:
            return proved
        return [at for at in map(self.zones.start, reply.records) if at is not None]

    def ask(self, since: datetime, until: datetime, *, listed: bool = True) -> Reply:
        """Return the records from one second to another; without `listed`, the service chooses the fields.

        Raises:
            FullError: There are more than a response can hold.
            RangeError: The host refuses the range.
        """
        search = {"fromdate": _wire_time(since), "todate": _wire_time(until), **self.search}
        try:
            answer = self._answer(search) if listed else self._post({"format": "JSON", "search": search})
            reply = read_reply(answer, self.client, self._first)
        except FullError:
            self._learn(Reply([], full=True), since, until)
            raise
        starts = self._starts(reply)
        begun_within = any(since - SETTLED <= at <= until for at in starts)  # nearly always of the first call
        if starts and not (begun_within or any(self._touches(since, until, record) for record in reply.records)):
            self.client.log(  # a cache may have answered: nothing else would show it
                "warning",
                f"{TITLE} was queried for {rfc3339(since)} to {rfc3339(until)} but sent only calls from "
                f"{rfc3339(min(starts))} to {rfc3339(max(starts))}",
            )
        self.zones.learn(reply.records, until, self.client.clock.now() - (self.client.ahead or timedelta(0)))
        self._learn(reply, since, until)
        return reply

    def _touches(self, since: datetime, until: datetime, record: Record) -> bool:
        """Return whether a call may have been in progress, or just saved, within a window."""
        at = self.zones.start(record)
        return at is None or (at - MINUTE <= until and since <= at + span(record) + SETTLED + MINUTE)

    def _learn(self, reply: Reply, since: datetime, until: datetime) -> None:
        starts, lengths = calls_in_seconds(reply.records, self.zones.start)
        self.bounds.learn(reply, starts, lengths, since, until)

    def _first(self, name: str) -> bool:
        """Return whether no request of the window has reported something before."""
        first = name not in self.reported and self.once(name)
        self.reported.add(name)
        return first

    def _answer(self, search: Mapping[str, Any]) -> Answer:
        """Return the response to a search, with fewer fields if this host refuses some of them."""
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
                self.client.log("note", f"{TITLE} does not know all fields: requesting them without {missing}")
            self.proven = True
            return answer

    def _post(self, body: Mapping[str, Any]) -> Answer:
        """Return the response to a request.

        Raises:
            ProviderError: It is a web page.
        """
        try:
            return self.client.ask(Request("POST", self.settings.base_url, json=body, records=("CDR_LIST",)))
        except TemporaryError as error:
            if error.code == "web_page":
                raise ProviderError(
                    f"{TITLE} answered with a web page instead of JSON",
                    hint="check base_url: it usually ends in /hub/cdr/",
                    status=error.status,
                ) from None
            raise


def begin_run(
    client: Client,
    settings: VoicenterSettings,
    search: Mapping[str, Any],
    fields: Sequence[Sequence[str]] = FIELDS,
    once: Once = always,
) -> Run:
    """Return a run that has learnt nothing yet."""
    return Run(client, settings, search, evidence_for(settings.date_zone), fields, once=once)


def _wire_time(instant: datetime) -> str:
    """Return an instant in the form of the Call Log: GMT, in seconds, without a zone (page "Call Log": GMT+0)."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S")
