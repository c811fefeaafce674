"""Shared by the tests of this imitation: its client, samples and helpers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from cdrctl.sandbox import Exchange, Sandbox, uniform
from cdrctl.sandbox.callgear import CALL_FIELDS, COST_FIELDS, ERRORS, LEG_FIELDS
from tests.sandbox.clients import Client, at

BERLIN = ZoneInfo("Europe/Berlin")


DAY = at("2026-11-17T23:00"), at("2026-11-18T23:00")
"""The 18th of November, by the account's clock."""


METHODS = {"legs": "get.call_legs_report", "calls": "get.calls_report", "costs": "get.financial_call_legs_report"}


FIELDS = {"legs": LEG_FIELDS, "calls": CALL_FIELDS, "costs": COST_FIELDS}


class CallGearClient(Client):
    """Posts calls, and pages by the number of rows received up to the total."""

    def __init__(self, sandbox: Sandbox, kind: str = "") -> None:
        super().__init__(sandbox)
        self.settings = sandbox.credentials("callgear", kind)
        self.url = str(self.settings["base_url"])
        self.token = self.settings.get("access_token")
        self.user = {"user_id": self.settings["user_id"]} if "user_id" in self.settings else {}

    def post(self, body: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post(self.url, content=content, headers={"Content-Type": "application/json; charset=UTF-8"})

    def send(self, method: str, **params: Any) -> httpx.Response:
        given = {"access_token": self.token, **params}
        given = {name: value for name, value in given.items() if value is not None}
        return self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": given})

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        body: dict[str, Any] = self.send(method, **params).json()
        assert "result" in body, body
        result: dict[str, Any] = body["result"]
        return result

    def refused(self, method: str, **params: Any) -> dict[str, Any]:
        body: dict[str, Any] = self.send(method, **params).json()
        assert list(body) == ["jsonrpc", "id", "error"]
        error: dict[str, Any] = body["error"]
        assert error["code"] == ERRORS[error["data"]["mnemonic"]][0]
        return error

    def why(self, method: str, **params: Any) -> str:
        return str(self.refused(method, **params)["data"]["mnemonic"])

    def sign_in(self) -> dict[str, Any]:
        body = {"login": self.settings["login"], "password": self.settings["password"]}
        data: dict[str, Any] = self.call("login.user", access_token=None, **body)["data"]
        self.token = data["access_token"]
        return data

    def pages(
        self, call: str, since: datetime, until: datetime, *, limit: int = 10_000, zone: ZoneInfo = BERLIN, **more: Any
    ) -> list[dict[str, Any]]:
        """Request a window up to the second before its end, until the total is reached or a page is empty."""
        last = until - timedelta(seconds=1)
        asked = {
            "date_from": f"{since.astimezone(zone):%Y-%m-%d %H:%M:%S}",
            "date_till": f"{last.astimezone(zone):%Y-%m-%d %H:%M:%S}",
            "sort": [{"field": "start_time", "order": "asc"}],
            **self.user,
            **more,
        }
        pages: list[dict[str, Any]] = []
        offset = 0
        while True:
            page = self.call(METHODS[call], limit=limit, offset=offset, **asked)
            pages.append(page)
            offset += len(page["data"])
            if not page["data"] or offset >= page["metadata"]["total_items"]:
                return pages

    def rows(self, call: str, since: datetime, until: datetime, **more: Any) -> list[dict[str, Any]]:
        return [row for page in self.pages(call, since, until, **more) for row in page["data"]]

    def day(self, **more: Any) -> list[dict[str, Any]]:
        """The legs of one day with every field."""
        return self.rows("legs", *DAY, **{"fields": names("legs"), **more})


Switched = Callable[..., CallGearClient]


def names(call: str) -> list[str]:
    return [name for name in FIELDS[call] if name not in {"wav_call_records", "utm_referrer"}]


def identity(row: dict[str, Any]) -> int:
    return int(row["id"] if "id" in row else row["leg_id"])


def ordered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=identity)


def window(since: str = "2026-11-18 00:00:00", until: str = "2026-11-18 23:59:59", **more: Any) -> dict[str, Any]:
    return {"date_from": since, "date_till": until, **more}


def few(n: int) -> Exchange:
    """An exchange with exactly n legs on the 18th by the account's clock."""
    return Exchange(calls=uniform(n, *DAY))


def login_of(client: CallGearClient) -> str:
    return str(client.settings["login"])
