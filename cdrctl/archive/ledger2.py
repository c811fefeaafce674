"""The ledgers of an archive: a JSON file for each call, with its readings and files. They are a cache.

    DIR/_cdrctl/ledger/PROFILE/CALL.json    the provider, since when the call is kept, and each day's readings and file
    DIR/_cdrctl/ledger/PROFILE/CALL.lock    held by the run that writes the call

A reading is written when its records are durable on disk, never before. A ledger that is missing is made again from the
files beside the records.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, date, datetime
from pathlib import Path

from cdrctl.archive.ahead import with_files, with_names
from cdrctl.archive.files import contents_of, deleted_contents
from cdrctl.archive.index import aware
from cdrctl.archive.intervals import Reading
from cdrctl.archive.lateness import Lateness
from cdrctl.archive.ledger import FileEntry, KeptCall, SweepState
from cdrctl.archive.ledger_days import (
    CallLedger,
    file_entry,
    ledger_json,
    parse_ledger,
    plain_sweeps,
    sweep_state,
    text_of,
)
from cdrctl.archive.ledger_merge import Unsaved, merged
from cdrctl.archive.opening import etag_of, make_folder, names_in, pause, read_file, see_again
from cdrctl.archive.places import StoredPath
from cdrctl.archive.retired import Retired, read_retired, write_retired
from cdrctl.archive.store import (
    CALL,
    DATE,
    PROFILE,
    UNKNOWN,
    Archive,
    call_files,
    deleted_files,
    remove_temporary_files,
    replace_file,
    write_hint,
    writing_archive,
)
from cdrctl.archive.whole_days import WholeDays
from cdrctl.errors import CdrctlError, ConflictError, LockedError, OutputError
from cdrctl.windows import rfc3339

FOLDER = Path("_cdrctl", "ledger")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""The names of profiles and calls."""
WRITES = 8
"""How often a ledger in a store is merged again because another run wrote it first."""
CALLS_IN_MEMORY = 32
"""How many ledgers stay parsed: more than calls that are synced at once."""


