"""Calls that Voicenter has sent to a web server of the user's own, read from a file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn
from urllib.parse import parse_qsl

from cdrctl.errors import UsageError
from cdrctl.fetchers import Query
from cdrctl.fetchers.voicenter.columns import NOTIFIED_BY_KEY, notification_identity
from cdrctl.fetchers.voicenter.state import apart_of
from cdrctl.records.events import Event, Note, Page, Record, fingerprint

# Captured notifications

RECORDS_AT_ONCE = 1000
DEEPEST = 200
"""Lists and objects within each other that a notification may have."""

LONGEST_NOTIFICATION = 64 * 1024 * 1024
"""Bytes of one notification, which are held in memory."""

_FORM = re.compile(r"\s*[A-Za-z_]\w*=")
"""How a body begins that is encoded as a form."""

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{},"]|[^\s\[\]{},"]++')

# What may come next between the objects of a file: from where we are, and a token, to where we are then.
_BETWEEN: Mapping[tuple[str, str], str] = {
    ("outside", "{"): "outside",
    ("outside", "["): "opened",
    ("opened", "{"): "element",
    ("opened", "]"): "outside",
    ("element", ","): "comma",
    ("element", "]"): "outside",
    ("comma", "{"): "element",
}


def notifications(query: Query[None]) -> Iterator[Event]:
    """Yield the notifications of a file, whole: one JSON object, a list, object after object, or a form in each line.

    Raises:
        UsageError: The file is something else, and in which line.
    """
    known: dict[bytes, str] = {}
    unreadable: list[int] = []
    plain: list[Record] = []
    others: list[tuple[str, Record]] = []
    for line, text in _objects(query.options["file"], unreadable):
        record = _notification(line, text)
        key = hashlib.blake2b(notification_identity(record).encode("utf-8", "surrogatepass"), digest_size=12).digest()
        digest = fingerprint(record)
        if known.setdefault(key, digest[:16]) == digest[:16]:
            plain.append(record)
        else:
            others.append((digest, record))
        if len(plain) + len(others) >= RECORDS_AT_ONCE:
            yield Page(plain)
            yield from apart_of(others)
            plain, others = [], []
    yield Page(plain)
    yield from apart_of(others)
    if unreadable:
        which = ", ".join(map(str, unreadable[:3])) + (", …" if len(unreadable) > 3 else "")
        yield Note(f"bytes that are not UTF-8 were replaced by U+FFFD, in line {which}")


def _objects(lines: Iterable[bytes], unreadable: list[int]) -> Iterator[tuple[int, str]]:
    """Yield every object of a file as text, with the number of its first line.

    The numbers of lines that are not UTF-8 are added to `unreadable`.

    Brackets are counted outside of strings, which hold no line ends in JSON; whether what is between them is JSON is
    not looked at.
    """
    place, depth, begun, number = "outside", 0, 0, 0
    text: list[str] = []
    held = 0
    for number, raw in enumerate(lines, 1):
        held = _checked(begun if depth else number, len(raw) + (held if depth else 0))
        line = _decoded(number, raw, unreadable)
        if place == "outside" and not depth and (form := _form(number, line)) is not None:
            yield number, form
            continue
        left = 0
        for match in _TOKEN.finditer(line):
            token = match[0]
            if not depth:
                if (place, token) not in _BETWEEN:
                    what = repr(token) if len(token) == 1 else "something else"  # what it says may be personal data
                    _broken(number, f"{what} stands where a notification should begin or end")
                place = _BETWEEN[place, token]
                if token == "{":
                    depth, begun, left, text = 1, number, match.start(), []
            elif token in {"{", "["}:
                depth += 1
                if depth > DEEPEST:
                    _broken(number, f"there are more than {DEEPEST} lists and objects within each other")
            elif token in {"}", "]"}:
                depth -= 1
                if not depth:
                    yield begun, "".join([*text, line[left : match.end()]])
            elif token == '"':
                _broken(number, "a text has no end")
        if depth:
            text.append(line[left:])
    _check_end(max(number, 1), begun, "".join(text) if depth else "", outside=place == "outside")


def _check_end(line: int, begun: int, text: str, *, outside: bool) -> None:
    """Refuse a file that ends within a notification, of which this text came, or within a list."""
    if text:
        _parsed(begun, text)
    if text or not outside:
        _broken(line, "the file ends in the middle")


def _checked(line: int, size: int) -> int:
    if size > LONGEST_NOTIFICATION:
        _broken(line, f"a notification has more than {LONGEST_NOTIFICATION // 2**20} MiB")
    return size


def _form(number: int, line: str) -> str | None:
    """Return a body that is encoded as a form as JSON, or None where it is none."""
    if line.lstrip().startswith("<"):
        _broken(number, "it is XML, which cannot be read: choose JSON for the notifications at Voicenter")
    if not _FORM.match(line):
        return None
    return json.dumps(dict(parse_qsl(line.strip(), keep_blank_values=True, errors="replace")))


def _decoded(number: int, raw: bytes, unreadable: list[int]) -> str:
    encoding = "utf-8-sig" if number == 1 else "utf-8"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        unreadable.append(number)
        return raw.decode(encoding, "replace")


def _notification(line: int, text: str) -> Record:
    record = _parsed(line, text)
    keys = {key.casefold() for key in record}
    if not keys & NOTIFIED_BY_KEY:
        what = "it is an answer of the Call Log" if "cdr_list" in keys else "none of its fields is one"
        _broken(line, f"this is no CDR notification: {what}")
    return record


def _parsed(line: int, text: str) -> Record:
    try:
        record: Record = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        _broken(line + error.lineno - 1, f"{error.msg} (column {error.colno} of what begins in line {line})")
    except ValueError as error:
        _broken(line, str(error).partition(";")[0])
    return record


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _broken(line: int, why: str) -> NoReturn:
    raise UsageError(
        f"the notifications cannot be read: line {line}: {why}",
        hint="the file must hold the JSON bodies as Voicenter sent them: one object, a list, one object after the "
        "other, or a form (name=value&…) in each line",
    )
