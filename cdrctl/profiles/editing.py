"""Add, check and remove profiles, and keep the comments of the file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdrctl import PROVIDERS
from cdrctl.errors import ConfigurationError, UsageError
from cdrctl.profiles.atomic import LOCK_SECONDS, link_target, locked, make_folder, one_line, replace_file, write_errors
from cdrctl.profiles.choosing import listed_names
from cdrctl.profiles.file import (
    NAME,
    Profile,
    file_text,
    name_fault,
    near_hint,
    parsed_toml,
    profile_tables,
    variable_prefix,
)
from cdrctl.profiles.names import key_forms, secret_names
from cdrctl.profiles.settings import NOT_READ, validate_settings
from cdrctl.profiles.tokens import token_file

if TYPE_CHECKING:
    from cdrctl.fetchers.settings import Settings


# Changing the file


def check_profile(path: Path, name: str, model: type[Settings], settings: Mapping[str, Any]) -> None:
    """Refuse settings that a profile cannot have, before they are written; no secret is asked for.

    Raises:
        ConfigurationError: A setting is missing or not valid.
    """
    secrets = secret_names(model)
    values = {key: value for key, value in settings.items() if key in model.model_fields}
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
            f"there is no provider {one_line(provider)}",
            hint=f"{near_hint(provider, PROVIDERS)}the providers are: {', '.join(PROVIDERS)}",
        )
    with _changing(path, seconds):
        text, _ = file_text(path)
        document = parsed_toml(path, text)
        tables = profile_tables(path, document, [])
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
    text, _ = file_text(path)
    _refuse_name(path, name, profile_tables(path, parsed_toml(path, text), []))


def _refuse_name(path: Path, name: str, others: Iterable[str]) -> None:
    if fault := name_fault(name):
        raise UsageError(f"{one_line(name)} cannot be a profile's name: {fault}", hint="choose another name")
    for other in others:
        if other == name:
            raise UsageError(
                f"there is a profile {name} in {path} already", hint=f"`cdrctl profile remove {name}` first"
            )
        if variable_prefix(other) == variable_prefix(name):
            raise UsageError(
                f"profiles {one_line(other)} and {name} would have the same environment variables "
                f"({variable_prefix(name)}…)",
                hint="choose another name",
            )


def remove_profile(path: Path, name: str, *, seconds: float = LOCK_SECONDS) -> None:
    """Take a profile out of the file, and delete the tokens that runs have renewed for it.

    Comments above the next profile stay, as does everything else.

    Raises:
        UsageError: The file has no such profile.
        ConfigurationError: The file cannot be used as it stands, or cannot be written.
        TemporaryError: Another run has been changing the file, or signing in with this profile, all the time.
    """
    text, _ = file_text(path)
    if name not in profile_tables(path, parsed_toml(path, text), []):
        raise _absent(path, name, profile_tables(path, parsed_toml(path, text), []))
    with ExitStack() as stack:
        tokens = token_file(path, name, "") if NAME.fullmatch(name) else None
        if tokens is not None and tokens.path.exists():
            stack.enter_context(tokens.locked(seconds))
        with _changing(path, seconds):
            text, _ = file_text(path)
            document = parsed_toml(path, text)
            tables = profile_tables(path, document, [])
            if name not in tables:
                raise _absent(path, name, tables)
            expected = {**document, "profiles": {key: value for key, value in tables.items() if key != name}}
            _rewrite(path, _removed(text, name), expected)
        # Last: tokens deleted for a profile that then stays would lock its user out.
        if tokens is not None:
            with write_errors(tokens.path):
                tokens.path.unlink(missing_ok=True)


def _absent(path: Path, name: str, tables: Mapping[str, Any]) -> UsageError:
    there = f"the profiles are: {listed_names(tables)}" if tables else "it has no profiles"
    return UsageError(f"there is no profile {one_line(name)} in {path}", hint=near_hint(name, tables) + there)


@contextmanager
def _changing(path: Path, seconds: float) -> Iterator[None]:
    """Hold the lock of the configuration file, having made its folder."""
    with write_errors(path), ExitStack() as stack:
        # The lock of the file itself, and not of a link to it: another link would have another lock.
        target = link_target(path)
        if target.exists() and not target.is_file():
            raise ConfigurationError(f"{path} is not a file", hint="name another with --config or CDRCTL_CONFIG")
        make_folder(target.parent)
        lock = target.with_name(f".{target.name}.lock")
        stack.enter_context(locked(lock, f"another run is changing {path}", seconds))
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
            replace_file(path, text.encode(), through_links=True)
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
