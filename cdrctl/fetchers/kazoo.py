"""2600Hz Kazoo: call detail records from Crossbar.

Sources: GitHub 2600hz/kazoo (master and branches 3.22 to 4.3): `cb_cdrs.erl`, `crossbar_view.erl`, `api_util.erl`,
`cb_context.erl`, `kz_buckets.erl` and their `doc/*.md`; GitHub openkazoo/kazoo5-dev for 5.x.

What makes this API hard is that legs are stored in one database per UTC month of their *interaction's* start, listed
by the moment they were *saved*, and only the months that the asked range touches are opened: a leg of a call over
midnight of the first is in none of two adjoining months. And a paged answer that goes from one month into another
drops rows. So every listing is asked month by month, and each month's edge by a probe of its own.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote, unquote

from pydantic import Field, SecretStr

from cdrctl.errors import (
    CdrctlError,
    ConfigurationError,
    ProviderError,
    RightsError,
    SignInError,
    TemporaryError,
    UsageError,
)
from cdrctl.fetchers import Call, Console, Gives, Once, Option, Provider, always
from cdrctl.fetchers.lengths import LONGEST, impossible
from cdrctl.fetchers.settings import ALLOW_HTTP, Settings
from cdrctl.http import (
    MASK,
    Answer,
    Client,
    RateLimit,
    RepeatedKeyError,
    Request,
    RetryPolicy,
    Token,
    beginning,
    by_key,
    error_of,
    same_origin,
)
from cdrctl.http.retry import TRIES, Patience
from cdrctl.placeholders import is_placeholder
from cdrctl.records import (
    GREGORIAN_UNIX_OFFSET,
    Checkpoint,
    Column,
    Event,
    Expected,
    Gap,
    Note,
    Page,
    Record,
    Value,
    check_records,
    fingerprint,
    gregorian_instant,
    iso_instant,
    pick,
    read_gregorian_time,
    read_integer,
    read_units,
    unix_instant,
)
from cdrctl.windows import Window, month_starts, months, rfc3339

TITLE = "Kazoo"

SETTLED = timedelta(minutes=5)
"""A leg is saved just after the hang-up; a save that had to be repeated comes minutes late."""

LONGEST_RANGE = 2_682_000
"""Seconds that a listing may span by default: 31 days and an hour (system_config crossbar, maximum_range)."""

POISON_AT_MOST = 16
"""Unreadable records in one stretch, after which the rest of it is given up and said to be missing."""

_LATEST = datetime.max.replace(tzinfo=UTC)

_MEND = "the operator can mend the document"
_NARROWER = "a shorter --longest-call asks for less; the operator can allow more"

LARGEST_PAGE = 3200

_EXACT = 60
"""Ranges shorter than so many seconds have no second more at their ends while such a record is searched."""

_TOO_FAST = frozenset({408, 425, 429})
_PASSING = frozenset({502, 503, 504})


class KazooSettings(Settings):
    """The settings of a Kazoo profile."""

    base_url: str = Field(description="the server's address with /v2, such as https://kazoo.example.net:8443/v2")
    account_id: str = Field(description="the account to read, 32 hexadecimal digits", pattern=r"^[^/?#\s]+$")
    auth_token: SecretStr | None = Field(None, description="a token from another sign-in; cannot be renewed")
    api_key: SecretStr | None = Field(None, description="the account's API key, 64 characters")
    username: str | None = Field(None, description="user name")
    password: SecretStr | None = Field(None, description="password")
    account_name: str | None = Field(None, description="name of the account the user belongs to")
    account_realm: str | None = Field(None, description="realm of the account the user belongs to")
    credential_hash: Literal["md5", "sha"] = Field("md5", description="how the password is hashed: md5 or sha")
    currency: str = Field("USD", description="currency of the operator's rates", pattern=r"^[A-Z]{3}$")
    allow_http: bool = ALLOW_HTTP

    def disguised(self) -> list[str]:
        """Return the digest with which one signs in without the password."""
        return [_credentials(self)["credentials"]] if self.username and self.password else []


# Asking


@dataclass(slots=True)
class Listing:
    """One listing of one account in one run, and what was learnt of the site while reading it.

    Args:
        longest_call: Seconds after its start in which a call's end is looked for.
        longest_range: Seconds that one request may span; the site says so when it is less than usual.
        poison: Seconds whose records the server cannot read.
        miscounted: Whether the user has been warned of a page with fewer rows than it says.
        doubted: Whether the user has been warned of lengths that cannot be.
        patience: What is left of the time that the last request may wait for retries.
        once: True for the first part of the window that reports something.
    """

    client: Client
    path: str
    params: Sequence[tuple[str, str]]
    context: Mapping[str, str]
    keep: Callable[[Record, Mapping[str, str]], bool]
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
        """Return an answer for the range of Gregorian seconds, both ends included.

        The bounds are always sent: without them "now" would move the list from page to page. A failure of the server
        is tried again a few times, because a record may be to blame for it (see `_wait_for_server`); being asked too
        fast, as long as the user allows.
        """
        bounds = [("created_from", str(first)), ("created_to", str(last))]
        ask = Request("GET", self.client.at(self.path), [*bounds, *params, *self.params], whole=_whole)
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
        """Return one page; every parameter is repeated, because a key replaces only one bound."""
        params = [("page_size", str(size))]
        if ascending:
            params.append(("ascending", "true"))
        if key is not None:
            params.append(("start_key", key))
        return self.ask(first, last, params, tries)

    def wider(self, first: int, last: int) -> tuple[int, int]:
        """Return a range with a second more at both ends, as far as that stays in its month and in the site's limit.

        Both bounds of a range belong to it (crossbar_view.erl); nothing is lost where they do not. Legs saved in the
        first and last second of a month are also found by the probe of the month's start.
        """
        if last - first + 2 > self.longest_range:
            return first, last
        month = _month_start(gregorian_instant(last))
        return max(first - 1, _gregorian(month)), min(last + 1, _gregorian(_month_after(month)) - 1)

    def page(self, answer: Answer) -> Page:
        """Return the rows of an answer that the user wants; whatever the request, it counts the rows that came."""
        rows = _data(answer)
        with suppress(ValueError):
            counted = read_integer(answer.body.get("page_size"))
            if counted > len(rows) and not self.miscounted:
                self.miscounted = True
                if self.once(f"miscounted {self.path}"):
                    self.client.log("warning", f"{TITLE} counts {counted} rows in a page that holds {len(rows)}")
        self.doubted = self.doubted or _doubts_lengths(self.client, rows, self.once)
        return Page([row for row in rows if self.keep(row, self.context)], self.context)


def _doubts_lengths(client: Client, legs: Sequence[Record], once: Once = always) -> bool:
    """Return whether a leg has a length that cannot be, having warned of it, once for all parts of a window."""
    wrong = next((leg for leg in legs if impossible(_seconds(leg))), None)
    if wrong is not None and once("impossible length"):
        client.log(
            "warning",
            f"{TITLE} has legs of an impossible length, such as {_seconds(wrong)} s of {pick(wrong, 'id')}: each is "
            "taken to have started when it ended, and has no length in the common schema",
        )
    return wrong is not None


def cdrs(client: Client, settings: KazooSettings, window: Window | None, options: Mapping[str, Any]) -> Iterator[Event]:
    """Yield the legs of `/cdrs` for legs that started in the window, and some around it."""
    return _listing(client, settings, window, options, by_interaction=False)


def interactions(
    client: Client, settings: KazooSettings, window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield the earliest leg of each interaction of `/cdrs/interaction` that started in the window, and some around."""
    return _listing(client, settings, window, options, by_interaction=True)


