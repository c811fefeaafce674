"""Two records of one id and different content are both in the archive, and stay what they are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import permutations
from pathlib import Path

from cdrctl.archive.dayfile import rows_of
from cdrctl.archive.index import Entry
from cdrctl.archive.ledger import Ledger
from cdrctl.archive.spool import Spool
from cdrctl.archive.store import FIRST_LAYOUT, open_or_create
from cdrctl.archive.twins import numbered_key
from tests.archive.sync_kit import Bench, call
from tests.support.products import for_each

KEY = b"k" * 15
A, B, C = (Entry(start, KEY, line) for start, line in ((1, b"a\n"), (1, b"b\n"), (2, b"c\n")))
AT = "2026-11-11T08:00:00Z"


def assign_keys(new: Iterable[Entry], old: Iterable[Entry]) -> list[Entry]:
    """Return the records that came, with the keys under which the archive keeps them."""
    with Spool() as spool:
        spool.add_old(rows_of(old, {}))
        spool.add_new(new)
        spool._assign_keys()
        return [Entry(*row) for row in spool._db.execute("SELECT start, key, line FROM new")]


@for_each("order", [*permutations([A, B, C])])
def test_the_order_in_which_they_come_changes_nothing(order: tuple[Entry, ...]) -> None:
    first = assign_keys(order, [])
    assert sorted(first) == sorted(assign_keys([A, B, C], []))
    assert len({entry.key for entry in first}) == 3
    assert sorted(assign_keys(order[::-1], first)) == sorted(first)


def test_an_id_alone_keeps_its_key() -> None:
    other = Entry(1, b"o" * 15, b"o\n")
    assert sorted(assign_keys([A, other], [B])) == sorted([A, other])


def test_one_that_joins_another_leaves_it_its_key() -> None:
    """Whichever line is the smaller: what the archive has stays under its key."""
    for had, joins in ((A, B), (B, A)):
        found = {entry.line: entry.key for entry in assign_keys([joins, had], [had])}
        assert found == {had.line: KEY, joins.line: numbered_key(KEY, 2)}


def test_one_that_changes_keeps_the_key_of_its_start() -> None:
    before = assign_keys([A, C], [])
    keys = {entry.start: entry.key for entry in before}
    changed = Entry(2, KEY, b"0\n")
    assert {entry.start: entry.key for entry in assign_keys([changed, A], before)} == keys
    assert assign_keys([changed], before) == [changed._replace(key=keys[2])]


def test_a_run_in_another_order_writes_the_same_archive(tmp_path: Path) -> None:
    """Nothing flips, nothing is new and nothing is gone, night after night."""
    made = Bench(
        open_or_create(tmp_path / "archive", None, "jsonl", FIRST_LAYOUT), Ledger(tmp_path / "archive", new=True)
    )
    made.records = [call("a", AT, "one"), call("a", AT, "two"), call("b", AT)]
    first = made.sync()
    assert (first.new, first.changed, first.gone) == (3, 0, 0)
    written = made.path("2026-11-11").read_bytes()
    assert written.count(b'"a"') == 2
    for _ in range(2):
        made.records.reverse()
        made.now += timedelta(hours=1)
        again = made.sync()
        assert (again.new, again.late, again.changed, again.gone) == (0, 0, 0, 0)
        assert made.path("2026-11-11").read_bytes() == written
    made.ledger.close()


def test_a_record_that_starts_in_the_future_is_kept_beside_the_days(tmp_path: Path) -> None:
    """It has no day: it goes where records without a start go, once, however often it comes."""
    made = Bench(
        open_or_create(tmp_path / "archive", None, "jsonl", FIRST_LAYOUT), Ledger(tmp_path / "archive", new=True)
    )
    made.records = [call("a", AT), call("future", "2083-10-13T10:00:00Z")]
    for _ in range(2):
        made.sync()
        assert made.kept() == {"2026-11-11": ["a"], "2026-11-12": [], "unknown": ["future"]}
        made.now += timedelta(hours=1)
    made.ledger.close()


def test_a_number_makes_another_key_of_the_same_length() -> None:
    keys = {numbered_key(KEY, number) for number in range(1, 5)}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {15}
