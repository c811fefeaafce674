"""The switches of the imitated Kazoo."""

from __future__ import annotations

from dataclasses import replace

from cdrctl.sandbox.wire import CHANGED, DROPPED, LATE, Switch

SWITCHES: dict[str, Switch] = {
    "version": Switch("5.0", ("5.x", "4.3", "4.2", "4.0", "3.22"), meaning="release imitated"),
    "bounds": Switch(
        "closed",
        ("half_open", "open_low", "open"),
        meaning="which of created_from and created_to are part of the range; both are in the source",
    ),
    "straddle": Switch("lost", ("found",), meaning="handling in /cdrs of calls across a month's start"),
    "month_cursor": Switch("buggy", ("right",), meaning="where the next month begins within one request"),
    "fail_chunk": Switch("0", (), r"\d+", meaning="the database fails at this chunk of every answer (200, success)"),
    "cut_body": Switch(
        "0", (), r"\d+", meaning="the body of this listing answer, counted from 1, is cut in the middle"
    ),
    "poison": Switch("none", (), r".+", "an id", "id of a document without call_direction"),
    "views": Switch(
        "0", (), r"\d+", meaning="seconds that building a month's view takes after its first request (503)"
    ),
    "strip_empty": Switch("off", ("on",), meaning="empty strings are left out of rows"),
    "max_range": Switch("2682000", (), r"[1-9]\d*", meaning="longest created range in seconds"),
    "token_ttl": Switch("3600", (), r"\d+", meaning="seconds a token lives"),
    "account": Switch("ok", ("expired",), meaning="the account is locked (423)"),
    "reseller": Switch("off", ("on",), meaning="reseller columns"),
    "memory_limit": Switch("off", (), r"\d+", meaning="most rows of an unpaged response (416)"),
    "late": replace(
        LATE, meaning="share of documents that are saved seconds to minutes late; with +3d, that replicate days later"
    ),
    "changed": CHANGED,
    "dropped": DROPPED,
    "late_save": Switch("0", (), r"\d+", meaning="seconds a document is saved later than usual"),
    "same_second": Switch("0", (), r"\d+", meaning="number of consecutive documents saved in one second"),
    "interaction": Switch(
        "whole",
        ("own",),
        meaning="interaction_id of consultations and retrievals in calls of --stories hard: the call's, or their own",
    ),
    "duration": Switch(
        "right",
        ("minus_unix", "unix", "minus"),
        meaning="duration and billing of legs killed while new: minus a Unix time (until 4.3), a Unix time, -3 seconds",
    ),
    "billing": Switch("always", ("empty", "absent"), meaning="billing_seconds of rows from before September 2018"),
    "costs": Switch(
        "whole", ("fractions",), meaning="costs of rows in whole units, or with the fractions that a discount leaves"
    ),
    "archived": Switch("none", (), r"\d{6}", "YYYYMM", "month that the operator deleted"),
    "limits": Switch(
        "off",
        ("on", "sign_in"),
        meaning="100 tokens, 10 a second back; sign_in: a token that passes early authentication spends none",
    ),
}
