"""Writers: one file per output format, each with one function that takes pages and writes them.

A writer pulls: the next page is asked for when the one before it is written. It knows no provider, and it
writes a page whole, unless its format has larger pieces. Here is the list of them by name; a module is imported only
when its format is asked for.

A package adds a format by an entry point in the group `cdrctl.writers` whose name is the format (and the
ending of its files) and whose value is a module like those here: it has

    write(schema, pages, out, look)   writes all pages; `look` is a `RenderOptions`, and `out` a stream that takes bytes
    TAKES_RAW = True                  when it can write raw records, which have no columns
    BINARY = True                     when it is for programs alone: never to a terminal, never to a `.gz`
    DATABASE = True                   when it changes a file that may be there: then `out` is the path of a file, which
                                      is there or not, and the first column is the record's key (`records.KEY_COLUMN`)

    [project.entry-points."cdrctl.writers"]
    logfmt = "cdrctl_logfmt"

docs/writers.md says more, and docs/example-writer is such a package.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from cdrctl.errors import ConfigurationError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import tzinfo
    from importlib.metadata import EntryPoint

    from cdrctl.records.events import Record, Row
    from cdrctl.records.schemas import Schema

    Pages = Iterable[Sequence[Row] | Sequence[Record]]
    Write = Callable[[Schema, Pages, Any, "RenderOptions"], None]

ENTRY_POINTS = "cdrctl.writers"

_MODULES = {
    "csv": "cdrctl.writers.csv",
    "tsv": "cdrctl.writers.tsv",
    "jsonl": "cdrctl.writers.jsonl",
    "json": "cdrctl.writers.json",
    "table": "cdrctl.writers.table",
    "template": "cdrctl.writers.template",
    "parquet": "cdrctl.writers.parquet",
    "xlsx": "cdrctl.writers.xlsx",
    "sqlite": "cdrctl.writers.sqlite",
    "duckdb": "cdrctl.writers.duckdb",
}

TEMPLATE = "template"
"""The format of `--template`, which has no other name."""

FORMATS = tuple(name for name in _MODULES if name != TEMPLATE)
"""The formats that are built in."""

HEADED = frozenset({"csv", "tsv", "table", TEMPLATE})
"""Those of them that can have a line with the names of the columns."""

_NEEDS = {"parquet": "pyarrow", "xlsx": "xlsxwriter", "duckdb": "duckdb"}
"""The package that a format is written with, which comes with the extra of the format's name."""

_ENDINGS = {
    **{name: name for name in _MODULES if name not in {"table", TEMPLATE}},
    "ndjson": "jsonl",
    "txt": "table",
    "db": "sqlite",
    "sqlite3": "sqlite",
}


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """How it shall look, for those who look at it.

    Args:
        width: Columns of the terminal.
        zone: The zone in which local times are shown.
        color: Whether the terminal shall be sent colours.
        shown: The columns a table shows when the user did not choose, the first ones first; empty for all of them.
        chosen: The columns that the user chose, or None: they are shown in this order if at all possible.
        whole: Columns that are never squeezed, whatever their kind.
        more: How to see more columns than the usual ones, in a table.
        beside: What is said beside the name of the zone.
        outcome: From a row to its outcome, one of those of the common CDR; None where nothing has one.
        ending: The columns that say in words how a call ended: with colours they have that of the outcome.
        for_spreadsheets: Whether no cell may be taken for a formula.
        header: Whether the first line names the columns, in formats that have such a line.
        template: How a record is written, where the format is `template`.
        name: What the records are, such as `webex_cdrs`: the name of a table or of a sheet.
        warn: Is told what the user should know of how it was written.
        local_times: Whether times are to be those of the zone; a table's always are.
    """

    width: int
    zone: tzinfo
    color: bool
    shown: tuple[str, ...] = ()
    chosen: tuple[str, ...] | None = None
    whole: tuple[str, ...] = ()
    more: str = "--fields"
    beside: str = ""
    outcome: Callable[[Row], object] | None = None
    ending: tuple[str, ...] = ("outcome",)
    for_spreadsheets: bool = False
    header: bool = True
    template: str = ""
    name: str = "records"
    warn: Callable[[str], None] = lambda _text: None
    local_times: bool = False


