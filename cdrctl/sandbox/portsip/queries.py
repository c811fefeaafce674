"""The query options that every list has, and the page that answers them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cdrctl.sandbox.portsip.answers import json_reply
from cdrctl.sandbox.portsip.fields import Row
from cdrctl.sandbox.portsip.filter_language import Condition, parse_filter, parse_order
from cdrctl.sandbox.portsip.requests import INT32, RefusedError, read_number
from cdrctl.sandbox.portsip.state import PBX
from cdrctl.sandbox.wire import Reply, Request

LARGEST_PAGE = 100
"""The largest `top` of most lists, and the size of a page without `top`."""


@dataclass(frozen=True, slots=True)
class Query:
    """The query options of a list."""

    condition: Condition | None
    order: list[tuple[str, bool]]
    top: int
    skip: int
    count: bool
    search: str

    def selects(self, row: Row) -> bool:
        """Return whether a row passes the filter and the search, which looks for a text in every text field."""
        if self.condition and not self.condition.holds(row):
            return False
        return not self.search or any(
            isinstance(value, str) and self.search in value.casefold() for value in row.values()
        )


def read_query(pbx: PBX, request: Request, fields: Sequence[str], largest: int, *, ignores: bool) -> Query:
    """Return the query options; `ignores` passes over filter, search and orderby, as some releases may."""
    values = request.values
    top = read_number(values.get("top"), "top", 1, largest, LARGEST_PAGE)
    skip = read_number(values.get("skip"), "skip", 0, INT32, 0)
    if values.get("count", "true") not in {"true", "false"}:
        raise RefusedError("count")
    count = values.get("count") == "true"
    skip = max(0, skip - int(pbx.switched["skip"]))
    if ignores:
        return Query(None, [], top, skip, count, "")
    condition = None
    if values.get("filter", "").strip():
        condition = parse_filter(values["filter"], fields, pbx.switched["bounds"])
    order = parse_order(values["orderby"], fields) if values.get("orderby", "").strip() else []
    return Query(condition, order, top, skip, count, values.get("search", "").casefold())


def page_reply(pbx: PBX, query: Query, rows: Sequence[Row], count: int) -> Reply:
    """Return a page; `count` is the number of items of the whole list."""
    shown = pbx.switched["count"] == "always" or (pbx.switched["count"] == "asked" and query.count)
    totals = {
        "right": count,
        "zero": 0,
        "page": len(rows),
        "half": count // 2,
        "shrinking": max(0, count - query.skip),
        "true": True,
        "negative": -1,
    }
    items = None if not rows and pbx.switched["no_items"] == "null" else list(rows)
    return json_reply(200, ({"count": totals[pbx.switched["total"]]} if shown else {}) | {"items": items})
