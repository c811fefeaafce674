"""The harder exchange: its calls are added to the plain ones, fit together, and are told with their truth."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cdrctl.sandbox import PROVIDERS, Call, Exchange
from cdrctl.sandbox.exchange.truth import truth_of
from cdrctl.sandbox.truth import record_ids, records_of
from tests.support.products import for_each
from tests.support.runner import run

SINCE, UNTIL = datetime(2026, 10, 29, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
STORIES = {
    *("transfer after hours", "chain of transfers", "parked and retrieved", "parked and returned", "conference"),
    *("consultation without a transfer", "forwarded outside", "transferred outside", "queue overflow"),
    *("queue overflow and return", "transferred to a queue", "queue to a box", "callback, the missed call", "callback"),
}


def test_stories_are_added_to_the_plain_calls_which_stay_as_they_are() -> None:
    plain, hard = (Exchange(1, stories=one).calls(SINCE, UNTIL) for one in ("plain", "hard"))
    assert [call for call in hard if not call.story] == plain
    told = {call.story for call in hard}
    assert told >= STORIES
    assert {one.partition(":")[0] for one in told} >= {"late record", "lost record"}
    assert len({call.id for call in hard}) == len(hard)


def test_the_legs_of_stories_lie_within_their_calls() -> None:
    exchange = Exchange(1, stories="hard")
    for call in exchange.calls(SINCE, UNTIL):
        assert call.end - call.start <= exchange.longest
        for leg in call.legs:
            assert call.start <= leg.start <= (leg.end if leg.answer is None else leg.answer) <= leg.end <= call.end


def test_stories_cross_midnights_and_the_end_of_a_month() -> None:
    calls = [call for call in Exchange(1, stories="hard").calls(SINCE, UNTIL) if call.story]
    for midnight in (SINCE + timedelta(days=n) for n in range(1, 4)):
        at = int(midnight.timestamp() * 1000)
        assert sum(call.start < at < call.end for call in calls) >= (5 if midnight.day == 1 else 1)


# The first 16 digits of the SHA-256 of the legs of two days of seed 1, before there were stories.
def test_plain_calls_are_those_of_earlier_versions() -> None:
    legs = Exchange(1).legs(datetime(2026, 11, 18, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC))
    told = json.dumps([[one.id, one.party.name, one.start, one.answer, one.end, one.cause, one.peer] for one in legs])
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == "3ef7ed1b64fed3f6"


@for_each("provider", PROVIDERS)
def test_lost_records_are_in_no_provider(provider: str) -> None:
    calls = [call for call in Exchange(1, stories="hard").calls(SINCE, UNTIL) if truth_of(call).lost]
    assert calls
    fewer = 0
    for call in calls:
        ids, whole = record_ids(provider, call), record_ids(provider, _whole(call))
        assert len(ids) == len(set(ids)) == len(records_of(provider, call))
        assert set(ids) <= set(whole)
        fewer += len(ids) < len(whole)
    if provider not in {"voicenter", "portsip"}:  # whose records tell of several legs
        assert fewer  # Webex has no record of some legs anyway: of parties outside


def _whole(call: Call) -> Call:
    return replace(call, legs=tuple(replace(leg, lost=False) for leg in call.legs))


def test_the_truth_is_printed_with_the_ids_of_each_providers_records() -> None:
    ran = run("sandbox", "truth", "--stories", "hard", "--since", "2026-11-20T23:45", "--until", "2026-11-21")
    rows = ran.ok().lines
    assert {row["id"] for row in rows} == {
        call.id
        for call in Exchange(1, stories="hard").calls(
            datetime(2026, 11, 20, 23, 45, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)
        )
    }
    assert all(set(row["record_ids"]) == set(PROVIDERS) for row in rows)
    refused = run("sandbox", "truth", "--stories", "other")
    assert (refused.code, refused.out) == (2, "")
