"""Webex Calling's Detailed Call History, imitated from its documentation and from real records.

Sources: developer.webex.com, "Reports: Detailed Call History" and "Reports: Live Stream Detailed Call History"; the
Cisco OpenAPI description published as GitHub api-evangelist/webex; developer.webex.com blog, "Understanding the Webex
Calling CDR APIs" (17 December 2025). What nobody publishes is a switch. Signing in: "Integrations & Authorization", and
RFC 6749, section 4.1, with RFC 7636 for what that page leaves to them.
"""

from __future__ import annotations

import base64
import hashlib
import html
import random
import re
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlencode
from zoneinfo import ZoneInfo

from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.exchange.clock import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    delay,
    digest,
    dropped,
    instant,
    milliseconds,
    uuid_text,
)
from cdrctl.sandbox.exchange.parties import Leg, Site
from cdrctl.sandbox.wire import CHANGED, DROPPED, LATE, Clock, Reply, Request, Setting, Switch, dumped

KEYS = (
    "Answer time",
    "Answered",
    "Direction",
    "Called line ID",
    "Call ID",
    "Calling line ID",
    "Start time",
    "Call type",
    "Client type",
    "Client version",
    "Correlation ID",
    "International country",
    "Device MAC",
    "Duration",
    "Inbound trunk",
    "Org UUID",
    "Original reason",
    "OS type",
    "Outbound trunk",
    "Redirect reason",
    "Related reason",
    "Report ID",
    "Report time",
    "Route group",
    "Site main number",
    "Site timezone",
    "Sub client type",
    "User UUID",
    "User type",
    "User",
    "Called number",
    "Calling number",
    "Location",
    "Dialed digits",
    "Releasing party",
    "Redirecting number",
    "Site UUID",
    "Department ID",
    "Transfer related call ID",
    "Authorization code",
    "Model",
    "Local SessionID",
    "Remote SessionID",
    "Call transfer time",
    "Local call ID",
    "Remote call ID",
    "Network call ID",
    "Related call ID",
    "User number",
    "Call outcome",
    "Call outcome reason",
    "Ring duration",
    "Answer indicator",
    "Release time",
    "Final local SessionID",
    "Final remote SessionID",
    "PSTN legal entity",
    "PSTN vendor org ID",
    "PSTN vendor name",
    "PSTN provider ID",
    "External customer ID",
    "Redirecting party UUID",
    "Public Calling IP Address",
    "Public Called IP Address",
    "Caller ID number",
    "External caller ID number",
    "Device owner UUID",
    "Call Recording Platform Name",
    "Call Recording Result",
    "Call Recording Trigger",
    "Original called party UUID",
    "Recall type",
    "Auto Attendant Key Pressed",
    "Queue type",
    "Answered elsewhere",
    "Hold duration",
    "Route list calls overage",
    "Caller Reputation Score",
    "Caller Reputation Service Result",
    "Caller Reputation Score Reason",
    "Interaction ID",
    "WxCC consult merge status",
    "ELIN",
    "Emergency number source",
    "Transfer type",
    "Transfer type context",
    "Answer reason",
)
"""The 87 keys in the wire order of a real record of September 2026."""

KEYS_OF_2025 = 70
"""How many of them, counted from the first, a real record of August 2025 had."""

_IN_DOCUMENTATION = {
    "Device MAC": "Device Mac",
    "Call transfer time": "Call transfer Time",
    "PSTN legal entity": "PSTN Legal Entity",
    "PSTN vendor org ID": "PSTN Vendor Org ID",
    "PSTN vendor name": "PSTN Vendor Name",
    "PSTN provider ID": "PSTN Provider ID",
    "Original called party UUID": "Original Called Party UUID",
    "Recall type": "Recall Type",
    "Queue type": "Queue Type",
    "Answered elsewhere": "Answered Elsewhere",
    "Hold duration": "Hold Duration",
}
_EMPTY: dict[str, Any] = dict.fromkeys(KEYS, "") | {
    "Called line ID": "NA",
    "Calling line ID": "NA",
    "Duration": 0,
    "OS type": "na",
    "Public Calling IP Address": "NA",
    "Public Called IP Address": "NA",
    "Auto Attendant Key Pressed": "NA",
    "Hold duration": 0,
}

ORG = uuid_text(4, "organisation")
SCOPE = "spark-admin:calling_cdr_read"
ACCESS_TOKEN = "EXAMPLE-WEBEX-ACCESS"
REFRESH_TOKEN = "EXAMPLE-WEBEX-REFRESH-0"
CLIENT_ID = "C0000EXAMPLE"
CLIENT_SECRET = "EXAMPLE-WEBEX-SECRET"
ACCESS_LIFE = 1_209_600
REFRESH_LIFE = 7_776_000
CODE_LIFE = 300
"""Seconds that a code lives: not published, RFC 6749 recommends at most ten minutes."""

