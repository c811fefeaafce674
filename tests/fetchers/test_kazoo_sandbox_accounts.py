"""Kazoo exports from the sandbox: descendants, users, filters, legs and documents."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cdrctl.errors import CdrctlError, ProviderError, SignInError, TemporaryError, UsageError
from cdrctl.fetchers.kazoo.columns import start as start_of
from cdrctl.sandbox import uniform

from .kazoo_kit import commonly
from .kazoo_sandbox_kit import DAY, USER, Boxes, box, export, truth

__all__ = ["box"]


# Descendants, accounts, users, filters


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_descendants_are_exported_each_with_its_account(box: Boxes, call: str) -> None:
    sandbox = box()
    run = export(sandbox, call, DAY, descendants=True)
    for account in sandbox.provider("kazoo").accounts:
        own = sorted(
            row["id"]
            for row, context in zip(run.rows, run.contexts, strict=True)
            if context["account_id"] == account.id
        )
        assert own == truth(sandbox, call, DAY, account=account.id)
        assert own


@pytest.mark.parametrize("status", [403, 423, 404])
def test_a_descendant_that_may_not_be_read_is_a_gap(box: Boxes, status: int) -> None:
    """The records of all other accounts come."""
    sandbox = box()
    first, second, third = (account.id for account in sandbox.provider("kazoo").accounts)
    sandbox.fail("kazoo", status, path=second, times=100)
    run = export(sandbox, "cdrs", DAY, descendants=True)
    assert len(run.gaps) == 1
    assert second in run.gaps[0]
    assert {context["account_id"] for context in run.contexts} == {first, third}


@pytest.mark.parametrize(("status", "kind"), [(401, SignInError), (503, TemporaryError)])
def test_failure_that_concerns_all_accounts_ends_the_run(box: Boxes, status: int, kind: type[CdrctlError]) -> None:
    """The token has expired or the server is down, which concerns all accounts."""
    sandbox = box()
    sandbox.fail("kazoo", status, path=sandbox.provider("kazoo").accounts[1].id, times=1000)
    with pytest.raises(kind):
        export(sandbox, "cdrs", DAY, descendants=True)


def test_account_option_exports_another_account(box: Boxes) -> None:
    """It is a descendant of the profile's account."""
    sandbox = box()
    below = sandbox.provider("kazoo").accounts[1].id
    run = export(sandbox, "cdrs", DAY, account=below)
    assert run.ids == truth(sandbox, "cdrs", DAY, account=below)


def test_legs_of_a_user_are_requested_at_the_path_of_the_user(box: Boxes) -> None:
    sandbox = box()
    run = export(sandbox, "cdrs", DAY, user=USER)
    assert run.ids == truth(sandbox, "cdrs", DAY, user=USER)
    assert {row["owner_id"] for row in run.rows} == {USER}


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
@pytest.mark.parametrize("version", ["5.0", "5.x", "4.2"])
def test_listing_of_a_user_is_paged(box: Boxes, call: str, version: str) -> None:
    """Their keys begin with the user's id."""
    sandbox = box(version=version)
    run = export(sandbox, call, DAY, user=USER, page_size=2)
    assert run.ids == truth(sandbox, call, DAY, user=USER)
    assert len(run.ids) > 4


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        (("direction=inbound",), {"direction": "inbound"}),
        (("call_direction=inbound",), {"direction": "inbound"}),
        ((f"custom_channel_vars.owner_id={USER}",), {"owner_id": USER}),
        (("hangup_cause=NORMAL_CLEARING", "direction=outbound"), {"direction": "outbound"}),
        (("owner_id=",), {"owner_id": ""}),
        (("custom_channel_vars.resource_type=offnet-termination",), {"authorizing_id": "", "direction": "outbound"}),
    ],
)
def test_filters_select_rows(box: Boxes, filters: tuple[str, ...], wanted: dict[str, str]) -> None:
    """Filters are on a column's name or a path in the document; the server applies those that rows do not show."""
    sandbox = box()
    run = export(sandbox, "cdrs", DAY, filter=filters)
    rows = sandbox.truth("kazoo", "cdrs", DAY.since, DAY.until)
    if len(filters) > 1:
        rows = [row for row in rows if row["hangup_cause"] == "NORMAL_CLEARING"]
    assert run.ids == sorted(row["id"] for row in rows if all(row[name] == value for name, value in wanted.items()))
    assert run.rows
    ours = not filters[0].startswith("custom_channel_vars.resource")
    assert all(("filter_" in one.query) != ours for one in sandbox.requests if one.path.endswith("/cdrs"))


