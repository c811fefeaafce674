"""The options that every exporting command shares, and commands made from a provider's own description."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cdrctl.cli.run import Session, session
from cdrctl.errors import UsageError

if TYPE_CHECKING:
    from cdrctl.fetchers import Call, Option

PANELS = ("Window", "Which records", "Output", "Profile", "Messages")
"""The groups of shared options in a page of help, in order; a command's own options stand before them."""

LAST = PANELS[-1]
"""The group that every command has."""


def option(*names: str, about: str, metavar: str | None = None, panel: str | None = None, **more: Any) -> Any:
    """Return a Typer option; the panel is its group in the help."""
    shown = more.pop("show_default", False)
    return typer.Option(*names, help=about, metavar=metavar, show_default=shown, rich_help_panel=panel, **more)


TALK = {
    "quiet": (bool, option("-q", "--quiet", about="Only errors on stderr.", panel="Messages"), False),
    "verbose": (
        int,
        option("-v", "--verbose", about="Each request on stderr; -vv adds tracebacks.", count=True, panel="Messages"),
        0,
    ),
    "log_format": (
        str | None,
        option(
            "--log-format",
            about="Messages as `text` or `json`; else CDRCTL_LOG_FORMAT, else text.",
            metavar="FORMAT",
            panel="Messages",
        ),
        None,
    ),
    "config": (
        str | None,
        option("--config", about="Another configuration file.", metavar="FILE", panel="Profile"),
        None,
    ),
}

MAX_WAIT: tuple[Any, Any, Any] = (
    str | None,
    option(
        "--max-wait",
        about="How long one request may wait for retries in total; waiting for a rate limit does not count. Default: "
        "the profile's max_wait, else 15m.",
        metavar="DURATION",
        panel="Profile",
    ),
    None,
)
"""The option of every command that exports, and of those that fill an archive."""

SHARED: Mapping[str, tuple[Any, Any, Any]] = {
    "profile": (
        str | None,
        option(
            "-p",
            "--profile",
            about="Which profile; else CDRCTL_PROFILE, else the only one of this provider. `sandbox` needs no account.",
            metavar="NAME",
            panel="Profile",
        ),
        None,
    ),
    "since": (
        str | None,
        option(
            "--since",
            about="Calls that started at this time or later: 2026-11-19, 2026-11-19T08:00Z, yesterday, 24h. Default: "
            "24h, or what the provider keeps.",
            metavar="TIME",
            panel="Window",
        ),
        None,
    ),
    "until": (
        str | None,
        option("--until", about="Calls that started before this time. Default: now.", metavar="TIME", panel="Window"),
        None,
    ),
    "tz": (
        str | None,
        option(
            "--tz", about="Zone of times without an offset and of days. Default: UTC.", metavar="ZONE", panel="Window"
        ),
        None,
    ),
    "times": (
        str | None,
        option(
            "--times",
            about="utc: times as …Z; local: times with the offset of --tz. Default: utc, and local in a table.",
            metavar="WHICH",
            panel="Output",
        ),
        None,
    ),
    "format": (
        str | None,
        option(
            "-f",
            "--format",
            about="csv, tsv, jsonl, json, table, parquet, xlsx, sqlite or duckdb. Default: by the ending of -o, else "
            "table on a terminal, jsonl in a pipe.",
            metavar="FORMAT",
            panel="Output",
        ),
        None,
    ),
    "output": (
        str | None,
        option(
            "-o",
            "--output",
            about="File to write, whole or not at all; .gz compresses; - is stdout.",
            metavar="FILE",
            panel="Output",
        ),
        None,
    ),
    "schema": (
        str,
        option(
            "--schema",
            about="native: the provider's fields; common: one CDR for all providers; raw: untouched. Default: native.",
            metavar="SCHEMA",
            panel="Output",
        ),
        "native",
    ),
    "fields": (
        str | None,
        option(
            "--fields",
            about="These columns, in this order: a,b,c; or all. Default: all, and in a workbook those of a table.",
            metavar="FIELDS",
            panel="Output",
        ),
        None,
    ),
    "where": (
        str | None,
        option(
            "--where",
            about="Only records for which this holds: 'talk_seconds>60 and direction=inbound' (cdrctl help where).",
            metavar="CONDITION",
            panel="Which records",
        ),
        None,
    ),
    "sort": (
        str | None,
        option(
            "--sort",
            about="In the order of these fields: start_time,-talk_seconds; - for the most first.",
            metavar="FIELDS",
            panel="Which records",
        ),
        None,
    ),
    "template": (
        str | None,
        option(
            "--template",
            about="A line for each record instead of a format: '{start_time} {from_number:>16}'.",
            metavar="TEXT",
            panel="Output",
        ),
        None,
    ),
    "header": (
        bool | None,
        option(
            "--header/--no-header",
            about="Whether the first line of csv, tsv, table or --template names the fields.",
            panel="Output",
        ),
        None,
    ),
    "pager": (
        bool | None,
        option(
            "--pager/--no-pager",
            about="Page what does not fit on the terminal, by CDRCTL_PAGER, PAGER or less; or do not. Default: tables "
            "only.",
            panel="Output",
        ),
        None,
    ),
    "limit": (
        int | None,
        option("--limit", about="Stop after so many records.", metavar="N", min=1, panel="Which records"),
        None,
    ),
    "jobs": (
        int,
        option(
            "--jobs",
            about="Ask for so many parts of the window at once, where the provider allows it; records come in no "
            "order. Default: 1.",
            metavar="N",
            min=1,
            max=16,
            panel="Window",
        ),
        1,
    ),
    "max_wait": MAX_WAIT,
    "spreadsheet_safe": (
        bool,
        option(
            "--spreadsheet-safe",
            about="csv and tsv: an apostrophe before text that a spreadsheet would take for a formula, +49… too.",
            panel="Output",
        ),
        False,
    ),
    "strict": (
        bool,
        option(
            "--strict",
            about="Exit 7 when records do not fit the columns known (see cdrctl fields).",
            panel="Which records",
        ),
        False,
    ),
    "allow_partial": (
        bool,
        option("--allow-partial", about="Exit 0 where 3 would be given.", panel="Which records"),
        False,
    ),
    "fail_if_empty": (
        bool,
        option("--fail-if-empty", about="Exit 9 when there are no records.", panel="Which records"),
        False,
    ),
    "dry_run": (
        bool,
        option(
            "--dry-run",
            about="Send nothing: print the requests as lines for curl, with masks for secrets.",
            panel="Output",
        ),
        False,
    ),
    **TALK,
}
WINDOW_ONLY = {"since", "until", "jobs"}

