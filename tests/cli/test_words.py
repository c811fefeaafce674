"""Command lines are parsed as Typer parses them, and values as pydantic parses them."""

from __future__ import annotations

from typing import Any

import pytest
import typer.main
from hypothesis import example, given, settings, strategies as st
from pydantic import TypeAdapter, ValidationError

from cdrctl.cli.app import TOP
from cdrctl.cli.commands import Command, Group, load_entry, walk
from cdrctl.cli.options import Argument, Option, option, variable_of
from cdrctl.cli.refusals import HelpInsteadError
from cdrctl.cli.typer_adapter import typer_app
from cdrctl.cli.values import FALSE, TRUE, read_values
from cdrctl.cli.words import read_line
from cdrctl.errors import UsageError
from tests.support.products import for_each

EVERY_KIND = Command(
    "run",
    "A command with a parameter of every kind.",
    lambda _: 0,
    (
        Argument("first", required=True),
        Argument("second"),
        Argument("rest", repeat=True),
        option("-t", "--text", about="Text."),
        option("-q", "--quiet", about="A flag.", kind="flag"),
        option("-v", "--verbose", about="A count.", kind="count"),
        option("--header/--no-header", about="A flag that can be turned off.", kind="flag"),
        option("-m", "--many", about="Texts.", repeat=True),
        option("--needed", about="Text that must be given.", required=True),
    ),
)
PROGRAM = Group("program", "A program.", {"run": EVERY_KIND})
WORDS = [
    *(
        "a",
        "b",
        "-",
        "--",
        "-t",
        "-tx",
        "-qt",
        "-qvt",
        "-vv",
        "-q",
        "-x",
        "-qx",
        "-q=1",
        "--text",
        "--text=x",
        "--text=a=b",
    ),
    *("--quiet", "--quiet=1", "--verbose", "--header", "--no-header", "-m", "-mx", "--many", "--many=y", "--nope"),
    *("--nope=1", "--needed", "--needed=z", "--needed=z", "--needed=z"),
]
TYPERS: Any = typer.main.get_command(typer_app(PROGRAM, completion=False))
"""The program as Typer builds it."""


def by_typer(words: list[str]) -> dict[str, Any] | None:
    """Return the values that Typer reads, or None if it refuses the words."""
    try:
        found: dict[str, Any] = TYPERS.commands["run"].make_context("run", list(words)).params
    except Exception:  # noqa: BLE001 - any error of Typer's
        return None
    return {name: [*value] if isinstance(value, tuple) else value for name, value in found.items()}


def by_us(words: list[str]) -> dict[str, Any] | None:
    """Return the values that we read, or None if we refuse the words."""
    try:
        values = dict(read_line(["run", *words], PROGRAM, {}).values)
    except UsageError:
        return None
    return {name: value or None if name in {"quiet", "verbose"} else value for name, value in values.items()}


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=8))
@example(["a", "--needed=z", "-qvtx", "--", "-m", "--nope"])
@example(["a", "--needed", "--text", "--text", "--quiet"])
@example(["--needed=z", "a", "b", "c", "-", "--no-header", "--header"])
def test_words_are_read_as_typer_reads_them(words: list[str]) -> None:
    assert by_us(words) == by_typer(words)


