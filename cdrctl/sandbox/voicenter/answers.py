"""Responses: the JSON envelope, errors, and pages in HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from cdrctl.sandbox.voicenter.cdr import Doc
from cdrctl.sandbox.voicenter.state import State
from cdrctl.sandbox.wire import Reply, dump

ERRORS = {
    0: ("OK", 200),
    1: ("Request limit exceeded. Please try again later.", 403),
    2: ("Authorization failed.", 403),
    3: ("CDR limit exceeded.", 403),
    4: ("IP address {client} is not trusted.", 403),
    5: ("Date range invalid", 404),
    6: ("Field {name} is not supported.", 400),
}
"""Number → description and STATUS_CODE; the STATUS_CODE of 3 and the whole of 6 are published nowhere."""

_JSON = {"Content-Type": "application/json; charset=utf-8"}
_HTML = {"Content-Type": "text/html; charset=utf-8"}


def envelope(state: State, number: int, **values: str) -> Doc:
    """Make the members of an answer that say how the request went."""
    text, status = ERRORS[number]
    members: Doc = {"ERROR_NUMBER": number, "ERROR_DESCRIPTION": text.format(**values)}
    return members | ({"STATUS_CODE": status} if state.is_current else {})


def error(state: State, number: int, **values: str) -> Reply:
    """Answer with one of the documented errors."""
    status = ERRORS[number][1] if state.switched["http_errors"] == "real" else 200
    return answer(state, status, envelope(state, number, **values), [])


def answer(state: State, status: int, members: Doc, records: list[Doc] | None) -> Reply:
    """Answer with an envelope and records, in the form that is switched on."""
    if state.switched["html"] == "always":
        return html_page(status, str(members["ERROR_DESCRIPTION"]))
    body = {**spell_numbers(state.switched, members), "CDR_LIST": records}
    if state.switched["keys"] == "mixed":
        body = {name.lower(): value for name, value in body.items()}
    return json_reply(status, body)


def json_reply(status: int, body: Doc) -> Reply:
    """Answer with a JSON body."""
    return Reply(status, dump(body), _JSON)


def html_page(status: int, text: str) -> Reply:
    """Answer with a web page of one heading."""
    return Reply(status, f"<html><body><h1>{escape(text)}</h1></body></html>".encode(), _HTML)


def html_table(names: Sequence[str], records: Sequence[Doc]) -> Reply:
    """Answer with a table of records; its layout is not published."""

    def row(cells: Iterable[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    rows = "".join((row(names, "th"), *(row(record.values(), "td") for record in records)))
    return Reply(200, f"<html><body><table>{rows}</table></body></html>".encode(), _HTML)


def spell_numbers(switched: Mapping[str, str], record: Doc) -> Doc:
    """Write numbers as text where that is switched on."""
    if switched["numbers"] == "json":
        return record
    return {name: str(value) if isinstance(value, int | float) else value for name, value in record.items()}
