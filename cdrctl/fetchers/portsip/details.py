"""One call in full, and the costs of calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from cdrctl.contents import contents_of
from cdrctl.errors import CdrctlError, ProviderError, RightsError, TemporaryError
from cdrctl.fetchers import CLOCK_TOLERANCE, Query, possible_start
from cdrctl.fetchers.portsip.columns import identity, start
from cdrctl.fetchers.portsip.requests import path_segment
from cdrctl.fetchers.portsip.settings import TITLE, PortsipSettings
from cdrctl.http import Client, Request
from cdrctl.records.events import Event, Gap, Page, Record, check_records, pick
from cdrctl.records.readers import read_decimal

TRIES = 3
"""Attempts for one detail in a run of an archive, which asks again in the next run."""

FAILURES_IN_A_ROW = 20
"""Details in a row that fail temporarily, after which a run of an archive asks for no more of the window."""

NAMED = 10
"""How many records without a cost a run of an archive names for one window; the others are counted."""


def with_costs(query: Query[PortsipSettings], path: str, pieces: Iterator[Event]) -> Iterator[Event]:
    """Yield the events with the cost of every record of the window, from its detail, in a copy of the record.

    A transferred call has several legs in its detail: its cost is their sum, and the billed account is the first named.

    A query of an archive has the costs that are known already, and they are not asked for again. Its records come also
    where the PBX fails: what lacks its cost is a gap, and the next run asks for it.
    """
    window, asked = query.window, _Asked()
    done: set[tuple[str, int]] = set()
    latest = query.client.clock.now() + CLOCK_TOLERANCE
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
            known = query.known(record, piece.context) if query.known is not None else None
            if known is None:
                known, gaps = _cost_of(query, path, record, asked)
                yield from gaps
            records.append({**record, **known})
        yield Page(records, piece.context)
    if asked.unnamed:
        yield Gap(f"the costs of {asked.unnamed} more records could not be fetched", "run the command again")


class _Asked(Struct):
    """How the requests for details have gone.

    Args:
        failed: How many in a row failed temporarily.
        named: How many gaps name a record.
        unnamed: For how many further records the cost could not be fetched.
        stopped: No more details are requested.
    """

    failed: int = 0
    named: int = 0
    unnamed: int = 0
    stopped: bool = False


def _cost_of(
    query: Query[PortsipSettings], path: str, record: Record, asked: _Asked
) -> tuple[Mapping[str, Any], list[Gap]]:
    """Return the fields of a record's detail that the listing lacks; none and a gap where they cannot be fetched.

    Raises:
        CdrctlError: The PBX failed, or refused the request, and the query is not of an archive.
    """
    keeps = query.known is not None
    if asked.stopped:
        asked.unnamed += 1
        return {}, []
    try:
        found = _cost(_detail(query.client, path, _id_of(record), TRIES if keeps else None))
    except ProviderError as error:
        if not keeps and error.status not in {400, 404}:
            raise
        failed: CdrctlError = error
    except (TemporaryError, RightsError) as error:
        if not keeps:
            raise
        asked.failed += 1
        told_to_wait = isinstance(error, TemporaryError) and (error.wait is not None or error.status == 429)
        asked.stopped = told_to_wait or isinstance(error, RightsError) or asked.failed >= FAILURES_IN_A_ROW
        failed = error
    else:
        asked.failed = 0
        return found, []
    if keeps and asked.named >= NAMED and not asked.stopped:
        asked.unnamed += 1
        return {}, []
    asked.named += 1
    what = f"the cost of record {identity(record)} could not be fetched: {failed.message}"
    return {}, [Gap(what, failed.said or failed.hint)]


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
        raise ProviderError(
            f"{TITLE} sent an unknown response: a cost is not a number",
            hint="the API may have changed: update cdrctl, or report it",
        ) from None
    return {"cost": total, "billed_account": accounts[0] if accounts else None}


def _detail(client: Client, path: str, key: str, tries: int | None = None) -> list[Record]:
    """Return the legs of one record: in `{"items": […]}`, as one object there (a user's own call), or a flat object."""
    body = client.ask(Request("GET", client.at(f"{path}/{path_segment(key)}")), tries=tries).body
    if isinstance(body, dict) and "items" not in body and "started_at" in body:
        return [body]
    legs = body.get("items") if isinstance(body, dict) else None
    found = check_records([legs] if isinstance(legs, dict) else legs, "items", TITLE)
    if not found:
        raise ProviderError(
            f"{TITLE} has no such record: {key}", hint="find the id in the column id of the listing", status=404
        )
    return found


def cdr(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Yield one call in full; a transferred call as its numbered legs."""
    legs = _detail(query.client, "/user/cdrs" if query.options["own"] else "/cdrs", query.options["id"])
    for number, leg in enumerate(legs, 1):
        yield Page([leg], {"id": query.options["id"] + (f"#{number}" if len(legs) > 1 else "")})


def calllog(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Yield one call log in full."""
    yield Page(_detail(query.client, "/calllogs", query.options["id"]))
