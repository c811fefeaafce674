"""Time zones: from the name of a zone to a `tzinfo`, and from a `tzinfo` to its name."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, available_timezones

from cdrctl.errors import UsageError, alternatives

LONGEST_NAME = 64
FARTHEST = timedelta(hours=14)  # the largest offset from UTC in use
OFFSET = re.compile(
    r"(?:(?:UTC|GMT) ?)?([+-])(?=[0-9]{1,2}(?:$|:)|[0-9]{4}$)([0-9]{1,2}?)(?::?([0-9]{2}))?", re.IGNORECASE
)
SIGNED = re.compile(r".*[+-][0-9]")
FORMS = "write a name such as Europe/Paris, an offset such as +02:00, utc or local"

_CITIES = {
    "Los_Angeles": "PST PDT PT",
    "Denver": "MST MDT MT",
    "Chicago": "CST CDT CT",
    "New_York": "EST EDT ET",
    "Halifax": "AST ADT",
    "Anchorage": "AKST AKDT",
}
_ABBREVIATIONS: dict[str, tuple[str, ...]] = {
    **{short: (f"America/{city}",) for city, names in _CITIES.items() for short in names.split()},
    "CST": ("America/Chicago", "Asia/Shanghai"),
    "HST": ("Pacific/Honolulu",),
    "BST": ("Europe/London", "Asia/Dhaka"),
    "IST": ("Asia/Kolkata", "Asia/Jerusalem", "Europe/Dublin"),
    "IDT": ("Asia/Jerusalem",),
    "WEST": ("Europe/Lisbon",),
    "CEST": ("Europe/Berlin", "Europe/Paris"),
    "MEZ": ("Europe/Berlin",),
    "MESZ": ("Europe/Berlin",),
    "EEST": ("Europe/Athens", "Europe/Kyiv"),
    "MSK": ("Europe/Moscow",),
    "TRT": ("Europe/Istanbul",),
    "GST": ("Asia/Dubai",),
    "PKT": ("Asia/Karachi",),
    "SGT": ("Asia/Singapore",),
    "HKT": ("Asia/Hong_Kong",),
    "JST": ("Asia/Tokyo",),
    "KST": ("Asia/Seoul",),
    "AEST": ("Australia/Sydney", "Australia/Brisbane"),
    "AEDT": ("Australia/Sydney",),
    "ACST": ("Australia/Adelaide", "Australia/Darwin"),
    "AWST": ("Australia/Perth",),
    "NZST": ("Pacific/Auckland",),
    "NZDT": ("Pacific/Auckland",),
    "SAST": ("Africa/Johannesburg",),
    "BRT": ("America/Sao_Paulo",),
}
"""Cities whose clocks an abbreviation may mean. EST, MST and HST are also IANA names, of zones without daylight saving
time. That is rarely what somebody in New York, Denver or Honolulu means, so they are refused like the others."""


def zone(name: str) -> tzinfo:
    """Return the time zone of an IANA name, of an offset such as `+02:00` or `UTC+2`, of `local` or of `utc`.

    Offsets have the everyday sign: `+02:00` and `UTC+2` are two hours ahead of UTC. Only `Etc/GMT+2` has the opposite
    sign, as the IANA database defines it. `local` is the zone of this machine.

    Raises:
        UsageError: There is no such zone; the hint names similar zones.
    """
    if name.casefold() in {"utc", "z"}:
        return UTC
    if name.casefold() == "local":
        found = machine_zone()
        if found is None:
            raise UsageError(
                f"TZ does not name a time zone: {os.environ.get('TZ', '')[:LONGEST_NAME]!r}",
                hint="set TZ to a name such as Europe/Paris, or name the zone with --tz",
            )
        return found
    if (offset := OFFSET.fullmatch(name)) is not None:
        return _fixed(name, offset)
    cities = _ABBREVIATIONS.get(name.upper())
    if cities is None and (found := _named(name)) is not None:
        return found
    if cities is not None:
        raise UsageError(
            f"the abbreviation {name!r} is ambiguous: several time zones use it",
            hint=f"write {alternatives([*cities])}, or an offset such as +02:00",
        )
    similar = [] if SIGNED.match(name) else _similar_zones(name)  # a similar name can have the opposite sign
    raise UsageError(
        f"there is no time zone {name[:LONGEST_NAME]!r}", hint=f"write {alternatives(similar)}" if similar else FORMS
    )


def machine_zone() -> tzinfo | None:
    """Return the zone of this machine's clock, or None when TZ is set and names no zone.

    A zone with a name knows its history. `right/…`, which counts leap seconds, is read as the zone without them. Where
    TZ holds the rules themselves (`CET-1CEST,M3.5.0,M10.5.0/3`), or where the system has no name for its zone, the zone
    comes from the C library.
    """
    value = os.environ.get("TZ")
    if value is None:
        found = _named(os.path.realpath("/etc/localtime").partition("zoneinfo/")[2])
        return found if found is not None else _of_the_c_library()
    name = value.removeprefix(":")
    if not name:
        return UTC
    name = name.partition("zoneinfo/")[2] if name.startswith("/") else name
    found = _named(name.removeprefix("posix/").removeprefix("right/"))
    if found is not None:
        return found
    rules = re.match(r"(?:[A-Za-z]{3,}|<[+\-A-Za-z0-9]{3,}>)[+-]?[0-9]", value)
    return _of_the_c_library() if rules else None


def name_of(zone: tzinfo) -> str:
    """Return a zone's name for people: its IANA name, `UTC+02:00`, or the offsets of its clocks."""
    key = getattr(zone, "key", None)
    if key or isinstance(zone, timezone):
        return str(key or zone)
    offsets = [-time.timezone, *([-time.altzone] if time.daylight else [])]
    shown = [_offset(offset) for offset in offsets]
    return f"the zone of this machine ({', in summer '.join(shown)})"


