"""`cdrctl report`: one file that requests nothing and runs nothing, whose charts have their numbers."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from cdrctl import sandbox
from cdrctl.calls.columns import CALL
from cdrctl.figures.report import LONGEST_CHART, _charted
from cdrctl.figures.spans import days_between
from cdrctl.sandbox import Exchange
from tests.cli.archive_kit import configure
from tests.figures.test_figures import ROWS, row
from tests.support.clock import HandClock
from tests.support.runner import NOW, Ran, Shell, run

HOSTILE = '</script><img src=x onerror=alert(1)>\x1b[2J\u202e"&'
VOID = {"meta", "rect", "line"}


class Parsed(HTMLParser):
    """The elements of a page: their attributes, by name, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def reported(tmp_path: Path, rows: list[list[Any]], *words: str) -> Ran:
    """Return the run of a report over these calls."""
    names = [column.name for column in CALL]
    path = tmp_path / "calls.jsonl"
    path.write_text(
        "".join(
            json.dumps({"leg_ids": [], "call_id": str(at), **dict(zip(names, one, strict=True))}) + "\n"
            for at, one in enumerate(rows)
        ),
        encoding="utf-8",
    )
    return run("report", path, "-o", "-", *words)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    hostile = row("14:00:00", "14:00:20", "no_answer", from_name=HOSTILE, from_number=HOSTILE, queue=HOSTILE)
    words = ("--since", "2026-11-09", "--until", "2026-11-12", "--title", HOSTILE)
    return reported(tmp_path_factory.mktemp("page"), [*ROWS, hostile], *words).ok().out


@pytest.mark.slow
def test_a_page_is_well_formed_and_loads_and_runs_nothing(page: str) -> None:
    parsed = Parsed(page)
    assert parsed.open == []
    tags = Counter(tag for tag, _ in parsed.elements)
    assert not tags.keys() & {"script", "img", "link", "iframe", "object", "form", "a"}
    assert not [attrs for _, attrs in parsed.elements if {"href", "src", "onerror", "style"} & attrs.keys()]
    assert "url(" not in page
    assert "http" not in re.sub(r"http-equiv", "", page)
    policy = next(attrs for tag, attrs in parsed.elements if tag == "meta" and "http-equiv" in attrs)
    assert str(policy["content"]).startswith("default-src 'none'")
    assert not {"\x1b", "\u202e"} & set(page)
    assert len(page) < 1_000_000


def test_each_chart_has_a_title_a_description_and_its_numbers(page: str) -> None:
    tags = Counter(tag for tag, _ in Parsed(page).elements)
    assert tags["svg"] == tags["desc"] == tags["details"] >= 2
    assert tags["title"] == tags["svg"] + 1
    named = [attrs["aria-labelledby"] for tag, attrs in Parsed(page).elements if tag == "svg"]
    assert len(set(named)) == len(named)


def test_headlines_and_charts_agree(page: str) -> None:
    assert '<th scope="row">Calls</th><td class=number>13</td>' in page
    (day,) = re.findall(r'<th scope="row">2026-11-10</th>(.*?)</tr>', page)
    *outcomes, whole = map(int, re.findall(r"number>([0-9]+)<", day))
    assert sum(outcomes) == whole == 13


@pytest.mark.slow
def test_numbers_of_callers_can_be_masked(tmp_path: Path) -> None:
    words = ("--since", "2026-11-09", "--until", "2026-11-12")
    assert "+12025550152" in reported(tmp_path, ROWS, *words).ok().out
    masked = reported(tmp_path, ROWS, *words, "--mask").ok().out
    assert "+12025550152" not in masked
    assert "+1202555••••" in masked


def test_no_calls_make_a_report_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_bytes(b"")
    ran = run("report", tmp_path / "none.jsonl", "--since", "2026-11-09", "--until", "2026-11-12", "-o", "-").ok()
    assert "there are no such calls" in Parsed(ran.out).text


