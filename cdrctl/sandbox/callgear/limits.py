"""The points that requests cost, and their limits per minute and per day."""

from __future__ import annotations

from dataclasses import dataclass, field

from cdrctl.sandbox.callgear.errors import UNAUTHENTICATED, RefusedError
from cdrctl.sandbox.callgear.fields import Record
from cdrctl.sandbox.callgear.state import State
from cdrctl.sandbox.exchange.clock import DAY, SECOND

_SPANS = {"day": DAY, "minute": 60 * SECOND}


@dataclass(slots=True)
class Budget:
    """Points spent in the current minute and the current day, both counted from the Unix epoch."""

    spent: dict[str, tuple[int, int]] = field(default_factory=dict)

    def points(self, span: str, number: int) -> int:
        """Count the points spent in a span of time."""
        known, points = self.spent.get(span, (number, 0))
        return points if known == number else 0

    def spend(self, time: int) -> None:
        """Spend one point at a time given in Unix milliseconds."""
        for span, length in _SPANS.items():
            number = time // length
            self.spent[span] = number, self.points(span, number) + 1


def limits_of(state: State, budget: Budget) -> Record:
    """Make `metadata.limits`: points, and seconds until the next minute and the next day."""
    now = state.time
    numbers: Record = {}
    for span, length in _SPANS.items():
        most = int(state.switched[f"{span}_limit"])
        numbers[f"{span}_limit"] = most
        numbers[f"{span}_remaining"] = max(0, most - budget.points(span, now // length))
        numbers[f"{span}_reset"] = -(-(length - now % length) // SECOND)
    return numbers


def limits_if_on(state: State, budget: Budget) -> Record:
    """Make `metadata.limits`, empty unless the limits are switched on."""
    return limits_of(state, budget) if state.switched["limits"] == "on" else {}


def check_limits(state: State, budget: Budget) -> None:
    """Refuse the request if its minute or its day has no points left."""
    numbers = limits_if_on(state, budget)
    for span in _SPANS:
        if numbers and not numbers[f"{span}_remaining"]:
            params = {"limit_type": span, "limit_max_value": numbers[f"{span}_limit"]}
            raise RefusedError("limit_exceeded", params=params, metadata={"limits": numbers})


def error_metadata(state: State, mnemonic: str, budget: Budget) -> Record:
    """Make the metadata of an error: the limits, unless they are off or the caller is not signed in."""
    if state.switched["limits"] != "on" or mnemonic in UNAUTHENTICATED:
        return {}
    return {"limits": limits_of(state, budget)}
