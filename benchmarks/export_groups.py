"""The groups of formats, of several profiles at once, of conditions and orders, and of growth."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.groups import NEEDED, SCRIPT, Goal, Group, Row, Server
from benchmarks.provider_groups import EXPORTS, Export

LIBRARIES = {
    "parquet": ("pyarrow",),
    "sqlite": (),
    "xlsx": ("xlsxwriter",),
    "duckdb": ("duckdb", "pyarrow"),
    "table": (),
}
"""The libraries of the formats that are compared with a script."""

TEXTS = ("csv", "tsv", "jsonl", "json")
CDRS = {export.provider: export for export in EXPORTS if export.call == "cdrs" or export.key == "callgear-legs"}
"""A call of each provider that lists all records."""


def format_groups(records: int) -> Iterator[Group]:
    """Yield the groups of formats: of PortSIP, whose records have few fields, and a tenth as many of Webex."""
    yield _formats("portsip", records)
    yield _formats("webex", records // 10)


def _formats(provider: str, records: int) -> Group:
    export = CDRS[provider]
    server = export.server(records)
    written = f"{export.command()} -o {{out}} -f "
    rows = [Row(f"cdrctl, {form}", written + form, counted=True) for form in TEXTS]
    for form, needs in LIBRARIES.items():
        script = f"{SCRIPT}, {form}"
        command = export.script(form).replace("script.py", "writers.py")
        rows.append(Row(script, f"{command} {{out}}", needs=(*NEEDED, *needs), environ={"PYTHONPATH": "."}))
        rows.append(
            Row(
                f"cdrctl, {form}",
                written + form,
                counted=True,
                needs=needs,
                goals=(Goal("≤ 1.3 × the library", 1.3, script),),
            )
        )
    title = f"Formats, {server.count:,} records of {provider}"
    return Group(f"{provider}-formats", title, server, tuple(rows), "cdrctl, csv")


def selection_groups(records: int) -> Iterator[Group]:
    """Yield the groups of `--where`, and of `--sort` with ten times as many records."""
    for provider, condition in (("webex", "duration>60"), ("portsip", "duration>60")):
        export = CDRS[provider]
        rows = (
            Row("cdrctl", f"{export.command()} -f csv"),
            Row(
                "cdrctl --where",
                f"{export.command()} -f csv --where {condition}",
                goals=(Goal("≤ 1.1 × without", 1.1, "cdrctl"),),
            ),
        )
        server = export.server(records)
        yield Group(f"{provider}-where", f"Condition, {server.count:,} records of {provider}", server, rows, "cdrctl")
    export = CDRS["portsip"]
    server = export.server(10 * records)
    rows = (
        Row("cdrctl", f"{export.command()} -f csv", counted=True),
        Row(
            "cdrctl --sort",
            f"{export.command()} -f csv --sort -duration",
            counted=True,
            goals=(
                Goal("≤ 1.6 × without", 1.6, "cdrctl"),
                Goal("≤ 10 MB more", 10, "cdrctl", "peak", minus=True),
            ),
        ),
    )
    yield Group("sort", f"Order, {server.count:,} records of portsip", server, rows, "cdrctl", once=True)


def together_group(records: int) -> Group:
    """Return the group of five profiles at once and one after the other."""
    servers = tuple(CDRS[provider].server(records // 5) for provider in CDRS)
    command = "{cdrctl} export " + WINDOW_AND_FORM
    rows = [Row(f"{server.provider} alone", f"{command} -p {server.provider}") for server in servers]
    alone = tuple(row.name for row in rows)
    together = Row(
        "export --all",
        f"{command} --all",
        goals=(
            Goal("CPU ≤ 1.05 × one by one", 1.05, alone),
            Goal("wall ≤ 1.2 × the slowest alone", 1.2, alone, "wall"),
        ),
    )
    return Group("together", "Five profiles at once", servers[0], (*rows, together), "", others=servers[1:])


WINDOW_AND_FORM = "--since {since} --until {until} -f csv"


def growth_group(records: int) -> Group:
    """Return the group of growth: ten thousand, a hundred thousand and a million records of each provider."""
    rows = [row for export in CDRS.values() for row in _growth(export, growth_sizes(records))]
    first = rows[0].server or Server("webex", 1, 1)
    return Group("memory", "Growth (CSV to /dev/null)", first, tuple(rows), "", once=True, slow=True)


SIZES = (10_000, 100_000, 1_000_000)


def growth_sizes(records: int) -> list[int]:
    """Return the numbers of records whose memory is compared."""
    if records < SIZES[0]:
        return [max(1, records // 10), records]
    return [*SIZES, *([records] if records > SIZES[-1] else [])]


def _growth(export: Export, sizes: list[int]) -> Iterator[Row]:
    names = [f"cdrctl, {export.provider}, {size:,} records" for size in sizes]
    for name, size in zip(names, sizes, strict=True):
        goals = (Goal(f"≤ 10 MB more than of {sizes[0]:,}", 10, names[0], "peak", minus=True),) * (name != names[0])
        server = Server(export.provider, size, export.size, call=export.call)
        yield Row(name, f"{export.command()} -f csv", discard=True, server=server, goals=goals)
