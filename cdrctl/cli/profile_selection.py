"""The selection of profiles for one command: `-p`, `--all`, `--tag` and `--except`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from cdrctl.cli.options import option
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import CdrctlError, UsageError, did_you_mean

if TYPE_CHECKING:
    from cdrctl.profiles.file import Profile
    from cdrctl.profiles.shards import Shard

TAG = option(
    "--tag",
    about="Profiles with this tag; if repeated, those with any of the tags.",
    metavar="TAG",
    panel="Profile",
    repeat=True,
)
EXCEPT = option(
    "--except",
    name="excluded",
    about="With --all or --tag: exclude this profile; may be repeated.",
    metavar="NAME",
    panel="Profile",
    repeat=True,
)
SHARD = option(
    "--shard",
    about="With --all or --tag: only the I-th of N equal parts of the profiles, for N machines. Profiles of one "
    "credential are in one part.",
    metavar="I/N",
    panel="Profile",
)
ALL = option("--all", about="All configured profiles.", kind="flag", panel="Profile")


class Selection(Struct, frozen=True):
    """The profiles that a command line selects.

    Args:
        names: The names of single profiles.
        every: Whether all configured profiles are selected.
        tags: Profiles with at least one of these tags are selected.
        excluded: Profiles that are excluded from all, or from those with a tag.
        how: How this command names a profile, for error messages.
        shard: The part of a group that is selected, or None for all of it.
    """

    names: Sequence[str] = ()
    every: bool = False
    tags: Sequence[str] = ()
    excluded: Sequence[str] = ()
    how: str = "-p NAME"
    shard: Shard | None = None

    @property
    def group(self) -> bool:
        """Whether a group of profiles is selected, rather than single ones."""
        return self.every or bool(self.tags)

    def named(self, environ: Mapping[str, str]) -> list[str]:
        """Return the names of single profiles, or that in CDRCTL_PROFILE; none if a group is selected.

        Raises:
            UsageError: No profile is selected, or the options contradict each other.
        """
        usual = None if self.names or self.group else environ.get("CDRCTL_PROFILE")
        names = list(dict.fromkeys(self.names or ([usual] if usual else ())))
        if bool(names) == self.group:
            raise UsageError(
                "name either profiles or a group of them" if names else "no profile is selected",
                hint=f"give {self.how} for each, --all for all configured profiles, or --tag for those with a tag",
            )
        if self.excluded and not self.group:
            raise UsageError("--except excludes profiles from a group", hint="use it with --all or --tag")
        if self.shard is not None and not self.group:
            raise UsageError("--shard selects a part of a group of profiles", hint="use it with --all or --tag")
        return names


def group_selection(
    names: Sequence[str], tags: Sequence[str], excluded: Sequence[str], shard: str | None, *, every: bool
) -> Selection:
    """Return the selection of a command that takes profiles as arguments and divides groups of them into shards.

    Raises:
        UsageError: The shard is not one.
    """
    if shard is None:
        return Selection(names, every, tags, excluded, "PROFILE")
    from cdrctl.profiles.shards import read_shard

    return Selection(names, every, tags, excluded, "PROFILE", read_shard(shard))


def select_profiles(session: Session, selection: Selection) -> Iterator[tuple[str, Profile | CdrctlError | None]]:
    """Yield the name of each selected profile with the profile, or the error about it, or None for the sandbox.

    Raises:
        UsageError: No profile is selected, or the options contradict each other.
        CdrctlError: A profile that was named cannot be used.
    """
    from cdrctl.profiles.choosing import choose_profile

    names = selection.named(session.process.environ)
    usual = bool(names) and not selection.names  # from the environment
    found, warnings = read_profiles(session)
    for warning in warnings:
        session.reporter.log("warning", warning)
    if unknown := [name for name in selection.excluded if name not in found]:
        raise UsageError(
            f"there is no profile {unknown[0]!r}", hint=f"{did_you_mean(unknown[0], found)}see: cdrctl profile list"
        )
    for name in names or _group(session, found, selection):
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


def _group(session: Session, found: Mapping[str, Profile], selection: Selection) -> list[str]:
    """Return the names of the profiles that --all or --tag selects; none if they are all in other shards.

    Raises:
        UsageError: There are none.
    """
    from cdrctl.profiles.choosing import tags_of

    every = list(found.values())
    if not every:
        raise UsageError("there is no profile yet", hint="cdrctl init creates one; sandbox is built in")
    tags = {profile.name: tags_of(profile, session.process.environ) for profile in every}
    wanted = set(selection.tags)
    if missing := sorted(wanted.difference(*tags.values())):
        there = sorted(frozenset[str]().union(*tags.values()))
        raise UsageError(
            f"no profile has the tag {missing[0]!r}",
            hint=f"the tags are: {', '.join(there)}"
            if there
            else "cdrctl profile set NAME tags nightly adds it to a profile",
        )
    names = [name for name, own in tags.items() if name not in selection.excluded and (not wanted or wanted & own)]
    if not names:
        raise UsageError("--except excludes every profile", hint="see: cdrctl profile list")
    return [name for name in names if _is_wanted(session, found[name], selection.shard)]


def _is_wanted(session: Session, profile: Profile, shard: Shard | None) -> bool:
    """Return whether a profile is in a shard; all are if there is none."""
    if shard is None:
        return True
    from cdrctl.fetchers import load
    from cdrctl.profiles.shards import is_in_shard

    model = load(profile.provider).settings if profile.provider else None
    return is_in_shard(profile, model, session.process.environ, shard)
