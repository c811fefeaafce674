"""Answers and errors in the shapes of this API."""

from __future__ import annotations

from collections.abc import Mapping

from cdrctl.sandbox.exchange.clock import uuid_text
from cdrctl.sandbox.webex.state import State
from cdrctl.sandbox.wire import Reply, dump

NO_TOKEN = "The request requires a valid access token set in the Authorization request header."
NOT_FOUND = "The requested resource could not be found."
_MESSAGES = {
    401: NO_TOKEN,
    403: "Forbidden",
    404: NOT_FOUND,
    429: "Request rate exceeds threshold",
    504: "If your query uses max parameter, please try to reduce it.",
}


def answer(state: State, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
    """Return an answer in JSON, with a tracking id."""
    own = {"Content-Type": "application/json", "trackingid": tracking_id(state)}
    return Reply(status, body, own | dict(headers or {}))


def failure(state: State, status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Return an error of the call history, or a general one where the switch `error_shape` says so."""
    if state.switched["error_shape"] == "general":
        return general_failure(state, status, message, headers)
    body = {"errorCode": status, "message": message, "trackingId": tracking_id(state)}
    return answer(state, status, dump(body), headers)


def general_failure(state: State, status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Return an error in the general shape of Webex's APIs."""
    body = {"message": message, "errors": [{"description": message}], "trackingId": tracking_id(state)}
    return answer(state, status, dump(body), headers)


def error_of_status(state: State, status: int) -> Reply:
    """Return an error of that status with its usual message."""
    return failure(state, status, _MESSAGES.get(status, "Bad request" if status < 500 else "Service unavailable"))


def tracking_id(state: State) -> str:
    """Return the tracking id of the request that is being answered."""
    return f"ROUTER_{uuid_text(4, 'tracking', state.answers)}"
