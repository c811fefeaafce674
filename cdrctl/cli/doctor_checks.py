"""The checks of `cdrctl doctor`, in order: configuration and machine, then each profile from settings to retention."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cdrctl import PROVIDERS
from cdrctl.cli.doctor_answer import check_answer, check_retention, limit_waits
from cdrctl.cli.doctor_machine import check_configuration, check_machine
from cdrctl.cli.doctor_network import check_network, warn_about_clear_text
from cdrctl.cli.findings import Finding, failure
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import CdrctlError, ConfigurationError, Message, for_profile

if TYPE_CHECKING:
    from cdrctl.fetchers import Provider
    from cdrctl.fetchers.settings import Settings
    from cdrctl.profiles.file import Profile


NETWORK_CHECKS = ("dns", "connection", "tls")
ANSWER_CHECKS = ("answer", "clock", "sign-in", "allow-list", "rights", "pace")
CHECKS = ("settings", "secrets", *NETWORK_CHECKS, *ANSWER_CHECKS, "retention")
"""The checks of a profile, in order."""

SECONDS = 15.0
"""Upper bound of the profile's timeout while it is checked."""


def check_profiles(opened: Session, names: Sequence[str] = (), *, offline: bool = False) -> Iterator[Finding]:
    """Yield the findings of this machine, and of the named profiles or all profiles.

    Raises:
        ConfigurationError: There is no profile of a name.
    """
    from cdrctl.profiles.choosing import choose_profile
    from cdrctl.profiles.file import SANDBOX

    if list(names) == [SANDBOX]:
        for name in PROVIDERS:
            yield from _check_sandbox(opened, name, offline=offline)
        return
    environ = opened.process.environ
    try:
        found, warnings = read_profiles(opened)
    except ConfigurationError as error:
        yield failure("configuration", error)
        yield from check_machine(opened)
        return
    selected = [choose_profile(found, None, name, environ) if name not in found else found[name] for name in names]
    yield from check_configuration(opened, found, warnings)
    yield from check_machine(opened)
    for profile in selected or found.values():
        yield from check_one_profile(opened, profile, offline=offline)


def check_one_profile(opened: Session, profile: Profile, *, offline: bool = False) -> Iterator[Finding]:
    """Yield a finding for every check of a profile; those after a failed one are skipped."""
    found = _add_skipped(_check_profile(opened, profile, offline=offline), offline=offline)
    yield from (replace(one, profile=profile.name, provider=profile.provider or None) for one in found)


def _add_skipped(findings: Iterable[Finding], *, offline: bool) -> Iterator[Finding]:
    """Yield findings, and one marked as skipped for every check that has none."""
    left = list(CHECKS)
    why = "needs the network (--offline)" if offline else "nothing to check"
    for finding in findings:
        while finding.check in left:
            first = left.pop(0)
            if first != finding.check:
                yield Finding(first, "skipped", why)
        if finding.result == "fail":
            why = f"{finding.check} failed"
        yield finding
    for check in left:
        yield Finding(check, "skipped", why)


def _check_profile(opened: Session, profile: Profile, *, offline: bool) -> Iterator[Finding]:
    from cdrctl.cli.connecting import the_clock
    from cdrctl.fetchers import load

    if profile.fault:
        yield failure("settings", ConfigurationError(profile.fault, hint=profile.hint))
        return
    provider = load(profile.provider)
    if not (yield from _check_settings(opened, profile, provider)):
        return
    settings = yield from _check_secrets(opened, profile, provider)
    if settings is not None and not offline:
        yield from _check_requests(opened, profile, provider, settings)
    elif settings is not None:
        from cdrctl.http.addresses import in_clear

        if in_clear(settings.base_url):
            yield warn_about_clear_text()
    yield check_retention(provider, the_clock(opened).now())


def _check_settings(opened: Session, profile: Profile, provider: Provider) -> Generator[Finding, None, bool]:
    """Yield whether a profile has the settings it needs, before any secret is read; return whether it has."""
    from cdrctl.profiles.settings import read_settings

    try:
        settings = read_settings(
            profile,
            provider.settings,
            opened.process.environ,
            warn=lambda _text: None,  # repeated when the secrets are read
            read_secrets=False,
            conceal=opened.reporter.conceal,
        )
    except ConfigurationError as error:
        yield failure("settings", error)
        return False
    if missing := missing_credential(provider, settings):
        what = f"profile {profile.name} has no {missing} to sign in with"
        step = f"set it in {profile.path}, [profiles.{profile.name}]; cdrctl init explains where to find it"
        yield Finding("settings", "fail", what, step, ConfigurationError.exit_code)
        return False
    yield Finding("settings", "ok", f"{provider.title}, {settings.base_url}")
    return True


