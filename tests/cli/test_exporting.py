"""Exports of one call, from the command line to bytes and exit codes, against the sandbox."""

from __future__ import annotations

import csv
import gzip
import json
import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from cdrctl.fetchers import PROVIDERS, load
from cdrctl.records.common import COMMON
from tests.support.products import for_each
from tests.support.runner import run

YESTERDAY = ("-p", "sandbox", "--since", "yesterday", "--until", "today")
CLOSING = re.compile(
    r"^cdrctl: \d+ records, \d+ pages, \d+ requests, \d+ duplicates dropped, [\d.]+ seconds$", re.MULTILINE
)
NOTIFICATION = (Path(__file__).parents[1] / "data/voicenter/doc_notification_outgoing.json").read_text(encoding="utf-8")
CALLS = [(name, call) for name in PROVIDERS for call in load(name).calls]
LISTINGS = [(name, call) for name, call in CALLS if call.windowed]


@pytest.mark.thin
@pytest.mark.parametrize(("provider", "call"), LISTINGS, ids=lambda value: getattr(value, "name", value))
def test_the_file_extension_selects_the_format(provider: str, call: object, tmp_path: Path) -> None:
    name = getattr(call, "name", "")
    window = ("-p", "sandbox", "--since", "6h", "--until", "1h")
    lines = run(provider, name, *window).lines
    for ending, count in (
        ("csv", len(lines) + 1),
        ("tsv", len(lines) + 1),
        ("jsonl", len(lines)),
        ("ndjson", len(lines)),
    ):
        target = tmp_path / f"out.{ending}"
        ran = run(provider, name, *window, "-o", target)
        assert ran.code == 0, ran.err
        assert ran.out == ""
        text = target.read_text(encoding="utf-8")
        assert (len(list(csv.reader(text.splitlines()))) if ending == "csv" else text.count("\n")) == count
    array = tmp_path / "out.json"
    run(provider, name, *window, "-o", array)
    assert json.loads(array.read_text(encoding="utf-8")) == lines
    packed = tmp_path / "out.csv.gz"
    run(provider, name, *window, "-o", packed)
    assert gzip.decompress(packed.read_bytes()) == (tmp_path / "out.csv").read_bytes()


def test_a_pipe_gets_json_lines_and_a_terminal_a_table() -> None:
    assert run("webex", "cdrs", *YESTERDAY, "--limit", "1").out.startswith('{"answer_time":')
    assert "start_time" in run("webex", "cdrs", *YESTERDAY, "--limit", "1", terminal=True).out


