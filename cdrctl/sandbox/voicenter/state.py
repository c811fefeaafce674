"""The state of the imitated Voicenter: the exchange, the clock, the switches, and the records made so far."""

from __future__ import annotations

from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.exchange.clock import MINUTE, SECOND, delay, is_gone, longest_delay, milliseconds
from cdrctl.sandbox.exchange.parties import Call
from cdrctl.sandbox.voicenter.calls import cdrs_of
from cdrctl.sandbox.voicenter.cdr import Cdr
from cdrctl.sandbox.voicenter.fields import CURRENT_FIELDS, SEED_FIELDS
from cdrctl.sandbox.voicenter.stories import cdrs_of_story
from cdrctl.sandbox.voicenter.switches import SWITCHES
from cdrctl.sandbox.wire import Clock


class State:
    """The exchange, the clock, the switches as they are set, and the records made so far."""

    def __init__(self, exchange: Exchange, now: Clock, *, limits: bool) -> None:
        self.exchange = exchange
        self.now = now
        self.switched: dict[str, str] = {name: switch.default for name, switch in SWITCHES.items()}
        self.switched["limits"] = "on" if limits else "off"
        self._cdrs: dict[str, list[Cdr]] = {}

    @property
    def time(self) -> int:
        """The time by the clock, in Unix milliseconds."""
        return milliseconds(self.now())

    @property
    def is_current(self) -> bool:
        """Whether the service is today's, not version 0.1."""
        return self.switched["generation"] == "current"

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a record in the service's own order."""
        return CURRENT_FIELDS if self.is_current else SEED_FIELDS

    @property
    def lag(self) -> int:
        """The milliseconds from the end of a call to its record."""
        return int(self.switched["lag"]) * MINUTE

    def saved_at(self, one: Cdr) -> int:
        """Tell when a record was saved, in Unix milliseconds."""
        return one.end + one.late + self.lag + delay(self.switched["late"], "late", f"{one.id} {one.type}")

    def longest_wait(self) -> int:
        """Return an upper bound on the milliseconds from the start of a call until its record is saved."""
        return self.exchange.longest + self.lag + longest_delay(self.switched["late"]) + MINUTE

    def cdrs_between(self, lo: int, hi: int, lag: int = 0) -> list[Cdr]:
        """List the records that ended `lag` ago or earlier, by second of start in `[lo, hi)` Unix milliseconds."""
        now, late, share = self.time, self.switched["late"], self.switched["dropped"]
        calls = self.exchange.calls_between(lo - self.exchange.longest - SECOND, hi + SECOND)
        found = [
            one
            for call in calls
            if call.end + SECOND >= lo
            for one in self._cdrs_of(call)
            if lo <= one.second * SECOND < hi
            and one.end + one.late + lag + delay(late, "late", f"{one.id} {one.type}") <= now
            and not is_gone(share, f"{one.id} {one.type}", one.end, now)
        ]
        found.sort(key=lambda one: (one.start, one.id, one.type))
        return found

    def _cdrs_of(self, call: Call) -> list[Cdr]:
        """Give the records of a call; they are the same for every request, so they are cached."""
        name = f"{call.id} {self.switched['original']} {self.switched['parked']}" if call.story else call.id
        known = self._cdrs.get(name)
        if known is None:
            if call.story and call.legs[0].party.kind == "outside":
                chained, transfers = self.switched["original"] == "chain", self.switched["parked"] == "transfer"
                known = cdrs_of_story(call, chained=chained, transfers=transfers)
            else:
                known = cdrs_of(call)
            self._cdrs[name] = known
        return known
