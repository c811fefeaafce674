"""A request and its response, as values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cdrctl.errors import CdrctlError

MASK = "********"
"""Stands where a secret would, in requests that are never sent."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request.

    Args:
        method: GET, POST, PUT …
        url: Whole; a URL that came from the provider is sent byte for byte.
        params: Query parameters in order.
        headers: Beside those of the sign-in.
        json: A body to send as JSON.
        form: A body to send as a form.
        kind: Which of the provider's budgets counts it.
        whole: From a decoded 2xx body to what is wrong with it, when a broken answer can hide in valid JSON; it is
            asked again, and the error raised when that does not mend it.
        signed: Whether the credential goes with it.
        changes: Whether it changes something at the provider; then it is retried only if it was not carried out.
        bodiless: Whether a good answer may have no body.
        no_content: Whether the status 204 is a good answer.
        records: The keys that lead to the list of records in a good answer, for whoever reads it faster than others.
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


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    Args:
        status: The HTTP status.
        headers: By name in lower case.
        body: The decoded JSON, or None when the body is empty or no JSON.
        text: The beginning of a body that is no JSON, printable; empty otherwise. Of what was probably meant as JSON
            or as a form it is one character: in the beginning of those there may be half a token.
        url: What was asked, for messages; without its query.
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


@dataclass(frozen=True, slots=True)
class RawResponse:
    """A response whose body is still to be read.

    Args:
        status: The HTTP status.
        headers: By name in lower case.
        chunks: The body as it arrives, still compressed.
    """

    status: int
    headers: Mapping[str, str]
    chunks: Iterable[bytes]
