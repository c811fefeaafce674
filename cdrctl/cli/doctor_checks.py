"""The checks of `cdrctl doctor`, from the configuration to the first answer."""

from __future__ import annotations

import os
import platform
import stat
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cdrctl import PROVIDERS, __version__
from cdrctl.cli.findings import Finding, Result, failed
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import (
    AddressError,
    CdrctlError,
    ConfigurationError,
    Message,
    RightsError,
    SignInError,
    TemporaryError,
    code_of,
    for_profile,
)

if TYPE_CHECKING:
    from cdrctl.fetchers import Provider
    from cdrctl.fetchers.settings import Settings
    from cdrctl.http import Client, Clock
    from cdrctl.http.client import Level
    from cdrctl.profiles.file import Profile


OF_THE_WAY = ("dns", "connection", "tls")
OF_THE_ANSWER = ("answer", "clock", "sign-in", "allow-list", "rights", "pace")
CHECKS = ("settings", "secrets", *OF_THE_WAY, *OF_THE_ANSWER, "retention")
"""What is checked of a profile, in order."""

SECONDS = 15.0
"""Seconds of silence from a provider until it counts as not answering, whatever the profile allows."""

LONGEST_TURN = 75.0
"""Seconds to wait for a turn within the provider's limit: one window a minute is the slowest there is."""

ENDS_SOON = timedelta(days=14)
OFF, WRONG, ABSURD = timedelta(minutes=2), timedelta(hours=1), timedelta(days=1)
"""How far a clock may differ until it is said; until exports miss calls; until it cannot be told which one is wrong."""


# What is checked


def examined(opened: Session, names: Sequence[str] = (), *, offline: bool = False) -> Iterator[Finding]:
    """Yield the findings of this machine, and of these profiles, or of all where none is named.

    Raises:
        ConfigurationError: There is no profile of a name.
    """
    from cdrctl.profiles.choosing import choose_profile
    from cdrctl.profiles.file import SANDBOX

    if list(names) == [SANDBOX]:
        for name in PROVIDERS:
            yield from _of_the_sandbox(opened, name, offline=offline)
        return
    environ = opened.process.environ
    try:
        found, warnings = read_profiles(opened)
    except ConfigurationError as error:
        yield failed("configuration", error)
        yield from _machine(opened)
        return
    wanted = [choose_profile(found, None, name, environ) if name not in found else found[name] for name in names]
    yield from _configuration(opened, found, warnings)
    yield from _machine(opened)
    for profile in wanted or found.values():
        yield from of_profile(opened, profile, offline=offline)


def _configuration(opened: Session, found: dict[str, Profile], warnings: Sequence[str]) -> Iterator[Finding]:
    path = opened.config
    there = os.path.exists(path)  # noqa: PTH110 - False where it cannot be reached
    alone = [each.name for each in found.values() if each.source == "environment"]
    count = f"{len(found)} profile{'' if len(found) == 1 else 's'}"
    if not found:
        what = f"{path} has no profile" if there else f"there is no {path}, and no profile in the environment"
        begin = "cdrctl init makes one; cdrctl doctor sandbox needs none"
        yield Finding("configuration", "fail", what, begin, ConfigurationError.exit_code)
    else:
        where = str(path) if there else f"no {path}"
        yield Finding(
            "configuration",
            "ok",
            f"{where}: {count}{', in the environment: ' + ', '.join(alone) if alone else ''}",
        )
    for warning in warnings:
        if "means nothing" in warning:
            yield Finding("configuration", "warn", warning, f"take it out of {path}")


def _machine(opened: Session) -> Iterator[Finding]:
    yield from _permissions(opened.config)
    python = platform.python_version()
    yield Finding("program", "ok", f"cdrctl {__version__}, Python {python}, {platform.system()} {platform.release()}")
    named = sorted(
        name for name in opened.process.environ if name.lower().endswith("_proxy") and opened.process.environ[name]
    )
    what = f"{', '.join(named)} in the environment" if named else "none in the environment"
    yield Finding("proxy", "ok", what)


