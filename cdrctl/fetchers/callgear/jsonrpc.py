"""Requests and responses of JSON-RPC 2.0, in the form of CallGear's Data API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from cdrctl.errors import CdrctlError, ProviderError
from cdrctl.fetchers.callgear.settings import TITLE
from cdrctl.http import Answer, Request, Token


def question(url: str, number: int, method: str, params: Mapping[str, Any], records: tuple[str, ...] = ()) -> Request:
    """Return the request that calls a method (jsonrpc.org, "JSON-RPC 2.0 Specification", section 4).

    `records` are the keys that lead to the records in a good response, for a decoder.

    A response to another request is retried; an error may come without an id (section 5).
    """

    def whole(body: Any) -> CdrctlError | None:
        if not isinstance(body, dict) or "error" in body:
            return None
        given = body.get("id")
        if isinstance(given, int | str) and not isinstance(given, bool) and str(given) == str(number):
            return None
        return ProviderError(
            f"{TITLE} sent an unknown response: it belongs to another request",
            hint="run the command again; if the error persists, check base_url",
        )

    return Request(
        "POST",
        url,
        headers={"Content-Type": "application/json; charset=UTF-8"},
        json={"jsonrpc": "2.0", "id": number, "method": method, "params": dict(params)},
        whole=whole,
        records=records,
    )


def error_in(answer: Answer) -> dict[str, Any] | None:
    """Return the error object of a response, whatever its status, or None."""
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    return error if isinstance(error, dict) else None


def result_in(answer: Answer, method: str) -> dict[str, Any]:
    """Return the result of a method.

    Raises:
        ProviderError: The response has no result. That never counts as "no records".
    """
    result = answer.body.get("result") if isinstance(answer.body, dict) else None
    if not isinstance(result, dict):
        raise ProviderError(
            f"{TITLE} sent an unknown response to {method}: it has no result",
            hint="check base_url; if it is right, the API has changed: update cdrctl",
        )
    return result


def sign(ask: Request, token: Token) -> Request:
    """Return the request with the token among its parameters, where this API wants it."""
    return replace(ask, json={**ask.json, "params": {**token.fields, **ask.json["params"]}})
