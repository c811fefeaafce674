"""A CallGear service with scripted responses, and functions that make them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from cdrctl.errors import CdrctlError
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import Call, Query, connect
from cdrctl.fetchers.callgear import PROVIDER
from cdrctl.fetchers.callgear.settings import CallGearSettings
from cdrctl.http import Client, Clock
from cdrctl.records.events import Event
from cdrctl.records.schemas import raw
from cdrctl.windows import Window

DATA = Path(__file__).parents[1] / "data" / "callgear"
URL = "https://dataapi.callgear.com/v2.0"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")

Wire = dict[str, Any]
Rule = Callable[[Wire], httpx.Response]


def sample(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def at(text: str) -> datetime:
    """Return a UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def reply(body: Wire, data: Any, total: int | None = None, **metadata: Any) -> httpx.Response:
    """Return a successful response to a request."""
    said = {"version": None, "limits": {}, **({} if total is None else {"total_items": total}), **metadata}
    return httpx.Response(200, json={"jsonrpc": "2.0", "id": body["id"], "result": {"metadata": said, "data": data}})


def failed(
    body: Wire, code: int, mnemonic: str | None, message: str = "No.", status: int = 200, **data: Any
) -> httpx.Response:
    """Return a response with an error."""
    error = {"code": code, "message": message, "data": {"mnemonic": mnemonic, "metadata": {}, **data}}
    return httpx.Response(status, json={"jsonrpc": "2.0", "id": body["id"], "error": error})


def as_sent(name: str, body: Wire) -> httpx.Response:
    """Return a collected response, as one to this request."""
    answer = sample(name)
    return httpx.Response(200, json={**answer, "id": answer["id"] and body["id"]})


def _as_it_is(total: int) -> int | None:
    return total