DIGITS = 18
"""Digits of a number that is read here: longer ones are typer's to refuse."""

_TYPES: Mapping[str, Any] = {"text": str, "integer": int, "duration": str, "flag": bool, "file": str}
_METAVARS = {"text": "NAME", "integer": "N", "duration": "DURATION", "flag": None, "file": "FILE"}


def parameter(name: str, kind: Any, spelling: Any, default: Any) -> inspect.Parameter:
    """Return one parameter of a command that is made at run time."""
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, spelling]
    )


def _own(described: Option, panel: str) -> inspect.Parameter:
    kind = _TYPES[described.kind]
    about = described.about[:1].upper() + described.about[1:] + "."
    if described.argument:
        spelling = typer.Argument(help=about, metavar=described.metavar or described.name.upper(), show_default=False)
        return parameter(f"own_{described.name}", kind, spelling, inspect.Parameter.empty)
    flag = f"--{described.name.replace('_', '-')}"
    if described.default is not None:
        about += f" Default: {described.default}."
    spelling = option(flag, about=about, metavar=described.metavar or _METAVARS[described.kind], panel=panel)
    if described.kind == "flag":
        return parameter(f"own_{described.name}", bool, spelling, default=False)
    if described.repeat:
        return parameter(f"own_{described.name}", list[str], spelling, [])
    default = int(described.default) if described.kind == "integer" and described.default else described.default
    return parameter(f"own_{described.name}", kind | None, spelling, default)


def with_fast_values(command: Any) -> Any:
    """Return a built command, or a group of them, whose plain words are values without loading pydantic.

    Typer reads every option with pydantic, those that were not given too: that takes longer than many a command. What
    is no plain word is still typer's to read, and to refuse.

    What is not typed may be in the environment, under `variable_of` the option.
    """
    command.get_params = functools.partial(_read_plainly, command.get_params)
    for inner in getattr(command, "commands", {}).values():
        with_fast_values(inner)
    return command


def _read_plainly(usual: Callable[[Any], list[Any]], ctx: Any) -> list[Any]:
    described = usual(ctx)
    for one in described:
        if not isinstance(one.process_value, functools.partial):
            one.process_value = functools.partial(_value, one, one.process_value)
            one.value_from_envvar = functools.partial(_from_environment, one)
    return described


_READ_ELSEWHERE = frozenset({"help", "profile", "config", "pager"})


def variable_of(described: Any, *, top: bool) -> str | None:
    """Return the variable of the environment that an option may be given in: `CDRCTL_PAGE_SIZE` for `--page-size`.

    None for arguments, for what acts at once (`--help`), for `--profile` and `--config`, whose variables are read where
    profiles are, and for `--pager`, whose variable is a command. What is said about messages holds for all commands,
    and counts before the command (`top`).
    """
    if described.param_type_name != "option" or described.is_eager or described.name in _READ_ELSEWHERE:
        return None
    if not top and described.name in TALK:
        return None
    longest: str = max(described.opts, key=len)
    return "CDRCTL_" + longest.lstrip("-").replace("-", "_").upper()


