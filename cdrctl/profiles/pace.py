"""The rate limits that several runs of one account share."""

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
    """Where all runs on this host that use one credential share when they ask its provider.

    Args:
        path: The file, with no secret in it or in its name: its mode is 0600, that of its folder 0700.
        lock: The file whose lock is held while this one or another of the folder is read and written.
    """

    path: Path
    lock: Path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            TemporaryError: Another run has held it all the time.
            ConfigurationError: The folder cannot be written.
        """
        with ExitStack() as stack:
            with write_errors(self.path):
                need_home(self.path)
                make_folder(self.path.parent)
                private.check_folder(self.path.parent)
                busy = "another run keeps the lock of the shared pace"
                stack.enter_context(locked(self.lock, busy, PACE_LOCK_SECONDS))
            yield

    def load(self) -> object:
        """Return what was saved, or None when there is nothing that can be read: it is not worth an error."""
        with suppress(OSError, ValueError, RecursionError):
            return json.loads(private.read(self.path))
        return None

    def save(self, kept: Mapping[str, Any]) -> None:
        """Keep this instead of what was kept before; a new file takes the place of those that nobody needs any more.

        Raises:
            ConfigurationError: It cannot be written.
        """
        with write_errors(self.path):
            new = not self.path.exists()
            replace_file(self.path, json.dumps(kept).encode(), lasting=False)
            if new:
                self._tidy()

    def _tidy(self) -> None:
        """Delete what nobody has written for long: a token that is good for hours would else leave a file for ever."""
        newest = self.path.stat().st_mtime
        for each in self.path.parent.iterdir():
            with suppress(OSError):
                if each != self.lock and each.stat().st_mtime < newest - PACE_KEPT_SECONDS:
                    each.unlink()


def pace_file(config: Path, provider: str, settings: Settings) -> PaceFile:
    """Return where the pace of a profile's credential is shared: `pace/DIGEST.json` beside the configuration.

    The digest is of the provider, its host and the secrets as the profile has them, so that it stays the same when a
    token is renewed. It takes long to make on purpose: a password shall not be found by trying.

    Args:
        config: The configuration file.
        provider: The provider's name.
        settings: The profile's settings.

    Raises:
        ConfigurationError: Somebody else could put links into the folder.
    """
    host = urlsplit(settings.base_url).hostname or ""
    secrets = json.dumps(secret_values(settings)).encode()
    digest = hashlib.pbkdf2_hmac("sha256", secrets, f"{provider} {host}".encode(), PACE_ROUNDS, 16).hex()
    folder = config.parent / "pace"
    if not no_home(folder):
        private.check_folder(folder)
    return PaceFile(folder / f"{digest}.json", folder / "lock")