def _check_secrets(opened: Session, profile: Profile, provider: Provider) -> Generator[Finding, None, Settings | None]:
    """Yield where a profile's secrets come from; return its settings, or None if a secret cannot be read."""
    from cdrctl.profiles.settings import read_settings, secret_values

    warnings: list[str] = []
    try:
        settings = read_settings(
            profile,
            provider.settings,
            opened.process.environ,
            warn=warnings.append,
            conceal=opened.reporter.conceal,
            detail=lambda text: opened.reporter.log("debug", text),
        )
    except ConfigurationError as error:
        found = failure("secrets", error)
        yield replace(found, next=found.next and for_profile(found.next, profile.name))
        return None
    opened.reporter.conceal([*secret_values(settings), *settings.derived_secrets()])
    for warning in warnings:
        parts = warning if isinstance(warning, Message) else Message(warning)
        yield Finding("secrets", "warn", parts.what, parts.then or None)
    if not warnings:
        yield Finding("secrets", "ok", _describe_sources(profile, provider, opened.process.environ))
    return settings


def _check_requests(opened: Session, profile: Profile, provider: Provider, settings: Settings) -> Iterator[Finding]:
    """Yield the findings about the connection, and about one small request."""
    from cdrctl.cli.connecting import ready, the_clock

    clock = the_clock(opened)
    settings = replace(settings, timeout=min(settings.timeout, SECONDS))
    if not (yield from check_network(settings, clock.now())):
        return
    try:
        with ready(opened, provider, profile, settings, limit_waits(clock)) as one:
            assert one.client is not None  # noqa: S101 - ready() makes one
            yield from check_answer(provider, settings, one.client)
    except CdrctlError as error:  # before the first request, such as a ca_file that cannot be read
        yield failure("answer", error)


def _check_sandbox(opened: Session, provider: str, *, offline: bool) -> Iterator[Finding]:
    from cdrctl.cli.connecting import SANDBOX, connected
    from cdrctl.fetchers import load

    described = load(provider)

    def findings() -> Iterator[Finding]:
        with connected(opened, described, SANDBOX) as one:
            assert one.client is not None  # noqa: S101 - connected() makes both
            assert one.settings is not None  # noqa: S101
            yield Finding("settings", "ok", f"{described.title}, built in at {one.settings.base_url}")
            yield Finding("secrets", "ok", "built in")
            now = one.client.clock.now()
            if not offline and (yield from check_network(one.settings, now)):
                yield from check_answer(described, one.settings, one.client)
            yield check_retention(described, now)

    found = _add_skipped(findings(), offline=offline)
    yield from (replace(one, profile=SANDBOX, provider=provider) for one in found)


def missing_credential(provider: Provider, settings: Settings) -> str | None:
    """Return the names of the settings that are missing to sign in, or None if those of one method are complete."""
    methods = list(provider.auth_methods.values())
    missing = [[name for name in names if not getattr(settings, name)] for names in methods]
    if not all(missing):
        return None
    nearest, wanted = min(
        zip(missing, methods, strict=True), key=lambda pair: (len(pair[0]) == len(pair[1]), len(pair[0]))
    )
    if len(nearest) < len(wanted):
        return " and ".join(nearest)
    return ", or ".join(" and ".join(names) for names in methods)


def _describe_sources(profile: Profile, provider: Provider, environ: Mapping[str, str]) -> str:
    """Return where each secret of a profile comes from."""
    from cdrctl.profiles.names import secret_names
    from cdrctl.profiles.redaction import redact_settings

    shown = redact_settings(profile, provider.settings, environ)
    sources = []
    for name in sorted(secret_names(provider.settings)):
        if stored := shown.get(name):
            sources.append(f"{name} is in {stored.variable or 'the configuration file'}")
        for form, kind in (("_command", "the command"), ("_file", "the file")):
            if given := shown.get(name + form):
                sources.append(f"{name} comes from {kind} {given}")
        if (held := shown.get(f"{name}_keyring")) and held.text != "false":
            sources.append(f"{name} comes from the keyring{f' ({held.variable})' if held.variable else ''}")
    return "; ".join(sources) or "this profile needs none"
