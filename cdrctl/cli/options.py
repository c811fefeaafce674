"""Options and arguments of commands, as values.

Parsing, environment variables, errors, help, the manual, completion and the declaration to Typer are all made from
these values. `commands.py` shows how to declare a command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from cdrctl.fetchers import Call, Option as CallOption

PANELS = ("Window", "Which records", "Output", "Profile", "Messages")
"""The groups of shared options in the help, in order; the command's own options come before them."""

LAST = PANELS[-1]
"""The group of `--help`, which is last."""

Kind = Literal["text", "integer", "flag", "count"]


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command.

    Args:
        name: The name of its value in the command's function.
        names: The option as it is typed, the short name first.
        about: One or more sentences for the help.
        kind: `text` and `integer` take a value; `flag` does not; `count` counts how often it is given.
        metavar: What stands for the value in the help.
        default: The value when the option is not given.
        panel: Its group in the help; None for the command's own options.
        minimum: The least integer.
        maximum: The greatest integer.
        repeat: It may be given several times; its value is a list.
        required: It must be given.
        negative: The name that turns a flag off, such as `--no-header`.
        acts: It acts instead of the command, such as `--help`.
    """

    name: str
    names: tuple[str, ...]
    about: str
    kind: Kind = "text"
    metavar: str = "TEXT"
    default: Any = None
    panel: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    repeat: bool = False
    required: bool = False
    negative: str = ""
    acts: bool = False

    @property
    def takes_value(self) -> bool:
        """Whether a value follows the option."""
        return self.kind in {"text", "integer"}

    @property
    def all_names(self) -> tuple[str, ...]:
        """Every name, the one that turns a flag off last."""
        return (*self.names, self.negative) if self.negative else self.names

    @property
    def label(self) -> str:
        """The option as messages name it: its long name."""
        return max(self.names, key=len)


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a command.

    Args:
        name: The name of its value in the command's function.
        about: One or more sentences for the help.
        metavar: What stands for it in the help.
        required: It must be given.
        repeat: It takes all remaining words; its value is a list.
    """

    name: str
    about: str = ""
    metavar: str = ""
    required: bool = False
    repeat: bool = False

    @property
    def label(self) -> str:
        """The argument as messages name it: `NAME`."""
        return self.metavar or self.name.upper()


Parameter = Option | Argument


def option(
    *names: str,
    about: str,
    name: str = "",
    kind: Kind = "text",
    metavar: str | None = None,
    default: Any = None,
    panel: str | None = None,
    minimum: int | None = None,
    maximum: int | None = None,
    repeat: bool = False,
    required: bool = False,
) -> Option:
    """Return an option.

    Its value is named after its long name. The default is None, an empty list if it repeats, 0 if it is counted, and
    False if it is a flag. `--header/--no-header` is a flag that can be turned off; its default is None.
    """
    long, _, negative = names[-1].partition("/")
    if default is None:
        default = [] if repeat else 0 if kind == "count" else False if kind == "flag" and not negative else None
    return Option(
        name or long.lstrip("-").replace("-", "_"),
        (*names[:-1], long),
        about,
        kind,
        metavar or ("N" if kind == "integer" else "TEXT"),
        default,
        panel,
        minimum,
        maximum,
        repeat,
        required,
        negative,
    )


HELP = Option("help", ("-h", "--help"), "Show this message and exit.", "flag", default=False, panel=LAST, acts=True)
"""The option of every command; it is last in the help."""

TALK: Mapping[str, Option] = {
    one.name: one
    for one in (
        option("-q", "--quiet", about="Print only errors on stderr.", kind="flag", panel="Messages"),
        option(
            "-v",
            "--verbose",
            about="Print each request on stderr; -vv adds tracebacks.",
            kind="count",
            panel="Messages",
        ),
        option(
            "--log-format",
            about="Format of messages: text or json. Default: CDRCTL_LOG_FORMAT, else text.",
            metavar="FORMAT",
            panel="Messages",
        ),
        option(
            "--config",
            about="Configuration file. Default: CDRCTL_CONFIG, else the one of this user.",
            metavar="FILE",
            panel="Profile",
        ),
    )
}
"""The options of every command that runs in a session; they may also be given before the command."""

MAX_WAIT = option(
    "--max-wait",
    about="Total time one request may wait for retries; waiting for the rate limit does not count. Default: the "
    "profile's max_wait, else 15m.",
    metavar="DURATION",
    panel="Profile",
)
"""An option of the commands that export, and of those that fill an archive."""

