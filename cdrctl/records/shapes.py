"""What is known of the fields of a call's records, so that msgspec decodes each to the type that it has.

A shape begins with the types that the columns lead one to expect. It is replaced when the first records come, and when
others come that do not fit it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from types import NoneType
from typing import Any

import msgspec
from msgspec import Struct

from cdrctl.records.batches import ABSENT
from cdrctl.records.columns import Column, Kind, is_text
from cdrctl.records.events import Record

Kinds = frozenset[type]

TEXTS: Kinds = frozenset({str, NoneType})
INTEGERS: Kinds = frozenset({int, NoneType})
BOOLEANS: Kinds = frozenset({bool, NoneType})
NUMBERS: Kinds = frozenset({int, float, NoneType})
LISTS: Kinds = frozenset({list, dict, NoneType})

_DECODED: Mapping[Kinds, Any] = {
    TEXTS: str | None,
    INTEGERS: int | None,
    BOOLEANS: bool | None,
    NUMBERS: int | float | None,
    LISTS: list[Any] | dict[str, Any] | None,
}
"""The types of values that a decoder can expect in one field, the narrowest first."""

_EXPECTED: Mapping[Kind, Kinds] = {"integer": INTEGERS, "seconds": INTEGERS, "boolean": BOOLEANS, "list": LISTS}

MOST_REFITS = 8
"""How often new fields may come before batches are given up, and how often types may change before they are not told
apart any more."""


def _fits_nothing(_array: Any) -> list[Any]:
    raise msgspec.ValidationError


class Shape(Struct, frozen=True):
    """The fields of the records seen so far.

    Args:
        known: The keys of the columns.
        numbers: Those that hold text or integers, and are never missing.
        texts: Those that have held nothing but text; in place of a missing one is an empty text.
        kinds: The types that the values of others may have; in place of a missing one is None. Fields in neither may
            hold anything.
        unknown: The keys that no column has.
        order: The known and the unknown keys, in the order in which the first record had them: msgspec finds each field
            of a record at once if it comes after the one before.
        decode: Decodes an array of records to one struct for each, whose fields are in this order. It raises
            ValidationError where they do not fit, and before the first records came.
        refits: How often new fields came.
        changes: How often a value came of another type than expected.
    """

    known: tuple[str, ...]
    numbers: frozenset[str]
    texts: frozenset[str]
    kinds: Mapping[str, Kinds]
    unknown: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    decode: Callable[[Any], list[Any]] = _fits_nothing
    refits: int = 0
    changes: int = 0


def expected_shape(columns: Collection[Column], known: Sequence[str], identity: str, *, numbered: bool) -> Shape:
    """Return the shape that records have according to their columns.

    Args:
        columns: The columns of the call.
        known: Their keys.
        identity: The key of the id, which is never missing.
        numbered: Whether ids may be integers.
    """
    plain = {column.key: column for column in columns if column.key in known}
    numbers = frozenset({identity} if numbered else ())
    texts = frozenset(key for key, column in plain.items() if is_text(column)) | {identity}
    kinds = {key: _EXPECTED.get(column.kind, TEXTS) for key, column in plain.items() if key not in texts}
    return Shape(tuple(known), numbers, texts - numbers, kinds)


def refitted(shape: Shape, records: Sequence[Record], identity: str) -> Shape:
    """Return a shape that fits these records, too.

    Raises:
        ValueError: A record has the key of a column in another letter case, or there are no records.
    """
    if not records:
        raise ValueError("no records")
    texts, kinds, unknown = {*shape.texts}, {**shape.kinds}, [*shape.unknown]
    folded = {key.casefold() for key in shape.known}
    found: dict[str, set[type]] = {}
    for record in records:
        for key, value in record.items():
            found.setdefault(key, set()).add(type(value))
    for key, came in found.items():
        if key in texts or key in kinds:
            if key != identity and not came <= ({str} if key in texts else kinds[key]):
                texts.discard(key)
                kinds.pop(key, None)
                fitting = next((these for these in _DECODED if came <= these), None)
                if fitting is not None and shape.changes < MOST_REFITS:
                    kinds[key] = fitting
        elif key not in shape.known and key not in unknown:
            if key.casefold() in folded:
                raise ValueError(key)
            unknown.append(key)
    keys = frozenset((*shape.known, *unknown))
    order = tuple(dict.fromkeys((*filter(keys.__contains__, shape.order or records[0]), *shape.known, *unknown)))
    return msgspec.structs.replace(
        shape,
        texts=frozenset(texts),
        kinds=kinds,
        unknown=tuple(unknown),
        order=order,
        decode=decoder(order, frozenset(texts), shape.numbers, frozenset(kinds.items()), tuple(unknown)),
        refits=shape.refits + (len(unknown) > len(shape.unknown)),
        changes=shape.changes + (texts != shape.texts or kinds != shape.kinds),
    )


def given_up(shape: Shape) -> Shape:
    """Return a shape whose fields change too often."""
    return msgspec.structs.replace(shape, refits=MOST_REFITS + 1)


@lru_cache(maxsize=64)
def decoder(
    order: tuple[str, ...],
    texts: frozenset[str],
    numbers: frozenset[str],
    kinds: frozenset[tuple[str, Kinds]] = frozenset(),
    unknown: tuple[str, ...] | None = None,
) -> Callable[[Any], list[Any]]:
    """Return a decoder of an array of records; other fields raise an error, or are skipped if `unknown` is None.

    Profiles of one provider share it: each decoder is a class, which costs a millisecond and some 30 kB.

    Args:
        order: The keys, in the order of the fields.
        texts: Those that hold nothing but text.
        numbers: Those that hold text or integers.
        kinds: The types of the values of others.
        unknown: Those that no column has.
    """
    types: dict[str, tuple[Any, Any]] = {**dict.fromkeys(texts, (str, "")), **dict.fromkeys(numbers, (int | str, ""))}
    types |= {key: (_DECODED[these], None) for key, these in kinds}
    types |= dict.fromkeys(unknown or (), (Any, ABSENT))
    fields: list[Any] = [(f"f{at}", *types.get(key, (Any, None))) for at, key in enumerate(order)]
    names = {field[0]: key for field, key in zip(fields, order, strict=True)}
    record = msgspec.defstruct("Record", fields, rename=names, forbid_unknown_fields=unknown is not None, gc=False)
    return msgspec.json.Decoder(list[record]).decode  # type: ignore[valid-type] # made a line above
