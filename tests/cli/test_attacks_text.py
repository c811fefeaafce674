"""Hostile text in records and in responses controls no terminal, file or request."""

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
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from cdrctl.fetchers import PROVIDERS
from tests.cli.attacks_kit import REPORT, SINCE, UNTIL, odd, quiet
from tests.contract.conftest import _one_authority  # noqa: F401 - here as there
from tests.support.bench import SUBJECTS, Bench, Subject, bench, container_of, evenly
from tests.support.runner import Record, run

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

# By call: a column whose text a caller can choose, and a numeric one.
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


def spoil(made: Bench) -> Counter[str]:
    """Put hostile text into every record: into a name, a number and an unknown field.

    The returned counter counts the texts while records are sent.
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


# A caller's name, in every format


@pytest.mark.thin
@each_call
def test_a_name_is_unchanged_in_a_file(subject: Subject, spoilt: tuple[Bench, Counter[str]]) -> None:
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
    """Return text as UTF-8 can encode it: U+FFFD for each half of a surrogate pair."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def unescaped(cell: str) -> str:
    parts = cell.split("\\\\")
    return "\\".join(part.replace("\\t", "\t").replace("\\n", "\n").replace("\\r", "\r") for part in parts)


@pytest.mark.thin
@each_call
def test_a_name_is_unchanged_in_json(subject: Subject, spoilt: tuple[Bench, Counter[str]]) -> None:
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


@pytest.mark.thin
@each_call
def test_a_name_controls_no_terminal_from_a_table_or_message(
    subject: Subject, spoilt: tuple[Bench, Counter[str]]
) -> None:
    made, _ = spoilt
    name, number = SPOTS[str(subject)]
    for words in (["--fields", f"{name},{number},extra"], ["--schema", "common"] if subject.call.common else []):
        for form in ("text", "json"):
            ran = quiet(made.run(SINCE, UNTIL, "-f", "table", "--log-format", form, "-v", *words).ok())
            assert odd(ran.out) == set()
            assert ran.out.count("\n") >= len(EVIL)
    assert "the provider sent fields that this version does not know: zz" in made.run(SINCE, UNTIL, "-f", "table").err
    assert f"column {number}: " in made.run(SINCE, UNTIL, "-f", "table").err


def notification() -> Record:
    path = Path(__file__).parents[1] / "data" / "voicenter" / "doc_notification_outgoing.json"
    found: Record = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.process
def test_a_real_terminal_gets_no_escape_but_our_own(tmp_path: Path) -> None:
    """Data and messages share one terminal. Without colours and the progress line, only text is left."""
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


def test_a_name_controls_no_terminal_from_the_progress_line(tmp_path: Path) -> None:
    name = "evil\x1b[2J\u202e\x9b\r"
    ran = run(*REPORT, "-p", "sandbox", "--wait", "--name", name, "-o", tmp_path / "x.csv", terminal=True)
    assert ran.code == 0, ran.err
    assert "is creating the report evil [2J" in ran.err
    assert odd(ran.err.replace("\r\x1b[2K", "")) == set()


# A provider's messages


def complaint(name: str, text: str) -> Any:
    """Return the body of an error, with the text in each place where providers put their messages."""
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
# A header can hold Latin-1, without line ends and NUL.
HEADERS = {
    "Retry-After": "\x1b[2J\x9b5\x07",
    "Trackingid": "\x1b]0;x\x07\x9b31m\x08",
    "Link": '<\x1b[2Jhttp://evil.example/\x9b>; rel="next"',
    "Location": "https://\x1b[2J\x9bevil.example/\x08",
    "WWW-Authenticate": 'Bearer realm="\x1b[2J"',
    "Server": "\x1b[2J",
}

STATUSES = [200, 302, 400, 401, 403, 404, 429, 451, 500, 503]


@pytest.mark.thin
@each_provider
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("every_body", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_error_of_a_provider_controls_no_terminal(name: str, status: int, every_body: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """In the fast tests each provider and each status has every kind of body; in the others, every combination."""
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
def test_a_hostile_error_of_a_provider_is_still_quoted(name: str, tmp_path: Path) -> None:
    subject = next(one for one in SUBJECTS if one.provider.name == name)
    with bench(subject, tmp_path, evenly(3, SINCE, UNTIL)) as made:
        made.fail(400, times=99, body=json.dumps(complaint(name, "no\x1b[2J such \u202ething")).encode())
        assert "no [2J such  thing" in quiet(made.run(SINCE, UNTIL)).err


def test_a_hostile_link_to_the_next_page_is_not_followed(tmp_path: Path) -> None:
    """A link with control characters is not followed."""
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
