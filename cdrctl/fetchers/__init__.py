"""What a provider is, as values: its settings, its calls, their columns and options. `cdrctl.PROVIDERS` lists all.

One provider is one file of this package. Adding one means that file, a line in that list and an imitation in the
sandbox: the command line, the profiles and the tests read these values and know no provider by name.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from cdrctl import PROVIDERS
from cdrctl.errors import CdrctlError, ConfigurationError, near
from cdrctl.placeholders import FIRST_YEAR
from cdrctl.records import NOTHING_EXPECTED, Column, Event, Expected, KeyFields, Record, Value, key_columns
from cdrctl.seen import Span
from cdrctl.windows import Window

if TYPE_CHECKING:
    import httpx

    from cdrctl.fetchers.settings import Settings
    from cdrctl.http import Answer, Client, Clock, Log, RateStore, Request, RetryPolicy, Token, TokenStore
    from cdrctl.http.oauth import Attempt


@dataclass(frozen=True, slots=True)
class Option:
    """An option or argument of one call, beside those that every call has.

    Args:
        name: With underscores, as the fetcher finds it in its options; on the command line with dashes.
        about: One phrase for the help.
        kind: `text`, `integer`, `duration` (given to the fetcher as a timedelta), `flag`, or `file` (the fetcher gets
            its lines, as an iterator of bytes; `-` is standard input).
        repeat: May be given several times; the fetcher gets a tuple.
        argument: It is a positional argument and must be given.
        default: What the fetcher gets when it is not given, written as on the command line.
        values: The values it may have, or how they begin where they end with `=`: for completion, and not refused here.
    """

    name: str
    about: str
    kind: Literal["text", "integer", "duration", "flag", "file"] = "text"
    repeat: bool = False
    argument: bool = False
    default: str | None = None
    metavar: str | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Console:
    """Where the credential of one way to sign in is found, for somebody who has never looked for it.

    Args:
        title: The credential as people call it, and how long it is good for.
        steps: What to do in the vendor's own console, in order, a sentence each.
        rights: What it must be allowed to do to read calls.
        asks: Settings beside those of the way that are worth a question; of several in one tuple one is enough.
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

Fetch = Callable[[Any, Any, Window | None, Mapping[str, Any]], Iterator[Event]]
"""From a client, settings, window and options to pieces; client and settings are None for a call that asks nobody."""


