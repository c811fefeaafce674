"""`cdrctl doctor`: each check failing once, with the next step that it prints."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cdrctl import sandbox
from cdrctl.cli.doctor_checks import ANSWER_CHECKS, CHECKS, NETWORK_CHECKS
from cdrctl.cli.doctor_network import check_certificate, check_network
from cdrctl.cli.findings import worst_exit_code
from cdrctl.errors import TemporaryError
from cdrctl.fetchers import PROVIDERS, load
from cdrctl.http import reach
from cdrctl.profiles.names import secret_names
from tests.support.certificates import Certificate
from tests.support.conversation import at_a_terminal
from tests.support.host import a_host
from tests.support.runner import NOW, Ran, run
from tests.support.wires import ok, serving, talking

AUTHORITY, ANOTHER = Certificate("Acme authority"), Certificate("Another authority")
SECRET = "s3cr3t-t0ken-nobody-may-see"
PATIENCE = 20


@dataclass
class Made:
    """A configuration file and a sandbox that is served.

    Args:
        config: The configuration file.
        served: The providers.
        environ: The environment.
    """

    config: Path
    served: sandbox.Sandbox
    environ: dict[str, str] = field(default_factory=dict)

    def profile(self, known: str, kind: str = "", *, name: str = "acme", **more: object) -> None:
        """Make one of this provider the only profile; a setting that is None is left out."""
        settings = {"provider": known, **self.served.credentials(known, kind), **more}
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items() if value is not None]
        self.config.write_text("\n".join([f"[profiles.{name}]", *lines, ""]), encoding="utf-8")
        self.config.chmod(0o600)

    def run(self, *words: str, **more: Any) -> Ran:
        """Run the doctor."""
        ran = run("doctor", *words, "--config", self.config, environ=self.environ, **more)
        assert SECRET not in ran.out + ran.err
        return ran

    def found(self, check: str, code: int, *words: str) -> dict[str, Any]:
        """Return what came of a check, which is the first that failed where the exit code is not 0."""
        ran = self.run(*words)
        assert ran.code == code, ran.out
        failed = [line for line in ran.lines if line["result"] == "fail"]
        assert [line["check"] for line in failed[:1]] == ([check] if code else [])
        assert all(line["next"] for line in failed)
        ours = [line for line in ran.lines if line["check"] == check]
        return max(ours, key=lambda line: ["skipped", "ok", "warn", "fail"].index(line["result"]))


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    (tmp_path / "cdrctl").mkdir(mode=0o700)
    with sandbox.start(now=lambda: NOW) as served:
        yield Made(tmp_path / "cdrctl" / "config.toml", served)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_profile_that_works(made: Made, provider: str) -> None:
    made.profile(provider)
    ran = made.run()
    assert ran.code == 0, ran.out
    checks = [line["check"] for line in ran.lines if line["profile"] == "acme"]
    assert checks == list(CHECKS)
    assert {line["result"] for line in ran.lines} <= {"ok", "skipped"}
    assert [line["check"] for line in ran.lines if not line["profile"]] == [
        *("configuration", "permissions", "program", "proxy")
    ]
    assert not [line for line in ran.lines if line["next"]]
    secrets = {key: str(value) for key, value in made.served.credentials(provider).items()}
    hidden = secret_names(load(provider).settings) & set(secrets)
    assert hidden
    assert not [key for key in hidden if secrets[key] in ran.out + ran.err]
    assert len(made.served.requests) <= 3


def test_the_sandbox_needs_no_profile(tmp_path: Path) -> None:
    for words in (("sandbox",), ("-p", "sandbox")):
        ran = run("doctor", *words, "--config", tmp_path / "none.toml")
        assert ran.code == 0, ran.out
        assert {line["provider"] for line in ran.lines} == set(PROVIDERS)
        assert {line["profile"] for line in ran.lines} == {"sandbox"}
        assert len(ran.lines) == len(PROVIDERS) * len(CHECKS)


def test_profiles_are_chosen_by_name(made: Made) -> None:
    made.profile("webex")
    more = made.config.read_text(encoding="utf-8").replace("[profiles.acme]", "[profiles.other]")
    made.config.write_text(made.config.read_text(encoding="utf-8") + more, encoding="utf-8")
    assert {line["profile"] for line in made.run().lines} == {None, "acme", "other"}
    assert {line["profile"] for line in made.run("other").lines} == {None, "other"}
    ran = made.run("othr")
    assert ran.code == 6
    assert "did you mean other?" in ran.err


def test_a_profile_of_the_environment_is_checked_too(made: Made) -> None:
    good = made.served.credentials("webex")
    made.environ = {f"CDRCTL_ACME_{key.upper()}": str(value) for key, value in good.items()}
    made.environ["CDRCTL_ACME_PROVIDER"] = "webex"
    ran = made.run()
    assert ran.code == 0, ran.out
    [secrets] = [line for line in ran.lines if line["check"] == "secrets"]
    assert secrets["what"] == "access_token is in CDRCTL_ACME_ACCESS_TOKEN"


def test_without_the_network_nothing_is_asked(made: Made) -> None:
    made.profile("webex")
    ran = made.run("--offline")
    assert ran.code == 0
    skipped = [line["check"] for line in ran.lines if line["what"] == "needs the network (--offline)"]
    assert skipped == [*NETWORK_CHECKS, *ANSWER_CHECKS]
    assert made.served.requests == []


# Configuration


def test_without_a_profile_it_says_how_to_begin(made: Made) -> None:
    found = made.found("configuration", 6)
    assert found["next"] == "run cdrctl init to make one; cdrctl doctor sandbox needs none"


def test_a_file_that_is_not_toml(made: Made) -> None:
    made.config.write_text("[profiles.acme]\nprovider = \n", encoding="utf-8")
    found = made.found("configuration", 6)
    assert found["next"] == f"correct {made.config}, line 2"


def test_a_key_that_means_nothing(made: Made) -> None:
    made.profile("webex")
    made.config.write_text("colour = 1\n" + made.config.read_text(encoding="utf-8"), encoding="utf-8")
    ran = made.run()
    [found] = [line for line in ran.lines if line["result"] == "warn"]
    assert "unknown key colour" in found["what"]
    assert found["next"] == f"remove it from {made.config}"
    assert ran.code == 0


def test_a_file_that_others_can_read(made: Made) -> None:
    made.profile("webex")
    made.config.chmod(0o644)
    assert made.found("permissions", 0)["next"] == f"chmod 600 {made.config}"


def test_a_folder_that_others_can_change(made: Made) -> None:
    made.profile("webex")
    made.config.parent.chmod(0o777)
    assert made.found("permissions", 0)["next"] == f"chmod go-w {made.config.parent}"


@pytest.mark.parametrize("name", ["", "tokens", "pace"])
def test_a_folder_that_cannot_be_written(made: Made, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write everywhere, so that the system's refusal is played."""
    made.profile("webex")
    place = made.config.parent / name
    place.mkdir(exist_ok=True)
    real = os.open

    def refused(path: Any, *rest: Any, **more: Any) -> int:
        if Path(os.fsdecode(path)).parent == place and ".doctor." in os.fsdecode(path):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", refused)
    found = made.found("permissions", 0)
    assert found["result"] == "warn"
    assert found["next"] == f"make {place} writable, or use a configuration file elsewhere with --config"


