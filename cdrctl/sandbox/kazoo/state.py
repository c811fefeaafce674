"""The state of the imitated Kazoo between requests."""

from __future__ import annotations

from dataclasses import dataclass, field

from cdrctl.sandbox.kazoo.accounts import Account
from cdrctl.sandbox.kazoo.months import gregorian_second
from cdrctl.sandbox.kazoo.tokens import Buckets, Tokens
from cdrctl.sandbox.wire import Clock


@dataclass(slots=True)
class State:
    """The clock, the values of the switches, the accounts, and the effects of earlier requests.

    `accounts` begins with the reseller. `answers` and `listings` count requests. `building` has the Unix time at which
    a view was first read.
    """

    now: Clock
    switched: dict[str, str]
    accounts: tuple[Account, ...]
    tokens: Tokens = field(default_factory=Tokens)
    buckets: Buckets = field(default_factory=Buckets)
    answers: int = 0
    listings: int = 0
    building: dict[tuple[str, str, bool], float] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The release that is imitated."""
        return self.switched["version"]

    @property
    def gregorian_now(self) -> int:
        """The current time in Gregorian seconds."""
        return gregorian_second(self.now())

    def account(self, account_id: str) -> Account | None:
        """Return the account with this id."""
        return next((account for account in self.accounts if account.id == account_id), None)

    def spend(self, client: str, account: str, cost: int) -> bool:
        """Take from the bucket of a client address and account; without limits there is always enough."""
        return self.switched["limits"] == "off" or self.buckets.spend(client, account, cost, self.now().timestamp())
