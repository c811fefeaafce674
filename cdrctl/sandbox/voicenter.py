"""Voicenter's Call Log and its CDR notifications, imitated from their documentation.

Sources: voicenter.com, API pages "Call Log (Version 0.1)", "Call Log" and "CDR Notification"; the vendor's own GitHub
VoicenterTeam/claude-marketplace, pages call-log, cdr-notification and authentication (2026). What nobody publishes is
a switch.
"""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from html import escape
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.exchange.clock import DAY, HOUR, MINUTE, SECOND, delay, digest, dropped, instant, milliseconds
from cdrctl.sandbox.exchange.parties import PEOPLE, SITES, Call, Leg, Party, Site
from cdrctl.sandbox.wire import CHANGED, DROPPED, LATE, Clock, Reply, Request, Setting, Switch, dumped

Doc = dict[str, Any]

SEED_FIELDS = (
    "Date",
    "Type",
    "DID",
    "CallerNumber",
    "CallerExtension",
    "TargetNumber",
    "TargetExtension",
    "TargetPrefixName",
    "Duration",
    "Price",
    "RecordURL",
    "RecordExpect",
    "RepresentativeName",
    "RepresentativeCode",
    "DTMFData",
    "CallID",
    "QueueName",
    "DialStatus",
    "DialStatus2",
    "RingTime",
    "CustomData",
    "DepartmentName",
    "DepartmentId",
)
"""The 23 fields of version 0.1, in the order of its list."""

CURRENT_FIELDS = (
    "CallerNumber",
    "TargetNumber",
    "Date",
    "DateEpoch",
    "Duration",
    "CallID",
    "CustomData",
    "Type",
    "CdrType",
    "DialStatus",
    "TargetExtension",
    "CallerExtension",
    "DID",
    "QueueName",
    "RecordURL",
    "RecordExpect",
    "RingTime",
    "RepresentativeName",
    "RepresentativeCode",
    "UserName",
    "UserId",
    "DTMFData",
    "DepartmentName",
    "DepartmentId",
    "Price",
    "TargetPrefixName",
)
"""The 26 fields of today, in an order that the documentation's sample answer is a part of."""

NOTIFICATION_FIELDS = (
    "caller",
    "target",
    "time",
    "duration",
    "ivruniqueid",
    "type",
    "status",
    "targetextension",
    "callerextension",
    "did",
    "queueid",
    "queuename",
    "record",
    "price",
    "dialtime",
    "representative_name",
    "representative_code",
    "targetextension_name",
    "callerextension_name",
    "target_country",
    "caller_country",
    "seconds_waiting_in_queue",
    "OriginalIvrUniqueID",
)
"""The 23 fields of a notification in version 0.1; the last two come only where they apply."""

TYPES = {
    1: "Incoming Call",
    4: "Extension Outgoing",
    8: "Queue",
    9: "Click2Call leg1",
    10: "Click2Call leg2",
    11: "VoiceMail",
    13: "XferCDR",
    14: "ProductiveCall Leg1",
    15: "ProductiveCall Leg2",
    17: "Click 2 IVR",
    18: "Click 2 IVR Incoming",
    19: "Click 2 Queue Incoming",
    21: "Attended CDR leg1",
    22: "Attended CDR leg2",
    23: "Auto forward",
}
"""Call types of today by their number."""

SEED_TYPES = ("CC", "Callference", "Scrubber", "FaxCdr")
"""Call types of version 0.1 that have no number today."""

_INCOMING, _OUTGOING, _QUEUED, _BOX, _MOVED = 1, 4, 8, 11, 13
_CLICK, _PRODUCTIVE, _TO_IVR, _TO_QUEUE = (9, 10), (14, 15), (17, 18), (17, 19)
_CONSULTED, _FORWARDED = (21, 22), 23
_DIALER = {14, 15, 17, 18, 19}
_QUEUE_TYPES = {8, 19}
_DIRECTIONS = {
    **dict.fromkeys((1, 8, 11, 18, 19, 22), "incoming"),
    **dict.fromkeys((4, 10, 15, 23), "outgoing"),
    **dict.fromkeys((9, 13, 14, 17, 21), "internal"),
}

ERRORS = {
    0: ("OK", 200),
    1: ("Request limit exceeded. Please try again later.", 403),
    2: ("Authorization failed.", 403),
    3: ("CDR limit exceeded.", 403),
    4: ("IP address {client} is not trusted.", 403),
    5: ("Date range invalid", 404),
    6: ("Field {name} is not supported.", 400),
}
"""Number → description and STATUS_CODE; the STATUS_CODE of 3 and the whole of 6 are published nowhere."""

CODE = "EXAMPLE-VOICENTER-CODE"
CAMPAIGN, CAMPAIGN_NAME = 1, "Autumn campaign"
QUEUE_ID = 123_456_789
_PER_SPAN, _RATE_SPAN = 30, MINUTE
_ZONE = ZoneInfo("Asia/Jerusalem")
_ID_BEHIND = 3 * SECOND
_FIRST_USER, _FIRST_DEPARTMENT = 87_654_321, 12_345_678
_FIRST_OUTSIDE = 150
_FEE = {"Israel": 7, "Israel Mobile": 12.5, "United Kingdom": 9.5, "United States": 5}

_SEARCH = ("fromdate", "todate", "phones", "extensions", "IdentityCriteria")
_SEARCH_TODAY = (*_SEARCH, "callID", "cdrTypes", "campaignID", "queueID")
_PASTED = frozenset({"fromdate", "todate", "phones"})
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(:\d\d(?:\.\d+)?)?Z?")

