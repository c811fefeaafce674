"""Completion of the values of options and arguments."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from cdrctl.cli.completion.files import (
    SANDBOX,
    known_file,
    provider_of,
    read_json,
    read_profile_names,
    read_tables,
    read_text,
)
from cdrctl.cli.completion.words import Answer, Item, Line

_RAW = ("jsonl", "json")


def values_for(known: Any, line: Line, kind: Any, begun: str, kept: str, environ: Mapping[str, str]) -> Answer:
    """Return the values of a kind; the kind may also be a list of the values."""
    if isinstance(kind, str):
        return _KINDS[kind](known, line, begun, kept, environ) if kind in _KINDS else Answer()
    items = [(one, "") if isinstance(one, str) else (one[0], one[1]) for one in kind or ()]
    return Answer(items, kept, goes_on=any(word.endswith("=") for word, _ in items))


def _files(_known: Any, _line: Line, _begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    return Answer(kept=kept, files="files")


def _folders(_known: Any, _line: Line, _begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    return Answer(kept=kept, files="folders")


def _formats(known: Any, line: Line, _begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    raw = line.values.get("--schema", [""])[-1] == "raw"
    built_in = [(one[0], one[1]) for one in known["formats"] if not raw or one[0] in _RAW]
    return Answer([*built_in, *(() if raw else [(name, "installed") for name in _installed_formats()])], kept)


def _columns(_known: Any, line: Line, begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    """Return the columns of this call and schema that are not on the list yet."""
    before, comma, _ = begun.rpartition(",")
    chosen = {name.strip() for name in before.split(",")}
    return Answer([one for one in _of_call(line) if one[0] not in chosen], kept + before + comma, goes_on=True)


def _first_column(_known: Any, line: Line, begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    """Return the columns, for the first word of a condition."""
    return Answer(_of_call(line) if begun.replace(".", "").replace("_", "").isalnum() or not begun else (), kept, True)


def _of_call(line: Line) -> list[Item]:
    """Return the columns of a call with their meanings."""
    schema, at = line.values.get("--schema", ["native"])[-1], line.place["columns"]
    if not at or schema == "raw":
        return []
    if schema == "common" or at == "common":
        return [(name, meaning) for name, meaning in read_json(known_file("common"))]
    provider, _, call = at.partition(" ")
    kept = read_json(known_file(provider))
    return [(name, meaning) for name, meaning in map(kept["columns"].__getitem__, kept["calls"][call])]


def _profiles_here(known: Any, line: Line, _begun: str, kept: str, environ: Mapping[str, str]) -> Answer:
    """Return the profiles of the command's provider and the sandbox; all profiles if the command has no provider."""
    if line.path[0] not in known["providers"]:
        return _profiles_all(known, line, "", kept, environ)
    found = read_profile_names(known, line, environ)
    return Answer([*_said([one for one in found if one[1] == line.path[0]]), _built_in(line.path[0])], kept)


def _profiles_all(known: Any, line: Line, _begun: str, kept: str, environ: Mapping[str, str]) -> Answer:
    """Return the usable profiles of all providers that are not on the line yet."""
    named = {*line.given, *line.values.get("--profile", ())}
    left = [*_said(one for one in read_profile_names(known, line, environ) if one[1]), _built_in("every provider")]
    return Answer([one for one in left if one[0] not in named], kept)


def _profiles_own(known: Any, line: Line, _begun: str, kept: str, environ: Mapping[str, str]) -> Answer:
    """Return the usable profiles without the sandbox."""
    return Answer(_said(one for one in read_profile_names(known, line, environ) if one[1] in known["providers"]), kept)


def _profiles_kept(_known: Any, line: Line, _begun: str, kept: str, environ: Mapping[str, str]) -> Answer:
    """Return the profiles of the file, usable or not; names like options only after `--`."""
    tables = (read_tables(line, environ) or {}).items()
    shown = [(name, table) for name, table in tables if line.ended or not name.startswith("-")]
    return Answer([(name, provider_of(table) or "cannot be used") for name, table in shown], kept)


def _said(found: Iterable[tuple[str, str]]) -> list[Item]:
    return [(name, f"{provider} profile") for name, provider in found]


def _built_in(whose: str) -> Item:
    return SANDBOX, f"built in: an imitation of {whose}"


