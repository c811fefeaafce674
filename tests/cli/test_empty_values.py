"""Every option and argument refuses an empty value, which usually comes from an unset shell variable."""

from __future__ import annotations

from cdrctl.cli.app import TOP
from cdrctl.cli.commands import Command, walk
from cdrctl.cli.options import Option
from tests.support.runner import run


def test_an_empty_value_is_a_usage_error_everywhere() -> None:
    tried = 0
    for words, command in walk(TOP):
        for one in command.parameters if isinstance(command, Command) else ():
            if isinstance(one, Option) and not one.takes_value:
                continue
            tried += 1
            ran = run(*words, *([one.label] if isinstance(one, Option) else []), "")
            assert (ran.code, ran.out) == (2, ""), (words, one.name)
            assert "has an empty value" in ran.err, (words, one.name)
    assert tried > 300


def test_an_empty_option_before_the_command_is_a_usage_error() -> None:
    for option in ("--config", "--log-format"):
        assert run(option, "", "webex", "cdrs", "-p", "sandbox").code == 2


def test_an_empty_environment_variable_counts_as_unset() -> None:
    window = ("--since", "2026-11-19", "--until", "2026-11-19T01:00")
    assert run("webex", "cdrs", "-p", "sandbox", *window, environ={"CDRCTL_FORMAT": ""}).code == 0
