"""The three reports: sorted rows of a window, in pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cdrctl.sandbox.callgear.errors import RefusedError
from cdrctl.sandbox.callgear.fields import COST_FIELDS, REPORTS, Record, pick
from cdrctl.sandbox.callgear.metadata import total_items
from cdrctl.sandbox.callgear.parameters import Selection, check_parameters, read_page, read_selection, read_window
from cdrctl.sandbox.callgear.records import record_of
from cdrctl.sandbox.callgear.rows import Row, rows_between
from cdrctl.sandbox.callgear.sorting import sort_rows
from cdrctl.sandbox.callgear.state import Customer, State
from cdrctl.sandbox.exchange.clock import DAY, SECOND, digest
from cdrctl.sandbox.wire import dump


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """A request for a report, with its parameters checked.

    `window` is in seconds on the account's clock. `key` is the same for all pages of one listing.
    """

    method: str
    customer: Customer
    window: tuple[int, int]
    selection: Selection
    offset: int
    limit: int
    names_fields: bool
    ongoing: bool
    key: str


def read_report_request(state: State, method: str, params: Record, customer: Customer | None) -> ReportRequest:
    """Check the parameters of a report."""
    if customer is None:
        raise RefusedError("required_parameter_missed", field="user_id")
    check_parameters(state.switched, method, params)
    selection = read_selection(state.switched, params, REPORTS[method][1])
    offset, limit = read_page(params)
    window = read_window(params)
    kept = {name: value for name, value in params.items() if name not in {"access_token", "limit", "offset"}}
    key = dump([method, customer.id, kept]).decode()
    ongoing = params.get("include_ongoing_calls", False)
    names_fields = bool(params.get("fields"))
    return ReportRequest(method, customer, window, selection, offset, limit, names_fields, ongoing, key)


class Reports:
    """Answers requests for reports, and keeps the state of earlier requests: pages sent, rows added meanwhile."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._pages = 0
        self._grown: dict[tuple[str, ...], int] = {}
        self._last: tuple[tuple[object, ...], list[Row]] = ((), [])

    def answer(self, asked: ReportRequest) -> tuple[Any, Record]:
        """Answer one page of a report: its records and its metadata."""
        switched = self._state.switched
        rows = self._without_growth(asked, self._found(asked))
        self._pages += 1
        page = rows[asked.offset : asked.offset + asked.limit]
        short = switched["short_page"]
        if short != "off" and self._pages % 2:
            page = page[: max(1, len(page) - int(short))]
        records = [pick(record_of(self._state, asked.method, row), asked.selection.fields) for row in page]
        has_new_field = REPORTS[asked.method][1] is not COST_FIELDS and not asked.names_fields
        if switched["new_field"] == "on" and has_new_field:
            records = [record | {"speech_score": row.id % 5} for record, row in zip(records, page, strict=True)]
        return records, total_items(switched, len(rows), asked.offset, len(page)) | {"version": None}

    def _found(self, asked: ReportRequest) -> list[Row]:
        """Return the rows of the window that exist by now, in the requested order."""
        state = self._state
        now = state.time
        known = (asked.key, *state.switched.values())
        if self._last[0] == known:
            return self._move_ties(asked, self._last[1])
        rows, complete = [], True
        for row in _rows_in_window(state, asked):
            if row.seen <= now or (asked.ongoing and row.call.start <= now < row.call.end):
                rows.append(row)
            complete = complete and row.seen <= now
        rows = _in_order(state, asked, rows)
        if complete and state.switched["dropped"] == "0":
            # Nothing more can enter this window or leave it, so its other pages need no new search.
            self._last = known, rows
        return self._move_ties(asked, rows)

    def _move_ties(self, asked: ReportRequest, rows: list[Row]) -> list[Row]:
        """Put rows of one second in another order at each request, if that is switched on."""
        if self._state.switched["ties"] != "moving":
            return rows
        order = asked.selection.order
        down = bool(order) and order[0][1]
        turn = self._pages
        return sorted(rows, key=lambda row: (-row.start if down else row.start, digest(row.id, turn)))

    def _without_growth(self, asked: ReportRequest, rows: list[Row]) -> list[Row]:
        """Leave out the rows that the switch `grow` adds later: the earliest, so that later rows move back.

        The first page of a window lacks all the rows that its further pages add; the last page lacks none.
        """
        step = int(self._state.switched["grow"])
        if not step:
            return rows
        key = (asked.key, self._state.switched["grow"])
        times = self._grown.get(key, 0)
        self._grown[key] = times + 1
        missing = step * max(0, -(-len(rows) // asked.limit) - 1 - times)
        return rows[missing:]


def _rows_in_window(state: State, asked: ReportRequest) -> Iterator[Row]:
    """Yield the rows that the bounds select, whether they exist yet or not."""
    lo, hi = asked.window
    bounds = state.switched["bounds"]
    reading = state.switched["double_hour"]
    finish = state.switched["window_on"] == "finish"
    begin, end = lo, hi
    if reading != "both":
        begin, end = (state.local_time.instant(one, int(reading == "second")) for one in asked.window)
    begin, end = begin + int(bounds in {"open_low", "open"}), end - int(bounds in {"half_open", "open"})
    # An instant differs from the clock's seconds by the zone's offset at most.
    first = (lo - DAY // SECOND) * SECOND - (asked.customer.exchange.longest if finish else 0)
    for row in rows_between(state, asked.method, asked.customer, first, hi * SECOND + DAY):
        key = row.end if finish else row.start
        if begin <= (state.local_time.local(key) if reading == "both" else key) <= end:
            yield row


def _in_order(state: State, asked: ReportRequest, rows: list[Row]) -> list[Row]:
    """Filter and sort rows; without a sort they come by start and id."""
    condition, order = asked.selection.condition, asked.selection.order
    rows = sorted(rows, key=lambda row: (row.start, row.id))
    if condition is not None:
        rows = [row for row in rows if condition(record_of(state, asked.method, row))]
    if not order:
        return rows
    if all(name == "start_time" for name, _ in order):
        return sorted(rows, key=lambda row: row.start, reverse=order[0][1])
    return sort_rows(rows, order, lambda row, name: record_of(state, asked.method, row)[name])
