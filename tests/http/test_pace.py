"""No provider is asked faster than it publishes, in whatever order its kinds of request come."""

from __future__ import annotations

from hypothesis import given, strategies as st

from cdrctl.http import RateLimit
from cdrctl.http.pace import EVERY, RateLimiter
from tests.support.clock import HandClock

kinds = st.sampled_from(["window", "page", "sign-in"])
budgets = st.dictionaries(
    st.sampled_from(["window", "page", EVERY]),
    st.builds(RateLimit, st.integers(1, 5), st.integers(1, 90)),
)
sequences = st.lists(st.tuples(kinds, st.integers(0, 40)), max_size=40)


def sent(
    budgets: dict[str, RateLimit], per_minute: float | None, sequence: list[tuple[str, int]]
) -> list[tuple[str, float]]:
    """Return when each request went out, each so many seconds after the one before had been answered."""
    clock = HandClock()
    pace = RateLimiter(budgets, per_minute, clock.clock)
    out = []
    for kind, later in sequence:
        clock.seconds += later
        clock.seconds += pace.reserve(kind).wait
        out.append((kind, clock.seconds))
    return out


def most_in(span: float, times: list[float]) -> int:
    return max((sum(begin <= at < begin + span for at in times) for begin in times), default=0)


@given(budgets, sequences)
def test_no_span_holds_more_requests_than_its_budget(
    budgets: dict[str, RateLimit], sequence: list[tuple[str, int]]
) -> None:
    out = sent(budgets, None, sequence)
    for counted, budget in budgets.items():
        times = [at for kind, at in out if counted in (kind, EVERY)]
        assert most_in(budget.seconds, times) <= budget.requests


@given(budgets, sequences)
def test_nobody_waits_longer_than_the_budgets_make_them(
    budgets: dict[str, RateLimit], sequence: list[tuple[str, int]]
) -> None:
    now = 0.0
    out: list[tuple[str, float]] = []
    for (kind, later), (_, at) in zip(sequence, sent(budgets, None, sequence), strict=True):
        now += later
        if at > now:  # an instant earlier would have been one too many for some budget
            assert any(
                counted in (kind, EVERY)
                and sum(one + budget.seconds >= at for of, one in out if counted in (of, EVERY)) >= budget.requests
                for counted, budget in budgets.items()
            )
        now = at
        out.append((kind, at))


def test_kinds_wait_only_for_their_own() -> None:
    three = {"window": RateLimit(1, 61), "page": RateLimit(2, 10)}
    out = sent(three, None, [("window", 0), ("page", 0), ("page", 0), ("sign-in", 0), ("page", 0), ("window", 0)])
    assert [at for _, at in out] == [0, 0, 0, 0, 10, 61]


def test_the_star_counts_every_kind() -> None:
    out = sent({EVERY: RateLimit(2, 10)}, None, [("window", 0), ("page", 0), ("sign-in", 0)])
    assert [at for _, at in out] == [0, 0, 10]


def test_a_profiles_own_pace_slows_further_and_never_hastens() -> None:
    asks = [("page", 0)] * 3
    assert [at for _, at in sent({"page": RateLimit(1, 10)}, 2, asks)] == [0, 30, 60]
    assert [at for _, at in sent({"page": RateLimit(1, 10)}, 600, asks)] == [0, 10, 20]


def test_zero_switches_pacing_off() -> None:
    assert [at for _, at in sent({"page": RateLimit(1, 10)}, 0, [("page", 0)] * 3)] == [0, 0, 0]
