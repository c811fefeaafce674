"""Readers of CallGear records."""

from __future__ import annotations

from cdrctl.fetchers import Call
from cdrctl.fetchers.callgear import PROVIDER
from cdrctl.records.common import COMMON
from cdrctl.records.events import Page
from cdrctl.records.schemas import common as common_schema, native

from .callgear_kit import Wire

CONTEXT = {"timezone": "Europe/Berlin", "app_host": "https://app.callgear.com"}


def call(name: str) -> Call:
    return PROVIDER.call(name)


def read(name: str, *records: Wire, **context: str) -> tuple[list[Wire], list[str]]:
    """Return the native values of records by column name, and the warnings."""
    warnings: list[str] = []
    schema = native(call(name).columns, None, warnings.append)
    assert schema.columns is not None
    names = [column.name for column in schema.columns]
    page = Page(list(records), CONTEXT | context)
    return [dict(zip(names, row, strict=True)) for row in schema.rows(page)], warnings


def in_common(name: str, record: Wire, **context: str) -> Wire:
    """Return the common CDR of a record without its null columns."""
    to_common = call(name).common
    assert to_common is not None
    schema = common_schema(call(name).columns, to_common, None, lambda _text: None, provider="callgear", profile="p")
    [row] = schema.rows(Page([record], CONTEXT | context))
    named = zip((column.name for column in COMMON), row, strict=True)
    return {key: value for key, value in named if value is not None and key not in {"provider", "profile"}}


LEG: Wire = {
    "id": 1,
    "call_session_id": 2,
    "start_time": "2026-04-27 09:00:00",
    "connect_time": None,
    "duration": 0,
    "total_duration": 20,
    "direction": "in",
    "is_operator": False,
}

CALL: Wire = {
    "id": 5_000_000_001,
    "start_time": "2026-04-27 09:04:23",
    "finish_time": "2026-04-27 09:09:48",
    "direction": "in",
    "is_lost": False,
    "wait_duration": 8,
    "total_wait_duration": 8,
    "talk_duration": 317,
    "total_duration": 325,
    "finish_reason": "success_finish",
    "contact_phone_number": "971500000001",
    "contact_full_name": "A Contact",
    "virtual_phone_number": "97140000002",
    "first_answered_employee_full_name": "First",
    "last_answered_employee_full_name": "Last",
    "call_records": ["4f2b"],
}

LOST = CALL | {"is_lost": True, "talk_duration": 0, "wait_duration": 20, "total_wait_duration": 20}
