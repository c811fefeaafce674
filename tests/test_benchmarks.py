"""The benchmarks: their server sends the right records, and every available program exports the same ones."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from benchmarks import archive_groups, archives, checks, groups, merges, provider_groups, report, server, wires
from benchmarks.measure import Measured, median
from cdrctl import PROVIDERS
from cdrctl.archive.ledger2 import JsonLedger
from cdrctl.archive.store import open_archive
from cdrctl.archive.verify import differences
from tests.support.products import for_each
from tests.support.program import CLOCK

ROOT = Path(__file__).parents[1]
DAY = datetime(2026, 11, 20, tzinfo=UTC)
WINDOW = "startTime=2026-11-20T00:00:00.000Z&endTime=2026-11-20T12:00:00.000Z"


def followed(pages: wires.Pages, target: str) -> list[list[dict[str, Any]]]:
    """Return the records of each page, following the links."""
    found = []
    while target:
        headers, parts = wires.webex(pages, wires.Asked(target, host="127.0.0.1:1"))
        found.append(json.loads(b"".join(parts))["items"])
        link = re.match(r'Link: <(.+)>; rel="next"\r\n$', headers)
        url = urlsplit(link[1]) if link else None
        target = f"{url.path}?{url.query}" if url else ""
    return found


def listing(pages: wires.Pages, target: str) -> dict[str, Any]:
    """Return the response to a listing of PortSIP."""
    body: dict[str, Any] = json.loads(b"".join(wires.portsip(pages, wires.Asked(target))[1]))
    return body


@for_each("count, sizes", [(210, [50, 50, 50, 50, 10]), (200, [50] * 4), (7, [7])])
def test_pages_of_webex_are_as_documented(count: int, sizes: list[int]) -> None:
    pages = followed(server.pages("webex", count, 50, DAY), f"/v1/cdr_feed?{WINDOW}&max=5000")
    assert [len(page) for page in pages] == sizes
    records = [record for page in pages for record in page]
    ids = [record["Report ID"] for record in records]
    assert ids == list(checks.sent("webex", count, 50))
    assert len(set(ids)) == count
    starts = [record["Start time"] for record in records]
    assert starts == sorted(starts)
    assert all(datetime.fromisoformat(start).date() == DAY.date() for start in starts)
    assert {len(record) for record in records} == {87}


@pytest.mark.parametrize("count", [310, 300])
def test_pages_of_portsip_are_as_documented(count: int) -> None:
    pages = server.pages("portsip", count, 100, DAY)
    bodies = [listing(pages, f"/api/cdrs?top=100&skip={skip}") for skip in range(0, 500, 100)]
    assert {body["count"] for body in bodies} == {count}
    records = [record for body in bodies for record in body["items"]]
    assert [record["id"] for record in records] == list(checks.sent("portsip", count, 100))
    starts = [record["started_at"] for record in records]
    assert starts == sorted(set(starts))


def test_the_windows_of_a_day_tile_its_pages() -> None:
    """Programs that fetch parts of the day in parallel get every record once."""
    pages = server.pages("portsip", 1010, 100, DAY)
    found: list[str] = []
    for hour in range(-3, 15, 3):
        since, until = DAY + timedelta(hours=hour), DAY + timedelta(hours=hour + 3)
        words = f"started_at ge '{since:%Y-%m-%dT%H:%MZ}' and started_at lt '{until:%Y-%m-%dT%H:%MZ}'".replace(
            " ", "%20"
        )
        skip, count = 0, 1
        while skip < count:
            body = listing(pages, f"/api/cdrs?filter={words}&top=30&skip={skip}")
            assert all(since <= datetime.fromisoformat(record["started_at"]) < until for record in body["items"])
            found += [record["id"] for record in body["items"]]
            skip, count = skip + len(body["items"]), body["count"]
    assert found == list(checks.sent("portsip", 1010, 100))


def test_pages_made_on_demand_are_equal_to_cached_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    beforehand = server.pages("webex", 120, 50, DAY)
    monkeypatch.setattr(server, "CACHED", 0)
    later = server.pages("webex", 120, 50, DAY)
    assert [beforehand.body(page) for page in range(3)] == [later.body(page) for page in range(3)]


def test_other_ids_have_another_checksum() -> None:
    sums = {checks.summed(ids) for ids in (["a", "b"], ["b", "a"], ["a", "a"], ["a"], ["a", "b", "b"])}
    assert len(sums) == 4


def test_every_goal_names_a_row_of_its_group_and_names_are_unique() -> None:
    for group in groups.groups(100_000):
        names = [row.name for row in group.rows]
        assert len(set(names)) == len(names)
        assert {one for row in group.rows for goal in row.goals for one in goal.others} <= {"", groups.WAITING, *names}
        assert group.base in {"", groups.WAITING, *names}


@pytest.mark.parametrize(
    "provider", [pytest.param(name, marks=() if name == "callgear" else pytest.mark.slow) for name in PROVIDERS]
)
def test_a_day_of_every_provider_is_merged(provider: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert provider in archive_groups.PROVIDERS
    merges.main([provider, "jsonl", "101", str(tmp_path)])
    changed, gone = map(int, re.findall(r"(\d+) (?:changed|gone)", capsys.readouterr().out))
    assert changed >= 1
    assert gone >= 1


def test_an_archive_of_many_profiles_is_whole(tmp_path: Path) -> None:
    archives.main([str(tmp_path), "3", "7", "2026-11-20"])
    archive = open_archive(tmp_path)
    ledger = JsonLedger(archive)
    assert ledger.names() == [(f"p{number:04}", "cdrs") for number in range(3)]
    assert not [*differences(archive, ledger.files())]
    assert [one.records for one in ledger.files("p0002", "cdrs")] == [3, 3, 0, 0, 0, 0, 0]


def test_growth_is_measured_up_to_the_requested_size() -> None:
    def sizes(records: int) -> list[int]:
        rows = next(group for group in groups.groups(records) if group.key == "memory").rows
        return sorted({row.server.count for row in rows if row.server})

    assert sizes(100_000) == [10_000, 100_000, 1_000_000]
    assert sizes(10_000_000) == [10_000, 100_000, 1_000_000, 10_000_000]
    assert sizes(200) == [20, 200]


def test_a_row_of_the_report_is_compared_with_its_goals() -> None:
    def took(seconds: float) -> list[Measured]:
        return [Measured(seconds, seconds, 50, 0, 0)] * 3

    group = next(group for group in groups.groups(100_000) if group.key == "webex-csv")
    results: dict[str, list[Measured] | str]
    results = {groups.SCRIPT: took(4), "cdrctl, native": took(2), "wxc_sdk": took(9), "dlt": "skipped: not there"}
    line = report.line(group.rows[1], group, results).replace("\N{MULTIPLICATION SIGN}", "x")
    assert line.endswith("| 0.50 | 0.50 | ≤ 0.6 x the script: 0.50 ✓; ≥ 5 x as fast as wxc_sdk: 4.5 ✗ |")
    assert report.line(group.rows[4], group, results).endswith("| skipped: not there |")
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 2, 3]) == 2.5


def kind(group: groups.Group) -> str:
    """Return of what kind a group is: of an archive, a provider, formats and the like, programs, or another."""
    if group.key.endswith(("-formats", "-where")) or group.key in {"sort", "together"}:
        return "formats"
    if group.key in {export.key for export in provider_groups.EXPORTS}:
        return "providers"
    if group.key in {"webex-csv", "latency", "start-up"}:
        return "programs"
    return "archives" if group.key.startswith("archive") else "others"


KINDS = ("programs",)
"""Groups with every program and every kind of row. The other groups have the same programs with other options."""
ALL_KINDS = ("others", "kazoo-cdrs", "callgear-calls", "archives", "providers", "formats")


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="what a process took is asked of POSIX")
@pytest.mark.parametrize("name", [*KINDS, *(pytest.param(name, marks=pytest.mark.full) for name in ALL_KINDS)])
def test_the_command_works_and_every_program_exports_the_same(tmp_path: Path, name: str) -> None:
    """The command itself compares each program's records with those sent. Times are not checked."""
    chosen = [group for group in groups.groups(200, 2, 7) if kind(group) == name or group.key == name]
    words = ["--only", *(group.key for group in chosen)]
    words += ["--records", "200", "--runs", "1", "--profiles", "2", "--days", "7", "--memory"]
    words += ["--output", str(tmp_path / "table.md")]
    if clock := [f"{name}={os.environ[name]}" for name in CLOCK & os.environ.keys()]:  # the environment is clean
        words += ["--cdrctl", shlex.join(["env", *clock, sys.executable, "-m", "cdrctl"])]
    command = [sys.executable, "-m", "benchmarks", *words]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == ran.stdout
    lines = ran.stdout.splitlines()
    figures = [line.split(" | ")[0].removeprefix("| ") for line in lines if re.match(r"\| .* \| +\d+\.\d+ \| ", line)]
    cdrctl = [row.name for group in chosen for row in group.rows if "{cdrctl}" in row.command]
    assert set(cdrctl) - {"cdrctl --jobs 4"} <= set(figures)
    assert "failed" not in ran.stdout
    assert all("is not installed" in line or "has no --" in line for line in lines if "skipped" in line)
