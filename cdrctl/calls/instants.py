"""The text of instants. Many share their minute, and all share the milliseconds of a minute."""

from __future__ import annotations

from cdrctl.calls.tracing import traceable
from cdrctl.records.instants import MinuteTexts

_SECOND = 1000
_MINUTE = 60 * _SECOND


class _Rests(dict[int, str]):
    """The text of the milliseconds of a minute: seconds, milliseconds and the zone."""

    def __missing__(self, rest: int) -> str:
        found = self[rest] = f"{rest // _SECOND:02d}.{rest % _SECOND:03d}Z"
        return found


MINUTES, RESTS = MinuteTexts(), _Rests()


@traceable(f"MINUTES[{{}}//{_MINUTE}]+RESTS[{{}}%{_MINUTE}]")
def instant_text(instant: int) -> str:
    """Return an instant in Unix milliseconds as RFC 3339 text in UTC."""
    return MINUTES[instant // _MINUTE] + RESTS[instant % _MINUTE]
