"""Wrong command lines get an error, a suggestion and a next step."""

from __future__ import annotations

import json
from pathlib import Path

from cdrctl.errors import did_you_mean
from tests.support.products import for_each
from tests.support.runner import run

SECRET = "hunter2-correct-horse"


@for_each(
    "asked, meant",
    [
        (["webx"], "did you mean webex?"),
        (["WEBEX"], "did you mean webex?"),
        (["webex", "cdr"], "did you mean cdrs?"),
        (["profil", "add"], "did you mean profile?"),
        (["portsip", "reports", "creat"], "did you mean create?"),
        (["portsip", "report", "create"], "did you mean reports?"),
        (["cdrs"], "did you mean cdrctl webex cdrs or cdrctl kazoo cdrs"),
        (["exit-codes"], "cdrctl help exit-codes"),
        (["--quite", "webex", "cdrs"], "did you mean --quiet?"),
        (["webex", "cdrs", "--sicne", "24h"], "did you mean --since?"),
        (["webex", "cdrs", "--from", "24h"], "did you mean --since?"),
        (["archive", "status", "--from", "x"], "did you mean --into?"),
        (["sql", "--into", "x", "SELECT 1"], "did you mean --from?"),
        (["webex", "cdrs", "--end=24h"], "did you mean --until?"),
        (["webex", "--since", "24h"], "put the options of a command after it"),
        (["webex", "cdrs", "-p", "sandbox", "--fields", "start_tme"], "did you mean start_time"),
        (["webex", "cdrs", "-p", "sandbox", "--schema", "nativ"], "did you mean native?"),
        (["webex", "cdrs", "-p", "sandbox", "-f", "cvs"], "did you mean csv?"),
        (["webex", "cdrs", "-p", "sandbox", "--tz", "Europe/Berln"], "write Europe/Berlin"),
        (["webex", "cdrs", "-p", "sandbox", "--log-format", "jsn"], "did you mean json?"),
        (["fields", "webx"], "did you mean webex?"),
        (["fields", "kazoo", "interaction"], "did you mean interactions?"),
        (["fields", "portsip", "reports", "lst"], "did you mean reports list?"),
        (["fields", "webex", "--schema", "comon"], "did you mean common?"),
        (["fields", "webex", "-f", "tabel"], "did you mean table?"),
        (["sync", "sandbox", "--into", "x", "--call", "cdr"], "cdrs"),
        (["profile", "add", "x", "--provider", "webx"], "did you mean webex?"),
        (["profile", "add", "x", "--provider", "webex", "--with", "tokn"], "did you mean token?"),
        (["profile", "add", "x", "--provider", "webex", "--set", "base_ulr=x"], "did you mean base_url?"),
        (["sandbox", "serve", "--switch", "webx.link=doc"], "did you mean webex.link?"),
        (["sandbox", "serve", "--switch", "webex.lnk=doc"], "did you mean webex.link?"),
        (["help", "time"], "did you mean times?"),
        (["help", "webex", "cdr"], "did you mean cdrs?"),
        (["help", "webex", "cdrs", "now"], "cdrctl webex cdrs has no command 'now'"),
    ],
)
def test_typos_get_suggestions(tmp_path: Path, asked: list[str], meant: str) -> None:
    ran = run(*asked, environ={"CDRCTL_CONFIG": str(tmp_path / "config.toml")})
    assert (ran.code, ran.out) == (2, ""), ran.err
    assert ran.err.startswith("cdrctl: ")
    assert "\n  next: " in ran.err
    assert meant in ran.err


def test_a_misspelt_profile_gets_a_suggestion(tmp_path: Path) -> None:
    """The exit code is 6, because the configuration lacks the profile."""
    config = tmp_path / "config.toml"
    ran = run("webex", "cdrs", "-p", "sandbx", "--config", config)
    assert ran.code == 6
    assert "did you mean sandbox?" in ran.err
    config.write_text('[profiles.acme]\nprovider = "webex"\naccess_token = "x"\n', encoding="utf-8")
    config.chmod(0o600)
    for asked in (["webex", "cdrs", "-p", "acmee"], ["profile", "show", "acmee"], ["sync", "acmee", "--into", "x"]):
        assert "did you mean acme?" in run(*asked, "--config", config).err


@for_each(
    "asked, said, then",
    [
        (["webex", "cdrs", "--since"], "--since needs a value", "see cdrctl webex cdrs --help"),
        (["webex", "cdrs", "--quiet=yes"], "--quiet takes no value", "see cdrctl webex cdrs --help"),
        (
            ["webex", "cdrs", "--limit", "x"],
            "--limit must be a whole number, 1 or more",
            "see cdrctl webex cdrs --help",
        ),
        (
            ["webex", "cdrs", "--limit", "0"],
            "--limit must be a whole number, 1 or more",
            "see cdrctl webex cdrs --help",
        ),
        (
            ["webex", "cdrs", "--jobs", "17"],
            "--jobs must be a whole number from 1 to 16",
            "see cdrctl webex cdrs --help",
        ),
        (["kazoo", "legs"], "ID is missing", "see cdrctl kazoo legs --help"),
        (["sync", "sandbox"], "--into DIR is missing", "see cdrctl sync --help"),
        (
            ["webex", "cdrs", "yesterday"],
            "unexpected argument: cdrctl webex cdrs takes only options",
            "an option's value comes right after it; see cdrctl webex cdrs --help",
        ),
        (
            ["kazoo", "legs", "a", "b"],
            "unexpected argument: cdrctl kazoo legs takes only ID and options",
            "an option's value comes right after it; see cdrctl kazoo legs --help",
        ),
        (["-q"], "cdrctl needs a command", "cdrctl --help lists them"),
    ],
)
def test_a_wrong_command_line_is_an_error_with_a_next_step(asked: list[str], said: str, then: str) -> None:
    ran = run(*asked)
    assert (ran.code, ran.out, ran.err) == (2, "", f"cdrctl: {said}\n  next: {then}\n")
    told = run("--log-format", "json", *asked)
    assert told.code == 2
    assert json.loads(told.err) == {"level": "error", "message": said, "exit_code": 2, "next": then}


