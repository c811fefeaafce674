"""Access keys, logins, and the callers of requests."""

from __future__ import annotations

from dataclasses import dataclass

from cdrctl.sandbox.callgear.errors import RefusedError, refusal
from cdrctl.sandbox.callgear.fields import REPORTS, Record
from cdrctl.sandbox.callgear.parameters import check_parameters
from cdrctl.sandbox.callgear.state import Customer, State
from cdrctl.sandbox.exchange.clock import SECOND, digest
from cdrctl.sandbox.wire import Request, Setting

ACCESS_TOKEN = "EXAMPLE-CALLGEAR-ACCESS-KEY"
PARTNER_TOKEN = "EXAMPLE-CALLGEAR-PARTNER-KEY"
LOGIN = "user@acme.example"
PASSWORD = "EXAMPLE-CALLGEAR-PASSWORD"


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request comes from; `customer` is None for a partner that names no customer."""

    customer: Customer | None
    partner: bool


class Tokens:
    """The access keys and the logins, and which of them have ended."""

    def __init__(self) -> None:
        self._partner_keys = {ACCESS_TOKEN: False, PARTNER_TOKEN: True}
        self._ended: set[str] = set()
        self._sessions: dict[str, int] = {}
        self._signed_in = 0

    def expire(self) -> None:
        """End the access keys and every login; signing in continues to work.

        An ended key is answered with `access_token_expired`, an ended login with `access_token_invalid`:
        comagic.github.io/data_api, general errors.
        """
        self._ended.update(self._partner_keys)
        self._sessions.clear()

    def open_session(self, ends: int) -> str:
        """Issue the token of a login that lives until a time in Unix milliseconds."""
        self._signed_in += 1
        token = f"EXAMPLE-CALLGEAR-SESSION-{self._signed_in}-{digest('callgear session', self._signed_in)[:16]}"
        self._sessions[token] = ends
        return token

    def close_session(self, token: str) -> None:
        """End a login."""
        self._sessions.pop(token, None)

    def is_partner(self, params: Record, now: int) -> bool:
        """Check the request's token, and tell whether it is the partner's."""
        token = params.get("access_token")
        if token is None:
            raise RefusedError("required_parameter_missed", field="access_token")
        if not isinstance(token, str):
            raise RefusedError("data_type_error", field="access_token", value=token)
        if token in self._ended:
            raise RefusedError("access_token_expired", field="access_token")
        if token not in self._partner_keys and self._sessions.get(token, 0) <= now:
            self._sessions.pop(token, None)
            raise RefusedError("access_token_invalid", field="access_token", value=token)
        return self._partner_keys.get(token, False)


def credentials(kind: str, zone: str) -> dict[str, Setting]:
    """List the settings that sign in: kind `access_token` (default), `login` or `partner`."""
    own: dict[str, dict[str, Setting]] = {
        "access_token": {"access_token": ACCESS_TOKEN},
        "login": {"login": LOGIN, "password": PASSWORD},
        "partner": {"access_token": PARTNER_TOKEN, "user_id": 2_000, "timezone": zone},
    }
    kind = kind or "access_token"
    if kind not in own:
        raise ValueError(f"callgear signs in by {', '.join(own)}, not by {kind}")
    return own[kind]


def log_in(state: State, tokens: Tokens, params: Record, request: Request) -> Record:
    """Answer `login.user`."""
    check_parameters(state.switched, "login.user", params)
    _check_access(state, request)
    if (params["login"], params["password"]) != (LOGIN, PASSWORD):
        raise RefusedError("auth_error")
    ends = state.time + int(state.switched["token_ttl"]) * SECOND
    token = tokens.open_session(ends)
    return {"data": {"access_token": token, "expire_at": ends // SECOND, "app_id": state.customers[0].app_id}}


def log_out(state: State, tokens: Tokens, params: Record, request: Request) -> Record:
    """Answer `logout.user`."""
    check_parameters(state.switched, "logout.user", params)
    tokens.is_partner(params, state.time)
    _check_access(state, request)
    tokens.close_session(params["access_token"])
    return {"data": {}}


def identify_caller(state: State, tokens: Tokens, method: str, params: Record, request: Request) -> Caller:
    """Return the caller and the customer of a request; refuse requests that are not allowed."""
    partner = tokens.is_partner(params, state.time)
    _check_access(state, request)
    if state.switched["refuse"] != "none":
        raise refusal(state.switched["refuse"], request.client)
    # Only customers may call get.account, only partners get.customer_users.
    if method == ("get.account" if partner else "get.customer_users"):
        raise RefusedError("forbidden")
    if method not in REPORTS:
        return Caller(None, partner)
    if not partner:
        if "user_id" in params:
            raise RefusedError("forbidden", field="user_id", value=params["user_id"])
        return Caller(state.customers[0], partner)
    if params.get("user_id") is None:
        raise RefusedError("required_parameter_missed", field="user_id")
    if type(params["user_id"]) is not int:
        raise RefusedError("data_type_error", field="user_id", value=params["user_id"])
    customer = state.customer(params["user_id"])
    if customer is None:
        raise RefusedError("forbidden", field="user_id", value=params["user_id"])
    return Caller(customer, partner)


def _check_access(state: State, request: Request) -> None:
    """Refuse addresses that are not in the allow-list, and a disabled account."""
    if state.switched["ip"] == "unlisted":
        raise RefusedError("ip_not_whitelisted", params={"ip": request.client}, extended_helper="")
    if state.switched["account"] == "inactive":
        raise RefusedError("account_inactive")
