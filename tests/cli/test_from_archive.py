"""`--from DIR`: exports that read an archive instead of the provider."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.fetchers import PROVIDERS, load
from cdrctl.sandbox import Exchange, Sandbox
from tests.cli.archive_kit import configure, providers, shell
from tests.support.clock import HandClock
from tests.support.runner import Ran, Shell

NOW = datetime(2026, 11, 12, 2, 30, tzinfo=UTC)
__all__ = ["providers", "shell"]  # fixtures

FROM = ("--from", "archive")
YESTERDAY = ("--since", "2026-11-11", "--until", "2026-11-12")
CALLS = [(name, call.name) for name in PROVIDERS for call in load(name).calls if call.archived]


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOW)


def archive(shell: Shell, *profiles: str, form: str = "jsonl", more: tuple[str, ...] = ()) -> None:
    """Archive the calls of three days, and take the network and the configuration away."""
    shell.run("sync", *profiles, "--into", "archive", "--since", "2026-11-10", "-f", form, "-q", *more).ok()


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Return a shell in whose folder is an archive of webex and kazoo."""
    folder, clock = tmp_path_factory.mktemp("archived"), HandClock(NOW)
    with sandbox.start(now=clock, exchange=Exchange(volume=0.3)) as providers:
        shell = Shell(folder, clock)
        configure(shell, providers, "webex", "kazoo")
        into = ("--into", str(folder / "archive"), "--since", "2026-11-10", "-f", "jsonl", "-q")
        shell.run("sync", "webex", "kazoo", *into).ok()
        yield shell


