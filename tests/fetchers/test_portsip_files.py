"""The download of a PortSIP call report's file, and the wait for it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from cdrctl.errors import (
    CdrctlError,
    ProviderError,
    TemporaryError,
    UsageError,
)
from cdrctl.fetchers.portsip.files import safe_name
from tests.support.clock import HandClock
from tests.support.products import for_each

from .portsip_kit import GOOD, WANTED, Server, failure, page, refused, run
from .test_portsip import USER, Run

# Files


FILE = {
    "id": "101",
    "name": "mine",
    "type": "NORMAL",
    "format": "CSV",
    "completed_at": "2026-11-20T12:00:04Z",
    "file_name": "report.csv",
    "file_size": 4,
    "file_url": "/api/blobs/SECRET-BLOB",
}


def test_download_sends_no_token() -> None:
    """It comes from the origin of base_url and keeps the name that the PBX gave it."""
    server = Server(GOOD, httpx.Response(200, json=FILE), httpx.Response(200, content=b"a,b\n"))
    done = run(server, "completed-reports download", id="101", settings=USER)
    assert done.files == [("report.csv", b"a,b\n")]
    assert done.rows == [{key: value for key, value in FILE.items() if key != "file_url"}], "it opens the file"
    assert str(server.asked[2].url) == "https://pbx.example.net:8887/api/blobs/SECRET-BLOB"
    assert "Authorization" not in server.asked[2].headers
    assert "SECRET-BLOB" not in " ".join(done.told)


@for_each(
    "url",
    [
        "https://pbx.example.net:8887/api/blobs/x",
        "https://evil.example/api/blobs/x",
        "//evil.example/api/blobs/x",
        "@evil.example/api/blobs/x",
        ".evil.example/api/blobs/x",
        "/api/cdrs",
        "/api/blobs/",
        "/api/blobs/..",
        "/api/blobs/.",
        "/api/blobs/../cdrs",
        "/api/blobs/x/../../cdrs",
        "/api/blobs/%2e%2e/cdrs",
        "/api/blobs/x\\y",
        "/api/blobs/x y",
        "/api/blobs/x\n",
        "/api/blobs/x#y",
        "api/blobs/x",
        "/API/blobs/x",
        "",
        None,
        7,
    ],
)
def test_download_from_another_address_is_refused(url: Any) -> None:
    """No request is sent to them."""
    server = Server(httpx.Response(200, json={**FILE, "file_url": url}))
    error = refused(server, ProviderError, "completed-reports download", id="101")
    assert "it was not followed" in error.message
    assert len(server.asked) == 1
    if isinstance(url, str) and len(url) > 12:
        assert url not in f"{error.message} {error.hint}"


@for_each(
    "answer, kind",
    [
        (failure(404, message="no SECRET-BLOB"), ProviderError),
        (failure(403, message="/api/blobs/SECRET-BLOB"), ProviderError),
        (httpx.Response(302, headers={"Location": "/api/blobs/SECRET-BLOB"}), ProviderError),
        (httpx.Response(503), TemporaryError),
        (httpx.Response(200, content=b"a,b"), TemporaryError),
    ],
)
def test_failed_download_leaves_no_file(answer: httpx.Response, kind: type[CdrctlError]) -> None:
    """The address is in no message, and no partial file stays."""
    server = Server(httpx.Response(200, json=FILE), answer)
    refused(server, kind, "completed-reports download", id="101")


@for_each(
    "given",
    [
        "", " ", ".", "..", "../x.csv", "/etc/x.csv", "a/b.csv", "a\\b.csv", "C:x.csv", "x.csv:y.csv", ".x.csv",
        "-x.csv", "~x.csv", "-", "x.csv ", " x.csv", "x.csv.", "con.csv", "CON .csv", "aux.x.csv", "nul.csv",
        "COM1.csv", "lpt\u00b2.csv", "conin$.csv", "a\nb.csv", "a\x00b.csv",
        "a\x1b[2Jb.csv", "a\u202evsc.csv", "a\u00a0b.csv",
        "a\u2028b.csv", "\ud800.csv", "a*.csv", "a?.csv", 'a".csv', "a|b.csv", "<a>.csv", "x" * 147 + ".csv",
        "x.csv.gz", "x.exe", "x.html", "csv", "\u0436" * 74 + ".csv",
    ],
)  # fmt: skip
def test_unsafe_file_name_is_replaced(given: str) -> None:
    """The new name consists of letters that are safe everywhere."""
    assert safe_name(given, "Täglich: Verkäufe/../x", "a/b==", "CSV") == "report-Taglich-Verkaufe-x-a-b.csv"


@for_each("given", ["report.csv", "Bericht März 2026.CSV", "a'b;c$d.csv", "x" * 146 + ".csv", "context.csv"])
def test_safe_file_name_is_kept(given: str) -> None:
    assert safe_name(given, "x", "1", "csv") == given


def test_default_file_name_of_a_report() -> None:
    assert safe_name("", "", "", "HTML") == "report.html"
    assert safe_name("page.htm", "n", "7", "HTML") == "page.htm"
    assert safe_name("x.pdf", "n", "7", "PDF") == "report-n-7.bin"
    assert safe_name("", "\u0436\u0436", "7", "CSV") == "report-7.csv"
    assert len(safe_name("", "n" * 500, "7" * 500, "CSV")) == len("report--.csv") + 80 + 40


# Waiting for a report


@dataclass
class Maker:
    """A PBX that makes reports, which are finished this many seconds after their request."""

    clock: HandClock
    takes: float = 5
    status: str = "RUNNING"
    reports: list[dict[str, Any]] = field(default_factory=list)
    finished: list[dict[str, Any]] = field(default_factory=list)
    made: float = 0.0
    blobs: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api")
        if request.method == "POST":
            body = json.loads(request.content)
            self.made = self.clock.seconds
            self.reports.append({**body, "id": "100", "status": self.status})
            return httpx.Response(201, json={"id": "100"})
        if path.startswith("/blobs"):
            return httpx.Response(200, content=b"a,b\n")
        if path == "/call_reports":
            return page(self.reports)
        if path.startswith("/call_reports/"):
            return httpx.Response(200, json=self.reports[-1])
        done = list(self.finished)
        if self.reports and self.clock.seconds - self.made >= self.takes and self.status == "RUNNING":
            mine = {**FILE, "name": self.reports[-1]["name"]}
            done += [{**mine, "id": "99", "type": "QUEUE_CALLBACKS"}, mine, {**mine, "id": "98", "name": "other"}]
        return page(done)


def waited(maker: Maker, server: Server, **options: Any) -> Run:
    return run(server, "reports create", clock=maker.clock, wait=True, **{**WANTED, **options})


def test_wait_downloads_the_finished_file() -> None:
    """The report is looked up by its name after 2 seconds, 4 more, and so on."""
    maker = Maker(HandClock())
    server = Server(by=maker)
    done = waited(maker, server)
    name = maker.reports[0]["name"]
    assert done.files == [("report.csv", b"a,b\n")]
    assert [one["id"] for one in done.rows] == ["101"]
    assert done.waited == 2 + 4
    assert server.lines == [
        "POST /call_reports",
        *["GET /completed_call_reports", "GET /call_reports/100"] * 2,
        "GET /completed_call_reports",
        "GET /blobs/SECRET-BLOB",
    ]
    assert server.queries[1]["filter"] == f"name eq '{name}'"


def test_name_from_the_user_is_checked_before_the_report_is_created() -> None:
    """An older file of that name is not downloaded instead, whatever the clock of the PBX is."""
    older = {**FILE, "id": "1", "name": "it's", "completed_at": "2030-01-01T00:00:00Z"}
    maker = Maker(
        HandClock(), finished=[older], reports=[{"id": "5", "name": "it's", "type": "NORMAL", "status": "ABORTED"}]
    )
    server = Server(by=maker)
    done = waited(maker, server, name="it's")
    assert [one["id"] for one in done.rows] == ["101"]
    assert server.lines[:3] == ["GET /call_reports", "GET /completed_call_reports", "POST /call_reports"]
    assert server.queries[0]["filter"] == "name eq 'it''s'"


@for_each(
    "report, finished, taken",
    [
        ({"status": "RUNNING"}, 0, True),
        ({"status": "RUNNING"}, 1, False),  # no status means finished
        ({"status": "RUNNING", "cron_expr": "0 6 * * *"}, 1, True),
        ({"status": "scheduled"}, 1, True),
        ({"status": "RUNNING", "type": "QUEUE_CALLBACKS"}, 0, False),
        ({"status": "RUNNING", "name": "Mine"}, 0, False),
    ],
)
def test_name_of_an_unfinished_report_is_refused(report: dict[str, Any], finished: int, taken: bool) -> None:  # noqa: FBT001
    maker = Maker(HandClock(), reports=[{"id": "5", "name": "mine", "type": "NORMAL", **report}])
    maker.finished = [{**FILE, "id": "1"}] * finished
    if not taken:
        assert [one["id"] for one in waited(maker, Server(by=maker), name="mine").rows] == ["101"]
        return
    server = Server(by=maker)
    error = refused(server, UsageError, "reports create", wait=True, name="mine", **WANTED)
    assert "'mine'" in error.message
    assert server.lines == ["GET /call_reports", "GET /completed_call_reports"]


def test_wait_ends_without_a_file() -> None:
    """The wait reaches its limit, and the error has the id; or the PBX aborts the report."""
    maker = Maker(HandClock(), takes=1e9)
    error = refused(Server(by=maker), TemporaryError, "reports create", clock=maker.clock, wait=True, **WANTED)
    assert "(id 100)" in error.message
    assert maker.clock.seconds == pytest.approx(600, abs=1)
    maker = Maker(HandClock(), status="ABORTED")
    refused(Server(by=maker), ProviderError, "reports create", wait=True, **WANTED)


@for_each("text", ["caller eq '100') or (caller eq '101'", "(caller eq '1'", "caller eq '1"])
def test_filter_with_unbalanced_brackets_is_refused(text: str) -> None:
    from cdrctl.fetchers.portsip.listing import _check_brackets

    with pytest.raises(UsageError):
        _check_brackets(text)
    _check_brackets("startswith(caller,'(1''') and (callee eq ')' or duration gt 3)")
