"""`cdrctl init`: create a profile by answering questions, and check that it works."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from cdrctl import PROVIDERS
from cdrctl.cli.commands import command
from cdrctl.cli.new_profile import (
    Draft,
    ask_everything,
    choose_method,
    choose_provider,
    parse_settings,
    refuse_settings,
)
from cdrctl.cli.options import option
from cdrctl.cli.profile import PROVIDER, SET, WAY
from cdrctl.cli.prompts import ask, choose, confirm, explain, reject, say
from cdrctl.cli.run import Exit, Session, read_profiles
from cdrctl.errors import CdrctlError, ConfigurationError, UsageError

if TYPE_CHECKING:
    from cdrctl.fetchers import Provider

CORRECT, KEEP, REMOVE = "correct", "keep", "remove"
AFTER_FAILURE = {
    CORRECT: "correct the answers",
    KEEP: "keep the profile as it is",
    REMOVE: "remove the profile",
}


@command(
    PROVIDER,
    option("--name", about="Name of the new profile.", metavar="NAME"),
    WAY,
    SET,
    option("--no-check", about="Do not contact the provider.", kind="flag"),
    examples=(
        "cdrctl init",
        "cdrctl init --provider webex --name acme --with token --set access_token_file=token --no-check",
    ),
)
def init(
    opened: Session, *, provider: str | None, name: str | None, way: str | None, given: list[str], no_check: bool
) -> int:
    """Create a profile step by step, and check that it works: start here.

    It explains where to find the credential and which permissions it needs, and asks where to store it.

    Settings that are given as options are not asked for. Without a terminal, the answers are read from standard input,
    one per line, in the order asked; an empty line takes the default in brackets.
    """
    from cdrctl.profiles.editing import check_name

    opened.reporter.left_behind = "nothing was written"
    chosen = parse_settings(given)
    if name is not None:
        check_name(opened.config, name)
    described = _provider(opened, provider)
    if described is None:
        _show_sandbox(opened)
        return 0
    refuse_settings(described, chosen)
    name = name or _ask_name(opened, described)
    draft = Draft(dict(chosen))
    method = choose_method(opened, described, way, draft)
    _explain_credential(opened, described, method)
    draft.given = {key for key in described.settings.described() if draft.has(key)}
    check = not no_check and not _needs_login(described, method)
    if code := _create(opened, described, method, name, draft, check=check):
        return code
    _show_next_steps(opened, described, method, name)
    return 0


COMMANDS = {"init": init}


def _create(opened: Session, provider: Provider, method: str, name: str, draft: Draft, *, check: bool) -> int:
    """Ask, write and check until the profile works or the user gives up; return the exit code."""
    from cdrctl.profiles.editing import remove_profile

    written = False
    while True:
        _ask_settings(opened, provider, method, name, draft)
        if not _write(opened, name, provider, draft, replace=written, check=check):
            continue
        written = True
        opened.reporter.left_behind = f"profile {name} is in {opened.config}"
        code = _check(opened, name) if check else 0
        if code == 0:
            return 0
        if not opened.process.stdin_is_terminal:
            opened.reporter.log("warning", f"profile {name} is in {opened.config}, but does not work yet")
            return code
        then = choose(opened, "What next?", AFTER_FAILURE, CORRECT)
        if then == REMOVE:
            remove_profile(opened.config, name)
            say(opened, f"Profile {name} is removed from {opened.config}.")
            return code
        if then == KEEP:
            say(opened, f"Profile {name} is in {opened.config}. To check it again:")
            opened.reporter.show(f"  {_command(opened, 'doctor', name)}")
            return code


# Questions


def _provider(opened: Session, given: str | None) -> Provider | None:
    """Return the provider, or None if the user wants to try the sandbox."""
    from cdrctl.fetchers import load

    if given is None:
        explain(
            opened,
            "A profile names a provider and holds the credential for it. Nothing is written until you confirm; press "
            "Ctrl-C to quit.",
        )
        options = {**PROVIDERS, "sandbox": "none: try cdrctl with the built-in sandbox"}
        given = choose_provider(opened, options, next(iter(PROVIDERS)))
    return None if given == "sandbox" else load(given)


def _show_sandbox(opened: Session) -> None:
    say(opened, "The sandbox is built in: it imitates all providers on this machine and needs no profile. Try:")
    for words in (
        ("webex", "cdrs", "-p", "sandbox", "--since", "yesterday", "--until", "today"),
        ("sync", "sandbox", "--into", "sandbox-archive"),
    ):
        opened.reporter.show(f"  {_command(opened, *words)}")


def _ask_name(opened: Session, provider: Provider) -> str:
    """Return a name that no other profile has."""
    from cdrctl.profiles.editing import check_name

    usual: str | None = provider.name
    try:
        check_name(opened.config, provider.name)
    except UsageError:
        usual = None
    explain(opened, "")
    explain(opened, "A name for the profile, such as your company's. Commands take it after -p.")
    while True:
        name = ask(opened, f"name [{usual}]" if usual else "name", default=usual)
        try:
            check_name(opened.config, name)
        except UsageError as error:
            reject(opened, error)
        else:
            return name


def _explain_credential(opened: Session, provider: Provider, method: str) -> None:
    """Explain where the credential of a method is found, and which permissions it needs."""
    console = provider.credential_help.get(method)
    if console is None:
        return
    explain(opened, "")
    explain(opened, "Where to find the credential:")
    for step in console.steps:
        explain(opened, step, "  - ")
    if console.rights:
        explain(opened, "Permissions it needs:")
        explain(opened, console.rights, "  - ")


def _ask_settings(opened: Session, provider: Provider, method: str, name: str, draft: Draft) -> None:
    """Ask for the settings until they make a valid profile; nothing is written."""
    from cdrctl.profiles.editing import check_profile

    while True:
        ask_everything(opened, provider, method, name, draft)
        draft.given = set()  # from now on, everything is asked for, with the answers so far as defaults
        try:
            check_profile(opened.config, name, provider.settings, draft.settings)
        except ConfigurationError as error:
            reject(opened, error)
        else:
            return


# Writing and checking


def _needs_login(provider: Provider, method: str) -> bool:
    """Return whether the credential comes from `cdrctl profile login`."""
    return provider.login is not None and provider.login.way == method


def _write(opened: Session, name: str, provider: Provider, draft: Draft, *, replace: bool, check: bool) -> bool:
    """Write the profile once the user has confirmed it; return whether it was written.

    Raises:
        Exit: The user does not want it to be written.
    """
    from cdrctl.profiles.editing import add_profile
    from cdrctl.profiles.secrets import SERVICE, store_in_keyring

    if opened.process.stdin_is_terminal:
        opened.reporter.show("")
        say(opened, f"Profile {name} is complete and will be written to {opened.config}.")
        if not confirm(opened, "write it and check it?" if check else "write it?", default=True):
            left = opened.reporter.left_behind
            say(opened, f"{left[:1].upper()}{left[1:]}.")
            raise Exit
    try:
        for key, secret in draft.for_keyring.items():
            store_in_keyring(SERVICE, f"{name}/{key}", secret)
        add_profile(opened.config, name, provider.name, draft.settings, instead=replace)
    except CdrctlError as error:
        reject(opened, error)
        return False
    return True


def _check(opened: Session, name: str) -> int:
    """Check the profile, print its problems, and return the exit code."""
    from cdrctl.cli.doctor_checks import check_one_profile
    from cdrctl.cli.findings import clean_findings, finding_lines, worst_exit_code
    from cdrctl.profiles.choosing import choose_profile

    opened.reporter.show("")
    say(opened, "Checking it with a few small requests …")
    found, _ = read_profiles(opened)
    codes = set()
    profile = choose_profile(found, None, name, opened.process.environ)
    for finding in clean_findings(opened, check_one_profile(opened, profile)):
        codes.add(finding.exit_code)
        if finding.result in {"warn", "fail"}:
            opened.reporter.show("\n".join(finding_lines(finding, opened.process.width)))
        elif finding.check == "rights" and finding.result == "ok":
            say(opened, f"It works: {finding.what}.")
    return worst_exit_code(codes)


def _command(opened: Session, *words: str) -> str:
    """Return a command that can be copied as it is, for the configuration file in use."""
    from cdrctl.profiles.file import config_path

    usual = config_path(opened.process.environ, None)
    return shlex.join(["cdrctl", *words, *(() if opened.config == usual else ("--config", str(opened.config)))])


def _show_next_steps(opened: Session, provider: Provider, method: str, name: str) -> None:
    opened.reporter.show("")
    if _needs_login(provider, method):
        say(opened, f"Profile {name} is written. Sign in with a browser:")
        opened.reporter.show(f"  {_command(opened, 'profile', 'login', name)}")
        say(opened, "Then export yesterday's calls to a file:")
    else:
        say(opened, f"Profile {name} is ready. To export yesterday's calls to a file:")
    since = ("--since", "yesterday", "--until", "today", "-o", "yesterday.csv")
    opened.reporter.show(f"  {_command(opened, provider.name, provider.calls[0].name, '-p', name, *since)}")
    say(opened, "To keep an archive with a file for each day, run this every night; it also fills gaps:")
    opened.reporter.show(f"  {_command(opened, 'sync', name, '--into', 'archive')}")
