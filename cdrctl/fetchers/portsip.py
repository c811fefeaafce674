"""PortSIP PBX: call detail records, call logs and call reports of its REST API.

Sources: support.portsip.com, "REST API guide" (authentication; accessing CDRs and recordings) and "Call Detail
Records"; GitHub portsip/portsip-knowledge-base, OpenAPI files of v22.x; release notes. What they leave open (which
sign-in a version has, whether `/cdrs` heeds query options, how empty values are written) is found out, or read both
ways.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
import secrets
import unicodedata
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from pydantic import Field, SecretStr, field_validator

from cdrctl.contents import contents_of
from cdrctl.duplicates import DuplicateFilter
from cdrctl.errors import (
    CdrctlError,
    ConfigurationError,
    ProviderError,
    RightsError,
    SignInError,
    TemporaryError,
    UsageError,
)
from cdrctl.fetchers import (
    CLOCK_TOLERANCE,
    Call,
    Console,
    Gives,
    Once,
    Option,
    Provider,
    always,
    identities,
    possible_start,
    span_of,
)
from cdrctl.fetchers.settings import ALLOW_HTTP, Settings
from cdrctl.http import (
    MASK,
    Answer,
    Client,
    RateLimit,
    Request,
    RetryPolicy,
    Token,
    Total,
    beginning,
    by_offset,
    error_of,
    read_total,
    said,
    same_origin,
)
from cdrctl.records import (
    Checkpoint,
    Column,
    Event,
    Expected,
    File,
    Gap,
    KeyFields,
    Note,
    Page,
    Record,
    Value,
    check_records,
    fingerprint,
    iso_instant,
    key_columns,
    pick,
    read_decimal,
    read_integer,
    seconds_between,
)
from cdrctl.windows import Window, halve, instant, rfc3339, tile

TITLE = "PortSIP"

SETTLED = timedelta(minutes=5)
"""A CDR is written when its call ends; how much later it can be read is not published."""

LARGEST_PAGE = 100
"""`top` is 1 to 100 (OpenAPI file of v22.2, "List call reports")."""

LOOK_BACK = timedelta(days=5 * 365 + 2)
"""How far v22.5.0 and later go back (release notes): five years, with the leap days they may have."""

SMALLEST = timedelta(seconds=1)
READINGS = 4
"""How often one window is read at most while calls land in it and each reading brings some that were not there."""

UNIT = timedelta(microseconds=1)
"""The PBX's finest unit of time: so much more is asked for at both ends of a window, in case the PBX takes a bound
otherwise than its words `ge` and `lt` say."""

ASTRAY = timedelta(minutes=1)
"""A record so far outside of the window that was asked for shows that nobody looked at the filter."""


class PortsipSettings(Settings):
    """The settings of a PortSIP profile."""

    base_url: str = Field(description="the PBX's address with /api, such as https://pbx.example.net:8887/api")
    username: str | None = Field(None, description="a user with the role Admin or QueueManager")
    password: SecretStr | None = Field(None, description="password")
    domain: str | None = Field(None, description="the tenant's SIP domain; left out for the system administrator")
    access_token: SecretStr | None = Field(None, description="a token from another sign-in; cannot be renewed")
    allow_http: bool = ALLOW_HTTP

    @field_validator("base_url")
    @classmethod
    def _with_api(cls, url: str) -> str:
        """Refuse an address whose every answer would be 404."""
        if not urlsplit(url).path.rstrip("/").endswith("/api"):
            raise ValueError("base_url must end in /api, as in https://HOST:8887/api")
        return url.rstrip("/")


# Asking


@dataclass(slots=True)
class Listing:
    """One listing in one run, and what was learnt of the PBX while reading it.

    Args:
        orders: Sort orders to ask for, the best first; one that is refused gives way to the next. Empty for none.
        given: The user's own words in the request, for messages.
        honours: Whether the PBX heeds `filter`, as far as is known.
        tries: How often a request is tried; fewer times once the PBX has been too slow.
        doubted: Whether the user has been warned that this PBX's totals are wrong.
        once: True for the first part of the window that reads everything there is.
    """

    client: Client
    path: str
    condition: str = ""
    search: str | None = None
    orders: list[str] = field(default_factory=lambda: ["id asc", ""])
    size: int = LARGEST_PAGE
    given: str = ""
    honours: bool = True
    tries: int = 5
    doubted: bool = False
    once: Once = always

    def where(self, window: Window | None) -> str:
        """Return the filter for the calls of a window, a UNIT more at both ends, and what the user wants."""
        parts = [self.condition] if self.condition else []
        if window is not None:
            parts.append(f"started_at ge {_quoted(_said(window.since - UNIT))}")
            parts.append(f"started_at lt {_quoted(_said(window.until + UNIT))}")
        return " and ".join(parts)

    def page(self, where: str, skip: int, *, size: int | None = None) -> tuple[Sequence[Record], Total]:
        """Return a page and the total that came with it.

        Raises:
            UsageError: The PBX refused what the user wants.
            ProviderError: It refused what we want, or answered in a shape we do not know.
        """
        while True:
            params = [("filter", where), ("search", self.search or ""), ("orderby", self.orders[0])]
            params += [("top", str(size or self.size)), ("skip", str(skip)), ("count", "true")]
            url = _url(self.client, self.path, [(name, value) for name, value in params if value])
            try:
                answer = self.client.ask(Request("GET", url, records=("items",)), tries=self.tries)
            except ProviderError as error:
                if error.status != 400:
                    raise
                if len(self.orders) == 1:
                    raise self._refused(error, where) from None
                del self.orders[0]
                continue
            del self.orders[1:]
            return _items(answer), _total(answer)

    def _refused(self, error: ProviderError, where: str) -> CdrctlError:
        sent = f"the filter sent was: {where}" if where else "no filter was sent"
        if self.given:
            return UsageError(
                f"{TITLE} does not accept {self.given}", said=error.said, hint=f"check it; {sent}", status=error.status
            )
        back = "; since v22.5.0 it goes back five years" if "started_at" in where else ""
        return ProviderError(
            f"{TITLE} refused to list {self.path.strip('/')}", said=error.said, hint=sent + back, status=error.status
        )


def _check_brackets(text: str) -> None:
    """Refuse a filter that would reach out of the brackets it is put in, beside the window's own."""
    depth = 0
    for part in re.sub(r"'(?:[^']|'')*'", "", text):
        depth += {"(": 1, ")": -1}.get(part, 0)
        if depth < 0:
            break
    if depth or "'" in re.sub(r"'(?:[^']|'')*'", "", text):
        raise UsageError(f"--filter {text!r}: a bracket or a quote has no partner", hint="for example caller eq '100'")


