"""Secrets stay private: on disk under any umask, in process lists, in child processes and in error reports."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from cdrctl.fetchers import PROVIDERS, Provider
from tests.contract.test_secrets import LOGS, SINCE, UNTIL, check_clean, secrets_of, subject_of
from tests.support.bench import NOW, WAYS, bench, evenly, kind_of, secret_names
from tests.support.clock import HandClock
from tests.support.host import A_DAY, CDRCTL, PATIENCE, Host, Stalling, a_host, ended, hearing, stalling
from tests.support.runner import Shell

pytestmark = pytest.mark.process

REPORT = "portsip reports create --type NORMAL --range YESTERDAY --email me@example.com --file-format CSV --wait"
each_way = pytest.mark.parametrize(("provider", "way"), WAYS, ids=[f"{provider.name}-{way}" for provider, way in WAYS])
each_log = pytest.mark.parametrize("log", LOGS, ids=["text", "json"])


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return a_host(tmp_path)


@pytest.fixture
def running() -> Iterator[Stalling]:
    with stalling() as providers:
        yield providers


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# On disk

WATCH = """
import os, stat, sys

ROOT, REPORT = {root!r}, {report!r}
looking = False

def look(event, arguments):
    global looking
    if looking or not event.startswith(("open", "os.", "sqlite3.", "shutil.", "tempfile.")):
        return
    if event in ("os.scandir", "os.listdir"):
        return
    looking = True
    try:
        for folder, folders, files in os.walk(ROOT):
            for name in (*folders, *files):
                path = os.path.join(folder, name)
                try:
                    found = os.lstat(path).st_mode
                except OSError:
                    continue
                if stat.S_IMODE(found) & 0o077 and "/out" not in path:
                    with open(REPORT, "a") as report:
                        report.write(f"{{path}} {{stat.S_IMODE(found):o}} at {{event}}\\n")
    finally:
        looking = False

sys.addaudithook(look)
"""


def test_without_a_umask_no_file_is_ever_open_to_others(
    host: Host, running: Stalling, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Modes are checked at every file operation, so that a file that is open for a moment is noticed too."""
    report = tmp_path_factory.mktemp("report") / "open"
    elsewhere = tmp_path_factory.mktemp("meddling")
    (host.folder / "out").mkdir(mode=0o700)
    (elsewhere / "sitecustomize.py").write_text(WATCH.format(root=str(host.folder), report=str(report)))
    host.environ["PYTHONPATH"] = f"{elsewhere}{os.pathsep}{host.environ['PYTHONPATH']}"
    settings = running.settings("webex", "refresh_token")
    options = [word for key, value in settings.items() if "_url" in key for word in ("--set", f"{key}={value}")]
    secrets = [str(settings[name]) for name in ("client_id", "client_secret", "refresh_token")]
    added = host.run(
        *("profile", "add", "acme", "--provider", "webex", "--with", "refresh"),
        *options,
        input="\n".join(secrets).encode(),
        umask=0,
    )
    assert added.returncode == 0, added.stderr
    for words in ("webex cdrs --since 3h --until 150m -o out/a.csv", "sync sandbox --into archive"):
        ran = host.run(*words.split(), umask=0)
        assert ran.returncode == 0, ran.stderr
        assert not report.exists(), report.read_text()
    made = {str(one.relative_to(host.folder)) for one in host.folder.rglob("*") if one.is_file()}
    for name in (
        r"config\.toml",
        r"\.config\.toml\.lock",
        r"tokens/acme\.json",
        r"tokens/acme\.lock",
        r"pace/\w{32}\.json",
    ):
        assert any(re.search(f"cdrctl/{name}$", one) for one in made), name
    for name in (r"archive\.toml", r"ledger/.*\.json", r"ledger/.*\.lock", r"cdrs\.parquet", r"_readings\.json"):
        assert any(re.search(f"archive/.*{name}$|archive/{name}$", one) for one in made), name
    assert mode(host.folder / "out" / "a.csv") == 0o666


