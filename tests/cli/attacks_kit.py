"""Hostile values, and where commands meet them."""

from __future__ import annotations

import json
import unicodedata
from datetime import timedelta
from pathlib import Path

from tests.support.bench import MONTH
from tests.support.runner import Ran

SINCE, UNTIL = MONTH - timedelta(hours=3), MONTH - timedelta(hours=2)


def odd(text: str, but: str = "\n") -> set[str]:
    """Return the characters of a text that control a terminal, change the direction of text, or are invisible."""
    return {one for one in text if unicodedata.category(one) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}} - {*but}


def quiet(ran: Ran) -> Ran:
    """Check that stderr contains no control characters, and return the run. JSON messages are decoded first."""
    assert odd(ran.err) == set()
    assert "Traceback" not in ran.err
    assert "a bug in cdrctl" not in ran.err
    for line in ran.err.splitlines():
        if line.startswith("{"):
            assert odd("".join(map(str, json.loads(line).values())), but="") == set()
        else:
            assert line.startswith(("cdrctl: ", "  the provider said: ", "  next: "))
    return ran


REPORT = (
    *("portsip", "reports", "create", "-p", "acme"),
    *("--type", "NORMAL", "--email", "a@example.com", "--range", "YESTERDAY"),
)


def files(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its content; of a link, its target."""
    return {
        str(one.relative_to(folder)): bytes(one.readlink()) if one.is_symlink() else one.read_bytes()
        for one in sorted(folder.rglob("*"))
        if one.is_symlink() or one.is_file()
    }
