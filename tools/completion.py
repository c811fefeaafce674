"""Write the data files of shell completion from the commands: python -m tools.completion."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cdrctl import PROVIDERS
from cdrctl.cli.app import TOP
from cdrctl.cli.commands import Entry, Group, load_entry
from cdrctl.cli.completion.files import FILE, KNOWN
from cdrctl.cli.helptext import summary
from cdrctl.cli.options import HELP, OWN, Argument, Option, Parameter
from cdrctl.fetchers import Call, load
from cdrctl.profiles.names import secret_names
from cdrctl.records.common import COMMON
from cdrctl.records.schemas import EXTRA_COLUMN
from cdrctl.sandbox import known_switches
from cdrctl.sandbox.server import PROVIDERS as IMITATED
from cdrctl.writers import FORMATS

Value = str | list[Any] | None
"""The name of a kind of value in `cdrctl.cli.completion`, a list of values, or None."""

ABOUT_FORMATS = {
    "csv": "comma-separated values",
    "tsv": "tab-separated values",
    "jsonl": "a JSON object on each line",
    "json": "one JSON list",
    "table": "for people",
    "parquet": "typed columns for data tools",
    "xlsx": "a workbook for spreadsheets",
    "sqlite": "a table in an SQLite database",
    "duckdb": "a table in a DuckDB database",
}
SCHEMAS = {
    "native": "the provider's fields",
    "common": "one CDR for all providers",
    "raw": "records untouched: jsonl and json only",
}
TIMES = [
    ["now", "this moment"],
    ["today", "its midnight"],
    ["yesterday", "its midnight"],
    *([day, "the last one's midnight"] for day in ("monday", "tuesday", "wednesday", "thursday", "friday")),
    *([day, "the last one's midnight"] for day in ("saturday", "sunday")),
    *(["24h", "24 hours ago"], ["7d", "7 days ago"], ["2w", "2 weeks ago"]),
    *(["3mo", "3 months ago"], ["1y", "a year ago"]),
]
KEPT = [
    *(["jsonl", "a JSON object on each line"], ["jsonl.gz", "the same, compressed"]),
    *(["csv", "comma-separated values"], ["csv.gz", "the same, compressed"]),
]
VALUES: Mapping[str, Value] = {
    "--profile": "profile",
    "--since": TIMES,
    "--until": TIMES,
    "--tz": "zone",
    "--times": [["utc", "2026-11-19T08:00:00.000Z"], ["local", "with the offset of --tz"]],
    "--format": "format",
    "sync --format": KEPT,
    "fill --format": KEPT,
    "plan --format": KEPT,
    "--output": "file",
    "--config": "file",
    "--into": "folder",
    "--schema": [[name, about] for name, about in SCHEMAS.items()],
    "fields --schema": [[name, SCHEMAS[name]] for name in ("native", "common")],
    "export --schema": [["common", SCHEMAS["common"]]],
    "--fields": "columns",
    "--sort": "columns",
    "--where": "first column",
    "portsip --orderby": "first column",
    "--log-format": [["text", "for people"], ["json", "an object on each line"]],
    "--call": "kept call",
    "--provider": "provider",
    "--with": "way",
    "--set": "setting",
    "sandbox serve --switch": "switch",
}
"""The values of options, by option or by a command's first words and the option.

