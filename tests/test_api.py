"""The library returns the same as the command line, and the code on its page works."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import cdrctl
from cdrctl import PROVIDERS, api, sandbox
from cdrctl.errors import CdrctlError, ConfigurationError, UsageError
from cdrctl.http import Clock
from cdrctl.masking import MASK
from cdrctl.units import plain
from tests.support.runner import NOW, run

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
SINCE, UNTIL = "2026-11-19T00:00:00Z", "2026-11-19T12:00:00Z"
FIRST = {"callgear": "legs"}
"""The main call of a provider, if it is not `cdrs`."""


@pytest.fixture(autouse=True)
def _clock_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the library the same clock as the command lines."""
    monkeypatch.setattr(api, "Clock", lambda: Clock(now=lambda: NOW))


def records(provider: str, call: str, **given: Any) -> list[dict[str, Any]]:
    """Return all records of a call of the sandbox."""
    with cdrctl.open_profile("sandbox", provider=provider) as profile:
        found = [record for batch in profile.records(call, **given) for record in batch.to_pylist()]
        assert profile.gaps == []
    return found


@pytest.mark.thin
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("schema", ["native", "common", "raw"])
def test_records_are_equal_to_those_of_the_command_line(provider: str, schema: Any) -> None:
    call = FIRST.get(provider, "cdrs")
    window = ("--since", SINCE, "--until", UNTIL)
    written = run(provider, call, "-p", "sandbox", *window, "-f", "jsonl", "--schema", schema)
    ours = records(provider, call, since=SINCE, until=UNTIL, schema=schema)
    assert ours
    if schema == "native":  # in JSON Lines these fields are beside the columns
        beside = [one.pop("extra") or {} for one in ours]
        ours = [{**one, **more} for one, more in zip(ours, beside, strict=True)]
    assert json.loads(json.dumps(ours)) == [json.loads(line) for line in written.out.splitlines()]


