"""The program as a Typer app: the only file that imports Typer, and it uses public names only.

Typer has the shape of the program, a group for each provider and a command for each call, and runs the command that a
line names. It also completes what our own completion leaves to it, in shells such as PowerShell. It parses no options:
it would load pydantic to read their values, and its refusals have no codes. `words.py` has read them before.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Any

import typer

from cdrctl.cli.commands import Command, Entry, Group, load_entry
from cdrctl.cli.helptext import summary
from cdrctl.cli.options import HELP, Argument, Parameter
from cdrctl.cli.run import Invocation


def typer_app(
    top: Group, names: Collection[str] | None = None, *, declared: bool = True, completion: bool = True
) -> typer.Typer:
    """Return the program as a Typer app.

    Args:
        top: The program.
        names: The top-level commands to load; None for all.
        declared: Whether to declare what completion reads: parameters, and the names of commands that are not loaded.
        completion: Whether to add `--install-completion` and `--show-completion`.
    """
    app = _group(top, declared=declared, completion=completion)
    own = [one for one in top.parameters if not one.acts or one.name == "version"]
    app.callback()(_function(lambda _: 0, own if declared else ()))
    for name, entry in top.commands.items():
        if names is None or name in names:
            _add(app, load_entry(entry), declared=declared)
        elif declared:
            app.add_typer(_group(entry, declared=declared))
    return app


def _add(app: typer.Typer, place: Command | Group, *, declared: bool) -> None:
    """Register a command, or a group with its commands, in a Typer app."""
    if isinstance(place, Command):
        function = _function(place.run, place.parameters if declared else ())
        app.command(place.name, help=place.about, short_help=summary(place), add_help_option=declared)(function)
        return
    inner = _group(place, declared=declared)
    for entry in place.commands.values():
        _add(inner, load_entry(entry), declared=declared)
    app.add_typer(inner)


def _group(entry: Entry, *, declared: bool, completion: bool = False) -> typer.Typer:
    """Return a Typer app for a group, without its commands."""
    return typer.Typer(
        name=entry.name,
        help=entry.about,
        short_help=summary(entry),
        add_help_option=declared,
        add_completion=completion,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": [*HELP.names]},
    )


def _function(run: Callable[[Invocation], int], parameters: Sequence[Parameter]) -> Callable[..., int]:
    """Return the function that Typer calls for a command; it takes the values from the invocation."""

    def body(ctx: typer.Context, **_values: Any) -> int:
        return run(ctx.obj)

    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    every = [context, *map(_declared, parameters)]
    body.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
    body.__annotations__ = {one.name: one.annotation for one in every}
    return body


def _declared(one: Parameter) -> inspect.Parameter:
    """Return a parameter as Typer reads it; every value is text to it."""
    default: Any = inspect.Parameter.empty if one.required else None
    if isinstance(one, Argument):
        kind: Any = list[str] if one.repeat else str
        info = typer.Argument(help=one.about, metavar=one.label, show_default=False)
    else:
        kind = bool if one.kind == "flag" else int if one.kind == "count" else list[str] if one.repeat else str
        names = (*one.names[:-1], f"{one.names[-1]}/{one.negative}") if one.negative else one.names
        info = typer.Option(*names, help=one.about, metavar=one.metavar, count=one.kind == "count", show_default=False)
    annotation: Any = Annotated[kind if one.required else kind | None, info]
    return inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def run(top: Group, words: Sequence[str], invocation: Invocation) -> int:
    """Run the command of these words and return its exit code."""
    app = typer_app(top, words[:1], declared=False, completion=False)
    code: int = app(args=list(words), prog_name=top.name, obj=invocation, standalone_mode=False)
    return code


def complete(top: Group, environ: Mapping[str, str]) -> int:
    """Answer a shell that asks Typer for completions in the environment, and return the exit code."""
    asked = environ.get("COMP_WORDS", "") + " " + environ.get("_TYPER_COMPLETE_ARGS", "")
    app = typer_app(top, set(re.findall(r"[\w-]+", asked)))
    code: int = app(args=[], prog_name=top.name, standalone_mode=False)
    return code


def act_on_completion(top: Group, words: Sequence[str]) -> int:
    """Have Typer do `--install-completion` or `--show-completion`, the first of the words, and return the exit code."""
    app = typer_app(top, (), declared=False)
    code: int = app(args=list(words), prog_name=top.name, standalone_mode=False)
    return code
