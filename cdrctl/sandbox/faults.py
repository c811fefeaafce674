"""Faults of responses that the sandbox can simulate."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from cdrctl.sandbox import odd
from cdrctl.sandbox.damage import DAMAGE
from cdrctl.sandbox.wire import Provider, Reply, Request, Switch

ACTIONS = (
    "cut",
    "reset",
    "not_json",
    "html",
    "empty",
    "wrong_shape",
    "slow",
    "redirect",
    "foreign_link",
    "expire",
)
"""The actions of `Sandbox.fail`, apart from a status."""
_FAULT = re.compile(r"(?P<nth>[1-9]\d*)(?:x(?P<times>[1-9]\d*))?:(?P<action>\w+)(?::(?P<detail>.+))?")

EVERYWHERE: dict[str, Switch] = {
    "fail": Switch(
        "none",
        (),
        rf"{_FAULT.pattern}(;.*)?",
        "NTH[xTIMES]:ACTION[:DETAIL], separated by semicolons",
        "faults by request number, counted from when the switch is set",
    ),
    "expire_after": Switch("never", (), r"\d+", meaning="all tokens expire after this many requests, once"),
    "gzip": Switch("off", ("on",), meaning="compress bodies for clients that accept it"),
    **odd.SWITCHES,
    "date_header": Switch("on", ("off",), meaning="whether responses have the header `Date`"),
    "damage": DAMAGE,
    "maintenance": Switch(
        "0", (), r"\d{1,4}", "minutes", "answer 503 for this many minutes of the provider's clock from when it is set"
    ),
}
"""The switches that every provider has."""


@dataclass(slots=True)
class Fault:
    """A fault to simulate, and how many requests have matched it."""

    provider: str
    action: int | str
    path: str | None
    nth: int
    times: int
    details: dict[str, Any]
    matched: int = 0

    def hits(self, request: Request) -> bool:
        """Count a request, and return whether it gets the fault."""
        if self.path is not None and self.path not in request.path:
            return False
        self.matched += 1
        return self.nth <= self.matched < self.nth + self.times


@dataclass(frozen=True, slots=True)
class Sent:
    """A reply, and how it is sent: `whole`, `cut` or `reset`."""

    reply: Reply
    way: str = "whole"


def spoil(provider: Provider, request: Request, fault: Fault) -> Sent:
    """Return the reply to a request with a fault."""
    action, details = fault.action, fault.details
    if isinstance(action, int):
        reply = provider.error(action, request)
        body = details.get("body")
        if body is not None:
            reply = Reply(action, body.encode() if isinstance(body, str) else bytes(body), reply.headers)
        return Sent(replace(reply, headers={**reply.headers, **details.get("headers", {})}))
    if action in {"cut", "reset"}:
        return Sent(provider.reply(request), str(action))
    if action == "not_json":
        return Sent(replace(provider.reply(request), status=200, body=b'{"items": [}'))
    if action == "empty":
        return Sent(replace(provider.reply(request), status=200, body=b"", chunked=False))
    if action == "html":
        page = b"<!DOCTYPE html><html><body><h1>Gateway maintenance</h1></body></html>"
        return Sent(Reply(200, page, {"Content-Type": "text/html; charset=utf-8"}))
    if action == "redirect":
        return Sent(Reply(302, b"", {"Location": str(details.get("url", "https://elsewhere.example/"))}))
    if action == "foreign_link":
        reply = provider.reply(request)
        host = str(details.get("host", "cdr.elsewhere.example"))
        headers = dict(reply.headers)
        if "Link" in headers:
            headers["Link"] = re.sub(r"https?://[^/]+", f"https://{host}", headers["Link"], count=1)
        return Sent(replace(reply, headers=headers))
    return Sent(provider.wrong_shape(request))


def read_fault(provider: str, text: str) -> Fault:
    """Return the fault in a switch's value, such as `3:503` or `2x4:slow:1.5`."""
    read = _FAULT.fullmatch(text.strip())
    if read is None:
        raise ValueError(f"{text!r} is not a fault; a fault looks like 3:503, 2x4:429:30 or 1:slow:2.5")
    action: int | str = int(read["action"]) if read["action"].isdigit() else read["action"]
    if isinstance(action, str) and action not in ACTIONS:
        raise ValueError(f"unknown action {action!r}: a status, or {', '.join(ACTIONS)}")
    detail = read["detail"]
    details: dict[str, Any] = {}
    if detail:
        if isinstance(action, int):
            details["headers"] = {"Retry-After": detail}
        else:
            named = {"slow": "seconds", "redirect": "url", "foreign_link": "host"}
            details[named.get(action, "detail")] = detail
    return Fault(provider, action, None, int(read["nth"]), int(read["times"] or 1), details)
