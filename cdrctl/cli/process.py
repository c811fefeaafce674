"""The process as values: its streams, its environment, its clock; and the one place that writes to stderr."""

from __future__ import annotations

import io
import json
import os
import select
import stat
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, TextIO

from cdrctl.errors import CdrctlError
from cdrctl.masking import SHORTEST, mask

if TYPE_CHECKING:
    from cdrctl.http import Clock
    from cdrctl.http.transport import Transport


@dataclass(slots=True)
class Process:
    """Everything a command takes from the process it runs in, so that a test can hand in another one.

    Args:
        environ: The environment.
        stdin: Where answers to prompts come from.
        stdout: Where data goes; None when the shell closed it.
        stderr: Where messages go; None when the shell closed it.
        stdin_is_terminal: Whether somebody types.
        stdout_is_terminal: Whether somebody reads the data as it comes.
        stderr_is_terminal: Whether somebody reads the messages as they come.
        width: Columns of the terminal.
        clock: Time and waiting.
        stdout_is_pipe: Whether another program reads the data; its own output may share the terminal.
        transport: In place of the network, in tests.
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


def this_process() -> Process:
    """Return the process we are really in."""

    def terminal(stream: object) -> bool:
        try:
            return bool(stream is not None and stream.isatty())  # type: ignore[attr-defined]
        except ValueError:  # closed
            return False

    if isinstance(sys.stdout, io.TextIOWrapper):  # help is text, and its locale may not have every character of it
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
    """Return the columns of the terminal: as the user says, of the data's, else of the messages'."""
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


DETAILS = frozenset({"debug", "window"})
"""What -v adds: requests, and windows that have been read."""


@dataclass(slots=True)
class Reporter:
    """What is said on stderr, and how: quiet, verbose, as text or as JSON; no secret and no control character passes.

    Args:
        process: Where to.
        quiet: Only errors.
        verbose: 1 names each request, 2 adds tracebacks.
        as_json: One JSON object a line.
        data_elsewhere: Whether data goes elsewhere than to the terminal: then a line of progress may stand there.
        left_behind: What an interrupted run leaves behind.
    """

    process: Process
    quiet: bool = False
    verbose: int = 0
    as_json: bool = False
    data_elsewhere: bool = False
    left_behind: str = "no file was touched"
    _secrets: set[str] = field(default_factory=set)
    _progress_shown: bool = False
    _far: str = ""
    _waiting: str = ""
    _held: list[str] | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def conceal(self, secrets: Iterable[str]) -> None:
        """Never let these through again."""
        for secret in secrets:
            with self._lock:  # another set each time: one that another thread looks through must not grow
                self._secrets = self._secrets.union([secret] if len(secret) >= SHORTEST else [])

    def masked(self, text: str) -> str:
        """Return the text without secrets, in whatever way they are spelt."""
        return mask(text, self._secrets)

    def clean(self, text: str) -> str:
        """Return the text without secrets, and on one line that no terminal obeys."""
        return "".join(char if char.isprintable() else " " for char in self.masked(text))

    def log(self, level: str, text: str) -> None:
        """Say something that is no error: a note, a warning, progress or a wait on a terminal, or a detail for -v."""
        if level == "debug":
            self._waiting = ""  # a request was answered: whoever waited for it does no longer
        if level == "progress" or (level == "wait" and self._may_overwrite()):
            self._progress(level, text)
        elif level == "wait" and not (self.verbose or self.process.stderr_is_terminal):
            return  # a log need not hear of every wait that keeps the pace
        elif (level in DETAILS and not self.verbose) or (level not in DETAILS and self.quiet):
            return
        elif self.as_json:
            self._line(json.dumps({"level": level, "message": self.clean(text)}))
        else:
            prefix = "" if level in {*DETAILS, "wait", "result"} else f"{level}: "
            self._line(f"cdrctl: {prefix}{self.clean(text)}")

    def show(self, text: str) -> None:
        """Say something to who is asked questions: as it is, line by line, without a word before it."""
        if self.quiet:
            return
        for line in text.split("\n"):
            clean = self.clean(line).rstrip()
            if not self.as_json:
                self._line(clean)
            elif clean:
                self._line(json.dumps({"level": "note", "message": clean.strip()}))

    def summary(self, facts: Mapping[str, int | float | str], about: Mapping[str, str] | None = None) -> None:
        """Say the closing line, or that of one part: what was done, as words or as an object."""
        if self.quiet:
            return
        about = {name: self.clean(text) for name, text in (about or {}).items()}
        if self.as_json:
            self._line(json.dumps({"level": "result" if about else "done", **about, **facts}))
            return
        said = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in facts.items())
        self._line(f"cdrctl: {' '.join(about.values())}{': ' if about else ''}{self.clean(said)}")

    def error(self, error: CdrctlError) -> None:
        """Say what happened, what the provider said, and the next step."""
        said = self.clean(error.said) if error.said else None
        hint = self.clean(error.hint) if error.hint else None
        message = self.clean(error.message)
        if self.as_json:
            parts = {"level": "error", "message": message, "exit_code": error.exit_code}
            parts.update({name: text for name, text in (("said", said), ("next", hint)) if text})
            self._line(json.dumps(parts))
            return
        self._line(f"cdrctl: {message}")
        if said:
            self._line(f"  the provider said: {said}")
        if hint:
            self._line(f"  next: {hint}")

    def failure(self, title: str, error: CdrctlError) -> None:
        """Say in one line, also with -q, why one of several profiles failed and what to do about it."""
        message, said, hint = (text and self.clean(text) for text in (error.message, error.said, error.hint))
        if self.as_json:
            parts = {"level": "error", "profile": self.clean(title), "message": message, "exit_code": error.exit_code}
            parts.update({name: text for name, text in (("said", said), ("next", hint)) if text})
            self._line(json.dumps(parts))
            return
        more = (said and f"the provider said: {said}", hint and f"next: {hint}")
        self._line("; ".join([f"cdrctl: {self.clean(title)}: failed: {message}", *filter(None, more)]))

    def bug(self, error: BaseException) -> None:
        """Say that this is our fault; where it happened only with -vv, so that nothing private is printed unasked."""
        self.error(
            CdrctlError(
                f"a bug of ours: {type(error).__name__}",
                hint="please report it, with what you typed and the lines that -vv adds",
            )
        )
        if self.verbose > 1:
            for line in "".join(traceback.format_exception(error)).splitlines():
                said = self.clean(line)
                self._line(json.dumps({"level": "debug", "message": said}) if self.as_json else said)

    def stop_if_blocked(self) -> None:
        """Say nothing more where that would mean to wait: who ends the program does not wait for a reader."""
        try:
            ready = self.process.stderr is None or select.select([], [self.process.stderr], [], 0)[1]
        except (OSError, ValueError):  # a stream in memory, or a system that cannot tell
            return
        if not ready:
            self.process.stderr = None

    def hold(self) -> None:
        """Keep what is said on a terminal until `release`: somebody else has the screen."""
        with self._lock:
            self._held = [] if self.process.stderr_is_terminal else None

    def release(self) -> None:
        """Say what was kept."""
        with self._lock:
            held, self._held = self._held, None
        if held:
            self._write("".join(held), progress=False)

    def _may_overwrite(self) -> bool:
        if self.process.environ.get("TERM") == "dumb":  # it shows escapes as they are
            return False
        return self.process.stderr_is_terminal and self.data_elsewhere and not self.quiet and not self.as_json

    def _progress(self, level: str, text: str) -> None:
        """Show how far it is, and what is waited for: alone and first where that is long enough to have an end.

        Another thread waits while pages are written: neither may hide what the other says.
        """
        if self.process.stderr is None or not self._may_overwrite():
            return
        with self._lock:
            if level == "wait":
                self._waiting = text
            else:
                self._far = text
            waiting = self._waiting if ", until " in self._waiting or not self._far else ""
            text = "; ".join(filter(None, (waiting, self._far)))
            self._write(f"\r\x1b[2K{self.clean(text)[: max(1, self.process.width - 1)]}", progress=True)

    def _line(self, text: str) -> None:
        self._write(text + "\n", progress=False)

    def _write(self, text: str, *, progress: bool) -> None:
        """Write a whole line, or one of progress that the next one overwrites, whoever else speaks meanwhile."""
        stream = self.process.stderr
        if stream is None:  # looked at without the lock, which a thread may hold whose reader does not read
            return
        with self._lock:
            if self._held is not None:
                self._held.append("" if progress else text)
                return
            whole = "\r\x1b[2K" + text if self._progress_shown and not progress else text
            self._progress_shown = progress
            try:
                stream.write(whole.encode(stream.encoding or "utf-8", "replace").decode(stream.encoding or "utf-8"))
                stream.flush()
            except (OSError, ValueError):  # nobody listens: the exit code still speaks
                self.process.stderr = None