@pytest.fixture
def shared(archived: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Return the shell with an archive of webex and kazoo, which no test may change."""
    monkeypatch.chdir(archived.folder)
    return archived


def same(ran: Ran, other: Ran) -> bool:
    """Whether two exports wrote the same records, in any order."""
    return sorted(ran.written.splitlines()) == sorted(other.written.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("form", ["parquet", "jsonl", "jsonl.gz", "csv", "csv.gz"])
@pytest.mark.parametrize(("provider", "call"), CALLS)
def test_the_records_are_those_of_an_export_from_the_provider(
    shell: Shell, provider: str, call: str, form: str
) -> None:
    shell.run("sync", provider, "--call", call, "--into", "archive", "-f", form, "-q").ok()
    window = ("--since", "2026-11-11T15:00", "--until", "2026-11-12T00:00")
    schemas = ["native", "common"] if load(provider).call(call).common is not None else ["native"]
    for words in [("--schema", schema, "-f", out) for schema in schemas for out in ("jsonl", "csv")]:
        theirs = shell.run(provider, call, *window, *words).ok()
        assert same(shell.run(provider, call, *window, *words, *FROM).ok(), theirs), words
        assert len(theirs.written.splitlines()) > 2


@pytest.mark.parametrize("words", [("-f", "jsonl"), ("-f", "csv", "--schema", "common")])
def test_webex_records_are_those_of_an_export_from_the_provider(shared: Shell, words: tuple[str, ...]) -> None:
    theirs = shared.run("webex", "cdrs", *YESTERDAY, *words).ok()
    assert same(shared.run("webex", "cdrs", *YESTERDAY, *FROM, *words).ok(), theirs)


def test_records_are_in_the_order_of_their_start(shared: Shell) -> None:
    ran = shared.run("kazoo", "cdrs", "--since", "2026-11-10", *FROM, "--schema", "common").ok()
    starts = [one["start_time"] for one in ran.lines]
    assert starts == sorted(starts)
    assert len({start[:10] for start in starts}) == 3


def test_no_secret_is_read_and_nothing_is_sent(shell: Shell, providers: Sandbox) -> None:
    archive(shell, "webex")
    providers.close()
    lines = ["[profiles.webex]", 'provider = "webex"', 'access_token_command = "touch ran; echo token"']
    shell.config.write_text("\n".join(lines), encoding="utf-8")
    shell.config.chmod(0o600)
    assert shell.run("webex", "cdrs", *YESTERDAY, *FROM).ok().lines
    assert shell.run("export", "--all", *YESTERDAY, *FROM).ok().lines
    assert not Path("ran").exists()


@pytest.mark.slow
def test_a_profile_need_not_be_configured_any_more(shell: Shell) -> None:
    archive(shell, "webex", "kazoo")
    expected = shell.run("webex", "cdrs", *YESTERDAY, *FROM, "--schema", "common").ok().lines
    shell.config.unlink()
    assert shell.run("webex", "cdrs", *YESTERDAY, *FROM, "--schema", "common").ok().lines == expected
    both = shell.run("export", "--all", *YESTERDAY, *FROM).ok().lines
    assert [one for one in both if one["provider"] == "webex"] == expected
    assert {one["profile"] for one in both} == {"webex", "kazoo"}


def test_words_are_in_the_zone_of_the_profile_if_it_is_configured(shell: Shell, providers: Sandbox) -> None:
    archive(shell, "webex")
    configure(shell, providers, "webex", timezone="America/New_York")
    local = shell.run("webex", "cdrs", "--since", "2026-11-11", "--until", "2026-11-11T12:00", *FROM).ok()
    utc = ("--since", "2026-11-11T05:00Z", "--until", "2026-11-11T17:00Z")
    assert local.lines == shell.run("webex", "cdrs", *utc, *FROM).ok().lines
    assert local.lines
    other = shell.run(
        "webex", "cdrs", "--since", "2026-11-11", "--until", "2026-11-11T12:00", "--tz", "UTC", *FROM
    ).ok()
    assert other.lines != local.lines


def test_the_options_of_an_export_work(shared: Shell) -> None:
    export = ("webex", "cdrs", *YESTERDAY, "--schema", "common")
    options = (
        "--fields",
        "start_time,talk_seconds",
        "--where",
        "talk_seconds>60",
        "--sort",
        "-talk_seconds,start_time",
    )
    for words in (
        options,
        (*options, "--limit", "2"),
        ("--template", "{start_time} {outcome}"),
        ("--no-header", "-f", "csv"),
    ):
        theirs = shared.run(*export, *words).ok()
        ours = shared.run(*export, *words, *FROM).ok()
        assert same(ours, theirs)
        assert words[0] != "--fields" or ours.out == theirs.out
    assert shared.run(*export, *FROM, "--where", "talk_seconds>90000", "--fail-if-empty").code == 9
    local = shared.run(*export, *FROM, "--times", "local", "--tz", "Europe/Berlin", "--limit", "1").ok()
    assert local.lines[0]["start_time"].endswith("+01:00")


def test_a_file_is_written_whole_and_a_database_has_each_record_once(shell: Shell) -> None:
    archive(shell, "webex")
    theirs = shell.run("webex", "cdrs", *YESTERDAY, "-o", "calls.db").ok()
    shell.run("webex", "cdrs", *YESTERDAY, *FROM, "-o", "calls.db").ok()
    with sqlite3.connect("calls.db") as database:
        (count,) = database.execute("SELECT count(*) FROM webex_cdrs").fetchone()
    database.close()
    assert f"{count} records" in theirs.err


def test_the_closing_line_counts_records(shared: Shell) -> None:
    ran = shared.run("--log-format", "json", "webex", "cdrs", *YESTERDAY, *FROM).ok()
    done = json.loads(ran.err.splitlines()[-1])
    assert done["records"] == len(ran.lines)
    assert not {"pages", "requests"} & done.keys()


def test_gaps_end_with_3_unless_they_are_accepted(shared: Shell) -> None:
    export = ("webex", "cdrs", "--since", "2026-11-09", "--until", "2026-11-11", *FROM)
    ran = shared.run(*export)
    assert (ran.code, len(ran.lines) > 0) == (3, True)
    assert "cdrctl sync webex --into archive --since 2026-11-09" in ran.err
    assert shared.run(*export, "--allow-partial").ok().lines == ran.lines


@pytest.mark.slow
def test_the_default_window_has_no_gap_after_a_sync(shell: Shell) -> None:
    for name, call in (("webex", "cdrs"), ("webex", "stream"), ("callgear", "legs")):
        shell.run("sync", name, "--into", "archive", "--call", call, "-q").ok()
        shell.run(name, call, *FROM).ok()


@pytest.mark.slow
def test_a_recent_window_has_one_note(shell: Shell, clock: HandClock) -> None:
    archive(shell, "webex", "kazoo")
    clock.move(hours=11)
    for words in (("webex", "cdrs"), ("export", "--all")):
        ran = shell.run(*words, "--since", "2026-11-11", *FROM).ok()
        assert [line for line in ran.err.splitlines() if "note:" in line and "02:2" in line]
        assert len([line for line in ran.err.splitlines() if "note:" in line]) == 1
    assert "note:" not in shell.run("webex", "cdrs", "--since", "2026-11-11", *FROM, "--limit", "1000").ok().err


def test_an_archive_that_may_only_be_read_is_enough(shared: Shell) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path("archive").rglob("*")}
    shared.run("webex", "cdrs", *YESTERDAY, *FROM).ok()
    assert {path: path.stat().st_mtime_ns for path in Path("archive").rglob("*")} == before


@pytest.mark.parametrize(
    "words",
    [
        ("webex", "cdrs", "--page-size", "5000"),
        ("webex", "cdrs", "--jobs", "1"),
        ("webex", "cdrs", "--max-wait", "5m"),
        ("webex", "cdrs", "--location", "Berlin"),
        ("kazoo", "cdrs", "--filter", "direction=inbound"),
        ("kazoo", "cdrs", "--user", "u1"),
        ("kazoo", "cdrs", "--descendants"),
        ("portsip", "cdrs", "--with-cost"),
        ("export", "--all", "--max-wait", "5m"),
        ("webex", "cdrs", "--schema", "raw"),
        ("export", "--all", "--schema", "native"),
        ("webex", "legs", " "),
        ("webex", "legs", "some-id", "--page-size", "500"),
        ("kazoo", "legs", "some-id"),
        ("kazoo", "cdr", "some-id"),
        ("portsip", "cdr", "7"),
        ("portsip", "reports", "list"),
        ("webex", "cdrs", "-p", "nobody"),
        ("webex", "stream"),
        ("voicenter", "cdrs"),
        ("webex", "cdrs", "-p", "kazoo"),
        ("export", "-p", "webex", "-p", "nobody"),
        ("export", "--all", "--except", "nobody"),
        ("export",),
        ("webex", "cdrs", "--fields", "nothing"),
    ],
)
def test_what_an_archive_cannot_do_is_refused(shared: Shell, words: tuple[str, ...]) -> None:
    ran = shared.run(*words, *FROM)
    assert ran.code == 2
    assert "next:" in ran.err
    assert ran.written == b""


@pytest.mark.slow
def test_the_legs_of_a_call_are_those_of_a_search_at_the_provider(shared: Shell) -> None:
    records = shared.run("webex", "cdrs", *YESTERDAY, *FROM).ok().lines
    calls = Counter(one["correlation_id"] for one in records)
    several = next(one for one, legs in calls.items() if legs > 1)
    report = next(one["report_id"] for one in records if one["correlation_id"] == several)
    for words in ((several,), (report.upper(), "-f", "csv", "--schema", "common"), ("nobody",)):
        theirs = shared.run("webex", "legs", *YESTERDAY, *words).ok()
        ours = shared.run("webex", "legs", *YESTERDAY, *words, *FROM).ok()
        assert same(ours, theirs)
    assert len(shared.run("webex", "legs", *YESTERDAY, several, *FROM).ok().lines) == calls[several]
    assert "the archive has no record with the id nobody" in shared.run("webex", "legs", "nobody", *FROM).err
    assert shared.run("webex", "legs", several, "--since", "2026-11-09", *FROM).code == 3


def test_a_document_that_no_archive_keeps_is_refused_with_the_calls_that_it_keeps(shared: Shell) -> None:
    for words, kept in ((("kazoo", "cdr"), "kazoo cdrs"), (("portsip", "calllog"), "portsip calllogs")):
        assert f"cdrctl {kept}" in shared.run(*words, "7", *FROM).err
    assert "archive" not in shared.run("portsip", "reports", "list", *FROM).err


def test_no_archive_is_a_usage_error(shared: Shell) -> None:
    assert shared.run("webex", "cdrs", "--from", "nothing").code == 2
    assert shared.run("export", "--all", "--from", "nothing").code == 2
    assert not Path("nothing").exists()


def test_options_of_the_environment_that_select_records_are_refused_and_others_do_not_matter(shared: Shell) -> None:
    shared.run("kazoo", "cdrs", *YESTERDAY, *FROM, CDRCTL_PAGE_SIZE="7", CDRCTL_MAX_WAIT="5m", CDRCTL_JOBS="2").ok()
    ran = shared.run("kazoo", "cdrs", *YESTERDAY, *FROM, CDRCTL_FILTER="direction=inbound")
    assert ran.code == 2
    assert "CDRCTL_FILTER" in ran.err
    assert shared.run("kazoo", "cdrs", *YESTERDAY, CDRCTL_FROM="archive").ok().lines


def test_a_dry_run_has_nothing_to_print(shared: Shell) -> None:
    for words in (("webex", "cdrs"), ("export", "--all")):
        assert shared.run(*words, *YESTERDAY, *FROM, "--dry-run").ok().out == ""


@pytest.mark.slow
def test_the_sandbox_keeps_its_name(shell: Shell) -> None:
    archive(shell, "sandbox")
    for name in ("sandbox", "sandbox-webex"):
        ran = shell.run("webex", "cdrs", "-p", name, *YESTERDAY, *FROM, "--schema", "common").ok()
        assert {one["profile"] for one in ran.lines} == {"sandbox"}
    assert shell.run("webex", "cdrs", *YESTERDAY, *FROM, CDRCTL_PROFILE="sandbox").ok().lines
    both = ("-p", "sandbox", "-p", "sandbox-webex")
    every = shell.run("export", *both, *YESTERDAY, *FROM).ok().lines
    assert len({(one["provider"], one["record_id"]) for one in every}) == len(every)
    assert {one["provider"] for one in every} == {*PROVIDERS}


@pytest.mark.slow
def test_the_bill_of_a_month_is_that_of_the_providers(shell: Shell) -> None:
    archive(shell, "--all")
    words = ("--since", "2026-11-10", "--until", "2026-11-12", "--schema", "common", "-o")
    shell.run("export", "--all", *words, "theirs.csv").ok()
    ran = shell.run("export", "--all", *words, "ours.csv", *FROM).ok()
    ours, theirs = (Path(name).read_text(encoding="utf-8") for name in ("ours.csv", "theirs.csv"))
    assert sorted(csv.reader(io.StringIO(ours))) == sorted(csv.reader(io.StringIO(theirs)))
    assert len([line for line in ran.err.splitlines() if "0 gaps" not in line and ": " in line]) >= len(PROVIDERS)


@pytest.mark.slow
def test_several_profiles_name_their_gaps(shell: Shell) -> None:
    archive(shell, "webex")
    shell.run("sync", "callgear", "--into", "archive", "--call", "costs", "-q").ok()
    ran = shell.run("export", "--all", *YESTERDAY, *FROM)
    assert ran.code == 3
    assert {one["provider"] for one in ran.lines} == {"webex"}
    assert "callgear (callgear): incomplete" in ran.err
    assert shell.run("export", "--all", "--except", "callgear", *YESTERDAY, *FROM).ok().lines == ran.lines


def test_a_tag_selects_configured_profiles_and_one_without_calls_is_a_gap(shell: Shell, providers: Sandbox) -> None:
    archive(shell, "webex")
    configure(shell, providers, "webex", "kazoo", tags=["billing"])
    ran = shell.run("export", "--tag", "billing", *YESTERDAY, *FROM)
    assert ran.code == 3
    assert {one["provider"] for one in ran.lines} == {"webex"}
    assert shell.run("export", "--tag", "nothing", *YESTERDAY, *FROM).code == 2


def test_a_limit_counts_the_records_of_all_profiles(shared: Shell) -> None:
    assert len(shared.run("export", "--all", *YESTERDAY, *FROM, "--limit", "3").ok().lines) == 3
    ran = shared.run("export", "--all", *YESTERDAY, *FROM, "--sort", "start_time", "--limit", "3").ok()
    every = shared.run("export", "--all", *YESTERDAY, *FROM).ok().lines
    assert [one["start_time"] for one in ran.lines] == sorted(one["start_time"] for one in every)[:3]


@pytest.mark.slow
def test_several_profiles_of_one_provider_must_be_told_apart(shell: Shell, providers: Sandbox) -> None:
    archive(shell, "webex")
    text = shell.config.read_text(encoding="utf-8")
    shell.config.write_text(text.replace("[profiles.webex]", "[profiles.emea]"), encoding="utf-8")
    shell.run("sync", "emea", "--into", "archive", "-q").ok()
    assert shell.run("webex", "cdrs", *YESTERDAY, *FROM).code == 2
    assert shell.run("webex", "cdrs", "-p", "emea", *YESTERDAY, *FROM).ok().lines
    both = shell.run("export", "--all", *YESTERDAY, *FROM).ok().lines
    assert {one["profile"] for one in both} == {"webex", "emea"}


@pytest.mark.parametrize(
    "command",
    [
        ("webex", "cdrs", *FROM, "-p", "webex", *YESTERDAY),
        ("export", *FROM, "-p", "webex", *YESTERDAY, "--schema", "common"),
        ("sync", "webex", "--into", "archive", "--with-calls"),
    ],
    ids=["provider", "export", "calls"],
)
def test_one_profile_does_not_depend_on_the_ledgers_of_others(shell: Shell, command: tuple[str, ...]) -> None:
    archive(shell, "webex", "kazoo")
    Path("archive/_cdrctl/ledger/kazoo/cdrs.json").write_text("{")
    shell.run(*command, "-q").ok()
