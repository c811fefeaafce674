"""PortSIP from end to end: our fetcher with a sandbox that was written from the vendor's documents alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from cdrctl.errors import CdrctlError, ProviderError, RightsError, SignInError, TemporaryError, UsageError
from cdrctl.fetchers.portsip import PROVIDER
from cdrctl.fetchers.portsip.report_form import FILTERS
from cdrctl.sandbox import Exchange, Sandbox, start, uniform
from cdrctl.windows import Window
from tests.support.clock import NOON, HandClock

from .test_portsip import Run, commonly, fetched, window

DAY = window("2026-11-18", "2026-11-19")
HOUR = window("2026-11-18T09:00", "2026-11-18T10:00")
AFTERNOON = window("2026-11-18T13:00", "2026-11-18T16:00")
DRAWN = Exchange(7, volume=0.3)
"""The calls of all tests that give none, drawn once."""
WANTED: dict[str, Any] = {"type": "NORMAL", "email": "user@example.com", "range": "YESTERDAY"}


class Box:
    """A sandbox, and the clock that it shares with the fetcher."""

    def __init__(self, calls: list[Any] | None, switches: dict[str, str], now: datetime) -> None:
        self.clock = HandClock(now)
        exchange = DRAWN if calls is None else Exchange(7, calls)
        self.sandbox: Sandbox = start(
            now=self.clock, providers=["portsip"], switches={"portsip": switches}, exchange=exchange
        )

    def run(self, call: str, span: Window | None = None, kind: str = "", **options: Any) -> Run:
        return fetched(self.sandbox.credentials("portsip", kind), call, span, clock=self.clock, **options)

    def refused(self, error: type[CdrctlError], call: str, span: Window | None = None, **options: Any) -> CdrctlError:
        with pytest.raises(error) as caught:
            self.run(call, span, **options)
        assert type(caught.value) is error
        return caught.value

    def truth(self, call: str, span: Window, **options: str) -> list[dict[str, Any]]:
        return self.sandbox.truth("portsip", call, span.since, span.until, **options)

    def paths(self) -> list[str]:
        return [f"{one.method} {one.path.removeprefix('/portsip')}" for one in self.sandbox.requests]

    def check(self, call: str, span: Window, **options: Any) -> Run:
        """Check that an export has every record once and unchanged."""
        run = self.run(call, span, **options)
        assert sorted(map(str, run.rows)) == sorted(map(str, self.truth(call, span)))
        assert run.gaps == []
        return run


Boxes = Callable[..., Box]


@pytest.fixture
def box() -> Iterator[Boxes]:
    """Start sandboxes and close them."""
    running: list[Box] = []

    def begin(calls: list[Any] | None = None, now: datetime = NOON, **switches: str) -> Box:
        running.append(Box(calls, switches, now))
        return running[-1]

    yield begin
    for one in running:
        one.sandbox.close()


# Listings


@pytest.mark.thin
@pytest.mark.parametrize("call", ["cdrs", "calllogs"])
@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"version": "22.3"},
        {"version": "22.0"},
        {"skip": "1"},
        {"count": "asked"},
        {"count": "absent"},
        {"skip": "1", "count": "absent"},
        {"empty": "null"},
        {"ids": "base64"},
        {"end_reason": "doc"},
        {"top_max": "1000"},
        {"limits": "on", "access_limit": "20"},
        {"limits": "on", "access_limit": "20", "throttle": "503", "retry_after": "none"},
        {"grow": "1"},
        {"grow": "3"},
        {"grow": "20"},
        {"grow": "2", "skip": "1"},
        {"token_ttl": "2"},
        {"expire_after": "4"},
        {"query": "ignored"},
    ],
    ids=str,
)
def test_export_of_a_day_has_every_record_once(box: Boxes, call: str, switches: dict[str, str]) -> None:
    """The PBX behaves in all the ways that its documents allow."""
    size = 100 if "query" in switches else 7
    run = box(**switches).check(call, DAY, page_size=size)
    assert len(run.rows) > 40


@pytest.mark.parametrize("no_time", ["year1", "1970", "0"])
def test_placeholder_times_change_no_outcome(box: Boxes, no_time: str) -> None:
    """The same calls are answered, busy or cancelled with every kind of placeholder."""
    made = box()
    plain = commonly(made.check("cdrs", DAY).rows)
    made.sandbox.switch("portsip", "no_time", no_time)
    assert commonly(made.check("cdrs", DAY).rows) == plain
    assert {one["outcome"] for one in plain} > {"answered"}


@pytest.mark.parametrize("call", ["cdrs", "calllogs"])
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 30])
def test_every_record_comes_around_the_page_size(box: Boxes, call: str, count: int) -> None:
    made = box(uniform(count, HOUR.since, HOUR.until))
    run = made.check(call, HOUR, page_size=10)
    assert len(run.rows) == count
    assert run.requests == 1 + count // 10 + 1  # after a full page, the next one is requested


@pytest.mark.parametrize("call", ["cdrs", "calllogs"])
def test_windows_tile(box: Boxes, call: str) -> None:
    """One window begins at the start of a call."""
    made = box()
    starts = [datetime.fromisoformat(one["started_at"]) for one in made.truth(call, DAY)]
    cuts = [starts[3], starts[20] + timedelta(microseconds=1), starts[-1]]
    found: list[str] = []
    for since, until in pairwise([DAY.since, *cuts, DAY.until]):
        found += made.run(call, Window(since, until), window=timedelta(hours=5)).ids
    assert sorted(found) == sorted(one["id"] for one in made.truth(call, DAY))


def test_filter_search_and_order_options_work(box: Boxes) -> None:
    made = box()
    every = made.truth("cdrs", DAY)
    inbound = [one["id"] for one in every if one["direction"] == "INBOUND_CALL"]
    words = ("direction eq 'INBOUND_CALL' or direction eq 'NONE'",)
    assert made.run("cdrs", DAY, filter=words).ids == sorted(inbound) != sorted(one["id"] for one in every)
    both = (*words, "status_code ne 0")
    assert made.run("cdrs", DAY, filter=both).ids == sorted(
        one["id"] for one in every if one["id"] in inbound and one["status_code"] != 0
    )
    assert 0 < len(made.run("cdrs", DAY, search=every[0]["caller"]).rows) < len(every)
    callers = [one["caller"] for one in made.run("cdrs", DAY, orderby="caller desc", page_size=9).rows]
    assert callers == sorted(callers, reverse=True)
    assert len(callers) == len(every)


def test_own_exports_the_calls_of_the_user(box: Boxes) -> None:
    """A user without a role gets a hint about `--own`."""
    made = box()
    error = made.refused(RightsError, "cdrs", DAY, kind="standard_user")
    assert "Admin or QueueManager" in error.message
    assert "--own" in (error.hint or "")
    run = made.run("cdrs", DAY, kind="standard_user", own=True)
    assert 0 < len(run.rows) < len(made.truth("cdrs", DAY))
    one = made.run("cdr", kind="standard_user", own=True, id=run.rows[0]["id"])
    assert one.rows[0]["caller"] == run.rows[0]["caller"]


def test_window_before_the_retention_is_an_error_or_a_gap(box: Boxes) -> None:
    """The retention is five years since v22.5.0: a refusal is an error, and an empty response is a gap."""
    span = window("2021-11-01", "2021-11-03")
    error = box(lookback="400").refused(ProviderError, "cdrs", span)
    assert "five years" in (error.hint or "")
    assert error.exit_code == 7
    [gap] = box(lookback="empty").run("cdrs", span).gaps
    assert "five years" in gap


def test_common_cdrs_have_a_direction_and_an_outcome(box: Boxes) -> None:
    """No length is negative."""
    made = box(version="22.3")
    for call in ("cdrs", "calllogs"):
        columns = PROVIDER.call(call).columns
        cdrs = commonly(made.run(call, DAY).rows, columns)
        assert {one["direction"] for one in cdrs} >= {"inbound", "outbound", "internal"}
        assert {one["outcome"] for one in cdrs} > {"answered", "no_answer"}
        assert all(one[name] >= 0 for one in cdrs for name in one if name.endswith("_seconds"))
        assert not {"currency", "cost"} & {name for one in cdrs for name in one}


# One record, and the cost


@pytest.mark.parametrize("call", ["cdrs", "calllogs"])
@pytest.mark.parametrize("legs", ["1", "3"])
def test_cost_is_the_sum_of_the_legs(box: Boxes, call: str, legs: str) -> None:
    """The other fields of a record are unchanged."""
    made = box(legs=legs)
    run = made.run(call, AFTERNOON, with_cost=True)
    assert 1 < len(run.rows) == len(made.truth(call, AFTERNOON))
    for row in run.rows:
        detail = made.run(call.removesuffix("s"), id=row["id"]).rows
        assert Decimal(str(row["cost"])) == sum(Decimal(str(leg["cost"])) for leg in detail)
    bare = [{name: row[name] for name in row if name not in {"cost", "billed_account"}} for row in run.rows]
    assert sorted(map(str, bare)) == sorted(map(str, made.truth(call, AFTERNOON)))


def test_legs_are_numbered(box: Boxes) -> None:
    made = box(legs="3")
    details = [made.run("cdr", id=one["id"]) for one in made.truth("cdrs", AFTERNOON)]
    several = [run for run in details if len(run.rows) > 1]
    assert several
    for run in several:
        ids = [context["id"] for context in run.contexts]
        assert [key.rpartition("#")[2] for key in ids] == [str(n) for n in range(1, len(ids) + 1)]


# Refusals


@pytest.mark.parametrize("errors", ["full", "{}", "empty", "new_code"])
def test_refused_request_is_an_error(box: Boxes, errors: str) -> None:
    """The body of the error may have any form."""
    made = box(errors=errors)
    error = made.refused(UsageError, "cdrs", DAY, filter=("bogus eq",))
    assert "(bogus eq)" in (error.hint or "")
    made.refused(UsageError, "cdrs", DAY, orderby="nonsense asc")
    for call in ("cdr", "calllog", "reports show", "completed-reports show", "completed-reports download"):
        made.refused(ProviderError, call, id="7")


def test_pbx_without_call_logs_exports_cdrs(box: Boxes) -> None:
    made = box(version="16")
    assert made.refused(ProviderError, "calllogs", DAY).message.endswith("/calllogs (needs v22.0.42)")
    made.check("cdrs", DAY)


# Signing in


@pytest.mark.parametrize(
    ("switches", "ways"),
    [
        ({}, ["POST /api/auth/sign_in"]),
        ({"version": "22.0"}, ["POST /api/auth/sign_in", "POST /api/login/oauth/token"]),
        (
            {"version": "16", "oauth": "off"},
            ["POST /api/auth/sign_in", "POST /api/login/oauth/token", "POST /api/login"],
        ),
        (
            {"version": "16", "oauth": "off", "login_body": "empty"},
            ["POST /api/auth/sign_in", "POST /api/login/oauth/token", "POST /api/login", "GET /api/login"],
        ),
    ],
    ids=str,
)
def test_export_works_with_every_authentication_method(box: Boxes, switches: dict[str, str], ways: list[str]) -> None:
    """When the token expires during the run, the same method is used again."""
    made = box(**switches)
    made.check("cdrs", DAY, page_size=25)
    assert made.paths()[: len(ways)] == ways
    assert made.paths()[len(ways) :] == ["GET /api/cdrs"] * 2
    made.sandbox.switch("portsip", "expire_after", "5")
    made.check("cdrs", DAY, page_size=5)


def test_user_who_may_not_sign_in_gets_an_error(box: Boxes) -> None:
    made = box(two_factor="on")
    made.refused(SignInError, "cdrs", DAY)
    wrong = {**made.sandbox.credentials("portsip"), "password": "wr0ng"}
    with pytest.raises(SignInError) as caught:
        fetched(wrong, "cdrs", DAY)
    assert "wr0ng" not in str(vars(caught.value))


# Reports


def test_report_is_created_listed_updated_and_deleted(box: Boxes) -> None:
    made = box()
    [report] = made.run("reports create", name="weekly", cron="0 6 * * 1", **WANTED).rows
    assert (report["name"], report["status"], report["cron_expr"]) == ("weekly", "SCHEDULED", "0 6 * * 1")
    [changed] = made.run("reports update", id=report["id"], file_format="HTML", cron="0 7 * * 1").rows
    assert (changed["format"], changed["cron_expr"], changed["range"]) == ("HTML", "0 7 * * 1", "YESTERDAY")
    assert [one["id"] for one in made.run("reports list").rows] == [report["id"]]
    assert made.run("reports show", id=report["id"]).rows == [changed]
    assert made.run("reports delete", id=report["id"]).rows == [changed]
    assert made.run("reports list").rows == []
    made.refused(ProviderError, "reports delete", id=report["id"])


def test_finished_report_is_downloaded(box: Boxes) -> None:
    """The download needs no token, and can be repeated by the report's id until the report is deleted."""
    made = box()
    run = made.run("reports create", wait=True, **WANTED)
    [(name, content)] = run.files
    [finished] = run.rows
    assert name == finished["file_name"]
    assert len(content) == finished["file_size"]
    blob = next(one for one in made.sandbox.requests if "/blobs/" in one.path)
    assert "authorization" not in {key.lower() for key in blob.headers}
    assert "file_url" not in finished, "it opens the file to whoever has it"
    assert blob.path not in " ".join(run.told)
    [finished] = made.run("completed-reports show", id=finished["id"]).rows
    again = made.run("completed-reports download", id=finished["id"])
    assert again.files == run.files
    assert made.run("completed-reports list").rows == [finished]
    assert made.run("completed-reports show", id=finished["id"]).rows == [finished]
    assert made.run("completed-reports delete", id=finished["id"]).rows == [finished]
    assert made.run("completed-reports list").rows == []


