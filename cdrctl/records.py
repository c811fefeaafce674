"""Records on their way to a writer: pages, columns, the three schemas and the common CDR.

A provider describes its columns as data. Here they become a function from a page of raw records to rows whose values
a writer can print without thinking: text, whole numbers, true or false, and strings for instants
(`2026-11-19T08:00:00.123Z`) and money (`0.0100`). Nothing that came is lost: a value that a column cannot read passes
through as it came, with one warning per column, and a field that no column names is kept in `extra`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, overload

from cdrctl import PROVIDERS
from cdrctl.damage import loads, text_of
from cdrctl.errors import ProviderError, UsageError, near, nearest
from cdrctl.placeholders import is_placeholder
from cdrctl.windows import Window, rfc3339

if TYPE_CHECKING:
    from typing_extensions import Buffer

Record = dict[str, Any]
"""One record as the provider sent it."""

Value = Any
"""What a column gives: None, bool, int, str, or a list or object that a provider nests."""

Row = list[Value]
"""The values of one record in the order of a schema's columns."""

Kind = Literal["text", "integer", "seconds", "decimal", "money", "boolean", "time", "list"]
NUMBERS = frozenset({"integer", "seconds", "decimal", "money"})
"""The kinds whose values are numbers, or strings of digits."""

SchemaName = Literal["native", "common", "raw"]

EXTRA = "extra"


def number_of_records(count: int) -> str:
    """Return a number of records in words: `1 record`, `5 records`."""
    return "1 record" if count == 1 else f"{count} records"


@dataclass(frozen=True, slots=True)
class Page:
    """A page of raw records, and what is known of all of them without being in them (such as their account).

    Args:
        records: The records.
        context: What is known of all of them.
        later: The positions of records whose identity an earlier record has, with other content.
    """

    records: Sequence[Record]
    context: Mapping[str, str] = field(default_factory=dict)
    later: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Gap:
    """Something of the window that could not be had: it is said, and the exit code becomes 3."""

    what: str
    hint: str | None = None
    said: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user should know that loses no record.

    Args:
        text: A sentence.
        level: A warning if the provider's answer was wrong; `debug` for details that -v shows.
        topic: What it is about, where several profiles say the same and one line is enough.
    """

    text: str
    level: Literal["note", "warning", "debug"] = "note"
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A window of which nothing more will come: how far an export is can be told from it, and from nothing else."""

    window: Window


@dataclass(frozen=True, slots=True)
class File:
    """A file that the provider has made: its name, safe to write, and its content as it comes.

    Args:
        name: A name of our own choosing, without any folder.
        content: The pieces of the file; asked of the provider when they are taken.
        record: What is known of it, to be printed once it is written.
    """

    name: str
    content: Iterator[bytes]
    record: Record


Event = Page | Gap | Note | Checkpoint | File
"""What a fetcher yields, in the order in which it learns it."""


ABSENT: Any = type("Absent", (), {"__slots__": (), "__repr__": lambda _: "ABSENT"})()
"""What a sheet has where a record has no such field."""


@dataclass(frozen=True, slots=True)
class KeyFields:
    """The fields by which the records of a call can be read column by column, by the provider's keys.

    Args:
        identity: What alone makes a record this record, where it is there.
        start: The start of its call, in ISO 8601, where it is there.
        others: What else is looked at before records become rows.
    """

    identity: str
    start: str
    others: tuple[str, ...] = ()


def plainly(text: bytes) -> Any:
    """Return what whole JSON says, by the standard library; what of it is damaged is marked (see `damage`).

    Raises:
        ProviderError: It is not JSON.
    """
    with suppress(ValueError):
        return loads(text_of(text))
    raise ProviderError(
        "a page holds records that cannot be read: they are not JSON",
        hint="run it again; if it stays, tell the provider's support",
    )


def _utc_instants(raw: Sequence[str]) -> list[datetime]:
    try:
        found = list(map(datetime.fromisoformat, raw))
    except TypeError:
        raise ValueError from None
    if {moment.tzinfo for moment in found} - {UTC}:  # of another zone, or of none
        raise ValueError
    return found


