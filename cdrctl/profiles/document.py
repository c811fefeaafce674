"""Edits of the configuration file's text that leave the rest of it unchanged."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from cdrctl.errors import ConfigurationError
from cdrctl.profiles.atomic import link_target, locked, make_folder, replace_file, write_errors


@contextmanager
def lock_configuration(path: Path, seconds: float) -> Iterator[None]:
    """Create the folder of the configuration file, and hold the file's lock.

    Raises:
        ConfigurationError: The path is not a file, or its folder cannot be written.
        TemporaryError: Another run kept the file locked.
    """
    with write_errors(path), ExitStack() as stack:
        # The lock of the file itself, not of a link to it: another link would have another lock.
        target = link_target(path)
        if target.exists() and not target.is_file():
            raise ConfigurationError(f"{path} is not a file", hint="name another with --config or CDRCTL_CONFIG")
        make_folder(target.parent)
        lock = target.with_name(f".{target.name}.lock")
        stack.enter_context(locked(lock, f"another run is changing {path}", seconds))
        yield


def rewrite(path: Path, candidates: Iterator[str], expected: Mapping[str, Any]) -> None:
    """Replace the file with the first candidate that has exactly the expected values.

    Raises:
        ConfigurationError: No candidate has.
    """
    for text in candidates:
        try:
            said = tomllib.loads(text)
        except (ValueError, RecursionError):
            continue
        # A file without profiles may or may not have an empty `[profiles]`.
        if equal_values({"profiles": {}, **said}, {"profiles": {}, **expected}):
            replace_file(path, text.encode(), through_links=True)
            return
    raise ConfigurationError(f"{path} cannot be changed without damaging its layout", hint="change it in an editor")


def equal_values(one: object, other: object) -> bool:
    """Return whether two TOML values are equal; nan equals itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal_values(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal_values, one, other))
    return one == other or (one != one and other != other)  # noqa: PLR0124 - nan


def add_tables(text: str, name: str, wanted: Mapping[str, Any]) -> Iterator[str]:
    """Yield the document with a profile added: first as a table at the end, then where tomlkit puts it."""
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

    yield from edit_with_tomlkit(text, change)


def remove_tables(text: str, name: str) -> Iterator[str]:
    """Yield the document without a profile: first without the lines of its tables, then as tomlkit removes it.

    tomlkit assigns a comment above a table to the table before it, and would remove it too.
    """
    kept: list[str] = []
    waiting: list[str] = []
    inside = False
    for line in text.splitlines(keepends=True):
        if (keys := heading_keys(line)) is not None:
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

    yield from edit_with_tomlkit(text, change)


def heading_keys(line: str) -> list[str] | None:
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


def edit_with_tomlkit(text: str, change: Callable[[Any], None]) -> Iterator[str]:
    """Yield the document as tomlkit changes it, or nothing if it cannot; the caller compares the values."""
    import tomlkit

    with suppress(Exception):
        document = tomlkit.parse(text)
        change(document)
        yield document.as_string()
