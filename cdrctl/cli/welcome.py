"""The screen that `cdrctl` without arguments shows. It imports as little as possible."""

from __future__ import annotations

import os
import sys

from cdrctl import PROVIDERS, __version__

SCREEN = f"""\
cdrctl {__version__}: complete exports of call detail records, within rate limits

Try it, without an account:
  cdrctl webex cdrs -p sandbox --since yesterday --until today

Begin with your own provider ({", ".join(PROVIDERS)}):
  cdrctl init

When something does not work:
  cdrctl doctor

Records:   {", ".join(PROVIDERS)}, export
Calls:     calls, stats, report, size
Archive:   sync, fill, coverage, verify, plan, sql, archive
The rest:  profile, fields, sandbox

  cdrctl --help          all commands and options
  cdrctl webex --help    what one of them can do
"""


def screen(width: int) -> str:
    """Return the text for a screen of this width in columns. Commands are never wrapped, so they can be copied."""
    if max(map(len, SCREEN.splitlines())) < width:
        return SCREEN
    import textwrap

    lines: list[str] = []
    for line in SCREEN.splitlines():
        command, _, about = line.strip().partition("    ")
        if line.startswith("  "):
            lines += [f"  {command}", *([f"      {about.strip()}"] if about else [])]
        else:
            lines += textwrap.wrap(line, max(width - 1, 20), subsequent_indent="  ", break_long_words=False) or [""]
    return "\n".join([*lines, ""])


def columns() -> int:
    """Return the width of the terminal in columns: COLUMNS if it is set, else the real one; 80 without a terminal."""
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdigit() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (OSError, ValueError, AttributeError):  # no terminal, or closed
        return 80
