"""Secrets from commands, files, the keyring and the environment."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from cdrctl import secret_files
from cdrctl.commands import COMMAND_SECONDS, LONGEST_OUTPUT, TooMuchOutputError
from cdrctl.errors import ConfigurationError
from cdrctl.masking import mask
from cdrctl.profiles.atomic import one_line, os_reason
from cdrctl.profiles.choosing import LISTED
from cdrctl.profiles.file import PREFIX, Profile, decode_text, expand_path, open_to_others, variable_prefix

Run = Callable[[str, Mapping[str, str]], "subprocess.CompletedProcess[bytes]"]
"""Runs a command line with an environment; raises OSError, ValueError, TimeoutExpired or TooMuchOutputError."""

Keyring = Callable[[str, str], str | None]
"""Returns the password of a service and a user, or None."""
SERVICE = "cdrctl"
"""The service name of secrets in the keyring."""
_NOT_FOUND = {127, 9009}  # exit codes of a POSIX shell and of cmd.exe for a program that does not exist


class SecretSources(Struct, frozen=True):
    """The means to read a profile's secrets.

    Args:
        folder: The folder that relative paths start from.
        environ: Returns the environment of commands.
        warn: Receives each warning.
        run: Runs a command.
        keyring: Reads from the keyring.
        conceal: Receives each secret as soon as it is known.
        detail: Receives each line that a command wrote to its standard error.
    """

    folder: Path
    environ: Callable[[], Mapping[str, str]]
    warn: Callable[[str], None]
    run: Run
    keyring: Keyring
    conceal: Callable[[Iterable[str]], None]
    detail: Callable[[str], None]


def secret_of(user: str, form: str, value: object, about: str, sources: SecretSources) -> str:
    """Return a secret from a command, a file or the keyring.

    Args:
        user: The keyring's user name for it: `PROFILE/SETTING`.
        form: The key, which ends in `_command`, `_file` or `_keyring`.
        value: The key's value.
        about: The beginning of error messages.
        sources: The means to read it.

    Raises:
        ConfigurationError: It cannot be read.
    """
    if form.endswith("_keyring"):
        return _from_keyring(user, about, sources.keyring)
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{about} must be text, and not empty", hint="write it in quotes")
    if form.endswith("_command"):
        return _from_command(value, about, sources)
    return from_file(sources.folder / expand_path(value, sources.environ()), about, sources.warn)


def for_commands(profile: Profile, secrets: frozenset[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for commands: without this profile's secrets and without other profiles' settings."""
    mine = variable_prefix(profile.name)
    kept = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX):  # so that the work does not grow with the other profiles
            kept[variable] = value
            continue
        owner = max((each for each in (mine, *profile.prefixes) if variable.startswith(each)), key=len, default=None)
        if owner is None or (owner == mine and variable.removeprefix(mine).lower() not in secrets):
            kept[variable] = value
    return kept


def _from_command(command: str, about: str, sources: SecretSources) -> str:
    """Return a command's output. Its standard error is reported as a detail only: it may contain the secret."""
    problem: str | None = None
    ended: subprocess.CompletedProcess[bytes] | None = None
    try:
        ended = sources.run(command, sources.environ())
    except subprocess.TimeoutExpired:
        problem = f"did not finish within {COMMAND_SECONDS:.0f} seconds"
    except TooMuchOutputError:
        problem = f"printed more than {LONGEST_OUTPUT // 1024} KiB"
    except (OSError, ValueError) as error:
        problem = f"cannot be started: {os_reason(error)}"
    # Outside the handler: the exception of a timeout holds the output.
    if ended is None:
        raise ConfigurationError(f"{about} {problem}", hint="run the command by hand to see why")
    printed = [line.strip() for line in ended.stdout.decode("utf-8", "replace").splitlines()]
    sources.conceal(printed)
    for line in ended.stderr.decode("utf-8", "replace").splitlines()[:LISTED]:
        sources.detail(f"{about} said: {one_line(mask(line, printed))}")
    if ended.returncode:
        hint = "run the command again with -v to see the command's messages"
        if ended.returncode in _NOT_FOUND:
            hint = "check that the program is installed and on the PATH of this environment"
        raise ConfigurationError(f"{about} ended with exit code {ended.returncode}", hint=hint)
    text = decode_text(ended.stdout)
    if text is None:
        raise ConfigurationError(
            f"{about} printed something that is not UTF-8 text", hint="run the command by hand to see why"
        )
    if not text.strip():
        raise ConfigurationError(
            f"{about} printed nothing", hint="run the command again with -v to see the command's messages"
        )
    return text.rstrip("\r\n")


_IN_FILE = "write the secret into the file, as its only line"


def from_file(path: Path, about: str, warn: Callable[[str], None]) -> str:
    """Return the secret in a file.

    Raises:
        ConfigurationError: It cannot be read.
    """
    try:
        content, status = secret_files.read(path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{about}: {one_line(str(path))} cannot be read: {os_reason(error)}",
            hint="correct the path, or let this user read the file",
        ) from None
    for warning in open_to_others(path, status):
        warn(warning)
    text = decode_text(content)
    if text is None or len(content) > secret_files.LONGEST:
        raise ConfigurationError(f"{about}: {path} is not a short UTF-8 text", hint=_IN_FILE)
    if not text.strip():
        raise ConfigurationError(f"{about}: {path} is empty", hint=_IN_FILE)
    return text.rstrip("\r\n")


def read_keyring(service: str, user: str) -> str | None:
    """Return a password from the keyring, or None if it has none.

    Raises:
        ConfigurationError: The optional package is not installed, or its backend failed.
    """
    try:
        import keyring  # an optional dependency, and slow to import
    except ImportError:
        raise ConfigurationError("the package keyring is not installed", hint="pip install 'cdrctl[keyring]'") from None
    try:
        password: str | None = keyring.get_password(service, user)
    except Exception as error:  # noqa: BLE001 - a backend may raise anything
        problem = type(error).__name__
    else:
        return password
    raise ConfigurationError(f"the keyring cannot be read ({problem})", hint="see `python -m keyring diagnose`")


def store_in_keyring(service: str, user: str, password: str) -> None:
    """Store a password in the keyring.

    Raises:
        ConfigurationError: The optional package is not installed, or its backend failed.
    """
    try:
        import keyring  # an optional dependency, and slow to import
    except ImportError:
        raise ConfigurationError("the package keyring is not installed", hint="pip install 'cdrctl[keyring]'") from None
    try:
        keyring.set_password(service, user, password)
    except Exception as error:  # noqa: BLE001 - a backend may raise anything
        problem = type(error).__name__
    else:
        return
    # Outside the handler: the exception may hold the password.
    raise ConfigurationError(f"the keyring cannot store it ({problem})", hint="see `python -m keyring diagnose`")


def _from_keyring(user: str, about: str, read: Keyring) -> str:
    try:
        password = read(SERVICE, user)
    except ConfigurationError as error:
        raise ConfigurationError(f"{about}: {error.message}", hint=error.hint) from None
    if not password:
        raise ConfigurationError(
            f"{about}: the keyring has no password for service {SERVICE}, user {user}",
            hint=f"keyring set {SERVICE} {user}",
        )
    return password
