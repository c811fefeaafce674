"""`--install-completion` and `--show-completion`: our scripts, in the places where Typer installs its own."""

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
"""Where Typer installs its script, relative to the home directory."""


FOLDERS = (Path(KNOWN), Path(__file__).parents[2] / "completions")
"""Where our scripts are: a wheel has them in the package; in a checkout they are beside it."""


def ours(script: str) -> str:
    """Return our script for the shell of a script of Typer's; the same script if we have none."""
    for shell in INSTALLED:
        if f"_CDRCTL_COMPLETE=complete_{shell}" in script:
            folder = next(folder for folder in FOLDERS if (folder / f"cdrctl.{shell}").is_file())
            return (folder / f"cdrctl.{shell}").read_text(encoding="utf-8")
    return script


def show(top: Group, words: Sequence[str]) -> int:
    """Print the script for the current shell, which Typer detects, and return the exit code."""
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            return _by_typer(top, words)
    finally:
        print(ours(said.getvalue()), end="")


def install(top: Group, words: Sequence[str]) -> int:
    """Have Typer install its script, replace it with ours, and return the exit code.

    Raises:
        ConfigurationError: There is no home directory.
    """
    try:
        home = Path.home()
    except RuntimeError:  # no HOME, and the uid is not in the passwd file
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
    """Have Typer run one of its two options, and return the exit code."""
    from cdrctl.cli.typer_adapter import act_on_completion

    try:
        return act_on_completion(top, words)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
