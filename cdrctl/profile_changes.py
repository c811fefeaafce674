"""Change, rename and copy profiles of the configuration file.

The rest of the file is unchanged, comments and order included. Every function replaces the file atomically while it
holds the file's lock.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdrctl.errors import UsageError
from cdrctl.profiles.atomic import LOCK_SECONDS, replace_file, write_errors
from cdrctl.profiles.document import (
    add_tables,
    edit_with_tomlkit,
    heading_keys,
    lock_configuration,
    remove_tables,
    rewrite,
)
from cdrctl.profiles.editing import check_profile, no_such_profile, refuse_name
from cdrctl.profiles.file import file_text, parse_toml, profile_tables
from cdrctl.profiles.names import key_forms, secret_names
from cdrctl.profiles.tokens import token_file

if TYPE_CHECKING:
    from cdrctl.fetchers.settings import Settings

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def change(
    path: Path,
    name: str,
    model: type[Settings],
    key: str,
    value: object,
    *,
    seconds: float = LOCK_SECONDS,
) -> None:
    """Write one setting of a profile, or remove it if the value is None.

    A secret has one form at a time: setting `api_key_command` removes `api_key`.

    Raises:
        UsageError: The file has no such profile, or the profile has no such setting to remove.
        ConfigurationError: The profile would not be valid, or the file cannot be changed.
        TemporaryError: Another run kept the file locked.
    """
    secrets = secret_names(model)
    others = next((set(key_forms(secret, secrets)) for secret in secrets if key in key_forms(secret, secrets)), set())

    def apply(settings: Mapping[str, Any]) -> dict[str, Any]:
        if value is None and key not in settings:
            raise UsageError(f"profile {name} has no setting {key} in {path}", hint=f"see: cdrctl profile show {name}")
        kept = {one: given for one, given in settings.items() if one == key or one not in others}
        if value is None:
            kept.pop(key)
        else:
            kept[key] = value
        return kept

    with lock_configuration(path, seconds):
        text, document, tables = _read(path, name)
        wanted = apply(tables[name])
        check_profile(path, name, model, {one: given for one, given in wanted.items() if one != "provider"})

        def edit(document: Any) -> None:
            table = document["profiles"][name]
            for one in [one for one in table if one not in wanted]:
                del table[one]
            if value is not None:
                table[key] = value

        expected = {**document, "profiles": {**tables, name: wanted}}
        rewrite(path, _chain(edit_with_tomlkit(text, edit), lambda: _move_to_end(text, name, name, wanted)), expected)


def rename(path: Path, old: str, new: str, *, seconds: float = LOCK_SECONDS) -> None:
    """Rename a profile, and its renewed tokens.

    Raises:
        UsageError: The file has no such profile, or the new name cannot be used.
        ConfigurationError: The file cannot be changed.
        TemporaryError: Another run kept the file or the tokens locked.
    """
    refuse_name(path, new, ())
    with ExitStack() as stack:
        kept, moved = token_file(path, old, ""), token_file(path, new, "")
        if kept.path.exists():
            stack.enter_context(kept.locked(seconds))
        with lock_configuration(path, seconds):
            text, document, tables = _read(path, old)
            refuse_name(path, new, [one for one in tables if one != old])
            expected = {**document, "profiles": {new if one == old else one: table for one, table in tables.items()}}
            anew = _chain(iter([_rename_headings(text, old, new)]), lambda: _move_to_end(text, old, new, tables[old]))
            rewrite(path, anew, expected)
        if kept.path.exists():
            with write_errors(kept.path):
                os.replace(kept.path, moved.path)  # noqa: PTH105 - atomic


def copy(path: Path, old: str, new: str, *, seconds: float = LOCK_SECONDS) -> None:
    """Copy a profile with its settings and stored secrets; its renewed tokens are not copied.

    Raises:
        UsageError: The file has no such profile, or the new name cannot be used.
        ConfigurationError: The file cannot be changed.
        TemporaryError: Another run kept the file locked.
    """
    with lock_configuration(path, seconds):
        text, document, tables = _read(path, old)
        refuse_name(path, new, tables)
        expected = {**document, "profiles": {**tables, new: tables[old]}}
        rewrite(path, add_tables(text, new, tables[old]), expected)


def replace_text(path: Path, before: str, after: str, *, seconds: float = LOCK_SECONDS) -> None:
    """Replace the whole file, unless it has changed since it was read.

    Raises:
        UsageError: The file has changed.
        ConfigurationError: The new text is not a configuration, or the file cannot be written.
        TemporaryError: Another run kept the file locked.
    """
    profile_tables(path, parse_toml(path, after), [])
    with lock_configuration(path, seconds):
        if file_text(path)[0] != before:
            raise UsageError(
                f"{path} was changed by another program while it was being edited",
                hint="edit the file again; nothing was saved",
            )
        replace_file(path, after.encode(), through_links=True)


def parse_value(model: type[Settings], key: str, text: str) -> object:
    """Return the TOML value for a setting's text: a list, a boolean or a number if the setting is one, else text.

    Text that is not of the setting's kind is returned as it is, and refused when the profile is checked.
    """
    described = model.described()
    kinds = described[key].types if key in described else frozenset()
    if list in kinds:
        return [one.strip() for one in text.split(",") if one.strip()]
    if bool in kinds or key.endswith("_keyring"):
        return _TRUTH.get(text.strip().lower(), text)
    for number in (int, float):
        if number in kinds:
            try:
                return number(text)
            except ValueError:
                continue
    return text


def _read(path: Path, name: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return the file's text, its values, and its profiles.

    Raises:
        UsageError: The named profile is not among them.
    """
    text, _ = file_text(path)
    document = parse_toml(path, text)
    tables = profile_tables(path, document, [])
    if name not in tables:
        raise no_such_profile(path, name, tables)
    return text, document, tables


def _chain(first: Iterator[str], others: Callable[[], Iterator[str]]) -> Iterator[str]:
    yield from first
    yield from others()


def _move_to_end(text: str, old: str, new: str, wanted: Mapping[str, Any]) -> Iterator[str]:
    """Yield the document with a profile removed and written again at the end."""
    for left in remove_tables(text, old):
        yield from add_tables(left, new, wanted)


def _rename_headings(text: str, old: str, new: str) -> str:
    """Return the document with a profile's new name in the headings of its tables."""
    lines = []
    for line in text.splitlines(keepends=True):
        keys = heading_keys(line)
        if keys is not None and keys[:2] == ["profiles", old]:
            head, quote, rest = line.partition(f'"{old}"') if f'"{old}"' in line else line.partition(old)
            line = head + (f'"{new}"' if quote.startswith('"') else new) + rest  # noqa: PLW2901 - the same line
        lines.append(line)
    return "".join(lines)
