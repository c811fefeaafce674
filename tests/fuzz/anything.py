"""Strategies for the responses of a broken provider: JSON of any shape, and responses with it."""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from hypothesis import strategies as st

from cdrctl import windows
from cdrctl.fetchers import Call, Provider, Query, connect
from cdrctl.records.events import Event
from tests.support.clock import HandClock

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
WINDOW = windows.Window(NOW - timedelta(hours=6), NOW - timedelta(hours=4))

ODD_TEXTS = (
    *("", " ", "0", "-1", "1.", "1e400", "NaN", "true", "null", "NA", "\x00", "\ud800", "\ud83d", "a,b", '"', "\r\n"),
    *("2026-11-20T07:00:00.000Z", "2026-11-20 07:00:00", "2026-11-20T07:00:00", "0000-00-00T00:00:00.000Z"),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z"),
    *("1795158000", "63962377200", "9" * 18, "9" * 400, "Europe/Berlin", "UTC", "success"),
    *(
        "ÅÄÖ",
        "İ",
        "\u017f",
        "٣",
        "²",
        "\u2028",
        "1\u00a0000",
        "202611-x",
        "63814294800-b1c2d3",
        "@me",
        "a.b",
        "x" * 5000,
    ),
)
ODD_NUMBERS = (
    *(0, 1, -1, 2**31, 2**63, -(2**63), 10**18, 10**20, 10**400, -(10**400), 10**4200, 1_795_158_000, 63_962_377_200),
    *(0.0, -0.0, 0.5, 1e15, 1e16, 1e22, 1e300, -1e300, 5e-324, float("inf"), float("-inf"), float("nan")),
)


def nested(depth: int, *, lists: bool) -> Any:
    """Return lists or objects nested this deep."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if lists else {"a": value}
    return value


@functools.cache
def texts() -> st.SearchStrategy[str]:
    """Return any text, including halves of surrogate pairs, and often one that some reader takes for more than text."""
    return st.sampled_from(ODD_TEXTS) | st.text(st.characters(exclude_categories=()), max_size=12)


@functools.cache
def scalars() -> st.SearchStrategy[Any]:
    """Return any JSON value that is neither a list nor an object."""
    return (
        st.none() | st.booleans() | st.sampled_from(ODD_NUMBERS) | st.integers(-(10**6), 10**6) | st.floats() | texts()
    )


@functools.cache
def values(keys: tuple[str, ...] = ()) -> st.SearchStrategy[Any]:
    """Return any JSON value, with these keys and others in its objects."""
    named = st.sampled_from(keys) | texts() if keys else texts()
    return st.recursive(
        scalars() | st.builds(nested, st.sampled_from((3, 50, 150)), lists=st.booleans()),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(named, inner, max_size=4),
        max_leaves=6,
    )


@functools.cache
def words_of(module: str) -> tuple[str, ...]:
    """Return the short texts in a module's source, which include all keys that it reads."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    found = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return tuple(sorted(word for word in found if 0 < len(word) <= 30 and "\n" not in word))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to each value within a value, starting with the value itself."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a copy of a document with another value at one path."""
    if not path:
        return value
    changed = copy.copy(document)
    changed[path[0]] = put(document[path[0]], path[1:], value)
    return changed


@st.composite
def spoilt(draw: st.DrawFn, documents: Sequence[Any], keys: tuple[str, ...]) -> Any:
    """Return a document in which a few values have been replaced."""
    document = draw(st.sampled_from(documents))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(list(places(document))))
        new = draw(values(keys))
        if draw(st.booleans()) and path:  # in addition to the existing keys
            parent = functools.reduce(lambda one, key: one[key], path[:-1], document)
            new = {**parent, draw(st.sampled_from(keys)): new} if isinstance(parent, dict) else [*parent, new]
            path = path[:-1]
        document = put(document, path, new)
    return document


# Responses, and a provider that gives them


HEADERS = (
    *(("retry-after", word) for word in ("0", "5", "9" * 400, "-1", "Fri, 20 Nov 2026 12:00:40 GMT", "1e3", "²")),
    *(("date", word) for word in ("Fri, 20 Nov 2026 12:00:10 GMT", "Mon, 01 Jan 0001 00:00:00 +2359", "x")),
    *(("location", word) for word in ("https://elsewhere.example/x", "//[", "http://[::1", "")),
    *(("set-cookie", word) for word in ("a=b; Path=/", "a=b, c=d", ";", "=")),
    *(("trackingid", word) for word in ("ROUTER_1", "", "x" * 2000)),
    *(("link", f'<{url}>; rel="next"') for url in ("{base}/cdr_feed?startTimeForNextFetch=1&totalCount=9", "{base}/2")),
    *(("link", word) for word in ('<<{base}/3>;rel="next">', "<http://[>; rel=next", "<>;rel=next", "<x>;rel=", "<")),
    *(("link", '<https://user@{base}/4>; rel="next"'), ("link", "</v1/5>; rel=next"), ("content-encoding", "gzip")),
)

STATUSES = (200, 200, 200, 200, 200, 200, 201, 204, 206, 300, 302, 304, 400, 401, 403, 404, 405, 408, 410, 416, 422)
MORE_STATUSES = (423, 425, 429, 451, 500, 502, 503, 504, 599, 600, 999)


