"""The errors of the command line: unknown commands and options, and values that cannot be read.

Each has a `code` and suggests what may have been meant. None repeats a value that was typed: it may be a secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdrctl.cli.completion.files import FILE
from cdrctl.cli.options import HELP, Argument, Option, Parameter
from cdrctl.cli.reporter import Reporter
from cdrctl.cli.run import LOG_FORMAT
from cdrctl.errors import CdrctlError, UsageError, did_you_mean

if TYPE_CHECKING:
    from cdrctl.cli.commands import Command, Group
    from cdrctl.cli.process import Process

MEANT = {
    "--from": ("--into", "--since"),
    "--into": ("--from",),
    **dict.fromkeys(("--start", "--begin", "--after"), ("--since",)),
    **dict.fromkeys(("--to", "--end", "--before"), ("--until",)),
    **dict.fromkeys(("--zone", "--timezone", "--time-zone"), ("--tz",)),
    **dict.fromkeys(("--out", "--file", "--out-file"), ("--output",)),
    **dict.fromkeys(("--columns", "--select"), ("--fields",)),
    **dict.fromkeys(("--max", "--count", "--number", "-n"), ("--limit",)),
}
"""Options of ours by the names that other programs, or other commands, give them."""

SECRETS = ("password", "token", "secret", "key", "code", "credential")
"""Words in the name of an option that was meant to pass a secret."""

OF_A_CALL = 3
"""Words of a command such as `cdrctl webex cdrs`; those of a group, such as PortSIP's reports, have more."""


class HelpInsteadError(UsageError):
    """A group was named without a command; people see its help instead of this error, programs see the error."""

    def __init__(self, path: tuple[str, ...], place: Group) -> None:
        super().__init__(f"{_typed(path)} needs a command", hint=f"{_typed(path)} --help lists them", code="no_command")
        self.path = path
        self.place = place


def command_missing(path: tuple[str, ...]) -> UsageError:
    """Return the error for a group that is given options but no command."""
    return UsageError(f"{_typed(path)} needs a command", hint=f"{_typed(path)} --help lists them", code="no_command")


def no_command(name: str, path: tuple[str, ...], place: Group) -> UsageError:
    """Return the error for an unknown command."""
    from cdrctl.cli.topics import TOPICS

    top = len(path) == 1
    if top and name in TOPICS:
        return UsageError(
            f"{name} is a help topic, not a command", hint=f"run cdrctl help {name}", code="topic_as_command"
        )
    hint = did_you_mean(name, list(place.commands))
    if not hint and top and (others := list(_elsewhere(name))):
        hint = f"did you mean {' or '.join(others)}? "
    typed = _typed(path)
    return UsageError(
        f"{typed} has no command {name!r}", hint=f"{hint}{typed} --help lists the commands", code="unknown_command"
    )


def _elsewhere(name: str) -> Iterator[str]:
    """Yield the commands of this name that are in a group."""
    tree: Any = json.loads(Path(FILE).read_text(encoding="utf-8"))
    for first, one in tree["top"]["commands"].items():
        if name in one["commands"]:
            yield f"cdrctl {first} {name}"


def _reading_archives(path: tuple[str, ...]) -> list[str]:
    """Return the commands of a provider that read an archive; none unless the path is that of one of its calls."""
    from cdrctl.fetchers import PROVIDERS, load

    if len(path) != OF_A_CALL or path[1] not in PROVIDERS:
        return []
    return [f"cdrctl {path[1]} {call.name}" for call in load(path[1]).calls if call.archived]


