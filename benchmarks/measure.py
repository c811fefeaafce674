"""Measures one run of a program: CPU seconds, wall-clock seconds, and peak memory.

This module imports little: Linux counts the memory of the parent at start into the peak of a child.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
"""The working directory of child processes, so that `-m cdrctl` is this checkout."""

MEGA = 1_000_000
_UNIT = 1 if sys.platform == "darwin" else 1024
"""The unit of `ru_maxrss` in bytes."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurements of a run.

    Args:
        cpu: CPU seconds of the process and its children, user and system.
        wall: Seconds from start to end.
        peak: Peak resident memory in MB of its largest process.
        first: Seconds from start to the first byte of output, if that was measured.
        code: The exit code.
    """

    cpu: float
    wall: float
    peak: float
    first: float
    code: int


def run(
    command: Sequence[str],
    environ: Mapping[str, str],
    output: Path,
    errors: Path,
    *,
    first: bool = False,
    terminal: bool = False,
) -> Measured:
    """Run a command with its output in a file.

    With `first`, read a pipe to measure when the output begins; with `terminal`, read a terminal instead of a pipe.
    """
    reading, writing = os.openpty() if terminal else os.pipe() if first else (-1, -1)
    with output.open("wb") as out, errors.open("wb") as err:
        began = time.perf_counter()
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=writing if writing >= 0 else out,
            stderr=err,
        )
        first_byte = 0.0
        if writing >= 0:
            os.close(writing)
            chunk = _read(reading, 1)
            first_byte = time.perf_counter() - began
            while chunk:
                out.write(chunk)
                chunk = _read(reading, 65536)
            os.close(reading)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
    return Measured(used.ru_utime + used.ru_stime, wall, used.ru_maxrss * _UNIT / MEGA, first_byte, child.returncode)


def _read(descriptor: int, size: int) -> bytes:
    """Return bytes of a pipe or a terminal, which fails where a pipe ends."""
    try:
        return os.read(descriptor, size)
    except OSError:
        return b""


def median(values: Sequence[float]) -> float:
    """Return the median: the middle value, or the mean of the two middle values."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
