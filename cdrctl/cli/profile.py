"""`cdrctl profile`: add, show, list, check and remove the profiles of the configuration file, and sign in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cdrctl import PROVIDERS
from cdrctl.cli.commands import command
from cdrctl.cli.new_profile import (
    Draft,
    ask_credential,
    ask_required,
    choose_method,
    choose_provider,
    parse_settings,
    refuse_settings,
)
from cdrctl.cli.options import Argument, option
from cdrctl.cli.prompts import YES, ask
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import OutputError, UsageError, did_you_mean

if TYPE_CHECKING:
    from cdrctl.fetchers import Provider
    from cdrctl.profiles.file import Profile

NAME = Argument("name", "Name of the profile.", required=True)
PROVIDER = option("--provider", about=f"One of {', '.join(PROVIDERS)}.", metavar="PROVIDER")
WAY = option("--with", name="way", about="One of the provider's authentication methods.", metavar="METHOD")
SET = option(
    "--set",
    name="given",
    about="A setting that is not a secret, such as base_url=https://…, or the source of a secret: "
    "api_key_command='pass show kazoo'. May be repeated.",
    metavar="SETTING=VALUE",
    repeat=True,
)


@command(examples=("cdrctl profile path", "CDRCTL_CONFIG=work.toml cdrctl profile path"))
def path(opened: Session) -> None:
    """Print the path of the configuration file, which need not exist."""
    from cdrctl.profiles.atomic import need_home

    need_home(opened.config)
    put(opened, str(opened.config))


@command(name="list", examples=("cdrctl profile list", "cdrctl profile list | cut -f1"))
def list_profiles(opened: Session) -> None:
    """List all profiles: name, provider, source, tags; as a table on a terminal, tab-separated in a pipe."""
    from cdrctl.profiles.choosing import tags_of

    found, warnings = read_profiles(opened)
    for warning in warnings:
        opened.reporter.log("warning", warning)
    clean = opened.reporter.clean
    rows: list[tuple[str, ...]] = [("sandbox", ",".join(PROVIDERS), "built in", "")]
    for profile in reversed(found.values()):
        tags = ",".join(sorted(tags_of(profile, opened.process.environ)))
        rows.insert(0, (clean(profile.name), profile.provider or "-", profile.source, clean(tags)))
    if opened.process.stdout_is_terminal:
        _table(opened, rows)
    else:
        for row in rows:
            put(opened, "\t".join(row))
    for profile in found.values():
        if profile.fault:
            opened.reporter.log("warning", f"profile {profile.name} cannot be used: {profile.fault}")


def _table(opened: Session, rows: list[tuple[str, ...]]) -> None:
    from cdrctl import windows, writers
    from cdrctl.cli.output_options import standard_output
    from cdrctl.records.columns import Column
    from cdrctl.records.schemas import Schema
    from cdrctl.writers.output import output

    names = ("profile", "provider", "kept in", "tags")
    schema = Schema(tuple(Column(name, "") for name in names), lambda _page: ())
    look = writers.RenderOptions(
        opened.process.width, windows.zone("UTC"), color=False, shown=names, whole=names[:1], more=""
    )
    with output(None, standard_output(opened, None)) as out:
        writers.load("table")(schema, [[[one or None for one in row] for row in rows]], out, look)


@command(NAME, examples=("cdrctl profile show sandbox", "CDRCTL_ACME_PROVIDER=webex cdrctl profile show acme"))
def show(opened: Session, *, name: str) -> None:
    """Print a profile's settings; secrets are hidden."""
    from cdrctl.fetchers import load
    from cdrctl.http.addresses import IN_CLEAR, in_clear
    from cdrctl.profiles.choosing import choose_profile
    from cdrctl.profiles.redaction import redact_settings

    if name == "sandbox":
        put(opened, "# built in: imitations of all providers")
        return
    found, _ = read_profiles(opened)
    profile = choose_profile(found, None, name, opened.process.environ)
    settings = redact_settings(profile, load(profile.provider).settings, opened.process.environ)
    put(opened, f"provider = {json.dumps(profile.provider)}")
    for key, value in settings.items():
        put(opened, f"{key} = {opened.reporter.clean(str(value))}")
    if "base_url" in settings and in_clear(settings["base_url"].text):
        opened.reporter.log("warning", IN_CLEAR)


