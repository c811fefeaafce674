import re
import unicodedata
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st
from rich.cells import cell_len

from cdrctl.records import Kind
from cdrctl.writers import Look
from cdrctl.writers.table import fit

from .examples import BERLIN, LOOK, nasty_text, schema, unhurried, values, written

KINDS: dict[str, Kind] = {
    "start_time": "time",
    "duration": "seconds",
    "cost": "money",
    "answered": "boolean",
    "legs": "list",
}
FORM = schema("start_time", "name", "duration", "answered", "cost", "legs", unfold=True, kinds=KINDS)
ROWS: list[list[Any]] = [
    ["2026-07-19T08:00:00.123Z", "Ada Lovelace", 61, True, "1.25", ["a", 1], None],
    ["2026-11-19T23:30:00.999Z", "田中太郎", 7, False, "10.00", None, {"new": 1}],
    [None, None, None, None, None, None, None],
]


def table(look: Look = LOOK, pages: list[list[list[Any]]] | None = None) -> str:
    return written("table", FORM, [ROWS] if pages is None else pages, look).decode()


RULE = "─"

HOSTILE = [
    "\x00", "\x07", "\x08", "\t", "\n", "\r", "\x1b", "\x7f", "\x80", "\x85", "\x9b", "\x9f",  # C0, DEL, C1
    "\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069",  # bidi
    "\u200e", "\u200f", "\u061c",  # bidi marks
    "\u2028", "\u2029", "\ufeff", "\u200b", "\u00ad", "\u200d",  # line ends and what has no width
    "\ud800", "\udfff",  # halves of surrogate pairs
]  # fmt: skip


def test_a_table_of_80_columns() -> None:
    assert table(replace(LOOK, zone=BERLIN)) == (
        "times in Europe/Berlin\n"
        "start_time           name          duration  answered   cost  legs     extra\n" + RULE * 80 + "\n"
        '2026-07-19 10:00:00  Ada Lovelace        61  yes        1.25  ["a",1]  -\n'
        '2026-11-20 00:30:00  田中太郎             7  no        10.00  -        {"new":1}\n'
        "-                    -                    -  -             -  -        -\n"
    )


def test_a_table_of_200_columns_is_no_wider_than_it_needs() -> None:
    assert table(replace(LOOK, width=200)) == table(replace(LOOK, width=80))


def test_a_table_of_40_columns_leaves_out_what_does_not_fit_and_counts_it() -> None:
    assert table(replace(LOOK, width=40)) == (
        "times in UTC\n"
        "start_time           name\n" + RULE * 33 + "\n"
        "2026-07-19 08:00:00  Ada Lovelace\n"
        "2026-11-19 23:30:00  田中太郎\n"
        "-                    -\n"
        "… and 5 more columns: --fields, or -f\n"
        "csv\n"
    )


def test_columns_that_the_user_chose_are_squeezed_before_one_is_left_out() -> None:
    assert table(replace(LOOK, width=40, chosen=True)) == (
        "times in UTC\n"
        "start…  name     durati…  answer…   cost\n" + RULE * 40 + "\n"
        "2026-…  Ada Lo…       61  yes       1.25\n"
        "2026-…  田中太…        7  no       10.00\n"
        "-       -              -  -            -\n"
        "… and 2 more columns: a wider terminal,\n"
        "or -f csv\n"
    )


def test_only_the_usual_columns_are_shown_unless_the_user_chose() -> None:
    usual = replace(LOOK, shown=("cost", "no_such_column", "name"))
    assert table(usual).splitlines()[0].split() == ["cost", "name"]
    assert table(usual).splitlines()[-1] == "… and 5 more columns: --fields, or -f csv"
    assert table(replace(usual, chosen=True)) == table()


def test_all_columns_are_shown_when_none_of_the_usual_is_there() -> None:
    assert table(replace(LOOK, shown=("no_such_column",))) == table()


def test_one_column_left_out_is_one_column() -> None:
    form = schema("a", "b")
    last = written("table", form, [[["x", "y"]]], replace(LOOK, shown=("a",))).decode().splitlines()[-1]
    assert last == "… and 1 more column: --fields, or -f csv"


def test_later_pages_line_up_with_the_first_and_have_no_header() -> None:
    form = schema("name", "duration", kinds=KINDS)
    text = written("table", form, [[], [["Ada", 5]], [], [["A much longer name", 123456789], ["B", None]]]).decode()
    assert text == ("name  duration\n" + RULE * 14 + "\nAda          5\nA m…  1234567…\nB            -\n")


def test_the_zone_is_named_once() -> None:
    assert table(pages=[ROWS, ROWS]).count("times in UTC") == 1


def test_a_long_name_of_a_zone_is_folded() -> None:
    long = ZoneInfo("America/Argentina/ComodRivadavia")
    lines = table(replace(LOOK, zone=long, width=20)).splitlines()
    assert lines[:3] == ["times in", "America/Argentina/Co", "modRivadavia"]


@pytest.mark.parametrize("pages", [[], [[]], [[], []]])
def test_no_records_is_a_line(pages: list[list[Any]]) -> None:
    assert table(pages=pages) == "no records\n"


