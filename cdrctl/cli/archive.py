"""`cdrctl sync`, `fill`, `coverage`, `verify` and `plan`: the nightly archive from the words of a command."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cdrctl.cli.archive_run import run_sync
from cdrctl.cli.calendar import about_coverage, calendar_text, covered, plain_coverage, write_text
from cdrctl.cli.connecting import SANDBOX, the_clock
from cdrctl.cli.options import MAX_WAIT, in_session
from cdrctl.cli.output_options import colored, standard_output
from cdrctl.cli.profile_selection import Excluded, Selection, Tags
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import IncompleteError, UsageError, did_you_mean
from cdrctl.fetchers import PROVIDERS

if TYPE_CHECKING:
    from cdrctl.archive.ledger import FileEntry
    from cdrctl.archive.store import Archive
    from cdrctl.archive.verify import Difference

commands = typer.Typer(rich_markup_mode=None)
Into = Annotated[
    str,
    typer.Option("--into", help="The archive's folder.", metavar="DIR", show_default=False, rich_help_panel="Archive"),
]
Profiles = Annotated[
    list[str] | None, typer.Argument(help="Which profiles; else --all.", metavar="[PROFILE]...", show_default=False)
]
Every = Annotated[
    bool, typer.Option("--all", help="Every profile that is configured.", show_default=False, rich_help_panel="Profile")
]
Calls = Annotated[
    list[str] | None,
    typer.Option(
        "--call",
        help="Which call; may be repeated. Default: the main one.",
        metavar="CALL",
        show_default=False,
        rich_help_panel="Which records",
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        help="Keep the calls from this day on: backfills.",
        metavar="TIME",
        show_default=False,
        rich_help_panel="Window",
    ),
]
Lookback = Annotated[
    str | None,
    typer.Option(
        "--lookback",
        help="Read again what was read so soon after a call. Default: what its provider needs.",
        metavar="DURATION",
        show_default=False,
        rich_help_panel="Archive",
    ),
]
Shrink = Annotated[
    bool,
    typer.Option(
        "--allow-shrink",
        help="Let records go that the provider no longer has.",
        show_default=False,
        rich_help_panel="Archive",
    ),
]
Adopt = Annotated[
    bool,
    typer.Option(
        "--adopt",
        help="Add to the records of a profile that pointed to another account before.",
        show_default=False,
        rich_help_panel="Archive",
    ),
]
Zone = Annotated[
    str | None,
    typer.Option(
        "--tz",
        help="Zone of the archive's days; chosen once. Default: UTC.",
        metavar="ZONE",
        show_default=False,
        rich_help_panel="Archive",
    ),
]
Form = Annotated[
    str | None,
    typer.Option(
        "-f",
        "--format",
        help="jsonl, jsonl.gz, csv or csv.gz; chosen once. Default: jsonl.",
        metavar="FORMAT",
        show_default=False,
        rich_help_panel="Archive",
    ),
]
MaxWait = Annotated[str | None, MAX_WAIT[1]]


@commands.command(
    epilog="cdrctl sync sandbox --into archive\ncdrctl sync sandbox --into archive --since 3d --call cdrs -f csv.gz"
)
@in_session
def sync(
    opened: Session,
    profile: Profiles = None,
    *,
    every: Every = False,
    tag: Tags = None,
    excluded: Excluded = None,
    into: Into,
    call: Calls = None,
    since: Since = None,
    lookback: Lookback = None,
    allow_shrink: Shrink = False,
    adopt: Adopt = False,
    tz: Zone = None,
    form: Form = None,
    max_wait: MaxWait = None,  # noqa: ARG001 - the session has it
) -> None:
    """Bring an archive up to date; made to run every night from cron.

    Reads what is missing and what may have changed since it was read, a day at a time, and writes each day's file
    whole. Running it twice changes nothing.
    """
    run_sync(
        opened,
        Selection(profile or (), every, tag or (), excluded or (), "PROFILE"),
        into,
        call,
        since,
        lookback,
        tz,
        form,
        shrink=allow_shrink,
        adopt=adopt,
        only_holes=False,
    )


@commands.command(
    epilog="cdrctl sync sandbox --into archive && cdrctl fill sandbox --into archive\n"
    "cdrctl sync sandbox --into archive --since 3d && cdrctl fill sandbox --into archive --call cdrs"
)
@in_session
def fill(
    opened: Session,
    profile: Profiles = None,
    *,
    every: Every = False,
    tag: Tags = None,
    excluded: Excluded = None,
    into: Into,
    call: Calls = None,
    allow_shrink: Shrink = False,
    adopt: Adopt = False,
    max_wait: MaxWait = None,  # noqa: ARG001 - the session has it
) -> None:
    """Fetch only what is missing in an archive."""
    from cdrctl.archive.store import open_archive as archive_in

    archive_in(Path(into))
    selection = Selection(profile or (), every, tag or (), excluded or (), "PROFILE")
    run_sync(opened, selection, into, call, None, None, None, None, shrink=allow_shrink, adopt=adopt, only_holes=True)


@commands.command(
    epilog="cdrctl sync sandbox --into archive && cdrctl coverage --into archive\n"
    "cdrctl sync sandbox --into archive && cdrctl coverage --into archive | jq -r '.[] | .day + \" \" + .state'"
)
@in_session
def coverage(
    opened: Session,
    profile: Profiles = None,
    *,
    into: Into,
) -> None:
    """Show which days an archive covers: a calendar on a terminal, JSON in a pipe.

    A day is complete, still open (not over, or read so soon that records may still come), a hole, or a hole beyond
    what the provider keeps.
    """
    found = [(kept, list(days)) for kept, days in covered(opened, Path(into)) if not profile or kept.profile in profile]
    for name in profile or ():
        if name not in {kept.profile for kept, _ in found}:
            there = [kept.profile for kept, _ in found]
            raise UsageError(
                f"the archive has no profile {name!r}",
                hint=f"{did_you_mean(name, there)}cdrctl coverage --into DIR shows all",
            )
    out = standard_output(opened, None)
    if opened.process.stdout_is_terminal:
        text = calendar_text(found, color=colored(opened))
    else:
        text = _json_list({**about_coverage(kept), **plain_coverage(day)} for kept, days in found for day in days)
    write_text(out, text)


@commands.command(
    epilog="cdrctl sync sandbox --into archive && cdrctl verify --into archive\n"
    "cdrctl sync sandbox --into archive && cdrctl verify --into archive --rebuild"
)
@in_session
def verify(
    opened: Session,
    *,
    into: Into,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild", help="Make the ledger again from the files.", show_default=False, rich_help_panel="Archive"
        ),
    ] = False,
) -> None:
    """Check an archive's files against its ledger; exit code 3 if they differ.

    Each difference is a line on standard output: the file, a tab, what is wrong with it.
    """
    from cdrctl.archive.ledger import lock
    from cdrctl.archive.store import open_archive

    started = time.monotonic()
    archive = open_archive(Path(into))
    with lock(archive.folder, to_write=rebuild):
        files, differences = _compare(opened, archive, rebuild=rebuild)
    clean = opened.reporter.clean
    write_text(standard_output(opened, None), "".join(f"{clean(one.path)}\t{one.what}\n" for one in differences))
    opened.reporter.summary(
        {
            "files": len(files),
            "records": sum(one.records for one in files),
            "differences": len(differences),
            "seconds": round(time.monotonic() - started, 1),
        }
    )
    if differences:
        raise IncompleteError(
            f"{len(differences)} files of the archive are not as they were written",
            hint="restore them, or move them away and run cdrctl sync; cdrctl verify --rebuild takes them as they are",
        )


def _compare(opened: Session, archive: Archive, *, rebuild: bool) -> tuple[list[FileEntry], list[Difference]]:
    """Return the files of an archive as its ledger has them, and how they differ; rebuild the ledger first if asked."""
    from cdrctl.archive.ledger import Ledger
    from cdrctl.archive.store import writing_archive
    from cdrctl.archive.verify import differences, rebuild_ledger

    found: list[Difference] = []
    if rebuild:
        profiles, _ = read_profiles(opened)
        providers = {name: one.provider for name, one in profiles.items()}
        providers |= {f"{SANDBOX}-{name}": name for name in PROVIDERS}
        with writing_archive(archive.folder):
            found = rebuild_ledger(archive, providers, the_clock(opened).now())
    with closing(Ledger(archive.folder, read_only=True)) as book:
        files = book.files()
        return files, found or list(differences(archive, files))


@commands.command(
    epilog="cdrctl plan sandbox --since 30d\ncdrctl plan sandbox --since 7d | jq 'map(.requests_at_least) | add'"
)
@in_session
def plan(
    opened: Session,
    profile: Profiles = None,
    *,
    every: Every = False,
    tag: Tags = None,
    excluded: Excluded = None,
    into: Annotated[
        str | None,
        typer.Option(
            "--into",
            help="The archive's folder, if there is one.",
            metavar="DIR",
            show_default=False,
            rich_help_panel="Archive",
        ),
    ] = None,
    call: Calls = None,
    since: Since = None,
    lookback: Lookback = None,
    tz: Zone = None,
) -> None:
    """Show the windows, requests and time a sync would need, without contacting a provider.

    Requests and seconds are the least it can take: how many pages there are is known only when they have been read.
    """
    from cdrctl.cli.archive_plan import describe_plan, make_plans, plain_plan

    selection = Selection(profile or (), every, tag or (), excluded or (), "PROFILE")
    plans = make_plans(opened, selection, Path(into) if into else None, call, since, lookback, tz)
    if opened.process.stdout_is_terminal:
        text = "".join(map(describe_plan, plans))
    else:
        text = _json_list(map(plain_plan, plans))
    write_text(standard_output(opened, None), text)


def _json_list(objects: Iterable[Mapping[str, Any]]) -> str:
    """Return objects as a JSON list with one of them on each line."""
    lines = [f"\n{json.dumps(one)}" for one in objects]
    return f"[{','.join(lines)}\n]\n" if lines else "[]\n"
