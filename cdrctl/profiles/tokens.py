"""Renewed tokens, stored in a file that only their owner can read."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from cdrctl import private
from cdrctl.errors import ConfigurationError
from cdrctl.profiles.atomic import (
    LOCK_SECONDS,
    locked,
    make_folder,
    need_home,
    no_home,
    one_line,
    os_reason,
    replace_file,
    write_errors,
)
from cdrctl.profiles.file import NAME

_PROBE = 16_384


# Renewed tokens


class TokenFile(Struct, frozen=True):
    """The file for the tokens that runs renew for a profile: a rotating refresh token can be used once.

    Args:
        path: The file. Its mode is 0600, that of its folder 0700.
        lock: The lock file; a run holds its lock while it loads, renews and saves tokens.
        origin: The SHA-256 of the refresh token in the profile, or of the client id after a sign-in with a browser.
            Tokens of another origin are not loaded: the user has since put a new refresh token into the profile.
    """

    path: Path
    lock: Path
    origin: str

    @contextmanager
    def locked(self, seconds: float = LOCK_SECONDS) -> Iterator[None]:
        """Hold the lock, after checking that tokens can be saved.

        It is checked first because the provider revokes the old refresh token when it issues the new one.

        Raises:
            TemporaryError: Another run held it all this time.
            ConfigurationError: The folder cannot be written.
        """
        with ExitStack() as stack:
            with write_errors(self.path):
                need_home(self.path)
                make_folder(self.path.parent)
                private.check_folder(self.path.parent)
                stack.enter_context(locked(self.lock, "another run is signing in with this profile", seconds))
                self._check_writable()
            yield

    def _check_writable(self) -> None:
        if self.path.is_dir():
            raise ConfigurationError(f"{self.path} is a folder", hint="delete it")
        descriptor, temporary = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".probe", dir=self.path.parent)
        try:
            # Larger than tokens, and synced: a full disk often shows only then.
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
                file.write(bytes(_PROBE))
                file.flush()
                os.fsync(file.fileno())
        finally:
            Path(temporary).unlink()

    def load(self) -> dict[str, Any] | None:
        """Return the stored tokens, or None if there are none for the refresh token in the profile.

        Raises:
            ConfigurationError: The file is damaged or cannot be read. It does not count as missing, because the refresh
                token in the profile has probably been used.
        """
        if no_home(self.path):
            return None
        problem = "the file is damaged"
        kept: object = None
        try:
            kept = json.loads(private.read(self.path))
        except FileNotFoundError:
            return None
        except OSError as error:
            problem = os_reason(error)
        except (ValueError, RecursionError):
            pass
        # Outside the handler: the decoder's exception holds the text.
        if isinstance(kept, dict) and isinstance(kept.get("origin"), str) and isinstance(kept.get("tokens"), dict):
            tokens: dict[str, Any] = kept["tokens"]
            return tokens if kept["origin"] == self.origin else None
        raise ConfigurationError(
            f"the renewed tokens in {self.path} cannot be read: {problem}",
            hint=f"delete {self.path} and sign in again: `cdrctl profile login {self.path.stem}`, or put a new refresh "
            "token into the profile",
        )

    def save(self, tokens: Mapping[str, Any]) -> None:
        """Replace the stored tokens.

        Raises:
            ConfigurationError: They cannot be written; the provider has already revoked the old refresh token.
        """
        content = json.dumps({"origin": self.origin, "tokens": dict(tokens)}).encode()
        try:
            need_home(self.path)
            make_folder(self.path.parent)
            private.check_folder(self.path.parent)
            replace_file(self.path, content)
        except OSError as error:
            raise ConfigurationError(
                f"the renewed tokens cannot be stored in {self.path}: {os_reason(error)}",
                hint="the refresh token in the profile may be revoked: sign in again and put in the new one",
            ) from None


def token_file(config: Path, profile: str, origin: str) -> TokenFile:
    """Return the file for a profile's renewed tokens: `tokens/PROFILE.json` beside the configuration.

    Args:
        config: The configuration file.
        profile: The profile's name.
        origin: The refresh token in the profile, or its client id if it has none; only the SHA-256 is stored.

    Raises:
        ConfigurationError: The name is not valid, or another user could put links into the folder.
    """
    if not NAME.fullmatch(profile):
        raise ConfigurationError(f"{one_line(profile)} cannot be a profile's name", hint="rename the profile")
    folder = config.parent / "tokens"
    if not no_home(folder):
        private.check_folder(folder)
    digest = hashlib.sha256(origin.encode("utf-8", "surrogatepass")).hexdigest()
    return TokenFile(folder / f"{profile}.json", folder / f"{profile}.lock", digest)
