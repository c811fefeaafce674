"""Combines small pages that come in quick succession.

Cutting, typing and writing a page takes some time however few records it has. Where a provider sends 50 or 100 records
in a response, that is most of the time. Only for files: where somebody reads along, no page is held.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, nullcontext

from cdrctl.records.batches import RecordBatch
from cdrctl.records.decoding import FEW
from cdrctl.records.events import Event, Page

QUICK_SECONDS = 0.1
"""A page that took longer to come is handed on at once, with those that are held."""


def gathered(events: Iterable[Event], seconds: Callable[[], float] = time.monotonic) -> Generator[Event, None, None]:
    """Yield events in their order, with adjacent pages as one page as long as they come quickly.

    The first page is yielded as it comes, and a page is never held beyond another event, an error, or `FEW` records.
    The events are closed at the end.

    Args:
        events: The events.
        seconds: A clock.
    """
    held: list[Page] = []
    begun = False
    asked = seconds()
    with closing(events) if isinstance(events, Generator) else nullcontext():
        try:
            for event in events:
                quick = begun and seconds() - asked < QUICK_SECONDS
                if held and not _fits(held[-1], event):
                    yield _joined(held)
                    held = []
                if isinstance(event, Page) and isinstance(event.records, RecordBatch):
                    held.append(event)
                    begun = True
                    if not quick or sum(len(page.records) for page in held) >= FEW:
                        yield _joined(held)
                        held = []
                else:
                    yield event
                del event  # a large page is freed while the next one comes
                asked = seconds()
        except Exception:
            if held:
                yield _joined(held)
            raise
        if held:
            yield _joined(held)


def _fits(page: Page, event: Event) -> bool:
    """Return whether an event is a page that can be handed on together with another one."""
    return (
        isinstance(event, Page)
        and isinstance(event.records, RecordBatch)
        and isinstance(page.records, RecordBatch)
        and len(event.records) < FEW
        and page.records.fits(event.records)
        and page.context == event.context
    )


def _joined(pages: list[Page]) -> Page:
    """Return the records of several pages as one page."""
    if len(pages) == 1:
        return pages[0]
    batches = [page.records for page in pages if isinstance(page.records, RecordBatch)]
    return Page(batches[0].joined(batches[1:]), pages[0].context, number=sum(page.number for page in pages))
