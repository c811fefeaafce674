"""The order of units on a cluster, with a client in the place of Dask's own that does what the test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

import pytest
from msgspec.structs import replace

import cdrctl
from cdrctl.archive import CallDone, SyncJob, SyncResult
from cdrctl.archive.outcome import Outcome
from cdrctl.archive.run_report import Problem
from cdrctl.cli.archive_dask import keep_result
from cdrctl.cli.archive_jobs import Job
from cdrctl.cli.export import Part
from cdrctl.errors import ConfigurationError, TemporaryError
from cdrctl.fetchers import load
from cdrctl.units import on_dask
from cdrctl.units.on_dask import check_versions, do_on_cluster


class KilledWorker(Exception):  # noqa: N818 - Dask's own name
    """Dask's error about a unit whose workers all died."""

    class last_worker:  # noqa: N801
        """The worker that died last."""

        address = "tcp://b:1"


@dataclass(eq=False)
class Future:
    """A task that the test ends."""

    job: SyncJob
    where: list[str] | None
    status: str = "pending"
    value: Any = None
    told: Callable[[Any], None] = lambda _future: None

    def add_done_callback(self, told: Callable[[Any], None]) -> None:
        self.told = told
        if self.status != "pending":
            told(self)

    def end(self, status: str, value: Any) -> None:
        self.status, self.value = status, value
        self.told(self)

    def done(self) -> bool:
        return self.status != "pending"

    def result(self, timeout: float) -> Any:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value

    def release(self) -> None:
        pass


@dataclass
class Client:
    """A cluster in which `answer` says how a unit ends, and None leaves it waiting."""

    answer: Callable[[SyncJob, int], tuple[str, Any] | None]
    hosts: list[str] = field(default_factory=lambda: ["a", "b"])
    status: str = "running"
    submitted: list[Future] = field(default_factory=list)
    cancelled: list[Future] = field(default_factory=list)
    asked: int = 0

    def scheduler_info(self, n_workers: int) -> Mapping[str, Any]:
        self.asked += 1
        return {"workers": {f"tcp://{host}:1": {} for host in self.hosts}}

    def submit(self, _unit: object, job: SyncJob, *, key: str, workers: list[str] | None, pure: bool) -> Future:
        future = Future(job, workers)
        self.submitted.append(future)
        ended = self.answer(job, sum(one.job == job for one in self.submitted))
        if ended is not None:
            future.end(*ended)
        return future

    def cancel(self, futures: list[Future], *, force: bool) -> None:
        self.cancelled += futures


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_dask, "LOOK_SECONDS", 0.001)


def job(name: str) -> SyncJob:
    return SyncJob(archive="/srv/cdr", profile=name)


def result(name: str, code: int = 0, new: int = 1, requests: int = 3) -> SyncResult:
    call = CallDone("cdrs", code, Outcome(days=1, fetched=new, new=new))
    return SyncResult(name, code, "host", 1.0, requests, (call,), (("note", f"{name} {code}"),))


def done(host: str, one: SyncResult) -> tuple[str, Any]:
    return "finished", (f"tcp://{host}:1", one)


def run(client: Client, *chains: list[str], clock: Callable[[], float] = lambda: 0.0) -> list[SyncResult]:
    units = [[job(name) for name in chain] for chain in chains]
    return [one for _, one in do_on_cluster(client, units, lambda _level, _text: None, clock=clock)]


def test_a_unit_is_submitted_when_the_one_before_it_has_ended_and_to_its_host() -> None:
    client = Client(lambda one, _turn: done("b", result(one.profile)))
    run(client, ["a1", "a2", "a3"])
    assert [(one.job.profile, one.where) for one in client.submitted] == [("a1", None), ("a2", ["b"]), ("a3", ["b"])]


def test_the_scheduler_is_not_asked_for_its_workers_with_every_unit() -> None:
    client = Client(lambda one, _turn: done("b", result(one.profile)))
    run(client, ["a"], ["b"], ["c1", "c2"])
    assert client.asked == 1  # for the unit that stays on a host


