"""The imitated PortSIP PBX against its OpenAPI file, the user's document and real answers."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given, settings, strategies as st

from cdrctl.sandbox import Exchange, Sandbox, start, straddlers, uniform
from cdrctl.sandbox.portsip.cron import parse_cron
from cdrctl.sandbox.portsip.fields import (
    CALLLOG_KEYS,
    CDR_KEYS,
    COMPLETED_KEYS,
    RECORDING_KEYS,
    REPORT_KEYS,
    REPORT_TYPES,
)
from cdrctl.sandbox.portsip.filter_language import parse_filter
from cdrctl.sandbox.portsip.limits import refuse_over_limit
from cdrctl.sandbox.portsip.records import EPOCH
from cdrctl.sandbox.portsip.sign_in import CLIENT_ID, OTP_CODE
from cdrctl.sandbox.portsip.users import ACCESS_TOKEN, DOMAIN, USERS
from tests.support.clock import HandClock
from tests.support.portsip_document import EXEMPTIONS, PLAIN, Document, document, path_of

from .clients import Client, at, sample
from .conftest import BUSY, EXCHANGE, Starter

DAY = at("2026-11-18"), at("2026-11-19")
EVENING = at("2026-11-18T12:00"), at("2026-11-19T00:00")
WEEK = at("2026-11-12"), at("2026-11-19")
REAL = sample("portsip/real_cdrs_list.json")
REPORT: dict[str, Any] = {
    "name": "nightly",
    "type": "NORMAL",
    "email": "user@example.com",
    "format": "CSV",
    "range": "YESTERDAY",
    "filter": {"from": "ANY", "to": "ANY", "answer_state": "ANY", "duration": "ANY"},
}
Row = dict[str, Any]


def full(n: int, legs: int = 1) -> Exchange:
    """An exchange with exactly n calls in the evening of the day."""
    return Exchange(calls=uniform(n, *EVENING, legs=legs))


def window(since: datetime, until: datetime) -> str:
    stamp = "%Y-%m-%dT%H:%M:%S.%fZ"
    return f"started_at ge '{since:{stamp}}' and started_at lt '{until:{stamp}}'"


def errors(code: str, message: str, **more: Any) -> Row:
    return {"errors": [{"code": code, "message": message, **more}]}


NOT_SIGNED_IN = sample("portsip/doc_oauth_token_400_unauthorized.json")
NO_TOKEN = errors("UNAUTHORIZED", "unauthorized")


def refused(field: str) -> Row:
    return errors("VALIDATE_FAILED", "field validation failed", detail={"field": field})


class PortSIPClient(Client):
    """Signs in by the newest form, pages by skip until the count is reached or a page is empty."""

    def __init__(self, sandbox: Sandbox, kind: str = "access_token") -> None:
        super().__init__(sandbox)
        self.settings = sandbox.credentials("portsip", kind)
        self.base_url = str(self.settings["base_url"])
        self.token = str(self.settings.get("access_token", ""))

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return self.http.request(method, f"{self.base_url}{path}", headers=headers | more.pop("headers", {}), **more)

    def get(self, path: str, **values: Any) -> httpx.Response:
        return self.ask("GET", path, params=values)

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self.ask("POST", path, json=body)

    def password(self, **changes: Any) -> Row:
        return {name: self.settings[name] for name in ("username", "password", "domain")} | changes

    def sign_in(self, **changes: Any) -> httpx.Response:
        self.token = ""
        answer = self.post("/auth/sign_in", self.password(**changes))
        self.token = answer.json().get("access_token", "")
        return answer

    def oauth(self, **form: Any) -> httpx.Response:
        sent = {"grant_type": "password", "scope": "all", "client_id": CLIENT_ID, **form}
        return self.http.post(f"{self.base_url}/login/oauth/token", data=sent)

    def pages(self, path: str, since: datetime, until: datetime, **more: Any) -> list[Row]:
        asked = {"filter": window(since, until), "orderby": "started_at asc", "count": "true", **more}
        pages: list[Row] = []
        skip = 0
        while True:
            answer = self.get(path, **asked, skip=skip)
            assert answer.status_code == 200, answer.text
            pages.append(answer.json())
            skip += len(pages[-1]["items"])
            if not pages[-1]["items"] or skip >= pages[-1].get("count", skip + 1):
                return pages

    def all(self, path: str, since: datetime, until: datetime, **more: Any) -> list[Row]:
        return [row for page in self.pages(path, since, until, **more) for row in page["items"]]

    def filtered(self, text: str, path: str = "/cdrs", **more: Any) -> list[Row]:
        """Ask the calls of one day that pass a filter."""
        return self.all(path, *DAY, filter=f"{window(*DAY)} and ({text})", **more)

    def report(self, **changes: Any) -> str:
        answer = self.post("/call_reports", REPORT | changes)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def completed(self, **values: Any) -> list[Row]:
        items: list[Row] = self.get("/completed_call_reports", **values).json()["items"]
        return items

    def download(self, row: Row) -> httpx.Response:
        return self.http.get(f"{self.sandbox.url}{row['file_url']}")


@pytest.fixture
def pbx(sandbox: Sandbox) -> Iterator[PortSIPClient]:
    with PortSIPClient(sandbox) as client:
        yield client


# the vendor's OpenAPI file


class Watched(PortSIPClient):
    """Holds every answer, and what was asked, against the document."""

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
    """Return an answer that the vendor published."""
    method, path, status = OPERATIONS[name].split()
    headers = {"Authorization": "Bearer x"}
    body: Any = None
    if name == "doc_call_report_create_201":
        body = sample("portsip/doc_call_report_create_body.json")
    form = {"grant_type": "refresh_token", "client_id": CLIENT_ID} if "oauth" in name else None
    request = httpx.Request(method, f"https://pbx.example.net:8887/api{path}", headers=headers, json=body, data=form)
    return httpx.Response(int(status), json=sample(f"portsip/{name}.json"), request=request)


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_the_vendor_printed_passes(name: str) -> None:
    """The check itself: examples as strictly as can be, real answers with what they may be empty in."""
    wrong = document(*([] if name.startswith("real") else SPELLINGS)).faults(printed(name))
    if name == "real_cdrs_list":  # of a release that had not got them yet
        wrong = [one for one in wrong if not re.search(r"'(service_number|user_data)' is a required property", one)]
    assert wrong == []


SHOWN = [one.name for one in EXEMPTIONS if one.reason.startswith("real_cdrs_list.json")]


@pytest.mark.parametrize("name", SHOWN)
def test_a_real_answer_contradicts_the_document(name: str) -> None:
    """As the reasons of these exemptions say."""
    real = printed("real_cdrs_list")
    assert len(document(name).faults(real)) > len(document().faults(real))


@pytest.mark.parametrize(("key", "value"), [("started_at", "yesterday"), ("direction", "in"), ("duration", 2**31)])
def test_values_that_the_document_does_not_know_are_noticed(key: str, value: Any) -> None:
    answer = printed("doc_cdrs_list")
    row = answer.json()["items"][0] | {key: value}
    assert document().faults(httpx.Response(200, json={"count": 1, "items": [row]}, request=answer.request))


def test_every_documented_answer_fits_the_document(run: Starter, clock: HandClock) -> None:
    """In the documentation's spelling, and all that the document has is asked for."""
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


