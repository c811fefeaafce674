"""Completion of a command line: from its words to what may follow them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cdrctl.cli.completion.files import FILE, read_json
from cdrctl.cli.completion.values import values_for
from cdrctl.cli.completion.words import Answer, Item, Line

LINE = "_CDRCTL_LINE"
"""The variable with the text before the cursor: a line for bash, words for other shells."""


def complete_line(words: Sequence[str], environ: Mapping[str, str]) -> Answer:
    """Return the completions of the last word; the first word is the program's name."""
    known = read_json(FILE)
    line, begun = _walk(known, words[1:-1]), words[-1]
    if line is None:
        return Answer()
    if line.due is not None:
        return values_for(known, line, line.due["value"], begun, "", environ)
    if begun.startswith("-") and not line.ended:
        one, name = _find_value(known, line.place, begun)
        if one is not None:
            return values_for(known, line, one["value"], begun[len(name) :], name, environ)
        return Answer(_options(known, line.place, line.used))
    if line.place["commands"]:
        return Answer([(name, one["about"]) for name, one in line.place["commands"].items()])
    kinds = line.place["arguments"]
    at = min(len(line.given), len(kinds) - 1) if line.place["goes_on"] else len(line.given)
    if at < len(kinds):
        return values_for(known, line, kinds[at], begun, "", environ)
    return Answer(() if begun or line.ended else _options(known, line.place, line.used))


def _walk(known: Any, words: Iterable[str]) -> Line | None:
    """Return the state of the line after these words; None if one of them is an unknown command."""
    line = Line(known["top"])
    for word in words:
        if line.due is not None:
            line.values.setdefault(line.due["names"][-1], []).append(word)
            line.due = None
        elif word == "--" and not line.ended:
            line.ended = True
        elif word.startswith("-") and word != "-" and not line.ended:
            _add_options(known, line, word)
        elif line.place["commands"]:
            if word not in line.place["commands"]:
                return None
            line.place = line.place["commands"][word]
            line.path.append(word)
            line.used = set()
        else:
            line.given.append(word)
    return line


def _add_options(known: Any, line: Line, word: str) -> None:
    """Add the options of a word, which may be several, as in `-qfcsv`."""
    name, equals, value = word.partition("=")
    if word.startswith("--"):
        at = _find_option(known, line.place, name)
        if at is not None:
            _add_option(known, line, at, value if equals else None)
        return
    for place in range(1, len(word)):
        at = _find_option(known, line.place, f"-{word[place]}")
        if at is None:
            return
        _add_option(known, line, at, word[place + 1 :] or None)
        if known["options"][at]["takes_value"]:
            return


def _add_option(known: Any, line: Line, at: int, value: str | None) -> None:
    one = known["options"][at]
    line.used.add(at)
    if one["takes_value"] and value is None:
        line.due = one
    elif one["takes_value"]:
        line.values.setdefault(one["names"][-1], []).append(value or "")


def _find_option(known: Any, place: Any, name: str) -> int | None:
    return next((one for one in place["options"] if name in known["options"][one]["names"]), None)


def _find_value(known: Any, place: Any, begun: str) -> tuple[Any, str]:
    """Return the option whose value is in the same word, and the text before the value; None if it has no value yet."""
    name, equals, _ = begun.partition("=")
    if begun.startswith("--"):
        at = _find_option(known, place, name) if equals else None
        one = None if at is None else known["options"][at]
        return (one, f"{name}=") if one and one["takes_value"] else (None, "")
    for end in range(2, len(begun)):
        at = _find_option(known, place, f"-{begun[end - 1]}")
        if at is None:
            break
        if known["options"][at]["takes_value"]:
            return known["options"][at], begun[:end]
    return None, ""


def _options(known: Any, place: Any, used: set[int]) -> list[Item]:
    numbers = [at for at in place["options"] if at not in used or known["options"][at]["repeats"]]
    return [(name, known["options"][at]["about"]) for at in numbers for name in known["options"][at]["names"]]


# For the scripts that Typer installed


def fast_items(given: Iterable[str], begun: str) -> list[Item] | None:
    """Return the names of commands or options that may complete a word; None if Typer has to answer."""
    known = read_json(FILE)
    place, used, value_due = known["top"], set(), False
    for word in given:
        if value_due:
            value_due = False
        elif word.startswith("-"):
            at = _find_option(known, place, word)
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
        return [one for one in _options(known, place, used) if one[0].startswith(begun)]
    return [(name, one["about"]) for name, one in place["commands"].items() if name.startswith(begun)]
