"""The page of help of a command, as a value and as text: its use, two examples, what it does, its options in groups.

`described` reads a page off a command; `text` spells it for a terminal, and the manual pages are spelt from the same.
"""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cdrctl.cli.options import LAST, PANELS

WIDEST = 100
"""Columns that can be read with ease: a wider terminal is not filled."""

ROOMY = 60
"""Columns below which what is said of an option stands under it and not beside it."""

LONGEST_TERM = 28
"""Columns of an option that what is said of it still stands beside."""

ROOM = 8
"""Columns that are left to a line's indent and to what shows that it goes on."""

SHORT = "    "
"""What stands in place of an option's short name, so that the long ones are under each other."""

_WORD = re.compile(r"""(?:'[^']*'|"[^"]*"|\\.|[^\s'"\\])+""")
"""A word of a command line, with its quotes."""

SIGNS = ("|", "&&")
"""What stands between commands."""

Row = tuple[str, str]
"""A word or an option as it is written, and what is said of it."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is said of one command.

    Args:
        path: The command as it is typed.
        pieces: What may stand after it.
        examples: Command lines that work as they stand.
        about: Paragraphs.
        groups: Its commands, arguments and options, each group with its title.
    """

    path: str
    pieces: tuple[str, ...]
    examples: tuple[str, ...]
    about: tuple[str, ...]
    groups: Mapping[str, tuple[Row, ...]]


def described(command: Any, ctx: Any) -> Page:
    """Return the page of a command that typer has built."""
    parameters = [one for one in command.get_params(ctx) if not getattr(one, "hidden", False)]
    arguments = [one for one in parameters if one.param_type_name == "argument"]
    pieces = ["[OPTIONS]", *map(_piece, arguments)]
    groups: dict[str, list[Row]] = {}
    if hasattr(command, "commands"):
        pieces.append("COMMAND ...")
        for title, names in _grouped(command, ctx):
            groups[title] = [(name, _first_paragraph(command.get_command(ctx, name))) for name in names]
    if told := [(_piece(one), _said(one)) for one in arguments if one.help]:
        groups["Arguments"] = told
    options = [one for one in parameters if one.param_type_name == "option" and "--help" not in one.opts]
    titles = dict.fromkeys(_title(one) for one in options)
    for title in sorted(titles, key=lambda one: PANELS.index(one) if one in PANELS else -1):
        groups[title] = [(_spelt(one), _said(one)) for one in options if _title(one) == title]
    groups.setdefault(LAST if options else "Options", []).append(("-h, --help", "Show this help."))
    return Page(
        ctx.command_path,
        tuple(pieces),
        tuple(examples(command, ctx)),
        tuple(_paragraphs(command.help)),
        {title: tuple(rows) for title, rows in groups.items()},
    )


def examples(command: Any, ctx: Any) -> Iterator[str]:
    """Yield the examples of a command: those it has, or the first of each of a group's first two commands."""
    if command.epilog:
        for line in inspect.cleandoc(command.epilog).splitlines():
            yield line.removeprefix("For example: ")
        return
    for name in list(getattr(command, "commands", ()))[:2]:
        yield from list(examples(command.get_command(ctx, name), ctx))[:1]


def helped(command: Any) -> Any:
    """Return a built command, or a group of them, that shows its help as a page."""
    command.format_help = functools.partial(_show, command)
    for inner in getattr(command, "commands", {}).values():
        helped(inner)
    return command


def _show(command: Any, ctx: Any, formatter: Any) -> None:
    formatter.write(text(described(command, ctx), formatter.width))


def text(page: Page, width: int) -> str:
    """Return a page as text whose lines fit a terminal of so many columns."""
    width = min(width, WIDEST)
    lines = filled(" ".join(["Usage:", page.path, *page.pieces]), width, "", " " * 7)
    if page.examples:
        lines += ["", "Examples:", *(line for one in page.examples for line in continued(one, width))]
    for paragraph in page.about:
        lines += ["", *filled(paragraph, width)]
    terms = {option: _term(page, option=option) for option in (False, True)}
    for title, rows in page.groups.items():
        lines += ["", f"{title}:", *listed(rows, width, terms[_is_option(rows[0])])]
    return "\n".join(lines) + "\n"


def _term(page: Page, *, option: bool) -> int:
    """Return the columns of the longest option, or else of the longest word, that has room beside it."""
    words = [word for rows in page.groups.values() for word, _ in rows if _is_option(rows[0]) is option]
    return max((len(word) for word in words if len(word) <= LONGEST_TERM), default=0)


