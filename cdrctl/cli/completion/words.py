"""What was typed, and what is answered, as values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Item = tuple[str, str]
"""A word, and what is said of it."""


class Typed(NamedTuple):
    """What stands on the line before the cursor.

    Args:
        words: The words, the command first and the one that is begun last.
        quote: The quote that the last one is in, or nothing.
        redirected: The last one names a file that the shell opens.
        broken: It ends in the middle of something: nothing can follow.
    """

    words: Sequence[str]
    quote: str = ""
    redirected: bool = False
    broken: bool = False


class Answer(NamedTuple):
    """What may stand there.

    Args:
        items: The words.
        kept: What of the word that is begun stays before each of them.
        goes_on: Each may go on after it: no blank follows.
        files: Not these words but `files` or `folders`, which a shell completes best.
    """

    items: Sequence[Item] = ()
    kept: str = ""
    goes_on: bool = False
    files: str = ""


class Line:
    """A line as far as it goes: which command, and what it was given.

    Attributes:
        place: The command as the file has it.
        path: Its name, word by word.
        used: Options that it was given, by their place in the list of all.
        values: The values of options, by the option's longest name, those before the command's name as well.
        given: Its arguments.
        due: The option whose value comes next.
        ended: `--` was given: what comes is no option.
    """

    def __init__(self, place: Any) -> None:
        self.place = place
        self.path: list[str] = []
        self.used: set[int] = set()
        self.values: dict[str, list[str]] = {}
        self.given: list[str] = []
        self.due: Any = None
        self.ended = False
