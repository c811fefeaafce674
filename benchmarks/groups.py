"""What is measured beside what, and what it should come to: all of it data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

WEBEX_PAGE = 5_000
"""Records of a page of Webex's largest size: 13.5 MB."""

PORTSIP_PAGE = 100
LATENCY = 20
"""Milliseconds that the slow server takes to answer."""

THOUSAND_PAGES = 100_000
WAITING = "nothing but waiting"
SCRIPT = "the script (httpx, orjson)"


@dataclass(frozen=True, slots=True)
class Server:
    """Which pages are served, and how slowly."""

    provider: str
    count: int
    size: int
    latency: int = 0


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row should come to.

    Args:
        text: In words.
        limit: The number in it.
        of: The row whose value this row's is divided by; without one the value itself counts.
        what: Which value: `cpu`, `wall`, `first` or `peak`.
        least: The quotient is turned round, how many times as fast this row is, and must not be less.
        minus: The other row's value is taken away and not divided by.
    """

    text: str
    limit: float
    of: str = ""
    what: str = "cpu"
    least: bool = False
    minus: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One program that is run.

    Args:
        name: What it is called in the table.
        command: Its words. `{cdrctl}`, `{python}`, `{peers}` and so on are put in by `__main__`; `{out}` or `{folder}`
            stand in it where it writes there and not to standard output.
        form: What it writes, `csv` or `jsonl`, so that its records can be counted and their ids compared.
        files: Which files of `{folder}` have the records.
        needs: Programs and Python packages without which it is left out, and options that cdrctl must have.
        says: What must be in its output, where that is not records.
        first: Whether the moment of its first byte is measured.
        discard: Its output goes to /dev/null, and cdrctl's own closing line is believed.
        server: Another server than its group's.
        environ: Further environment.
        goals: What it should come to.
    """

    name: str
    command: str
    form: str = ""
    files: str = ""
    needs: tuple[str, ...] = ()
    says: str = ""
    first: bool = False
    discard: bool = False
    server: Server | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    goals: tuple[Goal, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are run in turn and compared.

    Args:
        key: Its name for `--only`.
        title: Its name in the table.
        server: What the rows ask.
        rows: The programs.
        base: The row that the others are held against.
        often: How many times as often as the others it is run, because it is short. Its first round does not count:
            Python may still have to compile what it loads.
        once: It is run once, because it is long.
    """

    key: str
    title: str
    server: Server
    rows: tuple[Row, ...]
    base: str
    often: int = 1
    once: bool = False


WEBEX = "{cdrctl} webex cdrs -p bench --since {since} --until {until}"
PORTSIP = "{cdrctl} portsip cdrs -p bench --since {since} --until {until}"
WINDOW = "{base} webex {since} {until}"

QUIET_DLT = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
}


def groups(records: int) -> tuple[Group, ...]:
    """Return all groups for so many records."""
    webex = Server("webex", records, min(WEBEX_PAGE, max(1, records // 20)))
    portsip = Server("portsip", records, PORTSIP_PAGE)
    slow = Server("portsip", min(records, THOUSAND_PAGES), PORTSIP_PAGE, LATENCY)
    return (
        _webex_csv(webex),
        _webex_jsonl(webex),
        _portsip_csv(portsip),
        _latency(slow),
        _start_up(),
        _archive(webex),
        _memory(records),
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
            Row("curl \\| jq", f"bash {{peers}}/curl.sh {WINDOW} csv", "csv", needs=("bash", "curl", "jq")),
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
            Row("curl \\| jq -c", f"bash {{peers}}/curl.sh {WINDOW} jsonl", "jsonl", needs=("bash", "curl", "jq")),
        ),
        SCRIPT,
    )


def _portsip_csv(server: Server) -> Group:
    return Group(
        "portsip-csv",
        f"PortSIP, {server.count:,} items in pages of {server.size} → CSV",
        server,
        (
            Row(SCRIPT, "{python} {peers}/script.py {base} portsip csv", "csv", needs=("httpx", "orjson")),
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
                "{cdrctl} sync bench --into {folder} --since {day}",
                "jsonl",
                files="**/cdrs.jsonl",
                goals=(Goal("≥ 0.5 × the rate of plain CSV", 0.5, "cdrctl, plain CSV", "wall", least=True),),
            ),
        ),
        "cdrctl, plain CSV",
    )


MEMORY_SIZES = (10_000, 100_000, 1_000_000)
MOST = {"webex": 100, "portsip": 55}
"""MB that may be held at most, by the size of pages."""


def _memory(records: int) -> Group:
    sizes = [size for size in MEMORY_SIZES if records >= MEMORY_SIZES[0]] or [max(1, records // 10)]
    if records not in sizes and (records > sizes[-1] or records < MEMORY_SIZES[0]):
        sizes.append(records)
    rows = []
    for provider, command, page in (("webex", WEBEX, WEBEX_PAGE), ("portsip", PORTSIP, PORTSIP_PAGE)):
        title = {"webex": "Webex", "portsip": "PortSIP"}[provider]
        names = [f"cdrctl, {title}, {size:,} records" for size in sizes]
        for name, size in zip(names, sizes, strict=True):
            goals = [Goal(f"peak ≤ {MOST[provider]} MB", MOST[provider], what="peak")]
            if name != names[0]:
                goals.append(Goal(f"≤ 10 MB more than of {sizes[0]:,}", 10, names[0], "peak", minus=True))
            server = Server(provider, size, page)
            rows.append(Row(name, f"{command} -f csv", discard=True, server=server, goals=tuple(goals)))
    return Group(
        "memory", "Growth (CSV to /dev/null)", rows[0].server or Server("webex", 1, 1), tuple(rows), "", once=True
    )
