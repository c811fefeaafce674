"""The calls of a window, with every way in which Voicenter may select them, and with every zone of its times."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cdrctl.archive.fetching import Source
from cdrctl.archive.ledger import Ledger
from cdrctl.archive.store import FIRST_LAYOUT, open_or_create
from cdrctl.archive.sync import sync
from cdrctl.errors import IncompleteError
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import Query, connect
from cdrctl.fetchers.voicenter import PROVIDER
from cdrctl.fetchers.voicenter.settings import VoicenterSettings
from cdrctl.http import Client, Clock
from cdrctl.records.events import Event, Gap, Note
from cdrctl.records.schemas import native
from cdrctl.sandbox import Exchange, Sandbox, start, uniform
from cdrctl.windows import Window, rfc3339
from tests.support.products import for_each, pairwise_product

from .voicenter_kit import OPTIONS as NO_TAIL

OPTIONS = {**NO_TAIL, "longest_call": timedelta(hours=24)}
CDRS = PROVIDER.call("cdrs")
ISRAEL = "Asia/Jerusalem"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AUTUMN = datetime(2026, 10, 24, 23, tzinfo=UTC)
"""When two o'clock in summer time becomes one o'clock in winter time, in Israel."""
SPRING = datetime(2026, 3, 27, 0, tzinfo=UTC)
"""When two o'clock in winter time becomes three o'clock in summer time, in Israel."""
ZONELESS = {"date": "blank", "epoch": "off"}

Found = Counter[tuple[Any, Any, Any]]


def calls_around(middle: datetime) -> Exchange:
    """Return an exchange with a call every 40 minutes for three days, some of which last for hours."""
    since, until = middle - 36 * HOUR, middle + 36 * HOUR
    return Exchange(
        calls=[
            *uniform(108, since, until, talk_seconds=75, name="short"),
            *uniform(12, since + timedelta(minutes=7), until, talk_seconds=5 * 3600, name="long"),
            *uniform(1, middle, middle + HOUR, talk_seconds=20, name="at the change"),
        ]
    )


AROUND = {at: calls_around(at) for at in (AUTUMN, SPRING)}


@dataclass
class Bench:
    """A sandbox, a profile, and the messages of exports."""

    sandbox: Sandbox
    settings: VoicenterSettings
    client: Client
    notes: list[str] = field(default_factory=list)

    def fetch(self, window: Window, **options: Any) -> Iterator[Event]:
        return CDRS.fetch(Query(self.client, self.settings, window, {**OPTIONS, **options}))

    def export(self, since: datetime, until: datetime, **options: Any) -> tuple[Found, Tally]:
        """Return the call id, type and start of each record of an export."""
        window, tally = Window(since, until), Tally()

        def pieces() -> Iterator[Event]:
            for piece in self.fetch(window, **options):
                if isinstance(piece, Note):
                    self.notes.append(piece.text)
                yield piece

        schema = native(CDRS.columns, ["call_id", "type", "date"], lambda _text: None)
        pages = rows(pieces(), CDRS, schema, window, tally, lambda _level, _text: None)
        return Counter((one[0], one[1], one[2]) for page in pages for one in map(list, page)), tally


@contextmanager
def bench(
    exchange: Exchange, now: datetime, switches: Mapping[str, str] | None = None, **settings: Any
) -> Iterator[Bench]:
    clock = Clock(now=lambda: now, monotonic=lambda: 0.0, sleep=lambda _seconds: None)
    with start(
        now=clock.now, providers=["voicenter"], switches={"voicenter": dict(switches or {})}, exchange=exchange
    ) as sandbox:
        profile = VoicenterSettings.of(sandbox.credentials("voicenter", "code") | settings)
        client = connect(PROVIDER, profile, clock=clock, log=lambda _level, _text: None, conceal=lambda _secrets: None)
        with closing(client):
            yield Bench(sandbox, profile, client)


@functools.cache
def started(exchange: Exchange, now: datetime) -> list[tuple[Any, Any, datetime]]:
    """Return all calls, from a service whose times are UTC with a zone."""
    with start(now=lambda: now, providers=["voicenter"], exchange=exchange) as sandbox:
        found = sandbox.truth("voicenter", "cdrs", now - 30 * DAY, now)
    return [(one["CallID"], one["Type"], datetime.fromtimestamp(one["DateEpoch"], UTC)) for one in found]


def truth(exchange: Exchange, now: datetime, since: datetime, until: datetime) -> Found:
    """Return the calls that started in a window."""
    return Counter((call, kind, rfc3339(at)) for call, kind, at in started(exchange, now) if since <= at < until)


@pytest.mark.thin
@pairwise_product(
    change=["autumn", "spring"],
    precision=["second", "minute"],
    bounds=["closed", "half_open", "open_low", "open"],
    window_on=["start", "end", "saved"],
    zone=["utc", "israel"],
)
def test_export_has_the_calls_of_the_window_with_every_selection_and_zone(
    change: str, precision: str, bounds: str, window_on: str, zone: str
) -> None:
    """Windows before, at and after a clock change tile, and each has exactly its calls."""
    middle = {"autumn": AUTUMN, "spring": SPRING}[change]
    now = middle + 3 * DAY
    switches = {"precision": precision, "bounds": bounds, "window_on": window_on, "date_zone": zone, "lag": "4"}
    edges = [middle - 20 * HOUR, middle - timedelta(minutes=40), middle, middle + timedelta(minutes=20, seconds=13)]
    with bench(AROUND[middle], now, switches | ZONELESS) as made:
        whole: Found = Counter()
        for since, until in pairwise([*edges, middle + 20 * HOUR]):
            found, tally = made.export(since, until)
            assert found == truth(AROUND[middle], now, since, until)
            assert tally.gaps == []
            whole += found
        assert made.export(edges[0], middle + 20 * HOUR)[0] == whole
        assert len(whole) > 60


@pytest.mark.slow
@for_each("request_zone", ["utc", "israel"])
@for_each("window_on", ["start", "end", "saved"])
@for_each("dates", [{"date": "z"}, {"date": "blank", "date_zone": "israel"}], ids=["z", "epoch"])
def test_service_that_reads_requests_in_israels_time_loses_no_record(
    dates: dict[str, str], window_on: str, request_zone: str
) -> None:
    """Records that prove their start are found wherever the service places the window, also in windows up to now."""
    now = AUTUMN + 6 * HOUR
    switches = {"window_on": window_on, "request_zone": request_zone, **dates}
    with bench(AROUND[AUTUMN], now, switches) as made:
        for since, until in ((AUTUMN - 24 * HOUR, AUTUMN), (AUTUMN, AUTUMN + 4 * HOUR), (now - 2 * HOUR, now)):
            found, tally = made.export(since, until)
            assert found == truth(AROUND[AUTUMN], now, since, until)
            assert found
            assert tally.gaps == []
        assert made.notes == []


@pytest.mark.parametrize("zone", ["utc", "israel"])
def test_detected_zone_gets_one_note_and_a_setting_saves_the_request(zone: str) -> None:
    now, name = AUTUMN + 10 * DAY, {"utc": "UTC", "israel": ISRAEL}[zone]
    middle = now - 6 * DAY
    exchange = Exchange(calls=uniform(48, middle, middle + DAY))
    with bench(exchange, now, ZONELESS | {"date_zone": zone}) as made:
        found, tally = made.export(middle, middle + 2 * DAY)
        assert (found, tally.gaps) == (truth(exchange, now, middle, middle + DAY), [])
        assert len([text for text in made.notes if f'date_zone = "{name}"' in text]) == 1
        asked = len(made.sandbox.requests)
    with bench(exchange, now, ZONELESS | {"date_zone": zone}, date_zone=name) as made:
        assert made.export(middle, middle + 2 * DAY)[0] == found
        assert made.notes == []
        assert len(made.sandbox.requests) == asked - 2


@for_each("zone", ["utc", "israel"])
@for_each("window_on", ["start", "end"])
def test_zone_is_detected_from_calls_around_the_window(window_on: str, zone: str) -> None:
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    since = datetime(2026, 11, 20, 14, tzinfo=UTC)
    exchange = Exchange(
        calls=[
            *uniform(1, since, since + HOUR, talk_seconds=4 * 3600, name="long"),
            *uniform(1, since - 20 * HOUR, since, talk_seconds=60, name="short"),
        ]
    )
    switches = ZONELESS | {"date_zone": zone, "window_on": window_on}
    with bench(exchange, now, switches) as made:
        found, tally = made.export(since - timedelta(minutes=1), since + HOUR, longest_call=5 * HOUR)
        assert (found, tally.gaps) == (truth(exchange, now, since, since + HOUR), [])
        assert found.total() == 1


def test_export_of_a_day_in_israels_time() -> None:
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    since = datetime(2026, 11, 20, tzinfo=UTC)
    exchange = Exchange(calls=uniform(48, since, since + DAY))
    with bench(exchange, now, ZONELESS | {"date_zone": "israel"}) as made:
        found, tally = made.export(since, since + DAY)
        assert found == truth(exchange, now, since, since + DAY)
        assert sorted(at for _, _, at in found) == [rfc3339(since + n * timedelta(minutes=30)) for n in range(48)]
        assert tally.gaps == []


@pytest.mark.thin
@pytest.mark.parametrize("window_on", ["start", "end", "saved"])
def test_an_archive_over_a_change_of_clocks_has_every_call_once(window_on: str, tmp_path: Path) -> None:
    """Days are Israel's, one of them has 25 hours, and each has the calls that started in it."""
    exchange = AROUND[AUTUMN]
    switches = ZONELESS | {"date_zone": "israel", "window_on": window_on, "lag": "4"}
    archive = open_or_create(tmp_path / "archive", ISRAEL, "jsonl", FIRST_LAYOUT)
    for night in range(4):
        now = AUTUMN - 20 * HOUR + night * DAY
        with (
            bench(exchange, now, switches) as made,
            closing(Ledger(tmp_path / "archive", new=not night)) as ledger,
        ):
            source = Source("acme", "voicenter", CDRS, made.fetch, lambda *_: None)
            outcome = sync(archive, ledger, source, made.client.clock.now, since=AUTUMN - 26 * HOUR)
            assert (outcome.failed, outcome.error) == ({}, None)
    kept = {
        path.parent.name.removeprefix("date="): [json.loads(line)["date"] for line in path.read_text().splitlines()]
        for path in (tmp_path / "archive").glob("acme/cdrs/*/cdrs.jsonl")
    }
    for day in ("2026-10-24", "2026-10-25", "2026-10-26"):
        since = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(ISRAEL))
        until = (since.replace(tzinfo=None) + DAY).replace(tzinfo=ZoneInfo(ISRAEL))
        expected = truth(exchange, AUTUMN + 3 * DAY, since.astimezone(UTC), until.astimezone(UTC))
        assert sorted(kept[day]) == sorted(at for _, _, at in expected.elements())


