"""The switches of the imitated PBX: everything that PortSIP does not publish."""

from __future__ import annotations

from cdrctl.sandbox.wire import CHANGED, DROPPED, LATE, Switch

SWITCHES: dict[str, Switch] = {
    "late": LATE,
    "changed": CHANGED,
    "dropped": DROPPED,
    "version": Switch("22.2", ("22.3", "22.0", "16"), meaning="release imitated; 22.0 and 16 have no /auth"),
    "query": Switch("honoured", ("ignored",), meaning="filter, search and orderby of /cdrs and /calllogs"),
    "bounds": Switch(
        "half_open",
        ("closed", "open_low", "open"),
        meaning="which bounds of a filter on started_at are included; half_open: as ge and lt mean",
    ),
    "skip": Switch("0", ("1",), meaning="number of the first item"),
    "count": Switch("always", ("asked", "absent"), meaning="whether lists say how many items there are"),
    "total": Switch(
        "right",
        ("zero", "page", "half", "shrinking", "true", "negative"),
        meaning="value of count; page: items of this page; shrinking: items not yet sent; true: a JSON boolean",
    ),
    "empty": Switch('""', ("null",), meaning="how a missing value is written"),
    "no_items": Switch("[]", ("null",), meaning="list of an empty page"),
    "no_time": Switch(
        "empty", ("year1", "1970", "0"), meaning="value of rang_at and answered_at without such an event"
    ),
    "throttle": Switch("429", ("503",), meaning="status of too many requests"),
    "retry_after": Switch("seconds", ("none",), meaning="whether a 429 response has Retry-After"),
    "limits": Switch("off", ("on",), meaning="the gateway counts requests by the minute"),
    "access_limit": Switch(
        "release", (), r"[1-9]\d*", meaning="requests per minute; release: as published for the release"
    ),
    "top_max": Switch("100", ("1000",), meaning="largest top of /cdrs and /calllogs"),
    "login_body": Switch("token", ("empty",), meaning="response of POST /login and /auth/verify_otp"),
    "oauth": Switch("on", ("off",), meaning="whether /login/oauth is known"),
    "errors": Switch("full", ("{}", "empty", "new_code"), meaning="body of errors"),
    "end_reason": Switch("live", ("doc",), meaning="spelling; live leaves it empty when the callee hung up"),
    "two_factor": Switch("off", ("on",), meaning="signing in requires a code sent by mail"),
    "token_ttl": Switch("1800", (), r"\d+", meaning="seconds an access token lives"),
    "rotate": Switch("on", ("off",), meaning="a refresh gives a new refresh token and ends the old one"),
    "grow": Switch("0", (), r"\d+", meaning="calls landing between two pages of a listing, for three pages"),
    "session": Switch(
        "whole",
        ("own",),
        meaning="session_id of consultations and retrievals in calls of --stories hard: the call's, or their own (a"
        " guess)",
    ),
    "legs": Switch("1", (), r"[1-9]\d*", meaning="most legs in the detail of a CDR"),
    "lookback": Switch("400", ("empty",), meaning="answer to a window older than five years"),
    "ids": Switch("decimal", ("base64",), meaning="form of ids; base64 as the documentation prints them"),
    "report": Switch("completes", ("aborts", "never"), meaning="outcome of a call report"),
    "report_delay": Switch("5", (), r"\d+", meaning="seconds a call report takes"),
    "report_after": Switch(
        "RUNNING", ("SCHEDULED", "gone"), meaning="status of a report that ran once and has completed"
    ),
    "file_name": Switch(
        "plain", ("traversal", "absolute", "control", "empty"), meaning="file name of a completed report"
    ),
    "file_url": Switch(
        "plain",
        ("absolute", "network_path", "outside", "traversal"),
        meaning="address of a completed report; absolute and network_path name another host",
    ),
}