def test_live_answers_fit_the_document_but_for_the_exemptions(sandbox: Sandbox) -> None:
    with Watched(sandbox) as client:
        client.all("/cdrs", *WEEK)
        client.all("/calllogs", *WEEK)
        assert client.wrong == []


CRONS = ("0 1 * * *", "*/15 8-18 * * mon-fri", "@daily", "0 0 1,15 jan-jun/2 *", "5 4 * * 7")


def drawn(schema: Row, name: str = "") -> st.SearchStrategy[Any]:
    """Draw a value that a schema of the document, with what it says in words, allows."""
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
        times = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1))  # noqa: DTZ001 - a zone is written behind
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
    """Return the shape a type's filter has: they stand in the order of the types, one without a type second."""
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


def test_every_report_the_document_allows_is_accepted() -> None:
    # Calls handed in keep the runs of so many reports short.
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


@pytest.mark.parametrize("path", ["/auth/sign_in", "/login", "/auth/refresh_token", "/auth/verify_otp"])
def test_every_sign_in_the_document_allows_is_understood(sandbox: Sandbox, path: str) -> None:
    """And refused for what it says, not for how."""
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


@pytest.mark.parametrize("path", ["/recordings", "/call_reports", "/completed_call_reports", "/cdrs", "/calllogs"])
def test_every_page_the_document_allows_is_answered(run: Starter, path: str) -> None:
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


# records


def test_items_have_the_keys_of_the_documents_in_their_order(pbx: PortSIPClient) -> None:
    assert list(CDR_KEYS) == list(sample("portsip/doc_cdrs_list.json")["items"][0])
    assert list(CDR_KEYS[:-2]) == list(REAL["items"][0])
    assert list(CALLLOG_KEYS) == list(sample("portsip/doc_calllogs_list.json")["items"][0])
    assert list(RECORDING_KEYS) == list(sample("portsip/real_recordings_list.json")["items"][0])
    keys = {"/cdrs": CDR_KEYS, "/calllogs": CALLLOG_KEYS, "/recordings": RECORDING_KEYS}
    for path, names in keys.items():
        pages = pbx.pages(path, *DAY)
        assert list(pages[0]) == ["count", "items"]
        rows = [row for page in pages for row in page["items"]]
        assert {tuple(row) for row in rows} == {names}
        detail = pbx.get(f"{path}/{rows[0]['id']}").json()
        if path == "/calllogs":
            assert list(detail) == list(sample("portsip/doc_calllog_detail.json"))
        else:
            known = "doc_cdr_detail" if path == "/cdrs" else "real_recording_detail"
            assert list(detail) == ["items"]
            assert [list(one) for one in detail["items"]] == [list(sample(f"portsip/{known}.json")["items"][0])]
    named = [one["name"] for one in sample("portsip/data_fields.json")["fields"]]
    assert set(named) == {*CALLLOG_KEYS, "cost", "billed_account"}


def test_values_have_the_wire_types(pbx: PortSIPClient) -> None:
    rows = [*pbx.all("/cdrs", *WEEK), *pbx.all("/calllogs", *DAY)]
    for row in rows:
        for name, value in row.items():
            assert type(value) is (int if name in {"status_code", "duration"} else str), name
        assert re.fullmatch(r"\d{18,19}", row["id"])
        for name in ("started_at", "rang_at", "answered_at", "ended_at"):
            if value := row[name]:
                assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,5}[1-9])?Z", value), value
        times = [row[name] for name in ("started_at", "rang_at", "answered_at", "ended_at") if row[name]]
        read = [datetime.fromisoformat(one) for one in times]
        assert read == sorted(read)
        assert row["call_id"].endswith("..")
        assert len(row["call_id"]) == len(REAL["items"][0]["call_id"])
    assert max(len(row["started_at"]) for row in rows) == len("2024-08-20T06:00:59.457188Z")
    assert len({row["id"] for row in rows}) == len(rows)


def test_ids_count_milliseconds_as_real_ones_do(pbx: PortSIPClient) -> None:
    for row in [*REAL["items"], *pbx.all("/cdrs", *DAY)]:
        begun = datetime.fromisoformat(row["started_at"])
        told = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=(int(row["id"]) >> 22) + EPOCH)
        assert abs(begun - told) <= timedelta(milliseconds=2)


