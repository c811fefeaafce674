"""What a leg contributes to the call that it belongs to, whatever its provider.

Each provider has a function from a record to its parts (see `Call.parts`). A record of one leg has one part; a record
that tells of a queue and of the person who answered has two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from msgspec import Struct, field

from cdrctl.records.events import Value

Role = Literal["caller", "callee", "service"]
"""`caller`: the party placed this leg. `callee`: it was rung. `service`: a queue, menu, group or box took the call."""

Party = Literal["person", "outside", "queue", "menu", "group", "service", "voicemail", "machine"]
"""`service`: a queue, menu or group; the provider does not tell which. `machine`: something else that answers."""

Values = dict[str, Value]
"""Typed values of a record by column name."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Part(NamedTuple):
    """What one leg contributes to a call. Instants are Unix milliseconds.

    Args:
        id: The id of the record.
        names: Ids that stand for this leg or its call.
        links: Ids of other legs that belong to the same call.
        expected: Those of the links whose legs have records of their own.
        role: Whether the party of the leg called, was called, or is a service.
        party: What kind of party it is.
        start: When the leg began; None if unknown.
        answer: When it was answered; None if it was not, or if the time is unknown.
        end: When it ended; None if unknown.
        answered: Whether it was answered by anything; None if the provider does not tell.
        talk: Seconds of talk as the provider tells them.
        outcome: The outcome of the leg, as in the common CDR.
        number: The number of the party.
        name: The name of the party.
        from_outside: Whether the leg's caller is outside; None if unknown.
        from_number: The number of the leg's caller.
        from_name: The name of the leg's caller.
        to_number: The number that the leg called.
        dialed: The number as dialled.
        transfer: How this party passed the call on: `blind`, `consulted` or `unknown`; empty if it did not.
        queue: The name of the queue that the leg came through.
        hold: Seconds on hold.
        user: The user that the leg belongs to.
        site: The site of the leg.
        trunk: The trunk of the leg.
        recordings: The links to its recordings.
        cost: What the leg cost, a decimal number as text.
        currency: The currency of the cost.
        elsewhere: It rang, and another party answered.
        in_progress: The call was in progress when the record was made.
        handed: The party left because it passed the call on, so that another part must follow.
        came: The part came from a transfer, so that another part must precede it.
    """

    id: str
    names: tuple[str, ...]
    links: tuple[str, ...]
    role: Role
    party: Party
    start: int | None
    answer: int | None
    end: int | None
    answered: bool | None
    talk: int | None
    outcome: str
    number: str | None
    name: str | None
    from_outside: bool | None
    from_number: str | None
    from_name: str | None
    to_number: str | None
    dialed: str | None = None
    transfer: str = ""
    queue: str | None = None
    hold: int | None = None
    user: str | None = None
    site: str | None = None
    trunk: str | None = None
    recordings: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    cost: str | None = None
    currency: str | None = None
    elsewhere: bool = False
    in_progress: bool = False
    handed: bool = False
    came: bool = False


def _usual(*_values: Value) -> bool:
    return True


class Shape(Struct, frozen=True):
    """Which columns the mapping of a record compares, and which it passes on; see `calls.templates`.

    Args:
        key: The columns that make the id of a record.
        kinds: Columns with few different values, whose values decide something.
        free: Columns of text whose values are passed on, or whose presence decides something.
        times: Columns of time that decide by their presence only, the start first.
        unix: Those of the times that are Unix seconds.
        lengths: Columns of seconds, the longest first; whether they are zero may decide something.
        ids: Those of the free columns that hold ids, which `clean` makes equal where they are the same.
        clean: From a column of ids to ids.
        looks: Free columns whose look decides something: a function of the value, and what a mark of each look begins
            with.
        same: Pairs of free columns whose equality decides something.
        nested: Columns of lists or objects: functions to the text that matters, and from that text to such a value.
        examined: The columns that `usual` takes.
        usual: Returns whether times and lengths are in order; else the record is mapped by itself.
    """

    key: tuple[str, ...]
    kinds: tuple[str, ...]
    free: tuple[str, ...]
    times: tuple[str, ...]
    unix: frozenset[str] = frozenset()
    lengths: tuple[str, ...] = ()
    ids: frozenset[str] = frozenset()
    clean: Callable[[Sequence[Value]], Sequence[Value]] | None = None
    looks: tuple[tuple[str, Callable[[Value], Value], Mapping[Value, str]], ...] = ()
    same: tuple[tuple[str, str], ...] = ()
    nested: Mapping[str, tuple[Callable[[Value], Value], Callable[[str], Value]]] = field(default_factory=dict)
    examined: tuple[str, ...] = ()
    usual: Callable[..., bool] = _usual

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns that the mapping uses."""
        return tuple(dict.fromkeys((*self.kinds, *self.free, *self.times, *self.lengths)))


class Joins(Struct, frozen=True):
    """How the records of a call of the API join into whole calls.

    Args:
        parts: From native values and the common CDR of one record to its parts.
        lacks: Columns of a call that no record tells of, or not of every call, each with the reason; `reached` is
            whether the network brought a call to the far end.
        doubts: Figures that the records do not give exactly, each with what is counted wrongly.
        same: From the id of a record to a key that a record of another call of the API has too if both tell of the same
            event; None if there are no such records. The later call of a provider's tells more.
        shape: What the columns of a record are to the mapping; None to map each record by itself.
    """

    parts: Callable[[Values, Values], list[Part]]
    lacks: Mapping[str, str] = field(default_factory=dict)
    doubts: Mapping[str, str] = field(default_factory=dict)
    same: Callable[[str], str] | None = None
    shape: Shape | None = None


def milliseconds(instant: Value) -> int | None:
    """Return an instant as Unix milliseconds, or None if it is null or cannot be read."""
    if not isinstance(instant, str):
        return None
    try:
        return round((datetime.fromisoformat(instant) - _EPOCH) / timedelta(milliseconds=1))
    except (ValueError, TypeError):
        return None


def text(value: Value) -> str | None:
    """Return a value if it is text that is not empty."""
    return value if isinstance(value, str) and value else None


def whole(value: Value) -> int | None:
    """Return a value if it is a whole number that is not negative."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
