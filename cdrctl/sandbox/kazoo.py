"""2600Hz Kazoo's Crossbar, imitated from its source, faults included.

Sources: GitHub 2600hz/kazoo, `master` (5.0) and branches 4.3, 4.2, 4.0, 3.22: cb_cdrs.erl, crossbar_view.erl,
api_util.erl, kzd_cdrs.erl, cdr_channel_destroy.erl, kz_buckets.erl; GitHub openkazoo/kazoo5-dev for 5.x. Documents lie
in one database per UTC month of the interaction's start, listings are ordered by the moment of saving.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import md5, sha1
from typing import Any
from urllib.parse import unquote

from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.exchange.clock import SECOND, delay, digest, dropped, instant, milliseconds
from cdrctl.sandbox.exchange.parties import PEOPLE, Call, Leg, Party
from cdrctl.sandbox.wire import CHANGED, DROPPED, LATE, Clock, Reply, Request, Setting, Switch, dumped

GREGORIAN = 62_167_219_200
"""Gregorian seconds of 1 January 1970, 00:00 UTC."""

COLUMNS = (
    "id",
    "call_id",
    "caller_id_number",
    "caller_id_name",
    "callee_id_number",
    "callee_id_name",
    "duration_seconds",
    "billing_seconds",
    "timestamp",
    "hangup_cause",
    "other_leg_call_id",
    "owner_id",
    "to",
    "from",
    "direction",
    "request",
    "authorizing_id",
    "cost",
    "dialed_number",
    "calling_from",
    "datetime",
    "unix_timestamp",
    "unix_timestamp_micro",
    "rfc_1036",
    "iso_8601",
    "iso_8601_combined",
    "call_type",
    "rate",
    "rate_name",
    "bridge_id",
    "recording_url",
    "media_recordings",
    "media_server",
    "call_priority",
    "interaction_id",
)
"""Columns of a row in the order Crossbar 5.0 writes them."""

_NOT_IN: dict[str, frozenset[str]] = {
    "5.0": frozenset(),
    "5.x": frozenset(),
    "4.3": frozenset({"unix_timestamp_micro"}),
    "4.2": frozenset({"unix_timestamp_micro", "iso_8601_combined", "interaction_id"}),
    "4.0": frozenset({"unix_timestamp_micro", "iso_8601_combined", "interaction_id", "media_server"}),
    "3.22": frozenset(
        {"unix_timestamp_micro", "iso_8601_combined", "interaction_id", "media_server", "media_recordings"}
    ),
}
_RELEASES = {"5.0": "5.0.0", "5.x": "5.1.0", "4.3": "4.3.0", "4.2": "4.2.0", "4.0": "4.0.0", "3.22": "3.22.0"}
_OLD = {"4.0", "3.22"}
_PLAIN_KEYS = _OLD
_STRING_SECONDS = {"4.2", "4.0", "3.22"}

API_KEY = digest("kazoo key") + digest("kazoo key", 2)
USERNAME = "operator@acme.example"
PASSWORD = "EXAMPLE-KAZOO-PASSWORD"
_DESCENDANTS = (("North, Ltd", "north.acme.example"), ("Südwerk", "sued.acme.example"))
NODE = "bEkFfLb3wKMqqMXVvQNvYw"
PAGE_SIZE = 50
CHUNK_SIZE = 50
_BUCKET, _PER_SECOND, _SIGN_IN_COST = 100, 10, 35
_CARRIER = digest("resource", 1)
_MILLI = 1000
_NEVER = 10**12
_UNITS_PER_DOLLAR = 10_000
_MEDIA_SERVERS = ("fs1.sandbox.example", "fs2.sandbox.example")

SWITCHES: dict[str, Switch] = {
    "version": Switch("5.0", ("5.x", "4.3", "4.2", "4.0", "3.22"), meaning="release imitated"),
    "bounds": Switch(
        "closed",
        ("half_open", "open_low", "open"),
        meaning="which of created_from and created_to are part of the range; both are in the source",
    ),
    "straddle": Switch("lost", ("found",), meaning="calls over a month's start in /cdrs"),
    "month_cursor": Switch("buggy", ("right",), meaning="where the next month begins within one request"),
    "fail_chunk": Switch("0", (), r"\d+", meaning="the database fails at this chunk of every answer (200, success)"),
    "cut_body": Switch(
        "0", (), r"\d+", meaning="the body of this listing answer, counted from 1, is cut in the middle"
    ),
    "poison": Switch("none", (), r".+", "an id", "id of a document without call_direction"),
    "views": Switch(
        "0", (), r"\d+", meaning="seconds that a month's view is being built from when it is first asked for (503)"
    ),
    "strip_empty": Switch("off", ("on",), meaning="empty strings are left out of rows"),
    "max_range": Switch("2682000", (), r"[1-9]\d*", meaning="longest created range in seconds"),
    "token_ttl": Switch("3600", (), r"\d+", meaning="seconds a token lives"),
    "account": Switch("ok", ("expired",), meaning="the account is locked (423)"),
    "reseller": Switch("off", ("on",), meaning="reseller columns"),
    "memory_limit": Switch("off", (), r"\d+", meaning="rows an unpaged answer may hold (416)"),
    "late": replace(LATE, meaning="share of documents that are saved seconds to minutes late"),
    "changed": CHANGED,
    "dropped": DROPPED,
    "late_save": Switch("0", (), r"\d+", meaning="seconds a document is saved later than usual"),
    "same_second": Switch("0", (), r"\d+", meaning="so many documents in a row are saved in one second"),
    "duration": Switch(
        "right",
        ("minus_unix", "unix", "minus"),
        meaning="duration and billing of legs killed while new: minus a Unix time (until 4.3), a Unix time, -3 seconds",
    ),
    "billing": Switch("always", ("empty", "absent"), meaning="billing_seconds of rows of before September 2018"),
    "archived": Switch("none", (), r"\d{6}", "YYYYMM", "month the operator took away"),
    "limits": Switch(
        "off",
        ("on", "sign_in"),
        meaning="100 tokens, 10 a second back; sign_in: a token that passes early authentication spends none",
    ),
}

_CAUSES = {
    "normal": "NORMAL_CLEARING",
    "busy": "USER_BUSY",
    "no_answer": "NO_ANSWER",
    "cancelled": "ORIGINATOR_CANCEL",
    "rejected": "CALL_REJECTED",
    "unallocated": "UNALLOCATED_NUMBER",
    "unavailable": "USER_NOT_REGISTERED",
    "answered_elsewhere": "LOSE_RACE",
    "abandoned": "ORIGINATOR_CANCEL",
    "blind_transfer": "BLIND_TRANSFER",
    "consulted_transfer": "ATTENDED_TRANSFER",
}
_CODES = {"NORMAL_CLEARING": "sip:200", "USER_BUSY": "sip:486", "CALL_REJECTED": "sip:603", "NO_ANSWER": "sip:480"}

Doc = dict[str, Any]
Key = tuple[int, int, str]
"""A view key `[seconds, id]`: the number, what the second part is (0 absent, 1 text, 2 an object), the text.

Text alone, which comes before all numbers, has -1 seconds.
"""


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the imitated cluster; ids have 32 hexadecimal digits."""

    id: str
    name: str
    realm: str
    exchange: Exchange
    parent: str = ""


