"""What a shell asks while somebody types, answered from files: neither typer nor a provider is loaded for it.

`completion.json` and the files in `known/` are made of the commands themselves, and tests hold them against them. The
rest is what this machine knows: profiles, zones, installed formats. It sends no request, reads no secret,
and nothing but an answer is printed, whatever is wrong.

The scripts in `completions/` ask `ask_bash`, `ask_zsh` or `ask_fish`, and hand over what is typed in a variable: who
loses it on the way to the program, as a wrapper may, gets its help, and never a run of what was being typed. Typer's
own scripts ask `complete_bash` and so on, and are told names of commands and options; what is not plain there is left
to typer, by giving no answer: another shell, quotes, `--option=value`, several flags in one word, words that are wrong.
"""

from __future__ import annotations

from collections.abc import Mapping

from cdrctl.cli.completion.line import fast_items
from cdrctl.cli.completion.shells import ANSWERS, PRINTED

VARIABLE = "_CDRCTL_COMPLETE"
_NOT_PLAIN = frozenset("'\"\\=")
_NO_DETECTION = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"
"""With it typer's own two options take a value."""


def answer(environ: Mapping[str, str]) -> tuple[str, int] | None:
    """Return the text for the shell and the exit code; None if typer must answer."""
    way, _, shell = environ[VARIABLE].partition("_")
    if way == "ask":
        try:
            return PRINTED[shell](environ), 0
        except Exception:  # noqa: BLE001 - an error would be printed into the line that is being typed
            return "", 0
    words = environ.get("COMP_WORDS" if shell == "bash" else "_TYPER_COMPLETE_ARGS", "")
    if way != "complete" or shell not in ANSWERS or not words.isascii() or _NOT_PLAIN & set(words):
        return None
    typed = words.split()
    at = environ.get("COMP_CWORD", "") if shell == "bash" else str(len(typed) - (not words[-1:].isspace()))
    if _NO_DETECTION in environ or not typed or not at.isdecimal() or not int(at):
        return None
    items = fast_items(typed[1 : int(at)], "".join(typed[int(at) : int(at) + 1]))
    return None if items is None else ANSWERS[shell](items, environ)
