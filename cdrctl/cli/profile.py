"""`cdrctl profile`: credentials and addresses, kept in one file that only its owner can read."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cdrctl import PROVIDERS
from cdrctl.cli.options import in_session
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import OutputError, UsageError, did_you_mean

if TYPE_CHECKING:
    from cdrctl.fetchers import Provider

commands = typer.Typer(
    name="profile", help="Add, change, show, check and remove profiles.", no_args_is_help=True, rich_markup_mode=None
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The profile.", show_default=False)]
Way = Annotated[
    str | None,
    typer.Option("--with", help="Which of the provider's ways to sign in.", metavar="WAY", show_default=False),
]
Given = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A setting that is no secret, such as base_url=https://…, or where a secret is: "
        "api_key_command='pass show kazoo'. May be repeated.",
        metavar="SETTING=VALUE",
        show_default=False,
    ),
]


@commands.command(epilog="cdrctl profile path\nCDRCTL_CONFIG=work.toml cdrctl profile path")
@in_session
def path(
    opened: Session,
) -> None:
    """Print where the configuration file is, or would be."""
    from cdrctl.profiles.atomic import need_home

    need_home(opened.config)
    put(opened, str(opened.config))


@commands.command("list", epilog="cdrctl profile list\ncdrctl profile list | cut -f1")
@in_session
def list_profiles(
    opened: Session,
) -> None:
    """List all profiles: name, provider, where it is kept, tags. A table on a terminal, tab-separated in a pipe."""
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


@commands.command(epilog="cdrctl profile show sandbox\nCDRCTL_ACME_PROVIDER=webex cdrctl profile show acme")
@in_session
def show(
    opened: Session,
    name: Name,
) -> None:
    """Print a profile's settings; secrets are hidden."""
    from cdrctl.fetchers import load
    from cdrctl.http.addresses import IN_CLEAR, in_clear
    from cdrctl.profiles.choosing import choose_profile
    from cdrctl.profiles.redaction import redact_settings

    if name == "sandbox":
        put(opened, "# built in: an imitation of every provider inside this program")
        return
    found, _ = read_profiles(opened)
    profile = choose_profile(found, None, name, opened.process.environ)
    settings = redact_settings(profile, load(profile.provider).settings, opened.process.environ)
    put(opened, f"provider = {json.dumps(profile.provider)}")
    for key, value in settings.items():
        put(opened, f"{key} = {opened.reporter.clean(str(value))}")
    if "base_url" in settings and in_clear(settings["base_url"].text):
        opened.reporter.log("warning", IN_CLEAR)


@commands.command(
    epilog="cdrctl profile add acme --provider webex --set access_token_file=token && cdrctl profile remove acme\n"
    "export CDRCTL_CONFIG=lab.toml; cdrctl profile add lab --provider webex --set access_token_file=token; "
    "cdrctl profile remove lab"
)
@in_session
def remove(
    opened: Session,
    name: Name,
) -> None:
    """Remove a profile from the configuration file."""
    from cdrctl.profiles.editing import remove_profile

    remove_profile(opened.config, name)
    opened.reporter.log("note", f"profile {name} is removed from {opened.config}")


@commands.command(epilog="cdrctl profile check sandbox\ncdrctl profile check sandbox --provider kazoo")
@in_session
def check(
    opened: Session,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The profile.", show_default=False)] = None,
    *,
    provider: Annotated[
        str | None, typer.Option("--provider", help="For the sandbox: which provider.", metavar="PROVIDER")
    ] = None,
) -> None:
    """Sign in with a profile, make one small request and print what it found."""
    from cdrctl.cli.connecting import SANDBOX, connected
    from cdrctl.fetchers import load
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
            found_out = described.check(profile.client, profile.settings)
        put(opened, f"{profile.name} ({described.title}): signed in; {opened.reporter.clean(found_out)}")


