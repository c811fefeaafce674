"""Any responses of a provider: the fetcher yields events or raises a CdrctlError, and ends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cdrctl.errors import CdrctlError, ConfigurationError, ProviderError, TemporaryError, UsageError
from cdrctl.fetchers import PROVIDERS, Call, Provider, callgear, kazoo, load, portsip, voicenter, webex
from cdrctl.fetchers.voicenter import zone
from cdrctl.http.answers import error_of, said
from cdrctl.http.exchange import decode
from cdrctl.http.messages import Answer
from cdrctl.http.tokens import Token
from cdrctl.records.events import Page
from tests.fuzz.anything import (
    PROFILES,
    Outcome,
    Sent,
    answers,
    dumped,
    given_options,
    run,
    spoilt,
    texts,
    values,
    words_of,
)
from tests.support.examples import examples
from tests.support.products import for_each

DATA = Path(__file__).parents[1] / "data"
LONGEST_DOCUMENT = 6000


def documents(provider: str) -> list[Any]:
    """Return documents that this provider is known to send; CallGear's have the id of their request."""
    found = []
    for path in sorted((DATA / provider).glob("*.json")):
        text = path.read_text(encoding="utf-8")
        if len(text) > LONGEST_DOCUMENT or path.name.startswith(("data_", "schema_", "openapi")):
            continue
        document = json.loads(text)
        if isinstance(document, dict):
            found.append({**document, "id": "@me"} if "jsonrpc" in document else document)
    return found


DOCUMENTS = {name: documents(name) for name in PROVIDERS}
CALLS = {name: [call for call in load(name).calls if not call.offline] for name in PROVIDERS}


def words(provider: Provider) -> tuple[str, ...]:
    return words_of(provider.sign_in.__module__)


def fetched(name: str, call: str, *bodies: Any, options: Mapping[str, Any] | None = None) -> Outcome:
    provider = load(name)
    one = next(each for each in provider.calls if each.name == call)
    sent = [Sent(200, dumped(body)) for body in bodies]
    return run(provider, one, sent, profile=PROFILES[name][0], options=given_options(one, options or {}))


@pytest.mark.thin
@pytest.mark.parametrize("name", PROVIDERS)
@examples(100)
@given(data=st.data())
def test_any_responses_give_events_or_a_cdrctl_error(name: str, data: st.DataObject) -> None:
    """Each record has an identity, and a start in UTC or none."""
    provider = load(name)
    call: Call = data.draw(st.sampled_from(CALLS[name]), label="call")
    whole = spoilt(DOCUMENTS[name], words(provider)).map(lambda document: Sent(200, dumped(document)))
    sent = data.draw(st.lists(whole | answers(DOCUMENTS[name], words(provider)), min_size=1, max_size=4), label="sent")
    profile = data.draw(st.sampled_from(PROFILES[name]), label="profile")
    try:
        outcome = run(provider, call, sent, profile=profile, options=given_options(call, {}))
    except CdrctlError:
        return
    for piece in outcome.pieces:
        for record in piece.records if isinstance(piece, Page) else ():
            assert call.identity(record)
            start = call.starts(record, piece.context)  # type: ignore[union-attr]
            assert start is None or start.utcoffset() == timedelta(0)


@examples(150)
@given(status=st.integers(100, 999), body=values(("message", "error", "errors", "data", "detail")), link=st.text())
def test_any_response_gives_a_cdrctl_error_or_none(status: int, body: Any, link: str) -> None:
    decoded, text = decode(bytearray(dumped(body)))
    headers = {"location": link, "trackingid": link, "link": link, "set-cookie": link}
    answer = Answer(status, headers, decoded, text, "https://host.example/v2/accounts/a/cdrs")
    assert said(answer) != ""
    explains: list[Callable[[Answer], CdrctlError | None]] = [
        found for name in PROVIDERS if (found := load(name).error_for) is not None
    ]
    explains.append(partial(error_of, "Acme"))
    for explain in explains:
        error = explain(answer)
        assert error is None or isinstance(error, CdrctlError)
    webex.answers.next_link(answer)


@examples(200)
@given(body=st.binary(max_size=60) | values().map(dumped), other=st.sampled_from(("utf-8", "utf-16", "utf-32")))
def test_any_bytes_are_json_or_text(body: bytes, other: str) -> None:
    """A body is a JSON value or the printable beginning of a text, never both."""
    for one in (body, body.decode("latin-1").encode(other)):
        value, text = decode(bytearray(one))
        assert value is None or text == ""
        assert text.isprintable()


@examples(100)
@given(headers=st.dictionaries(texts(), values(), max_size=2) | values(), refresh_token=values(), expires=values())
def test_any_stored_token_is_read_or_refused(headers: Any, refresh_token: Any, expires: Any) -> None:
    """The fields of a token that is read are texts."""
    try:
        token = Token.from_plain({"headers": headers, "expires": expires, "refresh_token": refresh_token})
    except ConfigurationError:
        return
    assert all(isinstance(secret, str) for secret in token.secrets)


# Cases that fuzzing found