def test_reports_of_every_type_are_accepted(box: Boxes) -> None:
    """A report that passes our checks passes the PBX's, too."""
    made = box()
    for kind, fields in FILTERS.items():
        lists = {"groups": "groups=Sales", "call_queues": "call_queues=8000", "ring_groups": "ring_groups=9000"}
        given = tuple(lists[name] for name in fields if name in lists)
        [report] = made.run("reports create", **{**WANTED, "type": kind, "filter": given}).rows
        assert report["type"] == kind


@pytest.mark.parametrize("name", ["traversal", "absolute", "control", "empty"])
def test_unsafe_names_of_files_are_replaced(box: Boxes, name: str) -> None:
    run = box(file_name=name).run("reports create", name="../x", wait=True, **WANTED)
    assert [one for one, _ in run.files] == [f"report-x-{run.rows[0]['id']}.csv"]


@pytest.mark.parametrize("url", ["absolute", "network_path", "outside", "traversal"])
def test_unsafe_download_address_is_refused(box: Boxes, url: str) -> None:
    made = box(file_url=url)
    made.refused(ProviderError, "reports create", wait=True, **WANTED)
    assert not any("blobs" in path for path in made.paths())


def test_wait_for_an_unfinished_or_aborted_report_is_an_error(box: Boxes) -> None:
    made = box(report="never")
    made.refused(TemporaryError, "reports create", wait=True, wait_at_most=timedelta(minutes=1), **WANTED)
    box(report="aborts").refused(ProviderError, "reports create", wait=True, **WANTED)


@pytest.mark.parametrize("after", ["RUNNING", "gone"])
def test_second_report_of_a_name_gives_its_own_file(box: Boxes, after: str) -> None:
    made = box(report_after=after)
    first, second = (made.run("reports create", name="x", wait=True, **WANTED) for _ in range(2))
    assert first.rows[0]["id"] != second.rows[0]["id"]
    assert len(made.run("completed-reports list").rows) == 2
