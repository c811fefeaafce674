"""Ask a provider for a window, and spell the records that come as the archive keeps them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from cdrctl.archive.index import UNPLACED, Entry, milliseconds
from cdrctl.archive.lines import csv_line
from cdrctl.archive.owner import Account
from cdrctl.archive.store import Archive
from cdrctl.export.availability import UP_TO_NOW, latest_start
from cdrctl.export.identity import stable_keys
from cdrctl.export.rows import Log, Tally, rows, starts_of
from cdrctl.fetchers import Call, identities
from cdrctl.records.batches import RowBatch
from cdrctl.records.events import Page, Row
from cdrctl.records.schemas import Schema, native
from cdrctl.windows import Window
from cdrctl.writers import jsonl
from cdrctl.writers.values import json_of, objects, text_of


def _no_clock() -> timedelta | None:
    return None


@dataclass(frozen=True, slots=True)
class Source:
    """Whom to ask for what: a call of a profile, ready to be asked.

    Args:
        profile: The profile's name.
        provider: The provider's name.
        call: The call.
        fetch: From a window to the pieces of it.
        tell: Told what happens meanwhile.
        clean: Takes secrets out of what is written down, such as the words of a provider.
        ahead: How far this machine's clock is ahead of the provider's; None as long as that is not known.
        account: Whose records these are, as far as the settings tell; None where nothing is known.
    """

    profile: str
    provider: str
    call: Call
    fetch: Callable[[Window], Iterator[Any]]
    log: Log
    clean: Callable[[str], str] = str
    ahead: Callable[[], timedelta | None] = _no_clock
    account: Account | None = None

    @property
    def difference(self) -> timedelta:
        """How far this machine's clock is ahead of the provider's; nothing where both agree to a minute."""
        by = self.ahead()
        return by if by is not None and abs(by) > UP_TO_NOW else timedelta(0)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the provider gave of a window: its records, the header of their file, and what could not be had."""

    window: Window
    read_at: datetime
    header: bytes
    entries: list[Entry]
    tally: Tally

    @property
    def whole(self) -> bool:
        """Whether everything that the provider has of the window came."""
        return not self.tally.gaps


def header_of(archive: Archive, call: Call) -> bytes:
    """Return the first line of a day's file of CSV; empty for JSON Lines."""
    schema = native(call.columns, None, lambda _text: None, call.expected)
    names = [column.name for column in schema.columns or ()]
    return csv_line(names) if archive.form.startswith("csv") else b""


def fetch_entries(archive: Archive, source: Source, window: Window, read_at: datetime) -> Fetched:
    """Return what the provider has of a window.

    Args:
        archive: The archive.
        source: The call.
        window: The window.
        read_at: The present instant, by the provider's clock as far as that is known.

    Raises:
        CdrctlError: It cannot be had.
    """
    call, tally = source.call, Tally()
    counted = source.difference  # in read_at

    def present() -> datetime:
        return read_at - (source.difference - counted)

    schema = native(call.columns, None, lambda text: source.log("warning", text), call.expected)
    in_csv = archive.form.startswith("csv")
    spell = _csv_lines if in_csv else _json_lines(schema)

    def entries(page: Page) -> list[Entry]:
        starts = starts_of(page, call, latest_start(present))
        keys = stable_keys(page.context, identities(page.records, call.identity))
        spelt = spell(cast("Sequence[Row]", schema.rows(page)))
        return [
            Entry(UNPLACED if start is None else milliseconds(start), key, line)
            for start, key, line in zip(starts, keys, spelt, strict=True)
        ]

    as_entries = Schema(None, cast("Any", entries))
    pages = rows(source.fetch(window), call, as_entries, window, tally, source.log, present=present)
    found = [cast("Entry", entry) for page in pages for entry in page]
    return Fetched(window, read_at, header_of(archive, call), found, tally)


def _json_lines(schema: Schema) -> Callable[[Sequence[Row]], list[bytes]]:
    """Return a function that writes records in one fixed form, so that a different line means a changed record."""
    encode = jsonl.encoder(schema)

    def spelt(page: Sequence[Row]) -> list[bytes]:
        if not (isinstance(page, RowBatch) and jsonl.plain(schema, page) and _spelt_in_one_way(page)):
            return [json_of(one) + b"\n" for one in objects(schema, page)]
        found = [line + b"\n" for line in encode(page).split(b"\n")[:-1]]
        odd = [at for at, line in enumerate(found) if b"\\" in line and _RARE_ESCAPE.search(line)]
        for at, one in zip(odd, objects(schema, [page[at] for at in odd]), strict=True):
            found[at] = json_of(one) + b"\n"
        return found

    return spelt


_RARE_ESCAPE = re.compile(rb'\\[^"\\nrt]')
"""What may be spelt in several ways."""


def _spelt_in_one_way(table: RowBatch) -> bool:
    """Return whether there are no numbers in a table but whole ones: others may be spelt in several ways."""
    columns = zip(table.columns, table.texts, strict=True)
    return all(text or set(map(type, column)) <= {str, int, bool, type(None)} for column, text in columns)


def _csv_lines(page: Sequence[Row]) -> list[bytes]:
    return [csv_line([text_of(value) for value in row]) for row in page]