SHARED: Mapping[str, Option] = {
    one.name: one
    for one in (
        option(
            "-p",
            "--profile",
            about="Profile to use; `sandbox` needs no account. Default: CDRCTL_PROFILE, else the only one of this "
            "provider.",
            metavar="NAME",
            panel="Profile",
        ),
        option(
            "--since",
            about="Calls that started at or after this time: 2026-11-19, 2026-11-19T08:00Z, yesterday, 24h. Default: "
            "24h, or less if the provider keeps less.",
            metavar="TIME",
            panel="Window",
        ),
        option(
            "--from",
            name="source",
            about="Read this archive (see cdrctl sync) instead of the provider, without secrets and without network.",
            metavar="DIR",
            panel="Profile",
        ),
        option("--until", about="Calls that started before this time. Default: now.", metavar="TIME", panel="Window"),
        option(
            "--tz",
            about="Time zone of days and of times without an offset. Default: the profile's timezone, else UTC.",
            metavar="ZONE",
            panel="Window",
        ),
        option(
            "--times",
            about="utc writes times as …Z; local, with the offset of --tz. Default: utc, but local in a table.",
            metavar="WHICH",
            panel="Output",
        ),
        option(
            "-f",
            "--format",
            about="csv, tsv, jsonl, json, table, parquet, xlsx, sqlite or duckdb. Default: by the ending of -o, "
            "else table on a terminal and jsonl in a pipe.",
            metavar="FORMAT",
            panel="Output",
        ),
        option(
            "-o",
            "--output",
            about="File to write, complete or not at all; .gz compresses it; - is stdout.",
            metavar="FILE",
            panel="Output",
        ),
        option(
            "--schema",
            about="native: the provider's fields; common: one CDR for all providers; raw: unchanged. Default: native.",
            metavar="SCHEMA",
            default="native",
            panel="Output",
        ),
        option(
            "--fields",
            about="Columns to write, in this order: a,b,c; or all. Default: all; in a workbook, those of a table.",
            metavar="FIELDS",
            panel="Output",
        ),
        option(
            "--where",
            about="Only records that match: 'talk_seconds>60 and direction=inbound' (cdrctl help where).",
            metavar="CONDITION",
            panel="Which records",
        ),
        option(
            "--sort",
            about="Sort by these fields: start_time,-talk_seconds; a leading - sorts in descending order.",
            metavar="FIELDS",
            panel="Which records",
        ),
        option(
            "--template",
            about="Write a line per record instead of a format: '{start_time} {from_number:>16}'.",
            metavar="TEXT",
            panel="Output",
        ),
        option(
            "--header/--no-header",
            about="Whether to begin csv, tsv, table and --template output with a line of field names.",
            kind="flag",
            panel="Output",
        ),
        option(
            "--pager/--no-pager",
            about="Whether to show output that does not fit the terminal in a pager: CDRCTL_PAGER, PAGER or less. "
            "Default: only tables.",
            kind="flag",
            panel="Output",
        ),
        option("--limit", about="Stop after N records.", kind="integer", minimum=1, panel="Which records"),
        option(
            "--jobs",
            about="Fetch up to N parts of the window in parallel, if the provider allows it; records are then not in "
            "order. Default: 1.",
            kind="integer",
            default=1,
            minimum=1,
            maximum=16,
            panel="Window",
        ),
        MAX_WAIT,
        option(
            "--spreadsheet-safe",
            about="csv and tsv: put an apostrophe before text that a spreadsheet may run as a formula, even +49…",
            kind="flag",
            panel="Output",
        ),
        option(
            "--strict",
            about="Exit with 7 if records do not match the known columns (see cdrctl fields).",
            kind="flag",
            panel="Which records",
        ),
        option(
            "--allow-partial",
            about="Exit with 0 instead of 3 if part of the window is missing.",
            kind="flag",
            panel="Which records",
        ),
        option("--fail-if-empty", about="Exit with 9 if there are no records.", kind="flag", panel="Which records"),
        option(
            "--dry-run",
            about="Send nothing; print the requests as curl commands with secrets masked.",
            kind="flag",
            panel="Output",
        ),
        *TALK.values(),
    )
}
"""The options that every exporting command shares, by name."""

WINDOW_ONLY = frozenset({"since", "until", "jobs"})

PROVIDER_ONLY = ("jobs", "max_wait")
"""The shared options that only make sense with a provider, and not with an archive."""

OWN = "own_"
"""The prefix of names of a call's own options, which may be those of shared options."""

_METAVARS = {"text": "NAME", "duration": "DURATION", "file": "FILE"}


def parameters_of(call: Call, title: str) -> tuple[Parameter, ...]:
    """Return the parameters of a call: its own, in the group `title`, and the shared ones."""
    own = (_own(described, title) for described in call.options)
    left_out = set() if call.takes_window else WINDOW_ONLY
    if not call.archived and call.searched is None:
        left_out = {*left_out, "source"}
    return (*own, *(one for name, one in SHARED.items() if name not in left_out))


def _own(described: CallOption, title: str) -> Parameter:
    """Return the parameter for an option of a call."""
    about = described.about[:1].upper() + described.about[1:] + "."
    if described.argument:
        return Argument(OWN + described.name, about, described.metavar or described.name.upper(), required=True)
    default: Any = described.default
    if default is not None:
        about += f" Default: {default}."
    kind: Kind = described.kind if described.kind in {"integer", "flag"} else "text"
    if kind == "integer" and default:
        default = int(default)
    return option(
        f"--{described.name.replace('_', '-')}",
        name=OWN + described.name,
        about=about,
        kind=kind,
        metavar=described.metavar or _METAVARS.get(described.kind),
        default=default,
        panel=title,
        repeat=described.repeat,
    )


_READ_ELSEWHERE = frozenset({"profile", "config", "pager"})


def variable_of(one: Parameter, *, top: bool) -> str | None:
    """Return the environment variable of an option, such as `CDRCTL_PAGE_SIZE` for `--page-size`.

    None for arguments, for options that act (`--help`), for `--profile` and `--config`, whose variables are read
    with the profiles, and for `--pager`, whose variable is a command. The variables of options about messages apply to
    all commands: they are read with the options before the command (`top`).
    """
    if isinstance(one, Argument) or one.acts or one.name in _READ_ELSEWHERE or (one.name in TALK and not top):
        return None
    return "CDRCTL_" + one.label.lstrip("-").replace("-", "_").upper()
