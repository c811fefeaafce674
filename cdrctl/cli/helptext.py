"""The page of help of a command, as a value and as text: its use, two examples, what it does, its options in groups.

`described` makes a page of a command; `text` spells it for a terminal, and the manual pages are spelt from the same.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cdrctl.cli.commands import Command, Entry, Group, loaded
from cdrctl.cli.options import HELP, LAST, PANELS, Argument, Option

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

SUMMARY = 45
"""Characters of what completion shows of a command."""

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


def described(place: Command | Group, path: Sequence[str]) -> Page:
    """Return the page of a command; its path begins with the program's name."""
    arguments = [one for one in place.parameters if isinstance(one, Argument)]
    pieces = ["[OPTIONS]", *map(_piece, arguments)]
    groups: dict[str, list[Row]] = {}
    if isinstance(place, Group):
        pieces.append("COMMAND ...")
        for title, names in (place.titles or {"Commands": [*place.commands]}).items():
            groups[title] = [(name, _first_paragraph(place.commands[name])) for name in names]
    if told := [(_piece(one), one.about) for one in arguments if one.about]:
        groups["Arguments"] = told
    options = [one for one in place.parameters if isinstance(one, Option)]
    titles = dict.fromkeys(_title(one) for one in options)
    for title in sorted(titles, key=lambda one: PANELS.index(one) if one in PANELS else -1):
        groups[title] = [(_spelt(one), _said(one)) for one in options if _title(one) == title]
    groups.setdefault(LAST if options else "Options", []).append((_spelt(HELP), HELP.about))
    return Page(
        " ".join(path),
        tuple(pieces),
        examples(place),
        tuple(_paragraphs(place.about)),
        {title: tuple(rows) for title, rows in groups.items()},
    )


def examples(entry: Entry) -> tuple[str, ...]:
    """Return the examples of a command: those it has, or the first of each of a group's first two commands."""
    place = loaded(entry)
    if place.examples or isinstance(place, Command):
        return place.examples
    return tuple(one for inner in list(place.commands.values())[:2] for one in examples(inner)[:1])


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


def show(text: str) -> None:
    """Print text on standard output, if there is one.

    Raises:
        OSError: It cannot be written.
    """
    if sys.stdout is not None:
        print(text, end="", flush=True)


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


def _paragraphs(about: str) -> list[str]:
    return [" ".join(one.split()) for one in re.split(r"\n\s*\n", about) if one.strip()]


def _first_paragraph(entry: Entry) -> str:
    return next(iter(_paragraphs(entry.about)), "")


def summary(entry: Entry) -> str:
    """Return the first sentence of a command's help, cut where completion has no more room."""
    sentence = re.match(r".*?\.(?= |$)|.*", _first_paragraph(entry))
    return textwrap.shorten(sentence[0] if sentence else "", SUMMARY, placeholder="...")


def _title(one: Option) -> str:
    return one.panel or "Options"


def _piece(one: Argument) -> str:
    """Return an argument as it stands in the usage: `ID`, `[NAME]` or `[PROFILE]...`."""
    return (one.label if one.required else f"[{one.label}]") + ("..." if one.repeat else "")


def _spelt(one: Option) -> str:
    """Return an option as it is written: `-o, --output FILE`."""
    names = ", ".join(one.all_names)
    written = names if not names.startswith("--") else SHORT + names
    return f"{written} {one.metavar}" if one.takes_value else written


def _said(one: Option) -> str:
    """Return what is said of an option, with its bounds."""
    bounded = one.minimum is not None and one.maximum is not None
    said = (one.about, f"From {one.minimum} to {one.maximum}." if bounded else "", "Required." if one.required else "")
    return " ".join(filter(None, said))