def test_longer_chains_begin_first() -> None:
    client = Client(lambda one, _turn: done("b", result(one.profile)))
    run(client, ["single"], ["a1", "a2"])
    assert [one.job.profile for one in client.submitted][:2] == ["a1", "single"]


def test_a_unit_whose_host_has_gone_is_moved() -> None:
    def answer(one: SyncJob, turn: int) -> tuple[str, Any] | None:
        if one.profile == "a2" and turn == 1:
            client.hosts.remove("b")
            return None
        return done("b" if one.profile == "a1" else "a", result(one.profile))

    client = Client(answer)
    assert [one.profile for one in run(client, ["a1", "a2"])] == ["a1", "a2"]
    assert [one.where for one in client.submitted] == [None, ["b"], None]
    assert client.cancelled == [client.submitted[1]]


def test_a_temporary_failure_is_done_once_more_at_the_end_and_both_are_counted() -> None:
    def answer(one: SyncJob, turn: int) -> tuple[str, Any]:
        fails = one.profile == "b" and turn == 1
        return done("a", result(one.profile, 11 if fails else 0, new=0 if fails else 5))

    client = Client(answer)
    found = run(client, ["b"], ["a"], ["c"])
    assert [(one.profile, one.exit_code) for one in found] == [("a", 0), ("c", 0), ("b", 0)]
    assert (found[-1].requests, found[-1].calls[0].outcome.new, len(found[-1].messages)) == (6, 5, 2)
    assert [one.job.profile for one in client.submitted] == ["b", "a", "c", "b"]


def test_if_most_units_fail_none_is_done_again() -> None:
    client = Client(lambda one, _turn: done("a", result(one.profile, 5)))
    assert [one.exit_code for one in run(client, ["a"], ["b"])] == [5, 5]
    assert len(client.submitted) == 2


def test_a_unit_that_no_worker_survives_fails_alone() -> None:
    def answer(one: SyncJob, _turn: int) -> tuple[str, Any]:
        return ("error", KilledWorker()) if one.profile == "a1" else done("a", result(one.profile))

    found = {one.profile: one for one in run(Client(answer), ["a1", "a2"], ["b"])}
    assert {name: one.exit_code for name, one in found.items()} == {"a1": 5, "a2": 0, "b": 0}
    assert found["a1"].problem is not None
    assert "tcp://b:1" in found["a1"].problem.message


def test_a_task_that_cannot_be_loaded_is_named_without_its_text() -> None:
    client = Client(lambda _one, _turn: ("error", ModuleNotFoundError("No module named 'cdrctl' +972501234567")))
    (found,) = run(client, ["a"])
    assert found.exit_code == 6
    assert isinstance(found.problem, Problem)
    assert "ModuleNotFoundError" in found.problem.message
    assert "+97250" not in repr(found)


def test_a_scheduler_that_went_away_ends_the_run() -> None:
    with pytest.raises(TemporaryError, match="scheduler has gone"):
        run(Client(lambda _one, _turn: ("cancelled", None)), ["a"])
    with pytest.raises(TemporaryError, match="scheduler has gone"):
        run(Client(lambda _one, _turn: None, status="closed"), ["a"])


def test_a_cluster_without_workers_is_waited_for_but_not_for_ever() -> None:
    def seconds() -> Iterator[float]:
        at = 0.0
        while True:
            yield at
            at += 100

    times, told = seconds(), []
    units = [[job("a")]]
    client: Any = Client(lambda _one, _turn: None, hosts=[])
    with pytest.raises(TemporaryError, match="no worker for 10 minutes"):
        list(do_on_cluster(client, units, lambda _level, text: told.append(text), clock=lambda: next(times)))
    assert told == ["the Dask cluster has no worker: waiting for one"]
    assert client.cancelled == client.submitted


def test_closing_early_cancels_what_is_left() -> None:
    client: Any = Client(lambda one, _turn: done("a", result("a")) if one.profile == "a" else None)
    results = do_on_cluster(client, [[job("a")], [job("b")]], lambda _level, _text: None)
    next(results)
    results.close()
    assert [one.job.profile for one in client.cancelled] == ["b"]


