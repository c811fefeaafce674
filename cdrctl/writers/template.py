"""Templates: one line for each record in the user's own form, such as `{start_time} {from_number}`."""

from __future__ import annotations

import functools
import re
from string import Formatter
from typing import TYPE_CHECKING, Any
from unicodedata import category

from cdrctl.errors import UsageError
from cdrctl.records.schemas import no_field
from cdrctl.writers.values import objects, text_of, utf8

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

    from cdrctl.records.events import Record
    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages, RenderOptions

TAKES_RAW = True

_SPEC = re.compile(r"[<>^]?\d{0,3}(?:\.\d{1,3})?")
_TYPED = {"t": "\t", "n": "\n", "\\": "\\"}
_EXAMPLE = "write it as --template '{start_time} {from_number}'; a literal brace is {{ or }}"


def write(schema: Schema, pages: Pages, out: BinaryIO, look: RenderOptions) -> None:
    r"""Write a line for each record by the template: `{field}`, `{field:>20}`, `{field:.10}`.

    Values are as in CSV, empty for null; characters that would end the line or control a terminal are written as in
    JSON, `\n` or `\u001b`, so that a record is one line. With a header the first line has the names of the fields.

    Raises:
        UsageError: The template has a syntax error, or names a field that is not a column.
    """
    parts = parse_template(look.template)
    cell: Callable[[Any, str], Any]
    if schema.columns is None:
        from cdrctl.conditions.evaluation import reach

        cell = reach
    else:
        names = [column.name for column in schema.columns]
        if unknown := [name for _, name, _ in parts if name is not None and name not in names]:
            raise no_field(unknown[0], names)
        cell = dict.get
    if look.header:
        out.write(utf8(_line(parts, lambda name: name)))
    for page in pages:
        lines = [_line(parts, functools.partial(_cell_text, cell, one)) for one in objects(schema, page)]
        out.write(utf8("".join(lines)))


def _cell_text(cell: Callable[[Record, str], Any], one: Record, name: str) -> str:
    return text_of(cell(one, name))


def parse_template(template: str) -> list[tuple[str, str | None, str]]:
    r"""Return the parts of a template: the text before a field, the field or None, and its width.

    `\t`, `\n` and `\\` in the text are escapes, as in a shell's printf.

    Raises:
        UsageError: It has a syntax error.
    """
    try:
        found = [*Formatter().parse(template)]
    except ValueError as error:
        raise UsageError(f"--template cannot be read: {error}", hint=_EXAMPLE) from None
    parts: list[tuple[str, str | None, str]] = []
    for text, name, spec, conversion in found:
        if name is not None:
            _check(name, spec or "", conversion)
        unescaped = re.sub(r"\\([tn\\])", lambda match: _TYPED[match[1]], text)
        parts.append((unescaped, None if name is None else name.strip(), spec or ""))
    return parts


def _check(name: str, spec: str, conversion: str | None) -> None:
    """Check the contents of braces.

    Raises:
        UsageError: The field has no name, or is followed by something that is not a width.
    """
    if not name.strip():
        raise UsageError("--template has braces without a field in them", hint=_EXAMPLE)
    if conversion is not None:
        raise UsageError(f"--template: {{{name}}} cannot have !{conversion}", hint=f"leave !{conversion} out")
    if not _SPEC.fullmatch(spec):
        raise UsageError(
            f"--template: {spec!r} after {name} is not a width",
            hint=f"write < or > or ^ and a width, as in {{{name}:>20}}, or .10 to cut, as in {{{name}:.10}}",
        )


def fields_of(template: str) -> Iterator[str]:
    """Yield the fields of a template.

    Raises:
        UsageError: It has a syntax error.
    """
    yield from dict.fromkeys(name for _, name, _ in parse_template(template) if name is not None)


def _line(parts: Sequence[tuple[str, str | None, str]], value: Callable[[str], str]) -> str:
    return (
        "".join([text + (format(_printable(value(name)), spec) if name else "") for text, name, spec in parts]) + "\n"
    )


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join([one if one.isprintable() else _escape(one) for one in text])


def _escape(one: str) -> str:
    if one in _JOINERS or category(one) == "Zs":
        return one
    return _SHORT.get(one) or (f"\\u{ord(one):04x}" if ord(one) <= _BASIC else f"\\U{ord(one):08x}")


_JOINERS = frozenset("\u200c\u200d")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_BASIC = 0xFFFF