@pytest.mark.slow
def test_a_part_of_the_window_that_is_missing_is_named_and_left_out(tmp_path: Path) -> None:
    with sandbox.start(exchange=Exchange(1, volume=0.2), now=HandClock(NOW)) as providers:
        shell = Shell(tmp_path, HandClock(NOW))
        configure(shell, providers, "webex")
        words = ("--since", "2026-11-18", "--until", "2026-11-20")
        shell.run("sync", "webex", "--into", f"{tmp_path}/archive", *words[:2], "-q").ok()
        next((tmp_path / "archive").rglob("date=2026-11-18/cdrs.*")).unlink()
        ran = shell.run("report", "-p", "webex", "--from", f"{tmp_path}/archive", *words, "-o", "-")
        partial = shell.run(
            "report", "-p", "webex", "--from", f"{tmp_path}/archive", *words, "-o", "-", "--allow-partial"
        )
    assert (ran.code, partial.code) == (3, 0)
    text, allowed = Parsed(ran.out).text, Parsed(partial.out).text
    assert "Calls are missing on 2026-11-18." in text
    assert "There is no list: calls are missing." in text
    bars = re.findall(r'<th scope="row">(2026-11-[0-9]{2})</th>', ran.out)
    assert bars == ["2026-11-18", "2026-11-19"], "the first is in the table of incomplete days"
    assert "There is no list" not in allowed
    (whole,) = re.findall(r"<dt>Calls</dt><dd class=\"value\">([0-9]+)<", partial.out)
    days = re.findall(r'<th scope="row">2026-11-[0-9]{2}</th>.*?([0-9]+)</td></tr>', partial.out)[1:]
    assert sum(map(int, days)) == int(whole) > 0


@pytest.mark.slow
def test_a_chart_of_years_has_months_and_says_how_many_rows_a_list_leaves_out(tmp_path: Path) -> None:
    many = [
        row("08:00:00", "08:00:20", "no_answer", queue=f"queue {at}", from_number=f"+1202{at:07}") for at in range(30)
    ]
    page = reported(tmp_path, many, "--since", "2016-01-01", "--until", "2026-11-15").ok().out
    assert "Calls of each month" in page
    assert page.count("and 10 more") == 2, "queues and missed numbers"
    assert "Calls of each week" in reported(tmp_path, many, "--since", "2026-01-01", "--until", "2026-11-15").ok().out


@pytest.mark.slow
def test_calls_with_dates_that_cannot_be_are_in_no_chart_and_are_named(tmp_path: Path) -> None:
    far = [
        row("08:00:00", "08:00:20", "no_answer", start_time=f"{year}-01-02T08:00:00.000Z")
        for year in (2001, 2002, 9997)
    ]
    ran = reported(tmp_path, [*ROWS, *far])
    assert len(ran.out.encode()) < 100_000
    said = (
        "It has the days from 2026-11-10 to 2026-11-10. 3 calls are not in the chart: the first started on 2001-01-02, "
        "the last on 9997-01-02."
    )
    assert said in Parsed(ran.ok().out).text
    assert "Calls of each day, by outcome" in ran.out
    assert f"Outcomes: {said}" in " ".join(ran.err.split())
    alone = reported(tmp_path, [*ROWS, far[-1]])
    assert "1 call is not in the chart: it started on 9997-01-02." in " ".join(alone.err.split())


def test_a_chart_of_a_window_of_centuries_has_the_years_of_the_calls() -> None:
    asked = days_between("1970-01-01", "2200-01-01")
    assert _charted(asked, {"2026-11-10": 1, "2026-11-12": 1}) == (days_between("2026-11-10", "2026-11-12"), "")
    days, outside = _charted(asked, {"1971-01-01": 1, "2026-11-12": 2})
    assert days == ["2026-11-12"]
    assert "1971-01-01" in outside
    assert _charted(asked[:9], {"1971-01-01": 1}) == (asked[:9], "")
    assert len(_charted(asked, {})[0]) == LONGEST_CHART


@pytest.mark.slow
def test_a_report_of_ten_thousand_names_is_below_a_megabyte(tmp_path: Path) -> None:
    many = [
        row("08:00:00", "08:00:20", "no_answer", queue=f"{at} {HOSTILE}", user=str(at), from_number=f"+1202{at:07}")
        for at in range(10_000)
    ]
    page = reported(tmp_path, many, "--since", "2026-11-01", "--until", "2026-11-15").ok().out
    assert len(page.encode()) < 200_000
    assert "and 9980 more" in page


def test_a_report_on_a_terminal_needs_a_file(tmp_path: Path) -> None:
    assert run("report", tmp_path / "none.jsonl", terminal=True).code == 2
