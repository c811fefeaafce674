"""Checks that only the user can change files and folders with secrets, or with commands that cdrctl runs.

The rules are those of OpenSSH for its configuration (ssh_config(5), "Files"): a file belongs to the user or to root,
and nobody else may write it. They do not apply on Windows, where files have no such owner and no mode.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
import sys
from pathlib import Path

from cdrctl.errors import ConfigurationError

OTHERS_WRITE = 0o022


def _user_id() -> int | None:
    return os.geteuid() if hasattr(os, "geteuid") else None


def check_folder(folder: Path) -> None:
    """Refuse a folder in which another user could create a link for cdrctl to write through.

    Raises:
        ConfigurationError: It is a link, belongs to another user, or can be written by others.
    """
    try:
        status = folder.lstat()
    except OSError:  # missing, or not accessible
        return
    quoted = shlex.quote(str(folder))
    if stat.S_ISLNK(status.st_mode):
        raise ConfigurationError(f"{folder} is a link and not a folder", hint=f"rm {quoted}; cdrctl creates the folder")
    if _user_id() is None or not stat.S_ISDIR(status.st_mode):  # nothing can be created in a file
        return
    if status.st_uid not in {0, _user_id()}:
        raise ConfigurationError(
            f"{folder} belongs to another user (uid {status.st_uid})",
            hint=f"chown {_user_id()} {quoted}, or run cdrctl as its owner",
        )
    if status.st_mode & OTHERS_WRITE:
        raise ConfigurationError(f"{folder} can be changed by others", hint=f"chmod 700 {quoted}")


def check_configuration(path: Path, status: os.stat_result) -> None:
    """Refuse a configuration file that another user could have written, because commands in it are run.

    Args:
        path: The file; a link to it must belong to the user or to root as well.
        status: The status of the open file.

    Raises:
        ConfigurationError: It belongs to another user, or can be written by others.
    """
    if _user_id() is None or stat.S_ISCHR(status.st_mode):  # /dev/null belongs to nobody in some containers
        return
    quoted = shlex.quote(str(path))
    for owner in (status.st_uid, path.lstat().st_uid):
        if owner not in {0, _user_id()}:
            raise ConfigurationError(
                f"{path} belongs to another user (uid {owner}), who could have written commands into it",
                hint=f"chown {_user_id()} {quoted}, or run cdrctl as its owner",
            )
    if stat.S_ISREG(status.st_mode) and status.st_mode & OTHERS_WRITE:
        raise ConfigurationError(
            f"{path} can be changed by others, who could write commands into it", hint=f"chmod 600 {quoted}"
        )


def read(path: Path) -> bytes:
    """Return the content of a file that is not a link.

    Raises:
        OSError: It cannot be read, or is a link.
    """
    if sys.platform == "win32":
        return path.read_bytes()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link") from None
        raise
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor has no path
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        return file.read()
