"""Faults of the records themselves that any provider may have: starts in the future, and ids that are wrong or change.

They change records after the query, so that filters and pages are not affected.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cdrctl.sandbox.exchange.clock import delay, digest, uuid_text
from cdrctl.sandbox.wire import Reply, Switch, dump

_Doc = dict[str, Any]

SWITCHES: dict[str, Switch] = {
    "future": Switch("0", (), r"0|1|0?\.\d+", "a share such as 0.05", "share of records with a start 56 years late"),
    "same_id": Switch("off", ("on",), meaning="records of calls that start in one minute have the same id"),
    "renumbered": Switch(
        "0", (), r"0|1|0?\.\d+", "a share such as 0.05", "share of records whose id changes hours after the call"
    ),
}

_YEARS = 56
"""A multiple of four, so that 29 February exists."""

_SECONDS = (56 * 365 + 14) * 86_400


@dataclass(frozen=True, slots=True)
class _Form:
    """Where a response has its records, and their ids and starts; `instead` distinguishes records without an id."""

    path: tuple[str, ...]
    id: str
    start: str
    epochs: tuple[str, ...] = ()
    instead: str = ""


_FORMS: Mapping[str, _Form] = {
    "webex": _Form(("items",), "Report ID", "Start time"),
    "kazoo": _Form(("data",), "id", "iso_8601_combined", ("unix_timestamp", "unix_timestamp_micro", "timestamp")),
    "callgear": _Form(("result", "data"), "id", "start_time", instead="leg_id"),
    "portsip": _Form(("items",), "id", "started_at"),
    "voicenter": _Form(("CDR_LIST",), "CallID", "Date", ("DateEpoch",), "RecordURL"),
}


def change_reply(provider: str, reply: Reply, switched: Mapping[str, str], now: datetime) -> Reply:
    """Return a reply with its records changed; one without records is unchanged."""
    if not _any_switch_on(switched):
        return reply
    try:
        document = json.loads(reply.body)
    except ValueError:
        return reply
    return replace(
        reply,
        body=dump(
            _change_inside(document, _FORMS[provider].path, lambda record: _record(provider, record, switched, now))
        ),
    )


def change_records(provider: str, records: list[_Doc], switched: Mapping[str, str], now: datetime) -> list[_Doc]:
    """Return records changed by the switches."""
    return [_record(provider, record, switched, now) for record in records] if _any_switch_on(switched) else records


def _any_switch_on(switched: Mapping[str, str]) -> bool:
    return any(switched[name] != known.default for name, known in SWITCHES.items())


def _change_inside(document: Any, path: tuple[str, ...], change: Callable[[_Doc], _Doc]) -> Any:
    if path and isinstance(document, dict):
        wanted = path[0].casefold()
        return {
            key: _change_inside(value, path[1:], change) if key.casefold() == wanted else value
            for key, value in document.items()
        }
    if isinstance(document, list):
        return [change(one) if isinstance(one, dict) else one for one in document]
    return document


def _record(provider: str, record: _Doc, switched: Mapping[str, str], now: datetime) -> _Doc:
    form = _FORMS[provider]
    names = {key.casefold(): key for key in record}
    key, start = names.get(form.id.casefold()), names.get(form.start.casefold())
    if start is None or not isinstance(record[start], str):
        return record
    if _is_renumbered(switched["renumbered"], record, record[key] if key else None, record[start], now):
        record = _with_new_id(provider, record, key or names.get(form.instead.casefold()))
    if key is None:
        return record
    epochs = [names[name.casefold()] for name in form.epochs if name.casefold() in names]
    changed = dict(record)
    if switched["same_id"] == "on":
        minute = record[start][:16]
        changed[key] = _id(provider, record[key], minute)
    if delay(switched["future"], "future", str(record[key])):
        changed[start] = f"{int(changed[start][:4]) + _YEARS}{changed[start][4:]}"
        changed |= {name: _later(changed[name]) for name in epochs}
    return changed


def _is_renumbered(share: str, record: _Doc, known: Any, start: str, now: datetime) -> bool:
    """Return whether a record has another id by now, as a share of the records has 4 to 24 hours after the call.

    The zone of the start is ignored: such precision is not needed.
    """
    wait = delay(share, "renumbered", f"{start} {known or dump(record).decode()}")
    if not wait:
        return False
    at = datetime.fromisoformat(start[:19]).replace(tzinfo=UTC)
    return at + timedelta(hours=4, milliseconds=wait) <= now


def _with_new_id(provider: str, record: _Doc, key: str | None) -> _Doc:
    """Return a record with another id or, if it has none, with another value in the field that identifies it."""
    if key is None:
        return record
    if key.casefold() == "recordurl":
        return record | {key: f"{record[key]}?again"}
    return record | {key: _id(provider, record[key], f"again {record[key]}")}


def _id(provider: str, given: Any, minute: str) -> Any:
    if provider == "webex":
        return uuid_text(4, "same", minute)
    if provider == "callgear":
        return int(digest("same", minute)[:12], 16)
    if provider == "portsip":
        return str(10**17 + int(digest("same", minute)[:12], 16))
    return f"{str(given)[:7]}{digest('same', minute)[:20]}"


def _later(value: Any) -> Any:
    if isinstance(value, int):
        return value + _SECONDS
    whole, dot, rest = str(value).partition(".")
    return f"{int(whole) + _SECONDS}{dot}{rest}"