def test_seconds_are_cut_before_they_are_subtracted(pbx: PortSIPClient) -> None:
    rows = pbx.all("/cdrs", *WEEK)
    for row in [*REAL["items"], *rows]:
        ends = [row[name][:19] for name in ("answered_at", "ended_at")]
        expected = (datetime.fromisoformat(ends[1]) - datetime.fromisoformat(ends[0])).seconds if ends[0] else 0
        assert row["duration"] == expected


def test_words_are_those_of_the_documents(pbx: PortSIPClient) -> None:
    rows = pbx.all("/cdrs", *WEEK)

    def words(name: str) -> set[Any]:
        return {row[name] for row in rows}

    assert words("direction") == {"INBOUND_CALL", "OUTBOUND_CALL", "EXTENSION_CALL", "INBOUND_OUTBOUND_CALL"}
    assert words("end_reason") == {
        *("CALLER_DISCONNECT", "", "CANCELLED", "BLIND_TRANSFER_COMPLETED", "CONSULT_TRANSFER_COMPLETED"),
    }
    assert words("reroute_reason") == {"", "TRANSFER"}
    assert words("status_code") == {0, 404, 480, 486, 487, 503, 603}
    assert words("service_number") == {"", "3000", "3001", "3002"}
    assert all(re.fullmatch(r"user-data=\w{6};service-number=300\d", one) for one in words("user_data") - {""})
    assert words("trunk") == {"", "Trunk A", "LGW-London-1"}


def test_rows_tell_what_happened(pbx: PortSIPClient, sandbox: Sandbox) -> None:
    calls = EXCHANGE.calls(*DAY)
    rows = pbx.all("/cdrs", *DAY)
    assert len(rows) == len(calls)
    for call, row in zip(calls, rows, strict=True):
        first = call.legs[0]
        inbound = first.party.kind == "outside"
        assert row["caller"] == (first.from_number.lstrip("+") if inbound else first.party.extension)
        assert row["caller_display_name"] == call.legs[0].from_name
        assert bool(row["did_cid"]) == inbound
        assert bool(row["trunk"]) == (row["direction"] != "EXTENSION_CALL")
        assert bool(row["outbound_caller_id"]) == (row["direction"] == "OUTBOUND_CALL")
        assert bool(row["answered_at"]) == (first.answer is not None)
        if row["direction"] == "EXTENSION_CALL":
            assert row["callee"] == first.to_number
            assert {row["caller_domain"], row["callee_domain"]} == {DOMAIN}
        if call.kind == "queue":
            assert (row["callee"], row["service_number"]) == ("3001", "3001")
        if not row["answered_at"]:
            assert row["status_code"] >= 400
            assert row["end_reason"] in {"", "CANCELLED"}
    logs = pbx.all("/calllogs", *DAY)
    sessions = Counter(row["session_id"] for row in logs)
    assert set(Counter(str(int(row["id"]) - 1) for row in rows)) == set(sessions)
    moved = [row for row in logs if row["reroute_reason"] == "TRANSFER"]
    assert moved
    assert any(row["end_reason"] == "REFERRED" for row in logs)
    assert all("sip:" in row["destination"] for row in moved)


def test_uniform_calls_make_exactly_so_many_records(run: Starter) -> None:
    sandbox = run(exchange=full(321, legs=2))
    assert len(sandbox.truth("portsip", "cdrs", *EVENING)) == 321
    assert len(sandbox.truth("portsip", "calllogs", *EVENING)) == 642


def test_many_calls_of_one_millisecond_have_ids_of_their_own(run: Starter) -> None:
    calls = uniform(40, EVENING[0], EVENING[0] + timedelta(microseconds=40), legs=2)
    with PortSIPClient(run(exchange=Exchange(calls=calls))) as client:
        rows = [*client.all("/cdrs", *EVENING), *client.all("/calllogs", *EVENING)]
        assert len({row["id"] for row in rows}) == 120
        for row in rows[30:90:7]:
            path = "/calllogs" if "session_id" in row else "/cdrs"
            detail = client.get(f"{path}/{row['id']}").json()
            found = detail["items"][0] if path == "/cdrs" else detail
            assert found["call_id"] == row["call_id"]


# listing


@BUSY
@pytest.mark.parametrize("call", ["cdrs", "calllogs"])
@pytest.mark.parametrize("top", [1, 7, 100])
def test_paging_gives_exactly_the_truth(run: Starter, call: str, top: int) -> None:
    sandbox = run(exchange=full(63, legs=2)) if top == 1 else run()
    with PortSIPClient(sandbox) as client:
        truth = sandbox.truth("portsip", call, *DAY)
        assert client.all(f"/{call}", *DAY, top=top) == truth
        assert len(truth) > 60
        pages = client.pages(f"/{call}", *DAY, top=top)
        assert {page["count"] for page in pages} == {len(truth)}


def test_windows_tile_to_the_microsecond(run: Starter) -> None:
    sandbox = run()
    rows = sandbox.truth("portsip", "cdrs", *DAY)
    cut = datetime.fromisoformat(rows[20]["started_at"])
    with PortSIPClient(sandbox) as client:
        assert client.all("/cdrs", DAY[0], cut) == rows[:20] == sandbox.truth("portsip", "cdrs", DAY[0], cut)
        assert client.all("/cdrs", cut, DAY[1]) == rows[20:] == sandbox.truth("portsip", "cdrs", cut, DAY[1])


