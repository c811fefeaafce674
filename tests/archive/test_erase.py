"""`archive erase`: every spelling of a number goes, nothing else does, and no run brings it back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from cdrctl.archive import convert as converting, erase as erasing
from cdrctl.archive.convert import convert
from cdrctl.archive.erase import Found, by_digests, by_digits, erase, find, prepare
from cdrctl.archive.erased import add_number, digest_matches, erased_counts, read_erased
from cdrctl.archive.files import load
from cdrctl.archive.ledger2 import JsonLedger
from cdrctl.archive.ledgers import call_lock, open_ledger
from cdrctl.archive.numbers import has_number, is_same, number_of, numbers_in
from cdrctl.archive.records import record_reader
from cdrctl.archive.store import FORMATS, UNKNOWN, open_archive
from cdrctl.archive.verify import differences
from cdrctl.errors import LockedError, UsageError
from cdrctl.fetchers import load as load_provider
from cdrctl.records.columns import Column
from tests.archive.sync_kit import CALL, NOW, Bench, call, new_bench
from tests.support.examples import examples

NUMBER = "+49 30 1234567"
DIGITS = "49301234567"
SPELLINGS = (
    *("+49301234567", "0049301234567", "49301234567", "0301234567", "301234567", "1234567", "+49 (0)30 / 123 45-67"),
    *("tel:+49-30-1234567", "sip:+49301234567@pbx.example:5060;user=phone", "sip:0301234567@10.0.0.1"),
    *("%2B49301234567", "+49\u00a030\u00a01234567", "+49 30 123\u20114567", "\uff14\uff19301234567", "123-4567"),
    *('{"to": "0301234567"}', "Call to +49 30 1234567 ext. 201", "49301234567,201", "49301234567 201"),
    *("00 0049301234567", "9,0049301234567", "\u0664\u0669\u0663\u0660\u0661234567"),
)
OTHERS = (
    *("+49891234568", "+4930123456", "1234568", "234567", "2026-11-19 30:12:34", "a49301234567", "49301234567f"),
    *("301234567-1234-4321-aaaa-bbbbbbbbbbbb", "+49 30 1234567890", "12:34:56.7", "49301234567" * 3, "+43 89 1234567"),
)


@pytest.mark.parametrize("text", SPELLINGS)
def test_every_spelling_is_the_number(text: str) -> None:
    assert any(is_same(DIGITS, one) for one in numbers_in(text))


@pytest.mark.parametrize("text", OTHERS)
def test_other_numbers_and_ids_are_not(text: str) -> None:
    assert not any(is_same(DIGITS, one) for one in numbers_in(text))


@pytest.mark.parametrize("text", [NUMBER, "0049 30 1234567", "tel:+49301234567", "sip:49301234567@example.com"])
def test_a_number_is_read_as_users_type_it(text: str) -> None:
    assert number_of(text) == DIGITS


@pytest.mark.parametrize("text", ["", "0", "00", "anonymous", "+49 30 x", "1" * 21, "30.5e7", "@", "-"])
def test_what_is_no_number_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        number_of(text)
    assert len(text) < 3 or text not in caught.value.message


DIGIT_TEXT = st.text("0123456789", min_size=1, max_size=14)


@given(number=DIGIT_TEXT, other=DIGIT_TEXT, same=st.integers(0, 14))
@examples(200)
def test_digests_tell_the_same_as_digits(number: str, other: str, same: int) -> None:
    number, other = number.lstrip("0"), (other + number[-same:] if same else other).lstrip("0")
    if len(number) < 2 or len(other) > 20:
        return
    erased, one = add_number(None, number, None, NOW)
    assert digest_matches(erased, one)(other) == is_same(number, other)


@pytest.mark.parametrize("digits", ["200", "16"])
def test_a_short_number_is_compared_with_the_parties_only(digits: str) -> None:
    """200 is also a status, a number of seconds and a part of an id."""
    portsip = load_provider("portsip").call("cdrs")
    fields: dict[str, Any] = {column.name: "200" for column in portsip.columns}
    fields |= {"caller": "101", "callee": "102", "started_at": "2026-11-19T08:00:00.000Z", "extra": {"x": "16"}}
    same = lambda other: is_same(digits, other)  # noqa: E731
    assert not has_number(portsip, fields, same)
    for party in ("caller", "callee"):
        assert has_number(portsip, {**fields, party: digits}, same)
        assert has_number(portsip, {**fields, party: f"sip:{digits}@pbx.example"}, same)
        assert not has_number(portsip, {**fields, party: f"+49301234{digits}"}, same)


NUMBERED = replace(CALL, columns=(*CALL.columns, Column("seconds", "seconds", "seconds")))


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (erasing, converting):
        monkeypatch.setattr(module, "call_of", lambda _kept: NUMBERED)


@pytest.fixture(params=["jsonl"])
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Return a bench whose archive has two records of each spelling, and as many of other numbers."""
    made = new_bench(tmp_path / "archive", request.param)
    made.call = NUMBERED
    made.records = [
        {**call(f"{kind}{number}", f"2026-11-{day}T10:{number:02}:00Z"), "word": text, "seconds": 1234567}
        for kind, texts, day in (("s", SPELLINGS, 11), ("t", SPELLINGS, 12), ("o", OTHERS, 11), ("p", OTHERS, 12))
        for number, text in enumerate(texts)
        if kind != "t"
    ]
    made.records += [
        {**call("extra", "2026-11-10T10:00:00Z"), "new": {"deep": [{"49301234567": 1}]}},
        {**call("number", "2026-11-10T11:00:00Z"), "new": 301234567},
        {**call("sure", "2026-11-10T11:00:00Z"), "new": 1.234567},
        call("when", "", NUMBER),
        call("what", "", "+49 30 7654321"),
    ]
    made.now = NOW + timedelta(days=1)
    made.sync(since=NOW - timedelta(days=5))
    yield made
    made.ledger.close()


