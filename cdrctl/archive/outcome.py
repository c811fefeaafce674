"""What a run did for one call of one profile."""

from __future__ import annotations

from msgspec import Struct, field

from cdrctl.archive.fetching import Source
from cdrctl.records.events import number_of_records
from cdrctl.windows import Window


class Outcome(Struct):
    """What a run did for one call of one profile: numbers of records, and the problems by day.

    Args:
        gone: Records that the provider no longer has, whether kept or removed.
        failed: Why a day is incomplete, by day.
        beyond_lookback: Of the late records, those that came later than the lookback.
        gone_on: How many records of a day are gone at the provider and kept, by day.
        beyond_on: How many records of a day came later than the lookback, by day.
        swept: How many settled days were read again.
        lost: The missing periods that are newly found to be beyond the provider's retention.
        missing: The days whose file was deleted, which only `fill` reads again.
        not_offered: Why the provider does not have an optional call; empty if it has.
        error: The error that ended the run.
    """

    days: int = 0
    fetched: int = 0
    new: int = 0
    late: int = 0
    beyond_lookback: int = 0
    changed: int = 0
    gone: int = 0
    duplicate: int = 0
    pages: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    gone_on: dict[str, int] = field(default_factory=dict)
    beyond_on: dict[str, int] = field(default_factory=dict)
    swept: int = 0
    lost: list[Window] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    not_offered: str = ""
    error: BaseException | None = None


def log_odd_records(source: Source, outcome: Outcome) -> None:
    """Log which days have records that are gone at the provider, and which got records later than the lookback."""
    if outcome.gone_on:
        count, named = sum(outcome.gone_on.values()), ", ".join(outcome.gone_on)
        source.log(
            "warning",
            f"no longer at the provider, and kept in the archive: {number_of_records(count)} of {named}; "
            "--allow-shrink removes such records",
        )
    if outcome.beyond_on:
        source.log(
            "warning",
            f"came later than the lookback: {number_of_records(outcome.beyond_lookback)} of "
            f"{', '.join(outcome.beyond_on)}; cdrctl coverage --lateness suggests a longer --lookback",
        )
