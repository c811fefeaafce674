"""The first reading of a window counts the records of large pages by their key fields, and never too many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from cdrctl.fetchers.readings import Readings
from cdrctl.http import Total
from cdrctl.records.batches import BatchedPage, KeyFields, RecordBatch
from cdrctl.records.events import Record

KEYS = KeyFields("id", "start")
FIELDS = ("id", "start", "cost")


def record(name: str, cost: int = 1, start: str = "2026-11-20T12:00:00Z") -> Record:
    return {"id": name, "start": start, "cost": cost}


def batch(records: Sequence[Record], keys: Sequence[str]) -> RecordBatch:
    columns = {key: [one[key] for one in records] for key in keys}
    return RecordBatch(KEYS, columns, frozenset(("id",)), (), len(records))


def large(*records: Record, decodes: bool = True) -> BatchedPage:
    def batches() -> Iterator[Sequence[Record]]:
        assert decodes, "the page was decoded"
        yield batch(records, FIELDS)

    return BatchedPage(batch(records, ("id", "start")), batches)


def readings() -> Readings:
    made = Readings(lambda one: str(one["id"]), FIELDS, KEYS)
    made.begin()
    return made


def test_the_first_reading_does_not_decode_large_pages() -> None:
    made = readings()
    made.add(large(record("a"), record("b"), decodes=False), Total(3))
    made.add(large(record("b"), record("c"), decodes=False), Total(3))
    assert (made.records, made.last.records, made.last.repeats) == (3, 3, True)


@pytest.mark.parametrize("page", [list, lambda records: batch(records, FIELDS)], ids=["plain", "batch"])
def test_a_record_on_a_large_page_and_on_another_one_counts_once(page: type[list[Record]]) -> None:
    made = readings()
    made.add(large(record("a"), record("b")), Total(3))
    made.add(page([record("b"), record("c")]), Total(3))
    assert made.records == 3


def test_a_record_whose_key_fields_are_missing_counts_once() -> None:
    made = readings()
    made.add(large(record("a", start="")), Total(2))
    made.add([{"id": "a", "cost": 1}], Total(2))
    assert made.records == 1


def test_records_of_one_id_with_different_content_count_from_the_second_reading_on() -> None:
    made = readings()
    for count in (1, 2):
        made.add(large(record("a", 1), record("a", 2)), Total(2))
        assert (made.records, made.last.records) == (count, count)
        made.begin()
    assert made.before == 2


def test_what_two_readings_miss_of_each_other_is_counted() -> None:
    made = readings()
    made.add(large(record("a"), record("b")), Total(3))
    made.begin()
    made.add(large(record("b"), record("c")), Total(3))
    assert (made.records, made.new, made.last.records) == (3, 1, 2)


def test_small_pages_count_by_content_at_once() -> None:
    made = readings()
    made.add(batch([record("a", 1), record("a", 2)], FIELDS), Total(2))
    assert made.records == 2


def test_a_repeated_reading_without_new_records_has_none() -> None:
    made = readings()
    made.add(large(record("a"), record("b")), Total(3))
    made.begin()
    made.add(large(record("a"), record("b")), Total(3))
    assert (made.records, made.new) == (2, 0)
