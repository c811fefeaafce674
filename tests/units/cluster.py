"""A Dask cluster on this machine, as a process of its own that a test can question and kill.

    python -m tests.units.cluster WORKERS

It prints its address, and answers each line on its standard input with one line of JSON: `tasks` (how many the
scheduler knows), `stream` (key, worker, start and end of each task that was done) or `workers` (their process ids).
Its workers continue the tests' clock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Cluster:
    """A cluster that runs.

    Args:
        process: Its process, in which the scheduler is.
        address: The address of the scheduler.
    """

    process: subprocess.Popen[str]
    address: str

    def ask(self, question: str) -> Any:
        """Return the answer to a question."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{question}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def memory(self) -> Iterator[bytes]:
        """Yield the readable memory of the scheduler's process, piece by piece."""
        place = Path(f"/proc/{self.process.pid}")
        with (place / "mem").open("rb", 0) as memory:
            for line in (place / "maps").read_text().splitlines():
                span, rights = line.split()[:2]
                since, until = (int(one, 16) for one in span.split("-"))
                if "r" not in rights or line.endswith(("[vvar]", "[vsyscall]", "[vdso]")):
                    continue
                try:
                    memory.seek(since)
                    yield memory.read(until - since)
                except (OSError, OverflowError):  # it was given back in the meantime
                    continue


@contextmanager
def cluster(workers: int, environ: Mapping[str, str], log: Path) -> Iterator[Cluster]:
    """Start a cluster whose processes have an environment, and stop it at the end. Its messages go to a file."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    with (
        log.open("w") as messages,
        subprocess.Popen(
            [sys.executable, "-m", "tests.units.cluster", str(workers)],
            env={**kept, **environ, "PYTHONPATH": str(ROOT)},
            cwd=log.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None
        began = process.stdout.readline()
        assert began, log.read_text()
        try:
            yield Cluster(process, json.loads(began)["address"])
        finally:
            if process.poll() is None:
                assert process.stdin is not None
                process.stdin.close()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()


def dask_setup(_worker: object) -> None:
    """Give a worker the tests' clock: Dask calls this in each worker that loads this module."""
    from cdrctl.http import Clock
    from cdrctl.units import plain
    from tests.support import program

    vars(plain)["Clock"] = lambda: Clock(now=program.now)


def main() -> None:
    """Run a cluster until the standard input ends."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=int(sys.argv[1]),
            threads_per_worker=1,
            dashboard_address=None,
            preload=["tests.units.cluster"],
        ) as running,
        Client(running, set_as_default=False) as client,
    ):
        client.get_task_stream()  # recorded from now on
        sys.stdout.write(json.dumps({"address": running.scheduler_address}) + "\n")
        sys.stdout.flush()
        for line in sys.stdin:
            sys.stdout.write(json.dumps(_answer(line.strip(), running, client)) + "\n")
            sys.stdout.flush()


def _answer(question: str, running: Any, client: Any) -> Any:
    if question == "tasks":
        return len(running.scheduler.tasks)
    if question == "workers":
        return [one.pid for one in running.workers.values()]
    return [
        (str(one["key"]), one["worker"], step["start"], step["stop"])
        for one in client.get_task_stream()
        for step in one["startstops"]
        if step["action"] == "compute"
    ]


if __name__ == "__main__":
    main()
