"""The bounds of Webex's requests: retention, lag and the time after the window."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from cdrctl.errors import UsageError
from cdrctl.fetchers.webex import PROVIDER
from cdrctl.records.events import Note
from tests.support.products import for_each

from .webex_kit import ELSEWHERE, MS, NOW, Webex, answer, h, record, stamp, words

# Retention


@pytest.mark.parametrize(("call", "keeps"), [("cdrs", timedelta(days=30)), ("stream", timedelta(hours=12))])
def test_a_since_of_the_whole_retention_starts_a_minute_later_with_a_note(call: str, keeps: timedelta) -> None:
    """`--since 30d` and `--since 12h` mean all that the service keeps."""
    webex = Webex()
    pieces = webex.fetch(NOW - keeps, NOW - keeps + timedelta(hours=1), call)
    assert webex.params[0]["startTime"] == stamp(NOW - keeps + timedelta(seconds=60) - MS)
    assert [piece.text for piece in pieces if isinstance(piece, Note)] == [
        f"Webex keeps no calls from before {stamp(NOW - keeps + timedelta(seconds=60))}"
    ]


@pytest.mark.parametrize(("call", "keeps"), [("cdrs", timedelta(days=30)), ("stream", timedelta(hours=12))])
def test_a_window_from_a_minute_after_the_retention_starts_is_requested_unchanged(call: str, keeps: timedelta) -> None:
    webex = Webex()
    since = NOW - keeps + timedelta(seconds=60)
    assert [piece for piece in webex.fetch(since, since + timedelta(hours=1), call) if isinstance(piece, Note)] == []
    assert webex.params[0]["startTime"] == stamp(since - MS)


@pytest.mark.parametrize(
    ("call", "keeps", "way_out"),
    [
        ("cdrs", timedelta(days=30), 'Reports, template "Calling Detailed Call History"'),
        ("stream", timedelta(hours=12), "`cdrctl webex cdrs` goes back 30 days"),
    ],
)
def test_a_window_from_before_the_retention_is_refused_with_a_hint(call: str, keeps: timedelta, way_out: str) -> None:
    webex = Webex()
    error = webex.fails(NOW - keeps - timedelta(seconds=61), NOW - timedelta(hours=3), call)
    assert isinstance(error, UsageError)
    assert way_out in words(error)
    assert f"--since {stamp(NOW - keeps + timedelta(seconds=120))}" in words(error)
    assert webex.requests == []


def test_since_of_the_whole_retention_is_accepted_after_a_slow_sign_in() -> None:
    """The option was read before the run signed in."""
    webex = Webex()
    webex.fetch(NOW - timedelta(days=30, seconds=60), h(-29 * 24, on=NOW))
    assert webex.params[0]["startTime"] == stamp(NOW - timedelta(days=30) + timedelta(seconds=60) - MS)


def test_a_window_that_is_almost_before_the_retention_is_refused_too() -> None:
    """After the retention is subtracted, hardly anything is left."""
    webex = Webex()
    edge = NOW - timedelta(days=30)
    assert isinstance(webex.fails(edge, edge + timedelta(seconds=90)), UsageError)
    assert isinstance(webex.fails(edge, edge + timedelta(seconds=120)), UsageError)
    assert webex.requests == []


def test_the_whole_retention_is_exported_for_many_locations_while_time_passes() -> None:
    """Each list of ten locations waits a minute, and the retention moves on meanwhile."""
    webex = Webex()
    webex.fetch(NOW - timedelta(days=30), h(-29 * 24, on=NOW), location=tuple(f"Site {n}" for n in range(21)))
    for asked, moment in zip(webex.params, webex.at, strict=True):
        assert datetime.fromisoformat(asked["startTime"]) >= moment - timedelta(days=30)
    assert len({asked["startTime"] for asked in webex.params[:3]}) == 1


# Beyond the window


def test_the_time_after_the_window_is_requested_up_to_the_longest_call() -> None:
    """If the service selects by the end of calls, a call of the window may be listed only there."""
    webex = Webex()
    webex.fetch(h(0), h(18), longest_call=timedelta(hours=12))
    assert webex.windows == [
        ("11-18T00:00", "11-18T11:59"),
        ("11-18T11:59", "11-18T23:59"),
        ("11-18T23:59", "11-19T06:00"),
    ]


@pytest.mark.parametrize(("call", "newest"), [("cdrs", "11:54"), ("stream", "11:58")])
def test_no_request_reaches_into_the_lag_of_the_service(call: str, newest: str) -> None:
    """The lag is five minutes for the feed and one for the stream, with a minute of margin."""
    webex = Webex()
    webex.fetch(h(-2, on=NOW), h(-1, on=NOW), call, longest_call=timedelta(hours=12))
    assert webex.windows[-1][1] == f"11-20T{newest}"
    assert webex.params[-1]["endTime"].endswith(":00.001Z")


def test_the_lag_of_each_call_is_its_published_one_and_a_minute() -> None:
    assert PROVIDER.call("cdrs").timing.lag == timedelta(minutes=6)
    assert PROVIDER.call("stream").timing.lag == timedelta(minutes=2)


def test_the_window_itself_is_always_requested_to_its_end() -> None:
    """A note has said what a later end may lack."""
    webex = Webex()
    webex.fetch(h(-1, on=NOW), NOW - timedelta(minutes=3), longest_call=timedelta(hours=12))
    assert webex.windows == [("11-20T11:00", "11-20T11:57")]


def test_call_that_ended_after_its_window_proves_selection_by_start() -> None:
    """After that, no request goes beyond the window."""
    webex = Webex(answer(record("a", h(11), h(13))))
    webex.fetch(h(0), h(18), longest_call=timedelta(hours=12))
    assert webex.windows == [("11-18T00:00", "11-18T11:59"), ("11-18T11:59", "11-18T18:00")]


def test_proof_saves_the_request_after_the_next_window() -> None:
    webex = Webex(answer(record("a", h(11), h(13))))
    webex.fetch(h(0), h(11.5), longest_call=timedelta(hours=12))
    assert len(webex.requests) == 1


FALSE_PROOFS = {
    "ended with the window": [record("a", h(11), h(12))],
    "ended within a minute of it, as clocks differ": [record("a", h(11), h(12) - 2 * MS + timedelta(seconds=60))],
    "a late report of a call that ended before": [record("a", h(11), h(11.5), report=h(15))],
    "a later end with a report from before": [record("a", h(11), h(13), report=h(12))],
    "no readable end": [
        {"Report ID": "a", "Start time": stamp(h(11)), "Release time": "NA", "Report time": stamp(h(13))}
    ],
    "no readable report": [record("a", h(11), h(13)) | {"Report time": ""}],
    "began before the window, so the end counts": [record("a", h(-2), h(1))],
    "began before the window and ended after it": [record("a", h(-2), h(14))],
    "contradictions": [record("a", h(11), h(13)), record("b", h(-2), h(1))],
}


@for_each("records", FALSE_PROOFS.values(), ids=list(FALSE_PROOFS))
def test_other_calls_are_no_proof_and_save_no_request(records: list[dict[str, Any]]) -> None:
    webex = Webex(answer(*records), answer(record("z", h(12), h(30))))
    webex.fetch(h(0), h(12) - 2 * MS, longest_call=timedelta(hours=6))
    assert webex.windows == [("11-18T00:00", "11-18T11:59"), ("11-18T11:59", "11-18T17:59")]


def test_proof_of_selection_by_end_stays() -> None:
    webex = Webex(answer(record("a", h(-2), h(1))), answer(record("b", h(13), h(26))))
    webex.fetch(h(0), h(23), longest_call=timedelta(hours=12))
    assert len(webex.windows) == 3


def test_stream_needs_no_proof() -> None:
    """Its windows select by the arrival of a record, which always follows the end of the call."""
    webex = Webex(answer(record("a", h(-5.5, on=NOW), h(-3, on=NOW))))
    webex.fetch(h(-6, on=NOW), h(-5, on=NOW), "stream", longest_call=timedelta(hours=3))
    assert webex.windows == [("11-20T06:00", "11-20T07:59"), ("11-20T07:59", "11-20T09:59")]


def test_a_long_export_says_before_it_starts_how_long_it_takes() -> None:
    """One window takes a minute, so thirty days take an hour, however few the calls."""
    pieces = Webex().pieces(h(-24 * 20, on=NOW), h(-24 * 10 - 1, on=NOW))
    assert next(pieces) == Note("the rate limit of Webex is one window a minute: this takes at least 19 min")
    slow = Webex(requests_per_minute=0.2).pieces(h(0), h(23))
    assert next(slow) == Note("the rate limit of Webex is one window a minute: this takes at least 5 min")
    unpaced = Webex(base_url=ELSEWHERE, requests_per_minute=0).fetch(h(-24 * 20, on=NOW), h(-24 * 10, on=NOW))
    assert [piece for piece in unpaced if isinstance(piece, Note)] == []
    assert [piece for piece in Webex().fetch(h(0), h(23)) if isinstance(piece, Note)] == []
