"""Repairs damaged records before they are written: replaces invalid text, and reports what is lost."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from cdrctl.damage import Damage, is_undamaged, mend, without_surrogates
from cdrctl.records.batches import RecordBatch
from cdrctl.records.events import Gap, Page, Record

LONGEST_NAME = 80
"""Characters of a record's id in a message."""


def mender(
    identity: Callable[[Record], str], log: Callable[[Gap], None], warn: Callable[[str], None], *, raw: bool
) -> Callable[[Page], Page]:
    """Return a function that repairs the records of a page.

    Bytes that are not UTF-8, and lone surrogates, become U+FFFD, with one warning for each of the two that names the
    first such record. A record with a value that cannot be represented is left out, and is a gap. Raw records keep lone
    surrogates, which JSON can represent.

    Args:
        identity: Returns the id of a record.
        log: Called with the gaps.
        warn: Called with the warnings.
        raw: The records are written raw.
    """
    warned: set[str] = set()

    def say(what: str, record: Record) -> None:
        if what not in warned:
            warned.add(what)
            warn(
                f"{_name(identity, record)} contains {what}; such values are replaced by U+FFFD, also in other records"
            )

    def mend_page(page: Page) -> Page:
        records, context = page.records, page.context
        if context and not all(map(str.isascii, context.values())):
            context = {name: without_surrogates(value) for name, value in context.items()}
        if isinstance(records, RecordBatch) or is_undamaged(records):
            return replace(page, context=context)
        kept: list[Record] = []
        later: set[int] = set()
        for at, record in enumerate(records):
            damage = Damage()
            good = mend(record, damage, raw=raw)
            if damage.bytes:
                say("bytes that are not UTF-8", good)
            if damage.halves:
                say("halves of surrogate pairs", good)
            if damage.unreadable:
                what = ", ".join(dict.fromkeys(damage.unreadable))
                hint = "the record is left out; report it to the provider's support"
                log(Gap(f"{_name(identity, good)} cannot be read: it contains {what}", hint))
            else:
                if at in page.later:
                    later.add(len(kept))
                kept.append(good)
        return Page(kept, context, frozenset(later))

    return mend_page


def _name(identity: Callable[[Record], str], record: Record) -> str:
    """Return a record's id for messages: the provider's name of it, not its content."""
    name = " ".join(without_surrogates(identity(record)).split())
    shown = "".join(char if char.isprintable() else "\ufffd" for char in name[:LONGEST_NAME])
    return f"record {shown}" if shown else "a record"
