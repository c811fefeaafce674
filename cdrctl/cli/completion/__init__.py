"""Completion: answers to a shell while the user types, from files, without loading Typer or a provider.

`completion.json` and the files in `known/` are generated from the commands, and tests compare them. Profiles, zones and
installed formats are read from this machine. Completion sends no requests, reads no secrets, and prints nothing but the
answer, whatever fails.

The scripts in `completions/` ask for `ask_bash`, `ask_zsh` or `ask_fish` and pass the typed words in a variable. If a
wrapper loses the variable, the program shows its help; it never runs the words. Scripts that Typer installed ask for
`complete_bash` and so on; they get names of commands and options, and everything else is left to Typer: other shells,
quotes, `--option=value`, several flags in one word, and wrong words.
"""

from __future__ import annotations

from collections.abc import Mapping

from cdrctl.cli.completion.line import fast_items
from cdrctl.cli.completion.shells import ANSWERS, PRINTED

VARIABLE = "_CDRCTL_COMPLETE"
_NOT_PLAIN = frozenset("'\"\\=")
_NO_DETECTION = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"
"""With this variable, `--install-completion` and `--show-completion` take the name of a shell."""


def answer(environ: Mapping[str, str]) -> tuple[str, int] | None:
    """Return the text for the shell and the exit code; None if Typer has to answer."""
    way, _, shell = environ[VARIABLE].partition("_")
    if way == "ask":
        try:
            return PRINTED[shell](environ), 0
        except Exception:  # noqa: BLE001 - the shell would print an error into the line that the user types
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