class RecordBatch(Sequence[Record]):
    """Records as columns, each as long as there are records.

    Args:
        key_fields: Which of its columns say what makes a record this record, and when its call started.
        columns: By the provider's key. In a column of text nothing is said of fields that were missing: they are empty.
        texts: The keys of columns that hold nothing but text.
        unknown: The keys that no column of the call names; a record without one has ABSENT there.
        raws: The records as they came, where those are wanted.
    """

    __slots__ = ("_starts", "columns", "key_fields", "length", "raws", "texts", "unknown")

    def __init__(
        self,
        key_fields: KeyFields,
        columns: Mapping[str, Sequence[Any]],
        texts: frozenset[str],
        unknown: Sequence[str],
        length: int,
        raws: Sequence[Buffer] | None = None,
    ) -> None:
        self.key_fields = key_fields
        self.columns = columns
        self.texts = texts
        self.unknown = unknown
        self._starts: Sequence[datetime] | None = None
        self.length = length
        self.raws = raws

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, at: int) -> Record: ...

    @overload
    def __getitem__(self, at: slice) -> RecordBatch: ...

    def __getitem__(self, at: int | slice) -> Record | RecordBatch:
        if isinstance(at, slice):
            return self.only(range(*at.indices(self.length)))
        if self.raws is not None:
            record: Record = plainly(bytes(self.raws[at]))
            return record
        return {key: column[at] for key, column in self.columns.items() if column[at] is not ABSENT}

    def __iter__(self) -> Iterator[Record]:
        return map(self.__getitem__, range(self.length))

    def only(self, positions: Sequence[int]) -> RecordBatch:
        """Return the sheet of the records at these positions."""
        columns = {key: [column[at] for at in positions] for key, column in self.columns.items()}
        raws = [self.raws[at] for at in positions] if self.raws is not None else None
        return RecordBatch(self.key_fields, columns, self.texts, self.unknown, len(positions), raws)

    @property
    def identities(self) -> Sequence[str]:
        """What makes each record this record; never empty."""
        return self.columns[self.key_fields.identity]

    @property
    def starts(self) -> Sequence[datetime]:
        """The start of each record's call, in UTC.

        Raises:
            ValueError: Not all of them can be read: each must be looked at.
        """
        if self._starts is None:
            self._starts = _utc_instants(self.columns[self.key_fields.start])
        return self._starts

    def span(self, key: str) -> tuple[datetime, datetime] | None:
        """Return the first and the last instant of a column, in UTC, or None where it has none.

        Raises:
            ValueError: Not all of them can be read: each must be looked at.
        """
        found = self.starts if key == self.key_fields.start else _utc_instants([*filter(None, self.columns[key])])
        return (min(found), max(found)) if found else None


class BatchedPage(Sequence[Record]):
    """The records of a large page, which become batches a few at a time.

    Args:
        key_columns: What can be had of all of them at a glance: a sheet of nothing but the fields that are marks.
        batches: Makes the records, in order: batches, or plain records where no sheet can be made of them.
    """

    __slots__ = ("batches", "key_columns")

    def __init__(self, key_columns: RecordBatch, batches: Callable[[], Iterator[Sequence[Record]]]) -> None:
        self.key_columns = key_columns
        self.batches = batches

    def __len__(self) -> int:
        return len(self.key_columns)

    @overload
    def __getitem__(self, at: int) -> Record: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Record]: ...

    def __getitem__(self, at: int | slice) -> Record | Sequence[Record]:
        return [*self][at]

    def __iter__(self) -> Iterator[Record]:
        return chain.from_iterable(self.batches())


def key_columns(records: Sequence[Record]) -> RecordBatch | None:
    """Return the marked fields of records as columns, where they can be had without a look at each record."""
    if isinstance(records, BatchedPage):
        return records.key_columns
    return records if isinstance(records, RecordBatch) else None


def batches(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Yield the records of a page as many at a time as are best read together."""
    if isinstance(records, BatchedPage):
        yield from records.batches()
    else:
        yield records


# What a value says: readers take a value as it came (never None or empty) and return it typed, or raise ValueError.

GREGORIAN_UNIX_OFFSET = 62_167_219_200
"""Seconds from year 0 to 1970: 2600hz/kazoo counts from year 0 ("Gregorian seconds")."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CANONICAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?!24)[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z\Z")
_WHOLE_DECIMAL = re.compile(r"\s*([+-]?[0-9]{1,18})(?:\.0*)?\s*\Z")
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)\Z")


def read_text(raw: Any) -> Value:
    """Return text; a number becomes its digits, because ids are never numbers."""
    if isinstance(raw, str):
        return raw
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, int | float):
        return str(raw)
    raise ValueError


def read_integer(raw: Any) -> int:
    """Return a whole number from a number or from digits in a string."""
    if isinstance(raw, bool):
        raise ValueError
    if isinstance(raw, int):
        return raw
    if isinstance(raw, float) and raw.is_integer():
        return int(raw)
    if isinstance(raw, str) and (match := _WHOLE_DECIMAL.match(raw)):
        return int(match[1])
    raise ValueError


def read_decimal(raw: Any) -> str:
    """Return a decimal number as a string, digit for digit as it came; infinity is none."""
    if isinstance(raw, bool):
        raise ValueError
    if isinstance(raw, int) or (isinstance(raw, float) and math.isfinite(raw)):  # isfinite(10**400) overflows
        return format(Decimal(str(raw)), "f")
    if isinstance(raw, str) and _DECIMAL.match(raw.strip()):
        return raw.strip()
    raise ValueError


