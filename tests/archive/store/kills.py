"""Kills commands that write an archive in a store at random requests, and compares what is left with the provider.

    python -m tests.archive.store.kills --kills 200 --seed 1

Each command is a process of its own and is killed (SIGKILL) at a random request to the store: before the store gets it,
or after the store has done it, without the answer. In half of the cases another process runs the same command at the
same time. Then the command runs once more, undisturbed, and the archive is compared, record by record, with an export
from the provider. Provider and store are on this machine. The exit code is 1 if a record is lost or doubled, or an
object is left over.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from cdrctl import sandbox
from cdrctl.archive.store import FORMATS
from cdrctl.fetchers import PROVIDERS
from cdrctl.sandbox.exchange import Exchange
from tests.archive.killed import ending, run as run_here, said, warm_up
from tests.archive.store.conftest import BUCKET, CREDENTIALS, Store
from tests.archive.store.proxy import LOST, RESET, Asked, proxy_to
from tests.support.clock import HandClock
from tests.support.runner import Shell

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 11, 12, 2, 30, tzinfo=UTC)
SINCE, MIDDLE, UNTIL = "2026-11-10", "2026-11-11", "2026-11-12"
COMMANDS = ("sync", "sync again", "fill", "verify --rebuild", "archive retain", "sync --with-calls")
OURS = re.compile(
    r"archive\.toml|_cdrctl/(ledger/acme/\w+\.json|runs/[^/]+\.json)"
    r"|profile=acme/(_account\.json|call=\w+/(_retired\.json|date=[\w-]+/(cdrs\.[a-z.]+|_readings\.json)))"
    r"|calls/profile=acme/(_calls\.json|date=[\w-]+/calls\.[a-z.]+)"
)


@dataclass(slots=True)
class Case:
    """A command: how often it was killed, and what the archives then lacked or had too much."""

    command: str
    kills: int = 0
    twins: int = 0
    records: int = 0
    lost: int = 0
    doubled: int = 0
    litter: int = 0
    notes: list[str] = field(default_factory=list)


class Worker:
    """A process that runs commands in forks of itself."""

    def __init__(self, config: Path, environ: dict[str, str]) -> None:
        command = [sys.executable, "-m", "tests.archive.store.kills", "--worker", str(config)]
        environ = {**os.environ, **environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._say, self._hear = _pipes(self._process)

    def start(self, url: str, words: tuple[str, ...]) -> int:
        """Start a command through a store's address, and return the number of its process."""
        self._say.write(json.dumps([url, *words]) + "\n")
        self._say.flush()
        return int(self._hear.readline())

    def wait(self) -> str:
        """Return how the command ended."""
        return self._hear.readline().strip()

    def close(self) -> None:
        """End the process."""
        self._say.close()
        self._process.wait()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def work(config: str) -> None:
    """Run each command that comes as a line, and print the number of its process and how it ended."""
    warm_up(config, NOW)
    import obstore.store  # noqa: F401

    import cdrctl.archive.mirror  # noqa: F401 - loaded once for all

    for line in sys.stdin:
        url, *words = json.loads(line)
        child = os.fork()
        if child == 0:
            os.environ["AWS_ENDPOINT_URL"] = url
            os._exit(run_here(config, NOW, words))
        said(str(child))
        said(ending(os.waitpid(child, 0)[1]))


