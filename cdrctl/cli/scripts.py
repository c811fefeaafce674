"""What `--install-completion` installs and `--show-completion` shows: our scripts, at the places that typer knows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from cdrctl.cli.commands import Group
from cdrctl.cli.completion.files import KNOWN
from cdrctl.errors import ConfigurationError

INSTALLED = {
    "bash": Path(".bash_completions", "cdrctl.sh"),
    "zsh": Path(".zfunc", "_cdrctl"),
    "fish": Path(".config", "fish", "completions", "cdrctl.fish"),
}
"""Where typer puts its script, within the home."""


FOLDERS = (Path(KNOWN), Path(__file__).parents[2] / "completions")
"""Where our scripts are: a wheel has them in the package; in a checkout they are beside it."""


def ours(script: str) -> str:
    """Return our script for the shell that one of typer's is for; the same where we have none."""
    for shell in INSTALLED:
        if f"_CDRCTL_COMPLETE=complete_{shell}" in script:
            folder = next(folder for folder in FOLDERS if (folder / f"cdrctl.{shell}").is_file())
            return (folder / f"cdrctl.{shell}").read_text(encoding="utf-8")
    return script


def show(top: Group, words: Sequence[str]) -> int:
    """Show the script for a shell, which Typer finds out, and return the exit code."""
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            return _by_typer(top, words)
    finally:
        print(ours(said.getvalue()), end="")


def install(top: Group, words: Sequence[str]) -> int:
    """Have Typer install its script, put ours in its place, and return the exit code.

    Raises:
        ConfigurationError: There is no home directory.
    """
    try:
        home = Path.home()
    except RuntimeError:  # no HOME, and a uid that is in no passwd file
        raise ConfigurationError(
            "there is no home directory to install completion in", hint="set HOME, or use --show-completion"
        ) from None
    try:
        return _by_typer(top, words)
    finally:
        for place in INSTALLED.values():
            path = home / place
            if path.is_file() and (theirs := path.read_text(encoding="utf-8")) != ours(theirs):
                path.write_text(ours(theirs), encoding="utf-8")


def _by_typer(top: Group, words: Sequence[str]) -> int:
    """Have Typer act on an option about completion and return the exit code."""
    from cdrctl.cli.typer_adapter import act_on_completion

    try:
        return act_on_completion(top, words)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
