"""A generated telephone exchange: the calls that all imitated providers report, each in its own form.

The calls of a UTC day come from a random generator seeded with the exchange's seed and the date, so they do not depend
on other days, on the process or on the order of requests.
"""

from __future__ import annotations

import functools
import random
from bisect import bisect_left
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from cdrctl.sandbox.exchange.calls import DRAW, WEIGHTS, inbound_call, uniform
from cdrctl.sandbox.exchange.clock import DAY, HOUR, LONGEST_CALL, SECOND, instant, milliseconds
from cdrctl.sandbox.exchange.draft import Draft
from cdrctl.sandbox.exchange.parties import SITES, Call, Leg
from cdrctl.sandbox.exchange.stories import LONGEST_STORY, TALES, tell

STORIES = ("plain", "hard")
"""Which calls an exchange generates: plain ones, or also those that are hard to join."""

_EPOCH = date(1970, 1, 1)
_WEEKEND_SHARE = 0.12
_FRIDAY = 4
_CALLS_PER_HOUR = (
    *(0.3, 0.2, 0.1, 0.1, 0.2, 0.6, 2.0, 6.0, 12.0, 16.0, 17.0, 15.0),
    *(11.0, 14.0, 16.0, 15.0, 13.0, 8.0, 3.0, 1.5, 1.0, 0.7, 0.5, 0.4),
)


