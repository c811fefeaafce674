"""The calls that a provider does not have for a profile, each stored in `_not_offered.json` in the folder of the call.

An archive keeps some calls beside the main one where the provider has them. Where it has not, that is no failure; each
run asks again, and the first success begins the archive of the call.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard

from cdrctl.archive.ledgers import AnyLedger
from cdrctl.archive.opening import make_folder, read_file
from cdrctl.archive.store import (
    CALL,
    FIRST_LAYOUT,
    PROFILE,
    Archive,
    remove_temporary_files,
    replace_file,
    writing_archive,
)
from cdrctl.errors import CdrctlError, ProviderError, RightsError

NAME = "_not_offered.json"


def was_read(ledger: AnyLedger, profile: str, call: str) -> bool:
    """Return whether a call was ever read successfully."""
    return any(one.state == "done" for readings in ledger.readings(profile, call).values() for one in readings)


def is_refusal(answer: object) -> TypeGuard[CdrctlError]:
    """Return whether an error says that the provider does not know a call, or that the profile may not read it."""
    return isinstance(answer, RightsError) or (isinstance(answer, ProviderError) and answer.status == 404)


def not_offered_calls(archive: Archive) -> Mapping[tuple[str, str], str]:
    """Return why providers do not have calls, by profile and call."""
    pattern = "*/*" if archive.layout == FIRST_LAYOUT else f"{PROFILE}*/{CALL}*"
    return {
        (path.parent.parent.name.removeprefix(PROFILE), path.parent.name.removeprefix(CALL)): _reason_in(path)
        for path in sorted(archive.folder.glob(f"{pattern}/{NAME}"))
    }


def is_offered(archive: Archive, profile: str, call: str) -> bool:
    """Return whether nothing is stored that says that the provider does not have a call."""
    return not _path(archive, profile, call).exists()


def store_not_offered(archive: Archive, ledger: AnyLedger, profile: str, call: str, why: str) -> None:
    """Store that the provider does not have a call, and forget that it was to be read.

    Raises:
        OutputError: The archive cannot be written.
    """
    path = _path(archive, profile, call)
    with writing_archive(path):
        make_folder(path.parent)
        remove_temporary_files(path.parent, f"{call}.")
        replace_file(path, json.dumps({"reason": why}).encode() + b"\n", f"{call}.")
    ledger.drop(profile, call)


def store_offered(archive: Archive, profile: str, call: str) -> None:
    """Store that the provider has a call.

    Raises:
        OutputError: The archive cannot be written.
    """
    path = _path(archive, profile, call)
    with writing_archive(path):
        path.unlink(missing_ok=True)


def _path(archive: Archive, profile: str, call: str) -> Path:
    return archive.profile_folder(profile) / archive.call_folder(call) / NAME


def _reason_in(path: Path) -> str:
    try:
        return str(json.loads(read_file(path))["reason"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return "the provider does not have it"