REDIRECT_URI = "http://127.0.0.1:8765/callback"
"""What is registered with the sandbox's integration; the switch of this name registers another instead."""

EMPTY_WINDOW = "No CDRs for requested time range and filters"
_NO_TOKEN = "The request requires a valid access token set in the Authorization request header."
_NOWHERE = "The requested resource could not be found."
_ELSEWHERE = "analytics-calling-eu.webexapis.com"
_LARGEST_PAGE = 5000
_MOST_LOCATIONS = 10
_FEED_LAG = 5 * MINUTE
_STREAM_LAG = MINUTE
_INSERTED_AFTER = 30 * SECOND
_RATE_SPAN = 60 * SECOND
_INITIAL_PER_SPAN, _NEXT_PER_SPAN = 1, 10
_BLANK_PAGE = 99_999

SWITCHES: dict[str, Switch] = {
    "filter": Switch("start", ("end",), meaning="what the window of cdr_feed is laid on"),
    "bounds": Switch(
        "half_open", ("closed", "open_low", "open"), meaning="which of startTime and endTime are part of the window"
    ),
    "empty": Switch("404", ("200", "204"), meaning="status of a window without records"),
    "link": Switch(
        "plain",
        ("doc", "absolute_path", "relative_path", "query", "network_path", "with_others"),
        meaning="form of the Link header: doc is as the documentation prints it, four are relative as RFC 3986 says",
    ),
    "empty_page": Switch("off", ("items", "no_items"), meaning="a page without records between two others"),
    "page_overlap": Switch("off", ("on",), meaning="the last millisecond of a page comes again on the next"),
    "order": Switch("ascending", ("descending", "shuffled"), meaning="order within a page"),
    "retry_after": Switch("60", ("none", "http_date"), r"\d+", meaning="what a 429 says in Retry-After"),
    "shared_limit": Switch("on", ("off",), meaning="feed and stream share one request budget"),
    "limits": Switch("off", ("on",), meaning="1 first and 10 next pages a minute"),
    "region": Switch("ok", ("451_please_use", "451_url"), meaning="the organisation's data is elsewhere"),
    "late": LATE,
    "changed": CHANGED,
    "dropped": DROPPED,
    "rotate": Switch("on", ("off",), meaning="a refresh gives a new refresh token and ends the old one"),
    "keys": Switch(
        "2026",
        ("2025", "doc_case", "future", "clients"),
        meaning="key set and letter case of records; clients: with keys and words known from clients only",
    ),
    "types": Switch("wire", ("doc",), meaning="doc: Ring duration is a number"),
    "error_shape": Switch("cdr", ("general",), meaning="body of errors"),
    "next_ttl": Switch("none", (), r"\d+", meaning="seconds a next link lives"),
    "scope": Switch("ok", ("missing",), meaning="whether the token may read call history (403)"),
    "redirect_uri": Switch(
        REDIRECT_URI, (), r"https?://\S+", "a URI", meaning="the redirect URI registered with the integration"
    ),
    "max_floor": Switch("500", (), r"[1-9]\d*", meaning="a smaller max is raised to this"),
}

_CAUSES = {
    "normal": ("Success", "Normal"),
    "busy": ("Success", "UserBusy"),
    "no_answer": ("Success", "NoAnswer"),
    "rejected": ("Refusal", "CallRejected"),
    "unallocated": ("Refusal", "UnassignedNumber"),
    "unavailable": ("Failure", "DestinationOutOfOrder"),
}
_ROUTES = {
    "internal": "SIP_ENTERPRISE",
    "service": "SIP_ENTERPRISE",
    "inbound": "SIP_INBOUND",
    "national": "SIP_NATIONAL",
    "international": "SIP_INTERNATIONAL",
    "tollfree": "SIP_TOLLFREE",
}
_KINDS = {
    "person": "User",
    "place": "Place",
    "queue": "CallCenterPremium",
    "hunt_group": "HuntGroup",
    "attendant": "AutomatedAttendantVideo",
    "voicemail": "VoiceMailGroup",
}
_CLIENTS = {"desk": ("WXC_DEVICE", "", "na"), "app": ("WXC_CLIENT", "46.10.0.1", "windows")}
_MOBILE = ("WXC_CLIENT", "46.10.0.1", "ios")


