"""Runs that write a store at the same time, or whose requests fail: no record is lost, and none is stored twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cdrctl.archive.dayfile import NewDay
from cdrctl.archive.files import load, save
from cdrctl.archive.ledgers import open_ledger
from cdrctl.archive.mirror import Mirror
from cdrctl.archive.objects import MAX_WAIT
from cdrctl.archive.owner import Account
from cdrctl.archive.store import open_or_create
from cdrctl.errors import CdrctlError, StoreError
from cdrctl.records.events import Record
from cdrctl.windows import Window
from tests.archive.store import google
from tests.archive.store.conftest import Store
from tests.archive.store.proxy import LOST, RESET, Asked
from tests.archive.sync_kit import NOW, Bench, call
from tests.archive.test_responses import plain

DAY = "2026-11-11"
OURS, THEIRS = call("ours", f"{DAY}T10:00:00Z"), call("theirs", f"{DAY}T11:00:00Z")
BOTH = call("both", f"{DAY}T08:00:00Z")


class AsSent(Bench):
    """A run whose responses are compared as they were sent, before they are converted."""

    def fetch(self, window: Window) -> Iterator[Any]:
        self.asked.append(window)
        yield from plain(self.records)


def bench_on(store: Store, *records: Record, kind: type[Bench] = Bench) -> Bench:
    """Return a run of another machine: it has a mirror of its own."""
    archive = open_or_create(Mirror(store.url).root, None, "jsonl")
    return kind(archive, open_ledger(archive), records=[*records])


def later(bench: Bench) -> Bench:
    """Return a run an hour later."""
    bench.now += timedelta(hours=1)
    return bench


def ids(store: Store) -> dict[str, list[str]]:
    """Return the ids that are in the store, by day."""
    return {
        name.split("/")[-2].removeprefix("date="): [json.loads(line)["id"] for line in content.splitlines()]
        for name, content in store.objects().items()
        if name.endswith("cdrs.jsonl")
    }


def word(store: Store) -> object:
    """Return the word of the only record of a day."""
    (line,) = store.objects()[f"profile=acme/call=cdrs/date={DAY}/cdrs.jsonl"].splitlines()
    return json.loads(line)["word"]


def entries(store: Store, day: str = DAY) -> tuple[str, set[str]]:
    """Return the digest of a day's object, and those that have an entry beside it."""
    import hashlib

    objects = store.objects()
    folder = f"profile=acme/call=cdrs/date={day}"
    known = json.loads(objects[f"{folder}/_readings.json"])["files"]
    return hashlib.sha256(objects[f"{folder}/cdrs.jsonl"]).hexdigest(), set(known)


def responses(store: Store) -> object:
    """Return the digests of the responses that are noted beside the object of a day."""
    there, _ = entries(store)
    return json.loads(store.objects()[f"profile=acme/call=cdrs/date={DAY}/_readings.json"])["files"][there]["responses"]


def before(store: Store, ending: str, act: Callable[[], object]) -> None:
    """Do something once, before the store gets the first object whose name has an ending."""
    waiting = [act]

    def fault(asked: Asked) -> int:
        if waiting and asked.method == "PUT" and asked.path.endswith(ending):
            waiting.pop()()
        return 0

    store.proxy.fault = fault


@pytest.mark.thin
@pytest.mark.parametrize("ending", [f"{DAY}/_readings.json", f"{DAY}/cdrs.jsonl", "_cdrctl/ledger/acme/cdrs.json"])
@pytest.mark.parametrize("is_new", [pytest.param(True, marks=pytest.mark.slow), False], ids=["new", "changed"])
def test_the_records_of_two_runs_are_merged_without_asking_the_provider_again(
    store: Store, ending: str, *, is_new: bool
) -> None:
    if not is_new:
        bench_on(store, BOTH).sync()
    slow, quick = bench_on(store, BOTH, OURS), bench_on(store, BOTH, THEIRS)
    before(store, ending, quick.sync)
    outcome = slow.sync()
    assert (outcome.failed, outcome.error) == ({}, None)
    assert ids(store)[DAY] == ["both", "ours", "theirs"]
    assert sum(one.since.isoformat().startswith(DAY) for one in slow.asked) == 1
    there, known = entries(store)
    assert there in known
    noted = {one.day: one.records for one in bench_on(store).ledger.files("acme", "cdrs")}
    assert noted == {day: len(names) for day, names in ids(store).items()}
    last = bench_on(store, BOTH, OURS, THEIRS)
    assert last.sync().new == 0
    assert ids(store)[DAY] == ["both", "ours", "theirs"]
    ledger = last.ledger.files("acme", "cdrs")
    assert {one.day: one.records for one in ledger} == {day: len(names) for day, names in ids(store).items()}


