"""Compares every figure of a week with the truth's own sums in Python: `python -m tests.figures.judge`.

A figure is equal, null with a reason, or wrong. Lengths are cut to seconds by the providers: sums of them may differ by
as many seconds as there are calls. Calls that lack a record are left out: `tests.calls.judge` has them.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cdrctl.figures.definitions import NAMES
from cdrctl.sandbox import PROVIDERS, Call, Exchange
from cdrctl.sandbox.exchange.clock import DAY, MINUTE, milliseconds
from cdrctl.sandbox.exchange.truth import CallTruth, truth_of
from cdrctl.sandbox.truth import records_of
from tests.calls.judge import rows_of
from tests.calls.truth_kit import legs_of
from tests.support.runner import run

Quotient = tuple[Decimal, Decimal | None]
LENGTHS = {"acd", "talk", "hold", "asa", "traffic"}
"""Figures that are sums of lengths."""

_REACHED = {"busy", "no_answer", "cancelled", "rejected"}
_THRESHOLD, _QUICK, _SHORT = 20, 5, 6


def true_figures(name: str, calls: Sequence[Call], since: datetime, until: datetime) -> dict[str, Quotient]:
    """Return the numerator and the denominator of each figure, computed from the truth of calls."""
    truths = [truth_of(call) for call in calls]
    answered = [one for one in truths if one.outcome == "answered"]
    inbound = [one for one in truths if one.direction == "inbound"]
    talk = sum(one.talk for one in truths)
    hours = (until - since) / timedelta(hours=1)
    missed = [one for one in inbound if one.outcome != "answered"]
    found: dict[str, tuple[float, float | None]] = {
        "calls": (len(truths), None),
        "answered": (len(answered), None),
        "asr": (sum(one.network_answered for one in truths), len(truths)),
        "ner": (sum(one.network_answered or one.outcome in _REACHED for one in truths), len(truths)),
        "answer_rate": (len(inbound) - len(missed), len(inbound)),
        "acd": (sum(one.talk for one in answered), len(answered)),
        "talk": (talk, None),
        "hold": (sum(one.hold for one in answered), len(answered)),
        "short": (sum(one.talk < _SHORT for one in answered), len(answered)),
        "transferred": (sum(bool(one.transfers) for one in answered), len(answered)),
        "missed": (len(missed), None),
        "not_called_back": _not_called_back(truths, missed, milliseconds(until)),
        "retries": (_retries(truths), len(truths)),
        "repeat_callers": _repeat_callers(inbound),
        "traffic": (talk / 3600, hours),
        "peak": (_peak(truths), None),
        **_of_queues(truths),
    }
    exact = {key: (Decimal(str(up)), None if down is None else Decimal(str(down))) for key, (up, down) in found.items()}
    return {**exact, "cost": (_cost(name, calls), None)}


def _of_queues(truths: Sequence[CallTruth]) -> dict[str, tuple[float, float]]:
    queued = [one for one in truths if one.queue_wait is not None]
    served = [one for one in queued if one.outcome == "answered"]
    within = sum((one.queue_wait or 0) <= _THRESHOLD for one in served)
    quick = sum(one.outcome == "abandoned" and (one.queue_wait or 0) <= _QUICK for one in queued)
    left = sum(one.outcome == "abandoned" for one in queued) - quick
    return {
        "abandonment": (left, len(queued) - quick),
        "service_level": (within, len(queued)),
        "service_level_without_quick": (within, len(queued) - quick),
        "service_level_with_quick": (within + quick, len(queued)),
        "asa": (sum(one.queue_wait or 0 for one in served), len(served)),
    }


def _retries(truths: Sequence[CallTruth]) -> int:
    before: dict[tuple[str, str], CallTruth] = {}
    count = 0
    for one in truths:
        last = before.get((one.from_number, one.to_number))
        count += last is not None and last.outcome != "answered" and one.start - last.start <= 10 * MINUTE
        before[one.from_number, one.to_number] = one
    return count


def _repeat_callers(inbound: Sequence[CallTruth]) -> tuple[int, int]:
    starts: dict[str, list[int]] = defaultdict(list)
    for one in inbound:
        starts[one.from_number].append(one.start)
    again = sum(any(b - a <= DAY for a, b in pairwise(some)) for some in starts.values())
    return again, len(starts)


def _not_called_back(truths: Sequence[CallTruth], missed: Sequence[CallTruth], until: int) -> tuple[int, int]:
    talked: dict[str, list[int]] = defaultdict(list)
    for one in truths:
        if one.outcome == "answered":
            talked[(one.from_number if one.direction == "inbound" else one.to_number)[-9:]].append(one.start)
    over = [one for one in missed if one.start < until - DAY]
    open_ = [one for one in over if not any(one.start < at <= one.start + DAY for at in talked[one.from_number[-9:]])]
    return len(open_), len(over)


def _peak(truths: Sequence[CallTruth]) -> int:
    there = most = 0
    for _, change in sorted([(one.start, 1) for one in truths] + [(one.end, -1) for one in truths]):
        there += change
        most = max(most, there)
    return most


def _cost(name: str, calls: Sequence[Call]) -> Decimal:
    total = Decimal(0)
    for call in calls if name in {"kazoo", "voicenter"} else ():
        for record in records_of(name, call):
            if name == "voicenter":
                total += Decimal(str(record["Price"])) / 100
            elif record["call_type"] == "per_minute":
                total += Decimal(record["cost"]) / 10_000
    return total


def told_figures(name: str, exchange: Exchange, since: datetime, until: datetime) -> list[dict[str, str]]:
    """Return the rows that `cdrctl stats` prints of a provider's calls."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "calls.jsonl"
        rows = rows_of(name, exchange, since, until)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        bounds = ("--since", since.isoformat(), "--until", until.isoformat())
        ran = run("stats", path, *bounds, "-f", "csv").ok()
    return list(csv.DictReader(io.StringIO(ran.out)))


