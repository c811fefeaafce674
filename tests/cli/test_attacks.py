"""Data as an attack: what a caller, a provider, a file or a careless script may put where a name or an id belongs.

A terminal obeys nothing of it, a file has it exactly as it came, a request goes where it was meant to go, and nothing
is written anywhere but where the user said.
"""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import select
import shutil
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from cdrctl.fetchers import PROVIDERS
from cdrctl.sandbox import Received
from tests.contract.conftest import _one_authority  # noqa: F401 - here as there
from tests.support.bench import MONTH, SUBJECTS, Bench, Subject, bench, container_of, evenly
from tests.support.runner import Ran, Record, run

SINCE, UNTIL = MONTH - timedelta(hours=3), MONTH - timedelta(hours=2)
each_call = pytest.mark.parametrize("subject", SUBJECTS, ids=str)
each_provider = pytest.mark.parametrize("name", PROVIDERS)

ESCAPES = [
    "\x1b[2J\x1b[Hgone",
    "\x1b]0;a title\x07",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1bP$q q\x1b\\ \x1b_x\x1b\\ \x1b^x\x1b\\",
    "\x9b31m\x9d0;x\x9c\x90\x84\x85",
    "bell\x07back\x08\x08\x08delete\x7f",
    "over\rwritten",
    "a line\nanother\r\nthird",
    "tab\tvertical\x0bform\x0c",
    "nul\x00after",
    "\u202aleft\u202bright\u202cpop\u202dover\u202eevil",
    "\u2066isolated\u2067\u2068first\u2069",
    "\u200e\u200f\u061c",
    "zero\u200bwidth\u200d\u2060\ufeff",
    "line\u2028paragraph\u2029next\u0085",
    "half \ud800 and \udfff",
    "tags \U000e0001\U000e0041",
]
OTHERS = [
    '=HYPERLINK("http://evil.example","x")',
    "+1-2",
    "@SUM(A1)",
    "say \"hi\", ok; 'x' \\n \\t \\",
    " blanks \u00a0\u3000 ",
    "Zoë 田中 😀 e\u0301",
    "<script>alert(1)</script> [red]x[/red] %s {0} ${HOME} $(id) `id`",
    "x" * 1_000_000,
]
EVIL = [*ESCAPES, *OTHERS]

# By call: a column that a caller has a say in, and one whose values are numbers.
SPOTS: Mapping[str, tuple[str, str]] = {
    "webex-cdrs": ("calling_line_id", "ring_duration"),
    "webex-stream": ("calling_line_id", "ring_duration"),
    "kazoo-cdrs": ("caller_id_name", "billing_seconds"),
    "kazoo-interactions": ("caller_id_name", "billing_seconds"),
    "callgear-legs": ("contact_full_name", "total_duration"),
    "callgear-calls": ("contact_full_name", "wait_duration"),
    "callgear-costs": ("called_phone_number", "chargeable_duration"),
    "portsip-cdrs": ("caller_display_name", "duration"),
    "portsip-calllogs": ("caller_display_name", "duration"),
    "voicenter-cdrs": ("representative_name", "ring_time"),
}


def odd(text: str, but: str = "\n") -> set[str]:
    """Return the characters of a text that control a terminal, turn the direction of writing, or cannot be seen."""
    return {one for one in text if unicodedata.category(one) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}} - {*but}


def quiet(ran: Ran) -> Ran:
    """Return a run, once it is sure that nothing on stderr controls a terminal; JSON's messages as they read."""
    assert odd(ran.err) == set()
    assert "Traceback" not in ran.err
    assert "a bug in cdrctl" not in ran.err
    for line in ran.err.splitlines():
        if line.startswith("{"):
            assert odd("".join(map(str, json.loads(line).values())), but="") == set()
        else:
            assert line.startswith(("cdrctl: ", "  the provider said: ", "  next: "))
    return ran


