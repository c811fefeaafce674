"""`cdrctl sandbox`: imitations of the providers on this machine, to try cdrctl without an account."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence

from cdrctl.cli.commands import command, group
from cdrctl.cli.options import option
from cdrctl.cli.profile import put
from cdrctl.cli.run import Session
from cdrctl.errors import OutputError, UsageError, did_you_mean

POLL_SECONDS = 0.5
"""Seconds between two looks for a signal: one that another thread receives does not end a longer wait."""


@command(
    option(
        "--port",
        about="Port on loopback; 0 chooses a free one. Default: 0.",
        kind="integer",
        default=0,
        minimum=0,
        maximum=65535,
    ),
    option("--seed", about="Seed of the imitated phone system and its calls. Default: 1.", kind="integer", default=1),
    option(
        "--switch",
        about="Change how a provider behaves, such as webex.link=doc. May be repeated.",
        metavar="PROVIDER.NAME=VALUE",
        repeat=True,
    ),
    option("--limits", about="Enforce the providers' rate limits.", kind="flag"),
    examples=(
        "cdrctl sandbox serve",
        "(umask 077; cdrctl sandbox serve --switch webex.link=doc > sandbox.toml)",
    ),
)
def serve(opened: Session, *, port: int, seed: int, switch: list[str], limits: bool) -> None:
    """Serve the sandbox until interrupted, and print a configuration file with a profile for each provider.

    Save the output to use it with --config in another terminal. `cdrctl sandbox switches` lists the switches.
    """
    from cdrctl import sandbox as imitations

    try:
        switches = imitations.parse_switches(switch)
    except ValueError as error:
        raise UsageError(str(error), hint=f"{_near_switch(switch)}cdrctl sandbox switches lists them") from None
    clock = opened.process.clock
    try:
        running = imitations.start(
            port=port, seed=seed, now=clock.now if clock else None, switches=switches, limits=limits
        )
    except OSError as error:
        raise OutputError(
            f"port {port} on 127.0.0.1 cannot be listened on: {error.strerror}", hint="choose another with --port"
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


COMMANDS = {
    "sandbox": group(
        "sandbox",
        "Imitations of the providers on this machine, to try cdrctl without an account.",
        *(serve, switches),
    )
}