def test_a_table_fits_a_terminal_of_forty_columns() -> None:
    ran = run("webex", "cdrs", *YESTERDAY, terminal=True, width=40)
    assert ran.code == 0
    assert max(cell_len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", ran.out).splitlines()) <= 40


@pytest.mark.slow
def test_the_common_schema_has_the_same_columns_for_every_provider(tmp_path: Path) -> None:
    header = ",".join(column.name for column in COMMON)
    recent = ("-p", "sandbox", "--since", "6h", "--until", "1h")
    for provider, call in LISTINGS:
        if call.common is None:
            assert run(provider, call.name, *recent, "--schema", "common").code == 2
            continue
        ran = run(provider, call.name, *recent, "--schema", "common", "-f", "csv")
        assert ran.out.splitlines()[0] == header
        lines = run(provider, call.name, *recent, "--schema", "common").lines
        assert {(line["provider"], line["profile"]) for line in lines} == {(provider, "sandbox")}


def test_an_export_without_records_writes_a_header_and_succeeds() -> None:
    ran = run(
        "webex",
        "cdrs",
        "-p",
        "sandbox",
        "--since",
        "2026-11-19T03:00:00",
        "--until",
        "2026-11-19T03:00:00.001",
        "-f",
        "csv",
    )
    assert ran.code == 0
    assert ran.out.count("\n") == 1
    assert "0 records" in ran.err


def test_fail_if_empty_makes_an_export_without_records_fail() -> None:
    window = ("-p", "sandbox", "--since", "2026-11-19T03:00:00", "--until", "2026-11-19T03:00:00.001")
    assert run("webex", "cdrs", *window, "--fail-if-empty").code == 9


def test_only_the_chosen_fields_are_written_in_the_chosen_order() -> None:
    ran = run("kazoo", "cdrs", *YESTERDAY, "--fields", "hangup_cause, id", "-f", "csv")
    assert ran.out.splitlines()[0] == "hangup_cause,id"
    assert all(
        set(line) == {"hangup_cause", "id"}
        for line in run("kazoo", "cdrs", *YESTERDAY, "--fields", "hangup_cause,id").lines
    )


def test_a_limit_is_exact_and_noted() -> None:
    ran = run("kazoo", "cdrs", *YESTERDAY, "--limit", "7")
    assert ran.out.count("\n") == 7
    assert "stopped after 7 records" in ran.err


def test_raw_records_have_the_fields_of_the_response() -> None:
    first = run("webex", "cdrs", *YESTERDAY, "--schema", "raw", "--limit", "1").lines[0]
    assert next(iter(first)) == "Answer time"
    assert "Report ID" in first


def test_the_closing_line_comes_last_and_quiet_hides_it() -> None:
    ran = run("webex", "cdrs", *YESTERDAY)
    assert CLOSING.search(ran.err.splitlines()[-1])
    quiet = run("webex", "cdrs", *YESTERDAY, "-q")
    assert quiet.err == ""
    assert quiet.out == ran.out


def test_messages_can_be_objects() -> None:
    ran = run("webex", "cdrs", "-p", "sandbox", "--log-format", "json")
    messages = [json.loads(line) for line in ran.err.splitlines()]
    assert [message["level"] for message in messages] == ["note", "done"]
    assert messages[-1]["records"] == len(ran.lines)
    failed = run("webex", "cdrs", "--log-format", "json")
    assert json.loads(failed.err)["exit_code"] == 6


def test_a_window_up_to_now_is_cut_with_a_note() -> None:
    ran = run("webex", "cdrs", "-p", "sandbox", "--since", "2h")
    assert ran.code == 0
    assert "Webex has no calls after 2026-11-20T19:54:00.000Z yet" in ran.err
    assert "overlap the next export" not in ran.err
    long = run("webex", "cdrs", "-p", "sandbox", "--since", "2h", "-v")
    assert "overlap the next export" in long.err
    limited = run("webex", "cdrs", "-p", "sandbox", "--since", "2h", "--limit", "1")
    assert "has no calls after" not in limited.err, "where the limit stops has nothing to do with the end of the window"


def test_a_window_that_ended_recently_has_a_note_on_calls_in_progress() -> None:
    recent = run("webex", "cdrs", "-p", "sandbox", "--since", "4h", "--until", "30m")
    assert recent.code == 0
    assert "in progress at 2026-11-20T19:54:00.000Z are not included" in recent.err
    assert "in progress" not in run("webex", "cdrs", "-p", "sandbox", "--since", "4h", "--until", "3h").err


def test_a_past_window_that_the_provider_does_not_have_yet_is_incomplete() -> None:
    window = ("-p", "sandbox", "--since", "2h", "--until", "2026-11-20T19:57:00Z")
    ran = run("webex", "cdrs", *window)
    assert ran.code == 3
    assert "does not have the calls from 2026-11-20T19:54:00.000Z to 2026-11-20T19:57:00.000Z yet" in ran.err
    assert "run the command again in 3 min" in ran.err
    assert ran.lines, "the records that came are written"
    allowed = run("webex", "cdrs", *window, "--allow-partial")
    assert allowed.code == 0
    assert "incomplete" in allowed.err, "the warning stays"


def test_dates_with_tz_are_local_days() -> None:
    ran = run(
        "webex",
        "cdrs",
        "-p",
        "sandbox",
        "--tz",
        "America/Los_Angeles",
        "--since",
        "2026-10-31",
        "--until",
        "2026-11-01",
    )
    times = [line["start_time"] for line in ran.lines]
    assert min(times) >= "2026-10-31T07:00"
    assert max(times) < "2026-11-01T07:00"


BAD = [
    (("webex", "cdrs", "-p", "nobody"), 6, "there is no profile nobody"),
    (("webex", "cdrs"), 6, "cdrctl profile add NAME --provider webex"),
    (("webex", "cdrs", *YESTERDAY, "--fields", "start_tine"), 2, "did you mean start_time"),
    (("webex", "cdrs", "-p", "sandbox", "--since", "02/03/26"), 2, "more than one way"),
    (("webex", "cdrs", "-p", "sandbox", "--since", "today", "--until", "yesterday"), 2, "--since"),
    (("webex", "cdrs", "-p", "sandbox", "--since", "45d"), 2, "begin at --since"),
    (("webex", "stream", "-p", "sandbox", "--since", "13h"), 2, "cdrctl webex cdrs"),
    (("webex", "cdrs", *YESTERDAY, "-o", "/nowhere/at/all.csv"), 8, "create the folder"),
    (("webex", "cdrs", *YESTERDAY, "-o", "/"), 8, "it is a folder"),
    (("webex", "cdrs", *YESTERDAY, "-f", "xml"), 2, "there is no format 'xml'"),
    (("webex", "cdrs", *YESTERDAY, "--schema", "raw", "-f", "csv"), 2, "-f jsonl or -f json"),
    (("webex", "cdrs", *YESTERDAY, "--schema", "raw", "--fields", "a"), 2, "--fields"),
    (("webex", "cdrs", *YESTERDAY, "--schema", "olap"), 2, "native, common, raw"),
    (("webex", "cdrs", *YESTERDAY, "--tz", "Mars/Olympus"), 2, "Mars/Olympus"),
    (("webex", "cdrs", *YESTERDAY, "--location", "A, B"), 2, "comma"),
    (("webex", "cdrs", *YESTERDAY, "--longest-call", "long"), 2, "long"),
    (("kazoo", "cdrs", *YESTERDAY, "--filter", "direction"), 2, "NAME=VALUE"),
    (("kazoo", "cdr", "nonsense", "-p", "sandbox"), 7, "202611-"),
    (("webex", "cdrs", *YESTERDAY, "--log-format", "xml"), 2, "text or json"),
]


@for_each("arguments, code, words", BAD)
def test_bad_input_gets_an_error_a_next_step_and_an_exit_code(
    arguments: tuple[str, ...], code: int, words: str
) -> None:
    ran = run(*arguments)
    assert ran.code == code, ran.err
    assert words in ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert ran.err.count("next:") == 1 or arguments[-1] == "xml"


def test_a_profile_of_another_provider_and_a_missing_setting_are_named(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[profiles.lab]\nprovider = "kazoo"\nbase_url = "http://127.0.0.1:1/v2"\n', encoding="utf-8")
    config.chmod(0o600)
    wrong = run("webex", "cdrs", "-p", "lab", "--config", config)
    assert wrong.code == 6
    assert "kazoo" in wrong.err
    missing = run("kazoo", "cdrs", "--config", config)
    assert missing.code == 6
    assert "account_id" in missing.err
    assert "CDRCTL_LAB_ACCOUNT_ID" in missing.err
    bare = run("kazoo", "cdrs", "--config", config, environ={"CDRCTL_LAB_ACCOUNT_ID": "0" * 32})
    assert bare.code == 6
    assert "api_key (CDRCTL_LAB_API_KEY)" in bare.err
    half = run(
        "kazoo", "cdrs", "--config", config, environ={"CDRCTL_LAB_ACCOUNT_ID": "0" * 32, "CDRCTL_LAB_USERNAME": "x"}
    )
    assert half.code == 6
    assert "has no password" in half.err


def test_a_configuration_that_others_can_read_gives_a_warning(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("", encoding="utf-8")
    config.chmod(0o644)
    ran = run("webex", "cdrs", "--config", config)
    assert "chmod 600" in ran.err


def test_global_options_may_precede_the_command(tmp_path: Path) -> None:
    assert run("-q", "webex", "cdrs", *YESTERDAY).err == ""
    assert run("--config", tmp_path / "a.toml", "profile", "path").out == f"{tmp_path / 'a.toml'}\n"


def test_an_export_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "old.csv"
    target.write_text("old", encoding="utf-8")
    assert run("webex", "cdrs", "-p", "sandbox", "--since", "45d", "-o", target).code == 2
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_legs_and_interactions_are_found_by_the_ids_in_listings() -> None:
    leg = run("kazoo", "cdrs", *YESTERDAY, "--limit", "1").lines[0]
    document = run("kazoo", "cdr", leg["id"], "-p", "sandbox").lines
    assert [one["id"] for one in document] == [leg["id"]]
    legs = run("kazoo", "legs", leg["interaction_id"], "-p", "sandbox").lines
    assert leg["id"] in [one["id"] for one in legs]
    assert {one["interaction_id"] for one in legs} == {leg["interaction_id"]}
    both = [run("kazoo", "cdr", leg["id"], "-p", "sandbox", "--schema", "common").lines[0]]
    both.append(run("kazoo", "cdrs", *YESTERDAY, "--limit", "1", "--schema", "common").lines[0])
    for name in ("record_id", "call_id", "from_number", "start_time", "end_time", "talk_seconds", "outcome", "cause"):
        assert both[0][name] == both[1][name], name
