"""Who is asking: the profile file, the environment, secrets, and the tokens that a run has renewed.

A profile is a name, a provider and settings. It stands in a TOML file or in the environment alone, and the
environment wins over the file, setting by setting. A secret may be written down, or be had from a command, a file or
the keyring.

Nothing here reads the process's own environment: it is a parameter, as are the paths. Nothing prints. No error,
warning or `repr` holds a secret; where an exception from below would carry one in its text or its attributes, ours
is raised after that one has been let go, so that it is not even our `__context__`.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import stat
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args
from urllib.parse import quote, quote_plus, urlsplit

from cdrctl import PROVIDERS, private, secret_files
from cdrctl.commands import COMMAND_SECONDS, LONGEST_OUTPUT, TooMuchOutputError, run_in_shell
from cdrctl.errors import ConfigurationError, TemporaryError, UsageError
from cdrctl.masking import MASK as HIDDEN, SHORTEST, masked
from cdrctl.tags import split_tags

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from cdrctl.fetchers.settings import Settings

Run = Callable[[str, Mapping[str, str]], "subprocess.CompletedProcess[bytes]"]
"""Runs a command line with an environment; raises OSError, ValueError, TimeoutExpired or TooMuchOutputError."""

Keyring = Callable[[str, str], str | None]
"""From a service and a user to the password the keyring holds, or None."""

S = TypeVar("S", bound="Settings")

SANDBOX = "sandbox"
"""The name of the profile that is built in."""

SECRETS = frozenset({"access_token", "api_key", "auth_token", "client_secret", "code", "password", "refresh_token"})
"""The secrets of all providers' profiles; a provider's own are those of its settings that are secrets."""

UNASKED = "as yet unasked"
"""What stands for a secret that nobody was asked for."""

PREFIX = "CDRCTL_"
SERVICE = "cdrctl"
LOCK_SECONDS = 60.0
PACE_LOCK_SECONDS = 5.0
PACE_KEPT_SECONDS = 7 * 86_400
PACE_ROUNDS = 20_000

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_FORMS = ("_command", "_file", "_keyring")
_LISTED = 20
_PROBE = 16_384
_NOT_FOUND = {127, 9009}  # what a POSIX shell and cmd.exe say of a program that is not there
_WORDS = {
    "1": True, "true": True, "yes": True, "on": True,
    "0": False, "false": False, "no": False, "off": False,
}  # fmt: skip


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
        return _expanded(override, environ)
    if chosen := environ.get("CDRCTL_CONFIG"):
        return _expanded(chosen, environ)
    import platformdirs

    try:
        folder = platformdirs.user_config_dir("cdrctl", appauthor=False)
    except RuntimeError:  # no HOME, and a uid that is in no passwd file, as in many containers
        folder = "~/cdrctl"
    return Path(folder) / "config.toml"


def environment_name(profile: str, setting: str) -> str:
    """Return the environment variable of a profile's setting: `CDRCTL_ACME_ACCOUNT_ID`."""
    return _prefix(profile) + setting.upper()


def _prefix(profile: str) -> str:
    return PREFIX + re.sub(r"[^A-Za-z0-9]", "_", profile).upper() + "_"


def _expanded(path: str, environ: Mapping[str, str]) -> Path:
    """Return a path with a leading `~/` replaced by the home directory that the environment names."""
    if path != "~" and not path.startswith(("~/", "~" + os.sep)):
        return Path(path)
    home = environ.get("HOME") or environ.get("USERPROFILE")
    if not home:
        raise ConfigurationError(f"{path!r} needs a home directory and HOME is not set", hint="give the whole path")
    return Path(home + path[1:])


def _homeless(path: Path) -> bool:
    """Return whether this is what a `~` stays for a user without a home; no folder of that name is meant."""
    return path.parts[:1] == ("~",)


# Reading


def read_profiles(path: Path, environ: Mapping[str, str]) -> tuple[dict[str, Profile], list[str]]:
    """Return the profiles of the file and of the environment by name, and warnings.

    A missing file has no profiles. A profile that cannot be used is among them with its fault, which is raised
    when it is chosen, so that it does not stop the others.

    Raises:
        ConfigurationError: The file as a whole cannot be used: not readable, not UTF-8, not TOML, `profiles` not
            a table.
    """
    text, warnings = _text(path)
    tables = _tables(path, _parsed(path, text), warnings)
    owners: dict[str, str] = {}
    for name in tables:
        owners.setdefault(_prefix(name), name)
    declared: dict[str, str] = {}
    for variable, provider in environ.items():
        if provider and (found := re.fullmatch(r"CDRCTL_([A-Z0-9_]+)_PROVIDER", variable)):
            # CDRCTL_A_B_PROVIDER is about profile a-b when the file has it, and makes a profile a_b otherwise.
            declared[owners.get(f"{PREFIX}{found[1]}_", found[1].lower())] = provider
    prefixes = (*owners, *(_prefix(name) for name in declared if name not in tables))
    profiles = {}
    for name, table in tables.items():
        raw = dict(table) if isinstance(table, dict) else {}
        provider, fault, hint = _provider(path, name, raw.pop("provider", None), declared.get(name))
        if not isinstance(table, dict):
            fault, hint = "it is not a table", f'write it as [profiles.{name}] with provider = "webex" below'
        if (first := owners[_prefix(name)]) != name:
            fault = f"it has the same environment variables as profile {first} ({_prefix(name)}…)"
            hint = f"rename it in {path}"
        if why := _name_fault(name):
            fault, hint = why, f"rename it in {path}"
        if fault:
            fault = f"{path}: profile {_shown(name)} cannot be used: {fault}"
        profiles[name] = Profile(name, provider, raw, "file", path, fault, hint, prefixes)
    for name in sorted(declared.keys() - tables.keys()):
        provider, fault, hint = _provider(path, name, None, declared[name])
        if why := _name_fault(name):
            fault, hint = why, f"unset {environment_name(name, 'provider')}"
        if fault:
            fault = f"profile {_shown(name)} of the environment cannot be used: {fault}"
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
        return "", f"there is no provider {_shown(provider)}", _near(provider, PROVIDERS) + hint
    return provider, None, None


