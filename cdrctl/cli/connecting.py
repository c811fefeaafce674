"""Open a profile: read its settings and secrets, and make its client."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import ConfigurationError, SignInError, UsageError
from cdrctl.export.availability import providers_present
from cdrctl.fetchers import Provider, connect
from cdrctl.http import MASK

if TYPE_CHECKING:
    import httpx
    from pydantic import SecretStr

    from cdrctl.fetchers.settings import Settings
    from cdrctl.http import Answer, Client, Clock, RateStore, Request, Token, TokenStore
    from cdrctl.profiles.file import Profile
    from cdrctl.profiles.tokens import TokenFile


SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True)
class Connected:
    """A profile that is ready to be asked, or what stands for one where nobody is."""

    name: str
    settings: Settings | None
    client: Client | None


def the_clock(session: Session) -> Clock:
    """Return the process's clock."""
    if session.process.clock is not None:
        return session.process.clock
    from cdrctl.http import Clock

    return Clock()


def presently(session: Session, profile: Connected) -> Callable[[], datetime]:
    """Return a function that gives the present by the provider's clock, as far as its answers have told it."""
    client = profile.client
    return providers_present(the_clock(session).now, lambda: client.ahead if client is not None else None)


@contextmanager
def connected(
    session: Session,
    provider: Provider,
    name: str | None,
    profile: Profile | None = None,
    dry_run: Callable[[str], None] | None = None,
) -> Iterator[Connected]:
    """Return a profile ready to be asked: the sandbox's in this process, one read before, or one of the file.

    With `dry_run`, which is given each request as a line for curl, nothing is sent: masks stand for secrets, and no
    command that would give one is run.
    """
    if dry_run is None:
        refuse_rehearsal(session)
    clock = the_clock(session)
    # An empty name is none that anybody has, and must not become another's.
    if (session.process.environ.get("CDRCTL_PROFILE") if name is None else name) == SANDBOX:
        from cdrctl import sandbox

        with sandbox.start(now=clock.now) as running:
            settings = provider.settings.model_validate(running.profiles[provider.name])
            if dry_run is not None:
                settings = _masked(settings)
            with _client(session, provider, settings, clock, dry_run=dry_run) as client:
                yield Connected(SANDBOX, settings, client)
        return
    from cdrctl.profiles.choosing import choose_profile
    from cdrctl.profiles.settings import read_settings

    if profile is None:
        found, warnings = read_profiles(session)
        for warning in warnings:
            session.reporter.log("warning", warning)
        profile = choose_profile(found, provider.name, name, session.process.environ)
    settings = read_settings(
        profile,
        provider.settings,
        session.process.environ,
        warn=lambda text: session.reporter.log("warning", text),
        asked=dry_run is None,
        conceal=session.reporter.conceal,
        detail=lambda text: session.reporter.log("debug", text),
    )
    if dry_run is not None:
        check_auth_methods(provider, profile, settings)
        settings = _masked(settings)
        if token_shelf(session, provider, profile, settings) is not None:  # what a browser gave stands there
            settings = settings.model_copy(update={"refresh_token": _mask()})
        with _client(session, provider, settings, clock, dry_run=dry_run) as client:
            yield Connected(profile.name, settings, client)
        return
    with ready(session, provider, profile, settings, clock) as one:
        yield one


@contextmanager
def ready(
    session: Session, provider: Provider, profile: Profile, settings: Settings, clock: Clock
) -> Iterator[Connected]:
    """Return a profile ready to be asked whose settings have been read."""
    from cdrctl.profiles.pace import pace_file
    from cdrctl.profiles.settings import secret_values

    session.reporter.conceal([*secret_values(settings), *settings.disguised()])
    check_auth_methods(provider, profile, settings)
    shelf = token_shelf(session, provider, profile, settings)
    paced = settings.requests_per_minute != 0
    rate_store = pace_file(session.config, provider.name, settings) if paced else None
    named = dataclasses.replace(provider, sign_in=functools.partial(_signing_in, provider.sign_in, profile.name))
    with _client(session, named, settings, clock, shelf, rate_store) as client:
        yield Connected(profile.name, settings, client)


