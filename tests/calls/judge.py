"""Compares calls with the truth of the sandbox's exchange, and prints a table: `python -m tests.calls.judge`.

A column that is null is not told, which is not wrong. A call that lacks a record must be marked, or have right columns.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cdrctl.calls.columns import CALL
from cdrctl.calls.rows import Told, call_rows
from cdrctl.sandbox import PROVIDERS, Call, Exchange
from cdrctl.sandbox.exchange.clock import milliseconds
from cdrctl.sandbox.exchange.parties import PEOPLE
from cdrctl.sandbox.exchange.truth import CallTruth, truth_of
from cdrctl.sandbox.voicenter.numbers import sip_code
from cdrctl.windows import Window
from tests.calls.truth_kit import BOXES, all_legs, legs_of

Row = dict[str, Any]

REACH = timedelta(hours=6)
QUEUES = frozenset({"Sales", "Overflow", "3001", "3003"})
"""What a user names with `--queue` where the provider does not tell queues from other services."""

NAMES = tuple(one.name for one in CALL)
UNTOLD = {"machine": {"abandoned", "voicemail", "answered"}, "unknown": None}
"""Outcomes that say that the records do not tell more, and what they may stand for."""

ROUNDED = {"voicenter": 3}
"""How many times a second may be lost: Voicenter's times are sums of whole seconds."""

_SECOND = 1000


@dataclass
class Judged:
    """The counts of one provider, and what was wrong: by column, story and kind, with an example."""

    calls: int = 0
    grouped: int = 0
    outcome: int = 0
    every: int = 0
    marked: int = 0
    lost: int = 0
    silent: int = 0
    wrong: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], tuple[Call, Row | None]] = field(default_factory=dict)

    def note(self, what: str, call: Call, row: Row | None) -> None:
        """Count something wrong."""
        key = what, call.story or call.kind
        self.wrong[key] += 1
        self.examples.setdefault(key, (call, row))


def rows_of(
    name: str,
    exchange: Exchange,
    since: datetime,
    until: datetime,
    *,
    now: datetime | None = None,
    switches: Mapping[str, str] | None = None,
) -> list[Row]:
    """Return the calls that a provider's records of a window make, as `cdrctl calls` does."""
    known = Window(since - REACH, until + REACH)
    legs = all_legs(name, exchange, known.since, known.until, now=now, switches=switches)
    boxes = BOXES if name in {"callgear", "portsip"} else frozenset[str]()
    queues = QUEUES if name in {"callgear", "portsip"} else frozenset[str]()
    told = Told(name, "judge", Window(since, until), known, REACH, boxes, queues)
    return [dict(zip(NAMES, row, strict=True)) for page in call_rows([legs], told) for row in page]


def judge(
    name: str,
    exchange: Exchange,
    since: datetime,
    until: datetime,
    *,
    switches: Mapping[str, str] | None = None,
) -> Judged:
    """Compare the calls of a window with the truth."""
    rows = {frozenset(row["leg_ids"]): row for row in rows_of(name, exchange, since, until, switches=switches)}
    found = Judged()
    for call in exchange.calls(since, until):
        ids = legs_of(name, call, switches=switches)
        if ids:
            _judge_call(found, name, call, truth_of(call), rows.pop(ids, None))
    return found


def _judge_call(found: Judged, name: str, call: Call, truth: CallTruth, row: Row | None) -> None:
    bad = [] if row is None else [what for what, is_right in CHECKS.items() if not is_right(row, truth, name)]
    if truth.lost:
        found.lost += 1
        found.marked += row is not None and row["why"] is not None
        if row is None or (row["why"] is None and bad):
            found.silent += 1
            found.note(f"lost record, not marked: {'split' if row is None else bad[0]}", call, row)
        return
    found.calls += 1
    if row is None:
        found.note("split", call, None)
        return
    found.grouped += 1
    found.outcome += "outcome" not in bad
    found.every += not bad
    for what in bad:
        found.note(what if what != "outcome" else f"outcome {truth.outcome} → {row['outcome']}", call, row)


def _near(column: str, true: Callable[[CallTruth], int | None], within: Callable[[CallTruth], int]) -> Any:
    def check(row: Row, truth: CallTruth, _name: str) -> bool:
        if row[column] is None:
            return True
        wanted = true(truth)
        return wanted is not None and abs(int(row[column]) - wanted) <= within(truth)

    return check


def _at(column: str, true: Callable[[CallTruth], int | None], within: int) -> Any:
    def check(row: Row, truth: CallTruth, name: str) -> bool:
        if row[column] is None:
            return True
        wanted = true(truth)
        return wanted is not None and abs(
            milliseconds(datetime.fromisoformat(row[column])) - wanted
        ) <= within * ROUNDED.get(name, 1)

    return check


def _is_outcome(row: Row, truth: CallTruth, _name: str) -> bool:
    return bool(row["outcome"] == truth.outcome)


def _is_transfer(row: Row, truth: CallTruth, _name: str) -> bool:
    return row["transfer"] in {None, "unknown", truth.transfers[0] if truth.transfers else None}