def load(name: str) -> Write:
    """Return the function that writes a format.

    Raises:
        UsageError: There is no such format.
        ConfigurationError: It is installed, and is not a writer; or what it needs is not installed.
    """
    write: Write = _module(name).write
    return write


def takes_raw(name: str) -> bool:
    """Return whether a format can write raw records, which have no columns.

    Raises:
        UsageError: There is no such format.
        ConfigurationError: It is installed, and is not a writer; or what it needs is not installed.
    """
    return bool(getattr(_module(name), "TAKES_RAW", False))


def is_binary(name: str) -> bool:
    """Return whether a format is for programs alone: no terminal is sent it, and to compress it again is of no use.

    Raises:
        UsageError: There is no such format.
        ConfigurationError: It is installed, and is not a writer; or what it needs is not installed.
    """
    return bool(getattr(_module(name), "BINARY", False)) or is_database(name)


def is_database(name: str) -> bool:
    """Return whether a format changes a file that may be there, record by record, instead of writing a new one.

    Raises:
        UsageError: There is no such format.
        ConfigurationError: It is installed, and is not a writer; or what it needs is not installed.
    """
    return bool(getattr(_module(name), "DATABASE", False))


def check_local_times(name: str, schema: str) -> None:
    """Refuse local times in a format, or in a schema, that cannot have them.

    Raises:
        UsageError: The format stores instants, or the records are raw.
    """
    from cdrctl.writers import times

    times.check(name, schema)


def localized(name: str, pages: Pages, schema: Schema, zone: tzinfo) -> Pages:
    """Return pages whose times have the offset of a zone; a table and a workbook change theirs themselves."""
    from cdrctl.writers import times

    return pages if name in {"table", "xlsx"} else times.in_zone(pages, schema, zone)


def format_of(path: str) -> str | None:
    """Return the format that a file's ending stands for, with or without `.gz`, or None for a name without an ending.

    Raises:
        UsageError: No format has this ending.
    """
    name = path.replace("\\", "/").rpartition("/")[2].lower().removesuffix(".gz")
    ending = PurePosixPath(name).suffix.removeprefix(".")
    if not ending:
        return None
    installed = () if ending in _ENDINGS else tuple(_installed())
    if ending in installed:
        return ending
    if ending not in _ENDINGS:
        known = (*_ENDINGS, *installed)
        raise UsageError(
            f"no format has the ending .{ending}",
            hint=f"{did_you_mean(ending, known)}the endings are: {', '.join(known)}, and text formats "
            "also with .gz; or name the format with -f",
        )
    return _ENDINGS[ending]


def _module(name: str) -> Any:
    if name in _MODULES:
        return _built_in(name)
    installed = _installed()
    if name not in installed:
        known = (*FORMATS, *installed)
        raise UsageError(
            f"there is no format {name!r}", hint=f"{did_you_mean(name, known)}the formats are: {', '.join(known)}"
        )
    where = installed[name].value
    try:
        module = installed[name].load()
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"the writer of {name}, {where}, cannot be loaded", said=str(error), hint="reinstall its package"
        ) from error
    if not callable(getattr(module, "write", None)):
        raise ConfigurationError(
            f"the writer of {name}, {where}, has no function write", hint="tell the author of its package"
        )
    return module


def _built_in(name: str) -> Any:
    try:
        return importlib.import_module(_MODULES[name])
    except ImportError as error:
        if name not in _NEEDS:
            raise
        missing = isinstance(error, ModuleNotFoundError) and error.name == _NEEDS[name]
        why = "which is not installed" if missing else f"which cannot be loaded: {error}"
        raise ConfigurationError(
            f"{name} is written with {_NEEDS[name]}, {why}", hint=f"pip install 'cdrctl[{name}]'"
        ) from error


def _installed() -> dict[str, EntryPoint]:
    """Return the writers that other packages bring, by name; looked up only when no built-in one answers."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}
