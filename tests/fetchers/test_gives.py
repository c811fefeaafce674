"""The `Gives` of each call, compared with its mapping and with the sandbox."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from cdrctl import PROVIDERS
from cdrctl.cli.outcomes import groups
from cdrctl.fetchers import Call, Gives, Provider, kazoo, load, portsip, voicenter, webex
from cdrctl.fetchers.callgear.reasons import REASONS, UNCLEAR
from cdrctl.records.common import COMMON, DIRECTIONS, OUTCOMES
from cdrctl.records.events import Page
from cdrctl.records.schemas import common
from tests.support.runner import run

TIME = "2026-11-19T08:00:00.000Z"
LATER = "2026-11-19T08:00:10.000Z"
KINDS = {"integer": 5, "seconds": 5, "money": "0.5", "boolean": True, "list": ["a"], "text": "a"}

MAPPED = [(provider, call) for provider in map(load, PROVIDERS) for call in provider.calls if call.common is not None]
each = pytest.mark.parametrize(
    ("provider", "call"), MAPPED, ids=[f"{provider.name} {call.group}{call.name}" for provider, call in MAPPED]
)


def combined(**choices: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Yield every combination of one choice for each field."""
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


def of_webex() -> Iterator[dict[str, Any]]:
    reasons = [*webex.common.REFUSALS, *webex.common.SILENCES, "Normal", "NewReason"]
    ends: dict[str, Sequence[Any]] = {
        "Call outcome reason": reasons,
        "Call outcome": ["Success", "Failure", "Refusal"],
        "Answered": ["true", "false", "NA"],
        "Answer time": [None],
        "User type": ["User", "VoiceMailRetrieval", "CallCenterPremium"],
        "Direction": ["ORIGINATING", "TERMINATING"],
        "Releasing party": ["Local", "Remote"],
    }
    ways: dict[str, Sequence[Any]] = {
        "Direction": ["ORIGINATING", "TERMINATING", None],
        "Call type": ["SIP_ENTERPRISE", *sorted(webex.common.OUTBOUND), "NEW"],
        "Inbound trunk": [None],
        "Calling number": ["101"],
    }
    yield from combined(**ends)
    yield from combined(**ways)
    yield {"Answered": "true", "Answer time": TIME, "Direction": "ORIGINATING"}


def of_kazoo() -> Iterator[dict[str, Any]]:
    yield from combined(
        hangup_cause=[*kazoo.causes.CAUSES, "NEW_CAUSE"],
        billing_seconds=[None, 0, 5],
        direction=["inbound", "outbound"],
        call_direction=["inbound", "outbound"],
        authorizing_id=[None, "a" * 32],
        dialed_number=["101", "+4930123456"],
        duration_seconds=[9],
    )
    rated = {"call_type": "per_minute", "cost": 5000, "currency": "USD", "unix_timestamp": "1795000000"}
    channel = {
        "account_billing": "per_minute",
        "rate": "0.5",
        "resource_id": "r",
        "realm": "r",
        "owner_id": "o",
        "authorizing_id": "d",
    }
    for kind in (*kazoo.common._RESOURCES, None):
        yield {
            "id": "a",
            "billing_seconds": 5,
            "duration_seconds": 9,
            "hangup_cause": "NORMAL_CLEARING",
            "call_direction": "outbound",
            "request": "101@a",
            "timestamp": 63_960_000_000,
            **rated,
            "custom_channel_vars": {**channel, "resource_type": kind},
        }


def of_callgear() -> Iterator[dict[str, Any]]:
    one_of_each = {word: reason for reason, word in REASONS.items()}
    reasons = [*one_of_each.values(), *UNCLEAR, None]
    yield from combined(
        finish_reason=reasons,
        direction=["in", "out", None],
        is_operator=[True, False],
        is_lost=[True, None],
        group_name=["sales", None],
        duration=[0, 5],
        talk_duration=[0, 5],
        wait_duration=[4],
        total_duration=[9],
        finish_time=[LATER],
        voice_mail_records=[None, ["a"]],
        release_cause_code=[16],
    )
    yield from combined(release_cause_code=[*range(1, 128)], duration=[0], direction=["in"], is_operator=[True])