@command(
    NAME,
    examples=(
        "cdrctl profile add acme --provider webex --set access_token_file=token && cdrctl profile remove acme",
        (
            "export CDRCTL_CONFIG=lab.toml; cdrctl profile add lab --provider webex --set access_token_file=token; "
            "cdrctl profile remove lab"
        ),
    ),
)
def remove(opened: Session, *, name: str) -> None:
    """Remove a profile from the configuration file."""
    from cdrctl.profiles.editing import remove_profile

    remove_profile(opened.config, name)
    opened.reporter.log("note", f"profile {name} is removed from {opened.config}")


@command(
    Argument("name", "Name of the profile."),
    option("--provider", about="With the sandbox: only this provider.", metavar="PROVIDER"),
    examples=("cdrctl profile check sandbox", "cdrctl profile check sandbox --provider kazoo"),
)
def check(opened: Session, *, name: str | None, provider: str | None) -> None:
    """Sign in with a profile, make one small request and print what it found."""
    from cdrctl.cli.connecting import SANDBOX, connected
    from cdrctl.fetchers import check_access, load
    from cdrctl.profiles.choosing import choose_profile

    if name == SANDBOX:
        names = [provider] if provider else list(PROVIDERS)
    else:
        found, _ = read_profiles(opened)
        names = [choose_profile(found, provider, name, opened.process.environ).provider]
    for one in names:
        described = load(one)
        with connected(opened, described, name) as profile:
            assert profile.client is not None  # noqa: S101 - connected() has one
            found_out = check_access(described, profile.client, profile.settings)
        put(opened, f"{profile.name} ({described.title}): signed in; {opened.reporter.clean(found_out)}")


@command(
    *(NAME, PROVIDER, WAY, SET),
    examples=(
        "cdrctl profile add acme --provider webex",
        (
            "cdrctl profile add office --provider portsip --set base_url=https://pbx.example.net/api "
            "--set username=reports --set password_command='pass show pbx'"
        ),
    ),
)
def add(opened: Session, *, name: str, provider: str | None, way: str | None, given: list[str]) -> None:
    """Add a profile: ask for what is needed, and hide secrets while you type them.

    Without a terminal, the answers are read from standard input, one per line, in the order asked.
    """
    from cdrctl.fetchers import load

    chosen = parse_settings(given)
    provider = provider or choose_provider(opened)
    if provider not in PROVIDERS:
        raise UsageError(
            f"there is no provider {provider!r}",
            hint=f"{did_you_mean(provider, PROVIDERS)}the providers are: {', '.join(PROVIDERS)}",
        )
    described = load(provider)
    settings = _create(opened, name, described, chosen, way)
    step = "check it with cdrctl profile check"
    if described.login is not None and not any(key.startswith(("access_token", "refresh_token")) for key in settings):
        step = "sign in with a browser: cdrctl profile login"
    opened.reporter.log("note", f"profile {name} is in {opened.config}; {step} {name}")


@command(
    NAME,
    option(
        "--paste", about="Paste the address that the browser ends on; for a machine without a browser.", kind="flag"
    ),
    option("--no-browser", about="Print the address and wait; do not open a browser.", kind="flag"),
    option(
        "--port",
        about="Port of the redirect URI, if not the profile's; it must be registered.",
        kind="integer",
        minimum=1,
        maximum=65535,
    ),
    option("--redirect-uri", about="Redirect URI as it is registered. Default: the profile's.", metavar="URI"),
    option("--wait", about="Time to wait for the browser. Default: 5m.", metavar="DURATION", default="5m"),
    option(
        "--set",
        name="given",
        about="Create the profile first, with this setting.",
        metavar="SETTING=VALUE",
        repeat=True,
    ),
    examples=("cdrctl profile login acme", "cdrctl profile login acme --paste"),
)
def login(
    opened: Session,
    *,
    name: str,
    paste: bool,
    no_browser: bool,
    port: int | None,
    redirect_uri: str | None,
    wait: str,
    given: list[str],
) -> None:
    """Sign in with a browser (Webex), and store the token for all later runs.

    A profile that does not exist is created first.
    """
    from cdrctl import windows
    from cdrctl.cli.login import LoginOptions, sign_in
    from cdrctl.fetchers import load

    if port is not None and redirect_uri is not None:
        raise UsageError("--port and --redirect-uri cannot be combined", hint="leave one of them out")
    if paste and no_browser:
        raise UsageError("--paste opens no browser anyway", hint="leave --no-browser out")
    seconds = windows.duration(wait, "--wait").total_seconds()
    profile = _find_for_login(opened, name, given)
    options = LoginOptions(paste, no_browser, port, redirect_uri, seconds)
    put(opened, sign_in(opened, load(profile.provider), profile, options))


