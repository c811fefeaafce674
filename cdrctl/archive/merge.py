"""Merge what a provider answered with what the archive has of a day, so that no record is lost or kept twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from cdrctl.archive.index import FROM_LINE, UNPLACED, Entry, milliseconds
from cdrctl.archive.lines import fields_of
from cdrctl.windows import Window

Traits = Callable[[bytes], tuple[Any, ...] | None]
"""From a line to the start, the parties and the type of its call; None when the line does not tell."""


class Counts(NamedTuple):
    """What a merge did to the records of a day.

    Args:
        new: Records of a time that had not been read before.
        late: Records of a time that had been read.
        changed: Records whose line is another one now.
        gone: Records that a complete answer no longer has.
        kept: Those of the gone that stay in the archive.
    """

    new: int = 0
    late: int = 0
    changed: int = 0
    gone: int = 0
    kept: int = 0


class MergeResult(NamedTuple):
    """The records of a day after a reading.

    Args:
        entries: The records, ordered by start.
        counts: What became of them.
        gone: Since when each record that is gone at the provider, and kept, is known to be gone.
        missing: The keys of those that this answer did not have.
    """

    entries: list[Entry]
    counts: Counts
    gone: dict[bytes, datetime]
    missing: frozenset[bytes]


def call_traits(alike: Sequence[str], columns: Sequence[str]) -> Traits:
    """Return a function from a line to the values that tell which call it is of.

    Args:
        alike: The columns of start, parties and type; without any, nothing is alike.
        columns: The CSV columns of the lines; empty for JSON Lines.
    """

    def like(line: bytes) -> tuple[Any, ...] | None:
        fields = fields_of(line, columns) if alike else None
        if fields is None or not fields.get(alike[0]):
            return None
        return tuple(str(fields.get(name)) for name in alike)

    return like


def merge(
    old: Sequence[Entry],
    new: Iterable[Entry],
    window: Window | None,
    read_before: Sequence[Window],
    *,
    whole: bool,
    shrink: bool,
    like: Traits = lambda _line: None,
    gone: Mapping[bytes, datetime] | None = None,
    at: datetime | None = None,
) -> MergeResult:
    """Return the records of a day after a reading, and what became of them.

    A record that a complete answer no longer has is kept, and marked as gone, unless `shrink` is given. One that came
    back under another key takes the old one's place: it is recognized by an equal line, or by start, parties and type.

    Args:
        old: What the file has.
        new: What came.
        window: What was asked for; None for records without a start, which are only added to.
        read_before: What had been read with success before: a new record in it is late.
        whole: Everything that the provider has of the window came, so that what did not come is gone there.
        shrink: Records that are gone leave the archive.
        like: From a line to what tells which call it is of.
        gone: Since when records are known to be gone, by key.
        at: When the provider was asked.
    """
    came = {entry.key: entry for entry in new}
    had = {entry.key: entry for entry in old}
    edges = (UNPLACED, -UNPLACED) if window is None else (milliseconds(window.since), milliseconds(window.until))
    absent = [
        entry
        for key, entry in had.items()
        if key not in came and (edges[0] <= entry.start < edges[1] or key.startswith(FROM_LINE))
    ]
    fresh = [entry for key, entry in came.items() if key not in had]
    movable = absent if whole else [entry for entry in absent if entry.key.startswith(FROM_LINE)]
    again = _match_renamed(movable, fresh, like)
    missing = {entry.key for entry in absent if whole and entry.key not in again and edges[0] <= entry.start < edges[1]}
    leaving = missing if shrink else set()
    spans = [(milliseconds(one.since), milliseconds(one.until)) for one in read_before]
    returned = {entry.key: old_key for old_key, entry in again.items()}
    really_new = [entry for entry in fresh if entry.key not in returned]
    late = sum(any(since <= entry.start < until for since, until in spans) for entry in really_new)
    matched = [(had[returned.get(key, key)], entry) for key, entry in came.items() if key in had or key in returned]
    changed = sum(before.line != entry.line for before, entry in matched)
    result = [entry for key, entry in (had | came).items() if key not in leaving and key not in again]
    result.sort()
    marks = {key: since for key, since in (gone or {}).items() if key in had and key not in came and key not in again}
    for key in missing:
        if at is not None:
            marks.setdefault(key, at)
    for key in leaving:
        marks.pop(key, None)
    kept = missing - leaving
    return MergeResult(
        result, Counts(len(really_new) - late, late, changed, len(missing), len(kept)), marks, frozenset(kept)
    )


def _match_renamed(absent: Sequence[Entry], fresh: Sequence[Entry], like: Traits) -> dict[bytes, Entry]:
    """Return which records came back under another key: from the old key to the record that came.

    Each record that came stands for one old one at most. Of several that are alike, the pair whose lines have the most
    fields in common comes first.
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
            call = like(entry.line)
            if call is not None:
                groups[call][side].append(entry)
    for ours, theirs in groups.values():
        pairs = [(-_common(one.line, other.line), one.key, other.key, other) for one in ours for other in theirs]
        for _, old_key, key, other in sorted(pairs):
            if old_key not in result and key not in taken:
                result[old_key] = other
                taken.add(key)
    return result


def _common(line: bytes, other: bytes) -> int:
    """Return how many parts two lines have in common, in order from both ends: a cheap measure of likeness."""
    ours, theirs = line.split(b","), other.split(b",")
    return sum(one == two for one, two in zip(ours, theirs, strict=False)) + len(set(ours) & set(theirs))
