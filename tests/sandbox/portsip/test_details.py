"""The details of a record, and how to sign in."""

from __future__ import annotations

import re

import pytest

from cdrctl.sandbox import Sandbox
from cdrctl.sandbox.portsip.users import ACCESS_TOKEN, USERS
from tests.sandbox.clients import at, sample
from tests.support.clock import HandClock
from tests.support.portsip_document import PLAIN

from .client import DAY, NOT_SIGNED_IN, WEEK, PortSIPClient, Row, errors, refused, window

NO_TOKEN = errors("UNAUTHORIZED", "unauthorized")


# Details


def test_a_detail_has_the_cost_and_no_id(pbx: PortSIPClient) -> None:
    rows = pbx.filtered("direction eq 'OUTBOUND_CALL' and duration gt 61")
    row = rows[0]
    (item,) = pbx.get(f"/cdrs/{row['id']}").json()["items"]
    assert {name: item[name] for name in item if name not in {"cost", "billed_account"}} == {
        name: value for name, value in row.items() if name != "id"
    }
    assert item["cost"] >= 0.04
    assert item["billed_account"] == row["caller"]
    log = next(one for one in pbx.all("/calllogs", *DAY) if one["session_id"] == str(int(row["id"]) - 1))
    detail = pbx.get(f"/calllogs/{log['id']}").json()
    assert detail == log | {"cost": item["cost"], "billed_account": row["caller"]}
    internal = pbx.filtered("direction eq 'EXTENSION_CALL'")[0]
    (item,) = pbx.get(f"/cdrs/{internal['id']}").json()["items"]
    assert (item["cost"], item["billed_account"]) == (0.0, "")


@pytest.mark.parametrize("number", ["x", "0", "-1", "12345678901234567890123", "NzAw"])
def test_a_malformed_id_is_refused(pbx: PortSIPClient, number: str) -> None:
    for path in ("/cdrs", "/calllogs", "/recordings"):
        answer = pbx.get(f"{path}/{number}")
        assert (answer.status_code, answer.json()) == (400, errors("UNKNOWN", "Invalid entry ID supplied"))


def test_recordings_are_joined_to_calls_by_their_file_names(pbx: PortSIPClient) -> None:
    real = sample("portsip/real_recording_detail.json")["items"][0]
    known = pbx.all("/cdrs", *DAY)
    rows = pbx.all("/recordings", *DAY)
    assert rows
    for row in rows[:5]:
        (item,) = pbx.get(f"/recordings/{row['id']}").json()["items"]
        pattern = r"\d{18}_\d{18,19}_\d+_\d+_\d{8}_\d{6}\.wav"
        assert re.fullmatch(pattern, real["file_name"])
        assert re.fullmatch(pattern, item["file_name"])
        (call,) = (one for one in known if one["id"] == item["file_name"].split("_")[1])
        assert (call["caller"], call["callee"]) == (item["caller"], item["callee"])
        sound = pbx.download(item)
        assert sound.content.startswith(b"RIFF")
        assert len(sound.content) == item["file_size"]


# Sign-in


def test_sign_in_with_the_newest_api(sandbox: Sandbox) -> None:
    with PortSIPClient(sandbox, "password") as client:
        answer = client.sign_in()
        assert answer.status_code == 200
        assert list(answer.json()) == list(sample("portsip/constructed_sign_in_ok.json"))
        assert answer.json()["token_type"] == "Bearer"
        assert answer.json()["expires_in"] == 1800
        assert client.get("/auth/user").json() == {
            "role": "Admin",
            "password_verified": True,
            "password_force_reset": False,
        }
        assert client.get("/cdrs", filter=window(*DAY)).status_code == 200