def test_a_time_is_local_and_one_that_is_none_passes_as_it_came() -> None:
    form = schema("start_time", kinds=KINDS)
    times = ["2026-03-29T00:59:59.999Z", "2026-03-29T01:00:00.000Z", "tomorrow\x1b[m", 5, "0001-01-01T00:00:00.000Z"]
    west = replace(LOOK, zone=BERLIN)
    assert written("table", form, [[[time] for time in times]], west).decode().splitlines()[3:] == [
        "2026-03-29 01:59:59",
        "2026-03-29 03:00:00",
        "tomorrow·[m",
        "5",
        "0001-01-01 00:53:28",
    ]


def test_a_time_that_a_zone_cannot_say_passes_as_it_came() -> None:
    form = schema("start_time", kinds=KINDS)
    new_york = replace(LOOK, zone=ZoneInfo("America/New_York"))
    text = written("table", form, [[["0001-01-01T00:00:00.000Z"]]], new_york).decode()
    assert text.splitlines()[-1] == "0001-01-01T00:00:00.000Z"


def test_without_times_no_zone_is_named() -> None:
    assert written("table", schema("name"), [[["Ada"]]]).decode().startswith("name\n")


@pytest.mark.parametrize("value", ["[red]x[/]", "[/]", ":smile:", "[link=http://x]y[/link]", "\\[x]", "'a' 1 True"])
def test_markup_and_emoji_codes_are_text(value: str) -> None:
    look = replace(LOOK, color=True)
    assert written("table", schema("a"), [[[value]]], look).decode().splitlines()[-1] == value


@pytest.mark.parametrize("character", HOSTILE, ids=ascii)
def test_what_controls_a_terminal_is_a_visible_dot(character: str) -> None:
    value = f"a{character}b"
    assert written("table", schema("name"), [[[value]]]).decode().splitlines()[-1] == "a·b"
    form = schema("start_time", "legs", kinds=KINDS)
    line = written("table", form, [[[value, {value: [value]}]]]).decode().splitlines()[-1]
    assert not [one for one in line if unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]


def test_a_name_of_a_column_controls_no_terminal_either() -> None:
    assert written("table", schema("a\x1b[31mb"), [[["x"]]]).decode().startswith("a·[31mb\n")


def test_what_persian_needs_stays_and_odd_blanks_are_blanks() -> None:
    rows = [["نمی\u200cشود"], ["a\u00a0b\u3000c"]]
    assert written("table", schema("name"), [rows]).decode().splitlines()[-2:] == ["نمی\u200cشود", "a b c"]


def test_there_is_color_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in table()
    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    colored = table(replace(LOOK, color=True))
    assert "\x1b[1mstart_time" in colored
    plain = re.sub(r"\x1b\[[0-9;]*m", "", colored)
    assert [line.rstrip() for line in plain.splitlines()] == table().splitlines()


def test_the_environment_has_no_say_in_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = replace(LOOK, width=40)
    before = table(narrow)
    for name, value in {"COLUMNS": "30", "TERM": "dumb", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    assert table(narrow) == before


@pytest.mark.parametrize("width", [0, -1, 1, 19])
def test_a_terminal_that_does_not_know_its_width_gets_a_narrow_table(width: int) -> None:
    assert table(replace(LOOK, width=width)) == table(replace(LOOK, width=20))


lines_of_names = st.lists(st.lists(st.one_of(values, nasty_text), min_size=7, max_size=7), min_size=1, max_size=4)


@unhurried
@given(
    pages=st.lists(lines_of_names, max_size=3),
    width=st.integers(20, 200),
    chosen=st.booleans(),
    color=st.booleans(),
)
def test_no_line_is_wider_than_the_terminal_and_no_value_controls_it(
    pages: list[list[list[Any]]], width: int, *, chosen: bool, color: bool
) -> None:
    text = table(Look(width, BERLIN, color, chosen=chosen), pages)
    plain = re.sub(r"\x1b\[[12]?m|\x1b\[0m", "", text) if color else text
    lines = plain.split("\n")
    assert lines.pop() == ""
    assert [line for line in lines if cell_len(line) > width] == []
    assert {one for one in plain if unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"}} <= {"\n", "\u200c"}
    if pages:
        rule = next(number for number, line in enumerate(lines) if line.startswith(RULE))
        rows = sum(map(len, pages))
        assert all(RULE not in line or number == rule for number, line in enumerate(lines[: rule + 1]))
        assert len(lines) >= rule + 1 + rows


column_widths = st.integers(1, 300).flatmap(lambda width: st.tuples(st.just(width), st.integers(1, width)))


@unhurried
@given(st.lists(column_widths, min_size=1, max_size=40), st.integers(20, 200))
def test_widths_fit_and_leave_out_no_column_that_has_room(columns: list[tuple[int, int]], room: int) -> None:
    natural = [width for width, _ in columns]
    least = [small for _, small in columns]
    widths = fit(natural, least, room)
    assert sum(widths) + 2 * (len(widths) - 1) <= room
    assert len(widths) == 1 or all(small <= width for width, small in zip(widths, least, strict=False))
    one_more = least[: len(widths) + 1]
    assert len(widths) == len(natural) or sum(one_more) + 2 * (len(one_more) - 1) > room
    if sum(natural) + 2 * (len(natural) - 1) <= room:
        assert widths == natural


def test_the_widest_column_is_squeezed_first() -> None:
    assert fit([10, 60, 30], [6, 6, 6], 50) == [10, 18, 18]
    assert fit([10, 60, 30], [6, 40, 6], 60) == [8, 40, 8]
