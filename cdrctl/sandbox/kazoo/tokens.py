"""Access tokens, and the buckets that limit a client's requests."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field

from cdrctl.sandbox.exchange.clock import digest
from cdrctl.sandbox.wire import Request, dump

BUCKET_SIZE = 100
_PER_SECOND = 10


@dataclass(slots=True)
class Tokens:
    """Every token ever issued: `known` has its account and expiry (Unix time), `expired` those invalidated early."""

    known: dict[str, tuple[str, float]] = field(default_factory=dict)
    expired: set[str] = field(default_factory=set)

    def issue(self, account_id: str, end: float) -> str:
        """Return a new token in the form of a JWT."""
        number = len(self.known) + 1
        claims = {"iss": "kazoo", "account_id": account_id, "jti": digest("jti", number)}
        parts = [{"alg": "RS256", "typ": "JWT", "kid": digest("kid")}, claims]
        signature = base64.urlsafe_b64encode(bytes.fromhex(digest("signature", number)))
        token = ".".join(base64.urlsafe_b64encode(dump(part)).rstrip(b"=").decode() for part in parts)
        token = f"{token}.{signature.rstrip(b'=').decode()}"
        self.known[token] = (account_id, end)
        return token

    def expire_all(self) -> None:
        """Expire every token issued so far."""
        self.expired.update(self.known)


@dataclass(slots=True)
class Buckets:
    """One bucket for each client address and account: kz_buckets.erl.

    Each entry has the tokens left, and the Unix time up to which the bucket was refilled.
    """

    buckets: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def spend(self, client: str, account: str, cost: int, now: float) -> bool:
        """Take the cost from a bucket; return whether the bucket held enough."""
        left, filled = self.buckets.get((client, account), (float(BUCKET_SIZE), now))
        whole = max(0, math.floor(now - filled))
        left = min(BUCKET_SIZE, left + whole * _PER_SECOND)
        enough = left >= cost
        self.buckets[client, account] = (left - cost if enough else left, filled + whole)
        return enough

    def left(self, client: str, account: str) -> int:
        """Return the whole tokens left in a bucket after the last request."""
        return int(self.buckets.get((client, account), (float(BUCKET_SIZE), 0.0))[0])


def token_of(request: Request, version: str) -> str:
    """Return the token of a request: from its own header, from a Bearer header (5.0 and 5.x) or from the query."""
    token = request.headers.get("x-auth-token", "")
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if not token and scheme.lower() == "bearer" and version.startswith("5"):
        token = bearer
    return token or request.values.get("auth_token", "")
