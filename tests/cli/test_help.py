"""Help: its examples work as printed, it fits the terminal, and its topics agree with the code."""

from __future__ import annotations

import ast
import functools
import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import cdrctl
from cdrctl import PROVIDERS, errors, windows, writers
from cdrctl.cli.app import COMMANDS, TITLES
from cdrctl.cli.commands import Command, Group
from cdrctl.cli.help import find_command, topic_lines
from cdrctl.cli.helptext import Page, continue_lines, help_page, text
from cdrctl.cli.options import HELP, LAST, PANELS, SHARED, Option
from cdrctl.cli.request import SCHEMAS
from cdrctl.cli.topics import (
    ENVIRONMENT,
    EXIT_CODES,
    FORMATS,
    SCHEMAS as SCHEMA_ROWS,
    TIMES,
    TIMES_IN_BERLIN,
    TIMES_REFUSED,
    TOPICS,
)
from cdrctl.errors import CdrctlError, UsageError
from cdrctl.fetchers import load
from cdrctl.records.common import COMMON
from tests.support.host import CDRCTL, PATIENCE, Host, a_host, heard
from tests.support.products import for_each
from tests.support.program import HURRIES
from tests.support.runner import NOW, run

MONITORING = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")

WIDTHS = (40, 80, 100, 200)


def everywhere(*words: str) -> Iterator[tuple[str, ...]]:
    """Yield the path of every command and group."""
    yield words
    place, _ = find_command(words)
    for name in place.commands if isinstance(place, Group) else ():
        yield from everywhere(*words, name)


@functools.cache
def page(*words: str) -> Page:
    return help_page(*find_command(words))


ALL = list(everywhere())
CALLS = [words for words in ALL if words and words[0] in PROVIDERS and isinstance(find_command(words)[0], Command)]
each = for_each("words", ALL)
each_topic = for_each("topic", TOPICS)

# The examples


FAILS = {"callgear users": 4, "profile login": 6}
"""Examples that end otherwise than with 0: only partners have customers, and a sign-in takes a profile and a person."""

TYPED = {"profile add": b"token\nnot-a-secret\n", "init 0": b"6\n"}
"""What is typed into the examples that ask, or into one of the two."""


def printed(shown: str) -> list[str]:
    """Return the examples of a page as printed, with continuation lines joined."""
    lines = list(itertools.takewhile(str.strip, shown.split("\nExamples:\n")[1].splitlines()))
    ends = [at for at, line in enumerate(lines, 1) if not line.endswith("\\")]
    return ["\n".join(lines[since:until]) for since, until in itertools.pairwise([0, *ends])]


def works(host: Host, example: str, code: int = 0, typed: bytes = b"") -> None:
    if "jq " in example and shutil.which("jq") is None:
        pytest.skip("needs jq")
    ran = host.shell(f"set -o pipefail\n{example}", stdin=None, input=typed)
    assert ran.returncode == code, ran.stderr.decode()
    assert b"Traceback" not in ran.stderr


@pytest.mark.process
@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_example_works_as_printed(tmp_path: Path, words: tuple[str, ...], at: int) -> None:
    """At a width of 80, in an empty folder, without profiles."""
    host, example = a_host(tmp_path), printed(text(page(*words), 80))[at]
    host.environ[HURRIES] = "1"  # a report takes some seconds
    if "sandbox serve" in example:
        serves(host, example)
        return
    works(
        host,
        example,
        FAILS.get(" ".join(words), 0),
        TYPED.get(f"{' '.join(words)} {at}", TYPED.get(" ".join(words), b"")),
    )