def spoil(made: Bench) -> Counter[str]:
    """Put something evil into every record that comes: a name, a number, and a field that nobody knows.

    What each record got is counted in what is returned, which fills while records come.
    """
    call, spot = made.call, SPOTS[str(made.subject)]
    keys = [next(column.key for column in call.columns if column.name == name).casefold() for name in spot]
    got: dict[str, str] = {}
    given: Counter[str] = Counter()

    def one(record: Record) -> Record:
        identity = call.identity(record)
        if identity not in got:
            got[identity] = EVIL[len(got) % len(EVIL)]
            given[got[identity]] += 1
        text = got[identity]
        named, counted = ({name.casefold(): name for name in record}.get(key, key) for key in keys)
        return {**record, named: text, counted: text[:50], "zz\x1b[2J\u202e\nnew": text[:50]}

    def page(document: Record) -> Any:
        container = container_of(document)
        return document if container is None else {**document, container: [one(each) for each in document[container]]}

    made.alter_pages(page)
    return given


@pytest.fixture(name="spoilt")
def _spoilt(subject: Subject, tmp_path: Path) -> Iterator[tuple[Bench, Counter[str]]]:
    with bench(subject, tmp_path, evenly(len(EVIL), SINCE, UNTIL), page_size=20) as made:
        made.straight()
        yield made, spoil(made)


# A caller's name in every format


@each_call
def test_in_a_file_a_name_is_what_it_was(subject: Subject, spoilt: tuple[Bench, Counter[str]]) -> None:
    made, given = spoilt
    name, number = SPOTS[str(subject)]
    lines = quiet(made.run(SINCE, UNTIL, "-f", "jsonl").ok())
    records = lines.lines
    assert lines.out.count("\n") == len(records) >= len(EVIL)
    expected = Counter(whole(text) for text in given.elements())
    assert Counter(one[name] for one in records) == expected
    assert Counter(one[number] for one in records) == Counter(whole(text[:50]) for text in given.elements())

    csv.field_size_limit(10**8)
    rows = list(csv.DictReader(io.StringIO(made.run(SINCE, UNTIL, "-f", "csv").ok().out, newline="")))
    assert Counter(row[name] for row in rows) == expected
    assert {row["extra"] for row in rows} != {""}
    assert all(None not in row and None not in row.values() for row in rows)

    head, *cells = made.run(SINCE, UNTIL, "-f", "tsv").ok().out.removesuffix("\n").split("\n")
    at = head.split("\t").index(name)
    assert {line.count("\t") for line in (head, *cells)} == {head.count("\t")}
    assert Counter(unescaped(line.split("\t")[at]) for line in cells) == expected
    assert "\r" not in head + "".join(cells)


