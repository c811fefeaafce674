"""What is said of a command line that makes no sense: in our own form, with the nearest thing that does, no value."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cdrctl.cli.completion.files import FILE
from cdrctl.cli.options import variable_of
from cdrctl.cli.process import Process, Reporter
from cdrctl.cli.run import LOG_FORMAT
from cdrctl.errors import CdrctlError, UsageError, did_you_mean

MEANT = {
    **dict.fromkeys(("--from", "--start", "--begin", "--after"), "--since"),
    **dict.fromkeys(("--to", "--end", "--before"), "--until"),
    **dict.fromkeys(("--zone", "--timezone", "--time-zone"), "--tz"),
    **dict.fromkeys(("--out", "--file", "--out-file"), "--output"),
    **dict.fromkeys(("--columns", "--select"), "--fields"),
    **dict.fromkeys(("--max", "--count", "--number", "-n"), "--limit"),
}
"""Options as other programs call them."""

SECRETS = ("password", "token", "secret", "key", "code", "credential")
"""Words in the names of options that somebody would give a secret with."""


_UNKNOWN = re.compile(r"No such command ('.*'|\".*\")\.?(?: Did you mean .*\?)?$", re.DOTALL)


def say(error: Any, arguments: Sequence[str], process: Process) -> int:
    """Say why a command line is refused, and return the exit code.

    A page of help that stands in for a command which is missing stays what it is, but for programs.
    """
    as_json = wants_json(arguments, process)
    if not isinstance(error, CdrctlError):
        if _is_help(error) and not as_json:
            with suppress(OSError, ValueError, AttributeError):  # nobody listens: the exit code still speaks
                process.stderr.write(error.message + "\n")  # type: ignore[union-attr]
            return UsageError.exit_code
        error = refusal(error, arguments)
    Reporter(process, as_json=as_json).error(error)
    code: int = error.exit_code
    return code


def wants_json(arguments: Sequence[str], process: Process) -> bool:
    """Return whether messages shall be JSON, by the words of a command line that nobody could read."""
    wanted = process.environ.get(LOG_FORMAT)
    for at, word in enumerate(arguments):
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if name == "--log-format":
            wanted = value if equals else "".join(arguments[at + 1 : at + 2])
    return wanted == "json"


def refusal(error: Any, arguments: Sequence[str]) -> CdrctlError:
    """Return what typer refuses as an error of ours. No value is in it: it may be a secret in the wrong place."""
    ctx, option = error.ctx, getattr(error, "option_name", None)
    if option is not None and type(error).__name__ == "BadOptionUsage":
        what = "takes no value" if "does not take" in error.message else "needs a value"
        return UsageError(f"{option} {what}", hint=f"see {_path(arguments)} --help")
    if ctx is None:
        return UsageError(error.format_message(), hint=f"see {_path(arguments)} --help")
    path, command = ctx.command_path, ctx.command
    options = [one for one in command.get_params(ctx) if one.param_type_name == "option" and not one.hidden]
    names = [name for one in options for name in (*one.opts, *one.secondary_opts)]
    see = f"{path} --help"
    if _is_help(error) or error.message == "Missing command.":
        return UsageError(f"{path} needs a command", hint=f"{see} lists them")
    if unknown := _UNKNOWN.match(error.message):
        return no_command(str(ast.literal_eval(unknown[1])), path, command.list_commands(ctx))
    param = getattr(error, "param", None)
    if option is not None:
        return UsageError(f"there is no option {option}", hint=_instead(option, names, command, path))
    if param is not None:
        return _of_a_value(error, param, see)
    if error.message.startswith("Got unexpected extra argument"):
        takes = [one for one in command.get_params(ctx) if one.param_type_name == "argument"]
        what = " ".join((one.metavar or one.name.upper()).strip("[]{}.") for one in takes)
        return UsageError(
            f"there is a word too many: {path} takes {f'{what} and options' if what else 'options'} only",
            hint=f"an option's value stands right after it; see {see}",
        )
    return UsageError(error.format_message(), hint=f"see {see}")


def no_command(name: str, path: str, names: Sequence[str]) -> CdrctlError:
    """Return the refusal of a command that there is not."""
    from cdrctl.cli.topics import TOPICS

    if path == "cdrctl" and name in TOPICS:
        return UsageError(f"{name} is no command", hint=f"it is explained by: cdrctl help {name}")
    hint = did_you_mean(name, names)
    if not hint and path == "cdrctl" and (others := list(_elsewhere(name))):
        hint = f"did you mean {' or '.join(others)}? "
    return UsageError(f"{path} has no command {name!r}", hint=f"{hint}{path} --help lists the commands")


def _path(arguments: Sequence[str]) -> str:
    """Return the command that is named by these words, where typer did not get as far as to say."""
    place, words = _tree(), ["cdrctl"]
    for word in arguments:
        if word in place["commands"]:
            place = place["commands"][word]
            words.append(word)
    return " ".join(words)


def _tree() -> Any:
    """Return all commands, as completion knows them."""
    return json.loads(Path(FILE).read_text(encoding="utf-8"))["top"]


def _elsewhere(name: str) -> Iterator[str]:
    """Yield the commands of this name that stand within another."""
    for first, one in _tree()["commands"].items():
        if name in one["commands"]:
            yield f"cdrctl {first} {name}"


def _of_a_value(error: Any, param: Any, see: str) -> CdrctlError:
    """Return the refusal of a value that is missing, or that cannot be read as what it should be."""
    what = max(param.opts, key=len) if param.param_type_name == "option" else (param.metavar or param.name.upper())
    source = error.ctx.get_parameter_source(param.name) if error.ctx is not None else None
    if source is not None and source.name == "ENVIRONMENT":
        variable = variable_of(param, top=error.ctx.parent is None)
        what = f"{variable}, which stands for {what},"
    if not hasattr(error, "param_type"):  # then it is there, and wrong
        bounds = [param.min, param.max]
        if param.type_descriptor.annotation in (int, int | None):
            least, most = bounds
            more = "" if least is None else f", {least} or more" if most is None else f" from {least} to {most}"
            return UsageError(f"{what} is a whole number{more}", hint=f"see {see}")
        if param.type_descriptor.annotation in (bool, bool | None):
            return UsageError(f"{what} is true or false, or 1 or 0", hint=f"see {see}")
        return UsageError(f"{what.rstrip(',')}: {error.message}", hint=f"see {see}")
    written = f"{what} {param.metavar or 'VALUE'}" if param.param_type_name == "option" else what
    return UsageError(f"{written} is missing", hint=f"see {see}")


def _instead(option: str, names: Sequence[str], command: Any, path: str) -> str:
    """Return what to write in place of an option that there is not."""
    if any(word in option.lower() for word in SECRETS):
        return (
            "secrets are not taken from the command line, where others see them: cdrctl profile add asks for them; "
            f"{path} --help lists the options"
        )
    if MEANT.get(option) in names:
        return f"did you mean {MEANT[option]}? {path} --help lists the options"
    if hasattr(command, "commands"):
        return f"{did_you_mean(option, names)}options of a command stand after it; {path} --help lists the commands"
    return f"{did_you_mean(option, [one for one in names if one.startswith('--')])}{path} --help lists the options"


def _is_help(error: Any) -> bool:
    return type(error).__name__ == "NoArgsIsHelpError"