def serves(host: Host, example: str) -> None:
    """Check that a command serves until it is interrupted."""
    script = example.replace("cdrctl", f"exec {shlex.join(CDRCTL)}", 1)
    with subprocess.Popen(
        ["bash", "-c", script],
        cwd=host.folder,
        env=host.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as running:
        try:
            heard(running, b"serving on")
        finally:
            os.killpg(running.pid, signal.SIGINT)
        assert running.wait(PATIENCE) == 130


@pytest.mark.process
@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("topic", TOPICS)
def test_every_example_of_a_topic_works_as_printed(tmp_path: Path, topic: str, at: int) -> None:
    works(a_host(tmp_path), printed("\n".join(topic_lines(topic, 80)))[at])


@each
def test_a_page_begins_with_two_examples_of_its_command(words: tuple[str, ...]) -> None:
    lines = text(page(*words), 80).splitlines()
    assert lines[0].startswith(f"Usage: {' '.join(('cdrctl', *words))} [OPTIONS]")
    assert lines[1:3] == ["", "Examples:"]
    assert len(page(*words).examples) == 2
    if isinstance(find_command(words)[0], Command):
        assert all(" ".join(("cdrctl", *words)) in example for example in page(*words).examples)
    assert len(set(page(*words).examples)) == 2


@each
@for_each("width", WIDTHS)
def test_a_continued_example_is_the_same_command(words: tuple[str, ...], width: int) -> None:
    shown = [re.sub(r" \\\n *", " ", one).strip() for one in printed(text(page(*words), width))]
    assert shown == list(page(*words).examples)


def test_an_example_is_not_broken_between_an_option_and_its_value() -> None:
    line = "cdrctl webex cdrs -p sandbox --since 24h | jq -r 'select(.a | not) .b' && echo done"
    assert list(continue_lines(line, 60)) == [
        "  cdrctl webex cdrs -p sandbox --since 24h \\",
        "      | jq -r 'select(.a | not) .b' && echo done",
    ]
    assert list(continue_lines(line, 40)) == [
        "  cdrctl webex cdrs -p sandbox \\",
        "      --since 24h \\",
        "      | jq -r 'select(.a | not) .b' \\",
        "      && echo done",
    ]


# The page


@each
@for_each("width", WIDTHS)
def test_a_page_fits_the_terminal(words: tuple[str, ...], width: int) -> None:
    assert max(map(len, text(page(*words), width).splitlines())) <= min(width, 100)


@each_topic
@for_each("width", WIDTHS)
def test_a_topic_fits_the_terminal(topic: str, width: int) -> None:
    assert max(map(len, topic_lines(topic, width))) <= min(width, 100)


BEGINNING = """\
Usage: cdrctl webex cdrs [OPTIONS]

Examples:
  cdrctl webex cdrs -p sandbox --since yesterday --until today -o yesterday.csv
  cdrctl webex cdrs -p sandbox --since 24h | jq -r .call_type | sort | uniq -c

Call history of a period (cdr_feed): up to 30 days back, one record per leg and
party.

Webex:
      --location NAME          Only this location, by its name in Control Hub;
                               may be repeated.
      --longest-call DURATION  Longest call: query this far past the window,
                               because the service may select calls by their
                               end. Default: 12h.
      --page-size N            Records per page, 500 to 5000. Default: 5000.

Window:
"""


@for_each("asked", [["webex", "cdrs", "--help"], ["webex", "cdrs", "-h"], ["help", "webex", "cdrs"]])
def test_the_exact_page_of_a_call(capsys: pytest.CaptureFixture[str], asked: list[str]) -> None:
    assert run(*asked, width=80).code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(BEGINNING)
    assert re.findall(r"^(\w.*):$", shown, re.MULTILINE) == ["Examples", "Webex", *PANELS]
    assert shown.endswith("\n  -h, --help                   Show this message and exit.\n")


@pytest.mark.slow
@each
def test_h_shows_the_page_of_every_command(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    for asked in ([*words, "-h"], [*words, "--help"], ["help", *words]):
        ran = run(*asked, width=80)
        assert (ran.code, ran.err) == (0, "")
        assert capsys.readouterr().out == text(page(*words), 80)


@each
def test_every_option_is_in_one_group(words: tuple[str, ...]) -> None:
    place, _ = find_command(words)
    names = [name for one in (*place.parameters, HELP) if isinstance(one, Option) for name in one.all_names]
    rows = [row for title in page(*words).groups.values() for row, _ in title if row.lstrip().startswith("-")]
    shown = [word for row in rows for word in re.findall(r"(?<![\w-])--?[a-z][\w-]*", row)]
    assert sorted(shown) == sorted(names)


@for_each("words", CALLS)
def test_a_calls_own_options_come_first_and_shared_ones_are_in_their_groups(words: tuple[str, ...]) -> None:
    """A shared option declares its group: `option(..., panel="Output")`."""
    titles = list(page(*words).groups)
    own = [title for title in titles if title not in PANELS]
    assert set(own) <= {"Arguments", load(words[0]).title}
    assert titles == [*own, *(title for title in PANELS if title in titles)]
    assert titles[-1] == LAST
    assert {one.panel for one in SHARED.values()} <= set(PANELS)


def test_the_list_of_commands_has_each_in_one_group() -> None:
    shown = page().groups
    titles = [title for title, rows in shown.items() if not rows[0][0].lstrip().startswith("-")]
    assert titles == list(TITLES)
    assert sorted(name for title in titles for name, _ in shown[title]) == sorted([*PROVIDERS, *COMMANDS])


@each
def test_every_option_and_command_has_a_text(words: tuple[str, ...]) -> None:
    assert [row for rows in page(*words).groups.values() for row, said in rows if not said] == []


@each
def test_every_option_states_its_default(words: tuple[str, ...]) -> None:
    place, _ = find_command(words)
    options = [one for one in place.parameters if isinstance(one, Option) and one.default]
    assert [one.label for one in options if f"Default: {one.default}." not in one.about] == []


def test_help_alone_shows_the_list_of_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for asked in (["help"], ["--help"], ["-h"]):
        assert run(*asked).code == 0
    one, other, third = capsys.readouterr().out.split("Usage: ")[1:]
    assert one == other == third


# The topics


def test_the_help_lists_all_topics() -> None:
    names = f": {', '.join(TOPICS)}."
    assert names in " ".join(page().about)
    assert names in " ".join(page("help").about)


@each_topic
def test_a_topic_is_shown(capsys: pytest.CaptureFixture[str], topic: str) -> None:
    ran = run("help", topic, width=60)
    assert (ran.code, ran.err) == (0, "")
    assert capsys.readouterr().out == "\n".join(topic_lines(topic, 60)) + "\n"


def tree(of: type[CdrctlError]) -> Iterator[type[CdrctlError]]:
    yield of
    for inner in of.__subclasses__():
        yield from tree(inner)


def test_the_exit_codes_match_the_errors_and_the_docs() -> None:
    ours = {one.exit_code for one in tree(CdrctlError) if one.__module__ == errors.__name__}
    assert {int(code) for code, _ in EXIT_CODES} == ours | {0, 130}
    table = re.findall(r"^\| (\d+) \| (.+) \|$", MONITORING, re.MULTILINE)
    assert table == list(EXIT_CODES)


def test_the_formats_match_the_writers() -> None:
    assert [name for name, _ in FORMATS] == list(writers.FORMATS)
    endings = {ending: name for name, said in FORMATS for ending in re.findall(r"\.(\w+)[,)]", said)}
    assert endings == writers._ENDINGS


def test_the_schemas_match_the_code() -> None:
    assert [name for name, _ in SCHEMA_ROWS] == list(SCHEMAS)
    assert f"{len(COMMON)} columns" in dict(SCHEMA_ROWS)["common"]


@for_each(
    "written, meant, zone",
    [(*row, "UTC") for row in TIMES] + [(*row, "Europe/Berlin") for row in TIMES_IN_BERLIN],
)
def test_times_mean_what_the_topic_says(written: str, meant: str, zone: str) -> None:
    now = datetime(2026, 11, 20, 20, tzinfo=UTC)
    assert now == NOW
    assert now.strftime("%A, %-d %B %Y, at %H:%M UTC") in str(TOPICS["times"].parts[0])
    found = windows.instant(written, zone=windows.zone(zone), now=now)
    assert found == datetime.fromisoformat(meant)


@for_each("written", [row[0] for row in TIMES_REFUSED])
def test_times_that_the_topic_calls_ambiguous_are_refused(written: str) -> None:
    with pytest.raises(UsageError):
        windows.instant(written, zone=UTC, now=NOW, option="--until")


@pytest.mark.slow
def test_every_variable_in_the_code_is_in_the_topic() -> None:
    """Except the one by which a shell asks for completion."""
    said = {name for row, _ in ENVIRONMENT for name in row.split(", ")}
    found = set()
    for path in Path(cdrctl.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set((re.fullmatch(r"(CDRCTL_[A-Z_]*[A-Z])?", node.value) and [node.value]) or ())
    assert found - {""} == {name for name in said if re.fullmatch(r"CDRCTL_[A-Z_]+", name)}
