"""One account during a run: its requests and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from cdrctl.fetchers.callgear.answers import ForbiddenError, wait_for_points, whole_number
from cdrctl.fetchers.callgear.jsonrpc import question, result_in
from cdrctl.fetchers.callgear.settings import TITLE, CallGearSettings
from cdrctl.http import Client

LONGEST_WAIT = 300.0


class Account(Struct):
    """One account, and what its responses tell about limits and versions.

    Args:
        asked: The number of requests, which is the JSON-RPC id of the last one.
        rest_until: When the account gets new points, if those of this minute are used up; by the monotonic clock.
        old: Whether the user was warned that this version of the API will end.
    """

    client: Client
    settings: CallGearSettings
    asked: int = 0
    rest_until: float | None = None
    old: bool = False

    @property
    def of_customer(self) -> dict[str, Any]:
        """The parameter by which a partner selects a customer."""
        return {} if self.settings.user_id is None else {"user_id": self.settings.user_id}

    def ask(self, method: str, params: Mapping[str, Any], *, by_column: bool = False) -> dict[str, Any]:
        """Wait until the account has points, and return the result of a method.

        With `by_column`, its data may be a page that is read by column.
        """
        clock = self.client.clock
        if self.rest_until is not None and self.rest_until > clock.monotonic():
            self.client.pause(self.rest_until - clock.monotonic(), f"{TITLE}'s rate limit for this minute is used up")
        self.rest_until = None
        self.asked += 1
        try:
            records = ("result", "data") if by_column else ()
            answer = self.client.ask(question(self.client.base_url, self.asked, method, params, records))
        except ForbiddenError as forbidden:
            hint = _RIGHTS.get(method, "give this user the right in the web cabinet")
            raise ForbiddenError(f"this user may not call {TITLE}'s {method}", said=forbidden.said, hint=hint) from None
        result = result_in(answer, method)
        metadata = metadata_of(result)
        limits = metadata.get("limits")
        if whole_number(limits, "minute_remaining") == 0:
            reset = whole_number(limits, "minute_reset")
            self.rest_until = clock.monotonic() + min(wait_for_points(reset), LONGEST_WAIT)
        version = metadata.get("api_version")
        if isinstance(version, dict) and version.get("current_version_deprecated") is True and not self.old:
            self.old = True
            self.client.log(
                "warning",
                f"this version of {TITLE}'s API will be switched off; the newest is "
                f"{version.get('latest_version')}: upgrade cdrctl, then set base_url to the newest version",
            )
        return result


_RIGHTS = {
    "get.financial_call_legs_report": 'its role needs the right "account access: view"',
    "get.customer_users": 'it is for partners, whose role needs the right "user: view"',
}
"""The rights that a user needs, by method (documentation of each)."""


def metadata_of(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a result's metadata, which the documentation of `get.account` spells `meta_data`."""
    metadata = result.get("metadata", result.get("meta_data"))
    return metadata if isinstance(metadata, dict) else {}
