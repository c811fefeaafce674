"""The coverage of an archive, as text and as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdrctl import windows
from cdrctl.cli.connecting import the_clock
from cdrctl.cli.run import Session
from cdrctl.errors import OutputError
from cdrctl.fetchers import PROVIDERS, Call, load

if TYPE_CHECKING:
    from cdrctl.archive.calendar import DayCoverage
    from cdrctl.archive.ledger import KeptCall


SIGNS = {"complete": "#", "open": "o", "hole": "X", "beyond": "-"}
_COLORS = {"complete": "32", "open": "33", "hole": "31;1", "beyond": "35"}


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
        raise OutputError(f"cannot write standard output: {error.strerror}") from None


def about_coverage(kept: KeptCall) -> dict[str, str]:
    """Return the profile, provider and call that days belong to, as plain values."""
    return {"profile": kept.profile, "provider": kept.provider, "call": kept.call}


def plain_coverage(day: DayCoverage) -> dict[str, Any]:
    """Return a day as plain values."""
    missing = [{"since": windows.rfc3339(one.since), "until": windows.rfc3339(one.until)} for one in day.missing]
    plain = {"day": day.day, "state": day.state, "records": day.records, "missing": missing}
    return {**plain, "error": day.error} if day.error else plain


def covered(session: Session, folder: Path) -> Iterator[tuple[KeptCall, Iterator[DayCoverage]]]:
    """Yield each call of each profile in an archive, with its days."""
    from cdrctl.archive import calendar
    from cdrctl.archive.ledger import Ledger
    from cdrctl.archive.store import open_archive

    archive = open_archive(folder)
    book = Ledger(folder, read_only=True)
    now = the_clock(session).now()
    try:
        files = book.files()
        for kept in book.kept():
            call = _call_of(session, kept)
            if call is not None:
                known = book.readings(kept.profile, kept.call)
                yield kept, calendar.coverage(archive, call, kept, known, files, now)
    finally:
        book.close()


def _call_of(session: Session, kept: KeptCall) -> Call | None:
    if kept.provider in PROVIDERS:
        with suppress(StopIteration):
            return load(kept.provider).call(kept.call)
    session.reporter.log(
        "note", f"{kept.profile} {kept.call}: its provider is unknown; run cdrctl sync {kept.profile} once to record it"
    )
    return None


def calendar_text(found: Sequence[tuple[KeptCall, Sequence[DayCoverage]]], *, color: bool) -> str:
    """Return a calendar with a line for each month and a sign for each day."""
    lines: list[str] = []
    for kept, covered in found:
        states = {day.day: day.state for day in covered}
        records = sum(day.records for day in covered)
        lines.append(f"{kept.profile} {kept.call} ({kept.provider}): {records} records")
        lines.append("        " + "".join(str(day % 10) for day in range(1, 32)))
        for month in sorted({day[:7] for day in states}):
            signs = []
            for day in range(1, 32):
                state = states.get(f"{month}-{day:02}")
                sign = SIGNS[state] if state else " "
                signs.append(f"\x1b[{_COLORS[state]}m{sign}\x1b[0m" if state and color else sign)
            lines.append(f"{month} {''.join(signs)}".rstrip())
        counts = [f"{list(states.values()).count(state)} {state}" for state in SIGNS]  # type: ignore[arg-type]
        lines.append("        " + ", ".join(one for one in counts if not one.startswith("0 ")))
        lines.append("")
    if lines:
        lines.append("# complete  o still open  X hole")
        lines.append("- beyond what the provider keeps")
    else:
        lines.append("the archive keeps no calls yet")
    return "\n".join(lines) + "\n"
