"""Sign-in: `PUT /api_auth` with a key (cb_api_auth.erl), `PUT /user_auth` with a password (cb_user_auth.erl)."""

from __future__ import annotations

import json
from hashlib import md5, sha1
from typing import Any

from cdrctl.sandbox.exchange.clock import digest
from cdrctl.sandbox.exchange.parties import PEOPLE
from cdrctl.sandbox.kazoo.accounts import OWNER_IDS, Account
from cdrctl.sandbox.kazoo.answers import (
    bad_identifier,
    envelope,
    failure,
    json_headers,
    token_refusal,
    too_many_requests,
    wrong_method,
)
from cdrctl.sandbox.kazoo.documents import Doc
from cdrctl.sandbox.kazoo.state import State
from cdrctl.sandbox.wire import Reply, Request, dump

API_KEY = digest("kazoo key") + digest("kazoo key", 2)
USERNAME = "operator@acme.example"
PASSWORD = "EXAMPLE-KAZOO-PASSWORD"
WAYS = ("api_auth", "user_auth")
_COST = 35
"""The cost of a sign-in in a client's bucket."""


def sign_in(state: State, request: Request, way: str) -> Reply:
    """Answer a request to `/api_auth` or `/user_auth`."""
    if request.method != "PUT":
        return wrong_method(state, request)
    if not state.spend(request.client, "", _COST):
        return too_many_requests(state, request)
    try:
        data = json.loads(request.body)["data"]
    except (ValueError, KeyError, TypeError):
        data = None
    if not isinstance(data, dict):
        return failure(state, request, 400, "malformed_json", {"message": "invalid json"})
    if way == "api_auth":
        key = data.get("api_key")
        wrong = _schema_errors(key)
        if wrong:
            return failure(state, request, 400, "validation error", {"api_key": wrong})
        if key != API_KEY:
            return bad_identifier(state, request, key)
    elif not _is_password_right(state.accounts[0], data):
        return token_refusal(state, "", "invalid_credentials", {"message": "invalid credentials"})
    return _new_token(state, request, OWNER_IDS[PEOPLE[0].name] if way == "user_auth" else None)


def _new_token(state: State, request: Request, owner: str | None) -> Reply:
    """Return the answer to a sign-in: a token, and the user whose password was given."""
    account = state.accounts[0]
    token = state.tokens.issue(account.id, state.now().timestamp() + int(state.switched["token_ttl"]))
    body: Doc = {
        "account_id": account.id,
        "owner_id": owner,
        "is_reseller": True,
        "reseller_id": account.id,
        "language": "en-US",
        "apps": [],
    }
    whole = envelope(state, request, token) | {
        "data": {name: value for name, value in body.items() if value is not None},
        "revision": digest("revision", state.answers),
        "status": "success",
    }
    return Reply(201, dump(whole), json_headers(state))


def _is_password_right(account: Account, data: Doc) -> bool:
    hashed = {"md5": md5, "sha": sha1}.get(data.get("method", "md5"))
    if hashed is None or (data.get("account_name") != account.name and data.get("account_realm") != account.realm):
        return False
    text = f"{USERNAME.lower()}:{PASSWORD}".encode()
    return data.get("credentials") == hashed(text, usedforsecurity=False).hexdigest()


def _schema_errors(key: Any) -> Doc:
    """Return the errors of the schema of `api_auth` in a key, by rule; none when it is text of 64 characters."""
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