@dataclass
class Service:
    """A small account: its rows by their true starts, and the interpretations that the documents allow.

    Args:
        rules: Responses in place of the account's own, by method; each request uses the next one.
    """

    rows: list[tuple[datetime, Wire]] = field(default_factory=list)
    zone: ZoneInfo = BERLIN
    by: str = "start"
    bounds: str = "closed"
    fold: int | None = 0
    short: int = 0
    totals: Callable[[int], int | None] = _as_it_is
    rules: dict[str, list[Rule]] = field(default_factory=dict)
    asked: list[Wire] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    now: datetime = NOW
    slept: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=lambda: {"access_token": "T0KEN"})
    tally: Tally = field(default_factory=Tally)

    def add(self, instant: datetime, seconds: int = 60, **more: Any) -> None:
        """Add a leg that began at an instant."""
        number = 9_000_000_000 + len(self.rows)
        wire = {
            "id": number,
            "call_session_id": 5_000_000_000 + len(self.rows),
            "start_time": self.local(instant),
            "total_duration": seconds,
            **more,
        }
        self.rows.append((instant, wire))

    def local(self, instant: datetime) -> str:
        return instant.astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S")

    def read(self, text: str) -> Any:
        """Return a bound as this service interprets it: as an instant, or as the text itself."""
        if self.fold is None:
            return text
        return datetime.fromisoformat(text).replace(tzinfo=self.zone, fold=self.fold).astimezone(UTC)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.read())
        self.requests.append(request)
        self.asked.append(body)
        assert body["jsonrpc"] == "2.0"
        rules = self.rules.get(body["method"]) or self.rules.get("*")
        if rules:
            return rules.pop(0)(body)
        if body["method"] == "get.account":
            return as_sent("constructed_get_account_ok.json", body)
        return self.listing(body)

    def found(self, params: Wire) -> list[Wire]:
        if "date_from" not in params:
            return [wire for _, wire in self.rows]
        first, last = self.read(params["date_from"]), self.read(params["date_till"])
        found = []
        for instant, wire in sorted(self.rows, key=lambda row: row[0]):
            moment = instant + (timedelta(seconds=wire["total_duration"]) if self.by == "end" else timedelta(0))
            value: Any = self.local(moment) if self.fold is None else moment
            low = first <= value if self.bounds in {"closed", "half_open"} else first < value
            high = value <= last if self.bounds in {"closed", "open_low"} else value < last
            if low and high:
                found.append(wire)
        return found

    def listing(self, body: Wire) -> httpx.Response:
        params = body["params"]
        found = self.found(params)
        offset, limit = params["offset"], params["limit"]
        size = max(1, limit - self.short) if self.short and offset == 0 else limit
        return reply(body, found[offset : offset + size], self.totals(len(found)))

    @property
    def params(self) -> list[Wire]:
        """The parameters of all requests for listings."""
        return [body["params"] for body in self.asked if body["method"].startswith("get.c") or "legs" in body["method"]]

    @property
    def spans(self) -> list[tuple[str, str]]:
        return [(params["date_from"], params["date_till"]) for params in self.params if params["limit"] > 1]

    def seconds(self) -> float:
        return (self.now - NOW).total_seconds()

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def log(self, level: str, text: str) -> None:
        if level not in {"debug", "progress"}:
            self.told.append(text)

    def client(self) -> Client:
        clock = Clock(lambda: self.now, self.seconds, self.sleep)
        return connect(
            PROVIDER,
            self.profile,
            clock=clock,
            log=self.log,
            conceal=self.secrets.extend,
            transport=httpx.MockTransport(self),
        )

    @property
    def profile(self) -> CallGearSettings:
        return CallGearSettings.of(self.settings)

    def pieces(
        self,
        since: datetime,
        until: datetime,
        call: str = "legs",
        fields: Sequence[str] | None = None,
        *,
        strict: bool = False,
        **options: Any,
    ) -> Iterator[Event]:
        chosen = {
            "filter": (),
            "orderby": (),
            "page_size": 10_000,
            "longest_call": timedelta(hours=24),
            "ongoing": False,
        }
        window = Window(since, until) if PROVIDER.call(call).start_in else None
        with closing(self.client()) as client:
            yield from PROVIDER.call(call).fetch(Query(client, self.profile, window, chosen | options, fields, strict))

    def records(self, since: datetime, until: datetime, call: str = "legs", **options: Any) -> list[Wire]:
        """Return the raw records of an export without duplicates and without records outside the window."""
        found: Call = PROVIDER.call(call)
        window = Window(since, until) if found.start_in else None
        pages = rows(
            self.pieces(since, until, call, **options),
            found,
            raw(),
            window,
            self.tally,
            self.log,
        )
        return [dict(one) for page in pages for one in page]

    def ids(self, since: datetime, until: datetime, call: str = "legs", **options: Any) -> list[int]:
        return [record["id"] for record in self.records(since, until, call, **options)]

    def fails(self, kind: type[CdrctlError] = CdrctlError, call: str = "legs", **options: Any) -> CdrctlError:
        """Return the error of an export, after checking that it shows no secret."""
        with pytest.raises(kind) as caught:
            self.ids(at("2026-11-18"), at("2026-11-19"), call, **options)
        shown = words(caught.value) + " ".join(self.told)
        assert not any(secret in shown for secret in ("T0KEN", "PASSW0RD"))
        return caught.value


def words(error: CdrctlError) -> str:
    return " ".join(str(one) for one in (error.message, error.said, error.hint) if one)


def a_day(count: int, **more: Any) -> Service:
    """Return an account with this many legs on 18 November, three in each second, and one a day before and after."""
    service = Service(**more)
    service.add(at("2026-11-17T12:00"))
    for number in range(count):
        service.add(at("2026-11-18T08:00") + timedelta(seconds=number // 3))
    service.add(at("2026-11-19T12:00"))
    return service


SINCE, UNTIL = at("2026-11-18"), at("2026-11-19")

BOUNDS = ("closed", "half_open", "open_low", "open")
