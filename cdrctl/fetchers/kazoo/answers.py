"""The records of a response of Crossbar, and the error it stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from msgspec.structs import replace

from cdrctl.errors import CdrctlError, ConfigurationError, ProviderError, RightsError, SignInError, TemporaryError
from cdrctl.fetchers.kazoo.settings import TITLE
from cdrctl.http import Answer, beginning, error_of
from cdrctl.records.batches import key_columns
from cdrctl.records.events import Record, check_records


class RangeLimitError(ProviderError):
    """The requested range is longer than this site allows; `seconds` is the longest."""

    def __init__(self, seconds: int, words: str | None) -> None:
        super().__init__(
            f"{TITLE} allows at most {seconds} s in one request",
            said=words,
            hint="raise the limit on the server, or use a shorter --longest-call",
            status=400,
        )
        self.seconds = seconds


class TooLargeError(ProviderError):
    """The response would be larger than the operator allows."""


def error_unless_whole(body: Any) -> CdrctlError | None:
    """Return the error of a 2xx body, or None.

    `status` is written last, so a body without it is incomplete.
    """
    if not isinstance(body, dict) or ("data" not in body and body.get("status") in (None, "success")):
        return ProviderError(
            f"{TITLE} sent an unknown response: it has no data",
            hint="check base_url; it should end in /v2",
        )
    if body.get("status") != "success" and _own_status(body) not in range(400, 429):
        return TemporaryError(
            f"a response of {TITLE} is incomplete"
            if "status" not in body
            else f"{TITLE} failed in the middle of a response",
            said=_words_of(body),
            hint="retry later",
            status=200,
        )
    return None


def _own_status(body: Mapping[str, Any]) -> int:
    """Return the status in an error envelope, which is a string in `error`."""
    code = str(body.get("error", ""))
    return int(code) if re.fullmatch("[1-5][0-9][0-9]", code, re.ASCII) else 500


def records_in(answer: Answer) -> Sequence[Record]:
    """Return the records of a response."""
    data: Any = answer.body.get("data") if isinstance(answer.body, dict) else None
    return data if key_columns(data) is not None else check_records(data, "data", TITLE)


def next_key(answer: Answer) -> str | None:
    """Return the key of the next page, or None on the last one."""
    key = answer.body.get("next_start_key")
    return str(key) if isinstance(key, str | int) and key != "" and not isinstance(key, bool) else None


def error_for(answer: Answer) -> CdrctlError | None:
    """Return the error that a response stands for, or None for a good one.

    The status in the body of a 200 counts as the response's own.
    """
    body = answer.body if isinstance(answer.body, dict) else {}
    if answer.good and body.get("status", "success") == "success":
        return None
    status = _own_status(body) if answer.good else answer.status
    words = words_of_answer(answer)
    error = _not_found(answer.url, words) if status == 404 else _refusal(status, answer.url, words)
    if error is None:
        error = error_of(TITLE, replace(answer, status=status))
    if error is not None:
        error.said, error.status = words, status
    return error


def _refusal(status: int, url: str, words: str | None) -> CdrctlError | None:
    """Return the error of a status that has a special meaning in Crossbar, or None."""
    limit = re.search(r"is more than (\d{1,12}) seconds", words or "")
    match status:
        case 400 if limit:
            return RangeLimitError(int(limit[1]), words)
        case 401:
            return SignInError(
                f"{TITLE} does not accept the token or key of this profile",
                hint="check api_key, or username, password and account_name; an auth_token expires after an hour",
            )
        case 403:
            return RightsError(
                f"this key may not read {_account_in(url)}",
                hint="account_id, or --account, must be the key's own account or one below it",
            )
        case 416:
            return TooLargeError("the response would be larger than the server allows")
        case 423:
            return SignInError(f"{_account_in(url)} is disabled or expired", hint="ask the operator")
    return None


def _not_found(url: str, words: str | None) -> CdrctlError | None:
    """Return the error of a 404 in which Crossbar says what is missing, or None."""
    if re.search("faulty_request|utc_offset", words or ""):
        return ProviderError(f"{TITLE} refused a parameter", hint="correct --page-size or --utc-offset")
    if not re.search("supplied id|bad.identifier", words or ""):
        return None
    if re.search("/cdrs(/interaction)?$", url):
        return ConfigurationError("there is no such account or user", hint="check account_id, or --account and --user")
    return ProviderError(
        "there is no CDR with that id, or no such account; the id of a CDR looks like 202611-…",
        hint="the id is the UTC month of its interaction, a dash and the call id",
    )


def _account_in(url: str) -> str:
    found = re.search("/accounts/([^/]+)", url)
    return f"account {unquote(found[1])}" if found else "that account"


def words_of_answer(answer: Answer) -> str | None:
    """Return Crossbar's message in a response, or the beginning of a body that is not JSON."""
    return _words_of(answer.body) if isinstance(answer.body, dict) else beginning(answer.text, 200) or None


def _words_of(body: Mapping[str, Any]) -> str | None:
    """Return the message, and the messages in `data` about single parameters.

    Nothing else of the envelope is shown: it echoes the token, and `cause` echoes the key of a sign-in.
    """
    words: list[str] = []

    def look(value: Any, depth: int) -> None:
        if isinstance(value, dict) and depth < 5:  # data.FIELD.RULE.message
            for key, inner in value.items():
                if key == "message" and isinstance(inner, str) and inner not in words:
                    words.append(inner)
                look(inner, depth + 1)

    look({"message": body.get("message")}, 0)
    look(body.get("data"), 0)
    return ": ".join(words) or None
