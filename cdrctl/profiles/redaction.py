"""A profile's settings without its secrets, to be shown."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cdrctl.errors import ConfigurationError
from cdrctl.masking import MASK, mask
from cdrctl.profiles.atomic import one_line
from cdrctl.profiles.file import Profile, environment_name, expand_path
from cdrctl.profiles.names import key_forms, key_levels, secret_names, setting_keys
from cdrctl.profiles.secrets import from_file
from cdrctl.profiles.settings import written_secrets

if TYPE_CHECKING:
    from cdrctl.fetchers.settings import Settings

_PRINTING_COMMAND = re.compile(r"\b(echo|printf)\b.*", re.DOTALL)


class RedactedSetting(Struct, frozen=True):
    """A setting without secrets.

    Args:
        text: Its value, with a mask in place of each secret.
        variable: The environment variable that it comes from; empty if it comes from the file.
    """

    text: str
    variable: str = ""

    def __str__(self) -> str:
        """Return the value, followed by its variable."""
        return f"{self.text} ({self.variable})" if self.variable else self.text


def redact_settings(profile: Profile, model: type[Settings], environ: Mapping[str, str]) -> dict[str, RedactedSetting]:
    """Return every configured setting by key, with masks of one length in place of secrets.

    Commands and file names are shown, but not what `echo` or `printf` would print. A secret that stands in the profile,
    or in a file that it names, is masked in every setting. The value of a key that is not a setting is masked too: it
    may be a secret under a misspelt key.
    """
    secrets = secret_names(model)
    upper, lower = key_levels(profile, model, environ)
    known = [*written_secrets([profile], environ), *_secrets_in_files(profile, secrets, environ, upper, lower)]
    redacted: dict[str, RedactedSetting] = {}
    for name in model.described():
        forms = key_forms(name, secrets)
        level = upper if any(form in upper for form in forms) else lower
        for form in forms:
            if form in level:
                text = MASK if form in secrets or str(level[form]) in known else mask(_plain(level[form]), known)
                if form.endswith("_command"):
                    text = _PRINTING_COMMAND.sub(rf"\1 {MASK}", text)
                variable = environment_name(profile.name, form) if level is upper else ""
                redacted[form] = RedactedSetting(text, variable)
    for key in lower:
        if key not in setting_keys(model):
            text = f"{MASK} (not a setting of {profile.provider})"
            redacted[one_line(mask(key, known))] = RedactedSetting(text)
    return redacted


def _secrets_in_files(
    profile: Profile, secrets: frozenset[str], environ: Mapping[str, str], *levels: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the secrets in the files that a profile names, except those of files that cannot be read."""
    for level in levels:
        for name in secrets:
            if isinstance(value := level.get(f"{name}_file"), str):
                with suppress(ConfigurationError):
                    path = profile.path.parent / expand_path(value, environ)
                    # isfile: False for text that cannot be a path, and for a pipe, which reading would empty.
                    if os.path.isfile(path):  # noqa: PTH113
                        yield from_file(path, "", lambda _warning: None)


def _plain(value: object) -> str:
    """Return a setting as the file writes it, without the password, query and fragment of a URL."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = re.sub(r"//.*@", f"//{MASK}@", text)
    return re.sub(r"^(\w+://[^?#]*[?#]).+", rf"\1{MASK}", text, flags=re.DOTALL)