@pytest.mark.parametrize(("umask", "expected"), [(0, 0o666), (0o027, 0o640), (0o077, 0o600)])
def test_output_files_follow_the_umask(host: Host, running: Stalling, umask: int, expected: int) -> None:
    host.configure({"portsip": running.settings("portsip")})
    running.sandbox.switch("portsip", "report_delay", "0")
    for words in (f"{REPORT} -o report.csv", "export -p sandbox --since 3h --until 2h -o records.csv"):
        ran = host.run(*words.split(), umask=umask)
        assert ran.returncode == 0, ran.stderr
        assert mode(host.folder / words.split()[-1]) == expected


AT_THE_RENAME = """
import os, signal, sys

def watch(event, arguments):
    if event == "os.rename" and os.fspath(arguments[1]).endswith("tokens/acme.json"):
        {act}

sys.addaudithook(watch)
"""
ENDS = {
    "full": ("raise OSError(28, os.strerror(28))", 6),
    "told": ("os.kill(os.getpid(), signal.SIGTERM); signal.pthread_sigmask(signal.SIG_BLOCK, [])", 130),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", -9),
}


@pytest.mark.parametrize("end", ENDS)
def test_renewed_tokens_are_replaced_atomically(host: Host, running: Stalling, end: str) -> None:
    settings = running.settings("webex", "refresh_token")
    host.configure({"acme": settings})
    kept = host.config.parent / "tokens" / "acme.json"
    assert host.run("webex", "cdrs", *A_DAY).returncode == 0
    before = kept.read_bytes()
    running.sandbox.expire_tokens("webex")
    act, code = ENDS[end]
    host.meddle(AT_THE_RENAME.format(act=act))
    with hearing():
        ran = host.run("webex", "cdrs", *A_DAY)
    assert ran.returncode == code, ran.stderr
    if end == "told":  # a renewal is not interrupted: the old token is already used up
        assert json.loads(kept.read_bytes()).keys() == json.loads(before).keys()
    else:
        assert kept.read_bytes() == before
    if end != "killed":
        assert sorted(one.name for one in kept.parent.iterdir()) == ["acme.json", "acme.lock"]
    else:
        assert all(mode(one) == 0o600 for one in kept.parent.iterdir())


def forms(secret: str) -> set[bytes]:
    """Return the forms a secret may have in a file: as it is, encoded, or as a digest that can be guessed."""
    raw = secret.encode()
    encoded = {base64.b64encode(raw).rstrip(b"="), base64.urlsafe_b64encode(raw).rstrip(b"="), raw.hex().encode()}
    digests = {hashlib.new(name, raw).hexdigest().encode() for name in ("sha256", "sha1", "md5")}
    return {raw, quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode(), *encoded, *digests}


def files_with(folder: Path, secrets: Iterable[str]) -> set[str]:
    """Return the names of files that contain a secret, or have it in their name, except those meant to store it."""
    found = set()
    looked_for = {form for secret in secrets for form in forms(secret)}
    for path in folder.rglob("*"):
        place = path.name == "config.toml" or (path.parent.name == "tokens" and path.suffix == ".json")
        if path.is_file() and not place:
            with suppress(FileNotFoundError):  # a temporary file may have been renamed in the meantime
                content = path.read_bytes() + str(path).encode()
                found |= {path.name for form in looked_for if form in content}
    return found


def sent_by(running: Stalling) -> set[str]:
    """Return the tokens in requests."""
    headers = [one.headers for one in running.sandbox.requests]
    found = {one.get(name, "").removeprefix("Bearer ") for one in headers for name in ("authorization", "x-auth-token")}
    return found - {""}


def settings_of_all(running: Stalling) -> tuple[dict[str, dict[str, object]], set[str]]:
    """Return a profile for each authentication method, and their secrets."""
    profiles, secrets = {}, set()
    for provider, way in WAYS:
        settings = running.settings(provider.name, kind_of(running.sandbox, provider, way))
        profiles[f"{provider.name}-{way}"] = settings
        secrets |= {str(settings[name]) for name in secret_names(provider) if name in settings}
    return profiles, secrets