def test_time_of_a_million_digits_is_refused_at_once() -> None:
    """It took half a minute; more than a million digits ended the run."""
    for digits in (10**5, 10**6 + 5):
        row = {"unix_timestamp": "9" * digits}
        assert kazoo.columns.start(row) is None
        assert zone.start({"DateEpoch": "9" * digits}) is None


def test_time_of_hundreds_of_digits_is_null() -> None:
    """An integer too large for a float ended the run."""
    assert kazoo.columns.start({"unix_timestamp": 10**400}) is None
    assert zone.start({"DateEpoch": 10**400}) is None
    assert voicenter.columns.notification_identity({"ivruniqueid": "a", "time": 10**400})


@pytest.mark.parametrize("status", [[], {}])
def test_a_kazoo_status_may_be_of_any_type(status: Any) -> None:
    with pytest.raises(CdrctlError):
        fetched("kazoo", "cdrs", {"status": status})


def test_kazoo_descendant_may_have_invalid_unicode_in_its_id() -> None:
    """The id is part of a path, for which only valid Unicode was accepted."""
    descendants = {"data": [{"id": "\ud800"}], "status": "success"}
    nothing = {"data": [], "status": "success"}
    fetched("kazoo", "cdrs", descendants, nothing, options={"descendants": True})


@for_each("digits", [20, 400])
@for_each("kind", ["day", "minute"])
def test_reset_of_a_callgear_limit_may_be_in_the_far_future(kind: str, digits: int) -> None:
    limits = {f"{kind}_reset": 10**digits}
    data = {"mnemonic": "limit_exceeded", "params": {"limit_type": kind}, "metadata": {"limits": limits}}
    with pytest.raises(TemporaryError):
        fetched("callgear", "legs", {"jsonrpc": "2.0", "id": 1, "error": {"code": -32029, "data": data}})


@pytest.mark.parametrize("condition", [[], {}])
def test_the_condition_of_a_callgear_filter_may_be_of_any_type(condition: Any) -> None:
    with pytest.raises(UsageError):
        callgear.filters.filter_tree(callgear.fields.LEGS, [json.dumps({"filters": [{}], "condition": condition})])


def test_the_cost_of_a_leg_may_be_of_any_type() -> None:
    costs: tuple[Any, ...] = ([], {}, "9" * 1_000_005)
    for cost in costs:
        with pytest.raises(ProviderError):
            portsip.details._cost([{"cost": cost}, {}])


def test_implausible_count_of_a_pbx_is_ignored() -> None:
    outcome = fetched("portsip", "cdrs", {"items": [], "count": 10**400}, options={"with_cost": True})
    assert any("one request per record" in str(piece) for piece in outcome.pieces)


@pytest.mark.parametrize("name", ["cdr", "show"])
def test_id_with_invalid_unicode_does_not_crash(name: str) -> None:
    """A shell passes bytes that are not UTF-8 on as halves of surrogate pairs."""
    for provider in ("kazoo", "portsip"):
        for call in CALLS[provider]:
            if call.name == name:
                with pytest.raises(CdrctlError):
                    fetched(provider, name, [], options={"id": "\udcff"})


def test_options_with_invalid_unicode_are_requested() -> None:
    outcome = fetched("portsip", "cdrs", {"items": [], "count": 0}, options={"search": "\udcff"})
    assert outcome.asked


def test_queue_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(UsageError):
        voicenter.search.search_criteria({"queue": ["9" * 5000]})
    with pytest.raises(UsageError):
        voicenter.search.search_criteria({"type": ["9" * 5000]})


@for_each("name, call", [("webex", "cdrs"), ("callgear", "legs"), ("kazoo", "cdrs"), ("kazoo", "interactions")])
def test_longest_call_of_millennia_is_refused(name: str, call: str) -> None:
    with pytest.raises(UsageError):
        fetched(name, call, {}, options={"longest_call": "9999999d"})


def test_link_header_of_blanks_is_read_at_once() -> None:
    """The time grew with the square of the length, and a header may have 100 000 characters."""
    began = time.process_time()
    assert webex.answers.next_link(Answer(200, {"link": "<x>; rel=" + " " * 90_000}, None, "", "")) is None
    assert time.process_time() - began < 5


@pytest.mark.slow
def test_region_is_searched_in_the_beginning_of_a_body_only() -> None:
    """The time grew with the square of the body's length."""
    began = time.process_time()
    answer = Answer(451, {}, {"message": "a" * 10**6}, "", "https://analytics-calling.webexapis.com/v1/cdr_feed")
    assert isinstance(webex.answers.error_for(answer), CdrctlError)
    assert time.process_time() - began < 5


@for_each(
    "link",
    [
        '<https://a/b>; rel="next"',
        '<<https://a/b>;rel="next">',
        "<https://a/b>;REL = ' prev  next'",
        "<https://a/b>; rel=next",
    ],
)
def test_all_forms_of_a_next_link_are_read(link: str) -> None:
    assert webex.answers.next_link(Answer(200, {"link": link}, None, "", "")) == "https://a/b"
