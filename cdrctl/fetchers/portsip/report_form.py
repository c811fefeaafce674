"""The settings of a call report: its range, its filters and its recipients."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from cdrctl.errors import UsageError
from cdrctl.fetchers.portsip.cron import cron
from cdrctl.fetchers.portsip.requests import written_instant
from cdrctl.records.events import Record
from cdrctl.records.readers import iso_instant, read_integer
from cdrctl.windows import instant

# The allowed values of a report, checked before it is sent

FORMATS = ("CSV", "HTML")
RANGES = ("TODAY", "YESTERDAY", "LAST_WEEK", "LAST_SEVEN_DAYS", "LAST_MONTH", "LAST_THIRTY_DAYS", "CUSTOM")

_WHO = (
    *("ANY", "EXTENSION_OR_EXTENSION_RANGE", "NUMBER", "NUMBERS_START_WITH", "NUMBERS_CONTAIN"),
    *("INTERNAL_EXTENSIONS", "EXTERNAL_NUMBERS"),
)
_WITH_VALUE = frozenset(_WHO[1:5])
_EXCLUDE = "exclude_calls_dropped_before_seconds"
_QUEUES: Mapping[str, str | tuple[str, ...]] = {
    f"enable_{_EXCLUDE}": "flag",
    _EXCLUDE: "whole",
    "call_queues": "numbers",
}

# The filter's fields by type of report: the allowed words, or the kind of the value. OpenAPI file of v22.2, "Create new
# call report"; which of its schemas belongs to which type is inferred from their names.
FILTERS: Mapping[str, Mapping[str, str | tuple[str, ...]]] = {
    "NORMAL": {
        "from": _WHO,
        "from_value": "text",
        "to": _WHO,
        "to_value": "text",
        "answer_state": ("ANY", "ANSWERED", "NOT_ANSWERED"),
        "duration": ("ANY", "RING_DURATION", "TALK_DURATION"),
        "duration_from": "whole",
        "duration_to": "whole",
    },
    "EXTENSION_GROUP_CALL_COST": {
        "type": ("ANY", "LOCAL", "NATIONAL", "INTERNATIONAL", "MOBILE"),
        "groups": "names",
    },
    "QUEUE_PERFORMANCE": _QUEUES,
    "QUEUE_DETAILED_STATISTICS": _QUEUES,
    "QUEUE_ABANDONED_CALLS": _QUEUES,
    "QUEUE_SLA_STATISTICS": _QUEUES,
    "QUEUE_BREACHES_SLA_STATISTICS": _QUEUES,
    "QUEUE_CALLBACKS": _QUEUES,
    "QUEUE_FAILED_CALLBACKS": {"call_queues": "numbers"},
    "TEAM_QUEUE_GENERAL_STATISTICS": _QUEUES,
    "RING_GROUP_STATISTICS": {"ring_groups": "numbers"},
}

PLAIN = ("name", "email", "file_format", "range", "started_at", "ended_at", "cron")


def new_report(options: Mapping[str, Any], now: datetime) -> Record:
    """Return the body of a new report, with every part checked.

    Raises:
        UsageError: Something is missing, unknown or does not fit; the hint names what is allowed.
    """
    if not options["type"]:
        raise UsageError("a report needs a --type", hint=f"the types are: {', '.join(FILTERS)}")
    kind = one_of("--type", options["type"], FILTERS)
    if not options["email"]:
        raise UsageError("a report needs an --email", hint="the PBX mails the file there when it is finished")
    dates = options["started_at"] or options["ended_at"]
    plain = plain_parts({**options, "range": options["range"] or ("CUSTOM" if dates else "")}, now)
    if "range" not in plain:
        raise UsageError("a report needs a --range", hint=f"the ranges are: {', '.join(RANGES)}")
    check_range(plain, plain)
    body = {"name": plain.pop("name"), "type": kind, **plain}
    return {**body, "filter": filter_for(kind, options["filter"])}


def plain_parts(options: Mapping[str, Any], now: datetime) -> Record:
    """Return the given parts of a report that do not depend on its type."""
    body: Record = {}
    if options["name"]:
        body["name"] = options["name"].strip()
        if not body["name"]:
            raise UsageError("--name is empty", hint="leave it out for a name that is unique")
    if options["email"]:
        body["email"] = options["email"].strip()
        if len(body["email"]) > 128 or not re.fullmatch(r"[^@\s,;]+@[^@\s,;]+", body["email"]):
            raise UsageError(
                f"--email {body['email'][:64]!r} is not an e-mail address of up to 128 characters",
                hint="write it as name@example.com",
            )
    if options["file_format"]:
        body["format"] = one_of("--file-format", options["file_format"], FORMATS)
    if options["range"]:
        body["range"] = one_of("--range", options["range"], RANGES)
    for name in ("started_at", "ended_at"):
        if options[name]:
            body[name] = written_instant(_moment(name, options[name], now))
    if options["cron"] is not None:
        body["cron_expr"] = cron(options["cron"])
    return body


def check_range(whole: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse a start or end without the range CUSTOM, and the range CUSTOM without both.

    Args:
        whole: The complete report.
        given: The parts that the user gave.
    """
    if whole["range"] != "CUSTOM":
        if "started_at" in given or "ended_at" in given:
            raise UsageError(
                f"--started-at and --ended-at need --range CUSTOM, but the range is {whole['range']}",
                hint=f"the ranges are: {', '.join(RANGES)}",
            )
        return
    if not whole.get("started_at") or not whole.get("ended_at"):
        raise UsageError("--range CUSTOM needs --started-at and --ended-at", hint="such as 2026-11-18T00:00:00Z")
    with suppress(ValueError):
        if iso_instant(whole["started_at"]) >= iso_instant(whole["ended_at"]):
            raise UsageError(
                f"the report ends ({whole['ended_at']}) before it begins ({whole['started_at']})",
                hint="swap --started-at and --ended-at, or correct one",
            )


