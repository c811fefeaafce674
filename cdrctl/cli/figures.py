"""What `stats` and `report` share: the known hours, and the figures that have no value if hours are missing."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta, tzinfo
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from cdrctl import windows
from cdrctl.cli.options import option
from cdrctl.cli.request import read_request
from cdrctl.cli.run import Session
from cdrctl.errors import ConfigurationError, UsageError
from cdrctl.export.request import ExportRequest
from cdrctl.figures.definitions import OF_EVERY_CALL, figure, untold
from cdrctl.figures.groups import Key
from cdrctl.records.events import Gap

if TYPE_CHECKING:
    from cdrctl.figures.engine import Calls, Measured
    from cdrctl.windows import Window

_HOUR = timedelta(hours=1)
LIMITS = (
    option(
        "--service-level",
        about="Target of service levels: the percentage of queue calls answered within Y seconds. Default: 80/20.",
        default="80/20",
        metavar="X/Y",
    ),
    option(
        "--short-abandon",
        about="An abandoned call that waited at most N seconds is a quick abandon. Default: 5.",
        kind="integer",
        default=5,
        minimum=0,
    ),
)


class Limits(Struct, frozen=True):
    """What calls in queues are measured by.

    Args:
        target: The share of calls to be served within the threshold.
        threshold: Seconds within which a queue call is served.
        short_abandon: Seconds up to which an abandoned call is a quick abandon.
    """

    target: float
    threshold: int
    short_abandon: int


def read_limits(given: Mapping[str, Any]) -> Limits:
    """Return the limits that the options name.

    Raises:
        UsageError: The service level cannot be read.
    """
    target, _, threshold = given["service_level"].partition("/")
    if not (target.isdigit() and threshold.isdigit() and 0 < int(target) <= 100):
        raise UsageError(
            f"--service-level is a share and seconds, not {given['service_level']!r}", hint="write it as 80/20"
        )
    return Limits(int(target) / 100, int(threshold), given["short_abandon"])


def check_installed(command: str) -> None:
    """Check that DuckDB is installed.

    Raises:
        ConfigurationError: It is not.
    """
    if find_spec("duckdb") is None:  # it is loaded later: it reports what is left of it if the program ends at once
        raise ConfigurationError(
            f"cdrctl {command} needs duckdb, which is not installed", hint="pip install 'cdrctl[duckdb]'"
        )


def calls_request(session: Session, given: Mapping[str, Any]) -> ExportRequest:
    """Return the request for the calls, whatever becomes of them.

    Raises:
        UsageError: An option cannot be read.
    """
    unused = ("fields", "sort", "limit", "template", "header", "times", "output", "pager", "max_wait")
    usual = {"schema": "common", "format": "jsonl", "spreadsheet_safe": False, "dry_run": False}
    fixed = {**dict.fromkeys(unused), **usual}
    return read_request(session, {"fail_if_empty": False, **given, **fixed}, None, None, ())


class Coverage(Struct):
    """Which hours of the window are known, over all profiles.

    Args:
        window: The window, of the profile whose window is the longest.
        known: The parts of it that are known for every profile; None if a part is missing, and which is unknown.
        failed: Whether a profile or a file could not be read as a whole.
        assumed: The window is that of files, which do not tell whether they have all of its calls.
        zones: The time zones of the profiles; None for one without.
    """

    window: Window | None = None
    known: list[Window] | None = None
    failed: bool = False
    assumed: bool = False
    zones: set[tzinfo | None] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def lose(self) -> None:
        """Take note that a profile or a file could not be read as a whole: no hour is known to be complete."""
        self.known, self.failed = None, True

    def zone(self, named: tzinfo | None) -> tzinfo:
        """Return the zone of days and hours: the one that --tz names, else that of all profiles, else UTC."""
        own = next(iter(self.zones)) if len(self.zones) == 1 else None
        return named or own or windows.zone("UTC")

    def add(self, window: Window, gaps: Sequence[Gap] | None, zone: tzinfo | None) -> None:
        """Add the window of a profile, and its gaps, or None for the window of files; profiles are read in threads."""
        with self._lock:
            self.zones.add(zone)
            if gaps is None:
                self.window, self.assumed = window, True
            else:
                self._add(window, gaps)

    def _add(self, window: Window, gaps: Sequence[Gap]) -> None:
        from cdrctl.archive.intervals import overlap, subtract

        holes = [gap.window for gap in gaps]
        mine = None if None in holes else subtract([window], [one for one in holes if one is not None])
        if self.window is None:
            self.window, self.known = window, mine
            return
        self.window = max(self.window, window, key=lambda one: one.duration)
        if self.known is not None:
            both = [overlap(one, other) for one in self.known for other in mine or ()]
            self.known = None if mine is None else [one for one in both if one is not None]

    def hours(self, day: str | None, zone: Any) -> tuple[float | None, float | None]:
        """Return the known and the asked hours, of the window or of its part in a local day."""
        from cdrctl.archive.intervals import overlap

        if self.window is None:
            return None, None
        part: Window | None = self.window
        if day is not None:
            part = overlap(self.window, windows.window(day, f"{day}T23:59:59.999999", zone=zone, now=self.window.until))
        if part is None:
            return None, None
        asked = round(part.duration / _HOUR, 2)
        if self.known is None:
            return None, asked
        parts = [both for one in self.known if (both := overlap(one, part)) is not None]
        return round(sum(one.duration / _HOUR for one in parts), 2), asked


def in_zone(request: ExportRequest, zone: tzinfo) -> ExportRequest:
    """Return the request with a time zone."""
    return replace(request, window=replace(request.window, zone=zone))


def note_zones(session: Session, request: ExportRequest, coverage: Coverage) -> None:
    """Log a note if the profiles are in several time zones and --tz names none."""
    if request.window.zone is None and len(coverage.zones) > 1:
        names = ", ".join(sorted(str(one or "UTC") for one in coverage.zones))
        zones = f"the profiles are in several time zones ({names})"
        session.reporter.log("note", f"{zones}: days and hours are those of UTC, unless --tz names another")


def measured(
    calls: Calls,
    name: str,
    keys: Sequence[Key],
    limits: Limits,
    coverage: Coverage,
    request: ExportRequest,
    zone: tzinfo,
) -> Iterator[Measured]:
    """Yield the values of a figure. Where calls of its hours are missing, there is none unless that is allowed.

    Args:
        calls: The calls.
        name: The name of the figure.
        keys: The keys by which calls are grouped.
        limits: What calls in queues are measured by.
        coverage: Which hours are known.
        request: The request.
        zone: The time zone of days.
    """
    from cdrctl.fetchers import PROVIDERS, default_joins

    one = figure(name)
    parameters: dict[str, Any] = {
        "threshold": limits.threshold,
        "short_abandon": limits.short_abandon,
        "hours": coverage.hours(None, zone)[1],
        "since": None if coverage.window is None else windows.rfc3339(coverage.window.since),
        "until": None if coverage.window is None else windows.rfc3339(coverage.window.until),
    }
    there = [name for name in calls.providers() if name in PROVIDERS]
    without = untold(one, {name: default_joins(name).lacks for name in there})
    doubts = {name: doubt for name in there if (doubt := default_joins(name).doubts.get(one.name))}
    if without and one.needs not in OF_EVERY_CALL:  # the user may have named the queues
        telling = calls.telling(one.needs)
        without = {name: why for name, why in without.items() if name not in telling}
    day = next((at for at, key in enumerate(keys) if key.name == "day"), None)
    for found in calls.measure(one, keys, parameters, without, doubts):
        known, hours = coverage.hours(None if day is None else found.group[day], zone)
        if not coverage.failed and (hours is None or known == hours or coverage.assumed):
            yield found
            continue
        lacking = "an unknown part" if known is None or hours is None else f"{hours - known:g} of {hours:g} hours"
        why = "; ".join(filter(None, (f"the calls of {lacking} are missing", found.why)))
        yield replace(found, value=found.value if request.allow_partial else None, why=why)
