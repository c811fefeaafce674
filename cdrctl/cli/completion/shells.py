"""Answers in the format of each shell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cdrctl.cli.completion.line import LINE, complete_line
from cdrctl.cli.completion.words import Answer, Item, Typed

SEPARATOR = "\x1f"
"""Separates the words; nobody types this character."""

_BLANKS = " \t\n"


def _words(environ: Mapping[str, str]) -> list[str]:
    """Return the words from the shell, without variable assignments before the command."""
    words = environ.get(LINE, "").split(SEPARATOR)
    while len(words) > 1 and "=" in words[0]:
        del words[0]
    return words


def _clean(found: Answer) -> list[Item]:
    """Return the items that a terminal can show: no control characters in words, none in descriptions."""
    return [
        (word, "".join(sign if sign.isprintable() else " " for sign in about))
        for word, about in found.items
        if word and word.isprintable() and found.kept.isprintable()
    ]


def _for_bash(environ: Mapping[str, str]) -> str:
    """Return a line with the kind of answer, and then a line with the rest of each word.

    Bash inserts text unchanged, and starts a new word at every `=` and `:`. So it gets only the part of each word that
    is not typed yet, quoted for its place on the line. The `+` before it keeps lines from being empty, which bash would
    drop.
    """
    typed = bash_line(environ.get(LINE, ""))
    if typed.redirected:
        return "files\n"
    if typed.broken or len(typed.words) < 2:
        return "words\n"
    found = complete_line(typed.words, environ)
    begun = typed.words[-1].removeprefix(found.kept)
    rests = [word[len(begun) :] for word, _ in _clean(found) if word.startswith(begun)]
    kind = found.files or ("goes_on" if found.goes_on else "words")
    return "\n".join([kind, *(f"+{_quote(rest, typed.quote)}" for rest in rests), ""])


def _for_zsh(environ: Mapping[str, str]) -> str:
    """Return a line with the kind of answer and the length of the kept text; then word, shown word and description."""
    found = complete_line(_words(environ), environ)
    kind = found.files or ("goes_on" if found.goes_on else "words")
    lines = [f"{found.kept}{word}\t{word}\t{about}" for word, about in _clean(found)]
    return "\n".join([f"{kind} {len(found.kept)}", *lines, ""])


def _for_fish(environ: Mapping[str, str]) -> str:
    """Return the same as for zsh, without the shown word."""
    found = complete_line(_words(environ), environ)
    lines = [f"{found.kept}{word}\t{about}" for word, about in _clean(found)]
    return "\n".join([f"{found.files or 'words'} {len(found.kept)}", *lines, ""])


PRINTED: Mapping[str, Callable[[Mapping[str, str]], str]] = {"bash": _for_bash, "zsh": _for_zsh, "fish": _for_fish}


def bash_line(text: str) -> Typed:
    """Return the words of a line of bash, without quotes and redirections such as `> file`."""
    words: list[str] = []
    word: list[str] = []
    quote, in_word, redirects, escaped = "", False, False, False
    for sign in text:
        if escaped:
            word.append(sign if not quote or sign in '"\\$`' else f"\\{sign}")
            escaped = False
        elif sign == "\\" and quote != "'":
            escaped = in_word = True
        elif sign == quote:
            quote = ""
        elif quote:
            word.append(sign)
        elif sign in "'\"":
            quote, in_word = sign, True
        elif sign in _BLANKS or sign in "<>":
            if in_word and not redirects and not (sign in "<>" and "".join(word).isdecimal()):
                words.append("".join(word))
            redirects = sign in "<>" or (redirects and not in_word)
            word, in_word = [], False
        elif sign == "&" and redirects and not in_word:
            continue  # of >&
        else:
            word.append(sign)
            in_word = True
    return Typed([*words, "".join(word)], quote, redirects, broken=escaped)


def _quote(text: str, quote: str) -> str:
    """Return text quoted for bash, inside the given quote; an empty `quote` means outside of quotes."""
    if quote == "'":
        return text.replace("'", "'\\''")
    if quote:
        return "".join("\"'!'\"" if sign == "!" else f"\\{sign}" if sign in '"\\$`' else sign for sign in text)
    return "".join(sign if sign.isalnum() or sign in "_./:=,@%+-" else f"\\{sign}" for sign in text)


def _bash(items: list[Item], _environ: Mapping[str, str]) -> tuple[str, int]:
    return "\n".join(name for name, _ in items) + "\n", 0


_ZSH = str.maketrans({'"': '""', "'": "''", "$": "\\$", "`": "\\`", ":": "\\\\:"})


def _zsh(items: list[Item], _environ: Mapping[str, str]) -> tuple[str, int]:
    said = "\n".join(f'"{name.translate(_ZSH)}":"{about.translate(_ZSH)}"' for name, about in items)
    return (f"_arguments '*: :(({said}))'\n" if items else "_files\n"), 0


def _fish(items: list[Item], environ: Mapping[str, str]) -> tuple[str, int]:
    action = environ.get("_TYPER_COMPLETE_FISH_ACTION", "")
    if action == "is-args":  # fish asks with this whether there are any items; the exit code answers
        return "", 0 if items else 1
    return ("\n".join(f"{name}\t{about}" for name, about in items) if action == "get-args" else "") + "\n", 0


ANSWERS: dict[str, Any] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
