"""`cdrctl doctor`: its text, its formats and its exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdrctl.cli.findings import worst_exit_code
from cdrctl.fetchers import PROVIDERS
from tests.cli.doctor_kit import SECRET, Checkup, a_checkup
from tests.support.conversation import at_a_terminal
from tests.support.host import a_host


@pytest.fixture(name="checkup")
def _checkup(tmp_path: Path) -> Iterator[Checkup]:
    with a_checkup(tmp_path) as one:
        yield one


def test_the_exit_code_is_the_most_urgent_one() -> None:
    assert [worst_exit_code(codes) for codes in ({0}, {0, 5}, {5, 4}, {4, 6, 5}, {7, 5}, set())] == [0, 5, 4, 6, 7, 0]


@pytest.mark.parametrize("width", [40, 59, 60, 80, 120])
def test_text_fits_the_terminal(checkup: Checkup, width: int) -> None:
    checkup.profile("webex", access_token=SECRET)
    checkup.config.chmod(0o644)
    ran = checkup.run("-f", "text", terminal=False, width=width)
    assert ran.code == 4
    assert "this machine\n" in ran.out
    assert "\nacme (Webex Calling)\n" in ran.out
    assert " ".join(ran.out.split()).count("next: ") == 2
    for line in ran.out.splitlines():
        assert len(line) < width or len(line.split()) == 1 or "chmod" in line, line  # a path stays whole
    assert "\x1b" not in ran.out
    assert ran.err.startswith("cdrctl: ")
    assert ran.err.endswith("1 warnings, 1 failed\n")


def test_checks_skipped_for_one_reason_share_a_line(checkup: Checkup) -> None:
    checkup.profile("webex", access_token=SECRET)
    checkup.served.fail("webex", 503, times=100)
    out = " ".join(checkup.run("-f", "text").out.split())
    assert "skipped sign-in, allow-list, rights, pace: answer failed ok retention" in out
    assert "skipped tls base_url begins with http://" in out


def test_a_terminal_gets_colours(checkup: Checkup) -> None:
    checkup.profile("webex")
    assert "\x1b[32mok" in checkup.run(terminal=True).out
    checkup.environ = {"NO_COLOR": "1"}
    assert "\x1b" not in checkup.run(terminal=True).out


@pytest.mark.parametrize("form", ["csv", "tsv", "json", "table"])
def test_other_formats_are_written(checkup: Checkup, form: str) -> None:
    checkup.profile("webex")
    assert "retention" in checkup.run("-f", form).out
    assert checkup.run("-f", "nope").code == 2


@pytest.mark.parametrize("form", ["sqlite", "duckdb", "template"])
def test_a_database_is_refused_before_any_check(checkup: Checkup, form: str) -> None:
    checkup.profile("webex")
    ran = checkup.run("-f", form)
    assert ran.code == 2
    assert form in ran.err
    assert not checkup.served.requests


def test_a_narrow_table_names_the_option_for_the_hidden_columns(checkup: Checkup) -> None:
    checkup.profile("webex")
    table = checkup.run("-f", "table", width=50).out
    assert "skipped" in table
    assert "1 more column: -f text, or -f csv" in table


def test_jsonl_has_these_keys(checkup: Checkup) -> None:
    checkup.profile("webex")
    keys = ["profile", "provider", "check", "result", "what", "next"]
    assert {tuple(line) for line in checkup.run().lines} == {tuple(keys)}


def test_a_providers_control_characters_are_removed(checkup: Checkup) -> None:
    checkup.profile("webex")
    checkup.served.fail("webex", 403, body=json.dumps({"message": f"\x1b]0;pwned\x07 {SECRET}"}))
    checkup.profile("webex", access_token=SECRET)
    ran = checkup.run("-f", "text")
    assert "pwned" in ran.out
    assert "\x1b" not in ran.out
    assert "\x07" not in ran.out


@pytest.mark.process
def test_doctor_runs_on_a_terminal(tmp_path: Path) -> None:
    with at_a_terminal(a_host(tmp_path), "doctor", "sandbox", columns=40) as terminal:
        assert terminal.end() == 0, terminal.shown
    assert terminal.shown.count("sandbox (") == len(PROVIDERS)


@pytest.mark.process
def test_a_closed_pipe_ends_doctor_quietly(tmp_path: Path) -> None:
    ran = a_host(tmp_path).shell("set -o pipefail; cdrctl doctor sandbox | head -n 1")
    assert ran.stdout.count(b"\n") == 1
    assert b"Traceback" not in ran.stderr
