"""The records in PortSIP's responses, and the errors they stand for."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from cdrctl.errors import CdrctlError, ProviderError, RightsError, SignInError, TemporaryError
from cdrctl.fetchers.defaults import records_in
from cdrctl.fetchers.portsip.settings import TITLE
from cdrctl.http import Answer, Total, beginning, error_of, read_total, said
from cdrctl.records.events import Record, pick


def items_in(answer: Answer, skip: int) -> Sequence[Record]:
    """Return the records of a page.

    `null` in place of the list is an empty page if `count` agrees that nothing follows the records skipped: the REST
    guide writes null for what is empty.

    Raises:
        ProviderError: There is no list of records.
    """
    if isinstance(answer.body, dict) and answer.body.get("items", answer) is None:
        rows = total_in(answer).rows
        if rows is not None and rows <= skip:
            return []
    return records_in(answer, "items", TITLE)


def total_in(answer: Answer) -> Total:
    """Return the total that a response gives for its listing."""
    return read_total(pick(answer.body, "count"))


_PLACE = re.compile(r"/(user/cdrs|cdrs|calllogs|call_reports|completed_call_reports|blobs)(/[^/]+)?(?:/destroy)?\Z")


def error_for(answer: Answer) -> CdrctlError | None:
    """Return the error that a response stands for, or None for a good one.

    REST guide, "Errors": `{"errors": [{"code", "message", "detail"}]}`, or an empty object, or nothing at all.
    """
    if answer.good:
        return None
    words, status = _words(answer), answer.status
    found = _PLACE.search(answer.url)
    place, one = found.groups() if found else ("", None)
    if place == "blobs":
        return _file_error(status)
    match status:
        case 400 if "invalid entry id" in (words or "").casefold():
            return ProviderError("there is no such record", said=words, hint=_IDS, status=status)
        case 401:
            return SignInError(
                f"the sign-in to {TITLE} has expired and could not be renewed",
                said=words,
                hint="check username, password and domain, or get a new access_token",
                status=status,
            )
        case 403:
            return _forbidden(place, words)
        case 404 if place:
            return _not_found(place, words, record=one is not None)
    error = error_of(TITLE, answer)
    if error is not None:
        error.said = words
    return error


_IDS = "find the id in the column id of the listing"


def _file_error(status: int) -> CdrctlError:
    """Return the error of a file that was not sent. Its address is a secret, so it is not in the message."""
    kind = TemporaryError if status == 429 or status >= 500 else ProviderError
    return kind(
        f"{TITLE} did not send the file (HTTP {status})",
        hint="run the command again, or create the report again",
        status=status,
    )


def _not_found(place: str, words: str | None, *, record: bool) -> ProviderError:
    """Return the error of a missing record, or of a listing that this version of the PBX does not have."""
    if record:
        since = " (call logs need v22.0.42)" if place == "calllogs" else ""
        return ProviderError(f"this PBX has no such record in /{place}{since}", said=words, hint=_IDS, status=404)
    needs = " (needs v22.0.42)" if place == "calllogs" else ""
    return ProviderError(
        f"this PBX does not know /{place}{needs}",
        said=words,
        hint="`cdrctl portsip cdrs` works with every version from v16 on; else check base_url",
        status=404,
    )


def _forbidden(place: str, words: str | None) -> RightsError:
    if "report" in place:
        return RightsError(
            "this user may not use the tenant's call reports",
            said=words,
            hint="it needs the role Admin or QueueManager",
            status=403,
        )
    if place == "user/cdrs":
        return RightsError("this user may not read its own calls", said=words, hint="check its role", status=403)
    return RightsError(
        "this user may not read the tenant's calls: it needs the role Admin or QueueManager",
        said=words,
        hint="ask the administrator for the role; `cdrctl portsip cdrs --own` reads the user's own calls",
        status=403,
    )


def _words(answer: Answer) -> str | None:
    """Return the PBX's own words in a response, with the details of its errors."""
    words = said(answer)
    errors = answer.body.get("errors") if isinstance(answer.body, dict) else None
    details = [one.get("detail") for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []
    shown = " ".join(
        beginning(json.dumps(detail, ensure_ascii=False), 200) for detail in details if detail not in (None, "", {})
    )
    return " ".join(filter(None, (words, shown))) or None
