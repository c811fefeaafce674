"""`cdrctl export` writes the calls of several profiles as one stream."""

from __future__ import annotations

import csv
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.cli import failures
from cdrctl.errors import SignInError, most_urgent
from cdrctl.fetchers import PROVIDERS
from cdrctl.http.workers import idle_workers
from cdrctl.records.common import COMMON
from tests.support.products import for_each
from tests.support.runner import NOW, run

YESTERDAY = ("--since", "yesterday", "--until", "today")


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Iterator[Path]:
    """Return a configuration with a profile for each provider, and one with a wrong token."""
    with sandbox.start(now=lambda: NOW) as running:
        lines = []
        for provider in PROVIDERS:
            lines.append(f'[profiles.my-{provider}]\nprovider = "{provider}"')
            lines.extend(f"{key} = {value!r}" for key, value in running.profiles[provider].items())
        lines.append('[profiles.wrong]\nprovider = "webex"\naccess_token = "no-token-at-all"\nrequests_per_minute = 0')
        lines.append(f"base_url = '{running.profiles['webex']['base_url']}'")
        path = tmp_path / "config.toml"
        path.write_text("\n".join(lines), encoding="utf-8")
        path.chmod(0o600)
        yield path


@pytest.mark.slow
def test_the_calls_of_every_sandbox_are_written_to_one_file(tmp_path: Path) -> None:
    target = tmp_path / "all.csv"
    ran = run("export", "-p", "sandbox", *YESTERDAY, "--schema", "common", "-f", "csv", "-o", target)
    assert ran.code == 0, ran.err
    with target.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    assert lines[0] == [column.name for column in COMMON]
    assert {line[0] for line in lines[1:]} == set(PROVIDERS)
    for provider in PROVIDERS:
        assert f"sandbox ({provider}): " in ran.err


@pytest.mark.slow
def test_every_profile_has_the_same_records_as_alone(config: Path) -> None:
    together = run(
        "export", *(word for name in PROVIDERS for word in ("-p", f"my-{name}")), *YESTERDAY, "--config", config
    )
    assert together.code == 0, together.err
    counts = Counter(line["profile"] for line in together.lines)
    ids = Counter((line["profile"], line["record_id"]) for line in together.lines)
    assert max(ids.values()) == 1
    assert set(counts) == {f"my-{name}" for name in PROVIDERS}
    for name in PROVIDERS:
        assert f"my-{name} ({name}): {counts[f'my-{name}']} records" in together.err


def test_a_failing_profile_is_named_and_stops_no_other(config: Path, tmp_path: Path) -> None:
    target = tmp_path / "all.jsonl"
    ran = run("export", "--all", *YESTERDAY, "--config", config, "-o", target)
    assert ran.code == 4
    assert "wrong (webex): failed: the token has expired and could not be renewed" in ran.err
    assert f"1 of {len(PROVIDERS) + 1} profiles failed: wrong (webex)" in ran.err
    assert '"profile":"my-webex"' in target.read_text(encoding="utf-8")


def test_a_profile_that_fails_after_some_records_says_how_many_are_written(tmp_path: Path) -> None:
    config, target = tmp_path / "config.toml", tmp_path / "all.jsonl"
    with sandbox.start(now=lambda: NOW) as running:
        running.fail("webex", 403, nth=2, times=1_000)
        lines = []
        for provider in ("webex", "portsip"):
            lines.append(f'[profiles.my-{provider}]\nprovider = "{provider}"')
            lines.extend(f"{key} = {value!r}" for key, value in running.profiles[provider].items())
        config.write_text("\n".join(lines), encoding="utf-8")
        config.chmod(0o600)
        ran = run("export", "--all", *YESTERDAY, "--config", config, "-o", target)
    assert ran.code == 4
    written = Counter(json.loads(line)["provider"] for line in target.read_text(encoding="utf-8").splitlines())
    assert written["webex"]
    assert written["portsip"]
    assert f"my-webex (webex): failed after {written['webex']} records: " in ran.err


@pytest.mark.slow
def test_allow_partial_does_not_accept_a_wrong_credential(config: Path) -> None:
    """--allow-partial accepts only gaps: a wrong token needs a person."""
    assert run("export", "--all", *YESTERDAY, "--config", config, "--allow-partial").code == 4


@pytest.mark.slow
def test_quiet_shows_each_failure_with_its_next_step(config: Path) -> None:
    with config.open("a", encoding="utf-8") as file:
        file.write('\n[profiles.odd]\nprovider = "nobody"\n')
    ran = run("export", "--all", *YESTERDAY, "--config", config, "-q")
    assert ran.code == 6  # an unknown provider is more urgent than an expired token
    lines = ran.err.splitlines()
    assert [line.partition(": failed: ")[0] for line in lines[:2]] == ["cdrctl: wrong (webex)", "cdrctl: odd"]
    assert all("; next: " in line for line in lines[:2])
    assert lines[2] == f"cdrctl: 2 of {len(PROVIDERS) + 2} profiles failed: wrong (webex), odd"
    objects = [
        json.loads(line)
        for line in run(
            "export", "--all", *YESTERDAY, "--config", config, "-q", "--log-format", "json"
        ).err.splitlines()
    ]
    assert [(one["level"], one.get("profile"), one["exit_code"]) for one in objects] == [
        ("error", "wrong (webex)", 4),
        ("error", "odd", 6),
        ("error", None, 6),
    ]


