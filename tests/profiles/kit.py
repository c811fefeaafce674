"""An account with a profile, and checks that no secret is shown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from cdrctl.errors import CdrctlError, ConfigurationError
from cdrctl.fetchers.settings import Checks, Secret, Settings
from cdrctl.profiles.file import Profile
from cdrctl.profiles.redaction import redact_settings
from cdrctl.profiles.secrets import Keyring, Run
from cdrctl.profiles.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def redacted_texts(profile: Profile, model: type[Settings], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings as `cdrctl profile show` prints them."""
    return {key: str(setting) for key, setting in redact_settings(profile, model, environ).items()}


ROOT = Path(__file__).parents[2]
SECRET = "hush-hush-4711"
NUMBER = 94711
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes, umask or POSIX shell")

COMMENTED = """\
# my profiles
[profiles.acme]  # the big one
provider = "webex"
# renewed each year
access_token = "x"

# the lab
[profiles.lab]
provider = 'kazoo'
account_id = "1"

[profiles.last]
provider = "webex"
# the end
"""


def _account(value: str) -> str:
    if value == "bad":
        raise ValueError("account_id is not one of ours")
    return value


class Account(Settings, frozen=True, kw_only=True):
    base_url: str = "https://api.example.net"
    account_id: str
    api_key: Secret | None = None
    password: Secret | None = None
    retries: int = 1
    verbose: bool = False

    checks: ClassVar[Checks] = {"account_id": _account}


def write_config(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8", newline="")
    path.chmod(mode)
    return path


def make_profile(folder: Path, raw: Mapping[str, Any] | None = None, name: str = "acme") -> Profile:
    return Profile(name, "kazoo", dict(raw or {}), "file", folder / "config.toml")


def read(
    profile: Profile,
    environ: Mapping[str, str] | None = None,
    *,
    run: Run | None = None,
    keyring: Keyring | None = None,
    warn: Callable[[str], None] | None = None,
) -> Account:
    def loud(warning: str) -> None:
        raise AssertionError(warning)

    return read_settings(profile, Account, environ or {}, warn=warn or loud, run=run, keyring=keyring)


def api_key(account: Account) -> str | None:
    return None if account.api_key is None else account.api_key.get_secret_value()


def python_command(code: str) -> str:
    """Return a command line that runs Python code."""
    arguments = [sys.executable, "-c", code]
    if os.name == "nt":
        return subprocess.list2cmdline(arguments)
    import shlex

    return shlex.join(arguments)


@contextmanager
def end_children() -> Iterator[None]:
    """End the background processes that commands have started: only those marked by this test."""
    mark = f"CDRCTL_TEST_MARK={os.getpid()}-{time.monotonic_ns()}"
    name, _, value = mark.partition("=")
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if int(process.name) != os.getpid() and mark.encode() in (process / "environ").read_bytes().split(
                    b"\0"
                ):
                    os.kill(int(process.name), signal.SIGKILL)


def all_texts(error: BaseException) -> str:
    """Return every text that an error can show, with its causes and contexts."""
    texts = []
    pending: list[BaseException | None] = [error]
    while pending:
        each = pending.pop()
        if each is None:
            continue
        texts += [str(each), repr(each), repr(each.args), repr(vars(each))]
        texts += ["".join(traceback.format_exception(each))]
        texts += [repr(getattr(each, name, "")) for name in ("doc", "object", "output", "stdout", "stderr", "msg")]
        pending += [each.__cause__, each.__context__]
    return "\n".join(texts)


def assert_no_secret(error: CdrctlError) -> None:
    assert SECRET not in all_texts(error)


@contextmanager
def expect_refusal(kind: type[CdrctlError] = ConfigurationError, *words: str) -> Iterator[None]:
    """Expect one error of this class with these words in its message or hint, and without the secret."""
    with pytest.raises(CdrctlError) as caught:
        yield
    error = caught.value
    assert type(error) is kind
    said = f"{error.message} | {error.hint}"
    for word in words:
        assert word in said
    assert "\n" not in said
    assert SECRET not in all_texts(error)


def keyring_for_tests(service: str, user: str) -> str | None:
    return SECRET if (service, user) == ("cdrctl", "acme/api_key") else None
