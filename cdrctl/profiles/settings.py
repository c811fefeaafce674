"""The settings of one profile, from the file and the environment."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, quote_plus

from msgspec import Struct

from cdrctl.commands import run_in_shell
from cdrctl.errors import ConfigurationError, Message
from cdrctl.masking import SHORTEST, mask
from cdrctl.profiles.atomic import one_line
from cdrctl.profiles.choosing import usable_profile
from cdrctl.profiles.file import (
    Profile,
    environment_name,
    near_hint,
    read_profiles,
    variable_prefix,
)
from cdrctl.profiles.names import SECRETS, key_forms, key_levels, secret_names, setting_keys
from cdrctl.profiles.secrets import Keyring, Run, SecretSources, for_commands, read_keyring, secret_of

if TYPE_CHECKING:
    from cdrctl.fetchers.settings import Problem, Settings


S = TypeVar("S", bound="Settings")

NOT_READ = "not read yet"
"""The placeholder for a secret that was not read."""
_BOOLEANS = {
    "1": True, "true": True, "yes": True, "on": True,
    "0": False, "false": False, "no": False, "off": False,
}  # fmt: skip


def read_settings(
    profile: Profile,
    model: type[S],
    environ: Mapping[str, str],
    *,
    warn: Callable[[str], None],
    run: Run | None = None,
    keyring: Keyring | None = None,
    read_secrets: bool = True,
    conceal: Callable[[Iterable[str]], None] = lambda _secrets: None,
    detail: Callable[[str], None] = lambda _text: None,
) -> S:
    """Return a profile's settings, validated, with every secret that is configured.

    The environment wins over the file, setting by setting; any form of a secret in the environment (`x`,
    `x_command`, `x_file`, `x_keyring`) wins over any form in the file. An empty variable counts as not set.

    Args:
        profile: The profile.
        model: The provider's model.
        environ: The environment; commands get it too.
        warn: Receives each warning.
        run: Runs a command; the shell by default.
        keyring: Reads from the keyring; the optional package by default.
        read_secrets: Whether to read secrets from commands, files and the keyring; if not, a placeholder stands for
            each.
        conceal: Receives each secret as soon as it is known, before any message that could contain it.
        detail: Receives each line that a command wrote to its standard error.

    Raises:
        ConfigurationError: A setting is unknown, missing, given twice or not valid; a secret cannot be read.
    """
    secrets = secret_names(model)
    given = find_values(profile, model, secrets, environ, conceal)
    sources = SecretSources(
        profile.path.parent,
        functools.cache(lambda: for_commands(profile, secrets, environ)),
        warn,
        run or run_in_shell,
        keyring or read_keyring,
        conceal,
        detail,
    )
    values = {name: one.value for name, one in given.items()}
    for name in (name for name in given if name in secrets):
        values[name] = _read_secret(profile, name, given[name], sources, placeholder=not read_secrets)
    return validate_settings(profile, model, values, {name: one.place for name, one in given.items()}, secrets)


class _Given(Struct, frozen=True):
    """The value of a setting as it is configured.

    Args:
        key: The setting's name, or for a secret one of its forms.
        value: The value; for a form of a secret the command, the path or `true`.
        place: The variable, or the key and the file, for messages.
    """

    key: str
    value: object
    place: str


def find_values(
    profile: Profile,
    model: type[Settings],
    secrets: frozenset[str],
    environ: Mapping[str, str],
    conceal: Callable[[Iterable[str]], None],
) -> dict[str, _Given]:
    """Return the value of each setting that is configured, secrets not yet read.

    Raises:
        ConfigurationError: The profile has a fault, a setting that is unknown, or a secret in two forms.
    """
    usable_profile(profile)
    upper, lower = key_levels(profile, model, environ)
    conceal([value for level in (upper, lower) for name in secrets if isinstance(value := level.get(name), str)])
    _refuse_unknown(profile, model, environ, lower)
    found = {name: _find_value(profile, name, secrets, upper, lower) for name in model.described()}
    return {name: one for name, one in found.items() if one is not None}


def _find_value(
    profile: Profile, name: str, secrets: frozenset[str], upper: Mapping[str, Any], lower: Mapping[str, Any]
) -> _Given | None:
    """Return a setting's value from the environment, else from the file, else None.

    `x_keyring = false` is not a form of x; in the environment it cancels the `true` of the file.

    Raises:
        ConfigurationError: The environment or the file has two forms of the secret.
    """
    keyring = f"{name}_keyring"
    cancelled = False
    for level, where in ((upper, "the environment"), (lower, str(profile.path))):
        forms = [form for form in key_forms(name, secrets) if form in level]
        if keyring in forms and (cancelled or not _boolean(profile, keyring, level, where)):
            forms.remove(keyring)
            cancelled = True
        if not forms:
            continue
        named = [environment_name(profile.name, form) if level is upper else form for form in forms]
        if len(forms) > 1:
            raise ConfigurationError(
                f"profile {profile.name} has both {' and '.join(named)} in {where}", hint="remove one of them"
            )
        return _Given(forms[0], level[forms[0]], named[0] if level is upper else f"{named[0]} in {where}")
    return None


def _read_secret(profile: Profile, name: str, given: _Given, sources: SecretSources, *, placeholder: bool) -> object:
    """Return a secret, and warn if it is too short to be masked.

    Raises:
        ConfigurationError: It cannot be read, is empty or has more than one line.
    """
    about = f"profile {profile.name}: {given.place}"
    value = given.value
    if given.key != name and placeholder:
        value = NOT_READ
    elif given.key != name:
        value = secret_of(f"{profile.name}/{name}", given.key, value, about, sources)
        sources.conceal([value])
    _refuse_several_lines(value, about)
    if isinstance(value, str) and len(value) < SHORTEST:
        what = f"{about} has fewer than {SHORTEST} characters"
        sources.warn(Message(what, "it cannot be hidden in messages", between=": "))
    return value


def secret_values(settings: Settings) -> list[str]:
    """Return every secret in the settings, plain and as a URL encodes it, longest first."""
    from cdrctl.fetchers.settings import Secret

    found: set[str] = set()
    for name in type(settings).described():
        value = getattr(settings, name)
        if isinstance(value, Secret) and (text := value.get_secret_value()):
            found |= {text, quote(text, safe=""), quote(text), quote_plus(text)}
    return sorted(found, key=lambda text: (-len(text), text))


def written_secrets(profiles: Iterable[Profile], environ: Mapping[str, str]) -> list[str]:
    """Return the secrets that the file or the environment contains, of profiles of any provider."""
    return [
        value
        for profile in profiles
        for name in SECRETS
        for value in (profile.raw.get(name), environ.get(environment_name(profile.name, name)))
        if isinstance(value, str)
    ]


def known_profiles(
    path: Path, environ: Mapping[str, str], conceal: Callable[[Iterable[str]], None]
) -> tuple[dict[str, Profile], list[str]]:
    """Return all profiles by name, and warnings; `conceal` receives the secrets that they contain.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    found, warnings = read_profiles(path, environ)
    conceal(written_secrets(found.values(), environ))
    return found, warnings


