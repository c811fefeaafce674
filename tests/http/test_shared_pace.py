"""Runs that use one credential on one host share its rate limit."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings as examples, strategies as st

from cdrctl.http import Clock, RateLimit, RetryPolicy
from cdrctl.http.pace import EVERY
from cdrctl.profiles import pace as shared
from tests.http.shared_pace_kit import ONE_A_MINUTE, ROOT, SECRET, Host, host, shelf
from tests.support.clock import NOON
from tests.support.wires import answering, client

__all__ = ["host"]


def crowded(budget: RateLimit, times: list[float]) -> bool:
    """Return whether an interval has more requests than the rate limit."""
    times = sorted(times)
    pairs = zip(times, times[budget.requests :], strict=False)
    return any(round(last - first, 6) < budget.seconds for first, last in pairs)


# One queue


def test_consecutive_runs_keep_the_rate_limit_together(host: Host) -> None:
    assert host.run().reserve("window").wait == 0
    host.seconds = 10
    assert host.run().reserve("window").wait == 50


def test_a_later_run_waits_behind_all_waiting_runs(host: Host) -> None:
    assert [host.run().reserve("window").wait for _ in range(4)] == [0, 60, 120, 180]
    host.seconds = 130
    assert host.run().reserve("window").wait == 110


def test_a_request_waits_only_for_requests_of_its_kind(host: Host) -> None:
    both = {"window": RateLimit(1, 60), EVERY: RateLimit(2, 10)}
    kinds = ["window", "window", "page", "page", "page"]
    assert [host.run(both).reserve(kind).wait for kind in kinds] == [0, 60, 0, 10, 10]


def test_a_reservation_in_the_future_counts_for_other_kinds(host: Host) -> None:
    both = {"window": RateLimit(1, 60), EVERY: RateLimit(1, 10)}
    assert [host.run(both).reserve("window").wait for _ in range(2)] == [0, 60]
    host.seconds = 51  # nine seconds before the second reservation
    assert host.run(both).reserve("page").wait == 19


def test_a_reservation_moved_by_one_rate_limit_is_checked_by_all_again(host: Host) -> None:
    both = {EVERY: RateLimit(1, 10), "window": RateLimit(1, 60)}
    assert host.run(both).reserve("window").wait == 0
    assert host.run(both, 1).reserve("page").wait == 60
    host.seconds = 20
    assert host.run(both).reserve("window").wait == 50


def test_reservations_are_kept_as_long_as_they_count(host: Host) -> None:
    budget = {"page": RateLimit(2, 60)}
    waits = []
    for host.seconds in (0, 40, 50, 101, 119, 160):
        waits.append(host.run(budget).reserve("page").wait)
    assert waits == [0, 0, 10, 0, 1, 1]


def test_a_long_export_leaves_a_small_file(host: Host) -> None:
    run = host.run({EVERY: RateLimit(5, 1)})
    for _ in range(300):
        host.seconds += run.reserve("page").wait
    assert len(json.loads(shelf(host.folder).path.read_bytes())["sent"]["page"]) <= 8


scripts = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["window", "page", "sign-in"]), st.integers(0, 30), st.booleans()),
        max_size=10,
    ),
    min_size=2,
    max_size=3,
)
published = st.dictionaries(
    st.sampled_from(["window", "page", EVERY]), st.builds(RateLimit, st.integers(1, 4), st.integers(1, 60)), min_size=1
)


@pytest.mark.slow
@given(published, scripts, st.lists(st.sampled_from([None, 1, 30]), min_size=3, max_size=3))
@example(  # a faster run must not move the reservations of slower ones
    {"page": RateLimit(1, 1)},
    [[("window", 1, False), ("page", 0, False)]] * 2 + [[("window", 0, False), ("page", 0, False)]],
    [1, None, 1],
)
@examples(deadline=None)
def test_no_interval_has_more_requests_than_the_rate_limit(
    budgets: dict[str, RateLimit], scripts: list[list[tuple[str, int, bool]]], own: list[float | None]
) -> None:
    """Up to three runs reserve at any time, wait as long as required, and restart with only the file."""
    with tempfile.TemporaryDirectory() as folder:
        host, out = Host(Path(folder)), []
        at = shelf(host.folder)
        runs = [host.run(budgets, pace, at) for pace in own]
        free = [0.0] * len(scripts)
        left = [list(script) for script in scripts]
        while any(left):
            host.seconds, who = min((free[who], who) for who, script in enumerate(left) if script)
            kind, later, anew = left[who].pop(0)
            if anew:
                runs[who] = host.run(budgets, own[who], at)
            sent = host.seconds + runs[who].reserve(kind).wait
            out.append((kind, sent))
            free[who] = sent + later
        assert host.said == []
    for counted, budget in budgets.items():
        assert not crowded(budget, [sent for kind, sent in out if counted in (kind, EVERY)])


@pytest.mark.process
def test_concurrent_processes_keep_one_rate_limit(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, datetime\n"
        "from cdrctl.http.pace import Clock, RateLimit, RateLimiter\n"
        "from cdrctl.profiles.pace import PaceFile\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "noon = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)\n"
        "clock = Clock(lambda: noon, lambda: 0.0)\n"
        "pace = RateLimiter({'page': RateLimit(5, 10)}, None, clock, PaceFile(folder / 'a.json', folder / 'lock'))\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "for _ in range(25): print(pace.reserve('page').wait)\n"
    )
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for each in racing:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in racing:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    out: list[float] = []
    for each in racing:
        said, _ = each.communicate()
        assert each.returncode == 0
        out += map(float, said.split())
    assert sorted(out) == [float(n // 5 * 10) for n in range(75)]


def test_no_run_waits_while_it_holds_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "PACE_LOCK_SECONDS", 0)
    transport, asked = answering(httpx.Response(200, json={}))
    at, waits, others = shelf(tmp_path), [], Host(tmp_path)

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        others.run().reserve("window")

    clock = Clock(lambda: NOON, lambda: 0.0, sleep)
    one = client(retry_policy=RetryPolicy(ONE_A_MINUTE), clock=clock, rate_store=at, transport=transport)
    for _ in range(2):
        one.get("/x", kind="window")
    assert waits == [60]
    assert others.said == []
    assert len(asked) == 2


# Whose queue


def test_profiles_with_one_credential_share_a_queue(host: Host) -> None:
    one = shelf(host.folder, access_token=SECRET)
    other = shelf(host.folder, access_token=SECRET, timeout=5, timezone="Asia/Tokyo", requests_per_minute=30)
    assert [host.run(at=at).reserve("window").wait for at in (one, other)] == [0, 60]


@pytest.mark.parametrize(
    "other",
    [
        {"access_token": "another-token"},
        {"access_token": SECRET, "base_url": "https://analytics-calling-eu.webexapis.com/v1"},
        {"client_id": "c", "client_secret": "s", "refresh_token": SECRET},
    ],
)
def test_another_token_or_host_has_its_own_queue(host: Host, other: dict[str, Any]) -> None:
    assert host.run().reserve("window").wait == 0
    assert host.run(at=shelf(host.folder, **other)).reserve("window").wait == 0


def test_another_provider_has_its_own_queue(tmp_path: Path) -> None:
    where = {"access_token": SECRET, "base_url": "https://one.example/api"}
    assert shelf(tmp_path, "voicenter", **where) != shelf(tmp_path, "portsip", **where)


def test_http_and_https_to_one_host_share_a_queue(tmp_path: Path) -> None:
    plain = {"access_token": SECRET, "base_url": "http://PBX.example:8885/api", "allow_http": True}
    sealed = {"access_token": SECRET, "base_url": "https://pbx.example:8887/api/"}
    assert shelf(tmp_path, "portsip", **plain) == shelf(tmp_path, "portsip", **sealed)


def test_neither_the_file_nor_its_name_contains_the_secret(host: Host) -> None:
    at = shelf(host.folder)
    host.run().reserve("window")
    assert at.path.parent == host.folder / "pace"
    assert SECRET not in at.path.name + at.path.read_text(encoding="utf-8") + repr(at)
    assert sorted(each.name for each in at.path.parent.iterdir()) == sorted([at.path.name, "lock"])


# The rate limit of a profile


def test_the_rate_limit_of_a_profile_counts_all_requests_and_delays_only_its_own(host: Host) -> None:
    quick, slow = {EVERY: RateLimit(5, 1)}, 1
    assert host.run(quick).reserve("page").wait == 0
    assert host.run(quick, slow).reserve("page").wait == 60
    host.seconds = 30  # long after the first request counts for the quick runs
    assert host.run(quick).reserve("page").wait == 0
    host.seconds = 59
    assert host.run(quick, slow).reserve("page").wait == 61


def test_a_fractional_rate_is_rounded_to_the_slower_side(host: Host) -> None:
    assert 60 <= [host.run({}, 7).reserve("page").wait for _ in range(8)][-1] < 60.001


@pytest.mark.parametrize(
    ("budgets", "own", "kind"), [(ONE_A_MINUTE, 0, "window"), ({}, None, "window"), (ONE_A_MINUTE, None, "sign-in")]
)
def test_requests_without_a_rate_limit_use_no_file(
    host: Host, budgets: dict[str, RateLimit], own: float | None, kind: str
) -> None:
    run = host.run(budgets, own)
    assert [run.reserve(kind).wait for _ in range(3)] == [0, 0, 0]
    run.give_back()
    assert list(host.folder.iterdir()) == []
