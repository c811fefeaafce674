"""A command in a session: errors are reported here, once, and become the exit code."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from cdrctl.cli import signals
from cdrctl.cli.process import Process
from cdrctl.cli.reporter import Reporter
from cdrctl.cli.signals import INTERRUPTED
from cdrctl.errors import CdrctlError, OutputError, UsageError, did_you_mean
from cdrctl.masking import proxy_secrets
from cdrctl.threads import none_left, was_refused

if TYPE_CHECKING:
    from cdrctl.http import Outages
    from cdrctl.profiles.file import Profile

LOG_FORMAT = "CDRCTL_LOG_FORMAT"
"""The variable for the format of messages, without --log-format."""

LOG_FORMATS = ("text", "json")


@dataclass(frozen=True, slots=True)
class Session:
    """What a running command has.

    Args:
        process: The process it runs in.
        reporter: Writes its messages.
        config: The path of the configuration file.
        max_wait: The value of --max-wait; None for the profile's.
        typed: The names of the parameters that are on the command line.
        outages: The hosts that did not answer a profile of this run.
    """

    process: Process
    reporter: Reporter
    config: Path
    max_wait: timedelta | None = None
    typed: frozenset[str] = frozenset()
    outages: Outages = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Invocation:
    """A command line that has been read.

    Args:
        process: The process it runs in.
        values: The values of the command's parameters, by name.
        before: The values of the options before the command, by name.
        variables: The environment variables that gave some of the values.
        typed: The names of the values that are from the command line.
    """

    process: Process
    values: Mapping[str, Any]
    before: Mapping[str, Any] = field(default_factory=dict)
    variables: tuple[str, ...] = ()
    typed: frozenset[str] = frozenset()


class Exit(Exception):  # noqa: N818 - it is no error
    """Ends a command with an exit code, without a message."""

    def __init__(self, code: int = 0) -> None:
        super().__init__(code)
        self.code = code


def in_session(invocation: Invocation, body: Callable[[Session], int | None]) -> int:
    """Run a command in a session and return the exit code of the contract, whatever goes wrong in it.

    The options about messages count before the command and after it; after it they win.
    """
    if not gc.isenabled():  # start-up is over: modules stay, so only what comes now needs collecting
        gc.freeze()
        gc.enable()
    process, values, before = invocation.process, invocation.values, invocation.before
    form = values["log_format"] or before.get("log_format") or process.environ.get(LOG_FORMAT) or "text"
    reporter = Reporter(
        process,
        quiet=values["quiet"] or before.get("quiet", False),
        verbose=values["verbose"] or before.get("verbose", 0),
        as_json=form == "json",
    )
    reporter.conceal(proxy_secrets(process.environ))
    try:
        from cdrctl.profiles.file import config_path

        _check_format(form)
        config = config_path(process.environ, values["config"] or before.get("config"))
        return body(Session(process, reporter, config, _duration(values.get("max_wait")), invocation.typed)) or 0
    except UsageError as error:
        if invocation.variables:  # what is refused may be an option that nobody typed
            named = f"options from the environment: {', '.join(invocation.variables)}"
            error.hint = f"{error.hint}; {named}" if error.hint else named
        return _code_of(error, reporter)
    except (CdrctlError, BrokenPipeError, Exit) as end:
        return _code_of(end, reporter)
    except SystemExit:
        raise
    except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001 - the one place that reports bugs of cdrctl
        if was_refused(error):
            return _code_of(none_left(), reporter)
        if not signals.caused(error):
            reporter.bug(error)
            return CdrctlError.exit_code
        signals.notice()
        reporter.stop_if_blocked()
        reporter.log("warning", f"interrupted; {reporter.left_behind}")
        return INTERRUPTED
    finally:
        if "cdrctl.archive.mirror" in sys.modules:
            from cdrctl.archive.places import close_mirrors

            close_mirrors()


def _code_of(end: CdrctlError | BrokenPipeError | Exit, reporter: Reporter) -> int:
    """Return the exit code of a command that ended early, and say why if it is an error."""
    if isinstance(end, Exit):
        return end.code
    if isinstance(end, CdrctlError):
        reporter.error(end)
    if not isinstance(end, CdrctlError) or isinstance(end, OutputError):
        stop_writing(sys.stdout)  # the end of the process would try to write again, and change the exit code
    return end.exit_code if isinstance(end, CdrctlError) else 0


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of a command that ends with an error, an interruption or an `Exit`."""
    if isinstance(error, Exit):
        return error.code
    if isinstance(error, CdrctlError):
        return error.exit_code
    if was_refused(error):
        return none_left().exit_code
    return INTERRUPTED if signals.caused(error) else CdrctlError.exit_code


def _duration(max_wait: str | None) -> timedelta | None:
    """Return the value of --max-wait; None if it was not given."""
    if max_wait is None:
        return None
    from cdrctl import windows

    return windows.duration(max_wait, "--max-wait")


def read_profiles(opened: Session) -> tuple[dict[str, Profile], list[str]]:
    """Return all profiles by name, and warnings. Messages mask the secrets of all of them from now on."""
    from cdrctl.profiles.settings import known_profiles

    return known_profiles(opened.config, opened.process.environ, opened.reporter.conceal)


def _check_format(form: str) -> None:
    if form not in LOG_FORMATS:
        raise UsageError(
            f"--log-format is text or json, not {form!r}",
            hint=f"{did_you_mean(form, LOG_FORMATS)}without the option, {LOG_FORMAT} is read",
        )


def stop_writing(stream: TextIO | None) -> None:
    """Redirect a stream to the null device, so that Python's last flush cannot fail."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr]
