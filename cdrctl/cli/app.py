"""The commands, put together; each provider's are made from its description when they are asked for."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from cdrctl import PROVIDERS, __version__
from cdrctl.cli.helptext import helped
from cdrctl.cli.options import TALK, with_fast_values
from cdrctl.cli.process import Process
from cdrctl.cli.run import stop_writing
from cdrctl.cli.signals import INTERRUPTED
from cdrctl.errors import CdrctlError, OutputError

COMMANDS = {
    "export": ("export", "Export the calls of several profiles as one stream of common CDRs."),
    "sync": ("archive", "Bring an archive up to date; made to run every night from cron."),
    "fill": ("archive", "Fetch only what is missing in an archive."),
    "coverage": ("archive", "Show which days an archive covers: a calendar on a terminal, JSON in a pipe."),
    "verify": ("archive", "Check an archive's files against its ledger; exit code 3 if they differ."),
    "plan": ("archive", "Show the windows, requests and time a sync would need, without contacting a provider."),
    "init": ("init", "Create a profile step by step, and check that it works: start here."),
    "doctor": ("doctor", "Check everything an export needs, from settings to permissions, and say how to fix it."),
    "fields": ("fields", "List the columns of a call: name, type, meaning, example and the provider's own key."),
    "profile": ("profile_edit", "Add, change, show, check and remove profiles."),
    "sandbox": ("sandbox", "Imitations of the providers on this machine, to try cdrctl without an account."),
    "help": ("help", "Show the help of a command, or of a topic such as times or exit-codes."),
}
"""Every command that is no provider's: its file in `cdrctl/cli/`, and its line in the list of commands.

They stand here so that the list can be shown, and one command run, without loading the others.
"""

TITLES = {
    "Providers": tuple(PROVIDERS),
    "Several profiles, and archives": ("export", "sync", "fill", "coverage", "verify", "plan"),
    "To begin, and when it does not work": ("init", "profile", "doctor", "fields", "sandbox", "help"),
}
"""The groups of commands in the help; a command that is in none of them stands in a last one."""

EXAMPLES = """
cdrctl webex cdrs -p sandbox --since yesterday --until today -o yesterday.csv
cdrctl export -p sandbox --since 24h -f table --fields provider,start_time,outcome
"""


SCRIPTS = {"install_completion": "installed", "show_completion": "shown"}
"""Typer's options about completion: the function in `cdrctl/cli/scripts.py` that does it with our scripts."""


