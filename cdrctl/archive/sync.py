"""Bring a call up to date in an archive, a day at a time: each day is durable before the next is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from cdrctl.archive.intervals import Reading, added, day_start, days, done, joined, overlap, settled, whole_day, without
from cdrctl.archive.ledger import Filed, Kept, Ledger
from cdrctl.archive.store import (
    UNKNOWN,
    UNPLACED,
    Archive,
    Counts,
    DayFile,
    Entry,
    load,
    merged,
    milliseconds,
    save,
    told,
)
from cdrctl.errors import (
    CdrctlError,
    ConfigurationError,
    IncompleteError,
    LockedError,
    OutputError,
    SignInError,
    TemporaryError,
)
from cdrctl.export import Tally, Tell, identity_keys, rows, starts_of
from cdrctl.fetchers import Call, identities
from cdrctl.records import Page, Row, Schema, Table, native
from cdrctl.windows import Window, rfc3339
from cdrctl.writers import jsonl
from cdrctl.writers.csv import quoted
from cdrctl.writers.separated import lines
from cdrctl.writers.values import json_of, objects, text_of, utf8

EDGE = timedelta(minutes=5)
"""How far to stay from the edge of what a provider keeps: it moves on while a day is being read."""

BEYOND = "the provider does not keep it any more"

GIVES_UP_AFTER = 3
"""Days in a row that fail for a passing reason, after which the rest is left for the next run."""


@dataclass(frozen=True, slots=True)
class Source:
    """Whom to ask for what: a call of a profile, ready to be asked.

    Args:
        profile: The profile's name.
        provider: The provider's name.
        call: The call.
        fetch: From a window to the pieces of it.
        tell: Told what happens meanwhile.
        clean: Takes secrets out of what is written down, such as the words of a provider.
    """

    profile: str
    provider: str
    call: Call
    fetch: Callable[[Window], Iterator[Any]]
    tell: Tell
    clean: Callable[[str], str] = str


@dataclass(slots=True)
class Outcome:
    """What a run did for one call of one profile, in records, and what went wrong by day."""

    days: int = 0
    fetched: int = 0
    new: int = 0
    late: int = 0
    changed: int = 0
    gone: int = 0
    duplicate: int = 0
    pages: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    lost: list[Window] = field(default_factory=list)
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """One day's part of a run: what of it is to be read."""

    name: str
    window: Window


def reachable_until(call: Call, now: datetime) -> datetime:
    """Return the instant up to which the provider can have the calls by now, in whole seconds."""
    return (now - call.lag).replace(microsecond=0)


def kept_since(call: Call, now: datetime) -> datetime | None:
    """Return the instant from which on the provider still has the calls, with a margin; None where it keeps all."""
    if call.retention is None:
        return None
    return (now - call.retention + EDGE).replace(microsecond=0) + timedelta(seconds=1)


def wanted(
    begins: datetime,
    until: datetime,
    oldest: datetime | None,
    known: Mapping[str, Sequence[Reading]],
    archive: Archive,
    lookback: timedelta,
    *,
    only_holes: bool = False,
) -> tuple[list[Day], list[Window]]:
    """Return what is to be read, a window for each day, oldest first, and what is missing and cannot be had any more.

    Args:
        begins: From when on the archive keeps the call.
        until: How far the provider can be asked by now.
        oldest: From when on it still has the calls.
        known: The readings so far, by day.
        archive: Whose days count.
        lookback: How long after a call its record may still come or change.
        only_holes: Leave alone what has been read with success, however soon.
    """
    if begins >= until:
        return [], []
    parts, lost = [], []
    for day, whole in days(Window(begins, until), archive.zone):
        readings = known.get(day.isoformat(), ())
        missing = without([whole], done(readings))
        open_parts = missing if only_holes else without([whole], settled(readings, lookback))
        if oldest is not None:
            gone = Window(min(begins, oldest) - timedelta(days=1), oldest)
            lost += [past for part in missing if (past := overlap(part, gone)) is not None]
            open_parts = without(open_parts, [gone])
        if open_parts:
            parts.append(Day(day.isoformat(), Window(open_parts[0].since, open_parts[-1].until)))
    return parts, joined(lost)


def from_when(
    archive: Archive, call: Call, now: datetime, lookback: timedelta, since: datetime | None, before: datetime | None
) -> datetime:
    """Return from when on an archive keeps a call: as asked for or as it was, or else from what may still change on."""
    oldest = kept_since(call, now)
    wanted_from = (None if before is not None else now - lookback) if since is None else since
    named = [] if before is None else [before]
    if wanted_from is not None:
        first = kept_from(archive, wanted_from)
        at_edge = oldest is not None and first < oldest <= wanted_from + 2 * EDGE  # "30d" means what there is
        named.append(oldest if at_edge and oldest is not None else first)
    if since is None and before is None and oldest is not None:
        return max(*named, oldest)
    return min(named)


