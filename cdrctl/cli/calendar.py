"""The coverage of an archive, as text and as plain values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cdrctl import windows
from cdrctl.errors import OutputError

if TYPE_CHECKING:
    from cdrctl.archive.calendar import DayCoverage
    from cdrctl.archive.ledger import KeptCall


SIGNS = {"complete": "#", "open": "o", "hole": "X", "beyond": "-", "missing": "?", "retired": "."}
_COLORS = {"complete": "32", "open": "33", "hole": "31;1", "beyond": "35", "missing": "31", "retired": "2"}


def write_text(out: Any, text: str) -> None:
    """Write text to standard output.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        out.write(text.encode())
        out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"cannot write standard output: {error.strerror}", hint="free disk space, or redirect the output elsewhere"
        ) from None


def about_coverage(kept: KeptCall) -> dict[str, str]:
    """Return the profile, provider and call that days belong to, as plain values."""
    return {"profile": kept.profile, "provider": kept.provider, "call": kept.call}


def plain_coverage(day: DayCoverage) -> dict[str, Any]:
    """Return a day as plain values."""
    from cdrctl.archive.options import options_in

    missing = [{"since": windows.rfc3339(one.since), "until": windows.rfc3339(one.until)} for one in day.missing]
    plain = {"day": day.day, "state": day.state, "records": day.records, "missing": missing}
    further = {"erased": day.erased, "error": day.error, "options": [*map(options_in, day.options)]}
    return {**plain, **{name: value for name, value in further.items() if value}}


def coverage_line(about: str, day: DayCoverage) -> str:
    """Return a day as one line of JSON.

    Args:
        about: The call that it belongs to, as a JSON object.
        day: The day; most have nothing but a state and a number, which an f-string writes in a fifth of the time.
    """
    if day.missing or day.erased or day.error or day.options:
        return f"{about[:-1]}, {json.dumps(plain_coverage(day))[1:]}"
    return f'{about[:-1]}, "day": "{day.day}", "state": "{day.state}", "records": {day.records}, "missing": []}}'


def calendar_text(kept: KeptCall, covered: Sequence[DayCoverage], *, color: bool) -> str:
    """Return the calendar of a call with a line for each month and a sign for each day."""
    states = {day.day: day.state for day in covered}
    records = sum(day.records for day in covered)
    lines = [f"{kept.profile} {kept.call} ({kept.provider}): {records} records"]
    lines.append("        " + "".join(str(day % 10) for day in range(1, 32)))
    for month in sorted({day[:7] for day in states}):
        signs = []
        for day in range(1, 32):
            state = states.get(f"{month}-{day:02}")
            sign = SIGNS[state] if state else " "
            signs.append(f"\x1b[{_COLORS[state]}m{sign}\x1b[0m" if state and color else sign)
        lines.append(f"{month} {''.join(signs)}".rstrip())
    counts = [f"{list(states.values()).count(state)} {state}" for state in SIGNS]  # type: ignore[arg-type]
    counts.append(f"{sum(day.outdated for day in covered)} to fetch again with the current options (cdrctl fill)")
    counts.append(f"{sum(day.erased for day in covered)} records erased")
    lines.append("        " + ", ".join(one for one in counts if not one.startswith("0 ")))
    return "\n".join([*lines, "", ""])


def calendar_key() -> str:
    """Return the meaning of the signs in a calendar."""
    return "# complete  o still open  X hole\n? deleted by hand  . retired\n- beyond what the provider keeps\n"


def json_list(objects: Iterable[Mapping[str, Any]]) -> str:
    """Return objects as a JSON list with one of them on each line."""
    lines = [f"\n{json.dumps(one)}" for one in objects]
    return f"[{','.join(lines)}\n]\n" if lines else "[]\n"