def _mask() -> SecretStr:
    from pydantic import SecretStr

    return SecretStr(MASK)


def refuse_rehearsal(session: Session) -> None:
    """Refuse to ask where the environment says that nothing shall be asked, and the command has no --dry-run.

    Raises:
        UsageError: CDRCTL_DRY_RUN is set.
    """
    said = session.process.environ.get("CDRCTL_DRY_RUN", "").strip().lower()
    if said not in {"", "0", "false", "no", "off", "f", "n"}:
        raise UsageError(
            "CDRCTL_DRY_RUN is set, and this command has no --dry-run",
            hint="unset it; cdrctl plan says what a sync would ask",
        )


def _masked(settings: Settings) -> Settings:
    from cdrctl.profiles.names import secret_names

    given = [name for name in secret_names(type(settings)) if getattr(settings, name) is not None]
    return settings.model_copy(update=dict.fromkeys(given, _mask()))


def token_shelf(session: Session, provider: Provider, profile: Profile, settings: Any) -> TokenFile | None:
    """Return where the tokens are kept that a profile renews, or was given in the browser; None where it has none."""
    from cdrctl.profiles.tokens import token_file

    if not provider.keeps_tokens:
        return None
    refresh_token = getattr(settings, "refresh_token", None)
    if refresh_token is not None:
        return token_file(session.config, profile.name, refresh_token.get_secret_value())
    if provider.login is None or not all(getattr(settings, name) for name in provider.auth_methods[provider.login.way]):
        return None
    shelf = token_file(session.config, profile.name, settings.client_id)
    # Whoever has an access token and never signed in has nothing to renew, and need not be able to write.
    return shelf if getattr(settings, "access_token", None) is None or os.path.exists(shelf.path) else None  # noqa: PTH110 - False where it cannot be reached


def _signing_in(
    sign_in: Callable[[Any, Token | None, datetime], Generator[Request, Answer, Token]],
    name: str,
    settings: Settings,
    ended: Token | None,
    now: datetime,
) -> Generator[Request, Answer, Token]:
    """Sign in; where the next step after a failure is one for the profile NAME, say which that is."""
    try:
        return (yield from sign_in(settings, ended, now))
    except SignInError as error:
        error.name_profile(name)
        raise


@contextmanager
def _client(
    session: Session,
    provider: Provider,
    settings: Settings,
    clock: Clock,
    shelf: TokenStore | None = None,
    rate_store: RateStore | None = None,
    dry_run: Callable[[str], None] | None = None,
) -> Iterator[Client]:
    transport = session.process.transport
    if dry_run is not None:
        from cdrctl.http.dry_run import DryRun

        transport = cast("httpx.BaseTransport", DryRun(dry_run, provider.empty_response))
        clock = replace(clock, sleep=lambda _seconds: None)
    client = connect(
        provider,
        settings,
        clock=clock,
        log=session.reporter.log,
        conceal=session.reporter.conceal,
        shelf=shelf,
        rate_store=rate_store,
        max_wait=session.max_wait,
        transport=transport,
    )
    with closing(client):
        yield client


def check_auth_methods(provider: Provider, profile: Any, settings: Settings) -> None:
    """Refuse a profile that has not all settings of at least one way to sign in, naming what is missing."""
    from cdrctl.profiles.file import environment_name

    missing = {
        way: [name for name in names if not str(getattr(settings, name) or "")]
        for way, names in provider.auth_methods.items()
    }
    if any(not names for names in missing.values()):
        return
    begun = [names for way, names in missing.items() if len(names) < len(provider.auth_methods[way])]
    if begun:
        names = begun[0]
        keys = " and ".join(names)
        variables = " and ".join(environment_name(profile.name, name) for name in names)
        raise ConfigurationError(
            f"profile {profile.name} has no {keys}, without which the rest of its sign-in is of no use",
            hint=f"set {keys} in {profile.path}, or {variables}",
        )
    choices = ", or ".join(
        " and ".join(f"{name} ({environment_name(profile.name, name)})" for name in names)
        for names in provider.auth_methods.values()
    )
    raise ConfigurationError(
        f"profile {profile.name} has no credential", hint=f"set {choices} in {profile.path} or the environment"
    )
