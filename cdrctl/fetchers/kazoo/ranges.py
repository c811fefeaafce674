"""One range of a listing: its pages, retries, and how to pass a document that the server cannot send."""

from __future__ import annotations

import functools
import re
from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime

from cdrctl.errors import TemporaryError
from cdrctl.fetchers.kazoo.answers import RangeLimitError, TooLargeError, next_key, records_in
from cdrctl.fetchers.kazoo.settings import TITLE
from cdrctl.fetchers.kazoo.state import EXACT, LARGEST_PAGE, NARROWER, Run, gregorian_second, month_start
from cdrctl.http import RepeatedKeyError, by_key
from cdrctl.http.retry import TRIES, UNAVAILABLE
from cdrctl.records.events import Checkpoint, Event, Gap, Page, Record, pick
from cdrctl.records.readers import gregorian_instant
from cdrctl.windows import Window, rfc3339

POISON_AT_MOST = 16
"""After this many unreadable records in one stretch, the rest of it is reported as a gap."""

LATEST = datetime.max.replace(tzinfo=UTC)

_MEND = "ask the operator to repair the document"


def read_stretch(listing: Run, first: int, last: int) -> Iterator[Event]:
    """Yield the rows of a range within one month, in steps as long as the site allows, newest first.

    An interaction listing also leaves out interactions whose leg was saved after the range's end (4.3 and 5.0): its
    steps overlap by the longest call.
    """
    while last >= first:
        step = listing.longest_range
        begin = max(first, last - max(step - 2, 0))
        try:
            yield from _range(listing, begin, last)
            yield Checkpoint(Window(gregorian_instant(begin), gregorian_instant(last + 1)))
        except RangeLimitError as limit:
            if limit.seconds >= step:
                raise
            listing.longest_range = limit.seconds
            if listing.by_interaction and limit.seconds // 2 < listing.longest_call:
                yield Gap(
                    f"interactions longer than {limit.seconds // 2} s may be missing: {limit.message}",
                    "if there are none, set a shorter --longest-call",
                )
            continue
        if begin == first:
            return
        last = begin - 1 + _overlap(listing)


