"""A request and its response, as values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from cdrctl.errors import CdrctlError

MASK = "********"
"""Replaces secrets in requests that are never sent."""


class Request(Struct, frozen=True):
    """A request.

    Args:
        method: GET, POST, PUT …
        url: The whole URL; one that came from the provider is sent byte for byte.
        params: Query parameters in order.
        headers: Headers in addition to those of the token.
        json: A body to send as JSON.
        form: A body to send as a form.
        kind: Which of the provider's rate limits counts it.
        whole: From a decoded 2xx body to an error if it is incomplete, for APIs whose broken responses are valid JSON.
            The request is then retried.
        signed: Whether it carries the credential.
        changes: Whether it changes something at the provider; then it is retried only if it was not carried out.
        bodiless: Whether a good response may have no body.
        no_content: Whether the status 204 is a good response.
        records: The keys that lead to the list of records in a good response, for a decoder.
    """

    method: str
    url: str
    params: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None
    kind: str = "page"
    whole: Callable[[Any], CdrctlError | None] | None = None
    signed: bool = True
    changes: bool = False
    bodiless: bool = False
    no_content: bool = False
    records: tuple[str, ...] = ()


class Answer(Struct, frozen=True):
    """A response.

    Args:
        status: The HTTP status.
        headers: By name in lower case.
        body: The decoded JSON; None if the body is empty or not JSON.
        text: The beginning of a body that is not JSON, printable; empty otherwise. Of broken JSON and of forms it is
            one character, because more could be half a token.
        url: The URL of the request without its query, for messages.
    """

    status: int
    headers: Mapping[str, str]
    body: Any
    text: str
    url: str

    @property
    def good(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300


class RawResponse(Struct, frozen=True):
    """A response whose body is still to be read.

    Args:
        status: The HTTP status.
        headers: By name in lower case.
        chunks: The body as it arrives, still compressed.
    """

    status: int
    headers: Mapping[str, str]
    chunks: Iterable[bytes]
