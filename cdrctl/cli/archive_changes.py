"""What the commands that remove something from an archive share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from cdrctl.archive.places import place_of
from cdrctl.cli.options import option
from cdrctl.cli.prompts import confirm
from cdrctl.cli.run import Session
from cdrctl.errors import UsageError

if TYPE_CHECKING:
    from cdrctl.archive.ledger2 import JsonLedger
    from cdrctl.archive.store import Archive

INTO = option("--into", about="Folder of the archive, or its URL (s3://…).", metavar="DIR", required=True)
YES = option("--yes", about="Do not ask for confirmation.", kind="flag")
DRY_RUN = option("--dry-run", about="Show what would be removed, and change nothing.", kind="flag")

UNFINISHED = "only part of the change is done: run the command again to finish it"
"""What an interrupted change leaves behind."""

LINES = 20
"""How many calls have a line of their own."""


@contextmanager
def open_to_change(into: str) -> Iterator[tuple[Archive, JsonLedger]]:
    """Open the archive in a folder, and its ledger.

    Raises:
        UsageError: There is none, or it has the first layout.
    """
    from cdrctl.archive.index import reading_archive
    from cdrctl.archive.ledger2 import JsonLedger
    from cdrctl.archive.store import FIRST_LAYOUT, open_archive

    archive = open_archive(place_of(into))
    if archive.layout == FIRST_LAYOUT:
        raise UsageError(
            "the archive was created by an older version, and this command needs the current layout",
            hint=f"convert it first: cdrctl archive convert {into} NEW",
        )
    with reading_archive(archive.folder), closing(JsonLedger(archive)) as ledger:
        yield archive, ledger


def show_lines(opened: Session, lines: Sequence[str]) -> None:
    """Say what is going to change, in a line for each call, or for the first of many."""
    for line in lines[:LINES]:
        opened.reporter.log("note", line)
    if len(lines) > LINES:
        opened.reporter.log("note", f"and {len(lines) - LINES} more calls")


def agreed(opened: Session, question: str, *, yes: bool) -> bool:
    """Return whether the user agrees to a change that cannot be undone.

    Raises:
        UsageError: There is no terminal, and no --yes.
    """
    if not yes and not opened.process.stdin_is_terminal:
        raise UsageError(
            "this change cannot be undone, and there is no terminal to ask on; nothing was changed",
            hint="check the change with --dry-run, then add --yes",
        )
    if not yes and not confirm(opened, question, default=False):
        opened.reporter.log("note", "nothing was changed")
        return False
    opened.reporter.left_behind = UNFINISHED
    return True
