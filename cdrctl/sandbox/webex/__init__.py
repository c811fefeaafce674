"""Webex Calling's Detailed Call History, imitated from its documentation and from real records.

Sources: developer.webex.com, "Reports: Detailed Call History" and "Reports: Live Stream Detailed Call History"; the
Cisco OpenAPI description published as GitHub api-evangelist/webex; developer.webex.com blog, "Understanding the Webex
Calling CDR APIs" (17 December 2025). A switch sets anything that is not published. Sign-in: "Integrations &
Authorization"; RFC 6749, section 4.1, and RFC 7636 for what that page leaves to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.webex.access import refusal
from cdrctl.sandbox.webex.answers import NOT_FOUND, answer, error_of_status, failure
from cdrctl.sandbox.webex.pages import page
from cdrctl.sandbox.webex.records import Record
from cdrctl.sandbox.webex.sign_in import CLIENT_ID, authorize
from cdrctl.sandbox.webex.state import ACCESS_TOKEN, State
from cdrctl.sandbox.webex.switches import SWITCHES
from cdrctl.sandbox.webex.tokens import CLIENT_SECRET, request_token
from cdrctl.sandbox.webex.windows import CALLS, true_records
from cdrctl.sandbox.wire import Clock, Reply, Request, Setting, Switch, dump


class Webex:
    """`GET /v1/cdr_feed`, `GET /v1/cdr_stream`, `/v1/authorize` and `POST /v1/access_token` for one organisation.

    Windows, limits and token lives are measured by `now`. Records are those of `exchange`: one per leg of a person,
    place, queue, hunt group, attendant or voice mail box, none for the far side of a trunk.
    """

    name = "webex"
    mount = "/webex/v1"
    calls: tuple[str, ...] = CALLS
    switches: Mapping[str, Switch] = SWITCHES

    def __init__(self, exchange: Exchange, now: Clock, *, limits: bool = False) -> None:
        self.exchange = exchange
        self.switched: dict[str, str] = {name: switch.default for name, switch in SWITCHES.items()}
        self.switched["limits"] = "on" if limits else "off"
        self.state = State(exchange, now, self.switched)

    def credentials(self, kind: str, base_url: str) -> dict[str, Setting]:
        """Return profile settings: kind `access_token` (default), `refresh_token`, or `login` for the browser."""
        client: dict[str, Setting] = {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "token_url": f"{base_url}/access_token",
        }
        own: dict[str, dict[str, Setting]] = {
            "access_token": {"access_token": ACCESS_TOKEN},
            "refresh_token": {**client, "refresh_token": self.state.refresh},
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
        self.state.tokens.clear()

    def expire_refresh_tokens(self) -> None:
        """Make every refresh token invalid: a user has to sign in again."""
        self.state.refreshes.clear()

    def truth(self, call: str, since: datetime, until: datetime, **options: str) -> list[Record]:
        """Return the records that a perfect export of `[since, until)` holds; `true_records` has the options."""
        return true_records(self.state, call, since, until, options)

    def reply(self, request: Request) -> Reply:
        """Return the answer to one request."""
        self.state.answers += 1
        if request.path == "/access_token":
            return request_token(self.state, request)
        if request.path == "/authorize":
            return authorize(self.state, request)
        if request.path not in {"/cdr_feed", "/cdr_stream"}:
            return failure(self.state, 404, NOT_FOUND)
        if request.method != "GET":
            return failure(self.state, 405, "Method not allowed")
        return refusal(self.state, request) or page(self.state, request)

    def error(self, status: int, request: Request) -> Reply:  # noqa: ARG002 - other providers echo the request
        """Return an error in the shape of this API, with a tracking id."""
        return error_of_status(self.state, status)

    def wrong_shape(self, request: Request) -> Reply:  # noqa: ARG002 - other providers echo the request
        """Return a success that has no `items`."""
        return answer(self.state, 200, dump({"records": [], "status": "ok"}))
