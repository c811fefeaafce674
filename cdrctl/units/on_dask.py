"""Units as tasks of a Dask cluster: those of one credential one after the other, on one host as long as it lives.

The next unit of a credential is submitted when the result of the one before has come: nothing has to be held, and so
nothing can stay held, by a worker that dies. The scheduler runs the unit of a dead worker again, which is harmless. The
graph has names, options and the archive's place; each worker reads its own configuration and secrets.
"""

from __future__ import annotations

import functools
import logging
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from cdrctl import __version__
from cdrctl.archive.outcome import Outcome
from cdrctl.archive.run_report import Problem
from cdrctl.errors import (
    ConfigurationError,
    LockedError,
    TemporaryError,
    UsageError,
)
from cdrctl.threads import take
from cdrctl.units.job import COUNTS, CallDone, SyncJob, SyncResult
from cdrctl.units.plain import sync_unit

if TYPE_CHECKING:
    from distributed import Client, Future

LOOK_SECONDS = 5.0
"""How often to look whether workers, and the scheduler, are still there."""

RESULT_SECONDS = 60.0
"""How long to wait for a result that is done: if its worker died, Dask would wait until another did the unit again."""

NO_WORKER_SECONDS = 600.0
"""How long to wait for the first worker, or for a new one after the last has gone: a cluster may have to start it."""

TEMPORARY = frozenset({TemporaryError.exit_code, LockedError.exit_code})
"""The exit codes of units that are done again at the end. A worker that is taken for dead may still hold a lock."""

MOST_REPEATED = 0.5
"""If a larger share of the units failed temporarily, the provider is out of order, and none is done again."""


class Chain(Struct):
    """Units of one credential, of which one runs at a time.

    Args:
        left: The units that have not been submitted.
        host: Where the last one ran; it has that credential's rate limit.
    """

    left: deque[SyncJob]
    host: str = ""


class _Running(Struct, frozen=True):
    chain: Chain
    job: SyncJob