def _refuse_unknown(
    profile: Profile, model: type[Settings], environ: Mapping[str, str], lower: Mapping[str, Any]
) -> None:
    keys = setting_keys(model)
    unknown = [(key, f"{one_line(key)} in {profile.path}") for key in lower if key not in keys]
    mine = variable_prefix(profile.name)
    for variable in filter(lambda name: name.startswith(mine), environ):
        key = variable.removeprefix(mine).lower()
        # CDRCTL_ACME_LAB_API_KEY begins like a variable of acme, but belongs to acme-lab.
        others = [each for each in profile.prefixes if each != mine and variable.startswith(each)]
        if key not in {*keys, "provider"} and not others:
            unknown.append((key, one_line(variable)))
    if unknown:
        raise ConfigurationError(
            f"profile {profile.name}: {', '.join(shown for _, shown in unknown)}: "
            f"not {'a setting' if len(unknown) == 1 else 'settings'} of {profile.provider}",
            hint="".join(near_hint(key, keys) for key, _ in unknown)
            + f"the settings are: {', '.join(model.described())}",
        )


def _boolean(profile: Profile, key: str, level: Mapping[str, Any], where: str) -> bool:
    value = level[key]
    if isinstance(value, str):
        value = _BOOLEANS.get(value.strip().lower())
    if not isinstance(value, bool):
        raise ConfigurationError(
            f"profile {profile.name}: {key} in {where} must be true or false", hint=f"write {key} = true"
        )
    return value


def _refuse_several_lines(value: object, about: str) -> None:
    """Refuse a secret that is empty or has several lines.

    A line end would break the header that the secret is sent in, and the resulting error would show the secret.
    """
    if not isinstance(value, str):
        return  # the model refuses it
    if not value.strip():
        raise ConfigurationError(f"{about} is empty", hint="give it a value, or remove it")
    if re.search(r"[\r\n\0]", value):
        raise ConfigurationError(
            f"{about} gives more than one line",
            hint="a secret is one line; `head -n 1` prints the first line of a command's output",
        )


def validate_settings(
    profile: Profile, model: type[S], values: Mapping[str, Any], places: Mapping[str, str], secrets: frozenset[str]
) -> S:
    """Return the settings as the provider's model.

    Raises:
        ConfigurationError: A value is missing or not valid.
    """
    from cdrctl.fetchers.settings import SettingsError

    try:
        return model.of(values)
    except SettingsError as error:
        problems = error.problems
    # Outside the handler: a check may have put a secret into its error.
    hidden = [value for name in secrets if isinstance(value := values.get(name), str)]
    sentences = dict.fromkeys(mask(_describe_problem(profile, each, places), hidden) for each in problems)
    raise ConfigurationError("; ".join(sentences), hint=f"`cdrctl profile show {profile.name}` shows what is set")


def _describe_problem(profile: Profile, problem: Problem, places: Mapping[str, str]) -> str:
    """Return a sentence about what is wrong with a setting."""
    name = problem.name
    if not name:
        return f"profile {profile.name}: {problem.said}"
    place = places.get(name, name)
    match problem.kind:
        case "missing":
            variable = environment_name(profile.name, name)
            return f"profile {profile.name} has no {name}: set {name} in {profile.path} or {variable}"
        case "text":
            return f'profile {profile.name}: {place} must be text: write it in quotes, {name} = "…"'
        case "form":
            return f"profile {profile.name}: {place} {problem.said}"
        case _:
            return f"profile {profile.name}: {place}: {problem.said}"