def read_boolean(raw: Any) -> bool:
    """Return true or false from a boolean or from the words `true` and `false`."""
    if isinstance(raw, bool):
        return raw
    word = raw.strip().casefold() if isinstance(raw, str) else ""
    if word in {"true", "false"}:
        return word == "true"
    raise ValueError


def read_list(raw: Any) -> Value:
    """Return a list or an object as it came."""
    if isinstance(raw, list | dict):
        return raw
    raise ValueError


def iso_instant(raw: Any) -> datetime:
    """Return the UTC instant of an ISO 8601 string; without an offset it is taken as UTC."""
    if not isinstance(raw, str) or len(raw) > 40:  # no time is longer; refuse before parsing
        raise ValueError
    moment = datetime.fromisoformat(raw.strip())
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError from None


def unix_instant(raw: Any) -> datetime:
    """Return the UTC instant of Unix seconds, whole or with decimals, as a number or as digits in a string."""
    digits = read_decimal(raw)
    if len(digits) > 40:  # as in iso_instant; a million digits would take half a minute
        raise ValueError
    try:
        return _EPOCH + timedelta(microseconds=int(Decimal(digits) * 1_000_000))
    except (OverflowError, InvalidOperation):
        raise ValueError from None


def gregorian_instant(raw: Any) -> datetime:
    """Return the UTC instant of Gregorian seconds (counted from year 0), a number or digits in a string."""
    try:
        return _EPOCH + timedelta(seconds=read_integer(raw) - GREGORIAN_UNIX_OFFSET)
    except OverflowError:
        raise ValueError from None


def read_iso_time(raw: Any) -> str:
    """Return an ISO 8601 instant in the contract's form."""
    if isinstance(raw, str) and _CANONICAL.match(raw):
        datetime.fromisoformat(raw)
        return raw  # already in our form, and just proven to be a time
    return rfc3339(iso_instant(raw))


def read_gregorian_time(raw: Any) -> str:
    """Return Gregorian seconds as an instant in the contract's form."""
    return rfc3339(gregorian_instant(raw))


def read_units(raw: Any, *, per_unit: int = 10_000) -> str:
    """Return an integer amount of small units as money: 10 000 units are 1, written with all their decimals."""
    units = read_integer(raw)
    whole, rest = divmod(abs(units), per_unit)  # integers: a Decimal would round at 28 digits
    return f"{'-' if units < 0 else ''}{whole}.{rest:0{len(str(per_unit)) - 1}d}"


