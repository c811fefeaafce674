"""The language of `filter` and `orderby`: read a text into a condition on rows, or into an order of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cdrctl.sandbox.portsip.fields import Row
from cdrctl.sandbox.portsip.requests import RefusedError
from cdrctl.sandbox.portsip.times import Span, read_time

ALWAYS: Span = (-(2**63), 2**63)

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)(?![\w'])|(?P<word>[A-Za-z_]\w*)|(?P<mark>[(),]))"
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: bool(a == b),
    "ne": lambda a, b: bool(a != b),
    "gt": lambda a, b: bool(a > b),
    "ge": lambda a, b: bool(a >= b),
    "lt": lambda a, b: bool(a < b),
    "le": lambda a, b: bool(a <= b),
}
_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": str.__contains__,
}
_NUMBERS = {"status_code", "duration", "file_size"}
_TIMES = {"started_at", "rang_at", "answered_at", "ended_at", "completed_at"}
_DEEPEST = 100
"""How deep a filter may nest: the parser calls itself at every level."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter: `holds` tests a row, and no row passes whose `started_at` is outside `span`, in microseconds.

    `exact` says that every row within the span passes.
    """

    holds: Callable[[Row], bool]
    span: Span = ALWAYS
    exact: bool = False


def parse_filter(text: str, fields: Sequence[str], bounds: str = "half_open") -> Condition:
    """Return a `filter` as a condition on rows that have the named fields.

    `bounds` says how to take `ge` and `lt` of `started_at`: literally, or with other bounds.

    Raises `RefusedError` for an unknown field, for a value of another type than the field's, and for any text that
    does not follow the grammar. Source: the REST guide, "Filter": eq ne gt ge lt le, and, or, startswith, endswith,
    contains.
    """
    return _Parser(text, fields, bounds).parse()


def parse_order(text: str, fields: Sequence[str]) -> list[tuple[str, bool]]:
    """Return the fields of an `orderby`, each with whether it is descending; raise `RefusedError` for a wrong one."""
    found = []
    for part in text.split(","):
        words = part.split()
        if not words or len(words) > 2 or words[0] not in fields or words[1:] not in ([], ["asc"], ["desc"]):
            raise RefusedError("orderby")
        found.append((words[0], words[1:] == ["desc"]))
    return found


def sort_key(row: Row, column: str) -> Any:
    """Return the value that sorts a row by one column."""
    value = row[column]
    if column in _TIMES:
        return read_time(value or "") or 0
    return value if column in _NUMBERS else str(value or "")


class _Parser:
    """Reads one filter by recursive descent: `or` binds weakest, then `and`, then `not`."""

    def __init__(self, text: str, fields: Sequence[str], bounds: str) -> None:
        self.fields = fields
        self.start_words = {
            "ge": "gt" if bounds in {"open", "open_low"} else "ge",
            "lt": "le" if bounds in {"closed", "open_low"} else "lt",
        }
        self.tokens: list[tuple[str, str]] = []
        self.depth = 0
        at, end = 0, len(text.rstrip())
        while at < end:
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise RefusedError("filter")
            self.tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()
        self.tokens.reverse()

    def parse(self) -> Condition:
        found = self._read_or()
        if self.tokens:
            raise RefusedError("filter")
        return found

    def _next(self, *kinds: str) -> str:
        if not self.tokens or self.tokens[-1][0] not in kinds:
            raise RefusedError("filter")
        return self.tokens.pop()[1]

    def _skip(self, token: tuple[str, str]) -> bool:
        """Return whether the token comes next; if so, go past it."""
        if self.tokens and self.tokens[-1] == token:
            self.tokens.pop()
            return True
        return False

    def _expect(self, mark: str) -> None:
        if not self._skip(("mark", mark)):
            raise RefusedError("filter")

    def _read_or(self) -> Condition:
        found = self._read_and()
        while self._skip(("word", "or")):
            found = _either(found, self._read_and())
        return found

    def _read_and(self) -> Condition:
        found = self._read_term()
        while self._skip(("word", "and")):
            found = _both(found, self._read_term())
        return found

    def _read_term(self) -> Condition:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise RefusedError("filter")
        try:
            if self._skip(("word", "not")):
                return _negate(self._read_term())
            if self._skip(("mark", "(")):
                found = self._read_or()
                self._expect(")")
                return found
            word = self._next("word")
            if self.tokens and self.tokens[-1] == ("mark", "("):
                return self._read_function(word)
            return self._read_comparison(word)
        finally:
            self.depth -= 1

    def _read_function(self, name: str) -> Condition:
        self._expect("(")
        column = self._next("word")
        self._expect(",")
        wanted = _unquote(self._next("text"))
        self._expect(")")
        if name not in _FUNCTIONS or column not in self.fields or column in _TIMES | _NUMBERS:
            raise RefusedError("filter")
        test = _FUNCTIONS[name]
        return Condition(lambda row: test(row[column] or "", wanted))

    def _read_comparison(self, column: str) -> Condition:
        word = self._next("word")
        kind = self.tokens[-1][0] if self.tokens else ""
        literal = self._next("text", "number", "word")
        if column not in self.fields or word not in _COMPARISONS or (kind == "word" and literal != "null"):
            raise RefusedError("filter")
        test = _COMPARISONS[word]
        nothing = kind == "word" or (column not in _NUMBERS and literal == "''")
        if nothing:
            if word not in {"eq", "ne"}:
                raise RefusedError("filter")
            return Condition(lambda row: test(row[column] or "", ""))
        if (kind == "number") != (column in _NUMBERS):
            raise RefusedError("filter")
        if column in _NUMBERS:
            number = float(literal)
            return Condition(lambda row: test(row[column], number))
        text = _unquote(literal)
        if column not in _TIMES:
            return Condition(lambda row: test(row[column] or "", text))
        at = read_time(text)
        if at is None:
            raise RefusedError("filter")
        return _compare_time(column, self.start_words.get(word, word) if column == "started_at" else word, at)


def _compare_time(column: str, word: str, at: int) -> Condition:
    """Return a condition on a time; an empty one is unequal to every time, and neither before nor after it."""
    test = _COMPARISONS[word]

    def holds(row: Row) -> bool:
        known = read_time(row[column] or "")
        return word == "ne" if known is None else test(known, at)

    if column != "started_at" or word == "ne":
        return Condition(holds)
    first, last = ALWAYS
    span = {"eq": (at, at + 1), "gt": (at + 1, last), "ge": (at, last), "lt": (first, at), "le": (first, at + 1)}[word]
    return Condition(holds, span, exact=True)


def _unquote(literal: str) -> str:
    return literal[1:-1].replace("''", "'")


def _both(a: Condition, b: Condition) -> Condition:
    span = max(a.span[0], b.span[0]), min(a.span[1], b.span[1])
    return Condition(lambda row: a.holds(row) and b.holds(row), span, a.exact and b.exact)


def _either(a: Condition, b: Condition) -> Condition:
    return Condition(lambda row: a.holds(row) or b.holds(row), (min(a.span[0], b.span[0]), max(a.span[1], b.span[1])))


def _negate(a: Condition) -> Condition:
    return Condition(lambda row: not a.holds(row))