SWITCHES: dict[str, Switch] = {
    "http_errors": Switch("200", ("real",), meaning="HTTP status of errors; real is 403 or 404, as STATUS_CODE says"),
    "keys": Switch(
        "pascal",
        ("lower", "mixed", "by_fields"),
        meaning="letter case of a record's keys; mixed has an envelope in lower case, by_fields has the case of the"
        " names asked for, and lower case where none were",
    ),
    "generation": Switch(
        "current",
        ("seed",),
        meaning="seed is version 0.1: no counters, no STATUS_CODE, no CdrType, error 3 over the cap, minute precision,"
        " format HTML",
    ),
    "over_cap": Switch("counters", ("error3", "silent"), meaning="what tells that more records were found"),
    "cap": Switch("10000", (), r"[1-9]\d*", meaning="most records of one answer"),
    "bounds": Switch(
        "closed", ("half_open", "open_low", "open"), meaning="are fromdate and todate themselves part of the window"
    ),
    "window_on": Switch("start", ("end", "saved"), meaning="the instant of a call that fromdate and todate select by"),
    "request_zone": Switch("utc", ("israel",), meaning="the zone of fromdate and todate"),
    "precision": Switch("second", ("minute",), meaning="minute ignores the seconds of fromdate and todate"),
    "max_days": Switch("off", (), r"[1-9]\d*", meaning="longest window in days (error 5)"),
    "numbers": Switch("json", ("text",), meaning="text writes every number and truth value as a string"),
    "date": Switch("z", ("blank", "no_zone"), meaning="form of Date: ...T...Z, with a blank, or T without a zone"),
    "date_zone": Switch("utc", ("israel",), meaning="the zone of a Date that is written without one"),
    "epoch": Switch("on", ("off",), meaning="is there a DateEpoch; version 0.1 has none"),
    "order": Switch("oldest", ("newest",), meaning="order of records where no sort is asked for"),
    "unknown_field": Switch("ignored", ("error",), meaning="what happens when an unknown field is asked"),
    "extension": Switch("accepted", ("ignored",), meaning="extension, singular, in a query"),
    "html": Switch("never", ("on_format", "always"), meaning="a table in HTML instead of JSON"),
    "types": Switch(
        "current", ("seed",), meaning="seed spells Click2Callleg1 and has CC, Callference, Scrubber, FaxCdr"
    ),
    "queue_duration": Switch("talk", ("with_wait",), meaning="does the duration of queue calls include waiting"),
    "counters": Switch("true", ("off_by_one",), meaning="off_by_one counts one record more than there is"),
    "empty": Switch("list", ("null",), meaning="CDR_LIST where nothing was found"),
    "late": LATE,
    "changed": CHANGED,
    "dropped": DROPPED,
    "lag": Switch("0", (), r"\d+", meaning="minutes from the end of a call to its record"),
    "ip": Switch("listed", ("unlisted",), meaning="is the caller's address authorised (error 4 for a code)"),
    "bearer": Switch("accepted", ("refused",), meaning="is a bearer token accepted"),
    "notification": Switch("seed", ("current",), meaning="fields of notifications: 23, or those of today as well"),
    "repeats": Switch("off", ("on",), meaning="every fifth notification comes twice"),
    "limits": Switch(
        "off", ("on", "five_seconds"), meaning="30 requests in any 60 seconds, or 5 seconds between two (error 1)"
    ),
    "new_field": Switch(
        "off", ("on",), meaning="records have a field that no document names where no fields are asked for"
    ),
    "call_id": Switch("on", (), "off", "off", "is there a CallID; records without one have no record_id"),
    "slash": Switch("either", ("required",), meaning="is the address answered without its last slash (404)"),
}

_MISSPELT = {"TargetExtension": "Targetextension", "CallerExtension": "Callerextension"}
_STATUSES = {
    "busy": "BUSY",
    "no_answer": "NOANSWER",
    "cancelled": "CANCEL",
    "rejected": "BUSY",
    "unallocated": "CONGESTION",
    "unavailable": "CHANUNAVAIL",
}
_LEFT_QUEUE = ("ABANDONE", "ABANDONE", "ABANDONE", "TIMEOUT", "FULL", "EXIT", "JOINEMPTY")
_PLACES = {party.id: n for n, party in enumerate(PEOPLE)}


def _drawn(*parts: object) -> int:
    """Return a number that depends on nothing but the parts."""
    return int(digest("voicenter", *parts)[:12], 16)


def _national(number: str) -> str:
    """Return a number as it is shown: 072… for the account's, 050… for others, what is abroad in full.

    The generated numbers are moved to ranges made of zeros, because the API tells Israeli numbers from others.
    """
    digits = number.removeprefix("+")
    if number.startswith("+1202555"):
        last = number[-4:]
        return f"{'072000' if int(last) < _FIRST_OUTSIDE else '050000'}{last}"
    return digits


def _international(number: str) -> str:
    """Return a number with its country code and no plus."""
    shown = _national(number)
    return f"972{shown[1:]}" if shown.startswith("0") else shown


def _comparable(number: str) -> str:
    digits = re.sub(r"[^0-9A-Za-z*]", "", number)
    return f"972{digits[1:]}" if digits.startswith("0") else digits


def _sip(party: Party | None) -> str:
    """Return the SIP code of a telephone of the account, else nothing."""
    if party is None or not party.is_user:
        return ""
    n = _PLACES.get(party.id)
    return f"SIP{digest(party.id)[:6].upper()}" if n is None else f"SIPSIP{n + 1}"


def _user_id(party: Party) -> int:
    n = _PLACES.get(party.id)
    return 10_000_000 + _drawn(party.id) % 10_000_000 if n is None else _FIRST_USER + n


def _department_id(site: Site) -> int:
    return _FIRST_DEPARTMENT + (SITES.index(site) if site in SITES else len(SITES))


def _prefix_name(number: str) -> str:
    """Return the name of the prefix of a number with country code."""
    prefixes = {"9725": "Israel Mobile", "972": "Israel", "44": "United Kingdom", "1": "United States"}
    return next((name for prefix, name in prefixes.items() if len(number) > 5 and number.startswith(prefix)), "")


def _country(number: str) -> str:
    return _prefix_name(_comparable(number)).removesuffix(" Mobile")


