"""`python -m benchmarks.fleet`: simulates a night of 100 000 tenants, and prints how long it takes and what it costs.

What a tenant needs is what `cdrctl plan` prints: the days of `archive.planning` and the requests and seconds of
`archive.calendar`, after the same night before. Everything else is an assumption, and each has its name and its reason
below. Nothing is sent, the clock is simulated, and the same seed gives the same table.
"""

from __future__ import annotations

import argparse
import functools
import heapq
import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cdrctl import PROVIDERS
from cdrctl.archive.calendar import estimate
from cdrctl.archive.day import Day
from cdrctl.archive.intervals import Reading, add_reading
from cdrctl.archive.planning import available_until, first_instant, plan_days, retained_since
from cdrctl.archive.settings import Settings
from cdrctl.archive.store import Archive
from cdrctl.fetchers import Provider, load
from cdrctl.fetchers.options import default_options

NIGHT = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
"""When the night begins: the time that docs/cron.md recommends."""

SHARES = {"webex": 0.4, "portsip": 0.2, "kazoo": 0.15, "callgear": 0.15, "voicenter": 0.1}
"""The share of each provider among the tenants."""

SHARED, GROUP = 0.1, 20
"""The share of tenants whose credential has others, too, and how many a group has on average, at least two."""

MEDIAN, SIGMA, MOST = 200, 1.6, 500_000
"""Records of a tenant and day: a log-normal distribution, so that one tenant in a hundred has 40 times the median."""

PAGE = 10_000
"""Records of a page where the call has no option for it."""

LATENCY = 0.3
"""Seconds that a provider takes for a response."""

SETUP, PER_RECORD = 0.15, 40e-6
"""Seconds of CPU of a worker for a profile and for a record: measured with one worker, rounded up."""

OUTAGE, OUTAGE_SECONDS = 0.3, 1800.0
"""The probability that a provider has an outage in the night, and its mean length."""

PATIENCE = 900.0
"""How long a request waits for the end of an outage: --max-wait."""

LIVES, REPLACED = 100 * 3600.0, 60.0
"""The mean life of a worker, and how long it takes to replace one that died."""

STORE = {"list": 2, "get": 3, "put": 1}
"""Requests to the store for a unit, besides its days: two listings, its ledger and settings, and the ledger written."""

OF_DAY = {"get": 2, "put": 2}
"""Requests to the store for a day that is read again: its file and readings."""

BYTES = 60
"""Bytes of a record in Parquet with zstd."""

DOLLARS = {"list": 0.005 / 1000, "put": 0.005 / 1000, "get": 0.0004 / 1000}
MONTH_OF_GIGABYTE = 0.023
"""List prices of S3 Standard in us-east-1 (aws.amazon.com/s3/pricing, as of April 2024), of the first 50 TB."""


@dataclass(frozen=True, slots=True)
class Need:
    """What the night of one call of a provider needs, whatever the size of the tenant."""

    days: int
    windows: int
    seconds: float


@dataclass(slots=True)
class Chain:
    """The tenants of one credential, one after the other.

    Args:
        provider: Their provider.
        seconds: How long each takes.
    """

    provider: str
    seconds: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Fleet:
    """All tenants of a night, and what they ask of providers and of the store."""

    chains: list[Chain]
    requests: Counter[str]
    store: Counter[str]
    records: int
    tenants: int


@dataclass(slots=True)
class Night:
    """How a night went.

    Args:
        seconds: From its beginning to the end of the last unit.
        longest: How long the longest credential takes alone.
        busy: The seconds of all units.
        failed: Units that an outage outlasted: the next night reads their days.
        deaths: Workers that died; their units were done again.
        waited: Seconds that units waited for the end of an outage.
    """

    seconds: float
    longest: float
    busy: float
    failed: int = 0
    deaths: int = 0
    waited: float = 0.0


@functools.cache
def need_of(name: str) -> Need:
    """Return what a night of a provider's main call needs, one day after the night before, as `cdrctl plan` counts."""
    provider = load(name)
    archive, call = Archive(Path(), Settings("UTC", "parquet")), provider.calls[0]
    known: dict[str, list[Reading]] = {}
    begins = first_instant(archive, call, NIGHT - timedelta(days=9), call.timing.lookback, None, None)
    days: list[Day] = []
    for at in (NIGHT - timedelta(days=left) for left in range(9, -1, -1)):
        days, _ = plan_days(
            begins, available_until(call, at), retained_since(call, at), known, archive, call.timing.lookback
        )
        for day in days:
            known[day.name] = add_reading(known.get(day.name, []), Reading(day.window, "done", at))
    least = estimate(provider, call, days, None)
    return Need(len(days), least.requests, least.seconds)


def unit_of(provider: Provider, records: int) -> tuple[int, float]:
    """Return how many requests a tenant with so many records a day needs, and how many seconds."""
    need, call = need_of(provider.name), provider.calls[0]
    size = int(default_options(call).get("page_size") or PAGE)
    more = max(0, math.ceil(records * need.days / size) - need.windows)
    requests = need.windows + more
    budgets = [one for kind, one in provider.retry_policy.budgets.items() if kind in {"*", "page"}]
    paced = max((more * one.seconds / one.requests for one in budgets), default=0.0)
    work = SETUP + PER_RECORD * records * need.days
    return requests, max(need.seconds + paced, requests * LATENCY) + work


