"""The simulation of a night of many tenants: what the plan says, deterministic, and what must hold of any schedule."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from benchmarks import fleet
from cdrctl.fetchers import load
from tests.cli.archive_kit import INTO, clock, providers, shell
from tests.support.clock import HandClock
from tests.support.runner import Shell

__all__ = ["clock", "providers", "shell"]  # fixtures


def test_two_hundred_tenants_are_the_same_for_one_seed_and_others_for_another() -> None:
    tables = [fleet.table(fleet.fleet_of(200, seed), [1, 4], 8, seed) for seed in (1, 1, 2)]
    assert tables[0] == tables[1] != tables[2]
    assert tables[0].startswith("200 tenants, ")


def test_more_workers_are_never_slower_than_the_bounds_allow() -> None:
    tenants = fleet.fleet_of(200, 3)
    nights = {workers: fleet.night_of(tenants, workers, 4, 3) for workers in (1, 2, 8, 200)}
    for workers, night in nights.items():
        assert night.seconds >= max(night.longest, night.busy / workers / 4) - fleet.PATIENCE * night.failed
    assert nights[1].seconds > nights[2].seconds > nights[8].seconds >= nights[200].seconds * 0.99


@pytest.mark.slow
def test_every_tenant_is_done_and_shared_credentials_have_their_share() -> None:
    tenants = fleet.fleet_of(20_000, 1)
    sizes = [len(one.seconds) for one in tenants.chains]
    assert sum(sizes) == 20_000
    assert sum(size for size in sizes if size > 1) / 20_000 == pytest.approx(fleet.SHARED, abs=0.03)


def test_larger_tenants_need_more_requests() -> None:
    for name in fleet.SHARES:
        small, large = fleet.unit_of(load(name), 10), fleet.unit_of(load(name), 500_000)
        assert small[0] == fleet.need_of(name).windows
        assert large > small


@pytest.mark.slow
def test_the_need_of_a_night_is_what_the_plan_prints(shell: Shell, clock: HandClock) -> None:
    """After the same night before; the profiles of the tests have no rate limit, so seconds are not compared."""
    clock.time = fleet.NIGHT - timedelta(days=1)
    shell.run("sync", "webex", *INTO, "--since", "3d", "-f", "jsonl").ok()
    clock.move(days=1)
    (plan,) = json.loads(shell.run("plan", "webex", *INTO).ok().out)
    need = fleet.need_of("webex")
    assert (plan["windows"], plan["seconds_at_least"]) == (need.days, round(need.seconds))
    assert plan["requests_at_least"] == need.windows
