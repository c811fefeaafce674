"""The choice of the profile that a command uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cdrctl.errors import ConfigurationError
from cdrctl.profiles.atomic import one_line
from cdrctl.profiles.file import SANDBOX, Profile, environment_name, near_hint
from cdrctl.tags import split_tags

LISTED = 20


# Choosing


def choose_profile(
    profiles: Mapping[str, Profile], provider: str | None, name: str | None, environ: Mapping[str, str]
) -> Profile:
    """Return the profile to use: the one named, else CDRCTL_PROFILE, else the only one of the provider.

    Without a provider, it is the only profile of all. A profile named `sandbox` is chosen by its name only.

    Raises:
        ConfigurationError: There is no such profile, or there are several; it is of another provider, or has a fault.
    """
    origin = ""  # the command line
    if name is None:
        name, origin = environ.get("CDRCTL_PROFILE") or None, " (CDRCTL_PROFILE)"
    if name is None:
        return usable_profile(_only(profiles, provider))
    if name not in profiles:
        there = list_names(profiles)
        raise ConfigurationError(
            f"there is no profile {one_line(name)}{origin}",
            hint=near_hint(name, [*profiles, SANDBOX])
            + (f"the profiles are: {there}" if profiles else _to_begin(provider)),
        )
    profile = usable_profile(profiles[name])
    if provider is not None and profile.provider != provider:
        others = [each.name for each in profiles.values() if each.provider == provider]
        instead = f"use -p with one of: {list_names(others)}" if others else _to_begin(provider)
        raise ConfigurationError(
            f"profile {name}{origin} is for {profile.provider}, not for {provider}",
            hint=f"use `cdrctl {profile.provider} …` for this profile; for {provider}, {instead}",
        )
    return profile


def usable_profile(profile: Profile) -> Profile:
    """Return the profile.

    Raises:
        ConfigurationError: It has a fault.
    """
    if profile.fault is not None:
        raise ConfigurationError(profile.fault, hint=profile.hint)
    return profile


def _only(profiles: Mapping[str, Profile], provider: str | None) -> Profile:
    """Return the only profile of a provider, or of all when that is None."""
    found = [
        each
        for each in profiles.values()
        if each.name != SANDBOX and (each.provider == provider or (provider is None and each.provider))
    ]
    of = f" of {provider}" if provider else ""
    if not found:
        broken = [each.fault for each in profiles.values() if each.fault and not each.provider]
        known = f"; {broken[0]}" if broken else ""
        raise ConfigurationError(f"there is no profile{of}{known}", hint=_to_begin(provider))
    if len(found) > 1:
        raise ConfigurationError(
            f"there are {len(found)} profiles{of}: {list_names(each.name for each in found)}",
            hint="choose one with -p NAME or CDRCTL_PROFILE",
        )
    return found[0]


def _to_begin(provider: str | None) -> str:
    add = f"`cdrctl profile add NAME --provider {provider or 'PROVIDER'}`"
    return f"create one with {add}, or use `-p {SANDBOX}` to try cdrctl without an account"


# Settings


def tags_of(profile: Profile, environ: Mapping[str, str]) -> frozenset[str]:
    """Return the tags of a profile: those of its environment variable if it is set, else those of the file."""
    return words_of(profile.name, profile, "tags", environ)


def words_of(name: str, profile: Profile | None, setting: str, environ: Mapping[str, str]) -> frozenset[str]:
    """Return the words of a setting of a profile, which need not exist, without reading its other settings."""
    given = environ.get(environment_name(name, setting)) or (profile.raw.get(setting) if profile else None)
    found = split_tags(given)
    return frozenset(one for one in found if isinstance(one, str)) if isinstance(found, list) else frozenset()


def timezone_of(name: str, profile: Profile | None, environ: Mapping[str, str]) -> str | None:
    """Return the time zone of a profile, which need not exist, without reading its other settings."""
    given = environ.get(environment_name(name, "timezone")) or (profile.raw.get("timezone") if profile else None)
    return given if isinstance(given, str) and given else None


def list_names(names: Iterable[str]) -> str:
    """Return names as text: the first LISTED of them, and the number of the others."""
    all_names = [one_line(name) for name in names]
    more = f" and {len(all_names) - LISTED} more" if len(all_names) > LISTED else ""
    return ", ".join(all_names[:LISTED]) + more
