"""Writes an archive again as a new one: with the current layout, or in another format. The old one is only read.

    NEW/_cdrctl/conversion.json     which archive it is made of, and which of its days could not be carried over

The new folder becomes an archive when its `archive.toml` is written, at the end. Until then nothing syncs into it, and
a conversion that was interrupted goes on.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from cdrctl.archive.casting import UnreadableRowError, cast
from cdrctl.archive.dayfile import DayFile, NewDay, Row
from cdrctl.archive.difference import Difference
from cdrctl.archive.erased import read_erased, write_erased
from cdrctl.archive.fetching import header_of
from cdrctl.archive.files import load, recover
from cdrctl.archive.index import reading_archive
from cdrctl.archive.layout2 import HIDDEN, READINGS
from cdrctl.archive.ledger import FileEntry, KeptCall, lock, lock_file
from cdrctl.archive.ledger2 import ledger_path, read_ledger, write_ledger
from cdrctl.archive.ledger_days import CallLedger
from cdrctl.archive.ledgers import RUNS, AnyLedger, creation_lock, open_ledger
from cdrctl.archive.opening import etag_of, make_folder, read_file
from cdrctl.archive.owner import path_of
from cdrctl.archive.presence import window_of
from cdrctl.archive.retired import Retired, write_retired
from cdrctl.archive.settings import check_installed, settings_text
from cdrctl.archive.status import call_of
from cdrctl.archive.store import (
    ASIDE,
    CONVERSION,
    FIRST_LAYOUT,
    LAYOUT,
    UNKNOWN,
    Archive,
    call_files,
    content_of,
    day_files,
    default_format,
    is_there,
    open_archive,
    remove_temporary_files,
    replace_file,
    writing_archive,
)
from cdrctl.errors import UsageError
from cdrctl.fetchers import Call, Timing

_NEVER = datetime.max.replace(tzinfo=UTC)
"""Since when a call is kept that only has files."""


class Conversion(Struct):
    """What a conversion did.

    Args:
        calls: How many calls the old archive has.
        days: How many days are in the new archive as in the old one.
        records: How many records they have.
        left: The files that could not be carried over, or not completely.
        already: The archive had been converted before, and nothing was left to do.
    """

    calls: int = 0
    days: int = 0
    records: int = 0
    left: list[Difference] = field(default_factory=list)
    already: bool = False


class _Job(Struct, frozen=True):
    """One call of the old archive, on its way into the new one.

    Args:
        old: The old archive.
        new: The new one.
        kept: The call in the ledger of the old archive.
        call: The call; one without columns if this version does not know its provider.
        only: The files to carry over, if the rest has been; None for all.
        done: What was done so far.
    """

    old: Archive
    new: Archive
    kept: KeptCall
    call: Call | None
    only: frozenset[str] | None
    done: Conversion


def convert(folder: Path, target: Path, form: str | None, log: Callable[[str], None]) -> Conversion:
    """Write the archive of a folder again into a new folder, and return what that did.

    Each day is written, read again and compared: the number of records, their keys and their starts. What was read and
    when, accounts, marks of gone records and records without a start are carried over, so that the next sync goes on.

    Args:
        folder: The old archive.
        target: The folder of the new one: new, empty, or of an interrupted conversion of the same archive.
        form: The format of the new archive; None for the usual one.
        log: Logs a line about each call.

    Raises:
        UsageError: There is no archive, or the new folder is in use for something else.
        ConfigurationError: What reads or writes one of the formats is not installed.
        OutputError: The new archive cannot be written, or the old one cannot be read.
        LockedError: Another run uses one of the archives.
    """
    old = open_archive(folder)
    for one in (old.form, form):
        check_installed(one)
    with reading_archive(folder):
        before = _read_mark(target)
        _check_target(old, target, before)
    with lock(folder, to_write=False) if old.layout == FIRST_LAYOUT else nullcontext(), creation_lock(target):
        form = form or (before.form if before is not None else default_format())
        if before is not None and before.form != form:
            raise UsageError(f"{target} is being written as {before.form}, not {form}", hint="leave out --format")
        new = Archive(target, replace(old.settings, form=form, layout=LAYOUT))
        is_whole = is_there(target / "archive.toml")
        if before is None:
            _write_mark(new, old, None)
        only = frozenset(before.left or ()) if before is not None and is_whole else None
        with reading_archive(folder), closing(open_ledger(old, read_only=True)) as ledger:
            done = Conversion(already=only is not None and not only)
            for kept, call in _calls(old, ledger):
                _convert_call(_Job(old, new, kept, call, only, done), ledger, log)
            _copy_erased(old, new)
        _finish(old, new, done)
    return done


def _copy_erased(old: Archive, new: Archive) -> None:
    """Carry over which numbers were erased, so that they do not come back."""
    erased = read_erased(old)
    if erased is not None and read_erased(new) is None:
        write_erased(new, erased)


def _finish(old: Archive, new: Archive, done: Conversion) -> None:
    """Store what is left, and make an archive of the new folder."""
    _write_mark(new, old, [one.path for one in done.left])
    with writing_archive(new.folder):
        if not is_there(new.folder / "archive.toml"):
            remove_temporary_files(new.folder)
            replace_file(new.folder / "archive.toml", settings_text(new.settings))


# The new folder


class _Mark(Struct, frozen=True):
    """Which archive a folder is made of, its format, and what is left; `left` is None until the first end."""

    source: str
    form: str
    left: list[str] | None


def _read_mark(target: Path) -> _Mark | None:
    try:
        plain = json.loads(read_file(target / CONVERSION))
        left = plain["left"]
        return _Mark(str(plain["from"]), str(plain["format"]), None if left is None else [str(one) for one in left])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, LookupError, TypeError):
        raise UsageError(f"{target / CONVERSION} is damaged", hint="convert into a new folder") from None


def _write_mark(new: Archive, old: Archive, left: Sequence[str] | None) -> None:
    plain = {"from": str(old.folder.resolve()), "format": new.form, "left": left}
    with writing_archive(new.folder):
        make_folder(new.folder / RUNS)
        remove_temporary_files(new.folder / RUNS)
        replace_file(new.folder / CONVERSION, json.dumps(plain, indent=1).encode() + b"\n")


def _check_target(old: Archive, target: Path, before: _Mark | None) -> None:
    """Check that a folder may get the new archive.

    Raises:
        UsageError: It has other files, or is within the old archive.
    """
    here, there = old.folder.resolve(), target.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise UsageError("the new archive cannot be in the folder of the old one", hint="name another folder")
    if before is not None:
        if before.source != str(here):
            raise UsageError(f"{target} is a conversion of {before.source}", hint="name a new or an empty folder")
        return
    others = [one.name for one in target.iterdir() if one.name != RUNS] if is_there(target) else []
    if others:
        raise UsageError(
            f"{target} is not empty and not a conversion of {old.folder}: it has {others[0]}",
            hint="name a new or an empty folder",
        )


# Calls


def _calls(old: Archive, ledger: AnyLedger) -> Iterator[tuple[KeptCall, Call | None]]:
    """Yield the calls of the old archive, also those that only have files."""
    kept = {(one.profile, one.call): one for one in ledger.kept()}
    names = {old.names(path)[:2] for path in day_files(old)} | {(one.profile, one.call) for one in ledger.files()}
    for profile, call in sorted(names | kept.keys()):
        one = kept.get((profile, call)) or KeptCall(profile, call, "", _NEVER)
        yield one, call_of(one)


def _convert_call(job: _Job, ledger: AnyLedger, log: Callable[[str], None]) -> None:
    kept = job.kept
    with _reading_lock(job.old, kept):
        readings = ledger.readings(kept.profile, kept.call)
        files = {one.day: one for one in ledger.files(kept.profile, kept.call)}
        paths = {job.old.names(path)[2]: path for path in call_files(job.old, kept.profile, kept.call)}
        days_before, records_before = job.done.days, job.done.records
        if job.only is None:
            _copy_account(job)
            begins = None if kept.begins == _NEVER else kept.begins
            late = ledger.lateness(kept.profile, kept.call)
            sweeps = ledger.sweeps(kept.profile, kept.call)
            told = CallLedger(kept.provider, begins, readings, {}, kept.retired, late, sweeps)
            if kept.retired is not None:
                with writing_archive(job.new.folder):
                    write_retired(job.new, kept.profile, kept.call, Retired(begins, kept.retired))
        else:
            told = read_ledger(job.new, kept.profile, kept.call) or CallLedger()
        for day in sorted({*readings, *files, *paths}):
            path = job.old.path(kept.profile, kept.call, day)
            if job.only is not None and path.relative_to(job.old.folder).as_posix() not in job.only:
                continue
            entry = _convert_day(job, day, path, files.get(day))
            if entry is not None:
                told.files[day] = entry
        if job.only is None or job.only:
            write_ledger(job.new, kept.profile, kept.call, told)
    job.done.calls += 1
    days, records = job.done.days - days_before, job.done.records - records_before
    if not job.done.already:
        log(f"{kept.profile} {kept.call}: {days} days, {records} records")


@contextmanager
def _reading_lock(archive: Archive, kept: KeptCall) -> Iterator[None]:
    """Hold the lock of a call, where this may be done, so that no run writes it meanwhile."""
    path = ledger_path(archive, kept.profile, kept.call).with_suffix(".lock")
    if archive.layout == FIRST_LAYOUT or not is_there(path.parent):  # the whole archive is locked; or nothing writes it
        yield
        return
    with lock_file(path, f"{kept.profile} {kept.call} in the archive {archive.folder}", to_write=False):
        yield


def _copy_account(job: _Job) -> None:
    content = content_of(path_of(job.old, job.kept.profile))
    path = path_of(job.new, job.kept.profile)
    with writing_archive(path):
        if content is not None and content_of(path) != content:
            make_folder(path.parent)
            remove_temporary_files(path.parent)
            replace_file(path, content)


# Days


def _convert_day(job: _Job, day: str, path: Path, filed: FileEntry | None) -> FileEntry | None:
    """Carry a day over, and return the entry of its file for the ledger; None if it has none.

    The entry of a file that the old ledger does not know, or that was changed, does not match the new file either: the
    next sync treats it as it would have treated the old one.
    """
    kept, relative = job.kept, path.relative_to(job.old.folder).as_posix()
    new_path = job.new.path(kept.profile, kept.call, day)
    name = new_path.relative_to(job.new.folder).as_posix()
    stays = None if filed is None else filed._replace(path=name)
    if day != UNKNOWN and window_of(job.old, day) is None:
        job.done.left.append(Difference(relative, "is in a folder whose name is not a day"))
        return stays
    try:
        _copy_aside(path, new_path)
        file = _load(job.old, path)
        if file is None and not is_there(path):
            return stays
    except OSError as error:
        job.done.left.append(Difference(relative, f"cannot be read: {error.strerror or error}"))
        return stays
    if file is None:
        _carry_changed(job, day, path, new_path)
        what = "was changed by another program: its readable records are carried over, and a copy of it"
        job.done.left.append(Difference(relative, what))
        return stays
    wrong = _write_day(job, file, new_path)
    found = None if wrong else load(job.new, new_path)
    if found is None or _facts(found) != _facts(file):
        job.done.left.append(Difference(relative, wrong or "is not the same in the new archive"))
        return stays
    job.done.days += 1
    job.done.records += found.records
    if stays is None or filed is None or filed.sha256 != file.sha256:
        return stays
    return stays._replace(
        sha256=found.sha256, records=found.records, bytes=new_path.stat().st_size, etag=etag_of(new_path)
    )


def _load(archive: Archive, path: Path) -> DayFile | None:
    """Return a day's file, or None if it is missing or not as cdrctl wrote it."""
    with suppress(EOFError, ValueError, zlib.error):
        return load(archive, path)
    return None


