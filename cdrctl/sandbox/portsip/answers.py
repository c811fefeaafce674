"""Answers of the API: JSON, files and errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from cdrctl.sandbox.portsip.fields import Row
from cdrctl.sandbox.portsip.requests import RefusedError
from cdrctl.sandbox.portsip.state import PBX
from cdrctl.sandbox.wire import Reply, Request, dump

_ERRORS = {
    400: ("VALIDATE_FAILED", "field validation failed"),
    401: ("UNAUTHORIZED", "unauthorized"),
    404: ("UNKNOWN", "not found"),
    405: ("UNKNOWN", "method not allowed"),
    429: ("UNKNOWN", "too many requests"),
    503: ("UNKNOWN", "service unavailable"),
}


def json_reply(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """Return an answer with a JSON document."""
    return Reply(status, dump(body), {"Content-Type": "application/json"} | dict(headers or {}))


def file_reply(name: str, content: bytes) -> Reply:
    """Return a file; a name that a header cannot hold literally is percent-encoded (RFC 6266)."""
    plain = name.isascii() and name.isprintable()
    shown = f'filename="{name}"' if plain else f"filename*=UTF-8''{quote(name, safe='')}"
    headers = {"Content-Type": "application/octet-stream", "Content-Disposition": f"attachment; {shown}"}
    return Reply(200, content, headers)


def error(pbx: PBX, status: int) -> Reply:
    """Return an error of that status with its usual code and message."""
    return error_with(pbx, status, *_ERRORS.get(status, ("UNKNOWN", "unknown error")))


def error_with(
    pbx: PBX,
    status: int,
    code: str,
    message: str,
    detail: Row | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Return an error as the guide's "Error" shows it: a list of codes with messages."""
    form = pbx.switched["errors"]
    if form == "empty":
        return Reply(status, b"", dict(headers or {}))
    if form == "{}":
        return json_reply(status, {}, headers)
    one: Row = {"code": "SOMETHING_NEW" if form == "new_code" else code, "message": message}
    if detail is not None:
        one["detail"] = detail
    return json_reply(status, {"errors": [one]}, headers)


def refusal(pbx: PBX, refused: RefusedError) -> Reply:
    """Return the error that names a wrong field."""
    return error_with(pbx, 400, *_ERRORS[400], {"field": refused.field})


def unknown_id(pbx: PBX) -> Reply:
    """Return the error for an id that no record can have, or that no report has."""
    return error_with(pbx, 400, "UNKNOWN", "Invalid entry ID supplied")


def wrong_method(pbx: PBX, method: str, request: Request) -> Reply | None:
    """Return the error for a request of another method, or None if it has the right one."""
    return None if request.method == method else error(pbx, 405)


def text_or_null(pbx: PBX, text: str) -> str | None:
    """Return a text; an empty one as null if the PBX writes null for nothing."""
    return None if not text and pbx.switched["empty"] == "null" else text
