"""The settings of one profile, from the file and the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, quote_plus

from cdrctl.commands import run_in_shell
from cdrctl.errors import ConfigurationError, Message
from cdrctl.masking import MASK as HIDDEN, SHORTEST, masked
from cdrctl.profiles.atomic import one_line
from cdrctl.profiles.choosing import usable_profile
from cdrctl.profiles.file import (
    Profile,
    environment_name,
    expanded_path,
    near_hint,
    read_profiles,
    variable_prefix,
)
from cdrctl.profiles.names import SECRETS, key_forms, key_levels, secret_names, setting_keys
from cdrctl.profiles.secrets import Keyring, Run, ask_keyring, for_commands, from_file, secret_of

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from cdrctl.fetchers.settings import Settings


S = TypeVar("S", bound="Settings")

UNASKED = "as yet unasked"
"""What stands for a secret that nobody was asked for."""
_WORDS = {
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
    usable_profile(profile)
    secrets = secret_names(model)
    upper, lower = key_levels(profile, model, environ)
    conceal([value for level in (upper, lower) for name in secrets if isinstance(value := level.get(name), str)])
    _refuse_unknown(profile, model, environ, lower)
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for name in model.model_fields:
        for level, where in ((upper, "the environment"), (lower, str(profile.path))):
            forms = [form for form in key_forms(name, secrets) if form in level]
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
                    value = secret_of(
                        f"{profile.name}/{name}",
                        forms[0],
                        value,
                        about,
                        folder=profile.path.parent,
                        environ=for_commands(profile, secrets, environ),
                        warn=warn,
                        run=run or run_in_shell,
                        keyring=keyring or ask_keyring,
                        conceal=conceal,
                        detail=detail,
                    )
                    conceal([value])
                _refuse_odd(value, about)
                if isinstance(value, str) and len(value) < SHORTEST:
                    what = f"{about} has fewer than {SHORTEST} characters"
                    warn(Message(what, "it cannot be hidden in messages", between=": "))
            values[name] = value
            break
    return validated(profile, model, values, places, secrets)


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


def known_profiles(
    path: Path, environ: Mapping[str, str], conceal: Callable[[Iterable[str]], None]
) -> tuple[dict[str, Profile], list[str]]:
    """Return all profiles by name, and warnings; `conceal` receives the secrets that are written in them.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    found, warnings = read_profiles(path, environ)
    conceal(written_secrets(found.values(), environ))
    return found, warnings


def redacted(profile: Profile, model: type[Settings], environ: Mapping[str, str]) -> dict[str, str]:
    """Return every configured setting by name, fit to be shown: secrets are hidden whatever their length.

    Commands and file names are shown, but not what `echo` or `printf` would print, and neither a secret that stands in
    the profile or in a file that it names, in whatever setting it is found. A value from the environment is followed by
    its variable. The value of a key that is no setting is hidden: it may be a secret whose name was mistyped.
    """
    secrets = secret_names(model)
    upper, lower = key_levels(profile, model, environ)
    known = [*written_secrets([profile], environ), *_in_files(profile, secrets, environ, upper, lower)]
    shown: dict[str, str] = {}
    for name in model.model_fields:
        forms = key_forms(name, secrets)
        level = upper if any(form in upper for form in forms) else lower
        for form in forms:
            if form in level:
                text = HIDDEN if form in secrets or str(level[form]) in known else masked(_plain(level[form]), known)
                if form.endswith("_command"):
                    text = _PRINTS.sub(rf"\1 {HIDDEN}", text)
                shown[form] = f"{text} ({environment_name(profile.name, form)})" if level is upper else text
    for key in lower:
        if key not in setting_keys(model):
            shown[one_line(masked(key, known))] = f"{HIDDEN} (not a setting of {profile.provider})"
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
                    path = profile.path.parent / expanded_path(value, environ)
                    if os.path.isfile(path):  # noqa: PTH113 - False, too, for what cannot be a path; no pipe is emptied
                        yield from_file(path, "", lambda _warning: None)


def _plain(value: object) -> str:
    """Return a setting as its file writes it, without the password, query or fragment that a URL may hold."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = re.sub(r"//.*@", f"//{HIDDEN}@", text)
    return re.sub(r"^(\w+://[^?#]*[?#]).+", rf"\1{HIDDEN}", text, flags=re.DOTALL)


def _refuse_unknown(
    profile: Profile, model: type[Settings], environ: Mapping[str, str], lower: Mapping[str, Any]
) -> None:
    keys = setting_keys(model)
    unknown = [(key, f"{one_line(key)} in {profile.path}") for key in lower if key not in keys]
    mine = variable_prefix(profile.name)
    for variable in environ:
        key = variable.removeprefix(mine).lower()
        # CDRCTL_ACME_LAB_API_KEY begins as acme's do, and is acme-lab's.
        others = [each for each in profile.prefixes if each != mine and variable.startswith(each)]
        if variable.startswith(mine) and key not in {*keys, "provider"} and not others:
            unknown.append((key, one_line(variable)))
    if unknown:
        raise ConfigurationError(
            f"profile {profile.name}: {', '.join(shown for _, shown in unknown)}: "
            f"not {'a setting' if len(unknown) == 1 else 'settings'} of {profile.provider}",
            hint="".join(near_hint(key, keys) for key, _ in unknown)
            + f"the settings are: {', '.join(model.model_fields)}",
        )


def _truth(profile: Profile, key: str, level: Mapping[str, Any], where: str) -> bool:
    value = level[key]
    if isinstance(value, str):
        value = _WORDS.get(value.strip().lower())
    if not isinstance(value, bool):
        raise ConfigurationError(f"profile {profile.name}: {key} in {where} must be true or false")
    return value


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


def validated(
    profile: Profile, model: type[S], values: Mapping[str, Any], places: Mapping[str, str], secrets: set[str]
) -> S:
    """Return the settings as the provider's model.

    Raises:
        ConfigurationError: A value is missing, or is not what it should be.
    """
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