def judge(name: str, exchange: Exchange, since: datetime, until: datetime) -> Iterator[tuple[str, str, str]]:
    """Yield each figure with what it is (equal, null or wrong), and both values or the reason."""
    seen = [call for call in exchange.calls(since - timedelta(hours=9), until) if not truth_of(call).lost]
    given = Exchange("week", seen)
    calls = [call for call in given.calls(since, until) if legs_of(name, call)]
    true = true_figures(name, calls, since, until)
    for row in told_figures(name, given, since, until):
        figure = row["figure"]
        if not row["value"]:
            yield figure, "null" if row["why"] else "wrong", row["why"]
            continue
        got = tuple(Decimal(row[one]) if row[one] else None for one in ("numerator", "denominator"))
        wanted = true[figure]
        near = len(calls) if figure in LENGTHS else _close_calls(calls) if figure.startswith("service_level") else 0
        yield (
            figure,
            "equal" if _agree(figure, got, wanted, near) else "wrong",
            f"{_text(got)}, true {_text(wanted)}",
        )


def _agree(figure: str, got: Sequence[Decimal | None], wanted: Quotient, near: int) -> bool:
    up, down = got
    within = Decimal(near) / (3600 if figure == "traffic" else 1)
    return up is not None and abs(up - wanted[0]) <= within and down == wanted[1]


def _close_calls(calls: Sequence[Call]) -> int:
    """Return how many waits are so near the threshold that cut seconds decide."""
    waits = [truth_of(call).queue_wait for call in calls]
    return sum(wait is not None and abs(wait - _THRESHOLD) <= 1 for wait in waits)


def _text(quotient: Sequence[Any]) -> str:
    return " of ".join(f"{one:.4f}".rstrip("0").rstrip(".") for one in quotient if one is not None)


def main() -> None:
    """Print a table of the figures of one week."""
    parser = argparse.ArgumentParser(prog="python -m tests.figures.judge", description=__doc__)
    parser.add_argument("--since", default="2026-11-23", help="first day (default: 2026-11-23)")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--stories", default="hard")
    parser.add_argument("providers", nargs="*", default=list(PROVIDERS))
    asked = parser.parse_args()
    since = datetime.fromisoformat(asked.since).replace(tzinfo=UTC)
    until = since + timedelta(days=asked.days)
    exchange = Exchange(1, stories=asked.stories)
    found = {
        name: {one: (what, why) for one, what, why in judge(name, exchange, since, until)} for name in asked.providers
    }
    say = sys.stdout.write
    say(f"| figure | {' | '.join(found)} |\n|{'---|' * (len(found) + 1)}\n")
    for figure in NAMES:
        say(f"| {figure} | {' | '.join(one.get(figure, ('not printed', ''))[0] for one in found.values())} |\n")
    for name, figures in found.items():
        for figure, (what, why) in figures.items():
            if what != "equal":
                say(f"{name} {figure}: {what}: {why}\n")


if __name__ == "__main__":
    main()
