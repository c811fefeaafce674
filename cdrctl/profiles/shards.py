"""The division of profiles into shards, each for one machine, with profiles of one credential in one shard."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from cdrctl.errors import ConfigurationError, UsageError
from cdrctl.profiles.names import secret_names
from cdrctl.profiles.settings import find_values

if TYPE_CHECKING:
    from cdrctl.fetchers.settings import Settings
    from cdrctl.profiles.file import Profile

MOST_SHARDS = 100_000


class Shard(Struct, frozen=True):
    """One of several equal parts of all profiles.

    Args:
        index: Which part: from 0 to one less than `count`.
        count: The number of parts.
    """

    index: int
    count: int


def read_shard(text: str) -> Shard:
    """Return the shard that `I/N` names. 0/N and N/N are the same one, so that I may start at 0 or at 1.

    Raises:
        UsageError: It is not of this form, or I is greater than N.
    """
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    index, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= count <= MOST_SHARDS or index > count:
        raise UsageError(
            f"--shard {text!r:.60} is not a shard",
            hint="--shard 3/8 is the third of eight; each machine gets another first number",
        )
    return Shard(index % count, count)


def is_in_shard(profile: Profile, model: type[Settings] | None, environ: Mapping[str, str], shard: Shard) -> bool:
    """Return whether a profile belongs to a shard.

    A profile's shard depends only on its credential and on the number of shards: it stays when profiles are added or
    removed. No secret is read: profiles have one credential if they have one host and name their secrets in the same
    way, by the same text, command or file. A secret in the keyring is a profile's own.

    Args:
        profile: The profile.
        model: The settings of its provider, or None if it has none.
        environ: The environment.
        shard: The shard.
    """
    return int.from_bytes(credential_digest(profile, model, environ)) % shard.count == shard.index


def credential_digest(profile: Profile, model: type[Settings] | None, environ: Mapping[str, str]) -> bytes:
    """Return bytes that are equal for profiles with one credential. They may tell a short secret: keep them here."""
    named = _credential(profile, model, environ) if model is not None else [profile.name]
    return hashlib.sha256(json.dumps(named).encode()).digest()


def _credential(profile: Profile, model: type[Settings], environ: Mapping[str, str]) -> list[str]:
    """Return texts that only profiles with this credential have; for a faulty profile, its name."""
    secrets = secret_names(model)
    try:
        given = find_values(profile, model, secrets, environ, lambda _secrets: None)
    except ConfigurationError:
        return [profile.name]
    url = given["base_url"].value if "base_url" in given else model.described()["base_url"].default
    named = [profile.provider, _host(str(url))]
    for name in sorted(secrets & given.keys()):
        one = given[name]
        owner = profile.name if one.key.endswith("_keyring") else ""
        named += [one.key, str(one.value), owner]
    return named


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return url
