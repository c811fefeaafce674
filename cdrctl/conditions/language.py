"""The language of `--where`: parses a text into a condition."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NoReturn

from msgspec import Struct

from cdrctl.errors import UsageError

EXAMPLE = "for example: --where 'talk_seconds>60 and direction=inbound'"

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<sign><=|>=|!=|<>|==|!~|[=<>~(),])
    | `(?P<field>[^`]+)`
    | "(?P<double>(?:[^"\\]|\\.)*)"
    | '(?P<single>(?:[^'\\]|\\.)*)'
    | (?P<word>[^\s()=<>!~,'"`]+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ALIASES = {"==": "=", "<>": "!="}
_OPERATORS = frozenset({"=", "!=", "<", "<=", ">", ">=", "~", "!~"})
_DEEPEST = 50
"""The deepest nesting of brackets and `not`."""


class Comparison(Struct, frozen=True):
    """A comparison of a field with values, of which one must match; None is null."""

    field: str
    sign: str
    values: tuple[str | None, ...]


class Joined(Struct, frozen=True):
    """Conditions of which all (`every`) or at least one must be true."""

    every: bool
    parts: tuple[Condition, ...]


class Negated(Struct, frozen=True):
    """A condition that must be false."""

    part: Condition


Condition = Comparison | Joined | Negated


class _Token(Struct, frozen=True):
    kind: str
    text: str
    at: int

    def says(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words


def read_condition(text: str) -> Condition:
    """Return the condition in a text.

    Raises:
        UsageError: It has a syntax error; the message tells where.
    """
    return _Parser(text).parse()


def fields_in(condition: Condition) -> Iterator[str]:
    """Yield the fields of a condition, each once, in the order of the text."""
    yield from dict.fromkeys(one.field for one in comparisons(condition))


def comparisons(condition: Condition) -> Iterator[Comparison]:
    """Yield the comparisons of a condition, in the order of the text."""
    left: list[Condition] = [condition]
    while left:
        one = left.pop()
        if isinstance(one, Comparison):
            yield one
        elif isinstance(one, Negated):
            left.append(one.part)
        else:
            left.extend(reversed(one.parts))


class _Parser:
    """A recursive-descent parser of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [*self._split()]
        self._next = 0
        self._depth = 0

    def parse(self) -> Condition:
        """Return the condition of the whole text."""
        found = self._condition()
        if self._token.kind != "end":
            self._refuse("`and` or `or` was expected")
        return found

    def _split(self) -> Iterator[_Token]:
        at = 0
        while self._text[at:].strip():
            match = _TOKEN.match(self._text, at)
            if match is None:
                start = len(self._text) - len(self._text[at:].lstrip())
                why = "a quote is not closed" if self._text[start] in "'\"`" else "unexpected character"
                self._fail(start, why)
            kind = str(match.lastgroup)
            text = match[kind]
            if kind in {"double", "single"}:
                quote = '"' if kind == "double" else "'"
                kind, text = "quoted", text.replace(f"\\{quote}", quote)  # other backslashes are part of the value
            yield _Token(kind, _ALIASES.get(text, text) if kind == "sign" else text, match.start(match.lastgroup or 0))
            at = match.end()
        yield _Token("end", "", len(self._text))

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def _accept(self, sign: str) -> bool:
        """Consume a sign if it is the next token, and return whether it was."""
        if self._token.kind == "sign" and self._token.text == sign:
            self._next += 1
            return True
        return False

    def _condition(self) -> Condition:
        return self._join(self._conjunction, "or", every=False)

    def _conjunction(self) -> Condition:
        return self._join(self._part, "and", every=True)

    def _join(self, part: Callable[[], Condition], word: str, *, every: bool) -> Condition:
        parts = [part()]
        while self._token.says(word):
            self._take()
            parts.append(part())
        return parts[0] if len(parts) == 1 else Joined(every, tuple(parts))

    def _part(self) -> Condition:
        self._depth += 1
        if self._depth > _DEEPEST:
            self._refuse(f"too many brackets: at most {_DEEPEST} levels")
        try:
            if self._token.says("not"):
                self._take()
                return Negated(self._part())
            if self._accept("("):
                inner = self._condition()
                if not self._accept(")"):
                    self._refuse("a bracket is not closed")
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Condition:
        token = self._take()
        if token.kind not in {"word", "field"} or token.says("and", "or", "in", "is"):
            self._next -= 1
            self._refuse("a field was expected")
        field = token.text
        if self._token.kind == "sign" and self._token.text in _OPERATORS:
            sign = self._take().text
            return Comparison(field, sign, (self._value(),))
        if self._token.says("is"):
            self._take()
            negated = self._token.says("not") and bool(self._take())
            if not self._token.says("null"):
                self._refuse("null was expected")
            self._take()
            return Comparison(field, "!=" if negated else "=", (None,))
        if self._token.says("in") or (self._token.says("not") and self._tokens[self._next + 1].says("in")):
            return self._one_of(field)
        return Comparison(field, "true", ())

    def _one_of(self, field: str) -> Condition:
        negated = self._take().says("not") and bool(self._take())
        if not self._accept("("):
            self._refuse("( was expected after in")
        values = [self._value()]
        while self._accept(","):
            values.append(self._value())
        if not self._accept(")"):
            self._refuse(", or ) was expected")
        found = Comparison(field, "=", tuple(values))
        return Negated(found) if negated else found

    def _value(self) -> str | None:
        token = self._take()
        if token.kind == "quoted":
            return token.text
        if token.kind != "word" or token.says("and", "or", "not"):
            self._next -= 1
            self._refuse("a value was expected")
        return None if token.says("null") else token.text

    def _refuse(self, why: str) -> NoReturn:
        self._fail(self._token.at, why)

    def _fail(self, at: int, why: str) -> NoReturn:
        where = f"at {self._text[at : at + 20]!r}" if self._text[at:].strip() else "at its end"
        raise UsageError(f"--where cannot be read {where}: {why}", hint=EXAMPLE)