def cdrs(
    client: Client, settings: PortsipSettings, window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield the calls of `GET /cdrs`, or of `GET /user/cdrs`, that started in the window."""
    del settings
    return _listing(client, "/user/cdrs" if options["own"] else "/cdrs", window, options)


def calllogs(
    client: Client, settings: PortsipSettings, window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield the call logs of `GET /calllogs` (since v22.0.42) that started in the window."""
    del settings
    return _listing(client, "/calllogs", window, options)


def _listing(client: Client, path: str, window: Window | None, options: Mapping[str, Any]) -> Iterator[Event]:
    assert window is not None  # noqa: S101 - both calls have a window
    longest = options["window"]
    if longest < SMALLEST:
        raise UsageError("--window must be at least 1s", hint="a day, 24h, is usual; less where the PBX is slow")
    orderby = (options["orderby"] or "").strip()
    listing = _asked(client, path, options)
    listing.orders = [f"{orderby}, id asc", orderby] if orderby else ["started_at asc, id asc", "started_at asc"]
    pieces = _windows(listing, window, longest)
    if not options["with_cost"]:
        yield from pieces
        return
    records, total = listing.page(listing.where(window), 0, size=1)
    count = total.rows
    if count is None or (records and not count):
        yield Note(f"the cost is in the details only: {TITLE} is asked once more for every record")
    else:
        seconds = count * BUDGET.seconds / BUDGET.requests
        lasts = f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
        yield Note(f"the cost is in the details only: {TITLE} is asked once more for each of {count} records, {lasts}")
    yield from _costed(client, path, window, pieces)


def _asked(client: Client, path: str, options: Mapping[str, Any]) -> Listing:
    """Return the listing that the user's filter, search, order and size of pages ask for."""
    if not 1 <= options["page_size"] <= LARGEST_PAGE:
        raise UsageError(f"--page-size {options['page_size']} is not a number from 1 to {LARGEST_PAGE}")
    filters = [text.strip() for text in options["filter"]]
    for text in filters:
        _check_brackets(text)
    if not all(filters):
        raise UsageError("--filter is empty", hint="for example --filter \"direction eq 'INBOUND_CALL'\"")
    words = {"--filter": " and ".join(filters), "--search": options["search"], "--orderby": options["orderby"]}
    return Listing(
        client,
        path,
        condition=" and ".join(f"({text})" for text in filters),
        search=options["search"],
        size=options["page_size"],
        given=" or ".join(f"{name} {text!r}" for name, text in words.items() if text),
        once=options.get("once", always),
    )


def _windows(listing: Listing, window: Window, longest: timedelta) -> Iterator[Event]:
    """Yield the calls of a window, oldest stretch first."""
    oldest = listing.client.clock.now() - LOOK_BACK
    reached = window.since >= oldest
    for tiled in tile(window, longest):
        for piece in _stretch(listing, tiled):
            if isinstance(piece, Page) and not reached:
                starts = [began for began in map(start, piece.records) if began is not None and possible_start(began)]
                reached = any(began < oldest for began in starts)
            yield piece
        if not listing.honours:
            if listing.condition or listing.search:
                raise ProviderError(
                    f"this PBX does not look at the filter of {listing.path}: {listing.given} cannot be asked of it",
                    hint="leave it out and filter the output, for example with jq or awk",
                )
            if not listing.once("everything"):
                return  # it comes with another part of the window
            yield Note(f"this PBX does not look at the filter of {listing.path}: all calls are read, the window's kept")
            yield from _reading(listing, None)
            return
    if not reached:
        yield Gap(
            f"no call from before {rfc3339(oldest)} came; since v22.5.0 {TITLE} goes back five years",
            f"begin at --since {rfc3339(oldest)} or later if older calls do not matter",
        )


def _stretch(listing: Listing, window: Window) -> Iterator[Event]:
    """Yield the calls of a window; where the PBX fails on it, those of its halves, for deep pages are slow."""
    left = [window]
    while left and listing.honours:
        part = left.pop()
        try:
            yield from _reading(listing, part)
            yield Checkpoint(part)
        except TemporaryError as error:
            of_data = error.wait is None and (error.status is None or error.status >= 500)
            if not of_data or not _alive(listing, part):  # with `wait`, the PBX said when to come back
                raise
            halves = halve(part, SMALLEST)
            name = f"{rfc3339(part.since)} to {rfc3339(part.until)}"
            if halves is None:
                yield Gap(f"{TITLE} fails on the calls from {name}: {error.message}", error.said or error.hint)
                continue
            listing.client.log("note", f"{TITLE} fails on {name}: asking for it in halves")
            listing.tries = 2
            left.extend(reversed(halves))


def _alive(listing: Listing, window: Window) -> bool:
    """Return whether the PBX can answer for a second before a window; if not it is down, and halving is no use."""
    with suppress(TemporaryError):
        listing.page(listing.where(Window(window.since - 2 * SMALLEST, window.since - SMALLEST)), 0, size=1)
        return True
    return False


@dataclass(slots=True)
class Reading:
    """What one reading of a window from its first page to its last has shown.

    Args:
        ids: The ids of records, each with its content: two records of one id may differ.
        counts: The totals that pages named, one after the other where they differ.
        idle: How many pages with records in a row, up to now, had nothing new.
        repeats: Whether a record came twice, as it does when a call lands behind us.
        doubtful: Whether a total was wrong: not a number, or lower than the number of different records that came.
    """

    ids: DuplicateFilter = field(default_factory=DuplicateFilter)
    counts: list[int | None] = field(default_factory=list)
    idle: int = 0
    repeats: bool = False
    doubtful: bool = False

    @property
    def announced(self) -> int | None:
        """How many records there are by the last total; by the highest one where totals were wrong."""
        counts = [count for count in self.counts if count is not None]
        return max(counts, default=None) if self.doubtful else self.counts[-1]

    @property
    def whole(self) -> bool:
        """Whether as many came as there are, and none went away meanwhile, which moves others to where we have been.

        A call that lands behind us moves others to where we shall be, so that it is short in the end.
        """
        counts = [count for count in self.counts if count is not None]
        if self.doubtful:  # the reading ended with an empty page
            return not self.repeats and len(self.ids) >= max(counts, default=0)
        if not counts or self.counts[-1] is None:
            return not self.repeats  # no total came: an empty page was the end
        return len(self.ids) >= counts[-1] and counts == sorted(counts)


def _pages(listing: Listing, where: str, reading: Reading) -> Iterator[Sequence[Record]]:
    """Yield the pages of one reading, until a page that is not full brings the last record, or an empty page.

    Whether `skip` counts from 0 or from 1 is said in two ways: from 1, every page begins with the last record of the
    one before, and what counts is how many different ones came. Two pages without a new one end it as well: a PBX
    that does not look at `skip` sends the first page for ever.
    """

    def ask(skip: int) -> tuple[Sequence[Record], int | None]:
        records, total = listing.page(where, skip)
        count, before = total.rows, len(reading.ids)
        reading.ids.new_positions(identities(records, identity), span_of(records), contents_of(records))
        reading.idle = reading.idle + bool(records) if len(reading.ids) == before else 0
        reading.repeats = reading.repeats or len(reading.ids) - before < len(records)
        if reading.counts[-1:] != [count]:
            reading.counts.append(count)
        reading.doubtful = reading.doubtful or total.wrong or (count is not None and len(reading.ids) > count)
        # With `skip` from 1, more rows than different records have come when the total is reached.
        return records, skip + len(records) if count == len(reading.ids) and not reading.doubtful else None

    for records, _ in by_offset(ask, listing.size):
        yield records
        if reading.idle > 1:
            return


def _reading(listing: Listing, window: Window | None) -> Iterator[Event]:
    """Yield the pages of a window, or of everything, and again, as long as that helps, when some are missing."""
    came: DuplicateFilter | None = None  # in all readings
    for _ in range(READINGS):
        reading = Reading()
        before = len(came) if came is not None else 0
        for records in _pages(listing, listing.where(window), reading):
            if window is not None and not _obey(records, window, listing.client.clock.now()):
                listing.honours = False
                return
            if came is not None:
                came.new_positions(identities(records, identity), span_of(records), contents_of(records))
            if reading.doubtful and not listing.doubted:
                listing.doubted = True
                yield Note(
                    f"the totals that {TITLE} sends with {listing.path} are wrong and cannot be relied upon: pages are "
                    "read until an empty one comes",
                    "warning",
                )
            yield Page(records)
        came = came or reading.ids
        helped = not before or len(came) > before
        if reading.whole:
            return
        if not helped:
            break
        listing.client.log("note", f"calls came or went while {_name(listing, window)} was read: reading it again")
    count, came = reading.announced, came or DuplicateFilter()
    if count is None and reading.idle > 1:  # skip is not looked at, and nothing says how many there are
        yield Gap(f"{TITLE} sends the same records for {_name(listing, window)} again and again", "run it again later")
    elif count is not None and len(came) < count:
        yield Gap(
            f"{TITLE} has {count} records for {_name(listing, window)} and sent {len(came)}", "run it again later"
        )


def _name(listing: Listing, window: Window | None) -> str:
    if window is None:
        return listing.path.strip("/")
    return f"{rfc3339(window.since)} to {rfc3339(window.until)}"


def _obey(records: Sequence[Record], window: Window, now: datetime) -> bool:
    """Return whether all of the records are of the window, more or less; a start that cannot be true says nothing."""
    first, last, latest = window.since - ASTRAY, window.until + ASTRAY, now + CLOCK_TOLERANCE
    sheet = key_columns(records)
    if sheet is not None:
        with suppress(ValueError):
            span = sheet.span("started_at")
            if span is None or (first <= span[0] and span[1] < last):
                return True
    starts = [began for began in map(start, records) if began is not None and possible_start(began, latest)]
    return all(first <= began < last for began in starts)


def _costed(client: Client, path: str, window: Window, pieces: Iterator[Event]) -> Iterator[Event]:
    """Yield the pieces with the cost of every record of the window, from its detail, in a copy of the record.

    A call that was transferred has several legs in its detail: its cost is their sum, and the account billed is the
    first named.
    """
    done: set[tuple[str, int]] = set()
    latest = client.clock.now() + CLOCK_TOLERANCE
    for piece in pieces:
        if not isinstance(piece, Page):
            yield piece
            continue
        records: list[Record] = []
        for record in piece.records:
            began, key = start(record), identity(record)
            if not (began is None or window.holds(began) or not possible_start(began, latest)):
                continue
            content = contents_of([record])[0]
            if (key, content) in done:
                continue
            done.add((key, content))
            try:
                records.append({**record, **_cost(_detail(client, path, _id_of(record)))})
            except ProviderError as error:
                if error.status not in {400, 404}:
                    raise
                yield Gap(f"the cost of record {key} could not be had: {error.message}", error.said or error.hint)
                records.append(record)
        yield Page(records, piece.context)


def _id_of(record: Record) -> str:
    key = pick(record, "id")
    if not isinstance(key, str) or not key.strip(" ."):
        raise ProviderError("it has no id", status=404)
    return key


def _cost(legs: Sequence[Record]) -> Record:
    """Return the fields of a detail that a listing lacks, as they came where there is one leg."""
    names = ("cost", "billed_account")
    if len(legs) == 1:
        return {name: legs[0][name] for name in names if name in legs[0]}
    costs = [leg["cost"] for leg in legs if leg.get("cost") not in (None, "")]
    accounts = [leg["billed_account"] for leg in legs if leg.get("billed_account")]
    try:
        total = format(sum((Decimal(read_decimal(cost)) for cost in costs), Decimal(0)), "f") if costs else None
    except (ValueError, ArithmeticError):
        raise ProviderError(f"{TITLE} answered in a shape we do not know: a cost is no number") from None
    return {"cost": total, "billed_account": accounts[0] if accounts else None}


def _detail(client: Client, path: str, key: str) -> list[Record]:
    """Return the legs of one record: `{"items": […]}`, for a user's own call one object there, or a flat object."""
    body = client.get(f"{path}/{_part(key)}").body
    if isinstance(body, dict) and "items" not in body and "started_at" in body:
        return [body]
    legs = body.get("items") if isinstance(body, dict) else None
    found = check_records([legs] if isinstance(legs, dict) else legs, "items", TITLE)
    if not found:
        raise ProviderError(f"{TITLE} has no such record: {key}", status=404)
    return found


def cdr(
    client: Client, settings: PortsipSettings, _window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield one call in full; one that was transferred as its legs, which are numbered."""
    del settings
    legs = _detail(client, "/user/cdrs" if options["own"] else "/cdrs", options["id"])
    for number, leg in enumerate(legs, 1):
        yield Page([leg], {"id": options["id"] + (f"#{number}" if len(legs) > 1 else "")})


def calllog(
    client: Client, settings: PortsipSettings, _window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield one call log in full."""
    del settings
    yield Page(_detail(client, "/calllogs", options["id"]))


def _part(text: str) -> str:
    """Return an id as a part of a path; one of dots alone would lead to another path."""
    if not text.strip(" ."):
        raise UsageError(f"{text!r} is no id")
    return quote(text, safe="", errors="surrogatepass")


def _quoted(text: str) -> str:
    """Return a text or a time as a filter has it: in single quotes, those inside doubled."""
    return "'" + text.replace("'", "''") + "'"


def _said(moment: datetime) -> str:
    """Return an instant as the documents write it, to the microsecond where it is not a whole second."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _url(client: Client, path: str, params: Sequence[tuple[str, str]]) -> str:
    """Return the URL of a listing, blanks as %20: a plus is a blank in forms only."""
    return f"{client.at(path)}?{'&'.join(map(_parameter, params))}"


@functools.lru_cache(64)
def _parameter(named: tuple[str, str]) -> str:
    """Return one parameter as it is sent: a long filter is the same on every page."""
    return urlencode([named], quote_via=quote, safe=":", errors="surrogatepass")


# Call reports


def reports(
    client: Client, settings: PortsipSettings, _window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield the call reports of the tenant: running, to come, or given up."""
    del settings
    return _all(client, REPORTS, options)


def completed_reports(
    client: Client, settings: PortsipSettings, _window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield the finished reports, whose files can be downloaded."""
    del settings
    return _all(client, COMPLETED, options)


REPORTS, COMPLETED = "/call_reports", "/completed_call_reports"


def _all(client: Client, path: str, options: Mapping[str, Any]) -> Iterator[Event]:
    listing = _asked(client, path, options)
    orderby = (options["orderby"] or "").strip()
    if orderby:
        listing.orders = [f"{orderby}, id asc", orderby]
    return _reading(listing, None)


def _named(client: Client, path: str, name: str) -> list[Record]:
    """Return the reports of this very name."""
    pieces = _reading(Listing(client, path, condition=f"name eq {_quoted(name)}"), None)
    records = (record for piece in pieces if isinstance(piece, Page) for record in piece.records)
    return [record for record in records if pick(record, "name") == name]


def _document(client: Client, path: str, key: str) -> Record:
    body = client.get(f"{path}/{_part(key)}").body
    if not isinstance(body, dict) or "id" not in body:
        raise ProviderError(
            f"{TITLE} answered in a shape we do not know: a report without id",
            hint="check base_url; if it is right, the API has changed: update cdrctl",
        )
    return body


def show_report(
    client: Client, settings: PortsipSettings, _window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield one call report in full."""
    del settings
    yield Page([_document(client, REPORTS, options["id"])])


def show_completed(
    client: Client, settings: PortsipSettings, _window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield one finished report. Its `file_url` opens the file to whoever has it."""
    del settings
    yield Page([_document(client, COMPLETED, options["id"])])


def create_report(
    client: Client, settings: PortsipSettings, _window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield the call report that was made; or, when it is to be waited for, its file.

    Nothing in the API leads from a report to its file. With a name of its own, the file is that of the finished report
    of this name and type that was not there before. The clock of the PBX, which may be wrong, need not be asked.
    """
    now = client.clock.now()
    unique = f"cdrctl-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    body = _new_report({**options, "name": options["name"] or unique}, now)
    name, known = body["name"], set[str]()
    if options["wait"] and options["cron"]:
        raise UsageError("--wait is for a report that is made now, and --cron for one that is made later")
    if options["wait"] and options["name"]:
        known = _known(client, name, body["type"])
    key = _created(client, body)
    if not options["wait"]:
        try:
            record = _document(client, REPORTS, key)
        except (ProviderError, TemporaryError) as error:  # it may be finished and gone, and it was made
            yield Note(f"the report was made, but cannot be shown: {error.message}")
            record = {"id": key, **body}
        yield Page([record])
        return
    yield Note(f"report {name} is being made (id {key})")
    yield _file(client, settings, _finished(client, body, key, known, options["wait_at_most"]))


def _known(client: Client, name: str, kind: str) -> set[str]:
    """Return the finished reports of this name, once it is sure that no other report of it can be finished from now on.

    A report that ran once may be said to be RUNNING for ever, as there is no word for done: then its file is there.

    Raises:
        UsageError: One is to come.
    """
    begun = [one for one in _named(client, REPORTS, name) if pick(one, "type") == kind]
    words = [_word(pick(one, "status")) for one in begun]
    finished = _named(client, COMPLETED, name)
    came = sum(pick(one, "type") == kind for one in finished)
    if "SCHEDULED" in words or any(pick(one, "cron_expr") for one in begun) or words.count("RUNNING") > came:
        raise UsageError(
            f"there is a report {name!r} already: its file could be taken for the new one's",
            hint="choose another --name, or leave it out to have one of its own",
        )
    return {identity(record) for record in finished}


def _created(client: Client, body: Record) -> str:
    """Return the id of a new report.

    It is asked for once: an answer that was lost does not mean that the report was not made.
    """
    look = f"it may have been made all the same: look for {body['name']} with `cdrctl portsip reports list`"
    try:
        answer = _changed(client, Request("POST", client.at(REPORTS), json=body))
    except TemporaryError as error:
        if error.status != 429:
            error.hint = look
        raise
    key = answer.body.get("id") if isinstance(answer.body, dict) else None
    if not isinstance(key, str) or not key.strip(" ."):
        raise ProviderError(f"{TITLE} answered in a shape we do not know: a new report without id", hint=look)
    return key


def _changed(client: Client, ask: Request) -> Answer:
    """Return the answer to a request that changes something, which is sent again only where it was turned away.

    A 429 was not carried out; of any other fault nobody knows.
    """
    for seconds in (5, 20, 60):
        try:
            return client.ask(ask, tries=1)
        except TemporaryError as error:
            if error.status != 429:
                raise
        client.pause(seconds, f"{TITLE} is being asked too fast")
    return client.ask(ask, tries=1)


FIRST_POLL, LAST_POLL = 2.0, 30.0


def _finished(client: Client, body: Record, key: str, known: set[str], at_most: timedelta) -> Record:
    """Return the finished report of a report that was begun, once it is there.

    Raises:
        ProviderError: The PBX gave it up.
        TemporaryError: It takes longer than we may wait.
    """
    name, kind = body["name"], body["type"]
    latest = client.clock.monotonic() + at_most.total_seconds()
    wait = FIRST_POLL
    while True:
        found = [one for one in _named(client, COMPLETED, name) if pick(one, "type") == kind]
        new = [one for one in found if identity(one) not in known]
        if new:
            return max(new, key=lambda one: str(pick(one, "completed_at")))
        if _word(_status(client, key)) == "ABORTED":
            raise ProviderError(f"{TITLE} gave up the report {name} (id {key})", hint="make it again, or a smaller one")
        left = latest - client.clock.monotonic()
        if left <= 0:
            raise TemporaryError(
                f"the report {name} (id {key}) was not finished in the time allowed",
                hint="it goes on being made: see `cdrctl portsip completed-reports list`, then download it by its id",
            )
        client.pause(min(wait, left), f"{TITLE} is making the report {name}")
        wait = min(2 * wait, LAST_POLL)


def _status(client: Client, key: str) -> Any:
    with suppress(ProviderError):  # a report that is finished may be gone
        return pick(_document(client, REPORTS, key), "status")
    return None


def update_report(
    client: Client, settings: PortsipSettings, _window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield a call report after what was given of it has been changed."""
    del settings
    given = [name for name in (*_PLAIN, "filter") if options[name]]
    if not given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in (*_PLAIN, "filter"))
        raise UsageError("nothing is to be changed", hint=f"give at least one of {names}")
    now = client.clock.now()
    body = _plain(options, now)  # before anything is asked
    old = _document(client, REPORTS, options["id"])
    if options["filter"]:
        body["filter"] = _filter(
            _one_of("the type of this report", _word(pick(old, "type")), FILTERS), options["filter"]
        )
    kept = {name: pick(old, name) for name in ("range", "started_at", "ended_at")}
    _check_range({**kept, **body}, body)
    _changed(client, Request("POST", client.at(f"{REPORTS}/{_part(options['id'])}"), json=body, bodiless=True))
    yield Page([_document(client, REPORTS, options["id"])])


def delete_report(
    client: Client, settings: PortsipSettings, _window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield a call report as it was, once it has been deleted."""
    del settings
    yield _deleted(client, REPORTS, options["id"])


def delete_completed(
    client: Client, settings: PortsipSettings, _window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield a finished report as it was, once it and its file have been deleted."""
    del settings
    yield _deleted(client, COMPLETED, options["id"])


def _deleted(client: Client, path: str, key: str) -> Page:
    record = _document(client, path, key)
    _changed(client, Request("POST", client.at(f"{path}/{_part(key)}/destroy"), bodiless=True))
    return Page([record])


def download(
    client: Client, settings: PortsipSettings, _window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield the file of a finished report."""
    yield _file(client, settings, _document(client, COMPLETED, options["id"]))


_BLOB = re.compile(r"/api/blobs/(?!\.{1,2}\Z)[A-Za-z0-9._~:=+@-]{1,512}(\?[A-Za-z0-9._~:=+@&%-]{0,1024})?", re.ASCII)


def _file(client: Client, settings: PortsipSettings, record: Record) -> File:
    """Return the file of a finished report.

    OpenAPI file of v22.2, "Download file blobs": it needs no token, so that its URL is the secret: it is shown to no
    host but the PBX, and in no message.
    """
    url, size = pick(record, "file_url"), pick(record, "file_size")
    parts = urlsplit(settings.base_url)
    whole = f"{parts.scheme}://{parts.netloc}{url}"
    if not isinstance(url, str) or not _BLOB.fullmatch(url) or not trusts(settings, whole):
        raise ProviderError(
            f"{TITLE} gave no address of its own for the file of this report; it was not followed",
            hint="such an address begins with /api/blobs/; download the file in the web portal",
        )

    def content() -> Iterator[bytes]:
        received = 0
        for piece in client.download(Request("GET", whole, headers={"Accept": "*/*"}, signed=False)):
            received += len(piece)
            yield piece
        if isinstance(size, int) and received < size:
            raise TemporaryError(f"the file broke off after {received} of {size} bytes", hint="run it again")

    words = (pick(record, name) for name in ("file_name", "name", "id", "format"))
    shown = {key: value for key, value in record.items() if key.casefold() != "file_url"}  # it opens the file: a secret
    return File(safe_name(*(word if isinstance(word, str) else "" for word in words)), content(), shown)


# A name that any file system takes (Microsoft, "Naming Files, Paths, and Namespaces"; POSIX.1-2017, 3.170).
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(
    r"(con|prn|aux|nul|clock\$|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\..*)?", re.IGNORECASE
)
_ENDINGS = {"CSV": (".csv",), "HTML": (".html", ".htm")}
LONGEST_NAME = 150
"""Bytes: every file system has 255, of which a temporary name beside it takes some."""


def safe_name(given: str, name: str, key: str, form: str) -> str:
    """Return the name that the PBX gave a file where it is harmless everywhere, else one of our own choosing."""
    endings = _ENDINGS.get(form.upper(), ())
    harmless = (
        len(given.encode("utf-8", "replace")) <= LONGEST_NAME
        and given == given.strip()
        and not given.startswith((".", "-", "~"))
        and given.lower().endswith(tuple(endings))
        and not _FORBIDDEN.search(given)
        and not _RESERVED.fullmatch(given)
        # C: controls, marks that turn the direction of writing, halves of pairs; Z: blanks that are none.
        and not any(char != " " and unicodedata.category(char)[0] in "CZ" for char in given)
    )
    if endings and harmless:
        return given
    stem = "-".join(filter(None, ("report", _tame(name, 80), _tame(key, 40))))
    return stem + (endings[0] if endings else ".bin")


def _tame(text: str, longest: int) -> str:
    """Return text in ASCII letters, digits and dashes."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")[:longest].strip("-")


# What a report may be: checked before it is sent

FORMATS = ("CSV", "HTML")
RANGES = ("TODAY", "YESTERDAY", "LAST_WEEK", "LAST_SEVEN_DAYS", "LAST_MONTH", "LAST_THIRTY_DAYS", "CUSTOM")

_WHO = (
    *("ANY", "EXTENSION_OR_EXTENSION_RANGE", "NUMBER", "NUMBERS_START_WITH", "NUMBERS_CONTAIN"),
    *("INTERNAL_EXTENSIONS", "EXTERNAL_NUMBERS"),
)
_WITH_VALUE = frozenset(_WHO[1:5])
_EXCLUDE = "exclude_calls_dropped_before_seconds"
_QUEUES: Mapping[str, str | tuple[str, ...]] = {
    f"enable_{_EXCLUDE}": "flag",
    _EXCLUDE: "whole",
    "call_queues": "numbers",
}

# By type of report, the fields of its filter: the words one may be, or what it is. OpenAPI file of v22.2, "Create new
# call report"; which of its shapes belongs to which type is read from their names.
FILTERS: Mapping[str, Mapping[str, str | tuple[str, ...]]] = {
    "NORMAL": {
        "from": _WHO,
        "from_value": "text",
        "to": _WHO,
        "to_value": "text",
        "answer_state": ("ANY", "ANSWERED", "NOT_ANSWERED"),
        "duration": ("ANY", "RING_DURATION", "TALK_DURATION"),
        "duration_from": "whole",
        "duration_to": "whole",
    },
    "EXTENSION_GROUP_CALL_COST": {
        "type": ("ANY", "LOCAL", "NATIONAL", "INTERNATIONAL", "MOBILE"),
        "groups": "names",
    },
    "QUEUE_PERFORMANCE": _QUEUES,
    "QUEUE_DETAILED_STATISTICS": _QUEUES,
    "QUEUE_ABANDONED_CALLS": _QUEUES,
    "QUEUE_SLA_STATISTICS": _QUEUES,
    "QUEUE_BREACHES_SLA_STATISTICS": _QUEUES,
    "QUEUE_CALLBACKS": _QUEUES,
    "QUEUE_FAILED_CALLBACKS": {"call_queues": "numbers"},
    "TEAM_QUEUE_GENERAL_STATISTICS": _QUEUES,
    "RING_GROUP_STATISTICS": {"ring_groups": "numbers"},
}

_PLAIN = ("name", "email", "file_format", "range", "started_at", "ended_at", "cron")


def _new_report(options: Mapping[str, Any], now: datetime) -> Record:
    """Return the body of a report that is to be made, every part of it checked.

    Raises:
        UsageError: Something is missing, unknown or does not fit; the hint names what is allowed.
    """
    if not options["type"]:
        raise UsageError("a report needs a --type", hint=f"the types are: {', '.join(FILTERS)}")
    kind = _one_of("--type", options["type"], FILTERS)
    if not options["email"]:
        raise UsageError("a report needs an --email: the PBX mails the file there when it is finished")
    dates = options["started_at"] or options["ended_at"]
    plain = _plain({**options, "range": options["range"] or ("CUSTOM" if dates else "")}, now)
    if "range" not in plain:
        raise UsageError("a report needs a --range", hint=f"the ranges are: {', '.join(RANGES)}")
    _check_range(plain, plain)
    body = {"name": plain.pop("name"), "type": kind, **plain}
    return {**body, "filter": _filter(kind, options["filter"])}


def _plain(options: Mapping[str, Any], now: datetime) -> Record:
    """Return the parts of a report that do not depend on its type, those that were given."""
    body: Record = {}
    if options["name"]:
        body["name"] = options["name"].strip()
        if not body["name"]:
            raise UsageError("--name is empty")
    if options["email"]:
        body["email"] = options["email"].strip()
        if len(body["email"]) > 128 or not re.fullmatch(r"[^@\s,;]+@[^@\s,;]+", body["email"]):
            raise UsageError(f"--email {body['email'][:64]!r} is no address of up to 128 characters")
    if options["file_format"]:
        body["format"] = _one_of("--file-format", options["file_format"], FORMATS)
    if options["range"]:
        body["range"] = _one_of("--range", options["range"], RANGES)
    for name in ("started_at", "ended_at"):
        if options[name]:
            body[name] = _said(_moment(name, options[name], now))
    if options["cron"] is not None:
        body["cron_expr"] = cron(options["cron"])
    return body


def _check_range(whole: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse times where they mean nothing, and a range of one's own without them.

    Args:
        whole: The report as it will be.
        given: What the user says of it.
    """
    if whole["range"] != "CUSTOM":
        if "started_at" in given or "ended_at" in given:
            raise UsageError(
                f"--started-at and --ended-at go with --range CUSTOM, and the range is {whole['range']}",
                hint=f"the ranges are: {', '.join(RANGES)}",
            )
        return
    if not whole.get("started_at") or not whole.get("ended_at"):
        raise UsageError("--range CUSTOM needs --started-at and --ended-at", hint="such as 2026-11-18T00:00:00Z")
    with suppress(ValueError):
        if iso_instant(whole["started_at"]) >= iso_instant(whole["ended_at"]):
            raise UsageError(f"the report ends, {whole['ended_at']}, before it begins, {whole['started_at']}")


def _moment(name: str, text: str, now: datetime) -> datetime:
    """Return the instant that a user means, where it means the same in any zone."""
    flag = f"--{name.replace('_', '-')}"
    zones = (UTC, timezone(timedelta(hours=1)))
    try:
        readings = {instant(text, zone=zone, now=now, edge="since") for zone in zones}
    except UsageError as error:
        raise UsageError(error.message.replace("--since", flag), hint=error.hint) from None
    if len(readings) > 1:
        raise UsageError(
            f"{flag} {text!r} has no offset, and the PBX's zone is its own",
            hint="write it as in 2026-11-18T00:00:00Z or 2026-11-18T00:00:00+01:00",
        )
    return readings.pop()


def _one_of(what: str, given: str, allowed: Sequence[str] | Mapping[str, Any]) -> str:
    """Return the word that was meant, whatever its letter case, with dashes for underscores.

    Raises:
        UsageError: It is not allowed; the hint names what is, and what is near.
    """
    word = given.strip().upper().replace("-", "_")
    if word in allowed:
        return word
    near = difflib.get_close_matches(word, allowed, n=3)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(f"{what} {given!r} is not known", hint=f"{meant}allowed are: {', '.join(allowed)}")


def _filter(kind: str, given: Sequence[str]) -> Record:
    """Return the filter of a report of this type, from one JSON object or from words KEY=VALUE.

    Raises:
        UsageError: A key or value is not one of this type's, or one that it needs is missing.
    """
    fields = FILTERS[kind]
    found: Record = {}
    for name, value in _given(kind, given).items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=3)
            meant = f"did you mean {' or '.join(near)}? " if near else ""
            raise UsageError(
                f"a report of type {kind} has no filter {name!r}", hint=f"{meant}it has: {', '.join(fields)}"
            )
        found[name] = _filter_value(name, fields[name], value)
    for name, rule in fields.items():
        if isinstance(rule, tuple):
            found.setdefault(name, "ANY")
        elif rule in {"names", "numbers"} and not found.get(name):
            raise UsageError(
                f"a report of type {kind} needs the filter {name}",
                hint=f"for example --filter {name}={_EXAMPLES[name]}",
            )
    for side in ("from", "to"):
        if found.get(side) in _WITH_VALUE:
            _check_who(side, found[side], found.get(f"{side}_value"))
    _check_seconds(found)
    return {name: found[name] for name in fields if name in found}


_EXAMPLES = {"groups": "Sales,Support", "call_queues": "8000,8001", "ring_groups": "9000"}


def _given(kind: str, given: Sequence[str]) -> Record:
    """Return what was given as a filter, its lists as lists."""
    if any(text.lstrip().startswith(("{", "[")) for text in given):
        try:
            decoded = json.loads(given[0])
        except (ValueError, RecursionError):
            decoded = None
        if len(given) > 1 or not isinstance(decoded, dict):
            raise UsageError("--filter is no JSON object", hint="give one JSON object, or KEY=VALUE once for each key")
        return decoded
    found: Record = {}
    for text in given:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise UsageError(
                f"a filter is written KEY=VALUE: {text!r}",
                hint=f"a report of type {kind} has: {', '.join(FILTERS[kind])}",
            )
        if FILTERS[kind].get(name) in ("names", "numbers"):
            found[name] = [*found.get(name, []), *(part.strip() for part in value.split(","))]
        elif name in found:
            raise UsageError(f"--filter {name} is given twice")
        else:
            found[name] = value
    return found


def _filter_value(name: str, rule: str | tuple[str, ...], value: Any) -> Any:
    """Return one value of a filter as it is sent."""
    if isinstance(rule, tuple):
        return _one_of(f"--filter {name}", str(value), rule)
    wrong = UsageError(f"--filter {name} cannot be {value!r}", hint=f"it is {_RULES[rule]}")
    match rule:
        case "flag":
            word = str(value).strip().casefold()
            if word not in {"true", "false"}:
                raise wrong
            return word == "true"
        case "whole":
            with suppress(ValueError):
                if 0 <= (seconds := read_integer(value)) < 2**31:
                    return seconds
            raise wrong
        case "text":
            if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
                raise wrong
            return str(value).strip()
    pattern = r"[0-9]{3,64}" if rule == "numbers" else r"\S(.{0,62}\S)?"
    items = value if isinstance(value, list) else [value]
    texts = [str(item).strip() for item in items if isinstance(item, str | int) and not isinstance(item, bool)]
    if len(texts) < len(items) or not texts or not all(re.fullmatch(pattern, text, re.ASCII) for text in texts):
        raise wrong
    return list(dict.fromkeys(texts))


_RULES = {
    "flag": "true or false",
    "whole": "a whole number of seconds, 0 or more",
    "text": "a number, or what it begins with or holds",
    "names": "one or more names of 1 to 64 characters",
    "numbers": "one or more numbers of 3 to 64 digits",
}


def _check_who(side: str, word: str, value: Any) -> None:
    if not value:
        raise UsageError(
            f"--filter {side}={word} needs a value", hint=f"for example --filter {side}_value=101 (or 101-110)"
        )
    if word == "EXTENSION_OR_EXTENSION_RANGE":
        ends = re.fullmatch(r"([0-9]{1,64})(?:-([0-9]{1,64}))?", value, re.ASCII)
        if not ends or (ends[2] and int(ends[2]) < int(ends[1])):
            raise UsageError(f"--filter {side}_value cannot be {value!r}", hint="write 101, or 101-110")


def _check_seconds(found: Record) -> None:
    """Refuse lengths that fit nothing, and complete what goes together."""
    shortest, longest = found.get("duration_from"), found.get("duration_to")
    if found.get("duration", "ANY") != "ANY" and shortest is None and longest is None:
        raise UsageError(
            f"--filter duration={found['duration']} needs a length",
            hint="for example --filter duration_from=10 --filter duration_to=60, in seconds",
        )
    if shortest is not None and longest is not None and shortest > longest:
        raise UsageError(f"--filter duration_from={shortest} is more than duration_to={longest}")
    enable = f"enable_{_EXCLUDE}"
    if _EXCLUDE in found:
        found.setdefault(enable, True)
    elif found.get(enable):
        raise UsageError(f"--filter {enable}=true needs the seconds", hint=f"for example --filter {_EXCLUDE}=5")


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# The five fields: their name, least and greatest value, and the words for values (en.wikipedia.org, "Cron").
_CRON: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {word: number for number, word in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 7, {word: number for number, word in enumerate(_DAYS)}),
)
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def cron(text: str) -> str:
    """Return a cron expression with one blank between its five fields.

    Raises:
        UsageError: It is none, or names days that never come.
    """
    fields = text.split()
    if len(fields) != len(_CRON):
        raise UsageError(
            f"--cron {text!r} has {len(fields)} fields, not five",
            hint="minute, hour, day of the month, month, day of the week: '0 6 * * 1-5' is 6:00 on working days",
        )
    values = [_cron_values(text, written, *rule) for written, rule in zip(fields, _CRON, strict=True)]
    days, months = values[2], values[3]
    if fields[4] == "*" and not any(min(days) <= _LONGEST_MONTHS[month - 1] for month in months):
        raise UsageError(f"--cron {text!r} is on a day that never comes")
    return " ".join(fields)


def _cron_values(text: str, written: str, name: str, least: int, greatest: int, words: Mapping[str, int]) -> set[int]:
    """Return the values that one field of a cron expression means."""
    wrong = UsageError(
        f"--cron {text!r}: {written!r} is no {name}",
        hint=f"a {name} is {least} to {greatest}, *, a list such as 1,3, a range such as 1-3, or a step such as */2",
    )
    values: set[int] = set()
    for part in written.split(","):
        match = re.fullmatch(r"(?:(\*)|([0-9a-z]{1,3})(?:-([0-9a-z]{1,3}))?)(?:/([0-9]{1,2}))?", part.lower(), re.ASCII)
        if not match:
            raise wrong
        every, first, last, step = match.groups()
        try:
            begin = least if every else words.get(first, -1) if first.isalpha() else int(first)
            end = greatest if every or (step and not last) else begin
            if last:
                end = words.get(last, -1) if last.isalpha() else int(last)
                end = greatest if last == "sun" and "sun" in words else end  # the week may end with it as well as begin
        except ValueError:
            raise wrong from None
        if not least <= begin <= end <= greatest or step in {"0", "00"}:
            raise wrong
        values.update(range(begin, end + 1, int(step or 1)))
    return values


# Reading answers


def _items(answer: Answer) -> Sequence[Record]:
    body = answer.body if isinstance(answer.body, dict) else {}
    items: Any = body.get("items")
    return items if key_columns(items) is not None else check_records(items, "items", TITLE)


def _total(answer: Answer) -> Total:
    return read_total(pick(answer.body, "count"))


_PLACE = re.compile(r"/(user/cdrs|cdrs|calllogs|call_reports|completed_call_reports|blobs)(/[^/]+)?(?:/destroy)?\Z")


def explain(answer: Answer) -> CdrctlError | None:
    """Return what an answer means when it is not a good one, or None.

    REST guide, "Errors": `{"errors": [{"code", "message", "detail"}]}`, or an empty object, or nothing at all.
    """
    if answer.good:
        return None
    words, status = _words(answer), answer.status
    found = _PLACE.search(answer.url)
    place, one = found.groups() if found else ("", None)
    if place == "blobs":  # whose address is a secret
        kind = TemporaryError if status == 429 or status >= 500 else ProviderError
        return kind(
            f"{TITLE} did not give the file (HTTP {status})",
            hint="run it again, or make the report again",
            status=status,
        )
    match status:
        case 400 if "invalid entry id" in (words or "").casefold():
            return ProviderError(
                "there is no such record", said=words, hint="ids are in the column id of the listing", status=status
            )
        case 401:
            return SignInError(
                f"the sign-in to {TITLE} has ended and could not be renewed",
                said=words,
                hint="check username, password and domain, or get a new access_token",
                status=status,
            )
        case 403:
            return _forbidden(place, words)
        case 404 if one:
            since = " (call logs need v22.0.42)" if place == "calllogs" else ""
            return ProviderError(
                f"this PBX has no such record in /{place}{since}",
                said=words,
                hint="ids are in the column id of the listing",
                status=status,
            )
        case 404 if place:
            needs = " (needs v22.0.42)" if place == "calllogs" else ""
            return ProviderError(
                f"this PBX does not know /{place}{needs}",
                said=words,
                hint="`cdrctl portsip cdrs` works with every version from v16 on; else check base_url",
                status=status,
            )
    error = error_of(TITLE, answer)
    if error is not None:
        error.said = words
    return error


def _forbidden(place: str, words: str | None) -> RightsError:
    if "report" in place:
        return RightsError(
            "this user may not use the tenant's call reports",
            said=words,
            hint="it needs the role Admin or QueueManager",
            status=403,
        )
    if place == "user/cdrs":
        return RightsError("this user may not read its own calls", said=words, hint="check its role", status=403)
    return RightsError(
        "this user may not read the tenant's calls: it needs the role Admin or QueueManager",
        said=words,
        hint="ask the administrator for the role; `cdrctl portsip cdrs --own` reads the user's own calls",
        status=403,
    )


def _words(answer: Answer) -> str | None:
    """Return the PBX's own words in an answer, with what it says of details."""
    words = said(answer)
    errors = answer.body.get("errors") if isinstance(answer.body, dict) else None
    details = [one.get("detail") for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []
    shown = " ".join(
        beginning(json.dumps(detail, ensure_ascii=False), 200) for detail in details if detail not in (None, "", {})
    )
    return " ".join(filter(None, (words, shown))) or None


def trusts(settings: PortsipSettings, url: str) -> bool:
    """Return whether a URL is the profile's own address."""
    return same_origin(settings.base_url, url)


# Signing in

CLIENT_ID = "9d806019-75b2-4b3d-bb8b-f5a3a412cc0a"
"""Published for everybody (REST guide, "Authentication", v16 to v22)."""


@dataclass(frozen=True, slots=True)
class Session(Token):
    """A token that remembers by which of the three ways it came, so that it is renewed by the same."""

    way: str = ""


def sign_in(settings: PortsipSettings, ended: Token | None, now: datetime) -> Generator[Request, Answer, Token]:
    """Return the token of the profile, or one for its password, by the first way to sign in that this PBX knows.

    REST guide, "Authentication": `/auth/sign_in` since v22.2.11, `/login/oauth/token` and `/login` from v16 to v22.
    A token that has ended is renewed with its refresh token; where that is refused, by the password.
    """
    if ended is None and settings.access_token is not None:
        return Session({"Authorization": f"Bearer {settings.access_token.get_secret_value()}"})
    if settings.username is None or settings.password is None:
        raise SignInError(
            "the access token has ended and cannot be renewed",
            hint="get a new access_token, or set username, password and domain instead",
        )
    way = ended.way if isinstance(ended, Session) else ""
    renewal = _renewal(settings, way, ended.refresh_token) if ended is not None and ended.refresh_token else None
    if renewal is not None and ended is not None:
        answer = yield renewal
        if answer.good:
            return _session(answer, way, now, ended.refresh_token)
    for known in [way] if way else _WAYS:
        answer = yield _WAYS[known](settings)
        if answer.status in {404, 405} and not way:
            continue
        if known == "login" and answer.good and not _access_token(answer):
            answer = yield _login_status(settings, answer)
        if not answer.good:
            raise _not_accepted(settings, answer)
        return _session(answer, known, now, None)
    raise ConfigurationError(
        f"there is no sign-in of {TITLE} at {settings.base_url}",
        hint="base_url should be https://HOST:8887/api, the address of the PBX's REST API",
        status=404,
    )


def _credentials(settings: PortsipSettings) -> dict[str, str]:
    assert settings.username is not None  # noqa: S101 - sign_in has looked
    assert settings.password is not None  # noqa: S101
    domain = {"domain": settings.domain} if settings.domain else {}
    return {"username": settings.username, "password": settings.password.get_secret_value(), **domain}


def _post(settings: PortsipSettings, path: str, **body: Any) -> Request:
    return Request("POST", settings.base_url + path, kind="sign-in", signed=False, **body)


def _oauth(settings: PortsipSettings) -> Request:
    form = {"grant_type": "password", **_credentials(settings), "scope": "all", "client_id": CLIENT_ID}
    return _post(settings, "/login/oauth/token", form=form)


_WAYS: Mapping[str, Callable[[PortsipSettings], Request]] = {
    "auth": lambda settings: _post(settings, "/auth/sign_in", json=_credentials(settings)),
    "oauth": _oauth,
    "login": lambda settings: _post(settings, "/login", json=_credentials(settings), bodiless=True),
}


def _renewal(settings: PortsipSettings, way: str, refresh_token: str) -> Request | None:
    if way == "auth":
        return _post(settings, "/auth/refresh_token", json={"refresh_token": refresh_token})
    if way == "oauth":
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": CLIENT_ID}
        return _post(settings, "/login/oauth/token", form=form)
    return None


def _login_status(settings: PortsipSettings, answer: Answer) -> Request:
    """Return the request for the token of a `POST /login` whose answer held none.

    `GET /login` tells of "the current session", which a cookie must stand for; it goes with this request alone.
    """
    cookies = re.findall(r"(?:^|,\s*)([\w!#$%&'*+.^`|~-]+=[^;,\s]*)", answer.headers.get("set-cookie", ""))
    headers = {"Cookie": "; ".join(cookies)} if cookies else {}
    return Request("GET", f"{settings.base_url}/login", headers=headers, kind="sign-in", signed=False)


def _access_token(answer: Answer) -> str | None:
    token = answer.body.get("access_token") if isinstance(answer.body, dict) else None
    return token if isinstance(token, str) and token else None


def _session(answer: Answer, way: str, now: datetime, refresh_token: str | None) -> Session:
    """Return the token in a good answer; one without a new refresh token goes on with the old."""
    body = answer.body if isinstance(answer.body, dict) else {}
    if body.get("two_factor_enabled"):
        raise SignInError(
            "this user needs a code sent by mail to sign in, which a program cannot give",
            hint="use a user without two-factor sign-in, or set access_token to a token",
            status=answer.status,
        )
    token = _access_token(answer)
    if token is None:
        raise ProviderError(
            f"{TITLE} answered a sign-in in a shape we do not know: there is no access_token in it",
            hint="check base_url; if it is right, the API has changed: update cdrctl",
        )
    expires = None
    with suppress(ValueError):
        seconds = read_integer(body.get("expires_in"))
        expires = now + timedelta(seconds=seconds) if 0 < seconds < 10**9 else None
    fresh = body.get("refresh_token")
    fresh = fresh if isinstance(fresh, str) and fresh else refresh_token
    return Session({"Authorization": f"Bearer {token}"}, expires, fresh, way=way)


def _not_accepted(settings: PortsipSettings, answer: Answer) -> CdrctlError:
    if answer.status not in {400, 401, 403, 422}:
        return explain(answer) or ProviderError(f"{TITLE} refused the sign-in (HTTP {answer.status})")
    of = f"of domain {settings.domain}" if settings.domain else "without a domain"
    return SignInError(
        f"{TITLE} does not accept user {settings.username} {of}",
        said=said(answer),
        hint="check username, password and domain, which is the tenant's SIP domain",
        status=answer.status,
    )


def nothing(path: str, _body: Any) -> Any:
    """Return the answer of a list without items, or a token of masks."""
    if path.endswith(("/sign_in", "/token", "/login")):
        return {"access_token": MASK, "expires_in": 3600}
    place, _, key = path.rpartition("/")
    if place.endswith((REPORTS, COMPLETED)):  # what would be changed is there
        return {"id": key}
    return {"count": 0, "items": []}


def check(client: Client, settings: PortsipSettings) -> str:
    """Return what one small request found."""
    del settings
    until = client.clock.now().replace(microsecond=0) - SETTLED
    window = Window(until - timedelta(hours=24), until)
    listing = Listing(client, "/cdrs", orders=["started_at asc"])
    records, total = listing.page(listing.where(window), 0, size=1)
    count = total.rows
    if count is None or (records and not count) or not _obey(records, window, client.clock.now()):
        return f"signed in; there are {'calls' if records else 'no calls'}"
    between = f"between {rfc3339(window.since)} and {rfc3339(window.until)}"
    return f"signed in; {'1 call' if count == 1 else f'{count} calls'} {between}"


# The record


def identity(record: Record) -> str:
    """Return `id`, the key of a record; a record without one is known by all it says."""
    key = pick(record, "id")
    return key if isinstance(key, str) and key else fingerprint(record)


def start(record: Record) -> datetime | None:
    """Return the start of the call, or None where there is none to read."""
    with suppress(ValueError):
        return iso_instant(pick(record, "started_at"))
    return None


_CALL: tuple[Column, ...] = (
    Column("caller", "caller", "text", "calling number or extension"),
    Column("caller_domain", "caller_domain", "text", "tenant's SIP domain, or the address of the trunk"),
    Column("caller_display_name", "caller_display_name", "text", "name of the caller"),
    Column("callee", "callee", "text", "called number or extension"),
    Column("callee_domain", "callee_domain", "text", "tenant's SIP domain, or the address of the trunk"),
    Column("callee_display_name", "callee_display_name", "text", "name of the callee; old versions leave out queues"),
    Column("started_at", "started_at", "time", "start of the call"),
    Column("rang_at", "rang_at", "time", "when it began to ring; empty when it never did"),
    Column("answered_at", "answered_at", "time", "moment of answer; empty when it never was"),
    Column("ended_at", "ended_at", "time", "end of the call"),
    Column("call_id", "call_id", "text", "SIP Call-ID"),
    Column("direction", "direction", "text", "INBOUND_CALL, OUTBOUND_CALL, EXTENSION_CALL, INBOUND_OUTBOUND_CALL"),
    Column("end_reason", "end_reason", "text", "who or what ended it (enum); may be empty"),
    Column("reroute_reason", "reroute_reason", "text", "why it went on to somebody else (enum); may be empty"),
    Column("status_code", "status_code", "integer", "SIP status; 0 when there was no error"),
    Column("destination", "destination", "text", "destination of the leg; may be a SIP address"),
    Column("outbound_caller_id", "outbound_caller_id", "text", "caller id shown outside"),
    Column("did_cid", "did_cid", "text", "DID number called, or caller id of the DID"),
    Column("trunk", "trunk", "text", "name of the trunk"),
    Column("duration", "duration", "seconds", "seconds of talk"),
    Column("cost", "cost", "money", "cost of the call, without a currency; only in details, or --with-cost"),
    Column("billed_account", "billed_account", "text", "account billed; only in details, or --with-cost"),
    Column("service_number", "service_number", "text", "queue, ring group or IVR; since v22"),
    Column("user_data", "user_data", "text", "free text of applications; since v22"),
)
_KEY = Column("id", "id", "text", "id of the record; the dedup key")
CDRS: tuple[Column, ...] = (_KEY, *_CALL)
CALLLOGS: tuple[Column, ...] = (
    _KEY,
    Column("session_id", "session_id", "text", "what the logs of a call share"),
    *_CALL,
)
CDR: tuple[Column, ...] = (
    Column("id", "@id", "text", "the id that was asked for; #1, #2 … where the call has several legs"),
    *_CALL,
)

_REPORT: tuple[Column, ...] = (
    Column("id", "id", "text", "id of the report"),
    Column("name", "name", "text", "name of the report"),
    Column("type", "type", "text", "what is reported (enum)"),
    Column("email", "email", "text", "where the file is mailed"),
    Column("format", "format", "text", "CSV or HTML"),
    Column("range", "range", "text", "which days are reported (enum)"),
    Column("started_at", "started_at", "time", "begin of a CUSTOM range"),
    Column("ended_at", "ended_at", "time", "end of a CUSTOM range"),
    Column("cron_expr", "cron_expr", "text", "when it is made, as cron writes it; empty: once, at once"),
    Column("filter", "filter", "list", "which calls, queues or groups"),
    Column("status", "status", "text", "RUNNING, SCHEDULED or ABORTED"),
)
_FILE: tuple[Column, ...] = (
    Column("completed_at", "completed_at", "time", "when it was finished"),
    Column("file_name", "file_name", "text", "name of the file on the PBX"),
    Column("file_size", "file_size", "integer", "its size in bytes"),
    Column("file_url", "file_url", "text", "opens the file to whoever has it: keep it secret"),
)
_BRIEF = frozenset({"id", "name", "type", "cron_expr", "status"})
LISTED: tuple[Column, ...] = tuple(column for column in _REPORT if column.name in _BRIEF)
REPORT: tuple[Column, ...] = _REPORT
MADE: tuple[Column, ...] = (*_REPORT, *_FILE)
FINISHED: tuple[Column, ...] = (
    *(column for column in _REPORT if column.name in {"id", "name", "type", "format"}),
    *_FILE,
)

_DIRECTIONS = {
    "INBOUND_CALL": "inbound",
    "OUTBOUND_CALL": "outbound",
    "EXTENSION_CALL": "internal",
    "INBOUND_OUTBOUND_CALL": "inbound",  # came in and left again
}
# What a SIP status says of a call that was not answered (RFC 3261, section 21).
_OUTCOMES: Mapping[int, str] = {
    486: "busy",
    600: "busy",
    487: "cancelled",
    408: "no_answer",
    480: "no_answer",
    401: "rejected",
    403: "rejected",
    603: "rejected",
}


def common(call: dict[str, Value]) -> dict[str, Value]:
    """Return a call, a call log or a leg of a detail as a common CDR; its cost has no currency."""
    direction = _DIRECTIONS.get(_word(call["direction"]), "unknown")
    started, rang, answered, ended = (call[name] for name in ("started_at", "rang_at", "answered_at", "ended_at"))
    side = {"inbound": "callee", "internal": "callee", "outbound": "caller"}.get(direction)
    status = call["status_code"]
    return {
        "record_id": call["id"],
        "call_id": call.get("session_id") or call["id"],
        "direction": direction,
        "from_number": call["caller"],
        "from_name": call["caller_display_name"],
        "to_number": call["callee"],
        "to_name": call["callee_display_name"],
        "dialed_number": {"inbound": call["did_cid"], "outbound": call["callee"]}.get(direction),
        "start_time": started,
        "answer_time": answered,
        "end_time": ended,
        "ring_seconds": _elapsed(rang, answered or ended),
        "talk_seconds": call["duration"],
        "total_seconds": _elapsed(started, ended),
        "answered": _answered(call),
        "outcome": _outcome(call),
        "cause": call["end_reason"] or (f"SIP {status}" if status else None),
        "user": (call[f"{side}_display_name"] or call[side]) if side else None,
        "site": call["callee_domain"] if direction == "inbound" else call["caller_domain"],
        "trunk": call["trunk"],
        "queue": call["service_number"],
        "cost": call["cost"],
    }


def common_leg(leg: dict[str, Value]) -> dict[str, Value]:
    """Return a leg of `GET /cdrs/ID` as a common CDR; the legs of a call share its id."""
    return {**common(leg), "call_id": re.sub(r"#[0-9]+\Z", "", str(leg["id"]))}


def _word(value: Value) -> str:
    """Return a word of a list that grows without notice, in one letter case; what is no text is no word."""
    return value.strip().upper() if isinstance(value, str) else ""


def _elapsed(since: Value, until: Value) -> int | None:
    seconds = seconds_between(since, until)
    return seconds if seconds is None or seconds >= 0 else None


def _answered(call: dict[str, Value]) -> bool | None:
    """Return whether something picked up; None where the record contradicts itself: talk without a moment of answer."""
    if call["answered_at"] is not None:
        return True
    talked, status = call["duration"], call["status_code"]
    ruled_out = isinstance(status, int) and 400 <= status < 700
    return None if isinstance(talked, int) and talked > 0 and not ruled_out else False


def _outcome(call: dict[str, Value]) -> str:
    rerouted, status = _word(call["reroute_reason"]), call["status_code"]
    if rerouted == "QUEUE_ABANDONED":
        return "abandoned"  # although the queue had answered
    answered = _answered(call)
    if answered is not False:
        return "answered" if answered else "unknown"
    if not isinstance(status, int):
        status = -1
    if _OUTCOMES.get(status) == "busy":
        return "busy"
    if _word(call["end_reason"]) == "CANCELLED":
        return "cancelled"
    if status in _OUTCOMES:
        return _OUTCOMES[status]
    if rerouted == "CAPACITY_BLOCKED":
        return "rejected"
    if 400 <= status < 700:
        return "failed"
    return "no_answer" if status == 0 and call["rang_at"] is not None else "unknown"


GIVES = Gives(
    outcomes=frozenset({"answered", "abandoned", "cancelled", "rejected", "failed", "unknown", *_OUTCOMES.values()}),
    directions=frozenset({"unknown", *_DIRECTIONS.values()}),
    null=frozenset({"cause_q850", "recording_url", "currency"}),
)
GIVES_LOG = replace(GIVES, null=GIVES.null | {"cost"})


# What the rest of the program is told

BUDGET = RateLimit(5, 1)
"""The gateway allows 1000 requests a minute in v16.0, more later, to all who ask: a third of that is polite."""

_SHOWN = (
    *("started_at", "caller", "callee", "duration", "status_code", "direction", "end_reason"),
    *("callee_display_name", "caller_display_name", "trunk", "answered_at", "service_number", "outbound_caller_id"),
)
_WITH_COST_SHOWN = (*_SHOWN[:6], "cost", *_SHOWN[6:])
_ENDING = ("status_code", "end_reason")
_QUERY = (
    Option(
        "filter",
        "only what this holds for, in the PBX's words, such as \"direction eq 'INBOUND_CALL'\"; repeated, all must",
        repeat=True,
        metavar="FILTER",
    ),
    Option("search", "only what this text is found in", metavar="TEXT"),
    Option("orderby", "order within each window, such as 'caller asc, started_at desc'", metavar="FIELDS"),
    Option("page_size", "records asked for at a time, 1 to 100", kind="integer", default=str(LARGEST_PAGE)),
)
_CALLS = (
    *_QUERY,
    Option("with_cost", "ask for the cost of every record, which takes a request each", kind="flag"),
    Option("window", "how much is asked for at a time; less is easier on a slow PBX", kind="duration", default="24h"),
)


def _apart(options: Mapping[str, Any]) -> timedelta | str:
    """Return the shortest part that is worth a listing: the requests of an hour are its pages, and hardly more."""
    if options["with_cost"]:
        return "with --with-cost the records are counted before their costs are asked for"
    return timedelta(hours=1)


_OWN = Option("own", "the signed-in user's own calls: needs no role", kind="flag")
_ID = Option("id", "id of the record", argument=True, metavar="ID")
_REPORT_OPTIONS = (
    Option("name", "name of the report", metavar="NAME"),
    Option("email", "where the PBX mails the file", metavar="ADDRESS"),
    Option("file_format", "CSV or HTML", metavar="FORMAT", values=FORMATS),
    Option("range", f"which days: {', '.join(RANGES)}", metavar="RANGE", values=RANGES),
    Option("started_at", "begin of a CUSTOM range, such as 2026-11-18T00:00:00Z", metavar="TIME"),
    Option("ended_at", "end of a CUSTOM range", metavar="TIME"),
    Option("cron", "when it is made, again and again: minute hour day month weekday", metavar="CRON"),
    Option(
        "filter",
        "which calls, queues or groups: a JSON object, or KEY=VALUE, which may be repeated",
        repeat=True,
        metavar="FILTER",
        values=tuple(dict.fromkeys(f"{name}=" for fields in FILTERS.values() for name in fields)),
    ),
)
_REPORT_SHOWN = ("id", "name", "type", "cron_expr", "status")
_FINISHED_SHOWN = ("id", "name", "type", "format", "completed_at", "file_name", "file_size")


def _with_default(options: Sequence[Option], name: str, default: str) -> tuple[Option, ...]:
    return tuple(replace(one, default=default) if one.name == name else one for one in options)


def _listed(group: str, then: str, *, name: str | None = None) -> str:
    """Return an example with a report that a listing names: its id is the PBX's own."""
    which = f"'select(.name == \"{name}\") .id'" if name else ".id"
    return f"cdrctl portsip {group} list -p sandbox | jq -r {which} | xargs -rn1 cdrctl portsip {group} {then}"


_report = functools.partial(Call, identity=identity, group="reports")
_completed = functools.partial(Call, identity=identity, group="completed-reports", columns=FINISHED)

_NEEDS = "The role Admin or QueueManager reads the tenant's calls; other users read their own (`portsip cdrs --own`)."

PROVIDER = Provider(
    name="portsip",
    title=TITLE,
    settings=PortsipSettings,
    auth_methods={
        "password": ("username", "password"),
        "token": ("access_token",),
    },
    sign_in=sign_in,
    retry_policy=RetryPolicy(budgets={"*": BUDGET}),
    error_for=explain,
    allows_url=trusts,
    empty_response=nothing,
    check=check,
    account_settings=("domain",),
    key_settings=("username", "access_token"),
    # REST guide, "Authentication", "Accessing CDRs and recordings".
    credential_help={
        "password": Console(
            "a user's name and password, as in the web portal",
            (
                "Take a user of the tenant without two-factor sign-in: a program cannot read the code that is mailed.",
                "The domain is the tenant's SIP domain; the system administrator has none.",
                "base_url is the PBX's address with port 8887 and /api, such as https://pbx.example.net:8887/api.",
            ),
            _NEEDS,
            asks=(("domain",),),
        ),
        "token": Console(
            "a token from another sign-in: good for half an hour or an hour",
            ("It is access_token in the answer to POST /api/auth/sign_in, or /api/login/oauth/token before v22.2.11.",),
            _NEEDS,
        ),
    },
    calls=(
        Call(
            name="cdrs",
            about="Calls of the tenant, or of the signed-in user: one record per call.",
            columns=CDRS,
            expected=Expected(required=frozenset({"id", "started_at"})),
            key_fields=KeyFields("id", "started_at"),
            fetch=cdrs,
            identity=identity,
            start=start,
            alike=("started_at", "direction", "caller", "callee"),
            lag=SETTLED,
            retention=LOOK_BACK,
            longest=timedelta(hours=24),
            apart=_apart,
            common=common,
            gives=GIVES,
            options=(*_CALLS, _OWN),
            table_columns=_SHOWN,
            outcome_columns=_ENDING,
            examples=(
                "cdrctl portsip cdrs -p sandbox --since yesterday --until today --with-cost -o calls.csv",
                "cdrctl portsip cdrs -p sandbox --since 24h --filter \"startswith(callee,'2')\" -f table",
            ),
        ),
        Call(
            name="calllogs",
            about="Call logs of the tenant (since v22.0.42): the logs of one call share their session_id.",
            columns=CALLLOGS,
            expected=Expected(required=frozenset({"id", "started_at"})),
            key_fields=KeyFields("id", "started_at"),
            fetch=calllogs,
            identity=identity,
            start=start,
            alike=("started_at", "direction", "caller", "callee"),
            lag=SETTLED,
            retention=LOOK_BACK,
            longest=timedelta(hours=24),
            apart=_apart,
            common=common,
            gives=GIVES_LOG,
            options=_CALLS,
            table_columns=_SHOWN,
            outcome_columns=_ENDING,
            examples=(
                "cdrctl portsip calllogs -p sandbox --since yesterday --until today --schema common -o logs.csv",
                "cdrctl portsip calllogs -p sandbox --since 24h --search 2007 | jq -r .session_id | uniq",
            ),
        ),
        Call(
            name="cdr",
            about="One call in full, with its cost; a transferred call as its legs.",
            columns=CDR,
            fetch=cdr,
            identity=identity,
            common=common_leg,
            gives=GIVES,
            options=(_ID, _OWN),
            table_columns=_WITH_COST_SHOWN,
            outcome_columns=_ENDING,
            examples=(
                "cdrctl portsip cdr -p sandbox 1175612102920896513",
                "cdrctl portsip cdr -p sandbox 1175612102920896513 | jq -r .cost",
            ),
        ),
        Call(
            name="calllog",
            about="One call log in full, with its cost.",
            columns=CALLLOGS,
            fetch=calllog,
            identity=identity,
            common=common,
            gives=GIVES,
            options=(_ID,),
            table_columns=_WITH_COST_SHOWN,
            outcome_columns=_ENDING,
            examples=(
                "cdrctl portsip calllog -p sandbox 1175598640098443266",
                "cdrctl portsip calllog -p sandbox 1175598640098443266 --schema common -f json",
            ),
        ),
        _report(
            name="list",
            about="Call reports that run or are to come.",
            columns=LISTED,
            fetch=reports,
            options=_QUERY,
            table_columns=_REPORT_SHOWN,
            examples=(
                "cdrctl portsip reports list -p sandbox -f table",
                "cdrctl portsip reports list -p sandbox --fields id,name,cron_expr -f tsv",
            ),
        ),
        _report(
            name="show",
            about="One call report in full.",
            columns=REPORT,
            fetch=show_report,
            options=(_ID,),
            table_columns=_REPORT_SHOWN,
            examples=(_listed("reports", "show -p sandbox"), _listed("reports", "show -p sandbox -f json")),
        ),
        _report(
            name="create",
            about="Have a call report made, at once or by a timetable; with --wait, wait for its file.",
            columns=MADE,
            fetch=create_report,
            options=(
                Option("type", f"what is reported: {', '.join(FILTERS)}", metavar="TYPE", values=tuple(FILTERS)),
                *_with_default(_REPORT_OPTIONS, "file_format", "CSV"),
                Option("wait", "wait until it is finished, and write its file", kind="flag"),
                Option("wait_at_most", "how long", kind="duration", default="10m"),
            ),
            table_columns=(*_REPORT_SHOWN, "file_name", "file_size"),
            gives_file="wait",
            examples=(
                (
                    "cdrctl portsip reports create -p sandbox --type NORMAL --email user@example.com --range YESTERDAY "
                    "--wait -o report.csv"
                ),
                (
                    "cdrctl portsip reports create -p sandbox --type NORMAL --email user@example.com --range YESTERDAY "
                    "--cron '0 6 * * *'"
                ),
            ),
        ),
        _report(
            name="update",
            about="Change what is given of a call report.",
            columns=REPORT,
            fetch=update_report,
            options=(_ID, *_REPORT_OPTIONS),
            table_columns=_REPORT_SHOWN,
            examples=(
                _listed("reports", "update -p sandbox --email user@example.com", name="daily"),
                _listed("reports", "update -p sandbox --cron '0 6 * * 1'", name="weekly"),
            ),
        ),
        _report(
            name="delete",
            about="Delete a call report, and show what it was.",
            columns=REPORT,
            fetch=delete_report,
            options=(_ID,),
            table_columns=_REPORT_SHOWN,
            examples=(
                _listed("reports", "delete -p sandbox", name="old"),
                _listed("reports", "delete -p sandbox", name="test"),
            ),
        ),
        _completed(
            name="list",
            about="Finished call reports.",
            fetch=completed_reports,
            options=_QUERY,
            table_columns=_FINISHED_SHOWN,
            examples=(
                "cdrctl portsip completed-reports list -p sandbox -f table",
                "cdrctl portsip completed-reports list -p sandbox | jq -r .file_name",
            ),
        ),
        _completed(
            name="show",
            about="One finished call report.",
            fetch=show_completed,
            options=(_ID,),
            table_columns=_FINISHED_SHOWN,
            examples=(
                _listed("completed-reports", "show -p sandbox"),
                _listed("completed-reports", "show -p sandbox -f json"),
            ),
        ),
        _completed(
            name="download",
            about="Download the file of a finished call report.",
            fetch=download,
            options=(_ID,),
            table_columns=_FINISHED_SHOWN,
            gives_file=True,
            examples=(
                _listed("completed-reports", "download -p sandbox"),
                _listed("completed-reports", "download -p sandbox", name="daily"),
            ),
        ),
        _completed(
            name="delete",
            about="Delete a finished call report and its file, and show what it was.",
            fetch=delete_completed,
            options=(_ID,),
            table_columns=_FINISHED_SHOWN,
            examples=(
                _listed("completed-reports", "delete -p sandbox", name="old"),
                _listed("completed-reports", "delete -p sandbox", name="test"),
            ),
        ),
    ),
)
