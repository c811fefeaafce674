"""Voicenter requests, fields that a host refuses, and records that share their key."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from cdrctl.errors import SignInError, UsageError
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers.settings import Secret, SettingsError
from cdrctl.fetchers.voicenter import PROVIDER
from cdrctl.fetchers.voicenter.columns import COLUMNS
from cdrctl.fetchers.voicenter.settings import VoicenterSettings
from cdrctl.records.schemas import common
from cdrctl.windows import Window
from tests.support.products import for_each

from .voicenter_kit import DAY, SECRET, Rule, Voicenter, error, record, reply, s, sample, words

URL = "https://api.voicenter.com/hub/cdr/"

# The list of fields in the user's document; "date", "fromdate", "todate" and "phones" are below.
SEED_FIELDS = (
    *("Type", "DID", "CallerNumber", "CallerExtension", "TargetNumber", "TargetExtension", "TargetPrefixName"),
    *("Duration", "Price", "RecordURL", "RecordExpect", "RepresentativeName", "RepresentativeCode", "DTMFData"),
    *("CallID", "QueueName", "DialStatus", "DialStatus2", "RingTime", "CustomData", "DepartmentName", "DepartmentId"),
)

# Requests


def test_a_request_is_written_as_documented() -> None:
    """POST to the address with its final slash; the code in the body only; times in GMT without a zone."""
    voicenter = Voicenter()
    voicenter.fetch(DAY, s(86_400))
    [request] = voicenter.requests
    assert (request.method, str(request.url)) == ("POST", URL)
    assert request.headers["content-type"] == "application/json"
    assert "authorization" not in request.headers
    [body] = voicenter.bodies
    assert list(body) == ["code", "format", "fields", "search"]
    assert body["code"] == SECRET
    assert body["format"] == "JSON"
    assert body["search"] == {"fromdate": "2026-11-17T23:59:59", "todate": "2026-11-19T00:00:00"}


def test_fields_of_all_documents_are_requested() -> None:
    voicenter = Voicenter()
    voicenter.fetch()
    [body] = voicenter.bodies
    known = [one["wire_name"] for one in sample("data_fields.json")["fields"]]
    assert sorted(body["fields"]) == sorted(known)
    assert {"Date", *SEED_FIELDS} <= set(body["fields"])
    assert not {"fromdate", "todate", "phones"} & set(body["fields"])


def test_columns_have_the_names_of_the_documents() -> None:
    known = [(one["name"], one["wire_name"]) for one in sample("data_fields.json")["fields"]]
    assert [(column.name, column.key) for column in COLUMNS[:-1]] == known
    assert COLUMNS[-1].name == "record_hash"


@for_each("base", ["https://api1.voicenter.co.il/hub/cdr/", "http://127.0.0.1:9/hub/cdr", URL])
def test_base_url_may_lack_its_last_slash(base: str) -> None:
    voicenter = Voicenter(base_url=base)
    voicenter.fetch()
    assert str(voicenter.requests[0].url) == base.rstrip("/") + "/"


@pytest.mark.parametrize("base", ["http://api1.voicenter.co.il/hub/cdr/", "HTTP://192.0.2.1/hub/cdr/"])
def test_plain_http_is_for_this_machine_only(base: str) -> None:
    """The code is in every request, and no setting allows it to be sent unencrypted."""
    with pytest.raises(SettingsError, match="https"):
        VoicenterSettings.of({"base_url": base, "code": SECRET})
    with pytest.raises(SettingsError):
        VoicenterSettings.of({"base_url": base, "code": SECRET, "allow_http": True})


def test_a_bearer_token_is_sent_without_a_code() -> None:
    voicenter = Voicenter(code=None, access_token=Secret("JWT"))
    voicenter.fetch()
    [body] = voicenter.bodies
    assert "code" not in body
    assert voicenter.requests[0].headers["authorization"] == "Bearer JWT"


def test_a_profile_without_a_credential_sends_nothing() -> None:
    voicenter = Voicenter(code=None)
    assert isinstance(voicenter.fails(), SignInError)
    assert voicenter.requests == []


def test_options_become_search_keys() -> None:
    voicenter = Voicenter()
    voicenter.fetch(
        phone=("+972 72-277-6772", "0500000000"),
        extension=("SIPSIP1", "SIPSIP2"),
        identity="hierarchical",
        call_id="202611181104550233API0001",
        type=("1", "queue", "Click2Call Leg1"),
        queue=("2",),
        campaign=("1", "7"),
    )
    search = voicenter.bodies[0]["search"]
    assert list(search)[:2] == ["fromdate", "todate"]
    del search["fromdate"], search["todate"]
    assert search == {
        "phones": ["972722776772", "0500000000"],
        "extensions": ["SIPSIP1", "SIPSIP2"],
        "IdentityCriteria": "Hierarchical",
        "callID": "202611181104550233API0001",
        "cdrTypes": [1, 8, 9],
        "campaignID": [1, 7],
        "queueID": [2],
    }


@for_each("criteria", ["Account", "Hierarchical", "Department", "User"])
def test_identity_criteria(criteria: str) -> None:
    voicenter = Voicenter()
    voicenter.fetch(identity=criteria)
    assert voicenter.bodies[0]["search"]["IdentityCriteria"] == criteria


@for_each(
    "options, said",
    [
        ({"phone": ("SIPSIP",)}, "'SIPSIP' is not a telephone number"),
        ({"phone": ("",)}, "is not a telephone number"),
        ({"phone": ("٣٤",)}, "is not a telephone number"),
        ({"extension": (" ",)}, "--extension needs a value"),
        ({"call_id": ""}, "--call-id needs a value"),
        ({"identity": "Group"}, "it is one of Account, Hierarchical, Department, User"),
        ({"type": ("CC",)}, "'CC' is not a type of call"),
        ({"type": ("²",)}, "is not a type of call"),
        ({"queue": ("Sales",)}, "--queue 'Sales' is not a number"),
        ({"campaign": ("",)}, "--campaign '' is not a number"),
        ({"longest_window": timedelta(seconds=59)}, "--longest-window is shorter than a minute"),
    ],
)
def test_invalid_options_are_refused_before_a_request(options: Any, said: str) -> None:
    voicenter = Voicenter()
    error = voicenter.fails(**options)
    assert isinstance(error, UsageError)
    assert said in words(error)
    assert voicenter.requests == []


# Fields that a host refuses


def refusing(*unknown: str) -> Rule:
    def answer(body: dict[str, Any]) -> httpx.Response:
        wrong = [name for name in body["fields"] if name in unknown]
        return error(9, f"Unknown field {wrong[0]}") if wrong else reply(record("a", s(1)))

    return answer


@pytest.mark.parametrize(
    ("unknown", "asked", "missing"),
    [
        (["DialStatus2"], 2, "requesting them without DialStatus2"),
        (["DateEpoch", "CdrType"], 3, "requesting them without DateEpoch, CdrType, UserName, UserId"),
    ],
)
def test_refused_fields_are_replaced_by_the_older_list(unknown: list[str], asked: int, missing: str) -> None:
    voicenter = Voicenter(refusing(*unknown))
    assert voicenter.export(s(0), s(2 * 86_400))[0] == ["a"]
    assert len(voicenter.requests) == asked + 1  # the second day starts with the older list
    [note] = [text for level, text in voicenter.told if level == "note"]
    assert missing in note


def test_older_list_of_fields_is_that_of_the_users_document() -> None:
    voicenter = Voicenter(refusing("DateEpoch"))
    voicenter.fetch()
    assert sorted(voicenter.bodies[-1]["fields"]) == sorted(["Date", *SEED_FIELDS])


def test_other_refusal_is_not_about_fields() -> None:
    """If every list is refused, the error has the provider's message. A later refusal is not retried."""
    voicenter = Voicenter(lambda _body: error(77, "Account is closed"))
    error_ = voicenter.fails()
    assert (error_.exit_code, error_.said) == (7, "Account is closed")
    assert "error 77" in error_.message
    assert len(voicenter.requests) == 3
    voicenter = Voicenter(reply(), lambda _body: error(77))
    voicenter.fails(s(0), s(2 * 86_400))
    assert len(voicenter.requests) == 2


