"""The records that the PBX stores of a call: a CDR, call logs and a recording, with their ids."""

from __future__ import annotations

from dataclasses import dataclass

from cdrctl.sandbox.exchange.parties import Call, Leg
from cdrctl.sandbox.portsip.calls import extra_microseconds, targets
from cdrctl.sandbox.portsip.times import MILLI

EPOCH = 1_514_764_800_000
"""Unix milliseconds of 1 January 2018: real ids are the milliseconds since, times 2**22."""

LOW_BITS = 22
SESSION, CDR, LOG, RECORDING = range(4)
"""The kinds of record, in the lowest two bits of an id."""

_KIND_BITS, _LEG_BITS, _CALL_MASK = 2, 6, 0x3FFF


@dataclass(frozen=True, slots=True)
class Record:
    """A CDR, call log or recording: begins at `start`, Unix microseconds, exists from `seen`, Unix milliseconds."""

    start: int
    seen: int
    number: int
    session: int
    call: Call
    leg: Leg | None = None

    @property
    def kind(self) -> int:
        """CDR, LOG or RECORDING."""
        return self.number & 3


def records_of(kind: str, call: Call, nth: int, *, apart: bool = False) -> list[Record]:
    """Return the records of a call: one CDR, a log for each target, or its recording if it has one.

    With `apart`, consultations and retrievals of stories have a session of their own.
    """
    more = extra_microseconds(call)
    session = _number(call, nth, 0, SESSION)
    if kind == "cdrs":
        return [Record(call.start * MILLI + more, call.end, session + CDR, session, call)]
    if kind == "recordings":
        leg = next((one for one in call.legs if one.recorded), None)
        if leg is None:
            return []
        begun = leg.start if leg.answer is None else leg.answer
        return [Record(begun * MILLI, call.end, session + RECORDING, session, call, leg)]
    return [
        Record(
            leg.start * MILLI + more,
            call.end + leg.late,
            _number(call, nth, n, LOG),
            _number(call, nth, leg.session, SESSION) if apart and call.story and leg.apart else session,
            call,
            leg,
        )
        for n, leg in enumerate(targets(call))
        if not leg.lost
    ]


def _number(call: Call, nth: int, leg: int, kind: int) -> int:
    """Return an id: milliseconds since 2018, then which call of that millisecond, which leg, which kind of record."""
    low = (nth & _CALL_MASK) << (_LEG_BITS + _KIND_BITS) | leg << _KIND_BITS | kind
    return (call.start - EPOCH) << LOW_BITS | low


def call_start(number: int) -> int:
    """Return the start of the call that an id belongs to, in Unix milliseconds."""
    return (number >> LOW_BITS) + EPOCH


def call_position(number: int) -> int:
    """Return the position of an id's call among the calls that start in the same millisecond."""
    return number >> (_LEG_BITS + _KIND_BITS) & _CALL_MASK