@pytest.mark.parametrize("changed", [{"username": "nobody"}, {"password": "no"}, {"domain": "other.example"}])
def test_wrong_secrets_are_refused(sandbox: Sandbox, changed: Row) -> None:
    with PortSIPClient(sandbox, "password") as client:
        answer = client.sign_in(**changed)
        assert (answer.status_code, answer.json()) == (400, NOT_SIGNED_IN)
        for way in (client.post("/login", client.password(**changed)), client.oauth(**client.password(**changed))):
            assert (way.status_code, way.json()) == (400, NOT_SIGNED_IN)


def test_malformed_sign_ins_are_refused(sandbox: Sandbox) -> None:
    with PortSIPClient(sandbox, "password") as client:
        for name, value in (("username", ""), ("username", 1), ("password", None), ("domain", "")):
            assert client.post("/auth/sign_in", client.password(**{name: value})).json() == refused(name)
        assert client.post("/auth/sign_in", []).json() == refused("body")
        answer = client.http.post(f"{client.base_url}/auth/sign_in", data=client.password())
        assert answer.json() == refused("body")
        assert client.oauth(grant_type="code", **client.password()).json() == refused("grant_type")
        assert client.oauth(**client.password() | {"client_id": "x"}).json() == NOT_SIGNED_IN
        assert client.oauth(username="x").json() == refused("password")


@pytest.mark.parametrize("token", ["", "wrong", f"{ACCESS_TOKEN}x"])
def test_request_without_a_token_is_refused(pbx: PortSIPClient, token: str) -> None:
    pbx.token = token
    for path in ("/cdrs", "/calllogs/1", "/user/cdrs", "/call_reports", "/auth/user", "/nothing"):
        answer = pbx.get(path)
        assert (answer.status_code, answer.json()) == (401, NO_TOKEN)
    answer = pbx.ask("GET", "/cdrs", headers={"Authorization": f"Basic {ACCESS_TOKEN}"})
    assert answer.status_code == 401


def test_access_token_expires_and_is_refreshed(sandbox: Sandbox, clock: HandClock) -> None:
    with PortSIPClient(sandbox, "password") as client:
        first = client.sign_in().json()
        clock.move(1799)
        assert client.get("/auth/user").status_code == 200
        clock.move(1)
        assert client.get("/auth/user").json() == NO_TOKEN
        second = client.post("/auth/refresh_token", {"refresh_token": first["refresh_token"]}).json()
        assert list(second) == list(first)
        client.token = second["access_token"]
        assert client.get("/auth/user").status_code == 200
        again = client.post("/auth/refresh_token", {"refresh_token": first["refresh_token"]})
        assert (again.status_code, again.json()) == (400, sample("portsip/doc_oauth_refresh_400_unknown.json"))
        sandbox.expire_tokens("portsip")
        assert client.get("/auth/user").status_code == 401
        assert client.post("/auth/refresh_token", {"refresh_token": second["refresh_token"]}).status_code == 200


def test_signing_out_ends_token_and_refresh_token(sandbox: Sandbox) -> None:
    with PortSIPClient(sandbox, "password") as client:
        refresh = client.sign_in().json()["refresh_token"]
        answer = client.post("/auth/sign_out")
        assert (answer.status_code, answer.content) == (200, b"")
        assert client.get("/auth/user").status_code == 401
        assert client.post("/auth/refresh_token", {"refresh_token": refresh}).status_code == 400


def test_sign_in_with_oauth(sandbox: Sandbox) -> None:
    with PortSIPClient(sandbox, "password") as client:
        answer = client.oauth(**client.password())
        assert list(answer.json()) == list(sample("portsip/doc_oauth_token_200.json"))
        client.token = answer.json()["access_token"]
        assert client.get("/auth/user").status_code == 200
        renewed = client.oauth(grant_type="refresh_token", refresh_token=answer.json()["refresh_token"])
        assert list(renewed.json()) == list(answer.json())
        wrong = client.oauth(grant_type="refresh_token", refresh_token="wrong")
        assert wrong.json() == sample("portsip/doc_oauth_refresh_400_unknown.json")
        assert client.post("/login/oauth/revoke").status_code == 200
        assert client.get("/auth/user").status_code == 401
        assert client.post("/login/oauth/revoke").status_code == 401


