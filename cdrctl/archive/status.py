"""The calls in an archive as its ledger has them, and their status: what is complete or missing, and how old it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from msgspec import Struct, field, structs

from cdrctl.archive.calendar import DayCoverage, coverage
from cdrctl.archive.calls_store import StoredCalls, stored_calls
from cdrctl.archive.erased import erased_counts
from cdrctl.archive.index import reading_archive
from cdrctl.archive.intervals import CLOCKS_MAY_DIFFER, Reading, is_dated_after
from cdrctl.archive.lateness import Lateness, added
from cdrctl.archive.ledger import FileEntry, KeptCall
from cdrctl.archive.ledger2 import with_ledgers
from cdrctl.archive.ledgers import AnyLedger
from cdrctl.archive.options import call_options_of
from cdrctl.archive.store import FIRST_LAYOUT, Archive, sizes_in
from cdrctl.archive.whole_days import PlainFile, WholeDays
from cdrctl.errors import ConfigurationError
from cdrctl.fetchers import PROVIDERS, Call, load


class ArchivedCall(Struct, frozen=True):
    """One call of a profile in an archive.

    Args:
        kept: Its entry in the ledger.
        call: The call; None if this version does not know its provider.
        readings: Its readings by day, but those of `complete`.
        files: The entries of its files, but those of `complete`.
        days: Its coverage, oldest day first; empty without `call`.
        lateness: How late its records came, by day, for the days that have been read again.
        stored: What is stored of the whole calls that these legs make; None if nothing is.
        complete: Complete days as its ledger has them: their readings and files need not be parsed.
    """

    kept: KeptCall
    call: Call | None
    readings: Mapping[str, Sequence[Reading]]
    files: Sequence[FileEntry]
    days: Sequence[DayCoverage]
    lateness: Mapping[str, Lateness] = field(default_factory=dict)
    stored: StoredCalls | None = None
    complete: WholeDays = WholeDays(UTC, {})

    def all_files(self) -> dict[str, FileEntry | PlainFile]:
        """Return the files by day."""
        return {**self.complete.files(), **{one.day: one for one in self.files}}


def archived_calls(
    archive: Archive, ledger: AnyLedger, now: datetime, names: Iterable[tuple[str, str]]
) -> Iterator[ArchivedCall]:
    """Yield these calls of an archive, one at a time; those that it does not keep are left out.

    Args:
        archive: The archive.
        ledger: Its ledger.
        now: The present instant.
        names: The profile and the name of each call.
    """
    erased = erased_counts(archive)
    for name in with_ledgers(archive, names):
        kept = ledger.kept_call(*name)
        if kept is None:
            continue
        call = call_of(kept)
        options = None if call is None else _present_options(archive, kept, call)
        complete = _complete_days(archive, kept, call, ledger.whole_days(*name), now, options)
        files, readings = ledger.files(*name, without=complete.days), ledger.readings(*name, complete.days)
        records = {day: one.file.records if one.file is not None else 0 for day, one in complete.days.items()}
        days = [] if call is None else [*coverage(archive, call, kept, readings, files, now, options, records)]
        counts = erased.get(kept.profile, {}).get(kept.call, {})
        if counts:
            days = [day._replace(erased=counts.get(day.day, 0)) for day in days]
        found = ArchivedCall(kept, call, readings, files, days, ledger.lateness(*name), complete=complete)
        if archive.layout != FIRST_LAYOUT:
            with reading_archive(archive.folder):
                digests = {day: one.sha256 for day, one in found.all_files().items()}
                found = structs.replace(found, stored=stored_calls(archive, kept, digests))
        yield found


def _complete_days(
    archive: Archive, kept: KeptCall, call: Call | None, whole: WholeDays, now: datetime, options: str | None
) -> WholeDays:
    """Return days that are complete: final, read without options, and with the file of the ledger if they have one."""
    if call is None or options:
        return WholeDays(whole.zone, {})
    size_of, (before, after) = sizes_in(archive.folder), archive.around_day(kept.profile, kept.call)
    final = whole.final(call.timing.lookback, now + CLOCKS_MAY_DIFFER, lambda text: not text)
    found = {
        day: one
        for day, one in whole.days.items()
        if day in final and (one.file is None or size_of(f"{before}{day}{after}") == one.file.bytes)
    }
    return WholeDays(whole.zone, found)


def _present_options(archive: Archive, kept: KeptCall, call: Call) -> str | None:
    """Return the options with which a call is read now, as JSON; None if `archive.toml` has a mistake there."""
    try:
        return call_options_of(archive.folder, archive.settings, kept.profile, load(kept.provider), call).text
    except ConfigurationError:
        return None


def call_of(kept: KeptCall) -> Call | None:
    """Return the call of an entry of the ledger; None if this version does not know it, or its provider."""
    if kept.provider in PROVIDERS:
        with suppress(StopIteration):
            return load(kept.provider).call(kept.call)
    return None


class CallStatus(Struct, frozen=True):
    """The status of one call of a profile.

    Args:
        kept: The call.
        last_success: When the provider was last queried successfully; None if it never was.
        newest_complete_day: The last day whose records are all there and final; None if there is none.
        holes: Days in which something is missing that the provider may still have; None if it is not known.
        beyond: Days in which something is missing that the provider no longer keeps; None if it is not known.
        late: Records that came later than the lookback; None if it is not known, because no day has been swept.
        records: Records in all files.
        size: Bytes of all files.
        stored: What is stored of the whole calls; None if nothing is.
    """

    kept: KeptCall
    last_success: datetime | None
    newest_complete_day: str | None
    holes: int | None
    beyond: int | None
    late: int | None
    records: int
    size: int
    stored: StoredCalls | None = None

    def is_older_than(self, age: timedelta, now: datetime) -> bool:
        """Return whether the last success is longer ago than `age`, or there never was one."""
        return self.last_success is None or now - self.last_success > age


def call_status(one: ArchivedCall, now: datetime) -> CallStatus:
    """Return the status of a call."""
    states = [day.state for day in one.days]
    complete = [day.day for day in one.days if day.state == "complete"]
    late = added(one.lateness.values())
    return CallStatus(
        one.kept,
        max(filter(None, (last_success(one.readings.values(), now), one.complete.last_success())), default=None),
        complete[-1] if complete else None,
        None if one.call is None else states.count("hole"),
        None if one.call is None else states.count("beyond"),
        late.beyond if late.swept or late.beyond else None,
        sum(file.records for file in one.all_files().values()),
        sum(file.bytes for file in one.all_files().values()),
        one.stored,
    )


def last_success(readings: Iterable[Sequence[Reading]], now: datetime) -> datetime | None:
    """Return the newest instant at which a reading succeeded; one that a wrong clock dated after now does not count."""
    found = [
        one.read_at
        for of_day in readings
        for one in of_day
        if one.state == "done" and one.read_at is not None and not is_dated_after(one, now)
    ]
    return max(found, default=None)