_READERS: dict[Kind, Callable[[Any], Value]] = {
    "text": read_text,
    "integer": read_integer,
    "seconds": read_integer,
    "decimal": read_decimal,
    "money": read_decimal,
    "boolean": read_boolean,
    "time": read_iso_time,
    "list": read_list,
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a call.

    Args:
        name: Our name, snake_case, stable for ever.
        key: The provider's key, matched whatever its letter case; a dot reaches into an object; a leading `@` takes
            the value from the page's context instead of the record. Two columns may read the same key.
        kind: What the value is: seconds are whole, times are UTC, money and decimals are strings of digits.
        meaning: One phrase for people.
        read: How the wire spells it, when that differs from the kind's usual reader.
        read_in: The same where the page's context is needed too, such as the zone of its times.
        null_words: The words by which the provider says "nothing" in this field, besides the empty string.
        values: All values that it can have beside null, where the list is closed.
    """

    name: str
    key: str
    kind: Kind = "text"
    meaning: str = ""
    read: Callable[[Any], Value] | None = None
    null_words: frozenset[str] = frozenset()
    read_in: Callable[[Any, Mapping[str, str]], Value] | None = None
    values: tuple[str, ...] = ()


def _reader_of(column: Column) -> Callable[..., Value]:
    """Return the reader of a column, which takes the context too if the column has `read_in`.

    A time that stands for "no time" is read as None: it says that the event did not happen.
    """
    read: Callable[..., Value] = column.read_in or column.read or _READERS[column.kind]
    return functools.partial(_read_event, read) if column.kind == "time" else read


def _read_event(read: Callable[..., Value], raw: Any, *context: Mapping[str, str]) -> Value:
    if is_placeholder(raw):
        return None
    value = read(raw, *context)
    return None if is_placeholder(value) else value


def is_text(column: Column) -> bool:
    """Return whether a column gives text as it came."""
    return column.kind == "text" and column.read in {None, read_text} and column.read_in is None


def pick(record: Record, key: str) -> Any:
    """Return a record's value under a key whatever the key's letter case, or None when there is none."""
    if key in record:
        return record[key]
    folded = key.casefold()
    return next((value for name, value in record.items() if name.casefold() == folded), None)


def fingerprint(record: Record) -> str:
    """Return a digest of the whole record: its identity when the provider's own id is missing."""
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def snake_case(key: str) -> str:
    """Return a provider's key as a column name: lower case, and one underscore for every run of anything else."""
    return re.sub(r"[^0-9a-z.]+", "_", key.lower()).strip("_") or key


# Raw records to rows

Warn = Callable[[str], None]
"""Told how records differ from what their columns say; it may raise, and then the page they are on is not written."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A form in which records are written.

    Args:
        columns: The columns in order, or None for raw records, which have none.
        rows: From a page to its rows, or to the records themselves where there are no columns.
        unfold: Whether the last column is `extra`, whose fields JSON writers print beside the others.
    """

    columns: tuple[Column, ...] | None
    rows: Callable[[Page], Sequence[Row] | Sequence[Record]]
    unfold: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What a call's records are expected to look like, apart from their columns: anything else is reported as a change.

    Args:
        open_objects: Objects with fields of the customer's choice, in lower case. None of their fields is unknown.
        required: The columns that are documented to have a value in every record.
    """

    open_objects: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()


NOTHING_EXPECTED = Expected()

_SHAPES_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where the columns of one shape of record are.

    Args:
        texts: The columns of plain text.
        values_of_texts: From a record to the values of these.
        others: The other columns, each with its key, what it takes to read it, and whether that is the context too.
        unknown: The fields that no column names, each with the name it gets in `extra`.
    """

    texts: tuple[int, ...]
    values_of_texts: Callable[[Record], tuple[Any, ...]]
    others: tuple[tuple[int, str, Callable[..., Value], frozenset[str], bool], ...]
    unknown: tuple[tuple[str, str], ...]


def _plan(columns: Sequence[Column], shape: tuple[str, ...]) -> _Plan:
    exact: dict[str, int] = {}
    folded: dict[str, int] = {}
    twins: dict[int, int] = {}  # columns that read the key of an earlier one
    for at, column in enumerate(columns):
        if not column.key.startswith("@"):
            first = folded.setdefault(column.key.casefold(), at)
            exact.setdefault(column.key, at)
            if first != at:
                twins[at] = first
    keys: dict[int, str] = {}
    left: list[str] = []
    for key in sorted(shape, key=lambda name: name not in exact):  # exact names first, then other letter case
        named = exact.get(key, folded.get(key.casefold()))
        if named is None or named in keys:
            left.append(key)
        else:
            keys[named] = key
    keys.update({at: keys[first] for at, first in twins.items() if first in keys})
    texts, others = [], []
    for at, key in sorted(keys.items()):
        column = columns[at]
        read = _reader_of(column)
        if read is read_text and not column.null_words:
            texts.append(at)
        else:
            others.append((at, key, read, column.null_words, column.read_in is not None))
    taken = {column.name for column in columns} | {EXTRA}
    unknown = []
    for key in left:
        name = next(name for name in _names_for(key) if name not in taken)
        taken.add(name)
        unknown.append((key, name))
    values = _values([keys[at] for at in texts])
    return _Plan(tuple(texts), values, tuple(others), tuple(unknown))


def _values(keys: Sequence[str]) -> Callable[[Record], tuple[Any, ...]]:
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda record: tuple(record[key] for key in keys)


def _names_for(key: str) -> Iterator[str]:
    yield snake_case(key)
    yield key
    number = 2
    while True:
        yield f"{key}_{number}"
        number += 1


def _containers(columns: Sequence[Column]) -> dict[str, frozenset[str]]:
    """Return the objects that columns reach into, in folded case, with the keys of theirs that are columns."""
    dotted = [column.key.casefold() for column in columns if "." in column.key]
    roots = {key.partition(".")[0] for key in dotted}
    return {root: frozenset(key for key in dotted if key.startswith(root + ".")) for root in roots}


def _flatten(record: Record, containers: Mapping[str, frozenset[str]]) -> Record:
    """Return the record with the objects that columns reach into spread out under dotted keys."""
    flat: Record = {}
    for key, value in record.items():
        if not (value and isinstance(value, dict) and key.casefold() in containers):
            flat[key] = value
            continue
        for path, inner in _spread(key, value, containers[key.casefold()]):
            free = path
            while free in record or free in flat:  # somebody else is called like that
                free += "."
            flat[free] = inner
    return flat


def _spread(path: str, value: Record, wanted: frozenset[str]) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        inner_path = f"{path}.{key}"
        reached = inner_path.casefold() + "."
        if inner and isinstance(inner, dict) and any(name.startswith(reached) for name in wanted):
            yield from _spread(inner_path, inner, wanted)
        else:
            yield inner_path, inner


def _unread(columns: Sequence[Column], warn: Warn, *, flat: bool) -> Callable[[int, Any], Value]:
    """Return the function that passes a value which its column cannot read, with one warning per column.

    The warning names the kind of the value and never its content, which may be what a caller said.
    """
    warned: set[int] = set()

    def unread(at: int, raw: Any) -> Value:
        column = columns[at]
        if at not in warned:
            warned.add(at)
            warn(f"column {column.name}: {misfit(raw, column.kind)}; such values pass as they came")
        if flat and isinstance(raw, list | dict) and column.kind != "list":
            return json.dumps(raw, ensure_ascii=False)
        return raw

    return unread


def _plans(columns: Sequence[Column], look: Callable[[_Plan], None]) -> Callable[[tuple[str, ...]], _Plan]:
    """Return the function that plans a shape of record, and has each new shape looked at."""

    @functools.lru_cache(_SHAPES_REMEMBERED)
    def plan_of(shape: tuple[str, ...]) -> _Plan:
        plan = _plan(columns, shape)
        look(plan)
        return plan

    return plan_of


def _unknown(free: Collection[str], warn: Warn, became: str) -> Callable[[_Plan], None]:
    """Return the function that looks at a shape of record for fields that no column names, with one warning for all.

    Fields of the objects in `free` are the customer's own, and no news. The warning says what became of the others.
    """
    told = False

    def look(plan: _Plan) -> None:
        nonlocal told
        names = [key for key, _ in plan.unknown if key.partition(".")[0].casefold() not in free]
        if names and not told:
            told = True
            shown = ", ".join(repr(name)[1:-1][:60] for name in names[:NAMED])
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            warn(f"fields came that this version does not know: {shown}{more}; {became}, and there may be others")

    return look


NAMED = 5
"""Unknown fields that a warning names at most."""


def _absent(columns: Sequence[Column], always: Collection[str], warn: Warn) -> Callable[[Callable[[int], bool]], None]:
    """Return the function that looks for columns without a value where there always is one; one warning per column.

    It is told how to find out whether any row of a page has no value in a column.
    """
    left = [at for at, column in enumerate(columns) if column.name in always]

    def look(is_missing: Callable[[int], bool]) -> None:
        for at in [at for at in left if is_missing(at)]:
            left.remove(at)
            warn(f"column {columns[at].name}: a record came without it, which has not been so; such records are kept")

    return look


def _native_rows(
    columns: Sequence[Column],
    warn: Warn,
    *,
    flat: bool = False,
    known: Expected,
    became: str = "they are kept",
) -> Callable[[Page], Sequence[Row]]:
    """Return the function that reads a page into rows of all columns and, last, the unknown fields or None.

    Where `flat` is asked for, a list or an object in a column of another kind becomes JSON text.
    """
    unread = _unread(columns, warn, flat=flat)
    plan_of = _plans(columns, _unknown(known.open_objects, warn, became))
    look_for_absent = _absent(columns, known.required, warn)
    plain = _plain_rows(columns, plan_of, unread)
    of_sheet = _sheet_rows(columns, plan_of, unread)
    containers = _containers(columns)

    def rows(page: Page) -> Sequence[Row]:
        if isinstance(page.records, RecordBatch) and not containers:
            table = of_sheet(page.records, page.context)
            look_for_absent(table.lacks)
            return table
        found = plain(page)
        look_for_absent(lambda at: any(row[at] is None for row in found))
        return found

    return rows


def _plain_rows(
    columns: Sequence[Column],
    plan_of: Callable[[tuple[str, ...]], _Plan],
    unread: Callable[[int, Any], Value],
) -> Callable[[Page], list[Row]]:
    """Return the function that reads a page record by record."""
    empty: Row = [None] * (len(columns) + 1)
    from_context = [(at, column.key[1:]) for at, column in enumerate(columns) if column.key.startswith("@")]
    containers = _containers(columns)

    def row(record: Record, context: Mapping[str, str]) -> Row:
        if containers:
            record = _flatten(record, containers)
        plan = plan_of(tuple(record))
        values = empty.copy()
        for at, raw in zip(plan.texts, plan.values_of_texts(record), strict=True):
            if raw.__class__ is str:  # nearly always, and then nothing is left to do
                if raw:
                    values[at] = raw
            elif raw is not None:
                try:
                    values[at] = read_text(raw)
                except ValueError:
                    values[at] = unread(at, raw)
        for at, key, read, null_words, in_context in plan.others:
            raw = record[key]
            if raw is None or raw == "" or (null_words and isinstance(raw, str) and raw in null_words):
                continue
            try:
                values[at] = read(raw, context) if in_context else read(raw)
            except (ValueError, ArithmeticError):
                values[at] = unread(at, raw)
        for at, name in from_context:
            values[at] = context.get(name)
        if plan.unknown:
            values[-1] = {name: record[key] for key, name in plan.unknown}
        return values

    return lambda page: [row(record, page.context) for record in page.records]


def _or_none(texts: Sequence[str]) -> Sequence[Value]:
    """Return texts, with None where there is none: most columns of a page are full, or empty."""
    empty = texts.count("")
    if empty in {0, len(texts)}:
        return [None] * len(texts) if empty else texts
    return [text or None for text in texts]


class RowBatch(Sequence[Row]):
    """Rows as columns, each as long as there are rows.

    Args:
        columns: In the order of the schema's columns.
        texts: Which of them hold nothing but text, and the empty text where a row has None.
        length: How many rows.
    """

    __slots__ = ("columns", "length", "texts")

    def __init__(self, columns: Sequence[Sequence[Value]], texts: Sequence[bool], length: int) -> None:
        self.columns = columns
        self.texts = texts
        self.length = length

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, at: int) -> Row: ...

    @overload
    def __getitem__(self, at: slice) -> RowBatch: ...

    def __getitem__(self, at: int | slice) -> Row | RowBatch:
        if isinstance(at, slice):
            return RowBatch([column[at] for column in self.columns], self.texts, len(range(*at.indices(self.length))))
        return [
            (column[at] or None) if text else column[at] for column, text in zip(self.columns, self.texts, strict=True)
        ]

    def __iter__(self) -> Iterator[Row]:
        return map(list, zip(*self.values(), strict=True))

    def values(self) -> list[Sequence[Value]]:
        """Return the columns, with None where there is no text."""
        return [_or_none(column) if text else column for column, text in zip(self.columns, self.texts, strict=True)]

    def lacks(self, at: int) -> bool:
        """Return whether a row has no value in a column."""
        return ("" if self.texts[at] else None) in self.columns[at]

    def chosen(self, at: Sequence[int]) -> RowBatch:
        """Return some of the columns."""
        return RowBatch([self.columns[one] for one in at], [self.texts[one] for one in at], self.length)