@for_each(
    "asked",
    [
        ["--log-format", "json", "webex", "cdrs", "--nope"],
        ["webex", "cdrs", "--nope", "--log-format", "json"],
        ["webex", "cdrs", "--log-format=json", "--nope"],
        ["webex", "--nope", "--log-format=json"],
        ["--log-format", "text", "webex", "cdrs", "--log-format", "json", "--nope"],
    ],
)
def test_errors_are_json_wherever_log_format_is_on_the_line(asked: list[str]) -> None:
    assert json.loads(run(*asked).err)["exit_code"] == 2


def test_errors_are_json_if_the_environment_says_so() -> None:
    environ = {"CDRCTL_LOG_FORMAT": "json"}
    assert json.loads(run("webex", "cdrs", "--nope", environ=environ).err)["exit_code"] == 2
    assert run("webex", "cdrs", "--nope", "--log-format", "text", environ=environ).err.startswith("cdrctl: ")
    assert json.loads(run("webex", "cdrs", "-p", "nope", environ=environ).err)["exit_code"] == 6
    assert run("--log-format", "text", "webex", "cdrs", "-p", "nope", environ=environ).err.startswith("cdrctl: ")
    assert run("profile", "path", environ={"CDRCTL_LOG_FORMAT": "yaml"}).code == 2
    assert run("webex", "cdrs", "--nope", "--", "--log-format", "json").err.startswith("cdrctl: ")


def test_a_group_without_a_command_shows_its_help_or_a_json_error() -> None:
    ran = run("webex")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Usage: cdrctl webex [OPTIONS] COMMAND ...\n\nExamples:\n")
    told = json.loads(run("webex", environ={"CDRCTL_LOG_FORMAT": "json"}).err)
    assert told["message"] == "cdrctl webex needs a command"


@for_each(
    "asked",
    [
        ["webex", "cdrs", "--password", SECRET],
        ["webex", "cdrs", f"--password={SECRET}"],
        ["webex", "cdrs", "--access-token", SECRET],
        ["webex", "cdrs", SECRET],
        ["webex", "cdrs", "--limit", SECRET],
        ["webex", "cdrs", "--jobs", SECRET],
        ["webex", "cdrs", f"--quiet={SECRET}"],
        ["profile", "add", "acme", SECRET],
        ["profile", "add", "acme", "--provider", "webex", "--with", SECRET],
        ["profile", "add", "acme", "--provider", "webex", "--set", f"access_token={SECRET}"],
        ["sandbox", "serve", "--port", SECRET],
        ["kazoo", "legs", "id", SECRET],
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path, asked: list[str]) -> None:
    config = {"CDRCTL_CONFIG": str(tmp_path / "config.toml")}
    for environ in (config, {**config, "CDRCTL_LOG_FORMAT": "json"}):
        ran = run(*asked, environ=environ)
        assert ran.code == 2
        assert SECRET not in ran.err


@for_each("option", ["--password", "--access-token", "--api-key", "--client-secret"])
def test_a_secret_as_an_option_gets_a_hint_to_profile_add(option: str) -> None:
    assert "cdrctl profile add asks for them" in run("kazoo", "cdrs", option, SECRET).err


def test_control_characters_of_a_wrong_word_never_reach_the_terminal() -> None:
    for asked in (["\x1b[2J"], ["webex", "\x1b]0;x\x07"], ["webex", "cdrs", "--\x1b[2J"], ["help", "\x1b[2J"]):
        ran = run(*asked)
        assert ran.code == 2
        assert "\x1b" not in ran.err
        assert ran.err.count("\n") == 2


def test_a_wrong_command_with_quotes_is_shown_as_typed() -> None:
    for name in ("it's", 'say "x"', "a.b", 'it\'s "both"', "back\\slash", ""):
        ran = run("webex", name)
        assert (ran.code, ran.err.splitlines()[0]) == (2, f"cdrctl: cdrctl webex has no command {name!r}")


@for_each(
    "word, names, said",
    [
        ("sicne", ["--since", "since", "schema"], "did you mean since? "),
        ("CSV", ["csv", "tsv"], "did you mean csv? "),
        ("ab", ["abc", "abd"], "did you mean abd or abc? "),
        ("nothing", ["csv"], ""),
        ("x", [], ""),
    ],
)
def test_the_nearest_names_are_suggested(word: str, names: list[str], said: str) -> None:
    assert did_you_mean(word, names) == said
