"""The configuration file: its path, and the profiles in it and in the environment."""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cdrctl import PROVIDERS, private
from cdrctl.errors import ConfigurationError, Message, UsageError
from cdrctl.profiles.atomic import no_home, one_line, os_reason

SANDBOX = "sandbox"
"""The name of the built-in profile."""

PREFIX = "CDRCTL_"

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile as it is configured, before its secrets are read.

    Args:
        name: The name, as typed after `-p`.
        provider: The provider's name; empty if the profile names none that exists.
        raw: The settings in the file, without `provider`; empty for a profile of the environment alone.
        source: Where it is defined.
        path: The configuration file. Relative paths start from its folder, also for a profile of the environment.
        fault: The reason why it cannot be used, or None. It can still be listed.
        hint: The next step if there is a fault.
        prefixes: The prefixes of the environment variables of all profiles.
    """

    name: str
    provider: str
    raw: Mapping[str, Any] = field(repr=False)
    source: Literal["file", "environment"]
    path: Path
    fault: str | None = None
    hint: str | None = None
    prefixes: tuple[str, ...] = field(default=(), repr=False)


# Where


def config_path(environ: Mapping[str, str], override: str | None) -> Path:
    """Return the path of the configuration file, which need not exist.

    It is that of `--config`, else CDRCTL_CONFIG, else `config.toml` in the platform's folder for cdrctl. An empty
    variable counts as not set. Without a home directory the path begins with `~`, and no such file is read or written.

    Raises:
        UsageError: `--config` is empty.
        ConfigurationError: The path begins with `~/` and there is no home directory.
    """
    if override is not None:
        if not override:
            raise UsageError("--config needs a path", hint="`cdrctl profile path` shows the usual one")
        return expand_path(override, environ)
    if chosen := environ.get("CDRCTL_CONFIG"):
        return expand_path(chosen, environ)
    import platformdirs

    try:
        folder = platformdirs.user_config_dir("cdrctl", appauthor=False)
    except RuntimeError:  # no HOME, and a uid without an entry in passwd, as in many containers
        folder = "~/cdrctl"
    return Path(folder) / "config.toml"


def environment_name(profile: str, setting: str) -> str:
    """Return the environment variable of a profile's setting: `CDRCTL_ACME_ACCOUNT_ID`."""
    return variable_prefix(profile) + setting.upper()


def variable_prefix(profile: str) -> str:
    """Return the prefix of a profile's environment variables: `CDRCTL_ACME_`."""
    return PREFIX + re.sub(r"[^A-Za-z0-9]", "_", profile).upper() + "_"


def expand_path(path: str, environ: Mapping[str, str]) -> Path:
    """Return a path with a leading `~/` replaced by the home directory.

    Raises:
        ConfigurationError: The environment names no home directory.
    """
    if path != "~" and not path.startswith(("~/", "~" + os.sep)):
        return Path(path)
    home = environ.get("HOME") or environ.get("USERPROFILE")
    if not home:
        raise ConfigurationError(f"{path!r} needs a home directory and HOME is not set", hint="give the full path")
    return Path(home + path[1:])


# Reading


def read_profiles(path: Path, environ: Mapping[str, str]) -> tuple[dict[str, Profile], list[str]]:
    """Return the profiles of the file and of the environment by name, and warnings.

    A missing file has no profiles. A profile that cannot be used is included with its fault, which is raised only if
    that profile is chosen.

    Raises:
        ConfigurationError: The file cannot be used: it cannot be read, is not UTF-8 or TOML, or `profiles` is not a
            table.
    """
    text, warnings = file_text(path)
    tables = profile_tables(path, parse_toml(path, text), warnings)
    owners: dict[str, str] = {}
    for name in tables:
        owners.setdefault(variable_prefix(name), name)
    declared: dict[str, str] = {}
    for variable, provider in environ.items():
        if provider and (found := re.fullmatch(r"CDRCTL_([A-Z0-9_]+)_PROVIDER", variable)):
            # CDRCTL_A_B_PROVIDER belongs to profile a-b if the file has it, and defines a profile a_b otherwise.
            declared[owners.get(f"{PREFIX}{found[1]}_", found[1].lower())] = provider
    prefixes = (*owners, *(variable_prefix(name) for name in declared if name not in tables))
    profiles = {}
    for name, table in tables.items():
        raw = dict(table) if isinstance(table, dict) else {}
        provider, fault, hint = _provider(path, name, raw.pop("provider", None), declared.get(name))
        if not isinstance(table, dict):
            fault, hint = "it is not a table", f'write it as [profiles.{name}] with provider = "webex" below'
        if (first := owners[variable_prefix(name)]) != name:
            fault = f"it has the same environment variables as profile {first} ({variable_prefix(name)}…)"
            hint = f"rename it in {path}"
        if why := name_fault(name):
            fault, hint = why, f"rename it in {path}"
        if fault:
            fault = f"{path}: profile {one_line(name)} cannot be used: {fault}"
        profiles[name] = Profile(name, provider, raw, "file", path, fault, hint, prefixes)
    for name in sorted(declared.keys() - tables.keys()):
        provider, fault, hint = _provider(path, name, None, declared[name])
        if why := name_fault(name):
            fault, hint = why, f"unset {environment_name(name, 'provider')}"
        if fault:
            fault = f"profile {one_line(name)} of the environment cannot be used: {fault}"
        profiles[name] = Profile(name, provider, {}, "environment", path, fault, hint, prefixes)
    return profiles, warnings


