"""Templates: one line for each record, whatever its values contain."""

from __future__ import annotations

import io
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cdrctl.errors import UsageError
from cdrctl.records.columns import Column
from cdrctl.records.schemas import Schema
from cdrctl.writers import RenderOptions
from cdrctl.writers.template import fields_of, parse_template, write
from tests.support.products import for_each

SCHEMA = Schema((Column("name", "n"), Column("a.b", "x")), lambda _page: ())


def lines(template: str, rows: list[list[Any]], *, header: bool = False) -> str:
    out = io.BytesIO()
    write(SCHEMA, iter([rows]), out, RenderOptions(80, UTC, color=False, header=header, template=template))
    return out.getvalue().decode()


def test_a_template_has_text_and_fields() -> None:
    assert parse_template("a{x:>5}{{}}") == [("a", "x", ">5"), ("{", None, ""), ("}", None, "")]
    assert [*fields_of("{b}{a}{b}")] == ["b", "a"]
    assert lines("<{a.b}> {{{name}}}", [["n", 5], [None, True]]) == "<5> {n}\n<true> {}\n"


def test_escapes_are_replaced_as_in_a_shell() -> None:
    assert lines(r"{name}\t{name}\n\\{name}\x", [["n", None]]) == "n\tn\n\\n\\x\n"


@for_each("template", ["{", "}", "{}", "{ }", "{0!r}", "{name!s}", "{name:d}", "{name:{a.b}}", "{a:x>9999}"])
def test_an_invalid_template_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match="--template"):
        parse_template(template)


@for_each("template", ["{name.__class__}", "{name[0]}", "{nothing}"])
def test_only_fields_can_be_named(template: str) -> None:
    with pytest.raises(UsageError, match="there is no field"):
        lines(template, [["n", None]])


def test_the_header_option_adds_a_line_of_names() -> None:
    assert lines("{name:>6}|{a.b}", [], header=True) == "  name|a.b\n"


@given(st.text(max_size=8))
def test_a_record_is_one_line_without_control_characters(name: str) -> None:
    written = lines("{name}", [[name, None]])
    assert written.count("\n") == 1
    assert all(one.isprintable() or one in "\u200c\u200d \u00a0\u3000" or one.isspace() for one in written[:-1])
    assert not set(written[:-1]) & {"\x1b", "\x07", "\r", "\x85", "\u2028", "\u202e", "\t", "\x9b"}
    if name.isprintable():
        assert written == name + "\n"


def test_unprintable_characters_are_escaped() -> None:
    assert lines("{name}", [["a\nb\tc\x1b\x9b\u202e\U000e0001\u200d\u00a0", None]]) == (
        "a\\nb\\tc\\u001b\\u009b\\u202e\\U000e0001\u200d\u00a0\n"
    )
