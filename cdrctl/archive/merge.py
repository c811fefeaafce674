"""Merges the records of a response with those of the archive, so that no record is lost or stored twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from cdrctl.archive.dayfile import Row
from cdrctl.archive.index import Entry
from cdrctl.archive.lines import fields_of

Traits = Callable[[bytes], tuple[Any, ...] | None]
"""From a line to the start, the parties and the type of its call; None when the line lacks them."""

NearRows = Callable[[], Iterable[tuple[Row, Traits]]]
"""Returns the rows of the days around a day, each with what identifies its call."""


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


def match_renamed(absent: Sequence[Entry], fresh: Sequence[Entry], traits: Traits) -> dict[bytes, Entry]:
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


def moved_keys(line_of: Callable[[bytes], bytes | None], traits: Traits, near: NearRows) -> Iterator[bytes]:
    """Yield the keys of absent records that a day around has, with the same parties and type.

    Args:
        line_of: Returns the line of an absent record by its key; None of every other key.
        traits: Identifies the call of such a line.
        near: The rows of the days around.
    """
    for row, theirs in near():
        line = line_of(row.key)
        if line is not None:
            before, now = traits(line), theirs(row.line)
            if before is not None and now is not None and before[1:] == now[1:]:
                yield row.key


def _shared_parts(line: bytes, other: bytes) -> int:
    """Return how many comma-separated parts two lines share, by position and by value: a cheap similarity."""
    ours, theirs = line.split(b","), other.split(b",")
    return sum(one == two for one, two in zip(ours, theirs, strict=False)) + len(set(ours) & set(theirs))