def _provider(path: Path, name: str, written: object, declared: str | None) -> tuple[str, str | None, str | None]:
    """Return a profile's provider, or an empty string with the fault and the next step."""
    variable = environment_name(name, "provider")
    if declared is not None and written is not None and written != declared:
        other = f"unset {variable}, or give the profile there another name"
        return "", f"the file and {variable} name different providers", other
    provider = written if declared is None else declared
    known = ", ".join(PROVIDERS)
    hint = f"set {variable if declared else f'provider in {path}, [profiles.{name}],'} to one of: {known}"
    if provider is None:
        return "", "it names no provider", hint
    if not isinstance(provider, str):
        return "", "its provider is not text", hint
    if provider not in PROVIDERS:
        return "", f"there is no provider {one_line(provider)}", near_hint(provider, PROVIDERS) + hint
    return provider, None, None


def name_fault(name: str) -> str | None:
    """Return the reason why a profile cannot have this name, or None."""
    if not NAME.fullmatch(name):
        return "a name is up to 64 letters, digits, dots, dashes and underscores, a letter or digit first"
    if variable_prefix(name) == variable_prefix(SANDBOX):
        return f"{SANDBOX} is the name of the built-in profile"
    return None


def file_text(path: Path) -> tuple[str, list[str]]:
    """Return the file's text, empty if there is no file, and a warning if others may read or write it.

    Raises:
        ConfigurationError: It cannot be read, is not UTF-8, or somebody else could have written it.
    """
    if no_home(path):
        return "", []
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            private.check_configuration(path, status)
            content = file.read()
    except (FileNotFoundError, NotADirectoryError):  # as where HOME is /dev/null
        return "", []
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{one_line(str(path))} cannot be read: {os_reason(error)}",
            hint="`cdrctl profile path` shows which file is used",
        ) from None
    # Some editors put a byte-order mark before UTF-8.
    text = decode_text(content)
    if text is None:
        raise ConfigurationError(f"{path} is not UTF-8 text", hint="save it as UTF-8")
    return text, open_to_others(path, status)


def decode_text(content: bytes) -> str | None:
    """Return UTF-8 bytes as text, or None: an exception would hold the bytes, which may be a secret."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def open_to_others(path: Path, status: os.stat_result) -> list[str]:
    """Return a warning if others than its owner may read or write a file; Windows has no such modes."""
    if os.name == "nt" or not stat.S_ISREG(status.st_mode) or not status.st_mode & 0o066:
        return []
    return [Message(f"{path} can be read or changed by others", f"chmod 600 {path}", between=": ")]


def parse_toml(path: Path, text: str) -> dict[str, Any]:
    """Return the file's TOML as plain values.

    Raises:
        ConfigurationError: It is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
    except (ValueError, RecursionError) as error:
        # tomllib raises these for very long numbers and very deep nesting.
        said = "it is nested too deeply" if isinstance(error, RecursionError) else "a number is too long"
    # Outside the handler: from Python 3.14 on the exception holds the whole document, secrets included.
    place = re.search(r"\(at line (\d+), column \d+\)", said)
    where = f"{path}, line {place[1] if place else _unfinished(text)}"
    reason = re.sub(r" \(at .*\)$", "", said, flags=re.DOTALL)
    raise ConfigurationError(f"{where}: this is not TOML: {one_line(reason)}", hint=f"correct {where}")


def _unfinished(text: str) -> int:
    """Return the line where the element begins that is never closed, such as a string without its last quote."""
    lines = text.splitlines(keepends=True)
    good, bad = 0, len(lines)
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            tomllib.loads("".join(lines[:middle]))
            good = middle
        except (ValueError, RecursionError):
            bad = middle
    return good + 1


def profile_tables(path: Path, document: Mapping[str, Any], warnings: list[str]) -> dict[str, Any]:
    """Return the tables under `profiles`, and warn about other keys at the top of the file.

    Raises:
        ConfigurationError: `profiles` is not a table.
    """
    for key in document:
        if key != "profiles":
            what = f"{path}: unknown key {one_line(key)} at the top of the file"
            near = "did you mean profiles?" if _close(key, ["profiles"]) else ""
            warnings.append(Message(what, near, code="unknown_key"))
    tables = document.get("profiles", {})
    if not isinstance(tables, dict):
        raise ConfigurationError(f"{path}: profiles is not a table", hint="begin each profile with [profiles.NAME]")
    return tables


def _close(name: str, names: Iterable[str]) -> list[str]:
    lowered = {each.lower(): each for each in names}
    return [lowered[each] for each in difflib.get_close_matches(name.lower(), lowered)]


def near_hint(name: str, names: Iterable[str]) -> str:
    """Return a question to put before a list of names, or an empty string if none is similar to this one."""
    close = _close(name, names)
    return f"did you mean {' or '.join(map(one_line, close))}? " if close else ""
