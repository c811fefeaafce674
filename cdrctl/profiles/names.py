"""The keys that profiles can have, and the secrets among them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cdrctl.profiles.file import Profile, environment_name

if TYPE_CHECKING:
    from cdrctl.fetchers.settings import Settings


SECRETS = frozenset({"access_token", "api_key", "auth_token", "client_secret", "code", "password", "refresh_token"})
"""The names of the secrets of all providers."""
_FORMS = ("_command", "_file", "_keyring")


@functools.cache
def secret_names(model: type[Settings]) -> frozenset[str]:
    """Return the names of a model's secrets: the settings of type Secret, or Secret or None."""
    from cdrctl.fetchers.settings import Secret

    return frozenset(name for name, about in model.described().items() if Secret in about.types)


def key_forms(name: str, secrets: frozenset[str]) -> list[str]:
    """Return the keys that can define a setting: its name, and for a secret its other forms."""
    return [name, *(name + form for form in _FORMS)] if name in secrets else [name]


@functools.cache
def setting_keys(model: type[Settings]) -> tuple[str, ...]:
    """Return the keys that a profile of this model can have."""
    secrets = secret_names(model)
    return tuple(form for name in model.described() for form in key_forms(name, secrets))


def key_levels(
    profile: Profile, model: type[Settings], environ: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the values from the environment and those from the file, each by key."""
    named = {key: environ.get(environment_name(profile.name, key)) for key in setting_keys(model)}
    return {key: value for key, value in named.items() if value}, dict(profile.raw)
