"""An empty value, as an unset shell variable gives it, is refused by every option and argument of every command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from cdrctl.cli.app import app, loaded
from tests.support.runner import run


def leaves(path: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
    for name, one in (inner or {}).items():
        yield from leaves((*path, name), one)


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    top: Any = typer.main.get_group(app)
    for name in top.list_commands(None):
        yield from leaves((name,), loaded(name))


def test_an_empty_value_is_a_usage_error_everywhere() -> None:
    tried = 0
    for path, command in commands():
        for one in command.params:
            is_option = one.param_type_name == "option"
            if is_option and (one.is_flag or one.count):
                continue
            tried += 1
            ran = run(*path, *([max(one.opts, key=len)] if is_option else []), "")
            assert (ran.code, ran.out) == (2, ""), (path, one.name)
            assert "has an empty value" in ran.err, (path, one.name)
    assert tried > 300


def test_options_before_the_command_too() -> None:
    for option in ("--config", "--log-format"):
        assert run(option, "", "webex", "cdrs", "-p", "sandbox").code == 2


def test_an_empty_variable_of_the_environment_counts_as_unset() -> None:
    window = ("--since", "2026-11-19", "--until", "2026-11-19T01:00")
    assert run("webex", "cdrs", "-p", "sandbox", *window, environ={"CDRCTL_FORMAT": ""}).code == 0
