"""Whole calls beside their legs: equal to the calls of the legs, at any time, or not there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import resource
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cdrctl import sandbox
from cdrctl.archive.store import FIRST_LAYOUT, open_or_create
from cdrctl.fetchers import PROVIDERS
from cdrctl.figures.definitions import NAMES, figure
from cdrctl.figures.groups import KEYS, cannot
from cdrctl.sandbox import Exchange
from tests.archive.test_crash import child, folders, kill, provider, shell as killable
from tests.cli.archive_kit import configure
from tests.support.clock import HandClock
from tests.support.runner import Shell

__all__ = ["killable", "provider"]  # fixtures

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 13, 12, 0, tzinfo=UTC)
INTO = ("--into", "archive")
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Return a shell in whose folder `made` is an archive of all providers, with stored calls of two days."""
    folder, clock = tmp_path_factory.mktemp("stored"), HandClock(NOW)
    with sandbox.start(exchange=Exchange(1, volume=0.15), now=clock) as providers:
        shell = Shell(folder, clock)
        configure(shell, providers, *PROVIDERS)
        words = ("--into", f"{folder}/made", "--since", "2026-11-10", "--with-calls")
        shell.run("sync", "--all", *words, "-f", "jsonl", "-q").ok()
        yield shell


@pytest.fixture
def shell(made: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Return the shell in a new folder with a copy of the archive."""
    shutil.copytree(made.folder / "made", tmp_path / "archive")
    monkeypatch.chdir(tmp_path)
    return made


def stored(form: str = "jsonl", folder: Path = Path("archive")) -> dict[tuple[str, str], Rows]:
    """Return the stored calls by profile and day."""
    found = {}
    for path in sorted(folder.glob(f"calls/profile=*/date=*/calls.{form}")):
        profile, day = (part.partition("=")[2] for part in path.parts[-3:-1])
        found[profile, day] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return found


def joined(shell: Shell, day: str, *words: str, archive: str = "archive") -> Rows:
    """Return the calls of a day as `cdrctl calls` joins them: with another margin, it takes none that are stored."""
    until = (datetime.fromisoformat(day) + timedelta(days=1)).date().isoformat()
    return exported(shell, day, until, "--margin", "361m", *words, archive=archive)


def exported(shell: Shell, since: str, until: str, *words: str, archive: str = "archive", code: int = 0) -> Rows:
    ran = shell.run(
        "calls", "--all", "--from", archive, "--since", since, "--until", until, *words, "-f", "jsonl", "-q"
    )
    assert ran.code == code, ran.err
    return ran.lines


def of(rows: Rows, profile: str) -> Rows:
    found = [
        {key: value for key, value in row.items() if key != "profile"} for row in rows if row["profile"] == profile
    ]
    return sorted(found, key=lambda row: str(row["call_id"]))


def test_stored_calls_are_those_of_the_legs(shell: Shell) -> None:
    found = stored()
    assert {profile for profile, _ in found} == set(PROVIDERS)
    for day in ("2026-11-10", "2026-11-11"):
        whole = joined(shell, day)
        assert len(whole) > 50
        for profile in PROVIDERS:
            assert sorted(found[profile, day], key=lambda row: str(row["call_id"])) == of(whole, profile)
    assert {day for _, day in found} == {"2026-11-10", "2026-11-11"}, "a leg may still join the calls of later days"
    assert shell.run("verify", *INTO).ok().out == ""


@pytest.mark.parametrize("form", [pytest.param("csv.gz", marks=pytest.mark.full), "parquet"])
def test_other_formats_have_the_same_calls(shell: Shell, form: str) -> None:
    shell.run("archive", "convert", "archive", "new", "-f", form).ok()
    with Path("new/archive.toml").open("a", encoding="utf-8") as file:
        file.write("\n[calls]\nstore = true\n")
    shell.run("sync", "kazoo", "voicenter", "--into", "new", "-q").ok()
    for (profile, day), rows in stored().items():
        path = f"new/calls/profile={profile}/date={day}/calls.{form}"
        if profile in {"kazoo", "voicenter"}:
            ran = shell.run("stats", path, "--figures", "calls,talk", "-f", "jsonl").ok().lines
            assert [Decimal(one["numerator"]) for one in ran] == [
                len(rows),
                sum(row["talk_seconds"] or 0 for row in rows),
            ]
            assert by_sql(shell, f"profile = '{profile}' AND date = '{day}'", "new") == told(rows)


def assert_current(shell: Shell) -> None:
    """Check that what is stored is what the legs make, whatever happened."""
    for (profile, day), rows in stored().items():
        assert sorted(rows, key=lambda row: str(row["call_id"])) == of(joined(shell, day), profile)


def test_a_leg_that_comes_late_is_in_its_call_and_removed_legs_are_not(shell: Shell) -> None:
    before = stored()
    number = next(row["from_number"] for row in before["kazoo", "2026-11-11"] if row["direction"] == "inbound")
    shutil.copytree("archive", "whole")
    shell.run("archive", "erase", *INTO, "--number", number, "--yes").ok()
    erased = stored()
    assert erased.keys() == before.keys()
    assert erased != before
    digits = number.lstrip("+")
    for path in Path("archive/calls").glob("**/calls.jsonl"):
        assert digits not in path.read_text(encoding="utf-8"), path
    assert_current(shell)
    assert shell.run("verify", *INTO).ok().out == ""
    for name in ("profile=kazoo", "_cdrctl/ledger/kazoo"):  # the legs come late, and the calls are of before
        shutil.rmtree(f"archive/{name}")
        shutil.copytree(f"whole/{name}", f"archive/{name}")
    ran = shell.run("verify", *INTO)
    assert ran.code == 3
    assert "calls/profile=kazoo/date=2026-11-11/calls.jsonl\twas changed, or its legs were" in ran.out
    shell.run("verify", *INTO, "--rebuild")
    assert stored()["kazoo", "2026-11-11"] == before["kazoo", "2026-11-11"]


def test_a_file_that_was_changed_or_deleted_is_written_again(shell: Shell) -> None:
    before = stored()
    changed, deleted = (Path(f"archive/calls/profile=kazoo/date=2026-11-1{at}/calls.jsonl") for at in (0, 1))
    changed.write_bytes(changed.read_bytes()[:-20])
    deleted.unlink()
    Path("archive/calls/profile=webex/_calls.json").write_text("{")
    ran = shell.run("verify", *INTO)
    assert (ran.code, len(ran.out.splitlines())) == (3, 4)
    shell.run("sync", "kazoo", "webex", *INTO, "-q").ok()
    assert stored() == before
    shell.run("verify", *INTO).ok()


def test_the_status_tells_until_when_calls_are_stored_and_how_many_days_are_stale(shell: Shell) -> None:
    def calls() -> dict[tuple[str, str], tuple[str | None, int | None]]:
        ran = shell.run("--config", "nowhere.toml", "archive", "status", *INTO, "-f", "jsonl").ok()
        return {(one["profile"], one["call"]): (one["calls_until"], one["calls_stale"]) for one in ran.lines}

    before = calls()
    assert before.pop(("portsip", "cdrs")) == (None, None), "its call logs are joined"
    assert {profile for profile, _ in before} == set(PROVIDERS)
    assert set(before.values()) == {("2026-11-11", 0)}
    state = Path("archive/calls/profile=kazoo/_calls.json")
    told = json.loads(state.read_bytes())
    told["days"]["2026-11-10"]["legs"]["2026-11-11"] = "another"
    state.write_text(json.dumps(told))
    assert calls()["kazoo", "cdrs"] == ("2026-11-11", 1)
    told["made"]["cdrctl"] = "0.0.1"
    state.write_text(json.dumps(told))
    assert calls()["kazoo", "cdrs"] == ("2026-11-11", 2), "calls of an earlier version"
    state.write_text("{")
    assert calls()["kazoo", "cdrs"] == (None, None)


def test_days_and_profiles_that_are_removed_have_no_calls(shell: Shell) -> None:
    before = stored()
    shell.run("archive", "retain", *INTO, "--before", "2026-11-11", "--yes").ok()
    assert stored() == {key: rows for key, rows in before.items() if key[1] >= "2026-11-11"}
    shell.run("archive", "forget", "kazoo", *INTO, "--yes").ok()
    assert not Path("archive/calls/profile=kazoo").exists()
    shell.run("archive", "pseudonymise", *INTO, "--out", "copy")
    shell.run("verify", *INTO).ok()


def test_the_first_layout_refuses(shell: Shell, tmp_path: Path) -> None:
    open_or_create(tmp_path / "old", None, "jsonl", FIRST_LAYOUT)
    ran = shell.run("sync", "kazoo", "--into", "old", "--with-calls")
    assert ran.code == 2
    assert "archive convert" in ran.err
    with Path("old/archive.toml").open("a", encoding="utf-8") as file:
        file.write("\n[calls]\nstore = true\n")
    assert shell.run("sync", "kazoo", "--into", "old").code == 6


# In SQL

SHOWN = ("call_id", "start_time", "outcome", "talk_seconds", "path", "leg_ids", "network_answered", "complete", "why")


def told(rows: Rows) -> Rows:
    return sorted(({name: row[name] for name in SHOWN} for row in rows), key=lambda row: str(row["call_id"]))


def by_sql(shell: Shell, where: str, archive: str = "archive", code: int = 0) -> Rows:
    statement = f"SELECT {', '.join(SHOWN)} FROM calls WHERE {where}"  # noqa: S608
    ran = shell.run("sql", "--from", archive, statement, "-f", "jsonl", "-q")
    assert ran.code == code, ran.err
    lists = ("path", "leg_ids")
    return told([{key: json.loads(one) if key in lists else one for key, one in row.items()} for row in ran.lines])


@pytest.mark.parametrize("form", ["jsonl", *(pytest.param(one, marks=pytest.mark.full) for one in ("csv", "parquet"))])
def test_an_export_has_the_same_calls_whether_they_are_stored_or_not(shell: Shell, form: str) -> None:
    archive = "archive" if form == "jsonl" else "new"
    if form != "jsonl":
        shell.run("archive", "convert", "archive", "new", "-f", form).ok()
        with Path("new/archive.toml").open("a", encoding="utf-8") as file:
            file.write("\n[calls]\nstore = true\n")
        shell.run("sync", "--all", "--into", "new", "-q").ok()
    shutil.copytree(archive, "bare")
    shutil.rmtree("bare/calls")
    for since, until, code in (
        ("2026-11-10", "2026-11-12", 0),
        ("2026-11-09T12:00Z", "2026-11-13T10:00Z", 3),
        ("2026-11-10T03:00Z", "2026-11-12T15:00Z", 0),
    ):
        found = exported(shell, since, until, archive=archive, code=code)
        assert len(found) > 200
        assert found == exported(shell, since, until, archive="bare", code=code)


def test_an_export_takes_stored_calls_only_if_they_are_those_of_the_legs(shell: Shell) -> None:
    right = exported(shell, "2026-11-10", "2026-11-12")
    folder = Path("archive/calls/profile=kazoo")
    path, state = folder / "date=2026-11-11/calls.jsonl", folder / "_calls.json"
    changed = path.read_bytes().replace(b'"answered"', b'"replaced"')
    told = json.loads(state.read_bytes())
    path.write_bytes(changed)
    assert exported(shell, "2026-11-10", "2026-11-12") == right, "a file that was changed"
    told["days"]["2026-11-11"]["sha256"] = hashlib.sha256(changed).hexdigest()
    state.write_text(json.dumps(told))
    found = exported(shell, "2026-11-10", "2026-11-12")
    assert any(row["outcome"] == "replaced" for row in found), "stored calls are not read"
    assert exported(shell, "2026-11-10", "2026-11-11T23:00Z") == [
        one for one in right if one["start_time"] < "2026-11-11T23"
    ]
    other = exported(shell, "2026-11-10", "2026-11-12", "--queue", "nobody", "--voicemail-number", "0")
    assert other == right, "calls that were joined with other names"
    told["days"]["2026-11-11"]["legs"]["2026-11-12"] = "another"
    state.write_text(json.dumps(told))
    assert exported(shell, "2026-11-10", "2026-11-12") == right, "legs that were changed"


def test_an_export_of_stored_calls_tells_of_those_at_the_edge_of_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clock = HandClock(NOW)
    with sandbox.start(exchange=Exchange(1, stories="hard"), now=clock) as providers:
        shell = Shell(tmp_path, clock)
        configure(shell, providers, "portsip")
        shell.run("sync", "portsip", *INTO, "--since", "2026-11-08", "-f", "jsonl", "--with-calls", "-q").ok()
    found = stored()["portsip", "2026-11-08"]
    assert [row["why"] for row in found if row["why"]] == ["edge"]
    state = json.loads(Path("archive/calls/profile=portsip/_calls.json").read_bytes())
    assert state["days"]["2026-11-08"]["doubtful"] == 1
    window = ("2026-11-08", "2026-11-10")
    shutil.copytree("archive", "bare")
    shutil.rmtree("bare/calls")
    assert exported(shell, *window, code=3) == exported(shell, *window, archive="bare", code=3)


def test_stored_calls_of_an_earlier_version_are_joined_again(shell: Shell) -> None:
    folder = Path("archive/calls/profile=kazoo")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    state = json.loads((folder / "_calls.json").read_bytes())
    state["made"]["format"] = 1
    for day in state["days"].values():
        del day["doubtful"]
    (folder / "_calls.json").write_text(json.dumps(state))
    path = folder / "date=2026-11-11/calls.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"answered"', b'"replaced"'))
    rows = exported(shell, "2026-11-10", "2026-11-12")
    assert not any(row["outcome"] == "replaced" for row in rows)
    shell.run("sync", "kazoo", *INTO, "-q").ok()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_sql_has_the_calls_of_days_that_are_stored_and_of_others(shell: Shell) -> None:
    before = {path: path.read_bytes() for path in Path("archive").rglob("*") if path.is_file()}
    whole = joined(shell, "2026-11-11") + joined(shell, "2026-11-12")
    for profile in PROVIDERS:
        where = f"profile = '{profile}' AND date >= '2026-11-11' AND date <= '2026-11-12'"
        assert by_sql(shell, where) == told([row for row in whole if row["profile"] == profile])
    edited = Path("archive/calls/profile=kazoo/date=2026-11-11/calls.jsonl")
    edited.write_bytes(edited.read_bytes().replace(b'"answered"', b'"rejected"'))
    where = "profile = 'kazoo' AND date = '2026-11-11'"
    expected = told([row for row in whole if row["profile"] == "kazoo" and row["start_time"] < "2026-11-12"])
    assert by_sql(shell, where) == expected, "a file that was changed is not used"
    edited.write_bytes(before[edited])
    assert {path: path.read_bytes() for path in Path("archive").rglob("*") if path.is_file()} == before
    legs = Path("archive/profile=kazoo/call=cdrs/date=2026-11-11/cdrs.jsonl")
    legs.write_bytes(b"".join(legs.read_bytes().splitlines(keepends=True)[:-8]))
    assert by_sql(shell, where, code=3) != expected, "calls whose legs have changed are not used"


def test_figures_in_sql_are_those_of_stats(shell: Shell) -> None:
    window = ("--since", "2026-11-10", "--until", "2026-11-13")
    given = "since := '2026-11-10', until := '2026-11-13'"

    def normal(rows: Rows, *keys: str) -> list[tuple[Any, ...]]:
        numbers = ("value", "denominator")
        return sorted(
            (
                *(str(row[key]) for key in keys),
                *(None if row[key] is None else round(Decimal(row[key]), 8) for key in numbers),
                row["why"],
            )
            for row in rows
        )

    def same(rows: Rows) -> Rows:
        told = [{**row, "why": str(row["why"]).replace("--since and --until", "since and until")} for row in rows]
        return [{**row, "why": row["why"].partition(": ")[0]} for row in told]

    stats = shell.run("stats", "--all", "--from", "archive", *window, "-f", "jsonl", "-q").ok().lines
    asked = ("sql", "--from", "archive", "-f", "jsonl", "-q")
    found = shell.run(*asked, f"FROM figures({given})").ok().lines
    assert len({row["figure"] for row in found}) == len(NAMES) == 22
    assert normal(same(found), "figure", "unit") == normal(same(stats), "figure", "unit")
    for key in ("day", "queue", "profile"):
        able = [name for name in NAMES if not cannot(figure(name), [KEYS[key]])]
        if key != "day":  # the profiles have the same calls: which of those that begin at once is the later one?
            able.remove("repeat_callers")
        every = " UNION ALL ".join(f"FROM {name}_by('{key}', {given})" for name in able)
        grouped = shell.run(*asked, every).ok().lines
        words = ("--by", key, "--figures", ",".join(able))
        expected = shell.run("stats", "--all", "--from", "archive", *window, *words, "-f", "jsonl", "-q").ok().lines
        expected = [{**row, "key": row[key]} for row in expected]
        assert normal(same(grouped), "figure", "key", "unit") == normal(same(expected), "figure", "key", "unit")
    assert shell.run(*asked, "FROM asr_by('colour')").code == 2


@pytest.mark.process
def test_a_run_that_is_killed_leaves_old_or_new_calls(killable: Shell) -> None:
    words = ("sync", "acme", "--into", "archive", "-f", "jsonl", "--since", "2026-11-08", "--with-calls")
    numbers: Mapping[Path, list[int]] = {
        folder: sorted(random.Random(seed).sample(range(20, 160), 9))
        for seed, folder in folders(killable, range(1)).items()
    }
    ended = kill(killable, numbers, *words)
    assert all("killed" in ends for ends in ended.values())
    killable.run(*words).ok()
    whole = stored()
    assert len(whole) == 2
    for folder in numbers:
        with contextlib.chdir(folder):
            for key, rows in stored().items():
                assert rows == whole[key], "a file is whole or not there"
            killable.run(*words).ok()
            assert stored() == whole
            assert killable.run("verify", "--into", "archive").ok().out == ""
        assert not list(folder.glob("archive/calls/**/.cdrctl-*"))


@pytest.mark.process
@pytest.mark.usefixtures("no_half_bytecode")
def test_a_disk_that_is_full_leaves_the_legs_and_whole_days_of_calls(killable: Shell) -> None:
    words = ("sync", "acme", "--into", "archive", "-f", "jsonl", "--since", "2026-11-08")
    killable.run(*words).ok()
    legs = {path: path.read_bytes() for path in Path("archive").glob("profile=*/**/cdrs.jsonl")}
    shutil.copytree("archive", "roomy/archive")
    with contextlib.chdir("roomy"):
        killable.run(*words, "--with-calls").ok()
        whole = stored()
        sizes = sorted(path.stat().st_size for path in Path("archive/calls").glob("**/calls.jsonl"))
    assert len(sizes) == 2
    for largest in (sizes[0] - 1, sizes[1] - 1):

        def limit(largest: int = largest) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))

        ran = child(killable, "once", *words, "--with-calls", preexec_fn=limit)
        assert ran.stdout.split() == ["8"], (ran.stdout, ran.stderr, ran.args)
        assert {path: path.read_bytes() for path in legs} == legs
        for key, rows in stored().items():
            assert rows == whole[key]
        assert not list(Path("archive").glob("calls/**/.cdrctl-*"))
    killable.run(*words).ok()
    assert stored() == whole
    assert killable.run("verify", "--into", "archive").ok().out == ""
