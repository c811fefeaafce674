"""Measures nights on a Dask cluster of this machine, and compares what they leave with the provider.

    python -m tests.units.night --tenants 60      each of two workers is killed once; what is lost or doubled
    python -m tests.units.night --speed 40        two workers beside one, with a provider that takes 50 ms

The provider is the sandbox, on this machine. The exit code is 1 if a record is lost or doubled, or a file differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.units.cluster import cluster
from tests.units.fleet_kit import SINCE, Fleet, fleet_in, night_with_kills

LATELY = "2026-11-20"
SECONDS = 0.05
"""How long the provider takes for a response."""


def judge(fleet: Fleet, tenants: int) -> bool:
    """Kill both workers of a night once, print what is lost and doubled, and return whether nothing is."""
    names = [f"t{at:03}" for at in range(tenants)]
    fleet.write(fleet.config, *((name, name) for name in names))
    fleet.providers.fail("webex", "slow", times=10**6, seconds=SECONDS)
    with cluster(2, fleet.environ, fleet.folder / "cluster.log") as two:
        code, told = night_with_kills(fleet, names, "night", two.address, two.ask("workers"), say)
    night = fleet.records("night")
    single, verified = fleet.run("verify", "--into", "night")
    fleet.run("sync", names[0], "--since", SINCE, "-f", "jsonl", "--into", "truth")
    truth = Counter({(f"profile={name}", line): 1 for name in names for _, line in fleet.records("truth")})
    lost, doubled = (truth - night).total(), (night - truth).total()
    say(f"exit code {code}; of {truth.total()} records of {tenants} tenants, {lost} lost and {doubled} doubled")
    say(f"verify: exit code {single}: {verified.strip()}")
    if code:
        say(told)
    return not (code or lost or doubled or single)


def compare(fleet: Fleet, tenants: int) -> None:
    """Print how long a night takes with one worker and with two."""
    names = [f"t{at:03}" for at in range(tenants)]
    fleet.write(fleet.config, *((name, name) for name in names))
    fleet.providers.fail("webex", "slow", times=10**6, seconds=SECONDS)
    for turn in range(2):
        took, within = dict[int, float](), dict[int, float]()
        for workers in (1, 2):
            with cluster(workers, fleet.environ, fleet.folder / "cluster.log") as running:
                fleet.run("sync", *names[:4], "--into", f"warm{turn}{workers}", "--dask", running.address)
                wall, began = time.time(), time.perf_counter()
                words = ("sync", "--all", "--since", LATELY, "--into", f"{turn}-{workers}", "--dask", running.address)
                code, told = fleet.run(*words)
                took[workers] = time.perf_counter() - began
                spans = [one[2:] for one in running.ask("stream") if one[3] > one[2] > wall]
            whole = within[workers] = max(until for _, until in spans) - min(since for since, _ in spans)
            busy = sum(until - since for since, until in spans)
            say(f"{workers} workers: {took[workers]:.1f} s, in tasks {whole:.1f} s, busy {busy / whole / workers:.0%}")
            if code:
                say(told)
        say(f"one worker ÷ two: {took[1] / took[2]:.2f}, in tasks {within[1] / within[2]:.2f}")


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run what the command line asks for, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=0)
    parser.add_argument("--speed", type=int, default=0)
    given = parser.parse_args()
    with TemporaryDirectory() as folder, fleet_in(Path(folder)) as fleet:
        if given.speed:
            compare(fleet, given.speed)
        return 0 if not given.tenants or judge(fleet, given.tenants) else 1


if __name__ == "__main__":
    sys.exit(main())
