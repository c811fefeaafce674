"""Legs with what they cost: the rows of `get.financial_call_legs_report`, joined to the legs of the same day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from cdrctl.errors import CdrctlError, ProviderError, RightsError, TemporaryError, UsageError
from cdrctl.fetchers import Query, possible_start
from cdrctl.fetchers.callgear import listing
from cdrctl.fetchers.callgear.account import Account
from cdrctl.fetchers.callgear.answers import DayLimitError
from cdrctl.fetchers.callgear.columns import COST_SUMS, COSTS_OF_LEG, CURRENCY, identity, start
from cdrctl.fetchers.callgear.fields import COSTS, LEGS
from cdrctl.fetchers.callgear.local_time import DAY, zone_of
from cdrctl.fetchers.callgear.report import report_of
from cdrctl.fetchers.callgear.settings import TITLE, CallGearSettings
from cdrctl.fetchers.readings import COPY
from cdrctl.records.events import Event, Gap, Note, Page, Record, fingerprint
from cdrctl.records.readers import read_decimal
from cdrctl.windows import Window, rfc3339, tile

Costs = Mapping[str, Mapping[str, Any]]
"""The fields of costs by the id of the leg."""


def legs(query: Query[CallGearSettings]) -> Iterator[Event]:
    """Yield the legs that started in the window, and some around it, with their costs if these are wanted."""
    return _legs_with_costs(query) if query.options.get("with_cost") else listing.legs(query)


def _legs_with_costs(query: Query[CallGearSettings]) -> Iterator[Event]:
    """Yield the legs of the window with their costs, a day at a time.

    Both reports are complete for the starts of a day, whatever the service selects by, so each leg is yielded with its
    day. If the costs cannot be fetched, the legs come without, and a gap. A leg that costs nothing has no row there.
    """
    account = Account(query.client, query.settings)
    if query.settings.timezone is None:
        query = replace(query, settings=replace(query.settings, timezone=zone_of(account)[0]))
        account.settings = query.settings
    requests = 2 * -(-query.window.duration // DAY)
    if requests > listing.MANY_REQUESTS:
        yield Note(f"--with-cost takes at least {requests} requests, and {TITLE} limits the requests per day")
    currency = yield from _currency(account)
    for day in tile(query.window, DAY):
        part = replace(query, period=day)
        costs = yield from _costs(part, account, currency)
        report = report_of(part, "get.call_legs_report", LEGS, identity, account)
        for event in listing.read_report(report, "legs", part):
            yield _joined(event, day, costs) if isinstance(event, Page) else event


def _currency(account: Account) -> Generator[Event, None, str | None]:
    """Return the currency of the account's costs; None if unknown, as for the customers of a partner."""
    if account.settings.user_id is not None:  # the method tells only the partner's own
        return None
    try:
        data = account.ask("getobj.account", {}).get("data")
    except DayLimitError:
        raise
    except (RightsError, ProviderError, UsageError) as error:
        yield Note(f"the currency of the costs is unknown: {error.message}")
        return None
    first = data[0] if isinstance(data, list) and data else data
    name = first.get("report_currency") if isinstance(first, dict) else None
    return name if isinstance(name, str) and name else None


def _costs(query: Query[CallGearSettings], account: Account, currency: str | None) -> Generator[Event, None, Costs]:
    """Return the costs of the legs that started in the window; those of several rows of one leg are added."""
    whole = replace(query, options={**query.options, "filter": (), "orderby": ()}, fields=None)
    report = report_of(whole, "get.financial_call_legs_report", COSTS, fingerprint, account)
    report.fields = ()  # the service sends all fields unless some are named
    rows: dict[str, dict[str, Record]] = defaultdict(dict)
    try:
        for event in listing.read_report(report, "costs", whole):
            if isinstance(event, Gap):
                yield event
            elif isinstance(event, Page):
                for row in event.records:
                    rows[str(row.get("leg_id"))][fingerprint(row) + event.context.get(COPY, "")] = row
    except DayLimitError:
        raise
    except (RightsError, ProviderError, TemporaryError) as error:
        yield _gap(query.window, error)
        return {}
    return {leg: _sum([*found.values()], currency) for leg, found in rows.items()}


def _gap(window: Window, error: CdrctlError) -> Gap:
    what = f"the costs of the legs from {rfc3339(window.since)} to {rfc3339(window.until)} could not be fetched"
    return Gap(f"{what}: {error.message}", error.hint, error.said)


def _sum(rows: list[Record], currency: str | None) -> dict[str, Any]:
    """Return the fields that a leg gets from its rows of costs."""
    found = {name: rows[0].get(name) for name in COSTS_OF_LEG}
    if len(rows) > 1:
        for name in COST_SUMS:
            found[name] = _total([row.get(name) for row in rows])
    return {**found, CURRENCY: currency}


def _total(values: list[Any]) -> str | int | None:
    """Return the sum of values.

    Raises:
        ProviderError: One is not a number.
    """
    given = [value for value in values if value is not None]
    if all(isinstance(value, int) and not isinstance(value, bool) for value in given):
        return sum(given) if given else None
    try:
        return format(sum((Decimal(read_decimal(value)) for value in given), Decimal(0)), "f")
    except (ValueError, ArithmeticError):
        raise ProviderError(
            f"{TITLE} sent an unknown response: a cost is not a number",
            hint="the API may have changed: update cdrctl, or report it",
        ) from None


def _joined(page: Page, day: Window, costs: Costs) -> Page:
    """Return the legs of a page that started on a day, or whose start cannot be read, with their costs."""
    records = []
    for leg in page.records:
        began = start(leg, page.context)
        if began is None or day.holds(began) or not possible_start(began):
            found = costs.get(str(leg.get("id")))
            records.append({**leg, **found} if found is not None else leg)
    return Page(records, page.context)
