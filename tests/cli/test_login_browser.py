"""`cdrctl profile login`: the browser that is opened, and pasting without one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdrctl.cli.login import has_browser
from tests.cli.login_kit import finished, finished_with, office_paste, signed_in
from tests.support.host import ended, heard, hearing
from tests.support.signing import PROFILE, Office, a_browser, an_office, decided, page_in, page_of, parameters, visited

pytestmark = pytest.mark.process

SOON = 5


@pytest.fixture(name="office")
def _office(tmp_path: Path) -> Iterator[Office]:
    with an_office(tmp_path) as office, hearing():
        yield office


def test_the_named_browser_is_opened(office: Office, tmp_path: Path) -> None:
    with a_browser(office, tmp_path) as told, ended(office.login()) as running:
        page = told()
        assert page == page_of(running)
        visited(decided(page))
        assert finished(running)[0] == 0


def test_no_browser_opens_no_browser(office: Office, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    script = tmp_path / "browser"
    script.write_text(f"#!/bin/sh\ntouch {opened}\n", encoding="utf-8")
    script.chmod(0o700)
    office.host.environ["BROWSER"] = str(script)
    signed_in(office)
    assert not opened.exists()


def test_a_browser_that_cannot_be_opened_does_not_end_the_sign_in(office: Office) -> None:
    office.host.environ["BROWSER"] = "/nonexistent/browser"
    with ended(office.login()) as running:
        said = heard(running, b"no browser could be opened")
        visited(decided(page_in(said)))
        code, _, err = finished(running)
    assert code == 0, err


@pytest.mark.parametrize(
    ("environ", "platform", "found"),
    [
        ({}, "linux", False),
        ({"BROWSER": "w3m"}, "linux", True),
        ({"SSH_CONNECTION": "1 2 3 4"}, "darwin", False),
        ({"SSH_CONNECTION": "1 2 3 4", "DISPLAY": "localhost:10"}, "darwin", True),
        ({}, "darwin", True),
        ({}, "win32", True),
    ],
)
def test_a_browser_is_used_only_where_the_user_can_see_it(
    environ: dict[str, str], platform: str, *, found: bool
) -> None:
    assert has_browser(environ, platform) is found


@pytest.mark.parametrize("words", [["--paste"], []], ids=["asked-for", "no-browser-found"])
@pytest.mark.parametrize("what", ["address", "code", "query"])
def test_the_code_can_be_pasted(office: Office, what: str, words: list[str]) -> None:
    with ended(office.login(*words, "-vv", stdin=subprocess.PIPE)) as running:
        said = heard(running, b"copy that whole address")
        address = decided(page_in(said))
        text = {"address": address, "code": parameters(address)["code"], "query": address.partition("?")[2]}[what]
        code, out, err = finished_with(running, f"  {text} ")
    assert code == 0, err
    assert out.startswith(b"acme (Webex): signed in")
    assert parameters(address)["code"].encode() not in said + err
    assert (b"no browser was found" in said) is (not words)
    assert office.export().returncode == 0


def test_the_code_is_pasted_if_the_redirect_uri_is_on_another_host(office: Office) -> None:
    office.webex.switch("webex", "redirect_uri", "https://apps.example.com/cdrctl")
    office.host.configure({PROFILE: office.settings})
    office.host.environ["BROWSER"] = "true"
    with ended(office.login(stdin=subprocess.PIPE)) as running:
        said = heard(running, b"copy that whole address")
        assert b"is not on this machine" in said
        code, _, err = finished_with(running, decided(page_in(said)))
    assert code == 0, err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing was pasted"),
        ("two words", "spaces"),
        ("{uri}?code=abc&state=of-another", "another sign-in"),
        ("https://webexapis.com/v1/authorize?client_id=x", "address in the browser"),
        ("{uri}.evil.example/?code=abc&state=x", "address in the browser"),
    ],
)
def test_a_wrong_paste_is_reported_and_not_repeated(office: Office, text: str, said: str) -> None:
    code, _, err = office_paste(office, text.format(uri=office.uri))
    assert code == 4
    assert said in err.decode()
    assert b"of-another" not in err
    assert office.granted("authorization_code") == 0


def test_a_denial_can_be_pasted(office: Office) -> None:
    with ended(office.login("--paste", stdin=subprocess.PIPE)) as running:
        address = decided(page_in(heard(running, b"copy that")), "deny")
        code, _, err = finished_with(running, address)
    assert code == 4
    assert b"denied in the browser" in err


def test_an_empty_standard_input_is_an_error(office: Office) -> None:
    ran = office.host.run("profile", "login", PROFILE, "--paste")
    assert ran.returncode == 2
    assert b"there is no answer" in ran.stderr