def _find_for_login(opened: Session, name: str, given: list[str]) -> Profile:
    """Return the profile to sign in with; create it if there is none and settings are given, or the user agrees.

    Raises:
        UsageError: It exists and settings are given, or it is the sandbox.
        ConfigurationError: It does not exist and is not created.
    """
    from cdrctl.profiles.choosing import choose_profile

    if name == "sandbox":
        raise UsageError(
            "the profile sandbox is built in and needs no sign-in",
            hint="`cdrctl sandbox serve` prints a profile to try the sign-in with",
        )
    found, warnings = read_profiles(opened)
    for warning in warnings:
        opened.reporter.log("warning", warning)
    if name in found and given:
        raise UsageError(f"there is a profile {name} already, and --set is for a new one", hint="leave --set out")
    if name not in found and (given or opened.process.stdin_is_terminal):
        _create_for_login(opened, found, name, parse_settings(given))
        found, _ = read_profiles(opened)
    return choose_profile(found, None, name, opened.process.environ)


def _create_for_login(opened: Session, found: Mapping[str, Any], name: str, given: Mapping[str, str]) -> None:
    """Write a profile that will sign in with a browser; on a terminal, ask first whether to create it.

    Raises:
        UsageError: The user does not want it, or a setting cannot be used.
    """
    from cdrctl.fetchers import load

    described = next(one for one in map(load, PROVIDERS) if one.login is not None)
    assert described.login is not None  # noqa: S101 - it was searched for
    if not given:
        there = f" (there are: {', '.join(found)})" if found else ""
        question = f"there is no profile {name}{there}; create it, for {described.title}? [y/N]"
        if ask(opened, question, default="n").lower() not in YES:
            raise UsageError(f"there is no profile {name}", hint="`cdrctl profile list` lists the profiles")
    _create(opened, name, described, given, described.login.way)
    opened.reporter.log("note", f"profile {name} is in {opened.config}")


def _create(
    opened: Session, name: str, provider: Provider, given: Mapping[str, str], way: str | None
) -> Mapping[str, Any]:
    """Ask for the settings that are missing, write the profile and return its settings.

    Raises:
        UsageError: A setting cannot be given on a command line, or is empty.
        ConfigurationError: A setting is not valid, or the file cannot be written.
    """
    from cdrctl.profiles.editing import add_profile, check_profile

    refuse_settings(provider, given)
    draft = Draft(dict(given))
    ask_required(opened, provider, draft)
    method = choose_method(opened, provider, way, draft)
    ask_credential(opened, provider, method, draft)
    if empty := [key for key in provider.settings.described() if draft.settings.get(key) == ""]:
        raise UsageError(f"{empty[0]} is empty", hint="give it a value, or leave it out")
    check_profile(opened.config, name, provider.settings, draft.settings)
    add_profile(opened.config, name, provider.name, draft.settings)
    return draft.settings


def put(opened: Session, text: str) -> None:
    """Print one line to standard output.

    Raises:
        OutputError: Standard output is closed or cannot be written.
    """
    from cdrctl.writers.output import output

    if opened.process.stdout is None:
        raise OutputError("standard output is closed", hint="leave out >&-")
    with output(None, opened.process.stdout) as out:
        out.write(text.encode("utf-8", "replace") + b"\n")
