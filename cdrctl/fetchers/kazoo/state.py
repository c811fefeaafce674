"""The state of one listing in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from urllib.parse import quote

from msgspec import Struct, field

from cdrctl.errors import TemporaryError, UsageError
from cdrctl.fetchers import Once, always
from cdrctl.fetchers.kazoo.answers import error_unless_whole, records_in
from cdrctl.fetchers.kazoo.columns import are_possible, length_of
from cdrctl.fetchers.kazoo.settings import TITLE
from cdrctl.fetchers.mapping import impossible
from cdrctl.http import Answer, Client, Request
from cdrctl.http.retry import TRIES, Patience
from cdrctl.records.batches import key_columns
from cdrctl.records.events import Page, Record, pick
from cdrctl.records.readers import GREGORIAN_UNIX_OFFSET, gregorian_instant, read_integer

LONGEST_RANGE = 2_682_000
"""Seconds that a listing may span by default: 31 days and an hour (system_config crossbar, maximum_range)."""
NARROWER = "use a shorter --longest-call, or ask the operator to allow more"

LARGEST_PAGE = 3200

EXACT = 60
"""Ranges shorter than this many seconds are not widened while an unreadable record is searched for."""

_TOO_FAST = frozenset({408, 425, 429})


class Run(Struct):
    """The state of one listing of one account.

    Args:
        longest_call: The longest call, in seconds.
        longest_range: The longest range of one request, in seconds; lowered when the site allows less.
        poison: Gregorian seconds with records that the server cannot read.
        miscounted: Whether the user has been warned of a page with fewer rows than it says.
        doubted: Whether the user has been warned of impossible lengths.
        patience: What is left of the time that the last request may wait for retries.
        once: True for the first part of the window that reports something.
    """

    client: Client
    path: str
    params: Sequence[tuple[str, str]]
    context: Mapping[str, str]
    keep: Callable[[Record, Mapping[str, str]], bool] | None
    by_interaction: bool
    longest_call: int
    page_size: int
    longest_range: int = LONGEST_RANGE
    poison: set[int] = field(default_factory=set)
    miscounted: bool = False
    doubted: bool = False
    patience: Patience | None = None
    once: Once = always

    def ask(self, first: int, last: int, params: Sequence[tuple[str, str]], tries: int = TRIES) -> Answer:
        """Return the response for a range of Gregorian seconds, both ends included.

        The bounds are always sent: without them, "now" would move the list from page to page. A failure of the server
        is retried a few times, because a record may have caused it (see `_wait_for_server`); a rate limit, for as long
        as the user allows.
        """
        bounds = [("created_from", str(first)), ("created_to", str(last))]
        query = [*bounds, *params, *self.params]
        ask = Request("GET", self.client.at(self.path), query, whole=error_unless_whole, records=("data",))
        patience = self.client.patience()
        if tries == TRIES:
            self.patience = patience
        try:
            return self.client.ask(ask, tries=tries, patience=patience)
        except TemporaryError as error:
            # `wait` is set where the server wants to be left alone for longer than the user allows.
            if error.status not in _TOO_FAST or not patience.left or error.wait is not None:
                raise
        return self.client.ask(ask, patience=patience)

    def ask_page(self, first: int, last: int, size: int, key: str | None, *, ascending: bool, tries: int) -> Answer:
        """Return one page. Every parameter is repeated, because a key replaces only one bound."""
        params = [("page_size", str(size))]
        if ascending:
            params.append(("ascending", "true"))
        if key is not None:
            params.append(("start_key", key))
        return self.ask(first, last, params, tries)

    def wider(self, first: int, last: int) -> tuple[int, int]:
        """Return a range one second wider at both ends, within its month and the site's limit.

        Both bounds belong to a range (crossbar_view.erl); wider ranges lose nothing where they do not. Legs saved in
        the first and last second of a month are also found by the request for the month's start.
        """
        if last - first + 2 > self.longest_range:
            return first, last
        month = month_start(gregorian_instant(last))
        return max(first - 1, gregorian_second(month)), min(last + 1, gregorian_second(month_after(month)) - 1)

    def page(self, answer: Answer) -> Page:
        """Return the page of the rows that pass the filters, and warn if the response counts more rows than it has."""
        rows = records_in(answer)
        with suppress(ValueError):
            counted = read_integer(answer.body.get("page_size"))
            if counted > len(rows) and not self.miscounted:
                self.miscounted = True
                if self.once(f"miscounted {self.path}"):
                    self.client.log("warning", f"{TITLE} reported {counted} rows for a page with {len(rows)}")
        self.doubted = self.doubted or doubts_lengths(self.client, rows, self.once)
        if self.keep is not None:
            rows = [row for row in rows if self.keep(row, self.context)]
        return Page(rows, self.context)


def doubts_lengths(client: Client, legs: Sequence[Record], once: Once = always) -> bool:
    """Warn of a leg with an impossible length, once for all parts of a window; return whether there is one."""
    batch = key_columns(legs)
    if batch is not None and are_possible(batch.columns["duration_seconds"]):
        return False
    wrong = next((leg for leg in legs if impossible(length_of(leg))), None)
    if wrong is not None and once("impossible length"):
        client.log(
            "warning",
            f"{TITLE} has legs with an impossible duration, such as {length_of(wrong)} s in {pick(wrong, 'id')}: "
            "the start of each is taken from its end, and its duration is null in the common schema",
        )
    return wrong is not None


def path_segment(text: str) -> str:
    """Return an id as a segment of a path.

    Raises:
        UsageError: It is empty, or has only dots, which would lead to another path.
    """
    if not text.strip(" ."):
        raise UsageError(f"{text!r} is not an id", hint="find the id in the records of `cdrctl kazoo cdrs`")
    return quote(text, safe="", errors="surrogatepass")


def month_start(instant: datetime) -> datetime:
    """Return the first instant of a month."""
    return instant.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def month_after(instant: datetime) -> datetime:
    """Return the first instant of the next month."""
    return (month_start(instant) + timedelta(days=32)).replace(day=1)


def gregorian_second(instant: datetime, *, up: bool = False) -> int:
    """Return an instant in Gregorian seconds, rounded down or up."""
    whole = int(instant.timestamp() // 1)
    return whole + GREGORIAN_UNIX_OFFSET + (1 if up and instant.microsecond else 0)
