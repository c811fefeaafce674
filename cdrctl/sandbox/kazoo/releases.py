"""The differences between releases of Crossbar: numbers, columns and keys."""

from __future__ import annotations

COLUMNS = (
    "id",
    "call_id",
    "caller_id_number",
    "caller_id_name",
    "callee_id_number",
    "callee_id_name",
    "duration_seconds",
    "billing_seconds",
    "timestamp",
    "hangup_cause",
    "other_leg_call_id",
    "owner_id",
    "to",
    "from",
    "direction",
    "request",
    "authorizing_id",
    "cost",
    "dialed_number",
    "calling_from",
    "datetime",
    "unix_timestamp",
    "unix_timestamp_micro",
    "rfc_1036",
    "iso_8601",
    "iso_8601_combined",
    "call_type",
    "rate",
    "rate_name",
    "bridge_id",
    "recording_url",
    "media_recordings",
    "media_server",
    "call_priority",
    "interaction_id",
)
"""Columns of a row in the order Crossbar 5.0 writes them."""

NOT_IN: dict[str, frozenset[str]] = {
    "5.0": frozenset(),
    "5.x": frozenset(),
    "4.3": frozenset({"unix_timestamp_micro"}),
    "4.2": frozenset({"unix_timestamp_micro", "iso_8601_combined", "interaction_id"}),
    "4.0": frozenset({"unix_timestamp_micro", "iso_8601_combined", "interaction_id", "media_server"}),
    "3.22": frozenset(
        {"unix_timestamp_micro", "iso_8601_combined", "interaction_id", "media_server", "media_recordings"}
    ),
}
"""Columns that a release does not have."""

RELEASES = {"5.0": "5.0.0", "5.x": "5.1.0", "4.3": "4.3.0", "4.2": "4.2.0", "4.0": "4.0.0", "3.22": "3.22.0"}
OLD = {"4.0", "3.22"}
PLAIN_KEYS = OLD
"""Releases whose start keys are seconds in plain text."""

STRING_SECONDS = {"4.2", "4.0", "3.22"}
"""Releases that write lengths as text."""
