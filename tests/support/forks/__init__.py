"""The program for tests that run it to its end: forked by a process that has loaded it, not started anew.

Most of the time of a command line goes into loading Python and its packages. A test about the process itself must start
`tests.support.program`.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from tests.support.program import COMMAND

ROOT = Path(__file__).parents[3]
CLIENT = str(Path(__file__).with_name("client.py"))

USUAL = {"LANG", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUTF8", "LD_PRELOAD"}
"""Variables that are read at the start and that many tests share; a server with others would be used too rarely."""

_servers: dict[tuple[tuple[str, str], ...], tuple[str, subprocess.Popen[bytes]]] = {}


def reads_at_start(environ: Mapping[str, str]) -> set[str]:
    """Return the names of the variables that Python or a library reads when a process starts."""
    begins = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "OPENSSL_")
    return {name for name in environ if name.startswith(begins)}


def command(environ: Mapping[str, str], *, terminal: Literal["", "own", "other"] = "") -> tuple[str, ...]:
    """Return the words that run the program in this environment and wait for its end.

    Args:
        environ: The environment of the program.
        terminal: For standard streams at a terminal: `own` if it becomes the controlling terminal, from which Ctrl-C
            comes, and `other` if it is used like a file.
    """
    names = reads_at_start(environ)
    if sys.platform != "linux" or environ.get("PYTHONPATH") != str(ROOT) or not names <= USUAL:
        return COMMAND
    key = tuple((name, environ[name]) for name in sorted(names))
    if key not in _servers:
        _servers[key] = _started(dict(key))
    return (sys.executable, "-I", "-S", CLIENT, _servers[key][0], terminal)


def _started(given: dict[str, str]) -> tuple[str, subprocess.Popen[bytes]]:
    """Start a server that ends when its stdin is closed, with this process at the latest."""
    address = str(Path(tempfile.mkdtemp(prefix="cdrctl-forks-")) / "forks")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(100)
        words = [
            sys.executable,
            "-m",
            "tests.support.forks.server",
            str(listening.fileno()),
            address,
            json.dumps(given),
        ]
        server = subprocess.Popen(
            words,
            cwd=ROOT,
            env={"PATH": os.defpath, **given},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[listening.fileno()],
            start_new_session=True,
        )
    return address, server


def end() -> None:
    """End all servers of this process."""
    while _servers:
        _, server = _servers.popitem()[1]
        server.communicate()
