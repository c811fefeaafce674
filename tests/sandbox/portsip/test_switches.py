"""The switches of the imitated PBX."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from cdrctl.sandbox import Exchange, start, uniform
from cdrctl.sandbox.portsip.fields import (
    CDR_KEYS,
)
from cdrctl.sandbox.portsip.limits import refuse_over_limit
from cdrctl.sandbox.portsip.sign_in import OTP_CODE
from tests.sandbox.clients import at, sample
from tests.sandbox.conftest import Starter
from tests.sandbox.hard import several
from tests.support.clock import HandClock

from .client import DAY, EVENING, NOT_SIGNED_IN, WEEK, PortSIPClient, errors, full, refused, window

# Switches


def test_switch_version(run: Starter) -> None:
    sandbox = run()
    with PortSIPClient(sandbox, "password") as client:
        for version in ("22.0", "16"):
            sandbox.switch("portsip", "version", version)
            assert client.sign_in().json() == errors("UNKNOWN", "not found")
            assert client.get("/auth/user").status_code == 404
            client.token = client.oauth(**client.password()).json()["access_token"]
            rows = client.all("/cdrs", *DAY)
            assert rows == sandbox.truth("portsip", "cdrs", *DAY)
            keys = CDR_KEYS if version == "22.0" else CDR_KEYS[:-2]
            assert {tuple(row) for row in rows} == {keys}
            status = client.get("/calllogs", filter=window(*DAY)).status_code
            assert status == (200 if version == "22.0" else 404)
        assert client.get("/calllogs/1").status_code == 404
        assert client.get("/cdrs", filter="service_number eq '3001'").json() == refused("filter")
        assert sandbox.truth("portsip", "calllogs", *DAY) == []
        sandbox.switch("portsip", "version", "22.3")
        assert client.sign_in().status_code == 200
        reasons = {row["reroute_reason"] for row in client.all("/cdrs", *WEEK)}
    assert reasons == {"", "TRANSFER", "QUEUE_ABANDONED", "FORWARDING_NO_ANSWER", "FORWARDING_UNCONDITIONAL"}


def test_switch_query(run: Starter) -> None:
    sandbox = run(exchange=full(150), switches={"portsip": {"query": "ignored"}})
    hour = EVENING[0], EVENING[0] + timedelta(hours=1)
    with PortSIPClient(sandbox) as client:
        for path in ("/cdrs", "/calllogs"):
            rows = client.all(path, *hour)
            assert len(rows) == 150 > len(sandbox.truth("portsip", path[1:], *hour))
            assert rows[0]["started_at"] > rows[-1]["started_at"]
            assert client.get(path, filter="nonsense").status_code == 200
        number = client.report()
        assert client.get("/call_reports", filter="name eq 'x'").json()["count"] == 0
        assert client.get(f"/call_reports/{number}").status_code == 200


def test_switch_skip(run: Starter) -> None:
    sandbox = run(exchange=full(10))
    with PortSIPClient(sandbox) as client:
        for value, firsts in (("0", [0, 1, 2]), ("1", [0, 0, 1])):
            sandbox.switch("portsip", "skip", value)
            truth = sandbox.truth("portsip", "cdrs", *EVENING)
            for skip, first in enumerate(firsts):
                page = client.get("/cdrs", filter=window(*EVENING), orderby="started_at", skip=skip, top=2).json()
                assert page["items"] == truth[first : first + 2]


def test_switch_count(run: Starter) -> None:
    sandbox = run(exchange=full(130))
    asked = {"filter": window(*EVENING)}
    with PortSIPClient(sandbox) as client:
        for value, plain, wanted in (("always", True, True), ("asked", False, True), ("absent", False, False)):
            sandbox.switch("portsip", "count", value)
            assert ("count" in client.get("/cdrs", **asked).json()) == plain
            assert ("count" in client.get("/cdrs", **asked, count="true").json()) == wanted
            assert len(client.all("/cdrs", *EVENING)) == 130
        assert len(client.pages("/cdrs", *EVENING)) == 3


def test_switch_bounds(run: Starter) -> None:
    """The switch decides whether the first and the last instant belong to the window."""
    sandbox = run(exchange=full(130))
    starts = [row["started_at"] for row in sandbox.truth("portsip", "cdrs", *EVENING)]
    asked = {"filter": f"started_at ge '{starts[3]}' and started_at lt '{starts[9]}'", "orderby": "started_at"}
    expected = {"half_open": (3, 9), "closed": (3, 10), "open": (4, 9), "open_low": (4, 10)}
    with PortSIPClient(sandbox) as client:
        for value, (first, last) in expected.items():
            sandbox.switch("portsip", "bounds", value)
            found = [row["started_at"] for row in client.get("/cdrs", **asked).json()["items"]]
            assert found == starts[first:last]


def test_switch_total(run: Starter) -> None:
    """All items are sent, but `count` is wrong, in every listing."""
    sandbox = run(exchange=full(130))
    expected = {
        "right": [130, 130],
        "zero": [0, 0],
        "page": [100, 30],
        "half": [65, 65],
        "shrinking": [130, 30],
        "true": [True, True],
        "negative": [-1, -1],
    }
    with PortSIPClient(sandbox) as client:
        for value, counts in expected.items():
            sandbox.switch("portsip", "total", value)
            pages = [client.get("/cdrs", filter=window(*EVENING), skip=skip).json() for skip in (0, 100)]
            assert [page["count"] for page in pages] == counts
            assert [len(page["items"]) for page in pages] == [100, 30]
        client.report()
        assert client.get("/call_reports").json()["count"] == -1


@pytest.mark.parametrize(
    ("value", "text"), [("year1", "0001-01-01T00:00:00Z"), ("1970", "1970-01-01T00:00:00Z"), ("0", "0")]
)
def test_switch_no_time(run: Starter, value: str, text: str) -> None:
    """A placeholder replaces missing times, and filters do not read it as a time."""
    sandbox = run()
    plain = sandbox.truth("portsip", "cdrs", *DAY)
    sandbox.switch("portsip", "no_time", value)
    with PortSIPClient(sandbox) as client:
        rows = client.all("/cdrs", *DAY)
        assert rows == sandbox.truth("portsip", "cdrs", *DAY)
        assert [row["answered_at"] for row in rows] == [row["answered_at"] or text for row in plain]
        assert [row["rang_at"] for row in rows] == [row["rang_at"] or text for row in plain]
        assert any(row["answered_at"] == text for row in rows)


def test_switch_empty(run: Starter) -> None:
    sandbox = run(switches={"portsip": {"empty": "null"}})
    with PortSIPClient(sandbox) as client:
        rows = client.all("/cdrs", *DAY)
        assert rows == sandbox.truth("portsip", "cdrs", *DAY)
        assert not any(value == "" for row in rows for value in row.values())
        assert any(row["answered_at"] is None for row in rows)
        assert client.filtered("answered_at eq null") == [row for row in rows if row["answered_at"] is None]
        assert client.filtered("contains(trunk,'A')") == [row for row in rows if row["trunk"] == "Trunk A"]
        assert client.all("/cdrs", *DAY, orderby="answered_at,id")
        assert client.get("/call_reports/" + client.report()).json()["cron_expr"] is None


@pytest.mark.slow
def test_switch_no_items(run: Starter) -> None:
    sandbox = run(switches={"portsip": {"no_items": "null"}})
    with PortSIPClient(sandbox) as client:
        assert client.all("/cdrs", *DAY) == sandbox.truth("portsip", "cdrs", *DAY)
        assert client.get("/cdrs", search="no call has this text").json() == {"count": 0, "items": None}


def statuses(client: PortSIPClient, n: int) -> list[int]:
    return [client.get("/cdrs").status_code for _ in range(n)]


def test_switch_access_limit(run: Starter, clock: HandClock) -> None:
    sandbox = run(exchange=full(1), limits=True, switches={"portsip": {"access_limit": "3"}})
    clock.move(20)
    with PortSIPClient(sandbox) as client:
        assert statuses(client, 5) == [200] * 3 + [429] * 2
        assert client.get("/cdrs").json() == errors("UNKNOWN", "too many requests")
        clock.move(39)
        assert statuses(client, 1) == [429]
        clock.move(1)
        assert statuses(client, 4) == [200] * 3 + [429]


@pytest.mark.parametrize("status", [429, 503])
def test_switch_throttle(run: Starter, status: int) -> None:
    switches = {"portsip": {"access_limit": "1", "throttle": str(status)}}
    with PortSIPClient(run(exchange=full(1), limits=True, switches=switches)) as client:
        assert statuses(client, 2) == [200, status]


@pytest.mark.parametrize(("value", "header"), [("seconds", "40"), ("none", None)])
def test_switch_retry_after(run: Starter, clock: HandClock, value: str, header: str | None) -> None:
    switches = {"portsip": {"access_limit": "1", "retry_after": value}}
    clock.move(20)
    with PortSIPClient(run(exchange=full(1), limits=True, switches=switches)) as client:
        assert "Retry-After" not in client.get("/cdrs").headers
        assert client.get("/cdrs").headers.get("Retry-After") == header


def test_switch_limits_off(run: Starter) -> None:
    with PortSIPClient(run(exchange=full(1), switches={"portsip": {"access_limit": "1"}})) as client:
        assert statuses(client, 9) == [200] * 9


@pytest.mark.parametrize(("version", "limit"), [("22.2", 10_000), ("16", 5_000)])
def test_rate_limits_are_the_published_ones(run: Starter, version: str, limit: int) -> None:
    sandbox = run(exchange=full(0), limits=True, switches={"portsip": {"version": version}})
    pbx = sandbox.provider("portsip").pbx
    *allowed, refused = (refuse_over_limit(pbx) for _ in range(limit + 1))
    assert allowed == [None] * limit
    assert refused is not None
    assert refused.status == 429


def test_switch_top_max(run: Starter) -> None:
    sandbox = run(exchange=full(300), switches={"portsip": {"top_max": "1000"}})
    with PortSIPClient(sandbox) as client:
        assert len(client.get("/cdrs", filter=window(*EVENING), top=1000).json()["items"]) == 300
        assert client.get("/cdrs", top=1001).json() == refused("top")
        assert len(client.get("/cdrs", filter=window(*EVENING)).json()["items"]) == 100
        assert client.get("/call_reports", top=101).json() == refused("top")


def test_switch_login_body(run: Starter) -> None:
    sandbox = run(switches={"portsip": {"login_body": "empty"}})
    with PortSIPClient(sandbox, "password") as client:
        answer = client.post("/login", client.password())
        assert (answer.status_code, answer.content) == (200, b"")
        status = client.get("/login").json()
        assert (status["role"], status["expires_in"]) == ("Admin", 1800)
        client.token = status["access_token"]
        assert client.get("/cdrs", filter=window(*DAY)).status_code == 200
        client.http.cookies.clear()
        client.token = ""
        assert client.get("/login").status_code == 401


def test_switch_oauth(run: Starter) -> None:
    sandbox = run(switches={"portsip": {"oauth": "off", "version": "22.0"}})
    with PortSIPClient(sandbox, "password") as client:
        assert client.oauth(**client.password()).status_code == 404
        assert client.post("/login", client.password()).status_code == 200


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ("{}", b"{}"),
        ("empty", b""),
        ("new_code", b'{"errors":[{"code":"SOMETHING_NEW","message":"unauthorized"}]}'),
    ],
)
def test_switch_errors(run: Starter, value: str, body: bytes) -> None:
    sandbox = run(switches={"portsip": {"errors": value}})
    with PortSIPClient(sandbox) as client:
        client.token = "wrong"
        answer = client.get("/cdrs")
        assert (answer.status_code, answer.content) == (401, body)
        sandbox.fail("portsip", 429, headers={"Retry-After": "3"})
        assert client.get("/cdrs").headers["Retry-After"] == "3"


def test_switch_end_reason(run: Starter) -> None:
    sandbox = run(switches={"portsip": {"end_reason": "doc"}})
    with PortSIPClient(sandbox) as client:
        words = {row["end_reason"] for row in client.all("/calllogs", *WEEK)}
    assert words == {
        *("", "CALLER_DISCONNECTED", "CALLEE_DISCONNECTED", "CANCELLED", "REFERRED"),
        *("BLIND_TRANSFER_COMPLETED", "CONSULT_TRANSFER_COMPLETED"),
    }


@pytest.mark.parametrize("body", ["token", "empty"])
def test_switch_two_factor(run: Starter, body: str) -> None:
    sandbox = run(switches={"portsip": {"two_factor": "on", "login_body": body}})
    with PortSIPClient(sandbox, "password") as client:
        assert client.sign_in(password="wrong").json() == NOT_SIGNED_IN
        answer = client.sign_in()
        assert list(answer.json()) == list(sample("portsip/constructed_sign_in_2fa.json"))
        token = answer.json()["token"]
        client.token = token
        assert client.get("/cdrs").status_code == 401
        assert client.post("/auth/send_otp", {"token": "other"}).status_code == 400
        assert client.post("/auth/send_otp", {"token": token}).content == b""
        assert client.post("/auth/verify_otp", {"token": token, "code": "000000"}).json() == NOT_SIGNED_IN
        verified = client.post("/auth/verify_otp", {"token": token, "code": OTP_CODE})
        client.token = ""
        client.token = (verified if body == "token" else client.get("/login")).json()["access_token"]
        assert client.get("/cdrs", filter=window(*DAY)).status_code == 200
        assert client.post("/auth/verify_otp", {"token": token, "code": OTP_CODE}).status_code == 400
        assert client.oauth(**client.password()).json() == NOT_SIGNED_IN
        assert client.post("/login", client.password()).json() == NOT_SIGNED_IN


def test_switch_token_ttl(run: Starter, clock: HandClock) -> None:
    with PortSIPClient(run(switches={"portsip": {"token_ttl": "60"}}), "password") as client:
        assert client.sign_in().json()["expires_in"] == 60
        clock.move(60)
        assert client.get("/auth/user").status_code == 401


def test_switch_rotate(run: Starter) -> None:
    with PortSIPClient(run(switches={"portsip": {"rotate": "off"}}), "password") as client:
        refresh = client.sign_in().json()["refresh_token"]
        for _ in range(2):
            assert client.post("/auth/refresh_token", {"refresh_token": refresh}).json()["refresh_token"] == refresh


def test_switch_grow(run: Starter) -> None:
    """New calls appear while pages are read: they shift the pages and raise the count."""
    sandbox = run(exchange=full(400), switches={"portsip": {"grow": "4"}})
    truth = [row["id"] for row in sandbox.truth("portsip", "cdrs", *EVENING)]
    with PortSIPClient(sandbox) as client:
        pages = client.pages("/cdrs", *EVENING)
        assert [page["count"] for page in pages] == [388, 392, 396, 400]
        ids = [row["id"] for page in pages for row in page["items"]]
        assert len(set(ids)) < 400
        assert len(set(ids)) < len(ids)
        assert [row["id"] for row in client.all("/cdrs", *EVENING)] == truth


@pytest.mark.parametrize("value", ["1", "2", "9"])
def test_switch_legs(run: Starter, value: str) -> None:
    sandbox = run(switches={"portsip": {"legs": value}})
    with PortSIPClient(sandbox) as client:
        moved = client.filtered("reroute_reason eq 'TRANSFER'")
        items = client.get(f"/cdrs/{moved[0]['id']}").json()["items"]
        assert len(items) == min(int(value), 2)
        assert {tuple(one) for one in items} == {tuple(sample("portsip/doc_cdr_detail.json")["items"][0])}
        if len(items) > 1:
            assert [one["reroute_reason"] for one in items] == ["", "TRANSFER"]
            assert items[0]["end_reason"].endswith("_TRANSFER_COMPLETED")
            assert items[1]["started_at"] > items[0]["started_at"]
        queue = client.filtered("service_number eq '3001'")
        many = max(len(client.get(f"/cdrs/{row['id']}").json()["items"]) for row in queue)
        assert many <= int(value)
        assert (many > 2) == (value == "9")


def test_switch_lookback(run: Starter, clock: HandClock) -> None:
    old = at("2020-01-01"), at("2020-01-02")
    edge = at("2021-11-20T12:00"), at("2021-11-20T13:00")
    calls = [*uniform(3, *old, name="old"), *uniform(2, *edge, name="edge")]
    sandbox = run(exchange=Exchange(calls=calls))
    with PortSIPClient(sandbox) as client:
        assert client.get("/cdrs", filter=window(*old)).json() == refused("filter")
        assert len(client.all("/cdrs", *edge)) == 2
        clock.move(1)
        assert client.get("/cdrs", filter=window(*edge)).status_code == 400
        sandbox.switch("portsip", "lookback", "empty")
        assert client.all("/cdrs", *old) == sandbox.truth("portsip", "cdrs", *old) == []
        assert len(client.all("/cdrs", *edge)) == 1


def test_switch_ids(run: Starter) -> None:
    sandbox = run(switches={"portsip": {"ids": "base64"}})
    with PortSIPClient(sandbox) as client:
        rows = client.all("/calllogs", *DAY)
        assert rows == sandbox.truth("portsip", "calllogs", *DAY)
        assert all(re.fullmatch(r"[A-Za-z0-9]{24,26}={0,2}", row["id"]) for row in rows)
        assert client.get(f"/calllogs/{rows[0]['id']}").json()["call_id"] == rows[0]["call_id"]
        assert client.get("/calllogs/@").status_code == 400
        assert client.get(f"/call_reports/{client.report()}").status_code == 200


@pytest.mark.parametrize(("value", "status"), [("completes", "RUNNING"), ("aborts", "ABORTED"), ("never", "RUNNING")])
def test_switch_report(run: Starter, clock: HandClock, value: str, status: str) -> None:
    with PortSIPClient(run(switches={"portsip": {"report": value}})) as client:
        number = client.report()
        assert client.get(f"/call_reports/{number}").json()["status"] == "RUNNING"
        clock.move(3600)
        assert client.get(f"/call_reports/{number}").json()["status"] == status
        assert len(client.completed()) == (value == "completes")


def test_switch_report_delay(run: Starter, clock: HandClock) -> None:
    with PortSIPClient(run(switches={"portsip": {"report_delay": "90"}})) as client:
        client.report()
        clock.move(89)
        assert client.completed() == []
        clock.move(1)
        assert len(client.completed()) == 1


@pytest.mark.parametrize("value", ["RUNNING", "SCHEDULED", "gone"])
def test_switch_report_after(run: Starter, clock: HandClock, value: str) -> None:
    with PortSIPClient(run(switches={"portsip": {"report_after": value}})) as client:
        client.report()
        clock.move(5)
        assert [one["status"] for one in client.get("/call_reports").json()["items"]] == [value] * (value != "gone")
        assert len(client.completed()) == 1


@pytest.mark.parametrize("value", ["traversal", "absolute", "control", "empty"])
def test_switch_file_name(run: Starter, clock: HandClock, value: str) -> None:
    with PortSIPClient(run(switches={"portsip": {"file_name": value}})) as client:
        client.report()
        clock.move(5)
        (row,) = client.completed()
        name = row["file_name"]
        tests: dict[str, bool] = {
            "traversal": name.startswith("../../"),
            "absolute": name.startswith("/etc/"),
            "control": {"\x1b", "\n", "\r", "\x00"} <= set(name),
            "empty": name == "",
        }
        assert tests[value]
        file = client.download(row)
        assert len(file.content) == row["file_size"]
        expected = {
            "control": "filename*=UTF-8''%1B%5B2J%0D%0A%00",
            "traversal": 'filename="../../',
            "absolute": 'filename="/etc/',
            "empty": 'filename=""',
        }
        assert file.headers["Content-Disposition"].startswith(f"attachment; {expected[value]}")


@pytest.mark.parametrize(
    ("value", "start_of_url"),
    [
        ("absolute", "https://files.elsewhere.example/api/blobs/"),
        ("network_path", "//files.elsewhere.example/api/blobs/"),
        ("outside", "/api/cdrs"),
        ("traversal", "/api/blobs/../cdrs"),
    ],
)
def test_switch_file_url(run: Starter, clock: HandClock, value: str, start_of_url: str) -> None:
    with PortSIPClient(run(switches={"portsip": {"file_url": value}})) as client:
        client.report()
        clock.move(5)
        assert client.completed()[0]["file_url"].startswith(start_of_url)


# Determinism


@pytest.mark.slow
def test_responses_are_the_same_in_every_run(clock: HandClock) -> None:
    bodies = []
    for order in (1, -1):
        with start(now=clock, seed="x", providers=["portsip"]) as sandbox, PortSIPClient(sandbox, "password") as client:
            client.sign_in()
            asked = [("/cdrs", WEEK), ("/calllogs", DAY), ("/recordings", DAY)][::order]
            bodies.append({path: client.all(path, *span) for path, span in asked})
            bodies[-1]["token"] = [{"token": client.token}]
    assert bodies[0] == bodies[1]


def test_switch_session() -> None:
    assert several("portsip", "session_id", {}) == 0
    assert several("portsip", "session_id", {"session": "own"}) > 0
