"""`cdrctl profile login` on a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.cli.login_kit import finished
from tests.support import forks
from tests.support.host import PATIENCE, ended, heard, hearing
from tests.support.program import COMMAND
from tests.support.signing import PROFILE, Office, an_office, decided, page_in, page_of, parameters, visited

pytestmark = pytest.mark.process

SOON = 5


@pytest.fixture(name="office")
def _office(tmp_path: Path) -> Iterator[Office]:
    with an_office(tmp_path) as office, hearing():
        yield office


WITH_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes of standard input the terminal that Ctrl-C comes from and that passwords are read from."""


class Terminal:
    """A program on its own terminal, and everything it has shown."""

    def __init__(self, running: subprocess.Popen[bytes], screen: int) -> None:
        self.running, self.screen = running, screen
        self.seen, self.typed = b"", 0

    def sees(self, words: bytes) -> bytes:
        """Wait until these words have appeared since the last input, and return everything shown so far."""
        while words not in self.seen[self.typed :]:
            assert self.reads(), self.seen
        return self.seen.replace(b"\r\n", b"\n")

    def types(self, text: str) -> None:
        self.typed = len(self.seen)
        os.write(self.screen, text.encode() + b"\n")

    def reads(self) -> bool:
        """Read more output, and return whether there was any."""
        assert select.select([self.screen], [], [], PATIENCE)[0], self.seen
        try:
            more = os.read(self.screen, 65536)
        except OSError:  # end of file on a terminal
            return False
        self.seen += more
        return bool(more)

    def left_with(self, key: bytes) -> int:
        """Press a key until the program ends, and return the exit code.

        In Python as in C, a signal that comes just before the program waits for input does not wake it.
        """
        for _ in range(10):
            os.write(self.screen, key)
            if select.select([self.screen], [], [], PATIENCE / 10)[0]:
                break
        return self.ends()

    def ends(self) -> int:
        """Return the exit code."""
        while self.reads():
            continue
        return self.running.wait(PATIENCE)


@contextmanager
def on_a_terminal(office: Office, *words: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    environ = {**office.host.environ, "COLUMNS": "80"}
    command = forks.command(environ, terminal="own")
    if command == COMMAND:
        command = (sys.executable, "-c", WITH_A_TERMINAL, *COMMAND)
    started = subprocess.Popen(
        [*command, "profile", "login", *words],
        cwd=office.host.folder,
        env=environ,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    try:
        with ended(started) as running:
            os.close(theirs)
            yield Terminal(running, ours)
    finally:
        os.close(ours)


def test_a_paste_is_hidden_and_can_be_repeated(office: Office) -> None:
    with on_a_terminal(office, PROFILE) as terminal:
        address = decided(page_in(terminal.sees(b"not shown): ")))
        terminal.types(f"{office.uri}?code=somebodys-code&state=another")
        terminal.sees(b"that address is from another sign-in")
        terminal.sees(b"not shown): ")  # the second attempt
        terminal.types(address)
        assert terminal.ends() == 0, terminal.seen
    assert b"acme (Webex): signed in" in terminal.seen
    for hidden in (parameters(address)["code"], "somebodys-code"):
        assert hidden[-12:].encode() not in terminal.seen
    assert office.export().returncode == 0


def test_a_new_profile_is_offered(office: Office) -> None:
    settings = office.settings
    office.host.config.unlink()
    for name in ("base_url", "token_url", "authorize_url", "redirect_uri", "requests_per_minute"):
        office.host.environ[f"CDRCTL_ACME_{name.upper()}"] = str(settings[name])
    with on_a_terminal(office, PROFILE, "--paste") as terminal:
        terminal.sees(b"create it, for Webex? [y/N]: ")
        terminal.types("y")
        terminal.sees(b"client_id (")
        terminal.types("C0000EXAMPLE")
        terminal.sees(b"client_secret (")
        terminal.types("EXAMPLE-WEBEX-SECRET")
        terminal.types(decided(page_in(terminal.sees(b"not shown): "))))
        assert terminal.ends() == 0, terminal.seen
    assert b"EXAMPLE-WEBEX-SECRET" not in terminal.seen
    assert office.export().returncode == 0


def test_a_mistyped_name_creates_no_profile(office: Office) -> None:
    written = office.host.config.read_bytes()
    with on_a_terminal(office, "acmee") as terminal:
        terminal.sees(b"(there are: acme); create it, for Webex? [y/N]: ")
        terminal.types("")
        assert terminal.ends() == 2
    assert office.host.config.read_bytes() == written


@pytest.mark.parametrize("key", [b"\x03", b"\x04"], ids=["ctrl-c", "ctrl-d"])
def test_the_prompt_can_be_interrupted(office: Office, key: bytes) -> None:
    with on_a_terminal(office, PROFILE, "--paste") as terminal:
        terminal.sees(b"not shown): ")
        assert terminal.left_with(key) == 130, terminal.seen
    assert b"interrupted; nothing was stored" in terminal.seen
    assert not office.tokens.exists()


def test_the_sandboxs_login_profile_works_as_printed(office: Office) -> None:
    registered = ("--switch", f"webex.redirect_uri={office.uri}")
    with ended(office.host.start("sandbox", "serve", *registered, itself=False, stdout=subprocess.PIPE)) as serving:
        heard(serving, b"serving on")
        assert serving.stdout is not None
        printed = os.read(serving.stdout.fileno(), 65536).decode()
        lines = printed.partition("take away the # below.\n")[2].splitlines()
        assert all(line.startswith("# ") for line in lines)
        office.host.config.write_text("\n".join(line[2:] for line in lines), encoding="utf-8")
        with ended(office.host.start("profile", "login", "sandbox-login", "--no-browser", itself=False)) as running:
            visited(decided(page_of(running)))
            code, _, err = finished(running)
    assert code == 0, err


def test_the_address_is_one_line_that_can_be_copied(office: Office) -> None:
    """A wrapped address cannot be copied, so it is not wrapped on narrow terminals either."""
    ran = office.host.run("profile", "login", PROFILE, "--paste", environ={"COLUMNS": "20"}, input=b"\n")
    assert quote(office.uri, safe="") in page_in(ran.stderr)
