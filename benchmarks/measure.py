"""What one run of a program takes: CPU seconds, wall seconds, and the most memory it held.

What is imported here stays small: Linux counts into the peak of a child what its parent held when it was started.
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
"""Where children are run, so that `-m cdrctl` is this checkout."""

MEGA = 1_000_000
_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in what `ru_maxrss` counts."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run took.

    Args:
        cpu: Seconds of the processor, of the process and its children, user and system.
        wall: Seconds from its start to its end.
        peak: Most memory resident, in MB, of the largest of its processes.
        first: Seconds from its start to the first byte of its output, where that was waited for.
        code: Its exit code.
    """

    cpu: float
    wall: float
    peak: float
    first: float
    code: int


def run(
    command: Sequence[str], environ: Mapping[str, str], output: Path, errors: Path, *, first: bool = False
) -> Measured:
    """Run a command with its output in a file; with `first`, read through a pipe to see when it begins."""
    with output.open("wb") as out, errors.open("wb") as err:
        began = time.perf_counter()
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if first else out,
            stderr=err,
        )
        byte_came = 0.0
        if first and child.stdout:
            piece = os.read(child.stdout.fileno(), 1)
            byte_came = time.perf_counter() - began
            while piece:
                out.write(piece)
                piece = os.read(child.stdout.fileno(), 65536)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.stdout:
            child.stdout.close()
    return Measured(used.ru_utime + used.ru_stime, wall, used.ru_maxrss * _UNIT / MEGA, byte_came, child.returncode)


def median(values: Sequence[float]) -> float:
    """Return the middle one, or the mean of the two in the middle."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