def no_option(name: str, path: tuple[str, ...], place: Command | Group) -> UsageError:
    """Return the error for an unknown option."""
    names = [word for one in (*place.parameters, HELP) if isinstance(one, Option) for word in one.all_names]
    lists = f"{_typed(path)} --help lists the options"
    keep = _reading_archives(path) if name == "--from" else []
    if any(word in name.lower() for word in SECRETS):
        hint = (
            "secrets are not accepted on the command line, where others can see them: cdrctl profile add asks for "
            f"them; {lists}"
        )
    elif keep:
        hint = f"--from DIR reads an archive, which has the records of {' and '.join(keep)}: search these with --where"
    elif meant := [one for one in MEANT.get(name, ()) if one in names]:
        hint = f"did you mean {meant[0]}? {lists}"
    elif hasattr(place, "commands"):
        lists = f"{_typed(path)} --help lists the commands"
        hint = f"{did_you_mean(name, names)}put the options of a command after it; {lists}"
    else:
        hint = f"{did_you_mean(name, [one for one in names if one.startswith('--')])}{lists}"
    return UsageError(f"there is no option {name}", hint=hint, code="unknown_option")


def takes_no_value(name: str, path: tuple[str, ...]) -> UsageError:
    """Return the error for a flag with a value."""
    return UsageError(f"{name} takes no value", hint=_see(path), code="value_of_flag")


def needs_a_value(name: str, path: tuple[str, ...]) -> UsageError:
    """Return the error for an option without its value."""
    return UsageError(f"{name} needs a value", hint=_see(path), code="no_value")


def unexpected_argument(path: tuple[str, ...], place: Command) -> UsageError:
    """Return the error for a word that is neither an option nor an argument of the command."""
    takes = " ".join(one.label for one in place.parameters if isinstance(one, Argument))
    return UsageError(
        f"unexpected argument: {_typed(path)} takes only {f'{takes} and options' if takes else 'options'}",
        hint=f"an option's value comes right after it; {_see(path)}",
        code="unexpected_argument",
    )


def empty(one: Parameter) -> UsageError:
    """Return the error for an empty value, which usually comes from an unset shell variable."""
    leave = " or leave the option out" if isinstance(one, Option) else ""
    return UsageError(
        f"{one.label} has an empty value",
        hint=f"give it a value{leave}; an unset shell variable gives an empty value",
        code="empty_value",
    )


def missing(one: Parameter, path: tuple[str, ...]) -> UsageError:
    """Return the error for a missing argument, or a missing option that is required."""
    written = f"{one.label} {one.metavar}" if isinstance(one, Option) else one.label
    return UsageError(f"{written} is missing", hint=_see(path), code="missing")


def no_integer(what: str, least: int | None, most: int | None, path: tuple[str, ...]) -> UsageError:
    """Return the error for a value that is not an integer within the bounds."""
    bounds = "" if least is None else f", {least} or more" if most is None else f" from {least} to {most}"
    return UsageError(f"{what} must be a whole number{bounds}", hint=_see(path), code="no_integer")


def not_true_or_false(what: str, path: tuple[str, ...]) -> UsageError:
    """Return the error for an environment variable of a flag."""
    return UsageError(f"{what} must be true or false, or 1 or 0", hint=_see(path), code="not_true_or_false")


def _see(path: tuple[str, ...]) -> str:
    return f"see {_typed(path)} --help"


def _typed(path: tuple[str, ...]) -> str:
    return " ".join(path)


def report(error: CdrctlError, arguments: Sequence[str], process: Process) -> int:
    """Report an error of the command line on stderr, and return its exit code."""
    as_json = wants_json(arguments, process)
    if isinstance(error, HelpInsteadError) and not as_json:
        from cdrctl.cli.helptext import help_page, text

        with suppress(OSError, ValueError, AttributeError):  # stderr is closed: the exit code remains
            process.stderr.write(text(help_page(error.place, error.path), process.width) + "\n")  # type: ignore[union-attr]
    else:
        Reporter(process, as_json=as_json).error(error)
    return error.exit_code


def wants_json(arguments: Sequence[str], process: Process) -> bool:
    """Return whether the user wants messages as JSON; the words are searched because they could not be parsed."""
    wanted = process.environ.get(LOG_FORMAT)
    for at, word in enumerate(arguments):
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if name == "--log-format":
            wanted = value if equals else "".join(arguments[at + 1 : at + 2])
    return wanted == "json"
