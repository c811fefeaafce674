"""Tables, code and plain text as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell(one) for one in line)} |" for line in lines)


def cell(text: str) -> str:
    """Return text escaped for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """Return text as code."""
    return f"`{text}`" if "`" not in text else f"`` {text} ``"


def plain(text: str) -> str:
    """Return text escaped for Markdown, except for code in backticks."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if at % 2 else re.sub(r"([*<>\[\]])", r"\\\1", part) for at, part in enumerate(parts))


def length(length: timedelta) -> str:
    """Return a length of time in the largest unit that divides it."""
    seconds = length.total_seconds()
    if length.days > 2 * 365:
        return f"{length.days // 365} years"
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        if seconds >= size and seconds % size == 0:
            many = int(seconds // size)
            if unit == "day" and many == 1:
                return "24 hours"
            return f"{many} {unit}{'' if many == 1 else 's'}"
    return f"{seconds:g} seconds"
