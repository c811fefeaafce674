"""`cdrctl archive adopt` and `forget`: accept the account of a profile, and remove a profile from an archive."""

from __future__ import annotations

from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

from cdrctl.archive.places import place_of
from cdrctl.cli.archive_changes import INTO, UNFINISHED, YES, agreed, open_to_change
from cdrctl.cli.archived import check_names
from cdrctl.cli.commands import command
from cdrctl.cli.connecting import SANDBOX, the_clock
from cdrctl.cli.export import Part, connect_part, selected_parts
from cdrctl.cli.options import Argument
from cdrctl.cli.profile_selection import Selection
from cdrctl.cli.run import Session
from cdrctl.errors import ConfigurationError

if TYPE_CHECKING:
    from cdrctl.archive.ledger import KeptCall
    from cdrctl.archive.store import Archive

NAME = Argument("profile", "Name of the profile.", required=True)


@command(
    *(NAME, INTO),
    examples=(
        "cdrctl sync sandbox --into archive && cdrctl archive adopt sandbox --into archive",
        "cdrctl sync sandbox --into archive && cdrctl archive adopt sandbox --into archive -q",
    ),
)
def adopt(opened: Session, *, profile: str, into: str) -> None:
    """Accept the account that a profile now points to as the account of its archived records.

    sync refuses a profile that points to another account than before. If it is the same account, for example because
    the server has a new name, adopt it. Nothing is fetched. For another account, use another profile name.

    If you renamed the folder of another profile to this one, adopt assigns its days to this profile.
    """
    from cdrctl.archive.index import reading_archive
    from cdrctl.archive.ledger import lock
    from cdrctl.archive.ledgers import call_lock, open_ledger
    from cdrctl.archive.store import FIRST_LAYOUT, open_archive

    archive = open_archive(place_of(into))
    parts = selected_parts(opened, Selection([profile], how="PROFILE"))
    with ExitStack() as stack:
        if archive.layout == FIRST_LAYOUT:
            stack.enter_context(lock(archive.folder))
        with reading_archive(archive.folder):
            ledger = stack.enter_context(closing(open_ledger(archive, read_only=True)))
            kept = ledger.kept()
        names = {_name(part): part for part in parts}
        found = [one for one in kept if one.profile in names]
        if not found:
            check_names("profile", [profile], [one.profile for one in kept])
        for one in found:
            stack.enter_context(call_lock(archive, one.profile, one.call))
        for name in dict.fromkeys(one.profile for one in found):
            _adopt(opened, archive, name, names[name], [one for one in found if one.profile == name])


def _name(part: Part) -> str:
    """Return the name under which an archive keeps a profile."""
    return f"{part.name}-{part.provider.name}" if part.name == SANDBOX and part.provider is not None else part.name


def _adopt(opened: Session, archive: Archive, name: str, part: Part, kept: list[KeptCall]) -> None:
    """Store the account of a profile.

    Raises:
        ConfigurationError: The profile is of another provider than its records.
        CdrctlError: The profile cannot be used.
    """
    from cdrctl.archive.files import claim_days
    from cdrctl.archive.owner import owner_of, write_owner
    from cdrctl.archive.store import writing_archive
    from cdrctl.units.account import account_of

    assert part.provider is not None  # noqa: S101 - it was selected
    other = next((one for one in kept if one.provider not in {part.provider.name, ""}), None)
    if other is not None:
        raise ConfigurationError(
            f"the archive has records of {other.provider} for {name}, which is now a profile of {part.provider.name}",
            hint="use another profile name, or remove these records: cdrctl archive forget",
        )
    with ExitStack() as connected:
        connect_part(opened, part, connected)
        if part.error is not None:
            raise part.error
        assert part.profile is not None  # noqa: S101 - it is connected
        account = account_of(part.provider, part.profile.settings, sandbox=part.name == SANDBOX)
    opened.reporter.left_behind = UNFINISHED
    before = None
    with suppress(ConfigurationError):  # it is damaged
        before = owner_of(archive, name)
    write_owner(archive, name, account)
    with writing_archive(archive.profile_folder(name)):
        claimed = sum(claim_days(archive, name, one.call) for one in kept)
    if claimed:
        opened.reporter.log("note", f"{name}: {claimed} days of a profile whose folder was renamed are its own now")
    old = f", before of {before.provider} at {before.host}" if before is not None else ""
    opened.reporter.log("note", f"{name}: its records are of {account.provider} at {account.host}{old}")


@command(
    *(NAME, INTO, YES),
    examples=(
        "cdrctl sync sandbox --into archive && cdrctl archive forget sandbox-webex --into archive --yes",
        "cdrctl sync sandbox --into archive && cdrctl archive forget sandbox-kazoo --into archive --yes -q",
    ),
)
def forget(opened: Session, *, profile: str, into: str, yes: bool) -> None:
    """Permanently remove all records of a profile from an archive, and everything stored about them.

    The profile itself stays in the configuration file; the next sync starts from the beginning.
    """
    from cdrctl.archive.erase import write_protocol
    from cdrctl.archive.forget import forget as forget_profile, kept_of, profiles_of

    with open_to_change(into) as (archive, ledger):
        check_names("profile", [profile], profiles_of(archive, ledger))
        found = kept_of(ledger, profile)
        question = f"Permanently remove {found.records} records of {found.days} days and everything else of {profile}?"
        if not agreed(opened, question, yes=yes):
            return
        forget_profile(archive, ledger, profile)
        facts = {"calls": found.calls, "days": found.days, "records": found.records}
        write_protocol(archive, "forget", the_clock(opened).now(), {"profile": profile, **facts})
        opened.reporter.summary(facts | {"removed": found.records}, {"profile": profile})
