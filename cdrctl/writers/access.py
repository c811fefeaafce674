"""Access to a file that replaces another: nobody can read the new file who could not read the old one."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress

_ACL = "system.posix_acl_access"
"""The attribute with a file's access control list on Linux (acl(5)); the group's permission bits are then its mask."""


def keep_access(descriptor: int, path: str | os.PathLike[str], old: os.stat_result) -> str | None:
    """Give a new, private file the owner, group, permissions and attributes of an old one.

    If the owner or the group cannot be kept, permissions are reduced so that nobody can read or write the new file who
    could not read or write the old one.

    Args:
        descriptor: The new file.
        path: The old file, which still exists; links are followed.
        old: Its status.

    Returns:
        What could not be kept, as a sentence, or None.

    Raises:
        OSError: The permissions cannot be changed.
    """
    if sys.platform == "win32":  # Windows: files inherit access from their folder
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
        # Members of the new group were "others" before, and members of the old group are "others" now.
        both = mode >> 3 & mode & 0o7
        mode = mode & 0o700 | both << 3 | both
    listed = _copy_attributes(descriptor, path)
    if listed is not None:
        if new.st_gid == old.st_gid and _set(descriptor, _ACL, listed):  # sets the permissions as well
            return _loss(path, old, new, mode)
        mode &= 0o700
    os.fchmod(descriptor, mode)
    if listed is None:
        return _loss(path, old, new, mode)
    return f"{os.fspath(path)!s} could not keep its access control list: only its owner has access now"


def _loss(path: str | os.PathLike[str], old: os.stat_result, new: os.stat_result, mode: int) -> str | None:
    lost = [
        name for name, kept in (("owner", new.st_uid == old.st_uid), ("group", new.st_gid == old.st_gid)) if not kept
    ]
    if not lost:
        return None
    return f"{os.fspath(path)!s} could not keep its {' and '.join(lost)}; its permissions are now {mode:03o}"


def _copy_attributes(descriptor: int, path: str | os.PathLike[str]) -> bytes | None:
    """Copy a file's extended attributes as far as the system allows it; return its access control list, or None."""
    if sys.platform != "linux":
        return None
    listed = None
    with suppress(OSError):
        # Remove the list inherited from the folder: its members would get access when group permissions are set.
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
                return b""  # not a valid list on any system
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
