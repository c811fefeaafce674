import re
import unicodedata
from datetime import datetime, timedelta, timezone
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from dateutil.tz import tzlocal
from hypothesis import given, strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from cdrctl.records.columns import Column, Kind
from cdrctl.records.common import Outcome
from cdrctl.writers import RenderOptions
from cdrctl.writers.table import columns_that_fit, display_text, display_texts, fit_widths
from tests.support.products import for_each

from .examples import BERLIN, LOOK, nasty_text, schema, values, written

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


def table(look: RenderOptions = LOOK, pages: list[list[list[Any]]] | None = None) -> str:
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
        '2026-07-19 10:00:00  Ada Lovelace      1:01  yes        1.25  ["a",1]  -\n'
        '2026-11-20 00:30:00  田中太郎          0:07  no        10.00  -        {"new":1}\n'
        "-                    -                    -  -             -  -        -\n"
    )


def test_a_table_of_200_columns_is_no_wider_than_its_content() -> None:
    assert table(replace(LOOK, width=200)) == table(replace(LOOK, width=80))


def test_a_table_of_40_columns_omits_columns_and_counts_them() -> None:
    assert table(replace(LOOK, width=40)) == (
        "times in UTC\n"
        "start_time           name       duration\n" + RULE * 40 + "\n"
        "2026-07-19 08:00:00  Ada Love…      1:01\n"
        "2026-11-19 23:30:00  田中太郎       0:07\n"
        "-                    -                 -\n"
        "… and 4 more columns: --fields, or -f\n"
        "csv\n"
    )


CHOSEN = tuple(column.name for column in FORM.columns or ())


def test_chosen_text_is_shortened_before_a_column_is_omitted() -> None:
    assert table(replace(LOOK, width=52, chosen=CHOSEN)) == (
        "times in UTC\n"
        "start_time           name    durati…  answer…   cost\n" + RULE * 52 + "\n"
        "2026-07-19 08:00:00  Ada L…     1:01  yes       1.25\n"
        "2026-11-19 23:30:00  田中 …     0:07  no       10.00\n"
        "-                    -             -  -            -\n"
        "… and 2 more columns: a wider terminal, or -f csv\n"
    )


def test_only_the_table_columns_are_shown_by_default() -> None:
    usual = replace(LOOK, shown=("cost", "no_such_column", "name"))
    assert table(usual).splitlines()[0].split() == ["cost", "name"]
    assert table(usual).splitlines()[-1] == "… and 5 more columns: --fields, or -f csv"
    assert table(replace(usual, chosen=CHOSEN)) == table()
    assert table(replace(usual, chosen=("name", "legs"))).splitlines()[0].split() == ["name", "legs"]
    assert "more" not in table(replace(usual, chosen=("name", "legs")))


def test_all_columns_are_shown_if_no_table_column_exists() -> None:
    assert table(replace(LOOK, shown=("no_such_column",))) == table()


def test_one_omitted_column_is_counted_in_the_singular() -> None:
    form = schema("a", "b")
    last = written("table", form, [[["x", "y"]]], replace(LOOK, shown=("a",))).decode().splitlines()[-1]
    assert last == "… and 1 more column: --fields, or -f csv"


def test_later_pages_align_with_the_first_and_have_no_header() -> None:
    form = schema("name", "duration", kinds=KINDS)
    text = written("table", form, [[], [["Ada", 5]], [], [["A much longer name", 123456789], ["B", None]]]).decode()
    assert text == ("name  duration\n" + RULE * 14 + "\nAda       0:05\nA m…         …\nB            -\n")


def test_the_zone_is_named_once() -> None:
    assert table(pages=[ROWS, ROWS]).count("times in UTC") == 1


def test_a_long_zone_name_is_wrapped() -> None:
    long = ZoneInfo("America/Argentina/ComodRivadavia")
    lines = table(replace(LOOK, zone=long, width=20)).splitlines()
    assert lines[:3] == ["times in America/Arg", "entina/ComodRivadavi", "a"]


@for_each("pages", [[], [[]], [[], []]])
def test_an_export_without_records_prints_one_line(pages: list[list[Any]]) -> None:
    assert table(pages=pages) == "no records\n"


def test_times_are_local_and_invalid_times_are_unchanged() -> None:
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


