"""Naive clients written from the providers' documents, a clock that is set by hand, and helpers."""

from __future__ import annotations

import hashlib
import json
import re
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import httpx

if TYPE_CHECKING:
    from types import TracebackType

    from cdrctl.sandbox import Sandbox

DATA = Path(__file__).parents[1] / "data"
GREGORIAN = 62_167_219_200
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def sample(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def at(text: str) -> datetime:
    """Read `2026-11-18T12:00` as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def quoted(text: str) -> str:
    return quote(text, safe="")


def gregorian(instant: datetime) -> int:
    return int(instant.timestamp()) + GREGORIAN


# Loading certificates takes most of the time to make a client, and nothing here is encrypted.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Client:
    """The base of the naive clients: it closes its connections."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.http = httpx.Client(trust_env=False, verify=_NO_TLS, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()


class WebexClient(Client):
    """Requests a window and follows the next links."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        settings = sandbox.credentials("webex")
        self.base_url = str(settings["base_url"])
        self.token = str(settings["access_token"])

    def get(self, url: str) -> httpx.Response:
        return self.http.get(url, headers={"Authorization": f"Bearer {self.token}"})

    def url(self, since: datetime, until: datetime, call: str = "cdr_feed", **more: Any) -> str:
        stamp = "%Y-%m-%dT%H:%M:%S.000Z"
        query = f"startTime={since:{stamp}}&endTime={until:{stamp}}"
        query += "".join(f"&{name}={value}" for name, value in more.items())
        return f"{self.base_url}/{call}?{query}"

    def ask(self, since: datetime, until: datetime, call: str = "cdr_feed", **more: Any) -> httpx.Response:
        return self.get(self.url(since, until, call, **more))

    def pages(self, since: datetime, until: datetime, call: str = "cdr_feed", **more: Any) -> list[httpx.Response]:
        """Follow links to the last page of one window."""
        url: str | None = self.url(since, until, call, **more)
        pages: list[httpx.Response] = []
        seen = set()
        while url is not None:
            assert url not in seen, "a next link came twice"
            seen.add(url)
            page = self.get(url)
            pages.append(page)
            link = re.search(r'<<?([^<>]+)>?;\s*rel="next"', page.headers.get("Link", ""))
            url = str(page.url.join(link[1])) if link else None
        return pages

    def all(
        self, since: datetime, until: datetime, call: str = "cdr_feed", *, hours: int = 12, **more: Any
    ) -> list[dict[str, Any]]:
        """Request window after window; a 404 is an empty window."""
        records: list[dict[str, Any]] = []
        while since < until:
            stop = min(since + timedelta(hours=hours), until)
            for page in self.pages(since, stop, call, **more):
                assert page.status_code in {200, 404}, page.text
                records += page.json().get("items", [])
            since = stop
        return records


@dataclass
class Listing:
    """Rows of all pages, and the pages."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    pages: list[httpx.Response] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [row["id"] for row in self.rows]


class KazooClient(Client):
    """Signs in with a token and follows start keys."""

    def __init__(self, sandbox: Sandbox, kind: str = "auth_token") -> None:
        super().__init__(sandbox)
        settings = sandbox.credentials("kazoo", kind)
        self.base_url = str(settings["base_url"])
        self.account = str(settings["account_id"])
        self.token = str(settings.get("auth_token", ""))

    def get(self, path: str, params: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        return self.http.get(
            f"{self.base_url}/accounts/{self.account}/{path}",
            params=params or {},
            headers={"X-Auth-Token": self.token, **headers},
        )

    def sign_in(self, kind: str = "api_key") -> httpx.Response:
        settings = self.sandbox.credentials("kazoo", kind)
        if kind == "api_key":
            body: dict[str, Any] = {"api_key": settings["api_key"]}
            way = "api_auth"
        else:
            text = f"{settings['username']}:{settings['password']}".encode()
            body = {"credentials": hashlib.sha1(text).hexdigest(), "method": "sha"}  # noqa: S324 - required by the API
            body |= {k: v for k, v in settings.items() if k in {"account_name", "account_realm"}}
            way = "user_auth"
        return self.http.put(f"{self.base_url}/{way}", json={"data": body})

    def list(self, lo: int, hi: int, path: str = "cdrs", *, most: int = 500, **more: Any) -> Listing:
        """List a range of Gregorian seconds, repeating every parameter with each key."""
        asked: dict[str, Any] = {"created_from": lo, "created_to": hi, **more}
        found = Listing()
        while len(found.pages) < most:
            page = self.get(path, asked)
            found.pages.append(page)
            assert page.status_code == 200, page.text
            body = page.json()
            found.rows += body["data"]
            if "next_start_key" not in body:
                break
            asked["start_key"] = body["next_start_key"]
        return found

    def month(self, since: datetime, until: datetime, path: str = "cdrs", **more: Any) -> set[str]:
        """Export by start with the documented workaround: one part per month, and an unpaged request between."""
        lo, hi = gregorian(since), gregorian(until)
        longest = 24 * 3600
        found: dict[str, dict[str, Any]] = {}
        begin = lo
        while begin < hi + longest:
            first = datetime.fromtimestamp(begin - GREGORIAN, UTC)
            month = datetime(first.year + first.month // 12, first.month % 12 + 1, 1, tzinfo=UTC)
            stop = min(gregorian(month) - 1, hi + longest)
            rows = self.list(begin, stop, path, **more).rows
            begin = stop + 1
            if begin <= hi + longest:
                probe = {"paginate": "false", "is_chunked": "false"}
                rows += self.list(begin - 1, begin + longest, path, **more | probe).rows
            found |= {row["id"]: row for row in rows}
        return {id_ for id_, row in found.items() if lo <= int(row["unix_timestamp"]) + GREGORIAN < hi}
