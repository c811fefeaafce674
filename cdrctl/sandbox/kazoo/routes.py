"""The routing of a request to its call: token, limit, account and permission are checked first."""

from __future__ import annotations

import re
from urllib.parse import unquote

from cdrctl.sandbox.kazoo.accounts import Account
from cdrctl.sandbox.kazoo.answers import failure, success, token_refusal, too_many_requests, wrong_method
from cdrctl.sandbox.kazoo.calls import descendants, legs, listing, single_document
from cdrctl.sandbox.kazoo.sign_in import WAYS, sign_in
from cdrctl.sandbox.kazoo.state import State
from cdrctl.sandbox.kazoo.tokens import token_of
from cdrctl.sandbox.wire import Reply, Request


def answer(state: State, request: Request) -> Reply:
    """Return the answer to a request."""
    parts = [unquote(part) for part in request.path.strip("/").split("/")]
    if parts[0] in WAYS and len(parts) == 1:
        return sign_in(state, request, parts[0])
    token = token_of(request, state.version)
    known = state.tokens.known.get(token)
    if known is None:
        return token_refusal(state, token, "invalid_credentials", {"message": "invalid credentials"})
    account_id, end = known
    if token in state.tokens.expired or end <= state.now().timestamp():
        return token_refusal(state, token, "invalid credentials", {})
    target = parts[1] if parts[0] == "accounts" and len(parts) > 1 else account_id
    if state.switched["limits"] != "sign_in" and not state.spend(request.client, target, 1):
        return too_many_requests(state, request)
    if parts[0] != "accounts" or len(parts) < 3:  # /accounts/ID/noun
        return failure(state, request, 404, "not_found", {"message": "not found"})
    account = state.account(target)
    if account is None or account_id not in {account.id, account.parent}:
        return failure(state, request, 403, "forbidden", {"message": "forbidden"})
    if state.switched["account"] == "expired":
        return failure(state, request, 423, "locked", {"account": {"expired": {"message": "account is expired"}}})
    if request.method != "GET":
        return wrong_method(state, request)
    csv = _wants_csv(request)
    if csv is None:
        return Reply(406)
    return _call(state, request, account, parts[2:], csv=csv)


def _call(state: State, request: Request, account: Account, nouns: list[str], *, csv: bool) -> Reply:
    """Return the answer of the call that the rest of the path names."""
    owner = ""
    if nouns[0] == "users" and len(nouns) > 2:  # users/ID/cdrs
        owner, nouns = nouns[1], nouns[2:]
    match nouns:
        case ["descendants"] if not owner:
            return descendants(state, request, account)
        case ["cdrs"] | ["cdrs", "interaction"]:
            return listing(state, request, account, owner, interaction=len(nouns) > 1, csv=csv)
        case ["cdrs", "summary"] if not owner:
            return success(state, request, {})
        case ["cdrs", "legs", leg_id] if not owner:
            return legs(state, request, account, leg_id)
        case ["cdrs", cdr_id] if not owner:
            return single_document(state, request, account, cdr_id)
    return failure(state, request, 404, "not_found", {"message": "not found"})


def _wants_csv(request: Request) -> bool | None:
    """Return whether the request asks for CSV; None if it accepts neither CSV nor JSON."""
    accept = request.headers.get("accept", "*/*")
    if request.values.get("accept") == "csv" or accept.startswith("text/csv"):
        return True
    return False if re.search(r"\*/\*|application/(json|\*)", accept) else None
