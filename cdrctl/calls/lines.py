"""Reads legs of JSON Lines as batches: columns of many lines at a time, without a dict for each.

A batch is as `records.decoding` makes it. Lines that do not fit, such as those with new fields, make the decoder adapt;
lines that no decoder fits are read one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, BinaryIO

import msgspec

from cdrctl.records.batches import ABSENT, KeyFields, RecordBatch
from cdrctl.records.columns import Column, is_text
from cdrctl.records.events import Record

CHUNK = 256 * 1024
"""Bytes that are read at once: about as many as the processor's caches hold, decoded."""

_MOST_REFITS = 16
_NOTHING = KeyFields("", "")


class LegBatch(RecordBatch):
    """A batch of legs, with their ids and with the span of their starts as texts or numbers."""

    __slots__ = ("keys", "starts_of")

    keys: Sequence[str]
    starts_of: Sequence[Any]

    @property
    def identities(self) -> Sequence[str]:
        """The id of each leg."""
        return self.keys

    def starts_in(self, context: Mapping[str, str]) -> Any:  # noqa: ARG002 - they are compared as they came
        """Return the starts as the provider writes them.

        Raises:
            ValueError: They cannot be compared.
        """
        if set(map(type, self.starts_of)) not in ({str}, {int}) or not all(self.starts_of):
            raise ValueError
        return self.starts_of

    def only(self, positions: Sequence[int]) -> LegBatch:
        """Return the batch of the legs at these positions."""
        found = super().only(positions)
        return leg_batch(found, [self.keys[at] for at in positions], [self.starts_of[at] for at in positions])


def leg_batch(batch: RecordBatch, keys: Sequence[str], starts: Sequence[Any]) -> LegBatch:
    """Return a batch with ids and starts."""
    made = LegBatch(_NOTHING, batch.columns, batch.texts, batch.unknown, batch.length)
    made.keys, made.starts_of = keys, starts
    return made


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file in parts that end at the end of a line."""
    rest: list[bytes] = []  # a JSON text may be one line of any length
    while part := file.read(CHUNK):
        end = part.rfind(b"\n") + 1
        if end:
            yield b"".join([*rest, part[:end]])
            part = part[end:]
            rest.clear()
        rest.append(part)
    if any(rest):
        yield b"".join(rest)


class LegDecoder:
    """Makes batches of legs of one call.

    All batches have the same columns in the same order, however the records were read, so that their contents compare.

    Args:
        columns: The columns of the call.
        key: The fields that make the id of a leg.
        start: The field of the start.
    """

    def __init__(self, columns: Sequence[Column], key: Sequence[str], start: str) -> None:
        self._known = tuple(dict.fromkeys(one.key for one in columns if not one.key.startswith("@")))
        self._folded = {name.casefold(): name for name in self._known}
        self._nested = any("." in name for name in self._known)
        self._key = key
        self._start = start
        self._order: list[str] = []
        self._texts: set[str] = {one.key for one in columns if is_text(one) and one.key in self._known}
        self._optional: set[str] = set()
        self._decode: Callable[[bytes], list[Any]] | None = None
        self._refits = 0

    def decode(self, lines: bytes, plainly: Callable[[], Sequence[Record]]) -> Sequence[Record]:
        """Return the records of lines: a batch if possible.

        Args:
            lines: The lines.
            plainly: Returns the records that they are; it raises an error if they are of different kinds.
        """
        if self._decode is not None:
            try:
                return self._of_structs(self._decode(lines))
            except msgspec.ValidationError:
                pass  # other fields, or other types
            except (ValueError, RecursionError):
                return self.batch(plainly())
        records = plainly()
        if records and self._refits < _MOST_REFITS:
            self._refit(records)
        return self.batch(records)

    def batch(self, records: Sequence[Record]) -> Sequence[Record]:
        """Return a batch of records, or the records themselves if they cannot be one."""
        if self._nested or not records:
            return records
        every: list[Record] = []
        for record in records:
            keys = {name: name if name in self._known else self._folded.get(name.casefold(), name) for name in record}
            if len({*keys.values()}) < len(keys):
                return records
            every.append({keys[name]: value for name, value in record.items()})
        unknown = [name for name in dict.fromkeys(chain.from_iterable(every)) if name not in self._known]
        columns: dict[str, Sequence[Any]] = {}
        for name in (*self._known, *unknown):
            missing = ABSENT if name in unknown else "" if name in self._texts else None
            columns[name] = [one.get(name, missing) for one in every]
        texts = frozenset(name for name in self._texts if set(map(type, columns[name])) == {str})
        return self._made(columns, texts, unknown, len(every))

    def _of_structs(self, structs: Sequence[Any]) -> Sequence[Record]:
        if not structs:
            return []
        found = dict(zip(self._order, zip(*map(msgspec.structs.astuple, structs), strict=True), strict=True))
        columns: dict[str, Sequence[Any]] = {}
        for name in self._known:
            here = found.pop(name, None)
            columns[name] = ("" if name in self._texts else None,) * len(structs) if here is None else here
        return self._made({**columns, **found}, frozenset(self._texts), [*found], len(structs))

    def _made(
        self, columns: dict[str, Sequence[Any]], texts: frozenset[str], unknown: Sequence[str], length: int
    ) -> LegBatch:
        ids = [columns[name] for name in self._key]
        keys = list(map(str, ids[0])) if len(ids) == 1 else [":".join(map(str, one)) for one in zip(*ids, strict=True)]
        return leg_batch(RecordBatch(_NOTHING, columns, texts, unknown, length), keys, columns[self._start])

    def _refit(self, records: Sequence[Record]) -> None:
        """Make a decoder that fits these records too."""
        self._refits += 1
        order: dict[str, None] = {}
        for name in self._order or [*(records[0] if records else {})]:
            order[name] = None
        for record in records:
            for name, value in record.items():
                if name not in self._known and name.casefold() in self._folded:
                    self._decode = None
                    return
                if name not in order:
                    order[name] = None
                    self._optional.add(name)
                if name in self._texts and type(value) is not str:
                    self._texts.discard(name)
            self._optional.update(name for name in order if name not in record)
        self._order = [*order]
        fields: list[Any] = []
        for at, name in enumerate(self._order):
            kind: Any = str if name in self._texts else Any
            missing = "" if name in self._texts else None if name in self._known else ABSENT
            fields.append((f"f{at}", kind, missing) if name in self._optional else (f"f{at}", kind))
        names = {f"f{at}": name for at, name in enumerate(self._order)}
        leg = msgspec.defstruct("Leg", fields, rename=names, forbid_unknown_fields=True, gc=False, kw_only=True)
        self._decode = None if self._nested else msgspec.json.Decoder(leg).decode_lines
