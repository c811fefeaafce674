"""The rows of calls: parts of legs are sorted, joined, folded, and cut to a window on the start of the call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from cdrctl.calls.columns import CALL
from cdrctl.calls.folding import FoldedCall, fold, is_short, sum_of, wait
from cdrctl.calls.joining import REACH, JoinedCall, join
from cdrctl.export.identity import stable_keys
from cdrctl.records.events import Row, Value
from cdrctl.records.parts import Part
from cdrctl.sorting import sort_pages
from cdrctl.windows import Window, rfc3339

PAGE = 250
"""How many rows are yielded at once."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1000
_MINUTE = 60 * _SECOND
EDGE, OPEN = "edge", "open"


class Told(Struct, frozen=True):
    """What is known of all calls of a profile.

    Args:
        provider: The provider's name.
        profile: The profile's name.
        window: The window on the start of the call; None for all calls.
        known: The window whose legs were read; None for all legs. A call that reaches beyond it may be incomplete.
        reach: How long after the end of a call another leg may join it.
        boxes: Numbers of voicemail boxes, where the provider does not mark them.
        queues: Names or numbers of queues, where the provider does not tell them from other services.
        now: When the legs were read; None if that is not known. Legs may still join calls that ended shortly before.
    """

    provider: str
    profile: str
    window: Window | None = None
    known: Window | None = None
    reach: timedelta = REACH
    boxes: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset()
    now: datetime | None = None


def call_rows(pages: Iterable[Sequence[Any]], told: Told) -> Generator[list[Row], None, None]:
    """Yield pages of rows, one for each call that began in the window, in the order of their starts.

    Args:
        pages: Pages of parts, in any order, as `mapping.parts_schema` returns them.
        told: What is known of all calls.

    Raises:
        OutputError: The temporary files cannot hold the parts.
    """
    in_order = (Part._make(row) for page in sort_pages(pages, _start) for row in page)
    found: list[Row] = []
    for call in join(with_marks(in_order, told.boxes, told.queues), told.reach):
        if not _is_wanted(call, told.window):
            continue
        found.append(row_of(_at_edge(fold(call), told), told))
        if len(found) == PAGE:
            yield found
            found = []
    if found:
        yield found


def _start(row: Sequence[Any]) -> tuple[bool, int]:
    start = row[_START]
    return start is None, start or 0


_START = Part._fields.index("start")


def with_marks(parts: Iterable[Part], boxes: frozenset[str], queues: frozenset[str]) -> Iterable[Part]:
    """Return parts in which what the user named as boxes and queues is that.

    Args:
        parts: The parts.
        boxes: Numbers of voicemail boxes.
        queues: Names or numbers of queues.
    """
    return (_marked(part, boxes, queues) for part in parts) if boxes or queues else parts


def _marked(part: Part, boxes: frozenset[str], queues: frozenset[str]) -> Part:
    if part.number in boxes and part.role != "caller":
        return part._replace(role="service", party="voicemail", user=None)
    if part.role == "service" and not queues.isdisjoint({part.name, part.number, part.queue}):
        return part._replace(party="queue")
    return part


def _is_wanted(call: JoinedCall, window: Window | None) -> bool:
    """Return whether a call began in a window. One without a start may be of any window."""
    start = call.parts[0].start
    return window is None or start is None or window.holds(_EPOCH + timedelta(milliseconds=start))


def _at_edge(call: FoldedCall, told: Told) -> FoldedCall:
    """Return a call, marked if legs that were not read, or that are yet to come, may belong to it."""
    if call.why not in {"", "missing_leg"} or call.start is None:
        return call
    reach = told.reach / timedelta(milliseconds=1)
    if told.now is not None and (call.start if call.end is None else call.end) + reach > _milliseconds(told.now):
        return call._replace(why=OPEN)
    if told.known is None:
        return call
    since, until = (_milliseconds(one) for one in (told.known.since, told.known.until))
    first = call.start - since < reach and call.first.role != "caller"
    if (first and call.why) or (call.end is not None and call.end >= until):
        return call._replace(why=EDGE)
    return call


