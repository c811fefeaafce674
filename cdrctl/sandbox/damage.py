"""Damage that real services do to the JSON they send: text in another encoding, huge numbers, deep nesting.

Public reports: signalwire/freeswitch#238 and #324, mikopbx/Core#399 and 2600hz/kazoo#5419 (bytes that are not UTF-8),
Necmttn/ax#906 (lone surrogates).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cdrctl.sandbox.wire import Reply, Switch, dump

_SENTINEL = "@the damage@"

TEXTS: dict[str, bytes] = {
    "bad_byte": b'"Ren\xf9"',
    "cut_character": b'"Jos\xc3"',
    "lone_surrogate": b'"\\ud83d lone"',
    "deep": b"[" * 201 + b"]" * 201,
}
"""The replacements of a name."""

NUMBERS: dict[str, bytes] = {"huge_integer": b"9" * 5000}
"""The replacements of a duration."""

_NAMES = (
    "User",
    "callee_id_name",
    "employee_full_name",
    "scenario_operations",
    "callee_display_name",
    "UserName",
    "source",
)
_DURATIONS = ("Duration", "duration_seconds", "total_duration", "duration")

DAMAGE = Switch("none", (*TEXTS, *NUMBERS), meaning="damage in the JSON of about every third record")


def damage(kind: str, reply: Reply) -> Reply:
    """Return a reply with damaged records: the same records in every reply."""
    if kind == "none":
        return reply
    try:
        document = json.loads(reply.body)
    except ValueError:
        return reply
    keys, bad = (_NAMES, TEXTS[kind]) if kind in TEXTS else (_DURATIONS, NUMBERS[kind])
    hit = False
    for record in _records(document):
        key = next((key for key in keys if key in record), None)
        if key is not None and is_damaged(record):
            record[key] = _SENTINEL
            hit = True
    return replace(reply, body=dump(document).replace(b'"%b"' % _SENTINEL.encode(), bad)) if hit else reply


def is_damaged(record: dict[str, Any]) -> bool:
    """Return whether a record is one of the damaged ones."""
    return zlib.crc32(dump(record)) % 3 == 0


def _records(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects in the first lists of a document, or the document itself if it is one record."""
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, dict))
    elif isinstance(value, dict):
        inner = [one for one in value.values() if isinstance(one, dict | list)]
        if any(key in value for key in (*_NAMES, *_DURATIONS)):
            yield value
            return
        for one in inner:
            yield from _records(one)
