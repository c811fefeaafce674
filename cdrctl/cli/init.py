"""`cdrctl init`: from nothing to a profile that has been checked, one question after the other."""

from __future__ import annotations

import os
import shlex
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cdrctl import PROVIDERS
from cdrctl.cli.options import in_session
from cdrctl.cli.profile import Given, Way, _settings_given, asked, refuse_given
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import CdrctlError, ConfigurationError, UsageError

if TYPE_CHECKING:
    from cdrctl.fetchers import Console, Provider

commands = typer.Typer(rich_markup_mode=None)

WIDEST = 92
"""Columns of a paragraph, on a screen however wide."""

TYPED, COMMAND, KEYRING, FILE = "type", "command", "keyring", "file"
STORES = {
    TYPED: "type it now; it is kept in the configuration file, which only you can read",
    COMMAND: "a command prints it, such as: pass show cdrctl/NAME",
    KEYRING: "type it now; it is kept in this system's keyring",
    FILE: "it is in a file",
}
"""Where a secret may be, in the order in which they are offered."""

YES, NO = {"y", "yes"}, {"n", "no"}
CORRECT, KEEP, REMOVE = "correct", "keep", "remove"

AFTER_A_FAILURE = {
    CORRECT: "correct what I have answered",
    KEEP: "keep the profile as it is",
    REMOVE: "take the profile away again",
}


