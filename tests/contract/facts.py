"""What the contract suite cannot learn from a provider's own description: one entry of data each, or none.

A provider without an entry is tested with the sandbox's switches one by one, at every value they name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Case:
    """A way the provider may behave.

    Args:
        switches: Of the sandbox, as `name=value`.
        options: Of the command, as they are typed.
        calls: The calls it is about; empty for all.
        said: Records may be missing, if the export says so.
    """

    switches: tuple[str, ...]
    options: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    said: bool = False

    def __str__(self) -> str:
        return " ".join((*self.switches, *self.options)) or "default"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is peculiar to a provider.

    Args:
        always: Switches set in every test, so that small exports have many pages.
        refuses: Values of switches under which nothing can be exported, as `name=value`, and the exit code of each.
        cases: Behaviour beside the switches' own words: numbers, and switches that matter together.
        back: By call, how far back it goes where that is less than two days.
    """

    always: tuple[str, ...] = ()
    refuses: Mapping[str, int] = field(default_factory=dict)
    cases: tuple[Case, ...] = ()
    back: Mapping[str, timedelta] = field(default_factory=dict)


FACTS: Mapping[str, Facts] = {
    "webex": Facts(
        always=("max_floor=1",),
        refuses={"region=451_please_use": 6, "region=451_url": 6, "scope=missing": 4},
        cases=(
            Case(("late=0.3",)),
            Case(("late=1", "filter=end")),
            Case(("filter=end", "bounds=closed", "order=shuffled", "page_overlap=on", "link=doc")),
            Case(("filter=end", "empty_page=items", "empty=200")),
            Case(("empty_page=no_items", "page_overlap=on", "keys=doc_case")),
            Case(("limits=on", "retry_after=none"), calls=("cdrs",)),
            Case(("limits=on", "retry_after=http_date", "shared_limit=off"), calls=("cdrs",)),
            Case(("filter=end",), ("--longest-call", "10h"), ("cdrs",)),
            Case(("filter=start",), ("--longest-call", "0s"), ("cdrs",)),
        ),
        back={"stream": timedelta(hours=7, minutes=50)},
    ),
    "kazoo": Facts(
        refuses={"account=expired": 4, "fail_chunk=1": 5},
        cases=(
            *(Case((f"version={version}", "same_second=19")) for version in ("5.0", "5.x", "4.2", "4.0", "3.22")),
            *(Case((f"version={version}", "strip_empty=on")) for version in ("5.0", "4.2", "4.0")),
            Case(("version=5.x", "straddle=found", "month_cursor=right")),
            Case(("month_cursor=right", "straddle=found")),
            Case(("max_range=60000",), calls=("cdrs",)),
            Case(("max_range=60000", "version=5.x", "same_second=3"), calls=("cdrs",)),
            Case(("max_range=70000",), ("--longest-call", "570m"), ("interactions",)),
            Case(("max_range=9000",), said=True),
            Case(("memory_limit=12",), said=True),
            Case(("late_save=120",)),
            Case(("late_save=7200", "version=4.3")),
            Case(("fail_chunk=2",), ("--page-size", "120")),
            Case(("fail_chunk=2", "version=5.x"), ("--page-size", "90")),
            Case(("cut_body=1",)),
            Case(("cut_body=4",)),
            Case(("limits=on", "token_ttl=1")),
            Case(("archived=202612",)),
        ),
    ),
}
