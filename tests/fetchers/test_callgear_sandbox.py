"""CallGear from end to end, with a sandbox made from its documents: nothing that they leave open loses a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cdrctl.errors import (
    CdrctlError,
    ConfigurationError,
    DriftError,
    ProviderError,
    SignInError,
    TemporaryError,
    UsageError,
)
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import Query, check_access, connect
from cdrctl.fetchers.callgear import PROVIDER
from cdrctl.fetchers.callgear.settings import CallGearSettings
from cdrctl.http import Client, Clock
from cdrctl.records.events import Page
from cdrctl.records.schemas import common, raw
from cdrctl.sandbox import Exchange, Sandbox, start, uniform
from cdrctl.windows import Window
from tests.support.products import for_each

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)
TURN = datetime(2026, 10, 25, 1, tzinfo=UTC)
EXCHANGE = Exchange(1)
SINCE, UNTIL = datetime(2026, 11, 19, 18, tzinfo=UTC), datetime(2026, 11, 19, 20, tzinfo=UTC)
KEYS = {"legs": "id", "calls": "id", "costs": "leg_id", "users": "id"}


class Process:
    """A sandbox and a profile on one clock, which moves only while the client waits."""

    def __init__(
        self,
        sandbox: Sandbox,
        settings: CallGearSettings,
        client: Client,
        slept: list[float],
        client_told: list[tuple[str, str]],
    ) -> None:
        self.sandbox = sandbox
        self.settings = settings
        self.client = client
        self.slept = slept
        self.client_told = client_told
        self.tally = Tally()
        self.told: list[str] = []

    def records(
        self, since: datetime, until: datetime, call: str = "legs", *, strict: bool = False, **options: Any
    ) -> list[dict[str, Any]]:
        """Return the raw records of an export."""
        given = {
            "filter": (),
            "orderby": (),
            "page_size": 10_000,
            "longest_call": timedelta(hours=24),
            "ongoing": False,
        }
        found = PROVIDER.call(call)
        window = Window(since, until) if found.windowed else None
        pieces = found.fetch(Query(self.client, self.settings, window, given | options, strict=strict))
        pages = rows(pieces, found, raw(), window, self.tally, lambda _level, text: self.told.append(text))
        return [dict(one) for page in pages for one in page]

    def cdrs(self, since: datetime, until: datetime, call: str) -> list[dict[str, Any]]:
        """Return the common CDRs of an export, by id."""
        found = PROVIDER.call(call)
        assert found.common is not None
        schema = common(found.columns, found.common, None, lambda _text: None, provider="callgear", profile="p")
        assert schema.columns is not None
        names = [column.name for column in schema.columns]
        context = {
            "timezone": self.sandbox.provider("callgear").switched["zone"],
            "app_host": "https://app.callgear.com",
        }
        page = Page(self.records(since, until, call), context)
        return sorted(
            (dict(zip(names, row, strict=True)) for row in schema.rows(page)), key=lambda cdr: cdr["record_id"]
        )

    def ids(self, since: datetime, until: datetime, call: str = "legs", **options: Any) -> list[int]:
        return [one[KEYS[call]] for one in self.records(since, until, call, **options)]

    def truth(self, since: datetime, until: datetime, call: str = "legs", **options: str) -> list[int]:
        return sorted(one[KEYS[call]] for one in self.sandbox.truth("callgear", call, since, until, **options))


@contextmanager
def world(
    switches: Mapping[str, str] | None = None,
    *,
    kind: str = "access_token",
    limits: bool = False,
    exchange: Exchange = EXCHANGE,
    **changes: Any,
) -> Iterator[Process]:
    moment = [NOW]
    slept: list[float] = []

    def monotonic() -> float:
        return (moment[0] - NOW).total_seconds()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        moment[0] += timedelta(seconds=seconds)

    clock = Clock(now=lambda: moment[0], monotonic=monotonic, sleep=sleep)
    given = {"callgear": dict(switches or {})}
    with start(now=clock.now, providers=["callgear"], switches=given, exchange=exchange, limits=limits) as sandbox:
        settings = CallGearSettings.of(sandbox.credentials("callgear", kind) | changes)
        told: list[tuple[str, str]] = []
        client = connect(
            PROVIDER,
            settings,
            clock=clock,
            log=lambda level, text: told.append((level, text)),
            conceal=lambda _secrets: None,
        )
        with closing(client):
            yield Process(sandbox, settings, client, slept, told)


SWITCHES: list[dict[str, str]] = [
    {},
    *({"bounds": bounds} for bounds in ("half_open", "open_low", "open")),
    {"window_on": "finish"},
    *({"window_on": "finish", "bounds": bounds} for bounds in ("half_open", "open_low", "open")),
    {"short_page": "3"},
    {"ties": "moving"},
    {"names_field": "off"},
    {"no_wav": "off"},
    {"reasons": "caller"},
    {"deprecated": "null"},
    {"deprecated": "absent"},
    {"meta": "before"},
    {"get_account_meta": "meta_data"},
    {"zone": "America/New_York"},
    {"zone": "Asia/Dubai"},
    {"deprecated_version": "on"},
    {"error_data": "full"},
    {"http_errors": "real"},
    {"limits": "{}"},
    *({"times": "utc", "zone": zone} for zone in ("Europe/Berlin", "America/New_York")),
    *({"talk_times": value, "names_field": named} for value in ("null", "absent") for named in ("on", "off")),
    *({"no_time": value} for value in ("zeros", "year1", "1970", "0")),
    {"reason": "numa_in_black_list"},
    {"zone": "America/New_York", "window_on": "finish", "short_page": "2", "names_field": "off", "ties": "moving"},
]


CASES = [("legs", one) for one in SWITCHES]
CASES += [(call, one) for call in ("calls", "costs") for one in (SWITCHES[0], SWITCHES[-1])]
CASES += [("calls", {"names_field": "off"}), ("costs", {"session_id": "string"})]


@pytest.mark.thin
@pytest.mark.parametrize(("call", "switches"), CASES, ids=str)
def test_export_has_every_record_of_the_window_once(call: str, switches: dict[str, str]) -> None:
    with world(switches) as there:
        found = there.ids(SINCE, UNTIL, call, page_size=20)
        assert sorted(found) == there.truth(SINCE, UNTIL, call)
        assert len(found) > 20
        assert there.tally.gaps == []


@pytest.mark.thin
@pytest.mark.parametrize("total", ["zero", "page", "half", "shrinking", "true", "negative", "text", "absent"])
@pytest.mark.parametrize("call", ["legs", "calls", "costs", "users"])
def test_wrong_total_loses_no_record_and_gets_one_warning(call: str, total: str) -> None:
    size = 1 if call == "users" else 20
    with world({"total": total}, kind="partner") as there:
        found = there.ids(SINCE, UNTIL, call, page_size=size)
        assert sorted(found) == there.truth(SINCE, UNTIL, call)
        assert len(found) > size
        assert there.tally.gaps == []
        warned = [text for level, text in there.client_told if level == "warning"]
        assert len(warned) == (total != "absent")
        assert all("are wrong" in text for text in warned)


@pytest.mark.parametrize("total", ["page", "absent"])
def test_rows_that_move_between_pages_come_or_are_a_gap(total: str) -> None:
    """All rows start in one second, and their order differs on each page."""
    start = SINCE + timedelta(minutes=1)
    calls = uniform(30, start, start + timedelta(milliseconds=900))
    with world({"total": total, "ties": "moving"}, exchange=Exchange(calls=calls)) as there:
        found = set(there.ids(SINCE, UNTIL, page_size=7))
        assert found == set(there.truth(SINCE, UNTIL)) or there.tally.gaps


@pytest.mark.thin
@pytest.mark.parametrize("double", ["both", "first", "second"])
@pytest.mark.parametrize("by", ["start_time", "finish"])
def test_windows_tile_around_the_repeated_hour(double: str, by: str) -> None:
    since, until = TURN - timedelta(hours=5), TURN + timedelta(hours=5)
    cuts = [timedelta(minutes=minutes) for minutes in (-75, -60, -30, 0, 15, 60, 90)]
    with world({"double_hour": double, "window_on": by}) as there:
        whole = sorted(there.ids(since, until))
        assert whole == there.truth(since, until)
        assert len(whole) > 20
        for cut in cuts:
            parts = there.ids(since, TURN + cut) + there.ids(TURN + cut, until)
            assert sorted(parts) == whole
        assert there.tally.gaps == []


BOUNDS = ("closed", "half_open", "open_low", "open")


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("by", ["start_time", "finish"])
@pytest.mark.parametrize("call", ["legs", "calls", "costs"])
def test_calls_at_the_ends_of_requests_come_once(call: str, by: str, bounds: str) -> None:
    """The window begins at 03:00:00 in the account's zone, and is divided after 31 days."""
    since, until = datetime(2026, 10, 16, tzinfo=UTC), datetime(2026, 11, 19, tzinfo=UTC)
    second = timedelta(seconds=1)
    edges = [edge + n * second for edge in (since, since + timedelta(days=31), until) for n in (-1, 0, 1)]
    calls = [one for edge in edges for one in uniform(1, edge, edge + second, name=f"edge {edge}", talk_seconds=0)]
    with world({"zone": "Europe/Moscow", "bounds": bounds, "window_on": by}, exchange=Exchange(calls=calls)) as there:
        found = there.records(since, until, call)
        assert sorted(one[KEYS[call]] for one in found) == there.truth(since, until, call)
        assert sum(one["start_time"] == "2026-10-16 03:00:00" for one in found) == 1
        assert len(found) == sum(since <= edge < until for edge in edges) == 6
        assert there.tally.gaps == []