def _offset(seconds: int) -> str:
    """Return an offset in the form `UTC+02:00`; the C library limits offsets to 24 hours."""
    minutes, sign = abs(seconds) // 60, "-" if seconds < 0 else "+"
    return f"UTC{sign}{minutes // 60:02}:{minutes % 60:02}" if seconds else "UTC"


def _named(name: str) -> tzinfo | None:
    """Return the zone of an IANA name, or None; `right/…` is excluded because it shifts every instant by 27 seconds."""
    # The lookup raises these for unknown names, malformed names and directories.
    if not name.startswith(("right/", "posix/")):
        with suppress(KeyError, ValueError, OSError):
            return ZoneInfo(name)
    return None


def _of_the_c_library() -> tzinfo:
    from dateutil.tz import tzlocal

    return tzlocal()


def _fixed(name: str, offset: re.Match[str]) -> tzinfo:
    """Return the zone of an offset; UsageError for an offset that no place has."""
    length = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
    if length > FARTHEST or int(offset[3] or 0) >= 60:
        raise UsageError(f"no time zone is {name} from UTC", hint="write an offset from -12:00 to +14:00")
    return timezone(-length if offset[1] == "-" else length) if length else UTC


def _similar_zones(name: str) -> list[str]:
    """Return up to three zones whose name, as a whole or by its city, is similar to `name`."""
    from difflib import get_close_matches

    names: dict[str, str] = {}
    for known in sorted(available_timezones()):
        names.setdefault(known.rpartition("/")[2].casefold(), known)
        names[known.casefold()] = known
    found = get_close_matches(name.casefold(), names, n=3)
    return list(dict.fromkeys(names[key] for key in found if not SIGNED.match(names[key])))


def local_text(instant: datetime, zone: tzinfo) -> str:
    """Return an aware instant as `2026-11-19T09:00:00.123+01:00`: in a zone, with milliseconds and the offset."""
    return instant.astimezone(zone).isoformat(timespec="milliseconds")
