"""Our requests to a PortSIP PBX and the sandbox's responses, compared with the vendor's OpenAPI file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from cdrctl.fetchers.portsip.report_form import FILTERS
from cdrctl.windows import Window
from tests.support.clock import NOON
from tests.support.portsip_document import EXEMPTIONS, Exemption, document, path_of

from .test_portsip import window
from .test_portsip_sandbox import Box

DAY = window("2026-11-18", "2026-11-19")
HOUR = window("2026-11-18T13:00", "2026-11-18T14:00")
REPORT: dict[str, Any] = {"type": "NORMAL", "email": "user@example.com", "range": "YESTERDAY"}
CUSTOM = {"started_at": "2026-11-18T00:00:00Z", "ended_at": "2026-11-19T00:00:00Z"}


class Recorder(httpx.BaseTransport):
    """A network transport that records every request and response."""

    def __init__(self, heard: list[httpx.Response]) -> None:
        self.wire = httpx.HTTPTransport(verify=False)
        self.heard = heard

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        answer = self.wire.handle_request(request)
        assert isinstance(answer.stream, httpx.SyncByteStream)
        try:
            content = b"".join(answer.stream)
        finally:
            answer.close()
        self.heard.append(httpx.Response(answer.status_code, headers=answer.headers, content=content, request=request))
        return httpx.Response(answer.status_code, headers=answer.headers, content=content)

    def close(self) -> None:
        self.wire.close()


class Traffic:
    """All requests and responses between our fetcher and sandboxes."""

    def __init__(self) -> None:
        self.heard: list[httpx.Response] = []

    def run(self, box: Box, call: str, span: Window | None = None, **options: Any) -> list[dict[str, Any]]:
        return box.run(call, span, transport=Recorder(self.heard), **options).rows


@pytest.fixture(scope="module")
def traffic() -> Iterator[Traffic]:
    """Record every call of the fetcher, and every way to sign in."""
    traffic = Traffic()
    boxes: list[Box] = []

    def box(**switches: str) -> Box:
        boxes.append(Box(None, switches, NOON))
        return boxes[-1]

    try:
        _calls(traffic, box(legs="3"))
        _sign_ins(traffic, box)
        yield traffic
    finally:
        for one in boxes:
            one.sandbox.close()


def _calls(traffic: Traffic, box: Box) -> None:
    for call in ("cdrs", "calllogs"):
        rows = traffic.run(box, call, DAY, page_size=20, filter=("status_code ge 0",), orderby="caller desc")
        for row in rows[:4]:
            traffic.run(box, call.removesuffix("s"), id=row["id"])
        traffic.run(box, call, HOUR, with_cost=True, search="1")
    own = traffic.run(box, "cdrs", DAY, kind="standard_user", own=True)
    traffic.run(box, "cdr", kind="standard_user", own=True, id=own[0]["id"])
    for kind, fields in FILTERS.items():
        lists = {"groups": "groups=Sales", "call_queues": "call_queues=8000", "ring_groups": "ring_groups=9000"}
        given = tuple(lists[name] for name in fields if name in lists)
        traffic.run(box, "reports create", **REPORT | {"type": kind, "filter": given})
    traffic.run(box, "reports create", name="custom", cron="0 6 * * 1", **REPORT | {"range": "CUSTOM"} | CUSTOM)
    traffic.run(box, "reports create", name="waited for", wait=True, **REPORT)
    [report, *_] = traffic.run(box, "reports list", filter=("name eq 'custom'",))
    traffic.run(box, "reports show", id=report["id"])
    traffic.run(box, "reports update", id=report["id"], email="new@example.com", filter=("to=internal_extensions",))
    traffic.run(box, "reports delete", id=report["id"])
    [finished, *_] = traffic.run(box, "completed-reports list", orderby="completed_at desc")
    for name in ("show", "download", "delete"):
        traffic.run(box, f"completed-reports {name}", id=finished["id"])


def _sign_ins(traffic: Traffic, box: Callable[..., Box]) -> None:
    for switches in ({}, {"version": "22.0"}, {"version": "22.0", "oauth": "off"}):
        traffic.run(box(token_ttl="2", **switches), "cdrs", HOUR)
        ending = box(**switches)
        ending.sandbox.switch("portsip", "expire_after", "3")
        traffic.run(ending, "cdrs", DAY, page_size=20)
    traffic.run(box(version="22.0", oauth="off", login_body="empty"), "reports list")


UNUSED = {
    "POST /auth/sign_out": "a token is left to end by itself",
    "GET /auth/user": "what a user may do is learnt by asking",
    "POST /auth/send_otp": "a code sent by mail needs a person",
    "POST /auth/verify_otp": "as above",
    "POST /user/cdrs/sync_tokens": "windows are read instead",
    "POST /user/cdrs/sync_tokens/{token}/diff": "as above",
    "GET /recordings": "no call of ours is about recordings",
    "GET /recordings/{id}": "as above",
    "GET /user/recordings": "as above",
    "GET /user/recordings/{id}": "as above",
}
"""Operations of the file that our fetcher does not use."""


def name_of(response: httpx.Response) -> str:
    return document().operation(response.request.method, path_of(response.request))[0]


@pytest.mark.slow
def test_requests_and_responses_follow_the_openapi_file(traffic: Traffic) -> None:
    """Each exemption has a reason."""
    assert [fault for one in traffic.heard for fault in document().faults(one)] == []


@pytest.mark.slow
def test_every_operation_is_requested(traffic: Traffic) -> None:
    """Each has been successful at least once."""
    known = {f"{method.upper()} {path}" for path, methods in document().document["paths"].items() for method in methods}
    assert known == UNUSED.keys() | {name_of(one) for one in traffic.heard if one.is_success}
    assert not UNUSED.keys() & {name_of(one) for one in traffic.heard}


@pytest.mark.thin
@pytest.mark.parametrize("exemption", EXEMPTIONS, ids=lambda one: one.name)
def test_every_exemption_is_needed(traffic: Traffic, exemption: Exemption) -> None:
    """Without it the file is invalid, or differs from requests and responses."""
    if exemption.name == "a tag named twice":
        with pytest.raises(OpenAPIValidationError, match="Duplicate tag name"):
            document(exemption.name, valid=True)
    else:
        assert any(document(exemption.name).faults(one) for one in traffic.heard)


def changed(value: Any, way: str) -> Iterator[Any]:
    """Yield a body with one fault, for each of its keys; in a list, for those of its first item."""
    if isinstance(value, list) and value:
        yield from ([one, *value[1:]] for one in changed(value[0], way))
    if isinstance(value, dict):
        for key, own in value.items():
            rest = {name: one for name, one in value.items() if name != key}
            yield {"missing": rest, "renamed": rest | {f"{key}s": own}, "of another type": rest | {key: [own]}}[way]
            if (key, way) != ("filter", "missing"):  # most of its keys are optional
                yield from (value | {key: one} for one in changed(own, way))


@pytest.mark.slow
@pytest.mark.parametrize(
    "way",
    [
        pytest.param("missing", marks=pytest.mark.slow),
        "renamed",
        pytest.param("of another type", marks=pytest.mark.slow),
    ],
)
def test_change_of_any_field_of_a_response_is_a_fault(traffic: Traffic, way: str) -> None:
    fullest: dict[str, httpx.Response] = {}
    for one in traffic.heard:
        if one.is_success and one.headers.get("Content-Type") == "application/json":
            name = name_of(one)
            fullest[name] = max(one, fullest.get(name, one), key=lambda answer: len(answer.content))
    for name, one in fullest.items():
        for body in changed(one.json(), way):
            answer = httpx.Response(one.status_code, json=body, request=one.request)
            assert any(fault.startswith(name) for fault in document().faults(answer)), f"{name}: {body}"
    assert len(fullest) == 16


@pytest.mark.slow
@pytest.mark.parametrize("way", ["renamed", "of another type"])
def test_change_of_any_field_of_a_request_is_a_fault(traffic: Traffic, way: str) -> None:
    fullest: dict[str, httpx.Response] = {}
    for one in traffic.heard:
        if one.is_success and one.request.headers.get("Content-Type") == "application/json":
            name = name_of(one)
            fullest[name] = max(one, fullest.get(name, one), key=lambda answer: len(answer.request.content))
    for name, one in fullest.items():
        asked = one.request
        for body in changed(json.loads(asked.content), way):
            request = httpx.Request(asked.method, asked.url, json=body, headers={"Authorization": "Bearer x"})
            answer = httpx.Response(one.status_code, headers=one.headers, content=one.content, request=request)
            assert any(fault.startswith(f"{name}:") for fault in document().faults(answer)), f"{name}: {body}"
    assert len(fullest) == 5


@pytest.mark.slow
def test_other_changes_of_a_request_are_faults(traffic: Traffic) -> None:
    listing = next(one for one in traffic.heard if one.is_success and name_of(one) == "GET /cdrs")
    for changes in ({"top": "101"}, {"top": "x"}, {"skip": "-1"}, {"count": "perhaps"}, {"since": "yesterday"}):
        url = listing.request.url.copy_merge_params(changes)
        request = httpx.Request("GET", url, headers=listing.request.headers)
        answer = httpx.Response(200, json=listing.json(), request=request)
        assert len(document().faults(answer)) == 1, changes
    request = httpx.Request("GET", listing.request.url)
    [fault] = document().faults(httpx.Response(200, json=listing.json(), request=request))
    assert "Security" in fault
