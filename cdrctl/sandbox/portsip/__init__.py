"""PortSIP PBX's REST API for CDRs, call logs and call reports, imitated from its documentation and real answers.

Sources: GitHub portsip/portsip-knowledge-base and support.portsip.com (August 2026): the REST guide (authentication,
accessing CDRs and recordings), the OpenAPI 3.1 file of v22.2, release notes, webhook reference. Everything that they
do not publish is a switch.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import unquote

from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.portsip.answers import error, json_reply, refusal
from cdrctl.sandbox.portsip.fields import Row
from cdrctl.sandbox.portsip.limits import refuse_over_limit
from cdrctl.sandbox.portsip.report_runs import run_reports
from cdrctl.sandbox.portsip.requests import RefusedError
from cdrctl.sandbox.portsip.routes import answer
from cdrctl.sandbox.portsip.rows import row_of
from cdrctl.sandbox.portsip.state import PBX
from cdrctl.sandbox.portsip.store import visible_records
from cdrctl.sandbox.portsip.switches import SWITCHES
from cdrctl.sandbox.portsip.times import microseconds
from cdrctl.sandbox.portsip.users import profile_settings
from cdrctl.sandbox.wire import Clock, Reply, Request, Setting, Switch


class PortSIP:
    """Sign-in, CDRs, call logs, recordings, call reports and blobs of one tenant of a PBX.

    Token lives, limits, the look-back and call reports are measured by `now`. `/cdrs` has one row for each call of
    `exchange`, `/calllogs` one for each telephone, queue or menu that was called.
    """

    name = "portsip"
    mount = "/portsip/api"
    roots = ("/api/blobs/",)
    """Paths beside the mount point that belong to the provider too: a `file_url` begins at the root of the host."""
    calls: tuple[str, ...] = ("cdrs", "calllogs")
    switches: Mapping[str, Switch] = SWITCHES

    def __init__(self, exchange: Exchange, now: Clock, *, limits: bool = False) -> None:
        self.switched: dict[str, str] = {name: switch.default for name, switch in SWITCHES.items()}
        self.switched["limits"] = "on" if limits else "off"
        self.pbx = PBX(exchange, now, self.switched)

    def credentials(self, kind: str, base_url: str) -> dict[str, Setting]:
        """Return profile settings: kind `password` (default), `access_token` or `standard_user`.

        `standard_user` signs in with a password and may read only its own calls.
        """
        return profile_settings(kind, base_url)

    def expire_tokens(self) -> None:
        """Make every access token now known invalid; refresh tokens and passwords go on to work."""
        self.pbx.tokens.access.clear()

    def truth(self, call: str, since: datetime, until: datetime, **options: str) -> list[Row]:
        """Return the items whose `started_at` is in `[since, until)`, oldest first, as they stand on the wire.

        Only those of calls that have ended by now and began within the look-back. `user` (an extension) restricts to
        that user's own. Version 16 has no call logs. Raises ValueError for another call.
        """
        if call not in self.calls:
            raise ValueError(f"portsip tells the truth of {' and '.join(self.calls)}, not of {call}")
        if call == "calllogs" and self.switched["version"] == "16":
            return []
        span = microseconds(since), microseconds(until)
        return [row_of(self.pbx, one) for one in visible_records(self.pbx, call, span, options.get("user", ""))]

    def reply(self, request: Request) -> Reply:
        """Return the answer to one request."""
        run_reports(self.pbx)
        refused = refuse_over_limit(self.pbx)
        if refused is not None:
            return refused
        path = request.path.removeprefix("/api") if request.path.startswith(self.roots) else request.path
        parts = [unquote(part) for part in path.strip("/").split("/")]
        try:
            return answer(self.pbx, request, parts)
        except RefusedError as wrong:
            return refusal(self.pbx, wrong)

    def error(self, status: int, request: Request) -> Reply:  # noqa: ARG002 - other providers echo the request
        """Return an error of that status in the shape of this API."""
        return error(self.pbx, status)

    def wrong_shape(self, request: Request) -> Reply:  # noqa: ARG002 - other providers echo the request
        """Return a success that has neither `items` nor a token."""
        return json_reply(200, {"status": "ok", "data": []})
