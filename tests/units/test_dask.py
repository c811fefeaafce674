"""`sync --dask`: units on the workers of a Dask cluster."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise

import pytest

from tests.units.cluster import Cluster, cluster
from tests.units.fleet_kit import SINCE, Fleet, fleet_in, night_with_kills

pytestmark = [
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("distributed") is None, reason="distributed is not installed"),
]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_in(tmp_path_factory.mktemp("fleet")) as one:
        yield one


@pytest.fixture(scope="module")
def two(fleet: Fleet) -> Iterator[Cluster]:
    with cluster(2, fleet.environ, fleet.folder / "cluster.log") as running:
        yield running


def test_a_night_is_the_same_as_in_one_process(fleet: Fleet, two: Cluster) -> None:
    fleet.write(fleet.config, ("a1", "a"), ("b", "b"), ("a2", "a"), ("c", "c"), ("a3", "a"))
    words = ("sync", "--all", "--since", SINCE, "-f", "jsonl")
    code, told = fleet.run(*words, "--into", "here")
    assert code == 0, told
    code, told = fleet.run(*words, "--into", "there", "--dask", two.address, "--status", "run.json")
    assert code == 0, told
    assert fleet.records("there") == fleet.records("here") != Counter()
    status = json.loads((fleet.folder / "run.json").read_text())
    assert [(one["profile"], one["exit_code"]) for one in status["calls"]] == [
        (name, 0) for name in ("a1", "b", "a2", "c", "a3")
    ]
    assert status["totals"]["new"] == fleet.records("here").total()
    assert status["requests"] > 0
    spans = [(key.split("-")[1], since, until) for key, _, since, until in two.ask("stream")]
    assert sorted(name for name, _, _ in spans) == ["a1", "a2", "a3", "b", "c"]
    of_one = sorted((since, until) for name, since, until in spans if name.startswith("a"))
    for before, after in pairwise(of_one):  # Dask estimates how far the clocks of its workers are apart
        assert before[1] - after[0] < (after[1] - after[0]) / 2
    assert not [*(fleet.folder / "there").rglob("*.mark")]


def test_no_secret_is_in_the_scheduler_or_a_log(fleet: Fleet, two: Cluster) -> None:
    names = [f"tenant{at}" for at in range(6)]
    fleet.write(fleet.config, *((name, name) for name in names))
    token = fleet.providers.credentials("webex")["access_token"]
    fleet.providers.fail("webex", 400, times=2, body=json.dumps({"message": f"wrong: {token}"}).encode())
    words = ("sync", "--all", "--since", SINCE, "--into", "secret", "--dask", two.address, "--log-format", "json")
    with fleet.start(*words) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        memory = [part for part in two.memory() if b"tenant5" in part or str(token).encode() in part]
        _, rest = process.communicate(timeout=120)
    assert any(b"cdrctl-tenant5" in part for part in memory)  # the names of tasks are there, and would be found
    assert not [part for part in [*memory, *two.memory()] if str(token).encode() in part]
    assert str(token) not in first + rest
    assert "********" in first + rest
    assert str(token) not in (fleet.folder / "cluster.log").read_text()


def test_units_of_killed_workers_are_done_again(fleet: Fleet, two: Cluster) -> None:
    names = [f"k{at}" for at in range(8)]
    fleet.write(fleet.config, *((name, name) for name in names))
    fleet.providers.fail("webex", "slow", times=1000, seconds=0.02)
    kills: list[str] = []
    code, told = night_with_kills(fleet, names, "killed", two.address, two.ask("workers"), kills.append)
    assert (code, len(kills)) == (0, 2), told
    code, told = fleet.run("sync", names[0], "--since", SINCE, "-f", "jsonl", "--into", "whole")
    truth = fleet.records("whole")
    assert fleet.records("killed") == {(f"profile={name}", line): 1 for name in names for _, line in truth}
    code, told = fleet.run("verify", "--into", "killed")
    assert (code, "0 differences" in told) == (0, True), told


def test_what_a_worker_cannot_do_is_named(fleet: Fleet, two: Cluster) -> None:
    fleet.write(fleet.config, ("known", "known"))
    fleet.write(fleet.own, ("known", "known"), ("ghost", "ghost"), ("other", "other"))
    with fleet.config.open("a") as there:
        there.write('[profiles.other]\nprovider = "kazoo"\n')
    fleet.environ["CDRCTL_CONFIG"] = str(fleet.own)
    try:
        code, told = fleet.run("sync", "--all", "--since", SINCE, "--into", "ghosts", "--dask", two.address)
    finally:
        fleet.environ["CDRCTL_CONFIG"] = str(fleet.config)
    assert code == 6
    assert "ghost (webex): failed: on the worker" in told
    assert "profile other is for kazoo, not for webex" in told
    assert not (fleet.folder / "ghosts" / "profile=other").exists()
    assert "known cdrs: 2026-11-19: " in told


def test_an_interrupted_run_leaves_no_task(fleet: Fleet, two: Cluster) -> None:
    names = [f"i{at}" for at in range(8)]
    fleet.write(fleet.config, *((name, name) for name in names))
    words = ("sync", "--all", "--since", SINCE, "--into", "interrupted", "--dask", two.address)
    with fleet.start(*words, "--log-format", "json", "--status", "interrupted.json") as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert json.loads((fleet.folder / "interrupted.json").read_text())["exit_code"] == 130
    assert two.ask("tasks") == 0
    assert not [*(fleet.folder / "interrupted").rglob("*.mark")]


@pytest.mark.full
def test_a_scheduler_that_goes_away_is_a_temporary_error(fleet: Fleet) -> None:
    names = [f"s{at}" for at in range(8)]
    fleet.write(fleet.config, *((name, name) for name in names))
    with cluster(1, fleet.environ, fleet.folder / "other.log") as running:
        words = ("sync", "--all", "--since", SINCE, "--into", "gone", "--dask", running.address)
        with fleet.start(*words, "--log-format", "json") as process:
            assert process.stderr is not None
            process.stderr.readline()
            os.killpg(running.process.pid, signal.SIGKILL)
            _, told = process.communicate(timeout=120)
    assert process.returncode == 5, told
    assert "scheduler has gone" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("tcp://127.0.0.1:9", 5, "no Dask scheduler answers"),
        ("nonsense://x", 2, "is not the address of a Dask"),
        ("tls://127.0.0.1:9", 6, "Dask has no certificate"),
    ],
)
def test_a_wrong_address_is_named(fleet: Fleet, address: str, code: int, said: str) -> None:
    fleet.write(fleet.config, ("one", "one"))
    got, told = fleet.run("sync", "--all", "--into", "wrong", "--dask", address)
    assert (got, said in told, "Traceback" in told) == (code, True, False), told


def test_jobs_of_this_machine_are_refused(fleet: Fleet) -> None:
    fleet.write(fleet.config, ("one", "one"))
    got, told = fleet.run("sync", "--all", "--into", "refused", "--dask", "tcp://127.0.0.1:9", "--jobs", "2")
    assert (got, "--jobs and --dask cannot be combined" in told) == (2, True), told
