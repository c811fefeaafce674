"""What a provider is, as values: its settings, its calls, their columns and options. `cdrctl.PROVIDERS` lists all.

One provider is one package in this one. Adding one means that package, a line in that list and an imitation in the
sandbox: the command line, the profiles and the tests read these values and know no provider by name.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from msgspec import Struct, field

from cdrctl import PROVIDERS
from cdrctl.duplicates import Span
from cdrctl.errors import CdrctlError, ConfigurationError, did_you_mean
from cdrctl.fetchers.details import Details, Known
from cdrctl.fetchers.searching import Searched
from cdrctl.placeholders import FIRST_YEAR
from cdrctl.records.batches import KeyFields, key_columns
from cdrctl.records.columns import NOTHING_EXPECTED, Column, Expected
from cdrctl.records.events import Event, Record, Value, fingerprint
from cdrctl.windows import Window

if TYPE_CHECKING:
    from cdrctl.fetchers.settings import Settings
    from cdrctl.http import Answer, Client, Clock, Log, Outages, RateStore, Request, RetryPolicy, Token, TokenStore
    from cdrctl.http.oauth import Attempt
    from cdrctl.http.transport import Transport
    from cdrctl.records.parts import Joins


class Option(Struct, frozen=True):
    """An option or argument of one call, in addition to the shared options.

    Args:
        name: Its name with underscores, as in `Query.options`; on the command line it has dashes.
        about: One phrase for the help.
        kind: `text`, `integer`, `duration` (a timedelta in the query), `flag`, or `file` (an iterator of its lines as
            bytes; `-` is standard input).
        repeat: It may be given several times; the query has a tuple.
        argument: It is a required positional argument.
        default: Its default, written as on the command line.
        values: Its values, or their beginnings if they end with `=`. They are offered by completion, not enforced.
        selects: It decides which records come, so that a response without a record does not mean that it is gone.
        archivable: An archive may use it.
    """

    name: str
    about: str
    kind: Literal["text", "integer", "duration", "flag", "file"] = "text"
    repeat: bool = False
    argument: bool = False
    default: str | None = None
    metavar: str | None = None
    values: tuple[str, ...] = ()
    selects: bool = False
    archivable: bool = True


class Console(Struct, frozen=True):
    """Where users find the credential of one authentication method.

    Args:
        title: The usual name of the credential, and how long it is valid.
        steps: The steps in the vendor's own console, in order, a sentence each.
        rights: The rights it needs to read calls.
        asks: Further settings that `init` asks for; of several in one tuple, one is enough.
    """

    title: str
    steps: tuple[str, ...]
    rights: str = ""
    asks: tuple[tuple[str, ...], ...] = ()


Once = Callable[[str], bool]
"""True only the first time it is called with a given name, in any thread: for what an export does once."""


def always(_name: str) -> bool:
    """Always true: this export is not split into parallel parts."""
    return True


CENTURY = range(FIRST_YEAR, 2100)
"""The years in which calls can have started."""

S = TypeVar("S")


class Query(Struct, Generic[S], frozen=True):
    """What a fetcher is called with. It is generic over the settings of the provider's profiles.

    Args:
        client: The client of the profile; None for a call that is offline.
        settings: The settings of the profile; None for a call that is offline.
        period: The window, or None for a call that takes none. A fetcher reads `window`.
        options: The call's own options by name, as described by `Option`.
        fields: The native columns that will be written; None for all.
        strict: Raise DriftError if a list of fields in the request would hide a new field.
        once: True for the first part of a window in parallel parts that calls it with a given name.
        whole: The window that was split into parallel parts; None if this query is not a part.
        known: The details of records that an archive has, if the query is of one; then records come also where their
            details cannot be fetched.
    """

    client: Client
    settings: S
    period: Window | None
    options: Mapping[str, Any]
    fields: Sequence[str] | None = None
    strict: bool = False
    once: Once = always
    whole: Window | None = None
    known: Known | None = None

    @property
    def window(self) -> Window:
        """The window of a call that takes one.

        Raises:
            TypeError: The call takes none: its fetcher must not read it.
        """
        if self.period is None:
            raise TypeError("this call takes no window")
        return self.period


Fetch = Callable[[Query[Any]], Iterator[Event]]
"""From a query to events."""


class Gives(Struct, frozen=True):
    """What a call can give in the common CDR: the data behind `cdrctl help outcomes` and the notes of `--where`.

    Args:
        outcomes: The values that `outcome` can have.
        directions: The values that `direction` can have.
        null: The columns that are always null.
    """

    outcomes: frozenset[str]
    directions: frozenset[str]
    null: frozenset[str] = frozenset()


def _serial(_options: Mapping[str, Any]) -> timedelta | None:
    return None


class Timing(Struct, frozen=True):
    """When the records of a call are available, and what windows its requests may have.

    Args:
        lag: How long after the end of a call its record is certain to be available.
        refuses_newer: The provider rejects times later than `lag` before now, so the window is cut there.
        lookback: How long after the start of a call its record may still appear or change. An archive re-reads it.
        retention: How long the provider keeps a record after the start of its call; None if no limit is known.
        default_since: The start of the window without `--since`.
        longest: The longest window of one request; None for no limit.
        margin: How far beyond the window the requests reach, so that the window is complete.
        first: The kind of a window's first request, by its name in the provider's rate limits.
        min_parallel_window: From the options to the shortest part of a window that is worth a parallel request; None to
            fetch the window serially.
        serial_because: Why the window is fetched serially.
    """

    lag: timedelta = timedelta(0)
    refuses_newer: bool = False
    lookback: timedelta = timedelta(hours=24)
    retention: timedelta | None = None
    default_since: str = "24h"
    longest: timedelta | None = None
    margin: timedelta = timedelta(0)
    first: str = "page"
    min_parallel_window: Callable[[Mapping[str, Any]], timedelta | None] = _serial
    serial_because: str = "it is not known to take more"


class Call(Struct, frozen=True):
    """One call of a provider's API: its fetcher, its columns, and what the rest of the program must know of it.

    Args:
        name: The command's name.
        about: One line for the help.
        columns: The columns of `native`, in order. They do not depend on the records.
        fetch: The fetcher. It may yield records outside the window, and records twice: `export.rows` cuts on `start`
            and drops duplicates by `identity`.
        identity: The id of a record within the page's context. Records with the same id and different content are
            all kept, with a warning. Without it, the content is the id.
        stands_for_many: Records with the same id may differ; only the first is kept.
        searches: The window limits a search: not every record of the window is returned.
        start: The start of a record's call, or None if it cannot be read; such a record is kept. Leave it out for calls
            without a window.
        start_in: Like `start`, for times that need the page's context, such as its time zone.
        timing: When the records are available, and what windows the requests may have.
        common: From native values by column name to values of the common CDR; None for a call that is not a CDR.
        gives: What `common` can return; required with `common`.
        options: Options of this call, in addition to the shared ones.
        table_columns: The columns of a table without `--fields`, the most important first.
        outcome_columns: The columns that a table colours by the outcome of the call.
        examples: Two command lines for the help. They work against the sandbox.
        group: The command's group, such as `reports`.
        offline: It sends no request and needs no profile.
        expected: What records are expected to look like, apart from their columns.
        key_fields: The fields by which records are read column by column; None if they cannot be.
        gives_file: It yields a file, which `-o` names: always, or only with the flag of this name.
        changed: What it may have changed at the provider when it is interrupted; empty if it only reads.
        alike: The columns that identify a call if its record got a new id: its start, then its parties and type.
        account_column: The column that names the account of a record; empty if there is none.
        further_context: What the context of a page has after the `@` keys of the columns, without options of the call.
        details: The columns that only further requests fill in; None if there are none.
        beside: An archive keeps it beside the main call, where the provider has it.
        searched: How an archive is searched instead of the provider; None if that is not possible.
    """

    name: str
    about: str
    columns: tuple[Column, ...]
    fetch: Fetch
    identity: Callable[[Record], str] = fingerprint
    start: Callable[[Record], datetime | None] | None = None
    start_in: Callable[[Record, Mapping[str, str]], datetime | None] | None = None
    searches: bool = False
    timing: Timing = Timing()
    common: Callable[[dict[str, Value]], dict[str, Value]] | None = None
    gives: Gives | None = None
    options: tuple[Option, ...] = ()
    table_columns: tuple[str, ...] = ()
    outcome_columns: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    group: str = ""
    offline: bool = False
    gives_file: bool | str = False
    changed: str = ""
    expected: Expected = NOTHING_EXPECTED
    key_fields: KeyFields | None = None
    alike: tuple[str, ...] = ()
    account_column: str = ""
    stands_for_many: bool = False
    further_context: Mapping[str, str] = field(default_factory=dict)
    details: Details | None = None
    beside: bool = False
    searched: Searched | None = None

    @property
    def windowed(self) -> bool:
        """Whether it has a window on the start of the call."""
        return self.start is not None or self.start_in is not None

    @property
    def archived(self) -> bool:
        """Whether an archive can keep it."""
        return self.windowed and not self.group

    @property
    def takes_window(self) -> bool:
        """Whether `--since` and `--until` are options of it."""
        return self.windowed or self.searches

    def starts(self, record: Record, context: Mapping[str, str], latest: datetime | None = None) -> datetime | None:
        """Return the start of a record's call, as a UTC instant, or None where it cannot be read or cannot be true.

        A time before 2000, or after `latest`, is not the start of a call: its unit or its meaning has changed, or a
        counter overflowed. If it were believed, the record would be dropped as one of another window.
        """
        found = self.start_in(record, context) if self.start_in is not None else self.start and self.start(record)
        return found if found is not None and possible_start(found, latest) else None


CLOCK_TOLERANCE = timedelta(hours=26)
"""A start further than this after the provider's present cannot come from wrong clocks or time zones."""


