"""Open a profile for a running command, with the clock, the log and the network of its session."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from cdrctl import connecting
from cdrctl.cli.run import Session
from cdrctl.connecting import SANDBOX, Connected, Surroundings
from cdrctl.errors import UsageError
from cdrctl.export.fetching import OpenCall
from cdrctl.fetchers import Call, Provider

if TYPE_CHECKING:
    from cdrctl.export.request import ExportRequest
    from cdrctl.export.rows import Log
    from cdrctl.fetchers.settings import Settings
    from cdrctl.http import Clock
    from cdrctl.profiles.file import Profile
    from cdrctl.profiles.tokens import TokenFile

__all__ = ["SANDBOX", "Connected", "connected", "open_call", "ready", "refuse_dry_run", "the_clock", "token_store"]


def the_clock(session: Session) -> Clock:
    """Return the process's clock."""
    if session.process.clock is not None:
        return session.process.clock
    from cdrctl.http import Clock

    return Clock()


def surroundings(session: Session) -> Surroundings:
    """Return the surroundings of a profile, from a session."""
    return Surroundings(
        environ=session.process.environ,
        config=session.config,
        clock=the_clock(session),
        log=session.reporter.log,
        conceal=session.reporter.conceal,
        max_wait=session.max_wait,
        outages=session.outages,
        transport=session.process.transport,
    )


def open_call(
    session: Session,
    provider: Provider,
    call: Call,
    profile: Connected,
    request: ExportRequest,
    options: Mapping[str, Any],
    log: Log,
) -> OpenCall:
    """Return a call of a profile that is ready for requests.

    Args:
        session: The running command.
        provider: The provider.
        call: The call.
        profile: The profile.
        request: The request, for what a fetcher must know of it.
        options: The call's own options, as its fetcher takes them.
        log: Receives notes and warnings.
    """
    query = profile.query(options, request.native_fields, strict=request.strict)
    return OpenCall(provider, call, profile.name, query, the_clock(session).now, log)


@contextmanager
def connected(
    session: Session,
    provider: Provider,
    name: str | None,
    profile: Profile | None = None,
    dry_run: Callable[[str], None] | None = None,
) -> Iterator[Connected]:
    """Return a profile that is ready for requests, as `cdrctl.connecting.connected` does.

    Raises:
        UsageError: CDRCTL_DRY_RUN is set, and the command has no --dry-run.
    """
    if dry_run is None:
        refuse_dry_run(session)
    with connecting.connected(surroundings(session), provider, name, profile, dry_run) as one:
        yield one


@contextmanager
def ready(
    session: Session, provider: Provider, profile: Profile, settings: Settings, clock: Clock
) -> Iterator[Connected]:
    """Return a profile whose settings have been read, ready for requests by this clock."""
    with connecting.ready(replace(surroundings(session), clock=clock), provider, profile, settings) as one:
        yield one


def refuse_dry_run(session: Session) -> None:
    """Refuse to send requests where the environment asks for a dry run, and the command has no --dry-run.

    Raises:
        UsageError: CDRCTL_DRY_RUN is set.
    """
    if connecting.is_dry_run(session.process.environ):
        raise UsageError(
            "CDRCTL_DRY_RUN is set, and this command has no --dry-run",
            hint="unset CDRCTL_DRY_RUN; cdrctl plan shows the requests that a sync would need",
        )


def token_store(session: Session, provider: Provider, profile: Profile, settings: Any) -> TokenFile | None:
    """Return the store of the tokens that a profile renewed or got from a browser; None if it keeps none."""
    return connecting.token_store(session.config, provider, profile, settings)
