"""Merges a day of a provider into an archive twice: `python -m benchmarks.merges PROVIDER FORMAT CALLS DIR`.

The records are those of the sandbox, without HTTP: only the archive is measured. In the second response every hundredth
record is missing, and every other hundredth has another first text.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cdrctl.archive.fetching import Source
from cdrctl.archive.ledgers import open_ledger
from cdrctl.archive.store import open_or_create
from cdrctl.archive.sync import sync
from cdrctl.fetchers import load
from cdrctl.records.events import Page
from cdrctl.sandbox import Exchange, start, uniform
from cdrctl.windows import Window

PAGE = 500
"""Records of a page."""
CONTEXT = {"timezone": "UTC"}
"""The context of a page, for providers whose times need one."""


def main(words: Sequence[str]) -> None:
    """Merge the day that the command line describes."""
    name, form, calls, folder = words
    day = datetime(2026, 11, 19, tzinfo=UTC)
    now = day + timedelta(days=1, hours=3)
    call = load(name).calls[0]
    exchange = Exchange(calls=uniform(int(calls), day, day + timedelta(days=1)))
    with start(now=lambda: now, exchange=exchange, providers=[name]) as sandbox:
        records = sandbox.truth(name, call.name, day, day + timedelta(days=1))

    def fetch(window: Window) -> Iterator[Any]:
        mine = [one for one in sent if (at := call.starts(one, CONTEXT)) is None or window.holds(at)]
        yield from (Page(mine[at : at + PAGE], CONTEXT) for at in range(0, len(mine), PAGE))

    archive = open_or_create(Path(folder), "UTC", form)
    ledger, sent = open_ledger(archive), records
    source = Source("bench", name, call, fetch, lambda *_: None)
    sync(archive, ledger, source, lambda: now, since=day)
    sent = [_changed(one) if at % 100 == 1 else one for at, one in enumerate(records) if at % 100]
    outcome = sync(archive, ledger, source, lambda: now, lookback=timedelta(days=5))
    total = sum(one.records for one in ledger.files())
    if total < len(records):
        raise SystemExit(f"{total} of {len(records)} records are left")
    print(f"merged {len(records)}: {outcome.changed} changed, {outcome.gone} gone")


def _changed(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "benchmark": "changed"}


if __name__ == "__main__":
    main(sys.argv[1:])
