"""The imitated Data API of CallGear against its documents' shapes, tables and texts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import httpx
import pytest

from cdrctl.sandbox import Exchange, Sandbox, start, straddlers, uniform
from cdrctl.sandbox.callgear import CALL_FIELDS, COST_FIELDS, ERRORS, INSIDE, LEG_FIELDS, USER_FIELDS, Field
from tests.support.clock import HandClock

from .clients import DATA, Client, at, sample
from .conftest import BUSY, EXCHANGE, Starter

BERLIN = ZoneInfo("Europe/Berlin")
DAY = at("2026-11-17T23:00"), at("2026-11-18T23:00")
"""The 18th of November, by the account's clock."""

METHODS = {"legs": "get.call_legs_report", "calls": "get.calls_report", "costs": "get.financial_call_legs_report"}
FIELDS = {"legs": LEG_FIELDS, "calls": CALL_FIELDS, "costs": COST_FIELDS}
PYTHON: dict[str, tuple[type, ...]] = {
    "number": (int, float),
    "id": (int,),
    "array": (list,),
    "iso8601": (str,),
    "string": (str,),
    "enum": (str,),
    "boolean": (bool,),
}

# The table "Parameters of a reply" of the user's own document: name, type, filtering, sorting, reply by default.
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


class CallGearClient(Client):
    """Posts calls and pages by the rows received, to the total."""

    def __init__(self, sandbox: Sandbox, kind: str = "") -> None:
        super().__init__(sandbox)
        self.settings = sandbox.credentials("callgear", kind)
        self.url = str(self.settings["base_url"])
        self.token = self.settings.get("access_token")
        self.user = {"user_id": self.settings["user_id"]} if "user_id" in self.settings else {}

    def post(self, body: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post(self.url, content=content, headers={"Content-Type": "application/json; charset=UTF-8"})

    def send(self, method: str, **params: Any) -> httpx.Response:
        given = {"access_token": self.token, **params}
        given = {name: value for name, value in given.items() if value is not None}
        return self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": given})

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        body: dict[str, Any] = self.send(method, **params).json()
        assert "result" in body, body
        result: dict[str, Any] = body["result"]
        return result

    def refused(self, method: str, **params: Any) -> dict[str, Any]:
        body: dict[str, Any] = self.send(method, **params).json()
        assert list(body) == ["jsonrpc", "id", "error"]
        error: dict[str, Any] = body["error"]
        assert error["code"] == ERRORS[error["data"]["mnemonic"]][0]
        return error

    def why(self, method: str, **params: Any) -> str:
        return str(self.refused(method, **params)["data"]["mnemonic"])

    def sign_in(self) -> dict[str, Any]:
        body = {"login": self.settings["login"], "password": self.settings["password"]}
        data: dict[str, Any] = self.call("login.user", access_token=None, **body)["data"]
        self.token = data["access_token"]
        return data

    def pages(
        self, call: str, since: datetime, until: datetime, *, limit: int = 10_000, zone: ZoneInfo = BERLIN, **more: Any
    ) -> list[dict[str, Any]]:
        """Ask a window, to the second before its end, to the total or an empty page."""
        last = until - timedelta(seconds=1)
        asked = {
            "date_from": f"{since.astimezone(zone):%Y-%m-%d %H:%M:%S}",
            "date_till": f"{last.astimezone(zone):%Y-%m-%d %H:%M:%S}",
            "sort": [{"field": "start_time", "order": "asc"}],
            **self.user,
            **more,
        }
        pages: list[dict[str, Any]] = []
        offset = 0
        while True:
            page = self.call(METHODS[call], limit=limit, offset=offset, **asked)
            pages.append(page)
            offset += len(page["data"])
            if not page["data"] or offset >= page["metadata"]["total_items"]:
                return pages

    def rows(self, call: str, since: datetime, until: datetime, **more: Any) -> list[dict[str, Any]]:
        return [row for page in self.pages(call, since, until, **more) for row in page["data"]]

    def day(self, **more: Any) -> list[dict[str, Any]]:
        """The legs of one day, every field."""
        return self.rows("legs", *DAY, **{"fields": names("legs"), **more})


@pytest.fixture
def client(run: Starter) -> Iterator[CallGearClient]:
    with CallGearClient(run(providers=["callgear"])) as one:
        yield one


Switched = Callable[..., CallGearClient]


@pytest.fixture
def switched(run: Starter, exchange: Exchange) -> Iterator[Switched]:
    """Start a sandbox with switches and return a client of it."""
    clients: list[CallGearClient] = []

    def begin(kind: str = "", exchange: Exchange = exchange, **switches: str) -> CallGearClient:
        sandbox = run(providers=["callgear"], exchange=exchange, switches={"callgear": switches})
        clients.append(CallGearClient(sandbox, kind))
        return clients[-1]

    yield begin
    for one in clients:
        one.http.close()


def names(call: str) -> list[str]:
    return [name for name in FIELDS[call] if name not in {"wav_call_records", "utm_referrer"}]


def identity(row: dict[str, Any]) -> int:
    return int(row["id"] if "id" in row else row["leg_id"])


def ordered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=identity)


def window(since: str = "2026-11-18 00:00:00", until: str = "2026-11-18 23:59:59", **more: Any) -> dict[str, Any]:
    return {"date_from": since, "date_till": until, **more}


def few(n: int) -> Exchange:
    """An exchange with exactly n legs on the 18th by the account's clock."""
    return Exchange(calls=uniform(n, *DAY))


def marks(one: Field) -> str:
    return "".join(mark if said else "-" for mark, said in zip("FSD", (one.filter, one.sort, one.default), strict=True))


# the tables


def test_samples_are_copied_whole() -> None:
    assert len(list((DATA / "callgear").glob("*.json"))) == 32


def test_every_field_of_the_user_s_document_is_there_with_its_type_and_marks(client: CallGearClient) -> None:
    rows = client.day()
    assert len(rows) > 100
    for line in SEED.strip().splitlines():
        name, kind, said = line.split()
        assert marks(LEG_FIELDS[name]) == said, name
        values = [row[name] for row in rows]
        assert {type(value) for value in values if value is not None} <= set(PYTHON[kind]), name
        assert any(value not in (None, []) for value in values), name


@pytest.mark.parametrize("call", ["legs", "calls", "costs"])
def test_fields_are_those_of_the_documents_with_their_marks(call: str) -> None:
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
def test_values_have_the_documented_types_and_all_fields_come_when_named(client: CallGearClient, call: str) -> None:
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
def test_without_fields_the_default_set_comes(client: CallGearClient, call: str) -> None:
    default = [name for name in names(call) if FIELDS[call][name].default]
    rows = client.rows(call, *DAY)
    assert {tuple(row) for row in rows} == {tuple(default)}
    assert ordered(rows) == ordered(client.sandbox.truth("callgear", call, *DAY, fields="default"))


def test_named_fields_come_alone(client: CallGearClient) -> None:
    rows = client.rows("legs", *DAY, fields=["start_time", "id"])
    assert {tuple(row) for row in rows} == {("id", "start_time")}


# shapes


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


def test_other_answers_have_the_shape_of_the_samples(switched: Switched) -> None:
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


# the protocol


