"""Typed words and answers, as values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Item = tuple[str, str]
"""A word and its description."""


class Typed(NamedTuple):
    """The line before the cursor.

    Args:
        words: Its words, the command first; the last one is incomplete and may be empty.
        quote: The quote that the last word is in, or nothing.
        redirected: The last word is a file that the shell opens, as in `> file`.
        broken: The line ends in a backslash, so nothing can be completed.
    """

    words: Sequence[str]
    quote: str = ""
    redirected: bool = False
    broken: bool = False


class Answer(NamedTuple):
    """The completions of a word.

    Args:
        items: The possible words.
        kept: The beginning of the typed word that stays before each of them.
        goes_on: More may follow each of them, so the shell adds no space.
        files: `files` or `folders`: the shell completes these itself.
    """

    items: Sequence[Item] = ()
    kept: str = ""
    goes_on: bool = False
    files: str = ""


class Line:
    """The state of a line: its command and what has been given.

    Attributes:
        place: The command, from `completion.json`.
        path: The words of the command.
        used: The options given so far, as indexes into the list of options.
        values: The values of options by long name, also of those before the command.
        given: The arguments given so far.
        due: The option whose value comes next.
        ended: `--` was given, so no options follow.
    """

    def __init__(self, place: Any) -> None:
        self.place = place
        self.path: list[str] = []
        self.used: set[int] = set()
        self.values: dict[str, list[str]] = {}
        self.given: list[str] = []
        self.due: Any = None
        self.ended = False
