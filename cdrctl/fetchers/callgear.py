"""CallGear: call legs, calls, costs and customer users from the Data API.

Sources: callgear.github.io/data_api ("Get call legs report", "Get calls report", "Get financial call legs report",
"List of errors", "Limits", August 2026) and the same engine's documentation under its other names,
comagic.github.io and novofon.github.io (April 2026). What they leave open is treated so that no reading of them loses
a record.

What makes this API hard is its time: the account's local time, without an offset, in questions and in answers. In
autumn an hour of it comes twice and nothing tells the two apart: every time is read as the first of them, so that
windows tile, and what came is kept beside it.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field as Setting, SecretStr, field_validator

from cdrctl import windows
from cdrctl.contents import contents_of
from cdrctl.errors import (
    AddressError,
    CdrctlError,
    ConfigurationError,
    ProviderError,
    RightsError,
    SignInError,
    TemporaryError,
    UsageError,
)
from cdrctl.fetchers import CLOCK_TOLERANCE, Call, Console, Gives, Option, Provider, possible_start
from cdrctl.fetchers.callgear_reasons import (
    CALLER_LEFT,
    EMPLOYEE_LEFT,
    QUEUED,
    UNANSWERED,
    rules_out_an_answer,
    unanswered_outcome,
)
from cdrctl.fetchers.drift import new_fields, new_fields_error, new_fields_warning
from cdrctl.fetchers.settings import Settings
from cdrctl.http import (
    MASK,
    Answer,
    Client,
    Request,
    RetryPolicy,
    Token,
    Total,
    beginning,
    by_offset,
    error_of,
    read_total,
    same_origin,
)
from cdrctl.http.retry import retry_after
from cdrctl.records import (
    Checkpoint,
    Column,
    Event,
    Expected,
    Gap,
    Kind,
    Note,
    Page,
    Record,
    Value,
    check_records,
    fingerprint,
    iso_instant,
    pick,
    seconds_between,
    unix_instant,
)
from cdrctl.windows import Window, halve, rfc3339, tile

TITLE = "CallGear"

SETTLED = timedelta(minutes=5)
"""A row appears when its call ends; how soon after is not published."""

LONGEST_WINDOW = timedelta(days=31)
"""Far below the three months that one question may span ("Get call legs report", errors)."""

LARGEST_PAGE = 10_000
FARTHEST_OFFSET = 100_000
"""What `limit` and `offset` may be ("Paging")."""

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
MANY_REQUESTS = 100
IDLE_PAGES = 3
"""Pages without anything new after which going on is of no use: the offset is not heeded."""
YEARS = windows.YEARS

TRIES = 5
LONGEST_WAIT = 300.0
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_BROKEN_OFF = frozenset({408, 425})
"""Statuses that say that the question did not come through whole (RFC 9110, 15.5.9; RFC 8470, 5.2): blaming it in
the body means nothing then."""


class CallGearSettings(Settings):
    """The settings of a CallGear profile."""

    base_url: str = Setting(
        "https://dataapi.callgear.com/v2.0", description="the Data API's address, which ends in its version"
    )
    access_token: SecretStr | None = Setting(None, description="an access key, made in the web cabinet")
    login: str | None = Setting(None, description="login of a user with the right to use the Data API")
    password: SecretStr | None = Setting(None, description="that user's password")
    user_id: int | None = Setting(None, ge=0, description="partners only: whose records; see `cdrctl callgear users`")
    timezone: str | None = Setting(
        None, description="the account's time zone, when CallGear does not tell it; also the default of --tz"
    )
    app_host: str | None = Setting(
        None,
        description="the web application's address, for links to recordings; left out: of the brand of base_url",
    )

    @field_validator("app_host")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        """Return the address without a closing slash; a host alone is taken as https."""
        if url is None:
            return None
        url = (url if "://" in url else f"https://{url}").rstrip("/")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
            raise ValueError("app_host is an address such as https://app.callgear.com")
        return url


_APP_HOSTS: Mapping[str, str] = {
    "callgear.com": "https://app.callgear.com",
    "callgear.ae": "https://app.callgear.ae",
    "uiscom.ru": "https://app.uiscom.ru",
    "comagic.ru": "https://app.comagic.ru",
}
"""The web application of each brand, by the domain of its Data API. That of Novofon is not known."""

_CLOSING_SLASH = frozenset({"https://app.uiscom.ru", "https://app.comagic.ru"})
"""Where a link to a recording ends with a slash, as clients of these brands build it."""


def app_host_of(settings: CallGearSettings) -> str | None:
    """Return the address of the web application: the profile's, else that of the brand of `base_url`.

    None for a brand that is not known: a link to another brand's host would lead nowhere.
    """
    if settings.app_host is not None:
        return settings.app_host
    host = (urlsplit(settings.base_url).hostname or "").rstrip(".")
    brand = next((brand for brand in _APP_HOSTS if host == brand or host.endswith(f".{brand}")), None)
    return None if brand is None else _APP_HOSTS[brand]


# JSON-RPC 2.0 over one URL


def question(url: str, number: int, method: str, params: Mapping[str, Any]) -> Request:
    """Return the request that calls a method (jsonrpc.org, "JSON-RPC 2.0 Specification", section 4).

    An answer to another question is asked again; an error may come without saying whose it is (section 5).
    """

    def whole(body: Any) -> CdrctlError | None:
        if not isinstance(body, dict) or "error" in body:
            return None
        given = body.get("id")
        if isinstance(given, int | str) and not isinstance(given, bool) and str(given) == str(number):
            return None
        return ProviderError(
            f"{TITLE} answered in a shape we do not know: it is not the answer to what was asked",
            hint="run it again; if it stays, check base_url",
        )

    return Request(
        "POST",
        url,
        headers={"Content-Type": "application/json; charset=UTF-8"},
        json={"jsonrpc": "2.0", "id": number, "method": method, "params": dict(params)},
        whole=whole,
    )


def error_in(answer: Answer) -> dict[str, Any] | None:
    """Return the error that an answer carries, whatever its status, or None."""
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    return error if isinstance(error, dict) else None


def result_in(answer: Answer, method: str) -> dict[str, Any]:
    """Return what a method gave.

    Raises:
        ProviderError: It is not there: never "no records".
    """
    result = answer.body.get("result") if isinstance(answer.body, dict) else None
    if not isinstance(result, dict):
        raise ProviderError(
            f"{TITLE} answered {method} in a shape we do not know: there is no result in it",
            hint="check base_url; if it is right, the API has changed: update cdrctl",
        )
    return result


def sign(ask: Request, token: Token) -> Request:
    """Return the request with the token among its parameters, where this API wants it."""
    return replace(ask, json={**ask.json, "params": {**token.fields, **ask.json["params"]}})


# Asking


@dataclass(slots=True)
class Account:
    """One account as it is asked in one run, and what it said of itself meanwhile.

    Args:
        asked: How many questions were put: the number of the last one.
        rest_until: Until when the account's points of this minute are used up, by the clock that never jumps.
        old: Whether it was said that this version of the API will end.
    """

    client: Client
    settings: CallGearSettings
    asked: int = 0
    rest_until: float | None = None
    old: bool = False

    @property
    def of_customer(self) -> dict[str, Any]:
        """The parameter by which a partner says whose records are meant."""
        return {} if self.settings.user_id is None else {"user_id": self.settings.user_id}

    def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result of a method, having waited for the account's points."""
        clock = self.client.clock
        if self.rest_until is not None and self.rest_until > clock.monotonic():
            self.client.pause(self.rest_until - clock.monotonic(), f"{TITLE} takes no more requests this minute")
        self.rest_until = None
        self.asked += 1
        try:
            answer = _patiently(self.client, question(self.client.base_url, self.asked, method, params))
        except ForbiddenError as forbidden:
            hint = _RIGHTS.get(method, "give this user the right in the web cabinet")
            raise ForbiddenError(f"this user may not call {TITLE}'s {method}", said=forbidden.said, hint=hint) from None
        result = result_in(answer, method)
        metadata = _metadata(result)
        limits = metadata.get("limits")
        if _whole_number(limits, "minute_remaining") == 0:
            reset = _whole_number(limits, "minute_reset")
            self.rest_until = clock.monotonic() + min(_minute(reset), LONGEST_WAIT)
        version = metadata.get("api_version")
        if isinstance(version, dict) and version.get("current_version_deprecated") is True and not self.old:
            self.old = True
            self.client.log(
                "warning",
                f"this version of {TITLE}'s API will be switched off; the newest is {version.get('latest_version')}: "
                "look for a newer cdrctl, and set base_url to it",
            )
        return result


_RIGHTS = {
    "get.financial_call_legs_report": 'its role needs the right "account access: view"',
    "get.customer_users": 'it is for partners, whose role needs the right "user: view"',
}
"""What a user needs who may not call a method (documentation of each)."""


