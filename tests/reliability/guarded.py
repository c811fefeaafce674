"""Faults of records, windows and archives, as data: what the user gets, and which tests show it.

Each test reproduces its fault by a switch of the sandbox or by changes to files.
"""

from __future__ import annotations

from dataclasses import dataclass

ALL = "all"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A fault that tests in other folders reproduce.

    Args:
        name: The fault.
        providers: The providers that may have it.
        outcome: The exit code and what the user gets.
        tests: The tests that show it, as `file::function` below `tests`.
    """

    name: str
    providers: str
    outcome: str
    tests: tuple[str, ...]


_TOTALS = (
    "contract/test_windows_tile.py::test_windows_tile",
    "http/test_pagers.py::test_no_total_ends_paging_after_a_full_page",
)
_ODD = "contract/test_odd_records.py::"
_ZONES = "fetchers/test_voicenter_zones.py::"

GUARDED: tuple[Guarded, ...] = (
    Guarded("a total of zero, of one page, or of half the records", "callgear, portsip", "0: all", _TOTALS),
    Guarded("a total that shrinks from page to page", "callgear, portsip", "0: all", _TOTALS),
    Guarded("a total that is missing or not a number", "callgear, portsip", "0: all", _TOTALS),
    Guarded(
        "a start in the future",
        ALL,
        "0: the record is kept, and one warning",
        (f"{_ODD}test_record_that_starts_in_the_future_is_kept_with_a_warning",),
    ),
    Guarded(
        "records with the same id and different content",
        ALL,
        "0: all are kept, and one warning",
        (
            f"{_ODD}test_different_records_with_the_same_id_are_all_kept",
            f"{_ODD}test_windows_tile_when_records_share_an_id",
        ),
    ),
    Guarded(
        "a time of year 1, 1970 or 9999, or zero, for an event that did not happen",
        ALL,
        "0: no time",
        ("test_placeholders.py::test_no_time_column_has_a_placeholder",),
    ),
    Guarded(
        "windows whose ends are included or not",
        ALL,
        "0: each call is in one window",
        (
            "contract/test_bounds.py::test_windows_that_meet_at_the_start_of_a_call_have_it_once",
            "contract/test_bounds.py::test_archive_has_a_call_at_midnight_once",
        ),
    ),
    Guarded(
        "a window on the end of the call, or on the time when it was saved",
        "voicenter",
        "0: all by their starts",
        (f"{_ZONES}test_export_has_the_calls_of_the_window_with_every_selection_and_zone",),
    ),
    Guarded(
        "dates without a zone, in Israel's time",
        "voicenter",
        "0: the zone is detected, and a note names it",
        (
            f"{_ZONES}test_export_has_the_calls_of_the_window_with_every_selection_and_zone",
            f"{_ZONES}test_detected_zone_gets_one_note_and_a_setting_saves_the_request",
        ),
    ),
    Guarded(
        "dates without a zone, and no record that proves it",
        "voicenter",
        "**3**: `date_zone` is named",
        (f"{_ZONES}test_zone_without_proof_is_incomplete",),
    ),
    Guarded(
        "records that the provider drops between two runs of `sync`",
        ALL,
        "**3**: they are kept; `--allow-shrink` removes them",
        ("archive/test_dropped.py::test_a_record_that_the_provider_drops_stays",),
    ),
    Guarded(
        "records that have another id at the second run of `sync`",
        ALL,
        "0: each is kept once",
        ("archive/test_dropped.py::test_a_record_that_has_another_id_is_kept_once",),
    ),
    Guarded(
        "records without an id whose content changes",
        "voicenter",
        "0: each is kept once",
        ("archive/test_dropped.py::test_a_record_without_an_id_that_has_another_content_is_kept_once",),
    ),
    Guarded(
        "a wrong clock during one `sync`",
        ALL,
        "**3** where it is a day ahead or more; the next syncs fetch everything",
        ("archive/test_clock.py::test_the_next_nights_mend_what_a_wrong_clock_did",),
    ),
    Guarded(
        "a file of a day without its index, and fewer records at the provider",
        ALL,
        "**3**: all lines are kept, and the file is kept aside",
        ("archive/test_kept.py::test_a_file_without_its_index_loses_nothing",),
    ),
    Guarded(
        "a file of a day that was edited",
        ALL,
        "0: it is kept aside, and the day is corrected",
        (
            "archive/test_kept.py::test_what_another_hand_wrote_is_put_in_order",
            "archive/test_kept.py::test_nothing_that_was_moved_aside_is_ever_overwritten",
        ),
    ),
    Guarded(
        "a profile that points to another account",
        ALL,
        "**6**: nothing is touched; `--adopt` is named",
        ("archive/test_owner.py::test_another_account_is_refused_and_nothing_is_touched",),
    ),
    Guarded(
        "a folder of the archive that cannot be read",
        ALL,
        "**3**: a rebuild changes nothing",
        ("archive/test_unreadable.py::test_a_rebuild_that_cannot_read_something_changes_nothing",),
    ),
)
