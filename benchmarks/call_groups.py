"""The groups `calls-*` and `stats-day`: legs in files joined into calls, and figures of calls."""

from __future__ import annotations

from benchmarks.groups import Goal, Group, Row, Server
from benchmarks.legs import JOINED_BY

GROUPED = "the script (orjson, one key)"
COUNTED = "DuckDB, group by"


def call_groups(records: int) -> tuple[Group, ...]:
    """Return the groups.

    Args:
        records: The number of legs.
    """
    return (*(_calls(provider, records) for provider in JOINED_BY), _stats(records))


def _legs(provider: str, count: int) -> tuple[str, str]:
    name = f"{provider}.jsonl"
    return name, f"{{python}} -m benchmarks.legs {provider} {count} {{kept}}/{name}"


def _calls(provider: str, count: int) -> Group:
    """Return the group that compares joining with grouping by one key."""
    key, field = JOINED_BY[provider]
    legs = _legs(provider, count)
    goals = (Goal("≤ 2 × the script", 2, GROUPED), Goal("peak ≤ 150 MB", 150, what="peak"))
    return Group(
        f"calls-{provider}",
        f"Calls of {count:,} legs of {provider}",
        Server("webex", 1, 1),
        (
            Row(
                GROUPED,
                f"{{python}} {{peers}}/grouping.py '{key}' '{field}' {{kept}}/{legs[0]}",
                needs=("orjson",),
                prepared=(legs,),
            ),
            Row(
                "cdrctl calls",
                f"{{cdrctl}} calls {{kept}}/{legs[0]} -o {{out}} -f jsonl",
                prepared=(legs,),
                goals=goals,
            ),
        ),
        GROUPED,
    )


def _stats(count: int) -> Group:
    """Return the group that compares figures of calls in Parquet with a statement of DuckDB."""
    legs, calls = _legs("portsip", count), "calls.parquet"
    prepared = (legs, (calls, f"{{cdrctl}} calls {{kept}}/{legs[0]} -o {{kept}}/{calls} -q"))
    goals = (Goal("≤ 2 × DuckDB", 2, COUNTED), Goal("peak ≤ 300 MB", 300, what="peak"))
    return Group(
        "stats-day",
        f"Calls a day, of {count:,} legs of PortSIP in Parquet",
        Server("webex", 1, 1),
        (
            Row(
                COUNTED,
                f"{{python}} {{peers}}/group_by.py {{kept}}/{calls}",
                needs=("duckdb", "pyarrow"),
                prepared=prepared,
            ),
            Row(
                "cdrctl stats --by day --figures calls",
                f"{{cdrctl}} stats {{kept}}/{calls} --by day --figures calls -f csv",
                needs=("duckdb", "pyarrow"),
                prepared=prepared,
                goals=goals,
            ),
            Row(
                "cdrctl stats, all figures",
                f"{{cdrctl}} stats {{kept}}/{calls} -f csv",
                needs=("duckdb", "pyarrow"),
                prepared=prepared,
                goals=goals[1:],
            ),
        ),
        COUNTED,
    )
