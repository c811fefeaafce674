"""The first day of a call that was not removed by `archive retain`, stored in `_retired.json` beside its days.

Every day before it is retired: it has no file, and no run reads it again. The file is written before any day is
removed, so that a run that is killed in between leaves nothing that is taken for a hole.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path

from msgspec import Struct

from cdrctl.archive.index import aware
from cdrctl.archive.opening import make_folder, read_file
from cdrctl.archive.store import Archive, remove_temporary_files, replace_file
from cdrctl.errors import OutputError
from cdrctl.windows import rfc3339

NAME = "_retired.json"


class Retired(Struct, frozen=True):
    """The days of a call that were removed.

    Args:
        begins: Since when the archive kept the call; None if unknown.
        before: The first day that was not removed.
    """

    begins: datetime | None
    before: date


def retired_path(archive: Archive, profile: str, call: str) -> Path:
    """Return the path of the file that names the days of a call that were removed."""
    return archive.profile_folder(profile) / archive.call_folder(call) / NAME


def read_retired(archive: Archive, profile: str, call: str) -> Retired | None:
    """Return the days of a call that were removed; None if none were.

    Raises:
        OutputError: The file is damaged.
        OSError: It cannot be read.
    """
    path = retired_path(archive, profile, call)
    try:
        plain = json.loads(read_file(path))
        begins = plain["begins"]
        return Retired(None if begins is None else aware(begins), date.fromisoformat(plain["before"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise OutputError(
            f"{path}, which says from which day on the archive keeps records, is damaged: {error}",
            hint="restore it; if you delete it, removed days are read again as far as the provider has them",
        ) from error


def write_retired(archive: Archive, profile: str, call: str, retired: Retired) -> None:
    """Store which days of a call are removed, durably."""
    path = retired_path(archive, profile, call)
    plain = {
        "begins": None if retired.begins is None else rfc3339(retired.begins),
        "before": retired.before.isoformat(),
    }
    make_folder(path.parent)
    remove_temporary_files(path.parent)
    replace_file(path, json.dumps(plain).encode() + b"\n")