A_NEW_TOKEN = re.compile(r"\.webex-refresh\.json\.\w+\.new")
"""What a renewed token is in for an instant, private and beside the file that it takes the place of."""


@pytest.mark.parametrize(
    "words",
    [
        f"export --all {' '.join(A_DAY)} -o all.csv -vv",
        "sync --all --into archive -vv",
        f"{REPORT} -p portsip-password -o r.csv",
    ],
    ids=["export", "sync", "report"],
)
def test_no_file_has_a_secret_while_it_runs_or_afterwards(host: Host, running: Stalling, words: str) -> None:
    profiles, secrets = settings_of_all(running)
    host.configure(profiles)
    (host.folder / "temporary").mkdir()
    host.environ["TMPDIR"] = str(host.folder / "temporary")
    running.sandbox.switch("portsip", "report_delay", "0")
    running.stall("portsip", nth=3)
    with (host.folder / "said").open("wb") as said, ended(host.start(*words.split(), stdout=said, stderr=said)) as run:
        running.wait()
        while_it_runs = files_with(host.folder, secrets | sent_by(running))
        running.let_go.set()
        assert run.wait(PATIENCE) in {0, 3}, (host.folder / "said").read_bytes()
    assert {name for name in while_it_runs if not A_NEW_TOKEN.fullmatch(name)} == set()
    assert files_with(host.folder, secrets | sent_by(running)) == set()
    assert len(list(host.folder.rglob("*"))) > 5


# In process lists


def everything_about(kind: str, but: Iterable[int] = ()) -> bytes:
    """Return the command lines, or the environments, of all processes."""
    found = b""
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) not in but:
            try:
                found += (process / kind).read_bytes() + b"\n"
            except OSError:  # it has ended, or belongs to another user
                continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc here")
def test_no_command_line_has_a_secret(host: Host, running: Stalling) -> None:
    profiles, secrets = settings_of_all(running)
    host.configure(profiles)
    running.stall(*PROVIDERS)
    with ended(host.start("export", "--all", *A_DAY)):
        running.wait(len(PROVIDERS))
        lines = everything_about("cmdline")
    assert " ".join(CDRCTL).replace(" ", "\0").encode() in lines
    for secret in secrets | sent_by(running):
        assert secret.encode() not in lines


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc here")
def test_a_command_for_one_secret_does_not_get_the_others(host: Host, running: Stalling) -> None:
    """Its environment has neither the other secrets of the profile nor those of other profiles."""
    settings = running.settings("webex", "refresh_token")
    for name in ("ready", "secret"):
        os.mkfifo(host.folder / name)
    host.configure({"acme": {**settings, "client_secret": "in-the-file"}, "acme-lab": running.settings("kazoo")})
    host.environ |= {
        "CDRCTL_ACME_CLIENT_SECRET_COMMAND": "echo $$ > ready; cat secret",
        "CDRCTL_ACME_REFRESH_TOKEN": "refresh-canary",
        "CDRCTL_ACME_TIMEZONE": "Europe/Berlin",
        "CDRCTL_ACME_LAB_API_KEY": "lab-canary",
        "CDRCTL_OTHER_PROVIDER": "voicenter",
        "CDRCTL_OTHER_CODE": "other-canary",
        "VAULT": "needed",
    }
    with ended(host.start("webex", "cdrs", "-p", "acme", *A_DAY)) as run:
        shell = int((host.folder / "ready").read_text())
        its = Path(f"/proc/{shell}/environ").read_bytes().split(b"\0")
        lines = everything_about("cmdline")
        (host.folder / "secret").write_text(str(settings["client_secret"]))
        assert run.wait(PATIENCE) in {4, 5}
    assert b"VAULT=needed" in its
    assert b"CDRCTL_ACME_TIMEZONE=Europe/Berlin" in its
    assert not [one for one in its if b"canary" in one]
    assert b"canary" not in lines


