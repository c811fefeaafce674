"""The command line in the test's own process."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cdrctl.cli.app import main
from cdrctl.cli.process import Process
from tests.support.clock import HandClock

Record = dict[str, Any]

NOW = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Ran:
    """The result of a command: its exit code, the bytes on standard output, and the text on standard error."""

    code: int
    written: bytes
    err: str

    @property
    def out(self) -> str:
        """Standard output as text."""
        return self.written.decode()

    @property
    def lines(self) -> list[Record]:
        """Standard output, parsed as JSON Lines."""
        return [json.loads(line) for line in self.written.splitlines()]

    def ok(self) -> Ran:
        """Return this result; fail unless the exit code is 0."""
        assert self.code == 0, self.err
        return self


def run(
    *arguments: str | Path,
    environ: Mapping[str, str] | None = None,
    stdin: str = "",
    terminal: bool = False,
    width: int = 80,
    clock: HandClock | None = None,
) -> Ran:
    """Run one command line, by a clock that shows 20:00 UTC of 20 November 2026 unless another one is given."""
    out, err = io.BytesIO(), io.StringIO()
    process = Process(
        environ=dict(environ or {}),
        stdin=io.StringIO(stdin),
        stdout=out,
        stderr=err,
        stdin_is_terminal=False,
        stdout_is_terminal=terminal,
        stderr_is_terminal=terminal,
        width=width,
        clock=(clock or HandClock(NOW)).clock,
    )
    code = main([str(argument) for argument in arguments], process)
    return Ran(code, out.getvalue(), err.getvalue())


def configured(path: Path, profiles: Mapping[str, Mapping[str, Any]]) -> Path:
    """Return a configuration file with these profiles, each for the provider of the same name."""

    def spelt(value: Any) -> str:
        return f'"{value}"' if isinstance(value, str) else str(value).lower()

    text = "".join(
        f'[profiles.{name}]\nprovider = "{name}"\n' + "".join(f"{key} = {spelt(value)}\n" for key, value in one.items())
        for name, one in profiles.items()
    )
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


@dataclass(slots=True)
class Shell:
    """Runs commands in this process, in a folder of its own, with a clock that is set by hand."""

    folder: Path
    clock: HandClock
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "config.toml"

    def profile(self, name: str, provider: str, settings: Mapping[str, object]) -> None:
        """Make this the only profile of the configuration."""
        lines = [f"[profiles.{name}]", f"provider = {json.dumps(provider)}"]
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
        self.config.write_text("\n".join([*lines, ""]), encoding="utf-8")
        self.config.chmod(0o600)

    def run(self, *arguments: str, **environ: str) -> Ran:
        """Run one command line."""
        environ = {"CDRCTL_CONFIG": str(self.config), **self.environ, **environ}
        return run(*arguments, environ=environ, width=100, clock=self.clock)
