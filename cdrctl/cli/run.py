"""One command from its words to its exit code: whatever goes wrong inside is said and counted here, once."""

from __future__ import annotations

import base64
import gc
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import unquote

import typer

from cdrctl.cli import signals
from cdrctl.cli.process import Process, Reporter
from cdrctl.cli.signals import INTERRUPTED
from cdrctl.errors import CdrctlError, OutputError, UsageError, did_you_mean
from cdrctl.threads import none_left, was_refused

if TYPE_CHECKING:
    from cdrctl.profiles.file import Profile

LOG_FORMAT = "CDRCTL_LOG_FORMAT"
"""The variable that says how messages are written where --log-format does not."""

LOG_FORMATS = ("text", "json")


@dataclass(frozen=True, slots=True)
class Session:
    """What a running command has: the process, the reporter, the configuration, and how long requests may wait.

    `max_wait` is the option's value, or None where the profile says.
    """

    process: Process
    reporter: Reporter
    config: Path
    max_wait: timedelta | None = None


@contextmanager
def session(
    ctx: typer.Context, *, quiet: bool, verbose: int, log_format: str | None, config: str | None
) -> Iterator[Session]:
    """Return what a command needs, as a context that ends the program with the contract's exit code.

    The same options before the command count too; those after it win.
    """
    if not gc.isenabled():  # the start is over: from here on garbage comes, and what was loaded need not be looked at
        gc.freeze()
        gc.enable()
    process, before = _handed_over(ctx)
    form = log_format or before.get("log_format") or process.environ.get(LOG_FORMAT) or "text"
    reporter = Reporter(
        process,
        quiet=quiet or before.get("quiet", False),
        verbose=verbose or before.get("verbose", 0),
        as_json=form == "json",
    )
    reporter.conceal(_proxy_secrets(process.environ))
    try:
        from cdrctl.profiles.file import config_path

        _check_format(form)
        yield Session(process, reporter, config_path(process.environ, config or before.get("config")))
    except CdrctlError as error:
        reporter.error(error)
        if isinstance(error, OutputError):
            stop_writing(
                sys.stdout
            )  # what could not be written would be tried again at the end, and change the exit code
        raise typer.Exit(error.exit_code) from None
    except BrokenPipeError:
        stop_writing(sys.stdout)
        raise typer.Exit(0) from None
    except (typer.Exit, SystemExit):
        raise
    except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001 - the one place where our own bugs are said
        if was_refused(error):
            reporter.error(none_left())
            raise typer.Exit(none_left().exit_code) from None
        if not _is_interruption(error):
            reporter.bug(error)
            raise typer.Exit(CdrctlError.exit_code) from None
        signals.notice()
        reporter.stop_if_blocked()
        reporter.log("warning", f"interrupted; {reporter.left_behind}")
        raise typer.Exit(INTERRUPTED) from None


def read_profiles(opened: Session) -> tuple[dict[str, Profile], list[str]]:
    """Return all profiles by name, and warnings. From now on no message shows a secret of any of them."""
    from cdrctl.profiles.settings import known_profiles

    return known_profiles(opened.config, opened.process.environ, opened.reporter.conceal)


def _is_interruption(error: BaseException | None) -> bool:
    """Return whether Ctrl-C is at the bottom of an error: Python itself makes others of it, as in a class's body."""
    while error is not None and not isinstance(error, KeyboardInterrupt | typer.Abort):
        error = error.__cause__ or error.__context__
    return error is not None


def _check_format(form: str) -> None:
    if form not in LOG_FORMATS:
        raise UsageError(
            f"--log-format is text or json, not {form!r}",
            hint=f"{did_you_mean(form, LOG_FORMATS)}where the option is not given, {LOG_FORMAT} is read",
        )


def _handed_over(ctx: typer.Context) -> tuple[Process, dict[str, Any]]:
    process, before = ctx.obj
    return process, before


def _proxy_secrets(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the passwords of the proxies that the environment names, as written, as meant and as sent."""
    for name, url in environ.items():
        if not name.lower().endswith("_proxy") or "@" not in url:
            continue
        user, _, password = url.rpartition("@")[0].rpartition("//")[2].partition(":")
        yield from (password, unquote(password))
        yield base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()


def stop_writing(stream: TextIO | None) -> None:
    """Give a stream a reader that never leaves, so that Python's own last flush neither fails nor says anything."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr]
