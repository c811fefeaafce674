"""Messages and exit code of a run over several profiles in which some fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cdrctl.cli.reporter import Reporter
from cdrctl.errors import CdrctlError, IncompleteError, most_urgent

NAMED = 10
"""The most profiles or gaps that one message names."""


class ProfilesFailedError(CdrctlError):
    """Some profiles failed; its exit code is the one that most needs a person."""

    def __init__(self, message: str, *, exit_code: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


def show(
    reporter: Reporter,
    failed: Sequence[tuple[str, BaseException]],
    total: int,
    records: Mapping[str, int] | None = None,
) -> None:
    """Report each failed profile in one line, with its cause and next step, even with -q.

    With a single profile, its error is the error of the run, so it is not reported here.

    Args:
        reporter: Writes the lines.
        failed: The title and the error of each profile that failed.
        total: How many profiles were read.
        records: How many records of each profile, by title, had come before it failed: they are in the output.
    """
    for title, error in failed if total > 1 else ():
        came = (records or {}).get(title, 0)
        if isinstance(error, CdrctlError):
            reporter.failure(title, error, came)
        else:
            bug = CdrctlError(f"this is a bug in cdrctl: {type(error).__name__}", hint="please report it")
            reporter.failure(title, bug, came)


def failure(failed: Sequence[tuple[str, BaseException]], total: int, *, gaps: bool = False) -> BaseException:
    """Return the error of a run in which profiles failed.

    Args:
        failed: The title and the error of each profile that failed; at least one.
        total: How many profiles were read.
        gaps: Whether parts are missing from the records of other profiles.
    """
    for _, error in failed:
        if not isinstance(error, CdrctlError):
            return error
    errors = [error for _, error in failed if isinstance(error, CdrctlError)]
    if total == 1:
        return errors[0]
    code = most_urgent([*(error.exit_code for error in errors), *([IncompleteError.exit_code] if gaps else [])])
    names = [title for title, _ in failed]
    return ProfilesFailedError(
        f"{len(failed)} of {total} profiles failed: {some(names)}",
        exit_code=code,
        hint="follow the next step of each; cdrctl profile check NAME checks one profile",
    )


def some(names: Sequence[str], between: str = ", ") -> str:
    """Return the first names of a list as text, and how many more there are."""
    more = len(names) - NAMED
    return between.join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
