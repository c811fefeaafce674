"""Every command line on the pages is run against the sandbox, and its output is compared with that on the page."""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.cli.app import TOP
from cdrctl.cli.commands import walk
from cdrctl.cli.options import HELP, Option
from cdrctl.sandbox import Exchange, Sandbox
from tests.docs.blocks import FENCE, FIELDS, RUN, Block, Step, blocks, fenced, pages, prose
from tests.docs.host import Machine, a_machine, has
from tests.support.products import for_each
from tests.support.program import now

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the pages are written for a shell")

BLOCKS = blocks()
TYPED = [block for block in BLOCKS if block.kind in RUN and "not run" not in block.notes]

NOT_RUN = {
    "docs/archive.md": 4,
    "docs/cron.md": 1,
    "CONTRIBUTING.md": 2,
    "README.md": 3,
    "docs/install.md": 8,
    "docs/performance.md": 2,
    "docs/scale.md": 1,
    "docs/providers/webex.md": 1,
    "docs/walk.md": 16,
}
"""How many blocks of a page are printed and not run; each has its reason above it."""


EXCHANGE = Exchange(1)


@pytest.fixture
def running() -> Iterator[Sandbox]:
    """Start providers whose latest calls end with the test. The calls of a day are generated once for all tests."""
    with sandbox.start(now=now, exchange=EXCHANGE) as started:
        started.switch("portsip", "report_delay", "0")
        yield started


@pytest.fixture
def machine(tmp_path: Path, running: Sandbox) -> Machine:
    return a_machine(tmp_path, running)


def pattern(printed: str) -> re.Pattern[str]:
    """Return the meaning of output on a page: `…` matches anything, and on its own line any number of lines."""
    parts = [r"(?:.*\n)*" if line.strip() == "…" else _line(line) for line in printed.splitlines()]
    return re.compile("".join(parts))


def _line(line: str) -> str:
    return ".*".join(re.escape(part.rstrip() if last else part) for part, last in _parts(line)) + r"\s*\n"


def _parts(line: str) -> list[tuple[str, bool]]:
    parts = line.split("…")
    return [(part, at == len(parts) - 1) for at, part in enumerate(parts)]


def test_output_is_compared_word_by_word() -> None:
    assert pattern("a  b\n…\nc … d\n").fullmatch("a  b\nx\ny\nc 1.5 d\n")
    assert pattern("a\n…\n").fullmatch("a\n")
    assert not pattern("a  b\n").fullmatch("a b\n")
    assert not pattern("a\n").fullmatch("a\nb\n")
    assert not pattern("c … d\n").fullmatch("c\n d\n")


@pytest.mark.process
@pytest.mark.parametrize("block", TYPED, ids=lambda block: block.place)
def test_the_commands_of_a_page_have_the_printed_output(block: Block, machine: Machine) -> None:
    if missing := [tool for tool in block.tools if not has(tool)]:
        pytest.skip(f"there is no {' and no '.join(missing)} here")
    before = block.notes.get("after")
    if before is not None:
        ran = machine.run(before)
        assert ran.returncode == 0, before + ran.stdout
    steps = list(block.steps())
    assert steps, "there is nothing to run in it"
    for step in steps:
        typed = block.notes.get("input", "") + "\n"
        ran = machine.run(step.script, typed, "sh" if block.kind == "crontab" else "bash")
        assert ran.returncode == 0, step.script + ran.stdout
        if step.printed is not None:
            assert pattern(step.printed).fullmatch(ran.stdout), step.script + ran.stdout
        if block.kind == "crontab":
            assert "%" not in step.script, "cron takes it for a line feed"
            assert not ran.stdout, "cron would mail this, and all is well"


def test_the_number_of_blocks_that_are_not_run_is_known() -> None:
    """A block that is not run needs a reason. This count shows new ones."""
    unrun = [block for block in BLOCKS if "not run" in block.notes]
    assert all(len(block.notes["not run"].split()) > 2 for block in unrun)
    assert Counter(block.place.partition(":")[0] for block in unrun) == NOT_RUN


def test_every_command_is_in_a_block_that_is_run() -> None:
    """Not in a block without a language, and not in an indented one."""
    elsewhere = [block for block in BLOCKS if block.kind not in RUN]
    begins = re.compile(rf"^\s*(?:\$ |{FIELDS})?(?:cdrctl|uvx? |pipx|pip|docker|python3?) ", re.MULTILINE)
    assert not [block.place for block in elsewhere if begins.search(block.text)]
    set_in = re.compile(r"^(?: {4}|\t)\s*(?:\$ )?cdrctl [a-z]", re.MULTILINE)
    assert not [name for name, text in prose() if set_in.search(text)]


def test_every_fence_is_parsed() -> None:
    """An unclosed or indented fence would hide the text after it."""
    for path in pages():
        assert "```" not in FENCE.sub("", path.read_text(encoding="utf-8")), path.name


@cache
def tree() -> dict[str, set[str]]:
    """Return the options of every command, and the commands themselves."""
    return {
        " ".join(words): {
            name for one in (*place.parameters, HELP) if isinstance(one, Option) for name in one.all_names
        }
        for words, place in walk(TOP, (TOP.name,))
    }


def inline() -> Iterator[tuple[str, str]]:
    """Yield the commands within sentences."""
    for name, text in prose():
        for written in re.findall(r"`(cdrctl [a-z][^`]*)`", text):
            yield name, " ".join(written.split())


@for_each("page, written", sorted(set(inline())))
def test_commands_in_sentences_exist(page: str, written: str) -> None:
    words = shlex.split(written)
    name = words.pop(0)
    while words and f"{name} {words[0]}" in tree():
        name += f" {words.pop(0)}"
    inner = [one for one in tree() if one.startswith(f"{name} ")]
    assert name != "cdrctl" or words[:1] == ["COMMAND"], f"{page}: there is no such command"
    if inner and words:
        assert all(re.fullmatch(r"[A-Z]+|…|-.*", word) for word in words), f"{page}: there is no such command"
    options = {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)}
    assert options <= tree()[name] | tree()["cdrctl"], page


def test_blocks_are_split_into_steps_and_notes() -> None:
    text = (
        "<!-- not run: needs a reason -->\n<!-- try -->\n```sh\na\n```\n"
        "<!-- after: x\ny -->\n<!-- input: typed -->\n```console\n$ a\nout\n$ c\n```\n"
        "```sh\na\n```\n\n```text\nout\n```\nwords\n```text\nno output\n```\n"
        "```crontab\nMAILTO=me\n30 2 * * 1-5 a -b\n```\n"
    )
    first, second, printing, words, third = fenced(text, "page")
    assert (first.place, first.notes) == ("page:3", {"not run": "needs a reason"})
    assert second.notes == {"after": "x\ny", "input": "typed"}
    assert list(second.steps()) == [Step("a\n", "out\n"), Step("c\n", "")]
    assert list(printing.steps()) == [Step("a\n", "out\n")]
    assert words.kind == "text"
    assert list(third.steps()) == [Step("a -b")]
