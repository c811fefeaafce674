"""The checks of `cdrctl doctor` that one small request makes: sign-in, rights, clock and rate limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cdrctl.cli.findings import Finding, Result, failure
from cdrctl.errors import (
    AddressError,
    CdrctlError,
    ConfigurationError,
    Message,
    RightsError,
    SignInError,
    TemporaryError,
    code_of,
)

if TYPE_CHECKING:
    from cdrctl.fetchers import Provider
    from cdrctl.fetchers.settings import Settings
    from cdrctl.http import Client, Clock
    from cdrctl.http.sending import Level

LONGEST_TURN = 75.0
"""Seconds to wait for the rate limit: the slowest one, of one window a minute, must not fail the check."""

CLOCK_DIFFERS, CLOCK_LOSES_CALLS, CLOCK_UNKNOWN = timedelta(minutes=2), timedelta(hours=1), timedelta(days=1)
"""The difference between two clocks from which doctor warns; fails; and cannot tell which of the two is wrong."""


def limit_waits(clock: Clock) -> Clock:
    """Return the clock with waits for the rate limit bounded by LONGEST_TURN: a longer one raises TemporaryError."""

    def sleep(seconds: float) -> None:
        if seconds > LONGEST_TURN:
            raise TemporaryError(
                f"the rate limit allows the next request in {seconds:.0f} s: other runs use the same credential",
                hint="run the command again when the other runs have finished",
            )
        clock.sleep(seconds)

    return replace(clock, sleep=sleep)


def check_answer(provider: Provider, settings: Settings, client: Client) -> Iterator[Finding]:
    """Send one small request, with its sign-in, and yield what it shows; nothing is retried."""
    from cdrctl.fetchers import check_access

    told: list[tuple[str, str]] = []
    log = client.log

    def record(level: Level, text: str) -> None:
        told.append((level, text))
        if level in {"debug", "wait"}:
            log(level, text)

    client = client.with_log(record).with_tries(1)
    error: CdrctlError | None = None
    found = ""
    try:
        found = check_access(provider, client, settings)
    except CdrctlError as problem:
        error = problem
    if error is not None and not isinstance(error, SignInError):
        yield failure("answer", error)
        if client.ahead is not None:
            yield _check_clock(client.ahead)
        return
    requests = "1 request" if client.requests == 1 else f"{client.requests} requests"
    notes = [(level, text) for level, text in told if level in {"note", "warning"} and code_of(text) != "clock"]
    result: Result = "warn" if any(level == "warning" for level, _ in notes) else "ok"
    yield Finding("answer", result, "; ".join([f"the provider answers ({requests})", *(text for _, text in notes)]))
    if client.ahead is not None:
        yield _check_clock(client.ahead)
    else:
        yield Finding("clock", "skipped", "the response does not state the time")
    yield from _check_sign_in(provider, found, error)
    yield _check_rate_limit(provider, settings, told)


def _check_sign_in(provider: Provider, found: str, error: CdrctlError | None) -> Iterator[Finding]:
    """Yield sign-in, allow-list and rights; the providers' errors show at which of them a request stopped."""
    if isinstance(error, AddressError):
        yield Finding("sign-in", "skipped", "the provider checks the address first")
        yield failure("allow-list", error)
        yield Finding("rights", "skipped", "allow-list failed")
        return
    if error is not None and not isinstance(error, RightsError):
        yield failure("sign-in", error)
        yield Finding("allow-list", "skipped", "sign-in failed")
        yield Finding("rights", "skipped", "sign-in failed")
        return
    yield Finding("sign-in", "ok", "the credential is accepted")
    if provider.allow_list_hint:
        yield Finding("allow-list", "ok", "this machine's address is allowed")
    else:
        yield Finding("allow-list", "skipped", f"{provider.title} has no allow-list")
    if error is not None:
        yield failure("rights", error)
    else:
        yield Finding("rights", "ok", f"the credential may read calls: {found}")


def _check_clock(ahead: timedelta) -> Finding:
    """Return how far this machine's clock is ahead of the provider's."""
    difference = abs(ahead)
    if difference < CLOCK_DIFFERS:
        return Finding("clock", "ok", "agrees with the provider's")
    side = "ahead of" if ahead > timedelta(0) else "behind"
    what = f"this machine's clock is {timedelta(seconds=round(difference.total_seconds()))} {side} the provider's"
    if difference >= CLOCK_UNKNOWN:
        return Finding("clock", "warn", what, "find out which of the two is wrong: `date -u` shows this machine's")
    step = "set it and keep it synchronised: `timedatectl set-ntp true` on Linux"
    if difference >= CLOCK_LOSES_CALLS:
        return Finding("clock", "fail", f"{what}: exports miss calls", step, ConfigurationError.exit_code)
    return Finding("clock", "warn", what, step)


def _check_rate_limit(provider: Provider, settings: Settings, told: Sequence[tuple[str, str]]) -> Finding:
    """Return the rate limit of the credential, and whether all runs on this machine share it."""
    if settings.requests_per_minute == 0:
        return Finding("pace", "skipped", "requests_per_minute = 0: no rate limit")
    alone = [text for _, text in told if code_of(text) == "alone"]
    if alone:
        return Finding("pace", "warn", alone[0], "make pace/ beside the configuration file writable")
    limits = [
        f"{each.requests} {'request' if kind == '*' else kind}{'' if each.requests == 1 else 's'} in {each.seconds:g} s"
        for kind, each in provider.retry_policy.budgets.items()
    ]
    if settings.requests_per_minute:
        limits.append(f"{settings.requests_per_minute:g} requests a minute (set by this profile)")
    waits = [text.what for level, text in told if level == "wait" and isinstance(text, Message)]
    waited = f"; {waits[0]} for other runs' requests" if waits else ""
    return Finding(
        "pace", "ok", f"{', '.join(limits) or 'as each response says'}, shared by all runs on this machine{waited}"
    )


def check_retention(provider: Provider, now: datetime) -> Finding:
    """Return how far back each call reaches, as the provider publishes it."""
    kept = [
        f"{call.name} {_describe_length(call.timing.retention)}, since {now - call.timing.retention:%Y-%m-%d}"
        for call in provider.calls
        if call.windowed and call.timing.retention is not None
    ]
    return Finding("retention", "ok", "; ".join(kept) or provider.retention_note or "no limit is published")


def _describe_length(time: timedelta) -> str:
    hours = int(time.total_seconds()) // 3600
    if hours % 24:
        return f"{hours} h"
    return f"{hours // 24} days" if hours < 24 * 700 else f"{round(hours / 24 / 365)} years"
