"""The groups of providers: every call of each, native, common and raw, with and without a rate limit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.groups import NEEDED, SCRIPT, WEBEX_PAGE, Goal, Group, Row, Server

JUMPING = {"PYTHONPATH": "benchmarks/jumping", "HOME": "{made}", "XDG_STATE_HOME": "{made}", "XDG_CACHE_HOME": "{made}"}
"""The environment of a run with a rate limit: a clock that jumps, and a home without earlier reservations."""

SMALL = 100
"""Records of a page that is as small with few records: the scripts count on it."""

PAGES = {"webex": 20, "callgear": 10, "voicenter": 10}
"""How many pages an export has at least, where pages are large."""

MANY = 500
"""Requests from which the cost of the rate limiter can be told from noise."""

WINDOW = "--since {since} --until {until}"


@dataclass(frozen=True, slots=True)
class Export:
    """A call of a provider, and how it is exported.

    Args:
        provider: The provider.
        call: The call.
        size: Records of a page.
        options: Further options of cdrctl.
        share: The part of the requested number of records that is exported.
        csv: The goal of CSV, as a part of the script's CPU time.
        jsonl: The goals of JSON Lines, native and raw.
        words: How the script is told the call.
        few: It writes a few records of those that it reads, so that their number is not compared.
        window: Options that select the period.
    """

    provider: str
    call: str
    size: int
    options: str = ""
    share: float = 1
    csv: float = 0.9
    jsonl: tuple[float, float] | None = None
    words: str = ""
    few: bool = False
    window: str = WINDOW

    @property
    def key(self) -> str:
        """The name of the group."""
        return f"{self.provider}-{self.call}"

    def command(self, profile: str = "bench") -> str:
        """Return the command line of cdrctl without format and schema."""
        chosen = "" if self.call == "notifications" else f"-p {profile} "
        return f"{{cdrctl}} {self.provider} {self.call} {chosen}{self.window} {self.options}".strip()

    def script(self, form: str) -> str:
        """Return the command line of the script."""
        base = "{pushed}" if self.call == "notifications" else "{base}"
        call = self.words or f"{self.provider}.{self.call}"
        return f"{{python}} {{peers}}/script.py {base} {call} {{since}} {{until}} {form}"

    def server(self, records: int) -> Server:
        """Return the server for a number of records."""
        count = max(1, int(records * self.share))
        size = self.size if self.size <= SMALL else min(self.size, max(1, count // PAGES[self.provider]))
        return Server(self.provider, count, size, call=self.call)


EXPORTS = (
    Export("webex", "cdrs", WEBEX_PAGE, csv=0.55, jsonl=(0.8, 0.5)),
    Export("webex", "stream", WEBEX_PAGE, csv=0.55),
    Export("webex", "legs", WEBEX_PAGE, "{id}", words="webex.legs:{id}", few=True),
    Export("kazoo", "cdrs", 50, "--longest-call 1h", csv=0.8, jsonl=(0.8, 0.5)),
    Export("kazoo", "interactions", 50, "--longest-call 1h"),
    Export("kazoo", "legs", 50, "1-a", window="", share=0.01),
    Export("callgear", "legs", 10_000, words="callgear.legs:{size}", csv=0.7, jsonl=(0.8, 0.5)),
    Export("callgear", "calls", 10_000, words="callgear.calls:{size}"),
    Export("callgear", "costs", 10_000, words="callgear.costs:{size}"),
    Export("portsip", "cdrs", 100, csv=0.8, jsonl=(0.8, 0.5)),
    Export("portsip", "calllogs", 100),
    Export(
        "voicenter",
        "cdrs",
        500,
        "--longest-window {minutes}m",
        share=0.1,
        csv=0.7,
        jsonl=(0.8, 0.5),
        words="voicenter.cdrs:{minutes}",
    ),
    Export("voicenter", "notifications", 500, "{pushed}", share=0.1, window=""),
)
"""Every call that exports records; a response of Voicenter holds 10,000, so that fewer are exported."""


def provider_groups(records: int) -> Iterator[Group]:
    """Yield a group for each call of each provider."""
    for export in EXPORTS:
        yield _group(export, export.server(records))


def _group(export: Export, server: Server) -> Group:
    pages = -(-server.count // server.size)
    title = f"{export.provider} {export.call}, {server.count:,} records in pages of {server.size:,}"
    rows = [*_csv(export, pages), *_json(export)]
    if export.few:
        rows = [replace(row, form="") for row in rows if row.name in {SCRIPT, "cdrctl"}]
    return Group(export.key, title, server, tuple(rows), SCRIPT)


def _csv(export: Export, pages: int) -> Iterator[Row]:
    def goal(of: str) -> Goal:
        return Goal(f"≤ {export.csv:g} × the script", export.csv, of)

    native = f"{export.command()} -f csv"
    yield Row(SCRIPT, export.script("csv"), "csv", needs=NEEDED)
    yield Row("cdrctl", native, "csv", goals=(goal(SCRIPT),))
    if export.call != "notifications":
        few = pages < MANY  # the difference of two runs is noise
        yield Row(
            "cdrctl, rate limit",
            f"{export.command('limited')} -f csv",
            "csv",
            environ=JUMPING,
            goals=() if few else (Goal("≤ 0.2 ms per request", 0.2, "cdrctl", minus=True, each=pages / 1000),),
        )
    if export.call != "costs":  # they are no calls
        yield Row(
            "cdrctl, common",
            f"{export.command()} -f csv --schema common",
            counted=True,
            goals=(Goal("≤ 1.3 × native", 1.3, "cdrctl"),),
        )


def _json(export: Export) -> Iterator[Row]:
    native, raw = export.jsonl or (0.0, 0.0)

    def goals(limit: float) -> tuple[Goal, ...]:
        return (Goal(f"≤ {limit:g} × the script", limit, f"{SCRIPT}, JSON Lines"),) if limit else ()

    yield Row(f"{SCRIPT}, JSON Lines", export.script("jsonl"), "jsonl", needs=NEEDED)
    yield Row("cdrctl, JSON Lines", f"{export.command()} -f jsonl", "jsonl", goals=goals(native))
    yield Row("cdrctl, raw", f"{export.command()} -f jsonl --schema raw", "jsonl", goals=goals(raw))