def test_a_time_that_cannot_be_converted_to_the_zone_is_unchanged() -> None:
    form = schema("start_time", kinds=KINDS)
    new_york = replace(LOOK, zone=ZoneInfo("America/New_York"))
    text = written("table", form, [[["0001-01-01T00:00:00.000Z"]]], new_york).decode()
    assert text.splitlines()[-1] == "0001-01-01T00:00:00.000Z"


def test_without_times_no_zone_is_named() -> None:
    assert written("table", schema("name"), [[["Ada"]]]).decode().startswith("name\n")


@for_each("value", ["[red]x[/]", "[/]", ":smile:", "[link=http://x]y[/link]", "\\[x]", "'a' 1 True"])
def test_markup_and_emoji_codes_are_plain_text(value: str) -> None:
    look = replace(LOOK, color=True)
    assert written("table", schema("a"), [[[value]]], look).decode().splitlines()[-1] == value


@for_each("character", HOSTILE)
def test_control_characters_are_shown_as_dots(character: str) -> None:
    value = f"a{character}b"
    assert written("table", schema("name"), [[[value]]]).decode().splitlines()[-1] == "a·b"
    form = schema("start_time", "legs", kinds=KINDS)
    line = written("table", form, [[[value, {value: [value]}]]]).decode().splitlines()[-1]
    assert not [one for one in line if unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]


def test_control_characters_of_column_names_are_removed() -> None:
    assert written("table", schema("a\x1b[31mb"), [[["x"]]]).decode().startswith("a·[31mb\n")


def test_zero_width_non_joiners_are_kept_and_odd_spaces_become_spaces() -> None:
    rows = [["نمی\u200cشود"], ["a\u00a0b\u3000c"]]
    assert written("table", schema("name"), [rows]).decode().splitlines()[-2:] == ["نمی\u200cشود", "a b c"]


def test_colours_are_off_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in table()
    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    colored = table(replace(LOOK, color=True))
    assert "\x1b[1mstart_time" in colored
    plain = re.sub(r"\x1b\[[0-9;]*m", "", colored)
    assert [line.rstrip() for line in plain.splitlines()] == table().splitlines()


