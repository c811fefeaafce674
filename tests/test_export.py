"""The loop of an export: every record of the window is returned once, and everything else is reported."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, strategies as st
from msgspec.structs import replace

from cdrctl import duplicates
from cdrctl.export.availability import LONG_CALL, RECENT, events_by_their_clock, reachable
from cdrctl.export.fetching import OpenCall
from cdrctl.export.identity import run_keys, with_record_key
from cdrctl.export.rows import SAME_ID, Tally, rows
from cdrctl.fetchers import Call, Query, load
from cdrctl.records.batches import RecordBatch
from cdrctl.records.decoding import BatchDecoder
from cdrctl.records.events import Checkpoint, Event, Gap, Note, Page, Record
from cdrctl.records.readers import iso_instant
from cdrctl.records.schemas import native, raw
from cdrctl.windows import Window
from tests.support.examples import examples
from tests.support.products import for_each

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = Window(NOON - timedelta(hours=24), NOON)


def start(record: Record) -> datetime | None:
    try:
        return iso_instant(record.get("at"))
    except ValueError:
        return None


def nothing(*_: Any) -> Iterator[Event]:
    yield from ()


CALL = Call("cdrs", "", (), nothing, lambda record: str(record.get("id")), start)
WINDOWLESS = Call("legs", "", (), nothing, lambda record: str(record.get("id")))


def at(instant: datetime, name: str = "") -> Record:
    return {"id": name or instant.isoformat(), "at": instant.isoformat()}


def export(
    events: Iterable[Event], window: Window | None = DAY, limit: int | None = None, call: Call = CALL
) -> tuple[list[Any], Tally, list[tuple[str, str]]]:
    tally = Tally()
    told: list[tuple[str, str]] = []
    pages = rows(events, call, raw(), window, tally, lambda level, text: told.append((level, text)), limit)
    out = [record for page in pages for record in page]
    return out, tally, [(level, text) for level, text in told if level != "progress"]


def test_the_window_is_half_open() -> None:
    instants = [DAY.since - timedelta(microseconds=1), DAY.since, DAY.until - timedelta(microseconds=1), DAY.until]
    records = [at(instant) for instant in instants]
    out, tally, _ = export([Page(records)])
    assert out == records[1:3]
    assert (tally.records, tally.pages) == (2, 1)


@given(st.lists(st.integers(-5, 65), max_size=30), st.integers(1, 59))
def test_windows_tile(minutes: list[int], cut: int) -> None:
    hour = Window(NOON, NOON + timedelta(minutes=60))
    middle = NOON + timedelta(minutes=cut)
    records = [at(NOON + timedelta(minutes=minute)) for minute in minutes]
    whole, _, _ = export([Page(records)], hour)
    parts = [export([Page(records)], half)[0] for half in (Window(NOON, middle), Window(middle, hour.until))]
    assert sorted(map(str, parts[0] + parts[1])) == sorted(map(str, whole))


def test_a_record_is_returned_once_in_each_context() -> None:
    one = at(NOON - timedelta(hours=1), "1")
    two = at(NOON - timedelta(hours=1), "2")
    pages = [Page([one, one], {"account": "a"}), Page([one, two], {"account": "a"}), Page([one], {"account": "b"})]
    out, tally, _ = export(pages)
    assert out == [one, two, one]
    assert tally.duplicates == 2


text = st.text(st.characters(exclude_categories=()), max_size=4) | st.sampled_from(
    ["1:a", "1;1:a", "a", "\ud83d", "\0", "\0#", "\x001:a;", "x" * 101]
)
keys = st.tuples(st.lists(text, max_size=3), text)


@pytest.mark.slow
@given(keys, keys)
@example(([], "1:a;b"), (["a"], "b"))
@example(([], "\x001:a;b"), (["a"], "b"))
@example((["a", "b"], "c"), (["ab"], "c"))
@examples(500)
def test_no_two_identities_share_a_key(one: tuple[list[str], str], other: tuple[list[str], str]) -> None:
    keys = {run_keys(dict(zip("abc", context, strict=False)), [name])[0] for context, name in (one, other)}
    assert (len(keys) == 1) == (one == other)


@pytest.mark.parametrize("beside", [[], ["short"]], ids=["alone", "beside-another"])
def test_no_identity_equals_the_digest_of_a_long_one(beside: list[str]) -> None:
    (digest,) = run_keys({}, ["x" * 101])
    assert run_keys({}, [digest, *beside])[0] != digest


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 100, 500])
def test_the_memory_for_identities_does_not_grow(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a tenth of the identities is kept in memory, and a tenth of the 10 MB of an export is allowed."""
    assert duplicates.NEAR == 20_000
    monkeypatch.setattr(duplicates, "NEAR", 2_000)
    count = 15_000

    def pages() -> Iterator[Event]:
        for page in range(count // size):
            yield Page(
                [
                    {
                        "id": f"6f1c7f6e-2f0c-{page:06}{n:06}",
                        "at": (NOON - timedelta(hours=9) + timedelta(hours=8) * page * size / count).isoformat(),
                    }
                    for n in range(size)
                ]
            )

    tracemalloc.start()
    try:
        tally = Tally()
        held = rows(pages(), CALL, raw(), DAY, tally, lambda *_: None)
        taken = {}
        for _ in held:
            if tally.records % 5_000 == 0:
                taken[tally.records] = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(taken) == 3
    assert max(taken.values()) < 1_000_000
    assert taken[count] < taken[5_000] + 300_000


def test_records_with_an_unreadable_start_are_kept_with_one_warning() -> None:
    records: list[Record] = [{"id": "1"}, {"id": "2", "at": "noon"}]
    out, _, told = export([Page(records)])
    assert out == records
    assert told == [("warning", "a record has a start that cannot be read; such records are kept")]


@for_each("odd", ["1970-01-21T18:00:00.000Z", "2126-11-20T08:00:00.000Z", "noon", ""])
def test_records_with_a_missing_or_implausible_start_are_kept_in_a_batch_too(odd: str) -> None:
    """If a start in another unit were accepted, its record would be dropped as outside the window."""
    webex = load("webex").calls[0]
    assert webex.key_fields is not None
    usual = (NOON - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    body = {"items": [{"Report ID": str(n), "Start time": text} for n, text in enumerate([usual, odd])]}
    read = BatchDecoder(webex.columns, webex.key_fields, raw=False)(bytearray(json.dumps(body).encode()), ("items",))
    assert isinstance(read["items"], RecordBatch)
    out, _, told = export([Page(read["items"])], call=webex)
    assert [record["Report ID"] for record in out] == ["0", "1"]
    assert told == [("warning", "a record has a start that cannot be read; such records are kept")]


def kept(records: list[Record], *, present: datetime | None = NOON) -> tuple[list[Any], list[str]]:
    """Return the records of a page that belong to a day, and the warnings."""
    told: list[str] = []
    log = lambda level, text: told.append(text) if level == "warning" else None  # noqa: E731
    when = None if present is None else (lambda: present)
    pages = rows([Page(records), Page(records)], CALL, raw(), DAY, Tally(), log, present=when)
    return [record for page in pages for record in page], told


def test_records_that_start_in_the_future_are_kept_with_one_warning() -> None:
    """They are in no window. A record of a later window is dropped, unless it starts later than clocks may differ."""
    ours, later = at(NOON - timedelta(hours=1), "1"), at(NOON + timedelta(hours=25), "2")
    future, other = at(datetime(2083, 10, 13, 10, tzinfo=UTC), "3"), at(NOON + timedelta(hours=27), "4")
    found, warned = kept([ours, later, future, other])
    assert found == [ours, future, other]
    assert len(warned) == 1
    assert "2083-10-13T10:00:00.000Z" in warned[0]


def test_a_window_in_the_past_cuts_records_between_it_and_now() -> None:
    found, warned = kept([at(NOON + timedelta(days=5))], present=NOON + timedelta(days=9))
    assert (found, warned) == ([], [])


def opened(ahead: timedelta | None) -> OpenCall:
    """Return a call whose client knows by how much this machine's clock differs from the provider's."""
    client: Any = SimpleNamespace(ahead=ahead)
    webex = load("webex")
    return OpenCall(webex, webex.calls[0], "acme", Query(client, None, None, {}), lambda: NOON, lambda *_: None)


def test_the_present_follows_the_providers_clock_once_it_is_known() -> None:
    for ahead in (timedelta(days=2), timedelta(days=-2), timedelta()):
        assert opened(ahead).present() == NOON - ahead
    assert opened(None).present() == NOON


def test_no_start_is_in_the_future_if_the_present_is_unknown() -> None:
    assert kept([at(datetime(2083, 10, 13, tzinfo=UTC))], present=None) == ([], [])


def test_records_with_equal_ids_and_different_content_are_kept_with_one_warning() -> None:
    one, two = {**at(NOON - timedelta(hours=1), "1"), "n": 1}, {**at(NOON - timedelta(hours=1), "1"), "n": 2}
    found, warned = kept([one, two, one])
    assert found == [one, two]
    assert warned == [SAME_ID]


def test_the_first_record_of_each_id_is_kept_if_one_stands_for_many() -> None:
    one, two = {**at(NOON - timedelta(hours=1), "1"), "n": 1}, {**at(NOON - timedelta(hours=1), "1"), "n": 2}
    out, tally, told = export([Page([one, two])], call=replace(CALL, stands_for_many=True))
    assert (out, tally.duplicates, told) == ([one], 1, [])


def test_records_with_equal_ids_have_different_keys_in_a_database() -> None:
    """The first record has the key of its id, so that it is replaced if it changes; the second has its own key."""
    provider = load("webex")
    call = replace(provider.calls[0], fetch=nothing)
    schema = with_record_key(native(call.columns, None, lambda _text: None), provider, call, "p")
    base = {"Report ID": "r", "Start time": (NOON - timedelta(hours=1)).isoformat()}
    pages = [Page([{**base, "Location": "a"}]), Page([{**base, "Location": "b"}, {**base, "Location": "a"}])]

    def keys(pages: list[Page]) -> list[Any]:
        found: Iterator[Any] = rows(pages, call, schema, DAY, Tally(), lambda *_: None)
        return [row[0] for page in found for row in page]

    first, second = keys(pages)
    assert first != second
    assert keys(pages[:1]) == [first]
    assert keys(pages) == [first, second]


def test_a_call_without_a_window_keeps_every_record_without_a_warning() -> None:
    records: list[Record] = [{"id": "1"}, {"id": "2", "at": "2001-01-01"}]
    assert export([Page(records)], None, call=WINDOWLESS)[::2] == (records, [])


def test_gaps_and_notes_are_logged() -> None:
    out, tally, told = export([Note("by the way"), Gap("a second is missing", "ask them"), Gap("another")])
    assert told == [
        ("note", "by the way"),
        ("warning", "incomplete: a second is missing (ask them)"),
        ("warning", "incomplete: another"),
    ]
    assert [gap.what for gap in tally.gaps] == ["a second is missing", "another"]
    assert (out, tally.pages) == ([], 0)


@for_each("limit, pages_read", [(1, 1), (2, 1), (3, 2), (4, 2), (6, 3)])
def test_a_limit_is_exact_and_noted(limit: int, pages_read: int) -> None:
    read: list[int] = []

    def pages() -> Iterator[Event]:
        for page in range(9):
            read.append(page)
            yield Page([at(NOON - timedelta(hours=1), f"{page}.{n}") for n in range(2)])

    out, tally, told = export(pages(), limit=limit)
    assert (len(out), tally.records, tally.stopped) == (limit, limit, True)
    assert len(read) == pages_read
    assert told == [("note", f"stopped after {limit} records, as --limit says; there may be more")]


def test_a_limit_that_is_not_reached_has_no_note() -> None:
    assert export([Page([at(NOON - timedelta(hours=1))])], limit=2)[2] == []


def test_pages_are_fetched_one_at_a_time_and_closed_with_the_export() -> None:
    happened: list[str] = []

    def pages() -> Iterator[Event]:
        try:
            for page in range(9):
                happened.append(f"page {page}")
                yield Page([at(NOON - timedelta(hours=1), str(page))])
        finally:
            happened.append("closed")

    fetched = pages()  # referenced here, so that only closing ends it
    exported = rows(fetched, CALL, raw(), DAY, Tally(), lambda *_: None)
    assert happened == []
    next(iter(exported))
    assert happened == ["page 0"]
    exported.close()
    assert happened == ["page 0", "closed"]


def test_a_limit_closes_the_fetcher() -> None:
    closed: list[bool] = []

    def pages() -> Iterator[Event]:
        try:
            while True:
                yield Page([at(NOON - timedelta(hours=1))])
        finally:
            closed.append(True)

    fetched = pages()
    export(fetched, limit=1)
    assert closed == [True]


LAG = timedelta(minutes=5)


def test_a_window_that_the_provider_has_is_requested_unchanged() -> None:
    old = Window(DAY.since, NOON - LAG - LONG_CALL)
    assert reachable(old, LAG, NOON, "Acme") == (old, [])


def test_a_window_that_ended_recently_has_a_note_on_calls_in_progress() -> None:
    for until in (NOON - LAG, NOON - LAG - LONG_CALL + timedelta(seconds=1)):
        recent = Window(DAY.since, until)
        window, said = reachable(recent, LAG, NOON, "Acme", cut=False)
        assert window == recent
        assert levels(said) == ["note", "debug"]
        assert "in progress at 2026-11-20T11:55:00.000Z" in said[0].text  # type: ignore[union-attr]


def levels(said: list[Note | Gap]) -> list[str]:
    """Return the two notes on the newest calls: a short one, and a long one for -v."""
    assert all(isinstance(one, Note) and one.topic == RECENT for one in said)
    return [one.level for one in said if isinstance(one, Note)]


def test_a_window_up_to_now_is_requested_up_to_now() -> None:
    """The records of the last minutes are returned. A short note names the instant from which calls may be missing."""
    for until in (NOON, NOON - timedelta(seconds=60), NOON + timedelta(days=2)):
        window, said = reachable(Window(DAY.since, until), LAG, NOON, "Acme", cut=False)
        assert window == Window(DAY.since, min(until, NOON))
        assert levels(said) == ["note", "debug"]
        assert "2026-11-20T11:55:00.000Z" in said[0].text  # type: ignore[union-attr]
        assert len(said[0].text) < 80  # type: ignore[union-attr]


def test_a_window_up_to_now_is_cut_if_the_provider_refuses_newer_times() -> None:
    for until in (NOON, NOON - timedelta(seconds=60), NOON + timedelta(days=2)):
        window, said = reachable(Window(DAY.since, until), LAG, NOON, "Acme")
        assert window == Window(DAY.since, NOON - LAG)
        assert levels(said) == ["note", "debug"]
        assert "2026-11-20T11:55:00.000Z" in said[0].text  # type: ignore[union-attr]


@pytest.mark.parametrize("cut", [True, False])
def test_a_past_window_that_the_provider_does_not_have_yet_is_incomplete(cut: bool) -> None:  # noqa: FBT001
    asked = Window(DAY.since, NOON - timedelta(seconds=61))
    window, said = reachable(asked, LAG, NOON, "Acme", cut=cut)
    assert window == (Window(DAY.since, NOON - LAG) if cut else asked)
    assert isinstance(said[0], Gap)
    assert said[0].hint == "run the command again in 4 min"


def test_a_window_is_cut_at_a_whole_second() -> None:
    """Providers take windows in seconds, and the note must agree with the request."""
    window, _ = reachable(Window(DAY.since, NOON), LAG, NOON + timedelta(milliseconds=400), "Acme")
    assert window == Window(DAY.since, NOON - LAG)


@pytest.mark.parametrize("minutes", [4, 5])
def test_a_window_of_which_the_provider_has_nothing_yet_is_not_requested(minutes: int) -> None:
    since, until = NOON - timedelta(minutes=minutes), NOON - timedelta(minutes=2)
    window, said = reachable(Window(since, until), LAG, NOON, "Acme")
    assert window is None
    assert isinstance(said[0], Gap)
    assert said[0].what == (
        f"Acme does not have the calls from 2026-11-20T11:{60 - minutes}:00.000Z to 2026-11-20T11:58:00.000Z yet"
    )


def test_a_window_in_the_future_is_not_requested() -> None:
    window, said = reachable(Window(NOON, NOON + timedelta(hours=1)), LAG, NOON, "Acme", cut=False)
    assert window is None
    assert levels(said) == ["note", "debug"]


# The provider's clock


@for_each(
    "until, ahead, expected",
    [
        (timedelta(0), None, None),  # no response had a date
        (timedelta(0), timedelta(0), None),
        (timedelta(0), timedelta(seconds=60), None),  # within the tolerance for clocks and networks
        (timedelta(0), timedelta(hours=3), Note),  # the window ends at now, so it means everything so far
        (-timedelta(minutes=6), timedelta(hours=3), Note),  # as above, less the lag of the provider
        (-timedelta(minutes=7), timedelta(hours=3), Gap),
        (-timedelta(hours=2), timedelta(hours=3), Gap),
        (-timedelta(hours=3), timedelta(hours=3), None),  # the window has ended by the provider's clock, too
        (-timedelta(hours=3) + timedelta(seconds=1), timedelta(hours=3), Gap),
        (-timedelta(hours=1), -timedelta(hours=3), None),  # ended by a slow clock, so by every clock
        (-timedelta(hours=1), timedelta(hours=26), Gap),
        (-timedelta(hours=1), timedelta(days=40), Gap),
    ],
)
def test_a_window_that_ends_after_the_present_of_the_provider(
    until: timedelta, ahead: timedelta | None, expected: type[Note | Gap] | None
) -> None:
    window = Window(NOON - timedelta(days=1), NOON + until)
    page = Page([at(NOON - timedelta(hours=20))])
    first, *rest = events_by_their_clock(iter([page]), window, timedelta(minutes=5), lambda: ahead, NOON, "Webex")
    assert first is page
    assert [type(event) for event in rest] == ([expected] if expected else [])
    for event in rest:
        assert isinstance(event, Note | Gap)
        said = event.text if isinstance(event, Note) else event.what
        assert ahead is not None
        assert f"by the clock of Webex it is {(NOON - ahead):%Y-%m-%dT%H:%M:%S.000Z}" in said


def test_checkpoints_outside_the_window_do_not_count() -> None:
    tally = Tally()
    moved: list[Checkpoint | None] = []
    hour = timedelta(hours=1)
    around = [Window(DAY.since - hour, DAY.since + hour), Window(DAY.since + hour, DAY.until + hour)]
    beyond = Window(DAY.until, DAY.until + hour)
    events: list[Event] = [*map(Checkpoint, around), Checkpoint(beyond)]
    assert [*rows(events, CALL, raw(), DAY, tally, lambda *_: None, moved=moved.append)] == []
    assert moved == events
    assert (tally.read, tally.windows) == (DAY.duration, 2)
