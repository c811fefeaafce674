"""Which profiles a command for several of them is about: `-p`, `--all`, `--tag`, `--except`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdrctl.cli.options import option
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import CdrctlError, UsageError, did_you_mean

if TYPE_CHECKING:
    from cdrctl.profiles.file import Profile

TAG = option(
    "--tag",
    about="Profiles with this tag; may be repeated for profiles with any of them.",
    metavar="TAG",
    panel="Profile",
    repeat=True,
)
EXCEPT = option(
    "--except",
    name="excluded",
    about="With --all or --tag: not this profile; may be repeated.",
    metavar="NAME",
    panel="Profile",
    repeat=True,
)
ALL = option("--all", about="Every profile that is configured.", kind="flag", panel="Profile")


@dataclass(frozen=True, slots=True)
class Selection:
    """Profiles, as they are named on a command line.

    Args:
        names: The profiles named.
        every: Whether all configured profiles are meant.
        tags: Profiles that have at least one of these tags are meant.
        excluded: Profiles that are left out of all, or of those with a tag.
        how: How a profile is named on this command line, for the refusals.
    """

    names: Sequence[str] = ()
    every: bool = False
    tags: Sequence[str] = ()
    excluded: Sequence[str] = ()
    how: str = "-p NAME"


def selected(session: Session, selection: Selection) -> Iterator[tuple[str, Profile | CdrctlError | None]]:
    """Yield the name of each selected profile and the profile, or why it cannot be used; None for the sandbox.

    Raises:
        UsageError: No profile is selected, or the options contradict each other.
        CdrctlError: A profile that was named cannot be used.
    """
    from cdrctl.profiles.choosing import choose_profile

    group = selection.every or bool(selection.tags)
    usual = None if selection.names or group else session.process.environ.get("CDRCTL_PROFILE")
    names = list(dict.fromkeys(selection.names or ([usual] if usual else ())))
    if bool(names) == group:
        raise UsageError(
            "name either profiles or a group of them" if names else "which profiles?",
            hint=f"--all for every one that is configured, --tag for those with a tag, or {selection.how} for each",
        )
    if selection.excluded and not group:
        raise UsageError("--except leaves profiles out of a group", hint="use it with --all or --tag")
    found, warnings = read_profiles(session)
    for warning in warnings:
        session.reporter.log("warning", warning)
    if unknown := [name for name in selection.excluded if name not in found]:
        raise UsageError(
            f"there is no profile {unknown[0]!r}", hint=f"{did_you_mean(unknown[0], found)}see: cdrctl profile list"
        )
    for name in names or _group(session, found.values(), selection):
        if name == "sandbox":
            yield name, None
            continue
        try:
            chosen: Profile | CdrctlError = choose_profile(
                found, None, None if usual else name, session.process.environ
            )
        except CdrctlError as error:
            if names:
                raise
            chosen = error
        yield name, chosen


def _group(session: Session, found: Iterable[Profile], selection: Selection) -> list[str]:
    """Return the names of the configured profiles that are meant.

    Raises:
        UsageError: None is.
    """
    from cdrctl.profiles.choosing import tags_of

    every = list(found)
    if not every:
        raise UsageError("there is no profile yet", hint="cdrctl profile add NAME, or -p sandbox to try it")
    tags = {profile.name: tags_of(profile, session.process.environ) for profile in every}
    wanted = set(selection.tags)
    if missing := sorted(wanted.difference(*tags.values())):
        there = sorted(frozenset[str]().union(*tags.values()))
        raise UsageError(
            f"no profile has the tag {missing[0]!r}",
            hint=f"the tags are: {', '.join(there)}" if there else "cdrctl profile set NAME tags nightly gives it one",
        )
    names = [name for name, own in tags.items() if name not in selection.excluded and (not wanted or wanted & own)]
    if not names:
        raise UsageError("--except leaves no profile", hint="see: cdrctl profile list")
    return names
