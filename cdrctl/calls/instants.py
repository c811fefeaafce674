"""The text of instants. Many share their minute, and all share the milliseconds of a minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cdrctl.calls.tracing import traceable
from cdrctl.windows import rfc3339

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1000
_MINUTE = 60 * _SECOND
_MOST = 100_000


class _Minutes(dict[int, str]):
    """The text of a minute since 1970 up to its seconds."""

    def __missing__(self, minute: int) -> str:
        if len(self) >= _MOST:
            self.clear()
        found = self[minute] = rfc3339(_EPOCH + timedelta(minutes=minute))[: -len("00.000Z")]
        return found


class _Rests(dict[int, str]):
    """The text of the milliseconds of a minute: seconds, milliseconds and the zone."""

    def __missing__(self, rest: int) -> str:
        found = self[rest] = f"{rest // _SECOND:02d}.{rest % _SECOND:03d}Z"
        return found


MINUTES, RESTS = _Minutes(), _Rests()


@traceable(f"MINUTES[{{}}//{_MINUTE}]+RESTS[{{}}%{_MINUTE}]")
def instant_text(instant: int) -> str:
    """Return an instant in Unix milliseconds as RFC 3339 text in UTC."""
    return MINUTES[instant // _MINUTE] + RESTS[instant % _MINUTE]