def of_portsip() -> Iterator[dict[str, Any]]:
    yield from combined(
        status_code=[0, 404, *portsip.common._OUTCOMES],
        direction=[*portsip.common._DIRECTIONS, "NEW"],
        answered_at=[None, LATER],
        rang_at=[None, TIME],
        end_reason=[None, "CANCELLED", "NEW"],
        reroute_reason=[None, "QUEUE_ABANDONED", "CAPACITY_BLOCKED"],
        duration=[0, 5],
    )


def of_voicenter() -> Iterator[dict[str, Any]]:
    kinds = ["Queue", "VoiceMail", "Extension Outgoing", "Click 2 IVR", "XferCDR", "New"]
    for status, kind in itertools.product([*voicenter.common.OUTCOMES, "te", "new"], kinds):
        yield {"DialStatus": status, "Type": kind, "status": status, "type": kind}


RAW = {"webex": of_webex, "kazoo": of_kazoo, "callgear": of_callgear, "portsip": of_portsip, "voicenter": of_voicenter}
"""Raw records with every value of a provider's enumerations, by provider."""


def full(call: Call, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return a raw record with a value for every column of a call, and with the chosen values."""
    keys = [column.key for column in call.columns]
    own = {key: value for key, value in chosen.items() if key in {key.partition(".")[0] for key in keys}}
    others = [column for column in call.columns if "." not in column.key and column.key not in own]
    return {**{column.key: KINDS.get(column.kind, TIME) for column in reversed(others)}, **own}


def mapped(provider: Provider, call: Call, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return raw records as common CDRs."""
    assert call.common is not None
    schema = common(call.columns, call.common, None, lambda _text: None, provider=provider.name, profile="acme")
    told = {column.key[1:]: "a" for column in call.columns if column.key.startswith("@")}
    context = {**told, "timezone": "UTC"}
    names = [column.name for column in COMMON]
    return [dict(zip(names, row, strict=True)) for row in schema.rows(Page(records, context))]


def seen(found: Sequence[Mapping[str, Any]]) -> Gives:
    """Return the outcomes, directions and null columns of records."""
    names = frozenset(column.name for column in COMMON)
    return Gives(
        outcomes=frozenset(one["outcome"] for one in found),
        directions=frozenset(one["direction"] for one in found),
        null=frozenset(name for name in names if all(one[name] is None for one in found)),
    )


@pytest.mark.thin
@each
def test_mapping_gives_exactly_what_is_declared(provider: Provider, call: Call) -> None:
    chosen = [*RAW[provider.name]()]
    records = [*(full(call, one) for one in chosen), *chosen]
    if call.name == "calllogs":  # its rows have no cost (PortSIP's document: only the details have it)
        records = [{key: value for key, value in one.items() if key != "cost"} for one in records]
    assert seen(mapped(provider, call, records)) == call.gives


@each
def test_declared_values_and_columns_are_those_of_the_common_cdr(provider: Provider, call: Call) -> None:
    del provider
    assert call.gives is not None
    assert call.gives.outcomes <= {*OUTCOMES}
    assert call.gives.directions <= {*DIRECTIONS}
    assert call.gives.null <= {column.name for column in COMMON}


def test_a_call_without_a_common_form_declares_nothing() -> None:
    calls = [call for provider in map(load, PROVIDERS) for call in provider.calls]
    assert [call.name for call in calls if (call.gives is None) != (call.common is None)] == []
    assert len([*groups()]) == len({(provider.name, call.gives) for provider, call in MAPPED})


WINDOWED = [(provider, call) for provider, call in MAPPED if call.windowed]


@pytest.mark.thin
@pytest.mark.parametrize(
    ("provider", "call"), WINDOWED, ids=[f"{provider.name} {call.name}" for provider, call in WINDOWED]
)
def test_records_of_the_sandbox_give_only_what_is_declared(provider: Provider, call: Call) -> None:
    gives = call.gives
    assert gives is not None
    window = ("--since", "12h") if call.name == "stream" else ("--since", "2026-11-18", "--until", "2026-11-20")
    ran = run(provider.name, call.name, "-p", "sandbox", *window, "--schema", "common", "-f", "jsonl")
    assert ran.code == 0, ran.err
    found = [json.loads(line) for line in ran.out.splitlines()]
    came = seen(found)
    assert len(found) > 50
    assert came.outcomes <= gives.outcomes
    assert came.directions <= gives.directions
    assert came.null >= gives.null