def possible_start(start: datetime, latest: datetime | None = None) -> bool:
    """Return whether a call can have started at an instant: from 2000 on, and not after `latest`."""
    return start.year in CENTURY and (latest is None or start <= latest)


def identities(records: Sequence[Record], identity: Callable[[Record], str]) -> Sequence[str]:
    """Return the id of each record."""
    batch = key_columns(records)
    if batch is not None:
        with suppress(ValueError):
            return batch.identities
    return list(map(identity, records))


NO_CONTEXT: Mapping[str, str] = {}


def span_of(records: Sequence[Record], context: Mapping[str, str] = NO_CONTEXT) -> Span | None:
    """Return the first and the last start of the calls of a page, or None if its starts are not read by column."""
    batch = key_columns(records)
    if batch is not None and len(batch):
        with suppress(ValueError):
            starts = batch.starts_in(context)
            return min(starts), max(starts)
    return None


class Login(Struct, frozen=True):
    """A sign-in with a browser: OAuth's authorization code with PKCE.

    The authentication method needs the settings `client_id` and `client_secret`; the profile also has `redirect_uri`.

    Args:
        way: The name of the authentication method.
        page: From the settings and an attempt to the URL of the page on which the user grants access.
        exchange: From the settings, the attempt, its code and the present instant: yields requests, receives their
            responses, returns the token. Raises SignInError.
    """

    way: str
    page: Callable[[Any, Attempt], str]
    exchange: Callable[[Any, Attempt, str, datetime], Generator[Request, Answer, Token]]