@dataclass(frozen=True, slots=True)
class Gives:
    """What a call can give in the common CDR: the data behind `cdrctl help outcomes` and the notes of `--where`.

    Args:
        outcomes: The values that `outcome` can have.
        directions: The values that `direction` can have.
        null: The columns that are always null.
    """

    outcomes: frozenset[str]
    directions: frozenset[str]
    null: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a provider's API, as data around one generator.

    Args:
        name: The command's name.
        about: One line for the help.
        columns: The columns of `native`, in order; the same on every run, whatever came.
        fetch: From a client, the settings, the window (None where the call has none) and the options to the pieces:
            pages of raw records, gaps and notes. It may yield records outside the window and records twice: the loop
            in `export` cuts on `start` and drops what `identity` has shown before. Among the options is `fields`: the
            native columns that will be written, or None for all, for a provider that can send fewer; and `strict`: to
            raise DriftError if a list of fields in the request hides a field that is new. Where a window is
            asked for in parts there are `once`, which is true the first time that any part calls it with a given name,
            and `whole`, the window that the parts make up.
        identity: What makes a record this record; the page's context is added by the loop. Records of one identity and
            different content are all kept, with a warning.
        stands_for_many: Records of one identity may differ, and the first one stands for all of them.
        searches: It takes a window to search in, and gives what it found there: not every record of the window.
        start: The start of the record's call, or None where it cannot be read; a record without a readable start is
            kept. Left out for calls that have no window.
        start_in: The same where the page's context is needed to read it, such as the zone of its times.
        lag: How long after the end of a call the provider can be relied upon to have its record.
        common: From typed native values by column name to values of the common CDR, or None where it has no meaning.
        gives: What `common` can give; set wherever `common` is.
        refuses_newer: Whether the provider refuses times that are later than `lag` before now: only then is a window
            that reaches to now cut.
        default_since: Where the window begins when nothing is said: shorter where the provider keeps less.
        options: What this call takes beside the shared options.
        table_columns: The columns a table shows when no fields are asked for, as far as they have room: the first ones first.
        outcome_columns: The columns that say how a call ended, which a table colours by the outcome that `common` gives.
        examples: Two command lines for its help, as they are typed, which work against the sandbox.
        group: The command's group between provider and name, such as `reports`; empty for none.
        offline: It asks nobody: it needs no profile.
        lookback: How long after the start of a call its record may still come or change, as far as is known: an
            archive reads it again until then.
        retention: How long the provider keeps a record after the start of its call; None where no limit is known.
        longest: The longest window that one request may ask for; None where one request may ask for all.
        margin: How much more than the window is asked for, so that it is complete.
        first: The kind of the first request of a window, as the provider's budgets name it.
        expected: What is known of its records beside their columns.
        key_fields: The fields by which its records can be read column by column, where that is possible.
        apart: From the options to the shortest part of a window that is worth asking for by itself, beside others at
            the same time, or to the reason why parts must be asked for one after the other.
        gives_file: It yields a file, which -o names: always, or when the flag of this name is given.
        alike: The columns that tell whether two records with different identities are of the same call: first the
            column of its start, then those of its parties and its type.
        account_column: The column that names the account a record is of, where there is one.
    """

    name: str
    about: str
    columns: tuple[Column, ...]
    fetch: Fetch
    identity: Callable[[Record], str]
    start: Callable[[Record], datetime | None] | None = None
    start_in: Callable[[Record, Mapping[str, str]], datetime | None] | None = None
    searches: bool = False
    lag: timedelta = timedelta(0)
    default_since: str = "24h"
    common: Callable[[dict[str, Value]], dict[str, Value]] | None = None
    gives: Gives | None = None
    options: tuple[Option, ...] = ()
    table_columns: tuple[str, ...] = ()
    outcome_columns: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    group: str = ""
    offline: bool = False
    gives_file: bool | str = False
    lookback: timedelta = timedelta(hours=24)
    retention: timedelta | None = None
    longest: timedelta | None = None
    margin: timedelta = timedelta(0)
    first: str = "page"
    expected: Expected = NOTHING_EXPECTED
    key_fields: KeyFields | None = None
    apart: Callable[[Mapping[str, Any]], timedelta | str] = lambda _options: "it is not known to take more"
    alike: tuple[str, ...] = ()
    account_column: str = ""
    stands_for_many: bool = False
    refuses_newer: bool = False

    @property
    def windowed(self) -> bool:
        """Whether it has a window on the start of the call."""
        return self.start is not None or self.start_in is not None

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
"""A start so far after the provider's present is not explained by clocks or records in the wrong time zone."""


def possible_start(start: datetime, latest: datetime | None = None) -> bool:
    """Return whether a call can have started at an instant: from 2000 on, and not after `latest`."""
    return start.year in CENTURY and (latest is None or start <= latest)


def identities(records: Sequence[Record], identity: Callable[[Record], str]) -> Sequence[str]:
    """Return what makes each record this record."""
    sheet = key_columns(records)
    return sheet.identities if sheet is not None else list(map(identity, records))


def span_of(records: Sequence[Record]) -> Span | None:
    """Return the first and the last start of the calls of a page, where they can be had at a glance."""
    sheet = key_columns(records)
    if sheet is not None and len(sheet):
        with suppress(ValueError):
            return sheet.span(sheet.key_fields.start)
    return None


@dataclass(frozen=True, slots=True)
class Login:
    """How a person signs in with a browser, where a provider has that: OAuth's authorization code with PKCE.

    Its way to sign in needs the settings `client_id` and `client_secret`; the profile also has `redirect_uri`.

    Args:
        way: Its name among the provider's ways to sign in.
        page: From the settings and an attempt to the URL of the page on which the person lets the program in.
        exchange: From the settings, the attempt, its code and the present instant; yields requests, is sent their
            answers, returns the token. Raises SignInError where there is none.
    """

    way: str
    page: Callable[[Any, Attempt], str]
    exchange: Callable[[Any, Attempt, str, datetime], Generator[Request, Answer, Token]]