def _providers(known: Any, _line: Line, _begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    return Answer([(name, known["top"]["commands"][name]["about"]) for name in known["providers"]], kept)


def _calls(known: Any, line: Line, _begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    """Return the calls of the provider on the line."""
    return _below(known["top"]["commands"].get(line.given[0], {}), line.given[1:], kept)


def _commands(known: Any, line: Line, _begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    """Return the commands and topics that `cdrctl help` explains."""
    topics = [] if line.given else [(name, "a topic") for name in known["topics"]]
    return Answer([*_below(known["top"], line.given, kept).items, *topics], kept)


def _below(place: Any, words: Iterable[str], kept: str) -> Answer:
    for word in words:
        place = place.get("commands", {}).get(word, {})
    return Answer([(name, one["about"]) for name, one in place.get("commands", {}).items()], kept)


def _kept_calls(known: Any, line: Line, _begun: str, kept: str, environ: Mapping[str, str]) -> Answer:
    """Return the calls that an archive can keep, for the profiles on the line."""
    of = {name: provider for name, provider in read_profile_names(known, line, environ) if name in line.given}
    named = set(of.values()) if of and set(of) == set(line.given) else set(known["providers"])
    places = {name: known["top"]["commands"][name]["commands"] for name in known["providers"] if name in named}
    found = {
        call: one["about"]
        for name, place in places.items()
        for call, one in place.items()
        if call in known["archived"][name]
    }
    return Answer(list(found.items()), kept)


def _ways(known: Any, line: Line, _begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    provider = line.values.get("--provider", [""])[-1]
    ways = [known["ways"][provider]] if provider in known["ways"] else known["ways"].values()
    return Answer(list({name: ", ".join(needs) for each in ways for name, needs in each.items()}.items()), kept)


def _settings(known: Any, line: Line, begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    """Return the settings of a profile, with the command or file of a secret in place of the secret."""
    provider = line.values.get("--provider", [""])[-1]
    if "=" in begun:
        name, _, _ = begun.partition("=")
        return Answer(kept=f"{kept}{name}=", files="files") if name.endswith("_file") else Answer()
    named = [known["settings"][provider]] if provider in known["settings"] else known["settings"].values()
    found = {f"{name}=": about for each in named for name, about in each.items()}
    return Answer(list(found.items()), kept, goes_on=True)


def _switches(_known: Any, _line: Line, begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    name, equals, _ = begun.partition("=")
    switches = read_json(known_file("sandbox"))
    if equals:
        return Answer([(word, "") for word in switches.get(name, ["", []])[1]], f"{kept}{name}=")
    return Answer([(f"{name}=", about) for name, (about, _) in switches.items()], kept, goes_on=True)


def _zones(_known: Any, _line: Line, _begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    """Return the time zones of this machine: the names of their files, which are not opened."""
    import zoneinfo

    names = {name for root in zoneinfo.TZPATH for name in _zones_in(root, "")} or set(_packaged_zones())
    return Answer([("local", "this machine's zone"), *((name, "") for name in sorted(names))], kept)


def _zones_in(folder: str, before: str) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if not entry.name[:1].isupper() or "." in entry.name:  # tables, leap seconds, posix/, right/ and localtime
            continue
        if entry.is_dir():
            yield from _zones_in(entry.path, f"{before}{entry.name}/")
        else:
            yield before + entry.name


def _packaged_zones() -> list[str]:
    """Return the zones of the package tzdata, for a machine without zones of its own."""
    for place in sys.path:
        with suppress(OSError, ValueError):
            if text := read_text(os.path.join(place, "tzdata", "zones")):  # noqa: PTH118 - pathlib is not loaded here
                return text.split()
    return []


Kind = Callable[[Any, Line, str, str, Mapping[str, str]], Answer]

_KINDS: Mapping[str, Kind] = {
    "file": _files,
    "folder": _folders,
    "format": _formats,
    "columns": _columns,
    "first column": _first_column,
    "profile": _profiles_here,
    "profiles": _profiles_all,
    "own profile": _profiles_own,
    "kept profile": _profiles_kept,
    "provider": _providers,
    "call": _calls,
    "command": _commands,
    "kept call": _kept_calls,
    "way": _ways,
    "setting": _settings,
    "switch": _switches,
    "zone": _zones,
}
"""By the kind in `completion.json`; other kinds have no known values."""


def _installed_formats() -> list[str]:
    """Return the formats that other packages add.

    `importlib.metadata` would find them too, but takes longer than all the rest.
    """
    found: dict[str, None] = {}
    for place in dict.fromkeys(sys.path):
        try:
            packages = [one.path for one in os.scandir(place) if one.name.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue
        for package in packages:
            inside = False
            for text in _entry_points(package).splitlines():
                name, equals, _ = text.partition("=")
                if text.startswith("["):
                    inside = text.strip() == "[cdrctl.writers]"
                elif inside and equals:
                    found.setdefault(name.strip())
    return sorted(found)


def _entry_points(package: str) -> str:
    try:
        return read_text(os.path.join(package, "entry_points.txt"))  # noqa: PTH118 - pathlib is not loaded here
    except (OSError, ValueError):
        return ""
