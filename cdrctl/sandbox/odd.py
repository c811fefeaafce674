"""Faults of the records themselves that any provider may have: starts in the future, and one id for several records.

Both change records on their way out, so that what is asked for and how it is paged stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cdrctl.sandbox.exchange import delay, digest, uuid_text
from cdrctl.sandbox.wire import Reply, Switch, dumped

SWITCHES: dict[str, Switch] = {
    "future": Switch(
        "0", (), r"0|1|0?\.\d+", "a share such as 0.05", "share of records whose start is shown 56 years later"
    ),
    "same_id": Switch("off", ("on",), meaning="records of calls that start in one minute have one id"),
}

_YEARS = 56
"""A multiple of four: 29 February stays a day."""

_SECONDS = (56 * 365 + 14) * 86_400


@dataclass(frozen=True, slots=True)
class _Form:
    """Where the records of a provider are, and what their ids and starts are called."""

    path: tuple[str, ...]
    id: str
    start: str
    epochs: tuple[str, ...] = ()


_FORMS: Mapping[str, _Form] = {
    "webex": _Form(("items",), "Report ID", "Start time"),
    "kazoo": _Form(("data",), "id", "iso_8601_combined", ("unix_timestamp", "unix_timestamp_micro", "timestamp")),
    "callgear": _Form(("result", "data"), "id", "start_time"),
    "portsip": _Form(("items",), "id", "started_at"),
    "voicenter": _Form(("CDR_LIST",), "CallID", "Date", ("DateEpoch",)),
}


def changed_reply(provider: str, reply: Reply, switched: Mapping[str, str]) -> Reply:
    """Return an answer with its records changed; an answer without records as it is."""
    if not _on(switched):
        return reply
    try:
        document = json.loads(reply.body)
    except ValueError:
        return reply
    return replace(reply, body=dumped(_inside(document, _FORMS[provider].path, provider, switched)))


def changed_records(provider: str, records: list[dict[str, Any]], switched: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return records as the switches have them."""
    return [_record(provider, record, switched) for record in records] if _on(switched) else records


def _on(switched: Mapping[str, str]) -> bool:
    return any(switched[name] != known.default for name, known in SWITCHES.items())


def _inside(document: Any, path: tuple[str, ...], provider: str, switched: Mapping[str, str]) -> Any:
    if path and isinstance(document, dict):
        wanted = path[0].casefold()
        return {
            key: _inside(value, path[1:], provider, switched) if key.casefold() == wanted else value
            for key, value in document.items()
        }
    if isinstance(document, list):
        return [_record(provider, one, switched) if isinstance(one, dict) else one for one in document]
    return document


def _record(provider: str, record: dict[str, Any], switched: Mapping[str, str]) -> dict[str, Any]:
    form = _FORMS[provider]
    names = {key.casefold(): key for key in record}
    key, start = names.get(form.id.casefold()), names.get(form.start.casefold())
    if key is None or start is None or not isinstance(record[start], str):
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
