"""Shared by the tests of this imitation: its client, samples and helpers."""

from __future__ import annotations

from typing import Any

from cdrctl.sandbox import Exchange, uniform
from tests.sandbox.clients import at, sample

DAY = at("2026-11-18"), at("2026-11-19")


MORNING = at("2026-11-18T00:00"), at("2026-11-18T12:00")


EVENING = at("2026-11-18T12:00"), at("2026-11-19T00:00")


OLDER = sample("webex/real_feed_2025-08_originating_unanswered.json")["items"][0]


EXCHANGES = {one["name"]: one for one in sample("webex/constructed_http_exchanges.json")["exchanges"]}


FIELDS = next(
    value for value in sample("webex/data_fields.json").values() if isinstance(value, list) and len(value) > 80
)


def by_id(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {record["Report ID"]: record for record in records}


def full(n: int) -> Exchange:
    """An exchange with exactly n records in the evening of the day."""
    return Exchange(calls=uniform(n, *EVENING))


def shape(answer: dict[str, Any]) -> list[str]:
    return list(answer)


REDIRECT = "http://127.0.0.1:8765/callback"


CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def asked(**changed: str) -> dict[str, str]:
    """Return the parameters of an authorization request; a parameter changed to an empty text is left out."""
    usual = {
        "response_type": "code",
        "client_id": "C0000EXAMPLE",
        "redirect_uri": REDIRECT,
        "scope": "spark-admin:calling_cdr_read",
        "state": 'st&te"<',
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in {**usual, **changed}.items() if value}