def whole(text: str) -> str:
    """Return text as UTF-8 can say it: U+FFFD for each half of a surrogate pair."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def unescaped(cell: str) -> str:
    parts = cell.split("\\\\")
    return "\\".join(part.replace("\\t", "\t").replace("\\n", "\n").replace("\\r", "\r") for part in parts)


@each_call
def test_in_json_a_name_is_what_it_was(subject: Subject, spoilt: tuple[Bench, Counter[str]]) -> None:
    made, given = spoilt
    name = SPOTS[str(subject)][0]
    found = Counter(one[name] for one in json.loads(made.run(SINCE, UNTIL, "-f", "json").ok().out))
    assert found == Counter(whole(text) for text in given.elements())
    key = next(column.key for column in subject.call.columns if column.name == name).casefold()
    raw = made.run(SINCE, UNTIL, "--schema", "raw", "-f", "jsonl").ok().lines
    assert Counter({word.casefold(): value for word, value in one.items()}[key] for one in raw) == given
    assert all("zz\x1b[2J\u202e\nnew" in one for one in raw)


@pytest.mark.process
@pytest.mark.skipif(shutil.which("jq") is None, reason="no jq here")
def test_another_reader_of_json_lines_finds_the_same_records(tmp_path: Path) -> None:
    with bench(SUBJECTS[0], tmp_path, evenly(len(EVIL), SINCE, UNTIL), page_size=20) as made:
        given = spoil(made)
        lines = made.run(SINCE, UNTIL, "-f", "jsonl").ok().written
    read = subprocess.run(["jq", "-c", ".calling_line_id"], input=lines, capture_output=True, check=True, timeout=60)
    found = [json.loads(line) for line in read.stdout.splitlines()]
    assert Counter(found) == Counter(whole(text) for text in given.elements())


@each_call
def test_in_a_table_and_in_messages_it_controls_nothing(subject: Subject, spoilt: tuple[Bench, Counter[str]]) -> None:
    made, _ = spoilt
    name, number = SPOTS[str(subject)]
    for words in (["--fields", f"{name},{number},extra"], ["--schema", "common"] if subject.call.common else []):
        for form in ("text", "json"):
            ran = quiet(made.run(SINCE, UNTIL, "-f", "table", "--log-format", form, "-v", *words).ok())
            assert odd(ran.out) == set()
            assert ran.out.count("\n") >= len(EVIL)
    assert "fields came that this version does not know: zz" in made.run(SINCE, UNTIL, "-f", "table").err
    assert f"column {number}: " in made.run(SINCE, UNTIL, "-f", "table").err


def notification() -> Record:
    path = Path(__file__).parents[1] / "data" / "voicenter" / "doc_notification_outgoing.json"
    found: Record = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.process
def test_a_real_terminal_gets_no_escape_but_our_own(tmp_path: Path) -> None:
    """Data and messages go to one terminal; what is left beside colours and the line of progress is text."""
    file = tmp_path / "captured.jsonl"
    lines = [
        {**notification(), "ivruniqueid": str(at), "caller": text[:60], "duration": text[:60], f"new {text[:60]}": text}
        for at, text in enumerate(EVIL)
    ]
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    main, child = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "cdrctl", "voicenter", "notifications", str(file), "--fields", "caller,duration,extra"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "xterm", "COLUMNS": "100", "LANG": "C.UTF-8"},
        stdin=child,
        stdout=child,
        stderr=child,
    )
    os.close(child)
    shown = b""
    while select.select([main], [], [], 30)[0]:
        try:
            piece = os.read(main, 65536)
        except OSError:  # the other end is closed
            break
        shown += piece
    assert running.wait(timeout=20) == 0
    os.close(main)
    text = shown.decode("utf-8")
    for ours in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\r\x1b[2K"):
        text = text.replace(ours, "")
    assert odd(text, but="\r\n") == set()
    assert text.replace("\r\n", "").count("\r") == 0
    assert "warning: column duration: " in text
    assert text.count("\n") > len(EVIL)


def test_the_line_of_progress_controls_nothing_either(tmp_path: Path) -> None:
    name = "evil\x1b[2J\u202e\x9b\r"
    ran = run(*REPORT, "-p", "sandbox", "--wait", "--name", name, "-o", tmp_path / "x.csv", terminal=True)
    assert ran.code == 0, ran.err
    assert "is making the report evil [2J" in ran.err
    assert odd(ran.err.replace("\r\x1b[2K", "")) == set()


# What a provider says


def complaint(name: str, text: str) -> Any:
    """Return an error's body, with the text wherever providers put their words."""
    if name == "callgear":
        data = {"mnemonic": text, "field": text, "value": text}
        return {"jsonrpc": "2.0", "id": None, "error": {"code": -32602, "message": text, "data": data}}
    if name == "voicenter":
        return {"ERROR_NUMBER": 2, "ERROR_DESCRIPTION": text, "CDR_LIST": []}
    if name == "kazoo":
        return {"data": {"message": text, "cause": text}, "error": "400", "message": text, "status": "error"}
    errors = [{"code": text, "message": text, "description": text, "detail": text}]
    return {"message": text, "errors": errors, "trackingId": text, "error": text, "error_description": text}


WIRED = "".join(ESCAPES)[:400]
# What a header can hold: Latin-1, and neither a line end nor a zero.
HEADERS = {
    "Retry-After": "\x1b[2J\x9b5\x07",
    "Trackingid": "\x1b]0;x\x07\x9b31m\x08",
    "Link": '<\x1b[2Jhttp://evil.example/\x9b>; rel="next"',
    "Location": "https://\x1b[2J\x9bevil.example/\x08",
    "WWW-Authenticate": 'Bearer realm="\x1b[2J"',
    "Server": "\x1b[2J",
}


STATUSES = [200, 302, 400, 401, 403, 404, 429, 451, 500, 503]


