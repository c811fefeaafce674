"""The imitated provider: requests in, answers out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.exchange.clock import milliseconds
from cdrctl.sandbox.voicenter.answers import error, html_page, json_reply
from cdrctl.sandbox.voicenter.cdr import Doc
from cdrctl.sandbox.voicenter.listing import list_records
from cdrctl.sandbox.voicenter.notifications import ended_calls, notification_of, pushed_bodies
from cdrctl.sandbox.voicenter.records import write_record
from cdrctl.sandbox.voicenter.search import Search, matches, read_body, read_query, wanted_fields
from cdrctl.sandbox.voicenter.sign_in import Access, refuse
from cdrctl.sandbox.voicenter.state import State
from cdrctl.sandbox.voicenter.switches import SWITCHES
from cdrctl.sandbox.wire import Clock, Reply, Request, Setting, Switch


class Voicenter:
    """`POST` and `GET /hub/cdr/` for one organisation, and what it pushes: `notifications`.

    Windows, limits and freshness are measured by `now`. Records are those of `exchange`, as the service counts calls:
    one per call, two under one CallID for calls by a click or a dialer, one more per transfer, consultation, forward or
    voice mail. Numbers of the exchange are moved to Israeli ranges made of zeros.
    """

    name = "voicenter"
    mount = "/voicenter/hub/cdr/"
    calls: tuple[str, ...] = ("cdrs", "notifications")
    switches: Mapping[str, Switch] = SWITCHES

    def __init__(self, exchange: Exchange, now: Clock, *, limits: bool = False) -> None:
        self.exchange = exchange
        self._state = State(exchange, now, limits=limits)
        self.switched = self._state.switched
        self._access = Access()

    def credentials(self, kind: str, base_url: str) -> dict[str, Setting]:
        """List profile settings: kind `code` (default) or `bearer`; new ones after `expire_tokens`."""
        return {"base_url": base_url, **self._access.credentials(kind), "requests_per_minute": 0}

    def expire_tokens(self) -> None:
        """Make the code and the bearer token invalid; people fetch new ones by hand, here from `credentials`."""
        self._access.renew()

    def truth(self, call: str, since: datetime, until: datetime, **options: str) -> list[Doc]:
        """List the records that began in `[since, until)`, as they stand on the wire, in order of their start.

        Only records that exist by now are listed. For `cdrs`, every search key of a request is an option, with values
        separated by commas, and so is `fields`. `notifications` are listed once each, in order of the calls' ends.
        Raises ValueError for another call.
        """
        if call not in self.calls:
            raise ValueError(f"voicenter has the calls {' and '.join(self.calls)}, not {call}")
        state = self._state
        lo, hi = milliseconds(since), milliseconds(until)
        if call == "notifications":
            return [notification_of(state, one) for one in ended_calls(state, lo, hi)]
        search = Search(keys={name: text.split(",") for name, text in options.items()})
        search.fields = search.keys.pop("fields", None)
        found = [one for one in state.cdrs_between(lo, hi, state.lag) if matches(one, search)]
        return [write_record(state, one, wanted_fields(state, search)) for one in found]

    def notifications(self, since: datetime, until: datetime) -> list[Doc]:
        """List the bodies pushed for calls that began in `[since, until)`, in the order they were pushed.

        Only calls that have ended are listed; a repeated notification follows at once. Keys and types are those that
        "CDR Notification" at voicenter.com gives.
        """
        return pushed_bodies(self._state, milliseconds(since), milliseconds(until))

    def reply(self, request: Request) -> Reply:
        """Answer one request."""
        state = self._state
        if request.path not in {"/"} | ({""} if self.switched["slash"] == "either" else set()):
            return html_page(404, "Not Found")
        if request.method == "POST":
            search = read_body(state, request.body)
        elif request.method == "GET":
            search = read_query(state, request.query)
        else:
            return html_page(405, "Method Not Allowed")
        return refuse(state, self._access, request, search) or list_records(state, search)

    def error(self, status: int, request: Request) -> Reply:  # noqa: ARG002 - other providers echo the request
        """Answer with an error of that HTTP status: documented ones as JSON, all others as a web page.

        200 is error 1, as the service hides it in a success; 401 and 403 are error 2, 404 is 5, 429 is 1.
        """
        number = {200: 1, 401: 2, 403: 2, 404: 5, 429: 1}.get(status)
        if number is None:
            return html_page(status, "Bad Request" if status < 500 else "Service Unavailable")
        return replace(error(self._state, number), status=status)

    def wrong_shape(self, request: Request) -> Reply:  # noqa: ARG002 - other providers echo the request
        """Answer with a success that has no `CDR_LIST`."""
        return json_reply(200, {"ERROR_NUMBER": 0, "ERROR_DESCRIPTION": "OK", "STATUS_CODE": 200, "calls": []})
