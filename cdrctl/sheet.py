"""Pages read column by column: many times as fast as record by record, wherever all records of a page are alike.

A sheet is a page of records that were never made into objects. It is a sequence of records like any other page, which
makes a record of the one that is looked at; whoever can work with a whole column at a time asks for that instead. What
does not fit a sheet is read as it always was: a sheet is never more than a faster way to the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pydantic_core

from cdrctl.records import ABSENT, Column, Marks, Sheet, is_text

Decode = Callable[[bytes], Any]

_ENVELOPE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECTS = msgspec.json.Decoder(list[dict[str, Any]])

_END = re.compile(rb"\]\s*\}\s*\Z")
_TAIL = 20
"""Bytes at the end of a body in which its last brackets are."""

MOST_LESSONS = 8
"""How often the shape of records may turn out to be another one before sheets are given up."""


class Reader:
    """Reads the bodies of one call's answers; it learns what its records look like.

    Args:
        columns: The columns of the call.
        marks: The fields that are looked at before records become rows.
        raw: Whether the records are wanted as they came.
    """

    def __init__(self, columns: Sequence[Column], marks: Marks, *, raw: bool) -> None:
        self._marks = marks
        self._raw = raw
        plain = {column.key: column for column in columns if not column.key.startswith("@") and "." not in column.key}
        self._texts = {name for name, column in plain.items() if is_text(column)} | {marks.identity}
        self._known = [*plain] if not raw else [marks.identity, marks.start, *marks.others]
        self._folded = {name.casefold() for name in self._known}
        self._further: list[str] = []
        self._lessons = 0
        self._decode = self._decoder()

    def __call__(self, body: bytearray, path: Sequence[str]) -> Any:
        """Return a decoded body whose list of records, to be found under the path, is a sheet; or None.

        None says nothing about the body: it is to be decoded as any other.
        """
        if self._lessons > MOST_LESSONS:
            return None
        try:
            return self._opened(body, path)
        except (ValueError, KeyError):  # msgspec's errors are ValueErrors, and so is UTF-8 that is none
            return None

    def _opened(self, raw: bytearray | msgspec.Raw, path: Sequence[str]) -> Any:
        if not path:
            return self._uncut(raw) if self._raw else self._sheet(raw)
        if isinstance(raw, bytearray) and len(path) == 1:
            only = self._only_records(raw, path[0])
            if only is not None:
                return {path[0]: only}
        envelope = _ENVELOPE.decode(raw)
        records = self._opened(envelope[path[0]], path[1:])
        return {
            name: records if name == path[0] else pydantic_core.from_json(bytes(value))
            for name, value in envelope.items()
        }

    def _only_records(self, raw: bytearray, key: str) -> Sheet | None:
        """Return the records of a body that holds nothing else, without a look at the whole of it, or None."""
        start = re.match(rb'\s*\{\s*"%s"\s*:\s*(?=\[)' % re.escape(key.encode()), raw)
        tail = max(0, len(raw) - _TAIL)
        end = _END.search(raw, tail)
        if start is None or end is None:
            return None
        with suppress(msgspec.DecodeError):  # there is more than that in it
            sheet: Sheet = self._opened(raw[start.end() : end.start() + 1], ())
            return sheet
        return None

    def _sheet(self, raw: Any) -> Sheet:
        try:
            structs = self._decode(raw)
        except msgspec.ValidationError:
            self._learn(raw)
            structs = self._decode(raw)
        return Sheet(self._marks, self._columns(structs), frozenset(self._texts), tuple(self._further), len(structs))

    def _columns(self, structs: Sequence[Any]) -> dict[str, Sequence[Any]]:
        if not structs:
            raise ValueError("no records")
        keys = [*self._known, *self._further]
        columns: dict[str, Sequence[Any]] = dict(
            zip(keys, zip(*map(msgspec.structs.astuple, structs), strict=True), strict=True)
        )
        if not all(columns[self._marks.identity]):
            raise ValueError("a record without the field that makes it this record")
        return columns

    def _uncut(self, raw: Any) -> Sheet:
        whole = bytes(raw)
        if b"\n" in whole or b"\r" in whole:
            raise ValueError("records of several lines")
        whole.decode()  # what is not looked at might be anything
        raws = [bytes(one) for one in _RAW.decode(whole)]
        structs = self._decode(whole)
        return Sheet(self._marks, self._columns(structs), frozenset(), (), len(raws), raws)

    def _decoder(self) -> Callable[[Any], list[Any]]:
        fields: list[Any] = [
            (f"f{at}", str, "") if key in self._texts else (f"f{at}", Any, None) for at, key in enumerate(self._known)
        ]
        fields += [(f"g{at}", Any, ABSENT) for at in range(len(self._further))]
        names = {field[0]: key for field, key in zip(fields, [*self._known, *self._further], strict=True)}
        record = msgspec.defstruct("Record", fields, rename=names, forbid_unknown_fields=not self._raw, gc=False)
        return msgspec.json.Decoder(list[record]).decode  # type: ignore[valid-type]

    def _learn(self, raw: Any) -> None:
        """Make room for fields that nobody knew, and for values that are no text."""
        records = _OBJECTS.decode(raw)
        self._lessons += 1
        if self._lessons > MOST_LESSONS:
            raise ValueError("no two pages are alike")
        for record in records:
            for key, value in record.items():
                if key in self._texts:
                    if type(value) is not str and key != self._marks.identity:
                        self._texts.remove(key)
                elif key not in self._known and key not in self._further:
                    if key.casefold() in self._folded:  # a column that is spelt in another way than it was
                        raise ValueError(key)
                    self._further.append(key)
        self._decode = self._decoder()
