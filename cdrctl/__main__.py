"""The console script and `python -m cdrctl`."""

from __future__ import annotations

import gc
import os
import sys

OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""Python's own 700 is for programs that make cycles: a page of records is 5 000 objects without any."""


def _say(text: str) -> None:
    """Print what was answered before anything was loaded."""
    try:
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # None is an AttributeError
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(0)  # its reader has gone, which is no error
    except (OSError, AttributeError):
        os._exit(8)  # it cannot be written, and Python would try again at its end


def main() -> None:
    """Run the command line of this process and end it with its exit code."""
    if sys.argv[1:] == ["--version"]:  # answered before anything is loaded
        from cdrctl import __version__

        _say(f"cdrctl {__version__}\n")
        return
    if os.environ.get("_CDRCTL_COMPLETE"):  # a shell asks while somebody types: he waits for it at every word
        from cdrctl.cli.completion import answer

        answered = answer(os.environ)
        if answered is not None:
            _say(answered[0])
            sys.exit(answered[1])
    if not sys.argv[1:] and not os.environ.get("_CDRCTL_COMPLETE"):  # a shell asks without words too
        from cdrctl.cli.welcome import columns, screen

        _say(screen(columns()))
        return
    # pydantic would read the metadata of every package there is, and load plugins that see the settings of profiles.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()  # what is loaded stays: to look for garbage among it takes a tenth of the start
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
    from cdrctl.cli import signals

    try:
        signals.heed()
        from cdrctl.cli.app import main as run  # signals are heeded while it loads
        from cdrctl.cli.process import this_process

        code = run(sys.argv[1:], this_process())
    except KeyboardInterrupt:  # before or after there was anything to clear up
        code = signals.INTERRUPTED
    signals.ignore()
    gc.freeze()  # Python would look through everything once more at its end
    if code == signals.INTERRUPTED:
        os._exit(code)  # threads that are still being answered, or that wait for a reader, are not waited for
    sys.exit(code)


if __name__ == "__main__":
    main()
