"""The library: open a profile, and read its records in batches. See docs/library.md.

It reads the same configuration file and environment as the command line, keeps the same rate limits, and raises the
errors of `cdrctl.errors`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from cdrctl import PROVIDERS, windows
from cdrctl.connecting import SANDBOX, Connected, Surroundings, connected
from cdrctl.errors import CdrctlError, ConfigurationError, UsageError, did_you_mean
from cdrctl.export.fetching import OpenCall
from cdrctl.export.pipeline import read, schema_of
from cdrctl.export.request import ExportRequest, TypedWindow
from cdrctl.export.rows import Tally
from cdrctl.export.selection import Selection
from cdrctl.fetchers import Call, Provider, Query, load
from cdrctl.fetchers.options import call_options, default_options, lines_of_file
from cdrctl.http import Clock
from cdrctl.masking import proxy_secrets, secret_mask
from cdrctl.records.columns import Column
from cdrctl.records.events import Gap
from cdrctl.records.schemas import Schema, SchemaName

if TYPE_CHECKING:
    import pyarrow as pa

    from cdrctl.profiles.file import Profile as Written


class Batch(Struct, frozen=True):
    """Some records of a call: as many as are best read together.

    Args:
        columns: The columns, in order; None for the schema `raw`.
        rows: A list of values for each record, in the order of the columns. With `raw`, the records as they came.
    """

    columns: tuple[Column, ...] | None
    rows: Sequence[Any]
    _log: Callable[[str, str], None] = lambda _level, _text: None

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.rows)

    def to_pylist(self) -> list[dict[str, Any]]:
        """Return a dict for each record, by column name; with `raw`, the records as they came.

        Times are strings in RFC 3339, in UTC; money and other decimals are strings; lengths are in seconds.
        """
        if self.columns is None:
            return list(self.rows)
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]

    def to_arrow(self) -> pa.RecordBatch:
        """Return the records as an Arrow record batch, with the types of `-f parquet`.

        All batches of a call have the same types, so they can be joined. Times are timestamps in UTC, money and other
        decimals are decimal128. A value that does not fit its column is in `extra`, as JSON.

        Raises:
            ImportError: pyarrow is not installed.
            UsageError: The schema is `raw`, which has no columns.
        """
        from cdrctl.writers.parquet import arrow_batches

        schema = Schema(self.columns, lambda _page: ())
        _, as_batch = arrow_batches(schema, lambda text: self._log("warning", text))
        return as_batch(self.rows)


class Profile(Struct):
    """An open profile. Make one with `open_profile`.

    Args:
        name: The name of the profile.
        provider: The name of its provider.
    """

    name: str
    provider: str
    _described: Provider
    _connected: Connected
    _clock: Clock
    _log: Callable[[str, str], None]
    _mask: Callable[[str], str]
    _gaps: list[Gap] = field(default_factory=list)

    @property
    def gaps(self) -> list[Gap]:
        """What could not be fetched until now, by all calls of `records`.

        Check the gaps after `records` has ended. Each gap says which records are missing, and what to do.
        """
        return [
            Gap(self._mask(gap.what), gap.hint and self._mask(gap.hint), gap.said and self._mask(gap.said))
            for gap in self._gaps
        ]

    @property
    def calls(self) -> list[str]:
        """The calls of the provider, as `records` takes them, such as `cdrs` and `reports list`."""
        return [" ".join(filter(None, (one.group, one.name))) for one in self._described.calls]

    def records(
        self,
        call: str,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        *,
        schema: SchemaName = "native",
        fields: Sequence[str] | None = None,
        tz: str | None = None,
        limit: int | None = None,
        jobs: int = 1,
        **options: Any,
    ) -> Iterator[Batch]:
        """Yield the records of the calls that started in a window, each once, in batches.

        Args:
            call: The call, as on the command line: `cdrs`, `legs`, `reports list`.
            since: The start of the window: a word such as `yesterday` or `7d`, a time, or an aware datetime. Without
                it, the call's default.
            until: The end of the window; without it, now.
            schema: `native`, `common` or `raw`.
            fields: The columns to return, in this order; all without it.
            tz: The time zone of words and of times without an offset. Default: the profile's, or UTC.
            limit: The largest number of records.
            jobs: How many parts of the window to fetch in parallel.
            options: The call's own options, named as on the command line with `_` for `-`.

        Raises:
            UsageError: An argument makes no sense.
            CdrctlError: What the provider refuses, by its class; see `cdrctl.errors`.
        """
        described = self._call(call)
        self._check(described, call, options)
        for name, number in (("limit", limit), ("jobs", jobs)):
            if number is not None and number < 1:
                raise UsageError(f"{name} is {number}", hint="use a whole number, 1 or more")
        if not described.takes_window and (since is not None or until is not None):
            raise UsageError(f"{self.provider} {call} takes no window", hint="leave since and until out")
        request = ExportRequest(
            schema=schema,
            selection=Selection(None if fields is None else tuple(fields), limit=limit),
            window=TypedWindow(_words(since), _words(until), windows.zone(tz) if tz else None),
            jobs=jobs,
        )
        own = call_options(described, {**default_options(described), **options}, lines_of_file)
        columns = schema_of(self._described, described, self.name, request, lambda text: self._log("warning", text))
        return self._batches(described, request, columns, self._connected.query(own, request.native_fields))

    def _check(self, described: Call, call: str, options: Mapping[str, Any]) -> None:
        """Refuse a call without records, and options that it does not have.

        Raises:
            UsageError: It is one of these.
        """
        gives_file = (
            options.get(described.gives_file) if isinstance(described.gives_file, str) else described.gives_file
        )
        if gives_file:
            raise UsageError(
                f"{self.provider} {call} returns a file, not records",
                hint=f"use the command: cdrctl {self.provider} {call}",
            )
        unknown = sorted(options.keys() - {one.name for one in described.options})
        if unknown:
            names = [one.name for one in described.options]
            raise UsageError(
                f"{self.provider} {call} has no option {unknown[0]}",
                hint=f"{did_you_mean(unknown[0], names)}its options: {', '.join(names) or 'none'}",
            )

    def _call(self, name: str) -> Call:
        words = name.replace("/", " ").split()
        for one in self._described.calls:
            if [*filter(None, (one.group, one.name))] == words:
                return one
        raise UsageError(
            f"{self.provider} has no call {name}",
            hint=f"{did_you_mean(name, self.calls)}its calls: {', '.join(self.calls)}",
        )

    def _batches(self, call: Call, request: ExportRequest, schema: Schema, query: Query[Any]) -> Iterator[Batch]:
        """Yield the records that a request selects."""
        opened = OpenCall(self._described, call, self.name, query, self._clock.now, self._log)
        with _masked_errors(self._mask), closing(read(opened, request, schema, Tally(gaps=self._gaps))) as pages:
            for page in pages:
                yield Batch(schema.columns, page, self._log)


@contextmanager
def open_profile(
    name: str,
    *,
    provider: str | None = None,
    config: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    max_wait: timedelta | None = None,
    log: Callable[[str, str], None] = lambda _level, _text: None,
) -> Iterator[Profile]:
    """Open a profile of the configuration file; `sandbox`, with a provider, needs no configuration.

    Args:
        name: The name of the profile.
        provider: The provider, for `sandbox`, or to check that the profile is one of it.
        config: The configuration file; without it, the one that the command line uses.
        environ: The environment variables; without them, those of the process.
        max_wait: How long one request may wait for retries in total.
        log: Receives a level (`note`, `warning`, `debug`, `wait`) and a sentence. Sentences contain no secrets of the
            profile's settings.

    Raises:
        ConfigurationError: There is no such profile, or it cannot be used.
    """
    from cdrctl.profiles.file import config_path

    environ = os.environ if environ is None else environ
    mask, conceal = secret_mask()
    conceal(proxy_secrets(environ))

    def say(level: str, text: str) -> None:
        log(level, mask(text))

    clock = Clock()
    around = Surroundings(
        environ=environ,
        config=config_path(environ, str(config) if config is not None else None),
        clock=clock,
        log=say,
        conceal=conceal,
        max_wait=max_wait,
    )
    with _masked_errors(mask):
        profile = None if name == SANDBOX else _read(around, name, provider)
        described = load(_known(profile.provider if profile is not None else provider))
        with connected(around, described, name, profile) as one:
            yield Profile(one.name, described.name, described, one, clock, say, mask)


@contextmanager
def _masked_errors(mask: Callable[[str], str]) -> Iterator[None]:
    """Hide secrets in the errors that leave this block: a provider may repeat them, and a URL may hold them."""
    try:
        yield
    except CdrctlError as error:
        error.message = mask(error.message)
        error.said = error.said and mask(error.said)
        error.hint = error.hint and mask(error.hint)
        error.args = (error.message,)
        raise


def _read(around: Surroundings, name: str, provider: str | None) -> Written:
    """Return a profile as it is written.

    Raises:
        ConfigurationError: There is none, or it is of another provider.
    """
    from cdrctl.profiles.choosing import choose_profile
    from cdrctl.profiles.settings import known_profiles

    found, warnings = known_profiles(around.config, around.environ, around.conceal)
    for warning in warnings:
        around.log("warning", warning)
    return choose_profile(found, provider, name, around.environ)


def _known(provider: str | None) -> str:
    """Return the name of a provider.

    Raises:
        ConfigurationError: There is no such provider, or none was named.
    """
    if provider is None:
        raise ConfigurationError("the sandbox imitates every provider", hint="name one: provider='webex'")
    if provider not in PROVIDERS:
        raise ConfigurationError(f"there is no provider {provider}", hint=f"they are: {', '.join(PROVIDERS)}")
    return provider


def _words(moment: str | datetime | None) -> str | None:
    """Return an instant in the words of a window.

    Raises:
        UsageError: A datetime has no time zone.
    """
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise UsageError(f"{moment} has no time zone", hint="use an aware datetime, or a string and tz")
        return moment.isoformat()
    return moment
