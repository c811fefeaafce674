"""Commands and groups of commands, as values.

A command is a function that takes a session and the values of its parameters by name; its docstring is its help:

    @command(
        Argument("name", "The profile.", metavar="NAME", required=True),
        option("--new", about="Its new name.", metavar="NAME"),
        option("--port", about="Port on loopback.", kind="integer", default=0, minimum=0, maximum=65535),
        examples=("cdrctl profile rename acme --new acme-emea", "cdrctl profile rename acme --new emea -q"),
    )
    def rename(opened: Session, *, name: str, new: str | None, port: int) -> None:
        \"\"\"Rename a profile.\"\"\"

`rename` is then a `Command`. It also has the options about messages and `--config`, which the session reads, and may
return an exit code. A file with commands holds them in `COMMANDS`, by name; `app.py` lists the files.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cdrctl.cli.options import MAX_WAIT, TALK, Option, Parameter
from cdrctl.cli.run import Invocation, Session, in_session


@dataclass(frozen=True, slots=True)
class Command:
    """A command.

    Args:
        name: Its word.
        about: Paragraphs of help.
        run: Runs it and returns the exit code.
        parameters: Its arguments and options, in the order of the help.
        examples: Command lines that work as they stand.
    """

    name: str
    about: str
    run: Callable[[Invocation], int]
    parameters: tuple[Parameter, ...] = ()
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """A command that only has commands in it.

    Args:
        name: Its word.
        about: Paragraphs of help.
        commands: The commands in it, by name.
        parameters: Options that may stand before a command.
        examples: Command lines that work as they stand; by default, the first examples of two of its commands.
        titles: The names of its commands by the title of their group in the help, where there are several.
    """

    name: str
    about: str
    commands: Mapping[str, Entry]
    parameters: tuple[Option, ...] = ()
    examples: tuple[str, ...] = ()
    titles: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deferred:
    """A command or group whose file is loaded only when it is named: its word and the first paragraph of its help."""

    name: str
    about: str
    load: Callable[[], Command | Group]


Entry = Command | Group | Deferred


def load_entry(entry: Entry) -> Command | Group:
    """Return the command or group that an entry stands for."""
    return entry.load() if isinstance(entry, Deferred) else entry


def walk(entry: Entry, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Command | Group]]:
    """Yield a command and all commands in it, each with the words that name it, in the order of the help."""
    place = load_entry(entry)
    yield path, place
    for name, inner in place.commands.items() if isinstance(place, Group) else ():
        yield from walk(inner, (*path, name))


def group(name: str, about: str, *commands: Command | Group) -> Group:
    """Return a group of these commands."""
    return Group(name, about, {one.name: one for one in commands})


def command(
    *parameters: Parameter, name: str = "", examples: Sequence[str]
) -> Callable[[Callable[..., int | None]], Command]:
    """Return a decorator that makes a command of a function; see the head of this module."""

    def make(function: Callable[..., int | None]) -> Command:
        names = [one.name for one in parameters if one is not MAX_WAIT]

        def run(opened: Session, values: Mapping[str, Any]) -> int | None:
            return function(opened, **{name: values[name] for name in names})

        return session_command(
            name or function.__name__, inspect.cleandoc(function.__doc__ or ""), run, parameters, examples
        )

    return make


def session_command(
    name: str,
    about: str,
    run: Callable[[Session, Mapping[str, Any]], int | None],
    parameters: Sequence[Parameter],
    examples: Sequence[str],
) -> Command:
    """Return a command that runs in a session and takes the values of all its parameters as one mapping."""
    every = (*parameters, *(one for one in TALK.values() if one not in parameters))

    return Command(
        name,
        about,
        lambda invocation: in_session(invocation, lambda opened: run(opened, invocation.values)),
        every,
        tuple(examples),
    )