class _Remembered(dict[str, Value]):
    """What a column makes of texts, so that each is read once: most columns of a call history say few things."""

    def __init__(self, read: Callable[[str], Value]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, raw: str) -> Value:
        if len(self) > _TEXTS_REMEMBERED:
            self.clear()
        value = self[raw] = self._read(raw)
        return value


_TEXTS_REMEMBERED = 4096


def _sheet_rows(
    columns: Sequence[Column],
    plan_of: Callable[[tuple[str, ...]], _Plan],
    unread: Callable[[int, Any], Value],
) -> Callable[[RecordBatch, Mapping[str, str]], RowBatch]:
    """Return the function that reads a sheet into a table of all columns and, last, the unknown fields or None."""
    remembered: dict[int, _Remembered] = {}
    one = _read_one(columns, unread)

    def cells(at: int, sheet: RecordBatch, context: Mapping[str, str]) -> tuple[Sequence[Value], bool]:
        column = columns[at]
        if column.key.startswith("@"):
            return [context.get(column.key[1:])] * len(sheet), False
        raw = sheet.columns[column.key]
        if is_text(column) and column.key in sheet.texts:
            return _without(raw, column.null_words), True
        kinds = set(map(type, raw))
        usual = column.read is None and column.read_in is None
        if kinds == {str} and usual and column.kind == "time":
            instants = _instants_as_they_are(_without(raw, column.null_words))
            if instants is not None:
                return instants, True
        elif kinds == {str} and column.read_in is None and column.kind != "time":
            if at not in remembered:
                remembered[at] = _Remembered(lambda value: one(at, value, {}))
            return list(map(remembered[at].__getitem__, raw)), False
        elif kinds == {int} and usual and column.kind in {"integer", "seconds"}:
            return raw, False
        return [one(at, value, context) for value in raw], False

    def table(sheet: RecordBatch, context: Mapping[str, str]) -> RowBatch:
        found, texts = map(list, zip(*(cells(at, sheet, context) for at in range(len(columns))), strict=True))
        return RowBatch([*found, _unknown_of(sheet, plan_of)], [*texts, False], len(sheet))

    return table