def test_the_environment_does_not_change_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = replace(LOOK, width=40)
    before = table(narrow)
    for name, value in {"COLUMNS": "30", "TERM": "dumb", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    assert table(narrow) == before


@for_each("width", [0, -1, 1, 19])
def test_an_unknown_width_gives_a_narrow_table(width: int) -> None:
    assert table(replace(LOOK, width=width)) == table(replace(LOOK, width=20))


lines_of_names = st.lists(st.lists(st.one_of(values, nasty_text), min_size=7, max_size=7), min_size=1, max_size=4)


@pytest.mark.slow
@given(
    pages=st.lists(lines_of_names, max_size=3),
    width=st.integers(20, 200),
    chosen=st.one_of(st.none(), st.lists(st.sampled_from(CHOSEN), min_size=1).map(tuple)),
    color=st.booleans(),
)
def test_any_table_fits_the_terminal_and_has_no_control_characters(
    pages: list[list[list[Any]]], width: int, chosen: tuple[str, ...] | None, *, color: bool
) -> None:
    look = RenderOptions(
        width, BERLIN, color, chosen=chosen, outcome=lambda row: row[1], ending=("name", "legs", "cost")
    )
    text = table(look, pages)
    plain = re.sub(r"\x1b\[([012]|3[123])m", "", text) if color else text
    lines = plain.split("\n")
    assert lines.pop() == ""
    assert [line for line in lines if cell_len(line) > width] == []
    assert {one for one in plain if unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"}} <= {"\n", "\u200c"}
    if pages:
        rule = next(number for number, line in enumerate(lines) if line.startswith(RULE))
        rows = sum(map(len, pages))
        assert all(RULE not in line or number == rule for number, line in enumerate(lines[: rule + 1]))
        assert len(lines) >= rule + 1 + rows


column_widths = st.integers(1, 300).flatmap(
    lambda width: st.tuples(st.just(width), st.integers(1, width)).flatmap(
        lambda sizes: st.tuples(*map(st.just, sizes), st.integers(1, sizes[1]))
    )
)


@pytest.mark.slow
@given(st.lists(column_widths, min_size=1, max_size=40), st.integers(20, 200), st.booleans())
def test_widths_fit_and_no_column_with_room_is_omitted(
    columns: list[tuple[int, int, int]],
    room: int,
    in_order: bool,  # noqa: FBT001 - a case
) -> None:
    found = columns_that_fit([least for _, _, least in columns], room, in_order=in_order)
    natural, folded, least = map(list, zip(*(columns[i] for i in found), strict=True))
    widths = fit_widths(natural, folded, least, room)
    assert sum(widths) + 2 * (len(widths) - 1) <= room
    assert len(widths) == 1 or all(small <= width for width, small in zip(widths, least, strict=True))
    if sum(natural) + 2 * (len(natural) - 1) <= room:
        assert widths == natural
    elif sum(folded) + 2 * (len(folded) - 1) <= room:
        assert all(small <= width for width, small in zip(widths, folded, strict=True))
    assert found[0] == 0
    left = [i for i in range(len(columns)) if i not in found]
    if left and (in_order or left[0] >= 7):
        assert found == list(range(left[0]))
    for i in left[:1] if in_order else [one for one in left if one < 7]:
        before = [columns[one][2] for one in found if one < i]
        assert sum(before) + 2 * len(before) + columns[i][2] > room


def test_names_are_wrapped_first_and_the_widest_column_is_shortened_first() -> None:
    assert fit_widths([10, 60, 30], [10, 60, 30], [6, 6, 6], 50) == [10, 18, 18]
    assert fit_widths([10, 60, 30], [10, 60, 30], [6, 40, 6], 60) == [8, 40, 8]
    assert fit_widths([10, 30, 40], [10, 10, 40], [6, 6, 6], 70) == [10, 16, 40]
    assert fit_widths([10, 30, 40], [10, 10, 40], [6, 6, 6], 60) == [10, 10, 36]


def test_a_narrow_table_shows_the_most_important_columns() -> None:
    """One of the first seven columns may be omitted. Later columns are shown only if these seven are."""
    assert columns_that_fit([10, 50, 5, 5, 5, 5, 5, 1], 40) == [0, 2, 3, 4, 5]
    assert columns_that_fit([10, 90, 1, 1, 1, 1, 1, 1], 40) == [0, 2, 3, 4, 5, 6]
    assert columns_that_fit([1, 1, 1, 1, 1, 1, 1, 90, 1], 40) == [0, 1, 2, 3, 4, 5, 6]
    assert columns_that_fit([10, 50, 5], 40, in_order=True) == [0]


@for_each(
    "value, shown",
    [
        *((0, "0:00"), (7, "0:07"), (59, "0:59"), (60, "1:00"), (243, "4:03"), (3599, "59:59"), (3600, "1:00:00")),
        *((3723, "1:02:03"), (360_000, "100:00:00"), (-5, "-0:05"), (-3723, "-1:02:03"), (None, "-")),
        *(("soon\x1b", "soon·"), (1.5, "1.5"), (True, "yes"), (10**30, f"{10**30 // 3600}:46:40")),
    ],
)
def test_seconds_are_shown_as_minutes_or_hours(value: Any, shown: str) -> None:
    assert written("table", schema("duration", kinds=KINDS), [[[value]]]).decode().splitlines()[-1].strip() == shown


def test_column_names_are_wrapped_if_their_values_are_short() -> None:
    kinds: dict[str, Kind] = {"billing_seconds": "seconds", "custom_channel_vars.rate": "money"}
    form = schema("caller_id_number", "billing_seconds", "custom_channel_vars.rate", "x", kinds=kinds)
    rows = [["2007", 61, "0.25", "y"], ["+12025550101", 7, "10.00", "z"]]
    assert written("table", form, [rows], replace(LOOK, width=40)).decode() == (
        "                              custom_\n"
        "caller_id_      billing_     channel_\n"
        "number           seconds    vars.rate  x\n" + RULE * 40 + "\n"
        "2007                1:01         0.25  y\n"
        "+12025550101        0:07        10.00  z\n"
    )


def test_telephone_numbers_and_other_numbers_are_never_cut() -> None:
    form = schema("a_name", "number", "cost", kinds={"cost": "money"})
    rows = [["A rather long name", "+441632960122", "1234567.89"], ["B", "anonymous", "1"]]
    for chosen in (None, ("a_name", "number", "cost")):
        shown = written("table", form, [rows], replace(LOOK, width=36, chosen=chosen)).decode().splitlines()
        assert shown[-2:] == ["A rather…  +441632960122  1234567.89", "B          anonymous               1"]


ENDED = schema("name", "ending", "outcome")


def colors(*outcomes: object, **more: Any) -> list[str]:
    look = replace(LOOK, color=True, outcome=lambda row: row[-1], ending=("ending",), **more)
    rows = [["Ada", f"so {at}", outcome] for at, outcome in enumerate(outcomes)]
    return written("table", ENDED, [rows], look).decode().splitlines()[-len(outcomes) :]


def test_the_outcome_column_has_the_colour_of_the_outcome() -> None:
    assert colors("answered", "no_answer", "failed", "unknown", None, {"odd": 1}) == [
        "Ada   \x1b[32mso 0\x1b[0m    answered",
        "Ada   \x1b[33mso 1\x1b[0m    no_answer",
        "Ada   \x1b[31mso 2\x1b[0m    failed",
        "Ada   so 3    unknown",
        "Ada   so 4    -",
        'Ada   so 5    {"odd":1}',
    ]


def test_every_outcome_but_unknown_has_a_colour() -> None:
    for outcome in get_args(Outcome):
        assert ("\x1b[3" in colors(outcome)[0]) == (outcome != "unknown")


def test_outcomes_are_not_computed_without_colours() -> None:
    def never(_row: object) -> str:
        raise AssertionError

    assert "\x1b" not in table(replace(LOOK, outcome=never, ending=("name",)))


def test_colours_change_no_width_and_no_text() -> None:
    look = replace(LOOK, width=30, outcome=lambda row: row[-1], ending=("ending", "name"))
    rows = [["  田中太郎と友達たち  ", "a rather long ending of a call", "failed"], ["", " ", "answered"]]
    plain, colored = (written("table", ENDED, [rows], replace(look, color=color)).decode() for color in (False, True))
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", colored)
    assert [line.rstrip() for line in stripped.splitlines()] == plain.splitlines()


def test_a_column_that_must_not_be_cut_is_whole() -> None:
    row = ["a_name_to_be_typed", "and a long explanation"]
    look = replace(LOOK, width=30, shown=("name", "text"), whole=("name",))
    assert written("table", schema("name", "text"), [[row]], look).decode().splitlines()[-1] == (
        "a_name_to_be_typed  and a lon…"
    )


def test_a_column_of_telephone_numbers_has_room_for_longer_ones() -> None:
    pages = [[["12025550101", "x"]], [["+441632960122", "y"]]]
    lines = written("table", schema("number", "name"), pages).decode().splitlines()
    assert lines[2:] == ["12025550101    x", "+441632960122  y"]
    narrow = written("table", schema("number", "name"), [[["12025550101", "x" * 9]]], replace(LOOK, width=22)).decode()
    assert narrow.splitlines()[-1] == f"12025550101  {'x' * 9}"


def test_the_last_column_has_the_remaining_width() -> None:
    form = schema("id", "name")
    pages = [[["1", "Ada"]], [["2", "A much longer name than the first"]]]
    assert written("table", form, pages).decode() == (
        "id  name\n" + RULE * 8 + "\n1   Ada\n2   A much longer name than the first\n"
    )


def test_a_remark_follows_the_zone() -> None:
    assert table(replace(LOOK, beside="; so far")).startswith("times in UTC; so far\n")


def test_an_unnamed_zone_is_called_that_of_the_machine() -> None:
    assert table(replace(LOOK, zone=tzlocal())).startswith("times in the zone of this machine (UTC")
    assert table(replace(LOOK, zone=timezone(timedelta(hours=2)))).startswith("times in UTC+02:00\n")


TIMES = st.datetimes(datetime(1880, 1, 1)).map(lambda time: f"{time.isoformat(timespec='milliseconds')}Z")  # noqa: DTZ001 - made to be in UTC
VALUES = st.one_of(
    st.lists(TIMES, min_size=1),
    st.lists(st.integers() | st.none(), min_size=1),
    st.lists(st.booleans() | st.none(), min_size=1),
    st.lists(nasty_text | st.none(), min_size=1),
    st.lists(values | TIMES, min_size=1),
)


@given(st.sampled_from(get_args(Kind)), VALUES, st.sampled_from(["Europe/Berlin", "Africa/Monrovia", "Asia/Kathmandu"]))
def test_a_column_has_the_texts_of_its_values(kind: Kind, column: list[Any], name: str) -> None:
    it, zone = Column("it", "it", kind), ZoneInfo(name)
    texts = display_texts(it, zone)
    for _ in range(2):  # minutes are known in the second round
        assert texts(column) == [display_text(value, it, zone) for value in column]
