"""The options of calls in archive.toml, and what readings with some options have of what others ask for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cdrctl.archive.details import keep_details
from cdrctl.archive.index import plain_reading, reading_of
from cdrctl.archive.intervals import Reading
from cdrctl.archive.options import call_options_of, calls_of, has_all, selects_alike
from cdrctl.archive.planning import is_outdated
from cdrctl.archive.settings import Settings, read_settings, settings_text
from cdrctl.errors import ConfigurationError, UsageError
from cdrctl.fetchers import Provider, load
from cdrctl.windows import Window
from tests.support.products import for_each

HEAD = 'layout = 2\nzone = "UTC"\nformat = "jsonl"\n'
NOW = datetime(2026, 11, 12, tzinfo=UTC)


def settings(folder: Path, tables: str) -> Settings:
    path = folder / "archive.toml"
    path.write_text(HEAD + tables, encoding="utf-8")
    return read_settings(path)


def read_all(folder: Path, made: Settings, provider: Provider) -> None:
    call_options_of(folder, made, "acme", provider, provider.calls[0])
    calls_of(folder, made, "acme", provider)


def text(folder: Path, tables: str, provider: str = "portsip", call: str = "cdrs") -> str:
    found = load(provider)
    return call_options_of(folder, settings(folder, tables), "acme", found, found.call(call)).text


def test_options_are_read_as_on_the_command_line(tmp_path: Path) -> None:
    """Those of the profile come before those of its provider; only those that decide what comes are in the text."""
    tables = """
[providers.portsip.cdrs]
with-cost = true
page_size = 50
window = "6h"
filter = "a"
[profiles.acme.cdrs]
filter = ["c", "b"]
"""
    portsip = load("portsip")
    found = call_options_of(tmp_path, settings(tmp_path, tables), "acme", portsip, portsip.call("cdrs"))
    assert found.values == {
        "with_cost": True,
        "page_size": 50,
        "window": timedelta(hours=6),
        "filter": ("c", "b"),
        "search": None,
        "orderby": None,
        "own": False,
    }
    assert found.text == '{"filter": ["b", "c"], "with_cost": true}'
    assert found.where == "[providers.portsip.cdrs] and [profiles.acme.cdrs]"


def test_defaults_are_no_options(tmp_path: Path) -> None:
    """So the readings of earlier versions are as those of today."""
    assert text(tmp_path, "[profiles.acme.cdrs]\nwith_cost = false\npage_size = 100") == ""
    assert text(tmp_path, "[profiles.other.cdrs]\nwith_cost = true") == ""


@for_each(
    "provider, tables, words",
    [
        (
            "portsip",
            "[profiles.acme.cdrs]\nwith_costs = true",
            "unknown option 'with_costs' in [profiles.acme.cdrs]|with_cost?",
        ),
        (
            "portsip",
            "[providers.portsip.cdrs]\nwith_cost = 1",
            "with_cost is not true or false: 1|write: with_cost = true",
        ),
        ("portsip", "[profiles.acme.cdrs]\npage_size = '5'", "page_size is not a whole number|page_size = 100"),
        ("portsip", "[profiles.acme.cdrs]\nwindow = 'x'", "window is not a length of time: 'x'|"),
        ("portsip", "[profiles.acme.cdrs]\nfilter = ''", "filter is not text|"),
        ("portsip", "[profiles.acme.cdrs]\nfilter = ['a', 1]", "filter is not text|a list of these"),
        ("portsip", "[profiles.acme.cdr]\nfilter = 'a'", "PortSIP has no call 'cdr'|cdrs"),
        ("portsip", "[profiles.acme]\nsync = ['cdr']", "PortSIP has no call 'cdr'|cdrs"),
        (
            "callgear",
            "[profiles.acme.calls]\nongoing = true",
            "ongoing is not allowed in [profiles.acme.calls]|leave it out",
        ),
    ],
)
def test_a_mistake_names_the_file_the_table_and_the_next_step(
    tmp_path: Path, provider: str, tables: str, words: str
) -> None:
    found, (what, then) = load(provider), words.split("|")
    with pytest.raises(ConfigurationError) as caught:
        read_all(tmp_path, settings(tmp_path, tables), found)
    assert str(tmp_path / "archive.toml") in caught.value.message
    assert what in caught.value.message
    assert then in (caught.value.hint or "")


@for_each(
    "tables",
    [
        "[profile.acme.cdrs]\nfilter = 'a'",
        "[providers.portsipp.cdrs]\nfilter = 'a'",
        "[profiles.acme]\ncdrs = 1",
        "[profiles.acme]\nsync = 'cdrs'",
    ],
)
def test_tables_in_other_places_are_refused(tmp_path: Path, tables: str) -> None:
    with pytest.raises(UsageError):
        settings(tmp_path, tables)


def test_copies_of_an_archive_have_its_options(tmp_path: Path) -> None:
    made = settings(tmp_path, "[profiles.acme.cdrs]\nfilter = ['a']\n[providers.kazoo.cdrs]\ndescendants = true")
    (tmp_path / "archive.toml").write_bytes(settings_text(made))
    assert read_settings(tmp_path / "archive.toml") == made


def test_what_readings_have() -> None:
    call, costs, inward = load("portsip").call("cdrs"), '{"with_cost": true}', '{"filter": ["a"]}'
    assert has_all(call, costs, "")
    assert not has_all(call, "", costs)
    assert not has_all(call, inward, "")
    assert selects_alike(call, costs, "")
    assert not selects_alike(call, inward, '{"filter": ["b"]}')
    assert not selects_alike(call, "damaged", "")
    done = Reading(Window(NOW - timedelta(days=1), NOW), "done", NOW, 1, "", inward, mixed=True)
    assert is_outdated(done, call, costs, NOW)
    assert not is_outdated(done, call, costs, NOW + timedelta(days=9 * 365))  # the PBX no longer has it
    assert reading_of(plain_reading(done)) == done


@for_each(
    "old, new, wanted, kept",
    [
        (
            '{"id":"1","cost":"2","billed_account":"x","duration":3}',
            '{"id":"1","cost":null,"billed_account":null,"duration":3}',
            True,
            True,
        ),
        (
            '{"id":"1","cost":"2","billed_account":"x","duration":3}',
            '{"id":"1","cost":null,"billed_account":null,"duration":3}',
            False,
            True,
        ),
        (
            '{"id":"1","cost":"2","billed_account":"x","duration":3}',
            '{"id":"1","cost":null,"billed_account":null,"duration":4}',
            False,
            True,
        ),
        (
            '{"id":"1","cost":"2","billed_account":"x","duration":3}',
            '{"id":"1","cost":null,"billed_account":null,"duration":4}',
            True,
            False,
        ),
        (
            '{"id":"1","cost":"2","billed_account":"x","duration":3}',
            '{"id":"1","cost":"0","billed_account":null,"duration":3}',
            True,
            False,
        ),
        (
            '{"id":"1","cost":null,"billed_account":null,"duration":3}',
            '{"id":"1","cost":null,"billed_account":null,"duration":4}',
            False,
            False,
        ),
    ],
)
def test_stored_costs_are_kept(old: str, new: str, wanted: bool, kept: bool) -> None:  # noqa: FBT001
    """Only a changed record whose cost was asked for loses that of its earlier version."""
    keep = keep_details(load("portsip").call("cdrs"), b"", wanted=wanted)
    assert keep is not None
    line = keep(old.encode(), new.encode() + b"\n").decode()
    assert (
        line
        == (new.replace('"cost":null,"billed_account":null', '"cost":"2","billed_account":"x"') if kept else new) + "\n"
    )
