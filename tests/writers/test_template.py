"""Lines of the user's own making: one for each record, whatever is in it."""

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

SCHEMA = Schema((Column("name", "n"), Column("a.b", "x")), lambda _page: ())


def lines(template: str, rows: list[list[Any]], *, header: bool = False) -> str:
    out = io.BytesIO()
    write(SCHEMA, iter([rows]), out, RenderOptions(80, UTC, color=False, header=header, template=template))
    return out.getvalue().decode()


def test_a_template_has_text_and_fields() -> None:
    assert parse_template("a{x:>5}{{}}") == [("a", "x", ">5"), ("{", None, ""), ("}", None, "")]
    assert [*fields_of("{b}{a}{b}")] == ["b", "a"]
    assert lines("<{a.b}> {{{name}}}", [["n", 5], [None, True]]) == "<5> {n}\n<true> {}\n"


def test_what_a_shell_would_make_of_it_is_made_of_it() -> None:
    assert lines(r"{name}\t{name}\n\\{name}\x", [["n", None]]) == "n\tn\n\\n\\x\n"


@pytest.mark.parametrize(
    "template", ["{", "}", "{}", "{ }", "{0!r}", "{name!s}", "{name:d}", "{name:{a.b}}", "{a:x>9999}"]
)
def test_what_is_no_template_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match="--template"):
        parse_template(template)


@pytest.mark.parametrize("template", ["{name.__class__}", "{name[0]}", "{nothing}"])
def test_nothing_but_fields_is_looked_up(template: str) -> None:
    with pytest.raises(UsageError, match="there is no field"):
        lines(template, [["n", None]])


def test_names_stand_in_the_first_line_on_demand() -> None:
    assert lines("{name:>6}|{a.b}", [], header=True) == "  name|a.b\n"


@given(st.text(max_size=8))
def test_a_record_is_one_line_that_no_terminal_obeys(name: str) -> None:
    written = lines("{name}", [[name, None]])
    assert written.count("\n") == 1
    assert all(one.isprintable() or one in "\u200c\u200d \u00a0\u3000" or one.isspace() for one in written[:-1])
    assert not set(written[:-1]) & {"\x1b", "\x07", "\r", "\x85", "\u2028", "\u202e", "\t", "\x9b"}
    if name.isprintable():
        assert written == name + "\n"


def test_what_does_not_print_is_spelt() -> None:
    assert lines("{name}", [["a\nb\tc\x1b\x9b\u202e\U000e0001\u200d\u00a0", None]]) == (
        "a\\nb\\tc\\u001b\\u009b\\u202e\\U000e0001\u200d\u00a0\n"
    )
