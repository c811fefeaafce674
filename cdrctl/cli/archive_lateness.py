"""`cdrctl coverage --lateness`: how long after the start of their call records were first seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cdrctl.archive.lateness import MORE, NAMES, Distribution, distribution
from cdrctl.archive.settings import FIRST_LAYOUT
from cdrctl.cli.calendar import about_coverage, json_list, write_text
from cdrctl.cli.output_options import standard_output
from cdrctl.cli.run import Session
from cdrctl.errors import UsageError
from cdrctl.http.retry import span

if TYPE_CHECKING:
    from cdrctl.archive.completeness import Bounds
    from cdrctl.archive.status import ArchivedCall
    from cdrctl.archive.store import Archive

SHARES = {"99.9 %": 0.999, "all": 1.0}
"""The shares of the records for which a lookback is suggested."""


def show_lateness(opened: Session, archive: Archive, bounds: Bounds, found: Iterator[ArchivedCall]) -> None:
    """Write the distribution of each call: a table on a terminal, JSON in a pipe.

    Raises:
        UsageError: The archive has the first layout, whose ledger does not have it.
    """
    if archive.layout == FIRST_LAYOUT:
        raise UsageError(
            "an archive of the first layout does not record how late records came",
            hint="copy it into the current layout: cdrctl archive convert OLD NEW",
        )
    out = standard_output(opened, None)
    parts = ((one, _distribution(archive, bounds, one)) for one in found)
    if opened.process.stdout_is_terminal:
        text = "".join(_table(one, shown) for one, shown in parts)
        write_text(out, text or "the archive contains no calls yet\n")
    else:
        write_text(out, json_list(_plain(one, shown) for one, shown in parts))


def _distribution(archive: Archive, bounds: Bounds, one: ArchivedCall) -> Distribution:
    """Return the distribution of the days of a call that have a part within the bounds."""
    shown = {day.day for day in bounds.shown(one.days, archive.zone)}
    late = {day: lateness for day, lateness in one.lateness.items() if day in shown}
    return distribution(late, {day: file.records for day, file in one.all_files().items()})


def _plain(one: ArchivedCall, shown: Distribution) -> dict[str, Any]:
    """Return a distribution as plain values."""
    seconds = None if one.call is None else round(one.call.timing.lookback.total_seconds())
    return {
        **about_coverage(one.kept),
        "days_read_again": shown.days,
        "days_swept": shown.swept,
        "records": shown.records,
        "late": shown.total.late,
        "late_by_age": {name: shown.total.seen.get(name, 0) for name in NAMES},
        "lookback_seconds": seconds,
        "beyond_lookback": shown.total.beyond if shown.swept or shown.total.beyond else None,
        "beyond_lookback_days": dict(shown.beyond),
        "lookback_for_99_9_percent": shown.lookback_for(SHARES["99.9 %"]),
        "lookback_for_all": shown.lookback_for(SHARES["all"]),
    }


def _table(one: ArchivedCall, shown: Distribution) -> str:
    """Return a distribution as lines of text."""
    total, kept = shown.total, one.kept
    lookback = "" if one.call is None else f", lookback {span(one.call.timing.lookback)}"
    lines = [f"{kept.profile} {kept.call} ({kept.provider}{lookback})"]
    if not shown.days:
        return f"{lines[0]}\n  no day has been read again yet, so how late records come is unknown\n\n"
    again = f"{shown.days} days read again, {shown.swept} of them swept"
    lines.append(f"  {again}: {total.late} of {shown.records} records came late")
    if total.late:
        heads = [f"< {name[:-1]} {name[-1]}" if name != MORE else MORE for name in NAMES]
        cells = [str(total.seen.get(name, 0)) for name in NAMES]
        widths = [max(len(head), len(cell)) for head, cell in zip(heads, cells, strict=True)]
        rows = ([cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in (heads, cells))
        lines += ["  " + "  ".join(row) for row in rows]
    if shown.swept or total.beyond:
        days = f": {', '.join(f'{day} ({count})' for day, count in shown.beyond.items())}" if shown.beyond else ""
        lines.append(f"  later than the lookback: {total.beyond}{days}")
    else:
        lines.append("  later than the lookback: not known, cdrctl sync --sweep 7d looks for such records")
    lines += [_advice(name, shown.lookback_for(share)) for name, share in SHARES.items() if total.late]
    return "\n".join([*lines, "", ""])


def _advice(name: str, lookback: str | None) -> str:
    if lookback is None:
        return f"  for {name}: any lookback would have been enough"
    if lookback == MORE:
        return f"  for {name}: no lookback of up to 30 days would have been enough; sweep regularly"
    return f"  for {name}: --lookback {lookback} would have been enough"