def fleet_of(tenants: int, seed: int) -> Fleet:
    """Return tenants at random; the same seed gives the same ones."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    providers = {name: load(name) for name in PROVIDERS}
    fleet = Fleet([], Counter(), Counter(), 0, tenants)
    left = tenants
    while left:
        name = rng.choices([*SHARES], [*SHARES.values()])[0]
        mean = GROUP / SHARED * (1 - SHARED) + 1  # groups among the credentials, so that their tenants have the share
        size = min(left, 2 + int(rng.expovariate(1 / (GROUP - 2))) if rng.random() < 1 / mean else 1)
        chain = Chain(name)
        for _ in range(size):
            records = min(MOST, int(rng.lognormvariate(math.log(MEDIAN), SIGMA)))
            requests, seconds = unit_of(providers[name], records)
            chain.seconds.append(seconds)
            fleet.requests[name] += requests
            fleet.records += records
            days = need_of(name).days
            fleet.store.update({kind: count + days * OF_DAY.get(kind, 0) for kind, count in STORE.items()})
        fleet.chains.append(chain)
        left -= size
    return fleet


def night_of(fleet: Fleet, workers: int, jobs: int, seed: int) -> Night:
    """Return how a night goes with so many workers, each with so many units at the same time."""
    rng = random.Random(f"{seed} {workers}")  # noqa: S311 - not for secrets
    outages = {name: _outage(rng) for name in SHARES}
    longest = max(sum(one.seconds) for one in fleet.chains)
    night = Night(0.0, longest, sum(sum(one.seconds) for one in fleet.chains))
    slots = [(0.0, worker) for worker in range(workers) for _ in range(jobs)]
    heapq.heapify(slots)
    dies = [rng.expovariate(1 / LIVES) for _ in range(workers)]
    for chain in sorted(fleet.chains, key=lambda one: -len(one.seconds)):  # as `sync --dask` begins
        at, worker = heapq.heappop(slots)
        for seconds in chain.seconds:
            at = _unit_end(night, outages[chain.provider], at, seconds)
            if at > dies[worker]:  # the unit is done again, by a new worker
                night.deaths += 1
                at = dies[worker] + REPLACED + seconds
                dies[worker] = at + rng.expovariate(1 / LIVES)
        heapq.heappush(slots, (at, worker))
        night.seconds = max(night.seconds, at)
    return night


def _outage(rng: random.Random) -> tuple[float, float]:
    """Return when an outage of a provider begins and ends; never, if both are 0."""
    happens, begins, length = rng.random() < OUTAGE, rng.uniform(0, 6 * 3600), rng.expovariate(1 / OUTAGE_SECONDS)
    return (begins, begins + length) if happens else (0.0, 0.0)


def _unit_end(night: Night, outage: tuple[float, float], at: float, seconds: float) -> float:
    """Return when a unit ends that begins at an instant; one that an outage outlasts fails."""
    begins, ends = outage
    if at >= ends or at + seconds <= begins:
        return at + seconds
    meets = max(at, begins)
    if ends - meets > PATIENCE:
        night.failed += 1
        night.waited += PATIENCE
        return meets + PATIENCE
    night.waited += ends - meets
    return at + seconds + (ends - meets)


def monthly_dollars(fleet: Fleet, months_kept: int = 12) -> tuple[float, float]:
    """Return the list price of a month's requests to the store, and of the storage of a year's records."""
    requests = 30 * sum(count * DOLLARS[kind] for kind, count in fleet.store.items())
    stored = fleet.records * 30 * months_kept * BYTES / 1e9
    return requests, stored * MONTH_OF_GIGABYTE


def table(fleet: Fleet, sizes: Sequence[int], jobs: int, seed: int) -> str:
    """Return the report of a fleet, as Markdown."""
    requests, storage = monthly_dollars(fleet)
    lines = [
        f"{fleet.tenants} tenants, {len(fleet.chains)} credentials, {fleet.records} records a day, seed {seed}",
        "",
        "| provider | days a night | requests a night, least | seconds of budget | requests of all tenants |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in SHARES:
        need = need_of(name)
        lines.append(f"| {name} | {need.days} | {need.windows} | {need.seconds:.0f} | {fleet.requests[name]} |")
    lines += ["", "| workers × units | night | bound by | failed by outages | workers died |"]
    lines.append("|---|---:|---|---:|---:|")
    longest = max(sum(one.seconds) for one in fleet.chains)
    for workers in sizes:
        night = night_of(fleet, workers, jobs, seed)
        bound = "slots" if night.busy / workers / jobs > longest else "the longest credential"
        hours = f"{night.seconds / 3600:.1f} h"
        lines.append(f"| {workers} × {jobs} | {hours} | {bound} | {night.failed} | {night.deaths} |")
    store = fleet.store
    lines += ["", f"The longest credential takes {longest / 3600:.1f} h, with any number of workers."]
    lines.append(f"The store: {store['list']} LIST, {store['get']} GET and {store['put']} PUT a night;")
    lines.append(f"${requests:.0f} a month for requests, ${storage:.0f} a month to keep a year.")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Simulate a night of many tenants.")
    parser.add_argument("--tenants", type=int, default=100_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8, 32, 128, 512])
    parser.add_argument("--jobs", type=int, default=8, help="units of each worker at the same time")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(table(fleet_of(given.tenants, given.seed), given.workers, given.jobs, given.seed))


if __name__ == "__main__":
    main()
