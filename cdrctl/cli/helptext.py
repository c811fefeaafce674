"""The help of a command: a page as a value, and as text for a terminal.

The manual is made from the same pages (`tools/manual.py`).
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cdrctl.cli.commands import Command, Entry, Group, load_entry
from cdrctl.cli.options import HELP, LAST, PANELS, Argument, Option

WIDEST = 100
"""The most columns of a page: longer lines are hard to read."""

ROOMY = 60
"""On terminals with fewer columns, the text of an option is below it, not beside it."""

LONGEST_TERM = 28
"""The longest option, in columns, that has its text beside it."""

ROOM = 8
"""Columns for the indent of an example and the backslash that continues it."""

SHORT = "    "
"""Replaces a missing short name, so that long names are aligned."""

_WORD = re.compile(r"""(?:'[^']*'|"[^"]*"|\\.|[^\s'"\\])+""")
"""A word of a command line, with its quotes."""

SUMMARY = 45
"""Characters of the summary that completion shows for a command."""

SIGNS = ("|", "&&")
"""Operators between commands."""

Row = tuple[str, str]
"""An option or command as it is typed, and its text."""


@dataclass(frozen=True, slots=True)
class Page:
    """The help of a command.

    Args:
        path: The command as it is typed.
        pieces: What may follow it, such as `[OPTIONS]` and `ID`.
        examples: Command lines that work as they stand.
        about: Paragraphs.
        groups: Its commands, arguments and options, by the title of their group.
    """

    path: str
    pieces: tuple[str, ...]
    examples: tuple[str, ...]
    about: tuple[str, ...]
    groups: Mapping[str, tuple[Row, ...]]


def help_page(place: Command | Group, path: Sequence[str]) -> Page:
    """Return the help of a command, whose path begins with the program's name."""
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
    """Return the examples of a command; of a group without examples, the first of two of its commands."""
    place = load_entry(entry)
    if place.examples or isinstance(place, Command):
        return place.examples
    inner = list(place.commands.values())[:2]
    return tuple(one for each in inner for one in examples(each)[: 2 if len(inner) == 1 else 1])


def text(page: Page, width: int) -> str:
    """Return a page as text for a terminal of `width` columns."""
    width = min(width, WIDEST)
    lines = wrap(" ".join(["Usage:", page.path, *page.pieces]), width, "", " " * 7)
    if page.examples:
        lines += ["", "Examples:", *(line for one in page.examples for line in continue_lines(one, width))]
    for paragraph in page.about:
        lines += ["", *wrap(paragraph, width)]
    terms = {option: _term(page, option=option) for option in (False, True)}
    for title, rows in page.groups.items():
        lines += ["", f"{title}:", *list_lines(rows, width, terms[_is_option(rows[0])])]
    return "\n".join(lines) + "\n"


def show(text: str) -> None:
    """Print text on standard output, if there is one.

    Raises:
        OSError: It cannot be written.
    """
    if sys.stdout is not None:
        print(text, end="", flush=True)


def _term(page: Page, *, option: bool) -> int:
    """Return the columns of the longest option, or of the longest other word, that has its text beside it."""
    words = [word for rows in page.groups.values() for word, _ in rows if _is_option(rows[0]) is option]
    return max((len(word) for word in words if len(word) <= LONGEST_TERM), default=0)


def _is_option(row: Row) -> bool:
    return row[0].lstrip().startswith("-")


def list_lines(rows: Iterable[Row], width: int, term: int) -> Iterator[str]:
    """Yield the lines of a list of words with their texts, beside each other if there is room."""
    for written, said in rows:
        word = f"  {written}" if width >= ROOMY else f"  {written.strip()}"
        if width >= ROOMY and len(written) <= term:
            yield from wrap(said, width, word.ljust(term + 4), " " * (term + 4)) if said else [word]
            continue
        yield from wrap(word.strip(), width, " " * (len(word) - len(word.lstrip())), "    ")
        indent = " " * (term + 4 if width >= ROOMY else 6)
        yield from wrap(said, width, indent, indent) if said else []


def continue_lines(line: str, width: int) -> Iterator[str]:
    r"""Yield the lines of a command line, continued with `\` where it is too long, so that it works as printed.

    It is broken between commands if that is enough, and never between an option and its value.
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
    """Return the commands among words; an operator is part of the command after it."""
    commands: list[list[str]] = [[]]
    for word in words:
        if word in SIGNS:
            commands.append([])
        commands[-1].append(word)
    return commands


def _parts(words: Sequence[str], width: int) -> Iterator[str]:
    """Yield the parts of a command that must not be broken: an option with its value, an operator with its word."""
    part: list[str] = []
    for word in words:
        follows = bool(part) and (part[-1] in SIGNS or (part[-1].startswith("-") and not word.startswith("-")))
        if part and not (follows and len(f"{part[-1]} {word}") <= width and len(part) == 1):
            yield " ".join(part)
            part = []
        part.append(word)
    yield " ".join(part)


def wrap(paragraph: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Return a paragraph as lines of at most `width` columns."""
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
    """Return an argument as the usage has it: `ID`, `[NAME]` or `[PROFILE]...`."""
    return (one.label if one.required else f"[{one.label}]") + ("..." if one.repeat else "")


def _spelt(one: Option) -> str:
    """Return an option as the help has it: `-o, --output FILE`."""
    names = ", ".join(one.all_names)
    written = names if not names.startswith("--") else SHORT + names
    return f"{written} {one.metavar}" if one.takes_value else written


def _said(one: Option) -> str:
    """Return the text of an option, with its bounds."""
    bounded = one.minimum is not None and one.maximum is not None
    said = (one.about, f"From {one.minimum} to {one.maximum}." if bounded else "", "Required." if one.required else "")
    return " ".join(filter(None, said))
