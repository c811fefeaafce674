"""The manual: made of the same values as the help, free of formatting warnings, and installed by the wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from cdrctl import PROVIDERS
from cdrctl.cli.app import COMMANDS
from cdrctl.cli.topics import EXIT_CODES, TOPICS
from tests.support.products import for_each
from tools.manual import FOLDER, LONGEST_LINE, _inner, _plain, _text, pages

ROOT = Path(__file__).parents[2]
PAGES = pages()
SHARED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]


def formatted(name: str) -> str:
    """Return a page as `man` shows it at a width of 80."""
    if shutil.which("groff") is None:
        pytest.skip("needs groff")
    ran = subprocess.run(
        ["groff", "-ww", "-man", "-Tutf8", "-rLL=80n", FOLDER / name],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    return re.sub(r"\x1b\[[0-9;]*m|.\x08", "", ran.stdout)


def test_the_pages_are_up_to_date() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert there == PAGES, "run: python -m tools.manual"


def test_there_is_a_page_for_the_program_and_for_each_of_its_commands() -> None:
    assert set(PAGES) == {"cdrctl.1", *(f"cdrctl-{name}.1" for name in (*PROVIDERS, *COMMANDS))}


@for_each("name", PAGES)
def test_a_page_is_plain_ascii_in_short_lines(name: str) -> None:
    lines = PAGES[name].splitlines()
    assert PAGES[name].isascii()
    assert [line for line in lines if len(line) > LONGEST_LINE + len(r"\&") and not line.startswith("  ")] == []
    known = {".TH", ".SH", ".SS", ".PP", ".TP", ".EX", ".EE", ".br", ".nh", ".ad", ".BR"}
    assert {line.split(" ")[0] for line in lines if line.startswith((".", "'"))} <= known


@pytest.mark.process
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_formatted_without_a_warning_and_fits_eighty_columns(name: str) -> None:
    shown = formatted(name)
    assert max(map(len, shown.splitlines())) <= 80
    titles = re.findall(r"^([A-Z][A-Z ]+)$", shown, re.MULTILINE)
    assert titles[:4] == ["NAME", "SYNOPSIS", "EXAMPLES", "DESCRIPTION"]
    assert titles[-1] == "SEE ALSO"
    assert {"OPTIONS", "EXIT STATUS"} <= set(titles)


@pytest.mark.process
@pytest.mark.parametrize("name", PAGES)
def test_mandoc_accepts_every_page(name: str) -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("needs mandoc")
    assert subprocess.run(["mandoc", "-T", "lint", FOLDER / name], capture_output=True, check=False).stdout == b""


@pytest.mark.process
def test_the_programs_page_explains_every_topic_and_exit_code() -> None:
    shown = formatted("cdrctl.1")
    for name in TOPICS:
        assert f"\n{'EXIT STATUS' if name == 'exit-codes' else name.upper()}\n" in shown
    for code, said in EXIT_CODES:
        assert re.search(rf"^ +{code} +{re.escape(said.split()[0])}", shown, re.MULTILINE)


@pytest.mark.process
def test_an_option_that_some_commands_lack_names_them() -> None:
    shown = " ".join(formatted("cdrctl-kazoo.1").split())
    assert "--until TIME Calls that started before this time. Default: now. Not of: legs, cdr." in shown


@for_each(
    "written, roff",
    [
        (".gz compresses", r"\&.gz compresses"),
        ("'x'", r"\&\(aqx\(aq"),
        ("a\\b", r"a\eb"),
        ("--since", r"\-\-since"),
        ("+49…", r"+49\[u2026]"),
    ],
)
def test_special_characters_of_roff_are_escaped(written: str, roff: str) -> None:
    assert _plain(written) == roff
    assert list(_text(written)) == [roff]


def test_text_in_backticks_is_bold() -> None:
    assert list(_text("Write `-o -` so.")) == [r"Write \fB\-o \-\fR so."]
    assert _inner("a`b") == r"a\(gab"


def test_pages_and_completions_are_installed_in_the_usual_places() -> None:
    shared = SHARED["wheel"]["shared-data"]
    assert shared == {
        "docs/man": "share/man/man1",
        "completions/cdrctl.bash": "share/bash-completion/completions/cdrctl",
        "completions/cdrctl.fish": "share/fish/vendor_completions.d/cdrctl.fish",
        "completions/cdrctl.zsh": "share/zsh/site-functions/_cdrctl",
    }
    assert all((ROOT / source).exists() for source in shared)
    assert {Path(source).parts[0] for source in shared} <= set(SHARED["sdist"]["include"])


@pytest.mark.process
@pytest.mark.skipif(find_spec("hatchling") is None, reason="needs hatchling")
def test_the_wheel_has_them(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    names = {name.partition(".data/data/")[2] for name in zipfile.ZipFile(wheel).namelist()}
    assert {f"share/man/man1/{name}" for name in PAGES} <= names
    assert {
        "share/bash-completion/completions/cdrctl",
        "share/fish/vendor_completions.d/cdrctl.fish",
        "share/zsh/site-functions/_cdrctl",
    } <= names
