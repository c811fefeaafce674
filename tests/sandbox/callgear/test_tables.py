"""The columns of the imitated reports against the documents' tables."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cdrctl.sandbox.callgear import INSIDE, LEG_FIELDS, USER_FIELDS, Field
from tests.sandbox.clients import DATA, sample
from tests.support.products import for_each

from .client import DAY, FIELDS, METHODS, CallGearClient, Switched, few, names, ordered, window

PYTHON: dict[str, tuple[type, ...]] = {
    "number": (int, float),
    "id": (int,),
    "array": (list,),
    "iso8601": (str,),
    "string": (str,),
    "enum": (str,),
    "boolean": (bool,),
}


# The table "Parameters of a reply" of the user's document: name, type, filtering, sorting, reply by default.
SEED = """
id number F-D
call_session_id number FSD
call_records array --D
start_time iso8601 -SD
connect_time iso8601 --D
duration number FSD
total_duration number FSD
virtual_phone_number string FSD
calling_phone_number string FSD
called_phone_number string FSD
direction enum FSD
is_transfered boolean FSD
is_operator boolean FSD
employee_id number FSD
employee_full_name string FS-
employee_phone_number string FS-
employee_rating number FSD
scenario_id number FSD
scenario_name string FS-
is_coach boolean FSD
release_cause_code number FSD
release_cause_description string FSD
is_failed boolean FSD
is_talked boolean FS-
contact_id id ---
contact_full_name string ---
contact_phone_number string ---
action_id number F-D
action_name string F-D
group_id number F-D
group_name string F-D
"""


def marks(one: Field) -> str:
    return "".join(mark if said else "-" for mark, said in zip("FSD", (one.filter, one.sort, one.default), strict=True))


# The tables


def test_every_sample_is_present() -> None:
    assert len(list((DATA / "callgear").glob("*.json"))) == 32


def test_legs_have_every_field_of_the_published_table_with_type_and_flags(client: CallGearClient) -> None:
    rows = client.day()
    assert len(rows) > 100
    for line in SEED.strip().splitlines():
        name, kind, said = line.split()
        assert marks(LEG_FIELDS[name]) == said, name
        values = [row[name] for row in rows]
        assert {type(value) for value in values if value is not None} <= set(PYTHON[kind]), name
        assert any(value not in (None, []) for value in values), name


@for_each("call", ["legs", "calls", "costs"])
def test_fields_have_the_documented_types_and_flags(call: str) -> None:
    table = {"legs": "legs", "calls": "calls", "costs": "financial"}[call]
    said = sample(f"callgear/data_{table}_fields.json")["fields"]
    top = [one for one in said if "inside" not in one]
    assert [one["name"] for one in top] == [name for name in FIELDS[call] if name != "utm_referrer"]
    for one in top:
        known = FIELDS[call][one["name"]]
        expected = one["type"], bool(one["filter"]), bool(one["sort"]), one["default"]
        assert (known.type, known.filter, known.sort, known.default) == expected
    for array, members in INSIDE.items():
        assert set(members) == {one["name"] for one in said if one.get("inside") == array} or call != "calls"


@pytest.mark.parametrize("call", ["legs", "calls", "costs"])
def test_all_fields_can_be_requested_and_have_the_documented_types(client: CallGearClient, call: str) -> None:
    rows = client.rows(call, *DAY, fields=names(call))
    for row in rows:
        assert list(row) == names(call)
        for name, value in row.items():
            kind = FIELDS[call][name].type
            assert value is not None or kind != "array", name
            assert value is None or isinstance(value, PYTHON[kind]), (name, value)
            assert kind == "boolean" or not isinstance(value, bool), name
            if kind == "iso8601" and value is not None:
                assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", str(value))
    if call == "calls":
        for array, members in INSIDE.items():
            found = [one for row in rows for one in row[array]]
            assert found, array
            assert {tuple(one) for one in found} == {members}, array
        assert any(row["voice_mail_records"] for row in rows)
        assert any(row["attributes"] for row in rows)


@pytest.mark.parametrize("call", ["legs", "calls", "costs"])
def test_default_fields_are_sent_without_the_parameter_fields(client: CallGearClient, call: str) -> None:
    default = [name for name in names(call) if FIELDS[call][name].default]
    rows = client.rows(call, *DAY)
    assert {tuple(row) for row in rows} == {tuple(default)}
    assert ordered(rows) == ordered(client.sandbox.truth("callgear", call, *DAY, fields="default"))


def test_only_named_fields_are_sent(client: CallGearClient) -> None:
    rows = client.rows("legs", *DAY, fields=["start_time", "id"])
    assert {tuple(row) for row in rows} == {("id", "start_time")}


def shape(value: Any) -> Any:
    """Replace values by their types; a list by the shape of its first element."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value[:1]]
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def alike(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Compare keys and their order everywhere but within rows."""
    assert list(ours) == list(theirs)
    inner, expected = ours["result"], theirs["result"]
    assert list(inner) == list(expected)
    assert shape(inner.get("metadata")) == shape(expected.get("metadata"))


# Shapes


@pytest.mark.parametrize(
    ("call", "name"), [("legs", "call_legs_report_page"), ("legs", "empty_page"), ("costs", "financial_page")]
)
def test_pages_have_the_shape_of_the_samples(switched: Switched, call: str, name: str) -> None:
    client = switched(limits="on")
    page = sample(f"callgear/constructed_{name}.json")
    wanted = window(*(("2019-11-18 00:00:00", "2019-11-18 00:00:00") if name == "empty_page" else ()))
    if name == "empty_page":
        client = switched(exchange=few(1), limits="on")
    ours = client.send(METHODS[call], **wanted).json()
    alike(ours, page)
    assert [list(row) for row in ours["result"]["data"][:1]] == [list(row) for row in page["result"]["data"][:1]]
    for row in page["result"]["data"]:
        for key, value in row.items():
            known = {type(one[key]) for one in ours["result"]["data"]}
            assert type(value) in known or {type(value), *known} <= {int, float}, key


def test_other_responses_have_the_shape_of_the_samples(switched: Switched) -> None:
    client, partner = switched(limits="on"), switched("partner", limits="on")
    login = switched("login", limits="on")
    users, account, signed = (
        sample(f"callgear/constructed_{name}.json")
        for name in ("customer_users_page", "get_account_ok", "login_user_ok")
    )
    alike(ours := partner.send("get.customer_users").json(), users)
    assert list(ours["result"]["data"][0]) == list(users["result"]["data"][0]) == list(USER_FIELDS)
    alike(ours := client.send("get.account").json(), account)
    assert shape(ours["result"]["data"]) == shape(account["result"]["data"])
    assert client.call("get.account")["data"][0]["timezone"] == "Europe/Berlin"
    assert list(login.sign_in()) == list(signed["result"]["data"])
    assert login.call("logout.user") == {"data": {}}
    known = sample("callgear/doc_getobj_account_masked.json")["result"]
    ours = partner.call("getobj.account")
    assert list(ours) == list(known)
    assert shape(ours["data"]) == shape(known["data"]) | {"is_agent": "bool"}
    assert list(ours["data"]) == list(known["data"])
    assert list(client.call("getobj.account")["data"]) == list(known["data"])
    assert client.call("getobj.account")["data"]["report_currency"] == "EUR"


@pytest.mark.parametrize(
    "name",
    [
        *("access_token_expired", "access_token_invalid", "account_inactive", "date_interval", "forbidden"),
        *("ip_not_whitelisted", "limit_exceeded_day", "limit_exceeded_minute", "method_component_disabled", "parse"),
        "unexpected_parameters",
    ],
)
def test_errors_have_the_texts_and_shape_of_the_samples(switched: Switched, name: str) -> None:
    known = sample(f"callgear/constructed_error_{name}.json")
    mnemonic = known["error"]["data"]["mnemonic"]
    switches = {
        "account_inactive": {"account": "inactive"},
        "ip_not_whitelisted": {"ip": "unlisted"},
        "method_component_disabled": {"refuse": mnemonic},
        "limit_exceeded": {"limits": "on"},
        "unexpected_parameters": {"limits": "on"},
    }.get(mnemonic, {})
    client = switched(**switches)
    if name.startswith("limit_exceeded"):
        client.sandbox.switch("callgear", f"{name.rpartition('_')[2]}_limit", "1")
        client.call("get.account")
    if mnemonic == "access_token_expired":
        client.sandbox.expire_tokens("callgear")
    elif mnemonic == "access_token_invalid":
        client.token = "xxxx"
    asked = window(until="2027-12-31 23:59:59") if name == "date_interval" else window()
    if mnemonic == "unexpected_parameters":
        asked["fields"] = ["id", "wav_call_records"]
    if name == "parse":
        ours = client.post(b'{"jsonrpc":').json()
    else:
        ours = client.send("get.customer_users" if name == "forbidden" else METHODS["legs"], **asked).json()
    assert shape(ours) == shape(known)
    assert ours["error"]["code"] == known["error"]["code"]
    assert ours["id"] == known["id"]
    own = re.compile(r"203\.0\.113\.9|127\.0\.0\.1|is \d+$")
    assert own.sub("…", ours["error"]["message"]) == own.sub("…", known["error"]["message"])
    said, expected = ours["error"]["data"], known["error"]["data"]
    assert list(said) == list(expected)
    assert said["mnemonic"] == mnemonic
    assert said.get("field") == expected.get("field")