def test_calls_may_begin_at_the_very_bound(run: Starter) -> None:
    with PortSIPClient(run(exchange=full(12))) as client:
        hour = at("2026-11-18T13:00"), at("2026-11-18T14:00")
        rows = client.all("/cdrs", *hour)
        assert [row["started_at"] for row in rows] == ["2026-11-18T13:00:00Z"]
        for word, many in (("eq", 1), ("ge", 11), ("gt", 10), ("le", 2), ("lt", 1)):
            found = client.get("/cdrs", filter=f"started_at {word} '2026-11-18T13:00:00Z'").json()
            assert found["count"] == many


def test_call_logs_are_cut_on_their_own_start(run: Starter) -> None:
    sandbox = run()
    truth = sandbox.truth("portsip", "calllogs", *DAY)
    cut = next(
        datetime.fromisoformat(b["started_at"])
        for a, b in pairwise(truth)
        if a["session_id"] == b["session_id"] and a["started_at"] < b["started_at"]
    )
    with PortSIPClient(sandbox) as client:
        parts = client.all("/calllogs", DAY[0], cut), client.all("/calllogs", cut, DAY[1])
        assert parts[0] + parts[1] == truth
        assert parts[0][-1]["session_id"] == parts[1][0]["session_id"]


@BUSY
def test_without_an_order_the_newest_come_first(pbx: PortSIPClient) -> None:
    assert REAL["items"][0]["started_at"] > REAL["items"][1]["started_at"]
    rows = pbx.get("/cdrs", filter=window(*DAY)).json()["items"]
    oldest = pbx.get("/cdrs", filter=window(*DAY), orderby="started_at").json()["items"]
    assert [row["started_at"] for row in rows] == sorted((row["started_at"] for row in rows), reverse=True)
    assert oldest[0]["started_at"] < rows[-1]["started_at"]


def test_a_call_is_there_once_it_has_ended(run: Starter, clock: HandClock) -> None:
    calls = straddlers(at("2026-11-19"), 3)
    sandbox = run(exchange=Exchange(calls=calls))
    with PortSIPClient(sandbox) as client:
        clock.time = at("2026-11-19T00:01")
        assert client.all("/cdrs", *DAY) == sandbox.truth("portsip", "cdrs", *DAY) == []
        clock.time = at("2026-11-19T01:00")
        rows = client.all("/cdrs", *DAY)
        assert len(rows) == 3
        assert rows == sandbox.truth("portsip", "cdrs", *DAY)
        clock.time = at("2026-11-19T00:01")
        assert client.get(f"/cdrs/{rows[0]['id']}").status_code == 404


HELD: list[tuple[str, Any]] = [
    ("direction eq 'INBOUND_CALL'", lambda r: r["direction"] == "INBOUND_CALL"),
    ("direction ne 'INBOUND_CALL'", lambda r: r["direction"] != "INBOUND_CALL"),
    ("duration gt 60", lambda r: r["duration"] > 60),
    ("duration ge 60 and duration le 120", lambda r: 60 <= r["duration"] <= 120),
    ("duration lt 30.5", lambda r: r["duration"] < 30.5),
    ("status_code eq 0 or status_code eq 486", lambda r: r["status_code"] in {0, 486}),
    ("startswith(caller,'20')", lambda r: r["caller"].startswith("20")),
    ("endswith(callee, '7')", lambda r: r["callee"].endswith("7")),
    ("contains(caller_display_name,'Café')", lambda r: "Café" in r["caller_display_name"]),
    ("contains(caller_display_name,'O''Neil')", lambda r: "O'Neil" in r["caller_display_name"]),
    ("caller_display_name eq 'Dana O''Neil, \"Desk 3\"'", lambda r: r["caller_display_name"][:6] == "Dana O"),
    ("not startswith(caller,'20')", lambda r: not r["caller"].startswith("20")),
    ("not (duration gt 5 and direction eq 'EXTENSION_CALL')", lambda r: not (r["duration"] > 5 and not r["trunk"])),
    (
        "duration gt 60 or duration lt 9 and trunk eq 'Trunk A'",
        lambda r: r["duration"] > 60 or (r["duration"] < 9 and r["trunk"] == "Trunk A"),
    ),
    (
        "(duration gt 60 or duration lt 9) and trunk eq 'Trunk A'",
        lambda r: (r["duration"] > 60 or r["duration"] < 9) and r["trunk"] == "Trunk A",
    ),
    ("answered_at eq ''", lambda r: not r["answered_at"]),
    ("answered_at ne null", lambda r: bool(r["answered_at"])),
    ("answered_at ge '2026-11-18T18:00:00Z'", lambda r: r["answered_at"] >= "2026-11-18T18"),
    ("not answered_at ge '2026-11-18T18:00:00+00:00'", lambda r: r["answered_at"] < "2026-11-18T18"),
    ("ended_at lt '2026-11-18T18:00:00Z'", lambda r: r["ended_at"] < "2026-11-18T18"),
    (
        "started_at gt '2026-11-18T18:00:00Z' or started_at le '2026-11-18T03:00:00Z'",
        lambda r: r["started_at"] > "2026-11-18T18" or r["started_at"] < "2026-11-18T03",
    ),
]


@BUSY
def test_a_filter_keeps_the_records_that_match(pbx: PortSIPClient, sandbox: Sandbox) -> None:
    truth = sandbox.truth("portsip", "cdrs", *DAY)
    for text, holds in HELD:
        expected = [row for row in truth if holds(row)]
        assert 0 < len(expected) < len(truth), text
        assert pbx.filtered(text) == expected, text


