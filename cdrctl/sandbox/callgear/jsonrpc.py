"""Requests and answers in JSON-RPC 2.0."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cdrctl.sandbox.callgear.errors import ERRORS, HELP_PAGE, HELPED, RefusedError, real_status
from cdrctl.sandbox.callgear.fields import Record
from cdrctl.sandbox.wire import Reply, dump


def read_request(body: bytes) -> tuple[str, Record, Any]:
    """Read the method, the parameters and the id of a request; refuse a body that is not a valid request."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError("parse_error") from None
    if isinstance(asked, list):
        raise RefusedError("batch_operations_not_supported")
    if not isinstance(asked, dict):
        raise RefusedError("invalid_request")
    if "id" not in asked:
        raise RefusedError("notifications_not_supported")
    given = asked["id"]
    if type(given) not in {str, int, float}:
        raise RefusedError("invalid_request")
    params = asked.get("params")
    if asked.get("jsonrpc") != "2.0" or not isinstance(asked.get("method"), str) or not isinstance(params, dict):
        raise RefusedError("invalid_request", id=given)
    # The answers to all later errors have the id of the request.
    return asked["method"], params, given


def request_id(body: bytes) -> Any:
    """Read the id of a request; None if it has none."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return asked.get("id") if isinstance(asked, dict) else None


def result_reply(given: Any, result: Record) -> Reply:
    """Make the answer to a request that succeeded."""
    return _reply({"jsonrpc": "2.0", "id": given, "result": result})


def error_reply(switched: Mapping[str, str], refused: RefusedError, given: Any, status: int = 0) -> Reply:
    """Make the answer to a request that failed, with a generic HTTP status unless one is given."""
    code, text = ERRORS[refused.mnemonic]
    data: Record = {"mnemonic": refused.mnemonic}
    details = dict(refused.data)
    if refused.mnemonic in HELPED:
        details["extended_helper"] = HELP_PAGE
    if refused.mnemonic != "parse_error":
        details.setdefault("metadata", {})
    full = switched["error_data"] == "full"
    for name in ("field", "value", "params", "extended_helper", "metadata"):
        if name in details:
            data[name] = details[name]
        elif full and name != "metadata":
            data[name] = {} if name == "params" else None
    text = text.format(**details.get("params", {}))
    if not status:
        status = real_status(code) if switched["http_errors"] == "real" else 200
    return _reply({"jsonrpc": "2.0", "id": given, "error": {"code": code, "message": text, "data": data}}, status)


def _reply(body: Record, status: int = 200) -> Reply:
    return Reply(status, dump(body), {"Content-Type": "application/json; charset=UTF-8"})