def kept_from(archive: Archive, since: datetime) -> datetime:
    """Return the first instant of the archive's day that an instant lies in: an archive keeps whole days."""
    return day_start(since.astimezone(archive.zone).date(), archive.zone)


def sync(
    archive: Archive,
    ledger: Ledger,
    source: Source,
    now: Callable[[], datetime],
    *,
    since: datetime | None = None,
    lookback: timedelta | None = None,
    shrink: bool = False,
    only_holes: bool = False,
    stop: Callable[[], bool] = lambda: False,
    outcome: Outcome | None = None,
) -> Outcome:
    """Read what is missing or may have changed of a call, day by day, and return what that did.

    A day that fails is written down as failed and does not stop the others, unless what failed will fail for all.

    Raises:
        OutputError: The archive cannot be written.
    """
    outcome = Outcome() if outcome is None else outcome
    call, at = source.call, now()
    lookback = call.lookback if lookback is None else lookback
    kept = next((one for one in ledger.kept() if (one.profile, one.call) == (source.profile, call.name)), None)
    if kept is not None and kept.provider not in {source.provider, ""}:
        raise ConfigurationError(
            f"the archive's {source.profile} is of {kept.provider}, and the profile is now of {source.provider}",
            hint="give the profile another name, or begin another archive",
        )
    until, oldest = reachable_until(call, at), kept_since(call, at)
    begins = from_when(archive, call, at, lookback, since, None if kept is None else kept.begins)
    ledger.keep(Kept(source.profile, call.name, source.provider, begins))
    _forget_missing_files(archive, ledger, source, at)
    known = ledger.readings(source.profile, call.name)
    plan, lost = wanted(begins, until, oldest, known, archive, lookback, only_holes=only_holes)
    outcome.lost = _newly_lost(archive, ledger, source, lost, known, at)
    for day in plan:  # so that what is never reached shows as missing, not as unknown
        old = known.get(day.name, [])
        new = added(old, Reading(day.window, "planned"))
        if new != old:
            ledger.write(source.profile, call.name, day.name, new, None, at)
            known[day.name] = new
    in_a_row, last = 0, None
    for number, day in enumerate(plan):
        if stop():
            return outcome
        _say_progress(source, outcome, number, len(plan), at, now())
        try:
            _read_day(archive, ledger, source, day, known.get(day.name, []), now, outcome, shrink=shrink, oldest=oldest)
            in_a_row = 0
        except (OutputError, LockedError):
            raise
        except CdrctlError as error:
            said = "; ".join(filter(None, (error.message, error.said and f"the provider said: {error.said}")))
            words = source.clean(said)
            outcome.failed[day.name] = words
            last = error
            readings = added(known.get(day.name, []), Reading(day.window, "failed", now(), 0, words))
            ledger.write(source.profile, call.name, day.name, readings, None, now())
            source.tell("warning", f"{day.name} failed: {words}")
            in_a_row = in_a_row + 1 if isinstance(error, TemporaryError) else 0
            if isinstance(error, SignInError | ConfigurationError) or in_a_row >= GIVES_UP_AFTER:
                outcome.error = error
                return outcome
    if last is not None and not outcome.days:
        outcome.error = last
    return outcome


def _newly_lost(
    archive: Archive,
    ledger: Ledger,
    source: Source,
    lost: Sequence[Window],
    known: dict[str, list[Reading]],
    now: datetime,
) -> list[Window]:
    """Write down what the provider no longer keeps, and return what of it was not written down before."""
    told_before = [one.window for readings in known.values() for one in readings if one.error == BEYOND]
    new = without(lost, told_before)
    for window in new:
        for day, part in days(window, archive.zone):
            readings = added(known.get(day.isoformat(), []), Reading(part, "failed", None, 0, BEYOND))
            known[day.isoformat()] = readings
            ledger.write(source.profile, source.call.name, day.isoformat(), readings, None, now)
        source.tell(
            "warning",
            f"from {rfc3339(window.since)} to {rfc3339(window.until)} the provider keeps no calls any more: "
            "they can no longer be read",
        )
    return new