def _overlap(listing: Run) -> int:
    return min(listing.longest_call, listing.longest_range // 2) if listing.by_interaction else 0


def _range(listing: Run, first: int, last: int, tries: int = TRIES) -> Iterator[Event]:
    """Yield the rows of one range page by page; if the server fails on it, find the records it fails on.

    The database may be too slow for the range, or a document in it is poison: one that Crossbar cannot turn into a
    row (without `call_direction`, for example) makes every request for its page a 503. Halving helps in both cases.
    """
    try:
        yield from _pages(listing, first, last, tries)
    except TemporaryError as error:
        if not _caused_by_data(error):
            raise
        if tries > 1 and _wait_for_server(listing, [(first, last)], error):
            yield from _range(listing, first, last, tries=2)
            return
        if len(listing.poison) >= POISON_AT_MOST:
            yield Gap(
                f"{TITLE} cannot read its records from {rfc3339_of(first)} to {rfc3339_of(last)}",
                _MEND,
                error.said,
            )
            return
        overlap = _overlap(listing)
        if first == last or last - first <= 4 * overlap:
            yield from _from_both_sides(listing, first, last, error)
            return
        middle = (first + last) // 2
        for begin, end in ((middle + 1, last), (first, middle + overlap)):
            yield from _range(listing, begin, end, tries=1)


def _caused_by_data(error: TemporaryError) -> bool:
    """Return whether the server failed on the requested data, and not because of the network or a rate limit.

    A server that sends a Retry-After longer than allowed shows that no record is the cause.
    """
    return error.wait is None and error.status is not None and error.status >= 500


def _pages(listing: Run, first: int, last: int, tries: int) -> Iterator[Page]:
    size = listing.page_size
    # Within a minute of an unreadable record ranges are exact: wider ones would fail on its neighbours as well.
    if tries > 1 or last - first >= EXACT:
        first, last = listing.wider(first, last)
    while True:
        ask = functools.partial(listing.ask_page, first, last, size, ascending=False, tries=tries)
        try:
            for answer in by_key(ask, next_key):
                yield listing.page(answer)
        except RepeatedKeyError:
            # Up to 4.2 a key is a second: more rows of one second than a page holds make an endless loop.
            if size >= LARGEST_PAGE:
                raise
            size = min(LARGEST_PAGE, size * 4)
        else:
            return


def _alive(listing: Run, first: int, last: int) -> bool:
    """Return whether the server can answer for a single second in or near the range, in the month of its end.

    If not, it is down or builds the views of this month, and no record is the cause.
    """
    begin = max(gregorian_second(month_start(gregorian_instant(last))), min(first, last - 3600))
    end = last if last - begin >= _PROBES else last + 3600
    for part in range(_PROBES):
        second = begin + (end - begin) * part // _PROBES
        try:
            listing.ask_page(second, second, 1, None, ascending=False, tries=1)
        except TemporaryError:
            continue
        return True
    return False


_PROBES = 3


def _wait_for_server(listing: Run, ranges: Sequence[tuple[int, int]], error: TemporaryError) -> bool:
    """Wait until the server can answer for a second of each range, and return whether it took waiting.

    Crossbar answers 503 for some minutes while the database builds the views of a month that nobody has listed
    lately: then nothing of that month can be read. Where any second can be read, a record or the length of the range
    is to blame, and waiting would not help.

    Raises:
        TemporaryError: It cannot, and the request has waited as long as it may, or the answer is a crash (HTTP 500
            with an empty body) that no waiting mends.
    """
    waited = False
    while not all(_alive(listing, first, last) for first, last in ranges):
        patience = listing.patience
        passes = error.status in UNAVAILABLE or (error.status == 500 and error.said)
        # If a sign-in has already used up the waiting time, the client has none left for other requests.
        may_wait = waited or (patience is not None and bool(patience.left and listing.client.patience().left))
        if not passes or patience is None or error.wait is not None or not may_wait:
            raise error
        if not waited and listing.once(f"waiting {listing.path}"):
            listing.client.log(
                "note",
                f"{TITLE} cannot read any records now; it may be building its views, which takes some minutes",
            )
        waited = True
        listing.client.wait_to_retry(patience, error)
        patience.tries += 1
    return waited


def _from_both_sides(listing: Run, first: int, last: int, error: TemporaryError) -> Iterator[Event]:
    """Yield the rows around the records on which the server fails: from the newer end, then from the older end."""
    if (yield from _walk(listing, first, last, ascending=False)) is not None:
        yield from _oldest_first(listing, first, last, error)


def _oldest_first(
    listing: Run, first: int, last: int, error: TemporaryError, edge: int | None = None
) -> Iterator[Event]:
    """Yield the rows of a range oldest first, naming the second of each record on which the server fails.

    With `edge`, the start of a month in the range, only the older month's rows are wanted.
    """
    begin = first
    while (near := (yield from _walk(listing, begin, last, ascending=True, edge=edge))) is not None:
        if not _alive(listing, begin, last):
            raise error
        second = _second_of_failure(listing, begin, max(begin, near), last, edge)
        if edge is not None and listing.by_interaction and second >= edge:
            return  # it is of the newer month, so all rows of the older month were read
        if second not in listing.poison:
            listing.poison.add(second)
            yield Gap(
                f"{TITLE} cannot read one or more of its own records {_saved(listing)} at {rfc3339_of(second)}"
                + (f" (HTTP {error.status})" if error.status else ""),
                _MEND,
                error.said,
            )
        if edge is not None and not listing.by_interaction:
            yield Gap(
                f"calls in progress at {rfc3339_of(edge)}, the turn of the month, may be missing unless they "
                f"ended before {rfc3339_of(second)}"
            )
            return
        begin = second + 1
        if begin > last:
            return
        if len(listing.poison) >= POISON_AT_MOST:
            yield Gap(
                f"{TITLE} cannot read its records from {rfc3339_of(begin)} to {rfc3339_of(last)}",
                _MEND,
                error.said,
            )
            return


def _saved(listing: Run) -> str:
    return "of interactions begun" if listing.by_interaction else "saved"


def _walk(
    listing: Run, first: int, last: int, *, ascending: bool, edge: int | None = None
) -> Generator[Event, None, int | None]:
    """Yield pages as far as the server can read, in smaller pages where necessary.

    Returns:
        None when the end was reached, or a row of the month that starts at `edge`; else the second at which the last
        row lies, or the range's first.
    """
    size, key, near = listing.page_size, None, first
    newer = f"{gregorian_instant(edge):%Y%m}-" if edge is not None else None
    seen: set[str] = set()
    while True:
        try:
            answer = listing.ask_page(first, last, size, key, ascending=ascending, tries=1 if size > 1 else 3)
        except TemporaryError as error:
            if not _caused_by_data(error):
                raise
            if size == 1:
                return near
            size //= 2
            continue
        yield listing.page(answer)
        rows = records_in(answer)
        key = next_key(answer)
        if key is None or (newer and any(str(pick(row, "id")).startswith(newer) for row in rows)):
            return None
        if key in seen:
            return near  # up to 4.2 no key leads past a second with more rows than such a page
        seen.add(key)
        near = max([near, *(second for row in rows if (second := _key_second(listing, row)))])


def _key_second(listing: Run, row: Record) -> int | None:
    """Return the second by which an interaction is listed, 11 digits in its id; the one of a leg is not in its row."""
    found = re.match(r"(\d{11})-", str(pick(row, "interaction_id"))) if listing.by_interaction else None
    return int(found[1]) if found else None


def _second_of_failure(listing: Run, first: int, low: int, high: int, edge: int | None) -> int:
    """Return the earliest second from `low` to `high` with which a range from `first` fails."""
    unpaged = edge is not None and not listing.by_interaction
    while low < high:
        middle = (low + high) // 2
        try:
            if unpaged:
                listing.ask(first, middle, _UNPAGED, tries=2)
            else:
                listing.ask_page(max(first, low), middle, listing.page_size, None, ascending=True, tries=2)
        except TemporaryError as error:
            if not _caused_by_data(error):
                raise
            high = middle
        else:
            low = middle + 1
    return high


def rfc3339_of(second: int) -> str:
    """Return Gregorian seconds as an instant in RFC 3339."""
    return rfc3339(gregorian_instant(second))


_UNPAGED = (("paginate", "false"), ("is_chunked", "false"))


def probe_edge(listing: Run, edge: int, latest: int) -> Iterator[Event]:
    """Yield the rows around a month's start, with both months' databases open.

    It must be neither paged nor chunked: a page that reaches the other month's database continues there at the last
    row's key and drops the rows before it, and a chunked response that breaks off still has the status `success`.
    """
    wanted = reach = min(listing.longest_call, latest - edge)
    asked_again = False
    while True:
        # Legs are listed by their end, interactions by their start and with both their ends in the range.
        first, last = (edge - max(1, reach) if listing.by_interaction else edge - 1), edge + reach
        more = 1 if last - first + 2 <= listing.longest_range else 0  # in case the bounds are excluded
        try:
            yield listing.page(listing.ask(first - more, last + more, _UNPAGED))
            break
        except TooLargeError as error:
            narrower, problem = reach // 2, error.said
        except RangeLimitError as limit:
            narrower = min(reach - 1, limit.seconds // 2 if listing.by_interaction else limit.seconds - 1)
            problem = limit.said
        except TemporaryError as error:
            if not _caused_by_data(error):
                raise
            if not asked_again and _wait_for_server(listing, [(edge, last), (edge - 2, edge - 1)], error):
                asked_again = True
                continue
            # Oldest first, the older month's database is read completely before the other one.
            yield from _oldest_first(listing, first, last, error, edge)
            break
        if narrower < 1:
            yield Gap(
                f"calls in progress at {rfc3339_of(edge)}, the turn of the month, may be missing",
                NARROWER,
                problem,
            )
            return
        reach = narrower
    # A call that began at the latest a second before the month's start ends a second before the limit.
    if reach < wanted - 1:
        what = f"lasted less than {reach} s" if listing.by_interaction else f"ended before {rfc3339_of(edge + reach)}"
        yield Gap(
            f"calls in progress at {rfc3339_of(edge)}, the turn of the month, may be missing unless they {what}",
            NARROWER,
            problem,
        )
