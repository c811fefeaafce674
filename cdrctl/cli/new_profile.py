"""The settings of a new profile, from options and answers: for `cdrctl init`, `profile add` and `profile login`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from cdrctl import PROVIDERS
from cdrctl.cli.prompts import ask, choose, confirm, explain, reject, say
from cdrctl.cli.run import Session
from cdrctl.errors import ConfigurationError, UsageError, did_you_mean

if TYPE_CHECKING:
    from cdrctl.fetchers import Provider

TYPE, COMMAND, KEYRING, FILE, KEEP = "type", "command", "keyring", "file", "keep"
SOURCES = {
    TYPE: "type it now; cdrctl stores it in the configuration file, which only you can read",
    COMMAND: "a command that prints it, such as: pass show cdrctl/NAME",
    KEYRING: "type it now; cdrctl stores it in this system's keyring",
    FILE: "a file that contains it",
}
"""The sources of a secret, in the order in which they are offered."""


@dataclass(slots=True)
class Draft:
    """The settings of a profile that is not written yet.

    Args:
        settings: The settings as they will be written.
        for_keyring: Secrets that were typed and will be stored in the keyring.
        source: The source of the last secret, which is the default for the next one.
        given: The names of settings that are not asked for, because they were given as options.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    for_keyring: dict[str, str] = field(default_factory=dict, repr=False)
    source: str = TYPE
    given: set[str] = field(default_factory=set)

    def has(self, name: str) -> bool:
        """Return whether a setting has a value, or a secret has a source."""
        return any(form in self.settings for form in _forms(name))

    def drop(self, name: str) -> None:
        """Remove a setting in all its forms."""
        for form in _forms(name):
            self.settings.pop(form, None)
        self.for_keyring.pop(name, None)


def _forms(name: str) -> tuple[str, ...]:
    return (name, *(f"{name}_{source}" for source in (COMMAND, FILE, KEYRING)))


# Options


def parse_settings(given: Sequence[str]) -> dict[str, str]:
    """Return the settings of `--set SETTING=VALUE`.

    Raises:
        UsageError: One has no equals sign, or no name before it.
    """
    settings: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError("--set is written SETTING=VALUE", hint="for example --set account_id=0123…")
        settings[key.strip()] = value
    return settings


def refuse_settings(provider: Provider, given: Mapping[str, str]) -> None:
    """Refuse settings that cannot be given on a command line.

    Raises:
        UsageError: One is a secret, or not a setting of the provider's profiles.
    """
    from cdrctl.profiles.names import secret_names

    fields = provider.settings.described()
    secrets = secret_names(provider.settings)
    if named := [name for name in given if name in secrets]:
        raise UsageError(
            f"{named[0]} is a secret: other users could see it in the list of processes, and the shell keeps a history",
            hint=f"leave it out and type it when asked, or give its source as {named[0]}_command or {named[0]}_file",
        )
    allowed = set(fields) | {form for name in secrets for form in _forms(name)}
    if unknown := [name for name in given if name not in allowed]:
        raise UsageError(
            f"{provider.name} has no setting {unknown[0]!r}",
            hint=f"{did_you_mean(unknown[0], allowed)}its settings are: {', '.join(fields)}",
        )


# Questions


def choose_provider(opened: Session, options: Mapping[str, str] = PROVIDERS, default: str | None = None) -> str:
    """Return the name of the provider that the user chooses, or of another option."""
    return choose(opened, "Which provider do you use?", options, default)


def choose_method(opened: Session, provider: Provider, given: str | None, draft: Draft) -> str:
    """Return the authentication method: the one given, the one whose settings were given, or the user's choice.

    Raises:
        UsageError: The provider has no such method.
    """
    methods = provider.auth_methods
    if given is not None:
        if given not in methods:
            raise UsageError(
                f"{provider.name} has no such authentication method",
                hint=f"{did_you_mean(given, methods)}the methods are: {', '.join(methods)}",
            )
        return given
    started = [method for method, names in methods.items() if any(draft.has(name) for name in names)]
    if started or len(methods) == 1:
        return (started or list(methods))[0]
    titles = {method: _describe_method(provider, method) for method in methods}
    return choose(opened, f"How should cdrctl sign in to {provider.title}?", titles, next(iter(methods)))


def _describe_method(provider: Provider, method: str) -> str:
    console = provider.credential_help.get(method)
    return console.title if console is not None else " and ".join(provider.auth_methods[method])


def ask_required(opened: Session, provider: Provider, draft: Draft) -> None:
    """Ask for the settings that every profile of the provider must have and that the draft lacks."""
    for name, described in provider.settings.described().items():
        if described.required and not draft.has(name):
            ask_setting(opened, provider, name, draft)


def ask_credential(opened: Session, provider: Provider, method: str, draft: Draft) -> None:
    """Ask for the settings of an authentication method that the draft lacks; secrets are typed."""
    from cdrctl.profiles.names import secret_names

    secrets = secret_names(provider.settings)
    for name in provider.auth_methods[method]:
        if draft.has(name):
            continue
        if name not in secrets:
            ask_setting(opened, provider, name, draft)
            continue
        what = f"{name} ({provider.settings.described()[name].description})"
        while not (secret := ask(opened, what, secret=True)):
            reject(opened, _empty(name))
        draft.settings[name] = secret