@dataclass(frozen=True, slots=True)
class _Stored:
    """A document with what the views index, in Gregorian seconds; the document itself is made when asked for."""

    saved: int
    id: str
    start: int
    interaction: tuple[int, str]
    owner: str
    leg: Leg
    account: Account
    call_ids: Mapping[str, str]
    bridge: str

    @property
    def killed(self) -> bool:
        """Whether it is one of the legs that `duration` is about: every third that was not answered."""
        return self.leg.answer is None and int(digest("killed", self.leg.id)[:2], 16) % 3 == 0

    @property
    def doc(self) -> Doc:
        """A new copy of the document."""
        began, key = self.interaction
        doc = _made(self.leg, self.account, self.call_ids, self.bridge)
        doc["interaction_id"] = f"{began}-{key}"
        doc["interaction_time"] = began
        doc["interaction_key"] = key
        doc["media_server"] = _MEDIA_SERVERS[int(key, 16) % 2]
        doc["custom_channel_vars"] = _channel_vars(self.leg, self.account, self.bridge)
        doc["id"] = self.id
        return doc


@dataclass(slots=True)
class _Month:
    """One month's database of an account, in the order of `[saved, id]`."""

    documents: list[_Stored] = field(default_factory=list)
    by_id: dict[str, _Stored] = field(default_factory=dict)


@dataclass(slots=True)
class _Listing:
    """What a listing request asks for, in Gregorian seconds."""

    account: Account
    interaction: bool
    owner: str
    created: tuple[int, int]
    start_key: Key
    end_key: Key
    descending: bool
    page_size: int | None
    chunk_size: int
    chunked: bool
    months: list[str]
    asked: dict[str, str]


@dataclass(slots=True)
class _Found:
    """Rows of a listing, the key they were cut at, and an error of the database met on the way."""

    rows: list[Doc] = field(default_factory=list)
    count: int = 0
    last_key: Key | None = None
    fault: str = ""


class _DatabaseError(Exception):
    """The database did not answer; the argument is the fault's name."""


class _BadParameterError(Exception):
    """A query parameter is refused with the text of the argument."""


def _people_ids() -> dict[str, tuple[str, str]]:
    return {party.id: (digest("owner", party.id), digest("device", party.id)) for party in PEOPLE}


_OWNERS = _people_ids()
OWNER_IDS = {party.name: _OWNERS[party.id][0] for party in PEOPLE}
"""User ids of the persons of the exchange, by name."""


