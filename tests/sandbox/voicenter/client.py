"""Shared by the tests of this imitation: its client, samples and helpers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx

from cdrctl.sandbox import Exchange, Sandbox, uniform
from tests.sandbox.clients import Client, at, sample

DAY = at("2026-11-18"), at("2026-11-19")


MONTH = at("2026-10-18"), at("2026-11-19")


NOON, ONE = at("2026-11-18T12:00"), at("2026-11-18T13:00")


KNOWN = sample("voicenter/doc_cdr_ok.json")


# Copied from the documentation of version 0.1.
SEED_OPTIONS = (
    *("date", "fromdate", "todate", "phones", "Type", "DID", "CallerNumber", "CallerExtension", "TargetNumber"),
    *("TargetExtension", "TargetPrefixName", "Duration", "Price", "RecordURL", "RecordExpect", "RepresentativeName"),
    *("RepresentativeCode", "DTMFData", "CallID", "QueueName", "DialStatus", "DialStatus2", "RingTime", "CustomData"),
    *("DepartmentName", "DepartmentId"),
)


SEED_STATUSES = (
    *("NOTDIALED", "ANSWER", "BUSY", "NOANSWER", "CANCEL", "ABANDONE", "VOEND", "TE", "NOTCALLED", "VOICEMAIL"),
    *("CONGESTION", "CHANUNAVAIL", "INVALIDARGS", "SSWPREAUTH"),
)


class VoicenterClient(Client):
    """Posts a window, and halves it while it has more records than the cap."""

    def __init__(self, sandbox: Sandbox, kind: str = "code") -> None:
        super().__init__(sandbox)
        settings = sandbox.credentials("voicenter", kind)
        self.base_url = str(settings["base_url"])
        self.code = settings.get("code")
        self.headers = {"Authorization": f"Bearer {settings['access_token']}"} if kind == "bearer" else {}
        self.cap = 10_000

    def post(self, body: Any) -> httpx.Response:
        return self.http.post(self.base_url, json=body, headers=self.headers)

    def get(self, query: str) -> httpx.Response:
        return self.http.get(f"{self.base_url}?{query}", headers=self.headers)

    def ask(
        self, since: datetime, until: datetime, search: dict[str, Any] | None = None, **more: Any
    ) -> httpx.Response:
        stamp = "%Y-%m-%dT%H:%M:%S"
        window = {"fromdate": f"{since:{stamp}}", "todate": f"{until:{stamp}}"}
        body = {"code": self.code, "format": "JSON", "search": window | (search or {}), **more}
        return self.post({name: value for name, value in body.items() if value is not None})

    def records(self, since: datetime, until: datetime, search: dict[str, Any] | None = None, **more: Any) -> Any:
        page = self.ask(since, until, search, **more)
        assert page.status_code == 200
        return page.json()["CDR_LIST"]

    def all(self, since: datetime, until: datetime, floor: int = 1) -> list[dict[str, Any]]:
        """Request `[since, until)` with closed bounds, in halves that share no second; select records by `Date`."""
        found: dict[str, dict[str, Any]] = {}
        windows = [(int(since.timestamp()), int(until.timestamp()) - 1)]
        while windows:
            lo, hi = windows.pop()
            first, last = (datetime.fromtimestamp(second, UTC) for second in (lo, hi))
            answer = self.ask(first, last).json()
            records = answer["CDR_LIST"]
            full = answer["ERROR_NUMBER"] == 3 or len(records) >= self.cap
            if full or answer.get("RETURN_HITS", 0) < answer.get("TOTAL_HITS", 0):
                assert hi - lo >= floor, "more records in one second than an answer holds"
                middle = (lo + hi) // 2
                windows += [(middle + 1, hi), (lo, middle)]
                continue
            found |= {json.dumps(record): record for record in records}
        return list(found.values())


def full(n: int, legs: int = 1) -> Exchange:
    """An exchange with exactly n * legs records in an hour."""
    return Exchange(calls=uniform(n, NOON, ONE, legs=legs))


def number(page: httpx.Response) -> int:
    return int(page.json()["ERROR_NUMBER"])


def keys(records: list[dict[str, Any]]) -> set[tuple[str, ...]]:
    return {tuple(record) for record in records}


def in_order(part: list[str], whole: list[str]) -> bool:
    return [name for name in whole if name in part] == part