@pytest.mark.parametrize(
    ("body", "mnemonic", "given"),
    [
        (b"{", "parse_error", None),
        (b"\xff", "parse_error", None),
        (b"[" * 5000, "parse_error", None),
        ([], "batch_operations_not_supported", None),
        ([{"jsonrpc": "2.0", "id": 1}], "batch_operations_not_supported", None),
        ("text", "invalid_request", None),
        ({"jsonrpc": "2.0", "method": "get.account", "params": {}}, "notifications_not_supported", None),
        ({"jsonrpc": "2.0", "id": None, "method": "get.account", "params": {}}, "invalid_request", None),
        ({"jsonrpc": "2.0", "id": True, "method": "get.account", "params": {}}, "invalid_request", None),
        ({"jsonrpc": "1.0", "id": 5, "method": "get.account", "params": {}}, "invalid_request", 5),
        ({"jsonrpc": "2.0", "id": 5, "method": "get.account"}, "invalid_request", 5),
        ({"jsonrpc": "2.0", "id": 5, "method": "get.account", "params": []}, "invalid_request", 5),
        ({"jsonrpc": "2.0", "id": 5, "params": {}}, "invalid_request", 5),
        ({"jsonrpc": "2.0", "id": "a", "method": "get.weather", "params": {}}, "method_not_found", "a"),
        ({"jsonrpc": "2.0", "id": "a", "method": "get.account", "params": {}}, "required_parameter_missed", "a"),
    ],
)
def test_what_is_no_request_is_refused(client: CallGearClient, body: Any, mnemonic: str, given: Any) -> None:
    page = client.post(body)
    assert page.status_code == 200
    assert page.json()["error"]["data"]["mnemonic"] == mnemonic
    assert page.json()["id"] == given


def test_an_answer_has_the_id_that_was_sent(client: CallGearClient) -> None:
    for given in (1, 2.5, "9c1b", 10**15):
        body = {"jsonrpc": "2.0", "id": given, "method": "get.account", "params": {"access_token": client.token}}
        page = client.post(body)
        assert page.json()["id"] == given
        assert page.headers["Content-Type"] == "application/json; charset=UTF-8"


def test_there_is_one_address_and_one_verb(client: CallGearClient) -> None:
    assert client.url.endswith("/callgear/v2.0")
    assert client.http.get(client.url).status_code == 405
    for path in ("/calls", "/v2/calls"):
        assert client.http.post(client.url + path, json={}).status_code == 404
    assert client.http.post(client.url + "/", content=b"{").json()["error"]["code"] == -32700


@pytest.mark.parametrize(
    ("more", "mnemonic", "name"),
    [
        ({"date_from": None}, "required_parameter_missed", "date_from"),
        ({"date_from": "2026-11-18"}, "invalid_parameter_value", "date_from"),
        ({"date_from": "2026-11-18T00:00:00"}, "invalid_parameter_value", "date_from"),
        ({"date_from": "2026-02-30 00:00:00"}, "invalid_parameter_value", "date_from"),
        ({"date_till": "9999-12-31 00:00:00"}, "invalid_parameter_value", "date_till"),
        ({"date_from": "0001-01-01 00:00:00"}, "invalid_parameter_value", "date_from"),
        ({"date_from": 20261118}, "data_type_error", "date_from"),
        ({"date_till": "2026-11-17 00:00:00"}, "invalid_parameters_combination", "date_till"),
        ({"date_till": "2027-02-18 00:00:01"}, "date_interval_limit_reached", "date_till"),
        ({"limit": 0}, "invalid_parameter_value", "limit"),
        ({"limit": 10_001}, "invalid_parameter_value", "limit"),
        ({"limit": "10"}, "data_type_error", "limit"),
        ({"limit": True}, "data_type_error", "limit"),
        ({"offset": -1}, "invalid_parameter_value", "offset"),
        ({"offset": 100_001}, "invalid_parameter_value", "offset"),
        ({"include_ongoing_calls": True}, "unexpected_parameters", "include_ongoing_calls"),
        ({"colour": "blue"}, "unexpected_parameters", "colour"),
        ({"fields": "id"}, "data_type_error", "fields"),
        ({"fields": [1]}, "data_type_error", "fields"),
        ({"fields": ["colour"]}, "unexpected_parameters", "colour"),
        ({"fields": ["tag_name"]}, "unexpected_parameters", "tag_name"),
        ({"sort": {"field": "id"}}, "data_type_error", "sort"),
        ({"sort": ["id"]}, "data_type_error", "sort"),
        ({"sort": [{"field": "id"}]}, "sort_prohibited", "id"),
        ({"sort": [{"field": "colour"}]}, "unexpected_parameters", "colour"),
        ({"sort": [{"field": "duration", "way": "up"}]}, "unexpected_parameters", "way"),
        ({"sort": [{"field": "duration", "order": "up"}]}, "invalid_parameter_value", "sort.order"),
        ({"sort": [{"field": "duration", "order": ["asc"]}]}, "invalid_parameter_value", "sort.order"),
        ({"filter": []}, "data_type_error", "filter"),
        ({"filter": {"field": "id"}}, "required_parameter_missed", "filter.operator"),
        ({"filter": {"field": 1, "operator": "="}}, "data_type_error", "filter.field"),
        ({"filter": {"field": "colour", "operator": "="}}, "unexpected_parameters", "colour"),
        ({"filter": {"field": "id", "operator": "=", "negate": True}}, "unexpected_parameters", "negate"),
        ({"filter": {"field": "start_time", "operator": "=", "value": ""}}, "filter_prohibited", "start_time"),
        ({"filter": {"field": "id", "operator": "like", "value": "1%"}}, "invalid_parameter_value", "filter.operator"),
        ({"filter": {"field": "id", "operator": "not_in", "value": [1]}}, "invalid_parameter_value", "filter.operator"),
        ({"filter": {"field": "id", "operator": "=", "value": "1"}}, "data_type_error", "id"),
        ({"filter": {"field": "id", "operator": "in", "value": 1}}, "data_type_error", "id"),
        ({"filter": {"field": "is_coach", "operator": "=", "value": 1}}, "data_type_error", "is_coach"),
        (
            {"filter": {"field": "group_name", "operator": "regexp", "value": "("}},
            "invalid_parameter_value",
            "group_name",
        ),
        ({"filter": {"filters": [], "condition": "and"}}, "data_type_error", "filter.filters"),
        ({"filter": {"filters": [{}], "condition": "xor"}}, "invalid_parameter_value", "filter.condition"),
        ({"filter": {"filters": [{}], "condition": []}}, "invalid_parameter_value", "filter.condition"),
        ({"filter": {"filters": [{}], "joined": "or"}}, "unexpected_parameters", "joined"),
    ],
)
def test_parameters_are_checked(client: CallGearClient, more: dict[str, Any], mnemonic: str, name: str) -> None:
    error = client.refused(METHODS["legs"], **window() | more)
    assert (error["data"]["mnemonic"], error["data"]["field"]) == (mnemonic, name)
    assert error["message"] == ERRORS[mnemonic][1]


def test_three_months_are_calendar_months(switched: Switched) -> None:
    client = switched(exchange=few(1))
    for since, until, fits in (
        ("2026-08-18 00:00:00", "2026-11-18 00:00:00", True),
        ("2026-08-18 00:00:00", "2026-11-18 00:00:01", False),
        ("2025-11-30 12:00:00", "2026-02-28 12:00:00", True),
        ("2025-11-30 12:00:00", "2026-02-28 12:00:01", False),
    ):
        body = client.send(METHODS["costs"], **window(since, until)).json()
        assert ("result" in body) is fits