def _moment(name: str, text: str, now: datetime) -> datetime:
    """Return the instant in an option; refuse a text that depends on the time zone."""
    flag = f"--{name.replace('_', '-')}"
    zones = (UTC, timezone(timedelta(hours=1)))
    readings = {instant(text, zone=zone, now=now, option=flag) for zone in zones}
    if len(readings) > 1:
        raise UsageError(
            f"{flag} {text!r} has no offset, and the PBX has its own time zone",
            hint="write it as in 2026-11-18T00:00:00Z or 2026-11-18T00:00:00+01:00",
        )
    return readings.pop()


def one_of(what: str, given: str, allowed: Sequence[str] | Mapping[str, Any]) -> str:
    """Return the allowed word that was given in any letter case, with dashes or underscores.

    Raises:
        UsageError: It is not allowed; the hint names the allowed words and similar ones.
    """
    word = given.strip().upper().replace("-", "_")
    if word in allowed:
        return word
    near = difflib.get_close_matches(word, allowed, n=3)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(f"{what} {given!r} is not known", hint=f"{meant}allowed: {', '.join(allowed)}")


def filter_for(kind: str, given: Sequence[str]) -> Record:
    """Return the filter of a report of this type, from one JSON object or from KEY=VALUE arguments.

    Raises:
        UsageError: A key or value is not allowed for this type, or a required key is missing.
    """
    fields = FILTERS[kind]
    found: Record = {}
    for name, value in given_fields(kind, given).items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=3)
            meant = f"did you mean {' or '.join(near)}? " if near else ""
            raise UsageError(
                f"a report of type {kind} has no filter {name!r}", hint=f"{meant}its filters: {', '.join(fields)}"
            )
        found[name] = _filter_value(name, fields[name], value)
    for name, rule in fields.items():
        if isinstance(rule, tuple):
            found.setdefault(name, "ANY")
        elif rule in {"names", "numbers"} and not found.get(name):
            raise UsageError(
                f"a report of type {kind} needs the filter {name}",
                hint=f"for example --filter {name}={_EXAMPLES[name]}",
            )
    for side in ("from", "to"):
        if found.get(side) in _WITH_VALUE:
            _check_who(side, found[side], found.get(f"{side}_value"))
    _check_seconds(found)
    return {name: found[name] for name in fields if name in found}


