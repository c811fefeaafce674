"""Small pages that come quickly are handed on together, and nothing is lost, repeated or kept waiting."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from cdrctl.cli.app import main
from cdrctl.cli.process import Process
from cdrctl.contents import contents_of
from cdrctl.errors import TemporaryError
from cdrctl.export.fetching import OpenCall, events_of
from cdrctl.export.gathering import QUICK_SECONDS, gathered
from cdrctl.export.request import ExportRequest, TypedWindow
from cdrctl.fetchers import Query, load
from cdrctl.records.batches import KeyFields, RecordBatch
from cdrctl.records.decoding import FEW
from cdrctl.records.events import Checkpoint, Event, Note, Page
from cdrctl.sandbox import Exchange, start
from cdrctl.windows import Window
from tests.support.clock import HandClock
from tests.support.products import for_each
from tests.support.runner import Shell

KEYS = KeyFields("id", "start")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def batch(*ids: str, texts: tuple[str, ...] = ("id",), unknown: tuple[str, ...] = ()) -> RecordBatch:
    columns = {"id": ids, "start": [NOON.isoformat()] * len(ids), **{key: [1] * len(ids) for key in unknown}}
    return RecordBatch(KEYS, columns, frozenset(texts), unknown, len(ids))


def pages(*sizes: int, first: int = 0) -> list[Event]:
    made: list[Event] = []
    for size in sizes:
        made.append(Page(batch(*(str(first + at) for at in range(size)))))
        first += size
    return made


def sizes(events: list[Event]) -> list[int]:
    return [len(event.records) for event in events if isinstance(event, Page)]


def test_pages_after_the_first_are_handed_on_together_up_to_a_batch() -> None:
    assert sizes([*gathered(pages(100, 100, 100, 100, 100))]) == [100, 300, 100]


def test_a_page_that_took_longer_is_handed_on_at_once() -> None:
    clock = HandClock(NOON)

    def slow() -> Iterator[Event]:
        for event in pages(10, 10, 10, 10):
            clock.sleep(QUICK_SECONDS * 1.01)
            yield event

    assert sizes([*gathered(slow(), lambda: clock.seconds)]) == [10, 10, 10, 10]


def test_a_page_is_not_held_beyond_another_event() -> None:
    end = Checkpoint(Window(NOON, NOON.replace(hour=13)))
    one, two, three = pages(10, 10, 10)
    assert [*gathered([one, two, end, three])] == [one, two, end, three]


def test_a_page_is_not_held_beyond_an_error() -> None:
    def broken() -> Iterator[Event]:
        yield from pages(10, 10, 10)
        raise TemporaryError("down")

    events = gathered(broken())
    assert sizes([next(events), next(events)]) == [10, 20]
    with pytest.raises(TemporaryError):
        next(events)


@pytest.mark.parametrize(("live", "written"), [(True, [10, 10, 10, 10]), (False, [10, 30])])
def test_pages_are_not_held_where_somebody_may_read_them_as_they_come(live: bool, written: list[int]) -> None:  # noqa: FBT001
    client: Any = SimpleNamespace(ahead=None, clock=SimpleNamespace(monotonic=lambda: 0.0))
    kazoo = load("kazoo")
    call = replace(kazoo.calls[0], key_fields=None, fetch=lambda _: iter(pages(10, 10, 10, 10)))
    opened = OpenCall(kazoo, call, "acme", Query(client, None, None, {}), lambda: NOON, lambda *_: None)
    window = TypedWindow("2026-11-18", "2026-11-19", UTC)
    _, events = events_of(opened, ExportRequest(window=window, jobs=1, live=live))
    assert sizes([*events]) == written


@for_each(
    "other",
    [
        Page(batch("x"), {"account": "b"}),
        Page(batch("x", texts=())),
        Page(batch("x", unknown=("new",))),
        Page([{"id": "x"}]),
        Page(batch(*map(str, range(1000, 1000 + FEW)))),
        Note("x"),
    ],
    ids=["context", "texts", "unknown", "plain", "large", "note"],
)
def test_what_differs_stays_apart(other: Event) -> None:
    one, two = pages(10, 10)
    assert [*gathered([one, two, other])] == [one, two, other]


def test_closing_it_closes_the_events() -> None:
    closed = []

    def events() -> Iterator[Event]:
        try:
            yield from pages(10, 10)
        finally:
            closed.append(True)

    held = gathered(events())
    next(held)
    held.close()
    assert closed == [True]


@given(st.lists(st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=5), max_size=8), st.booleans())
def test_gathered_pages_have_the_same_records_and_fingerprints(ids: list[list[str]], known: bool) -> None:  # noqa: FBT001
    single = [batch(*one) for one in ids]
    expected = [content for one in ids for content in contents_of(batch(*one))]
    if known:
        for one in single:
            contents_of(one)
    came = [event for event in gathered([Page(one) for one in single]) if isinstance(event, Page)]
    assert [record for page in came for record in page.records] == [record for one in single for record in one]
    assert [one for page in came for one in contents_of(page.records)] == expected
    assert sum(page.number for page in came) == len(ids)


class _Pieces(io.BytesIO):
    """Standard output that counts the pieces in which it is written."""

    count = 0

    def write(self, piece: Any) -> int:
        self.count += bool(len(piece))
        return super().write(piece)


def _exported(tmp_path: Path, *, terminal: bool = False, pipe: bool = False) -> tuple[bytes, int]:
    out, clock = _Pieces(), HandClock(NOON)
    with start(now=clock, exchange=Exchange(volume=0.3)) as providers:
        shell = Shell(tmp_path, clock)
        shell.profile("acme", "kazoo", {**providers.credentials("kazoo"), "requests_per_minute": 0})
        words = ["kazoo", "cdrs", "-p", "acme", "--since", "24h", "--page-size", "5", "-f", "jsonl", "-q"]
        environ = {"CDRCTL_CONFIG": str(shell.config)}
        streams = (io.StringIO(), out, io.StringIO())
        process = Process(environ, *streams, False, terminal, False, 80, clock.clock, stdout_is_pipe=pipe)
        assert main(words, process) == 0
    return out.getvalue(), out.count


@pytest.mark.parametrize("reader", ["terminal", "pipe"])
def test_records_are_written_as_they_come_where_somebody_reads_them_and_together_to_a_file(
    reader: str, tmp_path: Path
) -> None:
    read, pieces = _exported(tmp_path, **{reader: True})
    stored, fewer = _exported(tmp_path)
    assert read == stored
    assert pieces >= len(read.splitlines()) / 5
    assert fewer < pieces / 2
