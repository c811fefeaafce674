"""Shared by the tests of this imitation: its client, samples and helpers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx

from cdrctl.sandbox import Exchange, Sandbox, uniform
from cdrctl.sandbox.portsip.sign_in import CLIENT_ID
from tests.sandbox.clients import Client, at, sample

DAY = at("2026-11-18"), at("2026-11-19")


EVENING = at("2026-11-18T12:00"), at("2026-11-19T00:00")


WEEK = at("2026-11-12"), at("2026-11-19")


REPORT: dict[str, Any] = {
    "name": "nightly",
    "type": "NORMAL",
    "email": "user@example.com",
    "format": "CSV",
    "range": "YESTERDAY",
    "filter": {"from": "ANY", "to": "ANY", "answer_state": "ANY", "duration": "ANY"},
}


Row = dict[str, Any]


def full(n: int, legs: int = 1) -> Exchange:
    """An exchange with exactly n calls in the evening of the day."""
    return Exchange(calls=uniform(n, *EVENING, legs=legs))


def window(since: datetime, until: datetime) -> str:
    stamp = "%Y-%m-%dT%H:%M:%S.%fZ"
    return f"started_at ge '{since:{stamp}}' and started_at lt '{until:{stamp}}'"


def errors(code: str, message: str, **more: Any) -> Row:
    return {"errors": [{"code": code, "message": message, **more}]}


NOT_SIGNED_IN = sample("portsip/doc_oauth_token_400_unauthorized.json")


def refused(field: str) -> Row:
    return errors("VALIDATE_FAILED", "field validation failed", detail={"field": field})


class PortSIPClient(Client):
    """Signs in with the newest API; pages by `skip` until the count is reached or a page is empty."""

    def __init__(self, sandbox: Sandbox, kind: str = "access_token") -> None:
        super().__init__(sandbox)
        self.settings = sandbox.credentials("portsip", kind)
        self.base_url = str(self.settings["base_url"])
        self.token = str(self.settings.get("access_token", ""))

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return self.http.request(method, f"{self.base_url}{path}", headers=headers | more.pop("headers", {}), **more)

    def get(self, path: str, **values: Any) -> httpx.Response:
        return self.ask("GET", path, params=values)

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self.ask("POST", path, json=body)

    def password(self, **changes: Any) -> Row:
        return {name: self.settings[name] for name in ("username", "password", "domain")} | changes

    def sign_in(self, **changes: Any) -> httpx.Response:
        self.token = ""
        answer = self.post("/auth/sign_in", self.password(**changes))
        self.token = answer.json().get("access_token", "")
        return answer

    def oauth(self, **form: Any) -> httpx.Response:
        sent = {"grant_type": "password", "scope": "all", "client_id": CLIENT_ID, **form}
        return self.http.post(f"{self.base_url}/login/oauth/token", data=sent)

    def pages(self, path: str, since: datetime, until: datetime, **more: Any) -> list[Row]:
        asked = {"filter": window(since, until), "orderby": "started_at asc", "count": "true", **more}
        pages: list[Row] = []
        skip = 0
        while True:
            answer = self.get(path, **asked, skip=skip)
            assert answer.status_code == 200, answer.text
            pages.append(answer.json())
            skip += len(pages[-1]["items"])
            if not pages[-1]["items"] or skip >= pages[-1].get("count", skip + 1):
                return pages

    def all(self, path: str, since: datetime, until: datetime, **more: Any) -> list[Row]:
        return [row for page in self.pages(path, since, until, **more) for row in page["items"]]

    def filtered(self, text: str, path: str = "/cdrs", **more: Any) -> list[Row]:
        """Request the calls of one day that pass a filter."""
        return self.all(path, *DAY, filter=f"{window(*DAY)} and ({text})", **more)

    def report(self, **changes: Any) -> str:
        answer = self.post("/call_reports", REPORT | changes)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def completed(self, **values: Any) -> list[Row]:
        items: list[Row] = self.get("/completed_call_reports", **values).json()["items"]
        return items

    def download(self, row: Row) -> httpx.Response:
        return self.http.get(f"{self.sandbox.url}{row['file_url']}")
