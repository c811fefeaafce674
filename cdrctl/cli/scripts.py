"""What `--install-completion` installs and `--show-completion` shows: our scripts, at the places that typer knows."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from cdrctl.cli.completion.files import KNOWN
from cdrctl.errors import ConfigurationError

Callback = Callable[[Any, Any, Any], Any]

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


def shown(usual: Callback, ctx: Any, option: Any, value: Any) -> Any:
    """Show the script for a shell, which typer finds out; ends the program as typer does."""
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            return usual(ctx, option, value)
    finally:
        print(ours(said.getvalue()), end="")


def installed(usual: Callback, ctx: Any, option: Any, value: Any) -> Any:
    """Have typer install its script, and put ours in its place; ends the program as typer does.

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
        return usual(ctx, option, value)
    finally:
        for place in INSTALLED.values() if value else ():
            path = home / place
            if path.is_file() and (theirs := path.read_text(encoding="utf-8")) != ours(theirs):
                path.write_text(ours(theirs), encoding="utf-8")
