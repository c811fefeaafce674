"""`cdrctl profile set | rename | copy | edit`: change profiles of the configuration file."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cdrctl.cli.commands import command, group
from cdrctl.cli.new_profile import refuse_settings
from cdrctl.cli.options import Argument, option
from cdrctl.cli.profile import NAME, add, check, list_profiles, login, path, remove, show
from cdrctl.cli.prompts import ask
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from cdrctl.fetchers import Provider


_MADE = "cdrctl profile add acme --provider webex --set access_token_file=token"
"""The command that creates the profile of the examples."""


@command(
    NAME,
    Argument("setting", "Name of the setting, such as timezone.", required=True),
    Argument("value", "New value. A secret is asked for instead."),
    option("--unset", about="Remove the setting from the profile.", kind="flag"),
    name="set",
    examples=(
        f"{_MADE} && cdrctl profile set acme tags nightly,emea",
        f"{_MADE} && cdrctl profile set acme timezone Europe/Berlin",
    ),
)
def set_setting(opened: Session, *, name: str, setting: str, value: str | None, unset: bool) -> None:
    """Change one setting of a profile; the rest of the file is unchanged.

    Separate the elements of a list, such as tags, with commas.
    """
    from cdrctl import profile_changes
    from cdrctl.profiles.names import secret_names

    described = _provider_of(opened, name)
    secret = setting in secret_names(described.settings)
    if unset and value is not None:
        raise UsageError("--unset removes the setting and needs no value", hint="leave the value out")
    before, equals, _ = setting.partition("=")
    if equals and value is None:  # what follows may be a secret, so it is not repeated
        raise UsageError(
            "a setting and its value are two words, without =",
            hint=f"cdrctl profile set {name} {before}"
            + ("" if before in secret_names(described.settings) else " VALUE"),
        )
    if value is None and not unset and not secret:
        hint = "give it after the setting, or remove the setting with --unset"
        raise UsageError(f"{setting} needs a value", hint=hint)
    refuse_settings(described, {setting: value or ""} if value is not None or not secret else {})
    wanted: object = None
    if value is not None:
        wanted = profile_changes.parse_value(described.settings, setting, value)
    elif not unset:
        wanted = ask(opened, f"{setting} ({described.settings.described()[setting].description})", secret=True)
        if not wanted:
            raise UsageError(f"{setting} is empty", hint="type it, or press Ctrl-C to quit")
    profile_changes.change(opened.config, name, described.settings, setting, wanted)
    done = "is removed from" if unset else "is set in"
    opened.reporter.log("note", f"{setting} {done} profile {name}; check it with cdrctl profile check {name}")


@command(
    NAME,
    Argument("new", "New name of the profile.", required=True),
    examples=(f"{_MADE} && cdrctl profile rename acme acme-emea", f"{_MADE} && cdrctl profile rename acme emea -q"),
)
def rename(opened: Session, *, name: str, new: str) -> None:
    """Rename a profile, with its renewed tokens and its secrets in the keyring."""
    from cdrctl import profile_changes

    _copy_keyring(opened, name, new)
    profile_changes.rename(opened.config, name, new)
    opened.reporter.log("note", f"profile {name} is now {new}; archives and environment variables keep the old name")


@command(
    NAME,
    Argument("new", "Name of the copy.", required=True),
    examples=(f"{_MADE} && cdrctl profile copy acme acme-test", f"{_MADE} && cdrctl profile copy acme test -q"),
)
def copy(opened: Session, *, name: str, new: str) -> None:
    """Copy a profile with its settings and secrets; a sign-in with a browser is not copied."""
    from cdrctl import profile_changes

    _copy_keyring(opened, name, new)
    profile_changes.copy(opened.config, name, new)
    opened.reporter.log(
        "note", f"profile {new} is a copy of {name}; change it with cdrctl profile set {new} SETTING VALUE"
    )


@command(examples=("EDITOR='sed -i s/nightly/weekly/' cdrctl profile edit", "VISUAL=true cdrctl profile edit"))
def edit(opened: Session) -> None:
    """Edit the configuration file in VISUAL or EDITOR, and save it only if it is valid afterwards."""
    if edit_file(opened):
        opened.reporter.log("note", f"{opened.config} is saved; cdrctl doctor checks every profile")
    else:
        opened.reporter.log("note", f"{opened.config} is unchanged")


COMMANDS = {
    "profile": group(
        "profile",
        "Add, change, show, check and remove profiles.",
        *(path, list_profiles, show, remove, check, add, login, set_setting, rename, copy, edit),
    )
}


def _provider_of(opened: Session, name: str) -> Provider:
    """Return the provider of a profile.

    Raises:
        UsageError: The profile is the sandbox.
        ConfigurationError: There is no such profile, or it has a fault.
    """
    from cdrctl.fetchers import load
    from cdrctl.profiles.choosing import choose_profile

    if name == "sandbox":
        raise UsageError(
            "the profile sandbox is built in and has no settings", hint="cdrctl profile add NAME adds a profile"
        )
    found, _ = read_profiles(opened)
    return load(choose_profile(found, None, name, opened.process.environ).provider)


def _copy_keyring(opened: Session, old: str, new: str) -> None:
    """Copy a profile's secrets in the keyring to another profile's name."""
    from cdrctl.profiles.secrets import SERVICE, read_keyring, store_in_keyring

    found, _ = read_profiles(opened)
    written = found[old].raw if old in found else {}
    for key in (key for key, value in written.items() if key.endswith("_keyring") and value is True):
        secret = key.removesuffix("_keyring")
        held = read_keyring(SERVICE, f"{old}/{secret}")
        if held is not None:
            opened.reporter.conceal([held])
            store_in_keyring(SERVICE, f"{new}/{secret}", held)


DEFAULT_EDITOR = "notepad" if os.name == "nt" else "vi"
"""The editor if neither VISUAL nor EDITOR is set."""


def edit_file(opened: Session) -> bool:
    """Open a copy of the configuration file in an editor and save the result; return whether it changed.

    Only the owner can read the copy. It is always deleted, because it contains secrets.

    Raises:
        UsageError: There is no terminal and no editor is set, or the file has changed meanwhile.
        ConfigurationError: The editor failed, or the result is not a valid configuration.
    """
    from cdrctl import profile_changes
    from cdrctl.profiles.file import read_profiles

    environ = opened.process.environ
    named = environ.get("VISUAL") or environ.get("EDITOR")
    if not named and not opened.process.stdin_is_terminal:
        raise UsageError("there is no terminal to edit on", hint="set EDITOR, or use cdrctl profile set")
    read_profiles(opened.config, environ)  # refuses a file that others can change
    before = opened.config.read_text(encoding="utf-8") if opened.config.exists() else ""
    with tempfile.TemporaryDirectory(prefix="cdrctl-") as folder:
        copy = Path(folder, "config.toml")
        copy.touch(mode=0o600)
        copy.write_text(before, encoding="utf-8")
        _run([*shlex.split(named or DEFAULT_EDITOR), str(copy)])
        try:
            after = copy.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise ConfigurationError(
                "the edited file is not UTF-8 text", hint="edit the file again; nothing was saved"
            ) from None
    if after == before:
        return False
    profile_changes.replace_text(opened.config, before, after)
    return True


def _run(command: list[str]) -> None:
    """Run an editor until it is closed.

    Raises:
        ConfigurationError: It cannot be started, or its exit code is not 0.
    """
    try:
        ended = subprocess.run(command, check=False)  # noqa: S603 - the user's own editor
    except OSError as error:
        raise ConfigurationError(
            f"the editor {command[0]!r} cannot be started: {error.strerror}", hint="set VISUAL or EDITOR to another one"
        ) from None
    if ended.returncode:
        raise ConfigurationError(
            f"the editor {command[0]!r} ended with exit code {ended.returncode}",
            hint="edit the file again; nothing was saved",
        )
