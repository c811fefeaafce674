"""The welcome screen that `cdrctl` shows without arguments."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from cdrctl.cli import app, welcome
from cdrctl.fetchers import PROVIDERS
from tests.support.conversation import at_a_terminal
from tests.support.host import a_host
from tests.support.products import for_each


@pytest.mark.process
def test_the_screen_fits_24_lines_and_the_exit_code_is_0(tmp_path: Path) -> None:
    with at_a_terminal(a_host(tmp_path)) as terminal:
        assert terminal.end() == 0
    lines = terminal.shown.splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) < 80
    assert "cdrctl init" in terminal.shown
    assert "cdrctl doctor" in terminal.shown


@pytest.mark.process
def test_the_first_command_works_as_printed(tmp_path: Path) -> None:
    host = a_host(tmp_path)
    shown = host.run().stdout.decode()
    command = re.findall(r"^  (cdrctl .* sandbox .*)$", shown, re.MULTILINE)[0]
    ran = host.shell(command)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count(b"\n") > 10


def test_the_screen_names_every_command() -> None:
    named = set(re.findall(r"[a-z]+", welcome.SCREEN))
    assert set(app.TOP.commands) <= named
    assert {*PROVIDERS, *app.COMMANDS} <= named


@for_each("width", [1, 20, 40, max(map(len, welcome.SCREEN.splitlines()))])
def test_on_a_narrow_screen_commands_stay_whole(width: int) -> None:
    shown = welcome.screen(width).splitlines()
    commands = [line.split("    ")[0] for line in welcome.SCREEN.splitlines() if line.startswith("  cdrctl")]
    assert set(commands) <= set(shown)
    assert all(len(line) < max(width, 21) or line.startswith(("  cdrctl", "      ")) for line in shown)


@pytest.mark.parametrize(("said", "columns"), [("40", 40), ("0", 80), ("x", 80), ("-3", 80), ("", 80)])
def test_the_screen_is_as_wide_as_columns_says(
    said: str, columns: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", said)
    assert welcome.columns() == columns


@pytest.mark.process
def test_the_screen_is_as_wide_as_the_terminal(tmp_path: Path) -> None:
    with at_a_terminal(a_host(tmp_path), columns=40) as terminal:
        terminal.end()
    assert terminal.shown == welcome.screen(40)


@pytest.mark.process
@pytest.mark.skipif(os.name == "nt", reason="there is no such device")
def test_a_full_disk_gives_exit_code_8(tmp_path: Path) -> None:
    assert a_host(tmp_path).shell("cdrctl > /dev/full").returncode == 8
    assert a_host(tmp_path).shell("set -o pipefail; cdrctl | true").returncode == 0
