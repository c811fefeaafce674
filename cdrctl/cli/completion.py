"""What a shell asks while somebody types, answered from a file: neither typer nor a provider is loaded for it.

`completion.json` is made of the commands themselves, and a test holds it against them. What is not plain is left to
typer, by giving no answer: another shell, quotes, `--option=value`, several flags in one word, words that are wrong.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

FILE = os.path.join(os.path.dirname(__file__), "completion.json")  # noqa: PTH118, PTH120 - pathlib takes a third of it
VARIABLE = "_CDRCTL_COMPLETE"
_NOT_PLAIN = frozenset("'\"\\=")
_NO_DETECTION = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"
"""With it typer's own two options take a value."""

Item = tuple[str, str]
"""A word, and what is said of it."""


def answer(environ: Mapping[str, str]) -> tuple[str, int] | None:
    """Return what is printed for the shell, and the exit code; None where typer is to answer."""
    shell = environ[VARIABLE].removeprefix("complete_")
    words = environ.get("COMP_WORDS" if shell == "bash" else "_TYPER_COMPLETE_ARGS", "")
    if shell not in _ANSWERS or not words.isascii() or _NOT_PLAIN & set(words) or _NO_DETECTION in environ:
        return None
    typed = words.split()
    at = environ.get("COMP_CWORD", "") if shell == "bash" else str(len(typed) - (not words[-1:].isspace()))
    if not typed or not at.isdigit() or not int(at):
        return None
    items = _items(typed[1 : int(at)], "".join(typed[int(at) : int(at) + 1]))
    return None if items is None else _ANSWERS[shell](items, environ)


def _items(given: Iterable[str], begun: str) -> list[Item] | None:
    """Return the words that may stand where one is begun, after those that were given."""
    with open(FILE, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is not loaded here
        known = json.load(file)
    place, used, value_due = known["top"], set(), False
    for word in given:
        if value_due:
            value_due = False
        elif word.startswith("-"):
            at = next((one for one in place["options"] if word in known["options"][one]["names"]), None)
            if at is None or known["options"][at]["acts"]:
                return None
            used.add(at)
            value_due = known["options"][at]["takes_value"]
        elif place["commands"]:
            if word not in place["commands"]:
                return None
            place, used = place["commands"][word], set()
    if value_due:
        return None if begun.startswith("-") else []
    if begun.startswith("-"):
        left = [known["options"][at] for at in place["options"] if at not in used or known["options"][at]["repeats"]]
        return [(name, one["about"]) for one in left for name in one["names"] if name.startswith(begun)]
    return [(name, one["about"]) for name, one in place["commands"].items() if name.startswith(begun)]


def _bash(items: list[Item], _environ: Mapping[str, str]) -> tuple[str, int]:
    return "\n".join(name for name, _ in items) + "\n", 0


_ZSH = str.maketrans({'"': '""', "'": "''", "$": "\\$", "`": "\\`", ":": "\\\\:"})


def _zsh(items: list[Item], _environ: Mapping[str, str]) -> tuple[str, int]:
    said = "\n".join(f'"{name.translate(_ZSH)}":"{about.translate(_ZSH)}"' for name, about in items)
    return (f"_arguments '*: :(({said}))'\n" if items else "_files\n"), 0


def _fish(items: list[Item], environ: Mapping[str, str]) -> tuple[str, int]:
    action = environ.get("_TYPER_COMPLETE_FISH_ACTION", "")
    if action == "is-args":  # asks by the exit code whether there is anything
        return "", 0 if items else 1
    return ("\n".join(f"{name}\t{about}" for name, about in items) if action == "get-args" else "") + "\n", 0


_ANSWERS: dict[str, Any] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
