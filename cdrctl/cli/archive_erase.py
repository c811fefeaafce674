"""`cdrctl archive erase`: erases every record with a number from an archive, and keeps the number out of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from cdrctl import windows
from cdrctl.cli.archive_calls import refresh_calls
from cdrctl.cli.archive_changes import DRY_RUN, INTO, YES, agreed, open_to_change, show_lines
from cdrctl.cli.calendar import write_text
from cdrctl.cli.commands import command
from cdrctl.cli.connecting import the_clock
from cdrctl.cli.options import option
from cdrctl.cli.output_options import standard_output
from cdrctl.cli.prompts import ask
from cdrctl.cli.run import Session
from cdrctl.errors import IncompleteError, LockedError, UsageError

if TYPE_CHECKING:
    from cdrctl.archive.erase import Found, Search
    from cdrctl.archive.erased import ErasedNumber
    from cdrctl.archive.ledger import KeptCall
    from cdrctl.archive.store import Archive

LONG = 7
"""The length from which a number is hidden in messages: a shorter one may be any number in them."""


@command(
    INTO,
    option(
        "--number",
        about="The number, preferably with its country code: +49 30 1234567; - asks for it. "
        "Default: the numbers that were erased before, for example after a backup was restored.",
        metavar="NUMBER",
    ),
    option("--until", about="Only calls that started before this time, also in later runs.", metavar="TIME"),
    DRY_RUN,
    YES,
    examples=(
        "cdrctl sync sandbox --into archive && cdrctl archive erase --into archive --number +49301234567 --yes",
        "cdrctl sync sandbox --into archive && cdrctl archive erase --into archive --number 030/1234567 --dry-run",
    ),
)
def erase(opened: Session, *, into: str, number: str | None, until: str | None, dry_run: bool, yes: bool) -> None:
    """Erase every record with a number from an archive, and keep the number out of it.

    Every spelling counts, in every column: two numbers are the same if one ends with all digits of the other, and they
    share at least seven digits; leading zeros do not count. A number of fewer than seven digits must be the whole
    calling or called number.

    The archive keeps a keyed digest of the number, so that later runs do not store records with it. A file in
    DIR/_cdrctl/runs lists what was erased, without the number. Each file that contains the number and was not
    rewritten, such as one that was moved aside, is a line on standard output.
    """
    from cdrctl.archive.erase import by_digests, by_digits, find
    from cdrctl.archive.numbers import number_of

    now = the_clock(opened).now()
    if number is not None:
        number = ask(opened, "number", secret=True) if number == "-" else number
        digits = number_of(number)
        opened.reporter.conceal([one for one in (number, digits) if len(digits) >= LONG])
    elif until is not None:
        raise UsageError("--until needs --number", hint="numbers that were erased before keep their limits")
    with open_to_change(into) as (archive, ledger):
        before = windows.instant(until, zone=archive.zone, now=now, option="--until") if until is not None else None
        searches: list[tuple[ErasedNumber | None, Search]] = (
            [*by_digests(archive)] if number is None else [(None, by_digits(digits, before))]
        )
        kept = ledger.kept()
        found = [find(archive, call, search) for _, search in searches for call in kept]
        total = sum(one.records for one in found)
        show_lines(opened, [_line(one) for one in found if one.days])
        if dry_run:
            opened.reporter.summary({"records": total, "erased": 0})
        elif agreed(opened, f"Permanently erase {total} records, and never store this number again?", yes=yes):
            given = None if number is None else (digits, before)
            try:
                found = _erase(archive, kept, searches, given, now)
            finally:
                refresh_calls(opened, archive)
            opened.reporter.summary({"records": total, "erased": sum(one.records for one in found)})
    _report_left(opened, found)


def _line(found: Found) -> str:
    return f"{found.kept.profile} {found.kept.call}: {found.records} records of {len(found.days)} days"


def _erase(
    archive: Archive,
    kept: Sequence[KeptCall],
    searches: Sequence[tuple[ErasedNumber | None, Search]],
    given: tuple[str, datetime | None] | None,
    now: datetime,
) -> list[Found]:
    """Erase the records of all calls, write the protocol, and return what was erased.

    Raises:
        LockedError: Another run writes one of the calls; the others are done.
    """
    from cdrctl.archive.erase import collecting, erase as erase_records, prepare, write_protocol

    found: list[Found] = []
    busy: list[LockedError] = []
    for known, search in searches:
        number = known or prepare(archive, *(given or ("", None)), now)
        own: list[Found] = []
        for call in kept:
            with collecting(busy):
                own.append(erase_records(archive, call, search, number, now))
        facts: dict[str, object] = {
            "number": number.whole,
            "records": sum(one.records for one in own),
            "erased": [
                {"profile": one.kept.profile, "call": one.kept.call, "day": day, "records": count}
                for one in own
                for day, count in one.days.items()
            ],
            "left": [one.path for each in own for one in each.left],
            "complete": not busy,
        }
        write_protocol(archive, "erase", now, facts)
        found += own
    if busy:
        raise busy[0]
    return found


def _report_left(opened: Session, found: Sequence[Found]) -> None:
    """Name the files that still have the number.

    Raises:
        IncompleteError: There are some.
    """
    left = {one.path: one.what for each in found for one in each.left}
    clean = opened.reporter.clean
    write_text(standard_output(opened, None), "".join(f"{clean(path)}\t{what}\n" for path, what in left.items()))
    if left:
        raise IncompleteError(
            f"{len(left)} files still contain the number",
            hint="follow the next step of each file, then run the command again",
        )