class Kazoo:
    """Crossbar's sign-in, CDR listings, interactions, legs and single documents for a reseller and two descendants.

    Tokens and buckets are measured by `now`. The reseller's calls are those of `exchange`; descendants have calls of
    their own from the same seed.
    """

    name = "kazoo"
    mount = "/kazoo/v2"
    calls: tuple[str, ...] = ("cdrs", "interactions")
    switches: Mapping[str, Switch] = SWITCHES

    def __init__(self, exchange: Exchange, now: Clock, *, limits: bool = False) -> None:
        self.exchange = exchange
        self.now = now
        self.switched: dict[str, str] = {name: switch.default for name, switch in SWITCHES.items()}
        self.switched["limits"] = "on" if limits else "off"
        top = digest("account", 0)
        self.accounts = (
            Account(top, "Acme Telecom", "acme.example", exchange),
            *(
                Account(digest("account", n), name, realm, exchange.sibling(name), top)
                for n, (name, realm) in enumerate(_DESCENDANTS, 1)
            ),
        )
        self._by_id = {account.id: account for account in self.accounts}
        self._tokens: dict[str, tuple[str, float]] = {}
        self._expired: set[str] = set()
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}
        self._months: dict[tuple[str, ...], _Month] = {}
        self._views: dict[tuple[object, ...], tuple[int, list[Key], list[_Stored]]] = {}
        self._building: dict[tuple[str, str, bool], float] = {}
        self._answers = 0
        self._listings = 0
        self._issued = 0
        self._static_token = self._new_token(top, math.inf)
        self._below_token = self._new_token(self.accounts[1].id, math.inf)

    # what the server asks

    def credentials(self, kind: str, base_url: str) -> dict[str, Setting]:
        """Return profile settings: kind `api_key` (default), `password`, `realm`, `auth_token` or `descendant`.

        `descendant` is the token of the first descendant, which may not read its reseller.
        """
        below = self.accounts[1]
        own: dict[str, dict[str, Setting]] = {
            "api_key": {"api_key": API_KEY},
            "password": {"username": USERNAME, "password": PASSWORD, "account_name": self.accounts[0].name},
            "realm": {"username": USERNAME, "password": PASSWORD, "account_realm": self.accounts[0].realm},
            "auth_token": {"auth_token": self._static_token},
            "descendant": {"account_id": below.id, "auth_token": self._below_token},
        }
        kind = kind or "api_key"
        if kind not in own:
            raise ValueError(f"kazoo signs in by {', '.join(own)}, not by {kind}")
        top = self.accounts[0].id
        return {"base_url": base_url, "account_id": top, **own[kind], "requests_per_minute": 0}

    def expire_tokens(self) -> None:
        """Make every token now known an expired one."""
        self._expired.update(self._tokens)

    def truth(self, call: str, since: datetime, until: datetime, **options: str) -> list[Doc]:
        """Return the rows whose `unix_timestamp` is in `[since, until)`, oldest first, as they stand on the wire.

        Only those saved by now. `account` (an id, default the reseller's own) and `user` (an owner id) restrict.
        `interactions` are the earliest legs, of the user's where one is given. A poison document is no row. Raises
        ValueError for another call.
        """
        if call not in self.calls:
            raise ValueError(f"kazoo tells the truth of {' and '.join(self.calls)}, not of {call}")
        account = self._by_id[options.get("account", self.accounts[0].id)]
        lo, hi = milliseconds(since), milliseconds(until)
        now = self._gregorian_now()
        owner = options.get("user", "")
        months = _months_between(
            lo // SECOND + GREGORIAN - account.exchange.longest // SECOND - 1, hi // SECOND + GREGORIAN
        )
        stored = [
            one
            for month in months
            for one in self._month(account, month).documents
            if one.saved <= now and (not owner or one.owner == owner) and not self._dropped(one)
        ]
        if call == "interactions":
            stored = list(_earliest(stored).values())
        lo_s, hi_s = -(-lo // SECOND) + GREGORIAN, -(-hi // SECOND) + GREGORIAN
        chosen = sorted((one for one in stored if lo_s <= one.start < hi_s), key=lambda one: (one.start, one.id))
        interaction = call == "interactions"
        return [self._row(one, {}, interaction=interaction) for one in chosen if one.id != self.switched["poison"]]

    def reply(self, request: Request) -> Reply:
        """Return the answer to one request."""
        self._answers += 1
        parts = [unquote(part) for part in request.path.strip("/").split("/")]
        if parts[0] in {"api_auth", "user_auth"} and len(parts) == 1:
            return self._sign_in(request, parts[0])
        asked = request.values
        token = _token_of(request, asked, self.switched["version"])
        known = self._tokens.get(token)
        if known is None:
            return self._refused_token(token, "invalid_credentials", {"message": "invalid credentials"})
        account_id, life = known
        if token in self._expired or life <= self.now().timestamp():
            return self._refused_token(token, "invalid credentials", {})
        target = parts[1] if parts[0] == "accounts" and len(parts) > 1 else account_id
        if self.switched["limits"] != "sign_in" and not self._spend(request.client, target, 1):
            return self._failed(request, 429, "too_many_requests", {"message": "too many requests"})
        if parts[0] != "accounts" or len(parts) < 3:  # /accounts/ID/noun
            return self._failed(request, 404, "not_found", {"message": "not found"})
        account = self._by_id.get(target)
        if account is None or account_id not in {account.id, account.parent}:
            return self._failed(request, 403, "forbidden", {"message": "forbidden"})
        if self.switched["account"] == "expired":
            data = {"account": {"expired": {"message": "account is expired"}}}
            return self._failed(request, 423, "locked", data)
        if request.method != "GET":
            return self._wrong_method(request)
        csv = _wants_csv(request, asked)
        if csv is None:
            return Reply(406)
        return self._routed(request, account, parts[2:], asked, csv=csv)

    def error(self, status: int, request: Request) -> Reply:
        """Return an error envelope of that status, as Crossbar's error builders make it."""
        words: dict[int, tuple[str, Any]] = {
            401: ("invalid_credentials", {"message": "invalid credentials"}),
            403: ("forbidden", {"message": "forbidden"}),
            404: ("bad_identifier", {"cause": request.path, "message": "bad identifier"}),
            416: ("range not satisfiable", {"message": "range not satisfiable"}),
            429: ("too_many_requests", {"message": "too many requests"}),
            500: ("datastore_fault", {"cause": "timeout", "message": "unknown failure"}),
            503: ("datastore_fault", {"message": "datastore fatal error"}),
        }
        message, data = words.get(status, ("error", {}))
        if status == 401:
            return self._refused_token(_token_of(request, request.values, "5.x"), message, data)
        if status == 405:
            return self._wrong_method(request)
        return self._failed(request, status, message, data)

    def wrong_shape(self, request: Request) -> Reply:
        """Return a success whose `data` is not a list."""
        return self._plain(request, {"message": "maintenance"})

    # sign-in

    def _sign_in(self, request: Request, way: str) -> Reply:
        """Answer `PUT /api_auth` and `PUT /user_auth`: cb_api_auth.erl, cb_user_auth.erl."""
        if request.method != "PUT":
            return self._wrong_method(request)
        if not self._spend(request.client, "", _SIGN_IN_COST):
            return self._failed(request, 429, "too_many_requests", {"message": "too many requests"})
        try:
            data = json.loads(request.body)["data"]
        except (ValueError, KeyError, TypeError):
            data = None
        if not isinstance(data, dict):
            return self._failed(request, 400, "malformed_json", {"message": "invalid json"})
        if way == "api_auth":
            key = data.get("api_key")
            wrong = _not_by_schema(key)
            if wrong:
                return self._failed(request, 400, "validation error", {"api_key": wrong})
            if key != API_KEY:
                return self._failed(request, 404, "bad_identifier", {"cause": key, "message": "bad identifier"})
        elif not self._password_fits(data):
            return self._refused_token("", "invalid_credentials", {"message": "invalid credentials"})
        account = self.accounts[0]
        token = self._new_token(account.id, self.now().timestamp() + int(self.switched["token_ttl"]))
        body: Doc = {
            "account_id": account.id,
            "owner_id": OWNER_IDS[PEOPLE[0].name] if way == "user_auth" else None,
            "is_reseller": True,
            "reseller_id": account.id,
            "language": "en-US",
            "apps": [],
        }
        body = {name: value for name, value in body.items() if value is not None}
        envelope = self._envelope(request, token) | {
            "data": body,
            "revision": digest("revision", self._answers),
            "status": "success",
        }
        return Reply(201, dumped(envelope), {"Content-Type": "application/json", **self._always()})

    def _password_fits(self, data: Doc) -> bool:
        hashed = {"md5": md5, "sha": sha1}.get(data.get("method", "md5"))
        account = self.accounts[0]
        named = (data.get("account_name"), data.get("account_realm"))
        if hashed is None or (named[0] != account.name and named[1] != account.realm):
            return False
        text = f"{USERNAME.lower()}:{PASSWORD}".encode()
        return data.get("credentials") == hashed(text, usedforsecurity=False).hexdigest()

    def _new_token(self, account_id: str, life: float) -> str:
        """Return a new token in the form of a JWT."""
        self._issued += 1
        claims = {"iss": "kazoo", "account_id": account_id, "jti": digest("jti", self._issued)}
        parts = [{"alg": "RS256", "typ": "JWT", "kid": digest("kid")}, claims]
        signature = base64.urlsafe_b64encode(bytes.fromhex(digest("signature", self._issued)))
        token = ".".join(base64.urlsafe_b64encode(dumped(p)).rstrip(b"=").decode() for p in parts)
        token = f"{token}.{signature.rstrip(b'=').decode()}"
        self._tokens[token] = (account_id, life)
        return token

    def _spend(self, client: str, account: str, cost: int) -> bool:
        """Take from the bucket of a client address and account: kz_buckets.erl."""
        if self.switched["limits"] == "off":
            return True
        now = self.now().timestamp()
        left, filled = self._buckets.get((client, account), (float(_BUCKET), now))
        whole = max(0, math.floor(now - filled))
        left = min(_BUCKET, left + whole * _PER_SECOND)
        enough = left >= cost
        self._buckets[client, account] = (left - cost if enough else left, filled + whole)
        return enough

    # routes

    def _routed(
        self, request: Request, account: Account, nouns: list[str], asked: dict[str, str], *, csv: bool
    ) -> Reply:
        owner = ""
        if nouns[0] == "users" and len(nouns) > 2:  # users/ID/cdrs
            owner, nouns = nouns[1], nouns[2:]
        match nouns:
            case ["descendants"] if not owner:
                return self._descendants(request, account)
            case ["cdrs"] | ["cdrs", "interaction"]:
                return self._listed(request, account, owner, asked, interaction=len(nouns) > 1, csv=csv)
            case ["cdrs", "summary"] if not owner:
                return self._plain(request, {})
            case ["cdrs", "legs", leg_id] if not owner:
                return self._legs(request, account, leg_id, asked)
            case ["cdrs", cdr_id] if not owner:
                return self._single(request, account, cdr_id)
        return self._failed(request, 404, "not_found", {"message": "not found"})

    def _descendants(self, request: Request, account: Account) -> Reply:
        rows = [
            {"id": one.id, "name": one.name, "realm": one.realm, "tree": [account.id], "flags": []}
            for one in self.accounts
            if one.parent == account.id
        ]
        return self._plain(request, rows, {"page_size": len(rows)} if rows else {})

    def _single(self, request: Request, account: Account, cdr_id: str) -> Reply:
        """Answer `/cdrs/CDR_ID`: any id without a month in front is unknown before it is looked up."""
        if not re.match(r"\d{6}-", cdr_id):
            return self._failed(request, 404, "could not find cdr with supplied id", {})
        found = self._visible(account, cdr_id)
        if found is None:
            return self._failed(request, 404, "bad_identifier", {"cause": cdr_id, "message": "bad identifier"})
        return self._plain(request, self._document(found))

    def _legs(self, request: Request, account: Account, leg_id: str, asked: dict[str, str]) -> Reply:
        """Answer `/cdrs/legs/ID`: ID is that of an interaction or of one of its legs."""
        if re.match(r"\d{6}-", leg_id):
            found = self._visible(account, leg_id)
            if found is None:
                return self._failed(request, 404, "could not find legs for supplied id", {})
            interaction = f"{found.interaction[0]}-{found.interaction[1]}"
        elif re.match(r"\d{11}-", leg_id):
            interaction = leg_id
        else:
            return self._failed(request, 404, "bad_identifier", {"cause": leg_id, "message": "bad identifier"})
        try:
            size = _page_size(asked)
        except _BadParameterError as error:
            return self._failed(request, 404, "faulty_request", {"message": str(error)})
        began, _, key = interaction.partition("-")
        now = self._gregorian_now()
        legs = [
            one
            for one in self._month(account, _month_of(int(began))).documents
            if one.interaction == (int(began), key) and one.saved <= now
        ]
        descending = self._descending(asked)
        legs.sort(key=lambda one: (one.start, one.id), reverse=descending)
        begin = _packed(_binary(interaction), _OBJECT) if descending else _packed(_binary(interaction))
        asked_key = self._named_key(asked) or begin
        keys = [begin, *(_leg_key(interaction, one) for one in legs)]
        other = len(legs) if descending else 0  # text, which comes before all keys
        first = max(0, keys.index(asked_key) - 1) if asked_key in keys else other
        many = size or CHUNK_SIZE
        # Pages follow each other newest first, and each is turned round: normalize_leg_view_results in cb_cdrs.erl.
        pages = [legs[at : at + many][::-1] for at in range(first, len(legs), many)]
        chosen = [one for page in (pages if size is None else pages[:1]) for one in page]
        paging: Doc = {}
        if chosen and size is not None:
            if first + len(chosen) < len(legs):
                paging["next_start_key"] = _leg_key(interaction, legs[first + len(chosen)])
            paging["page_size"] = len(chosen)
            paging["start_key"] = asked_key
        return self._plain(request, [self._document(one) for one in chosen], paging)

    # listings

    def _listed(
        self, request: Request, account: Account, owner: str, asked: dict[str, str], *, interaction: bool, csv: bool
    ) -> Reply:
        """Answer a listing of legs or interactions: crossbar_view.erl."""
        offset = asked.get("utc_offset")
        if offset is not None and not re.fullmatch(r"-?\d+(\.\d+)?", offset):
            return self._failed(request, 404, "utc_offset must be a number", {})
        try:
            listing = self._asked_listing(account, owner, asked, interaction=interaction)
        except _BadParameterError as error:
            return self._failed(request, 404, "faulty_request", {"message": str(error)})
        lo, hi = listing.created
        limit = int(self.switched["max_range"])
        wrong: tuple[str, int] | None = None
        if hi < lo:
            wrong = f"created_to {hi} is prior to created_from {lo}", lo
        elif hi - lo > limit:
            wrong = f"created_to {hi} is more than {limit} seconds from created_from {lo}", hi
        if wrong:
            data = {"created_from": {"date_range": {"message": wrong[0], "cause": wrong[1]}}}
            return self._failed(request, 400, "validation error", data)
        if hi < GREGORIAN:
            # Months before 1970 cannot be named: the request dies.
            return Reply(500)
        self._listings += 1
        found = self._chunks(listing) if listing.chunked else self._in_memory(listing)
        if found.fault:
            return self._fault(request, found.fault)
        if csv:
            return self._csv(listing, found)
        rows: list[Any] = found.rows
        if "fields" in asked and self.switched["version"] == "5.x":
            rows = _only(rows, asked["fields"])
        return self._page(request, listing, found, rows)

    def _asked_listing(self, account: Account, owner: str, asked: dict[str, str], *, interaction: bool) -> _Listing:
        hi = _time(asked.get("created_to"), self._gregorian_now())
        lo = _time(asked.get("created_from"), hi - int(self.switched["max_range"]))
        descending = self._descending(asked)
        chunk_size = CHUNK_SIZE
        if "chunk_size" in asked:
            text = asked["chunk_size"]
            if not re.fullmatch(r"-?[0-9]+", text) or int(text) == 0:
                raise _BadParameterError("invalid chunk size")
            chunk_size = int(text)
            if chunk_size < 0:
                raise _BadParameterError("chunk size must be at least 1")
            if chunk_size > CHUNK_SIZE:
                raise _BadParameterError(f"chunk size must be lower than {CHUNK_SIZE}")
        first, last = self._edges(lo, hi)
        start_key, end_key = (last, first) if descending else (first, last)
        named = self._named_key(asked)
        if named:
            plain = self.switched["version"] in _PLAIN_KEYS and named.isdigit()
            # Plain keys have seconds only: begin at the last row of the second.
            start_key = (int(named), 2 if descending else 1, "") if plain else _unpacked(named, owner)
        months = _months_between(lo, hi) if hi >= GREGORIAN else []
        if descending:
            months.reverse()
        return _Listing(
            account,
            interaction,
            owner,
            (lo, hi),
            start_key,
            end_key,
            descending,
            _page_size(asked),
            chunk_size,
            asked.get("is_chunked", "true") != "false",
            months,
            asked,
        )

    def _descending(self, asked: Mapping[str, str]) -> bool:
        """Return whether newest come first; `descending=false` alone says nothing to 5.0 and older."""
        if asked.get("descending") == "false" and self.switched["version"] == "5.x":
            return False
        return asked.get("descending") == "true" or asked.get("ascending", "false") != "true"

    def _named_key(self, asked: Mapping[str, str]) -> str | None:
        named = asked.get("start_key")
        return asked.get("bookmark") if named is None and self.switched["version"] == "5.x" else named

    def _edges(self, lo: int, hi: int) -> tuple[Key, Key]:
        """Return the view keys between which a created range lies."""
        bounds = self.switched["bounds"]
        return (lo, 2 if bounds in {"open_low", "open"} else 0, ""), (
            hi,
            0 if bounds in {"half_open", "open"} else 2,
            "",
        )

    def _chunks(self, listing: _Listing) -> _Found:
        """Go through the months chunk by chunk, as crossbar_view:next_chunk/1 does, with its way of choosing keys.

        The month after the first begins at the key of the chunk before, not at the range's edge: what it holds beyond
        that key is lost. An error after the first chunk ends the answer as if all were well.
        """
        found = _Found()
        months = list(listing.months)
        size = listing.page_size
        right = self.switched["month_cursor"] == "right"
        older: Key | None = None
        asked_at: Key | None = None
        chunk = 0
        while months:
            chunk += 1
            want = listing.chunk_size if size is None else min(listing.chunk_size, size - found.count)
            try:
                rows, count, latest = self._chunk(listing, months[0], asked_at, want + 1, chunk)
            except _DatabaseError as error:
                if chunk == 1:
                    return _Found(fault=str(error))
                found.last_key = asked_at
                break
            older, found.last_key = found.last_key, latest
            found.rows += rows
            found.count += count
            if size is not None and found.count == size and latest is not None:
                break
            if latest is not None and latest != older:
                asked_at = latest
            elif len(months) == 1:
                break
            else:
                months.pop(0)
                asked_at = None if right else older
        return found

    def _in_memory(self, listing: _Listing) -> _Found:
        """Answer with everything at once; an exhausted month hands no key to the next: right when unpaged."""
        found = _Found()
        size = listing.page_size
        limit = self.switched["memory_limit"]
        right = self.switched["month_cursor"] == "right"
        months = list(listing.months)
        while months:
            want = CHUNK_SIZE if size is None else size - found.count
            try:
                rows, count, found.last_key = self._chunk(listing, months[0], found.last_key, want + 1, 0)
            except _DatabaseError as error:
                return _Found(fault=str(error))
            found.rows += rows
            found.count += count
            if size is None and limit != "off" and found.count > int(limit):
                return _Found(fault="memory")
            if size is not None and found.count == size and found.last_key is not None:
                break
            # With paging the next month is asked even where filters left this one's page short.
            if found.last_key is None or (size is not None and not right):
                months.pop(0)
        return found

    def _chunk(
        self, listing: _Listing, month: str, at: Key | None, limit: int, number: int
    ) -> tuple[list[Doc], int, Key | None]:
        """Return the rows of one query, how many the view gave, and the key of the one that was too many."""
        if number and number == int(self.switched["fail_chunk"]):
            raise _DatabaseError("timeout")
        if self._is_building(listing, month):
            raise _DatabaseError("view")
        keys, view = self._view(listing, month)
        begin = at or listing.start_key
        if self.switched["month_cursor"] == "right":
            begin = self._right_key(listing, month, begin)
        if listing.descending:
            hi = bisect_right(keys, begin)
            lo = bisect_left(keys, listing.end_key)
            chosen = list(zip(keys[max(lo, hi - limit) : hi], view[max(lo, hi - limit) : hi], strict=True))[::-1]
        else:
            lo = bisect_left(keys, begin)
            hi = bisect_right(keys, listing.end_key)
            chosen = list(zip(keys[lo : min(hi, lo + limit)], view[lo : min(hi, lo + limit)], strict=True))
        last: Key | None = None
        if not chosen:
            last = at
        elif len(chosen) == limit:
            last = chosen[-1][0]
            chosen = chosen[:-1]
        stored = [one for _, one in chosen]
        if any(one.id == self.switched["poison"] for one in stored):
            raise _DatabaseError("poison")
        rows = self._rows(listing, stored)
        # An interaction's row is made after its page was counted, but for a chunk: that is counted when it is sent.
        return rows, len(stored) if listing.interaction and not number else len(rows), last

    def _is_building(self, listing: _Listing, month: str) -> bool:
        """Return whether a month's view is not ready: CouchDB builds it when it is first asked for."""
        now = self.now().timestamp()
        begun = self._building.setdefault((listing.account.id, month, listing.interaction), now)
        return 0 <= now - begun < int(self.switched["views"])

    def _right_key(self, listing: _Listing, month: str, key: Key) -> Key:
        """Return where a month is to begin when a page's key belongs to another month."""
        own = key[2][:6]
        overlap = not listing.interaction and self.switched["straddle"] == "lost"
        if not overlap or key[1] != 1 or not own.isdigit() or own == month:
            return key
        if (own > month) == listing.descending:
            return self._edges(*listing.created)[1 if listing.descending else 0]
        return (0, 0, "") if listing.descending else (_NEVER, 2, "")

    def _view(self, listing: _Listing, month: str) -> tuple[list[Key], list[_Stored]]:
        """Return the keys of a month's view, ascending, and the document of each."""
        now = self._gregorian_now()
        documents = self._filed(listing.account, month, interaction=listing.interaction).documents
        changing = self.switched["dropped"] != "0"
        if changing:
            documents = [one for one in documents if not self._dropped(one)]
        visible = bisect_right(documents, now, key=lambda one: one.saved)
        names = ("version", "straddle", "late", "late_save", "same_second", "archived")
        name = (listing.account.id, month, listing.owner, listing.interaction, *(self.switched[n] for n in names))
        known = None if changing else self._views.get(name)
        if known and known[0] == visible:
            return known[1:]
        owner = listing.owner
        stored = [one for one in documents[:visible] if not owner or one.owner == owner]
        if listing.interaction:
            pairs = [((one.interaction[0], 1, one.interaction[1]), one) for one in _earliest(stored).values()]
            pairs.sort(key=lambda pair: pair[0])
        elif self.switched["version"] in _STRING_SECONDS:
            pairs = [((one.saved, 1, ""), one) for one in stored]
        else:
            pairs = [((one.saved, 1, one.id), one) for one in stored]
        keys, stored = [key for key, _ in pairs], [one for _, one in pairs]
        if not changing:
            self._views[name] = visible, keys, stored
        return keys, stored

    def _rows(self, listing: _Listing, stored: list[_Stored]) -> list[Doc]:
        """Return the rows of documents that pass the filters."""
        version = self.switched["version"]
        if listing.interaction and version != "5.x":
            # The created range is tried on every document once more, and there it means the moment of saving.
            first, last = self._edges(*listing.created)
            stored = [one for one in stored if first <= (one.saved, 1, one.id) <= last]
        stored = [one for one in stored if _passes(one, listing.asked)]
        if version == "5.x" and listing.asked.get("full_docs") == "true":
            return [self._document(one) for one in stored]
        return [self._row(one, listing.asked, interaction=listing.interaction) for one in stored]

    def _page(self, request: Request, listing: _Listing, found: _Found, rows: list[Any]) -> Reply:
        """Return the envelope of a listing: plain when asked for or empty, else chunked."""
        version = self.switched["version"]
        paging: Doc = {}
        if listing.page_size is not None and (rows or found.last_key is not None):
            if found.last_key is not None:
                paging["next_start_key"] = self._packed_key(found.last_key, listing.owner)
            paging["page_size"] = len(rows)
            paging["start_key"] = self._packed_key(listing.start_key, listing.owner)
        if version in _OLD:
            body = self._old_envelope(request, rows, paging)
        elif not listing.chunked or (not rows and "next_start_key" not in paging):
            return self._plain(request, rows, paging)
        else:
            body = self._chunked_envelope(request, rows, paging)
        if self._listings == int(self.switched["cut_body"]):
            body = body[: len(body) // 2]
        return Reply(200, body, {"Content-Type": "application/json", **self._always()}, chunked=True)

    def _chunked_envelope(self, request: Request, rows: list[Any], paging: Doc) -> bytes:
        """Return data first, status last, members parted by a comma and a blank."""
        token = _token_of(request, request.values, "5.x")
        if self.switched["version"] != "5.x" and "page_size" in paging:
            paging["page_size"] = str(paging["page_size"])
        members = paging | {
            "status": "success",
            "request_id": self._request_id(),
            "node": NODE,
            "version": _RELEASES[self.switched["version"]],
            "timestamp": self._timestamp(),
            "auth_token": token,
        }
        tail = "".join(f', "{name}":{json.dumps(value)}' for name, value in members.items())
        return b'{"data":' + dumped(rows) + tail.encode() + b"}"

    def _old_envelope(self, request: Request, rows: list[Any], paging: Doc) -> bytes:
        """Return status first, as up to 4.1."""
        token = _token_of(request, request.values, "5.x")
        return dumped(
            {"status": "success", "data": rows} | paging | {"request_id": self._request_id(), "auth_token": token}
        )

    def _packed_key(self, key: Key, owner: str) -> str:
        """Return a key as the server writes it; those of a user's listing begin with the user's id."""
        if self.switched["version"] in _PLAIN_KEYS:
            return str(key[0])
        if key[0] < 0:
            return _term(_binary(key[2]))
        whose = [_binary(owner)] if owner else []
        if key[1] == 0 or (key[1] == 1 and not key[2]):
            return _packed(*whose, _integer(key[0]))
        return _packed(*whose, _integer(key[0]), _binary(key[2]) if key[1] == 1 else _OBJECT)

    def _fault(self, request: Request, fault: str) -> Reply:
        if fault == "memory":
            return self._failed(request, 416, "range not satisfiable", {"message": "range not satisfiable"})
        if fault == "view":
            return self._failed(request, 503, "datastore_fault", {"message": "datastore missing view"})
        return self.error(500 if fault == "timeout" else 503, request)

    def _csv(self, listing: _Listing, found: _Found) -> Reply:
        """Return CSV with the vendor's faults: a page without a next key, interactions without quotes."""
        if not found.rows:
            return Reply(204)
        columns = list(found.rows[0])
        cells = [["" if isinstance(v, list) else str(v) for v in row.values()] for row in found.rows]
        if listing.interaction:
            lines = [columns, *cells]
            body = "".join(",".join(line) + "\r\n" for line in lines)
        else:
            columns[0] = "ID"
            body = "".join(
                ",".join('"' + cell.replace('"', '""') + '"' for cell in line) + "\n" for line in (columns, *cells)
            )
        return Reply(200, body.encode(), {"Content-Type": "text/csv", **self._always()}, chunked=True)

    # documents

    def _gregorian_now(self) -> int:
        return milliseconds(self.now()) // SECOND + GREGORIAN

    def _visible(self, account: Account, cdr_id: str) -> _Stored | None:
        found = self._month(account, cdr_id[:6]).by_id.get(cdr_id)
        if found and found.saved <= self._gregorian_now() and not self._dropped(found):
            return found
        return None

    def _dropped(self, stored: _Stored) -> bool:
        return dropped(self.switched["dropped"], stored.id, stored.leg.end, milliseconds(self.now()))

    def _filed(self, account: Account, month: str, *, interaction: bool) -> _Month:
        """Return the database a listing opens for a month; with `straddle=found` that of the moment of saving."""
        if interaction or self.switched["straddle"] == "lost":
            return self._month(account, month)
        before = _month_before(month)
        both = [*self._month(account, before).documents, *self._month(account, month).documents]
        return _Month(
            sorted((one for one in both if _month_of(one.saved) == month), key=lambda one: (one.saved, one.id))
        )

    def _month(self, account: Account, month: str) -> _Month:
        """Return the database of a month, YYYYMM: documents of interactions that began in it."""
        named = re.fullmatch(r"\d{4}(0[1-9]|1[0-2])", month) and month >= "197001"
        if not named or month == self.switched["archived"]:
            return _Month()
        names = ("late_save", "same_second", "late")
        settings = tuple(self.switched[name] for name in names)
        name = (account.id, month, *settings)
        known = self._months.get(name)
        if known is not None:
            return known
        first = datetime(int(month[:4]), int(month[4:]), 1, tzinfo=UTC)
        until = datetime(first.year + first.month // 12, first.month % 12 + 1, 1, tzinfo=UTC)
        late, bulk = int(self.switched["late_save"]), int(self.switched["same_second"])
        documents = []
        for call in account.exchange.calls(first, until):
            documents += _documents(call, account, late, self.switched["late"])
        documents.sort(key=lambda one: (one.saved, one.id))
        if bulk:
            documents = _in_bulks(documents, bulk)
        known = _Month(documents, {one.id: one for one in documents})
        self._months[name] = known
        return known

    def _document(self, stored: _Stored) -> Doc:
        """Return the full document; its timestamp is the end of the leg."""
        doc = self._doc(stored)
        version = self.switched["version"]
        if version in _STRING_SECONDS:
            for name in ("duration_seconds", "billing_seconds", "ringing_seconds"):
                doc[name] = str(doc[name])
        if self.switched["billing"] == "absent" and doc["billing_seconds"] == "":
            del doc["billing_seconds"]
        if version == "5.x":
            doc["switch_hostname"] = doc["media_server"]
            doc["switch_nodename"] = f"freeswitch@{doc['media_server']}"
            doc["event_category"], doc["event_name"] = "call_event", "CHANNEL_DESTROY"
        doc["id"] = doc.pop("id")
        if stored.id == self.switched["poison"]:
            del doc["call_direction"]
        return doc

    def _doc(self, stored: _Stored) -> Doc:
        """Return the document with the lengths the switches say.

        A leg killed while it was new ends when it starts (GitHub 2600hz/kazoo, issue 6534); `billing_seconds` had no
        default at first (pull request 5168).
        """
        doc, kind = stored.doc, self.switched["duration"]
        if kind != "right" and stored.killed:
            unix = stored.start - GREGORIAN
            doc["timestamp"] = stored.start
            doc["duration_seconds"] = {"minus_unix": -unix, "unix": unix, "minus": -3}[kind]
            doc["billing_seconds"] = doc["duration_seconds"]
        if self.switched["billing"] != "always" and int(digest("billing", stored.id)[:2], 16) % 2:
            doc["billing_seconds"] = ""
        return doc

    def _unrated(self, stored: _Stored) -> bool:
        """Return whether the call of a document is still to be rated."""
        wait = delay(self.switched["changed"], "changed", stored.id) // SECOND
        return wait > 0 and self._gregorian_now() < stored.saved + wait

    def _row(self, stored: _Stored, asked: dict[str, str], *, interaction: bool) -> Doc:
        """Return the row Crossbar makes of a document: cb_cdrs.erl; its timestamp is the start of the leg."""
        doc, version = self._doc(stored), self.switched["version"]
        ccv: Doc = doc["custom_channel_vars"]
        start = doc["timestamp"] - doc["duration_seconds"]
        at = datetime.fromtimestamp(start - GREGORIAN, UTC)
        inward = doc["call_direction"] == "inbound"
        shown = at
        if asked.get("utc_offset"):
            shown = datetime.fromtimestamp(start - GREGORIAN + float(asked["utc_offset"]), UTC)
        seconds: Callable[[Any], Any] = str if version in _STRING_SECONDS else lambda value: value
        rfc = format_datetime(at, usegmt=True)
        day = f"{at:%Y-%m-%d}"
        micro = doc["channel_created_time"]
        row: Doc = {
            "id": stored.id,
            "call_id": doc["call_id"],
            "caller_id_number": doc["caller_id_number"],
            "caller_id_name": doc["caller_id_name"],
            "callee_id_number": doc["callee_id_number"],
            "callee_id_name": doc["callee_id_name"],
            "duration_seconds": seconds(doc["duration_seconds"]),
            "billing_seconds": seconds(doc["billing_seconds"]),
            "timestamp": str(start),
            "hangup_cause": doc["hangup_cause"],
            "other_leg_call_id": doc.get("other_leg_call_id", ""),
            "owner_id": ccv.get("owner_id", ""),
            "to": doc["to"],
            "from": doc["from"],
            "direction": doc["call_direction"],
            "request": doc["request"],
            "authorizing_id": ccv.get("authorizing_id", ""),
            "cost": "0" if self._unrated(stored) else str(_cost(doc, "account_billing")),
            "dialed_number": (doc["request"] if inward else doc["to"]).partition("@")[0],
            "calling_from": doc["caller_id_number"] if inward else doc["from_uri"].partition("@")[0],
            "datetime": f"{shown:%Y-%m-%d}{'_' if version == '5.0' else ' '}{shown:%H:%M:%S}",
            "unix_timestamp": str(start - GREGORIAN),
            "unix_timestamp_micro": f"{micro // 1_000_000}.{micro % 1_000_000:06d}",
            "rfc_1036": f'"{rfc}"' if version in _OLD else rfc,
            "iso_8601": f'"{day}"' if version in _OLD else day,
            "iso_8601_combined": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "call_type": ccv.get("account_billing", ""),
            "rate": repr(ccv.get("rate", 0) / _UNITS_PER_DOLLAR),
            "rate_name": ccv.get("rate_name", ""),
            "bridge_id": ccv.get("bridge_id", ""),
            "recording_url": doc.get("recording_url", ""),
            "media_recordings": ccv.get("media_recordings", []),
            "media_server": doc["media_server"],
            "call_priority": ccv.get("call_priority", ""),
            "interaction_id": doc["interaction_id"],
        }
        for name in _NOT_IN[version]:
            del row[name]
        if version == "4.3":
            row = _with_disposition(row, doc)
            if interaction:
                row["inception_direction"] = "origination" if inward else "termination"
        if version == "5.x":
            row["switch_hostname"] = doc["media_server"]
        if self.switched["reseller"] == "on":
            row["reseller_cost"] = str(_cost(doc, "reseller_billing"))
            row["reseller_call_type"] = ccv.get("reseller_billing", "")
        if self.switched["billing"] == "absent" and row["billing_seconds"] == "":
            del row["billing_seconds"]
        if self.switched["strip_empty"] == "on":
            row = {name: value for name, value in row.items() if value != ""}
        return row

    # envelopes

    def _envelope(self, request: Request, token: str | None = None) -> Doc:
        left = _BUCKET
        if self.switched["limits"] != "off":
            parts = request.path.strip("/").split("/")
            account = parts[1] if parts[0] == "accounts" and len(parts) > 1 else ""
            left = int(self._buckets.get((request.client, account), (float(_BUCKET), 0.0))[0])
        return {
            "version": _RELEASES[self.switched["version"]],
            "timestamp": self._timestamp(),
            "node": NODE,
            "request_id": self._request_id(),
            "tokens": {"consumed": 1, "remaining": left},
            "auth_token": _token_of(request, request.values, "5.x") if token is None else token,
        }

    def _plain(self, request: Request, data: Any, paging: Doc | None = None) -> Reply:
        envelope: Doc = dict(paging or {}) | self._envelope(request) | {"data": data}
        if paging:
            envelope["revision"] = digest("revision", request.path, request.query)
        envelope["status"] = "success"
        return Reply(200, dumped(envelope), {"Content-Type": "application/json", **self._always()})

    def _failed(self, request: Request, status: int, message: str, data: Any) -> Reply:
        envelope = self._envelope(request) | {"data": data, "error": str(status), "message": message, "status": "error"}
        return Reply(status, dumped(envelope), {"Content-Type": "application/json", **self._always()})

    def _wrong_method(self, request: Request) -> Reply:
        """Return a 405, which has no content type."""
        reply = self._failed(request, 405, "invalid_method", {"message": "method not allowed"})
        return replace(reply, headers=self._always())

    def _refused_token(self, token: str, message: str, data: Any) -> Reply:
        """Return a 401: no version in the envelope, no content type in the head."""
        envelope = {
            "timestamp": self._timestamp(),
            "node": NODE,
            "request_id": self._request_id(),
            "tokens": {"consumed": 1, "remaining": _BUCKET},
        }
        if token:
            envelope["auth_token"] = token
        envelope |= {"data": data, "error": "401", "message": message, "status": "error"}
        return Reply(401, dumped(envelope), self._always())

    def _always(self) -> dict[str, str]:
        return {"X-Request-ID": self._request_id()}

    def _request_id(self) -> str:
        return "00" + digest("request", self._answers)[2:]

    def _timestamp(self) -> str:
        return f"{self.now().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _token_of(request: Request, asked: Mapping[str, str], version: str) -> str:
    """Return the token a request carries: header, Bearer (5.0 and 5.x), or the query."""
    token = request.headers.get("x-auth-token", "")
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if not token and scheme.lower() == "bearer" and version.startswith("5"):
        token = bearer
    return token or asked.get("auth_token", "")


def _not_by_schema(key: Any) -> Doc:
    """Return what the schema of `api_auth` says against a key, by rule; nothing when it has 64 characters."""
    if not isinstance(key, str):
        rule = "required" if key is None else "type"
        return {rule: {"message": "Field is required but missing" if key is None else "Value did not match type(s)"}}
    limit = len(API_KEY)
    if len(key) < limit:
        message, rule = f"String must be at least {limit} characters", "minLength"
    elif len(key) > limit:
        message, rule = f"String must not be more than {limit} characters", "maxLength"
    else:
        return {}
    return {rule: {"message": message, "target": limit, "cause": key}}


def _wants_csv(request: Request, asked: Mapping[str, str]) -> bool | None:
    """Return whether CSV is asked for; None when the media type is neither."""
    accept = request.headers.get("accept", "*/*")
    if asked.get("accept") == "csv" or accept.startswith("text/csv"):
        return True
    return False if re.search(r"\*/\*|application/(json|\*)", accept) else None


def _time(text: str | None, default: int) -> int:
    """Return a positive integer; anything else is silently replaced, as Crossbar does."""
    if text is None or not re.fullmatch(r"[0-9]+", text) or int(text) <= 0:
        return default
    return int(text)


def _page_size(asked: Mapping[str, str]) -> int | None:
    """Return how many rows a page has; None without paging."""
    if asked.get("paginate") == "false":
        return None
    text = asked.get("page_size")
    if text is None:
        return PAGE_SIZE
    if not re.fullmatch(r"-?[0-9]+", text):
        raise _BadParameterError("invalid page size")
    if int(text) < 1:
        raise _BadParameterError("page size must be at least 1")
    return int(text)


def _month_of(gregorian: int) -> str:
    return f"{datetime.fromtimestamp(gregorian - GREGORIAN, UTC):%Y%m}"


def _month_before(month: str) -> str:
    year, number = int(month[:4]), int(month[4:])
    return f"{year - 1}12" if number == 1 else f"{year}{number - 1:02d}"


def _months_between(lo: int, hi: int) -> list[str]:
    """Return the months two Gregorian instants touch, oldest first."""
    first = datetime.fromtimestamp(max(lo - GREGORIAN, 0), UTC)
    last = datetime.fromtimestamp(max(min(hi - GREGORIAN, 253_402_300_799), 0), UTC)
    year, number = first.year, first.month
    months = []
    while (year, number) <= (last.year, last.month):
        months.append(f"{year:04d}{number:02d}")
        year, number = (year + 1, 1) if number == 12 else (year, number + 1)
    return months


def _earliest(stored: list[_Stored]) -> dict[tuple[int, str], _Stored]:
    """Return the earliest document of every interaction."""
    first: dict[tuple[int, str], _Stored] = {}
    for one in stored:
        other = first.get(one.interaction)
        if other is None or (one.leg.start, one.id) < (other.leg.start, other.id):
            first[one.interaction] = one
    return first


# Keys: Erlang's external term format of a list, base64url without the filling.

_OBJECT = b"h\x01j"
_MAGIC, _LIST, _SMALL_BIG, _BINARY, _NIL = 0x83, b"l", b"n", b"m", b"j"


def _integer(value: int) -> bytes:
    size = (value.bit_length() + 7) // 8
    return _SMALL_BIG + bytes((size, 0)) + value.to_bytes(size, "little")


def _binary(text: str) -> bytes:
    raw = text.encode()
    return _BINARY + len(raw).to_bytes(4, "big") + raw


def _packed(*elements: bytes) -> str:
    """Return an opaque key of a list."""
    return _term(_LIST + len(elements).to_bytes(4, "big") + b"".join(elements) + _NIL)


def _term(data: bytes) -> str:
    return base64.urlsafe_b64encode(bytes((_MAGIC,)) + data).rstrip(b"=").decode()


def _unpacked(text: str, owner: str = "") -> Key:
    """Return the view key an opaque start key stands for; text where it is none, as `decode_start_key` does.

    In the order of the views text comes before every list: newest first nothing follows it, oldest first everything.
    """
    match _elements(text), owner:
        case ([int(seconds)], "") | ([str(), int(seconds)], _):
            return (seconds, 1, "")
        case ([int(seconds), str(name)], "") | ([str(), int(seconds), str(name)], _):
            return (seconds, 1, name)
        case ([int(seconds), None], "") | ([str(), int(seconds), None], _):
            return (seconds, 2, "")
    return (-1, 0, text)


def _elements(text: str) -> list[int | str | None]:
    """Return the elements of a list in Erlang's external format, None for an object; nothing for anything else."""
    found: list[int | str | None] = []
    try:
        term = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        rest = term[6:]
        while rest[:1] not in {_NIL, b""}:
            if rest.startswith(_OBJECT):
                found.append(None)
                size = len(_OBJECT)
            elif rest[:1] == _SMALL_BIG:
                size = 3 + rest[1]
                found.append(int.from_bytes(rest[3:size], "little"))
            elif rest[:1] == _BINARY:
                size = 5 + int.from_bytes(rest[1:5], "big")
                found.append(rest[5:size].decode("utf-8", "replace"))
            else:
                return []
            rest = rest[size:]
    except (binascii.Error, IndexError, ValueError):
        return []
    return found if term[:2] == bytes((_MAGIC,)) + _LIST else []


def _leg_key(interaction: str, stored: _Stored) -> str:
    return _packed(_binary(interaction), _binary(f"{stored.start}-{stored.id}"))


# Documents out of the exchange's legs.


def _documents(call: Call, account: Account, late: int, share: str) -> list[_Stored]:
    """Return the documents of one interaction: a leg per telephone or carrier, none for queues and menus."""
    began = call.start // SECOND + GREGORIAN
    key = digest("interaction", call.id)[:8]
    month = f"{instant(call.start):%Y%m}"
    call_ids = {leg.id: _call_id(leg) for leg in call.legs}
    first = next((leg for leg in call.legs if leg.party.kind == "outside" or leg.party.is_user), None)
    bridge = call_ids[first.id] if first else ""
    made = []
    for leg in call.legs:
        if leg.party.kind != "outside" and not leg.party.is_user:
            continue
        saved = leg.end // SECOND + GREGORIAN + 1 + late + delay(share, "late", leg.id) // (60 * SECOND)
        owner = _OWNERS[leg.party.id][0] if leg.party.kind == "person" else ""
        begun = leg.start // SECOND + GREGORIAN
        name = f"{month}-{call_ids[leg.id]}"
        made.append(_Stored(saved, name, begun, (began, key), owner, leg, account, call_ids, bridge))
    return made


def _call_id(leg: Leg) -> str:
    """Return what identifies the leg to the switch: a device's SIP Call-ID or the switch's own UUID."""
    h = digest("call", leg.id)
    if leg.direction == "originating":
        odd = "/%41" if int(h[:2], 16) < 8 else ""  # a few ids hold characters a URL cannot
        return f"{h[:20]}{odd}@10.26.0.{int(h[20:22], 16)}"
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def _made(leg: Leg, account: Account, call_ids: Mapping[str, str], bridge: str) -> Doc:
    start, end = leg.start // SECOND, leg.end // SECOND
    answer = None if leg.answer is None else leg.answer // SECOND
    out = leg.direction == "terminating"
    cause = _CAUSES[leg.cause]
    device = _OWNERS.get(leg.party.id, ("", ""))[1]
    realm = account.realm
    dialed = leg.dialed or leg.to_number
    to = f"user_{device[:8]}@{realm}" if out and device else f"{leg.to_number if out else dialed}@{realm}"
    caller = f"{leg.from_number}@{realm}" if out or not device else f"user_{device[:8]}@{realm}"
    doc: Doc = {
        "call_id": call_ids[leg.id],
        "call_direction": "outbound" if out else "inbound",
        "caller_id_number": leg.from_number,
        "caller_id_name": leg.from_name,
        "callee_id_number": leg.to_number,
        "callee_id_name": leg.to_name,
        "duration_seconds": end - start,
        "billing_seconds": 0 if answer is None else end - answer,
        "ringing_seconds": (end if answer is None else answer) - start,
        "timestamp": end + GREGORIAN,
        "hangup_cause": cause,
        "hangup_code": _CODES.get(cause, "sip:487"),
        "disposition": {"local": "recv_bye", "remote": "send_bye"}[leg.released_by],
    }
    other = call_ids.get(leg.peer, "") or (bridge if out else "")
    if other:
        doc["other_leg_call_id"] = other
    request = f"{dialed}@{realm}" if not out else to
    doc |= {
        "to": to,
        "to_uri": to,
        "from": caller,
        "from_uri": f"{leg.from_number}@{realm}",
        "request": request,
        "channel_created_time": leg.start * _MILLI + int(digest("micro", leg.id)[:2], 16),
    }
    if leg.recorded:
        doc["recording_url"] = f"https://recordings.example/{digest('recording', leg.id)}.mp3"
    return doc


def _channel_vars(leg: Leg, account: Account, bridge: str) -> Doc:
    """Return account, owner, device or carrier, and the billing tags of a leg."""
    party: Party = leg.party
    found: Doc = {"account_id": account.id}
    if party.is_user:
        owner, device = _OWNERS[party.id]
        if party.kind == "person":
            found["owner_id"] = owner
        found |= {"authorizing_id": device, "authorizing_type": "device", "realm": account.realm}
    else:
        inward = leg.direction == "originating"
        found |= {
            "resource_id": _CARRIER,
            "resource_type": "offnet-origination" if inward else "offnet-termination",
            "global_resource": "true",
        }
    if leg.direction == "terminating" or not party.is_user:
        found["bridge_id"] = bridge
    if party.kind == "outside" and leg.direction == "terminating":
        rate, name = {"international": (1_200, "GB"), "tollfree": (0, "US-TF")}.get(leg.route, (100, "US"))
        found |= {
            "account_billing": "per_minute",
            "reseller_billing": "per_minute",
            "reseller_id": account.parent or account.id,
            "rate": rate,
            "rate_name": name,
            "rate_increment": 6,
            "rate_minimum": 60,
            "surcharge": 0,
        }
    elif party.kind == "outside":
        found["account_billing"] = "flat_rate"
    if leg.recorded:
        found["media_recordings"] = [digest("recording", leg.id)]
    return found


def _cost(doc: Doc, billing: str) -> int:
    """Return units of 1/10000 dollar: kapps_call_util.erl and wht_util.erl."""
    ccv: Doc = doc["custom_channel_vars"]
    seconds = doc["billing_seconds"]
    if ccv.get(billing) != "per_minute" or not isinstance(seconds, int) or seconds <= 0:
        return 0
    minimum, increment, rate = ccv["rate_minimum"], ccv["rate_increment"], ccv["rate"]
    cost = ccv["surcharge"] + minimum / 60 * rate
    if seconds > minimum:
        cost += math.ceil((seconds - minimum) / increment) * increment / 60 * rate
    return int(cost)


def _in_bulks(documents: list[_Stored], size: int) -> list[_Stored]:
    """Give every run of documents the moment of saving its last one has."""
    moved = []
    for n in range(0, len(documents), size):
        run = documents[n : n + size]
        last = run[-1].saved
        moved += [replace(one, saved=last) for one in run]
    return sorted(moved, key=lambda one: (one.saved, one.id))


def _with_disposition(row: Doc, doc: Doc) -> Doc:
    """Return the row with 4.3's column, which stands after the cause."""
    wider: Doc = {}
    for name, value in row.items():
        wider[name] = value
        if name == "hangup_cause":
            wider["disposition"] = doc["disposition"]
    return wider


def _at(doc: Doc, path: str) -> Any:
    value: Any = doc
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _passes(stored: _Stored, asked: Mapping[str, str]) -> bool:
    """Return whether a document passes the filters of the query: crossbar_filter.erl."""
    doc = stored.doc
    if not any(name.startswith(_FILTERS) for name in asked):
        return True  # modified_from and modified_to do not make a request one with filters
    for name, wanted in asked.items():
        if name.startswith("filter_not_"):
            ok = not _is_one_of(_shown(_at(doc, name.removeprefix("filter_not_"))), wanted)
        elif name.startswith("filter_"):
            ok = _is_one_of(_shown(_at(doc, name.removeprefix("filter_"))), wanted)
        elif name == "has_key":
            ok = _at(doc, wanted) is not None
        elif name == "key_missing":
            ok = _at(doc, wanted) is None
        elif name == "has_value":
            ok = _at(doc, wanted) not in (None, "", [], {})
        elif name == "value_missing":
            ok = _at(doc, wanted) in (None, "", [], {})
        elif name in {"modified_from", "modified_to"} and wanted.isdigit():
            ok = stored.saved >= int(wanted) if name == "modified_from" else stored.saved <= int(wanted)
        else:
            continue
        if not ok:
            return False
    return True


_FILTERS = ("filter_", "has_key", "key_missing", "has_value", "value_missing")


def _is_one_of(value: str, wanted: str) -> bool:
    """Return whether a value is the one wanted, or in the JSON list that is wanted."""
    if value == wanted:
        return True
    try:
        several = json.loads(wanted)
    except ValueError:
        return False
    return isinstance(several, list) and value in several


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _only(rows: list[Doc], fields: str) -> list[Doc]:
    """Return only the named columns, and `id`, as 5.x does: what begins with an underscore is private."""
    try:
        names = json.loads(fields)
    except ValueError:
        return rows
    if not isinstance(names, list):
        return rows
    return [{name: row[name] for name in names if name in row and name != "_id"} | {"id": row["id"]} for row in rows]