def _metadata(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a result's metadata, which the documentation of `get.account` spells `meta_data`."""
    metadata = result.get("metadata", result.get("meta_data"))
    return metadata if isinstance(metadata, dict) else {}


def _whole_number(values: Any, name: str) -> int | None:
    value = values.get(name) if isinstance(values, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < NO_NUMBER else None


NO_NUMBER = 10**9
"""As many seconds, or records, are a broken answer: no time can be so far away."""


def _minute(reset: int | None) -> float:
    """Return the seconds to wait for new points, given those until their reset: a second more, as clocks differ."""
    return 60.0 if reset is None else reset + 1.0


def _patiently(client: Client, ask: Request) -> Answer:
    """Return the good answer to a question, asked again while the service says that it is busy.

    Whether it says so by the status of HTTP or in the body of a 200 is not published; so the body decides, here.
    """
    patience = client.patience()
    while True:
        try:
            return client.ask(ask, patience=patience)
        except BusyError as busy:
            asked = [one for one in (busy.wait, retry_after(busy.answer, client.clock.now())) if one is not None]
            if patience.tries >= TRIES and not asked and busy.status in {None, 500}:
                busy.message += f" ({patience.tries} tries)"
                raise  # an internal error that stays is the answer to this question
            client.wait_to_retry(patience, busy, max(asked, default=None))


@dataclass(slots=True)
class Report:
    """One listing of one account in one run, and what was learnt while reading it.

    Args:
        method: As the API calls it.
        params: What every question of it says beside window, order and page.
        fields: The fields to ask for; empty to leave that to the service.
        fewer: Those of them that all documents have; the others are doubtful.
        sort: The order to ask for.
        identity: What makes a record this one.
        zone: The zone of the account's times.
        context: What a record's columns need to know besides the record.
        read_until: Every record that started before has been read.
        by_end: A record came that shows the service to select by the end of a call.
        doubted: Whether the user has been warned that totals are wrong.
    """

    account: Account
    method: str
    params: Mapping[str, Any]
    fields: Sequence[str]
    fewer: Sequence[str]
    sort: Sequence[Mapping[str, str]]
    page_size: int
    identity: Callable[[Record], str]
    zone: tzinfo = UTC
    context: Mapping[str, str] = field(default_factory=dict)
    read_until: datetime | None = None
    by_end: bool = False
    doubted: bool = False

    def doubt(self) -> None:
        """Warn, once, that the totals of this listing are wrong."""
        if not self.doubted:
            self.doubted = True
            self.account.client.log(
                "warning",
                f"the totals that {TITLE} sends with {self.method} are wrong and cannot be relied upon: pages are read "
                "until an empty one comes",
            )

    def page(
        self, span: Mapping[str, str], offset: int, *, first: bool = False, listed: bool = True
    ) -> tuple[list[Record], int | None]:
        """Return one page and the total that came with it.

        `first` asks for nothing but the earliest record; without `listed` the service chooses the fields.
        """
        while True:
            params: dict[str, Any] = {
                **span,
                **self.params,
                "limit": 1 if first else self.page_size,
                "offset": offset,
                "sort": _BY_START if first else self.sort,
            }
            if self.fields and listed:
                params["fields"] = list(self.fields)
            try:
                result = self.account.ask(self.method, params)
            except UnknownParameterError as unknown:
                if not listed or not self.leave_out(unknown):
                    raise
            else:
                total = _total(result)
                if total.wrong:
                    self.doubt()
                return check_records(result.get("data"), "data", TITLE), total.rows

    def leave_out(self, unknown: UnknownParameterError) -> bool:
        """Ask for fewer fields from now on, if those may be what the service does not know; return whether so.

        A brand of the service may lack a field, and whether a refusal names it is not published.
        """
        refused = [name for name in unknown.names if name in self.fields]
        if set(refused) & {"id", "start_time"} or not self.fields:
            return False
        if refused:
            self.fields = [name for name in self.fields if name not in refused]
        elif "fields" in unknown.names:
            self.fields = ()
        elif unknown.names:
            return False  # it is no field that is not known
        else:  # the doubtful ones one after the other, and then no names at all; refusals cost no points
            doubtful = [name for name in self.fields if name not in self.fewer]
            refused = sorted(doubtful, key=lambda name: name not in _MOST_DOUBTFUL)[:1]
            self.fields = [name for name in self.fields if name not in refused] if refused else ()
        what = ", ".join(refused) or "these fields"
        self.account.client.log("note", f"{TITLE} does not know {what} here: left out")
        return True


_MOST_DOUBTFUL = frozenset({"wav_call_records", "utm_referrer"})
"""Fields that are left out first when a refusal does not say what it is about: few accounts have them."""

_BY_START = ({"field": "start_time", "order": "asc"},)


def _total(result: Mapping[str, Any]) -> Total:
    return read_total(_metadata(result).get("total_items"))


def _refuse_new_fields(report: Report, call: str, window: Window) -> None:
    """Ask once without the list of fields, which hides new ones.

    Raises:
        DriftError: The service has a field that is not asked for.
    """
    records, _ = report.page(span_of(window, report.zone), 0, first=True, listed=False)
    names = new_fields(records, PROVIDER.call(call).columns)
    if names:
        raise new_fields_error(TITLE, "callgear", call, names)


def legs(
    client: Client, settings: CallGearSettings, window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield the legs of `get.call_legs_report` that started in the window, and some around it."""
    account = Account(client, settings)
    return _listing(_report(account, "get.call_legs_report", LEGS, identity, options), "legs", window, options)


def calls(
    client: Client, settings: CallGearSettings, window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield the calls of `get.calls_report` that started in the window, and some around it."""
    report = _report(Account(client, settings), "get.calls_report", CALLS, identity, options)
    if options["ongoing"]:
        report.params = {**report.params, "include_ongoing_calls": True}
    return _listing(report, "calls", window, options)


def costs(
    client: Client, settings: CallGearSettings, window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield the costs of `get.financial_call_legs_report` of legs that started in the window, and some around it."""
    report = _report(Account(client, settings), "get.financial_call_legs_report", COSTS, fingerprint, options)
    report.fields = ()  # all of them come without being named
    return _listing(report, "costs", window, options)


def users(
    client: Client, settings: CallGearSettings, _window: Window | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Yield the users of a partner's customers, of `get.customer_users`."""
    report = _report(Account(client, settings), "get.customer_users", USERS, identity, options)
    report.fields = ()
    report.params = {name: value for name, value in report.params.items() if name != "user_id"}
    yield from _reading(report, {}, "the list of users", divisible=False)


def _report(
    account: Account,
    method: str,
    fields: Sequence[Field],
    identity: Callable[[Record], str],
    options: Mapping[str, Any],
) -> Report:
    """Return the listing that the options ask for.

    Raises:
        UsageError: They ask for what the service would refuse.
    """
    size = options["page_size"]
    if not 1 <= size <= LARGEST_PAGE:
        raise UsageError(f"--page-size {size} is not a number from 1 to {LARGEST_PAGE}")
    known = fields
    tree = filter_tree(known, options["filter"])
    chosen = set(options.get("fields") or ())
    if chosen and "extra" not in chosen:  # only these, and what the record is known and placed by
        needed = chosen | {"id", "call_session_id", "start_time"}
        fields = [one for one in fields if one.name in needed]
    return Report(
        account=account,
        method=method,
        params={**account.of_customer, **({"filter": tree} if tree else {})},
        fields=[one.name for one in fields],
        fewer=[one.name for one in fields if not one.later],
        sort=sorting(known, options["orderby"]),
        page_size=size,
        identity=identity,
    )


def _listing(report: Report, call: str, window: Window | None, options: Mapping[str, Any]) -> Iterator[Event]:
    assert window is not None  # noqa: S101 - these calls have a window
    _check_years(window)
    account = report.account
    name, report.zone = _zone_of(account)
    host = app_host_of(account.settings)
    report.context = {"timezone": name, **({} if host is None else {"app_host": host})}
    whole = _whole_seconds(window)
    longest = options["longest_call"]
    latest = min(whole.until + longest, account.client.clock.now().replace(microsecond=0))
    yield from _notes(report.zone, name, window)
    requests = -(-whole.duration // LONGEST_WINDOW)
    if requests > MANY_REQUESTS:
        yield Note(f"this takes at least {requests} requests, and {TITLE} allows a number of them per day")
    try:
        if options.get("strict") and report.fields:
            _refuse_new_fields(report, call, next(tile(whole, LONGEST_WINDOW)))
        for tiled in tile(whole, LONGEST_WINDOW):
            yield from _stretch(report, tiled)
            report.read_until = tiled.until
            yield Checkpoint(tiled)
        if latest > whole.until:
            yield from _beyond(report, Window(whole.until, latest))
    except DayLimitError as limit:
        raise _resumable(limit, report, window, longest) from None


def _check_years(window: Window) -> None:
    for edge in (window.since, window.until):
        if edge.year not in YEARS:
            raise UsageError(
                f"the year {edge.year} is none that {TITLE} can be asked for",
                hint=f"ask for years from {YEARS[0]} to {YEARS[-1]}",
            )


def _whole_seconds(window: Window) -> Window:
    """Return the window in whole seconds, which is all a question can say, and no shorter."""
    up = SECOND if window.until.microsecond else timedelta(0)
    return Window(window.since.replace(microsecond=0), window.until.replace(microsecond=0) + up)


def _zone_of(account: Account) -> tuple[str, tzinfo]:
    """Return the name and the zone of the account's times: the profile's, else what `get.account` says.

    That times are the account's is not documented and was seen by integrators, whose rows were hours off.
    """
    given = account.settings.timezone
    if given is not None:
        try:
            return given, zone_named(given)
        except UsageError as error:
            raise ConfigurationError(f"timezone: {error.message}", hint=error.hint) from None
    hint = "set timezone in the profile to the account's time zone, such as Europe/Berlin"
    try:
        data = account.ask("get.account", account.of_customer).get("data")
    except (ForbiddenError, UsageError, ProviderError) as error:
        if error.said is None:  # no refusal: an answer of another shape
            raise
        raise ConfigurationError(
            "the account's time zone could not be read, and its times mean nothing without", said=error.said, hint=hint
        ) from None
    if not isinstance(data, dict):
        data = check_records(data, "data", TITLE)
    first = data[0] if isinstance(data, list) and data else data
    name = first.get("timezone") if isinstance(first, dict) else None
    if isinstance(name, str) and name:
        with suppress(UsageError):
            return name, zone_named(name)
    raise ConfigurationError(
        f"{TITLE} names no time zone of this account that we know, and its times mean nothing without",
        said=name if isinstance(name, str) and name else None,
        hint=hint,
    )


zone_named = functools.lru_cache(maxsize=32)(windows.zone)
"""The zone of a name; thousands of records ask for the same."""


# Local times


def _local(instant: datetime, zone: tzinfo) -> str:
    """Return an instant as the account's clocks show it and as the API writes it."""
    return instant.astimezone(zone).replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")


def _offset(instant: datetime, zone: tzinfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def _spare(instant: datetime, zone: tzinfo) -> timedelta:
    """Return how far beyond an edge to ask: nothing, but near a change of clocks an hour, or what they change by."""
    change = abs(_offset(instant + 2 * HOUR, zone) - _offset(instant - 2 * HOUR, zone))
    return max(change, HOUR) if change else change


def span_of(window: Window, zone: tzinfo, *, early: timedelta = SECOND) -> dict[str, str]:
    """Return the parameters that ask for a window of whole seconds, and for more at both ends.

    Whether `date_from` and `date_till` belong to the span is not documented, and users of the API disagree. So a
    second more is asked for at both ends, and near a change of clocks an hour; `early` is the second before the window.
    """
    return {
        "date_from": _local(window.since - _spare(window.since, zone) - early, zone),
        "date_till": _local(window.until + _spare(window.until, zone) + SECOND, zone),
    }


def _turns(zone: tzinfo, window: Window) -> Iterator[tuple[datetime, timedelta]]:
    """Yield the instants in a window at which the clocks of a zone are changed, and by how much."""
    for day in tile(window, DAY):
        early, late = day.since, day.until
        change = _offset(late, zone) - _offset(early, zone)
        if not change:
            continue
        while late - early > SECOND:
            middle = early + ((late - early) / 2 // SECOND) * SECOND
            if _offset(middle, zone) == _offset(day.since, zone):
                early = middle
            else:
                late = middle
        yield late, change


def _notes(zone: tzinfo, name: str, window: Window) -> Iterator[Note]:
    """Yield one note if times in the window come twice."""
    twice = []
    for turn, change in _turns(zone, Window(window.since - DAY, window.until + DAY)):
        back = -change
        if back > timedelta(0) and window.since < turn + back and turn - back < window.until:
            twice.append(f"{_local(turn, zone)} to {_local(turn - SECOND, zone)[11:]}")
    if twice:
        yield Note(
            f"in {name} the clocks went back: {TITLE}'s times from {' and from '.join(twice)} come twice, and nothing "
            "tells which is meant; all are read as the first, and start_time_local has what came"
        )


_LOCAL_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T](?!24)[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?")
_OFFSET = re.compile(r"(?:Z|[+-][0-9]{2}:?[0-9]{2})\Z")
"""How an older page of the documentation ends a time, `2026-04-27T07:04:23Z`; today's have no zone."""


def local_instant(raw: Any, context: Mapping[str, str]) -> datetime:
    """Return the UTC instant of a time of the account, which is local unless it has an offset.

    Of a local time that comes twice, it is the first.

    Raises:
        ValueError: It is no such time.
    """
    if not isinstance(raw, str) or "timezone" not in context:
        raise ValueError
    offset = _OFFSET.search(raw)
    if not _LOCAL_TIME.fullmatch(raw if offset is None else raw[: offset.start()]):
        raise ValueError
    moment = datetime.fromisoformat(raw)
    try:
        if offset is None:
            moment = moment.replace(tzinfo=zone_named(context["timezone"]))
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError from None


def read_local_time(raw: Any, context: Mapping[str, str]) -> str:
    """Return a local time of the account as an instant in the contract's form."""
    return rfc3339(local_instant(raw, context))


# Windows and pages


def _stretch(report: Report, window: Window) -> Iterator[Event]:
    """Yield the records of one window; in halves where it has more of them than can be paged through."""
    left = [window]
    while left:
        window = left.pop()
        near_turn = _spare(window.since, report.zone) or _spare(window.until, report.zone)
        halves = halve(window, HOUR if near_turn else SECOND)  # there, smaller ones would be asked for as one
        name = f"{rfc3339(window.since)} to {rfc3339(window.until)}"
        span = span_of(window, report.zone)
        try:
            whole = yield from _reading(report, span, name, divisible=True, window=window)
        except TooLongError:
            if halves is None:
                raise
            whole = False
        if whole:
            continue
        if halves is not None:
            left.extend(reversed(halves))
        else:
            yield from _reading(report, _narrowest(report, window), name, divisible=False, window=window)


def _narrowest(report: Report, window: Window) -> dict[str, str]:
    """Return the span of a window that cannot be halved, without the second before it where that is proved needless.

    A record of that second proves that `date_from` belongs to the span, so that it can be the window's first second.
    """
    span = span_of(window, report.zone)
    earliest, _ = report.page(span, 0, first=True)
    begun = start(earliest[0], report.context) if earliest else None
    return span_of(window, report.zone, early=timedelta(0)) if begun == window.since - SECOND else span


def _is_past(report: Report, page: Sequence[Record], window: Window | None) -> bool:
    """Return whether a page in the order of starts goes beyond the window, so that no more pages are needed."""
    if window is None or not page or list(report.sort) != list(_BY_START):
        return False
    if _spare(window.since, report.zone) or _spare(window.until, report.zone):
        return False
    starts = _true_starts(report, page, window)
    return bool(starts) and starts == sorted(starts) and starts[-1] >= window.until


@dataclass(slots=True)
class Reading:
    """What one reading of a span, from its first page to its last, has shown.

    Args:
        ids: The records that came.
        totals: The different totals that came with its pages.
        rows: How many rows came: more than there are records, if some came twice.
        idle: How many pages in a row, up to now, had rows but no new record.
        doubtful: Whether more records came than a total announced.
    """

    ids: set[str] = field(default_factory=set)
    totals: set[int] = field(default_factory=set)
    rows: int = 0
    idle: int = 0
    doubtful: bool = False

    @property
    def trusted(self) -> bool:
        """Whether totals came and nothing is against them."""
        return bool(self.totals) and not self.doubtful

    @property
    def steady(self) -> bool:
        """Whether nothing came or went meanwhile, so that no row moved from a page to one that had been read.

        Where totals do not tell, a record that came twice does.
        """
        return len(self.totals) == 1 if self.trusted else self.rows == len(self.ids)

    def add(self, page: Sequence[Record], total: int | None, identity: Callable[[Record], str]) -> None:
        """Count a page and the total that came with it."""
        # Two records of one id are two where their contents differ.
        ids = {f"{key} {content}" for key, content in zip(map(identity, page), contents_of(page), strict=True)}
        self.idle = self.idle + 1 if page and ids <= self.ids else 0
        self.ids |= ids
        self.rows += len(page)
        if total is not None:
            self.totals.add(total)
            self.doubtful = self.doubtful or len(self.ids) > total


def _reading(
    report: Report, span: Mapping[str, str], name: str, *, divisible: bool, window: Window | None = None
) -> Generator[Event, None, bool]:
    """Yield the pages of one span, and return False if it must be asked for in parts.

    Rows of one second have no order among themselves, and rows may come and go meanwhile: what came is counted, and
    the span is read once more if that is not the total, or if that has changed. A total that is lower than what came is
    wrong, and then an empty page is the end.
    """
    came: set[str] = set()
    most = 0
    for again in (False, True):
        reading = Reading()
        for page, total in by_offset(functools.partial(report.page, span), report.page_size):
            offset = reading.rows + len(page)
            too_many = max(total or 0, offset) > FARTHEST_OFFSET
            past = too_many and _is_past(report, page, window)
            if divisible and not past and total is not None and total > FARTHEST_OFFSET:
                return False
            reading.add(page, total, report.identity)
            if reading.doubtful:
                report.doubt()
            yield Page(page, report.context)
            if window is not None:
                _follow(report, page, window)
            if past:
                return True
            if reading.idle and reading.trusted and total == len(reading.ids):
                break  # all that there is came, and now it comes again
            if reading.idle >= IDLE_PAGES:
                if not reading.trusted:
                    yield Gap(f"{TITLE} sends the same records for {name} again and again", "run it again later")
                    return True
                break
            last = not page or (len(page) < report.page_size and total == offset)
            if not last and offset > FARTHEST_OFFSET:
                if divisible:
                    return False
                said = f"has {total}" if total is not None and total > offset else f"has more than {offset}"
                yield Gap(
                    f"{TITLE} {said} records for {name} and lets {offset} of them be read",
                    "ask for them in parts, with --filter",
                )
                return True
        new = len(reading.ids - came)
        came |= reading.ids
        most = max(most, *reading.totals, 0)
        if len(came) >= most and (reading.steady or (again and (reading.trusted or not new))):
            return True
        if again:
            counted = f"counts {most} records for {name} and sent {len(came)} different ones"
            moved = f"moved records of {name} from page to page while they were read"
            yield Gap(
                f"{TITLE} {counted if len(came) < most else moved}",
                "run it again; if it stays, ask for a window that ends earlier",
            )
            return True
        report.account.client.log("note", f"what {TITLE} has for {name} changed while it was read: reading it again")
    return True


def _true_starts(report: Report, page: Sequence[Record], window: Window) -> list[datetime]:
    """Return the starts on a page that can be true: one long after what was asked for says nothing about progress."""
    latest = window.until + CLOCK_TOLERANCE
    starts = (start(record, report.context) for record in page)
    return [moment for moment in starts if moment is not None and possible_start(moment, latest)]


def _follow(report: Report, page: Sequence[Record], window: Window) -> None:
    """Remember how far everything has been read, in a listing by start."""
    starts = _true_starts(report, page, window)
    spare = _spare(window.since, report.zone) or _spare(window.until, report.zone)
    if not starts or spare or list(report.sort) != list(_BY_START):
        return
    if min(starts) < window.since - SECOND:
        report.by_end = True
    report.read_until = min(max(*starts, window.since), window.until)


def _beyond(report: Report, after: Window) -> Iterator[Event]:
    """Yield what ended after the window, should the service select by the end of a call: that is not published.

    One question for the earliest record tells: it began before the window's end, or there is nothing to be had.
    """
    spare = 2 * _spare(after.since, report.zone)
    for tiled in tile(after, LONGEST_WINDOW):
        try:
            # Without the second before: its records are those of the window, whose last span holds it.
            earliest, _ = report.page(span_of(tiled, report.zone, early=timedelta(0)), 0, first=True)
        except TooLongError:
            earliest = [{}]
        begun = start(earliest[0], report.context) if earliest else tiled.until
        in_future = begun is not None and not possible_start(begun, tiled.until + CLOCK_TOLERANCE)
        if begun is None or in_future or begun < after.since + spare:
            yield from _stretch(report, tiled)


def _resumable(limit: DayLimitError, report: Report, window: Window, longest: timedelta) -> DayLimitError:
    """Return the error with what was read before, so that another run can go on from there."""
    now = report.account.client.clock.now()
    after = "" if limit.reset is None else f" after {rfc3339(now + timedelta(seconds=limit.reset + 1))}"
    reached = max(window.since, min(report.read_until or window.since, window.until))
    if report.by_end:
        reached = max(window.since, reached - longest)
    limit.hint = f"run it again{after}"
    if reached > window.since:
        limit.hint += (
            f"; calls that started before {rfc3339(reached)} have all been read, so where they were printed "
            f"--since {rfc3339(reached)} goes on"
        )
    return limit


# What was typed


Wire = Literal["number", "string", "enum", "boolean", "iso8601", "array"]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a listing as the documentation's table has it, and how we show it.

    Args:
        name: The API's and ours.
        wire: The type in the table.
        marks: `F` where it may be filtered on, `S` where sorted by.
        kind: The type of our column.
        meaning: One phrase for people.
        later: Only newer documents have it, or those of another brand of the service.
    """

    name: str
    wire: Wire
    marks: str
    kind: Kind
    meaning: str
    later: bool = False


_COMPARED: Mapping[Wire, tuple[str, ...]] = {
    "number": ("=", "!=", "<", ">", "<=", ">=", "in"),
    "string": ("=", "!=", "like", "regexp", "in"),
    "enum": ("=", "!=", "in"),
    "boolean": ("=", "!="),
    "iso8601": ("=", "!=", "<", ">", "<=", ">="),
    "array": ("jsquery",),
}
"""What a field can be compared by ("Filters")."""

_ONLY_COMAGIC = frozenset(
    {"ilike", "not_like", "not_ilike", "not_in", "overlap", "not_overlap", "is_null", "is_not_null"}
)
"""Operators of another brand of the service, for some methods: left to it to refuse (comagic.github.io, "Filters")."""

_EXPRESSION = re.compile(r"\s*([^\s<>=!~]+)\s*(<=|>=|!=|=|<|>|~)(.*)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_FILTER_HINT = "write --filter direction=in, 'duration>=60', 'action_name~%sales%', or a JSON object"
DEEPEST_FILTER = 20


def filter_tree(fields: Sequence[Field], texts: Sequence[str]) -> dict[str, Any] | None:
    """Return the filter that all these expressions together mean, or None where there are none.

    Raises:
        UsageError: One cannot be read, or the service would refuse it.
    """
    trees = [_tree(fields, text) if text.lstrip().startswith("{") else _simple(fields, text) for text in texts]
    if len(trees) > 1:
        return {"filters": trees, "condition": "and"}
    return trees[0] if trees else None


def _tree(fields: Sequence[Field], text: str) -> dict[str, Any]:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--filter is no JSON: {error}", hint=_FILTER_HINT) from None
    _check_tree(fields, tree, 0)
    checked: dict[str, Any] = tree
    return checked


def _check_tree(fields: Sequence[Field], tree: Any, depth: int) -> None:
    if not isinstance(tree, dict) or depth > DEEPEST_FILTER:
        raise UsageError(f"--filter: {json.dumps(tree)[:60]} is no filter", hint=_FILTER_HINT)
    if "filters" in tree:
        parts = tree["filters"]
        if tree.get("condition") not in ("and", "or") or not isinstance(parts, list) or not parts:
            raise UsageError(
                'a filter of filters has a list of them and a condition, "and" or "or"',
                hint='{"filters":[{"field":"direction","operator":"=","value":"in"}],"condition":"and"}',
            )
        _check_keys(tree, {"filters", "condition"})
        for part in parts:
            _check_tree(fields, part, depth + 1)
        return
    _check_keys(tree, {"field", "operator", "value"})
    name, operator = tree.get("field"), tree.get("operator")
    if not isinstance(name, str) or not isinstance(operator, str):
        raise UsageError(
            "a filter has a field, an operator and a value",
            hint='{"field":"direction","operator":"=","value":"in"}',
        )
    found = _allowed(fields, name, "F", "--filter")
    if operator not in _ONLY_COMAGIC:
        _check_operator(found, operator)
        if "value" in tree:
            _check_value(found, operator, tree["value"])


def _check_keys(tree: Mapping[str, Any], known: set[str]) -> None:
    for key in tree:
        if key not in known:
            raise UsageError(
                f"--filter: {key!r} is no part of a filter", hint=f"its parts are {', '.join(sorted(known))}"
            )


def _check_operator(found: Field, operator: str) -> None:
    usable = _COMPARED[found.wire]
    if operator not in usable:
        raise UsageError(
            f"{found.name} cannot be compared by {operator!r}: it is of type {found.wire}",
            hint=f"for this type there are {' '.join(usable)}",
        )


_TYPES: Mapping[Wire, type | tuple[type, ...]] = {"number": (int, float), "boolean": bool}


def _check_value(found: Field, operator: str, value: Any) -> None:
    for one in value if operator == "in" and isinstance(value, list) else [value]:
        fits = isinstance(one, _TYPES.get(found.wire, str)) and (found.wire == "boolean" or not isinstance(one, bool))
        if not (one is None or fits or operator == "jsquery"):
            raise UsageError(f"--filter: {json.dumps(one)[:60]} is no value of {found.name}, which is a {found.wire}")


def _simple(fields: Sequence[Field], text: str) -> dict[str, Any]:
    match = _EXPRESSION.fullmatch(text)
    if not match:
        raise UsageError(f"--filter {text!r} cannot be read", hint=_FILTER_HINT)
    found = _allowed(fields, match[1], "F", "--filter")
    operator, word = "like" if match[2] == "~" else match[2], match[3].strip()
    if found.wire == "array":
        raise UsageError(
            f"{found.name} is a list: it can be filtered on by jsquery only",
            hint=f'write it as JSON: {{"field":"{found.name}","operator":"jsquery","value":"…"}}',
        )
    _check_operator(found, operator)
    if not word:
        return {"field": found.name, "operator": operator}  # how an empty value is said
    return {"field": found.name, "operator": operator, "value": _typed(found, operator, word)}


def _typed(found: Field, operator: str, word: str) -> Any:
    """Return a word as a value of the field's type; `null` is null, since no other word can say it."""
    if word == "null" and operator in {"=", "!="}:
        return None
    if found.wire == "number":
        if not _NUMBER.fullmatch(word):
            raise UsageError(f"--filter: {word!r} is no number, and {found.name} is one", hint=_FILTER_HINT)
        return float(word) if "." in word else int(word)
    if found.wire == "boolean":
        if word.casefold() not in {"true", "false"}:
            raise UsageError(f"--filter: {found.name} is true or false, not {word!r}", hint=f"{found.name}=true")
        return word.casefold() == "true"
    if found.wire == "iso8601" and not _LOCAL_TIME.fullmatch(word):
        raise UsageError(
            f"--filter: {word!r} is no time as {TITLE} writes it",
            hint="write YYYY-MM-DD hh:mm:ss, in the account's own zone",
        )
    return word


def sorting(fields: Sequence[Field], texts: Sequence[str]) -> list[dict[str, str]]:
    """Return the order to ask for, in the end by start, so that pages fit together.

    Raises:
        UsageError: It names no field that can be sorted by.
    """
    order = []
    for text in texts:
        name, _, direction = text.strip().partition(":")
        if direction not in {"", "asc", "desc"}:
            raise UsageError(
                f"--orderby {text!r} cannot be read", hint="write --orderby duration or --orderby duration:desc"
            )
        order.append({"field": _allowed(fields, name, "S", "--orderby").name, "order": direction or "asc"})
    last = next((one.name for one in (*_named(fields, "start_time"), *_named(fields, "customer_id"))), None)
    if last is not None and not any(one["field"] == last for one in order):
        order.append({"field": last, "order": "asc"})
    return order


def _named(fields: Sequence[Field], name: str) -> list[Field]:
    return [one for one in fields if one.name == name]


def _allowed(fields: Sequence[Field], name: str, mark: str, option: str) -> Field:
    """Return the field of this name if the service takes it there, or refuse with names that are near."""
    usable = [one.name for one in fields if mark in one.marks]
    found = _named(fields, name)
    if found and mark in found[0].marks:
        return found[0]
    verb = {"F": "filtered on", "S": "sorted by"}[mark]
    near = difflib.get_close_matches(name, usable, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"these can be {verb}: {', '.join(usable)}"
    if found and name == "start_time":
        hint = "use --since and --until"
    what = f"{name} cannot be {verb}" if found else f"there is no field {name!r}"
    raise UsageError(f"{option}: {what}", hint=hint)


# Reading answers


class BusyError(TemporaryError):
    """The service will answer later; `wait` is how many seconds it wants to be left alone, where it says so."""

    def __init__(self, message: str, answer: Answer, *, said: str | None = None, wait: float | None = None) -> None:
        status = None if answer.good else answer.status
        super().__init__(message, said=said, hint="nothing is lost: run it again later", status=status)
        self.answer = answer
        self.wait = wait


class DayLimitError(TemporaryError):
    """The account's points of the day are used up; `reset` is how many seconds there are until it has new ones."""

    reset: float | None = None


class ForbiddenError(RightsError):
    """This user may not call this method."""


class TooLongError(ProviderError):
    """The window is longer than one question may span."""


class UnknownParameterError(ProviderError):
    """Something in the question is not known; `names` has what may be meant, as far as that was said."""

    names: tuple[str, ...] = ()


_SECRETIVE = frozenset({"access_token", "password", "login"})
"""Fields whose value is repeated in errors, and must not be shown."""


def _words(error: Mapping[str, Any]) -> str:
    """Return the service's own words: message, mnemonic, field, value and link, but no value that may be a secret."""
    data = _data(error)
    name = data.get("field")
    facts = [str(data[key]) for key in ("mnemonic",) if data.get(key)]
    if isinstance(name, str) and name:
        facts.append(f"field {name[:100]}")
        value = data.get("value")
        if isinstance(value, str | int | float) and not _secretive(error):
            facts.append(f"value {str(value)[:100]}")
    words = beginning(str(error.get("message") or ""), 500)
    words += f" ({', '.join(facts)})" if facts else ""
    link = data.get("extended_helper")
    if isinstance(link, str) and re.fullmatch(r"https?://[!-~]{1,300}", link):
        words += f" - see {link}"
    return words.strip()


def _secretive(error: Mapping[str, Any]) -> bool:
    data = _data(error)
    name = str(data.get("field")).rpartition(".")[2]
    return name in _SECRETIVE or error.get("code") == -32001


def _data(error: Mapping[str, Any]) -> Mapping[str, Any]:
    data = error.get("data")
    return data if isinstance(data, dict) else {}


def mnemonic_of(answer: Answer) -> str:
    """Return the word by which an answer names its error; empty for none."""
    error = error_in(answer)
    word = _data(error).get("mnemonic") if error is not None else None
    return word if isinstance(word, str) else ""


def ended(answer: Answer) -> bool:
    """Return whether an answer says that the token has ended: a login that has ended is said to be unknown."""
    if error_in(answer) is None:
        return answer.status == 401
    return mnemonic_of(answer) in {"access_token_expired", "access_token_invalid"}


def explain(answer: Answer) -> CdrctlError | None:
    """Return what an answer means when it is not a good one, or None; what its body says counts before its status."""
    error = error_in(answer)
    if error is not None and answer.status not in _BROKEN_OFF:
        meant = _meaning(error, answer)
        meant.status = meant.status or (None if answer.good else answer.status)
        return meant
    if answer.status in BUSY:
        busy = answer.status == 429
        what = "is being asked too fast" if busy else "failed"
        return BusyError(f"{TITLE} {what} (HTTP {answer.status})", answer, said=answer.text or None)
    if answer.status in {404, 405}:
        return ConfigurationError(
            f"there is no Data API at {answer.url}",
            hint="base_url should be https://dataapi.callgear.com/v2.0, or the same of another brand",
            status=answer.status,
        )
    return error_of(TITLE, answer)


_GROUPS: Mapping[str, int] = {
    **dict.fromkeys(("parse_error", "invalid_request", "method_not_found", "notifications_not_supported"), -32700),
    # The second as it is spelt in the Russian documentation.
    **dict.fromkeys(("batch_operations_not_supported", "batch_opreations_not_supported"), -32700),
    **dict.fromkeys(("filter_prohibited", "sort_prohibited", "invalid_parameter_value", "data_type_error"), -32602),
    **dict.fromkeys(("required_parameter_missed", "invalid_parameters_combination", "error"), -32602),
    "internal_error": -32603,
}
"""The group of a mnemonic ("List of errors"): it counts more than the code that came with it."""


def _meaning(error: Mapping[str, Any], answer: Answer) -> CdrctlError:
    """Return the error that a mnemonic means ("List of errors"); an unknown one means what its code's group does."""
    words, data = _words(error), _data(error)
    word, code = mnemonic_of(answer), error.get("code")
    params = data.get("params")
    params = params if isinstance(params, dict) else {}
    if word == "limit_exceeded" or (not word and code == -32029):
        return _limit(words, data, params, answer)
    if word == "date_interval_limit_reached":
        return TooLongError(f"{TITLE} refuses so long a window", said=words, hint="ask for a shorter one")
    if word == "unexpected_parameters":
        return _unknown(words, data)
    if word == "required_parameter_missed" and data.get("field") == "user_id":
        return ConfigurationError(
            "this key is a partner's: it must be said whose records are meant",
            said=words,
            hint="set user_id in the profile; `cdrctl callgear users` lists them",
        )
    if word in _SIGN_IN:
        return _sign_in_error(word, words, params)
    match _GROUPS.get(word, code):
        case -32602:
            return UsageError(f"{TITLE} refuses what was asked for", said=words, hint="correct what it names")
        case -32603:
            return BusyError(f"{TITLE} failed", answer, said=words)
        case -32700 | -32600 | -32601 | -32099:
            return _misunderstood(words, answer)
        case -32001 | -32003 | -32008 | -32009:
            return _sign_in_error(word, words, params)
        case _:
            return ProviderError(f"{TITLE} refused the request", said=words or None)


def _unknown(words: str, data: Mapping[str, Any]) -> UnknownParameterError:
    name, value = data.get("field"), data.get("value")
    values = [] if isinstance(name, str) and name in _SECRETIVE else value if isinstance(value, list) else [value]
    names = tuple(dict.fromkeys(one for one in (name, *values) if isinstance(one, str) and one))
    what = f"the field {names[-1 if name == 'fields' else 0][:100]}" if names else "something in the request"
    unknown = UnknownParameterError(f"{TITLE} does not know {what}", said=words, hint="leave it out")
    unknown.names = names
    return unknown


def _misunderstood(words: str, answer: Answer) -> CdrctlError:
    if re.search(r"/v[0-9]+\.[0-9]+\Z", answer.url):
        return CdrctlError(
            f"{TITLE} did not understand the request", said=words, hint="this is probably a bug of ours: report it"
        )
    return ConfigurationError(
        f"{answer.url} does not understand the request",
        said=words,
        hint="set base_url to the address of the Data API, https://dataapi.callgear.com/v2.0",
    )


def _limit(words: str, data: Mapping[str, Any], params: Mapping[str, Any], answer: Answer) -> CdrctlError:
    """Return the wait for the next minute, or the end of the day's requests ("Limits")."""
    kind = params.get("limit_type")
    metadata = data.get("metadata")
    limits = metadata.get("limits") if isinstance(metadata, dict) else None
    if kind is None or kind == "minute":
        wait = _minute(_whole_number(limits, "minute_reset"))
        return BusyError(f"{TITLE} takes no more requests this minute", answer, said=words, wait=wait)
    most = _whole_number(params, "limit_max_value")
    reset = _whole_number(limits, f"{kind}_reset")
    many = f" of {most} requests" if most is not None else ""
    name = "daily limit" if kind == "day" else f"limit per {str(kind)[:20]}"
    when = f"; it resets in {_length(reset)}" if reset is not None else ""
    over = DayLimitError(f"{TITLE}'s {name}{many} is used up{when}", said=words, hint="run it again then")
    over.reset = reset
    return over


def _length(seconds: int) -> str:
    """Return a length of time in whole minutes, rounded up."""
    minutes = -(-seconds // 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


_ADMITS = "add it under Administrator → Account → Rules and security settings → API (partners: in the customer's)"
_NEW_KEY = "make a new one in the web cabinet, or give login and password"
_SIGN_IN: Mapping[str, tuple[str, str | None]] = {
    "access_token_expired": (f"{TITLE}'s access key is not valid any more", _NEW_KEY),
    "access_token_invalid": (f"{TITLE}'s access key is not valid", _NEW_KEY),
    "access_token_blocked": (f"{TITLE}'s access key is blocked", "see in the web cabinet why, or make a new one"),
    "auth_error": (f"wrong login or password for {TITLE}", "correct login and password in the profile"),
    "forbidden": (f"this user may not call this method of {TITLE}", "give it the right in the web cabinet"),
    "ip_not_whitelisted": (
        f"your address is not in {TITLE}'s allow-list",
        _ADMITS,
    ),
    "account_inactive": (f"the account at {TITLE} is disabled", "ask the provider's support"),
    "method_component_disabled": (f"the account at {TITLE} lacks a component", None),
    "parameter_component_disabled": (f"the account at {TITLE} lacks a component", None),
}


_KINDS: Mapping[str, type[SignInError]] = {
    "forbidden": ForbiddenError,
    "ip_not_whitelisted": AddressError,
    "method_component_disabled": RightsError,
    "parameter_component_disabled": RightsError,
}


def _sign_in_error(word: str, words: str, params: Mapping[str, Any]) -> SignInError:
    message, hint = _SIGN_IN.get(word, (f"{TITLE} does not allow this profile to read that", None))
    if word == "ip_not_whitelisted" and isinstance(params.get("ip"), str):
        message = f"your address {params['ip'][:50]} is not in {TITLE}'s allow-list"
    if word.endswith("component_disabled"):
        given = params.get("components")
        names = ", ".join(map(str, given)) if isinstance(given, list) else str(given or "")
        message += f": {beginning(names, 200)}" if names else ""
        hint = "have it switched on in the web cabinet or by the provider's support"
    return _KINDS.get(word, SignInError)(message, said=words or None, hint=hint)


def trusts(settings: CallGearSettings, url: str) -> bool:
    """Return whether a URL is the profile's own address: keys of one brand are nobody else's business."""
    return same_origin(settings.base_url, url)


# Signing in


def sign_in(settings: CallGearSettings, ended: Token | None, now: datetime) -> Generator[Request, Answer, Token]:
    """Return the access key of the profile, or the token of a login, which lives an hour ("login.user")."""
    if ended is None and settings.access_token is not None:
        return _token(settings.access_token.get_secret_value())
    if settings.login is None or settings.password is None:
        raise SignInError(f"{TITLE}'s access key is not valid (any more)", hint=_NEW_KEY)
    credentials = {"login": settings.login, "password": settings.password.get_secret_value()}
    answer = yield replace(question(settings.base_url.rstrip("/"), 1, "login.user", credentials), kind="sign-in")
    error = explain(answer)
    if error is not None:
        raise error
    data = result_in(answer, "login.user").get("data")
    token = data.get("access_token") if isinstance(data, dict) else None
    if not isinstance(token, str) or not token:
        raise ProviderError(
            f"{TITLE} answered login.user in a shape we do not know: there is no access_token in it",
            hint="check base_url; if it is right, the API has changed: update cdrctl",
        )
    expires = None
    with suppress(ValueError):
        expires = unix_instant(data["expire_at"]) if isinstance(data, dict) and "expire_at" in data else None
    return _token(token, expires if expires is not None and expires > now else None)


def _token(value: str, expires: datetime | None = None) -> Token:
    return Token({}, expires, fields={"access_token": value})


def nothing(_path: str, body: Any) -> Any:
    """Return the answer of a report without rows, the account in UTC, or a token of masks."""
    found: dict[str, Any] = {
        "login.user": {"data": {"access_token": MASK}},
        "get.account": {"data": [{"timezone": "UTC"}]},
    }
    none = {"data": [], "metadata": {"total_items": 0}}
    return {"jsonrpc": "2.0", "id": body["id"], "result": found.get(body["method"], none)}


def check(client: Client, settings: CallGearSettings) -> str:
    """Return what two small questions found: the zone of the account, and how many legs it has of the last day."""
    account = Account(client, settings)
    options = {"page_size": 1, "filter": (), "orderby": ()}
    report = _report(account, "get.call_legs_report", LEGS, identity, options)
    name, report.zone = _zone_of(account)
    until = client.clock.now().replace(microsecond=0)
    records, total = report.page(span_of(Window(until - DAY, until), report.zone), 0, listed=False)
    names = new_fields(records, LEG_COLUMNS)
    if names:
        client.log("warning", new_fields_warning(TITLE, "legs", names))
    if total is None or total < len(records):
        found = "legs" if records else "no legs"
    else:
        found = "1 leg" if total == 1 else f"{total} legs"
    return f"signed in; times are of {name}; {found} in the last 24 hours"


# The record


def identity(record: Record) -> str:
    """Return `id`, the documented key of a record; a record without one is known by all it says."""
    given = pick(record, "id")
    if isinstance(given, int | str) and not isinstance(given, bool) and given != "":
        return str(given)
    return fingerprint(record)


def start(record: Record, context: Mapping[str, str]) -> datetime | None:
    """Return the start of a leg or call, in the zone of its account, or None."""
    try:
        return local_instant(pick(record, "start_time"), context)
    except ValueError:
        return None


_SOURCE = "what the call came by (enum): va, sip, call_tracking, callapi, callback, amocrm and others"

# Names, types and marks from the tables of the documentation; names are ours as well.
LEGS: tuple[Field, ...] = (
    Field("id", "number", "F", "text", "identity of the leg; the dedup key"),
    Field("call_session_id", "number", "FS", "text", "ties the legs of one call; joins to get.calls_report id"),
    Field("call_records", "array", "", "list", "recording ids, several possible"),
    Field("wav_call_records", "array", "", "list", "WAV recording ids; of some brands only", later=True),
    Field("start_time", "iso8601", "S", "time", "start of the leg"),
    Field("connect_time", "iso8601", "", "time", "moment of pick-up, null when never picked up"),
    Field("duration", "number", "FS", "seconds", "seconds since pick-up"),
    Field("total_duration", "number", "FS", "seconds", "whole leg in seconds"),
    Field("finish_reason", "enum", "FS", "text", "why the leg ended (enum)", later=True),
    Field("finish_reason_description", "string", "FS", "text", "text of it", later=True),
    Field("virtual_phone_number", "string", "FS", "text", "virtual number of the account"),
    Field("calling_phone_number", "string", "FS", "text", "caller of the leg"),
    Field("called_phone_number", "string", "FS", "text", "called party of the leg"),
    Field(
        "direction",
        "enum",
        "FS",
        "text",
        "in or out, of the leg as the platform sees it: to an employee it is out also in an incoming call",
    ),
    Field("is_transfered", "boolean", "FS", "boolean", "transfer leg; spelt so"),
    Field("is_operator", "boolean", "FS", "boolean", "leg to or from an employee"),
    Field("employee_id", "number", "FS", "text", "called employee; null for group or scenario ringing"),
    Field("employee_full_name", "string", "FS", "text", "name of the employee"),
    Field("employee_phone_number", "string", "FS", "text", "phone of the employee"),
    Field("employee_rating", "number", "FS", "integer", "rating given after the call"),
    Field("scenario_id", "number", "FS", "text", "scenario that handled the call"),
    Field("scenario_name", "string", "FS", "text", "its name"),
    Field("is_coach", "boolean", "FS", "boolean", "silent coach leg"),
    Field("release_cause_code", "number", "FS", "integer", "Q.850 number; deprecated"),
    Field("release_cause_description", "string", "FS", "text", "text of it; deprecated"),
    Field(
        "is_failed", "boolean", "FS", "boolean", "true for not answered, by its name; documented the other way round"
    ),
    Field("is_talked", "boolean", "FS", "boolean", "a conversation took place"),
    Field("contact_id", "number", "", "text", "contact in the address book"),
    Field("contact_full_name", "string", "", "text", "its name"),
    Field("contact_phone_number", "string", "", "text", "outside number of the call"),
    Field("action_id", "number", "F", "text", "scenario operation that made the leg"),
    Field("action_name", "string", "F", "text", "its name"),
    Field("group_id", "number", "F", "text", "employee group"),
    Field("group_name", "string", "F", "text", "its name"),
)

CALLS: tuple[Field, ...] = (
    Field("id", "number", "F", "text", "identity of the call; call_session_id of its legs"),
    Field("start_time", "iso8601", "S", "time", "start of the call"),
    Field("finish_time", "iso8601", "", "time", "end of the call"),
    Field("finish_reason", "enum", "FS", "text", "why the call ended (enum)"),
    Field("direction", "enum", "FS", "text", "in or out, as the user sees it"),
    Field("cpn_region_id", "number", "FS", "text", "region of the contact's number"),
    Field("cpn_region_name", "string", "FS", "text", "its name"),
    Field("cpn_country_name", "string", "FS", "text", "name of the country of the contact's number"),
    Field("cpn_country_id", "string", "FS", "text", "country of the contact's number"),
    Field("properties", "string", "", "text", "properties of the call"),
    Field("scenario_operations", "array", "F", "list", "operations of the scenario: id, name"),
    Field("source", "enum", "FS", "text", _SOURCE),
    Field("is_lost", "boolean", "FS", "boolean", "nobody answered"),
    Field("communication_number", "number", "FS", "integer", "how many communications of this contact there were"),
    Field("communication_page_url", "string", "", "text", "page of the site that was open"),
    Field("contact_phone_number", "string", "F", "text", "outside number of the call"),
    Field("communication_id", "number", "F", "text", "id of the communication, in links to recordings"),
    Field("communication_type", "enum", "", "text", "kind of communication (enum)"),
    Field("wait_duration", "number", "F", "seconds", "seconds until it was answered"),
    Field("total_wait_duration", "number", "F", "seconds", "seconds of waiting in all"),
    Field("lost_call_processing_duration", "number", "FS", "seconds", "seconds until a lost call was called back"),
    Field("talk_duration", "number", "F", "seconds", "seconds of conversation"),
    Field("clean_talk_duration", "number", "F", "seconds", "seconds of conversation without holding and transferring"),
    Field("total_duration", "number", "F", "seconds", "seconds of the whole call"),
    Field("postprocess_duration", "number", "F", "seconds", "seconds of work after the call"),
    Field("call_records", "array", "", "list", "recording ids, several possible"),
    Field("wav_call_records", "array", "", "list", "WAV recording ids; of some brands only", later=True),
    Field("full_record_file_link", "string", "", "text", "link to the recording of the whole call", later=True),
    Field("voice_mail_records", "array", "", "list", "ids of voice mail messages"),
    Field("virtual_phone_number", "string", "FS", "text", "virtual number of the account"),
    Field("ua_client_id", "string", "", "text", "id of the visitor at Universal Analytics"),
    Field("ym_client_id", "string", "", "text", "id of the visitor at Yandex Metrica"),
    Field("sale_date", "iso8601", "FS", "time", "date of the sale that followed"),
    Field("sale_cost", "number", "FS", "money", "amount of the sale"),
    Field("is_transfer", "boolean", "FS", "boolean", "the call was transferred"),
    Field("search_query", "string", "F", "text", "words the visitor searched for"),
    Field("search_engine", "string", "F", "text", "search engine the visitor came from"),
    Field("referrer_domain", "string", "F", "text", "site the visitor came from"),
    Field("referrer", "string", "F", "text", "page the visitor came from"),
    Field("entrance_page", "string", "F", "text", "first page of the visit"),
    Field("gclid", "string", "F", "text", "Google's click id"),
    Field("yclid", "string", "F", "text", "Yandex's click id"),
    Field("ymclid", "string", "", "text", "Yandex Market's click id"),
    Field("ef_id", "string", "F", "text", "Adobe's click id"),
    Field("channel", "enum", "F", "text", "advertising channel (enum)"),
    Field("tags", "array", "F", "list", "tags: id, name, type, when and by whom"),
    Field("employees", "array", "F", "list", "employees who took part: id, name, whether they answered and talked"),
    Field("last_answered_employee_id", "number", "F", "text", "employee who answered last"),
    Field("last_answered_employee_full_name", "string", "F", "text", "name of that employee"),
    Field("last_answered_employee_rating", "number", "F", "integer", "rating of that employee"),
    Field("first_answered_employee_id", "number", "F", "text", "employee who answered first"),
    Field("first_answered_employee_full_name", "string", "F", "text", "name of that employee"),
    Field("last_talked_employee_id", "number", "F", "text", "employee who talked last", later=True),
    Field("last_talked_employee_full_name", "string", "F", "text", "name of that employee", later=True),
    Field("first_talked_employee_id", "number", "F", "text", "employee who talked first", later=True),
    Field("first_talked_employee_full_name", "string", "F", "text", "name of that employee", later=True),
    Field("operator_phone_number", "string", "F", "text", "number of the employee who answered or called"),
    Field("scenario_name", "string", "F", "text", "name of the scenario"),
    Field("scenario_id", "number", "FS", "text", "scenario that handled the call"),
    Field("site_domain_name", "string", "F", "text", "web site of the call"),
    Field("site_id", "number", "FS", "text", "id of the web site"),
    Field("campaign_name", "string", "F", "text", "name of the advertising campaign"),
    Field("campaign_id", "number", "FS", "text", "advertising campaign"),
    Field("visit_other_campaign", "boolean", "", "boolean", "the visitor came by another campaign before"),
    Field("auto_call_campaign_name", "string", "FS", "text", "name of the campaign of automatic calls"),
    Field("visitor_id", "number", "FS", "text", "visitor of the web site"),
    Field("person_id", "number", "F", "text", "person the visitor is taken for"),
    Field("visitor_type", "enum", "FS", "text", "kind of visitor (enum)"),
    Field("visitor_session_id", "number", "F", "text", "visit of the web site"),
    Field("visits_count", "number", "F", "integer", "number of visits"),
    Field("visitor_first_campaign_id", "number", "F", "text", "campaign of the first visit"),
    Field("visitor_first_campaign_name", "string", "F", "text", "its name"),
    Field("visitor_city", "string", "F", "text", "city of the visitor"),
    Field("visitor_region", "string", "F", "text", "region of the visitor"),
    Field("visitor_country", "string", "F", "text", "country of the visitor"),
    Field("visitor_device", "enum", "FS", "text", "kind of device of the visitor (enum)"),
    Field("visitor_custom_properties", "array", "F", "list", "further properties of the visitor: name, value"),
    Field("segments", "array", "F", "list", "segments of the visitor: id, name"),
    Field("call_api_request_id", "number", "F", "text", "id of the request that made the call by Call API"),
    Field("call_api_external_id", "string", "F", "text", "id given to the call in that request"),
    Field("contact_id", "number", "F", "text", "contact in the address book"),
    Field("contact_full_name", "string", "F", "text", "its name"),
    Field("utm_source", "string", "F", "text", "UTM source of the visit"),
    Field("utm_medium", "string", "F", "text", "UTM medium of the visit"),
    Field("utm_term", "string", "F", "text", "UTM term of the visit"),
    Field("utm_content", "string", "F", "text", "UTM content of the visit"),
    Field("utm_campaign", "string", "F", "text", "UTM campaign of the visit"),
    Field("utm_referrer", "string", "", "text", "UTM referrer of the visit; in no document of today", later=True),
    Field("openstat_ad", "string", "F", "text", "Openstat ad of the visit"),
    Field("openstat_campaign", "string", "F", "text", "Openstat campaign of the visit"),
    Field("openstat_service", "string", "F", "text", "Openstat service of the visit"),
    Field("openstat_source", "string", "F", "text", "Openstat source of the visit"),
    Field("attributes", "array", "F", "list", "attributes of the call"),
    Field("eq_utm_source", "string", "F", "text", "UTM source, of any visit before"),
    Field("eq_utm_medium", "string", "F", "text", "UTM medium, of any visit before"),
    Field("eq_utm_term", "string", "F", "text", "UTM term, of any visit before"),
    Field("eq_utm_content", "string", "F", "text", "UTM content, of any visit before"),
    Field("eq_utm_campaign", "string", "F", "text", "UTM campaign, of any visit before"),
    Field("eq_utm_referrer", "string", "F", "text", "UTM referrer, of any visit before"),
    Field("eq_utm_expid", "string", "F", "text", "UTM expid, of any visit before"),
    Field("source_id", "number", "FS", "text", "source of the traffic"),
    Field("source_name", "string", "FS", "text", "name of the source"),
    Field("source_new", "string", "FS", "text", "source of the traffic, newer list"),
    Field("channel_new", "string", "FS", "text", "channel of the traffic, newer list"),
    Field("channel_code", "string", "FS", "text", "code of the channel"),
    Field("ext_id", "string", "FS", "text", "id of the call in another system"),
    Field(
        "hold_duration", "number", "", "seconds", "seconds on hold; comes in live replies, not documented", later=True
    ),
)

COSTS: tuple[Field, ...] = (
    Field("start_time", "iso8601", "S", "time", "start of the leg"),
    Field("direction", "enum", "FS", "text", "in or out"),
    Field("source", "enum", "FS", "text", _SOURCE),
    Field("call_session_id", "number", "FS", "text", "the call; call_session_id of its legs"),
    Field("leg_id", "number", "FS", "text", "the leg; its id in legs"),
    Field("calling_phone_number", "string", "FS", "text", "caller"),
    Field("called_phone_number", "string", "FS", "text", "called"),
    Field("duration", "number", "FS", "seconds", "seconds of the leg"),
    Field("chargeable_duration", "number", "FS", "seconds", "charged seconds"),
    Field("direction_type", "enum", "FS", "text", "international, national, local or mobile"),
    Field("cost_per_minute", "number", "FS", "money", "price of a minute"),
    Field("total_charge", "number", "FS", "money", "cost of the leg, account currency"),
    Field("bonuses_charge", "number", "FS", "money", "part of it paid with bonuses"),
)

USERS: tuple[Field, ...] = (
    Field("id", "number", "F", "text", "identity of the user; user_id of a partner's profile"),
    Field("login", "string", "", "text", "login"),
    Field("description", "string", "", "text", "description"),
    Field("name", "string", "FS", "text", "name"),
    Field("customer_id", "number", "FS", "text", "customer the user belongs to"),
)


_OF_ACCOUNT = (
    Column("timezone", "@timezone", "text", "time zone of the account, which its times are of"),
    Column("app_host", "@app_host", "text", "address of the web application, where recordings are; empty if unknown"),
)


def _columns(fields: Sequence[Field]) -> tuple[Column, ...]:
    """Return the columns of a listing; beside the start stands what came, for the hour that comes twice."""
    columns = []
    for one in fields:
        read = read_local_time if one.kind == "time" else None
        columns.append(Column(one.name, one.name, one.kind, one.meaning, read_in=read))
        if one.name == "start_time":
            columns.append(Column("start_time_local", "start_time", "text", "the same as it came: the account's time"))
    return (*columns, *_OF_ACCOUNT)


LEG_COLUMNS = _columns(LEGS)
CALL_COLUMNS = _columns(CALLS)
COST_COLUMNS = _columns(COSTS)
USER_COLUMNS = tuple(Column(one.name, one.name, one.kind, one.meaning) for one in USERS)


def common_leg(leg: dict[str, Value]) -> dict[str, Value]:
    """Return a leg as a common CDR; of the leg to an employee only the call itself knows the direction."""
    inward, outward = leg["direction"] == "in", leg["direction"] == "out"
    operator = leg["is_operator"] is True
    talk, total = _seconds(leg["duration"]), _seconds(leg["total_duration"])
    answered = _answered_leg(leg)
    answer, ring = _answer(leg["start_time"], leg["connect_time"], talk, total) if answered else (None, total)
    if answered is None:
        ring = None
    contact, employee = leg["contact_full_name"], leg["employee_full_name"]
    return {
        "record_id": leg["id"],
        "call_id": leg["call_session_id"],
        "direction": _DIRECTIONS.get(str(leg["direction"]), "unknown") if leg["is_operator"] is False else "unknown",
        "from_number": leg["calling_phone_number"],
        # The platform calls an employee (out) or is called by one (in); the other legs are those of the contact.
        "from_name": (employee if operator else contact)
        if inward
        else (employee if outward and not operator else None),
        "to_number": leg["called_phone_number"],
        "to_name": (employee if operator else contact) if outward else (contact if inward and operator else None),
        "dialed_number": leg["virtual_phone_number"] if inward and not operator else None,
        "start_time": leg["start_time"],
        "answer_time": answer,
        "end_time": _later(leg["start_time"], total),
        "ring_seconds": ring,
        "talk_seconds": talk,
        "total_seconds": total,
        "answered": answered,
        "outcome": _outcome_of_leg(leg, answered=answered),
        "cause": leg["finish_reason"] or leg["release_cause_description"],
        "cause_q850": leg["release_cause_code"],
        "user": employee,
        "queue": leg["group_name"],
        "recording_url": _recording(leg, leg["call_session_id"]),
    }


def common_call(call: dict[str, Value]) -> dict[str, Value]:
    """Return a call as a common CDR."""
    inward = call["direction"] == "in"
    talk, total = _seconds(call["talk_duration"]), _seconds(call["total_duration"])
    wait = _seconds(call["wait_duration"])
    answered = _answered_call(call, talked=bool(talk))
    outcome = _outcome_of_call(call, answered=answered, talked=bool(talk))
    contact, ours = call["contact_phone_number"], call["operator_phone_number"] or call["virtual_phone_number"]
    employee = call["first_answered_employee_full_name"]
    end = call["finish_time"]
    between = seconds_between(call["start_time"], end)
    if total is not None and _ended(call) and (between is None or between < 0):  # as in the hour that comes twice
        end = _later(call["start_time"], total)
    outward = call["direction"] == "out"
    return {
        "record_id": call["id"],
        "call_id": call["id"],
        "direction": _DIRECTIONS.get(str(call["direction"]), "unknown"),
        "from_number": contact if inward else ours if outward else None,
        "from_name": call["contact_full_name"] if inward else employee if outward else None,
        "to_number": ours if inward else contact if outward else None,
        "to_name": employee if inward else call["contact_full_name"] if outward else None,
        "dialed_number": call["virtual_phone_number"] if inward else None,
        "start_time": call["start_time"],
        "answer_time": _later(call["start_time"], wait) if answered else None,
        "end_time": end,
        "ring_seconds": wait if answered else None,
        "talk_seconds": talk,
        "total_seconds": total,
        "answered": answered,
        "outcome": outcome,
        "cause": call["finish_reason"],
        "user": call["last_answered_employee_full_name"],
        "recording_url": call["full_record_file_link"] or _recording(call, call["communication_id"] or call["id"]),
    }


_DIRECTIONS = {"in": "inbound", "out": "outbound"}


def _seconds(value: Value) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _later(instant: Value, seconds: int | None) -> str | None:
    """Return the instant so many seconds later, where both are known."""
    if seconds is None:
        return None
    with suppress(ValueError, OverflowError):
        return rfc3339(iso_instant(instant) + timedelta(seconds=seconds))
    return None


def _answer(began: Value, connected: Value, talk: int | None, total: int | None) -> tuple[Value, int | None]:
    """Return the moment of answer and the seconds before it.

    Around the hour that comes twice the moment may lie before the start or after the end: then the lengths tell.
    """
    ring = seconds_between(began, connected)
    if ring is not None and ring >= 0 and (total is None or ring <= total):
        return connected, ring
    if talk is None or total is None or talk > total:
        return connected, None
    return _later(began, total - talk), total - talk


def _recording(record: dict[str, Value], call_id: Value) -> str | None:
    """Return the link to the first recording ("Get call legs report", call_records)."""
    records = record["call_records"]
    first = records[0] if isinstance(records, list) and records else None
    if not isinstance(first, str | int) or not isinstance(call_id, str) or not record["app_host"]:
        return None
    end = "/" if record["app_host"] in _CLOSING_SLASH else ""
    return f"{record['app_host']}/system/media/talk/{quote(call_id, safe='')}/{quote(str(first), safe='')}{end}"


_Q850 = {17: "busy", 18: "no_answer", 19: "no_answer", 21: "rejected"}
NORMAL = frozenset({16, 31})
"""Q.850 causes of a normal end: they say nothing of why a leg was not answered."""

_BEFORE_AN_ANSWER = frozenset({1, 2, 3, 17, 18, 19, 20, 21, 22, 26, 27, 28})
"""Q.850 causes that end a leg before anything picks up: no such number or route, busy, no answer, rejected."""


def _answered_leg(leg: dict[str, Value]) -> bool | None:
    """Return whether something picked up; None where neither the moment nor the length of the talk is known."""
    if leg["connect_time"] is not None or _seconds(leg["duration"]) or leg["is_talked"] is True:
        return True
    return None if leg["duration"] is None else False


def _outcome_of_leg(leg: dict[str, Value], *, answered: bool | None) -> str:
    reason, cause = leg["finish_reason"], leg["release_cause_code"]
    ruled_out = rules_out_an_answer(reason) or cause in _BEFORE_AN_ANSWER
    if answered or (answered is None and not ruled_out):
        return "answered" if answered else "unknown"
    found = unanswered_outcome(reason)
    if answered is None and not rules_out_an_answer(reason):
        found = None  # the cause tells
    inward = leg["direction"] == "in"
    if found in {CALLER_LEFT, QUEUED}:
        waited = leg["group_id"] is not None or leg["group_name"] is not None or found == QUEUED
        return "abandoned" if inward and waited else "cancelled"
    if found == EMPLOYEE_LEFT:  # an employee who calls has given up; one who is called may have done so or not
        found = "cancelled" if inward == (leg["is_operator"] is True) else None
    if found is None and isinstance(cause, int) and cause not in NORMAL:
        return _Q850.get(cause, "failed")
    return found or "unknown"


def _answered_call(call: dict[str, Value], *, talked: bool) -> bool | None:
    """Return whether something picked up, a voicemail box included; None where the call does not tell."""
    if talked or call["voice_mail_records"]:
        return True
    if call["direction"] == "in" and isinstance(call["is_lost"], bool):
        # A call that was refused, such as one of a blacklist, may count as lost or not.
        if call["is_lost"] or rules_out_an_answer(call["finish_reason"]):
            return False
        return True if _ended(call) else None
    return None if call["talk_duration"] is None else False


def _ended(call: dict[str, Value]) -> bool:
    """Return whether a call is over: those in progress have neither an end nor a reason for it."""
    return call["finish_time"] is not None or call["finish_reason"] is not None


def _outcome_of_call(call: dict[str, Value], *, answered: bool | None, talked: bool) -> str:
    reason = call["finish_reason"]
    if call["voice_mail_records"] and not talked:
        return "voicemail"
    if answered or (answered is None and not rules_out_an_answer(reason)):
        return "answered" if answered else "unknown"
    found = unanswered_outcome(reason)
    if found in {CALLER_LEFT, QUEUED}:
        waited = found == QUEUED or _employees_rung(call) > 1
        return "abandoned" if call["direction"] == "in" and waited else "cancelled"
    if found == EMPLOYEE_LEFT:
        found = "cancelled" if call["direction"] == "out" else None
    return found or "unknown"


def _employees_rung(call: dict[str, Value]) -> int:
    """Return how many employees a call rang: of a queue or group, which a call does not name, there are several."""
    employees = call["employees"]
    if not isinstance(employees, list):
        return 0
    return len({str(one["employee_id"]) for one in employees if isinstance(one, dict) and one.get("employee_id")})


GIVES_LEG = Gives(
    outcomes=UNANSWERED | {"answered", "failed", "unknown", *_Q850.values()},
    directions=frozenset({"unknown", *_DIRECTIONS.values()}),
    null=frozenset({"site", "trunk", "cost", "currency"}),
)
GIVES_CALL = Gives(
    outcomes=UNANSWERED | {"answered", "voicemail", "unknown"},
    directions=frozenset({"unknown", *_DIRECTIONS.values()}),
    null=frozenset({"cause_q850", "site", "trunk", "queue", "cost", "currency"}),
)


# What the rest of the program is told


def _asking(fields: Sequence[Field]) -> tuple[Option, ...]:
    """Return the options by which a listing of these fields is narrowed and ordered."""
    return (
        Option(
            "filter",
            "only records that match: field=value, !=, <, <=, >, >=, field~like%, or a JSON object; all must match",
            repeat=True,
            metavar="EXPRESSION",
            values=tuple(f"{one.name}=" for one in fields if "F" in one.marks),
        ),
        Option(
            "orderby",
            "order to ask for, field or field:desc; by start without it",
            repeat=True,
            metavar="FIELD",
            values=tuple(one.name + how for one in fields if "S" in one.marks for how in ("", ":desc")),
        ),
    )


_PAGE_SIZE = Option(
    "page_size", f"records asked for at a time, 1 to {LARGEST_PAGE}", kind="integer", default=str(LARGEST_PAGE)
)
_LISTING = (
    Option(
        "longest_call",
        "how long a call may last: so long after the window one question makes sure that nothing is selected by its "
        "end",
        kind="duration",
        default="24h",
    ),
    _PAGE_SIZE,
)


def _apart(_options: Mapping[str, Any]) -> timedelta | str:
    """Return why: points are counted from answer to answer, and who has none left is told where to go on."""
    return "each answer says how much more may be asked for, and a day's limit is met where another run can go on"


_NEEDS = (
    'The user\'s rights in the web cabinet count; `callgear costs` needs "account access: view" and `callgear users` '
    '"user: view".'
)

PROVIDER = Provider(
    name="callgear",
    title=TITLE,
    settings=CallGearSettings,
    auth_methods={"key": ("access_token",), "login": ("login", "password")},
    sign_in=sign_in,
    # Points differ from account to account and are read from the answers; the body says more than a status.
    retry_policy=RetryPolicy(busy=frozenset()),
    error_for=explain,
    allows_url=trusts,
    empty_response=nothing,
    check=check,
    account_settings=("user_id",),
    key_settings=("login", "access_token"),
    sign=sign,
    ended=ended,
    # callgear.github.io/data_api, "Authentication", "Limits", "User rights".
    credential_help={
        "key": Console(
            "an access key: permanent, or until the day you give it",
            (
                "In the web cabinet (app.callgear.com) make an access key for a user: it needs the component Data API.",
                f"The API is closed by default. Take this machine's address and {_ADMITS}.",
            ),
            _NEEDS,
        ),
        "login": Console(
            "a user's login and password",
            (
                "Take a user of the web cabinet (app.callgear.com) who may use the Data API.",
                f"The API is closed by default. Take this machine's address and {_ADMITS}.",
            ),
            _NEEDS,
        ),
    },
    allow_list_hint=_ADMITS,
    retention_note="no limit is published",
    calls=(
        Call(
            name="legs",
            about="Call legs (get.call_legs_report): one row per leg, several per call.",
            columns=LEG_COLUMNS,
            expected=Expected(required=frozenset({"id", "call_session_id", "start_time"})),
            fetch=legs,
            identity=identity,
            start_in=start,
            alike=("start_time", "direction", "calling_phone_number", "called_phone_number", "virtual_phone_number"),
            lag=SETTLED,
            longest=LONGEST_WINDOW,
            apart=_apart,
            common=common_leg,
            gives=GIVES_LEG,
            options=(*_asking(LEGS), *_LISTING),
            table_columns=(
                *("start_time", "calling_phone_number", "called_phone_number", "duration", "is_talked", "direction"),
                *("finish_reason", "employee_full_name", "total_duration", "release_cause_code"),
                *("employee_phone_number", "virtual_phone_number", "scenario_name", "contact_full_name"),
            ),
            outcome_columns=("finish_reason", "is_talked", "is_failed"),
            examples=(
                "cdrctl callgear legs -p sandbox --since yesterday --until today -o legs.csv",
                (
                    "cdrctl callgear legs -p sandbox --since yesterday --until today --filter 'duration>60' --filter "
                    "direction=in"
                ),
            ),
        ),
        Call(
            name="calls",
            about="Calls (get.calls_report): one row per call.",
            columns=CALL_COLUMNS,
            expected=Expected(required=frozenset({"id", "start_time"})),
            fetch=calls,
            identity=identity,
            start_in=start,
            alike=("start_time", "direction", "contact_phone_number", "virtual_phone_number", "source"),
            lag=SETTLED,
            longest=LONGEST_WINDOW,
            apart=_apart,
            common=common_call,
            gives=GIVES_CALL,
            options=(
                *_asking(CALLS),
                *_LISTING,
                Option("ongoing", "calls that have not ended too; what is known of them changes", kind="flag"),
            ),
            table_columns=(
                *("start_time", "contact_phone_number", "virtual_phone_number", "talk_duration", "is_lost"),
                *("direction", "finish_reason", "last_answered_employee_full_name", "total_duration", "wait_duration"),
                *("operator_phone_number", "scenario_name", "contact_full_name", "campaign_name"),
            ),
            outcome_columns=("is_lost", "finish_reason"),
            examples=(
                "cdrctl callgear calls -p sandbox --since yesterday --until today --schema common -o calls.csv",
                "cdrctl callgear calls -p sandbox --since 24h | jq -r 'select(.is_lost) .start_time'",
            ),
        ),
        Call(
            name="costs",
            about="Costs of call legs (get.financial_call_legs_report): leg_id is the id of a leg.",
            columns=COST_COLUMNS,
            expected=Expected(required=frozenset({"leg_id", "start_time"})),
            fetch=costs,
            identity=fingerprint,
            start_in=start,
            alike=(
                "start_time",
                "direction",
                "source",
                "calling_phone_number",
                "called_phone_number",
                "direction_type",
            ),
            lag=SETTLED,
            longest=LONGEST_WINDOW,
            apart=_apart,
            options=(*_asking(COSTS), *_LISTING),
            table_columns=(
                *("start_time", "calling_phone_number", "called_phone_number"),
                *("chargeable_duration", "total_charge", "direction", "cost_per_minute", "duration", "direction_type"),
                *("bonuses_charge", "source", "leg_id"),
            ),
            examples=(
                "cdrctl callgear costs -p sandbox --since yesterday --until today -o costs.csv",
                (
                    "cdrctl callgear costs -p sandbox --since yesterday --until today | jq -r .total_charge | awk '{ "
                    "sum += $1 } END { print sum }'"
                ),
            ),
        ),
        Call(
            name="users",
            about="Users of a partner's customers (get.customer_users), whose ids are a profile's user_id.",
            columns=USER_COLUMNS,
            fetch=users,
            identity=identity,
            options=(*_asking(USERS), _PAGE_SIZE),
            table_columns=("id", "login", "name", "customer_id", "description"),
            examples=(
                "cdrctl callgear users -p sandbox -f table",
                "cdrctl callgear users -p sandbox | jq -r .id",
            ),
        ),
    ),
)
