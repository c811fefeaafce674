"""All legs of a Webex call are found by any id that they share, in a window."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import pytest

from cdrctl.errors import UsageError
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import Query
from cdrctl.fetchers.webex import PROVIDER
from cdrctl.fetchers.webex.legs_of_call import DAY, JOINS, NAMES, LegSearch
from cdrctl.records.schemas import raw
from cdrctl.sandbox import Exchange
from cdrctl.windows import Window
from tests.support.products import for_each

from .test_webex_sandbox import NOW, Process, world
from .webex_kit import h, record

SINCE, UNTIL = h(-40, on=NOW), h(-28, on=NOW)
CALL = PROVIDER.call("legs")


def legs(
    there: Process, wanted: str, since: datetime = SINCE, until: datetime = UNTIL
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the legs and the messages of an export."""
    options = {"id": wanted, "longest_call": timedelta(0), "page_size": 5000}
    window, told = Window(since, until), []
    pieces = CALL.fetch(Query(there.client, there.settings, window, options))
    pages = rows(pieces, CALL, raw(), window, Tally(), lambda _level, text: told.append(text))
    return [dict(one) for page in pages for one in page], told


def found(records: list[dict[str, Any]], wanted: str) -> list[str]:
    search = LegSearch(wanted)
    search.add(records[:1])
    search.add(records[1:])
    return [one["Report ID"] for one in search.found()]


def calls_of(there: Process) -> dict[str, set[str]]:
    """Return the Report IDs of the window's records by the call that they belong to in the exchange."""
    whole: defaultdict[str, set[str]] = defaultdict(set)
    for one in there.sandbox.truth("webex", "cdrs", SINCE, UNTIL):
        whole[one["Interaction ID"]].add(one["Report ID"])
    return whole


@pytest.mark.slow
@pytest.mark.thin
@pytest.mark.parametrize("keys", ["2026", "2025", "doc_case"])
def test_every_id_of_a_call_finds_all_its_legs(keys: str) -> None:
    """With and without an Interaction ID; some calls are transferred, or in queues."""
    with world() as there:
        whole = calls_of(there)
        there.sandbox.switch("webex", "keys", keys)
        chosen = sorted(whole.values(), key=len)[-12:] + list(whole.values())[:8]
        records = there.sandbox.truth("webex", "cdrs", SINCE, UNTIL)
        records = [one for one in records if any(one["Report ID"] in members for members in chosen)]
        sizes = set()
        for members in chosen:
            sizes.add(len(members))
            for one in (one for one in records if one["Report ID"] in members):
                for wanted in {str(one[key]) for key in (*NAMES, "Interaction ID") if one.get(key)}:
                    assert set(found(records, wanted)) == members, wanted
        assert len(sizes) > 2


def test_legs_come_oldest_first_with_a_note_about_the_window() -> None:
    with world() as there:
        members = max(calls_of(there).values(), key=len)
        wanted = min(members)
        came, told = legs(there, wanted.upper())
        assert {one["Report ID"] for one in came} == members
        assert [one["Start time"] for one in came] == sorted(one["Start time"] for one in came)
        assert any(text.startswith("searched among") for text in told)


def test_unknown_id_gets_a_note_with_a_hint() -> None:
    with world() as there:
        came, told = legs(there, "29741232:0")
        assert came == []
        [text] = [text for text in told if "no record with the id 29741232:0" in text]
        assert "--since" in text


@for_each("empty", ["404", "200", "204"])
def test_a_window_without_calls_has_no_legs(empty: str) -> None:
    with world({"empty": empty}, Exchange(calls=[])) as there:
        assert legs(there, "x")[0] == []


def test_empty_id_is_refused_before_a_request() -> None:
    with world() as there:
        with pytest.raises(UsageError):
            legs(there, " ")
        assert there.sandbox.requests == []


def leg(name: str, hours: float, **ids: str) -> dict[str, Any]:
    return record(name, h(hours)) | {key.replace("_", " "): value for key, value in ids.items()}


@for_each("group", sorted(JOINS))
def test_equal_ids_join_legs_under_any_keys_of_a_group(group: str) -> None:
    for one in JOINS[group]:
        for other in JOINS[group]:
            records = [leg("a", 1, **{one: "77:0"}), leg("b", 2, **{other: "77:0"}), leg("c", 2, **{one: "78:0"})]
            assert found(records, "a") == ["a", "b"]


def test_local_call_id_repeated_days_later_is_another_call() -> None:
    days = DAY / timedelta(hours=1)
    records = [leg("a", 0, Local_call_ID="1:0"), leg("b", days, Remote_call_ID="1:0")]
    assert found(records, "a") == ["a", "b"]
    records = [leg("a", 0, Local_call_ID="1:0"), leg("b", days + 0.1, Remote_call_ID="1:0")]
    assert found(records, "a") == ["a"]
    assert found(records, "1:0") == ["a", "b"]  # the id is that of both


@for_each("nothing", ["", "NA", "N/A", "0" * 32, None])
def test_placeholders_for_ids_join_no_legs(nothing: Any) -> None:
    records = [{**leg("a", 1), "Interaction ID": nothing}, {**leg("b", 1), "Interaction ID": nothing}]
    assert found(records, "a") == ["a"]
    assert found(records, str(nothing)) == []


def test_leg_without_a_start_is_found() -> None:
    records = [{"Report ID": "a", "Network call ID": "n"}, leg("b", 1, Network_call_ID="n"), {"Report ID": ["odd"]}]
    assert found(records, "a") == ["b", "a"]
