"""The switches of the imitated CallGear: everything that its documents leave open."""

from __future__ import annotations

import re
from zoneinfo import available_timezones

from cdrctl.sandbox.callgear.errors import ERRORS
from cdrctl.sandbox.wire import CHANGED, DROPPED, LATE, Switch

SWITCHES: dict[str, Switch] = {
    "http_errors": Switch("200", ("real",), meaning="HTTP status of errors: 200, or 400 401 403 404 429 500"),
    "bounds": Switch(
        "closed",
        ("half_open", "open_low", "open"),
        meaning="whether date_from and date_till belong to the window: both, the first, the second, neither",
    ),
    "window_on": Switch("start_time", ("finish",), meaning="time by which the window selects"),
    "double_hour": Switch(
        "both",
        ("first", "second"),
        meaning="how a bound in the repeated hour of autumn is read; both: local times are compared as text",
    ),
    "short_page": Switch(
        "off", (), r"[1-9]\d*", meaning="number of rows missing from every other page, which keeps at least one"
    ),
    "grow": Switch("0", (), r"\d+", meaning="rows that come into a window at each request for its pages but the first"),
    "total": Switch(
        "right",
        ("zero", "page", "half", "shrinking", "true", "negative", "text", "absent"),
        meaning="what total_items says; page: rows of this page; shrinking: rows not yet sent; true: a JSON boolean",
    ),
    "ties": Switch(
        "stable", (), r"moving", "moving", "moving: rows that sort alike change places from request to request"
    ),
    "names_field": Switch("on", ("off",), meaning="whether unexpected_parameters names the field"),
    "no_wav": Switch("on", ("off",), meaning="wav_call_records is an unknown field, as in CallGear's own documents"),
    "reasons": Switch("subscriber", ("caller",), meaning="spelling of finish_reason"),
    "reason": Switch(
        "own", (), "[a-z_]+", "a finish reason", "finish_reason of every leg and call that nobody answered"
    ),
    "talk_times": Switch(
        "kept", ("null", "absent"), meaning="connect_time, duration, talk_duration and clean_talk_duration"
    ),
    "no_time": Switch("null", ("zeros", "year1", "1970", "0"), meaning="value of a time that does not exist"),
    "times": Switch("local", ("utc",), meaning="how times are written: by the account's clock, or as UTC with T and Z"),
    "utm_referrer": Switch("unknown", ("known",), meaning="whether utm_referrer is a field of calls"),
    "new_field": Switch("off", ("on",), meaning="legs and calls have an undocumented default field"),
    "limits": Switch("off", ("on", "{}"), meaning="points per minute and per day; off and {}: not applied"),
    "minute_limit": Switch("60", (), r"[1-9]\d*", meaning="points a minute"),
    "day_limit": Switch("3000", (), r"[1-9]\d*", meaning="points a day"),
    "call_session": Switch(
        "whole",
        ("own",),
        meaning="call_session_id of consultations and retrievals in calls of --stories hard: the call's or their own (a"
        " guess)",
    ),
    "deprecated": Switch("kept", ("null", "absent"), meaning="release_cause_code and release_cause_description"),
    "meta": Switch("after", ("before",), meaning="whether metadata comes after or before data"),
    "get_account_meta": Switch("metadata", ("meta_data",), meaning="name of the metadata of get.account"),
    "zone": Switch(
        "Europe/Berlin",
        ("America/New_York", "Asia/Dubai"),
        "|".join(map(re.escape, sorted(available_timezones()))),
        "an IANA zone",
        "zone of the account and of every time",
    ),
    "token_ttl": Switch("3600", (), r"\d+", meaning="seconds a login lives"),
    "ip": Switch("listed", ("unlisted",), meaning="whether the caller's address is in the allow-list"),
    "account": Switch("active", ("inactive",), meaning="whether the account is disabled"),
    "deprecated_version": Switch("off", ("on",), meaning="metadata says that the version is deprecated"),
    "late": LATE,
    "changed": CHANGED,
    "dropped": DROPPED,
    "lag": Switch("0", (), r"\d+", meaning="seconds from the end of a call until its rows appear"),
    "error_data": Switch("sparse", ("full",), meaning="whether empty members of error.data are left out or null"),
    "session_id": Switch("number", ("string",), meaning="type of call_session_id in the financial report"),
    "refuse": Switch(
        "none", (), "|".join(ERRORS), "a mnemonic", "error returned by every method except login.user and logout.user"
    ),
}