def _permissions(config: Path) -> Iterator[Finding]:
    """Yield who may read and change the configuration, and whether what runs keep can be written beside it."""
    from cdrctl.private import check_folder

    folder = config.parent
    if not os.path.isdir(folder):  # noqa: PTH112 - False where it cannot be reached
        yield Finding("permissions", "skipped", f"there is no {folder} yet")
        return
    odd = False
    for path, others in ((config, 0o066), (folder, 0o022)):
        if os.name == "nt" or not os.path.exists(path):  # noqa: PTH110 - as above
            continue
        mode = path.stat().st_mode
        if (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and mode & others and not mode & stat.S_ISVTX:
            odd = True
            mend = "600" if path is config else "go-w"
            can = "read or changed" if path is config else "changed"
            yield Finding("permissions", "warn", f"{path} can be {can} by others", f"chmod {mend} {path}")
    for place in (folder, folder / "tokens", folder / "pace"):
        if not os.path.isdir(place):  # noqa: PTH112 - as above
            continue
        try:
            if place is not folder:
                check_folder(place)
        except ConfigurationError as error:
            odd = True
            yield failed("permissions", error)
            continue
        try:
            with tempfile.NamedTemporaryFile(dir=place, prefix=".doctor.", suffix=".probe"):
                pass
        except OSError as error:
            odd = True
            yield Finding(
                "permissions",
                "warn",
                f"{place} cannot be written ({error.strerror}): renewed tokens and the shared pace cannot be kept",
                f"make {place} writable, or name a configuration elsewhere with --config",
            )
    if not odd:
        yield Finding("permissions", "ok", f"only you can change {folder}, and it can be written")


def of_profile(opened: Session, profile: Profile, *, offline: bool = False) -> Iterator[Finding]:
    """Yield a finding for every check of a profile; checks after a failed one are marked as skipped."""
    found = _every_check(_of_profile(opened, profile, offline=offline), offline=offline)
    yield from (replace(one, profile=profile.name, provider=profile.provider or None) for one in found)


def _every_check(findings: Iterable[Finding], *, offline: bool) -> Iterator[Finding]:
    """Yield findings, and that the checks were skipped that had none."""
    left = list(CHECKS)
    why = "the network is left out (--offline)" if offline else "there is nothing to check"
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


def _of_profile(opened: Session, profile: Profile, *, offline: bool) -> Iterator[Finding]:
    from cdrctl.cli.connecting import ready, the_clock
    from cdrctl.fetchers import load
    from cdrctl.http.addresses import in_clear
    from cdrctl.profiles.settings import read_settings, secret_values

    name, environ = profile.name, opened.process.environ
    if profile.fault:
        yield failed("settings", ConfigurationError(profile.fault, hint=profile.hint))
        return
    provider = load(profile.provider)
    warned: list[str] = []
    try:
        settings = read_settings(
            profile, provider.settings, environ, warn=warned.append, asked=False, conceal=opened.reporter.conceal
        )
    except ConfigurationError as error:
        yield failed("settings", error)
        return
    if missing := lacks(provider, settings):
        what = f"profile {name} has no {missing} to sign in with"
        step = f"set it in {profile.path}, [profiles.{name}]; cdrctl init shows where it is found"
        yield Finding("settings", "fail", what, step, ConfigurationError.exit_code)
        return
    yield Finding("settings", "ok", f"{provider.title}, {settings.base_url}")
    try:
        settings = read_settings(
            profile,
            provider.settings,
            environ,
            warn=warned.append,
            conceal=opened.reporter.conceal,
            detail=lambda text: opened.reporter.log("debug", text),
        )
    except ConfigurationError as error:
        found = failed("secrets", error)
        yield replace(found, next=found.next and for_profile(found.next, name))
        yield _retention(provider, the_clock(opened).now())
        return
    opened.reporter.conceal([*secret_values(settings), *settings.disguised()])
    for warning in warned:
        parts = warning if isinstance(warning, Message) else Message(warning)
        yield Finding("secrets", "warn", parts.what, parts.then or None)
    if not warned:
        yield Finding("secrets", "ok", _sources(profile, provider, environ))
    clock = the_clock(opened)
    if offline and in_clear(settings.base_url):
        yield _read_on_the_way()
    if not offline:
        settings = settings.model_copy(update={"timeout": min(settings.timeout, SECONDS)})
        reached = yield from _way(settings, clock.now())
        if reached:
            try:
                with ready(opened, provider, profile, settings, _hurried(clock)) as one:
                    assert one.client is not None  # noqa: S101 - ready() has one
                    yield from _asked(provider, settings, one.client)
            except CdrctlError as error:  # before anything could be asked, such as a ca_file that cannot be read
                yield failed("answer", error)
    yield _retention(provider, clock.now())


def _of_the_sandbox(opened: Session, provider: str, *, offline: bool) -> Iterator[Finding]:
    from cdrctl.cli.connecting import SANDBOX, connected
    from cdrctl.fetchers import load

    described = load(provider)

    def findings() -> Iterator[Finding]:
        with connected(opened, described, SANDBOX) as one:
            assert one.client is not None  # noqa: S101 - connected() has both
            assert one.settings is not None  # noqa: S101
            yield Finding("settings", "ok", f"{described.title}, built in at {one.settings.base_url}")
            yield Finding("secrets", "ok", "its own")
            now = one.client.clock.now()
            if not offline and (yield from _way(one.settings, now)):
                yield from _asked(described, one.settings, one.client)
            yield _retention(described, now)

    found = _every_check(findings(), offline=offline)
    yield from (replace(one, profile=SANDBOX, provider=provider) for one in found)


def lacks(provider: Provider, settings: Settings) -> str | None:
    """Return what is missing to sign in, or None where one way is complete."""
    missing = [[name for name in names if not getattr(settings, name)] for names in provider.auth_methods.values()]
    if not all(missing):
        return None
    fewest = min(
        zip(missing, provider.auth_methods.values(), strict=True),
        key=lambda pair: (len(pair[0]) == len(pair[1]), len(pair[0])),
    )
    if len(fewest[0]) < len(fewest[1]):
        return " and ".join(fewest[0])
    return ", or ".join(" and ".join(names) for names in provider.auth_methods.values())


def _sources(profile: Profile, provider: Provider, environ: Mapping[str, str]) -> str:
    """Return where each secret came from."""
    from cdrctl.profiles.file import environment_name
    from cdrctl.profiles.names import secret_names
    from cdrctl.profiles.settings import redacted

    shown = redacted(profile, provider.settings, environ)
    said = []
    for name in sorted(secret_names(provider.settings)):
        for form, where in (
            ("", "is written down"),
            ("_command", "from"),
            ("_file", "from"),
            ("_keyring", "from the keyring"),
        ):
            key = name + form
            if key not in shown or shown[key].startswith("false"):
                continue
            given = f" {shown[key]}" if where == "from" else ""
            outside = shown[key].endswith(")") and environment_name(profile.name, key) in shown[key]
            variable = f" in {environment_name(profile.name, key)}" if outside and not given else ""
            said.append(f"{name} {where}{given}{variable}")
    return "; ".join(said) or "none is needed"


def _way(settings: Settings, now: datetime) -> Generator[Finding, None, bool]:
    """Yield the findings on the way to a host, and return whether a request has a chance."""
    from cdrctl.http import reach

    url = settings.base_url
    check = "dns"
    try:
        proxy = reach.proxy_for(url)
        if proxy is not None:
            host, port = reach.place_of(proxy)
            check = "connection"
            yield Finding("dns", "skipped", f"the proxy {host}:{port} looks the name up")
            seconds = reach.to_proxy(proxy)
            yield Finding(check, "ok", f"by the proxy {host}:{port}, which takes connections ({_ms(seconds)})")
            yield Finding("tls", "skipped", "by a proxy the request itself checks the certificate")
            return True
        host, port = reach.place_of(url)
        found = reach.addresses(host, port)
        more = f" and {len(found) - 2} more" if len(found) > 2 else ""
        same = found == [host]
        yield Finding(check, "ok", f"{host} is an address" if same else f"{host} is {', '.join(found[:2])}{more}")
        check = "connection"
        address, seconds = reach.connected(host, port, found)
        yield Finding(check, "ok", f"{address} takes connections at port {port} ({_ms(seconds)})")
        check = "tls"
        yield _tls(settings, host, port, address, now)
    except CdrctlError as error:
        yield failed(check, error)
        return False
    return True


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _read_on_the_way() -> Finding:
    from cdrctl.http.addresses import IN_CLEAR

    return Finding("tls", "warn", IN_CLEAR, "use https:// if the server has it, which may be at another port")


def _tls(settings: Settings, host: str, port: int, address: str, now: datetime) -> Finding:
    from cdrctl.http import reach
    from cdrctl.http.addresses import in_clear

    if not settings.base_url.startswith("https:"):
        if not in_clear(settings.base_url):
            return Finding("tls", "skipped", "base_url begins with http://, and stays on this machine")
        return _read_on_the_way()
    shown = reach.certificate(host, port, address, settings.ca_file)
    until = f"issued by {shown.issuer}, good until {shown.ends:%Y-%m-%d}"
    if shown.ends - now < ENDS_SOON:
        mend = "whoever runs the server must renew it before then"
        return Finding("tls", "warn", f"{until}: that is soon", mend)
    return Finding("tls", "ok", f"{until}{', by ca_file' if settings.ca_file else ''}")


def _hurried(clock: Clock) -> Clock:
    """Return a clock with which nobody waits for long."""

    def sleep(seconds: float) -> None:
        if seconds > LONGEST_TURN:
            raise TemporaryError(
                f"it would be {seconds:.0f} s until this profile's turn: other runs ask with the same credential",
                hint="run it again when they are done",
            )
        clock.sleep(seconds)

    return replace(clock, sleep=sleep)


def _asked(provider: Provider, settings: Settings, client: Client) -> Iterator[Finding]:
    """Yield what one small request shows, with its sign-in: it is asked once, and not again where it fails."""
    told: list[tuple[str, str]] = []
    log = client.log

    def hear(level: Level, text: str) -> None:
        told.append((level, text))
        if level in {"debug", "wait"}:
            log(level, text)

    client.log = hear
    client.tries = 1
    error: CdrctlError | None = None
    found = ""
    try:
        found = provider.check(client, settings)
    except CdrctlError as problem:
        error = problem
    if error is not None and not isinstance(error, SignInError):
        yield failed("answer", error)
        if client.ahead is not None:
            yield _clock(client.ahead)
        return
    asked = "1 request" if client.requests == 1 else f"{client.requests} requests"
    notes = [(level, text) for level, text in told if level in {"note", "warning"} and code_of(text) != "clock"]
    result: Result = "warn" if any(level == "warning" for level, _ in notes) else "ok"
    yield Finding("answer", result, "; ".join([f"it answers ({asked})", *(text for _, text in notes)]))
    if client.ahead is not None:
        yield _clock(client.ahead)
    else:
        yield Finding("clock", "skipped", "the answer does not say what time it is")
    yield from _signed_in(provider, found, error)
    yield _pace(provider, settings, told)


def _signed_in(provider: Provider, found: str, error: CdrctlError | None) -> Iterator[Finding]:
    if isinstance(error, AddressError):
        yield Finding("sign-in", "skipped", "the address is looked at first")
        yield failed("allow-list", error)
        yield Finding("rights", "skipped", "allow-list failed")
        return
    if error is not None and not isinstance(error, RightsError):
        yield failed("sign-in", error)
        yield Finding("allow-list", "skipped", "sign-in failed")
        yield Finding("rights", "skipped", "sign-in failed")
        return
    yield Finding("sign-in", "ok", "the credential is accepted")
    if provider.allow_list_hint:
        yield Finding("allow-list", "ok", "this machine's address is let in")
    else:
        yield Finding("allow-list", "skipped", f"{provider.title} has none")
    if error is not None:
        yield failed("rights", error)
    else:
        yield Finding("rights", "ok", f"it may read calls: {found}")


def _clock(ahead: timedelta) -> Finding:
    """Return how far this machine's clock is from the provider's."""
    off = abs(ahead)
    if off < OFF:
        return Finding("clock", "ok", "as the provider's")
    side = "ahead of" if ahead > timedelta(0) else "behind"
    what = f"this machine's clock is {timedelta(seconds=round(off.total_seconds()))} {side} the provider's"
    if off >= ABSURD:
        mend = "look which of the two is wrong: `date -u` shows this one"
    else:
        mend = "set it, and keep it right: `timedatectl set-ntp true` on Linux"
    if WRONG <= off < ABSURD:
        return Finding("clock", "fail", f"{what}: exports miss calls", mend, ConfigurationError.exit_code)
    return Finding("clock", "warn", what, mend)


def _pace(provider: Provider, settings: Settings, told: Sequence[tuple[str, str]]) -> Finding:
    """Return the limit that all runs on this machine keep together, and whether they do."""
    if settings.requests_per_minute == 0:
        return Finding("pace", "skipped", "requests_per_minute = 0: there is none")
    alone = [text for _, text in told if code_of(text) == "alone"]
    if alone:
        return Finding("pace", "warn", alone[0], "make pace/ beside the configuration file writable")
    budgets = [
        f"{each.requests} {'request' if kind == '*' else kind}{'' if each.requests == 1 else 's'} in {each.seconds:g} s"
        for kind, each in provider.retry_policy.budgets.items()
    ]
    if settings.requests_per_minute:
        budgets.append(f"{settings.requests_per_minute:g} requests a minute, by this profile")
    waits = [text.what for level, text in told if level == "wait" and isinstance(text, Message)]
    waited = f"; {waits[0]} for other runs' requests" if waits else ""
    return Finding("pace", "ok", f"{', '.join(budgets) or 'as each answer says'}, shared by all runs here{waited}")


def _retention(provider: Provider, now: datetime) -> Finding:
    """Return how far back calls can be had: what is published."""
    kept = [
        f"{call.name} {_length(call.retention)}, since {now - call.retention:%Y-%m-%d}"
        for call in provider.calls
        if call.windowed and call.retention is not None
    ]
    return Finding("retention", "ok", "; ".join(kept) or provider.retention_note or "no limit is published")


def _length(time: timedelta) -> str:
    hours = int(time.total_seconds()) // 3600
    if hours % 24:
        return f"{hours} h"
    return f"{hours // 24} days" if hours < 24 * 700 else f"{round(hours / 24 / 365)} years"
