"""One report of an account: which fields, filter and order are requested, and one page of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from msgspec import Struct, field

from cdrctl.errors import UsageError
from cdrctl.fetchers import Query
from cdrctl.fetchers.callgear.account import Account, metadata_of
from cdrctl.fetchers.callgear.answers import UnknownParameterError
from cdrctl.fetchers.callgear.columns import CALL_COLUMNS, LEG_COLUMNS
from cdrctl.fetchers.callgear.fields import CALLS, LEGS, Field
from cdrctl.fetchers.callgear.filters import filter_tree, sorting
from cdrctl.fetchers.callgear.settings import TITLE, CallGearSettings
from cdrctl.http import Total, read_total
from cdrctl.records.batches import key_columns
from cdrctl.records.columns import keys_of
from cdrctl.records.events import Record, check_records

LARGEST_PAGE = 10_000
"""The largest `limit` ("Paging")."""


class Report(Struct):
    """One report of one account in one run, and what was learnt while reading it.

    Args:
        method: The method of the API.
        params: The parameters of every request, in addition to window, order and page.
        fields: The fields to request; empty for the service's own choice.
        fewer: Those of them that all documentation has; the others are doubtful.
        sort: The sort order.
        identity: From a record to its id.
        zone: The zone of the account's times.
        context: What a record's columns need to know besides the record.
        read_until: Every record that started before has been read.
        by_end: Whether a record proved that the service selects calls by their end.
        doubted: Whether the user was warned that totals are wrong.
        by_column: Whether its records may be read by column.
        keys: The keys of all fields, if its records may be read by column.
    """

    account: Account
    method: str
    params: Mapping[str, Any]
    fields: Sequence[str]
    fewer: Sequence[str]
    sort: Sequence[Mapping[str, str]]
    page_size: int
    identity: Callable[[Record], str]
    zone: tzinfo = UTC
    context: Mapping[str, str] = field(default_factory=dict)
    read_until: datetime | None = None
    by_end: bool = False
    doubted: bool = False
    by_column: bool = False
    keys: Sequence[str] = ()

    def doubt(self) -> None:
        """Warn, once, that the totals of this listing are wrong."""
        if not self.doubted:
            self.doubted = True
            self.account.client.log(
                "warning",
                f"the totals that {TITLE} sends with {self.method} are wrong: reading pages until an empty one",
            )

    def page(
        self, span: Mapping[str, str], offset: int, *, first: bool = False, listed: bool = True
    ) -> tuple[Sequence[Record], int | None]:
        """Return one page and the total that came with it.

        With `first`, the page is the earliest record alone; without `listed`, the service chooses the fields.
        """
        while True:
            params: dict[str, Any] = {
                **span,
                **self.params,
                "limit": 1 if first else self.page_size,
                "offset": offset,
                "sort": BY_START if first else self.sort,
            }
            if self.fields and listed:
                params["fields"] = list(self.fields)
            try:
                result = self.account.ask(self.method, params, by_column=self.by_column and listed and not first)
            except UnknownParameterError as unknown:
                if not listed or not self.leave_out(unknown):
                    raise
            else:
                total = _total(result)
                if total.wrong:
                    self.doubt()
                data: Any = result.get("data")
                return data if key_columns(data) is not None else check_records(data, "data", TITLE), total.rows

    def leave_out(self, unknown: UnknownParameterError) -> bool:
        """Request fewer fields from now on, if the unknown parameter may be a field; return whether it may.

        A brand of the service may lack a field, and whether its error names the field is not published.
        """
        refused = [name for name in unknown.names if name in self.fields]
        if set(refused) & {"id", "start_time"} or not self.fields:
            return False
        if refused:
            self.fields = [name for name in self.fields if name not in refused]
        elif "fields" in unknown.names:
            self.fields = ()
        elif unknown.names:
            return False  # it is not a field
        else:  # the doubtful ones one by one, then all: refusals cost no points
            doubtful = [name for name in self.fields if name not in self.fewer]
            refused = sorted(doubtful, key=lambda name: name not in _MOST_DOUBTFUL)[:1]
            self.fields = [name for name in self.fields if name not in refused] if refused else ()
        what = ", ".join(refused) or "these fields"
        self.account.client.log("note", f"{TITLE} does not know {what}: left out of the request")
        return True


_MOST_DOUBTFUL = frozenset({"wav_call_records", "utm_referrer"})
"""Fields that are left out first if an error names none: few accounts have them."""

BY_START = ({"field": "start_time", "order": "asc"},)


def _total(result: Mapping[str, Any]) -> Total:
    return read_total(metadata_of(result).get("total_items"))


def report_of(
    query: Query[CallGearSettings],
    method: str,
    fields: Sequence[Field],
    identity: Callable[[Record], str],
    account: Account | None = None,
) -> Report:
    """Return the report that the options describe, of a new account or of one that had requests before.

    Raises:
        UsageError: The service would refuse them.
    """
    account, options = account or Account(query.client, query.settings), query.options
    size = options["page_size"]
    if not 1 <= size <= LARGEST_PAGE:
        raise UsageError(
            f"--page-size {size} is not a number from 1 to {LARGEST_PAGE}", hint="leave it out for the usual size"
        )
    known = fields
    tree = filter_tree(known, options["filter"])
    chosen = set(query.fields or ())
    if chosen and "extra" not in chosen:  # only these, and those of identity and start
        needed = chosen | {"id", "call_session_id", "start_time"}
        fields = [one for one in fields if one.name in needed]
    columns = {LEGS: LEG_COLUMNS, CALLS: CALL_COLUMNS}.get(tuple(known), ())
    return Report(
        account=account,
        method=method,
        params={**account.of_customer, **({"filter": tree} if tree else {})},
        fields=[one.name for one in fields],
        fewer=[one.name for one in fields if not one.later],
        sort=sorting(known, options["orderby"]),
        page_size=size,
        identity=identity,
        by_column=bool(columns),
        keys=keys_of(columns),
    )
