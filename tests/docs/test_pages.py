"""The pages as a site: generated parts are up to date, links work, and no page loads remote content."""

from __future__ import annotations

import html
import os
import re
import shutil
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from cdrctl import PROVIDERS, __version__, errors
from cdrctl.cli.app import TOP
from cdrctl.cli.commands import walk
from cdrctl.fetchers import load
from tests.docs.blocks import ROOT, pages
from tools import pictures
from tools.docs import bad_answers, errors as pages_errors, markdown, parts, providers, reference

DOCS = ROOT / "docs"


@pytest.mark.thin
@pytest.mark.parametrize("path", parts.pages(), ids=lambda path: path.stem)
def test_the_generated_parts_of_a_page_are_up_to_date(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == parts.renew(text), "run: python -m tools.docs"


def test_every_provider_has_a_page_with_every_section() -> None:
    assert [path.stem for path in parts.pages() if path.parent != DOCS] == sorted(PROVIDERS)
    for name in PROVIDERS:
        text = (DOCS / "providers" / f"{name}.md").read_text(encoding="utf-8")
        assert {(what, whose) for _, what, whose, _ in parts.MARK.findall(text)} == {
            (what, name) for what in parts.PARTS
        }
        assert all(f"*{mark}*" in text for mark in ("documented", "seen", "inferred"))


@pytest.mark.slow
def test_the_field_map_has_every_column() -> None:
    for name in PROVIDERS:
        told = providers.columns(load(name))
        for call in load(name).calls:
            assert all(f"| `{column.name}` |" in told for column in call.columns)


@pytest.mark.slow
def test_the_field_map_has_the_sources_of_a_column() -> None:
    found = providers.sources("webex", load("webex").calls)
    assert found["record_id"] == ["report_id"]
    assert set(found["queue"]) == {"user_type", "user"}
    assert found["recording_url"] == []
    assert set(providers.sources("portsip", load("portsip").calls[:1])["total_seconds"]) == {"started_at", "ended_at"}


def test_the_table_of_errors_has_the_messages_of_the_program() -> None:
    webex = pages_errors.errors_table(load("webex"))
    assert "the token may not read call history | 4 |" in webex
    assert "Webex failed (HTTP 503)" in webex
    with pytest.raises(ValueError, match="does not mind"):
        pages_errors.error_of(load("voicenter"), bad_answers.Case("", 200, {"ERROR_NUMBER": 0, "CDR_LIST": []}))


@pytest.mark.slow
def test_the_reference_has_every_command_and_every_exit_code() -> None:
    there = reference.pages()
    for words, _ in walk(TOP, (TOP.name,)):
        name, top = " ".join(words), "-".join(words[:2])
        assert re.search(rf"^#+ {name}$", there[top], re.MULTILINE), name
        assert top in there["index"]
    assert "| `--longest-call DURATION` |" in there["cdrctl-webex"]
    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.CdrctlError)]
    assert all(f"| {kind.exit_code} |" in there["exit-codes"] for kind in kinds)


def test_links_work_on_a_code_host_too() -> None:
    for path in pages():
        text = path.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", text):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


@pytest.mark.process
@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_loads_nothing_remote(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-d", str(tmp_path / "trees")]
    ran = subprocess.run(
        [*words, str(DOCS), str(tmp_path / "html")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "no_proxy": "", "https_proxy": "http://127.0.0.1:1"},
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    built = {path.relative_to(tmp_path / "html").with_suffix(".md") for path in (tmp_path / "html").rglob("*.html")}
    assert {path.relative_to(DOCS) for path in pages() if DOCS in path.parents} <= built
    loaded = re.compile(r"<(?:link|script|img|iframe)\b[^>]*\b(?:href|src)=\"(?:https?:)?//[^\"]*\"")
    fonts = re.compile(r"@import|url\([\"']?(?:https?:)?//")
    for path in (tmp_path / "html").rglob("*"):
        if path.suffix in {".html", ".css", ".svg"}:
            text = path.read_text(encoding="utf-8")
            assert not loaded.search(text), path
            assert not fonts.search(text), path


@pytest.mark.parametrize("picture", pictures.PICTURES, ids=lambda picture: picture.name)
def test_a_picture_exists_and_loads_nothing_remote(picture: pictures.Picture) -> None:
    svg = (DOCS / "pictures" / f"{picture.name}.svg").read_text(encoding="utf-8")
    typed = [command.split(" -")[0].replace(" ", "\N{NO-BREAK SPACE}") for command in picture.commands]
    assert all(words in html.unescape(svg) for words in typed)
    assert set(re.findall(r"https?://[^\s\"']*", svg)) == {"http://www.w3.org/2000/svg"}
    assert socket.gethostname() not in svg or len(socket.gethostname()) < 4


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux here")
def test_a_picture_shows_a_real_run(tmp_path: Path) -> None:
    picture = pictures.Picture("try", "a try", ("cdrctl --version", "cdrctl webex cdrs -p sandbox --limit 2"), (80, 20))
    place = tmp_path / f"cdrctl-test-{os.getpid()}"
    place.mkdir()
    screen = pictures.shown(picture, place)
    assert f"cdrctl {__version__}" in screen
    assert "2 records" in screen
    svg = pictures.drawn(picture, screen)
    assert "a&#160;try" in svg or "a try" in svg
    assert "font-face" not in svg
    wrong = pictures.Picture("wrong", "no such call", ("cdrctl webex nonsense",), (80, 20))
    other = tmp_path / f"cdrctl-test-wrong-{os.getpid()}"
    other.mkdir()
    with pytest.raises(ValueError, match="ended with 2"):
        pictures.shown(wrong, other)


def test_a_colour_lasts_until_it_ends_and_the_last_prompt_is_left_out() -> None:
    picture = pictures.Picture("lines", "two lines", (), (20, 5))
    svg = pictures.drawn(picture, "\x1b[1mfirst\nsecond\x1b[0m\nthird\n\x1b[0m$ \n\n")
    drawn = re.findall(r'<text class="([^"]*)"[^>]*>(first|second|third|\$)', svg)
    (first, _), (second, _), (third, _) = drawn
    assert first == second != third
    assert [text for _, text in drawn] == ["first", "second", "third"]


def test_text_of_the_program_is_not_markup() -> None:
    assert markdown.plain("a <b> `<c>` [d]*") == r"a \<b\> `<c>` \[d\]\*"
    assert markdown.cell("a\n| b") == "a \\| b"
    assert markdown.length(timedelta(hours=24)) == "24 hours"
    assert markdown.length(timedelta(minutes=90)) == "90 minutes"
    assert markdown.length(timedelta(days=1827)) == "5 years"
