"""The groups `archive-*`: how an archive grows with its days, its profiles and the records of a day, by format."""

from __future__ import annotations

from benchmarks.groups import WEBEX, WEBEX_PAGE, Goal, Group, Kept, Row, Server

FORMATS = ("parquet", "jsonl.gz", "jsonl", "csv.gz", "csv")
PROVIDERS = ("webex", "kazoo", "portsip", "callgear", "voicenter")
SYNC = "{cdrctl} sync bench --into {made} --since {day} -f"
AGAIN = "{cdrctl} sync bench --into {made} --lookback 5d"
NIGHT = "{cdrctl} sync --all --into {archive}"
READ = "{cdrctl} webex cdrs -p bench --from {made} --since {since} --until {until}"
START_UP = 0.5
"""Seconds of a command that has nothing to do."""

PEAK = Goal("peak ≤ 150 MB", 150, what="peak")
MERGED = 2_000
"""Records of a day that is merged, of each provider and in each format."""
JOB = 10_000
"""Records of a day of each profile, where several profiles are synced at once."""


def archive_groups(records: int, profiles: int, days: int) -> tuple[Group, ...]:
    """Return the groups of archives.

    Args:
        records: The number of records of a day.
        profiles: The number of profiles.
        days: The number of days.
    """
    return (
        _days(profiles, days),
        _store(profiles, days),
        _profiles(profiles, days),
        _jobs(profiles, min(records, JOB)),
        _records(records),
        _formats(_webex(records)),
        _merges(min(records, MERGED)),
        _source(_webex(records)),
        _sql(_webex(records)),
    )


