"""CallGear's legs with their costs: each leg has those of its rows, whatever the documents leave open."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from cdrctl.errors import ProviderError, TemporaryError
from tests.support.products import for_each

from .callgear_kit import Service, Wire, at, failed, reply
from .test_callgear_sandbox import NOW, world

COSTS = "get.financial_call_legs_report"
DAY = at("2026-11-18"), at("2026-11-19")


def service(*costs: Wire, currency: object = "EUR") -> Service:
    """Return an account with two legs, and rows of costs."""
    found = Service()
    found.add(at("2026-11-18T08:00"))
    found.add(at("2026-11-18T09:00"))
    found.rules["getobj.account"] = [lambda body: reply(body, {"report_currency": currency})]
    found.rules[COSTS] = [lambda body: reply(body, [*costs], len(costs)), *[lambda body: reply(body, [], 0)] * 3]
    return found


def cost(leg: int | str, charge: float, **more: Any) -> Wire:
    return {
        "leg_id": leg,
        "start_time": "2026-11-18 09:00:00",
        "total_charge": charge,
        "chargeable_duration": 60,
        **more,
    }


def test_a_leg_gets_the_costs_of_its_rows() -> None:
    """Several rows are added, identical ones too; ids may be numbers or text; a leg without a row has no costs."""
    made = service(cost(9_000_000_000, 0.1), cost("9000000000", 0.25, direction_type="local"), cost(9_000_000_000, 0.1))
    first, second = made.records(*DAY, with_cost=True)
    assert (first["total_charge"], first["chargeable_duration"], first["cost_currency"]) == ("0.45", 180, "EUR")
    assert "total_charge" not in second
    assert "total_charge" not in service().records(*DAY)[0]


def test_identical_rows_of_one_response_are_all_exported() -> None:
    """The total counts each of them. A row that comes again in another response is the same one."""
    rows, service = [cost(1, 0.1), cost(2, 0.2), cost(1, 0.1), cost(1, 0.1)], Service()
    again = [lambda body: reply(body, rows[:3], 4), lambda body: reply(body, rows[2:], 4)]
    service.rules[COSTS] = [lambda body: reply(body, rows, 4)] * 2 + [lambda body: reply(body, [], 0)] * 3
    assert [row["leg_id"] for row in service.records(*DAY, "costs")] == [1, 2, 1, 1]
    assert (service.tally.gaps, service.tally.duplicates) == ([], 0)
    service.rules[COSTS] = [*again, lambda body: reply(body, [], 4), *again, *[lambda body: reply(body, [], 0)] * 3]
    assert [row["leg_id"] for row in service.records(*DAY, "costs")] == [1, 2, 1]
    assert len(service.tally.gaps) == 1


def test_a_filter_of_legs_is_not_one_of_costs() -> None:
    made = service(cost(9_000_000_000, 0.1))
    made.records(*DAY, with_cost=True, filter=("is_operator=true",))
    by_method = {body["method"]: body["params"] for body in made.asked}
    assert "filter" in by_method["get.call_legs_report"]
    assert "filter" not in by_method[COSTS]


@for_each(
    "answer",
    [
        lambda body: failed(body, -32003, "forbidden"),
        lambda _body: httpx.Response(418),
        lambda body: reply(body, "no list"),
    ],
    ids=["forbidden", "refused", "shape"],
)
def test_legs_come_without_costs_that_cannot_be_fetched(answer: Any) -> None:
    made = service()
    made.rules[COSTS] = [answer]
    found = made.records(*DAY, with_cost=True)
    assert [one["id"] for one in found] == [9_000_000_000, 9_000_000_001]
    assert len(made.tally.gaps) == 1
    assert made.tally.gaps[0].what.startswith("the costs of the legs from 2026-11-18")


def test_the_daily_limit_ends_the_export() -> None:
    """No leg is left without its costs because the points are used up."""
    made = service()
    made.rules[COSTS] = [lambda body: failed(body, -32029, "limit_exceeded", params={"limit_type": "day"})]
    with pytest.raises(TemporaryError):
        made.records(*DAY, with_cost=True)


def test_a_currency_that_may_not_be_read_is_empty() -> None:
    made = service(cost(9_000_000_000, 0.1))
    made.rules["getobj.account"] = [lambda body: failed(body, -32003, "forbidden")]
    assert made.records(*DAY, with_cost=True)[0]["cost_currency"] is None
    partner = service(cost(9_000_000_000, 0.1))
    partner.settings["user_id"] = "7"
    assert partner.records(*DAY, with_cost=True)[0]["cost_currency"] is None
    assert "getobj.account" not in {body["method"] for body in partner.asked}


def test_a_cost_that_is_no_number_is_refused() -> None:
    made = service(cost(9_000_000_000, 0.1), cost(9_000_000_000, 0.2, total_charge="much"))
    with pytest.raises(ProviderError):
        made.records(*DAY, with_cost=True)


def test_a_leg_over_midnight_comes_with_its_day() -> None:
    """The service may list it on both days, and its costs on one."""
    made = Service(by="end")
    made.add(at("2026-11-18T23:59:30"))
    made.rules["getobj.account"] = [lambda body: reply(body, {})]
    costs = [cost(9_000_000_000, 0.1)]
    made.rules[COSTS] = [lambda body: reply(body, costs, 1), *[lambda body: reply(body, [], 0)] * 9]
    found = made.records(at("2026-11-18"), at("2026-11-20"), with_cost=True)
    assert [one.get("total_charge") for one in found] == [0.1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "switches",
    [
        {"session_id": "string"},
        {"window_on": "finish"},
        {"bounds": "open"},
        {"bounds": "half_open", "short_page": "7"},
        {"zone": "America/St_Johns"},
    ],
    ids=str,
)
def test_the_sum_is_that_of_the_costs(switches: dict[str, str]) -> None:
    """Over the ends of days, in pages."""
    since, until = NOW - timedelta(hours=50), NOW - timedelta(hours=2)
    with world(switches) as made:
        legs = made.records(since, until, with_cost=True, page_size=50)
        truth = {str(one["leg_id"]): one for one in made.sandbox.truth("callgear", "costs", since, until)}
        whole = made.sandbox.truth("callgear", "legs", since, until)
        assert sorted(one["id"] for one in legs) == sorted(one["id"] for one in whole)
    assert len({one["id"] for one in legs}) == len(legs)
    found = {str(one["id"]): Decimal(str(one["total_charge"])) for one in legs if "total_charge" in one}
    assert found == {leg: Decimal(str(one["total_charge"])) for leg, one in truth.items()}
    assert not made.tally.gaps
