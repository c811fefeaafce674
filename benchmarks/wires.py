"""The providers of the benchmark's server: the records of each call with marks, and the answers to its requests.

A page is bytes with marks, which become its number and the instant at which its calls began. The records come from the
sandbox's telephone exchange. An answer is a sequence of byte strings, so that no page is copied.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx

from benchmarks import checks
from cdrctl import sandbox

Record = Mapping[str, object]

MADE_UP = date(2026, 11, 19)
"""The day whose records are sent under the requested date, so that every run measures the same bytes."""

DIFFERENT = 5_000
"""Records that differ in more than id and start; a larger page has them several times."""

GREGORIAN = 62_167_219_200
"""Seconds from the year 0 to 1970: Kazoo's times begin there."""

NUMBER, TENTH, DAY, UNIX, KAZOO = "@@PAGE@@", "@@:@@:@@.@", "@@DAY---@@", "@@UNIX--@@", "@@GREGOR-@@"
TIME = TENTH[:-2]
BARE = "@#"
"""Surrounds a text in a record that becomes a number without quotes."""

TOKEN = b'{"access_token": "t", "expires_in": 86400, "token_type": "Bearer", "role_name": "Admin"}'
MOST = 10_000
"""The largest number of records in a response of Voicenter."""


A_TENTH = timedelta(milliseconds=100)


