"""The commands on the pages, found in their Markdown.

A fenced block in `sh` is a script, and a block in `text` directly below it is its output. A block in `console` has
commands of one line after `$ `, each followed by its output. In output, `…` matches anything, including any number of
lines. Lines of a block in `crontab` have a command after five fields. An HTML comment above a block is for the tests:

* `<!-- not run: why -->`: the block is not run. It needs a reason, and a test counts these blocks.
* `<!-- after: commands -->`: these commands are run before the block, in the same folder.
* `<!-- input: lines -->`: the standard input; empty without this comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN = {"sh", "console", "crontab"}
TOOLS = ("duckdb", "jq", "mlr", "sqlite3")
"""Programs that recipes use and that need not be there: blocks that name a missing one are skipped."""

FENCE = re.compile(
    r"(?P<notes>(?:^<!--(?:(?!-->).)*-->\n)*)^```(?P<kind>[\w{}]*)[^\n]*\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
NOTE = re.compile(r"<!-- (not run|after|input): (.*?) -->", re.DOTALL)
FIELDS = r"(?:[\d*,/-]+ +){5}"


@dataclass(frozen=True, slots=True)
class Step:
    """A script, and the output that the page shows for it."""

    script: str
    printed: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a page.

    Args:
        place: Its page and line.
        kind: Its language.
        text: Its content.
        printed: Its output on the page, if the page shows one.
        notes: The comments above it for the tests.
    """

    place: str
    kind: str
    text: str
    notes: dict[str, str]
    printed: str | None = None

    @property
    def tools(self) -> list[str]:
        """The programs it needs that may be missing."""
        return [tool for tool in TOOLS if re.search(rf"(?m)(^|[|(;]|\$ )\s*{tool}\b", self.text)]

    def steps(self) -> Iterator[Step]:
        """Yield the steps to run, in order."""
        if self.kind == "sh":
            yield Step(self.text, self.printed)
        elif self.kind == "crontab":
            for line in self.text.splitlines():
                found = re.fullmatch(f"{FIELDS}(.+)", line)
                if found:
                    yield Step(found[1])
        else:
            for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
                command, _, printed = part.partition("\n")
                yield Step(f"{command}\n", printed)


def pages() -> list[Path]:
    """Return the pages, without those generated when the documentation is built."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    made = {ROOT / "docs" / "reference", ROOT / "docs" / "man"}
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(path for path in found if made.isdisjoint(path.parents))]


def fenced(text: str, name: str) -> Iterator[Block]:
    """Yield the fenced blocks of a text."""
    found = list(FENCE.finditer(text))
    taken = -1
    for at, (one, other) in enumerate(zip_longest(found, found[1:])):
        if at == taken:
            continue
        line = text.count("\n", 0, one.start("kind")) + 1
        block = Block(f"{name}:{line}", one["kind"], one["text"], dict(NOTE.findall(one["notes"])))
        below = other is not None and other["kind"] == "text" and not text[one.end() : other.start()].strip()
        if block.kind == "sh" and below and other is not None:
            taken, block = at + 1, replace(block, printed=other["text"])
        yield block


def topics() -> Iterator[Block]:
    """Yield the examples of `cdrctl help`, if the command exists."""
    if find_spec("cdrctl.cli.topics") is None:
        return
    tables = [one for one in vars(import_module("cdrctl.cli.topics")).values() if isinstance(one, Mapping)]
    for name, topic in [pair for one in tables for pair in one.items()]:
        for at, example in enumerate(getattr(topic, "examples", ()), 1):
            added = re.search(r"cdrctl profile add (\w+)", example)
            notes = {"after": f"cdrctl profile remove {added[1]}"} if added else {}
            yield Block(f"help {name}:{at}", "sh", f"{example}\n", notes)


def blocks() -> list[Block]:
    """Return every fenced block of every page."""
    found = [block for path in pages() for block in fenced(path.read_text(encoding="utf-8"), _name(path))]
    return [*found, *topics()]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose() -> Iterator[tuple[str, str]]:
    """Yield each page by name, without fenced blocks."""
    for path in pages():
        yield _name(path), FENCE.sub("", path.read_text(encoding="utf-8"))
