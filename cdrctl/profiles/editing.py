"""Add, check and remove profiles, without changing anything else in the file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdrctl import PROVIDERS
from cdrctl.errors import UsageError
from cdrctl.profiles.atomic import LOCK_SECONDS, one_line, write_errors
from cdrctl.profiles.choosing import list_names
from cdrctl.profiles.document import add_tables, lock_configuration, remove_tables, rewrite
from cdrctl.profiles.file import (
    NAME,
    Profile,
    file_text,
    name_fault,
    near_hint,
    parse_toml,
    profile_tables,
    variable_prefix,
)
from cdrctl.profiles.names import key_forms, secret_names
from cdrctl.profiles.settings import NOT_READ, validate_settings
from cdrctl.profiles.tokens import token_file

if TYPE_CHECKING:
    from cdrctl.fetchers.settings import Settings


def check_profile(path: Path, name: str, model: type[Settings], settings: Mapping[str, Any]) -> None:
    """Refuse settings that are not valid for a profile, before they are written; secrets are not read.

    Raises:
        ConfigurationError: A setting is missing or not valid.
    """
    secrets = secret_names(model)
    values = {key: value for key, value in settings.items() if key in model.described()}
    for secret in secrets:
        if any(form in settings for form in key_forms(secret, secrets)):
            values.setdefault(secret, NOT_READ)
    profile = Profile(name, "", {}, "file", path)
    validate_settings(profile, model, values, {}, secrets)


def add_profile(
    path: Path,
    name: str,
    provider: str,
    settings: Mapping[str, str | float | bool],
    *,
    seconds: float = LOCK_SECONDS,
    instead: bool = False,
) -> None:
    """Write a new profile at the end of the file, and create the file if there is none.

    The rest of the file is unchanged, comments and order included. The file's mode becomes 0600.

    Args:
        path: The configuration file.
        name: The name of the profile.
        provider: The name of its provider.
        settings: Its settings.
        seconds: The time to wait for the file's lock.
        instead: Whether to replace a profile of this name; its renewed tokens stay.

    Raises:
        UsageError: The name is not valid or is taken; there is no such provider.
        ConfigurationError: The file cannot be read or written.
        TemporaryError: Another run kept the file locked.
    """
    refuse_name(path, name, ())
    if odd := [key for key, value in settings.items() if re.search(r"[\ud800-\udfff]", str(value))]:
        raise UsageError(f"{odd[0]} is not text: it has bytes that are not UTF-8", hint="type it again")
    if provider not in PROVIDERS:
        raise UsageError(
            f"there is no provider {one_line(provider)}",
            hint=f"{near_hint(provider, PROVIDERS)}the providers are: {', '.join(PROVIDERS)}",
        )
    with lock_configuration(path, seconds):
        text, _ = file_text(path)
        document = parse_toml(path, text)
        tables = profile_tables(path, document, [])
        refuse_name(path, name, [each for each in tables if each != name] if instead else tables)
        wanted = {
            "provider": provider,
            **{key: value for key, value in settings.items() if key != "provider"},
        }
        expected = {**document, "profiles": {**tables, name: wanted}}
        without = remove_tables(text, name) if name in tables else iter([text])
        rewrite(path, (whole for left in without for whole in add_tables(left, name, wanted)), expected)


def check_name(path: Path, name: str) -> None:
    """Refuse a name for a new profile.

    Raises:
        UsageError: It is not valid, or is taken.
        ConfigurationError: The file cannot be read.
    """
    text, _ = file_text(path)
    refuse_name(path, name, profile_tables(path, parse_toml(path, text), []))


def refuse_name(path: Path, name: str, others: Iterable[str]) -> None:
    """Refuse a name for a profile beside others.

    Raises:
        UsageError: It is not valid, or is taken, or would share another profile's environment variables.
    """
    if fault := name_fault(name):
        raise UsageError(f"{one_line(name)} cannot be a profile's name: {fault}", hint="choose another name")
    for other in others:
        if other == name:
            raise UsageError(
                f"there is a profile {name} in {path} already", hint=f"run `cdrctl profile remove {name}` first"
            )
        if variable_prefix(other) == variable_prefix(name):
            raise UsageError(
                f"profiles {one_line(other)} and {name} would have the same environment variables "
                f"({variable_prefix(name)}…)",
                hint="choose another name",
            )


def remove_profile(path: Path, name: str, *, seconds: float = LOCK_SECONDS) -> None:
    """Remove a profile from the file, and delete its renewed tokens.

    The rest of the file is unchanged, including comments above the next profile.

    Raises:
        UsageError: The file has no such profile.
        ConfigurationError: The file cannot be read or written.
        TemporaryError: Another run kept the file or the tokens locked.
    """
    text, _ = file_text(path)
    if name not in profile_tables(path, parse_toml(path, text), []):
        raise no_such_profile(path, name, profile_tables(path, parse_toml(path, text), []))
    with ExitStack() as stack:
        tokens = token_file(path, name, "") if NAME.fullmatch(name) else None
        if tokens is not None and tokens.path.exists():
            stack.enter_context(tokens.locked(seconds))
        with lock_configuration(path, seconds):
            text, _ = file_text(path)
            document = parse_toml(path, text)
            tables = profile_tables(path, document, [])
            if name not in tables:
                raise no_such_profile(path, name, tables)
            expected = {**document, "profiles": {key: value for key, value in tables.items() if key != name}}
            rewrite(path, remove_tables(text, name), expected)
        # Last: if the profile stayed and its tokens were deleted, the user could not sign in.
        if tokens is not None:
            with write_errors(tokens.path):
                tokens.path.unlink(missing_ok=True)


def no_such_profile(path: Path, name: str, tables: Mapping[str, Any]) -> UsageError:
    """Return the error about a profile that the file does not have."""
    there = f"the profiles are: {list_names(tables)}" if tables else "it has no profiles"
    return UsageError(f"there is no profile {one_line(name)} in {path}", hint=near_hint(name, tables) + there)
