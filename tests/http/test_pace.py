"""The published rate limit is kept, in whatever order requests of several kinds come."""

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
    """Return when each request was sent, given the seconds between each response and the next request."""
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
def test_no_interval_has_more_requests_than_its_rate_limit(
    budgets: dict[str, RateLimit], sequence: list[tuple[str, int]]
) -> None:
    out = sent(budgets, None, sequence)
    for counted, budget in budgets.items():
        times = [at for kind, at in out if counted in (kind, EVERY)]
        assert most_in(budget.seconds, times) <= budget.requests


@given(budgets, sequences)
def test_no_request_waits_longer_than_the_rate_limits_require(
    budgets: dict[str, RateLimit], sequence: list[tuple[str, int]]
) -> None:
    now = 0.0
    out: list[tuple[str, float]] = []
    for (kind, later), (_, at) in zip(sequence, sent(budgets, None, sequence), strict=True):
        now += later
        if at > now:  # any earlier, and it would have exceeded some rate limit
            assert any(
                counted in (kind, EVERY)
                and sum(one + budget.seconds >= at for of, one in out if counted in (of, EVERY)) >= budget.requests
                for counted, budget in budgets.items()
            )
        now = at
        out.append((kind, at))


def test_a_request_waits_only_for_requests_of_its_kind() -> None:
    three = {"window": RateLimit(1, 61), "page": RateLimit(2, 10)}
    out = sent(three, None, [("window", 0), ("page", 0), ("page", 0), ("sign-in", 0), ("page", 0), ("window", 0)])
    assert [at for _, at in out] == [0, 0, 0, 0, 10, 61]


def test_a_rate_limit_for_every_kind_counts_all_requests() -> None:
    out = sent({EVERY: RateLimit(2, 10)}, None, [("window", 0), ("page", 0), ("sign-in", 0)])
    assert [at for _, at in out] == [0, 0, 10]


def test_the_rate_limit_of_a_profile_is_never_faster_than_the_published_one() -> None:
    asks = [("page", 0)] * 3
    assert [at for _, at in sent({"page": RateLimit(1, 10)}, 2, asks)] == [0, 30, 60]
    assert [at for _, at in sent({"page": RateLimit(1, 10)}, 600, asks)] == [0, 10, 20]


def test_zero_disables_the_rate_limit() -> None:
    assert [at for _, at in sent({"page": RateLimit(1, 10)}, 0, [("page", 0)] * 3)] == [0, 0, 0]