@pytest.mark.parametrize(
    "text",
    [
        *("started_at", "started_at ge", "started_at ge 2026-11-18T00:00:00Z", "started_at ge 'yesterday'"),
        *("started_at ge '2026-11-18'", 'started_at ge "2026-11-18T00:00:00Z"', "start_time ge '2026-11-18T00:00:00Z'"),
        *(
            "started_at GE '2026-11-18T00:00:00Z'",
            "duration gt '60'",
            "caller eq 101",
            "caller eq '101",
            "(duration gt 1",
        ),
        *("duration gt 1)", "duration gt 1 and", "duration gt 1 duration lt 2", "contains(duration,'1')", "not"),
        *("startswith(caller)", "like(caller,'1')", "answered_at gt ''", "caller eq '1'' or 'x'", "caller = '1'"),
        *("session_id eq '1'", "started_at ge '2026-13-18T00:00:00Z'", "caller eq yes", "(" * 200 + "duration gt 1"),
    ],
)
def test_what_is_no_filter_is_refused(pbx: PortSIPClient, text: str) -> None:
    answer = pbx.get("/cdrs", filter=text)
    assert answer.status_code == 400
    assert answer.json() == sample("portsip/constructed_error_validate_failed_400.json")


NAMES = st.sampled_from(("a", "''", "x y", "'", "O'Neil", "and", ")"))


@given(
    parts=st.lists(st.tuples(NAMES, st.sampled_from(("eq", "ne")), st.booleans()), min_size=1, max_size=5), said=NAMES
)
@settings(max_examples=100, deadline=None, database=None)
def test_quotes_and_connectives_keep_their_meaning(parts: list[tuple[str, str, bool]], said: str) -> None:
    """Against Python's own precedence, which is the same."""
    text = expression = ""
    for n, (name, word, negated) in enumerate(parts):
        join = ("", " and ", " or ")[0 if not n else n % 2 + 1]
        quoted = name.replace("'", "''")
        text += f"{join}{'not ' * negated}caller {word} '{quoted}'"
        expression += f"{join}{'not ' * negated}(said {'==' if word == 'eq' else '!='} {name!r})"
    expected = eval(expression, {"said": said})  # noqa: S307 - an expression made here
    assert parse_filter(text, CDR_KEYS).holds({"caller": said}) == expected


def test_order_and_search(pbx: PortSIPClient, sandbox: Sandbox) -> None:
    truth = sandbox.truth("portsip", "cdrs", *DAY)
    asked = "caller asc, duration desc"
    rows = pbx.all("/cdrs", *DAY, orderby=asked, top=9)
    assert rows == sorted(truth, key=lambda row: (row["caller"], -row["duration"]))
    assert pbx.all("/cdrs", *DAY, orderby="started_at desc") == truth[::-1]
    for wrong in ("caller up", "nothing", "caller asc desc", "caller,", ","):
        assert pbx.get("/cdrs", orderby=wrong).json() == refused("orderby")
    found = pbx.all("/cdrs", *DAY, search="LI WEI")
    assert found == [row for row in truth if "Li Wei" in {row["caller_display_name"], row["callee_display_name"]}]
    assert found
    both = pbx.filtered("direction eq 'OUTBOUND_CALL'", search="li wei")
    assert both == [row for row in found if row["direction"] == "OUTBOUND_CALL"]


def test_another_spelling_of_an_option_is_not_one(run: Starter) -> None:
    with PortSIPClient(run(exchange=full(101))) as client:
        assert len(client.get("/cdrs", **{"$filter": "nonsense", "$top": 1}).json()["items"]) == 100


def test_what_a_pbx_does_not_know(pbx: PortSIPClient, sandbox: Sandbox) -> None:
    for path in ("/nothing", "/cdrs/1/2", "/user/nothing", "/blobs/nothing", "/call_reports/1", "/user"):
        answer = pbx.get(path)
        assert (answer.status_code, answer.json()) == (404, errors("UNKNOWN", "not found")), path
    for path in ("/cdrs", "/calllogs", "/cdrs/1", "/recordings", "/blobs/x", "/auth/user"):
        assert pbx.post(path, {}).status_code == 405
    assert pbx.get("/auth/sign_in").status_code == 405
    with pytest.raises(ValueError, match="cdrs and calllogs"):
        sandbox.truth("portsip", "legs", *DAY)
    with pytest.raises(ValueError, match="password, access_token, standard_user"):
        sandbox.credentials("portsip", "api_key")


# details


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


# sign-in


def test_signing_in_by_the_newest_form(sandbox: Sandbox) -> None:
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
def test_a_token_is_needed(pbx: PortSIPClient, token: str) -> None:
    pbx.token = token
    for path in ("/cdrs", "/calllogs/1", "/user/cdrs", "/call_reports", "/auth/user", "/nothing"):
        answer = pbx.get(path)
        assert (answer.status_code, answer.json()) == (401, NO_TOKEN)
    answer = pbx.ask("GET", "/cdrs", headers={"Authorization": f"Basic {ACCESS_TOKEN}"})
    assert answer.status_code == 401


def test_tokens_end_and_are_renewed(sandbox: Sandbox, clock: HandClock) -> None:
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


def test_the_oauth_form(sandbox: Sandbox) -> None:
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


def test_the_oldest_form(sandbox: Sandbox, clock: HandClock) -> None:
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


def test_roles(sandbox: Sandbox) -> None:
    """Admin and QueueManager read the tenant's calls; the system administrator signs in without a domain."""
    for user in USERS:
        with PortSIPClient(sandbox, "password") as client:
            body = {"username": user.username, "password": user.password}
            if user.domain:
                body["domain"] = user.domain
            client.token = client.post("/auth/sign_in", body).json()["access_token"]
            status = client.get("/cdrs", filter=window(*DAY)).status_code
            assert status == (200 if user.role in {"Admin", "QueueManager"} else 403)


def test_changes_of_one_s_own_calls(sandbox: Sandbox, clock: HandClock) -> None:
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


# call reports


