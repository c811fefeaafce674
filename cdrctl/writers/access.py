"""Who may read a file that takes the place of another: nobody who could not read that one."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress

_ACL = "system.posix_acl_access"
"""Where Linux keeps a file's access control list (acl(5)); the bits of its group then are the list's mask."""


def keep_access(descriptor: int, path: str | os.PathLike[str], old: os.stat_result) -> str | None:
    """Give an open new file, its owner's alone so far, the owner, group, permissions and attributes of an old one.

    Where the owner or the group cannot be kept, permissions are taken away so that nobody can read or write the new
    file who could not read or write the old one.

    Args:
        descriptor: The new file.
        path: The old file, which is still there; links are followed.
        old: Its status.

    Returns:
        What could not be kept, as a sentence, or None.

    Raises:
        OSError: The permissions cannot be changed.
    """
    if sys.platform == "win32":  # who may read a file is inherited from its folder there
        return None
    for owner in (old.st_uid, -1):
        new = os.fstat(descriptor)
        if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
            with suppress(OSError):
                os.fchown(descriptor, owner, old.st_gid)
    new = os.fstat(descriptor)
    mode = stat.S_IMODE(old.st_mode)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        mode &= 0o777
    if new.st_gid != old.st_gid:
        # Members of the new group were among the others, and members of the old one are so now.
        both = mode >> 3 & mode & 0o7
        mode = mode & 0o700 | both << 3 | both
    listed = _copy_attributes(descriptor, path)
    if listed is not None:
        if new.st_gid == old.st_gid and _set(descriptor, _ACL, listed):  # sets the permissions as well
            return _said(path, old, new, mode)
        mode &= 0o700
    os.fchmod(descriptor, mode)
    if listed is None:
        return _said(path, old, new, mode)
    return f"{os.fspath(path)!s} could not keep its access control list: it is its owner's alone now"


def _said(path: str | os.PathLike[str], old: os.stat_result, new: os.stat_result, mode: int) -> str | None:
    lost = [
        name for name, kept in (("owner", new.st_uid == old.st_uid), ("group", new.st_gid == old.st_gid)) if not kept
    ]
    if not lost:
        return None
    return f"{os.fspath(path)!s} could not keep its {' and '.join(lost)}; its permissions are {mode:03o} now"


def _copy_attributes(descriptor: int, path: str | os.PathLike[str]) -> bytes | None:
    """Copy a file's extended attributes as far as the system allows it, and return its access control list, or None."""
    if sys.platform != "linux":
        return None
    listed = None
    with suppress(OSError):
        # What the folder gives every new file: those in that list would get in when the group's permissions are set.
        os.removexattr(descriptor, _ACL)
    try:
        names = os.listxattr(path)
    except OSError:  # the file system has none
        names = []
    for name in names:
        try:
            value = os.getxattr(path, name)
        except OSError as error:
            if name == _ACL and error.errno != errno.ENODATA:
                return b""  # which no system takes for a list
            continue
        if name == _ACL:
            listed = value
        else:
            _set(descriptor, name, value)
    return listed


def _set(descriptor: int, name: str, value: bytes) -> bool:
    if sys.platform != "linux":
        return False
    try:
        os.setxattr(descriptor, name, value)
    except OSError:
        return False
    return True
