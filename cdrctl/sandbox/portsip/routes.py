"""The paths of the API: which function answers which request, and which role may send it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cdrctl.sandbox.portsip.answers import error, json_reply, wrong_method
from cdrctl.sandbox.portsip.blobs import send_blob
from cdrctl.sandbox.portsip.changes import create_sync_token, list_changes
from cdrctl.sandbox.portsip.details import show_calllog, show_cdr, show_recording
from cdrctl.sandbox.portsip.listings import list_records
from cdrctl.sandbox.portsip.reports import (
    create_report,
    destroy_report,
    list_reports,
    show_completed,
    show_report,
    update_report,
)
from cdrctl.sandbox.portsip.sign_in import (
    login,
    login_status,
    oauth_revoke,
    oauth_token,
    refresh,
    send_otp,
    sign_in,
    sign_out,
    valid_token,
    verify_otp,
)
from cdrctl.sandbox.portsip.state import PBX
from cdrctl.sandbox.portsip.users import READS_ALL, User
from cdrctl.sandbox.wire import Reply, Request

_SIGN_IN: Mapping[str, Callable[[PBX, Request], Reply]] = {
    "POST auth sign_in": sign_in,
    "POST auth refresh_token": refresh,
    "POST auth send_otp": send_otp,
    "POST auth verify_otp": verify_otp,
    "POST login": login,
    "GET login": login_status,
    "POST login oauth token": oauth_token,
    "POST login oauth revoke": oauth_revoke,
}
_SIGN_IN_PATHS = {one.partition(" ")[2] for one in _SIGN_IN}


def answer(pbx: PBX, request: Request, parts: list[str]) -> Reply:
    """Return the answer to a request; `parts` are the parts of its path."""
    return _answer_anyone(pbx, request, parts) or _answer_user(pbx, request, parts)


def _answer_anyone(pbx: PBX, request: Request, parts: list[str]) -> Reply | None:
    """Answer a request that needs no token; return None for every other request."""
    if parts[0] == "auth" and pbx.switched["version"] not in {"22.2", "22.3"}:
        return error(pbx, 404)
    if parts[:2] == ["login", "oauth"] and pbx.switched["oauth"] == "off":
        return error(pbx, 404)
    known = _SIGN_IN.get(" ".join((request.method, *parts)))
    if known is not None:
        return known(pbx, request)
    if parts[0] == "blobs" and len(parts) == 2:  # /blobs/DIGEST
        return send_blob(pbx, request, parts[1])
    return error(pbx, 405) if " ".join(parts) in _SIGN_IN_PATHS else None


def _answer_user(pbx: PBX, request: Request, parts: list[str]) -> Reply:
    """Answer a request that needs a token."""
    token = valid_token(pbx, request)
    if token is None:
        return error(pbx, 401)
    user = token.user
    match parts:
        case ["auth", "sign_out"]:
            return wrong_method(pbx, "POST", request) or sign_out(pbx, request)
        case ["auth", "user"]:
            body = {"role": user.role, "password_verified": True, "password_force_reset": False}
            return wrong_method(pbx, "GET", request) or json_reply(200, body)
        case ["user", *rest]:
            return _answer_own(pbx, request, user, rest)
        case ["cdrs" | "calllogs" | "recordings" | "call_reports" | "completed_call_reports", *_]:
            return _answer_tenant(pbx, request, parts) if user.role in READS_ALL else error(pbx, 403)
    return error(pbx, 404)


def _answer_own(pbx: PBX, request: Request, user: User, parts: list[str]) -> Reply:
    """Answer `/user/…`: the signed-in user's own calls; an administrator without an extension has no calls."""
    mine = user.extension or "-"
    match parts:
        case ["cdrs"]:
            return wrong_method(pbx, "GET", request) or list_records(pbx, request, "cdrs", mine)
        case ["cdrs", "sync_tokens"]:
            return wrong_method(pbx, "POST", request) or create_sync_token(pbx, request, user)
        case ["cdrs", "sync_tokens", token, "diff"]:
            return wrong_method(pbx, "POST", request) or list_changes(pbx, user, token)
        case ["cdrs", number]:
            return wrong_method(pbx, "GET", request) or show_cdr(pbx, number, mine, own=True)
        case ["recordings"]:
            return wrong_method(pbx, "GET", request) or list_records(pbx, request, "recordings", mine)
        case ["recordings", number]:
            return wrong_method(pbx, "GET", request) or show_recording(pbx, number, mine)
    return error(pbx, 404)


def _answer_tenant(pbx: PBX, request: Request, parts: list[str]) -> Reply:
    """Answer a request that only Admin and QueueManager may send."""
    if parts[0] == "calllogs" and pbx.switched["version"] == "16":
        return error(pbx, 404)
    match parts:
        case ["call_reports" | "completed_call_reports", *_]:
            return _answer_reports(pbx, request, parts)
        case [kind]:
            return wrong_method(pbx, "GET", request) or list_records(pbx, request, kind, "")
        case ["cdrs", number]:
            return wrong_method(pbx, "GET", request) or show_cdr(pbx, number, "", own=False)
        case ["calllogs", number]:
            return wrong_method(pbx, "GET", request) or show_calllog(pbx, number)
        case ["recordings", number]:
            return wrong_method(pbx, "GET", request) or show_recording(pbx, number, "")
    return error(pbx, 404)


def _answer_reports(pbx: PBX, request: Request, parts: list[str]) -> Reply:
    match request.method, parts:
        case "GET", [kind]:
            return list_reports(pbx, request, kind)
        case "POST", ["call_reports"]:
            return create_report(pbx, request)
        case "GET", ["call_reports", number]:
            return show_report(pbx, number)
        case "POST", ["call_reports", number]:
            return update_report(pbx, request, number)
        case "GET", ["completed_call_reports", number]:
            return show_completed(pbx, number)
        case "POST", [kind, number, "destroy"]:
            return destroy_report(pbx, kind, number)
    return error(pbx, 405 if len(parts) <= 3 else 404)  # /KIND/ID/destroy
