"""The switches of the imitated Voicenter: everything that its documents leave open."""

from __future__ import annotations

from cdrctl.sandbox.wire import CHANGED, DROPPED, LATE, Switch

SWITCHES: dict[str, Switch] = {
    "http_errors": Switch("200", ("real",), meaning="HTTP status of errors; real is 403 or 404, as STATUS_CODE says"),
    "keys": Switch(
        "pascal",
        ("lower", "mixed", "by_fields"),
        meaning="letter case of a record's keys; mixed has an envelope in lower case, by_fields has the case of "
        "the requested names, and lower case without any",
    ),
    "generation": Switch(
        "current",
        ("seed",),
        meaning="seed is version 0.1: no counters, no STATUS_CODE, no CdrType, error 3 over the cap, minute precision,"
        " format HTML",
    ),
    "over_cap": Switch("counters", ("error3", "silent"), meaning="how a response shows that more records were found"),
    "cap": Switch("10000", (), r"[1-9]\d*", meaning="most records of one answer"),
    "bounds": Switch(
        "closed", ("half_open", "open_low", "open"), meaning="whether fromdate and todate are part of the window"
    ),
    "window_on": Switch("start", ("end", "saved"), meaning="the instant of a call that fromdate and todate select by"),
    "request_zone": Switch("utc", ("israel",), meaning="the zone of fromdate and todate"),
    "precision": Switch("second", ("minute",), meaning="minute ignores the seconds of fromdate and todate"),
    "max_days": Switch("off", (), r"[1-9]\d*", meaning="longest window in days (error 5)"),
    "numbers": Switch("json", ("text",), meaning="text writes every number and truth value as a string"),
    "date": Switch("z", ("blank", "no_zone"), meaning="form of Date: ...T...Z, with a space, or T without a zone"),
    "date_zone": Switch("utc", ("israel",), meaning="zone of a Date written without one"),
    "epoch": Switch("on", ("off",), meaning="whether records have a DateEpoch; version 0.1 has none"),
    "original": Switch(
        "first",
        ("chain",),
        meaning="what OriginalIvrUniqueID names in calls of --stories hard: the first or the one before (a guess)",
    ),
    "parked": Switch(
        "call",
        ("transfer",),
        meaning="type of the record of a parked caller who comes again, in calls of --stories hard (a guess)",
    ),
    "order": Switch("oldest", ("newest",), meaning="order of records if the request has no sort"),
    "unknown_field": Switch("ignored", ("error",), meaning="response to an unknown field"),
    "extension": Switch("accepted", ("ignored",), meaning="extension, singular, in a query"),
    "html": Switch("never", ("on_format", "always"), meaning="a table in HTML instead of JSON"),
    "types": Switch(
        "current", ("seed",), meaning="seed spells Click2Callleg1 and has CC, Callference, Scrubber, FaxCdr"
    ),
    "queue_duration": Switch("talk", ("with_wait",), meaning="whether the duration of queue calls includes waiting"),
    "counters": Switch("true", ("off_by_one",), meaning="off_by_one counts one record more than there is"),
    "empty": Switch("list", ("null",), meaning="CDR_LIST if nothing was found"),
    "late": LATE,
    "changed": CHANGED,
    "dropped": DROPPED,
    "lag": Switch("0", (), r"\d+", meaning="minutes from the end of a call to its record"),
    "ip": Switch("listed", ("unlisted",), meaning="whether the caller's address is authorised (error 4 for a code)"),
    "bearer": Switch("accepted", ("refused",), meaning="whether a bearer token is accepted"),
    "notification": Switch("seed", ("current",), meaning="fields of notifications: 23, or those of today as well"),
    "repeats": Switch("off", ("on",), meaning="every fifth notification comes twice"),
    "limits": Switch(
        "off", ("on", "five_seconds"), meaning="30 requests in any 60 seconds, or 5 seconds between two (error 1)"
    ),
    "new_field": Switch("off", ("on",), meaning="records have an undocumented field if the request names no fields"),
    "call_id": Switch("on", (), "off", "off", "whether records have a CallID; records without one have no record_id"),
    "slash": Switch("either", ("required",), meaning="whether the address works without its last slash (404)"),
}
