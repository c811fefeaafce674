"""One command from its words to its exit code: whatever goes wrong inside is said and counted here, once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import typer

from cdrctl.cli.world import Voice, World
from cdrctl.errors import CdrctlError, OutputError, UsageError

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Session:
    """What a running command has: the process, the voice, and where the configuration is."""

    world: World
    voice: Voice
    config: Path


class TerminatedError(KeyboardInterrupt):
    """The process was told to end."""


@contextmanager
def session(ctx: typer.Context, *, quiet: bool, verbose: int, log_format: str, config: str | None) -> Iterator[Session]:
    """Return what a command needs, as a context that ends the program with the contract's exit code.

    The same options before the command count too; those after it win.
    """
    world, before = _handed_over(ctx)
    voice = Voice(
        world,
        quiet=quiet or before.get("quiet", False),
        verbose=verbose or before.get("verbose", 0),
        as_json=(log_format if log_format != "text" else before.get("log_format", "text")) == "json",
    )
    try:
        from cdrctl.profiles import config_path  # noqa: PLC0415 - not needed for --help

        _check_format({log_format, before.get("log_format", "text")})
        with _termination():
            yield Session(world, voice, config_path(world.environ, config or before.get("config")))
    except CdrctlError as error:
        voice.error(error)
        if isinstance(error, OutputError):
            stop_writing(
                sys.stdout
            )  # what could not be written would be tried again at the end, and change the exit code
        raise typer.Exit(error.exit_code) from None
    except BrokenPipeError:
        stop_writing(sys.stdout)
        raise typer.Exit(0) from None
    except (KeyboardInterrupt, typer.Abort):
        voice.tell("warning", f"interrupted; {voice.stays}")
        raise typer.Exit(INTERRUPTED) from None
    except (typer.Exit, SystemExit):
        raise
    except Exception as error:  # noqa: BLE001 - the one place where our own bugs are said
        voice.bug(error)
        raise typer.Exit(CdrctlError.exit_code) from None


def _check_format(names: set[str]) -> None:
    for name in names - {"text", "json"}:
        raise UsageError(f"--log-format is text or json, not {name!r}")


def _handed_over(ctx: typer.Context) -> tuple[World, dict[str, Any]]:
    world, before = ctx.obj
    return world, before


@contextmanager
def _termination() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the program as Ctrl-C does, so that no half file stays."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise TerminatedError

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = [signal.signal(number, end) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def stop_writing(stream: TextIO | None) -> None:
    """Give a stream a reader that never leaves, so that Python's own last flush neither fails nor says anything."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr]
