"""Hostile ids and file names never lead to another path."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from cdrctl.sandbox import Received
from tests.cli.attacks_kit import REPORT, SINCE, UNTIL, files, odd, quiet
from tests.contract.conftest import _one_authority  # noqa: F401 - here as there
from tests.support.bench import SUBJECTS, Bench, Subject, bench, evenly
from tests.support.products import for_each
from tests.support.runner import Record

# Ids that are paths


IDS = [
    *("../../accounts", "a/b", "/", "/etc/passwd", "a/../b", "x/..", "./x", "..;/x", "..\\..\\x", "\\"),
    *("%2e%2e", "%2e%2e%2faccounts", "%2F", "%00", "?x=1", "a?b", "#", "x#y", "&x=1", "a;b=c", "a b", "+"),
    *("http://evil.example/x", "//evil.example", "@evil.example", ":80", "x\r\nHost: evil", "\x1b[2J", "\x00"),
    *("\u202e", "\uff0e\uff0e", "é", "*", "'", '"', "{}", "-", "~"),
]  # fmt: skip
NO_IDS = ["", ".", "..", " ", "...", ". .", " .. "]

# By command: the path requested with an id, after the mount point.
ASKED: Mapping[str, tuple[str, ...]] = {
    "kazoo cdr": ("/accounts/ACCOUNT/cdrs/ID",),
    "kazoo legs": ("/accounts/ACCOUNT/cdrs/legs/ID",),
    "kazoo cdr x --account": ("/accounts/ID/cdrs/x",),
    "kazoo cdrs --account": ("/accounts/ID/cdrs",),
    "kazoo cdrs --user": ("/accounts/ACCOUNT/users/ID/cdrs",),
    "kazoo interactions --user": ("/accounts/ACCOUNT/users/ID/cdrs/interaction",),
    "kazoo cdrs --descendants --account": ("/accounts/ID/descendants",),
    "portsip cdr": ("/cdrs/ID",),
    "portsip cdr --own": ("/user/cdrs/ID",),
    "portsip calllog": ("/calllogs/ID",),
    "portsip reports show": ("/call_reports/ID",),
    "portsip reports update --name x": ("/call_reports/ID",),
    "portsip reports delete": ("/call_reports/ID", "/call_reports/ID/destroy"),
    "portsip completed-reports show": ("/completed_call_reports/ID",),
    "portsip completed-reports download": ("/completed_call_reports/ID",),
    "portsip completed-reports delete": ("/completed_call_reports/ID", "/completed_call_reports/ID/destroy"),
}


def subject_of(name: str) -> Subject:
    return next(one for one in SUBJECTS if one.provider.name == name)


def id_words(command: str, text: str) -> list[str]:
    """Return a command with an id: as the value of its last option if that has a value, else as its argument."""
    words = [*command.split(), "-p", "acme"]
    if command.endswith(("--account", "--user")):
        return [*words[:-3], f"{words[-3]}={text}", *words[-2:]]
    return [*words, "--", text]


def signs_in(request: Received) -> bool:
    return request.path.endswith(("/api_auth", "/auth/sign_in"))


@pytest.mark.thin
@pytest.mark.parametrize("command", ASKED)
def test_an_id_is_one_part_of_a_path(command: str, tmp_path: Path) -> None:
    """Each id is unknown to the provider: reading it is "not found", and deleting it deletes nothing."""
    name = command.split(maxsplit=1)[0]
    with bench(subject_of(name), tmp_path, evenly(3, SINCE, UNTIL)) as made:
        account = str(made.sandbox.credentials(name).get("account_id", ""))
        mount = made.sandbox.provider(name).mount
        for text in IDS:
            asked = made.asked(lambda text=text: quiet(made.shell.run(*id_words(command, text))))  # type: ignore[misc]
            part = quote(text, safe="")
            allowed = {f"{mount}{path.replace('ACCOUNT', account).replace('ID', part)}" for path in ASKED[command]}
            found = [one for one in asked if not signs_in(one)]
            assert found, text
            assert {one.path for one in found} <= allowed
            assert not [one for one in found if "x=1" in one.query or "evil" in one.headers["host"]]
            if not command.startswith(("kazoo cdrs", "kazoo interactions")):
                assert {one.query for one in found} == {""}


@pytest.mark.slow
@for_each("command", ASKED)
def test_an_invalid_id_is_refused_before_a_request(command: str, tmp_path: Path) -> None:
    with bench(subject_of(command.split(maxsplit=1)[0]), tmp_path, evenly(3, SINCE, UNTIL)) as made:
        for text in NO_IDS:
            ran = quiet(made.shell.run(*id_words(command, text)))
            assert ran.code == 2, (text, ran.err)
            assert [one for one in made.sandbox.requests if not signs_in(one)] == []


def altered(made: Bench, change: Callable[[Record], Any]) -> None:
    """Change every object in the provider's responses."""
    made.alter(lambda document: change(document) if isinstance(document, dict) else document)