# signing in


def test_wrong_secrets_are_refused(switched: Switched) -> None:
    client, login = switched(), switched("login")
    client.token = "EXAMPLE-WRONG"
    error = client.refused("get.account")
    assert error["data"] == {
        "mnemonic": "access_token_invalid",
        "field": "access_token",
        "value": "EXAMPLE-WRONG",
        "metadata": {},
    }
    client.token = 5
    assert client.why("get.account") == "data_type_error"
    assert login.why("login.user", login=login_of(login), password="wrong") == "auth_error"
    assert login.why("login.user", login="nobody", password=login.settings["password"]) == "auth_error"
    assert login.why("login.user", login=login_of(login)) == "required_parameter_missed"
    assert login.refused("login.user", login="x", password="y")["data"]["extended_helper"].startswith("https://")
    assert client.why("login.user", access_token="x", login="x", password="y") == "unexpected_parameters"


def login_of(client: CallGearClient) -> str:
    return str(client.settings["login"])


def test_a_login_gives_a_key_until_it_is_logged_out(switched: Switched, clock: HandClock) -> None:
    client = switched("login")
    data = client.sign_in()
    assert data["expire_at"] == int(clock.time.timestamp()) + 3600
    first = client.token
    client.sign_in()
    assert client.token != first
    assert client.call("get.account", access_token=first)["data"] == client.call("get.account")["data"]
    client.call("logout.user")
    assert client.why("get.account") == "access_token_invalid"
    assert client.call("get.account", access_token=first)
    assert client.why("logout.user") == "access_token_invalid"


def test_expired_tokens_are_told_apart(switched: Switched) -> None:
    client = switched("login")
    client.sign_in()
    key = client.sandbox.credentials("callgear")["access_token"]
    client.sandbox.expire_tokens("callgear")
    assert client.why("get.account") == "access_token_invalid"
    assert client.why("get.account", access_token=key) == "access_token_expired"
    client.sign_in()
    assert client.call("get.account")


def test_an_unknown_kind_of_credentials_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="access_token, login, partner"):
        sandbox.credentials("callgear", "code")
    assert sandbox.profiles["callgear"] == sandbox.credentials("callgear", "access_token")


# partners


def test_a_partner_names_the_customer(switched: Switched) -> None:
    client = switched("partner")
    users = client.call("get.customer_users")["data"]
    assert users == client.sandbox.truth("callgear", "users", *DAY)
    assert client.why(METHODS["legs"], **window()) == "required_parameter_missed"
    assert client.why(METHODS["legs"], **window(user_id="2000")) == "data_type_error"
    assert client.why(METHODS["legs"], **window(user_id=5)) == "forbidden"
    found = {}
    for user in users:
        client.user = {"user_id": user["id"]}
        rows = client.day()
        assert ordered(rows) == ordered(
            client.sandbox.truth("callgear", "legs", *DAY, user_id=str(user["id"])),
        )
        found[user["id"]] = {row["id"] for row in rows}
    assert found[2000] == found[2001]
    assert found[2000]
    assert found[2002]
    assert not found[2000] & found[2002]


def test_customers_and_partners_may_do_different_things(switched: Switched) -> None:
    customer, partner = switched(), switched("partner")
    assert customer.why("get.customer_users") == "forbidden"
    assert customer.why(METHODS["legs"], **window(user_id=2000)) == "forbidden"
    assert partner.why("get.account") == "forbidden"
    assert partner.call("getobj.account")["data"]["is_agent"] is True
    assert partner.call("getobj.account")["data"]["timezone"] == "UTC"
    assert partner.settings["timezone"] == "Europe/Berlin"
    assert partner.why("get.customer_users", user_id=2000) == "unexpected_parameters"


def test_customer_users_may_be_filtered_sorted_and_paged(switched: Switched) -> None:
    client = switched("partner")
    page = client.call("get.customer_users", limit=1, offset=1, sort=[{"field": "name", "order": "desc"}])
    assert page["metadata"]["total_items"] == 3
    assert [user["name"] for user in page["data"]] == ["Person One"]
    wanted = {"field": "customer_id", "operator": "=", "value": 100_001}
    page = client.call("get.customer_users", filter=wanted, fields=["id"])
    assert page["data"] == [{"id": 2002}]
    wanted["field"] = "login"
    assert client.why("get.customer_users", filter=wanted) == "filter_prohibited"


# windows and pages