def _default_policy() -> RetryPolicy:
    from cdrctl.http import RetryPolicy

    return RetryPolicy()


def own_origin(settings: Settings, url: str) -> bool:
    """Return whether a URL has the scheme, host and port of the profile's base_url."""
    from cdrctl.http import same_origin

    return same_origin(settings.base_url, url)


def empty_object(_path: str, _body: Any) -> Any:
    """Return an empty JSON object."""
    return {}


class Provider(Struct, frozen=True):
    """A provider: its settings, how to sign in, its rate limits, its errors and its calls.

    Args:
        name: As typed.
        title: As printed in messages.
        settings: The model of its profile.
        auth_methods: The methods of authentication by name, each with the settings it needs; the default first.
        sign_in: From the settings, the expired token (None at first) and the present: yields requests, receives their
            responses, returns the new token. Raises SignInError; NAME in its hint stands for the profile.
        calls: Its calls, the main one first.
        retry_policy: The published rate limits, and which failures to retry. Without it there is no rate limit, and
            408, 425, 429 and 5xx are retried.
        error_for: From a response to the error it stands for; None for a good one. Without it the status decides.
        allows_url: Whether a URL may receive this profile's credential. Without it, only URLs of its base_url's origin.
        credential_help: Where to find the credential, by authentication method.
        allow_list_hint: How to add this machine's address to the allow list; empty if there is none.
        retention_note: What is known about retention where the calls have no published limit.
        sign: Adds the token to a request; None to send the token's headers.
        ended: Whether a response says that the token expired; None for status 401.
        empty_response: From path and body to the response of an account without records, or to a token of masks for a
            sign-in. `--dry-run` uses it. Without it, `{}`, at which a dry run ends.
        check: Sends one small request and returns a sentence about the result. Without it, the first page of the main
            call's last hour.
        login: How to sign in with a browser; None if that is not possible.
        account_settings: The settings that identify the account. None is a secret.
        key_settings: The settings that change with the account and with a renewed key. No password is among them.
    """

    name: str
    title: str
    settings: type[Settings]
    auth_methods: Mapping[str, tuple[str, ...]]
    sign_in: Callable[[Any, Token | None, datetime], Generator[Request, Answer, Token]]
    calls: tuple[Call, ...]
    retry_policy: RetryPolicy = field(default_factory=_default_policy)
    error_for: Callable[[Answer], CdrctlError | None] | None = None
    allows_url: Callable[[Any, str], bool] = own_origin
    empty_response: Callable[[str, Any], Any] = empty_object
    check: Callable[[Client, Any], str] | None = None
    credential_help: Mapping[str, Console] = field(default_factory=dict)
    allow_list_hint: str = ""
    retention_note: str = ""
    keeps_tokens: bool = False
    sign: Callable[[Request, Token], Request] | None = None
    ended: Callable[[Answer], bool] | None = None
    login: Login | None = None
    account_settings: tuple[str, ...] = ()
    key_settings: tuple[str, ...] = ()

    def call(self, name: str, group: str = "") -> Call:
        """Return the call of this name."""
        return next(call for call in self.calls if (call.group, call.name) == (group, name))


