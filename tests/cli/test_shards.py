"""`--shard` of sync, fill and plan."""

from __future__ import annotations

import json

import pytest

from cdrctl.fetchers import PROVIDERS
from tests.cli.archive_kit import INTO, clock, providers, shell
from tests.support.runner import Shell

__all__ = ["clock", "providers", "shell"]  # fixtures


def test_each_profile_is_planned_in_one_of_all_shards(shell: Shell) -> None:
    planned = [
        each["profile"]
        for n in range(3)
        for each in json.loads(shell.run("plan", "--all", "--shard", f"{n}/3").ok().out or "[]")
        if each["call"] != "calllogs"
    ]
    assert sorted(planned) == sorted(PROVIDERS)


def test_a_shard_without_profiles_succeeds_and_says_so(shell: Shell) -> None:
    ran = [shell.run("sync", "--all", "--shard", f"{n}/99991", "--call", "cdrs", *INTO) for n in (1, 2)]
    assert all(one.code == 0 for one in ran)
    assert all("all profiles are in other shards" in one.err for one in ran)


@pytest.mark.parametrize("command", ["sync", "plan"])
def test_a_shard_of_single_profiles_is_refused(shell: Shell, command: str) -> None:
    into = () if command == "plan" else INTO
    ran = shell.run(command, "webex", "--shard", "1/2", *into)
    assert (ran.code, "use it with --all or --tag" in ran.err) == (2, True)
