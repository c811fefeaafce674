"""Renewed tokens, kept in a file that only their user can read."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True, slots=True)
class TokenFile:
    """Where the tokens that runs renew for a profile are kept: a rotating refresh token is good for one use.

    Args:
        path: The file: its mode is 0600, that of its folder 0700.
        lock: The file whose lock a run holds from before it loads until after it has saved.
        origin: The SHA-256 of the refresh token in the profile, or of the client id where somebody signed in with a
            browser. Tokens kept for another are not loaded: the user has put a new one into the profile since.
    """

    path: Path
    lock: Path
    origin: str

    @contextmanager
    def locked(self, seconds: float = LOCK_SECONDS) -> Iterator[None]:
        """Hold the lock, having proved that tokens can be saved.

        It is proved beforehand because the old refresh token ends at the provider when the new one is issued.

        Raises:
            TemporaryError: Another run has held it all the time.
            ConfigurationError: The folder cannot be written.
        """
        with ExitStack() as stack:
            with write_errors(self.path):
                need_home(self.path)
                make_folder(self.path.parent)
                private.check_folder(self.path.parent)
                stack.enter_context(locked(self.lock, "another run is signing in with this profile", seconds))
                self._prove()
            yield

    def _prove(self) -> None:
        if self.path.is_dir():
            raise ConfigurationError(f"{self.path} is a folder", hint="delete it")
        descriptor, temporary = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".probe", dir=self.path.parent)
        try:
            # More than tokens take, and synced: a full disk is often noticed only then.
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
                file.write(bytes(_PROBE))
                file.flush()
                os.fsync(file.fileno())
        finally:
            Path(temporary).unlink()

    def load(self) -> dict[str, Any] | None:
        """Return the tokens kept, or None when there are none for the refresh token in the profile.

        Raises:
            ConfigurationError: The file is damaged or cannot be read. It is not taken for absent: the refresh
                token in the profile has probably been used up.
        """
        if no_home(self.path):
            return None
        problem = "it is not what was written there"
        kept: object = None
        try:
            kept = json.loads(private.read(self.path))
        except FileNotFoundError:
            return None
        except OSError as error:
            problem = os_reason(error)
        except (ValueError, RecursionError):
            pass
        # Outside the handler: the decoder's error holds the text.
        if isinstance(kept, dict) and isinstance(kept.get("origin"), str) and isinstance(kept.get("tokens"), dict):
            tokens: dict[str, Any] = kept["tokens"]
            return tokens if kept["origin"] == self.origin else None
        raise ConfigurationError(
            f"the renewed tokens in {self.path} cannot be read: {problem}",
            hint=f"delete {self.path} and sign in anew: `cdrctl profile login {self.path.stem}`, or put a new refresh "
            "token into the profile",
        )

    def save(self, tokens: Mapping[str, Any]) -> None:
        """Keep these tokens instead of those kept before.

        Raises:
            ConfigurationError: They cannot be written; the provider has ended the old refresh token all the same.
        """
        content = json.dumps({"origin": self.origin, "tokens": dict(tokens)}).encode()
        try:
            need_home(self.path)
            make_folder(self.path.parent)
            private.check_folder(self.path.parent)
            replace_file(self.path, content)
        except OSError as error:
            raise ConfigurationError(
                f"the renewed tokens cannot be kept in {self.path}: {os_reason(error)}",
                hint="the refresh token in the profile may have ended: sign in anew and put the new one in",
            ) from None


def token_file(config: Path, profile: str, origin: str) -> TokenFile:
    """Return where the renewed tokens of a profile are kept: `tokens/PROFILE.json` beside the configuration.

    Args:
        config: The configuration file.
        profile: The profile's name.
        origin: The refresh token in the profile, or its client id where it has none; only the SHA-256 is kept.

    Raises:
        ConfigurationError: The name cannot be a profile's, or somebody else could put links into the folder.
    """
    if not NAME.fullmatch(profile):
        raise ConfigurationError(f"{one_line(profile)} cannot be a profile's name", hint="rename the profile")
    folder = config.parent / "tokens"
    if not no_home(folder):
        private.check_folder(folder)
    digest = hashlib.sha256(origin.encode("utf-8", "surrogatepass")).hexdigest()
    return TokenFile(folder / f"{profile}.json", folder / f"{profile}.lock", digest)