def test_nothing_is_left_in_the_folders(made: Made) -> None:
    made.profile("webex")
    made.run("--offline")
    assert [path.name for path in made.config.parent.iterdir()] == ["config.toml"]
    assert stat.S_IMODE(made.config.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("more", "what", "step"),
    [
        ({"acces_token": "x"}, "acces_token", "did you mean access_token"),
        ({"timeout": "soon"}, "timeout", "cdrctl profile show acme"),
        ({"access_token": None}, "profile acme has no access_token", "cdrctl init explains where to find it"),
        ({"access_token": None, "client_id": "x"}, "profile acme has no client_secret", "[profiles.acme]"),
        ({"provider": "webx"}, "there is no provider webx", "did you mean webex"),
    ],
)
def test_settings_that_cannot_be(made: Made, more: dict[str, Any], what: str, step: str) -> None:
    made.profile("webex", **more)
    found = made.found("settings", 6)
    assert what in found["what"]
    assert step in found["next"]
    assert {line["result"] for line in made.run().lines if line["check"] in NETWORK_CHECKS} == {"skipped"}


def test_settings_are_looked_at_before_a_secret_is_asked_for(made: Made, tmp_path: Path) -> None:
    made.profile("webex", access_token=None, access_token_command=f"touch {tmp_path}/asked", timeout="soon")
    made.found("settings", 6)
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize(
    ("more", "what", "step"),
    [
        ({"access_token_command": "exit 3"}, "access_token_command", "run it again with -v"),
        ({"access_token_command": "no-such-program"}, "ended with exit code 127", "is the program installed"),
        ({"access_token_file": "none"}, "cannot be read", "cdrctl profile show acme shows it"),
        ({"access_token_keyring": True}, "access_token_keyring", "keyring"),
    ],
)
def test_secrets_that_cannot_be_had(
    made: Made, more: dict[str, Any], what: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    made.profile("webex", access_token=None, **more)
    found = made.found("secrets", 6)
    assert what in found["what"]
    assert step in found["next"]
    assert made.served.requests == []


def test_a_command_that_fails_shows_no_other_secret(made: Made) -> None:
    made.profile("kazoo", api_key=None, username="me", password=SECRET, api_key_command=f"echo {SECRET} >&2; exit 3")
    assert made.found("secrets", 6)["what"].endswith("ended with exit code 3")


def test_a_secret_is_asked_for_once(made: Made, tmp_path: Path) -> None:
    token = made.served.credentials("webex")["access_token"]
    command = f"echo x >> {tmp_path}/asked; echo {token}"
    made.profile("webex", access_token=None, access_token_command=command)
    assert made.found("secrets", 0)["what"].startswith("access_token comes from the command ")
    assert (tmp_path / "asked").read_text() == "x\n"


def test_a_secret_in_a_file_that_others_can_read(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(str(made.served.credentials("webex")["access_token"]))
    path.chmod(0o644)
    made.profile("webex", access_token=None, access_token_file=str(path))
    assert made.found("secrets", 0)["next"] == f"chmod 600 {path}"


# The way


def test_a_name_that_nobody_knows(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    made.profile("webex")

    def unknown(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    found = made.found("dns", 5)
    assert "Name or service not known" in found["what"]
    assert found["next"] == "is base_url spelt right? does this machine have a network and a name server?"


def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ended.wait(PATIENCE))
    try:
        with pytest.raises(TemporaryError, match=r"no name server answered for pbx\.example within 0\.1 s") as caught:
            reach.addresses("pbx.example", 443, 0.1)
    finally:
        ended.set()
    assert "name servers" in (caught.value.hint or "")


def test_a_port_where_nobody_listens(made: Made) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    made.profile("webex", base_url=f"http://127.0.0.1:{port}/v1")
    found = made.found("connection", 5)
    assert found["next"] == f"nothing listens there: is port {port} right, and the service running?"


def test_a_port_that_does_not_answer(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port whose queue is full answers no attempt to connect."""
    monkeypatch.setattr(reach, "STEP", 0.2)
    with socket.socket() as busy, socket.socket() as first, socket.socket() as second:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        port = busy.getsockname()[1]
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        made.profile("webex", base_url=f"http://127.0.0.1:{port}/v1")
        found = made.found("connection", 5)
    assert found["next"].endswith("a firewall in between may drop what comes from here")


def test_an_address_that_is_dead_gives_way_to_the_next(made: Made) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert reach.connected("pbx.example", port, ["127.0.0.2", "127.0.0.1"])[0] == "127.0.0.1"


def test_an_address_that_swallows_everything_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "STEP", 0.2)
    with socket.socket() as busy, socket.socket() as first, socket.socket() as second:
        busy.bind(("127.0.0.2", 0))
        busy.listen(0)
        port = busy.getsockname()[1]
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(("127.0.0.2", port))
        with socket.create_server(("127.0.0.1", port)):
            assert reach.connected("pbx.example", port, ["127.0.0.2", "127.0.0.1"], 1)[0] == "127.0.0.1"


@contextmanager
def encrypted(folder: Path, shown: Certificate) -> Iterator[str]:
    with serving(ok(b'{"items":[]}', "Date: Fri, 20 Nov 2026 20:00:00 GMT"), tls=shown.server(folder)) as server:
        yield server.url.replace("http:", "https:")


@pytest.mark.parametrize(
    ("shown", "trusted", "what", "step"),
    [
        (Certificate("cdr.example", AUTHORITY), AUTHORITY, "mismatch", "base_url must name the host as the"),
        (Certificate("127.0.0.1", AUTHORITY, "210101000000Z"), AUTHORITY, "expired", "whoever runs the server must"),
        (Certificate("127.0.0.1", AUTHORITY), ANOTHER, "local issuer", "is not the certificate of the authority"),
        (Certificate("127.0.0.1"), None, "self-signed", "set ca_file in the profile to that certificate"),
    ],
    ids=["another-host", "expired", "another-authority", "signs-itself"],
)
def test_certificates_that_are_not_to_be_trusted(
    made: Made, tmp_path: Path, shown: Certificate, trusted: Certificate | None, what: str, step: str
) -> None:
    with encrypted(tmp_path, shown) as url:
        made.profile("webex", base_url=url, ca_file=str(trusted.pem(tmp_path)) if trusted else None)
        found = made.found("tls", 6)
    assert what in found["what"].replace("self signed", "self-signed")
    assert step in found["next"]


def test_a_certificate_is_held_against_the_name_and_not_the_address(made: Made, tmp_path: Path) -> None:
    with encrypted(tmp_path, Certificate("127.0.0.1", AUTHORITY)) as url:
        named = url.replace("127.0.0.1", "localhost")
        made.profile("webex", base_url=named, ca_file=str(AUTHORITY.pem(tmp_path)))
        assert "certificate is not valid for 'localhost'" in made.found("tls", 6)["what"]


def test_a_certificate_of_ones_own_authority(made: Made, tmp_path: Path) -> None:
    with encrypted(tmp_path, Certificate("127.0.0.1", AUTHORITY)) as url:
        made.profile("webex", base_url=url, ca_file=str(AUTHORITY.pem(tmp_path)))
        found = made.found("tls", 0)
    assert found["what"] == "issued by Acme authority, valid until 2049-12-31 (checked with ca_file)"


def test_a_certificate_that_ends_soon(made: Made, tmp_path: Path) -> None:
    soon = (datetime.now(UTC) + timedelta(days=9)).strftime("%y%m%d%H%M%SZ")
    near = datetime.now(UTC)
    shown = Certificate("127.0.0.1", AUTHORITY, soon)
    with encrypted(tmp_path, shown) as url:
        made.profile("webex", base_url=url, ca_file=str(AUTHORITY.pem(tmp_path)))
        settings = load("webex").settings.model_validate(
            {"base_url": url, "access_token": "x", "ca_file": str(AUTHORITY.pem(tmp_path))}
        )
        host, port = reach.place_of(url)
        found = check_certificate(settings, host, port, "127.0.0.1", near)
        later = check_certificate(settings, host, port, "127.0.0.1", near - timedelta(days=9))
    assert (found.result, found.next) == ("warn", "the server's operator must renew it before then")
    assert later.result == "ok"


def test_an_authority_that_cannot_be_read(made: Made, tmp_path: Path) -> None:
    with encrypted(tmp_path, Certificate("127.0.0.1", AUTHORITY)) as url:
        made.profile("webex", base_url=url, ca_file=str(tmp_path / "none.pem"))
        found = made.found("tls", 6)
    assert "ca_file must be a PEM file" in found["next"]


def test_a_server_that_does_not_encrypt(made: Made) -> None:
    url = str(made.served.credentials("webex")["base_url"])
    made.profile("webex", base_url=url.replace("http:", "https:"))
    found = made.found("tls", 6)
    assert "does not speak TLS" in found["what"]
    assert "begins with http://" in found["next"]


def test_a_handshake_that_never_ends() -> None:
    ended = threading.Event()

    def silent(_connection: socket.socket) -> None:
        ended.wait(PATIENCE)

    with talking(silent) as url:
        host, port = reach.place_of(url)
        try:
            with pytest.raises(TemporaryError) as caught:
                reach.certificate(host, port, "127.0.0.1", None, 0.3)
        finally:
            ended.set()
    assert "of https?" in (caught.value.hint or "")


def test_what_is_not_encrypted_is_said(made: Made) -> None:
    settings = load("kazoo").settings.model_validate(
        {"base_url": "http://kazoo.example.net:8000/v2", "account_id": "a", "api_key": "x", "allow_http": True}
    )
    found = check_certificate(settings, "kazoo.example.net", 8000, "192.0.2.1", NOW)
    assert (found.result, found.next) == ("warn", "use https:// if the server offers it, possibly on another port")


def test_by_a_proxy_the_proxy_is_looked_at_and_not_the_host(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        at = f"127.0.0.1:{proxy.getsockname()[1]}"
        monkeypatch.setenv("https_proxy", f"http://me:{SECRET}@{at}")
        settings = load("webex").settings.model_validate({"access_token": "x"})
        found = list(check_network(settings, NOW))
    assert [(one.check, one.result) for one in found] == [("dns", "skipped"), ("connection", "ok"), ("tls", "skipped")]
    assert found[0].what == f"the proxy {at} resolves the name"
    assert SECRET not in str(found)
    found = list(check_network(settings, NOW))
    assert [(one.check, one.result, one.exit_code) for one in found[1:]] == [("connection", "fail", 6)]
    assert at in found[1].what
    assert SECRET not in str(found)


# The answer


def test_a_provider_that_fails_is_asked_once(made: Made) -> None:
    made.profile("webex")
    made.served.fail("webex", 503, times=100)
    found = made.found("answer", 5)
    assert "Webex failed (HTTP 503)" in found["what"]
    assert found["next"] == "nothing is lost: run it again later"
    assert len(made.served.requests) == 1


def test_a_wrong_path(made: Made) -> None:
    made.profile("webex", base_url=f"{made.served.url}/webex/v2")
    found = made.found("answer", 6)
    assert "base_url should end in /v1" in found["next"]


def test_another_region(made: Made) -> None:
    made.profile("webex")
    made.served.switch("webex", "region", "451_please_use")
    found = made.found("answer", 6)
    assert found["next"].startswith("set base_url to https://analytics-calling")


@pytest.mark.parametrize(
    ("ahead", "code", "result", "step"),
    [
        (timedelta(seconds=60), 0, "ok", None),
        (timedelta(minutes=5), 0, "warn", "set it and keep it synchronised: `timedatectl set-ntp true` on Linux"),
        (-timedelta(minutes=5), 0, "warn", "set it and keep it synchronised: `timedatectl set-ntp true` on Linux"),
        (timedelta(hours=3), 6, "fail", "set it and keep it synchronised: `timedatectl set-ntp true` on Linux"),
        (timedelta(days=3), 0, "warn", "find out which of the two is wrong: `date -u` shows this machine's"),
    ],
)
def test_a_clock_that_is_wrong(tmp_path: Path, ahead: timedelta, code: int, result: str, step: str | None) -> None:
    with sandbox.start(now=lambda: NOW - ahead) as served:
        made = Made(tmp_path / "config.toml", served)
        made.profile("kazoo")
        found = made.found("clock", code)
    assert (found["result"], found["next"]) == (result, step)
    if result != "ok":
        assert ("ahead of" if ahead > timedelta(0) else "behind") in found["what"]


@pytest.mark.parametrize(
    ("provider", "more", "step"),
    [
        ("webex", {"access_token": SECRET}, "get a new access token"),
        ("kazoo", {"api_key": SECRET}, "check api_key"),
        ("callgear", {"access_token": SECRET}, "make a new one in the web cabinet"),
        ("portsip", {"password": SECRET}, "check username, password and domain"),
        ("voicenter", {"code": SECRET}, "check code"),
    ],
)
def test_a_credential_that_is_not_accepted(made: Made, provider: str, more: dict[str, Any], step: str) -> None:
    made.profile(provider, **more)
    found = made.found("sign-in", 4)
    assert step in found["next"]
    left = [line for line in made.run().lines if line["check"] in {"allow-list", "rights"}]
    assert {(line["result"], line["what"]) for line in left} == {("skipped", "sign-in failed")}


@pytest.mark.parametrize(
    ("provider", "step"), [("callgear", "Rules and security settings"), ("voicenter", "Authorized IPs")]
)
def test_an_address_that_is_not_let_in(made: Made, provider: str, step: str) -> None:
    made.profile(provider)
    made.served.switch(provider, "ip", "unlisted")
    found = made.found("allow-list", 4)
    assert "your address 127.0.0.1" in found["what"]
    assert step in found["next"]


def missing_scope(made: Made) -> None:
    made.profile("webex")
    made.served.switch("webex", "scope", "missing")


@pytest.mark.parametrize(
    ("prepare", "step"),
    [
        (missing_scope, "spark-admin:calling_cdr_read"),
        (lambda made: made.profile("portsip", "standard_user"), "cdrctl portsip cdrs --own"),
        (
            lambda made: made.profile("kazoo", "descendant", account_id=made.served.credentials("kazoo")["account_id"]),
            "account_id, or --account, must be the key's own account",
        ),
    ],
    ids=["webex", "portsip", "kazoo"],
)
def test_a_right_that_is_missing(made: Made, prepare: Callable[[Made], None], step: str) -> None:
    prepare(made)
    found = made.found("rights", 4)
    assert step in found["next"]
    [signed] = [line for line in made.run().lines if line["check"] == "sign-in"]
    assert signed["result"] == "ok"


def test_tokens_that_cannot_be_kept_are_noticed_before_one_is_used_up(made: Made) -> None:
    made.profile("webex", "refresh_token")
    (made.config.parent / "tokens").write_text("in the way")
    found = made.found("answer", 6)
    assert "cannot be written" in found["what"]
    assert not [one for one in made.served.requests if one.path.endswith("access_token")]


# The pace


def test_the_pace_is_that_of_all_runs_here(made: Made) -> None:
    made.profile("webex", requests_per_minute=None)
    found = made.found("pace", 0)
    assert found["what"] == "1 window in 61 s, 10 pages in 61 s, shared by all runs on this machine"
    again = made.found("pace", 0)
    assert "for other runs' requests" in again["what"]


def test_a_pace_that_cannot_be_shared(made: Made) -> None:
    made.profile("webex", requests_per_minute=None)
    (made.config.parent / "pace").write_text("in the way")
    found = made.found("pace", 0)
    assert (found["result"], found["next"]) == ("warn", "make pace/ beside the configuration file writable")


def test_nobody_waits_long_for_a_turn(made: Made) -> None:
    """One window a minute: the second waits a minute, the third would wait two."""
    made.profile("webex", requests_per_minute=None)
    assert [made.run().code for _ in range(2)] == [0, 0]
    found = made.found("answer", 5)
    assert found["what"] == "the rate limit allows the next request in 122 s: other runs use the same credential"
    assert found["next"] == "run it again when they have finished"
    assert len(made.served.requests) == 2


@pytest.mark.parametrize(
    ("provider", "what"),
    [
        ("webex", "cdrs 30 days, since 2026-10-21; stream 12 h, since 2026-11-20"),
        ("portsip", "cdrs 5 years, since 2021-11-19; calllogs 5 years, since 2021-11-19"),
        ("kazoo", "an operator may delete old months"),
        ("callgear", "no limit is published"),
        ("voicenter", "no limit is published"),
    ],
)
def test_how_far_back_calls_can_be_had(made: Made, provider: str, what: str) -> None:
    made.profile(provider)
    assert what in made.found("retention", 0, "--offline")["what"]


# What is shown


def test_the_worst_code_is_that_which_needs_a_person_most() -> None:
    assert [worst_exit_code(codes) for codes in ({0}, {0, 5}, {5, 4}, {4, 6, 5}, {7, 5}, set())] == [0, 5, 4, 6, 7, 0]


@pytest.mark.parametrize("width", [40, 59, 60, 80, 120])
def test_on_a_terminal_it_is_text_that_fits(made: Made, width: int) -> None:
    made.profile("webex", access_token=SECRET)
    made.config.chmod(0o644)
    ran = made.run("-f", "text", terminal=False, width=width)
    assert ran.code == 4
    assert "this machine\n" in ran.out
    assert "\nacme (Webex Calling)\n" in ran.out
    assert " ".join(ran.out.split()).count("next: ") == 2
    for line in ran.out.splitlines():
        assert len(line) < width or len(line.split()) == 1 or "chmod" in line, line  # a path stays whole
    assert "\x1b" not in ran.out
    assert ran.err.startswith("cdrctl: ")
    assert ran.err.endswith("1 warnings, 1 failed\n")


def test_what_is_skipped_for_one_reason_is_one_line(made: Made) -> None:
    made.profile("webex", access_token=SECRET)
    made.served.fail("webex", 503, times=100)
    out = " ".join(made.run("-f", "text").out.split())
    assert "skipped sign-in, allow-list, rights, pace: answer failed ok retention" in out
    assert "skipped tls base_url begins with http://" in out


def test_a_terminal_may_have_colours(made: Made) -> None:
    made.profile("webex")
    assert "\x1b[32mok" in made.run(terminal=True).out
    made.environ = {"NO_COLOR": "1"}
    assert "\x1b" not in made.run(terminal=True).out


@pytest.mark.parametrize("form", ["csv", "tsv", "json", "table"])
def test_it_has_the_formats_of_every_table(made: Made, form: str) -> None:
    made.profile("webex")
    assert "retention" in made.run("-f", form).out
    assert made.run("-f", "nope").code == 2


@pytest.mark.parametrize("form", ["sqlite", "duckdb", "template"])
def test_a_format_that_is_no_stream_is_refused_before_anything_is_looked_at(made: Made, form: str) -> None:
    made.profile("webex")
    ran = made.run("-f", form)
    assert ran.code == 2
    assert form in ran.err
    assert not made.served.requests


def test_a_narrow_table_has_whole_results_and_says_how_to_see_the_rest(made: Made) -> None:
    made.profile("webex")
    table = made.run("-f", "table", width=50).out
    assert "skipped" in table
    assert "1 more column: -f text, or -f csv" in table


def test_the_machines_form_has_these_keys(made: Made) -> None:
    made.profile("webex")
    keys = ["profile", "provider", "check", "result", "what", "next"]
    assert {tuple(line) for line in made.run().lines} == {tuple(keys)}


def test_what_a_provider_says_obeys_nobody(made: Made) -> None:
    made.profile("webex")
    made.served.fail("webex", 403, body=json.dumps({"message": f"\x1b]0;pwned\x07 {SECRET}"}))
    made.profile("webex", access_token=SECRET)
    ran = made.run("-f", "text")
    assert "pwned" in ran.out
    assert "\x1b" not in ran.out
    assert "\x07" not in ran.out


@pytest.mark.process
def test_at_a_real_terminal(tmp_path: Path) -> None:
    with at_a_terminal(a_host(tmp_path), "doctor", "sandbox", columns=40) as terminal:
        assert terminal.end() == 0, terminal.shown
    assert terminal.shown.count("sandbox (") == len(PROVIDERS)


@pytest.mark.process
def test_a_reader_that_leaves_ends_it_quietly(tmp_path: Path) -> None:
    ran = a_host(tmp_path).shell("set -o pipefail; cdrctl doctor sandbox | head -n 1")
    assert ran.stdout.count(b"\n") == 1
    assert b"Traceback" not in ran.stderr