def _facts(file: DayFile) -> tuple[object, ...]:
    """Return a digest of the keys, starts and marks of a file, and its readings, which are the same in all formats."""
    count = total = 0
    for row in file.rows():
        told = f"{row.start} {row.key.hex()} {row.gone_at}".encode()
        total += int.from_bytes(hashlib.blake2b(told, digest_size=32).digest())  # the sum: whatever their order
        count += 1
    return count, total, file.readings, file.lateness


def _write_day(job: _Job, file: DayFile, path: Path) -> str:
    """Write the records of a day; return why that is not possible, or an empty text."""
    from cdrctl.archive.files import save

    there = _load(job.new, path)
    if there is not None and _facts(there) == _facts(file):
        return ""
    if job.call is None and bool(file.header) != job.new.form.startswith("csv"):
        return "is of a provider that this version does not know: it can only be converted to a similar format"
    call = job.call or _unknown_call(job.kept)
    wanted = _header(job, file.header)
    before = "" if there is None else there.sha256

    def rows() -> Iterator[Row]:
        return cast(call, file.rows(), file.header, wanted)

    try:
        with writing_archive(path):
            save(
                job.new,
                path,
                NewDay(call.columns, wanted, rows, file.records, file.readings, before, lateness=file.lateness),
            )
    except UnreadableRowError:
        return "contains a line that cannot be read"
    return ""