@commands.command(
    epilog="cdrctl profile add acme --provider webex\n"
    "cdrctl profile add office --provider portsip --set base_url=https://pbx.example.net/api "
    "--set username=reports --set password_command='pass show pbx'"
)
@in_session
def add(
    opened: Session,
    name: Name,
    *,
    provider: Annotated[
        str | None, typer.Option("--provider", help=f"One of {', '.join(PROVIDERS)}.", metavar="PROVIDER")
    ] = None,
    way: Way = None,
    given: Given = None,
) -> None:
    """Add a profile: asks for what is needed, and hides secrets while they are typed.

    Without a terminal the answers are read from standard input, one a line, in the order asked.
    """
    from cdrctl.fetchers import load
    from cdrctl.profiles.editing import add_profile, check_profile

    chosen = _settings_given(given or [])
    named = provider or asked(opened, f"provider ({', '.join(PROVIDERS)})")
    if named not in PROVIDERS:
        raise UsageError(
            f"there is no provider {named!r}",
            hint=f"{did_you_mean(named, PROVIDERS)}the providers are: {', '.join(PROVIDERS)}",
        )
    described = load(named)
    settings = _complete(opened, described, chosen, way)
    check_profile(opened.config, name, described.settings, settings)
    add_profile(opened.config, name, described.name, settings)
    step = "try it: cdrctl profile check"
    if described.login is not None and not any(key.startswith(("access_token", "refresh_token")) for key in settings):
        step = "sign in with a browser: cdrctl profile login"
    opened.reporter.log("note", f"profile {name} is in {opened.config}; {step} {name}")


@commands.command(epilog="cdrctl profile login acme\ncdrctl profile login acme --paste")
@in_session
def login(
    opened: Session,
    name: Name,
    *,
    paste: Annotated[
        bool,
        typer.Option("--paste", help="Type in the address that the browser ended on: for a machine without a browser."),
    ] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, and wait until a browser has been there.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(help="Another port than the redirect URI's, which must be registered.", min=1, max=65535),
    ] = None,
    redirect_uri: Annotated[
        str | None,
        typer.Option("--redirect-uri", help="As it is registered; else the profile's.", metavar="URI"),
    ] = None,
    wait: Annotated[str, typer.Option(help="How long to wait for the browser.", metavar="DURATION")] = "5m",
    given: Annotated[
        list[str] | None,
        typer.Option("--set", help="Make the profile first, with this setting.", metavar="SETTING=VALUE"),
    ] = None,
) -> None:
    """Sign in with a browser (Webex), and keep the token for all later runs.

    A profile that does not exist is made first.
    """
    from cdrctl import windows
    from cdrctl.cli.login import How, sign_in
    from cdrctl.fetchers import load
    from cdrctl.profiles.choosing import choose_profile

    if port is not None and redirect_uri is not None:
        raise UsageError("--port and --redirect-uri say the same thing twice", hint="leave one of them out")
    if paste and no_browser:
        raise UsageError("--paste opens no browser anyway", hint="leave --no-browser out")
    how = How(paste, no_browser, port, redirect_uri, windows.duration(wait).total_seconds())
    if name == "sandbox":
        raise UsageError(
            "the profile sandbox is built in and needs no sign-in",
            hint="`cdrctl sandbox serve` prints a profile with which the sign-in can be tried",
        )
    found, warnings = read_profiles(opened)
    for warning in warnings:
        opened.reporter.log("warning", warning)
    if name in found and given:
        raise UsageError(f"there is a profile {name} already: --set is for a new one", hint="leave --set out")
    if name not in found and (given or opened.process.stdin_is_terminal):
        _begin(opened, found, name, _settings_given(given or []))
        found, _ = read_profiles(opened)
    profile = choose_profile(found, None, name, opened.process.environ)
    put(opened, sign_in(opened, load(profile.provider), profile, how, asked))


def _begin(opened: Session, found: Mapping[str, Any], name: str, given: Mapping[str, str]) -> None:
    """Make a profile that is to sign in with a browser; on a terminal, ask whether that is meant."""
    from cdrctl.fetchers import load
    from cdrctl.profiles.editing import add_profile, check_profile

    described = next(one for one in map(load, PROVIDERS) if one.login is not None)
    assert described.login is not None  # noqa: S101 - looked for above
    if not given:
        there = f" (there are: {', '.join(found)})" if found else ""
        answer = asked(opened, f"there is no profile {name}{there}; make it, for {described.title}? [y/N]", default="n")
        if answer.lower() not in {"y", "yes"}:
            raise UsageError(f"there is no profile {name}", hint="`cdrctl profile list` lists the profiles")
    settings = _complete(opened, described, given, described.login.way)
    check_profile(opened.config, name, described.settings, settings)
    add_profile(opened.config, name, described.name, settings)
    opened.reporter.log("note", f"profile {name} is in {opened.config}")


