from __future__ import annotations

import functools
import gc
import hashlib
import os
import signal
import tempfile
from collections.abc import Iterator

import pytest

from cdrctl.__main__ import OBJECTS_BETWEEN_COLLECTIONS
from tests.support import bytecode, forks, program
from tests.support.examples import load_profile
from tests.support.loopback import loopback_only
from tests.support.selection import mark_cases

load_profile()
gc.disable()  # until every test is collected: nothing that pytest makes of them is garbage


def pytest_configure(config: pytest.Config) -> None:
    """Load the test modules only once, if there are several processes."""
    bytecode.share(config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Choose the fast cases, before pytest deselects the others."""
    mark_cases(items)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Let the garbage collector leave thousands of collected tests alone, and run as seldom as in the program."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Collect the garbage once: pytest does it five times more, but only of objects that are made after this."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _the_disk_is_not_waited_for() -> Iterator[None]:
    """Let `os.fsync` in this process check its descriptor only. Programs that tests start wait for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: os.fstat(descriptor) and None)
        yield


@pytest.fixture(autouse=True, scope="session")
def _digests_are_made_once() -> Iterator[None]:
    """Let each slow digest, with one password and one salt, be made once in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashlib, "pbkdf2_hmac", functools.cache(hashlib.pbkdf2_hmac))
        yield


@pytest.fixture(autouse=True, scope="session")
def _nobodys_home() -> Iterator[None]:
    """Keep tests from reading or changing the user's own profiles and settings."""
    # `tmp_path_factory` has the fixture `request`, which would be made for each test.
    with tempfile.TemporaryDirectory(prefix="cdrctl-home-") as home, pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            ours = name.startswith("CDRCTL_") and name != "CDRCTL_WRITE_TABLES"
            if ours or name.startswith("XDG_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("HOME", home)
        patch.setenv("USERPROFILE", home)
        patch.setenv("TZ", "UTC")
        yield


@pytest.fixture
def no_half_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let child processes write no bytecode: with a limit on file sizes, Python leaves a truncated file and uses it."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")


@pytest.fixture(autouse=True, scope="session")
def _signals_are_heard() -> None:
    """Let child processes receive signals that are ignored if the tests run in the background or under `nohup`."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGHUP", "SIGQUIT"):
        number = getattr(signal, name, None)  # Windows has neither of the signals
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def _forks_end() -> Iterator[None]:
    """End the server processes that fork for tests."""
    yield
    forks.end()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Let each test and its child processes begin at the same instant."""
    program.restart()


@pytest.fixture(autouse=True, scope="session")
def _stay_on_this_machine() -> Iterator[None]:
    """Let no test connect to another machine."""
    with loopback_only():
        yield
