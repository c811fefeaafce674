"""The result of a check of `cdrctl doctor`, and its text."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from cdrctl.cli.run import Session
from cdrctl.errors import CdrctlError

Result = Literal["ok", "warn", "fail", "skipped"]

MOST_URGENT = (1, 6, 4, 7, 8, 2, 5)
"""Exit codes, those that most need a person first; 5 is temporary and may pass by itself."""

NARROW = 60
"""Columns of a terminal below which findings have no column of their own."""


class Finding(Struct, frozen=True):
    """The result of one check.

    Args:
        check: The name of the check.
        result: The outcome.
        what: A description of what was found.
        next: The next step if the result is `warn` or `fail`.
        exit_code: The exit code that the finding stands for; 0 unless it failed.
        profile: The profile's name, or None if the finding concerns the machine.
        provider: The provider of the profile, if it is known.
    """

    check: str
    result: Result
    what: str
    next: str | None = None
    exit_code: int = 0
    profile: str | None = None
    provider: str | None = None


__NEXTS = {
    "configuration": "correct the file",
    "settings": "correct it in the configuration file",
    "secrets": "correct the source of the secret; cdrctl profile show NAME shows it",
}
_OTHER_STEP = "cdrctl doctor -v shows each request; ask the provider what its message means"
"""The next step for an error without one."""


def failure(check: str, error: CdrctlError) -> Finding:
    """Return the finding for a check that ended with an error."""
    said = f" (the provider said: {error.said})" if error.said else ""
    step = error.hint or __NEXTS.get(check, _OTHER_STEP)
    return Finding(check, "fail", f"{error.message}{said}", step, error.exit_code)


def worst_exit_code(codes: Collection[int]) -> int:
    """Return the exit code that most needs a person; 0 if there is no other."""
    return next((code for code in MOST_URGENT if code in codes), max(codes, default=0))


def clean_findings(opened: Session, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings without secrets and without control characters."""
    for one in findings:
        clean = opened.reporter.clean
        yield replace(one, what=clean(one.what), next=clean(one.next) if one.next else None)


_COLORS = {"ok": "32", "warn": "33", "fail": "31;1", "skipped": "2"}
_END = "\x1b[0m"
_NEXT = "next: "
_LEFT = 26
"""Columns before the description."""


def finding_lines(finding: Finding, width: int, *, colors: bool = False) -> Iterator[str]:
    """Yield the lines of a finding, which fit the terminal except for words that are longer than it is wide.

    The description has a column of its own. It stands below the name of the check if the terminal is narrow, or if the
    name or a word of the description does not fit its column.
    """
    word = finding.result
    color = f"\x1b[{_COLORS[finding.result]}m" if colors else ""
    head = f"  {color}{word}{color and _END}{' ' * (8 - len(word))}{finding.check}"
    step = f"{_NEXT}{finding.next}" if finding.next else ""
    longest = max(map(len, f"{finding.what} {step}".split()), default=0)
    indent = " " * (_LEFT if width >= NARROW and len(finding.check) <= _LEFT - 11 and longest < width - _LEFT else 4)
    lines = wrap(finding.what, width, indent)
    if len(indent) == _LEFT and lines:
        head += " " * (_LEFT - 10 - len(finding.check)) + lines.pop(0).lstrip()
    yield head.rstrip()
    yield from lines
    hanging = " " * len(_NEXT)
    yield from wrap(step, width, indent, hanging if longest < width - len(indent + hanging) else "")


def wrap(text: str, width: int, indent: str = "", hanging: str = "") -> list[str]:
    """Return text as indented lines; those after the first are indented further by `hanging`."""
    return textwrap.wrap(
        text,
        max(width - 1, len(indent) + 10),
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
