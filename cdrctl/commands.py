"""Command lines that a user has put into a profile: run in the shell, for what they print."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping

COMMAND_SECONDS = 60.0
"""A command may take so long: somebody may have to type a passphrase."""

LONGEST_OUTPUT = 65_536
"""Bytes that a command may print: a secret is one line."""

_LOOK = 0.02
"""Seconds between two looks whether a command has ended whose pipes stay open."""


class TooMuchOutputError(Exception):
    """A command has printed more than a secret can be."""


def run_in_shell(
    command: str, environ: Mapping[str, str], seconds: float = COMMAND_SECONDS
) -> subprocess.CompletedProcess[bytes]:
    """Return what a command line printed until it ended, and how it ended.

    A process that it leaves in the background, such as gpg-agent, is not waited for, though it may hold the pipes open;
    it goes on, and may write to them as long as this program runs.

    Raises:
        OSError: It cannot be started.
        subprocess.TimeoutExpired: It took too long; its shell has been ended.
        TooMuchOutputError: It printed too much; its shell has been ended.
    """
    # Standard input is not inherited: it may be our own data. The command stays in our session and process group,
    # for a pinentry or a password prompt opens the terminal itself, which stops a background group that reads.
    process = subprocess.Popen(  # noqa: S602 - the user's own command line, from the user's own file
        command,
        shell=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environ),
    )
    try:
        if sys.platform == "win32":  # where pipes cannot be looked at without waiting
            output, complaint = process.communicate(timeout=seconds)
        else:
            output, complaint = _until_it_ends(process, seconds)
    except BaseException:
        process.kill()
        # Not read to their end: what the shell has started may hold them open for ever.
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
            ended = process.poll() is not None  # before its pipes are read: what it has written is in them then
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
"""Commands that have left a process behind, which would be killed if it wrote to a pipe that was closed."""
