"""One call in full, and the costs of calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from cdrctl.contents import contents_of
from cdrctl.errors import ProviderError
from cdrctl.fetchers import CLOCK_TOLERANCE, Query, possible_start
from cdrctl.fetchers.portsip.columns import identity, start
from cdrctl.fetchers.portsip.requests import path_segment
from cdrctl.fetchers.portsip.settings import TITLE, PortsipSettings
from cdrctl.http import Client
from cdrctl.records.events import Event, Gap, Page, Record, check_records, pick
from cdrctl.records.readers import read_decimal
from cdrctl.windows import Window


def with_costs(client: Client, path: str, window: Window, pieces: Iterator[Event]) -> Iterator[Event]:
    """Yield the events with the cost of every record of the window, from its detail, in a copy of the record.

    A transferred call has several legs in its detail: its cost is their sum, and the billed account is the first named.
    """
    done: set[tuple[str, int]] = set()
    latest = client.clock.now() + CLOCK_TOLERANCE
    for piece in pieces:
        if not isinstance(piece, Page):
            yield piece
            continue
        records: list[Record] = []
        for record in piece.records:
            began, key = start(record), identity(record)
            if not (began is None or window.holds(began) or not possible_start(began, latest)):
                continue
            content = contents_of([record])[0]
            if (key, content) in done:
                continue
            done.add((key, content))
            try:
                records.append({**record, **_cost(_detail(client, path, _id_of(record)))})
            except ProviderError as error:
                if error.status not in {400, 404}:
                    raise
                yield Gap(f"the cost of record {key} could not be fetched: {error.message}", error.said or error.hint)
                records.append(record)
        yield Page(records, piece.context)


def _id_of(record: Record) -> str:
    key = pick(record, "id")
    if not isinstance(key, str) or not key.strip(" ."):
        raise ProviderError("it has no id", status=404)
    return key


def _cost(legs: Sequence[Record]) -> Record:
    """Return the fields of a detail that a listing lacks; those of a single leg are unchanged."""
    names = ("cost", "billed_account")
    if len(legs) == 1:
        return {name: legs[0][name] for name in names if name in legs[0]}
    costs = [leg["cost"] for leg in legs if leg.get("cost") not in (None, "")]
    accounts = [leg["billed_account"] for leg in legs if leg.get("billed_account")]
    try:
        total = format(sum((Decimal(read_decimal(cost)) for cost in costs), Decimal(0)), "f") if costs else None
    except (ValueError, ArithmeticError):
        raise ProviderError(f"{TITLE} sent an unknown response: a cost is not a number") from None
    return {"cost": total, "billed_account": accounts[0] if accounts else None}


def _detail(client: Client, path: str, key: str) -> list[Record]:
    """Return the legs of one record: in `{"items": […]}`, as one object there (a user's own call), or a flat object."""
    body = client.get(f"{path}/{path_segment(key)}").body
    if isinstance(body, dict) and "items" not in body and "started_at" in body:
        return [body]
    legs = body.get("items") if isinstance(body, dict) else None
    found = check_records([legs] if isinstance(legs, dict) else legs, "items", TITLE)
    if not found:
        raise ProviderError(f"{TITLE} has no such record: {key}", status=404)
    return found


def cdr(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Yield one call in full; a transferred call as its numbered legs."""
    legs = _detail(query.client, "/user/cdrs" if query.options["own"] else "/cdrs", query.options["id"])
    for number, leg in enumerate(legs, 1):
        yield Page([leg], {"id": query.options["id"] + (f"#{number}" if len(legs) > 1 else "")})


def calllog(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Yield one call log in full."""
    yield Page(_detail(query.client, "/calllogs", query.options["id"]))