@for_each(
    "words, code",
    [
        ([], "no_command"),
        (["--config", "f"], "no_command"),
        (["nope"], "unknown_command"),
        (["times"], "topic_as_command"),
        (["webex", "--nope"], "unknown_option"),
        (["webex", "cdrs", "--nope"], "unknown_option"),
        (["webex", "cdrs", "-Z"], "unknown_option"),
        (["webex", "cdrs", "-q=1"], "unknown_option"),
        (["webex", "cdrs", "--quiet=1"], "value_of_flag"),
        (["webex", "cdrs", "--since"], "no_value"),
        (["webex", "cdrs", "-qp"], "no_value"),
        (["webex", "cdrs", "a"], "unexpected_argument"),
        (["webex", "cdrs", "--since", ""], "empty_value"),
        (["kazoo", "legs"], "missing"),
        (["sync", "a"], "missing"),
        (["webex", "cdrs", "--limit", "0"], "no_integer"),
        (["webex", "cdrs", "--jobs", "x"], "no_integer"),
    ],
)
def test_a_refusal_has_a_code(words: list[str], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_line(words, TOP, {})
    assert (caught.value.code, isinstance(caught.value, HelpInsteadError)) == (code, not words)


@for_each("statement", ["-- a comment\nSELECT 1", "--a\nSELECT b = 1", "--\tx\nSELECT 1", "-- x"])
def test_a_statement_that_begins_with_a_comment_is_no_option(statement: str) -> None:
    line = read_line(["sql", statement, "--from", "a"], TOP, {})
    assert (line.values["statement"], line.values["source"]) == (statement, "a")


def test_a_value_may_have_line_breaks() -> None:
    assert read_line(["webex", "cdrs", "--where=a\n= b"], TOP, {}).values["where"] == "a\n= b"


@for_each(
    "words, acts, path",
    [
        (["--version"], "version", "cdrctl"),
        (["--version", "nope"], "version", "cdrctl"),
        (["-vh"], "help", "cdrctl"),
        (["webex", "--help", "nope"], "help", "cdrctl webex"),
        (["webex", "cdrs", "--limit", "x", "a", "-h"], "help", "cdrctl webex cdrs"),
        (["sync", "--help"], "help", "cdrctl sync"),
        (["--show-completion", "bash"], "show_completion", "cdrctl"),
    ],
)
def test_help_and_version_act_despite_other_errors(words: list[str], acts: str, path: str) -> None:
    line = read_line(words, TOP, {})
    assert line.acts is not None
    assert (line.acts.name, " ".join(line.path)) == (acts, path)


def test_options_before_a_command_and_after_it_are_told_apart() -> None:
    line = read_line(["-q", "webex", "cdrs", "-vv"], TOP, {"CDRCTL_LIMIT": "3", "CDRCTL_LOG_FORMAT": "json"})
    assert (line.before["quiet"], line.before["verbose"], line.before["log_format"]) == (True, 0, "json")
    assert (line.values["quiet"], line.values["verbose"], line.values["limit"]) == (False, 2, 3)
    assert line.variables == ("CDRCTL_LIMIT",)


def value_of(one: Option, text: str) -> Any:
    """Return the value of an option, or None if it is refused."""
    try:
        return read_values([(one, text)], (one,), ("x",), {}, top=False)[0][one.name]
    except UsageError:
        return None


@for_each(
    "text",
    [
        *("0", "3", "007", "-1", "+3", " 3 ", "3\n", "\u00a03", "1_000", "3.0", "3.00", "-0", "9" * 4300),
        *("", "x", "3.", "3.5", "1e3", "1__0", "_1", "0x1", "\u0663", "--1", "9" * 5000),
    ],
)
def test_integers_are_parsed_as_pydantic_parses_them(text: str) -> None:
    try:
        theirs: int | None = TypeAdapter(int).validate_python(text)
    except ValidationError:
        theirs = None
    assert value_of(option("--seed", about="A number.", kind="integer"), text) == theirs


@for_each("text", [*sorted(TRUE | FALSE), "TRUE", "Off", "nO", " 1", "2", "ja", "truee"])
def test_flags_in_the_environment_are_parsed_as_pydantic_parses_them(text: str) -> None:
    try:
        theirs: bool | None = TypeAdapter(bool).validate_python(text)
    except ValidationError:
        theirs = None
    assert value_of(option("--strict", about="A flag.", kind="flag"), text) == theirs


def test_each_line_of_a_variable_is_a_value_of_a_repeatable_option() -> None:
    many = option("--many", about="Texts.", repeat=True)
    values = read_values([], (many,), ("x",), {"CDRCTL_MANY": "a\n\n b \n"}, top=False)
    assert values == ({"many": ["a", " b "]}, ("CDRCTL_MANY",))


def test_no_two_parameters_of_a_command_share_a_name_or_variable() -> None:
    for words, place in walk(TOP):
        options = [one for one in place.parameters if not isinstance(one, Argument)]
        typed = [name for one in options for name in one.all_names]
        variables = [variable for one in place.parameters if (variable := variable_of(one, top=not words))]
        for names in (typed, variables, [one.name for one in place.parameters]):
            assert len(set(names)) == len(names), words


def test_the_app_has_a_typer_for_every_provider_and_command() -> None:
    """The commands as other users of Typer see them, such as documentation tools."""

    def shape(command: Any) -> dict[str, Any]:
        return {name: shape(inner) for name, inner in getattr(command, "commands", {}).items()}

    def ours(place: Command | Group) -> dict[str, Any]:
        inner = place.commands if isinstance(place, Group) else {}
        return {name: ours(load_entry(entry)) for name, entry in inner.items()}

    assert shape(typer.main.get_command(typer_app(TOP))) == ours(TOP)
