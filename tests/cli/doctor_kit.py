"""A configuration and a served sandbox that `cdrctl doctor` checks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cdrctl import sandbox
from tests.support.certificates import Certificate
from tests.support.runner import NOW, Ran, run

AUTHORITY, ANOTHER = Certificate("Acme authority"), Certificate("Another authority")
SECRET = "s3cr3t-t0ken-nobody-may-see"
PATIENCE = 20


@dataclass
class Checkup:
    """A configuration file and a sandbox that is served.

    Args:
        config: The configuration file.
        served: The providers.
        environ: The environment.
    """

    config: Path
    served: sandbox.Sandbox
    environ: dict[str, str] = field(default_factory=dict)

    def profile(self, known: str, kind: str = "", *, name: str = "acme", **more: object) -> None:
        """Write a configuration with one profile of this provider. A setting that is None is left out."""
        settings = {"provider": known, **self.served.credentials(known, kind), **more}
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items() if value is not None]
        self.config.write_text("\n".join([f"[profiles.{name}]", *lines, ""]), encoding="utf-8")
        self.config.chmod(0o600)

    def run(self, *words: str, **more: Any) -> Ran:
        """Run the doctor."""
        ran = run("doctor", *words, "--config", self.config, environ=self.environ, **more)
        assert SECRET not in ran.out + ran.err
        return ran

    def finding(self, check: str, code: int, *words: str) -> dict[str, Any]:
        """Run the doctor and return the finding of a check: the first failed one if the exit code is not 0."""
        ran = self.run(*words)
        assert ran.code == code, ran.out
        failed = [line for line in ran.lines if line["result"] == "fail"]
        assert [line["check"] for line in failed[:1]] == ([check] if code else [])
        assert all(line["next"] for line in failed)
        ours = [line for line in ran.lines if line["check"] == check]
        return max(ours, key=lambda line: ["skipped", "ok", "warn", "fail"].index(line["result"]))


@contextmanager
def a_checkup(folder: Path) -> Iterator[Checkup]:
    """Serve the sandbox for a configuration in a private folder."""
    (folder / "cdrctl").mkdir(mode=0o700)
    with sandbox.start(now=lambda: NOW) as served:
        yield Checkup(folder / "cdrctl" / "config.toml", served)
