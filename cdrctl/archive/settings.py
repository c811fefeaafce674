"""The settings of an archive: `archive.toml` in its folder, read and checked in one place.

The layout, the zone and the format are chosen once. Tables say what `sync` does besides fetching what is new:

    [retain]
    days = 400

    [sweep]
    days = 7
    every = "7d"            # or a weekday

    [profiles.acme.sweep]
    days = 30

    [calls]
    store = true            # whole calls beside their legs

    [providers.portsip.cdrs]
    with_cost = true        # options of a call, for all profiles of a provider

    [profiles.acme]
    sync = ["cdrs"]         # the calls that sync fetches without --call

    [profiles.acme.cdrs]
    filter = "direction eq 'INBOUND_CALL'"
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import Struct, field

from cdrctl import PROVIDERS, windows
from cdrctl.archive.opening import read_file
from cdrctl.errors import ConfigurationError, UsageError, did_you_mean

NAME = "archive.toml"
FORMATS = ("parquet", "jsonl", "jsonl.gz", "csv", "csv.gz")
FIRST_LAYOUT, LAYOUT = 1, 2
"""The layout of archives that earlier versions created, and that of new ones."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MOST_DAYS = 36_525
"""The most days of a policy: a century."""


def check_installed(form: str | None) -> None:
    """Check that what writes a format is installed; None means the default, for which it is.

    Raises:
        ConfigurationError: It is not.
    """
    if form == "parquet" and find_spec("pyarrow") is None:
        raise without_pyarrow()


def without_pyarrow() -> ConfigurationError:
    """Return the error of an archive that cannot be used without pyarrow."""
    return ConfigurationError(
        "an archive of Parquet files needs the package pyarrow, which is not installed",
        hint="pip install 'cdrctl[parquet]'",
    )


class SweepPolicy(Struct, frozen=True):
    """How often `sync` re-reads days that are settled.

    Args:
        days: How many days before the lookback; 0 for none.
        every: The time from one sweep to the next; None if `weekday` is given.
        weekday: The day of the week, 0 for Monday; None if `every` is given.
    """

    days: int
    every: timedelta | None = timedelta(days=7)
    weekday: int | None = None


class ProfileSettings(Struct, frozen=True):
    """The settings of an archive for one profile.

    Args:
        sweep: Its sweeps; None for those of the archive.
        sync: The calls that are fetched without `--call`; None for the usual ones.
        calls: The options of its calls by the name of the call, as they were read: `options.call_options_of` checks
            them.
    """

    sweep: SweepPolicy | None = None
    sync: tuple[str, ...] | None = None
    calls: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Settings(Struct, frozen=True):
    """The settings of an archive.

    Args:
        zone: The zone of its days.
        form: The format of its files.
        layout: Their layout.
        pseudonymised: It is a copy with pseudonyms in place of numbers and names, and gets no records of a provider.
        retain_days: How many days are kept; None for all.
        sweep: How often `sync` re-reads days that are settled; None for never.
        store_calls: Whether `sync` stores whole calls beside their legs.
        profiles: The settings for single profiles, by name.
        providers: The settings for all profiles of a provider, by its name.
        tables: The tables of the file as they were read, for copies of the archive.
    """

    zone: str
    form: str
    layout: int = LAYOUT
    pseudonymised: bool = False
    retain_days: int | None = None
    sweep: SweepPolicy | None = None
    store_calls: bool = False
    profiles: Mapping[str, ProfileSettings] = field(default_factory=dict)
    providers: Mapping[str, ProfileSettings] = field(default_factory=dict)
    tables: Mapping[str, Any] = field(default_factory=dict)

    def sweep_of(self, profile: str) -> SweepPolicy | None:
        """Return how often `sync` re-reads settled days of a profile; None for never."""
        own = self.profiles.get(profile, ProfileSettings()).sweep
        policy = self.sweep if own is None else own
        return policy if policy is not None and policy.days else None


def read_settings(path: Path) -> Settings:
    """Return the settings in an `archive.toml`.

    Raises:
        FileNotFoundError: There is none.
        UsageError: It cannot be read, or has an unknown key or a wrong value.
    """
    try:
        plain = tomllib.loads(read_file(path).decode())
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path} cannot be read: {reason}", hint=_USUAL) from None
    top = _Table(path, "", plain)
    layout = top.number("layout", 1, default=FIRST_LAYOUT)
    if layout not in {FIRST_LAYOUT, LAYOUT}:
        raise UsageError(
            f"{path} has the layout {layout}, which this version cannot read",
            hint="use the version of cdrctl that created the archive, or a newer one",
        )
    top.check_keys("layout", "zone", "format", "pseudonymised", "retain", "sweep", "calls", "profiles", "providers")
    zone, form = top.text("zone"), top.text("format")
    windows.zone(zone)
    if form not in FORMATS or (layout == FIRST_LAYOUT and form == "parquet"):
        raise UsageError(
            f"{path} has an unknown format: {form}", hint=f"the formats of archives are: {', '.join(FORMATS)}"
        )
    retain, profiles, providers = (top.table(name) for name in ("retain", "profiles", "providers"))
    return Settings(
        zone,
        form,
        layout,
        top.flag("pseudonymised"),
        None if retain is None else _retain_days(retain),
        _sweep_policy(top.table("sweep"), None),
        _store_calls(top.table("calls")),
        {} if profiles is None else _profiles(profiles, top.table("sweep")),
        {} if providers is None else _providers(providers),
        MappingProxyType({name: value for name, value in plain.items() if isinstance(value, dict)}),
    )


