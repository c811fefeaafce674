"""A host with a Webex profile that signs in with a browser, and a browser without a window."""

from __future__ import annotations

import html
import os
import re
import select
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from cdrctl import sandbox
from cdrctl.sandbox import Sandbox
from tests.support.host import PATIENCE, Host, a_host, heard
from tests.support.program import now

PROFILE = "acme"
DAY = ("--since", "26h", "--until", "20h")


def free_port() -> int:
    """Return a port on loopback on which no program listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(slots=True)
class Office:
    """A host with a profile that can sign in, and Webex.

    Args:
        host: Where commands are run.
        webex: The service, with an authorization page.
        uri: The redirect URI that is registered at Webex.
    """

    host: Host
    webex: Sandbox
    uri: str

    @property
    def settings(self) -> dict[str, object]:
        """The settings of the profile."""
        return {"provider": "webex", **self.webex.credentials("webex", "login")}

    @property
    def tokens(self) -> Path:
        """The file with the stored tokens."""
        return self.host.config.parent / "tokens" / f"{PROFILE}.json"

    def secrets(self) -> set[str]:
        """Return every secret that was sent in a form or a response."""
        imitated = self.webex.provider("webex")
        found = {
            str(imitated.credentials("login", "")["client_secret"]),
            *imitated.state.tokens,
            *imitated.state.refreshes,
        }
        for one in self.webex.requests:
            form = parse_qs(one.body.decode())
            found |= {value for name in ("code", "code_verifier", "refresh_token") for value in form.get(name, [])}
        return found - {"EXAMPLE-WEBEX-ACCESS", "EXAMPLE-WEBEX-REFRESH-0"}  # of other profiles

    def granted(self, grant: str) -> int:
        """Return how often tokens were requested with a grant type."""
        return sum(f"grant_type={grant}".encode() in one.body for one in self.webex.requests)

    def login(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a sign-in."""
        options = {"stdout": subprocess.PIPE, "itself": False, **options}
        return self.host.start("profile", "login", PROFILE, *words, **options)

    def export(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Export a few hours."""
        return self.host.run("webex", "cdrs", "-p", PROFILE, *DAY, *words)


@contextmanager
def an_office(folder: Path) -> Iterator[Office]:
    """Return an office whose profile has never signed in."""
    uri = f"http://127.0.0.1:{free_port()}/callback"
    with sandbox.start(now=now, switches={"webex": {"redirect_uri": uri}}) as webex:
        office = Office(a_host(folder), webex, uri)
        office.host.configure({PROFILE: office.settings})
        yield office


@contextmanager
def a_browser(office: Office, folder: Path) -> Iterator[Callable[[], str]]:
    """Let the browser be a program that passes on the address it is told to open; return a function that gets it."""
    handed, script = folder / "handed", folder / "browser"
    os.mkfifo(handed)
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > {handed}\n', encoding="utf-8")
    script.chmod(0o700)
    office.host.environ["BROWSER"] = str(script)
    pipe = os.open(handed, os.O_RDONLY | os.O_NONBLOCK)  # open the reader before there is a writer

    def told() -> str:
        assert select.select([pipe], [], [], PATIENCE)[0], "no browser was opened"
        return os.read(pipe, 65536).decode()

    try:
        yield told
    finally:
        os.close(pipe)


def page_in(said: bytes) -> str:
    """Return the address that a sign-in printed."""
    found = re.search(rb"^https?://\S+/authorize\?\S+$", said, re.MULTILINE)
    assert found, said
    return found[0].decode()


def page_of(running: subprocess.Popen[bytes]) -> str:
    """Return the address that a running sign-in prints, when it waits for the browser."""
    return page_in(heard(running, b"Ctrl-C ends it"))


def decided(page: str, decision: str = "accept") -> str:
    """Return where the browser is sent when the user has pressed a button of the page."""
    with httpx.Client(trust_env=False) as browser:
        shown = browser.get(page)
        assert shown.status_code == 200, shown.text
        fields = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', shown.text)
        form = {html.unescape(name): html.unescape(value) for name, value in fields}
        sent = browser.post(page.partition("?")[0], data={**form, "decision": decision})
    assert sent.status_code == 302, sent.text
    return sent.headers["Location"]


def visited(address: str, **headers: str) -> httpx.Response:
    """Return the response that a browser gets from an address."""
    with httpx.Client(trust_env=False, timeout=PATIENCE) as browser:
        return browser.get(address, headers=headers)


def parameters(address: str) -> dict[str, str]:
    """Return the query of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
