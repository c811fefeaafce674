"""Readers of Voicenter records and notifications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cdrctl.fetchers.voicenter import PROVIDER
from cdrctl.records.events import Page
from cdrctl.records.schemas import common


def warned(text: str) -> None:
    assert "does not know" in text, text


def commons(records: Sequence[dict[str, Any]], call: str = "cdrs", **context: str) -> list[dict[str, Any]]:
    found = PROVIDER.call(call)
    assert found.common is not None
    schema = common(found.columns, found.common, None, warned, provider="voicenter", profile="acme")
    assert schema.columns is not None
    names = [column.name for column in schema.columns]
    return [dict(zip(names, row, strict=True)) for row in schema.rows(Page([*records], context))]


def one(**fields: Any) -> dict[str, Any]:
    """Return the common CDR of one record."""
    return commons([{"CallID": "c", "Date": "2026-11-18T09:00:00Z", **fields}])[0]


def push(**fields: Any) -> dict[str, Any]:
    """Return the common CDR of one notification."""
    return commons([{"ivruniqueid": "c", "time": 1536855354, **fields}], "notifications")[0]