def test_sign_in_with_the_oldest_api(sandbox: Sandbox, clock: HandClock) -> None:
    with PortSIPClient(sandbox, "password") as client:
        assert client.get("/login").status_code == 401
        answer = client.post("/login", client.password())
        client.token = answer.json()["access_token"]
        assert client.get("/cdrs", filter=window(*DAY)).status_code == 200
        clock.move(600)
        assert client.get("/login").json() == {
            "access_token": client.token,
            "expires_at": "2026-11-20T12:30:00Z",
            "expires_in": 1200,
            "role": "Admin",
        }


def test_a_standard_user_reads_its_own_calls_only(sandbox: Sandbox) -> None:
    with PortSIPClient(sandbox, "standard_user") as client:
        client.sign_in()
        assert client.get("/auth/user").json()["role"] == "StandardUser"
        for path in ("/cdrs", "/cdrs/1", "/calllogs", "/recordings", "/call_reports", "/completed_call_reports"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()) == (403, errors("UNKNOWN", "unknown error"))
        own = client.all("/user/cdrs", *DAY)
        everybody = sandbox.truth("portsip", "cdrs", *DAY)
        assert own == sandbox.truth("portsip", "cdrs", *DAY, user="2001")
        assert 0 < len(own) < len(everybody)
        assert all(row in everybody for row in own)
        foreign = next(row for row in everybody if row not in own)
        assert client.get(f"/user/cdrs/{foreign['id']}").status_code == 404
        item = client.get(f"/user/cdrs/{own[0]['id']}").json()["items"]
        schema = PLAIN["paths"]["/user/cdrs/{id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert list(item) == list(schema["properties"]["items"]["properties"])
        assert client.all("/user/recordings", *WEEK)


def test_roles_decide_who_reads_the_calls_of_the_tenant(sandbox: Sandbox) -> None:
    """Admin and QueueManager read the tenant's calls; the system administrator signs in without a domain."""
    for user in USERS:
        with PortSIPClient(sandbox, "password") as client:
            body = {"username": user.username, "password": user.password}
            if user.domain:
                body["domain"] = user.domain
            client.token = client.post("/auth/sign_in", body).json()["access_token"]
            status = client.get("/cdrs", filter=window(*DAY)).status_code
            assert status == (200 if user.role in {"Admin", "QueueManager"} else 403)


def test_sync_token_returns_new_calls_of_the_user(sandbox: Sandbox, clock: HandClock) -> None:
    clock.time = at("2026-11-18T12:00")
    with PortSIPClient(sandbox, "standard_user") as client:
        client.sign_in()
        answer = client.post("/user/cdrs/sync_tokens")
        assert answer.status_code == 201
        token = answer.json()["token"]
        path = f"/user/cdrs/sync_tokens/{token}/diff"
        assert client.post(path).json()["items"] == []
        clock.time = at("2026-11-19T12:00")
        client.sign_in()
        diff = client.post(path).json()
        found = {one["id"]: one["items"][0]["started_at"] for one in diff["items"]}
        own = sandbox.truth("portsip", "cdrs", at("2026-11-18T12:00"), clock(), user="2001")
        assert {row["id"]: row["started_at"] for row in own}.items() <= found.items()
        assert found
        assert {one["change_type"] for one in diff["items"]} == {"CREATED"}
        assert client.post(f"/user/cdrs/sync_tokens/{diff['token']}/diff").json()["items"] == []
        assert client.post("/user/cdrs/sync_tokens/forgotten/diff").status_code == 403
        client.token = ACCESS_TOKEN
        assert client.post(f"/user/cdrs/sync_tokens/{diff['token']}/diff").status_code == 403
        assert client.post("/user/cdrs/sync_tokens?date_from=monday").json() == refused("date_from")
