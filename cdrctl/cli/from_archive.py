"""`cdrctl PROVIDER CALL --from DIR`: an export that reads an archive instead of the provider.

No secret is read and nothing is sent. A profile need not be configured any more: the archive knows its provider. Of a
configured one, only the time zone and the tags are read.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from cdrctl import windows
from cdrctl.cli.connecting import the_clock
from cdrctl.cli.exporting import conclude, counted
from cdrctl.cli.options import PROVIDER_ONLY, SHARED
from cdrctl.cli.output_options import COMMON_NAME, data, drift, local_zone, render_options, table_name
from cdrctl.cli.progress import progress
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import UsageError, did_you_mean
from cdrctl.export.pipeline import schema_of, wanted_rows, write
from cdrctl.export.rows import Tally
from cdrctl.profiles.choosing import list_names
from cdrctl.records.events import Event
from cdrctl.units.calls import name_of, names_in_archive
from cdrctl.windows import Window, rfc3339

if TYPE_CHECKING:
    from cdrctl.archive.ledger import KeptCall
    from cdrctl.archive.source import ArchivedCall
    from cdrctl.export.request import ExportRequest
    from cdrctl.export.rows import Log
    from cdrctl.export.selection import Page
    from cdrctl.fetchers import Call, Provider
    from cdrctl.http import Clock
    from cdrctl.profiles.file import Profile
    from cdrctl.records.schemas import Schema


# What only makes sense with a provider


def refuse_provider_options(session: Session, call: Call | None, own: Mapping[str, Any]) -> None:
    """Refuse options that say how the provider is asked, if they are on the command line.

    The environment may have those for all exports, such as CDRCTL_PAGE_SIZE: these do not matter here. One that selects
    records, such as CDRCTL_FILTER, would be ignored without a word, so it is refused.

    Raises:
        UsageError: There is one.
    """
    for name in PROVIDER_ONLY:
        if name in session.typed:
            raise _only_for_providers(SHARED[name].label)
    for described in call.options if call is not None else ():
        if described.argument:
            continue
        label = f"--{described.name.replace('_', '-')}"
        if f"own_{described.name}" in session.typed:
            raise _only_for_providers(label)
        if described.kind in {"text", "flag"} and own.get(described.name) not in (None, False, [], described.default):
            raise _only_for_providers(label)


def _only_for_providers(label: str) -> UsageError:
    return UsageError(
        f"{label} is for requests to the provider, and --from DIR sends none",
        hint="leave it out; --where selects records of an archive",
    )


# The profile


def choose_kept(
    kept: Sequence[KeptCall], provider: Provider, call: Call, name: str | None, environ: Mapping[str, str]
) -> KeptCall:
    """Return the call to read: that of the profile named, else of CDRCTL_PROFILE, else of the only one of the provider.

    Raises:
        UsageError: The archive does not keep it, or keeps it of several profiles.
    """
    origin = ""
    if name is None:
        name, origin = environ.get("CDRCTL_PROFILE") or None, " (CDRCTL_PROFILE)"
    of_provider = [one for one in kept if one.provider == provider.name]
    named = [one for one in of_provider if name is None or name in {one.profile, name_of(one)}]
    found = [one for one in named if one.call == call.name]
    if len(found) > 1:
        names = ", ".join(sorted(name_of(one) for one in found))
        raise UsageError(
            f"the archive has {provider.name} {call.name} of {len(found)} profiles: {names}",
            hint="choose one with -p NAME or CDRCTL_PROFILE",
        )
    if found:
        return found[0]
    if named:
        whose = f" of {name}" if name is not None else ""
        calls = ", ".join(sorted({f"{provider.name} {one.call}" for one in named}))
        raise UsageError(
            f"the archive does not keep {provider.name} {call.name}{whose}",
            hint=f"it keeps {calls}; cdrctl sync PROFILE --into DIR --call {call.name} adds it",
        )
    if name is None:
        there = ", ".join(sorted({one.provider for one in kept if one.provider}))
        raise UsageError(
            f"the archive has no profile of {provider.name}",
            hint=f"it has profiles of: {there}" if there else "cdrctl sync PROFILE --into DIR fills it",
        )
    raise no_such_profile(kept, name, provider, origin)


def no_such_profile(
    kept: Sequence[KeptCall], name: str, provider: Provider | None = None, origin: str = ""
) -> UsageError:
    """Return the error for a profile that the archive does not have, or has of another provider."""
    other = next((one for one in kept if name in {one.profile, name_of(one)}), None)
    if other is not None and other.provider and provider is not None:
        return UsageError(
            f"profile {name}{origin} in the archive is of {other.provider}, not of {provider.name}",
            hint=f"`cdrctl {other.provider} {other.call} --from DIR` reads it",
        )
    if other is not None:
        return UsageError(
            f"the archive does not state the provider of profile {name}{origin}",
            hint=f"cdrctl sync {name} --into DIR records it",
        )
    names = sorted({name_of(one) for one in kept})
    there = f"its profiles are: {list_names(names)}" if names else "cdrctl sync PROFILE --into DIR fills it"
    return UsageError(f"the archive has no profile {name!r}{origin}", hint=f"{did_you_mean(name, names)}{there}")


def with_zone(
    request: ExportRequest,
    name: str,
    provider: Provider,
    profiles: Callable[[], Mapping[str, Profile]],
    environ: Mapping[str, str],
) -> ExportRequest:
    """Return the request with the time zone of a profile, if it has one and --tz is not given.

    Args:
        request: The request.
        name: The name of the profile.
        provider: Its provider.
        profiles: Returns the configured profiles.
        environ: The environment.
    """
    if request.window.zone is not None:
        return request
    from cdrctl.profiles.choosing import timezone_of

    configured = profiles().get(name)
    if configured is not None and configured.provider != provider.name:
        return request
    zone = timezone_of(name, configured, environ)
    return request if zone is None else replace(request, window=replace(request.window, zone=windows.zone(zone)))


# The records


class Reading(Struct, frozen=True):
    """A call of an archive that is ready to be read.

    Args:
        provider: The provider.
        source: The call in the archive.
        request: The request, with the time zone of the profile.
        now: The present instant.
        find: From the window and its events to those that are wanted; None for all.
    """

    provider: Provider
    source: ArchivedCall
    request: ExportRequest
    now: datetime
    find: Callable[[Window, Iterator[Event]], Iterator[Event]] | None = None

    @property
    def name(self) -> str:
        """The name of the profile."""
        return name_of(self.source.kept)

    @property
    def zone(self) -> tzinfo:
        """The time zone of words and of times without an offset."""
        return self.request.window.zone or windows.zone("UTC")

    def window(self, log: Log) -> Window:
        """Return the window; the default one begins with the archive if that is younger.

        Raises:
            UsageError: The words cannot be read, or there is nothing between them.
        """
        asked = self.request.window.read(self.source.call.timing.default_since, None, self.now)
        begins = self.source.kept.begins
        if self.request.window.since is None and asked.since < begins < asked.until:
            log("note", f"the archive begins at {rfc3339(begins)}")
            return Window(begins, asked.until)
        return asked

    def schema(self, warn: Callable[[str], None]) -> Schema:
        """Return the schema of the records; `warn` receives what does not fit the columns.

        Raises:
            UsageError: The call has no such schema, or a field is not one of its columns.
        """
        from cdrctl.archive.records import with_archived_key

        without_keys = replace(self.request, output=replace(self.request.output, record_keys=False))
        schema = schema_of(self.provider, self.source.records, self.name, without_keys, warn)
        if not self.request.output.record_keys:
            return schema
        return with_archived_key(schema, self.provider, self.source.call, self.name, warn)

    def rows(
        self, schema: Schema, tally: Tally, log: Log, clock: Clock, *, noted: bool = False
    ) -> Generator[Page, None, None]:
        """Yield the wanted rows, page by page, in the order of the calls.

        Args:
            schema: Their schema.
            tally: Counts what is done.
            log: Receives notes and warnings.
            clock: The clock, for the progress.
            noted: A note about the end of the window is written by the caller.
        """
        window = self.window(log)
        events = self._events(window, noted=noted)
        return wanted_rows(
            lambda: (window, events if self.find is None else self.find(window, events)),
            self.source.records,
            self.request,
            schema,
            tally,
            log,
            zone=self.zone,
            now=self.now,
            follow=lambda window: progress(tally, window, None, clock, log),
        )

    def _events(self, window: Window, *, noted: bool) -> Generator[Event, None, None]:
        from cdrctl.archive.source import archived_events, recent_note

        if not noted and self.request.selection.stops_at is None:
            found = recent_note(self.source, window, self.now)
            yield from found[1] if found is not None else ()
        yield from archived_events(self.source, window, self.now, self.sync_command())

    def sync_command(self) -> str:
        """Return the command that reads what is missing."""
        main = self.provider.calls[0].name
        other = [] if self.source.call.name == main else ["--call", self.source.call.name]
        return shlex.join(["cdrctl", "sync", self.name, "--into", str(self.source.archive.folder), *other])


def export_from_archive(
    session: Session,
    provider: Provider,
    call: Call,
    request: ExportRequest,
    folder: Path,
    started: float,
    own: Mapping[str, Any],
) -> None:
    """Export one call of one profile in an archive; of a call that searches another one, what that finds.

    Raises:
        UsageError: The archive does not keep the call, or nothing is searched for.
    """
    from cdrctl.archive.source import open_source

    find: Callable[[Window, Iterator[Event]], Iterator[Event]] | None = None
    if (searched := call.searched) is not None:
        find = functools.partial(searched.find, own["id"])
        call = next(one for one in provider.calls if one.name == searched.call)

    if request.dry_run:
        note_dry_run(session)
        return
    log, tally, clock, environ = session.reporter.log, Tally(), the_clock(session), session.process.environ
    asked = request.profile if request.profile is not None else environ.get("CDRCTL_PROFILE")
    with open_source(folder, names_in_archive(asked, [provider.name]) if asked else None) as archive:
        kept = choose_kept(archive.kept, provider, call, request.profile, environ)
        request = with_zone(request, name_of(kept), provider, lambda: read_profiles(session)[0], environ)
        reading = Reading(provider, archive.read(kept, call), request, clock.now(), find)
        native = request.schema == "native"
        zone = local_zone(request, request.window.zone, "UTC unless --tz says otherwise", windowed=True)
        name = table_name(provider, call) if native else COMMON_NAME
        look = render_options(session, request, zone, name, call if native else None)
        schema = reading.schema(drift(log, f"{provider.name} {call.name}", strict=request.strict))
        pages = reading.rows(schema, tally, log, clock)
        with (
            data(session, request.output) as out,
            closing(pages),
            counted(session, tally, dict, started),
        ):
            write(pages, request, schema, tally, log, out, look)
    conclude(tally, request)


def note_dry_run(session: Session) -> None:
    """Note that there is nothing to print."""
    session.reporter.log("note", "an export from an archive sends no requests")
