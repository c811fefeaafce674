"""A response that is equal to the last one is neither converted nor merged, and any other one is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from cdrctl.archive.fetching import Fetched, Source, fetch_entries
from cdrctl.archive.intervals import whole_day
from cdrctl.archive.responses import Sent
from cdrctl.archive.store import Archive, open_or_create
from cdrctl.records.batches import KeyFields
from cdrctl.records.columns import Column
from cdrctl.records.decoding import BatchDecoder
from cdrctl.records.events import Event, Gap, Note, Page, Record
from tests.archive.sync_kit import CALL, NOW, call, new_bench

DAY = whole_day(date(2026, 11, 11), UTC)
FIRST = [call(f"r{at}", f"2026-11-11T{at:02}:00:00Z", "é") for at in range(8)]
BATCHED = replace(CALL, key_fields=KeyFields("id", "at"))
Answer = Callable[[Sequence[Record]], list[Event]]


def plain(records: Sequence[Record], **context: str) -> list[Event]:
    """Return records as pages of dicts, as most fetchers yield them."""
    return [Page([*records[at : at + 3]], context) for at in range(0, len(records), 3)]


def raw(records: Sequence[Record], *, large: int = 200) -> list[Event]:
    """Return records as pages of JSON text; pages over `large` bytes are decoded in batches."""
    decode = BatchDecoder(CALL.columns, KeyFields("id", "at"), raw=True, lines=False, large=large, few=2)
    bodies = [bytearray(json.dumps(records[at : at + 5]).encode()) for at in range(0, len(records), 5)]
    return [Page(decode(body, ())) for body in bodies]


def in_columns(records: Sequence[Record]) -> list[Event]:
    """Return records as a batch without their JSON text."""
    return [
        Page(BatchDecoder(CALL.columns, KeyFields("id", "at"), raw=False)(bytearray(json.dumps(records).encode()), ()))
    ]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return open_or_create(tmp_path / "archive", "UTC", "jsonl")


def fetched(archive: Archive, events: Sequence[Any], before: str = "", said: list[str] | None = None) -> Fetched:
    log = lambda level, text: None if said is None else said.append(f"{level}: {text}")  # noqa: E731 - of one line
    source = Source("acme", "test", BATCHED, lambda _window: iter(events), log)
    return fetch_entries(archive, source, DAY, NOW, before=before)


def digests(found: Fetched) -> str:
    return f"{found.digest} {found.sent}"


def lines(found: Fetched) -> list[bytes]:
    found.spool.merge(DAY, [], complete=True, shrink=False)
    return [row.line for row in found.spool.rows()]


@pytest.mark.parametrize("answer", [plain, raw])
def test_a_response_is_recognised_whatever_its_order_and_its_pages(archive: Archive, answer: Answer) -> None:
    """An equal response has no rows, and its counts are those of the first reading."""
    first = fetched(archive, answer(FIRST))
    again = fetched(archive, answer([*reversed(FIRST)]), digests(first))
    assert (first.unchanged, again.unchanged) == (False, True)
    assert (again.placed, again.tally.records, digests(again)) == (8, 8, digests(first))
    assert again.spool.count_new() == 0


CHANGES: dict[str, Callable[[list[Record]], list[Record]]] = {
    "changed": lambda records: [{**records[0], "word": "ä"}, *records[1:]],
    "another type": lambda records: [{**records[0], "word": 1}, *records[1:]],
    "new field": lambda records: [{**records[0], "new": None}, *records[1:]],
    "dropped": lambda records: records[1:],
    "added": lambda records: [*records, call("late", "2026-11-11T20:00:00Z")],
    "replaced": lambda records: [call("other", records[0]["at"], "é"), *records[1:]],
    "exchanged words": lambda records: [{**one, "word": word} for one, word in zip(records, "abcdefgh", strict=True)],
    "none": lambda _records: [],
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("answer", [plain, raw])
def test_another_response_gives_the_rows_that_a_first_reading_gives(
    archive: Archive, answer: Answer, name: str
) -> None:
    """The copy of a response on disk leads to the same lines, counts and digests as the response itself."""
    before = digests(fetched(archive, answer(FIRST)))
    changed = CHANGES[name](FIRST)
    fresh, again = (fetched(archive, answer(changed) if changed else [], known) for known in ("", before))
    assert not again.unchanged
    assert (again.digest, again.sent) == (fresh.digest, fresh.sent)
    assert again.tally.records == fresh.tally.records == len(changed)
    assert lines(again) == lines(fresh)


def test_the_context_of_a_page_counts(archive: Archive) -> None:
    """Equal records of another account, or in another zone, are converted."""
    before = digests(fetched(archive, plain(FIRST, timezone="UTC")))
    assert fetched(archive, plain(FIRST, timezone="UTC"), before).unchanged
    assert not fetched(archive, plain(FIRST, timezone="Asia/Jerusalem"), before).unchanged


def test_records_beyond_the_window_do_not_count(archive: Archive) -> None:
    """Requests reach beyond the window, and what is there changes until the next run."""
    for answer in (plain, raw):
        before = digests(fetched(archive, answer(FIRST)))
        assert fetched(archive, answer([*FIRST, call("next", "2026-11-12T00:00:00Z")]), before).unchanged


def test_other_columns_lead_to_another_digest() -> None:
    """A later version may convert the same response to other lines."""
    one, other = (Sent(total=5).digest(replace(CALL, columns=(*CALL.columns[:2], last))) for last in
                  (Column("word", "word"), Column("word", "word", "integer")))  # fmt: skip
    assert one != other


GAP, WARNING = Gap("a part is missing"), Note("something is odd", "warning")


@pytest.mark.parametrize("answer", [plain, raw])
def test_an_incomplete_response_is_never_the_last_one(archive: Archive, answer: Answer) -> None:
    """A gap keeps its message, its place in the tally and its records, and is logged once."""
    before, said = digests(fetched(archive, answer(FIRST))), list[str]()
    found = fetched(archive, [*answer(FIRST), GAP], before, said)
    assert (found.unchanged, found.complete, found.spool.count_new()) == (False, False, 8)
    assert said == ["warning: incomplete: a part is missing"]


@pytest.mark.parametrize("answer", [plain, raw])
def test_warnings_about_records_come_in_every_run(archive: Archive, answer: Answer) -> None:
    """A response with records that need a warning is converted each time; warnings of a fetcher come anyway."""
    odd = [*FIRST, {"id": "odd", "at": "", "word": "x"}]
    for records in (odd, [*FIRST, {**FIRST[0], "word": "other"}]):
        said = list[str]()
        first = fetched(archive, answer(records), said=said)
        assert (first.sent, len(said)) == ("", 1)
        fetched(archive, answer(records), f"{first.digest} {'0' * 64}", said)
        assert said[0] == said[1]
        assert len(said) == 2
    noted = fetched(archive, [WARNING, *answer(FIRST)])
    said = []
    assert fetched(archive, [WARNING, *answer(FIRST)], digests(noted), said).unchanged
    assert said == ["warning: something is odd"]


def test_values_that_do_not_fit_their_column_are_reported_in_every_run(archive: Archive) -> None:
    counted = replace(BATCHED, columns=(*CALL.columns[:2], Column("word", "word", "integer")))
    said: list[str] = []
    source = Source("acme", "test", counted, lambda _window: iter(plain(FIRST)), lambda _level, text: said.append(text))
    first = fetch_entries(archive, source, DAY, NOW)
    assert (first.sent, len(said)) == ("", 1)
    fetch_entries(archive, source, DAY, NOW, before=digests(first).strip())
    assert said[0] == said[1]
    assert "word" in said[0]


def test_records_that_came_twice_are_counted_as_before(archive: Archive) -> None:
    """Duplicates are dropped before a response is compared by its records, and their number is still known."""
    for answer in (plain, raw):
        first = fetched(archive, answer([*FIRST, FIRST[0]]))
        again = fetched(archive, answer([*FIRST, FIRST[0]]), digests(first))
        assert (again.unchanged, again.tally.duplicates, again.placed) == (True, 1, 8)
        other = fetched(archive, answer([*FIRST[1:], FIRST[1]]), digests(first))
        assert (other.unchanged, other.tally.duplicates, other.placed) == (False, 1, 7)


def test_columns_without_their_text_have_no_digest(archive: Archive) -> None:
    """Records that were not digested must not pass for the same ones."""
    first = fetched(archive, in_columns(FIRST))
    assert (first.sent, first.tally.records) == ("", 8)


def test_damaged_records_have_no_digest(archive: Archive) -> None:
    """A value that cannot be read is not part of a digest; the gap comes in every run."""
    from cdrctl.damage import Unreadable

    events = [Page([*FIRST, {**call("bad", "2026-11-11T09:00:00Z"), "word": Unreadable("a huge number")}])]
    first = fetched(archive, events)
    again = fetched(archive, events, f"{first.digest} {'0' * 64}")
    assert (first.complete, again.complete, again.unchanged, again.sent) == (False, False, False, "")
    assert again.spool.count_new() == first.spool.count_new() == 8


def test_a_night_with_the_same_response_keeps_the_file_and_its_digests(tmp_path: Path) -> None:
    """The readings say so; a record that goes missing afterwards is noticed, and so is one that changes."""
    bench = new_bench(tmp_path / "archive")
    bench.sync(since=NOW - timedelta(days=1, hours=2))
    for night, (changed, gone) in enumerate([(0, 0), (0, 0), (1, 0), (0, 1)], 1):
        bench.now = NOW + timedelta(minutes=night)
        if changed:
            bench.records[0] = {**bench.records[0], "word": "changed"}
        if gone:
            bench.records.pop(1)
        outcome = bench.sync(lookback=timedelta(days=3))
        assert (outcome.changed, outcome.gone) == (changed, gone)
        assert next(iter(bench.kept().values())) == ["a", "b"]
    bench.ledger.close()


def _cut(events: Iterator[Event]) -> Iterator[Event]:
    yield from events
    raise AssertionError


def test_a_response_that_breaks_off_leaves_no_temporary_file(archive: Archive) -> None:
    """The error of the fetcher is raised, also while the response is copied."""
    with pytest.raises(AssertionError):
        fetched(archive, _cut(iter(plain(FIRST))), "0 1")  # type: ignore[arg-type]


def test_one_record_in_two_texts_is_no_second_record(archive: Archive) -> None:
    """An unchanged response is compared by text. Where that is not enough, its records are compared by content."""
    fields = KeyFields("id", "at", overlapping=True)
    decode = BatchDecoder(CALL.columns, fields, raw=True, lines=False)
    texts = [json.dumps(FIRST), json.dumps(FIRST[:2], separators=(",", ":")), json.dumps(FIRST[:2])]
    pages = [Page(decode(bytearray(text.encode()), ())) for text in texts]
    said: list[str] = []
    log = lambda level, text: said.append(f"{level}: {text}")  # noqa: E731 - of one line
    source = Source("acme", "test", replace(CALL, key_fields=fields), lambda _window: iter(pages), log)
    first = fetch_entries(archive, source, DAY, NOW)
    again = fetch_entries(archive, source, DAY, NOW, before=digests(first))
    assert (again.unchanged, digests(again), lines(again)) == (False, digests(first), lines(first))
    assert (again.tally.duplicates, again.tally.same_id, said) == (4, 0, [])