def _read_one(
    columns: Sequence[Column], unread: Callable[[int, Any], Value]
) -> Callable[[int, Any, Mapping[str, str]], Value]:
    """Return the function that reads a value of a column, in a context."""
    readers = [_reader_of(column) for column in columns]

    def one(at: int, raw: Any, context: Mapping[str, str]) -> Value:
        column = columns[at]
        if raw is None or raw is ABSENT or raw == "" or (isinstance(raw, str) and raw in column.null_words):
            return None
        try:
            return readers[at](raw, context) if column.read_in is not None else readers[at](raw)
        except (ValueError, ArithmeticError):
            return unread(at, raw)

    return one


def _without(raw: Sequence[str], words: frozenset[str]) -> Sequence[str]:
    """Return texts, empty in the place of these words."""
    return raw if not words or words.isdisjoint(raw) else ["" if value in words else value for value in raw]


def _unknown_of(sheet: RecordBatch, plan_of: Callable[[tuple[str, ...]], _Plan]) -> Sequence[Value]:
    """Return for each record of a sheet the fields that no column names, or None."""
    if not sheet.unknown:
        return [None] * len(sheet)
    named = [key for key in sheet.columns if key not in sheet.unknown]
    further = [(key, sheet.columns[key]) for key in sheet.unknown]

    def unknown(at: int) -> Record | None:
        came = {key: column[at] for key, column in further if column[at] is not ABSENT}
        return {name: came[key] for key, name in plan_of((*named, *came)).unknown} if came else None

    return [unknown(at) for at in range(len(sheet))]


