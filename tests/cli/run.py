"""The command line run inside the test's own process, in a world of the test's making."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cdrctl.cli.app import main
from cdrctl.cli.process import Process
from cdrctl.http import Clock

NOW = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)


@dataclass
class Ran:
    """What a command did: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


def still_clock(now: datetime = NOW) -> Clock:
    """Return a clock that stands still but for those who wait."""
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    return Clock(now=lambda: now + timedelta(seconds=passed[0]), monotonic=lambda: passed[0], sleep=sleep)


def run(
    *arguments: str | Path,
    environ: Mapping[str, str] | None = None,
    stdin: str = "",
    terminal: bool = False,
    width: int = 80,
) -> Ran:
    """Return what a command line did, at 20:00 UTC of 20 November 2026."""
    out, err = io.BytesIO(), io.StringIO()
    world = Process(
        environ=dict(environ or {}),
        stdin=io.StringIO(stdin),
        stdout=out,
        stderr=err,
        stdin_is_terminal=False,
        stdout_is_terminal=terminal,
        stderr_is_terminal=terminal,
        width=width,
        clock=still_clock(),
    )
    code = main([str(argument) for argument in arguments], world)
    return Ran(code, out.getvalue().decode(), err.getvalue())


def configured(path: Path, profiles: Mapping[str, Mapping[str, Any]]) -> Path:
    """Return a configuration file with these profiles, each of the provider of its name."""

    def spelt(value: Any) -> str:
        return f'"{value}"' if isinstance(value, str) else str(value).lower()

    text = "".join(
        f'[profiles.{name}]\nprovider = "{name}"\n' + "".join(f"{key} = {spelt(value)}\n" for key, value in one.items())
        for name, one in profiles.items()
    )
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path
