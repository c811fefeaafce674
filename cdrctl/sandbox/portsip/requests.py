"""Read the parts of a request, and refuse the ones that are wrong."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs

from cdrctl.sandbox.portsip.fields import Row
from cdrctl.sandbox.wire import Request

INT32 = 2**31 - 1
"""The largest number that the OpenAPI file allows where it says `int32`."""


class RefusedError(Exception):
    """A request is refused because of the field that the argument names."""

    def __init__(self, field_name: str) -> None:
        super().__init__(field_name)
        self.field = field_name


def read_object(request: Request) -> Row:
    """Return the JSON object of a body; raise `RefusedError` for anything else."""
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise RefusedError("body")
    return body


def read_form(request: Request) -> dict[str, str]:
    """Return the fields of an URL-encoded form; the last of repeated ones counts."""
    read = parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in read.items()}


def read_number(text: str | None, name: str, low: int, high: int, default: int) -> int:
    """Return a whole number of the query; raise `RefusedError` if it is not between `low` and `high`."""
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII) or not low <= int(text) <= high:
        raise RefusedError(name)
    return int(text)


def bearer_token(request: Request) -> str:
    """Return the token of the `Authorization` header, or an empty text."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""
