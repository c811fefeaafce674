"""The imitated provider: requests in, answers out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cdrctl.sandbox.callgear.accounts import get_account, get_customer_users, getobj_account
from cdrctl.sandbox.callgear.errors import RefusedError
from cdrctl.sandbox.callgear.fields import Record
from cdrctl.sandbox.callgear.jsonrpc import error_reply, read_request, request_id, result_reply
from cdrctl.sandbox.callgear.limits import Budget, check_limits, error_metadata, limits_if_on, limits_of
from cdrctl.sandbox.callgear.metadata import make_result
from cdrctl.sandbox.callgear.parameters import PARAMETERS
from cdrctl.sandbox.callgear.parties import APP_HOST
from cdrctl.sandbox.callgear.reports import Reports, read_report_request
from cdrctl.sandbox.callgear.sign_in import Caller, Tokens, credentials, identify_caller, log_in, log_out
from cdrctl.sandbox.callgear.state import State
from cdrctl.sandbox.callgear.switches import SWITCHES
from cdrctl.sandbox.callgear.truth import truth_of
from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.wire import Clock, Reply, Request, Setting, Switch


class CallGear:
    """JSON-RPC over `POST /callgear/v2.0` for a customer, and for a partner with that and another customer.

    Limits, the lives of tokens and running calls are measured by `now`. The rows are those of `exchange`: one leg per
    leg, one call per call, one charge per leg through the public network.
    """

    name = "callgear"
    mount = "/callgear/v2.0"
    calls: tuple[str, ...] = ("legs", "calls", "costs", "users")
    switches: Mapping[str, Switch] = SWITCHES

    def __init__(self, exchange: Exchange, now: Clock, *, limits: bool = False) -> None:
        self.exchange = exchange
        self._state = State(exchange, now, limits=limits)
        self.switched = self._state.switched
        self._tokens = Tokens()
        self._reports = Reports(self._state)
        self._budgets: dict[bool, Budget] = {}

    def credentials(self, kind: str, base_url: str) -> dict[str, Setting]:
        """List profile settings: kind `access_token` (default), `login` or `partner`."""
        own = credentials(kind, self.switched["zone"])
        # Links to recordings are built from the brand of base_url, which a loopback address does not tell.
        return {"base_url": base_url, "app_host": APP_HOST, **own, "requests_per_minute": 0}

    def expire_tokens(self) -> None:
        """End the access keys and every login; signing in continues to work."""
        self._tokens.expire()

    def truth(self, call: str, since: datetime, until: datetime, **options: str) -> list[Record]:
        """List the records that began in `[since, until)` as they stand on the wire, by start and id.

        Only records that exist by now are listed. `fields` is `all` (default), `default`, or names separated by commas;
        `user_id` is one of a partner's users. `reading` decides how a local time that the clocks show twice is read:
        `first` (default) as the first of the two, `own` as the true instant, which a record does not tell. `users` have
        no start, so all are listed. Raises ValueError for another call, option or customer.
        """
        if call not in self.calls:
            raise ValueError(f"callgear has the calls {', '.join(self.calls)}, not {call}")
        return truth_of(self._state, call, since, until, options)

    def reply(self, request: Request) -> Reply:
        """Answer one request."""
        if request.path not in {"", "/"}:
            return Reply(404, b"<html><body><h1>404 Not Found</h1></body></html>", {"Content-Type": "text/html"})
        if request.method != "POST":
            return Reply(405, b"", {"Allow": "POST"})
        given: Any = None
        try:
            method, params, given = read_request(request.body)
            result = self._result(method, params, request)
        except RefusedError as refused:
            given = refused.data.pop("id", given)
            return error_reply(self.switched, refused, given)
        return result_reply(given, result)

    def error(self, status: int, request: Request) -> Reply:
        """Answer with an error of that status, under the mnemonic that comes nearest to it."""
        mnemonics = {400: "invalid_request", 401: "access_token_invalid", 403: "forbidden", 404: "method_not_found"}
        mnemonic = mnemonics.get(status, "invalid_request" if status < 500 else "internal_error")
        data: Record = {}
        if status == 429:
            mnemonic = "limit_exceeded"
            most = int(self.switched["minute_limit"])
            data = {"params": {"limit_type": "minute", "limit_max_value": most}}
            data["metadata"] = {"limits": {**limits_of(self._state, Budget()), "minute_remaining": 0}}
        elif status == 401:
            data = {"field": "access_token"}
        return error_reply(self.switched, RefusedError(mnemonic, **data), request_id(request.body), status)

    def wrong_shape(self, request: Request) -> Reply:
        """Answer with a success whose result has no `data`."""
        result = {"records": [], "metadata": {"total_items": 0, "version": None, "limits": {}}}
        return result_reply(request_id(request.body), result)

    def _result(self, method: str, params: Record, request: Request) -> Record:
        """Call a method, and count what it costs."""
        if method not in PARAMETERS:
            raise RefusedError("method_not_found")
        state = self._state
        if method == "login.user":
            return log_in(state, self._tokens, params, request)
        if method == "logout.user":
            return log_out(state, self._tokens, params, request)
        caller = identify_caller(state, self._tokens, method, params, request)
        budget = self._budgets.setdefault(caller.partner, Budget())
        check_limits(state, budget)
        try:
            data, metadata = self._call(method, params, caller)
        except RefusedError as refused:
            # Only successful requests cost points: callgear.github.io/data_api, limits.
            refused.data.setdefault("metadata", error_metadata(state, refused.mnemonic, budget))
            raise
        budget.spend(state.time)
        return make_result(self.switched, method, data, metadata | {"limits": limits_if_on(state, budget)})

    def _call(self, method: str, params: Record, caller: Caller) -> tuple[Any, Record]:
        """Call a method that costs points; the answer is its data and its metadata."""
        if method == "get.customer_users":
            return get_customer_users(self._state, params)
        if method == "get.account":
            return get_account(self._state, params)
        if method == "getobj.account":
            return getobj_account(self._state, params, partner=caller.partner)
        return self._reports.answer(read_report_request(self._state, method, params, caller.customer))
