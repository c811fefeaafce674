"""Files that completion reads: the commands, what is known of providers, and the profiles."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from typing import Any

from cdrctl.cli.completion.words import Line

FOLDER = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120 - pathlib takes a third of an answer
FILE = os.path.join(FOLDER, "completion.json")  # noqa: PTH118 - as above
KNOWN = os.path.join(FOLDER, "known")  # noqa: PTH118 - as above

SANDBOX = "sandbox"
_NAME_SIGNS = frozenset("_.-")
_LONGEST_NAME = 64
_LARGEST_FILE = 4_000_000


# What this machine knows


def read_json(path: str) -> Any:
    """Return the content of a JSON file that comes with the program."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is not loaded here
        return json.load(file)


def known_file(name: str) -> str:
    """Return the path of the file of known values of a provider."""
    return os.path.join(KNOWN, f"{name}.json")  # noqa: PTH118 - pathlib is not loaded here


def read_text(path: str) -> str:
    """Return a file's text, empty where there is none.

    Raises:
        OSError: It cannot be read, or is not a file. A pipe could block for ever.
        ValueError: It is no text, or far too long for one that people write.
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
    """Return the profiles that can be used, and the provider of each, as `cdrctl.profiles` has them.

    Names are those that a profile may have: nothing in them means anything to a shell.
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
        except RuntimeError:  # no HOME, and a uid that is in no passwd file
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
    """Return how the environment spells a profile's name."""
    return "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in name).upper()


def _spelt(middle: str) -> bool:
    return bool(middle) and middle.isascii() and middle.replace("_", "A").isalnum() and middle == middle.upper()


def _usable(name: str) -> bool:
    """Return whether a profile can have this name."""
    signs = name.isascii() and all(sign.isalnum() or sign in _NAME_SIGNS for sign in name)
    return signs and name[:1].isalnum() and len(name) <= _LONGEST_NAME and _variable(name) != SANDBOX.upper()
