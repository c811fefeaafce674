"""Secrets from commands, files, the keyring and the environment."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from cdrctl import secret_files
from cdrctl.commands import COMMAND_SECONDS, LONGEST_OUTPUT, TooMuchOutputError
from cdrctl.errors import ConfigurationError
from cdrctl.masking import masked
from cdrctl.profiles.atomic import one_line, os_reason
from cdrctl.profiles.choosing import LISTED
from cdrctl.profiles.file import Profile, decoded_text, expanded_path, open_to_others, variable_prefix

Run = Callable[[str, Mapping[str, str]], "subprocess.CompletedProcess[bytes]"]
"""Runs a command line with an environment; raises OSError, ValueError, TimeoutExpired or TooMuchOutputError."""

Keyring = Callable[[str, str], str | None]
"""From a service and a user to the password the keyring holds, or None."""
SERVICE = "cdrctl"
_NOT_FOUND = {127, 9009}  # what a POSIX shell and cmd.exe say of a program that is not there


def secret_of(
    user: str,
    form: str,
    value: object,
    about: str,
    *,
    folder: Path,
    environ: Mapping[str, str],
    warn: Callable[[str], None],
    run: Run,
    keyring: Keyring,
    conceal: Callable[[Iterable[str]], None],
    detail: Callable[[str], None],
) -> str:
    """Return a secret that a command, a file or the keyring holds."""
    if form.endswith("_keyring"):
        return _from_keyring(user, about, keyring)
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{about} must be text, and not empty")
    if form.endswith("_command"):
        return _from_command(value, about, environ, run, conceal, detail)
    return from_file(folder / expanded_path(value, environ), about, warn)


def for_commands(profile: Profile, secrets: set[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what a command that gives one secret need not know.

    That is this profile's other secrets and all settings of other profiles.
    """
    mine = variable_prefix(profile.name)
    kept = {}
    for variable, value in environ.items():
        owner = max((each for each in (mine, *profile.prefixes) if variable.startswith(each)), key=len, default=None)
        if owner is None or (owner == mine and variable.removeprefix(mine).lower() not in secrets):
            kept[variable] = value
    return kept


def _from_command(
    command: str,
    about: str,
    environ: Mapping[str, str],
    run: Run,
    conceal: Callable[[Iterable[str]], None],
    detail: Callable[[str], None],
) -> str:
    """Return what a command prints. What it says of its own is not shown but as a detail: it may be the secret."""
    problem: str | None = None
    ended: subprocess.CompletedProcess[bytes] | None = None
    try:
        ended = run(command, environ)
    except subprocess.TimeoutExpired:
        problem = f"did not end within {COMMAND_SECONDS:.0f} seconds"
    except TooMuchOutputError:
        problem = f"printed more than {LONGEST_OUTPUT // 1024} KiB"
    except (OSError, ValueError) as error:
        problem = f"cannot be started: {os_reason(error)}"
    # Outside the handler: a timeout carries what had been printed.
    if ended is None:
        raise ConfigurationError(f"{about} {problem}", hint="run the command by hand and see")
    printed = [line.strip() for line in ended.stdout.decode("utf-8", "replace").splitlines()]
    conceal(printed)
    for line in ended.stderr.decode("utf-8", "replace").splitlines()[:LISTED]:
        detail(f"{about} said: {one_line(masked(line, printed))}")
    if ended.returncode:
        hint = "run it again with -v to see what the command said"
        if ended.returncode in _NOT_FOUND:
            hint = "is the program installed, and on the PATH of this environment?"
        raise ConfigurationError(f"{about} ended with {ended.returncode}", hint=hint)
    text = decoded_text(ended.stdout)
    if text is None:
        raise ConfigurationError(f"{about} printed something that is not UTF-8 text")
    if not text.strip():
        raise ConfigurationError(f"{about} printed nothing", hint="run it again with -v to see what the command said")
    return text.rstrip("\r\n")


def from_file(path: Path, about: str, warn: Callable[[str], None]) -> str:
    """Return the secret in a file.

    Raises:
        ConfigurationError: It cannot be read.
    """
    try:
        content, status = secret_files.read(path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{about}: {one_line(str(path))} cannot be read: {os_reason(error)}") from None
    for warning in open_to_others(path, status):
        warn(warning)
    text = decoded_text(content)
    if text is None or len(content) > secret_files.LONGEST:
        raise ConfigurationError(f"{about}: {path} is not a short UTF-8 text")
    if not text.strip():
        raise ConfigurationError(f"{about}: {path} is empty")
    return text.rstrip("\r\n")


def ask_keyring(service: str, user: str) -> str | None:
    """Return the password that the keyring holds, or None.

    Raises:
        ConfigurationError: The optional package is not installed, or it has no keyring to ask.
    """
    try:
        import keyring  # an optional dependency, and slow to import
    except ImportError:
        raise ConfigurationError("the package keyring is not installed", hint="pip install 'cdrctl[keyring]'") from None
    try:
        password: str | None = keyring.get_password(service, user)
    except Exception as error:  # noqa: BLE001 - a backend is anybody's code and raises anything
        problem = type(error).__name__
    else:
        return password
    raise ConfigurationError(f"the keyring cannot be asked ({problem})", hint="see `python -m keyring diagnose`")


def tell_keyring(service: str, user: str, password: str) -> None:
    """Give the keyring a password to hold.

    Raises:
        ConfigurationError: The optional package is not installed, or it has no keyring that takes it.
    """
    try:
        import keyring  # an optional dependency, and slow to import
    except ImportError:
        raise ConfigurationError("the package keyring is not installed", hint="pip install 'cdrctl[keyring]'") from None
    try:
        keyring.set_password(service, user, password)
    except Exception as error:  # noqa: BLE001 - a backend is anybody's code and raises anything
        problem = type(error).__name__
    else:
        return
    # Outside the handler: the exception may hold the password.
    raise ConfigurationError(f"the keyring does not take it ({problem})", hint="see `python -m keyring diagnose`")


def _from_keyring(user: str, about: str, ask: Keyring) -> str:
    try:
        password = ask(SERVICE, user)
    except ConfigurationError as error:
        raise ConfigurationError(f"{about}: {error.message}", hint=error.hint) from None
    if not password:
        raise ConfigurationError(
            f"{about}: the keyring has no password of {user} for {SERVICE}",
            hint=f"keyring set {SERVICE} {user}",
        )
    return password
