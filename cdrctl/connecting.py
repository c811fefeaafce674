"""Open a profile: read its settings and secrets, and make its client."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from cdrctl.errors import ConfigurationError, SignInError
from cdrctl.fetchers import Provider, Query, connect
from cdrctl.http import MASK, Clock

if TYPE_CHECKING:
    from cdrctl.fetchers.settings import Secret, Settings
    from cdrctl.http import Answer, Client, Log, Outages, RateStore, Request, Token, TokenStore
    from cdrctl.http.transport import Transport
    from cdrctl.profiles.file import Profile
    from cdrctl.profiles.tokens import TokenFile

SANDBOX = "sandbox"
"""The name of the built-in profile, which imitates every provider on this machine."""


class Surroundings(Struct, frozen=True):
    """What opening a profile takes from the program around it.

    Args:
        environ: The environment variables.
        config: The configuration file.
        clock: Time and waiting.
        log: Receives notes and warnings.
        conceal: Receives every secret, so that it is never printed.
        max_wait: How long one request may wait for retries; None for the profile's own limit.
        outages: The hosts that did not answer a profile; the profiles of a run share them.
        transport: Replaces the network, in tests.
    """

    environ: Mapping[str, str]
    config: Path
    clock: Clock
    log: Callable[[str, str], None]
    conceal: Callable[[Iterable[str]], None]
    max_wait: timedelta | None = None
    outages: Outages = field(default_factory=dict)
    transport: Transport | None = None


class Connected(Struct, frozen=True):
    """A profile that is ready for requests. Settings and client are None for a call that is offline."""

    name: str
    settings: Settings | None
    client: Client | None

    def query(
        self, options: Mapping[str, Any], fields: Sequence[str] | None = None, *, strict: bool = False
    ) -> Query[Any]:
        """Return the query of a call without its window; see `Query` for the arguments."""
        client: Any = self.client  # a call that is offline reads neither client nor settings
        return Query(client, self.settings, None, options, fields, strict)

    def with_log(self, log: Log) -> Connected:
        """Return this profile with another log."""
        return self if self.client is None else replace(self, client=self.client.with_log(log))


def is_dry_run(environ: Mapping[str, str]) -> bool:
    """Return whether the environment asks for a dry run."""
    return environ.get("CDRCTL_DRY_RUN", "").strip().lower() not in {"", "0", "false", "no", "off", "f", "n"}


@contextmanager
def connected(
    around: Surroundings,
    provider: Provider,
    name: str | None,
    profile: Profile | None = None,
    dry_run: Callable[[str], None] | None = None,
) -> Iterator[Connected]:
    """Open a profile and return it, ready for requests.

    Args:
        around: The program around it.
        provider: The provider.
        name: The name of the profile; None for CDRCTL_PROFILE, or the only profile of the provider.
        profile: The profile, if it has been read already.
        dry_run: Receives each request as a line for curl. Nothing is sent, masks stand for secrets, and no command
            that prints a secret is run.

    Raises:
        ConfigurationError: The profile cannot be used.
    """
    # An empty name must not select another profile.
    if (around.environ.get("CDRCTL_PROFILE") if name is None else name) == SANDBOX:
        with _sandbox(around, provider, dry_run) as one:
            yield one
        return
    from cdrctl.profiles.choosing import choose_profile
    from cdrctl.profiles.settings import known_profiles, read_settings

    if profile is None:
        found, warnings = known_profiles(around.config, around.environ, around.conceal)
        for warning in warnings:
            around.log("warning", warning)
        profile = choose_profile(found, provider.name, name, around.environ)
    settings = read_settings(
        profile,
        provider.settings,
        around.environ,
        warn=lambda text: around.log("warning", text),
        read_secrets=dry_run is None,
        conceal=around.conceal,
        detail=lambda text: around.log("debug", text),
    )
    with (
        ready(around, provider, profile, settings)
        if dry_run is None
        else _dry_run_profile(around, provider, profile, settings, dry_run)
    ) as one:
        yield one


@contextmanager
def _sandbox(around: Surroundings, provider: Provider, dry_run: Callable[[str], None] | None) -> Iterator[Connected]:
    """Start a sandbox in this process, and return its profile."""
    from cdrctl import sandbox

    with sandbox.start(now=around.clock.now) as running:
        settings = provider.settings.of(running.profiles[provider.name])
        if dry_run is not None:
            settings = _masked(settings)
        with _client(around, provider, settings, dry_run=dry_run) as client:
            yield Connected(SANDBOX, settings, client)


@contextmanager
def ready(around: Surroundings, provider: Provider, profile: Profile, settings: Settings) -> Iterator[Connected]:
    """Return a profile whose settings have been read, with a client.

    Raises:
        ConfigurationError: The settings of no method of authentication are complete.
    """
    from cdrctl.profiles.pace import pace_file
    from cdrctl.profiles.settings import secret_values

    around.conceal([*secret_values(settings), *settings.derived_secrets()])
    check_auth_methods(provider, profile, settings)
    store = token_store(around.config, provider, profile, settings)
    paced = settings.requests_per_minute != 0
    rate_store = pace_file(around.config, provider.name, settings) if paced else None
    named = replace(provider, sign_in=functools.partial(_sign_in, provider.sign_in, profile.name))
    with _client(around, named, settings, store, rate_store) as client:
        yield Connected(profile.name, settings, client)


@contextmanager
def _dry_run_profile(
    around: Surroundings, provider: Provider, profile: Profile, settings: Settings, dry_run: Callable[[str], None]
) -> Iterator[Connected]:
    """Return a profile whose requests are printed instead of sent."""
    check_auth_methods(provider, profile, settings)
    settings = _masked(settings)
    if token_store(around.config, provider, profile, settings) is not None:  # signed in with a browser
        settings = replace(settings, refresh_token=_mask())
    with _client(around, provider, settings, dry_run=dry_run) as client:
        yield Connected(profile.name, settings, client)


def _mask() -> Secret:
    from cdrctl.fetchers.settings import Secret

    return Secret(MASK)


def _masked(settings: Settings) -> Settings:
    from cdrctl.profiles.names import secret_names

    given = [name for name in secret_names(type(settings)) if getattr(settings, name) is not None]
    return replace(settings, **dict.fromkeys(given, _mask()))


def token_store(config: Path, provider: Provider, profile: Profile, settings: Any) -> TokenFile | None:
    """Return the store of the tokens that a profile renewed or got from a browser; None if it keeps none."""
    from cdrctl.profiles.tokens import token_file

    if not provider.keeps_tokens:
        return None
    refresh_token = getattr(settings, "refresh_token", None)
    if refresh_token is not None:
        return token_file(config, profile.name, refresh_token.get_secret_value())
    if provider.login is None or not all(getattr(settings, name) for name in provider.auth_methods[provider.login.way]):
        return None
    store = token_file(config, profile.name, settings.client_id)
    # With an access token and without a sign-in, nothing is renewed, and the folder need not be writable.
    return store if getattr(settings, "access_token", None) is None or os.path.exists(store.path) else None  # noqa: PTH110 - False where it cannot be reached


def _sign_in(
    sign_in: Callable[[Any, Token | None, datetime], Generator[Request, Answer, Token]],
    name: str,
    settings: Settings,
    ended: Token | None,
    now: datetime,
) -> Generator[Request, Answer, Token]:
    """Sign in, and name the profile in the next step of an error."""
    try:
        return (yield from sign_in(settings, ended, now))
    except SignInError as error:
        error.name_profile(name)
        raise


@contextmanager
def _client(
    around: Surroundings,
    provider: Provider,
    settings: Settings,
    store: TokenStore | None = None,
    rate_store: RateStore | None = None,
    dry_run: Callable[[str], None] | None = None,
) -> Iterator[Client]:
    transport, clock = around.transport, around.clock
    if dry_run is not None:
        from cdrctl.http.dry_run import dry_run_transport

        transport = dry_run_transport(dry_run, provider.empty_response)
        clock = replace(clock, sleep=lambda _seconds: None)
    client = connect(
        provider,
        settings,
        clock=clock,
        log=around.log,
        conceal=around.conceal,
        token_store=store,
        rate_store=rate_store,
        max_wait=around.max_wait,
        outages=around.outages,
        transport=transport,
    )
    with closing(client):
        yield client


def check_auth_methods(provider: Provider, profile: Any, settings: Settings) -> None:
    """Refuse a profile without all settings of at least one method of authentication, and name those that are missing.

    Raises:
        ConfigurationError: No method is complete.
    """
    from cdrctl.profiles.file import environment_name

    missing = {
        method: [name for name in names if not str(getattr(settings, name) or "")]
        for method, names in provider.auth_methods.items()
    }
    if any(not names for names in missing.values()):
        return
    begun = [names for method, names in missing.items() if len(names) < len(provider.auth_methods[method])]
    if begun:
        names = begun[0]
        keys = " and ".join(names)
        variables = " and ".join(environment_name(profile.name, name) for name in names)
        raise ConfigurationError(
            f"profile {profile.name} has no {keys}, which its other credentials need",
            hint=f"set {keys} in {profile.path}, or {variables}",
        )
    choices = ", or ".join(
        " and ".join(f"{name} ({environment_name(profile.name, name)})" for name in names)
        for names in provider.auth_methods.values()
    )
    raise ConfigurationError(
        f"profile {profile.name} has no credential", hint=f"set {choices} in {profile.path} or the environment"
    )
