"""Makes files of raw legs: `python -m benchmarks.legs PROVIDER COUNT PATH`.

The legs are those of 30 days of the sandbox's telephone exchange, ordered by start. Each comes as many times as it
takes to make COUNT legs, with ids of its own each time, which link the same legs as before.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cdrctl.fetchers import joins_of
from cdrctl.sandbox import Exchange

DAYS = 30
UNTIL = datetime(2026, 11, 30, tzinfo=UTC)
NAMES = {"webex": "Webex", "kazoo": "Kazoo", "callgear": "CallGear", "portsip": "PortSIP", "voicenter": "Voicenter"}
IDS = {
    "webex": (
        *("Report ID", "Correlation ID", "Local call ID", "Remote call ID", "Network call ID", "Related call ID"),
        *("Transfer related call ID", "Interaction ID"),
    ),
    "kazoo": ("id", "call_id", "other_leg_call_id", "bridge_id", "interaction_id"),
    "callgear": ("id", "call_session_id"),
    "portsip": ("id", "session_id", "call_id"),
    "voicenter": ("CallID", "CustomData", "OriginalIvrUniqueID"),
}
JOINED_BY = {
    "webex": ("Interaction ID", "Report ID"),
    "kazoo": ("interaction_id", "id"),
    "callgear": ("call_session_id", "id"),
    "portsip": ("session_id", "id"),
    "voicenter": ("CallID", "CdrType"),
}
"""The key by which a script groups the legs, and the field of which it keeps a list."""

_MARK = "@@@@@"


def lines(provider: str, count: int) -> Iterator[bytes]:
    """Yield legs as JSON Lines, ordered by start."""
    imitation: Any = getattr(importlib.import_module(f"cdrctl.sandbox.{provider}"), NAMES[provider])
    running = imitation(Exchange(1), lambda: UNTIL + timedelta(days=1))
    call = next(iter(joins_of(provider)))
    found: list[dict[str, Any]] = []
    for day in range(DAYS):
        since = UNTIL - timedelta(days=DAYS - day)
        found += running.truth(call, since, since + timedelta(days=1))
    copies, more = divmod(count, len(found))
    for at, record in enumerate(found):
        line = json.dumps(_marked(record, IDS[provider]), ensure_ascii=False, separators=(",", ":"))
        whole = line.replace('"#', "").replace('#"', "").encode() + b"\n"
        for copy in range(copies + (at < more)):
            yield whole.replace(_MARK.encode(), b"%05d" % copy)


def _marked(record: dict[str, Any], ids: Sequence[str]) -> dict[str, Any]:
    return {name: _mark(value, ids) if name in ids else value for name, value in record.items()}


def _mark(value: Any, ids: Sequence[str]) -> Any:
    """Return an id with a mark that becomes the number of the copy."""
    if isinstance(value, dict):
        return _marked(value, ids)
    if isinstance(value, int):
        return f"#{value // 10_000}{_MARK}#"  # few enough digits for 64 bits
    return value + _MARK if value else value


def main() -> None:
    """Write the file that the command line describes."""
    provider, count, path = sys.argv[1:]
    with Path(path).open("wb") as file:
        file.writelines(lines(provider, int(count)))


if __name__ == "__main__":
    main()
