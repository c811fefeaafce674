"""The options of a call in `archive.toml`, and whether a reading with some options satisfies others."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from cdrctl import windows
from cdrctl.archive.settings import NAME, ProfileSettings, Settings
from cdrctl.errors import ConfigurationError, UsageError, did_you_mean
from cdrctl.fetchers import Call, Option, Provider
from cdrctl.fetchers.options import call_options, default_options


class CallOptions(Struct, frozen=True):
    """The options with which an archive reads a call.

    Args:
        values: All of them, as the fetcher takes them.
        text: Those that decide what a reading has, as JSON; empty if all have their defaults.
        where: The tables in `archive.toml` that have some; empty if none has.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    where: str = ""


class _Place(Struct, frozen=True):
    """A table of `archive.toml` with options, for messages."""

    path: Path
    name: str

    def error(self, what: str, hint: str) -> ConfigurationError:
        return ConfigurationError(f"{self.path}: {what} in [{self.name}]", hint=hint)


def call_options_of(folder: Path, settings: Settings, profile: str, provider: Provider, call: Call) -> CallOptions:
    """Return the options of a call in the tables of its provider and its profile; those of the profile come first.

    Raises:
        ConfigurationError: A table names a call or an option that the provider lacks, or has a wrong value.
    """
    found: dict[str, Any] = {}
    where = []
    for place, name, table in _tables(folder, settings, profile, provider):
        values = _options_in(place, table, _call_named(place, name, provider))
        if name == call.name and values:
            found.update(values)
            where.append(f"[{place.name}]")
    values = call_options(call, {**default_options(call), **found}, lambda _path: iter(()))
    return CallOptions(values, _text(call, found), " and ".join(where))


def calls_of(folder: Path, settings: Settings, profile: str, provider: Provider) -> list[tuple[Call, bool]]:
    """Return the calls of a profile that an archive keeps if the user names none, and whether each is optional.

    They are those of `sync` in the tables of the profile or its provider; else the main call, and those beside it,
    which the provider need not have.

    Raises:
        ConfigurationError: A table names a call that an archive cannot keep.
    """
    for place, own in _places(folder, settings, profile, provider):
        if own.sync is not None:
            return [(_call_named(place, name, provider), False) for name in own.sync]
    return [(provider.calls[0], False), *((call, True) for call in provider.calls[1:] if call.beside)]


def _places(
    folder: Path, settings: Settings, profile: str, provider: Provider
) -> Iterator[tuple[_Place, ProfileSettings]]:
    """Yield the settings for a profile and for its provider, with their places, as far as there are any."""
    for kind, name, all_of_them in (
        ("profiles", profile, settings.profiles),
        ("providers", provider.name, settings.providers),
    ):
        if name in all_of_them:
            yield _Place(folder / NAME, f"{kind}.{name}"), all_of_them[name]


def _tables(
    folder: Path, settings: Settings, profile: str, provider: Provider
) -> Iterator[tuple[_Place, str, Mapping[str, Any]]]:
    """Yield the tables of options, the most special last: their places, the names of their calls, and their values."""
    for place, own in reversed([*_places(folder, settings, profile, provider)]):
        for name, table in own.calls.items():
            yield _Place(place.path, f"{place.name}.{name}"), name, table


def _call_named(place: _Place, name: str, provider: Provider) -> Call:
    """Return the call of a provider that an archive can keep."""
    kept = {call.name: call for call in provider.calls if call.archived}
    if name not in kept:
        raise place.error(
            f"{provider.title} has no call {name!r:.60} that an archive can keep,",
            f"{did_you_mean(name, (*kept, 'sweep', 'sync'))}its calls are: {', '.join(kept)}",
        )
    return kept[name]


def _options_in(place: _Place, table: Mapping[str, Any], call: Call) -> dict[str, Any]:
    """Return the options in a table, as typed on the command line."""
    known = {one.name: one for one in call.options if not one.argument and one.kind != "file"}
    found = {}
    for key, value in table.items():
        option = known.get(key.replace("-", "_"))
        if option is None:
            names = ", ".join(name for name, one in known.items() if one.archivable)
            raise place.error(
                f"unknown option {key!r:.60}", f"{did_you_mean(key, known)}the options of {call.name} are: {names}"
            )
        if not option.archivable:
            raise place.error(f"{option.name} is not allowed", "leave it out: an archive cannot have this option")
        found[option.name] = _value(place, option, value)
    return found


_KINDS: Mapping[str, tuple[Callable[[Any], bool], str, str]] = {
    "flag": (lambda value: isinstance(value, bool), "true or false", "true"),
    "integer": (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number", "100"),
    "text": (lambda value: isinstance(value, str) and bool(value), "text, or is empty", '"…"'),
    "duration": (lambda value: isinstance(value, str) and bool(value), "a length of time", '"24h"'),
}


def _value(place: _Place, option: Option, value: Any) -> Any:
    """Return the value of an option; one that repeats has a list."""
    fits, what, example = _KINDS[option.kind]
    if option.repeat:
        values = value if isinstance(value, list) and value else [value]
        if not all(map(fits, values)):
            raise place.error(
                f"{option.name} is not {what}: {value!r:.60}", f"write: {option.name} = {example}, or a list of these"
            )
        return values
    if not fits(value):
        raise place.error(f"{option.name} is not {what}: {value!r:.60}", f"write: {option.name} = {example}")
    if option.kind == "duration":
        try:
            windows.duration(value)
        except UsageError as error:
            raise place.error(f"{option.name} is not a length of time: {value!r:.60}", error.hint or "") from None
    return value


# What readings have


def _text(call: Call, given: Mapping[str, Any]) -> str:
    """Return the options that decide what a reading has, as JSON."""
    usual = default_options(call)
    adds = call.details.option if call.details is not None else ""
    decisive = {
        one.name: sorted(given[one.name]) if one.repeat else given[one.name]
        for one in call.options
        if (one.selects or one.name == adds) and given.get(one.name) not in (None, usual[one.name])
    }
    return json.dumps(decisive, sort_keys=True, ensure_ascii=False) if decisive else ""


@functools.lru_cache(256)
def options_in(text: str) -> Mapping[str, Any]:
    """Return the options of a reading."""
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"": text}


def selects_alike(call: Call, text: str, other: str) -> bool:
    """Return whether readings with two sets of options are about the same records."""
    return text == other or _selection(call, text) == _selection(call, other)


def has_all(call: Call, text: str, wanted: str) -> bool:
    """Return whether a reading with some options has all that others ask for."""
    return selects_alike(call, text, wanted) and (wants_details(call, text) or not wants_details(call, wanted))


def wants_details(call: Call, text: str) -> bool:
    """Return whether options ask for the details of records."""
    return call.details is not None and bool(options_in(text).get(call.details.option))


def _selection(call: Call, text: str) -> dict[str, Any]:
    adds = call.details.option if call.details is not None else None
    return {name: value for name, value in options_in(text).items() if name != adds}