@each_provider
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("every_body", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_a_provider_says_controls_nothing(name: str, status: int, every_body: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """With one kind of body, so that each provider and each status has every kind; and with all kinds."""
    subject = next(one for one in SUBJECTS if one.provider.name == name)
    bodies = [
        json.dumps(complaint(name, WIRED)).encode(),
        WIRED.encode("utf-8", "replace"),
        f"<html><title>{WIRED}</title>".encode("utf-8", "replace"),
    ]
    with bench(subject, tmp_path, evenly(3, SINCE, UNTIL)) as made:
        own_body = bodies[(list(PROVIDERS).index(name) + STATUSES.index(status)) % len(bodies)]
        for number, (body, headers) in enumerate(product(bodies, ({}, HEADERS))):
            if not every_body and body != own_body:
                continue
            made.sandbox.switch(name, "fail", "none")
            made.fail(status, times=99, headers=headers, body=body)
            form = ("text", "json")[(number + number // 2) % 2]  # each kind of body in both
            ran = quiet(made.run(SINCE, UNTIL, "-f", "csv", "-v", "--log-format", form))
            assert ran.code in {0, 3, 4, 5, 6, 7}, ran.err
        checked = quiet(made.shell.run("profile", "check", "acme"))
        assert odd(checked.out) == set()


@each_provider
def test_its_words_are_told_all_the_same(name: str, tmp_path: Path) -> None:
    subject = next(one for one in SUBJECTS if one.provider.name == name)
    with bench(subject, tmp_path, evenly(3, SINCE, UNTIL)) as made:
        made.fail(400, times=99, body=json.dumps(complaint(name, "no\x1b[2J such \u202ething")).encode())
        assert "no [2J such  thing" in quiet(made.run(SINCE, UNTIL)).err


def test_a_link_to_the_next_page_goes_nowhere_else(tmp_path: Path) -> None:
    """One with controls in it is no link that is followed."""
    with bench(SUBJECTS[0], tmp_path, evenly(20, SINCE, UNTIL)) as made:
        mount = made.sandbox.base_urls["webex"]
        provider = made.sandbox.provider("webex")
        reply = provider.reply
        for link in (
            f"<{mount}/cdr_feed?\x1b[2J>",
            "<http://evil.example/\x9b>",
            f"<{made.sandbox.url}\\@evil.example/x>",
        ):
            provider.reply = lambda request, link=link: replace(
                answer := reply(request), headers={**answer.headers, "Link": f'{link}; rel="next"'}
            )
            before = len(made.sandbox.requests)
            ran = quiet(made.run(SINCE, UNTIL))
            assert ran.code == 7
            assert len(made.sandbox.requests) == before + 1


# Ids that are paths

IDS = [
    *("../../accounts", "a/b", "/", "/etc/passwd", "a/../b", "x/..", "./x", "..;/x", "..\\..\\x", "\\"),
    *("%2e%2e", "%2e%2e%2faccounts", "%2F", "%00", "?x=1", "a?b", "#", "x#y", "&x=1", "a;b=c", "a b", "+"),
    *("http://evil.example/x", "//evil.example", "@evil.example", ":80", "x\r\nHost: evil", "\x1b[2J", "\x00"),
    *("\u202e", "\uff0e\uff0e", "é", "*", "'", '"', "{}", "-", "~"),
]  # fmt: skip
NO_IDS = ["", ".", "..", " ", "...", ". .", " .. "]

# By command: what is asked with an id, after the mount point.
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
    """Return a command with an id: as the value of its last option if that takes one, else as its argument."""
    words = [*command.split(), "-p", "acme"]
    if command.endswith(("--account", "--user")):
        return [*words[:-3], f"{words[-3]}={text}", *words[-2:]]
    return [*words, "--", text]


def signs_in(request: Received) -> bool:
    return request.path.endswith(("/api_auth", "/auth/sign_in"))


@pytest.mark.parametrize("command", ASKED)
def test_an_id_is_one_part_of_a_path_whatever_is_in_it(command: str, tmp_path: Path) -> None:
    """What there is not is not found, and a report that there is not is not deleted."""
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


@pytest.mark.parametrize("command", ASKED)
def test_what_is_no_id_is_refused_before_anything_is_asked(command: str, tmp_path: Path) -> None:
    with bench(subject_of(command.split(maxsplit=1)[0]), tmp_path, evenly(3, SINCE, UNTIL)) as made:
        for text in NO_IDS:
            ran = quiet(made.shell.run(*id_words(command, text)))
            assert ran.code == 2, (text, ran.err)
            assert [one for one in made.sandbox.requests if not signs_in(one)] == []


def altered(made: Bench, change: Callable[[Record], Any]) -> None:
    """Change every object that the provider answers with."""
    made.alter(lambda document: change(document) if isinstance(document, dict) else document)


@pytest.mark.parametrize("text", ["../../x", "a/b", "?x=1", "#", "%2e%2e", "x\r\ny", "\x1b[2J"])
def test_an_id_that_came_is_one_part_of_a_path_too(text: str, tmp_path: Path) -> None:
    with bench(subject_of("kazoo"), tmp_path, evenly(3, SINCE, UNTIL)) as made:
        altered(made, lambda document: {**document, "data": [{"id": text}]} if below(document) else document)
        quiet(made.run(SINCE, UNTIL, "--descendants"))
        mount = made.sandbox.provider("kazoo").mount
        account = made.sandbox.credentials("kazoo")["account_id"]
        paths = {one.path for one in made.sandbox.requests if not signs_in(one)}
        listed = {f"{mount}/accounts/{account}/{what}" for what in ("descendants", "cdrs")}
        assert paths == {*listed, f"{mount}/accounts/{quote(text, safe='')}/cdrs"}


def below(document: Record) -> bool:
    """Return whether a document of Kazoo's lists accounts."""
    data = document.get("data")
    return isinstance(data, list) and bool(data) and "tree" in data[0]


@pytest.mark.parametrize("text", ["../../x", "a/b", "?x=1", "#", "%2e%2e", "x\r\ny", "\x1b[2J", "..", ".", ""])
def test_an_id_of_a_record_leads_nowhere_else(text: str, tmp_path: Path) -> None:
    """Its cost is asked for by its id; what is none is not asked for, and said."""
    with bench(subject_of("portsip"), tmp_path, evenly(2, SINCE, UNTIL)) as made:
        made.alter_pages(
            lambda page: {**page, "items": [{**one, "id": text} for one in page["items"]]} if "count" in page else page
        )
        ran = quiet(made.run(SINCE, UNTIL, "--with-cost"))
        mount = made.sandbox.provider("portsip").mount
        allowed = {f"{mount}/cdrs"} | ({f"{mount}/cdrs/{quote(text, safe='')}"} if text.strip(" .") else set())
        assert {one.path for one in made.sandbox.requests if not signs_in(one)} == allowed
        assert ran.code == 3, ran.err


@pytest.mark.parametrize("text", ["..", ".", " ", ""])
def test_an_id_that_came_and_is_none_is_the_providers_fault(text: str, tmp_path: Path) -> None:
    """Not that of whoever typed the command."""
    with bench(subject_of("portsip"), tmp_path, evenly(2, SINCE, UNTIL)) as made:
        altered(made, lambda document: {"id": text} if document.keys() == {"id"} else document)
        ran = quiet(made.shell.run(*REPORT))
        assert ran.code == 7, ran.err
        assert "it may have been made all the same" in ran.err
    with bench(subject_of("kazoo"), tmp_path, evenly(2, SINCE, UNTIL)) as made:
        altered(made, lambda document: {**document, "data": [{"id": text}]} if below(document) else document)
        ran = quiet(made.run(SINCE, UNTIL, "--descendants"))
        assert ran.code == 7, ran.err


# Names of files

REPORT = (
    *("portsip", "reports", "create", "-p", "acme"),
    *("--type", "NORMAL", "--email", "a@example.com", "--range", "YESTERDAY"),
)
FILE_NAMES = [
    *("../../x.csv", "/etc/x.csv", "..\\..\\x.csv", "C:\\x.csv", "a/b.csv", "a\\b.csv", "x\x00y.csv", "\x1b[2J.csv"),
    *("", " ", ".", "..", "-rf", "-o.csv", "~/x.csv", ".bashrc", ".csv", "x" * 300 + ".csv", "é" * 150 + ".csv"),
    *("CON.csv", "nul", "COM1.csv", "aux.csv ", "x.csv:stream", "evil\u202evsc.exe", "a\nb.csv", "x.csv.", "x.exe"),
    *("%2e%2e%2fx.csv", "\ud800.csv", "a\u2028b.csv"),
]  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with what is in it, links as what they say."""
    return {
        str(one.relative_to(folder)): bytes(one.readlink()) if one.is_symlink() else one.read_bytes()
        for one in sorted(folder.rglob("*"))
        if one.is_symlink() or one.is_file()
    }


@pytest.fixture(name="office")
def _office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A PBX with one finished report, and an empty folder, deep down, that commands are run in."""
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
    """Let the PBX call its files so: in what it says of them, and in the headers that come with them."""
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


@pytest.mark.parametrize("text", FILE_NAMES, ids=lambda text: ascii(text)[:30])
def test_a_download_lands_in_this_folder_under_a_plain_name(office: Bench, tmp_path: Path, text: str) -> None:
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
def test_the_file_that_was_waited_for_does_so_too(office: Bench, tmp_path: Path, text: str) -> None:
    call_it(office, text)
    before = files(tmp_path)
    ran = quiet(office.shell.run(*REPORT, "--wait", "--name", "../../evil\x1b[2J"))
    assert ran.code == 0, ran.err
    (path,) = files(tmp_path).keys() - before.keys()
    assert path.startswith("a/b/here/report-evil-2J-")
    assert path.count("/") == 3


@pytest.mark.parametrize("there", ["a file", "a link", "a link to nothing", "a folder"])
def test_what_is_there_is_not_touched_unless_it_was_named(office: Bench, tmp_path: Path, there: str) -> None:
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


# Names of profiles

NAMES = [
    *("../../x", "/etc/passwd", "a/b", ".", "..", "", " ", "a\nb", "\x1b[2Jx", "x\u202ey", "a\\b", "C:x", "x" * 65),
    *("a\x00b", "-x", "~", "acme ", "\ud800", "a\tb"),
]  # fmt: skip
GOOD = '[profiles.acme]\nprovider = "voicenter"\nbase_url = "http://127.0.0.1:1/"\ncode = "t0ken-nobody-may-see"\n'
USES = {
    "show": ("profile", "show", "--", "NAME"),
    "remove": ("profile", "remove", "--", "NAME"),
    "check": ("profile", "check", "--", "NAME"),
    "add": ("profile", "add", "--provider", "voicenter", "--set", "code_command=true", "--", "NAME"),
    "cdrs": ("voicenter", "cdrs", "--profile=NAME"),
    "export": ("export", "--profile=NAME"),
    "export beside": ("export", "-p", "acme", "--profile=NAME"),
    "sync": ("sync", "--into", "archive", "--", "NAME"),
    "fill": ("fill", "--into", "archive", "--", "NAME"),
    "coverage": ("coverage", "--into", "archive", "--", "NAME"),
    "plan": ("plan", "--into", "archive", "--", "NAME"),
}


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder deep down with a configuration in it, in which commands are run."""
    home = tmp_path / "a" / "b" / "home"
    (home / "tokens").mkdir(parents=True)
    for decoy in (tmp_path / "a" / "x.json", home / "x.json", home / "tokens" / "acme.json"):
        decoy.write_text("{}", encoding="utf-8")
    monkeypatch.chdir(home)
    configure(home, GOOD)
    return home


def configure(home: Path, text: str) -> None:
    config = home / "config.toml"
    config.write_text(text, encoding="utf-8")
    config.chmod(0o600)


def said_by(*words: str, home: Path, **more: Any) -> Ran:
    """Return what a command said, once it is sure that it was no more than words."""
    return quiet(run(*words, "--config", home / "config.toml", **more))


def using(use: str, name: str) -> list[str]:
    """Return a command about a profile."""
    return [word.replace("NAME", name) for word in USES[use]]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_that_is_no_name_is_refused_and_nothing_is_written(
    use: str, name: str, home: Path, tmp_path: Path
) -> None:
    before = files(tmp_path)
    words = using(use, name)
    ran = run("--config", home / "config.toml", *words)
    quiet(Ran(ran.code, b"", ran.err))
    assert ran.code in {2, 6}, ran.err
    assert ran.out == ""
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "a\nb", "\x1b[2J", "..", " "])
def test_the_environment_names_no_path_either(name: str, home: Path, tmp_path: Path) -> None:
    before = files(tmp_path)
    for words in (("voicenter", "cdrs"), ("profile", "check"), ("profile", "check", "--provider", "voicenter")):
        ran = said_by(*words, home=home, environ={"CDRCTL_PROFILE": name})
        assert ran.code == 6, ran.err
    assert files(tmp_path) == before


def test_an_empty_name_in_the_environment_is_none(home: Path) -> None:
    ran = said_by("profile", "show", "acme", home=home, environ={"CDRCTL_PROFILE": ""})
    assert ran.code == 0
    assert "t0ken" not in ran.out


ODD = [name for name in NAMES if "\ud800" not in name]


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_such_a_name_in_the_file_is_said_and_leads_nowhere(name: str, home: Path, tmp_path: Path) -> None:
    key = json.dumps(name).replace("\\u007f", "\u007f")
    configure(home, GOOD.replace("acme", key))
    before = files(tmp_path)
    for use in ("show", "check", "cdrs", "export", "sync", "fill", "plan"):
        ran = run("--config", home / "config.toml", *using(use, name))
        quiet(Ran(ran.code, b"", ran.err))
        assert ran.code in {2, 6}, (use, ran.err)
        assert "t0ken" not in ran.out + ran.err
    assert files(tmp_path) == before
    listed = said_by("profile", "list", home=home)
    assert listed.code == 0
    assert odd(listed.out, but="\n\t") == set()
    assert [line.count("\t") for line in listed.out.splitlines()] == [3, 3]
    assert "cannot be used" in listed.err
    everyone = said_by("export", "--all", "-f", "csv", home=home)
    assert everyone.code in {3, 6}
    assert files(tmp_path) == before
    ran = run("--config", home / "config.toml", *using("remove", name))
    if not name:  # an empty value is refused everywhere; an editor removes such a profile
        assert ran.code == 2
        return
    assert ran.code == 0, ran.err
    assert files(tmp_path).keys() - {"a/b/home/.config.toml.lock"} == before.keys()
    assert files(tmp_path)["a/b/home/config.toml"] == b""


@pytest.mark.parametrize("name", ["../../x", "\x1b[2Jx", "a/b"])
def test_an_archive_has_no_folder_of_such_a_name(name: str, home: Path, tmp_path: Path) -> None:
    configure(home, GOOD.replace("acme", json.dumps(name)))
    before = files(tmp_path)
    ran = said_by("sync", "--all", "--into", "archive", home=home)
    assert ran.code in {3, 6}, ran.err
    assert {
        path for path in files(tmp_path).keys() - before.keys() if not path.startswith("a/b/home/archive/")
    } == set()
    assert [one for one in (home / "archive").rglob("*") if one.is_dir()] == []


@pytest.mark.parametrize("key", ["\x1b[2J", "a\nb", "\u202e"])
def test_a_setting_of_such_a_name_is_not_shown_as_it_is(key: str, home: Path) -> None:
    configure(home, f'{GOOD}{json.dumps(key)} = "t0ken-nobody-may-see"\n')
    ran = said_by("profile", "show", "acme", home=home)
    assert odd(ran.out) == set()
    assert ran.out.count("\n") == 4
    assert "t0ken" not in ran.out
    assert said_by("profile", "check", "acme", home=home).code == 6


@pytest.mark.parametrize("value", ["\x1b[2J", "https://\x1b[2J.example/v1", "a\nb", "\u202e"])
def test_a_value_in_the_file_controls_nothing(value: str, home: Path) -> None:
    configure(home, GOOD.replace('"http://127.0.0.1:1/"', json.dumps(value)))
    assert said_by("profile", "check", "acme", home=home).code in {4, 5, 6, 7}
    shown = said_by("profile", "show", "acme", home=home)
    assert odd(shown.out) == set()
    assert shown.out.count("\n") == 3


def test_a_folder_that_somebody_put_into_an_archive_is_told_in_one_line(home: Path) -> None:
    archive = home / "archive"
    assert said_by("sync", "sandbox", "--into", "archive", "--since", "2026-11-20", home=home).code == 0
    stray = archive / "evil\x1b[2J\n\u202e" / "cdrs" / "date=2026-11-20" / "cdrs.jsonl"
    stray.parent.mkdir(parents=True)
    stray.write_text("{}\n", encoding="utf-8")
    for more in ((), ("--rebuild",)):
        ran = said_by("verify", "--into", "archive", *more, home=home)
        assert ran.code == 3
        assert ran.out.count("\n") == 1
        assert odd(ran.out, but="\n\t") == set()