def _forget_missing_files(archive: Archive, ledger: Ledger, source: Source, now: datetime) -> None:
    """Take back what the ledger says of days whose file is gone: they are read again, whole."""
    for filed in ledger.files():
        if (filed.profile, filed.call) == (source.profile, source.call.name) and not (
            archive.folder / filed.path
        ).exists():
            readings = ledger.readings(filed.profile, filed.call).get(filed.day, [])
            if any(one.state == "done" for one in readings):
                source.tell("warning", f"{filed.path} is gone: its day is read again")
                planned = [replace(one, state="planned", read_at=None, records=0) for one in readings]
                ledger.write(filed.profile, filed.call, filed.day, planned, None, now)


def _say_progress(source: Source, outcome: Outcome, number: int, total: int, begun: datetime, now: datetime) -> None:
    if number:
        ends = now + (now - begun) / number * (total - number)
        source.tell("progress", f"day {number + 1} of {total}, until about {ends:%H:%M} UTC, {outcome.fetched} records")
    else:
        source.tell("progress", f"day 1 of {total}")


def _read_day(
    archive: Archive,
    ledger: Ledger,
    source: Source,
    day: Day,
    known: Sequence[Reading],
    now: Callable[[], datetime],
    outcome: Outcome,
    *,
    shrink: bool,
    oldest: datetime | None,
) -> None:
    path = archive.path(source.profile, source.call.name, day.name)
    old, window = _old_file(archive, path, day, source.call, now(), oldest)
    if old is None:
        known = [one for one in known if one.state != "done"]
    read_at = now().replace(microsecond=0)
    header, entries, tally = _fetched(archive, source, window)
    with ledger.writing(), told(path):
        counts, error = _stored(
            archive,
            ledger,
            source,
            day.name,
            Fetched(window, read_at, header, entries, tally),
            old,
            known,
            shrink=shrink,
        )
    outcome.days += 1
    outcome.fetched += tally.records
    outcome.pages += tally.pages
    outcome.duplicate += tally.duplicates
    outcome.new += counts.new
    outcome.late += counts.late
    outcome.changed += counts.changed
    outcome.gone += counts.gone
    if error:
        outcome.failed[day.name] = error
        if not tally.gaps:  # a gap has been told
            source.tell("warning", f"{day.name}: {error}")
    source.tell("day", f"{day.name}: {_words(tally.records, counts)}")


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the provider gave of a window: its records, the header of their file, and what could not be had."""

    window: Window
    read_at: datetime
    header: bytes
    entries: list[Entry]
    tally: Tally


def _stored(
    archive: Archive,
    ledger: Ledger,
    source: Source,
    day: str,
    came: Fetched,
    old: DayFile | None,
    known: Sequence[Reading],
    *,
    shrink: bool,
) -> tuple[Counts, str]:
    """Write a day's file and then its line in the ledger; return what became of its records, and why it is not done."""
    _add_unplaced(archive, ledger, source, [one for one in came.entries if one.start == UNPLACED], came)
    placed = [entry for entry in came.entries if entry.start != UNPLACED]
    whole = not came.tally.gaps
    if not whole:
        _check_known(archive.path(source.profile, source.call.name, day), old)
    before = old.entries if old else []
    result, counts = merged(before, placed, came.window, done(known), whole=whole, shrink=shrink)
    error = ""
    if not whole:
        error = came.tally.gaps[0].what
    elif counts.kept:
        error = (
            f"{counts.kept} records that the archive has are no longer at the provider; they are kept "
            "(--allow-shrink lets them go)"
        )
    reading = Reading(came.window, "failed" if error else "done", came.read_at, len(placed), error)
    readings = added(known, reading)
    filed = None
    if old is not None or result or not error:  # a day without calls has a file, which says so
        filed = _saved(archive, source, day, came.header, result, readings, old)
    ledger.write(source.profile, source.call.name, day, readings, filed, came.read_at)
    return counts, error


def _saved(
    archive: Archive,
    source: Source,
    day: str,
    header: bytes,
    entries: Sequence[Entry],
    readings: Sequence[Reading],
    old: DayFile | None,
) -> Filed:
    path = archive.path(source.profile, source.call.name, day)
    sha256, size = save(path, header, entries, readings, old)
    relative = path.relative_to(archive.folder).as_posix()
    return Filed(source.profile, source.call.name, day, relative, sha256, len(entries), size)


def _words(fetched: int, counts: Counts) -> str:
    facts = {"new": counts.new, "late": counts.late, "changed": counts.changed, "gone": counts.gone}
    return ", ".join([f"{fetched} fetched", *(f"{value} {name}" for name, value in facts.items() if value)])


