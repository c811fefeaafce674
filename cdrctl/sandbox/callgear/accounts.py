"""The methods about accounts and users."""

from __future__ import annotations

from typing import Any

from cdrctl.sandbox.callgear.fields import USER_FIELDS, Record, pick
from cdrctl.sandbox.callgear.metadata import total_items
from cdrctl.sandbox.callgear.parameters import check_parameters, read_page, read_selection
from cdrctl.sandbox.callgear.sorting import sort_rows
from cdrctl.sandbox.callgear.state import State, make_user

_CURRENCY = "EUR"


def get_account(state: State, params: Record) -> tuple[Any, Record]:
    """Answer `get.account`."""
    check_parameters(state.switched, "get.account", params)
    customer = state.customers[0]
    return [{"app_id": customer.app_id, "name": customer.name, "timezone": state.switched["zone"]}], {}


def getobj_account(state: State, params: Record, *, partner: bool) -> tuple[Any, Record]:
    """Answer `getobj.account`; a partner's own account does not include the customers' zones."""
    check_parameters(state.switched, "getobj.account", params)
    customer = state.customers[0]
    user = make_user(1_999, "Partner", 99_999) if partner else customer.users[0]
    units = ("tag_management", "call_recordings")
    rights = ("is_delete", "is_insert", "is_select", "is_update")
    return {
        "lang": "en",
        "tp_id": 406,
        "app_id": 1_000 if partner else customer.app_id,
        "project": "callgear",
        "tp_name": "CallGear Enterprise",
        "user_id": user["id"],
        "app_name": "Partner & Co" if partner else customer.name,
        "crm_type": None,
        "timezone": "UTC" if partner else state.switched["zone"],
        "app_state": "active",
        "user_name": user["name"],
        "user_type": "admin",
        "user_login": user["login"],
        "customer_id": user["customer_id"],
        "components": ["operation", "dialing", "ext_dialing", "extended_report"],
        "permissions": [{"unit_id": unit, **dict.fromkeys(rights, True)} for unit in units],
        "is_agent_app": False,
        "is_bi_available": False,
        "report_currency": _CURRENCY,
        "is_agent": partner,
        "agent_type": "agent" if partner else None,
    }, {"version": None}


def get_customer_users(state: State, params: Record) -> tuple[Any, Record]:
    """Answer a partner's `get.customer_users`."""
    check_parameters(state.switched, "get.customer_users", params)
    selection = read_selection(state.switched, params, USER_FIELDS)
    offset, limit = read_page(params)
    users = [user for user in state.users if selection.condition is None or selection.condition(user)]
    users = sort_rows(users, selection.order, dict.__getitem__)
    page = [pick(user, selection.fields) for user in users[offset : offset + limit]]
    return page, total_items(state.switched, len(users), offset, len(page))