def test_a_settled_day_whose_object_another_program_changed_is_read_again(store: Store) -> None:
    old = call("old", "2026-11-08T10:00:00Z", "word")
    bench_on(store, old).sync(since=NOW - timedelta(days=5))
    name = "profile=acme/call=cdrs/date=2026-11-08/cdrs.jsonl"
    written = store.objects()[name]
    store.put(name, written.replace(b"word", b"WORD"))  # of the same size
    again = bench_on(store, old)
    again.sync()
    assert again.asked[0] == Window(datetime(2026, 11, 8, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC))
    assert store.objects()[name] == written


def test_settled_days_of_an_archive_copied_from_a_folder_are_not_parsed(store: Store, tmp_path: Path) -> None:
    days = ["2026-11-06", "2026-11-07", "2026-11-08"]
    records = [call(day, f"{day}T10:00:00Z") for day in days]
    archive = open_or_create(tmp_path, None, "jsonl")
    with closing(open_ledger(archive)) as ledger:
        Bench(archive, ledger, records=[*records]).sync(since=NOW - timedelta(days=7))
    store.copy_from(tmp_path)
    changed, deleted, _ = (f"profile=acme/call=cdrs/date={day}/cdrs.jsonl" for day in days)
    store.remove(deleted)
    night = bench_on(store, *records)
    assert night.sync().missing == [days[1]]
    assert {*days} & {*night.ledger.whole_days("acme", "cdrs").days} == {days[0], days[2]}
    store.put(changed, store.objects()[changed] + b"{}\n")
    night = bench_on(store, *records)
    night.sync()
    assert night.asked[0].since == datetime(2026, 11, 6, tzinfo=UTC)


def test_a_settled_day_in_a_store_gets_its_readings_again(store: Store) -> None:
    bench_on(store, call("old", "2026-11-08T10:00:00Z")).sync(since=NOW - timedelta(days=5))
    name = "profile=acme/call=cdrs/date=2026-11-08/_readings.json"
    written = json.loads(store.objects()[name])["files"]
    store.remove(name)
    again = bench_on(store, call("old", "2026-11-08T10:00:00Z"))
    again.sync()
    assert all(one.since > NOW - timedelta(days=2) for one in again.asked)
    told = json.loads(store.objects()[name])["files"]
    assert {sha256: one["readings"] for sha256, one in told.items()} == {
        sha256: one["readings"] for sha256, one in written.items()
    }


@pytest.mark.slow
def test_a_run_that_is_killed_takes_no_entry_of_another_one_with_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one is killed between the readings of a day and its object, while the other is just as far."""
    monkeypatch.setenv(MAX_WAIT, "0")
    bench_on(store, BOTH).sync()
    slow, killed = bench_on(store, BOTH, OURS), bench_on(store, BOTH, THEIRS)
    at: list[str] = []

    def fault(asked: Asked) -> int:
        if asked.method != "PUT" or not asked.path.endswith(f"{DAY}/cdrs.jsonl"):
            return 0
        at.append(asked.path)
        number = len(at)
        if number == 1:
            with suppress(StoreError):
                killed.sync()
        return RESET if number == 2 else 0

    store.proxy.fault = fault
    assert slow.sync().failed == {}
    assert ids(store)[DAY] == ["both", "ours"]
    there, known = entries(store)
    assert there in known


@pytest.mark.slow
def test_a_run_that_is_killed_takes_no_entry_of_a_command_that_reads_nothing_with_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command such as `archive erase` writes a day with its readings as they were, perhaps months before."""
    monkeypatch.setenv(MAX_WAIT, "0")
    bench_on(store, BOTH, OURS).sync()
    erasing, killed = bench_on(store), bench_on(store, BOTH, OURS, THEIRS)
    killed.now += timedelta(days=30)
    ending = f"{DAY}/cdrs.jsonl"

    def meanwhile() -> None:
        store.proxy.fault = lambda asked: RESET if asked.method == "PUT" and asked.path.endswith(ending) else 0
        with suppress(StoreError):
            killed.sync(lookback=timedelta(days=31))
        assert any(one.method == "PUT" and one.path.endswith(ending) for one in store.proxy.requests[number:])
        store.proxy.fault = lambda _asked: 0

    path = erasing.path(DAY)
    old = load(erasing.archive, path)
    assert old is not None
    number = len(store.proxy.requests)
    before(store, ending, meanwhile)
    rows = [row for row in old.rows() if b'"ours"' not in row.line]
    save(erasing.archive, path, NewDay((), old.header, lambda: rows, 1, old.readings, old.sha256))
    assert ids(store)[DAY] == ["both"]
    there, known = entries(store)
    assert there in known


