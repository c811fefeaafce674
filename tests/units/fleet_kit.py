"""Many profiles of one sandbox, the configuration that all machines have, and the command line as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from cdrctl import sandbox
from cdrctl.sandbox import Sandbox
from tests.support import program
from tests.units.cluster import ROOT

SINCE = "2026-11-19"


@contextmanager
def fleet_in(folder: Path) -> Iterator[Fleet]:
    """Start a sandbox by a clock that it shares with all processes of a fleet, whatever the clock of a test does."""
    began = time.monotonic()
    with sandbox.start(now=lambda: program.NOW + timedelta(seconds=time.monotonic() - began)) as providers:
        yield Fleet(folder, providers, began)


class Fleet:
    """Profiles of one sandbox, the configuration that all machines have, and the command line."""

    def __init__(self, folder: Path, providers: Sandbox, began: float) -> None:
        self.folder, self.providers = folder, providers
        self.config, self.own = folder / "config.toml", folder / "own.toml"
        self.environ = {**program.shared(), program.BEGAN: repr(began), "CDRCTL_CONFIG": str(self.config)}
        self.environ |= {"PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "3s"}

    def write(self, config: Path, *profiles: tuple[str, str]) -> None:
        """Write profiles of Webex to a configuration, each with the name of its credential."""
        settings = self.providers.credentials("webex")
        lines = []
        for name, credential in profiles:
            token = self.folder / f"{credential}.token"
            token.write_text(str(settings["access_token"]))
            token.chmod(0o600)
            lines += [f"[profiles.{name}]", 'provider = "webex"', f'base_url = "{settings["base_url"]}"']
            lines += [f'access_token_file = "{token}"', "requests_per_minute = 0"]
        config.write_text("\n".join([*lines, ""]))
        config.chmod(0o600)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [*program.COMMAND, *words],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.environ},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str]:
        """Return the exit code of a command, and its messages."""
        with self.start(*words) as process:
            _, told = process.communicate(timeout=500)
        return process.returncode, told

    def records(self, archive: str) -> Counter[tuple[str, str]]:
        """Return the records of an archive: the profile and the line, and how often each is there."""
        found = (self.folder / archive).glob("profile=*/call=cdrs/date=*/cdrs.jsonl")
        return Counter((path.parts[-4], line) for path in found for line in path.read_text().splitlines())

    def ended(self, *words: str) -> Iterator[tuple[str, int | None, str]]:
        """Run a command; yield the name of each profile whose messages come, then the exit code and all messages."""
        with self.start(*words, "--log-format", "json") as process:
            assert process.stderr is not None
            lines, last = [], ""
            for line in process.stderr:
                lines.append(line)
                name = str(json.loads(line).get("message", "")).split(" ")[0]
                if json.loads(line)["level"] == "result" and name != last and " fetched" in line:
                    last = name
                    yield name, None, ""
        yield "", process.returncode, "".join(lines)


def night_with_kills(
    fleet: Fleet, names: Sequence[str], into: str, address: str, workers: Sequence[int], note: Callable[[str], None]
) -> tuple[int, str]:
    """Sync profiles on a cluster and kill each of its workers once, while it works; return the exit code and messages.

    Args:
        fleet: The profiles and the command line.
        names: The names of the profiles.
        into: The archive.
        address: The scheduler.
        workers: The processes of the workers. The first is killed after a part of the units, and so on.
        note: Receives a sentence about each kill.
    """
    kills = {len(names) * (at + 1) // (len(workers) + 2): pid for at, pid in enumerate(workers)}
    words = ("sync", "--all", "--since", SINCE, "-f", "jsonl", "--into", into, "--dask", address)
    for ended, (_, code, told) in enumerate(fleet.ended(*words), 1):
        if code is not None:
            return code, told
        if ended in kills:
            os.kill(kills[ended], signal.SIGKILL)
            note(f"killed the worker {kills[ended]} after {ended} of {len(names)} profiles")
    raise AssertionError("the command did not end")
