"""The message of a provider is found wherever providers put it."""

from __future__ import annotations

import functools
from typing import Any

from hypothesis import given, strategies as st

from cdrctl.fetchers import PROVIDERS, load
from cdrctl.http import Answer, beginning, error_of, said
from tests.support.products import for_each
from tests.support.wires import an_answer


@for_each(
    "body, words",
    [
        ({"errorCode": 404, "message": "No CDRs", "trackingId": "T1"}, "No CDRs (tracking id T1)"),
        ({"message": "no", "errors": [{"description": "bad max"}], "trackingId": "T"}, "no bad max (tracking id T)"),
        ({"message": "no", "errors": [{"description": "no"}]}, "no"),
        ({"error": "invalid_grant", "error_description": "it was used"}, "it was used invalid_grant"),
        ({"data": {"message": "invalid credentials"}, "error": "401", "message": "bad"}, "bad invalid credentials"),
        ({"data": {"cause": "timeout"}, "error": "500", "message": "datastore_fault"}, "datastore_fault timeout"),
        ({"id": None, "error": {"code": -32001, "message": "Permission denied", "data": {}}}, "Permission denied"),
        ({"errors": [{"code": "UNKNOWN"}, {"code": "X", "message": "bad filter"}]}, "UNKNOWN bad filter"),
        ({"ERROR_NUMBER": 2, "ERROR_DESCRIPTION": "Authorization failed."}, "Authorization failed."),
        ("go away", "go away"),
        ({"data": [], "errors": {}, "message": ["x"], "error": 5, "trackingId": 7}, None),
        ([], None),
        (None, None),
    ],
)
def test_messages_are_found(body: Any, words: str | None) -> None:
    assert said(an_answer(400, body)) == words


def test_text_and_tracking_header() -> None:
    assert said(an_answer(502, text="<h1>Bad Gateway</h1>", trackingid="T9")) == "<h1>Bad Gateway</h1> (tracking id T9)"


def test_long_messages_are_cut() -> None:
    assert len(said(an_answer(400, {"message": "x " * 5_000})) or "") in {499, 500}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "error", "errors", "data", "cause", "description", "trackingId", "code"]),
            inner,
        )
    ),
)


@given(json_values, st.integers(100, 599))
def test_any_response_has_an_error_or_none(body: Any, status: int) -> None:
    words = said(an_answer(status, body))
    assert words is None or words
    error = error_of("Acme", an_answer(status, body, location="http://[bad"))
    assert (error is None) == (200 <= status < 300)


def test_a_cut_never_splits_a_word_because_it_may_be_a_secret() -> None:
    for filler in range(150, 200):
        shown = beginning(f"<html>{'x' * filler} Authorization: Bearer hunter2!</html>", 200)
        assert "hunter2!" in shown or "hunt" not in shown
    assert beginning("x" * 500, 200) == ""
    assert beginning("short", 200) == "short"


@for_each("status", [300, 304, 400, 401, 402, 403, 405, 409, 418, 451, 501, 520, 599])
@for_each("name", PROVIDERS)
def test_every_error_of_a_status_has_a_next_step(name: str, status: int) -> None:
    provider = load(name)
    address = "https://cdr.example/cdrs"
    error = (provider.error_for or functools.partial(error_of, provider.title))(Answer(status, {}, None, "", address))
    assert error is not None
    assert error.hint
    assert (error.exit_code == 5) == (status >= 500)