def settings_text(settings: Settings) -> bytes:
    """Return the content of an `archive.toml`."""
    named = {"layout": settings.layout, "zone": settings.zone, "format": settings.form}
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in named.items())
    if settings.pseudonymised:
        text += "pseudonymised = true\n"
    if settings.tables:
        import tomlkit

        text += f"\n{tomlkit.dumps(dict(settings.tables))}"
    return f"# What the files of this archive are; chosen once.\n{text}".encode()


_USUAL = 'it should begin with three lines: layout = 2, zone = "UTC" and format = "jsonl.gz"'


class _Table(Struct, frozen=True):
    """A table of `archive.toml`, for messages with its name and that of the file."""

    path: Path
    name: str
    values: Mapping[str, Any]

    def check_keys(self, *known: str) -> None:
        """Check that there are no other keys.

        Raises:
            UsageError: There is another one.
        """
        for key in self.values:
            if key not in known:
                hint = f"{did_you_mean(key, known)}the keys {self._where} are: {', '.join(known)}"
                raise UsageError(f"{self.path}: unknown key {key!r:.60} {self._where}", hint=hint)

    @property
    def _where(self) -> str:
        return f"in [{self.name}]" if self.name else "at the top"

    def error(self, key: str, what: str, hint: str) -> UsageError:
        """Return the error of a wrong value; `what` says what it should be."""
        place = f"{key} {self._where}" if self.name else key
        if key not in self.values:
            return UsageError(f"{self.path}: {place} is missing", hint=hint)
        return UsageError(f"{self.path}: {place} is not {what}: {self.values[key]!r:.60}", hint=hint)

    def text(self, key: str) -> str:
        """Return a value that is text."""
        value = self.values.get(key)
        if not isinstance(value, str):
            raise self.error(key, "text", _USUAL)
        return value

    def flag(self, key: str) -> bool:
        """Return a value that is true or false; false if it is missing."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise self.error(key, "true or false", f"write: {key} = true")
        return value

    def number(self, key: str, least: int, *, default: int | None = None) -> int:
        """Return a value that is a whole number."""
        value = self.values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MOST_DAYS:
            raise self.error(key, f"a whole number, {least} or more", f"write: {key} = 7" if self.name else _USUAL)
        return value

    def table(self, key: str) -> _Table | None:
        """Return a table within this one, or None if it is missing."""
        value = self.values.get(key)
        if value is None:
            return None
        name = f"{self.name}.{key}" if self.name else key
        if not isinstance(value, dict):
            raise self.error(key, "a table", f"write a line [{name}], and its keys below it")
        return _Table(self.path, name, value)


def _retain_days(table: _Table) -> int:
    table.check_keys("days")
    return table.number("days", 1)


def _store_calls(table: _Table | None) -> bool:
    if table is None:
        return False
    table.check_keys("store")
    return table.flag("store")


def _sweep_policy(table: _Table | None, usual: _Table | None) -> SweepPolicy | None:
    """Return the policy in a table `[sweep]`; None if there is none.

    Args:
        table: The table.
        usual: That of the archive, which has what the table of a profile leaves out.
    """
    if table is None:
        return None
    table.check_keys("days", "every")
    if usual is not None:
        table = _Table(table.path, table.name, {**usual.values, **table.values})
    days, every = table.number("days", 0), table.values.get("every", "7d")
    if isinstance(every, str) and every.casefold() in WEEKDAYS:
        return SweepPolicy(days, None, WEEKDAYS.index(every.casefold()))
    try:
        length = windows.duration(every)
    except (UsageError, TypeError):
        length = timedelta(0)
    if length <= timedelta(0):
        raise table.error("every", "a length of time or a weekday", 'write: every = "7d", or every = "sunday"')
    return SweepPolicy(days, length)


def _profiles(table: _Table, sweep: _Table | None) -> dict[str, ProfileSettings]:
    """Return the settings for single profiles, by name."""
    found: dict[str, ProfileSettings] = {}
    for name in table.values:
        own = table.table(name)
        assert own is not None  # noqa: S101 - the name is a key
        found[name] = ProfileSettings(_sweep_policy(own.table("sweep"), sweep), *_calls(own, "sweep"))
    return found


def _providers(table: _Table) -> dict[str, ProfileSettings]:
    """Return the settings for all profiles of a provider, by its name."""
    table.check_keys(*PROVIDERS)
    found: dict[str, ProfileSettings] = {}
    for name in table.values:
        own = table.table(name)
        assert own is not None  # noqa: S101 - the name is a key
        found[name] = ProfileSettings(None, *_calls(own))
    return found


def _calls(own: _Table, *others: str) -> tuple[tuple[str, ...] | None, dict[str, Mapping[str, Any]]]:
    """Return the calls in `sync`, None without it, and the tables of calls: all but those named in `others`."""
    calls: dict[str, Mapping[str, Any]] = {}
    for key in own.values:
        table = None if key in {"sync", *others} else own.table(key)
        if table is not None:
            calls[key] = MappingProxyType(dict(table.values))
    wanted = own.values.get("sync")
    if wanted is not None and not (isinstance(wanted, list) and wanted and all(isinstance(one, str) for one in wanted)):
        raise own.error("sync", "a list of calls", 'write: sync = ["cdrs"]')
    return None if wanted is None else tuple(dict.fromkeys(wanted)), calls
