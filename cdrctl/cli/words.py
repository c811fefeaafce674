"""The parser of the command line: from words to a command and the values of its parameters.

The rules are those of Typer and GNU: `-p x`, `-px`, `-qv`, `--since x`, `--since=x`; `--` ends the options; the options
of a command may be anywhere after it. All errors are raised here or in `values.py`, before Typer sees the line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cdrctl.cli import refusals
from cdrctl.cli.commands import Command, Group, load_entry
from cdrctl.cli.options import HELP, Argument, Option, Parameter
from cdrctl.cli.values import Given, read_values


@dataclass(frozen=True, slots=True)
class Line:
    """A command line after parsing.

    Args:
        path: The words of the command, with the name of the program first.
        place: The command, or the group of the option that acts.
        values: The values of the command's parameters, by name.
        before: The values of the options before the command, by name.
        variables: The environment variables that some of the values are from.
        typed: The names of the values that are from the command line.
        acts: The option that acts instead of the command, such as `--help`.
        rest: The words after the options of the group, if the option belongs to a group.
    """

    path: tuple[str, ...]
    place: Command | Group
    values: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    variables: tuple[str, ...] = ()
    typed: frozenset[str] = frozenset()
    acts: Option | None = None
    rest: tuple[str, ...] = ()


def read_line(words: Sequence[str], top: Group, environ: Mapping[str, str]) -> Line:
    """Parse the words of a command line.

    Raises:
        UsageError: A command, option or argument is unknown or missing, or a value cannot be read.
    """
    place: Command | Group = top
    path: tuple[str, ...] = (top.name,)
    before: dict[str, Any] = {}
    while isinstance(place, Group):
        if not words:
            raise refusals.HelpInsteadError(path, place)
        given, rest = _split(words, path, place, interspersed=False)
        if acting := _acting(given):
            return Line(path, place, acts=acting, rest=tuple(rest))
        before |= read_values(given, place.parameters, path, environ, top=place is top)[0]
        if not rest:
            raise refusals.command_missing(path)
        if rest[0] not in place.commands:
            raise refusals.no_command(rest[0], path, place)
        place, path, words = load_entry(place.commands[rest[0]]), (*path, rest[0]), rest[1:]
    given, rest = _split(words, path, place, interspersed=True)
    if acting := _acting(given):
        return Line(path, place, acts=acting)
    arguments, rest = _arguments(rest, place.parameters)
    values, variables = read_values([*given, *arguments], place.parameters, path, environ, top=False)
    if rest:
        raise refusals.unexpected_argument(path, place)
    typed = frozenset(one.name for one, _ in (*given, *arguments))
    return Line(path, place, values, before, variables, typed)


def _acting(given: Sequence[Given]) -> Option | None:
    """Return the first option that acts instead of the command."""
    return next((one for one, _ in given if isinstance(one, Option) and one.acts), None)


def _split(
    words: Sequence[str], path: tuple[str, ...], place: Command | Group, *, interspersed: bool
) -> tuple[list[Given], list[str]]:
    """Return the options among words, and the other words; one of these ends the options unless `interspersed`."""
    named = {name: one for one in (*place.parameters, HELP) if isinstance(one, Option) for name in one.all_names}
    given: list[Given] = []
    rest: list[str] = []
    left = deque(words)
    while left:
        word = left.popleft()
        if word == "--":
            break
        if word.startswith("-") and word != "-" and not _is_statement(word):
            given += _options(word, left, named, path, place)
        else:
            rest.append(word)
            if not interspersed:
                break
    return given, [*rest, *left]


def _is_statement(word: str) -> bool:
    """Return whether a word that begins with - is no option: no name has a line break or begins with a blank.

    It is a comment of SQL with what follows, for example.
    """
    return word.startswith("--") and (word[2:3].isspace() or "\n" in word.partition("=")[0])


def _options(
    word: str, left: deque[str], named: Mapping[str, Option], path: tuple[str, ...], place: Command | Group
) -> list[Given]:
    """Return the options of a word; a value that is not in the word is taken from the words that are left."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        one = named.get(name)
        if one is None:
            raise refusals.no_option(name, path, place)
        if equals and not one.takes_value:
            raise refusals.takes_no_value(name, path)
        return [(one, value if equals else _value(name, one, left, path))]
    given: list[Given] = []
    for at in range(1, len(word)):
        name = f"-{word[at]}"
        one = named.get(name)
        if one is None:
            raise refusals.no_option(name, path, place)
        if one.takes_value and word[at + 1 :]:
            return [*given, (one, word[at + 1 :])]
        given.append((one, _value(name, one, left, path)))
    return given


def _value(name: str, one: Option, left: deque[str], path: tuple[str, ...]) -> str:
    """Return the word of an option: the next one if it takes a value, else the one that `Given` prescribes."""
    if one.kind == "count":
        return "1"
    if one.kind == "flag":
        return "false" if name == one.negative else "true"
    if not left:
        raise refusals.needs_a_value(name, path)
    return left.popleft()


def _arguments(words: list[str], parameters: Sequence[Parameter]) -> tuple[list[Given], list[str]]:
    """Return the arguments of a command with their words, and the words that are left over."""
    given: list[Given] = []
    left = deque(words)
    for one in parameters:
        if isinstance(one, Argument):
            taken = list(left) if one.repeat else [left.popleft()] if left else []
            given += [(one, word) for word in taken]
            if one.repeat:
                left.clear()
    return given, list(left)
