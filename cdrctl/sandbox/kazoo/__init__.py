"""2600Hz Kazoo's Crossbar, imitated from its source, faults included.

Sources: GitHub 2600hz/kazoo, `master` (5.0) and branches 4.3, 4.2, 4.0, 3.22: cb_cdrs.erl, crossbar_view.erl,
api_util.erl, kzd_cdrs.erl, cdr_channel_destroy.erl, kz_buckets.erl; GitHub openkazoo/kazoo5-dev for 5.x. Documents lie
in one database per UTC month of the interaction's start; listings are ordered by the moment of saving.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.kazoo.accounts import cluster_accounts
from cdrctl.sandbox.kazoo.answers import error_of_status, success
from cdrctl.sandbox.kazoo.documents import Doc
from cdrctl.sandbox.kazoo.routes import answer
from cdrctl.sandbox.kazoo.sign_in import API_KEY, PASSWORD, USERNAME
from cdrctl.sandbox.kazoo.state import State
from cdrctl.sandbox.kazoo.switches import SWITCHES
from cdrctl.sandbox.kazoo.truth import CALLS, true_rows
from cdrctl.sandbox.wire import Clock, Reply, Request, Setting, Switch


class Kazoo:
    """Crossbar's sign-in, CDR listings, interactions, legs and single documents for a reseller and two descendants.

    Tokens and buckets are measured by `now`. The reseller's calls are those of `exchange`; descendants have calls of
    their own from the same seed.
    """

    name = "kazoo"
    mount = "/kazoo/v2"
    calls: tuple[str, ...] = CALLS
    switches: Mapping[str, Switch] = SWITCHES

    def __init__(self, exchange: Exchange, now: Clock, *, limits: bool = False) -> None:
        self.exchange = exchange
        self.accounts = cluster_accounts(exchange)
        self.switched: dict[str, str] = {name: switch.default for name, switch in SWITCHES.items()}
        self.switched["limits"] = "on" if limits else "off"
        self.state = State(now, self.switched, self.accounts)
        self._own_token = self.state.tokens.issue(self.accounts[0].id, math.inf)
        self._descendant_token = self.state.tokens.issue(self.accounts[1].id, math.inf)

    def credentials(self, kind: str, base_url: str) -> dict[str, Setting]:
        """Return profile settings: kind `api_key` (default), `password`, `realm`, `auth_token` or `descendant`.

        `descendant` is the token of the first descendant, which may not read its reseller.
        """
        top, below = self.accounts[:2]
        own: dict[str, dict[str, Setting]] = {
            "api_key": {"api_key": API_KEY},
            "password": {"username": USERNAME, "password": PASSWORD, "account_name": top.name},
            "realm": {"username": USERNAME, "password": PASSWORD, "account_realm": top.realm},
            "auth_token": {"auth_token": self._own_token},
            "descendant": {"account_id": below.id, "auth_token": self._descendant_token},
        }
        kind = kind or "api_key"
        if kind not in own:
            raise ValueError(f"kazoo signs in by {', '.join(own)}, not by {kind}")
        return {"base_url": base_url, "account_id": top.id, **own[kind], "requests_per_minute": 0}

    def expire_tokens(self) -> None:
        """Expire every token issued so far."""
        self.state.tokens.expire_all()

    def truth(self, call: str, since: datetime, until: datetime, **options: str) -> list[Doc]:
        """Return the rows that a perfect export of `[since, until)` holds; `true_rows` has the options."""
        return true_rows(self.state, call, since, until, options)

    def reply(self, request: Request) -> Reply:
        """Return the answer to one request."""
        self.state.answers += 1
        return answer(self.state, request)

    def error(self, status: int, request: Request) -> Reply:
        """Return an error of that status, as Crossbar makes it."""
        return error_of_status(self.state, status, request)

    def wrong_shape(self, request: Request) -> Reply:
        """Return a success whose `data` is not a list."""
        return success(self.state, request, {"message": "maintenance"})
