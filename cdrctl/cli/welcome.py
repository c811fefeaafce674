"""What `cdrctl` alone shows: what it is, and three ways to begin; it is answered before anything else is loaded."""

from __future__ import annotations

import os
import sys

from cdrctl import PROVIDERS, __version__

SCREEN = f"""\
cdrctl {__version__}: call detail records from telephony providers, complete and polite

Try it, without an account:
  cdrctl webex cdrs -p sandbox --since yesterday --until today

Begin with your own provider ({", ".join(PROVIDERS)}):
  cdrctl init

When something does not work:
  cdrctl doctor

Calls:     {", ".join(PROVIDERS)}, export
Archive:   sync, fill, coverage, verify, plan
The rest:  profile, fields, sandbox

  cdrctl --help          all commands and options
  cdrctl webex --help    what one of them can do
"""


def screen(width: int) -> str:
    """Return the text for a screen of so many columns; commands stay whole, so that they can be copied."""
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
    """Return the columns of the terminal, as COLUMNS says or as it is; 80 where there is none."""
    said = os.environ.get("COLUMNS", "")
    if said.isascii() and said.isdigit() and int(said) > 0:
        return int(said)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (OSError, ValueError, AttributeError):  # no terminal, or closed
        return 80