_DIGITS = str.maketrans("", "", "0123456789")
_WITHOUT_DIGITS = "--T::.Z"
_LENGTH = len("2026-11-19T08:00:00.123Z")


def _instants_as_they_are(raw: Sequence[str]) -> Sequence[str] | None:
    """Return instants in the contract's form where all are written so, but for digits to be cut off; else None.

    What Python takes for a time, has these signs in this order and is so long is written so: nothing else fits.
    """
    given = [value for value in raw if value]
    joined = "".join(given)
    if joined.translate(_DIGITS) != _WITHOUT_DIGITS * len(given) or "T24" in joined:
        return None
    lengths = set(map(len, given))
    if lengths and (min(lengths) < _LENGTH or is_placeholder(min(given)) or is_placeholder(max(given))):
        return None
    try:
        deque(map(datetime.fromisoformat, given), maxlen=0)  # proof that they are times
    except ValueError:
        return None
    return raw if lengths <= {_LENGTH} else [value and value[: _LENGTH - 1] + "Z" for value in raw]


_NOUNS: dict[Kind, str] = {
    "text": "text",
    "integer": "a whole number",
    "seconds": "a number of seconds",
    "decimal": "a number",
    "money": "an amount of money",
    "boolean": "true or false",
    "time": "a time",
    "list": "a list",
}


def misfit(value: Any, kind: Kind) -> str:
    """Return what kind of value came where another was expected; never its content, which is personal data."""
    came = "a number"
    if isinstance(value, str):
        came = "text"
    elif isinstance(value, bool):
        came = "true or false"
    elif isinstance(value, dict):
        came = "an object"
    elif isinstance(value, list):
        came = "a list"
    expected = _NOUNS[kind]
    return f"{came} came where {expected} is expected" if came != expected else f"{came} came that cannot be read"


KEY_COLUMN = Column("record_key", "", "text", "what makes a record this record: a digest that stays")
EXTRA_COLUMN = Column(EXTRA, "", "list", "fields this version does not know, as a JSON object")


def native(
    columns: Sequence[Column], fields: Sequence[str] | None, warn: Warn, known: Expected = NOTHING_EXPECTED
) -> Schema:
    """Return the provider's own fields, typed, under snake_case names, then `extra`; or only the fields asked for.

    Raises:
        UsageError: A field is not a column of this call.
    """
    everything = (*columns, EXTRA_COLUMN)
    if fields is None:
        return Schema(everything, _native_rows(columns, warn, known=known), unfold=True)
    at = _positions(everything, fields)
    known = Expected(known.open_objects, known.required & set(fields))  # others may not have been asked for
    became = "they are kept" if EXTRA in fields else "they are not among --fields, but in the field extra"
    rows = _native_rows(columns, warn, known=known, became=became)
    chosen = tuple(everything[position] for position in at)

    def chosen_rows(page: Page) -> Sequence[Row]:
        found = rows(page)
        return (
            found.chosen(at) if isinstance(found, RowBatch) else [[row[position] for position in at] for row in found]
        )

    return Schema(chosen, chosen_rows)


def common(
    columns: Sequence[Column],
    to_common: Callable[[dict[str, Value]], dict[str, Value]],
    fields: Sequence[str] | None,
    warn: Warn,
    *,
    provider: str,
    profile: str,
    known: Expected = NOTHING_EXPECTED,
) -> Schema:
    """Return the common CDR, version 1: the same columns for all providers, or only the fields asked for.

    `to_common` takes the typed native values by column name and returns common values by name; what it leaves out is
    null. It sees no list or object but in columns of lists: a common CDR is flat, and what it computes with is not.

    Raises:
        UsageError: A field is not a column of the common CDR.
    """
    rows = _native_rows(columns, warn, flat=True, known=known, became="--schema native has them")
    names = [column.name for column in columns]
    chosen = COMMON if fields is None else tuple(COMMON[at] for at in _positions(COMMON, fields))

    def common_rows(page: Page) -> list[Row]:
        read = (dict(zip(names, row, strict=False)) for row in rows(page))
        values = (
            {**to_common(native_values), "provider": provider, "profile": profile or None} for native_values in read
        )
        return [[one.get(column.name) for column in chosen] for one in values]

    return Schema(chosen, common_rows)


