"""The code and the bearer token, and how often they may be used."""

from __future__ import annotations

import base64
from collections import deque

from cdrctl.sandbox.exchange.clock import MINUTE, SECOND, digest
from cdrctl.sandbox.voicenter.answers import error
from cdrctl.sandbox.voicenter.search import Search
from cdrctl.sandbox.voicenter.state import State
from cdrctl.sandbox.wire import Reply, Request, Setting, dump

_CODE = "EXAMPLE-VOICENTER-CODE"
_PER_SPAN, _RATE_SPAN = 30, MINUTE


class Access:
    """The code and the bearer token that are valid now, and the times of the requests with each."""

    def __init__(self) -> None:
        self._issued = 0
        self._spent: dict[str, deque[int]] = {}

    @property
    def code(self) -> str:
        """The code that is valid now."""
        return f"{_CODE}-{self._issued}"

    @property
    def token(self) -> str:
        """The bearer token that is valid now, in the form of a JWT."""
        parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": "EXAMPLE", "jti": digest("jti", self._issued)})
        parts_text = [base64.urlsafe_b64encode(dump(part)).rstrip(b"=").decode() for part in parts]
        return ".".join((*parts_text, f"EXAMPLE{digest('signature', self._issued)}"))

    def credentials(self, kind: str) -> dict[str, Setting]:
        """List the settings that sign in: kind `code` (default) or `bearer`."""
        own: dict[str, dict[str, Setting]] = {"code": {"code": self.code}, "bearer": {"access_token": self.token}}
        kind = kind or "code"
        if kind not in own:
            raise ValueError(f"voicenter signs in by {' or '.join(own)}, not by {kind}")
        return own[kind]

    def renew(self) -> None:
        """Replace the code and the bearer token by new ones."""
        self._issued += 1

    def spend(self, kind: str, now: int, most: int, span: int) -> bool:
        """Count a request, unless there were `most` within the last `span` milliseconds; tell whether it counted."""
        spent = self._spent.setdefault(kind, deque())
        while spent and spent[0] <= now - span:
            spent.popleft()
        if len(spent) >= most:
            return False
        spent.append(now)
        return True


def refuse(state: State, access: Access, request: Request, search: Search) -> Reply | None:
    """Answer a request with a wrong credential, from a wrong address or over the limit; None if it is allowed."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if search.code is not None:
        if search.code != access.code:
            return error(state, 2)
        if state.switched["ip"] == "unlisted":
            return error(state, 4, client=request.client)
        kind = "code"
    elif scheme.lower() == "bearer" and token == access.token and state.switched["bearer"] == "accepted":
        kind = "bearer"
    else:
        return error(state, 2)
    if state.switched["limits"] == "off":
        return None
    most, span = (_PER_SPAN, _RATE_SPAN) if state.switched["limits"] == "on" else (1, 5 * SECOND)
    return None if access.spend(kind, state.time, most, span) else error(state, 1)
