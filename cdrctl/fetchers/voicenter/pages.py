"""Divide the records of a response into pages, each with the context that its columns need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from cdrctl.fetchers import identities
from cdrctl.fetchers.voicenter.answers import Reply
from cdrctl.fetchers.voicenter.columns import identity
from cdrctl.fetchers.voicenter.run import Run
from cdrctl.fetchers.voicenter.zone import (
    FARTHEST,
    OFFSET,
    in_zone,
    offset_seconds,
    own_start,
    proved_starts,
    repeated,
    wall_time,
    zone_named,
    zoneless,
)
from cdrctl.fetchers.voicenter.zone_search import QUARTER, is_first, learn_zone
from cdrctl.records.events import Event, Page, Record, fingerprint


def pages(run: Run, reply: Reply) -> Iterator[Event]:
    """Yield the records of a response, in one page per UTC offset.

    Records that share call, type and date are in pages of their own.
    """
    if proved_starts(reply.records) is not None:
        yield from _group(reply.records, {})
        return
    if run.zones.name is None and any(map(zoneless, reply.records)):
        yield from learn_zone(run, reply.records)
    by_offset: defaultdict[int, list[Record]] = defaultdict(list)
    for record in reply.records:
        by_offset[_offset(run, record)].append(record)
    for offset, records in by_offset.items():
        yield from _group(records, {OFFSET: str(offset)} if offset else {})


def _offset(run: Run, record: Record) -> int:
    """Return the UTC offset of a record's `Date`, in seconds."""
    wall = wall_time(record)
    if wall is None:
        return 0
    own = own_start(record)
    if own is not None:
        by = offset_seconds(wall, own)
        return by if abs(by) <= FARTHEST.total_seconds() and by % QUARTER.seconds == 0 else 0
    zone = zone_named(run.zones.name or "UTC")
    first = in_zone(wall, zone)
    again = repeated(wall, zone)
    return offset_seconds(wall, first + again if again and not is_first(run, record, first, again) else first)


def _group(records: Sequence[Record], context: Mapping[str, str]) -> Iterator[Page]:
    """Yield one page, and a page for each further record with the same call, type and date."""
    if len(set(identities(records, identity))) == len(records):
        yield Page(records, context)
        return
    groups: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[identity(record)].append(record)
    plain: list[tuple[str, Record]] = []
    others: list[tuple[str, Record]] = []
    for group in groups.values():
        prints = [fingerprint(record) for record in group]
        for record, digest in zip(group, prints, strict=True):  # so the choice does not depend on the order
            (plain if digest == min(prints) else others).append((digest, record))
    yield Page([record for _, record in plain], context)
    yield from apart_of(others, context)


def apart_of(others: Iterable[tuple[str, Record]], context: Mapping[str, str] | None = None) -> Iterator[Page]:
    """Yield records that share their key with another one, each in a page whose context has a digest of it."""
    for digest, record in others:
        yield Page([record], {**(context or {}), "record_hash": digest[:12]})
