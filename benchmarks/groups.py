"""The programs to compare, and the goals of cdrctl, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

WEBEX_PAGE = 5_000
"""Records of a page of Webex's largest size: 13.5 MB."""

PORTSIP_PAGE = 100
LATENCY = 20
"""Milliseconds before the slow server responds."""

PROFILES, DAYS = 20, 365
"""The size of the archives whose growth is measured."""

THOUSAND_PAGES = 100_000
WAITING = "nothing but waiting"
SCRIPT = "the script (httpx, orjson)"
NEEDED = ("httpx", "orjson")


@dataclass(frozen=True, slots=True)
class Server:
    """The pages that the server sends, its latency in milliseconds, and how many profiles are configured for it.

    With 0 profiles there are `bench`, and `limited`, which has the provider's rate limit; else they are called p0000,
    p0001 and so on.
    """

    provider: str
    count: int
    size: int
    latency: int = 0
    profiles: int = 0
    call: str = "cdrs"


@dataclass(frozen=True, slots=True)
class Kept:
    """An archive that is there before a row runs: how many profiles it has, and how many days of each."""

    profiles: int
    days: int


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal of a row.

    Args:
        text: The goal in words.
        limit: The limit.
        of: The row by whose value this row's value is divided, or several, whose CPU times are added and of whose
            other values the largest counts; if empty, the value itself counts.
        what: The value: `cpu`, `wall`, `first` or `peak`.
        least: The quotient is inverted (how many times as fast this row is), and must be at least the limit.
        minus: The other row's value is subtracted, not divided by.
        each: The result is divided by this number, such as the number of requests.
    """

    text: str
    limit: float
    of: str | tuple[str, ...] = ""
    what: str = "cpu"
    least: bool = False
    minus: bool = False
    each: float = 1

    @property
    def others(self) -> tuple[str, ...]:
        """The rows that this one is compared with."""
        return (self.of,) if isinstance(self.of, str) else self.of


@dataclass(frozen=True, slots=True)
class Row:
    """A program to run.

    Args:
        name: Its name in the table.
        command: Its command line. `__main__` replaces `{cdrctl}`, `{python}`, `{peers}` and so on; `{out}` or
            `{folder}` is in it if it writes there and not to standard output.
        form: Its output format, `csv` or `jsonl`, if its records are to be counted and compared.
        files: Which files of `{folder}` have the records.
        needs: Programs and Python packages without which it is skipped, and options that cdrctl must have.
        says: Text that its output must contain, if the output is not records.
        first: Whether the time of its first byte is measured.
        discard: Its output goes to /dev/null, and the number of records is taken from its closing line.
        counted: The number of records is taken from its closing line, and nothing is compared.
        terminal: Its output goes to a terminal.
        server: Another server than the group's.
        environ: Additional environment variables; words in braces are replaced as in the command.
        goals: Its goals.
        before: A command line that is run before each measurement and not measured; it may write into `{made}`.
        kept: The archive that replaces `{archive}`; runs keep it.
        prepared: Files of the folder `{kept}`, each with the command that makes it once; runs keep them.
    """

    name: str
    command: str
    form: str = ""
    files: str = ""
    needs: tuple[str, ...] = ()
    says: str = ""
    first: bool = False
    discard: bool = False
    counted: bool = False
    terminal: bool = False
    server: Server | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    goals: tuple[Goal, ...] = ()
    before: str = ""
    kept: Kept | None = None
    prepared: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are run in turn and compared.

    Args:
        key: Its name for `--only`.
        title: Its name in the table.
        server: The server of the rows.
        rows: The programs.
        base: The row with which the others are compared.
        often: How many times as often as the others it is run, because it is short. Its first round does not count,
            because Python may have to compile modules.
        once: It is run once, because it is long.
        slow: It is run only if it is asked for.
        others: Further servers, each with a profile that is called after its provider.
    """

    key: str
    title: str
    server: Server
    rows: tuple[Row, ...]
    base: str
    often: int = 1
    once: bool = False
    slow: bool = False
    others: tuple[Server, ...] = ()


