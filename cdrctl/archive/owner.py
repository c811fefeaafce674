"""The account whose records a profile of an archive has, stored in `_account.json` in the folder of the profile.

The file has the provider, the host, the settings that name the account, and a keyed digest of the settings that change
with the account but also when a key of the same account is renewed. It has no password, and eight bytes of a digest
with a random key do not reveal a token. The digest is slow unless the settings are too long to be found by trying.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cdrctl.archive.opening import make_folder, read_file
from cdrctl.archive.store import FIRST_LAYOUT, LAYOUT, Archive, remove_temporary_files, replace_file, writing_archive
from cdrctl.digests import SLOW_ROUNDS
from cdrctl.errors import ConfigurationError, OutputError

NAMES = {FIRST_LAYOUT: "account.json", LAYOUT: "_account.json"}

DIGEST_BYTES = 8
KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Account:
    """The account that a profile points to, as far as its settings tell.

    Args:
        provider: The provider's name.
        host: Its host, with the port unless it is the default; `loopback` or `sandbox` on this machine.
        named: The settings that name the account, by name.
        key: The settings that change with the account, and also when a key is renewed; empty if there are none.
        rounds: The rounds of their digest; see `digests.rounds_for`.
        same_host: Returns whether another host is the same service, such as another region of it.
    """

    provider: str
    host: str
    named: Mapping[str, str]
    key: str = field(default="", repr=False)
    rounds: int = SLOW_ROUNDS
    same_host: Callable[[str], bool] = lambda _host: False


@dataclass(frozen=True, slots=True)
class Owner:
    """The account whose records an archive has.

    Args:
        provider: The provider's name.
        host: The host, as in `Account`.
        named: The settings that name the account.
        key: `KEY:DIGEST` in hexadecimal digits, `:ROUNDS` after them unless these are SLOW_ROUNDS; empty if the account
            has no such settings.
        records: The account that the records themselves name; empty if they name none.
    """

    provider: str
    host: str
    named: Mapping[str, str]
    key: str = ""
    records: str = ""


def owner_of(archive: Archive, profile: str) -> Owner | None:
    """Return the account whose records a profile's folder has, or None if it is not stored.

    Raises:
        ConfigurationError: The file is damaged.
        OutputError: The file cannot be read.
    """
    path = path_of(archive, profile)
    try:
        plain = json.loads(read_file(path))
        named = {str(name): str(value) for name, value in dict(plain["account"]).items()}
        texts = [plain["provider"], plain["host"], plain.get("key", ""), plain.get("records", "")]
        provider, host, key, records = [text + "" for text in texts]  # TypeError unless all are texts
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise OutputError(
            f"{path}, which names the account of the archive's records, cannot be read: {error.strerror}",
            hint="correct the permissions, and run the command again",
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ConfigurationError(
            f"{path}, which names the account of the archive's records, is damaged",
            hint="restore it; or, if the profile is the right one, run cdrctl archive adopt PROFILE --into DIR",
        ) from None
    return Owner(provider, host, named, key, records)


def write_owner(archive: Archive, profile: str, account: Account, records: str = "", whose: str = "") -> None:
    """Store the account whose records a profile's folder has; an unchanged file is not written again.

    Args:
        archive: The archive.
        profile: The profile.
        account: The account.
        records: The account that the records themselves name; empty if they name none.
        whose: The call that is synced: runs of other calls may write the same file.
    """
    path = path_of(archive, profile)
    before = None
    with suppress(ConfigurationError):
        before = owner_of(archive, profile)
    known = before is not None and has_same_rounds(before, account) and _matches(account.key, before.key)
    key = before.key if before is not None and known else _key_digest(account.key, account.rounds)
    now = Owner(account.provider, account.host, dict(account.named), key, records)
    if now == before:
        return
    plain = {"provider": now.provider, "host": now.host, "account": now.named, "key": now.key, "records": now.records}
    with writing_archive(path):
        make_folder(path.parent)
        remove_temporary_files(path.parent, f"{whose}.")
        replace_file(path, json.dumps(plain, indent=1).encode() + b"\n", f"{whose}.")


def is_same_account(owner: Owner, account: Account, profile: str) -> bool:
    """Return whether a profile certainly points to the stored account; False if the settings do not tell.

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
    """Return the error for a profile that points to another account than the records of the archive."""
    return ConfigurationError(
        f"the archive's records of {profile} are of {before}, but the profile now points to {now}",
        hint="use another profile name or another --into for the other account; if it is the same account, run: "
        f"cdrctl archive adopt {profile} --into DIR (or sync once with --adopt)",
    )


def has_same_rounds(owner: Owner, account: Account) -> bool:
    """Return whether the stored digest has as many rounds as one of the account would have now, if there is one."""
    return not account.key or _rounds_of(owner.key) == account.rounds


def _rounds_of(written: str) -> int:
    """Return the rounds of a stored digest; 0 if it is damaged."""
    *_, rounds = written.split(":") if written.count(":") > 1 else ("", str(SLOW_ROUNDS))
    few = rounds.isdecimal() and len(rounds) <= len(str(SLOW_ROUNDS))
    return int(rounds) if few and int(rounds) <= SLOW_ROUNDS else 0


def _key_digest(text: str, rounds: int, key: bytes | None = None) -> str:
    """Return a text as it is stored, with a random key unless one is given; empty for an empty text."""
    if not text:
        return ""
    key = secrets.token_bytes(KEY_BYTES) if key is None else key
    found = hashlib.pbkdf2_hmac("sha256", text.encode("utf-8", "surrogatepass"), key, rounds, DIGEST_BYTES)
    return f"{key.hex()}:{found.hex()}" if rounds == SLOW_ROUNDS else f"{key.hex()}:{found.hex()}:{rounds}"


def _matches(text: str, written: str) -> bool:
    """Return whether a stored digest is of this text."""
    if not text or not written:
        return text == written
    rounds = _rounds_of(written)
    try:
        key = bytes.fromhex(written.partition(":")[0])
    except ValueError:
        return False
    return rounds > 0 and secrets.compare_digest(
        _key_digest(text, rounds, key).encode(), written.encode("utf-8", "replace")
    )


def path_of(archive: Archive, profile: str) -> Path:
    """Return the path of the file that names the account of a profile's records."""
    return archive.profile_folder(profile) / NAMES[archive.layout]