def _old_file(
    archive: Archive, path: Path, day: Day, call: Call, now: datetime, oldest: datetime | None
) -> tuple[DayFile | None, Window]:
    """Return the day's file and the window to read: the whole day where the file is not there, or not as we left it."""
    try:
        old = load(path)
    except (OSError, ValueError, EOFError) as error:
        raise IncompleteError(f"{path} cannot be read: {error}", hint="move it away and run it again") from None
    if old is not None:
        return old, day.window
    whole = _whole(day, archive)
    window = Window(whole.since, min(whole.until, reachable_until(call, now)))
    if oldest is not None and window.since < oldest:
        if path.exists():
            raise IncompleteError(
                f"{path} was changed by another hand, and the provider no longer has the whole day",
                hint="restore it with the hidden index beside it",
            )
        return None, day.window
    if path.exists():
        return None, window
    return None, day.window


def _whole(day: Day, archive: Archive) -> Window:
    return whole_day(datetime.fromisoformat(day.name).date(), archive.zone)


def _fetched(archive: Archive, source: Source, window: Window) -> tuple[bytes, list[Entry], Tally]:
    """Return the first line of the file, if it has one, and what the provider has of a window."""
    call, tally = source.call, Tally()
    schema = native(call.columns, None, lambda text: source.tell("warning", text), call.known)
    in_csv = archive.form.startswith("csv")
    spell = _csv_lines if in_csv else _json_lines(schema)

    def entries(page: Page) -> list[Entry]:
        starts = starts_of(page, call)
        keys = identity_keys(page.context, identities(page.records, call.identity))
        spelt = spell(cast("Sequence[Row]", schema.rows(page)))
        return [
            Entry(UNPLACED if start is None else milliseconds(start), key, line)
            for start, key, line in zip(starts, keys, spelt, strict=True)
        ]

    as_entries = Schema(None, cast("Any", entries))
    names = [[column.name for column in schema.columns or ()]]
    header = utf8(lines(names, ",", '"\r', quoted, '""')) if in_csv else b""
    pages = rows(source.fetch(window), call, as_entries, window, tally, source.tell)
    return header, [cast("Entry", entry) for page in pages for entry in page], tally


def _json_lines(schema: Schema) -> Callable[[Sequence[Row]], list[bytes]]:
    """Return what spells records, always in the same way: a record of which another line comes has changed."""
    encode = jsonl.encoder(schema)

    def spelt(page: Sequence[Row]) -> list[bytes]:
        if not (isinstance(page, Table) and jsonl.plain(schema, page) and _spelt_in_one_way(page)):
            return [json_of(one) + b"\n" for one in objects(schema, page)]
        found = [line + b"\n" for line in encode(page).split(b"\n")[:-1]]
        odd = [at for at, line in enumerate(found) if b"\\" in line and _RARE_ESCAPE.search(line)]
        for at, one in zip(odd, objects(schema, [page[at] for at in odd]), strict=True):
            found[at] = json_of(one) + b"\n"
        return found

    return spelt


_RARE_ESCAPE = re.compile(rb'\\[^"\\nrt]')
"""What may be spelt in several ways."""


def _spelt_in_one_way(table: Table) -> bool:
    """Return whether there are no numbers in a table but whole ones: others may be spelt in several ways."""
    columns = zip(table.columns, table.texts, strict=True)
    return all(text or set(map(type, column)) <= {str, int, bool, type(None)} for column, text in columns)


def _csv_lines(page: Sequence[Row]) -> list[bytes]:
    cells = ([text_of(value) for value in row] for row in page)
    return [utf8(lines([row], ",", '"\r', quoted, '""')) for row in cells]


def _check_known(path: Path, old: DayFile | None) -> None:
    """Refuse to put a part of the records in the place of a file whose lines are not known any more."""
    if old is None and path.exists():
        raise IncompleteError(
            f"{path} was changed by another hand, and what came cannot take its place",
            hint="restore it with the hidden index beside it, or move it away, and run it again",
        )


def _add_unplaced(archive: Archive, ledger: Ledger, source: Source, entries: Sequence[Entry], came: Fetched) -> None:
    """Keep records whose start cannot be read in a file of their own, where every reading that finds them looks."""
    if not entries:
        return
    path = archive.path(source.profile, source.call.name, UNKNOWN)
    old = load(path)
    _check_known(path, old)
    result, _ = merged(old.entries if old else [], entries, None, [], whole=False, shrink=False)
    filed = _saved(archive, source, UNKNOWN, came.header, result, [], old)
    ledger.write(source.profile, source.call.name, UNKNOWN, [], filed, came.read_at)