def test_one_profile_alone_fails_with_its_own_error(config: Path) -> None:
    ran = run("export", "-p", "wrong", *YESTERDAY, "--config", config, "-q")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.count("the token has expired") == 1


@for_each("codes, worst", [([5, 3], 3), ([3, 8], 8), ([8, 7], 7), ([7, 4], 4), ([4, 6], 6), ([6, 1], 1), ([5], 5)])
def test_the_exit_code_is_the_most_urgent_one(codes: list[int], worst: int) -> None:
    assert most_urgent(codes) == most_urgent(codes[::-1]) == worst


@pytest.mark.slow
def test_an_unusable_profile_stops_the_others_only_if_it_was_named(config: Path) -> None:
    with config.open("a", encoding="utf-8") as file:
        file.write('\n[profiles.odd]\nprovider = "nobody"\n')
    ran = run("export", "--all", *YESTERDAY, "--config", config)
    assert ran.code == 6
    assert "odd: failed: " in ran.err
    assert {line["profile"] for line in ran.lines} == {f"my-{name}" for name in PROVIDERS}
    named = run("export", "-p", "odd", "-p", "my-webex", *YESTERDAY, "--config", config)
    assert (named.code, named.out) == (6, "")


def test_the_old_file_stays_if_all_profiles_fail(config: Path, tmp_path: Path) -> None:
    target = tmp_path / "all.jsonl"
    target.write_text("old", encoding="utf-8")
    ran = run("export", "-p", "wrong", *YESTERDAY, "--config", config, "-o", target)
    assert ran.code == 4
    assert target.read_text(encoding="utf-8") == "old"


def test_a_bug_in_one_profile_is_raised_as_it_is() -> None:
    bug = ZeroDivisionError()
    failed: list[tuple[str, BaseException]] = [("one", SignInError("no")), ("two", bug)]
    assert failures.failure(failed, 3) is bug
    assert isinstance(failures.failure(failed[:1], 3), failures.ProfilesFailedError)


def test_calls_that_a_provider_does_not_have_yet_make_an_export_incomplete(config: Path) -> None:
    words = ("export", "-p", "my-webex", "--since", "2026-11-20T12:00Z", "--until", "2026-11-20T19:57Z")
    ran = run(*words, "--config", config)
    assert ran.code == 3
    assert "0 duplicates dropped, 1 gaps" in ran.err
    assert run(*words, "--config", config, "--allow-partial").code == 0


def test_a_profile_that_is_named_twice_is_exported_once(config: Path) -> None:
    once = run("export", "-p", "my-webex", *YESTERDAY, "--config", config)
    twice = run("export", "-p", "my-webex", "-p", "my-webex", *YESTERDAY, "--config", config)
    assert len(twice.lines) == len(once.lines) > 0


def test_all_profiles_share_one_progress_line(config: Path, tmp_path: Path) -> None:
    words = ("-p", "my-webex", "-p", "my-kazoo", *YESTERDAY, "--config", config, "-o", tmp_path / "all.csv")
    ran = run("export", *words, terminal=True)
    assert ran.code == 0
    assert "my-kazoo (kazoo): " in ran.err
    shown = re.findall(r"\r\x1b\[2K([^\r\n]+)(?=\r)", ran.err)
    assert shown
    assert all(re.fullmatch(r"\d+ records, [012] of 2 profiles done", one) for one in shown)
    assert [int(one.split()[0]) for one in shown] == sorted(int(one.split()[0]) for one in shown)


def test_a_limit_holds_for_the_whole_stream(config: Path) -> None:
    names = [word for name in PROVIDERS for word in ("-p", f"my-{name}")]
    ran = run("export", *names, *YESTERDAY, "--config", config, "--limit", "5")
    assert ran.code == 0, ran.err
    assert len(ran.lines) == 5


@pytest.mark.slow
def test_a_limit_reached_only_by_all_profiles_together_is_exact(config: Path) -> None:
    names = [word for name in PROVIDERS for word in ("-p", f"my-{name}")]
    count = len(run("export", *names, *YESTERDAY, "--config", config).lines)
    ran = run("export", *names, *YESTERDAY, "--config", config, "--limit", str(count - 1))
    assert ran.code == 0, ran.err
    assert len(ran.lines) == count - 1


def test_no_thread_goes_on_after_the_limit(config: Path) -> None:
    before = threading.enumerate()
    run("export", "--all", *YESTERDAY, "--config", config, "--limit", "1", "--allow-partial")
    started = set(threading.enumerate()).difference(before)
    for thread in sorted(started, key=lambda one: one.name == "cdrctl-exchange"):
        if thread.name == "cdrctl-exchange":  # all that made exchanges for the others are idle by now
            while idle_workers:
                idle_workers.pop().work.put(None)
        thread.join(10)
        assert not thread.is_alive()


@for_each(
    "arguments, code, words",
    [
        ((), 2, "--all"),
        (("--all", "-p", "x"), 2, "--all"),
        (("--all",), 2, "cdrctl init"),
        (("-p", "nobody"), 6, "nobody"),
        (("-p", "sandbox", "--schema", "native"), 2, "common"),
        (("-p", "sandbox", "--fields", "duration"), 2, "duration"),
        (("-p", "sandbox", "--since", "02/03/26"), 2, "more than one way"),
    ],
)
def test_bad_input_is_refused_before_any_request(
    arguments: tuple[str, ...], code: int, words: str, tmp_path: Path
) -> None:
    ran = run("export", *arguments, "--config", tmp_path / "none.toml")
    assert ran.code == code
    assert words in ran.err
