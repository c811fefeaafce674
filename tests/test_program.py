"""Tests give a clock to the programs they start, and nothing else changes that clock."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support import program
from tests.support.host import ROOT

REAL = (sys.executable, "-m", "cdrctl")
NEAR = timedelta(hours=2)
"""A request may ask for more: Webex is asked from the beginning of an hour."""


def since(folder: Path, command: tuple[str, ...], environ: Mapping[str, str]) -> datetime:
    """Return the instant that a command reads for an hour ago."""
    path = os.pathsep.join(filter(None, (environ.get("PYTHONPATH"), str(ROOT))))
    ran = subprocess.run(
        [*command, *["webex", "cdrs", "-p", "sandbox", "--since", "1h", "--dry-run"]],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environ, "PYTHONPATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"startTime=([\dT:.-]+)", ran.stdout)
    assert found, ran.stdout
    return datetime.fromisoformat(found[1]).replace(tzinfo=UTC)


@pytest.mark.process
def test_children_go_on_with_the_clock_of_the_test(tmp_path: Path) -> None:
    for command, environ in ((program.COMMAND, program.shared()), (REAL, program.installed())):
        assert abs(since(tmp_path, command, environ) + timedelta(hours=1) - program.now()) < NEAR
        later = {**environ, program.BEGAN: str(float(environ[program.BEGAN]) - 86_400)}
        assert abs(since(tmp_path, command, later) - timedelta(hours=23) - program.now()) < NEAR


@pytest.mark.process
def test_no_variable_changes_the_clock_of_the_program_itself(tmp_path: Path) -> None:
    shared = program.shared()
    environ = {**shared, program.BEGAN: str(float(shared[program.BEGAN]) - 10**9)}
    assert abs(since(tmp_path, REAL, environ) + timedelta(hours=1) - datetime.now(UTC)) < NEAR


def test_a_hurried_program_does_not_wait_but_its_clock_advances() -> None:
    before, hurried = program.now(), program._hurried()
    monotonic = hurried["monotonic"]()
    hurried["sleep"](10_000)
    assert timedelta(seconds=10_000) <= program.now() - before < timedelta(seconds=20_000)
    assert 10_000 <= hurried["monotonic"]() - monotonic < 20_000