@pytest.mark.thin
@pytest.mark.parametrize("schema", ["native", "common"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_arrow_batches_join_into_the_table_of_a_parquet_file(provider: str, schema: Any, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    call, path = FIRST.get(provider, "cdrs"), str(tmp_path / "calls.parquet")
    run(provider, call, "-p", "sandbox", "--since", SINCE, "--until", UNTIL, "--schema", schema, "-o", path)
    with cdrctl.open_profile("sandbox", provider=provider) as profile:
        batches = list(profile.records(call, SINCE, UNTIL, schema=schema))
    assert all(len(batch.to_arrow()) == len(batch) for batch in batches)
    assert arrow.Table.from_batches([batch.to_arrow() for batch in batches]).equals(parquet.read_table(path))


def test_raw_records_have_no_columns() -> None:
    with cdrctl.open_profile("sandbox", provider="webex") as profile:
        batch = next(profile.records("cdrs", SINCE, UNTIL, schema="raw"))
    assert batch.columns is None
    with pytest.raises(UsageError):
        batch.to_arrow()


@pytest.mark.slow
def test_a_window_may_be_instants_and_parts_may_be_fetched_in_parallel() -> None:
    since = datetime.fromisoformat(SINCE)
    until = since + timedelta(hours=12)
    words = records("kazoo", "cdrs", since=SINCE, until=UNTIL)
    assert records("kazoo", "cdrs", since=since, until=until) == words
    parallel = records("kazoo", "cdrs", since=since, until=until, jobs=4)
    assert sorted(map(json.dumps, parallel)) == sorted(map(json.dumps, words))
    assert len(records("kazoo", "cdrs", since=since, until=until, limit=3)) == 3


def test_a_call_of_a_group_and_its_options() -> None:
    with cdrctl.open_profile("sandbox", provider="portsip") as profile:
        assert "reports list" in profile.calls
        assert list(profile.records("reports list")) == []  # the PBX has no reports yet
        with pytest.raises(UsageError, match="takes no window"):
            profile.records("reports list", since="yesterday")
        with pytest.raises(UsageError, match="no option page_sise"):
            profile.records("cdrs", page_sise=5)
        with pytest.raises(UsageError, match="no call cdrz"):
            profile.records("cdrz")
        with pytest.raises(UsageError, match="returns a file"):
            profile.records("completed-reports download", id="1")
        with pytest.raises(UsageError, match="returns a file"):
            profile.records("reports create", wait=True)
        with pytest.raises(UsageError, match="limit is 0"):
            profile.records("cdrs", limit=0)
        with pytest.raises(UsageError, match="jobs is 0"):
            profile.records("cdrs", jobs=0)
        with pytest.raises(UsageError, match="has no time zone"):
            next(profile.records("cdrs", since=datetime(2026, 11, 19)))  # noqa: DTZ001 - this is refused
        assert next(profile.records("cdrs", SINCE, UNTIL, page_size=10, limit=1)).to_pylist()


def test_a_profile_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[profiles.acme]\nprovider = 'webex'\n", encoding="utf-8")
    for name, provider in (("nobody", None), ("acme", None), ("acme", "kazoo"), ("sandbox", None)):
        with (
            pytest.raises(ConfigurationError),
            cdrctl.open_profile(name, config=config, environ={"HOME": str(tmp_path)}, provider=provider),
        ):
            pass


def test_no_secret_is_logged(tmp_path: Path) -> None:
    """The server may repeat it in an error, and a URL may contain it."""
    secret = "not-a-secret-but-long"
    with sandbox.start(now=lambda: NOW) as running:
        config = tmp_path / "config.toml"
        config.write_text(
            f"[profiles.acme]\nprovider = 'webex'\naccess_token = '{secret}'\nbase_url = '{running.url}/{secret}'\n",
            encoding="utf-8",
        )
        config.chmod(0o600)
        told: list[str] = []
        with (
            pytest.raises(CdrctlError) as failed,
            cdrctl.open_profile(
                "acme", config=config, environ={"HOME": str(tmp_path)}, log=lambda _level, text: told.append(text)
            ) as profile,
        ):
            list(profile.records("cdrs", SINCE, UNTIL))
    assert any(MASK in text for text in told)
    shown = [*told, str(failed.value), failed.value.message, str(failed.value.hint), str(failed.value.said)]
    assert MASK in failed.value.message
    assert not any(secret in text for text in shown)


def test_the_code_on_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page uses the date of the system. The clock of the library is a day ahead, so that this day is complete."""
    noon = datetime.now(UTC).replace(hour=12) + timedelta(days=1)
    monkeypatch.setattr(api, "Clock", lambda: Clock(now=lambda: noon))
    monkeypatch.setattr(plain, "Clock", lambda: Clock(now=lambda: noon))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(compile(block, "docs/library.md", "exec"), {})  # noqa: S102 - our own page


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        cdrctl.nope  # noqa: B018 - the access raises


def test_records_that_cannot_be_fetched_are_a_gap(tmp_path: Path) -> None:
    with sandbox.start(now=lambda: NOW) as running:
        running.switch("portsip", "damage", "deep")
        settings = running.profiles["portsip"]
        config = tmp_path / "config.toml"
        lines = [
            "[profiles.acme]",
            'provider = "portsip"',
            *(f"{key} = {json.dumps(it)}" for key, it in settings.items()),
        ]
        config.write_text("\n".join(lines), encoding="utf-8")
        config.chmod(0o600)
        with cdrctl.open_profile("acme", config=config, environ={"HOME": str(tmp_path)}) as profile:
            came = sum(len(batch) for batch in profile.records("cdrs", SINCE, UNTIL))
            assert profile.gaps
            truth = running.truth("portsip", "cdrs", datetime.fromisoformat(SINCE), datetime.fromisoformat(UNTIL))
            assert 0 < came < len(truth)


def test_concurrent_exports_do_not_mix() -> None:
    """Each export has its own decoder."""

    def every(pages: Iterator[cdrctl.Batch]) -> list[dict[str, Any]]:
        return [record for batch in pages for record in batch.to_pylist()]

    with cdrctl.open_profile("sandbox", provider="portsip") as profile:
        logs, calls = (every(profile.records(call, SINCE, UNTIL)) for call in ("calllogs", "cdrs"))
        some = profile.records("cdrs", SINCE, UNTIL, page_size=10)
        begun = next(some).to_pylist()
        assert every(profile.records("calllogs", SINCE, UNTIL, page_size=10)) == logs
        (detail,) = every(profile.records("calllog", id=logs[0]["id"]))
        assert detail["id"] == logs[0]["id"]
        assert [*begun, *every(some)] == calls


def test_a_call_without_ids_is_not_decoded_like_the_previous_call() -> None:
    """The second call does not know the columns of the first."""
    asked: dict[str, Any] = {"type": "NORMAL", "email": "a@example.com", "range": "TODAY", "name": "calls"}
    with cdrctl.open_profile("sandbox", provider="portsip") as profile:
        made = [one for batch in profile.records("reports create", **asked) for one in batch.to_pylist()]
        assert sum(len(batch) for batch in profile.records("cdrs", SINCE, UNTIL))
        listed = [one for batch in profile.records("reports list") for one in batch.to_pylist()]
        assert [one["id"] for one in made] == [one["id"] for one in listed]