@pytest.mark.slow
def test_both_runs_stay_in_the_ledger(store: Store) -> None:
    """One reads older days, while the other reads new ones."""
    bench_on(store, BOTH).sync()
    old, new = bench_on(store, BOTH), bench_on(store, BOTH)
    new.now += timedelta(days=1)
    before(store, "_cdrctl/ledger/acme/cdrs.json", new.sync)
    old.sync(since=old.now - timedelta(days=4))
    found = bench_on(store).ledger
    assert {"2026-11-08", "2026-11-12"} <= found.readings("acme", "cdrs").keys()
    kept = found.kept_call("acme", "cdrs")
    assert kept is not None
    assert kept.begins.day == 8


@pytest.mark.slow
def test_an_unchanged_response_leaves_what_another_run_wrote(store: Store) -> None:
    for _ in range(2):
        bench_on(store, BOTH, kind=AsSent).sync()
    slow, quick = later(bench_on(store, BOTH, kind=AsSent)), bench_on(store, BOTH, THEIRS, kind=AsSent)
    noted: list[object] = []

    def meanwhile() -> None:
        quick.sync()
        noted.append(responses(store))

    before(store, f"{DAY}/_readings.json", meanwhile)
    assert slow.sync().failed == {}
    assert ids(store)[DAY] == ["both", "theirs"]
    assert noted == [responses(store)]


@pytest.mark.slow
@pytest.mark.parametrize("order", ["ours is newer", "theirs is newer"])
def test_of_a_record_of_two_runs_the_line_that_was_requested_last_stays(store: Store, order: str) -> None:
    def bench(word: str, hours: int) -> Bench:
        made = bench_on(store, call("both", f"{DAY}T08:00:00Z", word), kind=AsSent)
        made.now += timedelta(hours=hours)
        return made

    bench("first", 0).sync()
    is_newer = order == "ours is newer"
    slow, quick = bench("ours", 2 if is_newer else 1), bench("theirs", 1 if is_newer else 2)
    before(store, f"{DAY}/cdrs.jsonl", quick.sync)
    assert slow.sync().failed == {}
    assert word(store) == ("ours" if is_newer else "theirs")


@pytest.mark.slow
def test_what_one_of_two_runs_has_alone_is_found_by_the_next(store: Store) -> None:
    """The response that met the day of another run is not noted: an equal one is compared with the day."""
    wide = {"lookback": timedelta(days=3)}
    bench_on(store, BOTH).sync(**wide)
    slow, quick = bench_on(store, BOTH, OURS), bench_on(store, BOTH, THEIRS)
    before(store, f"{DAY}/_readings.json", lambda: quick.sync(**wide))
    assert slow.sync(**wide).gone_on == {}
    assert later(bench_on(store, BOTH, OURS)).sync(**wide).gone_on == {DAY: 1}


@pytest.mark.slow
def test_two_first_runs_store_one_account(store: Store) -> None:
    account = Account("test", "host", {"user": "1"}, key="token")
    slow, quick = bench_on(store, BOTH), bench_on(store, BOTH)
    slow.account = quick.account = account
    before(store, "_account.json", quick.sync)
    assert slow.sync().error is None
    other = bench_on(store, BOTH)
    other.account = Account("test", "host", {"user": "2"}, key="token")
    with pytest.raises(CdrctlError, match="but the profile now points to"):
        other.sync()


