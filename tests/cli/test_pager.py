"""The pager in a real terminal."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.support.host import A_DAY, Host, Stalling, a_host, hearing, stalling
from tests.support.terminal import PROMPT, terminal

pytestmark = pytest.mark.process

DAY = f"webex cdrs -p sandbox {' '.join(A_DAY)}"
FEW = f"{DAY} --limit 3"
MANY_PAGES = "webex cdrs -p acme --since 7d --until 2h"
NAMES = "^start_time "
CLOSING = r"^cdrctl: \d+ records"


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    with hearing():
        yield


@pytest.fixture
def host(tmp_path: Path) -> Host:
    found = a_host(tmp_path)
    found.environ["TZ"] = "UTC"
    return found


@pytest.fixture
def provider(host: Host) -> Iterator[Stalling]:
    with stalling() as running:
        host.configure({"acme": running.settings("webex")})
        yield running


def test_long_output_is_paged_and_messages_follow_it(host: Host) -> None:
    with terminal(host, height=14) as screen:
        screen.type(f"cdrctl {DAY}; echo code=$?")
        assert "records," not in screen.shows("^:$")
        screen.press("G")  # to the end, which less reaches after reading everything
        shown = screen.shows(r"more columns")
        assert "records," not in shown
        screen.press("q")
        shown = screen.shows("^code=0$")
        assert re.search(CLOSING, shown, re.MULTILINE)
        assert shown.index("more columns") < shown.index("records,")


def test_short_output_is_printed_without_a_pager(host: Host) -> None:
    with terminal(host) as screen:
        screen.type(f"cdrctl {FEW}; echo code=$?")
        shown = screen.shows("^code=0$")
    assert shown.index("times in UTC") < shown.index("more columns") < shown.index("3 records,")


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "--no-pager"),
        ({"CDRCTL_PAGER": ""}, ""),
        ({"CDRCTL_PAGER": "cat"}, ""),
        ({"CDRCTL_PAGER": "", "PAGER": "less"}, "--pager"),
        ({"PAGER": ""}, ""),
        ({"TERM": "dumb"}, ""),
        ({"PAGER": "touch paged"}, "-f csv"),
        ({"PAGER": "touch paged"}, "-o -  | cat"),
        ({"PAGER": "touch paged"}, "-o table.txt; cat table.txt"),
        ({"PAGER": "touch paged"}, "& wait"),
    ],
)
def test_the_pager_can_be_disabled(host: Host, environ: dict[str, str], words: str) -> None:
    given = " ".join(f"{name}={shlex.quote(value)}" for name, value in environ.items())
    with terminal(host, height=14) as screen:
        screen.type(f"{given} cdrctl {DAY} {words}; echo code=$?")
        screen.shows("^code=0$")
    assert not (host.folder / "paged").exists()


def test_the_option_pager_pages_other_formats(host: Host) -> None:
    with terminal(host, height=14) as screen:
        screen.type(f"cdrctl {DAY} -f csv --pager; echo code=$?")
        screen.shows("^:$")
        screen.press("q")
        screen.shows("^code=0$")


def test_the_list_of_fields_is_paged(host: Host) -> None:
    with terminal(host, height=14) as screen:
        screen.type("cdrctl fields webex; echo code=$?")
        assert "answer_time" in screen.shows("^:$")
        screen.press("q")
        screen.shows("^code=0$")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"CDRCTL_PAGER": "sed s/^/1:/", "PAGER": "sed s/^/2:/"}, "^1:times in UTC"),
        ({"PAGER": "sed s/^/2:/"}, "^2:times in UTC"),
        ({"PAGER": "A=3 sed s/^/3:/ | cat"}, "^3:times in UTC"),
        ({"PAGER": "~/four"}, "^4:times in UTC"),
        ({"PAGER": "$HOME/four"}, "^4:times in UTC"),
    ],
)
def test_the_user_chooses_the_pager(host: Host, environ: dict[str, str], expected: str) -> None:
    (host.folder / "four").write_text("#!/bin/sh\nsed s/^/4:/\n", encoding="utf-8")
    (host.folder / "four").chmod(0o755)
    with terminal(host, environ=environ) as screen:
        screen.type(f"cdrctl {FEW}; echo code=$?")
        screen.shows("^code=0$")
        screen.shows(expected)


def test_the_environment_of_the_pager_allows_colours_and_has_no_secret(host: Host) -> None:
    told = {"CDRCTL_PAGER": "env > told; cat", "CDRCTL_ACME_ACCESS_TOKEN": "hush"}
    with terminal(host, environ=told) as screen:
        screen.type(f"cdrctl {FEW}; LESS=i LV=x cdrctl {FEW}; echo code=$?")
        screen.shows("^code=0$")
        again = (host.folder / "told").read_text(encoding="utf-8")
        screen.type(f"clear; cdrctl {FEW}; echo again=$?")
        screen.shows("^again=0$")
    first = (host.folder / "told").read_text(encoding="utf-8")
    assert {"LESS=FRX", "LV=-c"} < set(first.splitlines())
    assert {"LESS=i", "LV=x"} < set(again.splitlines())
    assert "hush" not in first


@pytest.mark.parametrize("pager", ["nosuchpager -x", "'", "A=1"])
def test_a_missing_pager_is_named_and_the_table_is_printed(host: Host, pager: str) -> None:
    with terminal(host, environ={"PAGER": pager}) as screen:
        screen.type(f"cdrctl {FEW}; echo code=$?")
        shown = screen.shows("^code=0$")
    assert "warning: the pager" in shown
    assert "times in UTC" in shown


def test_without_less_the_table_is_printed_without_a_message(host: Host) -> None:
    with terminal(host) as screen:
        screen.type(f"PATH={host.folder} cdrctl {FEW}; echo code=$?")
        shown = screen.shows("^code=0$")
    assert "warning" not in shown
    assert "times in UTC" in shown


def test_an_error_before_the_first_record_starts_no_pager(host: Host) -> None:
    with terminal(host, environ={"PAGER": "touch paged"}) as screen:
        screen.type("cdrctl webex cdrs -p sandbox --since 900d; echo code=$?")
        screen.shows("^code=2$")
        screen.type("clear; cdrctl webex cdrs -p nobody; echo code=$?")
        screen.shows("^code=6$")
    assert not (host.folder / "paged").exists()


def test_a_pager_that_reads_nothing_is_no_error(host: Host) -> None:
    with terminal(host, environ={"PAGER": "true"}) as screen:
        screen.type(f"cdrctl {DAY}; echo code=$?")
        screen.shows("^code=0$")


def test_the_exit_code_is_that_of_the_export(host: Host) -> None:
    with terminal(host, height=14) as screen:
        screen.type("cdrctl webex cdrs -p sandbox --since 26h --until 3m; echo code=$?")
        screen.shows("^:$")
        screen.press("G")
        assert "incomplete" not in screen.shows("more columns")
        screen.press("q")
        assert "incomplete" in screen.shows("^code=3$")


def test_quitting_the_pager_does_not_wait_for_the_provider(host: Host, provider: Stalling) -> None:
    """The response in progress is not waited for, and no further page is requested."""
    provider.stall("webex", nth=2)
    with terminal(host, height=14) as screen:
        screen.type(f"cdrctl {MANY_PAGES}; echo code=$?")
        provider.wait()
        screen.shows(NAMES)
        screen.press("q")
        shown = screen.shows("^code=0$")
    assert "records," not in shown
    assert not provider.let_go.is_set()
    assert not provider.reached.acquire(blocking=False)


def test_ctrl_c_ends_the_export_and_not_the_pager(host: Host, provider: Stalling) -> None:
    provider.stall("webex", nth=2)
    with terminal(host, height=14) as screen:
        screen.type(f"cdrctl {MANY_PAGES}; echo code=$?")
        provider.wait()
        screen.shows(NAMES)
        screen.press("G")  # less reads until the end of its input
        screen.press("C-c")
        screen.press("g")
        assert "interrupted" not in screen.shows("^:$")
        screen.press("q")
        shown = screen.shows("^code=130$")
        assert "cdrctl: warning: interrupted" in shown
        screen.type("clear; stty -a | grep -o '[- ]echo '")  # the terminal is as it was
        assert "-echo" not in screen.shows("^ echo")


def test_ctrl_c_after_the_export_does_not_change_the_exit_code(host: Host) -> None:
    with terminal(host, height=14) as screen:
        screen.type(f"cdrctl {DAY}; echo code=$?")
        screen.shows("^:$")
        screen.press("G")
        screen.shows("more columns")
        for _ in range(3):
            screen.press("C-c")
        screen.press_until("g", NAMES)
        screen.press("q")
        assert "interrupted" not in screen.shows("^code=0$")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_table_fits_the_terminal_in_the_pager_too(host: Host, width: int) -> None:
    with terminal(host, width=width, height=14) as screen:
        screen.type(f"cdrctl -q {DAY}; echo code=$?")
        screen.shows("^:$")
        screen.press("q")
        lines = screen.shows("^code=0$").splitlines()
    rule = next(number for number, line in enumerate(lines) if line.startswith("─"))
    rows = lines[rule + 1 : lines.index("code=0")]
    assert len(rows) >= 5
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", row) for row in rows)  # no line is wrapped
    assert max(map(cell_len, rows)) <= width


def test_no_color_disables_colours(host: Host) -> None:
    with terminal(host) as screen:
        screen.type(f"cdrctl {FEW}; echo code=$?")
        screen.shows("^code=0$")
        assert "\x1b[3" in screen.text(colors=True)
        screen.type(f"clear; NO_COLOR=1 cdrctl {FEW}; echo again=$?")
        screen.shows("^again=0$")
        assert "\x1b" not in screen.text(colors=True)
        assert PROMPT in screen.text()
