"""The files that completion reads: commands, values of providers, and profiles."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from typing import Any

from cdrctl.cli.completion.words import Line

FOLDER = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120 - loading pathlib takes a third of the time
FILE = os.path.join(FOLDER, "completion.json")  # noqa: PTH118 - as above
KNOWN = os.path.join(FOLDER, "known")  # noqa: PTH118 - as above

SANDBOX = "sandbox"
_NAME_SIGNS = frozenset("_.-")
_LONGEST_NAME = 64
_LARGEST_FILE = 4_000_000


def read_json(path: str) -> Any:
    """Return the content of a JSON file of this package."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is not loaded here
        return json.load(file)


def known_file(name: str) -> str:
    """Return the path of the file with the values of a provider."""
    return os.path.join(KNOWN, f"{name}.json")  # noqa: PTH118 - pathlib is not loaded here


def read_text(path: str) -> str:
    """Return the text of a file; empty if there is no such file.

    Raises:
        OSError: It cannot be read, or is not a regular file. A pipe could block for ever.
        ValueError: It is not UTF-8, or too large to be written by hand.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (FileNotFoundError, NotADirectoryError):
        return ""
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError
        with open(handle, "rb", closefd=False) as file:
            content = file.read(_LARGEST_FILE + 1)
    finally:
        os.close(handle)
    if len(content) > _LARGEST_FILE:
        raise ValueError
    return content.decode("utf-8-sig")


def read_profile_names(known: Any, line: Line, environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the usable profiles with their providers, as `cdrctl.profiles` finds them.

    Only valid names are returned, which contain no special characters of a shell.
    """
    tables = read_tables(line, environ)
    if tables is None:
        return []
    owners: dict[str, str] = {}
    for name in tables:
        owners.setdefault(_variable(name), name)
    declared: dict[str, str] = {}
    for variable, provider in environ.items():
        middle = variable.removeprefix("CDRCTL_").removesuffix("_PROVIDER")
        if provider and variable == f"CDRCTL_{middle}_PROVIDER" and _spelt(middle):
            declared[owners.get(middle, middle.lower())] = provider
    found: dict[str, str] = {}
    for name, table in tables.items():
        said = declared.pop(name, None)
        written = table.get("provider", said) if isinstance(table, dict) else None
        if owners[_variable(name)] == name and isinstance(written, str) and said in {None, written}:
            found[name] = written
    found.update(sorted(declared.items()))
    return [one for one in found.items() if _usable(one[0]) and one[1] in known["providers"]]


def read_tables(line: Line, environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the table `profiles` of the configuration file; None if it cannot be read."""
    import tomllib

    path = line.values.get("--config", [environ.get("CDRCTL_CONFIG") or ""])[-1]
    if not path:
        import platformdirs

        try:
            path = os.path.join(platformdirs.user_config_dir("cdrctl", appauthor=False), "config.toml")  # noqa: PTH118
        except RuntimeError:  # no HOME, and the uid is not in the passwd file
            return {}
    if path.startswith(("~/", "~" + os.sep)):
        home = environ.get("HOME") or environ.get("USERPROFILE")
        if not home:
            return {}
        path = home + path[1:]
    try:
        tables = tomllib.loads(read_text(path)).get("profiles", {})
    except (OSError, ValueError, RecursionError):
        return None
    return tables if isinstance(tables, dict) else None


def provider_of(table: Any) -> str:
    """Return the provider of a profile."""
    provider = table.get("provider") if isinstance(table, dict) else None
    return provider if isinstance(provider, str) else ""


def _variable(name: str) -> str:
    """Return the name of a profile as it is in environment variables."""
    return "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in name).upper()


def _spelt(middle: str) -> bool:
    return bool(middle) and middle.isascii() and middle.replace("_", "A").isalnum() and middle == middle.upper()


def _usable(name: str) -> bool:
    """Return whether this is a valid name of a profile."""
    signs = name.isascii() and all(sign.isalnum() or sign in _NAME_SIGNS for sign in name)
    return signs and name[:1].isalnum() and len(name) <= _LONGEST_NAME and _variable(name) != SANDBOX.upper()