# Records that share their key


def test_two_legs_of_one_call_are_two_records() -> None:
    voicenter = Voicenter(httpx.Response(200, json=sample("constructed_click2call_two_legs_same_callid.json")))
    found, tally = voicenter.export(s(9 * 3600), s(10 * 3600))
    assert found == ["202611181104550233API0001"] * 2
    assert tally.duplicates == 0


def test_records_that_share_call_type_and_date_are_both_kept_unless_they_are_equal() -> None:
    """The second one's id has a hash, in either order; equal records are duplicates."""
    one, other = record("a", s(5), Duration=1), record("a", s(5), Duration=2)
    ids = []
    for records in ([one, other, one, record("b", s(6))], [record("b", s(6)), other, one, one]):
        pieces = Voicenter(reply(*records)).fetch()
        call = PROVIDER.call("cdrs")
        assert call.common is not None
        schema = common(call.columns, call.common, ["record_id"], lambda _text: None, provider="voicenter", profile="a")
        tally = Tally()
        pages = rows(pieces, call, schema, Window(s(0), s(60)), tally, lambda _level, _text: None)
        ids.append(sorted(str(next(iter(row))) for page in pages for row in page))
        assert (tally.records, tally.duplicates) == (3, 1)
    assert ids[0] == ids[1]
    assert ids[0][0] == "a:1:2026-11-18T00:00:05.000Z"
    assert ids[0][1].startswith("a:1:2026-11-18T00:00:05.000Z:")
    assert len(ids[0][1]) == len(ids[0][0]) + 13
    assert ids[0][2] == "b:1:2026-11-18T00:00:06.000Z"


def test_chosen_columns_are_requested_with_those_of_the_identity() -> None:
    from cdrctl.fetchers.voicenter.columns import FIELDS, lists_of_fields

    asked = lists_of_fields(("queue_name", "call_id"))
    assert "QueueName" in asked[0]
    assert "RecordURL" not in asked[0]
    assert {"Date", "Type", "CdrType", "CallID"} <= set(asked[0])
    assert lists_of_fields(None) == FIELDS
    assert lists_of_fields(("extra",)) == FIELDS
