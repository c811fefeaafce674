"""A machine with everything that the pages assume: cdrctl on the path, and profiles with the names used there."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cdrctl.sandbox import Sandbox
from tests.docs.blocks import ROOT
from tests.support import forks
from tests.support.program import shared

PROFILES = {"acme": "webex", "lab": "kazoo", "hotline": "callgear", "pbx": "portsip", "desk": "voicenter"}
"""The profiles of the pages, one of each provider, so that `-p` can be left out."""

DUCKDB = """#!{python}
import csv, sys, duckdb
words = sys.argv[1:]
at = words.index("-c")
files = [word for word in words[:at] if not word.startswith("-")]
with duckdb.connect(files[0] if files else ":memory:") as base:
    found = base.execute(words[at + 1])
    if found.description:
        out = csv.writer(sys.stdout, lineterminator="\\n")
        out.writerow([one[0] for one in found.description])
        out.writerows(found.fetchall())
"""
"""Stands in for DuckDB's own command line, where there is only its library."""

PATIENCE = 120
"""Seconds that one block may take."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A home, an empty working directory, and an environment."""

    home: Path
    folder: Path
    environ: dict[str, str]

    def run(self, script: str, typed: str = "", shell: str = "bash") -> subprocess.CompletedProcess[str]:
        """Run a script, with stderr and stdout in one output, as on a terminal."""
        words = ["bash", "-euo", "pipefail", "-c", script] if shell == "bash" else ["/bin/sh", "-c", script]
        return subprocess.run(
            words,
            cwd=self.folder,
            env=self.environ,
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
            timeout=PATIENCE,
        )


def has(tool: str) -> bool:
    """Return whether a program, or a replacement for it, is installed."""
    return shutil.which(tool) is not None or (tool == "duckdb" and find_spec("duckdb") is not None)


def a_machine(place: Path, running: Sandbox) -> Machine:
    """Return a machine whose profiles use a running sandbox."""
    home, folder, programs = place / "home", place / "here", place / "bin"
    for one in (home, folder, programs):
        one.mkdir()
    lines = []
    for name, provider in PROFILES.items():
        settings = {"provider": provider, **running.credentials(provider), "requests_per_minute": 0}
        lines += [f"[profiles.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
    config = home / ".config" / "cdrctl" / "config.toml"
    config.parent.mkdir(parents=True, mode=0o700)
    config.write_text("\n".join([*lines, ""]), encoding="utf-8")
    config.chmod(0o600)
    if shutil.which("duckdb") is None and has("duckdb"):
        _program(programs / "duckdb", DUCKDB.format(python=sys.executable))
    path = os.pathsep.join([str(programs), "/usr/bin", "/bin", os.environ["PATH"]])
    environ = {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT), **shared()}
    environ |= {"CDRCTL_CONFIG": str(config), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
    _program(programs / "cdrctl", f'#!/bin/sh\nexec {shlex.join(forks.command(environ))} "$@"\n')
    return Machine(home, folder, environ)


def _program(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o700)
