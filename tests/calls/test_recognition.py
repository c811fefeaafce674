"""Files of raw and native legs are told apart, also if the first record has a time that cdrctl cannot read."""

from __future__ import annotations

from cdrctl.calls.recognition import recognize
from cdrctl.fetchers import load
from tests.calls.truth_kit import PROVIDER_NAMES, joined_call
from tests.support.products import for_each

NATIVE, RAW = "2026-11-10T08:00:00.123Z", "2026-11-10 08:00:00"


@for_each("name", PROVIDER_NAMES)
def test_one_time_as_cdrctl_writes_it_makes_a_record_native(name: str) -> None:
    columns = joined_call(load(name)).columns
    times = [column.name for column in columns if column.kind == "time"]
    whole = {column.name: NATIVE if column.kind == "time" else "x" for column in columns}
    for odd in ({}, {times[0]: "2026-11-10T25:61:00"}, {times[0]: None}, dict.fromkeys(times)):
        assert recognize({**whole, **odd}, None, "legs.jsonl").native


@for_each("name", PROVIDER_NAMES)
def test_times_of_the_provider_make_a_record_raw(name: str) -> None:
    columns = joined_call(load(name)).columns
    whole = {column.key: RAW if column.kind == "time" else "x" for column in columns}
    assert not recognize(whole, None, "legs.jsonl").native
