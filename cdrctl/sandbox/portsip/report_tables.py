"""The file of a call report. PortSIP does not publish its columns; these are invented."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from cdrctl.sandbox.exchange.parties import ATTENDANT, HUNT_GROUP, PEOPLE, QUEUE, Call
from cdrctl.sandbox.portsip.calls import cost_of, direction_of
from cdrctl.sandbox.portsip.fields import Row
from cdrctl.sandbox.portsip.requests import INT32
from cdrctl.sandbox.portsip.rows import row_of
from cdrctl.sandbox.portsip.state import PBX
from cdrctl.sandbox.portsip.store import visible_records
from cdrctl.sandbox.portsip.times import MICRO, Span, read_time

LARGEST_REPORT = 20_000
"""The most calls that a NORMAL report holds."""

_NORMAL_COLUMNS = ("Start Time", "Caller", "Callee", "Answer Time", "End Time", "Status", "Ring", "Talk", "Trunk")
_EXTENSIONS = frozenset(party.extension for party in (*PEOPLE, QUEUE, HUNT_GROUP, ATTENDANT))


def report_file(pbx: PBX, body: Row, span: Span, ran: int) -> bytes:
    """Return the file of a report that ran at `ran`, Unix milliseconds, in the format that its body names."""
    table = _table(pbx, body, span, ran)
    if body["format"] == "HTML":
        return _write_html(body["name"], table)
    out = io.StringIO(newline="")
    csv.writer(out).writerows(table)
    return out.getvalue().encode()


def _write_html(name: str, table: Sequence[Sequence[Any]]) -> bytes:
    cells = "".join(f"<tr>{''.join(f'<td>{escape(str(value))}</td>' for value in row)}</tr>\n" for row in table[1:])
    head = "".join(f"<th>{escape(str(value))}</th>" for value in table[0])
    page = f"<html><head><meta charset='utf-8'><title>{escape(name)}</title></head><body><table>\n"
    return f"<!DOCTYPE html>\n{page}<tr>{head}</tr>\n{cells}</table></body></html>\n".encode()


def _table(pbx: PBX, body: Row, span: Span, ran: int) -> list[list[Any]]:
    wanted, kind = body["filter"], body["type"]
    records = [one for one in visible_records(pbx, "cdrs", span, "") if one.seen <= ran]
    pairs = [(one.call, row_of(pbx, one)) for one in records]
    if kind == "NORMAL":
        return _normal_table([row for _, row in pairs if _passes(row, wanted)][:LARGEST_REPORT])
    if kind == "EXTENSION_GROUP_CALL_COST":
        return _cost_table(call for call, _ in pairs)
    group = HUNT_GROUP if kind == "RING_GROUP_STATISTICS" else QUEUE
    numbers = wanted.get("ring_groups") or wanted.get("call_queues") or [group.extension]
    shortest = 0
    if wanted.get("enable_exclude_calls_dropped_before_seconds"):
        shortest = wanted.get("exclude_calls_dropped_before_seconds", 0)
    calls = [
        (call, row)
        for call, row in pairs
        if call.kind == group.kind and not (call.outcome == "abandoned" and row["duration"] < shortest)
    ]
    if kind == "QUEUE_ABANDONED_CALLS":
        return _normal_table([row for call, row in calls if call.outcome == "abandoned" and row["callee"] in numbers])
    return _group_table(numbers, calls)


def _normal_table(rows: Sequence[Row]) -> list[list[Any]]:
    table: list[list[Any]] = [list(_NORMAL_COLUMNS)]
    for row in rows:
        answered = read_time(row["answered_at"] or "") is not None
        status, answer = ("Answered", row["answered_at"]) if answered else ("Not answered", "")
        times = row["started_at"], row["caller"], row["callee"], answer, row["ended_at"]
        table.append([*times, status, _ring_seconds(row), row["duration"], row["trunk"] or ""])
    return table


def _ring_seconds(row: Row) -> int:
    rang = read_time(row["rang_at"] or "")
    until = read_time(row["answered_at"] or "") or read_time(row["ended_at"]) or 0
    return 0 if rang is None else (until - rang) // MICRO


def _passes(row: Row, wanted: Row) -> bool:
    """Return whether a call passes the filter of a NORMAL report."""
    for side, column in (("from", "caller"), ("to", "callee")):
        if not _is_party(row[column] or "", wanted.get(side, "ANY"), wanted.get(f"{side}_value", "")):
            return False
    state = wanted.get("answer_state", "ANY")
    if state != "ANY" and (state == "ANSWERED") != (read_time(row["answered_at"] or "") is not None):
        return False
    measure = wanted.get("duration", "ANY")
    if measure == "ANY":
        return True
    seconds = _ring_seconds(row) if measure == "RING_DURATION" else row["duration"]
    return bool(wanted.get("duration_from", 0) <= seconds <= wanted.get("duration_to", INT32))


def _is_party(number: str, kind: str, value: str) -> bool:
    inside = number in _EXTENSIONS
    if kind == "EXTENSION_OR_EXTENSION_RANGE":
        first, _, last = value.partition("-")
        return inside and int(first) <= int(number) <= int(last or first)
    tests = {
        "ANY": True,
        "NUMBER": number == value,
        "NUMBERS_START_WITH": number.startswith(value),
        "NUMBERS_CONTAIN": value in number,
        "INTERNAL_EXTENSIONS": inside,
        "EXTERNAL_NUMBERS": not inside,
    }
    return tests[kind]


def _cost_table(calls: Iterable[Call]) -> list[list[Any]]:
    spent: dict[str, tuple[int, float]] = {}
    for call in calls:
        if direction_of(call) == "outbound":
            extension = call.legs[0].party.extension
            many, cost = spent.get(extension, (0, 0.0))
            spent[extension] = many + 1, cost + cost_of(call)
    return [["Extension", "Calls", "Cost"], *([name, many, f"{cost:.2f}"] for name, (many, cost) in spent.items())]


def _group_table(numbers: Sequence[str], calls: Sequence[tuple[Call, Row]]) -> list[list[Any]]:
    table: list[list[Any]] = [["Number", "Calls", "Answered", "Abandoned", "Talk"]]
    for number in numbers:
        own = [(call, row) for call, row in calls if row["callee"] == number]
        gone = sum(call.outcome == "abandoned" for call, _ in own)
        talked = sum(row["duration"] for call, row in own if call.outcome != "abandoned")
        table.append([number, len(own), len(own) - gone, gone, talked])
    return table
