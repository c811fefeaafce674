"""The program: all commands, and the run of one command line."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cdrctl import PROVIDERS, __version__
from cdrctl.cli.commands import Command, Deferred, Group, group, session_command
from cdrctl.cli.completion import VARIABLE
from cdrctl.cli.helptext import help_page, show, text
from cdrctl.cli.options import OWN, SHARED, TALK, Option, parameters_of
from cdrctl.cli.process import Process
from cdrctl.cli.run import Invocation, Session, stop_writing
from cdrctl.cli.words import Line, read_line
from cdrctl.errors import CdrctlError, OutputError

if TYPE_CHECKING:
    from cdrctl.fetchers import Call, Provider

COMMANDS = {
    "export": ("export", "Export the calls of several profiles as one stream of common CDRs."),
    "calls": ("calls", "Join legs into whole calls, one row for each: from profiles, an archive or files."),
    "stats": ("stats", "Compute figures over whole calls: each with numerator, denominator, definition and coverage."),
    "report": (
        "report",
        "Write a report of calls: one HTML file with figures, charts and definitions that needs no network.",
    ),
    "size": ("size", "Compute how many trunks or agents an offered traffic needs, by Erlang B and C."),
    "sync": ("archive", "Bring an archive up to date, for example every night from cron."),
    "fill": ("archive", "Fetch only what is missing in an archive."),
    "coverage": ("archive_coverage", "Show which days an archive covers: a calendar on a terminal, JSON in a pipe."),
    "verify": ("archive", "Check an archive's files against its ledger; exit code 3 if they differ."),
    "plan": ("archive", "Show the windows, requests and time a sync would need, without contacting a provider."),
    "sql": ("sql", "Run SQL over an archive, or list its views and columns."),
    "archive": ("archive_group", "Monitor, convert and clean up an archive."),
    "init": ("init", "Create a profile step by step, and check that it works: start here."),
    "doctor": ("doctor", "Check everything an export needs, from settings to permissions, and say how to fix it."),
    "fields": ("fields", "List the columns of a call: name, type, meaning, example and the provider's own key."),
    "profile": ("profile_edit", "Add, change, show, check and remove profiles."),
    "sandbox": ("sandbox", "Imitate the providers on this machine, to try cdrctl without an account."),
    "help": ("help", "Show the help of a command, or of a topic such as times or exit-codes."),
}
"""Each command that is not a provider's: its file in `cdrctl/cli/`, and its line in the list of commands.

With these the list can be shown, and one command run, without loading the files of the others.
"""

TITLES = {
    "Providers": tuple(PROVIDERS),
    "Several profiles and archives": ("export", "sync", "fill", "coverage", "verify", "plan", "sql", "archive"),
    "Whole calls": ("calls", "stats", "report", "size"),
    "Setup and troubleshooting": ("init", "profile", "doctor", "fields", "sandbox", "help"),
}
"""The groups of commands in the help, by title."""


@functools.cache
def load_command(name: str) -> Command | Group:
    """Return a top-level command, importing its file."""
    if name in PROVIDERS:
        return _provider_group(name)
    found: Command | Group = importlib.import_module(f"cdrctl.cli.{COMMANDS[name][0]}").COMMANDS[name]
    return found


def _provider_group(name: str) -> Group:
    """Return the commands of a provider: one for each call, some of them in groups."""
    from cdrctl.fetchers import load

    provider = load(name)
    grouped: dict[str, list[Command]] = {}
    for call in provider.calls:
        grouped.setdefault(call.group, []).append(_call_command(provider, call))
    entries: list[Command | Group] = list(grouped.pop("", ()))
    for title, commands in grouped.items():
        about = f"{title.replace('-', ' ').capitalize()}: {', '.join(one.name for one in commands)}."
        entries.append(group(title, about, *commands))
    return group(name, PROVIDERS[name], *entries)


def _call_command(provider: Provider, call: Call) -> Command:
    """Return the command that exports one call."""

    def run(session: Session, values: Mapping[str, Any]) -> None:
        from cdrctl.cli.exporting import export_call

        own = {name.removeprefix(OWN): value for name, value in values.items() if name.startswith(OWN)}
        export_call(session, provider, call, {name: values.get(name) for name in SHARED}, own)

    return session_command(call.name, call.about, run, parameters_of(call, provider.title), call.examples)


VERSION = Option("version", ("--version",), "Show the version and exit.", "flag", acts=True)
INSTALL_COMPLETION = Option(
    "install_completion", ("--install-completion",), "Install completion for the current shell.", "flag", acts=True
)
SHOW_COMPLETION = Option(
    "show_completion",
    ("--show-completion",),
    "Show completion for the current shell, to copy it or customize the installation.",
    "flag",
    acts=True,
)

TOP = Group(
    "cdrctl",
    """Export call detail records (CDRs) from the APIs of telephony providers.

`cdrctl help TOPIC` explains what commands have in common: exit-codes, times, windows, schemas, outcomes,
where, formats, profiles, environment.""",
    {
        name: Deferred(name, about, functools.partial(load_command, name))
        for name, about in (*PROVIDERS.items(), *((name, about) for name, (_, about) in COMMANDS.items()))
    },
    (*TALK.values(), VERSION, INSTALL_COMPLETION, SHOW_COMPLETION),
    (
        "cdrctl webex cdrs -p sandbox --since yesterday --until today -o yesterday.csv",
        "cdrctl export -p sandbox --since 24h -f table --fields provider,start_time,outcome",
    ),
    TITLES,
)
"""The program, with all commands."""


def main(arguments: list[str], process: Process) -> int:
    """Run a command line and return its exit code."""
    code, streams = 0, (sys.stdout, sys.stderr)
    try:
        code = _run(arguments, process)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BrokenPipeError:  # the pipe was closed while help was printed, which is not an error
        stop_writing(sys.stdout)
    except OSError:  # help could not be written
        code = OutputError.exit_code
    except CdrctlError as error:
        from cdrctl.cli.refusals import report

        code = report(error, arguments, process)
    if sys.stdout is not streams[0]:  # Typer replaces it when the pipe is closed
        sys.stdout, sys.stderr = streams
        stop_writing(sys.stdout)
        code = 0
    if process.stderr is None:  # it is closed, or a write has failed
        stop_writing(sys.stderr)
    for stream in streams:
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # a full disk or a closed pipe must not change the exit code
            code = code or (OutputError.exit_code if stream is sys.stdout else 0)
            stop_writing(stream)
    return code


def _run(arguments: list[str], process: Process) -> int:
    """Run the command of a line, or the option that acts instead, and return the exit code."""
    if os.environ.get(VARIABLE):
        from cdrctl.cli import typer_adapter

        return typer_adapter.complete(TOP, os.environ)
    line = read_line(arguments, TOP, process.environ)
    if line.acts is not None:
        return _act(line, line.acts, process)
    from cdrctl.cli import typer_adapter

    invocation = Invocation(process, line.values, line.before, line.variables, line.typed)
    return typer_adapter.run(TOP, line.path[1:], invocation)


def _act(line: Line, option: Option, process: Process) -> int:
    """Do what an option such as `--help` does, and return the exit code."""
    if option is VERSION:
        show(f"cdrctl {__version__}\n")
    elif option in {INSTALL_COMPLETION, SHOW_COMPLETION}:
        from cdrctl.cli import scripts

        act = scripts.install if option is INSTALL_COMPLETION else scripts.show
        return act(TOP, [option.label, *line.rest])
    else:
        show(text(help_page(line.place, line.path), process.width))
    return 0
