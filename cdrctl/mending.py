"""Damaged records on their way to a writer: what is mended, what is said of it, and what cannot be kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cdrctl.damage import Damage, mended, plain, undamaged
from cdrctl.records.batches import RecordBatch
from cdrctl.records.events import Gap, Page, Record

LONGEST_NAME = 80
"""Characters of a record's id that are shown."""


def mending(
    identity: Callable[[Record], str], log: Callable[[Gap], None], warn: Callable[[str], None], *, raw: bool
) -> Callable[[Page], Page]:
    """Return the function that mends the records of a page.

    Text that is not UTF-8, and half surrogate pairs, get U+FFFD in the place of what cannot be read, with one warning
    for each of the two that names the first such record. A record with a value that cannot be held is left out, and is
    a gap. Records that are wanted raw keep half surrogate pairs, which JSON can say.
    """
    warned: set[str] = set()

    def say(what: str, record: Record) -> None:
        if what not in warned:
            warned.add(what)
            warn(f"{_name(identity, record)} holds {what}; U+FFFD stands in their place, here and in other records")

    def mend(page: Page) -> Page:
        records, context = page.records, page.context
        if context and not all(map(str.isascii, context.values())):
            context = {name: plain(value) for name, value in context.items()}
        if isinstance(records, RecordBatch) or undamaged(records):
            return replace(page, context=context)
        kept: list[Record] = []
        later: set[int] = set()
        for at, record in enumerate(records):
            damage = Damage()
            good = mended(record, damage, raw=raw)
            if damage.bytes:
                say("bytes that are not UTF-8", good)
            if damage.halves:
                say("halves of surrogate pairs", good)
            if damage.unreadable:
                what = ", ".join(dict.fromkeys(damage.unreadable))
                hint = "the record is left out; tell the provider's support"
                log(Gap(f"{_name(identity, good)} cannot be read: it holds {what}", hint))
            else:
                if at in page.later:
                    later.add(len(kept))
                kept.append(good)
        return Page(kept, context, frozenset(later))

    return mend


def _name(identity: Callable[[Record], str], record: Record) -> str:
    """Return a record's id as said in messages; it is not its content, but what the provider calls it by."""
    name = " ".join(plain(identity(record)).split())
    shown = "".join(char if char.isprintable() else "\ufffd" for char in name[:LONGEST_NAME])
    return f"record {shown}" if shown else "a record"
