"""Whose records an archive holds: one small file per profile, `DIR/PROFILE/account.json`.

It has the provider, the host, the settings that name the account, and a keyed digest of the settings that change with
the account but also when a key of the same account is renewed. No password is part of it, and eight bytes of a slow
digest with a random key do not give a token back.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cdrctl.archive.store import Archive, make_folder, replace_file, writing_archive
from cdrctl.errors import ConfigurationError, OutputError

NAME = "account.json"
ROUNDS = 20_000
"""Of PBKDF2: some milliseconds, once a run and profile."""

DIGEST_BYTES = 8
KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Account:
    """The account that a profile points to, as far as its settings tell.

    Args:
        provider: The provider's name.
        host: Its host, with the port unless it is the usual one; `loopback` or `sandbox` on this machine.
        named: The settings that name the account, by name.
        key: The settings that change with the account, and also when a key is renewed; empty where there are none.
        same_host: Whether another host is the same service, such as another region of it.
    """

    provider: str
    host: str
    named: Mapping[str, str]
    key: str = field(default="", repr=False)
    same_host: Callable[[str], bool] = lambda _host: False


@dataclass(frozen=True, slots=True)
class Owner:
    """What an archive knows of the account whose records it holds.

    Args:
        provider: The provider's name.
        host: The host, as in `Account`.
        named: The settings that name the account.
        key: `KEY:DIGEST` in hexadecimal digits; empty where the account has no such settings.
        records: The account that the records themselves name; empty where they do not.
    """

    provider: str
    host: str
    named: Mapping[str, str]
    key: str = ""
    records: str = ""


def owner_of(archive: Archive, profile: str) -> Owner | None:
    """Return whose records a profile's folder holds, or None where that is not written down.

    Raises:
        ConfigurationError: What is written down is damaged.
        OutputError: It cannot be read.
    """
    path = archive.folder / profile / NAME
    try:
        plain = json.loads(path.read_bytes())
        named = {str(name): str(value) for name, value in dict(plain["account"]).items()}
        texts = [plain["provider"], plain["host"], plain.get("key", ""), plain.get("records", "")]
        provider, host, key, records = [text + "" for text in texts]  # TypeError unless all are texts
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise OutputError(
            f"{path} cannot be read: {error.strerror}; it says whose records the archive holds",
            hint="mend the permissions, and run it again",
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ConfigurationError(
            f"{path} is damaged; it says whose records the archive holds",
            hint="restore it; or run the sync with --adopt if the profile is the right one",
        ) from None
    return Owner(provider, host, named, key, records)


def write_owner(archive: Archive, profile: str, account: Account, records: str = "") -> None:
    """Write down whose records a profile's folder holds, durably; the same is not written again."""
    path = archive.folder / profile / NAME
    before = None
    with suppress(ConfigurationError):
        before = owner_of(archive, profile)
    key = before.key if before is not None and _matches(account.key, before.key) else _key_digest(account.key)
    now = Owner(account.provider, account.host, dict(account.named), key, records)
    if now == before:
        return
    plain = {"provider": now.provider, "host": now.host, "account": now.named, "key": now.key, "records": now.records}
    with writing_archive(path):
        make_folder(path.parent)
        replace_file(path, json.dumps(plain, indent=1).encode() + b"\n")


def is_same_account(owner: Owner, account: Account, profile: str) -> bool:
    """Return whether a profile certainly points to the account whose records are there; False where that is not sure.

    Raises:
        ConfigurationError: It points to another account.
    """
    if owner.provider != account.provider:
        raise other_account_error(profile, owner.provider, account.provider)
    if owner.host != account.host and not account.same_host(owner.host):
        raise other_account_error(profile, owner.host, account.host)
    sure = True
    for name in sorted(owner.named.keys() | account.named.keys()):
        before, now = owner.named.get(name), account.named.get(name)
        if before is None or now is None:
            sure = False
        elif before.casefold() != now.casefold():
            raise other_account_error(profile, f"{name} {before}", f"{name} {now}")
    return sure and _matches(account.key, owner.key)


def other_account_error(profile: str, before: str, now: str) -> ConfigurationError:
    """Return the error that a profile points to another account than the archive has records of."""
    return ConfigurationError(
        f"the archive's {profile} holds records of {before}, and the profile now points to {now}",
        hint="use another profile name or another --into for the other account; if it is the same account after all, "
        "run sync once with --adopt",
    )


def _key_digest(text: str, key: bytes | None = None) -> str:
    if not text:
        return ""
    key = secrets.token_bytes(KEY_BYTES) if key is None else key
    found = hashlib.pbkdf2_hmac("sha256", text.encode("utf-8", "surrogatepass"), key, ROUNDS, DIGEST_BYTES)
    return f"{key.hex()}:{found.hex()}"


def _matches(text: str, written: str) -> bool:
    if not text or not written:
        return text == written
    try:
        key = bytes.fromhex(written.partition(":")[0])
    except ValueError:
        return False
    return secrets.compare_digest(_key_digest(text, key).encode(), written.encode("utf-8", "replace"))


def path_of(archive: Archive, profile: str) -> Path:
    """Return where it is written down whose records a profile's folder holds."""
    return archive.folder / profile / NAME