@dataclass(frozen=True, slots=True)
class Sent:
    """A response as it is sent."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def dumped(value: Any) -> bytes:
    """Return JSON as the loosest writer makes it: NaN, infinities, and halves of surrogate pairs as escapes."""
    return json.dumps(value).encode()


def bodies(documents: Sequence[Any], keys: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    """Return bodies: documents, changed documents, any JSON, truncated JSON, and any bytes."""
    return st.one_of(
        spoilt(documents, keys).map(dumped),
        spoilt(documents, keys).map(dumped),
        values(keys).map(dumped),
        st.builds(lambda body, at: body[: at % (len(body) + 1)], spoilt(documents, keys).map(dumped), st.integers(0)),
        st.binary(max_size=40),
        st.sampled_from((b"", b"<html>", b"\xef\xbb\xbf{}", b"[" * 3000, b'{"a":' * 3000, b"9" * 5000, b'"\\ud800"')),
    )


def answers(documents: Sequence[Any], keys: tuple[str, ...]) -> st.SearchStrategy[Sent]:
    """Return responses with such bodies and any status."""
    return st.builds(
        Sent,
        st.sampled_from((*STATUSES, *MORE_STATUSES)),
        bodies(documents, keys),
        st.lists(st.sampled_from(HEADERS), max_size=2).map(tuple),
    )


class EnoughError(BaseException):
    """The provider has received too many requests. It is not an Exception, so that no code catches it."""


@dataclass(slots=True)
class Giving:
    """A transport that gives responses in order, again and again, up to a number of requests.

    A text `@me` in a body is replaced by the id of the request, as in JSON-RPC.
    """

    sent: Sequence[Sent]
    limit: int
    asked: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.asked >= self.limit:
            raise EnoughError
        one = self.sent[self.asked % len(self.sent)]
        self.asked += 1
        body = one.body
        if b'"@me"' in body:
            try:
                question = json.loads(request.read())
            except ValueError:
                question = None
            number = question.get("id") if isinstance(question, dict) else None
            body = body.replace(b'"@me"', json.dumps(number).encode())
        base = f"{request.url.scheme}://{request.url.netloc.decode()}"
        headers = [(name.encode(), value.replace("{base}", base).encode()) for name, value in one.headers]
        return httpx.Response(one.status, headers=headers, stream=httpx.ByteStream(body))


BASES = {
    "webex": "https://analytics-calling.webexapis.com/v1",
    "kazoo": "https://kazoo.example/v2",
    "callgear": "https://dataapi.callgear.com/v2.0",
    "portsip": "https://pbx.example:8887/api",
    "voicenter": "https://api.voicenter.com/hub/cdr/",
}
PROFILES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "webex": (
        {"access_token": "t"},
        {"access_token": "t", "client_id": "c", "client_secret": "s", "refresh_token": "r"},
        {"client_id": "c", "client_secret": "s", "refresh_token": "r"},
    ),
    "kazoo": (
        {"account_id": "a" * 32, "auth_token": "t"},
        {"account_id": "a" * 32, "api_key": "k"},
        {"account_id": "a" * 32, "username": "u", "password": "p", "account_name": "n"},
    ),
    "callgear": (
        {"access_token": "t", "timezone": "Europe/Berlin"},
        {"access_token": "t"},
        {"login": "l", "password": "p", "timezone": "UTC"},
    ),
    "portsip": ({"access_token": "t"}, {"username": "u", "password": "p", "domain": "d"}),
    "voicenter": ({"code": "c"}, {"access_token": "t"}),
}


def given_options(call: Call, words: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's options as its fetcher gets them: defaults, and these words as on the command line."""
    found: dict[str, Any] = {}
    for option in call.options:
        value: Any = words.get(option.name, option.default)
        if option.repeat:
            value = tuple(words.get(option.name, ()))
        elif option.kind == "flag":
            value = bool(words.get(option.name, False))
        elif option.argument:
            value = words.get(option.name, "202611-abc")
        elif value is not None and option.kind == "duration":
            value = windows.duration(value)
        elif value is not None and option.kind == "integer":
            value = int(value)
        found[option.name] = value
    return found


@dataclass(slots=True)
class Outcome:
    """What a run yielded, and how many requests it made."""

    pieces: list[Event] = field(default_factory=list)
    asked: int = 0
    said: list[str] = field(default_factory=list)


def run(
    provider: Provider,
    call: Call,
    sent: Sequence[Sent],
    *,
    profile: Mapping[str, Any],
    options: Mapping[str, Any],
    window: windows.Window | None = WINDOW,
    limit: int = 40,
) -> Outcome:
    """Fetch from a provider that gives these responses, to the end, to an error, or up to the number of requests.

    Raises:
        CdrctlError: The fetcher's error.
    """
    giving = Giving(sent, limit)
    settings = provider.settings.of({"base_url": BASES[provider.name], **profile})
    outcome = Outcome()
    client = connect(
        provider,
        settings,
        clock=HandClock(NOW).clock,
        log=lambda _level, text: outcome.said.append(text),
        conceal=lambda _secrets: None,
        transport=httpx.MockTransport(giving),
    )
    try:
        for piece in call.fetch(Query(client, settings, window if call.takes_window else None, options)):
            outcome.pieces.append(piece)
    except EnoughError:
        pass
    finally:
        outcome.asked = giving.asked
        client.close()
    return outcome
