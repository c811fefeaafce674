"""What `cdrctl doctor` shows of many profiles: one finding for each, with its worst check and the next step."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from cdrctl.cli.findings import WORST, Finding

MANY = 5
"""Profiles of which all checks are shown; of more, there is one finding for each."""

_SERIOUS = ("fail", "warn")


def summarized(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings that are of no profile as they come, and one for each profile, when it has been checked."""
    for (profile, _), group in itertools.groupby(findings, lambda one: (one.profile, one.provider)):
        if profile is None:
            yield from group
        else:
            yield summary([*group])


def summary(findings: Sequence[Finding]) -> Finding:
    """Return the worst of a profile's findings under the name of the profile, or that all checks are ok.

    Of several that failed it is the one whose exit code most needs a person, and of those the first.
    """
    problems = [one for one in findings if one.result in _SERIOUS]
    first = findings[0]
    if not problems:
        passed = sum(one.result == "ok" for one in findings)
        return replace(first, check=str(first.profile), result="ok", what=f"{passed} checks ok", next=None, code=0)
    worst = min(problems, key=_rank)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return replace(worst, check=str(worst.profile), what=f"{worst.check}: {worst.what}{more}")


def _rank(one: Finding) -> tuple[int, int]:
    known = one.code in WORST
    return _SERIOUS.index(one.result), WORST.index(one.code) if known else len(WORST)
