"""Commands that use one credential share its rate limit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cdrctl import sandbox
from tests.support.clock import HandClock
from tests.support.runner import Shell

WINDOW = ("--since", "3h", "--until", "2h", "-q")


@pytest.fixture(name="shell")
def _shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell with two profiles that have the same token and rate limit."""
    clock = HandClock(datetime(2026, 11, 20, 20, tzinfo=UTC))
    with sandbox.start(now=clock, providers=["webex"]) as running:
        lines = []
        for name in ("one", "other"):
            lines.append(f'[profiles.{name}]\nprovider = "webex"')
            settings = running.credentials("webex")
            lines.extend(f"{key} = {value!r}" for key, value in settings.items() if key != "requests_per_minute")
        shell = Shell(tmp_path, clock)
        shell.config.write_text("\n".join(lines), encoding="utf-8")
        shell.config.chmod(0o600)
        yield shell


def test_commands_of_two_profiles_with_one_token_wait_for_each_other(shell: Shell) -> None:
    for name in ("one", "other", "one"):
        shell.run("webex", "cdrs", "-p", name, *WINDOW).ok()
    assert shell.clock.waits == [61, 61]
    assert [each.suffix for each in sorted((shell.folder / "pace").iterdir())] == [".json", ""]


def test_the_sandbox_has_no_rate_limit(shell: Shell) -> None:
    for _ in range(2):
        shell.run("webex", "cdrs", "-p", "sandbox", *WINDOW).ok()
    assert shell.clock.waits == []
    assert not (shell.folder / "pace").exists()


def test_a_folder_that_cannot_be_written_stops_no_command(shell: Shell) -> None:
    (shell.folder / "pace").touch()
    said = shell.run("webex", "cdrs", "-p", "one", *WINDOW[:-1], "-v").ok().err
    assert said.count("without regard to other runs") == 1
    assert "without regard" not in shell.run("webex", "cdrs", "-p", "one", *WINDOW[:-1]).ok().err