def check_access(provider: Provider, client: Client, settings: Any) -> str:
    """Send one small request of a profile and return a sentence about the result.

    Raises:
        CdrctlError: The profile cannot be used.
    """
    if provider.check is not None:
        return provider.check(client, settings)
    from cdrctl.fetchers.defaults import check_first_call

    return check_first_call(provider, client, settings)


def connect(
    provider: Provider,
    settings: Settings,
    *,
    clock: Clock,
    log: Log,
    conceal: Callable[[Sequence[str]], None],
    token_store: TokenStore | None = None,
    rate_store: RateStore | None = None,
    max_wait: timedelta | None = None,
    outages: Outages | None = None,
    transport: Transport | None = None,
) -> Client:
    """Return the client of one profile for one run; `max_wait` overrides the profile's."""
    from cdrctl.http import Api, Limits, error_of, open_client, sign_headers, unauthorized

    api = Api(
        title=provider.title,
        base_url=settings.base_url,
        retry_policy=provider.retry_policy,
        sign_in=functools.partial(provider.sign_in, settings),
        error_for=provider.error_for or functools.partial(error_of, provider.title),
        allows_url=functools.partial(provider.allows_url, settings),
        sign=provider.sign or sign_headers,
        ended=provider.ended or unauthorized,
    )
    limits = Limits(
        requests_per_minute=settings.requests_per_minute,
        timeout=settings.timeout,
        max_wait=settings.max_wait if max_wait is None else max_wait,
        largest=settings.largest_page_mb * 1024 * 1024,
        ca_file=settings.ca_file,
    )
    return open_client(
        api,
        limits,
        token_store=token_store,
        rate_store=rate_store,
        clock=clock,
        log=log,
        conceal=conceal,
        outages=outages,
        transport=transport,
    )


def load(name: str) -> Provider:
    """Return the provider of this name, importing its module only now.

    Raises:
        ConfigurationError: There is no such provider.
    """
    if name not in PROVIDERS:
        raise ConfigurationError(
            f"there is no provider {name!r}",
            hint=f"{did_you_mean(name, PROVIDERS)}the providers are: {', '.join(PROVIDERS)}",
        )
    provider: Provider = importlib.import_module(f"cdrctl.fetchers.{name}").PROVIDER
    return provider


def joins_of(provider: str) -> Mapping[str, Joins]:
    """Return how the records of a provider join into whole calls, by the name of their call; the default is first."""
    found: Mapping[str, Joins] = importlib.import_module(f"cdrctl.fetchers.{provider}.parts").JOINS
    return found


def default_joins(provider: str) -> Joins:
    """Return how the records of a provider's default call join."""
    return next(iter(joins_of(provider).values()))


__all__ = [
    "PROVIDERS",
    "Call",
    "Console",
    "Details",
    "Fetch",
    "Gives",
    "Known",
    "Option",
    "Provider",
    "Query",
    "Timing",
    "check_access",
    "connect",
    "default_joins",
    "joins_of",
    "load",
]