class JsonLedger:
    """The ledgers of an archive; the methods may be called from several threads.

    A change is on disk when the method returns, but plans are written with the next change. In a store, changes are
    written by `flush` and `close`.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._calls: OrderedDict[tuple[str, str], CallLedger] = OrderedDict()
        self._querying = threading.RLock()
        self._writing = threading.Condition()
        self._writers = 0
        self._closed = False
        self._unsaved: dict[tuple[str, str], Unsaved] = {}
        self._planned: set[tuple[str, str]] = set()

    def close(self) -> None:
        """End after the write in progress, if any.

        Raises:
            OutputError: A ledger in a store cannot be written.
        """
        with self._writing:
            while self._writers:
                self._writing.wait()
            if not self._closed:
                for names in [*self._unsaved, *self._planned]:
                    self.flush(*names)
            self._closed = True

    def flush(self, profile: str, call: str) -> None:
        """Write the ledger of a call to a store, merged with what another run has written; to a folder, new plans.

        Raises:
            OutputError: It cannot be written.
            ConflictError: Other runs write it all the time.
        """
        names = profile, call
        with self._querying:
            before, found = self._unsaved.get(names), self._calls.get(names)
            if found is not None and names in self._planned:
                self._save(*names, found)
        if before is None or found is None:
            return
        for attempt in range(1, WRITES + 1):
            try:
                write_ledger(self.archive, *names, found)
            except ConflictError:
                if attempt == WRITES:
                    raise
                pause(attempt)
                see_again(ledger_path(self.archive, *names))
                theirs = read_ledger(self.archive, *names) or CallLedger()
                with writing_archive(self.archive.folder), self._querying:
                    found = self._calls[names] = merged(self.archive, names, found, theirs, before)
                continue
            break
        with self._querying:
            self._unsaved.pop(names, None)

    def _note(self, profile: str, call: str, found: CallLedger, day: str | None = None) -> None:
        """Note that a ledger in a store, and a day of it, is going to be changed."""
        if isinstance(self.archive.folder, StoredPath):
            unsaved = self._unsaved.setdefault((profile, call), Unsaved(found.sweeps))
            if day is not None:
                unsaved.days.setdefault(day, found.day_text(day) if found.has(day) else None)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the right to write a day's file; `close` waits for it, and nobody gets it afterwards.

        Raises:
            LockedError: The run has ended, and released the locks.
        """
        with self._writing:
            if self._closed:
                raise LockedError("the run has ended")
            if not isinstance(self.archive.folder, StoredPath):
                yield
                return
            self._writers += 1
        try:
            yield  # a request to a store takes its time: others write meanwhile
        finally:
            with self._writing:
                self._writers -= 1
                self._writing.notify_all()

    def kept(self, profiles: Collection[str] | None = None) -> list[KeptCall]:
        """Return the calls that the archive keeps, by profile and call; of some profiles if they are given."""
        names = with_ledgers(self.archive, self.names(profiles))
        return [one for found in names if (one := self.kept_call(*found)) is not None]

    def kept_call(self, profile: str, call: str) -> KeptCall | None:
        """Return the entry of a call, or None if the archive does not keep it."""
        with self._querying:
            found = self._call(profile, call)
        begins = found.begins
        return None if begins is None else KeptCall(profile, call, found.provider, begins, found.retired)

    def readings(self, profile: str, call: str, without: Collection[str] = ()) -> dict[str, list[Reading]]:
        """Return the readings of a call by day, oldest first, without those of some days."""
        with self._querying:
            found = self._call(profile, call)
            return {day: list(told) for day in found.parsed(without) if (told := found.day_readings(day))}

    def files(
        self, profile: str | None = None, call: str | None = None, without: Collection[str] = ()
    ) -> list[FileEntry]:
        """Return the entries of all files, or of those of one call without those of some days."""
        names = self.names() if profile is None or call is None else [(profile, call)]
        found: list[FileEntry] = []
        for one in with_ledgers(self.archive, names):
            with self._querying:
                ledger = self._call(*one)
                found += [file for day in ledger.parsed(without) if (file := ledger.day_file(day))]
        return found

    def whole_days(self, profile: str, call: str) -> WholeDays:
        """Return days of a call with one successful reading of the whole day: most of them, not always all."""
        with self._querying:
            return self._call(profile, call).whole(self.archive)

    def keep(self, kept: KeptCall) -> None:
        """Add a call that is kept since an instant; for a known call the earlier of the two instants counts."""
        with self._querying:
            found = self._call(kept.profile, kept.call)
            begins = kept.begins if found.begins is None else min(found.begins, kept.begins)
            if (found.begins, found.provider) != (begins, kept.provider):
                is_new = found.begins is None
                self._note(kept.profile, kept.call, found)
                found.begins, found.provider = begins, kept.provider
                self._save(kept.profile, kept.call, found)
                if is_new:
                    self.flush(kept.profile, kept.call)

    def lateness(self, profile: str, call: str) -> dict[str, Lateness]:
        """Return how late the records of a call came, by day, for the days that have been read again."""
        with self._querying:
            return self._call(profile, call).lateness_by_day()

    def sweeps(self, profile: str, call: str) -> SweepState:
        """Return the sweeps of a call by the policy of the archive."""
        with self._querying:
            return self._call(profile, call).sweeps

    def write_sweeps(self, profile: str, call: str, sweeps: SweepState) -> None:
        """Replace the sweeps of a call."""
        with self._querying:
            found = self._call(profile, call)
            if found.sweeps != sweeps:
                self._note(profile, call, found)
                found.sweeps = sweeps
                self._save(profile, call, found)

    def write(
        self,
        profile: str,
        call: str,
        day: str,
        readings: Iterable[Reading],
        entry: FileEntry | None,
        _now: datetime,
        lateness: Lateness | None = None,
    ) -> None:
        """Replace the readings of a day, and the entry of its file and its lateness if they are given."""
        with self._querying:
            found = self._call(profile, call)
            self._note(profile, call, found, day)
            found.set_day(day, sorted(readings, key=lambda one: one.window.since), entry, lateness)
            self._save(profile, call, found)

    def plan(self, profile: str, call: str, days: Mapping[str, Sequence[Reading]]) -> None:
        """Replace the readings of days that are going to be read; they are written with the next change.

        If the run is killed before, nothing is lost: the next one plans the days again.
        """
        with self._querying:
            found = self._call(profile, call)
            for day, readings in days.items():
                self._note(profile, call, found, day)
                found.set_day(day, sorted(readings, key=lambda one: one.window.since))
            if days and (profile, call) not in self._unsaved:
                self._planned.add((profile, call))

    def drop(self, profile: str, call: str) -> None:
        """Forget a call that has no files."""
        with self._querying:
            self._planned.discard((profile, call))
            self._calls.pop((profile, call), None)
            self._unsaved.pop((profile, call), None)
            with writing_archive(self.archive.folder):
                ledger_path(self.archive, profile, call).unlink(missing_ok=True)

    def retire(self, profile: str, call: str, before: date, remove: Callable[[], None]) -> None:
        """Forget the days before one, for good; `remove` removes their files after that is stored."""
        with self._querying:
            self.flush(profile, call)
            write_retired(self.archive, profile, call, Retired(self._call(profile, call).begins, before))
            remove()
            self._calls.pop((profile, call))
            found = self._call(profile, call)
            self._note(profile, call, found)
            self._save(profile, call, found)
            self.flush(profile, call)

    def names(self, profiles: Collection[str] | None = None) -> list[tuple[str, str]]:
        """Return the profile and the name of each call that has a ledger or records.

        Args:
            profiles: The profiles to look at, so that the others cost nothing; None for all.

        Raises:
            OutputError: A folder cannot be read, and no ledger names its calls.
        """
        root = self.archive.folder
        found = set[tuple[str, str]]()
        for profile in _names_in(root / FOLDER) if profiles is None else profiles:
            calls = [one.removesuffix(".json") for one in _names_in(root / FOLDER / profile) if one.endswith(".json")]
            found |= {(profile, call) for call in calls}
        known = {profile for profile, _ in found}
        there = [f"{PROFILE}{one}" for one in profiles] if profiles is not None else _names_in(root)
        for folder in with_names([root / name for name in there if name.startswith(PROFILE)]):
            profile = folder.name.removeprefix(PROFILE)
            with suppress(OutputError) if profile in known else nullcontext():
                calls = [one.removeprefix(CALL) for one in _names_in(folder) if one.startswith(CALL)]
                found |= {(profile, call) for call in calls}
        return sorted(one for one in found if all(map(NAME.fullmatch, one)))  # `verify` names what is foreign

    def _call(self, profile: str, call: str) -> CallLedger:
        """Return the ledger of a call, read from its file, or made from the files of its days."""
        known = self._calls.get((profile, call))
        if known is None:
            known = read_ledger(self.archive, profile, call) or ledger_from_files(self.archive, profile, call)
            self._calls[profile, call] = known
            if len(self._calls) > CALLS_IN_MEMORY:
                saved = next(
                    (one for one in self._calls if one not in self._unsaved and one not in self._planned), None
                )
                self._calls.pop(saved, None) if saved is not None else None
        return known

    def _save(self, profile: str, call: str, found: CallLedger) -> None:
        self._calls[profile, call] = found
        self._planned.discard((profile, call))
        if (profile, call) not in self._unsaved:
            write_ledger(self.archive, profile, call, found)


