"""What a user wants of an export, as one value."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from cdrctl import windows
from cdrctl.export.selection import Selection
from cdrctl.records.schemas import SchemaName
from cdrctl.windows import Window

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from cdrctl.fetchers.settings import Settings


class TypedWindow(Struct, frozen=True):
    """The window as the user typed it: words mean instants only in a time zone.

    Args:
        since: Its start; None for the call's default.
        until: Its end; None for now.
        zone: The time zone of words and of times without an offset; None for the profile's, or UTC.
    """

    since: str | None = None
    until: str | None = None
    zone: tzinfo | None = None

    def zone_of(self, settings: Settings | None) -> tzinfo | None:
        """Return the zone that the user or the profile names; None if neither does."""
        if self.zone is not None or settings is None or settings.timezone is None:
            return self.zone
        return windows.zone(settings.timezone)

    def read(self, default_since: str | None, settings: Settings | None, now: datetime) -> Window:
        """Return the window; `default_since` is the start that the call has without one.

        Raises:
            UsageError: The words cannot be read, or there is nothing between them.
        """
        zone = self.zone_of(settings) or windows.zone("UTC")
        return windows.window(self.since or default_since, self.until, zone=zone, now=now)


class Output(Struct, frozen=True):
    """Where the records go, and in which form.

    Args:
        format: The name of the format.
        path: The file; None or `-` for standard output.
        shown: The columns that a table shows by default, the most important first.
        columns: The columns that the user chose, or None. A table may read others, too, to colour its lines.
        record_keys: Each row begins with the key of its record, as databases need it.
        header: The first line names the columns.
        template: How a record is written, if the format is `template`.
        times: `utc` or `local`; None for the default of the format.
        spreadsheet_safe: No cell may be taken for a formula.
        pager: Whether to use a pager on a terminal; None for tables only.
    """

    format: str = "jsonl"
    path: str | None = None
    shown: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    record_keys: bool = False
    header: bool = True
    template: str = ""
    times: Literal["utc", "local"] | None = None
    spreadsheet_safe: bool = False
    pager: bool | None = None


class ExportRequest(Struct, frozen=True):
    """An export: which records, of which window, in which schema, and where they go.

    Args:
        schema: The schema.
        selection: Which records, which of their fields, and in which order.
        window: The window.
        output: Where the records go. The library ignores it.
        jobs: How many parts of the window to fetch in parallel; 0 to fetch nothing ahead.
        profile: The name of the profile; None for the default one, and for several.
        strict: Records that do not fit their columns are an error.
        allow_partial: Gaps do not change the exit code.
        fail_if_empty: An export without records fails.
        dry_run: Print the requests, and send none.
        archive: The folder of the archive that is read instead of the provider.
        live: Somebody may read the records as they come, so each page is written before the next one is waited for.
    """

    schema: SchemaName = "native"
    selection: Selection = field(default_factory=Selection)
    window: TypedWindow = field(default_factory=TypedWindow)
    output: Output = field(default_factory=Output)
    jobs: int = 0
    profile: str | None = None
    strict: bool = False
    allow_partial: bool = False
    fail_if_empty: bool = False
    dry_run: bool = False
    archive: Path | None = None
    live: bool = True

    @property
    def native_fields(self) -> tuple[str, ...] | None:
        """The native columns that are read; None for all, since the key of a record may depend on all of them."""
        return self.selection.needed if self.schema == "native" and not self.output.record_keys else None
