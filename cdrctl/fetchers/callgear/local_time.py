"""Times on an account's own clock, which is put forward and back."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from cdrctl import windows
from cdrctl.errors import ConfigurationError, ProviderError, UsageError
from cdrctl.fetchers.callgear.account import Account
from cdrctl.fetchers.callgear.answers import ForbiddenError
from cdrctl.fetchers.callgear.settings import TITLE
from cdrctl.placeholders import is_placeholder
from cdrctl.records.events import Note, check_records
from cdrctl.windows import Window, rfc3339, tile

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


def zone_of(account: Account) -> tuple[str, tzinfo]:
    """Return the name and the zone of the account's times: the profile's, else that of `get.account`.

    That times are in the account's zone is not documented. Integrators noticed, because their rows were hours off.
    """
    given = account.settings.timezone
    if given is not None:
        return given, zone_named(given)
    hint = "set timezone in the profile to the account's time zone, such as Europe/Berlin"
    try:
        data = account.ask("get.account", account.of_customer).get("data")
    except (ForbiddenError, UsageError, ProviderError) as error:
        if error.said is None:  # no refusal: an answer of another shape
            raise
        raise ConfigurationError(
            "the account's time zone could not be read, and its times have no meaning without it",
            said=error.said,
            hint=hint,
        ) from None
    if not isinstance(data, dict):
        data = check_records(data, "data", TITLE)
    first = data[0] if isinstance(data, list) and data else data
    name = first.get("timezone") if isinstance(first, dict) else None
    if isinstance(name, str) and name:
        with suppress(UsageError):
            return name, zone_named(name)
    raise ConfigurationError(
        f"{TITLE} sent no known time zone for this account, and its times have no meaning without it",
        said=name if isinstance(name, str) and name else None,
        hint=hint,
    )


zone_named = functools.lru_cache(maxsize=32)(windows.zone)
"""The zone of a name, cached for thousands of records."""


# Local times


def _local(instant: datetime, zone: tzinfo) -> str:
    """Return an instant as the account's clocks show it and as the API writes it."""
    return instant.astimezone(zone).replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")


def _offset(instant: datetime, zone: tzinfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def spare_time(instant: datetime, zone: tzinfo) -> timedelta:
    """Return how far requests reach beyond an edge: an hour or more near a change of clocks, else nothing."""
    change = abs(_offset(instant + 2 * HOUR, zone) - _offset(instant - 2 * HOUR, zone))
    return max(change, HOUR) if change else change


def span_of(window: Window, zone: tzinfo, *, early: timedelta = SECOND) -> dict[str, str]:
    """Return the parameters that select a window of whole seconds, and some time around it.

    Whether `date_from` and `date_till` belong to the span is not documented, and users of the API disagree. So the span
    is a second longer at both ends, and an hour near a change of clocks; `early` is the second before the window.
    """
    return {
        "date_from": _local(window.since - spare_time(window.since, zone) - early, zone),
        "date_till": _local(window.until + spare_time(window.until, zone) + SECOND, zone),
    }


def _clock_changes(zone: tzinfo, window: Window) -> Iterator[tuple[datetime, timedelta]]:
    """Yield each change of a zone's clocks in a window: the instant, and by how much."""
    for day in tile(window, DAY):
        early, late = day.since, day.until
        change = _offset(late, zone) - _offset(early, zone)
        if not change:
            continue
        while late - early > SECOND:
            middle = early + ((late - early) / 2 // SECOND) * SECOND
            if _offset(middle, zone) == _offset(day.since, zone):
                early = middle
            else:
                late = middle
        yield late, change


def zone_notes(zone: tzinfo, name: str, window: Window) -> Iterator[Note]:
    """Yield one note if local times in the window are repeated."""
    twice = []
    for turn, change in _clock_changes(zone, Window(window.since - DAY, window.until + DAY)):
        back = -change
        if back > timedelta(0) and window.since < turn + back and turn - back < window.until:
            twice.append(f"{_local(turn, zone)} to {_local(turn - SECOND, zone)[11:]}")
    if twice:
        yield Note(
            f"in {name} the clocks went back: {TITLE}'s times from {' and from '.join(twice)} occur twice and are "
            "ambiguous; all are read as the first, and start_time_local has each as it was received"
        )


LOCAL_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T](?!24)[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?")
_OFFSET = re.compile(r"(?:Z|[+-][0-9]{2}:?[0-9]{2})\Z")
"""The zone at the end of a time, as in `2026-04-27T07:04:23Z` on an older page of the documentation."""


def local_instant(raw: Any, context: Mapping[str, str]) -> datetime:
    """Return the UTC instant of a time of the account, which is local unless it has an offset.

    Of a repeated local time, it is the first.

    Raises:
        ValueError: It is not such a time.
    """
    if not isinstance(raw, str) or "timezone" not in context:
        raise ValueError
    offset = _OFFSET.search(raw)
    if not LOCAL_TIME.fullmatch(raw if offset is None else raw[: offset.start()]):
        raise ValueError
    moment = datetime.fromisoformat(raw)
    try:
        if offset is None:
            moment = moment.replace(tzinfo=zone_named(context["timezone"]))
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError from None


class _Minutes(dict[str, datetime]):
    """The instants of minutes by their local text, `2026-04-27 07:04`.

    Args:
        timezone: The name of the zone.
    """

    def __init__(self, timezone: str) -> None:
        super().__init__()
        self._context = {"timezone": timezone}

    def __missing__(self, text: str) -> datetime:
        instant = local_instant(f"{text}:00", self._context)
        if is_placeholder(instant):
            raise ValueError(text)
        if len(self) >= _MOST_MINUTES:
            self.clear()
        self[text] = instant
        return instant


class _Texts(dict[str, str]):
    """The minutes of a zone as `2026-04-27T05:04:`, by their local text."""

    def __init__(self, minutes: _Minutes) -> None:
        super().__init__()
        self._minutes = minutes

    def __missing__(self, text: str) -> str:
        if len(self) >= _MOST_MINUTES:
            self.clear()
        found = self[text] = rfc3339(self._minutes[text])[:17]
        return found


_MOST_MINUTES = 10_000
_minutes_of: Callable[[str], _Minutes] = functools.lru_cache(maxsize=32)(_Minutes)
_texts_of: Callable[[str], _Texts] = functools.lru_cache(maxsize=32)(lambda timezone: _Texts(_minutes_of(timezone)))

_SECONDS = {f":{second:02d}": timedelta(seconds=second) for second in range(60)}
_ENDS = {f":{second:02d}": f"{second:02d}.000Z" for second in range(60)}


def local_instants(raw: Sequence[str], context: Mapping[str, str]) -> Sequence[datetime] | None:
    """Return the instants of local times without decimals and offset, as `local_instant` does; None if one differs."""
    if "timezone" not in context:
        return None
    minutes, seconds = _minutes_of(context["timezone"]), _SECONDS
    try:
        return [minutes[text[:16]] + seconds[text[16:]] for text in raw]
    except (ValueError, KeyError):
        return None


def read_local_times(raw: Sequence[str], context: Mapping[str, str]) -> Sequence[str] | None:
    """Return local times as `read_local_time` does; None if one has decimals or an offset, or is not such a time."""
    if "timezone" not in context:
        return None
    texts, ends = _texts_of(context["timezone"]), _ENDS
    try:
        return [text and texts[text[:16]] + ends[text[16:]] for text in raw]
    except (ValueError, KeyError):
        return None


def read_local_time(raw: Any, context: Mapping[str, str]) -> str:
    """Return a local time of the account as an instant in the contract's form."""
    return rfc3339(local_instant(raw, context))
