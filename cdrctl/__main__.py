"""The console script and `python -m cdrctl`."""

from __future__ import annotations

import gc
import os
import sys

OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""Python's default of 700 suits programs that make cycles: a page of records has 5 000 objects and no cycles."""


def _say(text: str) -> None:
    """Print text before anything else is loaded."""
    try:
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # None is an AttributeError
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(0)  # closing the pipe early is not an error
    except (OSError, AttributeError):
        os._exit(8)  # stdout cannot be written, and Python would retry at exit


def _end_without_traceback() -> None:
    """Let Ctrl-C end the process at once until `signals.heed`: modules are loading, and there is nothing to clean up.

    A signal that is ignored stays ignored.
    """
    import _signal  # type: ignore[import-not-found]  # `signal` takes as long to load as all the rest of `cdrctl --version`

    if _signal.getsignal(_signal.SIGINT) is not _signal.default_int_handler:
        return
    try:  # noqa: SIM105 - contextlib takes as long to load as `signal`
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    except ValueError:  # not in the main thread, which gets the signal
        pass


def main() -> None:
    """Run the command line of this process and exit with its exit code."""
    _end_without_traceback()
    if sys.argv[1:] == ["--version"]:  # answered before anything is loaded
        from cdrctl import __version__

        _say(f"cdrctl {__version__}\n")
        return
    if os.environ.get("_CDRCTL_COMPLETE"):  # a shell waits for this at every word
        from cdrctl.cli.completion import answer

        answered = answer(os.environ)
        if answered is not None:
            _say(answered[0])
            sys.exit(answered[1])
    if not sys.argv[1:] and not os.environ.get("_CDRCTL_COMPLETE"):  # a shell asks without words too
        from cdrctl.cli.welcome import columns, screen

        _say(screen(columns()))
        return
    # pydantic would read the metadata of every installed package, and load plugins that see the settings of profiles.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # pyarrow's own allocator keeps what it frees: a file of calls took 20 MB more with it.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # Where trio is installed, httpx would load it, in the time that all the rest of the program takes to load.
    sys.modules.setdefault("trio", None)  # type: ignore[arg-type] # Python then raises ImportError, which httpx expects
    gc.disable()  # a collection of modules, which stay anyway, takes a tenth of the start-up time
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
    from cdrctl.cli import signals

    try:
        signals.heed()
        from cdrctl.cli.app import main as run  # signals are handled while it loads
        from cdrctl.cli.process import this_process

        code = run(sys.argv[1:], this_process())
    except BaseException as error:  # outside the code that cleans up, such as while modules load
        if not signals.caused(error):
            raise
        code = signals.INTERRUPTED
    signals.ignore()
    gc.freeze()  # skips the collection at exit
    if code == signals.INTERRUPTED:
        os._exit(code)  # does not wait for threads that wait for a response or a reader
    sys.exit(code)


if __name__ == "__main__":
    main()