def _from_environment(described: Any, ctx: Any) -> Any:
    """Return what the environment has for an option, or None; of one that may be repeated each line is a value."""
    variable = variable_of(described, top=ctx.parent is None)
    handed_over = ctx.find_root().obj
    given = handed_over[0].environ.get(variable) if variable and handed_over else None
    if not given:
        return None
    return [line for line in given.splitlines() if line.strip()] if described.multiple else given


def _value(described: Any, usual: Callable[[Any, Any], Any], ctx: Any, given: Any) -> Any:
    """Return an option's or argument's value, by typer where it is not plain.

    Raises:
        UsageError: The value is empty, as an unset variable of a shell script makes it.
    """
    if given == "" or (isinstance(given, list | tuple) and "" in given):
        is_option = described.param_type_name == "option"
        what = max(described.opts, key=len) if is_option else (described.metavar or described.name.upper())
        raise UsageError(
            f"{what} has an empty value",
            hint=f"give it a value{', or leave the option out' if is_option else ''}; a shell variable that is not "
            "set gives an empty value",
        )
    wanted = getattr(described, "type_descriptor", None)  # typer has it since it reads with pydantic
    if wanted is None:
        return usual(ctx, given)
    if given is None and not described.required:
        nothing = () if described.multiple or described.nargs == -1 else None
        return described.callback(ctx, described, nothing) if described.callback else nothing
    if described.callback is None:
        kind, several = wanted.annotation, isinstance(given, list | tuple)
        if kind is str and isinstance(given, str):
            return given
        if (
            kind == list[str]
            and several
            and all(isinstance(one, str) for one in given)
            and (given or not described.required)
        ):
            return list(given)
        if kind is int and not several and len(str(given)) <= DIGITS and str(given).isascii() and str(given).isdigit():
            bounds, number = wanted.parameter_info, int(given)
            if (bounds.min is None or bounds.min <= number) and (bounds.max is None or number <= bounds.max):
                return number
    return usual(ctx, given)


def made(
    parameters: Sequence[inspect.Parameter], about: str, run: Callable[[Session, dict[str, Any]], None]
) -> Callable[..., None]:
    """Return a Typer command with these parameters, whose values it hands over to `run` in a session."""

    def body(ctx: typer.Context, **given: Any) -> None:
        with session(ctx, **{name: given[name] for name in TALK}) as opened:
            try:
                run(_waiting(opened, given.get("max_wait")), given)
            except UsageError as error:
                error.hint = _with_variables(error.hint, ctx)
                raise

    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    body.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    body.__annotations__ = {"ctx": typer.Context, **{one.name: one.annotation for one in parameters}}
    body.__doc__ = about
    return body


def _waiting(opened: Session, max_wait: str | None) -> Session:
    """Return the session in which one request may wait as long as --max-wait says, if it was given."""
    if max_wait is None:
        return opened
    from cdrctl import windows

    return replace(opened, max_wait=windows.duration(max_wait))


def _with_variables(hint: str | None, ctx: typer.Context) -> str | None:
    """Return the next step, and which options nobody typed: what is refused may be one of these."""
    source = ctx.get_parameter_source
    taken = [
        variable
        for one in ctx.command.params
        if getattr(source(one.name or ""), "name", "") == "ENVIRONMENT" and (variable := variable_of(one, top=False))
    ]
    return "; ".join(filter(None, (hint, f"options from the environment: {', '.join(taken)}" if taken else None)))


def in_session(function: Callable[..., None]) -> Callable[..., None]:
    """Return a Typer command from a function that takes a session and then its own options."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    names = [one.name for one in own]
    talk = [parameter(name, *spec) for name, spec in TALK.items()]

    def run(opened: Session, given: dict[str, Any]) -> None:
        function(opened, **{name: given[name] for name in names})

    made_command = made([*(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own), *talk], "", run)
    made_command.__doc__ = function.__doc__
    made_command.__name__ = function.__name__
    return made_command


def command(
    call: Call, title: str, run: Callable[[Session, Mapping[str, Any], Mapping[str, Any]], None]
) -> Callable[..., None]:
    """Return the Typer command of one call: its own options, under its provider's title, and the shared ones."""
    shared = {name: spec for name, spec in SHARED.items() if call.takes_window or name not in WINDOW_ONLY}

    def split(opened: Session, given: dict[str, Any]) -> None:
        own = {name.removeprefix("own_"): value for name, value in given.items() if name.startswith("own_")}
        run(opened, {name: given.get(name) for name in SHARED}, own)

    parameters = [
        *(_own(described, title) for described in call.options),
        *(parameter(name, *spec) for name, spec in shared.items()),
    ]
    return made(parameters, call.about, split)