@pytest.mark.parametrize("precision", ["second", "minute"])
def test_only_the_last_part_is_requested_past_its_end(precision: str) -> None:
    now, since = AUTUMN + 20 * DAY, AUTUMN - 3 * HOUR
    whole = Window(since, since + 2 * DAY)
    with bench(AROUND[AUTUMN], now, {"precision": precision, "window_on": "end"}) as made:
        found, _ = made.export(whole.since, whole.until)
        asked = len(made.sandbox.requests)
        parts = [Window(since, since + DAY), Window(since + DAY, whole.until)]
        window, tally = whole, Tally()
        pieces = (
            one for part in parts for one in CDRS.fetch(Query(made.client, made.settings, part, OPTIONS, whole=whole))
        )
        schema = native(CDRS.columns, ["call_id", "type", "date"], lambda _text: None)
        pages = rows(pieces, CDRS, schema, window, tally, lambda _level, _text: None)
        assert Counter((one[0], one[1], one[2]) for page in pages for one in map(list, page)) == found
        assert len(made.sandbox.requests) == 2 * asked == 6


def test_call_in_progress_at_the_end_of_a_window_belongs_to_its_start() -> None:
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    until = datetime(2026, 11, 21, tzinfo=UTC)
    exchange = Exchange(calls=uniform(1, until - HOUR, until, talk_seconds=3 * 3600))
    for window_on in ("start", "end", "saved"):
        with bench(exchange, now, {"window_on": window_on}) as made:
            assert made.export(until - DAY, until)[0].total() == 1
            assert made.export(until, until + DAY)[0].total() == 0