def _name_fault(name: str) -> str | None:
    """Return why a profile cannot have this name, or None."""
    if not _NAME.fullmatch(name):
        return "a name is up to 64 letters, digits, dots, dashes and underscores, a letter or digit first"
    if _prefix(name) == _prefix(SANDBOX):
        return f"{SANDBOX} is the name of the profile that is built in"
    return None


def _text(path: Path) -> tuple[str, list[str]]:
    """Return the file's text, empty when there is none, and a warning when others may read or write it."""
    if _homeless(path):
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
            f"{_shown(str(path))} cannot be read: {_reason(error)}",
            hint="`cdrctl profile path` shows which file is used",
        ) from None
    # A byte-order mark is what some editors put before UTF-8.
    text = _decoded(content)
    if text is None:
        raise ConfigurationError(f"{path} is not UTF-8 text", hint="save it as UTF-8")
    return text, _open_to_others(path, status)


def _decoded(content: bytes) -> str | None:
    """Return UTF-8 bytes as text, or None: the exception would carry the bytes, which may be a secret's."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _open_to_others(path: Path, status: os.stat_result) -> list[str]:
    """Return a warning when others than its owner may read or write a file; Windows has no such modes."""
    if os.name == "nt" or not stat.S_ISREG(status.st_mode) or not status.st_mode & 0o066:
        return []
    return [f"{path} can be read or changed by others: chmod 600 {path}"]


def _parsed(path: Path, text: str) -> dict[str, Any]:
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
    raise ConfigurationError(f"{where}: this is not TOML: {_shown(reason)}", hint=f"correct {where}")


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


def _tables(path: Path, document: Mapping[str, Any], warnings: list[str]) -> dict[str, Any]:
    """Return what stands under `profiles`, and warn about anything else at the top of the file."""
    for key in document:
        if key != "profiles":
            near = "; did you mean profiles?" if _close(key, ["profiles"]) else ""
            warnings.append(f"{path}: {_shown(key)} means nothing at the top of this file{near}")
    tables = document.get("profiles", {})
    if not isinstance(tables, dict):
        raise ConfigurationError(f"{path}: profiles is not a table", hint="begin each profile with [profiles.NAME]")
    return tables


# Choosing


def choose(
    profiles: Mapping[str, Profile], provider: str | None, name: str | None, environ: Mapping[str, str]
) -> Profile:
    """Return the profile to use: the one named, else CDRCTL_PROFILE, else the only one of the provider.

    Without a provider it is the only one at all. A profile named `sandbox` is only had by its name.

    Raises:
        ConfigurationError: There is none, there are several, it is of another provider, or it has a fault.
    """
    said_by = ""  # a word of the command
    if name is None:
        name, said_by = environ.get("CDRCTL_PROFILE") or None, " (CDRCTL_PROFILE)"
    if name is None:
        return _usable(_only(profiles, provider))
    if name not in profiles:
        there = _listed(profiles)
        raise ConfigurationError(
            f"there is no profile {_shown(name)}{said_by}",
            hint=_near(name, [*profiles, SANDBOX])
            + (f"the profiles are: {there}" if profiles else _to_begin(provider)),
        )
    profile = _usable(profiles[name])
    if provider is not None and profile.provider != provider:
        others = [each.name for each in profiles.values() if each.provider == provider]
        instead = f"-p with one of: {_listed(others)}" if others else _to_begin(provider)
        raise ConfigurationError(
            f"profile {name}{said_by} is of {profile.provider}, not of {provider}",
            hint=f"`cdrctl {profile.provider} …` for this profile; for {provider} {instead}",
        )
    return profile


def _usable(profile: Profile) -> Profile:
    if profile.fault is not None:
        raise ConfigurationError(profile.fault, hint=profile.hint)
    return profile


def _only(profiles: Mapping[str, Profile], provider: str | None) -> Profile:
    """Return the only profile of a provider, or of all when that is None."""
    found = [
        each
        for each in profiles.values()
        if each.name != SANDBOX and (each.provider == provider or (provider is None and each.provider))
    ]
    of = f" of {provider}" if provider else ""
    if not found:
        broken = [each.fault for each in profiles.values() if each.fault and not each.provider]
        known = f"; {broken[0]}" if broken else ""
        raise ConfigurationError(f"there is no profile{of}{known}", hint=_to_begin(provider))
    if len(found) > 1:
        raise ConfigurationError(
            f"there are {len(found)} profiles{of}: {_listed(each.name for each in found)}",
            hint="choose one with -p NAME or CDRCTL_PROFILE",
        )
    return found[0]


def _to_begin(provider: str | None) -> str:
    return (
        f"`cdrctl profile add NAME --provider {provider or 'PROVIDER'}`, or `-p {SANDBOX}` to try it without an account"
    )


# Settings


def tags_of(profile: Profile, environ: Mapping[str, str]) -> frozenset[str]:
    """Return the tags of a profile, of the environment where its variable is set, else of the file."""
    given = environ.get(environment_name(profile.name, "tags")) or profile.raw.get("tags")
    found = split_tags(given)
    return frozenset(one for one in found if isinstance(one, str)) if isinstance(found, list) else frozenset()


def settings(
    profile: Profile,
    model: type[S],
    environ: Mapping[str, str],
    *,
    warn: Callable[[str], None],
    run: Run | None = None,
    keyring: Keyring | None = None,
    asked: bool = True,
    conceal: Callable[[Iterable[str]], None] = lambda _secrets: None,
    detail: Callable[[str], None] = lambda _text: None,
) -> S:
    """Return a profile's settings, validated, with every secret that is configured.

    The environment wins over the file, setting by setting; any form of a secret in the environment (`x`,
    `x_command`, `x_file`, `x_keyring`) wins over any form in the file. An empty variable counts as not set.

    Args:
        profile: Which.
        model: The provider's model.
        environ: The environment; commands get it too.
        warn: Is given each warning.
        run: Runs a command; through the shell when left out.
        keyring: Asks the keyring; the optional package when left out.
        asked: Whether commands, files and the keyring are asked for secrets; else something stands for each.
        conceal: Is given each secret as soon as it is known, before anything is said.
        detail: Is given each line that a command wrote to its standard error.

    Raises:
        ConfigurationError: A setting is unknown, missing, given twice or not valid; a secret cannot be had.
    """
    _usable(profile)
    secrets = secret_names(model)
    upper, lower = _levels(profile, model, environ)
    conceal([value for level in (upper, lower) for name in secrets if isinstance(value := level.get(name), str)])
    _refuse_unknown(profile, model, environ, lower)
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for name in model.model_fields:
        for level, where in ((upper, "the environment"), (lower, str(profile.path))):
            forms = [form for form in _forms(name, secrets) if form in level]
            # `x_keyring = false` is no form of x; in the environment it takes the file's `true` away.
            if f"{name}_keyring" in forms and not _truth(profile, f"{name}_keyring", level, where):
                forms.remove(f"{name}_keyring")
                lower.pop(f"{name}_keyring", None)
            if not forms:
                continue
            named = [environment_name(profile.name, form) if level is upper else form for form in forms]
            if len(forms) > 1:
                raise ConfigurationError(
                    f"profile {profile.name} has both {' and '.join(named)} in {where}",
                    hint="leave one of them",
                )
            places[name] = named[0] if level is upper else f"{named[0]} in {where}"
            value = level[forms[0]]
            if name in secrets:
                about = f"profile {profile.name}: {places[name]}"
                if forms[0] != name and not asked:
                    value = UNASKED
                elif forms[0] != name:
                    value = _secret(
                        f"{profile.name}/{name}",
                        forms[0],
                        value,
                        about,
                        folder=profile.path.parent,
                        environ=_for_commands(profile, secrets, environ),
                        warn=warn,
                        run=run or run_in_shell,
                        keyring=keyring or ask_keyring,
                        conceal=conceal,
                        detail=detail,
                    )
                    conceal([value])
                _refuse_odd(value, about)
                if isinstance(value, str) and len(value) < SHORTEST:
                    warn(f"{about} has fewer than {SHORTEST} characters: it cannot be hidden in messages")
            values[name] = value
            break
    return _validated(profile, model, values, places, secrets)


def secret_values(settings: Settings) -> list[str]:
    """Return every secret of some settings, also as it reads in a URL, the longest first: for redaction."""
    from pydantic import SecretStr

    found: set[str] = set()
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr) and (text := value.get_secret_value()):
            found |= {text, quote(text, safe=""), quote(text), quote_plus(text)}
    return sorted(found, key=lambda text: (-len(text), text))


def written_secrets(profiles: Iterable[Profile], environ: Mapping[str, str]) -> list[str]:
    """Return the secrets that stand in the file or the environment itself, of profiles of any provider."""
    return [
        value
        for profile in profiles
        for name in SECRETS
        for value in (profile.raw.get(name), environ.get(environment_name(profile.name, name)))
        if isinstance(value, str)
    ]


def redacted(profile: Profile, model: type[Settings], environ: Mapping[str, str]) -> dict[str, str]:
    """Return every configured setting by name, fit to be shown: secrets are hidden whatever their length.

    Commands and file names are shown, but not what `echo` or `printf` would print, and neither a secret that stands in
    the profile or in a file that it names, in whatever setting it is found. A value from the environment is followed by
    its variable. The value of a key that is no setting is hidden: it may be a secret whose name was mistyped.
    """
    secrets = secret_names(model)
    upper, lower = _levels(profile, model, environ)
    known = [*written_secrets([profile], environ), *_in_files(profile, secrets, environ, upper, lower)]
    shown: dict[str, str] = {}
    for name in model.model_fields:
        forms = _forms(name, secrets)
        level = upper if any(form in upper for form in forms) else lower
        for form in forms:
            if form in level:
                text = HIDDEN if form in secrets or str(level[form]) in known else masked(_plain(level[form]), known)
                if form.endswith("_command"):
                    text = _PRINTS.sub(rf"\1 {HIDDEN}", text)
                shown[form] = f"{text} ({environment_name(profile.name, form)})" if level is upper else text
    for key in lower:
        if key not in _keys(model):
            shown[_shown(masked(key, known))] = f"{HIDDEN} (not a setting of {profile.provider})"
    return shown


_PRINTS = re.compile(r"\b(echo|printf)\b.*", re.DOTALL)


def _in_files(
    profile: Profile, secrets: set[str], environ: Mapping[str, str], *levels: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the secrets in the files that a profile names, as far as they can be read."""
    for level in levels:
        for name in secrets:
            if isinstance(value := level.get(f"{name}_file"), str):
                with suppress(ConfigurationError):
                    path = profile.path.parent / _expanded(value, environ)
                    if os.path.isfile(path):  # noqa: PTH113 - False, too, for what cannot be a path; no pipe is emptied
                        yield _from_file(path, "", lambda _warning: None)


