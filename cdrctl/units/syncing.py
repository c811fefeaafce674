"""Brings the calls of an open profile up to date in an archive, one after the other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from cdrctl import windows
from cdrctl.archive import sync as archive_sync
from cdrctl.archive.fetching import Source
from cdrctl.archive.ledger2 import JsonLedger
from cdrctl.archive.ledgers import AnyLedger, call_lock
from cdrctl.archive.not_offered import is_offered, store_not_offered, store_offered
from cdrctl.archive.opening import forget_folder
from cdrctl.archive.options import CallOptions, wants_details
from cdrctl.archive.outcome import Outcome
from cdrctl.archive.retain import first_day_kept, retire
from cdrctl.archive.store import Archive
from cdrctl.connecting import SANDBOX, Connected, Surroundings
from cdrctl.errors import ConfigurationError, UsageError
from cdrctl.export.fetching import OpenCall, fetch_window
from cdrctl.fetchers import Call, Known, Provider
from cdrctl.records.arrays import KnownLists
from cdrctl.records.events import Event, Record
from cdrctl.units.account import account_of
from cdrctl.units.calls import store_calls

Log = Callable[[str, str], None]


class CallRun(Struct):
    """One call of one profile in a sync.

    Args:
        name: The name under which the archive keeps the profile.
        call: The call.
        outcome: What has been done so far.
        options: The options of the call, of which some may be from `archive.toml`.
        beside: Nobody asked for it by name: it is archived beside the main call where the provider has it.
        error: Why it failed.
        ended: Whether it has been read to its end, or to its error.
    """

    name: str
    call: Call
    outcome: Outcome
    options: CallOptions | None = None
    beside: bool = False
    error: BaseException | None = None
    ended: bool = False

    @property
    def is_incomplete(self) -> bool:
        """Whether the call was read, but not completely, or has records that are gone at the provider."""
        one = self.outcome
        return self.error is None and bool(one.failed or one.gone_on or one.lost or one.missing)


class Sync(Struct, frozen=True):
    """How to bring an archive up to date.

    Args:
        since: From when on to keep calls; None to go on as before.
        lookback: How long after a call to read it again; None for the call's own value.
        sweep: How long before that to read settled days again; None for the policy of the archive.
        shrink: Remove records that are gone at the provider.
        adopt: Accept that a profile points to another account than before.
        only_holes: Read only what is missing.
        with_calls: Store whole calls, whatever the archive says.
        by_day: Whether each day has a line of its own in a log.
    """

    since: datetime | None = None
    lookback: timedelta | None = None
    sweep: timedelta | None = None
    shrink: bool = False
    adopt: bool = False
    only_holes: bool = False
    with_calls: bool = False
    by_day: bool = False


class Target(Struct, frozen=True):
    """What a sync writes, and how.

    Args:
        archive: The archive.
        ledger: Its ledger.
        how: How to bring it up to date.
        clean: Returns a text without secrets and control characters.
        stop: Tells whether to stop after the day that is being read.
    """

    archive: Archive
    ledger: AnyLedger
    how: Sync
    clean: Callable[[str], str]
    stop: Callable[[], bool]


def sync_calls(
    around: Surroundings, target: Target, provider: Provider, profile: Connected, runs: Sequence[CallRun]
) -> None:
    """Bring calls of a profile up to date, in order, and then its stored whole calls; errors are kept in the runs.

    This is all that a machine does for a profile: the command line, its threads, shards, and tasks of a cluster differ
    only in who calls it.

    Args:
        around: The program around it.
        target: What is written, and how.
        provider: The provider of the profile.
        profile: The profile, ready for requests.
        runs: The calls.
    """
    for run in runs:
        if not target.stop():
            _sync_call(around, target, provider, profile, run)
    if runs and not target.stop():
        try:
            store_calls(around, target.archive, target.ledger, runs[-1].name, always=target.how.with_calls)
        except BaseException as error:  # noqa: BLE001 - raised by whoever reads the runs
            runs[-1].error = runs[-1].error or error
    if runs:
        forget_folder(target.archive.profile_folder(runs[-1].name))


def _sync_call(around: Surroundings, target: Target, provider: Provider, profile: Connected, run: CallRun) -> None:
    """Bring one call up to date; an error is kept in the run."""
    archive, ledger, how = target.archive, target.ledger, target.how
    log = _labelled_log(around.log, f"{run.name} {run.call.name}", by_day=how.by_day)
    try:
        source, opened = _open_source(around, target, provider, profile, run, log)
        with call_lock(archive, run.name, run.call.name):
            archive_sync.sync(
                archive,
                ledger,
                source,
                opened.now,
                since=how.since,
                lookback=how.lookback,
                sweep=how.sweep,
                shrink=how.shrink,
                only_holes=how.only_holes,
                adopt=how.adopt,
                optional=run.beside,
                stop=target.stop,
                outcome=run.outcome,
            )
            _note_not_offered(archive, ledger, run, log)
            if not how.only_holes and run.outcome.error is None and not target.stop():
                _apply_retention(archive, ledger, run, opened, log)
    except BaseException as error:  # noqa: BLE001 - raised at the end, in the main thread
        run.error = error
    run.error = run.error or run.outcome.error
    run.ended = not target.stop() or run.error is not None


def _open_source(
    around: Surroundings, target: Target, provider: Provider, profile: Connected, run: CallRun, log: Log
) -> tuple[Source, OpenCall]:
    """Return a call of a profile as an archive reads it, and ready for requests."""
    assert run.options is not None  # noqa: S101 - `runs_of` sets them
    query = profile.with_log(log).query(run.options.values)
    opened = OpenCall(provider, run.call, profile.name, query, around.clock.now, log)
    fetch = functools.partial(_fetch, opened, target.archive, run.options)
    account = account_of(provider, profile.settings, sandbox=profile.name == SANDBOX)
    about = (log, target.clean, opened.ahead, account, run.options.text, fetch)
    source = Source(run.name, provider.name, run.call, fetch, *about)
    return replace(source, fetch_again=lambda window, lists: fetch(window, lists=lists)), opened


def _note_not_offered(archive: Archive, ledger: AnyLedger, run: CallRun, log: Log) -> None:
    """Store whether the provider has a call, and say so once if it has not."""
    why = run.outcome.not_offered
    if not why:
        store_offered(archive, run.name, run.call.name)
    elif is_offered(archive, run.name, run.call.name):
        log("note", f"{why}: it is not archived")
        store_not_offered(archive, ledger, run.name, run.call.name, why)


_NO_LISTS: KnownLists = {}


def _nothing_known(_record: Record, _context: Mapping[str, str]) -> None:
    """Return that the archive has no details of a record."""


def _fetch(
    opened: OpenCall,
    archive: Archive,
    options: CallOptions,
    window: windows.Window,
    known: Known = _nothing_known,
    lists: KnownLists = _NO_LISTS,
) -> Iterator[Event]:
    """Yield the events of a window, without requests for details that are known.

    Pages of lists that were read before are decoded only where they are looked at.

    Raises:
        ConfigurationError: The provider, or its fetcher, does not accept an option in `archive.toml`.
    """
    from cdrctl.http.workers import release_buffers

    raw = not wants_details(opened.call, options.text)  # an unchanged response need not be converted
    try:
        query = replace(opened.query, known=known)
        yield from fetch_window(replace(opened, query=query), window, raw=raw, lines=False, known=lists)
    except UsageError as error:
        if not options.where:
            raise
        raise ConfigurationError(
            f"{archive.folder / 'archive.toml'}: {error.message}, in {options.where}", said=error.said, hint=error.hint
        ) from error
    finally:
        release_buffers()  # the day is merged and written before the next window is requested


def _apply_retention(archive: Archive, ledger: AnyLedger, run: CallRun, opened: OpenCall, log: Log) -> None:
    """Remove the days of a call that are older than the policy in `archive.toml` allows, by the provider's clock."""
    ahead, kept, days = opened.ahead(), ledger.kept_call(run.name, run.call.name), archive.settings.retain_days
    if days is None or kept is None:
        return
    if not isinstance(ledger, JsonLedger):
        log("warning", "[retain] in archive.toml needs the current layout: cdrctl archive convert")
    elif ahead is not None:  # a clock alone could remove too much
        found = retire(archive, ledger, kept, first_day_kept(archive, opened.now() - ahead, days))
        if found.days:
            log("result", f"{found.days} days before {found.before} are retired: {found.records} records removed")


def _labelled_log(log: Log, about: str, *, by_day: bool) -> Log:
    """Return the log of a call: each line begins with its name, and a day has a line of its own if `by_day`."""
    logged: set[str] = set()

    def labelled(level: str, text: str) -> None:
        if level in {"note", "warning"}:
            if text in logged:  # each day may report the same
                return
            logged.add(text)
        if level == "day":
            level = "result" if by_day else "debug"
        log(level, f"{about}: {text}")

    return labelled