def ask_everything(opened: Session, provider: Provider, method: str, name: str, draft: Draft) -> None:
    """Ask for every setting that a new profile usually has, unless it was given as an option.

    That is the address, the credential with its source, and what the method needs besides. Previous answers are the
    defaults. Nothing is written.

    Args:
        opened: The running command.
        provider: The provider.
        method: The authentication method.
        name: The profile's name, for examples.
        draft: Receives the answers.
    """
    from cdrctl.profiles.names import secret_names

    fields = provider.settings.described()
    secrets = secret_names(provider.settings)
    for key, described in fields.items():
        if (described.required or key == "base_url") and key not in draft.given:
            ask_setting(opened, provider, key, draft, guided=True)
    if "allow_http" in fields and "allow_http" not in draft.given:
        _ask_clear_text(opened, draft)
    for key in provider.auth_methods[method]:
        if key in draft.given:
            continue
        if key in secrets:
            _ask_secret(opened, provider, key, name, draft)
        else:
            ask_setting(opened, provider, key, draft, guided=True)
    console = provider.credential_help.get(method)
    for group in console.asks if console else ():
        if draft.given.isdisjoint(group):
            _ask_one_of(opened, provider, group, draft)


def _ask_one_of(opened: Session, provider: Provider, group: Sequence[str], draft: Draft) -> None:
    """Ask for the first of several alternative settings, and for the next one after each empty answer."""
    for at, key in enumerate(group):
        rest = group[at + 1 :]
        ask_setting(opened, provider, key, draft, guided=True, if_empty=f"to give {rest[0]}" if rest else "for none")
        if draft.has(key):
            for other in rest:
                draft.drop(other)
            return


def ask_setting(
    opened: Session, provider: Provider, key: str, draft: Draft, *, guided: bool = False, if_empty: str = ""
) -> None:
    """Ask for a setting that is not a secret.

    Args:
        opened: The running command.
        provider: The provider.
        key: The name of the setting.
        draft: Receives the answer.
        guided: Whether to explain the setting first, and to offer its default or previous value.
        if_empty: The meaning of an empty answer, for a setting that is optional.
    """
    described = provider.settings.described()[key]
    own = None if described.required or described.default is None else str(described.default)
    usual = (str(draft.settings.get(key, "")) or own) if guided else None
    what = f"{key} [{usual}]" if usual else key if guided else f"{key} ({described.description})"
    if guided:
        explain(opened, "")
        explain(opened, f"{key}: {described.description}{f' (leave it empty {if_empty})' if if_empty else ''}")
    while True:
        answer = ask(opened, what, default=usual or ("" if if_empty else None))
        if answer or if_empty:
            break
        reject(opened, _empty(key))
    draft.drop(key)
    if answer and answer != own:
        draft.settings[key] = answer


def _empty(name: str) -> UsageError:
    return UsageError(f"{name} is empty", hint="type it, or press Ctrl-C to quit")


def _ask_clear_text(opened: Session, draft: Draft) -> None:
    """Ask whether the credential may be sent unencrypted, if base_url would do so."""
    from cdrctl.http.addresses import IN_CLEAR, in_clear

    draft.drop("allow_http")
    if in_clear(str(draft.settings.get("base_url", ""))):
        explain(opened, "")
        say(opened, f"{IN_CLEAR}.")
        if confirm(opened, "allow_http, yes or no", default=False):
            draft.settings["allow_http"] = True


def _ask_secret(opened: Session, provider: Provider, key: str, name: str, draft: Draft) -> None:
    """Ask for the source of a secret, and for the secret or its place."""
    description = provider.settings.described()[key].description
    while True:
        before = {KEEP: "keep it as it is"} if draft.has(key) else {}
        sources = {**before, **{source: text.replace("NAME", name) for source, text in SOURCES.items()}}
        question = f"{key} ({description}). Where should cdrctl read it from?"
        source = choose(opened, question, sources, KEEP if before else draft.source)
        if source == KEEP:
            return
        try:
            answer = _ask_in_source(opened, key, source)
        except (UsageError, ConfigurationError) as error:
            reject(opened, error)
            continue
        draft.drop(key)
        draft.settings[key if source == TYPE else f"{key}_{source}"] = True if source == KEYRING else answer
        if source == KEYRING:
            draft.for_keyring[key] = answer
        draft.source = source
        return


def _ask_in_source(opened: Session, key: str, source: str) -> str:
    """Return the secret that is typed, or the command or path that it comes from.

    Raises:
        UsageError: The answer is empty, or there is no such file.
        ConfigurationError: The package for the keyring is not installed.
    """
    if source == KEYRING and find_spec("keyring") is None:
        raise ConfigurationError("the package keyring is not installed", hint="pip install 'cdrctl[keyring]'")
    if source == COMMAND:
        answer = ask(opened, "command")
    elif source == FILE:
        answer = ask(opened, "path of the file")
        if answer and not answer.startswith("~"):
            answer = os.path.abspath(answer)  # noqa: PTH100 - relative to here, not to the configuration file
        if answer and not os.path.isfile(os.path.expanduser(answer)):  # noqa: PTH111, PTH113 - False for any text
            raise UsageError("there is no such file", hint="create it first: one line, chmod 600")
    else:
        answer = ask(opened, f"{key} (not shown)", secret=True)
    if not answer:
        raise _empty(key)
    return answer
