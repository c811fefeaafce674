"""Questions to the user: asked on a terminal, or answered by the lines of standard input."""

from __future__ import annotations

import getpass
import textwrap
from collections.abc import Mapping

from cdrctl.cli.run import Session
from cdrctl.errors import CdrctlError, UsageError

LONGEST_LINE = 92
"""Columns of a paragraph on a wide terminal."""

YES, NO = {"y", "yes"}, {"n", "no"}


def ask(opened: Session, what: str, *, secret: bool = False, default: str | None = None, about: str = "") -> str:
    """Return the user's answer, or the next line of standard input; a secret is hidden while it is typed.

    Args:
        opened: The running command.
        what: The question, without the colon after it.
        secret: Whether the answer is a secret.
        default: The answer that an empty line stands for.
        about: The question in the error if there is no answer, where `what` only lists the answers.

    Raises:
        UsageError: Standard input is not a terminal and has no further line.
        KeyboardInterrupt: The user pressed Ctrl-C or Ctrl-D.
    """
    if not opened.process.stdin_is_terminal:
        line = opened.process.stdin.readline()
        if not line and default is None:
            raise UsageError(
                f"there is no answer to: {about or what}",
                hint="give one line of standard input per question, or use --set",
            )
        answer = line.strip()
    else:
        answer = _type(opened, what, secret=secret)
    if secret:
        opened.reporter.conceal([answer])
    return answer or default or ""


def _type(opened: Session, what: str, *, secret: bool) -> str:
    stderr = opened.process.stderr
    if secret:
        try:
            return getpass.getpass(f"{what}: ", stream=stderr).strip()
        except EOFError:
            raise KeyboardInterrupt from None
    if stderr is not None:
        stderr.write(f"{what}: ")
        stderr.flush()
    line = opened.process.stdin.readline()
    if not line:
        if stderr is not None:
            stderr.write("\n")
        raise KeyboardInterrupt
    return line.strip()


def choose(opened: Session, question: str, options: Mapping[str, str], default: str | None = None) -> str:
    """Return the name of one of several options, which the user types by its name or its number.

    Args:
        opened: The running command.
        question: The question above the list of options.
        options: The description of each option, by name.
        default: The name that an empty line stands for, if there is one.

    Raises:
        UsageError: The answer is not an option, and standard input is not a terminal.
    """
    names = list(options)
    explain(opened, "")
    explain(opened, question)
    for number, text in enumerate(options.values(), 1):
        explain(opened, text, f"  {number}  ")
    usual = f" [{names.index(default) + 1}]" if default is not None else ""
    while True:
        answer = ask(opened, f"1 to {len(names)}{usual}", default=default, about=question)
        if answer in options:
            return answer
        if answer.isascii() and answer.isdigit() and 1 <= int(answer[:4]) <= len(names):
            return names[int(answer[:4]) - 1]
        about = "" if opened.process.stdin_is_terminal else f" for: {question}"
        # The answer is not repeated: it may be a secret.
        hint = f"answer 1 to {len(names)}, or one of: {', '.join(names)}"
        reject(opened, UsageError(f"that is not one of the options{about}", hint=hint))


def confirm(opened: Session, what: str, *, default: bool) -> bool:
    """Return whether the user answers yes to a question.

    Raises:
        UsageError: The answer is neither yes nor no, and standard input is not a terminal.
    """
    usual = "yes" if default else "no"
    while (answer := ask(opened, f"{what} [{usual}]", default=usual).lower()) not in YES | NO:
        reject(opened, UsageError("that is neither yes nor no", hint="answer yes or no"))
    return answer in YES


def reject(opened: Session, error: CdrctlError) -> None:
    """Report why an answer is not accepted, so that the caller can ask again; without a terminal, raise the error."""
    if not opened.process.stdin_is_terminal:
        raise error
    opened.reporter.log("warning", error.message)
    if error.hint:
        explain(opened, f"next: {error.hint}", "  ")


def explain(opened: Session, text: str, indent: str = "") -> None:
    """Print a paragraph that helps to answer a question, or an empty line; nothing without a terminal."""
    if opened.process.stdin_is_terminal:
        if text:
            say(opened, text, indent)
        else:
            opened.reporter.show("")


def say(opened: Session, text: str, indent: str = "") -> None:
    """Print a paragraph, wrapped to the width of the terminal; lines after the first are indented alike."""
    width = min(opened.process.width - 1, LONGEST_LINE)
    lines = textwrap.wrap(
        text,
        max(width, len(indent) + 12),
        initial_indent=indent,
        subsequent_indent=" " * len(indent),
        break_long_words=False,
        break_on_hyphens=False,
    )
    opened.reporter.show("\n".join(lines))
