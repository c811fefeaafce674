"""Costs in the archive: joined to their records, kept, and requested once; judged by the truth of the sandbox."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cdrctl.sandbox import Sandbox
from cdrctl.sandbox.portsip.calls import cost_of
from cdrctl.sandbox.portsip.store import visible_records
from cdrctl.sandbox.portsip.times import microseconds
from tests.cli.archive_kit import INTO, NOW, clock, configure, providers, shell
from tests.support.clock import HandClock
from tests.support.runner import Shell

__all__ = ["clock", "providers", "shell"]  # fixtures

SINCE = NOW - timedelta(hours=24)
"""What began before is settled, so that only fill reads it again."""
UNTIL = NOW - timedelta(minutes=5)
CALL = {"portsip": "cdrs", "callgear": "legs"}
COST = {"portsip": "cost", "callgear": "total_charge"}
BOTH = pytest.mark.parametrize("name", ["portsip", pytest.param("callgear", marks=pytest.mark.slow)])
FORMATS = pytest.mark.parametrize(
    "form",
    ["jsonl", *(pytest.param(one, marks=pytest.mark.slow) for one in ("parquet", "jsonl.gz", "csv", "csv.gz"))],
)


def wanted(shell: Shell, text: str) -> None:
    """Write the tables of archive.toml, in place of the present ones."""
    path = shell.folder / "archive" / "archive.toml"
    head = path.read_text(encoding="utf-8").partition("\n[")[0].rstrip()
    path.write_text(f"{head}\n\n{text}\n", encoding="utf-8")


def with_costs(shell: Shell, name: str) -> None:
    wanted(shell, f"[providers.{name}.{CALL[name]}]\nwith_cost = true")


def sync(shell: Shell, name: str, code: int = 0, *options: str) -> str:
    ran = shell.run("sync", name, *INTO, "--call", CALL[name], *options)
    assert ran.code == code, ran.err
    return ran.err


def first_run(shell: Shell, providers: Sandbox, name: str, form: str = "jsonl") -> None:
    """Configure a provider alone, and archive its records without costs."""
    configure(shell, providers, name)
    sync(shell, name, 0, "-f", form)


def archived(shell: Shell, name: str, *options: str) -> list[dict[str, Any]]:
    """Return the native records of the archive."""
    ran = shell.run(name, CALL[name], "-p", name, "--from", "archive", "--since", "2026-11-01", *options)
    assert ran.code in {0, 3}, ran.err
    return ran.lines


def costs(shell: Shell, name: str) -> dict[str, Decimal]:
    """Return the costs in the archive that are not null, by the id of the record."""
    records = archived(shell, name)
    assert len({one["id"] for one in records}) == len(records)
    return {one["id"]: Decimal(one[COST[name]]) for one in records if one[COST[name]] is not None}


def truth(providers: Sandbox, name: str) -> dict[str, Decimal]:
    """Return the costs at the provider, by the id of the record."""
    if name == "callgear":
        rows = providers.truth("callgear", "costs", SINCE, UNTIL)
        return {str(one["leg_id"]): Decimal(str(one["total_charge"])) for one in rows}
    pbx = providers.provider("portsip").pbx
    found = visible_records(pbx, "cdrs", (microseconds(SINCE), microseconds(UNTIL)), "")
    rows = providers.truth("portsip", "cdrs", SINCE, UNTIL)
    return {row["id"]: Decimal(str(cost_of(one.call))) for row, one in zip(rows, found, strict=True)}


def details(providers: Sandbox, since: int = 0) -> list[str]:
    """Return the requests for details of PortSIP, from the nth request on."""
    return [one.path for one in providers.requests[since:] if "/cdrs/" in one.path]


@BOTH
@FORMATS
def test_costs_are_added_to_their_records_and_stay(shell: Shell, providers: Sandbox, name: str, form: str) -> None:
    """They are a change of the records, not further ones; without the option, they stay."""
    first_run(shell, providers, name, form)
    assert not costs(shell, name)
    keys = sorted(one["id"] for one in archived(shell, name))
    with_costs(shell, name)
    told = sync(shell, name)
    assert "warning" not in told
    assert " 0 new, 0 late" in told
    assert costs(shell, name) == truth(providers, name)
    before = len(providers.requests)
    assert " 0 changed" in sync(shell, name)
    assert not details(providers, before)
    wanted(shell, "")
    assert " 0 changed" in sync(shell, name)
    assert costs(shell, name) == truth(providers, name)
    assert sorted(one["id"] for one in archived(shell, name)) == keys
    common = archived(shell, name, "--schema", "common")
    assert sum(Decimal(one["cost"] or 0) for one in common) == sum(truth(providers, name).values()) > 0
    assert shell.run("verify", *INTO).ok().out == ""


@pytest.mark.slow
@pytest.mark.parametrize("status", [404, 500])
def test_a_record_whose_detail_fails_is_stored_and_its_day_is_incomplete(
    shell: Shell, providers: Sandbox, status: int
) -> None:
    """The next run asks for that detail only."""
    first_run(shell, providers, "portsip")
    whole = len(archived(shell, "portsip"))
    with_costs(shell, "portsip")
    failing = providers.truth("portsip", "cdrs", SINCE, UNTIL)[2]["id"]
    providers.fail("portsip", status, path=f"/cdrs/{failing}", times=50)
    told = sync(shell, "portsip", 3)
    assert f"the cost of record {failing} could not be fetched" in told
    assert len(archived(shell, "portsip")) == whole
    found = costs(shell, "portsip")
    assert found == {key: value for key, value in truth(providers, "portsip").items() if key != failing}
    before = len(providers.requests)
    sync(shell, "portsip", 3)
    assert {path.rpartition("/")[2] for path in details(providers, before)} == {failing}
    providers.switch("portsip", "fail", "none")
    sync(shell, "portsip")
    assert costs(shell, "portsip") == truth(providers, "portsip")


@pytest.mark.slow
def test_a_pbx_that_is_down_is_not_asked_for_each_detail(shell: Shell, providers: Sandbox) -> None:
    first_run(shell, providers, "portsip")
    whole = len(archived(shell, "portsip"))
    with_costs(shell, "portsip")
    providers.fail("portsip", 503, path="/cdrs/", times=10_000)
    before = len(providers.requests)
    sync(shell, "portsip", 3)
    assert 20 <= len(details(providers, before)) <= 2 * 3 * 20  # two days, three attempts
    assert len(archived(shell, "portsip")) == whole
    providers.switch("portsip", "fail", "none")
    sync(shell, "portsip")
    assert costs(shell, "portsip") == truth(providers, "portsip")


@pytest.mark.slow
@pytest.mark.parametrize("nth", [1, 2, 5, 9, 17])
def test_runs_that_break_off_among_the_details_end_in_the_truth(shell: Shell, providers: Sandbox, nth: int) -> None:
    first_run(shell, providers, "portsip")
    with_costs(shell, "portsip")
    for action in ("reset", 500, "not_json", 429):
        providers.fail("portsip", action, path="/cdrs/", nth=nth, times=3)
        shell.run("sync", "portsip", *INTO, "--call", "cdrs")
    providers.switch("portsip", "fail", "none")
    sync(shell, "portsip")
    assert costs(shell, "portsip") == truth(providers, "portsip")


@pytest.mark.slow
def test_legs_are_stored_where_their_costs_may_not_be_read(shell: Shell, providers: Sandbox) -> None:
    """The run names the right that is missing; stored costs stay."""
    first_run(shell, providers, "callgear")
    with_costs(shell, "callgear")
    sync(shell, "callgear")
    whole = costs(shell, "callgear")
    error = {"code": -32003, "message": "No.", "data": {"mnemonic": "forbidden"}}
    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error})
    providers.fail("callgear", 200, nth=3, body=body)  # after the zone and the currency
    told = sync(shell, "callgear", 3)
    assert "this user may not call CallGear's get.financial_call_legs_report" in told
    assert costs(shell, "callgear") == whole


@pytest.mark.slow
def test_older_days_get_their_costs_by_fill(shell: Shell, providers: Sandbox) -> None:
    """Coverage --check asks for it; without the option again, nothing is to be read again."""
    configure(shell, providers, "portsip")
    sync(shell, "portsip", 0, "--since", "4d")
    check = ("coverage", *INTO, "--check", "--call", "cdrs")
    shell.run(*check).ok()
    with_costs(shell, "portsip")
    sync(shell, "portsip")
    ran = shell.run(*check)
    assert ran.code == 3
    assert "cdrctl fill portsip --into archive" in ran.err
    days = json.loads(shell.run("coverage", *INTO).ok().out)
    assert [one.get("options") for one in days][-2:] == [[{"with_cost": True}]] * 2
    assert "options" not in days[0]
    shell.run("fill", "portsip", *INTO, "--call", "cdrs").ok()
    shell.run(*check).ok()
    assert all(one["cost"] is not None for one in archived(shell, "portsip"))
    before = len(providers.requests)
    wanted(shell, "")
    shell.run("fill", "portsip", *INTO, "--call", "cdrs").ok()
    assert len(providers.requests) - before <= 3
    shell.run(*check).ok()


# What other options select


@pytest.mark.slow
def test_records_that_a_filter_leaves_out_are_not_gone(shell: Shell, providers: Sandbox) -> None:
    """They stay unmarked, whatever the filters of later runs, also with --allow-shrink."""
    configure(shell, providers, "kazoo")
    shell.run("sync", "kazoo", *INTO, "-f", "jsonl").ok()
    path = next((shell.folder / "archive" / "profile=kazoo").rglob("date=2026-11-11/cdrs.jsonl"))
    before = path.read_bytes()
    for tables in (
        '[profiles.kazoo.cdrs]\nfilter = "direction=inbound"',
        "",
        "[providers.kazoo.cdrs]\ndescendants = true",
    ):
        wanted(shell, tables)
        for options in ([], ["--allow-shrink"]):
            ran = shell.run("sync", "kazoo", *INTO, *options).ok()
            assert " 0 gone" in ran.err
    lines = set(path.read_bytes().splitlines())
    assert lines > set(before.splitlines())  # and those of the descendants
    assert b"_gone_at" not in path.read_bytes()


@pytest.mark.slow
def test_records_that_a_filter_left_out_are_not_late(shell: Shell, providers: Sandbox) -> None:
    configure(shell, providers, "kazoo")
    shell.run("sync", "kazoo", *INTO, "--call", "interactions").ok()
    wanted(shell, '[profiles.kazoo.cdrs]\nfilter = "direction=inbound"')
    shell.run("sync", "kazoo", *INTO).ok()
    wanted(shell, "")
    told = shell.run("sync", "kazoo", *INTO).ok().err
    assert " 0 late" in told
    assert " 0 new" not in told


@pytest.mark.slow
def test_the_cost_of_a_record_that_changes_is_requested_again(shell: Shell, providers: Sandbox) -> None:
    first_run(shell, providers, "portsip")
    with_costs(shell, "portsip")
    sync(shell, "portsip")
    providers.switch("portsip", "changed", "0.3")
    before = len(providers.requests)
    told = sync(shell, "portsip")
    asked = len(details(providers, before))
    assert 0 < asked < len(costs(shell, "portsip")) / 2
    assert f" {asked} changed" in told


@pytest.mark.slow
def test_a_record_that_leaves_an_unfiltered_listing_is_gone(shell: Shell, providers: Sandbox) -> None:
    """The guard of filters does not hide what the provider really lost."""
    configure(shell, providers, "portsip")
    wanted_later = "[profiles.portsip.cdrs]\nfilter = \"direction ne 'x'\""
    sync(shell, "portsip", 0, "-f", "jsonl")
    providers.switch("portsip", "dropped", "0.3")
    assert "no longer at the provider" in sync(shell, "portsip", 3)
    wanted(shell, wanted_later)
    sync(shell, "portsip", 0)


# Call logs


def calls(shell: Shell) -> set[str]:
    return {one.name for one in (shell.folder / "archive" / "profile=portsip").glob("call=*")}


@pytest.mark.slow
def test_call_logs_are_archived_beside_the_calls(shell: Shell, providers: Sandbox) -> None:
    configure(shell, providers, "portsip")
    told = shell.run("sync", "portsip", *INTO).ok().err
    assert "portsip portsip calllogs: 2 days" in told
    ran = shell.run(
        "portsip", "calllogs", "-p", "portsip", "--from", "archive", "--since", "2026-11-11", "--allow-partial"
    )
    assert len(ran.ok().lines) == len(providers.truth("portsip", "calllogs", SINCE.replace(hour=0), UNTIL))
    common = shell.run("sql", "--from", "archive", "-q", "SELECT DISTINCT call FROM common").ok().lines
    assert [one["call"] for one in common] == ["cdrs"]
    wanted(shell, '[profiles.portsip]\nsync = ["cdrs"]')
    assert "calllogs" not in shell.run("sync", "portsip", *INTO).ok().err


@pytest.mark.slow
def test_a_pbx_without_call_logs_is_no_failure(shell: Shell, providers: Sandbox, clock: HandClock) -> None:
    """It is said once, and by coverage; once the PBX has them, they are archived. Who asks for them by name gets 7."""
    configure(shell, providers, "portsip")
    providers.switch("portsip", "version", "16")
    words = "this PBX does not know /calllogs (needs v22.0.42)"
    assert words in shell.run("sync", "portsip", *INTO).ok().err
    assert "calllogs" not in shell.run("sync", "portsip", *INTO).ok().err
    ran = shell.run("coverage", *INTO).ok()
    assert f"portsip calllogs: {words}" in ran.err
    assert {one["call"] for one in json.loads(ran.out)} == {"cdrs"}
    clock.move(days=1)
    shell.run("sync", "portsip", *INTO).ok()
    shell.run("coverage", *INTO, "--check").ok()
    assert shell.run("sync", "portsip", *INTO, "--call", "calllogs").code == 7
    providers.switch("portsip", "version", "22.2")
    shell.run("sync", "portsip", *INTO).ok()
    assert words not in shell.run("coverage", *INTO).ok().err
    providers.switch("portsip", "version", "16")
    assert shell.run("sync", "portsip", *INTO).code == 7


# Mistakes in archive.toml


@pytest.mark.slow
def test_a_mistake_stops_only_the_profiles_that_it_is_about(shell: Shell, providers: Sandbox) -> None:
    configure(shell, providers, "portsip", "voicenter")
    shell.run("sync", "portsip", *INTO, "--call", "cdrs").ok()
    wanted(shell, "[providers.portsip.cdrs]\nwith_costs = true\n[profiles.voicentre.cdrs]\nphone = '1'")
    ran = shell.run("sync", "--all", *INTO)
    assert ran.code == 6
    assert "archive.toml: unknown option 'with_costs' in [providers.portsip.cdrs]" in ran.err
    assert "there is no profile 'voicentre', so its tables have no effect; did you mean voicenter?" in ran.err
    assert "voicenter cdrs: 2026-11-11" in ran.err
    assert shell.run("plan", "portsip", *INTO).code == 6
    assert shell.run("coverage", *INTO).code == 0


@pytest.mark.slow
def test_an_option_that_the_provider_refuses_names_its_table(shell: Shell, providers: Sandbox) -> None:
    first_run(shell, providers, "portsip")
    wanted(shell, "[profiles.portsip.cdrs]\nfilter = 'no such thing'")
    told = sync(shell, "portsip", 6)
    assert "archive.toml: PortSIP does not accept --filter 'no such thing', in [profiles.portsip.cdrs]" in told


@pytest.mark.slow
def test_the_first_layout_refuses_options(shell: Shell, providers: Sandbox) -> None:
    folder = shell.folder / "archive"
    folder.mkdir()
    (folder / "archive.toml").write_text('zone = "UTC"\nformat = "jsonl"\n', encoding="utf-8")
    configure(shell, providers, "portsip")
    shell.run("sync", "portsip", *INTO).ok()
    assert (folder / "portsip" / "calllogs").is_dir()
    wanted(shell, "[profiles.portsip.cdrs]\nwith_cost = true")
    ran = shell.run("sync", "portsip", *INTO)
    assert ran.code == 6
    assert "cdrctl archive convert" in ran.err


@pytest.mark.slow
def test_a_pbx_that_was_down_before_it_had_no_call_logs_has_no_missing_days(shell: Shell, providers: Sandbox) -> None:
    configure(shell, providers, "portsip", max_wait="0s")
    providers.fail("portsip", 503, path="/calllogs", times=100)
    assert shell.run("sync", "portsip", *INTO).code == 5
    assert {one["call"] for one in json.loads(shell.run("coverage", *INTO).out)} == {"cdrs", "calllogs"}
    providers.switch("portsip", "fail", "none")
    providers.switch("portsip", "version", "16")
    shell.run("sync", "portsip", *INTO).ok()
    assert {one["call"] for one in json.loads(shell.run("coverage", *INTO).ok().out)} == {"cdrs"}
