"""What a check found, and how findings are printed."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from cdrctl.cli.run import Session
from cdrctl.errors import CdrctlError

Result = Literal["ok", "warn", "fail", "skipped"]

WORST = (1, 6, 4, 7, 8, 2, 5)
"""Exit codes, the one that needs a person most first: what is temporary may pass by itself."""

NARROW = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one check.

    Args:
        check: Its name.
        result: Whether it is good.
        what: What was found.
        next: The next step, where it is not.
        code: The exit code it stands for; 0 unless it failed.
        profile: Whose, or None for what concerns them all.
        provider: That profile's, where it names one.
    """

    check: str
    result: Result
    what: str
    next: str | None = None
    code: int = 0
    profile: str | None = None
    provider: str | None = None


NEXT = {
    "configuration": "correct the file",
    "settings": "correct it in the configuration file",
    "secrets": "correct where the secret comes from; cdrctl profile show NAME shows it",
}
AT_LEAST = "cdrctl doctor -v shows each request; ask the provider what its words mean"
"""The next step after an error that says none."""


def failed(check: str, error: CdrctlError) -> Finding:
    """Return the finding that an error is."""
    said = f" (the provider said: {error.said})" if error.said else ""
    return Finding(check, "fail", f"{error.message}{said}", error.hint or NEXT.get(check, AT_LEAST), error.exit_code)


def worst(codes: Collection[int]) -> int:
    """Return the exit code of several findings; 0 where none failed."""
    return next((code for code in WORST if code in codes), max(codes, default=0))


# What is shown


def cleaned(opened: Session, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings without secrets, and without what a terminal would obey."""
    for one in findings:
        clean = opened.reporter.clean
        yield replace(one, what=clean(one.what), next=clean(one.next) if one.next else None)


_COLORS = {"ok": "32", "warn": "33", "fail": "31;1", "skipped": "2"}
END = "\x1b[0m"
NEXT_STEP = "next: "
_LEFT = 26


def as_text(finding: Finding, width: int, *, colors: bool = False) -> Iterator[str]:
    """Yield the lines of a finding, no longer than the screen is wide unless one word is.

    What was found stands in a column of its own; below the name of the check on a narrow screen, and where the name or
    a word of it has no room in its column.
    """
    word = finding.result
    color = f"\x1b[{_COLORS[finding.result]}m" if colors else ""
    head = f"  {color}{word}{color and END}{' ' * (8 - len(word))}{finding.check}"
    step = f"{NEXT_STEP}{finding.next}" if finding.next else ""
    longest = max(map(len, f"{finding.what} {step}".split()), default=0)
    indent = " " * (_LEFT if width >= NARROW and len(finding.check) <= _LEFT - 11 and longest < width - _LEFT else 4)
    lines = wrapped(finding.what, width, indent)
    if len(indent) == _LEFT and lines:
        head += " " * (_LEFT - 10 - len(finding.check)) + lines.pop(0).lstrip()
    yield head.rstrip()
    yield from lines
    hanging = " " * len(NEXT_STEP)
    yield from wrapped(step, width, indent, hanging if longest < width - len(indent + hanging) else "")


def wrapped(text: str, width: int, indent: str = "", hanging: str = "") -> list[str]:
    """Return text as lines, each after an indent, and each but the first after a further one."""
    return textwrap.wrap(
        text,
        max(width - 1, len(indent) + 10),
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