def _plain(value: object) -> str:
    """Return a setting as its file writes it, without the password, query or fragment that a URL may hold."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = re.sub(r"//.*@", f"//{HIDDEN}@", text)
    return re.sub(r"^(\w+://[^?#]*[?#]).+", rf"\1{HIDDEN}", text, flags=re.DOTALL)


def _is_secret(annotation: object) -> bool:
    from pydantic import SecretStr

    return annotation is SecretStr or any(_is_secret(each) for each in get_args(annotation))


def secret_names(model: type[Settings]) -> set[str]:
    """Return the names of a model's secrets: the settings of type SecretStr, or SecretStr or None."""
    return {name for name, about in model.model_fields.items() if _is_secret(about.annotation)}


def _forms(name: str, secrets: set[str]) -> list[str]:
    """Return the keys that may give a setting."""
    return [name, *(name + form for form in _FORMS)] if name in secrets else [name]


def _keys(model: type[Settings]) -> list[str]:
    secrets = secret_names(model)
    return [form for name in model.model_fields for form in _forms(name, secrets)]


def _levels(
    profile: Profile, model: type[Settings], environ: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the environment gives and what the file gives, each by key."""
    named = {key: environ.get(environment_name(profile.name, key)) for key in _keys(model)}
    return {key: value for key, value in named.items() if value}, dict(profile.raw)


def _refuse_unknown(
    profile: Profile, model: type[Settings], environ: Mapping[str, str], lower: Mapping[str, Any]
) -> None:
    keys = _keys(model)
    unknown = [(key, f"{_shown(key)} in {profile.path}") for key in lower if key not in keys]
    mine = _prefix(profile.name)
    for variable in environ:
        key = variable.removeprefix(mine).lower()
        # CDRCTL_ACME_LAB_API_KEY begins as acme's do, and is acme-lab's.
        others = [each for each in profile.prefixes if each != mine and variable.startswith(each)]
        if variable.startswith(mine) and key not in {*keys, "provider"} and not others:
            unknown.append((key, _shown(variable)))
    if unknown:
        raise ConfigurationError(
            f"profile {profile.name}: {', '.join(shown for _, shown in unknown)}: "
            f"not {'a setting' if len(unknown) == 1 else 'settings'} of {profile.provider}",
            hint="".join(_near(key, keys) for key, _ in unknown) + f"the settings are: {', '.join(model.model_fields)}",
        )


def _truth(profile: Profile, key: str, level: Mapping[str, Any], where: str) -> bool:
    value = level[key]
    if isinstance(value, str):
        value = _WORDS.get(value.strip().lower())
    if not isinstance(value, bool):
        raise ConfigurationError(f"profile {profile.name}: {key} in {where} must be true or false")
    return value


def _secret(
    user: str,
    form: str,
    value: object,
    about: str,
    *,
    folder: Path,
    environ: Mapping[str, str],
    warn: Callable[[str], None],
    run: Run,
    keyring: Keyring,
    conceal: Callable[[Iterable[str]], None],
    detail: Callable[[str], None],
) -> str:
    """Return a secret that a command, a file or the keyring holds."""
    if form.endswith("_keyring"):
        return _from_keyring(user, about, keyring)
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{about} must be text, and not empty")
    if form.endswith("_command"):
        return _from_command(value, about, environ, run, conceal, detail)
    return _from_file(folder / _expanded(value, environ), about, warn)


def _for_commands(profile: Profile, secrets: set[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what a command that gives one secret need not know.

    That is this profile's other secrets and all settings of other profiles.
    """
    mine = _prefix(profile.name)
    kept = {}
    for variable, value in environ.items():
        owner = max((each for each in (mine, *profile.prefixes) if variable.startswith(each)), key=len, default=None)
        if owner is None or (owner == mine and variable.removeprefix(mine).lower() not in secrets):
            kept[variable] = value
    return kept


def _from_command(
    command: str,
    about: str,
    environ: Mapping[str, str],
    run: Run,
    conceal: Callable[[Iterable[str]], None],
    detail: Callable[[str], None],
) -> str:
    """Return what a command prints. What it says of its own is not shown but as a detail: it may be the secret."""
    problem: str | None = None
    ended: subprocess.CompletedProcess[bytes] | None = None
    try:
        ended = run(command, environ)
    except subprocess.TimeoutExpired:
        problem = f"did not end within {COMMAND_SECONDS:.0f} seconds"
    except TooMuchOutputError:
        problem = f"printed more than {LONGEST_OUTPUT // 1024} KiB"
    except (OSError, ValueError) as error:
        problem = f"cannot be started: {_reason(error)}"
    # Outside the handler: a timeout carries what had been printed.
    if ended is None:
        raise ConfigurationError(f"{about} {problem}", hint="run the command by hand and see")
    printed = [line.strip() for line in ended.stdout.decode("utf-8", "replace").splitlines()]
    conceal(printed)
    for line in ended.stderr.decode("utf-8", "replace").splitlines()[:_LISTED]:
        detail(f"{about} said: {_shown(masked(line, printed))}")
    if ended.returncode:
        hint = "run it again with -v to see what the command said"
        if ended.returncode in _NOT_FOUND:
            hint = "is the program installed, and on the PATH of this environment?"
        raise ConfigurationError(f"{about} ended with {ended.returncode}", hint=hint)
    text = _decoded(ended.stdout)
    if text is None:
        raise ConfigurationError(f"{about} printed something that is not UTF-8 text")
    if not text.strip():
        raise ConfigurationError(f"{about} printed nothing", hint="run it again with -v to see what the command said")
    return text.rstrip("\r\n")


def _from_file(path: Path, about: str, warn: Callable[[str], None]) -> str:
    try:
        content, status = secret_files.read(path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{about}: {_shown(str(path))} cannot be read: {_reason(error)}") from None
    for warning in _open_to_others(path, status):
        warn(warning)
    text = _decoded(content)
    if text is None or len(content) > secret_files.LONGEST:
        raise ConfigurationError(f"{about}: {path} is not a short UTF-8 text")
    if not text.strip():
        raise ConfigurationError(f"{about}: {path} is empty")
    return text.rstrip("\r\n")


def ask_keyring(service: str, user: str) -> str | None:
    """Return the password that the keyring holds, or None.

    Raises:
        ConfigurationError: The optional package is not installed, or it has no keyring to ask.
    """
    try:
        import keyring  # an optional dependency, and slow to import
    except ImportError:
        raise ConfigurationError("the package keyring is not installed", hint="pip install 'cdrctl[keyring]'") from None
    try:
        password: str | None = keyring.get_password(service, user)
    except Exception as error:  # noqa: BLE001 - a backend is anybody's code and raises anything
        problem = type(error).__name__
    else:
        return password
    raise ConfigurationError(f"the keyring cannot be asked ({problem})", hint="see `python -m keyring diagnose`")


def tell_keyring(service: str, user: str, password: str) -> None:
    """Give the keyring a password to hold.

    Raises:
        ConfigurationError: The optional package is not installed, or it has no keyring that takes it.
    """
    try:
        import keyring  # an optional dependency, and slow to import
    except ImportError:
        raise ConfigurationError("the package keyring is not installed", hint="pip install 'cdrctl[keyring]'") from None
    try:
        keyring.set_password(service, user, password)
    except Exception as error:  # noqa: BLE001 - a backend is anybody's code and raises anything
        problem = type(error).__name__
    else:
        return
    # Outside the handler: the exception may hold the password.
    raise ConfigurationError(f"the keyring does not take it ({problem})", hint="see `python -m keyring diagnose`")


def _from_keyring(user: str, about: str, ask: Keyring) -> str:
    try:
        password = ask(SERVICE, user)
    except ConfigurationError as error:
        raise ConfigurationError(f"{about}: {error.message}", hint=error.hint) from None
    if not password:
        raise ConfigurationError(
            f"{about}: the keyring has no password of {user} for {SERVICE}",
            hint=f"keyring set {SERVICE} {user}",
        )
    return password


def _refuse_odd(value: object, about: str) -> None:
    """Refuse a secret that is empty or has several lines.

    A line end would break the header that the secret goes into, and the error of that would show it.
    """
    if not isinstance(value, str):
        return  # the model says that it must be text
    if not value.strip():
        raise ConfigurationError(f"{about} is empty")
    if re.search(r"[\r\n\0]", value):
        raise ConfigurationError(
            f"{about} gives more than one line",
            hint="a secret is one line: `head -n 1` takes the first of a command",
        )


def _validated(
    profile: Profile, model: type[S], values: Mapping[str, Any], places: Mapping[str, str], secrets: set[str]
) -> S:
    from pydantic import ValidationError

    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
    # Outside the handler: pydantic's error holds the values, secrets too.
    hidden = [value for name in secrets if isinstance(value := values.get(name), str)]
    sentences = dict.fromkeys(masked(_sentence(profile, each, places), hidden) for each in problems)
    raise ConfigurationError("; ".join(sentences), hint=f"`cdrctl profile show {profile.name}` shows what is set")


def _sentence(profile: Profile, problem: ErrorDetails, places: Mapping[str, str]) -> str:
    """Return one sentence about one of pydantic's findings."""
    said = problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if not problem["loc"]:
        return f"profile {profile.name}: {said}"
    name = str(problem["loc"][0])
    if problem["type"] == "missing":
        variable = environment_name(profile.name, name)
        return f"profile {profile.name} has no {name}: set {name} in {profile.path} or {variable}"
    place = places.get(name, name)
    if problem["type"] == "string_type":
        return f'profile {profile.name}: {place} must be text: write it in quotes, {name} = "…"'
    if said.startswith("Input should "):
        return f"profile {profile.name}: {place} {said.removeprefix('Input ')}"
    return f"profile {profile.name}: {place}: {said}"


# Changing the file


def check(path: Path, name: str, model: type[Settings], settings: Mapping[str, Any]) -> None:
    """Refuse settings that a profile cannot have, before they are written; no secret is asked for.

    Raises:
        ConfigurationError: A setting is missing or not valid.
    """
    secrets = secret_names(model)
    values = {key: value for key, value in settings.items() if key in model.model_fields}
    for secret in secrets:
        if any(form in settings for form in _forms(secret, secrets)):
            values.setdefault(secret, UNASKED)
    profile = Profile(name, "", {}, "file", path)
    _validated(profile, model, values, {}, secrets)


def add(
    path: Path,
    name: str,
    provider: str,
    settings: Mapping[str, str | float | bool],
    *,
    seconds: float = LOCK_SECONDS,
    instead: bool = False,
) -> None:
    """Write a new profile at the end of the file, making the file when there is none.

    What stands in the file stays as it is, comments and order too. The file's mode becomes 0600. With `instead` it
    takes the place of the profile of this name, if there is one; tokens that were renewed for that one stay.

    Raises:
        UsageError: The name cannot be a profile's, or there is one of this name; there is no such provider.
        ConfigurationError: The file cannot be used as it stands, or cannot be written.
        TemporaryError: Another run has been changing the file all the time.
    """
    _refuse_name(path, name, ())
    if odd := [key for key, value in settings.items() if re.search(r"[\ud800-\udfff]", str(value))]:
        raise UsageError(f"{odd[0]} is not text: it has bytes that are not UTF-8", hint="type it anew")
    if provider not in PROVIDERS:
        raise UsageError(
            f"there is no provider {_shown(provider)}",
            hint=f"{_near(provider, PROVIDERS)}the providers are: {', '.join(PROVIDERS)}",
        )
    with _changing(path, seconds):
        text, _ = _text(path)
        document = _parsed(path, text)
        tables = _tables(path, document, [])
        _refuse_name(path, name, [each for each in tables if each != name] if instead else tables)
        wanted = {
            "provider": provider,
            **{key: value for key, value in settings.items() if key != "provider"},
        }
        expected = {**document, "profiles": {**tables, name: wanted}}
        without = _removed(text, name) if name in tables else iter([text])
        _rewrite(path, (whole for left in without for whole in _added(left, name, wanted)), expected)


def check_name(path: Path, name: str) -> None:
    """Refuse a name that no new profile of the file can have.

    Raises:
        UsageError: It cannot be a profile's name, or there is one of this name.
        ConfigurationError: The file cannot be used as it stands.
    """
    text, _ = _text(path)
    _refuse_name(path, name, _tables(path, _parsed(path, text), []))


def _refuse_name(path: Path, name: str, others: Iterable[str]) -> None:
    if fault := _name_fault(name):
        raise UsageError(f"{_shown(name)} cannot be a profile's name: {fault}", hint="choose another name")
    for other in others:
        if other == name:
            raise UsageError(
                f"there is a profile {name} in {path} already", hint=f"`cdrctl profile remove {name}` first"
            )
        if _prefix(other) == _prefix(name):
            raise UsageError(
                f"profiles {_shown(other)} and {name} would have the same environment variables ({_prefix(name)}…)",
                hint="choose another name",
            )


def remove(path: Path, name: str, *, seconds: float = LOCK_SECONDS) -> None:
    """Take a profile out of the file, and delete the tokens that runs have renewed for it.

    Comments above the next profile stay, as does everything else.

    Raises:
        UsageError: The file has no such profile.
        ConfigurationError: The file cannot be used as it stands, or cannot be written.
        TemporaryError: Another run has been changing the file, or signing in with this profile, all the time.
    """
    text, _ = _text(path)
    if name not in _tables(path, _parsed(path, text), []):
        raise _absent(path, name, _tables(path, _parsed(path, text), []))
    with ExitStack() as stack:
        tokens = token_file(path, name, "") if _NAME.fullmatch(name) else None
        if tokens is not None and tokens.path.exists():
            stack.enter_context(tokens.locked(seconds))
        with _changing(path, seconds):
            text, _ = _text(path)
            document = _parsed(path, text)
            tables = _tables(path, document, [])
            if name not in tables:
                raise _absent(path, name, tables)
            expected = {**document, "profiles": {key: value for key, value in tables.items() if key != name}}
            _rewrite(path, _removed(text, name), expected)
        # Last: tokens deleted for a profile that then stays would lock its user out.
        if tokens is not None:
            with _told(tokens.path):
                tokens.path.unlink(missing_ok=True)


def _absent(path: Path, name: str, tables: Mapping[str, Any]) -> UsageError:
    there = f"the profiles are: {_listed(tables)}" if tables else "it has no profiles"
    return UsageError(f"there is no profile {_shown(name)} in {path}", hint=_near(name, tables) + there)


@contextmanager
def _changing(path: Path, seconds: float) -> Iterator[None]:
    """Hold the lock of the configuration file, having made its folder."""
    with _told(path), ExitStack() as stack:
        # The lock of the file itself, and not of a link to it: another link would have another lock.
        target = _target(path)
        if target.exists() and not target.is_file():
            raise ConfigurationError(f"{path} is not a file", hint="name another with --config or CDRCTL_CONFIG")
        _make_folder(target.parent)
        lock = target.with_name(f".{target.name}.lock")
        stack.enter_context(_held(lock, f"another run is changing {path}", seconds))
        yield


def _rewrite(path: Path, candidates: Iterator[str], expected: Mapping[str, Any]) -> None:
    """Replace the file with the first candidate that says what is expected, and nothing else."""
    for text in candidates:
        try:
            said = tomllib.loads(text)
        except (ValueError, RecursionError):
            continue
        # A file without profiles may or may not still say `[profiles]`.
        if _same({"profiles": {}, **said}, {"profiles": {}, **expected}):
            _replace(path, text.encode(), through_links=True)
            return
    raise ConfigurationError(
        f"{path} is written in a way that cannot be changed without harm", hint="change it in an editor"
    )


def _same(one: object, other: object) -> bool:
    """Return whether two TOML values are the same; nan is."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other or (one != one and other != other)  # noqa: PLR0124 - how nan is known


def _added(text: str, name: str, wanted: Mapping[str, Any]) -> Iterator[str]:
    """Yield the document with a profile added: as a table at the end; else wherever tomlkit can put it."""
    import tomlkit

    table = tomlkit.table()
    for key, value in wanted.items():
        table.add(key, value)
    profiles = tomlkit.table(is_super_table=True)
    profiles.add(name, table)
    alone = tomlkit.document()
    alone.add("profiles", profiles)
    ending = "\r\n" if "\r\n" in text else "\n"
    gap = "" if not text.strip() else "\n" if text.endswith("\n") else "\n\n"
    yield text + (gap + alone.as_string()).replace("\n", ending)

    def change(document: Any) -> None:
        document["profiles"][name] = {**wanted}

    yield from _edited(text, change)


def _removed(text: str, name: str) -> Iterator[str]:
    """Yield the document without a profile: without the lines of its tables; else as tomlkit takes it out.

    tomlkit counts a comment above a table to the table before it and would take that away too.
    """
    kept: list[str] = []
    waiting: list[str] = []
    inside = False
    for line in text.splitlines(keepends=True):
        if (keys := _heading(line)) is not None:
            inside = keys[:2] == ["profiles", name]
            kept += waiting
            waiting = []
        if not inside:
            kept.append(line)
        elif keys is None and (not line.strip() or line.lstrip().startswith("#")):
            waiting.append(line)
        else:
            waiting = []
    yield "".join(kept + waiting)

    def change(document: Any) -> None:
        del document["profiles"][name]

    yield from _edited(text, change)


def _heading(line: str) -> list[str] | None:
    """Return the keys of a line such as `[profiles.acme]`, or None for any other line."""
    if not line.lstrip().startswith("["):
        return None
    try:
        table = tomllib.loads(line)
    except (ValueError, RecursionError):
        return None
    keys = []
    while isinstance(table, dict) and table:
        key, table = next(iter(table.items()))
        keys.append(key)
    return keys


def _edited(text: str, change: Callable[[Any], None]) -> Iterator[str]:
    """Yield the document as tomlkit changes it, or nothing where it cannot; what it yields is compared."""
    import tomlkit

    with suppress(Exception):
        document = tomlkit.parse(text)
        change(document)
        yield document.as_string()


# Files and locks


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn an OSError within into a sentence about a file that cannot be written."""
    try:
        yield
    except (OSError, NotImplementedError) as error:
        raise ConfigurationError(
            f"{_shown(str(path))} cannot be written: {_reason(error)}",
            hint="--config or CDRCTL_CONFIG can name a file elsewhere",
        ) from None


def need_home(path: Path) -> None:
    """Refuse to keep anything beside a configuration file that has no place.

    Raises:
        ConfigurationError: There is no home directory.
    """
    if _homeless(path):
        raise ConfigurationError(
            "there is no home directory to keep profiles in",
            hint="set HOME, or CDRCTL_CONFIG to a file's path",
        )


def _target(path: Path) -> Path:
    """Return the file that a path leads to: a link stays a link when its file is replaced."""
    need_home(path)
    return Path(os.path.realpath(path))


def _make_folder(folder: Path) -> None:
    """Make a folder, and the folders above it that are missing, for its owner alone."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        with suppress(FileExistsError):
            each.mkdir(mode=0o700)


@contextmanager
def _held(lock: Path, busy: str, seconds: float) -> Iterator[None]:
    """Hold a lock file's lock."""
    from filelock import FileLock, Timeout

    held = FileLock(lock, timeout=seconds, mode=0o600)
    try:
        held.acquire()
    except Timeout:
        raise TemporaryError(busy, hint="run it again when the other has ended") from None
    try:
        yield
    finally:
        held.release()


def _replace(path: Path, content: bytes, *, lasting: bool = True, through_links: bool = False) -> None:
    """Replace a file, or make it, so that it is whole or as before at any instant, and its owner's alone.

    One that is not lasting may be lost, or found empty, where the machine stops; it is written much faster. A link is
    replaced by the file, or what it leads to is `through_links`.
    """
    need_home(path)
    target = _target(path) if through_links else path
    # mkstemp makes the file with mode 0600, whatever the umask.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name[:64]}.", suffix=".new", dir=target.parent)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
            file.write(content)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
    if lasting:
        _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename last; where a folder cannot be opened, as on Windows, the system sees to it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# Renewed tokens


@dataclass(frozen=True, slots=True)
class TokenFile:
    """Where the tokens that runs renew for a profile are kept: a rotating refresh token is good for one use.

    Args:
        path: The file: its mode is 0600, that of its folder 0700.
        lock: The file whose lock a run holds from before it loads until after it has saved.
        origin: The SHA-256 of the refresh token in the profile, or of the client id where somebody signed in with a
            browser. Tokens kept for another are not loaded: the user has put a new one into the profile since.
    """

    path: Path
    lock: Path
    origin: str

    @contextmanager
    def locked(self, seconds: float = LOCK_SECONDS) -> Iterator[None]:
        """Hold the lock, having proved that tokens can be saved.

        It is proved beforehand because the old refresh token ends at the provider when the new one is issued.

        Raises:
            TemporaryError: Another run has held it all the time.
            ConfigurationError: The folder cannot be written.
        """
        with ExitStack() as stack:
            with _told(self.path):
                need_home(self.path)
                _make_folder(self.path.parent)
                private.check_folder(self.path.parent)
                stack.enter_context(_held(self.lock, "another run is signing in with this profile", seconds))
                self._prove()
            yield

    def _prove(self) -> None:
        if self.path.is_dir():
            raise ConfigurationError(f"{self.path} is a folder", hint="delete it")
        descriptor, temporary = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".probe", dir=self.path.parent)
        try:
            # More than tokens take, and synced: a full disk is often noticed only then.
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
                file.write(bytes(_PROBE))
                file.flush()
                os.fsync(file.fileno())
        finally:
            Path(temporary).unlink()

    def load(self) -> dict[str, Any] | None:
        """Return the tokens kept, or None when there are none for the refresh token in the profile.

        Raises:
            ConfigurationError: The file is damaged or cannot be read. It is not taken for absent: the refresh
                token in the profile has probably been used up.
        """
        if _homeless(self.path):
            return None
        problem = "it is not what was written there"
        kept: object = None
        try:
            kept = json.loads(private.read(self.path))
        except FileNotFoundError:
            return None
        except OSError as error:
            problem = _reason(error)
        except (ValueError, RecursionError):
            pass
        # Outside the handler: the decoder's error holds the text.
        if isinstance(kept, dict) and isinstance(kept.get("origin"), str) and isinstance(kept.get("tokens"), dict):
            tokens: dict[str, Any] = kept["tokens"]
            return tokens if kept["origin"] == self.origin else None
        raise ConfigurationError(
            f"the renewed tokens in {self.path} cannot be read: {problem}",
            hint=f"delete {self.path} and sign in anew: `cdrctl profile login {self.path.stem}`, or put a new refresh "
            "token into the profile",
        )

    def save(self, tokens: Mapping[str, Any]) -> None:
        """Keep these tokens instead of those kept before.

        Raises:
            ConfigurationError: They cannot be written; the provider has ended the old refresh token all the same.
        """
        content = json.dumps({"origin": self.origin, "tokens": dict(tokens)}).encode()
        try:
            need_home(self.path)
            _make_folder(self.path.parent)
            private.check_folder(self.path.parent)
            _replace(self.path, content)
        except OSError as error:
            raise ConfigurationError(
                f"the renewed tokens cannot be kept in {self.path}: {_reason(error)}",
                hint="the refresh token in the profile may have ended: sign in anew and put the new one in",
            ) from None


def token_file(config: Path, profile: str, origin: str) -> TokenFile:
    """Return where the renewed tokens of a profile are kept: `tokens/PROFILE.json` beside the configuration.

    Args:
        config: The configuration file.
        profile: The profile's name.
        origin: The refresh token in the profile, or its client id where it has none; only the SHA-256 is kept.

    Raises:
        ConfigurationError: The name cannot be a profile's, or somebody else could put links into the folder.
    """
    if not _NAME.fullmatch(profile):
        raise ConfigurationError(f"{_shown(profile)} cannot be a profile's name", hint="rename the profile")
    folder = config.parent / "tokens"
    if not _homeless(folder):
        private.check_folder(folder)
    digest = hashlib.sha256(origin.encode("utf-8", "surrogatepass")).hexdigest()
    return TokenFile(folder / f"{profile}.json", folder / f"{profile}.lock", digest)


# The shared pace


@dataclass(frozen=True, slots=True)
class PaceFile:
    """Where all runs on this host that use one credential share when they ask its provider.

    Args:
        path: The file, with no secret in it or in its name: its mode is 0600, that of its folder 0700.
        lock: The file whose lock is held while this one or another of the folder is read and written.
    """

    path: Path
    lock: Path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            TemporaryError: Another run has held it all the time.
            ConfigurationError: The folder cannot be written.
        """
        with ExitStack() as stack:
            with _told(self.path):
                need_home(self.path)
                _make_folder(self.path.parent)
                private.check_folder(self.path.parent)
                busy = "another run keeps the lock of the shared pace"
                stack.enter_context(_held(self.lock, busy, PACE_LOCK_SECONDS))
            yield

    def load(self) -> object:
        """Return what was saved, or None when there is nothing that can be read: it is not worth an error."""
        with suppress(OSError, ValueError, RecursionError):
            return json.loads(private.read(self.path))
        return None

    def save(self, kept: Mapping[str, Any]) -> None:
        """Keep this instead of what was kept before; a new file takes the place of those that nobody needs any more.

        Raises:
            ConfigurationError: It cannot be written.
        """
        with _told(self.path):
            new = not self.path.exists()
            _replace(self.path, json.dumps(kept).encode(), lasting=False)
            if new:
                self._tidy()

    def _tidy(self) -> None:
        """Delete what nobody has written for long: a token that is good for hours would else leave a file for ever."""
        newest = self.path.stat().st_mtime
        for each in self.path.parent.iterdir():
            with suppress(OSError):
                if each != self.lock and each.stat().st_mtime < newest - PACE_KEPT_SECONDS:
                    each.unlink()


def pace_file(config: Path, provider: str, settings: Settings) -> PaceFile:
    """Return where the pace of a profile's credential is shared: `pace/DIGEST.json` beside the configuration.

    The digest is of the provider, its host and the secrets as the profile has them, so that it stays the same when a
    token is renewed. It takes long to make on purpose: a password shall not be found by trying.

    Args:
        config: The configuration file.
        provider: The provider's name.
        settings: The profile's settings.

    Raises:
        ConfigurationError: Somebody else could put links into the folder.
    """
    host = urlsplit(settings.base_url).hostname or ""
    secrets = json.dumps(secret_values(settings)).encode()
    digest = hashlib.pbkdf2_hmac("sha256", secrets, f"{provider} {host}".encode(), PACE_ROUNDS, 16).hex()
    folder = config.parent / "pace"
    if not _homeless(folder):
        private.check_folder(folder)
    return PaceFile(folder / f"{digest}.json", folder / "lock")


# Words


def _reason(error: Exception) -> str:
    """Return why the system refused, in its words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return _shown(str(error)) or type(error).__name__


def _shown(text: str) -> str:
    """Return somebody else's words fit for one line of a terminal."""
    cut = text if len(text) <= 200 else text[:200] + "…"
    return cut if cut.isprintable() and cut else repr(cut)


def _close(name: str, names: Iterable[str]) -> list[str]:
    lowered = {each.lower(): each for each in names}
    return [lowered[each] for each in difflib.get_close_matches(name.lower(), lowered)]


def _near(name: str, names: Iterable[str]) -> str:
    """Return a question to put before a list of names, or nothing when none is like this one."""
    close = _close(name, names)
    return f"did you mean {' or '.join(map(_shown, close))}? " if close else ""


def _listed(names: Iterable[str]) -> str:
    all_names = [_shown(name) for name in names]
    more = f" and {len(all_names) - _LISTED} more" if len(all_names) > _LISTED else ""
    return ", ".join(all_names[:_LISTED]) + more
