"""The errors that CallGear's responses stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cdrctl.errors import (
    AddressError,
    CdrctlError,
    ConfigurationError,
    ProviderError,
    RightsError,
    SignInError,
    TemporaryError,
    UsageError,
)
from cdrctl.fetchers.callgear.jsonrpc import error_in
from cdrctl.fetchers.callgear.settings import TITLE
from cdrctl.http import REFUSED_HINT, Answer, RetryPolicy, beginning, error_of

BUSY = RetryPolicy().busy
_BROKEN_OFF = frozenset({408, 425})
"""Statuses of a request that did not arrive whole (RFC 9110, 15.5.9; RFC 8470, 5.2): then the error in the body does
not count."""


def whole_number(values: Any, name: str) -> int | None:
    """Return a plausible whole number from a JSON object, or None."""
    value = values.get(name) if isinstance(values, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < NO_NUMBER else None


NO_NUMBER = 10**9
"""A number of seconds or records as large as this is wrong."""


def wait_for_points(reset: int | None) -> float:
    """Return the seconds to wait for new points, given those until the reset: a second more, as clocks differ."""
    return 60.0 if reset is None else reset + 1.0


class BusyError(TemporaryError):
    """The service will answer later; `wait` is in how many seconds, if it says so."""

    def __init__(self, message: str, answer: Answer, *, said: str | None = None, wait: float | None = None) -> None:
        status = None if answer.good else answer.status
        super().__init__(message, said=said, hint="nothing is lost: run the command again later", status=status)
        self.wait = wait


class DayLimitError(TemporaryError):
    """The account's points of the day are used up; `reset` is the number of seconds until it has new ones."""

    reset: float | None = None


class ForbiddenError(RightsError):
    """This user may not call this method."""


class TooLongError(ProviderError):
    """The window is longer than one request may span."""


class UnknownParameterError(ProviderError):
    """Something in the request is unknown; `names` has the possible culprits, if the service named any."""

    names: tuple[str, ...] = ()


_SECRETIVE = frozenset({"access_token", "password", "login"})
"""Fields whose value is repeated in errors, and must not be printed."""


def _words(error: Mapping[str, Any]) -> str:
    """Return the service's own words: message, mnemonic, field, value and link, but no value that may be a secret."""
    data = _data(error)
    name = data.get("field")
    facts = [str(data[key]) for key in ("mnemonic",) if data.get(key)]
    if isinstance(name, str) and name:
        facts.append(f"field {name[:100]}")
        value = data.get("value")
        if isinstance(value, str | int | float) and not _may_hold_a_secret(error):
            facts.append(f"value {str(value)[:100]}")
    words = beginning(str(error.get("message") or ""), 500)
    words += f" ({', '.join(facts)})" if facts else ""
    link = data.get("extended_helper")
    if isinstance(link, str) and re.fullmatch(r"https?://[!-~]{1,300}", link):
        words += f" - see {link}"
    return words.strip()


def _may_hold_a_secret(error: Mapping[str, Any]) -> bool:
    data = _data(error)
    name = str(data.get("field")).rpartition(".")[2]
    return name in _SECRETIVE or error.get("code") == -32001


def _data(error: Mapping[str, Any]) -> Mapping[str, Any]:
    data = error.get("data")
    return data if isinstance(data, dict) else {}


def mnemonic_of(answer: Answer) -> str:
    """Return the mnemonic of a response's error, or an empty text."""
    error = error_in(answer)
    word = _data(error).get("mnemonic") if error is not None else None
    return word if isinstance(word, str) else ""


def error_for(answer: Answer) -> CdrctlError | None:
    """Return the error that a response stands for, or None. Its body takes precedence over its status."""
    error = error_in(answer)
    if error is not None and answer.status not in _BROKEN_OFF:
        meant = _meaning(error, answer)
        meant.status = meant.status or (None if answer.good else answer.status)
        return meant
    if answer.status in BUSY:
        busy = answer.status == 429
        what = f"{TITLE}'s rate limit is exceeded" if busy else f"{TITLE} failed"
        return BusyError(f"{what} (HTTP {answer.status})", answer, said=answer.text or None)
    if answer.status in {404, 405}:
        return ConfigurationError(
            f"there is no Data API at {answer.url}",
            hint="base_url should be https://dataapi.callgear.com/v2.0, or the Data API address of another brand",
            status=answer.status,
        )
    return error_of(TITLE, answer)


_GROUPS: Mapping[str, int] = {
    **dict.fromkeys(("parse_error", "invalid_request", "method_not_found", "notifications_not_supported"), -32700),
    # The second as it is spelt in the Russian documentation.
    **dict.fromkeys(("batch_operations_not_supported", "batch_opreations_not_supported"), -32700),
    **dict.fromkeys(("filter_prohibited", "sort_prohibited", "invalid_parameter_value", "data_type_error"), -32602),
    **dict.fromkeys(("required_parameter_missed", "invalid_parameters_combination", "error"), -32602),
    "internal_error": -32603,
}
"""The group of a mnemonic ("List of errors"): it takes precedence over the code of the error."""


