"""`cdrctl doctor` for many profiles: one finding for each, with its worst check and the next step."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from cdrctl.cli.findings import MOST_URGENT, Finding

MANY = 5
"""The largest number of profiles of which all checks are shown; of more, each has one finding."""

_SERIOUS = ("fail", "warn")


def summarize(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings about the machine as they come, and one for each profile when its checks are finished."""
    for (profile, _), group in itertools.groupby(findings, lambda one: (one.profile, one.provider)):
        if profile is None:
            yield from group
        else:
            yield summary([*group])


def summary(findings: Sequence[Finding]) -> Finding:
    """Return the worst of a profile's findings under the profile's name, or the number of checks if all are ok.

    Of several failures, it is the first of those whose exit code most needs a person.
    """
    problems = [one for one in findings if one.result in _SERIOUS]
    first = findings[0]
    if not problems:
        passed = sum(one.result == "ok" for one in findings)
        return replace(first, check=str(first.profile), result="ok", what=f"{passed} checks ok", next=None, exit_code=0)
    worst = min(problems, key=_rank)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return replace(worst, check=str(worst.profile), what=f"{worst.check}: {worst.what}{more}")


def _rank(one: Finding) -> tuple[int, int]:
    known = one.exit_code in MOST_URGENT
    return _SERIOUS.index(one.result), MOST_URGENT.index(one.exit_code) if known else len(MOST_URGENT)
