"""Answers of the providers that stand for an error, with the reason and the remedy that a page gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    """A response that stands for an error, with its cause and, if the error's hint does not fit the page, a remedy."""

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
        Case("The access token has expired (a personal one after 12 hours), or was not copied completely.", 401),
        Case("The token lacks the scope, or its user lacks the role.", 403),
        Case(
            "The organization belongs to another region. If `base_url` is one of Webex's, cdrctl continues there and "
            "writes a note.",
            451,
            {"message": "Please use analytics-calling-eu.webexapis.com"},
        ),
        Case("As above, and Webex does not name the region.", 451, {"message": "wrong region"}),
        Case("`base_url` has a wrong path or host.", 404, {"message": "Not Found"}),
        Case("Another program uses the same token. cdrctl retries first.", 429),
        Case("Webex failed. cdrctl retries first.", 503),
    ),
    "kazoo": (
        Case("The key is misspelt, or belongs to another server.", 404, _kazoo(404, "bad identifier"), signing=True),
        Case("The key or user has no permission.", 401, _kazoo(401, "invalid_credentials"), ACCOUNT),
        Case(
            "The account is neither that of the key nor one of its sub-accounts.",
            403,
            _kazoo(403, "forbidden"),
            ACCOUNT,
        ),
        Case("The account or user is misspelt.", 404, _kazoo(404, "bad_identifier"), ACCOUNT),
        Case(
            "The id is misspelt, or it is the id of an interaction.",
            404,
            _kazoo(404, "could not find cdr with supplied id"),
            f"{ACCOUNT}/202611-abc",
        ),
        Case(
            "Crossbar does not accept the page size or the offset.",
            404,
            _kazoo(404, "faulty_request"),
            ACCOUNT,
            cure="leave out `--page-size` and `--utc-offset`",
        ),
        Case("The operator has disabled the account, or it has expired.", 423, _kazoo(423, "locked"), ACCOUNT),
        Case(
            "Too many requests: an account has 100, and gets 10 more each second.",
            429,
            _kazoo(429, "too_many_requests"),
        ),
        Case("The database behind Crossbar is slow or not available.", 503, _kazoo(503, "datastore_fault"), ACCOUNT),
    ),
    "callgear": (
        Case(
            "The key has expired, was deleted, is misspelt, or belongs to another brand.",
            200,
            _rpc("access_token_expired", -32001),
        ),
        Case("The key was blocked.", 200, _rpc("access_token_blocked", -32001)),
        Case("The login or password is misspelt.", 200, _rpc("auth_error", -32001)),
        Case(
            "The address is not on the allow list of the Data API.",
            200,
            _rpc("ip_not_whitelisted", -32003, params={"ip": "192.0.2.7"}),
        ),
        Case("The user lacks a permission in the web cabinet.", 200, _rpc("forbidden", -32003)),
        Case(
            "The contract does not include a required component.",
            200,
            _rpc("method_component_disabled", -32008, params={"components": ["Data API Basic set"]}),
        ),
        Case("The account is closed or unpaid.", 200, _rpc("account_inactive", -32009)),
        Case(
            "The key belongs to a partner, and `user_id` is not set.",
            200,
            _rpc("required_parameter_missed", field="user_id"),
        ),
        Case("`--filter` names a field that cannot be filtered.", 200, _rpc("filter_prohibited", field="comment")),
        Case(
            "The points of the day are used up, by this or another program.",
            200,
            _rpc(
                "limit_exceeded",
                -32029,
                params={"limit_type": "day", "limit_max_value": 3000},
                metadata={"limits": {"day_reset": 25_200}},
            ),
        ),
        Case(
            "The points of the minute are used up. cdrctl waits first.",
            200,
            _rpc("limit_exceeded", -32029, params={"limit_type": "minute"}),
        ),
        Case("`base_url` is wrong.", 404),
    ),
    "portsip": (
        Case(
            "The user, password or domain is misspelt.",
            400,
            {"errors": [{"code": "UNAUTHORIZED", "message": "Login failed, authentication error"}]},
            signing=True,
        ),
        Case("The sign-in expired, and a new one did not help.", 401, path="/cdrs"),
        Case("The role of the user allows its own calls only.", 403, path="/cdrs"),
        Case("The role of the user does not allow reports.", 403, path="/call_reports"),
        Case("This version of the PBX has no call logs.", 404, path="/calllogs"),
        Case("The id is misspelt.", 404, path="/cdrs/123"),
        Case("The PBX limits the rate. cdrctl waits first.", 429, path="/cdrs"),
        Case("The database of the PBX is slow. cdrctl halves the window first.", 504, path="/cdrs"),
    ),
    "voicenter": (
        Case("The code is misspelt, or the token has expired.", 200, _voicenter(2, "Authorization failed.")),
        Case(
            "The code works only from authorized addresses.",
            200,
            _voicenter(4, "IP address 192.0.2.7 is not trusted."),
        ),
        Case(
            "All programs that use the code share 30 requests a minute. cdrctl waits first.",
            200,
            _voicenter(1, "Request limit exceeded. Please try again later."),
        ),
        Case(
            "The window is too far back. cdrctl halves it first.",
            200,
            _voicenter(5, "Date range invalid"),
            cure="try a later `--since`, or a shorter `--longest-window`; how long calls are kept is not published",
        ),
        Case(
            "There are more calls than a response can hold. cdrctl halves the window first.",
            200,
            _voicenter(3, "CDR limit exceeded."),
            cure="ask for parts of them with `--type`, `--extension`, `--phone` or `--queue`",
        ),
        Case(
            "The error number is not documented.",
            200,
            _voicenter(17, "Something new"),
            cure="report it, with what `-v` adds",
        ),
        Case("`base_url` is not that of the Call Log.", 200, {"hello": "world"}),
    ),
}
"""The responses that stand for errors, by provider. The program itself words the messages."""

HOSTS = {
    "webex": "https://analytics-calling.webexapis.com/v1/cdr_feed",
    "kazoo": "https://kazoo.example.net:8443/v2",
    "callgear": "https://dataapi.callgear.com/v2.0",
    "portsip": "https://pbx.example.net:8887/api",
    "voicenter": "https://api.voicenter.com/hub/cdr/",
}
