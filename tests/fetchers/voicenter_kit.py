"""A Voicenter host with scripted responses, and functions that make them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from cdrctl.errors import CdrctlError
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import Query, connect
from cdrctl.fetchers.settings import Secret
from cdrctl.fetchers.voicenter import PROVIDER
from cdrctl.fetchers.voicenter.settings import VoicenterSettings
from cdrctl.http import Client, Clock
from cdrctl.records.events import Event
from cdrctl.records.schemas import raw
from cdrctl.windows import Window

DATA = Path(__file__).parents[1] / "data" / "voicenter"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = datetime(2026, 11, 18, tzinfo=UTC)
HOUR_LATER = DAY + timedelta(hours=1)

SECRET = "c0dec0dec0dec0de"
OPTIONS: Mapping[str, Any] = {
    **dict.fromkeys(("phone", "extension", "type", "queue", "campaign"), ()),
    **dict.fromkeys(("identity", "call_id")),
    "longest_window": timedelta(days=1),
    "longest_call": timedelta(0),
}

Rule = Callable[[dict[str, Any]], httpx.Response]


def sample(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def s(seconds: float, *, on: datetime = DAY) -> datetime:
    return on + timedelta(seconds=seconds)


def record(name: str, at: datetime, **more: Any) -> dict[str, Any]:
    stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"CallID": name, "CdrType": 1, "Type": "Incoming Call", "Date": stamp, **more}


def reply(*records: Any, **more: Any) -> httpx.Response:
    counters = {"TOTAL_HITS": len(records), "RETURN_HITS": len(records)}
    body = {"ERROR_NUMBER": 0, "ERROR_DESCRIPTION": "OK", "STATUS_CODE": 200, **counters, "CDR_LIST": [*records]}
    return httpx.Response(200, json={key: value for key, value in {**body, **more}.items() if value != "left out"})


def error(number: Any, words: str = "no", status: int = 200) -> httpx.Response:
    return httpx.Response(status, json={"ERROR_NUMBER": number, "ERROR_DESCRIPTION": words, "CDR_LIST": []})


class Voicenter:
    """A service that sends responses in order and then by the last rule, and exports with one profile."""

    def __init__(self, *answers: httpx.Response | Rule, **settings: Any) -> None:
        self.answers = list(answers)
        self.settings = VoicenterSettings.of({"code": Secret(SECRET)} | settings)
        self.now = NOW
        self.requests: list[httpx.Request] = []
        self.at: list[float] = []
        self.slept: list[float] = []
        self.told: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        self.at.append(self.seconds())
        if not self.answers:
            return reply()
        first = self.answers[0]
        if isinstance(first, httpx.Response):
            self.answers.pop(0)
            return first
        return first(json.loads(request.content))

    def seconds(self) -> float:
        return (self.now - NOW).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def client(self) -> Client:
        return connect(
            PROVIDER,
            self.settings,
            clock=Clock(now=lambda: self.now, monotonic=self.seconds, sleep=self.sleep),
            log=lambda level, text: self.told.append((level, text)),
            conceal=lambda _secrets: None,
            transport=httpx.MockTransport(self),
        )

    def pieces(self, since: datetime = DAY, until: datetime = HOUR_LATER, **options: Any) -> Iterator[Event]:
        with closing(self.client()) as client:
            yield from PROVIDER.call("cdrs").fetch(
                Query(client, self.settings, Window(since, until), {**OPTIONS, **options})
            )

    def fetch(self, *args: Any, **options: Any) -> list[Event]:
        return list(self.pieces(*args, **options))

    def export(self, since: datetime = DAY, until: datetime = HOUR_LATER, **options: Any) -> tuple[list[str], Tally]:
        """Return the ids of an export, and its tally."""
        tally, call = Tally(), PROVIDER.call("cdrs")
        window = Window(since, until)
        pages = rows(self.fetch(since, until, **options), call, raw(), window, tally, lambda _level, _text: None)
        return [str(dict(one)["CallID"]) for page in pages for one in page], tally

    def fails(self, *args: Any, **options: Any) -> CdrctlError:
        with pytest.raises(CdrctlError) as caught:
            self.fetch(*args, **options)
        assert SECRET not in words(caught.value)
        return caught.value

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests]

    @property
    def windows(self) -> list[tuple[str, str]]:
        """The windows of all requests, without their year and month."""
        searches = [body["search"] for body in self.bodies]
        return [(search["fromdate"][8:], search["todate"][8:]) for search in searches]


def words(error: CdrctlError) -> str:
    return " | ".join(filter(None, (error.message, error.said, error.hint)))


LASTS = 600
"""The length of a host's calls, in seconds."""


@dataclass
class Host:
    """A host that knows its calls, with every behaviour that the documents allow.

    Args:
        starts: Second of the day by id.
        most: The largest number of records in a response.
        over: How a response shows that there are more.
        closed: Whether `todate` belongs to the window.
        grain: The unit of its bounds, in seconds.
        days: The longest window that it accepts, in days.
    """

    starts: Sequence[int]
    most: int = 3
    over: Literal["counters", "error3"] = "counters"
    closed: bool = True
    grain: int = 1
    minute_is_whole: bool = False
    days: float | None = None
    asked: int = field(default=0)

    def __call__(self, body: dict[str, Any]) -> httpx.Response:
        self.asked += 1
        first, last = (self._second(body["search"][name]) for name in ("fromdate", "todate"))
        if self.days is not None and last - first > self.days * 86_400:
            return error(5, "Date range invalid")
        found = [(n, at) for n, at in enumerate(self.starts) if self._within(first, at, last)]
        if len(found) > self.most and self.over == "error3":
            return error(3, "CDR limit exceeded.")
        records = [record(f"c{n}", s(at), Duration=LASTS) for n, at in found[: self.most]]
        counters = {"TOTAL_HITS": len(found), "RETURN_HITS": len(records)} if self.over == "counters" else {}
        return httpx.Response(200, json={"ERROR_NUMBER": 0, **counters, "CDR_LIST": records})

    def _second(self, text: str) -> int:
        seconds = int((datetime.fromisoformat(text).replace(tzinfo=UTC) - DAY).total_seconds())
        return seconds - seconds % self.grain

    def _within(self, first: int, at: int, last: int) -> bool:
        if self.minute_is_whole:
            at -= at % self.grain
        return first <= at <= last if self.closed else first <= at < last
