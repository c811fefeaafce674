"""Webex Calling: detailed call history, from `cdr_feed` and `cdr_stream`.

Sources: developer.webex.com, "Reports: Detailed Call History" and "Reports: Live Stream Detailed Call History"; the
developer blog "Understanding the Webex Calling CDR APIs" (17 December 2025); help.webex.com nmug598 (fields) and
fs78p5 (role). What they leave open is treated so that no reading of them loses a record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from cdrctl.contents import contents_of, marked_contents_of
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
from cdrctl.fetchers import Call, Console, Gives, Login, Option, Provider, identities, span_of
from cdrctl.fetchers.lengths import length
from cdrctl.fetchers.settings import Settings
from cdrctl.fetchers.webex_legs import LegSearch
from cdrctl.http import (
    MASK,
    Answer,
    Client,
    Request,
    RetryPolicy,
    Token,
    by_link,
    error_of,
    published,
    said,
    same_origin,
)
from cdrctl.http.addresses import address, in_clear
from cdrctl.http.links import next_url
from cdrctl.records import (
    Checkpoint,
    Column,
    Event,
    Expected,
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
    number_of_records,
    pick,
    seconds_between,
)
from cdrctl.windows import Window, rfc3339, tile

if TYPE_CHECKING:
    from cdrctl.http.oauth import Attempt

TITLE = "Webex"
DOMAIN = ".webexapis.com"
SCOPE = "spark-admin:calling_cdr_read"
"""What a token needs to read call history ("Reports: Detailed Call History")."""


class WebexSettings(Settings):
    """The settings of a Webex profile."""

    base_url: str = Field(
        "https://analytics-calling.webexapis.com/v1",
        description="your region's address: analytics-calling, -eu, -in, -au or -gov",
    )
    access_token: SecretStr | None = Field(None, description="a token with scope spark-admin:calling_cdr_read")
    client_id: str | None = Field(None, description="client id of the service app or integration")
    client_secret: SecretStr | None = Field(None, description="client secret of the service app or integration")
    refresh_token: SecretStr | None = Field(None, description="refresh token of the service app or integration")
    token_url: str = Field(
        "https://webexapis.com/v1/access_token", description="where a refresh token becomes an access token"
    )
    authorize_url: str | None = Field(
        None, description="where one signs in with a browser; /authorize beside token_url when left out"
    )
    redirect_uri: str = Field(
        "http://127.0.0.1:8765/callback",
        description="where the browser is sent back to, exactly as it is registered with the integration",
    )

    @field_validator("redirect_uri")
    @classmethod
    def _registered(cls, uri: str) -> str:
        from cdrctl.http.oauth import checked

        return checked(uri)

    @field_validator("token_url", "base_url", "authorize_url")
    @classmethod
    def _sealed(cls, url: str | None) -> str | None:
        """Refuse to send a secret where others can read it."""
        if url is None:
            return None
        url = address(url, query=True)
        if in_clear(url):
            raise ValueError("it must begin with https://, because a secret is sent there")
        return url


@dataclass(frozen=True, slots=True)
class History:
    """What is published of one of the two listings."""

    path: str
    longest: timedelta
    keeps: timedelta
    lag: timedelta
    older: str


# developer.webex.com, "Reports: Detailed Call History": at most 12 h at a time, 30 days back, up to 5 min ago.
FEED = History(
    "/cdr_feed",
    timedelta(hours=12),
    timedelta(days=30),
    timedelta(minutes=5),
    'older calls are in Control Hub only (with Pro Pack): Reports, template "Calling Detailed Call History"',
)
# "Reports: Live Stream Detailed Call History": at most 2 h at a time, stored 12 h ago, up to 1 min ago.
STREAM = History(
    "/cdr_stream",
    timedelta(hours=2),
    timedelta(hours=12),
    timedelta(minutes=1),
    "`cdrctl webex cdrs` goes back 30 days",
)

UNIT = timedelta(milliseconds=1)
"""The finest time a request can name.

Whether `startTime` and `endTime` belong to their window is not published. Every request asks for so much more at both
ends, so that nothing is lost whichever of them do; records that come twice are dropped by their Report ID.
"""

EDGE = timedelta(seconds=60)
"""The service counts to the second and clocks differ: stay this far from both edges of what it keeps."""

# "Reports: Detailed Call History": one first page a minute and ten further pages a minute per token. Whether feed and
# stream share them is not published: they do here.
WINDOWS = published(1, 60)
PAGES = published(10, 60)

SMALLEST_PAGE = 500
LARGEST_PAGE = 5000
LOCATIONS_AT_ONCE = 10
PROOF = timedelta(seconds=60)
FEW_MINUTES = 2
ONCE_KEPT = timedelta(hours=48)
"""What the documentation of 2023 gave as the feed's look-back."""


# Asking


def cdrs(client: Client, settings: WebexSettings, window: Window | None, options: Mapping[str, Any]) -> Iterator[Event]:
    """Yield the records of `cdr_feed` for calls that started in the window, and some around it."""
    return _history(FEED, client, settings, window, options)


