"""Wrong pages, as data: how a page is changed, and which exit code the user gets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class PageFault:
    """A provider that sends wrong pages, from its second page of records on.

    Args:
        name: The fault.
        change: Makes the page to send from the provider's page and the pages before it.
        times: How many pages are changed.
        codes: The exit code for each provider that can have the fault; 0 if every record comes all the same.
        unseen: The providers whose API has nothing that would show the fault.
        warned: The providers for which there is only a warning, because the sign of the fault is not always right.
        empty_too: Whether pages without records are changed as well.
    """

    name: str
    change: Callable[[Document, Sequence[Document]], Document]
    codes: Mapping[str, int]
    times: int = 1
    unseen: frozenset[str] = frozenset()
    warned: frozenset[str] = frozenset()
    empty_too: bool = False

    @property
    def about(self) -> AbstractSet[str]:
        """The providers that can have the fault."""
        return {*self.codes, *self.unseen, *self.warned}


@dataclass(frozen=True, slots=True)
class Document:
    """A page: its document, its headers, and the keys that lead to its records."""

    value: dict[str, Any]
    headers: Sequence[tuple[str, str]]
    within: tuple[str, ...]

    @property
    def container(self) -> str | None:
        """The key of the list of records."""
        holder = self.holder
        return next((name for name, one in holder.items() if isinstance(one, list) and one), None)

    @property
    def holder(self) -> dict[str, Any]:
        """The object that contains the list of records."""
        holder = self.value
        for name in self.within:
            holder = holder.get(name, {})
        return holder

    def having(self, **changes: Any) -> Document:
        """Return the page with changes to the object that contains the records."""
        return replace(self, value=_inside(self.value, self.within, changes))


def _inside(value: dict[str, Any], within: Sequence[str], changes: Mapping[str, Any]) -> dict[str, Any]:
    if not within:
        return {**value, **changes}
    return {**value, within[0]: _inside(value[within[0]], within[1:], changes)}


def records(page: Document) -> list[Any]:
    """Return the records of a page."""
    found: list[Any] = page.holder[page.container or ""]
    return found


def page_before(page: Document, before: Sequence[Document]) -> Document:
    """Send the previous page again, in the envelope of this request."""
    last = before[-1]
    kept = {name: page.value[name] for name in ("id",) if name in page.value}
    return replace(last, value={**last.value, **kept})


def without_records(page: Document, _before: Sequence[Document]) -> Document:
    return page.having(**{page.container or "": []})


def one_lost(page: Document, before: Sequence[Document]) -> Document:
    """Send the last record of the previous page again, and drop this page's own last one."""
    return page.having(**{page.container or "": [records(before[-1])[-1], *records(page)[:-1]]})


def cursor_again(page: Document, before: Sequence[Document]) -> Document:
    """Send this page's records with the previous page's link or key to the next page."""
    names = {"next_start_key"}
    link = [(name, value) for name, value in before[-1].headers if name.lower() == "link"]
    headers = [(name, value) for name, value in page.headers if name.lower() != "link"] + link
    changes = {name: before[-1].value[name] for name in names if name in before[-1].value}
    return replace(page.having(**changes), headers=headers)


def more_in_total(page: Document, _before: Sequence[Document]) -> Document:
    if "metadata" in page.holder:
        inner = page.holder["metadata"]
        return page.having(metadata={**inner, "total_items": inner["total_items"] + 3})
    return page.having(count=page.holder["count"] + 3)


def link_elsewhere(page: Document, _before: Sequence[Document]) -> Document:
    led = [
        (n, re.sub(r"http://[^/]+", "https://elsewhere.example", v) if n.lower() == "link" else v)
        for n, v in page.headers
    ]
    return replace(page, headers=led)


def codes(**given: int) -> Mapping[str, int]:
    """Return exit codes by provider."""
    return given


PAGE_FAULTS: tuple[PageFault, ...] = (
    PageFault(
        "a page comes again in place of the next one",
        page_before,
        codes(webex=7, kazoo=0, callgear=0, portsip=0),
        unseen=frozenset({"voicenter"}),
    ),
    PageFault(
        "the same page comes again and again",
        page_before,
        codes(webex=7, kazoo=7, callgear=3, portsip=3),
        times=1_000_000,
        warned=frozenset({"voicenter"}),
    ),
    PageFault(
        "a page without its records",
        without_records,
        codes(webex=0, callgear=0, portsip=0),
        warned=frozenset({"kazoo", "voicenter"}),
    ),
    PageFault(
        "a shifted page: one record comes twice, another not at all",
        one_lost,
        codes(webex=0, callgear=0, portsip=0),
        unseen=frozenset({"kazoo", "voicenter"}),
    ),
    PageFault("a link or key to a next page that was used before", cursor_again, codes(webex=7, kazoo=0)),
    PageFault(
        "a total that is higher than the number of records",
        more_in_total,
        codes(callgear=3, portsip=3),
        times=1_000_000,
        empty_too=True,
    ),
    PageFault("a link to another host", link_elsewhere, codes(webex=7)),
)
