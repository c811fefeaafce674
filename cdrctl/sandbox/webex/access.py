"""Refusals of a request for records: its token, its permission, the region or the rate limit."""

from __future__ import annotations

from collections import deque
from datetime import UTC, timedelta
from email.utils import format_datetime

from cdrctl.sandbox.exchange.clock import SECOND
from cdrctl.sandbox.webex.answers import NO_TOKEN, failure, general_failure
from cdrctl.sandbox.webex.state import State
from cdrctl.sandbox.wire import Reply, Request

_ELSEWHERE = "analytics-calling-eu.webexapis.com"
_RATE_SPAN = 60 * SECOND
_INITIAL_PER_SPAN, _NEXT_PER_SPAN = 1, 10


def refusal(state: State, request: Request) -> Reply | None:
    """Return the error of a request that is refused; None if it is allowed."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    now = state.unix_now
    ends = state.tokens.get(token, 0)
    if scheme.lower() != "bearer" or (ends is not None and ends <= now):
        return general_failure(state, 401, NO_TOKEN)
    if state.switched["scope"] == "missing":
        return failure(state, 403, "Forbidden")
    if state.switched["region"] == "451_please_use":
        text = f"Data for this organization is not available here. Please use {_ELSEWHERE}"
        return failure(state, 451, text)
    if state.switched["region"] == "451_url":
        return failure(state, 451, f"The request should go to URL: https://{_ELSEWHERE}")
    return _over_limit(state, request, now) if state.switched["limits"] == "on" else None


def _over_limit(state: State, request: Request, now: int) -> Reply | None:
    """Count the request; return an error above the limit of 1 first and 10 next pages in any 60 s, per user token."""
    shared = state.switched["shared_limit"] == "on"
    further = "startTimeForNextFetch=" in request.query
    spent = state.spent.setdefault(f"{'both' if shared else request.path} {further}", deque())
    while spent and spent[0] <= now - _RATE_SPAN:
        spent.popleft()
    if len(spent) < (_NEXT_PER_SPAN if further else _INITIAL_PER_SPAN):
        spent.append(now)
        return None
    wait = state.switched["retry_after"]
    if wait == "http_date":
        wait = format_datetime(state.now().astimezone(UTC) + timedelta(minutes=1), usegmt=True)
    extra = {} if wait == "none" else {"Retry-After": wait}
    return failure(state, 429, "Request rate exceeds threshold", extra)