@pytest.mark.parametrize("call", ["legs", "calls", "costs"])
@pytest.mark.parametrize("limit", [7, 10_000])
def test_pages_give_exactly_the_truth(client: CallGearClient, call: str, limit: int) -> None:
    since, until = at("2026-11-18T13:00"), at("2026-11-18T15:30")
    pages = client.pages(call, since, until, limit=limit, fields=names(call))
    rows = [row for page in pages for row in page["data"]]
    truth = client.sandbox.truth("callgear", call, since, until)
    assert rows == truth
    assert len({identity(row) for row in rows}) == len(rows)
    assert {page["metadata"]["total_items"] for page in pages} == {len(rows)}
    assert len(pages) == max(1, -(-len(rows) // limit))
    assert all(len(page["data"]) == limit for page in pages[:-1])


def test_limit_and_offset_have_their_documented_defaults(run: Starter) -> None:
    with CallGearClient(run(exchange=few(1_003))) as client:
        page = client.call(METHODS["legs"], **window())
        assert (len(page["data"]), page["metadata"]["total_items"]) == (1_000, 1_003)
        assert len(client.call(METHODS["legs"], **window(limit=None, offset=1_000))["data"]) == 3
        assert client.call(METHODS["legs"], **window(offset=100_000))["data"] == []


@pytest.mark.parametrize("legs", [1, 3])
def test_even_calls_make_exactly_as_many_records(run: Starter, legs: int) -> None:
    exchange = Exchange(calls=uniform(40, *DAY, legs=legs))
    with CallGearClient(run(exchange=exchange)) as client:
        for call, n in (("legs", 40 * legs), ("calls", 40), ("costs", 40 * legs)):
            assert len(client.rows(call, *DAY)) == n
            assert len(client.sandbox.truth("callgear", call, *DAY)) == n


@pytest.mark.parametrize("call", ["legs", "calls", "costs"])
def test_windows_tile(client: CallGearClient, call: str) -> None:
    edges = [DAY[0] + timedelta(minutes=minutes) for minutes in (0, 1, 333, 334, 900, 1440)]
    for parts in (
        [client.rows(call, *pair, fields=names(call)) for pair in pairwise(edges)],
        [client.sandbox.truth("callgear", call, *pair) for pair in pairwise(edges)],
    ):
        assert [row for part in parts for row in part] == client.sandbox.truth("callgear", call, *DAY)


def test_every_leg_of_the_exchange_is_a_leg_and_those_through_the_network_are_charged(client: CallGearClient) -> None:
    """Windows that begin within calls: a leg counts by its own start."""
    truth = client.sandbox.truth
    later = [leg.start // 1000 for call in EXCHANGE.calls(*DAY) for leg in call.legs if leg.start > call.start + 2000]
    assert len(later) > 30
    for second in later[:30]:
        since = datetime.fromtimestamp(second, UTC)
        until = since + timedelta(minutes=10)
        legs = EXCHANGE.legs(since, until)
        outward = [leg for leg in legs if leg.route not in {"internal", "service"}]
        assert len(truth("callgear", "legs", since, until)) == len(legs)
        assert len(truth("callgear", "costs", since, until)) == len(outward)
        assert len(truth("callgear", "calls", since, until)) == len(EXCHANGE.calls(since, until))


def test_both_bounds_belong_to_the_window_to_the_second(client: CallGearClient) -> None:
    times = [row["start_time"] for row in client.day()]
    first, last = times[10], times[20]
    found = client.call(METHODS["legs"], **window(first, last))["data"]
    assert [row["start_time"] for row in found] == [text for text in times if first <= text <= last]


def test_rows_come_when_their_call_has_ended(run: Starter, clock: HandClock) -> None:
    turn = at("2026-11-18T12:00")
    exchange = Exchange(calls=straddlers(turn, 4))
    with CallGearClient(run(exchange=exchange)) as client:
        for hours, n in ((-1, 0), (0, 0), (24, 4)):
            clock.time = turn + timedelta(hours=hours)
            for call in METHODS:
                assert len(client.rows(call, *DAY)) == len(client.sandbox.truth("callgear", call, *DAY)) == n
        clock.time = turn
        running = client.rows("calls", *DAY, include_ongoing_calls=True)
        assert len(running) == 4
        assert {row["finish_time"] for row in running} == {None}
        assert [row["total_duration"] for row in running] == [240, 180, 120, 60]
        assert client.rows("calls", *DAY, include_ongoing_calls=False) == []


def test_a_window_is_seen_anew_when_calls_end_while_it_is_asked(run: Starter, clock: HandClock) -> None:
    turn = at("2026-11-18T12:00")
    clock.time = turn + timedelta(minutes=5)
    with CallGearClient(run(exchange=Exchange(calls=straddlers(turn, 4)))) as client:
        totals = []
        for _ in range(6):
            totals.append(client.call(METHODS["legs"], **window())["metadata"]["total_items"])
            clock.move(60)
        assert totals == sorted(totals)
        assert totals[-1] == 4
        assert totals[0] < 4


# times


def test_times_are_the_account_s_own(client: CallGearClient) -> None:
    calls = EXCHANGE.calls(*DAY)
    rows = client.rows("calls", *DAY)
    expected = sorted(f"{datetime.fromtimestamp(call.start // 1000, BERLIN):%Y-%m-%d %H:%M:%S}" for call in calls)
    assert [row["start_time"] for row in rows] == expected


def test_autumn_s_double_hour_is_written_twice(run: Starter) -> None:
    since, until = at("2026-10-24T23:00"), at("2026-10-25T03:00")
    exchange = Exchange(calls=uniform(8, since, until))
    with CallGearClient(run(exchange=exchange)) as client:
        rows = client.call(METHODS["legs"], **window("2026-10-25 00:00:00", "2026-10-25 05:00:00"))["data"]
        half = [f"2026-10-25 0{hour}:{minute}:00" for hour in (1, 2, 2, 3) for minute in ("00", "30")]
        assert [row["start_time"] for row in rows] == half
        truth = client.sandbox.truth
        first, second = at("2026-10-25T00:00"), at("2026-10-25T01:00")
        third = at("2026-10-25T02:00")
        assert len(truth("callgear", "legs", first, second)) == 4
        assert len(truth("callgear", "legs", second, third)) == 0
        assert len(truth("callgear", "legs", first, second, reading="own")) == 2
        assert len(truth("callgear", "legs", second, third, reading="own")) == 2
        assert len(truth("callgear", "legs", since, until)) == 8
        # Texts are compared: half an hour within the double one holds both readings.
        half_hour = client.call(METHODS["legs"], **window("2026-10-25 02:00:00", "2026-10-25 02:29:59"))
        assert half_hour["metadata"]["total_items"] == 2


def test_spring_s_missing_hour_holds_nothing(run: Starter) -> None:
    exchange = Exchange(calls=uniform(6, at("2026-03-29T00:00"), at("2026-03-29T03:00")))
    with CallGearClient(run(exchange=exchange)) as client:
        rows = client.call(METHODS["legs"], **window("2026-03-29 00:00:00", "2026-03-29 23:00:00"))["data"]
        assert [row["start_time"][11:16] for row in rows] == ["01:00", "01:30", "03:00", "03:30", "04:00", "04:30"]
        assert not client.call(METHODS["legs"], **window("2026-03-29 02:00:00", "2026-03-29 02:59:59"))["data"]


# filters and sorting


def test_operators_choose_rows(client: CallGearClient) -> None:
    rows = client.day()

    def chosen(name: str, operator: str, *value: Any) -> list[dict[str, Any]]:
        given = {"field": name, "operator": operator, **({"value": value[0]} if value else {})}
        found = client.day(filter=given)
        assert 0 < len(found) < len(rows), given
        return found

    some = rows[5]
    assert chosen("id", "=", some["id"]) == [some]
    assert chosen("direction", "!=", "in") == [row for row in rows if row["direction"] == "out"]
    assert chosen("is_operator", "=", value := True) == [row for row in rows if row["is_operator"] is value]
    for name in ("employee_id", "group_name"):
        assert chosen(name, "=", None) == chosen(name, "=") == [row for row in rows if row[name] is None]
        assert chosen(name, "!=", None) == [row for row in rows if row[name] is not None]
    assert chosen("duration", ">", 60) == [row for row in rows if row["duration"] > 60]
    assert chosen("duration", "<=", 60) == [row for row in rows if row["duration"] <= 60]
    assert chosen("duration", "<", 60) == [row for row in rows if row["duration"] < 60]
    assert chosen("duration", ">=", 60) == [row for row in rows if row["duration"] >= 60]
    assert chosen("employee_id", "<", 2875) == [row for row in rows if row["employee_id"] and row["employee_id"] < 2875]
    assert chosen("calling_phone_number", "like", "1202%") == [
        row for row in rows if row["calling_phone_number"].startswith("1202")
    ]
    assert chosen("group_name", "like", "S%s") == [row for row in rows if row["group_name"] == "Sales"]
    assert not client.day(filter={"field": "group_name", "operator": "like", "value": "s%s"})
    assert chosen("employee_phone_number", "regexp", "^200[12]$") == [
        row for row in rows if row["employee_phone_number"] in {"2001", "2002"}
    ]
    wanted = ["operator_busy", "another_operator_answer"]
    assert chosen("finish_reason", "in", wanted) == [row for row in rows if row["finish_reason"] in wanted]


def test_trees_of_filters_join(client: CallGearClient) -> None:
    rows = client.day()
    inward = {"field": "direction", "operator": "=", "value": "in"}
    long = {"field": "duration", "operator": ">", "value": 300}
    queue = {"field": "group_name", "operator": "=", "value": "Sales"}

    def told(row: dict[str, Any]) -> bool:
        return bool((row["direction"] == "in" and row["duration"] > 300) or row["group_name"] == "Sales")

    both = {"filters": [inward, long], "condition": "and"}
    tree = {"filters": [both, queue], "condition": "or"}
    assert client.day(filter=tree) == [row for row in rows if told(row)]
    deep = {"filters": [tree, {"filters": [inward], "condition": "or"}], "condition": "and"}
    assert client.day(filter=deep) == [row for row in rows if told(row) and row["direction"] == "in"]
    assert client.why(METHODS["legs"], **window(filter={"filters": [deep]})) == "invalid_parameter_value"
    assert client.day(filter={}) == rows


def test_arrays_are_filtered_by_jsquery(client: CallGearClient) -> None:
    wanted = names("calls")
    rows = client.rows("calls", *DAY, fields=wanted)

    def chosen(name: str, query: str) -> list[dict[str, Any]]:
        given = {"field": name, "operator": "jsquery", "value": query}
        found = client.rows("calls", *DAY, fields=wanted, filter=given)
        assert 0 < len(found) < len(rows)
        return found

    assert chosen("tags", '#.tag_name = "Lead"') == [
        row for row in rows if any(tag["tag_name"] == "Lead" for tag in row["tags"])
    ]
    assert chosen("employees", "#.is_answered = true") == [
        row for row in rows if any(one["is_answered"] for one in row["employees"])
    ]
    assert chosen("scenario_operations", "#.id > 12345")
    assert chosen("attributes", '# = "lost"') == [row for row in rows if "lost" in row["attributes"]]
    given = window(filter={"field": "tags", "operator": "jsquery", "value": "$$$"})
    assert client.why(METHODS["calls"], **given) == "invalid_parameter_value"
    given["filter"] = {"field": "call_records", "operator": "jsquery", "value": '# = "x"'}
    assert client.why(METHODS["calls"], **given) == "filter_prohibited"


def test_rows_are_sorted_as_asked(client: CallGearClient) -> None:
    rows = client.day()
    down = client.day(sort=[{"field": "start_time", "order": "desc"}])
    assert [row["start_time"] for row in down] == [row["start_time"] for row in rows][::-1]
    assert ordered(down) == ordered(rows)
    found = client.day(sort=[{"field": "direction"}, {"field": "duration", "order": "desc"}])
    assert [(row["direction"], -row["duration"]) for row in found] == sorted(
        (row["direction"], -row["duration"]) for row in rows
    )
    found = client.day(sort=[{"field": "employee_id"}])
    people = [row["employee_id"] for row in found]
    known = [one for one in people if one is not None]
    assert people == sorted(known) + [None] * (len(people) - len(known))
    found = client.day(sort=[{"field": "employee_id", "order": "desc"}])
    assert [row["employee_id"] for row in found] == people[::-1]
    assert client.day(sort=[]) == rows


# what records say


def test_legs_calls_and_costs_belong_together(client: CallGearClient) -> None:
    legs, calls, costs = (client.rows(call, *DAY, fields=names(call)) for call in ("legs", "calls", "costs"))
    by_call = {row["id"]: row for row in calls}
    by_leg = {row["id"]: row for row in legs}
    assert len(by_leg) == len(legs)
    inside = [row for row in legs if row["call_session_id"] in by_call]
    assert len(legs) - len(inside) < 10, "only calls over midnight are of another day"
    for row in inside:
        call = by_call[row["call_session_id"]]
        assert set(row["call_records"]) <= set(call["call_records"])
        assert row["contact_phone_number"] == call["contact_phone_number"]
    for row in costs:
        leg = by_leg[row["leg_id"]]
        for name in ("start_time", "direction", "call_session_id", "calling_phone_number", "called_phone_number"):
            assert row[name] == leg[name]
        assert row["duration"] == leg["duration"]
        assert row["duration"] <= row["chargeable_duration"] < row["duration"] + 60
        price = row["cost_per_minute"] * row["chargeable_duration"] / 60
        assert row["total_charge"] == pytest.approx(price)
        assert row["bonuses_charge"] in (0, row["total_charge"])
    assert {row["direction_type"] for row in costs} >= {"local", "national", "international", "mobile"}
    assert any(row["total_charge"] > 0 for row in costs)


@BUSY
def test_numbers_of_a_leg_agree(client: CallGearClient) -> None:
    rows = client.day()
    for row in rows:
        begin = datetime.fromisoformat(row["start_time"])
        answered = row["connect_time"] is not None
        assert row["is_failed"] is not answered
        if answered:
            rung = datetime.fromisoformat(row["connect_time"]) - begin
            assert rung.total_seconds() + row["duration"] == row["total_duration"]
        else:
            assert row["duration"] == 0
            assert row["is_talked"] is False
        if row["employee_id"] is not None:
            assert row["is_operator"]
            assert row["employee_full_name"]
        assert "+" not in f"{row['calling_phone_number']}{row['called_phone_number']}{row['virtual_phone_number']}"
    assert any(row["is_operator"] and row["employee_id"] is None for row in rows), "queues ring without an employee"
    assert any((row["employee_full_name"] or "").endswith(" (amoCRM)") for row in rows)
    assert any(row["is_transfered"] for row in rows)
    assert any(len(row["call_records"]) > 1 for row in rows)
    reasons = sample("callgear/data_finish_reasons.json")["legs_comagic_docs_2026"]
    assert {row["finish_reason"] for row in rows} <= set(reasons)


def test_a_leg_has_the_direction_the_platform_sees(client: CallGearClient) -> None:
    calls = {row["id"]: row["direction"] for row in client.rows("calls", *DAY)}
    seen = {
        (calls[row["call_session_id"]], row["is_operator"], row["direction"])
        for row in client.day()
        if row["call_session_id"] in calls
    }
    assert ("in", True, "out") in seen
    assert ("in", False, "in") in seen
    assert ("in", False, "out") not in seen
    assert ("out", False, "out") in seen
    assert ("out", True, "in") in seen


def test_durations_of_a_call_agree(client: CallGearClient) -> None:
    rows = client.rows("calls", *DAY, fields=names("calls"))
    for row in rows:
        took = datetime.fromisoformat(row["finish_time"]) - datetime.fromisoformat(row["start_time"])
        assert took.total_seconds() == row["total_duration"]
        assert row["wait_duration"] + row["talk_duration"] == row["total_duration"]
        assert 0 <= row["clean_talk_duration"] <= row["talk_duration"]
        assert row["communication_id"] == row["id"]
        assert row["is_lost"] is ("lost" in row["attributes"])
    assert {row["direction"] for row in rows} == {"in", "out"}
    assert any(row["is_lost"] for row in rows)
    reasons = sample("callgear/data_finish_reasons.json")
    known = {*reasons["calls_callgear_docs_2026"], *(pair[1] for pair in reasons["pairs"])}
    assert {row["finish_reason"] for row in rows} <= known


def test_every_day_is_the_same_in_every_process_and_order(run: Starter) -> None:
    whole = run(exchange=Exchange(1)).truth("callgear", "legs", *DAY)
    other = run(exchange=Exchange(1))
    other.truth("callgear", "calls", at("2026-11-01"), at("2026-11-03"))
    assert other.truth("callgear", "legs", *DAY) == whole
    assert run(exchange=Exchange(2)).truth("callgear", "legs", *DAY) != whole


def test_truth_is_asked_with_known_words(sandbox: Sandbox) -> None:
    since, until = DAY
    with pytest.raises(ValueError, match="callgear has the calls legs, calls, costs, users"):
        sandbox.truth("callgear", "cdrs", since, until)
    with pytest.raises(ValueError, match="options are"):
        sandbox.truth("callgear", "legs", since, until, reading="third")
    with pytest.raises(ValueError, match="options are"):
        sandbox.truth("callgear", "legs", since, until, account="x")
    with pytest.raises(ValueError, match="no customer user 5"):
        sandbox.truth("callgear", "legs", since, until, user_id="5")
    rows = sandbox.truth("callgear", "legs", *DAY, fields="id,start_time")
    assert {tuple(row) for row in rows} == {("id", "start_time")}


# faults


def test_faults_have_the_shape_of_this_api(client: CallGearClient) -> None:
    for status, mnemonic in (
        *((400, "invalid_request"), (401, "access_token_invalid"), (403, "forbidden"), (404, "method_not_found")),
        *((409, "invalid_request"), (500, "internal_error"), (503, "internal_error")),
    ):
        client.sandbox.fail("callgear", status)
        page = client.send("get.account")
        assert page.status_code == status
        assert page.json()["error"]["data"]["mnemonic"] == mnemonic
        assert page.json()["id"] == 1
    client.sandbox.fail("callgear", 429, headers={"Retry-After": "7"})
    page = client.send("get.account")
    assert (page.status_code, page.headers["Retry-After"]) == (429, "7")
    data = page.json()["error"]["data"]
    assert data["params"] == {"limit_type": "minute", "limit_max_value": 60}
    assert data["metadata"]["limits"]["minute_remaining"] == 0
    client.sandbox.fail("callgear", 502, body="<html>")
    assert client.send("get.account").text == "<html>"
    assert client.call("get.account")


def test_other_faults_work(client: CallGearClient) -> None:
    for action in ("not_json", "empty", "html"):
        client.sandbox.fail("callgear", action)
        with pytest.raises(ValueError, match="Expecting"):
            client.send("get.account").json()
    client.sandbox.fail("callgear", "wrong_shape")
    body = client.send("get.account").json()
    assert "data" not in body["result"]
    assert body["id"] == 1
    for action in ("cut", "reset"):
        client.sandbox.fail("callgear", action)
        with pytest.raises(httpx.TransportError):
            client.send("get.account")
    client.sandbox.fail("callgear", "expire", nth=2)
    assert client.call("get.account")
    assert client.why("get.account") == "access_token_expired"
    client.sandbox.fail("callgear", 500)
    assert client.post(b"{").json()["id"] is None


# switches


def test_switch_http_errors(switched: Switched) -> None:
    client = switched(http_errors="real", limits="on", minute_limit="1")
    assert client.post(b"{").status_code == 400
    assert client.send("get.account", access_token="x").status_code == 401
    assert client.send("get.customer_users").status_code == 403
    assert client.send("get.weather").status_code == 404
    assert client.send(METHODS["legs"]).status_code == 400
    assert client.send("get.account").status_code == 200
    assert client.send("get.account").status_code == 429
    client.sandbox.switch("callgear", "refuse", "internal_error")
    page = client.send("get.account")
    assert page.status_code == 500
    client.sandbox.switch("callgear", "http_errors", "200")
    again = client.send("get.account")
    assert (again.status_code, again.json()) == (200, page.json())


def test_switch_bounds(switched: Switched) -> None:
    client = switched(exchange=few(24))
    hours = ["2026-11-18 05:00:00", "2026-11-18 06:00:00", "2026-11-18 07:00:00"]
    for double in ("both", "first", "second"):
        client.sandbox.switch("callgear", "double_hour", double)
        for value, first, last in (("closed", 0, 3), ("half_open", 0, 2), ("open_low", 1, 3), ("open", 1, 2)):
            client.sandbox.switch("callgear", "bounds", value)
            for method in METHODS.values():
                found = client.call(method, **window(hours[0], hours[2]))["data"]
                assert [row["start_time"] for row in found] == hours[first:last]


@pytest.mark.parametrize(
    ("value", "totals"),
    [
        ("right", [3, 3, 3]),
        ("zero", [0, 0, 0]),
        ("page", [2, 1, 0]),
        ("half", [1, 1, 1]),
        ("shrinking", [3, 1, 0]),
        ("true", [True, True, True]),
        ("negative", [-1, -1, -1]),
        ("text", ["3 rows", "3 rows", "3 rows"]),
        ("absent", [None, None, None]),
    ],
)
def test_switch_total(switched: Switched, value: str, totals: list[Any]) -> None:
    client = switched(exchange=Exchange(calls=uniform(3, *DAY)), total=value)
    partner = switched("partner", total=value)
    listings = [
        *((client, method, window()) for method in METHODS.values()),
        (partner, "get.customer_users", {}),
    ]
    for asker, method, asked in listings:
        pages = [asker.call(method, limit=2, offset=offset, **asked) for offset in (0, 2, 3)]
        said = [page["metadata"].get("total_items") for page in pages]
        assert [(type(one), one) for one in said] == [(type(one), one) for one in totals]
        assert [len(page["data"]) for page in pages] == [2, 1, 0]


def test_switch_window_on(switched: Switched) -> None:
    client = switched(exchange=Exchange(calls=uniform(1, *DAY, talk_seconds=3600)))
    begin, end = window(until="2026-11-18 00:59:59"), window("2026-11-18 01:00:00")
    for value, early, late in (("start_time", 1, 0), ("finish", 0, 1)):
        client.sandbox.switch("callgear", "window_on", value)
        for method in METHODS.values():
            assert client.call(method, **begin)["metadata"]["total_items"] == early
            assert client.call(method, **end)["metadata"]["total_items"] == late
    assert len(client.sandbox.truth("callgear", "legs", *DAY)) == 1
    client = switched(exchange=Exchange(calls=uniform(1, *DAY, talk_seconds=40 * 3600)), window_on="finish")
    following = window("2026-11-19 16:00:00", "2026-11-19 17:00:00")
    assert client.call(METHODS["legs"], **following)["data"][0]["total_duration"] == 40 * 3600 + 2


def test_switch_double_hour(switched: Switched) -> None:
    """Bounds within the hour the clocks show twice: 02:00 to 02:59:59, and to 03:30."""
    client = switched(exchange=Exchange(calls=uniform(8, at("2026-10-24T23:00"), at("2026-10-25T03:00"))))
    for value, within, across in (("both", 4, 6), ("first", 2, 6), ("second", 2, 4)):
        client.sandbox.switch("callgear", "double_hour", value)
        for until, n in (("2026-10-25 02:59:59", within), ("2026-10-25 03:30:00", across)):
            asked = window("2026-10-25 02:00:00", until)
            assert client.call(METHODS["legs"], **asked)["metadata"]["total_items"] == n


def test_switch_short_page(switched: Switched) -> None:
    client = switched(exchange=few(20), short_page="3")
    pages = client.pages("legs", *DAY, limit=8)
    assert [len(page["data"]) for page in pages] == [5, 8, 4, 3]
    rows = [row for page in pages for row in page["data"]]
    assert rows == client.sandbox.truth("callgear", "legs", *DAY, fields="default")
    assert {page["metadata"]["total_items"] for page in pages} == {20}


def test_switch_grow(switched: Switched) -> None:
    client = switched(exchange=few(20), grow="2")
    pages = client.pages("legs", *DAY, limit=8)
    assert [page["metadata"]["total_items"] for page in pages] == [16, 18, 20]
    rows = [row["id"] for page in pages for row in page["data"]]
    assert len(set(rows)) < 20, "rows that came in moved others to the next page"
    again = client.rows("legs", *DAY, limit=8)
    assert again == client.sandbox.truth("callgear", "legs", *DAY, fields="default")
    assert len(client.rows("calls", *DAY)) == 20, "one page does not grow"


def test_switch_ties(switched: Switched) -> None:
    moment = at("2026-11-18T12:00")
    same = Exchange(calls=uniform(12, moment, moment + timedelta(milliseconds=12)))
    client = switched(exchange=same)
    asked = window(sort=[{"field": "start_time"}], fields=["id"])
    assert client.call(METHODS["legs"], **asked) == client.call(METHODS["legs"], **asked)
    client.sandbox.switch("callgear", "ties", "moving")
    one, two = (client.call(METHODS["legs"], **asked)["data"] for _ in range(2))
    assert one != two
    assert ordered(one) == ordered(two)
    asked["sort"][0]["order"] = "desc"
    assert ordered(client.call(METHODS["legs"], **asked)["data"]) == ordered(one)
    assert client.pages("legs", *DAY, limit=4)


def test_switch_names_field(switched: Switched) -> None:
    client = switched(names_field="off")
    error = client.refused(METHODS["legs"], **window(fields=["colour"]))
    assert error["data"] == {"mnemonic": "unexpected_parameters", "metadata": {}}
    client.sandbox.switch("callgear", "names_field", "on")
    error = client.refused(METHODS["legs"], **window(fields=["colour"]))
    assert (error["data"]["field"], error["data"]["value"]) == ("colour", "colour")


@pytest.mark.parametrize("call", ["legs", "calls"])
def test_switch_no_wav(switched: Switched, call: str) -> None:
    client = switched(utm_referrer="known")
    every = list(FIELDS[call])
    assert client.why(METHODS[call], **window(fields=every)) == "unexpected_parameters"
    client.sandbox.switch("callgear", "no_wav", "off")
    rows = client.rows(call, *DAY, fields=every)
    assert rows == client.sandbox.truth("callgear", call, *DAY)
    assert any(row["wav_call_records"] for row in rows)
    assert all(len(row["wav_call_records"]) == len(row["call_records"]) for row in rows)
    assert "wav_call_records" in client.rows(call, *DAY)[0]


def test_switch_utm_referrer(switched: Switched) -> None:
    client = switched()
    asked = window(fields=["id", "utm_referrer"])
    assert client.refused(METHODS["calls"], **asked)["data"]["field"] == "utm_referrer"
    client.sandbox.switch("callgear", "utm_referrer", "known")
    rows = client.rows("calls", *DAY, fields=["id", "utm_referrer"])
    assert {row["utm_referrer"] for row in rows} == {None, "search.example"}


def test_switch_reason(switched: Switched) -> None:
    client = switched(reason="numa_in_spam_list")
    legs = client.rows("legs", *DAY)
    assert len(legs) > 20
    for leg in legs:
        assert (leg["finish_reason"] == "numa_in_spam_list") is (leg["connect_time"] is None)
    calls = client.rows("calls", *DAY)
    assert {call["finish_reason"] for call in calls if call["is_lost"]} == {"numa_in_spam_list"}
    client.sandbox.switch("callgear", "reason", "no_success_subscriber_call")
    client.sandbox.switch("callgear", "reasons", "caller")
    assert all("subscriber" not in leg["finish_reason"] for leg in client.rows("legs", *DAY) if leg["connect_time"])


@pytest.mark.parametrize("value", ["null", "absent"])
def test_switch_talk_times(switched: Switched, value: str) -> None:
    client = switched(talk_times=value)
    hidden = {"legs": {"connect_time", "duration"}, "calls": {"talk_duration", "clean_talk_duration"}, "costs": set()}
    for call, fields in hidden.items():
        for row in client.rows(call, *DAY):
            assert fields & set(row) == (fields if value == "null" else set())
            assert {row.get(name) for name in fields} <= {None}
            assert call != "costs" or row["duration"] is not None
    shown = [name for name in names("legs") if name not in hidden["legs"]]
    truth = client.sandbox.truth("callgear", "legs", *DAY, fields=",".join(shown))
    assert client.day(fields=shown) == truth


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *(("null", None), ("zeros", "0000-00-00 00:00:00"), ("year1", "0001-01-01 00:00:00"), ("0", "0")),
        ("1970", "1970-01-01 01:00:00"),
    ],
)
def test_switch_no_time(switched: Switched, value: str, text: str | None) -> None:
    client = switched(no_time=value)
    rows = client.rows("legs", *DAY)
    unanswered = [row for row in rows if row["is_failed"]]
    assert {row["connect_time"] for row in unanswered} == {text}
    assert all(row["connect_time"].startswith("2026") for row in rows if not row["is_failed"])
    assert {row["sale_date"] for row in client.rows("calls", *DAY, fields=["start_time", "sale_date"])} == {text}


def test_switch_new_field(switched: Switched) -> None:
    client = switched(exchange=few(24), new_field="on")
    for call, method in METHODS.items():
        assert all(("speech_score" in row) is (call != "costs") for row in client.call(method, **window())["data"])
        named = client.call(method, **window(fields=["start_time"]))["data"]
        assert {tuple(row) for row in named} == {("start_time",)}


def test_switch_times(switched: Switched) -> None:
    client = switched(exchange=few(24))
    local = [row["start_time"] for row in client.rows("legs", *DAY)]
    client.sandbox.switch("callgear", "times", "utc")
    rows = client.rows("legs", *DAY)
    instants = [datetime.fromisoformat(text).replace(tzinfo=BERLIN) for text in local]
    assert [row["start_time"] for row in rows] == [f"{one.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" for one in instants]
    assert all(row["connect_time"].endswith("Z") for row in rows)


def test_a_window_may_end_in_the_future_and_an_order_need_not_say_which_way(client: CallGearClient) -> None:
    asked = window(until="2026-12-17 23:59:59", sort=[{"field": "start_time"}])
    starts = [row["start_time"] for row in client.call(METHODS["legs"], **asked)["data"]]
    assert starts == sorted(starts)
    assert len(starts) > 20


def test_switch_reasons(switched: Switched) -> None:
    client = switched()
    pairs = sample("callgear/data_finish_reasons.json")["pairs"]
    older = [row["finish_reason"] for row in client.day()]
    client.sandbox.switch("callgear", "reasons", "caller")
    newer = [row["finish_reason"] for row in client.day()]
    spelt = {two: one for one, two in pairs}
    assert newer == [spelt.get(one, one) for one in older]
    assert set(older) & set(spelt)
    wanted = {"field": "finish_reason", "operator": "=", "value": "caller_disconnects"}
    assert client.day(filter=wanted)


def test_switch_limits(switched: Switched, clock: HandClock) -> None:
    client = switched(limits="{}")
    assert client.call("get.account")["metadata"] == {"limits": {}}
    client.sandbox.switch("callgear", "limits", "on")
    clock.time += timedelta(seconds=17.5)
    assert client.call("get.account")["metadata"]["limits"] == {
        "day_limit": 3000,
        "day_remaining": 2998,
        "day_reset": 43_183,
        "minute_limit": 60,
        "minute_remaining": 58,
        "minute_reset": 43,
    }


def test_limits_are_on_from_the_start_when_asked(run: Starter) -> None:
    with CallGearClient(run(limits=True)) as client:
        assert client.call("get.account")["metadata"]["limits"]["minute_remaining"] == 59


def test_switch_minute_limit(switched: Switched, clock: HandClock) -> None:
    client = switched(limits="on", minute_limit="2")
    assert client.why(METHODS["legs"]) == "required_parameter_missed"
    left = [client.call("get.account")["metadata"]["limits"]["minute_remaining"] for _ in range(2)]
    assert left == [1, 0], "only what succeeded costs a point"
    error = client.refused("get.account")
    assert error["message"] == "Limit per minute has been exceeded. Value of current limit per minute is 2"
    limits = error["data"]["metadata"]["limits"]
    clock.move(limits["minute_reset"] - 1)
    assert client.why("get.account") == "limit_exceeded"
    clock.move(1)
    assert client.call("get.account")


def test_switch_day_limit(switched: Switched, clock: HandClock) -> None:
    client = switched(limits="on", day_limit="2")
    for _ in range(2):
        client.call("get.account")
    error = client.refused("get.account")
    assert error["data"]["params"] == {"limit_type": "day", "limit_max_value": 2}
    clock.move(3600)
    assert client.why("get.account") == "limit_exceeded"
    clock.move(error["data"]["metadata"]["limits"]["day_reset"] - 3600)
    assert client.call("get.account")["metadata"]["limits"]["day_remaining"] == 1


def test_a_partner_has_points_of_its_own(switched: Switched) -> None:
    client = switched("partner", limits="on", minute_limit="1")
    client.call("get.customer_users")
    assert client.why("get.customer_users") == "limit_exceeded"
    assert client.call("get.account", access_token=client.sandbox.credentials("callgear")["access_token"])


@BUSY
def test_switch_deprecated(switched: Switched) -> None:
    client = switched()
    pair = ["release_cause_code", "release_cause_description"]
    assert {16: "Normal call clearing", 17: "User busy"}.items() <= {
        row[pair[0]]: row[pair[1]] for row in client.day()
    }.items()
    client.sandbox.switch("callgear", "deprecated", "null")
    assert {(row[pair[0]], row[pair[1]]) for row in client.day()} == {(None, None)}
    client.sandbox.switch("callgear", "deprecated", "absent")
    assert client.why(METHODS["legs"], **window(fields=pair)) == "unexpected_parameters"
    rows = client.rows("legs", *DAY)
    assert not set(rows[0]) & set(pair)
    assert not set(client.sandbox.truth("callgear", "legs", *DAY)[0]) & set(pair)


def test_switch_meta(switched: Switched) -> None:
    client = switched()
    assert list(client.call(METHODS["legs"], **window())) == ["data", "metadata"]
    client.sandbox.switch("callgear", "meta", "before")
    assert list(client.call(METHODS["legs"], **window())) == ["metadata", "data"]


def test_switch_get_account_meta(switched: Switched) -> None:
    client = switched(get_account_meta="meta_data")
    assert list(client.call("get.account")) == list(sample("callgear/doc_shape_get_account.json")["result"])
    assert "metadata" in client.call("getobj.account")


@pytest.mark.parametrize("zone", ["Asia/Dubai", "America/St_Johns", "UTC"])
def test_switch_zone(switched: Switched, zone: str) -> None:
    client = switched(zone=zone)
    assert client.call("get.account")["data"][0]["timezone"] == zone
    rows = client.rows("legs", *DAY, zone=ZoneInfo(zone), fields=names("legs"))
    assert rows == client.sandbox.truth("callgear", "legs", *DAY)
    first = datetime.fromisoformat(rows[0]["start_time"]).replace(tzinfo=ZoneInfo(zone))
    assert DAY[0] <= first < DAY[0] + timedelta(hours=1)
    assert client.sandbox.credentials("callgear", "partner")["timezone"] == zone


def test_only_zones_there_are_can_be_set(sandbox: Sandbox) -> None:
    for zone in ("Europe/Atlantis", "CET-1"):
        assert zone not in available_timezones()
        with pytest.raises(ValueError, match="an IANA zone"):
            sandbox.switch("callgear", "zone", zone)


def test_switch_token_ttl(switched: Switched, clock: HandClock) -> None:
    client = switched("login", token_ttl="60")
    client.sign_in()
    clock.move(59)
    assert client.call("get.account")
    clock.move(1)
    assert client.why("get.account") == "access_token_invalid"
    client.sign_in()
    assert client.call("get.account")


def test_switch_ip(switched: Switched) -> None:
    client = switched("login", ip="unlisted")
    error = client.refused(
        "login.user", access_token=None, login=login_of(client), password=client.settings["password"]
    )
    assert error["message"] == "Your IP 127.0.0.1 is not whitelisted"
    assert error["data"]["params"] == {"ip": "127.0.0.1"}
    client.sandbox.switch("callgear", "ip", "listed")
    client.sign_in()


def test_switch_account(switched: Switched) -> None:
    client = switched(account="inactive")
    assert client.why("get.account") == client.why(METHODS["calls"], **window()) == "account_inactive"


def test_switch_deprecated_version(switched: Switched) -> None:
    client = switched(deprecated_version="on")
    meta = client.call(METHODS["legs"], **window())["metadata"]
    assert list(meta) == ["api_version", "total_items", "version", "limits"]
    assert list(meta["api_version"]) == ["current_version_deprecated", "current_version", "latest_version"]
    assert meta["api_version"]["current_version_deprecated"] is True


def test_switch_lag(switched: Switched, clock: HandClock) -> None:
    client = switched(exchange=few(1), lag="300")
    clock.time = DAY[0] + timedelta(seconds=62 + 299)
    assert client.day() == client.sandbox.truth("callgear", "legs", *DAY) == []
    clock.move(1)
    assert client.day() == client.sandbox.truth("callgear", "legs", *DAY) != []


def test_switch_error_data(switched: Switched) -> None:
    client = switched(error_data="full")
    data = client.refused("get.customer_users")["data"]
    assert data == {
        "mnemonic": "forbidden",
        "field": None,
        "value": None,
        "params": {},
        "extended_helper": None,
        "metadata": {},
    }


def test_switch_session_id(switched: Switched) -> None:
    client = switched()
    numbers = [row["call_session_id"] for row in client.rows("costs", *DAY)]
    client.sandbox.switch("callgear", "session_id", "string")
    assert [row["call_session_id"] for row in client.rows("costs", *DAY)] == [str(one) for one in numbers]
    assert {type(row["call_session_id"]) for row in client.day()} == {int}


def test_switch_refuse(switched: Switched) -> None:
    client = switched()
    for mnemonic in ERRORS:
        client.sandbox.switch("callgear", "refuse", mnemonic)
        error = client.refused("get.account")
        assert error["data"]["mnemonic"] == mnemonic
        assert "{" not in error["message"]
    with pytest.raises(ValueError, match="a mnemonic"):
        client.sandbox.switch("callgear", "refuse", "weather")


def test_a_sandbox_can_be_started_with_this_provider_alone() -> None:
    with start(providers=["callgear"], now=HandClock()) as sandbox:
        assert list(sandbox.profiles) == ["callgear"]
        assert sandbox.base_urls["callgear"] == f"{sandbox.url}/callgear/v2.0"