def _is_answerer(row: Row, truth: CallTruth, _name: str) -> bool:
    by: str | None = row["answered_by"]
    if by is None or truth.answered_by in by or by in truth.answered_by:
        return True
    if by.startswith("SIP"):
        return by in {sip_code(one) for one in PEOPLE if one.name == truth.answered_by}
    return any(by[-4:] == number[-4:] for number in truth.answered_numbers if number)


def _is_queue(row: Row, truth: CallTruth, name: str) -> bool:
    if name == "voicenter" and truth.direction == "outbound":
        return True  # the sandbox makes some of its plain calls clicks to a queue
    return row["queue"] is None or bool(truth.queue) or name in {"portsip", "callgear"}  # may be a group or menu


CHECKS: dict[str, Callable[[Row, CallTruth, str], bool]] = {
    "outcome": _is_outcome,
    "direction": lambda row, truth, _: row["direction"] == truth.direction,
    "start_time": _at("start_time", lambda truth: truth.start, _SECOND),
    "answer_time": _at("answer_time", lambda truth: truth.answer, 2 * _SECOND),
    "end_time": _at("end_time", lambda truth: truth.end, _SECOND),
    "from_number": lambda row, truth, _: (
        row["from_number"] is None or row["from_number"][-4:] == truth.from_number[-4:] or truth.direction != "inbound"
    ),
    "to_number": lambda row, truth, _: (
        row["to_number"] is None or row["to_number"][-4:] == truth.to_number[-4:] or truth.direction != "outbound"
    ),
    "answered_by": _is_answerer,
    "queue": _is_queue,
    "queue_wait_seconds": _near("queue_wait_seconds", lambda truth: truth.queue_wait, lambda _: 1),
    "wait_seconds": _near("wait_seconds", lambda truth: truth.wait, lambda _: 2),
    "talk_seconds": _near("talk_seconds", lambda truth: truth.talk, lambda truth: 2 + len(truth.transfers)),
    "hold_seconds": _near("hold_seconds", lambda truth: truth.hold, lambda truth: 1 + len(truth.transfers)),
    "transfers": _near("transfers", lambda truth: len(truth.transfers), lambda _: 0),
    "transfer": _is_transfer,
    "network_answered": lambda row, truth, _: row["network_answered"] in {None, truth.network_answered},
    "complete": lambda row, truth, _: row["why"] is None,
}
"""The columns that are compared: whether a row has the true value, or does not tell it."""


def lines(found: Mapping[str, Judged]) -> Iterator[str]:
    """Yield the lines of the table, and of what was wrong."""
    titles = (
        "calls",
        "legs in the right call",
        "outcome right",
        "every column right",
        "lost a record",
        "marked",
        "wrong",
    )
    yield f"| provider | {' | '.join(titles)} |"
    yield f"|{'---|' * (len(titles) + 1)}"
    for name, one in found.items():
        counts = (one.calls, one.grouped, one.outcome, one.every, one.lost, one.marked, one.silent)
        yield f"| {name} | {' | '.join(map(str, counts))} |"
    for name, one in found.items():
        yield ""
        for (what, story), count in sorted(one.wrong.items(), key=lambda item: (-item[1], item[0])):
            yield f"{name}: {count} of {what} ({story})"


def main() -> None:
    """Print the table of two weeks."""
    parser = argparse.ArgumentParser(prog="python -m tests.calls.judge", description=__doc__)
    parser.add_argument("--since", default="2026-11-16", help="first day (default: 2026-11-16)")
    parser.add_argument("--days", type=int, default=14, help="how many days (default: 14)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stories", default="hard", help="plain or hard (default: hard)")
    parser.add_argument("--switch", action="append", default=[], metavar="PROVIDER.NAME=VALUE")
    parser.add_argument("--examples", action="store_true", help="print a call for each thing that was wrong")
    parser.add_argument("providers", nargs="*", default=list(PROVIDERS))
    asked = parser.parse_args()
    since = datetime.fromisoformat(asked.since).replace(tzinfo=UTC)
    switches: dict[str, dict[str, str]] = {}
    for text in asked.switch:
        whole, _, value = text.partition("=")
        provider, _, switch = whole.partition(".")
        switches.setdefault(provider, {})[switch] = value
    exchange = Exchange(asked.seed, stories=asked.stories)
    until = since + timedelta(days=asked.days)
    found = {name: judge(name, exchange, since, until, switches=switches.get(name)) for name in asked.providers}
    say = sys.stdout.write
    for line in lines(found):
        say(f"{line}\n")
    for one in found.values() if asked.examples else ():
        for key, (call, row) in one.examples.items():
            say(f"\n{key}\n{truth_of(call)}\n{row}\n")
            for leg in call.legs:
                told = (leg.id, leg.party.name, leg.direction, leg.start, leg.answer, leg.end, leg.cause, leg.lost)
                say(f"    {told}\n")


if __name__ == "__main__":
    main()
