"""Kazoo exports from the sandbox: views that are being built, unreadable records, and expired tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from cdrctl.errors import SignInError, TemporaryError
from cdrctl.sandbox import Exchange, Sandbox, start, straddlers, uniform
from cdrctl.sandbox.kazoo.databases import month_database
from cdrctl.sandbox.kazoo.documents import StoredDocument
from cdrctl.windows import Window, rfc3339
from tests.support.clock import HandClock
from tests.support.products import pairwise_product

from .kazoo_kit import Run, fetched, natively
from .kazoo_sandbox_kit import DAY, DRAWN, EDGE, MONTH, NOW, USER, Boxes, asked, box, export, truth

__all__ = ["box"]


# Views that are being built


@contextmanager
def building(
    calls: list[Any] | None, seconds: int, **switches: str
) -> Iterator[tuple[Sandbox, Callable[..., Run], HandClock]]:
    """Start a sandbox whose views of a month take time to build, and yield a function that exports with its clock."""
    clock = HandClock(NOW)
    exchange = DRAWN if calls is None else Exchange(7, calls)
    given = {"kazoo": {"views": str(seconds), **switches}}
    with start(now=clock, providers=["kazoo"], switches=given, exchange=exchange) as sandbox:

        def run(call: str, span: Window, **options: Any) -> Run:
            return fetched(sandbox.credentials("kazoo"), call, span, options, clock=clock)

        yield sandbox, run, clock


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_views_that_take_ten_minutes_are_waited_for(call: str) -> None:
    """Nothing of the month can be read meanwhile, which is not a record's fault."""
    with building(None, 600) as (sandbox, run, clock):
        done = run(call, DAY)
        assert done.ids == truth(sandbox, call, DAY)
        assert done.gaps == []
        assert 600 <= clock.seconds < 720
        assert len([text for text in done.told if "building its views" in text]) == 1


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_views_of_each_month_are_waited_for(call: str) -> None:
    """The probe of a turn of the month needs two of them."""
    with building(straddlers(MONTH), 500) as (sandbox, run, _clock):
        done = run(call, EDGE)
        assert done.ids == truth(sandbox, call, EDGE)
        assert done.ids
        assert done.gaps == []


def test_views_that_take_longer_than_is_allowed_end_the_run() -> None:
    with building(None, 3600) as (_sandbox, run, clock):
        with pytest.raises(TemporaryError) as caught:
            run("cdrs", DAY)
        assert "after 15 min of retries" in caught.value.message
        assert clock.seconds < 16 * 60


@pytest.mark.thin
@pytest.mark.parametrize("call", ["cdrs", "interactions"])
@pytest.mark.parametrize("place", [0, -1])
def test_poison_in_a_month_whose_views_are_being_built_is_found(call: str, place: int) -> None:
    """There is one wait for the views, and none for the poisoned record, whose pages fail with 503 too."""
    with building(None, 600) as (sandbox, run, clock):
        every = truth(sandbox, call, DAY)
        bad = every[place]
        sandbox.switch("kazoo", "poison", bad)
        done = run(call, DAY)
        assert done.ids == [one for one in every if one != bad]
        assert len(done.gaps) == 1
        assert 600 <= clock.seconds < 800


def test_poison_alone_is_not_waited_for() -> None:
    """A single second of the month can be read, so the record is the cause."""
    with building(None, 0) as (sandbox, run, clock):
        sandbox.switch("kazoo", "poison", truth(sandbox, "cdrs", DAY)[5])
        assert len(run("cdrs", DAY).gaps) == 1
        assert clock.seconds < 60


# Poison


def stored_document(sandbox: Sandbox, cdr_id: str) -> StoredDocument:
    kazoo = sandbox.provider("kazoo")
    return month_database(kazoo.state, kazoo.accounts[0], cdr_id[:6]).by_id[cdr_id]


def second_saved(sandbox: Sandbox, cdr_id: str) -> str:
    """Return the second in which a document was saved, as a gap writes it."""
    stored = stored_document(sandbox, cdr_id)
    return rfc3339(datetime.fromtimestamp(stored.saved - 62167219200, NOW.tzinfo))


