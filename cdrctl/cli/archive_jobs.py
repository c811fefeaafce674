"""The calls that a sync reads: those that are named, or those that the archive keeps of each profile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import asdict

from cdrctl.cli.connecting import SANDBOX
from cdrctl.cli.export import Part
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import ConfigurationError, UsageError, did_you_mean
from cdrctl.fetchers import PROVIDERS
from cdrctl.units.opening import runs_of, settings_in
from cdrctl.units.syncing import CallRun


class Job(CallRun, kw_only=True):
    """One call of one profile in a sync of the command line.

    Args:
        part: The profile.
    """

    part: Part

    @property
    def about(self) -> dict[str, str]:
        """Its names in messages."""
        provider = self.part.provider.name if self.part.provider else ""
        return {"profile": self.name, "provider": provider, "call": self.call.name}


def jobs_for(parts: Sequence[Part], calls: Sequence[str] | None, folder: Path | None) -> list[Job]:
    """Return the jobs of a sync: for each profile the named calls that its provider has, or those that are usual.

    A mistake in the tables of `archive.toml` for a profile becomes the error of its part, so that the others go on.

    Args:
        parts: The profiles.
        calls: The names of the calls; None or empty for the usual ones.
        folder: The folder of the archive, which need not exist yet; None for a new one.

    Raises:
        UsageError: No profile has such a call, or `archive.toml` is damaged.
    """
    settings = settings_in(folder)
    alone = len({part.provider.name for part in parts if part.provider}) == 1
    jobs: list[Job] = []
    for part in parts:
        if part.provider is None:
            continue
        try:
            runs = [*runs_of(part.name, part.provider, calls, folder or Path(), settings, alone=alone)]
            jobs += [Job(**asdict(run), part=part) for run in runs]
        except ConfigurationError as error:
            part.error = part.error or error
    if calls and parts and not jobs and not any(part.error for part in parts):
        every = {call.name for part in parts if part.provider for call in part.provider.calls if call.windowed}
        raise UsageError(
            f"none of these profiles has a call {', '.join(calls)}",
            hint=f"{did_you_mean(calls[0], sorted(every))}their calls are: {', '.join(sorted(every))}",
        )
    return jobs


def warn_of_unknown_profiles(session: Session, folder: Path, jobs: Sequence[Job]) -> None:
    """Warn of tables in `archive.toml` for profiles that neither the configuration nor the archive has."""
    from cdrctl.archive.settings import NAME
    from cdrctl.archive.store import FIRST_LAYOUT, PROFILE

    settings = settings_in(folder)
    prefix = "" if settings.layout == FIRST_LAYOUT else PROFILE
    unknown = set(settings.profiles) - {job.name for job in jobs}
    unknown = {name for name in unknown if not (folder / f"{prefix}{name}").is_dir()}
    if unknown:
        known = [*read_profiles(session)[0], *(f"{SANDBOX}-{name}" for name in PROVIDERS)]
        for name in sorted(unknown.difference(known)):
            suggestion = did_you_mean(name, known).strip()
            told = f"{folder / NAME}: there is no profile {name!r:.60}, so its tables have no effect"
            session.reporter.log("warning", f"{told}; {suggestion}" if suggestion else told)
