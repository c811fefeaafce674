"""`--where`, `--sort`, `--template`, `--header`, and options from the environment."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from cdrctl import PROVIDERS, sandbox
from cdrctl.cli.app import TOP
from cdrctl.cli.commands import walk
from cdrctl.cli.options import SHARED, variable_of
from cdrctl.fetchers import load
from cdrctl.profiles.names import secret_names
from cdrctl.writers import FORMATS
from tests.support.products import for_each
from tests.support.runner import NOW, Ran, configured, run

YESTERDAY = ("-p", "sandbox", "--since", "2026-11-19", "--until", "2026-11-20")


def rows(ran: Ran) -> list[dict[str, str]]:
    assert ran.code == 0, ran.err
    return [*csv.DictReader(io.StringIO(ran.out))]


@pytest.mark.thin
@pytest.mark.parametrize("provider", PROVIDERS)
def test_where_selects_the_records_that_meet_the_condition(provider: str) -> None:
    name = load(provider).calls[0].name
    whole = run(provider, name, *YESTERDAY, "--schema", "common").lines
    wanted = [one for one in whole if (one["talk_seconds"] or 0) > 60 and one["direction"] == "inbound"]
    where = ("--where", "talk_seconds>60 and direction=inbound")
    ran = run(provider, name, *YESTERDAY, "--schema", "common", *where)
    assert ran.lines == wanted
    assert wanted
    assert f"cdrctl: {len(wanted)} records, {len(whole) - len(wanted)} left out by where, " in ran.err


def test_where_and_sort_may_use_fields_that_are_not_written() -> None:
    common = ("webex", "cdrs", *YESTERDAY, "--where", "duration>300", "--sort=-duration", "-f", "csv")
    few = rows(run(*common, "--fields", "start_time"))
    assert [*few[0]] == ["start_time"]
    both = rows(run(*common, "--fields", "start_time,duration"))
    assert [row["start_time"] for row in both] == [row["start_time"] for row in few]
    assert [int(row["duration"]) for row in both] == sorted((int(row["duration"]) for row in both), reverse=True)


@pytest.mark.parametrize("provider", ["callgear", "voicenter"])
def test_fields_of_where_and_sort_are_requested_too(provider: str) -> None:
    call = load(provider).calls[0].name
    ran = run(
        provider,
        call,
        *YESTERDAY,
        "--fields",
        "start_time" if provider == "callgear" else "date",
        "--where",
        "duration>0",
        "--sort",
        "duration",
    )
    assert ran.code == 0
    assert ran.lines
    assert all(len(line) == 1 for line in ran.lines)


@for_each("form", FORMATS)
@for_each("schema", ["native", "common"])
def test_a_duplicate_field_is_refused_in_every_format(form: str, schema: str) -> None:
    words = ("webex", "cdrs", *YESTERDAY, "--schema", schema, "-f", form, "--fields", "direction,duration,direction")
    ran = run(*words, "--limit", "1", "-o", "calls.out")
    assert (ran.code, ran.out) == (2, "")
    assert "'direction'" in ran.err


@for_each(
    "condition, near",
    [("outcome=missed", "no_answer"), ("outcome in (busy, Answered)", "answered"), ("direction != in", "inbound")],
)
def test_a_value_that_an_enumerated_field_never_has_is_refused(condition: str, near: str) -> None:
    """No record would match, and an empty result looks like a quiet day."""
    for words in (("webex", "cdrs"), ("export",)):
        schema = ("--schema", "common") if words[0] == "webex" else ()
        ran = run(*words, *YESTERDAY, *schema, "--where", condition)
        assert (ran.code, ran.out) == (2, "")
        assert near in ran.err


def test_null_and_patterns_fit_an_enumerated_field() -> None:
    for condition in ("outcome is not null", "outcome ~ '^ans'", "outcome = null"):
        ran = run("webex", "cdrs", *YESTERDAY, "--schema", "common", "--where", condition)
        assert ran.code == 0


@pytest.mark.slow
def test_limit_counts_matching_records_after_sorting() -> None:
    where = ("--where", "talk_seconds>0", "--schema", "common")
    whole = run("kazoo", "cdrs", *YESTERDAY, *where).lines
    some = run("kazoo", "cdrs", *YESTERDAY, *where, "--limit", "5")
    assert some.lines == whole[:5]
    assert "stopped after 5 records" in some.err
    longest = run("kazoo", "cdrs", *YESTERDAY, *where, "--limit", "5", "--sort=-talk_seconds,record_id")
    by_talk = sorted(whole, key=lambda one: (-one["talk_seconds"], one["record_id"]))
    assert longest.lines == by_talk[:5]
    assert f"the first 5 of {len(whole)} records in this order, as --limit says" in longest.err
    assert "cdrctl: 5 records, " in longest.err


def test_raw_records_are_unchanged_and_an_absent_field_gives_a_warning() -> None:
    whole = run("webex", "cdrs", *YESTERDAY, "--schema", "raw").out.splitlines()
    some = run("webex", "cdrs", *YESTERDAY, "--schema", "raw", "--where", "`Call type` = SIP_INBOUND")
    assert some.out.splitlines() == [line for line in whole if '"Call type":"SIP_INBOUND"' in line]
    assert "warning" not in some.err
    none = run("webex", "cdrs", *YESTERDAY, "--schema", "raw", "--where", "nothing = 1", "--sort", "no")
    assert none.out == ""
    assert none.err.count("no record that came has 'nothing'") == none.err.count("no record that came has 'no'") == 1
    shaped = run("webex", "cdrs", *YESTERDAY, "--schema", "raw", "--template", "{Duration} {Duraton}")
    assert shaped.err.count("no record that came has") == shaped.err.count("has 'Duraton': ") == 1
    assert len(shaped.out.splitlines()) == len(whole)


def test_an_absent_field_gives_no_warning_without_records() -> None:
    moment = ("-p", "sandbox", "--since", "2026-11-19T00:00:00", "--until", "2026-11-19T00:00:01")
    empty = run("webex", "cdrs", *moment, "--schema", "raw", "--where", "Duration > 1", "--template", "{Duration}")
    assert "cdrctl: 0 records" in empty.err
    assert "warning" not in empty.err


def test_an_export_without_matching_records_is_empty() -> None:
    ran = run("kazoo", "cdrs", *YESTERDAY, "--where", "billing_seconds > 1000h", "--fail-if-empty")
    assert ran.code == 9


@pytest.mark.slow
def test_where_and_sort_work_across_several_profiles() -> None:
    ran = run("export", *YESTERDAY, "--where", "talk_seconds>10m", "--sort", "start_time,record_id")
    lines = ran.lines
    assert len({one["provider"] for one in lines}) > 2
    assert lines == sorted(lines, key=lambda one: (one["start_time"], one["record_id"]))
    assert all(one["talk_seconds"] > 600 for one in lines)
    first = run("export", *YESTERDAY, "--where", "talk_seconds>10m", "--sort", "start_time,record_id", "--limit", "3")
    assert first.lines == lines[:3]


@for_each(
    "words, said",
    [
        (("--where", "duratoin>5"), "there is no field 'duratoin' here"),
        (("--where", "duration>"), "--where cannot be read at its end"),
        (("--where", "start_time>02/03/26"), "--where: start_time is a time"),
        (("--sort", "duratoin"), "there is no field 'duratoin' here"),
        (("--sort", ","), "--sort names no field"),
        (("--template", "{duratoin}"), "there is no field 'duratoin' here"),
        (("--template", "{"), "--template cannot be read"),
        (("--template", "{start_time.year!r}"), "cannot have !r"),
        (("--template", "{start_time:{duration}}"), "after start_time is not a width"),
        (("--template", "nothing"), "--template names no field"),
        (("--template", "{duration}", "-f", "csv"), "--template is a format of its own"),
        (("--template", "{duration}", "--fields", "duration"), "--template names its own fields"),
        (("-f", "template"), "-f template needs a template"),
        (("-f", "jsonl", "--no-header"), "jsonl has no header"),
        (("-f", "json", "--header"), "json has no header"),
    ],
)
def test_bad_input_is_refused_before_any_request(words: tuple[str, ...], said: str) -> None:
    for command in (("webex", "cdrs"), ("export",)):
        if command == ("export",):
            words = tuple(word.replace("duration", "talk_seconds") for word in words)
        ran = run(*command, "-p", "sandbox", *words)
        assert ran.code == 2
        assert said.replace("duration", "talk_seconds") in ran.err or said in ran.err
        assert "requests" not in ran.err


@pytest.mark.slow
def test_a_template_gives_one_line_for_each_record() -> None:
    fields = ("timestamp", "caller_id_number", "billing_seconds", "caller_id_name")
    whole = rows(run("kazoo", "cdrs", *YESTERDAY, "-f", "csv", "--fields", ",".join(fields)))
    template = r"{timestamp} {caller_id_number:>16}|{billing_seconds:<6}|{caller_id_name:.3}\t{{x}}"
    lines = run("kazoo", "cdrs", *YESTERDAY, "--template", template).out.splitlines()
    values = [[row[name] for name in fields] for row in whole]
    assert lines == [f"{one} {number:>16}|{seconds:<6}|{name:.3}\t{{x}}" for one, number, seconds, name in values]
    headed = run("kazoo", "cdrs", *YESTERDAY, "--template", "{caller_id_number:>20}!", "--header", "--limit", "1")
    assert headed.out.splitlines()[0] == "    caller_id_number!"


def test_a_template_of_raw_records_has_their_own_keys() -> None:
    ran = run("webex", "cdrs", *YESTERDAY, "--schema", "raw", "--template", "{Call type}", "--limit", "3")
    whole = run("webex", "cdrs", *YESTERDAY, "--schema", "raw", "--limit", "3").lines
    assert ran.out.splitlines() == [one["Call type"] for one in whole]


def test_a_template_is_written_to_a_file_with_any_extension(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    assert run("webex", "cdrs", *YESTERDAY, "--template", "{duration}", "-o", target).code == 0
    assert all(line.isdigit() for line in target.read_text().split())


@pytest.mark.thin
@pytest.mark.parametrize("form", ["csv", "tsv", "table"])
def test_the_header_can_be_omitted(form: str) -> None:
    shared = ("webex", "cdrs", *YESTERDAY, "-f", form, "--fields", "start_time,duration")
    whole, without = run(*shared).out.splitlines(), run(*shared, "--no-header").out.splitlines()
    assert without == whole[-len(without) :]
    assert len(without) == len(whole) - (3 if form == "table" else 1)
    assert run(*shared, "--header").out.splitlines() == whole


# Options from the environment


def options() -> dict[str, str]:
    """Return the environment variable of every option, each with a command that has the option."""
    found: dict[str, str] = {}
    for words, place in walk(TOP):
        for one in place.parameters:
            if variable := variable_of(one, top=not words):
                found[variable] = " ".join(words)
    return found


def test_no_variable_of_an_option_is_that_of_a_setting() -> None:
    settings = {
        f"_{name}{form}".upper()
        for provider in PROVIDERS
        for name in load(provider).settings.described()
        for form in ("", "_COMMAND", "_FILE", "_KEYRING")
        if not form or name in secret_names(load(provider).settings)
    } | {"_PROVIDER"}
    variables = options()
    assert {"CDRCTL_SINCE", "CDRCTL_QUIET", "CDRCTL_INTO", "CDRCTL_PAGE_SIZE"} <= {*variables}
    clashes = {one for one in variables for end in settings if one.endswith(end) and one != f"CDRCTL{end}"}
    assert not clashes


def test_every_option_may_be_in_the_environment_and_the_command_line_wins() -> None:
    environ = {
        "CDRCTL_SINCE": "2026-11-19",
        "CDRCTL_UNTIL": "2026-11-20",
        "CDRCTL_PROFILE": "sandbox",
        "CDRCTL_FORMAT": "csv",
        "CDRCTL_FIELDS": "start_time,duration",
        "CDRCTL_LIMIT": "3",
        "CDRCTL_HEADER": "0",
    }
    ran = run("webex", "cdrs", environ=environ)
    assert (
        ran.out
        == run(
            "webex", "cdrs", *YESTERDAY, "-f", "csv", "--fields", "start_time,duration", "--limit", "3", "--no-header"
        ).out
    )
    assert (
        run("webex", "cdrs", "--limit", "5", "-f", "jsonl", "--header", environ={**environ, "CDRCTL_HEADER": ""}).code
        == 2
    )
    assert run("webex", "cdrs", "--limit", "5", environ=environ).out.count("\n") == 5
    assert run("webex", "cdrs", "-q", environ={**environ, "CDRCTL_LIMIT": ""}).out.count("\n") > 200


def test_the_variable_of_a_repeatable_option_has_one_value_per_line() -> None:
    typed = run("callgear", "legs", *YESTERDAY, "--filter", "duration > 60", "--filter", "direction=in")
    ran = run("callgear", "legs", *YESTERDAY, environ={"CDRCTL_FILTER": "duration > 60\n\ndirection=in\n"})
    assert ran.out == typed.out
    assert ran.lines


@pytest.mark.slow
def test_flags_and_counts_may_be_in_the_environment() -> None:
    assert run("webex", "cdrs", *YESTERDAY, environ={"CDRCTL_QUIET": "1"}).err == ""
    assert "debug" not in run("webex", "cdrs", *YESTERDAY, environ={"CDRCTL_QUIET": "no"}).err
    assert "GET http" in run("webex", "cdrs", *YESTERDAY, environ={"CDRCTL_VERBOSE": "1"}).err
    assert run("webex", "cdrs", *YESTERDAY, environ={"CDRCTL_LOG_FORMAT": "json"}).err.startswith("{")
    said = run("--log-format", "text", "webex", "cdrs", *YESTERDAY, environ={"CDRCTL_LOG_FORMAT": "json"})
    assert said.err.startswith("cdrctl: ")


@for_each(
    "variable, value, said",
    [
        ("CDRCTL_LIMIT", "many", "--limit) must be a whole number, 1 or more"),
        ("CDRCTL_QUIET", "perhaps", "--quiet) must be true or false, or 1 or 0"),
        ("CDRCTL_HEADER", "perhaps", "--header) must be true or false, or 1 or 0"),
    ],
)
def test_a_variable_with_an_invalid_value_is_named(variable: str, value: str, said: str) -> None:
    ran = run("webex", "cdrs", *YESTERDAY, environ={variable: value})
    assert ran.code == 2
    assert f"cdrctl: {variable} (for {said}\n" in ran.err


def test_an_invalid_option_is_named_after_a_run_with_an_invalid_variable() -> None:
    assert "CDRCTL_LIMIT" in run("webex", "cdrs", environ={"CDRCTL_LIMIT": "many"}).err
    assert run("webex", "cdrs", "--limit", "many").err.startswith("cdrctl: --limit must be a whole number")


def test_a_usage_error_names_the_options_from_the_environment() -> None:
    ran = run("webex", "cdrs", *YESTERDAY, "-f", "jsonl", environ={"CDRCTL_HEADER": "0", "CDRCTL_LIMIT": "5"})
    assert ran.code == 2
    assert "; options from the environment: CDRCTL_HEADER, CDRCTL_LIMIT\n" in ran.err
    typed = run("webex", "cdrs", *YESTERDAY, "-f", "jsonl", "--no-header", environ={"CDRCTL_HEADER": "0"})
    assert typed.code == 2
    assert "environment" not in typed.err


def test_the_default_profile_is_exported_if_none_is_named() -> None:
    ran = run("export", *YESTERDAY[2:], "--limit", "2", environ={"CDRCTL_PROFILE": "sandbox"})
    assert len(ran.lines) == 2
    for words in (("export",), ("webex", "cdrs"), ("sync", "--into", "archive")):
        assert "no profile nobody (CDRCTL_PROFILE)" in run(*words, environ={"CDRCTL_PROFILE": "nobody"}).err


def test_no_option_of_a_call_has_the_name_of_a_shared_option() -> None:
    own = {option.name for name in PROVIDERS for call in load(name).calls for option in call.options}
    assert not own & ({*SHARED} | {"output", "help"})


def test_all_ignores_the_default_profile(tmp_path: Path) -> None:
    with sandbox.start(now=lambda: NOW) as served:
        config = configured(tmp_path / "config.toml", {name: served.profiles[name] for name in ("kazoo", "portsip")})
        ran = run("export", "--all", *YESTERDAY[2:], "--config", config, environ={"CDRCTL_PROFILE": "kazoo"})
    assert ran.code == 0, ran.err
    assert {one["provider"] for one in ran.lines} == {"kazoo", "portsip"}


def test_an_unknown_field_of_extra_can_be_used_with_chosen_fields() -> None:
    ran = run(
        "kazoo",
        "cdrs",
        *YESTERDAY,
        "--fields",
        "id",
        "--where",
        "extra.brand_new is null",
        "--sort",
        "extra.new",
        "--limit",
        "2",
    )
    assert [[*one] for one in ran.lines] == [["id"], ["id"]]


@for_each(
    "template, fault",
    [("{talk_seconds:>6d}", "'>6d'"), ("{user!r}", "!r"), ("{user:=10}", "'=10'"), ("{}", "without a field")],
)
def test_an_invalid_template_is_refused_with_the_invalid_part(template: str, fault: str) -> None:
    ran = run("webex", "cdrs", *YESTERDAY, "--schema", "common", "--template", template)
    assert (ran.code, ran.out) == (2, "")
    assert fault in ran.err.splitlines()[0]


@for_each("option", ["--fields", "--sort", "--where", "--template"])
def test_an_unknown_field_gets_at_most_three_suggestions_and_a_next_step(option: str) -> None:
    written = {"--where": "duration>1", "--template": "{duration}"}.get(option, "duration")
    ran = run("kazoo", "cdrs", *YESTERDAY, option, written)
    assert (ran.code, ran.out) == (2, "")
    hint = ran.err.splitlines()[1]
    assert "duration_seconds" in hint
    assert "cdrctl fields" in hint
    assert len(hint) < 160