def second_begun(sandbox: Sandbox, cdr_id: str) -> str:
    stored = stored_document(sandbox, cdr_id)
    return rfc3339(datetime.fromtimestamp(stored.interaction[0] - 62167219200, NOW.tzinfo))


@pytest.mark.thin
@pairwise_product(version=["5.0", "5.x", "4.2"], place=[0, 40, -1], user=[None, USER])
def test_poisoned_leg_is_a_gap_of_one_second(box: Boxes, version: str, place: int, user: str | None) -> None:
    """The gap is one second, its neighbours come, and the number of requests is limited."""
    sandbox = box(version=version)
    options = {"user": user} if user else {}
    legs = truth(sandbox, "cdrs", DAY, **options)
    bad = legs[place % len(legs)]
    sandbox.switch("kazoo", "poison", bad)
    run = export(sandbox, "cdrs", DAY, user=user)
    assert run.ids == [one for one in legs if one != bad]
    assert len(run.gaps) == 1
    assert f"saved at {second_saved(sandbox, bad)} (HTTP 503)" in run.gaps[0]
    assert run.requests < 150


@pytest.mark.slow
def test_neighbours_in_the_second_of_a_poisoned_leg_are_kept(box: Boxes) -> None:
    """They are read from both directions."""
    sandbox = box(same_second="9")
    legs = sandbox.truth("kazoo", "cdrs", DAY.since, DAY.until)
    bad = legs[50]["id"]
    sandbox.switch("kazoo", "poison", bad)
    run = export(sandbox, "cdrs", DAY)
    assert run.ids == sorted(row["id"] for row in legs if row["id"] != bad)
    assert run.gaps == [
        f"Kazoo cannot read one or more of its own records saved at {second_saved(sandbox, bad)} (HTTP 503)",
    ]