@dataclass(frozen=True, slots=True)
class Pages:
    """All pages of one call: their bodies, when their calls began, and how many records the last one has.

    Args:
        began: When the calls of each page began, in tenths of a second from the first page on, rising.
        start: When the calls of the first page began.
    """

    call: str
    count: int
    size: int
    start: datetime
    made: Callable[[int], bytes]
    began: list[int]

    def __len__(self) -> int:
        return len(self.began)

    def body(self, page: int) -> bytes:
        """Return the records of a page, separated by commas, without brackets."""
        return self.made(page)

    def within(self, since: datetime | None, until: datetime | None) -> tuple[int, int]:
        """Return the first page of a window and the one after its last; a page is of one tenth of a second."""
        first = 0 if since is None else bisect_left(self.began, self._tenth(since))
        return first, len(self) if until is None else bisect_left(self.began, self._tenth(until))

    def records(self, first: int, last: int) -> int:
        """Return how many records are on these pages."""
        return max(0, min(last * self.size, self.count) - first * self.size)

    def _tenth(self, instant: datetime) -> int:
        return -((self.start - instant) // A_TENTH)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its target, its body, and the host that it names."""

    target: str
    body: bytes = b""
    host: str = ""

    @property
    def query(self) -> dict[str, list[str]]:
        """The parameters of the target."""
        return parse_qs(self.target.partition("?")[2])


Reply = tuple[str, Sequence[bytes]]
"""Further headers and the parts of the body of an answer."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What the server knows of a provider.

    Args:
        answer: From pages and a request to the answer.
        marked: From a record, its id and its position to the fields that differ from page to page.
        path: The path of the provider's base URL.
        settings: Settings of a profile besides provider and base URL.
        resolution: Tenths of a second between the starts of two pages, at least.
        separators: How JSON is written between values.
        newest_first: Whether the first page has the newest records.
    """

    answer: Callable[[Pages, Asked], Reply]
    marked: Callable[[str, str, int, int], dict[str, object]]
    path: str
    settings: Mapping[str, str]
    resolution: int = 10
    separators: tuple[str, str] = (",", ":")
    newest_first: bool = False


def webex(pages: Pages, asked: Asked) -> Reply:
    """Answer as `cdr_feed` and `cdr_stream` do: pages of one window, each with a link to the next."""
    since, until = (datetime.fromisoformat(asked.query[name][0]) for name in ("startTime", "endTime"))
    first, last = pages.within(since, until)
    page = first + int(asked.query.get("page", ["0"])[0])
    if page >= last:
        return "", [b'{"items": []}']
    link = ""
    if page + 1 < last:
        path = re.sub(r"&page=\d+", "", asked.target)
        link = f'Link: <http://{asked.host}{path}&page={page + 1 - first}>; rel="next"\r\n'
    return link, [b'{"items": [', pages.body(page), b"]}"]


def portsip(pages: Pages, asked: Asked) -> Reply:
    """Answer as `GET /cdrs` and `/calllogs` do: pages by `skip`, each with the number of all records of the filter."""
    if "/auth/" in asked.target:
        return "", [TOKEN]
    words = asked.query.get("filter", [""])[0]
    bounds = (re.search(rf"started_at {word} '([^']+)'", words) for word in ("ge", "lt"))
    first, last = pages.within(*(found and datetime.fromisoformat(found[1]) for found in bounds))
    skip, top = int(asked.query["skip"][0]), int(asked.query.get("top", ["100"])[0])
    head = b'{"count": %d, "items": [' % pages.records(first, last)
    return "", [head, _part(pages, first, last, skip, top), b"]}"]


def kazoo(pages: Pages, asked: Asked) -> Reply:
    """Answer as Crossbar's listings do: the newest page first, each with the key of the next."""
    if "created_from" in asked.query:
        lo, hi = (
            datetime.fromtimestamp(int(asked.query[name][0]) - GREGORIAN, UTC)
            for name in ("created_from", "created_to")
        )
        first, last = pages.within(lo, hi + timedelta(seconds=1))
    else:
        first, last = 0, len(pages)
    if asked.query.get("paginate") == ["false"]:
        every = b",".join(map(pages.body, reversed(range(first, last))))
        return "", [b'{"data":[', every, b'],"status":"success"}']
    page = int(asked.query.get("start_key", [str(last - 1)])[0])
    if page < first:
        return "", [b'{"data":[],"page_size":0,"status":"success"}']
    key = b'"next_start_key":"%d",' % (page - 1) if page > first else b""
    tail = b'],%s"page_size":%d,"start_key":"%d","status":"success","version":"5.0.0"}' % (key, pages.size, page)
    return "", [b'{"data":[', pages.body(page), tail]


def callgear(pages: Pages, asked: Asked) -> Reply:
    """Answer as the Data API does: JSON-RPC, pages by `offset`, each with the total of the window."""
    request = json.loads(asked.body)
    number, params = request["id"], request["params"]
    head, tail = b'{"jsonrpc":"2.0","id":%d,"result":{"data":[' % number, b'],"metadata":{"limits":{}%s}}}'
    if request["method"] == "get.account":
        return "", [head, b'{"app_id":1103,"name":"Acme","timezone":"UTC"}', tail % b""]
    lo, hi = (datetime.fromisoformat(params[name]).replace(tzinfo=UTC) for name in ("date_from", "date_till"))
    first, last = pages.within(lo, hi + timedelta(seconds=1))
    part = _part(pages, first, last, params["offset"], params["limit"])
    return "", [head, part, tail % (b',"total_items":%d' % pages.records(first, last))]


def voicenter(pages: Pages, asked: Asked) -> Reply:
    """Answer as the Call Log does: all records of a window, or the first ones if they are too many."""
    search = json.loads(asked.body)["search"]
    lo, hi = (datetime.fromisoformat(search[name]).replace(tzinfo=UTC) for name in ("fromdate", "todate"))
    first, last = pages.within(lo, hi + timedelta(seconds=1))
    shown = max(first, min(last, first + MOST // pages.size))
    head = b'{"ERROR_NUMBER":0,"ERROR_DESCRIPTION":"OK","STATUS_CODE":200,"TOTAL_HITS":%d,"RETURN_HITS":%d,"CDR_LIST":['
    counts = (pages.records(first, last), pages.records(first, shown))
    return "", [head % counts, b",".join(map(pages.body, range(first, shown))), b"]}"]


def _part(pages: Pages, first: int, last: int, skip: int, top: int) -> bytes:
    """Return some records from a number on: a page, or a part of one."""
    page = first + skip // pages.size
    if page >= last:
        return b""
    body = pages.body(page)
    if top >= pages.size and skip % pages.size == 0:
        return body
    return json.dumps(json.loads(b"[%s]" % body)[skip % pages.size :][:top], ensure_ascii=False).encode()[1:-1]


def _webex_marks(_call: str, identity: str, place: int, count: int) -> dict[str, object]:
    return {"Report ID": identity, "Start time": f"{DAY}T{TENTH}{place * 100 // count:02}Z"}


def _portsip_marks(_call: str, identity: str, place: int, count: int) -> dict[str, object]:
    return {"id": identity, "started_at": f"{DAY}T{TENTH}{place * 100_000 // count:05}Z"}


def _kazoo_marks(call: str, identity: str, place: int, _count: int) -> dict[str, object]:
    if call == "legs":
        return {"id": identity}
    begun = {"interaction_id": f"{KAZOO}-{identity}"} if call == "interactions" else {}
    return {
        **begun,
        "id": identity,
        "timestamp": KAZOO,
        "unix_timestamp": UNIX,
        "unix_timestamp_micro": f"{UNIX}.{place:06}",
        "datetime": f"{DAY}_{TIME}",
        "iso_8601": DAY,
        "iso_8601_combined": f"{DAY}T{TIME}Z",
    }


def _callgear_marks(call: str, identity: str, _place: int, _count: int) -> dict[str, object]:
    return {"leg_id" if call == "costs" else "id": BARE + identity + BARE, "start_time": f"{DAY} {TIME}"}


def _voicenter_marks(call: str, identity: str, _place: int, _count: int) -> dict[str, object]:
    if call == "notifications":
        return {"ivruniqueid": identity, "time": BARE + UNIX + BARE}
    return {"CallID": identity, "Date": f"{DAY}T{TIME}Z", "DateEpoch": BARE + UNIX + BARE}


_A_TOKEN = {"access_token": "a token of the benchmark"}

WIRES = {
    "webex": Wire(webex, _webex_marks, "/v1", _A_TOKEN, 1, (", ", ": ")),
    "portsip": Wire(portsip, _portsip_marks, "/api", _A_TOKEN, 1, (", ", ": ")),
    "kazoo": Wire(kazoo, _kazoo_marks, "/v2", {"auth_token": "a.token.of", "account_id": "0" * 32}, newest_first=True),
    "callgear": Wire(callgear, _callgear_marks, "/v2.0", {**_A_TOKEN, "app_host": "https://app.callgear.com"}),
    "voicenter": Wire(voicenter, _voicenter_marks, "/hub/cdr/", {"code": "a code of the benchmark"}),
}


def records(provider: str, call: str, count: int, day: date) -> list[dict[str, Any]]:
    """Return wire records of a made-up telephone exchange, with marks where they must differ from page to page."""
    found = _made_up(provider, call, min(count, DIFFERENT))
    later = day - MADE_UP
    found = json.loads(
        re.sub(
            r'(?<=")\d{4}-\d\d-\d\d(?=[T ]\d\d:)',
            lambda match: (date.fromisoformat(match[0]) + later).isoformat(),
            json.dumps(found),
        )
    )
    wire = WIRES[provider]
    return [
        {
            **found[place % len(found)],
            **wire.marked(call, checks.identity(provider, NUMBER, place), place, count),
        }
        for place in range(count)
    ]


def _made_up(provider: str, call: str, count: int) -> list[dict[str, Any]]:
    """Return the records of enough days before the prepared one to have the number that is asked for, or of 25 days."""
    found: list[dict[str, Any]] = []
    at = datetime(MADE_UP.year, MADE_UP.month, MADE_UP.day, tzinfo=UTC) + timedelta(days=1)
    with sandbox.start(now=lambda: at, providers=[provider]) as running:
        if (provider, call) == ("kazoo", "legs"):
            return _documents(running, at)
        until, call = at, "cdrs" if (provider, call) == ("webex", "legs") else call
        while len(found) < count and at - until < timedelta(days=25):
            found += running.truth(provider, call, until - timedelta(days=1), until)
            until -= timedelta(days=1)
    return found


def _documents(running: sandbox.Sandbox, at: datetime) -> list[dict[str, Any]]:
    """Return the legs of an interaction as Kazoo sends them in full."""
    profile = running.credentials("kazoo")
    rows = running.truth("kazoo", "interactions", at - timedelta(hours=3), at)
    with httpx.Client(base_url=str(profile["base_url"])) as client:
        token = client.put("/api_auth", json={"data": {"api_key": profile["api_key"]}}).json()["auth_token"]
        path = f"/accounts/{profile['account_id']}/cdrs/legs/{rows[0]['interaction_id']}"
        legs: list[dict[str, Any]] = client.get(path, headers={"X-Auth-Token": token}).json()["data"]
    return legs


def stamped(template: bytes, page: int, began: datetime) -> bytes:
    """Return the bytes of a page: marks become its number, and the instant at which its calls began."""
    unix = int(began.timestamp())
    values = {
        NUMBER: f"{page:08}",
        TENTH: f"{began:%H:%M:%S}.{began.microsecond // 100_000}",
        TIME: f"{began:%H:%M:%S}",
        DAY: f"{began:%Y-%m-%d}",
        UNIX: f"{unix:010}",
        KAZOO: f"{unix + GREGORIAN:011}",
    }
    for mark, value in values.items():
        template = template.replace(mark.encode(), value.encode())
    return template


def template(provider: str, those: Sequence[Record]) -> bytes:
    """Return records as a part of a JSON list, without its brackets, with marks."""
    text = json.dumps(those, ensure_ascii=False, separators=WIRES[provider].separators)[1:-1]
    return text.replace(f'"{BARE}', "").replace(f'{BARE}"', "").encode()