@pytest.mark.parametrize("how", [("lost", None), ("finished", TimeoutError())])
def test_a_result_that_died_with_its_worker_is_made_again(how: tuple[str, Any]) -> None:
    client = Client(lambda one, turn: how if turn == 1 else done("a", result(one.profile)))
    assert [(one.profile, one.exit_code) for one in run(client, ["a1", "a2"])] == [("a1", 0), ("a2", 0)]
    assert [one.job.profile for one in client.submitted] == ["a1", "a1", "a2", "a2"]
    assert [one.job.profile for one in client.cancelled] == ["a1", "a2"]


def test_a_unit_that_stopped_before_its_end_is_done_again_and_is_no_success() -> None:
    def stopped(one: SyncJob) -> tuple[str, Any]:
        whole = result(one.profile)
        return done("a", replace(whole, calls=(replace(whole.calls[0], ended=False),)))

    once = Client(lambda one, turn: stopped(one) if (one.profile, turn) == ("a", 1) else done("a", result(one.profile)))
    assert [(one.profile, one.exit_code) for one in run(once, ["a"], ["b"])] == [("b", 0), ("a", 0)]
    (found,) = run(Client(lambda one, _turn: stopped(one)), ["a"])
    assert (found.exit_code, found.problem and found.problem.message) == (5, "it stopped before the end")


def test_workers_that_go_late_in_a_night_are_waited_for() -> None:
    """The time without a worker begins with the last result, even if no look at the workers came before."""
    times = chain([0.0], repeat(10_000.0))
    told: list[str] = []

    def answer(one: SyncJob, turn: int) -> tuple[str, Any] | None:
        if one.profile == "a1":
            return done("b", result(one.profile))
        client.hosts.clear()
        return None

    def log(_level: str, text: str) -> None:
        told.append(text)
        client.submitted[-1].end(*done("b", result("a2")))

    client: Any = Client(answer)
    ended = [one.profile for _, one in do_on_cluster(client, [[job("a1"), job("a2")]], log, clock=lambda: next(times))]
    assert (ended, told) == (["a1", "a2"], ["the Dask cluster has no worker: waiting for one"])


def test_a_call_that_is_not_in_a_result_is_no_success() -> None:
    webex = load("webex")
    own = [Job("a", call, Outcome(), part=Part("a", webex)) for call in (webex.calls[0], webex.calls[0])]
    own[1].call = replace(webex.calls[0], name="others")
    keep_result(own, result("a"))
    assert (own[0].error, own[0].ended, own[0].outcome.new) == (None, True, 1)
    assert isinstance(own[1].error, TemporaryError)
    assert "the worker host did not read others" in str(own[1].error)


@dataclass
class Versions:
    """A client that tells versions."""

    scheduler: Mapping[str, Any]
    worker: Mapping[str, Any]

    def get_versions(self, packages: list[str]) -> Mapping[str, Any]:
        ours = versions()
        return {
            "client": {"packages": ours},
            "scheduler": {"packages": {**ours, **self.scheduler}},
            "workers": {"tcp://w:1": {"packages": {**ours, **self.worker}}},
        }


def versions(**more: str | None) -> dict[str, str | None]:
    return {"cdrctl": cdrctl.__version__, "python": "3.11.7.final.0", "distributed": "2026.8.0", **more}


@pytest.mark.parametrize(
    ("scheduler", "worker", "said"),
    [
        ({"cdrctl": None}, {}, "the scheduler has no cdrctl"),
        ({}, {"cdrctl": None}, "worker tcp://w:1 has no cdrctl"),
        ({}, {"cdrctl": "0.0.9"}, "worker tcp://w:1 has cdrctl 0.0.9"),
    ],
)
def test_a_cluster_with_another_version_is_refused(
    scheduler: dict[str, Any], worker: dict[str, Any], said: str
) -> None:
    client: Any = Versions(scheduler, worker)
    with pytest.raises(ConfigurationError, match=said):
        check_versions(client)


def test_other_versions_of_python_are_a_warning() -> None:
    client: Any = Versions({}, {"python": "3.13.1.final.0"})
    assert ["3.13.1" in text for text in check_versions(client)] == [True]
    same: Any = Versions({}, {"python": "3.11.9.final.0"})
    assert check_versions(same) == []
