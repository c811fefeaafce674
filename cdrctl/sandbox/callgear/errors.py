"""The errors of the API: mnemonics, codes, texts and HTTP statuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cdrctl.sandbox.callgear.fields import Record

ERRORS: dict[str, tuple[int, str]] = {
    "parse_error": (-32700, "Invalid JSON was received by the server."),
    "invalid_request": (-32600, "Invalid Request The JSON sent is not a valid Request object"),
    "method_not_found": (-32601, "The method does not exist / is not available"),
    "batch_operations_not_supported": (-32099, "Batch operations not supported"),
    "notifications_not_supported": (-32099, "Notifications not supported"),
    "date_interval_limit_reached": (-32602, "Max value of requested date interval is 3 months"),
    "unexpected_parameters": (-32602, "Unexpected method parameter(s)"),
    "filter_prohibited": (-32602, "Filter by parameter is prohibited"),
    "sort_prohibited": (-32602, "Sort by parameter is prohibited"),
    "invalid_parameter_value": (-32602, "Invalid parameter value"),
    "data_type_error": (-32602, "Data supplied is of wrong type"),
    "required_parameter_missed": (-32602, "The required parameter has been missed"),
    "invalid_parameters_combination": (-32602, "The combination of parameters is not permitted"),
    "error": (-32602, "The report cannot be built"),
    "access_token_expired": (-32001, "Access token has been expired"),
    "access_token_invalid": (-32001, "Access token is invalid"),
    "access_token_blocked": (-32001, "Access token has been blocked"),
    "auth_error": (-32001, "Login or password is wrong"),
    "ip_not_whitelisted": (-32003, "Your IP {ip} is not whitelisted"),
    "forbidden": (-32003, "Permission denied"),
    "method_component_disabled": (
        -32008,
        "You need at least one of the following components to access this method: {components}",
    ),
    "parameter_component_disabled": (
        -32008,
        "You need at least one of the following components to access this parameter: {components}",
    ),
    "account_inactive": (-32009, "Your account has been disabled, contact the support service"),
    "limit_exceeded": (
        -32029,
        "Limit per {limit_type} has been exceeded. Value of current limit per {limit_type} is {limit_max_value}",
    ),
    "internal_error": (-32603, "Internal error, contact the support service"),
}
"""Code and text of every documented error, by mnemonic."""

HELPED = {"auth_error", "access_token_blocked", "parameter_component_disabled", "internal_error"}
"""The errors that link to a page of help."""

HELP_PAGE = "https://callgear.github.io/data_api/#_allErrors"

UNAUTHENTICATED = {
    *("access_token_expired", "access_token_invalid", "access_token_blocked", "auth_error"),
    *("ip_not_whitelisted", "account_inactive", "forbidden"),
}
"""The errors whose metadata omits the limits."""

_STATUSES = {-32700: 400, -32600: 400, -32601: 404, -32602: 400, -32099: 400, -32001: 401, -32029: 429, -32603: 500}
_FORBIDDEN = 403


class RefusedError(Exception):
    """The request is answered with an error.

    `mnemonic` names the error; `data` has further members of the answer's `data`.
    """

    def __init__(self, mnemonic: str, **data: Any) -> None:
        super().__init__(mnemonic)
        self.mnemonic = mnemonic
        self.data = data


def unexpected(switched: Mapping[str, str], name: str, value: Any) -> RefusedError:
    """Make the error about an unknown name; the switch `names_field` decides whether it includes the name."""
    named = {"field": name, "value": value} if switched["names_field"] == "on" else {}
    return RefusedError("unexpected_parameters", **named)


def refusal(mnemonic: str, client: str) -> RefusedError:
    """Make the error that the switch `refuse` names, with the values that its text needs."""
    params: dict[str, Record] = {
        "method_component_disabled": {"components": "data_api"},
        "parameter_component_disabled": {"components": "data_api"},
        "ip_not_whitelisted": {"ip": client},
        "limit_exceeded": {"limit_type": "day", "limit_max_value": 3_000},
    }
    return RefusedError(mnemonic, **({"params": params[mnemonic]} if mnemonic in params else {}))


def real_status(code: int) -> int:
    """Give the HTTP status that fits an error code."""
    return _STATUSES.get(code, _FORBIDDEN)
