"""The recorded walkthrough of a new user: the page consists of these steps, and they still work as recorded."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
from pathlib import Path

import pytest

from cdrctl.masking import MASK
from tests.support.products import for_each
from tests.support.program import installed
from tools import walk, walk_steps
from tools.pictures import FOLDER

PAGE = walk.PAGE.read_text(encoding="utf-8")
NO_TOOLS = [tool for tool in ("tmux", "bash", "sqlite3") if shutil.which(tool) is None]


def test_the_page_has_these_steps_in_this_order() -> None:
    titles = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert titles == [f"{at}. {step.title}" for at, step in enumerate(walk_steps.STEPS, 1)]
    parts = re.split(r"^## .*$", PAGE, flags=re.MULTILINE)[1:]
    for step, part in zip(walk_steps.STEPS, parts, strict=True):
        typed = [line.removeprefix("$ ") for line in part.splitlines() if line.startswith("$ ")]
        assert list(dict.fromkeys(typed)) == list(dict.fromkeys(line.typed for line in step.lines)), step.title
        assert " ".join(step.wants.split()) in " ".join(part.split())


def test_the_recorded_walk_succeeded() -> None:
    assert walk.recorded(PAGE) == [[line.code for line in step.lines if not line.tab] for step in walk_steps.STEPS]
    night = [line.code for step in walk_steps.STEPS for line in step.lines if line.typed == walk_steps.NIGHT]
    assert night == [0, 5, 0], "a good night, a bad one, and the one that mends it"


def test_the_crontab_line_is_the_one_that_was_run() -> None:
    (line,) = re.findall(r"^0 3 \* \* \* (.*)$", PAGE, re.MULTILINE)
    assert f"/bin/sh -c '{line}'" in walk_steps.NIGHT


@for_each("name", [step.picture for step in walk_steps.STEPS if step.picture])
def test_the_pictures_are_small_and_load_nothing_remote(name: str) -> None:
    svg = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert len(svg) < 60_000
    assert set(re.findall(r"https?://[^\s\"']*w3[^\s\"']*", svg)) == {"http://www.w3.org/2000/svg"}
    assert "@font-face" not in svg
    assert socket.gethostname() not in svg or len(socket.gethostname()) < 4


def test_no_secret_and_no_other_home_was_recorded() -> None:
    pictures = [
        (FOLDER / f"{step.picture}.svg").read_text(encoding="utf-8") for step in walk_steps.STEPS if step.picture
    ]
    for text in (PAGE, *pictures):
        assert walk_steps.KEY not in text
        assert walk_steps.WRONG_KEY not in text
        assert not re.search(r"/(?:root|tmp/(?!dana\b))", text)
    assert MASK in PAGE


def test_a_home_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter").touch()
    with pytest.raises(FileExistsError):
        next(walk.walked(tmp_path, tmp_path, 0))
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


@pytest.mark.full
@pytest.mark.skipif(bool(NO_TOOLS), reason=f"there is no {' and no '.join(NO_TOOLS)} here")
def test_the_walkthrough_still_ends_as_recorded(tmp_path: Path) -> None:
    home, folder = tmp_path / "dana", tmp_path / f"cdrctl-walk-{os.getpid()}"
    home.mkdir()
    folder.mkdir()
    went = {step.title: seen for step, seen in walk.walked(home, folder, walk.free(), clock=installed())}
    assert [seen.codes for seen in went.values()] == walk.recorded(PAGE)
    told = "".join(seen.text + seen.colored for seen in went.values())
    assert walk_steps.KEY not in told
    assert platform.release() not in told
    assert "does not accept the key of this profile" in went["A profile"].text
    assert "It works: " in went["A profile"].text
    assert "--since" in went["Completion"].text
    assert "cannot be reached" in went["Three in the morning"].text
    assert "0 differences" in went["The next night"].text
    assert went["A month into a file"].passing
