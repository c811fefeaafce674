"""The options of a call, as its fetcher takes them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from cdrctl import windows
from cdrctl.errors import UsageError
from cdrctl.fetchers import Call, Option

Lines = Callable[[str], Iterator[bytes]]
"""From the path of a file to its lines."""


def call_options(call: Call, given: Mapping[str, Any], lines_of: Lines) -> dict[str, Any]:
    """Return the options of a call as its fetcher takes them; `lines_of` reads a file that an option names.

    Raises:
        UsageError: A duration cannot be read.
    """
    values: dict[str, Any] = {}
    for option in call.options:
        value = given.get(option.name)
        if option.kind == "duration" and isinstance(value, str):
            value = windows.duration(value, "--" + option.name.replace("_", "-"))
        elif option.kind == "file":
            value = lines_of(str(value))
        elif option.repeat:
            value = tuple(value or ())
        values[option.name] = value
    return values


def default_options(call: Call) -> dict[str, Any]:
    """Return the values of a call's options for a user who gives none."""
    return {option.name: _default(option) for option in call.options}


def _default(option: Option) -> Any:
    if option.kind == "integer" and option.default is not None:
        return int(option.default)
    return False if option.kind == "flag" else option.default


LONGEST_LINE = 64 * 1024 * 1024
"""Bytes of a line that are read at once. The rest of a longer line becomes another line, so memory is bounded."""


def bounded_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file, none longer than LONGEST_LINE."""
    return iter(functools.partial(file.readline, LONGEST_LINE + 1), b"")


def lines_of_file(path: str) -> Iterator[bytes]:
    """Yield the lines of a file.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a path as typed, /dev/stdin too
            yield from bounded_lines(file)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint="name a file, or - for standard input"
        ) from None
