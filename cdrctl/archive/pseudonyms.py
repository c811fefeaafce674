"""Keyed pseudonyms for numbers and names: the same for the same, of the same length and form.

Of a number of at least seven digits, the last seven are replaced, so that its country and its area stay, and all its
spellings get the same digits. The replacement is a permutation: two numbers never get the same one.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal

from cdrctl.archive.index import FROM_LINE
from cdrctl.archive.numbers import SHARED
from cdrctl.fetchers import Call
from cdrctl.records.columns import EXTRA, NUMBERS

KEY_BYTES = 32
ROUNDS = 10

_TYPED = NUMBERS | {"time", "boolean"}
_PARTY = re.compile(
    r"(^|_)(number|caller|callee|extension|digits|did|cid|destination|target|from|to|request|account)(_|$)"
)
_NAME = re.compile(r"name|email|user|contact|employee|person")
_OTHER = re.compile(
    r"(id|uuid|code|type|source|reason|result)$"
    r"|scenario|campaign|site|group|action|region|country|city|vendor|queue|department|rate|prefix|platform"
)

Kind = Literal["party", "name", "link", "other"]


@functools.cache
def kind_of(name: str) -> Kind:
    """Return the kind of a field by its name: a party of the call, a name, a link, or something else."""
    name = name.lower()
    if name.endswith("line_id"):  # the name of a person in Webex
        return "name"
    if name.endswith("url"):
        return "link"
    if _OTHER.search(name) and not name.endswith("cid"):
        return "other"
    return "party" if _PARTY.search(name) else "name" if _NAME.search(name) else "other"


_TIME = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?"
_SPELLING = re.compile(rf"{_TIME}|(?<![0-9A-Za-z])[0-9]+(?:[ ().\-/\u00a0\u2011]{{1,3}}[0-9]+)*(?![0-9A-Za-z])")
_WORD = re.compile(r"[^\W\d_]+")
_VOWELS, _CONSONANTS = "aeiou", "bdfgklmnprstvz"


class Pseudonyms:
    """The pseudonyms of one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def _number(self, *parts: object) -> int:
        text = "\0".join(map(str, parts)).encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(text, key=self._key, digest_size=16).digest())

    def record_key(self, key: bytes) -> bytes:
        """Return another key for a record, from which nobody can tell what the record was."""
        fresh = hashlib.blake2b(key, key=self._key, digest_size=len(key), person=b"key of a record").digest()
        return FROM_LINE + fresh[len(FROM_LINE) :] if key.startswith(FROM_LINE) else fresh

    def digits(self, digits: str) -> str:
        """Return the pseudonym of some digits; zeros at the beginning stay."""
        plain = digits.lstrip("0")
        if len(plain) >= SHARED:
            return digits[:-SHARED] + self._permuted(digits[-SHARED:])
        if len(plain) < 2:
            return digits
        found = self._permuted(plain)
        while found.startswith("0"):  # a permutation comes back to a number of this length
            found = self._permuted(found)
        return digits[: len(digits) - len(plain)] + found

    def _permuted(self, digits: str) -> str:
        """Return digits by a keyed permutation of all numbers of this length: a Feistel network, as FF1 of NIST."""
        half = len(digits) // 2
        left, right = int(digits[:half]), int(digits[half:])
        for number in range(ROUNDS):
            size = half if number % 2 == 0 else len(digits) - half
            left, right = right, (left + self._number(number, len(digits), right)) % 10**size
        return f"{left:0{half}}{right:0{len(digits) - half}}"

    def numbers_in(self, text: str, *, short: bool = False) -> str:
        """Return a text with pseudonyms for the numbers in it; also for short ones if asked."""

        def replaced(found: re.Match[str]) -> str:
            spelling = found[0]
            digits = re.sub("[^0-9]", "", spelling)
            if re.fullmatch(_TIME, spelling) or (len(digits.lstrip("0")) < SHARED and not short):
                return spelling
            fresh = iter(self.digits(digits))
            return "".join(next(fresh) if one.isdigit() else one for one in spelling)

        return _SPELLING.sub(replaced, text)

    def words_in(self, text: str) -> str:
        """Return a text with other words of the same length; the last part of a host stays."""
        body, dot, top = text.rpartition(".") if "@" in text else (text, "", "")
        return _WORD.sub(lambda found: self._word(found[0]), body) + dot + top

    def _word(self, word: str) -> str:
        letters = []
        for at, one in enumerate(word):
            source = _VOWELS if at % 2 else _CONSONANTS
            letter = source[self._number("letter", word.casefold(), at) % len(source)]
            letters.append(letter.upper() if one.isupper() else letter)
        return "".join(letters)

    def value(self, name: str, value: Any) -> Any:
        """Return the value of a field with pseudonyms for the numbers and names in it."""
        if isinstance(value, Mapping):
            return {key: self.value(key, inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.value(name, inner) for inner in value]
        if isinstance(value, int) and not isinstance(value, bool):
            return int(self.digits(str(value))) if value >= 10 ** (SHARED - 1) else value
        if not isinstance(value, str) or not value:
            return value
        return self._text(name, value)

    def _text(self, name: str, value: str) -> str | None:
        if value[0] in "{[":
            with suppress(ValueError, RecursionError):
                return json.dumps(self.value(name, json.loads(value)), ensure_ascii=False)
        kind = kind_of(name)
        if kind == "link" or re.match(r"https?://", value, re.IGNORECASE):
            return None
        text = self.numbers_in(value, short=kind == "party")
        if kind == "other":
            return text
        scheme = re.match(r"(?:sips?|tel):", text, re.IGNORECASE)
        start = scheme.end() if scheme is not None else 0
        return text[:start] + self.words_in(text[start:])


def record_pseudonymiser(call: Call, names: Pseudonyms) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return a function from the fields of a record to those with pseudonyms.

    Args:
        call: The call.
        names: The pseudonyms.
    """
    kept = {column.name for column in call.columns if column.kind in _TYPED or column.values}

    def pseudonymised(fields: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: value if name in kept and name != EXTRA else names.value(name, value)
            for name, value in fields.items()
        }

    return pseudonymised
