"""Programs run as another user, which only root can do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

import pytest

STRANGER = 12345
"""A user id and a group id that are in no passwd file."""

needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="only root can become another user",
)


def as_user(uid: int = STRANGER, gid: int = STRANGER, groups: Sequence[int] = ()) -> list[str]:
    """Return the words before a command line that run it as another user.

    The user may read every file, because the tests' interpreter may be in root's home, but write only its own files.
    """
    belongs = ["--groups", ",".join(map(str, groups))] if groups else ["--clear-groups"]
    reads = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    return ["setpriv", "--reuid", str(uid), "--regid", str(gid), *belongs, *reads]