@dataclass(slots=True)
class Answers:
    """What has been answered so far.

    Args:
        settings: Of the new profile, as they will be written.
        held: Secrets that are typed and will be given to the keyring.
        store: Where the last secret is, which is probably where the next one is as well.
        done: What is not asked for, because it was given as an option.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict, repr=False)
    store: str = TYPED
    done: set[str] = field(default_factory=set)

    def have(self, name: str) -> bool:
        """Return whether a setting is answered, in whatever form."""
        return any(form in self.settings for form in (name, *(f"{name}_{way}" for way in (COMMAND, FILE, KEYRING))))

    def forget(self, name: str) -> None:
        """Take an answer back."""
        for form in (name, *(f"{name}_{way}" for way in (COMMAND, FILE, KEYRING))):
            self.settings.pop(form, None)
        self.held.pop(name, None)


@commands.command(
    epilog="cdrctl init\ncdrctl init --provider webex --name acme --with token --set access_token_file=token --no-check"
)
@in_session
def init(
    opened: Session,
    *,
    provider: Annotated[
        str | None,
        typer.Option("--provider", help=f"One of {', '.join(PROVIDERS)}.", metavar="PROVIDER", show_default=False),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The new profile's name.", metavar="NAME", show_default=False)
    ] = None,
    way: Way = None,
    given: Given = None,
    no_check: Annotated[bool, typer.Option("--no-check", help="Ask the provider nothing.")] = False,
) -> None:
    """Create a profile step by step, and check that it works: start here.

    It says where the credential is found and what it must be allowed to do, and asks where it shall be kept.

    What is given as an option is not asked for. Without a terminal the answers are read from standard input, one a
    line, in the order asked; an empty line takes what stands in brackets.
    """
    from cdrctl.profiles.editing import check_name, remove_profile

    opened.reporter.left_behind = "nothing was written"
    chosen = _settings_given(given or [])
    if name is not None:
        check_name(opened.config, name)
    described = _provider(opened, provider)
    if described is None:
        _sandbox(opened)
        return
    refuse_given(described, chosen)
    name = name or _name(opened, described)
    way = _way(opened, described, way, chosen)
    _explain(opened, described, way)
    answers, written = Answers(dict(chosen)), False
    answers.done = {key for key in described.settings.model_fields if answers.have(key)}
    while True:
        _settings(opened, described, way, name, answers)
        then = "write it" if no_check or _by_browser(described, way) else "write it, and check it"
        if not _written(opened, name, described, answers, instead=written, then=then):
            continue
        written = True
        opened.reporter.left_behind = f"profile {name} is in {opened.config}"
        if no_check or _by_browser(described, way):
            break
        code = _checked(opened, name)
        if code == 0:
            break
        if not opened.process.stdin_is_terminal:
            opened.reporter.log("warning", f"profile {name} is in {opened.config}, and does not work as it is")
            raise typer.Exit(code)
        then = _chosen(opened, "What now?", AFTER_A_FAILURE, CORRECT)
        if then == REMOVE:
            remove_profile(opened.config, name)
            _say(opened, f"Profile {name} is removed from {opened.config}.")
            raise typer.Exit(code)
        if then == KEEP:
            _say(opened, f"Profile {name} is in {opened.config}. To check it again:")
            opened.reporter.show(f"  {_command(opened, 'doctor', name)}")
            raise typer.Exit(code)
    _next(opened, described, way, name)


# Questions


def _guide(opened: Session, text: str, indent: str = "") -> None:
    """Say something that helps to answer, to who reads it."""
    if opened.process.stdin_is_terminal:
        if text:
            _say(opened, text, indent)
        else:
            opened.reporter.show("")


def _say(opened: Session, text: str, indent: str = "") -> None:
    """Say a paragraph, within the screen."""
    width = min(opened.process.width - 1, WIDEST)
    lines = textwrap.wrap(
        text,
        max(width, len(indent) + 12),
        initial_indent=indent,
        subsequent_indent=" " * len(indent),
        break_long_words=False,
        break_on_hyphens=False,
    )
    opened.reporter.show("\n".join(lines))


def _chosen(opened: Session, what: str, options: Mapping[str, str], usual: str) -> str:
    """Return one of several options, by number or by name.

    Raises:
        UsageError: There is nobody to ask again.
    """
    _guide(opened, "")
    _guide(opened, what)
    for number, text in enumerate(options.values(), 1):
        _guide(opened, text, f"  {number}  ")
    names = list(options)
    while True:
        answer = asked(opened, f"1 to {len(names)} [{names.index(usual) + 1}]", default=usual)
        if answer in options:
            return answer
        if answer.isascii() and answer.isdigit() and 1 <= int(answer[:4]) <= len(names):
            return names[int(answer[:4]) - 1]
        known = f"1 to {len(names)}, or one of: {', '.join(names)}"
        about = "" if opened.process.stdin_is_terminal else f", of: {what}"  # there the question stands above it
        # The answer is not repeated: it may be a secret.
        _again(opened, UsageError(f"that is none of them{about}", hint=f"answer {known}"))


def _again(opened: Session, error: CdrctlError) -> None:
    """Say why an answer does not do, so that it can be asked again, or raise that where nobody types."""
    if not opened.process.stdin_is_terminal:
        raise error
    opened.reporter.log("warning", error.message)
    if error.hint:
        _guide(opened, f"next: {error.hint}", "  ")


def _provider(opened: Session, given: str | None) -> Provider | None:
    """Return the provider, or None for who only wants to try."""
    from cdrctl.fetchers import load

    if given is None:
        _guide(
            opened,
            "This makes a profile: whom to ask for calls, and with which credential. Nothing is written before you say "
            "so; Ctrl-C leaves.",
        )
        options = {**PROVIDERS, "sandbox": "none of them: I only want to try it"}
        given = _chosen(opened, "Which provider has your calls?", options, next(iter(PROVIDERS)))
    return None if given == "sandbox" else load(given)


def _sandbox(opened: Session) -> None:
    _say(opened, "The sandbox is built in and needs no profile: it imitates all providers on this machine.")
    for words in (
        ("webex", "cdrs", "-p", "sandbox", "--since", "yesterday", "--until", "today"),
        ("sync", "sandbox", "--into", "sandbox-archive"),
    ):
        opened.reporter.show(f"  {_command(opened, *words)}")


def _name(opened: Session, provider: Provider) -> str:
    """Return a name that no other profile has."""
    from cdrctl.profiles.editing import check_name

    usual: str | None = provider.name
    try:
        check_name(opened.config, provider.name)
    except UsageError:
        usual = None
    _guide(opened, "")
    _guide(opened, "A name for the profile, which you type after -p. Your company's, for example.")
    while True:
        name = asked(opened, f"name [{usual}]" if usual else "name", default=usual)
        try:
            check_name(opened.config, name)
        except UsageError as error:
            _again(opened, error)
        else:
            return name


def _title(provider: Provider, way: str) -> str:
    console = provider.credential_help.get(way)
    return console.title if console is not None else " and ".join(provider.auth_methods[way])


def _by_browser(provider: Provider, way: str) -> bool:
    """Return whether the credential of a way comes of `cdrctl profile login`."""
    return provider.login is not None and provider.login.way == way


def _way(opened: Session, provider: Provider, given: str | None, chosen: Mapping[str, str]) -> str:
    """Return the way to sign in: the one named, the one that settings were given for, or the one asked for."""
    ways = provider.auth_methods
    if given is not None:
        if given not in ways:
            raise UsageError(f"{provider.name} has no such way to sign in", hint=f"the ways are: {', '.join(ways)}")
        return given
    answers = Answers(dict(chosen))
    begun = [way for way, names in ways.items() if any(answers.have(name) for name in names)]
    if begun:
        return begun[0]
    if len(ways) == 1:
        return next(iter(ways))
    what = f"How do you sign in to {provider.title}? With"
    return _chosen(opened, what, {way: _title(provider, way) for way in ways}, next(iter(ways)))


def _explain(opened: Session, provider: Provider, way: str) -> None:
    """Say where the credential of this way is found, and what it must be allowed to do."""
    console: Console | None = provider.credential_help.get(way)
    if console is None:
        return
    _guide(opened, "")
    _guide(opened, "Where to find it:")
    for step in console.steps:
        _guide(opened, step, "  - ")
    if console.rights:
        _guide(opened, "What it must be allowed to do:")
        _guide(opened, console.rights, "  - ")


def _settings(opened: Session, provider: Provider, way: str, name: str, answers: Answers) -> None:
    """Ask for what is not answered yet, until the profile can be what it is; nothing is written."""
    from cdrctl.profiles.editing import check_profile

    while True:
        _ask_all(opened, provider, way, name, answers)
        answers.done = set()  # whatever is wrong is asked again, and what was answered stands in brackets
        try:
            check_profile(opened.config, name, provider.settings, answers.settings)
        except ConfigurationError as error:
            _again(opened, error)
        else:
            return


def _ask_all(opened: Session, provider: Provider, way: str, name: str, answers: Answers) -> None:
    from cdrctl.profiles.names import secret_names

    fields = provider.settings.model_fields
    secrets = secret_names(provider.settings)
    for key, described in fields.items():
        if (described.is_required() or key == "base_url") and key not in answers.done:
            _ask_plain(opened, provider, key, answers)
    if "allow_http" in fields and "allow_http" not in answers.done:
        _ask_whether_in_clear(opened, answers)
    for key in provider.auth_methods[way]:
        if key in answers.done:
            continue
        if key in secrets:
            _ask_secret(opened, provider, key, name, answers)
        else:
            _ask_plain(opened, provider, key, answers)
    console = provider.credential_help.get(way)
    for group in console.asks if console else ():
        if answers.done.isdisjoint(group):
            for key in group:
                rest = group[group.index(key) + 1 :]
                _ask_plain(opened, provider, key, answers, instead=f"to give {rest[0]}" if rest else "for none")
                if answers.have(key):
                    for other in rest:
                        answers.forget(other)
                    break


def _ask_plain(opened: Session, provider: Provider, key: str, answers: Answers, *, instead: str = "") -> None:
    """Ask for a setting that is no secret; one that may be left out says `instead` of what it is."""
    described = provider.settings.model_fields[key]
    own = None if described.is_required() or described.default is None else str(described.default)
    usual = str(answers.settings.get(key, "")) or own
    _guide(opened, "")
    left_out = f" (leave it empty {instead})" if instead else ""
    _guide(opened, f"{key}: {described.description}{left_out}")
    while True:
        answer = asked(opened, f"{key} [{usual}]" if usual else key, default=usual or ("" if instead else None))
        if answer or instead:
            break
        _again(opened, UsageError(f"{key} is empty", hint="type it, or press Ctrl-C to leave"))
    answers.forget(key)
    if answer and answer != own:
        answers.settings[key] = answer


def _ask_whether_in_clear(opened: Session, answers: Answers) -> None:
    """Ask whether the credential may be sent without encryption, where base_url would do that."""
    from cdrctl.http.addresses import IN_CLEAR, in_clear

    answers.forget("allow_http")
    if in_clear(str(answers.settings.get("base_url", ""))):
        _guide(opened, "")
        _say(opened, f"{IN_CLEAR}.")
        while (answer := asked(opened, "allow_http, yes or no [no]", default="no").lower()) not in YES | NO:
            _again(opened, UsageError("that is neither yes nor no"))
        if answer in YES:
            answers.settings["allow_http"] = True


def _ask_secret(opened: Session, provider: Provider, key: str, name: str, answers: Answers) -> None:
    """Ask where a secret is, and for what is needed to have it from there."""
    description = provider.settings.model_fields[key].description
    while True:
        before = {KEEP: "as it is now"} if answers.have(key) else {}
        stores = {**before, **{store: text.replace("NAME", name) for store, text in STORES.items()}}
        usual = KEEP if before else answers.store
        store = _chosen(opened, f"{key} ({description}). Where shall cdrctl have it from?", stores, usual)
        if store == KEEP:
            return
        try:
            form, value = _secret(opened, key, store)
        except (UsageError, ConfigurationError) as error:
            _again(opened, error)
            continue
        answers.forget(key)
        answers.settings[form] = value if store != KEYRING else True
        if store == KEYRING:
            answers.held[key] = value
        answers.store = store
        return


def _secret(opened: Session, key: str, store: str) -> tuple[str, str]:
    """Return the setting that a secret, or where it is, goes into, and what was answered.

    Raises:
        UsageError: It is empty, or there is no such file.
        ConfigurationError: There is no keyring.
    """
    if store == KEYRING and find_spec("keyring") is None:
        raise ConfigurationError("the package keyring is not installed", hint="pip install 'cdrctl[keyring]'")
    if store == COMMAND:
        answer = asked(opened, "the command")
    elif store == FILE:
        answer = asked(opened, "the file's path")
        if answer and not answer.startswith("~"):
            answer = os.path.abspath(answer)  # noqa: PTH100 - a path as typed from here, not from the configuration
        if answer and not os.path.isfile(os.path.expanduser(answer)):  # noqa: PTH111, PTH113 - as above
            raise UsageError("there is no such file", hint="make it first: one line, readable by you alone (chmod 600)")
    else:
        answer = asked(opened, f"{key} (it is not shown)", secret=True)
    if not answer:
        raise UsageError(f"{key} is empty", hint="type it, or press Ctrl-C to leave")
    return (key if store == TYPED else f"{key}_{store}"), answer


# Writing and checking


def _written(opened: Session, name: str, provider: Provider, answers: Answers, *, instead: bool, then: str) -> bool:
    """Write the profile once somebody has said so; return whether that could be done.

    Raises:
        typer.Exit: It shall not be written.
    """
    from cdrctl.profiles.editing import add_profile
    from cdrctl.profiles.secrets import SERVICE, store_in_keyring

    if opened.process.stdin_is_terminal:
        opened.reporter.show("")
        _say(opened, f"Profile {name} is complete, and will be written to {opened.config}.")
        while (answer := asked(opened, f"{then}? [yes]", default="yes").lower()) not in YES | NO:
            _again(opened, UsageError("that is neither yes nor no"))
        if answer in NO:
            _say(opened, opened.reporter.left_behind[:1].upper() + opened.reporter.left_behind[1:] + ".")
            raise typer.Exit(0)
    try:
        for key, secret in answers.held.items():
            store_in_keyring(SERVICE, f"{name}/{key}", secret)
        add_profile(opened.config, name, provider.name, answers.settings, instead=instead)
    except CdrctlError as error:
        _again(opened, error)
        return False
    return True


def _checked(opened: Session, name: str) -> int:
    """Say what does not work yet, and return the exit code of it."""
    from cdrctl.cli.doctor_checks import check_one_profile
    from cdrctl.cli.findings import clean_findings, finding_lines, worst_exit_code
    from cdrctl.profiles.choosing import choose_profile

    opened.reporter.show("")
    _say(opened, "Checking it, with a few small requests …")
    found, _ = read_profiles(opened)
    codes = set()
    for finding in clean_findings(
        opened, check_one_profile(opened, choose_profile(found, None, name, opened.process.environ))
    ):
        codes.add(finding.exit_code)
        if finding.result in {"warn", "fail"}:
            opened.reporter.show("\n".join(finding_lines(finding, opened.process.width)))
        elif finding.check == "rights" and finding.result == "ok":
            _say(opened, f"It works: {finding.what}.")
    return worst_exit_code(codes)


def _command(opened: Session, *words: str) -> str:
    """Return a command that works as it stands, with the configuration that is in use now."""
    from cdrctl.profiles.file import config_path

    usual = config_path(opened.process.environ, None)
    return shlex.join(["cdrctl", *words, *(() if opened.config == usual else ("--config", str(opened.config)))])


def _next(opened: Session, provider: Provider, way: str, name: str) -> None:
    """Say what to do with the new profile."""
    opened.reporter.show("")
    if _by_browser(provider, way):
        _say(opened, f"Profile {name} is written. Sign in now, in the browser:")
        opened.reporter.show(f"  {_command(opened, 'profile', 'login', name)}")
        _say(opened, "Then yesterday's calls, as a file:")
    else:
        _say(opened, f"Profile {name} is ready. Yesterday's calls, as a file:")
    since = ("--since", "yesterday", "--until", "today", "-o", "yesterday.csv")
    opened.reporter.show(f"  {_command(opened, provider.name, provider.calls[0].name, '-p', name, *since)}")
    _say(opened, "Every night, into an archive with a file for each day, where missing days are filled:")
    opened.reporter.show(f"  {_command(opened, 'sync', name, '--into', 'archive')}")