_EXAMPLES = {"groups": "Sales,Support", "call_queues": "8000,8001", "ring_groups": "9000"}


def given_fields(kind: str, given: Sequence[str]) -> Record:
    """Return the given filter as an object, in which repeated keys of lists are joined."""
    if any(text.lstrip().startswith(("{", "[")) for text in given):
        try:
            decoded = json.loads(given[0])
        except (ValueError, RecursionError):
            decoded = None
        if len(given) > 1 or not isinstance(decoded, dict):
            raise UsageError(
                "--filter is not a JSON object", hint="give one JSON object, or KEY=VALUE once for each key"
            )
        return decoded
    found: Record = {}
    for text in given:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise UsageError(
                f"a filter is written KEY=VALUE: {text!r}",
                hint=f"filters of type {kind}: {', '.join(FILTERS[kind])}",
            )
        if FILTERS[kind].get(name) in ("names", "numbers"):
            found[name] = [*found.get(name, []), *(part.strip() for part in value.split(","))]
        elif name in found:
            raise UsageError(f"--filter {name} is given twice", hint="give it once")
        else:
            found[name] = value
    return found


def _filter_value(name: str, rule: str | tuple[str, ...], value: Any) -> Any:
    """Return one value of a filter in the form of the API."""
    if isinstance(rule, tuple):
        return one_of(f"--filter {name}", str(value), rule)
    wrong = UsageError(f"--filter {name} cannot be {value!r}", hint=f"it is {_RULES[rule]}")
    match rule:
        case "flag":
            word = str(value).strip().casefold()
            if word not in {"true", "false"}:
                raise wrong
            return word == "true"
        case "whole":
            with suppress(ValueError):
                if 0 <= (seconds := read_integer(value)) < 2**31:
                    return seconds
            raise wrong
        case "text":
            if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
                raise wrong
            return str(value).strip()
    pattern = r"[0-9]{3,64}" if rule == "numbers" else r"\S(.{0,62}\S)?"
    items = value if isinstance(value, list) else [value]
    texts = [str(item).strip() for item in items if isinstance(item, str | int) and not isinstance(item, bool)]
    if len(texts) < len(items) or not texts or not all(re.fullmatch(pattern, text, re.ASCII) for text in texts):
        raise wrong
    return list(dict.fromkeys(texts))


_RULES = {
    "flag": "true or false",
    "whole": "a whole number of seconds, 0 or more",
    "text": "a number, or the beginning or a part of one",
    "names": "one or more names of 1 to 64 characters",
    "numbers": "one or more numbers of 3 to 64 digits",
}


def _check_who(side: str, word: str, value: Any) -> None:
    if not value:
        raise UsageError(
            f"--filter {side}={word} needs a value", hint=f"for example --filter {side}_value=101 (or 101-110)"
        )
    if word == "EXTENSION_OR_EXTENSION_RANGE":
        ends = re.fullmatch(r"([0-9]{1,64})(?:-([0-9]{1,64}))?", value, re.ASCII)
        if not ends or (ends[2] and int(ends[2]) < int(ends[1])):
            raise UsageError(f"--filter {side}_value cannot be {value!r}", hint="write 101, or 101-110")


def _check_seconds(found: Record) -> None:
    """Refuse lengths that no call can have, and switch on the exclusion of short calls if its seconds are given."""
    shortest, longest = found.get("duration_from"), found.get("duration_to")
    if found.get("duration", "ANY") != "ANY" and shortest is None and longest is None:
        raise UsageError(
            f"--filter duration={found['duration']} needs a length",
            hint="for example --filter duration_from=10 --filter duration_to=60, in seconds",
        )
    if shortest is not None and longest is not None and shortest > longest:
        raise UsageError(
            f"--filter duration_from={shortest} is more than duration_to={longest}", hint="swap the two, or correct one"
        )
    enable = f"enable_{_EXCLUDE}"
    if _EXCLUDE in found:
        found.setdefault(enable, True)
    elif found.get(enable):
        raise UsageError(f"--filter {enable}=true needs the seconds", hint=f"for example --filter {_EXCLUDE}=5")