def test_a_report_runs_and_becomes_a_file(pbx: PortSIPClient, sandbox: Sandbox, clock: HandClock) -> None:
    answer = pbx.post("/call_reports", REPORT)
    assert answer.status_code == 201
    assert list(answer.json()) == list(sample("portsip/doc_call_report_create_201.json"))
    number = answer.json()["id"]
    listed = pbx.get("/call_reports").json()
    assert list(listed) == ["count", "items"]
    assert list(listed["items"][0]) == list(REPORT_KEYS)
    assert list(REPORT_KEYS) == list(sample("portsip/doc_call_reports_list.json")["items"][0])
    detail = pbx.get(f"/call_reports/{number}").json()
    assert list(detail) == list(sample("portsip/doc_call_report_detail.json"))
    assert detail["status"] == "RUNNING"
    clock.move(4)
    assert pbx.completed() == []
    clock.move(1)
    (row,) = pbx.completed(filter="name eq 'nightly'")
    assert list(row) == list(COMPLETED_KEYS) == list(sample("portsip/doc_completed_call_report_detail.json"))
    assert row["id"] != number
    assert row["completed_at"] == "2026-11-20T12:00:05Z"
    assert row["file_url"].startswith("/api/blobs/")
    pbx.token = ""
    file = pbx.download(row)
    assert sandbox.requests[-1].provider == "portsip"
    assert "authorization" not in sandbox.requests[-1].headers
    assert file.headers["Content-Type"] == "application/octet-stream"
    assert file.headers["Content-Disposition"] == f'attachment; filename="{row["file_name"]}"'
    assert len(file.content) == row["file_size"]
    head, *lines = csv.reader(io.StringIO(file.text, newline=""))
    truth = sandbox.truth("portsip", "cdrs", at("2026-11-19"), at("2026-11-20"))
    assert [line[:3] for line in lines] == [[one[n] for n in ("started_at", "caller", "callee")] for one in truth]
    assert head[0] == "Start Time"
    # The same file under the mount point, for clients that keep a path before /api.
    assert pbx.http.get(f"{sandbox.url}/portsip{row['file_url']}").content == file.content


def test_a_report_holds_what_had_ended_when_it_ran(run: Starter, clock: HandClock) -> None:
    calls = uniform(6, at("2026-11-20T11:00"), at("2026-11-20T12:00"), talk_seconds=1500)
    with PortSIPClient(run(exchange=Exchange(calls=calls))) as client:
        client.report(range="TODAY")
        clock.move(3600)
        assert client.download(client.completed()[0]).text.count("\n") - 1 == 4