WEBEX = "{cdrctl} webex cdrs -p bench --since {since} --until {until}"
PORTSIP = "{cdrctl} portsip cdrs -p bench --since {since} --until {until}"
CURL = "{base} webex {since} {until}"
WINDOW = "{base} webex.cdrs {since} {until}"

QUIET_DLT = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
}


def groups(records: int, profiles: int = PROFILES, days: int = DAYS) -> tuple[Group, ...]:
    """Return all groups.

    Args:
        records: The number of records of an export, and of a day of an archive.
        profiles: The number of profiles of an archive.
        days: The number of days of an archive.
    """
    from benchmarks import export_groups
    from benchmarks.archive_groups import archive_groups
    from benchmarks.call_groups import call_groups
    from benchmarks.provider_groups import provider_groups

    webex = Server("webex", records, min(WEBEX_PAGE, max(1, records // 20)))
    portsip = Server("portsip", records, PORTSIP_PAGE)
    slow = Server("portsip", min(records, THOUSAND_PAGES), PORTSIP_PAGE, LATENCY)
    return (
        _webex_csv(webex),
        _webex_jsonl(webex),
        _portsip_csv(portsip),
        *provider_groups(records),
        _latency(slow),
        _start_up(),
        _archive(webex),
        *archive_groups(records, profiles, days),
        *export_groups.format_groups(records),
        *export_groups.selection_groups(records),
        export_groups.together_group(records),
        *call_groups(records),
        export_groups.growth_group(records),
    )


def _webex_csv(server: Server) -> Group:
    return Group(
        "webex-csv",
        f"Webex, {server.count:,} records → CSV",
        server,
        (
            Row(SCRIPT, f"{{python}} {{peers}}/script.py {WINDOW} csv", "csv", needs=("httpx", "orjson")),
            Row(
                "cdrctl, native",
                f"{WEBEX} -f csv",
                "csv",
                goals=(
                    Goal("≤ 0.6 × the script", 0.6, SCRIPT),
                    Goal("≥ 5 × as fast as wxc_sdk", 5, "wxc_sdk", least=True),
                    Goal("≥ 6 × as fast as curl \\| jq", 6, "curl \\| jq", least=True),
                    Goal("≥ 7 × as fast as dlt", 7, "dlt", least=True),
                ),
            ),
            Row(
                "wxc_sdk",
                "{python} {peers}/with_wxc_sdk.py {base} {since} {until} csv",
                "csv",
                needs=("wxc-sdk",),
            ),
            Row("curl \\| jq", f"bash {{peers}}/curl.sh {CURL} csv", "csv", needs=("bash", "curl", "jq")),
            Row(
                "dlt",
                "{python} {peers}/with_dlt.py {base} {since} {until} {folder}",
                "csv",
                files="loaded/cdrs/*.csv",
                needs=("dlt",),
                environ=QUIET_DLT,
            ),
            Row(
                "polars, from a local file",
                "{python} {peers}/with_polars.py {local} {out}",
                "csv",
                needs=("polars", "httpx", "orjson"),
            ),
            Row(
                "DuckDB, from a local file",
                "{python} {peers}/with_duckdb.py {local} {out}",
                "csv",
                needs=("duckdb", "httpx", "orjson"),
            ),
        ),
        SCRIPT,
    )


def _webex_jsonl(server: Server) -> Group:
    return Group(
        "webex-jsonl",
        f"Webex, {server.count:,} records → JSON lines",
        server,
        (
            Row(SCRIPT, f"{{python}} {{peers}}/script.py {WINDOW} jsonl", "jsonl", needs=("httpx", "orjson")),
            Row(
                "cdrctl, native",
                f"{WEBEX} -f jsonl",
                "jsonl",
                goals=(Goal("≤ 0.9 × the script", 0.9, SCRIPT),),
            ),
            Row(
                "cdrctl, raw",
                f"{WEBEX} -f jsonl --schema raw",
                "jsonl",
                goals=(Goal("≤ 0.6 × the script", 0.6, SCRIPT),),
            ),
            Row(
                "wxc_sdk",
                "{python} {peers}/with_wxc_sdk.py {base} {since} {until} jsonl",
                "jsonl",
                needs=("wxc-sdk",),
            ),
            Row("curl \\| jq -c", f"bash {{peers}}/curl.sh {CURL} jsonl", "jsonl", needs=("bash", "curl", "jq")),
        ),
        SCRIPT,
    )


def _portsip_csv(server: Server) -> Group:
    return Group(
        "portsip-csv",
        f"PortSIP, {server.count:,} items in pages of {server.size} → CSV",
        server,
        (
            Row(
                SCRIPT,
                "{python} {peers}/script.py {base} portsip.cdrs {since} {until} csv",
                "csv",
                needs=("httpx", "orjson"),
            ),
            Row(
                "cdrctl, native",
                f"{PORTSIP} -f csv",
                "csv",
                goals=(Goal("≤ 0.7 × the script", 0.7, SCRIPT),),
            ),
            Row("curl \\| jq", "bash {peers}/curl.sh {base} portsip {count} csv", "csv", needs=("bash", "curl", "jq")),
        ),
        SCRIPT,
    )


def _latency(server: Server) -> Group:
    pages = -(-server.count // server.size)
    return Group(
        "latency",
        f"{pages:,} requests of {server.latency} ms each",
        server,
        (
            Row(
                "cdrctl",
                f"{PORTSIP} -f csv",
                "csv",
                goals=(Goal("wall ≤ 1.1 × the waiting", 1.1, WAITING, "wall"),),
            ),
            Row(
                "cdrctl --jobs 4",
                f"{PORTSIP} -f csv --jobs 4",
                "csv",
                needs=("--jobs",),
                goals=(Goal("wall near 0.25 × the waiting", 0.3, WAITING, "wall"),),
            ),
        ),
        WAITING,
    )


def _start_up() -> Group:
    return Group(
        "start-up",
        "Start-up",
        Server("webex", 1, 1),
        (
            Row("python -c pass", "{python} -c pass"),
            Row("an empty Typer program --help", "{python} {peers}/empty_typer.py --help", says="Do nothing."),
            Row(
                "cdrctl --version",
                "{cdrctl} --version",
                says="cdrctl",
                goals=(Goal("≤ 25/12 × python -c pass", 25 / 12, "python -c pass", "wall"),),
            ),
            Row(
                "cdrctl --help",
                "{cdrctl} --help",
                says="Usage",
                goals=(Goal("≤ 1 × the empty Typer program", 1, "an empty Typer program --help", "wall"),),
            ),
            Row(
                "completion of `cdrctl webex `",
                "{cdrctl}",
                says="stream",
                environ={"_CDRCTL_COMPLETE": "complete_bash", "COMP_WORDS": "cdrctl webex ", "COMP_CWORD": "2"},
                goals=(Goal("≤ 0.5 × the empty Typer program", 0.5, "an empty Typer program --help", "wall"),),
            ),
            Row(
                "import typer, httpx; Client(), one request",
                "{python} {peers}/first_record.py {base}/cdr_feed?startTime={since}&endTime={until}",
                says="Report ID",
                first=True,
                needs=("httpx", "typer"),
            ),
            Row(
                "cdrctl, one record to a terminal",
                WEBEX,
                terminal=True,
                goals=(
                    Goal("first byte ≤ 1.1 × typer, httpx", 1.1, "import typer, httpx; Client(), one request", "first"),
                ),
            ),
            Row(
                "cdrctl, one record to stdout",
                f"{WEBEX} -f jsonl",
                "jsonl",
                first=True,
                goals=(
                    Goal(
                        "first byte ≤ 1.15 × typer, httpx", 1.15, "import typer, httpx; Client(), one request", "first"
                    ),
                ),
            ),
        ),
        "python -c pass",
        often=5,
    )


def _archive(server: Server) -> Group:
    return Group(
        "archive",
        f"Archive, {server.count:,} records of Webex",
        server,
        (
            Row("cdrctl, plain CSV", f"{WEBEX} -f csv", "csv"),
            Row(
                "cdrctl sync",
                "{cdrctl} sync bench --into {folder} --since {day} -f jsonl",
                "jsonl",
                files="**/cdrs.jsonl",
                goals=(Goal("≥ 0.5 × the rate of plain CSV", 0.5, "cdrctl, plain CSV", "wall", least=True),),
            ),
        ),
        "cdrctl, plain CSV",
    )
