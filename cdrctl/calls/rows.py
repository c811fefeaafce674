"""The rows of calls: parts of legs are sorted, joined, folded, and cut to a window on the start of the call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from operator import itemgetter

from msgspec import Struct

from cdrctl.calls.columns import CALL
from cdrctl.calls.folding import FoldedCall, fold, is_short, sum_of, wait
from cdrctl.calls.instants import instant_text
from cdrctl.calls.joining import REACH, JoinedCall, join
from cdrctl.calls.legs import UNDATED, Leg
from cdrctl.calls.quick import Bounds, QuickRows
from cdrctl.export.identity import stable_keys
from cdrctl.records.batches import RowBatch
from cdrctl.records.events import Row, Value
from cdrctl.records.parts import Part
from cdrctl.sorting import sort_pages
from cdrctl.windows import Window

PAGE = 250
"""How many rows are yielded at once."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1000
_MILLISECOND = timedelta(milliseconds=1)
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


def call_rows(pages: Iterable[Sequence[Leg]], told: Told) -> Generator[RowBatch, None, None]:
    """Yield pages of rows, one for each call that began in the window, in the order of their starts.

    Args:
        pages: Pages of legs, in any order, as `mapping.leg_schema` returns them.
        told: What is known of all calls.

    Raises:
        OutputError: The temporary files cannot hold the legs.
    """
    bounds = _bounds(told)
    known = tuple(one is not None for one in bounds)
    row = _quick_rows(tuple(sorted(told.boxes)), tuple(sorted(told.queues)), known).row
    legs = chain.from_iterable(sort_pages(pages, _start))
    calls: Iterator[JoinedCall] = join(legs, told.reach)
    if told.window is not None:
        calls = filter(_in_window(told.window), calls)
    while found := [row(call, bounds) for call in islice(calls, PAGE)]:
        columns: list[Sequence[Value]] = list(zip(*found, strict=True))
        columns[_PROVIDER] = [told.provider] * len(found)
        columns[_PROFILE] = [told.profile or None] * len(found)
        yield RowBatch(columns, [False] * len(columns), len(found))


_start = itemgetter(0)


@functools.lru_cache(64)
def _quick_rows(boxes: tuple[str, ...], queues: tuple[str, ...], _known: tuple[bool, ...]) -> QuickRows:
    """Return what makes the rows of calls; what it learns of them is kept as long as the process runs.

    Args:
        boxes: Numbers of voicemail boxes.
        queues: Names or numbers of queues.
        _known: Which bounds are known.
    """
    return QuickRows(functools.partial(row_of_parts, boxes=boxes, queues=queues))


def _bounds(told: Told) -> Bounds:
    """Return the bounds of what is known, for `at_edge`."""
    reach = told.reach // _MILLISECOND
    open_since = None if told.now is None else _milliseconds(told.now) - reach
    if told.known is None:
        return open_since, None, None
    return open_since, _milliseconds(told.known.since) + reach, _milliseconds(told.known.until)


def row_of_parts(
    parts: Sequence[Part], why: str, bounds: Bounds, boxes: Sequence[str], queues: Sequence[str]
) -> tuple[Value, ...]:
    """Return the row of a call, in the order of `columns.CALL`; the provider and the profile are null.

    It only compares values and passes them on, so that it can be traced (see `tracing`).

    Args:
        parts: The parts of the call.
        why: Why they may not be all.
        bounds: The bounds of what is known.
        boxes: Numbers of voicemail boxes.
        queues: Names or numbers of queues.
    """
    return row_of(at_edge(fold(with_marks(parts, boxes, queues), why), bounds))


def with_marks(parts: Sequence[Part], boxes: Collection[str], queues: Collection[str]) -> Sequence[Part]:
    """Return parts in which what the user named as boxes and queues is that.

    Args:
        parts: The parts.
        boxes: Numbers of voicemail boxes.
        queues: Names or numbers of queues.
    """
    return [_marked(part, boxes, queues) for part in parts] if boxes or queues else parts


def _marked(part: Part, boxes: Collection[str], queues: Collection[str]) -> Part:
    if part.role != "caller" and any(part.number == one for one in boxes):
        return part._replace(role="service", party="voicemail", user=None)
    if part.role == "service" and any(one in (part.name, part.number, part.queue) for one in queues):
        return part._replace(party="queue")
    return part


