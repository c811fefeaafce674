"""The switches of the imitated Webex."""

from __future__ import annotations

from cdrctl.sandbox.wire import CHANGED, DROPPED, LATE, Switch

REDIRECT_URI = "http://127.0.0.1:8765/callback"
"""The redirect URI that is registered with the sandbox's integration; the switch of this name registers another."""

SWITCHES: dict[str, Switch] = {
    "filter": Switch("start", ("end",), meaning="time by which the window of cdr_feed selects"),
    "bounds": Switch(
        "half_open", ("closed", "open_low", "open"), meaning="which of startTime and endTime are part of the window"
    ),
    "empty": Switch("404", ("200", "204"), meaning="status of a window without records"),
    "link": Switch(
        "plain",
        ("doc", "absolute_path", "relative_path", "query", "network_path", "with_others"),
        meaning="form of the Link header: doc is as the documentation prints it, four are relative as RFC 3986 says",
    ),
    "empty_page": Switch("off", ("items", "no_items"), meaning="a page without records between two others"),
    "page_overlap": Switch("off", ("on",), meaning="the last millisecond of a page is repeated on the next"),
    "order": Switch("ascending", ("descending", "shuffled"), meaning="order within a page"),
    "retry_after": Switch("60", ("none", "http_date"), r"\d+", meaning="Retry-After of a 429"),
    "shared_limit": Switch("on", ("off",), meaning="feed and stream share one request budget"),
    "limits": Switch("off", ("on",), meaning="1 first and 10 next pages per minute"),
    "region": Switch("ok", ("451_please_use", "451_url"), meaning="the organisation's data is in another region"),
    "late": LATE,
    "changed": CHANGED,
    "dropped": DROPPED,
    "rotate": Switch("on", ("off",), meaning="a refresh gives a new refresh token and ends the old one"),
    "keys": Switch(
        "2026",
        ("2025", "doc_case", "future", "clients"),
        meaning="key set and letter case of records; clients: with keys and words known from clients only",
    ),
    "interaction": Switch(
        "whole",
        ("session",),
        meaning="Interaction ID of consultations in calls of --stories hard: that of the call, or their own (a guess)",
    ),
    "types": Switch("wire", ("doc",), meaning="doc: Ring duration is a number"),
    "error_shape": Switch("cdr", ("general",), meaning="body of errors"),
    "next_ttl": Switch("none", (), r"\d+", meaning="seconds a next link lives"),
    "scope": Switch("ok", ("missing",), meaning="whether the token may read call history (403)"),
    "redirect_uri": Switch(
        REDIRECT_URI, (), r"https?://\S+", "a URI", meaning="the redirect URI registered with the integration"
    ),
    "max_floor": Switch("500", (), r"[1-9]\d*", meaning="a smaller max is raised to this"),
}