# In error reports


class OthersBugError(Exception):
    """An error that a package we use may raise."""


def broken_request(*arguments: Any, **more: Any) -> None:
    """Raise an error with everything that the request was given in its message, as a careless package may."""
    raise OthersBugError(f"cannot send {arguments[1:]!r}", *more.values()) from OthersBugError(f"{more}")


@each_way
@each_log
def test_the_traceback_of_a_bug_has_no_secret(
    provider: Provider, way: str, log: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither from variables, nor from the messages of the exception and its causes."""
    with bench(subject_of(provider), tmp_path, evenly(3, SINCE, UNTIL)) as made:
        kind = kind_of(made.sandbox, provider, way)
        made.sign_in_by(kind)
        made.run(SINCE, UNTIL).ok()
        secrets = secrets_of(made, made.sandbox.credentials(provider.name, kind))
        monkeypatch.setattr(httpx, "Request", broken_request)
        ran = made.run(SINCE, UNTIL, *log)
        assert ran.code == 1
        assert "OthersBugError" in ran.err
        assert "direct cause" in ran.err
        assert "********" in ran.err
        check_clean(made, ran, secrets)
        if "json" in log:
            assert all(set(json.loads(line)) >= {"level", "message"} for line in ran.err.splitlines())


OUTSIDE = """
import typer.main

def broken(*arguments, **more):
    raise RuntimeError("typer is broken")

typer.main.get_command = broken
"""


def test_an_unexpected_bug_shows_no_variables(host: Host) -> None:
    """Local variables include the environment, so neither rich nor typer may show them."""
    host.meddle(OUTSIDE)
    host.environ |= {"CDRCTL_ACME_PROVIDER": "webex", "CDRCTL_ACME_ACCESS_TOKEN": "canary-in-the-environment"}
    ran = host.run("webex", "cdrs", "-vv", "-p", "acme", environ={"COLUMNS": "200"})
    assert ran.returncode == 1
    assert b"typer is broken" in ran.stderr
    assert b"canary" not in ran.stderr
    assert "─".encode() not in ran.stderr


PASSWORD = "pr0xy/p@ss wörd"
BASIC = base64.b64encode(f"bob:{PASSWORD}".encode()).decode()


@contextmanager
def indiscreet_proxy() -> Iterator[str]:
    """Return the URL of a proxy that refuses everything and quotes the request."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(PATIENCE)
                    asked = connection.recv(65_536).decode("latin-1")
                    told = re.findall(r"(?i)proxy-authorization: Basic (\S+)", asked)
                    plain = base64.b64decode(told[0]).decode() if told else "nothing"
                    body = json.dumps({"message": f"not for {plain} {told}"}).encode()
                    head = f"HTTP/1.1 407 {told} is not welcome\r\nContent-Type: application/json\r\n"
                    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(PATIENCE)


@each_log
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_password_of_a_proxy_is_not_shown(
    scheme: str, log: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with indiscreet_proxy() as address:
        name, url = f"{scheme.upper()}_PROXY", f"http://bob:{quote(PASSWORD, safe='')}@{address}"
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv(name, url)
        shell = Shell(tmp_path, HandClock(NOW))
        settings = {"base_url": f"{scheme}://kazoo.example/v2", "account_id": "0" * 32, "auth_token": "canary-token"}
        settings["allow_http"] = "true"
        shell.profile("acme", "kazoo", settings)
        ran = shell.run("kazoo", "cdrs", "--since", "2h", "--until", "1h", *log, **{name: url})
    assert ran.code == 6, ran.err
    assert f"the proxy {address}" in ran.err
    for secret in (PASSWORD, quote(PASSWORD, safe=""), json.dumps(PASSWORD)[1:-1], BASIC, "canary"):
        assert secret not in ran.err