@dataclass(slots=True)
class Workshop:
    """A store, and a provider whose records are compared."""

    shell: Shell
    provider: str
    endpoint: str
    workers: list[Worker]
    rng: random.Random
    number: int = 0

    def kill(self, case: Case, form: str) -> None:
        """Kill a command once, run it to its end, and count what is wrong."""
        self.number += 1
        url, words = f"s3://{BUCKET}/{self.provider}-{self.number}", self.words_of(case.command)
        with proxy_to(self.endpoint) as proxy, proxy_to(self.endpoint) as other:
            store = Store(url, self.endpoint, proxy, {})
            self.prepare(case, store, form)
            place, how = self.rng.randint(1, MOST[case.command]), self.rng.choice([RESET, LOST])
            started, victim = threading.Event(), [0]

            def fault(_asked: Asked) -> int:
                if len(proxy.requests) != place:
                    return 0
                started.wait()
                if how == RESET:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(victim[0], signal.SIGKILL)
                    return RESET
                return LOST

            proxy.fault = fault
            proxy.after = lambda _asked: self._kill(victim[0]) if len(proxy.requests) == place else None
            victim[0] = self.workers[0].start(proxy.url, (*words, "--into", url))
            started.set()
            twin = self.rng.random() < 0.5
            if twin:
                self.workers[1].start(other.url, (*words, "--into", url))
            case.kills += self.workers[0].wait() == "killed"
            if twin:
                case.twins += 1
                code = self.workers[1].wait()
                case.notes += [f"the twin ended with {code}"] if code not in {"0", "11"} else []
            proxy.fault, proxy.after = lambda _asked: 0, lambda _asked: None
            self.check(case, store, proxy.url, words, form)

    def _kill(self, victim: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)

    def words_of(self, command: str) -> tuple[str, ...]:
        """Return the words of a command."""
        return {
            "sync": ("sync", "acme", "--since", SINCE),
            "sync again": ("sync", "acme", "--sweep", "7d", "--lookback", "1h"),
            "sync --with-calls": ("sync", "acme", "--since", SINCE, "--with-calls"),
            "fill": ("fill", "acme"),
            "verify --rebuild": ("verify", "--rebuild"),
            "archive retain": ("archive", "retain", "--before", MIDDLE, "--yes"),
        }[command]

    def prepare(self, case: Case, store: Store, form: str) -> None:
        """Make the archive in which a command is killed."""
        store.put("archive.toml", f'layout = 2\nzone = "UTC"\nformat = "{form}"\n'.encode())
        if case.command in {"sync", "sync --with-calls"}:
            return
        with_environ(store.proxy.url)
        self.shell.run("sync", "acme", "--since", SINCE, "--into", store.url).ok()
        if case.command == "fill":
            store.remove(next(name for name in store.objects() if "/cdrs." in name))
        if case.command == "sync again":  # another program lost a record, which the provider still has
            store.remove("_cdrctl/ledger/acme/" + next(n for n in store.objects() if "ledger" in n).rpartition("/")[2])
        store.proxy.requests.clear()

    def check(self, case: Case, store: Store, url: str, words: tuple[str, ...], form: str) -> None:
        """Run the command to its end, and count what is lost, doubled and left over."""
        with_environ(url)
        call = "legs" if self.provider == "callgear" else "cdrs"
        since = MIDDLE if case.command == "archive retain" else SINCE
        window = ("--since", since, "--until", UNTIL, "-f", "csv")
        ended = [self.shell.run(*words, "--into", store.url)]
        if case.command == "verify --rebuild":
            ended.append(self.shell.run("sync", "acme", "--into", store.url))
        ended.append(self.shell.run("verify", "--into", store.url))
        ended.append(self.shell.run(self.provider, call, "-p", "acme", "--from", store.url, *window))
        wanted = lines(self.shell.run(self.provider, call, "-p", "acme", *window).ok().out)
        found = lines(ended[-1].out)
        case.records += wanted.total()
        case.lost += (wanted - found).total()
        case.doubled += (found - wanted).total()
        left = [name for name in store.objects() if not OURS.fullmatch(name)]
        case.litter += len(left) + len(ended[-2].out.splitlines())
        case.notes += [f"{form}: {name}" for name in left] + [f"{form}: {one.err}" for one in ended if one.code]


MOST = {"sync": 13, "sync again": 16, "fill": 14, "verify --rebuild": 12, "archive retain": 10, "sync --with-calls": 20}
"""The request at which each command is killed at the latest."""


def with_environ(url: str) -> None:
    """Let commands in this process find the store."""
    os.environ.update(CREDENTIALS, AWS_ENDPOINT_URL=url, AWS_ALLOW_HTTP="true")


def lines(text: str) -> Counter[str]:
    """Return the lines of an export after its header, and how often each is there."""
    return Counter(text.splitlines()[1:])


@contextlib.contextmanager
def running_store() -> Iterator[str]:
    """Run a store with an empty bucket, and yield its address."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with_environ("")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    connection = http.client.HTTPConnection(host, port)
    connection.request("PUT", f"/{BUCKET}")
    connection.getresponse().read()
    yield f"http://{host}:{port}"
    server.stop()


def run(kills: int, seed: int, provider: str = "voicenter") -> list[Case]:
    """Kill commands this often in all, and return what was found by command."""
    found = [Case(command) for command in COMMANDS]
    rng = random.Random(seed)
    with (
        TemporaryDirectory() as folder,
        sandbox.start(now=lambda: NOW, exchange=Exchange(volume=0.1)) as providers,
        running_store() as endpoint,
    ):
        shell = Shell(Path(folder), HandClock(NOW))
        shell.profile("acme", provider, {**providers.credentials(provider), "requests_per_minute": 0})
        environ = {**CREDENTIALS, "AWS_ALLOW_HTTP": "true"}
        workers = [Worker(shell.config, environ) for _ in range(2)]
        workshop = Workshop(shell, provider, endpoint, workers, rng)
        while sum(case.kills for case in found) < kills:
            case = min(found, key=lambda one: one.kills)
            workshop.kill(case, rng.choice(FORMATS))
        for worker in workers:
            worker.close()
    return found


def table(found: list[Case]) -> Iterator[str]:
    """Yield the lines of a table of the commands."""
    yield f"{'command':18} {'kills':>6} {'twins':>6} {'records':>8} {'lost':>5} {'doubled':>8} {'left over':>10}"
    names = ("kills", "twins", "records", "lost", "doubled", "litter")
    for name, those in [*((one.command, [one]) for one in found), ("all", found)]:
        sums = [sum(getattr(one, what) for one in those) for what in names]
        yield "{:18} {:>6} {:>6} {:>8} {:>5} {:>8} {:>10}".format(name, *sums)


def main() -> int:
    """Print the table, and return the exit code."""
    if sys.argv[1:2] == ["--worker"]:
        work(sys.argv[2])
        return 0
    parser = argparse.ArgumentParser(prog="python -m tests.archive.store.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how often commands are killed in all")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the requests at which they are killed")
    parser.add_argument("--provider", default="voicenter", choices=PROVIDERS, help="whose records are archived")
    chosen = parser.parse_args()
    found = run(chosen.kills, chosen.seed, chosen.provider)
    sys.stdout.write("".join(f"{line}\n" for line in table(found)))
    for case in found:
        sys.stdout.write("".join(f"{case.command}: {note}\n" for note in case.notes))
    return int(any(case.lost or case.doubled or case.litter or case.notes for case in found))


if __name__ == "__main__":
    sys.exit(main())
