"""Lets the processes of pytest-xdist share the work of loading the test modules.

Each process loads every test module, and pytest rewrites the assertions of a module that it has not seen yet: in a
fresh copy of the repository, that takes most of the time until the first test. Whoever rewrites a module keeps the
result as bytecode, so each process begins with another part of the modules and finds the rest done by the others.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SHARED = "shared_bytecode"
"""The folder in the messages from the main process to the others."""


class Sharing:
    """The main process's part: a folder for bytecode that is not to be written beside the modules.

    With PYTHONDONTWRITEBYTECODE, the processes share it in a temporary folder.
    """

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="cdrctl-bytecode-") if sys.dont_write_bytecode else None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a process the folder before it starts."""
        node.workerinput[SHARED] = self.folder.name if self.folder else ""

    def pytest_unconfigure(self) -> None:
        """Delete the folder."""
        if self.folder is not None:
            self.folder.cleanup()


class Shared:
    """The part of another process, which loads its modules first.

    Args:
        told: What the main process told this one.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        self.folder: str = told[SHARED]
        self.number = int(told["workerid"].removeprefix("gw"))
        self.count: int = told["workercount"]

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self, session: pytest.Session) -> Iterator[None]:
        """Load this process's part of the modules before pytest loads all of them in order."""
        with kept_in(self.folder):
            files = [path for one in session.config.args for path in sorted(Path(one).rglob("test_*.py"))]
            for path in files[len(files) * self.number // self.count :] if self.number else ():
                # A module that cannot be loaded, or skips itself, does so again when it is collected.
                with suppress(Exception, pytest.skip.Exception):
                    importlib.import_module(".".join(path.resolve().relative_to(ROOT).with_suffix("").parts))
            return (yield)


@contextmanager
def kept_in(folder: str) -> Iterator[None]:
    """Keep the bytecode of modules that are loaded in this context in a folder, unless it is empty."""
    before = sys.dont_write_bytecode, sys.pycache_prefix
    if folder:
        sys.dont_write_bytecode, sys.pycache_prefix = False, folder
    try:
        yield
    finally:
        sys.dont_write_bytecode, sys.pycache_prefix = before


def share(config: pytest.Config) -> None:
    """Let the processes of this run share the bytecode of the test modules."""
    told = getattr(config, "workerinput", None)
    config.pluginmanager.register(Sharing() if told is None else Shared(told))
