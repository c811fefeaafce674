"""The commands in docs/cron.md work as printed."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.sandbox import Exchange, Sandbox
from tests.support import forks
from tests.support.program import now, shared

pytestmark = pytest.mark.process

PAGE = (Path(__file__).parents[2] / "docs" / "cron.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


def blocks(kind: str) -> list[str]:
    return [text for name, text in BLOCKS if name == kind]


@pytest.fixture(scope="module")
def provider() -> Iterator[Sandbox]:
    with sandbox.start(now=now, exchange=Exchange(volume=0.3)) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, provider: Sandbox) -> Path:
    """Return a home folder with two profiles, and cdrctl on the path."""
    config = tmp_path / ".config" / "cdrctl" / "config.toml"
    config.parent.mkdir(parents=True)
    lines = []
    for profile, name in (("acme", "webex"), ("voicenter-acme", "voicenter")):
        settings = {"provider": name, **provider.credentials(name), "requests_per_minute": 0}
        lines += [f"[profiles.{profile}]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
    config.write_text("\n".join(lines), encoding="utf-8")
    config.chmod(0o600)
    program = tmp_path / "bin" / "cdrctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(forks.command(surroundings(tmp_path)))} "$@"\n')
    program.chmod(0o700)
    return tmp_path


def surroundings(home: Path) -> dict[str, str]:
    """Return the few variables that cron sets."""
    return {
        "HOME": str(home),
        "PATH": f"{home / 'bin'}:/usr/bin:/bin",
        "SHELL": "/bin/sh",
        "LOGNAME": "cdr",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "CDRCTL_CONFIG": str(home / ".config" / "cdrctl" / "config.toml"),
        **shared(),
    }


def shell(home: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command with /bin/sh, as cron does."""
    return subprocess.run(
        ["/bin/sh", "-c", command], env=surroundings(home), cwd=home, capture_output=True, text=True, check=False
    )


def test_every_command_works_as_printed(home: Path) -> None:
    ran = []
    for block in blocks("sh"):
        if "jq" in block and shutil.which("jq") is None:
            continue
        one = shell(home, block)
        assert one.returncode == 0, block + one.stdout + one.stderr
        ran.append(block)
    assert len(ran) >= len(blocks("sh")) - 1
    assert len(list(home.glob("archive/*/*/date=*/cdrs.*"))) >= 2


def test_the_crontab_line_prints_nothing_on_success(home: Path) -> None:
    block = blocks("crontab")[0]
    mail, line = block.splitlines()
    assert mail.startswith("MAILTO=")
    match = re.fullmatch(r"((?:[\d*]+ ){5})(.*)", line)
    assert match
    assert "%" not in match[2], "cron takes it for a line feed"
    ran = shell(home, match[2])
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert list(home.glob("cdr/*/*/date=*/cdrs.*"))


def test_the_crontab_line_prints_errors(home: Path, provider: Sandbox) -> None:
    provider.fail("voicenter", 403, times=1000)
    try:
        ran = shell(home, blocks("crontab")[0].splitlines()[1].split(" ", 5)[5])
    finally:
        provider.switch("voicenter", "fail", "none")
    assert ran.returncode == 4
    assert "voicenter-acme (voicenter): failed: " in ran.stderr


@pytest.mark.slow
def test_the_lines_for_calls_and_reports_work_as_printed(home: Path) -> None:
    sync, report = (line.split(" ", 5)[5] for line in "".join(blocks("crontab")[1:3]).splitlines())
    assert "%" not in sync + report
    ran = shell(home, sync)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    ran = shell(home, report)
    assert ran.returncode == 3, "the archive begins yesterday"
    assert "the archive begins at" in ran.stderr
    assert (home / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_units_can_be_parsed_as_systemd_parses_them(home: Path, tmp_path: Path) -> None:
    service, timer = blocks("ini")
    parsed = configparser.ConfigParser(strict=True, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(service)
    command = parsed["Service"]["ExecStart"]
    assert command.startswith("/usr/local/bin/cdrctl ")
    ran = shell(home, command.removeprefix("/usr/local/bin/").replace("/var/lib/cdr", "cdr"))
    assert ran.returncode == 0, ran.stderr
    parsed.read_string(timer)
    assert parsed["Timer"]["Persistent"] == "true"
    if shutil.which("systemd-analyze"):
        unit = tmp_path / "cdrctl-sync.service"
        unit.write_text(
            service.replace("/usr/local/bin/cdrctl", str(home / "bin" / "cdrctl")).replace("User=cdr\n", "")
        )
        (tmp_path / "cdrctl-sync.timer").write_text(timer)
        checked = subprocess.run(
            ["systemd-analyze", "verify", str(unit), str(tmp_path / "cdrctl-sync.timer")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "cdrctl-sync" not in checked.stderr, checked.stderr


def test_the_page_lists_the_exit_codes() -> None:
    from cdrctl import errors

    found = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.CdrctlError)]
    codes = {one.exit_code for one in found} - {1, 2, 9}
    assert codes | {0} == {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