@contextmanager
def connected_cluster(address: str) -> Iterator[Client]:
    """Yield a client of a scheduler.

    Raises:
        ConfigurationError: The package `distributed` is not installed.
        UsageError: The address is not one.
        TemporaryError: No scheduler answers there.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ConfigurationError(
            "--dask needs the package distributed", hint="install it with: pip install 'cdrctl[dask]'"
        ) from error
    _silence()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about versions, which `check_workers` compares
            client = Client(address, set_as_default=False, name="cdrctl")
    except OSError as error:
        raise TemporaryError(
            f"no Dask scheduler answers at {address}",
            hint="start it, or take the address that its log names; without --dask, this machine does the work",
        ) from error
    except TypeError as error:  # so says Dask of a missing certificate
        if not address.startswith("tls:"):
            raise
        raise ConfigurationError(
            f"Dask has no certificate on this machine for {address!r:.80}",
            hint="set distributed.comm.tls in Dask's configuration: https://distributed.dask.org/en/stable/tls.html",
        ) from error
    except ValueError as error:
        raise UsageError(
            f"{address!r:.80} is not the address of a Dask scheduler", hint="such as tcp://scheduler.example.net:8786"
        ) from error
    try:
        yield client
    finally:
        with suppress(Exception):  # whatever the cluster is like: the run is over
            client.close(timeout=LOOK_SECONDS)


def _silence() -> None:
    """Keep the loggers of distributed from stderr: the program reports what goes wrong, in its own words."""
    for name in ("asyncio", "tornado", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in {"asyncio", "distributed", "tornado"}:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def check_versions(client: Client) -> list[str]:
    """Return warnings about versions that differ from those here.

    Raises:
        ConfigurationError: The scheduler or a worker has no cdrctl, or another version of it.
        TemporaryError: The scheduler does not answer.
    """
    try:
        found = client.get_versions(packages=["cdrctl"])
    except OSError as error:
        raise _gone() from error
    ours, told = found["client"]["packages"], []
    places = {"the scheduler": found["scheduler"], **{f"worker {name}": one for name, one in found["workers"].items()}}
    for place, one in places.items():
        theirs = one["packages"]
        if theirs.get("cdrctl") != __version__:
            has = f"has cdrctl {theirs['cdrctl']}" if theirs.get("cdrctl") else "has no cdrctl"
            raise ConfigurationError(
                f"{place} {has}, and this machine has cdrctl {__version__}",
                hint="install the same version of cdrctl on the scheduler and on all workers",
            )
        differ = [name for name in ("python", "distributed") if _minor(theirs[name]) != _minor(ours[name])]
        told += [f"{place} has {name} {theirs[name]}, and this machine has {ours[name]}" for name in differ]
    return told


def _minor(version: str | None) -> list[str]:
    return (version or "").split(".")[:2]


def do_on_cluster(
    client: Client,
    chains: Iterable[Sequence[SyncJob]],
    log: Callable[[str, str], None],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[tuple[SyncJob, SyncResult], None, None]:
    """Yield each unit with its result, as they come; closed early, it cancels the units that are left.

    Units that failed temporarily are done once more at the end.

    Args:
        client: The client of the scheduler.
        chains: The units of each credential.
        log: Receives warnings.
        clock: Returns a time in seconds that never goes back.

    Raises:
        TemporaryError: The scheduler has gone, or there has been no worker for NO_WORKER_SECONDS.
    """
    again: list[tuple[Chain, SyncJob, SyncResult]] = []
    count = 0
    for chain, job, result in _first_time(client, chains, log, clock):
        count += 1
        if result.exit_code in TEMPORARY:
            again.append((chain, job, result))
        else:
            yield job, result
    if len(again) > count * MOST_REPEATED:
        yield from ((job, result) for _, job, result in again)
        return
    before = {job: result for _, job, result in again}
    by_chain: dict[int, Chain] = {}
    for chain, job, _ in again:
        by_chain.setdefault(id(chain), Chain(deque(), chain.host)).left.append(job)
    for _, job, result in _do(client, [*by_chain.values()], log, clock):
        yield job, _sum_of(before[job], result)


def _first_time(
    client: Client, chains: Iterable[Sequence[SyncJob]], log: Callable[[str, str], None], clock: Callable[[], float]
) -> Generator[tuple[Chain, SyncJob, SyncResult], None, None]:
    ordered = sorted(chains, key=len, reverse=True)  # the night is as long as the longest one
    return _do(client, [Chain(deque(jobs)) for jobs in ordered], log, clock)


def _do(
    client: Client, chains: Sequence[Chain], log: Callable[[str, str], None], clock: Callable[[], float]
) -> Generator[tuple[Chain, SyncJob, SyncResult], None, None]:
    """Yield the results of all units of chains, as they come."""
    came: SimpleQueue[Future[Any]] = SimpleQueue()
    running: dict[Future[Any], _Running] = {}

    def submit(chain: Chain, job: SyncJob) -> None:
        where = [chain.host] if chain.host and chain.host in _hosts(client) else None  # this asks the scheduler
        key = f"cdrctl-{job.profile}-{time.monotonic_ns()}"
        future = client.submit(unit_on_worker, job, key=key, workers=where, pure=False)
        running[future] = _Running(chain, job)
        future.add_done_callback(came.put)

    watch = _Watch(client, clock, log, clock())
    try:
        for chain in chains:
            submit(chain, chain.left.popleft())
        while running:
            try:
                future = take(came, LOOK_SECONDS)
            except Empty:
                watch.look()
                _move(running, client, submit)
                continue
            one = running.pop(future, None)
            if one is None:  # it was moved to another host
                continue
            watch.seen = clock()
            ended = _result_of(future, one.job)
            if ended is None:
                client.cancel([future], force=True)
                submit(one.chain, one.job)
                continue
            host, result = ended
            one.chain.host = host or one.chain.host
            if one.chain.left:
                submit(one.chain, one.chain.left.popleft())
            yield one.chain, one.job, result
    finally:
        if running:
            with suppress(Exception):  # the scheduler may have gone
                client.cancel([*running], force=True)


def _move(running: dict[Future[Any], _Running], client: Client, submit: Callable[[Chain, SyncJob], None]) -> None:
    """Submit units anew that wait for a host that has gone."""
    hosts = _hosts(client)
    for future, one in [*running.items()]:
        if one.chain.host and one.chain.host not in hosts and not future.done():
            del running[future]
            client.cancel([future], force=True)
            one.chain.host = ""
            submit(one.chain, one.job)


class _Watch(Struct):
    """Looks whether there are workers.

    Args:
        client: The client of the scheduler.
        clock: Returns a time in seconds that never goes back.
        log: Receives a warning while there is none.
        seen: When there was one, or when the run began.
        warned: Whether it has been said that there is none.
    """

    client: Client
    clock: Callable[[], float]
    log: Callable[[str, str], None]
    seen: float
    warned: bool = False

    def look(self) -> None:
        """Look once.

        Raises:
            TemporaryError: The scheduler has gone, or there has been no worker for too long.
        """
        if self.client.status != "running":
            raise _gone()
        if _hosts(self.client):
            self.seen, self.warned = self.clock(), False
        elif self.clock() - self.seen > NO_WORKER_SECONDS:
            raise TemporaryError(
                f"the Dask cluster has had no worker for {NO_WORKER_SECONDS / 60:.0f} minutes",
                hint="start workers, and run the command again: what was read is in the archive",
            )
        elif not self.warned:
            self.warned = True
            self.log("warning", "the Dask cluster has no worker: waiting for one")


def _hosts(client: Client) -> set[str]:
    """Return the hosts that have a worker, as the client last heard."""
    return {_host_of(name) for name in client.scheduler_info(n_workers=-1)["workers"]}


def _host_of(address: str) -> str:
    return address.rpartition("://")[2].rpartition(":")[0]


def _gone() -> TemporaryError:
    return TemporaryError(
        "the Dask scheduler has gone", hint="run the command again when it is there: what was read is in the archive"
    )


def _result_of(future: Future[Any], job: SyncJob) -> tuple[str, SyncResult] | None:
    """Return the host that did a unit, and its result; None if the worker that had the result died with it.

    Raises:
        TemporaryError: The scheduler has gone, and with it the unit.
    """
    if future.status == "lost":
        return None
    try:
        address, result = future.result(timeout=RESULT_SECONDS)
    except TimeoutError:
        return None
    except Exception as failed:  # noqa: BLE001 - each kind has its problem below
        error: Any = failed
    else:
        future.release()
        return _host_of(address), _checked(result)
    if future.status == "cancelled":
        raise _gone() from error
    future.release()
    if type(error).__name__ == "KilledWorker":
        problem = Problem(
            TemporaryError.exit_code,
            f"every worker that read it died; the last one was {error.last_worker.address}",
            hint="check the memory and the log of the workers, and run the command again",
        )
    else:  # it cannot be loaded there: `sync_unit` itself raises nothing
        problem = Problem(
            ConfigurationError.exit_code,
            f"the cluster cannot load the task ({type(error).__name__})",
            hint="install the same versions of Python, cdrctl and distributed on the scheduler and on all workers",
        )
    return "", SyncResult(job.profile, problem.code, "", 0.0, problem=problem)


def _checked(result: SyncResult) -> SyncResult:
    """Return a result; one of a unit that stopped before its end, as if it was cancelled, as a temporary failure."""
    if result.exit_code or all(one.ended for one in result.calls):
        return result
    problem = Problem(
        TemporaryError.exit_code,
        "it stopped before the end",
        hint="run the command again: what was read is in the archive",
    )
    return replace(result, exit_code=problem.code, problem=problem)


def _sum_of(first: SyncResult, second: SyncResult) -> SyncResult:
    """Return the result of a unit that was done twice: what is wrong at the end, and all that was read."""
    before = {one.call: one for one in first.calls}
    return replace(
        second,
        seconds=first.seconds + second.seconds,
        requests=first.requests + second.requests,
        calls=tuple(_call_sum(before[one.call], one) if one.call in before else one for one in second.calls),
        messages=(*first.messages, *second.messages),
    )


def _call_sum(first: CallDone, second: CallDone) -> CallDone:
    counts = {name: getattr(first.outcome, name) + getattr(second.outcome, name) for name in COUNTS}
    outcome: Outcome = replace(second.outcome, **counts)
    return replace(second, outcome=outcome)


def unit_on_worker(job: SyncJob) -> tuple[str, SyncResult]:
    """Do a unit in a worker; return the worker's address and the result."""
    from distributed import get_worker

    worker = get_worker()
    stop = functools.partial(_is_cancelled, worker.state.tasks, worker.get_current_task())
    return worker.address, sync_unit(job, stop=stop)


def _is_cancelled(tasks: Mapping[str, Any], key: str) -> bool:
    """Return whether the scheduler does not want a task any more that is running here."""
    task = tasks.get(key)
    return task is None or task.state == "cancelled"