def test_wrong_date_zone_is_reported() -> None:
    """In UTC, Israel's calls seem to start after the end of the request that lists them."""
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    since = datetime(2026, 11, 20, tzinfo=UTC)
    exchange = Exchange(calls=uniform(96, since - DAY, since + 3 * DAY, talk_seconds=30))
    with bench(exchange, now, ZONELESS | {"date_zone": "israel"}, date_zone="utc") as made:
        found, tally = made.export(since, since + DAY)
        assert found != truth(exchange, now, since, since + DAY)
        assert len(tally.gaps) == 1


def test_zone_without_proof_is_incomplete() -> None:
    """A service that lists the same calls for every request proves nothing about its times; nor does a third zone."""
    from .voicenter_kit import Voicenter, record, reply

    blank = record("a", datetime(2026, 11, 18, 0, 0, 5, tzinfo=UTC)) | {"Date": "2026-11-18 00:00:05"}
    error = Voicenter(lambda _body: reply(blank)).fails()
    assert isinstance(error, IncompleteError)
    assert "date_zone" in (error.hint or "")
    known = [record("a", datetime(2026, 11, 18, 0, 0, 5, tzinfo=UTC)), blank | {"DateEpoch": 1_795_000_000}]
    for one in known:
        assert not any(isinstance(piece, Note | Gap) for piece in Voicenter(reply(one)).fetch())