def ids(bench: Bench) -> set[str]:
    found: set[str] = set()
    for path in bench.archive.folder.glob("profile=acme/call=cdrs/date=*/cdrs.*"):
        file = load(bench.archive, path)
        assert file is not None
        found |= {record["id"] for row in file.rows() if (record := record_reader(NUMBERED, file.header)(row))}
    return found


def do_erase(bench: Bench, before: datetime | None = None) -> Found:
    search = by_digits(DIGITS, before)
    number = prepare(bench.archive, DIGITS, before, bench.now)
    found = erase(bench.archive, bench.ledger.kept()[0], search, number, bench.now)
    bench.ledger = open_ledger(bench.archive)
    return found


def assert_erased(bench: Bench, others: set[str]) -> None:
    assert ids(bench) == others
    assert not list(differences(bench.archive, bench.ledger.files()))
    assert set(bench.states()) <= {"complete", "open"}
    written = b"".join(path.read_bytes() for path in bench.archive.folder.rglob("*") if path.is_file())
    for other in OTHERS:
        written = written.replace(other.encode(), b"")
    assert b"1234567" not in written.replace(b'"seconds":1234567', b"").replace(b"1.234567", b"")


@pytest.mark.thin
@pytest.mark.parametrize("bench", FORMATS, indirect=True)
def test_every_record_of_the_number_goes_and_no_run_brings_it_back(bench: Bench) -> None:
    everything = ids(bench)
    gone = {one for one in everything if one[0] == "s" and one != "sure"} | {"extra", "number", "when"}
    kept = bench.ledger.kept()[0]
    assert find(bench.archive, kept, by_digits(DIGITS, None)).records == len(gone)
    assert ids(bench) == everything
    found = do_erase(bench)
    assert found.days == {"2026-11-10": 2, "2026-11-11": len(SPELLINGS), UNKNOWN: 1}
    assert found.left == []
    assert ids(bench) == everything - gone
    for how in ({}, {"since": NOW - timedelta(days=9)}, {"only_holes": True}):
        bench.now += timedelta(hours=30)
        outcome = bench.sync(**how)
        assert (outcome.gone, outcome.failed, outcome.missing) == (0, {}, [])
        assert ids(bench) == everything - gone
    assert not list(differences(bench.archive, bench.ledger.files()))
    assert erased_counts(bench.archive) == {"acme": {"cdrs": found.days}}
    assert do_erase(bench).records == 0
    assert erased_counts(bench.archive) == {"acme": {"cdrs": found.days}}


