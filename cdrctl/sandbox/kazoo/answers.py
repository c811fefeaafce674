"""Answers in Crossbar's envelope: data, errors, and refusals of a token or a method."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import Any

from cdrctl.sandbox.exchange.clock import digest
from cdrctl.sandbox.kazoo.documents import Doc
from cdrctl.sandbox.kazoo.releases import RELEASES
from cdrctl.sandbox.kazoo.state import State
from cdrctl.sandbox.kazoo.tokens import BUCKET_SIZE, token_of
from cdrctl.sandbox.wire import Reply, Request, dump

NODE = "bEkFfLb3wKMqqMXVvQNvYw"
_ERRORS: dict[int, tuple[str, Doc]] = {
    401: ("invalid_credentials", {"message": "invalid credentials"}),
    403: ("forbidden", {"message": "forbidden"}),
    416: ("range not satisfiable", {"message": "range not satisfiable"}),
    429: ("too_many_requests", {"message": "too many requests"}),
    500: ("datastore_fault", {"cause": "timeout", "message": "unknown failure"}),
    503: ("datastore_fault", {"message": "datastore fatal error"}),
}


def success(state: State, request: Request, data: Any, paging: Doc | None = None) -> Reply:
    """Return a 200 with data, and with the keys of a page where it is one."""
    body: Doc = dict(paging or {}) | envelope(state, request) | {"data": data}
    if paging:
        body["revision"] = digest("revision", request.path, request.query)
    body["status"] = "success"
    return Reply(200, dump(body), json_headers(state))


def failure(state: State, request: Request, status: int, message: str, data: Any) -> Reply:
    """Return an error of that status."""
    error = {"data": data, "error": str(status), "message": message, "status": "error"}
    return Reply(status, dump(envelope(state, request) | error), json_headers(state))


def wrong_method(state: State, request: Request) -> Reply:
    """Return a 405, which has no content type."""
    reply = failure(state, request, 405, "invalid_method", {"message": "method not allowed"})
    return replace(reply, headers=id_header(state))


def too_many_requests(state: State, request: Request) -> Reply:
    """Return the 429 of an empty bucket."""
    return failure(state, request, 429, *_ERRORS[429])


def bad_identifier(state: State, request: Request, cause: Any) -> Reply:
    """Return the 404 of an id that does not exist."""
    return failure(state, request, 404, "bad_identifier", {"cause": cause, "message": "bad identifier"})


def token_refusal(state: State, token: str, message: str, data: Any) -> Reply:
    """Return a 401: no version in the envelope, no content type in the head."""
    body = {
        "timestamp": timestamp(state),
        "node": NODE,
        "request_id": request_id(state),
        "tokens": {"consumed": 1, "remaining": BUCKET_SIZE},
    }
    if token:
        body["auth_token"] = token
    body |= {"data": data, "error": "401", "message": message, "status": "error"}
    return Reply(401, dump(body), id_header(state))


def error_of_status(state: State, status: int, request: Request) -> Reply:
    """Return an error envelope of that status, as Crossbar's error builders make it."""
    if status == 404:
        return bad_identifier(state, request, request.path)
    if status == 405:
        return wrong_method(state, request)
    message, data = _ERRORS.get(status, ("error", {}))
    if status == 401:
        return token_refusal(state, token_of(request, "5.x"), message, data)
    return failure(state, request, status, message, data)


def envelope(state: State, request: Request, token: str | None = None) -> Doc:
    """Return the members that every envelope with a version has; `token` is the request's own unless it is given."""
    left = BUCKET_SIZE
    if state.switched["limits"] != "off":
        parts = request.path.strip("/").split("/")
        account = parts[1] if parts[0] == "accounts" and len(parts) > 1 else ""
        left = state.buckets.left(request.client, account)
    return {
        "version": RELEASES[state.version],
        "timestamp": timestamp(state),
        "node": NODE,
        "request_id": request_id(state),
        "tokens": {"consumed": 1, "remaining": left},
        "auth_token": token_of(request, "5.x") if token is None else token,
    }


def json_headers(state: State) -> dict[str, str]:
    """Return the headers of an answer in JSON."""
    return {"Content-Type": "application/json", **id_header(state)}


def id_header(state: State) -> dict[str, str]:
    """Return the header that every answer of Crossbar has."""
    return {"X-Request-ID": request_id(state)}


def request_id(state: State) -> str:
    """Return the id of the request that is being answered."""
    return "00" + digest("request", state.answers)[2:]


def timestamp(state: State) -> str:
    """Return the current time as envelopes have it."""
    return f"{state.now().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