def _milliseconds(at: datetime) -> int:
    return int((at - _EPOCH) / timedelta(milliseconds=1))


def row_of(call: FoldedCall, told: Told) -> Row:
    """Return the row of a call, in the order of `columns.CALL`."""
    values = {**_parties(call), **_figures(call), **_sums(call)}
    ids = list(dict.fromkeys([call.first.id, *(one.id for one in call.parts)]))
    values |= {
        "provider": told.provider,
        "profile": told.profile or None,
        "call_id": call.first.id,
        "start_time": _instant(call.start),
        "answer_time": _instant(call.answer),
        "end_time": _instant(call.end),
        "direction": call.direction,
        "outcome": call.outcome,
        "complete": not call.why,
        "why": call.why or None,
        "replaces": ids[1:] or None,
        "leg_ids": ids,
        "path": path_of(call),
    }
    return [values[column.name] for column in CALL]


def _parties(call: FoldedCall) -> dict[str, Value]:
    first, by = call.first, call.answered_by
    user = (by.user if by is not None else None) or next((one.user for one in call.parts if one.user), None)
    return {
        "from_number": first.from_number,
        "from_name": first.from_name,
        "to_number": next((one.to_number for one in call.parts if one.to_number), None),
        "dialed_number": next((one.dialed for one in call.parts if one.dialed), None),
        "answered_by": None if by is None else by.name or by.number,
        "rang": list(dict.fromkeys(one.name or one.number for one in call.rang if one.name or one.number)),
        "queue": None if call.queue is None else call.queue.queue or call.queue.name,
        "user": user,
        "site": next((one.site for one in call.parts if one.site), None),
        "trunk": next((one.trunk for one in call.parts if one.trunk), None),
    }


def _figures(call: FoldedCall) -> dict[str, Value]:
    legs = len({one.id for one in call.parts})
    return {
        "queue_wait_seconds": call.queue_wait,
        "wait_seconds": wait(call),
        "talk_seconds": call.talk,
        "hold_seconds": sum_of([one for one in call.parts if one.role != "service"], "hold"),
        "transfers": call.transfers,
        "transfer": call.transfer or None,
        "legs": legs,
        "network_answered": call.network_answered,
        "short": is_short(call),
    }


def _sums(call: FoldedCall) -> dict[str, Value]:
    links = list(dict.fromkeys(link for one in call.parts for link in one.recordings))
    amounts = call.costs
    currencies = ",".join(sorted(one for one in amounts if one)) or None
    return {
        "recording_urls": links or None,
        "cost": format(next(iter(amounts.values())), "f") if len(amounts) == 1 else None,
        "currency": currencies,
    }


def _instant(at: int | None) -> str | None:
    """Return an instant as text: of the minute, which many instants share, and of the milliseconds in it."""
    if at is None:
        return None
    minute, rest = divmod(at, _MINUTE)
    return f"{_minute(minute)}{rest // _SECOND:02d}.{rest % _SECOND:03d}Z"


@functools.lru_cache(4096)
def _minute(number: int) -> str:
    """Return a minute since 1970 as text up to its seconds."""
    return rfc3339(_EPOCH + timedelta(minutes=number))[: -len("00.000Z")]


def path_of(call: FoldedCall) -> list[dict[str, Value]]:
    """Return the steps of a call: each service that took it, and each person who talked, or rang if nobody did."""
    talked = [one for one in call.parts if one.role == "callee" and one.answered]
    steps = [one for one in call.parts if one.role == "service" and one.answered is not False]
    steps += talked or [one for one in call.rang if not one.elsewhere]
    ordered = sorted(steps, key=lambda one: (one.start is None, one.start or 0, one.answer or 0))
    found = []
    for at, step in enumerate(ordered):
        after = ordered[at + 1] if at + 1 < len(ordered) else None
        found.append(
            {
                "kind": step.party if step.role == "service" else "talk" if step.answered else "rang",
                "name": step.name,
                "number": step.number,
                "start": _instant(step.start if step.answer is None or step.role == "service" else step.answer),
                "seconds": _seconds(step, after),
            }
        )
    return found


