"""Somebody at a terminal: a command in a pseudo-terminal of its own, and what is typed at each of its questions."""

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
        theirs: Its end, held open until the command has it; closed then, or nobody would notice its end.
        shown: Everything that was shown, line ends as `\n`.
        answered: How much of it had been shown when something was typed last.
    """

    process: subprocess.Popen[bytes]
    ours: int
    theirs: int
    shown: str = ""
    answered: int = 0

    def question(self) -> str | None:
        """Return the question that waits for an answer, or None when the command has ended."""
        while True:
            found = QUESTION.search(self.shown) if len(self.shown) > self.answered else None
            # A question has been asked when nothing more comes; that it is one, its colon says.
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
        """Close their end, if that was not done yet."""
        if self.theirs >= 0:
            os.close(self.theirs)
            self.theirs = -1

    def end(self) -> int:
        """Return the exit code, having read what is still shown."""
        while self._more():
            pass
        return self.process.wait(PATIENCE)

    def answer(self, *answers: str) -> None:
        """Answer so many questions, one after the other."""
        for text in answers:
            assert self.question() is not None, self.shown
            self.type(f"{text}\n")


@contextmanager
def at_a_terminal(host: Host, *words: str, columns: int = 80, **environ: str) -> Iterator[Terminal]:
    """Run a command at a terminal that is its own: Ctrl-C reaches it, and what is hidden while typed is hidden."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    # The first terminal that the first process of a session opens becomes that session's.
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
