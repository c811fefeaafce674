"""Answers of the providers that stand for an error, with the reason and the remedy that a page gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    """An answer that is none of the good ones, and what is behind it."""

    why: str
    status: int
    body: Any = None
    path: str = ""
    cure: str = ""
    signing: bool = False


def _rpc(mnemonic: str, code: int = -32602, **data: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "", "data": {"mnemonic": mnemonic, **data}}}


def _voicenter(number: int, words: str) -> dict[str, Any]:
    return {"ERROR_NUMBER": number, "ERROR_DESCRIPTION": words}


def _kazoo(status: int, message: str) -> dict[str, Any]:
    return {"status": "error", "error": str(status), "message": message, "data": {}}


ACCOUNT = "/accounts/0123/cdrs"
CASES: Mapping[str, tuple[Case, ...]] = {
    "webex": (
        Case("The access token has ended (a personal one after 12 hours) or was cut off when it was copied.", 401),
        Case("The token lacks the scope, or its user the role.", 403),
        Case(
            "The organisation is at home in another region. Where `base_url` is one of Webex's own, the run goes on "
            "there by itself and this is a note.",
            451,
            {"message": "Please use analytics-calling-eu.webexapis.com"},
        ),
        Case("As above, and the answer does not say which.", 451, {"message": "wrong region"}),
        Case("`base_url` has another path or host.", 404, {"message": "Not Found"}),
        Case("Another program asks with the same token. It is waited for first.", 429),
        Case("Webex itself fails. It is tried again first.", 503),
    ),
    "kazoo": (
        Case("A misspelt key, or another server's.", 404, _kazoo(404, "bad identifier"), signing=True),
        Case("A key or user that may not read this.", 401, _kazoo(401, "invalid_credentials"), ACCOUNT),
        Case("The account is not the key's own and not below it.", 403, _kazoo(403, "forbidden"), ACCOUNT),
        Case("A misspelt account or user.", 404, _kazoo(404, "bad_identifier"), ACCOUNT),
        Case(
            "A misspelt id, or the id of an interaction given to `cdr`.",
            404,
            _kazoo(404, "could not find cdr with supplied id"),
            f"{ACCOUNT}/202611-abc",
        ),
        Case(
            "A page size or an offset that Crossbar does not take.",
            404,
            _kazoo(404, "faulty_request"),
            ACCOUNT,
            cure="leave out `--page-size` and `--utc-offset`",
        ),
        Case("The operator has disabled the account, or it has run out.", 423, _kazoo(423, "locked"), ACCOUNT),
        Case("Too many requests: 100, of which 10 come back each second.", 429, _kazoo(429, "too_many_requests")),
        Case("The database behind Crossbar is slow or away.", 503, _kazoo(503, "datastore_fault"), ACCOUNT),
    ),
    "callgear": (
        Case(
            "The key's end date has passed, or it was misspelt or deleted, or it is another brand's.",
            200,
            _rpc("access_token_expired", -32001),
        ),
        Case("Somebody has blocked the key.", 200, _rpc("access_token_blocked", -32001)),
        Case("A misspelt login or password.", 200, _rpc("auth_error", -32001)),
        Case(
            "The Data API is closed to every address until it is listed.",
            200,
            _rpc("ip_not_whitelisted", -32003, params={"ip": "192.0.2.7"}),
        ),
        Case("The user lacks a right of the web cabinet.", 200, _rpc("forbidden", -32003)),
        Case(
            "The contract lacks a part.",
            200,
            _rpc("method_component_disabled", -32008, params={"components": ["Data API Basic set"]}),
        ),
        Case("The account is closed or has not paid.", 200, _rpc("account_inactive", -32009)),
        Case("A partner's key, and no `user_id`.", 200, _rpc("required_parameter_missed", field="user_id")),
        Case("A `--filter` on something that cannot be filtered on.", 200, _rpc("filter_prohibited", field="comment")),
        Case(
            "The points of the day are spent, by whichever program.",
            200,
            _rpc(
                "limit_exceeded",
                -32029,
                params={"limit_type": "day", "limit_max_value": 3000},
                metadata={"limits": {"day_reset": 25_200}},
            ),
        ),
        Case(
            "The points of the minute are spent. It is waited for first.",
            200,
            _rpc("limit_exceeded", -32029, params={"limit_type": "minute"}),
        ),
        Case("`base_url` leads elsewhere.", 404),
    ),
    "portsip": (
        Case(
            "A misspelt user, password or domain.",
            400,
            {"errors": [{"code": "UNAUTHORIZED", "message": "Login failed, authentication error"}]},
            signing=True,
        ),
        Case("The sign-in has ended, and signing in again did not help.", 401, path="/cdrs"),
        Case("The user's role may read its own calls only.", 403, path="/cdrs"),
        Case("The same, for reports.", 403, path="/call_reports"),
        Case("The PBX is older than its call logs.", 404, path="/calllogs"),
        Case("A misspelt id.", 404, path="/cdrs/123"),
        Case("The gateway of the PBX throttles. It is waited for first.", 429, path="/cdrs"),
        Case("The database of the PBX is slow. Smaller windows are tried first.", 504, path="/cdrs"),
    ),
    "voicenter": (
        Case("A misspelt code, or a token that has ended.", 200, _voicenter(2, "Authorization failed.")),
        Case(
            "A code counts from listed addresses only.",
            200,
            _voicenter(4, "IP address 192.0.2.7 is not trusted."),
        ),
        Case(
            "30 requests a minute, by all programs that use the code. It is waited for first.",
            200,
            _voicenter(1, "Request limit exceeded. Please try again later."),
        ),
        Case(
            "The window lies too far back. It is halved once first.",
            200,
            _voicenter(5, "Date range invalid"),
            cure="try a later `--since`, or a shorter `--longest-window`; how far back calls are kept is not published",
        ),
        Case(
            "More calls than one answer holds. The window is halved first.",
            200,
            _voicenter(3, "CDR limit exceeded."),
            cure="ask for parts of them with `--type`, `--extension`, `--phone` or `--queue`",
        ),
        Case(
            "A number of a new error.",
            200,
            _voicenter(17, "Something new"),
            cure="report it, with what `-v` adds",
        ),
        Case("Something else than the Call Log answers at `base_url`.", 200, {"hello": "world"}),
    ),
}
"""Answers that are not good ones, by provider; what the program says to them is in no page but by asking it."""

HOSTS = {
    "webex": "https://analytics-calling.webexapis.com/v1/cdr_feed",
    "kazoo": "https://kazoo.example.net:8443/v2",
    "callgear": "https://dataapi.callgear.com/v2.0",
    "portsip": "https://pbx.example.net:8887/api",
    "voicenter": "https://api.voicenter.com/hub/cdr/",
}
