"""The keys of profiles, and which of them are secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from cdrctl.profiles.file import Profile, environment_name

if TYPE_CHECKING:
    from cdrctl.fetchers.settings import Settings


SECRETS = frozenset({"access_token", "api_key", "auth_token", "client_secret", "code", "password", "refresh_token"})
"""The secrets of all providers' profiles; a provider's own are those of its settings that are secrets."""
_FORMS = ("_command", "_file", "_keyring")


def _is_secret(annotation: object) -> bool:
    from pydantic import SecretStr

    return annotation is SecretStr or any(_is_secret(each) for each in get_args(annotation))


def secret_names(model: type[Settings]) -> set[str]:
    """Return the names of a model's secrets: the settings of type SecretStr, or SecretStr or None."""
    return {name for name, about in model.model_fields.items() if _is_secret(about.annotation)}


def key_forms(name: str, secrets: set[str]) -> list[str]:
    """Return the keys that may give a setting."""
    return [name, *(name + form for form in _FORMS)] if name in secrets else [name]


def setting_keys(model: type[Settings]) -> list[str]:
    """Return the keys that a profile of this model can have."""
    secrets = secret_names(model)
    return [form for name in model.model_fields for form in key_forms(name, secrets)]


def key_levels(
    profile: Profile, model: type[Settings], environ: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the environment gives and what the file gives, each by key."""
    named = {key: environ.get(environment_name(profile.name, key)) for key in setting_keys(model)}
    return {key: value for key, value in named.items() if value}, dict(profile.raw)