def _settings_given(given: list[str]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError("--set is written SETTING=VALUE", hint="for example --set account_id=0123…")
        settings[key.strip()] = value
    return settings


def refuse_given(provider: Provider, given: Mapping[str, str]) -> None:
    """Refuse what no profile of this provider can be given on a command line.

    Raises:
        UsageError: One is a secret, or no setting at all.
    """
    from cdrctl.profiles.names import secret_names

    fields = provider.settings.model_fields
    secrets = secret_names(provider.settings)
    if named := [name for name in given if name in secrets]:
        raise UsageError(
            f"{named[0]} is a secret: it would be seen in the list of processes and in the shell's history",
            hint=f"leave it out and type it when asked, or use --set {named[0]}_command=… or --set {named[0]}_file=…",
        )
    allowed = set(fields) | {f"{name}_{form}" for name in secrets for form in ("command", "file", "keyring")}
    if unknown := [name for name in given if name not in allowed]:
        raise UsageError(
            f"{provider.name} has no setting {unknown[0]!r}",
            hint=f"{did_you_mean(unknown[0], allowed)}its settings are: {', '.join(fields)}",
        )


def _complete(opened: Session, provider: Provider, given: Mapping[str, str], way: str | None) -> dict[str, Any]:
    """Return the settings of a new profile: those given, and those asked for."""
    from cdrctl.profiles.names import secret_names

    fields = provider.settings.model_fields
    secrets = secret_names(provider.settings)
    refuse_given(provider, given)
    settings: dict[str, Any] = dict(given)

    def have(name: str) -> bool:
        return any(form in settings for form in (name, f"{name}_command", f"{name}_file", f"{name}_keyring"))

    for name, described in fields.items():
        if described.is_required() and not have(name):
            settings[name] = asked(opened, f"{name} ({described.description})")
    names = _way(
        opened, provider, way, {name for ways in provider.auth_methods.values() for name in ways if have(name)}
    )
    for name in names:
        if not have(name):
            settings[name] = asked(opened, f"{name} ({fields[name].description})", secret=name in secrets)
    for name, described in fields.items():
        if name in settings and described.annotation is not None and settings[name] == "":
            raise UsageError(f"{name} is empty", hint="type it, or press Ctrl-C to leave")
    return settings


def _way(opened: Session, provider: Provider, way: str | None, begun: set[str]) -> tuple[str, ...]:
    ways = provider.auth_methods
    if way is not None:
        if way not in ways:
            raise UsageError(
                f"{provider.name} has no such way to sign in",
                hint=f"{did_you_mean(way, ways)}the ways are: {', '.join(ways)}",
            )
        return ways[way]
    started = [names for names in ways.values() if begun & set(names)]
    if started:
        return started[0]
    if len(ways) == 1:
        return next(iter(ways.values()))
    first = next(iter(ways))
    while True:
        choice = asked(opened, f"sign in with ({', '.join(ways)}) [{first}]", default=first)
        if choice in ways or not opened.process.stdin_is_terminal:
            return _way(opened, provider, choice, set())
        opened.reporter.log("warning", f"that is none of {', '.join(ways)}")  # not repeated: it may be a secret


def asked(opened: Session, what: str, *, secret: bool = False, default: str | None = None) -> str:
    """Return what somebody types, or the next line of standard input; a secret is not shown while it is typed."""
    process = opened.process
    if not process.stdin_is_terminal:
        line = process.stdin.readline()
        if not line and default is None:
            raise UsageError(f"there is no answer to: {what}", hint="give one line for each question, or use --set")
        if secret:
            opened.reporter.conceal([line.strip()])
        return line.strip() or default or ""
    if secret:
        try:
            typed = getpass.getpass(f"{what}: ", stream=process.stderr).strip()
        except EOFError:
            raise typer.Abort from None
        opened.reporter.conceal([typed])
        return typed
    if process.stderr is not None:
        process.stderr.write(f"{what}: ")
        process.stderr.flush()
    line = process.stdin.readline()
    if not line:
        if process.stderr is not None:
            process.stderr.write("\n")
        raise typer.Abort
    return line.strip() or default or ""


def put(opened: Session, text: str) -> None:
    """Print one line of data.

    Raises:
        OutputError: Standard output is closed, or cannot be written.
    """
    from cdrctl.writers.output import output

    if opened.process.stdout is None:
        raise OutputError("standard output is closed", hint="leave out >&-")
    with output(None, opened.process.stdout) as out:
        out.write(text.encode("utf-8", "replace") + b"\n")
