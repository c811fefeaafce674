"""Lists of CDRs, call logs and recordings."""

from __future__ import annotations

from collections.abc import Sequence

from cdrctl.sandbox.exchange.clock import digest
from cdrctl.sandbox.portsip.fields import CALLLOG_KEYS, CDR_KEYS, RECORDING_KEYS
from cdrctl.sandbox.portsip.filter_language import ALWAYS, sort_key
from cdrctl.sandbox.portsip.queries import LARGEST_PAGE, Query, page_reply, read_query
from cdrctl.sandbox.portsip.records import Record
from cdrctl.sandbox.portsip.requests import RefusedError
from cdrctl.sandbox.portsip.rows import row_of
from cdrctl.sandbox.portsip.state import PBX, SelectedRecords
from cdrctl.sandbox.portsip.store import oldest_start, visible_records
from cdrctl.sandbox.wire import Reply, Request


def list_records(pbx: PBX, request: Request, kind: str, user: str) -> Reply:
    """Answer a list of calls or recordings; without an order, the newest come first, as in real answers."""
    recordings = kind == "recordings"
    largest = LARGEST_PAGE if recordings else int(pbx.switched["top_max"])
    ignores = pbx.switched["query"] == "ignored" and not recordings
    query = read_query(pbx, request, _fields(pbx, kind), largest, ignores=ignores)
    span = query.condition.span if query.condition else ALWAYS
    if span[0] != ALWAYS[0] and span[0] < oldest_start(pbx) and pbx.switched["lookback"] == "400":
        raise RefusedError("filter")
    visible = visible_records(pbx, kind, span, user)
    asked = kind, user, span, request.values.get("filter"), query.order, query.search, ignores
    key = (*asked, len(visible), *pbx.switched.values())
    if pbx.selected.key != key or pbx.switched["dropped"] != "0":
        pbx.selected = SelectedRecords(key, _select(pbx, visible, query))
    found = _without_growth(pbx, pbx.selected.records, request)
    page = found[query.skip : query.skip + query.top]
    return page_reply(pbx, query, [row_of(pbx, one) for one in page], len(found))


def _select(pbx: PBX, records: Sequence[Record], query: Query) -> Sequence[Record]:
    """Return the records that pass filter and search, in the requested order."""
    found = records
    if (query.condition and not query.condition.exact) or query.search:
        found = [one for one in records if query.selects(row_of(pbx, one))]
    if not query.order:
        return found[::-1]
    if query.order in ([("started_at", False)], [("started_at", False), ("id", False)]):
        return found
    keyed = [(row_of(pbx, one), one) for one in found]
    for name, descending in reversed(query.order):
        keyed.sort(key=lambda pair: sort_key(pair[0], name), reverse=descending)
    return [one for _, one in keyed]


def _without_growth(pbx: PBX, records: Sequence[Record], request: Request) -> Sequence[Record]:
    """Return the records that have appeared: `grow` calls appear after each of the first three pages."""
    grow = int(pbx.switched["grow"])
    if not grow:
        return records
    key = request.path, request.values.get("filter", "")
    pages = pbx.pages_read.get(key, 0)
    pbx.pages_read[key] = pages + 1
    missing = min(grow * max(0, 3 - pages), len(records) // 2)
    away = {one.number for one in sorted(records, key=lambda one: digest("late", one.number))[:missing]}
    return [one for one in records if one.number not in away]


def _fields(pbx: PBX, kind: str) -> tuple[str, ...]:
    if kind == "recordings":
        return RECORDING_KEYS
    keys = CALLLOG_KEYS if kind == "calllogs" else CDR_KEYS
    return keys[:-2] if pbx.switched["version"] == "16" else keys
