"""Tests of `archive.toml`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from cdrctl.archive.settings import SweepPolicy, read_settings, settings_text
from cdrctl.errors import UsageError
from tests.support.products import for_each

HEAD = 'layout = 2\nzone = "UTC"\nformat = "jsonl"\n'


def settings_of(folder: Path, text: str) -> Path:
    path = folder / "archive.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    return path


@for_each(
    "text, said",
    [
        ("[sweeep]\ndays = 7", "sweeep"),
        ("zones = 1", "zones"),
        ("[sweep]\nday = 7", "day"),
        ("[sweep]", "days"),
        ("[sweep]\ndays = '7'", "days"),
        ("[sweep]\ndays = -1", "days"),
        ("[sweep]\ndays = true", "days"),
        ("[sweep]\ndays = 7\nevery = 7", "every"),
        ("[sweep]\ndays = 7\nevery = '0d'", "every"),
        ("[sweep]\ndays = 7\nevery = 'someday'", "every"),
        ("sweep = 7", "sweep"),
        ("profiles = 7", "profiles"),
        ("[profiles]\nacme = 7", "acme"),
        ("[profiles.acme]\nsweeps = 7", "sweeps"),
        ("[profiles.acme.sweep]\nday = 7", "day"),
        ("pseudonymised = 1", "pseudonymised"),
        ("[retain]\ndays = 1\nweeks = 1", "weeks"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_file_and_its_key(tmp_path: Path, text: str, said: str) -> None:
    path = settings_of(tmp_path, text)
    with pytest.raises(UsageError) as refused:
        read_settings(path)
    assert str(path) in refused.value.message
    assert said in refused.value.message
    assert refused.value.hint


def test_a_profile_has_sweeps_of_its_own_or_those_of_the_archive(tmp_path: Path) -> None:
    found = read_settings(
        settings_of(
            tmp_path,
            '[sweep]\ndays = 7\nevery = "Sunday"\n[profiles.b.sweep]\ndays = 30\n[profiles.c.sweep]\ndays = 0\n'
            '[profiles.d.sweep]\nevery = "36h"\n',
        )
    )
    assert found.sweep_of("a") == SweepPolicy(7, None, 6)
    assert found.sweep_of("b") == SweepPolicy(30, None, 6)
    assert found.sweep_of("c") is None
    assert found.sweep_of("d") == SweepPolicy(7, timedelta(hours=36))


def test_settings_are_written_as_they_are_read(tmp_path: Path) -> None:
    found = read_settings(
        settings_of(tmp_path, '[retain]\ndays = 3\n[sweep]\ndays = 7\n[profiles."a.b".sweep]\ndays = 1\nevery = "1d"\n')
    )
    path = tmp_path / "again.toml"
    path.write_bytes(settings_text(found))
    assert read_settings(path) == found
