"""What CallGear's `finish_reason` says about a leg or a call that nobody answered.

The reasons are those of callgear.github.io/data_api ("Get call legs report", "Get calls report", 2026), of the pages of
the sibling brands, and three that clients of the API have met. Most pages give names without a text; the outcomes are
our reading of the names. Each reason has up to two spellings: `subscriber` and `responsible` in older documents and on
the wire, `caller` and `responsive` in the newest document.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

CALLER_LEFT = "caller left"
"""The caller hung up: abandoned where a queue or a group was waited for, else cancelled."""

EMPLOYEE_LEFT = "employee left"
"""An employee hung up: cancelled if the employee had called; one who was called may have declined, or not."""

QUEUED = "queued"
"""The call was in a queue when it ended."""

_NAMES: Mapping[str, str] = {
    "busy": """
        operator_busy caller_busy operator_channels_busy employee_busy employee_busy_after_call
        max_in_call_reached max_out_call_reached
    """,
    "no_answer": """
        operator_not_responsive caller_not_responsive timeout action_interval_exceeded no_operator_confirmation
        no_success_caller_call no_success_operator_call
    """,
    "cancelled": "another_operator_answer disconnect_before_call_processing transfer_disconnects",
    "rejected": """
        numa_in_black_list numa_in_spam_list numa_dnd_interval too_many_identical_incoming_calls
        locked_numb incorrect_input api_permission_denied api_ip_now_allowed
        call_not_allowed_on_tp in_call_not_allowed out_call_not_allowed out_call_not_allowed_by_status
        internal_call_not_allowed internal_call_not_allowed_by_status
        external_call_not_allowed external_call_not_allowed_by_status
        auto_out_calls_not_allowed_by_status phone_protocol_not_allowed_by_status
        employee_status_available employee_status_break employee_status_do_not_disturb
        employee_auto_status_do_not_disturb employee_status_not_at_workplace employee_status_not_at_work
        employee_status_auto_out_call
    """,
    "failed": """
        operator_number_problems caller_number_problems numb_not_exists numb_is_inactive locked_phone
        scenario_not_found no_active_scenario no_operation max_transition_count_exceeded processing_method_not_found
        site_not_exists platform_not_found communication_unavailable
        simple_forwarding_is_not_configured call_generator_is_not_configured sitephone_is_not_configured
        incorrect_config employee_not_exists employees_not_exists employee_without_phones group_without_phones
        app_is_inactive component_is_inactive account_not_found contract_not_found
        employee_inactive employee_inactive_by_schedule employee_phone_not_found employee_phone_inactive
        employee_phone_inactive_by_schedule group_inactive_by_schedule group_phone_inactive
        phone_group_inactive_by_schedule
        sip_offline sip_trunk_is_locked fmc_is_locked fmc_is_disabled net_lock no_resources
        no_money not_enough_money limit_exceeded internal_error add_cdr_timeout
    """,
    CALLER_LEFT: "caller_disconnects",
    EMPLOYEE_LEFT: "operator_disconnects",
    QUEUED: "call_enqueued",
}

UNCLEAR: Mapping[str, str] = MappingProxyType(
    {
        "success_finish": "it means a normal end, which an unanswered call does not have",
        "operator_answer": "it means that an employee answered; if the record says otherwise, one of the two is wrong",
        "fax_session_done": "it means that a fax was sent, so something answered",
        "scenario_disconnects": "the scenario ended the call, after a message, in a menu or by a rule",
        "no_operator_cdr_found": "it means that a record is missing, not how the call ended",
    }
)
"""Reasons that do not tell the outcome of an unanswered call, each with why."""

REASONS: Mapping[str, str] = MappingProxyType({name: word for word, names in _NAMES.items() for name in names.split()})
"""The outcome of an unanswered leg or call by reason, in the newest spelling; or one of the words above."""

UNANSWERED = frozenset(_NAMES.keys() - {CALLER_LEFT, EMPLOYEE_LEFT, QUEUED}) | {"abandoned", "cancelled"}
"""The outcomes that reasons tell of unanswered legs and calls."""

_AFTER_AN_ANSWER = frozenset(
    {
        *("caller_disconnects", "operator_disconnects", "transfer_disconnects", "call_enqueued"),
        *("timeout", "action_interval_exceeded", "limit_exceeded", "no_money", "not_enough_money"),
        *("internal_error", "add_cdr_timeout"),
    }
)
"""Reasons that can end a conversation too, and so do not say whether there was one."""

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (r".*_busy|max_.*_call_reached", "busy"),
        (r".*_not_responsive", "no_answer"),
        (r".*_in_(black|spam)_list|.*_not_allowed.*|.*_do_not_disturb|.*_dnd_.*", "rejected"),
        (
            r".*_not_exists?|.*_not_found|.*_not_configured|.*_without_phones|.*_inactive.*|.*_locked|.*_problems",
            "failed",
        ),
    )
)
"""Outcomes of reasons that no document lists, by patterns in their names: the list is open."""


def _newest_spelling(reason: str) -> str:
    return reason.replace("subscriber", "caller").replace("not_responsible", "not_responsive")


@functools.lru_cache(maxsize=512)
def _word_of(reason: str) -> str | None:
    name = _newest_spelling(reason)
    if name in REASONS or name in UNCLEAR:
        return REASONS.get(name)
    return next((word for pattern, word in _PATTERNS if pattern.fullmatch(name)), None)


def unanswered_outcome(reason: Any) -> str | None:
    """Return the outcome of an unanswered leg or call, or one of the words above; None if the reason does not tell."""
    return _word_of(reason) if isinstance(reason, str) else None


def rules_out_an_answer(reason: Any) -> bool:
    """Return whether a leg or call with this reason cannot have been answered."""
    return unanswered_outcome(reason) is not None and _newest_spelling(reason) not in _AFTER_AN_ANSWER