def _in_window(window: Window) -> Callable[[JoinedCall], bool]:
    """Return a function that tells whether a call began in a window. One without a start may be of any window."""
    first, last = ((one - _EPOCH) / _MILLISECOND for one in (window.since, window.until))

    def began_inside(call: JoinedCall) -> bool:
        start = call.legs[0][0]
        return first <= start < last or start == UNDATED

    return began_inside


def at_edge(call: FoldedCall, bounds: Bounds) -> FoldedCall:
    """Return a call, marked if legs that were not read, or that are yet to come, may belong to it."""
    if call.why not in {"", "missing_leg"} or call.start is None:
        return call
    open_since, since, until = bounds
    if open_since is not None and (call.start if call.end is None else call.end) > open_since:
        return call._replace(why=OPEN)
    if since is None or until is None:
        return call
    first = call.first.role != "caller" and call.start < since
    if (first and call.why) or (call.end is not None and call.end >= until):
        return call._replace(why=EDGE)
    return call


def _milliseconds(at: datetime) -> int:
    return int((at - _EPOCH) / _MILLISECOND)


def row_of(call: FoldedCall) -> tuple[Value, ...]:
    """Return the row of a call, in the order of `columns.CALL`; the provider and the profile are null."""
    parts, first, by = call.parts, call.first, call.answered_by
    ids = list(dict.fromkeys([first.id, *(one.id for one in parts)]))
    rang = [one.name or one.number for one in call.rang if one.name or one.number]
    user = (by.user if by is not None else None) or next((one.user for one in parts if one.user), None)
    links = list(dict.fromkeys(link for one in parts for link in one.recordings))
    currencies = sorted(one for one in call.costs if one)
    return (
        None,  # the provider
        None,  # the profile
        first.id,
        _instant(call.start),
        _instant(call.answer),
        _instant(call.end),
        call.direction,
        call.outcome,
        first.from_number,
        first.from_name,
        next((one.to_number for one in parts if one.to_number), None),
        next((one.dialed for one in parts if one.dialed), None),
        None if by is None else by.name or by.number,
        list(dict.fromkeys(rang)),
        path_of(call),
        None if call.queue is None else call.queue.queue or call.queue.name,
        call.queue_wait,
        wait(call),
        call.talk,
        sum_of([one for one in parts if one.role != "service"], "hold"),
        call.transfers,
        call.transfer or None,
        len(ids),
        call.network_answered,
        is_short(call),
        user,
        next((one.site for one in parts if one.site), None),
        next((one.trunk for one in parts if one.trunk), None),
        links or None,
        next(iter(call.costs.values())) if len(call.costs) == 1 else None,
        (currencies[0] if len(currencies) == 1 else ",".join(currencies)) if currencies else None,
        not call.why,
        call.why or None,
        ids[1:] or None,
        ids,
    )


def _instant(at: int | None) -> Value:
    """Return an instant as text."""
    return None if at is None else instant_text(at)


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


def for_people(page: Sequence[Row]) -> list[Row]:
    """Return rows in which lists are text: the path as a story, names separated by commas."""
    return [
        [
            story(value) if at == _PATH else ", ".join(map(str, value)) if isinstance(value, list) else value
            for at, value in enumerate(row)
        ]
        for row in page
    ]


_PROVIDER, _PROFILE = 0, 1
_PATH = next(at for at, column in enumerate(CALL) if column.name == "path")


def selected_rows(
    pages: Iterable[Sequence[Row]],
    at: Sequence[int],
    keep: Callable[[Sequence[Row]], Sequence[Row]] | None,
    *,
    keys: ReplacedKeys | None,
    people: bool = False,
) -> Iterator[Sequence[Row]]:
    """Yield the wanted rows of calls, with the columns at these positions.

    Args:
        pages: Whole rows.
        at: The positions of the columns.
        keep: Leaves the wanted rows of a page; None if all are wanted.
        keys: Each row begins with its key, as databases need it, and this remembers whose place it takes.
        people: Lists become text that people read.
    """
    for page in pages:
        rows: Sequence[Row] = page if keep is None else keep([*page])
        rows = for_people(rows) if people else rows
        if not rows:
            continue
        if isinstance(rows, RowBatch) and keys is None:
            yield rows.select(at)
        else:
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