def _call_id(call_id: str, n: int, start: int) -> str:
    """Return an id in the form of the published ones: local time some seconds before the start, then letters."""
    local = instant(start - _ID_BEHIND).astimezone(_ZONE)
    drawn = digest("call", call_id, n)
    return f"{local:%Y%m%d%H%M%S}{int(drawn[:6], 16) % 10_000:04d}{drawn[6:20]}"


@dataclass(frozen=True, slots=True)
class _Cdr:
    """One record before it is written; `start` and `end` are Unix milliseconds, spans whole seconds."""

    id: str
    type: int
    start: int
    end: int
    status: str
    caller: str
    target: str
    calling: Party | None = None
    called: Party | None = None
    did: str = ""
    ring: int = 0
    talk: int = 0
    waited: int = 0
    user: Party | None = None
    site: Site = SITES[0]
    queue: str = ""
    layers: tuple[tuple[str, int, int], ...] = ()
    original: str | None = None
    second_status: str = ""
    recorded: bool = False
    draw: int = 0

    @property
    def second(self) -> int:
        """The start in whole Unix seconds, as it stands in the record."""
        return self.start // SECOND

    @property
    def answered(self) -> bool:
        return self.status == "ANSWER"

    @property
    def price(self) -> int | float:
        """The price in agorot: begun minutes of what goes out."""
        if _DIRECTIONS[self.type] != "outgoing":
            return 0
        cost = -(-self.talk // 60) * _FEE.get(_prefix_name(self.target), 0)
        return int(cost) if cost == int(cost) else cost

    @property
    def record_url(self) -> str:
        if not (self.recorded and self.talk):
            return ""
        return f"https://cpanel.voicenter.co.il/CallsHistory/PlayRecord/EXAMPLE{digest(self.id, self.type)[:12]}.mp3"

    @property
    def custom(self) -> Doc | None:
        """Free data; nothing at all now and then, as integrators met."""
        if self.original is not None:
            return {"OriginalIvrUniqueID": self.original}
        if self.draw % 31 == 0:
            return None
        return {"AiExists": "true" if self.answered else "false"} if self.draw % 5 == 0 else {}


def _status(leg: Leg, draw: int, *, outward: bool) -> str:
    """Return the DialStatus of a leg."""
    if leg.answer is not None:
        return "ANSWER"
    if outward and leg.cause == "rejected" and draw % 3 == 0:
        return "INVALIDARGS"
    if outward and leg.cause == "cancelled" and draw % 4 == 0:
        return "SSWPREAUTH"
    if not outward and leg.cause == "unavailable":
        return "NOTDIALED"
    return _STATUSES.get(leg.cause, "NOANSWER")


def _site_of(*parties: Party | None) -> Site:
    return next((party.site for party in parties if party is not None and party.site is not None), SITES[0])


def _records_of(call: Call) -> list[_Cdr]:
    """Return what the service writes of a call: legs of one dialled call share an id, later parts have their own."""
    draw = _drawn(call.id)
    made = {"queue": _of_group, "hunt_group": _of_group, "attendant": _of_menu}.get(call.kind)
    if made is not None and len(call.legs) > 1:
        return [made(call, draw)]
    if call.legs[0].party.kind == "outside":
        return _from_outside(call, draw)
    return _from_inside(call, draw)


def _from_inside(call: Call, draw: int) -> list[_Cdr]:
    """A telephone of the account calls: by hand, by a click or by a dialer."""
    first = call.legs[0]
    peer = call.legs[1].party if len(call.legs) > 1 else None
    outward = call.kind == "outbound"
    box = next((leg for leg in call.legs[1:] if leg.voicemail), None)
    missed = next((leg for leg in call.legs[1:] if leg.party.is_user), first) if box else first
    inner = _sip(peer) or first.to_number
    own_id = _call_id(call.id, 0, first.start)
    plain = _Cdr(
        own_id,
        _OUTGOING,
        first.start,
        missed.end,
        _status(missed, draw, outward=outward),
        _national(first.from_number),
        _international(first.to_number) if outward else inner,
        calling=first.party,
        called=peer if peer and peer.is_user and first.answer is not None and not box else None,
        ring=missed.ring_seconds,
        talk=missed.talk_seconds,
        user=first.party,
        site=_site_of(first.party),
        recorded=first.recorded,
        draw=draw,
    )
    if call.kind == "voicemail_retrieval":
        return [replace(plain, target=first.dialed)]
    if outward and peer and peer.kind == "outside":
        pair = _pair_of(draw)
        return _in_two_legs(plain, first, pair) if pair else [plain]
    later = [leg for leg in call.legs[1:] if leg.voicemail or (outward and leg.party.kind != "outside")]
    return [plain, *(_later(call, leg, n, own_id, draw) for n, leg in enumerate(later, 1))]


def _later(call: Call, leg: Leg, n: int, original: str, draw: int) -> _Cdr:
    """Return a part of a call that has an id of its own and names the one it came from."""
    box = leg.voicemail
    outside = call.legs[0].party.kind == "outside"
    user = (leg.redirected_by or leg.party) if box else leg.party
    return _Cdr(
        _call_id(call.id, n, leg.start),
        _BOX if box else _MOVED,
        leg.start,
        leg.end,
        "VOICEMAIL" if box else _status(leg, draw, outward=False),
        _national(leg.from_number),
        _sip(user),
        calling=None if outside else call.legs[0].party,
        called=None if box else leg.party,
        did=_national(call.legs[0].to_number) if outside and box else "",
        ring=0 if box else leg.ring_seconds,
        talk=leg.talk_seconds,
        user=user,
        site=_site_of(user),
        original=original,
        draw=draw,
    )


def _pair_of(draw: int) -> tuple[int, int] | None:
    """Return the types of a call in two legs; nothing for four of five calls, which are dialled by hand."""
    share = draw % 100
    bounds = ((10, _CLICK), (15, _PRODUCTIVE), (18, _TO_IVR), (20, _TO_QUEUE))
    return next((pair for bound, pair in bounds if share < bound), None)


def _in_two_legs(plain: _Cdr, leg: Leg, pair: tuple[int, int]) -> list[_Cdr]:
    """Return leg 1, the service to the extension, and leg 2, the service to the destination, under one id."""
    reached = leg.end if leg.answer is None else leg.answer
    code = _sip(leg.party)
    one = replace(plain, type=pair[0], target=code, called=leg.party, recorded=False)
    two = replace(plain, type=pair[1], original="" if pair == _CLICK else None)
    if pair in {_TO_IVR, _TO_QUEUE}:
        two = replace(two, queue="Sales queue" if pair == _TO_QUEUE else "")
    if leg.cause == "cancelled":
        # The person put the receiver down before the destination was dialled: both legs begin in one second.
        one = replace(one, status="CANCEL", ring=leg.ring_seconds, talk=0, second_status="NOTCALLED")
        return [one, replace(two, status="NOTCALLED", ring=0, talk=0)]
    picked = leg.start + min(4 * SECOND, (reached - leg.start) // 3)
    one = replace(
        one,
        status="ANSWER",
        ring=(picked - leg.start) // SECOND,
        talk=(leg.end - picked) // SECOND,
        second_status=two.status,
    )
    return [one, replace(two, start=picked, ring=(reached - picked) // SECOND)]


def _from_outside(call: Call, draw: int) -> list[_Cdr]:
    """Somebody calls a number of the account: answered, missed, put through or left on the answering machine."""
    a = call.legs[0]
    inside = [leg for leg in call.legs[1:] if leg.party.kind != "outside"]
    b = inside[0] if inside else a
    own_id = _call_id(call.id, 0, a.start)
    reached = b.end if b.answer is None else b.answer
    plain = _Cdr(
        own_id,
        _INCOMING,
        a.start,
        b.end,
        _status(b, draw, outward=False),
        _national(a.from_number),
        _sip(b.party),
        called=b.party if b.answer is not None else None,
        did=_national(a.dialed or a.to_number),
        ring=(reached - a.start) // SECOND,
        talk=b.talk_seconds,
        user=b.party if b.party.is_user else None,
        site=_site_of(b.party),
        recorded=b.recorded,
        draw=draw,
    )
    if call.kind == "consulted_transfer" and len(inside) > 2:
        asking, second = inside[1], inside[2]
        one_id = _call_id(call.id, 1, asking.start)
        handed = asking.end
        one = _Cdr(
            one_id,
            _CONSULTED[0],
            asking.start,
            handed,
            "ANSWER",
            asking.from_number,
            _sip(second.party),
            calling=b.party,
            called=second.party,
            ring=asking.ring_seconds,
            talk=asking.talk_seconds,
            user=second.party,
            site=_site_of(second.party),
            original=own_id,
            draw=draw,
        )
        talk = (second.end - handed) // SECOND
        two = replace(one, type=_CONSULTED[1], start=handed, end=second.end, caller=plain.caller, calling=None)
        return [plain, one, replace(two, ring=0, talk=talk)]
    later = [_later(call, leg, n, own_id, draw) for n, leg in enumerate(inside[1:], 1)]
    if not later and b.answer is not None and b.party.device == "mobile":
        target = _international(b.party.number)
        forwarded = replace(plain, id=_call_id(call.id, 1, b.start), type=_FORWARDED, start=b.start, target=target)
        later = [replace(forwarded, ring=b.ring_seconds, did="", original=own_id, recorded=False, calling=b.party)]
    return [plain, *later]


def _of_group(call: Call, draw: int) -> _Cdr:
    """A queue or a group of telephones was called: one record, whoever of its members was rung."""
    a, service = call.legs[0], call.legs[1]
    queued = call.kind == "queue"
    won = next((leg for leg in call.legs[2:] if leg.answer is not None), None)
    greeted = a.start if a.answer is None else a.answer
    reached = a.end if won is None or won.answer is None else won.answer
    user = won.party if won else None
    left = _LEFT_QUEUE[draw % len(_LEFT_QUEUE)] if queued else "CANCEL"
    sales = "Sales Department"
    return _Cdr(
        _call_id(call.id, 0, a.start),
        _QUEUED if queued else _INCOMING,
        a.start,
        a.end,
        "ANSWER" if won else left,
        _national(a.from_number),
        _sip(user),
        called=user,
        did=_national(a.dialed or a.to_number),
        ring=(won.ring_seconds if won else 0) if queued else (reached - a.start) // SECOND,
        talk=won.talk_seconds if won else 0,
        waited=(reached - greeted) // SECOND if queued else 0,
        user=user,
        site=_site_of(user, service.party),
        queue=service.party.name if queued else "",
        layers=(("Main IVR", 2, 0), (sales, 0, 2)) if queued else (),
        recorded=bool(won and won.recorded),
        draw=draw,
    )


def _of_menu(call: Call, draw: int) -> _Cdr:
    """The menu answered; a person may have followed."""
    a, menu = call.legs[0], call.legs[1]
    leg = call.legs[2] if len(call.legs) > 2 else None  # caller, menu, person
    pressed = int(menu.key_pressed or 0)
    layers: tuple[tuple[str, int, int], ...] = (("Main IVR", pressed, 0),)
    if leg:
        layers = (*layers, (f"Layer {pressed}", 0, pressed))
    user = leg.party if leg else None
    return _Cdr(
        _call_id(call.id, 0, a.start),
        _INCOMING,
        a.start,
        a.end,
        _status(leg, draw, outward=False) if leg else ("TE" if draw % 3 == 0 else "VOEND"),
        _national(a.from_number),
        _sip(user),
        called=user if leg and leg.answer is not None else None,
        did=_national(a.dialed or a.to_number),
        ring=leg.ring_seconds if leg else 0,
        talk=leg.talk_seconds if leg else 0,
        user=user,
        site=_site_of(user, menu.party),
        layers=layers,
        draw=draw,
    )


@dataclass(slots=True)
class _Asked:
    """One request as it was read, from a body or a query."""

    code: str | None = None
    form: str = "JSON"
    fields: list[str] | None = None
    search: dict[str, list[str]] = field(default_factory=dict)
    sort: list[tuple[str, bool]] = field(default_factory=list)

    def first(self, name: str) -> str:
        return next(iter(self.search.get(name, ())), "")


class Voicenter:
    """`POST` and `GET /hub/cdr/` for one organisation, and what it pushes: `notifications`.

    Windows, limits and freshness are measured by `now`. Records are those of `exchange`, as the service counts calls:
    one per call, two under one CallID for calls by a click or a dialer, one more per transfer, consultation, forward or
    voice mail. Numbers of the exchange stand in Israeli ranges made of zeros.
    """

    name = "voicenter"
    mount = "/voicenter/hub/cdr/"
    calls: tuple[str, ...] = ("cdrs", "notifications")
    switches: Mapping[str, Switch] = SWITCHES

    def __init__(self, exchange: Exchange, now: Clock, *, limits: bool = False) -> None:
        self.exchange = exchange
        self.now = now
        self.switched: dict[str, str] = {name: switch.default for name, switch in SWITCHES.items()}
        self.switched["limits"] = "on" if limits else "off"
        self._issued = 0
        self._spent: dict[str, deque[int]] = {}
        self._records: dict[str, list[_Cdr]] = {}

    # what the server asks

    def credentials(self, kind: str, base_url: str) -> dict[str, Setting]:
        """Return profile settings: kind `code` (default) or `bearer`; new ones after `expire_tokens`."""
        own: dict[str, dict[str, Setting]] = {
            "code": {"code": self._code},
            "bearer": {"access_token": self._token},
        }
        if not kind:
            kind = "code"
        if kind not in own:
            raise ValueError(f"voicenter signs in by {' or '.join(own)}, not by {kind}")
        return {"base_url": base_url, **own[kind], "requests_per_minute": 0}

    def expire_tokens(self) -> None:
        """Make the code and the bearer token invalid: new ones are had by hand, here from `credentials`."""
        self._issued += 1

    def truth(self, call: str, since: datetime, until: datetime, **options: str) -> list[Doc]:
        """Return the records that began in `[since, until)`, as they stand on the wire, in order of their start.

        Only those there are by now. For `cdrs`, every search key of a request is an option, values parted by commas,
        and so is `fields`. `notifications` are each there once, in order of the calls' ends. Raises ValueError for
        another call.
        """
        if call not in self.calls:
            raise ValueError(f"voicenter has the calls {' and '.join(self.calls)}, not {call}")
        lo, hi = milliseconds(since), milliseconds(until)
        if call == "notifications":
            return [self._notification(one) for one in self._ended(lo, hi)]
        asked = _Asked()
        for name, text in options.items():
            asked.search[name] = text.split(",")
        asked.fields = asked.search.pop("fields", None)
        found = [one for one in self._between(lo, hi, self._lag) if self._passes(one, asked)]
        return [self._written(one, self._wanted(asked)) for one in found]

    def notifications(self, since: datetime, until: datetime) -> list[Doc]:
        """Return the bodies pushed for calls that began in `[since, until)`, in the order they were pushed.

        Only those of calls that have ended; repeated ones follow at once. Keys and types as "CDR Notification" at
        voicenter.com gives them.
        """
        pushed = []
        for n, one in enumerate(self._ended(milliseconds(since), milliseconds(until))):
            pushed.append(self._notification(one))
            if self.switched["repeats"] == "on" and n % 5 == 0:
                pushed.append(self._notification(one))
        return pushed

    def reply(self, request: Request) -> Reply:
        """Return the answer to one request."""
        if request.path not in {"/"} | ({""} if self.switched["slash"] == "either" else set()):
            return _page(404, "Not Found")
        if request.method == "POST":
            asked = self._read_body(request.body)
        elif request.method == "GET":
            asked = self._read_query(request.query)
        else:
            return _page(405, "Method Not Allowed")
        return self._refused(request, asked) or self._listed(asked)

    def error(self, status: int, request: Request) -> Reply:  # noqa: ARG002 - other providers echo the request
        """Return an error of that HTTP status: documented ones as JSON, all others as a web page.

        200 is error 1, as the service hides it in a success; 401 and 403 are error 2, 404 is 5, 429 is 1.
        """
        number = {200: 1, 401: 2, 403: 2, 404: 5, 429: 1}.get(status)
        if number is None:
            return _page(status, "Bad Request" if status < 500 else "Service Unavailable")
        return replace(self._error(number), status=status)

    def wrong_shape(self, request: Request) -> Reply:  # noqa: ARG002 - other providers echo the request
        """Return a success that has no `CDR_LIST`."""
        body = {"ERROR_NUMBER": 0, "ERROR_DESCRIPTION": "OK", "STATUS_CODE": 200, "calls": []}
        return Reply(200, dumped(body), _JSON)

    # sign-in

    @property
    def _code(self) -> str:
        return f"{CODE}-{self._issued}"

    @property
    def _token(self) -> str:
        """A token in the form of a JWT."""
        parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": "EXAMPLE", "jti": digest("jti", self._issued)})
        parts_text = [base64.urlsafe_b64encode(dumped(part)).rstrip(b"=").decode() for part in parts]
        return ".".join((*parts_text, f"EXAMPLE{digest('signature', self._issued)}"))

    def _refused(self, request: Request, asked: _Asked) -> Reply | None:
        """Return why the request is not answered with records: credential, address, rate."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if asked.code is not None:
            if asked.code != self._code:
                return self._error(2)
            if self.switched["ip"] == "unlisted":
                return self._error(4, client=request.client)
            who = "code"
        elif scheme.lower() == "bearer" and token == self._token and self.switched["bearer"] == "accepted":
            who = "bearer"
        else:
            return self._error(2)
        if self.switched["limits"] == "off":
            return None
        now = milliseconds(self.now())
        spent = self._spent.setdefault(who, deque())
        most, span = (_PER_SPAN, _RATE_SPAN) if self.switched["limits"] == "on" else (1, 5 * SECOND)
        while spent and spent[0] <= now - span:
            spent.popleft()
        if len(spent) >= most:
            return self._error(1)
        spent.append(now)
        return None

    # requests

    def _read_body(self, body: bytes) -> _Asked:
        """Read a JSON body; names are taken as they are documented, letter by letter."""
        try:
            data = json.loads(body)
        except ValueError:
            return _Asked()
        if not isinstance(data, dict):
            return _Asked()
        asked = _Asked(form=str(data.get("format", "JSON")))
        if "code" in data:
            asked.code = str(data["code"])
        if "fields" in data:
            asked.fields = _texts(data["fields"])
        search = data.get("search")
        if isinstance(search, dict):
            asked.search = {name: _texts(search[name]) for name in self._search_keys if name in search}
        for one in data.get("sort") or ():
            if isinstance(one, dict) and self._today:
                asked.sort.append((str(one.get("field", "")), str(one.get("order", "asc")).lower() == "desc"))
        return asked

    def _read_query(self, query: str) -> _Asked:
        """Read a query: lists are repeated names, letter case of names does not count."""
        given: dict[str, list[str]] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            given.setdefault(name.lower(), []).append(value)
        if self.switched["extension"] == "accepted" and "extension" in given:
            given.setdefault("extensions", []).extend(given["extension"])
        asked = _Asked(form=given.get("format", ["JSON"])[0], fields=given.get("fields"))
        if "code" in given:
            asked.code = given["code"][0]
        asked.search = {name: given[name.lower()] for name in self._search_keys if name.lower() in given}
        return asked

    @property
    def _today(self) -> bool:
        return self.switched["generation"] == "current"

    @property
    def _search_keys(self) -> tuple[str, ...]:
        return _SEARCH_TODAY if self._today else _SEARCH

    def _window(self, asked: _Asked) -> tuple[int, int] | None:
        """Return the window in Unix seconds, its end not included; None for a range that is refused."""
        by_minute = not self._today or self.switched["precision"] == "minute"
        bounds = []
        for name in ("fromdate", "todate"):
            read = _TIME.fullmatch(asked.first(name))
            if not read:
                return None
            seconds = "" if by_minute else (read[2] or "")[:3]
            try:
                written = datetime.fromisoformat(f"{read[1]}{seconds}")
                bounds.append(milliseconds(written.replace(tzinfo=self._asked_zone)) // SECOND)
            except ValueError:
                return None
        lo, hi = bounds
        longest = self.switched["max_days"]
        if hi < lo or (longest != "off" and (hi - lo) * SECOND > int(longest) * DAY):
            return None
        bounds_ = self.switched["bounds"]
        return lo + bounds_.startswith("open"), hi + (bounds_ in {"closed", "open_low"})

    @property
    def _asked_zone(self) -> tzinfo:
        return _ZONE if self.switched["request_zone"] == "israel" else UTC

    # listings

    def _listed(self, asked: _Asked) -> Reply:
        """Answer with the records of a window, as many as one answer may hold."""
        window = self._window(asked)
        if window is None:
            return self._error(5)
        own = {name.lower() for name in (CURRENT_FIELDS if self._today else SEED_FIELDS)}
        known = own if self._today else own | _PASTED
        unknown = next((name for name in asked.fields or () if name.lower() not in known), None)
        if unknown is not None and self.switched["unknown_field"] == "error":
            return self._error(6, name=unknown)
        lo, hi = (second * SECOND for second in window)
        found = [one for one in self._selected(lo, hi) if self._passes(one, asked)]
        if self.switched["order"] == "newest":
            found.reverse()
        for name, descending in reversed(asked.sort):
            found = self._sorted(found, name, descending=descending)
        cap, way = int(self.switched["cap"]), self.switched["over_cap"]
        if len(found) > cap and (way == "error3" or (way == "counters" and not self._today)):
            return self._error(3)
        returned = found[:cap]
        wanted = self._wanted(asked)
        records = [self._written(one, wanted, asked.fields or ()) for one in returned]
        html = self.switched["html"]
        on_format = html == "on_format" or not self._today
        if html == "always" or (on_format and asked.form.upper() == "HTML"):
            return _table(wanted, records)
        envelope: Doc = self._envelope(0)
        if self._today and way != "silent":
            more = int(self.switched["counters"] == "off_by_one")
            envelope |= {"TOTAL_HITS": len(found) + more, "RETURN_HITS": len(returned) + more}
        empty: list[Doc] | None = None if self.switched["empty"] == "null" else []
        return self._answer(200, envelope, records or empty)

    @property
    def _lag(self) -> int:
        return int(self.switched["lag"]) * MINUTE

    def _selected(self, lo: int, hi: int) -> list[_Cdr]:
        """Return the records whose second of start, end or saving, as switched, is in `[lo, hi)` Unix milliseconds."""
        if self.switched["window_on"] == "start":
            return self._between(lo, hi, self._lag)
        found = self._between(lo - self._longest_wait, hi, self._lag)
        return [one for one in found if lo <= self._noticed(one) // SECOND * SECOND < hi]

    @property
    def _longest_wait(self) -> int:
        """The milliseconds from the start of the longest call until its record was saved, and some more."""
        late = 21 * HOUR if self.switched["late"] != "0" else 0
        return self.exchange.longest + self._lag + late + MINUTE

    def _noticed(self, one: _Cdr) -> int:
        """Return the moment by which a record is selected where that is not its start."""
        return one.end if self.switched["window_on"] == "end" else self._saved(one)

    def _saved(self, one: _Cdr) -> int:
        return one.end + self._lag + delay(self.switched["late"], "late", f"{one.id} {one.type}")

    def _between(self, lo: int, hi: int, lag: int = 0) -> list[_Cdr]:
        """Return the records whose second of start is in `[lo, hi)` Unix milliseconds, `lag` after their end."""
        now, late, share = milliseconds(self.now()), self.switched["late"], self.switched["dropped"]
        calls = self.exchange.calls_between(lo - self.exchange.longest - SECOND, hi + SECOND)
        found = [
            one
            for call in calls
            if call.end + SECOND >= lo
            for one in self._records_of(call)
            if lo <= one.second * SECOND < hi
            and one.end + lag + delay(late, "late", f"{one.id} {one.type}") <= now
            and not dropped(share, f"{one.id} {one.type}", one.end, now)
        ]
        found.sort(key=lambda one: (one.start, one.id, one.type))
        return found

    def _records_of(self, call: Call) -> list[_Cdr]:
        """Return the records of a call; they are the same for every request, so they are made once."""
        known = self._records.get(call.id)
        if known is None:
            known = self._records[call.id] = _records_of(call)
        return known

    def _passes(self, one: _Cdr, asked: _Asked) -> bool:
        """Return whether a record is among those searched; keys that are absent or empty do not restrict."""
        search = asked.search
        phones = {_comparable(phone) for phone in search.get("phones", ())}
        if phones and phones.isdisjoint({_comparable(number) for number in (one.caller, one.target, one.did)}):
            return False
        extensions = set(search.get("extensions", ()))
        if extensions and extensions.isdisjoint({_sip(one.calling), _sip(one.called)}):
            return False
        exact = {
            "callID": one.id,
            "cdrTypes": str(one.type),
            "campaignID": str(CAMPAIGN) if one.type in _DIALER else "",
            "queueID": str(QUEUE_ID) if one.queue else "",
        }
        if any(search.get(name) and value not in search[name] for name, value in exact.items()):
            return False
        whose = asked.first("IdentityCriteria")
        if whose == "Department":
            return one.site == SITES[0]
        return whose != "User" or one.user == PEOPLE[0]

    def _sorted(self, found: list[_Cdr], name: str, *, descending: bool) -> list[_Cdr]:
        known = next((one for one in CURRENT_FIELDS if one.lower() == name.lower()), None)
        if known is None:
            return found

        def by_value(one: _Cdr) -> tuple[int, float, str]:
            value = one.start // SECOND if known == "Date" else self._made(one)[known]
            number = isinstance(value, int | float)
            return int(not number), float(value) if number else 0.0, "" if number else str(value)

        return sorted(found, key=by_value, reverse=descending)

    def _wanted(self, asked: _Asked) -> tuple[str, ...]:
        """Return the fields of an answer in the service's own order; all where none was asked."""
        known = CURRENT_FIELDS if self._today else SEED_FIELDS
        if not asked.fields:
            return known
        names = {name.lower() for name in asked.fields}
        return tuple(name for name in known if name.lower() in names)

    # records

    def _duration(self, one: _Cdr, *, with_wait: bool) -> int:
        return one.talk + one.waited if with_wait and one.type in _QUEUE_TYPES else one.talk

    def _type_name(self, one: _Cdr) -> str:
        name = TYPES[one.type]
        if self.switched["types"] == "current":
            return name
        if one.type == _OUTGOING and one.draw // 100 % 10 == 0:
            return SEED_TYPES[one.draw // 1000 % len(SEED_TYPES)]
        return name.replace("Click2Call leg", "Click2Callleg")

    def _made(self, one: _Cdr) -> Doc:
        """Return all fields of a record under their documented names."""
        form = self.switched["date"]
        stamp = instant(one.second * SECOND)
        if form != "z" and self.switched["date_zone"] == "israel":
            stamp = stamp.astimezone(_ZONE)
        forms = {"z": "%Y-%m-%dT%H:%M:%SZ", "blank": "%Y-%m-%d %H:%M:%S", "no_zone": "%Y-%m-%dT%H:%M:%S"}
        user = one.user
        code = str(_user_id(user)) if user else ""
        left = one.type in _QUEUE_TYPES and one.status in _LEFT_QUEUE
        return {
            "CallerNumber": one.caller,
            "TargetNumber": one.target,
            "Date": stamp.strftime(forms[form]),
            "DateEpoch": one.second,
            "Duration": self._duration(one, with_wait=self.switched["queue_duration"] == "with_wait"),
            "CallID": one.id,
            "CustomData": one.custom,
            "Type": self._type_name(one),
            "CdrType": one.type,
            "DialStatus": "ABANDONE" if left and not self._today else one.status,
            "DialStatus2": one.second_status,
            "TargetExtension": _sip(one.called),
            "CallerExtension": _sip(one.calling),
            "DID": one.did,
            "QueueName": one.queue,
            "RecordURL": one.record_url,
            "RecordExpect": one.recorded,
            "RingTime": one.ring,
            "RepresentativeName": user.name if user else None,
            "RepresentativeCode": code,
            "UserName": user.name if user else "",
            "UserId": _user_id(user) if user else "",
            "DTMFData": [
                {"LayerName": layer, "DTMF": key, "LayerNumber": str(number)} for layer, key, number in one.layers
            ],
            "DepartmentName": one.site.name,
            "DepartmentId": _department_id(one.site),
            "Price": one.price,
            "TargetPrefixName": _prefix_name(one.target),
        }

    def _written(self, one: _Cdr, wanted: Sequence[str], asked: Sequence[str] | None = None) -> Doc:
        """Return a record as the switches say it stands on the wire, to a request that names its fields as `asked`.

        None stands for a request that names all of them as they are documented.
        """
        made = self._made(one)
        wait = delay(self.switched["changed"], "changed", f"{one.id} {one.type}")
        if wait and milliseconds(self.now()) < one.end + wait:
            made["RecordURL"] = ""
        if self.switched["epoch"] == "off":
            wanted = [name for name in wanted if name != "DateEpoch"]
        if self.switched["call_id"] == "off":
            wanted = [name for name in wanted if name != "CallID"]
        record = self._numbered({name: made[name] for name in wanted})
        if self.switched["new_field"] == "on" and asked is not None and not asked:
            record["ServiceLevel"] = "gold"
        keys = self.switched["keys"]
        if keys == "by_fields" and asked is not None:
            spelt = {name.lower(): name for name in asked}
            return {spelt.get(name.lower(), name.lower()): value for name, value in record.items()}
        if keys == "lower" or (keys == "mixed" and one.draw % 2):
            return {name.lower(): value for name, value in record.items()}
        if keys == "mixed":
            return {_MISSPELT.get(name, name): value for name, value in record.items()}
        return record

    def _numbered(self, record: Doc) -> Doc:
        """Write numbers as text where that is switched on."""
        if self.switched["numbers"] == "json":
            return record
        return {name: str(value) if isinstance(value, int | float) else value for name, value in record.items()}

    # notifications

    def _ended(self, lo: int, hi: int) -> list[_Cdr]:
        """Return the records of calls that have ended, in the order they are pushed."""
        return sorted(self._between(lo, hi), key=lambda one: (one.end, one.start, one.id, one.type))

    def _notification(self, one: _Cdr) -> Doc:
        """Return the body pushed for one record."""
        today = self.switched["notification"] == "current"
        with_wait = today or self.switched["queue_duration"] == "with_wait"
        user = one.user
        queued = one.type in _QUEUE_TYPES
        inward = _DIRECTIONS[one.type] == "incoming"
        body: Doc = {
            "caller": one.caller,
            "target": one.target,
            "time": one.second,
            "duration": self._duration(one, with_wait=with_wait),
            "ivruniqueid": one.id,
            "type": self._type_name(one),
            "status": "ABANDONE" if queued and one.status in _LEFT_QUEUE and not today else one.status,
            "targetextension": _sip(one.called),
            "callerextension": _sip(one.calling),
            "did": one.did,
            "queueid": QUEUE_ID if one.queue else 0,
            "queuename": one.queue,
            "record": one.record_url,
            "price": one.price,
            "dialtime": one.ring,
            "representative_name": user.name if user else "",
            "representative_code": str(_user_id(user)) if user else "",
            "targetextension_name": one.called.name if one.called else "",
            "callerextension_name": one.calling.name if one.calling else "",
            "target_country": "" if inward else _country(one.target),
            "caller_country": _country(one.caller) if inward else "",
        }
        if queued:
            body["seconds_waiting_in_queue"] = one.waited
        if one.original:
            body["OriginalIvrUniqueID"] = one.original
        if today:
            body |= self._further(one)
        return self._numbered(body)

    def _further(self, one: _Cdr) -> Doc:
        """Return what notifications of today have besides."""
        outward = _DIRECTIONS[one.type] == "outgoing"
        direction = "internal" if one.type == _OUTGOING and one.target.startswith("SIP") else _DIRECTIONS[one.type]
        found: Doc = {
            "direction": direction,
            "extenUser": _sip(one.user) if one.status not in {"VOEND", "TE"} else "",
            "callerPhone": one.target if outward else one.caller,
            "isAnswer": int(one.answered),
            "actualCallDuration": one.talk,
            "actualCallDialtime": one.ring,
            "DepartmentID": _department_id(one.site),
            "DepartmentName": one.site.name,
            "TopDepartmentID": _FIRST_DEPARTMENT - 1,
            "TopDepartmentName": "Example Ltd",
        }
        if one.type in _DIALER:
            found |= {"campaignID": CAMPAIGN, "campaignName": CAMPAIGN_NAME, "campaignCode": "AUTUMN"}
        found["CustomData"] = one.custom or {}
        found["IVR"] = [
            {"layer_id": 1234 + n, "layer_name": layer, "layer_number": number, "Dtmf": key, "dtmf_order": n + 1}
            for n, (layer, key, number) in enumerate(one.layers)
        ]
        if one.answered and one.draw % 5 == 0:
            found["aiData"] = {
                "insights": {
                    "questions": [{"key": "issue_resolved", "answer": "false", "data_type": "boolean"}],
                    "summary": 'The caller said "no", then agreed.',
                },
                "emotions": {"sentences": [{"sentence_id": 1, "emotion": "calm", "emotion_direction": 1}]},
                "transcript": [
                    {"speaker": "Speaker0", "text": "שלום, good morning.", "startTime": 1.87, "endTime": 5.2}
                ],
            }
        return found

    # answers

    def _envelope(self, number: int, **values: str) -> Doc:
        text, status = ERRORS[number]
        envelope: Doc = {"ERROR_NUMBER": number, "ERROR_DESCRIPTION": text.format(**values)}
        return envelope | ({"STATUS_CODE": status} if self._today else {})

    def _error(self, number: int, **values: str) -> Reply:
        status = ERRORS[number][1] if self.switched["http_errors"] == "real" else 200
        return self._answer(status, self._envelope(number, **values), [])

    def _answer(self, status: int, envelope: Doc, records: list[Doc] | None) -> Reply:
        if self.switched["html"] == "always":
            return _page(status, str(envelope["ERROR_DESCRIPTION"]))
        body = {**self._numbered(envelope), "CDR_LIST": records}
        if self.switched["keys"] == "mixed":
            body = {name.lower(): value for name, value in body.items()}
        return Reply(status, dumped(body), _JSON)


_JSON = {"Content-Type": "application/json; charset=utf-8"}
_HTML = {"Content-Type": "text/html; charset=utf-8"}


def _texts(value: Any) -> list[str]:
    """Return the texts of a list, or of a single value that stands for one."""
    values: Iterable[Any] = value if isinstance(value, list) else [] if value is None else [value]
    return [str(one) for one in values]


def _page(status: int, text: str) -> Reply:
    return Reply(status, f"<html><body><h1>{escape(text)}</h1></body></html>".encode(), _HTML)


def _table(names: Sequence[str], records: Sequence[Doc]) -> Reply:
    """Return a table of records; its layout is not published."""

    def row(cells: Iterable[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    rows = "".join((row(names, "th"), *(row(record.values(), "td") for record in records)))
    return Reply(200, f"<html><body><table>{rows}</table></body></html>".encode(), _HTML)