def _listing(
    client: Client,
    settings: KazooSettings,
    window: Window | None,
    options: Mapping[str, Any],
    *,
    by_interaction: bool,
) -> Iterator[Event]:
    assert window is not None  # noqa: S101 - both calls have a window
    now = client.clock.now()
    newest = now - SETTLED if window.until <= now - SETTLED else now
    account = options["account"] or settings.account_id
    if options["page_size"] < 1:
        raise UsageError("--page-size must be at least 1", hint=f"{TITLE} advises 50")
    if options["descendants"] and options["user"]:
        raise UsageError(
            "--user and --descendants do not go together: a user belongs to one account",
            hint="name the user's account with --account",
        )
    keep, server_side = _filters(options["filter"])
    if server_side:
        names = ", ".join(name for name, _ in server_side)
        yield Note(f"no column of the listing is meant by {names}: it is left to the server to filter on the document")
    params = [(f"filter_{name}", value) for name, value in server_side]
    if options["utc_offset"] is not None:
        params.append(("utc_offset", str(options["utc_offset"])))
    below = _descendants(client, account) if options["descendants"] else ()
    for one in dict.fromkeys([account, *below]):
        listing = Listing(
            client=client,
            path=_listing_path(one, options["user"], by_interaction=by_interaction),
            params=params,
            context={"account_id": one, "currency": settings.currency, "user": options["user"] or ""},
            keep=keep,
            by_interaction=by_interaction,
            longest_call=int(options["longest_call"].total_seconds()),
            page_size=options["page_size"],
            once=options.get("once", always),
        )
        try:
            yield from _account(listing, window, newest)
        except (SignInError, ProviderError, ConfigurationError) as error:
            # Forbidden, gone or locked concerns one account; a token that has ended concerns them all.
            if not options["descendants"] or error.status not in {403, 404, 423}:
                raise
            yield Gap(f"account {one} could not be read: {error.message}", error.hint, error.said)


def _part(text: str) -> str:
    """Return an id as a part of a path; one of dots alone would lead to another path."""
    if not text.strip(" ."):
        raise UsageError(f"{text!r} is no id")
    return quote(text, safe="", errors="surrogatepass")


def _listing_path(account: str, user: str | None, *, by_interaction: bool) -> str:
    of = f"/accounts/{_part(account)}" + (f"/users/{_part(user)}" if user is not None else "")
    return f"{of}/cdrs/interaction" if by_interaction else f"{of}/cdrs"


def _descendants(client: Client, account: str) -> Iterator[str]:
    for answer in _pages_of(client, f"/accounts/{_part(account)}/descendants"):
        for row in _data(answer):
            if not isinstance(row.get("id"), str) or not row["id"].strip(" ."):
                raise ProviderError(f"{TITLE} answered in a shape we do not know: a descendant has no id")
            yield row["id"]


def _pages_of(client: Client, path: str) -> Iterator[Answer]:
    def ask(key: str | None) -> Answer:
        return client.get(path, [("start_key", key)] if key is not None else [], whole=_whole)

    return by_key(ask, _next_key)


def _account(listing: Listing, window: Window, newest: datetime) -> Iterator[Event]:
    """Yield one account's pieces, newest month first, as the API lists its rows.

    A listing of legs goes by the moment of saving, so ends are looked for until the longest call after the window. A
    listing of interactions goes by the interaction's start, and its first leg may start later (a user's may start
    much later), so they are looked for from the longest call before the window.
    """
    longest = listing.longest_call
    since, latest = _gregorian(window.since), _gregorian(newest)
    end = min(_gregorian(window.until, up=True) + longest, latest)
    begin = window.since - timedelta(seconds=longest)
    # A call in progress at a month's start may have begun before the window and one of its legs may lie in it.
    edges = [edge for edge in map(_gregorian, month_starts(begin, newest)) if since - longest < edge <= end + 1]
    for month in reversed(list(months(Window(begin if listing.by_interaction else window.since, window.until)))):
        following = _gregorian(_month_after(month.since))
        while edges and edges[-1] >= following:
            yield from _probe(listing, edges.pop(), latest)
        yield from _stretch(listing, _gregorian(month.since), min(following - 1, end))
    while edges:
        yield from _probe(listing, edges.pop(), latest)


def _month_start(instant: datetime) -> datetime:
    return instant.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _month_after(instant: datetime) -> datetime:
    return (_month_start(instant) + timedelta(days=32)).replace(day=1)


def _gregorian(instant: datetime, *, up: bool = False) -> int:
    """Return an instant in Gregorian seconds, rounded down or up."""
    whole = int(instant.timestamp() // 1)
    return whole + GREGORIAN_UNIX_OFFSET + (1 if up and instant.microsecond else 0)


def _stretch(listing: Listing, first: int, last: int) -> Iterator[Event]:
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
                    "a shorter --longest-call says that there are none",
                )
            continue
        if begin == first:
            return
        last = begin - 1 + _overlap(listing)


