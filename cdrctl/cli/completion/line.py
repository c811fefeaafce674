"""The words of a command line, and what may follow them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cdrctl.cli.completion.files import FILE, read_json
from cdrctl.cli.completion.values import values_for
from cdrctl.cli.completion.words import Answer, Item, Line

LINE = "_CDRCTL_LINE"
"""What is typed before the cursor: a line of bash, or words."""


# What may stand there


def completed(words: Sequence[str], environ: Mapping[str, str]) -> Answer:
    """Return the completions of the last word; the first word is the program's name."""
    known = read_json(FILE)
    line, begun = _walked(known, words[1:-1]), words[-1]
    if line is None:
        return Answer()
    if line.due is not None:
        return values_for(known, line, line.due["value"], begun, "", environ)
    if begun.startswith("-") and not line.ended:
        one, name = _glued(known, line.place, begun)
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


def _walked(known: Any, words: Iterable[str]) -> Line | None:
    """Return how far words lead; None where one of them is no command."""
    line = Line(known["top"])
    for word in words:
        if line.due is not None:
            line.values.setdefault(line.due["names"][-1], []).append(word)
            line.due = None
        elif word == "--" and not line.ended:
            line.ended = True
        elif word.startswith("-") and word != "-" and not line.ended:
            _option_given(known, line, word)
        elif line.place["commands"]:
            if word not in line.place["commands"]:
                return None
            line.place = line.place["commands"][word]
            line.path.append(word)
            line.used = set()
        else:
            line.given.append(word)
    return line


def _option_given(known: Any, line: Line, word: str) -> None:
    """Note the options of a word, of which there may be several in one, such as `-qfcsv`."""
    name, equals, value = word.partition("=")
    if word.startswith("--"):
        at = _named(known, line.place, name)
        if at is not None:
            _used(known, line, at, value if equals else None)
        return
    for place in range(1, len(word)):
        at = _named(known, line.place, f"-{word[place]}")
        if at is None:
            return
        _used(known, line, at, word[place + 1 :] or None)
        if known["options"][at]["takes_value"]:
            return


def _used(known: Any, line: Line, at: int, value: str | None) -> None:
    one = known["options"][at]
    line.used.add(at)
    if one["takes_value"] and value is None:
        line.due = one
    elif one["takes_value"]:
        line.values.setdefault(one["names"][-1], []).append(value or "")


def _named(known: Any, place: Any, name: str) -> int | None:
    return next((one for one in place["options"] if name in known["options"][one]["names"]), None)


def _glued(known: Any, place: Any, begun: str) -> tuple[Any, str]:
    """Return the option whose value is begun in its own word, and what stands before the value; None for a name."""
    name, equals, _ = begun.partition("=")
    if begun.startswith("--"):
        at = _named(known, place, name) if equals else None
        one = None if at is None else known["options"][at]
        return (one, f"{name}=") if one and one["takes_value"] else (None, "")
    for end in range(2, len(begun)):
        at = _named(known, place, f"-{begun[end - 1]}")
        if at is None:
            break
        if known["options"][at]["takes_value"]:
            return known["options"][at], begun[:end]
    return None, ""


def _options(known: Any, place: Any, used: set[int]) -> list[Item]:
    numbers = [at for at in place["options"] if at not in used or known["options"][at]["repeats"]]
    return [(name, known["options"][at]["about"]) for at in numbers for name in known["options"][at]["names"]]


# For typer's own scripts


def fast_items(given: Iterable[str], begun: str) -> list[Item] | None:
    """Return the names of commands or options that may stand where one is begun, after those that were given."""
    known = read_json(FILE)
    place, used, value_due = known["top"], set(), False
    for word in given:
        if value_due:
            value_due = False
        elif word.startswith("-"):
            at = _named(known, place, word)
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
