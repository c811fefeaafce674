"""Hostile profile names, and hostile values in the configuration file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.attacks_kit import files, odd, quiet
from tests.contract.conftest import _one_authority  # noqa: F401 - here as there
from tests.support.runner import Ran, run

NAMES = [
    *("../../x", "/etc/passwd", "a/b", ".", "..", "", " ", "a\nb", "\x1b[2Jx", "x\u202ey", "a\\b", "C:x", "x" * 65),
    *("a\x00b", "-x", "~", "acme ", "\ud800", "a\tb"),
]  # fmt: skip
GOOD = '[profiles.acme]\nprovider = "voicenter"\nbase_url = "http://127.0.0.1:1/"\ncode = "t0ken-nobody-may-see"\n'
USES = {
    "show": ("profile", "show", "--", "NAME"),
    "remove": ("profile", "remove", "--", "NAME"),
    "check": ("profile", "check", "--", "NAME"),
    "add": ("profile", "add", "--provider", "voicenter", "--set", "code_command=true", "--", "NAME"),
    "cdrs": ("voicenter", "cdrs", "--profile=NAME"),
    "export": ("export", "--profile=NAME"),
    "export beside": ("export", "-p", "acme", "--profile=NAME"),
    "sync": ("sync", "--into", "archive", "--", "NAME"),
    "fill": ("fill", "--into", "archive", "--", "NAME"),
    "coverage": ("coverage", "--into", "archive", "--", "NAME"),
    "plan": ("plan", "--into", "archive", "--", "NAME"),
}


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory deep in the tree, with a configuration in it."""
    home = tmp_path / "a" / "b" / "home"
    (home / "tokens").mkdir(parents=True)
    for decoy in (tmp_path / "a" / "x.json", home / "x.json", home / "tokens" / "acme.json"):
        decoy.write_text("{}", encoding="utf-8")
    monkeypatch.chdir(home)
    configure(home, GOOD)
    return home


def configure(home: Path, text: str) -> None:
    config = home / "config.toml"
    config.write_text(text, encoding="utf-8")
    config.chmod(0o600)


def said_by(*words: str, home: Path, **more: Any) -> Ran:
    """Check that a command's output contains no control characters, and return it."""
    return quiet(run(*words, "--config", home / "config.toml", **more))


def using(use: str, name: str) -> list[str]:
    """Return a command about a profile."""
    return [word.replace("NAME", name) for word in USES[use]]


@pytest.mark.thin
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_an_invalid_name_is_refused_and_nothing_is_written(use: str, name: str, home: Path, tmp_path: Path) -> None:
    before = files(tmp_path)
    words = using(use, name)
    ran = run("--config", home / "config.toml", *words)
    quiet(Ran(ran.code, b"", ran.err))
    assert ran.code in {2, 6}, ran.err
    assert ran.out == ""
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "a\nb", "\x1b[2J", "..", " "])
def test_a_name_from_the_environment_is_not_a_path(name: str, home: Path, tmp_path: Path) -> None:
    before = files(tmp_path)
    for words in (("voicenter", "cdrs"), ("profile", "check"), ("profile", "check", "--provider", "voicenter")):
        ran = said_by(*words, home=home, environ={"CDRCTL_PROFILE": name})
        assert ran.code == 6, ran.err
    assert files(tmp_path) == before


def test_an_empty_name_in_the_environment_is_ignored(home: Path) -> None:
    ran = said_by("profile", "show", "acme", home=home, environ={"CDRCTL_PROFILE": ""})
    assert ran.code == 0
    assert "t0ken" not in ran.out


ODD = [name for name in NAMES if "\ud800" not in name]


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_an_invalid_name_in_the_file_is_reported_and_not_a_path(name: str, home: Path, tmp_path: Path) -> None:
    key = json.dumps(name).replace("\\u007f", "\u007f")
    configure(home, GOOD.replace("acme", key))
    before = files(tmp_path)
    for use in ("show", "check", "cdrs", "export", "sync", "fill", "plan"):
        ran = run("--config", home / "config.toml", *using(use, name))
        quiet(Ran(ran.code, b"", ran.err))
        assert ran.code in {2, 6}, (use, ran.err)
        assert "t0ken" not in ran.out + ran.err
    assert files(tmp_path) == before
    listed = said_by("profile", "list", home=home)
    assert listed.code == 0
    assert odd(listed.out, but="\n\t") == set()
    assert [line.count("\t") for line in listed.out.splitlines()] == [3, 3]
    assert "cannot be used" in listed.err
    everyone = said_by("export", "--all", "-f", "csv", home=home)
    assert everyone.code in {3, 6}
    assert files(tmp_path) == before
    ran = run("--config", home / "config.toml", *using("remove", name))
    if not name:  # an empty value is refused everywhere; an editor removes such a profile
        assert ran.code == 2
        return
    assert ran.code == 0, ran.err
    assert files(tmp_path).keys() - {"a/b/home/.config.toml.lock"} == before.keys()
    assert files(tmp_path)["a/b/home/config.toml"] == b""


@pytest.mark.parametrize("name", ["../../x", "\x1b[2Jx", "a/b"])
def test_an_archive_has_no_folder_with_an_invalid_name(name: str, home: Path, tmp_path: Path) -> None:
    configure(home, GOOD.replace("acme", json.dumps(name)))
    before = files(tmp_path)
    ran = said_by("sync", "--all", "--into", "archive", home=home)
    assert ran.code in {3, 6}, ran.err
    assert {
        path for path in files(tmp_path).keys() - before.keys() if not path.startswith("a/b/home/archive/")
    } == set()
    assert [one.name for one in (home / "archive").rglob("*") if one.is_dir()] == ["_cdrctl"]


@pytest.mark.parametrize("key", ["\x1b[2J", "a\nb", "\u202e"])
def test_an_unknown_setting_with_a_hostile_name_is_shown_without_control_characters(key: str, home: Path) -> None:
    configure(home, f'{GOOD}{json.dumps(key)} = "t0ken-nobody-may-see"\n')
    ran = said_by("profile", "show", "acme", home=home)
    assert odd(ran.out) == set()
    assert ran.out.count("\n") == 4
    assert "t0ken" not in ran.out
    assert said_by("profile", "check", "acme", home=home).code == 6


@pytest.mark.parametrize("value", ["\x1b[2J", "https://\x1b[2J.example/v1", "a\nb", "\u202e"])
def test_a_value_in_the_file_controls_no_terminal(value: str, home: Path) -> None:
    configure(home, GOOD.replace('"http://127.0.0.1:1/"', json.dumps(value)))
    assert said_by("profile", "check", "acme", home=home).code in {4, 5, 6, 7}
    shown = said_by("profile", "show", "acme", home=home)
    assert odd(shown.out) == set()
    assert shown.out.count("\n") == 3


@pytest.mark.slow
def test_a_foreign_folder_in_an_archive_is_reported_in_one_line(home: Path) -> None:
    archive = home / "archive"
    assert said_by("sync", "sandbox", "--into", "archive", "--since", "2026-11-20", home=home).code == 0
    stray = archive / "profile=evil\x1b[2J\n\u202e" / "call=cdrs" / "date=2026-11-20" / "cdrs.parquet"
    stray.parent.mkdir(parents=True)
    stray.write_text("{}\n", encoding="utf-8")
    for more in ((), ("--rebuild",)):
        ran = said_by("verify", "--into", "archive", *more, home=home)
        assert ran.code == 3
        assert ran.out.count("\n") == 1
        assert odd(ran.out, but="\n\t") == set()