def test_a_normal_report_is_cut_short(pbx: PortSIPClient, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdrctl.sandbox.portsip.report_tables.LARGEST_REPORT", 7)
    pbx.report()
    clock.move(5)
    assert pbx.download(pbx.completed()[0]).text.count("\n") - 1 == 7


def test_destroying(pbx: PortSIPClient, clock: HandClock) -> None:
    number = pbx.report()
    clock.move(5)
    (row,) = pbx.completed()
    for path in (f"/call_reports/{number}", f"/completed_call_reports/{row['id']}"):
        assert pbx.get(path).status_code == 200
        assert pbx.post(f"{path}/destroy").status_code == 204
        again = pbx.post(f"{path}/destroy")
        assert (again.status_code, again.json()) == (400, errors("UNKNOWN", "Invalid entry ID supplied"))
        assert pbx.get(path).status_code == 404
    assert pbx.download(row).status_code == 404
    assert pbx.post("/call_reports/1", {}).status_code == 404


WRONG: list[tuple[str, Row]] = [
    *((name, {name: None}) for name in ("name", "type", "email", "format", "range", "filter", "started_at")),
    ("type", {"type": "normal"}),
    ("email", {"email": "x" * 129}),
    ("format", {"format": "XLSX"}),
    ("range", {"range": "LAST_YEAR"}),
    ("started_at", {"range": "CUSTOM"}),
    ("ended_at", {"range": "CUSTOM", "started_at": "2026-11-18T00:00:00Z"}),
    ("started_at", {"range": "CUSTOM", "started_at": "2026-11-18", "ended_at": "2026-11-19T00:00:00Z"}),
    ("ended_at", {"range": "CUSTOM", "started_at": "2026-11-18T00:00:00Z", "ended_at": "2026-11-17T00:00:00Z"}),
    *(("cron_expr", {"cron_expr": one}) for one in ("text", "* * * *", "60 * * * *", "* * 0 * *", "5-1 * * * *")),
    *(("cron_expr", {"cron_expr": one}) for one in ("*/0 * * * *", "* * * foo *", "*-5 * * * *", "1,,2 * * * *")),
    ("filter", {"filter": []}),
    ("filter.from", {"filter": {"from": "SOMEBODY"}}),
    ("filter.from_value", {"filter": {"from": "NUMBER"}}),
    ("filter.to_value", {"filter": {"to": "NUMBERS_CONTAIN", "to_value": ""}}),
    ("filter.from_value", {"filter": {"from": "EXTENSION_OR_EXTENSION_RANGE", "from_value": "101-"}}),
    ("filter.answer_state", {"filter": {"answer_state": "MAYBE"}}),
    ("filter.duration", {"filter": {"duration": 5}}),
    ("filter.duration_from", {"filter": {"duration_from": -1}}),
    ("filter.duration_to", {"filter": {"duration_to": True}}),
    ("filter.call_queues", {"filter": {"call_queues": ["3001"]}}),
    *(("filter.from", {"type": kind, "filter": {"from": "ANY"}}) for kind in REPORT_TYPES if kind != "NORMAL"),
    ("filter.type", {"type": "EXTENSION_GROUP_CALL_COST", "filter": {"type": "INTERNAL"}}),
    ("filter.groups", {"type": "EXTENSION_GROUP_CALL_COST", "filter": {"groups": [""]}}),
    ("filter.groups", {"type": "EXTENSION_GROUP_CALL_COST", "filter": {"groups": ["x" * 65]}}),
    ("filter.call_queues", {"type": "QUEUE_PERFORMANCE", "filter": {"call_queues": ["12"]}}),
    ("filter.call_queues", {"type": "QUEUE_CALLBACKS", "filter": {"call_queues": "3001"}}),
    (
        "filter.exclude_calls_dropped_before_seconds",
        {"type": "QUEUE_FAILED_CALLBACKS", "filter": {"exclude_calls_dropped_before_seconds": 5}},
    ),
    (
        "filter.enable_exclude_calls_dropped_before_seconds",
        {"type": "QUEUE_SLA_STATISTICS", "filter": {"enable_exclude_calls_dropped_before_seconds": "yes"}},
    ),
    ("filter.ring_groups", {"type": "RING_GROUP_STATISTICS", "filter": {"ring_groups": ["x00"]}}),
]


@pytest.mark.parametrize(("field", "changes"), WRONG, ids=[str(n) for n in range(len(WRONG))])
def test_a_wrong_report_is_refused_naming_the_field(pbx: PortSIPClient, field: str, changes: Row) -> None:
    body = {name: value for name, value in (REPORT | changes).items() if value is not None or name == "started_at"}
    answer = pbx.post("/call_reports", body)
    assert (answer.status_code, answer.json()) == (400, refused(field))
    assert pbx.get("/call_reports").json()["items"] == []


RANGES = {
    "TODAY": (at("2026-11-20"), at("2026-11-20T12:00")),
    "YESTERDAY": (at("2026-11-19"), at("2026-11-20")),
    "LAST_WEEK": (at("2026-11-09"), at("2026-11-16")),
    "LAST_SEVEN_DAYS": (at("2026-11-13"), at("2026-11-20")),
    "LAST_MONTH": (at("2026-10-01"), at("2026-11-01")),
    "LAST_THIRTY_DAYS": (at("2026-10-21"), at("2026-11-20")),
    "CUSTOM": (at("2026-11-18T06:00"), at("2026-11-18T18:00")),
}


@pytest.mark.parametrize("range_", RANGES)
def test_ranges_of_reports(run: Starter, clock: HandClock, range_: str) -> None:
    calls = uniform(600, at("2026-09-25"), at("2026-11-24"), talk_seconds=1)
    sandbox = run(exchange=Exchange(calls=calls))
    with PortSIPClient(sandbox) as client:
        times = {"started_at": "2026-11-18T06:00:00Z", "ended_at": "2026-11-18T18:00:00Z"} if range_ == "CUSTOM" else {}
        client.report(range=range_, **times)
        clock.move(3600)
        (row,) = client.completed()
        lines = list(csv.reader(io.StringIO(client.download(row).text, newline="")))[1:]
        begun = [line[0] for line in lines]
        assert begun == [one["started_at"] for one in sandbox.truth("portsip", "cdrs", *RANGES[range_])]
        assert begun


NORMAL_FILTERS: list[tuple[Row, Any]] = [
    ({"answer_state": "ANSWERED"}, lambda r: r["answered_at"]),
    ({"answer_state": "NOT_ANSWERED"}, lambda r: not r["answered_at"]),
    ({"from": "EXTENSION_OR_EXTENSION_RANGE", "from_value": "2001-2004"}, lambda r: "2001" <= r["caller"] <= "2004"),
    ({"from": "NUMBERS_START_WITH", "from_value": "1202"}, lambda r: r["caller"].startswith("1202")),
    ({"to": "NUMBERS_CONTAIN", "to_value": "55"}, lambda r: "55" in r["callee"]),
    ({"to": "INTERNAL_EXTENSIONS"}, lambda r: len(r["callee"]) == 4 and r["callee"] != "3999"),
    ({"from": "EXTERNAL_NUMBERS"}, lambda r: len(r["caller"]) > 4),
    ({"to": "NUMBER", "to_value": "3001"}, lambda r: r["callee"] == "3001"),
    ({"duration": "TALK_DURATION", "duration_from": 30, "duration_to": 90}, lambda r: 30 <= r["duration"] <= 90),
]


@pytest.mark.parametrize(("wanted", "holds"), NORMAL_FILTERS, ids=[str(one) for one, _ in NORMAL_FILTERS])
def test_filters_of_normal_reports(
    pbx: PortSIPClient, sandbox: Sandbox, clock: HandClock, wanted: Row, holds: Any
) -> None:
    pbx.report(filter=wanted)
    clock.move(5)
    lines = list(csv.reader(io.StringIO(pbx.download(pbx.completed()[0]).text, newline="")))[1:]
    truth = sandbox.truth("portsip", "cdrs", *RANGES["YESTERDAY"])
    expected = [row["started_at"] for row in truth if holds(row)]
    assert [line[0] for line in lines] == expected
    assert 0 < len(expected) < len(truth)


def test_other_reports_count_calls(pbx: PortSIPClient, sandbox: Sandbox, clock: HandClock) -> None:
    kinds = ("QUEUE_PERFORMANCE", "RING_GROUP_STATISTICS", "QUEUE_ABANDONED_CALLS", "EXTENSION_GROUP_CALL_COST")
    for kind in kinds:
        pbx.report(name=kind, type=kind, filter={}, range="LAST_SEVEN_DAYS", format="CSV")
    clock.move(5)
    files = {row["name"]: pbx.download(row).text for row in pbx.completed()}
    tables = {name: list(csv.reader(io.StringIO(text, newline="")))[1:] for name, text in files.items()}
    calls = EXCHANGE.calls(*RANGES["LAST_SEVEN_DAYS"])
    queue = [call for call in calls if call.kind == "queue"]
    gone = [call for call in queue if call.outcome == "abandoned"]
    assert tables["QUEUE_PERFORMANCE"][0][:4] == ["3001", *map(str, (len(queue), len(queue) - len(gone), len(gone)))]
    assert tables["RING_GROUP_STATISTICS"][0][:2] == ["3002", str(sum(call.kind == "hunt_group" for call in calls))]
    assert len(tables["QUEUE_ABANDONED_CALLS"]) == len(gone) > 0
    assert sum(int(row[1]) for row in tables["EXTENSION_GROUP_CALL_COST"]) == sum(
        call.kind == "outbound" for call in calls
    )


def test_html_reports_escape_what_callers_are_called(pbx: PortSIPClient, sandbox: Sandbox, clock: HandClock) -> None:
    pbx.report(name="<b>x</b>", format="HTML")
    clock.move(5)
    (row,) = pbx.completed()
    assert row["file_name"].endswith(".html")
    text = pbx.download(row).text
    assert text.startswith("<!DOCTYPE html>")
    assert "&lt;b&gt;x&lt;/b&gt;" in text
    assert text.count("<tr>") == len(sandbox.truth("portsip", "cdrs", *RANGES["YESTERDAY"])) + 1


def test_a_report_by_the_clock_runs_again_and_again(pbx: PortSIPClient, clock: HandClock) -> None:
    number = pbx.report(cron_expr="0 1 * * mon-fri")
    path = f"/call_reports/{number}"
    assert pbx.get(path).json()["status"] == "SCHEDULED"
    assert pbx.completed() == []
    clock.time = at("2026-11-23T01:00") + timedelta(seconds=2)
    assert pbx.get(path).json()["status"] == "RUNNING"
    clock.time = at("2026-11-25T12:00")
    assert [row["completed_at"] for row in pbx.completed()] == [f"2026-11-{n}T01:00:05Z" for n in (23, 24, 25)]
    assert pbx.get(path).json()["status"] == "SCHEDULED"
    assert pbx.post(path, {"cron_expr": "", "name": "later", "type": "ignored"}).status_code == 200
    clock.time = at("2026-11-30T12:00")
    assert len(pbx.completed()) == 3
    assert (pbx.get(path).json()["name"], pbx.get(path).json()["type"]) == ("later", "NORMAL")


@pytest.mark.parametrize(
    ("text", "due", "not_due"),
    [
        ("30 2 * * *", "2026-11-20T02:30", "2026-11-20T02:31"),
        ("*/20 * * * *", "2026-11-20T02:40", "2026-11-20T02:50"),
        ("0 0 1 * mon", "2026-11-23T00:00", "2026-11-24T00:00"),
        ("0 0 1 * mon", "2026-12-01T00:00", "2026-12-02T00:00"),
        ("0 0 */2 * mon", "2026-11-23T00:00", "2026-11-30T00:00"),
        ("0 0 * dec 7", "2026-12-06T00:00", "2026-11-22T00:00"),
        ("@hourly", "2026-11-20T02:00", "2026-11-20T02:01"),
        ("1-9/4,30 0 * * 0", "2026-11-22T00:09", "2026-11-22T00:07"),
        ("5/25 * * * *", "2026-11-20T02:55", "2026-11-20T02:50"),
    ],
)
def test_cron(text: str, due: str, not_due: str) -> None:
    assert parse_cron(text).due(at(due))
    assert not parse_cron(text).due(at(not_due))


def test_listing_reports(pbx: PortSIPClient) -> None:
    for name in ("b", "a", "c"):
        pbx.report(name=name)
    assert [one["name"] for one in pbx.get("/call_reports", orderby="name desc", top=2).json()["items"]] == ["c", "b"]
    assert [one["name"] for one in pbx.get("/call_reports", filter="name gt 'a'").json()["items"]] == ["b", "c"]
    page = pbx.get("/call_reports", search="A", filter="name eq 'a'", skip=0).json()
    assert (page["count"], page["items"][0]["name"]) == (1, "a")
    assert pbx.get("/call_reports", filter="email eq 'x'").json() == refused("filter")


# faults


def test_faults_have_the_shape_of_this_api(sandbox: Sandbox) -> None:
    known = {one["status"]: one["body"] for one in sample("portsip/constructed_http_errors.json")["errors"][3:]}
    with PortSIPClient(sandbox) as client:
        for status in (401, 403, 429):
            sandbox.fail("portsip", status, path="/cdrs")
            answer = client.get("/cdrs", filter=window(*DAY))
            assert (answer.status_code, answer.json()) == (status, known[status])
            assert client.get("/cdrs", filter=window(*DAY)).status_code == 200
        sandbox.fail("portsip", "wrong_shape")
        assert "items" not in client.get("/cdrs").json()
        sandbox.fail("portsip", "expire")
        assert client.get("/cdrs").status_code == 401


# switches


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
    """The same filter has the first or the last instant of the window, or not."""
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
    """Items are all there; what `count` says of them is wrong, in every listing."""
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
    """A placeholder stands where nothing rang or was answered, and filters do not take it for a time."""
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
def test_limits_are_those_published(run: Starter, version: str, limit: int) -> None:
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
    """Calls land while pages are read: what was skipped moves, and the count tells."""
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


# determinism


def test_answers_do_not_depend_on_the_run(clock: HandClock) -> None:
    bodies = []
    for order in (1, -1):
        with start(now=clock, seed="x", providers=["portsip"]) as sandbox, PortSIPClient(sandbox, "password") as client:
            client.sign_in()
            asked = [("/cdrs", WEEK), ("/calllogs", DAY), ("/recordings", DAY)][::order]
            bodies.append({path: client.all(path, *span) for path, span in asked})
            bodies[-1]["token"] = [{"token": client.token}]
    assert bodies[0] == bodies[1]
