"""`cdrctl profile login`: signing in with a browser, from the address it prints to the exports that follow."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from cdrctl.cli.login import has_browser
from cdrctl.fetchers import PROVIDERS
from cdrctl.sandbox.wire import Reply, Request
from tests.support import forks
from tests.support.host import PATIENCE, ended, heard, hearing
from tests.support.program import COMMAND
from tests.support.signing import PROFILE, Office, a_browser, an_office, decided, page_in, page_of, parameters, visited

pytestmark = pytest.mark.process

SOON = 5


@pytest.fixture(name="office")
def _office(tmp_path: Path) -> Iterator[Office]:
    with an_office(tmp_path) as office, hearing():
        yield office


def finished(running: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    out, err = running.communicate(timeout=PATIENCE)
    return running.returncode, out, err


def signed_in(office: Office, *words: str) -> tuple[bytes, bytes]:
    """Sign in, and return what was printed."""
    with ended(office.login("--no-browser", *words)) as running:
        said = heard(running, b"Ctrl-C ends it")
        assert visited(decided(page_in(said))).status_code == 200
        code, out, err = finished(running)
    assert code == 0, err
    return out, said + err


def test_who_signs_in_exports_from_then_on(office: Office) -> None:
    written = office.host.config.read_bytes()
    out, err = signed_in(office, "-vv")
    assert out.startswith(b"acme (Webex): signed in; ")
    assert str(office.tokens).encode() in err
    assert office.host.config.read_bytes() == written
    for path, mode in ((office.tokens, 0o600), (office.tokens.parent, 0o700)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    exported = office.export("-vv")
    assert exported.returncode == 0, exported.stderr
    assert exported.stdout.count(b"\n") > 10
    assert office.granted("authorization_code") == 1
    assert office.granted("refresh_token") == 0
    secrets = office.secrets()
    assert len(secrets) >= 5
    for secret in secrets:
        assert secret[-12:].encode() not in out + err + exported.stderr
    assert office.host.left_over() == []


def test_the_page_is_asked_as_documented_and_the_code_is_used_with_secret_and_verifier(office: Office) -> None:
    with ended(office.login("--no-browser")) as running:
        page = page_of(running)
        visited(decided(page))
        assert finished(running)[0] == 0
    asked = parameters(page)
    assert len(asked.pop("state")) >= 43
    assert len(asked.pop("code_challenge")) == 43
    assert asked == {
        "response_type": "code",
        "client_id": "C0000EXAMPLE",
        "redirect_uri": office.uri,
        "scope": "spark-admin:calling_cdr_read",
        "code_challenge_method": "S256",
    }
    form = next(one.body.decode() for one in office.webex.requests if b"authorization_code" in one.body)
    sent = parameters(f"?{form}")
    assert set(sent) == {"grant_type", "client_id", "client_secret", "code", "redirect_uri", "code_verifier"}
    assert len(sent["code_verifier"]) >= 43
    assert sent["code_verifier"] not in page


def test_what_was_signed_in_is_renewed_by_itself(office: Office) -> None:
    signed_in(office)
    for renewals in (1, 2):
        office.webex.expire_tokens("webex")
        assert office.export().returncode == 0
        assert office.granted("refresh_token") == renewals


def test_a_profile_that_never_signed_in_says_how(office: Office) -> None:
    ran = office.export("-o", "file.csv")
    assert ran.returncode == 4
    assert b"nobody has signed in with this profile yet" in ran.stderr
    assert b"cdrctl profile login acme" in ran.stderr
    assert not (office.host.folder / "file.csv").exists()
    assert office.host.run("profile", "check", PROFILE).returncode == 4


def test_when_the_refresh_token_has_ended_the_next_step_is_to_sign_in_anew(office: Office) -> None:
    signed_in(office)
    office.webex.expire_tokens("webex")
    office.webex.provider("webex").expire_refresh_tokens()
    ran = office.export()
    assert ran.returncode == 4
    assert b"the refresh token was not accepted" in ran.stderr
    assert b"cdrctl profile login acme" in ran.stderr
    signed_in(office)
    assert office.export().returncode == 0


def test_a_refresh_token_in_the_profile_that_has_ended_is_replaced_and_a_new_one_wins(office: Office) -> None:
    office.host.configure({PROFILE: {**office.settings, "refresh_token": "ended-long-ago"}})
    assert office.export().returncode == 4
    signed_in(office)
    assert office.export().returncode == 0
    assert office.granted("refresh_token") == 1, "only the one that had ended"
    fresh = office.webex.credentials("webex", "refresh_token")["refresh_token"]
    office.host.configure({PROFILE: {**office.settings, "refresh_token": fresh}})
    assert office.export().returncode == 0
    assert office.granted("refresh_token") == 2, "the one that was put into the profile since"


def test_an_access_token_that_has_ended_gives_way_to_the_sign_in(office: Office) -> None:
    office.host.configure({PROFILE: {**office.settings, "access_token": "ended-long-ago"}})
    ran = office.export()
    assert ran.returncode == 4
    assert b"cdrctl profile login acme" in ran.stderr
    assert not office.tokens.parent.exists(), "nothing is kept for who has nothing to renew"
    signed_in(office)
    assert office.export().returncode == 0


def test_tokens_of_another_client_are_not_used(office: Office) -> None:
    signed_in(office)
    office.host.configure({PROFILE: {**office.settings, "client_id": "C0000OTHER"}})
    ran = office.export()
    assert ran.returncode == 4
    assert b"nobody has signed in" in ran.stderr


def test_a_profile_of_the_environment_alone_signs_in(office: Office) -> None:
    office.host.config.unlink()
    named = {f"CDRCTL_ACME_{name.upper()}": str(value) for name, value in office.settings.items()}
    office.host.environ |= named
    signed_in(office)
    assert office.export().returncode == 0


def test_damaged_tokens_are_replaced_by_a_sign_in(office: Office) -> None:
    signed_in(office)
    office.tokens.write_text("half", encoding="utf-8")
    ran = office.export()
    assert ran.returncode == 6
    assert b"cdrctl profile login acme" in ran.stderr
    signed_in(office)
    assert office.export().returncode == 0


# What goes wrong


def test_a_sign_in_that_is_denied_says_so_and_keeps_nothing(office: Office) -> None:
    with ended(office.login("--no-browser")) as running:
        shown = visited(decided(page_of(running), "deny"))
        code, out, err = finished(running)
    assert "Not signed in" in shown.text
    assert (code, out) == (4, b"")
    assert b"denied in the browser" in err
    assert b"access_denied" in err
    assert not office.tokens.exists()


def test_an_answer_with_another_state_is_refused_and_neither_ends_nor_completes_the_sign_in(office: Office) -> None:
    with ended(office.login("--no-browser")) as running:
        address = decided(page_of(running))
        base, _, query = address.partition("?")
        state = parameters(address)["state"]
        other = query.replace(state, "x" * len(state))
        for wrong in (other, "code=stolen", "error=access_denied", f"{query}&state={state}"):
            refused = visited(f"{base}?{wrong}")
            assert refused.status_code == 400
            assert "Not this sign-in" in refused.text
        assert visited(address).status_code == 200
        code, _, err = finished(running)
    assert code == 0, err
    assert err.count(b"not for this sign-in") == 1
    assert office.granted("authorization_code") == 1


def test_a_wrong_client_secret_is_said(office: Office) -> None:
    office.host.configure({PROFILE: {**office.settings, "client_secret": "not-the-secret"}})
    with ended(office.login("--no-browser", "-vv")) as running:
        visited(decided(page_of(running)))
        code, _, err = finished(running)
    assert code == 4
    assert b"client_id or client_secret was not accepted" in err
    assert b"not-the-secret" not in err
    assert not office.tokens.exists()


def test_a_code_that_was_used_before_is_not_accepted_and_not_shown(office: Office) -> None:
    with ended(office.login("--paste", stdin=subprocess.PIPE)) as first:
        address = decided(page_in(heard(first, b"copy that")))
        assert finished_with(first, address)[0] == 0
    kept = office.tokens.read_bytes()
    used = parameters(address)["code"]
    code, _, err = office_paste(office, used, "-vv")
    assert code == 4
    assert b"was not accepted" in err
    assert office.uri.encode() in err
    assert used.encode() not in err
    assert office.tokens.read_bytes() == kept, "a sign-in that fails leaves an earlier one as it was"


def test_what_the_service_repeats_of_a_request_is_not_shown(office: Office) -> None:
    imitated = office.webex.provider("webex")
    reply = imitated.reply

    def repeating(request: Request) -> Reply:
        if request.path != "/access_token":
            return reply(request)  # type: ignore[no-any-return]
        form = " ".join(parameters(f"?{request.body.decode()}").values())
        return Reply(400, json.dumps({"message": f"bad: {form}"}).encode(), {"Content-Type": "application/json"})

    imitated.reply = repeating
    with ended(office.login("--no-browser", "-vv")) as running:
        visited(decided(page_of(running)))
        code, _, err = finished(running)
    assert code == 4
    assert b"bad: authorization_code" in err
    for name in ("code", "code_verifier", "client_secret"):
        sent = next(one.body.decode() for one in office.webex.requests if b"authorization_code" in one.body)
        assert parameters(f"?{sent}")[name][-12:].encode() not in err  # all of the sandbox's begin alike


def test_a_redirect_uri_that_is_not_registered_never_comes_back(office: Office) -> None:
    with ended(office.login("--no-browser", "--redirect-uri", f"{office.uri}/other", itself=True)) as running:
        assert "redirect_uri" in visited(page_of(running)).text
        running.send_signal(signal.SIGINT)
        code, _, err = finished(running)
    assert code == 130, err


def test_a_scope_that_the_integration_does_not_have_is_said(office: Office) -> None:
    with ended(office.login("--no-browser")) as running:
        page = page_of(running)
        visited(f"{office.uri}?error=invalid_scope&error_description=No+such+scope&state={parameters(page)['state']}")
        code, _, err = finished(running)
    assert code == 4
    assert b"invalid_scope No such scope" in err
    assert b"select the scope" in err


def test_who_may_not_read_call_history_keeps_nothing(office: Office) -> None:
    office.webex.switch("webex", "scope", "missing")
    with ended(office.login("--no-browser")) as running:
        visited(decided(page_of(running)))
        code, out, err = finished(running)
    assert (code, out) == (4, b"")
    assert b"may not read call history; nothing of this sign-in was stored" in err
    assert not office.tokens.exists()


def test_a_token_that_is_refused_at_once_is_not_asked_for_with_the_same_code_again(office: Office) -> None:
    office.webex.fail("webex", 401, path="/cdr_feed", times=9)
    with ended(office.login("--no-browser")) as running:
        visited(decided(page_of(running)))
        code, _, err = finished(running)
    assert code == 4
    assert b"does not accept the token that it has just issued" in err
    assert office.granted("authorization_code") == 1


def test_a_sign_in_is_kept_when_only_the_first_request_after_it_fails(office: Office) -> None:
    office.webex.fail("webex", 400, path="/cdr_feed", times=9)
    with ended(office.login("--no-browser")) as running:
        visited(decided(page_of(running)))
        code, out, err = finished(running)
    assert (code, out) == (7, b"")
    assert b"signed in; the token is in" in err
    office.webex.switch("webex", "fail", "none")
    assert office.export().returncode == 0


def test_a_port_that_is_taken_is_said_with_the_way_out(office: Office) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = office.host.run("profile", "login", PROFILE, "--no-browser", "--port", str(taken.getsockname()[1]))
    assert ran.returncode == 2
    assert b"cannot be listened on" in ran.stderr
    assert b"--port" in ran.stderr


def test_another_port_is_another_redirect_uri(office: Office) -> None:
    registered = office.uri
    office.host.configure({PROFILE: {**office.settings, "redirect_uri": "http://127.0.0.1:8765/callback"}})
    signed_in(office, "--port", registered.rpartition(":")[2].partition("/")[0])


def test_nobody_is_waited_for_without_end(office: Office) -> None:
    ran = office.host.run("profile", "login", PROFILE, "--no-browser", "--wait", "1s")
    assert ran.returncode == 4
    assert b"the sign-in was not finished within 1 s" in ran.stderr
    assert b"--wait" in ran.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_at_once_and_nothing_is_kept(office: Office, number: signal.Signals) -> None:
    with ended(office.login("--no-browser", itself=True)) as running:
        page_of(running)
        running.send_signal(number)
        _, err = running.communicate(timeout=SOON)
    assert running.returncode == 130
    assert b"interrupted; nothing was stored" in err
    assert not office.tokens.exists()
    assert office.host.left_over() == []


def test_tokens_that_could_not_be_kept_are_noticed_before_anybody_signs_in(office: Office) -> None:
    office.tokens.parent.write_text("in the way", encoding="utf-8")
    ran = office.host.run("profile", "login", PROFILE, "--no-browser")
    assert ran.returncode == 6
    assert b"authorize" not in ran.stderr


# Words


@pytest.mark.parametrize("name", [name for name in PROVIDERS if name != "webex"])
def test_a_provider_without_such_a_sign_in_says_what_to_do_instead(office: Office, name: str) -> None:
    office.host.configure({PROFILE: {"provider": name, **office.webex.credentials(name)}})
    ran = office.host.run("profile", "login", PROFILE)
    assert ran.returncode == 2
    assert b"has no sign-in with a browser" in ran.stderr
    assert f"--provider {name}".encode() in ran.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["acme", "--port", "9", "--redirect-uri", "http://localhost:9/"], "twice"),
        (["acme", "--paste", "--no-browser"], "--no-browser"),
        (["acme", "--redirect-uri", "http://example.com/callback"], "begins with http://127.0.0.1"),
        (["acme", "--redirect-uri", "https://example.com/callback", "--port", "9"], "--port"),
        (["acme", "--wait", "soon"], "length of time"),
        (["acme", "--set", "timeout=3"], "already"),
        (["sandbox"], "needs no sign-in"),
        (["nobody", "--set", "client_secret=abc"], "is a secret"),
    ],
)
def test_words_that_make_no_sense_are_refused(office: Office, words: list[str], said: str) -> None:
    ran = office.host.run("profile", "login", *words)
    assert ran.returncode == 2, ran.stderr
    assert said in ran.stderr.decode()


def test_a_profile_without_a_client_is_told_what_it_lacks(office: Office) -> None:
    office.host.configure({PROFILE: {"provider": "webex", "access_token": "abcdefgh"}})
    ran = office.host.run("profile", "login", PROFILE)
    assert ran.returncode == 6
    assert b"has no client_id and client_secret" in ran.stderr


@pytest.mark.parametrize("name", ["authorize_url", "token_url"])
def test_no_secret_goes_where_others_can_read_it(office: Office, name: str) -> None:
    office.host.configure({PROFILE: {**office.settings, name: "http://webex.example.net/v1/x"}})
    ran = office.host.run("profile", "login", PROFILE)
    assert ran.returncode == 6
    assert b"https://" in ran.stderr


def test_without_a_profile_there_is_nobody_to_sign_in(office: Office) -> None:
    ran = office.host.run("profile", "login", "acmee")
    assert ran.returncode == 6
    assert b"did you mean acme" in ran.stderr


def test_a_new_profile_is_made_from_settings_and_signs_in(office: Office) -> None:
    settings = {name: value for name, value in office.settings.items() if name not in {"provider", "client_secret"}}
    given = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    given += ["--set", "client_secret_command=printf EXAMPLE-WEBEX-SECRET"]
    with ended(office.host.start("profile", "login", "new", "--no-browser", *given, itself=False)) as running:
        visited(decided(page_of(running)))
        code, _, err = finished(running)
    assert code == 0, err
    assert office.host.run("webex", "cdrs", "-p", "new", "--since", "3h", "--until", "2h").returncode == 0


def test_adding_a_profile_for_the_browser_says_how_to_go_on(office: Office) -> None:
    words = ("profile", "add", "new", "--provider", "webex", "--with", "browser")
    ran = office.host.run(*words, input=b"C0000EXAMPLE\nEXAMPLE-WEBEX-SECRET\n")
    assert ran.returncode == 0, ran.stderr
    assert b"cdrctl profile login new" in ran.stderr


def test_messages_as_json_have_the_address_too(office: Office) -> None:
    with ended(office.login("--no-browser", "--log-format", "json", "-q", "--wait", "1s")) as running:
        _, _, err = finished(running)
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line["level"] for line in lines] == ["note", "error"]
    assert "/authorize?" in lines[0]["url"]


# Browsers


def test_the_browser_that_is_named_is_opened(office: Office, tmp_path: Path) -> None:
    with a_browser(office, tmp_path) as told, ended(office.login()) as running:
        page = told()
        assert page == page_of(running)
        visited(decided(page))
        assert finished(running)[0] == 0


def test_no_browser_is_opened_unasked(office: Office, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    script = tmp_path / "browser"
    script.write_text(f"#!/bin/sh\ntouch {opened}\n", encoding="utf-8")
    script.chmod(0o700)
    office.host.environ["BROWSER"] = str(script)
    signed_in(office)
    assert not opened.exists()


def test_a_browser_that_cannot_be_opened_is_no_obstacle(office: Office) -> None:
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
def test_a_browser_counts_only_where_it_would_be_seen(environ: dict[str, str], platform: str, *, found: bool) -> None:
    assert has_browser(environ, platform) is found


# Without a browser


def finished_with(running: subprocess.Popen[bytes], line: str) -> tuple[int, bytes, bytes]:
    out, err = running.communicate(line.encode() + b"\n", timeout=PATIENCE)
    return running.returncode, out, err


def office_paste(office: Office, line: str, *words: str) -> tuple[int, bytes, bytes]:
    with ended(office.login("--paste", *words, stdin=subprocess.PIPE)) as running:
        return finished_with(running, line)


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


def test_a_redirect_uri_elsewhere_is_pasted(office: Office) -> None:
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
        ("two words", "blanks"),
        ("{uri}?code=abc&state=of-another", "another sign-in"),
        ("https://webexapis.com/v1/authorize?client_id=x", "not the address"),
        ("{uri}.evil.example/?code=abc&state=x", "not the address"),
    ],
)
def test_what_is_pasted_wrongly_is_said_and_not_repeated(office: Office, text: str, said: str) -> None:
    code, _, err = office_paste(office, text.format(uri=office.uri))
    assert code == 4
    assert said in err.decode()
    assert b"of-another" not in err
    assert office.granted("authorization_code") == 0


def test_a_denial_can_be_pasted_as_well(office: Office) -> None:
    with ended(office.login("--paste", stdin=subprocess.PIPE)) as running:
        address = decided(page_in(heard(running, b"copy that")), "deny")
        code, _, err = finished_with(running, address)
    assert code == 4
    assert b"denied in the browser" in err


def test_nothing_to_read_is_no_answer(office: Office) -> None:
    ran = office.host.run("profile", "login", PROFILE, "--paste")
    assert ran.returncode == 2
    assert b"there is no answer" in ran.stderr


# On a terminal


WITH_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes of standard input the terminal that Ctrl-C comes from and that passwords are read from."""


