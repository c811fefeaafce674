"""The calls that a sync reads: those that are named, or those that the archive keeps of each profile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from cdrctl.cli.connecting import SANDBOX
from cdrctl.cli.export import Part
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import ConfigurationError, UsageError, did_you_mean
from cdrctl.fetchers import PROVIDERS, Call, Provider

if TYPE_CHECKING:
    from cdrctl.archive.options import CallOptions
    from cdrctl.archive.settings import Settings
    from cdrctl.archive.sync import Outcome


class Job(Struct):
    """One call of one profile in a sync.

    Args:
        part: The profile.
        name: The name under which the archive keeps it.
        call: The call.
        options: The options of the call, of which some may be from `archive.toml`.
        beside: Nobody asked for it by name: it is archived beside the main call where the provider has it.
        outcome: What has been done so far.
        error: Why it failed.
        ended: Whether it has been read to its end, or to its error.
    """

    part: Part
    name: str
    call: Call
    outcome: Outcome
    options: CallOptions | None = None
    beside: bool = False
    error: BaseException | None = None
    ended: bool = False

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
    settings = _settings_in(folder)
    jobs: list[Job] = []
    for part in parts:
        if part.provider is None:
            continue
        try:
            jobs += [*_jobs_of(part, part.provider, calls, folder or Path(), settings, alone=_only_provider(parts))]
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

    settings = _settings_in(folder)
    prefix = "" if settings.layout == FIRST_LAYOUT else PROFILE
    unknown = set(settings.profiles) - {job.name for job in jobs}
    unknown = {name for name in unknown if not (folder / f"{prefix}{name}").is_dir()}
    if unknown:
        known = [*read_profiles(session)[0], *(f"{SANDBOX}-{name}" for name in PROVIDERS)]
        for name in sorted(unknown.difference(known)):
            suggestion = did_you_mean(name, known).strip()
            told = f"{folder / NAME}: there is no profile {name!r:.60}, so its tables have no effect"
            session.reporter.log("warning", f"{told}; {suggestion}" if suggestion else told)


def _only_provider(parts: Sequence[Part]) -> bool:
    """Return whether all profiles have the same provider."""
    return len({part.provider.name for part in parts if part.provider}) == 1


def _jobs_of(
    part: Part, provider: Provider, calls: Sequence[str] | None, folder: Path, settings: Settings, *, alone: bool
) -> Iterator[Job]:
    from cdrctl.archive.options import call_options_of, calls_of
    from cdrctl.archive.settings import FIRST_LAYOUT, NAME
    from cdrctl.archive.sync import Outcome

    name = f"{part.name}-{provider.name}" if part.name == SANDBOX else part.name
    kept = {call.name: call for call in provider.calls if call.archived}
    wanted = [(one, False) for one in calls or ()]
    wanted = wanted or [(call.name, optional) for call, optional in calls_of(folder, settings, name, provider)]
    for one, optional in wanted:
        if one not in kept:
            if alone:
                raise UsageError(
                    f"{provider.title} has no call {one!r} that an archive can keep",
                    hint=f"{did_you_mean(one, kept)}its calls are: {', '.join(kept)}",
                )
            continue
        options = call_options_of(folder, settings, name, provider, kept[one])
        if options.where and settings.layout == FIRST_LAYOUT:
            raise ConfigurationError(
                f"{folder / NAME}: the options in {options.where} need the present layout",
                hint="copy the archive into it with: cdrctl archive convert OLD NEW",
            )
        yield Job(part, name, kept[one], Outcome(), options, beside=optional)


def _settings_in(folder: Path | None) -> Settings:
    """Return the settings of the archive in a folder; those of a new one if there is none, or it cannot be reached."""
    from cdrctl.archive.settings import NAME, Settings, read_settings

    with suppress(OSError):  # opening the archive reports it
        if folder is not None and (folder / NAME).is_file():
            return read_settings(folder / NAME)
    return Settings("UTC", "jsonl")
