"""A command in a pseudo-terminal of its own, and what a person types at each of its prompts."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support import forks
from tests.support.host import PATIENCE, Host, ended
from tests.support.program import COMMAND

QUESTION = re.compile(r"(?:^|\n)([^\n]*): \Z")


@dataclass(slots=True)
class Terminal:
    r"""A running command and its terminal.

    Args:
        process: The command.
        ours: Our end of the terminal.
        theirs: The command's end; we close it when the command has opened it, so that we notice when the command ends.
        shown: Everything that was shown, with line ends as `\n`.
        answered: The length of `shown` when something was typed last.
    """

    process: subprocess.Popen[bytes]
    ours: int
    theirs: int
    shown: str = ""
    answered: int = 0

    def question(self) -> str | None:
        """Return the prompt that waits for an answer, or None if the command has ended."""
        while True:
            found = QUESTION.search(self.shown) if len(self.shown) > self.answered else None
            # A prompt is complete when nothing more comes and it ends in a colon.
            if found and not select.select([self.ours], [], [], 0.02)[0]:
                return found[1]
            if not self._more():
                break
        return None

    def type(self, text: str) -> None:
        r"""Type something; a line ends with `\n`."""
        self.answered = len(self.shown)
        os.write(self.ours, text.encode())

    def _more(self) -> bool:
        assert select.select([self.ours], [], [], PATIENCE)[0], self.shown
        try:
            piece = os.read(self.ours, 65_536)
        except OSError:  # the other end is closed
            return False
        self.let_go()
        self.shown += piece.decode().replace("\r\n", "\n")
        return bool(piece)

    def let_go(self) -> None:
        """Close the command's end, unless that was done before."""
        if self.theirs >= 0:
            os.close(self.theirs)
            self.theirs = -1

    def end(self) -> int:
        """Read the rest of the output, and return the exit code."""
        while self._more():
            pass
        return self.process.wait(PATIENCE)

    def answer(self, *answers: str) -> None:
        """Answer prompts, one after the other."""
        for text in answers:
            assert self.question() is not None, self.shown
            self.type(f"{text}\n")


@contextmanager
def at_a_terminal(host: Host, *words: str, columns: int = 80, **environ: str) -> Iterator[Terminal]:
    """Run a command in a terminal of its own: Ctrl-C reaches it, and hidden input is hidden."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    # A session's terminal is the first one that its first process opens.
    variables = {**host.environ, **environ}
    command = forks.command(variables, terminal="own")
    if command == COMMAND:
        command = ("sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(theirs), *COMMAND)
    process = subprocess.Popen(
        [*command, *words],
        cwd=host.folder,
        env=variables,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    with ended(process):
        terminal = Terminal(process, ours, theirs)
        try:
            yield terminal
        finally:
            terminal.let_go()
            os.close(ours)