@pytest.mark.thin
@pytest.mark.parametrize("version", ["5.0", "5.x", "4.3"])
@pytest.mark.parametrize("user", [None, USER])
def test_poisoned_interaction_is_a_gap(box: Boxes, version: str, user: str | None) -> None:
    """Those around it that end after it come as well."""
    sandbox = box(version=version)
    options = {"user": user} if user else {}
    every = truth(sandbox, "interactions", DAY, **options)
    for bad in (every[0], every[len(every) // 2], every[-1]):
        sandbox.switch("kazoo", "poison", bad)
        run = export(sandbox, "interactions", DAY, user=user)
        assert run.ids == [one for one in every if one != bad]
        [gap] = run.gaps
        assert f"its own records of interactions begun at {second_begun(sandbox, bad)} (HTTP 503)" in gap
        assert run.requests < 150


@pytest.mark.thin
@pytest.mark.parametrize("call", ["cdrs", "interactions"])
@pytest.mark.parametrize("which", [0, 1, 2, 3, 4])
def test_poisoned_record_over_the_turn_of_a_month_is_a_gap(box: Boxes, call: str, which: int) -> None:
    """Only the probe meets it. Records that the probe can read are kept, and the others are a gap."""
    calls = straddlers(MONTH)
    sandbox = box(calls)
    every = [row["id"] for row in sandbox.truth("kazoo", call, EDGE.since, EDGE.until)]
    bad = every[which]
    sandbox.switch("kazoo", "poison", bad)
    run = export(sandbox, call, EDGE)
    if call == "interactions":
        assert run.ids == sorted(set(every) - {bad})
        assert second_begun(sandbox, bad) in run.gaps[0]
    else:
        saved = second_saved(sandbox, bad)
        assert run.ids == sorted(one for one in every if one != bad and second_saved(sandbox, one) < saved)
        assert saved in run.gaps[0]
        assert saved in run.gaps[1]


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_poison_on_the_first_day_of_a_month_loses_no_call_over_its_turn(box: Boxes, call: str) -> None:
    """The rows of the older month are read to their end first; the poisoned record is one gap."""
    later = uniform(20, MONTH + timedelta(minutes=30), MONTH + timedelta(minutes=60), talk_seconds=60, name="later")
    sandbox = box([*straddlers(MONTH), *later])
    every = [row["id"] for row in sandbox.truth("kazoo", call, EDGE.since, EDGE.until)]
    bad = every[-5]
    sandbox.switch("kazoo", "poison", bad)
    run = export(sandbox, call, EDGE)
    assert run.ids == sorted(set(every) - {bad})
    assert len(run.gaps) == 1


# Sign-in


@pytest.mark.parametrize("kind", ["api_key", "password", "realm", "auth_token"])
def test_export_works_with_every_authentication_method(box: Boxes, kind: str) -> None:
    """By key, by user and the account's name or realm, and by an existing token."""
    sandbox = box()
    assert export(sandbox, "cdrs", DAY, kind).ids == truth(sandbox, "cdrs", DAY)


@pytest.mark.parametrize("key", ["0" * 63, "0" * 64, "0" * 65])
def test_wrong_key_is_refused_and_not_shown(box: Boxes, key: str) -> None:
    """The schema requires 64 characters (400); an unknown key of that length is a 404. The key is not shown."""
    sandbox = box()
    settings = {**sandbox.credentials("kazoo", "api_key"), "api_key": key}
    with pytest.raises(SignInError) as refused:
        fetched(settings, "cdrs", DAY, {}, now=sandbox.now())
    assert refused.value.exit_code == 4
    assert "api_key" in str(refused.value.hint)
    assert ("64 characters" in str(refused.value.said)) is (len(key) != 64)
    assert key not in f"{refused.value.message} {refused.value.hint} {refused.value.said}"


@pytest.mark.thin
@pytest.mark.parametrize("limits", ["off", "sign_in"])
def test_requests_without_a_rate_token_are_not_counted(box: Boxes, limits: str) -> None:
    sandbox = box(uniform(120, DAY.since, DAY.until), limits=limits)
    run = export(sandbox, "cdrs", DAY, page_size=1)
    assert run.ids == truth(sandbox, "cdrs", DAY)
    assert len(asked(sandbox)) > 100


@pytest.mark.parametrize("version", ["4.0", "3.22"])
def test_quotes_around_old_dates_are_removed(box: Boxes, version: str) -> None:
    sandbox = box(version=version)
    run = export(sandbox, "cdrs", DAY)
    assert all(row["iso_8601"].startswith('"') for row in run.rows)
    rows = natively(run.rows)
    assert all(re.fullmatch(r"2026-11-\d\d", row["iso_8601"]) for row in rows)


def test_token_that_expires_during_the_run_is_renewed(box: Boxes) -> None:
    """It is renewed once, and the export does not start over."""
    sandbox = box()
    sandbox.fail("kazoo", "expire", path="/cdrs", nth=3)
    run = export(sandbox, "cdrs", DAY)
    assert run.ids == truth(sandbox, "cdrs", DAY)
    refused = [n for n, one in enumerate(sandbox.requests) if one.status == 401]
    assert len(refused) == 1
    assert sandbox.requests[refused[0]].query == sandbox.requests[refused[0] + 2].query
    assert [one.path for one in sandbox.requests].count("/kazoo/v2/api_auth") == 2


def test_a_token_that_cannot_be_renewed_ends_the_run(box: Boxes) -> None:
    """The profile has no other credential."""
    sandbox = box()
    sandbox.fail("kazoo", "expire", path="/cdrs", nth=2)
    with pytest.raises(SignInError):
        export(sandbox, "cdrs", DAY, "auth_token")


@pytest.mark.thin
@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_server_that_stays_down_ends_the_run(box: Boxes, call: str) -> None:
    """Requests become rarer, there is no gap, and the error is temporary."""
    for nth in (1, 2, 3):
        sandbox = box()
        sandbox.fail("kazoo", 503, path="/cdrs", nth=nth, times=10_000)
        run = Run()
        with pytest.raises(TemporaryError):
            fetched(sandbox.credentials("kazoo"), call, DAY, {"page_size": 10}, now=NOW, run=run)
        assert len(sandbox.requests) < nth + 80
        assert run.gaps == []