def test_the_number_is_nowhere_in_the_archive(bench: Bench) -> None:
    others = {one for one in ids(bench) if one[0] in "op" or one in {"sure", "what"}}
    do_erase(bench)
    assert_erased(bench, others)


def test_later_calls_of_the_number_are_kept_if_that_is_asked_for(bench: Bench) -> None:
    do_erase(bench, datetime(2026, 11, 11, 10, 3, tzinfo=UTC))
    assert {"s3", "s4"} <= ids(bench)
    assert not {"s0", "s1", "s2", "extra", "when"} & ids(bench)
    bench.records.append(call("later", "2026-11-13T01:00:00Z", NUMBER))
    bench.now += timedelta(days=1)
    bench.sync(since=NOW - timedelta(days=5))
    assert {"s3", "later"} <= ids(bench)
    assert not {"s0", "s1", "s2", "extra", "when"} & ids(bench)


def test_a_backup_that_was_restored_is_erased_again_without_the_number(bench: Bench) -> None:
    files = {path: path.read_bytes() for path in bench.archive.folder.glob("profile=acme/**/*") if path.is_file()}
    do_erase(bench)
    left = ids(bench)
    for path, content in files.items():
        path.write_bytes(content)
    assert len(ids(bench)) > len(left)
    ((number, search),) = by_digests(bench.archive)
    assert erase(bench.archive, bench.ledger.kept()[0], search, number, NOW).records > 20
    assert ids(bench) == left


@pytest.mark.slow
def test_an_interrupted_erasure_is_finished_by_the_next(bench: Bench) -> None:
    others = {one for one in ids(bench) if one[0] in "op" or one in {"sure", "what"}}
    count = at = interrupted = 0
    real = {name: getattr(os, name) for name in ("replace", "fsync", "unlink")}

    def step(name: str) -> Any:
        def operation(*arguments: Any, **more: Any) -> Any:
            nonlocal count
            count += 1
            if count == at:
                raise KeyboardInterrupt
            return real[name](*arguments, **more)

        return operation

    while at < 60:
        at, count = at + 1, 0
        with pytest.MonkeyPatch.context() as patch:
            for name in real:
                patch.setattr(os, name, step(name))
            try:
                do_erase(bench)
            except KeyboardInterrupt:
                interrupted += 1
        assert others <= ids(bench)
    assert interrupted > 10
    bench.ledger = JsonLedger(bench.archive)
    assert_erased(bench, others)
    assert erased_counts(bench.archive)["acme"]["cdrs"]["2026-11-11"] == len(SPELLINGS)


def test_files_that_cannot_be_rewritten_are_named(bench: Bench) -> None:
    aside = bench.aside("2026-11-11")
    aside.write_text(json.dumps({"word": NUMBER}) + "\n", encoding="utf-8")
    bench.path("2026-11-09").parent.mkdir(exist_ok=True)
    bench.aside("2026-11-09").write_text(json.dumps({"word": OTHERS[0]}) + "\n", encoding="utf-8")
    changed = bench.path("2026-11-10")
    changed.write_bytes(changed.read_bytes() + b"{}\n")
    before = changed.read_bytes()
    found = do_erase(bench)
    assert {bench.archive.folder / one.path for one in found.left} == {aside, changed}
    assert changed.read_bytes() == before


def test_a_call_that_is_written_is_left_to_the_next_time(bench: Bench) -> None:
    before = ids(bench)
    with call_lock(bench.archive, "acme", "cdrs"), pytest.raises(LockedError):
        do_erase(bench)
    assert ids(bench) == before


def test_a_conversion_keeps_the_number_out(bench: Bench, tmp_path: Path) -> None:
    do_erase(bench)
    left = ids(bench)
    convert(bench.archive.folder, tmp_path / "new", "jsonl", lambda _text: None)
    bench.archive = open_archive(tmp_path / "new")
    bench.ledger = open_ledger(bench.archive)
    bench.now += timedelta(hours=1)
    bench.sync(since=NOW - timedelta(days=9))
    assert ids(bench) == left
    assert read_erased(bench.archive) is not None
