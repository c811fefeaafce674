"""The checks of `cdrctl doctor` that concern the machine: configuration file, permissions, program and proxy."""

from __future__ import annotations

import os
import platform
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cdrctl import __version__
from cdrctl.cli.findings import Finding, failure
from cdrctl.cli.run import Session
from cdrctl.errors import ConfigurationError, code_of

if TYPE_CHECKING:
    from cdrctl.profiles.file import Profile


def check_configuration(opened: Session, found: Mapping[str, Profile], warnings: Sequence[str]) -> Iterator[Finding]:
    """Yield how many profiles there are and where they are defined, and keys of the file that have no meaning.

    Args:
        opened: The running command.
        found: All profiles by name.
        warnings: The warnings of the function that read them.
    """
    path = opened.config
    exists = os.path.exists(path)  # noqa: PTH110 - False if it cannot be reached
    if found:
        count = f"{len(found)} profile{'' if len(found) == 1 else 's'}"
        alone = [one.name for one in found.values() if one.source == "environment"]
        outside = f"; from the environment: {', '.join(alone)}" if alone else ""
        yield Finding("configuration", "ok", f"{path if exists else f'no {path}'}: {count}{outside}")
    else:
        what = f"{path} has no profile" if exists else f"{path} does not exist, and the environment has no profile"
        step = "run cdrctl init to create one; cdrctl doctor sandbox needs none"
        yield Finding("configuration", "fail", what, step, ConfigurationError.exit_code)
    for warning in warnings:
        if code_of(warning) == "unknown_key":
            yield Finding("configuration", "warn", warning, f"remove it from {path}")


def check_machine(opened: Session) -> Iterator[Finding]:
    """Yield the permissions of the configuration, the versions of the program and the system, and the proxies."""
    yield from _check_permissions(opened.config)
    python = platform.python_version()
    yield Finding("program", "ok", f"cdrctl {__version__}, Python {python}, {platform.system()} {platform.release()}")
    environ = opened.process.environ
    proxies = sorted(name for name in environ if name.lower().endswith("_proxy") and environ[name])
    yield Finding("proxy", "ok", f"set by {', '.join(proxies)}" if proxies else "none in the environment")


def _check_permissions(config: Path) -> Iterator[Finding]:
    """Yield who else can read or change the configuration, and whether runs can store files beside it."""
    folder = config.parent
    if not os.path.isdir(folder):  # noqa: PTH112 - False if it cannot be reached
        yield Finding("permissions", "skipped", f"{folder} does not exist yet")
        return
    problems = [*_open_to_others(config), *_unwritable(folder)]
    yield from problems
    if not problems:
        yield Finding("permissions", "ok", f"only you can change {folder}, and it is writable")


def _open_to_others(config: Path) -> Iterator[Finding]:
    """Yield a warning if others can read or change the configuration file, or change its folder."""
    for path, others in ((config, 0o066), (config.parent, 0o022)):
        if os.name == "nt" or not os.path.exists(path):  # noqa: PTH110 - False if it cannot be reached
            continue
        mode = path.stat().st_mode
        if (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and mode & others and not mode & stat.S_ISVTX:
            access, fix = ("read or change", "600") if path is config else ("change", "go-w")
            yield Finding("permissions", "warn", f"others can {access} {path}", f"chmod {fix} {path}")


def _unwritable(folder: Path) -> Iterator[Finding]:
    """Yield each folder in which runs cannot store renewed tokens or the shared rate limit."""
    from cdrctl.private import check_folder

    for place in (folder, folder / "tokens", folder / "pace"):
        if not os.path.isdir(place):  # noqa: PTH112 - False if it cannot be reached
            continue
        try:
            if place is not folder:
                check_folder(place)
            with tempfile.NamedTemporaryFile(dir=place, prefix=".doctor.", suffix=".probe"):
                pass
        except ConfigurationError as error:
            yield failure("permissions", error)
        except OSError as error:
            yield Finding(
                "permissions",
                "warn",
                f"{place} is not writable ({error.strerror}): renewed tokens and the shared pace cannot be stored",
                f"make {place} writable, or use a configuration file elsewhere with --config",
            )