def outcomes(
    columns: Sequence[Column], to_common: Callable[[dict[str, Value]], dict[str, Value]]
) -> Callable[[Row], Value]:
    """Return the function from a whole native row to the outcome that it has in the common CDR."""

    def outcome(row: Row) -> Value:
        values = {
            column.name: str(value) if isinstance(value, list | dict) and column.kind != "list" else value
            for column, value in zip(columns, row, strict=False)
        }
        return to_common(values).get("outcome")

    return outcome


def raw() -> Schema:
    """Return the records as the provider sent them, without columns: for JSONL and JSON only."""
    return Schema(None, lambda page: page.records)


def _positions(columns: Sequence[Column], fields: Sequence[str]) -> list[int]:
    at = {column.name: position for position, column in enumerate(columns)}
    for name in fields:
        if name not in at:
            raise no_field(name, at)
    return [at[name] for name in fields]


def no_field(name: str, known: Collection[str]) -> UsageError:
    """Return the refusal of a field that is not a column, with up to three names like it and where to see all."""
    common = [column.name for column in COMMON]
    like = nearest(name, known)
    where = "--schema common has it; " if name in common else ""
    if not like and not where and (there := nearest(name, common)):
        where = f"--schema common has {there[0]}; "
    fields = near(name, known) or (f"the nearest are: {', '.join(like)}; " if like else "")
    return UsageError(
        f"there is no field {name!r} here", hint=f"{where}{fields}cdrctl fields PROVIDER CALL lists all fields"
    )


def check_records(records: Any, container: str, provider: str) -> list[Record]:
    """Return the records of a page whose container has been found, or refuse a shape we do not know.

    Raises:
        ProviderError: It is not a list, or something in it is not an object: never "no records".
    """
    if not isinstance(records, list):
        raise ProviderError(
            f"{provider} answered in a shape we do not know: {container} is not a list",
            hint="check base_url; if it is right, the API has changed: update cdrctl",
        )
    if not all(isinstance(record, dict) for record in records):
        raise ProviderError(
            f"{provider} answered in a shape we do not know: something in {container} is not an object",
            hint="check base_url; if it is right, the API has changed: update cdrctl",
        )
    return records


# The common CDR

Outcome = Literal[
    "answered", "no_answer", "busy", "cancelled", "rejected", "failed", "voicemail", "abandoned", "unknown"
]
Direction = Literal["inbound", "outbound", "internal", "unknown"]

DIRECTIONS = ("inbound", "outbound", "internal", "unknown")
OUTCOMES = (
    *("answered", "no_answer", "busy", "cancelled", "rejected", "failed", "voicemail", "abandoned"),
    "unknown",
)

COMMON: tuple[Column, ...] = (
    Column("provider", "", "text", "which system the record comes from", values=tuple(PROVIDERS)),
    Column("profile", "", "text", "which profile it was read with"),
    Column("record_id", "", "text", "the provider's id of this record, unique per profile"),
    Column("call_id", "", "text", "what the records of one call have in common"),
    Column("direction", "", "text", "inbound, outbound, internal or unknown", values=DIRECTIONS),
    Column("from_number", "", "text", "calling number"),
    Column("from_name", "", "text", "calling name"),
    Column("to_number", "", "text", "called number"),
    Column("to_name", "", "text", "called name"),
    Column("dialed_number", "", "text", "digits as dialled, before translation"),
    Column("start_time", "", "time", "start of the leg"),
    Column("answer_time", "", "time", "moment of answer; null when not answered"),
    Column("end_time", "", "time", "end of the leg"),
    Column("ring_seconds", "", "seconds", "seconds of ringing"),
    Column("talk_seconds", "", "seconds", "seconds from answer to end"),
    Column("total_seconds", "", "seconds", "seconds from start to end"),
    Column("answered", "", "boolean", "whether this leg was answered"),
    Column(
        "outcome",
        "",
        "text",
        "answered, no_answer, busy, cancelled, rejected, failed, voicemail, abandoned or unknown",
        values=OUTCOMES,
    ),
    Column("cause", "", "text", "the provider's own word for how it ended"),
    Column("cause_q850", "", "integer", "ITU-T Q.850 cause number"),
    Column("user", "", "text", "person or service the leg belongs to"),
    Column("site", "", "text", "location, or account"),
    Column("trunk", "", "text", "trunk the leg used"),
    Column("queue", "", "text", "call queue"),
    Column("recording_url", "", "text", "where the recording is"),
    Column("cost", "", "money", "what the leg cost, in money"),
    Column("currency", "", "text", "ISO 4217 code of the cost"),
)


def seconds_between(since: str | None, until: str | None) -> int | None:
    """Return the whole seconds from one instant of a row to another, rounded down, or None when one is missing."""
    if not isinstance(since, str) or not isinstance(until, str):
        return None
    try:
        return int((iso_instant(until) - iso_instant(since)) // timedelta(seconds=1))
    except ValueError:
        return None