An option that no command has any more, or not yet, is none of its business.
"""

ARGUMENTS: Mapping[str, Value] = {
    "profile": "profiles",
    "profiles": "profiles",
    "provider": "provider",
    "fields call": "call",
    "profile show name": "profiles",
    "profile check name": "profiles",
    "profile login name": "own profile",
    "profile remove name": "kept profile",
    "doctor names": "profiles",
    "help what": "command",
    "help command": "command",
}
"""The values of arguments, in the same form."""


def described() -> str:
    """Return the content of the file of commands, as JSON."""
    options: list[dict[str, Any]] = []

    def place(entry: Entry, path: list[str], about: str = "") -> dict[str, Any]:
        """Return the options, arguments and commands that can follow a command."""
        command = load_entry(entry)
        inner = command.commands if isinstance(command, Group) else {}
        arguments = [one for one in command.parameters if isinstance(one, Argument)]
        call = _call(path)
        here = []
        for one in (*command.parameters, HELP):
            if isinstance(one, Option):
                option = {
                    "names": list(one.all_names),
                    "about": one.about,
                    "takes_value": one.takes_value,
                    "repeats": one.repeat,
                    "acts": one.acts and one is not HELP,
                    "value": _value(VALUES, path, one.label, one, call) if one.takes_value else None,
                }
                if option not in options:
                    options.append(option)
                here.append(options.index(option))
        return {
            "about": about,
            "options": here,
            "arguments": [_value(ARGUMENTS, path, one.name.removeprefix(OWN), one, call) for one in arguments],
            "goes_on": any(one.repeat for one in arguments),
            "columns": "common" if path == ["export"] else " ".join(path) if call else "",
            "commands": {name: place(one, [*path, name], summary(one)) for name, one in inner.items()},
        }

    top = place(TOP, [])
    lines = [f'"options": {_list(options)}']
    lines += [f'"{name}": {_line(value)}' for name, value in _of_providers().items()]
    tops = ",\n".join(f"{json.dumps(name)}: {_line(one)}" for name, one in top.pop("commands").items())
    lines += [f'"top": {{{_line(top)[1:-1]}, "commands": {{\n{tops}\n}}}}']
    return "{" + ",\n".join(lines) + "}\n"


def _call(path: list[str]) -> Call | None:
    """Return the call that a command exports, or None."""
    if not path or path[0] not in PROVIDERS:
        return None
    return next((one for one in load(path[0]).calls if [*filter(None, (one.group, one.name))] == path[1:]), None)


def _value(table: Mapping[str, Value], path: list[str], name: str, parameter: Parameter, call: Call | None) -> Value:
    """Return the values of an option or argument: those of the call itself, else those of the table."""
    own = parameter.name.removeprefix(OWN) if parameter.name.startswith(OWN) else None
    for one in call.options if call and own else ():
        if one.name == own and (one.values or one.kind == "file"):
            return "file" if one.kind == "file" else list(one.values)
    if call and name == "--schema":
        return [[one, about] for one, about in SCHEMAS.items() if one != "common" or call.common]
    for length in range(len(path), -1, -1):
        if (key := " ".join([*path[:length], name])) in table:
            return table[key]
    return {"FILE": "file", "DIR": "folder"}.get(parameter.metavar)


def _of_providers() -> dict[str, Any]:
    providers = [load(name) for name in PROVIDERS]
    return {
        "formats": [[name, ABOUT_FORMATS.get(name, "")] for name in FORMATS],
        "providers": [one.name for one in providers],
        "archived": {one.name: [c.name for c in one.calls if c.windowed and not c.group] for one in providers},
        "ways": {one.name: {name: list(needs) for name, needs in one.auth_methods.items()} for one in providers},
        "topics": _topics(),
        "settings": {one.name: _settings(one.settings) for one in providers},
    }


def _topics() -> list[str]:
    """Return the topics of `cdrctl help`."""
    try:
        return list(importlib.import_module("cdrctl.cli.topics").TOPICS)
    except ModuleNotFoundError:
        return []


def _settings(model: Any) -> dict[str, str]:
    """Return the settings that `profile add --set` accepts, with their meanings."""
    secrets = secret_names(model)
    found = {}
    for name, described in model.described().items():
        if name in secrets:
            found[f"{name}_command"] = f"a command that prints it: {described.description}"
            found[f"{name}_file"] = f"a file that holds it: {described.description}"
        else:
            found[name] = described.description or ""
    return found


def known() -> dict[str, str]:
    """Return the contents of the files of columns and of the sandbox's switches, by name, as JSON."""
    texts = {"common": _line([[one.name, one.meaning] for one in COMMON])}
    for name in PROVIDERS:
        columns: list[list[str]] = []
        calls = {}
        for call in load(name).calls:
            here = [[one.name, one.meaning] for one in (*call.columns, EXTRA_COLUMN)]
            columns += [one for one in here if one not in columns]
            calls[" ".join(filter(None, (call.group, call.name)))] = [columns.index(one) for one in here]
        texts[name] = f'{{"columns": {_list(columns)},\n"calls": {_line(calls)}}}'
    switches = {
        f"{provider}.{name}": [one.meaning, list(dict.fromkeys((one.default, *one.words)))]
        for provider in IMITATED
        for name, one in known_switches(provider).items()
    }
    texts["sandbox"] = "{" + ",\n".join(f"{json.dumps(name)}: {_line(one)}" for name, one in switches.items()) + "}"
    return {name: f"{text}\n" for name, text in texts.items()}


def _list(values: list[Any]) -> str:
    return "[\n" + ",\n".join(map(_line, values)) + "\n]"


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    Path(FILE).write_text(described(), encoding="utf-8")
    Path(KNOWN).mkdir(exist_ok=True)
    for name, text in known().items():
        Path(KNOWN, f"{name}.json").write_text(text, encoding="utf-8")