class Commands(TyperGroup):
    """The top level: the commands it lists are no more than names and lines; the one that is named is loaded."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        helped(with_fast_values(self))
        self.commands = {name: _listed(name, about) for name, (_, about) in COMMANDS.items()}

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options; those about completion give our scripts."""
        described = super().get_params(ctx)
        for one in described:
            if one.name in SCRIPTS and not isinstance(one.callback, functools.partial):
                one.callback = functools.partial(_script, one.callback)
        return described

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, providers first."""
        return [*PROVIDERS, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return what stands for a command in a list."""
        if cmd_name in PROVIDERS:
            return _listed(cmd_name, PROVIDERS[cmd_name])
        return super().get_command(ctx, cmd_name)

    def titled(self, ctx: Any) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield the names of all commands in the groups of the help, each with its title."""
        there = self.list_commands(ctx)
        for title, names in TITLES.items():
            yield title, [name for name in names if name in there]
        if rest := [name for name in there if not any(name in names for names in TITLES.values())]:
            yield "More commands", rest

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is named, loaded, and the words after it."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, found and loaded(str(name)), rest


def _script(usual: Any, ctx: Any, option: Any, value: Any) -> Any:
    from cdrctl.cli import scripts

    given = value and not ctx.resilient_parsing
    return getattr(scripts, SCRIPTS[option.name])(usual, ctx, option, value) if given else value


def _listed(name: str, about: str) -> Any:
    return TyperCommand(name, help=about, rich_markup_mode=None)


@functools.cache
def loaded(name: str) -> Any:
    """Return a command of the top level, importing its file only now; it holds nothing of a run."""
    if name in PROVIDERS:
        return _provider_commands(name)
    module = importlib.import_module(f"cdrctl.cli.{COMMANDS[name][0]}")
    group = helped(with_fast_values(typer.main.get_group(module.commands)))
    return group.commands.get(name, group)  # its file has it among others, or is all of it


def _provider_commands(name: str) -> Any:
    from cdrctl.cli.options import command
    from cdrctl.fetchers import load

    provider = load(name)
    top = typer.Typer(name=name, help=PROVIDERS[name], no_args_is_help=True, rich_markup_mode=None)
    groups = {"": top}
    for call in provider.calls:
        if call.group not in groups:
            names = ", ".join(other.name for other in provider.calls if other.group == call.group)
            about = f"{call.group.replace('-', ' ').capitalize()}: {names}."
            groups[call.group] = typer.Typer(name=call.group, help=about, no_args_is_help=True, rich_markup_mode=None)
            top.add_typer(groups[call.group])

        def run(session: Any, shared: Any, own: Any, call: Any = call) -> None:
            from cdrctl.cli.exporting import export_call

            export_call(session, provider, call, shared, own)

        epilog = "\n".join(call.examples)
        groups[call.group].command(call.name, help=call.about, epilog=epilog)(command(call, provider.title, run))
    built = helped(with_fast_values(typer.main.get_group(top)))
    built.name = name
    return built


app = typer.Typer(
    name="cdrctl",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(*, wanted: bool) -> None:
    if wanted:
        print(f"cdrctl {__version__}")
        raise typer.Exit


@app.callback(epilog=EXAMPLES)
def begin(
    ctx: typer.Context,
    *,
    quiet: Annotated[bool, TALK["quiet"][1]] = False,
    verbose: Annotated[int, TALK["verbose"][1]] = 0,
    log_format: Annotated[str | None, TALK["log_format"][1]] = None,
    config: Annotated[str | None, TALK["config"][1]] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Export call detail records from telephony providers' APIs: complete, polite, safe.

    `cdrctl help TOPIC` explains what commands have in common: exit-codes, times, windows, schemas, outcomes,
    where, formats, profiles, environment.
    """
    del version
    process: Process = ctx.obj[0]
    ctx.obj = (process, {"quiet": quiet, "verbose": verbose, "log_format": log_format, "config": config})


@functools.cache
def _whole() -> Any:
    """Return the command of all commands."""
    return typer.main.get_command(app)


_Refusal: Any = typer.BadParameter.__bases__[0]
"""What typer raises for a command line that it refuses; it has no public name."""


def main(arguments: list[str], process: Process) -> int:
    """Return the exit code of one command line."""
    code, streams = 0, (sys.stdout, sys.stderr)
    try:
        # Left to itself typer takes a terminal to have fifty columns at least, and exits at what it refuses.
        ended = _whole()(
            args=arguments, prog_name="cdrctl", obj=(process, {}), standalone_mode=False, terminal_width=process.width
        )
        code = ended if isinstance(ended, int) else 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except typer.Abort:  # somebody left where something was asked
        code = INTERRUPTED
    except OSError:  # what typer itself prints, such as help, could not be written
        code = OutputError.exit_code
    except (CdrctlError, _Refusal) as error:
        from cdrctl.cli.refusals import say

        code = say(error, arguments, process)
    if sys.stdout is not streams[0]:  # typer's way to say that the reader of its help has left, which is no error
        sys.stdout, sys.stderr = streams
        stop_writing(sys.stdout)
        code = 0
    if process.stderr is None:  # nobody reads it, or it has failed: nothing more goes there
        stop_writing(sys.stderr)
    for stream in streams:
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # a full disk or a reader that left: the exit code stays ours
            code = code or (OutputError.exit_code if stream is sys.stdout else 0)
            stop_writing(stream)
    return code
