"""Merges the records of a response with those of the archive, so that no record is lost or stored twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from cdrctl.archive.index import FROM_LINE, UNPLACED, Entry, milliseconds
from cdrctl.archive.lines import fields_of
from cdrctl.windows import Window

Traits = Callable[[bytes], tuple[Any, ...] | None]
"""From a line to the start, the parties and the type of its call; None when the line lacks them."""


class Counts(NamedTuple):
    """How a merge changed the records of a day.

    Args:
        new: Records of a time that had not been read before.
        late: Records of a time that had been read before.
        changed: Records whose line differs from the line in the archive.
        gone: Records that a complete response no longer has.
        kept: The gone records that stay in the archive.
    """

    new: int = 0
    late: int = 0
    changed: int = 0
    gone: int = 0
    kept: int = 0


class MergeResult(NamedTuple):
    """The records of a day after a merge.

    Args:
        entries: The records, ordered by start.
        counts: How the merge changed them.
        gone: For each record that is kept although the provider no longer has it: since when that is known, by key.
        missing: The keys of the kept records that were not in this response.
    """

    entries: list[Entry]
    counts: Counts
    gone: dict[bytes, datetime]
    missing: frozenset[bytes]


def call_traits(alike: Sequence[str], columns: Sequence[str]) -> Traits:
    """Return a function from a line to the values that identify its call where the record has no stable id.

    Args:
        alike: The columns of start, parties and type; if empty, no two lines match.
        columns: The CSV columns of the lines; empty for JSON Lines.
    """

    def traits(line: bytes) -> tuple[Any, ...] | None:
        fields = fields_of(line, columns) if alike else None
        if fields is None or not fields.get(alike[0]):
            return None
        return tuple(str(fields.get(name)) for name in alike)

    return traits


def merge(
    old: Sequence[Entry],
    new: Iterable[Entry],
    window: Window | None,
    read_before: Sequence[Window],
    *,
    complete: bool,
    shrink: bool,
    traits: Traits = lambda _line: None,
    gone: Mapping[bytes, datetime] | None = None,
    read_at: datetime | None = None,
) -> MergeResult:
    """Return the records of a day after a response, and how the merge changed them.

    A record that a complete response no longer has is kept and marked as gone, unless `shrink` is given. A record that
    came back under another key replaces the old one: it is recognized by an equal line, or by start, parties and type.

    Args:
        old: The records of the file.
        new: The records of the response.
        window: The requested window; None for records without a start, which are only added to.
        read_before: The windows that had been read successfully before: a new record in one of them is late.
        complete: The response has everything that the provider has of the window, so that absent records are gone.
        shrink: Remove gone records from the archive.
        traits: Identifies the call of a line.
        gone: Since when records are known to be gone, by key.
        read_at: The time of the request.
    """
    came = {entry.key: entry for entry in new}
    had = {entry.key: entry for entry in old}
    since, until = (UNPLACED, -UNPLACED) if window is None else _span(window)
    absent = [
        one
        for one in had.values()
        if one.key not in came and (since <= one.start < until or one.key.startswith(FROM_LINE))
    ]
    fresh = [entry for key, entry in came.items() if key not in had]
    movable = absent if complete else [one for one in absent if one.key.startswith(FROM_LINE)]
    renamed = _match_renamed(movable, fresh, traits)
    missing = {one.key for one in absent if complete and one.key not in renamed and since <= one.start < until}
    leaving = missing if shrink else set()
    entries = sorted(entry for key, entry in (had | came).items() if key not in leaving and key not in renamed)
    marks = {key: at for key, at in (gone or {}).items() if key in had and key not in came and key not in renamed}
    if read_at is not None:
        marks = dict.fromkeys(missing, read_at) | marks
    for key in leaving:
        marks.pop(key, None)
    kept = missing - leaving
    counts = _count(had, came, renamed, read_before)._replace(gone=len(missing), kept=len(kept))
    return MergeResult(entries, counts, marks, frozenset(kept))


def _count(
    had: Mapping[bytes, Entry],
    came: Mapping[bytes, Entry],
    renamed: Mapping[bytes, Entry],
    read_before: Sequence[Window],
) -> Counts:
    """Return the numbers of new, late and changed records.

    Args:
        had: The records of the file, by key.
        came: The records of the response, by key.
        renamed: The records that came back under another key, by their old key.
        read_before: The windows that had been read successfully before.
    """
    old_keys = {entry.key: key for key, entry in renamed.items()}
    spans = [_span(one) for one in read_before]
    new = [entry for key, entry in came.items() if key not in had and key not in old_keys]
    late = sum(any(since <= entry.start < until for since, until in spans) for entry in new)
    both = [(had[old_keys.get(key, key)], entry) for key, entry in came.items() if key in had or key in old_keys]
    return Counts(len(new) - late, late, sum(before.line != entry.line for before, entry in both))


def _span(window: Window) -> tuple[int, int]:
    """Return a window in Unix milliseconds."""
    return milliseconds(window.since), milliseconds(window.until)


def _match_renamed(absent: Sequence[Entry], fresh: Sequence[Entry], traits: Traits) -> dict[bytes, Entry]:
    """Return the records that came back under another key, by their old key.

    Each new record matches at most one old record. Among records of the same traits, the pairs whose lines share the
    most fields match first.

    Args:
        absent: The old records that are not in the response.
        fresh: The records of the response whose keys are new.
        traits: Identifies the call of a line.
    """
    result: dict[bytes, Entry] = {}
    if not absent or not fresh:
        return result
    by_line = {entry.line: entry for entry in fresh}
    for entry in absent:
        same = by_line.pop(entry.line, None)
        if same is not None:
            result[entry.key] = same
    taken = {entry.key for entry in result.values()}
    groups: dict[tuple[Any, ...], tuple[list[Entry], list[Entry]]] = defaultdict(lambda: ([], []))
    left = ([one for one in absent if one.key not in result], [one for one in fresh if one.key not in taken])
    for side, entries in enumerate(left):
        for entry in entries:
            call = traits(entry.line)
            if call is not None:
                groups[call][side].append(entry)
    for ours, theirs in groups.values():
        pairs = [(-_shared_parts(one.line, other.line), one.key, other.key, other) for one in ours for other in theirs]
        for _, old_key, key, other in sorted(pairs):
            if old_key not in result and key not in taken:
                result[old_key] = other
                taken.add(key)
    return result


def _shared_parts(line: bytes, other: bytes) -> int:
    """Return how many comma-separated parts two lines share, by position and by value: a cheap similarity."""
    ours, theirs = line.split(b","), other.split(b",")
    return sum(one == two for one, two in zip(ours, theirs, strict=False)) + len(set(ours) & set(theirs))