def _names_in(folder: Path) -> list[str]:
    """Return the names in a folder; none if it is not there, or not a folder.

    Raises:
        OutputError: It cannot be read.
    """
    try:
        return names_in(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise OutputError(
            f"the archive cannot be read: {folder}: {error.strerror or error}",
            hint="correct the permissions, and run the command again",
        ) from error


def with_ledgers(archive: Archive, names: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the names of calls, while the ledgers of the next ones are downloaded from a store."""
    return with_files(names, lambda one: [ledger_path(archive, *one)])


def ledger_path(archive: Archive, profile: str, call: str) -> Path:
    """Return the path of a call's ledger."""
    return archive.folder / FOLDER / profile / f"{call}.json"


def read_ledger(archive: Archive, profile: str, call: str) -> CallLedger | None:
    """Return the ledger of a call, or None if there is none.

    Raises:
        OutputError: It cannot be read, or is damaged.
    """
    path = ledger_path(archive, profile, call)
    try:
        plain = parse_ledger(read_file(path))
        begins = None if plain.begins is None else aware(plain.begins)
        result = CallLedger(text_of(plain.provider), begins)
        result.retired = _first_day_left(archive, profile, call, plain.retired)
        result.sweeps = sweep_state(plain.sweeps)
        if result.retired is not None:
            for days in (plain.days, plain.odd_days):
                for day in [one for one in days if is_retired(one, result.retired)]:
                    days.pop(day)
        result.add_days(archive, (profile, call), plain)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise OutputError(
            f"the ledger {path} cannot be read: {error.strerror or error}", hint="correct its permissions"
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise OutputError(
            f"the ledger {path} has an invalid value: {error}",
            hint="rebuild it from the files: cdrctl verify --rebuild",
        ) from error
    return result


def write_ledger(archive: Archive, profile: str, call: str, ledger: CallLedger) -> None:
    """Write the ledger of a call durably.

    Raises:
        OutputError: It cannot be written.
    """
    path = ledger_path(archive, profile, call)
    head = {
        "provider": ledger.provider,
        "begins": None if ledger.begins is None else rfc3339(ledger.begins),
        **({} if ledger.retired is None else {"retired": ledger.retired.isoformat()}),
        **plain_sweeps(ledger.sweeps),
    }
    content = ledger_json({**head, "days": ledger.plain_days()}) + b"\n"
    try:
        make_folder(path.parent)
        remove_temporary_files(path.parent, f"{call}.")  # other calls have their locks and files in this folder, too
        replace_file(path, content, f"{call}.")
    except OSError as error:
        raise OutputError(
            f"the ledger {path} cannot be written: {error.strerror or error}",
            hint=write_hint(error),
        ) from error


def ledger_from_files(archive: Archive, profile: str, call: str, *, with_deleted: bool = True) -> CallLedger:
    """Return the ledger of a call as the files of its days tell it; nothing is written.

    A file that cdrctl did not write tells nothing, so its day is read again.

    Args:
        archive: The archive.
        profile: The profile.
        call: The call.
        with_deleted: Add the days whose file was deleted and whose readings are still there.

    Raises:
        OutputError: A folder or a file cannot be read.
    """
    from cdrctl.archive.owner import owner_of

    result, odd = CallLedger(), list[Path]()
    try:
        retired = read_retired(archive, profile, call)
        result.retired = None if retired is None else retired.before
        paths = [one for one in call_files(archive, profile, call) if not is_retired(day_of(one), result.retired)]
        for path in paths:
            day = day_of(path)
            told = contents_of(archive, path)
            if told is None:
                odd += [path] if day != UNKNOWN else []
                continue
            result.readings[day] = told.readings
            if told.lateness is not None:
                result.lateness[day] = told.lateness
            size = path.stat().st_size
            result.files[day] = file_entry(
                archive, (profile, call, day), told.sha256, told.records, size, etag_of(path)
            )
        if with_deleted:
            _add_deleted_days(archive, profile, call, result)
    except OSError as error:
        raise OutputError(
            f"the archive cannot be read: {error.filename or archive.folder}: {error.strerror or error}",
            hint="correct the permissions, and run the command again",
        ) from error
    first = [one.window.since for readings in result.readings.values() for one in readings]
    if first or paths:
        with suppress(CdrctlError):
            owner = owner_of(archive, profile)
            result.provider = "" if owner is None else owner.provider
        result.begins = min([*first, *([_first_day(archive, odd or paths)] if odd or not first else [])])
    if retired is not None and retired.begins is not None:
        result.begins = min(result.begins or retired.begins, retired.begins)
    return result


def _add_deleted_days(archive: Archive, profile: str, call: str, result: CallLedger) -> None:
    """Add the days whose file was deleted and whose readings are still there to a ledger."""
    for path in deleted_files(archive, profile, call):
        day, lost = day_of(path), deleted_contents(archive, path)
        if lost is not None and day != UNKNOWN and not is_retired(day, result.retired):
            result.readings[day] = lost.readings
            result.files[day] = file_entry(archive, (profile, call, day), lost.sha256, lost.records, 0)


def is_retired(day: str, retired: date | None) -> bool:
    """Return whether a day is before the first one that was not removed; records without a start never are."""
    return retired is not None and day != UNKNOWN and day < retired.isoformat()


def _first_day_left(archive: Archive, profile: str, call: str, told: str | None) -> date | None:
    """Return the first day that was not removed; as the ledger has it if the folder of the call cannot be read."""
    try:
        found = read_retired(archive, profile, call)
    except OSError:
        return None if told is None else date.fromisoformat(told)
    return None if found is None else found.before


def day_of(path: Path) -> str:
    """Return the day of a day's file."""
    return path.parent.name.removeprefix(DATE)


def _first_day(archive: Archive, paths: list[Path]) -> datetime:
    """Return the start of the first day that has a file."""
    from cdrctl.archive.intervals import day_start

    for path in paths:
        with suppress(ValueError):
            return day_start(datetime.fromisoformat(day_of(path)).date(), archive.zone)
    return datetime(2000, 1, 1, tzinfo=UTC)
