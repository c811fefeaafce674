"""CallGear's points per minute and per day."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx

from cdrctl.errors import TemporaryError
from tests.support.products import for_each

from .callgear_kit import NOW, SINCE, UNTIL, Rule, Service, Wire, a_day, as_sent, failed, reply


def test_request_waits_when_the_points_of_a_minute_are_used_up() -> None:
    limits = {"minute_limit": 60, "minute_remaining": 0, "minute_reset": 23, "day_remaining": 100}
    page = [{"id": 1, "start_time": "2026-11-18 10:00:00"}]
    rules: list[Rule] = [lambda body: reply(body, page, 1, limits=limits), lambda body: reply(body, [], 0, limits={})]
    service = Service(rules={"get.call_legs_report": rules})
    assert service.ids(SINCE, UNTIL) == [1]
    assert service.slept == [24.0]
    assert len(service.told) == 1
    assert "24 s" in service.told[0]


def test_request_is_repeated_after_the_limit_per_minute() -> None:
    def refusal(body: Wire) -> httpx.Response:
        return as_sent("constructed_error_limit_exceeded_minute.json", body)

    service = a_day(2, rules={"get.call_legs_report": [refusal]})
    assert len(service.ids(SINCE, UNTIL)) == 2
    assert 24 <= sum(service.slept) <= 25
    assert service.params[0] == service.params[1]
    service = a_day(2, rules={"get.call_legs_report": [lambda body: failed(body, -32029, "limit_exceeded")] * 99})
    assert service.fails(TemporaryError).exit_code == 5
    assert 840 < sum(service.slept) <= 900
    assert min(service.slept[:5]) >= 60


@for_each("reset, max_wait", [(3600, "15m"), (120, "1m"), (86_400, "15m")])
def test_wait_for_points_longer_than_max_wait_ends_the_run_at_once(reset: int, max_wait: str) -> None:
    def refusal(body: Wire) -> httpx.Response:
        limits = {"limits": {"minute_remaining": 0, "minute_reset": reset}}
        return failed(body, -32029, "limit_exceeded", params={"limit_type": "minute"}, metadata=limits)

    service = a_day(2, rules={"get.call_legs_report": [refusal] * 9})
    service.settings["max_wait"] = max_wait
    error = service.fails(TemporaryError)
    assert error.exit_code == 5
    assert service.slept == []
    assert len(service.params) == 1
    back = NOW + timedelta(seconds=reset + 2)
    assert f"{back:%Y-%m-%dT%H:%M:%SZ}" in (error.hint or "")


def test_the_daily_limit_ends_the_run_and_names_the_time_to_continue_from() -> None:
    def refusal(body: Wire) -> httpx.Response:
        return as_sent("constructed_error_limit_exceeded_day.json", body)

    service = a_day(10)
    answer = service.listing
    service.rules["get.call_legs_report"] = [answer, answer, refusal]
    error = service.fails(TemporaryError, page_size=4)
    assert error.exit_code == 5
    assert error.message == "CallGear's daily limit of 3000 requests is used up; it resets in 14 h 26 min"
    assert error.said is not None
    assert "3000" in error.said
    assert error.hint == (
        "run the command again after 2026-11-21T02:26:00.000Z; all calls that started before 2026-11-18T08:00:02.000Z "
        "have been read: if you have their records, continue with --since 2026-11-18T08:00:02.000Z"
    )
    assert service.slept == []


def test_a_start_in_the_future_does_not_count_as_progress() -> None:
    """The hint after the daily limit ignores starts that cannot be right."""
    service = a_day(10)

    def second_page(body: Wire) -> httpx.Response:
        answer = json.loads(service.listing(body).content)
        answer["result"]["data"][-1]["start_time"] = "2083-10-11 09:12:00"
        return httpx.Response(200, json=answer)

    limit = [lambda body: as_sent("constructed_error_limit_exceeded_day.json", body)]
    service.rules["get.call_legs_report"] = [service.listing, second_page, *limit]
    error = service.fails(TemporaryError, page_size=4)
    assert "--since 2026-11-18T08:00:02.000Z" in (error.hint or "")


def test_the_daily_limit_before_the_first_record_names_no_time_to_continue_from() -> None:
    def refusal(body: Wire) -> httpx.Response:
        return failed(body, -32029, "limit_exceeded", params={"limit_type": "day"})

    error = a_day(1, rules={"*": [refusal]}).fails(TemporaryError)
    error = a_day(1, rules={"get.call_legs_report": [refusal]}).fails(TemporaryError)
    assert "--since" not in (error.hint or "")


def test_time_to_continue_from_is_earlier_if_the_service_selects_by_end() -> None:
    def refusal(body: Wire) -> httpx.Response:
        return as_sent("constructed_error_limit_exceeded_day.json", body)

    service = Service(by="end")
    service.add(SINCE - timedelta(hours=1), 7200)
    for hour in range(20):
        service.add(SINCE + timedelta(hours=hour))
    service.rules["get.call_legs_report"] = [service.listing, service.listing, refusal]
    error = service.fails(TemporaryError, page_size=5, longest_call=timedelta(hours=3))
    assert "--since 2026-11-18T05:00:00.000Z" in (error.hint or "")


def test_old_version_of_the_api_gets_one_warning() -> None:
    version = {"current_version_deprecated": True, "current_version": "2.0", "latest_version": "3.0"}
    page = [{"id": 1, "start_time": "2026-11-18 10:00:00"}]
    service = Service(rules={"get.call_legs_report": [lambda body: reply(body, page, 1, api_version=version)] * 2})
    service.ids(SINCE, UNTIL)
    assert [text for text in service.told if "switched off" in text] == service.told
    assert len(service.told) == 1
    assert "3.0" in service.told[0]