@pytest.mark.thin
@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("call", ["legs", "calls", "costs"])
def test_windows_tile_at_the_second_of_a_call(call: str, bounds: str) -> None:
    with world({"bounds": bounds}) as there:
        wires = there.sandbox.truth("callgear", call, SINCE, UNTIL)
        middle = datetime.fromisoformat(wires[len(wires) // 2]["start_time"] + "+01:00").astimezone(UTC)
        for cut in (middle, middle + timedelta(milliseconds=500), middle - timedelta(microseconds=1)):
            parts = there.ids(SINCE, cut, call) + there.ids(cut, UNTIL, call)
            assert sorted(parts) == there.truth(SINCE, UNTIL, call)


def test_rows_added_between_pages_come_or_are_a_gap() -> None:
    with world({"grow": "1"}) as there:
        found = there.ids(SINCE, UNTIL, page_size=40)
        missing = set(there.truth(SINCE, UNTIL)) - set(found)
        assert not missing or there.tally.gaps


@pytest.mark.parametrize("call", ["legs", "calls"])
def test_new_field_ends_a_strict_export(call: str) -> None:
    with world({"new_field": "on"}) as there:
        with pytest.raises(DriftError, match="speech_score") as caught:
            there.ids(SINCE, UNTIL, call, strict=True)
        assert caught.value.exit_code == 7
        assert sorted(there.ids(SINCE, UNTIL, call, strict=False)) == there.truth(SINCE, UNTIL, call)
        there.sandbox.switch("callgear", "new_field", "off")
        assert sorted(there.ids(SINCE, UNTIL, call, strict=True)) == there.truth(SINCE, UNTIL, call)


def test_check_names_a_new_field() -> None:
    with world({"new_field": "on"}) as there:
        check_access(PROVIDER, there.client, there.settings)
        [warning] = [text for level, text in there.client_told if level == "warning"]
        assert "speech_score" in warning
    with world() as there:
        check_access(PROVIDER, there.client, there.settings)
        assert [text for level, text in there.client_told if level == "warning"] == []


@pytest.mark.thin
@pytest.mark.parametrize("call", ["legs", "calls"])
@pytest.mark.parametrize("no_time", ["zeros", "year1", "1970", "0"])
def test_placeholder_times_change_no_common_cdr(call: str, no_time: str) -> None:
    with world() as there:
        plain = there.cdrs(SINCE, UNTIL, call)
        there.sandbox.switch("callgear", "no_time", no_time)
        assert there.cdrs(SINCE, UNTIL, call) == plain
        assert any(cdr["answered"] is False for cdr in plain)


@pytest.mark.parametrize("value", ["null", "absent"])
def test_answered_call_without_talk_times_is_not_unanswered(value: str) -> None:
    with world() as there:
        plain = {cdr["record_id"]: cdr for cdr in there.cdrs(SINCE, UNTIL, "legs")}
        there.sandbox.switch("callgear", "talk_times", value)
        found = there.cdrs(SINCE, UNTIL, "legs")
        assert {cdr["record_id"] for cdr in found} == set(plain)
        for cdr in found:
            before = plain[cdr["record_id"]]
            assert cdr["answered"] in {None, True}
            assert cdr["answered"] is None or before["answered"]
            assert cdr["outcome"] in {before["outcome"], "unknown"}
        assert {cdr["outcome"] for cdr in found} > {"answered", "unknown"}


@for_each(
    "reason, outcome",
    [("numa_in_spam_list", "rejected"), ("net_lock", "failed"), ("disconnect_before_call_processing", "cancelled")],
)
@for_each("call", ["legs", "calls"])
def test_outcome_of_an_unanswered_call_is_its_reason(call: str, reason: str, outcome: str) -> None:
    with world({"reason": reason}) as there:
        cdrs = [cdr for cdr in there.cdrs(SINCE, UNTIL, call) if cdr["answered"] is False]
        assert len(cdrs) > 3
        assert {cdr["outcome"] for cdr in cdrs if cdr["direction"] != "outbound" or call == "legs"} == {outcome}


def test_only_legs_of_a_group_are_abandoned() -> None:
    with world({"reason": "subscriber_disconnects"}) as there:
        cdrs = there.cdrs(SINCE, UNTIL, "legs")
        assert {bool(cdr["queue"]) for cdr in cdrs if cdr["outcome"] == "abandoned"} <= {True}
        assert {cdr["outcome"] for cdr in cdrs if not cdr["answered"] and not cdr["queue"]} == {"cancelled"}


@pytest.mark.slow
@for_each("kind", ["access_token", "login", "partner"])
@for_each("http", ["200", "real"])
def test_export_works_with_every_authentication_method(kind: str, http: str) -> None:
    with world({"http_errors": http}, kind=kind) as there:
        assert sorted(there.ids(SINCE, UNTIL)) == there.truth(SINCE, UNTIL)


@pytest.mark.parametrize("http", ["200", "real"])
def test_expired_login_is_renewed(http: str) -> None:
    with world({"http_errors": http}, kind="login") as there:
        before = there.ids(SINCE, UNTIL)
        there.sandbox.expire_tokens("callgear")
        assert there.ids(SINCE, UNTIL) == before
    with world({"http_errors": http}) as there:
        there.sandbox.expire_tokens("callgear")
        with pytest.raises(SignInError):
            there.ids(SINCE, UNTIL)
        assert len(there.sandbox.requests) == 1


def test_login_that_lasts_a_few_seconds_is_enough() -> None:
    with world({"token_ttl": "30", "minute_limit": "2", "limits": "on"}, kind="login") as there:
        assert sorted(there.ids(SINCE, UNTIL, page_size=40)) == there.truth(SINCE, UNTIL)


@pytest.mark.parametrize("http", ["200", "real"])
def test_points_of_a_minute_are_waited_for(http: str) -> None:
    with world({"minute_limit": "3", "http_errors": http}, limits=True) as there:
        assert sorted(there.ids(SINCE, UNTIL, page_size=9)) == there.truth(SINCE, UNTIL)
        assert len(there.slept) > 2
        assert all(0 < seconds <= 61 for seconds in there.slept)
        assert {request.status for request in there.sandbox.requests} <= {200, 400}


@pytest.mark.parametrize("http", ["200", "real"])
def test_export_after_the_daily_limit_continues_where_the_hint_says(http: str) -> None:
    with world({"day_limit": "4", "minute_limit": "60", "http_errors": http}, limits=True) as there:
        with pytest.raises(TemporaryError) as caught:
            there.ids(SINCE, UNTIL, page_size=20)
        assert there.slept == []
        since = datetime.fromisoformat((caught.value.hint or "").partition("--since ")[2].split()[0])
        assert SINCE < since < UNTIL
        there.sandbox.switch("callgear", "day_limit", "3000")
        assert sorted(there.ids(since, UNTIL)) == there.truth(since, UNTIL)


REFUSALS: list[tuple[str, type[CdrctlError], str]] = [
    ("access_token_blocked", SignInError, "blocked"),
    ("auth_error", SignInError, "wrong login"),
    ("forbidden", ConfigurationError, "time zone could not be read"),
    ("account_inactive", SignInError, "disabled"),
    ("ip_not_whitelisted", SignInError, "127.0.0.1"),
    ("method_component_disabled", SignInError, "component"),
    ("parameter_component_disabled", SignInError, "component"),
    ("internal_error", TemporaryError, "CallGear failed"),
    ("parse_error", CdrctlError, "did not understand"),
    ("method_not_found", CdrctlError, "did not understand"),
]


@for_each("word, kind, text", REFUSALS)
@for_each("http", ["200", "real"])
def test_refusal_is_an_error_with_its_reason(word: str, kind: type[CdrctlError], text: str, http: str) -> None:
    with (
        world({"refuse": word, "http_errors": http, "error_data": "full" if http == "real" else "sparse"}) as there,
        pytest.raises(kind, match=text),
    ):
        there.ids(SINCE, UNTIL)


@for_each(
    "word, kind",
    [
        ("filter_prohibited", UsageError),
        ("invalid_parameter_value", UsageError),
        ("unexpected_parameters", ProviderError),
        ("forbidden", SignInError),
    ],
)
def test_refusal_of_the_listing_is_an_error_with_its_mnemonic(word: str, kind: type[CdrctlError]) -> None:
    with world({"refuse": word}, timezone="Europe/Berlin") as there, pytest.raises(kind) as caught:
        there.ids(SINCE, UNTIL)
    assert word in (caught.value.said or "")


@pytest.mark.parametrize(("switch", "text"), [("ip=unlisted", "allow-list"), ("account=inactive", "disabled")])
def test_closed_account_is_a_sign_in_error(switch: str, text: str) -> None:
    name, _, value = switch.partition("=")
    with world({name: value}) as there, pytest.raises(SignInError, match=text):
        there.ids(SINCE, UNTIL)


def test_partner_must_set_user_id() -> None:
    with world(kind="partner", user_id=None) as there, pytest.raises(ConfigurationError) as caught:
        there.ids(SINCE, UNTIL)
    assert "user_id" in (caught.value.hint or "")
    with world(kind="partner", user_id=2002) as there:
        found = sorted(there.ids(SINCE, UNTIL))
        assert found == there.truth(SINCE, UNTIL, user_id="2002")
        assert found != there.truth(SINCE, UNTIL)


def test_partner_must_set_timezone() -> None:
    with world(kind="partner", timezone=None) as there, pytest.raises(ConfigurationError, match="time zone"):
        there.ids(SINCE, UNTIL)


def test_users_of_a_partner_are_exported() -> None:
    with world(kind="partner") as there:
        assert sorted(there.ids(SINCE, UNTIL, "users", page_size=2)) == [2000, 2001, 2002]
        assert there.ids(SINCE, UNTIL, "users", filter=("customer_id=100001",)) == [2002]
    with world() as there, pytest.raises(SignInError, match=r"get\.customer_users"):
        there.ids(SINCE, UNTIL, "users")


@pytest.mark.thin
@pytest.mark.parametrize("action", ["cut", "reset", "not_json", "html", "empty", 500, 503, 429])
def test_temporary_fault_loses_no_record(action: Any) -> None:
    with world() as there:
        there.sandbox.fail("callgear", action, nth=2, times=2)
        assert sorted(there.ids(SINCE, UNTIL, page_size=40)) == there.truth(SINCE, UNTIL)
        assert there.slept


def test_response_of_another_shape_is_an_error() -> None:
    with world() as there:
        there.sandbox.fail("callgear", "wrong_shape", times=99, nth=2)
        with pytest.raises(ProviderError):
            there.ids(SINCE, UNTIL)


@for_each(
    "text, matches",
    [
        ("direction=in", lambda leg: leg["direction"] == "in"),
        ("duration>60", lambda leg: (leg["duration"] or 0) > 60),
        ("is_operator=true", lambda leg: leg["is_operator"] is True),
        ("employee_id=null", lambda leg: leg["employee_id"] is None),
        ("employee_full_name~%o%", lambda leg: "o" in (leg["employee_full_name"] or "")),
        (
            '{"filters":[{"field":"direction","operator":"=","value":"in"},DURATION],"condition":"or"}',
            lambda leg: leg["direction"] == "in" or leg["duration"] < 5,
        ),
    ],
)
def test_filters_select_records(text: str, matches: Any) -> None:
    with world() as there:
        everything = there.sandbox.truth("callgear", "legs", SINCE, UNTIL)
        tree = text.replace("DURATION", '{"field":"duration","operator":"<","value":5}')
        found = sorted(there.ids(SINCE, UNTIL, filter=(tree,)))
        assert found == sorted(leg["id"] for leg in everything if matches(leg))
        assert 0 < len(found) < len(everything)


def test_order_sorts_records() -> None:
    with world() as there:
        lengths = [leg["duration"] for leg in there.records(SINCE, UNTIL, orderby=("duration:desc",))]
        assert lengths == sorted(lengths, reverse=True)
        assert len(lengths) > 20


def test_ongoing_calls_come_with_the_option() -> None:
    since = NOW - timedelta(hours=3)
    with world() as there:
        ended = set(there.ids(since, NOW, "calls"))
        assert ended <= set(there.ids(since, NOW, "calls", ongoing=True))


@pytest.mark.slow
def test_long_window_is_exported_in_months() -> None:
    with world() as there:
        since, until = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC)
        assert (sorted(there.ids(since, until, "calls")), there.tally.gaps) == (there.truth(since, until, "calls"), [])


def test_check_reports_the_zone() -> None:
    with world() as there:
        assert check_access(PROVIDER, there.client, there.settings).count("Europe/Berlin") == 1