def _meaning(error: Mapping[str, Any], answer: Answer) -> CdrctlError:
    """Return the error of a mnemonic ("List of errors"), or of its code's group if it is unknown."""
    words, data = _words(error), _data(error)
    word, code = mnemonic_of(answer), error.get("code")
    params = data.get("params")
    params = params if isinstance(params, dict) else {}
    if word == "limit_exceeded" or (not word and code == -32029):
        return _limit(words, data, params, answer)
    if word == "date_interval_limit_reached":
        return TooLongError(f"the window is longer than {TITLE} allows", said=words, hint="use a shorter window")
    if word == "unexpected_parameters":
        return _unknown(words, data)
    if word == "required_parameter_missed" and data.get("field") == "user_id":
        return ConfigurationError(
            "this key is a partner's: select the customer whose records to read",
            said=words,
            hint="set user_id in the profile; `cdrctl callgear users` lists them",
        )
    if word in _SIGN_IN:
        return sign_in_error(word, words, params)
    match _GROUPS.get(word, code):
        case -32602:
            return UsageError(
                f"{TITLE} refused a parameter of the request", said=words, hint="correct the parameter that it names"
            )
        case -32603:
            return BusyError(f"{TITLE} failed", answer, said=words)
        case -32700 | -32600 | -32601 | -32099:
            return _invalid_request_error(words, answer)
        case -32001 | -32003 | -32008 | -32009:
            return sign_in_error(word, words, params)
        case _:
            return ProviderError(f"{TITLE} refused the request", said=words or None, hint=REFUSED_HINT)


def _unknown(words: str, data: Mapping[str, Any]) -> UnknownParameterError:
    name, value = data.get("field"), data.get("value")
    values = [] if isinstance(name, str) and name in _SECRETIVE else value if isinstance(value, list) else [value]
    names = tuple(dict.fromkeys(one for one in (name, *values) if isinstance(one, str) and one))
    what = f"the field {names[-1 if name == 'fields' else 0][:100]}" if names else "a parameter of the request"
    unknown = UnknownParameterError(f"{TITLE} does not know {what}", said=words, hint="leave it out")
    unknown.names = names
    return unknown


def _invalid_request_error(words: str, answer: Answer) -> CdrctlError:
    if re.search(r"/v[0-9]+\.[0-9]+\Z", answer.url):
        return CdrctlError(
            f"{TITLE} did not understand the request", said=words, hint="this is probably a bug in cdrctl: report it"
        )
    return ConfigurationError(
        f"{answer.url} does not understand the request",
        said=words,
        hint="set base_url to the address of the Data API, https://dataapi.callgear.com/v2.0",
    )


def _limit(words: str, data: Mapping[str, Any], params: Mapping[str, Any], answer: Answer) -> CdrctlError:
    """Return the wait for the next minute, or the end of the day's requests ("Limits")."""
    kind = params.get("limit_type")
    metadata = data.get("metadata")
    limits = metadata.get("limits") if isinstance(metadata, dict) else None
    if kind is None or kind == "minute":
        wait = wait_for_points(whole_number(limits, "minute_reset"))
        return BusyError(f"{TITLE}'s rate limit for this minute is used up", answer, said=words, wait=wait)
    most = whole_number(params, "limit_max_value")
    reset = whole_number(limits, f"{kind}_reset")
    many = f" of {most} requests" if most is not None else ""
    name = "daily limit" if kind == "day" else f"limit per {str(kind)[:20]}"
    when = f"; it resets in {_length(reset)}" if reset is not None else ""
    over = DayLimitError(f"{TITLE}'s {name}{many} is used up{when}", said=words, hint="run the command again then")
    over.reset = reset
    return over


def _length(seconds: int) -> str:
    """Return a length of time in whole minutes, rounded up."""
    minutes = -(-seconds // 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


ADMITS = "add it under Administrator → Account → Rules and security settings → API (partners: in the customer's)"
NEW_KEY = "create a new one in the web cabinet, or set login and password"
_SIGN_IN: Mapping[str, tuple[str, str | None]] = {
    "access_token_expired": (f"{TITLE}'s access key is not valid any more", NEW_KEY),
    "access_token_invalid": (f"{TITLE}'s access key is not valid", NEW_KEY),
    "access_token_blocked": (
        f"{TITLE}'s access key is blocked",
        "check the reason in the web cabinet, or create a new one",
    ),
    "auth_error": (f"wrong login or password for {TITLE}", "correct login and password in the profile"),
    "forbidden": (f"this user may not call this method of {TITLE}", "give it the right in the web cabinet"),
    "ip_not_whitelisted": (
        f"your address is not in {TITLE}'s allow-list",
        ADMITS,
    ),
    "account_inactive": (f"the account at {TITLE} is disabled", "ask the provider's support"),
    "method_component_disabled": (f"the account at {TITLE} lacks a component", None),
    "parameter_component_disabled": (f"the account at {TITLE} lacks a component", None),
}


_KINDS: Mapping[str, type[SignInError]] = {
    "forbidden": ForbiddenError,
    "ip_not_whitelisted": AddressError,
    "method_component_disabled": RightsError,
    "parameter_component_disabled": RightsError,
}


def sign_in_error(word: str, words: str, params: Mapping[str, Any]) -> SignInError:
    """Return the error of a request that CallGear does not allow, by its mnemonic."""
    message, hint = _SIGN_IN.get(
        word, (f"{TITLE} does not allow this profile to read this data", "give its user the right in the web cabinet")
    )
    if word == "ip_not_whitelisted" and isinstance(params.get("ip"), str):
        message = f"your address {params['ip'][:50]} is not in {TITLE}'s allow-list"
    if word.endswith("component_disabled"):
        given = params.get("components")
        names = ", ".join(map(str, given)) if isinstance(given, list) else str(given or "")
        message += f": {beginning(names, 200)}" if names else ""
        hint = "switch it on in the web cabinet, or ask the provider's support"
    return _KINDS.get(word, SignInError)(message, said=words or None, hint=hint)
