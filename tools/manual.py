"""Write the manual pages from the values that make the help: python -m tools.manual."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cdrctl import PROVIDERS
from cdrctl.cli.app import COMMANDS
from cdrctl.cli.commands import Command, Group
from cdrctl.cli.help import find_command
from cdrctl.cli.helptext import Page, Row, continue_lines, help_page
from cdrctl.cli.options import PANELS
from cdrctl.cli.topics import TOPICS

FOLDER = Path(__file__).parents[1] / "docs" / "man"
DATE = "2026-11-21"
"""The date of the last change to the layout of the pages."""

WIDTH = 70
"""The longest line of an example, in columns."""

LONGEST_LINE = 78
"""The longest line of the source of a page, in columns."""

_SPECIAL = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}


def pages() -> dict[str, str]:
    """Return the pages by file name: one for the program and one for each top-level command."""
    names = [*PROVIDERS, *COMMANDS]
    made = {"cdrctl.1": _program(names)}
    return made | {f"cdrctl-{name}.1": _command(name) for name in names}


def _page(*words: str) -> tuple[Command | Group, Page]:
    place, path = find_command(words)
    return place, help_page(place, path)


def _program(names: Iterable[str]) -> str:
    _, page = _page()
    about = {name: said for rows in page.groups.values() for name, said in rows}
    lines = [*_head("cdrctl", page.about[0].rstrip(".")), *_use([page]), *_examples(page.examples)]
    lines += [".SH DESCRIPTION", *_paragraphs(page.about)]
    lines += [".SH COMMANDS"]
    for title, rows in page.groups.items():
        if not rows[0][0].lstrip().startswith("-"):
            lines += [f".SS {_plain(title)}"]
            lines += _rows((f"cdrctl-{name}(1)", about[name]) for name, _ in rows)
    lines += [".SH OPTIONS"]
    for title, rows in page.groups.items():
        if rows[0][0].lstrip().startswith("-"):
            lines += [f".SS {_plain(title)}", *_rows(rows)]
    for name, topic in TOPICS.items():
        title = "EXIT STATUS" if name == "exit-codes" else name.upper()
        lines += [f".SH {_plain(title)}", *_paragraphs([topic.about])]
        lines += [".PP", "For example:", *_shown(topic.examples)]
        for part in topic.all_parts():
            lines += [".PP", *_text(part)] if isinstance(part, str) else _rows(part)
    lines += [".SH SEE ALSO", *_text(", ".join(f"cdrctl-{name}(1)" for name in names))]
    return "\n".join(lines) + "\n"


def _command(name: str) -> str:
    command, page = _page(name)
    inner = [one for _, one in _leaves(command, (name,))]
    lines = [*_head(f"cdrctl-{name}", page.about[0].rstrip(".")), *_use(inner or [page]), *_examples(page.examples)]
    lines += [".SH DESCRIPTION", *_paragraphs(page.about)]
    if inner:
        lines += [".SH COMMANDS"]
        for one in inner:
            lines += [f".SS {_plain(one.path)}", *_paragraphs(one.about), ".PP", "For example:", *_shown(one.examples)]
            for title, rows in one.groups.items():
                lines += _rows(rows) if title not in PANELS else ()
    lines += [".SH OPTIONS"]
    for title in PANELS if inner else page.groups:
        if shared := list(_shared(title, inner or [page])):
            lines += [f".SS {_plain(title)}", *_rows(shared)]
    lines += [".SH EXIT STATUS", "The exit codes are explained in", ".BR cdrctl (1)."]
    lines += [".SH SEE ALSO", ".BR cdrctl (1)"]
    return "\n".join(lines) + "\n"


def _leaves(place: Command | Group, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Page]]:
    """Yield the help pages of the commands in a group, and in its groups."""
    for name in place.commands if isinstance(place, Group) else ():
        inner, page = _page(*words, name)
        if isinstance(inner, Group):
            yield from _leaves(inner, (*words, name))
        else:
            yield (*words, name), page


def _shared(title: str, pages_: list[Page]) -> Iterator[Row]:
    """Yield each option of a group once, with the commands that lack it."""
    merged: dict[Row, list[Page]] = {}
    for page in pages_:
        for row in page.groups.get(title, ()):
            merged.setdefault(row, []).append(page)
    for (written, said), having in merged.items():
        names = [" ".join(one.path.split()[2:]) for one in pages_ if one not in having]
        yield written, f"{said} Not of: {', '.join(names)}." if names else said


def _head(name: str, about: str) -> list[str]:
    title = _plain(name.upper())
    return [
        f".TH {title} 1 {DATE} cdrctl",
        ".nh",
        ".ad l",
        ".SH NAME",
        *_text(f"{name} - {about}"),
    ]


def _use(pages_: Iterable[Page]) -> list[str]:
    lines = [".SH SYNOPSIS"]
    for page in pages_:
        lines += [f"\\fB{_plain(page.path)}\\fR {_plain(' '.join(page.pieces))}", ".br"]
    return lines[:-1]


def _examples(examples: Iterable[str]) -> list[str]:
    return [".SH EXAMPLES", *_shown(examples)[1:]]


def _shown(examples: Iterable[str]) -> list[str]:
    lines = [line for example in examples for line in continue_lines(example, WIDTH)]
    return [".PP", ".EX", *(_plain(line) for line in lines), ".EE"]


def _paragraphs(texts: Iterable[str]) -> list[str]:
    lines = [line for text in texts for line in (".PP", *_text(text))]
    return lines[1:]


def _rows(rows: Iterable[Row]) -> list[str]:
    return [line for written, said in rows for line in (".TP", _word(written), *_text(said))]


def _word(written: str) -> str:
    """Return an option in roff: literal words are bold, placeholders are not."""
    words = written.strip().split(" ")
    option = written.lstrip().startswith("-")
    return " ".join(
        _plain(word) if option and not word.startswith("-") else f"\\fB{_plain(word)}\\fR" for word in words
    )


def _text(text: str) -> Iterator[str]:
    """Yield running text as lines of roff, each sentence on a line of its own; text in backticks is bold."""
    parts = re.split(r"`([^`]*)`", text)
    whole = "".join(f"\\fB{_inner(part)}\\fR" if at % 2 else _inner(part) for at, part in enumerate(parts))
    for sentence in re.split(r"(?<=[.:;]) (?=[^ ])", whole):
        for line in textwrap.wrap(sentence, LONGEST_LINE, break_long_words=False, break_on_hyphens=False):
            yield f"\\&{line}" if line.startswith((".", "\\(aq")) else line


def _plain(text: str) -> str:
    """Return text with all characters and line starts escaped for roff."""
    escaped = _inner(text)
    return f"\\&{escaped}" if escaped.startswith((".", "\\(aq")) else escaped


def _inner(text: str) -> str:
    return "".join(_SPECIAL.get(char, char if char.isascii() else f"\\[u{ord(char):04X}]") for char in text)


def write(folder: Path, made: Mapping[str, str]) -> None:
    """Write the pages, and delete those of commands that no longer exist."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.1"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(FOLDER, pages())
