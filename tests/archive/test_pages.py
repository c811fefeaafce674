"""As long as the pages of the last response come, none of them is read; any other response is read as it always was."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from cdrctl.archive.fetching import Fetched, Source, fetch_entries
from cdrctl.archive.intervals import whole_day
from cdrctl.archive.pages import MOST_PAGES, SentPages, read_pages, sent_list
from cdrctl.archive.store import Archive, open_or_create
from cdrctl.fetchers import PROVIDERS, Call, load
from cdrctl.records.arrays import KnownLists
from cdrctl.records.batches import KeyFields
from cdrctl.records.columns import Column
from cdrctl.records.decoding import BatchDecoder
from cdrctl.records.events import Checkpoint, Event, Gap, Note, Page, Record
from cdrctl.windows import Window
from tests.archive.sync_kit import CALL, NOW, call
from tests.support.products import for_each

DAY = whole_day(date(2026, 11, 11), UTC)
PAST = DAY.until + timedelta(days=3)
BATCHED = replace(CALL, key_fields=KeyFields("id", "at"))
FIRST = [[call(f"r{page}{at}", f"2026-11-11T{page:02}:{at:02}:00Z", "é") for at in range(3)] for page in range(4)]
Pages = Sequence[Sequence[Record]]


class Server:
    """Sends pages of JSON text, and counts those that were decoded when they came."""

    def __init__(self, archive: Archive, *, large: int = 10_000) -> None:
        self.archive = archive
        self.large = large
        self.read = 0
        self.said: list[str] = []

    def events(self, pages: Pages, context: dict[str, str], lists: KnownLists | None) -> list[Event]:
        decode = BatchDecoder(
            CALL.columns, KeyFields("id", "at"), raw=True, lines=False, large=self.large, few=2, known=lists
        )
        found: list[Event] = [Note("a note"), Checkpoint(DAY)]
        for page in pages:
            records = decode(bytearray(json.dumps(page).encode()), ())
            sent = None if records is None else sent_list(records)
            self.read += sent is not None and not sent.known
            found.insert(-1, Page(json.loads(json.dumps(page)) if records is None else records, context))
        return found

    def fetched(
        self,
        pages: Pages,
        before: str = "",
        *,
        more: Sequence[Event] = (),
        context: dict[str, str] | None = None,
        now: Any = PAST,
        of: Any = BATCHED,
    ) -> Fetched:
        self.read, self.said = 0, []

        def again(_window: Window, lists: KnownLists) -> Iterator[Event]:
            return iter([*self.events(pages, context or {}, lists), *more])

        log = lambda level, text: self.said.append(f"{level}: {text}")  # noqa: E731 - of one line
        source = Source("acme", "test", of, lambda window: again(window, {}), log, fetch_again=again)
        return fetch_entries(self.archive, source, DAY, now, before=before)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return open_or_create(tmp_path / "archive", "UTC", "jsonl")


@pytest.fixture(params=[10_000, 100], ids=["small", "large"])
def server(archive: Archive, request: pytest.FixtureRequest) -> Server:
    return Server(archive, large=request.param)


def digests(found: Fetched) -> str:
    return f"{found.digest} {found.sent}"


def facts(found: Fetched) -> tuple[Any, ...]:
    """Return everything that a reading tells, whichever way it was made."""
    tally = found.tally
    numbers = (tally.records, tally.pages, tally.duplicates, tally.same_id, tally.windows, len(tally.gaps))
    found.spool.merge(DAY, [], complete=True, shrink=False)
    return digests(found), found.placed, numbers, [row.line for row in found.spool.rows()]


def test_equal_pages_are_not_read(server: Server) -> None:
    """Their records, pages and duplicates are counted as they were when they were read."""
    pages = [*FIRST, [FIRST[0][0], call("beyond", "2026-11-12T00:00:00Z")]]
    first = server.fetched(pages)
    assert (first.unchanged, server.read) == (False, 5)
    again = server.fetched(pages, digests(first))
    assert (again.unchanged, server.read, digests(again)) == (True, 0, digests(first))
    assert (again.placed, again.tally.records, again.tally.pages, again.tally.duplicates) == (12, 12, 5, 1)
    assert again.tally.windows == first.tally.windows == 1
    assert server.said == ["note: a note"]


CHANGES: dict[str, Callable[[list[list[Record]]], Pages]] = {
    "a word": lambda pages: [*pages[:2], [{**pages[2][0], "word": "ä"}, *pages[2][1:]], pages[3]],
    "a record less": lambda pages: [*pages[:3], pages[3][1:]],
    "a record more": lambda pages: [*pages[:3], [*pages[3], call("late", "2026-11-11T20:00:00Z")]],
    "a page less": lambda pages: pages[:3],
    "the first page less": lambda pages: pages[1:],
    "a page twice": lambda pages: [*pages, pages[0]],
    "a page more": lambda pages: [*pages, [call("late", "2026-11-11T20:00:00Z")]],
    "a page that cannot be read by column": lambda pages: [*pages, [{"id": None, "at": "2026-11-11T20:00:00Z"}]],
    "no page": lambda _pages: [],
}


@pytest.mark.parametrize("name", CHANGES)
def test_other_pages_are_read_as_those_of_a_first_reading(server: Server, name: str) -> None:
    before = digests(server.fetched(FIRST))
    changed = CHANGES[name](FIRST)
    fresh = server.fetched(changed)
    said = server.said
    again = server.fetched(changed, before)
    assert (again.unchanged, server.said) == (False, said)
    assert facts(again) == facts(fresh)


@pytest.mark.parametrize("change", ["order", "cut"])
def test_the_same_records_on_other_pages_are_still_the_last_response(server: Server, change: str) -> None:
    """Then all of them are compared, and the new pages are those of the next comparison."""
    first = server.fetched(FIRST)
    flat = [record for page in FIRST for record in page]
    other = [*reversed(FIRST)] if change == "order" else [flat[at : at + 5] for at in range(0, len(flat), 5)]
    again = server.fetched(other, digests(first))
    assert (again.unchanged, again.tally.records, again.sent.split()[0]) == (True, 12, first.sent.split()[0])
    assert again.sent != first.sent
    assert server.fetched(other, digests(again)).unchanged
    assert server.read == 0


@pytest.mark.parametrize("gap", [Gap("a part is missing"), Note("something is odd", "warning")], ids=["gap", "warning"])
def test_a_gap_is_never_an_equal_response_and_a_warning_comes_in_every_run(server: Server, gap: Event) -> None:
    first = server.fetched(FIRST, more=[gap])
    before = digests(server.fetched(FIRST))
    again = server.fetched(FIRST, before, more=[gap])
    assert again.unchanged == isinstance(gap, Note)
    assert (again.complete, again.tally.records) == (first.complete, 12)
    assert sum("missing" in one or "odd" in one for one in server.said) == 1


def test_the_context_of_a_page_counts(server: Server) -> None:
    """Equal records of another account, or in another zone, are converted."""
    before = digests(server.fetched(FIRST, context={"timezone": "UTC"}))
    assert server.fetched(FIRST, before, context={"timezone": "UTC"}).unchanged
    assert server.read == 0
    assert not server.fetched(FIRST, before, context={"timezone": "Asia/Jerusalem"}).unchanged


def test_a_window_that_is_not_over_is_read(server: Server) -> None:
    """A clock that was set back must not hide that calls seem to be in the future."""
    before = digests(server.fetched(FIRST))
    early = DAY.since - timedelta(days=5)
    again = server.fetched(FIRST, before, now=early)
    assert (again.unchanged, facts(again)) == (False, facts(server.fetched(FIRST, now=early)))
    assert any("in the future" in one for one in server.said)


def test_other_columns_read_the_pages_again(server: Server) -> None:
    """A later version may convert the same page to other lines."""
    before = digests(server.fetched(FIRST))
    other = replace(BATCHED, columns=(*CALL.columns[:2], Column("words", "word")))
    assert not server.fetched(FIRST, before, of=other).unchanged
    assert server.read == 4


@pytest.mark.parametrize("text", ["", "1:2", "a:b:c:d:e", "1:2:c:d:é", "1:2:c:d:AAAA", "\ud800"])
def test_what_is_no_list_of_pages_is_ignored(text: str) -> None:
    checked = f"{text}:{zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}"
    assert [read_pages(one, BATCHED) for one in (text, checked)] == [None, None]


def test_a_damaged_list_of_pages_leads_to_an_ordinary_reading(server: Server) -> None:
    first = server.fetched(FIRST)
    content, digest, pages = digests(first).split()
    for text in (pages[:-8], pages.replace("AAAD", "AAAC"), pages.replace("12:", "13:"), pages.replace(":", ";")):
        again = server.fetched(FIRST, f"{content} {digest} {text}")
        assert (again.unchanged, server.read, digests(again)) == (True, 4, digests(first))
    assert not server.fetched(FIRST, f"{content} {'0' * 64} {pages[:-8]}").unchanged


def test_responses_of_very_many_pages_have_no_digests_of_pages(archive: Archive) -> None:
    came, page = SentPages(), Server(archive).events(FIRST[:1], {}, {})[1]
    assert isinstance(page, Page)
    for _ in range(MOST_PAGES):
        came.add(page)
    assert came.of(BATCHED, 0, 0) is not None
    came.add(page)
    assert came.of(BATCHED, 0, 0) is None


def _cut(events: Iterator[Event]) -> Iterator[Event]:
    yield from events
    raise AssertionError


def test_a_response_that_breaks_off_raises_its_error(server: Server) -> None:
    """Its temporary files are closed (unclosed ones are errors in these tests)."""
    content, digest, pages = digests(server.fetched(FIRST)).split()
    source = Source("acme", "test", BATCHED, lambda _window: iter(()), lambda *_: None)
    source = replace(source, fetch_again=lambda _window, lists: _cut(iter(server.events(FIRST, {}, lists))))
    with pytest.raises(AssertionError):
        fetch_entries(server.archive, source, DAY, NOW, before=f"{content} {digest} {pages}")


RECORDS = [call(f"r{at}", f"2026-11-1{1 + at // 4}T0{at % 4}:00:00Z", word) for at in range(6) for word in ("x", "y")]
SOME_PAGES = st.lists(st.lists(st.sampled_from(RECORDS), min_size=1, max_size=3), max_size=5)


@pytest.mark.slow
@given(last=SOME_PAGES, now=SOME_PAGES, kept=st.integers(0, 5))
def test_whatever_comes_knowing_the_last_pages_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, last: Pages, now: Pages, kept: int
) -> None:
    """A reading that knows the last response tells what one that knows nothing tells, or that nothing has changed."""
    server = Server(open_or_create(tmp_path_factory.mktemp("a") / "archive", "UTC", "jsonl"))
    first = server.fetched(last)
    pages = [*last[:kept], *now]
    fresh = server.fetched(pages)
    said = server.said
    again = server.fetched(pages, digests(first))
    assert server.said == said
    if again.unchanged:
        assert (again.digest, again.tally.records) == (fresh.digest, fresh.tally.records)
        assert (again.tally.duplicates, again.sent) == (fresh.tally.duplicates, fresh.sent)
    else:
        assert facts(again) == facts(fresh)


WRITTEN = """
import sys
from cdrctl.archive.pages import SentPages
from cdrctl.fetchers import load

print(SentPages().of(load(sys.argv[1]).call(sys.argv[2]), 0, 0).text())
"""


@pytest.mark.process
@for_each("name, call", [(name, call) for name in PROVIDERS for call in load(name).calls if call.archived])
def test_the_next_run_knows_the_pages(name: str, call: Call) -> None:
    """A digest must not have the address of a function, which is another one in each process."""
    words = [sys.executable, "-c", WRITTEN, name, call.name]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    assert read_pages(text, call) is not None
