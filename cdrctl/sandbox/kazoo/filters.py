"""The documents and columns that a query selects: the filters of crossbar_filter.erl, and `fields` of 5.x."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cdrctl.sandbox.kazoo.documents import Doc, StoredDocument

_FILTERS = ("filter_", "has_key", "key_missing", "has_value", "value_missing")


def passes_filters(stored: StoredDocument, asked: Mapping[str, str]) -> bool:
    """Return whether a document passes every filter of the query."""
    if not any(name.startswith(_FILTERS) for name in asked):
        return True  # modified_from and modified_to alone do not filter
    doc = stored.doc
    for name, wanted in asked.items():
        if name.startswith("filter_not_"):
            ok = not _is_one_of(_text_of(_value_at(doc, name.removeprefix("filter_not_"))), wanted)
        elif name.startswith("filter_"):
            ok = _is_one_of(_text_of(_value_at(doc, name.removeprefix("filter_"))), wanted)
        elif name == "has_key":
            ok = _value_at(doc, wanted) is not None
        elif name == "key_missing":
            ok = _value_at(doc, wanted) is None
        elif name == "has_value":
            ok = _value_at(doc, wanted) not in (None, "", [], {})
        elif name == "value_missing":
            ok = _value_at(doc, wanted) in (None, "", [], {})
        elif name in {"modified_from", "modified_to"} and wanted.isdigit():
            ok = stored.saved >= int(wanted) if name == "modified_from" else stored.saved <= int(wanted)
        else:
            continue
        if not ok:
            return False
    return True


def _value_at(doc: Doc, path: str) -> Any:
    value: Any = doc
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _is_one_of(value: str, wanted: str) -> bool:
    """Return whether a value is the wanted one, or one of a JSON list of wanted ones."""
    if value == wanted:
        return True
    try:
        several = json.loads(wanted)
    except ValueError:
        return False
    return isinstance(several, list) and value in several


def _text_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def selected_fields(rows: list[Doc], fields: str) -> list[Doc]:
    """Return the rows with the named columns and `id` only, as 5.x does; `_id` is private."""
    try:
        names = json.loads(fields)
    except ValueError:
        return rows
    if not isinstance(names, list):
        return rows
    return [{name: row[name] for name in names if name in row and name != "_id"} | {"id": row["id"]} for row in rows]
