"""Rate limits that several runs with one credential share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cdrctl import private
from cdrctl.profiles.atomic import locked, make_folder, need_home, no_home, replace_file, write_errors
from cdrctl.profiles.settings import secret_values

if TYPE_CHECKING:
    from cdrctl.fetchers.settings import Settings

PACE_LOCK_SECONDS = 5.0
PACE_KEPT_SECONDS = 7 * 86_400
PACE_ROUNDS = 20_000


# The shared pace


@dataclass(frozen=True, slots=True)
class PaceFile:
    """The file in which all runs on this host that use one credential record their requests.

    Args:
        path: The file. Neither it nor its name contains a secret; its mode is 0600, that of its folder 0700.
        lock: The lock file for all files of the folder.
    """

    path: Path
    lock: Path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            TemporaryError: Another run held it for PACE_LOCK_SECONDS.
            ConfigurationError: The folder cannot be written.
        """
        with ExitStack() as stack:
            with write_errors(self.path):
                need_home(self.path)
                make_folder(self.path.parent)
                private.check_folder(self.path.parent)
                busy = "another run holds the lock of the shared pace"
                stack.enter_context(locked(self.lock, busy, PACE_LOCK_SECONDS))
            yield

    def load(self) -> object:
        """Return the saved values, or None if there are none or they cannot be read, which is harmless."""
        with suppress(OSError, ValueError, RecursionError):
            return json.loads(private.read(self.path))
        return None

    def save(self, kept: Mapping[str, Any]) -> None:
        """Replace the saved values; when the file is new, delete old files of other credentials.

        Raises:
            ConfigurationError: It cannot be written.
        """
        with write_errors(self.path):
            new = not self.path.exists()
            replace_file(self.path, json.dumps(kept).encode(), lasting=False)
            if new:
                self._tidy()

    def _tidy(self) -> None:
        """Delete files that no run has written for PACE_KEPT_SECONDS: each short-lived token would leave one."""
        newest = self.path.stat().st_mtime
        for each in self.path.parent.iterdir():
            with suppress(OSError):
                if each != self.lock and each.stat().st_mtime < newest - PACE_KEPT_SECONDS:
                    each.unlink()


def pace_file(config: Path, provider: str, settings: Settings) -> PaceFile:
    """Return the file for the rate limits of a profile's credential: `pace/DIGEST.json` beside the configuration.

    The digest covers the provider, its host and the secrets as the profile has them, so that it does not change when a
    token is renewed. It is slow to compute on purpose, so that a password cannot be found by trying.

    Args:
        config: The configuration file.
        provider: The provider's name.
        settings: The profile's settings.

    Raises:
        ConfigurationError: Another user could put links into the folder.
    """
    host = urlsplit(settings.base_url).hostname or ""
    secrets = json.dumps(secret_values(settings)).encode()
    digest = hashlib.pbkdf2_hmac("sha256", secrets, f"{provider} {host}".encode(), PACE_ROUNDS, 16).hex()
    folder = config.parent / "pace"
    if not no_home(folder):
        private.check_folder(folder)
    return PaceFile(folder / f"{digest}.json", folder / "lock")
