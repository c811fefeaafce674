"""CDR notifications that Voicenter sent to the user's own web server, read from a file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from msgspec import Struct

from cdrctl.errors import UsageError
from cdrctl.fetchers import Query
from cdrctl.fetchers.voicenter.columns import NOTIFIED_BY_KEY, notification_identity
from cdrctl.fetchers.voicenter.pages import apart_of
from cdrctl.records.events import Event, Note, Page, Record, fingerprint

RECORDS_AT_ONCE = 1000
DEEPEST = 200
"""How deep lists and objects may be nested in a notification."""

LONGEST_NOTIFICATION = 64 * 1024 * 1024
"""Bytes of one notification, which is held in memory."""

_FORM = re.compile(r"\s*[A-Za-z_]\w*=")
"""The beginning of a body that is encoded as a form."""

_BLANK = re.compile(r"\s*")

# The places between two notifications: a place and the next character lead to another place.
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
    """Yield the notifications of a file: one JSON object, a list, several objects, or a form in each line.

    Raises:
        UsageError: The file is something else; the error names the line.
    """
    known: dict[bytes, str] = {}
    unreadable: list[int] = []
    plain: list[Record] = []
    others: list[tuple[str, Record]] = []
    for line, record in _objects(query.options["file"], unreadable):
        _check_notification(line, record)
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


class Scanner(Struct):
    """Finds the JSON objects in a text that arrives line by line.

    Args:
        place: The place between two objects, as in `_BETWEEN`.
        text: The text that was not read yet.
        line: The number of its first line.
        at_start: Whether it begins at the start of a line.
        due: The length of text at which it is read again, so that a long object is not read after every line.
    """

    place: str = "outside"
    text: str = ""
    line: int = 1
    at_start: bool = True
    due: int = 0

    def read(self, *, final: bool = False) -> Iterator[tuple[int, Record]]:
        """Yield the objects of the text, and the line of each. The last one may be incomplete, unless it is `final`.

        Raises:
            UsageError: Something else stands between two objects, or one of them is not JSON.
        """
        at = 0
        while True:
            at = self._skip(at, _BLANK.match(self.text, at).end())  # type: ignore[union-attr] # always matches
            if at == len(self.text):
                break
            if self.at_start and self.place == "outside" and (found := self._form(at)) is not None:
                yield self.line, found[0]
                at = self._skip(at, found[1])
                continue
            char = self.text[at]
            if (self.place, char) not in _BETWEEN:
                what = repr(char) if char in '[]{},"' else "another character"  # the text may be personal data
                _broken(self.line, f"{what} found where a notification should begin or end")
            end = at + 1
            if char == "{":
                decoded = _decode_object(self.text, at, self.line, final=final)
                if decoded is None:
                    break
                record, end = decoded
                yield self.line, record
            self.place = _BETWEEN[self.place, char]
            at = self._skip(at, end)
        self.text = self.text[at:]
        self.due = 2 * len(self.text)

    def _skip(self, start: int, end: int) -> int:
        """Count the lines of the text that was read, and return its end."""
        *lines, last = self.text[start:end].split("\n")
        self.line += len(lines)
        self.at_start = (bool(lines) or self.at_start) and not last.strip()
        return end

    def _form(self, start: int) -> tuple[Record, int] | None:
        """Return the notification in a line that is a form, and where the line ends."""
        end = self.text.find("\n", start)
        end = len(self.text) if end < 0 else end
        record = _read_form(self.line, self.text[start:end])
        return None if record is None else (record, end)


def _objects(lines: Iterable[bytes], unreadable: list[int]) -> Iterator[tuple[int, Record]]:
    """Yield every object of a file, with the number of its first line.

    The numbers of lines that are not UTF-8 are added to `unreadable`.
    """
    scanner = Scanner()
    number = 0
    waiting: list[str] = []
    held = 0
    for number, raw in enumerate(lines, 1):
        _check_size(number, len(raw))
        waiting.append(_decode_line(number, raw, unreadable))
        held += len(raw)
        if held < scanner.due and held <= LONGEST_NOTIFICATION:
            continue
        scanner.text += "".join(waiting)
        waiting.clear()
        yield from scanner.read()
        held = len(scanner.text)
        _check_size(scanner.line, held)
    scanner.text += "".join(waiting)
    yield from scanner.read(final=True)
    if scanner.place != "outside":
        _broken(max(number, 1), "the file ends in the middle")


def _check_size(line: int, size: int) -> None:
    if size > LONGEST_NOTIFICATION:
        _broken(line, f"a notification has more than {LONGEST_NOTIFICATION // 2**20} MiB")


def _decode_object(text: str, at: int, line: int, *, final: bool) -> tuple[Record, int] | None:
    """Return the object that begins at a position of a text, and where it ends; None if its end has not arrived.

    Raises:
        UsageError: It is not JSON, or nested too deeply.
    """
    try:
        record, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        if not final and error.pos >= len(text.rstrip()) - 1:
            return None
        column = error.colno - (at - text.rfind("\n", 0, at) - 1 if error.lineno == text.count("\n", 0, at) + 1 else 0)
        ends = error.pos < len(text) and text[error.pos] in "\r\n"
        why = "a string has no closing quote" if ends and "control" in error.msg else error.msg
        _broken(line + text.count("\n", at, error.pos), f"{why} (column {column} of what begins in line {line})")
    except ValueError as error:
        _broken(line, str(error).partition(";")[0])
    except RecursionError:
        _broken(line, _TOO_DEEP)
    if text.count("{", at, end) + text.count("[", at, end) > DEEPEST and _depth(record) > DEEPEST:
        _broken(line, _TOO_DEEP)
    return record, end


_TOO_DEEP = f"lists and objects are nested more than {DEEPEST} deep"


def _depth(value: Any) -> int:
    """Return how deep lists and objects are nested in a value."""
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return depth


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _read_form(number: int, line: str) -> Record | None:
    """Return the notification in a line that is encoded as a form, or None if it is not."""
    if line.startswith("<"):
        _broken(number, "it is XML, which is not supported: choose JSON for the notifications at Voicenter")
    if not _FORM.match(line):
        return None
    return dict(parse_qsl(line.strip(), keep_blank_values=True, errors="replace"))


def _decode_line(number: int, raw: bytes, unreadable: list[int]) -> str:
    encoding = "utf-8-sig" if number == 1 else "utf-8"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        unreadable.append(number)
        return raw.decode(encoding, "replace")


def _check_notification(line: int, record: Record) -> None:
    keys = {key.casefold() for key in record}
    if not keys & NOTIFIED_BY_KEY:
        what = "it is a response of the Call Log" if "cdr_list" in keys else "it has none of the known fields"
        _broken(line, f"this is not a CDR notification: {what}")


def _broken(line: int, why: str) -> NoReturn:
    raise UsageError(
        f"the notifications cannot be read: line {line}: {why}",
        hint="the file must contain the JSON bodies as Voicenter sent them: one object, a list, several objects "
        "in a row, or a form (name=value&…) in each line",
    )