def test_two_runs_create_one_archive(store: Store) -> None:
    before(store, "archive.toml", lambda: bench_on(store))
    assert bench_on(store).archive.form == "jsonl"


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["archive.toml", "_readings.json", "cdrs.jsonl", "cdrs.json"])
def test_a_lost_answer_is_no_conflict(store: Store, ending: str) -> None:
    lost: list[str] = []

    def fault(asked: Asked) -> int:
        if asked.method == "PUT" and asked.path.endswith(ending) and asked.path not in lost:
            lost.append(asked.path)
            return LOST
        return 0

    store.proxy.fault = fault
    bench = bench_on(store, BOTH)
    assert bench.sync().failed == {}
    assert lost
    assert ids(store)[DAY] == ["both"]
    assert len(bench.asked) == len(set(bench.asked))


@pytest.mark.slow
@pytest.mark.parametrize("status", [503, 429, 500, RESET])
def test_requests_that_fail_for_a_while_are_repeated(store: Store, status: int) -> None:
    seen: set[tuple[str, str]] = set()

    def fault(asked: Asked) -> int:
        first = (asked.method, asked.path) not in seen
        seen.add((asked.method, asked.path))
        return status if first and asked.method == "GET" else 0

    bench_on(store, BOTH).sync()
    store.proxy.fault = fault
    assert bench_on(store, BOTH, OURS).sync().failed == {}
    assert ids(store)[DAY] == ["both", "ours"]


def test_a_store_that_stays_busy_ends_the_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MAX_WAIT, "0")
    bench = bench_on(store, BOTH)
    store.proxy.fault = lambda asked: 503 if asked.path.endswith("cdrs.jsonl") else 0
    with pytest.raises(StoreError, match="busy") as caught:
        bench.sync()
    assert (caught.value.exit_code, caught.value.said) == (5, "SlowDown")


@pytest.mark.parametrize(("header", "name"), [("if-match", "If-Match"), ("if-none-match", "If-None-Match")])
@pytest.mark.parametrize("is_new", [pytest.param(True, marks=pytest.mark.slow), False], ids=["new", "there"])
def test_a_store_that_ignores_conditions_is_refused(store: Store, header: str, name: str, *, is_new: bool) -> None:
    if not is_new:
        bench_on(store, BOTH).sync()
    there = ids(store)

    def fault(asked: Asked) -> int:
        asked.headers.pop(header, None)
        asked.headers.pop(google.CONDITION, None)
        return 0

    store.proxy.fault = fault
    name = "If-None-Match" if store.url.startswith("gs:") else name  # Google has one condition, and it is tried first
    with pytest.raises(StoreError, match=f"ignores the condition {name}") as caught:
        bench_on(store, BOTH, OURS).sync()
    assert caught.value.exit_code == 6
    assert ids(store) == there


@pytest.fixture
def broken_after(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Let no request reach the store after some, as if the run had been killed."""
    monkeypatch.setenv(MAX_WAIT, "0")

    def break_after(count: int) -> None:
        store.proxy.requests.clear()
        store.proxy.fault = lambda _asked: RESET if len(store.proxy.requests) > count else 0

    yield break_after
    store.proxy.fault = lambda _asked: 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "end", [pytest.param(end, marks=[] if end % 3 == 0 else [pytest.mark.full]) for end in range(1, 16)]
)
def test_the_next_run_repairs_one_that_ended_at_any_request(
    store: Store, broken_after: Callable[[int], None], end: int
) -> None:
    bench_on(store, BOTH).sync()
    broken_after(end)
    with suppress(StoreError):
        bench_on(store, BOTH, OURS).sync()
    store.proxy.fault = lambda _asked: 0
    there, known = entries(store)
    assert there in known
    last = bench_on(store, BOTH, OURS)
    assert last.sync().failed == {}
    assert ids(store)[DAY] == ["both", "ours"]
    assert {name.rpartition("/")[2] for name in store.objects()} <= {
        *("archive.toml", "_account.json", "_readings.json", "cdrs.jsonl", "cdrs.json")
    }


def test_an_unchanged_day_takes_two_requests_and_is_not_downloaded(store: Store) -> None:
    for _ in range(2):
        bench_on(store, BOTH).sync()
    bench = bench_on(store, BOTH)
    store.proxy.requests.clear()
    later(bench).sync()
    asked = [one for one in store.proxy.requests if f"date={DAY}" in one.path]
    assert [(one.method, one.path.rpartition("/")[2]) for one in asked] == [
        ("GET", "_readings.json"),
        ("PUT", "_readings.json"),
    ]
    ledger = [one for one in store.proxy.requests if one.path.endswith("ledger/acme/cdrs.json")]
    assert [one.method for one in ledger] == ["GET", "PUT"]