def _header(job: _Job, header: bytes) -> bytes:
    """Return the CSV header of the new file; empty for JSON Lines and Parquet."""
    if not job.new.form.startswith("csv"):
        return b""
    return header or header_of(job.new, job.call or _unknown_call(job.kept))


def _unknown_call(kept: KeptCall) -> Call:
    """Return a call of a provider that this version does not know: all of its fields are extra ones."""
    return Call(
        name=kept.call,
        about="",
        columns=(),
        fetch=lambda *_: iter(()),
        identity=lambda _record: "",
        start=lambda _record: None,
        timing=Timing(),
    )


def _carry_changed(job: _Job, day: str, path: Path, new_path: Path) -> None:
    """Carry over the records of a file that was changed, and a copy of it.

    The new file gets no readings beside it, so that it counts as changed, too, and the next sync merges it.
    """
    call = job.call or _unknown_call(job.kept)
    whole = None if day == UNKNOWN else window_of(job.old, day)
    lines = recover(job.old, path, whole, call.alike, header_of(job.old, call)).file
    _keep_aside(new_path.parent, path.name, read_file(path))
    if not is_there(new_path) or job.only is None:
        _write_day(job, lines, new_path)
        (new_path.parent / READINGS).unlink(missing_ok=True)


def _copy_aside(path: Path, new_path: Path) -> None:
    """Copy the files that were moved aside on a day."""
    for one in sorted(path.parent.glob(f"*cdrs.*{ASIDE}*")):
        _keep_aside(new_path.parent, one.name.partition(ASIDE)[0].removeprefix(HIDDEN), read_file(one))


def _keep_aside(folder: Path, name: str, content: bytes) -> None:
    """Write a file that was moved aside under the next free name, unless it is there."""
    number = 1
    while (there := content_of(aside := folder / f"{HIDDEN}{name}{ASIDE}{number if number > 1 else ''}")) is not None:
        if there == content:
            return
        number += 1
    with writing_archive(aside):
        make_folder(folder)
        replace_file(aside, content)
