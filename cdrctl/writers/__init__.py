"""Writers: one module for each output format, with one function that writes pages.

A writer pulls: it requests the next page when it has written the previous one. It knows no provider, and writes each
page at once, unless its format has larger units. This module lists the writers by name; a module is imported only when
its format is used.

A package adds a format by an entry point in the group `cdrctl.writers`. Its name is the format (and the ending of its
files), and its value is a module like those here, with:

    write(schema, pages, out, look)   writes all pages; `look` is a `RenderOptions`, and `out` a binary stream
    TAKES_RAW = True                  if it can write raw records, which have no columns
    BINARY = True                     if it is not for people: never written to a terminal or a `.gz`
    DATABASE = True                   if it updates an existing file: then `out` is the path of a file that may or may
                                      not exist, and the first column is the record's key (`records.KEY_COLUMN`)

    [project.entry-points."cdrctl.writers"]
    logfmt = "cdrctl_logfmt"

See docs/writers.md; docs/example-writer is such a package.
"""

from __future__ import annotations

import importlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from msgspec import Struct

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
"""The internal name of the format of `--template`."""

FORMATS = tuple(name for name in _MODULES if name != TEMPLATE)
"""The built-in formats."""

HEADED = frozenset({"csv", "tsv", "table", TEMPLATE})
"""The formats that can have a line with the names of the columns."""

_NEEDS = {"parquet": "pyarrow", "xlsx": "xlsxwriter", "duckdb": "duckdb"}
"""The package that a format needs; it comes with the extra of the format's name."""

_ENDINGS = {
    **{name: name for name in _MODULES if name not in {"table", TEMPLATE}},
    "ndjson": "jsonl",
    "txt": "table",
    "db": "sqlite",
    "sqlite3": "sqlite",
}


class RenderOptions(Struct, frozen=True):
    """How a writer renders records for people.

    Args:
        width: Columns of the terminal.
        zone: The zone in which local times are shown.
        color: Whether the terminal gets colours.
        shown: The columns that a table shows by default, the most important first; empty for all.
        chosen: The columns that the user chose, or None: they are shown in this order if at all possible.
        whole: Columns that are never shortened, whatever their kind.
        more: How to see more columns in a table than the default ones.
        beside: Text beside the name of the zone.
        outcome: Returns the outcome of a row, one of the common CDR; None if rows have none.
        ending: The columns that describe how a call ended; with colours they get the colour of the outcome.
        for_spreadsheets: Whether to escape cells that a spreadsheet would read as formulas.
        header: Whether the first line has the names of the columns, in formats with such a line.
        template: The line of a record, if the format is `template`.
        name: What the records are, such as `webex_cdrs`: the name of a table or of a sheet.
        warn: Called with what the user should know about the output.
        local_times: Whether times have the offset of the zone; in a table they always have.
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
        ConfigurationError: It is not a writer, or a package that it needs is not installed.
    """
    write: Write = _module(name).write
    return write


def takes_raw(name: str) -> bool:
    """Return whether a format can write raw records, which have no columns.

    Raises:
        UsageError: There is no such format.
        ConfigurationError: It is not a writer, or a package that it needs is not installed.
    """
    return bool(getattr(_module(name), "TAKES_RAW", False))


def is_binary(name: str) -> bool:
    """Return whether a format is not for people: it is never written to a terminal, nor compressed.

    Raises:
        UsageError: There is no such format.
        ConfigurationError: It is not a writer, or a package that it needs is not installed.
    """
    return bool(getattr(_module(name), "BINARY", False)) or is_database(name)


def is_database(name: str) -> bool:
    """Return whether a format updates an existing file, record by record, instead of writing a new one.

    Raises:
        UsageError: There is no such format.
        ConfigurationError: It is not a writer, or a package that it needs is not installed.
    """
    return bool(getattr(_module(name), "DATABASE", False))


def check_local_times(name: str, schema: str) -> None:
    """Check that a format and a schema can have local times.

    Raises:
        UsageError: The format stores instants, or the records are raw.
    """
    from cdrctl.writers import times

    times.check(name, schema)


def localize(name: str, pages: Pages, schema: Schema, zone: tzinfo) -> Pages:
    """Return pages whose times have the offset of a zone; a table and a workbook convert their own times."""
    from cdrctl.writers import times

    return pages if name in {"table", "xlsx"} else times.to_zone(pages, schema, zone)


def format_of(path: str) -> str | None:
    """Return the format of a file's ending, with or without `.gz`, or None for a name without an ending.

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
            f"the writer of {name}, {where}, has no function write", hint="report it to the author of its package"
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
    """Return the writers of other packages by name; only called if no built-in writer has the name."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}