class Exchange:
    """Calls by start: generated from `seed`, or exactly the given `calls`.

    The same seed gives the same calls in every process. `volume` scales the number of calls of a day. `stories="hard"`
    adds calls that are hard to join: `exchange/stories.py` has them.
    """

    def __init__(
        self,
        seed: int | str = 1,
        calls: Iterable[Call] | None = None,
        *,
        volume: float = 1.0,
        stories: str = "plain",
    ) -> None:
        if stories not in STORIES:
            raise ValueError(f"stories cannot be {stories!r}; they can be {' or '.join(STORIES)}")
        self.seed = str(seed)
        self.volume = volume
        self.stories = stories
        self._given: list[Call] | None = None if calls is None else sorted(calls, key=lambda c: (c.start, c.id))
        self._longest = LONGEST_CALL if stories == "plain" else LONGEST_STORY
        if self._given is not None:
            self._starts = [call.start for call in self._given]
            self._longest = max((call.end - call.start for call in self._given), default=0)
            if len({call.id for call in self._given}) < len(self._given):
                raise ValueError("two calls have the same id")

    def __eq__(self, other: object) -> bool:
        """Return whether both generate the same calls; an exchange with given calls equals only itself."""
        if not isinstance(other, Exchange) or self._drawn_from != other._drawn_from:
            return NotImplemented
        return self._given is other._given

    def __hash__(self) -> int:
        return hash((*self._drawn_from, id(self._given)))

    @property
    def _drawn_from(self) -> tuple[str, float, str]:
        return self.seed, self.volume, self.stories

    def calls(self, since: datetime, until: datetime) -> list[Call]:
        """Return the calls that began in `[since, until)`, by start."""
        return self.calls_between(milliseconds(since), milliseconds(until))

    def legs(self, since: datetime, until: datetime) -> list[Leg]:
        """Return the legs that began in `[since, until)`, by start, whenever their call began."""
        lo, hi = milliseconds(since), milliseconds(until)
        return self.legs_between(lo, hi)

    def calls_between(self, lo: int, hi: int) -> list[Call]:
        """Return the calls that began in `[lo, hi)` Unix milliseconds, by start."""
        if self._given is not None:
            return self._given[bisect_left(self._starts, lo) : bisect_left(self._starts, hi)]
        found = [call for day in range(lo // DAY, (hi - 1) // DAY + 1) for call in self._day(day)]
        return [call for call in found if lo <= call.start < hi]

    def legs_between(self, lo: int, hi: int) -> list[Leg]:
        """Return the legs that began in `[lo, hi)` Unix milliseconds, by start."""
        legs = [leg for call in self.calls_between(lo - self._longest, hi) for leg in call.legs if lo <= leg.start < hi]
        legs.sort(key=lambda leg: (leg.start, leg.id))
        return legs

    @property
    def longest(self) -> int:
        """An upper bound on the duration of a call, in milliseconds."""
        return self._longest

    @property
    def first(self) -> int | None:
        """The start of the earliest call in Unix milliseconds; None if calls are generated for any day."""
        if self._given is None:
            return None
        return min(self._starts, default=0)

    def sibling(self, name: str) -> Exchange:
        """Return a smaller exchange with its own calls; without any if the calls of this one were given."""
        if self._given is not None:
            return Exchange(f"{self.seed}/{name}", [])
        return Exchange(f"{self.seed}/{name}", volume=self.volume / 4)

    def _day(self, day: int) -> list[Call]:
        plain = _draw_day(self.seed, self.volume, day)
        return plain if self.stories == "plain" else _with_stories(self.seed, self.volume, day)


@functools.lru_cache(1000)
def _draw_day(seed: str, volume: float, day: int) -> list[Call]:
    """Generate the calls of one UTC day, counted from 1 January 1970; cached for all exchanges of a process."""
    rng = random.Random(f"{seed}:{day}")  # noqa: S311 - the calls must be the same on every run
    midnight = day * DAY
    zone = ZoneInfo(SITES[0].zone)
    starts: list[tuple[int, int]] = []
    for hour in range(24):
        local = instant(midnight + hour * HOUR).astimezone(zone)
        busy = _CALLS_PER_HOUR[local.hour] * volume
        if local.weekday() > _FRIDAY:
            busy *= _WEEKEND_SHARE
        count = max(0, int(rng.gauss(busy, busy**0.5 / 2) + rng.random()))
        starts += [(midnight + hour * HOUR + rng.randrange(HOUR), 0) for _ in range(count)]
    # Exporters lose calls over midnight and over month starts: each day has one, the last day of a month three.
    tomorrow = _EPOCH + timedelta(days=day + 1)
    for _ in range(3 if tomorrow.day == 1 else 1):
        begun = rng.randrange(20, 300) * SECOND + rng.randrange(SECOND)
        starts.append((midnight + DAY - begun, begun + 30 * SECOND))
    starts.sort()
    kinds = rng.choices(DRAW, WEIGHTS, k=len(starts))
    name = f"{seed}-{_EPOCH + timedelta(days=day):%Y%m%d}"
    return [
        (inbound_call if longest else kind)(Draft(rng, f"{name}-{n:04d}", start, longest))
        for n, ((start, longest), kind) in enumerate(zip(starts, kinds, strict=True), 1)
    ]


@functools.lru_cache(1000)
def _with_stories(seed: str, volume: float, day: int) -> list[Call]:
    """Return the calls of a day and its stories, by start; stories that begin on this day may end on the next."""
    rng = random.Random(f"{seed}:{day}:stories")  # noqa: S311 - the calls must be the same on every run
    midnight = day * DAY
    name = f"{seed}-{_EPOCH + timedelta(days=day):%Y%m%d}"
    found = list(_draw_day(seed, volume, day))
    ends_a_month = (_EPOCH + timedelta(days=day + 1)).day == 1
    wanted = len(TALES) * (3 if ends_a_month else 1)
    for n in range(wanted):
        # A story that begins minutes before midnight goes on after it; at the end of a month, most do.
        late = n % 4 == day % 4 or (ends_a_month and n >= len(TALES))
        start = midnight + (DAY - rng.randrange(15, 900) * SECOND if late else rng.randrange(22 * HOUR))
        found += tell(TALES[n % len(TALES)], rng, f"{name}-s{n:03d}", start + rng.randrange(SECOND))
    return sorted((call for call in found if call.start < midnight + DAY), key=lambda call: (call.start, call.id))


def straddlers(month_start: datetime, n: int = 5) -> list[Call]:
    """Return n calls, a minute apart, that begin in the last minutes before an instant and end after it."""
    return uniform(n, month_start - timedelta(minutes=n), month_start, talk_seconds=60 * n + 300, name="straddler")