def stream(
    client: Client, settings: WebexSettings, window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield the records of `cdr_stream` for calls that started in the window, and some around it.

    The stream's own window is on the moment a record was stored, which is never before the call's start: whatever
    arrived from the window's start on is asked for.
    """
    return _history(STREAM, client, settings, window, options)


def legs(client: Client, settings: WebexSettings, window: Window | None, options: Mapping[str, Any]) -> Iterator[Event]:
    """Yield the legs of each call that has the id, among those of `cdr_feed` for the window and some around it.

    The API cannot be asked for an id, so that the whole window is read first.
    """
    assert window is not None  # noqa: S101 - it has a window to search in
    if not options["id"].strip():
        raise UsageError("an id is needed", hint="for example a Report ID, a Correlation ID or a Local call ID")
    search = LegSearch(options["id"])
    for piece in _history(FEED, client, settings, window, {**options, "location": ()}):
        if isinstance(piece, Page):
            search.add(piece.records)
        else:
            yield piece
    found = search.found()
    yield Page(found)
    searched = f"among those of the calls that started from {rfc3339(window.since)} to {rfc3339(window.until)}"
    if found:
        yield Note(f"the legs were looked for {searched}")
    else:
        yield Note(
            f"{TITLE} has no record with the id {options['id'].strip()} {searched}: name the time of the call with "
            "--since and --until, up to 30 days back"
        )


def _history(
    history: History,
    client: Client,
    settings: WebexSettings,
    window: Window | None,
    options: Mapping[str, Any],
) -> Iterator[Event]:
    assert window is not None  # noqa: S101 - both calls have a window
    way = Way(settings, options["page_size"])
    lists = _location_lists(options["location"])
    now = client.present()
    pace = _pace(settings)
    window, notes = _kept(history, window, now, spare=EDGE + (len(lists) - 1) * pace)
    # Sources disagree on whether the feed's window is on the start or the end of a call (the documentation: on when
    # the report was made; the blog, with an example: on the start). So go on asking beyond the window, for as long as
    # a call may last, until a record proves that the start is what counts.
    until = _whole_ms(window.until, up=True)
    newest = _whole_ms(now - history.lag - EDGE)
    beyond = Window(window.since, max(until, min(until + options["longest_call"], newest)))
    windows = _requests(beyond, until, history.longest)
    yield from notes
    minutes = (len(windows) * len(lists) - 1) * pace / timedelta(minutes=1)
    if minutes >= FEW_MINUTES:
        yield Note(f"{TITLE} may be asked for one window a minute: this takes at least {minutes:.0f} min")
    proven: set[str] = set()
    for tiled in windows:
        asked = tiled
        if proven == {"start"}:
            if tiled.since >= until:
                return
            asked = Window(tiled.since, min(tiled.until, until))
        for locations in lists:
            for piece in _window(history, client, way, asked, locations):
                if history is FEED and isinstance(piece, Page) and not proven:
                    proven = _window_is_on(piece.records, asked)
                yield piece
        yield Checkpoint(asked)


def _requests(beyond: Window, until: datetime, longest: timedelta) -> list[Window]:
    """Return adjacent windows up to the end of `beyond`, each so short that it may be asked with a UNIT at both ends.

    A request takes a minute: milliseconds beyond `until`, the end of what is wanted, are not worth one more.
    """
    several = -(-(beyond.until - beyond.since) // longest)
    end = beyond.since + several * (longest - 2 * UNIT)
    return [*tile(Window(beyond.since, min(beyond.until, max(until, end))), longest - 2 * UNIT)]


def _pace(settings: WebexSettings) -> timedelta:
    """Return the time from one first page to the next."""
    slower = settings.requests_per_minute
    if slower == 0:
        return timedelta(0)
    return timedelta(seconds=max(WINDOWS.seconds, 60 / slower if slower else 0))


def _kept(history: History, window: Window, now: datetime, spare: timedelta) -> tuple[Window, list[Note]]:
    """Return the window, shortened by less than `spare` and a minute at the edge of what is kept, and a note of that.

    Args:
        history: Whose limits count.
        window: What is wanted.
        now: The present instant.
        spare: How far to stay from the edge, which moves on while the same window is asked for other locations.

    Raises:
        UsageError: It begins before that.
    """
    oldest = now - history.keeps + spare
    if window.since >= oldest:
        return window, []
    if oldest - window.since <= spare + EDGE and oldest + EDGE < window.until:  # "30d" means what there is
        return Window(oldest, window.until), [Note(f"{TITLE} keeps no calls from before {rfc3339(oldest)}")]
    days = "30 days" if history is FEED else "12 hours"
    raise UsageError(
        f"{TITLE} keeps this history for {days}: {rfc3339(window.since)} is too long ago",
        hint=f"begin at --since {rfc3339(oldest + EDGE)} or later; {history.older}",
    )


def _location_lists(locations: tuple[str, ...]) -> list[str]:
    """Return the values of `locations` to ask for, one after the other; an empty one asks for all."""
    for name in locations:
        if "," in name:
            raise UsageError(
                f"a location whose name holds a comma cannot be asked for: {name!r}",
                hint="leave --location out and filter the output, for example with jq or awk",
            )
        if not name.strip():  # it would ask for all of them
            raise UsageError("--location needs a name", hint="leave it out to have all locations")
    names = list(dict.fromkeys(locations))
    return [",".join(names[at : at + LOCATIONS_AT_ONCE]) for at in range(0, len(names), LOCATIONS_AT_ONCE)] or [""]


def _window_is_on(records: Sequence[Record], asked: Window) -> set[str]:
    """Return what these records prove the window they came in to be on: `start`, `end`, contradicting, both, or none.

    A call that began clearly before the window came because of its end; one that both ended and was reported clearly
    after it came because of its start. A late report alone proves nothing.
    """
    earliest, latest = asked.since - PROOF, asked.until + PROOF
    proven: set[str] = set()
    sheet = key_columns(records)
    if sheet is not None:  # most pages prove nothing
        with suppress(ValueError):
            starts, ends = sheet.span("Start time"), sheet.span("Release time")
            if (starts is None or starts[0] >= earliest) and (ends is None or ends[1] <= latest):
                return proven
    for record in records:
        began, ended = _instant(record, "Start time"), _instant(record, "Release time")
        if began is not None and began < earliest:
            proven.add("end")
        elif ended is not None and ended > latest:
            reported = _instant(record, "Report time")
            if reported is not None and reported > latest:
                proven.add("start")
    return proven


class Way:
    """How the service is asked, with what it has said of itself in this run.

    Args:
        settings: Of the profile: `url` is its base_url, or the region that the service has named in a 451, once.
        size: Records to ask for at a time; smaller after a 504.
    """

    def __init__(self, settings: WebexSettings, size: int) -> None:
        if not 1 <= size <= LARGEST_PAGE:
            raise UsageError(f"--page-size {size} is not a number from {SMALLEST_PAGE} to {LARGEST_PAGE}")
        self.url = settings.base_url.rstrip("/")
        self.size = size
        self._may_move = _in_domain(settings.base_url)

    def move(self, wrong: WrongRegionError, client: Client) -> None:
        """Go to the region named, or raise what was said when we may not."""
        if not self._may_move:
            raise wrong
        self._may_move = False
        self.url = urlsplit(self.url)._replace(scheme="https", netloc=wrong.host).geturl()
        client.log("note", f"your organisation's records are at {wrong.host}: set base_url to {self.url}")


def _window(history: History, client: Client, way: Way, asked: Window, locations: str) -> Iterator[Event]:
    """Yield the pages of one window; ask it again, once, when the way from page to page breaks or records are missing.

    How long a next link lives is not published, so a page that cannot be had is no more than a reason to begin anew.
    """
    name = f"{rfc3339(asked.since)} to {rfc3339(asked.until)}"
    came = DuplicateFilter()  # in all attempts: whatever came has been handed on
    differing = DuplicateFilter()  # in the second attempt, where two records of one id are two if their contents differ
    total = 0
    again = True
    while True:
        pages, tracking = 0, ""
        try:
            for answer in _answers(history, client, way, asked, locations):
                link = next_link(answer)
                total = max(total, _total(link))
                records = _records(answer, more=link is not None or 0 < total <= len(came))
                came.new_positions(identities(records, identity), span_of(records), marked_contents_of(records))
                if not again:
                    differing.new_positions(identities(records, identity), span_of(records), contents_of(records))
                pages += 1
                tracking = answer.headers.get("trackingid", tracking)
                yield Page(records)
                del answer, records  # they make room for the next
        except (TemporaryError, ProviderError, ConfigurationError) as error:
            passing = isinstance(error, TemporaryError) and error.wait is None  # else Webex said when to come back
            if passing and error.status == 504 and way.size > SMALLEST_PAGE:
                way.size = max(SMALLEST_PAGE, way.size // 2)
                client.log("note", f"{TITLE} takes too long: asking for {way.size} records at a time")
                continue
            if not (again and pages and (passing or error.status in _ENDED_LINK)):
                raise (_refused(history, asked, error, client) if error.status == 400 else error) from None
        else:
            if max(len(came), len(differing)) >= total:
                return
            if not again:
                yield Gap(
                    f"{TITLE} has {total} records for {name} and sent {len(came)} of them",
                    "run it again; if it stays, ask Cisco support" + (f" (tracking id {tracking})" if tracking else ""),
                )
                return
        again = False
        client.log("note", f"asking for {name} again")


_ENDED_LINK = frozenset({400, 404, 410})
"""How a next link that has ended may be answered: nothing is published."""


def _answers(history: History, client: Client, way: Way, asked: Window, locations: str) -> Iterator[Answer]:
    bounds = [("startTime", rfc3339(asked.since - UNIT)), ("endTime", rfc3339(asked.until + UNIT))]
    params = [*bounds, ("max", str(way.size)), *([("locations", locations)] if locations else [])]

    def ask(url: str, kind: str, params: Sequence[tuple[str, str]] = ()) -> Answer:
        return client.ask(Request("GET", url, params, kind=kind, records=_ITEMS, no_content=True))

    def first() -> Answer:
        try:
            return ask(way.url + history.path, "window", params)
        except WrongRegionError as wrong:
            way.move(wrong, client)
            return ask(way.url + history.path, "window", params)

    return by_link(first, lambda url: ask(url, "page"), next_link)


_ITEMS = ("items",)
_EMPTY = frozenset({204, 404})
"""How an empty window may be answered without a list; explain() lets only the 404 of "No CDRs" through."""


def _whole_ms(instant: datetime, *, up: bool = False) -> datetime:
    """Return the instant in whole milliseconds, which is all a request can say; up where ours must not be cut off."""
    rest = timedelta(microseconds=instant.microsecond % 1000)
    return instant - rest + (timedelta(milliseconds=1) if up and rest else timedelta(0))


def _refused(history: History, asked: Window, error: CdrctlError, client: Client) -> ProviderError:
    steps = "The feed goes back 30 days, in steps of 12 hours."
    if history is STREAM:
        steps = "The stream goes back 12 hours, in steps of 2 hours."
    if asked.since < client.clock.now() - ONCE_KEPT:
        steps += " Some organisations are still served the older limit of 48 hours."
    return ProviderError(
        f"{TITLE} refused the window {rfc3339(asked.since)} to {rfc3339(asked.until)}. {steps}",
        said=error.said,
        hint="try a shorter or later window",
        status=error.status,
    )


# Reading answers

_TOTAL = re.compile(r"[?&]totalCount=([0-9]{1,18})(?![^&])")
_REGION = re.compile(r"(?:[\w-]+\.)+webexapis\.com(?!\.?[\w-])", re.IGNORECASE | re.ASCII)


def next_link(answer: Answer) -> str | None:
    """Return the URL of the next page, or None. Where it may lead is checked before it is asked."""
    return next_url(answer.headers.get("link", ""), answer.url)


def _total(link: str | None) -> int:
    count = _TOTAL.search(link or "")
    return int(count[1]) if count else 0


def _records(answer: Answer, *, more: bool) -> Sequence[Record]:
    """Return the records of a page; a page without `items` is an empty one only where others make the window whole."""
    if answer.status in _EMPTY:
        return []
    if not isinstance(answer.body, dict) or ("items" not in answer.body and not more):
        return check_records(None, "items", TITLE)
    items = answer.body.get("items", [])
    return items if key_columns(items) is not None else check_records(items, "items", TITLE)


class WrongRegionError(ConfigurationError):
    """The organisation's records are at another address of the service."""

    def __init__(self, host: str, words: str | None) -> None:
        super().__init__(
            f"your organisation's records are at {host}",
            said=words,
            hint=f"set base_url to https://{host}/v1",
            status=451,
        )
        self.host = host


def explain(answer: Answer) -> CdrctlError | None:
    """Return what an answer means when it is not a good one, or None."""
    words = said(answer)
    match answer.status:
        case 404 if "no cdrs" in (words or "").casefold():
            return None  # how an empty window is said
        case 404:
            return ConfigurationError(
                f"this address has no call history: {answer.url}",
                said=words,
                hint="base_url should end in /v1 and name a host of call history, such as "
                "https://analytics-calling.webexapis.com/v1",
                status=404,
            )
        case 401:
            return SignInError(
                f"{TITLE} does not accept the token",
                said=words,
                hint="get a new access token, or set client_id, client_secret and refresh_token to have it renewed",
                status=401,
            )
        case 403:
            return RightsError(
                "the token may not read call history",
                said=words,
                hint="it needs scope spark-admin:calling_cdr_read, and its user a custom administrator role with "
                '"Webex Calling Detailed Call History API access" (the old role of that name ends on 31 December '
                "2026)",
                status=403,
            )
        case 451:
            host = _region(answer)
            if host:
                return WrongRegionError(host, words)
            return ConfigurationError(
                "your organisation's records are in another region, which the service did not name",
                said=words,
                hint="set base_url to your region: analytics-calling-eu, -in, -au or -gov in place of "
                "analytics-calling",
                status=451,
            )
        case _:
            return error_of(TITLE, answer)


def _region(answer: Answer) -> str | None:
    """Return the first host of the service, other than the one asked, that stands anywhere in the body of a 451."""
    body = answer.text if answer.body is None else json.dumps(answer.body)
    hosts = (found.lower() for found in _REGION.findall(body[:20_000]))  # its time grows with the square
    return next((host for host in hosts if host != urlsplit(answer.url).hostname), None)


def _in_domain(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # brackets that enclose no address, or a port that is no number
        return False
    return parts.scheme == "https" and (parts.hostname or "").endswith(DOMAIN) and port in (None, 443)


def trusts(settings: WebexSettings, url: str) -> bool:
    """Return whether a URL is the profile's own address, or one region of the service to another."""
    return same_origin(settings.base_url, url) or (_in_domain(settings.base_url) and _in_domain(url))


# Signing in


def sign_in(settings: WebexSettings, ended: Token | None, now: datetime) -> Generator[Request, Answer, Token]:
    """Return the access token of the profile, or one renewed with its refresh token.

    developer.webex.com, "Using Webex APIs: Refreshing an access token". The answer brings a new refresh token, which
    may replace the old one at once.
    """
    if ended is None and settings.access_token is not None:
        return _bearer(settings.access_token.get_secret_value())
    form = _client_form(settings)
    refresh_token = ended.refresh_token if ended else None
    if not refresh_token and settings.refresh_token is not None:
        refresh_token = settings.refresh_token.get_secret_value()
    if form is None or not refresh_token:
        raise SignInError(
            "the token has expired and could not be renewed" if ended else "nobody has signed in with this profile yet",
            hint="get a new access token, or set client_id, client_secret and refresh_token to have it renewed"
            if form is None
            else "sign in with a browser: cdrctl profile login NAME",
        )
    answer = yield Request(
        "POST",
        settings.token_url,
        form={"grant_type": "refresh_token", **form, "refresh_token": refresh_token},
        kind="sign-in",
    )
    token = _token(answer)
    if token is None:
        raise SignInError(
            "the refresh token was not accepted",
            said=said(answer),
            hint="sign in anew: cdrctl profile login NAME, or put a new refresh token into the profile; check also "
            "client_id and client_secret",
            status=answer.status,
        )
    return _granted(token, now, refresh_token)


def _client_form(settings: WebexSettings) -> dict[str, str] | None:
    """Return what says which integration or service app asks, or None where the profile does not know."""
    if settings.client_secret is None or settings.client_id is None:
        return None
    return {"client_id": settings.client_id, "client_secret": settings.client_secret.get_secret_value()}


def _token(answer: Answer) -> dict[str, Any] | None:
    """Return the answer that has an access token in it, or None where it has none."""
    if answer.status in {404, 405}:
        raise ConfigurationError(
            f"nobody gives tokens at {answer.url}", said=said(answer), hint="check token_url", status=answer.status
        )
    body = answer.body if isinstance(answer.body, dict) else {}
    token = body.get("access_token")
    return body if answer.good and isinstance(token, str) and token else None


def _granted(body: Mapping[str, Any], now: datetime, refresh_token: str | None) -> Token:
    """Return the token in an answer; its refresh token is the one given where the answer brings no other."""
    seconds = body.get("expires_in")
    expires = now + timedelta(seconds=seconds) if isinstance(seconds, int) and 0 < seconds < 10**9 else None
    fresh = body.get("refresh_token")
    return _bearer(body["access_token"], expires, fresh if isinstance(fresh, str) and fresh else refresh_token)


def _bearer(token: str, expires: datetime | None = None, refresh_token: str | None = None) -> Token:
    return Token({"Authorization": f"Bearer {token}"}, expires, refresh_token)


def nothing(path: str, _body: Any) -> Any:
    """Return the answer of a day without calls, or a token of masks."""
    return {"access_token": MASK, "expires_in": 3600} if path.endswith("/access_token") else {"items": []}


def page(settings: WebexSettings, attempt: Attempt) -> str:
    """Return the URL of the page on which an administrator signs in and accepts.

    developer.webex.com, "Integrations & Authorization": the page, its parameters, that PKCE is supported, and that
    redirect_uri must be one of those registered. Not said there, and relied upon: the method S256, which other clients
    send with success; plain http on loopback, which the vendor's own sample registers; that the scope must be named
    although the integration has it registered, which others found out.
    """
    from cdrctl.http import oauth

    beside = settings.token_url.partition("?")[0].rpartition("/")[0]
    return oauth.page(settings.authorize_url or f"{beside}/authorize", settings.client_id or "", SCOPE, attempt)


def exchange(settings: WebexSettings, attempt: Attempt, code: str, now: datetime) -> Generator[Request, Answer, Token]:
    """Return the token that a code is good for.

    developer.webex.com, "Integrations & Authorization: Getting an access token". The secret and the verifier are both
    sent: whoever has only one of them gets nothing. How errors are said is not published; their status is taken as in
    RFC 6749, section 5.2, and their words are handed on.
    """
    answer = yield Request(
        "POST",
        settings.token_url,
        form={
            "grant_type": "authorization_code",
            **(_client_form(settings) or {}),
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "code_verifier": attempt.verifier,
        },
        kind="sign-in",
    )
    body = _token(answer)
    if body is None:
        unknown = answer.status in {401, 403}
        raise SignInError(
            "client_id or client_secret was not accepted" if unknown else "the sign-in in the browser was not accepted",
            said=said(answer),
            hint="compare both with the integration's at developer.webex.com, My Webex Apps"
            if unknown
            else "run it again: a code is good for one use and for some minutes; check client_id, client_secret, and "
            f"that {attempt.redirect_uri} is registered with the integration",
            status=answer.status,
        )
    scope = body.get("scope")
    if isinstance(scope, str) and SCOPE not in scope.split():
        raise SignInError(
            f"the token was given without the scope {SCOPE}",
            hint="select it for the integration at developer.webex.com, My Webex Apps, and sign in again",
        )
    token = _granted(body, now, None)
    if not token.refresh_token:
        raise SignInError(
            f"{TITLE} gave no refresh token, without which the sign-in would soon end",
            hint="check that token_url is where Webex gives tokens",
        )
    return token


def check(client: Client, settings: WebexSettings) -> str:
    """Return what one small request found."""
    until = client.clock.now() - FEED.lag - EDGE
    asked = Window(until - timedelta(minutes=30), until)
    answer = next(_answers(FEED, client, Way(settings, SMALLEST_PAGE), asked, ""))
    link = next_link(answer)
    count = max(_total(link), len(_records(answer, more=link is not None)))
    return f"signed in; {number_of_records(count)} between {rfc3339(asked.since)} and {rfc3339(asked.until)}"


# The record


def identity(record: Record) -> str:
    """Return `Report ID`, the documented key of a record; a record without one is known by all it says."""
    report_id = pick(record, "Report ID")
    return report_id if isinstance(report_id, str) and report_id else fingerprint(record)


def _instant(record: Record, key: str) -> datetime | None:
    try:
        return iso_instant(pick(record, key))
    except ValueError:
        return None


def start(record: Record) -> datetime | None:
    """Return the start of the call; of a record without one, the time of its report."""
    return _instant(record, "Start time") or _instant(record, "Report time")


MARKS = KeyFields("Report ID", "Start time", ("Release time", "Report time"))

# Keys in the wire order of a record of September 2026; meanings from help.webex.com nmug598.
COLUMNS: tuple[Column, ...] = (
    Column("answer_time", "Answer time", "time", "moment of answer", null_words=frozenset({"NA"})),
    Column("answered", "Answered", "boolean", "whether this leg was answered"),
    Column(
        "direction",
        "Direction",
        "text",
        "ORIGINATING = the record owner placed the call, TERMINATING = received it; says nothing about inside/outside",
    ),
    Column(
        "called_line_id",
        "Called line ID",
        "text",
        "display name on the called side",
        null_words=frozenset({"NA"}),
    ),
    Column("call_id", "Call ID", "text", "SIP Call-ID; may be empty; not a key"),
    Column(
        "calling_line_id",
        "Calling line ID",
        "text",
        "display name on the calling side",
        null_words=frozenset({"NA"}),
    ),
    Column("start_time", "Start time", "time", "start of the call"),
    Column("call_type", "Call type", "text", "routing class of the call (enum)"),
    Column("client_type", "Client type", "text", "kind of client of the record owner (enum)"),
    Column("client_version", "Client version", "text", "version of that client"),
    Column("correlation_id", "Correlation ID", "text", "ties the legs of one call session"),
    Column(
        "international_country",
        "International country",
        "text",
        "ISO country of the dialled number, international calls only; NA may mean Namibia",
    ),
    Column("device_mac", "Device MAC", "text", 'MAC of the device; seen also as key "Device Mac"'),
    Column("duration", "Duration", "seconds", "seconds of talk; 0 when never answered"),
    Column("inbound_trunk", "Inbound trunk", "text", "trunk the call came in by; on both leg kinds"),
    Column("org_uuid", "Org UUID", "text", "organisation"),
    Column("original_reason", "Original reason", "text", "why the first called number was redirected (enum)"),
    Column("os_type", "OS type", "text", "operating system of the app", null_words=frozenset({"na"})),
    Column("outbound_trunk", "Outbound trunk", "text", "trunk the call left by; on both leg kinds"),
    Column("redirect_reason", "Redirect reason", "text", "why the last redirecting party redirected (enum)"),
    Column("related_reason", "Related reason", "text", "service that created or changed the call (enum)"),
    Column("report_id", "Report ID", "text", "unique id of the record; the dedup key"),
    Column("report_time", "Report time", "time", "when the record was made; the end of the call"),
    Column("route_group", "Route group", "text", "route group of a premises call, originating only"),
    Column("site_main_number", "Site main number", "text", "main number of the location"),
    Column(
        "site_timezone",
        "Site timezone",
        "integer",
        "offset from UTC in minutes, as text, daylight saving included",
    ),
    Column("sub_client_type", "Sub client type", "text", "MOBILE_NETWORK for a Webex Go phone (enum)"),
    Column("user_uuid", "User UUID", "text", "id of the record owner"),
    Column(
        "user_type",
        "User type",
        "text",
        "kind of record owner: person, queue, hunt group, auto attendant... (enum)",
    ),
    Column("user", "User", "text", "display name of the record owner (person, workspace, queue, auto attendant)"),
    Column("called_number", "Called number", "text", "called number; extension for internal calls"),
    Column("calling_number", "Calling number", "text", "calling number"),
    Column("location", "Location", "text", "location name"),
    Column(
        "dialed_digits",
        "Dialed digits",
        "text",
        "keypad digits before translation, originating only; may hold feature codes",
    ),
    Column("releasing_party", "Releasing party", "text", "who hung up first (enum)"),
    Column("redirecting_number", "Redirecting number", "text", "last number that redirected the call"),
    Column("site_uuid", "Site UUID", "text", "location id"),
    Column("department_id", "Department ID", "text", "department id"),
    Column(
        "transfer_related_call_id",
        "Transfer related call ID",
        "text",
        "Local call ID of the other call of a consulted transfer",
    ),
    Column("authorization_code", "Authorization code", "text", "account/authorization code the caller keyed"),
    Column("model", "Model", "text", "device model", null_words=frozenset({"na"})),
    Column("local_session_id", "Local SessionID", "text", "RFC 7206 session id of the originating side"),
    Column("remote_session_id", "Remote SessionID", "text", "RFC 7206 session id of the terminating side"),
    Column(
        "call_transfer_time",
        "Call transfer time",
        "time",
        "when a transfer was invoked",
        null_words=frozenset({"NA"}),
    ),
    Column("local_call_id", "Local call ID", "text", "id of this leg, looks like 29741232:0"),
    Column("remote_call_id", "Remote call ID", "text", "Local call ID of the opposite leg"),
    Column("network_call_id", "Network call ID", "text", "equal on the two records of one leg"),
    Column("related_call_id", "Related call ID", "text", "Local call ID of a call this one spawned or came from"),
    Column("user_number", "User number", "text", "E.164 of the record owner, else the extension"),
    Column("call_outcome", "Call outcome", "text", "Success, Failure, Refusal (enum)"),
    Column("call_outcome_reason", "Call outcome reason", "text", "finer reason (enum)"),
    Column("ring_duration", "Ring duration", "seconds", "seconds of ringing"),
    Column("answer_indicator", "Answer indicator", "text", "Yes, No, Yes-PostRedirection"),
    Column("release_time", "Release time", "time", "end of call", null_words=frozenset({"NA"})),
    Column("final_local_session_id", "Final local SessionID", "text", "local session id at the end"),
    Column("final_remote_session_id", "Final remote SessionID", "text", "remote session id at the end"),
    Column("pstn_legal_entity", "PSTN legal entity", "text", "regulated entity, Cisco Calling Plans"),
    Column("pstn_vendor_org_id", "PSTN vendor org ID", "text", "organisation id of the PSTN vendor"),
    Column("pstn_vendor_name", "PSTN vendor name", "text", "name of the PSTN vendor"),
    Column("pstn_provider_id", "PSTN provider ID", "text", "id of the PSTN provider"),
    Column(
        "external_customer_id",
        "External customer ID",
        "text",
        "partner-side customer id; undocumented in the OpenAPI description",
    ),
    Column("redirecting_party_uuid", "Redirecting party UUID", "text", "id of the last redirecting party"),
    Column(
        "public_calling_ip_address",
        "Public Calling IP Address",
        "text",
        "public IP of the calling device, India locations",
        null_words=frozenset({"NA"}),
    ),
    Column(
        "public_called_ip_address",
        "Public Called IP Address",
        "text",
        "public IP of the called device, India locations",
        null_words=frozenset({"NA"}),
    ),
    Column("caller_id_number", "Caller ID number", "text", "number presented as caller id"),
    Column(
        "external_caller_id_number",
        "External caller ID number",
        "text",
        "external caller id when it is a location or other organisation number",
    ),
    Column("device_owner_uuid", "Device owner UUID", "text", "owner of the device on shared or multi lines"),
    Column("call_recording_platform_name", "Call Recording Platform Name", "text", "recorder (enum)"),
    Column(
        "call_recording_result",
        "Call Recording Result",
        "text",
        "successful, failed, successful but not kept",
    ),
    Column("call_recording_trigger", "Call Recording Trigger", "text", "recording mode of the user (enum)"),
    Column(
        "original_called_party_uuid",
        "Original called party UUID",
        "text",
        "id of the first redirecting party",
    ),
    Column("recall_type", "Recall type", "text", "set when a parked call was returned"),
    Column(
        "auto_attendant_key_pressed",
        "Auto Attendant Key Pressed",
        "text",
        "last menu key of the caller",
        null_words=frozenset({"NA"}),
    ),
    Column("queue_type", "Queue type", "text", "Customer Assist or Call Queue"),
    Column("answered_elsewhere", "Answered elsewhere", "text", "Yes on a terminating leg another party answered"),
    Column("hold_duration", "Hold duration", "seconds", "seconds on hold, rounded down"),
    Column(
        "route_list_calls_overage",
        "Route list calls overage",
        "integer",
        "number of calls above the Route List licence at that moment",
    ),
    Column("caller_reputation_score", "Caller Reputation Score", "decimal", "0.0 to 5.0 as text"),
    Column(
        "caller_reputation_service_result",
        "Caller Reputation Service Result",
        "text",
        "allow, captcha-allow, captcha-block, block; the OpenAPI example says allowed",
    ),
    Column("caller_reputation_score_reason", "Caller Reputation Score Reason", "text", "reason for the score"),
    Column(
        "interaction_id",
        "Interaction ID",
        "text",
        "wider than Correlation ID: ties a consulted transfer to the first call",
    ),
    Column(
        "wxcc_consult_merge_status",
        "WxCC consult merge status",
        "text",
        "Yes, No, NA: contact-centre consult call merged or not",
    ),
    Column("elin", "ELIN", "text", "emergency location number used"),
    Column(
        "emergency_number_source",
        "Emergency number source",
        "text",
        "where the emergency number came from (enum)",
    ),
    Column("transfer_type", "Transfer type", "text", "AI receptionist transfers; not in the OpenAPI description"),
    Column(
        "transfer_type_context",
        "Transfer type context",
        "text",
        "intent text, may hold commas; not in the OpenAPI description",
    ),
    Column(
        "answer_reason",
        "Answer reason",
        "text",
        "Auto Answer, or N/A when answered by hand; not in the OpenAPI description",
        null_words=frozenset({"N/A"}),
    ),
    # In the type files of clients, and in no document or record seen.
    Column("report_group", "Report group", "text", "not documented; known to clients of the API"),
    Column("user_id", "User ID", "text", "not documented; known to clients of the API"),
)

# ITU-T Q.850 numbers of the reasons that have one; by their names, since the service gives no numbers.
Q850: Mapping[str, int] = {
    "UnassignedNumber": 1,
    "NoRouteToDestination": 3,
    "UserBusy": 17,
    "Busy": 17,
    "NoUserResponse": 18,
    "NoAnswer": 19,
    "NoAnswerFromUser": 19,
    "UserAbsent": 20,
    "CallRejected": 21,
    "DestinationOutOfOrder": 27,
    "Q850102ServerTimeout": 102,
}
# Reasons that say what became of an unanswered leg; those before a pickup elsewhere, and those after it.
REFUSALS: Mapping[str, str] = {
    "UserBusy": "busy",
    "Busy": "busy",
    "CallRejected": "rejected",
    "AdminCallBlock": "rejected",
    "UserCallBlock": "rejected",
    "SIP487": "cancelled",
}
SILENCES = frozenset({"NoAnswer", "NoAnswerFromUser", "NoUserResponse", "SIP408", "Unanswered"})

# Every call type that was met on a call that leaves; a new one is not guessed.
OUTBOUND = frozenset(
    {
        *("SIP_INTERNATIONAL", "SIP_SHORTCODE", "SIP_INBOUND", "SIP_EMERGENCY", "SIP_PREMIUM", "SIP_TOLLFREE"),
        *("SIP_NATIONAL", "SIP_MOBILE", "SIP_URI", "SIP_OPERATOR", "SIP_CLICKTOCALL", "ZTN"),
    }
)


def common(leg: dict[str, Value]) -> dict[str, Value]:
    """Return a leg as a common CDR: direction and outcome are of this leg, not of the whole call."""
    placed = leg["direction"] == "ORIGINATING"
    answered = _answered(leg)
    owner = leg["user"]
    outward, inward = leg["outbound_trunk"] or leg["route_group"], leg["inbound_trunk"]
    end = leg["release_time"] or leg["report_time"]
    reason = _word(leg["call_outcome_reason"])
    return {
        "record_id": leg["report_id"],
        "call_id": leg["correlation_id"] or leg["network_call_id"] or leg["report_id"],
        "direction": _direction(leg),
        "from_number": leg["calling_number"] or leg["caller_id_number"],
        "from_name": leg["calling_line_id"] or (owner if placed else None),
        "to_number": leg["called_number"],
        "to_name": leg["called_line_id"] or (owner if leg["direction"] == "TERMINATING" else None),
        "dialed_number": leg["dialed_digits"] if placed else None,
        "start_time": leg["start_time"],
        "answer_time": leg["answer_time"] if answered else None,
        "end_time": end,
        "ring_seconds": length(leg["ring_duration"]),
        "talk_seconds": length(leg["duration"]),
        "total_seconds": length(seconds_between(leg["start_time"], end)),
        "answered": answered,
        "outcome": _outcome(leg, answered=answered),
        "cause": leg["call_outcome_reason"],
        "cause_q850": 16 if answered and reason == "Normal" else Q850.get(reason),
        "user": owner,
        "site": leg["location"],
        "trunk": (outward or inward) if placed else (inward or outward),
        "queue": owner if _word(leg["user_type"]) in {"CallCenterStandard", "CallCenterPremium"} else None,
    }


def _answered(leg: dict[str, Value]) -> bool | None:
    """Return whether something picked up, a voicemail box included; None where neither field says so."""
    if isinstance(leg["answered"], bool):
        return leg["answered"]
    return True if isinstance(leg["answer_time"], str) else None


def _word(value: Value) -> str:
    """Return a word of a list that grows without notice; what is no text, and passed through as it came, is none."""
    return value if isinstance(value, str) else ""


def _direction(leg: dict[str, Value]) -> str:
    kind = _word(leg["call_type"])
    if leg["direction"] == "ORIGINATING":
        if kind == "SIP_ENTERPRISE":
            return "internal"
        return "outbound" if kind in OUTBOUND else "unknown"
    if leg["direction"] == "TERMINATING":
        outside = leg["inbound_trunk"] or _word(leg["calling_number"]).startswith("+")
        if kind == "SIP_INBOUND" or (kind == "SIP_ENTERPRISE" and outside):
            return "inbound"  # calls from outside reach people behind a queue as SIP_ENTERPRISE legs
        return "internal" if kind == "SIP_ENTERPRISE" else "unknown"
    return "unknown"


def _outcome(leg: dict[str, Value], *, answered: bool | None) -> str:
    reason, kind = _word(leg["call_outcome_reason"]), _word(leg["user_type"])
    if answered:
        return "voicemail" if kind.startswith("VoiceMail") else "answered"
    if reason in REFUSALS:
        return REFUSALS[reason]
    if leg["answered_elsewhere"] == "Yes":
        return "cancelled"
    if reason in SILENCES:
        return "no_answer"
    if leg["call_outcome"] == "Success" and reason == "Normal" and answered is False:
        if kind.startswith("CallCenter") and leg["releasing_party"] == "Remote":
            return "abandoned"
        hung_up = ("ORIGINATING", "Local"), ("TERMINATING", "Remote")
        return "cancelled" if (leg["direction"], leg["releasing_party"]) in hung_up else "no_answer"
    return "failed" if leg["call_outcome"] in ("Failure", "Refusal") else "unknown"


GIVES = Gives(
    outcomes=frozenset(
        {
            *("answered", "voicemail", "cancelled", "no_answer", "abandoned", "failed", "unknown"),
            *REFUSALS.values(),
        }
    ),
    directions=frozenset({"inbound", "outbound", "internal", "unknown"}),
    null=frozenset({"recording_url", "cost", "currency"}),
)


# What the rest of the program is told

_SHOWN = (
    *("start_time", "calling_number", "called_number", "duration", "call_outcome_reason", "direction", "user"),
    *("answered", "ring_duration", "location", "call_type", "releasing_party", "dialed_digits", "user_type"),
    *("queue_type", "redirecting_number", "inbound_trunk", "outbound_trunk"),
)
_ENDING = ("call_outcome_reason", "call_outcome", "answered")
_OPTIONS = (
    Option("location", "only this location, by its name in Control Hub; may be repeated", repeat=True),
    Option(
        "longest_call",
        "how long a call may last: so much after the window is asked for too, in case the service counts by end",
        kind="duration",
        default="12h",
    ),
    Option("page_size", "records asked for at a time, 500 to 5000", kind="integer", default=str(LARGEST_PAGE)),
)


def _apart(_options: Mapping[str, Any]) -> timedelta | str:
    """Return why: one window a minute is allowed, and calls may be filed under their end, windows later."""
    return "it may be asked for one window a minute, and what one window shows decides how far to ask beyond the last"


_NEEDS = (
    "Scope spark-admin:calling_cdr_read; and its administrator needs a custom role with "
    '"Webex Calling Detailed Call History API access".'
)

PROVIDER = Provider(
    name="webex",
    title=TITLE,
    settings=WebexSettings,
    auth_methods={
        "token": ("access_token",),
        "browser": ("client_id", "client_secret"),
        "refresh": ("client_id", "client_secret", "refresh_token"),
    },
    sign_in=sign_in,
    retry_policy=RetryPolicy(
        budgets={"window": WINDOWS, "page": PAGES},
        busy=RetryPolicy().busy | {423},
        brief=RetryPolicy().brief | {504},  # its text advises to reduce max, so that waiting is no use
        waits={423: 60, 429: 60},
    ),
    error_for=explain,
    allows_url=trusts,
    empty_response=nothing,
    check=check,
    key_settings=("client_id",),
    # developer.webex.com, "Integrations & Authorization", "Using Webex Service Apps", "Getting Started: Your Personal
    # Access Token", "Reports: Detailed Call History"; help.webex.com fs78p5 for the role.
    credential_help={
        "browser": Console(
            "a sign-in in the browser, by an integration of your own: renewed for good",
            (
                "At developer.webex.com: My Webex Apps, Create a New App, Integration, with that scope.",
                "Its redirect URI is http://127.0.0.1:8765/callback.",
                "Keep the client id and the client secret that it shows: the secret is shown once.",
            ),
            _NEEDS,
        ),
        "token": Console(
            "an access token: good for 12 hours, to try it",
            (
                "Sign in at developer.webex.com as an administrator of your organisation.",
                "Its documentation, under Getting Started, shows your personal access token, to copy.",
            ),
            _NEEDS,
        ),
        "refresh": Console(
            "a service app's refresh token: renewed for good, for every night",
            (
                "At developer.webex.com: My Webex Apps, Create a New App, Service App, with that scope.",
                "Keep the client id and the client secret that it shows: the secret is shown once.",
                "A full administrator authorises it in Control Hub (admin.webex.com): Management, Apps, Service Apps.",
                "Back at the app's page choose your organisation, and get its access and refresh token.",
            ),
            _NEEDS,
        ),
    },
    calls=(
        Call(
            name="cdrs",
            about="Call history of a period (cdr_feed): up to 30 days back, one record per leg and party.",
            columns=COLUMNS,
            expected=Expected(required=frozenset({"report_id", "correlation_id", "start_time"})),
            key_fields=MARKS,
            fetch=cdrs,
            identity=identity,
            start=start,
            alike=("start_time", "direction", "call_type", "calling_number", "called_number", "user_uuid"),
            account_column="org_uuid",
            lag=FEED.lag + EDGE,
            refuses_newer=True,
            # Records that come late are in the old window only ("Reports: Detailed Call History"): a day covers them.
            lookback=timedelta(hours=24),
            retention=FEED.keeps,
            longest=FEED.longest,
            apart=_apart,
            margin=FEED.longest,
            first="window",
            common=common,
            gives=GIVES,
            options=_OPTIONS,
            table_columns=_SHOWN,
            outcome_columns=_ENDING,
            examples=(
                "cdrctl webex cdrs -p sandbox --since yesterday --until today -o yesterday.csv",
                "cdrctl webex cdrs -p sandbox --since 24h | jq -r .call_type | sort | uniq -c",
            ),
        ),
        Call(
            name="stream",
            about="Newest call history (cdr_stream): up to 12 hours back, late records included.",
            columns=COLUMNS,
            expected=Expected(required=frozenset({"report_id", "correlation_id", "start_time"})),
            key_fields=MARKS,
            fetch=stream,
            identity=identity,
            start=start,
            alike=("start_time", "direction", "call_type", "calling_number", "called_number", "user_uuid"),
            account_column="org_uuid",
            lag=STREAM.lag + EDGE,
            refuses_newer=True,
            lookback=STREAM.keeps,
            retention=STREAM.keeps,
            longest=STREAM.longest,
            apart=_apart,
            first="window",
            default_since="12h",
            common=common,
            gives=GIVES,
            options=_OPTIONS,
            table_columns=_SHOWN,
            outcome_columns=_ENDING,
            examples=(
                "cdrctl webex stream -p sandbox --since 2h -f table",
                "cdrctl webex stream -p sandbox --since 2h --schema common -o newest.csv.gz",
            ),
        ),
        Call(
            name="legs",
            about="The legs of one call, by any id that joins legs, among the calls of a period.",
            columns=COLUMNS,
            expected=Expected(required=frozenset({"report_id", "correlation_id", "start_time"})),
            fetch=legs,
            identity=identity,
            searches=True,
            refuses_newer=True,
            lag=FEED.lag + EDGE,
            longest=FEED.longest,
            apart=_apart,
            margin=FEED.longest,
            first="window",
            common=common,
            gives=GIVES,
            options=(
                Option(
                    "id",
                    "a Report ID, Interaction ID, Correlation ID, Network, Local, Remote, Related or Transfer related "
                    "call ID, SIP Call ID, or a SessionID",
                    argument=True,
                    metavar="ID",
                ),
                *(option for option in _OPTIONS if option.name != "location"),
            ),
            table_columns=_SHOWN,
            outcome_columns=_ENDING,
            examples=(
                "cdrctl webex legs -p sandbox --since 30h 29741232:0",
                (
                    "ID=$(cdrctl webex cdrs -p sandbox --since 30h --limit 1 --template '{report_id}'); "
                    'cdrctl webex legs -p sandbox --since 30h "$ID"'
                ),
            ),
        ),
    ),
    keeps_tokens=True,
    login=Login("browser", page, exchange),
)