def _text(unix_ms: int) -> str:
    """Return Unix milliseconds as the service writes an instant."""
    return instant(unix_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _local_id(leg_id: str) -> str:
    return f"{int(digest('local', leg_id)[:8], 16)}:0" if leg_id else ""


@dataclass(frozen=True, slots=True)
class _Code:
    """What a code was given for, and when it ends."""

    redirect_uri: str
    scope: str
    challenge: str
    method: str
    ends: int


@dataclass(frozen=True, slots=True)
class _Kept:
    """One record of the organisation: `key` is what the window is laid on, `seen` when a request may find it."""

    key: int
    start: int
    seen: int
    id: str
    location: str
    leg: Leg


class Webex:
    """`GET /v1/cdr_feed`, `GET /v1/cdr_stream`, `/v1/authorize` and `POST /v1/access_token` for one organisation.

    Windows, limits and token lives are measured by `now`. Records are those of `exchange`: one per leg of a person,
    place, queue, hunt group, attendant or voice mail box, none for the far side of a trunk.
    """

    name = "webex"
    mount = "/webex/v1"
    calls: tuple[str, ...] = ("cdrs", "stream")
    switches: Mapping[str, Switch] = SWITCHES

    def __init__(self, exchange: Exchange, now: Clock, *, limits: bool = False) -> None:
        self.exchange = exchange
        self.now = now
        self.switched: dict[str, str] = {name: switch.default for name, switch in SWITCHES.items()}
        self.switched["limits"] = "on" if limits else "off"
        self._tokens: dict[str, int | None] = {ACCESS_TOKEN: None}
        self._refresh = REFRESH_TOKEN
        self._refreshes: dict[str, int | None] = {REFRESH_TOKEN: None}
        self._codes: dict[str, _Code] = {}
        self._granted = 0
        self._spent: dict[str, deque[int]] = {}
        self._links: dict[str, int] = {}
        self._answers = 0
        self._last: tuple[tuple[object, ...], int, list[_Kept]] = ((), 0, [])
        self._zones: dict[tuple[str, int], str] = {}

    # what the server asks

    def credentials(self, kind: str, base_url: str) -> dict[str, Setting]:
        """Return profile settings: kind `access_token` (default), `refresh_token`, or `login` for the browser."""
        client: dict[str, Setting] = {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "token_url": f"{base_url}/access_token",
        }
        own: dict[str, dict[str, Setting]] = {
            "access_token": {"access_token": ACCESS_TOKEN},
            "refresh_token": {**client, "refresh_token": self._refresh},
            "login": {
                **client,
                "authorize_url": f"{base_url}/authorize",
                "redirect_uri": self.switched["redirect_uri"],
            },
        }
        if not kind:
            kind = "access_token"
        if kind not in own:
            raise ValueError(f"webex signs in by {' or '.join(own)}, not by {kind}")
        return {"base_url": base_url, **own[kind], "requests_per_minute": 0}

    def expire_tokens(self) -> None:
        """Make every access token invalid; the refresh token stays."""
        self._tokens.clear()

    def expire_refresh_tokens(self) -> None:
        """Make every refresh token invalid: somebody has to sign in anew."""
        self._refreshes.clear()

    def truth(self, call: str, since: datetime, until: datetime, **options: str) -> list[dict[str, Any]]:
        """Return the records whose `Start time` is in `[since, until)`, as they stand on the wire, by that time.

        Only those the call has by now. `locations` (comma-separated names) restricts. Raises ValueError for a call
        that is neither `cdrs` nor `stream`.
        """
        if call not in self.calls:
            raise ValueError(f"webex has the calls {' and '.join(self.calls)}, not {call}")
        lo, hi, now = milliseconds(since), milliseconds(until), milliseconds(self.now())
        places = _locations(options.get("locations", ""))
        lag = _STREAM_LAG if call == "stream" else 0
        kept = [
            self._kept(leg, call)
            for leg in self.exchange.legs_between(lo, hi)
            if leg.party.kind != "outside" and (not places or (leg.site and leg.site.name in places))
        ]
        share = self.switched["dropped"]
        return [
            self._record(one.leg)
            for one in kept
            if one.seen + lag <= now and not dropped(share, one.id, one.leg.end, now)
        ]

    def reply(self, request: Request) -> Reply:
        """Return the answer to one request."""
        self._answers += 1
        if request.path == "/access_token":
            return self._token(request)
        if request.path == "/authorize":
            return self._authorize(request)
        if request.path not in {"/cdr_feed", "/cdr_stream"}:
            return self._error(404, _NOWHERE)
        if request.method != "GET":
            return self._error(405, "Method not allowed")
        return self._refused(request) or self._page(request)

    def error(self, status: int, request: Request) -> Reply:  # noqa: ARG002 - other providers echo the request
        """Return an error in the shape of this API, with a tracking id."""
        messages = {
            401: _NO_TOKEN,
            403: "Forbidden",
            404: _NOWHERE,
            429: "Request rate exceeds threshold",
            504: "If your query uses max parameter, please try to reduce it.",
        }
        return self._error(status, messages.get(status, "Bad request" if status < 500 else "Service unavailable"))

    def wrong_shape(self, request: Request) -> Reply:  # noqa: ARG002 - other providers echo the request
        """Return a success that has no `items`."""
        return self._answer(200, dumped({"records": [], "status": "ok"}))

    # sign-in

    def _authorize(self, request: Request) -> Reply:
        """Ask whoever signs in, or send the browser back: developer.webex.com, "Requesting authorization".

        Where the browser could be sent to a stranger nothing is sent back (RFC 6749, section 4.1.2.1).
        """
        if request.method not in {"GET", "POST"}:
            return self._page_of(405, "Method not allowed")
        text = request.query if request.method == "GET" else request.body.decode("utf-8", "replace")
        asked = {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}
        if asked.get("client_id") != CLIENT_ID:
            return self._page_of(400, "There is no integration with this client_id.")
        if asked.get("redirect_uri") != self.switched["redirect_uri"]:
            return self._page_of(400, "The redirect_uri is not one of those registered with the integration.")
        method = asked.get("code_challenge_method", "plain")
        if asked.get("response_type") != "code":
            return self._back(asked, error="unsupported_response_type")
        if not asked.get("scope") or set(asked["scope"].split()) - {SCOPE, "spark:kms"}:
            return self._back(asked, error="invalid_scope", error_description="The requested scope is invalid.")
        if asked.get("code_challenge") and method not in {"S256", "plain"}:
            return self._back(asked, error="invalid_request", error_description="Transform algorithm not supported.")
        if request.method == "GET":
            return self._question(asked)
        if asked.get("decision") != "accept":
            return self._back(asked, error="access_denied", error_description="The resource owner denied the request.")
        code = f"EXAMPLE-WEBEX-CODE-{digest('code', self._answers)[:24]}"
        ends = milliseconds(self.now()) + CODE_LIFE * SECOND
        challenge = asked.get("code_challenge", "")
        self._codes[code] = _Code(asked["redirect_uri"], asked["scope"], challenge, method, ends)
        return self._back(asked, code=code)

    def _question(self, asked: Mapping[str, str]) -> Reply:
        """Return the page that asks for consent: a form that has what was asked for in it."""
        fields = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in asked.items()
        )
        scopes = "".join(f"<li>{html.escape(scope)}</li>" for scope in asked["scope"].split())
        return self._page_of(
            200,
            "The sandbox's integration wants to:",
            f'<ul>{scopes}</ul><form method="post">{fields}'
            '<button id="accept" name="decision" value="accept">Accept</button> '
            '<button id="deny" name="decision" value="deny">Deny</button></form>',
        )

    def _back(self, asked: Mapping[str, str], **answer: str) -> Reply:
        """Send the browser to the redirect URI with an answer and the state that was asked with."""
        state = {"state": asked["state"]} if "state" in asked else {}
        uri = asked["redirect_uri"]
        headers = {"Location": f"{uri}{'&' if '?' in uri else '?'}{urlencode({**answer, **state})}"}
        return Reply(302, b"", {**headers, "Cache-Control": "no-store", "trackingid": self._tracking()})

    def _page_of(self, status: int, heading: str, more: str = "") -> Reply:
        text = f"<!DOCTYPE html><title>Webex (sandbox)</title><h1>{heading}</h1>{more}"
        headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}
        return Reply(status, text.encode(), {**headers, "trackingid": self._tracking()})

    def _token(self, request: Request) -> Reply:
        """Answer a refresh, or give the tokens for a code: developer.webex.com, "Integrations & Authorization"."""
        if request.method != "POST":
            return self._error(405, "Method not allowed")
        form = {name: values[-1] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        if form.get("grant_type") not in {"refresh_token", "authorization_code"}:
            return self._general(400, "The requested grant type is not supported.")
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return self._general(401, "The client credentials are not valid.")
        now = milliseconds(self.now())
        if form["grant_type"] == "authorization_code":
            code = self._codes.pop(form.get("code", ""), None)  # good for one use, also where that fails
            if code is None or code.ends <= now or code.redirect_uri != form.get("redirect_uri"):
                return self._general(400, "The authorization code is expired, used, or of another redirect_uri.")
            if code.challenge and code.challenge != _challenge(form.get("code_verifier", ""), code.method):
                return self._general(400, "The code_verifier does not match the code_challenge.")
            self._granted += 1
            return self._grant(f"EXAMPLE-WEBEX-REFRESH-{self._granted}", code.scope)
        refresh = form.get("refresh_token", "")
        ends = self._refreshes.get(refresh, 0)
        if ends is not None and ends <= now:
            return self._general(400, "The refresh token provided is expired, revoked, malformed, or invalid.")
        self._granted += 1
        fresh = f"EXAMPLE-WEBEX-REFRESH-{self._granted}" if self.switched["rotate"] == "on" else refresh
        if refresh == self._refresh:
            self._refresh = fresh
        del self._refreshes[refresh]
        return self._grant(fresh, SCOPE)

    def _grant(self, refresh: str, scope: str) -> Reply:
        """Return a new access token and this refresh token, which is good from now on."""
        now = milliseconds(self.now())
        token = f"EXAMPLE-WEBEX-ACCESS-{self._granted}-{digest('access', self._granted)[:16]}"
        self._tokens[token] = now + ACCESS_LIFE * SECOND
        self._refreshes[refresh] = now + REFRESH_LIFE * SECOND
        body = {
            "access_token": token,
            "expires_in": ACCESS_LIFE,
            "refresh_token": refresh,
            "refresh_token_expires_in": REFRESH_LIFE,
            "token_type": "Bearer",
            "scope": scope,
        }
        return self._answer(200, dumped(body))

    def _refused(self, request: Request) -> Reply | None:
        """Return why the request is not answered with records: token, permission, region, rate."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        now = milliseconds(self.now())
        life = self._tokens.get(token, 0)
        if scheme.lower() != "bearer" or (life is not None and life <= now):
            return self._general(401, _NO_TOKEN)
        if self.switched["scope"] == "missing":
            return self._error(403, "Forbidden")
        if self.switched["region"] == "451_please_use":
            text = f"Data for this organization is not available here. Please use {_ELSEWHERE}"
            return self._error(451, text)
        if self.switched["region"] == "451_url":
            return self._error(451, f"The request should go to URL: https://{_ELSEWHERE}")
        return self._over_limit(request, now) if self.switched["limits"] == "on" else None

    def _over_limit(self, request: Request, now: int) -> Reply | None:
        """Count the request; 1 first and 10 next pages in any 60 s, per user token."""
        shared = self.switched["shared_limit"] == "on"
        further = "startTimeForNextFetch=" in request.query
        spent = self._spent.setdefault(f"{'both' if shared else request.path} {further}", deque())
        while spent and spent[0] <= now - _RATE_SPAN:
            spent.popleft()
        if len(spent) < (_NEXT_PER_SPAN if further else _INITIAL_PER_SPAN):
            spent.append(now)
            return None
        wait = self.switched["retry_after"]
        if wait == "http_date":
            wait = format_datetime(self.now().astimezone(UTC) + timedelta(minutes=1), usegmt=True)
        extra = {} if wait == "none" else {"Retry-After": wait}
        return self._error(429, "Request rate exceeds threshold", extra)

    # pages

    def _page(self, request: Request) -> Reply:
        """Answer one page of a window."""
        asked = request.values
        call = "stream" if request.path == "/cdr_stream" else "cdrs"
        window = self._window(asked, call)
        if isinstance(window, str):
            return self._error(400, window)
        size = asked.get("max", str(_LARGEST_PAGE))
        if not re.fullmatch(r"-?\d+", size):
            return self._error(400, "Bad request: max must be a number")
        floor = int(self.switched["max_floor"])
        limit = max(min(int(size), _LARGEST_PAGE), min(floor, _LARGEST_PAGE))
        places = _locations(asked.get("locations", ""))
        if len(places) > _MOST_LOCATIONS:
            return self._error(400, "Bad request: at most 10 locations")
        kept = self._within(call, *window, places)
        cursor = asked.get("startTimeForNextFetch", "")
        if not kept and not cursor and self.switched["empty"] != "200":
            return self._error(404, EMPTY_WINDOW) if self.switched["empty"] == "404" else self._answer(204, b"")
        return self._slice(request, asked, kept, cursor, limit)

    def _slice(self, request: Request, asked: dict[str, str], kept: list[_Kept], cursor: str, limit: int) -> Reply:
        keys = [one.key for one in kept]
        first, blank = 0, False
        if cursor:
            read = re.fullmatch(r"(.{19}\.\d{3})(\d{5})?Z", cursor)
            if not read:
                return self._error(400, "Bad request: startTimeForNextFetch")
            issued, life = self._links.get(request.query), self.switched["next_ttl"]
            if life != "none" and (issued is None or issued + int(life) * SECOND < milliseconds(self.now())):
                return self._error(400, "Bad request: the next link has expired")
            skip = int(read[2] or 0)
            blank = skip >= _BLANK_PAGE // 2
            at = milliseconds(datetime.fromisoformat(read[1] + "+00:00"))
            first = bisect_left(keys, at) + (_BLANK_PAGE - skip if blank else skip)
        if blank:
            return self._with_link(request, asked, kept, (first, limit), [])
        page = kept[first : first + limit]
        after = first + len(page)
        if after >= len(kept):
            return self._answer(200, dumped({"items": self._ordered(page)}))
        if self.switched["page_overlap"] == "on":
            again = bisect_left(keys, page[-1].key)
            after = again if again > first else after
        return self._with_link(request, asked, kept, (after, limit), page)

    def _with_link(
        self, request: Request, asked: dict[str, str], kept: list[_Kept], follows: tuple[int, int], page: list[_Kept]
    ) -> Reply:
        """Return a page that is not the last: `follows` says where the next begins and how long it may be.

        The service's cursor is a time. Here further digits tell records of one millisecond apart, so that a page edge
        within it loses nothing: clients are to follow the link byte for byte.
        """
        after, limit = follows
        key = kept[after].key
        skip = after - next(n for n in range(after, -1, -1) if n == 0 or kept[n - 1].key != key)
        if page and self.switched["empty_page"] != "off":
            skip = _BLANK_PAGE - skip
        cursor = f"{_text(key)[:-1]}{f'{skip:05d}' if skip else ''}Z"
        parts = [f"endTime={asked['endTime']}", f"startTime={asked['startTime']}"]
        if "locations" in asked:
            parts.append(f"locations={quote(asked['locations'])}")
        parts += [
            f"startTimeForNextFetch={cursor}",
            f"totalCount={asked.get('totalCount', len(kept))}",
            f"max={limit}",
            f"orgId={ORG}",
        ]
        query = "&".join(parts)
        self._links[query] = milliseconds(self.now())
        link = _link(self.switched["link"], f"{request.base_url}{request.path}", query)
        without = not page and self.switched["empty_page"] == "no_items"
        return self._answer(200, dumped({} if without else {"items": self._ordered(page)}), {"Link": link})

    def _window(self, asked: dict[str, str], call: str) -> tuple[int, int] | str:
        """Return the window in Unix milliseconds, or why it is refused."""
        bounds = []
        for name in ("startTime", "endTime"):
            if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", asked.get(name, "")):
                return f"Bad request: {name} must be like 2026-11-18T00:00:00.000Z"
            try:
                bounds.append(milliseconds(datetime.fromisoformat(asked[name])))
            except ValueError:
                return f"Bad request: {name} is no such time"
        lo, hi = bounds
        longest, oldest, newest = {
            "cdrs": (12 * HOUR, 30 * DAY, _FEED_LAG),
            "stream": (2 * HOUR, 12 * HOUR, _STREAM_LAG),
        }[call]
        now = milliseconds(self.now())
        if hi <= lo:
            return "Bad request: endTime must be later than startTime"
        if hi - lo > longest:
            return f"Bad request: startTime and endTime are more than {longest // HOUR} hours apart"
        if lo < now - oldest:
            return f"Bad request: startTime is more than {oldest // HOUR} hours ago"
        if hi > now - newest:
            return f"Bad request: endTime must be at least {newest // MINUTE} minutes ago"
        return lo, hi

    def _within(self, call: str, lo: int, hi: int, places: frozenset[str]) -> list[_Kept]:
        """Return what the window holds by now, in order of what it is laid on."""
        bounds = self.switched["bounds"]
        lo += bounds in {"open", "open_low"}
        hi += bounds in {"closed", "open_low"}
        legs_since = lo
        if call == "stream" or self.switched["filter"] == "end":
            legs_since = lo - self.exchange.longest - 25 * HOUR
        now = milliseconds(self.now())
        window = (call, lo, hi, places, *self.switched.values())
        if self._last[0] == window and self._last[1] <= now:
            return self._last[2]
        kept = []
        complete_from = 0
        for leg in self.exchange.legs_between(legs_since, hi):
            if leg.party.kind == "outside":
                continue
            one = self._kept(leg, call)
            if dropped(self.switched["dropped"], leg.id, leg.end, now):
                continue
            if lo <= one.key < hi and (not places or one.location in places):
                complete_from = max(complete_from, one.seen)
                if one.seen <= now:
                    kept.append(one)
        kept.sort(key=lambda one: (one.key, one.id))
        if complete_from <= now and self.switched["dropped"] == "0":
            # A window to which nothing more can come, and of which nothing goes, is asked again for each of its pages.
            self._last = window, complete_from, kept
        return kept

    def _kept(self, leg: Leg, call: str) -> _Kept:
        late = delay(self.switched["late"], "late", leg.id)
        inserted = leg.end + _INSERTED_AFTER + late
        key = leg.end if self.switched["filter"] == "end" else leg.start
        seen = leg.end + _FEED_LAG + late
        if call == "stream":
            key = seen = inserted
        return _Kept(key, leg.start, seen, leg.id, leg.site.name if leg.site else "", leg)

    def _ordered(self, page: list[_Kept]) -> list[dict[str, Any]]:
        records = [self._record(one.leg) for one in page]
        if self.switched["order"] == "descending":
            records.reverse()
        elif self.switched["order"] == "shuffled":
            random.Random(len(records)).shuffle(records)  # noqa: S311 - the same on every run
        return records

    # records

    def _record(self, leg: Leg) -> dict[str, Any]:
        """Return one record as the switches say it stands on the wire."""
        record = self._made(leg)
        changes = delay(self.switched["changed"], "changed", leg.id)
        if changes and milliseconds(self.now()) < leg.end + changes:
            record["Releasing party"] = "Unknown"
        keys, types = self.switched["keys"], self.switched["types"]
        if types == "doc":
            record["Ring duration"] = int(record["Ring duration"])
        if keys == "2025":
            record = {key: record[key] for key in KEYS[:KEYS_OF_2025]}
        elif keys == "doc_case":
            record = {_IN_DOCUMENTATION.get(key, key): value for key, value in record.items()}
        elif keys == "future":
            number = int(digest("future", leg.id)[:4], 16)
            record |= {"Sentiment score": "0.7", "Agent notes": {"count": number % 3, "text": 'said "yes", left'}}
            if number % 7 == 0:
                record["Call type"] = "SIP_HOLOGRAM"
                record["Call outcome reason"] = "SolarFlare"
        elif keys == "clients":
            record |= {"Report group": "", "User ID": leg.party.id}
            if record["Related reason"] in {"CallForwardNoAnswer", "Deflection", "HuntGroup"}:
                record["Related reason"] = "CalllPark"
            words = {"UserBusy": "Busy", "NoAnswer": "Unanswered"}
            record["Call outcome reason"] = words.get(record["Call outcome reason"], record["Call outcome reason"])
        return record

    def _made(self, leg: Leg) -> dict[str, Any]:
        party, site = leg.party, leg.site
        out = leg.direction == "originating"
        answered = leg.answer is not None
        outcome, reason = _CAUSES.get(leg.cause, ("Success", "Normal"))
        group = leg.queue or leg.hunt_group
        pair = digest("pair", *sorted((leg.id, leg.peer)))
        external = leg.route not in {"internal", "service"}
        external = external and not (group and party.is_user)
        beyond = not out and leg.from_number.startswith("+")
        redirected = leg.redirected_by
        call_of = leg.call_id, leg.session
        record = dict(_EMPTY)
        record |= {
            "Answer time": "" if leg.answer is None else _text(leg.answer),
            "Answered": "true" if answered else "false",
            "Direction": "ORIGINATING" if out else "TERMINATING",
            "Start time": _text(leg.start),
            "Call type": _ROUTES[leg.route] if external else "SIP_ENTERPRISE",
            "Correlation ID": uuid_text(4, "correlation", *call_of),
            "International country": leg.country,
            "Duration": leg.talk_seconds,
            "Org UUID": ORG,
            "Original reason": leg.redirect_reason,
            "Redirect reason": leg.redirect_reason,
            "Related reason": self._related_reason(leg),
            "Report ID": uuid_text(3, "report", leg.id),
            "Report time": _text(leg.end),
            "User UUID": party.id,
            "User type": _KINDS[party.kind],
            "User": party.name,
            "Called number": leg.to_number,
            "Calling number": leg.from_number,
            "Dialed digits": leg.dialed if out else "",
            "Releasing party": leg.released_by.capitalize(),
            "Redirecting number": redirected.number if redirected else "",
            "Local call ID": _local_id(leg.id),
            "Remote call ID": "" if external or beyond else _local_id(leg.peer),
            "Network call ID": f"SD{pair[:8]}-{pair}" if external else f"BW{int(pair[:14], 16)}@10.71.220.6",
            "Related call ID": _local_id(leg.related),
            "User number": party.number,
            "Call outcome": outcome,
            "Call outcome reason": reason,
            "Ring duration": str(leg.ring_seconds),
            "Answer indicator": "Yes" if answered else "No",
            "Release time": _text(leg.end),
            "Redirecting party UUID": redirected.id if redirected else "",
            "Caller ID number": leg.from_number,
            "External caller ID number": leg.from_number if out and external else "",
            "Original called party UUID": redirected.id if redirected else "",
            "Auto Attendant Key Pressed": leg.key_pressed or "NA",
            "Queue type": "Call Queue" if leg.queue else "",
            "Answered elsewhere": "Yes" if leg.cause == "answered_elsewhere" else "",
            "Hold duration": leg.hold_seconds,
            "Interaction ID": uuid_text(4, "interaction", leg.call_id),
        }
        record |= self._device(leg)
        if site:
            record |= self._place(leg, site, external=external)
        if not out and leg.from_name:
            record["Calling line ID"] = leg.from_name
        if leg.transfer == "consulted" and leg.transfer_time is not None:
            record["Transfer related call ID"] = _local_id(leg.related or f"{leg.call_id}.3")
        if leg.transfer_time is not None:
            record["Call transfer time"] = _text(leg.transfer_time)
        if leg.recorded:
            record["Call Recording Platform Name"] = "Webex"
            record["Call Recording Result"] = "successful"
            record["Call Recording Trigger"] = "always"
        if answered and not out and party.is_user:
            record["Answer reason"] = "N/A"
        return record

    def _related_reason(self, leg: Leg) -> str:
        if leg.transfer == "consulted":
            return "ConsultativeTransfer"
        if leg.redirect_reason == "NoAnswer":
            return "CallForwardNoAnswer"
        return leg.redirect_reason if leg.redirect_reason in {"CallQueue", "HuntGroup", "Deflection"} else ""

    def _device(self, leg: Leg) -> dict[str, Any]:
        party = leg.party
        if not party.is_user:
            return {"Client type": "SIP"}
        out = leg.direction == "originating"
        client, version, system = _CLIENTS.get(party.device, _MOBILE)
        found: dict[str, Any] = {"Client type": client, "OS type": system if out else "na"}
        if out:
            found["Client version"] = version
            found["Call ID"] = f"SSE{leg.start}-{int(digest('sip', leg.id)[:8], 16)}@10.250.194.97"
            found["Local SessionID"] = found["Final local SessionID"] = digest("session", leg.id)
        if party.device == "desk":
            found["Model"] = "8851-3PCC"
            found["Device MAC"] = f"02005E{digest('mac', party.id)[:6].upper()}"
            found["Device owner UUID"] = party.id
        elif party.device == "mobile":
            found["Sub client type"] = "MOBILE_NETWORK"
        return found

    def _place(self, leg: Leg, site: Site, *, external: bool) -> dict[str, Any]:
        hour = leg.start // HOUR
        offset = self._zones.get((site.zone, hour))
        if offset is None:
            ahead = instant(leg.start).astimezone(ZoneInfo(site.zone)).utcoffset() or timedelta()
            offset = self._zones[site.zone, hour] = str(int(ahead.total_seconds()) // 60)
        found: dict[str, Any] = {
            "Site main number": site.main_number,
            "Site timezone": offset,
            "Location": site.name,
            "Site UUID": site.id,
        }
        if not external:
            return found
        if leg.trunk:
            outward = leg.direction == "originating"
            found["Outbound trunk" if outward else "Inbound trunk"] = leg.trunk
            if outward:
                found["Route group"] = site.route_group
            return found
        return found | {
            "PSTN legal entity": "Broadsoft Adaption LLC",
            "PSTN vendor org ID": "0b43a1a8-2efd-4892-b301-e7a5a6d2c884",
            "PSTN vendor name": "Cisco Calling Plans",
            "PSTN provider ID": "3fac3e13-f8de-43b4-ad85-c2862ae3afe8",
        }

    # answers

    def _tracking(self) -> str:
        return f"ROUTER_{uuid_text(4, 'tracking', self._answers)}"

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
        own = {"Content-Type": "application/json", "trackingid": self._tracking()}
        return Reply(status, body, own | dict(headers or {}))

    def _error(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
        if self.switched["error_shape"] == "general":
            return self._general(status, message, headers)
        body = {"errorCode": status, "message": message, "trackingId": self._tracking()}
        return self._answer(status, dumped(body), headers)

    def _general(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
        body = {"message": message, "errors": [{"description": message}], "trackingId": self._tracking()}
        return self._answer(status, dumped(body), headers)


def _link(form: str, page: str, query: str) -> str:
    """Return the Link header to the next page, as documented or in a form that RFC 8288 and RFC 3986 allow."""
    _, _, rest = page.partition("://")
    url = f"{page}?{query}"
    match form:
        case "doc":
            return f'<<{url}>;rel="next">'
        case "absolute_path":
            url = f"/{rest.partition('/')[2]}?{query}"
        case "relative_path":
            url = f"{rest.rpartition('/')[2]}?{query}"
        case "query":
            url = f"?{query}"
        case "network_path":
            url = f"//{rest}?{query}"
        case "with_others":
            return f'<{page}>; rel="first"; title="page 1, of <many>", <{url}>; REL=NEXT; title="go; on"'
    return f'<{url}>; rel="next"'


def _locations(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def _challenge(verifier: str, method: str) -> str:
    """Return the code challenge of a verifier (RFC 7636, section 4.6)."""
    if method == "plain":
        return verifier
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
