"""Each picture on a page shows the commands of the block of commands before it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import FENCE, ROOT, pages
from tests.support.products import for_each
from tools import report_picture
from tools.pictures import FOLDER, PICTURES, Picture

IMAGE = re.compile(r"^!\[[^\]]*\]\((?P<path>[^)]*pictures/[^)]*\.svg)\)$", re.MULTILINE)

PHOTO = re.compile(IMAGE.pattern.replace("svg", "png"), re.MULTILINE)


def screen(svg: str) -> list[str]:
    """Return the lines of the terminal in a picture, without the title of the window."""
    lines: dict[str, str] = {}
    for clip, text in re.findall(r"<text [^>]*clip-path=\"url\(#([^)]*)\)\"[^>]*>(.*?)</text>", svg):
        shown = html.unescape(re.sub("<[^>]*>", "", text)).replace("\xa0", " ")
        lines[clip] = lines.get(clip, "") + shown
    return list(lines.values())


def in_picture(path: Path) -> list[str]:
    return [line.removeprefix("$ ") for line in screen(path.read_text(encoding="utf-8")) if line.startswith("$ ")]


def in_block(kind: str, text: str) -> list[str]:
    """Return the commands of a block: lines after `$ ` in a console, else all lines, without comments."""
    lines = [line for line in text.splitlines() if kind != "console" or line.startswith("$ ")]
    return [re.sub(r" +# .*", "", line.removeprefix("$ ")) for line in lines if not line.startswith("#")]


def test_the_picture_of_a_report_is_made_with_the_command_above_it_and_is_small() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (image,) = PHOTO.finditer(text)
    before = [block for block in FENCE.finditer(text, 0, image.start()) if block["kind"] == "sh"]
    assert in_block("sh", before[-1]["text"]) == [report_picture.COMMAND]
    assert ROOT / image["path"] == report_picture.PICTURE
    assert report_picture.PICTURE.stat().st_size < 150_000


def shown() -> Iterator[tuple[str, Path, list[str]]]:
    """Yield each picture on a page: its place, its file, and the commands of the block before it."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for image in IMAGE.finditer(text):
            before = [block for block in FENCE.finditer(text, 0, image.start()) if block["kind"] in {"sh", "console"}]
            commands = in_block(before[-1]["kind"], before[-1]["text"]) if before else []
            yield f"{page.name}:{image['path']}", (page.parent / image["path"]).resolve(), commands


SHOWN = list(shown())


@for_each("path, commands", [one[1:] for one in SHOWN], ids=[one[0] for one in SHOWN])
def test_a_picture_shows_the_commands_above_it(path: Path, commands: list[str]) -> None:
    assert in_picture(path) == commands != []


def test_every_picture_is_on_a_page() -> None:
    assert {path for _, path, _ in SHOWN} == {path.resolve() for path in FOLDER.glob("*.svg")}


def test_every_image_is_on_a_line_of_its_own() -> None:
    """Other images would not be compared."""
    pictures = [page.read_text(encoding="utf-8") for page in pages()]
    photos = sum(len(PHOTO.findall(text)) for text in pictures)
    assert sum(text.count("pictures/") for text in pictures) == len(SHOWN) + photos


@pytest.mark.parametrize("picture", PICTURES, ids=lambda one: one.name)
def test_a_picture_is_made_with_the_commands_it_shows(picture: Picture) -> None:
    assert in_picture(FOLDER / f"{picture.name}.svg") == list(picture.commands)
