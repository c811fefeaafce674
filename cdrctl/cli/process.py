"""The process as a value: its streams, environment and clock."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, TextIO

if TYPE_CHECKING:
    from cdrctl.http import Clock
    from cdrctl.http.transport import Transport


@dataclass(slots=True)
class Process:
    """Everything a command takes from the process it runs in, so that tests can pass another one.

    Args:
        environ: The environment.
        stdin: Where answers to prompts come from.
        stdout: Where data goes; None when the shell closed it.
        stderr: Where messages go; None when the shell closed it.
        stdin_is_terminal: Whether a user types.
        stdout_is_terminal: Whether data goes to a terminal.
        stderr_is_terminal: Whether messages go to a terminal.
        width: Columns of the terminal.
        clock: Time and waiting.
        stdout_is_pipe: Whether data goes to another program, whose output may share the terminal.
        transport: Replaces the network in tests.
    """

    environ: Mapping[str, str]
    stdin: TextIO
    stdout: BinaryIO | None
    stderr: TextIO | None
    stdin_is_terminal: bool
    stdout_is_terminal: bool
    stderr_is_terminal: bool
    width: int
    clock: Clock | None = None
    transport: Transport | None = None
    stdout_is_pipe: bool = False

    @property
    def stdout_is_read(self) -> bool:
        """Whether somebody may read standard output as it is written."""
        return self.stdout_is_pipe or self.stdout_is_terminal


def this_process() -> Process:
    """Return the process that cdrctl runs in."""

    def terminal(stream: object) -> bool:
        try:
            return bool(stream is not None and stream.isatty())  # type: ignore[attr-defined]
        except ValueError:  # closed
            return False

    if isinstance(sys.stdout, io.TextIOWrapper):  # the locale may lack some characters of the help
        sys.stdout.reconfigure(errors="replace")
    return Process(
        environ=os.environ,
        stdin=sys.stdin if sys.stdin is not None else open(os.devnull, encoding="utf-8"),  # noqa: PTH123
        stdout=sys.stdout.buffer if sys.stdout is not None else None,
        stderr=sys.stderr,
        stdin_is_terminal=terminal(sys.stdin),
        stdout_is_terminal=terminal(sys.stdout),
        stderr_is_terminal=terminal(sys.stderr),
        width=_width(),
        stdout_is_pipe=_is_pipe(sys.stdout),
    )


def _is_pipe(stream: TextIO | None) -> bool:
    try:
        mode = os.fstat(stream.fileno()).st_mode if stream is not None else 0
    except (OSError, ValueError):  # closed
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


USUAL_WIDTH = 80


def _width() -> int:
    """Return the columns of the terminal: COLUMNS, else of stdout, else of stderr."""
    said = os.environ.get("COLUMNS", "")
    if said.isascii() and said.isdigit() and int(said) > 0:
        return int(said)
    for stream in (sys.__stdout__, sys.__stderr__):
        try:
            columns = os.get_terminal_size(stream.fileno()).columns if stream is not None else 0
        except (OSError, ValueError):  # no terminal, or closed
            continue
        if columns > 0:
            return columns
    return USUAL_WIDTH