@for_each("text", ["../../x", "a/b", "?x=1", "#", "%2e%2e", "x\r\ny", "\x1b[2J"])
def test_an_id_from_a_provider_is_one_part_of_a_path(text: str, tmp_path: Path) -> None:
    with bench(subject_of("kazoo"), tmp_path, evenly(3, SINCE, UNTIL)) as made:
        altered(made, lambda document: {**document, "data": [{"id": text}]} if below(document) else document)
        quiet(made.run(SINCE, UNTIL, "--descendants"))
        mount = made.sandbox.provider("kazoo").mount
        account = made.sandbox.credentials("kazoo")["account_id"]
        paths = {one.path for one in made.sandbox.requests if not signs_in(one)}
        listed = {f"{mount}/accounts/{account}/{what}" for what in ("descendants", "cdrs")}
        assert paths == {*listed, f"{mount}/accounts/{quote(text, safe='')}/cdrs"}


def below(document: Record) -> bool:
    """Return whether a document is a Kazoo list of accounts."""
    data = document.get("data")
    return isinstance(data, list) and bool(data) and "tree" in data[0]


@for_each("text", ["../../x", "a/b", "?x=1", "#", "%2e%2e", "x\r\ny", "\x1b[2J", "..", ".", ""])
def test_the_id_of_a_record_is_one_part_of_a_path(text: str, tmp_path: Path) -> None:
    """The cost of a record is requested by its id. An invalid id is not requested, and is reported."""
    with bench(subject_of("portsip"), tmp_path, evenly(2, SINCE, UNTIL)) as made:
        made.alter_pages(
            lambda page: {**page, "items": [{**one, "id": text} for one in page["items"]]} if "count" in page else page
        )
        ran = quiet(made.run(SINCE, UNTIL, "--with-cost"))
        mount = made.sandbox.provider("portsip").mount
        allowed = {f"{mount}/cdrs"} | ({f"{mount}/cdrs/{quote(text, safe='')}"} if text.strip(" .") else set())
        assert {one.path for one in made.sandbox.requests if not signs_in(one)} == allowed
        assert ran.code == 3, ran.err


@for_each("text", ["..", ".", " ", ""])
def test_an_invalid_id_from_a_provider_is_an_error_of_the_provider(text: str, tmp_path: Path) -> None:
    """It is not a usage error."""
    with bench(subject_of("portsip"), tmp_path, evenly(2, SINCE, UNTIL)) as made:
        altered(made, lambda document: {"id": text} if document.keys() == {"id"} else document)
        ran = quiet(made.shell.run(*REPORT))
        assert ran.code == 7, ran.err
        assert "the report may have been created" in ran.err
    with bench(subject_of("kazoo"), tmp_path, evenly(2, SINCE, UNTIL)) as made:
        altered(made, lambda document: {**document, "data": [{"id": text}]} if below(document) else document)
        ran = quiet(made.run(SINCE, UNTIL, "--descendants"))
        assert ran.code == 7, ran.err


# Names of files


FILE_NAMES = [
    *("../../x.csv", "/etc/x.csv", "..\\..\\x.csv", "C:\\x.csv", "a/b.csv", "a\\b.csv", "x\x00y.csv", "\x1b[2J.csv"),
    *("", " ", ".", "..", "-rf", "-o.csv", "~/x.csv", ".bashrc", ".csv", "x" * 300 + ".csv", "é" * 150 + ".csv"),
    *("CON.csv", "nul", "COM1.csv", "aux.csv ", "x.csv:stream", "evil\u202evsc.exe", "a\nb.csv", "x.csv.", "x.exe"),
    *("%2e%2e%2fx.csv", "\ud800.csv", "a\u2028b.csv"),
]  # fmt: skip