def _seconds(step: Part, after: Part | None) -> int | None:
    """Return the seconds of a step: a service has the call until the next step begins, or is answered."""
    if step.role != "service" and step.talk is not None and step.answered:
        return step.talk
    since = step.start if step.answer is None else step.answer
    until = step.end
    if step.role == "service" and step.end is None:
        return None
    if step.role == "service" and after is not None:
        handed = after.answer if after.answer is not None and step.party in {"queue", "group"} else after.start
        until = handed if until is None or (handed is not None and handed < until) else until
    if since is None or until is None or until < since:
        return None
    return (until - since) // _SECOND


def story(path: Sequence[Mapping[str, Value]]) -> str:
    """Return the steps of a call as people read them: `menu 0:12 → queue Sales 0:31 → Ann 3:02`."""
    words = []
    for step in path:
        kind, name = str(step["kind"]), step["name"] or step["number"] or ""
        who = f"{name} rang" if kind == "rang" else str(name) if kind == "talk" else f"{kind} {name}".strip()
        seconds = step["seconds"]
        length = "" if seconds is None else f" {seconds // 60}:{seconds % 60:02d}"
        words.append(f"{who}{length}".strip())
    return " → ".join(words)


def for_people(page: list[Row]) -> list[Row]:
    """Return rows in which lists are text: the path as a story, names separated by commas."""
    return [
        [
            story(value) if at == _PATH else ", ".join(map(str, value)) if isinstance(value, list) else value
            for at, value in enumerate(row)
        ]
        for row in page
    ]


_PATH = next(at for at, column in enumerate(CALL) if column.name == "path")


def selected_rows(
    pages: Iterable[list[Row]],
    at: Sequence[int],
    keep: Callable[[list[Row]], list[Row]] | None,
    *,
    keys: ReplacedKeys | None,
    people: bool = False,
) -> Iterator[list[Row]]:
    """Yield the wanted rows of calls, with the columns at these positions.

    Args:
        pages: Whole rows.
        at: The positions of the columns.
        keep: Leaves the wanted rows of a page; None if all are wanted.
        keys: Each row begins with its key, as databases need it, and this remembers whose place it takes.
        people: Lists become text that people read.
    """
    for page in pages:
        rows = page if keep is None else keep(page)
        rows = for_people(rows) if people else rows
        if rows:
            yield [[*([] if keys is None else [keys.key_of(row)]), *(row[one] for one in at)] for row in rows]


class ReplacedKeys:
    """The keys of calls in a database, and the keys that the same calls may have had when fewer legs were known.

    A call's key is made of its first leg. Any other leg was the first as long as those before it had not come.
    """

    def __init__(self) -> None:
        self._others: dict[str, list[str]] = {}

    def key_of(self, row: Row) -> str:
        """Return the key of a call, and remember the keys of its other legs until the row is written."""
        provider, profile, call_id, replaces = (row[at] for at in _KEYED)
        context = {"provider": str(provider), "kind": "whole calls", "profile": str(profile)}
        ids = [str(call_id), *(str(one) for one in (replaces if isinstance(replaces, list) else ()))]
        key, *others = (one.hex() for one in stable_keys(context, ids))
        if others:
            self._others[key] = others
        return key

    def take(self, rows: Sequence[Row]) -> list[str]:
        """Return the keys of the rows whose place these rows take, and forget them."""
        return [key for row in rows for key in self._others.pop(str(row[0]), ())]


_KEYED = tuple(
    next(at for at, one in enumerate(CALL) if one.name == name)
    for name in ("provider", "profile", "call_id", "replaces")
)