class Terminal:
    """A program on a terminal of its own, and everything that appeared on it."""

    def __init__(self, running: subprocess.Popen[bytes], screen: int) -> None:
        self.running, self.screen = running, screen
        self.seen, self.typed = b"", 0

    def sees(self, words: bytes) -> bytes:
        """Wait until these words have appeared since something was typed, and return everything up to now."""
        while words not in self.seen[self.typed :]:
            assert self.reads(), self.seen
        return self.seen.replace(b"\r\n", b"\n")

    def types(self, text: str) -> None:
        self.typed = len(self.seen)
        os.write(self.screen, text.encode() + b"\n")

    def reads(self) -> bool:
        """Read some more, and return whether there was any."""
        assert select.select([self.screen], [], [], PATIENCE)[0], self.seen
        try:
            more = os.read(self.screen, 65536)
        except OSError:  # how a terminal ends
            return False
        self.seen += more
        return bool(more)

    def left_with(self, key: bytes) -> int:
        """Press a key until the program ends, as people do, and return the exit code.

        A signal that comes just before the program waits for input does not wake it, in Python as in C.
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


def test_on_a_terminal_what_is_pasted_is_not_shown_and_may_be_pasted_again(office: Office) -> None:
    with on_a_terminal(office, PROFILE) as terminal:
        address = decided(page_in(terminal.sees(b"not shown): ")))
        terminal.types(f"{office.uri}?code=somebodys-code&state=another")
        terminal.sees(b"that address is from another sign-in")
        terminal.sees(b"not shown): ")  # once more
        terminal.types(address)
        assert terminal.ends() == 0, terminal.seen
    assert b"acme (Webex): signed in" in terminal.seen
    for hidden in (parameters(address)["code"], "somebodys-code"):
        assert hidden[-12:].encode() not in terminal.seen
    assert office.export().returncode == 0


def test_on_a_terminal_a_new_profile_is_offered(office: Office) -> None:
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


def test_on_a_terminal_a_mistyped_name_makes_no_profile(office: Office) -> None:
    written = office.host.config.read_bytes()
    with on_a_terminal(office, "acmee") as terminal:
        terminal.sees(b"(there are: acme); create it, for Webex? [y/N]: ")
        terminal.types("")
        assert terminal.ends() == 2
    assert office.host.config.read_bytes() == written


@pytest.mark.parametrize("key", [b"\x03", b"\x04"], ids=["ctrl-c", "ctrl-d"])
def test_on_a_terminal_the_prompt_can_be_left(office: Office, key: bytes) -> None:
    with on_a_terminal(office, PROFILE, "--paste") as terminal:
        terminal.sees(b"not shown): ")
        assert terminal.left_with(key) == 130, terminal.seen
    assert b"interrupted; nothing was stored" in terminal.seen
    assert not office.tokens.exists()


def test_what_the_sandbox_prints_for_the_sign_in_works_as_printed(office: Office) -> None:
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
    """However narrow the terminal is: whoever wraps it breaks it."""
    ran = office.host.run("profile", "login", PROFILE, "--paste", environ={"COLUMNS": "20"}, input=b"\n")
    assert quote(office.uri, safe="") in page_in(ran.stderr)
