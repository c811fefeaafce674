"""A Kazoo export for tests, with samples and readers of records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import Query, connect
from cdrctl.fetchers.kazoo import PROVIDER
from cdrctl.fetchers.kazoo.columns import COLUMNS
from cdrctl.fetchers.kazoo.settings import KazooSettings
from cdrctl.records import schemas
from cdrctl.records.columns import Column
from cdrctl.records.events import Page
from cdrctl.records.readers import GREGORIAN_UNIX_OFFSET
from cdrctl.windows import Window
from tests.support.clock import NOON, HandClock

DATA = Path(__file__).parents[1] / "data" / "kazoo"

ACCOUNT = "0123456789abcdef0123456789abcdef"
CONTEXT = {"account_id": ACCOUNT, "currency": "USD"}
LISTING: dict[str, Any] = {
    "user": None,
    "account": None,
    "descendants": False,
    "filter": (),
    "utc_offset": None,
    "longest_call": timedelta(hours=24),
    "page_size": 50,
}


def sample(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(since: str, until: str) -> Window:
    return Window(at(since), at(until))


def gregorian(text: str) -> int:
    return int(at(text).timestamp()) + GREGORIAN_UNIX_OFFSET


@dataclass
class Run:
    """The result of one export."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    contexts: list[Mapping[str, str]] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    duplicates: int = 0
    requests: int = 0
    waited: float = 0.0

    @property
    def ids(self) -> list[str]:
        return sorted(row["id"] for row in self.rows)


def fetched(
    settings: Mapping[str, Any],
    call: str,
    span: Window | None,
    options: Mapping[str, Any] | None = None,
    *,
    transport: httpx.BaseTransport | None = None,
    clock: HandClock | None = None,
    now: datetime = NOON,
    run: Run | None = None,
    secrets: list[str] | None = None,
) -> Run:
    """Run one call through the loop of every export, without waiting."""
    clock = clock or HandClock(now)
    made = KazooSettings.of(settings)
    seen = run or Run()
    known = PROVIDER.call(call)
    base = LISTING if known.windowed else {"account": None}
    tally = Tally()
    conceal: Callable[[Sequence[str]], None] = (lambda _: None) if secrets is None else secrets.extend
    client = connect(
        PROVIDER,
        made,
        clock=clock.clock,
        log=lambda _level, text: seen.told.append(text),
        conceal=conceal,
        transport=transport,
    )
    with closing(client):
        pieces = known.fetch(Query(client, made, span, {**base, **(options or {})}))
        for page in rows(pieces, known, keeping(), span, tally, lambda _level, text: seen.told.append(text)):
            for kept in page:
                assert isinstance(kept, dict)
                seen.rows.append(kept["row"])
                seen.contexts.append(kept["context"])
        seen.requests = client.requests
    seen.gaps = [gap.what for gap in tally.gaps]
    seen.duplicates = tally.duplicates
    seen.waited = clock.seconds
    return seen


def keeping() -> schemas.Schema:
    """Return a schema that leaves records unchanged and keeps the context of their page."""
    return schemas.Schema(None, lambda page: [{"row": row, "context": page.context} for row in page.records])


def natively(rows: Iterable[dict[str, Any]], columns: Sequence[Column] = COLUMNS) -> list[dict[str, Any]]:
    """Return rows as native values by column name; a value that cannot be read fails the test."""

    def no(text: str) -> None:
        assert "does not know" in text, text

    schema = schemas.native(columns, None, no)
    assert schema.columns is not None
    names = [column.name for column in schema.columns]
    made = schema.rows(Page(list(rows), CONTEXT))
    return [dict(zip(names, row, strict=True)) for row in made]


def commonly(record: dict[str, Any], call: str = "cdrs") -> dict[str, Any]:
    """Return one record as a common CDR, whatever its values are."""
    known = PROVIDER.call(call)
    assert known.common is not None
    schema = schemas.common(known.columns, known.common, None, lambda _: None, provider="kazoo", profile="lab")
    assert schema.columns is not None
    [row] = schema.rows(Page([record], CONTEXT))
    return dict(zip([column.name for column in schema.columns], row, strict=True))


ROW: dict[str, Any] = sample("recorded_crossbar50_list_page1_chunked.json")["data"][0]
DOCUMENT_LEG: dict[str, Any] = sample("recorded_crossbar50_cdr_detail.json")["data"]


def row_but(**changes: Any) -> dict[str, Any]:
    return {**ROW, **changes}


def leg_but(ccv: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {**DOCUMENT_LEG, **changes, "custom_channel_vars": {**DOCUMENT_LEG["custom_channel_vars"], **(ccv or {})}}
