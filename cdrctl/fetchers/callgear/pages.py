"""The pages of one report, and reading them again when records appeared or disappeared meanwhile."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from msgspec import Struct

from cdrctl.fetchers import CLOCK_TOLERANCE, possible_start
from cdrctl.fetchers.callgear.columns import KEY_FIELDS, start
from cdrctl.fetchers.callgear.local_time import SECOND, spare_time
from cdrctl.fetchers.callgear.report import BY_START, Report
from cdrctl.fetchers.callgear.settings import TITLE
from cdrctl.fetchers.readings import COPY, Reading, Readings, read_again
from cdrctl.http import Total, by_offset
from cdrctl.records.batches import key_columns
from cdrctl.records.events import Event, Gap, Page, Record, fingerprint
from cdrctl.windows import Window

FARTHEST_OFFSET = 100_000
"""The largest `offset` ("Paging")."""

IDLE_PAGES = 3
"""The number of pages without a new record that ends paging: the service ignores the offset."""

READINGS = 2
"""How often a span is read at most."""


class Span(Struct, frozen=True):
    """What is read of a report in one go.

    Args:
        params: The parameters that select it.
        name: Its name in messages.
        divisible: Whether it can be read in parts, if it has more records than can be paged through.
        window: The window it was made from, or None for a report without one.
    """

    params: Mapping[str, str]
    name: str
    divisible: bool = False
    window: Window | None = None


def read_span(report: Report, span: Span) -> Generator[Event, None, bool]:
    """Yield the pages of a span, and return False if it must be read in parts.

    Rows of one second are in no fixed order, and rows may come and go while the pages are read. So records are counted,
    and the span is read once more if they are not as many as the total, or if that changed.
    """
    readings = Readings(report.identity, report.keys, KEY_FIELDS)

    def tell() -> None:
        report.account.client.log(
            "note", f"{TITLE}'s records for {span.name} changed while they were read: reading them again"
        )

    result = yield from read_again(functools.partial(_read_once, report, span, readings), readings, READINGS, tell)
    if result is not None:
        return result
    counted = f"reported {readings.most} records for {span.name} but sent {readings.records}"
    moved = f"moved records of {span.name} from page to page while they were read"
    yield Gap(
        f"{TITLE} {counted if readings.records < readings.most else moved}",
        "run the command again; if the error persists, end the window earlier",
    )
    return True


def _read_once(report: Report, span: Span, readings: Readings) -> Generator[Event, None, bool | None]:
    """Yield the pages of a span; return True if that is all, False if it must be read in parts, None to read it again.

    If more records came than the total, the total is wrong, and then an empty page is the end.
    """
    reading = readings.last
    for page, total in by_offset(functools.partial(report.page, span.params), report.page_size):
        offset = reading.rows + len(page)
        past = max(total or 0, offset) > FARTHEST_OFFSET and _is_past(report, page, span.window)
        if span.divisible and not past and (total or 0) > FARTHEST_OFFSET:
            return False
        parts = _copies_apart(report, page)
        for part in parts:
            readings.add(part.records, Total(total), part.context)
        if reading.doubtful:
            report.doubt()
        yield from parts
        if span.window is not None:
            _follow(report, page, span.window)
        if past:
            return True
        if reading.idle and reading.trusted and (total == reading.records or reading.idle >= IDLE_PAGES):
            break  # the same records come again
        if reading.idle >= IDLE_PAGES:
            yield Gap(f"{TITLE} keeps sending the same records for {span.name}", "run the command again later")
            return True
        if offset > FARTHEST_OFFSET:
            if not page or (len(page) < report.page_size and total == offset):
                break
            if not span.divisible:
                yield _too_many_records(span.name, total, offset)
            return not span.divisible
    return _is_whole(readings) or None


def _copies_apart(report: Report, page: Sequence[Record]) -> Sequence[Page]:
    """Return the records of a response as one page, and a page for each further copy of a record without an id.

    The service counts two identical rows of costs as two: it charged twice. They come in one response, so they are not
    the same row read twice.
    """
    if report.identity is not fingerprint:
        return [Page(page, report.context)]
    came: Counter[str] = Counter()
    parts: defaultdict[int, list[Record]] = defaultdict(list)
    for row in page:
        one = fingerprint(row)
        came[one] += 1
        parts[came[one]].append(row)
    further = [Page(records, {**report.context, COPY: str(n)}) for n, records in parts.items() if n > 1]
    return [Page(parts[1] if further else page, report.context), *further]


def _too_many_records(name: str, total: int | None, offset: int) -> Gap:
    has = f"has {total}" if total is not None and total > offset else f"has more than {offset}"
    return Gap(
        f"{TITLE} {has} records for {name}, but returns only the first {offset}", "export them in parts, with --filter"
    )


def _is_whole(readings: Readings) -> bool:
    """Return whether all records came: as many as the highest total, and none moved to a page that had been read."""
    reading = readings.last
    again = readings.number > 1
    proved = _is_steady(reading) or (again and (reading.trusted or not readings.new))
    return readings.records >= readings.most and proved


def _is_steady(reading: Reading) -> bool:
    """Return whether no record appeared or disappeared during a reading; without trusted totals, a repeat shows it."""
    return len(set(reading.counts)) == 1 if reading.trusted else not reading.repeats


def _is_past(report: Report, page: Sequence[Record], window: Window | None) -> bool:
    """Return whether a page, sorted by start, reaches beyond the window, so that no more pages are needed."""
    if window is None or not page or list(report.sort) != list(BY_START):
        return False
    if spare_time(window.since, report.zone) or spare_time(window.until, report.zone):
        return False
    starts = _true_starts(report, page, window)
    return bool(starts) and starts == sorted(starts) and starts[-1] >= window.until


def _true_starts(report: Report, page: Sequence[Record], window: Window) -> list[datetime]:
    """Return the plausible starts on a page: one long after the window says nothing about progress."""
    latest = window.until + CLOCK_TOLERANCE
    batch = key_columns(page)
    if batch is not None:
        with suppress(ValueError):  # then each is looked at
            found = [*batch.starts_in(report.context)]
            if possible_start(min(found), latest) and possible_start(max(found), latest):
                return found
    starts = (start(record, report.context) for record in page)
    return [moment for moment in starts if moment is not None and possible_start(moment, latest)]


def _follow(report: Report, page: Sequence[Record], window: Window) -> None:
    """Note up to which start all records have been read, if they are sorted by start."""
    starts = _true_starts(report, page, window)
    spare = spare_time(window.since, report.zone) or spare_time(window.until, report.zone)
    if not starts or spare or list(report.sort) != list(BY_START):
        return
    if min(starts) < window.since - SECOND:
        report.by_end = True
    report.read_until = min(max(*starts, window.since), window.until)
