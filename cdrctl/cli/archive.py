"""`cdrctl sync`, `fill`, `verify` and `plan`: the commands for archives."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

from cdrctl.archive.places import place_of
from cdrctl.cli.archive_calls import marks_of_archived, refresh_calls
from cdrctl.cli.calendar import json_list, write_text
from cdrctl.cli.commands import command
from cdrctl.cli.connecting import SANDBOX, the_clock
from cdrctl.cli.options import MAX_WAIT, Argument, option
from cdrctl.cli.output_options import standard_output
from cdrctl.cli.profile_selection import ALL, EXCEPT, SHARD, TAG, group_selection
from cdrctl.cli.run import Session, read_profiles
from cdrctl.cli.run_reports import METRICS, PING, STATUS, Reports, reported
from cdrctl.errors import IncompleteError
from cdrctl.fetchers import PROVIDERS

if TYPE_CHECKING:
    from cdrctl.archive.difference import Difference
    from cdrctl.archive.ledger import FileEntry, KeptCall
    from cdrctl.archive.store import Archive

INTO = option(
    "--into", about="Folder of the archive, or its URL (s3://…).", metavar="DIR", panel="Archive", required=True
)
PROFILES = Argument("profile", "Profiles to use, or --all.", repeat=True)
CALLS = option(
    "--call",
    about="Call to archive; may be repeated. Default: the main call; of PortSIP also calllogs.",
    metavar="CALL",
    panel="Which records",
    repeat=True,
)
SINCE = option(
    "--since",
    about="Archive calls from this day on, also from before the archive began.",
    metavar="TIME",
    panel="Window",
)
LOOKBACK = option(
    "--lookback",
    about="Re-read calls that were fetched within DURATION of their start. Default: as the provider needs.",
    metavar="DURATION",
    panel="Archive",
)
SWEEP = option(
    "--sweep",
    about="Also re-read complete days, once, as far as DURATION before the lookback, such as 7d. Default: "
    "[sweep] in archive.toml.",
    metavar="DURATION",
    panel="Archive",
)
DIFFERENT = (
    "restore these files, or move them away and run cdrctl sync; or accept them as they are: cdrctl verify --rebuild"
)
AFTER_REBUILD = "the ledger is rebuilt; run cdrctl sync, which reads these days again as far as the provider keeps them"
SHRINK = option("--allow-shrink", about="Remove records that the provider no longer has.", kind="flag", panel="Archive")
WITH_CALLS = option(
    "--with-calls",
    about="Also store whole calls beside their legs, once no leg can join them any more; from then on, every run keeps "
    "them up to date. Default: [calls] in archive.toml.",
    kind="flag",
    panel="Archive",
)
JOBS = option(
    "--jobs",
    about="Profiles to sync in parallel. Default: 8.",
    metavar="N",
    panel="Archive",
    kind="integer",
    default=8,
    minimum=1,
)
DASK = option(
    "--dask",
    about="Let the workers of the Dask scheduler at ADDRESS sync the profiles, with their own configuration.",
    metavar="ADDRESS",
    panel="Archive",
)
ADOPT = option(
    "--adopt",
    about="Accept that a profile now points to another account, and add to its records.",
    kind="flag",
    panel="Archive",
)
ZONE = option(
    "--tz",
    about="Time zone of the archive's days; set when the archive is created. Default: UTC.",
    metavar="ZONE",
    panel="Archive",
)
FORM = option(
    "-f",
    "--format",
    name="form",
    about="parquet, jsonl, jsonl.gz, csv or csv.gz; set when the archive is created. Default: parquet if pyarrow is "
    "installed, else jsonl.gz.",
    metavar="FORMAT",
    panel="Archive",
)


@command(
    *(PROFILES, ALL, TAG, EXCEPT, SHARD, INTO, CALLS, SINCE, LOOKBACK, SWEEP, WITH_CALLS, JOBS, DASK, SHRINK, ADOPT),
    *(ZONE, FORM),
    *(STATUS, METRICS, PING, MAX_WAIT),
    examples=(
        "cdrctl sync sandbox --into archive",
        "cdrctl sync sandbox --into archive --since 3d --call cdrs -f csv.gz",
    ),
)
def sync(
    opened: Session,
    *,
    profile: list[str],
    all: bool,  # noqa: A002 - the option's name
    tag: list[str],
    excluded: list[str],
    shard: str | None,
    into: str,
    call: list[str],
    since: str | None,
    lookback: str | None,
    sweep: str | None,
    with_calls: bool,
    jobs: int,
    dask: str | None,
    allow_shrink: bool,
    adopt: bool,
    tz: str | None,
    form: str | None,
    status: str | None,
    metrics: str | None,
    ping: str | None,
) -> None:
    """Bring an archive up to date, for example every night from cron.

    It fetches what is missing and what may have changed, one day at a time, and replaces each day's file atomically.
    Running it twice changes nothing.
    """
    from cdrctl.cli.archive_run import Wanted, run_sync

    selection = group_selection(profile, tag, excluded, shard, every=all)
    with reported(opened, "sync", into, Reports(status, metrics, ping)) as run:
        window, new = (since, lookback, sweep), (tz, form)
        wanted = Wanted(into, call, *window, *new, allow_shrink, adopt, False, with_calls, jobs, dask)
        run_sync(opened, selection, wanted, run)


@command(
    *(PROFILES, ALL, TAG, EXCEPT, SHARD, INTO, CALLS, JOBS, DASK, SHRINK, ADOPT, STATUS, METRICS, PING, MAX_WAIT),
    examples=(
        "cdrctl sync sandbox --into archive && cdrctl fill sandbox --into archive",
        "cdrctl sync sandbox --into archive --since 3d && cdrctl fill sandbox --into archive --call cdrs",
    ),
)
def fill(
    opened: Session,
    *,
    profile: list[str],
    all: bool,  # noqa: A002 - the option's name
    tag: list[str],
    excluded: list[str],
    shard: str | None,
    into: str,
    call: list[str],
    jobs: int,
    dask: str | None,
    allow_shrink: bool,
    adopt: bool,
    status: str | None,
    metrics: str | None,
    ping: str | None,
) -> None:
    """Fetch only what is missing in an archive."""
    from cdrctl.archive.store import open_archive as archive_in
    from cdrctl.cli.archive_run import Wanted, run_sync

    selection = group_selection(profile, tag, excluded, shard, every=all)
    with reported(opened, "fill", into, Reports(status, metrics, ping)) as run:
        archive_in(place_of(into))
        wanted = Wanted(into, call, shrink=allow_shrink, adopt=adopt, only_holes=True, parallel=jobs, dask=dask)
        run_sync(opened, selection, wanted, run)


@command(
    INTO,
    option("--rebuild", about="Rebuild the ledger from the files.", kind="flag", panel="Archive"),
    examples=(
        "cdrctl sync sandbox --into archive && cdrctl verify --into archive",
        "cdrctl sync sandbox --into archive && cdrctl verify --into archive --rebuild",
    ),
)
def verify(opened: Session, *, into: str, rebuild: bool) -> None:
    """Check an archive's files against its ledger; exit code 3 if they differ.

    Each difference is a line on standard output: the file, a tab, and what is wrong with it.
    """
    from cdrctl.archive.ledger import lock
    from cdrctl.archive.store import FIRST_LAYOUT, open_archive

    started = time.monotonic()
    archive = open_archive(place_of(into))
    with lock(archive.folder, to_write=rebuild) if archive.layout == FIRST_LAYOUT else nullcontext():
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
            f"{len(differences)} files of the archive differ from its ledger",
            hint=AFTER_REBUILD if rebuild else DIFFERENT,
        )


def _compare(opened: Session, archive: Archive, *, rebuild: bool) -> tuple[list[FileEntry], list[Difference]]:
    """Return the files in an archive's ledger and the differences, after rebuilding the ledger if asked.

    A sync may be writing at the same time: only what differs from the ledger twice is a difference.
    """
    from cdrctl.archive.ledgers import open_ledger
    from cdrctl.archive.store import writing_archive
    from cdrctl.archive.verify import differences, rebuild_ledger

    found: list[Difference] = []
    if rebuild:
        profiles, _ = read_profiles(opened)
        providers = {name: one.provider for name, one in profiles.items()}
        providers |= {f"{SANDBOX}-{name}": name for name in PROVIDERS}
        opened.reporter.left_behind = "the ledger may be incomplete: run the command again"
        with writing_archive(archive.folder):
            found = rebuild_ledger(archive, providers, the_clock(opened).now())
        refresh_calls(opened, archive)
    seen: list[set[str]] = []
    for _ in range(2):
        with closing(open_ledger(archive, read_only=True)) as book:
            files, kept = book.files(), book.kept()
        if found and rebuild:
            break
        found = [*differences(archive, files), *_differing_calls(opened, archive, kept)]
        seen.append({one.path for one in found})
        if not found:
            break
    return files, [one for one in found if all(one.path in paths for paths in seen)]


def _differing_calls(opened: Session, archive: Archive, kept: Sequence[KeptCall]) -> Sequence[Difference]:
    """Return the files of calls that are out of date."""
    from cdrctl.archive.calls_store import differing_calls
    from cdrctl.archive.index import reading_archive
    from cdrctl.archive.store import FIRST_LAYOUT

    if archive.layout == FIRST_LAYOUT:
        return ()
    with reading_archive(archive.folder):
        return [*differing_calls(archive, kept, marks_of_archived(opened))]


@command(
    *(PROFILES, ALL, TAG, EXCEPT, SHARD),
    option("--into", about="Folder of the archive, or its URL, if it exists.", metavar="DIR", panel="Archive"),
    *(CALLS, SINCE, LOOKBACK, SWEEP, ZONE),
    examples=(
        "cdrctl plan sandbox --since 30d",
        "cdrctl plan sandbox --since 7d | jq 'map(.requests_at_least) | add'",
    ),
)
def plan(
    opened: Session,
    *,
    profile: list[str],
    all: bool,  # noqa: A002 - the option's name
    tag: list[str],
    excluded: list[str],
    shard: str | None,
    into: str | None,
    call: list[str],
    since: str | None,
    lookback: str | None,
    sweep: str | None,
    tz: str | None,
) -> None:
    """Show the windows, requests and time a sync would need, without contacting a provider.

    Requests and seconds are lower bounds: the number of pages is known only after fetching them.
    """
    from cdrctl.cli.archive_plan import describe_plan, make_plans, plain_plan

    selection = group_selection(profile, tag, excluded, shard, every=all)
    plans = make_plans(opened, selection, place_of(into) if into else None, call, since, lookback, sweep, tz)
    if opened.process.stdout_is_terminal:
        text = "".join(map(describe_plan, plans))
    else:
        text = json_list(map(plain_plan, plans))
    write_text(standard_output(opened, None), text)


COMMANDS = {one.name: one for one in (sync, fill, verify, plan)}