def _is_option(row: Row) -> bool:
    return row[0].lstrip().startswith("-")


def listed(rows: Iterable[Row], width: int, term: int) -> Iterator[str]:
    """Yield the lines of words and what is said of them, beside each other where there is room."""
    for written, said in rows:
        word = f"  {written}" if width >= ROOMY else f"  {written.strip()}"
        if width >= ROOMY and len(written) <= term:
            yield from filled(said, width, word.ljust(term + 4), " " * (term + 4)) if said else [word]
            continue
        yield from filled(word.strip(), width, " " * (len(word) - len(word.lstrip())), "    ")
        indent = " " * (term + 4 if width >= ROOMY else 6)
        yield from filled(said, width, indent, indent) if said else []


def continued(line: str, width: int) -> Iterator[str]:
    r"""Yield a command line, broken with `\` where it is too long, so that it works as it is printed.

    It is broken where one command ends and the next begins, if that is enough, and not between an option and its value.
    """
    commands = _commands(_WORD.findall(line))
    parts = [
        part
        for command in commands
        for part in ([" ".join(command)] if len(" ".join(command)) <= width - ROOM else _parts(command, width - ROOM))
    ]
    row = f"  {parts[0]}"
    for at, part in enumerate(parts[1:], 2):
        end = "" if at == len(parts) else " \\"
        if len(f"{row} {part}{end}") > width:
            yield f"{row} \\"
            row = " " * max(0, min(6, width - len(part + end))) + part
        else:
            row += f" {part}"
    yield row


def _commands(words: Iterable[str]) -> list[list[str]]:
    """Return words as the commands between signs, each sign with the command after it."""
    commands: list[list[str]] = [[]]
    for word in words:
        if word in SIGNS:
            commands.append([])
        commands[-1].append(word)
    return commands


def _parts(words: Sequence[str], width: int) -> Iterator[str]:
    """Yield what stays on one line of a command: an option and its value, a sign and the word after it."""
    part: list[str] = []
    for word in words:
        follows = bool(part) and (part[-1] in SIGNS or (part[-1].startswith("-") and not word.startswith("-")))
        if part and not (follows and len(f"{part[-1]} {word}") <= width and len(part) == 1):
            yield " ".join(part)
            part = []
        part.append(word)
    yield " ".join(part)


def filled(paragraph: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Return a paragraph as lines that fit."""
    return textwrap.wrap(paragraph, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def _paragraphs(help_text: str | None) -> list[str]:
    whole = inspect.cleandoc(help_text or "").partition("\f")[0]
    return [" ".join(one.split()) for one in re.split(r"\n\s*\n", whole) if one.strip()]


def _first_paragraph(command: Any) -> str:
    return next(iter(_paragraphs(command.help)), "")


def _grouped(command: Any, ctx: Any) -> Sequence[tuple[str, Sequence[str]]]:
    """Return a group's commands by title: as it says itself, or all of them."""
    if hasattr(command, "titled"):
        titled: Sequence[tuple[str, Sequence[str]]] = command.titled(ctx)
        return titled
    return [("Commands", [name for name in command.list_commands(ctx) if not command.commands[name].hidden])]


def _title(option: Any) -> str:
    return option.rich_help_panel or "Options"


def _piece(argument: Any) -> str:
    """Return an argument as it stands in the usage: `ID`, `[NAME]` or `[PROFILE]...`."""
    name = (argument.metavar or argument.name.upper()).strip("[].{}")
    return (name if argument.required else f"[{name}]") + ("..." if argument.nargs != 1 else "")


def _spelt(option: Any) -> str:
    """Return an option as it is written: `-o, --output FILE`."""
    names = sorted([*option.opts, *option.secondary_opts], key=lambda one: one.startswith("--"))
    written = ", ".join(names) if not names[0].startswith("--") else SHORT + ", ".join(names)
    if option.is_flag or option.count:
        return written
    number = option.type_descriptor.annotation is int
    return f"{written} {option.metavar or ('N' if number else 'TEXT')}"


def _said(parameter: Any) -> str:
    """Return what is said of an option or argument, with its bounds and its default."""
    said = [" ".join((parameter.help or "").split())]
    if parameter.param_type_name == "option":
        if parameter.min is not None and parameter.max is not None:
            said.append(f"From {parameter.min} to {parameter.max}.")
        if parameter.required:
            said.append("Required.")
        if parameter.show_default and not parameter.is_flag and parameter.default not in (None, [], ()):
            said.append(f"Default: {parameter.default}.")
    return " ".join(filter(None, said))
