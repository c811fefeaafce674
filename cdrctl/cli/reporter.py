"""The only writer of messages: stderr, as text or JSON, without secrets and control characters."""

from __future__ import annotations

import json
import select
import threading
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cdrctl.cli.process import Process
from cdrctl.errors import CdrctlError
from cdrctl.masking import SHORTEST, mask, printable

DETAILS = frozenset({"debug", "window"})
"""The levels that -v adds: requests, and windows that are complete."""


@dataclass(slots=True)
class Reporter:
    """Writes messages to stderr as text or JSON, without secrets and control characters.

    Args:
        process: Its stderr is written to.
        quiet: Only errors.
        verbose: 1 names each request, 2 adds tracebacks.
        as_json: Write one JSON object per line.
        data_elsewhere: Data does not go to the terminal, so a progress line may.
        left_behind: What an interrupted run leaves behind, for its last message.
    """

    process: Process
    quiet: bool = False
    verbose: int = 0
    as_json: bool = False
    data_elsewhere: bool = False
    left_behind: str = "no file was changed"
    _secrets: set[str] = field(default_factory=set)
    _progress_shown: bool = False
    _done: str = ""
    _waiting: str = ""
    _held: list[str] | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def conceal(self, secrets: Iterable[str]) -> None:
        """Mask these secrets in all messages from now on."""
        for secret in secrets:
            with self._lock:  # replaced, not changed: another thread may be reading it
                self._secrets = self._secrets.union([secret] if len(secret) >= SHORTEST else [])

    def masked(self, text: str) -> str:
        """Return the text with secrets masked, in every encoding that may be sent or printed."""
        return mask(text, self._secrets)

    def clean(self, text: str) -> str:
        """Return the text with secrets masked and control characters replaced, on one line."""
        return printable(self.masked(text))

    def log(self, level: str, text: str) -> None:
        """Report a note, warning, progress, wait or detail; the level decides whether it is shown."""
        if level == "debug":
            self._waiting = ""  # a response came, so nothing waits any more
        if level == "progress" or (level == "wait" and self._may_overwrite()):
            self._progress(level, text)
        elif level == "wait" and not (self.verbose or self.process.stderr_is_terminal):
            return  # a log does not need every wait for the rate limit
        elif (level in DETAILS and not self.verbose) or (level not in DETAILS and self.quiet):
            return
        elif self.as_json:
            self._line(json.dumps({"level": level, "message": self.clean(text)}))
        else:
            prefix = "" if level in {*DETAILS, "wait", "result"} else f"{level}: "
            self._line(f"cdrctl: {prefix}{self.clean(text)}")

    def show(self, text: str) -> None:
        """Print text as it is, line by line, for a user who answers questions."""
        if self.quiet:
            return
        for line in text.split("\n"):
            clean = self.clean(line).rstrip()
            if not self.as_json:
                self._line(clean)
            elif clean:
                self._line(json.dumps({"level": "note", "message": clean.strip()}))

    def summary(self, facts: Mapping[str, int | float | str], about: Mapping[str, str] | None = None) -> None:
        """Report the closing line of a run, or of one part of it."""
        if self.quiet:
            return
        about = {name: self.clean(text) for name, text in (about or {}).items()}
        if self.as_json:
            self._line(json.dumps({"level": "result" if about else "done", **about, **facts}))
            return
        said = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in facts.items())
        self._line(f"cdrctl: {' '.join(about.values())}{': ' if about else ''}{self.clean(said)}")

    def error(self, error: CdrctlError) -> None:
        """Report an error: what happened, what the provider said, and the next step."""
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

    def failure(self, title: str, error: CdrctlError, records: int = 0) -> None:
        """Report in one line, even with -q, why one of several profiles failed, and the next step.

        Args:
            title: The profile's name in messages.
            error: Why it failed.
            records: How many of its records had come before.
        """
        came = f" after {records} record{'s' if records > 1 else ''}" if records else ""
        self._one_line({"profile": title}, error, f"failed{came}: ", {"records": records} if records else {})

    def problem(self, about: Mapping[str, str], error: CdrctlError) -> None:
        """Report in one line, even with -q, what is wrong with one of several things, and the next step."""
        self._one_line(about, error, "", {})

    def _one_line(self, about: Mapping[str, str], error: CdrctlError, verdict: str, numbers: Mapping[str, int]) -> None:
        message, said, hint = (text and self.clean(text) for text in (error.message, error.said, error.hint))
        about = {name: self.clean(text) for name, text in about.items()}
        if self.as_json:
            parts = {"level": "error", **about, "message": message, "exit_code": error.exit_code, **numbers}
            parts.update({name: text for name, text in (("said", said), ("next", hint)) if text})
            self._line(json.dumps(parts))
            return
        more = (said and f"the provider said: {said}", hint and f"next: {hint}")
        self._line("; ".join([f"cdrctl: {' '.join(about.values())}: {verdict}{message}", *filter(None, more)]))

    def bug(self, error: BaseException) -> None:
        """Report a bug in cdrctl; the traceback only with -vv, since it may show private data."""
        self.error(
            CdrctlError(
                f"this is a bug in cdrctl: {type(error).__name__}",
                hint="please report it with the command line and the output of -vv",
            )
        )
        if self.verbose > 1:
            for line in "".join(traceback.format_exception(error)).splitlines():
                said = self.clean(line)
                self._line(json.dumps({"level": "debug", "message": said}) if self.as_json else said)

    def stop_if_blocked(self) -> None:
        """Close stderr if writing to it would block, so that an interrupted program can end."""
        try:
            ready = self.process.stderr is None or select.select([], [self.process.stderr], [], 0)[1]
        except (OSError, ValueError):  # a stream in memory, or a system without select
            return
        if not ready:
            self.process.stderr = None

    def hold(self) -> None:
        """Hold messages for a terminal until `release`, while a pager has the screen."""
        with self._lock:
            self._held = [] if self.process.stderr_is_terminal else None

    def release(self) -> None:
        """Write the messages that were held."""
        with self._lock:
            held, self._held = self._held, None
        if held:
            self._write("".join(held), progress=False)

    def _may_overwrite(self) -> bool:
        if self.process.environ.get("TERM") == "dumb":  # it prints escape sequences
            return False
        return self.process.stderr_is_terminal and self.data_elsewhere and not self.quiet and not self.as_json

    def _progress(self, level: str, text: str) -> None:
        """Show progress and the current wait on one line; a long wait, which has an end time, comes first.

        One thread waits while another writes pages: neither message may hide the other.
        """
        if self.process.stderr is None or not self._may_overwrite():
            return
        with self._lock:
            if level == "wait":
                self._waiting = text
            else:
                self._done = text
            waiting = self._waiting if ", until " in self._waiting or not self._done else ""
            text = "; ".join(filter(None, (waiting, self._done)))
            self._write(f"\r\x1b[2K{self.clean(text)[: max(1, self.process.width - 1)]}", progress=True)

    def _line(self, text: str) -> None:
        self._write(text + "\n", progress=False)

    def _write(self, text: str, *, progress: bool) -> None:
        """Write a line, or a progress line that the next one overwrites; other threads may write too."""
        stream = self.process.stderr
        if stream is None:  # without the lock: a thread may hold it while its write blocks
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
            except (OSError, ValueError):  # stderr is closed: the exit code remains
                self.process.stderr = None
