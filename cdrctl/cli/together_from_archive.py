"""`cdrctl export --from DIR`: the main call of several profiles in an archive as one stream of common CDRs.

One profile is read after the other, each in the order of its calls, so that one day of one profile is in memory.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cdrctl.cli import failures
from cdrctl.cli.connecting import the_clock
from cdrctl.cli.export import Part, failed_parts, raise_failures
from cdrctl.cli.exporting import conclude, counted, note_never_given
from cdrctl.cli.from_archive import Reading, no_such_profile, note_dry_run, with_zone
from cdrctl.cli.output_options import COMMON_NAME, data, drift, local_zone, render_options
from cdrctl.cli.profile_selection import Selection
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import CdrctlError, DriftError, UsageError, did_you_mean
from cdrctl.export.pipeline import write
from cdrctl.export.rows import Tally
from cdrctl.fetchers import PROVIDERS, load
from cdrctl.records.events import Gap, Note, number_of_records
from cdrctl.units.calls import name_of, names_in_archive

if TYPE_CHECKING:
    from cdrctl.archive.ledger import KeptCall
    from cdrctl.archive.source import ArchivedCalls
    from cdrctl.export.request import ExportRequest
    from cdrctl.export.rows import Log
    from cdrctl.export.selection import Page
    from cdrctl.fetchers import Provider
    from cdrctl.profiles.file import Profile
    from cdrctl.records.schemas import Schema


class TogetherFromArchive(Struct, frozen=True):
    """What is written of several profiles in an archive.

    Args:
        name: The name of the table.
        calls_of: Returns the names of the calls of a provider that may be read, the best first.
        read: Yields the rows of one part, and counts them in the part.
        consume: Receives the pages of all parts, and a function that tells afterwards whether a part failed; None to
            write the pages.
    """

    name: str
    calls_of: Callable[[Provider], Sequence[str]]
    read: Callable[[Session, ArchivedPart, Reading, Log], Generator[Page, None, None]]
    consume: Callable[[Iterable[Page], Callable[[], bool]], None] | None = None


class ArchivedPart(Part):
    """One profile of several in an archive.

    Args:
        kept: Its main call; None if the archive does not keep it.
        gap: What the archive does not have of the profile.
    """

    kept: KeptCall | None = None
    gap: Gap | None = None


def export_together_from_archive(
    session: Session, request: ExportRequest, folder: Path, selection: Selection, schema: Schema, started: float
) -> None:
    """Export the main calls of several profiles in an archive."""
    kind = TogetherFromArchive(COMMON_NAME, lambda provider: [provider.calls[0].name], _read_common)
    write_from_archive(session, request, folder, selection, schema, started, kind)


def write_from_archive(
    session: Session,
    request: ExportRequest,
    folder: Path,
    selection: Selection,
    schema: Schema,
    started: float,
    kind: TogetherFromArchive,
) -> None:
    """Write the rows of several profiles in an archive."""
    from cdrctl.archive.source import open_source

    profiles = functools.cache(lambda: read_profiles(session)[0])
    whole, log = Tally(), session.reporter.log
    with ExitStack() as opened:
        named = [one for name in selection.named(session.process.environ) for one in names_in_archive(name, PROVIDERS)]
        archive = opened.enter_context(open_source(folder, named or None))
        parts = _parts(session, archive, selection, profiles, kind)
        if kind.name == COMMON_NAME:
            calls = [(part.provider, part.provider.calls[0]) for part in parts if part.provider]
            note_never_given(session, request, calls)
        if request.dry_run:
            note_dry_run(session)
            return
        zone = local_zone(request, request.window.zone, "each profile's zone, or UTC", windowed=True)
        look = render_options(session, request, zone, kind.name, None)
        reader = _Reader(session, archive, request, profiles, the_clock(session).now(), kind)
        with ExitStack() as writing:
            out = None if kind.consume is not None else writing.enter_context(data(session, request.output))
            pages = writing.enter_context(closing(_pages(reader, parts, whole)))
            writing.enter_context(counted(session, whole, dict, started))
            if kind.consume is not None:
                kind.consume(pages, lambda: any(part.error is not None or part.gap is not None for part in parts))
            else:
                write(pages, request, schema, whole, log, out, look)
            reader.note_recent()
            _report(session, parts, whole)
    raise_failures(parts, request)
    whole.gaps = [gap for part in parts for gap in part.tally.gaps]
    conclude(whole, request)


# Which profiles


def _parts(
    session: Session,
    archive: ArchivedCalls,
    selection: Selection,
    profiles: Callable[[], Mapping[str, Profile]],
    kind: TogetherFromArchive,
) -> list[ArchivedPart]:
    """Return a part for every selected profile in an archive.

    Raises:
        UsageError: No profile is selected, or the archive does not have one that is named.
    """
    names, kept = _selected_names(session, archive, selection, profiles), archive.kept
    parts: list[ArchivedPart] = []
    left = list(kept)
    for name in names:
        mine = [one for one in left if name in {one.profile, name_of(one)}]
        left = [one for one in left if one not in mine]  # a profile with two names, such as the sandbox, comes once
        if not mine and not any(name in {one.profile, name_of(one)} for one in kept):
            gap = Gap(f"the archive has no calls of profile {name}", f"read them with: cdrctl sync {name} --into DIR")
            parts.append(ArchivedPart(name, None, gap=gap))
        providers = dict.fromkeys(one.provider for one in mine)
        parts += [_part(name, one, [kept for kept in mine if kept.provider == one], kind) for one in providers]
    return parts


def _part(name: str, provider: str, kept: Sequence[KeptCall], kind: TogetherFromArchive) -> ArchivedPart:
    """Return the part of a profile, with the call that is read or the gap that stands for it."""
    if provider not in PROVIDERS:
        what = f"the archive does not state the provider of profile {name}, so its calls are left out"
        return ArchivedPart(name, None, gap=Gap(what, f"cdrctl sync {name} --into DIR records it"))
    loaded = load(provider)
    names = kind.calls_of(loaded)
    found = next((one for name in names for one in kept if one.call == name), None)
    if found is not None:
        return ArchivedPart(name_of(found), loaded, kept=found)
    calls = ", ".join(one.call for one in kept)
    gap = Gap(
        f"the archive keeps {calls} of profile {name}, but not {names[0]}", f"cdrctl sync {name} --into DIR adds it"
    )
    return ArchivedPart(name, loaded, gap=gap)


def _selected_names(
    session: Session, archive: ArchivedCalls, selection: Selection, profiles: Callable[[], Mapping[str, Profile]]
) -> list[str]:
    """Return the names of the selected profiles, each once.

    Raises:
        UsageError: No profile is selected, or the archive does not have one that is named.
    """
    names, kept = selection.named(session.process.environ), archive.kept
    there = list(dict.fromkeys(name_of(one) for one in kept))
    known = {*there, *(one.profile for one in kept)}
    for name in names:
        if name not in known:
            raise no_such_profile(archive.ledger.kept(), name)
    if names:
        return names
    wanted = _tagged(session, selection, profiles()) if selection.tags else there
    for name in selection.excluded:
        if name not in known and name not in wanted:
            raise UsageError(f"the archive has no profile {name!r}", hint=f"{did_you_mean(name, there)}leave it out")
    found = [name for name in wanted if name not in selection.excluded]
    if not found:
        raise UsageError(
            "--except excludes every profile" if wanted else "the archive has no profile yet",
            hint="cdrctl coverage --into DIR shows the profiles of an archive",
        )
    return found


def _tagged(session: Session, selection: Selection, profiles: Mapping[str, Profile]) -> list[str]:
    """Return the configured profiles that have one of the tags.

    Raises:
        UsageError: No profile has one of them.
    """
    from cdrctl.profiles.choosing import tags_of

    tags = {name: tags_of(profile, session.process.environ) for name, profile in profiles.items()}
    for tag in selection.tags:
        if not any(tag in own for own in tags.values()):
            every = sorted(frozenset[str]().union(*tags.values()))
            raise UsageError(
                f"no configured profile has the tag {tag!r}",
                hint=f"the tags are: {', '.join(every)}" if every else "name profiles with -p, or use --all",
            )
    return [name for name, own in tags.items() if own & set(selection.tags)]


# Their records


def _read_common(session: Session, part: ArchivedPart, reading: Reading, log: Log) -> Generator[Page, None, None]:
    """Yield the common CDRs of a part."""
    call = reading.source.call
    schema = reading.schema(drift(log, f"{reading.provider.name} {call.name}", strict=reading.request.strict))
    with closing(reading.rows(schema, part.tally, log, the_clock(session), noted=True)) as pages:
        yield from pages


class _Reader:
    """Reads the parts of an export from an archive, and remembers from when on calls may be missing."""

    def __init__(
        self,
        session: Session,
        archive: ArchivedCalls,
        request: ExportRequest,
        profiles: Callable[[], Mapping[str, Profile]],
        now: datetime,
        kind: TogetherFromArchive,
    ) -> None:
        self.kind = kind
        self.session, self.archive, self.profiles, self.now = session, archive, profiles, now
        self.room, self.allow_partial = request.selection.stops_at, request.allow_partial
        self._request = replace(request, selection=replace(request.selection, limit=None))
        self._recent: tuple[datetime, list[Note]] | None = None

    def read(self, part: ArchivedPart) -> Generator[Page, None, None]:
        """Yield the rows of a part, and log what is missing under its title."""
        from cdrctl.archive.source import recent_note

        log = self._labelled_log(part)
        if part.gap is not None:
            part.tally.gaps.append(part.gap)
            log("warning", f"incomplete: {part.gap.what}" + (f" ({part.gap.hint})" if part.gap.hint else ""))
            return
        assert part.provider is not None  # noqa: S101 - a part without a gap has both
        assert part.kept is not None  # noqa: S101
        call = next(one for one in part.provider.calls if one.name == part.kept.call)
        request = with_zone(self._request, part.name, part.provider, self.profiles, self.session.process.environ)
        reading = Reading(part.provider, self.archive.read(part.kept, call), request, self.now)
        found = recent_note(reading.source, reading.window(lambda *_: None), self.now)
        if found is not None and (self._recent is None or found[0] < self._recent[0]):
            self._recent = found
        with closing(self.kind.read(self.session, part, reading, log)) as pages:
            yield from pages

    def note_recent(self) -> None:
        """Note once for all profiles that calls may be missing at the end of the window."""
        if self._recent is not None and self.room is None:
            for note in self._recent[1]:
                self.session.reporter.log(note.level, note.text)

    def _labelled_log(self, part: ArchivedPart) -> Log:
        def log(level: str, text: str) -> None:
            if level not in {"progress", "window"}:
                self.session.reporter.log(level, f"{part.title}: {text}")

        return log


def _pages(reader: _Reader, parts: Sequence[ArchivedPart], whole: Tally) -> Generator[Page, None, None]:
    """Yield the rows of all parts, one part after the other, until the limit is reached.

    Raises:
        CdrctlError: All parts have failed, so that the output stays as it was.
    """
    log, room = reader.session.reporter.log, reader.room
    for done, part in enumerate(parts):
        for page in _attempt(reader, part):
            wanted = page if room is None else page[: room - whole.records]
            part.tally.records -= len(page) - len(wanted)
            whole.records += len(wanted)
            yield wanted
            log("progress", f"{whole.records} records, {done} of {len(parts)} profiles done")
            if room is not None and whole.records >= room:
                log("note", f"stopped after {room} records; there may be more")
                return
    if parts and all(part.error for part in parts):
        failures.show(reader.session.reporter, failed_parts(parts), len(parts))
        raise failures.failure(failed_parts(parts), len(parts))


def _report(session: Session, parts: Sequence[ArchivedPart], whole: Tally) -> None:
    """Write one line of result for each profile, and the cause and the next step of each that failed."""
    whole.left_out = sum(part.tally.left_out for part in parts)
    for part in parts:
        if part.error is None:
            gaps = f", {len(part.tally.gaps)} gaps" if part.tally.gaps else ""
            session.reporter.log("result", f"{part.title}: {number_of_records(part.tally.records)}{gaps}")
    came = {part.title: part.tally.records for part in parts}
    failures.show(session.reporter, failed_parts(parts), len(parts), came)


def _attempt(reader: _Reader, part: ArchivedPart) -> Iterator[Page]:
    """Yield the rows of a part; an error is kept in the part, and stops no other part.

    Raises:
        DriftError: The records of a strict export do not match the known columns.
    """
    try:
        yield from reader.read(part)
    except CdrctlError as error:
        part.error = error
        if isinstance(error, DriftError) and not reader.allow_partial:
            raise DriftError(f"{part.title}: {error.message}", hint=error.hint) from None
