"""Runs the command lines of a profile in the shell, and returns their output."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping

COMMAND_SECONDS = 60.0
"""The time limit of a command, during which the user may have to type a passphrase."""

LONGEST_OUTPUT = 65_536
"""The most bytes that a command may print: a secret is one line."""

_LOOK = 0.02
"""Seconds between two checks whether a command has ended that left its pipes open."""


class TooMuchOutputError(Exception):
    """A command has printed more than a secret can have."""


def run_in_shell(
    command: str, environ: Mapping[str, str], seconds: float = COMMAND_SECONDS
) -> subprocess.CompletedProcess[bytes]:
    """Run a command line, and return its output and exit status.

    A process that the command leaves in the background, such as gpg-agent, is not waited for, although it may keep the
    pipes open; it continues, and may write to them as long as cdrctl runs.

    Raises:
        OSError: It cannot be started.
        subprocess.TimeoutExpired: It took too long; its shell has been killed.
        TooMuchOutputError: It printed too much; its shell has been killed.
    """
    # Standard input is not inherited: it may be data for cdrctl. The command stays in the same session and process
    # group, because a pinentry or a password prompt opens the terminal itself, which stops a background group.
    process = subprocess.Popen(  # noqa: S602 - the user's own command line, from the user's own file
        command,
        shell=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environ),
    )
    try:
        if sys.platform == "win32":  # pipes cannot be polled
            output, complaint = process.communicate(timeout=seconds)
        else:
            output, complaint = _until_it_ends(process, seconds)
    except BaseException:
        process.kill()
        # Not read to their end: a process that the shell has started may keep them open for ever.
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        process.wait()
        raise
    return subprocess.CompletedProcess(command, process.returncode, output, complaint)


def _until_it_ends(process: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, bytes]:
    if sys.platform == "win32":
        raise NotImplementedError("Windows has no pipes that can be waited for")
    import selectors

    assert process.stdout is not None  # noqa: S101 - both are pipes
    assert process.stderr is not None  # noqa: S101
    until = time.monotonic() + seconds
    pipes = {pipe.fileno(): bytearray() for pipe in (process.stdout, process.stderr)}
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            os.set_blocking(pipe, False)
            selector.register(pipe, selectors.EVENT_READ)
        ended = False
        while selector.get_map() and not ended:
            ended = process.poll() is not None  # check before reading the pipes, so that all its output is in them
            for key, _ in selector.select(0 if ended else _LOOK):
                data = os.read(key.fd, LONGEST_OUTPUT)
                pipes[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
                if len(pipes[key.fd]) > LONGEST_OUTPUT and not ended:
                    if key.fd == process.stdout.fileno():
                        raise TooMuchOutputError
                    del pipes[key.fd][LONGEST_OUTPUT:]
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(process.args, seconds)
        if selector.get_map():
            _LEFT_OPEN.append(process)
        else:
            process.wait(max(0.0, until - time.monotonic()))
            process.stdout.close()
            process.stderr.close()
    output, complaint = pipes.values()
    return bytes(output), bytes(complaint)


_LEFT_OPEN: list[subprocess.Popen[bytes]] = []
"""Commands that have left a process behind; if their pipes were closed, a write would kill that process."""