def _overlap(listing: Listing) -> int:
    return min(listing.longest_call, listing.longest_range // 2) if listing.by_interaction else 0


def _range(listing: Listing, first: int, last: int, tries: int = TRIES) -> Iterator[Event]:
    """Yield the rows of one range page by page; when the server fails on it, find out on what.

    The database may be too slow for the range, or a document in it is poison: one that Crossbar cannot turn into a
    row (without `call_direction`, for example) makes its page a 503 for ever. Halving helps in both cases.
    """
    try:
        yield from _pages(listing, first, last, tries)
    except TemporaryError as error:
        if not _of_data(error):
            raise
        if tries > 1 and _wait_for_server(listing, [(first, last)], error):
            yield from _range(listing, first, last, tries=2)
            return
        if len(listing.poison) >= POISON_AT_MOST:
            yield Gap(f"{TITLE} cannot read its records from {_said(first)} to {_said(last)}", _MEND, error.said)
            return
        overlap = _overlap(listing)
        if first == last or last - first <= 4 * overlap:
            yield from _from_both_sides(listing, first, last, error)
            return
        middle = (first + last) // 2
        for begin, end in ((middle + 1, last), (first, middle + overlap)):
            yield from _range(listing, begin, end, tries=1)


def _of_data(error: TemporaryError) -> bool:
    """Return whether the server itself failed on what it was asked: not the network, and not asked too fast.

    A server that asks to be left alone for longer than is allowed (Retry-After) says itself that no record is to blame.
    """
    return error.wait is None and error.status is not None and error.status >= 500


def _pages(listing: Listing, first: int, last: int, tries: int) -> Iterator[Page]:
    size = listing.page_size
    # Within a minute of a record that the server cannot read ranges are exact: else its neighbours would fail as well.
    if tries > 1 or last - first >= _EXACT:
        first, last = listing.wider(first, last)
    while True:
        ask = functools.partial(listing.ask_page, first, last, size, ascending=False, tries=tries)
        try:
            for answer in by_key(ask, _next_key):
                yield listing.page(answer)
        except RepeatedKeyError:
            # Up to 4.2 a key is a second: more rows of one second than a page holds make an endless loop.
            if size >= LARGEST_PAGE:
                raise
            size = min(LARGEST_PAGE, size * 4)
        else:
            return


def _alive(listing: Listing, first: int, last: int) -> bool:
    """Return whether the server can answer for a single second in or near the range, in the month of its end.

    If not it is down, or it builds the views of this month, and no record is to blame.
    """
    begin = max(_gregorian(_month_start(gregorian_instant(last))), min(first, last - 3600))
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


def _wait_for_server(listing: Listing, ranges: Sequence[tuple[int, int]], error: TemporaryError) -> bool:
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
        passes = error.status in _PASSING or (error.status == 500 and error.said)
        # A sign-in may have waited in vain before: then the client has no patience for any other request.
        may_wait = waited or (patience is not None and bool(patience.left and listing.client.patience().left))
        if not passes or patience is None or error.wait is not None or not may_wait:
            raise error
        if not waited and listing.once(f"waiting {listing.path}"):
            listing.client.log(
                "note", f"{TITLE} can read nothing here now; it may be building its views, which takes some minutes"
            )
        waited = True
        listing.client.wait_to_retry(patience, error)
        patience.tries += 1
    return waited


def _from_both_sides(listing: Listing, first: int, last: int, error: TemporaryError) -> Iterator[Event]:
    """Yield what can be read around the records on which the server fails: from above, and from below them."""
    if (yield from _walk(listing, first, last, ascending=False)) is not None:
        yield from _upwards(listing, first, last, error)


def _upwards(
    listing: Listing, first: int, last: int, error: TemporaryError, edge: int | None = None
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
            return  # it is of the newer month, so that the older month's were all read
        if second not in listing.poison:
            listing.poison.add(second)
            yield Gap(
                f"{TITLE} cannot read one or more of its own records {_saved(listing)} at {_said(second)}"
                + (f" (HTTP {error.status})" if error.status else ""),
                _MEND,
                error.said,
            )
        if edge is not None and not listing.by_interaction:
            yield Gap(
                f"calls in progress at {_said(edge)}, the turn of the month, were looked for only where they ended "
                f"before {_said(second)}"
            )
            return
        begin = second + 1
        if begin > last:
            return
        if len(listing.poison) >= POISON_AT_MOST:
            yield Gap(f"{TITLE} cannot read its records from {_said(begin)} to {_said(last)}", _MEND, error.said)
            return


def _saved(listing: Listing) -> str:
    return "of interactions begun" if listing.by_interaction else "saved"


def _walk(
    listing: Listing, first: int, last: int, *, ascending: bool, edge: int | None = None
) -> Generator[Event, None, int | None]:
    """Yield pages as far as the server can read, in smaller pages where it must be.

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
            if not _of_data(error):
                raise
            if size == 1:
                return near
            size //= 2
            continue
        yield listing.page(answer)
        rows = _data(answer)
        key = _next_key(answer)
        if key is None or (newer and any(str(pick(row, "id")).startswith(newer) for row in rows)):
            return None
        if key in seen:
            return near  # up to 4.2 no key leads past a second with more rows than such a page
        seen.add(key)
        near = max([near, *(second for row in rows if (second := _key_second(listing, row)))])


def _key_second(listing: Listing, row: Record) -> int | None:
    """Return the second by which an interaction is listed, 11 digits in its id; the one of a leg is not in its row."""
    found = re.match(r"(\d{11})-", str(pick(row, "interaction_id"))) if listing.by_interaction else None
    return int(found[1]) if found else None


def _second_of_failure(listing: Listing, first: int, low: int, high: int, edge: int | None) -> int:
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
            if not _of_data(error):
                raise
            high = middle
        else:
            low = middle + 1
    return high


def _said(second: int) -> str:
    return rfc3339(gregorian_instant(second))


_UNPAGED = (("paginate", "false"), ("is_chunked", "false"))


def _probe(listing: Listing, edge: int, latest: int) -> Iterator[Event]:
    """Yield the rows around a month's start, with both months' databases open.

    It must be neither paged nor chunked: a page that comes to the other month's database goes on there at the last
    row's key and drops the rows before it, and a chunked answer that breaks off still says `success`.
    """
    wanted = reach = min(listing.longest_call, latest - edge)
    asked_again = False
    while True:
        # Legs are listed by their end, interactions by their start and with both their ends in the range.
        first, last = (edge - max(1, reach) if listing.by_interaction else edge - 1), edge + reach
        more = 1 if last - first + 2 <= listing.longest_range else 0  # whether the bounds belong to the range or not
        try:
            yield listing.page(listing.ask(first - more, last + more, _UNPAGED))
            break
        except TooLargeError as error:
            narrower, problem = reach // 2, error.said
        except RangeLimitError as limit:
            narrower = min(reach - 1, limit.seconds // 2 if listing.by_interaction else limit.seconds - 1)
            problem = limit.message
        except TemporaryError as error:
            if not _of_data(error):
                raise
            if not asked_again and _wait_for_server(listing, [(edge, last), (edge - 2, edge - 1)], error):
                asked_again = True
                continue
            # Oldest first, the older month's database is read to its end before the other is begun.
            yield from _upwards(listing, first, last, error, edge)
            break
        if narrower < 1:
            yield Gap(
                f"calls in progress at {_said(edge)}, the turn of the month, could not be looked for",
                _NARROWER,
                problem,
            )
            return
        reach = narrower
    # A call that began at the latest a second before the month's start ends a second before the limit.
    if reach < wanted - 1:
        what = f"lasted less than {reach} s" if listing.by_interaction else f"ended before {_said(edge + reach)}"
        yield Gap(
            f"calls in progress at {_said(edge)}, the turn of the month, were looked for only where they {what}",
            _NARROWER,
            problem,
        )


def legs(
    client: Client, settings: KazooSettings, _window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield all legs of one interaction as full documents, oldest first.

    The server gives the page with the newest legs first, and in each page the oldest leg first
    (`normalize_leg_view_results` in cb_cdrs.erl).
    """
    account = options["account"] or settings.account_id
    path = f"/accounts/{_part(account)}/cdrs/legs/{_part(options['id'])}"
    pages = [_data(answer) for answer in _pages_of(client, path)]
    found = [leg for page in reversed(pages) for leg in page]
    if len(pages) > 1:
        found.sort(key=lambda leg: start(leg) or _LATEST)
    _doubts_lengths(client, found)
    yield Page(found, {"account_id": account, "currency": settings.currency})
    if not found:
        yield Note(f"{TITLE} knows no interaction {options['id']}; an id looks like 63814294800-b1c2d3 or 202611-…")


def cdr(client: Client, settings: KazooSettings, _window: Window | None, options: Mapping[str, Any]) -> Iterator[Event]:
    """Yield one leg as a full document."""
    account = options["account"] or settings.account_id
    answer = client.get(f"/accounts/{_part(account)}/cdrs/{_part(options['id'])}", whole=_whole)
    documents = check_records([answer.body.get("data")], "data", TITLE)
    _doubts_lengths(client, documents)
    yield Page(documents, {"account_id": account, "currency": settings.currency})


# Filters


def _filters(given: Sequence[str]) -> tuple[Callable[[Record, Mapping[str, str]], bool], list[tuple[str, str]]]:
    """Return the test that rows must pass, and the filters that only the server can apply.

    Crossbar's own filters skip rows at the turn of a month before May 2020, so what a row shows is filtered here.
    """
    ours: list[tuple[Column, str, list[str]]] = []
    theirs: list[tuple[str, str]] = []
    for text in given:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise UsageError(f"a filter is written NAME=VALUE: {text!r}", hint="for example --filter direction=inbound")
        column = _FILTERED.get(_DOCUMENT_PATHS.get(name, name))
        if column is None and not _in_documents(name):
            near = difflib.get_close_matches(name, [*_FILTERED, *(column.name for column in DOCUMENT)], n=3)
            raise UsageError(
                f"there is no field {name!r} to filter on",
                hint=f"did you mean {' or '.join(near)}?" if near else "cdrctl kazoo cdr shows what a document holds",
            )
        if column is None:
            theirs.append((name, value))
        else:
            path = next((path for path, of in _DOCUMENT_PATHS.items() if of == column.name), column.name)
            ours.append((column, path, _alternatives(value)))

    def keep(row: Record, context: Mapping[str, str]) -> bool:
        return all(_passes(row, context, *one) for one in ours)

    return keep, theirs


def _alternatives(wanted: str) -> list[str]:
    """Return the values that pass a filter: the one given and each of a JSON list (crossbar_filter.erl)."""
    with suppress(ValueError, RecursionError):
        several = json.loads(wanted)
        if isinstance(several, list):
            return [wanted, *(str(one) for one in several)]
    return [wanted]


def _in_documents(path: str) -> bool:
    """Return whether a document may hold this path: a field of its own, or anything in an object of variables."""
    return any(path == column.key for column in DOCUMENT) or path.startswith(
        ("custom_channel_vars.", "custom_application_vars.", "custom_sip_headers.")
    )


def _at(row: Record, context: Mapping[str, str], column: Column, path: str) -> Any:
    """Return a row's value of a column; in a full document, which a 5.x operator may send instead, that of its path."""
    if column.key.startswith("@"):
        return context[column.key[1:]]
    value = pick(row, column.key)
    if value is None:
        value = row
        for part in path.split("."):
            value = pick(value, part) if isinstance(value, dict) else None
    return value


def _passes(row: Record, context: Mapping[str, str], column: Column, path: str, wanted: Sequence[str]) -> bool:
    value = _at(row, context, column, path)
    return any(_matches(column, value, one) for one in wanted)


def _matches(column: Column, raw: Any, wanted: str) -> bool:
    """Return whether a value is the one asked for, as it came or as it is shown."""
    if isinstance(raw, list):
        return wanted in map(str, raw)
    if raw is None or raw == "":
        return wanted == ""
    if str(raw) == wanted:
        return True
    try:
        return column.read is not None and str(column.read(raw)) == wanted
    except ValueError:
        return False


# Reading answers


class RangeLimitError(ProviderError):
    """The range asked for is longer than this site allows: `seconds` says how long it may be."""

    def __init__(self, seconds: int, words: str | None) -> None:
        super().__init__(
            f"{TITLE} allows at most {seconds} s at a time here",
            said=words,
            hint="use a larger limit at the server, or a shorter --longest-call",
            status=400,
        )
        self.seconds = seconds


class TooLargeError(ProviderError):
    """The answer would be larger than the operator allows."""


def _whole(body: Any) -> CdrctlError | None:
    """Return what is wrong with a 2xx body: `status` is the last thing written, so an answer without it broke off."""
    if not isinstance(body, dict) or ("data" not in body and body.get("status") in (None, "success")):
        return ProviderError(
            f"{TITLE} answered in a shape we do not know: there is no data in it",
            hint="check base_url; it should end in /v2",
        )
    if body.get("status") != "success" and _own_status(body) not in range(400, 429):
        return TemporaryError(
            f"the answer of {TITLE} broke off" if "status" not in body else f"{TITLE} failed in the middle",
            said=_words_of(body),
            hint="nothing is lost: run it again later",
            status=200,
        )
    return None


def _own_status(body: Mapping[str, Any]) -> int:
    """Return the status that an error envelope gives itself: a string, in `error`."""
    code = str(body.get("error", ""))
    return int(code) if re.fullmatch("[1-5][0-9][0-9]", code, re.ASCII) else 500


def _data(answer: Answer) -> list[Record]:
    body = answer.body if isinstance(answer.body, dict) else {}
    return check_records(body.get("data"), "data", TITLE)


def _next_key(answer: Answer) -> str | None:
    key = answer.body.get("next_start_key")
    return str(key) if isinstance(key, str | int) and key != "" and not isinstance(key, bool) else None


def explain(answer: Answer) -> CdrctlError | None:
    """Return what an answer means when it is not a good one, or None; the body's own status counts, not only HTTP's."""
    body = answer.body if isinstance(answer.body, dict) else {}
    if answer.good and body.get("status", "success") == "success":
        return None
    status = _own_status(body) if answer.good else answer.status
    words = _words(answer)
    said_so = words or ""
    found = re.search("/accounts/([^/]+)", answer.url)
    account = f"account {unquote(found[1])}" if found else "that account"
    limit = re.search(r"is more than (\d{1,12}) seconds", said_so)
    match status:
        case 400 if limit:
            return RangeLimitError(int(limit[1]), words)
        case 401:
            return SignInError(
                f"{TITLE} does not accept the token or key of this profile",
                said=words,
                hint="check api_key, or username, password and account_name; auth_token ends after an hour",
                status=status,
            )
        case 403:
            return RightsError(
                f"this key may not read {account}",
                said=words,
                hint="account_id, or --account, must be the key's own account or one below it",
                status=status,
            )
        case 404 if re.search("faulty_request|utc_offset", said_so):
            return ProviderError(f"{TITLE} does not accept a parameter", said=words, status=status)
        case 404 if re.search("supplied id|bad.identifier", said_so) and re.search("/cdrs(/interaction)?$", answer.url):
            return ConfigurationError(
                "there is no such account or user",
                said=words,
                hint="check account_id, or --account and --user",
                status=status,
            )
        case 404 if re.search("supplied id|bad.identifier", said_so):
            return ProviderError(
                "there is no CDR with that id, or no such account; the id of a CDR looks like 202611-…",
                said=words,
                hint="the id is the UTC month of its interaction, a dash and the call id",
                status=status,
            )
        case 416:
            return TooLargeError("the answer would be larger than the server allows", said=words, status=status)
        case 423:
            return SignInError(f"{account} is disabled or expired", said=words, hint="ask the operator", status=status)
    error = error_of(TITLE, replace(answer, status=status))
    if error is not None:
        error.said = words
    return error


def _words(answer: Answer) -> str | None:
    """Return Crossbar's own words in an answer, or the beginning of what is no JSON."""
    return _words_of(answer.body) if isinstance(answer.body, dict) else beginning(answer.text, 200) or None


def _words_of(body: Mapping[str, Any]) -> str | None:
    """Return the message, and what `data` says of each parameter it did not like.

    Nothing else of the envelope: it echoes the token, and `cause` echoes the key of a sign-in.
    """
    words: list[str] = []

    def look(value: Any, depth: int) -> None:
        if isinstance(value, dict) and depth < 5:  # data.FIELD.RULE.message
            for key, inner in value.items():
                if key == "message" and isinstance(inner, str) and inner not in words:
                    words.append(inner)
                look(inner, depth + 1)

    look({"message": body.get("message")}, 0)
    look(body.get("data"), 0)
    return ": ".join(words) or None


def trusts(settings: KazooSettings, url: str) -> bool:
    """Return whether a URL is the profile's own address."""
    return same_origin(settings.base_url, url)


# Signing in


def sign_in(settings: KazooSettings, ended: Token | None, _now: datetime) -> Generator[Request, Answer, Token]:
    """Return the token of the profile, or one for its key or password (crossbar `api_auth` and `user_auth`).

    A token ends an hour after its sign-in, however it is used; the operator can change that, so its end is learnt
    from a 401.
    """
    if settings.api_key is not None:
        path, data = "api_auth", {"api_key": settings.api_key.get_secret_value()}
    elif settings.username is not None and settings.password is not None:
        path, data = "user_auth", _credentials(settings)
    elif settings.auth_token is not None and ended is None:
        return _token(settings.auth_token.get_secret_value())
    else:
        raise SignInError(
            f"{TITLE} does not accept the token or key of this profile",
            hint="a token ends an hour after its sign-in: set api_key, or username and password, instead",
        )
    base = settings.base_url.rstrip("/")
    answer = yield Request("PUT", f"{base}/{path}", json={"data": data}, kind="sign-in", signed=False)
    body = answer.body if isinstance(answer.body, dict) else {}
    token = body.get("auth_token")
    if answer.good and isinstance(token, str) and token:
        return _token(token)
    if answer.status not in {400, 401, 403, 404}:
        raise explain(answer) or ProviderError(f"{TITLE} answered a sign-in in a shape we do not know: no auth_token")
    details = body.get("data")
    if isinstance(details, dict) and "multi_factor_request" in details:
        raise SignInError(
            "this user signs in with a second factor, which a program cannot give",
            hint="set api_key instead: the account's key is at /accounts/ACCOUNT_ID/api_key",
            status=answer.status,
        )
    what, names = "user name or password", "username, password and account_name or account_realm"
    if path == "api_auth":
        what, names = "key", "api_key"
    raise SignInError(
        f"{TITLE} does not accept the {what} of this profile",
        said=_words(answer),
        hint=f"check {names}, and base_url",
        status=answer.status,
    )


def _credentials(settings: KazooSettings) -> dict[str, str]:
    """Return the body of `user_auth`: the user name in lower case and the password, hashed as the server wants."""
    assert settings.username is not None  # noqa: S101 - sign_in has looked
    assert settings.password is not None  # noqa: S101
    password = settings.password.get_secret_value()
    pair = f"{settings.username.lower()}:{password}".encode()
    method = settings.credential_hash
    digest = hashlib.md5(pair) if method == "md5" else hashlib.sha1(pair)  # noqa: S324 - the API's, not ours
    # The digest of a mask would look like one that works.
    data = {"credentials": digest.hexdigest() if password != MASK else MASK, "method": method}
    if settings.account_name:
        data["account_name"] = settings.account_name
    elif settings.account_realm:
        data["account_realm"] = settings.account_realm
    return data


def _token(token: str) -> Token:
    return Token({"X-Auth-Token": token})


def nothing(path: str, _body: Any) -> Any:
    """Return the answer of a listing without rows, or a token of masks."""
    if path.endswith("_auth"):
        return {"auth_token": MASK, "data": {}, "status": "success"}
    return {"data": [], "page_size": 0, "status": "success"}


def check(client: Client, settings: KazooSettings) -> str:
    """Return what one small request found."""
    until = _gregorian(client.clock.now() - SETTLED)
    day = 86_400
    path = _listing_path(settings.account_id, None, by_interaction=False)
    params = [("created_from", str(until - day)), ("created_to", str(until)), ("page_size", "1")]
    rows = _data(client.get(path, params, whole=_whole))
    found = "there are" if rows else "there are no"
    return f"signed in; {found} legs in account {settings.account_id} between {_said(until - day)} and {_said(until)}"


# The record


def identity(record: Record) -> str:
    """Return `id`, the key of a leg within its account; a record without one is known by all it says."""
    key = pick(record, "id") or pick(record, "_id")
    return key if isinstance(key, str) else fingerprint(record)


def start(record: Record) -> datetime | None:
    """Return the start of the leg, of a row or of a full document (whose `timestamp` is the end).

    A row's start is its end less its length. Where that length cannot be, the length is added again: the leg then
    starts at its end. Up to 4.3 a leg killed while it was new has a length of minus a Unix time, and a row that starts
    decades from now (GitHub 2600hz/kazoo, issue 6534).
    """
    return next((at for at in _starts(record) if not is_placeholder(at)), None)


def _starts(record: Record) -> Iterator[datetime]:
    """Yield what the fields of a record say of its start, the best first; zero says 1970 there, which is no start."""
    seconds = _seconds(record)
    wrong = timedelta(seconds=seconds) if seconds is not None and impossible(seconds) else timedelta(0)
    with suppress(ValueError, OverflowError):
        yield unix_instant(pick(record, "unix_timestamp")) + wrong
        if wrong:
            return  # neither the start nor the length is to be believed: a record without a start is kept
    with suppress(ValueError, OverflowError):
        at = gregorian_instant(pick(record, "timestamp"))
        if not any(pick(record, name) for name in ("call_direction", "custom_channel_vars")):
            yield at + wrong
        elif abs(wrong) > timedelta(seconds=LONGEST):
            yield at
        elif not wrong:
            yield at - timedelta(seconds=read_integer(pick(record, "duration_seconds")))
    with suppress(ValueError):
        yield unix_instant(read_integer(pick(record, "channel_created_time")) // 1_000_000)
    if wrong:
        with suppress(ValueError, OverflowError):
            yield gregorian_instant(pick(record, "timestamp"))


def _seconds(record: Record) -> int | None:
    """Return the length of a leg, possible or not, or None where it cannot be read or compared with an instant."""
    with suppress(ValueError, OverflowError):
        seconds = read_integer(pick(record, "duration_seconds"))
        timedelta(seconds=seconds)
        return seconds
    return None


def interaction(record: Record) -> str:
    """Return what is the same for all legs of an interaction; of a row without it, the key of its leg.

    4.3 and 5.0 show as the earliest leg the earliest of those saved within the range: which leg it is may differ from
    one request to the next, and the interaction is one all the same.
    """
    return identity(record) if _begun(record) is None else str(pick(record, "interaction_id"))


def interaction_start(record: Record, context: Mapping[str, str]) -> datetime | None:
    """Return the start of the interaction, which its id begins with, or of the leg shown where that makes no sense.

    Of one user's interactions the leg shown is the user's first: there its own start counts.
    """
    return start(record) if context.get("user") else _begun(record) or start(record)


def _begun(record: Record) -> datetime | None:
    """Return the start of an interaction by its id, or None where the leg shown cannot be one of its first."""
    match = re.match(r"([0-9]{11})-", str(pick(record, "interaction_id") or ""))
    leg = start(record)
    if match is None or leg is None:
        return None
    begun = gregorian_instant(match[1])
    return begun if timedelta(seconds=-1) < leg - begun <= timedelta(hours=1) else None


def read_unquoted(raw: Any) -> str:
    """Return text without the literal quotes that Crossbar wrote around it up to 4.1."""
    if not isinstance(raw, str):
        raise ValueError
    return raw[1:-1] if len(raw) > 1 and raw[0] == raw[-1] == '"' else raw


_CONTEXT = (
    Column("account_id", "@account_id", "text", "account the leg was read from"),
    Column("currency", "@currency", "text", "currency of the money in this row"),
)

# Rows: the columns of crossbar 5.0 in its order (cb_cdrs.erl), some of them of one version or of resellers only.
COLUMNS: tuple[Column, ...] = (
    Column("id", "id", "text", "YYYYMM-call_id, the key of the record"),
    Column("call_id", "call_id", "text", "id of the leg"),
    Column("caller_id_number", "caller_id_number", "text", "caller number"),
    Column("caller_id_name", "caller_id_name", "text", "caller name"),
    Column("callee_id_number", "callee_id_number", "text", "callee number"),
    Column("callee_id_name", "callee_id_name", "text", "callee name"),
    Column("duration_seconds", "duration_seconds", "seconds", "whole leg in seconds"),
    Column("billing_seconds", "billing_seconds", "seconds", "seconds since answer"),
    Column("timestamp", "timestamp", "time", "START of the leg", read=read_gregorian_time),
    Column("hangup_cause", "hangup_cause", "text", "FreeSWITCH cause name"),
    Column("disposition", "disposition", "text", "who sent the SIP BYE"),
    Column("other_leg_call_id", "other_leg_call_id", "text", "leg bridged to this one"),
    Column("owner_id", "owner_id", "text", "user id"),
    Column("to", "to", "text", "user@realm"),
    Column("from", "from", "text", "user@realm"),
    Column("direction", "direction", "text", "inbound or outbound as seen by the media switch"),
    Column("request", "request", "text", "request URI"),
    Column(
        "authorizing_id",
        "authorizing_id",
        "text",
        'device or resource that authorised the leg; "" when equal to the account id',
    ),
    Column("cost", "cost", "money", "what the customer pays, in money", read=read_units),
    Column("dialed_number", "dialed_number", "text", "dialled number"),
    Column("calling_from", "calling_from", "text", "calling number"),
    Column(
        "datetime",
        "datetime",
        "text",
        "start as YYYY-MM-DD_HH:MM:SS or with a blank; the only column --utc-offset moves",
    ),
    Column("unix_timestamp", "unix_timestamp", "integer", "start in Unix seconds"),
    Column("unix_timestamp_micro", "unix_timestamp_micro", "decimal", "start in Unix seconds with microseconds"),
    Column("rfc_1036", "rfc_1036", "text", "start, RFC 1123 style", read=read_unquoted),
    Column("iso_8601", "iso_8601", "text", "date of the start", read=read_unquoted),
    Column("iso_8601_combined", "iso_8601_combined", "time", "start"),
    Column("call_type", "call_type", "text", "billing tag, e.g. per_minute"),
    Column("rate", "rate", "money", "money per minute"),
    Column("rate_name", "rate_name", "text", "rate document"),
    Column("bridge_id", "bridge_id", "text", "usually the call_id of the A leg"),
    Column("recording_url", "recording_url", "text", "where the recording was stored"),
    Column("media_recordings", "media_recordings", "list", "recording ids"),
    Column("media_server", "media_server", "text", "media server host"),
    Column("call_priority", "call_priority", "text", "priority"),
    Column("interaction_id", "interaction_id", "text", "11 digits, dash, key; ties the legs"),
    Column("inception_direction", "inception_direction", "text", "origination or termination"),
    Column("reseller_cost", "reseller_cost", "money", "what the reseller pays, in money", read=read_units),
    Column("reseller_call_type", "reseller_call_type", "text", "billing tag of the reseller"),
    *_CONTEXT,
)

# Only 4.3 shows the disposition, but every document has it: the server filters on it.
_FILTERED: Mapping[str, Column] = {column.name: column for column in COLUMNS if column.name != "disposition"}

# The paths in the document by which Crossbar's filters call what a row shows under another name.
_DOCUMENT_PATHS: Mapping[str, str] = {
    "_id": "id",
    "call_direction": "direction",
    "custom_channel_vars.owner_id": "owner_id",
    "custom_channel_vars.authorizing_id": "authorizing_id",
    "custom_channel_vars.account_billing": "call_type",
    "custom_channel_vars.rate_name": "rate_name",
    "custom_channel_vars.bridge_id": "bridge_id",
    "custom_channel_vars.reseller_billing": "reseller_call_type",
}


def _texts(*names: str, prefix: str = "", about: str = "") -> tuple[Column, ...]:
    return tuple(Column(prefix + name, prefix + name, "text", about) for name in names)


# Full documents: GitHub 2600hz/kazoo, schema cdrs.json of 4.3, 5.0 and 5.x, and cdrs.md for what lies inside
# custom_channel_vars; documents hold more than the schema says.
DOCUMENT: tuple[Column, ...] = (
    Column("id", "id", "text", "YYYYMM-call_id, the key of the record"),
    Column("call_id", "call_id", "text", "id of the leg"),
    Column("interaction_id", "interaction_id", "text", "ties the legs of one call"),
    Column("interaction_time", "interaction_time", "time", "start of the interaction", read=read_gregorian_time),
    Column("interaction_key", "interaction_key", "text", "unique part of the interaction id"),
    Column("call_direction", "call_direction", "text", "inbound or outbound as seen by the media switch"),
    Column("timestamp", "timestamp", "time", "END of the leg", read=read_gregorian_time),
    Column("channel_created_time", "channel_created_time", "integer", "start in Unix microseconds"),
    Column("duration_seconds", "duration_seconds", "seconds", "whole leg"),
    Column("ringing_seconds", "ringing_seconds", "seconds", "ringing"),
    Column("billing_seconds", "billing_seconds", "seconds", "since answer"),
    Column("hangup_cause", "hangup_cause", "text", "FreeSWITCH cause name"),
    Column("hangup_code", "hangup_code", "text", "SIP code, such as sip:200"),
    Column("disposition", "disposition", "text", "who sent the SIP BYE"),
    *_texts("caller_id_number", "caller_id_name", "callee_id_number", "callee_id_name", about="party of this leg"),
    Column("other_leg_call_id", "other_leg_call_id", "text", "leg bridged to this one"),
    *_texts(
        "other_leg_caller_id_number",
        "other_leg_caller_id_name",
        "other_leg_destination_number",
        "other_leg_direction",
        about="of the leg bridged to this one",
    ),
    *_texts("from", "from_uri", "from_tag", "to", "to_uri", "to_tag", "request", about="SIP"),
    Column("presence_id", "presence_id", "text", "id under which presence is told (SIP NOTIFY)"),
    Column("user_agent", "user_agent", "text", "SIP User-Agent"),
    Column("digits_dialed", "digits_dialed", "text", "DTMF tones heard on this leg"),
    Column("recording_url", "recording_url", "text", "where the recording was stored"),
    *_texts("local_sdp", "remote_sdp", about="SDP negotiated by this side, or by the other"),
    *_texts("e164_origination", "e164_destination", about="number in E.164 form"),
    Column("did_classifier", "did_classifier", "text", "class of the number"),
    Column("is_conference", "is_conference", "boolean", "whether the leg went into a conference"),
    *_texts("media_server", "switch_hostname", "switch_nodename", "switch_uri", "switch_url", about="media switch"),
    *_texts("channel_name", "channel_state", "channel_call_state", about="channel of the media switch"),
    Column("channel_is_loopback", "channel_is_loopback", "boolean", "whether it is a loopback channel"),
    *_texts(
        *("fax_success", "fax_result_code", "fax_result_text", "fax_total_pages", "fax_transferred_pages"),
        *("fax_transfer_rate", "fax_bad_rows", "fax_ecm_used", "fax_t38"),
        about="fax",
    ),
    *_texts("app_name", "app_version", "node", "msg_id", "event_category", "event_name", about="Kazoo"),
    *_texts("account_id", "owner_id", prefix="custom_channel_vars.", about="account, or user, the leg belongs to"),
    *_texts("authorizing_id", "authorizing_type", prefix="custom_channel_vars.", about="what authorised the leg"),
    *_texts("bridge_id", prefix="custom_channel_vars.", about="usually the call_id of the A leg"),
    *_texts("realm", "username", prefix="custom_channel_vars.", about="SIP account that authorised the leg"),
    *_texts("resource_id", "resource_type", prefix="custom_channel_vars.", about="resource used, such as a carrier"),
    Column(
        "custom_channel_vars.global_resource",
        "custom_channel_vars.global_resource",
        "boolean",
        "whether the resource is one of the whole site",
    ),
    *_texts("ecallmgr_node", "fetch_id", prefix="custom_channel_vars.", about="Kazoo"),
    Column("custom_channel_vars.media_recordings", "custom_channel_vars.media_recordings", "list", "recording ids"),
    *_texts(
        *("account_billing", "reseller_billing", "reseller_id", "rate_name"),
        prefix="custom_channel_vars.",
        about="billing",
    ),
    Column("custom_channel_vars.rate", "custom_channel_vars.rate", "money", "money per minute", read=read_units),
    Column("custom_channel_vars.base_cost", "custom_channel_vars.base_cost", "money", "in money", read=read_units),
    Column("custom_channel_vars.surcharge", "custom_channel_vars.surcharge", "money", "in money", read=read_units),
    Column("custom_channel_vars.rate_increment", "custom_channel_vars.rate_increment", "seconds", "billed at a time"),
    Column("custom_channel_vars.rate_minimum", "custom_channel_vars.rate_minimum", "seconds", "billed at least"),
    Column("custom_channel_vars.rate_nocharge_time", "custom_channel_vars.rate_nocharge_time", "seconds", "free"),
    Column("custom_channel_vars.discount_percentage", "custom_channel_vars.discount_percentage", "decimal", "discount"),
    Column("custom_application_vars", "custom_application_vars", "list", "variables set by applications"),
    Column("custom_sip_headers", "custom_sip_headers", "list", "SIP headers added"),
    *_CONTEXT,
)

# FreeSWITCH causes: their ITU-T Q.850 number, where they have one, and what they mean for a leg that was never
# answered (freeswitch.org, "Hangup Cause Code Table").
CAUSES: Mapping[str, tuple[int | None, str]] = {
    "UNALLOCATED_NUMBER": (1, "failed"),
    "NO_ROUTE_TRANSIT_NET": (2, "failed"),
    "NO_ROUTE_DESTINATION": (3, "failed"),
    "CHANNEL_UNACCEPTABLE": (6, "failed"),
    "CALL_AWARDED_DELIVERED": (7, "failed"),
    "NORMAL_CLEARING": (16, "cancelled"),
    "USER_BUSY": (17, "busy"),
    "NO_USER_RESPONSE": (18, "no_answer"),
    "NO_ANSWER": (19, "no_answer"),
    "SUBSCRIBER_ABSENT": (20, "failed"),
    "CALL_REJECTED": (21, "rejected"),
    "NUMBER_CHANGED": (22, "failed"),
    "REDIRECTION_TO_NEW_DESTINATION": (23, "failed"),
    "EXCHANGE_ROUTING_ERROR": (25, "failed"),
    "DESTINATION_OUT_OF_ORDER": (27, "failed"),
    "INVALID_NUMBER_FORMAT": (28, "failed"),
    "FACILITY_REJECTED": (29, "failed"),
    "RESPONSE_TO_STATUS_ENQUIRY": (30, "failed"),
    "NORMAL_UNSPECIFIED": (31, "unknown"),
    "NORMAL_CIRCUIT_CONGESTION": (34, "failed"),
    "NETWORK_OUT_OF_ORDER": (38, "failed"),
    "NORMAL_TEMPORARY_FAILURE": (41, "failed"),
    "SWITCH_CONGESTION": (42, "failed"),
    "ACCESS_INFO_DISCARDED": (43, "failed"),
    "REQUESTED_CHAN_UNAVAIL": (44, "failed"),
    "PRE_EMPTED": (45, "failed"),
    "FACILITY_NOT_SUBSCRIBED": (50, "failed"),
    "OUTGOING_CALL_BARRED": (52, "rejected"),
    "INCOMING_CALL_BARRED": (54, "rejected"),
    "BEARERCAPABILITY_NOTAUTH": (57, "failed"),
    "BEARERCAPABILITY_NOTAVAIL": (58, "failed"),
    "SERVICE_UNAVAILABLE": (63, "failed"),
    "BEARERCAPABILITY_NOTIMPL": (65, "failed"),
    "CHAN_NOT_IMPLEMENTED": (66, "failed"),
    "FACILITY_NOT_IMPLEMENTED": (69, "failed"),
    "SERVICE_NOT_IMPLEMENTED": (79, "failed"),
    "INVALID_CALL_REFERENCE": (81, "failed"),
    "INCOMPATIBLE_DESTINATION": (88, "failed"),
    "INVALID_MSG_UNSPECIFIED": (95, "failed"),
    "MANDATORY_IE_MISSING": (96, "failed"),
    "MESSAGE_TYPE_NONEXIST": (97, "failed"),
    "WRONG_MESSAGE": (98, "failed"),
    "IE_NONEXIST": (99, "failed"),
    "INVALID_IE_CONTENTS": (100, "failed"),
    "WRONG_CALL_STATE": (101, "failed"),
    "RECOVERY_ON_TIMER_EXPIRE": (102, "failed"),
    "MANDATORY_IE_LENGTH_ERROR": (103, "failed"),
    "PROTOCOL_ERROR": (111, "failed"),
    "INTERWORKING": (127, "failed"),
    "ORIGINATOR_CANCEL": (None, "cancelled"),
    "LOSE_RACE": (None, "cancelled"),
    "PICKED_OFF": (None, "cancelled"),
    "ALLOTTED_TIMEOUT": (None, "no_answer"),
    "PROGRESS_TIMEOUT": (None, "failed"),
    "NO_PICKUP": (None, "no_answer"),
    "DECLINE": (None, "rejected"),
    "BUSY_EVERYWHERE": (None, "busy"),
    "USER_NOT_REGISTERED": (None, "failed"),
    "MEDIA_TIMEOUT": (None, "failed"),
    "BLIND_TRANSFER": (None, "unknown"),
    "ATTENDED_TRANSFER": (None, "unknown"),
    "MANAGER_REQUEST": (None, "unknown"),
    "SYSTEM_SHUTDOWN": (None, "failed"),
    "CRASH": (None, "failed"),
    "GATEWAY_DOWN": (None, "failed"),
    "INVALID_GATEWAY": (None, "failed"),
    "INVALID_PROFILE": (None, "failed"),
    "INVALID_URL": (None, "failed"),
    "USER_CHALLENGE": (None, "failed"),
    "SUCCESS": (None, "unknown"),
    "UNSPECIFIED": (None, "unknown"),
}


AFTER_ANSWER = frozenset(
    {
        *("NORMAL_CLEARING", "NORMAL_UNSPECIFIED", "CALL_AWARDED_DELIVERED", "RESPONSE_TO_STATUS_ENQUIRY"),
        *("DESTINATION_OUT_OF_ORDER", "NETWORK_OUT_OF_ORDER", "NORMAL_TEMPORARY_FAILURE", "ACCESS_INFO_DISCARDED"),
        *("PRE_EMPTED", "SERVICE_UNAVAILABLE", "INVALID_CALL_REFERENCE", "INVALID_MSG_UNSPECIFIED"),
        *("MANDATORY_IE_MISSING", "MESSAGE_TYPE_NONEXIST", "WRONG_MESSAGE", "IE_NONEXIST", "INVALID_IE_CONTENTS"),
        *("WRONG_CALL_STATE", "RECOVERY_ON_TIMER_EXPIRE", "MANDATORY_IE_LENGTH_ERROR", "PROTOCOL_ERROR"),
        *("INTERWORKING", "ALLOTTED_TIMEOUT", "MEDIA_TIMEOUT", "BLIND_TRANSFER", "ATTENDED_TRANSFER"),
        *("MANAGER_REQUEST", "SYSTEM_SHUTDOWN", "CRASH", "GATEWAY_DOWN", "SUCCESS", "UNSPECIFIED"),
    }
)
"""Causes that can end a conversation too: they do not say that a leg was not answered."""


def common(row: dict[str, Value]) -> dict[str, Value]:
    """Return a row of a listing as a common CDR."""
    seconds = row["duration_seconds"]
    unix = row["unix_timestamp"]
    # Every row has unix_timestamp; a 5.x operator may send full documents instead, whose timestamp is the end.
    started = _unix(unix) or (_later(row["timestamp"], seconds, -1) if unix is None else row["timestamp"])
    end = _later(started, seconds)
    if impossible(seconds):
        started = end = _unix(unix, seconds) or row["timestamp"]
    billed = row["call_type"] == "per_minute" and row["cost"] is not None
    return {
        **_instants(started, end, seconds, row["billing_seconds"]),
        **_cause(row["hangup_cause"], row["billing_seconds"]),
        "record_id": row["id"],
        "call_id": row["interaction_id"] or row["bridge_id"] or row["call_id"],
        "direction": _direction(row["direction"], row["authorizing_id"], row["dialed_number"]),
        "from_number": row["caller_id_number"] or row["calling_from"],
        "from_name": row["caller_id_name"],
        "to_number": row["callee_id_number"] or row["dialed_number"] or _user_part(row["to"]),
        "to_name": row["callee_id_name"],
        "dialed_number": row["dialed_number"],
        "user": row["owner_id"],
        "site": row["account_id"],
        "recording_url": row["recording_url"],
        # Without a billing tag the server writes 0 for "not rated": that is no price.
        "cost": row["cost"] if billed else None,
        "currency": row["currency"] if billed else None,
    }


def common_document(leg: dict[str, Value]) -> dict[str, Value]:
    """Return a full document as a common CDR."""
    ccv = {key.partition(".")[2]: value for key, value in leg.items() if key.startswith("custom_channel_vars.")}
    end, seconds, micro = leg["timestamp"], leg["duration_seconds"], leg["channel_created_time"]
    started = _later(end, seconds, -1) or (_unix(micro // 1_000_000) if isinstance(micro, int) else None)
    if impossible(seconds) and (started is None or (isinstance(seconds, int) and abs(seconds) > LONGEST)):
        started = end
    inbound = leg["call_direction"] == "inbound"
    dialed = _user_part(leg["request"] if inbound else leg["to"])
    cost = _cost(leg["billing_seconds"], ccv)
    return {
        **_instants(started, end, seconds, leg["billing_seconds"]),
        **_cause(leg["hangup_cause"], leg["billing_seconds"]),
        "record_id": leg["id"],
        "call_id": leg["interaction_id"] or ccv["bridge_id"] or leg["call_id"],
        "direction": _direction_of_document(leg["call_direction"], dialed, ccv),
        "from_number": leg["caller_id_number"] or (None if inbound else _user_part(leg["from_uri"])),
        "from_name": leg["caller_id_name"],
        "to_number": leg["callee_id_number"] or dialed or _user_part(leg["to"]),
        "to_name": leg["callee_id_name"],
        "dialed_number": dialed,
        "ring_seconds": _possible(leg["ringing_seconds"]),
        "user": ccv["owner_id"],
        "site": ccv["realm"],
        "trunk": ccv["resource_id"],
        "recording_url": leg["recording_url"],
        "cost": cost,
        "currency": leg["currency"] if cost is not None else None,
    }


def _unix(seconds: Value, more: Value = 0) -> str | None:
    """Return the instant so many seconds after a Unix time, or None: not readable, or zero that stands for no time."""
    with suppress(ValueError, OverflowError, TypeError):
        at = unix_instant(seconds) + timedelta(seconds=more)
        return None if is_placeholder(at) else rfc3339(at)
    return None


def _later(instant: Value, seconds: Value, sign: int = 1) -> str | None:
    """Return the instant so many seconds later, or earlier, where both make sense."""
    return None if impossible(seconds) else _shifted(instant, seconds, sign)


def _shifted(instant: Value, seconds: Value, sign: int = 1) -> str | None:
    """Return the instant moved by so many seconds, or None where one of the two cannot be read."""
    if not isinstance(seconds, int):
        return None
    with suppress(ValueError, OverflowError):
        return rfc3339(iso_instant(instant) + sign * timedelta(seconds=seconds))
    return None


def _possible(seconds: Value) -> int | None:
    """Return a length that a call can have, or None."""
    return seconds if isinstance(seconds, int) and not impossible(seconds) else None


def _instants(started: Value, end: Value, total: Value, talk: Value) -> dict[str, Value]:
    """Return what start, end, whole length and length since answer say; lengths may be missing, negative or absurd."""
    total, talk = _possible(total), _possible(talk)
    possible = talk and (total is None or talk <= total)
    return {
        "start_time": started,
        "answer_time": _later(end, talk, -1) if possible else None,
        "end_time": end,
        "talk_seconds": talk,
        "total_seconds": total,
    }


def _cause(cause: Value, talk: Value) -> dict[str, Value]:
    """Return what the hangup cause and the length since answer say of the outcome.

    Rows of before September 2018 may lack that length (GitHub 2600hz/kazoo, pull request 5168): then nobody knows
    whether the leg was answered, unless its cause can only be given to one that was not.
    """
    q850, unanswered = CAUSES.get(str(cause), (None, "unknown"))
    seconds = _possible(talk)
    answered = seconds > 0 if seconds is not None else None
    if answered is None and str(cause) in CAUSES.keys() - AFTER_ANSWER:
        answered = False
    outcome = "unknown" if answered is None else "answered" if answered else unanswered
    return {"cause": cause, "cause_q850": q850, "answered": answered, "outcome": outcome}


def _user_part(address: Value) -> str | None:
    if not isinstance(address, str):
        return None
    return address.removeprefix("sip:").partition("@")[0] or None


def _direction(side: Value, authorizing_id: Value, dialed: Value) -> str:
    """Return the direction after the vendor's own rule for legs of a carrier: those that no device authorised.

    `side` is as seen by the media switch. Of a leg to a device only the call's first leg knows.
    """
    if not authorizing_id:
        return side if side in {"inbound", "outbound"} else "unknown"
    if side != "inbound":
        return "unknown"
    number = str(dialed or "")
    outside = number.startswith("+") or (number.isdigit() and len(number) > 6)  # extensions are shorter
    return "outbound" if outside else "internal"


_RESOURCES = {
    "offnet-origination": "inbound",
    "offnet-termination": "outbound",
    "onnet-origination": "internal",
    "onnet-termination": "internal",
}


def _direction_of_document(side: Value, dialed: Value, ccv: Mapping[str, Value]) -> str:
    resource = _RESOURCES.get(str(ccv["resource_type"]))
    if resource is not None:
        return resource
    # As in a row, where the id is left out when it is the account's own.
    carrier = ccv["authorizing_type"] == "resource" or ccv["authorizing_id"] == ccv["account_id"]
    return _direction(side, None if carrier else ccv["authorizing_id"], dialed)


def _cost(seconds: Value, ccv: Mapping[str, Value]) -> str | None:
    """Return the cost by the server's own rule, in money, or None: not rated.

    GitHub 2600hz/kazoo, `calculate_cost` of wht_util.erl (4.x) and kz_currency.erl: seconds up to the minimum cost the
    surcharge and the minimum, every increment begun after that its share; computed in floats and cut to whole units
    of a ten-thousandth; then the discount comes off, cut likewise.
    """
    if ccv["account_billing"] != "per_minute" or ccv["rate"] is None or (seconds := _possible(seconds)) is None:
        return None
    free, minimum, increment = (
        value if isinstance(value := ccv[name], int) else 0
        for name in ("rate_nocharge_time", "rate_minimum", "rate_increment")
    )
    try:
        rate, surcharge = (int(Decimal(ccv[name] or 0) * 10_000) for name in ("rate", "surcharge"))
        percent = int(Decimal(ccv["discount_percentage"] or 0))
        if seconds <= max(0, free):
            return read_units(0)
        increment = increment if increment > 0 else 60
        cost = surcharge + minimum / 60 * rate
        if seconds > minimum:
            cost += -((minimum - seconds) // increment) * (increment / 60 * rate)
        return read_units(int(cost) - int(percent * 0.01 * int(cost)))
    except (ArithmeticError, TypeError, ValueError):
        return None


GIVES = Gives(
    outcomes=frozenset({"answered", "unknown", *(outcome for _, outcome in CAUSES.values())}),
    directions=frozenset({"inbound", "outbound", "internal", "unknown"}),
    null=frozenset({"ring_seconds", "trunk", "queue"}),
)
GIVES_DOCUMENT = replace(GIVES, null=frozenset({"queue"}))


# What the rest of the program is told

_SHOWN = (
    *("timestamp", "caller_id_number", "callee_id_number", "billing_seconds", "hangup_cause", "direction", "cost"),
    *("callee_id_name", "caller_id_name", "duration_seconds", "dialed_number", "call_type", "rate_name"),
)
_DOCUMENT_SHOWN = (
    *("timestamp", "caller_id_number", "callee_id_number", "billing_seconds", "hangup_cause", "call_direction"),
    *("callee_id_name", "caller_id_name", "ringing_seconds", "duration_seconds", "hangup_code", "disposition"),
)
_ENDING = ("hangup_cause",)
_ACCOUNT = Option("account", "another account than the profile's: one below it", metavar="ID")
_LISTING = (
    Option("user", "only legs of this user", metavar="ID"),
    _ACCOUNT,
    Option("descendants", "the account's sub-accounts as well", kind="flag"),
    Option(
        "filter",
        "only rows whose field has this value; may be repeated",
        repeat=True,
        metavar="FIELD=VALUE",
        values=tuple(f"{name}=" for name in _FILTERED),
    ),
    Option("utc_offset", "seconds to move the column datetime by, as Kazoo does it", kind="integer"),
    Option(
        "longest_call",
        "how long a call may last: so long after the window its end is looked for; longer calls are missed",
        kind="duration",
        default="24h",
    ),
    Option("page_size", "rows asked for at a time", kind="integer", default="50"),
)


def _apart(options: Mapping[str, Any]) -> timedelta | str:
    """Return the shortest part that is worth a listing: each is read for as much longer as a call may last."""
    longest: timedelta = options["longest_call"]
    return max(timedelta(days=1), 7 * longest)


_ID = Option("id", "", argument=True, metavar="ID")

_NEEDS = "It may read its own account and those below it: account_id must be one of them."
_WHOSE = "The account id is 32 hexadecimal digits; the operator knows it, and every sign-in answers with it."

PROVIDER = Provider(
    name="kazoo",
    title=TITLE,
    settings=KazooSettings,
    auth_methods={
        "key": ("api_key",),
        "password": ("username", "password"),
        "token": ("auth_token",),
    },
    sign_in=sign_in,
    # The bucket holds 100 requests and fills by 10 a second (kz_buckets.erl); half of that is polite.
    retry_policy=RetryPolicy(budgets={"*": RateLimit(5, 1)}),
    error_for=explain,
    allows_url=trusts,
    empty_response=nothing,
    check=check,
    account_settings=("account_id",),
    # docs.2600hz.com, "Account API Authentication", "User Authentication".
    credential_help={
        "key": Console(
            "the account's API key: good until it is changed",
            (
                "Ask the operator for it, or, signed in, read GET /v2/accounts/ACCOUNT_ID/api_key: 64 characters.",
                _WHOSE,
            ),
            _NEEDS,
        ),
        "password": Console(
            "a user's name and password, as in the web interface",
            (
                "Take a user without a second factor: a program cannot give one.",
                "The server wants the account's name too, or its realm: the web interface asks for the same name.",
                _WHOSE,
            ),
            _NEEDS,
            asks=(("account_name", "account_realm"),),
        ),
        "token": Console(
            "a token from another sign-in: good for an hour",
            ("It is auth_token in the answer to PUT /v2/api_auth or /v2/user_auth.", _WHOSE),
            _NEEDS,
        ),
    },
    retention_note="no limit is published; an operator may delete old months, and then there are no calls and no error",
    calls=(
        Call(
            name="cdrs",
            about="Legs of an account or a user, newest first; one call is several legs.",
            columns=COLUMNS,
            expected=Expected(required=frozenset({"id", "call_id", "timestamp"})),
            fetch=cdrs,
            identity=identity,
            start=start,
            alike=("timestamp", "direction", "caller_id_number", "callee_id_number", "account_id"),
            lag=SETTLED,
            apart=_apart,
            common=common,
            gives=GIVES,
            options=_LISTING,
            table_columns=_SHOWN,
            outcome_columns=_ENDING,
            examples=(
                "cdrctl kazoo cdrs -p sandbox --since yesterday --until today --schema common -o legs.csv",
                (
                    "cdrctl kazoo cdrs -p sandbox --since yesterday --until today --filter direction=inbound -f tsv "
                    "--fields timestamp,billing_seconds"
                ),
            ),
        ),
        Call(
            name="interactions",
            about="The earliest leg of each interaction: one row per call.",
            columns=COLUMNS,
            expected=Expected(required=frozenset({"id", "call_id", "timestamp"})),
            fetch=interactions,
            identity=interaction,
            stands_for_many=True,
            start_in=interaction_start,
            alike=("timestamp", "direction", "caller_id_number", "callee_id_number", "account_id"),
            lag=SETTLED,
            apart=_apart,
            common=common,
            gives=GIVES,
            options=_LISTING,
            table_columns=_SHOWN,
            outcome_columns=_ENDING,
            examples=(
                "cdrctl kazoo interactions -p sandbox --since yesterday --until today -o calls.jsonl",
                "cdrctl kazoo interactions -p sandbox --since 7d --tz Europe/Berlin | jq -s length",
            ),
        ),
        Call(
            name="legs",
            about="All legs of one interaction, in full.",
            columns=DOCUMENT,
            expected=Expected(open_objects=frozenset({"custom_channel_vars"}), required=frozenset({"id", "call_id"})),
            fetch=legs,
            identity=identity,
            common=common_document,
            gives=GIVES_DOCUMENT,
            options=(replace(_ID, about="interaction id, or the id of one of its CDRs"), _ACCOUNT),
            table_columns=_DOCUMENT_SHOWN,
            outcome_columns=_ENDING,
            examples=(
                "cdrctl kazoo legs -p sandbox 63962351927-c41244fd",
                "cdrctl kazoo legs -p sandbox 63962351927-c41244fd --schema common -f table",
            ),
        ),
        Call(
            name="cdr",
            about="One leg in full.",
            columns=DOCUMENT,
            expected=Expected(open_objects=frozenset({"custom_channel_vars"}), required=frozenset({"id", "call_id"})),
            fetch=cdr,
            identity=identity,
            common=common_document,
            gives=GIVES_DOCUMENT,
            options=(replace(_ID, about="id of the CDR, such as 202611-…"), _ACCOUNT),
            table_columns=_DOCUMENT_SHOWN,
            outcome_columns=_ENDING,
            examples=(
                "cdrctl kazoo cdr -p sandbox 202611-5a75675ac70995f51f67@10.26.0.242",
                "cdrctl kazoo cdr -p sandbox -f json 202611-5a75675ac70995f51f67@10.26.0.242",
            ),
        ),
    ),
)
