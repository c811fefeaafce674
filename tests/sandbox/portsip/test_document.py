"""The imitated PBX's requests and answers against the vendor's OpenAPI file."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings, strategies as st

from cdrctl.sandbox import Sandbox, start
from cdrctl.sandbox.portsip.fields import (
    REPORT_TYPES,
)
from cdrctl.sandbox.portsip.sign_in import CLIENT_ID, OTP_CODE
from tests.sandbox.clients import sample
from tests.sandbox.conftest import Starter
from tests.support.clock import HandClock
from tests.support.portsip_document import EXEMPTIONS, PLAIN, Document, document, path_of
from tests.support.products import for_each

from .client import WEEK, PortSIPClient, Row, full, refused


class Watched(PortSIPClient):
    """Checks every request and response against the document."""

    def __init__(self, sandbox: Sandbox, kind: str = "access_token", judge: Document | None = None) -> None:
        super().__init__(sandbox, kind)
        self.judge = judge or document()
        self.wrong: list[str] = []
        self.seen: set[str] = set()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = super().ask(method, path, **more)
        self.wrong += self.judge.faults(answer)
        self.seen.add(f"{self.judge.operation(method, path_of(answer.request))[0]} {answer.status_code}")
        return answer


OPERATIONS = {
    "doc_call_report_create_201": "POST /call_reports 201",
    "doc_call_report_detail": "GET /call_reports/1 200",
    "doc_call_reports_list": "GET /call_reports 200",
    "doc_calllog_detail": "GET /calllogs/1 200",
    "doc_calllogs_list": "GET /calllogs 200",
    "doc_cdr_detail": "GET /cdrs/1 200",
    "doc_cdrs_list": "GET /cdrs 200",
    "doc_completed_call_report_detail": "GET /completed_call_reports/1 200",
    "doc_completed_call_reports_list": "GET /completed_call_reports 200",
    "doc_oauth_token_200": "POST /login/oauth/token 200",
    "real_cdrs_list": "GET /cdrs 200",
    "real_recording_detail": "GET /recordings/1 200",
    "real_recordings_list": "GET /recordings 200",
}


SPELLINGS = [one.name for one in EXEMPTIONS if one.name.startswith(("empty", "CALLER"))]


def printed(name: str) -> httpx.Response:
    """Return a response that the vendor published."""
    method, path, status = OPERATIONS[name].split()
    headers = {"Authorization": "Bearer x"}
    body: Any = None
    if name == "doc_call_report_create_201":
        body = sample("portsip/doc_call_report_create_body.json")
    form = {"grant_type": "refresh_token", "client_id": CLIENT_ID} if "oauth" in name else None
    request = httpx.Request(method, f"https://pbx.example.net:8887/api{path}", headers=headers, json=body, data=form)
    return httpx.Response(int(status), json=sample(f"portsip/{name}.json"), request=request)


@pytest.mark.parametrize("name", OPERATIONS)
def test_published_responses_pass_the_check(name: str) -> None:
    """Examples pass without the exemptions for spelling, real responses with all exemptions."""
    wrong = document(*([] if name.startswith("real") else SPELLINGS)).faults(printed(name))
    if name == "real_cdrs_list":  # from a release without these fields
        wrong = [one for one in wrong if not re.search(r"'(service_number|user_data)' is a required property", one)]
    assert wrong == []


SHOWN = [one.name for one in EXEMPTIONS if one.reason.startswith("real_cdrs_list.json")]


@for_each("name", SHOWN)
def test_real_response_needs_the_exemption(name: str) -> None:
    real = printed("real_cdrs_list")
    assert len(document(name).faults(real)) > len(document().faults(real))


@for_each("key, value", [("started_at", "yesterday"), ("direction", "in"), ("duration", 2**31)])
def test_check_finds_values_outside_the_document(key: str, value: Any) -> None:
    answer = printed("doc_cdrs_list")
    row = answer.json()["items"][0] | {key: value}
    assert document().faults(httpx.Response(200, json={"count": 1, "items": [row]}, request=answer.request))


@pytest.mark.slow
def test_every_documented_operation_answers_as_documented(run: Starter, clock: HandClock) -> None:
    """With the spelling of the documentation. Every operation in the document is requested."""
    sandbox = run(switches={"portsip": {"end_reason": "doc"}})
    judge = document("CALLER_DISCONNECT")
    with Watched(sandbox, judge=judge) as client:
        for path in ("/cdrs", "/calllogs", "/recordings"):
            rows = client.all(path, *WEEK)
            assert len(rows) > 30
            for row in rows[:: len(rows) // 8]:
                assert client.get(f"{path}/{row['id']}").status_code == 200
            assert client.get(f"{path}/1").status_code == 404
            assert client.get(f"{path}/x").status_code == 400
        for kind in REPORT_TYPES:
            client.report(type=kind, filter={})
        assert client.get("/call_reports").json()["count"] == len(REPORT_TYPES)
        clock.move(10)
        for row in client.completed():
            assert client.get(f"/completed_call_reports/{row['id']}").json() == row
            assert client.get(row["file_url"].removeprefix("/api")).status_code == 200
            assert client.post(f"/completed_call_reports/{row['id']}/destroy").status_code == 204
        client.report(range="CUSTOM", started_at="2026-11-18T00:00:00Z", ended_at="2026-11-19T00:00:00Z")
        for row in client.get("/call_reports").json()["items"]:
            assert client.get(f"/call_reports/{row['id']}").status_code == 200
            assert client.post(f"/call_reports/{row['id']}", {"name": "other"}).status_code == 200
            assert client.post(f"/call_reports/{row['id']}/destroy").status_code == 204
            assert client.post(f"/call_reports/{row['id']}/destroy").status_code == 400
        client.get("/auth/user")
        client.get("/login")
        assert client.wrong == []
        seen = client.seen
    with Watched(sandbox, "standard_user", judge) as client:
        client.sign_in()
        refresh = client.post("/auth/sign_in", client.password()).json()["refresh_token"]
        client.post("/auth/refresh_token", {"refresh_token": refresh})
        rows = client.all("/user/cdrs", *WEEK)
        assert client.get(f"/user/cdrs/{rows[0]['id']}").status_code == 200
        rows = client.all("/user/recordings", *WEEK)
        assert client.get(f"/user/recordings/{rows[0]['id']}").status_code == 200
        token = client.post("/user/cdrs/sync_tokens?date_from=2026-11-18T00:00:00Z").json()["token"]
        assert client.post(f"/user/cdrs/sync_tokens/{token}/diff").json()["items"]
        assert client.get("/cdrs").status_code == 403
        client.post("/login", client.password())
        sandbox.switch("portsip", "two_factor", "on")
        token = client.post("/auth/sign_in", client.password()).json()["token"]
        assert client.post("/auth/send_otp", {"token": token}).status_code == 200
        assert client.post("/auth/verify_otp", {"token": token, "code": OTP_CODE}).status_code == 200
        client.post("/login", client.password())
        client.post("/auth/sign_out")
        client.get("/auth/user")
        client.get("/login")
        assert client.wrong == []
        seen |= client.seen
    known = {f"{method.upper()} {path}" for path, methods in PLAIN["paths"].items() for method in methods}
    assert known == {one.rpartition(" ")[0] for one in seen if one.rpartition(" ")[2].startswith("2")}


@pytest.mark.slow
def test_responses_match_the_document_except_for_the_exemptions(sandbox: Sandbox) -> None:
    with Watched(sandbox) as client:
        client.all("/cdrs", *WEEK)
        client.all("/calllogs", *WEEK)
        assert client.wrong == []


CRONS = ("0 1 * * *", "*/15 8-18 * * mon-fri", "@daily", "0 0 1,15 jan-jun/2 *", "5 4 * * 7")


def drawn(schema: Row, name: str = "") -> st.SearchStrategy[Any]:
    """Draw a value that a schema of the document allows, including its rules that are only in prose."""
    while "allOf" in schema:
        (schema,) = schema["allOf"]
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if name == "cron_expr":
        return st.sampled_from(CRONS)
    if name in {"from_value", "to_value"}:
        return st.sampled_from(("101", "101-110", "7"))
    kind = schema["type"]
    if schema.get("format") == "date_time":
        times = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1))  # noqa: DTZ001 - a zone is appended
        return times.map(lambda time: f"{time.isoformat()}Z")
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True, alphabet=st.characters(codec="ascii"))
    if kind == "string":
        letters = st.characters(codec="utf-8")
        return st.text(letters, min_size=schema.get("minLength", 0), max_size=min(schema.get("maxLength", 20), 150))
    if kind == "integer":
        return st.integers(schema.get("minimum", 0), schema.get("maximum", 2**31 - 1))
    if kind in {"boolean", "array"}:
        return st.booleans() if kind == "boolean" else st.lists(drawn(schema["items"], name), max_size=3)
    needed = set(schema.get("required", ()))
    parts = {key: drawn(value, key) for key, value in schema["properties"].items() if "oneOf" not in value}
    return st.fixed_dictionaries(
        {key: value for key, value in parts.items() if key in needed},
        optional={key: value for key, value in parts.items() if key not in needed},
    )


def shape_of(kind: str) -> Row:
    """Return the schema of a type's filter. They are in the order of the types, one for no type in second place."""
    n = REPORT_TYPES.index(kind)
    body = PLAIN["paths"]["/call_reports"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    found: Row = body["properties"]["filter"]["oneOf"][n + 1 if n else 0]
    return found


@st.composite
def reports(draw: st.DrawFn, path: str) -> Row:
    schema = PLAIN["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    body: Row = draw(drawn(schema))
    kind = body.get("type", "NORMAL")
    if "type" in body or draw(st.booleans()):
        body["filter"] = draw(drawn(shape_of(kind)))
        for side in ("from", "to"):
            chosen = body["filter"].get(side, "")
            if chosen in {"EXTENSION_OR_EXTENSION_RANGE", "NUMBER", "NUMBERS_START_WITH", "NUMBERS_CONTAIN"}:
                body["filter"].setdefault(f"{side}_value", "101")
    if body.get("range") == "CUSTOM":
        body |= {"started_at": "2026-11-18T00:00:00Z", "ended_at": "2026-11-18T12:00:00.5Z"}
    return body


@pytest.mark.slow
def test_every_report_that_the_document_allows_is_accepted() -> None:
    # A small exchange keeps the many runs of reports short.
    with start(now=HandClock(), exchange=full(3), providers=["portsip"]) as sandbox, Watched(sandbox) as client:

        @settings(max_examples=60, deadline=None, database=None)
        @given(body=reports("/call_reports"))
        def created(body: Row) -> None:
            answer = client.post("/call_reports", body)
            assert answer.status_code == 201, answer.text
            number = answer.json()["id"]
            kept = client.get(f"/call_reports/{number}").json()
            assert {name: kept[name] for name in body} == body
            assert kept["status"] == ("SCHEDULED" if body.get("cron_expr") else "RUNNING")
            client.post(f"/call_reports/{number}/destroy")

        @settings(max_examples=30, deadline=None, database=None)
        @given(body=reports("/call_reports/{id}"))
        def updated(body: Row) -> None:
            number = client.report()
            answer = client.post(f"/call_reports/{number}", body)
            assert (answer.status_code, answer.content) == (200, b""), answer.text
            kept = client.get(f"/call_reports/{number}").json()
            assert {name: kept[name] for name in body} == body
            client.post(f"/call_reports/{number}/destroy")

        created()
        updated()
        assert client.wrong == []


@pytest.mark.thin
@pytest.mark.parametrize("path", ["/auth/sign_in", "/login", "/auth/refresh_token", "/auth/verify_otp"])
def test_documented_sign_in_with_wrong_values_is_refused(sandbox: Sandbox, path: str) -> None:
    schema = PLAIN["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    with Watched(sandbox) as client:

        @settings(max_examples=25, deadline=None, database=None)
        @given(body=drawn(schema))
        def tried(body: Row) -> None:
            answer = client.post(path, body)
            assert answer.status_code == 400
            assert answer.json()["errors"][0]["code"] in {"UNAUTHORIZED", "UNKNOWN"}

        tried()
        assert client.wrong == []


PARAMETERS = {one["name"]: one["schema"] for one in PLAIN["paths"]["/recordings"]["get"]["parameters"]}


@pytest.mark.thin
@pytest.mark.parametrize("path", ["/recordings", "/call_reports", "/completed_call_reports", "/cdrs", "/calllogs"])
def test_every_page_that_the_document_allows_is_answered(run: Starter, path: str) -> None:
    with Watched(run(exchange=full(5))) as client:
        for skip in (0, 1, 5, 2**31 - 1):
            for top in (PARAMETERS["top"]["minimum"], 7, PARAMETERS["top"]["maximum"]):
                answer = client.get(path, skip=skip, top=top)
                assert answer.status_code == 200, answer.text
        assert client.wrong == []
        assert client.get(path, search="", filter="", orderby="").status_code == 200
        for name, value in (("top", 0), ("top", 101), ("top", "x"), ("skip", -1), ("skip", 2**31), ("count", "yes")):
            answer = client.get(path, **{name: value})
            assert (answer.status_code, answer.json()) == (400, refused(name))