@pytest.fixture(name="office")
def _office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A PBX with one finished report, and an empty working directory deep in the tree."""
    here = tmp_path / "a" / "b" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    with bench(subject_of("portsip"), tmp_path, evenly(2, SINCE, UNTIL)) as made:
        made.shell.run(*REPORT).ok()
        made.clock.move(minutes=1)
        yield made


def finished(made: Bench) -> str:
    return str(made.shell.run("portsip", "completed-reports", "list", "-p", "acme").ok().lines[-1]["id"])


def call_it(made: Bench, text: str) -> None:
    """Let the PBX use these file names: in its documents, and in the headers of downloads."""
    provider = made.sandbox.provider("portsip")
    reply = provider.reply

    def named(request: Any) -> Any:
        answer = reply(request)
        if "blobs" in request.path:
            plain = "".join(one for one in text if one.isprintable() and one < "\u0100" and one not in '"\\')
            coded = quote(text, safe="", errors="replace")
            disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{coded}"
            return replace(answer, headers={**answer.headers, "Content-Disposition": disposition})
        document = json.loads(answer.body) if answer.body else None
        if not isinstance(document, dict):
            return answer
        rows = document.get("items", [document])
        for row in rows:
            if "file_name" in row:
                row["file_name"] = text
        return replace(answer, body=json.dumps(document).encode())

    provider.reply = named


@pytest.mark.thin
@pytest.mark.parametrize("text", FILE_NAMES, ids=lambda text: ascii(text)[:30])
def test_a_download_is_saved_in_this_folder_under_a_plain_name(office: Bench, tmp_path: Path, text: str) -> None:
    key = finished(office)
    call_it(office, text)
    before = files(tmp_path)
    ran = quiet(office.shell.run("portsip", "completed-reports", "download", key, "-p", "acme"))
    assert ran.code == 0, ran.err
    new = files(tmp_path).keys() - before.keys()
    (path,) = new
    name = Path(path).name
    assert path == f"a/b/here/{name}"
    assert name.endswith(".csv")
    assert not name.startswith((".", "-", "~"))
    assert odd(name) == set()
    assert len(name.encode()) <= 255
    assert Path(name).stem.upper() not in {"CON", "NUL", "AUX", "COM1"}
    assert not {*'\\/:*?"<>|'} & {*name}
    assert name in ran.err
    again = quiet(office.shell.run("portsip", "completed-reports", "download", key, "-p", "acme"))
    assert again.code == 8
    assert "exists already" in again.err
    assert files(tmp_path) == {**before, path: files(tmp_path)[path]}


@pytest.mark.parametrize("text", ["../../x.csv", "/etc/x.csv", "\x1b[2J.csv", "-rf", "", "x" * 300 + ".csv"], ids=ascii)
def test_a_report_downloaded_after_waiting_is_saved_in_this_folder(office: Bench, tmp_path: Path, text: str) -> None:
    call_it(office, text)
    before = files(tmp_path)
    ran = quiet(office.shell.run(*REPORT, "--wait", "--name", "../../evil\x1b[2J"))
    assert ran.code == 0, ran.err
    (path,) = files(tmp_path).keys() - before.keys()
    assert path.startswith("a/b/here/report-evil-2J-")
    assert path.count("/") == 3


@pytest.mark.parametrize("there", ["a file", "a link", "a link to nothing", "a folder"])
def test_an_existing_file_is_replaced_only_by_name(office: Bench, tmp_path: Path, there: str) -> None:
    key, outside, taken = finished(office), tmp_path / "outside", Path("plain.csv")
    outside.write_text("kept", encoding="utf-8")
    make: Mapping[str, Callable[[], object]] = {
        "a file": lambda: taken.write_text("kept", encoding="utf-8"),
        "a link": lambda: taken.symlink_to(outside),
        "a link to nothing": lambda: taken.symlink_to(tmp_path / "nothing"),
        "a folder": lambda: (taken / "x").mkdir(parents=True),
    }
    make[there]()
    call_it(office, "plain.csv")
    before = files(tmp_path)
    ran = quiet(office.shell.run("portsip", "completed-reports", "download", key, "-p", "acme"))
    assert ran.code == 8
    assert files(tmp_path) == before
    if there == "a file":
        office.shell.run("portsip", "completed-reports", "download", key, "-p", "acme", "-o", "plain.csv").ok()
        assert taken.read_text(encoding="utf-8") != "kept", "it was asked for by this name"
