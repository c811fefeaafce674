"""The profile file: where it is, and what is in it."""

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
"""The name of the profile that is built in."""

PREFIX = "CDRCTL_"

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile as it is written, before its secrets have been asked for.

    Args:
        name: As typed after `-p`.
        provider: The provider's name; empty when the profile does not say a usable one.
        raw: Its settings as the file has them, without `provider`; empty for one of the environment alone.
        source: Where it exists.
        path: The configuration file, also of a profile not in it: relative paths start from its folder.
        fault: Why it cannot be used, or None. It can still be listed.
        hint: The next step when there is a fault.
        prefixes: What the environment variables of all profiles begin with.
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

    `--config`, else CDRCTL_CONFIG, else `config.toml` in the platform's folder for cdrctl. An empty variable counts
    as not set. Without a home directory the path begins with `~`: nothing is read there, nothing can be written.

    Raises:
        UsageError: `--config` was given and is empty.
        ConfigurationError: The path begins with `~/` and there is no home directory.
    """
    if override is not None:
        if not override:
            raise UsageError("--config needs a path", hint="`cdrctl profile path` shows the usual one")
        return expanded_path(override, environ)
    if chosen := environ.get("CDRCTL_CONFIG"):
        return expanded_path(chosen, environ)
    import platformdirs

    try:
        folder = platformdirs.user_config_dir("cdrctl", appauthor=False)
    except RuntimeError:  # no HOME, and a uid that is in no passwd file, as in many containers
        folder = "~/cdrctl"
    return Path(folder) / "config.toml"


def environment_name(profile: str, setting: str) -> str:
    """Return the environment variable of a profile's setting: `CDRCTL_ACME_ACCOUNT_ID`."""
    return variable_prefix(profile) + setting.upper()


def variable_prefix(profile: str) -> str:
    """Return what the environment variables of a profile begin with."""
    return PREFIX + re.sub(r"[^A-Za-z0-9]", "_", profile).upper() + "_"


def expanded_path(path: str, environ: Mapping[str, str]) -> Path:
    """Return a path with a leading `~/` replaced by the home directory that the environment names."""
    if path != "~" and not path.startswith(("~/", "~" + os.sep)):
        return Path(path)
    home = environ.get("HOME") or environ.get("USERPROFILE")
    if not home:
        raise ConfigurationError(f"{path!r} needs a home directory and HOME is not set", hint="give the whole path")
    return Path(home + path[1:])


# Reading


def read_profiles(path: Path, environ: Mapping[str, str]) -> tuple[dict[str, Profile], list[str]]:
    """Return the profiles of the file and of the environment by name, and warnings.

    A missing file has no profiles. A profile that cannot be used is among them with its fault, which is raised
    when it is chosen, so that it does not stop the others.

    Raises:
        ConfigurationError: The file as a whole cannot be used: not readable, not UTF-8, not TOML, `profiles` not
            a table.
    """
    text, warnings = file_text(path)
    tables = profile_tables(path, parsed_toml(path, text), warnings)
    owners: dict[str, str] = {}
    for name in tables:
        owners.setdefault(variable_prefix(name), name)
    declared: dict[str, str] = {}
    for variable, provider in environ.items():
        if provider and (found := re.fullmatch(r"CDRCTL_([A-Z0-9_]+)_PROVIDER", variable)):
            # CDRCTL_A_B_PROVIDER is about profile a-b when the file has it, and makes a profile a_b otherwise.
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
    """Return a profile's provider, empty where it names none that there is; what is wrong; the next step."""
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
    """Return why a profile cannot have this name, or None."""
    if not NAME.fullmatch(name):
        return "a name is up to 64 letters, digits, dots, dashes and underscores, a letter or digit first"
    if variable_prefix(name) == variable_prefix(SANDBOX):
        return f"{SANDBOX} is the name of the profile that is built in"
    return None


def file_text(path: Path) -> tuple[str, list[str]]:
    """Return the file's text, empty when there is none, and a warning when others may read or write it."""
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
    # A byte-order mark is what some editors put before UTF-8.
    text = decoded_text(content)
    if text is None:
        raise ConfigurationError(f"{path} is not UTF-8 text", hint="save it as UTF-8")
    return text, open_to_others(path, status)


def decoded_text(content: bytes) -> str | None:
    """Return UTF-8 bytes as text, or None: the exception would carry the bytes, which may be a secret's."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def open_to_others(path: Path, status: os.stat_result) -> list[str]:
    """Return a warning when others than its owner may read or write a file; Windows has no such modes."""
    if os.name == "nt" or not stat.S_ISREG(status.st_mode) or not status.st_mode & 0o066:
        return []
    return [Message(f"{path} can be read or changed by others", f"chmod 600 {path}", between=": ")]


def parsed_toml(path: Path, text: str) -> dict[str, Any]:
    """Return the file's TOML as plain values."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
    except (ValueError, RecursionError) as error:
        # Numbers of thousands of digits, and tables within tables without end, are not called TOML errors.
        said = "it nests too deep" if isinstance(error, RecursionError) else "a number is too long"
    # Outside the handler: from Python 3.14 on the exception holds the whole document, secrets and all.
    place = re.search(r"\(at line (\d+), column \d+\)", said)
    where = f"{path}, line {place[1] if place else _unfinished(text)}"
    reason = re.sub(r" \(at .*\)$", "", said, flags=re.DOTALL)
    raise ConfigurationError(f"{where}: this is not TOML: {one_line(reason)}", hint=f"correct {where}")


def _unfinished(text: str) -> int:
    """Return the line where that begins which ends only with the file, such as a string without its last quote."""
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
    """Return what stands under `profiles`, and warn about anything else at the top of the file."""
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
    """Return a question to put before a list of names, or nothing when none is like this one."""
    close = _close(name, names)
    return f"did you mean {' or '.join(map(one_line, close))}? " if close else ""