@pytest.mark.parametrize("name", ["hangup_cause", "hangup_code"])
def test_filter_with_a_json_list_matches_any_of_its_values(box: Boxes, name: str) -> None:
    """The first is a column; the second is left to the server, which has always accepted lists."""
    sandbox = box()
    either, causes, codes = set(), ("USER_BUSY", "CALL_REJECTED"), ("sip:486", "sip:603")
    values = causes if name == "hangup_cause" else codes
    for value in values:
        either |= set(export(sandbox, "cdrs", DAY, filter=(f"{name}={value}",)).ids)
    listed = f'["{values[0]}", "{values[1]}"]'
    assert export(sandbox, "cdrs", DAY, filter=(f"{name}={listed}",)).ids == sorted(either)
    assert len(either) > 1


def test_utc_offset_moves_one_column(box: Boxes) -> None:
    """The server does the same."""
    sandbox = box()
    row = export(sandbox, "cdrs", DAY, utc_offset=3600).rows[0]
    begun = start_of(row)
    assert begun is not None
    assert row["datetime"] == f"{begun + timedelta(hours=1):%Y-%m-%d_%H:%M:%S}"


# Legs and documents


def test_legs_of_an_interaction_are_found_by_any_of_its_ids(box: Boxes) -> None:
    """They are full documents, oldest first."""
    sandbox = box()
    rows = sandbox.truth("kazoo", "cdrs", DAY.since, DAY.until)
    several = next(row for row in rows if sum(r["interaction_id"] == row["interaction_id"] for r in rows) > 2)
    wanted = [row["id"] for row in rows if row["interaction_id"] == several["interaction_id"]]
    for leg_id in (several["interaction_id"], several["id"]):
        run = export(sandbox, "legs", None, id=leg_id)
        assert [row["id"] for row in run.rows] == wanted
        assert [start_of(row) for row in run.rows] == sorted(start_of(row) for row in run.rows)  # type: ignore[type-var]


@pytest.mark.parametrize("many", [1, 50, 51, 120])
@pytest.mark.parametrize("version", ["5.0", "5.x"])
def test_legs_of_several_pages_come_oldest_first(box: Boxes, many: int, version: str) -> None:
    """The server's first page has the newest."""
    [call] = uniform(1, DAY.since, DAY.until, legs=many, talk_seconds=600)
    legs = tuple(replace(leg, start=leg.start + 1000 * (n * 7 % many)) for n, leg in enumerate(call.legs))
    sandbox = box([replace(call, legs=legs)], version=version)
    rows = sandbox.truth("kazoo", "cdrs", DAY.since, DAY.until)
    run = export(sandbox, "legs", None, id=rows[0]["interaction_id"])
    assert len(rows) == many
    assert [start_of(leg) for leg in run.rows] == [start_of(row) for row in rows]
    assert run.ids == sorted(row["id"] for row in rows)


def test_an_unknown_interaction_is_a_note(box: Boxes) -> None:
    """The server's response is an empty list, with status 200. The note shows the form of an id."""
    run = export(box(), "legs", None, id="63814294800-00000000")
    assert run.rows == []
    assert any("has no interaction 63814294800-00000000" in text for text in run.told)


def test_every_record_is_found_by_its_id(box: Boxes) -> None:
    """Call ids may have an @, a dot, a slash or a percent sign. The cost is the same as in the row."""
    sandbox = box()
    rows = sandbox.truth("kazoo", "cdrs", DAY.since, DAY.until)
    odd = next(row for row in rows if all(sign in row["id"] for sign in "@./%"))
    rated = [row for row in rows if row["call_type"] == "per_minute"][:20]
    for row in (odd, *rated):
        [leg] = export(sandbox, "cdr", None, id=row["id"]).rows
        assert leg["id"] == row["id"]
        ours, theirs = commonly(leg, "cdr"), commonly(row)
        for name in ("cost", "currency", "start_time", "end_time", "answer_time", "talk_seconds", "call_id"):
            assert ours[name] == theirs[name]


@pytest.mark.parametrize(("call", "leg_id"), [("cdr", "nonsense"), ("cdr", "202611-no"), ("legs", "202611-no")])
def test_a_wrong_id_is_refused_with_the_format_of_an_id(box: Boxes, call: str, leg_id: str) -> None:
    """The server's 404 has several wordings."""
    with pytest.raises(ProviderError) as caught:
        export(box(), call, None, id=leg_id)
    assert "an id" in caught.value.message or "the id of a CDR looks like 202611-" in caught.value.message
    assert caught.value.exit_code == 7


@pytest.mark.parametrize("leg_id", ["", ".", ".."])
def test_an_id_that_would_be_another_path_is_not_sent(box: Boxes, leg_id: str) -> None:
    """Dots would lead to another path."""
    sandbox = box()
    with pytest.raises(UsageError):
        export(sandbox, "cdr", None, id=leg_id)
    assert sandbox.requests == []
