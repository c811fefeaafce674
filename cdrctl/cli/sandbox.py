"""`cdrctl sandbox`: imitations of the providers on this machine, to try cdrctl without an account."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cdrctl.cli.commands import command, group
from cdrctl.cli.options import option
from cdrctl.cli.profile import put
from cdrctl.cli.run import Session
from cdrctl.errors import OutputError, UsageError, did_you_mean

if TYPE_CHECKING:
    from cdrctl.sandbox import Exchange

POLL_SECONDS = 0.5
"""Seconds between two looks for a signal: one that another thread receives does not end a longer wait."""


_SEED = option(
    "--seed", about="Seed of the imitated phone system and its calls. Default: 1.", kind="integer", default=1
)
_STORIES = option(
    "--stories",
    about="Calls of the phone system: plain or hard. With hard, some are difficult to join. Default: plain.",
    metavar="NAME",
    default="plain",
)


@command(
    option(
        "--port",
        about="Port on loopback; 0 chooses a free one. Default: 0.",
        kind="integer",
        default=0,
        minimum=0,
        maximum=65535,
    ),
    _SEED,
    option(
        "--switch",
        about="Change how a provider behaves, such as webex.link=doc. May be repeated.",
        metavar="PROVIDER.NAME=VALUE",
        repeat=True,
    ),
    option("--limits", about="Enforce the providers' rate limits.", kind="flag"),
    _STORIES,
    examples=(
        "cdrctl sandbox serve",
        "(umask 077; cdrctl sandbox serve --switch webex.link=doc > sandbox.toml)",
    ),
)
def serve(opened: Session, *, port: int, seed: int, switch: list[str], limits: bool, stories: str) -> None:
    """Serve the sandbox until interrupted, and print a configuration file with a profile for each provider.

    Save the output to use it with --config in another terminal. `cdrctl sandbox switches` lists the switches.
    """
    from cdrctl import sandbox as imitations

    try:
        switches = imitations.parse_switches(switch)
    except ValueError as error:
        raise UsageError(str(error), hint=f"{_near_switch(switch)}cdrctl sandbox switches lists them") from None
    clock = opened.process.clock
    exchange = _exchange(seed, stories)
    try:
        running = imitations.start(
            port=port, exchange=exchange, now=clock.now if clock else None, switches=switches, limits=limits
        )
    except OSError as error:
        raise OutputError(
            f"port {port} on 127.0.0.1 cannot be used: {error.strerror}", hint="choose another with --port"
        ) from None
    with running:
        for provider, url in running.base_urls.items():
            put(opened, f"# {provider}: {url}")
        for provider, settings in running.profiles.items():
            put(opened, f'\n[profiles.sandbox-{provider}]\nprovider = "{provider}"')
            for key, value in settings.items():
                put(opened, f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}")
        put(opened, "\n# For `cdrctl profile login sandbox-login`, take away the # below.")  # it must sign in first
        put(opened, '# [profiles.sandbox-login]\n# provider = "webex"')
        for key, value in running.credentials("webex", "login").items():
            put(opened, f"# {key} = {json.dumps(value)}")
        opened.reporter.log("note", f"serving on {running.url}; Ctrl-C ends it")
        while not threading.Event().wait(POLL_SECONDS):
            continue


def _exchange(seed: int, stories: str) -> Exchange:
    """Return the imitated phone system.

    Raises:
        UsageError: There are no such stories.
    """
    from cdrctl import sandbox as imitations

    if stories not in imitations.STORIES:
        hint = f"{did_you_mean(stories, imitations.STORIES)}it can be {' or '.join(imitations.STORIES)}"
        raise UsageError(f"--stories cannot be {stories!r}", hint=hint)
    return imitations.Exchange(seed, stories=stories)


def _near_switch(given: Sequence[str]) -> str:
    """Return a suggestion for the first switch that does not exist."""
    from cdrctl import sandbox as imitations

    known = [f"{one}.{name}" for one in imitations.PROVIDERS for name in imitations.known_switches(one)]
    names = [text.partition("=")[0] for text in given]
    return next((did_you_mean(name, known) for name in names if name not in known), "")


@command(examples=("cdrctl sandbox switches", "cdrctl sandbox switches | grep ^webex | cut -f1,2"))
def switches(opened: Session) -> None:
    """Print every switch of `serve --switch` with its values and its meaning, separated by tabs."""
    from cdrctl import sandbox as imitations

    for provider in imitations.PROVIDERS:
        for name, known in imitations.known_switches(provider).items():
            put(opened, f"{provider}.{name}\t{known.choices}\t{known.meaning}")


@command(
    option("--since", about="Print calls that started at or after this time. Default: 24h.", metavar="TIME"),
    option("--until", about="Print calls that started before this time. Default: now.", metavar="TIME"),
    _SEED,
    _STORIES,
    examples=(
        "cdrctl sandbox truth --since yesterday --until today | jq -r .outcome | sort | uniq -c",
        "cdrctl sandbox truth --stories hard --since 24h",
    ),
)
def truth(opened: Session, *, since: str | None, until: str | None, seed: int, stories: str) -> None:
    """Print the true calls of the sandbox, one JSON object per line, to compare with the output of cdrctl calls.

    `record_ids` contains the ids of the call's records by provider. Bounds without a UTC offset are UTC.
    """
    from datetime import UTC

    from cdrctl.cli.connecting import the_clock
    from cdrctl.sandbox.truth import true_calls
    from cdrctl.windows import window

    now = the_clock(opened).now()
    bounds = window(since or "24h", until, zone=UTC, now=now)
    for row in true_calls(_exchange(seed, stories), bounds.since, bounds.until):
        put(opened, json.dumps(row, ensure_ascii=False))


COMMANDS = {
    "sandbox": group(
        "sandbox",
        "Imitate the providers on this machine, to try cdrctl without an account.",
        *(serve, switches, truth),
    )
}