def _webex(records: int) -> Server:
    return Server("webex", records, min(WEBEX_PAGE, max(1, records // 20)))


def _needs(form: str) -> tuple[str, ...]:
    return ("pyarrow",) if form == "parquet" else ()


def _days(profiles: int, days: int) -> Group:
    """Return the group that shows whether a night costs more when the archive is older."""
    first, last = (f"a night of {profiles} profiles, day {day}" for day in (1, days))
    return Group(
        "archive-days",
        f"Archive of {profiles} profiles, {days} days",
        Server("webex", 1, 1, profiles=profiles),
        (
            Row(first, NIGHT, kept=Kept(profiles, 1)),
            Row(last, NIGHT, kept=Kept(profiles, days), goals=(Goal("≤ 2 × day 1", 2, first),)),
            Row("only bookkeeping, day 1", "{cdrctl} fill --all --into {archive}", kept=Kept(profiles, 1)),
            Row(
                f"only bookkeeping, day {days}",
                "{cdrctl} fill --all --into {archive}",
                kept=Kept(profiles, days),
                goals=(
                    Goal("≤ 0.02 s for each profile", 0.02 * profiles + START_UP),
                    Goal("≤ 2 × day 1", 2, "only bookkeeping, day 1"),
                ),
            ),
        ),
        first,
    )


def _store(profiles: int, days: int) -> Group:
    """Return the group that compares a night in an object store with one on disk."""
    disk, first, last = "on disk, day {}", "in a store, day {}", "{cdrctl} sync --all --into {store}"
    disks = [Row(disk.format(day), NIGHT, kept=Kept(profiles, day)) for day in (1, days)]
    stores = [
        Row(
            first.format(day),
            last,
            kept=Kept(profiles, day),
            needs=("moto", "obstore"),
            goals=(
                Goal("≤ 1.5 × on disk", 1.5, disk.format(day)),
                *([Goal("≤ 1.2 × day 1", 1.2, first.format(1))] if day > 1 else []),
            ),
        )
        for day in (1, days)
    ]
    return Group(
        "archive-store",
        f"A night of {profiles} profiles in a folder and in a store",
        Server("webex", 1, 1, profiles=profiles),
        (*disks, *stores),
        disks[0].name,
    )


def _profiles(profiles: int, days: int) -> Group:
    """Return the group that shows what commands cost that read the ledgers of all profiles."""
    rows = []
    for many in sorted({max(1, profiles // 10), profiles}):
        for command, seconds in (("coverage", 5), ("archive status", 5), ("plan --all", 3)):
            goals = (
                Goal(f"≤ {seconds} s for 365,000 days", seconds * many * days / 365_000 + START_UP),
                Goal("peak ≤ 100 MB", 100, what="peak"),
            )
            rows.append(
                Row(
                    f"{command}, {many} profiles",
                    f"{{cdrctl}} {command} --into {{archive}}",
                    kept=Kept(many, days),
                    goals=goals,
                )
            )
    return Group(
        "archive-profiles",
        f"Archive of {days} days, by profiles",
        Server("webex", 1, 1, profiles=profiles),
        tuple(rows),
        "",
    )


def _jobs(profiles: int, records: int) -> Group:
    """Return the group that shows that memory follows `--jobs`, and not the number of profiles."""
    rows = []
    for form in ("parquet", "jsonl.gz"):
        for jobs in (2, 8):
            command = f"{{cdrctl}} sync --all --into {{made}} --since {{day}} -f {form} --jobs {jobs}"
            peak = Goal("peak ≤ 40 MB for each job, and 100", 40 * jobs + 100, what="peak")
            rows.append(Row(f"sync {form}, {jobs} jobs", command, needs=_needs(form), goals=(peak,)))
    return Group(
        "archive-jobs",
        f"Archive of {profiles} profiles, a first day of {records:,} records of each",
        Server("webex", records, min(WEBEX_PAGE, max(1, records // 20)), profiles=profiles),
        tuple(rows),
        rows[0].name,
        once=True,
    )


def _records(records: int) -> Group:
    """Return the group that shows that memory does not grow with the records of a day."""
    commands = {
        "sync, first": ("", f"{SYNC} jsonl.gz"),
        "convert": (f"{SYNC} jsonl.gz", "{cdrctl} archive convert {made} {out} -f csv.gz"),
        "pseudonymise": (f"{SYNC} jsonl.gz", "{cdrctl} archive pseudonymise {made} {out}"),
        "verify": (f"{SYNC} jsonl.gz", "{cdrctl} verify --into {made}"),
        "--from": (
            f"{SYNC} jsonl.gz",
            "{cdrctl} webex cdrs -p bench --from {made} --since {since} --until {until} -f csv",
        ),
    }
    rows = []
    small = max(1, records // 4)
    for name, (before, command) in commands.items():
        for count in (small, records):
            goals = (
                (PEAK,)
                if count == small
                else (PEAK, Goal("≤ 15 MB more than a quarter", 15, f"{name}, {small:,}", "peak", minus=True))
            )
            rows.append(Row(f"{name}, {count:,}", command, server=_webex(count), before=before, goals=goals))
    return Group("archive-records", "Archive, by records of a day", _webex(records), tuple(rows), "")


def _formats(server: Server) -> Group:
    """Return the group that compares the first and the second reading of a day in each format."""
    rows = []
    for form in FORMATS:
        first = f"sync {form}, first"
        again = (Goal("≤ 0.4 × the first", 0.4, first), PEAK)
        rows.append(Row(first, f"{SYNC} {form}", needs=_needs(form), goals=(PEAK,)))
        rows.append(Row(f"sync {form}, again", AGAIN, needs=_needs(form), before=f"{SYNC} {form}", goals=again))
    return Group(
        "archive-formats", f"Archive, a day of {server.count:,} records of Webex", server, tuple(rows), rows[0].name
    )


def _merges(records: int) -> Group:
    """Return the group that merges a day of each provider in each format: records that are new, changed and gone."""
    rows = [
        Row(
            f"{provider}, {form}",
            f"{{python}} -m benchmarks.merges {provider} {form} {records} {{made}}",
            says="merged",
            needs=_needs(form),
        )
        for provider in PROVIDERS
        for form in FORMATS
    ]
    return Group(
        "archive-merges",
        f"Archive, a day of {records:,} calls merged twice",
        Server("webex", 1, 1),
        tuple(rows),
        rows[0].name,
    )


def _source(server: Server) -> Group:
    """Return the group that compares an export from an archive with one from the provider."""
    provider = "from the provider"
    rows = [Row(provider, f"{WEBEX} -f csv", "csv")]
    for form in FORMATS:
        goals = (Goal("≤ 1 × the provider", 1, provider),)
        rows.append(
            Row(f"--from, {form}", f"{READ} -f csv", "csv", needs=_needs(form), before=f"{SYNC} {form}", goals=goals)
        )
    return Group(
        "archive-source", f"Export of {server.count:,} records of Webex from an archive", server, tuple(rows), provider
    )


def _sql(server: Server) -> Group:
    needs = ("duckdb", "pyarrow")
    query = "{{cdrctl}} sql --from {{made}} -f csv 'SELECT count(*) AS n, {} FROM {}'"
    rows = [
        Row(f"{view}, {form}", query.format(column, view), says=str(server.count), before=f"{SYNC} {form}", needs=needs)
        for form in ("parquet", "jsonl.gz")
        for view, column in (("webex_cdrs", "sum(duration)"), ("common", "count(DISTINCT outcome)"))
    ]
    return Group("archive-sql", f"SQL over {server.count:,} records of Webex", server, tuple(rows), rows[0].name)
