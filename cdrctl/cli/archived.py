"""The calls that an archive keeps, selected by the words of a command that reads archives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from cdrctl.cli.connecting import the_clock
from cdrctl.cli.options import Argument, option
from cdrctl.cli.run import Session
from cdrctl.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from cdrctl.archive.status import ArchivedCall
    from cdrctl.archive.store import Archive

PROFILES = Argument("profile", "Profiles in the archive. Default: all.", repeat=True)
CALLS = option(
    "--call",
    about="Only this call, such as cdrs; may be repeated.",
    metavar="CALL",
    panel="Which records",
    repeat=True,
)


def archived(
    session: Session, archive: Archive, profiles: Sequence[str] = (), calls: Sequence[str] = ()
) -> Iterator[ArchivedCall]:
    """Yield the calls of an archive, of these profiles and with these names only; by default all.

    It needs no permission to write, no configuration and no network.

    Raises:
        UsageError: The archive has no such profile or call.
    """
    from cdrctl.archive.ledgers import open_ledger
    from cdrctl.archive.status import archived_calls

    with closing(open_ledger(archive, read_only=True)) as ledger:
        there = ledger.names()
        check_names("profile", profiles, [profile for profile, _ in there])
        check_names("call", calls, [call for profile, call in there if not profiles or profile in profiles])
        names = [
            (profile, call)
            for profile, call in there
            if (not profiles or profile in profiles) and (not calls or call in calls)
        ]
        for one in archived_calls(archive, ledger, the_clock(session).now(), names):
            if one.call is None:
                session.reporter.log(
                    "note",
                    f"{one.kept.profile} {one.kept.call}: its provider is unknown; run cdrctl sync {one.kept.profile} "
                    "once to record it",
                )
            yield one


def check_names(what: str, wanted: Sequence[str], there: Sequence[str]) -> None:
    """Check that an archive has the profiles, or the calls, that a user typed.

    Raises:
        UsageError: It does not have one of them.
    """
    for name in wanted:
        if name not in there:
            raise UsageError(
                f"the archive has no {what} {name!r}",
                hint=f"{did_you_mean(name, there)}cdrctl archive status --into DIR shows what it has",
            )
