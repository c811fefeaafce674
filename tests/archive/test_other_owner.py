"""A file copied from the folder of another profile: none of its records are taken for those of this one."""

from __future__ import annotations

import shutil

from cdrctl.archive.files import claim_days, load, other_owner
from cdrctl.archive.source import ArchivedCall, read_file
from cdrctl.archive.store import FIRST_LAYOUT
from cdrctl.archive.verify import differences, rebuild_ledger
from tests.archive.sync_kit import Bench, bench, call

__all__ = ["bench"]

DAY = "2026-11-11"


def copied(bench: Bench) -> None:
    """Put a day of another profile in the place of one that the bench has: as a copy of its folder does."""
    bench.sync()
    file = bench.path(DAY)
    ours = bench.archive.profile_folder("acme")
    theirs = bench.archive.profile_folder("beta")
    shutil.copytree(ours / bench.archive.call_folder("cdrs"), theirs / bench.archive.call_folder("cdrs"))
    beside = next(path for path in file.parent.iterdir() if path != file)
    there = beside.read_bytes()
    assert there.count(b'"of": "acme/cdrs"') == 1
    beside.write_bytes(there.replace(b'"of": "acme/cdrs"', b'"of": "beta/cdrs"'))


def test_it_is_not_read(bench: Bench) -> None:
    copied(bench)
    path, kept = bench.path(DAY), bench.ledger.kept()[0]
    assert load(bench.archive, path) is None
    assert other_owner(bench.archive, path) == "beta cdrs"
    file, fault = read_file(ArchivedCall(bench.archive, kept, bench.call, {}, {}), DAY)
    assert file is None
    assert "has the records of beta cdrs" in fault
    found = [one.what for one in differences(bench.archive, bench.ledger.files("acme", "cdrs"))]
    foreign = [one for one in found if "beta cdrs" in one]
    assert foreign
    assert all("archive adopt acme" in one for one in (fault, *foreign))


def test_sync_moves_it_aside_and_fetches_the_day_of_this_profile(bench: Bench) -> None:
    """None of its lines are kept, although some of them could be records of this profile."""
    copied(bench)
    theirs = bench.path(DAY).read_bytes()
    bench.records = [call("d", f"{DAY}T10:00:00Z"), call("e", f"{DAY}T11:00:00Z"), bench.records[2]]
    bench.sync()
    assert bench.kept()[DAY] == ["d", "e"]
    assert bench.aside(DAY).read_bytes() == theirs
    assert any("has the records of beta cdrs" in one and "archive adopt acme" in one for one in bench.said)


def test_a_rebuild_reads_its_day_again(bench: Bench) -> None:
    copied(bench)
    bench.ledger.close()
    odd = rebuild_ledger(bench.archive, {}, bench.now)
    (foreign,) = (one for one in odd if "acme" in one.path)
    assert foreign.path == bench.path(DAY).relative_to(bench.archive.folder).as_posix()
    if bench.archive.layout != FIRST_LAYOUT:  # there, the ledger still knows the file by its digest
        assert "archive adopt acme" in foreign.what


def test_the_days_of_a_profile_whose_folder_was_renamed_are_its_own(bench: Bench) -> None:
    bench.sync()
    bench.archive.profile_folder("acme").rename(bench.archive.profile_folder("beta"))
    path = bench.archive.path("beta", "cdrs", DAY)
    assert other_owner(bench.archive, path) == ""
    assert load(bench.archive, path) is not None


def test_renamed_days_can_be_claimed_before_or_after_the_old_name_is_used_again(bench: Bench) -> None:
    bench.sync()
    archive = bench.archive
    archive.profile_folder("acme").rename(archive.profile_folder("beta"))
    path, older = archive.path("beta", "cdrs", DAY), archive.path("beta", "cdrs", "2026-11-12")
    before = {one: one.read_bytes() for one in (path, older)}
    again = archive.path("acme", "cdrs", older.parent.name.removeprefix("date="))
    shutil.copytree(older.parent, again.parent)
    assert load(archive, path) is None
    assert claim_days(archive, "beta", "cdrs") == 1
    assert load(archive, path) is not None
    assert load(archive, older) is None, "the other profile has that day, so it would be there twice"
    assert claim_days(archive, "beta", "cdrs") == 0
    assert {one: one.read_bytes() for one in before} == before
