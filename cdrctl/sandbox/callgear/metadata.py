"""The metadata of a result, and its position in the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cdrctl.sandbox.callgear.fields import Record


def total_items(switched: Mapping[str, str], count: int, offset: int, page: int) -> Record:
    """Return the total of rows in the form of the switch `total`."""
    said: dict[str, Any] = {
        "right": count,
        "zero": 0,
        "page": page,
        "half": count // 2,
        "shrinking": max(0, count - offset),
        "true": True,
        "negative": -1,
        "text": f"{count} rows",
    }
    total = switched["total"]
    return {"total_items": said[total]} if total in said else {}


def make_result(switched: Mapping[str, str], method: str, data: Any, metadata: Record) -> Record:
    """Put data and metadata together in the order that is switched on."""
    if switched["deprecated_version"] == "on":
        version = {"current_version_deprecated": True, "current_version": "v2.0", "latest_version": "v3.0"}
        metadata = {"api_version": version, **metadata}
    name = switched["get_account_meta"] if method == "get.account" else "metadata"
    # Documented examples of these two methods have metadata in front of data, those of reports behind it.
    front = switched["meta"] == "before" or method in {"get.account", "get.customer_users"}
    return {name: metadata, "data": data} if front else {"data": data, name: metadata}
