"""A condition that no record can meet gets a note, and the topic `outcomes` lists the outcomes of each provider."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdrctl import PROVIDERS
from cdrctl.cli.outcomes import groups, never_given
from cdrctl.conditions.language import read_condition
from cdrctl.fetchers import load
from cdrctl.records.common import COMMON, DIRECTIONS, OUTCOMES
from tests.support.products import for_each
from tests.support.runner import configured, run

WINDOW = ("--since", "2026-11-19T08:00", "--until", "2026-11-19T09:00")
NEVER = "never give"


@for_each("provider", PROVIDERS)
@for_each("negated", ["", "not "])
def test_a_note_says_which_value_a_provider_never_gives(provider: str, negated: str) -> None:
    call = load(provider).calls[0]
    assert call.gives is not None
    for field, values, given in (
        ("outcome", OUTCOMES, call.gives.outcomes),
        ("direction", DIRECTIONS, call.gives.directions),
    ):
        for value in values:
            for text in (f"{field}={value}", f"{field} != {value}", f"answered or {field} in ({value})"):
                note = never_given(read_condition(negated + f"({text})"), [(load(provider), call)])
                assert (note is None) == (value in given), (text, note)
                assert note is None or f"{provider} {call.name} never gives {field}={value}" in note


@for_each("provider", PROVIDERS)
def test_a_note_says_which_column_is_always_null(provider: str) -> None:
    call = load(provider).calls[0]
    assert call.gives is not None
    for column in COMMON:
        looked_for = never_given(read_condition(f"{column.name} ~ 'x+'"), [(load(provider), call)])
        if column.name not in {"outcome", "direction"}:
            assert (looked_for is not None) == (column.name in call.gives.null), column.name
        assert never_given(read_condition(f"{column.name} is null"), [(load(provider), call)]) is None


def test_a_pattern_is_noted_only_if_it_matches_no_possible_value() -> None:
    kazoo = load("kazoo")
    asked = [(kazoo, kazoo.calls[0])]
    assert never_given(read_condition("outcome ~ '^(voice|busy)'"), asked) is None
    note = never_given(read_condition("outcome ~ '^voice'"), asked)
    assert note is not None
    assert "outcome=voicemail" in note


def test_an_export_has_one_note_and_exit_code_0() -> None:
    where = ("--schema", "common", "--where", "outcome=voicemail or outcome=voicemail")
    ran = run("kazoo", "cdrs", "-p", "sandbox", *WINDOW, *where)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.count(NEVER) == 1
    assert NEVER not in run("webex", "cdrs", "-p", "sandbox", *WINDOW, *where).err
    assert run("kazoo", "cdrs", "-p", "sandbox", *WINDOW, *where, "-q").err == ""


def test_a_native_column_of_the_same_name_gets_no_note() -> None:
    ran = run("kazoo", "cdrs", "-p", "sandbox", *WINDOW, "--where", "direction=internal")
    assert (ran.code, ran.out) == (0, "")
    assert NEVER not in ran.err


def test_several_profiles_get_a_note_only_if_none_can_give_the_value(tmp_path: Path) -> None:
    both = {"kazoo": {"base_url": "http://127.0.0.1:1/v2"}, "portsip": {"base_url": "http://127.0.0.1:1/api"}}
    all_three = {**both, "voicenter": {"base_url": "http://127.0.0.1:1/"}}
    for profiles, noted in ((both, 1), (all_three, 0)):
        config = configured(tmp_path / "config.toml", profiles)
        ran = run("export", "--all", "--config", config, *WINDOW, "--where", "outcome=voicemail")
        assert ran.err.count(NEVER) == noted, ran.err
    assert (
        "kazoo cdrs, portsip cdrs never give outcome=voicemail"
        in run(
            *("export", "--all", "--config", configured(tmp_path / "config.toml", both), *WINDOW),
            *("--where", "outcome=voicemail"),
        ).err
    )
    ran = run("export", "-p", "sandbox", *WINDOW, "--where", "outcome=voicemail", "--limit", "1")
    assert ran.code == 0
    assert NEVER not in ran.err


def test_the_topic_has_every_call_with_a_common_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("help", "outcomes", width=100).code == 0
    shown = capsys.readouterr().out
    for title, _ in groups():
        assert shown.count(f"  {title}") >= 3, title
    for provider in map(load, PROVIDERS):
        for call in provider.calls:
            if call.common is not None:
                assert any(title.startswith(provider.name) and call.name in title for title, _ in groups())


def test_a_dry_run_shows_the_note_too() -> None:
    ran = run("webex", "cdrs", "-p", "sandbox", *WINDOW, "--schema", "common", "--where", "cost > 1", "--dry-run")
    assert ran.code == 0
    assert "webex cdrs never gives a value in cost" in ran.err