@dataclass(frozen=True, slots=True)
class Provider:
    """Everything the rest of the program needs to know of a provider.

    Args:
        name: As typed.
        title: As said in messages.
        settings: The model of its profile.
        auth_methods: The ways to sign in by name, each with the settings it needs, the usual one first.
        sign_in: Yields requests, is sent their answers, returns the token to use. Given the token that has ended, or
            None at first. Raises SignInError where it cannot; in its hint, the profile is NAME.
        manners: The published budget and the ways to wait of this provider.
        error_for: From any answer to the error it means, or None when it is good.
        allows_url: Whether a URL may be sent this profile's credential.
        credential_help: By way to sign in, where its credential is found.
        allow_list_hint: How this machine's address gets into the allow-list; empty where there is none.
        retention_note: What is known of how long it keeps records, where no call has a limit that is published.
        sign: From a request and a token to the request that carries it; None for the token's headers.
        ended: Whether an answer says that the token has ended; None for the status 401.
        empty_response: From the path and the body of a request to what the API answers where it has nothing, and to a token of
            masks where a sign-in is asked for: what a run is rehearsed with.
        check: Makes one small request and returns a sentence about what it found.
        calls: Its calls, the main one first.
        login: How a person signs in with a browser, or None.
        account_settings: The settings that name the account: none of them is a secret.
        key_settings: The settings that change with the account, and also when a key of the same account is renewed;
            no password is among them.
    """

    name: str
    title: str
    settings: type[Settings]
    auth_methods: Mapping[str, tuple[str, ...]]
    sign_in: Callable[[Any, Token | None, datetime], Generator[Request, Answer, Token]]
    retry_policy: RetryPolicy
    error_for: Callable[[Answer], CdrctlError | None]
    allows_url: Callable[[Any, str], bool]
    empty_response: Callable[[str, Any], Any]
    check: Callable[[Client, Any], str]
    calls: tuple[Call, ...]
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


def connect(
    provider: Provider,
    settings: Settings,
    *,
    clock: Clock,
    log: Log,
    conceal: Callable[[Sequence[str]], None],
    shelf: TokenStore | None = None,
    rate_store: RateStore | None = None,
    max_wait: timedelta | None = None,
    transport: httpx.BaseTransport | None = None,
) -> Client:
    """Return the client of one profile for one run; `max_wait` takes the place of the profile's own."""
    from cdrctl.http import Client, sign_headers, unauthorized

    return Client(
        title=provider.title,
        base_url=settings.base_url,
        retry_policy=provider.retry_policy,
        sign_in=functools.partial(provider.sign_in, settings),
        explain=provider.error_for,
        trusts=functools.partial(provider.allows_url, settings),
        sign=provider.sign or sign_headers,
        ended=provider.ended or unauthorized,
        requests_per_minute=settings.requests_per_minute,
        timeout=settings.timeout,
        max_wait=settings.max_wait if max_wait is None else max_wait,
        largest=settings.largest_page_mb * 1024 * 1024,
        ca_file=settings.ca_file,
        shelf=shelf,
        rate_store=rate_store,
        clock=clock,
        log=log,
        conceal=conceal,
        transport=transport,
    )


def load(name: str) -> Provider:
    """Return the provider of this name, importing its file only now.

    Raises:
        ConfigurationError: There is no such provider.
    """
    if name not in PROVIDERS:
        raise ConfigurationError(
            f"there is no provider {name!r}",
            hint=f"{near(name, PROVIDERS)}the providers are: {', '.join(PROVIDERS)}",
        )
    provider: Provider = importlib.import_module(f"cdrctl.fetchers.{name}").PROVIDER
    return provider


__all__ = [
    "PROVIDERS",
    "Call",
    "Console",
    "Fetch",
    "Gives",
    "Option",
    "Provider",
    "connect",
    "load",
]
